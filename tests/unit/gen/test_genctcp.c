/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's clients over TCP against the dataplane's own TCP in virtual time, with a cache behind it that answers in pieces, and a wire
 * that loses, repeats, delays and changes frames as a seed says. Each request is of its own key, so that an answer for another one is wrong. Every one
 * is answered, once and rightly, unless its connection was broken, and then it is lost.
 */
#include "base/csum.h"
#include "base/keyhash.h"
#include "eal.h"
#include "genctcp.h"
#include "net/parse.h"
#include "tcp/tcp.h"
#include "unit.h"

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <arpa/inet.h>
#include <stdlib.h>

#define N_FRAMES 16384u
#define N_KEYS 5000u
#define CONNS_MAX 512u
#define IN_MAX 16384u
#define OUT_MAX 32768u
#define STEP_US 200u
#define HOUR_US 3600000000ull

struct conf {
	uint32_t seed, n_conns, depth, n_requests;
	double rate; /* requests a second */
	uint32_t value_min, value_max;
	double set_pct;
	bool is_v6, is_once;
	/* of 10000 frames */
	uint32_t loss, dup, corrupt, reorder;
	uint32_t delay_us, jitter_us; /* one way; jitter_us more for those out of order */
	bool no_ts, no_wscale;        /* taken out of the client's SYNs on the way */
	uint32_t mss;                 /* 0: as the server's is */
	uint32_t rcv_max;             /* of the server: small ones close its window */
	uint32_t breaks; /* of 10000 requests: the server resets or closes the connection */
	uint32_t pauses; /* of 10000 requests: it reads no more for a while */
};

struct frame {
	uint64_t at_us, order;
	uint32_t len;
	bool is_to_server;
	uint8_t bytes[1600];
};

/* A connection at the server: what of a request has come, and what of answers is to be written. */
struct service {
	struct tcb *c;
	uint64_t paused_us;
	uint32_t n_in, out_at, n_out;
	uint8_t in[IN_MAX], out[OUT_MAX];
};

static struct rte_mempool *pools[2]; /* the server's, the client's */
static struct {
	const struct conf *conf;
	struct tcp *server;
	struct iface_set ifaces;
	struct burst burst;
	struct genmc mc;
	struct genctcp client;
	struct genrun run;
	struct frame *frames;
	unsigned n_frames;
	struct service *services[CONNS_MAX]; /* those in use first */
	unsigned n_services;
	uint64_t order, rand;
	uint32_t n_ahead_most; /* requests without an answer, of a connection */
} x;

static const struct rte_ether_addr client_mac = {{2, 0, 0, 0, 0, 1}},
				   server_mac = {{2, 0, 0, 0, 0, 2}};
static struct tcp_profile profile;

static void must(bool is_so, const char *what)
{
	if (is_so)
		return;
	fprintf(stderr, "seed %u, %llu us: not %s\n", x.conf->seed, (unsigned long long)x.run.now,
		what);
	abort(); /* what is left of this run would disturb the next */
}

static uint32_t draw(uint32_t n)
{
	x.rand ^= x.rand << 13;
	x.rand ^= x.rand >> 7;
	x.rand ^= x.rand << 17;
	return n == 0 ? 0 : (uint32_t)((x.rand >> 16) % n);
}

/* --- the wire --- */

static uint8_t *tcp_of(uint8_t *bytes, uint32_t *n, uint32_t len)
{
	const uint32_t head = RTE_ETHER_HDR_LEN + (x.conf->is_v6 ? 40 : 20);

	*n = len - head;
	return bytes + head;
}

/* SYNs lose options, or get another MSS. */
static void change(uint8_t *bytes, uint32_t len, bool is_to_server)
{
	uint32_t n;
	uint8_t *l4 = tcp_of(bytes, &n, len), *end = l4 + (l4[12] >> 4) * 4,
		*ip = bytes + RTE_ETHER_HDR_LEN;
	uint16_t sum = 0;

	if (!(l4[13] & RTE_TCP_SYN_FLAG))
		return;
	for (uint8_t *p = l4 + 20; p < end && *p != 0;) {
		const uint32_t n_option = *p == 1 ? 1 : p[1];

		if (*p == 2 && x.conf->mss != 0 && !is_to_server) {
			p[2] = (uint8_t)(x.conf->mss >> 8);
			p[3] = (uint8_t)x.conf->mss;
		}
		if (is_to_server && ((x.conf->no_ts && *p == 8) || (x.conf->no_wscale && *p == 3)))
			memset(p, 1, n_option);
		p += n_option;
	}
	memcpy(l4 + 16, &sum, 2);
	sum = x.conf->is_v6 ? csum_l4(ip + 8, ip + 24, 16, IPPROTO_TCP, l4, n)
			    : csum_l4(ip + 12, ip + 16, 4, IPPROTO_TCP, l4, n);
	memcpy(l4 + 16, &sum, 2);
}

static void put_frame(const uint8_t *bytes, uint32_t len, bool is_to_server)
{
	const uint32_t n = draw(10000) < x.conf->loss ? 0 : draw(10000) < x.conf->dup ? 2 : 1;

	must(len <= 1514, "a frame that fits");
	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = &x.frames[x.n_frames++];

		must(x.n_frames < N_FRAMES, "room on the wire");
		f->at_us = x.run.now + x.conf->delay_us
			+ (draw(10000) < x.conf->reorder ? draw(x.conf->jitter_us) : 0);
		f->order = x.order++;
		f->len = len;
		f->is_to_server = is_to_server;
		memcpy(f->bytes, bytes, len);
		change(f->bytes, len, is_to_server);
		if (draw(10000) < x.conf->corrupt)
			f->bytes[RTE_ETHER_HDR_LEN + draw(len - RTE_ETHER_HDR_LEN)] ^=
				(uint8_t)(1u << draw(8));
	}
}

/* What the client has sent. */
static void take_out(void)
{
	for (unsigned i = 0; i < x.run.n_out; i++) {
		struct rte_mbuf *m = x.run.out[i];

		must(m->nb_segs == 1 && m->data_len == m->pkt_len, "whole");
		put_frame(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, true);
		rte_pktmbuf_free(m);
	}
	x.run.n_out = x.run.out_at = 0;
}

/* Up to n frames that have come to one side, in order. */
static unsigned arrive(bool is_to_server, struct rte_mbuf **m, unsigned n)
{
	unsigned n_m = 0;

	while (n_m < n) {
		struct frame *first = NULL;

		for (unsigned i = 0; i < x.n_frames; i++) {
			struct frame *f = &x.frames[i];

			if (f->is_to_server == is_to_server && f->at_us <= x.run.now
				&& (first == NULL || f->at_us < first->at_us
					|| (f->at_us == first->at_us && f->order < first->order)))
				first = f;
		}
		if (first == NULL)
			break;
		m[n_m] = rte_pktmbuf_alloc(pools[is_to_server ? 0 : 1]);
		must(m[n_m] != NULL, "a buffer");
		memcpy(rte_pktmbuf_append(m[n_m], (uint16_t)first->len), first->bytes, first->len);
		n_m++;
		*first = x.frames[--x.n_frames];
	}
	return n_m;
}

/* --- the cache --- */

static struct service *service_of(struct tcb *c)
{
	return tcp_app(c);
}

/* Writes what it takes of the answers, in pieces of any length. */
static void write_out(struct service *s)
{
	while (s->out_at < s->n_out) {
		const uint32_t left = s->n_out - s->out_at,
			       n = draw(3) == 0 ? 1 + draw(left) : left;
		const uint32_t n_done = tcp_write(s->c, s->out + s->out_at, n);

		s->out_at += n_done;
		if (n_done < n) {
			if (tcp_queued(s->c) > 0)
				tcp_want_room(s->c);
			else
				tcp_again(s->c);
			return;
		}
	}
	s->out_at = s->n_out = 0;
}

/* The answer to the request that the n bytes begin with. Returns its bytes; 0: it is not whole. */
static uint32_t answer(struct service *s, const uint8_t *p, uint32_t n)
{
	uint8_t set[GENMC_REQUEST_MAX + 1];
	struct genmc_request q = {0};
	uint32_t n_set, n_head;
	const uint8_t *eol = memchr(p, '\n', n);
	uint8_t *to = s->out + s->n_out;

	if (eol == NULL)
		return 0;
	must(n >= 20 && memcmp(p + 4, "key:", 4) == 0, "a request");
	q.key = (uint32_t)strtoul((const char *)p + 8, NULL, 10);
	q.is_set = true;
	n_set = (uint32_t)(genmc_write(&x.mc, set, q) - set);
	n_head = (uint32_t)((uint8_t *)memchr(set, '\n', n_set) + 1 - set);
	if (p[0] == 's') {
		if (n < n_set)
			return 0;
		must(memcmp(p, set, n_set) == 0, "the set that was asked for");
		memcpy(to, "STORED\r\n", 8);
		s->n_out += 8;
		return n_set;
	}
	must(memcmp(p, "get ", 4) == 0 && eol - p == 21, "a get");
	to += snprintf(
		(char *)to, 64, "VALUE %.16s 0 %u\r\n", (const char *)p + 4, n_set - n_head - 2);
	memcpy(to, set + n_head, n_set - n_head);
	to += n_set - n_head;
	memcpy(to, "END\r\n", 5);
	s->n_out = (uint32_t)(to + 5 - s->out);
	return 22;
}

static void serve(struct service *s)
{
	const uint8_t *p;
	uint32_t len, n;

	if (s->paused_us > x.run.now) {
		tcp_again(s->c);
		return;
	}
	write_out(s);
	while (s->n_out == 0) {
		uint32_t n_done = 0;

		p = tcp_peek(s->c, &len);
		if (p != NULL) {
			n_done = RTE_MIN(len, IN_MAX - s->n_in);
			memcpy(s->in + s->n_in, p, n_done);
			s->n_in += n_done;
			tcp_consume(s->c, n_done);
		}
		while (s->n_out + GENMC_ANSWER_MAX <= OUT_MAX
			&& (n = answer(s, s->in, s->n_in)) > 0) {
			n_done += n;
			s->n_in -= n;
			memmove(s->in, s->in + n, s->n_in);
			if (draw(10000) < x.conf->breaks) {
				if (draw(2) == 0)
					tcp_abort(s->c);
				else
					tcp_close(s->c);
				return;
			}
			if (draw(10000) < x.conf->pauses)
				s->paused_us = x.run.now + draw(1000000);
		}
		write_out(s);
		if (n_done == 0)
			break;
	}
	if (tcp_is_eof(s->c) && s->n_out == 0) {
		must(s->n_in == 0, "whole requests before the end");
		tcp_close(s->c);
	}
}

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return p->dport == RTE_BE16(11211) ? &profile : NULL;
}

static void on_open(void *ctx, struct tcb *c)
{
	struct service *s = calloc(1, sizeof(*s));

	must(x.n_services < CONNS_MAX, "fewer connections");
	s->c = c;
	tcp_set_app(c, s);
	x.services[x.n_services++] = s;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		serve(service_of(c[i]));
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct service *s = service_of(c);

	for (unsigned i = 0; i < x.n_services; i++)
		if (x.services[i] == s)
			x.services[i] = x.services[--x.n_services];
	free(s);
}

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	put_frame(rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, false);
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* --- time goes on --- */

static void step(uint64_t us)
{
	struct rte_mbuf *m[BURST_MAX];
	struct genwork_seen seen = {0};
	uint8_t sel[BURST_MAX];
	unsigned n, n_sel = 0;

	x.run.now += us;
	n = arrive(true, x.burst.m, BURST_MAX);
	x.burst.n = (uint16_t)n;
	parse_burst(&x.burst, &server_mac, 0);
	for (unsigned i = 0; i < n; i++)
		if (x.burst.p[i].verdict == PKT_UNSEEN && x.burst.p[i].proto == IPPROTO_TCP
			&& !(x.burst.p[i].flags & PKT_F_FRAGMENT))
			sel[n_sel++] = (uint8_t)i;
	tcp_input(x.server, &x.burst, sel, n_sel, x.run.now);
	for (unsigned i = 0; i < n; i++)
		if (x.burst.p[i].verdict != PKT_GONE)
			rte_pktmbuf_free(x.burst.m[i]);
	tcp_poll(x.server, x.run.now);

	n = arrive(false, m, BURST_MAX);
	x.client.work.input(x.client.work.ctx, &x.run, m, n, &seen);
	must(x.conf->corrupt > 0 || seen.taken == (n == 64 ? UINT64_MAX : (1ull << n) - 1),
		"all taken");
	rte_pktmbuf_free_bulk(m, n);
	x.client.work.poll(x.client.work.ctx, &x.run);
	take_out();
	for (uint32_t i = 0; i < x.client.n_conns; i++) {
		const struct gentcp_conn *k = &x.client.tcp.conns[i];

		x.n_ahead_most = RTE_MAX(x.n_ahead_most, k->n_sent - k->n_answered);
		must(k->n_sent - k->n_answered <= k->n_due - k->n_answered
				&& k->n_sent - k->n_answered <= x.client.n_ahead,
			"counts in order");
		must(k->snd_nxt - k->snd_una <= 1u << 20, "G1");
	}
}

static struct genopt_net net_of(const char *ip, uint8_t len)
{
	struct genopt_net n = {.len = len};

	n.family = strchr(ip, ':') != NULL ? 6 : 4;
	assert_int_equal(inet_pton(n.family == 4 ? AF_INET : AF_INET6, ip, n.ip), 1);
	return n;
}

static void up(const struct conf *conf)
{
	const struct genopt_net client =
		net_of(conf->is_v6 ? "fd00::100" : "10.0.1.0", conf->is_v6 ? 124 : 28);
	const struct genopt_net target =
		net_of(conf->is_v6 ? "fd00::2" : "10.0.0.2", conf->is_v6 ? 128 : 32);
	const struct genframe_params frame = {.client = &client,
		.target = &target,
		.target_port = 11211,
		.proto = IPPROTO_TCP,
		.src_mac = client_mac,
		.dst_mac = server_mac};
	const struct genopt o = {.n_keys = N_KEYS,
		.value_min = conf->value_min,
		.value_max = conf->value_max,
		.set_pct = conf->set_pct,
		.seed = conf->seed,
		.n_flows = conf->n_conns,
		.depth = conf->depth,
		.is_once = conf->is_once};
	const struct tcp_params p = {.n_conns = CONNS_MAX,
		.n_syns = 64,
		.n_time_waits = 64,
		.n_bufs = 4096,
		.pool = pools[0],
		.ifaces = &x.ifaces,
		.ops = &ops,
		.secret = {conf->seed, 2, 3, 4},
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};

	memset(&x, 0, sizeof(x));
	x.conf = conf;
	x.rand = conf->seed * 0x9e3779b97f4a7c15ull + 1;
	x.frames = calloc(N_FRAMES, sizeof(*x.frames));
	x.ifaces.n = 1;
	x.ifaces.of[0].mac = server_mac;
	x.ifaces.of[0].mtu_bytes = 1500;
	profile = (struct tcp_profile){
		.rcv_max = conf->rcv_max, .idle_ms = 3600000, .user_timeout_ms = 3600000};
	assert_int_equal(tcp_create(&x.server, &p), 0);
	assert_int_equal(genmc_init(&x.mc, &o, 0, NULL), 0);
	x.run = (struct genrun){.pool = pools[1]};
	x.run.hz = 1000000; /* a cycle is a microsecond */
	assert_int_equal(genrun_init(&x.run), 0);
	x.run.now = 1000000;
	assert_int_equal(genctcp_init(&x.client, &x.mc, &o, &frame, &x.run), 0);
}

static void down(void)
{
	tcp_destroy(&x.server);
	while (x.n_services > 0)
		free(x.services[--x.n_services]);
	gentcp_fini(&x.client.tcp);
	x.client.tcp.conns = NULL; /* no resets to a port */
	genctcp_fini(&x.client);
	genmc_fini(&x.mc);
	genrun_fini(&x.run);
	free(x.frames);
	assert_int_equal(rte_mempool_in_use_count(pools[0]), 0);
	assert_int_equal(rte_mempool_in_use_count(pools[1]), 0);
}

/* A trial of so many requests, as genrun.h makes one. */
static void begin_trial(uint64_t n, double rate)
{
	memset(&x.run.counts, 0, sizeof(x.run.counts));
	memset(x.run.seen, 0, GENRUN_WINDOW / 8);
	x.run.deadline_cyc = UINT64_MAX;
	x.run.first = x.run.first_counted = x.run.next = RTE_MAX(x.run.next, 1u);
	x.run.end = x.run.first + n;
	genhist_init(&x.run.latency_ns);
	genpace_init(&x.run.pace, x.run.now, x.run.hz, rate);
	x.run.pace.group = x.client.work.group;
	x.client.work.begin(x.client.work.ctx, &x.run);
	take_out();
}

/* Sends what is due. */
static void submit_due(void)
{
	const uint64_t left = x.run.end - x.run.next, first = x.run.next;
	const unsigned n = left == 0 ? 0
				     : genpace_count(&x.run.pace, first - x.run.first, x.run.now,
					     (unsigned)RTE_MIN(left, 1 + draw(32)));

	if (n == 0)
		return;
	x.run.next += n;
	x.client.work.submit(x.client.work.ctx, &x.run, n, first);
	take_out();
}

/* Requests that will have no answer any more. */
static uint64_t n_given_up(void)
{
	return x.run.end - x.run.first - x.run.counts.received;
}

static bool is_quiet(void)
{
	bool is_so = x.run.next == x.run.end && x.n_frames == 0;

	for (uint32_t i = 0; i < x.client.n_conns; i++) {
		const struct gentcp_conn *k = &x.client.tcp.conns[i];

		if (x.conf->is_once)
			is_so &= k->state == GENTCP_CLOSED;
		else
			is_so &= k->state == GENTCP_CLOSED
				|| (k->state == GENTCP_OPEN && k->n_answered == k->n_due
					&& k->snd_una == k->snd_nxt && k->rcv_acked == k->rcv_nxt);
	}
	return is_so;
}

static void run_trial(void)
{
	const uint64_t begin_us = x.run.now;

	begin_trial(x.conf->n_requests, x.conf->rate);
	while (!is_quiet()) {
		submit_due();
		step(x.run.next == x.run.end && x.n_frames == 0 ? 5000 : STEP_US);
		must(x.run.now - begin_us < HOUR_US, "an end");
	}
}

/* Two trials; what they have in common. */
static void play(const struct conf *conf)
{
	up(conf);
	for (unsigned i = 0; i < 2; i++) {
		const struct genrun_counts *c = &x.run.counts;
		const struct gentcp_stats *s = &x.client.tcp.stats;

		memset(&x.mc.counts, 0, sizeof(x.mc.counts));
		run_trial();
		must(x.mc.counts.wrong == 0, "right answers");
		must(x.mc.counts.refused == 0 && x.mc.counts.misses == 0, "hits");
		must(c->duplicates == 0 && c->overdue == 0, "each answered once");
		must(x.mc.counts.hits + x.mc.counts.stored == c->received, "all counted");
		if (conf->breaks == 0)
			must(n_given_up() == c->no_room, "all answered");
		else
			must(n_given_up() > 0 && s->resets + s->closed > 0,
				"some lost, as connections were");
		must(conf->rcv_max < 1u << 20 || x.n_ahead_most == x.client.n_ahead,
			"all places taken");
		must(s->bad_header == 0 || conf->corrupt > 0, "right segments");
		if (conf->loss == 0 && conf->dup == 0 && conf->corrupt == 0 && conf->reorder == 0
			&& conf->breaks == 0) {
			must(s->strays == 0 && s->unacceptable == 0 && s->duplicates == 0
					&& s->out_of_order == 0 && s->bad_checksum == 0,
				"nothing unusual");
			must(conf->pauses > 0 || s->retransmits == 0, "nothing sent again");
		}
		if (conf->loss >= 100)
			must(s->retransmits > 0, "something sent again");
		if (conf->reorder >= 100)
			must(s->out_of_order > 0, "something out of order");
		if (conf->corrupt >= 100)
			must(s->bad_checksum > 0, "checksums looked at");
	}
	down();
}

/* --- tests --- */

static const struct conf plain = {.n_conns = 20,
	.depth = 1,
	.n_requests = 4000,
	.rate = 40000,
	.value_min = 32,
	.value_max = 32,
	.delay_us = 100};

static void every_request_is_answered(void **state)
{
	struct conf c = plain;

	(void)state;
	for (uint32_t seed = 1; seed <= 4; seed++) {
		c.seed = seed;
		c.is_v6 = seed % 2;
		c.depth = seed == 4 ? 16 : seed;
		play(&c);
	}
	c = plain; /* one connection, faster than the answers come back */
	c.n_conns = 1;
	c.delay_us = 5000;
	play(&c);
	c.no_ts = true;
	play(&c);
	c.no_wscale = true;
	play(&c);
	c = plain; /* so slow that acknowledgements do not wait for the next request */
	c.depth = 16;
	c.rate = 500;
	c.n_requests = 1000;
	play(&c);
	c = plain; /* as many on the way as there may be */
	c.n_conns = 1;
	c.rate = 400000;
	c.n_requests = 20000;
	c.delay_us = 20000;
	c.rcv_max = 1u << 20;
	play(&c);
}

static void values_of_any_length_and_sets(void **state)
{
	struct conf c = plain;

	(void)state;
	c.value_min = 0;
	c.value_max = 1300;
	c.set_pct = 40;
	for (uint32_t seed = 1; seed <= 4; seed++) {
		c.seed = seed;
		c.is_v6 = seed % 2;
		c.depth = 1 + seed * 5;
		c.n_conns = 1 + seed * 3;
		play(&c);
	}
	c.value_min = c.value_max = 1300;
	c.set_pct = 100;
	play(&c);
}

static void small_segments_and_windows(void **state)
{
	struct conf c = plain;

	(void)state;
	c.value_max = 1300;
	c.set_pct = 60;
	c.depth = 8;
	c.mss = 200;
	c.seed = 7;
	play(&c);
	c.rcv_max = 4096;
	play(&c);
	c.mss = 0;
	play(&c);
	c.pauses = 20;
	c.n_requests = 2000;
	play(&c);
	c.is_v6 = c.no_ts = true;
	c.mss = 100;
	play(&c);
}

static void what_the_wire_loses_is_sent_again(void **state)
{
	struct conf c = plain;

	(void)state;
	c.value_max = 700;
	c.set_pct = 30;
	c.n_requests = 2500;
	for (uint32_t seed = 1; seed <= 12; seed++) {
		c.seed = seed;
		c.is_v6 = seed % 2;
		c.depth = 1 + seed % 5 * 4;
		c.no_ts = seed % 4 == 3;
		c.loss = seed % 3 == 0 ? 1000 : 200;
		c.dup = 200;
		c.reorder = 300;
		c.jitter_us = 3000;
		c.corrupt = 200;
		play(&c);
	}
}

static void connections_that_break_lose_their_requests(void **state)
{
	struct conf c = plain;

	(void)state;
	c.breaks = 60;
	c.value_max = 700;
	c.set_pct = 30;
	for (uint32_t seed = 1; seed <= 6; seed++) {
		c.seed = seed;
		c.depth = seed == 1 ? 1 : seed * 2;
		c.loss = seed % 2 ? 0 : 150;
		play(&c);
	}
}

static void a_connection_for_each_request(void **state)
{
	struct conf c = plain;

	(void)state;
	c.is_once = true;
	c.n_conns = 200;
	c.rate = 100000;
	c.value_max = 1300;
	c.set_pct = 20;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		c.seed = seed;
		c.is_v6 = seed % 2;
		c.loss = seed > 2 ? 150 : 0;
		c.reorder = seed > 4 ? 200 : 0;
		c.jitter_us = 2000;
		c.corrupt = seed > 4 ? 150 : 0;
		c.rate = seed > 2 ? 5000 : 100000;
		play(&c);
	}
	c = plain;
	c.is_once = true;
	c.n_conns = 3; /* more are asked for than there are */
	c.n_requests = 500;
	play(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_is_answered),
		cmocka_unit_test(values_of_any_length_and_sets),
		cmocka_unit_test(small_segments_and_windows),
		cmocka_unit_test(what_the_wire_loses_is_sent_again),
		cmocka_unit_test(connections_that_break_lose_their_requests),
		cmocka_unit_test(a_connection_for_each_request),
	};

	(void)argc;
	if (eal_start(argv[0], 256) != 0)
		return 1;
	keyhash_init_seed(1);
	for (unsigned i = 0; i < 2; i++)
		pools[i] = rte_pktmbuf_pool_create(i ? "client" : "server", 8191, 0,
			BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pools[0] == NULL || pools[1] == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
