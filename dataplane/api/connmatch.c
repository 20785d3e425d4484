/* SPDX-License-Identifier: BSD-3-Clause */
/* connmatch — see connmatch.h. */
#include "api/connmatch.h"

#include "api/server_pvt.h"
#include "net/addr.h"

#include <errno.h>
#include <stdlib.h>

static int find_service(const struct lb_conf *lb, const char *name, uint32_t *idx)
{
	*idx = UINT32_MAX;
	if (name[0] == '\0')
		return 0;
	for (uint32_t i = 0; i < lb->n_services; i++) {
		if (lb->services[i] != NULL && strcmp(lb->services[i]->spec.name, name) == 0) {
			*idx = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* The prefix as words that can be compared with the bytes of an entry. False: it has too many bits. */
static bool set_client(struct connmatch *m, const struct mr_conn_filter *f)
{
	const unsigned n_bits = 8 * mr_ip_len(&f->client);
	const unsigned len = f->client_len == 0 ? n_bits : f->client_len;
	uint8_t mask[16];

	if (len > n_bits)
		return false;
	addr_mask(mask, len);
	m->family = f->client.family;
	memcpy(m->mask, mask, sizeof(mask));
	memcpy(m->ip, f->client.bytes, sizeof(m->ip));
	m->ip[0] &= m->mask[0];
	m->ip[1] &= m->mask[1];
	return true;
}

int connmatch_init(struct connmatch *m, const struct mr_conn_filter *f, const struct lb_conf *lb,
	const struct lb_registry *registry, struct mr_error *err)
{
	memset(m, 0, sizeof(*m));
	if (f->state > MR_CONN_UDP)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "state",
			"there is no connection state %u", f->state);
	if (!set_client(m, f))
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "client_len",
			"an IPv%u prefix cannot have %u bits", f->client.family, f->client_len);
	if (find_service(lb, f->service, &m->service_idx) != 0)
		return server_refuse(err, -ENOENT, MR_ERR_NOT_FOUND, f->service,
			"no service of this name in generation %" PRIu64,
			snapshot_get()->generation);
	m->is_backend = calloc(lb->n_backends ? lb->n_backends : 1, 1);
	if (m->is_backend == NULL)
		return server_refuse(
			err, -ENOMEM, MR_ERR_MEMORY, "conns", "no memory for the filter");
	m->n_backends = lb->n_backends;
	m->n_services = lb->n_services;
	m->has_backend = f->backend[0] != '\0';
	m->is_served = f->served != 0;
	for (uint32_t i = 0; i < m->n_backends; i++) {
		const char *name = lb_registry_backend_name(registry, i);

		m->is_backend[i] =
			f->backend[0] == '\0' || (name != NULL && strcmp(name, f->backend) == 0);
	}
	m->state = f->state;
	m->age_min_ms = f->age_min_ms;
	m->age_below_ms = f->age_below_ms;
	m->idle_min_ms = f->idle_min_ms;
	m->idle_below_ms = f->idle_below_ms;
	return 0;
}

void connmatch_fini(struct connmatch *m)
{
	free(m->is_backend);
	m->is_backend = NULL;
}

bool connmatch_is_narrow(const struct mr_conn_filter *f)
{
	return f->service[0] != '\0' || f->backend[0] != '\0' || f->client.family != 0
		|| f->state != 0 || f->age_min_ms != 0 || f->age_below_ms != 0
		|| f->idle_min_ms != 0 || f->idle_below_ms != 0 || f->served != 0;
}

static bool is_between(uint32_t ms, uint32_t min_ms, uint32_t below_ms)
{
	return ms >= min_ms && (below_ms == 0 || ms < below_ms);
}

static bool is_client(const struct connmatch *m, uint8_t family, const uint8_t bytes[static 16])
{
	uint64_t ip[2];

	memcpy(ip, bytes, sizeof(ip));
	return m->family == family && (ip[0] & m->mask[0]) == m->ip[0]
		&& (ip[1] & m->mask[1]) == m->ip[1];
}

bool connmatch_test(const struct connmatch *m, const struct conn *e, uint32_t now_ms)
{
	uint8_t ip[16];

	if (m->service_idx != UINT32_MAX && e->service_idx != m->service_idx)
		return false;
	if (e->backend_idx >= m->n_backends || !m->is_backend[e->backend_idx])
		return false;
	if (m->state != 0 && e->state != m->state)
		return false;
	if (!is_between(now_ms - e->began_ms, m->age_min_ms, m->age_below_ms)
		|| !is_between(now_ms - e->last_seen_ms, m->idle_min_ms, m->idle_below_ms))
		return false;
	if (m->family == 0)
		return true;
	conn_client(e, ip);
	return is_client(m, e->family, ip);
}

enum mr_conn_state connmatch_state(enum tcp_state state)
{
	switch (state) {
	case TCP_S_SYN_SENT:
		return MR_CONN_SYN;
	case TCP_S_ESTABLISHED:
		return MR_CONN_ESTABLISHED;
	case TCP_S_CLOSED:
	case TCP_S_TIME_WAIT:
		return MR_CONN_CLOSED;
	default:
		return MR_CONN_FIN;
	}
}

bool connmatch_test_served(const struct connmatch *m, const struct servetcp_info *i)
{
	const uint64_t idle_ms = i->tcp.idle_us / 1000;

	if (m->has_backend || i->service_idx >= m->n_services)
		return false;
	if (m->service_idx != UINT32_MAX && i->service_idx != m->service_idx)
		return false;
	if (m->state != 0 && connmatch_state(i->tcp.state) != m->state)
		return false;
	return is_between(i->age_ms, m->age_min_ms, m->age_below_ms)
		&& is_between(
			(uint32_t)RTE_MIN(idle_ms, UINT32_MAX), m->idle_min_ms, m->idle_below_ms)
		&& (m->family == 0 || is_client(m, i->tcp.family, i->tcp.peer));
}
