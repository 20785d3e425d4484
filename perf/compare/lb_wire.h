/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lb_wire — what lb_load asks and lb_server answers, through whatever balances between them. A message is a head of LB_WIRE_HEAD bytes,
 * in network order, and a body. A request's head says how long it is and how long its answer shall be; both bodies, and the answer's head, follow
 * from the request's number, so that each end knows every byte it has to get.
 *
 *     0        4        8              12             16
 *     | kind   | number | request, all | answer, all  | body
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LB_WIRE_HEAD 16u
#define LB_WIRE_REQUEST_MAX 4096u
#define LB_WIRE_ANSWER_MAX (1u << 30)

struct lb_wire {
	uint32_t number;
	uint32_t request_len, answer_len; /* bytes of each message, head included */
};

/* Once, first. Draws of loadbase_random(): seed it afterwards. */
void lb_wire_init(void);

/* The head of the request, or of its answer. */
void lb_wire_build(uint8_t head[LB_WIRE_HEAD], const struct lb_wire *w, bool is_answer);

/* The head of a request; false: it is none, or its lengths are out of range. */
bool lb_wire_parse(struct lb_wire *w, const uint8_t head[LB_WIRE_HEAD]);

/* Bytes of a body from `at` on (0: its first), of `left` that are wanted: as many as *n says, which are all, or the most that lie in a
 * row. They stay as they are. */
const uint8_t *lb_wire_body(uint32_t number, uint64_t at, size_t left, size_t *n);

/* Whether bytes that came are those of a message from `at` on (0: its head). */
bool lb_wire_is_right(
	const struct lb_wire *w, bool is_answer, uint64_t at, const uint8_t *p, size_t n);

/* The first bytes of what is not right, for people. Until the next call. */
const char *lb_wire_show(const uint8_t *p, size_t n);
