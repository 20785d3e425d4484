/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_conf — the configuration loader on any text. A text that is accepted has no difference to itself,
 * and means objects that survive the wire. A comment line in front changes nothing but line numbers. What
 * is reported goes to terminals and into JSON: it must be one line where it says so, UTF-8, and free of
 * control characters but tabs.
 */
#include "fuzz.h"
#include "lib/conf.h"
#include "lib/confdiff.h"
#include "lib/confobj.h"
#include "lib/confreport.h"
#include "millrace/digest.h"

#include <errno.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

/* Bytes of the UTF-8 sequence at s (RFC 3629), 0 when it is none. */
static unsigned sequence(const unsigned char *s)
{
	const unsigned char lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	const unsigned char hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
	const unsigned n = s[0] < 0x80         ? 1
		: s[0] >= 0xc2 && s[0] <= 0xdf ? 2
		: s[0] >= 0xe0 && s[0] <= 0xef ? 3
		: s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
					       : 0;

	for (unsigned i = 1; i < n; i++) {
		if (s[i] < (i == 1 ? lo : 0x80) || s[i] > (i == 1 ? hi : 0xbf))
			return 0;
	}
	return n;
}

static void check_text(const char *what, const char *text, bool has_lines)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s != '\0') {
		const unsigned n = sequence(s);

		FUZZ_CHECK(n != 0, "%s is not UTF-8: %s", what, text);
		FUZZ_CHECK(*s >= ' ' || *s == '\t' || (has_lines && *s == '\n'),
			"%s has character %u: %s", what, *s, text);
		FUZZ_CHECK(*s != 0x7f, "%s has a DEL: %s", what, text);
		s += n;
	}
}

static void check_report(const struct confreport *r, int rc)
{
	FUZZ_CHECK(r != NULL, "no report");
	FUZZ_CHECK((rc == 0) == (r->n_errors == 0), "result %d with %zu errors", rc, r->n_errors);
	FUZZ_CHECK(r->n_items + r->n_left_off == r->n_errors + r->n_warnings,
		"%zu items and %zu left off of %zu", r->n_items, r->n_left_off,
		r->n_errors + r->n_warnings);
	for (size_t i = 0; i < r->n_items; i++) {
		const struct confreport_item *f = &r->items[i];
		const size_t len = strlen(f->text);

		FUZZ_CHECK(f->line > 0 && f->col > 0, "place %u:%u", f->line, f->col);
		FUZZ_CHECK(len > 0 && f->text[len - 1] == '\n', "text without end: %s", f->text);
		check_text("text", f->text, true);
		check_text("message", f->message, false);
		if (f->hint != NULL)
			check_text("hint", f->hint, false);
	}
}

static void check_same(const struct conf *a, const struct conf *b, const char *why)
{
	struct confdiff *d;

	FUZZ_NEED(confdiff_create(&d, a, b) == 0, "no memory");
	FUZZ_CHECK(d->n_rows == 0, "%s: %c %s %s: %s → %s", why, d->rows[0].op, d->rows[0].object,
		d->rows[0].field ? d->rows[0].field : "", d->rows[0].from ? d->rows[0].from : "",
		d->rows[0].to ? d->rows[0].to : "");
	confdiff_destroy(&d);
}

static void check_diff(const struct conf *c)
{
	struct confdiff *d;

	FUZZ_NEED(confdiff_create(&d, NULL, c) == 0, "no memory");
	for (size_t i = 0; i < d->n_rows; i++) {
		const struct confdiff_row *r = &d->rows[i];

		check_text("object", r->object, false);
		check_text("effect", r->effect, false);
		if (r->from != NULL)
			check_text("from", r->from, false);
		if (r->to != NULL)
			check_text("to", r->to, false);
	}
	confdiff_destroy(&d);
}

static void check_objects(const struct conf *c)
{
	struct mr_object *o;
	size_t n;

	FUZZ_NEED(confobj_create(&o, &n, c) == 0, "no memory");
	for (size_t i = 0; i < n; i++) {
		const struct mr_field *bad;
		struct mr_object back;
		struct mr_writer w;
		uint8_t buf[2048]; /* what client.c has */

		mr_writer_init(&w, buf, sizeof(buf));
		mr_object_encode(&w, &o[i]);
		FUZZ_CHECK(!w.overflow, "object %zu does not fit", i);
		FUZZ_CHECK(mr_object_decode(&back, buf, w.len, &bad) == 0, "object %zu: %s", i,
			bad ? bad->name : "structure");
		FUZZ_CHECK(memcmp(&o[i], &back, sizeof(back)) == 0, "object %zu changed", i);
	}
	free(o);
}

static int load(struct conf **c, struct confreport **r, const char *text, size_t n)
{
	const int rc = conf_create(c, r, text, n, "x.yaml", CONF_SECRETS_SKIP);

	FUZZ_CHECK(rc == 0 || rc == -EINVAL, "result %d", rc);
	check_report(*r, rc);
	return rc;
}

/* Encodings that a mark at the very beginning announces: a comment in front would end that. */
static bool has_mark(const uint8_t *p, size_t n)
{
	return n >= 2 && (p[0] == 0xef || p[0] == 0xfe || p[0] == 0xff || p[0] == 0 || p[1] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char comment[] = "# a comment\n";
	struct conf *c = NULL, *again = NULL;
	struct confreport *r, *r_again;
	char *text = malloc(sizeof(comment) + size);
	int rc;

	FUZZ_NEED(text != NULL, "no memory");
	memcpy(text, comment, sizeof(comment) - 1);
	if (size > 0)
		memcpy(text + sizeof(comment) - 1, data, size);
	rc = load(&c, &r, (const char *)data, size);
	if (rc == 0) {
		check_same(c, c, "to itself");
		check_diff(c);
		check_objects(c);
	}
	if (!has_mark(data, size)) {
		const int rc_again = load(&again, &r_again, text, sizeof(comment) - 1 + size);

		FUZZ_CHECK(rc == rc_again, "result %d, with a comment %d", rc, rc_again);
		FUZZ_CHECK(r->n_errors == r_again->n_errors && r->n_warnings == r_again->n_warnings,
			"%zu errors, with a comment %zu", r->n_errors, r_again->n_errors);
		if (rc == 0)
			check_same(c, again, "with a comment");
		confreport_destroy(&r_again);
	}
	confreport_destroy(&r);
	conf_destroy(&again);
	conf_destroy(&c);
	free(text);
	return 0;
}
