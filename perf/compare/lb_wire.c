/* SPDX-License-Identifier: BSD-3-Clause */
/* lb_wire — see lb_wire.h. Bodies are cut from one period of random bytes, which is there twice so that a whole one lies in a row. */
#include "lb_wire.h"

#include "loadbase.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#define REQUEST 0x6d726c71u /* mrlq */
#define ANSWER 0x6d726c61u  /* mrla */
#define PERIOD 65536u

static uint8_t bytes[2 * PERIOD];

void lb_wire_init(void)
{
	loadbase_seed(1);
	for (unsigned i = 0; i < PERIOD; i++)
		bytes[i] = bytes[PERIOD + i] = (uint8_t)(loadbase_random() >> 32);
}

void lb_wire_build(uint8_t head[LB_WIRE_HEAD], const struct lb_wire *w, bool is_answer)
{
	const uint32_t words[] = {htobe32(is_answer ? ANSWER : REQUEST), htobe32(w->number),
		htobe32(w->request_len), htobe32(w->answer_len)};

	_Static_assert(sizeof(words) == LB_WIRE_HEAD, "four words");
	memcpy(head, words, sizeof(words));
}

bool lb_wire_parse(struct lb_wire *w, const uint8_t head[LB_WIRE_HEAD])
{
	uint32_t words[4];

	memcpy(words, head, sizeof(words));
	*w = (struct lb_wire){.number = be32toh(words[1]),
		.request_len = be32toh(words[2]),
		.answer_len = be32toh(words[3])};
	return be32toh(words[0]) == REQUEST && w->request_len >= LB_WIRE_HEAD
		&& w->request_len <= LB_WIRE_REQUEST_MAX && w->answer_len >= LB_WIRE_HEAD
		&& w->answer_len <= LB_WIRE_ANSWER_MAX;
}

const uint8_t *lb_wire_body(uint32_t number, uint64_t at, size_t left, size_t *n)
{
	*n = left < PERIOD ? left : PERIOD;
	return &bytes[(number + at) % PERIOD];
}

bool lb_wire_is_right(
	const struct lb_wire *w, bool is_answer, uint64_t at, const uint8_t *p, size_t n)
{
	if (n > 0 && at < LB_WIRE_HEAD) {
		uint8_t head[LB_WIRE_HEAD];
		const size_t n_head = n < LB_WIRE_HEAD - at ? n : LB_WIRE_HEAD - at;

		lb_wire_build(head, w, is_answer);
		if (memcmp(p, head + at, n_head) != 0)
			return false;
		p += n_head;
		n -= n_head;
		at += n_head;
	}
	while (n > 0) {
		size_t piece;
		const uint8_t *want = lb_wire_body(w->number, at - LB_WIRE_HEAD, n, &piece);

		if (memcmp(p, want, piece) != 0)
			return false;
		p += piece;
		n -= piece;
		at += piece;
	}
	return true;
}

const char *lb_wire_show(const uint8_t *p, size_t n)
{
	static char text[2 * LB_WIRE_HEAD + 1];

	text[0] = '\0';
	for (size_t i = 0; i < n && i < LB_WIRE_HEAD; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	return text;
}
