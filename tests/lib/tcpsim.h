/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcpsim — two TCP stacks back to back in virtual time, with a wire between them that loses, repeats, delays and changes
 * frames as a seed says, and applications that send streams whose every byte is known.
 */
#include "tcp/tcp.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_CONNS_MAX 64u

enum sim_mode { SIM_ECHO, SIM_DISCARD, SIM_CHARGEN, SIM_DUPLEX, SIM_N_MODES };

struct sim_conf {
	uint64_t seed;
	uint32_t n_conns; /* opened by host 0, up to SIM_CONNS_MAX */
	uint32_t n_bytes; /* of a stream, at most */
	bool is_bulk;     /* all connections send n_bytes to host 1, and read nothing */
	/* of 10000 frames */
	uint32_t loss, dup, corrupt, reorder;
	uint32_t delay_us, jitter_us; /* one way; jitter_us more for those out of order */
	uint32_t hold_us;             /* a driver keeps a mbuf so long after it was given */
	uint32_t frame_us; /* a port sends a frame in so long, one after the other; 0: at once */
	uint32_t
		room; /* frames that it has room for, and then says that it has none; what comes all the same waits too, as many again */
	bool is_unheard; /* it does not say so */
	/* what the devices do with what is sent, as in struct iface */
	bool writes_csums, writes_ip_csums, takes_chains;
	uint16_t tso_mbufs;
	bool by_reference; /* what streams send is not copied, as far as that can be */
	bool is_v6, no_ts, no_sack, no_wscale; /* options taken out of SYNs on the way */
	enum tcp_cookies cookies;
	uint32_t rcv_max, snd_max, n_bufs;
	uint32_t mtu;
	uint32_t
		path_mtu; /* narrow_us after the start and later, a router drops what is longer, and says so; 0: none does */
	uint64_t narrow_us;
	uint32_t rto_min_ms;
	uint32_t keepalive_ms;
	enum tcp_cc cc;
};

struct sim_result {
	uint64_t end_us;    /* when the last connection had ended */
	uint64_t ref_bytes; /* that were not copied by who sent them */
	uint64_t n_full;    /* frames for which ports had no room */
	struct tcp_stats stats[2];
};

/* Runs until all connections have ended, checks all on the way; fails the cmocka test with the seed when something is not as
 * it should be. After eal_start(). */
void sim_run(const struct sim_conf *conf, struct sim_result *result);
