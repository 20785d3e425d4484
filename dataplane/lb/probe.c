/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe — see probe.h. A port names a backend within its service, so that every service has all the ports. The table is as
 * long as they are many, 18 KB: probes are rare, services that are probed few.
 */
#include "lb/probe.h"

#include "core/capture.h"
#include "lb/fwd.h"

#include <errno.h>
#include <stdlib.h>

struct probe_table {
	uint32_t backend_idx[MR_PROBE_PORTS]; /* by port - MR_PROBE_PORT_MIN */
};

static struct probe_table *create_empty(void)
{
	struct probe_table *t = malloc(sizeof(*t));

	for (unsigned i = 0; t != NULL && i < MR_PROBE_PORTS; i++)
		t->backend_idx[i] = PROBE_NONE;
	return t;
}

int probe_table_add(struct probe_table **t, uint16_t port, uint32_t backend_idx)
{
	if (*t == NULL)
		*t = create_empty();
	if (*t == NULL)
		return -ENOMEM;
	if (probe_find(*t, port) != PROBE_NONE)
		return -EEXIST;
	(*t)->backend_idx[port - MR_PROBE_PORT_MIN] = backend_idx;
	return 0;
}

void probe_table_destroy(struct probe_table **t)
{
	free(*t);
	*t = NULL;
}

/* By the first backend that is probed. */
static struct punt_vip vip_of(const struct lb_conf *c, const struct lb_service *s)
{
	struct punt_vip v = {.ip = s->spec.vip};

	for (unsigned i = 0; i < s->n_backends; i++) {
		if (s->backends[i].probe_port == 0)
			continue;
		v.backend = s->backends[i].ip;
		v.iface = c->backends[s->backend_idx[i]].iface;
		break;
	}
	return v;
}

unsigned probe_vips(const struct lb_conf *c, struct punt_vip *vips)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < c->n_services; i++) {
		if (c->services[i] != NULL && c->services[i]->probes != NULL)
			vips[n++] = vip_of(c, c->services[i]);
	}
	return n;
}

uint32_t probe_find(const struct probe_table *t, uint16_t port)
{
	return port < MR_PROBE_PORT_MIN ? PROBE_NONE : t->backend_idx[port - MR_PROBE_PORT_MIN];
}

/* What passes through the kernel side from elsewhere is no probe, whatever its port. */
static uint32_t backend_of(
	const struct lb_conf *lb, const struct addr_conf *ac, const struct pkt *p)
{
	const struct probe_table *t;
	uint16_t snat_slot;
	uint8_t iface;

	if (p->verdict != PKT_LB)
		return PROBE_NONE;
	t = lb->services[p->service_idx]->probes;
	if (t == NULL || addr_find(ac, p->family, p->src, &snat_slot, &iface) != ADDR_OWN)
		return PROBE_NONE;
	return probe_find(t, rte_be_to_cpu_16(p->sport));
}

static void send_one(const struct fwd_env *env, unsigned i, uint32_t backend_idx)
{
	const struct lb_backend *be = &env->conf->backends[backend_idx];
	const struct fwd_batch batch = {.n = 1, .sel = {(uint8_t)i}, .backend = {be}};
	struct pkt *p = &env->b->p[i];

	if (unlikely(env->w->capture != NULL))
		capture_trace_backend(env->w->capture, i, backend_idx, be->mode, false);
	fwd_modes[be->mode]->send(env, &batch);
	if (p->verdict == PKT_TX || p->verdict == PKT_HOLD) {
		env->w->tally->probes_sent++;
	} else if (p->verdict == PKT_REPLY) { /* it is for who sent it */
		p->verdict = PKT_PUNT;
		p->punt_class = PUNT_OWN;
	}
}

void probe_send(
	struct worker *w, const struct lb_conf *lb, const struct addr_conf *ac, struct burst *b)
{
	const struct fwd_env env = {w, lb, ac, b};

	for (unsigned i = 0; i < b->n; i++) {
		const uint32_t backend_idx = backend_of(lb, ac, &b->p[i]);

		if (backend_idx != PROBE_NONE)
			send_one(&env, i, backend_idx);
		else if (b->p[i].verdict != PKT_DROP)
			pkt_drop(&b->p[i], PKT_DROP_probe_unknown);
	}
}
