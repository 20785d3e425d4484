/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * world — a dataplane with flows in it, for bench_path.c: tests/lib/harness with 16 services of ten backends
 * each, and streams of packets of its flows. One per process.
 *
 *     clients 172.16.0.0/12 ── gateway ── north [ worker ] south ── backends 10.2.0.x
 *             2001:db8::/32                                        fd02::x
 */
#include "harness.h"
#include "shim.h"

/* What a stream's packets are. */
enum world_mode {
	WORLD_FULLNAT,
	WORLD_DSR,
	WORLD_IPIP,
	WORLD_GUE,
	WORLD_DNAT,
	WORLD_PROXY,
	WORLD_SHAPED
};
enum world_way { WORLD_OUT, WORLD_BACK }; /* client → backend, backend → client */

/* Addresses and ports of one packet, as they stand in it. */
struct world_flow4 {
	uint32_t src, dst;
	rte_be16_t sport, dport;
	uint16_t ip_csum;
	uint16_t zero;
};

struct world_flow6 {
	uint8_t src[16], dst[16];
	rte_be16_t sport, dport;
	uint32_t zero;
};

/* Packets in the order they are sent, going round. */
struct world_stream {
	unsigned family;
	unsigned worker;  /* that owns the flows, as the device says by its hash */
	unsigned in, out; /* logical ports */
	struct shim_frame frame;
	struct world_flow4 *f4;
	struct world_flow6 *f6;
	uint32_t n, at;
};

/* is_shaped: of bench_shape, for streams of WORLD_SHAPED, and of nothing else. NULL when it cannot be had, as when the
 * other one is there. */
struct harness *world_get(bool is_shaped);

/* One of several workers, each with a queue of its own on both ports, and room for n_conns connections. In place of world_get(). */
struct harness *world_of_workers(unsigned n_workers, uint32_t n_conns);

/* Ends all flows: lets their time pass. */
void world_clear(struct harness *h);

/* Lets ms pass, and the worker expire what is due. */
void world_pass(struct harness *h, uint32_t ms);

/* n client packets of the mode's service, each of another flow, in random order; none is known to the
 * dataplane yet. Later packets carry tcp_flags. Workers have other flows each: n * (worker + 1) are WORLD_FLOWS_MAX at most. */
#define WORLD_FLOWS_MAX (8u << 20)
void world_stream_init(struct world_stream *s, unsigned family, enum world_mode mode, uint32_t n,
	uint8_t tcp_flags, unsigned worker);
void world_stream_fini(struct world_stream *s);

/* Opens the flows of an OUT stream and makes them established; fills *back with the packets that their
 * backends answer with, unless it is NULL. False when a packet went astray. */
bool world_open(struct harness *h, struct world_stream *out, struct world_stream *back);

/* Writes the next packet of the stream into the buffer, with the device's hash. */
void world_emit(struct world_stream *s, struct rte_mbuf *m);
