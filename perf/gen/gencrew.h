/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gencrew — the threads of a run, each with all that it works with: its loops (of the work, and of the generator alone), its flows, keys and
 * connections, its flood beside. What is done with all of them is done here, what they counted is added up. All draw from the same flows
 * and keys, so that traffic is what one thread's would be; each begins a share of the flows, stores a share of the keys, and has
 * client addresses of its own where an answer has nothing else to be known by. Main thread, between trials.
 */
#include "genbeside.h"
#include "gencache.h"
#include "genctcp.h"
#include "genflood.h"
#include "genreport.h"
#include "genup.h"

struct gencrew_one {
	struct genrun run, alone;
	struct gennet net;
	struct genflood flood, alone_flood;
	struct genmc mc;
	struct gencache cache;
	struct genctcp ctcp;
	struct genbeside beside;
};

struct gencrew {
	const struct genopt *o;
	struct genopt alone_opt;
	unsigned n;
	struct gencrew_one of[GENOPT_CPUS_MAX];
	struct genteam team, alone_team;
};

/* The first thread's loop, by which trials are run. */
static inline struct genrun *gencrew_run(struct gencrew *c)
{
	return &c->of[0].run;
}
static inline struct genrun *gencrew_alone(struct gencrew *c)
{
	return &c->of[0].alone;
}

/* The loops, on the ports and lcores that are up. 0 or -ENOMEM; then gencrew_fini() too, which is for one that is all zero as well. */
int gencrew_init(struct gencrew *c, const struct genopt *o, struct genup *up);
void gencrew_fini(struct gencrew *c);

/* Signal handlers too. */
void gencrew_stop(struct gencrew *c);

/* The work, once the first thread knows the next hop's MAC address. 0 or -errno, told. */
int gencrew_init_work(struct gencrew *c, struct genup *up);

/* Connections of TCP, where the work has some. 0 or -errno, told. */
int gencrew_connect(struct gencrew *c);

/* Flows are begun, or keys stored. 0 or -errno, told. */
int gencrew_load(struct gencrew *c);

/* What a flood is to send. */
void gencrew_set_mode(struct gencrew *c, enum genflood_mode mode);

/* Before a trial of the work at this rate of all. */
void gencrew_begin(struct gencrew *c, double rate, double shift_seconds);

/* After it: adds what answers said, and what TCP did, to an item that is all zero there. */
void gencrew_collect(const struct gencrew *c, struct genreport_item *it);

/* The generator alone, on up->alone. 0 or -errno, told. */
int gencrew_init_alone(struct gencrew *c, struct genup *up);
