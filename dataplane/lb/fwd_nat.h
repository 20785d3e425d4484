/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* fwd_nat — full NAT: the backend sees a SNAT address of ours and answers through us. */
#include "lb/fwd.h"

extern const struct fwd_ops fwd_nat_full_ops;
