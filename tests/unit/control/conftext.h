/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* conftext — the configuration that tests of the loader start from. */
#include "lib/conf.h"
#include "lib/confreport.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

/* A small good file; each bad one replaces a piece of it. */
static const char conftext_base[] =
	"version: 1\n"
	"network:\n"
	"  ports:\n"
	"    north: { addresses: [10.1.0.1/24, \"fd00:1::1/64\"] }\n"
	"    south: { addresses: [10.2.0.1/24] }\n"
	"  snat: [10.2.0.100-10.2.0.101]\n"
	"checks:\n"
	"  ok: { type: http, interval: 1s }\n"
	"pools:\n"
	"  web:\n"
	"    check: ok\n"
	"    backends:\n"
	"      - { name: a, ip: 10.2.0.11, port: 80 }\n"
	"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7 }\n"
	"services:\n"
	"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }\n";

/* conftext_base with the first occurrence of from replaced. */
static inline char *conftext_edited(const char *from, const char *to)
{
	const char *at = strstr(conftext_base, from);
	const size_t size = sizeof(conftext_base) + strlen(to);
	char *text = malloc(size);

	assert_non_null(at);
	snprintf(text, size, "%.*s%s%s", (int)(at - conftext_base), conftext_base, to,
		at + strlen(from));
	return text;
}

static inline int conftext_load(struct conf **c, struct confreport **r, const char *text)
{
	return conf_create(c, r, text, strlen(text), "x.yaml", CONF_SECRETS_SKIP);
}
