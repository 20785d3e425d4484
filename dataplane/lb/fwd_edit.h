/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd_edit — full NAT and DNAT for services that change more in a packet than its addresses: the maximum segment size
 * (both), and what tells a full-NAT backend its client.
 */
#include "lb/fwd.h"

extern const struct fwd_ops fwd_edit_full_ops, fwd_edit_dest_ops;
