/* SPDX-License-Identifier: BSD-3-Clause */
/* panic — see panic.h. */
#include "daemon/panic.h"

void panic_share_add(struct panic_share *share, const struct weight_input *in)
{
	const uint16_t weight = in->is_overridden ? in->override : in->desired;

	if (in->is_drained || weight == 0)
		return;
	share->n_candidates++;
	share->n_down += in->health == WEIGHT_DOWN;
}

bool panic_is_due(unsigned threshold_pct, const struct panic_share *share)
{
	return (share->n_candidates - share->n_down) * 100 < share->n_candidates * threshold_pct;
}
