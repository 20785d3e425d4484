/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_mailbox — packets from one worker to another, sent and received by one thread, so without the
 * travel of cache lines between cores, which a ring has as well.
 */
#include "core/mailbox.h"
#include "shim.h"

#include <rte_ring.h>

#define ROUNDS 128u
#define SIZE 1024u

struct mail {
	struct mailbox *mb;
	struct rte_ring *ring;
	struct rte_mbuf **mbufs;
	unsigned n_at_once;
};

static void down(void *ctx)
{
	struct mail *x = ctx;

	mailbox_destroy(&x->mb);
	rte_ring_free(x->ring);
	free(x);
}

static void *up(const struct bench_case *c)
{
	struct mail *x = shim_alloc(sizeof(*x));

	x->mbufs = shim_mbufs();
	x->n_at_once = c->size;
	x->ring = rte_ring_create("bench_mail", SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (x->ring == NULL || mailbox_create(&x->mb, 3, SIZE) != 0) {
		down(x);
		return NULL;
	}
	return x;
}

static unsigned mail(void *ctx)
{
	struct rte_mbuf *out[SHIM_BURST];
	struct mail *x = ctx;
	unsigned n = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SHIM_BURST; i += x->n_at_once)
			mailbox_send_bulk(x->mb, 0, 1, &x->mbufs[i], x->n_at_once);
		n += mailbox_receive_bulk(x->mb, 1, out, SHIM_BURST);
		shim_use((uintptr_t)out[0]);
	}
	return n == ROUNDS * SHIM_BURST ? n : 0;
}

static unsigned ring(void *ctx)
{
	void *out[SHIM_BURST];
	struct mail *x = ctx;
	unsigned n = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SHIM_BURST; i += x->n_at_once)
			rte_ring_enqueue_bulk(x->ring, (void **)&x->mbufs[i], x->n_at_once, NULL);
		n += rte_ring_dequeue_burst(x->ring, out, SHIM_BURST, NULL);
		shim_use((uintptr_t)out[0]);
	}
	return n == ROUNDS * SHIM_BURST ? n : 0;
}

static const struct bench_case cases[] = {
	{.name = "mailbox/send+receive/32",
		.size = 32,
		.up = up,
		.run = mail,
		.ref = ring,
		.down = down,
		.reference = "rte_ring (SP, SC), bulk of 32"},
	{.name = "mailbox/send+receive/1",
		.size = 1,
		.up = up,
		.run = mail,
		.ref = ring,
		.down = down,
		.reference = "rte_ring (SP, SC), sent one by one"},
};
BENCH_SUBJECT(bench_mailbox, cases);
