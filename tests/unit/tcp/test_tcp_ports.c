/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports of connections that are opened here: of several workers each chooses those with which the peer's segments come to it. */
#include "base/keyhash.h"
#include "core/nic.h"
#include "eal.h"
#include "tcp/tcp.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_tcp.h>

#define FIRST 40000u
#define PORTS 1024u
#define WORKERS 3u

static struct rte_mempool *pool;
static unsigned worker_id; /* whose connections these are */
static uint8_t family;
static uint8_t taken[FIRST + PORTS]; /* how often a port was chosen */

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	(void)ctx;
	(void)p;
	return NULL;
}

static void on_conn(void *ctx, struct tcb *c)
{
	(void)ctx;
	(void)c;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	(void)ctx;
	(void)c;
	(void)n;
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	(void)ctx;
	(void)c;
	(void)why;
}

/* The SYN, turned round: as its answer will come. */
static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	const uint32_t l4 = RTE_ETHER_HDR_LEN
		+ (family == 4 ? (uint32_t)sizeof(struct rte_ipv4_hdr)
			       : (uint32_t)sizeof(struct rte_ipv6_hdr));
	const uint32_t n = family == 4 ? 4 : 16, from = family == 4 ? 12 : 8;
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, RTE_ETHER_HDR_LEN);
	const struct rte_tcp_hdr *h = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, l4);
	struct pkt in = {
		.family = family, .proto = IPPROTO_TCP, .sport = h->dst_port, .dport = h->src_port};
	const unsigned port = rte_be_to_cpu_16(h->src_port);

	(void)ctx;
	(void)iface;
	(void)of;
	memcpy(in.dst, ip + from, n);
	memcpy(in.src, ip + from + n, n);
	assert_in_range(port, FIRST, FIRST + PORTS - 1);
	assert_int_equal(NIC_RSS_OWNER(nic_softrss(&in), WORKERS), worker_id);
	assert_int_equal(0, taken[port]++);
	rte_pktmbuf_free(m);
}

/* All that worker id can open to the peer. Returns how many these are. */
static unsigned open_all(unsigned id)
{
	static const struct tcp_ops ops = {on_syn, on_conn, on_ready, on_close, on_output};
	static const struct iface_set ifaces = {
		.n = 1, .of = {{.mac = {{2, 0, 0, 0, 0, 1}}, .mtu_bytes = 1500}}};
	static const struct tcp_profile profile;
	static const struct rte_ether_addr gateway = {{2, 0, 0, 0, 0, 9}};
	const struct tcp_params p = {.n_conns = 2 * PORTS,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 64,
		.pool = pool,
		.ifaces = &ifaces,
		.ops = &ops,
		.secret = {1, 2, 3, id},
		.port_first = FIRST,
		.port_n = PORTS,
		.worker_id = (uint16_t)id,
		.n_workers = WORKERS,
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};
	const struct pkt peer = {.family = family,
		.sport = RTE_BE16(6379),
		.src = {10, 1, 2, 3, [15] = 1},
		.dst = {10, 9, 8, 7, [15] = 2}};
	struct tcp *t;
	unsigned n = 0;

	worker_id = id;
	assert_int_equal(0, tcp_create(&t, &p));
	while (tcp_open(t, &profile, &peer, 0, &gateway, 1000000) != NULL) {
		tcp_flush(t, 1000000);
		n++;
	}
	tcp_destroy(&t);
	return n;
}

static void check(uint8_t of_family)
{
	unsigned sum = 0;

	family = of_family;
	memset(taken, 0, sizeof(taken));
	for (unsigned id = 0; id < WORKERS; id++) {
		const unsigned n = open_all(id);

		assert_in_range(n, PORTS / WORKERS / 2, PORTS / WORKERS * 2);
		sum += n;
	}
	/* no port is lost, and none is anybody else's */
	assert_int_equal(sum, PORTS);
	assert_int_equal(0, rte_mempool_in_use_count(pool));
}

static void segments_come_to_who_opened(void **state)
{
	(void)state;
	check(4);
	check(6);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(segments_come_to_who_opened)};

	(void)argc;
	if (eal_start(argv[0], 64) != 0)
		return 1;
	keyhash_init_seed(1);
	pool = rte_pktmbuf_pool_create(
		"ports", 255, 0, BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
