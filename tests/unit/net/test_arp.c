/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP, byte for byte: which requests are answered and how, what goes to the manager, what is somebody
 * else's business, and which claims are believed. */
#include "net/arp.h"
#include "netfix.h"
#include "unit.h"

#include <stdlib.h>

/* made with another program; 02:..:aa is 192.0.2.9 */
#define BROADCAST "ffffffffffff 0200000000aa 0806"
#define TO_WAN "020000000001 0200000000aa 0806"
#define FROM_WAN "0200000000aa 020000000001 0806"
#define REQUEST " 0001 0800 06 04 0001 0200000000aa c0000209 000000000000 "
#define REPLY " 0001 0800 06 04 0002 "

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

static void requests_for_ours_become_their_replies(void **state)
{
	static const char *const ours[] = {"c0000201", "cb00710a", "0a00ff01", "0a000001"};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(ours); i++) {
		char request[256], reply[256];
		struct rte_mbuf *m;

		snprintf(request, sizeof(request), BROADCAST REQUEST "%s", ours[i]);
		snprintf(reply, sizeof(reply),
			FROM_WAN REPLY "020000000001 %s 0200000000aa c0000209", ours[i]);
		m = net_receive(n, NET_WAN, request, 0);
		assert_int_equal(n->b->p[0].verdict, PKT_ARP);
		arp_input(n->w, n->addrs, n->b, 0);
		assert_int_equal(n->b->p[0].verdict, PKT_TX);
		assert_int_equal(n->b->p[0].out_iface, NET_WAN);
		net_expect(m, reply);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n->w->tally->arp_replies, RTE_DIM(ours));
}

static void the_answer_has_the_mac_of_the_port_asked(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = net_receive(n, NET_LAN, BROADCAST REQUEST "cb00710a", 0);

	arp_input(n->w, n->addrs, n->b, 0);
	assert_int_equal(n->b->p[0].out_iface, NET_LAN);
	net_expect(m,
		"0200000000aa 020000000002 0806" REPLY
		"020000000002 cb00710a 0200000000aa c0000209");
	rte_pktmbuf_free(m);
}

static void padding_of_a_request_is_harmless(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = net_receive(
		n, NET_WAN, BROADCAST REQUEST "c0000201 000000000000000000000000000000000000", 0);

	arp_input(n->w, n->addrs, n->b, 0);
	assert_int_equal(n->b->p[0].verdict, PKT_TX);
	net_expect(m,
		FROM_WAN REPLY "020000000001 c0000201 0200000000aa c0000209"
			       "000000000000000000000000000000000000");
	rte_pktmbuf_free(m);
}

static void others_business_goes_to_the_kernel_unchanged(void **state)
{
	static const char *const frames[] = {
		BROADCAST REQUEST "c0000263", /* another host */
		BROADCAST " 0006 0800 06 04 0001 0200000000aa c0000209 000000000000 c0000201",
		BROADCAST " 0001 86dd 06 04 0001 0200000000aa c0000209 000000000000 c0000201",
		BROADCAST " 0001 0800 08 04 0001 0200000000aa c0000209 000000000000 c0000201",
		BROADCAST " 0001 0800 06 10 0001 0200000000aa c0000209 000000000000 c0000201",
		BROADCAST
		" 0001 0800 06 04 0003 0200000000aa c0000209 000000000000 c0000201", /* RARP */
		BROADCAST " 0001 0800 06 04 0000 0200000000aa c0000209 000000000000 c0000201",
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(frames); i++) {
		struct rte_mbuf *m = net_receive(n, NET_WAN, frames[i], 0);

		arp_input(n->w, n->addrs, n->b, 0);
		assert_int_equal(n->b->p[0].verdict, PKT_PUNT);
		assert_int_equal(n->b->p[0].punt_class, PUNT_NEIGH);
		net_expect(m, frames[i]);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n->w->tally->arp_replies, 0);
}

static void short_messages_are_dropped_at_every_length(void **state)
{
	struct net *n = *state;
	uint32_t len;
	uint8_t *f = net_bytes(BROADCAST REQUEST "c0000201", &len);

	for (uint32_t cut = 14; cut < len; cut++) {
		n->b->m[0] = net_mbuf(n, f, cut, 0);
		n->b->n = 1;
		memset(&n->b->p[0], 0, sizeof(n->b->p[0]));
		arp_input(n->w, n->addrs, n->b, 0);
		assert_int_equal(n->b->p[0].verdict, PKT_DROP);
		assert_int_equal(n->b->p[0].drop, PKT_DROP_short_frame);
		rte_pktmbuf_free(n->b->m[0]);
	}
	free(f);
}

static void replies_and_announcements_go_to_the_manager(void **state)
{
	static const char *const frames[] = {
		TO_WAN REPLY "0200000000aa c0000209 020000000001 c0000201",
		BROADCAST REQUEST "c0000209", /* gratuitous */
		BROADCAST REPLY "0200000000aa c0000209 0200000000aa c0000209",
		/* somebody claims our own address: the kernel sees it too */
		BROADCAST " 0001 0800 06 04 0001 0200000000aa c0000201 000000000000 c0000201",
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(frames); i++) {
		struct rte_mbuf *m = net_receive(n, NET_WAN, frames[i], 0);

		arp_input(n->w, n->addrs, n->b, 0);
		assert_int_equal(n->b->p[0].verdict, PKT_GONE);
		assert_ptr_equal(net_at_manager(n), m);
		assert_int_equal(pkt_note(m)->kind, NOTE_NEIGH);
		assert_int_equal(pkt_note(m)->iface, NET_WAN);
		net_expect(m, frames[i]);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n->w->tally->arp_replies, 0);
}

static void ask(struct net *n, const char *hex, unsigned verdict, bool is_noticed)
{
	struct rte_mbuf *m = net_receive(n, NET_WAN, hex, 0), *copy;

	arp_input(n->w, n->addrs, n->b, 0);
	assert_int_equal(n->b->p[0].verdict, verdict);
	rte_pktmbuf_free(m);
	copy = net_at_manager(n);
	assert_int_equal(copy != NULL, is_noticed);
	if (copy == NULL)
		return;
	assert_int_equal(pkt_note(copy)->kind, NOTE_LEARN);
	assert_int_equal(pkt_note(copy)->iface, NET_WAN);
	net_expect(copy, hex);
	neigh_learn(n->neigh, copy, 5000);
	rte_pktmbuf_free(copy);
}

/* RFC 826: whoever asks says where it is. The manager hears of it when it is not what we know. */
static void who_asks_from_another_mac_is_noticed(void **state)
{
	static const char to_us[] = BROADCAST REQUEST "c0000201";
	static const char to_another[] = BROADCAST REQUEST "c0000263";
	static const char moved[] =
		BROADCAST " 0001 0800 06 04 0001 0200000000bb c0000209 000000000000 c0000263";
	struct net *n = *state;
	struct neigh_key k = {.family = 4, .iface = NET_WAN, .ip = {192, 0, 2, 9}};
	struct rte_ether_addr mac = {0};
	uint32_t ref;

	ask(n, to_us, PKT_TX, false); /* nobody has asked for it */
	ref = neigh_pin(n->neigh, &k, 5000);
	ask(n, to_us, PKT_TX, true);
	ask(n, to_us, PKT_TX, false);
	ask(n, to_another, PKT_PUNT, false);
	assert_true(neigh_fill(n->neigh, ref, &mac));
	assert_int_equal(mac.addr_bytes[5], 0xaa);
	ask(n, moved, PKT_PUNT, true);
	ask(n, moved, PKT_PUNT, false);
	assert_true(neigh_fill(n->neigh, ref, &mac));
	assert_int_equal(mac.addr_bytes[5], 0xbb);
	assert_int_equal(n->w->tally->generated, 2);
}

static void a_full_way_to_the_manager_is_a_counted_drop(void **state)
{
	struct net *n = *state;
	unsigned n_sent = 0;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < 100; i++) {
		net_receive(
			n, NET_WAN, TO_WAN REPLY "0200000000aa c0000209 020000000001 c0000201", 0);
		arp_input(n->w, n->addrs, n->b, 0);
	}
	while ((m = net_at_manager(n)) != NULL) {
		rte_pktmbuf_free(m);
		n_sent++;
	}
	assert_true(n_sent > 0 && n_sent < 100);
	assert_int_equal(n->w->tally->drops[PKT_DROP_mailbox_full], 100 - n_sent);
}

static void built_requests_are_as_they_should_be(void **state)
{
	const struct rte_ether_addr us = {.addr_bytes = {2, 0, 0, 0, 0, 1}};
	const struct rte_ether_addr them = {.addr_bytes = {2, 0, 0, 0, 0, 0xaa}};
	const struct mr_ip src = net_ip("192.0.2.1"), target = net_ip("192.0.2.9");
	uint32_t len;
	uint8_t *buf = malloc(42), *want;

	(void)state;
	want = net_bytes("ffffffffffff 020000000001 0806 0001 0800 06 04 0001"
			 "020000000001 c0000201 000000000000 c0000209",
		&len);
	assert_int_equal(arp_request_build(buf, &us, src.bytes, target.bytes, NULL), len);
	assert_memory_equal(buf, want, len);
	assert_int_equal(arp_request_build(buf, &us, src.bytes, target.bytes, &them), len);
	memcpy(want, &them, 6);
	assert_memory_equal(buf, want, len);
	free(want);
	free(buf);
}

static void only_valid_claims_are_read(void **state)
{
	static const struct {
		const char *hex;
		bool is_valid, is_answer;
	} rows[] = {
		{TO_WAN REPLY "0200000000aa c0000209 020000000001 c0000201", true, true},
		{BROADCAST REQUEST "c0000209", true, false},
		{BROADCAST REPLY "0200000000aa c0000209 ffffffffffff c0000209", true, false},
		{BROADCAST REPLY "0200000000aa c0000209 ffffffffffff ffffffff", true, false},
		{BROADCAST REQUEST "c0000201", true, false},
		{BROADCAST " 0001 0800 06 04 0003 0200000000aa c0000209 000000000000 c0000201",
			false, false}, /* RARP */
		{TO_WAN REPLY "0300000000aa c0000209 020000000001 c0000201", false,
			false}, /* group */
		{TO_WAN REPLY "ffffffffffff c0000209 020000000001 c0000201", false, false},
		{TO_WAN REPLY "000000000000 c0000209 020000000001 c0000201", false, false},
		{TO_WAN " 0001 0800 06 06 0002 0200000000aa c0000209 020000000001 c0000201", false,
			false},
		{TO_WAN " 0006 0800 06 04 0002 0200000000aa c0000209 020000000001 c0000201", false,
			false},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct neigh_claim c;
		uint32_t len;
		uint8_t *f = net_bytes(rows[i].hex, &len);

		assert_int_equal(arp_claim_parse(f, len, &c), rows[i].is_valid);
		if (rows[i].is_valid) {
			assert_int_equal(c.key.family, 4);
			assert_memory_equal(c.key.ip, net_ip("192.0.2.9").bytes, 16);
			assert_true(c.has_mac && c.is_override);
			assert_int_equal(c.mac.addr_bytes[5], 0xaa);
			assert_int_equal(c.is_answer, rows[i].is_answer);
		}
		for (uint32_t cut = 0; cut < len; cut++) {
			uint8_t *part = malloc(cut ? cut : 1);

			memcpy(part, f, cut);
			assert_false(arp_claim_parse(part, cut, &c));
			free(part);
		}
		free(f);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(requests_for_ours_become_their_replies),
		CASE(the_answer_has_the_mac_of_the_port_asked),
		CASE(padding_of_a_request_is_harmless),
		CASE(others_business_goes_to_the_kernel_unchanged),
		CASE(short_messages_are_dropped_at_every_length),
		CASE(replies_and_announcements_go_to_the_manager),
		CASE(who_asks_from_another_mac_is_noticed),
		CASE(a_full_way_to_the_manager_is_a_counted_drop),
		CASE(built_requests_are_as_they_should_be),
		CASE(only_valid_claims_are_read),
	};

	(void)argc;
	return net_eal(argv[0]) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
