/* SPDX-License-Identifier: BSD-3-Clause */
/* genflood — see genflood.h. */
#include "genflood.h"

#include "gensay.h"

#include <rte_tcp.h>

#include <errno.h>
#include <math.h>

#define BEGIN_RATE 200000.0 /* flows a second */
#define SHORT 32u           /* bytes behind the header of a frame of 64, and more */

/* What a burst's frames are to be. */
struct choice {
	uint64_t flow[GENRUN_BURST_MAX];
	uint64_t is_new; /* a bit each: it is its flow's first one */
};

/* opt: random numbers first, so that the cells of Zipf's table are fetched all at once. */
static void choose_mixed(struct genflood *f, unsigned n, struct choice *c)
{
	const uint64_t n_known = f->flows.n, n_others = genframe_flows_max(&f->frame) - n_known;

	for (unsigned i = 0; i < n; i++) {
		if (f->new_limit > 0 && (uint32_t)genzipf_random(&f->random) < f->new_limit)
			c->is_new |= 1ull << i;
		c->flow[i] = genzipf_random(&f->random);
		genzipf_prefetch(&f->flows, c->flow[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (!(c->is_new & 1ull << i)) {
			c->flow[i] = genzipf_draw(&f->flows, c->flow[i]);
			continue;
		}
		/* behind the known ones; when all were used, the oldest are new again */
		c->flow[i] = n_known + f->n_new % n_others;
		f->n_new += f->n_threads;
	}
}

static void choose(struct genflood *f, unsigned n, uint64_t first, struct choice *c)
{
	c->is_new = 0;
	if (f->mode == GENFLOOD_MIXED) {
		choose_mixed(f, n, c);
		return;
	}
	c->is_new = UINT64_MAX;
	for (unsigned i = 0; i < n; i++)
		c->flow[i] = f->mode == GENFLOOD_BEGIN
			? genonce_of(&f->begun, first + i)
			: genzipf_draw(&f->flows, genzipf_random(&f->random));
}

/* opt: of a length that the compiler knows; there is room, and what is written too much is not sent. */
static inline void write_zeros(uint8_t *to, uint32_t n)
{
	if (n <= SHORT)
		memset(to, 0, SHORT);
	else
		memset(to, 0, n);
}

static void build(void *ctx, struct rte_mbuf *const *m, unsigned n, uint64_t first)
{
	struct genflood *f = ctx;
	struct choice c;

	choose(f, n, first, &c);
	for (unsigned i = 0; i < n; i++) {
		const uint64_t number = first + i;
		uint32_t n_frame = genpace_size(&f->sizes, number) - GENFRAME_FCS, len;
		uint8_t *to = rte_pktmbuf_mtod(m[i], uint8_t *), *text = to + f->frame.head_len;
		struct genframe_text t = {
			.number = (uint32_t)number, .tcp_flags = RTE_TCP_ACK_FLAG};

		if (f->is_tcp && c.is_new & 1ull << i) {
			t.tcp_flags = RTE_TCP_SYN_FLAG;
			n_frame = f->frame.head_len;
		}
		t.n_bytes = n_frame > f->frame.head_len ? n_frame - f->frame.head_len : 0;
		if (f->is_tcp && n_frame == RTE_ETHER_MIN_LEN - GENFRAME_FCS)
			t.n_bytes = 0; /* no six bytes of data: a bare ACK is padded */
		write_zeros(text, t.n_bytes);
		if (!f->is_tcp)
			t.sum = genframe_mark(&f->frame, text, (uint32_t)number);
		len = genframe_write(&f->frame, to, c.flow[i], &t);
		if (len < RTE_ETHER_MIN_LEN - GENFRAME_FCS) /* padding: zeros that are there */
			len = RTE_ETHER_MIN_LEN - GENFRAME_FCS;
		m[i]->data_len = (uint16_t)len;
		m[i]->pkt_len = len;
	}
}

/* Of a frame with a mark: whether it goes back. */
static inline bool on_mark(struct genflood *f, struct genrun *r, const struct rte_mbuf *m,
	struct genframe_seen *s, uint32_t low, bool is_back)
{
	const uint64_t number = genrun_number(r, low, 32);

	if (!is_back && number >= r->first_counted) {
		f->n_arrived++;
		f->n_tunnelled += s->is_tunnelled;
	}
	if (f->is_returned && !is_back && !s->is_tunnelled) {
		genframe_turn(rte_pktmbuf_mtod(m, uint8_t *), s);
		return true;
	}
	if (genrun_answered(r, number, m->pkt_len) && f->mode == GENFLOOD_BEGIN)
		genonce_answered(&f->begun, number);
	return false;
}

static void input(void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n,
	struct genwork_seen *seen)
{
	struct genflood *f = ctx;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *frame = rte_pktmbuf_mtod(m[i], uint8_t *);
		struct genframe_seen s;
		uint32_t number;
		bool is_back;

		if (m[i]->nb_segs != 1 || !genframe_read(frame, m[i]->data_len, &s)
			|| !genframe_find_mark(&f->frame, &s, &number, &is_back))
			continue;
		seen->taken |= 1ull << i;
		if (on_mark(f, r, m[i], &s, number, is_back))
			seen->turned |= 1ull << i;
	}
}

static int owner(const void *ctx, const struct rte_mbuf *m)
{
	struct genframe_seen s;

	if (m->nb_segs != 1 || !genframe_read(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, &s))
		return -1;
	return genframe_marker(&s);
}

int genflood_init(struct genflood *f, const struct genopt *o, const struct genframe_params *p,
	const struct genflood *first)
{
	const uint32_t n_threads = genopt_threads(o);
	int rc = 0;

	*f = (struct genflood){.sizes = o->sizes,
		.is_tcp = p->proto == IPPROTO_TCP,
		.is_returned = o->is_returned,
		.random = (o->seed + ((uint64_t)p->thread << 32)) * 0x9e3779b97f4a7c15ull | 1,
		.n_new = p->thread,
		.n_threads = n_threads,
		.has_flows_of_first = first != NULL,
		.new_limit = (uint32_t)fmin(o->new_pct / 100 * 0x1p32, 0x1p32 - 1),
		.work = {.build = build, .input = input, .owner = owner}};
	f->work.ctx = f;
	genframe_init(&f->frame, p);
	if (genframe_flows_max(&f->frame) < o->n_flows + (o->new_pct > 0 ? 1ull : 0)) {
		gensay_error(
			"--flows %u: the addresses of --client make %s flows of %u ports each; give a "
			"larger network",
			o->n_flows, gensay_count((double)genframe_flows_max(&f->frame)),
			GENFRAME_PORTS);
		return -EINVAL;
	}
	if (first != NULL)
		f->flows = first->flows;
	else
		rc = genzipf_create(&f->flows, o->n_flows, o->skew);
	if (rc == 0)
		rc = genonce_create(&f->begun, o->n_flows, p->thread, n_threads);
	if (rc != 0)
		gensay_error("--flows %u --zipf %g: not enough memory: 25 bytes for each",
			o->n_flows, o->skew);
	return rc;
}

void genflood_fini(struct genflood *f)
{
	if (!f->has_flows_of_first)
		genzipf_destroy(&f->flows);
	genonce_destroy(&f->begun);
}

int genflood_begin(struct genflood *const *f, struct genrun *r)
{
	const struct genonce_params p = {.rate = BEGIN_RATE, .what = "beginning flows"};
	const unsigned n_threads = genrun_threads(r);
	struct genonce *begun[GENTEAM_MAX] = {NULL};
	uint32_t n_missing;
	int rc;

	for (unsigned i = 0; i < n_threads; i++) {
		f[i]->mode = GENFLOOD_BEGIN;
		begun[i] = &f[i]->begun;
	}
	rc = genonce_run(begun, r, &p, &n_missing);
	for (unsigned i = 0; i < n_threads; i++)
		f[i]->mode = GENFLOOD_MIXED;
	if (rc == -EIO)
		gensay_error(
			"beginning flows: of %s of %s no frame came back, tried again and again; are the "
			"backends among --own, and is the target's connection table large enough?",
			gensay_count(n_missing), gensay_count(f[0]->begun.n));
	return rc;
}
