/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maglevfill — see maglevfill.h. Every member has a permutation of the slots, (offset + i · skip) mod M with M
 * prime, and claims its slots one after the other. A slot is its first claimant's. The i-th claim of a member of
 * weight w is made at the time -ln(1 - i/M) / w: at any time a slot is not yet claimed by a member with a
 * probability that falls exponentially at its weight, so that members win in proportion to their weights.
 *
 * In the paper a member whose slot is taken tries on until it finds a free one. That makes shares exact, and
 * every later choice depend on every earlier one: with 1,000 members and 65,537 slots, one that leaves moves
 * 0.57 % of the slots beside its own. Here a claim that comes too late is lost. Then who has a slot depends on
 * that slot alone, as in rendezvous hashing, and nothing moves but the slots of who leaves; shares spread by
 * one over the root of twice the slots they have (9 % at 65: half the variance of independent hashes, as each
 * member claims each slot once). What of that is too much is taken out, as little as will do, since each slot
 * that is taken from a member for its share's sake is one that moves when shares do. With k = M · weight / sum
 * of weights:
 *
 *   cap    a member stops at k + √k/2 slots, or 1 % above k: 6 % at 65 slots, 2 % at 655
 *   floor  when about 2 % of the slots are free, members below k - √k slots, or 2 % below k, go on alone until they
 *          have that
 *
 * Both are rounded up or down by the member's hash, so that they do not change for all members at once.
 * With caps alone this is the stable matching of members and slots that both want the earliest claim, which
 * is the same in whatever order claims are made (Gale and Shapley): so time goes in rounds of many claims, and
 * only claims to the same slot in the same round are compared. Other limits were measured, with 1,000 members and 65,537
 * slots: without the floor the smallest share is 28 % too small, not 13 %; with a cap of 0.5 % and
 * no floor one that leaves moves 0.26 %, not 0.09 %.
 *
 * Cost: M · ln M claims, 700,000 for 65,537 slots whatever the number of members, a test in a bitmap each.
 *
 *  I1  a bit of `settled` is set iff the slot has a member since an earlier round; no claim changes that
 *  I2  held of a member is the number of slots that have it, and at most its limit
 *  I3  a member that has claimed all slots leaves none free
 */
#include "lb/maglevfill.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ONE (1ull << 44) /* times are fractions of it */
#define LOG_STEPS_MAX 512u
/* Over the sum of weights: the time when 2 % of the slots are free, ln 50. */
#define FLOOR_AT (ONE * 3912 / 1000)

/* How far a member has come in its permutation. */
struct walk {
	uint64_t
		credit; /* its time · weight at the end of this round; stands still while it may not claim */
	uint64_t next; /* when(), of the first claim after this round's */
	uint32_t at, skip;
	uint32_t weight;
	uint32_t held, limit;
	uint32_t made; /* claims */
	uint32_t todo; /* claims of this round that it has not made */
};

enum phase { TO_CAP, TO_FLOOR, REST_TO_CAP, NO_CAP };

struct claim {
	uint32_t slot, member;
};

struct fill {
	uint16_t *base;
	uint64_t *settled; /* bit per slot */
	uint32_t n_slots, n_free;
	/* weight · time of every (1 << log_shift)-th claim */
	uint64_t log[LOG_STEPS_MAX + 2], slope[LOG_STEPS_MAX + 2];
	unsigned log_shift;
	const struct maglevfill_member *members;
	/* of the member that was asked about last: as a rule the next has the same weight, and roots are dear */
	uint32_t fair_weight;
	uint64_t fair, fair_root;
	struct walk *walks;
	uint32_t n_members;
	uint64_t sum_weight, active_weight;
	uint64_t time_left; /* of the phase; TO_CAP only */
	uint32_t *active;   /* members that may make claims */
	uint32_t n_active;
	uint32_t *waiting; /* of them those that might reach their limit in this round */
	uint32_t n_waiting;
	struct claim *claims; /* of this round, to slots that are not settled */
	uint32_t n_claims;
	uint32_t *fresh; /* slots that got their first member in this round */
	uint32_t n_fresh;
	enum phase phase;
};

static uint64_t root(uint64_t x) /* below 2^62 */
{
	uint64_t r = 0;

	for (uint64_t bit = 1ull << (63 - __builtin_clzll(x | 1)) / 2; bit != 0; bit >>= 1) {
		if ((r | bit) * (r | bit) <= x)
			r |= bit;
	}
	return r;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* In integers: two boxes must not differ by how their compilers round. 16 bits behind the point. */
static void find_fair(struct fill *f, uint32_t weight)
{
	if (f->fair_weight == weight)
		return;
	f->fair_weight = weight;
	f->fair = (uint64_t)f->n_slots * (weight << 8) / f->sum_weight << 8;
	f->fair_root = root(f->fair << 16);
}

static uint32_t limit_of(struct fill *f, uint32_t i)
{
	const uint64_t rounding = f->members[i].hash >> 16 & 0xffff;
	uint64_t k, less, more;

	if (f->phase == NO_CAP)
		return f->n_slots;
	find_fair(f, f->members[i].weight);
	k = f->fair;
	less = larger(f->fair_root, k / 50);
	more = larger(f->fair_root / 2, k / 100);
	if (f->phase == TO_FLOOR)
		return k < less ? 0 : (uint32_t)((k - less + rounding) >> 16);
	return (uint32_t)((k + more + rounding) >> 16);
}

/* ln(m / (m - d)) is d / (m - d/2), nearly enough, and in integers. One long table would be exact, but half a
 * megabyte of fresh memory costs more than the claims. */
static void fill_log(struct fill *f)
{
	uint64_t m = f->n_slots, d;

	while (f->n_slots >> f->log_shift > LOG_STEPS_MAX)
		f->log_shift++;
	d = 1ull << f->log_shift;
	for (unsigned i = 0; i <= LOG_STEPS_MAX; i++) {
		f->slope[i] = 2 * ONE / (2 * m - d);
		f->log[i + 1] = f->log[i] + f->slope[i] * d;
		m = m > 2 * d ? m - d : d;
	}
}

/* Weight · time of a member's i-th claim, i from 1; it claims no slot twice. */
static uint64_t when(const struct fill *f, uint32_t i)
{
	const uint32_t at = i >> f->log_shift;

	if (i > f->n_slots)
		return UINT64_MAX;
	return f->log[at] + f->slope[at] * (i & ((1u << f->log_shift) - 1));
}

/* Who was stopped by its limit goes on where it stopped: what time has passed since depends on how long that round
 * was. */
static void begin_phase(struct fill *f, enum phase phase)
{
	f->phase = phase;
	f->time_left = phase == TO_CAP ? FLOOR_AT / f->sum_weight : UINT64_MAX;
	f->n_active = 0;
	f->active_weight = 0;
	for (uint32_t i = 0; i < f->n_members; i++) {
		struct walk *w = &f->walks[i];

		w->limit = limit_of(f, i);
		w->next = when(f, w->made + 1);
		if (w->next <= w->credit)
			w->credit = when(f, w->made);
		if (w->held >= w->limit)
			continue;
		f->active[f->n_active++] = i;
		f->active_weight += w->weight;
	}
}

static bool is_settled(const struct fill *f, uint32_t slot)
{
	return f->settled[slot / 64] >> slot % 64 & 1;
}

static uint32_t after(uint32_t at, uint32_t skip, uint32_t n_slots)
{
	at += skip;
	return at >= n_slots ? at - n_slots : at;
}

/* Time from a claim of this round to the round's end, times the weight. */
static uint64_t age(const struct fill *f, const struct walk *w, uint32_t slot)
{
	uint32_t i = w->made, at = w->at;

	for (;; i--) {
		at = at >= w->skip ? at - w->skip : at + f->n_slots - w->skip;
		if (at == slot)
			return w->credit - when(f, i);
	}
}

/* A slot that is not settled is claimed by i. */
static void claim(struct fill *f, uint32_t slot, uint32_t i)
{
	const uint32_t holder = f->base[slot];
	struct walk *w = &f->walks[i], *other;
	uint64_t mine, theirs;

	if (holder == MAGLEVFILL_NONE) {
		f->fresh[f->n_fresh++] = slot;
		f->base[slot] = (uint16_t)i;
		w->held++;
		return;
	}
	other = &f->walks[holder];
	mine = age(f, w, slot) * other->weight;
	theirs = age(f, other, slot) * w->weight;
	if (mine < theirs || (mine == theirs && i > holder))
		return;
	other->held--;
	f->base[slot] = (uint16_t)i;
	w->held++;
}

/* So many that no member comes round to its first slot, and that what is multiplied fits 64 bits. */
static uint32_t round_max(uint32_t n_slots)
{
	const uint32_t n = n_slots / 8 + 1;

	return n < UINT16_MAX ? n : UINT16_MAX;
}

/* How many claims a round has: of about 64 that find their slot free, so that few meet there; some for each
 * member, as a round costs that anyway. */
static uint64_t round_claims(const struct fill *f)
{
	uint64_t n = 64ull * f->n_slots / f->n_free;

	if (n < 4ull * f->n_members)
		n = 4ull * f->n_members;
	return n < round_max(f->n_slots) ? n : round_max(f->n_slots);
}

/* Claims that a member has to make until the end of this round. */
static uint32_t count_due(const struct fill *f, struct walk *w)
{
	const uint32_t first = w->made + 1;
	uint64_t next = w->next;
	uint32_t n = 0;

	while (next <= w->credit && first + n <= f->n_slots)
		next += f->slope[(first + n++) >> f->log_shift];
	w->next = next;
	return n;
}

static void put_down(struct fill *f, uint32_t i, uint32_t n)
{
	struct walk *w = &f->walks[i];
	struct claim *to = &f->claims[f->n_claims];
	uint32_t slot = w->at;

	w->made += n;
	for (; n > 0; n--) {
		*to = (struct claim){slot, i};
		to += !is_settled(f, slot);
		slot = after(slot, w->skip, f->n_slots);
	}
	w->at = slot;
	f->n_claims = (uint32_t)(to - f->claims);
}

/* Lets the time of one round pass. Members that cannot reach their limit put their claims down, the others
 * wait: what they may claim depends on what they get. Those at their limit are out. */
static void collect(struct fill *f)
{
	uint64_t dt = round_claims(f) * (ONE / f->n_slots) / f->active_weight + 1;
	uint32_t n_active = 0;

	if (dt > f->time_left)
		dt = f->time_left;
	f->time_left -= f->phase == TO_CAP ? dt : 0;
	f->n_claims = f->n_waiting = f->n_fresh = 0;
	for (uint32_t a = 0; a < f->n_active; a++) {
		const uint32_t i = f->active[a];
		struct walk *w = &f->walks[i];
		uint32_t n;

		if (w->held >= w->limit) {
			f->active_weight -= w->weight;
			continue;
		}
		f->active[n_active++] = i;
		w->credit += w->weight * dt;
		n = count_due(f, w);
		w->todo = w->held + n > w->limit ? n : 0;
		if (w->todo > 0)
			f->waiting[f->n_waiting++] = i;
		else
			put_down(f, i, n);
	}
	f->n_active = n_active;
}

/* Claims of a member that waits, past those that come too late anyway. */
static bool go_on(struct fill *f, uint32_t i)
{
	struct walk *w = &f->walks[i];
	const bool has_work = w->todo > 0 && w->held < w->limit;

	while (w->todo > 0 && w->held < w->limit) {
		const uint32_t due = w->made + w->todo;
		uint32_t slot = w->at, todo = w->todo;

		while (is_settled(f, slot) && --todo > 0)
			slot = after(slot, w->skip, f->n_slots);
		w->at = after(slot, w->skip, f->n_slots);
		w->todo = todo > 0 ? todo - 1 : 0;
		w->made = due - w->todo;
		if (todo > 0)
			claim(f, slot, i);
	}
	return has_work;
}

static void settle(struct fill *f)
{
	for (uint32_t i = 0; i < f->n_fresh; i++)
		f->settled[f->fresh[i] / 64] |= 1ull << f->fresh[i] % 64;
	f->n_free -= f->n_fresh;
}

static void run_round(struct fill *f)
{
	bool is_done = false;

	collect(f);
	for (uint32_t i = 0; i < f->n_claims; i++)
		claim(f, f->claims[i].slot, f->claims[i].member);
	while (!is_done) { /* who loses a slot may have claims left */
		is_done = true;
		for (uint32_t i = 0; i < f->n_waiting; i++)
			is_done &= !go_on(f, f->waiting[i]);
	}
	settle(f);
}

static void run_all(struct fill *f)
{
	begin_phase(f, TO_CAP);
	while (f->n_free > 0) {
		if (f->n_active == 0 || f->time_left == 0)
			begin_phase(f, f->phase + 1);
		else
			run_round(f);
	}
}

int maglevfill_run(uint16_t *base, uint32_t n_slots, const struct maglevfill_member *m, uint32_t n)
{
	struct fill f = {.base = base,
		.n_slots = n_slots,
		.n_free = n_slots,
		.members = m,
		.n_members = n,
		.settled = calloc(n_slots / 64 + 1, sizeof(uint64_t)),
		.walks = calloc(n, sizeof(*f.walks)),
		.active = calloc(n, sizeof(*f.active)),
		.waiting = calloc(n, sizeof(*f.waiting)),
		.claims = malloc((round_max(n_slots) + n + 1) * sizeof(*f.claims)),
		.fresh = malloc((round_max(n_slots) + n + 1) * sizeof(*f.fresh))};
	int rc = -ENOMEM;

	if (f.settled != NULL && f.walks != NULL && f.active != NULL && f.waiting != NULL
		&& f.claims != NULL && f.fresh != NULL) {
		for (uint32_t i = 0; i < n; i++) {
			f.walks[i].at = (uint32_t)(m[i].hash % n_slots);
			f.walks[i].skip = (uint32_t)((m[i].hash >> 32) % (n_slots - 1)) + 1;
			f.walks[i].weight = m[i].weight;
			f.sum_weight += m[i].weight;
		}
		memset(base, 0xff, n_slots * sizeof(*base));
		fill_log(&f);
		run_all(&f);
		rc = 0;
	}
	free(f.settled);
	free(f.walks);
	free(f.active);
	free(f.waiting);
	free(f.claims);
	free(f.fresh);
	return rc;
}
