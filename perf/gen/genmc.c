/* SPDX-License-Identifier: BSD-3-Clause */
/* genmc — see genmc.h. */
#include "genmc.h"

#include "gensay.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define HEAD_MAX 48u   /* "VALUE " and a key, flags, length, end of line */
#define FIXED 25u      /* bytes of it: "VALUE key:000000000001 0 " */
#define ERROR_MAX 256u /* of an error */
#define TAIL "\r\nEND\r\n"
#define TAIL_LEN 7u
#define IS_SET 0x80000000u /* beside a key of 27 bits */
static_assert(GENOPT_KEYS_MAX < IS_SET, "both in a word");
static_assert(GENOPT_KEYS_MAX <= 100000000, "see write_key()");

/* 64 bits that are a request's own (the finaliser of splitmix64). */
static inline uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

static inline uint64_t random_of(const struct genmc *c, uint64_t number)
{
	return mix(number * 0x9e3779b97f4a7c15ull + c->seed);
}

/* Of a mixed trial. */
static inline struct genmc_request draw(const struct genmc *c, uint64_t number, uint64_t random)
{
	const uint32_t rank = genzipf_draw(&c->keys, random);
	struct genmc_request q = {
		.key = rank, .is_set = c->set_limit > 0 && (uint32_t)mix(random) < c->set_limit};

	/* the ranks move on by a number that has no factor in common with most others */
	if (c->shift_step != 0)
		q.key = (uint32_t)((rank + (number - c->first) / c->shift_step * 10007)
			% c->n_keys);
	return q;
}

struct genmc_request genmc_of(const struct genmc *c, uint64_t number)
{
	if (c->is_storing)
		return (struct genmc_request){
			.key = genonce_of(&c->stored, number), .is_set = true};
	return draw(c, number, random_of(c, number));
}

void genmc_of_bulk(struct genmc *c, uint64_t first, unsigned n, struct genmc_request *q)
{
	for (unsigned i = 0; i < n; i++) {
		/* opt: a cell of a table that no cache has room for, a burst before it is read */
		genzipf_prefetch(&c->keys, random_of(c, first + i + GENRUN_BURST_MAX));
		q[i] = genmc_of(c, first + i);
		c->recent[(first + i) % GENMC_RECENT] = q[i].key | (q[i].is_set ? IS_SET : 0);
	}
}

struct genmc_request genmc_recall(const struct genmc *c, uint64_t number, uint64_t next)
{
	const uint32_t word = c->recent[number % GENMC_RECENT];

	if (next - number > GENMC_RECENT)
		return genmc_of(c, number);
	return (struct genmc_request){.key = word & ~IS_SET, .is_set = (word & IS_SET) != 0};
}

static inline uint32_t value_len(const struct genmc *c, uint32_t key)
{
	/* opt: a product's upper half instead of a remainder */
	return c->value_min + (uint32_t)((mix(key + 1) >> 32) * c->value_span >> 32);
}

static inline uint8_t *write_text(uint8_t *to, const char *text, unsigned n)
{
	memcpy(to, text, n);
	return to + n;
}

static inline uint64_t word_at(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The eight decimal digits of a number below 10^8, as bytes in order. opt: all at once; each step splits numbers into halves of their
 * digits, the quotients by products that are exact for so few. */
static inline uint64_t digits_of(uint32_t v)
{
	const uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
	const uint64_t hundreds = (fours * 5243 >> 19) & 0x0000007f0000007full;
	const uint64_t pairs = hundreds | (fours - hundreds * 100) << 16;
	const uint64_t tens = (pairs * 103 >> 10) & 0x000f000f000f000full;
	const uint64_t ones = tens | (pairs - tens * 10) << 8;

	return rte_cpu_to_le_64(ones | 0x3030303030303030ull);
}

/* As the other load generators here name keys (compare/loadbase.h): "key:" and twelve digits. */
static inline uint8_t *write_key(uint8_t *to, uint32_t key)
{
	const uint64_t digits = digits_of(key);

	memcpy(to, "key:0000", 8);
	memcpy(to + 8, &digits, 8);
	return to + GENMC_KEY;
}

/* The key again and again. Whole ones are written: what is behind the value is of no use, or written later. */
static inline uint8_t *write_value(uint8_t *to, const uint8_t key[GENMC_KEY], uint32_t len)
{
	for (uint32_t at = 0; at < len; at += GENMC_KEY)
		memcpy(to + at, key, GENMC_KEY);
	return to + len;
}

static inline uint8_t *write_len(const struct genmc *c, uint8_t *to, uint32_t len)
{
	memcpy(to, &c->lens[len].text, 8);
	return to + c->lens[len].n_bytes;
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
	to = write_len(c, to, len);
	to = write_value(to, key, len);
	return write_text(to, "\r\n", 2);
}

/* Whether the n bytes are the text, or its beginning. */
static inline bool may_be(const uint8_t *p, uint32_t n, const char *text, uint32_t len)
{
	return memcmp(p, text, n < len ? n : len) == 0;
}

/* Whether len bytes are a key again and again, and what ends an answer is behind them. */
static inline bool is_value(const uint8_t *p, uint32_t len, uint64_t key0, uint64_t key1)
{
	uint64_t differ = 0, rest = key0, tail;
	uint32_t at = 0;

	for (; at + GENMC_KEY <= len; at += GENMC_KEY)
		differ |= (word_at(p + at) ^ key0) | (word_at(p + at + 8) ^ key1);
	if (at + 8 <= len) {
		differ |= word_at(p + at) ^ key0;
		rest = key1;
		at += 8;
	}
	if (at < len) /* with some bytes of the tail, which are shifted out */
		differ |= rte_le_to_cpu_64(word_at(p + at) ^ rest) << 8 * (8 - (len - at));
	/* with the byte before it, which is the head's end where there is no value */
	memcpy(&tail, TAIL, 8);
	differ |= rte_le_to_cpu_64(word_at(p + len - 1)) >> 8 ^ rte_le_to_cpu_64(tail);
	return differ == 0;
}

/* A whole answer, of n_head + len + TAIL_LEN bytes. opt: compared by words; memcmp() would be called six times. */
static inline bool is_hit(const struct genmc *c, const uint8_t *p, uint32_t key, uint32_t len)
{
	const struct genmc_len *l = &c->lens[len];
	const uint64_t key0 = word_at("key:0000"), key1 = digits_of(key);
	const uint64_t name = (word_at(p) ^ word_at("VALUE ke")) | (word_at(p + 6) ^ key0)
		| (word_at(p + 14) ^ key1);
	/* the last three bytes of the one, the first ones of the other */
	const uint64_t flags = rte_le_to_cpu_64(word_at(p + FIXED - 8) ^ word_at("12345 0 ")) >> 40;
	const uint64_t n = rte_le_to_cpu_64(word_at(p + FIXED) ^ l->text) << 8 * (8 - l->n_bytes);

	return (name | flags | n) == 0 && is_value(p + FIXED + l->n_bytes, len, key0, key1);
}

/* An answer that begins with VALUE and is no whole one, or a wrong one. One with another head is wrong as soon as that is seen. */
static enum genmc_answer judge_part(
	const struct genmc *c, const uint8_t *p, uint32_t n, uint32_t key, uint32_t len)
{
	const uint32_t n_head = FIXED + c->lens[len].n_bytes;
	uint8_t head[HEAD_MAX], *end = write_text(head, "VALUE ", 6);

	end = write_key(end, key);
	end = write_text(end, " 0 ", 3);
	write_len(c, end, len);
	if (memcmp(p, head, n < n_head ? n : n_head) != 0)
		return GENMC_WRONG;
	return n < n_head + len + TAIL_LEN ? GENMC_MORE : GENMC_WRONG;
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

static enum genmc_answer judge_other(const struct genmc *c, const uint8_t *p, uint32_t n,
	struct genmc_request q, uint32_t *n_used)
{
	const char *text = q.is_set ? "STORED\r\n" : "END\r\n";
	const uint32_t len = q.is_set ? 8 : 5;

	if (may_be(p, n, text, len)) {
		*n_used = len;
		return n < len ? GENMC_MORE : q.is_set ? GENMC_STORED : GENMC_MISS;
	}
	if (!q.is_set && may_be(p, n, "VALUE ", 6))
		return judge_part(c, p, n, q.key, value_len(c, q.key));
	return judge_line(p, n, n_used);
}

enum genmc_answer genmc_judge(const struct genmc *c, const uint8_t *p, uint32_t n,
	struct genmc_request q, uint32_t *n_used)
{
	const uint32_t len = value_len(c, q.key);
	const uint32_t n_whole = FIXED + c->lens[len].n_bytes + len + TAIL_LEN;

	/* opt: nearly always */
	if (!q.is_set && n >= n_whole && is_hit(c, p, q.key, len)) {
		*n_used = n_whole;
		return GENMC_HIT;
	}
	return judge_other(c, p, n, q, n_used);
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

void genmc_counts_add(struct genmc_counts *to, const struct genmc_counts *from)
{
	to->hits += from->hits;
	to->misses += from->misses;
	to->stored += from->stored;
	to->refused += from->refused;
	to->wrong += from->wrong;
}

int genmc_init(struct genmc *c, const struct genopt *o, unsigned thread, const struct genmc *first)
{
	int rc;

	memset(c, 0, sizeof(*c));
	c->n_keys = o->n_keys;
	c->value_min = o->value_min;
	c->value_span = o->value_max - o->value_min + 1;
	c->seed = mix(thread) + o->seed; /* of the first thread it is --seed */
	c->set_limit = (uint32_t)fmin(o->set_pct / 100 * 0x1p32, 0x1p32 - 1);
	for (uint32_t len = c->value_min; len <= o->value_max; len++) {
		char text[16] = "";

		c->lens[len].n_bytes = (uint32_t)snprintf(text, sizeof(text), "%u\r\n", len);
		memcpy(&c->lens[len].text, text, 8);
	}
	c->has_keys_of_first = first != NULL;
	rc = genonce_create(&c->stored, o->n_keys, thread, genopt_threads(o));
	if (rc == 0 && first == NULL)
		rc = genzipf_create(&c->keys, o->n_keys, o->skew);
	if (first != NULL)
		c->keys = first->keys;
	if (rc == 0)
		return 0;
	genmc_fini(c);
	gensay_error("--keys %u: not enough memory: 25 bytes for each", o->n_keys);
	return -ENOMEM;
}

void genmc_fini(struct genmc *c)
{
	if (!c->has_keys_of_first)
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

int genmc_load(struct genmc *const *c, struct genrun *r, const struct genopt *o)
{
	const struct genonce_params p = {.rate = o->load_rate, .what = "storing"};
	const unsigned n_threads = genrun_threads(r);
	struct genonce *stored[GENTEAM_MAX] = {NULL};
	uint64_t n_refused = 0, n_wrong = 0;
	uint32_t n_missing;
	int rc;

	for (unsigned i = 0; i < n_threads; i++) {
		memset(&c[i]->counts, 0, sizeof(c[i]->counts));
		c[i]->is_storing = true;
		stored[i] = &c[i]->stored;
	}
	rc = genonce_run(stored, r, &p, &n_missing);
	for (unsigned i = 0; i < n_threads; i++) {
		c[i]->is_storing = false;
		n_refused += c[i]->counts.refused;
		n_wrong += c[i]->counts.wrong;
	}
	if (rc == -EIO)
		gensay_error(
			"storing: %s of %s keys were not stored, tried again and again: %s refused, %s "
			"wrong, others not answered; is the cache large enough, and does the service let "
			"these clients in?",
			gensay_count(n_missing), gensay_count(c[0]->n_keys),
			gensay_count((double)n_refused), gensay_count((double)n_wrong));
	return rc;
}
