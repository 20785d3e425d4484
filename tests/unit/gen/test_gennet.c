/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP and NDP of the generator: what it answers, whom, and what it learns; frames that are wrong change nothing. */
#include "base/csum.h"
#include "gennet.h"
#include "net/arp.h"
#include "net/ndp.h"
#include "unit.h"

#include <rte_arp.h>
#include <rte_ip.h>

#include <arpa/inet.h>

static const struct rte_ether_addr own_mac = {{2, 0, 0, 0, 0, 1}}, peer_mac = {{2, 0, 0, 0, 0, 9}};
static struct {
	struct rte_mbuf m;
	uint8_t room[512];
} buf;
static struct gennet g;

static struct rte_mbuf *mbuf_of(const uint8_t *frame, unsigned n)
{
	struct rte_mbuf *m = &buf.m;

	memset(m, 0, sizeof(*m));
	m->buf_addr = buf.room;
	m->buf_len = sizeof(buf.room);
	m->data_off = 64;
	m->nb_segs = 1;
	m->data_len = (uint16_t)n;
	m->pkt_len = n;
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), frame, n);
	return m;
}

static void begin(const char *words)
{
	char line[256], err[256], *argv[32] = {NULL};
	struct genopt o;
	int argc = 0;

	snprintf(line, sizeof(line), "millrace-bench flood --port net_ring0 --rate 1 %s", words);
	for (char *at = strtok(line, " "); at != NULL; at = strtok(NULL, " "))
		argv[argc++] = at;
	if (genopt_parse(&o, argc, argv, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	gennet_init(&g, &o);
}

#define FOUR "--target 10.1.0.80:80 --client 10.1.128.0/24 --own 10.1.64.0/25"
#define SIX "--target [fd00:1::80]:80 --client fd00:1:1::/64 --own fd00:1:2::7 --size 128"

static enum gennet_verdict ask4(const char *whom)
{
	uint8_t frame[64], from[4] = {10, 1, 0, 1}, to[4];
	unsigned n;

	assert_int_equal(inet_pton(AF_INET, whom, to), 1);
	n = arp_request_build(frame, &peer_mac, from, to, NULL);
	return gennet_input(&g, &own_mac, mbuf_of(frame, n));
}

static void arp_is_answered_for_own_addresses(void **state)
{
	const struct rte_arp_hdr *a;
	struct neigh_claim c;

	(void)state;
	begin(FOUR);
	assert_int_equal(ask4("10.1.128.77"), GENNET_ANSWER);
	assert_true(arp_claim_parse(rte_pktmbuf_mtod(&buf.m, uint8_t *), buf.m.data_len, &c));
	assert_true(c.is_answer);
	assert_memory_equal(c.key.ip, ((const uint8_t[]){10, 1, 128, 77}), 4);
	assert_memory_equal(&c.mac, &own_mac, 6);
	assert_memory_equal(rte_pktmbuf_mtod(&buf.m, uint8_t *), &peer_mac, 6);
	a = rte_pktmbuf_mtod_offset(&buf.m, const struct rte_arp_hdr *, 14);
	assert_memory_equal(&a->arp_data.arp_tip, ((const uint8_t[]){10, 1, 0, 1}), 4);
	assert_int_equal(ask4("10.1.64.127"), GENNET_ANSWER);
	assert_int_equal(ask4("10.1.64.128"), GENNET_OTHER);
	assert_int_equal(ask4("10.1.129.1"), GENNET_OTHER);
	assert_int_equal(ask4("10.1.0.80"), GENNET_OTHER); /* the target itself */
}

static void the_targets_mac_is_learnt_by_arp(void **state)
{
	uint8_t frame[GENNET_FRAME_MAX];
	struct rte_arp_hdr *a = (struct rte_arp_hdr *)(void *)(frame + 14);
	unsigned n;

	(void)state;
	begin(FOUR);
	assert_false(g.has_mac);
	n = gennet_ask(&g, &own_mac, frame);
	assert_int_equal(n, 42);
	assert_memory_equal(&a->arp_data.arp_sip, ((const uint8_t[]){10, 1, 128, 1}), 4);
	/* becomes the answer */
	a->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	memcpy(&a->arp_data.arp_sip, (const uint8_t[]){10, 1, 0, 81}, 4);
	a->arp_data.arp_sha = peer_mac;
	assert_int_equal(gennet_input(&g, &own_mac, mbuf_of(frame, n)), GENNET_OTHER);
	assert_false(g.has_mac);
	memcpy(&a->arp_data.arp_sip, (const uint8_t[]){10, 1, 0, 80}, 4);
	assert_int_equal(gennet_input(&g, &own_mac, mbuf_of(frame, n - 1)), GENNET_OTHER);
	assert_int_equal(gennet_input(&g, &own_mac, mbuf_of(frame, n)), GENNET_HEARD);
	assert_true(g.has_mac);
	assert_memory_equal(&g.next_hop_mac, &peer_mac, 6);
	begin(FOUR " --target-mac 02:00:00:00:00:09");
	assert_true(g.has_mac);
}

static enum gennet_verdict ask6(const char *whom, unsigned cut, bool is_broken)
{
	uint8_t frame[128], from[16], to[16];
	unsigned n;

	assert_int_equal(inet_pton(AF_INET6, "fd00:1::1", from), 1);
	assert_int_equal(inet_pton(AF_INET6, whom, to), 1);
	n = ndp_solicit_build(frame, &peer_mac, from, to, NULL);
	frame[60] ^= is_broken;
	return gennet_input(&g, &own_mac, mbuf_of(frame, n - cut));
}

static void solicitations_are_answered(void **state)
{
	struct neigh_claim c;
	uint8_t want[16];

	(void)state;
	begin(SIX);
	assert_int_equal(ask6("fd00:1:1::55", 0, false), GENNET_ANSWER);
	assert_true(ndp_claim_parse(rte_pktmbuf_mtod(&buf.m, uint8_t *), buf.m.data_len, &c));
	assert_true(c.is_answer && c.is_override && c.has_mac);
	inet_pton(AF_INET6, "fd00:1:1::55", want);
	assert_memory_equal(c.key.ip, want, 16);
	assert_memory_equal(&c.mac, &own_mac, 6);
	assert_int_equal(ask6("fd00:1:2::7", 0, false), GENNET_ANSWER);
	assert_int_equal(ask6("fd00:1:2::8", 0, false), GENNET_OTHER);
	assert_int_equal(ask6("fd00:1:1::55", 0, true), GENNET_OTHER);
	for (unsigned cut = 1; cut < 86; cut++)
		assert_int_equal(ask6("fd00:1:1::55", cut, false), GENNET_OTHER);
}

static void the_targets_mac_is_learnt_by_ndp(void **state)
{
	uint8_t frame[GENNET_FRAME_MAX];
	struct gennet asker;
	unsigned n;

	(void)state;
	begin(SIX);
	asker = g;
	n = gennet_ask(&g, &own_mac, frame);
	assert_int_equal(n, 86);
	/* another one, whose own address it is, answers */
	g.own[0] = asker.next_hop;
	g.next_hop = asker.source;
	assert_int_equal(gennet_input(&g, &peer_mac, mbuf_of(frame, n)), GENNET_ANSWER);
	g = asker;
	assert_int_equal(gennet_input(&g, &own_mac, &buf.m), GENNET_HEARD);
	assert_memory_equal(&g.next_hop_mac, &peer_mac, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_is_answered_for_own_addresses),
		cmocka_unit_test(the_targets_mac_is_learnt_by_arp),
		cmocka_unit_test(solicitations_are_answered),
		cmocka_unit_test(the_targets_mac_is_learnt_by_ndp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
