/* SPDX-License-Identifier: BSD-3-Clause */
/* shim — see shim.h. */
#include "shim.h"

#include "base/csum.h"
#include "core/burst.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <sys/mman.h>

#define HUGE_PAGE (2u << 20)

struct bench_shape bench_shape = {1000, 16, 10};
uint32_t bench_cache_mb = BENCH_CACHE_MB;

static void *must(void *p, const char *what)
{
	if (p == NULL) {
		fprintf(stderr, "error: no memory for %s\n", what);
		exit(2);
	}
	return p;
}

void *shim_alloc(size_t bytes)
{
	const size_t size = RTE_ALIGN_CEIL(bytes, HUGE_PAGE);
	void *p = must(aligned_alloc(HUGE_PAGE, size), "input");

	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0, size);
	return p;
}

uint32_t *shim_shuffled(uint32_t n)
{
	uint32_t *order = shim_alloc(n * sizeof(*order));
	uint64_t seed = 7;

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t at = (uint32_t)(shim_random(&seed) % (i + 1));

		order[i] = order[at];
		order[at] = i;
	}
	return order;
}

struct rte_mbuf **shim_mbufs(void)
{
	static struct rte_mbuf *mbufs[SHIM_MBUFS];
	struct rte_mempool *pool;

	if (mbufs[0] != NULL)
		return mbufs;
	pool = must(rte_pktmbuf_pool_create("bench", 2 * SHIM_MBUFS, 0, BURST_MBUF_PRIV,
			    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY),
		"packet buffers");
	for (unsigned i = 0; i < SHIM_MBUFS; i++)
		mbufs[i] = must(rte_pktmbuf_alloc(pool), "packet buffers");
	return mbufs;
}

static unsigned build_l4(uint8_t *l4, uint8_t proto, uint8_t tcp_flags, unsigned n_payload)
{
	if (proto == IPPROTO_TCP) {
		struct rte_tcp_hdr tcp = {.src_port = RTE_BE16(40000),
			.dst_port = RTE_BE16(80),
			.data_off = 0x50,
			.tcp_flags = tcp_flags,
			.rx_win = RTE_BE16(500)};

		memcpy(l4, &tcp, sizeof(tcp));
		return sizeof(tcp) + n_payload;
	} else {
		struct rte_udp_hdr udp = {.src_port = RTE_BE16(40000),
			.dst_port = RTE_BE16(80),
			.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(udp) + n_payload)),
			.dgram_cksum = RTE_BE16(0x1234)};

		memcpy(l4, &udp, sizeof(udp));
		return sizeof(udp) + n_payload;
	}
}

/* The payload fills the frame up to 60 bytes, so that none is padding. */
void shim_frame(struct shim_frame *f, unsigned family, uint8_t proto, uint8_t tcp_flags)
{
	const struct rte_ether_hdr eth = {.dst_addr = {SHIM_MAC},
		.src_addr = {{2, 0, 0, 0, 0xc, 1}},
		.ether_type = family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
					  : RTE_BE16(RTE_ETHER_TYPE_IPV6)};
	const unsigned l3 = family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const unsigned at = sizeof(eth) + l3;
	const unsigned l4 =
		proto == IPPROTO_TCP ? sizeof(struct rte_tcp_hdr) : sizeof(struct rte_udp_hdr);
	const unsigned len =
		build_l4(f->bytes + at, proto, tcp_flags, at + l4 < 60 ? 60 - at - l4 : 0);

	memcpy(f->bytes, &eth, sizeof(eth));
	f->len = at + len;
	if (family == 4) {
		struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(l3 + len)),
			.time_to_live = 64,
			.next_proto_id = proto,
			.src_addr = RTE_BE32(RTE_IPV4(172, 16, 0, 1)),
			.dst_addr = RTE_BE32(RTE_IPV4(10, 9, 0, 1))};

		ip.hdr_checksum = csum_of(&ip, sizeof(ip));
		memcpy(f->bytes + sizeof(eth), &ip, sizeof(ip));
	} else {
		struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(0x60000000),
			.payload_len = rte_cpu_to_be_16((uint16_t)len),
			.proto = proto,
			.hop_limits = 64,
			.src_addr = {0x20, 1, 0xd, 0xb8, [15] = 1},
			.dst_addr = {0xfd, 9, [15] = 1}};

		memcpy(f->bytes + sizeof(eth), &ip, sizeof(ip));
	}
}
