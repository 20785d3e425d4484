/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genframe — the frames of the generator: written from a template, so that a frame costs its copy and two short sums, and read again when
 * they come back as a balancer has changed them: addresses and ports replaced, or behind outer headers (IP in IP, GUE). What finds
 * them again is a mark: in UDP ten bytes at the beginning of the payload, in TCP the sequence number, with a fixed acknowledgement
 * number. Several threads have marks of their own each, and those whose answers carry no mark have clients of their own. Pure; nothing here
 * trusts a length.
 */
#include "genopt.h"

#include <rte_byteorder.h>

#include <netinet/in.h>
#include <string.h>

#define GENFRAME_PORTS 64512u /* source ports of a client, from GENFRAME_PORT_FIRST on */
#define GENFRAME_PORT_FIRST 1024u
#define GENFRAME_HEAD_MAX 74u
#define GENFRAME_FCS 4u
#define GENFRAME_MARK 10u
#define GENFRAME_GUE_PORT 6080u
#define GENFRAME_THREADS_MAX 16u

struct genframe {
	uint8_t head
		[GENFRAME_HEAD_MAX]; /* Ethernet, IP and TCP or UDP; lengths, the last four bytes of the source, ports and checksums 0 */
	uint8_t head_len, l4, family, proto;
	uint8_t client[16];               /* the first one */
	uint32_t first_client, n_clients; /* the first: its last four bytes */
	rte_be32_t magic;                 /* of this thread's marks */
	unsigned slice, n_slices; /* of the network's clients; n_slices is 1 where these are all */
	uint64_t
		reciprocal; /* 2^64 by the clients, rounded up: flows up to flow_max are divided by a multiplication */
	uint32_t flow_max;
	uint64_t ip_sum, l4_sum; /* of what is the same in all frames */
};

struct genframe_params {
	const struct genopt_net *client, *target;
	uint16_t target_port;
	uint8_t proto; /* IPPROTO_UDP or IPPROTO_TCP */
	bool is_unmarked; /* nothing finds these frames again: no acknowledgement number that is a mark */
	unsigned thread; /* whose marks they have, below GENFRAME_THREADS_MAX */
	unsigned slice,
		n_slices; /* of the clients that one part of so many, at most genframe_clients(); 0 of 0: all */
	struct rte_ether_addr src_mac, dst_mac;
};

void genframe_init(struct genframe *f, const struct genframe_params *p);

/* Addresses of a client network. */
uint32_t genframe_clients(const struct genopt_net *n);

/* Flows that the clients of it, or of its part, can have. */
uint64_t genframe_flows_max(const struct genframe *f);

/* Hot. Address (4 or 16 bytes) and port that a flow comes from. */
void genframe_source(const struct genframe *f, uint64_t flow, uint8_t *address, rte_be16_t *port);

/* Hot. What stands behind the header, which the caller has written at to + head_len: its bytes and its sum (csum_words()). */
struct genframe_text {
	uint32_t n_bytes;
	uint64_t sum;
	uint32_t number;   /* TCP */
	uint8_t tcp_flags; /* TCP */
};

/* Hot. Writes the headers of a frame of this flow, head_len bytes. Returns the frame's bytes, without padding or frame checksum. */
uint32_t genframe_write(
	const struct genframe *f, uint8_t *to, uint64_t flow, const struct genframe_text *t);

struct genframe_mark {
	rte_be32_t magic, number;
	rte_be16_t is_back;
} __attribute__((packed));
static_assert(sizeof(struct genframe_mark) == GENFRAME_MARK, "what stands in the payload");

/* Hot. Writes GENFRAME_MARK bytes and returns their sum. */
static inline uint64_t genframe_mark(const struct genframe *f, uint8_t *to, uint32_t number)
{
	const struct genframe_mark m = {.magic = f->magic, .number = rte_cpu_to_be_32(number)};

	memcpy(to, &m, sizeof(m));
	return (uint64_t)m.magic + m.number;
}

/* The innermost packet of a frame. */
struct genframe_seen {
	uint8_t family, proto; /* UDP or TCP */
	bool is_tunnelled;
	uint8_t *src, *dst; /* addresses */
	uint8_t *l4, *text;
	uint32_t l4_len, n_text; /* within the frame */
};

/* Hot. False: it is no whole UDP or TCP packet, or a fragment. */
bool genframe_read(uint8_t *frame, uint32_t len, struct genframe_seen *s);

/* Hot. False: no mark of this thread's. *is_back: it has been turned round. */
bool genframe_find_mark(
	const struct genframe *f, const struct genframe_seen *s, uint32_t *number, bool *is_back);

/* Hot. The thread whose mark this is; -1: it has none. */
int genframe_marker(const struct genframe_seen *s);

/* Hot. The part of the clients, of as many as f's is of, that this is sent to; -1: it goes to none of them. */
int genframe_slice_of(const struct genframe *f, const struct genframe_seen *s);

/* Hot. The frame, which has a mark and no outer headers, goes back where it came from. */
void genframe_turn(uint8_t *frame, const struct genframe_seen *s);

/* Hot. The flow that an answer to a client is of; UINT64_MAX: none. */
uint64_t genframe_flow_of(const struct genframe *f, const struct genframe_seen *s);
