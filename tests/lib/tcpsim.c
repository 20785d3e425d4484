/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpsim — see tcpsim.h. */
#include "tcpsim.h"

#include "base/csum.h"
#include "net/parse.h"
#include "txdevice.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_tcp.h>

#include <stdio.h>
#include <stdlib.h>

#define N_POOL 8191u
#define N_FRAMES 16384u
#define FIRST_PORT 20000u
#define LIMIT_US 7200000000ull
#define STARVED_US 1000u

/* A frame on the wire: its bytes as they were given, and the mbuf while its driver has it. */
struct frame {
	uint64_t at_us, order;
	uint8_t *bytes;
	uint32_t len;
	uint8_t to;
};

struct held {
	uint64_t until_us;
	struct rte_mbuf *m;
	uint8_t *bytes; /* what it has to be still */
	uint32_t len;
};

/* One end of a connection. */
struct end {
	struct tcb *c;
	struct sim *sim;
	uint8_t host;
	uint16_t conn;
	uint64_t to_send, sent, received, expected;
	bool is_open, is_eof, is_closed, has_closed; /* is_closed: tcp_close() was called */
};

/* What was written by reference: a copy of its own, which is spoilt when the last has gone. */
struct ref {
	struct rte_mbuf_ext_shared_info shared;
	struct sim *sim;
	uint32_t len;
	uint8_t bytes[];
};

struct sim {
	const struct sim_conf *conf;
	struct tcp *t[2];
	struct burst *b;
	struct frame *frames;
	unsigned n_frames;
	struct held *held;
	unsigned n_held;
	uint64_t order, begin_us, now_us, rand;
	struct iface_set ifaces[2];
	uint64_t free_us[2]; /* when the port has sent what it has */
	uint32_t blocked[2]; /* what the stack sees */
	uint64_t n_full;
	struct end ends[2][SIM_CONNS_MAX];
	enum sim_mode modes[SIM_CONNS_MAX];
	unsigned n_opened[2], n_closed[2];
	unsigned n_refs; /* not given back */
	bool has_starved;
	uint64_t ref_bytes;
};

struct host_ctx {
	struct sim *sim;
	uint8_t host;
};

static struct host_ctx ctxs[2];
static struct rte_mempool *pools[2]; /* of all runs: making them takes longer than some runs */
static struct tcp_profile profile;

#define CHECK(sim, what) check_that(sim, what, #what, __LINE__)

static void check_that(const struct sim *s, bool is_so, const char *what, int line)
{
	if (is_so)
		return;
	fprintf(stderr, "tcpsim: seed %llu, %llu us, line %d: not %s\n",
		(unsigned long long)s->conf->seed, (unsigned long long)s->now_us, line, what);
	abort(); /* what is left of this run would disturb the next */
}

static uint32_t draw(struct sim *s, uint32_t n)
{
	s->rand ^= s->rand << 13;
	s->rand ^= s->rand >> 7;
	s->rand ^= s->rand << 17;
	return n == 0 ? 0 : (uint32_t)((s->rand >> 16) % n);
}

/* What streams are made of: the same random bytes over and over, each stream from another place on. */
#define PATTERN 65521u
#define BLOCK 16384u

static uint8_t pattern[PATTERN + BLOCK];

static void make_pattern(void)
{
	struct sim s = {.rand = 1};

	for (uint32_t i = 0; i < PATTERN; i++)
		pattern[i] = (uint8_t)draw(&s, 256);
	memcpy(pattern + PATTERN, pattern, BLOCK);
}

/* The stream's bytes from there on, BLOCK of them. */
static const uint8_t *bytes_of(unsigned conn, unsigned from_host, uint64_t at)
{
	return &pattern[(at + conn * 1009 + from_host * 32003) % PATTERN];
}

static void put_frame(struct sim *s, const uint8_t *bytes, uint32_t len, uint8_t to, uint64_t at_us)
{
	struct frame *f = &s->frames[s->n_frames++];

	CHECK(s, s->n_frames < N_FRAMES);
	*f = (struct frame){at_us, s->order++, malloc(len), len, to};
	memcpy(f->bytes, bytes, len);
}

static void take_out_options(const struct sim *s, struct rte_tcp_hdr *h)
{
	uint8_t *p = (uint8_t *)(h + 1), *end = (uint8_t *)h + (h->data_off >> 4) * 4;

	while (p < end && *p != 0) {
		const uint32_t len = *p == 1 ? 1 : p[1];

		if ((s->conf->no_ts && *p == 8) || (s->conf->no_sack && *p == 4)
			|| (s->conf->no_wscale && *p == 3))
			memset(p, 1, len);
		p += len;
	}
}

/* What the wire does to a frame before it is delivered: SYNs lose options. */
static void change(const struct sim *s, uint8_t *bytes, uint32_t len)
{
	const bool is_v6 = s->conf->is_v6;
	uint8_t *ip = bytes + RTE_ETHER_HDR_LEN;
	struct rte_tcp_hdr *h = (struct rte_tcp_hdr *)(void *)(ip + (is_v6 ? 40 : 20));
	const uint32_t n = len - RTE_ETHER_HDR_LEN - (is_v6 ? 40 : 20);

	if (!(h->tcp_flags & RTE_TCP_SYN_FLAG))
		return;
	take_out_options(s, h);
	h->cksum = 0;
	h->cksum = is_v6 ? csum_l4(ip + 8, ip + 24, 16, IPPROTO_TCP, h, n)
			 : csum_l4(ip + 12, ip + 16, 4, IPPROTO_TCP, h, n);
}

/* The router's answer to a packet that is too long for what lies behind it. */
static void refuse(struct sim *s, uint8_t to, const uint8_t *bytes)
{
	const bool is_v6 = s->conf->is_v6;
	const uint32_t n_ip = is_v6 ? 40 : 20, n = 8 + n_ip + 8;
	uint8_t frame[RTE_ETHER_HDR_LEN + 40 + 8 + 40 + 8] = {0};
	const uint8_t *ip = bytes + RTE_ETHER_HDR_LEN;
	uint8_t *outer = frame + RTE_ETHER_HDR_LEN, *icmp = outer + n_ip;
	struct rte_ipv4_hdr *v4 = (void *)outer;
	struct rte_ipv6_hdr *v6 = (void *)outer;
	uint16_t sum;

	memcpy(frame, s->ifaces[to].of[0].mac.addr_bytes, 6);
	memcpy(frame + 6, s->ifaces[to ^ 1].of[0].mac.addr_bytes, 6);
	memcpy(frame + 12, bytes + 12, 2 + n_ip);
	icmp[0] = is_v6 ? 2 : 3;
	icmp[1] = is_v6 ? 0 : 4;
	icmp[6] = (uint8_t)(s->conf->path_mtu >> 8);
	icmp[7] = (uint8_t)s->conf->path_mtu;
	memcpy(icmp + 8, ip, n_ip + 8);
	if (is_v6) {
		v6->proto = IPPROTO_ICMPV6;
		v6->payload_len = rte_cpu_to_be_16((uint16_t)n);
		memcpy(v6->dst_addr, ip + 8, 16);
		memcpy(v6->src_addr, ip + 24, 16);
		sum = csum_l4(v6->src_addr, v6->dst_addr, 16, IPPROTO_ICMPV6, icmp, n);
	} else {
		v4->next_proto_id = IPPROTO_ICMP;
		v4->total_length = rte_cpu_to_be_16((uint16_t)(n_ip + n));
		memcpy(&v4->dst_addr, ip + 12, 4);
		memcpy(&v4->src_addr, ip + 16, 4);
		v4->hdr_checksum = 0;
		v4->hdr_checksum = csum_of(v4, n_ip);
		sum = csum_of(icmp, n);
	}
	memcpy(icmp + 2, &sum, 2);
	put_frame(s, frame, RTE_ETHER_HDR_LEN + n_ip + n, to, s->now_us + s->conf->delay_us);
}

static void copy_out(const struct rte_mbuf *m, uint8_t *to)
{
	for (; m != NULL; m = m->next) {
		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		to += m->data_len;
	}
}

/* When the port will have no more frames than it has room for. */
static uint64_t room_us(const struct sim *s, uint8_t host)
{
	const uint64_t full_us = (uint64_t)s->conf->room * s->conf->frame_us;

	return s->free_us[host] > full_us ? s->free_us[host] - full_us : 0;
}

/* When a frame leaves that is given to the port; false: there is no room for it. */
static bool leave(struct sim *s, uint8_t host, uint64_t *at_us)
{
	if (s->conf->frame_us > 0
		&& room_us(s, host) >= s->now_us + (uint64_t)s->conf->room * s->conf->frame_us) {
		s->n_full++;
		return false;
	}
	*at_us = s->free_us[host] = RTE_MAX(s->now_us, s->free_us[host]) + s->conf->frame_us;
	return true;
}

static void tell_room(struct sim *s, uint8_t host)
{
	s->blocked[host] =
		s->conf->frame_us > 0 && !s->conf->is_unheard && room_us(s, host) > s->now_us;
}

/* What the device makes of a mbuf, one frame. */
static void on_frame(void *ctx, const uint8_t *frame, uint32_t len)
{
	const struct host_ctx *host = ctx;
	struct sim *s = host->sim;
	const struct sim_conf *conf = s->conf;
	uint64_t at_us;
	uint8_t *bytes;
	unsigned n = 1;

	CHECK(s, len <= conf->mtu + RTE_ETHER_HDR_LEN);
	if (!leave(s, host->host, &at_us))
		return;
	bytes = malloc(len);
	memcpy(bytes, frame, len);
	change(s, bytes, len);
	if (draw(s, 10000) < conf->loss)
		n = 0;
	else if (draw(s, 10000) < conf->dup)
		n = 2;
	if (n > 0 && conf->path_mtu > 0 && s->now_us - s->begin_us >= conf->narrow_us
		&& len > conf->path_mtu + RTE_ETHER_HDR_LEN) {
		n = 0;
		refuse(s, host->host, bytes);
	}
	if (draw(s, 10000) < conf->corrupt)
		bytes[RTE_ETHER_HDR_LEN + draw(s, len - RTE_ETHER_HDR_LEN)] ^=
			(uint8_t)(1u << draw(s, 8));
	for (; n > 0; n--)
		put_frame(s, bytes, len, host->host ^ 1,
			at_us + conf->delay_us
				+ (draw(s, 10000) < conf->reorder ? draw(s, conf->jitter_us) : 0));
	free(bytes);
}

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	struct host_ctx *host = ctx;
	struct sim *s = host->sim;
	const uint32_t hold_us = s->conf->hold_us > 0 ? draw(s, s->conf->hold_us + 1) : 0;
	uint8_t *bytes = malloc(m->pkt_len);

	CHECK(s, iface == 0);
	copy_out(m, bytes);
	s->held[s->n_held++] = (struct held){s->now_us + hold_us, m, bytes, m->pkt_len};
	CHECK(s, s->n_held < N_FRAMES);
	txdevice_send(&s->ifaces[host->host].of[0], m, on_frame, host);
	tell_room(s, host->host);
}

/* Drivers give back what they have had long enough; its bytes are as they were. */
static void release(struct sim *s, uint64_t now_us)
{
	for (unsigned i = 0; i < s->n_held; i++) {
		struct held *h = &s->held[i];
		uint8_t *bytes;

		if (h->until_us > now_us)
			continue;
		CHECK(s, h->m->pkt_len == h->len);
		bytes = malloc(h->len);
		copy_out(h->m, bytes);
		CHECK(s, memcmp(bytes, h->bytes, h->len) == 0);
		rte_pktmbuf_free(h->m);
		free(bytes);
		free(h->bytes);
		s->held[i--] = s->held[--s->n_held];
	}
}

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	const struct host_ctx *host = ctx;

	CHECK(host->sim, host->host == 1 && p->dport == rte_cpu_to_be_16(7));
	return &profile;
}

static struct end *end_of(const struct host_ctx *host, struct tcb *c)
{
	struct tcp_info info;
	rte_be16_t port;

	tcp_info(c, &info, host->sim->now_us);
	port = host->host == 0 ? info.local_port : info.peer_port;
	CHECK(host->sim, rte_be_to_cpu_16(port) - FIRST_PORT < host->sim->conf->n_conns);
	return &host->sim->ends[host->host][rte_be_to_cpu_16(port) - FIRST_PORT];
}

static void on_ref_free(void *addr, void *opaque)
{
	struct ref *r = opaque;

	(void)addr;
	memset(r->bytes, 0xee, r->len);
	r->sim->n_refs--;
	rte_free(r);
}

/* As tcp_write(), of a piece that is long enough; 0 as a rule when a copied segment is not full. */
static uint32_t write_ref(struct end *e, const uint8_t *data, uint32_t len)
{
	struct ref *r = rte_malloc(NULL, sizeof(*r) + len, 0);
	uint32_t n;

	CHECK(e->sim, r != NULL);
	*r = (struct ref){
		.shared = {.free_cb = on_ref_free, .fcb_opaque = r}, .sim = e->sim, .len = len};
	memcpy(r->bytes, data, len);
	rte_mbuf_ext_refcnt_set(&r->shared, 1);
	e->sim->n_refs++;
	n = tcp_write_ref(e->c, r->bytes, len, &r->shared);
	e->sim->ref_bytes += n;
	if (rte_mbuf_ext_refcnt_update(&r->shared, -1) == 0)
		on_ref_free(NULL, r);
	return n;
}

/* Whoever has none asks at the next poll. Polls that follow each other as fast as they can would take hours. */
static void wait_for_buffer(struct end *e)
{
	tcp_again(e->c);
	e->sim->has_starved = true;
}

/* Writes a random part of what is still to be written; closes when there is nothing left. */
static void send_some(struct end *e)
{
	struct sim *s = e->sim;

	while (e->sent < e->to_send) {
		const uint64_t left = e->to_send - e->sent;
		const uint32_t n =
			1 + draw(s, (uint32_t)RTE_MIN(left, s->conf->by_reference ? BLOCK : 4096u));
		const uint32_t m = (uint32_t)RTE_MIN((uint64_t)n, left);
		const uint8_t *block =
			bytes_of(e->conn, s->modes[e->conn] == SIM_ECHO ? 0 : e->host, e->sent);
		uint32_t done = 0;

		if (s->conf->by_reference) { /* fills the copied one that is begun, and goes on behind it */
			uint8_t *p, *end;

			if (tcp_queued(e->c) > 0 && tcp_write_begin(e->c, &p, &end)) {
				done = RTE_MIN(m, (uint32_t)(end - p));
				memcpy(p, block, done);
				tcp_write_end(e->c, p + done);
			}
			if (done < m)
				done += write_ref(e, block + done, m - done);
		}
		if (done < m)
			done += tcp_write(e->c, block + done, m - done);
		e->sent += done;
		if (done < m) {
			if (tcp_queued(e->c) > 0)
				tcp_want_room(e->c);
			else
				wait_for_buffer(e);
			return;
		}
	}
	if (!e->is_closed && (s->modes[e->conn] != SIM_ECHO || e->host == 0 || tcp_is_eof(e->c))) {
		e->is_closed = true;
		tcp_close(e->c);
	}
}

static void read_some(struct end *e)
{
	struct sim *s = e->sim;
	const unsigned from = s->modes[e->conn] == SIM_ECHO ? 0 : e->host ^ 1u;
	const uint8_t *p;
	uint32_t len;

	while ((p = tcp_peek(e->c, &len)) != NULL) {
		if (draw(s, 4) == 0)
			len = 1 + draw(s, len);
		len = RTE_MIN(len, BLOCK);
		CHECK(s, memcmp(p, bytes_of(e->conn, from, e->received), len) == 0);
		tcp_consume(e->c, len);
		e->received += len;
		CHECK(s, e->received <= e->expected);
		if (draw(s, 8) == 0) {
			tcp_again(e->c); /* a slow reader */
			break;
		}
	}
	if (s->modes[e->conn] == SIM_ECHO && e->host == 1)
		e->to_send = e->received;
	if (tcp_is_eof(e->c)) {
		CHECK(s, e->received == e->expected);
		e->is_eof = true;
	}
}

static void on_open(void *ctx, struct tcb *c)
{
	struct host_ctx *host = ctx;
	struct end *e = end_of(host, c);

	CHECK(host->sim, !e->is_open && (e->c == NULL || e->c == c));
	e->c = c;
	e->is_open = true;
	host->sim->n_opened[host->host]++;
	tcp_set_app(c, e);
	send_some(e);
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	struct host_ctx *host = ctx;

	CHECK(host->sim, n > 0 && n <= BURST_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct end *e = tcp_app(c[i]);

		CHECK(host->sim, e != NULL && e->is_open && !e->has_closed && e->c == c[i]);
		read_some(e);
		send_some(e);
	}
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct host_ctx *host = ctx;
	struct end *e = tcp_app(c);

	CHECK(host->sim, e != NULL && e->is_open && !e->has_closed && e->c == c);
	/* Its FIN may have been lost so often that the peer has left TIME-WAIT, and says so. */
	if (why == TCP_WHY_RESET)
		CHECK(host->sim,
			e->is_eof && e->sent == e->to_send
				&& host->sim->ends[host->host ^ 1][e->conn].has_closed);
	else
		CHECK(host->sim, why == TCP_WHY_CLOSED);
	e->has_closed = true;
	host->sim->n_closed[host->host]++;
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

static void host_up(struct sim *s, unsigned i)
{
	struct iface *f = &s->ifaces[i].of[0];
	const struct tcp_params p = {.n_conns = SIM_CONNS_MAX,
		.n_syns = 16,
		.n_time_waits = SIM_CONNS_MAX,
		.n_bufs = s->conf->n_bufs,
		.pool = pools[i],
		.ifaces = &s->ifaces[i],
		.blocked = &s->blocked[i],
		.ops = &ops,
		.ctx = &ctxs[i],
		.secret = {s->conf->seed, i, 3, 4},
		.cookies = s->conf->cookies,
		.port_first = FIRST_PORT,
		.port_n = SIM_CONNS_MAX,
		.now_us = s->now_us,
		.socket_id = SOCKET_ID_ANY};

	s->ifaces[i].n = 1;
	f->mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, (uint8_t)i}};
	f->mtu_bytes = (uint16_t)s->conf->mtu;
	f->writes_csums = s->conf->writes_csums;
	f->takes_chains = s->conf->takes_chains;
	f->writes_ip_csums = s->conf->writes_ip_csums;
	f->tso_mbufs = s->conf->tso_mbufs;
	ctxs[i] = (struct host_ctx){s, (uint8_t)i};
	assert_int_equal(tcp_create(&s->t[i], &p), 0);
}

static void open_all(struct sim *s)
{
	for (unsigned i = 0; i < s->conf->n_conns; i++) {
		const enum sim_mode any = (enum sim_mode)draw(s, SIM_N_MODES);
		const enum sim_mode mode = s->conf->is_bulk ? SIM_DISCARD : any;
		struct end *a = &s->ends[0][i], *b = &s->ends[1][i];
		const struct pkt peer = {.family = s->conf->is_v6 ? 6 : 4,
			.src = {10, 0, 0, 2},
			.dst = {10, 0, 0, 1},
			.sport = rte_cpu_to_be_16(7)};

		s->modes[i] = mode;
		*a = (struct end){.sim = s, .host = 0, .conn = (uint16_t)i};
		*b = (struct end){.sim = s, .host = 1, .conn = (uint16_t)i};
		if (mode != SIM_CHARGEN)
			a->to_send = draw(s, s->conf->n_bytes + 1);
		if (mode == SIM_CHARGEN || mode == SIM_DUPLEX)
			b->to_send = draw(s, s->conf->n_bytes + 1);
		if (s->conf->is_bulk)
			a->to_send = s->conf->n_bytes;
		b->expected = a->to_send;
		a->expected = mode == SIM_ECHO ? a->to_send : b->to_send;
		a->c = tcp_open(s->t[0], &profile, &peer, 0, &s->ifaces[1].of[0].mac, s->now_us);
		CHECK(s, a->c != NULL);
	}
	tcp_flush(s->t[0], s->now_us);
}

/* The frames of one moment and one host, as bursts. */
static void deliver(struct sim *s, uint8_t host)
{
	uint8_t sel[BURST_MAX];
	unsigned n_sel = 0;

	s->b->n = 0;
	while (s->b->n < BURST_MAX) {
		struct frame *first = NULL;
		struct rte_mbuf *m;

		for (unsigned i = 0; i < s->n_frames; i++) {
			struct frame *f = &s->frames[i];

			if (f->to == host && f->at_us <= s->now_us
				&& (first == NULL || f->at_us < first->at_us
					|| (f->at_us == first->at_us && f->order < first->order)))
				first = f;
		}
		if (first == NULL)
			break;
		m = rte_pktmbuf_alloc(pools[host]);
		if (m != NULL) {
			memcpy(rte_pktmbuf_append(m, (uint16_t)first->len), first->bytes,
				first->len);
			s->b->m[s->b->n++] = m;
		}
		free(first->bytes);
		*first = s->frames[--s->n_frames];
	}
	parse_burst(s->b, &s->ifaces[host].of[0].mac, 0);
	for (unsigned i = 0; i < s->b->n; i++)
		if (s->b->p[i].verdict == PKT_UNSEEN && s->b->p[i].proto == IPPROTO_TCP
			&& !(s->b->p[i].flags & PKT_F_FRAGMENT))
			sel[n_sel++] = (uint8_t)i;
		else if (s->b->p[i].verdict == PKT_UNSEEN && s->b->p[i].proto != IPPROTO_TCP)
			tcp_icmp(s->t[host], s->b, i, s->now_us);
	tcp_input(s->t[host], s->b, sel, n_sel, s->now_us);
	for (unsigned i = 0; i < s->b->n; i++)
		if (s->b->p[i].verdict != PKT_GONE)
			rte_pktmbuf_free(s->b->m[i]);
}

static uint64_t next_event(const struct sim *s)
{
	uint64_t next_us = RTE_MIN(tcp_next_us(s->t[0]), tcp_next_us(s->t[1]));

	for (unsigned i = 0; i < s->n_frames; i++)
		next_us = RTE_MIN(next_us, s->frames[i].at_us);
	for (uint8_t i = 0; i < 2; i++)
		if (s->blocked[i])
			next_us = RTE_MIN(next_us, room_us(s, i));
	return RTE_MAX(next_us, s->now_us);
}

static void step(struct sim *s)
{
	const uint64_t next_us = next_event(s);

	CHECK(s, next_us != UINT64_MAX);
	s->now_us = RTE_MAX(next_us, s->now_us + (s->has_starved ? STARVED_US : 1));
	s->has_starved = false;
	release(s, s->now_us);
	for (uint8_t i = 0; i < 2; i++) {
		tell_room(s, i);
		deliver(s, i);
		tcp_poll(s->t[i], s->now_us);
		CHECK(s, tcp_check(s->t[i]));
	}
}

static bool is_over(const struct sim *s)
{
	struct tcp_usage u[2];

	tcp_usage(s->t[0], &u[0]);
	tcp_usage(s->t[1], &u[1]);
	return u[0].n_conns == 0 && u[1].n_conns == 0 && s->n_closed[0] == s->conf->n_conns;
}

static void check_end(struct sim *s)
{
	for (unsigned i = 0; i < s->conf->n_conns; i++)
		for (unsigned h = 0; h < 2; h++) {
			const struct end *e = &s->ends[h][i];

			CHECK(s, e->is_open && e->has_closed);
			CHECK(s, e->sent == e->to_send && e->received == e->expected);
		}
	CHECK(s, s->n_opened[1] == s->conf->n_conns && s->n_closed[1] == s->conf->n_conns);
}

void sim_run(const struct sim_conf *conf, struct sim_result *result)
{
	struct sim *s = calloc(1, sizeof(*s));

	s->conf = conf;
	s->rand = conf->seed * 0x9e3779b97f4a7c15ull + 1;
	s->begin_us = s->now_us = 1000000 + draw(s, 1u << 31);
	s->frames = calloc(N_FRAMES, sizeof(*s->frames));
	s->held = calloc(N_FRAMES, sizeof(*s->held));
	s->b = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*s->b), 64));
	profile = (struct tcp_profile){.rcv_max = conf->rcv_max,
		.snd_max = conf->snd_max,
		.user_timeout_ms = 1800000,
		.idle_ms = 1800000,
		.rto_min_ms = conf->rto_min_ms,
		.keepalive_ms = conf->keepalive_ms,
		.cc = conf->cc};
	if (pools[0] == NULL)
		make_pattern();
	for (unsigned i = 0; i < 2; i++) {
		if (pools[i] == NULL)
			pools[i] = rte_pktmbuf_pool_create(i ? "sim1" : "sim0", N_POOL, 0,
				BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
		assert_non_null(pools[i]);
		host_up(s, i);
	}
	open_all(s);
	const uint64_t begin_us = s->now_us;
	while (!is_over(s)) {
		step(s);
		CHECK(s, s->now_us - begin_us < LIMIT_US);
	}
	check_end(s);
	result->end_us = s->now_us - begin_us;
	result->ref_bytes = s->ref_bytes;
	result->n_full = s->n_full;
	release(s, UINT64_MAX);
	for (unsigned i = 0; i < 2; i++) {
		result->stats[i] = *tcp_stats(s->t[i]);
		tcp_destroy(&s->t[i]);
		CHECK(s, rte_mempool_in_use_count(pools[i]) == 0 && (i == 0 || s->n_refs == 0));
	}
	for (unsigned i = 0; i < s->n_frames; i++)
		free(s->frames[i].bytes);
	free(s->frames);
	free(s->held);
	free(s->b);
	free(s);
}
