/* SPDX-License-Identifier: BSD-3-Clause */
/* framegen — see framegen.h. A frame is written from left to right, field by field; lengths follow at the end. */
#include "framegen.h"

#include "base/csum.h"
#include "cachegen.h"
#include "fuzz.h"
#include "millrace/api_lb.h"

#include <rte_common.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define TCP 6
#define UDP 17
#define ANY (-1) /* with put(): a random value */

uint32_t framegen_random(struct framegen *g, uint32_t n)
{
	g->random ^= g->random << 13; /* xorshift64 */
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return (uint32_t)((g->random >> 32) * n >> 32);
}

static bool is_once_in(struct framegen *g, uint32_t n)
{
	return framegen_random(g, n) == 0;
}

/* --- fields --- */

uint32_t framegen_read(const struct framegen *g, const struct framegen_field *f)
{
	uint32_t v = 0;

	for (uint32_t bit = f->bit; bit < f->bit + f->n_bits; bit++)
		v = v << 1 | (g->bytes[bit / 8] >> (7 - bit % 8) & 1);
	return v;
}

void framegen_write(struct framegen *g, const struct framegen_field *f, uint32_t value)
{
	if (f->bit % 8 == 0 && f->n_bits == 8) {
		g->bytes[f->bit / 8] = (uint8_t)value;
		return;
	}
	for (uint32_t k = 0; k < f->n_bits; k++) {
		const uint32_t bit = f->bit + f->n_bits - 1 - k;
		const uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		if (value >> k & 1)
			g->bytes[bit / 8] |= mask;
		else
			g->bytes[bit / 8] &= (uint8_t)~mask;
	}
}

static bool has_room(const struct framegen *g, uint32_t n)
{
	return g->bit / 8 + n <= sizeof(g->bytes);
}

/* Appends a field, and tells of it when it has a name. */
static void put(struct framegen *g, const char *name, uint8_t n_bits, int64_t value)
{
	const struct framegen_field f = {name, (uint16_t)g->bit, n_bits};

	if (!has_room(g, (n_bits + 7u) / 8))
		return;
	framegen_write(g, &f, value == ANY ? framegen_random(g, UINT32_MAX) : (uint32_t)value);
	if (name != NULL && g->n_fields < FRAMEGEN_FIELDS_MAX)
		g->fields[g->n_fields++] = f;
	g->bit += n_bits;
}

void framegen_put(struct framegen *g, const char *name, uint8_t n_bits, int64_t value)
{
	put(g, name, n_bits, value);
}

static void put_random(struct framegen *g, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(g, NULL, 8, ANY);
}

static void put_address(struct framegen *g, const char *name, const char *text)
{
	struct mr_ip ip;

	FUZZ_NEED(mr_ip_parse(&ip, text) == 0, text);
	for (unsigned i = 0; i < (ip.family == 4 ? 4u : 16u); i += 4)
		put(g, name, 32,
			(int64_t)ip.bytes[i] << 24 | ip.bytes[i + 1] << 16 | ip.bytes[i + 2] << 8
				| ip.bytes[i + 3]);
}

/* A length of 16 bits that is filled in at the end. */
static void put_length(struct framegen *g, const char *name, uint32_t from)
{
	if (has_room(g, 2) && g->n_lengths < RTE_DIM(g->lengths)) {
		g->lengths[g->n_lengths].at = (uint16_t)(g->bit / 8);
		g->lengths[g->n_lengths++].from = (uint16_t)from;
	}
	put(g, name, 16, 0);
}

static void set16(struct framegen *g, uint32_t at, uint32_t value)
{
	g->bytes[at] = (uint8_t)(value >> 8);
	g->bytes[at + 1] = (uint8_t)value;
}

static void begin(struct framegen *g)
{
	g->n = g->bit = 0;
	g->n_fields = g->n_lengths = g->n_sums = 0;
	g->is_south = false;
	memset(g->bytes, 0, sizeof(g->bytes));
}

static void end(struct framegen *g)
{
	g->n = g->bit / 8;
	for (unsigned i = 0; i < g->n_lengths; i++)
		set16(g, g->lengths[i].at, g->n - g->lengths[i].from);
	for (unsigned i = g->n_sums; i-- > 0;) {
		uint8_t *ip = g->bytes + g->sums[i];
		const uint32_t n = (ip[0] & 15) * 4u;
		uint16_t sum;

		if (g->sums[i] + n > g->n)
			continue;
		sum = csum_of(ip, n);
		memcpy(ip + 10, &sum, 2);
	}
}

/* --- headers --- */

static void ethernet(struct framegen *g, uint16_t type)
{
	put(g, "eth.dst", 32, 0x02000000);
	put(g, "eth.dst", 16, g->is_south ? 2 : 1);
	put(g, "eth.src", 32, 0x02bb0000);
	put(g, "eth.src", 16, 10 + framegen_random(g, 4));
	put(g, "eth.type", 16, type);
}

/* A chain of options that fills n bytes: what is left of the last one is its data. */
static void options4(struct framegen *g, unsigned n)
{
	/* end, no operation, record route, timestamp, security, loose and strict route, router alert */
	static const uint8_t kinds[] = {0, 1, 7, 68, 130, 131, 137, 148};

	while (n > 0) {
		const uint8_t kind = kinds[framegen_random(g, RTE_DIM(kinds))];
		unsigned len = 1;

		put(g, "ip4.option", 8, n < 2 ? 1 : kind);
		if (kind > 1 && n >= 2) {
			len = 2 + framegen_random(g, n - 1);
			put(g, "ip4.option.length", 8, len);
			put_random(g, len - 2);
		}
		n -= len;
	}
}

static void ip4(
	struct framegen *g, const char *src, const char *dst, uint8_t proto, unsigned n_opts)
{
	const uint32_t from = g->bit / 8;

	if (has_room(g, 20) && g->n_sums < RTE_DIM(g->sums))
		g->sums[g->n_sums++] = (uint16_t)from;
	put(g, "ip4.version", 4, 4);
	put(g, "ip4.ihl", 4, 5 + n_opts / 4);
	put(g, "ip4.tos", 8, is_once_in(g, 4) ? ANY : 0);
	put_length(g, "ip4.length", from);
	put(g, "ip4.id", 16, framegen_random(g, 4));
	put(g, "ip4.flags", 3, is_once_in(g, 2) ? 2 : 0);
	put(g, "ip4.offset", 13, 0);
	put(g, "ip4.ttl", 8, 64);
	put(g, "ip4.proto", 8, proto);
	put(g, "ip4.sum", 16, 0);
	put_address(g, "ip4.src", src);
	put_address(g, "ip4.dst", dst);
	options4(g, n_opts);
}

static void ip6(struct framegen *g, const char *src, const char *dst, uint8_t next, uint8_t hops)
{
	put(g, "ip6.version", 4, 6);
	put(g, "ip6.class", 8, is_once_in(g, 4) ? ANY : 0);
	put(g, "ip6.flow", 20, is_once_in(g, 4) ? ANY : 0);
	put_length(g, "ip6.length", g->bit / 8 + 36);
	put(g, "ip6.next", 8, next);
	put(g, "ip6.hops", 8, hops);
	put_address(g, "ip6.src", src);
	put_address(g, "ip6.dst", dst);
}

/* One extension header of n_bytes (at least 8). */
static void extension(struct framegen *g, uint8_t type, uint8_t next, unsigned n_bytes)
{
	put(g, "ext.next", 8, next);
	if (type == IPPROTO_FRAGMENT) { /* a datagram of its own */
		put(g, "ext.reserved", 8, 0);
		put(g, "ext.fragment.offset", 13, 0);
		put(g, "ext.fragment.flags", 3, 0);
		put(g, "ext.fragment.id", 32, framegen_random(g, 4));
		return;
	}
	put(g, "ext.length", 8, type == IPPROTO_AH ? n_bytes / 4 - 2 : n_bytes / 8 - 1);
	if (type == IPPROTO_ROUTING) {
		put(g, "ext.routing.type", 8, framegen_random(g, 5));
		put(g, "ext.routing.left", 8, framegen_random(g, 3));
		put_random(g, n_bytes - 4);
	} else if (type == IPPROTO_AH) {
		put(g, "ext.ah.spi", 32, ANY);
		put_random(g, n_bytes - 6);
	} else { /* one option of padding */
		put(g, "ext.option", 8, 1);
		put(g, "ext.option.length", 8, n_bytes - 4);
		put_random(g, n_bytes - 4);
	}
}

static uint8_t any_extension(struct framegen *g)
{
	static const uint8_t types[] = {
		IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_AH, IPPROTO_FRAGMENT};

	return types[framegen_random(g, RTE_DIM(types))];
}

/* n extension headers behind the IPv6 header whose next-header field is at `next_at`. */
static void chain(struct framegen *g, uint32_t next_at, uint8_t type, unsigned n, unsigned n_bytes)
{
	uint8_t types[FRAMEGEN_CHAIN_MAX + 1];

	types[n] = g->bytes[next_at]; /* of the upper layer */
	for (unsigned i = 0; i < n; i++)
		types[i] = type != 0 ? type : any_extension(g);
	g->bytes[next_at] = types[0];
	for (unsigned i = 0; i < n; i++)
		extension(g, types[i], types[i + 1], n_bytes);
}

/* Some options, or a chain that fills any number of bytes up to all 40. */
static void tcp_options(struct framegen *g, unsigned n)
{
	/* end, no operation, segment size, window scale, SACK permitted, SACK, timestamps, fast open */
	static const uint8_t kinds[] = {0, 1, 2, 3, 4, 5, 8, 34};
	static const uint8_t lens[] = {1, 1, 4, 3, 2, 10, 10, 18};

	while (n > 0) {
		const unsigned k = framegen_random(g, RTE_DIM(kinds));

		if (lens[k] > n || kinds[k] == 0) {
			put(g, "tcp.option", 8, 1);
			n--;
			continue;
		}
		put(g, "tcp.option", 8, kinds[k]);
		if (lens[k] > 1)
			put(g, "tcp.option.length", 8, lens[k]);
		if (lens[k] == 4)
			put(g, "tcp.mss", 16, 536 + framegen_random(g, 1000));
		else if (lens[k] > 2)
			put_random(g, lens[k] - 2u);
		n -= lens[k];
	}
}

static unsigned any_length(struct framegen *g)
{
	switch (framegen_random(g, 6)) {
	case 0:
		return 0;
	case 1:
		return framegen_random(g, 1400);
	case 2:
		return 1400 + framegen_random(g, 60); /* about what an MTU takes */
	default:
		return framegen_random(g, 40);
	}
}

static uint16_t any_client_port(struct framegen *g)
{
	return (uint16_t)(40000 + framegen_random(g, 12));
}

static void tcp(struct framegen *g, uint16_t sport, uint16_t dport)
{
	static const uint8_t flags[] = {
		2, 2, 2, 0x10, 0x10, 0x18, 0x11, 4, 0x14, 0x12, 0xc2, 0, 0x3f};
	const unsigned n_opts = is_once_in(g, 2) ? 4 * framegen_random(g, 11) : 0;

	put(g, "tcp.sport", 16, sport);
	put(g, "tcp.dport", 16, dport);
	put(g, "tcp.seq", 32, 1000 + framegen_random(g, 3));
	put(g, "tcp.ack", 32, is_once_in(g, 2) ? ANY : 0);
	put(g, "tcp.offset", 4, 5 + n_opts / 4);
	put(g, "tcp.reserved", 4, 0);
	put(g, "tcp.flags", 8, flags[framegen_random(g, RTE_DIM(flags))]);
	put(g, "tcp.window", 16, ANY);
	put(g, "tcp.sum", 16, 0);
	put(g, "tcp.urgent", 16, 0);
	tcp_options(g, n_opts);
	put_random(g, any_length(g));
}

static void udp_header(struct framegen *g, uint16_t sport, uint16_t dport)
{
	const uint32_t from = g->bit / 8;

	put(g, "udp.sport", 16, sport);
	put(g, "udp.dport", 16, dport);
	put_length(g, "udp.length", from);
	put(g, "udp.sum", 16, 0);
}

/* --- who talks to whom --- */

struct end {
	const char *ip;
	uint16_t port;
};

static const struct end vips[2][2][12] = {
	/* [IPv6][UDP] */
	{{{"10.1.0.80", 80}, {"10.1.0.90", 8080}, {"10.1.0.91", 80}, {"10.1.0.93", 80},
		 {"10.1.0.94", 80}, {"10.1.0.95", 80}, {"10.1.0.96", 80}, {"10.1.0.80", 81}},
		{{"10.1.0.80", 53}, {"10.1.0.90", 443}, {"10.1.0.92", 53}, {"10.1.0.95", 53},
			{"10.1.0.96", 53}, {"10.1.0.99", 11211}, {"10.1.0.98", 11211},
			{"10.1.0.97", 53}, {"10.1.0.80", 54}}},
	{{{"fd00:1::80", 80}, {"fd00:1::91", 80}, {"fd00:1::94", 80}, {"fd00:1::95", 80},
		 {"fd00:1::96", 80}, {"fd00:1::97", 80}, {"fd00:1::98", 80}, {"fd00:1::80", 81}},
		{{"fd00:1::80", 53}, {"fd00:1::90", 443}, {"fd00:1::93", 53}, {"fd00:1::95", 53},
			{"fd00:1::96", 53}, {"fd00:1::99", 11211}, {"fd00:1::80", 54}}},
};

static struct end any_vip(struct framegen *g, bool is_v6, uint8_t proto)
{
	const struct end *of = vips[is_v6][proto == UDP];
	unsigned n = 0;

	while (n < RTE_DIM(vips[0][0]) && of[n].ip != NULL)
		n++;
	return of[framegen_random(g, n)];
}

/* On the ports' network and beyond the gateway; two are on deny lists or not in allow lists. */
static const char *client_of(bool is_v6, unsigned i)
{
	static const char *const of[2][4] = {{"10.1.0.10", "10.1.0.11", "10.1.0.12", "192.0.2.77"},
		{"fd00:1::10", "fd00:1::11", "fd00:1::12", "2001:db8::77"}};

	return of[is_v6][i];
}

static const char *any_client(struct framegen *g, bool is_v6)
{
	return client_of(is_v6, framegen_random(g, 4));
}

static const char *any_own(struct framegen *g, bool is_v6)
{
	static const char *const of[2][4] = {{"10.1.0.1", "10.1.0.80", "10.2.0.100", "10.2.0.1"},
		{"fd00:1::1", "fd00:1::80", "fd00:2::100", "fd00:2::1"}};

	return of[is_v6][framegen_random(g, 4)];
}

/* The network header and the extension headers of a packet, for what of `proto` follows. */
static void network(struct framegen *g, const char *src, const char *dst, uint8_t proto)
{
	const uint32_t from = g->bit / 8;

	if (strchr(dst, ':') == NULL) {
		ip4(g, src, dst, proto, is_once_in(g, 8) ? 4 * framegen_random(g, 11) : 0);
		return;
	}
	ip6(g, src, dst, proto, 64);
	if (is_once_in(g, 8))
		chain(g, from + 6, 0, framegen_random(g, 12), 8 + 8 * framegen_random(g, 3));
}

static void frame_to(struct framegen *g, const char *src, const char *dst, uint8_t proto)
{
	ethernet(g, strchr(dst, ':') == NULL ? 0x0800 : 0x86dd);
	network(g, src, dst, proto);
}

/* --- kinds --- */

static void from_client(struct framegen *g, bool is_v6, uint8_t proto)
{
	const struct end to = any_vip(g, is_v6, proto);

	frame_to(g, any_client(g, is_v6), to.ip, proto);
	if (proto == TCP) {
		tcp(g, any_client_port(g), to.port);
	} else {
		udp_header(g, any_client_port(g), to.port);
		put_random(g, any_length(g));
	}
}

static void tcp4(struct framegen *g)
{
	from_client(g, false, TCP);
}

static void tcp6(struct framegen *g)
{
	from_client(g, true, TCP);
}

static void udp4(struct framegen *g)
{
	from_client(g, false, UDP);
}

static void udp6(struct framegen *g)
{
	from_client(g, true, UDP);
}

/* Long headers of every type and version negotiation, and short ones, with server ids of ours and others. */
static void quic(struct framegen *g, bool is_v6)
{
	const bool is_long = is_once_in(g, 2);
	const unsigned n = is_once_in(g, 3) ? framegen_random(g, 21) : 8;

	frame_to(g, any_client(g, is_v6), is_v6 ? "fd00:1::90" : "10.1.0.90", UDP);
	udp_header(g, any_client_port(g), 443);
	put(g, "quic.form", 1, is_long);
	put(g, "quic.fixed", 1, 1);
	put(g, "quic.type", 2, framegen_random(g, 4));
	put(g, "quic.low", 4, 0);
	if (is_long) {
		static const uint32_t versions[] = {1, 0x6b3343cf, 0, 0xff00001d};

		put(g, "quic.version", 32, versions[framegen_random(g, 4)]);
		put(g, "quic.dcid.length", 8, n);
	}
	if (n > 0)
		put(g, "quic.dcid.first", 8, n - 1);
	if (n > 2)
		put(g, "quic.dcid.id", 16, framegen_random(g, 4));
	put_random(g, n > 3 ? n - 3 : 0);
	if (is_long)
		put(g, "quic.scid.length", 8, 0);
	put_random(g, any_length(g));
}

static void quic4(struct framegen *g)
{
	quic(g, false);
}

static void quic6(struct framegen *g)
{
	quic(g, true);
}

static void cache4(struct framegen *g)
{
	frame_to(g, any_client(g, false), is_once_in(g, 4) ? "10.1.0.98" : "10.1.0.99", UDP);
	udp_header(g, any_client_port(g), 11211);
	cachegen_datagram(g);
}

static void cache6(struct framegen *g)
{
	frame_to(g, any_client(g, true), "fd00:1::99", UDP);
	udp_header(g, any_client_port(g), 11211);
	cachegen_datagram(g);
}

static void icmp_header(struct framegen *g, uint8_t type, uint8_t code)
{
	put(g, "icmp.type", 8, type);
	put(g, "icmp.code", 8, code);
	put(g, "icmp.sum", 16, 0);
}

static void echo(struct framegen *g)
{
	const bool is_v6 = is_once_in(g, 2);

	g->is_south = is_once_in(g, 3);
	frame_to(g, any_client(g, is_v6), any_own(g, is_v6), is_v6 ? IPPROTO_ICMPV6 : 1);
	icmp_header(
		g, is_v6 ? (uint8_t)(128 + framegen_random(g, 2)) : (is_once_in(g, 4) ? 0 : 8), 0);
	put(g, "icmp.id", 16, ANY);
	put(g, "icmp.seq", 16, ANY);
	put_random(g, any_length(g));
}

/* An error about a flow: from the clients' side about what the VIP sent, from the servers' about what the SNAT
 * address or, with DNAT, the client sent. Cut off anywhere. */
static void icmp_error(struct framegen *g, bool is_v6)
{
	static const uint8_t types[2][4] = {{3, 11, 12, 4}, {1, 2, 3, 4}};
	const uint8_t proto = is_once_in(g, 2) ? TCP : UDP;
	const struct end vip = any_vip(g, is_v6, proto);
	const char *client = any_client(g, is_v6), *server = is_v6 ? "fd00:2::11" : "10.2.0.11";
	const char *quoted = vip.ip;
	uint16_t sport = vip.port, dport = any_client_port(g);
	uint32_t cut;

	g->is_south = is_once_in(g, 2);
	if (g->is_south) {
		quoted = is_once_in(g, 2) ? client : is_v6 ? "fd00:2::100" : "10.2.0.100";
		sport = quoted == client ? dport : (uint16_t)(1024 + framegen_random(g, 64));
		dport = is_once_in(g, 2) ? 8080 : 5353;
		client = server;
	}
	frame_to(g, client, quoted, is_v6 ? IPPROTO_ICMPV6 : 1);
	icmp_header(g, types[is_v6][framegen_random(g, 4)], (uint8_t)framegen_random(g, 5));
	put(g, "icmp.unused", 16, is_once_in(g, 4) ? ANY : 0);
	put(g, "icmp.mtu", 16, 1280 + framegen_random(g, 200));
	network(g, quoted, client, proto);
	cut = g->bit / 8 + framegen_random(g, 60);
	if (proto == TCP) {
		tcp(g, sport, dport);
	} else {
		udp_header(g, sport, dport);
		put_random(g, any_length(g));
	}
	while (g->n_lengths > 1) { /* those of the quoted packet are from before it was cut */
		g->n_lengths--;
		set16(g, g->lengths[g->n_lengths].at, g->bit / 8 - g->lengths[g->n_lengths].from);
	}
	if (is_once_in(g, 2) && g->bit / 8 > cut) {
		g->bit = cut * 8;
		while (g->n_fields > 0
			&& g->fields[g->n_fields - 1].bit + g->fields[g->n_fields - 1].n_bits
				> g->bit)
			g->n_fields--;
	}
}

static void icmp_error4(struct framegen *g)
{
	icmp_error(g, false);
}

static void icmp_error6(struct framegen *g)
{
	icmp_error(g, true);
}

static void arp(struct framegen *g)
{
	g->is_south = is_once_in(g, 2);
	ethernet(g, 0x0806);
	put(g, "arp.hardware", 16, 1);
	put(g, "arp.protocol", 16, 0x0800);
	put(g, "arp.hardware.length", 8, 6);
	put(g, "arp.protocol.length", 8, 4);
	put(g, "arp.operation", 16, 1 + framegen_random(g, 2));
	put(g, "arp.sender", 32, 0x02bb0000);
	put(g, "arp.sender", 16, 10);
	put_address(g, "arp.sender.ip", g->is_south ? "10.2.0.11" : any_client(g, false));
	put(g, "arp.target", 32, 0);
	put(g, "arp.target", 16, 0);
	put_address(g, "arp.target.ip", any_own(g, false));
	put_random(g, is_once_in(g, 2) ? 18 : 0);
}

/* Solicitation, advertisement, router messages, redirect; options up to what the frame takes. */
static void ndp(struct framegen *g)
{
	const uint8_t type = (uint8_t)(133 + framegen_random(g, 5));
	const unsigned n_opts = is_once_in(g, 8) ? framegen_random(g, 230) : framegen_random(g, 4);

	g->is_south = is_once_in(g, 2);
	ethernet(g, 0x86dd);
	ip6(g, g->is_south ? "fd00:2::11" : any_client(g, true), any_own(g, true), IPPROTO_ICMPV6,
		255);
	icmp_header(g, type, 0);
	put(g, "nd.flags", 8, is_once_in(g, 2) ? 0x60 : 0);
	put(g, "nd.reserved", 24, 0);
	if (type != 133 && type != 134)
		put_address(g, "nd.target", type == 135 ? any_own(g, true) : "fd00:2::11");
	for (unsigned i = 0; i < n_opts && has_room(g, 8); i++) {
		put(g, "nd.option", 8, 1 + framegen_random(g, 5));
		put(g, "nd.option.length", 8, 1);
		put(g, "nd.option.mac", 32, 0x02bb0000);
		put(g, "nd.option.mac", 16, 10 + framegen_random(g, 4));
	}
}

/* A piece of one of eight datagrams: first, in between, last, in any order. */
static void fragment(struct framegen *g)
{
	static const uint16_t offsets[] = {0, 0, 1, 3, 6, 9, 185, 8191};
	const uint16_t offset = offsets[framegen_random(g, RTE_DIM(offsets))];
	const unsigned id = framegen_random(g, 8), n = framegen_random(g, 3);
	const bool is_v6 = id & 1, has_more = framegen_random(g, 4) > 0;
	const uint8_t proto = id & 2 ? UDP : TCP;
	const struct end to = vips[is_v6][proto == UDP][(id >> 2) + 2 * n];
	const char *client = client_of(is_v6, id >> 1);
	uint32_t data;

	ethernet(g, is_v6 ? 0x86dd : 0x0800);
	if (is_v6) {
		ip6(g, client, to.ip, IPPROTO_FRAGMENT, 64);
		put(g, "ext.next", 8, proto);
		put(g, "ext.reserved", 8, 0);
		put(g, "ext.fragment.offset", 13, offset);
		put(g, "ext.fragment.flags", 3, has_more);
		put(g, "ext.fragment.id", 32, id);
	} else {
		ip4(g, client, to.ip, proto, 0);
		set16(g, 14 + 4, id);
		set16(g, 14 + 6, (has_more ? 0x2000u : 0) | offset);
	}
	data = g->bit / 8;
	if (offset > 0) {
		put_random(g, 8 + 8 * framegen_random(g, 20));
	} else if (proto == TCP) {
		tcp(g, (uint16_t)(40000 + id), to.port);
	} else {
		udp_header(g, (uint16_t)(40000 + id), to.port);
		put_random(g, any_length(g));
	}
	if (has_more) /* a multiple of 8 */
		put_random(g, (8 - (g->bit / 8 - data) % 8) % 8);
	g->n_lengths = 1 + (g->n_lengths > 1 && !has_more); /* a UDP length is that of the whole */
	if (offset == 0 && proto == UDP && has_more)
		set16(g, data + 4, 2000);
}

/* IP in IP and GUE of all families, to a VIP or to us: not from us, so passed on or balanced as it is. */
static void tunnel(struct framegen *g)
{
	const bool is_v6 = is_once_in(g, 2), is_inner6 = is_once_in(g, 2),
		   is_gue = is_once_in(g, 2);
	const uint8_t inner = is_inner6 ? IPPROTO_IPV6 : IPPROTO_IPIP;

	frame_to(g, any_client(g, is_v6), any_own(g, is_v6), is_gue ? UDP : inner);
	if (is_gue) {
		udp_header(g, any_client_port(g), MR_GUE_PORT);
		put(g, "gue.version", 2, 0);
		put(g, "gue.control", 1, 0);
		put(g, "gue.length", 5, 0);
		put(g, "gue.proto", 8, inner);
		put(g, "gue.flags", 16, 0);
	}
	network(g, any_client(g, is_inner6), any_own(g, is_inner6), TCP);
	tcp(g, any_client_port(g), 80);
}

static void options_chain(struct framegen *g)
{
	const uint8_t proto = is_once_in(g, 2) ? TCP : UDP;
	const struct end to = any_vip(g, false, proto);

	ethernet(g, 0x0800);
	ip4(g, any_client(g, false), to.ip, proto, 4 + 4 * framegen_random(g, 10));
	if (proto == TCP) {
		tcp(g, any_client_port(g), to.port);
	} else {
		udp_header(g, any_client_port(g), to.port);
		put_random(g, any_length(g));
	}
}

static void write_chain(struct framegen *g, uint8_t type, unsigned n, unsigned n_bytes)
{
	const uint8_t proto = is_once_in(g, 2) ? TCP : UDP;
	const struct end to = any_vip(g, true, proto);

	ethernet(g, 0x86dd);
	ip6(g, any_client(g, true), to.ip, proto, 64);
	chain(g, 14 + 6, type, n, n_bytes);
	if (proto == TCP)
		tcp(g, any_client_port(g), to.port);
	else
		udp_header(g, any_client_port(g), to.port);
}

static void extension_chain(struct framegen *g)
{
	const unsigned n_bytes = 8 + 8 * framegen_random(g, is_once_in(g, 3) ? 30 : 2);
	const unsigned n_max = RTE_MIN((FRAMEGEN_MAX - 100) / n_bytes, FRAMEGEN_CHAIN_MAX);

	write_chain(g, is_once_in(g, 2) ? 0 : any_extension(g),
		framegen_random(g, is_once_in(g, 2) ? 12 : n_max), n_bytes);
}

/* From a server to a SNAT address, or with DNAT to a client: of flows that there are, or not. */
static void from_server(struct framegen *g)
{
	const bool is_v6 = is_once_in(g, 2), is_dnat = is_once_in(g, 2);
	const uint8_t proto = is_once_in(g, 2) ? TCP : UDP;
	const uint16_t sport = proto == TCP ? 8080 : 5353;
	const uint16_t dport =
		is_dnat ? any_client_port(g) : (uint16_t)(1024 + framegen_random(g, 200));
	const char *snat = is_v6 ? "fd00:2::100" : is_once_in(g, 2) ? "10.2.0.100" : "10.2.0.101";

	g->is_south = true;
	frame_to(g, is_v6 ? "fd00:2::11" : "10.2.0.11", is_dnat ? any_client(g, is_v6) : snat,
		proto);
	if (proto == TCP) {
		tcp(g, sport, dport);
	} else {
		udp_header(g, sport, dport);
		put_random(g, any_length(g));
	}
}

static void to_us(struct framegen *g)
{
	const bool is_v6 = is_once_in(g, 2);

	g->is_south = is_once_in(g, 2);
	frame_to(g, any_client(g, is_v6), is_v6 ? "fd00:1::1" : "10.1.0.1", TCP);
	tcp(g, any_client_port(g), 179);
}

/* Protocols that are not balanced: IGMP, ESP, OSPF, SCTP, UDP-Lite, none. */
static void other_protocol(struct framegen *g)
{
	static const uint8_t protos[] = {2, 50, 89, 132, 136, 59, 0, 255};
	const bool is_v6 = is_once_in(g, 2);

	frame_to(g, any_client(g, is_v6), any_own(g, is_v6), protos[framegen_random(g, 8)]);
	put_random(g, any_length(g));
}

static void vlan(struct framegen *g)
{
	const bool is_v6 = is_once_in(g, 2);
	const struct end to = any_vip(g, is_v6, UDP);

	ethernet(g, 0x8100);
	put(g, "vlan.tag", 16, framegen_random(g, 5000));
	put(g, "vlan.type", 16, is_v6 ? 0x86dd : 0x0800);
	network(g, any_client(g, is_v6), to.ip, UDP);
	udp_header(g, any_client_port(g), to.port);
}

/* LLDP, LACP, PPPoE, MPLS, IEEE 802.3 lengths: not IP. */
static void not_ip(struct framegen *g)
{
	static const uint16_t types[] = {0x88cc, 0x8809, 0x8864, 0x8847, 46, 0};

	ethernet(g, types[framegen_random(g, 6)]);
	put_random(g, any_length(g));
}

static void broadcast(struct framegen *g)
{
	const bool is_v6 = is_once_in(g, 2);
	static const uint8_t macs[2][6] = {
		{255, 255, 255, 255, 255, 255}, {0x33, 0x33, 0, 0, 0, 1}};

	frame_to(g,
		is_v6                      ? "fe80::5"
			: is_once_in(g, 2) ? "0.0.0.0"
					   : "10.1.0.12",
		is_v6 ? "ff02::1" : "255.255.255.255", UDP);
	udp_header(g, 68, is_once_in(g, 2) ? 67 : 53);
	put_random(g, any_length(g));
	memcpy(g->bytes, macs[is_v6], 6);
}

static const struct {
	const char *name;
	void (*build)(struct framegen *g);
} kinds[] = {
	{"tcp4", tcp4},
	{"tcp6", tcp6},
	{"udp4", udp4},
	{"udp6", udp6},
	{"quic4", quic4},
	{"quic6", quic6},
	{"cache4", cache4},
	{"cache6", cache6},
	{"cache4", cache4}, /* often: they have much to tell apart */
	{"cache6", cache6},
	{"echo", echo},
	{"icmp-error4", icmp_error4},
	{"icmp-error6", icmp_error6},
	{"arp", arp},
	{"ndp", ndp},
	{"fragment", fragment},
	{"tunnel", tunnel},
	{"options", options_chain},
	{"extensions", extension_chain},
	{"from-server", from_server},
	{"to-us", to_us},
	{"other-protocol", other_protocol},
	{"vlan", vlan},
	{"not-ip", not_ip},
	{"broadcast", broadcast},
};

unsigned framegen_kinds(void)
{
	return RTE_DIM(kinds);
}

const char *framegen_name(unsigned kind)
{
	return kinds[kind].name;
}

void framegen_build(struct framegen *g, unsigned kind)
{
	begin(g);
	kinds[kind].build(g);
	end(g);
}

void framegen_build_chain(struct framegen *g, uint8_t type, unsigned n, unsigned n_bytes)
{
	begin(g);
	write_chain(g, type, n, n_bytes);
	end(g);
}
