/* SPDX-License-Identifier: BSD-3-Clause */
/* weight — see weight.h. */
#include "daemon/weight.h"

static const char *const health_names[] = {
	[WEIGHT_UNCHECKED] = "unchecked",
	[WEIGHT_CHECKING] = "checking",
	[WEIGHT_UP] = "up",
	[WEIGHT_DOWN] = "down",
};

#define N_HEALTH (sizeof(health_names) / sizeof(health_names[0]))

struct weight_result weight_effective(const struct weight_input *in)
{
	const bool is_up = in->health == WEIGHT_UP || in->health == WEIGHT_UNCHECKED;
	struct weight_result r = {.weight = in->is_overridden ? in->override : in->desired};

	r.state = in->is_drained ? MR_BACKEND_DRAIN : is_up ? MR_BACKEND_UP : MR_BACKEND_DOWN;
	return r;
}

const char *weight_health_name(enum weight_health health)
{
	return (unsigned)health < N_HEALTH ? health_names[health] : "?";
}

int weight_health_find(const char *name)
{
	for (unsigned i = 0; i < N_HEALTH; i++) {
		if (strcmp(name, health_names[i]) == 0)
			return (int)i;
	}
	return -1;
}
