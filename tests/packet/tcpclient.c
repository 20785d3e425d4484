/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpclient — see tcpclient.h. */
#include "tcpclient.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#define FIN RTE_TCP_FIN_FLAG
#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG

static void send_segment(struct harness *h, struct tcpclient *c, uint8_t flags, const char *text)
{
	const uint16_t n = (uint16_t)strlen(text);
	uint8_t frame[512] = {2, 0, 0, 0, 0, 1, 2, 0xaa, 0, 0, 0, 0x10}, *ip = frame + 14, *l4;
	struct rte_tcp_hdr tcp = {.src_port = rte_cpu_to_be_16(c->sport),
		.dst_port = rte_cpu_to_be_16(c->dport),
		.sent_seq = rte_cpu_to_be_32(c->snd_nxt),
		.recv_ack = flags & ACK ? rte_cpu_to_be_32(c->rcv_nxt) : 0,
		.data_off = 5 << 4,
		.tcp_flags = flags,
		.rx_win = RTE_BE16(65535)};
	struct rte_ipv4_hdr v4 = {.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + 20 + n)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP};
	struct rte_ipv6_hdr v6 = {.vtc_flow = rte_cpu_to_be_32(6u << 28),
		.payload_len = rte_cpu_to_be_16((uint16_t)(20 + n)),
		.proto = IPPROTO_TCP,
		.hop_limits = 64};

	frame[12] = c->ip.family == 4 ? 0x08 : 0x86;
	frame[13] = c->ip.family == 4 ? 0x00 : 0xdd;
	l4 = ip + (c->ip.family == 4 ? 20 : 40);
	memcpy(l4, &tcp, 20);
	memcpy(l4 + 20, text, n);
	memcpy(&v4.src_addr, c->ip.bytes, 4);
	memcpy(&v4.dst_addr, c->vip.bytes, 4);
	memcpy(v6.src_addr, c->ip.bytes, 16);
	memcpy(v6.dst_addr, c->vip.bytes, 16);
	v4.hdr_checksum = rte_ipv4_cksum(&v4);
	if (c->ip.family == 4)
		memcpy(ip, &v4, 20);
	else
		memcpy(ip, &v6, 40);
	tcp.cksum =
		c->ip.family == 4 ? rte_ipv4_udptcp_cksum(&v4, l4) : rte_ipv6_udptcp_cksum(&v6, l4);
	memcpy(l4 + 16, &tcp.cksum, 2);
	c->snd_nxt += n + (flags & SYN ? 1u : 0) + (flags & FIN ? 1u : 0);
	harness_receive(h, 0, 0, harness_mbuf(h, frame, (unsigned)(l4 + 20 + n - frame)));
}

void tcpclient_take(struct harness *h, struct tcpclient *c)
{
	struct rte_mbuf *m;

	while ((m = harness_sent(h, 0)) != NULL) {
		const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *) + 14;
		const bool is_v4 = ip[0] >> 4 == 4;
		const uint8_t *l4 = ip + (is_v4 ? 20 : 40);
		const unsigned ip_len =
			is_v4 ? (unsigned)ip[2] << 8 | ip[3] : 40u + ((unsigned)ip[4] << 8 | ip[5]);
		struct rte_tcp_hdr tcp;
		unsigned n;

		memcpy(&tcp, l4, sizeof(tcp));
		n = ip_len - (unsigned)(l4 - ip) - (tcp.data_off >> 4) * 4u;
		if (tcp.dst_port == rte_cpu_to_be_16(c->sport)) {
			c->flags |= tcp.tcp_flags;
			c->n_bytes += n;
			c->rcv_nxt = rte_be_to_cpu_32(tcp.sent_seq) + n
				+ (tcp.tcp_flags & (SYN | FIN) ? 1u : 0);
		}
		rte_pktmbuf_free(m);
	}
}

void tcpclient_talk(struct harness *h, struct tcpclient *c, uint8_t flags, const char *text)
{
	c->flags = 0;
	c->n_bytes = 0;
	send_segment(h, c, flags, text);
	harness_settle(h);
	tcpclient_take(h, c);
}
