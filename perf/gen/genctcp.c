/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * genctcp — see genctcp.h.
 *
 * Which request an answer is for: request number first + k is the one number k mod depth of batch k / depth, and batches go round the
 * connections. So the s-th answer on connection i is that of k = (s / depth * n_conns + i) * depth + s mod depth.
 */
#include "genctcp.h"

#include "gensay.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define OPEN_RATE 20000.0 /* connections a second */
#define RESETS 32u        /* at a time, at the end */
#define TAKEN_US 20000u   /* in which the target reads the last of them, before the link goes */
#define AHEAD_ALL \
	(1u << 18) /* requests that are remembered, unless there are more connections or they are deeper */
#define AHEAD_MAX 4096u
#define AHEAD_MIN 16u

static inline uint64_t number_of(const struct genctcp *c, uint32_t i, uint32_t s)
{
	if (c->is_once)
		return c->open_number[i];
	if (c->depth == 1) /* opt: divisions are what the rest is made of */
		return c->run->first + (uint64_t)s * c->n_conns + i;
	return c->run->first + (s / c->depth * (uint64_t)c->n_conns + i) * c->depth + s % c->depth;
}

static inline uint32_t *asked_of(const struct genctcp *c, uint32_t i, uint32_t s)
{
	return &c->asked[(size_t)i * c->n_ahead + (s & (c->n_ahead - 1))];
}

/* --- what gentcp calls --- */

static uint8_t *write_request(void *ctx, uint32_t i, uint32_t s, uint8_t *to)
{
	const struct genctcp *c = ctx;
	const struct genmc_request q = genmc_recall(c->mc, number_of(c, i, s), c->next_drawn);

	/* one that is written again may have been answered, and its place be another's */
	if (s - c->tcp.conns[i].n_answered < c->n_ahead)
		*asked_of(c, i, s) = q.key << 1 | q.is_set;
	return genmc_write(c->mc, to, q);
}

/* Whole answers at the beginning of the bytes are counted. Returns how many bytes they were; UINT32_MAX: something else came. */
static inline uint32_t eat(struct genctcp *c, uint32_t i, const uint8_t *p, uint32_t len)
{
	struct gentcp_conn *k = &c->tcp.conns[i];
	uint32_t at = 0;

	while (at < len) {
		const uint64_t number = number_of(c, i, k->n_answered);
		const uint32_t asked = *asked_of(c, i, k->n_answered);
		const struct genmc_request q = {.key = asked >> 1, .is_set = asked & 1};
		enum genmc_answer a = GENMC_WRONG;
		uint32_t n_used = 0;

		if (k->n_answered != k->n_sent)
			a = genmc_judge(c->mc, p + at, len - at, q, &n_used);
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

/* Of an answer that is in several segments. False: something else came. */
static __rte_noinline bool eat_pieces(struct genctcp *c, uint32_t i, const uint8_t *p, uint32_t len)
{
	struct gentcp_conn *k = &c->tcp.conns[i];
	uint8_t *partial = c->partial + (size_t)i * GENMC_ANSWER_MAX;

	while (len > 0) {
		const uint32_t room = GENMC_ANSWER_MAX - k->n_partial;
		const uint32_t n_more = len < room ? len : room;
		uint32_t n;

		memcpy(partial + k->n_partial, p, n_more);
		k->n_partial = (uint16_t)(k->n_partial + n_more);
		p += n_more;
		len -= n_more;
		n = eat(c, i, partial, k->n_partial);
		if (n == UINT32_MAX || (n == 0 && k->n_partial == GENMC_ANSWER_MAX))
			return false; /* an answer is not longer */
		k->n_partial = (uint16_t)(k->n_partial - n);
		memmove(partial, partial + n, k->n_partial);
	}
	return true;
}

static bool read_answers(void *ctx, uint32_t i, const uint8_t *p, uint32_t len)
{
	struct genctcp *c = ctx;
	struct gentcp_conn *k = &c->tcp.conns[i];
	uint32_t n = k->n_partial == 0 ? eat(c, i, p, len) : 0;

	if (n == UINT32_MAX || (n < len && !eat_pieces(c, i, p + n, len - n)))
		return false;
	if (c->is_once && k->n_answered == k->n_due && k->state == GENTCP_OPEN)
		gentcp_close(&c->tcp, i);
	return true;
}

static void on_open(void *ctx, uint32_t i)
{
	struct genctcp *c = ctx;

	if (c->is_opening && genrun_answered(c->run, c->open_number[i], 0))
		genonce_answered(&c->opened, c->open_number[i]);
}

static void on_end(void *ctx, uint32_t i, enum gentcp_why why)
{
	struct genctcp *c = ctx;

	if (c->is_once)
		c->idle[(c->idle_at + c->n_idle++) % c->n_conns] = i;
}

static void on_output(void *ctx, struct rte_mbuf *m)
{
	struct genctcp *c = ctx;

	genrun_send(c->run, m);
}

static const struct gentcp_ops ops = {write_request, on_open, read_answers, on_end, on_output};

/* --- what the loop calls --- */

static inline void tell_time(struct genctcp *c, const struct genrun *r)
{
	const uint64_t now_us = (uint64_t)((double)r->now * r->ns_per_cyc / 1000);

	/* what was handed over came in before what has been looked at since */
	gentcp_at(&c->tcp, RTE_MAX(now_us, c->tcp.now_us));
}

static void submit_open(struct genctcp *c, uint64_t number)
{
	const uint32_t i = genonce_of(&c->opened, number);

	c->open_number[i] = number;
	if (c->tcp.conns[i].state == GENTCP_CLOSED)
		gentcp_open(&c->tcp, i);
	else if (c->tcp.conns[i].state == GENTCP_OPEN
		&& genrun_answered(c->run, number, 0)) /* after the last pass had ended */
		genonce_answered(&c->opened, number);
}

/* A request with a connection of its own. */
static void submit_once(struct genctcp *c, uint64_t number)
{
	struct gentcp_conn *k;
	uint32_t i;

	if (c->n_idle == 0) {
		if (number >= c->run->first_counted)
			c->run->counts.no_room++;
		return;
	}
	i = c->idle[c->idle_at];
	c->idle_at = c->idle_at + 1 < c->n_conns ? c->idle_at + 1 : 0;
	c->n_idle--;
	k = &c->tcp.conns[i];
	c->open_number[i] = number;
	k->n_due = 1;
	k->n_sent = 0;
	gentcp_open(&c->tcp, i);
}

/* A request on the connection whose turn it is. */
static inline void submit_next(struct genctcp *c, bool is_last)
{
	const uint32_t i = c->next_conn;
	struct gentcp_conn *k = &c->tcp.conns[i];

	k->n_due++;
	if (unlikely(k->state == GENTCP_CLOSED)) /* it broke */
		gentcp_open(&c->tcp, i);
	if (++c->next_place == c->depth) {
		c->next_place = 0;
		c->next_conn = i + 1 < c->n_conns ? i + 1 : 0;
		is_last = true;
	}
	if (is_last) /* opt: a batch is written at once, when its last request is due */
		gentcp_send(&c->tcp, i);
}

static void submit(void *ctx, struct genrun *r, unsigned n, uint64_t first)
{
	struct genctcp *c = ctx;
	struct genmc_request q[GENRUN_BURST_MAX];

	tell_time(c, r);
	if (!c->is_opening) {
		genmc_of_bulk(c->mc, first, n, q); /* opt: and asks for the next ones' cells */
		c->next_drawn = first + n;
	}
	for (unsigned i = 0; i < n; i++) {
		if (c->is_opening)
			submit_open(c, first + i);
		else if (c->is_once)
			submit_once(c, first + i);
		else
			submit_next(c, i + 1 == n);
	}
}

static void run_timers(void *ctx, struct genrun *r)
{
	struct genctcp *c = ctx;

	tell_time(c, r);
	gentcp_poll(&c->tcp);
}

static void input(void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n,
	struct genwork_seen *seen)
{
	struct genctcp *c = ctx;
	uint64_t n_bytes = 0;

	tell_time(c, r);
	seen->taken = gentcp_input(&c->tcp, m, n);
	if (r->next <= r->first_counted)
		return;
	for (unsigned i = 0; i < n; i++)
		if (seen->taken & 1ull << i)
			n_bytes += m[i]->pkt_len + GENFRAME_FCS;
	r->counts.received_bytes += n_bytes;
}

/* Resets those of the connections that are not fit for a trial, or all. In steps that the link takes: the target still has one whose reset was
 * lost, and answers its next SYN with an acknowledgement, as often in a second as RFC 5961 has it. */
static void reset(struct genctcp *c, bool (*is_fit)(const struct gentcp_conn *k))
{
	const uint64_t until = rte_rdtsc() + c->run->hz / 2;
	unsigned n = 0;

	for (uint32_t i = 0; i < c->n_conns; i++) {
		if (is_fit != NULL && is_fit(&c->tcp.conns[i]))
			continue;
		gentcp_abort(&c->tcp, i);
		if (++n % RESETS != 0 && i + 1 < c->n_conns)
			continue;
		do
			genrun_flush(c->run);
		while (c->run->n_out > 0 && rte_rdtsc() < until);
	}
}

/* No request is on its way. One that is still opening would try again later and later. */
static bool is_idle(const struct gentcp_conn *k)
{
	return k->state == GENTCP_OPEN && k->snd_una == k->snd_nxt && k->n_answered == k->n_due
		&& k->n_partial == 0;
}

static void begin(void *ctx, struct genrun *r)
{
	struct genctcp *c = ctx;

	reset(c, is_idle);
	for (uint32_t i = 0; i < c->n_conns; i++) {
		struct gentcp_conn *k = &c->tcp.conns[i];

		k->n_due = k->n_sent = k->n_answered = k->n_partial = 0;
	}
	c->next_conn = c->next_place = 0;
	memset(&c->tcp.stats, 0, sizeof(c->tcp.stats));
}

/* --- set-up --- */

uint32_t genctcp_buffers(void)
{
	return GENRUN_OUT_MAX + GENTCP_STOCK;
}

static uint32_t ahead_of(uint32_t n_conns, uint32_t depth)
{
	const uint32_t most = RTE_MIN(AHEAD_ALL / n_conns, AHEAD_MAX);

	return rte_align32pow2(RTE_MAX(RTE_MAX(most, AHEAD_MIN), 2 * depth));
}

static int init_conns(struct genctcp *c, const struct genframe_params *p, uint32_t seed)
{
	const struct gentcp_params t = {.frame = p,
		.n_conns = c->n_conns,
		.request_max = 64 + c->mc->value_min + c->mc->value_span,
		.ahead_max = c->n_ahead,
		.is_cycling =
			true, /* the target may still have one whose reset it did not believe */
		.seed = seed,
		.pool = c->run->pool,
		.ops = &ops,
		.ctx = c};

	return gentcp_init(&c->tcp, &t);
}

static int owner(const void *ctx, const struct rte_mbuf *m)
{
	const struct genctcp *c = ctx;
	struct genframe_seen s;

	if (m->nb_segs != 1 || !genframe_read(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, &s))
		return -1;
	return genframe_slice_of(&c->tcp.frame, &s);
}

int genctcp_init(struct genctcp *c, struct genmc *mc, const struct genopt *o,
	const struct genframe_params *p, struct genrun *run)
{
	const uint32_t n_threads = genopt_threads(o);
	const uint32_t n_conns = o->n_flows / n_threads + (p->slice < o->n_flows % n_threads);
	int rc;

	*c = (struct genctcp){.mc = mc,
		.run = run,
		.n_conns = n_conns,
		.depth = o->depth,
		.is_once = o->is_once,
		.n_ahead = ahead_of(o->n_flows, o->depth),
		.work = {.submit = submit,
			.poll = run_timers,
			.input = input,
			.begin = begin,
			.owner = owner,
			.group = o->depth}};
	c->work.ctx = c;
	c->asked = calloc((size_t)c->n_conns * c->n_ahead, sizeof(*c->asked));
	c->partial = calloc(c->n_conns, GENMC_ANSWER_MAX);
	c->open_number = calloc(c->n_conns, sizeof(*c->open_number));
	c->idle = calloc(c->n_conns, sizeof(*c->idle));
	while (c->idle != NULL && c->n_idle < c->n_conns) {
		c->idle[c->n_idle] = c->n_idle;
		c->n_idle++;
	}
	rc = c->asked == NULL || c->partial == NULL || c->open_number == NULL || c->idle == NULL
		? -ENOMEM
		: genonce_create(&c->opened, c->n_conns, 0, 1);
	if (rc == 0)
		rc = init_conns(c, p, o->seed + p->slice);
	if (rc == -EINVAL)
		gensay_error(
			"--flows %u: the addresses of --client make %s connections; give a larger network",
			o->n_flows,
			gensay_count((double)genframe_flows_max(&c->tcp.frame) * n_threads));
	else if (rc != 0)
		gensay_error("--flows %u: no memory for so many connections: lower it", o->n_flows);
	return rc;
}

void genctcp_fini(struct genctcp *c)
{
	if (c->tcp.conns != NULL) { /* the target should not keep them */
		reset(c, NULL);
		usleep(TAKEN_US);
	}
	gentcp_fini(&c->tcp);
	free(c->asked);
	free(c->partial);
	free(c->open_number);
	free(c->idle);
	genonce_destroy(&c->opened);
	c->asked = c->idle = NULL;
	c->partial = NULL;
	c->open_number = NULL;
}

/* Makes it ready to open its connections. */
static void begin_opening(struct genctcp *c)
{
	memset(c->opened.is_done, 0, (c->n_conns + 63) / 64 * sizeof(*c->opened.is_done));
	for (uint32_t i = 0; i < c->n_conns; i++)
		if (c->tcp.conns[i].state == GENTCP_OPEN)
			c->opened.is_done[i / 64] |= 1ull << i % 64;
	c->is_opening = true;
	c->work.group = 1;
}

int genctcp_connect(struct genctcp *const *c, struct genrun *r)
{
	const struct genonce_params p = {.rate = OPEN_RATE, .what = "opening connections"};
	const unsigned n_threads = genrun_threads(r);
	struct genonce *opened[GENTEAM_MAX] = {NULL};
	uint32_t n_missing, n_conns = 0;
	int rc;

	for (unsigned i = 0; i < n_threads; i++) {
		begin(c[i], c[i]->run);
		opened[i] = &c[i]->opened;
		n_conns += c[i]->n_conns;
		if (!c[i]->is_once)
			begin_opening(c[i]);
	}
	if (c[0]->is_once)
		return 0;
	rc = genonce_run(opened, r, &p, &n_missing);
	for (unsigned i = 0; i < n_threads; i++) {
		c[i]->is_opening = false;
		c[i]->work.group = c[i]->depth;
	}
	if (rc == -EIO)
		gensay_error(
			"opening connections: %s of %s do not open, tried again and again; does the service "
			"let these clients in, and has the target room for them (--tcp-conns)?",
			gensay_count(n_missing), gensay_count(n_conns));
	return rc;
}
