/* SPDX-License-Identifier: BSD-3-Clause */
/* cachegen — see cachegen.h. */
#include "cachegen.h"

#include "fuzz.h"
#include "fuzz_pipeline.h"

#include <rte_common.h>

#include <stdarg.h>

#define ANY (-1)
#define KEY_MAX 260u

static bool is_once_in(struct framegen *g, uint32_t n)
{
	return framegen_random(g, n) == 0;
}

/* Bytes, of which the first one is a field. */
static void put_bytes(struct framegen *g, const char *name, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		framegen_put(g, i == 0 ? name : NULL, 8, (uint8_t)bytes[i]);
}

__attribute__((format(printf, 3, 4))) static void say(
	struct framegen *g, const char *name, const char *format, ...)
{
	char text[KEY_MAX + 100];
	va_list ap;

	va_start(ap, format);
	put_bytes(g, name, text, (size_t)vsnprintf(text, sizeof(text), format, ap));
	va_end(ap);
}

/* Some as long as they may be, or longer. */
static const char *any_key(struct framegen *g, char key[KEY_MAX])
{
	const unsigned n = framegen_random(g, 8);

	if (is_once_in(g, 16))
		snprintf(key, KEY_MAX, "%0*u", is_once_in(g, 4) ? 251 : 250, n % 2);
	else
		snprintf(key, KEY_MAX, n < 2 ? "n%u" : "key:%u", n);
	return key;
}

/* Around what is relative and what is not, and around now. */
static long any_exptime(struct framegen *g)
{
	static const long of[] = {0, 0, 0, 1, 2, 5, 60, -1, 2592000, 2592001,
		FUZZ_PIPELINE_EPOCH + 1, FUZZ_PIPELINE_EPOCH + 30, FUZZ_PIPELINE_EPOCH - 5};

	return of[framegen_random(g, RTE_DIM(of))];
}

static unsigned any_value_length(struct framegen *g)
{
	switch (framegen_random(g, 8)) {
	case 0:
		return 0;
	case 1:
		return framegen_random(g, 1300);
	default:
		return framegen_random(g, 40);
	}
}

/* Digits for keys that are counted. */
static void put_value(struct framegen *g, const char *key, unsigned n)
{
	const bool is_number = key[0] == 'n' || is_once_in(g, 8);

	for (unsigned i = 0; i < n; i++)
		framegen_put(g, i == 0 ? "mc.value" : NULL, 8,
			is_number ? (int64_t)('0' + framegen_random(g, 10)) : ANY);
}

/* --- text --- */

static void say_get(struct framegen *g)
{
	static const char *const verbs[] = {"get", "gets", "gat", "gats"};
	const unsigned verb = framegen_random(g, 4),
		       n = is_once_in(g, 3) ? framegen_random(g, 40) : 0;
	char key[KEY_MAX];

	say(g, "mc.verb", "%s ", verbs[verb]);
	if (verb > 1)
		say(g, "mc.exptime", "%ld ", any_exptime(g));
	say(g, "mc.key", "%s", any_key(g, key));
	for (unsigned i = 0; i < n; i++)
		say(g, NULL, " %s", any_key(g, key));
	say(g, "mc.end", "\r\n");
}

static void say_store(struct framegen *g)
{
	static const char *const verbs[] = {
		"set", "set", "set", "add", "replace", "append", "prepend", "cas"};
	const unsigned verb = framegen_random(g, RTE_DIM(verbs)), n = any_value_length(g);
	char key[KEY_MAX];

	say(g, "mc.verb", "%s ", verbs[verb]);
	say(g, "mc.key", "%s ", any_key(g, key));
	say(g, "mc.flags", "%u ", framegen_random(g, is_once_in(g, 2) ? 2 : UINT32_MAX));
	say(g, "mc.exptime", "%ld ", any_exptime(g));
	say(g, "mc.length", "%u", is_once_in(g, 32) ? 5000 : n);
	if (verb == 7)
		say(g, "mc.cas", " %u", framegen_random(g, 40));
	say(g, "mc.end", "%s\r\n", is_once_in(g, 4) ? " noreply" : "");
	put_value(g, key, n);
	say(g, "mc.value.end", "\r\n");
}

static void say_count(struct framegen *g)
{
	char key[KEY_MAX];

	say(g, "mc.verb", "%s ", is_once_in(g, 2) ? "incr" : "decr");
	say(g, "mc.key", "%s ", any_key(g, key));
	say(g, "mc.delta", is_once_in(g, 4) ? "18446744073709551615" : "%u",
		framegen_random(g, 200));
	say(g, "mc.end", "%s\r\n", is_once_in(g, 4) ? " noreply" : "");
}

static void say_other(struct framegen *g)
{
	static const char *const lines[] = {"version", "verbosity 1", "quit", "stats",
		"stats items", "stats slabs", "stats settings", "stats reset", "stats nothing",
		"flush_all", "flush_all 2", "flush_all -1 noreply", "mn", "me key:3", "me n0",
		"shutdown", "get", "set key:3", "lru_crawler enable", "", "delete key:3 0", "mg",
		"ms key:3", "ma"};
	char key[KEY_MAX];

	switch (framegen_random(g, 4)) {
	case 0:
		say(g, "mc.verb", "delete %s%s\r\n", any_key(g, key),
			is_once_in(g, 4) ? " noreply" : "");
		break;
	case 1:
		say(g, "mc.verb", "touch %s ", any_key(g, key));
		say(g, "mc.exptime", "%ld\r\n", any_exptime(g));
		break;
	default:
		say(g, "mc.verb", "%s\r\n", lines[framegen_random(g, RTE_DIM(lines))]);
	}
}

/* --- meta --- */

static void say_flags(struct framegen *g, const char *flags)
{
	const unsigned n = framegen_random(g, 6);

	for (unsigned i = 0; i < n; i++) {
		const char flag = flags[framegen_random(g, (uint32_t)strlen(flags))];

		switch (flag) {
		case 'N':
		case 'T':
		case 'R':
			say(g, "mc.flag", " %c%ld", flag, any_exptime(g));
			break;
		case 'O':
			say(g, "mc.flag", " O%0*u", 1 + (int)framegen_random(g, 33), 7);
			break;
		case 'M':
			say(g, "mc.flag", " M%c", "ADESRPXI+-"[framegen_random(g, 10)]);
			break;
		case 'C':
		case 'D':
		case 'E':
		case 'F':
		case 'J':
			say(g, "mc.flag", " %c%u", flag, framegen_random(g, 40));
			break;
		default:
			say(g, "mc.flag", " %c", flag);
		}
	}
	say(g, "mc.end", "\r\n");
}

static void say_meta(struct framegen *g)
{
	static const char *const flags[] = {
		"bcfkstvqhlNTROE!", "bcksqFTMIOCEN", "bqkOCTIxE", "bqkOctvNJDTMCE"};
	static const char *const verbs[] = {"mg", "ms", "md", "ma"};
	const unsigned verb = framegen_random(g, 4), n = any_value_length(g);
	char key[KEY_MAX];

	say(g, "mc.verb", "%s ", verbs[verb]);
	say(g, "mc.key", "%s", is_once_in(g, 8) ? "a2V5OjM=" : any_key(g, key));
	if (verb == 1)
		say(g, "mc.length", " %u", n);
	say_flags(g, flags[verb]);
	if (verb == 1) {
		put_value(g, "", n);
		say(g, "mc.value.end", "\r\n");
	}
}

/* --- binary --- */

/* Bytes of extras that an opcode has, quiet or not. */
static unsigned n_extras(uint8_t opcode)
{
	switch (opcode) {
	case 0x01: /* set, add, replace */
	case 0x02:
	case 0x03:
	case 0x11:
	case 0x12:
	case 0x13:
		return 8;
	case 0x05: /* incr, decr */
	case 0x06:
	case 0x15:
	case 0x16:
		return 20;
	case 0x08: /* flush, verbosity, touch, gat */
	case 0x18:
	case 0x1b:
	case 0x1c:
	case 0x1d:
	case 0x1e:
	case 0x23:
	case 0x24:
		return 4;
	default:
		return 0;
	}
}

static void put_extras(struct framegen *g, unsigned n)
{
	switch (n) {
	case 4:
		framegen_put(g, "mcb.exptime", 32, any_exptime(g));
		break;
	case 8:
		framegen_put(g, "mcb.flags", 32, ANY);
		framegen_put(g, "mcb.exptime", 32, any_exptime(g));
		break;
	case 20:
		framegen_put(g, "mcb.delta.high", 32, 0);
		framegen_put(g, "mcb.delta", 32, framegen_random(g, 100));
		framegen_put(g, "mcb.initial.high", 32, 0);
		framegen_put(g, "mcb.initial", 32, 7);
		framegen_put(g, "mcb.exptime", 32, is_once_in(g, 2) ? UINT32_MAX : any_exptime(g));
		break;
	default:
		break;
	}
}

static bool has_value(uint8_t opcode)
{
	const uint8_t loud = opcode & 0x0f;

	return n_extras(opcode) == 8 || opcode == 0x19 || opcode == 0x1a || loud == 0x0e
		|| loud == 0x0f;
}

/* version, noop, quit, flush: of no key. */
static bool has_key(uint8_t opcode)
{
	static const uint8_t without[] = {0x07, 0x08, 0x0a, 0x0b, 0x17, 0x18, 0x1b};

	return memchr(without, opcode, sizeof(without)) == NULL && !(opcode == 0x10);
}

static void put_binary(struct framegen *g)
{
	const uint8_t opcode = (uint8_t)framegen_random(g, 0x26);
	const unsigned n_ext = n_extras(opcode);
	const unsigned n_value = has_value(opcode) ? any_value_length(g) : 0;
	char key[KEY_MAX] = "";
	unsigned n_key;

	if (has_key(opcode))
		any_key(g, key);
	n_key = (unsigned)strlen(key);
	framegen_put(g, "mcb.magic", 8, 0x80);
	framegen_put(g, "mcb.opcode", 8, opcode);
	framegen_put(g, "mcb.key.length", 16, n_key);
	framegen_put(g, "mcb.extras.length", 8, n_ext);
	framegen_put(g, "mcb.type", 8, 0);
	framegen_put(g, "mcb.vbucket", 16, 0);
	framegen_put(g, "mcb.total", 32, n_key + n_ext + n_value);
	framegen_put(g, "mcb.opaque", 32, ANY);
	framegen_put(g, "mcb.cas.high", 32, 0);
	framegen_put(g, "mcb.cas", 32, is_once_in(g, 4) ? framegen_random(g, 40) : 0);
	put_extras(g, n_ext);
	put_bytes(g, "mcb.key", key, n_key);
	put_value(g, key, n_value);
}

/* --- datagrams --- */

static void put_request(struct framegen *g, unsigned kind)
{
	switch (kind) {
	case 0:
	case 1:
		say_get(g);
		break;
	case 2:
	case 3:
		say_store(g);
		break;
	case 4:
		say_count(g);
		break;
	case 5:
		say_other(g);
		break;
	case 6:
	case 7:
		say_meta(g);
		break;
	default:
		put_binary(g);
	}
}

void cachegen_datagram(struct framegen *g)
{
	const unsigned n = is_once_in(g, 2) ? 1 : 1 + framegen_random(g, 8);
	const bool is_mixed = is_once_in(g, 2);
	unsigned kind = framegen_random(g, 12);

	framegen_put(g, "mcu.id", 16, ANY);
	framegen_put(g, "mcu.number", 16, 0);
	framegen_put(g, "mcu.total", 16, 1);
	framegen_put(g, "mcu.reserved", 16, 0);
	for (unsigned i = 0; i < n; i++) {
		put_request(g, kind);
		if (is_mixed)
			kind = framegen_random(g, 12);
	}
}
