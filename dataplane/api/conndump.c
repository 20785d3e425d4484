/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conndump — what is done to all connections that a filter matches: rows of them, how many there are, their
 * end (CONNS, CONN_KILL). There are those of the flow table and, after these, those that end here
 * (serve/servetcp.h). Both belong to their worker, so each worker goes through its own,
 * CONNDUMP_STEP positions per loop, in a job the manager gave it with a buffer; the manager answers when
 * all jobs are done. One dump at a time; another client that asks is told so. Workers have their jobs at
 * the same time, but where they count clients into one table: then it is one after the other.
 *
 *  I1  while is_running, buffers belong to the workers whose job is not done
 *  I2  client == NULL: it has gone; the dump finishes and is thrown away
 */
#include "api/clientcount.h"
#include "api/connmatch.h"
#include "api/server_pvt.h"
#include "base/log.h"
#include "lb/balance.h"
#include "serve/serve.h"

#include <errno.h>
#include <stdlib.h>

LOG_TYPE(conns)

#define CONNDUMP_STEP 256u /* positions a worker looks at in one loop, as lb_expire() does */
#define CONNDUMP_STATES 8u

enum conndump_kind { CONNDUMP_ROWS, CONNDUMP_COUNTS, CONNDUMP_CLIENTS, CONNDUMP_KILL };
enum conndump_phase { CONNDUMP_CLEAR, CONNDUMP_COUNT, CONNDUMP_SELECT }; /* of CONNDUMP_CLIENTS */

struct part { /* of one worker */
	struct worker_job job;
	struct conndump *dump;
	uint64_t cursor;
	struct servetcp_walk walk;
	struct conn *conns; /* times in it are how long ago it was */
	uint32_t n, max;
	struct servetcp_info *served; /* of those that end here */
	uint32_t n_served;            /* n + n_served ≤ max */
	uint32_t *counts;             /* [backend slot][state] */
	uint32_t *served_counts;      /* [service slot][state] */
	uint64_t n_killed;
};

struct conndump {
	bool is_running;
	enum conndump_kind kind;
	struct api_client *client;
	uint16_t request_type;
	struct mr_conn_filter filter;
	struct connmatch match;
	struct clientcount *clients;
	enum conndump_phase phase;
	unsigned at; /* worker that counts clients */
	unsigned n_parts;
	struct part parts[WORKER_MAX];
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
		free(d->parts[i].served);
		free(d->parts[i].counts);
		free(d->parts[i].served_counts);
		d->parts[i].conns = NULL;
		d->parts[i].served = NULL;
		d->parts[i].counts = d->parts[i].served_counts = NULL;
	}
	connmatch_fini(&d->match);
	clientcount_destroy(&d->clients);
}

void conndump_destroy(struct conndump **d)
{
	if (*d == NULL)
		return;
	release_buffers(*d);
	free(*d);
	*d = NULL;
}

/* ---- on the workers ---- */

/* The next entries that match, from CONNDUMP_STEP positions. */
static unsigned find_some(struct worker *w, struct part *part, uint32_t idx[static CONNDUMP_STEP])
{
	const struct conn_table *t = lb_worker_conns(w->lb);
	const unsigned n = conn_walk(t, &part->cursor, idx, CONNDUMP_STEP);
	unsigned n_out = 0;

	for (unsigned i = 0; i < n; i++) {
		if (connmatch_test(&part->dump->match, conn_at(t, idx[i]), w->now_ms))
			idx[n_out++] = idx[i];
	}
	return n_out;
}

static void copy_some(struct worker *w, struct part *part)
{
	uint32_t idx[CONNDUMP_STEP];
	const unsigned n = find_some(w, part, idx);

	for (unsigned i = 0; i < n; i++) {
		struct conn *to = &part->conns[part->n];

		if (part->n == part->max)
			return;
		*to = *conn_at(lb_worker_conns(w->lb), idx[i]);
		to->began_ms = w->now_ms - to->began_ms;
		to->last_seen_ms = w->now_ms - to->last_seen_ms;
		part->n++;
	}
}

static void count_some(struct worker *w, struct part *part)
{
	uint32_t idx[CONNDUMP_STEP];
	const unsigned n = find_some(w, part, idx);

	for (unsigned i = 0; i < n; i++) {
		const struct conn *e = conn_at(lb_worker_conns(w->lb), idx[i]);

		part->counts[e->backend_idx * CONNDUMP_STATES + e->state % CONNDUMP_STATES]++;
	}
}

static void count_clients_some(struct worker *w, struct part *part)
{
	uint32_t idx[CONNDUMP_STEP];
	const unsigned n = find_some(w, part, idx);

	for (unsigned i = 0; i < n; i++) {
		const struct conn *e = conn_at(lb_worker_conns(w->lb), idx[i]);
		uint8_t ip[16];

		conn_client(e, ip);
		clientcount_add(part->dump->clients, e->family, ip);
	}
}

static void kill_some(struct worker *w, struct part *part)
{
	uint32_t idx[CONNDUMP_STEP];
	const unsigned n = find_some(w, part, idx);

	lb_kill(w, idx, n);
	part->n_killed += n;
}

/* One that ends here. False: no more of them. */
static bool on_served(void *ctx, const struct servetcp_info *info, bool *is_killed)
{
	struct part *part = ctx;

	if (!connmatch_test_served(&part->dump->match, info))
		return true;
	switch (part->dump->kind) {
	case CONNDUMP_ROWS:
		if (part->n + part->n_served == part->max)
			return false;
		part->served[part->n_served++] = *info;
		return true;
	case CONNDUMP_COUNTS:
		part->served_counts[info->service_idx * CONNDUMP_STATES
			+ connmatch_state(info->tcp.state)]++;
		return true;
	case CONNDUMP_CLIENTS:
		clientcount_add(part->dump->clients, info->tcp.family, info->tcp.peer);
		return true;
	default:
		*is_killed = true;
		part->n_killed++;
		return true;
	}
}

static bool run_part(struct worker *w, struct worker_job *job)
{
	static void (*const steps[])(struct worker * w, struct part * part) = {
		[CONNDUMP_ROWS] = copy_some,
		[CONNDUMP_COUNTS] = count_some,
		[CONNDUMP_CLIENTS] = count_clients_some,
		[CONNDUMP_KILL] = kill_some,
	};
	struct part *part = job->ctx;

	if (part->cursor != UINT64_MAX)
		steps[part->dump->kind](w, part);
	else
		servetcp_walk(w, &part->walk, CONNDUMP_STEP);
	return part->walk.cursor == UINT32_MAX
		|| (part->dump->kind == CONNDUMP_ROWS && part->n + part->n_served == part->max);
}

/* ---- the request ---- */

/* What a worker's part of the dump writes to. */
static int take_part(struct part *p, const struct conndump *d)
{
	const size_t n_backends = d->match.n_backends, n_services = d->match.n_services;

	if (d->kind == CONNDUMP_COUNTS) {
		p->counts = calloc(n_backends * CONNDUMP_STATES + 1, sizeof(*p->counts));
		p->served_counts =
			calloc(n_services * CONNDUMP_STATES + 1, sizeof(*p->served_counts));
		return p->counts != NULL && p->served_counts != NULL ? 0 : -ENOMEM;
	}
	if (d->kind == CONNDUMP_ROWS) {
		p->conns = aligned_alloc(_Alignof(struct conn), p->max * sizeof(*p->conns));
		p->served = malloc(p->max * sizeof(*p->served));
		return p->conns != NULL && p->served != NULL ? 0 : -ENOMEM;
	}
	return 0;
}

/* Connections of a worker, about. */
static uint64_t count_worker(const struct worker *w, const struct conndump *d)
{
	uint64_t n = conn_count(lb_worker_conns(w->lb));

	for (uint32_t i = 0; i < d->match.n_services; i++)
		n += serve_worker_conns(w->serve, i);
	return n;
}

static int take_buffers(struct conndump *d, const struct api_server *s)
{
	const struct mr_conn_filter *f = &d->filter;
	uint64_t n_conns = 0;
	int rc = 0;

	for (unsigned i = 0; i < d->n_parts; i++) {
		struct part *p = &d->parts[i];

		memset(p, 0, sizeof(*p));
		p->dump = d;
		p->max = f->limit;
		p->job.run = run_part;
		p->job.ctx = p;
		p->cursor = d->match.is_served ? UINT64_MAX : 0;
		p->walk.each = on_served;
		p->walk.ctx = p;
		n_conns += count_worker(s->p.workers[i], d);
		if (take_part(p, d) != 0)
			rc = -ENOMEM;
	}
	if (rc != 0)
		return rc;
	if (d->kind == CONNDUMP_CLIENTS)
		return clientcount_create(&d->clients, n_conns, f->len4 ? f->len4 : 32,
			f->len6 ? f->len6 : 128, f->limit);
	return 0;
}

static void post(const struct api_server *s, unsigned i)
{
	worker_job_post(s->p.workers[i], &s->dump->parts[i].job);
}

/* Starts what d->kind and d->filter say. */
static int start(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct conndump *d = s->dump;
	const int rc = connmatch_init(
		&d->match, &d->filter, lb_conf_of(snapshot_get()), s->p.env.registry, err);

	if (rc != 0)
		return rc;
	if (d->filter.limit == 0 || d->filter.limit > API_CONNS_MAX)
		d->filter.limit = API_CONNS_MAX;
	if (take_buffers(d, s) != 0) {
		release_buffers(d);
		return server_refuse(err, -ENOMEM, MR_ERR_MEMORY, "conns",
			"no memory for %u rows: ask for fewer with limit", d->filter.limit);
	}
	d->client = c;
	d->is_running = true;
	d->request_type = f->type;
	d->phase = CONNDUMP_CLEAR;
	c->is_blocked = true;
	c->dump_request = f->request;
	for (unsigned i = 0; i < d->n_parts && d->kind != CONNDUMP_CLIENTS; i++)
		post(s, i);
	return API_LATER;
}

/* Reads the filter, once nobody else's is at work. */
static int read_filter(const struct api_server *s, const struct mr_frame *f, struct mr_error *err)
{
	struct conndump *d = s->dump;

	if (server_has_jobs(s))
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, "conns",
			"another client is listing connections: retry in a moment");
	return server_decode(f, &mr_conn_filter_msg, &d->filter, err);
}

int conndump_on_conns(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	static const enum conndump_kind kinds[] = {
		CONNDUMP_ROWS, CONNDUMP_COUNTS, CONNDUMP_CLIENTS};
	struct conndump *d = s->dump;
	const int rc = read_filter(s, f, err);

	if (rc != 0)
		return rc;
	if (d->filter.count_only >= RTE_DIM(kinds))
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "count_only",
			"%u is none of 0, 1, 2", d->filter.count_only);
	if (d->filter.len4 > 32 || d->filter.len6 > 128)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "len4",
			"prefixes have at most 32 bits, of IPv6 128");
	d->kind = kinds[d->filter.count_only];
	return start(s, c, f, err);
}

int conndump_on_conn_kill(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct conndump *d = s->dump;
	const int rc = read_filter(s, f, err);

	if (rc != 0)
		return rc;
	if (connmatch_is_narrow(&d->filter) == (d->filter.all != 0))
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "all",
			"say which connections, or that it is all of them");
	d->kind = CONNDUMP_KILL;
	return start(s, c, f, err);
}

/* ---- the answer ---- */

static void name_service(const struct api_server *s, struct mr_conn_row *row, uint32_t service_idx)
{
	const char *service = lb_registry_service_name(s->p.env.registry, service_idx);

	snprintf(row->service, sizeof(row->service), "%s", service ? service : "-");
}

static void name_row(const struct api_server *s, struct mr_conn_row *row, uint32_t service_idx,
	uint32_t backend_idx)
{
	const char *backend = lb_registry_backend_name(s->p.env.registry, backend_idx);

	name_service(s, row, service_idx);
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
	conn_client(e, row->client.bytes);
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
	row->age_ms = e->began_ms;
	row->idle_ms = e->last_seen_ms;
	row->expires_ms = row->idle_ms < timeout_ms ? timeout_ms - row->idle_ms : 0;
	row->packets = e->n_packets;
	row->count = 1;
}

static void fill_served(const struct api_server *s, const struct lb_conf *lb,
	const struct servetcp_info *info, unsigned worker, struct mr_conn_row *row)
{
	const struct tcp_info *t = &info->tcp;
	const struct lb_service *sv =
		info->service_idx < lb->n_services ? lb->services[info->service_idx] : NULL;
	const uint32_t timeout_ms = sv ? sv->spec.established_timeout_ms : 0;

	memset(row, 0, sizeof(*row));
	name_service(s, row, info->service_idx);
	row->proto = MR_PROTO_TCP;
	row->state = connmatch_state(t->state);
	row->client.family = row->vip.family = t->family;
	memcpy(row->client.bytes, t->peer, sizeof(t->peer));
	row->client_port = rte_be_to_cpu_16(t->peer_port);
	memcpy(row->vip.bytes, t->local, sizeof(t->local));
	row->vip_port = rte_be_to_cpu_16(t->local_port);
	row->worker = (uint16_t)worker;
	row->age_ms = info->age_ms;
	row->idle_ms = (uint32_t)RTE_MIN(t->idle_us / 1000, UINT32_MAX);
	row->expires_ms = timeout_ms == 0   ? MR_CONN_EXPIRES_NEVER
		: row->idle_ms < timeout_ms ? timeout_ms - row->idle_ms
					    : 0;
	row->count = 1;
	snprintf(row->tcp_state, sizeof(row->tcp_state), "%s", tcp_state_name(t->state));
	row->srtt_us = t->srtt_us;
	row->rto_us = t->rto_us;
	row->cwnd_bytes = t->cwnd;
	row->in_flight_bytes = t->in_flight;
	row->queued_bytes = t->queued;
	row->unread_bytes = t->unread;
	row->partial_bytes = info->n_partial;
	row->retransmits = t->n_retransmits;
	row->requests = info->n_requests;
}

static void send_conns(struct api_server *s, struct conndump *d, const struct mr_frame *f)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());
	uint32_t left = d->filter.limit;

	for (unsigned i = 0; i < d->n_parts; i++) {
		const struct part *p = &d->parts[i];

		for (uint32_t k = 0; k < p->n_served && left > 0; k++, left--) {
			struct mr_conn_row row;

			fill_served(s, lb, &p->served[k], i, &row);
			server_row(d->client, f, &mr_conn_row_msg, &row);
		}
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

static void send_served_counts(struct api_server *s, struct conndump *d, const struct mr_frame *f)
{
	for (uint32_t k = 0; k < d->match.n_services * CONNDUMP_STATES; k++) {
		struct mr_conn_row row;

		memset(&row, 0, sizeof(row));
		for (unsigned i = 0; i < d->n_parts; i++)
			row.count += d->parts[i].served_counts[k];
		if (row.count == 0)
			continue;
		name_service(s, &row, k / CONNDUMP_STATES);
		row.proto = MR_PROTO_TCP;
		row.state = (uint8_t)(k % CONNDUMP_STATES);
		server_row(d->client, f, &mr_conn_row_msg, &row);
	}
}

static void send_counts(struct api_server *s, struct conndump *d, const struct mr_frame *f)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	send_served_counts(s, d, f);
	for (uint32_t k = 0; k < d->match.n_backends * CONNDUMP_STATES; k++) {
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

static void send_clients(struct conndump *d, const struct mr_frame *f)
{
	const struct clientcount_row *top;
	struct mr_conn_row row = {.state = 0};
	uint32_t n;

	top = clientcount_top(d->clients, &n);
	for (uint32_t k = 0; k < n; k++) {
		row.client.family = top[k].family;
		memcpy(row.client.bytes, top[k].ip, sizeof(row.client.bytes));
		row.count = top[k].count;
		server_row(d->client, f, &mr_conn_row_msg, &row);
	}
}

/* Counts that are not whole are no answer. */
static void refuse_clients(struct conndump *d, const struct mr_frame *f)
{
	struct mr_error err;

	server_refuse(&err, 0, MR_ERR_LIMIT, "conns",
		"too many clients to count one by one: count shorter prefixes, or use a filter");
	server_reply(d->client, f->type, MR_F_REPLY | MR_F_ERROR, f->request, &mr_error_msg, &err);
}

static uint64_t sum_killed(const struct conndump *d)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < d->n_parts; i++)
		n += d->parts[i].n_killed;
	return n;
}

static void answer(struct api_server *s, struct conndump *d)
{
	const struct mr_frame f = {.type = d->request_type, .request = d->client->dump_request};
	const struct mr_conn_kill_row killed = {.killed = sum_killed(d)};

	if (d->kind == CONNDUMP_CLIENTS && clientcount_is_full(d->clients)) {
		refuse_clients(d, &f);
		return;
	}
	if (d->kind == CONNDUMP_ROWS)
		send_conns(s, d, &f);
	else if (d->kind == CONNDUMP_COUNTS)
		send_counts(s, d, &f);
	else if (d->kind == CONNDUMP_CLIENTS)
		send_clients(d, &f);
	else
		server_row(d->client, &f, &mr_conn_kill_row_msg, &killed);
	server_reply_end(d->client, f.type, f.request);
}

/* ---- its course ---- */

/* True at the end. */
static bool count_clients(const struct api_server *s, struct conndump *d)
{
	switch (d->phase) {
	case CONNDUMP_CLEAR:
		if (clientcount_clear_some(d->clients)) {
			d->phase = CONNDUMP_COUNT;
			d->at = 0;
			post(s, 0);
		}
		return false;
	case CONNDUMP_COUNT:
		if (!worker_job_done(s->p.workers[d->at]))
			return false;
		if (++d->at < d->n_parts)
			post(s, d->at);
		else
			d->phase = CONNDUMP_SELECT;
		return false;
	default:
		return clientcount_select_some(d->clients);
	}
}

static bool is_done(const struct api_server *s, struct conndump *d)
{
	if (d->kind == CONNDUMP_CLIENTS)
		return count_clients(s, d);
	for (unsigned i = 0; i < d->n_parts; i++) {
		if (!worker_job_done(s->p.workers[i]))
			return false;
	}
	return true;
}

bool conndump_poll(struct api_server *s)
{
	struct conndump *d = s->dump;

	if (!d->is_running)
		return false;
	if (!is_done(s, d))
		return true;
	d->is_running = false;
	if (d->kind == CONNDUMP_KILL)
		LOG_NOTICE("client '%s', uid %u: %" PRIu64 " connections removed",
			d->client ? d->client->name : "gone", d->client ? d->client->uid : 0,
			sum_killed(d));
	if (d->client != NULL) {
		answer(s, d);
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

bool conndump_is_running(const struct api_server *s)
{
	return s->dump->is_running;
}
