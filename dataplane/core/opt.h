/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * opt — everything that is fixed at start, from argv and nowhere else. One table in opt.c declares each
 * option with its range and help. Context: main thread, before EAL; pure but for what it says.
 */
#include "core/iface.h"
#include "core/worker.h"

#include <sched.h>
#include <stdio.h>

#define OPT_PORTS_MAX (IFACE_MAX * IFACE_NICS_MAX)
#define OPT_DEVICE_MAX 256

struct opt_port {
	char name[MR_NAME_MAX];      /* logical port; several entries may share it */
	char device[OPT_DEVICE_MAX]; /* PCI address or virtual device with its arguments */
};

struct opt {
	struct opt_port ports[OPT_PORTS_MAX];
	unsigned n_ports;
	uint32_t n_workers; /* 0 until opt_resolve() */
	uint16_t cpus[WORKER_MAX + 1];
	unsigned n_cpus;                                        /* 0 = not given */
	uint32_t n_rx_queues, n_rxd, n_txd, n_mbufs, mtu_bytes; /* 0 = choose */
	uint32_t n_conns4, n_conns6;                            /* over all workers */
	uint32_t n_services, n_backends, n_snats, n_neighs;     /* slots */
	uint32_t idle_us;                                       /* 0 = poll */
	char socket_path[108];
	char group[64];         /* "" = none */
	char kernel_prefix[16]; /* "" = no interfaces on the kernel side */
	bool is_huge;
	uint32_t memory_mb; /* 0 = choose */
	uint32_t cache_mb;  /* of these for caches; 0: no caches, and nothing of the next two */
	uint32_t n_tcp_conns, n_tcp_bufs; /* to caches, over all workers */
	char log_level[16];
	char *const *eal_args; /* after "--"; lives as long as argv */
	unsigned n_eal_args;
};

#define OPT_DONE 1 /* --help or --version was printed */

/* Reads argv into *o over defaults. 0, OPT_DONE, or -EINVAL with a sentence in err: what is wrong and how
 * it should be. Checks each value and those that depend on each other; touches nothing outside. */
int opt_parse(struct opt *o, int argc, char *const *argv, char *err, size_t err_size);

/* Chooses workers from the CPUs this process may use, or checks that the ones asked for are among them.
 * 0 or -EINVAL with a sentence in err. */
int opt_resolve(struct opt *o, const cpu_set_t *allowed, char *err, size_t err_size);

/* Logical ports of --port, in order of first mention, without devices. */
void opt_ifaces(const struct opt *o, struct iface_set *ifaces);

/* Name of a device: its string up to the first comma. Returns buf. */
const char *opt_device_name(const char *device, char *buf, size_t size);

/* Value of key=… in a device string: buf, or NULL when it is not there. */
const char *opt_device_arg(const char *device, const char *key, char *buf, size_t size);

/* One line with all settings, for the start of the log. */
void opt_text(const struct opt *o, char *buf, size_t size);

void opt_help(FILE *out);
