/* SPDX-License-Identifier: BSD-3-Clause */
/* sched — see sched.h: the table of schedulers. */
#include "lb/sched.h"

#include "lb/maglev.h"
#include "lb/wrr.h"

const struct sched_ops *sched_ops_of(unsigned sched)
{
	switch (sched) {
	case MR_SCHED_MAGLEV:
		return &maglev_ops;
	case MR_SCHED_WRR:
		return &wrr_ops;
	default:
		return NULL;
	}
}
