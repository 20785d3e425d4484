/* SPDX-License-Identifier: BSD-3-Clause */
/* genteam — see genteam.h. */
#include "genteam.h"

#include "core/mailbox.h"
#include "genrun.h"

#include <rte_cycles.h>
#include <rte_pause.h>

#include <string.h>

/* Of the ring from one thread to another: all others together have as many frames as a receive queue. */
static unsigned ring_size(unsigned n, unsigned n_ring)
{
	return rte_align32pow2((n_ring + n - 2) / (n - 1));
}

uint32_t genteam_buffers(unsigned n, unsigned n_ring)
{
	return n > 1 ? n * (n - 1) * ring_size(n, n_ring) : 0;
}

int genteam_init(struct genteam *t, struct genrun *const *of, unsigned n, unsigned n_ring)
{
	*t = (struct genteam){.n = n, .n_ring = ring_size(n, n_ring)};
	for (unsigned i = 0; i < n; i++) {
		t->of[i] = of[i];
		of[i]->team = t;
		of[i]->member = i;
	}
	return mailbox_create(&t->handed, n, t->n_ring);
}

void genteam_fini(struct genteam *t)
{
	mailbox_destroy(&t->handed);
}

void genteam_begin(struct genteam *t)
{
	t->begin_cyc = 0;
	t->n_ready = t->n_sent = t->n_answered = t->n_done = 0;
}

uint64_t genteam_start(struct genteam *t)
{
	uint64_t begin_cyc;

	if (genteam_arrive(t, &t->n_ready))
		/* pairs(gen-start): what all wrote before they were ready is seen by all who begin */
		__atomic_store_n(&t->begin_cyc, rte_rdtsc(), __ATOMIC_RELEASE);
	/* pairs(gen-start) */
	while ((begin_cyc = __atomic_load_n(&t->begin_cyc, __ATOMIC_ACQUIRE)) == 0)
		rte_pause();
	return begin_cyc;
}

bool genteam_arrive(const struct genteam *t, uint32_t *counter)
{
	/* pairs(gen-arrive): the last one, and who waits for it, sees what the others did before */
	return __atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL) == t->n;
}

bool genteam_has_all(const struct genteam *t, const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE) == t->n; /* pairs(gen-arrive) */
}

bool genteam_give(struct genteam *t, unsigned from, unsigned to, struct rte_mbuf *m)
{
	return mailbox_send_bulk(t->handed, from, to, &m, 1) == 1;
}

unsigned genteam_take(struct genteam *t, unsigned to, struct rte_mbuf **m, unsigned n)
{
	return mailbox_receive_bulk(t->handed, to, m, n);
}
