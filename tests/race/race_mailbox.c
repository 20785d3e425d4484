/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every end sends to every end (itself included) and receives. Each packet carries sender, receiver and a
 * number, written plainly before it is sent: on arrival the numbers of each pair must come in order,
 * without gap, and ThreadSanitizer must see the writes ordered before the reads. Receivers write into
 * the packet too, before it goes back to its pool of one sender.
 */
#include "core/mailbox.h"
#include "race.h"

#define ENDS 4u
#define SIZE 64u
#define EACH 20000u /* packets per pair */
#define BATCH 24u

struct parcel {
	struct rte_mbuf m; /* first: its address is what travels */
	uint32_t from, to, number, n_read;
};

static struct mailbox *mb;
static struct parcel *parcels[ENDS]; /* by sender: ENDS × EACH */

static void receive(unsigned me, uint32_t *expected, uint32_t *n_left)
{
	struct rte_mbuf *in[BATCH];
	const unsigned n = mailbox_receive_bulk(mb, me, in, BATCH);

	for (unsigned i = 0; i < n; i++) {
		struct parcel *p = (struct parcel *)(void *)in[i];

		RACE_CHECK(
			p->to == me && p->from < ENDS, "to %u, from %u, at %u", p->to, p->from, me);
		RACE_CHECK(p->number == expected[p->from], "pair %u→%u: %u instead of %u", p->from,
			me, p->number, expected[p->from]);
		expected[p->from]++;
		p->n_read++;
	}
	*n_left -= n;
}

static void *end(void *arg)
{
	const unsigned me = (unsigned)(uintptr_t)arg;
	uint32_t expected[ENDS] = {0}, sent[ENDS] = {0};
	uint32_t n_left = ENDS * EACH, n_unsent = ENDS * EACH;
	uint64_t rnd = me + 1;

	while (n_left > 0 || n_unsent > 0) {
		const unsigned to = race_random(&rnd) % ENDS;
		unsigned n = 1 + race_random(&rnd) % BATCH, n_taken;
		struct rte_mbuf *out[BATCH];

		if (n > EACH - sent[to])
			n = EACH - sent[to];
		for (unsigned i = 0; i < n; i++) {
			struct parcel *p = &parcels[me][to * EACH + sent[to] + i];

			p->from = me;
			p->to = to;
			p->number = sent[to] + i;
			out[i] = &p->m;
		}
		n_taken = mailbox_send_bulk(mb, me, to, out, n);
		sent[to] += n_taken;
		n_unsent -= n_taken;
		if (n_taken < n)
			sched_yield(); /* full: fewer cores than ends */
		if (race_random(&rnd) % 4)
			receive(me, expected, &n_left);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[ENDS];

	RACE_CHECK(mailbox_create(&mb, ENDS, SIZE) == 0, "no memory");
	for (unsigned i = 0; i < ENDS; i++) {
		parcels[i] = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN(sizeof(struct parcel) * ENDS * EACH, RTE_CACHE_LINE_SIZE));
		RACE_CHECK(parcels[i] != NULL, "no memory");
		for (unsigned k = 0; k < ENDS * EACH; k++)
			parcels[i][k].n_read = 0;
	}
	for (unsigned i = 0; i < ENDS; i++)
		threads[i] = race_start(end, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < ENDS; i++)
		pthread_join(threads[i], NULL);
	RACE_CHECK(mailbox_count(mb) == 0, "%u packets left", mailbox_count(mb));
	for (unsigned i = 0; i < ENDS; i++) {
		for (unsigned k = 0; k < ENDS * EACH; k++)
			RACE_CHECK(
				parcels[i][k].n_read == 1, "read %u times", parcels[i][k].n_read);
		free(parcels[i]);
	}
	mailbox_destroy(&mb);
	return 0;
}
