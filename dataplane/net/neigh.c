/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * neigh — see neigh.h. Keys are in one librte_hash with lock-free readers (the manager is the only writer);
 * a key's position is its slot. A slot's word is the whole message to workers: they need no ordering with
 * anything else, so its accesses are relaxed. A key is deleted at once; its position is given back to
 * the hash only after a grace period, so a worker that has just found the position still reads that
 * entry's word, with an age that no longer fits once the slot has a new owner.
 *
 *   INCOMPLETE ── answer ──▶ REACHABLE ── 30 s ──▶ STALE ── used or pinned: probed ──▶ REACHABLE
 *       │ 3 requests, 1 s apart                      │ no answer to 3                (unused: kept,
 *       ▼                                            ▼                                5 min, freed)
 *     FAILED ── 5 s ──▶ freed, or INCOMPLETE again when pinned
 *
 * A MAC address that comes unasked, in an announcement or with a question for us, is used and STALE, whatever
 * the state was.
 *
 *  I1  slots[i].word has state 0 exactly when entry i is free
 *  I2  held packets exist only in INCOMPLETE entries; n_held is their number
 *  I3  a pinned entry is never freed
 */
#include "net/neigh.h"

#include "base/keyhash.h"
#include "base/log.h"
#include "net/arp.h"
#include "net/ndp.h"

#include <rte_hash.h>

#include <errno.h>
#include <stdlib.h>

LOG_TYPE(neigh)

#define REACHABLE_MS 30000u
#define RETRY_MS 1000u
#define RETRIES 3u
#define FAILED_MS 5000u
#define UNUSED_MS 300000u
#define HOLD_TOTAL_MAX 4096u
#define MAC_MASK 0xffffffffffffull
#define RUN_STEP 1024u /* entries looked at per neigh_run() */

struct entry {
	struct neigh_key key;
	uint32_t n_pins;
	uint32_t changed_ms; /* when the state was entered or confirmed */
	uint32_t asked_ms;   /* last solicitation */
	uint32_t used_ms;    /* last time the used flag was seen */
	uint8_t n_asked;
	uint8_t n_held;
	struct rte_mbuf *held; /* list through pkt_hold_next() */
	struct rte_mbuf *held_end;
};

struct neigh_pvt {
	struct neigh_params p;
	struct rte_hash *hash;
	struct entry *entries;
	uint32_t cursor; /* of neigh_run() */
	uint32_t n_held;
	uint32_t in_use;
};

/* The chain of held packets goes through the note, which a held packet no longer needs. */
static struct rte_mbuf **hold_next(struct rte_mbuf *m)
{
	return (struct rte_mbuf **)(void *)pkt_note(m)->next_hop;
}

static uint8_t age_of(uint64_t word)
{
	return (uint8_t)(word >> 48);
}

static uint8_t state_of(uint64_t word)
{
	return (uint8_t)(word >> 56);
}

/* The word's MAC address is in use. */
static bool is_known(uint64_t word)
{
	return state_of(word) == MR_NEIGH_REACHABLE || state_of(word) == MR_NEIGH_STALE;
}

static uint64_t load_word(const struct neigh_table *t, uint32_t idx)
{
	return __atomic_load_n(&t->slots[idx].word, __ATOMIC_RELAXED);
}

static void store_word(
	struct neigh_table *t, uint32_t idx, uint8_t state, uint8_t age, uint64_t mac)
{
	__atomic_store_n(&t->slots[idx].word,
		(mac & MAC_MASK) | (uint64_t)age << 48 | (uint64_t)state << 56, __ATOMIC_RELAXED);
}

static void set_state(struct neigh_table *t, uint32_t idx, uint8_t state, uint32_t now_ms)
{
	const uint64_t word = load_word(t, idx);

	store_word(t, idx, state, age_of(word), word);
	t->pvt->entries[idx].changed_ms = now_ms;
}

static uint32_t ref_of(const struct neigh_table *t, uint32_t idx)
{
	return (uint32_t)age_of(load_word(t, idx)) << 24 | idx;
}

int neigh_table_create(struct neigh_table **out, const struct neigh_params *p)
{
	struct rte_hash_parameters hp = {.name = "neigh",
		.entries = p->n_slots,
		.key_len = sizeof(struct neigh_key),
		.hash_func = keyhash_rte,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF
			| RTE_HASH_EXTRA_FLAGS_NO_FREE_ON_DEL | RTE_HASH_EXTRA_FLAGS_EXT_TABLE};
	struct neigh_table *t = calloc(1, sizeof(*t));
	uint32_t n_positions;

	if (t == NULL)
		return -ENOMEM;
	if (p->n_slots < 8 || p->n_slots >= 1u << 24 || p->hold_max == 0) {
		free(t);
		return -EINVAL;
	}
	t->pvt = calloc(1, sizeof(*t->pvt));
	if (t->pvt == NULL)
		goto err;
	t->pvt->p = *p;
	t->pvt->hash = rte_hash_create(&hp);
	if (t->pvt->hash == NULL)
		goto err;
	n_positions = (uint32_t)rte_hash_max_key_id(t->pvt->hash) + 1;
	t->n_slots = n_positions;
	t->slots = calloc(n_positions, sizeof(*t->slots));
	t->used = calloc(n_positions, 1);
	t->pvt->entries = calloc(n_positions, sizeof(*t->pvt->entries));
	if (t->slots == NULL || t->used == NULL || t->pvt->entries == NULL)
		goto err;
	*out = t;
	return 0;
err:
	neigh_table_destroy(&t);
	return -ENOMEM;
}

static void drop_held(struct neigh_table *t, uint32_t idx, enum pkt_drop reason)
{
	struct entry *e = &t->pvt->entries[idx];

	while (e->held != NULL) {
		struct rte_mbuf *m = e->held;

		e->held = *hold_next(m);
		rte_pktmbuf_free(m);
		t->pvt->p.tally->drops[reason]++;
		t->pvt->p.tally->released++;
		t->pvt->n_held--;
	}
	e->n_held = 0;
}

void neigh_table_destroy(struct neigh_table **t)
{
	if (*t == NULL)
		return;
	if ((*t)->pvt != NULL) {
		for (uint32_t i = 0; (*t)->pvt->entries != NULL && i < (*t)->n_slots; i++)
			drop_held(*t, i, PKT_DROP_neigh_failed);
		rte_hash_free((*t)->pvt->hash);
		free((*t)->pvt->entries);
	}
	free((*t)->pvt);
	free((*t)->slots);
	free((*t)->used);
	free(*t);
	*t = NULL;
}

void neigh_find_bulk(
	const struct neigh_table *t, const struct neigh_key *const *keys, unsigned n, uint32_t *ref)
{
	const void *k[BURST_MAX];
	int32_t position[BURST_MAX];

	for (unsigned i = 0; i < n; i++)
		k[i] = keys[i];
	rte_hash_lookup_bulk(t->pvt->hash, k, n, position);
	for (unsigned i = 0; i < n; i++)
		ref[i] = position[i] < 0 ? NEIGH_NONE : ref_of(t, (uint32_t)position[i]);
}

/* What the message says. False when it is none, or not a valid one. */
static bool read_claim(const struct rte_mbuf *m, unsigned iface, struct neigh_claim *c)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	if (!arp_claim_parse(frame, m->data_len, c) && !ndp_claim_parse(frame, m->data_len, c))
		return false;
	c->key.iface = (uint8_t)iface;
	return true;
}

static bool is_news(const struct neigh_table *t, const struct neigh_claim *c)
{
	const struct neigh_key *keys[] = {&c->key};
	uint64_t word, mac = 0;
	uint32_t ref;

	neigh_find_bulk(t, keys, 1, &ref);
	if (ref == NEIGH_NONE)
		return false;
	word = load_word(t, ref & 0xffffff);
	memcpy(&mac, &c->mac, sizeof(c->mac));
	return !is_known(word) || mac != (word & MAC_MASK);
}

void neigh_notice(struct worker *w, const struct rte_mbuf *m, unsigned iface)
{
	struct neigh_claim c;
	struct rte_mbuf *copy;

	if (!read_claim(m, iface, &c) || !is_news(w->neigh, &c))
		return;
	copy = rte_pktmbuf_copy(m, m->pool, 0, UINT32_MAX);
	if (copy == NULL)
		return; /* its next question is another chance */
	w->tally->generated++;
	pkt_note(copy)->kind = NOTE_LEARN;
	pkt_note(copy)->iface = (uint8_t)iface;
	worker_to_manager(w, copy);
}

/* ---- manager ---- */

/* Index of the entry, made when it is missing; NEIGH_NONE when the table is full. */
static uint32_t find_or_add(struct neigh_table *t, const struct neigh_key *k, uint32_t now_ms)
{
	struct neigh_pvt *pvt = t->pvt;
	int32_t position = rte_hash_lookup(pvt->hash, k);
	uint64_t word;

	if (position >= 0)
		return (uint32_t)position;
	if (pvt->in_use >= pvt->p.n_slots)
		return NEIGH_NONE;
	position = rte_hash_add_key(pvt->hash, k);
	if (position < 0 || (uint32_t)position >= t->n_slots)
		return NEIGH_NONE;
	pvt->in_use++;
	word = load_word(t, (uint32_t)position);
	memset(&pvt->entries[position], 0, sizeof(pvt->entries[position]));
	pvt->entries[position].key = *k;
	pvt->entries[position].changed_ms = now_ms;
	pvt->entries[position].used_ms = now_ms;
	pvt->entries[position].asked_ms = now_ms - RETRY_MS; /* ask at the first opportunity */
	store_word(t, (uint32_t)position, MR_NEIGH_INCOMPLETE, (uint8_t)(age_of(word) + 1), 0);
	return (uint32_t)position;
}

static void remove_entry(struct neigh_table *t, uint32_t idx)
{
	drop_held(t, idx, PKT_DROP_neigh_failed);
	rte_hash_del_key(t->pvt->hash, &t->pvt->entries[idx].key);
	store_word(t, idx, 0, age_of(load_word(t, idx)), 0);
	snapshot_synchronize();
	rte_hash_free_key_with_position(t->pvt->hash, (int32_t)idx);
	t->pvt->in_use--;
}

/* Sends one solicitation; unicast when the MAC is known from before. */
static void ask(struct neigh_table *t, uint32_t idx, const struct addr_conf *conf, uint32_t now_ms)
{
	struct entry *e = &t->pvt->entries[idx];
	const struct neigh_params *p = &t->pvt->p;
	const uint64_t word = load_word(t, idx);
	const bool is_probe = state_of(word) == MR_NEIGH_STALE && e->n_asked == 0;
	struct rte_ether_addr mac;
	struct rte_mbuf *m;
	uint8_t source[16], *buf;
	unsigned len;

	e->asked_ms = now_ms;
	e->n_asked++;
	memcpy(&mac, &word, sizeof(mac));
	if (!addr_source(conf, e->key.iface, e->key.family, e->key.ip, source))
		return;
	m = rte_pktmbuf_alloc(p->pool);
	if (m == NULL) {
		p->tally->drops[PKT_DROP_no_mbuf]++;
		return;
	}
	buf = rte_pktmbuf_mtod(m, uint8_t *);
	if (e->key.family == 4)
		len = arp_request_build(buf, &p->ifaces->of[e->key.iface].mac, source, e->key.ip,
			is_probe ? &mac : NULL);
	else
		len = ndp_solicit_build(buf, &p->ifaces->of[e->key.iface].mac, source, e->key.ip,
			is_probe ? &mac : NULL);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	p->tally->generated++;
	p->output(p->output_ctx, e->key.iface, m);
}

uint32_t neigh_pin(struct neigh_table *t, const struct neigh_key *k, uint32_t now_ms)
{
	const uint32_t idx = find_or_add(t, k, now_ms);

	if (idx == NEIGH_NONE)
		return NEIGH_NONE;
	t->pvt->entries[idx].n_pins++;
	return ref_of(t, idx);
}

void neigh_unpin(struct neigh_table *t, uint32_t ref)
{
	if (ref != NEIGH_NONE)
		t->pvt->entries[ref & 0xffffff].n_pins--;
}

static void send_to(struct neigh_table *t, uint32_t idx, struct rte_mbuf *m)
{
	const uint64_t word = load_word(t, idx);

	memcpy(rte_pktmbuf_mtod(m, void *), &word, RTE_ETHER_ADDR_LEN);
	t->pvt->p.output(t->pvt->p.output_ctx, t->pvt->entries[idx].key.iface, m);
}

static void release_held(struct neigh_table *t, uint32_t idx)
{
	struct entry *e = &t->pvt->entries[idx];

	while (e->held != NULL) {
		struct rte_mbuf *m = e->held;

		e->held = *hold_next(m);
		t->pvt->p.tally->released++;
		t->pvt->n_held--;
		send_to(t, idx, m);
	}
	e->n_held = 0;
}

static void keep(struct neigh_table *t, uint32_t idx, struct rte_mbuf *m)
{
	struct entry *e = &t->pvt->entries[idx];

	if (e->n_held >= t->pvt->p.hold_max || t->pvt->n_held >= HOLD_TOTAL_MAX) {
		t->pvt->p.tally->drops[PKT_DROP_neigh_hold_full]++;
		rte_pktmbuf_free(m);
		return;
	}
	*hold_next(m) = NULL;
	if (e->held == NULL)
		e->held = m;
	else
		*hold_next(e->held_end) = m;
	e->held_end = m;
	e->n_held++;
	t->pvt->n_held++;
	t->pvt->p.tally->held++;
}

/* Entry that a held packet is for, NEIGH_NONE when the table is full. */
static uint32_t target_of(struct neigh_table *t, const struct rte_mbuf *m, uint32_t now_ms)
{
	const struct pkt_note *note = pkt_note_of(m);
	struct neigh_key k = {.family = note->family, .iface = note->iface};

	if (note->neigh_ref != NEIGH_NONE
		&& age_of(load_word(t, note->neigh_ref & 0xffffff)) == note->neigh_ref >> 24
		&& state_of(load_word(t, note->neigh_ref & 0xffffff)) != 0)
		return note->neigh_ref & 0xffffff;
	memcpy(k.ip, note->next_hop, 16);
	return find_or_add(t, &k, now_ms);
}

void neigh_hold(
	struct neigh_table *t, struct rte_mbuf *m, const struct addr_conf *conf, uint32_t now_ms)
{
	const uint32_t idx = target_of(t, m, now_ms);
	struct entry *e;

	if (idx == NEIGH_NONE) {
		t->pvt->p.tally->drops[PKT_DROP_neigh_table_full]++;
		rte_pktmbuf_free(m);
		return;
	}
	e = &t->pvt->entries[idx];
	e->used_ms = now_ms;
	switch (state_of(load_word(t, idx))) {
	case MR_NEIGH_REACHABLE:
	case MR_NEIGH_STALE:
		send_to(t, idx, m); /* resolved while the packet was on its way here */
		return;
	case MR_NEIGH_FAILED:
		t->pvt->p.tally->drops[PKT_DROP_neigh_failed]++;
		rte_pktmbuf_free(m);
		return;
	default:
		keep(t, idx, m);
		if (e->n_asked == 0)
			ask(t, idx, conf, now_ms);
	}
}

/* RFC 4861 7.2.5; ARP is taken for the same with the override flag, and says less about who answers. */
static void take_claim(
	struct neigh_table *t, uint32_t idx, const struct neigh_claim *c, uint32_t now_ms)
{
	const uint64_t before = load_word(t, idx);
	uint64_t mac = before & MAC_MASK;
	bool is_other = !is_known(before);

	if (c->has_mac) {
		mac = 0;
		memcpy(&mac, &c->mac, sizeof(c->mac));
		is_other |= mac != (before & MAC_MASK);
	} else if (is_other) {
		return; /* nothing is known about it, and this is nothing */
	}
	if (is_known(before) && is_other && !c->is_override) {
		/* a second opinion is checked, not obeyed */
		if (state_of(before) == MR_NEIGH_REACHABLE)
			set_state(t, idx, MR_NEIGH_STALE, now_ms);
		return;
	}
	if (!c->is_answer && !is_other)
		return;
	store_word(t, idx, c->is_answer ? MR_NEIGH_REACHABLE : MR_NEIGH_STALE, age_of(before), mac);
	t->pvt->entries[idx].changed_ms = now_ms;
	t->pvt->entries[idx].n_asked = 0;
	release_held(t, idx);
}

void neigh_learn(struct neigh_table *t, const struct rte_mbuf *m, uint32_t now_ms)
{
	struct neigh_claim c;
	int32_t position;

	if (!read_claim(m, pkt_note_of(m)->iface, &c))
		return;
	position = rte_hash_lookup(t->pvt->hash, &c.key);
	if (position >= 0)
		take_claim(t, (uint32_t)position, &c, now_ms);
}

static void run_incomplete(
	struct neigh_table *t, uint32_t idx, const struct addr_conf *conf, uint32_t now_ms)
{
	struct entry *e = &t->pvt->entries[idx];

	if (now_ms - e->asked_ms < RETRY_MS)
		return;
	if (e->n_asked < RETRIES) {
		ask(t, idx, conf, now_ms);
		return;
	}
	drop_held(t, idx, PKT_DROP_neigh_failed);
	set_state(t, idx, MR_NEIGH_FAILED, now_ms);
}

static void run_stale(
	struct neigh_table *t, uint32_t idx, const struct addr_conf *conf, uint32_t now_ms)
{
	struct entry *e = &t->pvt->entries[idx];
	const bool is_wanted = e->n_pins > 0 || now_ms - e->used_ms < REACHABLE_MS;

	if (!is_wanted && now_ms - e->used_ms > UNUSED_MS) {
		remove_entry(t, idx);
		return;
	}
	if (!is_wanted || now_ms - e->asked_ms < RETRY_MS)
		return;
	if (e->n_asked < RETRIES)
		ask(t, idx, conf, now_ms);
	else
		set_state(t, idx, MR_NEIGH_FAILED, now_ms);
}

static void run_one(
	struct neigh_table *t, uint32_t idx, const struct addr_conf *conf, uint32_t now_ms)
{
	struct entry *e = &t->pvt->entries[idx];
	const uint8_t state = state_of(load_word(t, idx));

	if (state == 0)
		return;
	if (__atomic_load_n(&t->used[idx], __ATOMIC_RELAXED) != 0) {
		__atomic_store_n(&t->used[idx], 0, __ATOMIC_RELAXED);
		e->used_ms = now_ms;
	}
	switch (state) {
	case MR_NEIGH_INCOMPLETE:
		run_incomplete(t, idx, conf, now_ms);
		break;
	case MR_NEIGH_REACHABLE:
		if (now_ms - e->changed_ms >= REACHABLE_MS)
			set_state(t, idx, MR_NEIGH_STALE, now_ms);
		break;
	case MR_NEIGH_STALE:
		run_stale(t, idx, conf, now_ms);
		break;
	default: /* FAILED */
		if (now_ms - e->changed_ms < FAILED_MS)
			break;
		if (e->n_pins == 0) {
			remove_entry(t, idx);
		} else {
			e->n_asked = 0;
			set_state(t, idx, MR_NEIGH_INCOMPLETE, now_ms);
		}
	}
}

void neigh_run(struct neigh_table *t, const struct addr_conf *conf, uint32_t now_ms)
{
	/* few entries: all of them, so that retries are on time; many: a bounded part */
	const uint32_t n = t->n_slots < RUN_STEP ? t->n_slots : RUN_STEP;

	for (uint32_t i = 0; i < n; i++) {
		run_one(t, t->pvt->cursor, conf, now_ms);
		t->pvt->cursor = (t->pvt->cursor + 1) % t->n_slots;
	}
}

uint32_t neigh_held(const struct neigh_table *t)
{
	return t->pvt->n_held;
}

void neigh_walk(const struct neigh_table *t, uint32_t now_ms,
	void (*on_row)(void *ctx, const struct neigh_key *k, const struct rte_ether_addr *mac,
		unsigned state, uint32_t age_ms),
	void *ctx)
{
	for (uint32_t i = 0; i < t->n_slots; i++) {
		const uint64_t word = load_word(t, i);
		struct rte_ether_addr mac;

		if (state_of(word) == 0)
			continue;
		memcpy(&mac, &word, sizeof(mac));
		on_row(ctx, &t->pvt->entries[i].key, &mac, state_of(word),
			now_ms - t->pvt->entries[i].changed_ms);
	}
}
