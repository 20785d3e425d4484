/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows — the read-only requests: status, ports, counters, services, backends, neighbours, workers.
 * Counters are sums of what the workers write; a row may be a moment older than the next one.
 */
#include "api/server_pvt.h"
#include "lb/balance.h"
#include "net/neigh.h"
#include "serve/serve.h"

#include <rte_mempool.h>

#include <stdio.h>
#include <unistd.h>

static uint64_t conns_now(const struct api_server *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->p.n_workers; i++)
		n += conn_count(lb_worker_conns(s->p.workers[i]->lb));
	return n;
}

void rows_status(const struct api_server *s, struct mr_status *st)
{
	const struct snapshot *running = snapshot_get();

	memset(st, 0, sizeof(*st));
	st->version = MR_API_VERSION;
	snprintf(st->program, sizeof(st->program), "millraced %s", MILLRACE_VERSION);
	st->pid = (uint32_t)getpid();
	st->instance = s->p.instance;
	st->generation = running->generation;
	memcpy(st->digest, running->digest, sizeof(st->digest));
	st->uptime_ms = s->p.now_ms() - s->started_ms;
	st->n_workers = (uint16_t)s->p.n_workers;
	st->n_ports = (uint16_t)s->p.env.ifaces->n;
	st->conns_max = s->p.conns_max;
	st->conns = conns_now(s);
	st->generations_published = s->n_published;
	st->publish_us = s->publish_us;
	st->mbufs_max = s->p.pool->size;
	st->mbufs = rte_mempool_in_use_count(s->p.pool);
}

int rows_on_status(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_status st;

	(void)err;
	rows_status(s, &st);
	return server_row(c, f, &mr_status_msg, &st);
}

int rows_on_ports(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	(void)err;
	for (unsigned i = 0; i < s->p.env.ifaces->n; i++) {
		struct mr_port_row row;

		memset(&row, 0, sizeof(row));
		nic_row(s->p.nics, s->p.env.ifaces, i, &row);
		if (s->p.env.punt != NULL)
			snprintf(row.kernel_ifname, sizeof(row.kernel_ifname), "%s",
				punt_ifname(s->p.env.punt, i));
		server_row(c, f, &mr_port_row_msg, &row);
	}
	return 0;
}

struct counter_ctx {
	struct api_client *c;
	const struct mr_frame *f;
};

static void on_counter(void *ctx, const char *name, const char *unit, bool is_drop, uint64_t value,
	const char *help)
{
	const struct counter_ctx *x = ctx;
	struct mr_counter_row row;

	memset(&row, 0, sizeof(row));
	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.unit, sizeof(row.unit), "%s", unit);
	snprintf(row.help, sizeof(row.help), "%s", help);
	row.is_drop = is_drop;
	row.value = value;
	server_row(x->c, x->f, &mr_counter_row_msg, &row);
}

int rows_on_counters(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct counter_ctx ctx = {.c = c, .f = f};
	struct tally sum;

	(void)err;
	tally_sum(s->p.tallies, &sum);
	tally_walk(&sum, on_counter, &ctx);
	return 0;
}

/* Adds one backend's counters over all workers. */
static void add_backend(const struct api_server *s, uint32_t idx, struct lb_backend_tally *sum)
{
	for (unsigned i = 0; i < s->p.n_workers; i++) {
		const struct lb_backend_tally *t =
			lb_worker_backend_tally(s->p.workers[i]->lb, idx);

		sum->conns += __atomic_load_n(&t->conns, __ATOMIC_RELAXED);
		sum->conns_total += __atomic_load_n(&t->conns_total, __ATOMIC_RELAXED);
		sum->rx_packets += __atomic_load_n(&t->rx_packets, __ATOMIC_RELAXED);
		sum->rx_bytes += __atomic_load_n(&t->rx_bytes, __ATOMIC_RELAXED);
		sum->tx_packets += __atomic_load_n(&t->tx_packets, __ATOMIC_RELAXED);
		sum->tx_bytes += __atomic_load_n(&t->tx_bytes, __ATOMIC_RELAXED);
		sum->opened += __atomic_load_n(&t->opened, __ATOMIC_RELAXED);
		sum->failed += __atomic_load_n(&t->failed, __ATOMIC_RELAXED);
	}
}

/* What tunnels to the backend carry; 0 where there are none. */
static uint16_t path_mtu(const struct lb_conf *lb, uint32_t idx)
{
	const struct lb_backend *be = &lb->backends[idx];

	return mr_mode_is_tunnel(be->mode) ? be->path_mtu : 0;
}

static uint16_t least_path_mtu(const struct lb_conf *lb, const struct lb_service *s)
{
	uint16_t least = 0;

	for (unsigned i = 0; i < s->n_backends; i++) {
		const uint16_t mtu = path_mtu(lb, s->backend_idx[i]);

		if (least == 0 || mtu < least)
			least = mtu;
	}
	return least;
}

/* What a worker has served of it by itself. */
static void add_served(const struct serve_tally *t, struct mr_service_row *row)
{
	row->rx_packets += __atomic_load_n(&t->rx_packets, __ATOMIC_RELAXED);
	row->rx_bytes += __atomic_load_n(&t->rx_bytes, __ATOMIC_RELAXED);
	row->tx_packets += __atomic_load_n(&t->tx_packets, __ATOMIC_RELAXED);
	row->tx_bytes += __atomic_load_n(&t->tx_bytes, __ATOMIC_RELAXED);
	row->drops += __atomic_load_n(&t->drops, __ATOMIC_RELAXED);
	row->acl_drops += __atomic_load_n(&t->acl_drops, __ATOMIC_RELAXED);
	row->requests += __atomic_load_n(&t->requests, __ATOMIC_RELAXED);
	row->conns += __atomic_load_n(&t->conns, __ATOMIC_RELAXED);
	row->conns_total += __atomic_load_n(&t->conns_total, __ATOMIC_RELAXED);
}

int rows_on_services(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	(void)err;
	for (uint32_t i = 0; i < lb->n_services; i++) {
		const struct lb_service *sv = lb->services[i];
		struct lb_backend_tally sum;
		struct mr_service_row row;

		if (sv == NULL)
			continue;
		memset(&sum, 0, sizeof(sum));
		memset(&row, 0, sizeof(row));
		for (unsigned b = 0; b < sv->n_backends; b++)
			add_backend(s, sv->backend_idx[b], &sum);
		memcpy(row.name, sv->spec.name, sizeof(row.name));
		row.conns_total = sum.conns_total;
		row.rx_packets = sum.rx_packets;
		row.rx_bytes = sum.rx_bytes;
		row.tx_packets = sum.tx_packets;
		row.tx_bytes = sum.tx_bytes;
		row.path_mtu = least_path_mtu(lb, sv);
		for (unsigned w = 0; w < s->p.n_workers; w++) {
			row.conns += lb_worker_service_conns(s->p.workers[w]->lb, i);
			row.drops += lb_worker_service_drops(s->p.workers[w]->lb, i);
			row.acl_drops += lb_worker_service_acl_drops(s->p.workers[w]->lb, i);
			add_served(serve_worker_tally(s->p.workers[w]->serve, i), &row);
		}
		server_row(c, f, &mr_service_row_msg, &row);
	}
	return 0;
}

int rows_on_backends(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	(void)err;
	for (uint32_t i = 0; i < lb->n_services; i++) {
		const struct lb_service *sv = lb->services[i];

		for (unsigned b = 0; sv != NULL && b < sv->n_backends; b++) {
			struct lb_backend_tally sum;
			struct mr_backend_row row;

			memset(&sum, 0, sizeof(sum));
			memset(&row, 0, sizeof(row));
			add_backend(s, sv->backend_idx[b], &sum);
			memcpy(row.service, sv->spec.name, sizeof(row.service));
			memcpy(row.name, sv->backends[b].name, sizeof(row.name));
			row.conns = sum.conns;
			row.conns_total = sum.conns_total;
			row.rx_packets = sum.rx_packets;
			row.rx_bytes = sum.rx_bytes;
			row.tx_packets = sum.tx_packets;
			row.tx_bytes = sum.tx_bytes;
			row.opened = sum.opened;
			row.open_failures = sum.failed;
			row.path_mtu = path_mtu(lb, sv->backend_idx[b]);
			server_row(c, f, &mr_backend_row_msg, &row);
		}
	}
	return 0;
}

struct neigh_ctx {
	struct api_server *s;
	struct api_client *c;
	const struct mr_frame *f;
};

static void on_neigh(void *ctx, const struct neigh_key *k, const struct rte_ether_addr *mac,
	unsigned state, uint32_t age_ms)
{
	const struct neigh_ctx *x = ctx;
	struct mr_neigh_row row;

	memset(&row, 0, sizeof(row));
	snprintf(row.port, sizeof(row.port), "%s", x->s->p.env.ifaces->of[k->iface].name);
	row.ip.family = k->family;
	memcpy(row.ip.bytes, k->ip, sizeof(row.ip.bytes));
	memcpy(row.mac, mac->addr_bytes, sizeof(row.mac));
	row.state = (uint8_t)state;
	row.age_ms = age_ms;
	server_row(x->c, x->f, &mr_neigh_row_msg, &row);
}

int rows_on_neighs(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct neigh_ctx ctx = {.s = s, .c = c, .f = f};

	(void)err;
	neigh_walk(s->p.neigh, s->p.now_ms(), on_neigh, &ctx);
	return 0;
}

static void fill_stages(struct mr_worker_row *row, const struct stage_times *t)
{
#define FILL(sym, help) \
	row->sym##_cycles = __atomic_load_n(&t->cycles[STAGE_##sym], __ATOMIC_RELAXED);
	row->timed_packets = __atomic_load_n(&t->packets, __ATOMIC_RELAXED);
	STAGES(FILL)
#undef FILL
}

int rows_on_workers(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	(void)err;
	for (unsigned i = 0; i < s->p.n_workers; i++) {
		const struct worker *w = s->p.workers[i];
		const struct conn_table *conns = lb_worker_conns(w->lb);
		struct mr_worker_row row;

		memset(&row, 0, sizeof(row));
		row.worker = w->id;
		row.lcore = w->lcore;
		row.loops = __atomic_load_n(&w->tally->loops, __ATOMIC_RELAXED);
		row.busy_loops = __atomic_load_n(&w->tally->busy_loops, __ATOMIC_RELAXED);
		row.sleeps = __atomic_load_n(&w->tally->sleeps, __ATOMIC_RELAXED);
		row.rx_packets = __atomic_load_n(&w->tally->rx, __ATOMIC_RELAXED);
		row.tx_packets = __atomic_load_n(&w->tally->tx, __ATOMIC_RELAXED);
		row.handed_over = __atomic_load_n(&w->tally->handed_over, __ATOMIC_RELAXED);
		row.conns = conn_count(conns);
		row.conns_max = conn_max(conns);
		fill_stages(&row, &w->tally->stages);
		server_row(c, f, &mr_worker_row_msg, &row);
	}
	return 0;
}
