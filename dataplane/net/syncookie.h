/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * syncookie — answers a SYN without remembering it (Bernstein, 1996; RFC 4987 3.6): what has to be remembered is in the
 * sequence number of the SYN+ACK, with a code that only we can make, and comes back in the client's ACK. All of it
 * belongs to one worker: SYN and ACK of a flow come to the same one.
 */
#include "core/worker.h"

struct syncookie {
	uint64_t keys[2][2]; /* [turn & 1]: the present one; the other is the one before */
	uint64_t ratchet
		[2]; /* what the next key is made of; the one before cannot be found from it */
	uint32_t since_ms; /* of the present key */
	uint8_t turn;
};

/* Cold. Context: manager, before workers start. seed: from the kernel's random source. */
void syncookie_init(struct syncookie *c, const uint64_t seed[2]);

/* Hot. A new key when the present one has been there for a minute; a cookie is good for one to two. */
void syncookie_tick(struct syncookie *c, uint32_t now_ms);

/* Hot. Packet i of the burst is a SYN without RST, FIN or fragments: turns it in place into the SYN+ACK to its sender,
 * PKT_REPLY, back where it came from. Its window is 0, so that the client sends nothing yet. max_mss: what is
 * announced to the client. */
void syncookie_reply(
	const struct syncookie *c, struct worker *w, struct burst *b, unsigned i, uint16_t max_mss);

/* Hot. Packet i is a segment with ACK: whether it answers a cookie of ours. *iss: the client's first sequence number,
 * *isn: ours. */
bool syncookie_check(
	const struct syncookie *c, const struct burst *b, unsigned i, uint32_t *iss, uint32_t *isn);

/* The segment size of the client's SYN, as far as the cookie tells: at least so large. */
uint16_t syncookie_mss(uint32_t isn);
