/* SPDX-License-Identifier: BSD-3-Clause */
/* gencache — see gencache.h. */
#include "gencache.h"

#include "base/csum.h"
#include "gensay.h"
#include "proto/mc_udp.h"

#include <errno.h>

#define ID_BITS 16u

static void build(void *ctx, struct rte_mbuf *const *m, unsigned n, uint64_t first)
{
	struct gencache *c = ctx;
	struct genmc_request q[GENRUN_BURST_MAX];

	genmc_of_bulk(c->mc, first, n, q);
	for (unsigned i = 0; i < n; i++) {
		const uint64_t number = first + i, flow = number & ((1ull << c->client_bits) - 1);
		uint8_t *to = rte_pktmbuf_mtod(m[i], uint8_t *), *text = to + c->frame.head_len;
		const uint8_t *end;
		struct genframe_text t = {0};
		uint32_t len;

		mc_udp_build(text, (uint16_t)(number >> c->client_bits), 0, 1);
		end = genmc_write(c->mc, text + MC_UDP_HEADER, q[i]);
		t.n_bytes = (uint32_t)(end - text);
		t.sum = csum_words(text, t.n_bytes);
		len = genframe_write(&c->frame, to, flow, &t);
		m[i]->data_len = (uint16_t)len;
		m[i]->pkt_len = len;
	}
}

/* The number of the request that this answers, which came to this socket; false: it is no answer. */
static bool read_number(const struct gencache *c, const struct genrun *r,
	const struct genframe_seen *s, uint64_t flow, uint64_t *number)
{
	uint16_t id;

	if (s->proto != IPPROTO_UDP || mc_udp_parse(s->text, s->n_text, &id) != MC_UDP_REQUEST)
		return false;
	*number = genrun_number(r, (uint64_t)id << c->client_bits | flow, ID_BITS + c->client_bits);
	return true;
}

static void on_answer(struct gencache *c, struct genrun *r, const struct genframe_seen *s,
	uint64_t flow, uint32_t n_bytes)
{
	const uint8_t *text = s->text + MC_UDP_HEADER;
	const uint32_t n = s->n_text - MC_UDP_HEADER;
	enum genmc_answer a;
	uint32_t n_used = 0;
	uint64_t number;

	if (!read_number(c, r, s, flow, &number))
		return;
	if (number < r->first) { /* given up in an earlier trial */
		genrun_answered(r, number, n_bytes);
		return;
	}
	a = genmc_judge(c->mc, text, n, genmc_recall(c->mc, number, r->next), &n_used);
	if (a == GENMC_MORE || (a != GENMC_WRONG && n_used != n)) /* an answer is one datagram */
		a = GENMC_WRONG;
	genmc_answered(c->mc, r, number, a, n_bytes);
}

static void input(void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n,
	struct genwork_seen *seen)
{
	struct gencache *c = ctx;

	for (unsigned i = 0; i < n; i++) {
		struct genframe_seen s;
		uint64_t flow;

		if (m[i]->nb_segs != 1
			|| !genframe_read(rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len, &s))
			continue;
		flow = genframe_flow_of(&c->frame, &s);
		if (flow >> c->client_bits != 0) /* no socket of this thread's */
			continue;
		seen->taken |= 1ull << i;
		on_answer(c, r, &s, flow, m[i]->pkt_len);
	}
}

static int owner(const void *ctx, const struct rte_mbuf *m)
{
	const struct gencache *c = ctx;
	struct genframe_seen s;

	if (m->nb_segs != 1 || !genframe_read(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, &s))
		return -1;
	return genframe_slice_of(&c->frame, &s);
}

int gencache_init(struct gencache *c, struct genmc *mc, const struct genopt *o,
	const struct genframe_params *p)
{
	const uint32_t n_flows = o->n_flows / genopt_threads(o);

	*c = (struct gencache){.mc = mc,
		.client_bits = (unsigned)__builtin_ctz(n_flows),
		.work = {.build = build, .input = input, .owner = owner}};
	c->work.ctx = c;
	genframe_init(&c->frame, p);
	if (genframe_flows_max(&c->frame) >= n_flows)
		return 0;
	gensay_error("--flows %u: the addresses of --client make %s sockets; give a larger network",
		o->n_flows,
		gensay_count((double)genframe_flows_max(&c->frame) * genopt_threads(o)));
	return -EINVAL;
}
