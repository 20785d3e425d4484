/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether each key is one register: several threads get, set, add, replace, cas, increment and delete a few keys at once, and note
 * when each call began and ended and what it returned. For each key an order of the calls must exist that agrees with these
 * times and in which every answer is right (Herlihy and Wing, Linearizability, 1990); it is searched for as Wing and Gong
 * did (1993), with states that were tried before left out (Lowe 2017). Other keys are replaced meanwhile, so that items are
 * copied on. That the search finds what is wrong is tried with histories that are.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "race.h"

#include <rte_cycles.h>
#include <rte_malloc.h>

#include <string.h>

#define THREADS 4u
#define ROUNDS 1500u
#define KEYS 3u
#define OPS 30u     /* of a thread in a round, to all keys */
#define PER_KEY OPS /* of a thread to one key at most */
#define CHURN_KEYS 400u

#ifdef TSAN_BUILD
/* A token that was passed before is read plainly there, and written atomically. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#endif

enum verb { GET, SET, ADD, REPLACE, CAS, INCR, DELETE, VERBS };

struct op {
	uint64_t begin, end; /* TSC */
	uint8_t verb;
	uint8_t result; /* enum kv_result */
	uint64_t value; /* that was found, set, or counted to */
	uint64_t cas;   /* that it has then */
	uint64_t asked; /* CAS, DELETE: what it must be */
};

struct state {
	bool is_there;
	uint64_t value, cas;
};

/* The calls to one key, of each thread in the order in which it made them. */
struct history {
	uint32_t n[THREADS];
	struct op ops[THREADS][PER_KEY];
};

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static pthread_barrier_t barrier;
static struct history histories[KEYS];
static uint64_t n_overlaps;
static uint32_t n_arrived;

/* Whether the answer is right in this state, and what the state is then. */
static bool step(const struct op *op, struct state *s)
{
	const struct state next = {true, op->value, op->cas};
	const bool is_cas_right = s->is_there && (op->asked == 0 || op->asked == s->cas);

	switch (op->verb) {
	case GET:
		return op->result == KV_OK
			? s->is_there && s->value == op->value && s->cas == op->cas
			: !s->is_there;
	case SET:
		*s = next;
		return op->result == KV_OK;
	case ADD:
		if (op->result != KV_OK)
			return op->result == KV_NOT_STORED && s->is_there;
		if (s->is_there)
			return false;
		*s = next;
		return true;
	case REPLACE:
		if (op->result != KV_OK)
			return op->result == KV_NOT_STORED && !s->is_there;
		if (!s->is_there)
			return false;
		*s = next;
		return true;
	case INCR:
		if (op->result != KV_OK)
			return op->result == KV_NOT_FOUND && !s->is_there;
		if (!s->is_there || s->value + 1 != op->value)
			return false;
		*s = next;
		return true;
	case CAS:
	case DELETE:
		if (op->result == KV_NOT_FOUND)
			return !s->is_there;
		if (op->result == KV_EXISTS)
			return s->is_there && !is_cas_right;
		if (op->result != KV_OK || !is_cas_right)
			return false;
		*s = op->verb == CAS ? next : (struct state){0};
		return true;
	default:
		return false;
	}
}

/* How far each thread's calls are taken in, and which one has made the state. */
struct node {
	uint16_t at[THREADS];
	struct state state;
};

#define SEEN_MAX (1u << 16)

static struct node seen[SEEN_MAX];
static uint32_t seen_round[SEEN_MAX], round_of_search;

static bool is_seen(const struct node *n)
{
	uint64_t h = n->state.cas * 0x9e3779b97f4a7c15ull + n->state.value * 31 + n->state.is_there;

	for (unsigned t = 0; t < THREADS; t++)
		h = (h ^ n->at[t]) * 0xff51afd7ed558ccdull;
	for (unsigned i = (unsigned)(h >> 40) % SEEN_MAX;; i = (i + 1) % SEEN_MAX) {
		if (seen_round[i] != round_of_search) {
			seen_round[i] = round_of_search;
			seen[i] = *n;
			return false;
		}
		if (memcmp(seen[i].at, n->at, sizeof(n->at)) == 0
			&& seen[i].state.is_there == n->state.is_there
			&& seen[i].state.value == n->state.value
			&& seen[i].state.cas == n->state.cas)
			return true;
	}
}

static bool search(const struct history *h, const struct node *n)
{
	uint64_t first_end = UINT64_MAX;
	bool is_done = true;

	if (is_seen(n))
		return false;
	for (unsigned t = 0; t < THREADS; t++)
		if (n->at[t] < h->n[t]) {
			is_done = false;
			first_end = RTE_MIN(first_end, h->ops[t][n->at[t]].end);
		}
	if (is_done)
		return true;
	for (unsigned t = 0; t < THREADS; t++) {
		struct node next = *n;

		/* one that began after another had ended does not come before it */
		if (n->at[t] == h->n[t] || h->ops[t][n->at[t]].begin > first_end
			|| !step(&h->ops[t][n->at[t]], &next.state))
			continue;
		next.at[t]++;
		if (search(h, &next))
			return true;
	}
	return false;
}

static bool is_linear(const struct history *h)
{
	const struct node start = {0};

	round_of_search++;
	return search(h, &start);
}

static void print(const struct history *h)
{
	static const char *const names[VERBS] = {
		"get", "set", "add", "replace", "cas", "incr", "delete"};

	for (unsigned t = 0; t < THREADS; t++)
		for (unsigned i = 0; i < h->n[t]; i++) {
			const struct op *op = &h->ops[t][i];

			fprintf(stderr, "thread %u %lu..%lu %s: %u value %lu cas %lu asked %lu\n",
				t, (unsigned long)op->begin, (unsigned long)op->end,
				names[op->verb], op->result, (unsigned long)op->value,
				(unsigned long)op->cas, (unsigned long)op->asked);
		}
}

/* A call may be held up before it does anything, and after: what it did must still fall between. */
static void hold_up(uint64_t *rnd)
{
	if (race_random(rnd) % 8 == 0)
		sched_yield();
}

static void get(struct kv_writer *w, const struct kv_key *k, struct op *op, uint64_t *rnd)
{
	struct assoc_probe p = {.key = k->data, .key_len = k->len, .hash = k->hash};
	char text[32] = {0};

	op->begin = rte_rdtsc_precise();
	hold_up(rnd);
	kv_get_bulk(w, &p, 1);
	hold_up(rnd);
	op->end = rte_rdtsc_precise();
	op->result = p.item != NULL ? KV_OK : KV_NOT_FOUND;
	if (p.item == NULL)
		return;
	memcpy(text, item_value(p.item), RTE_MIN(item_value_len(p.item), 31u));
	op->value = strtoull(text, NULL, 10);
	op->cas = item_cas(p.item);
}

static void change(struct kv_writer *w, const struct kv_key *k, struct op *op, uint64_t *rnd)
{
	static const uint8_t modes[VERBS] = {
		[SET] = KV_SET, [ADD] = KV_ADD, [REPLACE] = KV_REPLACE, [CAS] = KV_CAS};
	const struct kv_count one = {.delta = 1};
	struct kv_counted counted = {0};
	char text[32];
	const struct kv_store s = {.value = text,
		.value_len =
			(uint32_t)snprintf(text, sizeof(text), "%lu", (unsigned long)op->value),
		.mode = modes[op->verb],
		.cas = op->asked};

	op->begin = rte_rdtsc_precise();
	hold_up(rnd);
	switch (op->verb) {
	case INCR:
		op->result = (uint8_t)kv_count(w, k, &one, &counted);
		break;
	case DELETE:
		op->result = (uint8_t)kv_delete(w, k, op->asked);
		break;
	default:
		op->result = (uint8_t)kv_store(w, k, &s, &op->cas);
	}
	hold_up(rnd);
	op->end = rte_rdtsc_precise();
	if (op->verb == INCR) {
		op->value = counted.value;
		op->cas = counted.cas;
	}
}

static void churn(struct kv_writer *w, uint64_t *rnd)
{
	static const uint8_t value[900];
	const struct kv_store s = {.value = value, .value_len = sizeof(value)};
	char name[32];
	const struct kv_key k = kv_key_of(
		name, (uint32_t)snprintf(name, 32, "churn:%u", race_random(rnd) % CHURN_KEYS));

	kv_store(w, &k, &s, NULL);
}

static void play(uint32_t id, uint32_t round, uint64_t *rnd, timer_t timer)
{
	struct kv_writer *w = kv_writer_of(kv, id);
	uint64_t last[KEYS] = {0};
	char name[32];

	for (unsigned n = 0; n < OPS; n++) {
		const uint32_t i = race_random(rnd) % KEYS;
		struct history *h = &histories[i];
		struct op *op = &h->ops[id][h->n[id]++];
		const struct kv_key k =
			kv_key_of(name, (uint32_t)snprintf(name, 32, "key:%u:%u", round, i));

		*op = (struct op){
			.verb = (uint8_t)(race_random(rnd) % 3 ? race_random(rnd) % VERBS : GET)};
		op->value = (uint64_t)round << 32 | id << 24 | n << 12;
		if (op->verb == CAS || (op->verb == DELETE && race_random(rnd) % 2))
			op->asked = last[i] != 0 ? last[i] : 1;
		if (race_random(rnd) % 64 == 0)
			race_interrupt(timer, race_random(rnd));
		if (op->verb == GET)
			get(w, &k, op, rnd);
		else
			change(w, &k, op, rnd);
		if (op->cas != 0)
			last[i] = op->cas;
		if (race_random(rnd) % 2 == 0)
			churn(w, rnd);
	}
}

static void check(uint32_t round)
{
	for (unsigned i = 0; i < KEYS; i++) {
		struct history *h = &histories[i];

		for (unsigned t = 1; t < THREADS; t++)
			for (unsigned a = 0; a < h->n[t]; a++)
				for (unsigned b = 0; b < h->n[0]; b++)
					n_overlaps += h->ops[t][a].begin < h->ops[0][b].end
						&& h->ops[0][b].begin < h->ops[t][a].end;
		if (!is_linear(h)) {
			print(h);
			RACE_CHECK(false, "round %u, key %u: no order of these calls is right",
				round, i);
		}
		memset(h->n, 0, sizeof(h->n));
	}
}

static void *body(void *arg)
{
	const uint32_t id = (uint32_t)(uintptr_t)arg;
	uint64_t rnd = id + 77;

	timer_t timer;

	rte_rcu_qsbr_thread_register(readers, id);
	rte_rcu_qsbr_thread_online(readers, id);
	timer = race_make_timer();
	for (uint32_t round = 0; round < ROUNDS; round++) {
		rte_rcu_qsbr_thread_offline(readers, id);
		race_start_line(&n_arrived, THREADS, round);
		rte_rcu_qsbr_thread_online(readers, id);
		kv_writer_begin(kv_writer_of(kv, id), 1, 1, 1);
		play(id, round, &rnd, timer);
		rte_rcu_qsbr_thread_offline(readers, id);
		pthread_barrier_wait(&barrier);
		rte_rcu_qsbr_thread_online(readers, id);
		if (id == 0)
			check(round);
	}
	timer_delete(timer);
	rte_rcu_qsbr_thread_offline(readers, id);
	rte_rcu_qsbr_thread_unregister(readers, id);
	return NULL;
}

/* Two sets one after the other, and a get that then finds the first; both at once, and it may. */
static void check_search(void)
{
	struct history h = {.n = {2, 1},
		.ops = {{{.begin = 1, .end = 2, .verb = SET, .value = 7, .cas = 70},
				{.begin = 5, .end = 6, .verb = GET, .value = 7, .cas = 70}},
			{{.begin = 3, .end = 4, .verb = SET, .value = 8, .cas = 80}}}};

	RACE_CHECK(!is_linear(&h), "an old value was taken for right");
	h.ops[1][0].begin = 0;
	RACE_CHECK(is_linear(&h), "the sets may be the other way round");
	h.ops[1][0].begin = 3;
	h.ops[1][0].end = 10;
	RACE_CHECK(is_linear(&h), "the second set may come last");
	h.ops[0][1].cas = 71;
	RACE_CHECK(!is_linear(&h), "a number that nobody has set");
	/* two increments that both find 7 */
	h = (struct history){.n = {2, 1},
		.ops = {{{.begin = 1, .end = 2, .verb = SET, .value = 7, .cas = 70},
				{.begin = 3, .end = 9, .verb = INCR, .value = 8, .cas = 80}},
			{{.begin = 3, .end = 9, .verb = INCR, .value = 8, .cas = 81}}}};
	RACE_CHECK(!is_linear(&h), "a lost update was taken for right");
	h.ops[1][0].value = 9;
	RACE_CHECK(is_linear(&h), "two increments at once");
	/* two deletes of one value */
	h = (struct history){.n = {2, 1},
		.ops = {{{.begin = 1, .end = 2, .verb = SET, .value = 7, .cas = 70},
				{.begin = 3, .end = 9, .verb = DELETE}},
			{{.begin = 3, .end = 9, .verb = DELETE}}}};
	RACE_CHECK(!is_linear(&h), "deleted twice");
	h.ops[1][0].result = KV_NOT_FOUND;
	RACE_CHECK(is_linear(&h), "deleted once");
}

int main(void)
{
	const struct kv_params params = {
		.memory_bytes = 1300u << 10, .value_max = 2000, .n_writers = THREADS};
	pthread_t threads[THREADS];
	struct kv_stats stats;

	check_search();
	RACE_CHECK(eal_start("race_history", 128) == 0, "EAL did not start");
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(THREADS), RTE_CACHE_LINE_SIZE);
	RACE_CHECK(readers != NULL && rte_rcu_qsbr_init(readers, THREADS) == 0, "no memory");
	RACE_CHECK(kv_create(&kv, &params, readers) == 0, "no cache");
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = race_start(body, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	kv_check(kv);
	kv_stats_sum(kv, &stats);
	printf("%u calls in order, %lu pairs of them at the same time; %lu items copied on\n",
		ROUNDS * THREADS * OPS, (unsigned long)n_overlaps, (unsigned long)stats.kept);
	RACE_CHECK(n_overlaps > 1000 && stats.kept > 0, "%lu at the same time, %lu copied on",
		(unsigned long)n_overlaps, (unsigned long)stats.kept);
	kv_destroy(&kv);
	return 0;
}
