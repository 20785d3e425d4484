/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_parse — the packet parser and the readers of neighbour messages on any bytes. An input is
 *
 *     flags:1 cut:1 cut:1 frame…
 *
 * flags bit 0: the device has verified the IPv4 checksum; bits 1-2: the frame is in that many more
 * segments, cut where the cuts say (in sixteenths of the frame); bit 3: put our MAC address in.
 */
#include "fuzz.h"
#include "net/arp.h"
#include "net/ndp.h"
#include "net/parse.h"

#define FRAME_MAX 9000u
#define SEGMENTS_MAX 3

static const struct rte_ether_addr our_mac = {{2, 0, 0, 0, 0, 1}};

/* One segment over a heap block. Network headers are aligned to two after Ethernet, as in real buffers. */
struct segment {
	uint8_t *block;
	struct rte_mbuf m;
	uint8_t priv[BURST_MBUF_PRIV];
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

static void segment_init(struct segment *s, const uint8_t *bytes, size_t n)
{
	memset(s, 0, sizeof(*s));
	s->block = malloc(2 + n);
	FUZZ_NEED(s->block != NULL, "no memory");
	if (n > 0)
		memcpy(s->block + 2, bytes, n);
	memset(s->priv, 0xff, sizeof(s->priv));
	rte_mbuf_refcnt_set(&s->m, 1);
	s->m.buf_addr = s->block;
	s->m.buf_len = (uint16_t)(2 + n);
	s->m.data_off = 2;
	s->m.data_len = (uint16_t)n;
	s->m.pkt_len = (uint32_t)n;
	s->m.nb_segs = 1;
	s->m.priv_size = sizeof(s->priv);
}

/* Chains the frame's segments; returns how many there are. */
static unsigned build(struct segment seg[SEGMENTS_MAX], uint8_t flags, const uint8_t cuts[2],
	const uint8_t *frame, size_t n)
{
	const unsigned n_cuts = RTE_MIN((flags >> 1) & 3u, SEGMENTS_MAX - 1u);
	size_t at = 0;

	for (unsigned i = 0; i <= n_cuts; i++) {
		const size_t end = i < n_cuts ? RTE_MAX(at, n * cuts[i] / 256) : n;

		segment_init(&seg[i], frame + at, end - at);
		if (i > 0) {
			seg[i - 1].m.next = &seg[i].m;
			seg[0].m.nb_segs++;
			seg[0].m.pkt_len += (uint32_t)(end - at);
		}
		at = end;
	}
	return n_cuts + 1;
}

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Layer 4 of a packet that was not dropped; frame is what was received, before the trim. */
static void check_l4(const struct pkt *p, const uint8_t *frame)
{
	const uint8_t *l4 = frame + p->l4_off;
	const bool has_ports = p->sport != 0 || p->dport != 0;

	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP) {
		FUZZ_CHECK(!has_ports, "ports without TCP or UDP (protocol %u)", p->proto);
		return;
	}
	if (p->flags & PKT_F_LATER) {
		FUZZ_CHECK(!has_ports && p->tcp_flags == 0, "a later fragment has ports");
		return;
	}
	FUZZ_CHECK(p->l4_len >= 8, "%u bytes of layer 4", p->l4_len);
	FUZZ_CHECK(rte_be_to_cpu_16(p->sport) == load16(l4), "source port");
	FUZZ_CHECK(rte_be_to_cpu_16(p->dport) == load16(l4 + 2), "destination port");
	if (p->proto == IPPROTO_TCP) {
		FUZZ_CHECK(p->l4_len >= 20 && (l4[12] >> 4) >= 5, "TCP header");
		FUZZ_CHECK((l4[12] >> 4) * 4u <= p->l4_len, "TCP options beyond the packet");
		FUZZ_CHECK(p->tcp_flags == l4[13], "TCP flags");
	} else {
		FUZZ_CHECK(load16(l4 + 4) >= 8 && (load16(l4 + 4) <= p->l4_len || pkt_is_piece(p)),
			"UDP length");
	}
}

static void check_ip(const struct pkt *p, const uint8_t *frame, size_t n)
{
	const uint8_t *l3 = frame + p->l3_off;
	const unsigned header = p->family == 4 ? 20 : 40;
	static const uint8_t zero[12];

	FUZZ_CHECK(p->family == 4 || p->family == 6, "family %u", p->family);
	FUZZ_CHECK(p->l3_off == (p->flags & PKT_F_VLAN ? 18 : 14), "l3_off %u", p->l3_off);
	FUZZ_CHECK(p->l4_off >= p->l3_off + header, "l4_off %u", p->l4_off);
	FUZZ_CHECK(
		(p->l4_off > p->l3_off + header) == !!(p->flags & PKT_F_OPTIONS), "options flag");
	FUZZ_CHECK((size_t)p->l4_off + p->l4_len <= n, "%u + %u bytes of %zu", p->l4_off, p->l4_len,
		n);
	FUZZ_CHECK(l3[0] >> 4 == p->family, "IP version");
	if (p->family == 4) {
		FUZZ_CHECK(memcmp(p->src, l3 + 12, 4) == 0 && memcmp(p->dst, l3 + 16, 4) == 0,
			"IPv4 addresses");
		FUZZ_CHECK(memcmp(p->src + 4, zero, 12) == 0 && memcmp(p->dst + 4, zero, 12) == 0,
			"rest of IPv4 addresses is not 0");
	} else {
		FUZZ_CHECK(memcmp(p->src, l3 + 8, 16) == 0 && memcmp(p->dst, l3 + 24, 16) == 0,
			"IPv6 addresses");
	}
	check_l4(p, frame);
}

/* n: bytes of the first segment, which is all the parser may look at. */
static void check(
	const struct pkt *p, const struct rte_mbuf *m, const uint8_t *frame, size_t n, size_t n_all)
{
	uint32_t sum = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
		sum += s->data_len;
	FUZZ_CHECK(sum == m->pkt_len, "segments have %u bytes, the packet %u", sum, m->pkt_len);
	switch (p->verdict) {
	case PKT_DROP:
		FUZZ_CHECK(p->drop < PKT_N_DROPS, "drop reason %u", p->drop);
		break;
	case PKT_PUNT:
		FUZZ_CHECK(p->punt_class < PUNT_N_CLASSES, "class %u", p->punt_class);
		break;
	case PKT_ARP:
		FUZZ_CHECK(n >= 14, "ARP in %zu bytes", n);
		break;
	default:
		FUZZ_CHECK(p->verdict == PKT_UNSEEN, "verdict %u", p->verdict);
		check_ip(p, frame, n);
		if (m->nb_segs == 1) /* padding is gone */
			FUZZ_CHECK(m->pkt_len == (uint32_t)p->l4_off + p->l4_len, "%u bytes left",
				m->pkt_len);
		return;
	}
	if (m->nb_segs > 1)
		FUZZ_CHECK(m->pkt_len == n_all, "a packet in segments was cut");
}

/* The same bytes in plain memory mean the same. */
static void check_plain(const struct pkt *p, uint8_t flags, const uint8_t *frame, size_t n)
{
	uint8_t *exact = fuzz_exact(frame, n);
	struct pkt q;

	parse_frame(&q, exact, (uint32_t)n, &our_mac);
	if ((flags & 1) && q.verdict == PKT_DROP && q.drop == PKT_DROP_bad_ip_checksum)
		goto done; /* only the other one believed the device */
	q.in_iface = p->in_iface;
	FUZZ_CHECK(memcmp(p, &q, sizeof(q)) == 0, "parse_frame() and parse_burst() differ");
done:
	free(exact);
}

static void read_neighbour(const uint8_t *frame, size_t n)
{
	uint8_t *exact = fuzz_exact(frame, n);
	struct neigh_claim c;

	if (arp_claim_parse(exact, (uint32_t)n, &c))
		FUZZ_CHECK(n >= 42, "ARP message in %zu bytes", n);
	if (ndp_claim_parse(exact, (uint32_t)n, &c))
		FUZZ_CHECK(n >= 78, "neighbour message in %zu bytes", n);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct burst b;
	struct fuzz_input in = {data, size};
	const uint8_t flags = fuzz_u8(&in);
	const uint8_t cuts[2] = {fuzz_u8(&in), fuzz_u8(&in)};
	struct segment seg[SEGMENTS_MAX];
	uint8_t frame[FRAME_MAX];
	unsigned n_segs;
	size_t n = sizeof(frame), n_first;
	const uint8_t *bytes = fuzz_take(&in, &n);

	memcpy(frame, bytes, n);
	if ((flags & 8) && n >= 6)
		memcpy(frame, our_mac.addr_bytes, 6);
	n_segs = build(seg, flags, cuts, frame, n);
	if (flags & 1)
		seg[0].m.ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	memset(&b, 0xff, sizeof(b));
	b.n = 1;
	b.m[0] = &seg[0].m;
	n_first = seg[0].m.data_len;
	parse_burst(&b, &our_mac, 1);
	FUZZ_CHECK(b.p[0].in_iface == 1, "in_iface");
	check(&b.p[0], &seg[0].m, frame, n_first, n);
	check_plain(&b.p[0], flags, frame, n_first);
	read_neighbour(frame, n);
	for (unsigned i = 0; i < n_segs; i++)
		free(seg[i].block);
	return 0;
}
