/* SPDX-License-Identifier: BSD-3-Clause */
/* harness — see harness.h. */
#include "harness.h"

#include "base/clock.h"
#include "base/keyhash.h"
#include "net/frag.h"
#include "net/neigh.h"
#include "pipeline.h"

#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include <stdlib.h>

#define RING_SIZE 4096u

static const char *const iface_names[HARNESS_IFACES] = {"north", "south"};

static void *must(void *p, const char *what)
{
	if (p == NULL) {
		fprintf(stderr, "harness: %s cannot be made: %s\n", what, rte_strerror(rte_errno));
		exit(2);
	}
	return p;
}

static void must_ok(int rc, const char *what)
{
	if (rc != 0) {
		fprintf(stderr, "harness: %s: %s\n", what, strerror(-rc));
		exit(2);
	}
}

static void make_ports(struct harness *h, const struct harness_params *p)
{
	const struct nic_params np = {.n_workers = h->n_workers,
		.n_rx_queues = p->n_queues,
		.pool = h->pool,
		.has_tcp = p->cache_mb != 0};

	h->ifaces.n = HARNESS_IFACES;
	for (unsigned i = 0; i < HARNESS_IFACES; i++) {
		char name[32];
		int id;

		for (unsigned q = 0; q < h->n_workers; q++) {
			snprintf(name, sizeof(name), "rx%u-%u", i, q);
			h->rx[i][q] =
				must(rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, 0), name);
			snprintf(name, sizeof(name), "tx%u-%u", i, q);
			h->tx[i][q] =
				must(rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, 0), name);
		}
		id = rte_eth_from_rings(
			iface_names[i], h->rx[i], p->n_queues, h->tx[i], h->n_workers, 0);
		must_ok(id < 0 ? id : 0, "ring port");
		snprintf(h->ifaces.of[i].name, MR_NAME_MAX, "%s", iface_names[i]);
		h->ifaces.of[i].n_nics = 1;
		h->ifaces.of[i].nics[0] = (uint16_t)id;
	}
	must_ok(nic_set_create(&h->nics, &h->ifaces, &np), "ports");
	for (unsigned i = 0; i < HARNESS_IFACES; i++)
		h->ifaces.of[i].mac =
			(struct rte_ether_addr){.addr_bytes = {2, 0, 0, 0, 0, (uint8_t)(i + 1)}};
}

/* So that there may be another harness. */
static void unmake_ports(struct harness *h)
{
	for (unsigned i = 0; i < HARNESS_IFACES; i++) {
		char name[RTE_DEV_NAME_MAX_LEN];

		snprintf(name, sizeof(name), "net_ring_%s", iface_names[i]);
		rte_eal_hotplug_remove("vdev", name);
		for (unsigned q = 0; q < h->n_workers; q++) {
			rte_ring_free(h->rx[i][q]);
			rte_ring_free(h->tx[i][q]);
		}
	}
}

/* The manager's frames go out through worker 0. */
static void manager_output(void *ctx, unsigned iface, struct rte_mbuf *m)
{
	struct harness *h = ctx;

	pkt_note(m)->kind = NOTE_TX;
	pkt_note(m)->iface = (uint8_t)iface;
	if (mailbox_send_bulk(h->mail, h->n_workers, 0, &m, 1) == 0) {
		tally_of(h->tallies, h->n_workers)->drops[PKT_DROP_mailbox_full]++;
		rte_pktmbuf_free(m);
	}
}

static uint64_t slot_in_use(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	const struct harness *h = ctx;
	uint64_t n = 0;

	for (unsigned i = 0; i < h->n_workers; i++) {
		const struct lb_worker *lw = h->workers[i]->lb;

		if (kind == LB_SLOT_SERVICE)
			n += lb_worker_service_conns(lw, slot)
				+ serve_worker_conns(h->workers[i]->serve, slot);
		else if (kind == LB_SLOT_BACKEND)
			n += lb_worker_backend_tally(lw, slot)->conns;
		else
			n += lb_worker_snat_used(lw, slot);
	}
	return n;
}

static void on_give(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	const struct harness *h = ctx;

	for (unsigned i = 0; i < h->n_workers; i++) {
		lb_worker_clear(h->workers[i]->lb, kind, slot);
		if (kind == LB_SLOT_SERVICE)
			serve_worker_clear(h->workers[i]->serve, slot);
	}
}

static void make_workers(
	struct harness *h, const struct harness_params *p, const struct lb_limits *limits)
{
	for (unsigned i = 0; i < h->n_workers; i++) {
		const struct lb_worker_params lp = {.worker_id = i,
			.n_workers = h->n_workers,
			.n_conns4 = p->n_conns4,
			.n_conns6 = p->n_conns6,
			.limits = *limits,
			.seed = p->seed + 1,
			.cookie_seed = {p->seed + 2, i}};
		struct worker *w = must(aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*w)), "worker");

		memset(w, 0, sizeof(*w));
		w->id = (uint16_t)i;
		w->n_workers = (uint16_t)h->n_workers;
		w->ops = &pipeline_ops;
		w->ifaces = &h->ifaces;
		w->mail = h->mail;
		w->tally = tally_of(h->tallies, i);
		w->neigh = h->neigh;
		must_ok(frag_table_create(&w->frag, SOCKET_ID_ANY), "fragments");
		must_ok(lb_worker_create(&w->lb, &lp), "worker's balancing state");
		must_ok(serve_worker_create(&(struct serve_worker_params){.w = w,
				.workers = h->workers,
				.n_services = limits->n_services,
				.tcp = {.n_conns = p->cache_mb == 0 ? 0
						: p->n_tcp_conns    ? p->n_tcp_conns
								    : 256,
					.n_bufs = p->n_tcp_bufs ? p->n_tcp_bufs : p->n_mbufs / 4,
					.pool = p->tcp_pools[i] != NULL ? p->tcp_pools[i] : h->pool,
					.secret = {p->seed + 3, i, 0, 0},
					.now_us = h->now_ms * 1000ull},
				.socket_id = SOCKET_ID_ANY}),
			"worker's serving state");
		h->workers[i] = w;
	}
	must_ok(nic_assign(h->nics, h->workers, h->n_workers), "queues");
}

static void make_caches(struct harness *h, const struct harness_params *p)
{
	const struct cacheset_params cp = {.memory_bytes = (uint64_t)p->cache_mb << 20,
		.n_workers = (uint16_t)p->n_workers,
		.socket_id = SOCKET_ID_ANY};

	must_ok(snapshot_items_create(p->n_workers + 1), "readers of items");
	must_ok(cacheset_create(&h->env.caches, &cp), "caches");
}

static void make_path_mtus(struct harness *h, uint32_t n_backends)
{
	const struct pathmtu_params p = {.registry = h->registry,
		.neigh = h->neigh,
		.ifaces = &h->ifaces,
		.tally = tally_of(h->tallies, h->n_workers),
		.n_backends = n_backends};

	must_ok(pathmtu_create(&h->env.path_mtus, &p), "path MTUs");
}

void harness_init(struct harness *h, const struct harness_params *p)
{
	const struct lb_limits limits = {.n_services = p->n_services ? p->n_services : 64,
		.n_backends = p->n_backends ? p->n_backends : 1024,
		.n_snats = p->n_snats ? p->n_snats : 32,
		.n_workers = p->n_workers};
	struct neigh_params np = {.n_slots = p->n_neighs ? p->n_neighs : 4096,
		.hold_max = p->hold_max ? p->hold_max : 8,
		.output = manager_output};
	struct mr_error err;

	h->n_workers = p->n_workers;
	h->generation = 0;
	h->now_ms = 1000;
	clock_init();
	keyhash_init_seed(p->seed + 42);
	h->pool = must(rte_pktmbuf_pool_create("harness", p->n_mbufs, 256, BURST_MBUF_PRIV,
			       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY),
		"mbuf pool");
	make_ports(h, p);
	must_ok(mailbox_create(&h->mail, h->n_workers + 1, RING_SIZE), "mailbox");
	must_ok(tally_set_create(&h->tallies, h->n_workers), "counters");
	np.pool = h->pool;
	np.ifaces = &h->ifaces;
	np.tally = tally_of(h->tallies, h->n_workers);
	np.output_ctx = h;
	must_ok(neigh_table_create(&h->neigh, &np), "neighbour table");
	must_ok(lb_registry_create(&h->registry, &limits, h->neigh, slot_in_use, h), "registry");
	lb_registry_set_on_give(h->registry, on_give);
	must_ok(model_create(&h->model), "model");
	h->env = (struct apply_env){
		.ifaces = &h->ifaces, .registry = h->registry, .n_workers = p->n_workers};
	make_caches(h, p);
	make_path_mtus(h, limits.n_backends);
	make_workers(h, p, &limits);
	must_ok(harness_apply(h, &err), "empty generation");
	snapshot_reader_up(0);
}

int harness_apply(struct harness *h, struct mr_error *err)
{
	struct snapshot *next;
	int rc = apply_build(
		&next, &h->env, h->model, ++h->generation, snapshot_get(), h->now_ms, err);

	if (rc == 0)
		apply_publish(&h->env, next);
	return rc;
}

void harness_fini(struct harness *h)
{
	struct snapshot *last;

	snapshot_reader_down();
	last = snapshot_publish(NULL, NULL);
	apply_discard(&last, &h->env);
	for (unsigned i = 0; i < h->n_workers; i++) {
		lb_worker_destroy(&h->workers[i]->lb);
		serve_worker_destroy(h->workers[i]);
		frag_table_destroy(&h->workers[i]->frag);
		free(h->workers[i]);
	}
	model_destroy(&h->model);
	pathmtu_destroy(&h->env.path_mtus);
	lb_registry_destroy(&h->registry);
	cacheset_destroy(&h->env.caches);
	snapshot_items_destroy();
	neigh_table_destroy(&h->neigh);
	mailbox_destroy(&h->mail);
	nic_set_destroy(&h->nics);
	unmake_ports(h);
	tally_set_destroy(&h->tallies);
	rte_mempool_free(h->pool);
}

struct rte_mbuf *harness_mbuf(struct harness *h, const void *frame, unsigned len)
{
	struct rte_mbuf *m = must(rte_pktmbuf_alloc(h->pool), "mbuf");
	char *to;

	/* what a driver or an earlier packet left in the buffer must not matter */
	memset((char *)m->buf_addr, 0xff, m->buf_len);
	memset(pkt_note(m), 0xff, BURST_MBUF_PRIV);
	to = must(rte_pktmbuf_append(m, (uint16_t)len), "room for the frame");
	memcpy(to, frame, len);
	return m;
}

unsigned harness_queue(const struct harness *h, unsigned worker, unsigned iface)
{
	const struct worker *w = h->workers[worker];

	for (unsigned i = 0; i < w->n_queues; i++)
		if (w->queues[i].iface == iface)
			return w->queues[i].queue;
	must_ok(-ENOENT, "the worker has no queue of the port");
	return 0;
}

void harness_receive(struct harness *h, unsigned iface, unsigned queue, struct rte_mbuf *m)
{
	must_ok(rte_ring_enqueue(h->rx[iface][queue], m), "receive queue");
}

static void manager_take(struct harness *h, struct rte_mbuf *m)
{
	const struct addr_conf *ac = addr_conf_of(snapshot_get());
	const unsigned iface = pkt_note(m)->iface;

	switch (pkt_note(m)->kind) {
	case NOTE_HOLD:
		neigh_hold(h->neigh, m, ac, h->now_ms);
		return;
	case NOTE_NEIGH:
		neigh_learn(h->neigh, m, h->now_ms);
		break;
	case NOTE_LEARN:
		neigh_learn(h->neigh, m, h->now_ms);
		tally_of(h->tallies, h->n_workers)->consumed++;
		rte_pktmbuf_free(m);
		return;
	default:
		if (pkt_note(m)->punt_class == PUNT_TOO_BIG
			&& pathmtu_input(h->env.path_mtus, m, iface, snapshot_get(), h->now_ms))
			return;
	}
	tally_of(h->tallies, h->n_workers)->punted++;
	if (h->on_kernel != NULL)
		h->on_kernel(h->ctx, iface, m);
	else
		rte_pktmbuf_free(m);
}

unsigned harness_poll(struct harness *h)
{
	struct rte_mbuf *m[BURST_MAX];
	unsigned n = 0, n_mail;

	for (unsigned i = 0; i < h->n_workers; i++)
		n += worker_poll(h->workers[i], h->now_ms * 1000ull);
	/* the manager is no reader: leave while it may wait for readers */
	snapshot_offline();
	n_mail = mailbox_receive_bulk(h->mail, h->n_workers, m, BURST_MAX);
	for (unsigned i = 0; i < n_mail; i++)
		manager_take(h, m[i]);
	neigh_run(h->neigh, addr_conf_of(snapshot_get()), h->now_ms);
	pathmtu_run(h->env.path_mtus, lb_conf_of(snapshot_get()), h->now_ms);
	snapshot_online();
	return n + n_mail;
}

void harness_settle(struct harness *h)
{
	unsigned n_quiet = 0;

	while (n_quiet < 8)
		n_quiet = harness_poll(h) + mailbox_count(h->mail) == 0 ? n_quiet + 1 : 0;
}

struct rte_mbuf *harness_sent(struct harness *h, unsigned iface)
{
	void *m;

	for (unsigned q = 0; q < h->n_workers; q++) {
		if (rte_ring_dequeue(h->tx[iface][q], &m) == 0)
			return m;
	}
	return NULL;
}

bool harness_balanced(struct harness *h, struct tally *sum)
{
	uint64_t gone = 0;

	tally_sum(h->tallies, sum);
	for (unsigned i = 0; i < PKT_N_DROPS; i++)
		gone += sum->drops[i];
	for (unsigned i = 0; i < h->n_workers; i++)
		gone += h->workers[i]->n_tx_pending;
	return sum->rx + sum->injected + sum->generated
		== sum->tx + sum->punted + sum->consumed + (sum->held - sum->released)
		+ (sum->fragments_held - sum->fragments_released) + gone + mailbox_count(h->mail);
}
