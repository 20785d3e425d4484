/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * wheel — a lazy timer wheel over entries that somebody else indexes. One level, WHEEL_SLOTS slots of a tick
 * of 2^tick_shift ms; each slot is a doubly linked list through an array of one wheel_link per entry. Lazy: a
 * deadline that moves later needs no call (the entry is found early and the owner puts it back); one
 * that moves earlier is moved with wheel_add(). Deadlines beyond the horizon wait in the last slot.
 *
 *  I1  an entry is in at most one list
 *  I2  slots before `tick` are empty
 *
 * Owned by one thread, no locks. Cost: O(1) to add and remove, O(due) to poll.
 */
#include <stdbool.h>
#include <stdint.h>

#define WHEEL_SLOTS 4096u
#define WHEEL_TICK_SHIFT_MAX 8u /* ticks of 256 ms: horizon of 17 minutes */
#define WHEEL_NONE UINT32_MAX

struct wheel_link {
	uint32_t next; /* entry, or WHEEL_NONE */
	uint32_t
		prev; /* entry; WHEEL_HEAD | slot for the first of a list; WHEEL_NONE: in no list */
};

#define WHEEL_HEAD 0x80000000u /* entries are below this */

struct wheel {
	uint32_t head[WHEEL_SLOTS];
	struct wheel_link *links; /* caller's array, one per entry */
	uint32_t tick;            /* of the slot that is due next */
	uint32_t tick_shift;
};

/* Empties the wheel and links[0..n). now_ms: its start of time; tick_shift: up to WHEEL_TICK_SHIFT_MAX. */
void wheel_init(struct wheel *w, struct wheel_link *links, uint32_t n, uint32_t now_ms,
	uint32_t tick_shift);

/* Puts the entry, taken out of its old place if it has one, where it will be due at or a little after
 * deadline_ms. */
void wheel_add(struct wheel *w, uint32_t entry, uint32_t deadline_ms);

/* Takes the entry out; nothing happens when it is in no list. */
void wheel_del(struct wheel *w, uint32_t entry);

/* Takes at most n due entries out. */
unsigned wheel_due_bulk(struct wheel *w, uint32_t now_ms, uint32_t *entries, unsigned n);
