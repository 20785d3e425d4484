/* SPDX-License-Identifier: BSD-3-Clause */
/* sched — see sched.h: the table of schedulers. */
#include "lb/sched.h"

#include "lb/leastconn.h"
#include "lb/maglev.h"
#include "lb/p2c.h"
#include "lb/rendezvous.h"
#include "lb/rr.h"
#include "lb/sh.h"
#include "lb/wrr.h"

static const struct sched_ops *const all[] = {
	[MR_SCHED_MAGLEV] = &maglev_ops,
	[MR_SCHED_WRR] = &wrr_ops,
	[MR_SCHED_RR] = &rr_ops,
	[MR_SCHED_WLC] = &leastconn_wlc_ops,
	[MR_SCHED_LC] = &leastconn_lc_ops,
	[MR_SCHED_P2C] = &p2c_ops,
	[MR_SCHED_SH] = &sh_ops,
	[MR_SCHED_RENDEZVOUS] = &rendezvous_ops,
};

const struct sched_ops *sched_ops_of(unsigned sched)
{
	return sched < sizeof(all) / sizeof(all[0]) ? all[sched] : NULL;
}
