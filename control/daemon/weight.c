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

#define STEPS 10u

/* Steps of the slow start that have begun, STEPS when it is over. */
static uint32_t steps_begun(const struct weight_input *in)
{
	const int64_t up_ms = in->up_ms > 0 ? in->up_ms : 0;

	if (in->is_panic || in->health != WEIGHT_UP || up_ms >= in->slow_start_ms)
		return STEPS;
	return (uint32_t)(up_ms * STEPS / in->slow_start_ms) + 1;
}

uint32_t weight_next_step(const struct weight_input *in)
{
	const uint32_t steps = steps_begun(in);
	const int64_t up_ms = in->up_ms > 0 ? in->up_ms : 0;

	if (steps == STEPS)
		return 0;
	/* rounded up: at that time the step has begun */
	return (uint32_t)(((uint64_t)steps * in->slow_start_ms + STEPS - 1) / STEPS
		- (uint64_t)up_ms);
}

struct weight_result weight_effective(const struct weight_input *in)
{
	const bool is_up =
		in->health == WEIGHT_UP || in->health == WEIGHT_UNCHECKED || in->is_panic;
	const uint32_t full = in->is_overridden ? in->override : in->desired;
	const uint32_t part = full * steps_begun(in) / STEPS;
	struct weight_result r = {.weight = (uint16_t)(part == 0 && full > 0 ? 1 : part)};

	if (in->is_drained && in->is_expired)
		r.state = MR_BACKEND_EVICT;
	else if (in->is_drained)
		r.state = in->health == WEIGHT_DOWN && !in->is_panic ? MR_BACKEND_DOWN
								     : MR_BACKEND_DRAIN;
	else
		r.state = is_up ? MR_BACKEND_UP : MR_BACKEND_DOWN;
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
