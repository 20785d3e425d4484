/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every state of a flow × every kind of segment × where its number is in the window × where its acknowledgement is: each cell
 * begins with a new stack and a new flow, and an oracle written from the RFCs (tests/lib/tcporacle) says what has to come of it.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "tcporacle.h"
#include "unit.h"

#include <rte_mempool.h>

#include <stdio.h>

#define S RTE_TCP_SYN_FLAG
#define A RTE_TCP_ACK_FLAG
#define F RTE_TCP_FIN_FLAG
#define R RTE_TCP_RST_FLAG
#define P RTE_TCP_PSH_FLAG
#define U RTE_TCP_URG_FLAG

#define MSS 536u
#define WND 30000u       /* of the peer, while it is set up */
#define WND_LATER 20000u /* ... in the segment of the cell */
#define SETTLE_US 50000u /* late acknowledgements are out, nothing is sent again */

static struct tcpscript x;
static struct tcporacle_flow f;
static uint32_t isn, tsval, tsecr, n_others; /* others: SYN entries of other flows */

/* ── what the segment of a cell is ── */

enum ts { TS_NONE, TS_NEWER, TS_SAME, TS_OLDER, TS_MISSING };
static const char *const ts_names[] = {"none", "newer", "same", "older", "missing"};

static const struct mode {
	uint8_t family;
	enum ts ts;
	uint32_t isn; /* two of them come round to 0 */
} modes[] = {
	{4, TS_NONE, 1000},
	{4, TS_NEWER, 0xffffff00},
	{4, TS_SAME, 1000},
	{4, TS_OLDER, 1000},
	{4, TS_MISSING, 1000},
	{6, TS_NONE, 0xffff8000},
	{6, TS_NEWER, 1000},
};
static const struct mode *mode;

static const struct kind {
	const char *name;
	uint8_t flags;
	uint32_t len;
	uint16_t wnd;
} kinds[] = {
	{"SYN", S, 0, WND_LATER},
	{"SYN with data", S, 10, WND_LATER},
	{"SYN+ACK", S | A, 0, WND_LATER},
	{"SYN+ACK with data", S | A, 10, WND_LATER},
	{"SYN+FIN", S | F, 0, WND_LATER},
	{"SYN+RST", S | R, 0, WND_LATER},
	{"SYN+FIN+ACK", S | F | A, 0, WND_LATER},
	{"ACK", A, 0, WND_LATER},
	{"ACK of window 0", A, 0, 0},
	{"data", P | A, 10, WND_LATER},
	{"a byte", A, 1, WND_LATER},
	{"urgent data", U | A, 10, WND_LATER},
	{"data without ACK", P, 10, WND_LATER},
	{"FIN+ACK", F | A, 0, WND_LATER},
	{"FIN", F, 0, WND_LATER},
	{"data+FIN", P | F | A, 10, WND_LATER},
	{"RST", R, 0, WND_LATER},
	{"RST+ACK", R | A, 0, WND_LATER},
	{"RST with data", R | A, 10, WND_LATER},
	{"RST+FIN", R | F, 0, WND_LATER},
	{"nothing", 0, 0, WND_LATER},
};

static const char *const seq_names[] = {"far before", "all before", "one before", "at rcv_nxt",
	"inside", "last", "edge", "beyond", "far beyond", "half round"};
#define N_SEQS RTE_DIM(seq_names)

static uint32_t seq_at(unsigned i, const struct kind *k)
{
	const uint32_t n = k->len + !!(k->flags & S) + !!(k->flags & F), wnd = f.rcv_wnd;
	const uint32_t seqs[N_SEQS] = {f.rcv_nxt - 70000, f.rcv_nxt - RTE_MAX(n, 1u), f.rcv_nxt - 1,
		f.rcv_nxt, f.rcv_nxt + RTE_MIN(100u, wnd / 2), f.rcv_nxt + wnd - 1, f.rcv_nxt + wnd,
		f.rcv_nxt + wnd + 1, f.rcv_nxt + 0x40000000, f.rcv_nxt + 0x7ffffff0};

	return seqs[i];
}

static const char *const ack_names[] = {"older than a window", "a window old", "below snd_una",
	"at snd_una", "between", "last", "at snd_nxt", "beyond", "far beyond"};
#define N_ACKS RTE_DIM(ack_names)

static uint32_t ack_at(unsigned i)
{
	const uint32_t acks[N_ACKS] = {f.snd_una - f.max_wnd - 1, f.snd_una - f.max_wnd,
		f.snd_una - 1, f.snd_una, f.snd_una + (f.snd_nxt - f.snd_una) / 2, f.snd_nxt - 1,
		f.snd_nxt, f.snd_nxt + 1, f.snd_nxt + 0x40000000};

	return acks[i];
}

/* ── flows ── */

/* The next segment of the peer, whose numbers are as they have to be, with all that came from us acknowledged up to `ack`. */
static void give(uint8_t flags, uint32_t ack, uint32_t len, uint16_t wnd)
{
	const struct tcpscript_seg s = {.flags = flags,
		.seq = f.rcv_nxt,
		.ack = ack,
		.len = len,
		.wnd = wnd,
		.o = {.has_ts = mode->ts != TS_NONE,
			.tsval = ++tsval,
			.tsecr = tsecr,
			.has_mss = flags & S,
			.mss = MSS + (mode->ts != TS_NONE ? TCP_WIRE_TS_BYTES : 0)}};

	tcpscript_in(&x, TCPSCRIPT_PORT, &s);
	f.rcv_nxt += len + !!(flags & S) + !!(flags & F);
	f.wl1 = s.seq;
	f.snd_una = f.wl2 = ack;
	f.snd_wnd = wnd;
	f.ts_recent = tsval;
}

/* The flow as the segments that have come out show it. */
static void settle(void)
{
	const struct tcpscript_seg *s;

	tcpscript_wait_us(&x, SETTLE_US);
	while ((s = tcpscript_next(&x)) != NULL) {
		if (s->flags & S)
			f.iss = s->seq;
		f.snd_nxt = s->seq + s->len + !!(s->flags & S) + !!(s->flags & F);
		if (s->flags & A) {
			f.last_ack = s->ack;
			f.rcv_wnd = s->wnd - (f.rcv_nxt - s->ack);
		}
		tsecr = s->o.tsval;
	}
	f.unread = x.c != NULL ? tcp_unread(x.c) : 0;
}

static void begin(enum tcp_cookies cookies)
{
	tcpscript_up(&x, mode->family, cookies);
	isn = mode->isn;
	f = (struct tcporacle_flow){.irs = isn,
		.rcv_nxt = isn,
		.rcv_wnd = 65535,
		.max_wnd = WND,
		.has_ts = mode->ts != TS_NONE};
	tsval = 5000;
	tsecr = n_others = 0;
}

/* SYNs of others, as many as there is room for and one more: that gets a cookie. */
static void spend_cookie(void)
{
	struct tcp_usage u;
	struct tcpscript_seg s = {.flags = S, .wnd = WND};

	tcp_usage(x.t, &u);
	n_others = 16 - u.n_syns;
	for (uint32_t i = 0; i <= n_others; i++)
		tcpscript_in(&x, (uint16_t)(5000 + i), &s);
	assert_int_equal(tcp_stats(x.t)->cookies_sent, 1);
	f.are_cookies = true;
}

static void none(void)
{
	begin(TCP_COOKIES_AUTO);
}

static void syn_only(enum tcp_cookies cookies)
{
	begin(cookies);
	give(S, 0, 0, WND);
	settle();
	f.snd_una = f.iss;
}

static void cookie(void)
{
	syn_only(TCP_COOKIES_ALWAYS);
	f.has_cookie = f.are_cookies = f.cookies_only = true;
}

static void syn_rcvd(void)
{
	syn_only(TCP_COOKIES_AUTO);
	f.state = ORACLE_SYN_RCVD;
}

static void syn_rcvd_cookies(void)
{
	syn_rcvd();
	spend_cookie();
}

static void syn_sent(void)
{
	begin(TCP_COOKIES_AUTO);
	tcpscript_open(&x);
	settle();
	f.snd_una = f.iss;
	f.state = ORACLE_SYN_SENT;
}

static void established_by(uint32_t rcv_max)
{
	begin(TCP_COOKIES_AUTO);
	x.profile.rcv_max = rcv_max;
	give(S, 0, 0, WND);
	settle();
	give(A, f.snd_nxt, 0, WND);
	settle();
	f.state = ORACLE_ESTABLISHED;
}

static void established(void)
{
	established_by(0);
}

/* Bytes of ours are on their way. */
static void fly(uint32_t n)
{
	static const uint8_t block[2 * MSS];

	assert_int_equal(tcp_write(x.c, block, n), n);
	tcp_flush(x.t, x.now_us);
	settle();
}

static void close_ours(void)
{
	tcp_close(x.c);
	tcp_flush(x.t, x.now_us);
	settle();
}

static void flying(void)
{
	established();
	fly(2 * MSS);
}

static void opened(void)
{
	syn_sent();
	give(S | A, f.snd_nxt, 0, WND);
	settle();
	f.state = ORACLE_ESTABLISHED;
	fly(2 * MSS);
}

static void peer_has_no_room(void)
{
	established();
	give(A, f.snd_nxt, 0, 0);
	settle();
	fly(100);
	f.unsent = 100;
}

static void has_hole(void)
{
	established();
	f.rcv_nxt += 5;
	give(P | A, f.snd_nxt, 10, WND);
	f.rcv_nxt -= 15;
	f.ts_recent--; /* out of order: not recorded */
	f.has_hole = true;
	f.stored_seq = f.rcv_nxt + 5;
	f.stored = 10;
	settle();
}

/* All but `left` bytes of the receive window are full. */
static void fill(uint32_t left)
{
	established_by(2048);
	give(P | A, f.snd_nxt, 1024, WND);
	settle();
	give(P | A, f.snd_nxt, 1024 - left, WND);
	settle();
	assert_int_equal(f.rcv_wnd, left);
}

static void has_no_room(void)
{
	fill(0);
}

static void has_little_room(void)
{
	fill(8);
}

static void has_room_for_data(void)
{
	fill(10);
}

static void fin_wait_1(void)
{
	flying();
	close_ours();
	f.state = ORACLE_FIN_WAIT_1;
}

static void fin_wait_1_no_room(void)
{
	has_no_room();
	close_ours();
	f.state = ORACLE_FIN_WAIT_1;
}

static void fin_wait_2(void)
{
	fin_wait_1();
	give(A, f.snd_nxt, 0, WND);
	f.state = ORACLE_FIN_WAIT_2;
}

static void fin_wait_2_little_room(void)
{
	has_room_for_data();
	close_ours();
	give(A, f.snd_nxt, 0, WND);
	f.state = ORACLE_FIN_WAIT_2;
}

static void close_wait(void)
{
	flying();
	give(P | F | A, f.snd_una, 20, WND);
	settle();
	f.state = ORACLE_CLOSE_WAIT;
}

static void closing(void)
{
	fin_wait_1();
	give(F | A, f.snd_una, 0, WND);
	settle();
	f.state = ORACLE_CLOSING;
}

static void closing_unread(void)
{
	fin_wait_1();
	give(P | F | A, f.snd_una, 20, WND);
	settle();
	f.state = ORACLE_CLOSING;
}

static void last_ack(void)
{
	close_wait();
	close_ours();
	f.state = ORACLE_LAST_ACK;
}

static void last_ack_cookies(void)
{
	last_ack();
	spend_cookie();
}

static void time_wait_unread(void)
{
	fin_wait_2();
	give(P | F | A, f.snd_una, 20, WND);
	settle();
	f.state = ORACLE_TIME_WAIT;
}

static void record(void)
{
	fin_wait_2();
	give(F | A, f.snd_una, 0, WND);
	settle();
	tcpscript_wait_us(&x, 30000000);
	f.state = ORACLE_RECORD;
}

static const struct setup {
	const char *name;
	void (*up)(void);
} setups[] = {
	{"no flow", none},
	{"cookie", cookie},
	{"SYN-RECEIVED", syn_rcvd},
	{"SYN-RECEIVED, cookies", syn_rcvd_cookies},
	{"SYN-SENT", syn_sent},
	{"ESTABLISHED", established},
	{"ESTABLISHED, data on its way", flying},
	{"ESTABLISHED by us, data on its way", opened},
	{"ESTABLISHED, peer's window closed", peer_has_no_room},
	{"ESTABLISHED, a hole", has_hole},
	{"ESTABLISHED, window closed", has_no_room},
	{"ESTABLISHED, window of 8", has_little_room},
	{"ESTABLISHED, window of 10", has_room_for_data},
	{"FIN-WAIT-1", fin_wait_1},
	{"FIN-WAIT-1, window closed", fin_wait_1_no_room},
	{"FIN-WAIT-2", fin_wait_2},
	{"FIN-WAIT-2, window of 10", fin_wait_2_little_room},
	{"CLOSE-WAIT", close_wait},
	{"CLOSING", closing},
	{"CLOSING, unread", closing_unread},
	{"LAST-ACK", last_ack},
	{"LAST-ACK, cookies", last_ack_cookies},
	{"TIME-WAIT, unread", time_wait_unread},
	{"TIME-WAIT", record},
};

/* ── a cell ── */

static const char *const state_names[ORACLE_N_STATES] = {"none", "SYN-RECEIVED", "SYN-SENT",
	"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
	"TIME-WAIT record"};

static char cell[256]; /* its name */
static unsigned n_wrong;

#define WRONG(...) \
	do { \
		fprintf(stderr, "%s\n    ", cell); \
		fprintf(stderr, __VA_ARGS__); \
		fprintf(stderr, "\n"); \
		n_wrong++; \
	} while (0)

#define SAME(what, is, should) \
	do { \
		if ((is) != (should)) \
			WRONG(what ": %lld, should be %lld", (long long)(is), \
				(long long)(should)); \
	} while (0)

static enum tcporacle_state state_now(struct tcp_info *info)
{
	struct tcp_usage u;

	tcp_usage(x.t, &u);
	if (x.c == NULL)
		return u.n_time_waits > 0     ? ORACLE_RECORD
			: u.n_syns > n_others ? ORACLE_SYN_RCVD
					      : ORACLE_NONE;
	tcp_info(x.c, info, x.now_us);
	for (unsigned i = 0; i < ORACLE_N_STATES; i++)
		if (strcmp(state_names[i], tcp_state_name(info->state)) == 0)
			return i;
	return ORACLE_N_STATES;
}

static void check_answer(const struct tcporacle_flow *was, const struct tcporacle_says *says)
{
	const struct tcpscript_seg *s;

	if (says->when == ORACLE_LATER && x.n_taken != x.n_out)
		WRONG("the acknowledgement is not late");
	tcpscript_wait_us(&x, 45000);
	s = tcpscript_next(&x);
	if (s == NULL || says->when == ORACLE_SILENT) {
		SAME("answers", s != NULL, says->when != ORACLE_SILENT);
		if (s != NULL)
			WRONG("it is flags %02x seq rcv %d len %u", s->flags,
				(int)(s->ack - was->rcv_nxt), s->len);
		return;
	}
	SAME("answer's flags", s->flags, says->flags);
	if (!says->any_seq)
		SAME("answer's number", s->seq - was->snd_una, says->seq - was->snd_una);
	SAME("answer's acknowledgement", s->ack - (s->flags & A ? was->rcv_nxt : 0),
		says->ack - (says->flags & A ? was->rcv_nxt : 0));
	SAME("answer's length", s->len, says->len);
	SAME("answer's timestamp", s->o.has_ts, f.has_ts && !(s->flags & R));
	if (s->o.has_ts)
		SAME("timestamp echoed", s->o.tsecr, f.ts_recent);
	if (f.state >= ORACLE_ESTABLISHED && f.state <= ORACLE_FIN_WAIT_2 && !says->opens)
		SAME("window shrinks", s->ack + s->wnd - was->rcv_nxt < was->rcv_wnd, 0);
	SAME("answers", x.n_out - x.n_taken, 0);
}

static void check_heard(const struct tcporacle_says *says, const struct tcpscript *was)
{
	const uint8_t *p;
	uint32_t len, at = f.rcv_nxt - f.unread;

	SAME("opened", x.n_open - was->n_open, says->opens);
	SAME("closed", x.n_close - was->n_close, says->closes);
	if (says->closes && x.n_close > was->n_close)
		SAME("why", x.why, says->why);
	SAME("called", x.n_ready > was->n_ready, says->has_news);
	if (x.c == NULL)
		return;
	SAME("unread", tcp_unread(x.c), f.unread);
	SAME("end of file", tcp_is_eof(x.c),
		f.unread == 0 && f.state >= ORACLE_CLOSE_WAIT && f.state <= ORACLE_TIME_WAIT);
	if (f.state >= ORACLE_CLOSE_WAIT)
		at--; /* its FIN */
	while ((p = tcp_peek(x.c, &len)) != NULL) {
		for (uint32_t i = 0; i < len; i++)
			if (p[i] != (uint8_t)at++) {
				WRONG("a byte is not what was sent");
				return;
			}
		tcp_consume(x.c, len);
	}
}

static void check_state(void)
{
	struct tcp_info info = {0};
	const enum tcporacle_state is = state_now(&info);

	if (is != f.state)
		WRONG("state: %s, should be %s", is < ORACLE_N_STATES ? state_names[is] : "?",
			state_names[f.state]);
	if (is != f.state || x.c == NULL || f.state == ORACLE_SYN_SENT)
		return;
	SAME("send window", info.snd_wnd, f.snd_wnd);
	SAME("on its way", info.in_flight, f.snd_nxt - f.snd_una);
	SAME("timestamps", info.has_timestamps, f.has_ts);
}

static void run(const struct tcpscript_seg *s)
{
	const struct tcporacle_flow was = f;
	const struct tcpscript heard = x;
	struct tcporacle_says says;
	struct tcp_usage u;

	tcporacle_take(&f, s, &says);
	tcpscript_in(&x, TCPSCRIPT_PORT, s);
	check_state();
	check_answer(&was, &says);
	check_heard(&says, &heard);
	if (was.state != ORACLE_RECORD || f.state != ORACLE_RECORD)
		return;
	tcpscript_wait_us(&x, 31000000);
	tcp_usage(x.t, &u);
	SAME("waits on", u.n_time_waits, says.restarts);
}

static uint32_t tsval_of(enum ts ts)
{
	return f.ts_recent + (ts == TS_NEWER) - (ts == TS_OLDER);
}

/* All cells of a flow and a kind. */
static unsigned run_kind(const struct setup *setup, const struct kind *k)
{
	const unsigned n_acks = k->flags & A ? N_ACKS : 1;
	unsigned n = 0;

	for (unsigned i = 0; i < N_SEQS * n_acks; i++) {
		const unsigned i_seq = i / n_acks, i_ack = i % n_acks;
		struct tcpscript_seg s;

		setup->up();
		s = (struct tcpscript_seg){.flags = k->flags,
			.wnd = k->wnd,
			.seq = seq_at(i_seq, k),
			.ack = k->flags & A ? ack_at(i_ack) : 0,
			.len = k->len,
			.o = {.has_ts = mode->ts != TS_NONE && mode->ts != TS_MISSING,
				.tsval = tsval_of(mode->ts),
				.tsecr = tsecr}};
		snprintf(cell, sizeof(cell), "IPv%u, timestamp %s: %s: %s: seq %s, ack %s",
			mode->family, ts_names[mode->ts], setup->name, k->name, seq_names[i_seq],
			n_acks > 1 ? ack_names[i_ack] : "none");
		run(&s);
		tcpscript_down(&x);
		n++;
	}
	return n;
}

static void every_cell_is_as_the_rfcs_say(void **state)
{
	unsigned n = 0;

	for (unsigned m = 0; m < RTE_DIM(modes); m++)
		for (unsigned i = 0; i < RTE_DIM(setups); i++)
			for (unsigned k = 0; k < RTE_DIM(kinds); k++) {
				mode = &modes[m];
				n += run_kind(&setups[i], &kinds[k]);
			}
	printf("%u cells, %u findings\n", n, n_wrong);
	assert_int_equal(n_wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_cell_is_as_the_rfcs_say)};

	keyhash_init_seed(11);
	if (eal_start("test_tcp_matrix", 64) != 0)
		return 1;
	x.pool = rte_pktmbuf_pool_create("tcp", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	return x.pool == NULL || cmocka_run_group_tests_name("tcp_matrix", tests, NULL, NULL);
}
