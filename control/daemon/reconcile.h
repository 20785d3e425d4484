/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * reconcile — what to send so that the running model becomes the wanted one. Pure.
 *
 * R1  Applying the operations in order to `running` gives exactly `wanted`.
 * R2  An object that is the same in both is not touched, but for backends and prefixes of R4.
 * R3  All deletions come before all puts. Deletions go prefixes, caches, backends, services, SNAT addresses,
 *     gateways, addresses; puts go settings, addresses, gateways, SNAT addresses, services, backends, caches,
 *     prefixes. So no step leaves a backend or a prefix without its service, and what gives up a resource
 *     (a VIP, an address, memory) goes before what takes it. A service and its cache need each other only when the
 *     whole is prepared, so their order means nothing.
 * R4  A service whose VIP, port, protocol or mode changes is deleted with its backends and prefixes and put
 *     again, and so is a gateway that changes: as plain puts, services that swap VIPs would both
 *     hold one for a moment.
 */
#include "daemon/objset.h"

struct reconcile_op {
	bool is_del;                 /* else put */
	const struct mr_object *obj; /* of running (deletion) or of wanted (put) */
};

struct reconcile_plan {
	struct reconcile_op *ops; /* point into the two sets */
	size_t n_ops;
	size_t n_dels; /* they come first */
};

/* 0 or -ENOMEM. The plan lives no longer than the two sets. */
int reconcile_build(
	struct reconcile_plan *plan, const struct objset *running, const struct objset *wanted);
void reconcile_fini(struct reconcile_plan *plan);
