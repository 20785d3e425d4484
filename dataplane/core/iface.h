/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * iface — logical ports: what the configuration calls a port. Each has one or more DPDK devices
 * (nic.h) that share its addresses. Fixed at start; read by every thread without synchronisation.
 */
#include "millrace/types.h"

#include <rte_ether.h>

#include <stdbool.h>

#define IFACE_MAX 16
#define IFACE_NICS_MAX 8

struct iface {
	char name[MR_NAME_MAX];
	struct rte_ether_addr mac; /* of the first device */
	uint16_t mtu_bytes;
	uint8_t n_nics;
	/* what all of its devices do with what is sent, if asked to */
	bool writes_csums;    /* the TCP checksum */
	bool writes_ip_csums; /* with tso_mbufs: the IPv4 checksum of each segment that they make */
	bool takes_chains;    /* frames of several mbufs, which may refer to any memory of DPDK's */
	uint16_t tso_mbufs;   /* segmentation of TCP: mbufs of a frame at most; 0: there is none */
	uint16_t nics[IFACE_NICS_MAX]; /* DPDK port ids */
};

struct iface_set {
	unsigned n;
	struct iface of[IFACE_MAX];
};

/* Index of the logical port of this name, or -1. Any thread. */
int iface_find(const struct iface_set *s, const char *name);
