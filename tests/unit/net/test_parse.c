/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser on literal packets: every kind it understands, each as it should be, cut at every length, and
 * with one thing wrong at a time. Frames lie in heap blocks of exactly their size. */
#include "base/csum.h"
#include "net/parse.h"
#include "netfix.h"
#include "unit.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct rte_ether_addr our_mac = {.addr_bytes = {2, 0, 0, 0, 0, 1}};

enum kind {
	TCP4,
	UDP4,
	ICMP4,
	OPTIONS4,
	VLAN4,
	FIRST4,
	LATER4,
	GRE4,
	TCP6,
	UDP6,
	ICMP6,
	EXTENSIONS6,
	FIRST6,
	LATER6,
	AH6,
	EMPTY6,
	N_KINDS
};

/* Made with another program; client 198.51.100.7 or 2001:db8:9::7 port 40000. */
struct good {
	const char *hex;
	uint8_t family, proto, flags, tcp_flags;
	uint16_t l4_off, l4_len, sport, dport;
};

/* clang-format off */
static const struct good goods[N_KINDS] = {
	[TCP4] = {
		"0200000000010200000000aa08004500002c1234000040060253c6336407cb00"
		"710a9c400050000000010000000060022000754f0000020405b4",
		4, 6, 0, 0x02, 34, 24, 40000, 80},
	[UDP4] = {
		"0200000000010200000000aa0800450000201234000040110254c6336407cb00"
		"710a9c400035000c385461626364",
		4, 17, 0, 0, 34, 12, 40000, 53},
	[ICMP4] = {
		"0200000000010200000000aa0800450000201234000040010264c6336407cb00"
		"710a080019270007000170696e67",
		4, 1, 0, 0, 34, 12, 0, 0},
	[OPTIONS4] = {
		"0200000000010200000000aa0800460000240001000040111182c6336407cb00"
		"710a010101009c400035000c385461626364",
		4, 17, PKT_F_OPTIONS, 0, 38, 12, 40000, 53},
	[VLAN4] = {
		"0200000000010200000000aa810000050800450000201234000040110254c633"
		"6407cb00710a9c400035000c385461626364",
		4, 17, PKT_F_VLAN, 0, 38, 12, 40000, 53},
	[FIRST4] = {
		"0200000000010200000000aa080045000020123420004011e253c6336407cb00"
		"710a9c400035000c385461626364",
		4, 17, PKT_F_FRAGMENT, 0, 34, 12, 40000, 53},
	[LATER4] = {
		"0200000000010200000000aa0800450000201234000340110251c6336407cb00"
		"710a313233343536373861626364",
		4, 17, PKT_F_FRAGMENT | PKT_F_LATER, 0, 34, 12, 0, 0},
	[GRE4] = {
		"0200000000010200000000aa08004500001800010000402f1471c6336407cb00"
		"710a00000800",
		4, 47, 0, 0, 34, 4, 0, 0},
	[TCP6] = {
		"0200000000010200000000aa86dd600000000018064020010db8000900000000"
		"00000000000720010db8000f000000000000000000109c400050000000010000"
		"0000600220007ff40000020405b4",
		6, 6, 0, 0x02, 54, 24, 40000, 80},
	[UDP6] = {
		"0200000000010200000000aa86dd60000000000c114020010db8000900000000"
		"00000000000720010db8000f000000000000000000109c400035000c42f96162"
		"6364",
		6, 17, 0, 0, 54, 12, 40000, 53},
	[ICMP6] = {
		"0200000000010200000000aa86dd60000000000c3a4020010db8000900000000"
		"00000000000720010db8000f000000000000000000108000453f000700017069"
		"6e67",
		6, 58, 0, 0, 54, 12, 0, 0},
	[EXTENSIONS6] = { /* hop-by-hop, destination, routing */
		"0200000000010200000000aa86dd600000000030004020010db8000900000000"
		"00000000000720010db8000f000000000000000000103c000104000000002b00"
		"01040000000006000000000000009c4000500000000100000000600220007ff4"
		"0000020405b4",
		6, 6, PKT_F_OPTIONS, 0x02, 78, 24, 40000, 80},
	[FIRST6] = {
		"0200000000010200000000aa86dd6000000000142c4020010db8000900000000"
		"00000000000720010db8000f0000000000000000001011000001000000099c40"
		"0035000c42f961626364",
		6, 17, PKT_F_OPTIONS | PKT_F_FRAGMENT, 0, 62, 12, 40000, 53},
	[LATER6] = {
		"0200000000010200000000aa86dd6000000000142c4020010db8000900000000"
		"00000000000720010db8000f0000000000000000001011000010000000093132"
		"33343536373861626364",
		6, 17, PKT_F_OPTIONS | PKT_F_FRAGMENT | PKT_F_LATER, 0, 62, 12, 0, 0},
	[AH6] = {
		"0200000000010200000000aa86dd600000000030334020010db8000900000000"
		"00000000000720010db8000f0000000000000000001006040000000000010000"
		"00010000000000000000000000009c4000500000000100000000600220000000"
		"0000020405b4",
		6, 6, PKT_F_OPTIONS, 0x02, 78, 24, 40000, 80},
	[EMPTY6] = { /* no next header */
		"0200000000010200000000aa86dd6000000000003b4020010db8000900000000"
		"00000000000720010db8000f00000000000000000010",
		6, 59, 0, 0, 54, 0, 0, 0},
};

/* One packet with one thing wrong: `bytes` written at `at` and, when len is not 0, cut or padded with
 * zeroes to len. The IPv4 checksum is made right again unless the row keeps it. */
struct bad {
	const char *what;
	enum kind from;
	unsigned at;
	const char *bytes;
	unsigned len;
	bool keeps_checksum;
	uint8_t verdict, drop;
};

#define DROPPED(reason) PKT_DROP, PKT_DROP_##reason
#define TAKEN PKT_UNSEEN, 0
static const struct bad bads[] = {
	/* Ethernet */
	{"another station's frame", TCP4, 0, "020000000009", 0, 0, DROPPED(foreign_mac)},
	{"zero destination", TCP4, 0, "000000000000", 0, 0, DROPPED(foreign_mac)},
	{"broadcast", TCP4, 0, "ffffffffffff", 0, 0, TAKEN},
	{"unknown type", TCP4, 12, "88cc", 0, 0, PKT_PUNT, 0},
	{"IEEE 802.3 length", TCP4, 12, "002c", 0, 0, PKT_PUNT, 0},
	{"two tags", VLAN4, 16, "8100", 0, 0, PKT_PUNT, 0},
	{"tag and then nothing", VLAN4, 0, "", 17, 0, PKT_PUNT, 0},
	{"tagged ARP", VLAN4, 16, "0806", 0, 0, PKT_PUNT, 0},
	{"ARP type", TCP4, 12, "0806", 0, 0, PKT_ARP, 0},
	{"no payload at all", TCP4, 0, "", 14, 0, DROPPED(short_frame)},
	/* IPv4 */
	{"version 5", TCP4, 14, "55", 0, 0, DROPPED(bad_ip_header)},
	{"version 6 in an IPv4 frame", TCP4, 14, "65", 0, 0, DROPPED(bad_ip_header)},
	{"header of 16 bytes", TCP4, 14, "44", 0, 0, DROPPED(bad_ip_header)},
	{"header of 0 bytes", TCP4, 14, "40", 0, 0, DROPPED(bad_ip_header)},
	{"header longer than total length", TCP4, 14, "4f", 0, 0, DROPPED(bad_ip_header)},
	{"total length below the header", TCP4, 16, "0013", 0, 0, DROPPED(bad_ip_header)},
	{"total length 0", TCP4, 16, "0000", 0, 0, DROPPED(bad_ip_header)},
	{"total length one above the frame", TCP4, 16, "002d", 0, 0, DROPPED(short_frame)},
	{"total length 65535", TCP4, 16, "ffff", 0, 0, DROPPED(short_frame)},
	{"total length cuts the TCP header", TCP4, 16, "0027", 0, 0, DROPPED(bad_l4_header)},
	{"total length of a bare header", TCP4, 16, "0014", 0, 0, DROPPED(bad_l4_header)},
	{"wrong header checksum", TCP4, 24, "0254", 0, true, DROPPED(bad_ip_checksum)},
	{"header checksum 0", TCP4, 24, "0000", 0, true, DROPPED(bad_ip_checksum)},
	{"changed TTL, old checksum", TCP4, 22, "3f", 0, true, DROPPED(bad_ip_checksum)},
	{"loopback source", TCP4, 26, "7f000001", 0, 0, DROPPED(bad_ip_source)},
	{"multicast source", TCP4, 26, "e0000001", 0, 0, DROPPED(bad_ip_source)},
	{"broadcast source", TCP4, 26, "ffffffff", 0, 0, DROPPED(bad_ip_source)},
	{"class E source", TCP4, 26, "f0000001", 0, 0, DROPPED(bad_ip_source)},
	{"unspecified source", TCP4, 26, "00000000", 0, 0, DROPPED(bad_ip_source)},
	{"padding after the packet", TCP4, 0, "", 64, 0, TAKEN},
	{"do not fragment is no fragment", TCP4, 20, "4000", 0, 0, TAKEN},
	{"UDP length above the first fragment", FIRST4, 38, "ffff", 0, 0, TAKEN},
	{"first fragment cuts the UDP header", FIRST4, 16, "001b", 0, 0, DROPPED(fragment_tiny)},
	{"first fragment cuts the TCP header", TCP4, 16, "0026123420", 0, 0, DROPPED(fragment_tiny)},
	{"later fragment with nonsense ports", LATER4, 34, "ffffffff0000", 0, 0, TAKEN},
	{"options cut by the frame", OPTIONS4, 14, "4a", 0, 0, DROPPED(bad_ip_header)},
	/* TCP, UDP, ICMP */
	{"TCP header of 16 bytes", TCP4, 46, "40", 0, 0, DROPPED(bad_l4_header)},
	{"TCP header of 0 bytes", TCP4, 46, "00", 0, 0, DROPPED(bad_l4_header)},
	{"TCP options beyond the packet", TCP4, 46, "70", 0, 0, DROPPED(bad_l4_header)},
	{"TCP header of 60 bytes", TCP4, 46, "f0", 0, 0, DROPPED(bad_l4_header)},
	{"UDP length below its header", UDP4, 38, "0007", 0, 0, DROPPED(bad_l4_header)},
	{"UDP length 0", UDP4, 38, "0000", 0, 0, DROPPED(bad_l4_header)},
	{"UDP length above the packet", UDP4, 38, "000d", 0, 0, DROPPED(bad_l4_header)},
	{"UDP length below the packet", UDP4, 38, "0008", 0, 0, TAKEN},
	{"ICMP of 7 bytes", ICMP4, 16, "001b", 0, 0, DROPPED(bad_l4_header)},
	{"ICMPv6 in IPv4 is just a protocol", ICMP4, 23, "3a", 0, 0, TAKEN},
	/* IPv6 */
	{"version 4 in an IPv6 frame", TCP6, 14, "40", 0, 0, DROPPED(bad_ip_header)},
	{"payload length one above the frame", TCP6, 18, "0019", 0, 0, DROPPED(short_frame)},
	{"payload length 65535", TCP6, 18, "ffff", 0, 0, DROPPED(short_frame)},
	{"payload length cuts TCP", TCP6, 18, "0013", 0, 0, DROPPED(bad_l4_header)},
	{"payload length 0 with TCP", TCP6, 18, "0000", 0, 0, DROPPED(bad_l4_header)},
	{"IPv6 padding", TCP6, 0, "", 90, 0, TAKEN},
	{"multicast source 6", TCP6, 22, "ff02", 0, 0, DROPPED(bad_ip_source)},
	{"loopback source 6", TCP6, 22, "00000000000000000000000000000001", 0, 0,
		DROPPED(bad_ip_source)},
	{"unspecified source 6", TCP6, 22, "00000000000000000000000000000000", 0, 0,
		DROPPED(bad_ip_source)},
	{"unspecified source with ICMPv6", ICMP6, 22, "00000000000000000000000000000000", 0, 0,
		TAKEN},
	{"ICMPv6 of 7 bytes", ICMP6, 18, "0007", 0, 0, DROPPED(bad_l4_header)},
	{"UDP length 0 in IPv6", UDP6, 58, "0000", 0, 0, DROPPED(bad_l4_header)},
	{"hop-by-hop beyond the packet", EXTENSIONS6, 55, "06", 0, 0, DROPPED(ip_extension)},
	{"hop-by-hop of 2048 bytes", EXTENSIONS6, 55, "ff", 0, 0, DROPPED(ip_extension)},
	{"extension after an empty rest", TCP6, 18, "000000", 0, 0, DROPPED(ip_extension)},
	{"extension of one byte", EXTENSIONS6, 18, "0001", 0, 0, DROPPED(ip_extension)},
	{"extension of seven bytes", EXTENSIONS6, 18, "0007", 0, 0, DROPPED(ip_extension)},
	{"fragment header cut", FIRST6, 18, "0007", 0, 0, DROPPED(ip_extension)},
	{"AH beyond the packet", AH6, 55, "0b", 0, 0, DROPPED(ip_extension)},
	{"fragment header in a fragment header", FIRST6, 54, "2c", 0, 0, TAKEN},
	{"later fragment of an extension", LATER6, 54, "3c", 0, 0, TAKEN},
	{"atomic fragment", FIRST6, 56, "0000", 0, 0, TAKEN},
	{"atomic fragment, UDP length above it", FIRST6, 56, "0000000000099c400035000d", 0, 0, DROPPED(bad_l4_header)},
	{"UDP length above the first fragment 6", FIRST6, 66, "ffff", 0, 0, TAKEN},
	{"first fragment cuts the UDP header 6", FIRST6, 18, "000f", 0, 0, DROPPED(fragment_tiny)},
};
/* clang-format on */

static void one_good_packet_is_understood(const struct good *g)
{
	struct pkt p;
	uint32_t len;
	uint8_t *f = net_bytes(g->hex, &len);
	const unsigned l3 = g->flags & PKT_F_VLAN ? 18 : 14;
	const uint8_t *src = f + l3 + (g->family == 4 ? 12 : 8);
	const unsigned ip_len = g->family == 4 ? 4 : 16;
	static const uint8_t zero[16];

	parse_frame(&p, f, len, &our_mac);
	assert_int_equal(p.verdict, PKT_UNSEEN);
	assert_int_equal(p.family, g->family);
	assert_int_equal(p.proto, g->proto);
	assert_int_equal(p.flags, g->flags);
	assert_int_equal(p.tcp_flags, g->tcp_flags);
	assert_int_equal(p.l3_off, l3);
	assert_int_equal(p.l4_off, g->l4_off);
	assert_int_equal(p.l4_len, g->l4_len);
	assert_int_equal(rte_be_to_cpu_16(p.sport), g->sport);
	assert_int_equal(rte_be_to_cpu_16(p.dport), g->dport);
	assert_memory_equal(p.src, src, ip_len);
	assert_memory_equal(p.dst, src + ip_len, ip_len);
	assert_memory_equal(p.src + ip_len, zero, 16 - ip_len);
	assert_memory_equal(p.dst + ip_len, zero, 16 - ip_len);
	free(f);
}

static void good_packets_are_understood(void **state)
{
	(void)state;
	for (unsigned k = 0; k < N_KINDS; k++)
		one_good_packet_is_understood(&goods[k]);
}

static void every_cut_is_refused_in_bounds(void **state)
{
	(void)state;
	for (unsigned k = 0; k < N_KINDS; k++) {
		uint32_t len;
		uint8_t *f = net_bytes(goods[k].hex, &len);

		for (uint32_t n = 0; n < len; n++) {
			uint8_t *cut = malloc(n ? n : 1);
			struct pkt p;

			memcpy(cut, f, n);
			parse_frame(&p, cut, n, &our_mac);
			if (k == VLAN4 && n >= 14 && n < 18) {
				assert_int_equal(p.verdict, PKT_PUNT);
			} else {
				assert_int_equal(p.verdict, PKT_DROP);
				assert_int_equal(p.drop, PKT_DROP_short_frame);
			}
			free(cut);
		}
		free(f);
	}
}

/* Makes the IPv4 header checksum right, where the header says it is inside the frame. */
static void fix_checksum(uint8_t *f, uint32_t len, unsigned l3)
{
	const unsigned n = len > l3 ? (f[l3] & 0xf) * 4u : 0;
	uint16_t sum;

	if (n < 20 || len < l3 + n)
		return;
	f[l3 + 10] = f[l3 + 11] = 0;
	sum = csum_of(f + l3, n);
	memcpy(f + l3 + 10, &sum, 2);
}

/* As above with lengths that agree with the cut, so that the parser goes on to the inner headers. */
static void every_honest_cut_stays_in_bounds(void **state)
{
	(void)state;
	for (unsigned k = 0; k < N_KINDS; k++) {
		const unsigned l3 = goods[k].flags & PKT_F_VLAN ? 18 : 14;
		const unsigned header = goods[k].family == 4 ? 20 : 40;
		uint32_t len;
		uint8_t *f = net_bytes(goods[k].hex, &len);

		for (uint32_t n = l3 + header; n < len; n++) {
			const unsigned inner = n - l3 - (goods[k].family == 4 ? 0 : 40);
			uint8_t *cut = malloc(n);
			struct pkt p;

			memcpy(cut, f, n);
			cut[l3 + (goods[k].family == 4 ? 2 : 4)] = (uint8_t)(inner >> 8);
			cut[l3 + (goods[k].family == 4 ? 3 : 5)] = (uint8_t)inner;
			if (goods[k].family == 4)
				fix_checksum(cut, n, l3);
			parse_frame(&p, cut, n, &our_mac);
			if (p.verdict == PKT_UNSEEN)
				assert_int_equal(p.l4_off + p.l4_len, n);
			else
				assert_int_equal(p.verdict, PKT_DROP);
			if (p.verdict == PKT_UNSEEN && p.proto == 6 && !(k == LATER6))
				assert_true(p.l4_len >= 20);
			free(cut);
		}
		free(f);
	}
}

static void one_wrong_thing_has_its_reason(void **state)
{
	bool has_failed = false;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(bads); i++) {
		const struct bad *b = &bads[i];
		uint32_t len, n_bytes;
		uint8_t *good = net_bytes(goods[b->from].hex, &len);
		uint8_t *bytes = net_bytes(b->bytes, &n_bytes);
		const uint32_t n = b->len ? b->len : len;
		uint8_t *f = calloc(1, n);
		struct pkt p;

		memcpy(f, good, n < len ? n : len);
		memcpy(f + b->at, bytes, n_bytes);
		if (goods[b->from].family == 4 && !b->keeps_checksum)
			fix_checksum(f, n, goods[b->from].flags & PKT_F_VLAN ? 18 : 14);
		parse_frame(&p, f, n, &our_mac);
		if (p.verdict != b->verdict || (b->verdict == PKT_DROP && p.drop != b->drop)) {
			print_error("%s: verdict %u drop %u, wanted %u %u\n", b->what, p.verdict,
				p.drop, b->verdict, b->drop);
			has_failed = true;
		}
		free(f);
		free(bytes);
		free(good);
	}
	assert_false(has_failed);
}

static void too_many_extensions_are_refused(void **state)
{
	(void)state;
	for (unsigned n_ext = 0; n_ext < 20; n_ext++) {
		const uint32_t len = 54 + n_ext * 8 + 12;
		uint8_t *f = calloc(1, len);
		uint32_t n;
		uint8_t *udp = net_bytes(goods[UDP6].hex, &n);
		struct pkt p;

		memcpy(f, udp, 54);
		f[19] = (uint8_t)(n_ext * 8 + 12);
		f[20] = n_ext > 0 ? 60 : 17;
		for (unsigned i = 0; i < n_ext; i++)
			f[54 + i * 8] = i + 1 < n_ext ? 60 : 17;
		memcpy(f + 54 + n_ext * 8, udp + 54, 12);
		parse_frame(&p, f, len, &our_mac);
		if (n_ext <= 8) {
			assert_int_equal(p.verdict, PKT_UNSEEN);
			assert_int_equal(p.l4_off, 54 + n_ext * 8);
		} else {
			assert_int_equal(p.verdict, PKT_DROP);
			assert_int_equal(p.drop, PKT_DROP_ip_extension);
		}
		free(udp);
		free(f);
	}
}

static void no_address_is_a_source_only_for_dhcp(void **state)
{
	static const struct {
		uint8_t mac0, src3, dst0;
		bool is_taken;
	} rows[] = {{0xff, 0, 255, true}, {0xff, 1, 255, false}, {0xff, 0, 10, false},
		{0x01, 0, 10, false}, {2, 0, 255, false}};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		uint32_t n;
		uint8_t *f = net_bytes(goods[UDP4].hex, &n);
		struct pkt p;
		uint16_t sum;

		f[0] = rows[i].mac0;
		memset(f + 24, 0, 6);
		f[29] = rows[i].src3;
		memset(f + 30, 255, 4);
		f[30] = rows[i].dst0;
		sum = csum_of(f + 14, 20);
		memcpy(f + 24, &sum, 2);
		parse_frame(&p, f, n, &our_mac);
		assert_int_equal(p.verdict, rows[i].is_taken ? PKT_UNSEEN : PKT_DROP);
		if (!rows[i].is_taken)
			assert_int_equal(p.drop, PKT_DROP_bad_ip_source);
		free(f);
	}
}

/* Nothing behind the ninth header is looked at: it is not mapped. A packet costs no more, however long its chain. */
static void work_ends_with_the_limit_of_extensions(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const uint32_t n = 54 + 9 * 8;
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *f = pages + page - n;
	uint32_t n_udp;
	uint8_t *udp = net_bytes(goods[UDP6].hex, &n_udp);
	struct pkt p;

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	memcpy(f, udp, 54);
	f[18] = 1460 >> 8;
	f[19] = 1460 & 0xff;
	f[20] = 60;
	for (unsigned i = 0; i < 9; i++)
		f[54 + i * 8] = 60;
	parse_frame(&p, f, 14 + 40 + 1460, &our_mac);
	assert_int_equal(p.verdict, PKT_DROP);
	assert_int_equal(p.drop, PKT_DROP_ip_extension);
	munmap(pages, 2 * page);
	free(udp);
}

static void any_bytes_stay_in_bounds(void **state)
{
	(void)state;
	srand(791);
	for (unsigned k = 0; k < 150000; k++) {
		const struct good *g = &goods[k % N_KINDS];
		const unsigned l3 = g->flags & PKT_F_VLAN ? 18 : 14;
		uint32_t len;
		uint8_t *f = net_bytes(g->hex, &len);
		struct pkt p;

		for (int i = rand() % 6; i >= 0; i--)
			f[l3 + (unsigned)rand() % (len - l3)] = (uint8_t)rand();
		if (g->family == 4 && rand() % 4)
			fix_checksum(f, len, l3);
		parse_frame(&p, f, len, &our_mac);
		assert_true(p.verdict == PKT_UNSEEN || p.verdict == PKT_DROP);
		if (p.verdict == PKT_UNSEEN)
			assert_true((uint32_t)p.l4_off + p.l4_len <= len);
		else
			assert_true(p.drop < PKT_N_DROPS);
		free(f);
	}
}

static void padding_is_cut_off(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = net_receive(n, NET_WAN,
		"0200000000010200000000aa0800450000201234000040110254c6336407cb00"
		"710a9c400035000c385461626364 0000000000000000000000000000",
		0);

	assert_int_equal(n->b->p[0].verdict, PKT_UNSEEN);
	assert_int_equal(m->pkt_len, 46);
	assert_int_equal(m->data_len, 46);
	assert_int_equal(n->b->p[0].l4_len, 12);
	rte_pktmbuf_free(m);
}

static void a_dropped_or_punted_frame_keeps_its_bytes(void **state)
{
	struct net *n = *state;
	struct rte_mbuf *m = net_receive(
		n, NET_WAN, "0200000000010200000000aa88cc 0000000000000000000000000000", 0);

	assert_int_equal(n->b->p[0].verdict, PKT_PUNT);
	assert_int_equal(m->pkt_len, 28);
	rte_pktmbuf_free(m);
}

static void device_that_checked_the_header_is_believed(void **state)
{
	static const struct {
		uint64_t ol_flags;
		uint8_t verdict;
	} rows[] = {
		{RTE_MBUF_F_RX_IP_CKSUM_GOOD, PKT_UNSEEN},
		{RTE_MBUF_F_RX_IP_CKSUM_BAD, PKT_DROP},
		{RTE_MBUF_F_RX_IP_CKSUM_NONE, PKT_DROP},
		{0, PKT_DROP},
	};
	struct net *n = *state;

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *m = net_receive(n, NET_WAN, goods[UDP4].hex, 0);

		rte_pktmbuf_mtod(m, uint8_t *)[24] ^= 0x55;
		m->ol_flags |= rows[i].ol_flags;
		parse_burst(n->b, &our_mac, NET_WAN);
		assert_int_equal(n->b->p[0].verdict, rows[i].verdict);
		if (rows[i].verdict == PKT_DROP)
			assert_int_equal(n->b->p[0].drop, PKT_DROP_bad_ip_checksum);
		rte_pktmbuf_free(m);
	}
}

static void a_whole_burst_is_parsed_in_its_order(void **state)
{
	struct net *n = *state;

	for (unsigned k = 0; k < N_KINDS; k++) {
		uint32_t len;
		uint8_t *f = net_bytes(goods[k].hex, &len);

		n->b->m[k] = net_mbuf(n, f, len, 0);
		free(f);
	}
	n->b->n = N_KINDS;
	parse_burst(n->b, &our_mac, NET_LAN);
	for (unsigned k = 0; k < N_KINDS; k++) {
		assert_int_equal(n->b->p[k].in_iface, NET_LAN);
		assert_int_equal(n->b->p[k].proto, goods[k].proto);
		assert_int_equal(n->b->p[k].l4_off, goods[k].l4_off);
		rte_pktmbuf_free(n->b->m[k]);
	}
}

/* parse_burst() has a short way for what most packets are, parse_frame() has not. */
static void short_way_says_the_same(void **state)
{
	static const uint8_t kinds[] = {TCP4, UDP4, TCP6, UDP6};
	struct net *n = *state;
	unsigned n_unseen = 0;

	srand(54);
	for (unsigned i = 0; i < 20000; i++) {
		struct rte_mbuf *m =
			net_receive(n, NET_WAN, goods[kinds[i % RTE_DIM(kinds)]].hex, i % 3 * 11);
		uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
		struct pkt p;

		if (i % 16 >= 4)
			f[(unsigned)rand() % m->data_len] = (uint8_t)rand();
		if (i % 16 >= 8)
			f[12 + (unsigned)rand() % 30] ^= (uint8_t)(1 << rand() % 8);
		if (i % 8 >= 4 && f[12] == 8) {
			memset(f + 24, 0, 2);
			memcpy(f + 24, &(uint16_t){csum_of(f + 14, 20)}, 2);
		}
		parse_frame(&p, f, m->data_len, &our_mac);
		p.in_iface = NET_WAN;
		parse_burst(n->b, &our_mac, NET_WAN);
		assert_memory_equal(&n->b->p[0], &p, sizeof(p));
		n_unseen += p.verdict == PKT_UNSEEN;
		rte_pktmbuf_free(m);
	}
	assert_in_range(n_unseen, 5000, 18000);
}

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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_packets_are_understood),
		cmocka_unit_test(every_cut_is_refused_in_bounds),
		cmocka_unit_test(every_honest_cut_stays_in_bounds),
		cmocka_unit_test(one_wrong_thing_has_its_reason),
		cmocka_unit_test(too_many_extensions_are_refused),
		cmocka_unit_test(no_address_is_a_source_only_for_dhcp),
		cmocka_unit_test(work_ends_with_the_limit_of_extensions),
		cmocka_unit_test(any_bytes_stay_in_bounds),
		cmocka_unit_test_setup_teardown(short_way_says_the_same, up, down),
		cmocka_unit_test_setup_teardown(padding_is_cut_off, up, down),
		cmocka_unit_test_setup_teardown(
			a_dropped_or_punted_frame_keeps_its_bytes, up, down),
		cmocka_unit_test_setup_teardown(
			device_that_checked_the_header_is_believed, up, down),
		cmocka_unit_test_setup_teardown(a_whole_burst_is_parsed_in_its_order, up, down),
	};

	(void)argc;
	return net_eal(argv[0]) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
