/* SPDX-License-Identifier: BSD-3-Clause */
/* gencache — see gencache.h. */
#include "gencache.h"

#include "base/csum.h"
#include "gensay.h"
#include "proto/mc_udp.h"

#include <errno.h>
#include <math.h>

#define ID_BITS 16u
#define HEAD_MAX 48u /* "VALUE " and a key, flags, length, end of line */

struct request {
	uint32_t key;
	bool is_set;
};

/* 64 bits that are a request's own (the finaliser of splitmix64). */
static inline uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

static inline struct request request_of(const struct gencache *c, uint64_t number)
{
	const uint64_t random = mix(number * 0x9e3779b97f4a7c15ull + c->seed);
	struct request q;
	uint32_t rank;

	if (c->mode == GENCACHE_STORE)
		return (struct request){.key = genonce_of(&c->stored, number), .is_set = true};
	rank = genzipf_draw(&c->keys, random);
	q.is_set = (uint32_t)mix(random) < c->set_limit;
	q.key = rank;
	/* the ranks move on by a number that has no factor in common with most others */
	if (c->shift_step != 0)
		q.key = (uint32_t)((rank + (number - c->first) / c->shift_step * 10007)
			% c->n_keys);
	return q;
}

static inline uint32_t value_len(const struct gencache *c, uint32_t key)
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
	memcpy(to, "key:00000000", 12);
	for (unsigned i = GENCACHE_KEY; key != 0; key /= 10)
		to[--i] = (uint8_t)('0' + key % 10);
	return to + GENCACHE_KEY;
}

static inline uint8_t *write_value(uint8_t *to, const uint8_t key[GENCACHE_KEY], uint32_t len)
{
	for (uint32_t at = 0; at < len; at += GENCACHE_KEY)
		memcpy(to + at, key, len - at < GENCACHE_KEY ? len - at : GENCACHE_KEY);
	return to + len;
}

/* Returns the end of it. */
static uint8_t *write_request(const struct gencache *c, uint8_t *to, struct request q)
{
	const uint8_t *key = to + 4;
	uint32_t len;

	to = write_text(to, q.is_set ? "set " : "get ", 4);
	memcpy(to, "key:000000000000", GENCACHE_KEY);
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

static void build(void *ctx, struct rte_mbuf *const *m, unsigned n, uint64_t first)
{
	struct gencache *c = ctx;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t number = first + i, flow = number & ((1ull << c->client_bits) - 1);
		uint8_t *to = rte_pktmbuf_mtod(m[i], uint8_t *), *text = to + c->frame.head_len;
		const uint8_t *end;
		struct genframe_text t = {0};
		uint32_t len;

		mc_udp_build(text, (uint16_t)(number >> c->client_bits), 0, 1);
		end = write_request(c, text + MC_UDP_HEADER, request_of(c, number));
		t.n_bytes = (uint32_t)(end - text);
		t.sum = csum_words(text, t.n_bytes);
		len = genframe_write(&c->frame, to, flow, &t);
		m[i]->data_len = (uint16_t)len;
		m[i]->pkt_len = len;
	}
}

static inline bool is_text(const uint8_t *p, uint32_t n, const char *text, uint32_t len)
{
	return n == len && memcmp(p, text, len) == 0;
}

enum answer { ANSWER_HIT, ANSWER_MISS, ANSWER_STORED, ANSWER_REFUSED, ANSWER_WRONG };

static bool is_value(const struct gencache *c, const uint8_t *p, uint32_t n, uint32_t key)
{
	const uint32_t len = value_len(c, key);
	uint8_t head[HEAD_MAX], *end = write_text(head, "VALUE ", 6);
	uint32_t n_head;

	memcpy(end, "key:000000000000", GENCACHE_KEY);
	end = write_key(end, key);
	end = write_text(end, " 0 ", 3);
	end = write_number(end, len);
	end = write_text(end, "\r\n", 2);
	n_head = (uint32_t)(end - head);
	if (n != n_head + len + 7 || memcmp(p, head, n_head) != 0
		|| memcmp(p + n_head + len, "\r\nEND\r\n", 7) != 0)
		return false;
	for (uint32_t at = 0; at < len; at += GENCACHE_KEY)
		if (memcmp(p + n_head + at, head + 6,
			    len - at < GENCACHE_KEY ? len - at : GENCACHE_KEY)
			!= 0)
			return false;
	return true;
}

static enum answer judge(const struct gencache *c, const uint8_t *p, uint32_t n, struct request q)
{
	if (q.is_set)
		return is_text(p, n, "STORED\r\n", 8) ? ANSWER_STORED
			: n >= 6 && (memcmp(p, "VALUE ", 6) == 0 || memcmp(p, "END\r\n", 5) == 0)
			? ANSWER_WRONG
			: ANSWER_REFUSED;
	if (is_text(p, n, "END\r\n", 5))
		return ANSWER_MISS;
	if (n >= 6 && memcmp(p, "VALUE ", 6) == 0)
		return is_value(c, p, n, q.key) ? ANSWER_HIT : ANSWER_WRONG;
	return n >= 6 && memcmp(p, "STORED", 6) == 0 ? ANSWER_WRONG : ANSWER_REFUSED;
}

/* The number of the request that this answers; false: it is no answer. */
static bool read_number(const struct gencache *c, const struct genrun *r,
	const struct genframe_seen *s, uint64_t *number)
{
	const uint64_t flow = genframe_flow_of(&c->frame, s);
	uint16_t id;

	if (s->proto != IPPROTO_UDP || flow >= 1ull << c->client_bits
		|| mc_udp_parse(s->text, s->n_text, &id) != MC_UDP_REQUEST)
		return false;
	*number = genrun_number(r, (uint64_t)id << c->client_bits | flow, ID_BITS + c->client_bits);
	return true;
}

static void on_answer(
	struct gencache *c, struct genrun *r, const struct genframe_seen *s, uint32_t n_bytes)
{
	uint64_t number;
	struct request q;

	if (!read_number(c, r, s, &number))
		return;
	if (number < r->first) { /* given up in an earlier trial */
		genrun_answered(r, number, n_bytes);
		return;
	}
	q = request_of(c, number);
	switch (judge(c, s->text + MC_UDP_HEADER, s->n_text - MC_UDP_HEADER, q)) {
	case ANSWER_HIT:
		c->counts.hits += genrun_answered(r, number, n_bytes);
		break;
	case ANSWER_MISS:
		c->counts.misses += genrun_answered(r, number, n_bytes);
		break;
	case ANSWER_STORED:
		if (genrun_answered(r, number, n_bytes)) {
			c->counts.stored++;
			if (c->mode == GENCACHE_STORE)
				genonce_answered(&c->stored, number);
		}
		break;
	case ANSWER_REFUSED:
		c->counts.refused++;
		break;
	case ANSWER_WRONG:
		c->counts.wrong++;
		break;
	}
}

static uint64_t input(
	void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n, uint64_t *turned)
{
	struct gencache *c = ctx;
	uint64_t taken = 0;

	for (unsigned i = 0; i < n; i++) {
		struct genframe_seen s;

		if (m[i]->nb_segs != 1
			|| !genframe_read(rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len, &s))
			continue;
		taken |= 1ull << i;
		on_answer(c, r, &s, m[i]->pkt_len);
	}
	return taken;
}

int gencache_init(struct gencache *c, const struct genopt *o, const struct genframe_params *p)
{
	*c = (struct gencache){.n_keys = o->n_keys,
		.value_min = o->value_min,
		.value_span = o->value_max - o->value_min + 1,
		.client_bits = (unsigned)__builtin_ctz(o->n_flows),
		.seed = o->seed,
		.set_limit = (uint32_t)fmin(o->set_pct / 100 * 0x1p32, 0x1p32 - 1),
		.work = {.build = build, .input = input}};
	c->work.ctx = c;
	genframe_init(&c->frame, p);
	if (genframe_flows_max(&c->frame) < o->n_flows) {
		gensay_error(
			"--flows %u: the addresses of --client make %s sockets; give a larger network",
			o->n_flows, gensay_count((double)genframe_flows_max(&c->frame)));
		return -EINVAL;
	}
	if (genonce_create(&c->stored, o->n_keys) != 0
		|| genzipf_create(&c->keys, o->n_keys, o->skew) != 0) {
		gencache_fini(c);
		gensay_error("--keys %u: not enough memory: 25 bytes for each", o->n_keys);
		return -ENOMEM;
	}
	return 0;
}

void gencache_fini(struct gencache *c)
{
	genzipf_destroy(&c->keys);
	genonce_destroy(&c->stored);
}

void gencache_begin(struct gencache *c, const struct genrun *r, double rate, double shift_seconds)
{
	c->mode = GENCACHE_MIXED;
	c->first = r->next;
	c->shift_step = shift_seconds > 0 ? (uint64_t)fmax(rate * shift_seconds, 1) : 0;
	memset(&c->counts, 0, sizeof(c->counts));
}

int gencache_load(struct gencache *c, struct genrun *r, const struct genopt *o)
{
	const struct genonce_params p = {.rate = o->load_rate, .what = "storing"};
	uint32_t n_missing;
	int rc;

	memset(&c->counts, 0, sizeof(c->counts));
	c->mode = GENCACHE_STORE;
	rc = genonce_run(&c->stored, r, &p, &n_missing);
	c->mode = GENCACHE_MIXED;
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
