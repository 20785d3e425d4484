/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of a small cache that are being sent from where they lie, while all threads replace, delete and purge what is in it, and so little
 * memory is left that it is always used again. A worker finds a value, takes a reference of it (serveref_get()) and sends it in
 * parts, of which each holds the reference once, as a mbuf does: some stay with the worker until they are acknowledged, some are with a driver,
 * whom another worker serves, and who may be the last. Each is read when it is given back.
 *
 * Why its bytes are the same then: the worker found the item after its last report, so that its segment is not used again before the next
 * one, and it pins the segment before that. Who empties a segment sees the pin when all readers have left it (seg.h, S5), or there is none;
 * and no reader is left then who could pin it anew. While the count is not 0 nobody writes there. The last holder, whoever it is, has what all
 * others have read behind it (on_free() of serveref.c), and lets go of the pin with a release that the next writer acquires (seg-pins). So a part that
 * reads as something else was freed too early, and ThreadSanitizer sees a read beside a write where an order is missing. At the end no pin is
 * left and no reference, or one was lost.
 */
#include "base/keyhash.h"
#include "base/tsan.h"
#include "core/mailbox.h"
#include "eal.h"
#include "kv/kv.h"
#include "race.h"
#include "serve/serveref.h"

#include <rte_malloc.h>

#define THREADS 3u
#define TURNS 1500u
#define KEYS 300u
#define VALUE_MAX 12000u
#define N_REFS 48u
#define N_PARTS 192u /* of a worker that are on their way */
#define HELD_MAX 40u /* turns */

#ifdef TSAN_BUILD
/* A token that was passed before is read plainly there, and written atomically. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#endif

/* What a mbuf is to a value. */
struct part {
	struct rte_mbuf m; /* first: its address is what travels */
	struct rte_mbuf_ext_shared_info *by;
	const uint8_t *at;
	uint32_t len, until; /* until: turn of who holds it */
	uint8_t byte;
	bool is_busy; /* w: sender true, last holder false  pairs(part-busy) */
	struct part *next;
};

struct sender {
	unsigned id;
	uint64_t rnd;
	struct kv_writer *w;
	struct serveref *refs;
	struct part parts[N_PARTS];
	struct part *held; /* with this worker */
	uint8_t value[VALUE_MAX];
	uint32_t next_part;
	uint64_t n_values, n_refused, n_parts, n_of_others;
};

static struct rte_rcu_qsbr *readers;
static struct mailbox *mail;
static pthread_barrier_t all_sent, end;
static struct kv *kv;
static struct sender senders[THREADS];

static struct kv_key draw_key(struct sender *s, char key[32])
{
	return kv_key_of(key, (uint32_t)snprintf(key, 32, "k%u", race_random(&s->rnd) % KEYS));
}

/* --- parts --- */

static void hold(struct sender *s, struct part *p, uint32_t turn)
{
	p->until = turn + race_random(&s->rnd) % HELD_MAX;
	p->next = s->held;
	s->held = p;
}

/* Its bytes are what they were: one value's are all the same. */
static void give_back(struct part *p)
{
	RACE_CHECK(p->at[0] == p->byte && memcmp(p->at, p->at + 1, p->len - 1) == 0,
		"a part of %u bytes has another value's", p->len);
	serveref_put(p->by);
	/* pairs(part-busy): it has been read */
	__atomic_store_n(&p->is_busy, false, __ATOMIC_RELEASE);
}

static void give_back_due(struct sender *s, uint32_t turn, bool is_all)
{
	struct part **link = &s->held;

	while (*link != NULL) {
		struct part *p = *link;

		if (!is_all && (int32_t)(p->until - turn) > 0) {
			link = &p->next;
			continue;
		}
		*link = p->next;
		give_back(p);
	}
}

static void receive(struct sender *s, uint32_t turn)
{
	struct rte_mbuf *in[32];
	const unsigned n = mailbox_receive_bulk(mail, s->id, in, RTE_DIM(in));

	for (unsigned i = 0; i < n; i++)
		hold(s, (struct part *)(void *)in[i], turn);
	s->n_of_others += n;
}

static struct part *take_part(struct sender *s)
{
	for (unsigned i = 0; i < 8; i++) {
		struct part *p = &s->parts[s->next_part++ % N_PARTS];

		/* pairs(part-busy): whoever had it is done with it */
		if (!__atomic_load_n(&p->is_busy, __ATOMIC_ACQUIRE)) {
			p->is_busy = true;
			return p;
		}
	}
	return NULL;
}

/* Stays here, or goes to a driver whom another worker serves. */
static void send_part(struct sender *s, struct part *p, uint32_t turn)
{
	const unsigned to = (s->id + 1 + race_random(&s->rnd) % (THREADS - 1)) % THREADS;
	struct rte_mbuf *m = &p->m;

	s->n_parts++;
	if (race_random(&s->rnd) % 2 || mailbox_send_bulk(mail, s->id, to, &m, 1) == 0)
		hold(s, p, turn);
}

static void send_value(struct sender *s, uint32_t turn)
{
	char key[32];
	const struct kv_key k = draw_key(s, key);
	struct assoc_probe probe = {.key = k.data, .key_len = k.len, .hash = k.hash};
	struct rte_mbuf_ext_shared_info *by;
	uint32_t len, at = 0;
	const uint8_t *value;

	kv_get_bulk(s->w, &probe, 1);
	if (probe.item == NULL)
		return;
	value = item_value(probe.item);
	len = item_value_len(probe.item);
	by = serveref_get(s->refs, kv, value);
	if (by == NULL) {
		s->n_refused++;
		return;
	}
	s->n_values++;
	while (at < len) {
		struct part *p = take_part(s);
		const uint32_t left = len - at, n = 1 + race_random(&s->rnd) % 4000;

		if (p == NULL)
			break;
		p->by = by;
		p->at = value + at;
		p->len = RTE_MIN(n, left);
		p->byte = value[0];
		at += p->len;
		rte_mbuf_ext_refcnt_update(by, 1);
		send_part(s, p, turn);
	}
	serveref_put(by);
}

/* --- what is done to the cache meanwhile --- */

static void change(struct sender *s)
{
	char key[32];
	const struct kv_key k = draw_key(s, key);
	const struct kv_store st = {.value = s->value,
		.value_len = 100 + race_random(&s->rnd) % (VALUE_MAX - 100),
		.mode = KV_SET};

	switch (race_random(&s->rnd) % 32) {
	case 0:
		kv_delete(s->w, &k, 0);
		break;
	case 1:
		if (race_random(&s->rnd) % 64 == 0)
			kv_purge(s->w, "k1", 2);
		break;
	default:
		memset(s->value, (int)race_random(&s->rnd), st.value_len);
		kv_store(s->w, &k, &st, NULL);
	}
}

static void *body(void *arg)
{
	struct sender *s = arg;

	rte_rcu_qsbr_thread_register(readers, s->id);
	rte_rcu_qsbr_thread_online(readers, s->id);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		rte_rcu_qsbr_quiescent(readers, s->id);
		if (turn % 8 == 0)
			sched_yield(); /* fewer cores than threads: one that waits keeps all memory from being used again */
		kv_writer_begin(s->w, 1, 0, 1000 + turn / 2);
		kv_sweep(s->w);
		for (unsigned i = 0; i < 2; i++)
			change(s);
		send_value(s, turn);
		receive(s, turn);
		give_back_due(s, turn, false);
	}
	rte_rcu_qsbr_thread_offline(readers, s->id);
	pthread_barrier_wait(&all_sent);
	while (mailbox_count(mail) > 0)
		receive(s, TURNS);
	give_back_due(s, TURNS, true);
	/* TSan does not see what unregistering orders: not while others write */
	pthread_barrier_wait(&end);
	rte_rcu_qsbr_thread_unregister(readers, s->id);
	return NULL;
}

/* Everything that was pinned is used again: one writer alone replaces all there is room for, several times. */
static void reuse(struct sender *s)
{
	uint32_t n_stored = 0;

	rte_rcu_qsbr_thread_register(readers, s->id);
	rte_rcu_qsbr_thread_online(readers, s->id);
	for (uint32_t i = 0; i < 4 * KEYS; i++) {
		char key[32];
		const struct kv_key k =
			kv_key_of(key, (uint32_t)snprintf(key, sizeof(key), "new%u", i));
		const struct kv_store st = {.value = s->value, .value_len = VALUE_MAX};

		rte_rcu_qsbr_quiescent(readers, s->id);
		kv_writer_begin(s->w, 1, 0, TURNS + i);
		kv_sweep(s->w);
		n_stored += kv_store(s->w, &k, &st, NULL) == KV_OK;
	}
	rte_rcu_qsbr_thread_offline(readers, s->id);
	rte_rcu_qsbr_thread_unregister(readers, s->id);
	RACE_CHECK(n_stored == 4 * KEYS, "%u of %u stored", n_stored, 4 * KEYS);
}

static void run(enum evict_policy policy)
{
	const struct kv_params params = {.memory_bytes = 3u << 20,
		.value_max = VALUE_MAX,
		.n_writers = THREADS,
		.policy = (uint8_t)policy};
	uint64_t n_values = 0, n_refused = 0, n_parts = 0, n_of_others = 0;
	pthread_t threads[THREADS];
	struct kv_stats stats;
	struct kv_usage u;

	RACE_CHECK(kv_create(&kv, &params, readers) == 0, "no cache");
	RACE_CHECK(mailbox_create(&mail, THREADS, 64) == 0, "no mailbox");
	memset(senders, 0, sizeof(senders));
	for (unsigned i = 0; i < THREADS; i++) {
		senders[i].id = i;
		senders[i].rnd = 100 * policy + i + 1;
		senders[i].w = kv_writer_of(kv, i);
		RACE_CHECK(serveref_create(&senders[i].refs, N_REFS, SOCKET_ID_ANY) == 0,
			"no references");
	}
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = race_start(body, &senders[i]);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	kv_usage(kv, &u);
	for (unsigned i = 0; i < THREADS; i++) {
		RACE_CHECK(serveref_used(senders[i].refs) == 0, "references of %u are used", i);
		n_values += senders[i].n_values;
		n_refused += senders[i].n_refused;
		n_parts += senders[i].n_parts;
		n_of_others += senders[i].n_of_others;
		serveref_destroy(&senders[i].refs);
	}
	RACE_CHECK(!kv_is_pinned(kv) && u.n_pinned == 0, "%u segments are pinned", u.n_pinned);
	reuse(&senders[0]);
	kv_check(kv);
	kv_stats_sum(kv, &stats);
	printf("%-7s %u segments, %lu values in %lu parts, %lu of other workers, %lu refused, %lu evicted, %lu without memory\n",
		evict_policies[policy]->name, u.n_segs, (unsigned long)n_values,
		(unsigned long)n_parts, (unsigned long)n_of_others, (unsigned long)n_refused,
		(unsigned long)stats.evicted, (unsigned long)stats.no_memory);
	RACE_CHECK(stats.evicted > 300 && n_values > 300 && n_of_others > 300 && n_parts > n_values
			&& n_refused > 0,
		"too little happened: %lu of others", (unsigned long)n_of_others);
	mailbox_destroy(&mail);
	kv_destroy(&kv);
}

int main(void)
{
	RACE_CHECK(eal_start("race_serveref", 256) == 0, "EAL did not start");
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(THREADS), RTE_CACHE_LINE_SIZE);
	RACE_CHECK(readers != NULL && rte_rcu_qsbr_init(readers, THREADS) == 0, "no memory");
	pthread_barrier_init(&all_sent, NULL, THREADS);
	pthread_barrier_init(&end, NULL, THREADS);
	for (unsigned p = 0; p < EVICT_N; p++)
		run((enum evict_policy)p);
	return 0;
}
