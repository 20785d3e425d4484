/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd — how a packet that has its connection gets to the other side. One mode, or family of modes, per file
 * (fwd_l2.c, fwd_tunnel.c, fwd_nat.c, fwd_edit.c, fwd_cookie.c) behind struct fwd_ops; called with all packets of one mode of a burst,
 * and once per new flow. Context: worker.
 */
#include "core/worker.h"
#include "lb/conn.h"
#include "lb/lbconf.h"

/* Packets of one mode and direction. */
struct fwd_batch {
	unsigned n;
	uint8_t sel[BURST_MAX];       /* index in the burst */
	struct conn *conn[BURST_MAX]; /* NULL: forwarded without state (direct modes) */
	const struct lb_backend *backend[BURST_MAX]; /* record in the running generation */
};

struct icmpquote; /* net/icmpquote.h */

struct fwd_env {
	struct worker *w;
	const struct lb_conf *conf;
	const struct addr_conf *addrs;
	struct burst *b;
};

/* send and ret: each packet of the batch becomes PKT_TX, PKT_REPLY, PKT_HOLD or PKT_DROP. */
struct fwd_ops {
	/* A new flow: addresses, ports and SNAT of the entry are set; prepares what send and ret need.
	 * NULL: nothing to prepare. */
	void (*open)(struct conn *e, const struct lb_conf *conf);
	void (*send)(
		const struct fwd_env *env, const struct fwd_batch *batch); /* client → backend */
	void (*ret)(const struct fwd_env *env, const struct fwd_batch *batch); /* backend → client;
		  NULL: the backend answers the client itself */
	/* An ICMP error about a packet of the flow that *q quotes, like send (from the client's side to the
	 * backend) and ret; one at a time. NULL: send does, and there is nothing to return. */
	void (*send_error)(const struct fwd_env *env, unsigned i, const struct conn *e,
		const struct lb_backend *be, const struct icmpquote *q);
	void (*ret_error)(
		const struct fwd_env *env, unsigned i, struct conn *e, const struct icmpquote *q);
};

#define FWD_N_MODES 6 /* enum mr_mode of what is forwarded is below this */

/* Ways to forward that are not modes of their own in a configuration: flows of services that want more of a mode take
 * another index of fwd_modes[], so that the mode itself has no branch for them. */
enum fwd_own {
	FWD_FULLNAT_EDIT = FWD_N_MODES, /* fwd_edit.h */
	FWD_DNAT_EDIT,
	FWD_FULLNAT_COOKIE, /* fwd_cookie.h */
	FWD_DNAT_COOKIE,
	FWD_N,
};

/* Operations by enum mr_mode and enum fwd_own. */
extern const struct fwd_ops *const fwd_modes[FWD_N];

/* The index for new flows of a service. */
static inline uint8_t fwd_of(const struct mr_service *s)
{
	if (s->mss == 0 && s->client_address == MR_CLIENT_ADDRESS_NONE)
		return s->mode;
	return s->mode == MR_MODE_FULLNAT ? FWD_FULLNAT_EDIT : FWD_DNAT_EDIT;
}

/* The index for flows that begin with a SYN cookie. */
static inline uint8_t fwd_of_cookie(const struct mr_service *s)
{
	return s->mode == MR_MODE_FULLNAT ? FWD_FULLNAT_COOKIE : FWD_DNAT_COOKIE;
}

/* Whether an entry's mode is full NAT, DNAT, of whatever kind. */
static inline bool fwd_is_fullnat(uint8_t mode)
{
	return mode == MR_MODE_FULLNAT || mode == FWD_FULLNAT_EDIT || mode == FWD_FULLNAT_COOKIE;
}

static inline bool fwd_is_dnat(uint8_t mode)
{
	return mode == MR_MODE_DNAT || mode == FWD_DNAT_EDIT || mode == FWD_DNAT_COOKIE;
}

/* An entry's mode as a configuration names it. */
static inline enum mr_mode fwd_mode_of(uint8_t mode)
{
	return fwd_is_fullnat(mode) ? MR_MODE_FULLNAT
		: fwd_is_dnat(mode) ? MR_MODE_DNAT
				    : (enum mr_mode)mode;
}

/* The packet waits for the next hop's link-layer address: fwd_output() below, when there is none. */
void fwd_hold(const struct fwd_env *env, struct pkt *p, uint32_t ref, const uint8_t next_hop[16]);

/* For modes: completes packet *p of the burst, whose next hop is known by reference; p->family is that of the next hop. The
 * frame's Ethernet header is at eth; the packet goes out of iface, or to the hold queue of ref, or of next_hop
 * where ref is NEIGH_NONE (NULL where it never is). */
static __rte_always_inline void fwd_output(const struct fwd_env *env, struct pkt *p,
	struct rte_ether_hdr *eth, uint8_t iface, uint32_t ref, const uint8_t next_hop[16])
{
	p->out_iface = iface;
	eth->src_addr = env->w->ifaces->of[iface].mac;
	if (likely(neigh_fill(env->w->neigh, ref, &eth->dst_addr)))
		p->verdict = PKT_TX;
	else
		fwd_hold(env, p, ref, next_hop);
}
