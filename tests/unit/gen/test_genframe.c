/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's frames: whole sums for each family and protocol, found again behind tunnels and after changes of addresses, turned
 * round; and bytes that nobody sent. */
#include "base/csum.h"
#include "genframe.h"
#include "genzipf.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <arpa/inet.h>
#include <stdlib.h>

#define ROOM 2048u

static const struct rte_ether_addr mac_a = {{2, 0, 0, 0, 0, 1}}, mac_b = {{2, 0, 0, 0, 0, 2}};
static uint8_t frame[ROOM];
static struct genframe f;

static struct genopt_net net_of(const char *ip, uint8_t len)
{
	struct genopt_net n = {.len = len};

	n.family = strchr(ip, ':') != NULL ? 6 : 4;
	assert_int_equal(inet_pton(n.family == 4 ? AF_INET : AF_INET6, ip, n.ip), 1);
	return n;
}

static void init_part(uint8_t family, uint8_t proto, uint8_t len, unsigned part, unsigned n_parts)
{
	const struct genopt_net client =
		family == 4 ? net_of("10.2.0.0", len) : net_of("fd00:2::", len);
	const struct genopt_net target =
		family == 4 ? net_of("10.1.0.80", 32) : net_of("fd00:1::80", 128);
	const struct genframe_params p = {.client = &client,
		.target = &target,
		.target_port = 8080,
		.proto = proto,
		.thread = part,
		.slice = part,
		.n_slices = n_parts,
		.src_mac = mac_a,
		.dst_mac = mac_b};

	genframe_init(&f, &p);
}

static void init(uint8_t family, uint8_t proto, uint8_t len)
{
	init_part(family, proto, len, 0, 0);
}

/* Writes one with a mark and a tail of zeros. */
static uint32_t write_one(uint64_t flow, uint32_t number, uint32_t n_text)
{
	struct genframe_text t = {
		.n_bytes = n_text, .number = number, .tcp_flags = RTE_TCP_SYN_FLAG};

	memset(frame, 0, sizeof(frame));
	if (f.proto == IPPROTO_UDP)
		t.sum = genframe_mark(&f, frame + f.head_len, number);
	return genframe_write(&f, frame, flow, &t);
}

/* Both checksums, from the bytes alone. */
static void sums_are_right(const struct genframe_seen *s)
{
	const uint32_t n = s->family == 4 ? 4 : 16;

	if (s->family == 4)
		assert_int_equal(
			csum_of(s->l4 - sizeof(struct rte_ipv4_hdr), sizeof(struct rte_ipv4_hdr)),
			0);
	assert_int_equal(csum_l4(s->src, s->dst, n, s->proto, s->l4, s->l4_len), 0);
}

static void frames_are_whole_and_found_again(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	(void)state;
	for (unsigned family = 4; family <= 6; family += 2)
		for (unsigned k = 0; k < 2; k++)
			for (uint64_t flow = 0; flow < 200; flow++) {
				const uint32_t number = (uint32_t)(flow * 2654435761u);
				const uint32_t n_text = GENFRAME_MARK + (uint32_t)flow % 7;
				struct genframe_seen s;
				uint32_t len, got;
				bool is_back;

				init((uint8_t)family, protos[k], family == 4 ? 28 : 124);
				len = write_one(flow, number, n_text);
				assert_int_equal(len, f.head_len + n_text);
				assert_true(genframe_read(frame, len, &s));
				assert_int_equal(s.family, family);
				assert_int_equal(s.proto, protos[k]);
				assert_int_equal(s.n_text, n_text);
				assert_false(s.is_tunnelled);
				sums_are_right(&s);
				assert_true(genframe_find_mark(&f, &s, &got, &is_back));
				assert_int_equal(got, number);
				assert_false(is_back);
				/* turned round: the addresses change places and the sums stay right */
				genframe_turn(frame, &s);
				assert_true(genframe_read(frame, len, &s));
				sums_are_right(&s);
				assert_memory_equal(frame, &mac_a, 6);
				assert_true(genframe_find_mark(&f, &s, &got, &is_back));
				assert_int_equal(got, number);
				assert_true(is_back);
				assert_int_equal(genframe_flow_of(&f, &s), flow);
			}
}

/* A thread's marks are no other's, there and back, and everybody can tell whose they are. So are its clients, which are as many as each other
 * thread's, and where answers go to. */
static void threads_have_marks_and_clients(void **state)
{
	static struct genframe of[GENFRAME_THREADS_MAX];

	(void)state;
	for (unsigned k = 0; k < 4 * GENFRAME_THREADS_MAX; k++) {
		const uint8_t family = k & 1 ? 6 : 4, proto = k & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		const unsigned thread = k / 4;
		uint32_t len, got;
		struct genframe_seen s;
		bool is_back;

		for (unsigned i = 0; i < GENFRAME_THREADS_MAX; i++) {
			init_part(family, proto, family == 4 ? 24 : 120, i, GENFRAME_THREADS_MAX);
			of[i] = f;
			assert_int_equal(f.n_clients, 254 / GENFRAME_THREADS_MAX);
		}
		f = of[thread];
		for (uint64_t flow = 0; flow < 2ull * f.n_clients; flow++) {
			len = write_one(flow, 99, 18);
			for (unsigned turned = 0; turned < 2; turned++) {
				assert_true(genframe_read(frame, len, &s));
				assert_int_equal(genframe_marker(&s), thread);
				for (unsigned i = 0; i < GENFRAME_THREADS_MAX; i++) {
					assert_int_equal(
						genframe_find_mark(&of[i], &s, &got, &is_back),
						i == thread);
					assert_int_equal(genframe_slice_of(&of[i], &s),
						turned ? (int)thread : -1);
					assert_true((genframe_flow_of(&of[i], &s) == flow)
						== (turned && i == thread));
				}
				assert_true(genframe_find_mark(&f, &s, &got, &is_back));
				assert_int_equal(got, 99);
				assert_int_equal(is_back, turned);
				genframe_turn(frame, &s);
			}
		}
	}
}

/* Addresses and ports of the first and the last flow of a network, and none outside of it. */
static void flows_are_clients_and_ports(void **state)
{
	struct genframe_seen s;
	uint32_t len;
	uint16_t port;

	(void)state;
	init(4, IPPROTO_UDP, 30); /* .1 and .2 */
	assert_int_equal(genframe_flows_max(&f), 2 * GENFRAME_PORTS);
	len = write_one(0, 1, GENFRAME_MARK);
	assert_true(genframe_read(frame, len, &s));
	assert_memory_equal(s.src, ((const uint8_t[]){10, 2, 0, 1}), 4);
	len = write_one(2 * GENFRAME_PORTS - 1, 1, GENFRAME_MARK);
	assert_true(genframe_read(frame, len, &s));
	assert_memory_equal(s.src, ((const uint8_t[]){10, 2, 0, 2}), 4);
	memcpy(&port, s.l4, 2);
	assert_int_equal(port, RTE_BE16(65535));
	/* an answer to the address behind, to a port below */
	genframe_turn(frame, &s);
	s.dst[3] = 3;
	assert_true(genframe_flow_of(&f, &s) == UINT64_MAX);
	s.dst[3] = 2;
	assert_true(genframe_flow_of(&f, &s) == 2 * GENFRAME_PORTS - 1);
	port = RTE_BE16(1023);
	memcpy(s.l4 + 2, &port, 2);
	assert_true(genframe_flow_of(&f, &s) == UINT64_MAX);
	init(4, IPPROTO_UDP, 32);
	assert_int_equal(genframe_flows_max(&f), GENFRAME_PORTS);
	init(6, IPPROTO_UDP, 64);
	assert_int_equal(genframe_flows_max(&f), ((1u << 24) - 2) * (uint64_t)GENFRAME_PORTS);
}

/* Flows go through all clients, then to the next port, however many clients there are: against plain division. */
static void flows_are_split_exactly(void **state)
{
	uint64_t random = 9;

	(void)state;
	for (unsigned len = 8; len <= 32; len++) {
		init(4, IPPROTO_UDP, (uint8_t)len);
		for (unsigned k = 0; k < 20000; k++) {
			const uint64_t r = genzipf_random(&random), near = f.n_clients * (r >> 52);
			const uint64_t flows[] = {k, r >> 32, r >> 24, near, near - 1, near + 1,
				UINT32_MAX - (r >> 60), UINT32_MAX + (r >> 60)};

			for (unsigned i = 0; i < sizeof(flows) / sizeof(*flows); i++) {
				const uint64_t flow = flows[i] % genframe_flows_max(&f);
				uint32_t address, first;
				uint16_t port;

				genframe_source(&f, flow, (uint8_t *)&address, &port);
				memcpy(&first, f.client, 4);
				assert_int_equal(ntohl(address) - ntohl(first), flow % f.n_clients);
				assert_int_equal(ntohs(port), 1024 + flow / f.n_clients);
			}
		}
	}
}

/* Puts headers in front of the packet in `frame`, as a balancer does; returns the bytes. */
static uint32_t wrap(uint32_t len, bool is_gue, uint8_t outer)
{
	const uint32_t n_inner = len - RTE_ETHER_HDR_LEN, n_gue = is_gue ? 12 : 0;
	const uint32_t n_ip =
		outer == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const uint8_t carried = f.family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint8_t *ip = frame + RTE_ETHER_HDR_LEN, *udp = ip + n_ip;

	memmove(ip + n_ip + n_gue, ip, n_inner);
	memset(ip, 0, n_ip + n_gue);
	if (outer == 4) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(void *)ip;

		h->version_ihl = 0x45;
		h->next_proto_id = is_gue ? IPPROTO_UDP : carried;
		h->total_length = rte_cpu_to_be_16((uint16_t)(n_ip + n_gue + n_inner));
		memcpy(frame + 12, "\x08\x00", 2);
	} else {
		struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)(void *)ip;

		h->vtc_flow = RTE_BE32(6u << 28);
		h->proto = is_gue ? IPPROTO_UDP : carried;
		h->payload_len = rte_cpu_to_be_16((uint16_t)(n_gue + n_inner));
		memcpy(frame + 12, "\x86\xdd", 2);
	}
	if (is_gue) {
		struct rte_udp_hdr *h = (struct rte_udp_hdr *)(void *)udp;

		h->dst_port = RTE_BE16(GENFRAME_GUE_PORT);
		h->dgram_len = rte_cpu_to_be_16((uint16_t)(n_gue + n_inner));
		udp[9] = carried;
	}
	return RTE_ETHER_HDR_LEN + n_ip + n_gue + n_inner;
}

static void marks_are_found_in_tunnels(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		const bool is_gue = k & 1;
		const uint8_t outer = k & 2 ? 6 : 4;
		struct genframe_seen s;
		uint32_t len, number;
		bool is_back;

		init(k & 4 ? 6 : 4, k & 8 ? IPPROTO_TCP : IPPROTO_UDP, 24);
		len = wrap(write_one(7, 77 + k, 18), is_gue, outer);
		assert_true(genframe_read(frame, len, &s));
		assert_true(s.is_tunnelled);
		sums_are_right(&s);
		assert_true(genframe_find_mark(&f, &s, &number, &is_back));
		assert_int_equal(number, 77 + k);
		/* none of its beginnings is taken for a whole one */
		for (uint32_t n = 0; n < len; n++)
			assert_false(genframe_read(frame, n, &s) && s.n_text > len);
	}
}

/* Every byte of good frames changed, and cut anywhere, in memory of just that size: what is read lies within. */
static void nothing_outside_is_read(void **state)
{
	uint64_t random = 5;

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		struct genframe_seen s;
		uint32_t len, number, n;
		uint8_t *copy;
		bool is_back;

		init(round & 1 ? 6 : 4, round & 2 ? IPPROTO_TCP : IPPROTO_UDP, 24);
		len = write_one(round, round, 10 + round % 30);
		if (round & 4)
			len = wrap(len, round & 8, round & 16 ? 6 : 4);
		for (unsigned i = 0; i < 1 + round % 4; i++) {
			const uint64_t r = genzipf_random(&random);

			frame[r % len] = (uint8_t)(r >> 32);
		}
		n = round & 32 ? len : (uint32_t)(genzipf_random(&random) % (len + 1));
		copy = malloc(n > 0 ? n : 1);
		memcpy(copy, frame, n);
		if (genframe_read(copy, n, &s)) {
			assert_true(s.l4 >= copy && s.l4 + s.l4_len <= copy + n);
			assert_true(s.text + s.n_text == s.l4 + s.l4_len);
			genframe_flow_of(&f, &s);
			genframe_slice_of(&f, &s);
			genframe_marker(&s);
			if (genframe_find_mark(&f, &s, &number, &is_back) && !s.is_tunnelled)
				genframe_turn(copy, &s);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_whole_and_found_again),
		cmocka_unit_test(threads_have_marks_and_clients),
		cmocka_unit_test(flows_are_clients_and_ports),
		cmocka_unit_test(flows_are_split_exactly),
		cmocka_unit_test(marks_are_found_in_tunnels),
		cmocka_unit_test(nothing_outside_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
