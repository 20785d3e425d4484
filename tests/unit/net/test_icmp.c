/* SPDX-License-Identifier: BSD-3-Clause */
/* Echo replies of both families byte for byte, their limit, and what is left to the kernel. */
#include "base/csum.h"
#include "net/icmp.h"
#include "net/icmp_pvt.h"
#include "net/toobig.h"
#include "netfix.h"
#include "unit.h"

#define TO_WAN "020000000001 0200000000aa "
#define FROM_WAN "0200000000aa 020000000001 "
#define HELLO " 00070001 68656c6c6f20776f726c64"
#define ECHO4 "0800 45000027 00050000 1101 "
#define REPLY4 "0800 45000027 00050000 4001 "
#define CLIENT4 "c0000209"
#define CLIENT6 "20010db8000100000000000000000009"
#define OWN6 "20010db8000100000000000000000001"
#define VIP6 "20010db8000f00000000000000000010"
#define ECHO6 "86dd 60000000 0013 3a11 " CLIENT6
#define REPLY6 "86dd 60000000 0013 3a40 "

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

/* The packet through the function that the pipeline would call for it. */
static struct rte_mbuf *input(struct net *n, const char *hex, enum addr_kind kind)
{
	struct rte_mbuf *m = net_receive(n, NET_WAN, hex, 0);

	assert_int_equal(n->b->p[0].verdict, PKT_UNSEEN);
	if (n->b->p[0].family == 4)
		icmp4_input(n->w, n->addrs, n->b, 0, kind);
	else
		icmp6_input(n->w, n->addrs, n->b, 0, kind);
	return m;
}

static void echo_requests_become_their_replies(void **state)
{
	static const struct {
		enum addr_kind kind;
		const char *request, *reply;
	} rows[] = {
		{ADDR_OWN, TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0800 6629" HELLO,
			FROM_WAN REPLY4 "f6c6 c0000201" CLIENT4 "0000 6e29" HELLO},
		{ADDR_VIP, TO_WAN ECHO4 "abbd" CLIENT4 "cb00710a 0800 6629" HELLO,
			FROM_WAN REPLY4 "7cbd cb00710a" CLIENT4 "0000 6e29" HELLO},
		{ADDR_SNAT, TO_WAN ECHO4 "dec6" CLIENT4 "0a00ff01 0800 6629" HELLO,
			FROM_WAN REPLY4 "afc6 0a00ff01" CLIENT4 "0000 6e29" HELLO},
		/* with options: they stay */
		{ADDR_OWN,
			TO_WAN "0800 4600002b 00050000 1101 22c1" CLIENT4
			       "c0000201 01010101 0800 6629" HELLO,
			FROM_WAN "0800 4600002b 00050000 4001 f3c0 c0000201" CLIENT4
				 "01010101 0000 6e29" HELLO},
		{ADDR_OWN, TO_WAN ECHO6 OWN6 "8000 925d" HELLO,
			FROM_WAN REPLY6 OWN6 CLIENT6 "8100 915d" HELLO},
		{ADDR_VIP, TO_WAN ECHO6 VIP6 "8000 9240" HELLO,
			FROM_WAN REPLY6 VIP6 CLIENT6 "8100 9140" HELLO},
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *m = input(n, rows[i].request, rows[i].kind);

		assert_int_equal(n->b->p[0].verdict, PKT_TX);
		assert_int_equal(n->b->p[0].out_iface, NET_WAN);
		net_expect(m, rows[i].reply);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n->w->tally->echo_replies, RTE_DIM(rows));
}

static void padding_does_not_come_back(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = input(n,
		TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0800 6629" HELLO "00000000000000", ADDR_OWN);

	net_expect(m, FROM_WAN REPLY4 "f6c6 c0000201" CLIENT4 "0000 6e29" HELLO);
	rte_pktmbuf_free(m);
}

static void any_checksum_of_a_request_gives_a_right_reply(void **state)
{
	struct net *n = *state;
	const unsigned l4 = 34, len = 19;

	/* the field after the change wraps at 0800: all identifiers reach both sides of it */
	for (uint32_t id = 0; id <= 0xffff; id += 13) {
		struct rte_mbuf *m = net_receive(
			n, NET_WAN, TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0800 0000" HELLO, 0);
		uint8_t *icmp = rte_pktmbuf_mtod_offset(m, uint8_t *, l4);
		uint16_t sum;

		icmp[4] = (uint8_t)(id >> 8);
		icmp[5] = (uint8_t)id;
		sum = csum_of(icmp, len);
		memcpy(icmp + 2, &sum, 2);
		n->w->echo_budget.n = 0;
		icmp4_input(n->w, n->addrs, n->b, 0, ADDR_OWN);
		assert_int_equal(n->b->p[0].verdict, PKT_TX);
		assert_int_equal(csum_of(icmp, len), 0);
		rte_pktmbuf_free(m);
	}
}

static void a_wrong_checksum_stays_wrong(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m =
		input(n, TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0800 6628" HELLO, ADDR_OWN);

	assert_int_not_equal(csum_of(rte_pktmbuf_mtod_offset(m, uint8_t *, 34), 19), 0);
	rte_pktmbuf_free(m);
}

static void replies_have_a_budget_for_each_second(void **state)
{
	struct net *n = *state;
	uint32_t n_replies = 0, n_limited = 0;

	for (uint32_t i = 0; i < 70000; i++) {
		struct pkt *p = &n->b->p[0];
		struct rte_mbuf *m;

		if (i > 10 && i < 65000) { /* the budget itself is a counter: skip most of it */
			n->w->echo_budget.n++;
			n_replies++;
			continue;
		}
		m = input(n,
			i % 2 ? TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0800 6629" HELLO
			      : TO_WAN ECHO6 OWN6 "8000 925d" HELLO,
			ADDR_OWN);
		n_replies += p->verdict == PKT_TX;
		n_limited += p->verdict == PKT_DROP && p->drop == PKT_DROP_icmp_limited;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n_replies, 65536);
	assert_int_equal(n_limited, 70000 - 65536);
	n->w->now_ms += 1000;
	rte_pktmbuf_free(
		input(n, TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0800 6629" HELLO, ADDR_OWN));
	assert_int_equal(n->b->p[0].verdict, PKT_TX);
}

/* The same budget: a flood of packets that do not fit is not answered by one of messages. */
static void too_big_messages_have_a_budget(void **state)
{
	static const char large[] =
		TO_WAN "0800 45000027 00054000 1101 e5c6" CLIENT4 "c0000201 0800 6629" HELLO;
	struct net *n = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct rte_mbuf *m = net_receive(n, NET_WAN, large, 100);
		const struct pkt *p = &n->b->p[0];

		assert_int_equal(p->verdict, PKT_UNSEEN);
		m->data_off += 100; /* the room goes in front, where a NIC leaves some */
		memmove(rte_pktmbuf_mtod(m, void *), rte_pktmbuf_mtod_offset(m, void *, -100),
			m->data_len);
		n->w->echo_budget.since_ms = n->w->now_ms;
		n->w->echo_budget.n = ICMP_ECHO_PER_SEC - 1 + i;
		toobig_reply(n->w, n->b, 0, 1400);
		assert_int_equal(p->verdict, i == 0 ? PKT_REPLY : PKT_DROP);
		if (i == 1)
			assert_int_equal(p->drop, PKT_DROP_icmp_limited);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n->w->tally->too_big_replies, 1);
}

static void the_rest_is_the_kernels_or_dropped(void **state)
{
	static const char unreach[] = TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0301 0000" HELLO;
	static const char echo_reply[] = TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0000 6e29" HELLO;
	static const char code[] = TO_WAN ECHO4 "25c7" CLIENT4 "c0000201 0801 6628" HELLO;
	static const char first[] =
		TO_WAN "0800 45000027 00052000 1101 05c7" CLIENT4 "c0000201 0800 6629" HELLO;
	/* only bytes of the middle of a message, fewer than an ICMP header */
	static const char later[] =
		TO_WAN "0800 45000016 00050005 1101 25d3" CLIENT4 "c0000201 0800";
	static const char broadcast[] =
		"ffffffffffff 0200000000aa" ECHO4 "25c7" CLIENT4 "c0000201 0800 6629" HELLO;
	static const char too_big6[] = TO_WAN ECHO6 OWN6 "0200 0000" HELLO;
	static const char reply6[] = TO_WAN ECHO6 OWN6 "8100 915d" HELLO;
	static const char first6[] =
		TO_WAN "86dd 60000000 001b 2c40" CLIENT6 OWN6 "3a000001 00000009 8000 925d" HELLO;
	static const char later6[] =
		TO_WAN "86dd 60000000 000a 2c40" CLIENT6 OWN6 "3a000008 00000009 8000";
	static const struct {
		const char *hex;
		enum addr_kind kind;
		uint8_t verdict, what; /* punt class or drop reason */
	} rows[] = {
		{unreach, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{unreach, ADDR_VIP, PKT_DROP, PKT_DROP_icmp_unsupported},
		{unreach, ADDR_SNAT, PKT_DROP, PKT_DROP_icmp_unsupported},
		{echo_reply, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{echo_reply, ADDR_VIP, PKT_DROP, PKT_DROP_icmp_unsupported},
		{code, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{first, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{first, ADDR_VIP, PKT_DROP, PKT_DROP_icmp_unsupported},
		{later, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{broadcast, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{too_big6, ADDR_OWN, PKT_PUNT, PUNT_TOO_BIG},
		{too_big6, ADDR_VIP, PKT_DROP, PKT_DROP_icmp_unsupported},
		{too_big6, ADDR_NONE, PKT_PUNT, PUNT_OTHER}, /* to a group */
		{reply6, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{reply6, ADDR_SNAT, PKT_DROP, PKT_DROP_icmp_unsupported},
		{first6, ADDR_OWN, PKT_PUNT, PUNT_OWN},
		{first6, ADDR_VIP, PKT_DROP, PKT_DROP_icmp_unsupported},
		{later6, ADDR_OWN, PKT_PUNT, PUNT_OWN},
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *m = input(n, rows[i].hex, rows[i].kind);

		assert_int_equal(n->b->p[0].verdict, rows[i].verdict);
		assert_int_equal(
			rows[i].verdict == PKT_PUNT ? n->b->p[0].punt_class : n->b->p[0].drop,
			rows[i].what);
		net_expect(m, rows[i].hex);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n->w->tally->echo_replies, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(echo_requests_become_their_replies),
		CASE(padding_does_not_come_back),
		CASE(any_checksum_of_a_request_gives_a_right_reply),
		CASE(a_wrong_checksum_stays_wrong),
		CASE(replies_have_a_budget_for_each_second),
		CASE(too_big_messages_have_a_budget),
		CASE(the_rest_is_the_kernels_or_dropped),
	};

	(void)argc;
	return net_eal(argv[0]) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
