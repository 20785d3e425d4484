/* SPDX-License-Identifier: BSD-3-Clause */
/* genflood — see genflood.h. */
#include "genflood.h"

#include "gensay.h"

#include <rte_tcp.h>

#include <errno.h>
#include <math.h>

#define BEGIN_RATE 200000.0 /* flows a second */

static inline uint64_t choose_flow(struct genflood *f, uint64_t number, bool *is_new)
{
	uint64_t r;

	*is_new = true;
	if (f->mode == GENFLOOD_BEGIN)
		return genonce_of(&f->begun, number);
	r = genzipf_random(&f->random);
	if (f->mode == GENFLOOD_PROBE)
		return genzipf_draw(&f->flows, r);
	if ((uint32_t)r < f->new_limit) {
		/* behind the known ones; when all were used, the oldest are new again */
		const uint64_t n_others = genframe_flows_max(&f->frame) - f->flows.n;

		return f->flows.n + f->n_new++ % n_others;
	}
	*is_new = false;
	return genzipf_draw(&f->flows, genzipf_random(&f->random));
}

static void build(void *ctx, struct rte_mbuf *const *m, unsigned n, uint64_t first)
{
	struct genflood *f = ctx;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t number = first + i;
		uint32_t n_frame = genpace_size(&f->sizes, number) - GENFRAME_FCS, len;
		uint8_t *to = rte_pktmbuf_mtod(m[i], uint8_t *), *text = to + f->frame.head_len;
		struct genframe_text t = {.number = (uint32_t)number};
		bool is_new;
		const uint64_t flow = choose_flow(f, number, &is_new);

		if (f->is_tcp && is_new) {
			t.tcp_flags = RTE_TCP_SYN_FLAG;
			n_frame = f->frame.head_len;
		} else {
			t.tcp_flags = RTE_TCP_ACK_FLAG;
		}
		t.n_bytes = n_frame > f->frame.head_len ? n_frame - f->frame.head_len : 0;
		if (f->is_tcp && n_frame == RTE_ETHER_MIN_LEN - GENFRAME_FCS)
			t.n_bytes = 0; /* no six bytes of data: a bare ACK is padded */
		memset(text, 0, t.n_bytes);
		if (!f->is_tcp)
			t.sum = genframe_mark(text, (uint32_t)number);
		len = genframe_write(&f->frame, to, flow, &t);
		if (len < RTE_ETHER_MIN_LEN - GENFRAME_FCS) {
			memset(to + len, 0, RTE_ETHER_MIN_LEN - GENFRAME_FCS - len);
			len = RTE_ETHER_MIN_LEN - GENFRAME_FCS;
		}
		m[i]->data_len = (uint16_t)len;
		m[i]->pkt_len = len;
	}
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
			|| !genframe_find_mark(&s, &number, &is_back))
			continue;
		seen->taken |= 1ull << i;
		if (!is_back && genrun_number(r, number, 32) >= r->first_counted) {
			f->n_arrived++;
			f->n_tunnelled += s.is_tunnelled;
		}
		if (f->is_returned && !is_back && !s.is_tunnelled) {
			genframe_turn(frame, &s);
			seen->turned |= 1ull << i;
			continue;
		}
		if (genrun_answered(r, genrun_number(r, number, 32), m[i]->pkt_len)
			&& f->mode == GENFLOOD_BEGIN)
			genonce_answered(&f->begun, genrun_number(r, number, 32));
	}
}

int genflood_init(struct genflood *f, const struct genopt *o, const struct genframe_params *p)
{
	int rc;

	*f = (struct genflood){.sizes = o->sizes,
		.is_tcp = p->proto == IPPROTO_TCP,
		.is_returned = o->is_returned,
		.random = o->seed * 0x9e3779b97f4a7c15ull | 1,
		.new_limit = (uint32_t)fmin(o->new_pct / 100 * 0x1p32, 0x1p32 - 1),
		.work = {.build = build, .input = input}};
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
	rc = genzipf_create(&f->flows, o->n_flows, o->skew);
	if (rc == 0)
		rc = genonce_create(&f->begun, o->n_flows);
	if (rc != 0)
		gensay_error("--flows %u --zipf %g: not enough memory: 25 bytes for each",
			o->n_flows, o->skew);
	return rc;
}

void genflood_fini(struct genflood *f)
{
	genzipf_destroy(&f->flows);
	genonce_destroy(&f->begun);
}

int genflood_begin(struct genflood *f, struct genrun *r)
{
	const struct genonce_params p = {.rate = BEGIN_RATE, .what = "beginning flows"};
	uint32_t n_missing;
	int rc;

	f->mode = GENFLOOD_BEGIN;
	rc = genonce_run(&f->begun, r, &p, &n_missing);
	f->mode = GENFLOOD_MIXED;
	if (rc == -EIO)
		gensay_error(
			"beginning flows: of %s of %s no frame came back, tried again and again; are the "
			"backends among --own, and is the target's connection table large enough?",
			gensay_count(n_missing), gensay_count(f->begun.n));
	return rc;
}
