/* SPDX-License-Identifier: BSD-3-Clause */
/* gencrew — see gencrew.h. */
#include "gencrew.h"

#include "gensay.h"

#include <errno.h>

#define ALONE_CACHE_SIZE "128" /* about a request's */

static bool is_cache(const struct gencrew *c)
{
	return c->o->work != GENOPT_FLOOD;
}

static bool is_tcp(const struct gencrew *c)
{
	return c->o->work == GENOPT_CACHE_TCP;
}

/* --- loops --- */

/* Frames that the thread's receive rings hold, as its own rate fills them: where there are fewer queues than threads, what comes in one is
 * of several. */
static uint32_t ring_of(const struct genopt *o)
{
	const uint32_t n = o->is_returned ? o->n_rxd / 2 : o->n_rxd, n_threads = genopt_threads(o);

	return o->n_rx_queues < n_threads ? n * o->n_rx_queues / n_threads : n;
}

/* n_rx, n_tx: queues of the ports, each of which is one thread's. */
static int init_run(struct gencrew *c, unsigned i, struct genrun *r, unsigned n_rx, unsigned n_tx)
{
	const struct genopt *o = c->o;

	r->net = &c->of[i].net;
	r->burst = o->burst;
	r->late_us = o->late_us;
	r->lcore = genup_lcore(i);
	r->n_ring = ring_of(o);
	r->is_fifo = o->is_fifo;
	r->deadline_s = o->deadline_ms / 1e3;
	r->rx_first = (uint16_t)(i * n_rx / c->n);
	r->rx_end = (uint16_t)((i + 1) * n_rx / c->n);
	r->tx_first = (uint16_t)(i * n_tx / c->n);
	r->tx_end = (uint16_t)((i + 1) * n_tx / c->n);
	return genrun_init(r);
}

static int init_one(struct gencrew *c, unsigned i, struct genup *up)
{
	struct genrun *run = &c->of[i].run, *alone = &c->of[i].alone;
	const struct genopt *o = c->o;
	int rc;

	gennet_init(&c->of[i].net, o);
	run->tx = &up->tx;
	run->rx = up->rx;
	run->pool = alone->pool = up->pool;
	run->loses_when_full = alone->loses_when_full =
		o->full == GENOPT_FULL_LOSE || (o->full == GENOPT_FULL_AUTO && up->tx.is_memory);
	rc = init_run(c, i, run, o->n_rx_queues, o->n_queues);
	return rc != 0 ? rc : init_run(c, i, alone, c->n, c->n);
}

static int init_teams(struct gencrew *c)
{
	struct genrun *runs[GENOPT_CPUS_MAX], *alone[GENOPT_CPUS_MAX];
	int rc;

	if (c->n == 1)
		return 0;
	for (unsigned i = 0; i < c->n; i++) {
		runs[i] = &c->of[i].run;
		alone[i] = &c->of[i].alone;
	}
	rc = genteam_init(&c->team, runs, c->n, c->o->n_rxd);
	return rc != 0 ? rc : genteam_init(&c->alone_team, alone, c->n, c->o->n_rxd);
}

int gencrew_init(struct gencrew *c, const struct genopt *o, struct genup *up)
{
	int rc = 0;

	c->o = o;
	c->n = genopt_threads(o);
	for (unsigned i = 0; i < c->n && rc == 0; i++)
		rc = init_one(c, i, up);
	return rc != 0 ? rc : init_teams(c);
}

void gencrew_fini(struct gencrew *c)
{
	for (unsigned i = c->n; i-- > 0;) { /* the first has what others share */
		struct gencrew_one *one = &c->of[i];

		genflood_fini(&one->flood);
		genflood_fini(&one->alone_flood);
		genctcp_fini(&one->ctcp);
		genmc_fini(&one->mc);
		genrun_fini(&one->run);
		genrun_fini(&one->alone);
	}
	genteam_fini(&c->team);
	genteam_fini(&c->alone_team);
}

void gencrew_stop(struct gencrew *c)
{
	genrun_stop(gencrew_run(c));
	genrun_stop(gencrew_alone(c));
}

/* --- work --- */

static struct genframe_params params_of(const struct gencrew *c, unsigned i)
{
	struct genframe_params p = {.client = &c->o->client,
		.target = &c->o->target,
		.target_port = (uint16_t)c->o->target_port,
		.proto = is_tcp(c) || (!is_cache(c) && c->o->proto == GENOPT_TCP) ? IPPROTO_TCP
										  : IPPROTO_UDP,
		.thread = i};

	if (is_cache(c)) {
		p.slice = i;
		p.n_slices = c->n;
	}
	return p;
}

static int init_work_of(struct gencrew *c, unsigned i, struct genup *up)
{
	struct gencrew_one *one = &c->of[i], *first = i > 0 ? &c->of[0] : NULL;
	struct genframe_params p = params_of(c, i);
	const struct genopt *o = c->o;
	int rc;

	p.src_mac = up->tx.mac;
	p.dst_mac = one->net.next_hop_mac;
	rc = is_cache(c) ? genmc_init(&one->mc, o, i, first != NULL ? &first->mc : NULL)
			 : genflood_init(&one->flood, o, &p, first != NULL ? &first->flood : NULL);
	if (rc == 0 && is_tcp(c))
		rc = genctcp_init(&one->ctcp, &one->mc, o, &p, &one->run);
	else if (rc == 0 && is_cache(c))
		rc = gencache_init(&one->cache, &one->mc, o, &p);
	if (rc != 0)
		return rc;
	if (o->beside != GENOPT_BESIDE_NOTHING) {
		genbeside_init(&one->beside, o, &p);
		one->run.beside = genbeside_send;
		one->run.beside_ctx = &one->beside;
	}
	one->run.work = is_tcp(c) ? &one->ctcp.work
		: is_cache(c)     ? &one->cache.work
				  : &one->flood.work;
	return 0;
}

int gencrew_init_work(struct gencrew *c, struct genup *up)
{
	const uint32_t n_clients = genframe_clients(&c->o->client);

	if (is_cache(c) && n_clients < c->n) {
		gensay_error(
			"--client: %u addresses; each of %u CPUs (--cpu) needs one of its own at least, so that "
			"answers are known: give a larger network",
			n_clients, c->n);
		return -EINVAL;
	}
	for (unsigned i = 0; i < c->n; i++) {
		int rc;

		c->of[i].net = c->of[0].net; /* the MAC address that the first has heard */
		rc = init_work_of(c, i, up);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int gencrew_connect(struct gencrew *c)
{
	struct genctcp *all[GENOPT_CPUS_MAX] = {NULL};

	if (!is_tcp(c))
		return 0;
	for (unsigned i = 0; i < c->n; i++)
		all[i] = &c->of[i].ctcp;
	return genctcp_connect(all, gencrew_run(c));
}

int gencrew_load(struct gencrew *c)
{
	struct genflood *floods[GENOPT_CPUS_MAX] = {NULL};
	struct genmc *caches[GENOPT_CPUS_MAX] = {NULL};

	for (unsigned i = 0; i < c->n; i++) {
		floods[i] = &c->of[i].flood;
		caches[i] = &c->of[i].mc;
	}
	return is_cache(c) ? genmc_load(caches, gencrew_run(c), c->o)
			   : genflood_begin(floods, gencrew_run(c));
}

void gencrew_set_mode(struct gencrew *c, enum genflood_mode mode)
{
	for (unsigned i = 0; i < c->n; i++)
		c->of[i].flood.mode = mode;
}

void gencrew_begin(struct gencrew *c, double rate, double shift_seconds)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct gencrew_one *one = &c->of[i];

		if (is_cache(c))
			genmc_begin(&one->mc, &one->run, rate / c->n, shift_seconds);
		one->flood.n_arrived = one->flood.n_tunnelled = 0;
	}
}

void gencrew_collect(const struct gencrew *c, struct genreport_item *it)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct gencrew_one *one = &c->of[i];

		genmc_counts_add(&it->cache, &one->mc.counts);
		gentcp_stats_add(&it->tcp, &one->ctcp.tcp.stats);
		it->n_arrived += one->flood.n_arrived;
		it->n_tunnelled += one->flood.n_tunnelled;
	}
}

/* --- the generator alone --- */

int gencrew_init_alone(struct gencrew *c, struct genup *up)
{
	struct genopt *o = &c->alone_opt;

	*o = *c->o;
	o->new_pct = 0;
	o->is_returned = false;
	if (is_cache(c)) {
		o->skew = 0;
		genpace_sizes_parse(&o->sizes, ALONE_CACHE_SIZE);
	}
	for (unsigned i = 0; i < c->n; i++) {
		struct gencrew_one *one = &c->of[i];
		struct genframe_params p = params_of(c, i);
		int rc;

		p.proto = IPPROTO_UDP;
		p.slice = p.n_slices = 0;
		p.src_mac = p.dst_mac = up->alone.mac;
		rc = genflood_init(&one->alone_flood, o, &p, i > 0 ? &c->of[0].alone_flood : NULL);
		if (rc != 0)
			return rc;
		one->alone.tx = one->alone.rx = &up->alone;
		one->alone.work = &one->alone_flood.work;
	}
	return 0;
}
