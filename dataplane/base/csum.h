/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * csum — Internet checksums (RFC 1071) and incremental updates (RFC 1624). All values are in network
 * byte order as they stand in the packet; one's-complement sums do not care about byte order as long as
 * it is one. A *delta* is a 16-bit one's-complement sum of ~old + new over the words that change: to be
 * applied to any number of packets with csum_apply(). Pure, any thread.
 */
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* An IPv4 header checksum's when the time to live goes down by one: the word (ttl, protocol) grows by ~0x0100. */
#define CSUM_TTL_DELTA RTE_BE16(0xfeff)

/* Folds a sum of 16-bit words to 16 bits. opt: adding the halves the other way round brings the carry of the low half
 * to where the sum is. */
static inline uint16_t csum_fold_half(uint32_t sum)
{
	return (uint16_t)((sum + (sum << 16 | sum >> 16)) >> 16);
}

/* The same of more. */
static inline uint16_t csum_fold(uint64_t sum)
{
	return csum_fold_half((uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32));
}

/* Sum of fewer than eight bytes. */
static inline uint64_t csum_short(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0;

	if (len & 4) {
		uint32_t v;

		memcpy(&v, p, 4);
		sum += v;
		p += 4;
	}
	if (len & 2) {
		uint16_t v;

		memcpy(&v, p, 2);
		sum += v;
		p += 2;
	}
	if (len & 1)
		sum += rte_cpu_to_le_16(*p);
	return sum;
}

/* Sum of len bytes, odd lengths padded with 0; not folded to 16 bits, not complemented. opt: eight bytes are an addition and one of
 * its carry; it is below 2^35, so that several may be added. What is left of eight is read with bytes before it and these shifted
 * out: lengths vary, and a branch for each of their bits is one to be mispredicted. */
static inline uint64_t csum_words(const void *data, uint32_t len)
{
	const uint8_t *p = (const uint8_t *)data;
	uint64_t sum = 0, n_carries = 0, v = 0;

	for (; len >= 32;
		len -= 32, p += 32) { /* opt: a loop's own instructions are as many as a word's */
		uint64_t v0, v1, v2, v3;

		memcpy(&v0, p, 8);
		memcpy(&v1, p + 8, 8);
		memcpy(&v2, p + 16, 8);
		memcpy(&v3, p + 24, 8);
		sum += v0;
		n_carries += sum < v0;
		sum += v1;
		n_carries += sum < v1;
		sum += v2;
		n_carries += sum < v2;
		sum += v3;
		n_carries += sum < v3;
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		sum += v;
		n_carries += sum < v;
	}
	if (p != data) {
		memcpy(&v, p + len - 8, 8);
		v = v >> 8 >> (8 * (7 - len)); /* by 64 bits is undefined */
	} else {
		v = csum_short(p, len);
	}
	sum += v;
	n_carries += sum < v;
	/* 2^32 and 2^64 are 1 in such sums */
	return (sum & UINT32_MAX) + (sum >> 32) + n_carries;
}

/* Checksum field for len bytes whose own field is 0; for received bytes, 0 means right. */
static inline uint16_t csum_of(const void *data, uint32_t len)
{
	return (uint16_t)~csum_fold(csum_words(data, len));
}

/* Delta of replacing len bytes (even) of old by new. */
static inline uint16_t csum_delta(const void *old, const void *new_, uint32_t len)
{
	/* the complement of a sum is the sum of the complements */
	return csum_fold(csum_words(new_, len) + (uint16_t)~csum_fold(csum_words(old, len)));
}

/* Sum of two deltas. */
static inline uint16_t csum_add(uint16_t a, uint16_t b)
{
	return csum_fold_half((uint32_t)a + b);
}

/* The checksum field after a change (RFC 1624, equation 3). Several deltas may be given as their plain sum. */
static inline uint16_t csum_apply(uint16_t field, uint32_t delta)
{
	return (uint16_t)~csum_fold_half((uint16_t)~field + delta);
}

/* Takes one from an IPv4 header's time to live, with its checksum: ttl[0..4) are that byte, the protocol, and the checksum.
 * False when it has run out; nothing is changed then. opt: one word, read and written once. Adding 1 to a checksum that is
 * 0xfffe or 0xffff brings another 1 around, as csum_apply() with CSUM_TTL_DELTA does. */
static inline bool csum_step_ttl(uint8_t *ttl)
{
	uint32_t word, field;

	memcpy(&word, ttl, sizeof(word));
	word = rte_le_to_cpu_32(word);
	if (unlikely((uint8_t)word <= 1))
		return false;
	field = word >= 0xfffe0000 ? 0x20000 : 0x10000;
	word = rte_cpu_to_le_32(word - 1 + field);
	memcpy(ttl, &word, sizeof(word));
	return true;
}

/* csum_apply() for a UDP field: 0 means no checksum (IPv4) and stays; a result of 0 is sent as 0xffff. */
static inline uint16_t csum_apply_udp(uint16_t field, uint16_t delta)
{
	const uint16_t sum = csum_apply(field, delta);

	if (field == 0)
		return 0;
	return sum == 0 ? 0xffff : sum;
}

/* Sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1); src and dst: 4 or 16 bytes each. */
static inline uint64_t csum_pseudo(
	const void *src, const void *dst, uint32_t ip_len, uint8_t proto, uint32_t l4_len)
{
	const uint64_t tail = rte_cpu_to_be_32(l4_len << 16 | proto);
	uint32_t from, to;

	if (ip_len != 4)
		return tail + csum_words(src, 16) + csum_words(dst, 16);
	memcpy(&from, src, 4);
	memcpy(&to, dst, 4);
	return tail + from + to;
}

/* Checksum field of TCP, UDP or ICMPv6 over the pseudo header; l4's own field must be 0 (or hold what was
 * received: then 0 means right). src and dst: 4 or 16 bytes each. */
static inline uint16_t csum_l4(const void *src, const void *dst, uint32_t ip_len, uint8_t proto,
	const void *l4, uint32_t l4_len)
{
	return (uint16_t)~csum_fold(
		csum_pseudo(src, dst, ip_len, proto, l4_len) + csum_words(l4, l4_len));
}
