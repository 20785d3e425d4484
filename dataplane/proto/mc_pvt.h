/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mc_pvt — what the codecs of memcached's protocols share among themselves: the table they stand in, numbers
 * as text, and lines written at one go.
 */
#include "proto/mc.h"

#include <stddef.h>

/* One protocol. Shapes and meanings are those of the functions of mc.h. */
struct mc_codec {
	enum mc_status (*parse)(struct mc_request *r, const uint8_t *p, uint32_t len,
		const struct mc_limits *limits);
	void (*reply)(
		struct mc_out *out, const struct mc_request *r, const struct mc_result *result);
	void (*reply_end)(struct mc_out *out, const struct mc_request *r);
	void (*reply_error)(struct mc_out *out, const struct mc_request *r);
	void (*reply_version)(struct mc_out *out, const struct mc_request *r, const char *version);
	void (*reply_stat)(struct mc_out *out, const struct mc_request *r, const char *name,
		const char *value);
};

/* What is read, from where the request begins. */
struct mc_input {
	const uint8_t *p;
	uint32_t len;
	const struct mc_limits *limits;
};

/* A word of a line: bytes of the input, without an end of their own. */
struct mc_word {
	const uint8_t *p;
	uint32_t len;
};

/* mc_text.c. Hot. */
enum mc_status mc_text_parse(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits);
void mc_text_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result);
void mc_text_reply_end(struct mc_out *out, const struct mc_request *r);
void mc_text_reply_error(struct mc_out *out, const struct mc_request *r);
void mc_text_reply_version(struct mc_out *out, const struct mc_request *r, const char *version);
void mc_text_reply_stat(
	struct mc_out *out, const struct mc_request *r, const char *name, const char *value);

/* The value of n bytes behind a set's line, where `consumed` ends; or, refused, so many bytes passed over. */
enum mc_status mc_text_value(struct mc_request *r, const struct mc_input *in, uint32_t n);
enum mc_status mc_text_skip(
	struct mc_request *r, const struct mc_input *in, uint32_t n, enum mc_error error);

/* mc_meta.c. Hot. A line that begins with m and another letter; its words are at, and end without what ends it. */
enum mc_status mc_meta_parse(struct mc_request *r, uint8_t letter, const uint8_t *at,
	const uint8_t *end, const struct mc_input *in);
void mc_meta_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result);
void mc_meta_reply_end(struct mc_out *out, const struct mc_request *r);

/* All of a word is a number: digits, with a + in front or, signed, a −. false: it is none, or too large. */
bool mc_number(const uint8_t *p, uint32_t len, uint64_t *number);
bool mc_number_signed(const uint8_t *p, uint32_t len, int64_t *number);

/* Writes a number's digits, 20 at most, and returns what is behind them. */
uint8_t *mc_digits(uint8_t *p, uint64_t number);

static inline enum mc_status mc_fail(struct mc_request *r, enum mc_error error)
{
	r->error = (uint16_t)error;
	return MC_ERROR;
}

/* The word that begins at or behind *p, which moves behind it; false: there is none before end. */
static inline bool mc_word(struct mc_word *w, const uint8_t **p, const uint8_t *end)
{
	const uint8_t *q = *p;

	while (q < end && *q == ' ')
		q++;
	w->p = q;
	while (q < end && *q != ' ')
		q++;
	w->len = (uint32_t)(q - w->p);
	*p = q;
	return w->len > 0;
}

static inline bool mc_word_is(const struct mc_word *w, const char *text, uint32_t len)
{
	return w->len == len && memcmp(w->p, text, len) == 0;
}

/* A line of max bytes at most is written where it belongs if there is room, else in `room` and put in pieces. */
static inline uint8_t *mc_head_begin(const struct mc_out *out, uint8_t *room, uint32_t max)
{
	return out->end - out->p >= (int64_t)max ? out->p : room;
}

static inline void mc_head_end(
	struct mc_out *out, const uint8_t *room, const uint8_t *head, uint8_t *end)
{
	if (head == room)
		mc_put(out, head, (uint32_t)(end - head));
	else
		out->p = end;
}

#define MC_VALUE_MAX ((uint64_t)INT32_MAX - 2) /* as a length; what a cache takes is less */
#define MC_PUT(out, text) mc_put(out, text, sizeof(text) - 1)
