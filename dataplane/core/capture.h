/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * capture — copies of packets that an operator wants to see: one worker's half of a capture. The worker copies
 * what the filter lets through into a ring of fixed places and never waits: where there is none, the packet is
 * counted as missed. The manager reads the ring.
 *
 * With MR_POINT_TRACE, places hold records of what became of packets instead of their bytes. A packet is chosen as it
 * comes (capture_trace_begin()), as it is another one when it leaves; stages tell what struct pkt does not.
 */
#include "core/burst.h"
#include "core/pktfilter.h"
#include "millrace/types.h"

struct capture;

struct capture_params {
	uint8_t points;   /* sum of 1 << enum mr_point */
	uint32_t ifaces;  /* sum of 1 << logical port */
	uint16_t snaplen; /* bytes of a packet that are copied */
	uint32_t n_slots; /* a power of two */
	struct pktfilter filter;
};

/* What all packets of a call have in common. */
struct capture_at {
	uint8_t point, iface,
		drop; /* enum mr_point, logical port, enum pkt_drop with MR_POINT_DROP */
};

struct capture_slot {
	uint64_t tsc; /* rte_rdtsc() of the burst */
	uint32_t len; /* of the packet */
	uint16_t n;   /* of them are here */
	struct capture_at at;
	uint8_t bytes[];
};

/* What became of a packet; in capture_slot.bytes with MR_POINT_TRACE. Names are for who reads. */
struct capture_trace {
	struct pkt p;         /* as classify left it */
	uint32_t service_idx; /* VIP_NONE: none */
	uint32_t backend_idx; /* with flow */
	uint8_t kind;         /* enum mr_trace_kind */
	uint8_t flow;         /* enum mr_trace_flow */
	uint8_t mode;         /* enum mr_mode, with flow */
	uint8_t verdict;      /* enum mr_verdict */
	uint8_t out_iface;
	bool is_handed_over;
	bool is_served; /* it ended here, at a cache, without an answer in its place */
	uint32_t len;   /* as it came */
};

/* Cold. Context: manager. The worker gets it by worker_set_capture(). 0 or -ENOMEM. */
int capture_create(struct capture **out, const struct capture_params *p);
void capture_destroy(struct capture **c); /* NULL-safe; after the worker has let go of it */

/* The oldest packet, NULL: there is none; it stays until capture_pop(). Context: manager. */
const struct capture_slot *capture_peek(const struct capture *c);
void capture_pop(struct capture *c);

/* Packets so far. Context: manager (relaxed). */
uint64_t capture_captured(const struct capture *c);
uint64_t capture_missed(const struct capture *c);

/* Hot. Context: the worker. The packets are only read. */
void capture_burst(
	struct capture *c, struct rte_mbuf *const *m, uint16_t n, const struct capture_at *at);
/* Those of the burst whose verdict is PKT_DROP. */
void capture_drops(struct capture *c, const struct burst *b);

/* Hot. Context: the worker; each does nothing when the capture is no trace. A burst is traced from begin to end: after
 * it has been parsed, as often as it has been classified, before what it became is done. */
void capture_trace_begin(struct capture *c, const struct burst *b);
void capture_trace_classified(struct capture *c, const struct burst *b);
void capture_trace_end(struct capture *c, const struct burst *b, bool is_handed_over);
/* Packet i, which is PKT_GONE, was for the box itself: a cache. */
void capture_trace_served(struct capture *c, unsigned i);
/* Packet i begins a flow. */
void capture_trace_flow(struct capture *c, unsigned i, enum mr_trace_flow flow);
/* Packet i goes to, or comes from, a backend; without an entry if !has_entry. */
void capture_trace_backend(
	struct capture *c, unsigned i, uint32_t backend_idx, enum mr_mode mode, bool has_entry);
