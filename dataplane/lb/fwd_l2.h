/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* fwd_l2 — direct return: the frame goes to the backend's MAC address, the IP packet as it came. */
#include "lb/fwd.h"

extern const struct fwd_ops fwd_l2_ops;
