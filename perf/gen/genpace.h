/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genpace — when each frame is due, and how long it is. The generator is an open loop: frame n is due at start + n / rate, whatever
 * became of the frames before it, and its time counts from then. So the due time of a frame follows from its number alone, which
 * is all that a frame has to carry. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#define GENPACE_FRACTION 24 /* bits of a cycle: off by half a cycle after 2^24 frames */

struct genpace {
	uint64_t start_cyc;
	uint64_t step;  /* between frames, in cycles / 2^GENPACE_FRACTION */
	uint32_t group; /* so many are due at once, with the first of them; 0 is 1 */
};

/* rate: frames a second, above 0. hz: cycles a second. */
static inline void genpace_init(struct genpace *p, uint64_t start_cyc, uint64_t hz, double rate)
{
	p->start_cyc = start_cyc;
	p->group = 0;
	p->step = (uint64_t)((double)hz / rate * (double)(1u << GENPACE_FRACTION) + 0.5);
	if (p->step == 0)
		p->step = 1;
}

static inline uint64_t genpace_due(const struct genpace *p, uint64_t n)
{
	if (p->group > 1)
		n -= n % p->group;
	return p->start_cyc + (uint64_t)((unsigned __int128)n * p->step >> GENPACE_FRACTION);
}

/* How many frames from number `first` on are due at `now`, at most max. */
static inline unsigned genpace_count(
	const struct genpace *p, uint64_t first, uint64_t now, unsigned max)
{
	unsigned n = 0;

	if (genpace_due(p, first + max - 1) <= now) /* opt: the common case of a full burst */
		return max;
	while (n < max && genpace_due(p, first + n) <= now)
		n++;
	return n;
}

/* How many of n frames from number `first` on, n at least 1, were due more than late_cyc before `now`. */
static inline unsigned genpace_late(
	const struct genpace *p, uint64_t first, unsigned n, uint64_t now, uint64_t late_cyc)
{
	if (now <= genpace_due(p, first)
			+ late_cyc) /* opt: the first one was due before all others */
		return 0;
	return genpace_count(p, first, now - late_cyc - 1, n);
}

#define GENPACE_SIZES 12

/* Lengths of frames, their checksum (4 bytes) included, as they follow one another. */
struct genpace_sizes {
	uint16_t of[GENPACE_SIZES];
};

/* text: a length of 64 to 1518, or "imix": 64, 594 and 1518 as 7 : 4 : 1 (361.8 on average). False: neither. */
bool genpace_sizes_parse(struct genpace_sizes *s, const char *text);

static inline uint16_t genpace_size(const struct genpace_sizes *s, uint64_t n)
{
	return s->of[n % GENPACE_SIZES];
}

double genpace_sizes_mean(const struct genpace_sizes *s);
