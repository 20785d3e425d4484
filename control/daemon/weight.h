/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * weight — what the dataplane is told about a backend, from its three states (control/README.md). Pure:
 * nothing else decides an effective weight or state.
 */
#include "millrace/types.h"

enum weight_health {
	WEIGHT_UNCHECKED, /* the pool has no check */
	WEIGHT_CHECKING,  /* no check has ended yet */
	WEIGHT_UP,
	WEIGHT_DOWN,
};

struct weight_input {
	uint16_t desired; /* the file's */
	bool is_drained;  /* by an operator */
	bool is_expired;  /* with is_drained: and the deadline of that has passed */
	bool is_overridden;
	uint16_t override; /* with is_overridden */
	enum weight_health health;
	bool is_panic;          /* of the service: health has no say, nor since when it is good */
	uint32_t slow_start_ms; /* of the pool; 0: none */
	int64_t up_ms;          /* how long it has been UP, with that health */
};

struct weight_result {
	uint16_t weight;
	enum mr_backend_state state;
};

/* Weight: the operator's, else the file's; a part of it while a backend that came up is within its pool's
 * slow start: a tenth, at least 1, and another tenth with each tenth of the time; not in panic, where those
 * that came up would get less than those that are down. State: EVICT when drained and its deadline has passed, else
 * DOWN when the checks say so and there is no panic, for the flows that a drained one has as well; else DRAIN
 * when drained; else DOWN when the checks say nothing yet and there is no panic, else UP. */
struct weight_result weight_effective(const struct weight_input *in);

/* When that weight changes next by itself, in ms from now; 0: it does not. */
uint32_t weight_next_step(const struct weight_input *in);

const char *weight_health_name(enum weight_health health);
int weight_health_find(const char *name); /* or -1 */
