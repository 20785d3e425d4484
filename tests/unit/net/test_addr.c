/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose address is it, which way to others, and what the builder refuses. */
#include "net/addr.h"
#include "netfix.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

static int up(void **state)
{
	static struct net n;

	net_up(&n);
	*state = &n;
	return 0;
}

static int down(void **state)
{
	net_down(*state);
	return 0;
}

static void every_kind_of_address_is_known(void **state)
{
	static const struct {
		const char *ip;
		enum addr_kind kind;
		unsigned where; /* interface or SNAT slot */
	} rows[] = {
		{"192.0.2.1", ADDR_OWN, NET_WAN}, {"10.0.0.1", ADDR_OWN, NET_LAN},
		{"2001:db8:1::1", ADDR_OWN, NET_WAN}, {"2001:db8:2::1", ADDR_OWN, NET_LAN},
		{"fe80::ff:fe00:1", ADDR_OWN, NET_WAN}, /* from the MAC addresses */
		{"fe80::ff:fe00:2", ADDR_OWN, NET_LAN}, {"203.0.113.10", ADDR_VIP, 0},
		{"2001:db8:f::10", ADDR_VIP, 0}, {"10.0.255.1", ADDR_SNAT, 0},
		{"2001:db8:2::ff", ADDR_SNAT, 1},
		{"192.0.2.254", ADDR_NONE, 0}, /* the gateway is not us */
		{"192.0.2.2", ADDR_NONE, 0}, {"192.0.2.0", ADDR_NONE, 0}, {"0.0.0.0", ADDR_NONE, 0},
		{"::", ADDR_NONE, 0},
		{"c000:201::", ADDR_NONE, 0}, /* 192.0.2.1 as the front of an IPv6 address */
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		const struct mr_ip ip = net_ip(rows[i].ip);
		uint16_t slot = 99;
		uint8_t iface = 99;

		assert_int_equal(
			addr_find(n->addrs, ip.family, ip.bytes, &slot, &iface), rows[i].kind);
		if (rows[i].kind == ADDR_OWN)
			assert_int_equal(iface, rows[i].where);
		if (rows[i].kind == ADDR_SNAT)
			assert_int_equal(slot, rows[i].where);
	}
}

static void masks_have_the_bits_of_the_prefix(void **state)
{
	uint8_t mask[16];

	(void)state;
	for (unsigned len = 0; len <= 128; len++) {
		addr_mask(mask, len);
		for (unsigned bit = 0; bit < 128; bit++)
			assert_int_equal(mask[bit / 8] >> (7 - bit % 8) & 1, bit < len);
	}
}

static void check_route(
	const struct addr_conf *c, const char *dst, int want_iface, const char *want_hop)
{
	const struct mr_ip ip = net_ip(dst);
	uint8_t hop[16], iface = 99;

	if (want_iface < 0) {
		assert_false(addr_route(c, ip.family, ip.bytes, &iface, hop));
		return;
	}
	assert_true(addr_route(c, ip.family, ip.bytes, &iface, hop));
	assert_int_equal(iface, want_iface);
	assert_memory_equal(hop, net_ip(want_hop).bytes, 16);
	memcpy(hop, ip.bytes, 16);
	assert_true(addr_route(c, ip.family, hop, &iface, hop)); /* in place */
	assert_memory_equal(hop, net_ip(want_hop).bytes, 16);
}

static void routes_are_on_link_or_by_the_gateway(void **state)
{
	struct net *n = *state;

	check_route(n->addrs, "192.0.2.77", NET_WAN, "192.0.2.77");
	check_route(n->addrs, "10.0.200.3", NET_LAN, "10.0.200.3");
	check_route(n->addrs, "10.1.0.1", NET_WAN, "192.0.2.254");
	check_route(n->addrs, "198.51.100.1", NET_WAN, "192.0.2.254");
	check_route(n->addrs, "2001:db8:1::abcd", NET_WAN, "2001:db8:1::abcd");
	check_route(n->addrs, "2001:db8:2:0:1::", NET_LAN, "2001:db8:2:0:1::");
	check_route(n->addrs, "2001:db8:2:1::", NET_WAN, "2001:db8:1::fe");
}

/* A configuration of these lists, expected to be built. */
static struct addr_conf *build(const struct iface_set *ifaces, const struct mr_addr *addrs,
	unsigned n_addrs, const struct mr_gateway *gateways, unsigned n_gateways)
{
	const struct addr_spec spec = {.ifaces = ifaces,
		.addrs = addrs,
		.gateways = gateways,
		.n_addrs = n_addrs,
		.n_gateways = n_gateways};
	struct addr_conf *c = NULL;
	struct mr_error err;

	assert_int_equal(addr_conf_create(&c, &spec, &err), 0);
	return c;
}

static void longest_prefix_wins_in_any_order(void **state)
{
	struct net *n = *state;
	struct mr_addr addrs[] = {
		{.port = "wan", .ip = net_ip("10.0.0.1"), .prefix_len = 8},
		{.port = "lan", .ip = net_ip("10.1.0.1"), .prefix_len = 16},
		{.port = "wan", .ip = net_ip("10.1.2.1"), .prefix_len = 23},
		{.port = "lan", .ip = net_ip("10.1.2.130"), .prefix_len = 25},
		{.port = "wan", .ip = net_ip("10.1.2.200"), .prefix_len = 32},
	};

	srand(5);
	for (unsigned k = 0; k < 50; k++) {
		const unsigned a = (unsigned)rand() % 5, b = (unsigned)rand() % 5;
		const struct mr_addr t = addrs[a];
		struct addr_conf *c;

		addrs[a] = addrs[b];
		addrs[b] = t;
		c = build(&n->ifaces, addrs, 5, NULL, 0);
		check_route(c, "10.9.9.9", NET_WAN, "10.9.9.9");
		check_route(c, "10.1.9.9", NET_LAN, "10.1.9.9");
		check_route(c, "10.1.3.9", NET_WAN, "10.1.3.9");
		check_route(c, "10.1.4.9", NET_LAN, "10.1.4.9");
		check_route(c, "10.1.2.129", NET_LAN, "10.1.2.129");
		check_route(c, "10.1.2.127", NET_WAN, "10.1.2.127");
		check_route(c, "10.1.2.200", NET_WAN, "10.1.2.200");
		check_route(c, "11.0.0.1", -1, NULL);
		check_route(c, "2001:db8::1", -1, NULL);
		addr_conf_destroy(&c);
		assert_null(c);
	}
}

/* Random networks and addresses against a search bit by bit. */
static void routes_agree_with_a_naive_search(void **state)
{
	struct net *n = *state;
	struct mr_addr addrs[40];

	srand(11);
	memset(addrs, 0, sizeof(addrs));
	for (unsigned i = 0; i < 40; i++) {
		const bool six = i % 2;

		snprintf(addrs[i].port, sizeof(addrs[i].port), i % 3 ? "wan" : "lan");
		addrs[i].ip.family = six ? 6 : 4;
		for (unsigned b = 0; b < (six ? 16u : 4u); b++)
			addrs[i].ip.bytes[b] = (uint8_t)(rand() % 3);
		addrs[i].ip.bytes[six ? 15 : 3] = (uint8_t)i; /* all different */
		addrs[i].prefix_len = (uint8_t)(1 + rand() % (six ? 64 : 30));
	}
	struct addr_conf *c = build(&n->ifaces, addrs, 40, NULL, 0);

	for (unsigned k = 0; k < 20000; k++) {
		uint8_t dst[16] = {0}, hop[16], iface = 99;
		const uint8_t family = k % 2 ? 6 : 4;
		int best = -1;

		for (unsigned b = 0; b < (family == 6 ? 16u : 4u); b++)
			dst[b] = (uint8_t)(rand() % 3);
		for (unsigned i = 0; i < 40; i++) {
			unsigned same = 0;

			if (addrs[i].ip.family != family)
				continue;
			while (same < addrs[i].prefix_len
				&& !(((dst[same / 8] ^ addrs[i].ip.bytes[same / 8])
					     >> (7 - same % 8))
					& 1))
				same++;
			if (same == addrs[i].prefix_len && addrs[i].prefix_len > best)
				best = addrs[i].prefix_len;
		}
		assert_int_equal(addr_route(c, family, dst, &iface, hop), best >= 0);
		if (best >= 0)
			assert_memory_equal(hop, dst, 16);
	}
	addr_conf_destroy(&c);
}

static void questions_come_from_an_address_the_neighbour_knows(void **state)
{
	static const struct {
		unsigned iface;
		const char *target, *source; /* NULL: none */
	} rows[] = {
		{NET_WAN, "192.0.2.9", "192.0.2.1"},
		{NET_LAN, "10.0.3.9", "10.0.0.1"},
		{NET_LAN, "172.16.0.1", "10.0.0.1"}, /* no network of it: any address */
		{NET_WAN, "2001:db8:1::9", "2001:db8:1::1"},
		{NET_WAN, "fe80::9", "fe80::ff:fe00:1"},
		{NET_LAN, "fe80::9", "fe80::ff:fe00:2"},
		{NET_LAN, "2001:db8:77::9", "2001:db8:2::1"},
	};
	struct net *n = *state;
	uint8_t source[16];

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		const struct mr_ip target = net_ip(rows[i].target);

		assert_true(addr_source(
			n->addrs, (uint8_t)rows[i].iface, target.family, target.bytes, source));
		assert_memory_equal(source, net_ip(rows[i].source).bytes, mr_ip_len(&target));
	}
}

static void a_port_without_addresses_asks_only_in_ipv6(void **state)
{
	struct net *n = *state;
	struct addr_conf *c = build(&n->ifaces, NULL, 0, NULL, 0);
	uint8_t source[16];

	assert_false(addr_source(c, NET_WAN, 4, net_ip("192.0.2.9").bytes, source));
	assert_true(addr_source(c, NET_WAN, 6, net_ip("2001:db8::9").bytes, source));
	assert_memory_equal(source, net_ip("fe80::ff:fe00:1").bytes, 16);
	addr_conf_destroy(&c);
}

static void a_link_local_gateway_needs_no_network(void **state)
{
	struct net *n = *state;
	const struct mr_gateway g = {.port = "lan", .ip = net_ip("fe80::1")};
	struct addr_conf *c = build(&n->ifaces, NULL, 0, &g, 1);

	check_route(c, "2001:db8:77::1", NET_LAN, "fe80::1");
	check_route(c, "192.0.2.1", -1, NULL);
	addr_conf_destroy(&c);
}

static void on_own(void *ctx, unsigned iface, const struct mr_ip *ip, unsigned prefix_len)
{
	unsigned *n = ctx;

	assert_true(iface < 2);
	assert_int_equal(prefix_len, ip->family == 6 ? 64 : iface == NET_WAN ? 24 : 16);
	(*n)++;
}

static void own_addresses_are_listed_for_the_kernel(void **state)
{
	struct net *n = *state;
	unsigned seen = 0;

	addr_walk_own(n->addrs, on_own, &seen);
	assert_int_equal(seen, 4);
}

/* One configuration that must be refused, naming the object. */
static void refuse(struct net *n, struct addr_spec spec, const char *object, const char *says)
{
	struct addr_conf *c = NULL;
	struct mr_error err;

	spec.ifaces = &n->ifaces;
	assert_int_equal(addr_conf_create(&c, &spec, &err), -EINVAL);
	assert_null(c);
	assert_int_equal(err.code, MR_ERR_INVALID);
	assert_string_equal(err.object, object);
	assert_non_null(strstr(err.message, says));
}

static void contradictions_are_refused_by_name(void **state)
{
	const struct mr_addr addrs[] = {
		{.port = "wan", .ip = net_ip("192.0.2.1"), .prefix_len = 24},
		{.port = "lan", .ip = net_ip("192.0.2.1"), .prefix_len = 24},
		{.port = "dmz", .ip = net_ip("10.0.0.1"), .prefix_len = 8},
	};
	const struct mr_gateway gateways[] = {
		{.port = "wan", .ip = net_ip("198.51.100.1")},
		{.port = "lan", .ip = net_ip("192.0.2.254")},
		{.port = "dmz", .ip = net_ip("192.0.2.254")},
	};
	const struct mr_ip own = net_ip("192.0.2.1"), other = net_ip("203.0.113.1");
	struct net *n = *state;

	refuse(n, (struct addr_spec){.addrs = addrs, .n_addrs = 2}, "addr/lan/192.0.2.1/24",
		"twice");
	refuse(n, (struct addr_spec){.addrs = addrs + 2, .n_addrs = 1}, "addr/dmz/10.0.0.1/8",
		"no port 'dmz'");
	for (unsigned i = 0; i < 3; i++)
		refuse(n,
			(struct addr_spec){.addrs = addrs,
				.n_addrs = 1,
				.gateways = gateways + i,
				.n_gateways = 1},
			"gateway/4", i == 2 ? "no port 'dmz'" : "not on a network");
	refuse(n, (struct addr_spec){.addrs = addrs, .n_addrs = 1, .snats = &own, .n_snats = 1},
		"snat/192.0.2.1", "also a port's");
	refuse(n, (struct addr_spec){.addrs = addrs, .n_addrs = 1, .vips = &own, .n_vips = 1},
		"service/192.0.2.1", "VIP");
	refuse(n, (struct addr_spec){.vips = &other, .n_vips = 1, .snats = &other, .n_snats = 1},
		"service/203.0.113.1", "VIP");
}

static void several_services_may_share_a_vip(void **state)
{
	struct net *n = *state;
	const struct mr_ip vips[] = {net_ip("203.0.113.1"), net_ip("203.0.113.1")};
	const struct addr_spec spec = {.ifaces = &n->ifaces, .vips = vips, .n_vips = 2};
	struct addr_conf *c = NULL;
	struct mr_error err;
	uint16_t slot;
	uint8_t iface;

	assert_int_equal(addr_conf_create(&c, &spec, &err), 0);
	assert_int_equal(addr_find(c, 4, vips[0].bytes, &slot, &iface), ADDR_VIP);
	addr_conf_destroy(&c);
}

static void unused_snat_slots_keep_the_numbers_of_the_others(void **state)
{
	struct net *n = *state;
	const struct mr_ip snats[] = {net_ip("10.0.0.5"), {0}, net_ip("10.0.0.7")};
	const struct addr_spec spec = {.ifaces = &n->ifaces, .snats = snats, .n_snats = 3};
	struct addr_conf *c = NULL;
	struct mr_error err;
	uint16_t slot = 99;
	uint8_t iface;

	assert_int_equal(addr_conf_create(&c, &spec, &err), 0);
	assert_int_equal(addr_find(c, 4, snats[2].bytes, &slot, &iface), ADDR_SNAT);
	assert_int_equal(slot, 2);
	addr_conf_destroy(&c);
}

static void thousands_of_addresses_are_found(void **state)
{
	enum { N = 5000 };
	struct net *n = *state;
	struct mr_ip *vips = calloc(N, sizeof(*vips));
	const struct addr_spec spec = {.ifaces = &n->ifaces, .vips = vips, .n_vips = N};
	struct addr_conf *c = NULL;
	struct mr_error err;
	uint16_t slot;
	uint8_t iface;

	for (unsigned i = 0; i < N; i++) {
		vips[i].family = i % 2 ? 6 : 4;
		vips[i].bytes[0] = 100;
		vips[i].bytes[2] = (uint8_t)(i >> 8);
		vips[i].bytes[3] = (uint8_t)i;
	}
	assert_int_equal(addr_conf_create(&c, &spec, &err), 0);
	for (unsigned i = 0; i < N; i++) {
		uint8_t near[16];

		memcpy(near, vips[i].bytes, 16);
		assert_int_equal(addr_find(c, vips[i].family, near, &slot, &iface), ADDR_VIP);
		assert_true(addr_is_ours(c, vips[i].family, near));
		near[1] = 1;
		assert_int_equal(addr_find(c, vips[i].family, near, &slot, &iface), ADDR_NONE);
		assert_false(addr_is_ours(c, vips[i].family, near));
	}
	addr_conf_destroy(&c);
	free(vips);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(every_kind_of_address_is_known),
		CASE(routes_are_on_link_or_by_the_gateway),
		CASE(longest_prefix_wins_in_any_order),
		CASE(routes_agree_with_a_naive_search),
		CASE(questions_come_from_an_address_the_neighbour_knows),
		CASE(a_port_without_addresses_asks_only_in_ipv6),
		CASE(masks_have_the_bits_of_the_prefix),
		CASE(a_link_local_gateway_needs_no_network),
		CASE(own_addresses_are_listed_for_the_kernel),
		CASE(contradictions_are_refused_by_name),
		CASE(several_services_may_share_a_vip),
		CASE(unused_snat_slots_keep_the_numbers_of_the_others),
		CASE(thousands_of_addresses_are_found),
	};

	(void)argc;
	return net_eal(argv[0]) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
