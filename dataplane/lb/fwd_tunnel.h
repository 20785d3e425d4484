/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd_tunnel — direct return over routers: the packet goes to the backend inside another, IP in IP (RFC 2003,
 * 2473, 4213) or GUE variant 0 (draft-ietf-intarea-gue). The backend takes the outer header off, has the VIP
 * on a loopback interface and answers the client itself.
 */
#include "lb/fwd.h"

extern const struct fwd_ops fwd_tunnel_ipip_ops, fwd_tunnel_gue_ops;
