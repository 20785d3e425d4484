/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * clientcount — how many connections each client, or each prefix of clients, has: a table that the workers
 * fill one after the other, and the largest of its counts. Each call does a bounded piece of work, as
 * a million clients would keep the manager or a worker too long. One owner at a time: the manager, or
 * the worker whose job it gave the table to.
 */
#include <stdbool.h>
#include <stdint.h>

struct clientcount;

struct clientcount_row {
	uint8_t ip[16]; /* its prefix, rest 0; as in struct conn */
	uint32_t count;
	uint8_t family;
};

/* Context: manager. Room for the clients of so many connections and a few more, but CLIENTCOUNT_MAX at most;
 * len4 and len6 are the bits of an address that count, n_top how many rows are wanted. 0, -ENOMEM. */
#define CLIENTCOUNT_MAX (1u << 22)
int clientcount_create(
	struct clientcount **out, uint64_t n_conns, unsigned len4, unsigned len6, uint32_t n_top);
void clientcount_destroy(struct clientcount **c); /* NULL-safe, clears *c */

/* Context: manager, until it returns true; then the table may be filled. */
bool clientcount_clear_some(struct clientcount *c);

/* Context: worker (a job). A connection of this client (family 4 or 6; ip is whole, with zeroes behind IPv4). Takes memory of the
 * table only. */
void clientcount_add(struct clientcount *c, uint8_t family, const uint8_t ip[static 16]);

/* There were more clients than the table has room for: its counts are not whole. */
bool clientcount_is_full(const struct clientcount *c);

/* Context: manager, until it returns true; then clientcount_top() has the largest counts, largest first. */
bool clientcount_select_some(struct clientcount *c);
const struct clientcount_row *clientcount_top(const struct clientcount *c, uint32_t *n);
