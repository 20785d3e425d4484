/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serveudp — see serveudp.h. A burst goes through twice: first every datagram is checked and its first request read, then what
 * these look up is found at once, and each datagram is answered, with what else it has. Several requests of one datagram are
 * executed in their order; of different ones in any, as the network may deliver them so.
 *
 * opt: what most datagrams are, a look at one key in text, is told apart at once (proto/mc_get.h, mc_mget.h), and its answer is written into
 * its buffer: no request is made of it, and no bytes are copied but those of a meta get. If the answer is too long for one frame, or more is to
 * be done, it goes on as all others.
 *
 *  S1  a datagram's buffer stays until its last request is answered: requests point into it
 *  S2  what is found stays until the worker reports quiescent (kv/seg.h), so answers are copied in this loop
 */
#include "serve/serveudp.h"

#include "base/csum.h"
#include "base/keyhash.h"
#include "core/capture.h"
#include "proto/mc_mget.h"
#include "proto/mc_udp.h"
#include "serve/serve_pvt.h"
#include "serve/udpreply.h"

#include <rte_malloc.h>
#include <rte_udp.h>

#include <errno.h>

/* Bytes of a request that is copied: of one with the longest key, and what else is usual. */
#define COPY_MAX 288u

/* A datagram that is being answered. */
struct datagram {
	const uint8_t *p; /* what is left of its requests */
	uint32_t len;
	uint64_t source; /* hash of who asks, for the rate of answers; 0: not made yet */
	uint16_t id;
	uint8_t i;               /* of the burst */
	uint8_t status;          /* enum mc_status of its first request */
	uint8_t drop;            /* enum pkt_drop: why there is no answer, if there is none */
	bool is_copied;          /* p is no part of the packet */
	bool is_used;            /* the packet's buffer has become an answer's */
	uint32_t n_bytes;        /* of the packet as it came */
	struct rte_mbuf *answer; /* the last frame so far: takes the place of the request */
};

/* A datagram that is one look at a key and nothing else, and whose buffer takes the answer. */
struct look {
	uint8_t *text;   /* of the request */
	uint64_t source; /* hash of who asks */
	uint16_t len;    /* of the text */
	uint16_t id;
	uint8_t i; /* of the burst */
	bool is_meta;
	struct mc_mget meta; /* pointing into a copy of the text */
};

/* A burst. */
struct call {
	struct worker *w;
	struct serve_worker *sw;
	struct serveudp *u;
	const struct serve_conf *conf;
	const struct lb_conf *lb;
	struct burst *b;
	struct rte_mempool *pool;
	uint64_t begun;            /* cycle */
	struct rte_ether_addr mac; /* of the port */
	uint16_t room[2];          /* bytes of an answer in a frame: over IPv4, over IPv6 */
	/* opt: of packets of one service behind each other: what is counted is added to its own when another comes */
	struct serve_tally tally;
	uint32_t service_idx;
	const struct acl *acl;
	const struct serve_service *service;
	/* requests to one cache */
	const struct cache *cache;
	unsigned n_looks, n_others;
	struct look looks[BURST_MAX];
	struct datagram others[BURST_MAX];
	struct assoc_probe probes[BURST_MAX]; /* those of the looks first */
};

struct serveudp {
	struct call call;
	struct mc_request requests[BURST_MAX]; /* the first one of each datagram */
	/* Of datagrams whose buffer takes the answer: those of looks from the last place on, of the others from the first, as are their
	 * requests. opt: 16 bytes more, as they are copied by 16 */
	uint8_t copies[BURST_MAX][COPY_MAX + 16] __rte_cache_aligned;
	struct udpreply_stock stock;      /* of one call */
	struct rte_mbuf *done[BURST_MAX]; /* requests that were answered, to be freed at once */
	unsigned n_done;
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

static void select_service(struct call *x, uint32_t service_idx)
{
	x->service_idx = service_idx;
	x->acl = x->lb->services[service_idx]->acl;
	x->service = &x->conf->services[service_idx];
}

/* Of packet i's service, which is the selected one then. */
static inline struct serve_tally *tally_of_packet(struct call *x, unsigned i)
{
	const uint32_t service_idx = x->b->p[i].service_idx;

	if (unlikely(x->service_idx != service_idx)) {
		flush_tally(x);
		select_service(x, service_idx);
	}
	return &x->tally;
}

static void refuse(struct call *x, unsigned i, enum pkt_drop reason)
{
	tally_of_packet(x, i)->drops++;
	pkt_drop(&x->b->p[i], reason);
}

/* What the device says of it does not count: nic.c asks none to look, since virtio would then bring datagrams whose
 * checksum is still to be filled in; and drivers that were not asked (net_e1000_igb) call every checksum good. */
static bool is_checksum_right(const struct rte_mbuf *m, const struct pkt *p, uint32_t n_udp)
{
	const struct rte_udp_hdr *uh =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);

	if (uh->dgram_cksum == 0)
		return p->family == 4; /* RFC 768, RFC 8200 8.1 */
	/* opt: of each family by itself */
	return likely(p->family == 4) ? csum_l4(p->src, p->dst, 4, IPPROTO_UDP, uh, n_udp) == 0
				      : csum_l4(p->src, p->dst, 16, IPPROTO_UDP, uh, n_udp) == 0;
}

/* Whether n bytes from p on are of the buffer. */
static inline bool has_behind(const struct rte_mbuf *m, const uint8_t *p, uint32_t n)
{
	return n <= (const uint8_t *)m->buf_addr + m->buf_len - p;
}

/* opt: a fixed number of bytes at a time, and no call. Up to 15 behind the last one are read and written. */
static inline void copy_by_16(uint8_t *to, const uint8_t *p, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += 16)
		memcpy(to + at, p + at, 16);
}

static bool copy_request(const struct rte_mbuf *m, struct datagram *d, uint8_t *to)
{
	if (unlikely(d->len > COPY_MAX || !has_behind(m, d->p, d->len + 16)))
		return false;
	copy_by_16(to, d->p, d->len);
	d->p = to;
	return true;
}

static inline uint64_t hash_source(const struct pkt *p)
{
	return likely(p->family == 4) ? keyhash_4(p->src) : keyhash(p->src, 8);
}

/* What the answer quotes is copied. opt: when nothing of it is read any more for a while. */
static void keep_meta(
	uint8_t *copy, struct look *l, const uint8_t *p, uint32_t len, struct assoc_probe *probe)
{
	copy_by_16(copy, p, len);
	l->meta.key = copy + MC_MGET_WORD;
	l->meta.opaque = copy + (l->meta.opaque_len > 0 ? l->meta.opaque - p : 0);
	probe->key = l->meta.key;
}

/* Takes the datagram whose text is at p in if it is one look at a key. */
static inline bool admit_look(struct call *x, unsigned i, uint8_t *p, uint32_t len)
{
	const struct rte_mbuf *m = x->b->m[i];
	const struct pkt *pk = &x->b->p[i];
	struct look *l = &x->looks[x->n_looks];
	struct assoc_probe *probe = &x->probes[x->n_looks];
	uint32_t key_len = mc_get_parse(p, len);

	if (unlikely(!udpreply_takes(m, pk, x->room[pk->family != 4])))
		return false;
	l->is_meta = key_len == 0;
	if (key_len > 0) {
		probe->key = p + MC_GET_WORD;
	} else if (p[0] == 'm' && len <= COPY_MAX) {
		mc_mget_parse(&l->meta, p, len);
		key_len = l->meta.key_len;
		probe->key = l->meta.key;
	}
	if (key_len == 0)
		return false;
	probe->key_len = key_len;
	probe->hash = assoc_hash(probe->key, key_len);
	if (l->is_meta)
		keep_meta(x->u->copies[BURST_MAX - 1 - x->n_looks], l, p, len, probe);
	l->text = p;
	l->len = (uint16_t)len;
	l->i = (uint8_t)i;
	/* opt: the answer is longer than the request, if there is something */
	l->source = hash_source(pk);
	rate_prefetch_source(x->sw->sources, l->source);
	x->n_looks++;
	return true;
}

static void begin_datagram(struct datagram *d, const struct rte_mbuf *m, unsigned i)
{
	d->i = (uint8_t)i;
	d->drop = PKT_N_DROPS;
	d->source = 0;
	d->answer = NULL;
	d->n_bytes = m->pkt_len;
	d->is_used = d->is_copied = false;
}

/* Takes the packet in if it is a whole datagram of somebody who may ask. */
static void admit(struct call *x, unsigned i)
{
	struct rte_mbuf *m = x->b->m[i];
	const struct pkt *p = &x->b->p[i];
	struct serve_tally *t = &x->tally;
	struct rte_udp_hdr *uh = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, p->l4_off);
	struct datagram *d;
	uint8_t *text;
	uint32_t n_udp;
	uint16_t id;

	t->rx_packets++;
	t->rx_bytes += m->pkt_len;
	if (unlikely(!acl_allows(x->acl, p->src))) {
		t->acl_drops++;
		refuse(x, i, PKT_DROP_acl);
		return;
	}
	if (unlikely(p->flags & PKT_F_FRAGMENT || m->data_len < p->l4_off + p->l4_len)) {
		refuse(x, i, PKT_DROP_request_fragment);
		return;
	}
	n_udp = rte_be_to_cpu_16(uh->dgram_len);
	if (unlikely(!is_checksum_right(m, p, n_udp))) {
		refuse(x, i, PKT_DROP_udp_checksum);
		return;
	}
	text = (uint8_t *)(uh + 1);
	n_udp -= (uint32_t)sizeof(*uh);
	if (unlikely(mc_udp_parse(text, n_udp, &id) != MC_UDP_REQUEST)) {
		refuse(x, i, PKT_DROP_mc_frame);
		return;
	}
	text += MC_UDP_HEADER;
	n_udp -= MC_UDP_HEADER;
	x->looks[x->n_looks].id = id;
	if (likely(has_behind(m, text, n_udp + MC_GET_BEHIND))
		&& likely(admit_look(x, i, text, n_udp)))
		return;
	d = &x->others[x->n_others++];
	begin_datagram(d, m, i);
	d->p = text;
	d->len = n_udp;
	d->id = id;
}

/* An answer longer than the request is what an attacker who forges sources wants: those are counted against the source. */
static inline bool is_within_rate(const struct call *x, uint64_t source, uint32_t n_bytes)
{
	const struct rate_limit *l = &x->service->reply;

	return rate_take_source_units(x->sw->sources, source, l,
		((uint64_t)n_bytes * l->cost + 1023) / 1024, x->w->now_ms);
}

static bool may_answer(const struct call *x, struct datagram *d, uint32_t n_bytes)
{
	if (n_bytes <= d->n_bytes)
		return true;
	if (d->source == 0)
		d->source = hash_source(&x->b->p[d->i]);
	return is_within_rate(x, d->source, n_bytes);
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
	if (unlikely(!may_answer(x, d, a->n_bytes))) {
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

/* The answer becomes again the request that it was, in case somebody looks at what is dropped. */
static void restore(struct rte_mbuf *m, const struct look *l, uint32_t key_len, bool is_hit)
{
	uint8_t *const to = l->text;

	if (l->is_meta) {
		memcpy(to, l->meta.key - MC_MGET_WORD, l->len);
	} else if (is_hit) {
		memmove(to + MC_GET_WORD, to + MC_GET_HIT_WORD, key_len);
		memcpy(to, "get ", MC_GET_WORD);
		memcpy(to + MC_GET_WORD + key_len, "\r\n", 2);
	}
	set_length(m, to + l->len);
}

/* Writes the answer to a get over it; NULL: it takes several frames. */
static inline uint8_t *write_get(
	const struct look *l, const struct assoc_probe *probe, uint32_t room)
{
	const struct item *it = probe->item;
	uint32_t value_len;

	if (unlikely(it == NULL))
		return mc_get_miss(l->text); /* shorter than what was asked */
	value_len = item_value_len(it);
	if (unlikely(mc_get_bytes_max(probe->key_len, value_len) > room))
		return NULL;
	return mc_get_hit(
		l->text, probe->key, probe->key_len, item_flags(it), item_value(it), value_len);
}

/* The same of a meta get, or there is more to be done: one who comes first may win, a miss may be said by silence. */
static uint8_t *write_meta(const struct kv_writer *w, const struct look *l,
	const struct assoc_probe *probe, uint32_t room)
{
	const struct item *it = probe->item;
	struct mc_mget_item shown;

	if (it == NULL)
		return probe->marks != 0 || l->meta.is_quiet
				|| mc_mget_bytes_max(&l->meta, 0) > room
			? NULL
			: mc_mget_miss(l->text, &l->meta);
	if (unlikely(probe->marks != 0 || (item_when(it) & (ITEM_STALE | ITEM_WON)) != 0
		    || mc_mget_bytes_max(&l->meta, item_value_len(it)) > room))
		return NULL;
	shown = (struct mc_mget_item){.value = item_value(it),
		.value_len = item_value_len(it),
		.flags = item_flags(it),
		.cas = item_cas(it),
		.ttl = kv_ttl(w, it)};
	return mc_mget_hit(l->text, &l->meta, &shown);
}

/* A look that has been made. false: it is to go on as all others. */
static bool answer_look(struct call *x, const struct look *l, const struct serve_asked *with,
	const struct assoc_probe *probe)
{
	struct rte_mbuf *m = x->b->m[l->i];
	struct pkt *p = &x->b->p[l->i];
	const uint32_t room = x->room[p->family != 4], n_asked = m->pkt_len;
	struct serve_tally *t = tally_of_packet(x, l->i);
	const uint8_t *const end = unlikely(l->is_meta)
		? write_meta(with->mc.writer, l, probe, room)
		: write_get(l, probe, room);

	if (unlikely(end == NULL))
		return false;
	set_length(m, end);
	t->requests++;
	if (m->pkt_len > n_asked && unlikely(!is_within_rate(x, l->source, m->pkt_len))) {
		restore(m, l, probe->key_len, probe->item != NULL);
		refuse(x, l->i, PKT_DROP_reply_rate);
		return true;
	}
	t->tx_packets++;
	t->tx_bytes += m->pkt_len;
	udpreply_turn(m, p, &x->mac, l->id);
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
	serve_take_time(with, l->is_meta ? MC_META_GET : MC_GET);
	return true;
}

/* Reads the first requests of d[0..n) into their places from this one on. Returns how many need a buffer for their answer. */
static unsigned read_first(struct call *x, struct datagram *d, unsigned n, unsigned place,
	const struct mc_limits *limits)
{
	unsigned n_buffers = 0;

	for (unsigned k = 0; k < n; k++) {
		d[k].is_copied = copy_request(x->b->m[d[k].i], &d[k], x->u->copies[place + k]);
		n_buffers += !d[k].is_copied;
	}
	/* opt: apart from the loop before, which has just written what is read here */
	for (unsigned k = 0; k < n; k++)
		d[k].status =
			(uint8_t)mc_parse(&x->u->requests[place + k], d[k].p, d[k].len, limits);
	return n_buffers;
}

/* A look that goes on as all others: in its own place. */
static void answer_slowly(
	struct call *x, unsigned k, const struct serve_asked *with, const struct mc_limits *limits)
{
	const struct look *l = &x->looks[k];
	const unsigned place = BURST_MAX - 1 - k;
	struct datagram d;

	begin_datagram(&d, x->b->m[l->i], l->i);
	d.p = l->text;
	d.len = l->len;
	d.id = l->id;
	d.source = l->source;
	read_first(x, &d, 1, place, limits);
	answer(x, &d, &x->u->requests[place], with, &x->probes[k]);
}

/* Fills *probe if what the datagram asks for first is a lookup. */
static bool probe_first(const struct call *x, struct datagram *d, const struct mc_request *r,
	struct assoc_probe *probe)
{
	if (d->status != MC_OK || !servemc_is_lookup(r))
		return false;
	servemc_probe(r, probe);
	d->source = hash_source(&x->b->p[d->i]);
	rate_prefetch_source(x->sw->sources, d->source);
	return true;
}

/* All that was taken in for one cache. */
static void run_cache(struct call *x)
{
	const struct mc_limits limits = {
		.value_max = cacheset_value_max(&x->cache->spec), .is_datagram = true};
	unsigned n_probes = x->n_looks;
	uint8_t probe_of[BURST_MAX];
	struct serve_asked with;

	serve_ask(&with, x->w, x->cache, x->begun);
	udpreply_stock_take(
		&x->u->stock, x->pool, read_first(x, x->others, x->n_others, 0, &limits));
	for (unsigned k = 0; k < x->n_others; k++) {
		const bool is_lookup =
			probe_first(x, &x->others[k], &x->u->requests[k], &x->probes[n_probes]);

		probe_of[k] = (uint8_t)(is_lookup ? n_probes : BURST_MAX);
		n_probes += is_lookup;
	}
	if (likely(n_probes > 0)) {
		kv_get_bulk(with.mc.writer, x->probes, n_probes);
		with.mc.on_lookups(with.mc.ctx, x->probes, n_probes);
	}
	for (unsigned k = 0; k < x->n_looks; k++) {
		if (unlikely(!answer_look(x, &x->looks[k], &with, &x->probes[k])))
			answer_slowly(x, k, &with, &limits);
	}
	for (unsigned k = 0; k < x->n_others; k++)
		answer(x, &x->others[k], &x->u->requests[k], &with,
			probe_of[k] < BURST_MAX ? &x->probes[probe_of[k]] : NULL);
	udpreply_stock_give(&x->u->stock);
	if (x->u->n_done > 0)
		rte_pktmbuf_free_bulk(x->u->done, x->u->n_done);
	x->u->n_done = 0;
	x->n_looks = x->n_others = 0;
}

void serveudp_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n)
{
	const struct iface *iface = &w->ifaces->of[b->in_iface];
	struct call *x = &w->serve->udp->call;

	x->w = w;
	x->sw = w->serve;
	x->u = w->serve->udp;
	x->conf = c;
	x->lb = lb;
	x->b = b;
	x->begun = rte_rdtsc();
	x->mac = iface->mac;
	x->room[0] = udpreply_room(iface, 4);
	x->room[1] = udpreply_room(iface, 6);
	x->pool = b->m[sel[0]]->pool;
	x->n_looks = x->n_others = 0;
	select_service(x, b->p[sel[0]].service_idx);
	x->cache = x->service->cache;
	/* opt: the key is where the second cache line begins */
	for (unsigned k = 0; k < n; k++)
		rte_prefetch0(rte_pktmbuf_mtod_offset(
			b->m[sel[k]], const uint8_t *, RTE_CACHE_LINE_SIZE));
	for (unsigned k = 0; k < n; k++) {
		tally_of_packet(x, sel[k]);
		if (unlikely(x->service->cache != x->cache)) {
			const struct cache *cache = x->service->cache;

			run_cache(x);
			x->cache = cache;
			tally_of_packet(x, sel[k]);
		}
		admit(x, sel[k]);
	}
	run_cache(x);
	flush_tally(x);
}
