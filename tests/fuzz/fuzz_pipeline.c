/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_pipeline — the whole packet path: the real pipeline.c on two workers through tests/lib/harness, with
 * the services of everymode.h. An input is a list of steps, each beginning with a byte whose low three bits
 * name it:
 *
 *     FRAME    flags:1 length:2 bytes…  a port receives a frame
 *     FLOOD    n:1                      n more frames like the last one, each of another flow
 *     REFLECT  flags:1 tcp_flags:1      the frame that a port sent last comes back from its receiver
 *     ANSWER                            every host that was asked for gives its MAC address
 *     TIME     ms:2                     the clock moves on; times two for each bit in the high five of the op
 *     RUN                               all that was received is worked on
 *     EDIT     edit:1                   another generation: a backend's state, a service gone or back
 *     ALTER    flags:1 tcp_flags:1 at:2 n:1 bytes…   as REFLECT, with other bytes from there on
 *
 * After every run the accounting identity of counters.h must hold, what was sent must be well formed, with
 * right checksums when what came in had them, and the connection tables must pass conn_check(). At the
 * end time goes on until no connection and no neighbour is left: then no packet buffer may be missing.
 */
#include "fuzz_pipeline.h"

#include "base/csum.h"
#include "eal.h"
#include "everymode.h"
#include "fuzz.h"
#include "harness.h"
#include "manager.h"
#include "net/frag.h"
#include "net/neigh.h"
#include "net/parse.h"

#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <xxhash.h>

#define FRAME_MAX 2048u
#define RECEIVED_MAX 48u /* frames between two runs */
#define ASKED_MAX 32u

enum step { FRAME, FLOOD, REFLECT, ANSWER, TIME, RUN, EDIT, ALTER };

enum frame_flag {
	F_SOUTH = 1,     /* by the south port */
	F_QUEUE1 = 2,    /* on its second queue */
	F_OUR_MAC = 4,   /* to the port's MAC address */
	F_REPAIR = 8,    /* checksums made right */
	F_ROOM = 16,     /* the buffer has room before and behind the frame */
	F_SEGMENTS = 32, /* in two segments */
	F_KERNEL = 64    /* from the kernel side of the port, to the port's MAC address */
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t n;
};

struct asked { /* a host whose MAC address we wanted to know */
	uint8_t iface;
	uint8_t family;
	uint8_t ip[16];
};

struct fuzz_pipeline fuzz_pipeline = {.poison = 0xff};

static struct harness h;
static struct frame last;                 /* received */
static struct frame sent[HARNESS_IFACES]; /* of each port the last frame that was IP and not ours */
static struct asked asked[ASKED_MAX];
static unsigned n_asked;
static unsigned n_received; /* since the last run */
static unsigned n_runs;     /* of this input */
static uint8_t last_flags;
static bool is_damaged; /* a frame came in whose checksums need not be right */

/* --- frames in --- */

static void *l3_of(struct frame *f, const struct pkt *p)
{
	return f->bytes + p->l3_off;
}

static uint16_t sum_of(const struct pkt *p, const uint8_t *l4, uint32_t n)
{
	return csum_l4(p->src, p->dst, p->family == 4 ? 4 : 16, p->proto, l4, n);
}

/* Right checksums. False when the frame is sent on, if at all, with a wrong one: of layer 4 of what has none here,
 * but for pieces of datagrams, whose checksum nobody here can tell. */
static bool repair(struct frame *f, const struct rte_ether_addr *mac)
{
	struct rte_ipv4_hdr *ip = (void *)(f->bytes + 14);
	struct pkt p;
	uint8_t *l4;

	if (f->n >= 34 && f->bytes[12] == 8 && f->bytes[13] == 0 && (f->bytes[14] & 15) >= 5
		&& f->n >= 14 + (f->bytes[14] & 15) * 4u) {
		ip->hdr_checksum = 0;
		ip->hdr_checksum = csum_of(ip, (f->bytes[14] & 15) * 4u);
	}
	parse_frame(&p, f->bytes, f->n, mac);
	if (p.verdict != PKT_UNSEEN || pkt_is_piece(&p) || (p.flags & PKT_F_VLAN))
		return true; /* not sent on, or a piece */
	l4 = f->bytes + p.l4_off;
	if (p.proto == IPPROTO_TCP) {
		memset(l4 + 16, 0, 2);
		memcpy(l4 + 16, &(uint16_t){sum_of(&p, l4, p.l4_len)}, 2);
	} else if (p.proto == IPPROTO_UDP) {
		uint16_t sum;

		memset(l4 + 6, 0, 2);
		sum = sum_of(&p, l4, p.l4_len);
		memcpy(l4 + 6, &(uint16_t){sum ? sum : 0xffff}, 2);
	} else if (p.family == 6 && p.proto == IPPROTO_ICMPV6 && p.l4_len >= 4) {
		memset(l4 + 2, 0, 2);
		memcpy(l4 + 2, &(uint16_t){sum_of(&p, l4, p.l4_len)}, 2);
	} else if (p.family == 4 && p.proto == IPPROTO_ICMP && p.l4_len >= 4) {
		memset(l4 + 2, 0, 2);
		memcpy(l4 + 2, &(uint16_t){csum_of(l4, p.l4_len)}, 2);
	}
	return true;
}

struct outside { /* a heap block as packet data: exactly as long as it says */
	struct rte_mbuf_ext_shared_info info;
	uint8_t *block;
};

/* What a cache tells of the time and the process must be the same in every run. */
time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
	const time_t now = FUZZ_PIPELINE_EPOCH + h.now_ms / 1000;

	if (t != NULL)
		*t = now;
	return now;
}

pid_t __wrap_getpid(void);
pid_t __wrap_getpid(void)
{
	return 4711;
}

static void on_free(void *addr, void *ctx)
{
	struct outside *o = ctx;

	(void)addr;
	free(o->block);
	free(o);
}

/* A buffer with these bytes and that much room before and behind them, NULL when the pool is empty. */
static struct rte_mbuf *outside_mbuf(const uint8_t *bytes, uint32_t n, uint32_t room)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(h.pool);
	struct outside *o;

	if (m == NULL)
		return NULL;
	o = calloc(1, sizeof(*o));
	FUZZ_NEED(o != NULL, "no memory");
	/* two bytes in front: network headers of real buffers are aligned to two after Ethernet */
	o->block = malloc(2 + room + n + room);
	FUZZ_NEED(o->block != NULL, "no memory");
	memset(o->block, fuzz_pipeline.poison, 2 + room + n + room);
	memcpy(o->block + 2 + room, bytes, n);
	o->info.free_cb = on_free;
	o->info.fcb_opaque = o;
	rte_mbuf_ext_refcnt_set(&o->info, 1);
	rte_pktmbuf_attach_extbuf(
		m, o->block + 2, RTE_BAD_IOVA, (uint16_t)(room + n + room), &o->info);
	m->data_off = (uint16_t)room;
	m->data_len = (uint16_t)n;
	m->pkt_len = n;
	memset(pkt_note(m), fuzz_pipeline.poison,
		BURST_MBUF_PRIV); /* what an earlier packet left */
	return m;
}

static void run(void);

/* As punt_poll() reads one, for a VIP. */
static void send_from_kernel(struct frame *f, unsigned iface)
{
	struct manager mgr = {.workers = h.workers,
		.n_workers = h.n_workers,
		.mail = h.mail,
		.tally = tally_of(h.tallies, h.n_workers),
		.ifaces = &h.ifaces};
	struct rte_mbuf *m;

	if (f->n < RTE_ETHER_HDR_LEN)
		return;
	memcpy(f->bytes, &h.ifaces.of[iface].mac, RTE_ETHER_ADDR_LEN);
	m = outside_mbuf(f->bytes, f->n, RTE_PKTMBUF_HEADROOM);
	if (m == NULL)
		return;
	mgr.tally->injected++;
	manager_inject(&mgr, iface, m);
	if (++n_received == RECEIVED_MAX)
		run();
}

static void receive(struct frame *f, uint8_t flags)
{
	const unsigned iface = flags & F_SOUTH, queue = (flags & F_QUEUE1) != 0;
	const struct rte_ether_addr *mac = &h.ifaces.of[iface].mac;
	const uint32_t n_first = flags & F_SEGMENTS ? f->n - f->n / 4 : f->n;
	struct rte_mbuf *m;

	if ((flags & F_OUR_MAC) && f->n >= 6)
		memcpy(f->bytes, mac, 6);
	if (!(flags & F_REPAIR) || !repair(f, mac))
		is_damaged = true;
	if (flags & F_KERNEL) {
		send_from_kernel(f, iface);
		return;
	}
	m = outside_mbuf(f->bytes, n_first, flags & F_ROOM ? 128 : 0);
	if (m == NULL)
		return;
	if (n_first < f->n) {
		m->next = outside_mbuf(f->bytes + n_first, f->n - n_first, 0);
		if (m->next == NULL) {
			rte_pktmbuf_free(m);
			return;
		}
		m->nb_segs = 2;
		m->pkt_len = f->n;
	}
	harness_receive(&h, iface, queue, m);
	if (++n_received == RECEIVED_MAX)
		run();
}

/* As the last frame, of other flows: the client's port counts up, and every eighth time its address. */
static void flood(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct pkt p;

		parse_frame(&p, last.bytes, last.n, &h.ifaces.of[last_flags & F_SOUTH].mac);
		if (p.verdict != PKT_UNSEEN || (p.proto != IPPROTO_TCP && p.proto != IPPROTO_UDP))
			return;
		last.bytes[p.l4_off + 1]++;
		if (i % 8 == 7)
			((uint8_t *)l3_of(&last, &p))[p.family == 4 ? 15 : 23]++;
		receive(&last, last_flags | F_REPAIR);
	}
}

static void swap(uint8_t *a, uint8_t *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t x = a[i];

		a[i] = b[i];
		b[i] = x;
	}
}

/* Makes a segment the answer to itself: it acknowledges all of it. */
static void answer_tcp(uint8_t *tcp, const struct pkt *p, uint8_t flags)
{
	const uint8_t *seq = tcp + 4;
	uint32_t next = (uint32_t)seq[0] << 24 | seq[1] << 16 | seq[2] << 8 | seq[3];

	next += p->l4_len - (tcp[12] >> 4) * 4u;
	next += (p->tcp_flags & RTE_TCP_SYN_FLAG ? 1 : 0)
		+ (p->tcp_flags & RTE_TCP_FIN_FLAG ? 1 : 0);
	swap(tcp + 4, tcp + 8, 4);
	next = rte_cpu_to_be_32(next);
	memcpy(tcp + 8, &next, 4);
	tcp[13] = flags;
}

/* With these bytes from `at` on. */
static void reflect(
	uint8_t flags, uint8_t tcp_flags, uint32_t at, const uint8_t *bytes, size_t n_bytes)
{
	const unsigned iface = flags & F_SOUTH;
	struct frame f = sent[iface];
	struct rte_ether_addr mac;
	struct pkt p;
	uint8_t *l3;

	if (f.n < 14)
		return;
	memcpy(&mac, f.bytes, 6);
	parse_frame(&p, f.bytes, f.n, &mac);
	if (p.verdict != PKT_UNSEEN)
		return;
	l3 = l3_of(&f, &p);
	swap(f.bytes, f.bytes + 6, 6);
	if (p.family == 4)
		swap(l3 + 12, l3 + 16, 4);
	else
		swap(l3 + 8, l3 + 24, 16);
	l3[p.family == 4 ? 8 : 7] = 64;
	if (!(p.flags & PKT_F_FRAGMENT) && (p.proto == IPPROTO_TCP || p.proto == IPPROTO_UDP)) {
		swap(f.bytes + p.l4_off, f.bytes + p.l4_off + 2, 2);
		if (p.proto == IPPROTO_TCP)
			answer_tcp(f.bytes + p.l4_off, &p, tcp_flags);
	}
	for (size_t i = 0; i < n_bytes && at + i < f.n; i++)
		f.bytes[at + i] = bytes[i];
	receive(&f, flags | F_REPAIR);
}

static void answer_arp(const struct asked *a)
{
	struct frame f = {.n = 42};

	memcpy(f.bytes, &h.ifaces.of[a->iface].mac, 6);
	memcpy(f.bytes + 6, "\x02\xbb\0\0\0", 5);
	f.bytes[11] = a->ip[3];
	memcpy(f.bytes + 12, "\x08\x06\0\x01\x08\0\x06\x04\0\x02", 10);
	memcpy(f.bytes + 22, f.bytes + 6, 6);
	memcpy(f.bytes + 28, a->ip, 4);
	memcpy(f.bytes + 32, f.bytes, 6);
	receive(&f, (uint8_t)(a->iface | F_ROOM));
}

/* To all nodes (RFC 4861 7.2.4), so that our address need not be known here. */
static void answer_nd(const struct asked *a)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	struct frame f = {.n = 86};

	memcpy(f.bytes, "\x33\x33\0\0\0\x01\x02\xbb\0\0\0", 11);
	f.bytes[11] = a->ip[15];
	memcpy(f.bytes + 12, "\x86\xdd\x60\0\0\0\0\x20\x3a\xff", 10);
	memcpy(f.bytes + 22, a->ip, 16);
	memcpy(f.bytes + 38, all_nodes, 16);
	f.bytes[54] = 136;
	f.bytes[58] = 0x20; /* override */
	memcpy(f.bytes + 62, a->ip, 16);
	memcpy(f.bytes + 78, "\x02\x01", 2);
	memcpy(f.bytes + 80, f.bytes + 6, 6);
	receive(&f, (uint8_t)(a->iface | F_ROOM | F_REPAIR));
}

static void answer_all(void)
{
	const unsigned n = n_asked;
	const bool was_damaged = is_damaged;

	for (unsigned i = 0; i < n; i++) {
		if (asked[i].family == 4)
			answer_arp(&asked[i]);
		else
			answer_nd(&asked[i]);
	}
	n_asked = 0;
	is_damaged = was_damaged; /* ARP has no checksums */
}

/* --- frames out --- */

static void remember_asked(unsigned iface, uint8_t family, const uint8_t *ip)
{
	struct asked *a = &asked[n_asked];

	if (n_asked == ASKED_MAX)
		return;
	memset(a, 0, sizeof(*a));
	a->iface = (uint8_t)iface;
	a->family = family;
	memcpy(a->ip, ip, family == 4 ? 4 : 16);
	n_asked++;
}

static void check_sums(const struct frame *f, const struct pkt *p)
{
	const uint8_t *l4 = f->bytes + p->l4_off;

	if (pkt_is_piece(p))
		return;
	if (p->proto == IPPROTO_UDP)
		FUZZ_CHECK(l4[6] | l4[7], "the UDP checksum got lost");
	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP
		|| (p->proto == IPPROTO_ICMPV6 && p->family == 6))
		FUZZ_CHECK(sum_of(p, l4, p->l4_len) == 0, "checksum of protocol %u", p->proto);
	else if (p->proto == IPPROTO_ICMP && p->family == 4)
		FUZZ_CHECK(csum_of(l4, p->l4_len) == 0, "ICMP checksum");
}

/* The packet inside of a tunnel's, in a frame. False when the frame is none of a tunnel. */
static bool unwrap(const struct frame *f, const struct pkt *p, struct frame *inner)
{
	const uint8_t *l4 = f->bytes + p->l4_off;
	uint32_t at = p->l4_off;
	uint8_t proto = p->proto;

	if (p->flags & PKT_F_FRAGMENT)
		return false;
	if (proto == IPPROTO_UDP && p->dport == RTE_BE16(MR_GUE_PORT)) {
		FUZZ_CHECK(p->family == 6 || (l4[6] | l4[7]) == 0, "GUE over IPv4 has a checksum");
		FUZZ_CHECK(
			p->l4_len > 12 && l4[8] == 0 && l4[10] == 0 && l4[11] == 0, "GUE header");
		proto = l4[9];
		at += 12;
	}
	if (proto != IPPROTO_IPIP && proto != IPPROTO_IPV6)
		return false;
	inner->n = f->n - at + 14;
	memcpy(inner->bytes, f->bytes, 12);
	memcpy(inner->bytes + 12, proto == IPPROTO_IPIP ? "\x08\0" : "\x86\xdd", 2);
	memcpy(inner->bytes + 14, f->bytes + at, f->n - at);
	return true;
}

static void check_inner(const struct frame *f, const struct rte_ether_addr *mac)
{
	struct pkt p;

	parse_frame(&p, f->bytes, f->n, mac);
	FUZZ_CHECK(p.verdict == PKT_UNSEEN, "what was wrapped is not IP: verdict %u, reason %u",
		p.verdict, p.drop);
	if (!is_damaged)
		check_sums(f, &p);
}

/* A frame of an answer: its number is one of so many. */
static void check_answer(const struct frame *f, const struct pkt *p)
{
	static const uint8_t vip4[3] = {10, 1, 0}, vip6[16] = {0xfd, 0, 0, 1, [15] = 0x99};
	const uint8_t *l4 = f->bytes + p->l4_off, *mc = l4 + 8;

	if (p->proto != IPPROTO_UDP || p->sport != RTE_BE16(11211) || (p->flags & PKT_F_FRAGMENT))
		return;
	if (p->family == 4 ? memcmp(p->src, vip4, 3) != 0 || (p->src[3] != 98 && p->src[3] != 99)
			   : memcmp(p->src, vip6, 16) != 0)
		return;
	FUZZ_CHECK(p->l4_len > 16 && f->n <= p->l4_off + 1400 + 8u, "an answer of %u bytes",
		p->l4_len);
	FUZZ_CHECK((mc[2] << 8 | mc[3]) < (mc[4] << 8 | mc[5]) && mc[6] == 0 && mc[7] == 0,
		"frame %u of %u, reserved %02x%02x", mc[2] << 8 | mc[3], mc[4] << 8 | mc[5], mc[6],
		mc[7]);
	FUZZ_CHECK((l4[6] | l4[7]) && sum_of(p, l4, p->l4_len) == 0, "an answer's checksum");
}

static void check_sent(unsigned iface, const struct frame *f)
{
	static struct frame inner;
	struct rte_ether_addr mac;
	struct pkt p;

	FUZZ_CHECK(f->n >= 14, "a frame of %u bytes was sent", f->n);
	FUZZ_CHECK(memcmp(f->bytes + 6, &h.ifaces.of[iface].mac, 6) == 0,
		"the source MAC address is not that of port %u", iface);
	if (f->n >= 42 && memcmp(f->bytes + 12, "\x08\x06\0\x01\x08\0\x06\x04\0\x01", 10) == 0)
		remember_asked(iface, 4, f->bytes + 38);
	memcpy(&mac, f->bytes, 6);
	parse_frame(&p, f->bytes, f->n, &mac);
	if (p.verdict == PKT_ARP)
		return;
	FUZZ_CHECK(p.verdict == PKT_UNSEEN, "what was sent is not IP: verdict %u, reason %u",
		p.verdict, p.drop);
	if (p.family == 6 && p.proto == IPPROTO_ICMPV6 && p.l4_len >= 24
		&& f->bytes[p.l4_off] == 135) {
		remember_asked(iface, 6, f->bytes + p.l4_off + 8);
		return;
	}
	if (iface == 0) /* to clients */
		check_answer(f, &p);
	if (unwrap(f, &p, &inner))
		check_inner(&inner, &mac);
	else if (!is_damaged)
		check_sums(f, &p);
	sent[iface] = *f;
}

static void take_sent(void)
{
	for (unsigned i = 0; i < HARNESS_IFACES; i++) {
		struct rte_mbuf *m;

		while ((m = harness_sent(&h, i)) != NULL) {
			static struct frame f;
			uint32_t n = 0;

			rte_mbuf_sanity_check(m, 1);
			f.n = m->pkt_len;
			FUZZ_CHECK(f.n <= sizeof(f.bytes), "%u bytes were sent", f.n);
			for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
				memcpy(f.bytes + n, rte_pktmbuf_mtod(s, void *), s->data_len);
				n += s->data_len;
			}
			FUZZ_CHECK(n == f.n, "segments have %u bytes, the packet %u", n, f.n);
			fuzz_pipeline.digest =
				XXH3_64bits_withSeed(f.bytes, n, fuzz_pipeline.digest + i);
			check_sent(i, &f);
			rte_pktmbuf_free(m);
		}
	}
}

static uint32_t conns_now(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < h.n_workers; i++) {
		const struct conn_table *t = lb_worker_conns(h.workers[i]->lb);

		FUZZ_CHECK(conn_check(t), "connection table of worker %u", i);
		n += conn_count(t);
	}
	return n;
}

/* Early fragments that wait for their first one. */
static uint64_t fragments_now(void)
{
	struct tally sum;

	for (unsigned i = 0; i < h.n_workers; i++)
		FUZZ_CHECK(frag_check(h.workers[i]->frag), "fragments of worker %u", i);
	tally_sum(h.tallies, &sum);
	return sum.fragments_held - sum.fragments_released;
}

static void run(void)
{
	struct tally sum;

	n_received = 0;
	harness_settle(&h);
	take_sent();
	FUZZ_CHECK(harness_balanced(&h, &sum), "packets: rx %lu tx %lu punted %lu held %lu-%lu",
		(unsigned long)sum.rx, (unsigned long)sum.tx, (unsigned long)sum.punted,
		(unsigned long)sum.held, (unsigned long)sum.released);
	FUZZ_CHECK(sum.held - sum.released == neigh_held(h.neigh), "%u packets are held",
		neigh_held(h.neigh));
	FUZZ_CHECK(sum.conn_created - sum.conn_expired == conns_now(),
		"%lu connections created, %lu expired, %u there", (unsigned long)sum.conn_created,
		(unsigned long)sum.conn_expired, conns_now());
	if (n_runs++ % 16 == 0)
		fragments_now();
}

/* --- the end of an input --- */

static void on_neigh(void *ctx, const struct neigh_key *k, const struct rte_ether_addr *mac,
	unsigned state, uint32_t age_ms)
{
	(void)k;
	(void)mac;
	(void)state;
	(void)age_ms;
	++*(unsigned *)ctx;
}

static unsigned neighs_now(void)
{
	unsigned n = 0;

	neigh_walk(h.neigh, h.now_ms, on_neigh, &n);
	return n;
}

static void check_slots(void)
{
	const struct lb_conf *c = lb_conf_of(snapshot_get());

	for (unsigned w = 0; w < h.n_workers; w++) {
		const struct lb_worker *lw = h.workers[w]->lb;

		for (uint32_t i = 0; i < c->n_services; i++)
			FUZZ_CHECK(lb_worker_service_conns(lw, i) == 0, "service slot %u", i);
		for (uint32_t i = 0; i < c->n_backends; i++)
			FUZZ_CHECK(
				lb_worker_backend_tally(lw, i)->conns == 0, "backend slot %u", i);
		for (uint32_t i = 0; i < c->n_snats; i++)
			FUZZ_CHECK(lb_worker_snat_used(lw, i) == 0, "SNAT slot %u", i);
	}
}

/* Lets everything end by itself. */
static void end(void)
{
	run();
	for (unsigned i = 0; i < 16 && conns_now() > 0; i++) {
		h.now_ms += 500;
		run();
	}
	FUZZ_CHECK(conns_now() == 0, "%u connections never end", conns_now());
	everymode_unconfigure();
	check_slots();
	h.now_ms += 301000; /* the longest a neighbour is kept */
	for (unsigned i = 0; i < 100 && neighs_now() > 0; i++) {
		harness_poll(&h);
		h.now_ms += 300;
	}
	FUZZ_CHECK(neighs_now() == 0, "%u neighbours never end", neighs_now());
	for (unsigned i = 0; i < 32 && fragments_now() > 0; i++) {
		h.now_ms++;
		run();
	}
	FUZZ_CHECK(fragments_now() == 0, "%lu fragments never end", (unsigned long)fragments_now());
	run();
	FUZZ_CHECK(rte_mempool_in_use_count(h.pool) == 0, "%u packet buffers are missing",
		rte_mempool_in_use_count(h.pool));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* small tables: fast to look through, and soon full */
	const struct harness_params p = {.n_workers = 2,
		.n_queues = 2,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = 511,
		.n_neighs = 64,
		.cache_mb = 24};

	(void)argc;
	(void)argv;
	fuzz_init();
	FUZZ_NEED(eal_start("fuzz_pipeline", 192) == 0, "EAL");
	harness_init(&h, &p);
	return 0;
}

/* What an earlier packet left in a buffer must not come out with the next. */
static void poison(struct rte_mempool *pool, void *ctx, void *m, unsigned i)
{
	(void)pool;
	(void)ctx;
	(void)i;
	memset(((struct rte_mbuf *)m)->buf_addr, fuzz_pipeline.poison,
		((struct rte_mbuf *)m)->buf_len);
}

static void alter(struct fuzz_input *in)
{
	const uint8_t flags = fuzz_u8(in), tcp_flags = fuzz_u8(in);
	const uint32_t at = fuzz_u16(in);
	size_t n = fuzz_u8(in);
	const uint8_t *bytes = fuzz_take(in, &n);

	reflect(flags, tcp_flags, at, bytes, n);
}

void fuzz_pipeline_tell(void)
{
#define SAY_DROP(sym, help) \
	if (sum.drops[PKT_DROP_##sym] > 0) \
		printf("  %12lu dropped: " #sym "\n", (unsigned long)sum.drops[PKT_DROP_##sym]);
#define SAY(sym, unit, help) \
	if (sum.sym > 0) \
		printf("  %12lu " #sym "\n", (unsigned long)sum.sym);
	struct tally sum;

	tally_sum(h.tallies, &sum);
	MR_COUNTERS(SAY)
	MR_DROPS(SAY_DROP)
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};

	rte_mempool_obj_iter(h.pool, poison, NULL);
	everymode_configure(&h, fuzz_pipeline.poison);
	last.n = sent[0].n = sent[1].n = 0;
	n_asked = n_received = n_runs = 0;
	is_damaged = false;
	while (in.left > 0) {
		const uint8_t op = fuzz_u8(&in);
		uint8_t flags;
		size_t n;

		switch (op & 7) {
		case FRAME:
			last_flags = fuzz_u8(&in);
			n = fuzz_u16(&in) % FRAME_MAX;
			memcpy(last.bytes, fuzz_take(&in, &n), n);
			last.n = (uint32_t)n;
			receive(&last, last_flags);
			break;
		case FLOOD:
			flood(fuzz_u8(&in));
			break;
		case REFLECT:
			flags = fuzz_u8(&in);
			reflect(flags, fuzz_u8(&in), 0, NULL, 0);
			break;
		case ANSWER:
			answer_all();
			break;
		case TIME:
			h.now_ms += (uint32_t)fuzz_u16(&in) << (op >> 3 & 7);
			break;
		case RUN:
			run();
			break;
		case EDIT:
			everymode_edit(fuzz_u8(&in));
			break;
		default:
			alter(&in);
		}
	}
	end();
	return 0;
}
