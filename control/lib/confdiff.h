/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confdiff — what changes between two configurations, as rows for people: semantic (a default
 * written out equals the default left out, order does not count), with what each change does to
 * traffic. Pure; used by `config diff` and `config apply`.
 */
#include "lib/conf.h"

/* Objects are paths as in the file: "pools.web.backends.web3", "network", "node". Values are
 * text as the file would have it; secrets are never shown. */
struct confdiff_row {
	char op; /* '+' added, '-' removed, '~' changed */
	char *object;
	char *field; /* with '~' the key that changed; NULL with '+' and '-' */
	char *from;  /* NULL with '+': nothing there before */
	char *to;    /* NULL with '-' */
	char *effect;
};

struct confdiff {
	/* node, network, ports, checks, pools, services; in each what is in `to` in its order,
	 * then what is gone */
	struct confdiff_row *rows;
	size_t n_rows;
};

/* from NULL: the empty configuration. 0 or -ENOMEM. */
int confdiff_create(struct confdiff **out, const struct conf *from, const struct conf *to);
void confdiff_destroy(struct confdiff **d); /* NULL-safe */
