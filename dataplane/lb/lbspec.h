/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lbspec — the model as lbconf.c builds from it: every service with its backends, checked for what
 * one object contradicts in another one; and the located refusals of the balancing half. Context of
 * everything: manager.
 */
#include "lb/lbconf.h"

struct lbspec_group {
	const struct mr_service *service;
	const struct mr_backend **backends; /* in the model's order */
	const struct mr_acl **acls;         /* likewise */
	unsigned n_backends, n_acls;
};

struct lbspec {
	unsigned n_groups;
	struct lbspec_group *groups;        /* by service name */
	const struct mr_backend **backends; /* of all groups */
	const struct mr_acl **acls;         /* of all groups */
};

/* Groups backends and prefixes. Refuses duplicate service names, and what names a service that is not there. 0, -EINVAL with
 * *err filled, -ENOMEM. */
int lbspec_init(struct lbspec *g, const struct lb_spec *spec, struct mr_error *err);
void lbspec_fini(struct lbspec *g);

/* Refuses two services on one address, port and protocol. */
int lbspec_check_vips(const struct lbspec *g, struct mr_error *err);

/* What a service and its backends can get wrong without the rest of the model. */
int lbspec_check_group(const struct lbspec_group *g, struct mr_error *err);

/* Fills *err with the object's key and the text; returns rc, which chooses the code. */
int lbspec_refuse_service(struct mr_error *err, int rc, const struct mr_service *s,
	const char *format, ...) __rte_format_printf(4, 5);
int lbspec_refuse_backend(struct mr_error *err, int rc, const struct mr_backend *b,
	const char *format, ...) __rte_format_printf(4, 5);
int lbspec_refuse_acl(struct mr_error *err, int rc, const struct mr_acl *a, const char *format, ...)
	__rte_format_printf(4, 5);
int lbspec_refuse_snat(struct mr_error *err, int rc, const struct mr_snat *s, const char *format,
	...) __rte_format_printf(4, 5);
