/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve — see serve.h: what has nothing to do with a transport. serveudp.c answers datagrams, servetcp.c has connections.
 */
#include "serve/serve.h"

#include "serve/serve_pvt.h"
#include "serve/serveudp.h"

#include <rte_malloc.h>

#include <errno.h>
#include <time.h>

/* The sweeps of all caches together, at a time; three times as long is for packets then. Who receives none has more time. */
#define SWEEP_US 100u
#define SWEEP_IDLE_US 300u

int serve_worker_create(const struct serve_worker_params *p)
{
	struct serve_worker *sw =
		rte_zmalloc_socket("serve", sizeof(*sw), RTE_CACHE_LINE_SIZE, p->socket_id);
	int rc;

	if (sw == NULL)
		return -ENOMEM;
	p->w->serve = sw;
	sw->workers = p->workers;
	sw->lookups_left = sw->requests_left = 1;
	sw->random = rte_rdtsc() | 1;
	sw->us_cyc = rte_get_tsc_hz() / US_PER_S;
	sw->services = rte_zmalloc_socket(
		"serve", p->n_services * sizeof(*sw->services), RTE_CACHE_LINE_SIZE, p->socket_id);
	rc = sw->services != NULL ? rate_sources_create(&sw->sources, p->socket_id) : -ENOMEM;
	if (rc == 0)
		rc = serveudp_create(&sw->udp, p->socket_id);
	if (rc == 0 && p->tcp.n_conns > 0)
		rc = servetcp_create(&sw->tcp, &p->tcp, p->w, p->n_services, p->socket_id);
	if (rc != 0)
		serve_worker_destroy(p->w);
	return rc;
}

void serve_worker_destroy(struct worker *w)
{
	struct serve_worker *sw = w->serve;

	if (sw == NULL)
		return;
	servetcp_destroy(&sw->tcp);
	serveudp_destroy(&sw->udp);
	rate_sources_destroy(&sw->sources);
	rte_free(sw->services);
	rte_free(sw);
	w->serve = NULL;
}

const struct serve_tally *serve_worker_tally(const struct serve_worker *sw, uint32_t service_idx)
{
	return &sw->services[service_idx];
}

uint64_t serve_worker_conns(const struct serve_worker *sw, uint32_t service_idx)
{
	return __atomic_load_n(&sw->services[service_idx].conns, __ATOMIC_RELAXED);
}

void serve_worker_clear(struct serve_worker *sw, uint32_t service_idx)
{
	memset(&sw->services[service_idx], 0, sizeof(sw->services[service_idx]));
}

void serve_count_all(struct serve_tally *to, const struct serve_tally *burst)
{
	serve_count(&to->rx_packets, burst->rx_packets);
	serve_count(&to->rx_bytes, burst->rx_bytes);
	serve_count(&to->tx_packets, burst->tx_packets);
	serve_count(&to->tx_bytes, burst->tx_bytes);
	serve_count(&to->requests, burst->requests);
	serve_count(&to->drops, burst->drops);
	serve_count(&to->acl_drops, burst->acl_drops);
}

/* Parts of the caches' sweeps in turn, for so long, or until there is nothing more. */
static void sweep_caches(struct worker *w, const struct serve_conf *c, uint32_t us)
{
	struct serve_worker *sw = w->serve;
	const uint64_t begun = rte_rdtsc();
	unsigned n_done = 0;

	do {
		const struct cache *cache = c->caches[sw->sweep_at++ % c->n_caches];

		n_done = kv_sweep(kv_writer_of(cache->kv, w->id)) ? 0 : n_done + 1;
		sw->swept_cyc = rte_rdtsc();
	} while (n_done < c->n_caches && sw->swept_cyc - begun < us * sw->us_cyc);
	sw->is_behind = n_done < c->n_caches;
}

/* Every cache learns the time once in a millisecond, and when its generation begins, and then sweeps. time() is a read of a page of
 * the kernel. */
static void begin_caches(struct worker *w, const struct serve_conf *c)
{
	struct serve_worker *sw = w->serve;
	const bool is_idle = w->tally->rx == sw->seen_rx;
	uint32_t now_s;

	if (likely(sw->last_ms == w->now_ms && sw->generation == w->snap->generation)) {
		if (unlikely(sw->is_behind)
			&& rte_rdtsc() - sw->swept_cyc >= 3 * SWEEP_US * sw->us_cyc)
			sweep_caches(w, c, SWEEP_US);
		return;
	}
	if (sw->last_ms != w->now_ms)
		sw->unix_now = time(NULL);
	sw->now_ms += w->now_ms - sw->last_ms;
	sw->last_ms = w->now_ms;
	sw->generation = w->snap->generation;
	sw->seen_rx = w->tally->rx;
	now_s = (uint32_t)(sw->now_ms / 1000) + 1;
	for (unsigned i = 0; i < c->n_caches; i++) {
		struct cache *cache = c->caches[i];

		kv_writer_begin(kv_writer_of(cache->kv, w->id), now_s, sw->unix_now, sw->now_ms);
		__atomic_store_n(&cache->now_s, now_s, __ATOMIC_RELAXED);
	}
	sweep_caches(w, c, is_idle ? SWEEP_IDLE_US : SWEEP_US);
}

void serve_tick(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb)
{
	if (c->n_caches > 0)
		begin_caches(w, c);
	if (w->serve->tcp != NULL)
		servetcp_tick(w, c, lb);
}

void serve_go_on(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb)
{
	if (c->n_caches
		> 0) /* the connections that are to go on may be of one that has just gone */
		begin_caches(w, c);
	servetcp_go_on(w, c, lb);
}

void serve_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n)
{
	uint8_t udp[BURST_MAX], tcp[BURST_MAX];
	unsigned n_udp = 0, n_tcp = 0;

	begin_caches(w, c);
	for (unsigned k = 0; k < n; k++) {
		const bool is_tcp = b->p[sel[k]].proto == IPPROTO_TCP;

		tcp[n_tcp] = udp[n_udp] = sel[k];
		n_tcp += is_tcp;
		n_udp += !is_tcp;
	}
	if (n_udp > 0)
		serveudp_input(w, c, lb, b, udp, n_udp);
	if (n_tcp > 0)
		servetcp_input(w, c, lb, b, tcp, n_tcp);
}

bool serve_icmp_error(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, unsigned i)
{
	return w->serve->tcp != NULL && servetcp_icmp_error(w, c, lb, b, i);
}

static enum cache_kind kind_of(enum mc_verb verb)
{
	static const uint8_t kinds[] = {[MC_GET] = CACHE_GET,
		[MC_GAT] = CACHE_TOUCH,
		[MC_SET] = CACHE_SET,
		[MC_ADD] = CACHE_SET,
		[MC_REPLACE] = CACHE_SET,
		[MC_APPEND] = CACHE_SET,
		[MC_PREPEND] = CACHE_SET,
		[MC_CAS] = CACHE_SET,
		[MC_DELETE] = CACHE_DELETE,
		[MC_INCR] = CACHE_ARITH,
		[MC_DECR] = CACHE_ARITH,
		[MC_TOUCH] = CACHE_TOUCH,
		[MC_FLUSH_ALL] = CACHE_OTHER,
		[MC_VERSION] = CACHE_OTHER,
		[MC_VERBOSITY] = CACHE_OTHER,
		[MC_STATS] = CACHE_OTHER,
		[MC_QUIT] = CACHE_OTHER,
		[MC_NOOP] = CACHE_OTHER,
		[MC_META_GET] = CACHE_GET,
		[MC_META_SET] = CACHE_SET,
		[MC_META_DELETE] = CACHE_DELETE,
		[MC_META_ARITH] = CACHE_ARITH,
		[MC_META_DEBUG] = CACHE_OTHER};

	return (enum cache_kind)kinds[verb];
}

void serve_note_time(const struct serve_asked *a, enum mc_verb verb)
{
	histogram_add(&a->watch->latency[kind_of(verb)], rte_rdtsc() - a->begun);
}

/* One lookup of many shows its key to the sketch. */
static void on_lookups(void *ctx, const struct assoc_probe *probes, unsigned n)
{
	const struct serve_asked *a = ctx;
	struct serve_worker *sw = a->sw;

	for (unsigned i = 0; i < n; i++) {
		if (unlikely(serve_is_sampled(sw, &sw->lookups_left, CACHE_HOT_SAMPLE)))
			hotkey_seen(a->watch->hot, probes[i].key, probes[i].key_len, probes[i].hash,
				(uint32_t)(sw->now_ms / 1000) + 1);
	}
}

/* Of all services that have this cache, on all workers. */
static void count_conns(const void *ctx, uint64_t *now, uint64_t *ever)
{
	const struct serve_asked *a = ctx;
	const struct serve_conf *c = serve_conf_of(a->w->snap);

	*now = *ever = 0;
	for (uint32_t i = 0; i < c->n_services; i++) {
		if (c->services[i].cache != a->cache)
			continue;
		for (unsigned k = 0; k < a->w->n_workers; k++) {
			const struct serve_tally *t = &a->sw->workers[k]->serve->services[i];

			*now += __atomic_load_n(&t->conns, __ATOMIC_RELAXED);
			*ever += __atomic_load_n(&t->conns_total, __ATOMIC_RELAXED);
		}
	}
}

void serve_ask(struct serve_asked *a, struct worker *w, const struct cache *c, uint64_t begun)
{
	struct serve_worker *sw = w->serve;

	*a = (struct serve_asked){
		.w = w, .cache = c, .sw = sw, .watch = &c->watches[w->id], .begun = begun};
	a->mc = (struct servemc){.on_lookups = on_lookups,
		.count_conns = count_conns,
		.ctx = a,
		.kv = c->kv,
		.writer = kv_writer_of(c->kv, w->id),
		.value_max = cacheset_value_max(&c->spec),
		.memory_bytes = c->spec.memory_bytes,
		.now_ms = sw->now_ms,
		.unix_now = sw->unix_now,
		.n_workers = w->n_workers};
}
