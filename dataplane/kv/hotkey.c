/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hotkey — see hotkey.h. Space-Saving (Metwally, Agrawal, El Abbadi 2005) behind the filter of Homem and Carvalho (2010): so
 * many entries with a key and a count, and beside them cells of counts that unwatched keys share by their hash. A key that no
 * entry has counts in its cell; only once the cell reaches the lowest count of all entries does it take that entry over. So the keys
 * of a scan, each met once, spread over the cells and push nobody out, and most requests of unwatched keys touch one
 * word. (Without the filter every one of them takes an entry over, key copied and all, and the lowest count grows by the
 * scan's rate over the number of entries: at half of all requests that is the rate of the tenth key of a million by Zipf. HeavyKeeper
 * withstands scans as well, but by chance: its estimates have no bound that holds.)
 *
 * Counts are halved, rounded down, when a second ends. Let the weight of a key be what it would be without rounding, T:
 *
 *  I1  order[] has all entries by count, the highest first; entries of one count are next to each other, a group
 *  I2  no cell is above the lowest count; so who takes an entry over has exactly that count, plus one
 *  I3  of an entry's key, count - error ≤ T ≤ count + 1: error is what the cell had when it came, rounded up when halved; rounding
 *      down loses less than 1/2 + 1/4 + ... of a request
 *  I4  of any other key T ≤ cell + 1, so T ≤ lowest count + 1; an entry that is taken over leaves its count in its key's cell
 *
 * Adding one to a count moves the entry to the front of its group, whose first place then belongs to the next group: constant
 * time, no walk (I1).
 *
 * Access: the owner writes, the manager reads meanwhile. What an entry says as a whole is under its `seq`, odd while it
 * changes: the reader takes what it read only if seq was even before and the same after. Words are stored with release and loaded with acquire,
 * so that seq's odd value comes before what is written next and seq is looked at again after what was read: this is what fences would do,
 * which ThreadSanitizer does not know; on x86 both are plain. The owner never waits. An entry is left out of a report when its
 * owner stands still within a change.
 *
 * `closed` is the count when the last second ended: rates are of whole seconds, so they do not depend on when in a second one
 * looks. When the owner has seen nothing in a later second than `at`, that one is complete, and count stands for it.
 */
#include "kv/hotkey.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#define ENTRIES HOTKEY_ENTRIES
#define CELLS 4096u
#define CHAINS 512u
#define NONE UINT16_MAX
#define KEY_WORDS ((ITEM_KEY_MAX + 7) / 8)
#define LOOKS 1000u
#define SIGMAS 3.0

/* pairs(hotkey-entry): see above. The owner's stores and the manager's loads of what both use */
#define PUT(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
/* pairs(hotkey-entry) */
#define GET(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)

struct entry {
	/* w: owner  r: all  pairs(hotkey-entry) */
	uint64_t hash;
	uint32_t seq;
	uint32_t at;                   /* the second that count is of */
	uint32_t count, error;         /* I3 */
	uint32_t closed, closed_error; /* as they were when the last second ended */
	uint32_t len;                  /* of the key; 0: none */

	/* the owner's */
	uint16_t place; /* in order[] */
	uint16_t group;
	uint16_t next; /* in its chain */
} __rte_cache_aligned;

struct group {
	uint16_t first, n; /* places of order[] */
};

/* What the manager made of an entry. */
struct copy {
	uint64_t hash;
	double rate, error, variance; /* of the sample, in a second */
	uint64_t key[KEY_WORDS];
	uint16_t next; /* in its chain of the copies */
	uint8_t len;
	bool is_taken;
};

struct hotkey {
	/* w: owner  r: all  pairs(hotkey-entry) */
	uint32_t now;    /* second */
	uint32_t begun;  /* the first one; 0: none yet */
	uint32_t lowest; /* count of all entries: I2, I4 */

	/* the owner's */
	struct entry entries[ENTRIES];
	uint64_t keys[ENTRIES][KEY_WORDS]; /* under the entry's seq */
	uint32_t cells[CELLS];
	uint16_t chains[CHAINS]; /* entries by hash */
	uint16_t order[ENTRIES]; /* I1 */
	struct group groups[ENTRIES];
	uint16_t spare[ENTRIES]; /* groups not in use */
	uint32_t n_spare;

	/* the manager's */
	struct copy copies[ENTRIES];
	uint32_t n_copies;
	double others; /* what a key that is not among the copies may have in a second */
	uint16_t copy_chains[CHAINS]; /* copies by hash */
};

static uint16_t *chain_of(struct hotkey *h, uint64_t hash)
{
	return &h->chains[hash % CHAINS];
}

static uint32_t *cell_of(struct hotkey *h, uint64_t hash)
{
	return &h->cells[(hash >> 32) % CELLS];
}

static uint16_t find(const struct hotkey *h, const void *key, uint32_t len, uint64_t hash)
{
	uint16_t i = h->chains[hash % CHAINS];

	while (i != NONE
		&& (h->entries[i].hash != hash || h->entries[i].len != len
			|| memcmp(h->keys[i], key, len) != 0))
		i = h->entries[i].next;
	return i;
}

static void unchain(struct hotkey *h, uint16_t i)
{
	uint16_t *at = chain_of(h, h->entries[i].hash);

	while (*at != i)
		at = &h->entries[*at].next;
	*at = h->entries[i].next;
}

/* Groups as the counts are now. */
static void regroup(struct hotkey *h)
{
	uint16_t n = 0;

	for (uint16_t p = 0; p < ENTRIES; p++) {
		struct entry *e = &h->entries[h->order[p]];

		if (p == 0 || h->entries[h->order[p - 1]].count != e->count)
			h->groups[n++] = (struct group){.first = p};
		e->group = (uint16_t)(n - 1);
		h->groups[e->group].n++;
	}
	h->n_spare = 0;
	while (n < ENTRIES)
		h->spare[h->n_spare++] = n++;
}

/* One more: to the front of its group, and out of it. */
static void raise(struct hotkey *h, uint16_t i)
{
	struct entry *e = &h->entries[i];
	struct group *g = &h->groups[e->group];
	const uint16_t front = g->first, other = h->order[front];
	const uint32_t count = e->count + 1;

	h->order[e->place] = other;
	h->entries[other].place = e->place;
	h->order[front] = i;
	e->place = front;
	g->first++;
	if (--g->n == 0)
		h->spare[h->n_spare++] = e->group;
	if (front > 0 && h->entries[h->order[front - 1]].count == count) {
		e->group = h->entries[h->order[front - 1]].group;
		h->groups[e->group].n++;
	} else {
		e->group = h->spare[--h->n_spare];
		h->groups[e->group] = (struct group){.first = front, .n = 1};
	}
	PUT(e->count, count);
	PUT(h->lowest, h->entries[h->order[ENTRIES - 1]].count);
}

static void begin_change(struct entry *e)
{
	__atomic_store_n(&e->seq, e->seq + 1, __ATOMIC_RELAXED);
}

static void end_change(struct entry *e)
{
	PUT(e->seq, e->seq + 1);
}

/* The key takes the entry of the lowest count over (I2). */
static void take_over(struct hotkey *h, uint16_t i, const void *key, uint32_t len, uint64_t hash)
{
	struct entry *e = &h->entries[i];
	const uint32_t error = *cell_of(h, hash);
	uint64_t word;

	if (e->len != 0) {
		unchain(h, i);
		*cell_of(h, e->hash) = e->count; /* not below what it has: I2, I4 */
	}
	begin_change(e);
	for (uint32_t n = 0; n < len; n += sizeof(word)) {
		word = 0;
		memcpy(&word, (const uint8_t *)key + n, RTE_MIN(len - n, sizeof(word)));
		PUT(h->keys[i][n / sizeof(word)], word);
	}
	PUT(e->hash, hash);
	PUT(e->len, len);
	PUT(e->at, h->now);
	PUT(e->error, error);
	PUT(e->closed, 0);
	PUT(e->closed_error, 0);
	end_change(e);
	e->next = *chain_of(h, hash);
	*chain_of(h, hash) = i;
}

static uint32_t halve(uint32_t v, uint32_t times)
{
	return (uint32_t)((uint64_t)v >> times);
}

static uint32_t halve_up(uint32_t v, uint32_t times)
{
	return (uint32_t)(((uint64_t)v + (1ull << times) - 1) >> times);
}

/* Seconds have ended. */
static void turn(struct hotkey *h, uint32_t now)
{
	const uint32_t ended = RTE_MIN(now - h->now, 32u);

	if (unlikely(h->begun == 0)) {
		PUT(h->now, now);
		PUT(h->begun, now);
		return;
	}
	if ((int32_t)(now - h->now) < 0)
		return;
	PUT(h->now, now);
	for (uint16_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &h->entries[i];

		begin_change(e);
		PUT(e->closed, halve(e->count, ended - 1));
		PUT(e->closed_error, halve_up(e->error, ended - 1));
		PUT(e->count, halve(e->count, ended));
		PUT(e->error, halve_up(e->error, ended));
		PUT(e->at, now);
		end_change(e);
	}
	for (uint32_t i = 0; i < CELLS; i++)
		h->cells[i] = halve(h->cells[i], ended);
	PUT(h->lowest, h->entries[h->order[ENTRIES - 1]].count);
	regroup(h);
}

void hotkey_seen(struct hotkey *h, const void *key, uint32_t len, uint64_t hash, uint32_t now)
{
	uint16_t i;

	if (unlikely(now != h->now))
		turn(h, now);
	i = find(h, key, len, hash);
	if (i == NONE) {
		uint32_t *cell = cell_of(h, hash);

		i = h->order[ENTRIES - 1];
		if (*cell < h->entries[i].count) {
			(*cell)++;
			return;
		}
		take_over(h, i, key, len, hash);
	}
	raise(h, i);
}

int hotkey_create(struct hotkey **out, int socket_id)
{
	struct hotkey *h = rte_zmalloc_socket("hotkey", sizeof(*h), RTE_CACHE_LINE_SIZE, socket_id);

	if (h == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < ENTRIES; i++)
		h->order[i] = h->entries[i].place = i;
	for (unsigned i = 0; i < CHAINS; i++)
		h->chains[i] = NONE;
	regroup(h);
	*out = h;
	return 0;
}

void hotkey_destroy(struct hotkey **h)
{
	rte_free(*h);
	*h = NULL;
}

bool hotkey_check(const struct hotkey *h)
{
	const uint32_t lowest = h->entries[h->order[ENTRIES - 1]].count;
	unsigned n_groups = 0;

	for (uint16_t p = 0; p < ENTRIES; p++) {
		const struct entry *e = &h->entries[h->order[p]];
		const struct entry *before = p > 0 ? &h->entries[h->order[p - 1]] : NULL;
		const bool is_first = before == NULL || before->group != e->group;
		const struct group *g = &h->groups[e->group];

		n_groups += is_first;
		if (e->place != p || p < g->first || p >= g->first + g->n
			|| (is_first && g->first != p) || e->error > e->count + 1)
			return false;
		if (before != NULL
			&& (is_first ? before->count <= e->count : before->count != e->count))
			return false;
		if (e->len != 0 && find(h, h->keys[h->order[p]], e->len, e->hash) != h->order[p])
			return false;
	}
	for (uint32_t i = 0; i < CELLS; i++)
		if (h->cells[i] > lowest)
			return false;
	return h->lowest == lowest && n_groups + h->n_spare == ENTRIES;
}

/* The manager's half. A second that ended so long before `now` that others followed, all empty, counts the less. */
struct view {
	double scale;     /* of a count */
	double seconds;   /* all that ended, by their weight */
	bool is_complete; /* count is of a second that has ended; else closed is of the last one */
};

static struct view view_of(uint32_t begun, uint32_t at, uint32_t now)
{
	const int32_t after =
		(int32_t)(now - at); /* below 0: the owner's clock is a moment ahead */
	struct view v = {.scale = 1, .is_complete = after > 0};
	uint32_t n = at - begun;

	if (v.is_complete) {
		v.scale = ldexp(1, 1 - after);
		n += (uint32_t)after;
	}
	v.seconds = (int32_t)n > 0 ? 2 - ldexp(2, -(int)RTE_MIN(n, 1000u)) : 0;
	return v;
}

/* false: no key, none that counts yet, or the owner stands still within a change. */
static bool copy_entry(
	const struct hotkey *h, uint16_t i, uint32_t begun, uint32_t now, struct copy *c)
{
	const struct entry *e = &h->entries[i];
	double count = 0, error = 0;
	struct view v = {0};

	for (unsigned looks = 0;; looks++) {
		const uint32_t seq = GET(e->seq), len = GET(e->len);

		if (looks == LOOKS)
			return false;
		if (seq % 2 != 0 || len > ITEM_KEY_MAX) {
			rte_pause();
			continue;
		}
		v = view_of(begun, GET(e->at), now);
		c->hash = GET(e->hash);
		c->len = (uint8_t)len;
		count = v.is_complete ? GET(e->count) : GET(e->closed);
		error = v.is_complete ? GET(e->error) : GET(e->closed_error);
		for (uint32_t n = 0; n < (len + 7) / 8; n++)
			c->key[n] = GET(h->keys[i][n]);
		if (__atomic_load_n(&e->seq, __ATOMIC_RELAXED) == seq)
			break;
	}
	if (c->len == 0 || count == 0 || v.seconds == 0)
		return false;
	/* I3: the middle between what it had at least and at most, but for rounding */
	c->rate = (count - error / 2) * v.scale / v.seconds;
	c->error = (error / 2 + 1) * v.scale / v.seconds;
	c->variance = count * v.scale / v.seconds / v.seconds;
	c->is_taken = false;
	return true;
}

static void copy_sketch(struct hotkey *h, uint32_t begun, uint32_t now)
{
	struct view v;
	double lowest;

	h->n_copies = 0;
	h->others = 0;
	for (unsigned i = 0; i < CHAINS; i++)
		h->copy_chains[i] = NONE;
	if (GET(h->begun) == 0)
		return;
	for (uint16_t i = 0; i < ENTRIES; i++) {
		struct copy *c = &h->copies[h->n_copies];

		if (!copy_entry(h, i, begun, now, c))
			continue;
		c->next = h->copy_chains[c->hash % CHAINS];
		h->copy_chains[c->hash % CHAINS] = (uint16_t)h->n_copies++;
	}
	/* I4. After the entries, so that it is not below the count of one that was taken over before its turn. A key that left
	 * since the last second had at most twice that count when it ended. */
	v = view_of(begun, GET(h->now), now);
	lowest = GET(h->lowest);
	if (v.seconds > 0)
		h->others = (v.is_complete ? lowest + 1 : 2 * lowest + 2) * v.scale / v.seconds;
}

static struct copy *find_copy(struct hotkey *h, const struct copy *like)
{
	uint16_t i = h->copy_chains[like->hash % CHAINS];

	while (i != NONE) {
		struct copy *c = &h->copies[i];

		if (c->hash == like->hash && c->len == like->len
			&& memcmp(c->key, like->key, like->len) == 0)
			return c;
		i = c->next;
	}
	return NULL;
}

/* What all sketches say of a key that one of them has. */
static struct hotkey_top add_up(
	struct hotkey *const *sketches, unsigned n, const struct copy *like, uint32_t sample_every)
{
	struct hotkey_top top = {.len = like->len};
	double variance = 0;

	memcpy(top.key, like->key, like->len);
	for (unsigned i = 0; i < n; i++) {
		struct copy *c;

		if (sketches[i] == NULL)
			continue;
		c = find_copy(sketches[i], like);
		if (c == NULL) {
			top.error += sketches[i]->others;
			continue;
		}
		c->is_taken = true;
		top.per_second += c->rate;
		top.error += c->error;
		variance += c->variance;
	}
	variance *= 1 - 1.0 / sample_every;
	top.per_second *= sample_every;
	top.error = (top.error + SIGMAS * sqrt(variance)) * sample_every;
	return top;
}

/* The second in which the first of them did. Rates are of one time for all, though a worker may have had nothing until now. */
static uint32_t begun_of(struct hotkey *const *sketches, unsigned n, uint32_t now)
{
	uint32_t first = now;

	for (unsigned i = 0; i < n; i++) {
		const uint32_t begun = sketches[i] != NULL ? GET(sketches[i]->begun) : 0;

		if (begun != 0 && (int32_t)(begun - first) < 0)
			first = begun;
	}
	return first;
}

unsigned hotkey_merge(struct hotkey *const *sketches, unsigned n, uint32_t now,
	uint32_t sample_every, struct hotkey_top *out, unsigned max)
{
	const uint32_t begun = begun_of(sketches, n, now);
	unsigned n_out = 0;

	for (unsigned i = 0; i < n; i++)
		if (sketches[i] != NULL)
			copy_sketch(sketches[i], begun, now);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; sketches[i] != NULL && k < sketches[i]->n_copies; k++) {
			const struct copy *c = &sketches[i]->copies[k];
			struct hotkey_top top;
			unsigned at = n_out;

			if (c->is_taken)
				continue;
			top = add_up(sketches, n, c, sample_every);
			while (at > 0 && out[at - 1].per_second < top.per_second)
				at--;
			if (at == max)
				continue;
			if (n_out < max)
				n_out++;
			memmove(&out[at + 1], &out[at], (n_out - at - 1) * sizeof(*out));
			out[at] = top;
		}
	return n_out;
}
