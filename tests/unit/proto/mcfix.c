/* SPDX-License-Identifier: BSD-3-Clause */
/* mcfix — see mcfix.h. */
#include "mcfix.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 8192, CHUNK_MAX = 64 };

/* --- what a request is --- */

static const char *const verbs[] = {
	[MC_GET] = "get",
	[MC_GAT] = "gat",
	[MC_SET] = "set",
	[MC_ADD] = "add",
	[MC_REPLACE] = "replace",
	[MC_APPEND] = "append",
	[MC_PREPEND] = "prepend",
	[MC_CAS] = "cas",
	[MC_DELETE] = "delete",
	[MC_INCR] = "incr",
	[MC_DECR] = "decr",
	[MC_TOUCH] = "touch",
	[MC_FLUSH_ALL] = "flush_all",
	[MC_VERSION] = "version",
	[MC_VERBOSITY] = "verbosity",
	[MC_STATS] = "stats",
	[MC_QUIT] = "quit",
	[MC_NOOP] = "noop",
	[MC_META_GET] = "mg",
	[MC_META_SET] = "ms",
	[MC_META_DELETE] = "md",
	[MC_META_ARITH] = "ma",
	[MC_META_DEBUG] = "me",
};

struct text {
	char s[TEXT_MAX];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->len += (size_t)vsnprintf(t->s + t->len, sizeof(t->s) - t->len, format, args);
	va_end(args);
	assert_true(t->len < sizeof(t->s));
}

/* What does not print as \x.. */
static void add_bytes(struct text *t, const char *name, const uint8_t *p, uint32_t len)
{
	add(t, " %s=", name);
	for (uint32_t i = 0; i < len; i++)
		add(t, p[i] > ' ' && p[i] < 0x7f ? "%c" : "\\x%02x", p[i]);
}

static void add_show(struct text *t, uint16_t show)
{
	static const char letters[] = "cfkOstv";

	if (show == 0)
		return;
	add(t, " show=");
	for (unsigned i = 0; letters[i] != 0; i++) {
		if ((show >> i & 1) != 0)
			add(t, "%c", letters[i]);
	}
}

static void add_meta(struct text *t, const struct mc_request *r)
{
	static const struct {
		uint8_t has;
		const char *name;
	} marks[] = {{MC_INVALIDATE, "invalidate"}, {MC_DROP_VALUE, "drop"}, {MC_BASE64, "base64"}};

	if (r->mode != 0)
		add(t, " mode=%s", verbs[r->mode]);
	if ((r->has & MC_HAS_VIVIFY) != 0)
		add(t, " vivify=%lld", (long long)r->vivify);
	if ((r->has & MC_HAS_RECACHE) != 0)
		add(t, " recache=%lld", (long long)r->recache);
	for (unsigned i = 0; i < 3; i++) {
		if ((r->has & marks[i].has) != 0)
			add(t, " %s", marks[i].name);
	}
	if (r->new_cas != 0)
		add(t, " new_cas=%llu", (unsigned long long)r->new_cas);
	if (r->initial != 0)
		add(t, " initial=%llu", (unsigned long long)r->initial);
	add_show(t, r->show);
	if ((r->show & MC_SHOW_OPAQUE) != 0)
		add_bytes(t, "opaque", r->opaque, r->opaque_len);
}

static void add_request(struct text *t, struct mc_request *r)
{
	add(t, "%s", verbs[r->verb]);
	if (r->key_len > 0)
		add_bytes(t, "key", r->key, r->key_len);
	while ((r->verb == MC_GET || r->verb == MC_GAT) && mc_next_key(r))
		add_bytes(t, "key", r->key, r->key_len);
	if (r->protocol == MC_META)
		add_meta(t, r);
	if (r->flags != 0)
		add(t, " flags=%u", r->flags);
	if (r->exptime != 0 || (r->has & MC_HAS_EXPTIME) != 0)
		add(t, " exptime=%lld", (long long)r->exptime);
	if ((r->has & MC_HAS_CAS) != 0)
		add(t, " cas=%llu", (unsigned long long)r->cas);
	if (r->delta != 0)
		add(t, " delta=%llu", (unsigned long long)r->delta);
	if (r->value != NULL)
		add_bytes(t, "value", r->value, r->value_len);
	if (r->shows_cas)
		add(t, " shows_cas");
	if (r->is_quiet)
		add(t, " quiet");
}

/* --- sinks --- */

struct sink {
	struct mc_out out; /* first: grow() finds the rest behind it */
	uint8_t chunk[CHUNK_MAX], all[TEXT_MAX];
	uint32_t n, n_max, len;
};

static bool grow(struct mc_out *out)
{
	struct sink *s = (void *)out;
	const uint32_t n = (uint32_t)(out->p - s->chunk);

	assert_true(n <= s->n_max && s->len + n < sizeof(s->all));
	memcpy(s->all + s->len, s->chunk, n);
	s->len += n;
	out->p = s->chunk;
	out->end = s->chunk + s->n_max;
	return true;
}

/* Of n bytes at a time; 0: there is room for all. */
static struct sink *sink_create(uint32_t n)
{
	struct sink *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->n_max = n;
	s->out = n == 0 ? (struct mc_out){.p = s->all, .end = s->all + sizeof(s->all), .grow = grow}
			: (struct mc_out){.p = s->chunk, .end = s->chunk + n, .grow = grow};
	return s;
}

static const char *sink_text(struct sink *s)
{
	if (s->n_max > 0)
		grow(&s->out);
	else
		s->len = (uint32_t)(s->out.p - s->all);
	assert_false(s->out.is_full);
	s->all[s->len] = 0;
	return (char *)s->all;
}

/* --- requests --- */

const char *mcfix_text_of(enum mc_status status, struct mc_request *r, uint32_t len)
{
	static struct text t;
	struct sink *s;

	t.len = 0;
	t.s[0] = 0;
	switch (status) {
	case MC_OK:
		assert_int_equal(r->swallow, 0);
		add_request(&t, r);
		break;
	case MC_ERROR:
		s = sink_create(0);
		mc_reply_error(&s->out, r);
		add(&t, "%s", sink_text(s));
		free(s);
		if (t.len == 0)
			add(&t, "silent");
		if (r->swallow > 0)
			add(&t, " swallow=%u", r->swallow);
		break;
	case MC_MORE:
		add(&t, "more");
		return t.s;
	case MC_BAD:
		return t.s;
	}
	if (r->consumed != len)
		add(&t, " consumed=%u", r->consumed);
	return t.s;
}

/* What it reads is freed by mcfix_drop(); keys and values are looked at before. */
static uint8_t *block;

enum mc_status mcfix_parse(
	struct mc_request *r, const void *bytes, uint32_t len, const struct mc_limits *limits)
{
	enum mc_status status;

	free(block);
	block = malloc(len);
	assert_true(block != NULL || len == 0);
	if (len > 0)
		memcpy(block, bytes, len);
	memset(r, 0xa5, sizeof(*r)); /* nothing is expected of it */
	status = mc_parse(r, block, len, limits);
	if (status == MC_OK || status == MC_ERROR)
		assert_true(r->consumed > 0 && r->consumed <= len);
	if (status == MC_MORE && len > 0)
		assert_int_equal(r->consumed, 0);
	return status;
}

/* Less than the request is no other request: it goes on, or is refused as the whole is. */
static void expect_cuts(const char *bytes, uint32_t len, const struct mc_limits *limits)
{
	const struct mc_limits datagram = {limits->value_max, true};
	struct mc_request r;
	const enum mc_status whole = mcfix_parse(&r, bytes, len, limits);
	const uint32_t end = r.consumed + r.swallow;
	const uint16_t error = r.error;

	for (uint32_t n = 0; n < end && n < len; n++) {
		const enum mc_status status = mcfix_parse(&r, bytes, n, limits);

		if (status == MC_ERROR) {
			assert_int_equal(whole, MC_ERROR);
			assert_int_equal(r.error, error);
			assert_int_equal(r.consumed, n);
			assert_int_equal(r.consumed + r.swallow, end);
		} else {
			assert_int_equal(status, MC_MORE);
		}
		if (n > 0)
			assert_int_equal(mcfix_parse(&r, bytes, n, &datagram), MC_BAD);
	}
}

void mcfix_expect(const char *bytes, uint32_t len, const char *is, uint32_t value_max)
{
	const struct mc_limits limits = {value_max, false}, datagram = {value_max, true};
	struct mc_request r;
	enum mc_status status = mcfix_parse(&r, bytes, len, &limits);
	const uint32_t swallow = status == MC_ERROR ? r.swallow : 0;
	char *longer;

	assert_string_equal(mcfix_text_of(status, &r, len), is);
	if (status == MC_BAD)
		return;
	/* a datagram is not waited for */
	status = mcfix_parse(&r, bytes, len, &datagram);
	assert_string_equal(
		mcfix_text_of(status, &r, len), strcmp(is, "more") == 0 || swallow > 0 ? "" : is);
	if (strcmp(is, "more") == 0)
		return;
	expect_cuts(bytes, len, &limits);
	if (swallow > 0)
		return;
	longer = malloc(len + 9);
	assert_non_null(longer);
	memcpy(longer, bytes, len);
	memcpy(longer + len, "\r\nset a 0", 9);
	status = mcfix_parse(&r, longer, len + 9, &limits);
	free(longer);
	assert_string_equal(mcfix_text_of(status, &r, len), is);
}

void mcfix_expect_all(const struct mcfix_case *c, size_t n, uint32_t value_max)
{
	for (size_t i = 0; i < n; i++)
		mcfix_expect(c[i].bytes, (uint32_t)strlen(c[i].bytes), c[i].is, value_max);
	free(block);
	block = NULL;
}

/* --- answers --- */

void mcfix_expect_answers(const struct mcfix_answer *a, size_t n)
{
	const struct mc_limits limits = {1024, false};
	struct mc_request r;

	for (size_t i = 0; i < n * (CHUNK_MAX + 1); i++) {
		const struct mcfix_answer *const at = &a[i / (CHUNK_MAX + 1)];
		struct sink *s = sink_create((uint32_t)(i % (CHUNK_MAX + 1)));

		assert_int_equal(
			mcfix_parse(&r, at->bytes, (uint32_t)strlen(at->bytes), &limits), MC_OK);
		do
			mc_reply(&s->out, &r, &at->result);
		while (mc_next_key(&r));
		if (r.verb != MC_STATS) /* its one line is no list */
			mc_reply_end(&s->out, &r);
		assert_string_equal(sink_text(s), at->is);
		free(s);
	}
	free(block);
	block = NULL;
}
