/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * genctcp — see genctcp.h.
 *
 * Which request an answer is for: request number first + k is the one number k mod depth of batch k / depth, and batches go round the
 * connections. So the s-th answer on connection i is that of k = (s / depth * n_conns + i) * depth + s mod depth.
 */
#include "genctcp.h"

#include "base/keyhash.h"
#include "gensay.h"
#include "net/parse.h"

#include <rte_cycles.h>
#include <rte_malloc.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define OPEN_RATE 20000.0 /* connections a second */
#define MTU 1500u
#define TIME_WAITS 65536u /* of connections that were closed here */
#define RESETS 32u        /* at a time, at the end */
#define TAKEN_US 20000u   /* in which the target reads the last of them, before the link goes */

struct genctcp_conn {
	struct tcb *c; /* NULL: closed */
	bool is_open;
	uint64_t open_number;                  /* of the frame that asked for it last */
	uint32_t n_due, n_written, n_answered; /* requests of the trial, in order */
	uint32_t n_partial;                    /* bytes of an answer that is not whole */
	uint8_t partial[GENMC_ANSWER_MAX];
};

static inline uint64_t now_us(const struct genctcp *c)
{
	return (uint64_t)((double)rte_rdtsc() * c->run->ns_per_cyc / 1000);
}

static inline uint64_t number_of(const struct genctcp *c, const struct genctcp_conn *k, uint32_t s)
{
	const uint64_t at = (uint64_t)(k - c->conns);

	if (c->is_once)
		return k->open_number;
	return c->run->first + (s / c->depth * (uint64_t)c->n_conns + at) * c->depth + s % c->depth;
}

/* --- requests and answers --- */

/* What is due and fits. */
static void write_due(struct genctcp *c, struct genctcp_conn *k)
{
	uint8_t text[GENMC_REQUEST_MAX];

	while (k->n_written < k->n_due) {
		const uint8_t *end =
			genmc_write(c->mc, text, genmc_of(c->mc, number_of(c, k, k->n_written)));
		const uint32_t n = (uint32_t)(end - text);

		/* a part of a request would have to be remembered */
		if (tcp_queued(k->c) + n > c->profile.snd_max) {
			tcp_want_room(k->c);
			return;
		}
		if (tcp_write(k->c, text, n)
			< n) { /* no buffer for it: the connection is of no use any more */
			tcp_abort(k->c);
			return;
		}
		k->n_written++;
	}
}

/* Whole answers at the beginning of the bytes are counted. Returns how many bytes they were; UINT32_MAX: something else came. */
static uint32_t eat(struct genctcp *c, struct genctcp_conn *k, const uint8_t *p, uint32_t len)
{
	uint32_t at = 0;

	while (at < len) {
		const uint64_t number = number_of(c, k, k->n_answered);
		enum genmc_answer a = GENMC_WRONG;
		uint32_t n_used = 0;

		if (k->n_answered < k->n_written)
			a = genmc_judge(c->mc, p + at, len - at, genmc_of(c->mc, number), &n_used);
		if (a == GENMC_MORE)
			break;
		genmc_answered(c->mc, c->run, number, a, 0);
		if (a == GENMC_WRONG)
			return UINT32_MAX;
		k->n_answered++;
		at += n_used;
	}
	return at;
}

/* Takes bytes into `partial`, and out of it what is whole. False: something else came. */
static bool eat_partial(struct genctcp *c, struct genctcp_conn *k)
{
	const uint32_t n = eat(c, k, k->partial, k->n_partial);

	if (n == UINT32_MAX)
		return false;
	k->n_partial -= n;
	memmove(k->partial, k->partial + n, k->n_partial);
	return k->n_partial < sizeof(k->partial); /* an answer is not longer */
}

static void read_answers(struct genctcp *c, struct genctcp_conn *k)
{
	const uint8_t *p;
	uint32_t len;

	while ((p = tcp_peek(k->c, &len)) != NULL) {
		uint32_t n = k->n_partial == 0 ? eat(c, k, p, len) : 0;
		const uint32_t left = len - n;

		if (n == UINT32_MAX) {
			tcp_abort(k->c);
			return;
		}
		if (left > 0) {
			const uint32_t room = (uint32_t)sizeof(k->partial) - k->n_partial;
			const uint32_t n_more = left < room ? left : room;

			memcpy(k->partial + k->n_partial, p + n, n_more);
			k->n_partial += n_more;
			n += n_more;
			if (!eat_partial(c, k)) {
				tcp_abort(k->c);
				return;
			}
		}
		tcp_consume(k->c, n);
	}
	if (c->is_once && k->n_answered == k->n_due)
		tcp_close(k->c);
	else if (tcp_is_eof(k->c))
		tcp_abort(k->c);
}

/* --- what the stack calls --- */

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return NULL; /* a client */
}

static void on_open(void *ctx, struct tcb *t)
{
	struct genctcp *c = ctx;
	struct genctcp_conn *k = tcp_app(t);

	k->is_open = true;
	if (c->is_opening && genrun_answered(c->run, k->open_number, 0))
		genonce_answered(&c->opened, k->open_number);
	if (!c->is_opening)
		write_due(c, k);
}

static void on_ready(void *ctx, struct tcb *const *t, unsigned n)
{
	struct genctcp *c = ctx;

	c->run->now = rte_rdtsc();
	for (unsigned i = 0; i < n; i++) {
		struct genctcp_conn *k = tcp_app(t[i]);

		read_answers(c, k);
		if (k->is_open)
			write_due(c, k);
	}
}

static void on_close(void *ctx, struct tcb *t, enum tcp_reason why)
{
	struct genctcp *c = ctx;
	struct genctcp_conn *k = tcp_app(t);

	if (c->is_once)
		c->idle[c->n_idle++] = (uint32_t)(k - c->conns);
	else
		c->n_broken += why != TCP_WHY_ABORTED && why != TCP_WHY_DESTROYED;
	k->c = NULL;
	k->is_open = false;
}

static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	struct genctcp *c = ctx;

	genrun_send(c->run, m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* --- what the loop calls --- */

/* Client and port of a connection are a flow's, as those of frames. */
static void open_conn(struct genctcp *c, struct genctcp_conn *k)
{
	const uint64_t flow = c->is_once ? c->n_opened++ % genframe_flows_max(&c->frame)
					 : (uint64_t)(k - c->conns);
	struct pkt peer = c->peer;
	rte_be16_t port;

	genframe_source(&c->frame, flow, peer.dst, &port);
	peer.dport = port;
	k->n_partial = 0;
	k->c = tcp_open(c->tcp, &c->profile, &peer, 0, &c->gateway, now_us(c));
	if (k->c != NULL)
		tcp_set_app(k->c, k);
}

static void submit_open(struct genctcp *c, uint64_t number)
{
	struct genctcp_conn *k = &c->conns[genonce_of(&c->opened, number)];

	k->open_number = number;
	if (k->c == NULL)
		open_conn(c, k);
	else if (k->is_open
		&& genrun_answered(c->run, number, 0)) /* after the last pass had ended */
		genonce_answered(&c->opened, number);
}

/* A request with a connection of its own. */
static void submit_once(struct genctcp *c, uint64_t number)
{
	struct genctcp_conn *k = c->n_idle > 0 ? &c->conns[c->idle[c->n_idle - 1]] : NULL;

	if (k != NULL) {
		k->open_number = number;
		k->n_due = 1;
		k->n_written = k->n_answered = 0;
		open_conn(c, k);
	}
	if (k != NULL && k->c != NULL)
		c->n_idle--;
	else if (number >= c->run->first_counted)
		c->run->counts.no_room++;
}

static void submit(void *ctx, struct genrun *r, unsigned n, uint64_t first)
{
	struct genctcp *c = ctx;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t number = first + i;
		struct genctcp_conn *k;

		if (c->is_opening) {
			submit_open(c, number);
			continue;
		}
		if (c->is_once) {
			submit_once(c, number);
			continue;
		}
		k = &c->conns[(number - r->first) / c->depth % c->n_conns];
		k->n_due++;
		if (k->c
			== NULL) /* it broke, or what was on its way when a trial ended was given up */
			open_conn(c, k);
		/* opt: a batch is written at once, when its last request is due */
		if (k->is_open && (i + 1 == n || (number + 1 - r->first) % c->depth == 0))
			write_due(c, k);
	}
}

static void run_timers(void *ctx, struct genrun *r)
{
	struct genctcp *c = ctx;
	const uint64_t now = now_us(c);

	tcp_poll(c->tcp, now);
	tcp_flush(c->tcp, now);
}

static void input(void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n,
	struct genwork_seen *seen)
{
	struct genctcp *c = ctx;
	struct burst *b = c->burst;
	uint8_t sel[BURST_MAX];
	unsigned n_sel = 0;

	b->n = (uint16_t)n;
	memcpy(b->m, m, n * sizeof(*m));
	parse_burst(b, &c->ifaces.of[0].mac, 0);
	for (unsigned i = 0; i < n; i++) {
		if (b->p[i].verdict != PKT_UNSEEN || b->p[i].proto != IPPROTO_TCP
			|| (b->p[i].flags & PKT_F_FRAGMENT))
			continue;
		sel[n_sel++] = (uint8_t)i;
		if (r->next > r->first_counted)
			r->counts.received_bytes += m[i]->pkt_len + GENFRAME_FCS;
	}
	tcp_input(c->tcp, b, sel, n_sel, now_us(c));
	for (unsigned i = 0; i < n_sel; i++) {
		if (b->p[sel[i]].verdict == PKT_GONE)
			seen->kept |= 1ull << sel[i];
		else
			seen->taken |= 1ull << sel[i];
	}
}

/* A trial begins with no request on its way. */
static void begin(void *ctx, struct genrun *r)
{
	struct genctcp *c = ctx;

	for (uint32_t i = 0; i < c->n_conns; i++) {
		struct genctcp_conn *k = &c->conns[i];

		/* one that is still opening would try again later and later */
		if (k->c != NULL && (!k->is_open || k->n_answered != k->n_due || k->n_partial != 0))
			tcp_abort(k->c);
		k->n_due = k->n_written = k->n_answered = 0;
	}
	tcp_flush(c->tcp, now_us(c));
}

/* --- set-up --- */

uint32_t genctcp_buffers(uint32_t n_conns)
{
	return 4 * n_conns + 8192;
}

static int create_stack(struct genctcp *c, struct genrun *run, uint32_t seed)
{
	const struct tcp_params p = {.n_conns = RTE_MAX(c->n_conns, 16u),
		.n_syns = 16,
		.n_time_waits = c->is_once ? TIME_WAITS : 16,
		.n_bufs = genctcp_buffers(c->n_conns),
		.pool = run->pool,
		.ifaces = &c->ifaces,
		.ops = &ops,
		.ctx = c,
		.secret = {seed, 1, 2, 3},
		.now_us = now_us(c),
		.socket_id = SOCKET_ID_ANY};

	return tcp_create(&c->tcp, &p);
}

int genctcp_init(struct genctcp *c, struct genmc *mc, const struct genopt *o,
	const struct genframe_params *p, struct genrun *run)
{
	int rc;

	*c = (struct genctcp){.mc = mc,
		.run = run,
		.n_conns = o->n_flows,
		.depth = o->depth,
		.is_once = o->is_once,
		/* a client of a benchmark does not give up */
		.profile = {.idle_ms = 3600000, .user_timeout_ms = 3600000},
		.gateway = p->dst_mac,
		.peer = {.family = p->target->family, .sport = rte_cpu_to_be_16(p->target_port)},
		.ifaces = {.n = 1, .of = {{.name = "bench", .mac = p->src_mac, .mtu_bytes = MTU}}},
		.work = {.submit = submit,
			.poll = run_timers,
			.input = input,
			.begin = begin,
			.group = o->depth}};
	c->profile.snd_max = 262144; /* tcp.h's default: write_due() counts with it */
	c->work.ctx = c;
	memcpy(c->peer.src, p->target->ip, p->target->family == 4 ? 4 : 16);
	genframe_init(&c->frame, p);
	if (genframe_flows_max(&c->frame) < c->n_conns) {
		gensay_error(
			"--flows %u: the addresses of --client make %s connections; give a larger network",
			c->n_conns, gensay_count((double)genframe_flows_max(&c->frame)));
		return -EINVAL;
	}
	c->conns = calloc(c->n_conns, sizeof(*c->conns));
	c->burst = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*c->burst));
	c->idle = calloc(c->n_conns, sizeof(*c->idle));
	while (c->idle != NULL && c->n_idle < c->n_conns) {
		c->idle[c->n_idle] = c->n_conns - 1 - c->n_idle;
		c->n_idle++;
	}
	rc = c->conns == NULL || c->idle == NULL || c->burst == NULL
		? -ENOMEM
		: genonce_create(&c->opened, c->n_conns);
	if (rc == 0)
		rc = keyhash_init(); /* of the stack's flow table */
	if (rc == 0)
		rc = create_stack(c, run, o->seed);
	if (rc != 0) {
		gensay_error(
			"--flows %u: no memory for so many connections: raise --memory, or lower it",
			c->n_conns);
		return rc;
	}
	memset(c->burst, 0, sizeof(*c->burst));
	return 0;
}

void genctcp_fini(struct genctcp *c)
{
	if (c->tcp != NULL) {
		const uint64_t until = rte_rdtsc() + c->run->hz / 2;

		/* the target should not keep them */
		for (uint32_t i = 0; i < c->n_conns && rte_rdtsc() < until; i++) {
			if (c->conns[i].c != NULL)
				tcp_abort(c->conns[i].c);
			if (i % RESETS != 0 && i + 1 < c->n_conns)
				continue;
			tcp_flush(c->tcp, now_us(c));
			do
				genrun_flush(c->run);
			while (c->run->n_out > 0 && rte_rdtsc() < until);
		}
		usleep(TAKEN_US);
	}
	tcp_destroy(&c->tcp);
	free(c->conns);
	free(c->idle);
	free(c->burst);
	genonce_destroy(&c->opened);
	c->conns = NULL;
	c->idle = NULL;
	c->burst = NULL;
}

int genctcp_connect(struct genctcp *c)
{
	const struct genonce_params p = {.rate = OPEN_RATE, .what = "opening connections"};
	uint32_t n_missing;
	int rc;

	begin(c, c->run);
	if (c->is_once)
		return 0;
	memset(c->opened.is_done, 0, (c->n_conns + 63) / 64 * sizeof(*c->opened.is_done));
	for (uint32_t i = 0; i < c->n_conns; i++)
		if (c->conns[i].is_open)
			c->opened.is_done[i / 64] |= 1ull << i % 64;
	c->is_opening = true;
	c->work.group = 1;
	rc = genonce_run(&c->opened, c->run, &p, &n_missing);
	c->is_opening = false;
	c->work.group = c->depth;
	if (rc == -EIO)
		gensay_error(
			"opening connections: %s of %s do not open, tried again and again; does the service "
			"let these clients in, and has the target room for them (--tcp-conns)?",
			gensay_count(n_missing), gensay_count(c->n_conns));
	return rc;
}
