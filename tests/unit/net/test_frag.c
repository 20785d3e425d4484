/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments against a model that keeps a byte map of each datagram: random pieces, whole and
 * broken, in random order and time, of both families; what becomes of each, what is held, what
 * follows its first one and in which order.
 */
#include "base/csum.h"
#include "net/frag.h"
#include "net/parse.h"
#include "netfix.h"
#include "unit.h"

#include <rte_ip.h>

#define N_SOURCES 4u /* the odd ones over IPv6 */
#define N_IDS 3u
#define BYTES_MAX 512u
#define RANGES_MAX 12u
#define N_PIECES 60000u

struct datagram { /* the model */
	bool is_there, is_known, is_spoilt;
	uint32_t since_ms;
	uint32_t end; /* 0: not known */
	uint8_t seen[BYTES_MAX + 1];
	unsigned n_held;
	uint32_t held[FRAG_HELD_DATAGRAM_MAX]; /* serial numbers */
};

struct piece {
	unsigned source, id;
	uint32_t from, to;
	bool is_last;
	uint32_t serial;
};

static struct datagram datagrams[N_SOURCES][N_IDS];
static uint64_t n_lost; /* held ones that the model dropped */

static int up(void **state)
{
	static struct net n;

	memset(datagrams, 0, sizeof(datagrams));
	n_lost = 0;
	net_up(&n);
	*state = &n;
	return 0;
}

static int down(void **state)
{
	net_down(*state);
	return 0;
}

static uint32_t random_below(uint32_t n)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)((x >> 11) % n);
}

/* --- frames --- */

static rte_be16_t port_of(const struct piece *x)
{
	return rte_cpu_to_be_16((uint16_t)(1000 + x->source * 10 + x->id));
}

static uint32_t build4(uint8_t *at, const struct piece *x)
{
	struct rte_ipv4_hdr *ip = (void *)at;

	memset(ip, 0, sizeof(*ip));
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + x->to - x->from));
	ip->packet_id = rte_cpu_to_be_16((uint16_t)x->id);
	ip->fragment_offset = rte_cpu_to_be_16((uint16_t)(x->from / 8 | (x->is_last ? 0 : 0x2000)));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(0xc0000264 + x->source);
	ip->dst_addr = RTE_BE32(0xcb00710a);
	ip->hdr_checksum = csum_of(ip, sizeof(*ip));
	return sizeof(*ip);
}

static uint32_t build6(uint8_t *at, const struct piece *x)
{
	struct rte_ipv6_hdr *ip = (void *)at;
	const uint32_t id = rte_cpu_to_be_32(x->id);

	memset(ip, 0, sizeof(*ip) + 8);
	ip->vtc_flow = RTE_BE32(0x60000000);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(8 + x->to - x->from));
	ip->proto = IPPROTO_FRAGMENT;
	ip->hop_limits = 64;
	ip->src_addr[0] = 0x20;
	ip->src_addr[7] = ip->src_addr[15] = (uint8_t)x->source;
	ip->dst_addr[0] = 0x20;
	at += sizeof(*ip);
	at[0] = IPPROTO_UDP;
	at[2] = (uint8_t)(x->from >> 8);
	at[3] = (uint8_t)(x->from | (x->is_last ? 0 : 1));
	memcpy(at + 4, &id, 4);
	return sizeof(*ip) + 8;
}

/* The piece as the only packet of the burst. Its serial number is its last four bytes. */
static void receive(struct net *n, const struct piece *x)
{
	uint8_t frame[14 + 48 + BYTES_MAX] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xaa, 8};
	uint32_t len = 14;

	if (x->source % 2 != 0) {
		frame[12] = 0x86;
		frame[13] = 0xdd;
		len += build6(frame + len, x);
	} else {
		len += build4(frame + len, x);
	}
	memset(frame + len, 0, x->to - x->from);
	if (x->from == 0) {
		const rte_be16_t udp[4] = {port_of(x), RTE_BE16(53), RTE_BE16(BYTES_MAX)};

		memcpy(frame + len, udp, sizeof(udp));
	}
	len += x->to - x->from;
	memcpy(frame + len - 4, &x->serial, 4);
	n->b->m[0] = net_mbuf(n, frame, len, 0);
	n->b->n = 1;
	n->b->in_iface = NET_WAN;
	parse_burst(n->b, &n->ifaces.of[NET_WAN].mac, NET_WAN);
	assert_int_equal(n->b->p[0].verdict, PKT_UNSEEN);
	assert_true(pkt_is_piece(&n->b->p[0]));
	n->b->p[0].verdict = PKT_FRAG;
}

static uint32_t serial_of(const struct rte_mbuf *m)
{
	uint32_t serial;

	memcpy(&serial, rte_pktmbuf_mtod(m, const uint8_t *) + m->data_len - 4, 4);
	return serial;
}

/* --- the model --- */

static void lose(struct datagram *d)
{
	n_lost += d->n_held;
	d->n_held = 0;
}

static void expire(struct datagram *d, uint32_t now_ms)
{
	if (d->is_there && now_ms - d->since_ms >= FRAG_TIMEOUT_MS) {
		lose(d);
		memset(d, 0, sizeof(*d));
	}
}

static enum pkt_drop give_up(struct datagram *d, uint32_t now_ms, enum pkt_drop reason)
{
	lose(d);
	d->is_spoilt = true;
	d->since_ms = now_ms;
	return reason;
}

static unsigned seen_in(const struct datagram *d, uint32_t from, uint32_t to)
{
	unsigned n = 0;

	for (uint32_t i = from; i < to; i++)
		n += d->seen[i];
	return n;
}

static unsigned runs_with(const struct datagram *d, uint32_t from, uint32_t to)
{
	bool was = false;
	unsigned n = 0;

	for (uint32_t i = 0; i < BYTES_MAX; i++) {
		const bool is = d->seen[i] || (from <= i && i < to);

		n += is && !was;
		was = is;
	}
	return n;
}

static bool is_past_end(const struct datagram *d, const struct piece *x)
{
	if (d->end != 0)
		return x->to > d->end || (x->is_last && x->to != d->end);
	return x->is_last && seen_in(d, x->to, BYTES_MAX) > 0;
}

#define PLACED PKT_N_DROPS
#define HELD (PKT_N_DROPS + 1)

/* PLACED, HELD or the reason why it is dropped. released: the serial numbers that follow it. */
static unsigned model(struct datagram *d, const struct piece *x, uint32_t now_ms,
	uint32_t *released, unsigned *n_released)
{
	const uint32_t n = x->to - x->from;

	*n_released = 0;
	expire(d, now_ms);
	if (!x->is_last && n % 8 != 0) {
		if (d->is_there && !d->is_spoilt)
			give_up(d, now_ms, PKT_DROP_fragment_bad);
		return PKT_DROP_fragment_bad;
	}
	if (!d->is_there) {
		d->is_there = true;
		d->since_ms = now_ms;
		d->is_known = x->from == 0;
	}
	if (d->is_spoilt)
		return PKT_DROP_fragment_bad;
	if (is_past_end(d, x))
		return give_up(d, now_ms, PKT_DROP_fragment_bad);
	if (seen_in(d, x->from, x->to) == n)
		return PKT_DROP_fragment_overlap;
	if (seen_in(d, x->from, x->to) > 0)
		return give_up(d, now_ms, PKT_DROP_fragment_overlap);
	if (runs_with(d, x->from, x->to) > RANGES_MAX)
		return give_up(d, now_ms, PKT_DROP_fragment_bad);
	memset(d->seen + x->from, 1, n);
	if (x->is_last)
		d->end = x->to;
	if (x->from == 0) {
		if (!d->is_known)
			d->since_ms = now_ms;
		d->is_known = true;
		*n_released = d->n_held;
		memcpy(released, d->held, sizeof(d->held));
		d->n_held = 0;
	} else if (!d->is_known) {
		if (d->n_held == FRAG_HELD_DATAGRAM_MAX)
			return give_up(d, now_ms, PKT_DROP_fragment_hold_full);
		d->held[d->n_held++] = x->serial;
		return HELD;
	}
	if (seen_in(d, 0, d->end) == d->end && d->end != 0)
		memset(d, 0, sizeof(*d));
	return PLACED;
}

/* --- the comparison --- */

static void check_released(
	struct net *n, const struct piece *x, const uint32_t *want, unsigned n_want)
{
	struct burst *b = frag_release(n->w);

	assert_int_equal(b != NULL ? b->n : 0, n_want);
	if (b == NULL)
		return;
	assert_int_equal(b->in_iface, NET_WAN);
	parse_burst(b, &n->ifaces.of[NET_WAN].mac, NET_WAN);
	frag_place_noted(b);
	for (unsigned i = 0; i < n_want; i++) {
		assert_int_equal(serial_of(b->m[i]), want[i]);
		assert_int_equal(b->p[i].verdict, PKT_UNSEEN);
		assert_false(pkt_is_piece(&b->p[i]));
		assert_int_equal(b->p[i].sport, port_of(x));
		assert_int_equal(b->p[i].dport, RTE_BE16(53));
		rte_pktmbuf_free(b->m[i]);
	}
	assert_null(frag_release(n->w));
}

static void compare(struct net *n, const struct piece *x)
{
	const struct pkt *p = &n->b->p[0];
	uint32_t released[FRAG_HELD_DATAGRAM_MAX];
	unsigned n_released, want;

	want = model(&datagrams[x->source][x->id], x, n->w->now_ms, released, &n_released);
	receive(n, x);
	frag_input(n->w, n->b, 0);
	if (want == HELD) {
		assert_int_equal(p->verdict, PKT_GONE);
	} else if (want == PLACED) {
		assert_int_equal(p->verdict, PKT_UNSEEN);
		assert_false(pkt_is_piece(p));
		assert_int_equal(p->sport, port_of(x));
		rte_pktmbuf_free(n->b->m[0]);
	} else {
		assert_int_equal(p->verdict, PKT_DROP);
		assert_int_equal(p->drop, want);
		rte_pktmbuf_free(n->b->m[0]);
	}
	check_released(n, x, released, n_released);
}

static void check_held(const struct net *n)
{
	const struct tally *t = n->w->tally;
	uint64_t n_held = 0, n_dropped = 0;

	for (unsigned i = 0; i < N_SOURCES * N_IDS; i++)
		n_held += datagrams[i / N_IDS][i % N_IDS].n_held;
	for (unsigned i = 0; i < PKT_N_DROPS; i++)
		n_dropped += t->drops[i];
	assert_int_equal(t->fragments_held - t->fragments_released, n_held);
	assert_int_equal(n_dropped, n_lost); /* the packets in hand are counted by the pipeline */
	assert_true(frag_check(n->w->frag));
}

/* Pieces as a sender would cut, mostly; and some as nobody should. */
static struct piece draw(uint32_t serial, uint32_t unit)
{
	const uint32_t n_units = BYTES_MAX / unit;
	struct piece x = {
		.source = random_below(N_SOURCES), .id = random_below(N_IDS), .serial = serial};

	x.from = random_below(n_units) * unit;
	if (serial / 1000 % 2 != 0) { /* one datagram after the other, from its end */
		x.source = serial / n_units % N_SOURCES;
		x.id = serial / n_units / N_SOURCES % N_IDS;
		x.from = (n_units - 1 - serial % n_units) * unit;
	}
	x.to = x.from + unit;
	if (random_below(40) == 0)
		x.to = x.from + 8 + random_below(2 * unit);
	if (x.to > BYTES_MAX)
		x.to = BYTES_MAX;
	if (x.to - x.from < 8)
		x.to = x.from + 8;
	x.is_last = x.to == BYTES_MAX || random_below(200) == 0;
	x.is_last = x.is_last && x.from > 0; /* it would be a packet */
	return x;
}

static void pieces_go_as_the_model_says(void **state)
{
	static const uint32_t units[] = {8, 16, 24, 64, 128};
	struct net *n = *state;

	for (uint32_t k = 0; k < N_PIECES; k++) {
		const struct piece x = draw(k, units[k / 2000 % RTE_DIM(units)]);

		compare(n, &x);
		if (random_below(16) == 0)
			n->w->now_ms += random_below(3 * FRAG_TIMEOUT_MS / 2);
		if (random_below(16) == 0) {
			frag_expire(n->w);
			for (unsigned i = 0; i < N_SOURCES * N_IDS; i++)
				expire(&datagrams[i / N_IDS][i % N_IDS], n->w->now_ms);
		}
		check_held(n);
	}
	/* each way out was taken */
	assert_true(n->w->tally->fragments > 100);
	assert_true(n->w->tally->drops[PKT_DROP_fragment_timeout] > 100);
	assert_true(n->w->tally->drops[PKT_DROP_fragment_overlap] > 100);
	assert_true(n->w->tally->drops[PKT_DROP_fragment_bad] > 10);
	assert_true(n->w->tally->drops[PKT_DROP_fragment_hold_full] > 10);
}

static void all_workers_name_one_owner(void **state)
{
	struct net *n = *state;
	unsigned seen = 0;

	n->w->n_workers = 5;
	for (unsigned id = 0; id < 64; id++) {
		const struct piece first = {.source = id % 2, .id = id, .to = 24};
		const struct piece last = {
			.source = id % 2, .id = id, .from = 24, .to = 30, .is_last = true};
		unsigned owner;

		receive(n, &first);
		owner = frag_owner(n->w, n->b, 0);
		rte_pktmbuf_free(n->b->m[0]);
		receive(n, &last);
		assert_int_equal(frag_owner(n->w, n->b, 0), owner);
		assert_true(owner < 5);
		rte_pktmbuf_free(n->b->m[0]);
		seen |= 1u << owner;
	}
	assert_int_equal(seen, 31);
}

/* The table is full of one source's datagrams and early pieces, and is given back with all of
 * them. */
static void what_is_held_is_freed_with_the_table(void **state)
{
	struct net *n = *state;

	for (unsigned k = 0; k < 200; k++) {
		const struct piece x = {.source = k % N_SOURCES, .id = k, .from = 64, .to = 72};

		receive(n, &x);
		frag_input(n->w, n->b, 0);
		assert_int_equal(n->b->p[0].verdict, PKT_GONE);
		assert_true(frag_check(n->w->frag));
	}
	assert_int_equal(n->w->tally->fragments_held, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pieces_go_as_the_model_says, up, down),
		cmocka_unit_test_setup_teardown(all_workers_name_one_owner, up, down),
		cmocka_unit_test_setup_teardown(what_is_held_is_freed_with_the_table, up, down),
	};

	if (net_eal("test_frag") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
