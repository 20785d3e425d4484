/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frag — see frag.h. A table of sets of eight entries, keyed by what the pieces of a datagram have
 * in common: addresses and identification, over IPv4 the protocol too (RFC 791; over IPv6 each
 * piece may name another next header, and the first one's counts, RFC 8200 4.5). Cost: one line of
 * tags and two of the entry, whatever comes.
 *
 * An entry knows which ranges of its datagram have passed. Pieces are passed on, not put together;
 * so that a receiver cannot be shown a second version of bytes that it has (RFC 5722, RFC 1858, RFC
 * 3128), a piece that overlaps what has passed is refused, and the rest of its datagram with it.
 * One that lies inside of what has passed, as a network that duplicates makes them, is dropped
 * alone (RFC 8200 4.5). A complete datagram leaves the table at once: at a gigabit the 16 bits of
 * an IPv4 identification come again in less than two seconds.
 *
 * Time: receivers wait 15 to 120 s for what is missing (RFC 791, RFC 1122, RFC 8200), as a piece
 * may be late by that. Here it is 5 s: pieces that take several ways are some ms apart, and an
 * identification that is used again must not find its predecessor.
 *
 * A flood must not refuse service to others. In a full set the oldest makes room; when all early
 * pieces that may be held are, those of the datagram that has waited longest are dropped. Datagrams
 * of others pass in less time than it takes a flood to go through either. What one source may have
 * of both is limited.
 *
 *  I1  an entry is in use if its tag is not 0; it is in one of the two queues then, which are in
 *      order of time
 *  I2  a WAITING entry holds one packet at least, the others hold none
 *  I3  ranges are in order, disjoint, and do not touch
 *  I4  the tallies of a source are the sums over the entries that name it
 */
#include "net/frag.h"

#include "base/keyhash.h"
#include "core/mbufs.h"

#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_tcp.h>

#include <errno.h>

#define WAYS 8u
#define N_SETS (FRAG_ENTRIES_MAX / WAYS)
#define RANGES_MAX 12u
#define N_SOURCES 1024u /* tallies; two sources may share one */
#define EXPIRE_MAX 32u  /* entries ended per tick */
#define NONE UINT16_MAX

struct key { /* hashed and compared as bytes */
	uint8_t src[16], dst[16];
	uint32_t id;
	uint8_t proto; /* IPv6: 0 */
	uint8_t family;
	uint8_t zero[2];
};
_Static_assert(sizeof(struct key) == 40, "no padding");

enum state {
	WAITING,
	KNOWN,
	SPOILT
}; /* for the first fragment; its ports are here; nothing more of it may pass */

struct entry {
	struct key key;
	uint32_t since_ms;
	uint8_t state;
	uint8_t n_ranges;
	uint8_t n_held;
	uint8_t proto; /* KNOWN */
	rte_be16_t sport, dport;
	uint16_t end; /* bytes of the whole, 0 until the last one has come */
	uint16_t source;
	uint16_t older, newer;
	struct {
		uint16_t from, to;
	} ranges[RANGES_MAX];
	struct rte_mbuf *first, *last; /* held, in order of arrival */
} __rte_cache_aligned;
_Static_assert(sizeof(struct entry) == 128, "two cache lines");

struct queue {
	uint16_t oldest, newest;
};

struct set {
	uint32_t tags[WAYS];
};

struct frag_table {
	struct queue queues[2]; /* WAITING, the others */
	uint32_t n_held;
	struct rte_mbuf *ready, *ready_last; /* early pieces whose first one has come */
	uint16_t entries_of[N_SOURCES], held_of[N_SOURCES];
	struct burst released;
	struct set sets[N_SETS] __rte_cache_aligned;
	struct entry entries[FRAG_ENTRIES_MAX];
};

/* What a fragment says of itself. */
struct piece {
	struct key key;
	uint64_t hash;
	uint32_t from, to; /* bytes of the fragmentable part */
	uint32_t before;   /* bytes that count in the length of the whole, in front of it */
	bool is_last;
};

int frag_table_create(struct frag_table **out, int socket_id)
{
	struct frag_table *t =
		rte_zmalloc_socket("frag_table", sizeof(*t), RTE_CACHE_LINE_SIZE, socket_id);

	if (t == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < 2; i++)
		t->queues[i] = (struct queue){NONE, NONE};
	*out = t;
	return 0;
}

static void free_chain(struct rte_mbuf *m)
{
	while (m != NULL) {
		struct rte_mbuf *next = pkt_note(m)->next;

		rte_pktmbuf_free(m);
		m = next;
	}
}

void frag_table_destroy(struct frag_table **t)
{
	if (*t == NULL)
		return;
	free_chain((*t)->ready);
	for (uint16_t i = (*t)->queues[WAITING].oldest; i != NONE; i = (*t)->entries[i].newer)
		free_chain((*t)->entries[i].first);
	rte_free(*t);
	*t = NULL;
}

/* --- what a fragment says --- */

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Where the fragment header is; parse has walked the same way and found one. */
static uint32_t find_header6(const uint8_t *ip)
{
	uint32_t at = sizeof(struct rte_ipv6_hdr);
	uint8_t next = ip[6];

	while (next != IPPROTO_FRAGMENT) {
		const uint32_t len =
			next == IPPROTO_AH ? (ip[at + 1] + 2u) * 4 : (ip[at + 1] + 1u) * 8;

		next = ip[at];
		at += len;
	}
	return at;
}

static void read_piece(struct piece *x, const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);
	const uint32_t end = p->l4_off + p->l4_len - p->l3_off;
	uint32_t at, word;

	memset(&x->key, 0, sizeof(x->key));
	memcpy(x->key.src, p->src, sizeof(x->key.src));
	memcpy(x->key.dst, p->dst, sizeof(x->key.dst));
	x->key.family = p->family;
	if (p->family == 4) {
		x->key.proto = p->proto;
		x->key.id = load16(ip + 4);
		word = load16(ip + 6);
		x->from = (word & RTE_IPV4_HDR_OFFSET_MASK) * RTE_IPV4_HDR_OFFSET_UNITS;
		x->is_last = !(word & RTE_IPV4_HDR_MF_FLAG);
		at = x->before = p->l4_off - p->l3_off;
	} else {
		at = find_header6(ip);
		memcpy(&x->key.id, ip + at + 4, 4);
		word = load16(ip + at + 2);
		x->from = word & 0xfff8;
		x->is_last = !(word & 1);
		x->before = at - (uint32_t)sizeof(struct rte_ipv6_hdr);
		at += 8;
	}
	x->to = x->from + end - at;
	x->hash = keyhash(&x->key, sizeof(x->key));
}

static inline unsigned owner_of(const struct worker *w, const struct piece *x)
{
	return (unsigned)(x->hash >> 16 & UINT16_MAX) % w->n_workers;
}

unsigned frag_owner(const struct worker *w, const struct burst *b, unsigned i)
{
	struct piece x;

	read_piece(&x, b->m[i], &b->p[i]);
	return owner_of(w, &x);
}

/* What is wrong with a piece, whatever the others say. The second piece of a TCP segment must not
 * bring its flags (RFC 3128); that the first one has the whole header is the parser's to see. */
static bool is_malformed(const struct piece *x)
{
	return x->to == x->from || (!x->is_last && x->to % 8 != 0)
		|| x->before + x->to > UINT16_MAX;
}

static bool is_tiny(const struct piece *x, const struct pkt *p)
{
	return p->proto == IPPROTO_TCP && x->from > 0 && x->from < sizeof(struct rte_tcp_hdr);
}

/* --- ranges --- */

enum fit { FITS, IS_THERE, OVERLAPS, TOO_MANY };

/* Adds [from, to) to the ranges of the entry, which grow together where they touch. */
static enum fit add_range(struct entry *e, uint16_t from, uint16_t to)
{
	unsigned at = 0, next;
	bool grows_left, grows_right;

	while (at < e->n_ranges && e->ranges[at].to < from)
		at++;
	if (at < e->n_ranges && e->ranges[at].from <= from && to <= e->ranges[at].to)
		return IS_THERE;
	grows_left = at < e->n_ranges && e->ranges[at].to == from;
	next = at + grows_left;
	if (next < e->n_ranges && e->ranges[next].from < to)
		return OVERLAPS;
	grows_right = next < e->n_ranges && e->ranges[next].from == to;
	if (grows_left && grows_right) {
		e->ranges[at].to = e->ranges[next].to;
		e->n_ranges--;
		memmove(&e->ranges[next], &e->ranges[next + 1],
			(e->n_ranges - next) * sizeof(e->ranges[0]));
	} else if (grows_left) {
		e->ranges[at].to = to;
	} else if (grows_right) {
		e->ranges[next].from = from;
	} else if (e->n_ranges < RANGES_MAX) {
		memmove(&e->ranges[at + 1], &e->ranges[at],
			(e->n_ranges - at) * sizeof(e->ranges[0]));
		e->ranges[at].from = from;
		e->ranges[at].to = to;
		e->n_ranges++;
	} else {
		return TOO_MANY;
	}
	return FITS;
}

/* Whether the piece and the end of the datagram are at odds. */
static bool is_past_end(const struct entry *e, const struct piece *x)
{
	if (e->end != 0)
		return x->to > e->end || (x->is_last && x->to != e->end);
	return x->is_last && e->n_ranges > 0 && e->ranges[e->n_ranges - 1].to > x->to;
}

static bool is_complete(const struct entry *e)
{
	return e->n_ranges == 1 && e->ranges[0].from == 0 && e->ranges[0].to == e->end;
}

/* --- entries --- */

static inline struct queue *queue_of(struct frag_table *t, const struct entry *e)
{
	return &t->queues[e->state != WAITING];
}

static void enqueue(struct frag_table *t, uint16_t idx)
{
	struct entry *e = &t->entries[idx];
	struct queue *q = queue_of(t, e);

	e->older = q->newest;
	e->newer = NONE;
	if (q->newest != NONE)
		t->entries[q->newest].newer = idx;
	else
		q->oldest = idx;
	q->newest = idx;
}

static void dequeue(struct frag_table *t, uint16_t idx)
{
	const struct entry *e = &t->entries[idx];
	struct queue *q = queue_of(t, e);

	if (e->older != NONE)
		t->entries[e->older].newer = e->newer;
	else
		q->oldest = e->newer;
	if (e->newer != NONE)
		t->entries[e->newer].older = e->older;
	else
		q->newest = e->older;
}

static void set_state(struct worker *w, uint16_t idx, enum state state)
{
	struct entry *e = &w->frag->entries[idx];

	dequeue(w->frag, idx);
	e->state = (uint8_t)state;
	e->since_ms = w->now_ms;
	enqueue(w->frag, idx);
}

/* Takes the held packets out of the entry. */
static struct rte_mbuf *take_held(struct worker *w, struct entry *e)
{
	struct rte_mbuf *m = e->first;

	w->tally->fragments_released += e->n_held;
	w->frag->n_held -= e->n_held;
	w->frag->held_of[e->source] = (uint16_t)(w->frag->held_of[e->source] - e->n_held);
	e->n_held = 0;
	e->first = e->last = NULL;
	return m;
}

static void drop_held(struct worker *w, struct entry *e, enum pkt_drop reason)
{
	struct rte_mbuf *m = take_held(w, e);

	while (m != NULL) {
		struct rte_mbuf *next = pkt_note(m)->next;

		worker_drop(w, m, reason);
		m = next;
	}
}

/* Ends the entry; held packets are dropped for this reason. */
static void close_entry(struct worker *w, uint16_t idx, enum pkt_drop reason)
{
	struct frag_table *t = w->frag;
	struct entry *e = &t->entries[idx];

	drop_held(w, e, reason);
	dequeue(t, idx);
	t->entries_of[e->source]--;
	t->sets[idx / WAYS].tags[idx % WAYS] = 0;
}

/* Nothing more of the datagram may pass. */
static void spoil(struct worker *w, uint16_t idx, enum pkt_drop reason)
{
	drop_held(w, &w->frag->entries[idx], reason);
	set_state(w, idx, SPOILT);
}

static inline bool is_over(const struct worker *w, const struct entry *e)
{
	return w->now_ms - e->since_ms >= FRAG_TIMEOUT_MS;
}

static inline uint32_t tag_of(const struct piece *x)
{
	return (uint32_t)(x->hash >> 32) | 1;
}

/* The entry of the piece's datagram; one whose time is over ends. */
static uint16_t find(struct worker *w, const struct piece *x)
{
	struct frag_table *t = w->frag;
	const unsigned at = x->hash % N_SETS;

	for (unsigned i = 0; i < WAYS; i++) {
		const uint16_t idx = (uint16_t)(at * WAYS + i);

		if (t->sets[at].tags[i] != tag_of(x)
			|| memcmp(&t->entries[idx].key, &x->key, sizeof(x->key)) != 0)
			continue;
		if (!is_over(w, &t->entries[idx]))
			return idx;
		close_entry(w, idx, PKT_DROP_fragment_timeout);
		break;
	}
	return NONE;
}

/* A free place of the set; the oldest entry makes room. */
static uint16_t take_place(struct worker *w, unsigned at)
{
	struct frag_table *t = w->frag;
	uint16_t oldest = (uint16_t)(at * WAYS);

	for (unsigned i = 0; i < WAYS; i++) {
		const uint16_t idx = (uint16_t)(at * WAYS + i);

		if (t->sets[at].tags[i] == 0)
			return idx;
		if (w->now_ms - t->entries[idx].since_ms > w->now_ms - t->entries[oldest].since_ms)
			oldest = idx;
	}
	close_entry(w, oldest, PKT_DROP_fragment_hold_full);
	return oldest;
}

/* Who the packet says it is from: over IPv6 a host may have as many addresses of its /64 as it
 * likes. */
static uint16_t source_of(const struct key *key)
{
	return (uint16_t)(keyhash(key->src, key->family == 4 ? 4 : 8) % N_SOURCES);
}

/* A new entry, in the queue of its state; NONE where its source has all that it may have. */
static uint16_t open_entry(struct worker *w, const struct piece *x)
{
	struct frag_table *t = w->frag;
	const enum state state = x->from == 0 ? KNOWN : WAITING;
	const uint16_t source = source_of(&x->key);
	struct entry *e;
	uint16_t idx;

	if (t->entries_of[source] >= FRAG_SOURCE_ENTRIES_MAX
		|| (state == WAITING && t->held_of[source] >= FRAG_HELD_SOURCE_MAX))
		return NONE;
	idx = take_place(w, x->hash % N_SETS);
	e = &t->entries[idx];
	memset(e, 0, sizeof(*e));
	e->key = x->key;
	e->since_ms = w->now_ms;
	e->state = (uint8_t)state;
	e->source = source;
	t->entries_of[source]++;
	t->sets[idx / WAYS].tags[idx % WAYS] = tag_of(x);
	enqueue(t, idx);
	return idx;
}

/* --- packets --- */

static void append(struct rte_mbuf **first, struct rte_mbuf **last, struct rte_mbuf *m)
{
	pkt_note(m)->next = NULL;
	if (*first == NULL)
		*first = m;
	else
		pkt_note(*last)->next = m;
	*last = m;
}

/* Keeps an early piece. When its own datagram or its source have what they may have, the datagram
 * is given up; when the worker has, that which has waited longest. */
static void hold(struct worker *w, struct burst *b, unsigned i, uint16_t idx)
{
	struct frag_table *t = w->frag;
	struct entry *e = &t->entries[idx];
	struct pkt *p = &b->p[i];

	if (t->n_held == MBUFS_FRAGMENTS_HELD_MAX && t->queues[WAITING].oldest != idx)
		close_entry(w, t->queues[WAITING].oldest, PKT_DROP_fragment_hold_full);
	if (t->n_held == MBUFS_FRAGMENTS_HELD_MAX || e->n_held == FRAG_HELD_DATAGRAM_MAX
		|| t->held_of[e->source] >= FRAG_HELD_SOURCE_MAX) {
		spoil(w, idx, PKT_DROP_fragment_hold_full);
		pkt_drop(p, PKT_DROP_fragment_hold_full);
		return;
	}
	append(&e->first, &e->last, b->m[i]);
	pkt_note(b->m[i])->iface = p->in_iface;
	e->n_held++;
	t->n_held++;
	t->held_of[e->source]++;
	w->tally->fragments_held++;
	p->verdict = PKT_GONE;
}

/* The first fragment is here: those that waited for it follow. */
static void learn(struct worker *w, uint16_t idx, const struct pkt *p)
{
	struct frag_table *t = w->frag;
	struct entry *e = &t->entries[idx];
	struct rte_mbuf *m;

	if (e->state == WAITING)
		set_state(w, idx, KNOWN);
	e->proto = p->proto;
	e->sport = p->sport;
	e->dport = p->dport;
	m = take_held(w, e);
	while (m != NULL) {
		struct rte_mbuf *next = pkt_note(m)->next;

		frag_note(pkt_note(m), p);
		append(&t->ready, &t->ready_last, m);
		w->tally->fragments++;
		m = next;
	}
}

static void place(struct pkt *p, uint8_t proto, rte_be16_t sport, rte_be16_t dport)
{
	p->proto = proto;
	p->sport = sport;
	p->dport = dport;
	p->flags |= PKT_F_PLACED;
	p->verdict = PKT_UNSEEN;
}

/* Whether the piece goes on to be held or placed; if not, it is dropped, and spoils its datagram if
 * it is not only there twice. */
static bool admit(struct worker *w, const struct piece *x, uint16_t idx, struct pkt *p)
{
	struct entry *e = &w->frag->entries[idx];
	enum fit fit;

	if (e->state == SPOILT) {
		pkt_drop(p, PKT_DROP_fragment_bad);
		return false;
	}
	if (is_past_end(e, x)) {
		pkt_drop(p, PKT_DROP_fragment_bad);
		spoil(w, idx, PKT_DROP_fragment_bad);
		return false;
	}
	fit = add_range(e, (uint16_t)x->from, (uint16_t)x->to);
	if (fit == FITS) {
		if (x->is_last)
			e->end = (uint16_t)x->to;
		return true;
	}
	pkt_drop(p, fit == TOO_MANY ? PKT_DROP_fragment_bad : PKT_DROP_fragment_overlap);
	if (fit != IS_THERE)
		spoil(w, idx, (enum pkt_drop)p->drop);
	return false;
}

void frag_input(struct worker *w, struct burst *b, unsigned i)
{
	struct pkt *p = &b->p[i];
	struct piece x;
	uint16_t idx;
	struct entry *e;

	read_piece(&x, b->m[i], p);
	idx = find(w, &x);
	if (unlikely(is_malformed(&x) || is_tiny(&x, p))) {
		pkt_drop(p, is_malformed(&x) ? PKT_DROP_fragment_bad : PKT_DROP_fragment_tiny);
		if (idx != NONE && w->frag->entries[idx].state != SPOILT)
			spoil(w, idx, (enum pkt_drop)p->drop);
		return;
	}
	if (idx == NONE)
		idx = open_entry(w, &x);
	if (idx == NONE) {
		pkt_drop(p, PKT_DROP_fragment_limit);
		return;
	}
	if (!admit(w, &x, idx, p))
		return;
	e = &w->frag->entries[idx];
	if (x.from == 0) {
		learn(w, idx, p);
	} else if (e->state == WAITING) {
		hold(w, b, i, idx);
		return;
	} else {
		w->tally->fragments++;
	}
	place(p, e->proto, e->sport, e->dport);
	if (is_complete(e))
		close_entry(w, idx, PKT_DROP_fragment_bad); /* none is held */
}

struct burst *frag_release(struct worker *w)
{
	struct frag_table *t = w->frag;
	struct burst *b = &t->released;

	if (likely(t->ready == NULL))
		return NULL;
	b->n = 0;
	b->has_rss = 0;
	b->in_iface = pkt_note(t->ready)->iface;
	while (t->ready != NULL && b->n < BURST_MAX && pkt_note(t->ready)->iface == b->in_iface) {
		b->m[b->n++] = t->ready;
		t->ready = pkt_note(t->ready)->next;
	}
	return b;
}

void frag_place_noted(struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct pkt_note *note;

		if (likely(!pkt_is_piece(&b->p[i]) || b->p[i].verdict != PKT_UNSEEN))
			continue;
		note = pkt_note(b->m[i]);
		if (note->kind == NOTE_FRAGMENT)
			place(&b->p[i], note->proto, note->sport, note->dport);
	}
}

void frag_expire(struct worker *w)
{
	struct frag_table *t = w->frag;

	for (unsigned k = 0; k < 2; k++) {
		for (unsigned n = 0; n < EXPIRE_MAX; n++) {
			const uint16_t idx = t->queues[k].oldest;

			if (idx == NONE || !is_over(w, &t->entries[idx]))
				break;
			close_entry(w, idx, PKT_DROP_fragment_timeout);
		}
	}
}

static bool check_entry(const struct frag_table *t, uint16_t idx, unsigned queue, unsigned *n_held)
{
	const struct entry *e = &t->entries[idx];
	unsigned n = 0;

	for (struct rte_mbuf *m = e->first; m != NULL; m = pkt_note(m)->next)
		n++;
	*n_held += n;
	for (unsigned i = 0; i < e->n_ranges; i++) {
		if (e->ranges[i].from >= e->ranges[i].to
			|| (i > 0 && e->ranges[i - 1].to >= e->ranges[i].from))
			return false;
	}
	return t->sets[idx / WAYS].tags[idx % WAYS] != 0 && (e->state != WAITING) == queue
		&& n == e->n_held && (n > 0) == (e->state == WAITING);
}

bool frag_check(const struct frag_table *t)
{
	unsigned n_used = 0, n_queued = 0, n_held = 0, n_of_sources = 0, n_held_of_sources = 0;

	for (unsigned k = 0; k < 2; k++) {
		uint32_t since_ms = 0;

		for (uint16_t i = t->queues[k].oldest; i != NONE; i = t->entries[i].newer) {
			const struct entry *e = &t->entries[i];

			if (!check_entry(t, i, k, &n_held)
				|| (e->older != NONE && (int32_t)(e->since_ms - since_ms) < 0))
				return false;
			since_ms = e->since_ms;
			n_queued++;
		}
	}
	for (unsigned i = 0; i < FRAG_ENTRIES_MAX; i++)
		n_used += t->sets[i / WAYS].tags[i % WAYS] != 0;
	for (unsigned i = 0; i < N_SOURCES; i++) {
		n_of_sources += t->entries_of[i];
		n_held_of_sources += t->held_of[i];
	}
	return n_used == n_queued && n_used == n_of_sources && n_held == t->n_held
		&& n_held == n_held_of_sources;
}
