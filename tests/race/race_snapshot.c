/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One manager publishes generations and frees what it gets back, after poisoning it; readers check that
 * what they see is whole, never poisoned, never older than what they saw before, and lives until their
 * quiescent point. Some readers go offline at times, as sleeping workers do.
 */
#include "core/snapshot.h"
#include "race.h"

#include <string.h>

#define READERS 3u
#define GENERATIONS 1500u
#define WORDS 64u
#define POISON 0xdeaddeaddeaddeadull

struct payload {
	uint64_t words[WORDS];
};

static bool stop;     /* w: manager (relaxed)  r: readers */
static unsigned n_up; /* w: readers (relaxed)  r: manager */

static struct snapshot *build(uint64_t generation)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct payload *p = malloc(sizeof(*p));

	RACE_CHECK(s != NULL && p != NULL, "no memory");
	s->generation = generation;
	for (unsigned i = 0; i < WORDS; i++)
		p->words[i] = generation * WORDS + i;
	s->slot[SNAPSHOT_LB] = p;
	return s;
}

static void retire(struct snapshot *s)
{
	struct payload *p;

	memcpy(&p, &s->slot[SNAPSHOT_LB], sizeof(p));
	for (unsigned i = 0; i < WORDS; i++)
		p->words[i] = POISON;
	s->generation = POISON;
	free(p);
	free(s);
}

static void look(uint64_t *last)
{
	const struct snapshot *s = snapshot_get();
	const struct payload *p = s->slot[SNAPSHOT_LB];
	const uint64_t generation = s->generation;

	RACE_CHECK(generation >= *last && generation <= GENERATIONS, "generation %llu after %llu",
		(unsigned long long)generation, (unsigned long long)*last);
	for (unsigned i = 0; i < WORDS; i++) {
		RACE_CHECK(p->words[i] == generation * WORDS + i, "generation %llu word %u: %llx",
			(unsigned long long)generation, i, (unsigned long long)p->words[i]);
		if (i == WORDS / 2)
			sched_yield(); /* be caught in the middle */
	}
	*last = generation;
}

static void *reader(void *arg)
{
	uint64_t rnd = 77 + (uintptr_t)arg, last = 0;

	snapshot_reader_up(0);
	__atomic_fetch_add(&n_up, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		look(&last);
		if (race_random(&rnd) % 2)
			look(&last);
		snapshot_quiescent();
		if (race_random(&rnd) % 8 == 0) {
			snapshot_offline();
			sched_yield();
			snapshot_online();
		}
	}
	snapshot_reader_down();
	return NULL;
}

int main(void)
{
	pthread_t threads[READERS];
	struct snapshot *old = snapshot_publish(build(0), NULL);

	RACE_CHECK(old == NULL, "something was published before");
	for (unsigned i = 0; i < READERS; i++)
		threads[i] = race_start(reader, (void *)(uintptr_t)i);
	while (__atomic_load_n(&n_up, __ATOMIC_RELAXED) < READERS)
		sched_yield();
	for (uint64_t g = 1; g <= GENERATIONS; g++) {
		uint32_t wait_us = UINT32_MAX;

		old = snapshot_publish(build(g), &wait_us);
		RACE_CHECK(old != NULL && old->generation == g - 1, "wrong predecessor of %llu",
			(unsigned long long)g);
		RACE_CHECK(wait_us != UINT32_MAX, "no waiting time");
		retire(old);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	retire(snapshot_publish(NULL, NULL));
	return 0;
}
