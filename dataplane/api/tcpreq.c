/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcpreq — TCP: what the TCP of the workers, which serves caches, counts and uses, added up. Both belong to their worker, so each
 * copies its own in a job; it is done within a loop. One at a time, and not while workers have another job: who comes second is told to
 * try again.
 *
 *  I1  while is_running, parts belong to the workers whose job is not done
 *  I2  client == NULL: it has gone; the answer is thrown away
 */
#include "api/server_pvt.h"
#include "millrace/api_stats.h"
#include "serve/servetcp.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

struct part { /* of one worker; all 0 without TCP */
	struct worker_job job;
	struct tcp_stats tcp;
	struct servetcp_stats serve;
	struct tcp_usage used, max;
	uint32_t refs_used, refs_max;
};

struct tcpreq {
	bool is_running;
	struct api_client *client;
	unsigned n_parts;
	struct part parts[WORKER_MAX];
};

/* A number that each worker has, and where in its part. */
struct number {
	const char *name, *help;
	size_t at, max_at; /* max_at 0: it has no bound */
	uint8_t group;
	bool is_small; /* 32 bits */
};

#define TCP_NUMBER(symbol, help) \
	{#symbol, help, offsetof(struct part, tcp.symbol), 0, MR_TCP_STACK, false},
#define SERVE_NUMBER(symbol, help) \
	{#symbol, help, offsetof(struct part, serve.symbol), 0, MR_TCP_SERVING, false},
#define USAGE_NUMBER(symbol, name, help) \
	{name, help, offsetof(struct part, used.symbol), offsetof(struct part, max.symbol), \
		MR_TCP_USAGE, true},
#define USAGE(X) \
	X(n_conns, "connections", "open, or closing") \
	X(n_syns, "handshakes", "begun by clients; without room SYNs are answered with cookies") \
	X(n_time_waits, "time_waits", "ended connections whose late segments are waited for") \
	X(n_bufs, "buffers", "packet buffers of requests and answers that wait")
static const struct number numbers[] = {
	USAGE(USAGE_NUMBER){"values_sent",
		"values of which parts are sent from where they lie in the cache",
		offsetof(struct part, refs_used), offsetof(struct part, refs_max), MR_TCP_USAGE,
		true},
	TCP_STATS(TCP_NUMBER) SERVETCP_STATS(SERVE_NUMBER)};

int tcpreq_create(struct tcpreq **out, unsigned n_workers)
{
	struct tcpreq *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->n_parts = n_workers;
	*out = t;
	return 0;
}

void tcpreq_destroy(struct tcpreq **t)
{
	free(*t);
	*t = NULL;
}

/* ---- on the workers ---- */

static bool copy_part(struct worker *w, struct worker_job *job)
{
	struct part *p = job->ctx;

	if (!servetcp_is_there(w))
		return true;
	p->tcp = *servetcp_tcp_stats(w);
	p->serve = *servetcp_stats(w);
	servetcp_usage(w, &p->used);
	servetcp_limits(w, &p->max);
	servetcp_refs(w, &p->refs_used, &p->refs_max);
	return true;
}

/* ---- the request and the answer ---- */

int tcpreq_on_tcp(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct tcpreq *t = s->tcp;

	if (server_has_jobs(s))
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, "tcp",
			"another client is asking about connections: retry in a moment");
	t->client = c;
	t->is_running = true;
	c->is_blocked = true;
	c->dump_request = f->request;
	for (unsigned i = 0; i < t->n_parts; i++) {
		struct part *p = &t->parts[i];

		memset(p, 0, sizeof(*p));
		p->job = (struct worker_job){.run = copy_part, .ctx = p};
		worker_job_post(s->p.workers[i], &p->job);
	}
	return API_LATER;
}

static uint64_t sum(const struct tcpreq *t, size_t at, bool is_small)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < t->n_parts; i++) {
		const char *p = (const char *)&t->parts[i] + at;
		uint64_t v = 0;
		uint32_t small;

		if (is_small) {
			memcpy(&small, p, sizeof(small));
			v = small;
		} else {
			memcpy(&v, p, sizeof(v));
		}
		n += v;
	}
	return n;
}

static void answer(const struct tcpreq *t, struct api_client *c)
{
	const struct mr_frame f = {.type = MR_REQ_TCP, .request = c->dump_request};

	for (unsigned i = 0; i < RTE_DIM(numbers); i++) {
		const struct number *k = &numbers[i];
		struct mr_tcp_row row;

		memset(&row, 0, sizeof(row));
		snprintf(row.name, sizeof(row.name), "%s", k->name);
		snprintf(row.help, sizeof(row.help), "%s", k->help);
		row.group = k->group;
		row.value = sum(t, k->at, k->is_small);
		if (k->max_at != 0)
			row.max = sum(t, k->max_at, k->is_small);
		server_row(c, &f, &mr_tcp_row_msg, &row);
	}
	server_reply_end(c, f.type, f.request);
}

bool tcpreq_poll(struct api_server *s)
{
	struct tcpreq *t = s->tcp;

	if (!t->is_running)
		return false;
	for (unsigned i = 0; i < t->n_parts; i++) {
		if (!worker_job_done(s->p.workers[i]))
			return true;
	}
	t->is_running = false;
	if (t->client != NULL) {
		answer(t, t->client);
		t->client->is_blocked = false;
	}
	t->client = NULL;
	return false;
}

void tcpreq_forget(struct api_server *s, const struct api_client *c)
{
	if (s->tcp->client == c)
		s->tcp->client = NULL;
}

bool tcpreq_is_running(const struct api_server *s)
{
	return s->tcp->is_running;
}
