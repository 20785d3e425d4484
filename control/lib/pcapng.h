/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pcapng — writes packets as a pcapng file (draft-ietf-opsawg-pcapng): one section, Ethernet interfaces with names,
 * times in nanoseconds. Errors stay in the FILE: ask ferror(). Nothing allocates.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PCAPNG_IFACES_MAX 64
#define PCAPNG_NAME_MAX 96

struct pcapng {
	FILE *f;
	uint32_t snaplen;
	unsigned n_ifaces;
	char ifaces[PCAPNG_IFACES_MAX][PCAPNG_NAME_MAX];
};

struct pcapng_packet {
	const char *iface; /* described in the file when it is new */
	uint64_t time_ns;  /* since 1970 */
	const uint8_t *bytes;
	uint32_t n, len; /* bytes here, and of the whole packet */
	bool is_outbound;
	const char *comment; /* NULL: none */
};

/* Writes the header; program says who. f is borrowed. */
void pcapng_begin(struct pcapng *w, FILE *f, uint32_t snaplen, const char *program);
void pcapng_write(struct pcapng *w, const struct pcapng_packet *p);
