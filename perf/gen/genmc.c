/* SPDX-License-Identifier: BSD-3-Clause */
/* genmc — see genmc.h. */
#include "genmc.h"

#include "gensay.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define HEAD_MAX 48u   /* "VALUE " and a key, flags, length, end of line */
#define ERROR_MAX 256u /* of an error */
#define TAIL "\r\nEND\r\n"
#define TAIL_LEN 7u

/* 64 bits that are a request's own (the finaliser of splitmix64). */
static inline uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

struct genmc_request genmc_of(const struct genmc *c, uint64_t number)
{
	const uint64_t random = mix(number * 0x9e3779b97f4a7c15ull + c->seed);
	struct genmc_request q;
	uint32_t rank;

	if (c->is_storing)
		return (struct genmc_request){
			.key = genonce_of(&c->stored, number), .is_set = true};
	rank = genzipf_draw(&c->keys, random);
	q.is_set = (uint32_t)mix(random) < c->set_limit;
	q.key = rank;
	/* the ranks move on by a number that has no factor in common with most others */
	if (c->shift_step != 0)
		q.key = (uint32_t)((rank + (number - c->first) / c->shift_step * 10007)
			% c->n_keys);
	return q;
}

static inline uint32_t value_len(const struct genmc *c, uint32_t key)
{
	return c->value_min + (uint32_t)(mix(key + 1) % c->value_span);
}

static inline uint8_t *write_text(uint8_t *to, const char *text, unsigned n)
{
	memcpy(to, text, n);
	return to + n;
}

/* Digits without leading zeros. */
static inline uint8_t *write_number(uint8_t *to, uint32_t v)
{
	uint8_t digits[10];
	unsigned n = 0;

	do {
		digits[n++] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

/* As the other load generators here name keys (compare/loadbase.h): "key:" and twelve digits. */
static inline uint8_t *write_key(uint8_t *to, uint32_t key)
{
	memcpy(to, "key:000000000000", GENMC_KEY);
	for (unsigned i = GENMC_KEY; key != 0; key /= 10)
		to[--i] = (uint8_t)('0' + key % 10);
	return to + GENMC_KEY;
}

static inline uint8_t *write_value(uint8_t *to, const uint8_t key[GENMC_KEY], uint32_t len)
{
	for (uint32_t at = 0; at < len; at += GENMC_KEY)
		memcpy(to + at, key, len - at < GENMC_KEY ? len - at : GENMC_KEY);
	return to + len;
}

uint8_t *genmc_write(const struct genmc *c, uint8_t *to, struct genmc_request q)
{
	const uint8_t *key = to + 4;
	uint32_t len;

	to = write_text(to, q.is_set ? "set " : "get ", 4);
	to = write_key(to, q.key);
	if (!q.is_set)
		return write_text(to, "\r\n", 2);
	len = value_len(c, q.key);
	to = write_text(to, " 0 0 ", 5);
	to = write_number(to, len);
	to = write_text(to, "\r\n", 2);
	to = write_value(to, key, len);
	return write_text(to, "\r\n", 2);
}

/* Whether the n bytes are the text, or its beginning. */
static inline bool may_be(const uint8_t *p, uint32_t n, const char *text, uint32_t len)
{
	return memcmp(p, text, n < len ? n : len) == 0;
}

/* An answer that begins with VALUE. One with another head is wrong as soon as that is seen. */
static enum genmc_answer judge_value(
	const struct genmc *c, const uint8_t *p, uint32_t n, uint32_t key, uint32_t *n_used)
{
	const uint32_t len = value_len(c, key);
	uint8_t head[HEAD_MAX], *end = write_text(head, "VALUE ", 6);
	uint32_t n_head;

	end = write_key(end, key);
	end = write_text(end, " 0 ", 3);
	end = write_number(end, len);
	end = write_text(end, "\r\n", 2);
	n_head = (uint32_t)(end - head);
	if (memcmp(p, head, n < n_head ? n : n_head) != 0)
		return GENMC_WRONG;
	*n_used = n_head + len + TAIL_LEN;
	if (n < *n_used)
		return GENMC_MORE;
	if (memcmp(p + n_head + len, TAIL, TAIL_LEN) != 0)
		return GENMC_WRONG;
	for (uint32_t at = 0; at < len; at += GENMC_KEY)
		if (memcmp(p + n_head + at, head + 6, len - at < GENMC_KEY ? len - at : GENMC_KEY)
			!= 0)
			return GENMC_WRONG;
	return GENMC_HIT;
}

/* A line that is no answer to this: an error, or another request's. */
static enum genmc_answer judge_line(const uint8_t *p, uint32_t n, uint32_t *n_used)
{
	const uint8_t *end = memchr(p, '\n', n < ERROR_MAX ? n : ERROR_MAX);

	if (end == NULL)
		return n < ERROR_MAX ? GENMC_MORE : GENMC_WRONG;
	*n_used = (uint32_t)(end - p) + 1;
	return may_be(p, n, "STORED", 6) || may_be(p, n, "VALUE ", 6) || may_be(p, n, "END", 3)
		? GENMC_WRONG
		: GENMC_REFUSED;
}

enum genmc_answer genmc_judge(const struct genmc *c, const uint8_t *p, uint32_t n,
	struct genmc_request q, uint32_t *n_used)
{
	const char *text = q.is_set ? "STORED\r\n" : "END\r\n";
	const uint32_t len = q.is_set ? 8 : 5;

	if (may_be(p, n, text, len)) {
		*n_used = len;
		return n < len ? GENMC_MORE : q.is_set ? GENMC_STORED : GENMC_MISS;
	}
	if (!q.is_set && may_be(p, n, "VALUE ", 6))
		return judge_value(c, p, n, q.key, n_used);
	return judge_line(p, n, n_used);
}

void genmc_answered(
	struct genmc *c, struct genrun *r, uint64_t number, enum genmc_answer a, uint32_t n_bytes)
{
	switch (a) {
	case GENMC_MORE:
		break;
	case GENMC_HIT:
		c->counts.hits += genrun_answered(r, number, n_bytes);
		break;
	case GENMC_MISS:
		c->counts.misses += genrun_answered(r, number, n_bytes);
		break;
	case GENMC_STORED:
		if (genrun_answered(r, number, n_bytes)) {
			c->counts.stored++;
			if (c->is_storing)
				genonce_answered(&c->stored, number);
		}
		break;
	case GENMC_REFUSED:
		c->counts.refused++;
		break;
	case GENMC_WRONG:
		c->counts.wrong++;
		break;
	}
}

int genmc_init(struct genmc *c, const struct genopt *o)
{
	*c = (struct genmc){.n_keys = o->n_keys,
		.value_min = o->value_min,
		.value_span = o->value_max - o->value_min + 1,
		.seed = o->seed,
		.set_limit = (uint32_t)fmin(o->set_pct / 100 * 0x1p32, 0x1p32 - 1)};
	if (genonce_create(&c->stored, o->n_keys) == 0
		&& genzipf_create(&c->keys, o->n_keys, o->skew) == 0)
		return 0;
	genmc_fini(c);
	gensay_error("--keys %u: not enough memory: 25 bytes for each", o->n_keys);
	return -ENOMEM;
}

void genmc_fini(struct genmc *c)
{
	genzipf_destroy(&c->keys);
	genonce_destroy(&c->stored);
}

void genmc_begin(struct genmc *c, const struct genrun *r, double rate, double shift_seconds)
{
	c->is_storing = false;
	c->first = r->next;
	c->shift_step = shift_seconds > 0 ? (uint64_t)fmax(rate * shift_seconds, 1) : 0;
	memset(&c->counts, 0, sizeof(c->counts));
}

int genmc_load(struct genmc *c, struct genrun *r, const struct genopt *o)
{
	const struct genonce_params p = {.rate = o->load_rate, .what = "storing"};
	uint32_t n_missing;
	int rc;

	memset(&c->counts, 0, sizeof(c->counts));
	c->is_storing = true;
	rc = genonce_run(&c->stored, r, &p, &n_missing);
	c->is_storing = false;
	if (rc == -EIO)
		gensay_error(
			"storing: %s of %s keys were not stored, tried again and again: %s refused, %s "
			"wrong, others not answered; is the cache large enough, and does the service let "
			"these clients in?",
			gensay_count(n_missing), gensay_count(c->n_keys),
			gensay_count((double)c->counts.refused),
			gensay_count((double)c->counts.wrong));
	return rc;
}
