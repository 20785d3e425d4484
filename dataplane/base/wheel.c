/* SPDX-License-Identifier: BSD-3-Clause */
/* wheel — see wheel.h. Ticks are compared as differences, so the 32-bit clock may wrap. */
#include "base/wheel.h"

void wheel_init(
	struct wheel *w, struct wheel_link *links, uint32_t n, uint32_t now_ms, uint32_t tick_shift)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		w->head[i] = WHEEL_NONE;
	for (uint32_t i = 0; i < n; i++)
		links[i].prev = WHEEL_NONE;
	w->links = links;
	w->tick_shift = tick_shift;
	w->tick = now_ms >> tick_shift;
}

/* now_ms >> tick_shift wraps at 2^(32 - tick_shift) while tick counts on: extend it next to the last known tick. */
static uint32_t tick_of(const struct wheel *w, uint32_t ms)
{
	const uint32_t diff = ((ms >> w->tick_shift) - w->tick) << w->tick_shift;

	return w->tick + (uint32_t)((int32_t)diff >> w->tick_shift);
}

void wheel_del(struct wheel *w, uint32_t entry)
{
	struct wheel_link *l = &w->links[entry];

	if (l->prev == WHEEL_NONE)
		return;
	if (l->prev & WHEEL_HEAD)
		w->head[l->prev & ~WHEEL_HEAD] = l->next;
	else
		w->links[l->prev].next = l->next;
	if (l->next != WHEEL_NONE)
		w->links[l->next].prev = l->prev;
	l->prev = WHEEL_NONE;
}

void wheel_add(struct wheel *w, uint32_t entry, uint32_t deadline_ms)
{
	uint32_t tick = tick_of(w, deadline_ms) + 1; /* never early */
	struct wheel_link *l = &w->links[entry];
	uint32_t slot;

	if ((int32_t)(tick - w->tick) < 0)
		tick = w->tick;
	else if (tick - w->tick >= WHEEL_SLOTS)
		tick = w->tick + WHEEL_SLOTS - 1;
	slot = tick % WHEEL_SLOTS;
	wheel_del(w, entry);
	l->next = w->head[slot];
	l->prev = WHEEL_HEAD | slot;
	if (l->next != WHEEL_NONE)
		w->links[l->next].prev = entry;
	w->head[slot] = entry;
}

unsigned wheel_due_bulk(struct wheel *w, uint32_t now_ms, uint32_t *entries, unsigned n)
{
	const uint32_t now = tick_of(w, now_ms);
	unsigned n_out = 0;

	while (n_out < n && (int32_t)(now - w->tick) >= 0) {
		const uint32_t entry = w->head[w->tick % WHEEL_SLOTS];

		if (entry == WHEEL_NONE) {
			w->tick++;
		} else {
			wheel_del(w, entry);
			entries[n_out++] = entry;
		}
	}
	return n_out;
}
