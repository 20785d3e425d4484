/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genbeside — frames that nobody measures, sent beside those that are, at a rate of their own: a flood whose harm to the others is what
 * one wants to know. They have no marks, come from anywhere in 198.18.0.0/15 (RFC 2544, C.2.2), and whatever they bring back is dropped. Those that
 * find no room are lost; whether they leave in time is no matter.
 */
#include "genframe.h"
#include "genrun.h"

struct genbeside {
	enum genopt_beside kind;
	struct genframe frame;
	struct genpace pace;
	double rate, lag_s;    /* the thread's own; of its first one */
	uint64_t begun_cyc, n; /* of the trial that pace is of; frames so far */
	uint64_t random;
};

/* p: of the work; the target is IPv4. */
void genbeside_init(struct genbeside *b, const struct genopt *o, const struct genframe_params *p);

/* Hot. In each round of r's loop: what is due, a burst at most. ctx: the struct genbeside. */
void genbeside_send(void *ctx, struct genrun *r);
