/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters against libpcap's own interpreter: what its compiler makes of expressions, over random packets cut at every
 * length, and random programs, which are refused or run within their bounds.
 */
#include "core/pktfilter.h"
#include "unit.h"

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_MAX 128
#define N_MEM 16

static uint64_t seed = 7;

static uint32_t random32(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 32);
}

static const char *const expressions[] = {
	"",
	"tcp",
	"tcp port 80",
	"udp port 53 or udp port 443",
	"host 10.1.0.10",
	"src net 10.1.0.0/16 and not dst port 80",
	"ip6 host fd00::1",
	"ip6 and tcp port 443",
	"tcp[tcpflags] & (tcp-syn|tcp-rst) != 0",
	"ip[6:2] & 0x1fff != 0",
	"icmp[icmptype] = icmp-echo",
	"arp or (vlan and ip)",
	"greater 60 and less 100",
	"ether host 02:00:00:00:00:01",
	"ip[2:2] - ((ip[0] & 0xf) << 2) > 20",
	"ip[8] * 3 / 2 % 7 = ip[9] ^ 2",
	"ether[0] >> ether[1] = 1 or ether[14] << 3 | 1 = 5",
	"len / ip[1] > 3",
	"portrange 1000-2000",
};

/* Often what the expressions ask about. */
static void make_packet(uint8_t p[PACKET_MAX])
{
	static const uint8_t start[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	static const uint16_t types[] = {0x0800, 0x0800, 0x86dd, 0x0806, 0x8100};
	static const uint8_t protos[] = {6, 17, 1};
	const uint16_t type = types[random32() % 5];

	for (unsigned i = 0; i < PACKET_MAX; i++)
		p[i] = (uint8_t)random32();
	memcpy(p, start, sizeof(start));
	p[12] = (uint8_t)(type >> 8);
	p[13] = (uint8_t)type;
	if (type == 0x0800) {
		p[14] = (uint8_t)(0x45 + random32() % 2);
		p[20] = p[21] = 0;
		p[23] = protos[random32() % 3];
		memcpy(p + 26, (const uint8_t[]){10, 1, 0, 10}, 4);
	} else if (type == 0x86dd) {
		p[20] = protos[random32() % 3];
		memset(p + 22, 0, 16);
		p[22] = 0xfd;
		p[37] = 1;
	}
	p[36] = p[56] = 0;
	p[37] = p[57] = random32() % 2 ? 80 : 53;
}

static unsigned encode(uint8_t *out, const struct bpf_insn *insns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t *b = out + (size_t)i * PKTFILTER_INSN_BYTES;

		memcpy(b, &insns[i].code, 2);
		b[2] = insns[i].jt;
		b[3] = insns[i].jf;
		memcpy(b + 4, &insns[i].k, 4);
	}
	return n * PKTFILTER_INSN_BYTES;
}

static void agree(const struct pktfilter *f, const struct bpf_insn *insns, const uint8_t *p,
	uint32_t n, uint32_t len)
{
	uint8_t *exact = malloc(n > 0 ? n : 1); /* so that the sanitizer sees a byte too many */

	assert_non_null(exact);
	memcpy(exact, p, n);
	assert_int_equal(pktfilter_run(f, exact, n, len), bpf_filter(insns, p, len, n));
	free(exact);
}

static void expressions_mean_what_they_do_elsewhere(void **state)
{
	static struct pktfilter f;
	unsigned n_matches = 0;

	(void)state;
	for (size_t e = 0; e < sizeof(expressions) / sizeof(expressions[0]); e++) {
		pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
		uint8_t code[PKTFILTER_INSNS_MAX * PKTFILTER_INSN_BYTES], p[PACKET_MAX];
		struct bpf_program program;
		unsigned at;

		assert_int_equal(
			pcap_compile(pcap, &program, expressions[e], 1, PCAP_NETMASK_UNKNOWN), 0);
		assert_in_range(program.bf_len, 1, PKTFILTER_INSNS_MAX);
		assert_int_equal(pktfilter_load(&f, code,
					 encode(code, program.bf_insns, program.bf_len), &at),
			0);
		for (unsigned k = 0; k < 300; k++) {
			make_packet(p);
			agree(&f, program.bf_insns, p, PACKET_MAX, PACKET_MAX);
			agree(&f, program.bf_insns, p, random32() % PACKET_MAX, PACKET_MAX);
			n_matches += pktfilter_run(&f, p, PACKET_MAX, PACKET_MAX) != 0;
		}
		pcap_freecode(&program);
		pcap_close(pcap);
	}
	assert_in_range(n_matches, 500, 5000);
}

static bool has_shift(const struct bpf_insn *insns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if ((insns[i].code & 0xf7) == 0x64 || (insns[i].code & 0xf7) == 0x74)
			return true;
	}
	return false;
}

/* What is not refused runs to its end, without a byte beyond the packet, and as elsewhere. */
static void random_programs_end(void **state)
{
	static const uint16_t codes[] = {0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x80, 0x60, 0x61,
		0xb1, 0x01, 0x81, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44,
		0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac, 0x05, 0x15,
		0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x07, 0x87, 0x16, 0x06};
	unsigned n_run = 0, n_refused = 0;

	(void)state;
	for (unsigned k = 0; k < 60000; k++) {
		struct bpf_insn insns[N_MEM + 12];
		uint8_t code[sizeof(insns)], p[PACKET_MAX];
		const unsigned n = N_MEM + 1 + random32() % 12;
		static struct pktfilter f;
		unsigned at;

		for (unsigned i = 0; i < n; i++)
			insns[i] = (struct bpf_insn){.code = random32() % 50
					? codes[random32() % (sizeof(codes) / 2)]
					: (uint16_t)random32(),
				.jt = (uint8_t)(random32() % (n - i + 1)),
				.jf = (uint8_t)(random32() % (n - i + 1)),
				.k = random32() % 20 ? random32() % 17 : random32()};
		for (unsigned i = 0; i < N_MEM; i++) /* libpcap's begins with anything in it */
			insns[i] = (struct bpf_insn){.code = 0x02, .k = i};
		insns[n - 1].code = random32() % 10 ? 0x16 : 0x06;
		if (pktfilter_load(&f, code, encode(code, insns, n), &at) != 0) {
			assert_true(at < n);
			n_refused++;
			continue;
		}
		assert_int_equal(f.n, n);
		make_packet(p);
		n_run++;
		/* shifts by 32 and more are undefined in libpcap's interpreter */
		if (has_shift(insns, n))
			pktfilter_run(&f, p, random32() % PACKET_MAX, PACKET_MAX);
		else
			agree(&f, insns, p, random32() % PACKET_MAX, PACKET_MAX);
	}
	assert_true(n_run > 2000 && n_refused > 2000);
}

static void refuse(const struct bpf_insn *insns, unsigned n, unsigned where)
{
	uint8_t code[8 * PKTFILTER_INSN_BYTES];
	struct pktfilter f;
	unsigned at;

	assert_int_not_equal(pktfilter_load(&f, code, encode(code, insns, n), &at), 0);
	assert_int_equal(at, where);
}

static void what_could_go_astray_is_refused(void **state)
{
	static const uint8_t bytes[(PKTFILTER_INSNS_MAX + 1) * PKTFILTER_INSN_BYTES];
	struct pktfilter f;
	unsigned at;

	(void)state;
	refuse((const struct bpf_insn[]){{0x28, 0, 0, 12}}, 1, 0); /* no return */
	refuse((const struct bpf_insn[]){{0x15, 1, 0, 1}, {0x06, 0, 0, 1}}, 2,
		0); /* over the end */
	refuse((const struct bpf_insn[]){{0x05, 0, 0, 1}, {0x06, 0, 0, 1}}, 2, 0);
	refuse((const struct bpf_insn[]){{0x05, 0, 0, 0xffffffff}, {0x06, 0, 0, 1}}, 2,
		0); /* back */
	refuse((const struct bpf_insn[]){{0x06, 0, 0, 1}, {0x02, 0, 0, 16}, {0x06, 0, 0, 1}}, 3, 1);
	refuse((const struct bpf_insn[]){{0x60, 0, 0, 16}, {0x06, 0, 0, 1}}, 2, 0);
	refuse((const struct bpf_insn[]){{0x34, 0, 0, 0}, {0x06, 0, 0, 1}}, 2, 0); /* / 0 */
	refuse((const struct bpf_insn[]){{0x94, 0, 0, 0}, {0x06, 0, 0, 1}}, 2, 0); /* % 0 */
	refuse((const struct bpf_insn[]){{0x0e, 0, 0, 0}}, 1, 0);                  /* return X */
	assert_int_not_equal(pktfilter_load(&f, bytes, 7, &at), 0);
	assert_int_not_equal(pktfilter_load(&f, bytes, sizeof(bytes), &at), 0);
	assert_int_equal(pktfilter_load(&f, bytes, 0, &at), 0);
	assert_int_not_equal(pktfilter_run(&f, bytes, 0, 60), 0); /* no program: everything */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions_mean_what_they_do_elsewhere),
		cmocka_unit_test(random_programs_end),
		cmocka_unit_test(what_could_go_astray_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
