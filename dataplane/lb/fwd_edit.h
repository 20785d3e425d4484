/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd_edit — full NAT and DNAT for services that change more in a packet than its addresses: the maximum segment size
 * (both), and what tells a full-NAT backend its client.
 */
#include "lb/fwd.h"

/* Bytes that the first segment of a client of the service has more when the backend is told of it. Any thread. */
uint16_t fwd_edit_more(const struct mr_service *s);

extern const struct fwd_ops fwd_edit_full_ops, fwd_edit_dest_ops;
