/* SPDX-License-Identifier: BSD-3-Clause */
/* txdevice — see txdevice.h. Checksums are those of rte_ip.h, not of the code under test. */
#include "txdevice.h"

#include "unit.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include <stdlib.h>

struct frame {
	uint8_t *ip;
	struct rte_tcp_hdr *th;
	uint32_t n_head; /* bytes in front of the payload */
	bool is_v4;
};

static uint8_t *whole(const struct rte_mbuf *m)
{
	uint8_t *bytes = malloc(m->pkt_len);
	uint32_t at = 0;
	uint16_t n = 0;

	assert_non_null(bytes);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, n++) {
		assert_true(s->data_len > 0 && at + s->data_len <= m->pkt_len);
		memcpy(bytes + at, rte_pktmbuf_mtod(s, const uint8_t *), s->data_len);
		at += s->data_len;
	}
	assert_int_equal(at, m->pkt_len);
	assert_int_equal(n, m->nb_segs);
	return bytes;
}

static struct frame parts(const struct rte_mbuf *m, uint8_t *bytes)
{
	struct frame f = {.is_v4 = !!(m->ol_flags & RTE_MBUF_F_TX_IPV4)};

	assert_true(f.is_v4 != !!(m->ol_flags & RTE_MBUF_F_TX_IPV6));
	f.n_head = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);
	assert_true(f.n_head <= m->data_len); /* headers are in one piece */
	f.ip = bytes + m->l2_len;
	f.th = (void *)(f.ip + m->l3_len);
	assert_int_equal(f.ip[0] >> 4, f.is_v4 ? 4 : 6);
	assert_int_equal(
		m->l3_len, f.is_v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr));
	assert_int_equal(m->l4_len, (f.th->data_off >> 4) * 4);
	assert_int_equal(f.th->cksum,
		f.is_v4 ? rte_ipv4_phdr_cksum((void *)f.ip, m->ol_flags)
			: rte_ipv6_phdr_cksum((void *)f.ip, m->ol_flags));
	return f;
}

static void set_lengths(const struct frame *f, uint32_t n_l4)
{
	struct rte_ipv4_hdr *v4 = (void *)f->ip;

	if (!f->is_v4) {
		((struct rte_ipv6_hdr *)(void *)f->ip)->payload_len =
			rte_cpu_to_be_16((uint16_t)n_l4);
		return;
	}
	v4->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*v4) + n_l4));
	v4->hdr_checksum = 0;
	v4->hdr_checksum = rte_ipv4_cksum(v4);
}

static void set_checksum(const struct frame *f)
{
	f->th->cksum = 0;
	f->th->cksum = f->is_v4 ? rte_ipv4_udptcp_cksum((void *)f->ip, f->th)
				: rte_ipv6_udptcp_cksum((void *)f->ip, f->th);
}

/* The IPv4 checksum: left to the device, or right for the frame as it is, which a kernel that cuts it wants. */
static void check_ip(const struct iface *i, const struct rte_mbuf *m, const struct frame *f)
{
	const struct rte_ipv4_hdr *v4 = (const void *)f->ip;

	if (!f->is_v4)
		return;
	assert_int_equal(rte_be_to_cpu_16(v4->total_length), m->pkt_len - m->l2_len);
	if (i->writes_ip_csums) {
		assert_true(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
		assert_int_equal(v4->hdr_checksum, 0);
	} else {
		assert_false(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
		assert_int_equal(rte_raw_cksum(v4, sizeof(*v4)), 0xffff);
	}
}

static void cut(const struct iface *i, const struct rte_mbuf *m, uint8_t *bytes,
	void (*on_frame)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx)
{
	const struct frame f = parts(m, bytes);
	const uint8_t flags = f.th->tcp_flags;
	const uint32_t seq = rte_be_to_cpu_32(f.th->sent_seq), n = m->pkt_len - f.n_head;
	uint8_t *copy = malloc(m->pkt_len);

	assert_non_null(copy);
	memcpy(copy, bytes, m->pkt_len);
	check_ip(i, m, &f);
	assert_true(m->tso_segsz > 0 && n > m->tso_segsz);
	for (uint32_t at = 0; at < n; at += m->tso_segsz) {
		const uint32_t len = RTE_MIN(n - at, (uint32_t)m->tso_segsz);

		memcpy(bytes + f.n_head, copy + f.n_head + at, len);
		f.th->sent_seq = rte_cpu_to_be_32(seq + at);
		f.th->tcp_flags =
			at + len < n ? flags & ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG) : flags;
		set_lengths(&f, m->l4_len + len);
		set_checksum(&f);
		on_frame(ctx, bytes, f.n_head + len);
	}
	free(copy);
}

void txdevice_send(const struct iface *i, const struct rte_mbuf *m,
	void (*on_frame)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx)
{
	uint8_t *bytes = whole(m);
	struct frame f;

	assert_true(m->nb_segs == 1 || i->takes_chains);
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		assert_true(m->nb_segs <= i->tso_mbufs);
		cut(i, m, bytes, on_frame, ctx);
	} else if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
		assert_true(m->nb_segs <= 2);
		assert_true(i->writes_csums);
		assert_true((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM);
		assert_false(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
		f = parts(m, bytes);
		set_checksum(&f);
		on_frame(ctx, bytes, m->pkt_len);
	} else {
		assert_int_equal(m->nb_segs, 1);
		on_frame(ctx, bytes, m->pkt_len);
	}
	free(bytes);
}
