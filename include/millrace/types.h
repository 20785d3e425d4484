/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * types — the small values that cross process borders: addresses and names with their limits, and
 * the enumerations of the configuration model. Shared by dataplane, control plane and outsiders.
 * C11, C++-safe, no DPDK. All functions are pure and may be called from any thread.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_NAME_MAX 64  /* bytes, NUL included: names of services, pools, backends, ports */
#define MR_TEXT_MAX 256 /* bytes, NUL included: messages and object keys */

/* An IPv4 or IPv6 address in network byte order; IPv4 uses the first four bytes, the rest is 0. */
struct mr_ip {
	uint8_t family; /* 4, 6; 0 = none */
	uint8_t bytes[16];
};

/* Forwarding modes. The text names are those of the configuration file. IPIP stands for an IP header in
 * front, whatever the two families are: IPv4 and IPv6 in IPv4 and IPv6 (RFC 2003, 2473, 4213). */
#define MR_MODES(X) \
	X(MR_MODE_FULLNAT, 1, "full-nat") \
	X(MR_MODE_DSR_L2, 2, "dsr-l2") \
	X(MR_MODE_IPIP, 3, "ipip") \
	X(MR_MODE_GUE, 4, "gue") \
	X(MR_MODE_DNAT, 5, "dnat") \
	X(MR_MODE_CACHE, 6, "cache") /* nothing is forwarded: the box answers from a cache */

/* Schedulers: Maglev, weighted and plain round robin, weighted and plain least connections, power of two
 * choices, source hash, rendezvous (highest random weight). */
#define MR_SCHEDS(X) \
	X(MR_SCHED_MAGLEV, 1, "maglev") \
	X(MR_SCHED_WRR, 2, "wrr") \
	X(MR_SCHED_RR, 3, "rr") \
	X(MR_SCHED_WLC, 4, "wlc") \
	X(MR_SCHED_LC, 5, "lc") \
	X(MR_SCHED_P2C, 6, "p2c") \
	X(MR_SCHED_SH, 7, "sh") \
	X(MR_SCHED_RENDEZVOUS, 8, "rendezvous")

/* How a full-NAT backend is told its client: not at all; by a TCP option; by a header of the PROXY protocol,
 * version 2, in front of the stream or of each datagram. */
#define MR_CLIENT_ADDRESSES(X) \
	X(MR_CLIENT_ADDRESS_NONE, 0, "none") \
	X(MR_CLIENT_ADDRESS_TOA, 1, "toa") \
	X(MR_CLIENT_ADDRESS_PROXY_V2, 2, "proxy-v2")

/* What a hashing scheduler hashes of a client's packet: addresses, ports and protocol; the client's
 * address; its address and port. */
#define MR_HASHES(X) \
	X(MR_HASH_FLOW, 0, "flow") \
	X(MR_HASH_SOURCE, 1, "source") \
	X(MR_HASH_SOURCE_PORT, 2, "source-port")

/* What a cache gives up for room. */
#define MR_EVICTIONS(X) \
	X(MR_EVICTION_FIFO, 1, "fifo") \
	X(MR_EVICTION_LRU, 2, "lru") \
	X(MR_EVICTION_LFU, 3, "lfu") \
	X(MR_EVICTION_S3FIFO, 4, "s3fifo") \
	X(MR_EVICTION_SIEVE, 5, "sieve")

/* What a service does with new flows of clients of a prefix. */
#define MR_ACL_ACTIONS(X) \
	X(MR_ACL_ALLOW, 1, "allow") \
	X(MR_ACL_DENY, 2, "deny")

/* What the dataplane does with a backend: UP takes new flows; DRAIN keeps its flows and takes no
 * new ones; DOWN is dead: no new flows, a SYN on a pinned flow is scheduled again, and the others are what the
 * service's enum mr_down says; EVICT is what comes after DRAIN: as DOWN, but flows that would be kept are
 * reset. */
#define MR_BACKEND_STATES(X) \
	X(MR_BACKEND_UP, 1, "up") \
	X(MR_BACKEND_DRAIN, 2, "drain") \
	X(MR_BACKEND_DOWN, 3, "down") \
	X(MR_BACKEND_EVICT, 4, "evict")

/* What becomes of TCP flows whose backend is DOWN or has left the model: they go on, for the checks may be wrong; the
 * next packet of the client goes to another backend; or is answered by a reset. */
#define MR_DOWNS(X) \
	X(MR_DOWN_KEEP, 0, "keep") \
	X(MR_DOWN_MOVE, 1, "move") \
	X(MR_DOWN_RESET, 2, "reset")

/* Transport protocols a service may have; the numbers are IP protocol numbers. */
#define MR_PROTOS(X) \
	X(MR_PROTO_TCP, 6, "tcp") \
	X(MR_PROTO_UDP, 17, "udp")

/* Connection tracking states, TCP and UDP; see dataplane/lb/connfsm.h for the transitions. */
#define MR_CONN_STATES(X) \
	X(MR_CONN_NONE, 0, "none") \
	X(MR_CONN_SYN, 1, "syn") \
	X(MR_CONN_SYN_ACK, 2, "syn-ack") \
	X(MR_CONN_ESTABLISHED, 3, "established") \
	X(MR_CONN_FIN, 4, "fin") \
	X(MR_CONN_CLOSED, 5, "closed") \
	X(MR_CONN_UDP, 6, "udp")

/* Neighbour states. */
#define MR_NEIGH_STATES(X) \
	X(MR_NEIGH_INCOMPLETE, 1, "incomplete") \
	X(MR_NEIGH_REACHABLE, 2, "reachable") \
	X(MR_NEIGH_STALE, 3, "stale") \
	X(MR_NEIGH_FAILED, 4, "failed")

/* Where workers meet packets: as a port gives them, before a port takes them, where they end. */
#define MR_POINTS(X) \
	X(MR_POINT_RX, 1, "rx") \
	X(MR_POINT_TX, 2, "tx") \
	X(MR_POINT_DROP, 3, "drop") \
	X(MR_POINT_TRACE, 4, "trace") /* all of them, with what was decided: mr_trace_row */

/* What classify makes of a packet, as TRACE says it. */
#define MR_TRACE_KINDS(X) \
	X(MR_TRACE_NONE, 0, "none") /* it ended before */ \
	X(MR_TRACE_SERVICE, 1, "service") \
	X(MR_TRACE_RETURN, 2, "return") \
	X(MR_TRACE_DNAT_RETURN, 3, "dnat-return") \
	X(MR_TRACE_ICMP_ERROR, 4, "icmp-error") \
	X(MR_TRACE_LOCAL, 5, "local") /* ARP, NDP, echo */ \
	X(MR_TRACE_KERNEL, 6, "kernel") \
	X(MR_TRACE_FRAGMENT, 7, "fragment")

/* Whether its flow has an entry. */
#define MR_TRACE_FLOWS(X) \
	X(MR_TRACE_FLOW_NONE, 0, "none") \
	X(MR_TRACE_FLOW_KNOWN, 1, "known") \
	X(MR_TRACE_FLOW_NEW, 2, "new") \
	X(MR_TRACE_FLOW_AGAIN, 3, "again") \
	X(MR_TRACE_FLOW_STATELESS, 4, "stateless")

/* What becomes of a packet, as EXPLAIN says it. */
#define MR_VERDICTS(X) \
	X(MR_VERDICT_FORWARDED, 1, "forwarded") \
	X(MR_VERDICT_HELD, 2, "held") \
	X(MR_VERDICT_DROPPED, 3, "dropped") \
	X(MR_VERDICT_KERNEL, 4, "kernel") \
	X(MR_VERDICT_ANSWER, 5, "answer") \
	X(MR_VERDICT_RESET, 6, "reset") \
	X(MR_VERDICT_COOKIE, 7, "cookie") /* EXPLAIN alone: a SYN that is answered with one */ \
	X(MR_VERDICT_SERVED, 8, "served") /* it ends here, at a cache */

/* Declares enum mr_T from list L, mr_T_name(value) → text or "?", and mr_T_find(text) → value or
 * -1. */
#define MR_ENUM_MEMBER(sym, value, text) sym = value,
#define MR_ENUM_CASE(sym, value, text) \
	case value: \
		return text;
#define MR_ENUM_MATCH(sym, value, text) \
	if (strcmp(s, text) == 0) \
		return value;
#define MR_ENUM(T, L) \
	enum mr_##T{L(MR_ENUM_MEMBER)}; \
	static inline const char *mr_##T##_name(unsigned v) \
	{ \
		switch (v) { \
			L(MR_ENUM_CASE) \
		} \
		return "?"; \
	} \
	static inline int mr_##T##_find(const char *s) \
	{ \
		L(MR_ENUM_MATCH) \
		return -1; \
	}

MR_ENUM(mode, MR_MODES)
MR_ENUM(sched, MR_SCHEDS)
MR_ENUM(hash, MR_HASHES)
MR_ENUM(eviction, MR_EVICTIONS)
MR_ENUM(acl_action, MR_ACL_ACTIONS)
MR_ENUM(client_address, MR_CLIENT_ADDRESSES)
MR_ENUM(backend_state, MR_BACKEND_STATES)
MR_ENUM(down, MR_DOWNS)
MR_ENUM(proto, MR_PROTOS)
MR_ENUM(conn_state, MR_CONN_STATES)
MR_ENUM(neigh_state, MR_NEIGH_STATES)
MR_ENUM(verdict, MR_VERDICTS)
MR_ENUM(point, MR_POINTS)
MR_ENUM(trace_kind, MR_TRACE_KINDS)
MR_ENUM(trace_flow, MR_TRACE_FLOWS)

/* Whether the scheduler chooses by hash: equal hashes give equal backends while none changes. */
static inline bool mr_sched_is_hashing(unsigned sched)
{
	return sched == MR_SCHED_MAGLEV || sched == MR_SCHED_SH || sched == MR_SCHED_RENDEZVOUS;
}

/* Whether packets go to the backend inside others: its address may be of another family than the VIP's. */
static inline bool mr_mode_is_tunnel(unsigned mode)
{
	return mode == MR_MODE_IPIP || mode == MR_MODE_GUE;
}

/* Whether the backend has the VIP and answers the client itself: ports are as the client sent them. */
static inline bool mr_mode_is_direct(unsigned mode)
{
	return mode == MR_MODE_DSR_L2 || mr_mode_is_tunnel(mode);
}

/* Length in bytes of an address of this family: 4, 16, or 0. */
static inline unsigned mr_ip_len(const struct mr_ip *ip)
{
	return ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0;
}

static inline bool mr_ip_equal(const struct mr_ip *a, const struct mr_ip *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, 16) == 0;
}

/* Reads "192.0.2.1" or "2001:db8::1". Returns 0, or -1 and leaves *ip alone. */
static inline int mr_ip_parse(struct mr_ip *ip, const char *text)
{
	struct mr_ip r;

	memset(&r, 0, sizeof(r));
	if (inet_pton(AF_INET, text, r.bytes) == 1)
		r.family = 4;
	else if (inet_pton(AF_INET6, text, r.bytes) == 1)
		r.family = 6;
	else
		return -1;
	*ip = r;
	return 0;
}

/* Writes the usual text form, or "-" for no address. Returns buf. size ≥ INET6_ADDRSTRLEN. */
static inline const char *mr_ip_text(const struct mr_ip *ip, char *buf, size_t size)
{
	const int af = ip->family == 6 ? AF_INET6 : AF_INET;

	if (mr_ip_len(ip) == 0 || inet_ntop(af, ip->bytes, buf, (socklen_t)size) == NULL)
		snprintf(buf, size, "-");
	return buf;
}

#ifdef __cplusplus
}
#endif
