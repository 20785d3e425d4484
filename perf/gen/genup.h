/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genup — EAL, packet buffers and ports of a run, up and down. Main thread. Everything that fails is told with its remedy.
 */
#include "genopt.h"
#include "genport.h"

#define GENUP_ALONE "net_ring63" /* gives back what is sent: the generator alone */

struct genup {
	bool has_eal;
	struct rte_mempool *pool;
	struct genport tx, other, alone; /* other: --rx-port; open only when there is one */
	struct genport *rx;              /* where answers come: tx or other */
};

/* 0 or -errno; then genup_down() too. */
int genup_up(struct genup *u, const struct genopt *o);
void genup_down(struct genup *u);

/* Until the links are up. 0, or -ETIMEDOUT with the name of the one that is not in *name, or -EINTR when *is_stopped. */
int genup_wait_links(
	const struct genup *u, unsigned seconds, const bool *is_stopped, const char **name);

/* Opens u->alone. 0 or -errno. */
int genup_open_alone(struct genup *u, const struct genopt *o);

/* The lcore of a thread. */
unsigned genup_lcore(unsigned thread);
