/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_wire — see tcp_wire.h. */
#include "tcp/tcp_wire.h"

#define KIND_END 0
#define KIND_NOP 1
#define KIND_MSS 2
#define KIND_WSCALE 3
#define KIND_SACK_OK 4
#define KIND_SACK 5
#define KIND_TS 8
#define SACK_BYTES 8u
_Static_assert(
	TCP_WIRE_TS_HEAD == ((uint32_t)KIND_NOP << 24 | KIND_NOP << 16 | KIND_TS << 8 | 10), "");

static uint32_t load32(const uint8_t *p)
{
	rte_be32_t be;

	memcpy(&be, p, sizeof(be));
	return rte_be_to_cpu_32(be);
}

static uint8_t *store32(uint8_t *p, uint32_t v)
{
	const rte_be32_t be = rte_cpu_to_be_32(v);

	memcpy(p, &be, sizeof(be));
	return p + sizeof(be);
}

static void read_sacks(struct tcp_opts *o, const uint8_t *p, uint32_t n)
{
	for (o->n_sacks = 0; n >= SACK_BYTES && o->n_sacks < TCP_WIRE_SACKS_MAX; n -= SACK_BYTES) {
		o->sacks[o->n_sacks++] = (struct tcp_sack){load32(p), load32(p + 4)};
		p += SACK_BYTES;
	}
}

/* An option of len ≥ 2 bytes, kind and length included. */
static void read_option(struct tcp_opts *o, const uint8_t *p, uint32_t len, bool is_syn)
{
	switch (p[0]) {
	case KIND_MSS:
		if (is_syn && len == 4) {
			o->has_mss = true;
			o->mss = (uint16_t)(p[2] << 8 | p[3]);
		}
		break;
	case KIND_WSCALE:
		if (is_syn && len == 3) {
			o->has_wscale = true;
			o->wscale = p[2];
		}
		break;
	case KIND_SACK_OK:
		o->sack_ok |= is_syn && len == 2;
		break;
	case KIND_SACK:
		if ((len - 2) % SACK_BYTES == 0)
			read_sacks(o, p + 2, len - 2);
		break;
	case KIND_TS:
		if (len == 10) {
			o->has_ts = true;
			o->tsval = load32(p + 2);
			o->tsecr = load32(p + 6);
		}
		break;
	default:
		break;
	}
}

void tcp_wire_parse_slow(struct tcp_opts *o, const struct rte_tcp_hdr *h)
{
	const uint8_t *p = (const uint8_t *)(h + 1);
	uint32_t n = (h->data_off >> 4) * 4u - (uint32_t)sizeof(*h), len;
	const bool is_syn = h->tcp_flags & RTE_TCP_SYN_FLAG;

	tcp_wire_init(o);
	for (; n > 0 && p[0] != KIND_END; p += len, n -= len) {
		if (p[0] == KIND_NOP) {
			len = 1;
			continue;
		}
		if (n < 2 || p[1] < 2 || p[1] > n)
			return;
		len = p[1];
		read_option(o, p, len, is_syn);
	}
}

uint32_t tcp_wire_build(uint8_t *to, const struct tcp_opts *o)
{
	uint8_t *p = to;
	uint32_t n_sacks;

	if (o->has_mss)
		p = store32(p, (uint32_t)KIND_MSS << 24 | 4u << 16 | o->mss);
	if (o->has_wscale)
		p = store32(p, (uint32_t)KIND_NOP << 24 | KIND_WSCALE << 16 | 3u << 8 | o->wscale);
	if (o->sack_ok)
		p = store32(p, (uint32_t)KIND_NOP << 24 | KIND_NOP << 16 | KIND_SACK_OK << 8 | 2);
	if (o->has_ts) {
		p = store32(p, TCP_WIRE_TS_HEAD);
		p = store32(p, o->tsval);
		p = store32(p, o->tsecr);
	}
	if (o->n_sacks == 0)
		return (uint32_t)(p - to);
	n_sacks = (TCP_WIRE_OPTIONS_MAX - (uint32_t)(p - to)) / SACK_BYTES;
	if (n_sacks * SACK_BYTES + 4 > TCP_WIRE_OPTIONS_MAX - (uint32_t)(p - to))
		n_sacks--;
	if (n_sacks > o->n_sacks)
		n_sacks = o->n_sacks;
	if (n_sacks > 0)
		p = store32(p,
			(uint32_t)KIND_NOP << 24 | KIND_NOP << 16 | KIND_SACK << 8
				| (2 + n_sacks * SACK_BYTES));
	for (uint32_t i = 0; i < n_sacks; i++) {
		p = store32(p, o->sacks[i].left);
		p = store32(p, o->sacks[i].right);
	}
	return (uint32_t)(p - to);
}
