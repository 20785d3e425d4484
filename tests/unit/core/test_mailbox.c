/* SPDX-License-Identifier: BSD-3-Clause */
/* mailbox against a model: one plain queue for each pair of ends. Packets are only pointers here. */
#include "core/mailbox.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#define ENDS 4u
#define SIZE 16u

static struct rte_mbuf packets[1 << 14]; /* addresses stand for packets */

/* What should be in each ring: a range of numbers would do, but receiving mixes rings. */
struct model {
	unsigned n;
	struct rte_mbuf *at[SIZE];
};

static struct model model[ENDS][ENDS];

static void model_send(unsigned from, unsigned to, struct rte_mbuf **m, unsigned n)
{
	struct model *q = &model[from][to];

	assert_true(q->n + n <= SIZE);
	memcpy(q->at + q->n, m, n * sizeof(*m));
	q->n += n;
}

/* The packet must be at the front of one of the rings to `to`. */
static void model_receive(unsigned to, const struct rte_mbuf *m)
{
	for (unsigned from = 0; from < ENDS; from++) {
		struct model *q = &model[from][to];

		if (q->n == 0 || q->at[0] != m)
			continue;
		q->n--;
		memmove(q->at, q->at + 1, q->n * sizeof(q->at[0]));
		return;
	}
	fail_msg("a packet came out that is at the front of no ring");
}

static unsigned model_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ENDS * ENDS; i++)
		n += model[i / ENDS][i % ENDS].n;
	return n;
}

static void test_against_model(void **state)
{
	struct mailbox *mb = NULL;
	unsigned next = 0;

	srandom(1);
	memset(model, 0, sizeof(model));
	assert_int_equal(mailbox_create(&mb, ENDS, SIZE), 0);
	for (unsigned step = 0; step < 200000; step++) {
		const unsigned a = (unsigned)random() % ENDS, b = (unsigned)random() % ENDS;
		const unsigned n = (unsigned)random() % (SIZE + 4);
		struct rte_mbuf *m[SIZE * ENDS];
		unsigned got;

		if (random() % 2) {
			const unsigned room = SIZE - model[a][b].n;

			for (unsigned i = 0; i < n; i++)
				m[i] = &packets[(next + i) % RTE_DIM(packets)];
			got = mailbox_send_bulk(mb, a, b, m, n);
			assert_int_equal(got, n < room ? n : room);
			model_send(a, b, m, got);
			next += got;
		} else {
			unsigned there = 0;

			for (unsigned from = 0; from < ENDS; from++)
				there += model[from][b].n;
			got = mailbox_receive_bulk(mb, b, m, n);
			assert_int_equal(got, n < there ? n : there);
			for (unsigned i = 0; i < got; i++)
				model_receive(b, m[i]);
		}
		assert_int_equal(mailbox_count(mb), model_count());
	}
	for (unsigned to = 0; to < ENDS; to++) {
		struct rte_mbuf *m[SIZE * ENDS];
		const unsigned n = mailbox_receive_bulk(mb, to, m, RTE_DIM(m));

		for (unsigned i = 0; i < n; i++)
			model_receive(to, m[i]);
	}
	assert_int_equal(model_count(), 0);
	mailbox_destroy(&mb);
	assert_null(mb);
}

/* A sender that is never empty must not keep others from being heard. */
static void test_busy_sender_starves_nobody(void **state)
{
	struct mailbox *mb = NULL;
	struct rte_mbuf *loud = &packets[0], *quiet = &packets[1];
	unsigned heard_after = 0;

	assert_int_equal(mailbox_create(&mb, 3, SIZE), 0);
	assert_int_equal(mailbox_send_bulk(mb, 1, 2, &quiet, 1), 1);
	for (unsigned round = 1; round <= 8 && heard_after == 0; round++) {
		struct rte_mbuf *m[4];
		unsigned n;

		while (mailbox_send_bulk(mb, 0, 2, &loud, 1) == 1)
			;
		n = mailbox_receive_bulk(mb, 2, m, 4);
		for (unsigned i = 0; i < n; i++) {
			if (m[i] == quiet)
				heard_after = round;
		}
	}
	assert_true(heard_after > 0);
	for (unsigned i = 0; i < 3; i++) {
		struct rte_mbuf *m[SIZE];

		while (mailbox_receive_bulk(mb, i, m, SIZE) > 0)
			;
	}
	mailbox_destroy(&mb);
}

static void test_refusals(void **state)
{
	struct mailbox *mb = NULL;

	assert_int_equal(mailbox_create(&mb, 0, 16), -EINVAL);
	assert_int_equal(mailbox_create(&mb, 2, 0), -EINVAL);
	assert_int_equal(mailbox_create(&mb, 2, 24), -EINVAL);
	assert_null(mb);
	mailbox_destroy(&mb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_busy_sender_starves_nobody),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
