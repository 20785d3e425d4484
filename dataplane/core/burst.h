/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * burst — the packets a worker has in hand and what is known about each. Stages of pipeline.c take
 * a burst, read and write these records and set verdicts; the mbuf is touched only where bytes are
 * needed. One burst lives in each worker and is reused, so the records stay in the L1 cache.
 */
#include "millrace/counters.h"

#include <rte_mbuf.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BURST_MAX 64

/* opt: before a loop over a burst that does so little for a packet that its own instructions are most of it */
#define BURST_UNROLL _Pragma("GCC unroll 4")

/* What happens next to a packet. A stage only looks at packets whose verdict is its own. */
enum pkt_verdict {
	PKT_UNSEEN,     /* nobody has decided yet */
	PKT_ARP,        /* ARP message */
	PKT_ICMP,       /* ICMP, ICMPv6 (NDP included) to one of our addresses or to ND multicast */
	PKT_ICMP_ERROR, /* ICMP error to a VIP or SNAT address, or to a DNAT client */
	PKT_FRAG,       /* piece of a datagram whose flow is not known yet (net/frag.h) */
	PKT_LB,         /* client to VIP; service_idx is set */
	PKT_SERVE,      /* client to a VIP that is served here; service_idx is set */
	PKT_RETURN,     /* backend to SNAT address; snat_slot is set */
	PKT_REVERT,     /* DNAT backend to anybody else; service_idx is set */
	PKT_TX,         /* Ethernet header complete: send on out_iface */
	PKT_REPLY,      /* the same, but turned into our own answer to its sender */
	PKT_HOLD,       /* next hop unresolved: to the manager; out_iface and note are set */
	PKT_PUNT,       /* to the kernel side of in_iface; punt_class is set */
	PKT_DROP,       /* free; drop is set */
	PKT_GONE,       /* no longer ours (handed over, consumed) */
};

#define BURST_DROP(sym, help) PKT_DROP_##sym,
enum pkt_drop { MR_DROPS(BURST_DROP) PKT_N_DROPS };

/* Classes of the exception path, each with its own rate limit (net/punt.h). */
/* PUNT_TOO_BIG: ICMP to an own address that a packet was too long; lb/pathmtu.c takes those about tunnels. */
enum punt_class { PUNT_NEIGH, PUNT_OWN, PUNT_OTHER, PUNT_TOO_BIG, PUNT_N_CLASSES };

#define PKT_F_FRAGMENT 0x01  /* any fragment; ports are 0 unless it is the first */
#define PKT_F_VLAN 0x02      /* one 802.1Q tag before the network header */
#define PKT_F_OPTIONS 0x04   /* IPv4 options or IPv6 extension headers present */
#define PKT_F_BROADCAST 0x08 /* link-layer broadcast or multicast */
#define PKT_F_LATER 0x10     /* fragment other than the first: no layer 4 header, tcp_flags are 0 */
#define PKT_F_PLACED 0x20 /* fragment whose flow is known: protocol and ports are its datagram's */

struct pkt {
	uint8_t verdict; /* enum pkt_verdict */
	uint8_t drop;    /* enum pkt_drop, with PKT_DROP */
	uint8_t punt_class;
	uint8_t flags; /* PKT_F_* */
	uint8_t tcp_flags;
	uint8_t in_iface;
	uint8_t out_iface;
	uint8_t l3_off; /* bytes from the start of the frame */
	uint16_t l4_off;
	uint16_t l4_len; /* bytes from the layer 4 header to the end of the IP packet */
	uint16_t snat_slot;
	rte_be16_t ether_type;
	rte_be16_t sport; /* ICMP: 0 */
	rte_be16_t dport;
	uint8_t proto;  /* of layer 4, after extension headers */
	uint8_t family; /* 4, 6; 0 = not IP */
	uint8_t spare[2];
	uint32_t service_idx; /* in the running lb_conf */
	uint32_t neigh_ref; /* with PKT_HOLD: neigh.h, or NEIGH_NONE and the note has the address */
	uint8_t src[16];    /* IPv4: first four bytes, the rest 0 */
	uint8_t dst[16];
};
_Static_assert(sizeof(struct pkt) == 64, "one cache line each");
_Static_assert(offsetof(struct pkt, sport) % 8 == 0
		&& offsetof(struct pkt, dport) == offsetof(struct pkt, sport) + 2
		&& offsetof(struct pkt, proto) == offsetof(struct pkt, sport) + 4
		&& offsetof(struct pkt, family) == offsetof(struct pkt, sport) + 5,
	"read as one word");
_Static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN, "the first byte of a word is its lowest");

struct burst {
	/* opt: first, so that an index is all of an offset */
	struct pkt p[BURST_MAX] __rte_cache_aligned;
	uint16_t n;
	uint8_t in_iface; /* logical port all packets of the burst came in by */
	uint8_t has_rss;  /* mbuf hash.rss is our Toeplitz over addresses and ports */
	struct rte_mbuf *m[BURST_MAX];
};

/* What a packet carries across a mailbox or to the manager, in the mbuf's private area. */
enum note_kind {
	NOTE_HANDOVER, /* worker to worker: run it through the pipeline, do not steer again */
	NOTE_FRAGMENT, /* the same for a fragment whose flow is known: proto, sport and dport */
	NOTE_PUNT,     /* worker to manager: give to the kernel side of iface */
	NOTE_NEIGH, /* worker to manager: ARP reply or neighbour advertisement: learn, then punt */
	NOTE_LEARN, /* worker to manager: copy of an answered request or solicitation: only learn */
	NOTE_HOLD,  /* worker to manager: send to next hop when resolved; Ethernet source is set */
	NOTE_TX,    /* manager to worker: frame is complete, send on iface */
	NOTE_PROBE, /* manager to worker: from the kernel side of iface to a VIP (lb/probe.h) */
};

struct pkt_note {
	uint8_t kind; /* enum note_kind */
	uint8_t iface;
	uint8_t punt_class;
	uint8_t family; /* of next_hop */
	uint32_t neigh_ref;
	uint8_t next_hop[16]; /* with NOTE_HOLD and neigh_ref == NEIGH_NONE */
	rte_be16_t sport, dport;
	uint8_t proto;
	struct rte_mbuf *next; /* of those that net/frag.c holds */
};

#define BURST_MBUF_PRIV 64 /* bytes of private area every pool must have */
_Static_assert(sizeof(struct pkt_note) <= BURST_MBUF_PRIV, "fits");

static inline struct pkt_note *pkt_note(struct rte_mbuf *m)
{
	return (struct pkt_note *)rte_mbuf_to_priv(m);
}

static inline const struct pkt_note *pkt_note_of(const struct rte_mbuf *m)
{
	return (const struct pkt_note *)(const void *)(m + 1); /* where rte_mbuf_to_priv() points */
}

/* From the low bits: sport and dport in network order, proto, family, spare. */
static inline uint64_t pkt_ports(const struct pkt *p)
{
	uint64_t word;

	memcpy(&word, (const uint8_t *)p + offsetof(struct pkt, sport), sizeof(word));
	return word;
}

/* Whether it is a fragment whose flow is not known. */
static inline bool pkt_is_piece(const struct pkt *p)
{
	return (p->flags & (PKT_F_FRAGMENT | PKT_F_PLACED)) == PKT_F_FRAGMENT;
}

static inline void pkt_drop(struct pkt *p, enum pkt_drop reason)
{
	p->verdict = PKT_DROP;
	p->drop = (uint8_t)reason;
}
