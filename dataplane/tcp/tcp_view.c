/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_view — what tcp.h says of connections and of the stack to those who look. */
#include "tcp/tcb.h"
#include "tcp/tcp_reass.h"

void tcp_info(const struct tcb *c, struct tcp_info *info, uint64_t now_us)
{
	*info = (struct tcp_info){.family = c->tuple.family,
		.state = c->state,
		.peer_port = c->tuple.sport,
		.local_port = c->tuple.dport,
		.srtt_us = c->srtt_us,
		.rto_us = c->rto_us,
		.cwnd = c->cwnd,
		.ssthresh = c->ssthresh,
		.snd_wnd = c->snd_wnd,
		.rcv_wnd = c->rcv_adv - c->rcv_nxt,
		.in_flight = tcb_flight(c),
		.queued = c->snd_bytes,
		.unread = c->rcv_bytes,
		.mss = c->mss,
		.n_retransmits = c->n_retransmits,
		.idle_us = 1000ull * ((uint32_t)(now_us / 1000) - c->rcvd_ms),
		.stuck_us = c->stuck_us == TCP_NEVER ? 0 : now_us - c->stuck_us,
		.progress = c->snd_una + c->rcv_nxt - c->rcv_bytes,
		.n_out_of_order = tcp_reass_n_bufs(c),
		.has_sack = c->flags & TCP_F_SACK,
		.has_timestamps = c->flags & TCP_F_TS};
	memcpy(info->peer, c->tuple.src, sizeof(info->peer));
	memcpy(info->local, c->tuple.dst, sizeof(info->local));
}

const char *tcp_state_name(uint8_t state)
{
	static const char *const names[TCP_N_STATES] = {"CLOSED", "SYN-SENT", "ESTABLISHED",
		"FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"};

	return state < TCP_N_STATES ? names[state] : "?";
}

struct tcb *tcp_find(const struct tcp *t, const struct pkt *p)
{
	struct tcp_tuple tuple;
	uint32_t ref;

	tcp_flow_tuple(&tuple, p);
	ref = tcp_flow_find(t->flow, &tuple);
	return TCP_FLOW_KIND(ref) == TCP_KIND_TCB ? &t->tcbs[TCP_FLOW_IDX(ref)] : NULL;
}

void tcp_walk(struct tcp *t, bool (*each)(void *ctx, struct tcb *c), void *ctx)
{
	for (uint32_t i = 0; i < t->p.n_conns; i++)
		if (tcb_is_used(&t->tcbs[i]) && t->tcbs[i].state != TCP_S_CLOSED
			&& !each(ctx, &t->tcbs[i]))
			return;
}

const struct tcp_stats *tcp_stats(const struct tcp *t)
{
	return &t->stats;
}

void tcp_usage(const struct tcp *t, struct tcp_usage *u)
{
	*u = (struct tcp_usage){.n_bufs = t->n_bufs,
		.n_rcv_bufs = t->n_rcv_bufs,
		.n_conns = t->p.n_conns - t->tcb_pool.n_free,
		.n_syns = t->p.n_syns - t->syn_pool.n_free,
		.n_time_waits = t->p.n_time_waits - t->wait_pool.n_free};
}

void tcp_limits(const struct tcp *t, struct tcp_usage *max)
{
	*max = (struct tcp_usage){.n_bufs = t->p.n_bufs,
		.n_conns = t->p.n_conns,
		.n_syns = t->p.n_syns,
		.n_time_waits = t->p.n_time_waits};
}
