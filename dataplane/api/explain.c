/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explain — see explain.h. One at a time, and not while connections are dumped: a worker has one job. The worker
 * is done within a loop, so who comes second is told to try again.
 *
 *  I1  while is_running, flow belongs to the worker whose job is not done
 *  I2  client == NULL: it has gone; the answer is thrown away
 */
#include "api/explain.h"

#include "api/connmatch.h"
#include "api/server_pvt.h"
#include "net/parse.h"
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>

#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct explain {
	struct explain_flow flow;
	struct worker_job job;
	struct api_client *client;
	uint16_t request_type;
	bool is_running;
};

int explain_create(struct explain **out)
{
	struct explain *x = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(struct explain), RTE_CACHE_LINE_SIZE));

	if (x == NULL)
		return -ENOMEM;
	memset(x, 0, sizeof(*x));
	*out = x;
	return 0;
}

void explain_destroy(struct explain **x)
{
	free(*x);
	*x = NULL;
}

/* ---- the packet ---- */

static void fill_record(struct pkt *p, const struct mr_explain *ask)
{
	memset(p, 0, sizeof(*p));
	p->verdict = PKT_UNSEEN;
	p->family = ask->client.family;
	p->ether_type = ask->client.family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
						: RTE_BE16(RTE_ETHER_TYPE_IPV6);
	p->proto = ask->proto;
	if (ask->proto == MR_PROTO_TCP)
		p->tcp_flags = ask->segment ? TCP_ACK : TCP_SYN;
	memcpy(p->src, ask->client.bytes, sizeof(p->src));
	memcpy(p->dst, ask->vip.bytes, sizeof(p->dst));
	p->sport = rte_cpu_to_be_16(ask->client_port);
	p->dport = rte_cpu_to_be_16(ask->vip_port);
}

/* A segment to a cache. A datagram to one needs no worker: any would do the same with it. */
static bool is_served(const struct pkt *p)
{
	return p->verdict == PKT_SERVE && p->proto == MR_PROTO_TCP;
}

void explain_begin(struct explain_flow *e, const struct mr_explain *ask,
	const struct snapshot *snap, unsigned n_workers)
{
	struct pkt *p = &e->burst.p[0];
	uint16_t slot;
	uint8_t iface, next_hop[16];

	memset(e, 0, sizeof(*e));
	e->burst.n = 1;
	fill_record(p, ask);
	/* the port is not asked for: a source is where the routes say */
	addr_route(addr_conf_of(snap), p->family, p->src, &p->in_iface, next_hop);
	e->is_bad_source = parse_is_bad_source(p);
	e->kind = (uint8_t)addr_find(addr_conf_of(snap), p->family, p->dst, &slot, &iface);
	pipeline_classify(snap, &e->burst);
	e->is_balanced = p->verdict == PKT_LB && !e->is_bad_source;
	e->is_served = is_served(p) && !e->is_bad_source;
	if (p->verdict != PKT_LB && !is_served(p))
		return;
	e->rss_hash = nic_softrss(p);
	e->worker = pipeline_owner(snap, &e->burst, n_workers);
	e->n_workers = n_workers;
}

void explain_run(struct worker *w, struct explain_flow *e)
{
	/* the worker's generation may be newer than the one that was classified by */
	e->burst.p[0].verdict = PKT_UNSEEN;
	pipeline_classify(w->snap, &e->burst);
	e->is_balanced = e->burst.p[0].verdict == PKT_LB;
	e->is_served = is_served(&e->burst.p[0]) && servetcp_is_there(w);
	if (e->is_balanced)
		trial_run(w, &e->burst, &e->trial);
	else if (e->is_served)
		servetcp_try(w, lb_conf_of(w->snap), &e->burst.p[0], &e->served);
}

/* ---- the answer ---- */

static void put_backend(const struct lb_registry *r, uint32_t idx, char name[MR_NAME_MAX])
{
	const char *known = idx != SCHED_NONE ? lb_registry_backend_name(r, idx) : NULL;

	snprintf(name, MR_NAME_MAX, "%s", known != NULL ? known : "");
}

static void put_ip(struct mr_ip *ip, uint8_t family, const uint8_t bytes[16])
{
	ip->family = family;
	memcpy(ip->bytes, bytes, family == 4 ? 4 : 16);
}

static void put_drop(struct mr_explain_row *row, unsigned reason)
{
#define EXPLAIN_DROP(sym, help) {#sym, help},
	static const struct {
		const char *name, *help;
	} drops[] = {MR_DROPS(EXPLAIN_DROP)};

	row->verdict = MR_VERDICT_DROPPED;
	snprintf(row->drop, sizeof(row->drop), "%s", drops[reason].name);
	snprintf(row->drop_help, sizeof(row->drop_help), "%s", drops[reason].help);
}

/* A segment to a cache: one of a connection, or that begins one, or that there is nothing for. */
static void fill_segment(
	const struct explain_flow *e, const struct lb_service *s, struct mr_explain_row *row)
{
	const struct servetcp_trial *t = &e->served;
	const struct tcp_info *tcp = &t->info.tcp;
	const uint32_t timeout_ms = s->spec.established_timeout_ms;

	row->service_conns = t->conns;
	row->service_conns_max = t->max_conns;
	row->flows_left = t->flows_left;
	row->source_left = t->source_left;
	row->syns_left = row->packets_left = MR_EXPLAIN_NO_LIMIT;
	row->has_entry = t->is_known;
	row->is_new = !t->is_known && (e->burst.p[0].tcp_flags & TCP_SYN) && !t->is_refused;
	if (t->is_known) {
		row->conn_state = connmatch_state(tcp->state);
		row->age_ms = t->info.age_ms;
		row->idle_ms = (uint32_t)RTE_MIN(tcp->idle_us / 1000, UINT32_MAX);
		row->expires_ms = timeout_ms == 0   ? MR_CONN_EXPIRES_NEVER
			: row->idle_ms < timeout_ms ? timeout_ms - row->idle_ms
						    : 0;
	}
	if (t->is_refused) {
		put_drop(row, t->drop);
	} else if (t->is_known || row->is_new) {
		row->verdict = MR_VERDICT_SERVED;
	} else {
		row->verdict = MR_VERDICT_RESET;
		row->may_be_cookie = 1;
	}
}

/* A packet to a cache: a datagram is served if its sender may ask. */
static void fill_served(
	const struct explain_flow *e, const struct lb_conf *lb, struct mr_explain_row *row)
{
	const struct pkt *p = &e->burst.p[0];
	const struct lb_service *s =
		p->service_idx < lb->n_services ? lb->services[p->service_idx] : NULL;

	if (s == NULL)
		return;
	snprintf(row->service, sizeof(row->service), "%s", s->spec.name);
	row->mode = s->spec.mode;
	if (e->is_bad_source)
		return;
	if (e->is_served)
		fill_segment(e, s, row);
	else if (s->acl != NULL && !acl_allows(s->acl, p->src))
		put_drop(row, PKT_DROP_acl);
	else
		row->verdict = MR_VERDICT_SERVED;
}

static void fill_verdict(const struct explain_flow *e, struct mr_explain_row *row)
{
	const struct pkt *p = &e->burst.p[0];
	const unsigned verdict = e->is_balanced ? e->trial.verdict : p->verdict;

	if (e->is_bad_source)
		put_drop(row, PKT_DROP_bad_ip_source);
	else if (verdict == PKT_DROP)
		put_drop(row, e->is_balanced ? e->trial.drop : p->drop);
	else if (verdict == PKT_TX)
		row->verdict = MR_VERDICT_FORWARDED;
	else if (verdict == PKT_REPLY)
		row->verdict = e->trial.is_cookie ? MR_VERDICT_COOKIE : MR_VERDICT_RESET;
	else if (verdict == PKT_HOLD)
		row->verdict = MR_VERDICT_HELD;
	else if (verdict == PKT_RETURN || verdict == PKT_REVERT)
		row->verdict = MR_VERDICT_ANSWER;
	else
		row->verdict = MR_VERDICT_KERNEL;
}

static void fill_entry(
	const struct trial *t, const struct lb_registry *r, struct mr_explain_row *row)
{
	row->has_entry = 1;
	row->conn_state = t->entry.state;
	put_backend(r, t->entry.backend_idx, row->conn_backend);
	row->age_ms = t->entry.began_ms;
	row->idle_ms = t->entry.last_seen_ms;
	row->expires_ms = t->expires_ms;
	row->packets = t->entry.n_packets;
}

/* Where the packet goes, and where its answer does. */
static void fill_way(const struct explain_flow *e, const struct lb_registry *r,
	const struct iface_set *ifaces, struct mr_explain_row *row)
{
	const struct trial *t = &e->trial;
	const struct lb_backend *be = &t->backend;

	put_backend(r, t->backend_idx, row->backend);
	put_ip(&row->backend_ip, be->family, be->ip);
	row->backend_port = rte_be_to_cpu_16(be->port);
	row->backend_state = be->state;
	row->backend_weight = be->weight;
	row->backend_conns = t->backend_conns;
	row->backend_conns_max = be->max_conns;
	snprintf(row->port, sizeof(row->port), "%s", ifaces->of[t->out_iface].name);
	put_ip(&row->next_hop, be->family, t->next_hop);
	row->neigh_state = t->neigh_state;
	memcpy(row->mac, &t->mac, sizeof(row->mac));
	row->snat = t->snat;
	row->snat_port = t->snat_port;
	if (!t->has_answer || !t->has_answer_route)
		return;
	snprintf(
		row->answer_port, sizeof(row->answer_port), "%s", ifaces->of[t->answer_iface].name);
	put_ip(&row->answer_next_hop, e->burst.p[0].family, t->answer_hop);
	row->answer_neigh_state = t->answer_state;
}

void explain_fill(const struct explain_flow *e, const struct lb_registry *r,
	const struct iface_set *ifaces, const struct lb_conf *lb, struct mr_explain_row *row)
{
	static const char *const kinds[] = {[ADDR_NONE] = "none",
		[ADDR_OWN] = "own",
		[ADDR_VIP] = "virtual",
		[ADDR_SNAT] = "snat"};
	const struct trial *t = &e->trial;
	const struct lb_service *s;
	const char *service;

	memset(row, 0, sizeof(*row));
	snprintf(row->address, sizeof(row->address), "%s", kinds[e->kind]);
	row->worker = (uint16_t)e->worker;
	row->n_workers = (uint16_t)e->n_workers;
	row->rss_hash = e->rss_hash;
	fill_verdict(e, row);
	if (e->burst.p[0].verdict == PKT_SERVE)
		fill_served(e, lb, row);
	if (!e->is_balanced)
		return;
	service = lb_registry_service_name(r, t->service_idx);
	snprintf(row->service, sizeof(row->service), "%s", service != NULL ? service : "");
	s = t->service_idx < lb->n_services ? lb->services[t->service_idx] : NULL;
	if (s != NULL)
		row->scheduler = s->spec.sched;
	row->mode = t->mode;
	row->is_new = t->is_new;
	row->is_stateless = t->is_stateless;
	row->service_conns = t->service_conns;
	row->service_conns_max = (uint32_t)t->service_conns_max;
	row->flows_left = t->flows_left;
	row->source_left = t->source_left;
	row->syns_left = t->syns_left;
	row->may_be_cookie = t->may_be_cookie;
	row->packets_left = t->packets_left;
	row->flow_hash = t->hash;
	put_backend(r, t->first_idx, row->scheduled);
	if (t->has_entry)
		fill_entry(t, r, row);
	if (t->backend_idx != SCHED_NONE)
		fill_way(e, r, ifaces, row);
}

/* ---- the request ---- */

static bool run_job(struct worker *w, struct worker_job *job)
{
	explain_run(w, job->ctx);
	return true;
}

static int check(const struct mr_explain *ask, struct mr_error *err)
{
	if (ask->proto != MR_PROTO_TCP && ask->proto != MR_PROTO_UDP)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "proto",
			"%u is neither TCP (6) nor UDP (17)", ask->proto);
	if (mr_ip_len(&ask->client) == 0 || ask->client.family != ask->vip.family)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "vip",
			"client and VIP must be addresses of one family");
	if (ask->client_port == 0 || ask->vip_port == 0)
		return server_refuse(
			err, -EINVAL, MR_ERR_INVALID, "vip_port", "ports are 1 to 65535");
	return 0;
}

static void answer(
	const struct api_server *s, struct api_client *c, const struct explain *x, uint32_t request)
{
	const struct mr_frame f = {.type = x->request_type, .request = request};
	struct mr_explain_row row;

	explain_fill(&x->flow, s->p.env.registry, s->p.workers[0]->ifaces,
		lb_conf_of(snapshot_get()), &row);
	server_row(c, &f, &mr_explain_row_msg, &row);
}

int explain_on_explain(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct explain *x = s->explain;
	struct mr_explain ask;
	int rc = server_decode(f, &mr_explain_msg, &ask, err);

	if (rc == 0)
		rc = check(&ask, err);
	if (rc != 0)
		return rc;
	if (server_has_jobs(s))
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, "explain",
			"another client is asking about connections: retry in a moment");
	x->request_type = f->type;
	explain_begin(&x->flow, &ask, snapshot_get(), s->p.n_workers);
	if (!x->flow.is_balanced && !x->flow.is_served) {
		answer(s, c, x, f->request);
		return 0;
	}
	x->job = (struct worker_job){.run = run_job, .ctx = &x->flow};
	x->client = c;
	x->is_running = true;
	c->is_blocked = true;
	c->dump_request = f->request;
	worker_job_post(s->p.workers[x->flow.worker], &x->job);
	return API_LATER;
}

bool explain_poll(struct api_server *s)
{
	struct explain *x = s->explain;
	struct api_client *c = x->client;

	if (!x->is_running)
		return false;
	if (!worker_job_done(s->p.workers[x->flow.worker]))
		return true;
	x->is_running = false;
	x->client = NULL;
	if (c != NULL) {
		answer(s, c, x, c->dump_request);
		server_reply_end(c, x->request_type, c->dump_request);
		c->is_blocked = false;
	}
	return false;
}

void explain_forget(struct api_server *s, const struct api_client *c)
{
	if (s->explain->client == c)
		s->explain->client = NULL;
}

bool explain_is_running(const struct api_server *s)
{
	return s->explain->is_running;
}
