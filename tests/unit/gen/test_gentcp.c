/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments to and from the generator's TCP, one at a time: what a SYN offers, when acknowledgements leave, what goes again and when, and what is not believed: wrong
 * checksums, numbers and ports, and bytes that nobody sent. Whole conversations are test_genctcp.c's.
 */
#include "base/csum.h"
#include "eal.h"
#include "gentcp.h"
#include "tcp/tcp_wire.h"
#include "unit.h"

#include <rte_tcp.h>

#include <arpa/inet.h>
#include <stdlib.h>

#define N_CONNS 8u
#define PEER_ISN 0xfffffff0u /* so that numbers wrap soon */

#define ACK RTE_TCP_ACK_FLAG
#define PSH RTE_TCP_PSH_FLAG
#define SYN RTE_TCP_SYN_FLAG
#define FIN RTE_TCP_FIN_FLAG
#define RST RTE_TCP_RST_FLAG

/* A segment that was sent. */
struct out {
	struct tcp_opts o;
	uint32_t seq, ack, n;
	uint8_t flags;
	uint16_t window, port;
	uint8_t bytes[1514], *text;
	uint32_t len;
};

static struct rte_mempool *pool;
static struct gentcp t;
static struct out out[256];
static unsigned n_out, n_open, n_end;
static enum gentcp_why why;
static uint8_t in[65536]; /* what on_bytes() got */
static uint32_t n_in;
static bool is_v6, refuses; /* refuses: on_bytes() does */
static uint64_t now_us;

static const struct rte_ether_addr client_mac = {{2, 0, 0, 0, 0, 1}},
				   server_mac = {{2, 0, 0, 0, 0, 2}};

/* --- what gentcp calls --- */

static uint32_t request(uint32_t number, uint8_t *to)
{
	const uint32_t n = 5 + number * 7 % 40;

	for (uint32_t i = 0; i < n; i++)
		to[i] = (uint8_t)('a' + (number + i) % 26);
	return n;
}

static uint8_t *write_request(void *ctx, uint32_t i, uint32_t number, uint8_t *to)
{
	return to + request(number, to);
}

static void on_open(void *ctx, uint32_t i)
{
	n_open++;
}

static bool on_bytes(void *ctx, uint32_t i, const uint8_t *p, uint32_t n)
{
	assert_true(n > 0 && n_in + n <= sizeof(in));
	memcpy(in + n_in, p, n);
	n_in += n;
	return !refuses;
}

static void on_end(void *ctx, uint32_t i, enum gentcp_why reason)
{
	n_end++;
	why = reason;
	assert_int_equal(t.conns[i].state, GENTCP_CLOSED);
}

static void output(void *ctx, struct rte_mbuf *m)
{
	struct out *o = &out[n_out++ % RTE_DIM(out)];
	const uint32_t n = is_v6 ? 16 : 4, l4_len = m->data_len - t.frame.l4;
	uint8_t *ip = o->bytes + RTE_ETHER_HDR_LEN, *l4 = o->bytes + t.frame.l4;
	const struct rte_tcp_hdr *h = (const void *)l4;

	assert_true(m->nb_segs == 1 && m->pkt_len == m->data_len && m->data_len <= 1514);
	memset(o, 0, sizeof(*o));
	o->len = m->data_len;
	memcpy(o->bytes, rte_pktmbuf_mtod(m, const void *), o->len);
	rte_pktmbuf_free(m);
	if (!is_v6)
		assert_int_equal(csum_of(ip, 20), 0);
	assert_int_equal(csum_l4(l4 - 2 * n, l4 - n, n, IPPROTO_TCP, l4, l4_len), 0);
	tcp_wire_parse(&o->o, h);
	o->seq = rte_be_to_cpu_32(h->sent_seq);
	o->ack = rte_be_to_cpu_32(h->recv_ack);
	o->flags = h->tcp_flags;
	o->window = rte_be_to_cpu_16(h->rx_win);
	o->port = rte_be_to_cpu_16(h->src_port);
	o->text = l4 + (h->data_off >> 4) * 4;
	o->n = (uint32_t)(o->bytes + o->len - o->text);
}

static const struct gentcp_ops ops = {write_request, on_open, on_bytes, on_end, output};

/* --- a bed --- */

static struct genopt_net net_of(const char *ip, uint8_t len)
{
	struct genopt_net n = {.len = len};

	n.family = strchr(ip, ':') != NULL ? 6 : 4;
	assert_int_equal(inet_pton(n.family == 4 ? AF_INET : AF_INET6, ip, n.ip), 1);
	return n;
}

static void up(bool six, bool is_cycling)
{
	const struct genopt_net client = net_of(six ? "fd00::100" : "10.0.1.0", six ? 126 : 30);
	const struct genopt_net target = net_of(six ? "fd00::2" : "10.0.0.2", six ? 128 : 32);
	const struct genframe_params frame = {.client = &client,
		.target = &target,
		.target_port = 11211,
		.proto = IPPROTO_TCP,
		.src_mac = client_mac,
		.dst_mac = server_mac};
	const struct gentcp_params p = {.frame = &frame,
		.n_conns = N_CONNS,
		.request_max = 64,
		.ahead_max = 64,
		.is_cycling = is_cycling,
		.seed = 5,
		.pool = pool,
		.ops = &ops};

	is_v6 = six;
	refuses = false;
	n_out = n_open = n_end = n_in = 0;
	assert_int_equal(gentcp_init(&t, &p), 0);
	now_us = 1000000;
	gentcp_at(&t, now_us);
}

static void down(void)
{
	gentcp_fini(&t);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* Time goes on, in steps of a millisecond. */
static void wait_ms(unsigned ms)
{
	for (; ms > 0; ms--) {
		now_us += 1000;
		gentcp_at(&t, now_us);
		gentcp_poll(&t);
	}
}

/* How long nothing is sent from now on. */
static unsigned ms_until_sent(void)
{
	const unsigned n = n_out;
	unsigned ms = 0;

	for (; n_out == n; ms++) {
		assert_true(ms < 100000);
		wait_ms(1);
	}
	return ms;
}

/* A segment of the peer to the port of connection 0. */
struct seg {
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window; /* 0: 1024; 1: closed */
	const char *text;
	uint32_t n; /* 0: that of the text */
	struct tcp_opts o;
};

static uint32_t build(uint8_t *to, const struct seg *s)
{
	const struct gentcp_conn *k = &t.conns[0];
	const uint32_t n_l3 = t.frame.l4,
		       n_text = s->n != 0 ? s->n
		: s->text != NULL         ? (uint32_t)strlen(s->text)
					  : 0;
	const uint32_t n = is_v6 ? 16 : 4, n_options = tcp_wire_build(to + n_l3 + 20, &s->o);
	const uint32_t l4_len = 20 + n_options + n_text;
	const uint16_t be_len = rte_cpu_to_be_16((uint16_t)(is_v6 ? l4_len : 20 + l4_len));
	uint8_t *ip = to + RTE_ETHER_HDR_LEN, *l4 = to + n_l3, *text = l4 + 20 + n_options;
	struct rte_tcp_hdr h = {.src_port = RTE_BE16(11211),
		.dst_port = k->port,
		.sent_seq = rte_cpu_to_be_32(s->seq),
		.recv_ack = rte_cpu_to_be_32(s->ack),
		.data_off = (uint8_t)((20 + n_options) / 4 << 4),
		.tcp_flags = s->flags,
		.rx_win = rte_cpu_to_be_16(s->window == 1 ? 0
				: s->window == 0          ? 1024
							  : s->window)};
	uint16_t sum;

	memcpy(to, t.frame.head, n_l3);
	memcpy(to, &client_mac, 6);
	memcpy(to + 6, &server_mac, 6);
	memcpy(l4 - 2 * n, t.target, n);
	memcpy(l4 - n, t.frame.client, n);
	memcpy(l4 - 4, &k->client, 4);
	memcpy(ip + (is_v6 ? 4 : 2), &be_len, 2);
	sum = csum_of(ip, 20); /* of a field that is 0 */
	if (!is_v6)
		memcpy(ip + 10, &sum, 2);
	for (uint32_t i = 0; i < n_text; i++)
		text[i] = (uint8_t)(s->text != NULL ? s->text[i % strlen(s->text)] : 'x');
	memcpy(l4, &h, sizeof(h));
	h.cksum = csum_l4(l4 - 2 * n, l4 - n, n, IPPROTO_TCP, l4, l4_len);
	memcpy(l4, &h, sizeof(h));
	return n_l3 + l4_len;
}

/* Gives it a frame, padded as Ethernet's least. Whether it was taken. */
static bool give(const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint64_t taken;

	assert_non_null(m);
	memset(rte_pktmbuf_append(m, (uint16_t)RTE_MAX(len, 60u)), 0xee, RTE_MAX(len, 60u));
	memcpy(rte_pktmbuf_mtod(m, void *), frame, len);
	taken = gentcp_input(&t, &m, 1);
	rte_pktmbuf_free(m);
	return taken == 1;
}

static void give_seg(const struct seg *s)
{
	uint8_t frame[2048];
	const uint32_t len = build(frame, s);

	assert_true(give(frame, len));
}

static const struct tcp_opts syn_opts = {.has_mss = true,
	.mss = 1460,
	.has_wscale = true,
	.wscale = 5,
	.sack_ok = true,
	.has_ts = true,
	.tsval = 7000};

/* Connection 0 opens with n_due requests. */
static void establish(uint32_t n_due, const struct tcp_opts *o)
{
	const struct gentcp_conn *k = &t.conns[0];

	t.conns[0].n_due = n_due;
	gentcp_open(&t, 0);
	assert_int_equal(n_out, 1);
	give_seg(&(struct seg){.seq = PEER_ISN,
		.ack = out[0].seq + 1,
		.flags = SYN | ACK,
		.window = 65535,
		.o = *o});
	assert_int_equal(n_open, 1);
	assert_int_equal(k->state, GENTCP_OPEN);
}

/* The next bytes of the peer, behind what came before; ack is of all that was sent. */
static struct seg next_seg(const char *text)
{
	const struct gentcp_conn *k = &t.conns[0];

	return (struct seg){.seq = k->rcv_nxt,
		.ack = k->snd_nxt,
		.flags = ACK | PSH,
		.text = text,
		.o = {.has_ts = true, .tsval = 7001}};
}

static struct out *last(void)
{
	assert_true(n_out > 0);
	return &out[(n_out - 1) % RTE_DIM(out)];
}

/* --- tests --- */

static void a_syn_offers_what_linux_does(void **state)
{
	for (unsigned six = 0; six < 2; six++) {
		up(six, false);
		establish(0, &syn_opts);
		assert_int_equal(out[0].flags, SYN);
		assert_int_equal(out[0].window, 65535);
		assert_true(out[0].o.has_mss && out[0].o.has_ts && out[0].o.has_wscale
			&& out[0].o.sack_ok);
		assert_int_equal(out[0].o.mss, six ? 1440 : 1460);
		assert_int_equal(out[0].o.wscale, 7);
		assert_int_equal(out[0].n, 0);
		/* nothing to say: the handshake's third segment */
		assert_int_equal(n_out, 2);
		assert_int_equal(out[1].flags, ACK);
		assert_int_equal(out[1].seq, out[0].seq + 1);
		assert_int_equal(out[1].ack, PEER_ISN + 1);
		assert_int_equal(out[1].window << 7, 65536);
		assert_int_equal(out[1].o.tsecr, 7000);
		down();
	}
}

static void a_syn_is_repeated(void **state)
{
	up(false, false);
	gentcp_open(&t, 0);
	for (unsigned i = 0; i < 3; i++) {
		const unsigned n = n_out;

		assert_in_range(ms_until_sent(), 1000u << i, (1000u << i) + GENTCP_SWEEP_MS + 1);
		assert_int_equal(n_out, n + 1);
		assert_int_equal(last()->seq, out[0].seq);
		assert_int_equal(last()->flags, SYN);
	}
	assert_int_equal(t.stats.retransmits, 3);
	down();
}

static void options_that_the_peer_lacks_are_not_used(void **state)
{
	const struct tcp_opts none = {.has_mss = true, .mss = 100};

	up(false, false);
	establish(0, &none);
	assert_false(out[1].o.has_ts);
	assert_int_equal(out[1].window, 65535);
	t.conns[0].n_due = 40;
	gentcp_send(&t, 0);
	for (unsigned i = 2; i < n_out; i++)
		assert_true(out[i].n <= 100);
	give_seg(&(struct seg){
		.seq = PEER_ISN + 1, .ack = t.conns[0].snd_nxt, .flags = ACK, .text = "ok"});
	assert_int_equal(n_in, 2);
	down();
}

static void requests_carry_acknowledgements(void **state)
{
	struct seg s;

	up(true, false);
	establish(1, &syn_opts);
	assert_int_equal(n_out, 2); /* the request, and no ACK before it */
	assert_int_equal(out[1].n, 5);
	assert_int_equal(out[1].flags, ACK | PSH);
	assert_memory_equal(out[1].text, "abcde", 5);
	s = next_seg("answer 0");
	give_seg(&s);
	assert_int_equal(n_out, 2);
	t.conns[0].n_answered = 1;
	t.conns[0].n_due = 4;
	gentcp_send(&t, 0);
	assert_int_equal(n_out, 3); /* three in one */
	assert_int_equal(last()->n, 5 + 7 + 5 + 14 + 5 + 21);
	assert_int_equal(last()->ack, PEER_ISN + 1 + 8);
	assert_int_equal(last()->o.tsecr, 7001);
	wait_ms(100);
	assert_int_equal(n_out, 3);
	assert_int_equal(t.stats.pure_acks, 0);
	down();
}

static void an_acknowledgement_waits_for_a_while(void **state)
{
	struct seg s;

	up(false, false);
	establish(0, &syn_opts);
	s = next_seg("a");
	give_seg(&s);
	wait_ms(GENTCP_ACK_MS - 1);
	assert_int_equal(n_out, 2);
	s = next_seg("b"); /* its timestamp is not that of what is acknowledged first */
	s.o.tsval = 7050;
	give_seg(&s);
	assert_in_range(ms_until_sent(), 1, GENTCP_SWEEP_MS + 2);
	assert_int_equal(n_out, 3);
	assert_int_equal(last()->flags, ACK);
	assert_int_equal(last()->ack, PEER_ISN + 3);
	assert_int_equal(last()->o.tsecr, 7001);
	wait_ms(1000);
	assert_int_equal(n_out, 3);
	/* two full ones are acknowledged at once */
	for (unsigned i = 0; i < 4; i++) {
		s = next_seg("z");
		s.n = 1448;
		s.o.tsval = 7060;
		give_seg(&s);
		assert_int_equal(n_out, 3 + (i + 1) / 2);
	}
	assert_int_equal(n_in, 2 + 4 * 1448);
	down();
}

static void what_is_not_acknowledged_goes_again(void **state)
{
	uint8_t first[512];
	uint32_t n;
	struct seg s;

	up(false, false);
	establish(0, &syn_opts);
	t.conns[0].n_due = 12;
	gentcp_send(&t, 0);
	assert_int_equal(n_out, 3);
	n = last()->n;
	memcpy(first, last()->text, n);
	for (unsigned i = 0; i < 3; i++) {
		const unsigned n_before = n_out;

		assert_in_range(ms_until_sent(), 200u << i, (200u << i) + GENTCP_SWEEP_MS + 1);
		assert_int_equal(n_out, n_before + 1);
		assert_int_equal(last()->seq, out[2].seq);
		assert_int_equal(last()->n, n);
		assert_memory_equal(last()->text, first, n);
	}
	assert_int_equal(t.stats.retransmits, 3);
	/* an acknowledgement in the midst of a request: from there on, after the first time-out again */
	for (uint32_t k = 1; k < n; k += 13) {
		const unsigned n_before = n_out;

		s = next_seg(NULL);
		s.ack = out[2].seq + k;
		s.flags = ACK;
		give_seg(&s);
		assert_int_equal(n_out, n_before);
		wait_ms(240);
		assert_int_equal(n_out, n_before + 1);
		assert_int_equal(last()->seq, out[2].seq + k);
		assert_int_equal(last()->n, n - k);
		assert_memory_equal(last()->text, first + k, n - k);
		assert_int_equal(t.conns[0].n_sent, 12);
	}
	down();
}

static void a_closed_window_is_asked_for(void **state)
{
	struct seg s;
	unsigned n;

	up(false, false);
	establish(0, &syn_opts);
	s = next_seg("x");
	s.window = 1;
	give_seg(&s);
	t.conns[0].n_due = 3;
	gentcp_send(&t, 0);
	n = n_out;
	wait_ms(250);
	assert_int_equal(t.conns[0].n_sent, 0);
	assert_true(n_out > n); /* an ACK of x, and a probe */
	assert_int_equal(last()->seq, t.conns[0].snd_nxt - 1);
	assert_int_equal(last()->n, 0);
	s = next_seg(NULL);
	s.window = 1;
	give_seg(&s);
	n = n_out;
	wait_ms(300);
	assert_int_equal(n_out, n);
	wait_ms(120);
	assert_int_equal(n_out, n + 1);
	s = next_seg(NULL);
	give_seg(&s);
	assert_int_equal(t.conns[0].n_sent, 3);
	down();
}

/* The least windows: 32 bytes, so that requests are cut. */
static void windows_cut_requests(void **state)
{
	uint8_t all[4096], want[4096];
	uint32_t n_all = 0, n_want = 0, n_sent;
	struct seg s;

	up(false, false);
	establish(0, &syn_opts);
	s = next_seg("x");
	s.window = 2;
	give_seg(&s);
	t.conns[0].n_due = 60;
	gentcp_send(&t, 0);
	for (uint32_t i = 0; i < 60; i++)
		n_want += request(i, want + n_want);
	n_sent = n_out - 1;
	for (unsigned round = 0; n_all < n_want; round++) {
		assert_true(round < 200);
		assert_int_equal(n_out, n_sent + 1);
		assert_true(last()->n <= 64);
		memcpy(all + n_all, last()->text, last()->n);
		n_all += last()->n;
		n_sent = n_out;
		t.conns[0].n_answered = t.conns[0].n_sent;
		s = next_seg(NULL);
		s.window = 2;
		give_seg(&s);
	}
	assert_int_equal(n_all, n_want);
	assert_memory_equal(all, want, n_want);
	down();
}

static void segments_that_are_not_believed(void **state)
{
	uint8_t frame[2048];
	struct seg s;
	uint32_t len;
	unsigned n;

	up(false, false);
	establish(1, &syn_opts);
	n = n_out;
	s = next_seg("right");
	len = build(frame, &s);
	for (uint32_t i = 0; i < len; i++) {
		if (i >= 6 && i < 12) /* whoever sent it */
			continue;
		frame[i] ^= 0x10; /* of another port or protocol, or a wrong sum */
		give(frame, len);
		frame[i] ^= 0x10;
	}
	assert_int_equal(n_in, 0);
	assert_int_equal(n_out, n);
	assert_true(t.stats.bad_checksum >= len - 34 - 4);
	for (uint32_t k = 0; k < len; k++) /* cut */
		give(frame, k);
	assert_int_equal(n_in, 0);

	s.ack = t.conns[0].snd_nxt + 1; /* of what was never sent */
	give_seg(&s);
	assert_int_equal(n_in, 0);
	assert_int_equal(n_out, ++n);
	assert_int_equal(last()->flags, ACK);
	s = next_seg("old");
	s.o.tsval = 6999;
	give_seg(&s);
	assert_int_equal(n_in, 0);
	assert_int_equal(n_out, ++n);
	assert_int_equal(t.stats.unacceptable, 2);
	s = next_seg("later");
	s.seq += 3; /* behind a gap */
	give_seg(&s);
	assert_int_equal(n_in, 0);
	assert_int_equal(n_out, ++n);
	assert_int_equal(last()->ack, PEER_ISN + 1);
	s.seq += 1u << 20; /* beyond the window */
	give_seg(&s);
	assert_int_equal(n_out, ++n);
	assert_int_equal(t.stats.out_of_order, 2);
	s = next_seg("");
	s.flags = SYN | ACK; /* the handshake's once more */
	s.seq = PEER_ISN;
	give_seg(&s);
	assert_int_equal(n_out, ++n);
	assert_int_equal(last()->flags, ACK);
	s = next_seg("ok");
	s.flags = 0;
	give_seg(&s);
	assert_int_equal(n_in, 0);
	assert_int_equal(t.stats.bad_header, 1);
	assert_int_equal(n_out, n);

	s = next_seg("right");
	give_seg(&s);
	assert_memory_equal(in, "right", 5);
	give_seg(&s); /* twice */
	assert_int_equal(n_in, 5);
	assert_int_equal(t.stats.duplicates, 1);
	assert_int_equal(n_out, ++n);
	s.text = "right and more";
	give_seg(&s);
	assert_int_equal(n_in, 14);
	assert_memory_equal(in, "right and more", 14);
	down();
}

static void resets(void **state)
{
	struct seg s;
	unsigned n;

	up(false, false);
	establish(1, &syn_opts);
	n = n_out;
	s = next_seg(NULL);
	s.flags = RST;
	s.seq += 5; /* RFC 5961: asked again */
	give_seg(&s);
	assert_int_equal(n_end, 0);
	assert_int_equal(n_out, ++n);
	assert_int_equal(last()->flags, ACK);
	s.seq += 1u << 20;
	give_seg(&s);
	assert_int_equal(n_out, n);
	s = next_seg(NULL);
	s.flags = RST;
	give_seg(&s);
	assert_int_equal(n_end, 1);
	assert_int_equal(why, GENTCP_WHY_RESET);
	assert_int_equal(t.stats.resets, 1);
	assert_int_equal(n_out, n);
	/* what was sent has no answer any more, and what is due goes over the next one */
	t.conns[0].n_due = 2;
	gentcp_open(&t, 0);
	assert_int_equal(t.conns[0].n_answered, 1);
	give_seg(&(struct seg){
		.seq = 77, .ack = last()->seq + 1, .flags = SYN | ACK, .o = syn_opts});
	assert_int_equal(last()->n, 12);
	assert_int_equal(last()->text[0], 'b');
	n = n_out + 2; /* of a request that may not have got there */
	gentcp_abort(&t, 0);
	assert_int_equal(last()->flags, RST | ACK);
	assert_int_equal(last()->seq, t.conns[0].snd_nxt);
	assert_int_equal(why, GENTCP_WHY_ABORTED);
	gentcp_abort(&t, 0);
	gentcp_send(&t, 0);
	assert_int_equal(n_out, n);
	/* to one that is none */
	s = next_seg("late");
	give_seg(&s);
	assert_int_equal(n_out, n + 1);
	assert_int_equal(last()->flags, RST);
	assert_int_equal(last()->seq, s.ack);
	s.flags = FIN;
	give_seg(&s);
	assert_int_equal(last()->flags, RST | ACK);
	assert_int_equal(last()->ack, s.seq + 5);
	s.flags = RST;
	give_seg(&s);
	assert_int_equal(n_out, n + 2);
	assert_int_equal(t.stats.strays, 3);
	down();
}

static void opening_is_refused(void **state)
{
	struct seg s = {.flags = ACK, .seq = 1};

	up(false, false);
	gentcp_open(&t, 0);
	s.ack = out[0].seq + 100; /* of a connection that was here before: RFC 9293 3.5.1 */
	give_seg(&s);
	assert_int_equal(n_out, 2);
	assert_int_equal(last()->flags, RST);
	assert_int_equal(last()->seq, s.ack);
	s.flags = RST | ACK;
	give_seg(&s);
	s.flags = RST;
	give_seg(&s);
	s.flags = SYN;
	give_seg(&s);
	assert_int_equal(n_end, 0);
	assert_int_equal(n_out, 2);
	s.flags = RST | ACK;
	s.ack = out[0].seq + 1;
	give_seg(&s);
	assert_int_equal(n_end, 1);
	assert_int_equal(why, GENTCP_WHY_RESET);
	assert_int_equal(n_open, 0);
	down();
}

static void the_peer_closes_first(void **state)
{
	struct seg s;

	up(false, false);
	establish(1, &syn_opts);
	s = next_seg("bye");
	s.flags |= FIN;
	give_seg(&s);
	assert_int_equal(n_in, 3);
	assert_int_equal(n_end, 1);
	assert_int_equal(why, GENTCP_WHY_EOF);
	assert_int_equal(last()->flags, RST | ACK);
	assert_int_equal(last()->ack, s.seq + 4);
	down();
	up(false, false);
	establish(1, &syn_opts);
	refuses = true;
	s = next_seg("what is this");
	s.flags |= FIN;
	give_seg(&s);
	assert_int_equal(n_end, 1);
	assert_int_equal(why, GENTCP_WHY_ABORTED);
	down();
}

static void closing(void **state)
{
	struct seg s;
	unsigned n;

	up(false, true);
	establish(1, &syn_opts);
	s = next_seg("answer");
	give_seg(&s);
	t.conns[0].n_answered = 1;
	n = n_out;
	gentcp_close(&t, 0);
	assert_int_equal(n_out, n + 1);
	assert_int_equal(last()->flags, FIN | ACK);
	assert_int_equal(last()->ack, PEER_ISN + 7);
	wait_ms(240); /* lost */
	assert_int_equal(n_out, n + 2);
	assert_int_equal(last()->flags, FIN | ACK);
	assert_int_equal(last()->seq, out[n].seq);
	s = next_seg(NULL);
	s.flags = ACK;
	give_seg(&s);
	assert_int_equal(n_end, 0);
	s.flags = FIN | ACK;
	give_seg(&s);
	assert_int_equal(n_end, 1);
	assert_int_equal(why, GENTCP_WHY_CLOSED);
	assert_int_equal(last()->flags, ACK);
	assert_int_equal(last()->ack, PEER_ISN + 8);
	/* the last ACK was lost: the peer says it again, to a port that is another's by now */
	give_seg(&s);
	assert_int_equal(last()->flags, RST);
	{
		const uint16_t port = last()->port;
		uint8_t frame[2048];
		const uint32_t len = build(frame, &s);

		gentcp_open(&t, 0);
		assert_int_equal(last()->flags, SYN);
		assert_true(last()->port != port);
		give(frame, len);
		assert_int_equal(last()->flags, RST);
		assert_int_equal(last()->port, port);
		assert_int_equal(t.conns[0].state, GENTCP_OPENING);
	}
	assert_int_equal(t.stats.strays, 2);
	/* both at once */
	s = (struct seg){.seq = 500, .ack = t.conns[0].snd_nxt, .flags = SYN | ACK, .o = syn_opts};
	give_seg(&s);
	gentcp_close(&t, 0);
	s = next_seg(NULL);
	s.ack--; /* has not seen it */
	s.flags = FIN | ACK;
	give_seg(&s);
	assert_int_equal(n_end, 1);
	s = next_seg(NULL);
	s.flags = ACK;
	give_seg(&s);
	assert_int_equal(n_end, 2);
	assert_int_equal(why, GENTCP_WHY_CLOSED);
	down();
}

static void ports_go_round(void **state)
{
	uint32_t first;

	up(false, true);
	gentcp_open(&t, 3);
	first = t.conns[3].generation;
	for (uint64_t i = 0; i < t.n_generations; i++) {
		gentcp_abort(&t, 3);
		gentcp_open(&t, 3);
		assert_true(i + 1 == t.n_generations || t.conns[3].generation != first);
	}
	assert_int_equal(t.conns[3].generation, first);
	down();
}

/* What could not be sent goes when there are buffers again. */
static void no_buffers(void **state)
{
	static struct rte_mbuf *all[1024];
	unsigned n = 0;

	up(false, false);
	establish(0, &syn_opts);
	rte_pktmbuf_free_bulk(t.stock, t.n_stock);
	t.n_stock = 0;
	while (n < RTE_DIM(all) && (all[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	t.conns[0].n_due = 1;
	gentcp_send(&t, 0);
	wait_ms(100);
	assert_int_equal(n_out, 2);
	assert_true(t.stats.no_buffer > 1);
	assert_int_equal(t.conns[0].n_sent, 0);
	rte_pktmbuf_free_bulk(all, n);
	wait_ms(GENTCP_ACK_MS + 1);
	assert_int_equal(n_out, 3);
	assert_int_equal(last()->n, 5);
	down();
}

static uint64_t draw(void)
{
	static uint64_t r = 88172645463325252ull;

	r ^= r << 13;
	r ^= r >> 7;
	r ^= r << 17;
	return r >> 8;
}

/* Segments whose sums are right and all else is not, of open, opening and closing connections; and no segments at all. */
static void bytes_that_nobody_sent(void **state)
{
	static const struct tcp_opts none;
	uint8_t frame[2048];

	for (unsigned six = 0; six < 2; six++) {
		up(six, six);
		for (unsigned i = 0; i < 60000; i++) {
			struct gentcp_conn *k = &t.conns[0];
			struct seg s = {.seq = k->rcv_nxt
					+ (draw() % 4 == 0 ? (uint32_t)draw()
							   : (uint32_t)(draw() % 9) - 4),
				.ack = draw() % 4 == 0 ? (uint32_t)draw()
						       : k->snd_una + (uint32_t)(draw() % 60),
				.flags = (uint8_t)(draw() % 4 == 0 ? draw() : ACK),
				.window = (uint16_t)draw(),
				.n = (uint32_t)(draw() % 3 * draw() % 1400)};
			uint32_t len;

			if (draw() % 3 != 0)
				s.o = (struct tcp_opts){.has_ts = true, .tsval = 7000 + i};
			if (draw() % 8 == 0)
				s.o = draw() % 2 == 0 ? syn_opts : none;
			if (k->state == GENTCP_CLOSED)
				gentcp_open(&t, 0);
			if (k->state == GENTCP_OPENING && draw() % 4 == 0) {
				s.flags = SYN | ACK;
				s.ack = k->snd_nxt;
			}
			if (k->state == GENTCP_OPEN && draw() % 16 == 0) {
				k->n_due++;
				gentcp_send(&t, 0);
			} else if (k->state == GENTCP_OPEN && k->snd_una == k->snd_nxt
				&& draw() % 16 == 0) {
				gentcp_close(&t, 0);
			}
			k->n_answered = k->n_sent - (k->n_sent > 0 && draw() % 4 == 0);
			len = build(frame, &s);
			for (unsigned n = draw() % 8 == 0 ? 1 + draw() % 8 : 0; n > 0; n--)
				frame[draw() % len] ^= (uint8_t)draw();
			give(frame, draw() % 16 == 0 ? (uint32_t)(draw() % len) : len);
			if (draw() % 64 == 0)
				wait_ms((unsigned)(draw() % 300));
			n_in = 0;
			assert_true(k->snd_nxt - k->snd_una <= 1u << 17);
			assert_true(k->state <= GENTCP_CLOSING);
		}
		assert_true(n_open > 100 && n_end > 100 && t.stats.timeouts > 0);
		down();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_syn_offers_what_linux_does),
		cmocka_unit_test(a_syn_is_repeated),
		cmocka_unit_test(options_that_the_peer_lacks_are_not_used),
		cmocka_unit_test(requests_carry_acknowledgements),
		cmocka_unit_test(an_acknowledgement_waits_for_a_while),
		cmocka_unit_test(what_is_not_acknowledged_goes_again),
		cmocka_unit_test(a_closed_window_is_asked_for),
		cmocka_unit_test(windows_cut_requests),
		cmocka_unit_test(segments_that_are_not_believed),
		cmocka_unit_test(resets),
		cmocka_unit_test(opening_is_refused),
		cmocka_unit_test(the_peer_closes_first),
		cmocka_unit_test(closing),
		cmocka_unit_test(ports_go_round),
		cmocka_unit_test(no_buffers),
		cmocka_unit_test(bytes_that_nobody_sent),
	};

	if (eal_start(argv[0], 64) != 0)
		return 1;
	pool = rte_pktmbuf_pool_create(
		"gentcp", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
