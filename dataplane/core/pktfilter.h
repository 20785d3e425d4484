/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pktfilter — classic BPF programs over packets in memory, as libpcap compiles them. A program comes over a socket:
 * it is checked once, and then cannot read beyond the packet, loop or fail. DPDK's rte_bpf_convert() trusts the
 * jumps of what it converts, and is experimental. Pure functions; nothing allocates.
 */
#include <stdint.h>

#define PKTFILTER_INSNS_MAX 256u
#define PKTFILTER_INSN_BYTES 8u /* on the wire: code:u16 jt:u8 jf:u8 k:u32, little-endian */

struct pktfilter_insn {
	uint16_t code;
	uint8_t jt, jf; /* skipped when true, false */
	uint32_t k;
};

struct pktfilter {
	unsigned n; /* 0: everything matches */
	struct pktfilter_insn insns[PKTFILTER_INSNS_MAX];
};

/* Reads and checks a program. 0; -EINVAL with *at, the instruction that may not be: unknown, a jump out of the
 * program, a memory place that is none, a division by zero, an end without return. */
int pktfilter_load(struct pktfilter *f, const uint8_t *bytes, unsigned n_bytes, unsigned *at);

/* Hot. Bytes of the packet that the program wants, 0: it does not match. n bytes of it are at p, len is its whole
 * length. */
uint32_t pktfilter_run(const struct pktfilter *f, const uint8_t *p, uint32_t n, uint32_t len);
