/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * text — small pure functions on the text people read and write: durations and sizes both ways, the
 * nearest known word for a mistyped one, RFC 3339 times, and printing of foreign bytes so that nothing a
 * peer sends can drive the terminal. Used by the CLI and by everything that reports errors to it.
 * No state, any thread; nothing allocates.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_DURATION_MAX 32 /* bytes that any duration fits in, NUL included */
#define TEXT_BYTES_MAX 32    /* bytes that any size fits in, NUL included */

/* Writes seconds the way a person says them, at most two units: "1.8ms" "45s" "3m12s" "4h07m"
 * "12d3h". Negative and non-finite values give "-". Returns buf. */
const char *text_duration(char *buf, size_t size, double seconds);

/* Reads "500ms" "2s" "1.5s" "5m" "1h"; a unit is required except for 0. Returns 0, -EINVAL when it
 * is not a duration and -ERANGE above 30 days; *ms is written only on success. */
int text_duration_parse(const char *s, uint64_t *ms);

/* Reads "100" "64KB" "256MB" "8GB" into bytes; 1 KB is 1024 bytes, and so on. Returns 0, -EINVAL when it is no size and
 * -ERANGE above 2^63 - 1; *bytes is written only on success. */
int text_bytes_parse(const char *s, uint64_t *bytes);

/* Writes bytes as text_bytes_parse() reads them, in the largest unit that is exact. Returns buf. */
const char *text_bytes(char *buf, size_t size, uint64_t bytes);

/* Reads a decimal number without sign, blanks or leftovers. Returns 0, -EINVAL, or -ERANGE. */
int text_uint_parse(const char *s, uint64_t *value);

/* Reads "2026-11-24T14:10:46[.123](Z|±HH:MM)" into seconds since 1970. Returns 0 or -EINVAL. */
int text_time_parse(const char *s, double *seconds);

/* Writes the address, with the port when it is not 0: "10.0.0.1:80" "[fd00::1]:80". Returns buf. */
const char *text_endpoint(char *buf, size_t size, const char *ip, unsigned port);

/* Edits (insertion, deletion, replacement, swap of neighbours) that turn a into b. Only the first
 * 63 bytes count. */
unsigned text_distance(const char *a, const char *b);

/* The word of the list that was probably meant, or NULL when none is near: at most one edit in
 * words of up to 4 letters, two up to 7, three above. */
const char *text_nearest(const char *word, const char *const *words, unsigned n_words);

/* The byte that the escape at s, a backslash, stands for: \r \n \t \\ \xNN; *n characters of it. -1: it is none. */
int text_unescape(const char *s, size_t *n);

/* Room that n bytes need at most as text_escape() writes them. */
#define TEXT_ESCAPED_MAX(n) (4 * (n) + 1)

/* Writes any bytes as UTF-8 text without control characters, from which text_unescape() gets them back: what is no text, and
 * the backslash, as escapes. size ≥ TEXT_ESCAPED_MAX(n). Returns buf. */
const char *text_escape(char *buf, size_t size, const void *bytes, size_t n);

/* Bytes of the UTF-8 character (RFC 3629) at s[0..n), 0 when it is none. *code, unless NULL, is its
 * number then. */
unsigned text_utf8_len(const char *s, size_t n, uint32_t *code);

/* Makes UTF-8 of text that was, and was cut somewhere inside a character: each stray byte becomes '?'. */
void text_utf8_repair(char *s);

/* Screen columns of UTF-8 text as text_print() writes it; combining marks are not known. */
unsigned text_width(const char *s);

/* Writes text with control characters and broken UTF-8 shown as \xNN. */
void text_print(FILE *out, const char *s);
