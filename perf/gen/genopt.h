/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genopt — what millrace-bench is asked to do, from argv. One table in genopt.c declares each option with its range and help. Main
 * thread, before EAL; pure.
 */
#include "genpace.h"

#include <rte_ether.h>

#include <stddef.h>
#include <stdio.h>

#define GENOPT_DEVICE_MAX 256
#define GENOPT_OWN_MAX 16
#define GENOPT_WATCH_MAX 64
#define GENOPT_CPUS_MAX 16
#define GENOPT_VALUE_MAX \
	1300u /* an answer is one datagram of at most 1,400 bytes, and a request one frame */
#define GENOPT_KEYS_MAX 100000000u

enum genopt_work { GENOPT_FLOOD, GENOPT_CACHE_UDP, GENOPT_CACHE_TCP, GENOPT_WORKS };

enum genopt_proto { GENOPT_UDP, GENOPT_TCP };

enum genopt_full { GENOPT_FULL_AUTO, GENOPT_FULL_LOSE, GENOPT_FULL_WAIT };

enum genopt_beside { GENOPT_BESIDE_NOTHING, GENOPT_BESIDE_SYN, GENOPT_BESIDE_GARBAGE };

struct genopt_net {
	uint8_t family; /* 4 or 6; 0: none */
	uint8_t len;
	uint8_t ip[16];
};

struct genopt {
	enum genopt_work work;
	char device[GENOPT_DEVICE_MAX], rx_device[GENOPT_DEVICE_MAX]; /* rx: "" is the same */
	struct genopt_net target, next_hop;                           /* len: of a whole address */
	uint32_t target_port;
	bool has_target_mac;
	struct rte_ether_addr target_mac;
	struct genopt_net client, own[GENOPT_OWN_MAX];
	unsigned n_own;

	bool is_search;
	double rate, rate_max, rate_min; /* frames a second */
	double seconds, warm_seconds, trial_seconds, width_pct, steady_seconds;
	double deadline_ms; /* 0: none */
	uint32_t n_repeats, n_votes, n_void_max, late_us, wait_seconds;
	char watch[256]; /* a process id, or a file that has one; "": nobody */
	uint16_t watch_cpus[GENOPT_WATCH_MAX];
	unsigned n_watch_cpus;
	enum genopt_full full;

	struct genpace_sizes sizes;
	char sizes_text[16];
	enum genopt_proto proto;
	uint32_t
		n_flows; /* flood: of those that are known; cache: sockets, over UDP a power of two */
	uint32_t depth; /* cache-tcp: requests at once on a connection */
	bool is_once;   /* cache-tcp: a connection for each request */
	bool takes_bounds; /* of a search: what the generator can send is a result, where the target passes it */
	double skew, new_pct;
	bool is_returned;          /* what comes to a backend is sent back */
	enum genopt_beside beside; /* sent too, and not measured */
	double beside_rate;

	uint32_t n_keys, value_min, value_max;
	double set_pct, shift_seconds;
	bool does_load;
	double load_rate;

	uint32_t seed;
	char json_path[256]; /* "": none */
	uint16_t cpus[GENOPT_CPUS_MAX];
	unsigned n_cpus; /* 0: one thread, anywhere; else one on each */
	bool is_fifo;
	bool is_huge;
	uint32_t memory_mb, n_rxd, n_txd, burst;
	uint32_t n_queues, n_rx_queues; /* of each port: to send, to receive */
	char *const *eal_args;          /* after "--" */
	unsigned n_eal_args;
};

#define GENOPT_DONE 1 /* --help or --version was printed */

/* 0, GENOPT_DONE, or -EINVAL with a sentence in err: which option, what is wrong, how it should be. */
int genopt_parse(struct genopt *o, int argc, char *const *argv, char *err, size_t err_size);

void genopt_help(FILE *out);

/* How many send and receive. */
static inline unsigned genopt_threads(const struct genopt *o)
{
	return o->n_cpus > 1 ? o->n_cpus : 1;
}

const char *genopt_work_name(enum genopt_work work);

/* "10.1.0.80", "fd00::1". Returns buf. */
const char *genopt_address(const struct genopt_net *n, char *buf, size_t size);
