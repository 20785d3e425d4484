/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for devices that write the TCP checksum, or cut frames into segments: what DPDK wants of them (rte_mbuf_core.h,
 * RTE_MBUF_F_TX_TCP_CKSUM and _SEG), with its own functions as the reference; and what becomes of them when a device has done as it is
 * asked to. Streams over a bad wire with such devices are in model/test_tcp_sim.c. */
#include "ackbed.h"
#include "base/keyhash.h"
#include "eal.h"
#include "tcp/tcp.h"
#include "txdevice.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_tcp.h>

static struct rte_mempool *pool;
static struct rte_mbuf *sent;

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

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	(void)ctx;
	(void)of;
	assert_int_equal(iface, 1);
	assert_null(sent);
	sent = m;
}

static const struct tcp_ops ops = {on_syn, on_conn, on_ready, on_close, on_output};

/* A SYN to a peer of this family by port 1. */
static struct tcp *send_syn(uint8_t family, unsigned offload_iface)
{
	static struct iface_set ifaces = {
		.n = 2, .of = {[1] = {.mac = {{2, 0, 0, 0, 0, 1}}, .mtu_bytes = 1500}}};
	static const struct tcp_profile profile;
	static const struct rte_ether_addr gateway = {{2, 0, 0, 0, 0, 9}};
	const struct tcp_params p = {.n_conns = 16,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 64,
		.pool = pool,
		.ifaces = &ifaces,
		.ops = &ops,
		.secret = {1, 2, 3, family},
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};
	struct pkt peer = {.family = family,
		.proto = IPPROTO_TCP,
		.sport = RTE_BE16(11211),
		.dport = RTE_BE16(5000),
		.src = {10, 1, 2, 3},
		.dst = {10, 9, 8, 7}};
	struct tcp *t;

	if (family == 6) {
		peer.src[15] = 77;
		peer.dst[9] = 88;
	}
	for (unsigned i = 0; i < 2; i++)
		ifaces.of[i].writes_csums = i == offload_iface;
	assert_int_equal(0, tcp_create(&t, &p));
	assert_non_null(tcp_open(t, &profile, &peer, 1, &gateway, 1000000));
	tcp_flush(t, 1000000);
	assert_non_null(sent);
	return t;
}

static void end(struct tcp *t)
{
	rte_pktmbuf_free(sent);
	sent = NULL;
	tcp_destroy(&t);
	assert_int_equal(0, rte_mempool_in_use_count(pool));
}

static void check(uint8_t family, bool has_offload)
{
	struct tcp *t =
		send_syn(family, has_offload ? 1 : 0); /* what the other port does means nothing */
	const uint32_t n_ip =
		family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const void *ip = rte_pktmbuf_mtod_offset(sent, const void *, RTE_ETHER_HDR_LEN);
	struct rte_tcp_hdr *th =
		rte_pktmbuf_mtod_offset(sent, struct rte_tcp_hdr *, RTE_ETHER_HDR_LEN + n_ip);
	const uint64_t flags = sent->ol_flags
		& (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6
			| RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG);
	uint16_t sum;

	if (family == 4)
		assert_int_equal(0xffff, rte_raw_cksum(ip, n_ip)); /* never left to a device */
	if (has_offload) {
		assert_true(flags
			== (RTE_MBUF_F_TX_TCP_CKSUM
				| (family == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6)));
		assert_int_equal(RTE_ETHER_HDR_LEN, sent->l2_len);
		assert_int_equal(n_ip, sent->l3_len);
		assert_int_equal(sent->pkt_len - RTE_ETHER_HDR_LEN - n_ip, sent->l4_len);
		assert_int_equal(th->cksum,
			family == 4 ? rte_ipv4_phdr_cksum(ip, sent->ol_flags)
				    : rte_ipv6_phdr_cksum(ip, sent->ol_flags));
		/* the device sums from l2_len + l3_len on, and puts that where the pseudo header's sum is */
		sum = rte_raw_cksum(th, sent->pkt_len - sent->l2_len - sent->l3_len);
		th->cksum = (uint16_t)~sum;
	} else {
		assert_true(flags == 0);
	}
	sum = th->cksum;
	th->cksum = 0;
	assert_int_equal(
		sum, family == 4 ? rte_ipv4_udptcp_cksum(ip, th) : rte_ipv6_udptcp_cksum(ip, th));
	end(t);
}

static void checksums_by_the_device(void **state)
{
	(void)state;
	check(4, true);
	check(6, true);
}

static void checksums_in_software(void **state)
{
	(void)state;
	check(4, false);
	check(6, false);
}

/* A device that cuts: IPv4 header checksums are its own or not. */
static void up_cut(bool has_sack, bool writes_ip_csums, uint16_t tso_mbufs)
{
	ackbed_up(has_sack, true);
	ackbed.ifaces.of[0].writes_csums = true;
	ackbed.ifaces.of[0].takes_chains = true;
	ackbed.ifaces.of[0].writes_ip_csums = writes_ip_csums;
	ackbed.ifaces.of[0].tso_mbufs = tso_mbufs;
	ackbed_establish();
	ackbed.n_bufs_out = 0;
}

static void segments_go_in_one_frame(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		up_cut(true, i == 1, 64);
		ackbed_send(IW + 3);
		ackbed_expect(0, IW, 0);
		assert_int_equal(ackbed.n_bufs_out, 1);
		assert_int_equal(tcp_stats(ackbed.t)->frames_cut, 1);
		ackbed_at(20000);
		ACK(IW);
		ackbed_expect(IW, IW + 3, 20000);
		assert_int_equal(ackbed.n_bufs_out, 2);
		ackbed_down();
	}
}

static void a_frame_has_no_more_than_the_device_takes(void **state)
{
	(void)state;
	up_cut(true, false, 4);
	ackbed_send(IW);
	ackbed_expect(0, IW, 0);
	assert_int_equal(ackbed.n_bufs_out, 3); /* of 4, 4 and 2 segments */
	assert_int_equal(tcp_stats(ackbed.t)->segments_out, 1 + IW);
	ackbed_down();
}

/* The window has ended in a segment, whose rest is short: only the last of a frame may be. */
static void what_is_short_ends_the_frame(void **state)
{
	(void)state;
	up_cut(true, false, 64);
	ackbed.wnd = 500;
	ACK(0);
	ackbed_send(4);
	ackbed_expect(0, 1, 0);
	ackbed_expect_none();
	assert_int_equal(ackbed.out[0].len, 500);
	ackbed.wnd = 60000;
	ACK(0);
	ackbed_expect(0, 1, 0);
	ackbed_expect(1, 4, 0);
	assert_int_equal(ackbed.out[1].len, 500);
	assert_int_equal(ackbed.n_bufs_out, 3);
	ackbed_down();
}

/* The scoreboard knows the segments, not the frame: two of ten are lost, and these two go again. */
static void segments_of_a_frame_are_lost_one_by_one(void **state)
{
	(void)state;
	up_cut(true, false, 64);
	ackbed_send(IW);
	ackbed_expect(0, IW, 0);
	ackbed_at(20000);
	ACK(2, {3, 6}, {7, 10});
	ackbed_expect(2, 3, 20000);
	ackbed_expect(6, 7, 20000);
	ackbed_expect_none();
	ackbed_at(40000);
	ACK(10);
	assert_int_equal(ackbed_info().queued, 0);
	assert_int_equal(tcp_stats(ackbed.t)->retransmits, 2);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 0);
	ackbed_down();
}

static void a_fin_is_in_the_last_segment(void **state)
{
	static const uint8_t bytes[3 * ACKBED_SEG];

	(void)state;
	up_cut(false, false, 64);
	assert_int_equal(tcp_write(ackbed.c, bytes, sizeof(bytes)), sizeof(bytes));
	tcp_close(ackbed.c);
	ackbed_send(0);
	ackbed_expect(0, 3, 0);
	assert_int_equal(ackbed.n_bufs_out, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ackbed.out[i].has_fin, i == 2);
	ackbed_down();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_by_the_device),
		cmocka_unit_test(checksums_in_software),
		cmocka_unit_test(segments_go_in_one_frame),
		cmocka_unit_test(a_frame_has_no_more_than_the_device_takes),
		cmocka_unit_test(what_is_short_ends_the_frame),
		cmocka_unit_test(segments_of_a_frame_are_lost_one_by_one),
		cmocka_unit_test(a_fin_is_in_the_last_segment),
	};

	(void)argc;
	if (eal_start(argv[0], 64) != 0)
		return 1;
	keyhash_init_seed(1);
	pool = rte_pktmbuf_pool_create(
		"offload", 255, 0, BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	ackbed.pool = pool;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
