/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gencache — the work `cache-udp`: requests of genmc.h over UDP, each a datagram. The client's address and port and the request id give
 * an answer's number back.
 */
#include "genframe.h"
#include "genmc.h"

struct gencache {
	struct genmc *mc;
	struct genframe frame;
	unsigned client_bits; /* log2 of the thread's clients */
	struct genwork work;
};

/* p: with the thread's part of the network, where there are several. 0, or -EINVAL: more clients than that has, told. */
int gencache_init(struct gencache *c, struct genmc *mc, const struct genopt *o,
	const struct genframe_params *p);
