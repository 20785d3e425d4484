/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serveudp — see serveudp.h. A burst goes through twice: first every datagram is checked and its first request read, then what
 * these look up is found at once, and each datagram is answered, with what else it has. Several requests of one datagram are
 * executed in their order; of different ones in any, as the network may deliver them so.
 *
 * opt: what most datagrams are, a get of one key in text, is told apart at once (proto/mc_get.h), and its answer is written into its
 * buffer: no request is made of it and no bytes are copied. If the value is too long for one frame it goes on as all others.
 *
 *  S1  a datagram's buffer stays until its last request is answered: requests point into it
 *  S2  what is found stays until the worker reports quiescent (kv/seg.h), so answers are copied in this loop
 */
#include "serve/serveudp.h"

#include "base/csum.h"
#include "base/keyhash.h"
#include "core/capture.h"
#include "proto/mc_get.h"
#include "proto/mc_udp.h"
#include "serve/serve_pvt.h"
#include "serve/udpreply.h"

#include <rte_malloc.h>
#include <rte_udp.h>

#include <errno.h>

/* Bytes of a request that is copied: of one with the longest key, and what else is usual. */
#define COPY_MAX 288u

struct serveudp {
	struct mc_request requests[BURST_MAX]; /* the first one of each datagram */
	/* opt: of datagrams whose buffer takes the answer; 16 bytes more, as they are copied by 16 */
	uint8_t copies[BURST_MAX][COPY_MAX + 16] __rte_cache_aligned;
	struct udpreply_stock stock;      /* of one call */
	struct rte_mbuf *done[BURST_MAX]; /* requests that were answered, to be freed at once */
	unsigned n_done;
};

/* A datagram that is being answered. */
struct datagram {
	const uint8_t *p; /* what is left of its requests */
	uint32_t len;
	uint64_t source; /* hash of who asks, for the rate of answers; 0: not made yet */
	uint16_t id;
	uint8_t i;        /* of the burst */
	uint8_t status;   /* enum mc_status of its first request */
	uint8_t drop;     /* enum pkt_drop: why there is no answer, if there is none */
	uint8_t key_len;  /* of a get of one key, whose buffer takes the answer; 0: of others */
	bool is_copied;   /* p is no part of the packet */
	bool is_used;     /* the packet's buffer has become an answer's */
	uint32_t n_bytes; /* of the packet as it came */
	struct rte_mbuf *answer; /* the last frame so far: takes the place of the request */
};

struct call {
	struct worker *w;
	struct serve_worker *sw;
	struct serveudp *u;
	const struct serve_conf *conf;
	const struct lb_conf *lb;
	struct burst *b;
	uint64_t begun;            /* cycle */
	struct rte_ether_addr mac; /* of the port */
	uint16_t room[2];          /* bytes of an answer in a frame: over IPv4, over IPv6 */
	/* opt: of packets of one service behind each other, added to its own when another comes */
	struct serve_tally tally;
	uint32_t service_idx;
};

int serveudp_create(struct serveudp **out, int socket_id)
{
	*out = rte_zmalloc_socket("serve", sizeof(**out), RTE_CACHE_LINE_SIZE, socket_id);
	return *out != NULL ? 0 : -ENOMEM;
}

void serveudp_destroy(struct serveudp **u)
{
	rte_free(*u);
	*u = NULL;
}

static void flush_tally(struct call *x)
{
	serve_count_all(&x->sw->services[x->service_idx], &x->tally);
	memset(&x->tally, 0, sizeof(x->tally));
}

/* Of packet i's service. */
static inline struct serve_tally *tally_of_packet(struct call *x, unsigned i)
{
	const uint32_t service_idx = x->b->p[i].service_idx;

	if (unlikely(x->service_idx != service_idx)) {
		flush_tally(x);
		x->service_idx = service_idx;
	}
	return &x->tally;
}

static bool refuse(struct call *x, unsigned i, enum pkt_drop reason)
{
	tally_of_packet(x, i)->drops++;
	pkt_drop(&x->b->p[i], reason);
	return false;
}

/* What the device says of it does not count: nic.c asks none to look, since virtio would then bring datagrams whose
 * checksum is still to be filled in; and drivers that were not asked (net_e1000_igb) call every checksum good. */
static bool is_checksum_right(const struct rte_mbuf *m, const struct pkt *p, uint32_t n_udp)
{
	const struct rte_udp_hdr *uh =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);

	if (uh->dgram_cksum == 0)
		return p->family == 4; /* RFC 768, RFC 8200 8.1 */
	return csum_l4(p->src, p->dst, p->family == 4 ? 4 : 16, IPPROTO_UDP, uh, n_udp) == 0;
}

/* Whether n bytes behind the request are of its buffer too. */
static inline bool has_behind(const struct rte_mbuf *m, const struct datagram *d, uint32_t n)
{
	const uint8_t *const end = (const uint8_t *)m->buf_addr + m->buf_len;

	return d->len + n <= end - d->p;
}

/* opt: a fixed number of bytes at a time, and no call. */
static bool copy_request(const struct rte_mbuf *m, struct datagram *d, uint8_t *to)
{
	if (unlikely(d->len > COPY_MAX || !has_behind(m, d, 16)))
		return false;
	for (uint32_t at = 0; at < d->len; at += 16)
		memcpy(to + at, d->p + at, 16);
	d->p = to;
	return true;
}

/* Whether the packet is a whole datagram of somebody who may ask. Fills *d. */
static bool admit(struct call *x, unsigned i, struct datagram *d)
{
	const struct rte_mbuf *m = x->b->m[i];
	const struct pkt *p = &x->b->p[i];
	struct serve_tally *t = tally_of_packet(x, i);
	const struct rte_udp_hdr *uh =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);
	uint32_t n_udp;

	t->rx_packets++;
	t->rx_bytes += m->pkt_len;
	if (unlikely(!acl_allows(x->lb->services[p->service_idx]->acl, p->src))) {
		t->acl_drops++;
		return refuse(x, i, PKT_DROP_acl);
	}
	if (unlikely(p->flags & PKT_F_FRAGMENT || m->data_len < p->l4_off + p->l4_len))
		return refuse(x, i, PKT_DROP_request_fragment);
	n_udp = rte_be_to_cpu_16(uh->dgram_len);
	if (unlikely(!is_checksum_right(m, p, n_udp)))
		return refuse(x, i, PKT_DROP_udp_checksum);
	d->p = (const uint8_t *)(uh + 1);
	d->len = n_udp - (uint32_t)sizeof(*uh);
	if (unlikely(mc_udp_parse(d->p, d->len, &d->id) != MC_UDP_REQUEST))
		return refuse(x, i, PKT_DROP_mc_frame);
	d->p += MC_UDP_HEADER;
	d->len -= MC_UDP_HEADER;
	d->i = (uint8_t)i;
	d->drop = PKT_N_DROPS;
	d->source = 0;
	d->answer = NULL;
	d->n_bytes = m->pkt_len;
	d->is_used = d->is_copied = false;
	d->key_len = 0;
	if (likely(has_behind(m, d, MC_GET_BEHIND)))
		d->key_len = (uint8_t)mc_get_parse(d->p, d->len);
	if (d->key_len > 0 && unlikely(!udpreply_takes(m, p, x->room[p->family != 4])))
		d->key_len = 0;
	return true;
}

static inline uint64_t hash_source(const struct pkt *p)
{
	return keyhash(p->src, p->family == 4 ? 4 : 8);
}

/* An answer longer than the request is what an attacker who forges sources wants: those are counted against the source. */
static bool is_within_rate(const struct call *x, struct datagram *d, uint32_t n_bytes)
{
	const struct pkt *p = &x->b->p[d->i];
	const struct rate_limit *l = &x->conf->services[p->service_idx].reply;

	if (n_bytes <= d->n_bytes)
		return true;
	if (d->source == 0)
		d->source = hash_source(p);
	return rate_take_source_units(x->sw->sources, d->source, l,
		((uint64_t)n_bytes * l->cost + 1023) / 1024, x->w->now_ms);
}

/* The answer to one request of the datagram: its last frame waits, to take the datagram's place in the burst. */
static void send_answer(struct call *x, struct datagram *d, struct udpreply *a)
{
	const struct pkt *p = &x->b->p[d->i];
	struct serve_tally *t = tally_of_packet(x, d->i);
	struct rte_mbuf *m;

	if (unlikely(!udpreply_end(a))) {
		if (a->is_short)
			d->drop = PKT_DROP_no_mbuf;
		return;
	}
	if (unlikely(!is_within_rate(x, d, a->n_bytes))) {
		udpreply_free(a);
		d->drop = PKT_DROP_reply_rate;
		return;
	}
	m = udpreply_seal(a);
	d->is_used |= a->is_in_place;
	t->tx_packets += a->n;
	t->tx_bytes += a->n_bytes;
	do {
		if (unlikely(d->answer != NULL)) {
			x->w->tally->generated++;
			worker_tx(x->w, p->in_iface, d->answer);
		}
		d->answer = m;
		m = udpreply_next(a, m);
	} while (unlikely(m != NULL));
}

/* Executes what is left of the datagram, of which r is the first request. */
static void run_requests(struct call *x, struct datagram *d, struct mc_request *r,
	const struct serve_asked *with, struct udpreply *a)
{
	const struct servemc *s = &with->mc;
	const struct mc_limits limits = {.value_max = s->value_max, .is_datagram = true};
	unsigned status = d->status;

	for (;;) {
		if (unlikely(status != MC_OK && status != MC_ERROR)) {
			if (d->drop == PKT_N_DROPS)
				d->drop = PKT_DROP_mc_request;
			return;
		}
		tally_of_packet(x, d->i)->requests++;
		udpreply_begin(a, !r->is_quiet);
		if (status == MC_OK)
			servemc_execute(s, r, &a->out);
		else
			servemc_refuse(s, r, &a->out);
		send_answer(x, d, a);
		serve_take_time(with, (enum mc_verb)r->verb);
		d->p += r->consumed;
		d->len -= r->consumed;
		if (d->len == 0)
			return;
		status = mc_parse(r, d->p, d->len, &limits);
	}
}

/* The packet ends: with its answer in its place, or by the reason why there is none, or because none was asked for. */
static void end_datagram(struct call *x, struct datagram *d)
{
	struct pkt *p = &x->b->p[d->i];

	if (unlikely(d->answer == NULL && d->drop != PKT_N_DROPS)) {
		refuse(x, d->i, (enum pkt_drop)d->drop);
		return;
	}
	if (!d->is_used)
		x->u->done[x->u->n_done++] = x->b->m[d->i];
	if (unlikely(d->answer == NULL)) {
		p->verdict = PKT_GONE;
		x->w->tally->consumed++;
		if (unlikely(x->w->capture != NULL))
			capture_trace_served(x->w->capture, d->i);
		return;
	}
	x->b->m[d->i] = d->answer;
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
}

/* One datagram, whose first request has been looked up already if probe is not NULL. */
static void answer(struct call *x, struct datagram *d, struct mc_request *r,
	const struct serve_asked *with, const struct assoc_probe *probe)
{
	const struct servemc *s = &with->mc;
	const struct mc_limits limits = {.value_max = s->value_max, .is_datagram = true};
	const struct udpreply_request request = {.i = d->i,
		.id = d->id,
		.copy = d->is_copied ? d->p : NULL,
		.copy_len = (uint16_t)d->len};
	struct udpreply a;

	udpreply_init(&a, &x->u->stock, x->w, x->b, &request);
	if (likely(probe != NULL)) {
		tally_of_packet(x, d->i)->requests++;
		udpreply_begin(&a, !r->is_quiet || probe->item != NULL);
		servemc_answer(s, r, probe, &a.out);
		send_answer(x, d, &a);
		serve_take_time(with, (enum mc_verb)r->verb);
		d->p += r->consumed;
		d->len -= r->consumed;
		if (likely(d->len == 0)) {
			end_datagram(x, d);
			return;
		}
		d->status = (uint8_t)mc_parse(r, d->p, d->len, &limits);
	}
	run_requests(x, d, r, with, &a);
	end_datagram(x, d);
}

static void set_length(struct rte_mbuf *m, const uint8_t *end)
{
	m->data_len = (uint16_t)(end - rte_pktmbuf_mtod(m, const uint8_t *));
	m->pkt_len = m->data_len;
}

/* The answer of a hit becomes again the get that it was, in case somebody looks at what is dropped. */
static void restore_get(struct rte_mbuf *m, const struct datagram *d, uint8_t *to)
{
	memmove(to + MC_GET_WORD, to + MC_GET_HIT_WORD, d->key_len);
	memcpy(to, "get ", MC_GET_WORD);
	memcpy(to + MC_GET_WORD + d->key_len, "\r\n", 2);
	set_length(m, to + d->len);
}

/* A get whose key has been looked up. false: its answer takes several frames. */
static bool answer_get(struct call *x, struct datagram *d, const struct serve_asked *with,
	const struct assoc_probe *probe)
{
	struct rte_mbuf *m = x->b->m[d->i];
	struct pkt *p = &x->b->p[d->i];
	struct serve_tally *t = tally_of_packet(x, d->i);
	uint8_t *const to =
		rte_pktmbuf_mtod_offset(m, uint8_t *, d->p - rte_pktmbuf_mtod(m, uint8_t *));
	const struct item *it = probe->item;

	if (likely(it != NULL)) {
		const uint32_t value_len = item_value_len(it);

		if (unlikely(mc_get_bytes_max(d->key_len, value_len) > x->room[p->family != 4]))
			return false;
		set_length(m,
			mc_get_hit(to, probe->key, d->key_len, item_flags(it), item_value(it),
				value_len));
	} else {
		set_length(m, mc_get_miss(to)); /* shorter than what was asked */
	}
	t->requests++;
	if (unlikely(!is_within_rate(x, d, m->pkt_len))) {
		restore_get(m, d, to);
		refuse(x, d->i, PKT_DROP_reply_rate);
		return true;
	}
	t->tx_packets++;
	t->tx_bytes += m->pkt_len;
	udpreply_turn(m, p, &x->mac, d->id);
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
	serve_take_time(with, MC_GET);
	return true;
}

/* Fills *probe if what the datagram asks for first is a lookup. */
static bool probe_first(
	const struct call *x, struct datagram *d, struct mc_request *r, struct assoc_probe *probe)
{
	if (likely(d->key_len > 0)) {
		probe->key = d->p + MC_GET_WORD;
		probe->key_len = d->key_len;
		probe->hash = assoc_hash(probe->key, probe->key_len);
	} else if (d->status == MC_OK && servemc_is_lookup(r)) {
		servemc_probe(r, probe);
	} else {
		return false;
	}
	/* opt: the answer is longer than the request, if there is something */
	d->source = hash_source(&x->b->p[d->i]);
	rate_prefetch_source(x->sw->sources, d->source);
	return true;
}

/* Reads the first requests of those that are no plain gets, d[0..n). Returns how many need a buffer for their answer. */
static unsigned read_first(
	struct call *x, struct datagram *d, unsigned n, const struct mc_limits *limits)
{
	unsigned n_buffers = 0;

	for (unsigned k = 0; k < n; k++)
		if (unlikely(d[k].key_len == 0)) {
			d[k].is_copied = copy_request(x->b->m[d[k].i], &d[k], x->u->copies[k]);
			n_buffers += !d[k].is_copied;
		}
	/* opt: apart from the loop before, which has just written what is read here */
	for (unsigned k = 0; k < n; k++)
		if (unlikely(d[k].key_len == 0))
			d[k].status =
				(uint8_t)mc_parse(&x->u->requests[k], d[k].p, d[k].len, limits);
	return n_buffers;
}

/* Datagrams of one cache, d[0..n). */
static void run_cache(struct call *x, struct datagram *d, unsigned n, const struct cache *c)
{
	const struct mc_limits limits = {
		.value_max = cacheset_value_max(&c->spec), .is_datagram = true};
	struct mc_request *const r = x->u->requests;
	struct assoc_probe probes[BURST_MAX];
	uint8_t probe_of[BURST_MAX];
	struct serve_asked with;
	unsigned n_probes = 0;

	serve_ask(&with, x->w, c, x->begun);
	udpreply_stock_take(&x->u->stock, x->b->m[d[0].i]->pool, read_first(x, d, n, &limits));
	for (unsigned k = 0; k < n; k++) {
		const bool is_lookup = probe_first(x, &d[k], &r[k], &probes[n_probes]);

		probe_of[k] = (uint8_t)(is_lookup ? n_probes : BURST_MAX);
		n_probes += is_lookup;
	}
	if (likely(n_probes > 0)) {
		kv_get_bulk(with.mc.writer, probes, n_probes);
		with.mc.on_lookups(with.mc.ctx, probes, n_probes);
	}
	for (unsigned k = 0; k < n; k++) {
		const struct assoc_probe *probe =
			probe_of[k] < BURST_MAX ? &probes[probe_of[k]] : NULL;

		if (likely(d[k].key_len > 0)) {
			if (likely(answer_get(x, &d[k], &with, probe)))
				continue;
			d[k].key_len = 0;
			/* the first one's place is free, or its own */
			read_first(x, &d[k], 1, &limits);
			answer(x, &d[k], r, &with, probe);
			continue;
		}
		answer(x, &d[k], &r[k], &with, probe);
	}
	udpreply_stock_give(&x->u->stock);
	if (x->u->n_done > 0)
		rte_pktmbuf_free_bulk(x->u->done, x->u->n_done);
	x->u->n_done = 0;
}

void serveudp_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n)
{
	const struct iface *iface = &w->ifaces->of[b->in_iface];
	struct call x = {.w = w,
		.sw = w->serve,
		.u = w->serve->udp,
		.conf = c,
		.lb = lb,
		.b = b,
		.begun = rte_rdtsc(),
		.mac = iface->mac,
		.room = {udpreply_room(iface, 4), udpreply_room(iface, 6)},
		.service_idx = b->p[sel[0]].service_idx};
	struct datagram d[BURST_MAX];
	const struct cache *cache = NULL;
	unsigned first = 0, n_d = 0;

	/* opt: the key is where the second cache line begins */
	for (unsigned k = 0; k < n; k++)
		rte_prefetch0(rte_pktmbuf_mtod_offset(
			b->m[sel[k]], const uint8_t *, RTE_CACHE_LINE_SIZE));
	for (unsigned k = 0; k < n; k++)
		n_d += admit(&x, sel[k], &d[n_d]);
	for (unsigned k = 0; k < n_d; k++) {
		const struct cache *its = c->services[b->p[d[k].i].service_idx].cache;

		if (unlikely(its != cache && k > first)) {
			run_cache(&x, &d[first], k - first, cache);
			first = k;
		}
		cache = its;
	}
	if (n_d > first)
		run_cache(&x, &d[first], n_d - first, cache);
	flush_tally(&x);
}
