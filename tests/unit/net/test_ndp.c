/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour discovery byte for byte: solicitations answered, advertisements passed on, and the validity
 * rules of RFC 4861 7.1 one at a time. */
#include "base/csum.h"
#include "net/icmp.h"
#include "net/ndp.h"
#include "net/parse.h"
#include "netfix.h"
#include "unit.h"

#include <rte_byteorder.h>

#include <stdlib.h>

/* made with another program; 02:..:aa is 2001:db8:1::9 */
#define IP6 "86dd 60000000 0020 3aff "
#define IP6_BARE "86dd 60000000 0018 3aff "
#define THEM "20010db8000100000000000000000009"
#define US "20010db8000100000000000000000001"
#define VIP "20010db8000f00000000000000000010"
#define ANY "00000000000000000000000000000000"
#define GROUP_US "ff0200000000000000000001ff000001"
#define GROUP_VIP "ff0200000000000000000001ff000010"
#define ALL_NODES "ff020000000000000000000000000001"
#define FROM_THEM " 0200000000aa "
#define SOURCE_OPT " 0101 0200000000aa"
#define TARGET_OPT " 0201 "

static const char solicit_us[] =
	"3333ff000001" FROM_THEM IP6 THEM GROUP_US " 8700 1b76 00000000" US SOURCE_OPT;
static const char advert_us[] =
	"0200000000aa 020000000001 " IP6 US THEM " 8800 8a69 60000000" US TARGET_OPT "020000000001";
static const char advert_them[] =
	"020000000001" FROM_THEM IP6 THEM US " 8800 89b8 60000000" THEM TARGET_OPT "0200000000aa";

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

/* The packet as the pipeline would give it to ICMPv6. */
static struct rte_mbuf *input(struct net *n, const char *hex, uint32_t room)
{
	struct rte_mbuf *m = net_receive(n, NET_WAN, hex, room);

	assert_int_equal(n->b->p[0].verdict, PKT_UNSEEN);
	icmp6_input(n->w, n->addrs, n->b, 0, ADDR_NONE);
	return m;
}

static void solicitations_for_ours_become_advertisements(void **state)
{
	static const char solicit_vip[] =
		"3333ff000010" FROM_THEM IP6 THEM GROUP_VIP " 8700 1b4a 00000000" VIP SOURCE_OPT;
	static const char advert_vip[] = "0200000000aa 020000000001 " IP6 VIP THEM
					 " 8800 8a2f 60000000" VIP TARGET_OPT "020000000001";
	struct net *n = *state;
	struct rte_mbuf *m = input(n, solicit_us, 0);

	assert_int_equal(n->b->p[0].verdict, PKT_TX);
	assert_int_equal(n->b->p[0].out_iface, NET_WAN);
	net_expect(m, advert_us);
	rte_pktmbuf_free(m);
	m = input(n, solicit_vip, 0);
	assert_int_equal(n->b->p[0].verdict, PKT_TX);
	net_expect(m, advert_vip);
	rte_pktmbuf_free(m);
	assert_int_equal(n->w->tally->nd_replies, 2);
}

static void a_probe_without_option_is_answered_to_its_sender(void **state)
{
	static const char probe[] =
		"020000000001" FROM_THEM IP6_BARE THEM US " 8700 ef73 00000000" US;
	struct net *n = *state;
	struct rte_mbuf *m = input(n, probe, 8);

	assert_int_equal(n->b->p[0].verdict, PKT_TX);
	net_expect(m, advert_us);
	rte_pktmbuf_free(m);
	/* a buffer that ends with the packet has no room for our option */
	m = input(n, probe, 0);
	assert_int_equal(n->b->p[0].verdict, PKT_DROP);
	assert_int_equal(n->b->p[0].drop, PKT_DROP_no_mbuf);
	rte_pktmbuf_free(m);
}

static void duplicate_address_detection_is_told_to_all(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = input(
		n, "3333ff000001" FROM_THEM IP6_BARE ANY GROUP_US " 8700 4cec 00000000" US, 64);

	assert_int_equal(n->b->p[0].verdict, PKT_TX);
	net_expect(m,
		"333300000001 020000000001 " IP6 US ALL_NODES " 8800 f928 20000000" US TARGET_OPT
		"020000000001");
	rte_pktmbuf_free(m);
}

/* Sets the ICMPv6 checksum right. */
static void fix_checksum(struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);
	const uint32_t len = (uint32_t)(ip[4] << 8 | ip[5]);
	uint16_t sum;

	memset(ip + 42, 0, 2);
	sum = csum_l4(ip + 8, ip + 24, 16, 58, ip + 40, len);
	memcpy(ip + 42, &sum, 2);
}

struct bad {
	const char *what;
	unsigned at;
	const char *bytes;
	bool keeps_checksum;
};

static void check_bad(struct net *n, const char *hex, const struct bad *b)
{
	struct rte_mbuf *m = net_receive(n, NET_WAN, hex, 0);
	uint32_t len;
	uint8_t *bytes = net_bytes(b->bytes, &len);

	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, b->at), bytes, len);
	free(bytes);
	if (!b->keeps_checksum)
		fix_checksum(m);
	parse_burst(n->b, &n->ifaces.of[NET_WAN].mac, NET_WAN);
	icmp6_input(n->w, n->addrs, n->b, 0, ADDR_NONE);
	if (n->b->p[0].verdict != PKT_DROP || n->b->p[0].drop != PKT_DROP_bad_l4_header)
		fail_msg("%s: verdict %u drop %u", b->what, n->b->p[0].verdict, n->b->p[0].drop);
	rte_pktmbuf_free(m);
}

static void invalid_messages_are_dropped(void **state)
{
	static const struct bad both[] = {
		{"came through a router", 21, "fe", false},
		{"code is not 0", 55, "01", false},
		{"wrong checksum", 56, "ffff", true},
		{"checksum 0", 56, "0000", true},
		{"target is a group", 62, "ff02", false},
		{"shorter than its target", 18, "0017", false},
	};
	static const struct bad solicits[] = {
		{"option of length 0", 79, "00", false},
		{"option beyond the end", 79, "02", false},
		{"option of length 255", 79, "ff", false},
		{"one byte of an option", 18, "0019", false},
		{"unspecified source with an option", 22, ANY, false},
		{"unspecified source to one address", 22, ANY US, false},
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(both); i++) {
		check_bad(n, solicit_us, &both[i]);
		check_bad(n, advert_them, &both[i]);
	}
	for (unsigned i = 0; i < RTE_DIM(solicits); i++)
		check_bad(n, solicit_us, &solicits[i]);
	assert_int_equal(n->w->tally->nd_replies, 0);
	assert_null(net_at_manager(n));
}

static void solicitations_for_others_go_to_the_kernel(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = net_receive(n, NET_WAN, solicit_us, 0);

	rte_pktmbuf_mtod(m, uint8_t *)[77] = 0x63;
	fix_checksum(m);
	icmp6_input(n->w, n->addrs, n->b, 0, ADDR_NONE);
	assert_int_equal(n->b->p[0].verdict, PKT_PUNT);
	assert_int_equal(n->b->p[0].punt_class, PUNT_NEIGH);
	rte_pktmbuf_free(m);
}

static void advertisements_go_to_the_manager(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = input(n, advert_them, 0);

	assert_int_equal(n->b->p[0].verdict, PKT_GONE);
	assert_ptr_equal(net_at_manager(n), m);
	assert_int_equal(pkt_note(m)->kind, NOTE_NEIGH);
	assert_int_equal(pkt_note(m)->iface, NET_WAN);
	net_expect(m, advert_them);
	rte_pktmbuf_free(m);
}

static void router_messages_go_to_the_kernel(void **state)
{
	struct net *n = *state;

	for (uint8_t type = 133; type <= 137; type++) {
		struct rte_mbuf *m;

		if (type == 135 || type == 136)
			continue;
		m = net_receive(n, NET_WAN, advert_them, 0);
		rte_pktmbuf_mtod(m, uint8_t *)[54] = type;
		icmp6_input(n->w, n->addrs, n->b, 0, ADDR_NONE);
		assert_int_equal(n->b->p[0].verdict, PKT_PUNT);
		assert_int_equal(n->b->p[0].punt_class, PUNT_OTHER);
		rte_pktmbuf_free(m);
	}
}

static void built_solicitations_are_as_they_should_be(void **state)
{
	const struct rte_ether_addr us = {.addr_bytes = {2, 0, 0, 0, 0, 1}};
	const struct rte_ether_addr them = {.addr_bytes = {2, 0, 0, 0, 0, 0xaa}};
	const struct mr_ip src = net_ip("2001:db8:1::1"), target = net_ip("2001:db8:1::9");
	uint32_t len;
	uint8_t *block = malloc(88), *buf = block + 2, *want;

	(void)state;
	want = net_bytes("3333ff000009 020000000001" IP6 US "ff0200000000000000000001ff000009"
			 " 8700 1c17 00000000" THEM " 0101 020000000001",
		&len);
	assert_int_equal(ndp_solicit_build(buf, &us, src.bytes, target.bytes, NULL), len);
	assert_memory_equal(buf, want, len);
	free(want);
	want = net_bytes("0200000000aa 020000000001" IP6 US THEM " 8700 ec61 00000000" THEM
			 " 0101 020000000001",
		&len);
	assert_int_equal(ndp_solicit_build(buf, &us, src.bytes, target.bytes, &them), len);
	assert_memory_equal(buf, want, len);
	free(want);
	free(block);
}

/* Reads the frame with one change, from a block of its exact size. */
static bool read_changed(const uint8_t *frame, uint32_t len, unsigned at, uint8_t value)
{
	struct neigh_claim c;
	uint8_t *block = malloc(2 + len);
	uint16_t sum;
	bool ok;

	memcpy(block + 2, frame, len);
	if (at != 0) {
		block[2 + at] = value;
		memset(block + 2 + 56, 0, 2);
		sum = csum_l4(block + 2 + 22, block + 2 + 38, 16, 58, block + 2 + 54, len - 54);
		memcpy(block + 2 + 56, &sum, 2);
	}
	ok = ndp_claim_parse(block + 2, len, &c);
	free(block);
	return ok;
}

static void only_valid_advertisements_are_read(void **state)
{
	struct neigh_claim c;
	uint32_t len;
	uint8_t *f = net_bytes(advert_them, &len);

	(void)state;
	assert_true(ndp_claim_parse(f, len, &c));
	assert_int_equal(c.key.family, 6);
	assert_memory_equal(c.key.ip, net_ip("2001:db8:1::9").bytes, 16);
	assert_int_equal(c.mac.addr_bytes[5], 0xaa);
	assert_true(c.has_mac && c.is_override && c.is_answer);
	assert_true(read_changed(f, len, 58, 0x40));
	assert_false(read_changed(f, len, 20, 17));   /* not ICMPv6 */
	assert_false(read_changed(f, len, 21, 254));  /* came through a router */
	assert_false(read_changed(f, len, 54, 135));  /* a solicitation without its option */
	assert_false(read_changed(f, len, 54, 137));  /* a redirect */
	assert_true(read_changed(f, len, 78, 1));     /* no target option */
	assert_false(read_changed(f, len, 38, 0xff)); /* an answer to a group */
	assert_false(read_changed(f, len, 79, 0));    /* endless option */
	assert_false(read_changed(f, len, 79, 2));    /* option beyond the end */
	assert_false(read_changed(f, len, 80, 0x03)); /* a group's MAC address */
	for (uint32_t cut = 0; cut < len; cut++)
		assert_false(read_changed(f, cut, 0, 0));
	memset(f + 80, 0, 6); /* nobody's MAC address */
	assert_false(read_changed(f, len, 80, 0));
	free(f);
}

static void only_solicitations_that_say_something_are_read(void **state)
{
	struct neigh_claim c;
	uint32_t len;
	uint8_t *f = net_bytes(solicit_us, &len);

	(void)state;
	assert_true(ndp_claim_parse(f, len, &c));
	assert_int_equal(c.key.family, 6);
	assert_memory_equal(c.key.ip, net_ip("2001:db8:1::9").bytes, 16);
	assert_int_equal(c.mac.addr_bytes[5], 0xaa);
	assert_true(c.has_mac && c.is_override && !c.is_answer);
	assert_false(read_changed(f, len, 78, 2));    /* no source option */
	assert_false(read_changed(f, len, 79, 0));    /* endless option */
	assert_false(read_changed(f, len, 80, 0x03)); /* a group's MAC address */
	memset(f + 22, 0, 16);
	assert_false(read_changed(f, len, 85, 0xaa)); /* from nobody */
	free(f);
}

/* RFC 4861 7.2.3: the manager hears of a sender whose address is not what we know. */
static void who_asks_from_another_mac_is_noticed(void **state)
{
	struct net *n = *state;
	const struct mr_ip them = net_ip("2001:db8:1::9");
	struct neigh_key k = {.family = 6, .iface = NET_WAN};
	struct rte_ether_addr mac;
	uint32_t ref = NEIGH_NONE;

	memcpy(k.ip, them.bytes, 16);
	for (unsigned i = 0; i < 3; i++) {
		struct rte_mbuf *m = input(n, solicit_us, 0), *copy;

		assert_int_equal(n->b->p[0].verdict, PKT_TX);
		net_expect(m, advert_us);
		rte_pktmbuf_free(m);
		copy = net_at_manager(n);
		assert_int_equal(copy != NULL, i == 1); /* a stranger's, new, known */
		if (i == 0)
			ref = neigh_pin(n->neigh, &k, 5000);
		if (copy == NULL)
			continue;
		assert_int_equal(pkt_note(copy)->kind, NOTE_LEARN);
		net_expect(copy, solicit_us);
		neigh_learn(n->neigh, copy, 5000);
		rte_pktmbuf_free(copy);
	}
	assert_true(neigh_fill(n->neigh, ref, &mac));
	assert_int_equal(mac.addr_bytes[5], 0xaa);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(solicitations_for_ours_become_advertisements),
		CASE(a_probe_without_option_is_answered_to_its_sender),
		CASE(duplicate_address_detection_is_told_to_all),
		CASE(invalid_messages_are_dropped),
		CASE(solicitations_for_others_go_to_the_kernel),
		CASE(advertisements_go_to_the_manager),
		CASE(router_messages_go_to_the_kernel),
		CASE(built_solicitations_are_as_they_should_be),
		CASE(only_valid_advertisements_are_read),
		CASE(only_solicitations_that_say_something_are_read),
		CASE(who_asks_from_another_mac_is_noticed),
	};

	(void)argc;
	return net_eal(argv[0]) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
