/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genflood — the work `flood`: frames of many flows to a balancer. The known ones were begun before, each once; of the frames that
 * are measured a share begins a flow that was never seen. Frames come back as the balancer has sent them to a backend, or, where
 * answers pass it too, to the client after they were turned round here.
 */
#include "genframe.h"
#include "genonce.h"
#include "genzipf.h"

enum genflood_mode {
	GENFLOOD_MIXED,
	GENFLOOD_PROBE, /* known flows, each frame as a flow's first one */
	GENFLOOD_BEGIN, /* the known flows, once each */
};

struct genflood {
	struct genframe frame;
	struct genpace_sizes sizes;
	struct genzipf flows;
	bool is_tcp, is_returned;
	enum genflood_mode mode; /* set between trials */
	struct genonce begun;
	uint64_t random,
		n_new; /* beside the known flows, the next one that is begun; of n_threads each n-th is this one's */
	uint32_t n_threads;
	bool has_flows_of_first; /* the table is another's */
	uint32_t new_limit;      /* of 2^32 draws, so many begin one */
	uint64_t n_arrived;   /* frames at the backends  w: lcore  r: main thread, between trials */
	uint64_t n_tunnelled; /* of these, behind outer headers */
	struct genwork work;
};

/* p->thread: of genopt_threads() threads. All draw from the same flows, with the table of the first, which stays until they are gone; for
 * that one `first` is NULL. 0, or -ENOMEM, or -EINVAL: more flows than the clients have addresses and ports for, told. */
int genflood_init(struct genflood *f, const struct genopt *o, const struct genframe_params *p,
	const struct genflood *first);
void genflood_fini(struct genflood *f);

/* Begins the known flows, each until its frame came back. f: of each thread of r. 0 or -errno, told. Between trials. */
int genflood_begin(struct genflood *const *f, struct genrun *r);
