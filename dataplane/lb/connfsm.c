/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connfsm — see connfsm.h. The table below is RFC 9293's state diagram as seen from the middle, folded to
 * what a balancer needs: has the flow been answered, does it live, is it ending. With direct return the
 * client's ACK after its SYN stands for the handshake.
 */
#include "lb/connfsm.h"

#include <rte_branch_prediction.h>

enum kind { SYN, SYN_ACK, FIN, RST, OTHER, N_KINDS };

static enum kind kind_of(uint8_t flags)
{
	if (flags & 0x04)
		return RST;
	if (flags & 0x02)
		return flags & 0x10 ? SYN_ACK : SYN;
	return flags & 0x01 ? FIN : OTHER;
}

#define N_STATES 8
#define NO MR_CONN_NONE
#define SY MR_CONN_SYN
#define SA MR_CONN_SYN_ACK
#define ES MR_CONN_ESTABLISHED
#define FI MR_CONN_FIN
#define CL MR_CONN_CLOSED
#define UD MR_CONN_UDP

/* FIN: one side has closed; the other's FIN makes it CLOSED, see connfsm_tcp(). */
static const uint8_t table[N_STATES][2][N_KINDS] = {
	/*                   from the client          from the backend
	 *                   SYN SYN+ACK FIN RST other */
	[NO] = {{SY, SY, FI, CL, SY}, {SY, SA, FI, CL, ES}}, /* one segment of the client may be a
							      * stray: the second makes it ES */
	[SY] = {{SY, SY, FI, CL, ES}, {SY, SA, FI, CL, SY}}, /* client's ACK: direct return, or the
							      * SYN+ACK was seen by another worker */
	[SA] = {{SA, SA, FI, CL, ES}, {SA, SA, FI, CL, SA}},
	[ES] = {{ES, ES, FI, CL, ES}, {ES, ES, FI, CL, ES}},
	[FI] = {{FI, FI, FI, CL, FI}, {FI, FI, FI, CL, FI}},
	[CL] = {{CL, CL, CL, CL, CL}, {CL, CL, CL, CL, CL}}, /* a SYN is a new flow: reusable */
	[UD] = {{UD, UD, UD, UD, UD}, {UD, UD, UD, UD, UD}},
};

enum mr_conn_state connfsm_tcp(
	enum mr_conn_state s, enum connfsm_dir dir, uint8_t tcp_flags, uint8_t *fins)
{
	const enum kind kind = kind_of(tcp_flags);
	const uint8_t next = table[s & (N_STATES - 1)][dir][kind];

	if (unlikely(kind == FIN))
		*fins |= (uint8_t)(1u << dir);
	return next == FI && (*fins & 3) == 3 ? CL : (enum mr_conn_state)next;
}

bool connfsm_reusable(enum mr_conn_state s)
{
	return s == MR_CONN_FIN || s == MR_CONN_CLOSED;
}

void connfsm_timeouts(struct connfsm_timeouts *t, const struct mr_service *s)
{
	const uint32_t syn = s->syn_timeout_ms ? s->syn_timeout_ms : MR_SYN_TIMEOUT_MS;
	const uint32_t fin = s->fin_timeout_ms ? s->fin_timeout_ms : MR_FIN_TIMEOUT_MS;

	memset(t, 0, sizeof(*t));
	t->ms[NO] = syn;
	t->ms[SY] = syn;
	t->ms[SA] = syn;
	t->ms[ES] =
		s->established_timeout_ms ? s->established_timeout_ms : MR_ESTABLISHED_TIMEOUT_MS;
	t->ms[FI] = fin;
	t->ms[CL] = fin < CONNFSM_CLOSED_MS ? fin : CONNFSM_CLOSED_MS;
	t->ms[UD] = s->udp_timeout_ms ? s->udp_timeout_ms : MR_UDP_TIMEOUT_MS;
}
