/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpopt — see tcpopt.h. */
#include "net/tcpopt.h"

#include "base/csum.h"
#include "millrace/api_lb.h"

#define KIND_END 0
#define KIND_NOP 1
#define KIND_MSS 2
#define KIND_SACK 5
#define KIND_CLIENT4 254
#define KIND_CLIENT6 253
#define BLOCK_BYTES 8u

/* An option: opts[at..at + len), kind and length byte included. */
struct option {
	uint32_t at, len;
};

/* The first option of the kind in opts[0..n). */
static bool find(const uint8_t *opts, uint32_t n, uint8_t kind, struct option *o)
{
	uint32_t at = 0;

	while (at < n && opts[at] != KIND_END) {
		uint32_t len;

		if (opts[at] == KIND_NOP) {
			at++;
			continue;
		}
		if (n - at < 2)
			return false;
		len = opts[at + 1];
		if (len < 2 || len > n - at)
			return false;
		if (opts[at] == kind) {
			*o = (struct option){at, len};
			return true;
		}
		at += len;
	}
	return false;
}

static inline uint32_t options_bytes(const struct rte_tcp_hdr *tcp)
{
	return (tcp->data_off >> 4) * 4u - (uint32_t)sizeof(*tcp);
}

static inline uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void store32(uint8_t *p, uint32_t v)
{
	const rte_be32_t be = rte_cpu_to_be_32(v);

	memcpy(p, &be, sizeof(be));
}

static uint16_t limited(uint16_t mss, uint16_t max, uint16_t n_less)
{
	if (mss > max)
		mss = max;
	if (mss >= MR_MSS_MIN + n_less)
		return (uint16_t)(mss - n_less);
	return n_less == 0 || mss < MR_MSS_MIN ? mss : MR_MSS_MIN;
}

/* The sum of words does not know where the option begins: at an odd offset its halves are in two words, which is the
 * same as one with its bytes exchanged (RFC 1071 2(B)). */
static uint16_t delta_at(uint32_t at, uint16_t old, uint16_t new_)
{
	const rte_be16_t from = at & 1 ? rte_cpu_to_le_16(old) : rte_cpu_to_be_16(old);
	const rte_be16_t to = at & 1 ? rte_cpu_to_le_16(new_) : rte_cpu_to_be_16(new_);

	return csum_delta(&from, &to, 2);
}

uint16_t tcpopt_mss(const struct rte_tcp_hdr *tcp, uint16_t by_default)
{
	const uint8_t *opts = (const uint8_t *)(tcp + 1);
	struct option o;

	if (!find(opts, options_bytes(tcp), KIND_MSS, &o) || o.len != 4)
		return by_default;
	return (uint16_t)(opts[o.at + 2] << 8 | opts[o.at + 3]);
}

bool tcpopt_clamp_mss(struct rte_tcp_hdr *tcp, uint16_t max, uint16_t n_less)
{
	uint8_t *opts = (uint8_t *)(tcp + 1);
	uint16_t old, new_;
	struct option o;

	if (!find(opts, options_bytes(tcp), KIND_MSS, &o) || o.len != 4)
		return false;
	old = (uint16_t)(opts[o.at + 2] << 8 | opts[o.at + 3]);
	new_ = limited(old, max, n_less);
	if (new_ == old)
		return false;
	opts[o.at + 2] = (uint8_t)(new_ >> 8);
	opts[o.at + 3] = (uint8_t)new_;
	tcp->cksum = csum_apply(tcp->cksum, delta_at(o.at, old, new_));
	return true;
}

/* What is below the acknowledgment is told of only as a duplicate, and may be part of the n bytes. */
static uint32_t shift_edge(uint32_t edge, uint32_t ack, uint32_t first, uint16_t n)
{
	if ((int32_t)(edge - ack) < 0 && edge - first < n)
		return first;
	return edge - n;
}

void tcpopt_shift_sack(struct rte_tcp_hdr *tcp, uint32_t first, uint16_t n)
{
	const uint32_t n_opts = options_bytes(tcp), ack = rte_be_to_cpu_32(tcp->recv_ack);
	uint8_t *opts = (uint8_t *)(tcp + 1), old[TCPOPT_MAX_BYTES];
	struct option o;
	uint32_t to;

	if (!find(opts, n_opts, KIND_SACK, &o) || (o.len - 2) % BLOCK_BYTES != 0)
		return;
	memcpy(old, opts, n_opts);
	to = o.at + 2;
	for (uint32_t at = to; at < o.at + o.len; at += BLOCK_BYTES) {
		const uint32_t left = shift_edge(load32(opts + at), ack, first, n);
		const uint32_t right = shift_edge(load32(opts + at + 4), ack, first, n);

		if (left == right)
			continue;
		store32(opts + to, left);
		store32(opts + to + 4, right);
		to += BLOCK_BYTES;
	}
	opts[o.at + 1] = (uint8_t)(to - o.at);
	if (to == o.at + 2) /* no block is left: no option */
		to = o.at;
	memset(opts + to, KIND_NOP, o.at + o.len - to);
	tcp->cksum = csum_apply(tcp->cksum, csum_delta(old, opts, n_opts));
}

void tcpopt_put_client(uint8_t *to, const struct pkt *p)
{
	const bool is_v6 = p->family == 6;

	to[0] = is_v6 ? KIND_CLIENT6 : KIND_CLIENT4;
	to[1] = is_v6 ? TCPOPT_CLIENT6_BYTES : TCPOPT_CLIENT4_BYTES;
	memcpy(to + 2, &p->sport, 2);
	memcpy(to + 4, p->src, is_v6 ? 16 : 4);
}
