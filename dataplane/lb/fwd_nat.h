/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd_nat — the backend answers through us. Full NAT: it sees a SNAT address of ours. DNAT: it sees the client, and
 * its way to clients must lead here.
 */
#include "lb/fwd.h"

extern const struct fwd_ops fwd_nat_full_ops, fwd_nat_dest_ops;
