/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a neighbour in virtual time: resolution, held packets, ageing, failure, and whose claims
 * change it. */
#include "base/csum.h"
#include "net/arp.h"
#include "net/neigh.h"
#include "netfix.h"
#include "unit.h"

#include <rte_byteorder.h>

#include <stdlib.h>

#define N_OUT_MAX 64
#define HOLD_MAX 8

struct fix {
	struct net net;
	struct neigh_table *t;
	struct tally *tally; /* the manager's */
	struct rte_mbuf *out[N_OUT_MAX];
	unsigned n_out;
	uint32_t now_ms;
};

static void on_output(void *ctx, unsigned iface, struct rte_mbuf *m)
{
	struct fix *f = ctx;

	assert_int_equal(iface, NET_WAN);
	assert_true(f->n_out < N_OUT_MAX);
	f->out[f->n_out++] = m;
}

static void table_up(struct fix *f, uint32_t n_slots)
{
	const struct neigh_params p = {.n_slots = n_slots,
		.hold_max = HOLD_MAX,
		.pool = f->net.pool,
		.ifaces = &f->net.ifaces,
		.tally = f->tally,
		.output = on_output,
		.output_ctx = f};

	neigh_table_destroy(&f->net.neigh); /* ours tells what it sends */
	assert_int_equal(neigh_table_create(&f->t, &p), 0);
}

static int up(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	net_up(&f.net);
	f.tally = tally_of(f.net.tallies, 1);
	f.now_ms = 10000;
	table_up(&f, 64);
	*state = &f;
	return 0;
}

/* Frees what was sent; returns how many frames that were. */
static unsigned forget_sent(struct fix *f)
{
	const unsigned n = f->n_out;

	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(f->out[i]);
	f->n_out = 0;
	return n;
}

static int down(void **state)
{
	struct fix *f = *state;

	forget_sent(f);
	neigh_table_destroy(&f->t);
	assert_int_equal(f->tally->held, f->tally->released);
	net_down(&f->net);
	return 0;
}

static struct neigh_key key_of(const char *ip)
{
	const struct mr_ip a = net_ip(ip);
	struct neigh_key k = {.family = a.family, .iface = NET_WAN};

	memcpy(k.ip, a.bytes, 16);
	return k;
}

static uint32_t find(const struct fix *f, const char *ip)
{
	const struct neigh_key k = key_of(ip), *keys[] = {&k};
	uint32_t ref;

	neigh_find_bulk(f->t, keys, 1, &ref);
	return ref;
}

static uint32_t pin(struct fix *f, const char *ip)
{
	const struct neigh_key k = key_of(ip);

	return neigh_pin(f->t, &k, f->now_ms);
}

/* Time goes on in the steps of the manager's loop. */
static void wait_ms(struct fix *f, uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i += 5) {
		f->now_ms += 5;
		neigh_run(f->t, f->net.addrs, f->now_ms);
	}
}

/* Gives the table a packet to send to next_hop; its first byte of payload is mark. */
static void hold(struct fix *f, const char *next_hop, uint32_t ref, uint8_t mark)
{
	uint8_t frame[64] = {[20] = mark};
	struct rte_mbuf *m = net_mbuf(&f->net, frame, sizeof(frame), 0);
	const struct mr_ip ip = net_ip(next_hop);
	struct pkt_note *note = pkt_note(m);

	note->kind = NOTE_HOLD;
	note->iface = NET_WAN;
	note->family = ip.family;
	note->neigh_ref = ref;
	memcpy(note->next_hop, ip.bytes, 16);
	neigh_hold(f->t, m, f->net.addrs, f->now_ms);
}

static void learn_frame(struct fix *f, unsigned iface, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = net_mbuf(&f->net, frame, len, 0);

	pkt_note(m)->kind = NOTE_NEIGH;
	pkt_note(m)->iface = (uint8_t)iface;
	neigh_learn(f->t, m, f->now_ms);
	rte_pktmbuf_free(m);
}

/* An ARP reply: ip is at 02:00:00:00:00:mac. */
static void answer4(struct fix *f, unsigned iface, const char *ip, uint8_t mac)
{
	const struct rte_ether_addr from = {.addr_bytes = {2, 0, 0, 0, 0, mac}};
	const struct rte_ether_addr us = {.addr_bytes = {2, 0, 0, 0, 0, 1}};
	uint8_t frame[42];

	arp_request_build(frame, &from, net_ip(ip).bytes, net_ip("192.0.2.1").bytes, &us);
	frame[21] = 2;
	learn_frame(f, iface, frame, sizeof(frame));
}

/* A gratuitous request. */
static void announce4(struct fix *f, const char *ip, uint8_t mac)
{
	const struct rte_ether_addr from = {.addr_bytes = {2, 0, 0, 0, 0, mac}};
	uint8_t frame[42];

	arp_request_build(frame, &from, net_ip(ip).bytes, net_ip(ip).bytes, NULL);
	learn_frame(f, NET_WAN, frame, sizeof(frame));
}

/* A neighbour advertisement with these flags; mac 0: without a MAC address. */
static void answer6(struct fix *f, const char *ip, uint8_t mac, uint8_t flags)
{
	const uint32_t l4_len = mac != 0 ? 32 : 24;
	uint32_t len;
	uint8_t *frame = net_bytes("020000000001 0200000000aa 86dd 60000000 0020 3aff"
				   "20010db8000100000000000000000009"
				   "20010db8000100000000000000000001 8800 0000 00000000"
				   "20010db8000100000000000000000009 0201 020000000000",
		&len);
	uint16_t sum;

	memcpy(frame + 22, net_ip(ip).bytes, 16);
	memcpy(frame + 62, net_ip(ip).bytes, 16);
	frame[58] = flags;
	frame[85] = mac;
	frame[19] = (uint8_t)l4_len;
	sum = csum_l4(frame + 22, frame + 38, 16, 58, frame + 54, l4_len);
	memcpy(frame + 56, &sum, 2);
	learn_frame(f, NET_WAN, frame, 54 + l4_len);
	free(frame);
}

/* Fails unless packets to ref would go to 02:00:00:00:00:mac (0: to nobody). */
static void expect_mac(const struct fix *f, uint32_t ref, uint8_t mac)
{
	struct rte_ether_addr to = {{0}};

	assert_int_equal(neigh_fill(f->t, ref, &to), mac != 0);
	if (mac != 0)
		assert_int_equal(to.addr_bytes[5], mac);
}

static void on_row(void *ctx, const struct neigh_key *k, const struct rte_ether_addr *mac,
	unsigned state, uint32_t age_ms)
{
	(void)k;
	(void)mac;
	(void)age_ms;
	*(unsigned *)ctx = state;
}

/* State of the only entry; 0 when there is none. */
static unsigned only_state(const struct fix *f)
{
	unsigned state = 0;

	neigh_walk(f->t, f->now_ms, on_row, &state);
	return state;
}

static void questions_are_a_second_apart_and_three(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "192.0.2.9");

	assert_int_equal(ref, find(f, "192.0.2.9"));
	assert_int_equal(only_state(f), MR_NEIGH_INCOMPLETE);
	expect_mac(f, ref, 0);
	wait_ms(f, 5);
	assert_int_equal(f->n_out, 1);
	net_expect(f->out[0],
		"ffffffffffff 020000000001 0806 0001 0800 06 04 0001"
		"020000000001 c0000201 000000000000 c0000209");
	wait_ms(f, 990);
	assert_int_equal(f->n_out, 1);
	wait_ms(f, 10);
	assert_int_equal(f->n_out, 2);
	wait_ms(f, 1000);
	assert_int_equal(f->n_out, 3);
	assert_int_equal(only_state(f), MR_NEIGH_INCOMPLETE);
	wait_ms(f, 1000);
	assert_int_equal(f->n_out, 3);
	assert_int_equal(only_state(f), MR_NEIGH_FAILED);
	/* pinned: asked again after a pause */
	wait_ms(f, 4900);
	assert_int_equal(forget_sent(f), 3);
	wait_ms(f, 200);
	assert_int_equal(f->n_out, 1);
	assert_int_equal(only_state(f), MR_NEIGH_INCOMPLETE);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	expect_mac(f, ref, 9);
	assert_int_equal(f->tally->generated, 4);
}

static void an_ipv6_neighbour_is_asked_by_its_group(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "2001:db8:1::9");

	wait_ms(f, 5);
	assert_int_equal(f->n_out, 1);
	net_expect(f->out[0],
		"3333ff000009 020000000001 86dd 60000000 0020 3aff"
		"20010db8000100000000000000000001 ff0200000000000000000001ff000009"
		"8700 1c17 00000000 20010db8000100000000000000000009 0101 020000000001");
	answer6(f, "2001:db8:1::9", 9, 0x60);
	expect_mac(f, ref, 9);
}

static void held_packets_go_out_in_order_with_the_answer(void **state)
{
	struct fix *f = *state;
	uint32_t ref;

	for (uint8_t i = 0; i < 5; i++)
		hold(f, "192.0.2.9", NEIGH_NONE, i);
	assert_int_equal(neigh_held(f->t), 5);
	assert_int_equal(forget_sent(f), 1); /* one question, at once */
	ref = find(f, "192.0.2.9");
	assert_int_not_equal(ref, NEIGH_NONE);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	assert_int_equal(f->n_out, 5);
	for (uint8_t i = 0; i < 5; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(f->out[i], const uint8_t *);

		assert_int_equal(frame[20], i);
		assert_int_equal(frame[5], 9);
	}
	assert_int_equal(neigh_held(f->t), 0);
	forget_sent(f);
	/* one that was on its way when the answer came */
	hold(f, "192.0.2.9", ref, 77);
	assert_int_equal(f->n_out, 1);
	assert_int_equal(rte_pktmbuf_mtod(f->out[0], const uint8_t *)[5], 9);
	assert_int_equal(f->tally->held, 5);
	assert_int_equal(f->tally->released, 5);
}

static void a_full_hold_queue_drops_the_newest(void **state)
{
	struct fix *f = *state;

	for (uint8_t i = 0; i < HOLD_MAX + 3; i++)
		hold(f, "192.0.2.9", NEIGH_NONE, i);
	assert_int_equal(neigh_held(f->t), HOLD_MAX);
	assert_int_equal(f->tally->drops[PKT_DROP_neigh_hold_full], 3);
	hold(f, "192.0.2.10", NEIGH_NONE, 1); /* another neighbour has its own queue */
	assert_int_equal(neigh_held(f->t), HOLD_MAX + 1);
	forget_sent(f);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	assert_int_equal(f->n_out, HOLD_MAX);
	assert_int_equal(rte_pktmbuf_mtod(f->out[HOLD_MAX - 1], const uint8_t *)[20], HOLD_MAX - 1);
	assert_int_equal(neigh_held(f->t), 1);
	/* the queue is usable again */
	hold(f, "192.0.2.9", NEIGH_NONE, 50);
	assert_int_equal(f->n_out, HOLD_MAX + 1);
}

static void who_does_not_answer_fails_and_is_forgotten(void **state)
{
	struct fix *f = *state;

	for (uint8_t i = 0; i < 3; i++)
		hold(f, "192.0.2.9", NEIGH_NONE, i);
	wait_ms(f, 2900);
	assert_int_equal(neigh_held(f->t), 3);
	wait_ms(f, 200);
	assert_int_equal(neigh_held(f->t), 0);
	assert_int_equal(f->tally->drops[PKT_DROP_neigh_failed], 3);
	assert_int_equal(only_state(f), MR_NEIGH_FAILED);
	assert_int_equal(forget_sent(f), 3);
	hold(f, "192.0.2.9", NEIGH_NONE, 9); /* no new storm of questions */
	assert_int_equal(f->n_out, 0);
	assert_int_equal(f->tally->drops[PKT_DROP_neigh_failed], 4);
	wait_ms(f, 5000);
	assert_int_equal(only_state(f), 0);
	assert_int_equal(find(f, "192.0.2.9"), NEIGH_NONE);
	hold(f, "192.0.2.9", NEIGH_NONE, 10); /* and asked for anew */
	assert_int_equal(f->n_out, 1);
}

static void a_late_answer_revives_a_failed_neighbour(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "192.0.2.9");

	wait_ms(f, 4000);
	assert_int_equal(only_state(f), MR_NEIGH_FAILED);
	expect_mac(f, ref, 0);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	expect_mac(f, ref, 9);
}

static void a_used_neighbour_is_probed_by_its_own_address(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "192.0.2.9");

	answer4(f, NET_WAN, "192.0.2.9", 0xaa);
	wait_ms(f, 29990);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	assert_int_equal(f->n_out, 0);
	wait_ms(f, 20);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	expect_mac(f, ref, 0xaa); /* still used while it is checked */
	assert_int_equal(f->n_out, 1);
	net_expect(f->out[0],
		"0200000000aa 020000000001 0806 0001 0800 06 04 0001"
		"020000000001 c0000201 000000000000 c0000209");
	answer4(f, NET_WAN, "192.0.2.9", 0xaa);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	assert_int_equal(forget_sent(f), 1);
	/* the next time it is silent: asked alone, then everybody is */
	wait_ms(f, 32500);
	assert_int_equal(f->n_out, 3);
	assert_int_equal(rte_pktmbuf_mtod(f->out[0], const uint8_t *)[0], 0x02);
	assert_int_equal(rte_pktmbuf_mtod(f->out[1], const uint8_t *)[0], 0xff);
	assert_int_equal(rte_pktmbuf_mtod(f->out[2], const uint8_t *)[0], 0xff);
	expect_mac(f, ref, 0xaa);
	wait_ms(f, 1000);
	assert_int_equal(only_state(f), MR_NEIGH_FAILED);
	expect_mac(f, ref, 0);
}

static void an_unused_neighbour_is_kept_five_minutes(void **state)
{
	struct fix *f = *state;
	struct rte_ether_addr mac;
	uint32_t ref, other;

	hold(f, "192.0.2.9", NEIGH_NONE, 0);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	forget_sent(f);
	ref = find(f, "192.0.2.9");
	wait_ms(f, 299000);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	assert_int_equal(f->n_out, 0); /* nobody uses it: nobody asks */
	wait_ms(f, 2000);
	assert_int_equal(only_state(f), 0);
	assert_int_equal(find(f, "192.0.2.9"), NEIGH_NONE);
	assert_false(neigh_fill(f->t, ref, &mac));
	/* whoever gets the slot next: the old reference is not theirs */
	for (unsigned i = 0; i < 200; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "192.0.2.%u", 10 + i);
		other = pin(f, ip);
		if (other == NEIGH_NONE)
			break;
		answer4(f, NET_WAN, ip, (uint8_t)(10 + i));
		assert_int_not_equal(other, ref);
		assert_false(neigh_fill(f->t, ref, &mac));
		if ((other & 0xffffff) == (ref & 0xffffff))
			break;
	}
}

static void use_by_workers_keeps_a_neighbour(void **state)
{
	struct fix *f = *state;
	uint32_t ref;

	hold(f, "192.0.2.9", NEIGH_NONE, 0);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	forget_sent(f);
	ref = find(f, "192.0.2.9");
	for (unsigned i = 0; i < 400; i++) {
		wait_ms(f, 1000);
		expect_mac(f, ref, 9); /* what a worker does */
		if (f->n_out > 0) {
			forget_sent(f);
			answer4(f, NET_WAN, "192.0.2.9", 9);
		}
	}
	assert_int_not_equal(only_state(f), 0);
}

static void only_known_neighbours_can_be_changed_by_claims(void **state)
{
	struct fix *f = *state;
	uint32_t ref;

	announce4(f, "192.0.2.9", 9);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	answer6(f, "2001:db8:1::9", 9, 0x20);
	assert_int_equal(only_state(f), 0);

	ref = pin(f, "192.0.2.9");
	answer4(f, NET_LAN, "192.0.2.9", 6); /* from another network */
	expect_mac(f, ref, 0);
	announce4(f, "192.0.2.9", 9);
	expect_mac(f, ref, 9);
	announce4(f, "192.0.2.9", 10); /* it moved to another box */
	expect_mac(f, ref, 10);
	announce4(f, "192.0.2.10", 11); /* another one's business */
	expect_mac(f, ref, 10);
}

static void an_advertisement_overrides_only_when_it_says_so(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "2001:db8:1::9");

	answer6(f, "2001:db8:1::9", 9, 0x40); /* first answer: no need to override */
	expect_mac(f, ref, 9);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	answer6(f, "2001:db8:1::9", 9, 0x40); /* the same again confirms */
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	answer6(f, "2001:db8:1::9", 66, 0x40); /* another claim makes doubt, no change */
	expect_mac(f, ref, 9);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	answer6(f, "2001:db8:1::9", 66, 0x00);
	expect_mac(f, ref, 9);
	wait_ms(f, 5);
	assert_int_equal(f->n_out, 1); /* asked at once */
	answer6(f, "2001:db8:1::9", 9, 0x40);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	answer6(f, "2001:db8:1::9", 12, 0x20); /* it moved, and says so */
	expect_mac(f, ref, 12);
}

/* A host may leave its MAC address out when it answers a probe, which was sent there (RFC 4861 4.4). */
static void an_answer_without_mac_confirms_the_one_known(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "2001:db8:1::9");

	answer6(f, "2001:db8:1::9", 0, 0x40);
	assert_int_equal(only_state(f), MR_NEIGH_INCOMPLETE);
	answer6(f, "2001:db8:1::9", 9, 0x40);
	wait_ms(f, 30010);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	assert_int_equal(f->n_out, 1);
	answer6(f, "2001:db8:1::9", 0, 0x20); /* unasked: says nothing */
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	answer6(f, "2001:db8:1::9", 0, 0x40);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	expect_mac(f, ref, 9);
	wait_ms(f, 29900);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	assert_int_equal(f->n_out, 1);
}

/* What nobody has asked for is used and verified. */
static void an_announced_mac_is_probed(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "192.0.2.9");

	answer4(f, NET_WAN, "192.0.2.9", 9);
	wait_ms(f, 20000);
	announce4(f, "192.0.2.9", 9); /* nothing new, and no proof that it hears us */
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	wait_ms(f, 10010);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	assert_int_equal(forget_sent(f), 1);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	wait_ms(f, 1000);

	announce4(f, "192.0.2.9", 0xbb);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
	expect_mac(f, ref, 0xbb);
	wait_ms(f, 5);
	assert_int_equal(f->n_out, 1);
	net_expect(f->out[0],
		"0200000000bb 020000000001 0806 0001 0800 06 04 0001"
		"020000000001 c0000201 000000000000 c0000209");
	for (unsigned i = 0; i < 100; i++) { /* many changes are no storm of probes */
		announce4(f, "192.0.2.9", i % 2 ? 0xbb : 0xcc);
		wait_ms(f, 5);
	}
	assert_int_equal(forget_sent(f), 1);
	wait_ms(f, 500);
	answer4(f, NET_WAN, "192.0.2.9", 0xbb);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
}

static void malformed_claims_change_nothing(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "192.0.2.9");
	const struct rte_ether_addr from = {.addr_bytes = {2, 0, 0, 0, 0, 9}};
	uint8_t frame[42];

	arp_request_build(frame, &from, net_ip("192.0.2.9").bytes, net_ip("192.0.2.1").bytes, NULL);
	frame[21] = 3; /* RARP */
	learn_frame(f, NET_WAN, frame, 42);
	frame[21] = 2;
	for (uint32_t len = 0; len < 42; len++)
		learn_frame(f, NET_WAN, frame, len);
	frame[22] = 3; /* a group's MAC address */
	learn_frame(f, NET_WAN, frame, 42);
	expect_mac(f, ref, 0);
	assert_int_equal(only_state(f), MR_NEIGH_INCOMPLETE);
}

static void a_full_table_is_a_counted_drop(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;
	char ip[32];

	neigh_table_destroy(&f->t);
	table_up(f, 8);
	for (n = 0; n < 20; n++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", 10 + n);
		if (pin(f, ip) == NEIGH_NONE)
			break;
	}
	assert_int_equal(n, 8);
	hold(f, "192.0.2.99", NEIGH_NONE, 0);
	assert_int_equal(f->tally->drops[PKT_DROP_neigh_table_full], 1);
	assert_int_not_equal(pin(f, "192.0.2.10"), NEIGH_NONE); /* known ones still */
	/* a place that is free again can be taken */
	neigh_unpin(f->t, find(f, "192.0.2.10"));
	neigh_unpin(f->t, find(f, "192.0.2.10"));
	for (unsigned i = 0; i < 10; i++) {
		wait_ms(f, 1000);
		forget_sent(f);
	}
	assert_int_not_equal(pin(f, "192.0.2.99"), NEIGH_NONE);
}

static void a_stale_reference_falls_back_to_the_address(void **state)
{
	struct fix *f = *state;
	const uint32_t ref = pin(f, "192.0.2.9");

	hold(f, "192.0.2.77", ref ^ 0x01000000, 1); /* another age of the slot */
	assert_int_not_equal(find(f, "192.0.2.77"), NEIGH_NONE);
	forget_sent(f);
	answer4(f, NET_WAN, "192.0.2.77", 77);
	assert_int_equal(f->n_out, 1);
	assert_int_equal(rte_pktmbuf_mtod(f->out[0], const uint8_t *)[5], 77);
}

static void a_family_without_address_is_not_asked(void **state)
{
	struct fix *f = *state;
	const struct addr_spec spec = {.ifaces = &f->net.ifaces};
	struct addr_conf *none = NULL, *kept = f->net.addrs;
	struct mr_error err;

	assert_int_equal(addr_conf_create(&none, &spec, &err), 0);
	f->net.addrs = none;
	hold(f, "192.0.2.9", NEIGH_NONE, 0);
	wait_ms(f, 3100);
	assert_int_equal(f->n_out, 0);
	assert_int_equal(f->tally->drops[PKT_DROP_neigh_failed], 1);
	f->net.addrs = kept;
	addr_conf_destroy(&none);
}

static void time_may_wrap(void **state)
{
	struct fix *f = *state;

	f->now_ms = UINT32_MAX - 1500;
	hold(f, "192.0.2.9", NEIGH_NONE, 0);
	wait_ms(f, 2500);
	assert_int_equal(f->n_out, 3);
	answer4(f, NET_WAN, "192.0.2.9", 9);
	wait_ms(f, 29000);
	assert_int_equal(only_state(f), MR_NEIGH_REACHABLE);
	wait_ms(f, 2000);
	assert_int_equal(only_state(f), MR_NEIGH_STALE);
}

static void destroying_frees_what_is_held(void **state)
{
	struct fix *f = *state;

	for (uint8_t i = 0; i < 4; i++)
		hold(f, "192.0.2.9", NEIGH_NONE, i);
	neigh_table_destroy(&f->t);
	assert_null(f->t);
	assert_int_equal(f->tally->drops[PKT_DROP_neigh_failed], 4);
	neigh_table_destroy(&f->t); /* NULL-safe */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(questions_are_a_second_apart_and_three),
		CASE(an_ipv6_neighbour_is_asked_by_its_group),
		CASE(held_packets_go_out_in_order_with_the_answer),
		CASE(a_full_hold_queue_drops_the_newest),
		CASE(who_does_not_answer_fails_and_is_forgotten),
		CASE(a_late_answer_revives_a_failed_neighbour),
		CASE(a_used_neighbour_is_probed_by_its_own_address),
		CASE(an_unused_neighbour_is_kept_five_minutes),
		CASE(use_by_workers_keeps_a_neighbour),
		CASE(only_known_neighbours_can_be_changed_by_claims),
		CASE(an_advertisement_overrides_only_when_it_says_so),
		CASE(an_answer_without_mac_confirms_the_one_known),
		CASE(an_announced_mac_is_probed),
		CASE(malformed_claims_change_nothing),
		CASE(a_full_table_is_a_counted_drop),
		CASE(a_stale_reference_falls_back_to_the_address),
		CASE(a_family_without_address_is_not_asked),
		CASE(time_may_wrap),
		CASE(destroying_frees_what_is_held),
	};

	(void)argc;
	return net_eal(argv[0]) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
