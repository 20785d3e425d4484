/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcprst — see tcprst.h. IP options, extension headers and everything after the TCP header go: what is left is no
 * longer than what came, so there is always room.
 */
#include "net/tcprst.h"

#include "net/reply.h"

#include <rte_tcp.h>

/* The header of the reset; ports turned round. */
static struct rte_tcp_hdr answer_to(const struct rte_tcp_hdr *seg, uint32_t n_payload)
{
	struct rte_tcp_hdr rst = {.src_port = seg->dst_port,
		.dst_port = seg->src_port,
		.data_off = 5 << 4,
		.tcp_flags = RTE_TCP_RST_FLAG};

	if (seg->tcp_flags & RTE_TCP_ACK_FLAG) {
		rst.sent_seq = seg->recv_ack;
	} else {
		rst.tcp_flags |= RTE_TCP_ACK_FLAG;
		rst.recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(seg->sent_seq) + n_payload
			+ !!(seg->tcp_flags & RTE_TCP_SYN_FLAG)
			+ !!(seg->tcp_flags & RTE_TCP_FIN_FLAG));
	}
	return rst;
}

void tcprst_reply(struct worker *w, struct burst *b, unsigned i)
{
	const struct pkt *p = &b->p[i];
	const struct rte_tcp_hdr *seg =
		rte_pktmbuf_mtod_offset(b->m[i], const struct rte_tcp_hdr *, p->l4_off);
	struct rte_tcp_hdr rst = answer_to(seg, p->l4_len - (seg->data_off >> 4) * 4u);

	if (reply_tcp(w, b, i, &rst, sizeof(rst)))
		w->tally->resets_sent++;
}
