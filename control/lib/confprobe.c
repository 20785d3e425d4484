/* SPDX-License-Identifier: BSD-3-Clause */
/* confprobe — see confprobe.h. */
#include "lib/confprobe.h"

#include "millrace/api_lb.h"

#include <stdlib.h>

/* Others have been refused. */
static bool is_path_type(enum conf_check_type type)
{
	return type != CONF_CHECK_NONE && type != CONF_CHECK_ICMP && type != CONF_CHECK_EXEC;
}

/* A service by whose path the check can go. */
static bool can_be_path(const struct conf_service *s, const struct conf_check *k)
{
	const enum mr_proto proto = k->type == CONF_CHECK_UDP ? MR_PROTO_UDP : MR_PROTO_TCP;

	return mr_mode_is_direct(s->mode) && s->proto == proto && s->vip.family != 0;
}

/* A value of it has been refused, so nothing can be said about what it is for. */
static bool is_unread(const struct conf_service *s)
{
	return s->mode == 0 || s->proto == 0 || s->vip.family == 0;
}

static void find_path(struct confdraft *d, struct conf_pool *p)
{
	const struct conf *c = d->conf;
	bool is_used = false;

	for (size_t i = 0; i < c->n_services && p->via == NULL; i++) {
		const struct conf_service *s = &c->services[i];

		if (s->pool != p)
			continue;
		if (is_unread(s))
			return;
		is_used = true;
		if (can_be_path(s, p->check))
			p->via = s;
	}
	if (p->via == NULL && is_used)
		CONFREAD_ERROR(d->read, d->pools[p - c->pools].at[CONFDRAFT_POOL_CHECK],
			"pools.%s.check: checks.%s is 'via: service', and no service with the pool "
			"is dsr-l2, ipip or gue and %s; 'via: direct' probes the backends' own "
			"addresses",
			p->name, p->check->name, p->check->type == CONF_CHECK_UDP ? "udp" : "tcp");
}

/* Probes come from an address of ours that the backends can answer. */
static void check_source(struct confdraft *d, const struct conf_pool *p)
{
	const struct conf *c = d->conf;

	for (size_t i = 0; i < c->n_ports; i++) {
		for (size_t k = 0; k < c->ports[i].n_addresses; k++) {
			if (c->ports[i].addresses[k].ip.family == p->via->vip.family)
				return;
		}
	}
	CONFREAD_ERROR(d->read, d->pools[p - c->pools].at[CONFDRAFT_POOL_CHECK],
		"pools.%s.check: checks.%s is 'via: service', and no port has an IPv%u address that "
		"services.%s could be asked from",
		p->name, p->check->name, p->via->vip.family, p->via->name);
}

static int by_name(const void *a, const void *b)
{
	const struct conf_backend *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* FNV-1a: names are an operator's, nobody's who would make them collide. */
static uint32_t hash_of(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

/* The port that the name's hash says, or the next one that is free; in the order of names. */
static void give_ports(struct confdraft *d, const struct conf_pool *p)
{
	struct conf_backend **sorted = calloc(p->n_backends + 1, sizeof(*sorted));
	bool is_taken[MR_PROBE_PORTS] = {false};

	if (sorted == NULL) {
		d->read->is_out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < p->n_backends; i++)
		sorted[i] = &p->backends[i];
	qsort(sorted, p->n_backends, sizeof(struct conf_backend *), by_name);
	for (size_t i = 0; i < p->n_backends; i++) {
		uint32_t at = hash_of(sorted[i]->name) % MR_PROBE_PORTS;

		while (is_taken[at])
			at = (at + 1) % MR_PROBE_PORTS;
		is_taken[at] = true;
		sorted[i]->probe_port = (uint16_t)(MR_PROBE_PORT_MIN + at);
	}
	free(sorted);
}

void confprobe_check(struct confdraft *d)
{
	for (size_t i = 0; i < d->conf->n_pools; i++) {
		struct conf_pool *p = &d->conf->pools[i];

		if (p->check == NULL || !p->check->is_via_service || !is_path_type(p->check->type))
			continue;
		find_path(d, p);
		if (p->via == NULL)
			continue;
		check_source(d, p);
		if (p->n_backends > MR_PROBE_PORTS)
			CONFREAD_ERROR(d->read, d->pools[i].at[CONFDRAFT_POOL_BACKENDS],
				"pools.%s has %zu backends, and checks 'via: service' have source "
				"ports for %u",
				p->name, p->n_backends, MR_PROBE_PORTS);
		else
			give_ports(d, p);
	}
}
