/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * servetcp — see servetcp.h. on_ready() is where requests are executed: connections of one service at a time, in mcstream.c, and then
 * each goes on as it stopped there (settle()).
 *
 * Who keeps what others need, and what ends that:
 *  - connections that say nothing: probed when they are idle, closed after the service's timeouts.established if it has one
 *  - parts of requests: the whole must be there in REQUEST_MS; buffers for them are few, who gets none waits
 *  - answers that are not read: no request is executed while FULL_BYTES wait, or a part of the buffers that are left if that is less;
 *    what is left is never nothing then, however many connections take their part (Choudhury and Hahne, Dynamic Queue Length
 *    Thresholds, 1998). Half of them is only for clients that have read much more before. A long answer waits until it leaves enough
 *    for short ones, and who waits with nothing of its own on its way is asked again by the tick, for REQUEST_MS
 *  - buffers of any kind when they are short: who has SLOW_BYTES in them, or as many gaps, and moves less than that in SLOW_MS, is
 *    ended; when even fewer are left, whoever has any and does not move
 *  - closed here, all answers taken, but not by the client: CLOSE_MS
 *  - a client that sends without a pause: SHARE requests in a turn
 *
 *  T1  a connection is in `waiting` while part of a request is there, or a buffer is wanted for one; in `closing` once tcp_close() was
 *      called; in no list else. Both are in the order in which deadlines come
 *  T2  st->conf and st->lb are those of this loop, in every call into the stack that may call back
 */
#include "serve/servetcp.h"

#include "core/capture.h"
#include "lb/guard.h"
#include "lb/rate.h"
#include "serve/servetcp_pvt.h"

#include <rte_malloc.h>

#include <errno.h>

#define REQUEST_MS 30000u
#define CLOSE_MS 10000u
#define KEEPALIVE_MS 75000u
#define IDLE_MAX_MS 600000u /* without a segment, where probes are answered by none */
#define SHARE 32u
#define SLOW_MS 1000u
#define SLOW_BYTES 16384u
#define SLOW_GAPS 12u /* segments: about as many buffers */
#define FULL_BYTES 262144u
#define LEFT_PART 32u   /* what a connection may have of the buffers that are left */
#define LONG_PART 2u    /* ... and a long answer */
#define READER_TIMES 8u /* who has read so many times what would wait reads */
#define BUF_BYTES 1400u /* of answers in a buffer, about */
#define ANSWER_MAX \
	(4u << 20)       /* bytes of answers that may wait: the longest answer to one request */
#define LOOK_STEP 1024u  /* connections looked at in a tick */
#define STARVED_STEP 64u /* waiting connections that are tried again in a tick */
#define WAITING_STEP 256u

struct run_count {
	struct serve_asked asked;
	uint64_t n_requests;
};

static struct listener *listener_of(const struct tcp_profile *p)
{
	return (struct listener *)(uintptr_t)p;
}

static uint32_t slot_of(const struct servetcp *st, const struct tcp_profile *p)
{
	return (uint32_t)(listener_of(p) - st->listeners);
}

/* --- lists --- */

static void feed_no_more(struct servetcp *st, struct conn *k)
{
	TAILQ_REMOVE(&st->starved, k, starved);
	st->n_starved--;
	k->is_starved = false;
}

static void unlist(struct servetcp *st, struct conn *k)
{
	if (k->list == LIST_WAITING)
		TAILQ_REMOVE(&st->waiting, k, link);
	else if (k->list == LIST_CLOSING)
		TAILQ_REMOVE(&st->closing, k, link);
	k->list = LIST_NONE;
	if (k->is_starved)
		feed_no_more(st, k);
}

static void enlist(struct servetcp *st, struct conn *k, enum conn_list list)
{
	if (k->list == list)
		return;
	unlist(st, k);
	k->list = (uint8_t)list;
	k->since_ms = st->w->now_ms;
	if (list == LIST_WAITING)
		TAILQ_INSERT_TAIL(&st->waiting, k, link);
	else
		TAILQ_INSERT_TAIL(&st->closing, k, link);
}

/* It is tried again by and by. */
static void starve(struct servetcp *st, struct conn *k, uint64_t *count)
{
	enlist(st, k, LIST_WAITING);
	if (k->is_starved)
		return;
	k->is_starved = true;
	st->n_starved++;
	TAILQ_INSERT_TAIL(&st->starved, k, starved);
	(*count)++;
}

/* No more is read of it; what was written leaves first. */
static void begin_close(struct servetcp *st, struct conn *k)
{
	mcstream_fini(st->stock, &k->stream);
	enlist(st, k, LIST_CLOSING);
	tcp_consume(k->c, tcp_unread(k->c));
	tcp_close(k->c);
}

/* --- what the stack calls --- */

static bool is_served(const struct servetcp *st, uint32_t service_idx)
{
	return service_idx < st->conf->n_services && st->conf->services[service_idx].cache != NULL;
}

/* Whether the connection, whose service had this slot, is none of a service there is, or of one that refuses its client. */
static bool is_unserved(
	const struct servetcp *st, uint32_t service_idx, const struct tcp_info *info)
{
	const struct lb_service *s =
		is_served(st, service_idx) ? st->lb->services[service_idx] : NULL;

	return s == NULL || s->spec.proto != MR_PROTO_TCP || s->spec.vip.family != info->family
		|| memcmp(s->vip, info->local, info->family == 4 ? 4 : 16) != 0
		|| rte_cpu_to_be_16(s->spec.port) != info->local_port
		|| (s->acl != NULL && !acl_allows(s->acl, info->peer));
}

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	struct servetcp *st = ctx;

	return &st->listeners[p->service_idx].profile;
}

static void on_open(void *ctx, struct tcb *c)
{
	struct servetcp *st = ctx;
	struct conn *k = st->spare;
	const uint32_t idx = slot_of(st, tcp_profile_of(c));
	struct serve_tally *t = &st->tallies[idx];
	struct tcp_info info;

	tcp_info(c, &info, st->w->now_us);
	st->spare = k->link.tqe_next; /* there are as many as connections of the stack */
	memset(k, 0, sizeof(*k));
	k->c = c;
	k->service_idx = idx;
	k->begun_ms = st->w->now_ms;
	tcp_set_app(c, k);
	/* Its handshake began in another generation: the slot may be given to somebody, who begins with none. */
	if (unlikely(is_unserved(st, idx, &info))) {
		k->service_idx = VIP_NONE;
		st->stats.unserved++;
		tcp_abort(c);
		return;
	}
	serve_count(&t->conns, 1);
	serve_count(&t->conns_total, 1);
	/* several handshakes may have been begun below the limit */
	if (unlikely(t->conns > st->lb->services[idx]->max_conns))
		tcp_abort(c);
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct servetcp *st = ctx;
	struct conn *k = tcp_app(c);

	(void)why;
	unlist(st, k);
	mcstream_fini(st->stock, &k->stream);
	if (likely(k->service_idx != VIP_NONE))
		serve_count(&st->tallies[k->service_idx].conns, UINT64_MAX);
	k->c = NULL;
	k->link.tqe_next = st->spare;
	st->spare = k;
}

static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	struct servetcp *st = ctx;
	struct sending *s = &st->sending;

	if (unlikely(s->iface != iface || s->profile != profile || s->n == BURST_MAX)) {
		servetcp_send(st);
		s->iface = iface;
		s->profile = profile;
	}
	s->m[s->n++] = m;
	s->n_bytes += m->pkt_len;
}

void servetcp_send(struct servetcp *st)
{
	struct sending *s = &st->sending;

	if (s->n == 0)
		return;
	if (likely(s->profile != NULL)) {
		struct serve_tally *t = &st->tallies[slot_of(st, s->profile)];

		serve_count(&t->tx_packets, s->n);
		serve_count(&t->tx_bytes, s->n_bytes);
	}
	st->w->tally->generated += s->n;
	worker_tx_bulk(st->w, s->iface, s->m, s->n);
	s->n = 0;
	s->n_bytes = 0;
}

/* --- requests --- */

static struct run_conn *run_conn(struct mcstream_conn *c)
{
	return (struct run_conn *)(void *)c;
}

static const uint8_t *peek(struct mcstream_conn *c, uint32_t skip, uint32_t *len)
{
	return tcp_peek_at(run_conn(c)->conn->c, skip, len);
}

static void consume(struct mcstream_conn *c, uint32_t n)
{
	tcp_consume(run_conn(c)->conn->c, n);
}

/* For answers: half of all, and the last ones are for short ones, which mcstream does not ask about. */
static uint32_t answer_bufs(uint32_t n_bufs)
{
	return n_bufs / 2 - n_bufs / 64 - RTE_MIN(RTE_MAX(n_bufs / 64, BURST_MAX), n_bufs / 8);
}

/* Half of these are for clients that have shown that they read: who comes only to fill buffers has not. */
static uint32_t bufs_left(const struct servetcp *st, bool is_reader)
{
	const uint32_t n_used = st->n_used + (is_reader ? 0 : st->n_answer_bufs / 2);

	return st->n_answer_bufs > n_used ? st->n_answer_bufs - n_used : 0;
}

static bool may_write(struct mcstream_conn *c, uint32_t before, uint32_t n)
{
	struct run_conn *r = run_conn(c);
	struct servetcp *st = r->st;
	const uint32_t n_open = r->begin != NULL ? (uint32_t)(r->mc.out.p - r->begin) : 0;
	const uint32_t n_queued = tcp_queued(r->conn->c);
	const uint32_t n_bytes = n_queued + n_open + before;
	uint32_t left, n_bufs;
	uint64_t n_read;

	/* opt: what nearly all are asked before they are read */
	if (likely((n_bytes | n) == 0 && bufs_left(st, false) > 0))
		return true;
	n_read = r->conn->n_written - n_queued;
	left = bufs_left(st, n_read >= READER_TIMES * ((uint64_t)n_bytes + n + BUF_BYTES));
	n_bufs = n > 0 ? n / BUF_BYTES + 1 : 0;
	if (n_bytes >= RTE_MIN(FULL_BYTES, left * (BUF_BYTES / LEFT_PART)))
		return false;
	/* half of what is left is for others, so that short answers always find some */
	if (n > SLOW_BYTES && n_bufs > left / LONG_PART && st->n_used > st->n_bufs / 16)
		return false;
	st->n_used += n_bufs;
	st->n_kept += n_bufs;
	return true;
}

static const struct mcstream_ops stream_ops = {peek, consume, may_write};

static void end_write(struct run_conn *r)
{
	if (r->begin != NULL) {
		r->conn->n_written += (uint32_t)(r->mc.out.p - r->begin);
		tcp_write_end(r->conn->c, r->mc.out.p);
	}
	r->begin = NULL;
}

static bool grow(struct mc_out *out)
{
	struct run_conn *r =
		(struct run_conn *)(void *)out; /* out is the first of mc, and that of r */
	struct servetcp *st = r->st;

	end_write(r);
	if (unlikely(!tcp_write_begin(r->conn->c, &out->p, &out->end)))
		return false;
	if (st->n_kept > 0)
		st->n_kept--;
	else
		st->n_used++;
	st->is_tight = st->n_used > st->n_bufs / 8;
	r->begin = out->p;
	return true;
}

/* Whole segments of a long value go from where it lies; what is around them is copied. Once refused, so is the rest of the run. */
static uint32_t refer(struct mc_out *out, const uint8_t *p, uint32_t len)
{
	struct run_conn *r = (struct run_conn *)(void *)out;
	struct servetcp *st = r->st;
	struct rte_mbuf_ext_shared_info *by = NULL;
	uint32_t n = 0, n_bufs;

	if (tcp_write_takes_refs(r->conn->c)) {
		by = serveref_get(st->refs, st->kv, p);
		st->stats.refs_refused += by == NULL;
	}
	if (likely(by != NULL)) {
		end_write(r);
		out->p = out->end = NULL;
		n = tcp_write_ref(r->conn->c, p, len, by);
		serveref_put(by);
	}
	if (unlikely(n == 0)) {
		out->refer = NULL;
		return 0;
	}
	st->stats.refs++;
	r->conn->n_written += n;
	n_bufs = n / BUF_BYTES;
	st->n_used += n_bufs - RTE_MIN(n_bufs, st->n_kept);
	st->n_kept -= RTE_MIN(n_bufs, st->n_kept);
	st->is_tight = st->n_used > st->n_bufs / 8;
	return n;
}

static void on_requests(void *ctx, uint8_t verb, uint32_t n)
{
	struct run_count *x = ctx;

	x->n_requests += n;
	serve_take_times(&x->asked, (enum mc_verb)verb, n);
}

/* What becomes of the connection, as its requests have been executed up to here. */
static void settle(struct servetcp *st, struct run_conn *r)
{
	struct conn *k = r->conn;
	const bool is_cut_off = r->mc.stop == MCSTREAM_CUT;

	end_write(r);
	k->n_requests += r->mc.n_requests;
	/* opt: nothing, nearly always */
	if (likely(r->mc.stop == MCSTREAM_EMPTY && k->list == LIST_NONE
		    && !mcstream_is_waiting(&k->stream) && !tcp_is_eof(k->c)))
		return;
	if (unlikely(is_cut_off)) {
		st->stats.answers_cut++;
		tcp_abort(k->c);
		return;
	}
	if (unlikely(r->mc.stop == MCSTREAM_CLOSE)
		|| (r->mc.stop == MCSTREAM_EMPTY && tcp_is_eof(k->c))) {
		begin_close(st, k);
		return;
	}
	if (unlikely(k->list != LIST_NONE && r->mc.n_requests > 0))
		unlist(st, k); /* what is there now is of another request: its time begins */
	if (unlikely(r->mc.stop == MCSTREAM_NO_BUF)) {
		starve(st, k, &st->stats.no_request_buffer);
		return;
	}
	if (unlikely(r->mc.stop == MCSTREAM_FULL && tcp_queued(k->c) == 0)) {
		starve(st, k, &st->stats.no_answer_buffer);
		return;
	}
	if (unlikely(k->is_starved))
		feed_no_more(st, k);
	if (unlikely(mcstream_is_waiting(&k->stream)))
		enlist(st, k, LIST_WAITING);
	else if (unlikely(k->list != LIST_NONE))
		unlist(st, k);
	if (unlikely(r->mc.stop == MCSTREAM_FULL)) {
		tcp_want_room(k->c);
	} else if (unlikely(r->mc.stop == MCSTREAM_TURN)) {
		tcp_again(k->c);
		st->w->is_unfinished = true;
	}
}

/* Connections st->run[0..n) of this service. */
static void run_service(struct servetcp *st, uint32_t service_idx, unsigned n)
{
	const struct cache *cache = st->conf->services[service_idx].cache;
	struct mcstream_conn *conns[BURST_MAX];
	struct run_count x = {.n_requests = 0};
	const struct mcstream_run run = {.s = &x.asked.mc,
		.stock = st->stock,
		.share = SHARE,
		.is_tight = &st->is_tight,
		.on_requests = on_requests,
		.ctx = &x};

	st->kv = cache->kv;
	serve_ask(&x.asked, st->w, cache, st->begun);
	for (unsigned i = 0; i < n; i++)
		conns[i] = &st->run[i].mc;
	mcstream_run_bulk(&run, conns, n);
	for (unsigned i = 0; i < n; i++)
		settle(st, &st->run[i]);
	serve_count(&st->tallies[service_idx].requests, x.n_requests);
}

/* Whether requests of the connection are to be executed. */
static bool may_ask(struct servetcp *st, struct conn *k)
{
	if (unlikely(k->list == LIST_CLOSING)) {
		tcp_consume(k->c, tcp_unread(k->c));
		return false;
	}
	if (unlikely(!is_served(st, k->service_idx))) {
		st->stats.unserved++;
		tcp_abort(k->c);
		return false;
	}
	return true;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	struct servetcp *st = ctx;
	struct tcp_usage u;

	tcp_usage(st->tcp, &u);
	st->n_used = u.n_bufs - u.n_rcv_bufs;
	st->n_kept = 0;
	st->is_tight = st->n_used > st->n_bufs / 8;
	memset(st->is_done, 0, n);
	for (unsigned i = 0; i < n; i++) {
		const uint32_t idx = ((const struct conn *)tcp_app(c[i]))->service_idx;
		unsigned n_run = 0;

		if (st->is_done[i])
			continue;
		for (unsigned k = i; k < n; k++) {
			struct conn *conn = tcp_app(c[k]);
			struct run_conn *r = &st->run[n_run];

			if (st->is_done[k] || conn->service_idx != idx)
				continue;
			st->is_done[k] = true;
			if (!may_ask(st, conn))
				continue;
			r->st = st;
			r->conn = conn;
			r->begin = NULL;
			r->mc.out = (struct mc_out){.grow = grow, .refer = refer};
			r->mc.s = &conn->stream;
			r->mc.ops = &stream_ops;
			r->mc.n_unread = tcp_unread(conn->c);
			n_run++;
		}
		if (n_run > 0)
			run_service(st, idx, n_run);
	}
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* --- set-up --- */

static uint32_t share_of(uint32_t n_conns, uint32_t part, uint32_t min)
{
	return RTE_MAX(n_conns / part, min);
}

#define SYNS_MIN 1024u
#define N_REFS 1024u /* values that are sent from where they lie, of a worker */
#define TIME_WAITS_MIN 1024u

/* Buffers for requests that come in pieces, by size: few of the large ones, which only values need. */
static const uint32_t stock_sizes[MCSTREAM_CLASSES] = {1024, 128, 16, 4};

static int create_stack(struct servetcp *st, const struct servetcp_params *p, int socket_id)
{
	struct tcp_params tp = {.n_conns = p->n_conns,
		.n_syns = share_of(p->n_conns, 8, SYNS_MIN),
		.n_time_waits = share_of(p->n_conns, 2, TIME_WAITS_MIN),
		.n_bufs = p->n_bufs,
		.pool = p->pool,
		.ifaces = st->w->ifaces,
		.blocked = &st->w->tx_blocked,
		.ops = &ops,
		.ctx = st,
		.now_us = p->now_us,
		.socket_id = socket_id};

	memcpy(tp.secret, p->secret, sizeof(tp.secret));
	return tcp_create(&st->tcp, &tp);
}

int servetcp_create(struct servetcp **out, const struct servetcp_params *p, struct worker *w,
	uint32_t n_services, int socket_id)
{
	struct servetcp *st =
		rte_zmalloc_socket("servetcp", sizeof(*st), RTE_CACHE_LINE_SIZE, socket_id);
	int rc = -ENOMEM;

	if (st == NULL)
		return rc;
	st->w = w;
	st->n_services = n_services;
	st->n_conns = p->n_conns;
	st->n_bufs = p->n_bufs;
	st->n_answer_bufs = answer_bufs(p->n_bufs);
	st->tallies = w->serve->services;
	TAILQ_INIT(&st->waiting);
	TAILQ_INIT(&st->closing);
	TAILQ_INIT(&st->starved);
	st->listeners = rte_zmalloc_socket(
		"servetcp", n_services * sizeof(*st->listeners), RTE_CACHE_LINE_SIZE, socket_id);
	st->conns = rte_zmalloc_socket(
		"servetcp", p->n_conns * sizeof(*st->conns), RTE_CACHE_LINE_SIZE, socket_id);
	if (st->listeners != NULL && st->conns != NULL)
		rc = mcstream_stock_create(&st->stock, stock_sizes, socket_id);
	if (rc == 0)
		rc = serveref_create(&st->refs, N_REFS, socket_id);
	if (rc == 0)
		rc = create_stack(st, p, socket_id);
	if (rc != 0) {
		servetcp_destroy(&st);
		return rc;
	}
	for (uint32_t i = p->n_conns; i-- > 0;) {
		st->conns[i].link.tqe_next = st->spare;
		st->spare = &st->conns[i];
	}
	*out = st;
	return 0;
}

void servetcp_destroy(struct servetcp **out)
{
	struct servetcp *st = *out;

	if (st == NULL)
		return;
	tcp_destroy(&st->tcp);
	mcstream_stock_destroy(&st->stock);
	serveref_destroy(&st->refs);
	rte_free(st->listeners);
	rte_free(st->conns);
	rte_free(st);
	*out = NULL;
}

/* --- the worker's calls --- */

/* Listeners of a new generation. Connections of what is no longer served are looked for by and by. */
static void refresh(struct servetcp *st)
{
	for (uint32_t i = 0; i < st->n_services && i < st->conf->n_services; i++) {
		struct tcp_profile *p = &st->listeners[i].profile;
		const struct lb_service *s = st->lb->services[i];
		uint32_t idle_ms;

		if (s == NULL || !is_served(st, i))
			continue;
		/* a client may be idle for as long as it likes, if there still is one, unless the service says otherwise */
		idle_ms = s->spec.established_timeout_ms;
		*p = (struct tcp_profile){.idle_ms = idle_ms != 0 ? idle_ms : IDLE_MAX_MS,
			.keepalive_ms = idle_ms != 0 ? 0 : KEEPALIVE_MS,
			.snd_max = ANSWER_MAX};
	}
	st->generation = st->w->snap->generation;
	st->n_to_look = st->n_conns;
}

static void begin(struct servetcp *st, const struct serve_conf *c, const struct lb_conf *lb)
{
	st->conf = c;
	st->lb = lb;
	st->begun = rte_rdtsc();
	if (unlikely(st->generation != st->w->snap->generation))
		refresh(st);
}

static bool refuse(struct serve_tally *t, struct pkt *p, enum pkt_drop reason)
{
	t->drops++;
	pkt_drop(p, reason);
	return false;
}

/* As guard_admits() of lb/guard.c, for what is asked of new connections of a cache. */
static bool admit(
	struct servetcp *st, const struct lb_service *s, struct serve_tally *t, struct pkt *p)
{
	struct listener *l = &st->listeners[s->idx];
	const uint32_t now_ms = st->w->now_ms;

	if (s->acl != NULL && unlikely(!acl_allows(s->acl, p->src))) {
		t->acl_drops++;
		return refuse(t, p, PKT_DROP_acl);
	}
	if (unlikely(st->tallies[s->idx].conns >= s->max_conns))
		return refuse(t, p, PKT_DROP_service_limit);
	if (s->source_rate.gain != 0
		&& !rate_take_source(
			st->w->serve->sources, guard_source(s, p), &s->source_rate, now_ms))
		return refuse(t, p, PKT_DROP_source_rate);
	if (s->flow_rate.gain != 0 && !rate_take(&l->flows, &s->flow_rate, now_ms))
		return refuse(t, p, PKT_DROP_service_rate);
	return true;
}

/* Whether the stack is to see the packet. */
static bool take(
	struct servetcp *st, struct serve_tally *t, const struct rte_mbuf *m, struct pkt *p)
{
	t->rx_packets++;
	t->rx_bytes += m->pkt_len;
	if (unlikely(p->flags & PKT_F_FRAGMENT))
		return refuse(t, p, PKT_DROP_request_fragment);
	if (unlikely(p->flags & PKT_F_BROADCAST)) /* RFC 1122 4.2.3.10 */
		return refuse(t, p, PKT_DROP_foreign_mac);
	return !servetcp_is_syn(p) || admit(st, st->lb->services[p->service_idx], t, p);
}

void servetcp_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n)
{
	struct servetcp *st = w->serve->tcp;
	uint32_t at = b->p[sel[0]].service_idx;
	struct serve_tally t = {0};
	uint8_t taken[BURST_MAX];
	unsigned n_taken = 0;

	begin(st, c, lb);
	for (unsigned k = 0; k < n; k++) {
		struct pkt *p = &b->p[sel[k]];

		if (unlikely(p->service_idx != at)) {
			serve_count_all(&st->tallies[at], &t);
			memset(&t, 0, sizeof(t));
			at = p->service_idx;
		}
		if (likely(take(st, &t, b->m[sel[k]], p)))
			taken[n_taken++] = sel[k];
	}
	serve_count_all(&st->tallies[at], &t);
	if (n_taken == 0)
		return;
	tcp_input(st->tcp, b, taken, n_taken, w->now_us);
	servetcp_send(st);
	for (unsigned k = 0; k < n_taken; k++) {
		const struct pkt *p = &b->p[taken[k]];

		if (unlikely(p->verdict != PKT_GONE)) {
			serve_count(&st->tallies[p->service_idx].drops, 1);
			continue;
		}
		w->tally->consumed++;
		if (unlikely(w->capture != NULL))
			capture_trace_served(w->capture, taken[k]);
	}
}

bool servetcp_icmp_error(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, unsigned i)
{
	struct servetcp *st = w->serve->tcp;

	begin(st, c, lb);
	if (!tcp_icmp(st->tcp, b, i, w->now_us))
		return false;
	w->tally->consumed++;
	if (unlikely(w->capture != NULL))
		capture_trace_served(w->capture, i);
	return true;
}

/* --- what ends connections --- */

/* Whether it has buffers that others need and does too little to give them back. */
static bool is_slow(const struct servetcp *st, struct conn *k, const struct tcp_info *info)
{
	const uint32_t now_ms = st->w->now_ms, moved = info->progress - k->mark;
	const bool has_much =
		info->queued + info->unread >= SLOW_BYTES || info->n_out_of_order >= SLOW_GAPS;
	/* who waits for us is not to blame, unless a lot waits */
	const bool has_any =
		!k->is_starved && info->queued + info->unread + info->n_out_of_order > 0;
	bool is_it = false;

	if ((has_much || (has_any && st->is_very_short))
		&& k->marked_ms - st->short_ms <= now_ms - st->short_ms) {
		if (now_ms - k->marked_ms < SLOW_MS)
			return false;
		is_it = has_much ? moved < SLOW_BYTES : moved == 0;
	}
	k->mark = info->progress;
	k->marked_ms = now_ms;
	return is_it;
}

static void look_at(struct servetcp *st, struct conn *k)
{
	struct tcp_info info;

	tcp_info(k->c, &info, st->w->now_us);
	if (is_unserved(st, k->service_idx, &info)) {
		st->stats.unserved++;
		tcp_abort(k->c);
	} else if (st->is_short && is_slow(st, k, &info)) {
		st->stats.slow_readers++;
		tcp_abort(k->c);
	}
}

/* Some connections, while there is a reason to look at all. */
static void look_at_some(struct servetcp *st)
{
	const uint32_t n = RTE_MIN(st->is_short ? st->n_conns : st->n_to_look, LOOK_STEP);

	for (uint32_t i = 0; i < n; i++) {
		struct conn *k = &st->conns[st->look_at];

		st->look_at = st->look_at + 1 < st->n_conns ? st->look_at + 1 : 0;
		if (k->c != NULL)
			look_at(st, k);
	}
	st->n_to_look -= RTE_MIN(n, st->n_to_look);
}

/* They are short from where some already wait. A quarter of what may be received can be had by nobody who keeps it (tcp_reass.c). */
static void weigh(struct servetcp *st)
{
	const bool was_short = st->is_short;
	struct tcp_usage u;
	uint32_t n;

	tcp_usage(st->tcp, &u);
	n = RTE_MAX(u.n_rcv_bufs, u.n_bufs - u.n_rcv_bufs);
	st->is_short = n > st->n_bufs / 16 * 5 || (n > st->n_bufs / 16 && st->n_starved > 0);
	st->is_very_short = n > st->n_bufs / 32 * 11;
	if (st->is_short && !was_short)
		st->short_ms = st->w->now_ms;
}

/* Whether a connection that was closed CLOSE_MS ago has a client that takes its answers, or has just taken the last: that has bounds of
 * its own, and then it has time once more. */
static bool is_still_read(const struct servetcp *st, struct conn *k)
{
	struct tcp_info info;

	if (tcp_queued(k->c) > 0)
		return true;
	tcp_info(k->c, &info, st->w->now_us);
	if (k->has_grace || info.idle_us >= (CLOSE_MS - 1000) * 1000)
		return false;
	return k->has_grace = true;
}

/* Parts of requests that are too old, and closes that take too long. */
static void end_overdue(struct servetcp *st)
{
	const uint32_t now_ms = st->w->now_ms;
	struct conn *k;
	unsigned n = 0;

	for (k = TAILQ_FIRST(&st->waiting);
		k != NULL && n < WAITING_STEP && now_ms - k->since_ms >= REQUEST_MS;
		k = TAILQ_FIRST(&st->waiting), n++) {
		st->stats.request_timeouts++;
		unlist(st, k);
		tcp_abort(k->c);
	}
	for (k = TAILQ_FIRST(&st->closing);
		k != NULL && n < WAITING_STEP && now_ms - k->since_ms >= CLOSE_MS;
		k = TAILQ_FIRST(&st->closing), n++) {
		unlist(st, k);
		if (is_still_read(st, k)) {
			enlist(st, k, LIST_CLOSING);
			continue;
		}
		st->stats.close_timeouts++;
		tcp_abort(k->c);
	}
}

/* Those that wait for a buffer, in turn: what the first one wants may not be there when what another wants is. */
static void feed(struct servetcp *st)
{
	const uint32_t n = RTE_MIN(st->n_starved, STARVED_STEP);

	for (uint32_t i = 0; i < n; i++) {
		struct conn *k = TAILQ_FIRST(&st->starved);

		TAILQ_REMOVE(&st->starved, k, starved);
		TAILQ_INSERT_TAIL(&st->starved, k, starved);
		tcp_again(k->c);
	}
}

void servetcp_tick(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb)
{
	struct servetcp *st = w->serve->tcp;

	begin(st, c, lb);
	weigh(st);
	end_overdue(st);
	if (st->n_to_look > 0 || st->is_short)
		look_at_some(st);
	if (st->n_starved > 0)
		feed(st);
	tcp_poll(st->tcp, w->now_us);
	servetcp_send(st);
}

void servetcp_go_on(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb)
{
	struct servetcp *st = w->serve->tcp;

	begin(st, c, lb);
	tcp_poll(st->tcp, w->now_us);
	servetcp_send(st);
}
