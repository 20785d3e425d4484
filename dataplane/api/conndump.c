/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conndump — connections for the CONNS request. A worker's table belongs to the worker, so each worker
 * copies its own entries, CONNDUMP_STEP looked at per loop, into a buffer the manager gave it with
 * a job; the manager makes rows of them when all jobs are done. One dump at a time; other clients that ask
 * wait, with their frames unread. With count_only the workers add up instead of copying.
 *
 *  I1  while is_running, buffers belong to the workers whose job is not done
 *  I2  client == NULL: it has gone; the dump finishes and is thrown away
 */
#include "api/server_pvt.h"
#include "lb/balance.h"

#include <errno.h>
#include <stdlib.h>

#define CONNDUMP_STEP 256u /* table positions a worker looks at in one loop */
#define CONNDUMP_STATES 8u

struct part { /* of one worker */
	struct worker_job job;
	struct conndump *dump;
	uint64_t cursor;
	struct conn *conns;
	uint32_t n, max;
	uint32_t *counts; /* [backend slot][state], with count_only */
};

struct conndump {
	bool is_running;
	struct api_client *client;
	struct mr_conn_filter filter;
	uint32_t service_idx; /* filter by slot; UINT32_MAX = all */
	uint32_t n_backends;
	unsigned n_parts;
	struct part parts[WORKER_MAX];
	/* backend slots that the filter's name matches, one byte each */
	uint8_t *backend_match;
};

int conndump_create(struct conndump **out, unsigned n_workers)
{
	struct conndump *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	d->n_parts = n_workers;
	*out = d;
	return 0;
}

static void release_buffers(struct conndump *d)
{
	for (unsigned i = 0; i < d->n_parts; i++) {
		free(d->parts[i].conns);
		free(d->parts[i].counts);
		d->parts[i].conns = NULL;
		d->parts[i].counts = NULL;
	}
	free(d->backend_match);
	d->backend_match = NULL;
}

void conndump_destroy(struct conndump **d)
{
	if (*d == NULL)
		return;
	release_buffers(*d);
	free(*d);
	*d = NULL;
}

static bool matches(const struct conndump *d, const struct conn *e)
{
	if (d->service_idx != UINT32_MAX && e->service_idx != d->service_idx)
		return false;
	if (e->backend_idx >= d->n_backends || !d->backend_match[e->backend_idx])
		return false;
	if (d->filter.state != 0 && e->state != d->filter.state)
		return false;
	return d->filter.client.family == 0
		|| (d->filter.client.family == e->family
			&& memcmp(d->filter.client.bytes, e->client_ip, 16) == 0);
}

/* Context: worker. */
static bool copy_some(struct worker *w, struct worker_job *job)
{
	struct part *part = job->ctx;
	const struct conndump *d = part->dump;
	const struct conn_table *t = lb_worker_conns(w->lb);
	uint32_t idx[CONNDUMP_STEP];
	const unsigned n = conn_walk(t, &part->cursor, idx, CONNDUMP_STEP);

	for (unsigned i = 0; i < n; i++) {
		const struct conn *e = conn_at(t, idx[i]);

		if (!matches(d, e))
			continue;
		if (part->counts != NULL)
			part->counts[e->backend_idx * CONNDUMP_STATES
				+ e->state % CONNDUMP_STATES]++;
		else if (part->n < part->max)
			part->conns[part->n++] = *e;
		else
			return true;
	}
	return part->cursor == UINT64_MAX;
}

static void match_backends(struct conndump *d, const struct api_server *s)
{
	for (uint32_t i = 0; i < d->n_backends; i++) {
		const char *name = lb_registry_backend_name(s->p.env.registry, i);

		d->backend_match[i] = d->filter.backend[0] == '\0'
			|| (name != NULL && strcmp(name, d->filter.backend) == 0);
	}
}

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

static int take_buffers(struct conndump *d, uint32_t limit)
{
	d->backend_match = calloc(d->n_backends ? d->n_backends : 1, 1);
	if (d->backend_match == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < d->n_parts; i++) {
		struct part *p = &d->parts[i];

		p->dump = d;
		p->cursor = 0;
		p->n = 0;
		p->max = limit;
		p->job.run = copy_some;
		p->job.ctx = p;
		if (d->filter.count_only)
			p->counts = calloc(
				(size_t)d->n_backends * CONNDUMP_STATES + 1, sizeof(*p->counts));
		else
			p->conns = aligned_alloc(_Alignof(struct conn), limit * sizeof(*p->conns));
		if (p->counts == NULL && p->conns == NULL)
			return -ENOMEM;
	}
	return 0;
}

int conndump_on_conns(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());
	struct conndump *d = s->dump;
	uint32_t limit;
	int rc;

	if (d->is_running)
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, "conns",
			"another client is listing connections: retry in a moment");
	rc = server_decode(f, &mr_conn_filter_msg, &d->filter, err);
	if (rc != 0)
		return rc;
	if (find_service(lb, d->filter.service, &d->service_idx) != 0)
		return server_refuse(err, -ENOENT, MR_ERR_NOT_FOUND, d->filter.service,
			"no service of this name in generation %" PRIu64,
			snapshot_get()->generation);
	limit = d->filter.limit == 0 || d->filter.limit > API_CONNS_MAX ? API_CONNS_MAX
									: d->filter.limit;
	d->n_backends = lb->n_backends;
	if (take_buffers(d, limit) != 0) {
		release_buffers(d);
		return server_refuse(err, -ENOMEM, MR_ERR_MEMORY, "conns",
			"no memory for %u rows: ask for fewer with limit", limit);
	}
	match_backends(d, s);
	d->filter.limit = limit;
	d->client = c;
	d->is_running = true;
	c->is_blocked = true;
	c->dump_request = f->request;
	for (unsigned i = 0; i < d->n_parts; i++)
		worker_job_post(s->p.workers[i], &d->parts[i].job);
	return API_LATER;
}

static void name_row(const struct api_server *s, struct mr_conn_row *row, uint32_t service_idx,
	uint32_t backend_idx)
{
	const char *service = lb_registry_service_name(s->p.env.registry, service_idx);
	const char *backend = lb_registry_backend_name(s->p.env.registry, backend_idx);

	snprintf(row->service, sizeof(row->service), "%s", service ? service : "-");
	snprintf(row->backend, sizeof(row->backend), "%s", backend ? backend : "-");
}

static void fill_row(const struct api_server *s, const struct lb_conf *lb, const struct conn *e,
	unsigned worker, struct mr_conn_row *row)
{
	const struct lb_service *sv =
		e->service_idx < lb->n_services ? lb->services[e->service_idx] : NULL;
	const struct lb_backend *b = &lb->backends[e->backend_idx];
	const uint32_t timeout_ms = sv ? sv->timeouts.ms[e->state % CONNDUMP_STATES] : 0;

	memset(row, 0, sizeof(*row));
	name_row(s, row, e->service_idx, e->backend_idx);
	row->proto = e->proto;
	row->state = e->state;
	row->client.family = e->family;
	memcpy(row->client.bytes, e->client_ip, 16);
	row->client_port = rte_be_to_cpu_16(e->client_port);
	if (sv != NULL)
		row->vip = sv->spec.vip;
	row->vip_port = rte_be_to_cpu_16(e->vip_port);
	if (e->snat_port != 0 && e->snat_slot < lb->n_snats)
		row->snat = lb->snats[e->snat_slot];
	row->snat_port = e->snat_port;
	row->backend_ip.family = b->family;
	memcpy(row->backend_ip.bytes, b->ip, 16);
	row->backend_port = rte_be_to_cpu_16(b->port);
	row->worker = (uint16_t)worker;
	row->idle_ms = s->p.now_ms() - e->last_seen_ms;
	if ((int32_t)row->idle_ms < 0)
		row->idle_ms = 0;
	row->expires_ms = row->idle_ms < timeout_ms ? timeout_ms - row->idle_ms : 0;
	row->packets = e->n_packets;
	row->count = 1;
}

static void send_conns(struct api_server *s, struct conndump *d, const struct mr_frame *f)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());
	uint32_t left = d->filter.limit;

	for (unsigned i = 0; i < d->n_parts; i++) {
		const struct part *p = &d->parts[i];

		for (uint32_t k = 0; k < p->n && left > 0; k++) {
			struct mr_conn_row row;

			if (p->conns[k].backend_idx >= lb->n_backends)
				continue;
			fill_row(s, lb, &p->conns[k], i, &row);
			server_row(d->client, f, &mr_conn_row_msg, &row);
			left--;
		}
	}
}

static void send_counts(struct api_server *s, struct conndump *d, const struct mr_frame *f)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	for (uint32_t k = 0; k < d->n_backends * CONNDUMP_STATES; k++) {
		const uint32_t backend_idx = k / CONNDUMP_STATES;
		struct mr_conn_row row;

		memset(&row, 0, sizeof(row));
		for (unsigned i = 0; i < d->n_parts; i++)
			row.count += d->parts[i].counts[k];
		if (row.count == 0 || backend_idx >= lb->n_backends)
			continue;
		name_row(s, &row, lb->backends[backend_idx].service_idx, backend_idx);
		row.state = (uint8_t)(k % CONNDUMP_STATES);
		server_row(d->client, f, &mr_conn_row_msg, &row);
	}
}

bool conndump_poll(struct api_server *s)
{
	struct conndump *d = s->dump;

	if (!d->is_running)
		return false;
	for (unsigned i = 0; i < d->n_parts; i++) {
		if (!worker_job_done(s->p.workers[i]))
			return true;
	}
	d->is_running = false;
	if (d->client != NULL) {
		const struct mr_frame f = {
			.type = MR_REQ_CONNS, .request = d->client->dump_request};

		if (d->filter.count_only)
			send_counts(s, d, &f);
		else
			send_conns(s, d, &f);
		server_reply_end(d->client, MR_REQ_CONNS, f.request);
		d->client->is_blocked = false;
	}
	d->client = NULL;
	release_buffers(d);
	return false;
}

void conndump_forget(struct api_server *s, const struct api_client *c)
{
	if (s->dump->client == c)
		s->dump->client = NULL;
}
