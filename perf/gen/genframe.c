/* SPDX-License-Identifier: BSD-3-Clause */
/* genframe — see genframe.h. */
#include "genframe.h"

#include "base/csum.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <endian.h>

#define MAGIC 0x4d72626eu   /* of the first thread; and one more in a frame that was turned round */
#define MAGIC_STEP 0x10000u /* to the next thread's: the half that turning round leaves alone */
#define CLIENTS_MAX (1u << 24)

/* Without the network's and the broadcast address where there are more than two. */
uint32_t genframe_clients(const struct genopt_net *n)
{
	const unsigned bits = (n->family == 4 ? 32u : 128u) - n->len;

	if (bits < 2)
		return 1u << bits;
	return bits >= 24 ? CLIENTS_MAX - 2 : (1u << bits) - 2;
}

static void init_ip(struct genframe *f, const struct genframe_params *p)
{
	uint8_t *ip = f->head + RTE_ETHER_HDR_LEN;

	if (f->family == 4) {
		struct rte_ipv4_hdr h = {
			.version_ihl = 0x45,
			.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
			.time_to_live = 64,
			.next_proto_id = f->proto,
		};

		memcpy(&h.dst_addr, p->target->ip, 4);
		memcpy(ip, &h, sizeof(h));
		f->ip_sum = csum_words(&h, sizeof(h));
	} else {
		struct rte_ipv6_hdr h = {
			.vtc_flow = RTE_BE32(6u << 28), .proto = f->proto, .hop_limits = 64};

		memcpy(h.src_addr, f->client, 12);
		memcpy(h.dst_addr, p->target->ip, 16);
		memcpy(ip, &h, sizeof(h));
	}
}

/* The clients of a part of the network, one after the other. */
static void init_clients(struct genframe *f, const struct genframe_params *p)
{
	const struct genopt_net *n = p->client;
	const unsigned tail = f->family == 4 ? 0 : 12;
	rte_be32_t word;

	f->slice = p->slice;
	f->n_slices = p->n_slices > 0 ? p->n_slices : 1;
	f->n_clients = genframe_clients(n) / f->n_slices;
	memcpy(f->client, n->ip, 16);
	memcpy(&word, f->client + tail, 4);
	f->first_client = be32toh(word);
	if (n->len + 1 < (f->family == 4 ? 32 : 128))
		f->first_client++;
	f->first_client += f->slice * f->n_clients;
	word = htobe32(f->first_client);
	memcpy(f->client + tail, &word, 4);
	/* with one client it would be 2^64, which 0 is; the quotient of a flow 0 is right all the same */
	f->reciprocal = UINT64_MAX / f->n_clients + 1;
	f->flow_max = f->n_clients > 1 ? UINT32_MAX : 0;
}

void genframe_init(struct genframe *f, const struct genframe_params *p)
{
	const struct rte_ether_hdr eh = {.dst_addr = p->dst_mac,
		.src_addr = p->src_mac,
		.ether_type = p->target->family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
						     : RTE_BE16(RTE_ETHER_TYPE_IPV6)};
	static const uint8_t none[16];
	uint8_t *l4;

	memset(f, 0, sizeof(*f));
	f->family = p->target->family;
	f->proto = p->proto;
	f->l4 = (uint8_t)(RTE_ETHER_HDR_LEN
		+ (f->family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)));
	f->magic = htobe32(MAGIC + p->thread * MAGIC_STEP);
	init_clients(f, p);
	memcpy(f->head, &eh, sizeof(eh));
	init_ip(f, p);
	l4 = f->head + f->l4;
	if (f->proto == IPPROTO_UDP) {
		const struct rte_udp_hdr h = {.dst_port = htobe16(p->target_port)};

		memcpy(l4, &h, sizeof(h));
		f->head_len = (uint8_t)(f->l4 + sizeof(h));
	} else {
		const struct rte_tcp_hdr h = {.dst_port = htobe16(p->target_port),
			.recv_ack = p->is_unmarked ? 0 : f->magic,
			.data_off = sizeof(h) / 4 << 4,
			.rx_win = RTE_BE16(65535)};

		memcpy(l4, &h, sizeof(h));
		f->head_len = (uint8_t)(f->l4 + sizeof(h));
	}
	f->l4_sum = csum_words(l4, f->head_len - f->l4)
		+ csum_pseudo(none, p->target->ip, f->family == 4 ? 4 : 16, f->proto, 0)
		+ csum_words(f->client, f->family == 4 ? 0 : 12);
}

uint64_t genframe_flows_max(const struct genframe *f)
{
	return (uint64_t)f->n_clients * GENFRAME_PORTS;
}

/* Address and port of a flow: the last four bytes of the one, as flows go through all clients first, and the other. */
static inline void split(
	const struct genframe *f, uint64_t flow, rte_be32_t *address, rte_be16_t *port)
{
	/* opt: exact for 32 bits each (Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019) */
	const uint64_t round = flow <= f->flow_max
		? (uint64_t)((unsigned __int128)flow * f->reciprocal >> 64)
		: flow / f->n_clients;

	*address = htobe32(f->first_client + (uint32_t)(flow - round * f->n_clients));
	*port = htobe16((uint16_t)(GENFRAME_PORT_FIRST + round % GENFRAME_PORTS));
}

void genframe_source(const struct genframe *f, uint64_t flow, uint8_t *address, rte_be16_t *port)
{
	const unsigned tail = f->family == 4 ? 0 : 12;
	rte_be32_t word;

	split(f, flow, &word, port);
	memcpy(address, f->client, tail);
	memcpy(address + tail, &word, 4);
}

static inline void put16(uint8_t *to, uint16_t v)
{
	memcpy(to, &v, sizeof(v));
}

static inline void put32(uint8_t *to, uint32_t v)
{
	memcpy(to, &v, sizeof(v));
}

/* opt: for a family and a protocol that the compiler knows, and so all lengths and places */
static __rte_always_inline uint32_t write_as(const struct genframe *f, uint8_t *to, uint64_t flow,
	const struct genframe_text *t, uint8_t family, uint8_t proto)
{
	const uint32_t n_ip =
		family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const uint32_t n_l4 =
		proto == IPPROTO_UDP ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr);
	uint8_t *ip = to + RTE_ETHER_HDR_LEN, *l4 = ip + n_ip;
	const uint16_t be_len = htobe16((uint16_t)(n_l4 + t->n_bytes));
	rte_be32_t address;
	rte_be16_t port;
	uint64_t sum;
	uint16_t csum;

	split(f, flow, &address, &port);
	memcpy(to, f->head, RTE_ETHER_HDR_LEN + n_ip + n_l4);
	if (family == 4) {
		const uint16_t total = htobe16((uint16_t)(n_ip + n_l4 + t->n_bytes));

		put16(ip + offsetof(struct rte_ipv4_hdr, total_length), total);
		put16(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum),
			(uint16_t)~csum_fold(f->ip_sum + total + address));
		put32(ip + offsetof(struct rte_ipv4_hdr, src_addr), address);
	} else {
		put16(ip + offsetof(struct rte_ipv6_hdr, payload_len), be_len);
		put32(ip + offsetof(struct rte_ipv6_hdr, src_addr) + 12, address);
	}
	put16(l4, port);
	sum = f->l4_sum + address + port + be_len + t->sum;
	if (proto == IPPROTO_UDP) {
		put16(l4 + offsetof(struct rte_udp_hdr, dgram_len), be_len);
		csum = (uint16_t)~csum_fold(sum + be_len);
		put16(l4 + offsetof(struct rte_udp_hdr, dgram_cksum), csum != 0 ? csum : 0xffff);
	} else {
		const rte_be32_t seq = htobe32(t->number);
		const uint16_t flags = htobe16(t->tcp_flags);

		put32(l4 + offsetof(struct rte_tcp_hdr, sent_seq), seq);
		l4[offsetof(struct rte_tcp_hdr, tcp_flags)] = t->tcp_flags;
		csum = (uint16_t)~csum_fold(sum + seq + flags);
		put16(l4 + offsetof(struct rte_tcp_hdr, cksum), csum);
	}
	return RTE_ETHER_HDR_LEN + n_ip + n_l4 + t->n_bytes;
}

uint32_t genframe_write(
	const struct genframe *f, uint8_t *to, uint64_t flow, const struct genframe_text *t)
{
	if (f->proto == IPPROTO_UDP)
		return f->family == 4 ? write_as(f, to, flow, t, 4, IPPROTO_UDP)
				      : write_as(f, to, flow, t, 6, IPPROTO_UDP);
	return f->family == 4 ? write_as(f, to, flow, t, 4, IPPROTO_TCP)
			      : write_as(f, to, flow, t, 6, IPPROTO_TCP);
}

/* One IP header: its payload and what that is. Lengths of outer headers are checked as well, as a wrong one is not what was sent. */
static inline bool read_ip(uint8_t *at, uint32_t len, uint8_t family, struct genframe_seen *s)
{
	if (family == 4) {
		const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)(void *)at;
		uint32_t head, total;

		if (len < sizeof(*h) || h->version_ihl >> 4 != 4)
			return false;
		head = (h->version_ihl & 15u) * 4;
		total = be16toh(h->total_length);
		if (head < sizeof(*h) || total < head || total > len
			|| (h->fragment_offset & RTE_BE16(0x3fff)) != 0)
			return false;
		s->proto = h->next_proto_id;
		s->src = at + offsetof(struct rte_ipv4_hdr, src_addr);
		s->dst = at + offsetof(struct rte_ipv4_hdr, dst_addr);
		s->l4 = at + head;
		s->l4_len = total - head;
	} else {
		const struct rte_ipv6_hdr *h = (const struct rte_ipv6_hdr *)(void *)at;

		if (len < sizeof(*h) || at[0] >> 4 != 6
			|| be16toh(h->payload_len) > len - sizeof(*h))
			return false;
		s->proto = h->proto;
		s->src = at + offsetof(struct rte_ipv6_hdr, src_addr);
		s->dst = at + offsetof(struct rte_ipv6_hdr, dst_addr);
		s->l4 = at + sizeof(*h);
		s->l4_len = be16toh(h->payload_len);
	}
	s->family = family;
	return true;
}

/* Steps into what an outer header carries; 0: nothing that we know. */
static inline uint8_t inner_family(struct genframe_seen *s)
{
	const uint32_t gue = sizeof(struct rte_udp_hdr);
	uint8_t proto = s->proto;

	if (proto == IPPROTO_UDP && s->l4_len >= gue + 4
		&& ((const struct rte_udp_hdr *)(void *)s->l4)->dst_port
			== RTE_BE16(GENFRAME_GUE_PORT)
		&& s->l4[gue] == 0) { /* version 0, a data message without options */
		proto = s->l4[gue + 1];
		s->l4 += gue + 4;
		s->l4_len -= gue + 4;
	}
	return proto == IPPROTO_IPIP ? 4 : proto == IPPROTO_IPV6 ? 6 : 0;
}

bool genframe_read(uint8_t *frame, uint32_t len, struct genframe_seen *s)
{
	const struct rte_ether_hdr *eh = (const struct rte_ether_hdr *)(void *)frame;
	uint32_t head;
	uint8_t family;

	if (len < sizeof(*eh))
		return false;
	family = eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)  ? 4
		: eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) ? 6
								  : 0;
	s->is_tunnelled = false;
	if (family == 0 || !read_ip(frame + sizeof(*eh), (uint32_t)(len - sizeof(*eh)), family, s))
		return false;
	family = inner_family(s);
	if (family != 0) {
		s->is_tunnelled = true;
		if (!read_ip(s->l4, s->l4_len, family, s))
			return false;
	}
	if (s->proto == IPPROTO_UDP) {
		if (s->l4_len < sizeof(struct rte_udp_hdr))
			return false;
		head = sizeof(struct rte_udp_hdr);
	} else if (s->proto == IPPROTO_TCP) {
		if (s->l4_len < sizeof(struct rte_tcp_hdr))
			return false;
		head = (s->l4[offsetof(struct rte_tcp_hdr, data_off)] >> 4) * 4u;
		if (head < sizeof(struct rte_tcp_hdr) || head > s->l4_len)
			return false;
	} else {
		return false;
	}
	s->text = s->l4 + head;
	s->n_text = s->l4_len - head;
	return true;
}

/* What stands where a thread's magic number would. */
static inline bool read_magic(const struct genframe_seen *s, uint32_t *magic, bool *is_back)
{
	rte_be32_t word;

	if (s->proto == IPPROTO_UDP) {
		struct genframe_mark m;

		if (s->n_text < sizeof(m))
			return false;
		memcpy(&m, s->text, sizeof(m));
		*magic = be32toh(m.magic);
		*is_back = m.is_back != 0;
		return true;
	}
	memcpy(&word, s->l4 + offsetof(struct rte_tcp_hdr, recv_ack), 4);
	*is_back = (be32toh(word) & 1) != (MAGIC & 1);
	*magic = be32toh(word) - *is_back;
	return true;
}

int genframe_marker(const struct genframe_seen *s)
{
	uint32_t magic;
	bool is_back;

	if (!read_magic(s, &magic, &is_back) || (magic - MAGIC) % MAGIC_STEP != 0
		|| (magic - MAGIC) / MAGIC_STEP >= GENFRAME_THREADS_MAX)
		return -1;
	return (int)((magic - MAGIC) / MAGIC_STEP);
}

bool genframe_find_mark(
	const struct genframe *f, const struct genframe_seen *s, uint32_t *number, bool *is_back)
{
	rte_be32_t magic, be_number;

	if (s->proto == IPPROTO_UDP) {
		struct genframe_mark m;

		if (s->n_text < sizeof(m))
			return false;
		memcpy(&m, s->text, sizeof(m));
		if (m.magic != f->magic)
			return false;
		be_number = m.number;
		*is_back = m.is_back != 0;
	} else {
		memcpy(&magic, s->l4 + offsetof(struct rte_tcp_hdr, recv_ack), 4);
		memcpy(&be_number, s->l4 + offsetof(struct rte_tcp_hdr, sent_seq), 4);
		if (magic != f->magic && magic != f->magic + RTE_BE32(1))
			return false;
		*is_back = magic != f->magic;
	}
	*number = be32toh(be_number);
	return true;
}

static inline void swap(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t t[16];

	memcpy(t, a, n);
	memcpy(a, b, n);
	memcpy(b, t, n);
}

/* Two bytes at an even distance from the beginning of the segment become another pair; so does the checksum. */
static inline void change16(uint8_t *csum, uint8_t *at, uint16_t to, bool is_udp)
{
	uint16_t from, field, delta;

	memcpy(&from, at, 2);
	memcpy(&field, csum, 2);
	delta = csum_delta(&from, &to, 2);
	put16(at, to);
	put16(csum, is_udp ? csum_apply_udp(field, delta) : csum_apply(field, delta));
}

void genframe_turn(uint8_t *frame, const struct genframe_seen *s)
{
	swap(frame, frame + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
	swap(s->src, s->dst, s->family == 4 ? 4 : 16);
	swap(s->l4, s->l4 + 2, 2); /* ports */
	if (s->proto == IPPROTO_UDP) {
		change16(s->l4 + offsetof(struct rte_udp_hdr, dgram_cksum),
			s->text + offsetof(struct genframe_mark, is_back), RTE_BE16(1), true);
	} else {
		uint8_t *flags = s->l4 + offsetof(struct rte_tcp_hdr, data_off);
		uint8_t *csum = s->l4 + offsetof(struct rte_tcp_hdr, cksum);
		const uint8_t pair[2] = {flags[0], (uint8_t)(flags[1] | RTE_TCP_ACK_FLAG)};
		uint16_t to;

		memcpy(&to, pair, 2);
		change16(csum, flags, to, false);
		change16(csum, s->l4 + offsetof(struct rte_tcp_hdr, recv_ack) + 2,
			RTE_BE16((MAGIC + 1) & 0xffff), false);
	}
}

uint64_t genframe_flow_of(const struct genframe *f, const struct genframe_seen *s)
{
	rte_be32_t address;
	uint32_t client;
	uint16_t port;

	if (s->family != f->family || (f->family != 4 && memcmp(f->client, s->dst, 12) != 0))
		return UINT64_MAX;
	memcpy(&address, s->dst + (f->family == 4 ? 0 : 12), 4);
	client = be32toh(address) - f->first_client;
	memcpy(&port, s->l4 + 2, 2);
	port = be16toh(port);
	if (client >= f->n_clients || port < GENFRAME_PORT_FIRST)
		return UINT64_MAX;
	return (uint64_t)(port - GENFRAME_PORT_FIRST) * f->n_clients + client;
}

int genframe_slice_of(const struct genframe *f, const struct genframe_seen *s)
{
	rte_be32_t address;
	uint32_t client;

	if (s->family != f->family || (f->family != 4 && memcmp(f->client, s->dst, 12) != 0))
		return -1;
	memcpy(&address, s->dst + (f->family == 4 ? 0 : 12), 4);
	client = be32toh(address) - (f->first_client - f->slice * f->n_clients);
	return client < f->n_slices * f->n_clients ? (int)(client / f->n_clients) : -1;
}
