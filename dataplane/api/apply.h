/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * apply — from a model to the running snapshot, in two phases: build validates everything and may
 * refuse, nothing visible; publish cannot fail. Context of everything: manager.
 */
#include "api/model.h"
#include "core/iface.h"
#include "core/snapshot.h"
#include "lb/lbconf.h"
#include "lb/natport.h"
#include "lb/pathmtu.h"
#include "net/punt.h"
#include "serve/serveconf.h"

struct apply_env {
	const struct iface_set *ifaces;
	struct lb_registry *registry;
	struct punt *punt;         /* NULL in tests */
	struct pathmtu *path_mtus; /* NULL: nothing is learned */
	struct cacheset *caches;
	uint32_t n_workers;
};

/* Checks what one object alone can get wrong: ranges, enumerations, empty names. 0 or -EINVAL with *err. */
int apply_check_object(const struct mr_object *o, struct mr_error *err);

/* Builds the snapshot of model m. running: the current one, whose unchanged parts are shared. 0, or
 * -errno with *err filled. */
int apply_build(struct snapshot **out, const struct apply_env *env, const struct model *m,
	uint64_t generation, const struct snapshot *running, uint32_t now_ms, struct mr_error *err);

/* Drops a snapshot that was built and not published, or has been retired. NULL-safe. */
void apply_discard(struct snapshot **s, const struct apply_env *env);

/* Publishes next, waits for the workers, retires the old one, and gives the kernel side its addresses.
 * Returns the microseconds until the last worker ran it. */
uint32_t apply_publish(const struct apply_env *env, struct snapshot *next);
