/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syncookie — see syncookie.h.
 *
 *     31  which key     30…28  MSS, as an index     27…0  code over addresses, ports, the client's number, bits 31…28
 *
 * 28 bits: who sends a million guesses a second gets one right in four minutes, and gains a connection for each.
 * Window scaling, SACK and time stamps would need more bits than there are: such connections do without.
 */
#include "net/syncookie.h"

#include "base/siphash.h"
#include "net/reply.h"
#include "net/tcpopt.h"

#include <rte_tcp.h>

#define KEY_MS 60000u
#define CODE_BITS 28
#define CODE_MASK ((UINT32_C(1) << CODE_BITS) - 1)
#define MSS_OPTION 0x02040000u

/* Segment sizes worth telling apart: minimum, default of IPv6, tunnels and PPPoE, Ethernet, jumbo frames. */
static const uint16_t sizes[8] = {536, 1220, 1300, 1360, 1400, 1440, 1460, 8940};

static void next_key(struct syncookie *c)
{
	const uint64_t old[2] = {c->ratchet[0], c->ratchet[1]};
	uint64_t out[4];

	for (uint64_t i = 0; i < 4; i++)
		out[i] = siphash(old, &i, sizeof(i));
	c->turn ^= 1;
	memcpy(c->keys[c->turn], out, sizeof(c->keys[0]));
	memcpy(c->ratchet, out + 2, sizeof(c->ratchet));
}

void syncookie_init(struct syncookie *c, const uint64_t seed[2])
{
	memset(c, 0, sizeof(*c));
	memcpy(c->ratchet, seed, sizeof(c->ratchet));
	next_key(c);
	next_key(c);
}

void syncookie_tick(struct syncookie *c, uint32_t now_ms)
{
	if (likely(now_ms - c->since_ms < KEY_MS))
		return;
	c->since_ms = now_ms;
	next_key(c);
}

/* head: bits 31 to 28 of the cookie. */
static uint32_t code_of(const struct syncookie *c, const struct pkt *p, uint32_t iss, uint32_t head)
{
	struct {
		uint8_t src[16], dst[16];
		rte_be16_t sport, dport;
		uint32_t iss, head;
	} in = {.sport = p->sport, .dport = p->dport, .iss = iss, .head = head};

	memcpy(in.src, p->src, sizeof(in.src));
	memcpy(in.dst, p->dst, sizeof(in.dst));
	return (uint32_t)siphash(c->keys[head >> 3], &in, offsetof(__typeof__(in), head) + 4)
		& CODE_MASK;
}

static uint32_t make(const struct syncookie *c, const struct pkt *p, uint32_t iss, uint16_t mss)
{
	uint32_t index = 0, head;

	while (index < 7 && sizes[index + 1] <= mss)
		index++;
	head = (uint32_t)c->turn << 3 | index;
	return head << CODE_BITS | code_of(c, p, iss, head);
}

bool syncookie_check(
	const struct syncookie *c, const struct burst *b, unsigned i, uint32_t *iss, uint32_t *isn)
{
	const struct pkt *p = &b->p[i];
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(b->m[i], const struct rte_tcp_hdr *, p->l4_off);

	*iss = rte_be_to_cpu_32(tcp->sent_seq) - 1;
	*isn = rte_be_to_cpu_32(tcp->recv_ack) - 1;
	return code_of(c, p, *iss, *isn >> CODE_BITS) == (*isn & CODE_MASK);
}

uint16_t syncookie_mss(uint32_t isn)
{
	return sizes[isn >> CODE_BITS & 7];
}

/* The header of the answer, its MSS option behind it. */
struct answer {
	struct rte_tcp_hdr tcp;
	rte_be32_t mss;
};

void syncookie_reply(
	const struct syncookie *c, struct worker *w, struct burst *b, unsigned i, uint16_t max_mss)
{
	const struct pkt *p = &b->p[i];
	const struct rte_tcp_hdr *syn =
		rte_pktmbuf_mtod_offset(b->m[i], const struct rte_tcp_hdr *, p->l4_off);
	const uint32_t iss = rte_be_to_cpu_32(syn->sent_seq);
	const uint32_t isn = make(c, p, iss, tcpopt_mss(syn, p->family == 4 ? 536 : 1220));
	struct answer a = {.tcp = {.src_port = syn->dst_port,
				   .dst_port = syn->src_port,
				   .sent_seq = rte_cpu_to_be_32(isn),
				   .recv_ack = rte_cpu_to_be_32(iss + 1),
				   .data_off = sizeof(a) / 4 << 4,
				   .tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG},
		.mss = rte_cpu_to_be_32(MSS_OPTION | max_mss)};

	if (reply_tcp(w, b, i, &a, sizeof(a)))
		w->tally->syn_cookies_sent++;
}
