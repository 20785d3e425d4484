/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_csum — what NAT does to checksums of a 60-byte IPv4/TCP frame, against computing them. */
#include "base/csum.h"
#include "shim.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#define N 4096u

struct csum {
	struct shim_frame f;
	uint16_t l3, l4;
};

static void *up(const struct bench_case *c)
{
	struct csum *x = shim_alloc(sizeof(*x));

	(void)c;
	shim_frame(&x->f, 4, IPPROTO_TCP, 0x10);
	x->l3 = 0x1234;
	x->l4 = 0x2345;
	return x;
}

static unsigned update(void *ctx)
{
	struct csum *x = ctx;
	uint8_t *frame = x->f.bytes;

	for (unsigned i = 0; i < N; i++) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + 14);
		struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(frame + 34);

		ip->hdr_checksum = csum_apply(ip->hdr_checksum, x->l3);
		tcp->cksum = csum_apply(tcp->cksum, x->l4);
		shim_use(tcp->cksum);
	}
	return N;
}

static unsigned compute(void *ctx)
{
	struct csum *x = ctx;
	uint8_t *frame = x->f.bytes;

	for (unsigned i = 0; i < N; i++) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + 14);
		struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)(frame + 34);

		ip->hdr_checksum = 0;
		ip->hdr_checksum = csum_of(ip, sizeof(*ip));
		tcp->cksum = 0;
		tcp->cksum =
			csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, tcp, x->f.len - 34);
		shim_use(tcp->cksum);
	}
	return N;
}

static const struct bench_case cases[] = {
	{.name = "csum/update",
		.up = up,
		.run = update,
		.ref = compute,
		.down = free,
		.reference = "computing both sums"},
};
BENCH_SUBJECT(bench_csum, cases);
