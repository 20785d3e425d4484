/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd_cookie — full NAT and DNAT of TCP flows that began with a SYN cookie: the client has been answered by us, so the
 * backend's connection is made afterwards, and sequence numbers differ for good.
 */
#include "lb/fwd.h"

extern const struct fwd_ops fwd_cookie_full_ops, fwd_cookie_dest_ops;
