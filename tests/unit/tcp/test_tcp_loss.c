/* SPDX-License-Identifier: BSD-3-Clause */
/* Loss recovery against acknowledgements of a script, in virtual time. The server at 10.0.0.1 port 7 sends segments of 1000
 * bytes, which are named by their number from 0 on; the client at 10.0.0.2 only acknowledges. Each script says which clause it
 * is for. Time counts in microseconds from the end of the handshake, which took RTT_US. Timers have ticks of a millisecond, and
 * run in the one after that of their deadline. */
#include "base/csum.h"
#include "base/keyhash.h"
#include "eal.h"
#include "net/parse.h"
#include "tcp/tcp.h"
#include "tcp/tcp_wire.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_mempool.h>

#define SEG 1000u
#define RTT_US 20000u
#define IW 10u /* segments that go at first (RFC 6928) */
#define N_BLOCKS 3u

struct out {
	uint32_t seg, len;
	uint64_t at_us;
};

/* Segments [from, to) that are there. */
struct block {
	uint32_t from, to;
};

static struct {
	struct tcp *t;
	struct rte_mempool *pool;
	struct iface_set ifaces;
	struct burst b;
	struct tcp_profile profile;
	struct out out[512];
	unsigned n_out, n_taken;
	uint32_t iss, tsval;
	struct tcb *c;
	uint64_t now_us, begin_us;
	uint16_t wnd;
	bool has_sack, has_ts;
} x;

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return &x.profile;
}

static void on_open(void *ctx, struct tcb *c)
{
	x.c = c;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	x.c = NULL;
}

static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	const struct rte_tcp_hdr *h =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, RTE_ETHER_HDR_LEN + 20);
	const uint32_t len = m->pkt_len - RTE_ETHER_HDR_LEN - 20 - (h->data_off >> 4) * 4u;
	struct tcp_opts o;

	tcp_wire_parse(&o, h);
	if (h->tcp_flags & RTE_TCP_SYN_FLAG)
		x.iss = rte_be_to_cpu_32(h->sent_seq);
	if (o.has_ts)
		x.tsval = o.tsval;
	if (len > 0 || h->tcp_flags & RTE_TCP_FIN_FLAG) {
		assert_true(x.n_out < RTE_DIM(x.out));
		x.out[x.n_out++] =
			(struct out){.seg = (rte_be_to_cpu_32(h->sent_seq) - x.iss - 1) / SEG,
				.len = len,
				.at_us = x.now_us - x.begin_us};
	}
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* What the client sends, without payload. */
static void in(uint8_t flags, uint32_t seq, uint32_t ack, const struct tcp_opts *o)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(x.pool);
	uint8_t opts[TCP_WIRE_OPTIONS_MAX];
	const uint32_t n_opts = tcp_wire_build(opts, o), n_tcp = 20 + n_opts;
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(RTE_ETHER_HDR_LEN + 20 + n_tcp));
	struct rte_ipv4_hdr *ip = (void *)(to + RTE_ETHER_HDR_LEN);
	struct rte_tcp_hdr *h = (void *)(ip + 1);
	const struct rte_ether_hdr eh = {.dst_addr = x.ifaces.of[0].mac,
		.src_addr = {{2, 0, 0, 0, 0, 9}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};

	memcpy(to, &eh, sizeof(eh));
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + n_tcp)),
		.time_to_live = 9,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = RTE_BE32(0x0a000002),
		.dst_addr = RTE_BE32(0x0a000001)};
	ip->hdr_checksum = csum_of(ip, 20);
	*h = (struct rte_tcp_hdr){.src_port = RTE_BE16(4000),
		.dst_port = RTE_BE16(7),
		.sent_seq = rte_cpu_to_be_32(seq),
		.recv_ack = rte_cpu_to_be_32(ack),
		.data_off = (uint8_t)(n_tcp / 4 << 4),
		.tcp_flags = flags,
		.rx_win = rte_cpu_to_be_16(x.wnd)};
	memcpy(h + 1, opts, n_opts);
	h->cksum = csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, h, n_tcp);
	x.b.n = 1;
	x.b.m[0] = m;
	parse_burst(&x.b, &x.ifaces.of[0].mac, 0);
	tcp_input(x.t, &x.b, (const uint8_t[]){0}, 1, x.now_us);
	if (x.b.p[0].verdict != PKT_GONE)
		rte_pktmbuf_free(m);
	assert_true(tcp_check(x.t));
}

/* Timers run until this time, which it is then. */
static void at(uint64_t us)
{
	const uint64_t end_us = x.begin_us + us;

	assert_true(end_us >= x.now_us);
	for (;;) {
		const uint64_t next_us = tcp_next_us(x.t);

		if (next_us > end_us)
			break;
		x.now_us = next_us > x.now_us ? next_us : x.now_us + 1;
		tcp_poll(x.t, x.now_us);
		assert_true(tcp_check(x.t));
	}
	x.now_us = end_us;
}

/* All before segment una is there, and the blocks; a timestamp echoes tsecr. */
static void ack_ts(uint32_t una, uint32_t tsecr, const struct block *blocks)
{
	struct tcp_opts o = {.has_ts = x.has_ts, .tsval = 7, .tsecr = tsecr};

	for (unsigned i = 0; i < N_BLOCKS && blocks[i].from < blocks[i].to; i++)
		o.sacks[o.n_sacks++] = (struct tcp_sack){
			x.iss + 1 + blocks[i].from * SEG, x.iss + 1 + blocks[i].to * SEG};
	in(RTE_TCP_ACK_FLAG, 1001, x.iss + 1 + una * SEG, &o);
}

/* The same with the timestamp sent last: what makes it was sent just now. */
#define ACK(una, ...) ack_ts(una, x.tsval, (const struct block[N_BLOCKS]){__VA_ARGS__})

/* Of what goes out, next are the segments [from, to) at this time. */
static void expect(uint32_t from, uint32_t to, uint64_t at_us)
{
	for (; from < to; from++) {
		const struct out *o = &x.out[x.n_taken];

		if (x.n_taken == x.n_out)
			fail_msg("nothing came out, not segment %u at %llu", from,
				(unsigned long long)at_us);
		x.n_taken++;
		if (o->seg != from || o->at_us != at_us)
			fail_msg("segment %u at %llu came out, not %u at %llu", o->seg,
				(unsigned long long)o->at_us, from, (unsigned long long)at_us);
	}
}

static void expect_none(void)
{
	if (x.n_taken != x.n_out)
		fail_msg("segment %u at %llu came out", x.out[x.n_taken].seg,
			(unsigned long long)x.out[x.n_taken].at_us);
}

static void send_segs(uint32_t n)
{
	static uint8_t block[64 * SEG];

	assert_int_equal(tcp_write(x.c, block, n * SEG), n * SEG);
	tcp_flush(x.t, x.now_us);
	assert_true(tcp_check(x.t));
}

static struct tcp_info info(void)
{
	struct tcp_info i;

	tcp_info(x.c, &i, x.now_us);
	return i;
}

static void establish(void)
{
	struct tcp_opts o = {.has_mss = true,
		.mss = SEG + (x.has_ts ? TCP_WIRE_TS_BYTES : 0),
		.sack_ok = x.has_sack,
		.has_ts = x.has_ts,
		.tsval = 7};

	in(RTE_TCP_SYN_FLAG, 1000, 0, &o);
	x.begin_us = x.now_us + RTT_US;
	x.now_us = x.begin_us;
	ACK(0);
	assert_non_null(x.c);
	assert_int_equal(info().mss, SEG);
	assert_int_equal(info().srtt_us, RTT_US);
}

static void up_with(bool has_sack, bool has_ts)
{
	const struct tcp_params p = {.n_conns = 16,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 512,
		.pool = x.pool,
		.ifaces = &x.ifaces,
		.ops = &ops,
		.secret = {1, 2, 3, 4},
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};
	struct rte_mempool *pool = x.pool;

	memset(&x, 0, sizeof(x));
	x.pool = pool;
	x.wnd = UINT16_MAX;
	x.profile.cc = TCP_CC_NEWRENO;
	x.has_sack = has_sack;
	x.has_ts = has_ts;
	x.ifaces.n = 1;
	x.ifaces.of[0].mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 1}};
	x.ifaces.of[0].mtu_bytes = 1500;
	x.now_us = p.now_us;
	assert_int_equal(tcp_create(&x.t, &p), 0);
}

static int up(void **state)
{
	up_with(true, false);
	establish();
	return 0;
}

static int up_ts(void **state)
{
	up_with(true, true);
	establish();
	return 0;
}

static int up_short(void **state)
{
	up_with(true, false);
	x.profile.rto_min_ms = 1;
	establish();
	return 0;
}

static int up_cubic(void **state)
{
	up_with(true, false);
	x.profile.cc = TCP_CC_CUBIC;
	establish();
	return 0;
}

static int up_plain(void **state)
{
	up_with(false, false);
	establish();
	return 0;
}

static int down(void **state)
{
	tcp_destroy(&x.t);
	assert_int_equal(rte_mempool_in_use_count(x.pool), 0);
	return 0;
}

/* RFC 8985 6.2 step 5: what was sent before a delivered segment, and does not come in a quarter of the smallest round trip. */
static void a_hole_is_lost_a_reordering_window_later(void **state)
{
	send_segs(3);
	expect(0, 3, 0);
	at(20000);
	ACK(0, {1, 3});
	at(25999);
	expect_none();
	at(26000); /* 20000 and 5000, in the tick after that */
	expect(0, 1, 26000);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 1);
}

/* RFC 8985 6.2 step 5: it comes in time. */
static void a_hole_that_is_filled_in_time_is_not_lost(void **state)
{
	send_segs(3);
	expect(0, 3, 0);
	at(20000);
	ACK(0, {1, 3});
	at(24000);
	ACK(3);
	at(100000);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 0);
}

/* RFC 8985 6.2 step 4: three that are there, and no reordering seen so far. */
static void three_behind_a_hole_make_it_lost_at_once(void **state)
{
	send_segs(5);
	expect(0, 5, 0);
	at(20000);
	ACK(0, {1, 3});
	expect_none();
	at(21000);
	ACK(0, {1, 4});
	expect(0, 1, 21000);
	expect_none(); /* number 4 was sent after what is there */
}

/* RFC 8985 6.2 step 5: what was sent again later than that is no end of the search. */
static void a_second_hole_is_found_behind_a_retransmission(void **state)
{
	send_segs(IW);
	expect(0, IW, 0);
	at(20000);
	ACK(0, {1, 4});
	expect(0, 1, 20000);
	ACK(0, {1, 4}, {5, 8});
	expect(4, 5, 20000);
	expect_none();
}

/* RFC 6675 3: a block that closes a hole between two that were there. */
static void a_hole_between_others_is_closed(void **state)
{
	send_segs(4);
	expect(0, 4, 0);
	at(20000);
	ACK(0, {1, 2}, {3, 4});
	at(22000);
	ACK(0, {1, 4});
	at(60000);
	expect(0, 1, 28000); /* 22000 and 5000 */
	expect_none();
}

/* RFC 8985 6.2 step 3: a late original; from then on holes get their time, whatever number is behind them. */
static void who_reorders_is_given_time(void **state)
{
	send_segs(3);
	expect(0, 3, 0);
	at(20000);
	ACK(0, {1, 3});
	at(21000);
	ACK(3);
	send_segs(6);
	expect(3, 9, 21000);
	at(41000);
	ACK(3, {4, 9});
	expect_none();
	at(46999);
	expect_none();
	at(47000);
	expect(3, 4, 47000);
}

/* RFC 8985 6.2 step 3: blocks that are new at once are no reordering, in whatever order they come. */
static void a_lost_acknowledgement_is_no_reordering(void **state)
{
	send_segs(8);
	expect(0, 8, 0);
	at(20000);
	ACK(0, {6, 8}, {1, 3});
	expect(0, 1, 20000); /* at once: four are there */
	expect(3, 6, 20000);
}

/* RFC 8985 6.2 step 4: each round with a DSACK widens the window by a quarter, up to the smoothed round trip; sixteen
 * recoveries without one make it what it was. */
static void duplicates_widen_the_window(void **state)
{
	uint64_t us = 100000;
	uint32_t seg = 3;

	send_segs(2);
	expect(0, 2, 0);
	at(20000);
	ACK(0, {1, 2});
	at(26000);
	expect(0, 1, 26000);
	at(30000);
	ACK(2);
	send_segs(1);
	expect(2, 3, 30000);
	at(46000);
	ACK(2, {0, 1}); /* it came twice (RFC 2883) */
	ACK(2, {0, 1}); /* of the same round */
	at(50000);
	ACK(3);
	for (unsigned i = 0; i < 17; i++) {
		const uint64_t lost_us = us + (i < 16 ? 31000 : 26000);

		at(us);
		send_segs(2);
		expect(seg, seg + 2, us);
		at(us + 20000);
		ACK(seg, {seg + 1, seg + 2});
		at(lost_us - 1);
		expect_none();
		at(lost_us);
		expect(seg, seg + 1, lost_us);
		at(us + 50000);
		seg += 2;
		ACK(seg);
		us += 60000;
	}
}

/* RFC 8985 6.2 step 5, RFC 5681 4.3: something sent after the retransmission is there, so that is lost too, and the window
 * is made smaller a second time. */
static void a_lost_retransmission_is_sent_again(void **state)
{
	send_segs(IW + 4);
	expect(0, IW, 0);
	at(20000);
	ACK(0, {1, 4});
	expect(0, 1, 20000);
	assert_int_equal(info().ssthresh, IW * SEG / 2);
	at(20500);
	ACK(0, {1, 8}); /* room for another two */
	expect(10, 12, 20500);
	at(40500);
	ACK(0, {1, 11});
	expect(0, 1, 40500);
	assert_int_equal(tcp_stats(x.t)->lost_retransmits, 1);
	assert_int_equal(info().ssthresh, IW * SEG / 4);
	assert_int_equal(tcp_stats(x.t)->timeouts, 0);
	at(60500);
	ACK(12);
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 1);
}

/* RFC 8985 6.2 step 2: the acknowledgement of a segment that was sent twice may be the first one's. Without timestamps
 * what comes sooner than any round trip is. */
static void an_early_acknowledgement_is_not_the_retransmission_s(void **state)
{
	send_segs(8);
	expect(0, 8, 0);
	at(19000);
	send_segs(2);
	expect(8, 10, 19000);
	at(20000);
	ACK(0, {2, 8});
	expect(0, 2, 20000);
	at(22000);
	ACK(8);
	at(38000);
	expect_none(); /* what was sent at 19000 is not lost */
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 1);
}

/* The same with timestamps: they say that it is the first one's, however late. */
static void an_old_timestamp_is_not_the_retransmission_s(void **state)
{
	uint32_t first_ts;

	send_segs(8);
	expect(0, 8, 0);
	first_ts = x.tsval;
	at(19000);
	send_segs(2);
	expect(8, 10, 19000);
	at(20000);
	ack_ts(0, first_ts, (const struct block[N_BLOCKS]){{2, 8}});
	expect(0, 2, 20000);
	at(45000);
	ack_ts(8, first_ts, (const struct block[N_BLOCKS]){{0, 0}});
	expect_none(); /* else what was sent at 19000 would be lost */
}

/* RFC 8985 6.3: at the time-out the first segment is lost, and what had time to come, but not what was sent of late. */
static void a_time_out_leaves_what_was_sent_of_late(void **state)
{
	send_segs(1);
	expect(0, 1, 0);
	at(101000);
	expect(0, 1, 101000); /* a probe */
	at(295000);
	send_segs(1);
	expect(1, 2, 295000);
	at(302000);
	expect(0, 1, 302000);
	assert_int_equal(tcp_stats(x.t)->timeouts, 1);
	at(305000);
	ACK(1); /* too early for that of 302000 */
	expect_none();
	send_segs(1);
	expect(2, 3, 305000); /* of a window of two, one is on its way */
}

/* RFC 2018 8: who said that it was there has to say so for good; it is sent again. */
static void what_the_peer_gave_up_is_sent_again(void **state)
{
	send_segs(6);
	expect(0, 6, 0);
	at(20000);
	ACK(0, {1, 5});
	expect(0, 1, 20000);
	at(40000);
	ACK(1, {4, 5});
	expect(1, 4, 40000); /* as the window allows */
	at(60000);
	ACK(5);
	expect(5, 6, 60000);
	assert_int_equal(tcp_stats(x.t)->timeouts, 0);
}

/* RFC 6298 5: the time-out counts from the retransmission of the first segment. */
static void a_retransmission_gets_a_time_out_of_its_own(void **state)
{
	send_segs(4);
	expect(0, 4, 0);
	at(230000);
	expect(3, 4, 41000); /* a probe: time-out at 241000 */
	ACK(0, {1, 4});
	expect(0, 1, 230000);
	at(430999);
	expect_none();
	at(431000);
	expect(0, 1, 431000);
}

/* Times of an hour ago are not later than those of now, of which the low bits are kept. */
static void an_idle_hour_does_no_harm(void **state)
{
	x.profile.idle_ms = 7200000;
	send_segs(1);
	expect(0, 1, 0);
	at(20000);
	ACK(1);
	at(3000000000);
	send_segs(3);
	expect(1, 4, 3000000000);
	at(3000020000);
	ACK(2);
	at(3000050000);
	expect_none();
}

/* A block that begins at the acknowledgement, or is not in flight, says nothing. */
static void impossible_blocks_are_ignored(void **state)
{
	send_segs(6);
	expect(0, 6, 0);
	at(20000);
	ACK(0, {0, 5}, {3, 7}, {5, 20});
	ACK(1, {0, 1});
	at(50000);
	expect_none();
	assert_int_equal(info().in_flight, 5 * SEG);
}

/* RFC 8985 7.2, 7.3, 7.4.1: two round trips without an acknowledgement, and the last segment goes again; what it brings tells
 * what is lost. */
static void a_lost_tail_is_probed(void **state)
{
	send_segs(3);
	expect(0, 3, 0);
	at(40999);
	expect_none();
	at(41000);
	expect(2, 3, 41000);
	at(61000);
	ACK(0, {2, 3});
	expect(0, 2, 61000);
	at(81000);
	ACK(3);
	at(1000000);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->tail_probes, 1);
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 1);
	assert_int_equal(tcp_stats(x.t)->timeouts, 0);
}

/* RFC 8985 7.2: of one segment alone the acknowledgement may be kept back. */
static void one_segment_is_probed_later(void **state)
{
	send_segs(1);
	expect(0, 1, 0);
	at(100999);
	expect_none();
	at(101000); /* twice 20000, and 60000 */
	expect(0, 1, 101000);
}

/* RFC 8985 7.2: what is sent, and what is acknowledged, begins it anew. */
static void progress_puts_the_probe_off(void **state)
{
	send_segs(2);
	expect(0, 2, 0);
	at(30000);
	send_segs(2);
	expect(2, 4, 30000);
	at(50000);
	ACK(2); /* the smoothed round trip is 23.75 ms now */
	at(98499);
	expect_none();
	at(99000);
	expect(3, 4, 99000);
}

/* RFC 8985 7.2, 7.3: not later than the time-out, here of three round trips, which then begins anew. */
static void the_probe_comes_before_the_time_out(void **state)
{
	send_segs(1);
	expect(0, 1, 0);
	at(60999);
	expect_none();
	at(61000);
	expect(0, 1, 61000);
	assert_int_equal(tcp_stats(x.t)->tail_probes, 1);
	at(121999);
	expect_none();
	at(122000);
	expect(0, 1, 122000);
	assert_int_equal(tcp_stats(x.t)->timeouts, 1);
}

/* RFC 8985 7.3: a new segment, if there is one, though cwnd is full. */
static void a_probe_is_a_new_segment_if_there_is_one(void **state)
{
	send_segs(IW + 2);
	expect(0, IW, 0);
	at(41000);
	expect(IW, IW + 1, 41000);
	at(61000);
	ACK(0, {IW, IW + 1});
	expect(0, IW / 2, 61000); /* all that came before is lost */
}

/* RFC 8985 7.3: not one beyond the peer's window. */
static void a_probe_is_an_old_segment_when_the_window_is_full(void **state)
{
	x.wnd = 3 * SEG;
	ACK(0);
	send_segs(5);
	expect(0, 3, 0);
	at(41000);
	expect(2, 3, 41000);
}

/* RFC 8985 7.3: one probe, then the time-out, which counts from the probe. */
static void a_probe_without_an_answer_is_the_only_one(void **state)
{
	send_segs(3);
	expect(0, 3, 0);
	at(41000);
	expect(2, 3, 41000);
	at(241999);
	expect_none();
	at(242000);
	expect(0, 1, 242000);
	assert_int_equal(tcp_stats(x.t)->tail_probes, 1);
	assert_int_equal(tcp_stats(x.t)->timeouts, 1);
	assert_int_equal(info().cwnd, SEG);
}

/* The second of two is lost, and made good by the probe. */
static void repair_by_probe(void)
{
	send_segs(2);
	expect(0, 2, 0);
	at(20000);
	ACK(1);
	at(121000);
	expect(1, 2, 121000);
	assert_int_equal(info().ssthresh, UINT32_MAX);
	at(141000);
	ACK(2);
}

/* RFC 8985 7.4.2: acknowledged beyond the probe, without a sign that both came: a loss, which makes the window smaller. */
static void a_loss_that_a_probe_repaired_counts(void **state)
{
	repair_by_probe();
	assert_int_equal(info().ssthresh, UINT32_MAX);
	send_segs(1);
	expect(2, 3, 141000);
	at(161000);
	ACK(3);
	assert_int_equal(info().ssthresh, 2 * SEG);
	assert_int_equal(info().cwnd, 2 * SEG);
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 0);
}

/* RFC 8985 7.4.2, case 1: the duplicate is told of. */
static void a_probe_that_came_twice_is_no_loss(void **state)
{
	repair_by_probe();
	ACK(2, {1, 2});
	send_segs(1);
	at(161000);
	ACK(3);
	assert_int_equal(info().ssthresh, UINT32_MAX);
}

/* RFC 8985 7.4.2, case 2: a peer that does not know RFC 2883 repeats its acknowledgement. */
static void a_probe_whose_acknowledgement_is_repeated_is_no_loss(void **state)
{
	repair_by_probe();
	ACK(2);
	send_segs(1);
	at(161000);
	ACK(3);
	assert_int_equal(info().ssthresh, UINT32_MAX);
}

/* RFC 8985 7.2: in a recovery, and where something is there behind a hole, there is something to go by. */
static void a_recovery_is_not_probed(void **state)
{
	send_segs(4);
	expect(0, 4, 0);
	at(20000);
	ACK(0, {1, 2});
	at(26000);
	expect(0, 1, 26000);
	at(225000);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->tail_probes, 0);
}

/* RFC 8985 4: without SACK there are no probes, nor is anything found by time. */
static void without_sack_the_time_out_is_waited_for(void **state)
{
	send_segs(3);
	expect(0, 3, 0);
	at(200999);
	expect_none();
	at(201000);
	expect(0, 1, 201000);
}

/* RFC 9438 4.6: seven tenths are left. RFC 5681 3.1: after a time-out a segment. */
static void cubic_takes_three_tenths(void **state)
{
	send_segs(IW);
	expect(0, IW, 0);
	at(20000);
	ACK(0, {1, 4});
	expect(0, 1, 20000);
	assert_int_equal(info().cwnd, 7 * SEG);
	assert_int_equal(info().ssthresh, 7 * SEG);
	at(40000);
	ACK(IW);
	assert_int_equal(info().cwnd, 7 * SEG);
	send_segs(5);
	at(1000000);
	assert_int_equal(info().cwnd, SEG);
	assert_int_equal(info().ssthresh, 7 * 5 * SEG / 10);
}

/* RFC 5681 3.1: slow start doubles the window in a round trip, also when one acknowledgement tells of all. */
static void slow_start_doubles(void **state)
{
	send_segs(6 * IW);
	expect(0, IW, 0);
	at(20000);
	ACK(2);
	expect(IW, IW + 4, 20000);
	ACK(IW);
	expect(IW + 4, 3 * IW, 20000);
	assert_int_equal(info().cwnd, 2 * IW * SEG);
}

/* RFC 9293 3.8.2, RFC 7661: not when it was not what kept us from sending. */
static void what_was_not_used_does_not_grow(void **state)
{
	send_segs(4);
	expect(0, 4, 0);
	at(20000);
	ACK(4);
	assert_int_equal(info().cwnd, IW * SEG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
#define T_PLAIN(f) cmocka_unit_test_setup_teardown(f, up_plain, down)
#define T_SHORT(f) cmocka_unit_test_setup_teardown(f, up_short, down)
#define T_CUBIC(f) cmocka_unit_test_setup_teardown(f, up_cubic, down)
#define T_TS(f) cmocka_unit_test_setup_teardown(f, up_ts, down)
	const struct CMUnitTest tests[] = {
		T(a_hole_is_lost_a_reordering_window_later),
		T(a_hole_that_is_filled_in_time_is_not_lost),
		T(three_behind_a_hole_make_it_lost_at_once),
		T(who_reorders_is_given_time),
		T(a_lost_acknowledgement_is_no_reordering),
		T(duplicates_widen_the_window),
		T(a_lost_retransmission_is_sent_again),
		T(an_early_acknowledgement_is_not_the_retransmission_s),
		T_TS(an_old_timestamp_is_not_the_retransmission_s),
		T(a_time_out_leaves_what_was_sent_of_late),
		T(what_the_peer_gave_up_is_sent_again),
		T(impossible_blocks_are_ignored),
		T(a_second_hole_is_found_behind_a_retransmission),
		T(a_hole_between_others_is_closed),
		T(a_retransmission_gets_a_time_out_of_its_own),
		T(an_idle_hour_does_no_harm),
		T(a_lost_tail_is_probed),
		T(one_segment_is_probed_later),
		T(progress_puts_the_probe_off),
		T_SHORT(the_probe_comes_before_the_time_out),
		T(a_probe_is_a_new_segment_if_there_is_one),
		T(a_probe_is_an_old_segment_when_the_window_is_full),
		T(a_probe_without_an_answer_is_the_only_one),
		T(a_loss_that_a_probe_repaired_counts),
		T(a_probe_that_came_twice_is_no_loss),
		T(a_probe_whose_acknowledgement_is_repeated_is_no_loss),
		T(a_recovery_is_not_probed),
		T_CUBIC(cubic_takes_three_tenths),
		T(slow_start_doubles),
		T(what_was_not_used_does_not_grow),
		T_PLAIN(without_sack_the_time_out_is_waited_for),
	};

	keyhash_init_seed(11);
	if (eal_start("test_tcp_loss", 64) != 0)
		return 1;
	x.pool = rte_pktmbuf_pool_create("loss", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	return x.pool == NULL || cmocka_run_group_tests_name("tcp_loss", tests, NULL, NULL);
}
