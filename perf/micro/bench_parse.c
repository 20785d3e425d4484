/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_parse — bursts of frames of one kind through the parser, which verifies IPv4 header checksums. */
#include "net/parse.h"
#include "shim.h"

#define ROUNDS 8u

struct parse {
	struct burst b;
	struct rte_mbuf **mbufs;
};

enum { TCP4 = IPPROTO_TCP, UDP4 = IPPROTO_UDP, TCP6 = 0x100 | IPPROTO_TCP };

static void *up(const struct bench_case *c)
{
	struct parse *x = shim_alloc(sizeof(*x));
	struct shim_frame f;

	shim_frame(&f, c->kind & 0x100 ? 6 : 4, (uint8_t)c->kind, 0x10);
	x->mbufs = shim_mbufs();
	for (unsigned i = 0; i < SHIM_MBUFS; i++) {
		memcpy(rte_pktmbuf_mtod(x->mbufs[i], void *), f.bytes, f.len);
		x->mbufs[i]->data_len = (uint16_t)f.len;
		x->mbufs[i]->pkt_len = f.len;
	}
	x->b.n = SHIM_BURST;
	return x;
}

static unsigned parse(void *ctx)
{
	static const struct rte_ether_addr mac = {SHIM_MAC};
	struct parse *x = ctx;
	unsigned n = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SHIM_MBUFS; i += SHIM_BURST) {
			memcpy(x->b.m, &x->mbufs[i], SHIM_BURST * sizeof(x->b.m[0]));
			parse_burst(&x->b, &mac, 0);
			n += SHIM_BURST;
		}
	}
	return x->b.p[SHIM_BURST - 1].verdict == PKT_UNSEEN && x->b.p[0].dport == RTE_BE16(80) ? n
											       : 0;
}

/* What nobody can do without: the buffer's record and the first line of the frame. */
static unsigned touch(void *ctx)
{
	struct parse *x = ctx;
	unsigned n = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SHIM_MBUFS; i++) {
			const uint8_t *frame = rte_pktmbuf_mtod(x->mbufs[i], const uint8_t *);
			uint64_t word;

			memcpy(&word, frame + 26, sizeof(word));
			shim_use(word + x->mbufs[i]->pkt_len);
			n++;
		}
	}
	return n;
}

#define CASE(text, type) \
	{ \
		.name = "parse/" text, .kind = (type), .up = up, .run = parse, .ref = touch, \
		.down = free, .reference = "reading mbuf and header" \
	}

static const struct bench_case cases[] = {
	CASE("ipv4/tcp", TCP4),
	CASE("ipv4/udp", UDP4),
	CASE("ipv6/tcp", TCP6),
};
BENCH_SUBJECT(bench_parse, cases);
