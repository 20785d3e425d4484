/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Forwarding modes, packets in and packets out: each case sends a flow both ways and checks addresses,
 * ports, time to live and MAC addresses, and every checksum by computing it anew.
 */
#include "lbfix.h"
#include "unit.h"

#include <rte_tcp.h>
#include <rte_udp.h>

#define SYN 0x02
#define ACK 0x10
#define PSH_ACK 0x18

static struct fix fix;

struct nat_case {
	const char *name;
	const char *client, *vip, *backend, *snat, *gateway;
	uint8_t proto;
	uint8_t has_no_csum;
};

static const struct nat_case nat_cases[] = {
	{"tcp4", "203.0.113.5", "198.51.100.10", "10.0.0.11", "10.0.0.100", "192.0.2.254",
		MR_PROTO_TCP, 0},
	{"udp4", "203.0.113.5", "198.51.100.10", "10.0.0.11", "10.0.0.100", "192.0.2.254",
		MR_PROTO_UDP, 0},
	{"udp4 without checksum", "203.0.113.5", "198.51.100.10", "10.0.0.11", "10.0.0.100",
		"192.0.2.254", MR_PROTO_UDP, 1},
	{"tcp6", "2001:db8:c::5", "2001:db8:f::10", "2001:db8:2::11", "2001:db8:2::100",
		"2001:db8:1::fe", MR_PROTO_TCP, 0},
	{"udp6", "2001:db8:c::5", "2001:db8:f::10", "2001:db8:2::11", "2001:db8:2::100",
		"2001:db8:1::fe", MR_PROTO_UDP, 0},
};

static void nat_up(const struct nat_case *c)
{
	const struct fix_options o = {0};

	fix_up(&fix, &o);
	fix_service(&fix, "web", c->vip, 80, MR_MODE_FULLNAT, MR_SCHED_WRR)->proto = c->proto;
	fix_backend(&fix, "web", "p/a", c->backend, 8080);
	fix_snat(&fix, c->snat);
	assert_int_equal(fix_apply(&fix), 0);
	fix_resolve(&fix);
}

static void expect_macs(struct rte_mbuf *m, unsigned iface, const char *next_hop)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	struct rte_ether_addr mac;

	assert_true(fix_mac(&fix, iface, next_hop, &mac));
	assert_memory_equal(&eth->dst_addr, &mac, 6);
	assert_memory_equal(&eth->src_addr, &fix.ifaces.of[iface].mac, 6);
	assert_int_equal(fix.w->burst.p[0].out_iface, iface);
}

/* Client to backend; the SNAT port it left with. */
static uint16_t there(const struct nat_case *c, uint8_t flags, uint16_t n_payload)
{
	const struct fix_frame in = {.src = c->client,
		.dst = c->vip,
		.sport = 40000,
		.dport = 80,
		.proto = c->proto,
		.tcp_flags = flags,
		.has_no_csum = c->has_no_csum,
		.n_payload = n_payload};
	const struct fix_frame out = {.src = c->snat,
		.dst = c->backend,
		.dport = 8080,
		.proto = c->proto,
		.ttl = 63,
		.has_no_csum = c->has_no_csum};
	struct rte_mbuf *m;
	uint16_t port;

	assert_int_equal(fix_one(&fix, FIX_WAN, &in, &m), PKT_TX);
	fix_expect(m, &out);
	expect_macs(m, FIX_LAN, c->backend);
	port = fix_see(m).sport;
	assert_true(port >= NATPORT_FIRST);
	rte_pktmbuf_free(m);
	return port;
}

static int back(const struct nat_case *c, uint16_t port, uint8_t flags, uint16_t n_payload,
	struct rte_mbuf **m)
{
	const struct fix_frame in = {.src = c->backend,
		.dst = c->snat,
		.sport = 8080,
		.dport = port,
		.proto = c->proto,
		.tcp_flags = flags,
		.ttl = 61,
		.has_no_csum = c->has_no_csum,
		.n_payload = n_payload};

	return fix_one(&fix, FIX_LAN, &in, m);
}

static void expect_back(const struct nat_case *c, struct rte_mbuf *m)
{
	const struct fix_frame out = {.src = c->vip,
		.dst = c->client,
		.sport = 80,
		.dport = 40000,
		.proto = c->proto,
		.ttl = 60,
		.has_no_csum = c->has_no_csum};

	fix_expect(m, &out);
}

static void nat_case(const struct nat_case *c)
{
	struct rte_mbuf *m;
	uint16_t port;

	print_message("%s\n", c->name);
	nat_up(c);
	port = there(c, SYN, 0);

	/* nobody has asked for the gateway's MAC address yet: to the manager, complete but for it */
	assert_int_equal(back(c, port, SYN | ACK, 0, &m), PKT_HOLD);
	expect_back(c, m);
	assert_int_equal(fix.w->burst.p[0].out_iface, FIX_WAN);
	assert_int_equal(pkt_note(m)->kind, NOTE_HOLD);
	assert_int_equal(pkt_note(m)->iface, FIX_WAN);
	assert_int_equal(pkt_note(m)->neigh_ref, NEIGH_NONE);
	assert_int_equal(pkt_note(m)->family, fix_ip(c->gateway).family);
	assert_memory_equal(pkt_note(m)->next_hop, fix_ip(c->gateway).bytes, 16);
	rte_pktmbuf_free(m);

	fix_learn(&fix, FIX_WAN, c->gateway);
	for (uint16_t n = 0; n < 40; n++) {
		assert_int_equal(there(c, PSH_ACK, n), port);
		assert_int_equal(back(c, port, PSH_ACK, (uint16_t)(40 - n), &m), PKT_TX);
		expect_back(c, m);
		expect_macs(m, FIX_WAN, c->gateway);
		rte_pktmbuf_free(m);
	}
	fix_down(&fix);
}

static void full_nat_rewrites_both_ways(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(nat_cases) / sizeof(nat_cases[0]); i++)
		nat_case(&nat_cases[i]);
}

static void full_nat_checksums_hold_for_many_addresses(void **state)
{
	const struct fix_options o = {0};
	uint32_t x = 1;

	(void)state;
	fix_up(&fix, &o);
	fix_service(&fix, "web", "198.51.100.10", 80, MR_MODE_FULLNAT, MR_SCHED_WRR)->proto =
		MR_PROTO_UDP;
	fix_backend(&fix, "web", "p/a", "10.0.255.255", 65535);
	fix_snat(&fix, "10.0.0.100");
	assert_int_equal(fix_apply(&fix), 0);
	fix_resolve(&fix);
	fix_learn(&fix, FIX_WAN, "192.0.2.254");
	for (unsigned i = 0; i < 500; i++) {
		char client[32];
		struct fix_frame in = {
			.src = client, .dst = "198.51.100.10", .dport = 80, .proto = MR_PROTO_UDP};
		struct fix_frame ret = {.src = "10.0.255.255",
			.dst = "10.0.0.100",
			.sport = 65535,
			.proto = MR_PROTO_UDP};
		const struct fix_frame udp = {.proto = MR_PROTO_UDP};
		struct rte_mbuf *m;

		x = x * 1664525 + 1013904223;
		snprintf(client, sizeof(client), "%u.%u.%u.%u", 20 + (x >> 24) % 80,
			(x >> 16) & 255, (x >> 8) & 255, x & 255);
		in.sport = (uint16_t)(x >> 7 | 1);
		in.n_payload = (uint16_t)(x >> 20 & 63);
		assert_int_equal(fix_one(&fix, FIX_WAN, &in, &m), PKT_TX);
		fix_expect(m, &udp);
		ret.dport = fix_see(m).sport;
		rte_pktmbuf_free(m);
		assert_int_equal(fix_one(&fix, FIX_LAN, &ret, &m), PKT_TX);
		fix_expect(m, &udp);
		rte_pktmbuf_free(m);
	}
	fix_down(&fix);
}

/* The one payload whose checksum after rewriting is 0 must go out as 0xffff: found by trying. */
static void udp_checksum_is_never_sent_as_zero(void **state)
{
	unsigned n_ffff = 0;

	(void)state;
	nat_up(&nat_cases[4]);
	for (unsigned v = 0; v < 65536; v++) {
		struct fix_frame in = {.src = "2001:db8:c::5",
			.dst = "2001:db8:f::10",
			.sport = 40000,
			.dport = 80,
			.proto = MR_PROTO_UDP,
			.n_payload = 2};
		struct rte_mbuf *m = fix_mbuf(&fix, &in);
		struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, 14 + 40);
		uint8_t *payload = (uint8_t *)(udp + 1);
		const uint32_t before = rte_be_to_cpu_16(udp->dgram_cksum);
		const uint32_t was = (uint32_t)payload[0] << 8 | payload[1];
		uint32_t sum = (~before & 0xffff) + (~was & 0xffff) + v;

		payload[0] = (uint8_t)(v >> 8);
		payload[1] = (uint8_t)v;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		udp->dgram_cksum = rte_cpu_to_be_16((uint16_t)~sum ? (uint16_t)~sum : 0xffff);
		fix_run(&fix, FIX_WAN, &m, 1);
		assert_int_equal(fix.w->burst.p[0].verdict, PKT_TX);
		assert_int_not_equal(udp->dgram_cksum, 0);
		n_ffff += udp->dgram_cksum == 0xffff;
		rte_pktmbuf_free(m);
	}
	assert_true(n_ffff >= 1 && n_ffff <= 2);
	fix_down(&fix);
}

static void full_nat_drops_at_the_end_of_life(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(nat_cases) / sizeof(nat_cases[0]); i++) {
		const struct nat_case *c = &nat_cases[i];
		struct fix_frame in = {.src = c->client,
			.dst = c->vip,
			.sport = 40000,
			.dport = 80,
			.proto = c->proto,
			.tcp_flags = SYN,
			.ttl = 1};
		struct fix_frame ret = {.src = c->backend,
			.dst = c->snat,
			.sport = 8080,
			.proto = c->proto,
			.tcp_flags = SYN | ACK,
			.ttl = 1};

		nat_up(c);
		assert_int_equal(fix_one(&fix, FIX_WAN, &in, NULL), FIX_DROP(ttl));
		in.ttl = 2;
		assert_int_equal(fix_one(&fix, FIX_WAN, &in, NULL), PKT_TX);
		ret.dport = fix_conn(&fix, &in)->snat_port;
		assert_int_equal(fix_one(&fix, FIX_LAN, &ret, NULL), FIX_DROP(ttl));
		assert_int_equal(lb_worker_service_drops(fix.w->lb, 0), 2);
		fix_down(&fix);
	}
}

static void no_route_to_client_is_counted(void **state)
{
	const struct nat_case *c = &nat_cases[0];
	uint16_t port;

	(void)state;
	nat_up(c);
	port = there(c, SYN, 0);
	fix.model.n_gateways = 0;
	assert_int_equal(fix_apply(&fix), 0);
	assert_int_equal(back(c, port, SYN | ACK, 0, NULL), FIX_DROP(no_route));
	fix_down(&fix);
}

/* A new gateway is used for flows that have begun over the old one, although that still answers. */
static void returns_follow_a_new_gateway(void **state)
{
	const struct nat_case *c = &nat_cases[0];
	struct rte_mbuf *m;
	uint16_t port;

	(void)state;
	nat_up(c);
	port = there(c, SYN, 0);
	fix_learn(&fix, FIX_WAN, "192.0.2.254");
	fix_learn(&fix, FIX_WAN, "192.0.2.253");
	assert_int_equal(back(c, port, SYN | ACK, 0, &m), PKT_TX);
	expect_macs(m, FIX_WAN, "192.0.2.254");
	rte_pktmbuf_free(m);
	fix.model.gateways[0].ip = fix_ip("192.0.2.253");
	assert_int_equal(fix_apply(&fix), 0);
	assert_int_equal(back(c, port, ACK, 5, &m), PKT_TX);
	expect_back(c, m);
	expect_macs(m, FIX_WAN, "192.0.2.253");
	rte_pktmbuf_free(m);
	fix_down(&fix);
}

static void direct_return_changes_only_mac_addresses(void **state)
{
	static const char *const rows[][3] = {
		{"203.0.113.5", "198.51.100.10", "10.0.0.11"},
		{"2001:db8:c::5", "2001:db8:f::10", "2001:db8:2::11"},
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct fix_options o = {0};
		const struct fix_frame in = {.src = rows[i][0],
			.dst = rows[i][1],
			.sport = 40000,
			.dport = 80,
			.tcp_flags = SYN,
			.ttl = 1,
			.n_payload = 9};
		struct rte_mbuf *m, *before;

		fix_up(&fix, &o);
		fix_service(&fix, "web", rows[i][1], 80, MR_MODE_DSR_L2, MR_SCHED_MAGLEV);
		fix_backend(&fix, "web", "p/a", rows[i][2], 80);
		assert_int_equal(fix_apply(&fix), 0);
		assert_int_equal(fix_one(&fix, FIX_WAN, &in, &m), PKT_HOLD);
		assert_int_not_equal(pkt_note(m)->neigh_ref, NEIGH_NONE);
		rte_pktmbuf_free(m);
		fix_resolve(&fix);
		before = fix_mbuf(&fix, &in);
		assert_int_equal(fix_one(&fix, FIX_WAN, &in, &m), PKT_TX);
		expect_macs(m, FIX_LAN, rows[i][2]);
		assert_int_equal(m->data_len, before->data_len);
		assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *) + 12,
			rte_pktmbuf_mtod(before, uint8_t *) + 12, m->data_len - 12u);
		rte_pktmbuf_free(m);
		rte_pktmbuf_free(before);
		fix_down(&fix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_nat_rewrites_both_ways),
		cmocka_unit_test(full_nat_checksums_hold_for_many_addresses),
		cmocka_unit_test(udp_checksum_is_never_sent_as_zero),
		cmocka_unit_test(full_nat_drops_at_the_end_of_life),
		cmocka_unit_test(no_route_to_client_is_counted),
		cmocka_unit_test(returns_follow_a_new_gateway),
		cmocka_unit_test(direct_return_changes_only_mac_addresses),
	};

	if (fix_eal("test_fwd") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
