/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * punt — the exception path: one TAP interface per logical port. What is not ours to forward goes to
 * the kernel through it, and what the kernel sends on it goes out of the port, so that probes, ssh or
 * a routing daemon work on a bypassed port. All I/O is the manager's; workers only fill the note. Each
 * class has a token bucket so that a flood in one does not starve neighbour discovery.
 */
#include "core/worker.h"
#include "net/addr.h"

struct punt;

struct punt_params {
	const char *prefix; /* interface names: prefix + logical port, ≤ 15 bytes in all */
	const struct iface_set *ifaces;
	struct rte_mempool *pool;
	struct tally *tally;               /* the manager's */
	uint32_t rate_pps[PUNT_N_CLASSES]; /* 0 = default: 10 k, 100 k, 10 k, 1 k */
	void (*output)(void *ctx, unsigned iface, struct rte_mbuf *m);
	void *output_ctx;
};

/* Cold. Context: manager, before workers start. Opens the TAP devices with the ports' MAC address and
 * MTU, up. prefix NULL: no devices, every punted packet is the drop punt_disabled. 0, -EPERM, -EBUSY …; what the
 * operator should do is logged. */
int punt_create(struct punt **out, const struct punt_params *p);
void punt_destroy(struct punt **p);

/* Context: manager. Puts exactly these own addresses on the TAP interfaces, and a default route over each
 * gateway (rtnetlink), leaving others that an operator has added by hand. What fails is logged. */
void punt_sync(struct punt *p, const struct addr_conf *c);

/* A VIP that the kernel side may send to, and who answers: what is asked comes from our address on the port that leads
 * there, so that the answer takes the way that it takes to a probe of the backend's own address. */
struct punt_vip {
	struct mr_ip ip, backend;
	unsigned iface; /* of the backend */
};

/* Context: manager. Makes the kernel side send what is for these VIPs (n of them, sorted and made unique here) to the MAC
 * address of a port of ours, from an own address: the frames come out of punt_poll(). No others. After punt_sync(). What fails
 * is logged, and tried again the next time. */
void punt_sync_vips(struct punt *p, const struct addr_conf *c, struct punt_vip *vips, unsigned n);

/* Context: manager. Gives the frame to the kernel, or drops and counts. Takes the mbuf. */
void punt_output(
	struct punt *p, struct rte_mbuf *m, unsigned iface, unsigned punt_class, uint64_t now_ms);

/* Context: manager. Reads up to max frames from the kernel and sends them out of their ports (through
 * output). Returns how many. */
unsigned punt_poll(struct punt *p, unsigned max);

/* File descriptor to wait on for this logical port, -1 without one; interface name or "". */
int punt_fd(const struct punt *p, unsigned iface);
const char *punt_ifname(const struct punt *p, unsigned iface);
