/* SPDX-License-Identifier: BSD-3-Clause */
/* tcphost — see tcphost.h. */
#include "tcphost.h"

#include "net/parse.h"
#include "txdevice.h"

#include <rte_mempool.h>

#include <stdlib.h>

#define FIRST_PORT 1024u

struct tcphost {
	struct tcphost_params p;
	struct tcp *tcp;
	struct rte_mempool *pool;
	struct iface_set ifaces;
	struct tcp_profile profile, narrow;
	struct tcphost_counts counts;
	struct burst burst;
};

static uint64_t now_us(const struct tcphost *host)
{
	return host->p.h->now_ms * 1000ull;
}

static void must(bool is_so, const char *what)
{
	if (!is_so) {
		fprintf(stderr, "tcphost: %s\n", what);
		abort();
	}
}

/* --- what the stack calls --- */

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	(void)ctx;
	(void)p;
	return NULL; /* they are clients */
}

static void flush_out(struct tcphost_conn *k)
{
	if (k->out_at < k->n_out)
		k->out_at += tcp_write(k->c, k->out + k->out_at, k->n_out - k->out_at);
	if (k->out_at < k->n_out) {
		if (tcp_queued(k->c) > 0)
			tcp_want_room(k->c);
		else
			tcp_again(k->c);
		return;
	}
	k->out_at = k->n_out = 0;
	if (k->is_closing)
		tcp_close(k->c);
}

static void append(uint8_t **to, uint32_t *n, uint32_t *size, const void *data, uint32_t len)
{
	if (*size - *n < len) {
		*size = (*n + len) * 2;
		*to = realloc(*to, *size);
		must(*to != NULL, "no memory");
	}
	memcpy(*to + *n, data, len);
	*n += len;
}

static void read_in(struct tcphost_conn *k)
{
	const uint8_t *p;
	uint32_t len;

	if (k->paced_ms != k->host->p.h->now_ms) {
		k->paced_ms = k->host->p.h->now_ms;
		k->pace_left = k->pace;
	}
	while (!k->is_paused && (k->pace == 0 || k->pace_left > 0)
		&& (p = tcp_peek(k->c, &len)) != NULL) {
		if (k->pace != 0)
			len = RTE_MIN(len, k->pace_left);
		k->pace_left -= k->pace != 0 ? len : 0;
		if (k->on_data != NULL)
			k->on_data(k, p, len);
		else
			append(&k->in, &k->n_in, &k->in_size, p, len);
		k->n_received += len;
		tcp_consume(k->c, len);
	}
	if (k->pace != 0 && tcp_unread(k->c) > 0 && !k->is_paused)
		tcp_again(k->c);
	k->is_eof |= tcp_is_eof(k->c);
}

static void on_open(void *ctx, struct tcb *c)
{
	struct tcphost_conn *k = tcp_app(c);

	(void)ctx;
	k->is_open = true;
	flush_out(k);
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	(void)ctx;
	for (unsigned i = 0; i < n; i++) {
		struct tcphost_conn *k = tcp_app(c[i]);

		read_in(k);
		if (k->is_open && k->c != NULL)
			flush_out(k);
	}
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct tcphost_conn *k = tcp_app(c);

	(void)ctx;
	k->c = NULL;
	k->why = why;
}

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	struct tcphost *host = ctx;
	struct harness *h = host->p.h;
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct rte_mbuf *copy = NULL;

	(void)iface;
	(void)of;
	if ((host->p.is_passed == NULL || host->p.is_passed(host->p.ctx, true, frame, m->pkt_len))
		&& !rte_ring_full(h->rx[0][0]))
		copy = rte_pktmbuf_alloc(h->pool);
	if (copy == NULL) {
		host->counts.n_lost++;
	} else {
		memcpy(rte_pktmbuf_append(copy, (uint16_t)m->pkt_len), frame, m->pkt_len);
		harness_receive(h, 0, 0, copy);
		host->counts.n_to_box++;
	}
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* --- set-up --- */

void tcphost_create(struct tcphost **out, const struct tcphost_params *p)
{
	struct tcphost *host = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*host));
	struct tcp_params tp = {.n_conns = p->n_conns,
		.n_syns = 16,
		.n_time_waits = RTE_MAX(p->n_conns, 16u),
		.n_bufs = p->n_bufs,
		.ops = &ops,
		.secret = {p->seed, 1, 2, 3},
		.port_first = FIRST_PORT,
		.port_n = (uint16_t)(UINT16_MAX - FIRST_PORT),
		.now_us = p->h->now_ms * 1000ull,
		.socket_id = SOCKET_ID_ANY};

	must(host != NULL, "no memory");
	memset(host, 0, sizeof(*host));
	host->p = *p;
	host->profile = (struct tcp_profile){
		.rcv_max = p->rcv_max, .user_timeout_ms = 7200000, .idle_ms = UINT32_MAX / 2};
	host->narrow = host->profile;
	host->narrow.rcv_max = TCPHOST_NARROW;
	host->pool = rte_pktmbuf_pool_create("tcphost", p->n_bufs + 2 * BURST_MAX, 0,
		BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	must(host->pool != NULL, "no pool");
	host->ifaces.n = 1;
	host->ifaces.of[0] = p->h->ifaces.of[0];
	host->ifaces.of[0].mac = (struct rte_ether_addr){{2, 0xaa, 0, 0, 0, 1}};
	tp.pool = host->pool;
	tp.ifaces = &host->ifaces;
	tp.ctx = host;
	must(tcp_create(&host->tcp, &tp) == 0, "no stack");
	*out = host;
}

void tcphost_destroy(struct tcphost **out)
{
	struct tcphost *host = *out;

	if (host == NULL)
		return;
	tcp_destroy(&host->tcp);
	must(rte_mempool_in_use_count(host->pool) == 0, "buffers are missing");
	rte_mempool_free(host->pool);
	free(host);
	*out = NULL;
}

/* --- connections --- */

bool tcphost_open(struct tcphost *host, struct tcphost_conn *k, const struct tcphost_to *to)
{
	struct pkt peer = {.family = to->family, .sport = rte_cpu_to_be_16(to->port)};

	memcpy(peer.src, to->peer, sizeof(peer.src));
	memcpy(peer.dst, to->local, sizeof(peer.dst));
	k->host = host;
	k->c = tcp_open(host->tcp, k->is_narrow ? &host->narrow : &host->profile, &peer, 0,
		&host->p.h->ifaces.of[0].mac, now_us(host));
	if (k->c == NULL)
		return false;
	tcp_set_app(k->c, k);
	tcp_flush(host->tcp, now_us(host));
	return true;
}

void tcphost_send(struct tcphost_conn *k, const void *data, uint32_t n)
{
	if (k->c == NULL)
		return;
	append(&k->out, &k->n_out, &k->out_size, data, n);
	if (k->is_open) {
		flush_out(k);
		tcp_flush(k->host->tcp, now_us(k->host));
	}
}

void tcphost_close(struct tcphost_conn *k)
{
	if (k->c == NULL)
		return;
	k->is_closing = true;
	if (k->is_open) {
		flush_out(k);
		tcp_flush(k->host->tcp, now_us(k->host));
	}
}

void tcphost_abort(struct tcphost_conn *k)
{
	if (k->c == NULL)
		return;
	tcp_abort(k->c);
	tcp_flush(k->host->tcp, now_us(k->host));
}

void tcphost_resume(struct tcphost_conn *k)
{
	k->is_paused = false;
	if (k->c != NULL)
		tcp_again(k->c);
}

void tcphost_clear(struct tcphost_conn *k)
{
	k->n_in = 0;
}

void tcphost_fini(struct tcphost_conn *k)
{
	must(k->c == NULL, "a connection has not ended");
	free(k->in);
	free(k->out);
	memset(k, 0, sizeof(*k));
}

/* --- time and frames --- */

void tcphost_poll(struct tcphost *host)
{
	tcp_poll(host->tcp, now_us(host));
}

static void take_burst(struct tcphost *host)
{
	struct burst *b = &host->burst;
	uint8_t sel[BURST_MAX];
	unsigned n = 0;

	parse_burst(b, &host->ifaces.of[0].mac, 0);
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].verdict == PKT_UNSEEN && b->p[i].proto == IPPROTO_TCP)
			sel[n++] = (uint8_t)i;
	tcp_input(host->tcp, b, sel, n, now_us(host));
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].verdict != PKT_GONE)
			rte_pktmbuf_free(b->m[i]);
	b->n = 0;
}

/* A frame of the box on the wire: for this host it is put into a buffer of its own. */
static void on_frame(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct tcphost *host = ctx;
	const struct rte_ether_hdr *eh = (const void *)frame;
	struct rte_mbuf *copy;

	if (!rte_is_same_ether_addr(&eh->dst_addr, &host->ifaces.of[0].mac)) {
		host->counts.n_other++;
	} else if (host->p.is_passed != NULL
		&& !host->p.is_passed(host->p.ctx, false, frame, len)) {
		host->counts.n_lost++;
	} else {
		copy = rte_pktmbuf_alloc(host->pool);
		must(copy != NULL, "no buffer");
		memcpy(rte_pktmbuf_append(copy, (uint16_t)len), frame, len);
		host->burst.m[host->burst.n++] = copy;
		host->counts.n_from_box++;
		if (host->burst.n == BURST_MAX)
			take_burst(host);
	}
}

unsigned tcphost_take(struct tcphost *host)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	for (; (m = harness_sent(host->p.h, 0)) != NULL; n++) {
		txdevice_send(&host->p.h->ifaces.of[0], m, on_frame, host);
		rte_pktmbuf_free(m); /* it has been sent */
	}
	if (host->burst.n > 0)
		take_burst(host);
	return n;
}

const struct tcphost_counts *tcphost_counts(const struct tcphost *host)
{
	return &host->counts;
}

const struct tcp_stats *tcphost_stats(const struct tcphost *host)
{
	return tcp_stats(host->tcp);
}

const struct rte_ether_addr *tcphost_mac(const struct tcphost *host)
{
	return &host->ifaces.of[0].mac;
}
