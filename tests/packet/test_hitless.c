/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change of the configuration breaks no flow, and two boxes with one configuration choose alike: the real packet
 * path, flows of every mode, family and protocol, and random valid changes (fleet.h).
 *
 * After every change some flows have a packet each way. A client's packet carries the flow's number at its end and
 * must come out to where the flow's first one went: backend, port, SNAT address and port. What the backend sends
 * back must reach the client from the VIP. Exceptions are those of dataplane/README.md: the backend is out (DOWN,
 * EVICT, removed), and it is UDP or the service's policy is not keep.
 *
 *     CHANGES=10000 SEED=7 test_hitless       more changes than the default, other ones
 */
#include "eal.h"
#include "fleet.h"
#include "lb/conn.h"
#include "net/parse.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_FLOWS 4096u /* a power of two: the client's port says which */
#define N_BEGIN 3000u /* before the first change */
#define N_ASKED 64u   /* after each */
#define N_OPENED 4u
#define SWEEP_EVERY 100u /* changes, after which every flow is asked */
#define BATCH 128u
#define N_TUPLES 20000u
#define TUPLE_IDS 0xf0000000u /* numbers of packets that are no flow's */
#define MARK 0x4d524c42u
#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG

enum flow_state { GONE, OPENING, LIVE };

struct place { /* where a client's packet went; zeroed before it is filled in */
	uint8_t mac[6];
	uint8_t family, proto;
	uint8_t src[16], dst[16];
	rte_be16_t sport, dport;
};

struct flow {
	uint32_t number; /* of the client's address: no two flows have the same */
	uint8_t state;   /* enum flow_state */
	uint8_t service;
	struct place place;
	/* since it was asked */
	struct place seen;
	unsigned n_forward, n_back, n_reset;
};

/* What a child found out. */
struct report {
	uint64_t n_changes, n_refused, n_asked, n_answers, n_opened, n_moved, n_reset, n_broken;
	uint8_t choice[N_TUPLES]; /* last byte of the backend's address */
};

static struct harness h;
static struct fleet fleet;
static struct report *report;
static struct flow flows[N_FLOWS];
static uint32_t n_numbers;
static unsigned n_solicited; /* neighbours that were asked for and answered */

/* --- frames in --- */

struct frame {
	uint8_t family, proto, tcp_flags;
	const uint8_t *src, *dst;
	uint16_t sport, dport;
	uint32_t id;
};

static uint8_t *put_ip(uint8_t *ip, const struct frame *f, unsigned l4_len)
{
	if (f->family == 4) {
		struct rte_ipv4_hdr v4 = {.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_len)),
			.time_to_live = 64,
			.next_proto_id = f->proto};

		memcpy(&v4.src_addr, f->src, 4);
		memcpy(&v4.dst_addr, f->dst, 4);
		v4.hdr_checksum = rte_ipv4_cksum(&v4);
		memcpy(ip, &v4, sizeof(v4));
		return ip + sizeof(v4);
	}
	struct rte_ipv6_hdr v6 = {.vtc_flow = rte_cpu_to_be_32(6u << 28),
		.payload_len = rte_cpu_to_be_16((uint16_t)l4_len),
		.proto = f->proto,
		.hop_limits = 64};

	memcpy(v6.src_addr, f->src, 16);
	memcpy(v6.dst_addr, f->dst, 16);
	memcpy(ip, &v6, sizeof(v6));
	return ip + sizeof(v6);
}

/* By a queue of its own choice, as receive queues of a card that knows nothing of us. */
static void receive(unsigned iface, const struct frame *f)
{
	const unsigned head = f->proto == MR_PROTO_TCP ? 20 : 8, l4_len = head + 8;
	const uint32_t tail[2] = {MARK, f->id};
	uint8_t bytes[128] = {2, 0, 0, 0, 0, (uint8_t)(iface + 1), 2, 0xbb};
	uint8_t *l4;

	bytes[11] = iface == 0 ? fleet.gateway : f->src[f->family == 4 ? 3 : 15];
	bytes[12] = f->family == 4 ? 0x08 : 0x86;
	bytes[13] = f->family == 4 ? 0x00 : 0xdd;
	l4 = put_ip(bytes + 14, f, l4_len);
	l4[0] = (uint8_t)(f->sport >> 8);
	l4[1] = (uint8_t)f->sport;
	l4[2] = (uint8_t)(f->dport >> 8);
	l4[3] = (uint8_t)f->dport;
	if (f->proto == MR_PROTO_TCP) {
		l4[7] = f->tcp_flags & SYN ? 100 : 101;
		l4[12] = 5 << 4;
		l4[13] = f->tcp_flags;
	} else {
		l4[5] = (uint8_t)l4_len;
	}
	memcpy(l4 + head, tail, sizeof(tail));
	harness_receive(&h, iface, fleet_random(&fleet, 2),
		harness_mbuf(&h, bytes, (unsigned)(l4 + l4_len - bytes)));
}

static void client_ip(uint8_t ip[16], bool is_v6, uint8_t network, uint32_t number)
{
	memset(ip, 0, 16);
	memcpy(ip, is_v6 ? "\xfd" : "\x0a", 1);
	ip[1] = network;
	ip[is_v6 ? 14 : 2] = (uint8_t)(number >> 8);
	ip[is_v6 ? 15 : 3] = (uint8_t)number;
}

static void flow_ip(const struct flow *fl, uint8_t ip[16])
{
	client_ip(ip, fleet.of[fl->service].spec.vip.family == 6, 9, fl->number >> 12);
}

static uint16_t flow_port(const struct flow *fl)
{
	return (uint16_t)(0x4000 | (fl - flows));
}

static void ask(const struct flow *fl, uint8_t tcp_flags)
{
	const struct mr_service *s = &fleet.of[fl->service].spec;
	uint8_t ip[16];

	flow_ip(fl, ip);
	receive(0,
		&(struct frame){.family = s->vip.family,
			.proto = s->proto,
			.tcp_flags = tcp_flags,
			.src = ip,
			.dst = s->vip.bytes,
			.sport = flow_port(fl),
			.dport = s->port,
			.id = (uint32_t)(fl - flows)});
}

static bool has_answers(const struct flow *fl)
{
	return !mr_mode_is_direct(fleet.of[fl->service].spec.mode);
}

static void answer(const struct flow *fl, uint8_t tcp_flags)
{
	const struct place *p = &fl->place;

	receive(1,
		&(struct frame){.family = p->family,
			.proto = p->proto,
			.tcp_flags = tcp_flags,
			.src = p->dst,
			.dst = p->src,
			.sport = rte_be_to_cpu_16(p->dport),
			.dport = rte_be_to_cpu_16(p->sport),
			.id = (uint32_t)(fl - flows)});
}

/* --- frames out --- */

/* Every host is there; its MAC address ends as its address does. */
static void answer_arp(unsigned iface, const uint8_t *f)
{
	uint8_t a[42] = {0};

	memcpy(a, f + 6, 6);
	memcpy(a + 6, "\x02\xbb\0\0\0", 5);
	a[11] = f[41];
	memcpy(a + 12, "\x08\x06\0\x01\x08\0\x06\x04\0\x02", 10);
	memcpy(a + 22, a + 6, 6);
	memcpy(a + 28, f + 38, 4);
	memcpy(a + 32, f + 22, 10);
	harness_receive(&h, iface, 0, harness_mbuf(&h, a, sizeof(a)));
	n_solicited++;
}

/* To who asked, so that it counts as seen (RFC 4861 7.2.5). */
static void answer_nd(unsigned iface, const uint8_t *f, const uint8_t *target)
{
	uint8_t a[86] = {[6] = 2, 0xbb, [12] = 0x86, 0xdd, 0x60, [19] = 32, 58, 255};
	struct rte_ipv6_hdr v6;
	uint16_t sum;

	memcpy(a, f + 6, 6);
	a[11] = target[15];
	memcpy(a + 22, target, 16);
	memcpy(a + 38, f + 22, 16);
	a[54] = 136;
	a[58] = 0x60; /* solicited, override */
	memcpy(a + 62, target, 16);
	memcpy(a + 78, "\x02\x01", 2);
	memcpy(a + 80, a + 6, 6);
	memcpy(&v6, a + 14, sizeof(v6));
	sum = rte_ipv6_udptcp_cksum(&v6, a + 54);
	memcpy(a + 56, &sum, 2);
	harness_receive(&h, iface, 0, harness_mbuf(&h, a, sizeof(a)));
	n_solicited++;
}

static void on_forwarded(const struct pkt *p, const uint8_t *f, uint32_t id)
{
	struct flow *fl = &flows[id % N_FLOWS];

	if (id >= TUPLE_IDS) {
		if (id - TUPLE_IDS < N_TUPLES)
			report->choice[id - TUPLE_IDS] = f[5];
		return;
	}
	memset(&fl->seen, 0, sizeof(fl->seen));
	memcpy(fl->seen.mac, f, 6);
	fl->seen.family = p->family;
	fl->seen.proto = p->proto;
	memcpy(fl->seen.src, p->src, 16);
	memcpy(fl->seen.dst, p->dst, 16);
	if (!mr_mode_is_tunnel(fleet.of[fl->service].spec.mode)) {
		fl->seen.sport = p->sport;
		fl->seen.dport = p->dport;
	}
	fl->n_forward++;
}

/* Counted only when it is the flow's client, from its VIP, over the gateway. */
static void on_returned(const struct pkt *p, const uint8_t *f)
{
	struct flow *fl = &flows[rte_be_to_cpu_16(p->dport) % N_FLOWS];
	const struct mr_service *s = &fleet.of[fl->service].spec;
	uint8_t ip[16];

	flow_ip(fl, ip);
	if (rte_be_to_cpu_16(p->dport) != flow_port(fl) || memcmp(p->dst, ip, 16) != 0
		|| memcmp(p->src, s->vip.bytes, 16) != 0 || p->sport != rte_cpu_to_be_16(s->port)
		|| p->proto != s->proto || f[5] != fleet.gateway)
		return;
	if (p->proto == MR_PROTO_TCP && (p->tcp_flags & RTE_TCP_RST_FLAG))
		fl->n_reset++;
	else
		fl->n_back++;
}

static void on_sent(unsigned iface, const uint8_t *f, uint32_t n)
{
	struct rte_ether_addr mac;
	uint32_t tail[2];
	struct pkt p;

	memcpy(&mac, f, 6);
	parse_frame(&p, f, n, &mac);
	if (p.verdict == PKT_ARP) {
		if (f[21] == 1)
			answer_arp(iface, f);
		return;
	}
	FLEET_NEED(p.verdict == PKT_UNSEEN, "what was sent is not IP");
	if (p.family == 6 && p.proto == IPPROTO_ICMPV6 && f[p.l4_off] == 135) {
		answer_nd(iface, f, f + p.l4_off + 8);
		return;
	}
	memcpy(tail, f + n - sizeof(tail), sizeof(tail));
	if (iface == 0)
		on_returned(&p, f);
	else if (tail[0] == MARK)
		on_forwarded(&p, f, tail[1]);
}

/* All that follows from what was received, with the answers of neighbours. */
static void run(void)
{
	do {
		n_solicited = 0;
		harness_settle(&h);
		for (unsigned i = 0; i < HARNESS_IFACES; i++) {
			struct rte_mbuf *m;

			while ((m = harness_sent(&h, i)) != NULL) {
				FLEET_NEED(m->nb_segs == 1, "a frame in segments");
				on_sent(i, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
				rte_pktmbuf_free(m);
			}
		}
	} while (n_solicited > 0);
}

/* --- flows --- */

static void forget_seen(struct flow *fl)
{
	fl->n_forward = fl->n_back = fl->n_reset = 0;
}

static void broken(struct flow *fl, const char *what)
{
	const struct fleet_service *s = &fleet.of[fl->service];

	if (report->n_broken++ < 10)
		fprintf(stderr,
			"change %lu: a flow of %s (%s, IPv%u, protocol %u), backend .%u to .%u: %s "
			"(%u forwarded, %u back, %u reset)\n",
			(unsigned long)fleet.n_changes, s->spec.name, mr_mode_name(s->spec.mode),
			s->spec.vip.family, s->spec.proto, fl->place.mac[5], fl->seen.mac[5], what,
			fl->n_forward, fl->n_back, fl->n_reset);
	fl->state = GONE;
}

static void check_moved(struct flow *fl)
{
	if (memcmp(&fl->seen, &fl->place, sizeof(fl->seen)) == 0) {
		/* limits may leave nobody else */
		if (fleet_has_open(&fleet, fl->service)
			&& fleet.of[fl->service].spec.max_conns == 0)
			broken(fl, "it stays at a backend that is out");
		return;
	}
	if (!fleet_is_open(&fleet, fl->service, fl->seen.mac[5]))
		broken(fl, "it moved to a backend that takes no flows");
	fl->place = fl->seen;
	report->n_moved++;
}

/* After the client's packet. */
static void check_forward(struct flow *fl)
{
	const uint8_t host = fl->place.mac[5];
	const bool is_tcp = fleet.of[fl->service].spec.proto == MR_PROTO_TCP;
	uint8_t on_packet = MR_DOWN_KEEP;

	report->n_asked++;
	if (fleet_is_out(&fleet, fl->service, host))
		on_packet = is_tcp ? fleet_on_packet(&fleet, fl->service, host) : MR_DOWN_MOVE;
	if (on_packet == MR_DOWN_RESET) {
		if (fl->n_reset != 1 || fl->n_forward != 0)
			broken(fl, "no reset");
		fl->state = GONE;
		report->n_reset++;
	} else if (fl->n_forward != 1 || fl->n_reset != 0) {
		broken(fl, "its packet did not arrive");
	} else if (on_packet == MR_DOWN_MOVE) {
		check_moved(fl);
	} else if (memcmp(&fl->seen, &fl->place, sizeof(fl->seen)) != 0) {
		broken(fl, "it moved");
	}
}

static void check_back(struct flow *fl)
{
	report->n_answers++;
	if (fl->n_back != 1)
		broken(fl, "its answer did not arrive");
}

/* A packet each way of flows at[0..n). */
static void check_flows(struct flow *const *at, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		forget_seen(at[i]);
		ask(at[i], ACK);
	}
	run();
	for (unsigned i = 0; i < n; i++) {
		check_forward(at[i]);
		forget_seen(at[i]);
		if (at[i]->state == LIVE && has_answers(at[i]))
			answer(at[i], ACK);
	}
	run();
	for (unsigned i = 0; i < n; i++) {
		if (at[i]->state == LIVE && has_answers(at[i]))
			check_back(at[i]);
	}
}

/* n flows, one after the other from a random one on; each at most once. */
static void check_some(unsigned n)
{
	const unsigned first = fleet_random(&fleet, N_FLOWS),
		       stride = 1 + 2 * fleet_random(&fleet, 99);
	struct flow *at[BATCH];
	unsigned n_batch = 0;

	for (unsigned i = 0, found = 0; i < N_FLOWS && found < n; i++) {
		struct flow *fl = &flows[(first + i * stride) % N_FLOWS];

		if (fl->state != LIVE)
			continue;
		at[n_batch++] = fl;
		found++;
		if (n_batch == BATCH || found == n) {
			check_flows(at, n_batch);
			n_batch = 0;
		}
	}
	check_flows(at, n_batch);
}

/* New flows on places that are free: a handshake, or a datagram. What the service refuses is not there. */
static void open_flows(unsigned n)
{
	struct flow *at[BATCH];
	unsigned n_at = 0;

	for (unsigned i = fleet_random(&fleet, N_FLOWS), k = 0; k < N_FLOWS && n_at < n; i++, k++) {
		struct flow *fl = &flows[i % N_FLOWS];

		if (fl->state != GONE)
			continue;
		memset(fl, 0, sizeof(*fl));
		/* addresses far apart: some schedulers hash nothing else */
		fl->number = (n_numbers++ * 40503u & 0xffff) << 12 | (uint32_t)(fl - flows);
		fl->service = (uint8_t)fleet_random(&fleet, FLEET_SERVICES);
		fl->state = OPENING;
		at[n_at++] = fl;
		ask(fl, SYN);
	}
	run();
	for (unsigned i = 0; i < n_at; i++) {
		at[i]->state = at[i]->n_forward == 1 ? LIVE : GONE;
		at[i]->place = at[i]->seen;
		report->n_opened += at[i]->state == LIVE;
		if (at[i]->state == LIVE && has_answers(at[i]))
			answer(at[i], SYN | ACK);
	}
	run();
	for (unsigned i = 0; i < n_at; i++) {
		if (at[i]->state == LIVE && has_answers(at[i]))
			check_back(at[i]);
	}
}

/* The client resets a flow; its entry goes soon, and its backend's slot may become free. */
static void close_some(unsigned n)
{
	while (n-- > 0) {
		struct flow *fl = &flows[fleet_random(&fleet, N_FLOWS)];

		if (fl->state != LIVE || fleet.of[fl->service].spec.proto != MR_PROTO_TCP)
			continue;
		ask(fl, RTE_TCP_RST_FLAG);
		fl->state = GONE;
	}
}

/* Load on services that come and go. */
static void visit_guests(void)
{
	uint8_t ip[16];

	for (unsigned i = FLEET_SERVICES; i < FLEET_SERVICES + FLEET_GUESTS; i++) {
		const struct mr_service *s = &fleet.of[i].spec;

		client_ip(ip, s->vip.family == 6, 11, fleet_random(&fleet, 65536));
		receive(0,
			&(struct frame){.family = s->vip.family,
				.proto = s->proto,
				.tcp_flags = SYN,
				.src = ip,
				.dst = s->vip.bytes,
				.sport = (uint16_t)(1024 + fleet_random(&fleet, 60000)),
				.dport = s->port,
				.id = UINT32_MAX});
	}
}

static void change_and_check(unsigned n_changes)
{
	for (unsigned i = 1; i <= n_changes; i++) {
		fleet_change(&fleet);
		h.now_ms += 1 + fleet_random(&fleet, 40);
		close_some(N_OPENED);
		visit_guests();
		run();
		check_some(i % SWEEP_EVERY == 0 ? N_FLOWS : N_ASKED);
		open_flows(N_OPENED);
	}
	check_some(N_FLOWS);
}

/* --- boxes, each a process: EAL starts once --- */

static void box_start(const char *name, unsigned n_workers, uint64_t seed)
{
	const struct harness_params p = {.n_workers = n_workers,
		.n_queues = n_workers,
		.n_conns4 = 32768,
		.n_conns6 = 32768,
		.n_mbufs = 8191,
		.n_backends = 300, /* fewer than there are addresses: slots change hands */
		.hold_max = BATCH, /* a new gateway must cost no packet: each is counted */
		.seed = seed};

	FLEET_NEED(eal_start(name, 512) == 0, "EAL");
	harness_init(&h, &p);
	fleet_init(&fleet, &h, seed);
}

static void box_end(void)
{
	struct tally sum;

	for (unsigned i = 0; i < h.n_workers; i++)
		FLEET_NEED(conn_check(lb_worker_conns(h.workers[i]->lb)), "connection table");
	FLEET_NEED(harness_balanced(&h, &sum), "packets are missing");
	FLEET_NEED(sum.stateless == 0, "%lu packets had no entry", (unsigned long)sum.stateless);
	report->n_changes = fleet.n_changes;
	report->n_refused = fleet.n_refused;
	harness_fini(&h);
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void one_box_changes(void)
{
	box_start("hitless", 2, from_environment("SEED", 0));
	fleet_load(&fleet);
	run();
	while (report->n_opened < N_BEGIN)
		open_flows(BATCH);
	change_and_check(from_environment("CHANGES", 400));
	box_end();
}

/* Everybody's first packet, whatever went before. */
static void choose_all(void)
{
	for (uint32_t t = 0; t < N_TUPLES; t++) {
		const struct mr_service *s = &fleet.of[t % FLEET_SERVICES].spec;
		uint8_t ip[16];

		client_ip(ip, s->vip.family == 6, 10, t * 7919);
		receive(0,
			&(struct frame){.family = s->vip.family,
				.proto = s->proto,
				.tcp_flags = SYN,
				.src = ip,
				.dst = s->vip.bytes,
				.sport = (uint16_t)(1024 + t * 3),
				.dport = s->port,
				.id = TUPLE_IDS + t});
		if (t % BATCH == BATCH - 1 || t == N_TUPLES - 1)
			run();
	}
}

static void box_loads_it(void)
{
	box_start("loads", 2, 1);
	fleet_shuffle_consistent(&fleet);
	fleet_load(&fleet);
	run();
	choose_all();
	box_end();
}

static void box_comes_to_it(void)
{
	struct fleet same;

	box_start("comes", 3, 2);
	fleet_init(&same, &h, 1);
	fleet_shuffle_consistent(&same);
	fleet_load(&fleet);
	run();
	open_flows(BATCH);
	change_and_check(150);
	fleet_become(&fleet, &same);
	run();
	choose_all();
	box_end();
}

static void in_child(void (*body)(void), struct report **out)
{
	int status;
	pid_t pid;

	report = mmap(
		NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(report != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	*out = report;
}

static void changes_break_no_flow(void **state)
{
	struct report *r;

	(void)state;
	in_child(one_box_changes, &r);
	print_message(
		"%lu changes (%lu refused), %lu flows, %lu packets of clients, %lu answers; %lu flows moved "
		"and %lu reset as configured, %lu broken\n",
		r->n_changes, r->n_refused, r->n_opened, r->n_asked, r->n_answers, r->n_moved,
		r->n_reset, r->n_broken);
	assert_int_equal(r->n_broken, 0);
	/* it is no test when nothing happens */
	assert_true(r->n_asked > r->n_changes * N_ASKED / 2);
	assert_true(r->n_answers > r->n_asked / 8);
	assert_true(r->n_moved > 0 && r->n_reset > 0);
}

static void boxes_of_one_configuration_choose_alike(void **state)
{
	struct report *a, *b;
	unsigned n_chosen = 0, n_differ = 0;

	(void)state;
	in_child(box_loads_it, &a);
	in_child(box_comes_to_it, &b);
	for (unsigned i = 0; i < N_TUPLES; i++) {
		n_chosen += a->choice[i] != 0;
		n_differ += a->choice[i] != b->choice[i];
	}
	print_message("%u tuples, %u have a backend, %u choices differ; %lu and %lu changes\n",
		N_TUPLES, n_chosen, n_differ, a->n_changes, b->n_changes);
	assert_int_equal(n_differ, 0);
	assert_int_equal(n_chosen, N_TUPLES);
	assert_int_equal(b->n_broken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_break_no_flow),
		cmocka_unit_test(boxes_of_one_configuration_choose_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
