/* SPDX-License-Identifier: BSD-3-Clause */
/* confread — see confread.h. A message is "PATH must be RANGE, got 'VALUE'"; values are cut short,
 * the tree has seen to it that they hold nothing unprintable. */
#include "lib/confread.h"

#include "lib/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define LABEL_MAX (CONFREAD_PATH_MAX + MR_NAME_MAX)
#define HINT_WORDS_MAX 500 /* candidates looked at: the search is quadratic in bad input */

/* PATH.KEY */
static const char *label_of(const struct confread *r, const char *key, char buf[LABEL_MAX])
{
	snprintf(buf, LABEL_MAX, "%s%s%s", r->path, r->path[0] != '\0' ? "." : "", key);
	return buf;
}

void confread_path(struct confread *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->path, sizeof(r->path), fmt, ap);
	va_end(ap);
}

/* Reports that a value is not what it must be, in words; false for the caller to return. */
static bool refuse(
	struct confread *r, const struct yamltree_node *node, const char *key, const char *what)
{
	char label[LABEL_MAX];

	if (node->kind == YAMLTREE_SCALAR && node->text[0] == '\0')
		CONFREAD_ERROR(
			r, node, "%s must be %s, it is empty", label_of(r, key, label), what);
	else if (node->kind == YAMLTREE_SCALAR)
		CONFREAD_ERROR(r, node, "%s must be %s, got '%.64s'", label_of(r, key, label), what,
			node->text);
	else if (node->kind != YAMLTREE_BAD)
		CONFREAD_ERROR(r, node, "%s must be %s, got %s", label_of(r, key, label), what,
			yamltree_kind_name(node->kind));
	return false;
}

const char *confread_hint(struct confread *r, char *buf, size_t size, const char *word,
	const char *const *words, unsigned n_words)
{
	const char *near;

	if (!confreport_sink_wants_hint(r->sink))
		return NULL;
	near = text_nearest(word, words, n_words < HINT_WORDS_MAX ? n_words : HINT_WORDS_MAX);
	if (near == NULL)
		return NULL;
	snprintf(buf, size, "did you mean '%s'?", near);
	return buf;
}

static void report_unknown_key(struct confread *r, const struct yamltree_node *key,
	const struct confread_key *keys, unsigned n_keys)
{
	const char *words[CONFREAD_KEYS_MAX];
	char hint[MR_NAME_MAX + 32];

	assert(n_keys <= CONFREAD_KEYS_MAX);
	for (unsigned i = 0; i < n_keys; i++)
		words[i] = keys[i].name;
	confreport_sink_add(r->sink, CONFREPORT_ERROR, key->span,
		confread_hint(r, hint, sizeof(hint), key->text, words, n_keys),
		"unknown key '%.64s'%s%s", key->text, r->path[0] != '\0' ? " in " : "", r->path);
}

bool confread_map(struct confread *r, const struct yamltree_node *node,
	const struct yamltree_node *place, const struct confread_key *keys, unsigned n_keys,
	const struct yamltree_node **at)
{
	memset(at, 0, n_keys * sizeof(*at));
	if (node->kind != YAMLTREE_MAPPING) {
		if (node->kind != YAMLTREE_BAD)
			CONFREAD_ERROR(r, node, "%s must be a mapping, got %s",
				r->path[0] != '\0' ? r->path : "the file",
				node->kind == YAMLTREE_SCALAR && node->text[0] == '\0'
					? "nothing"
					: yamltree_kind_name(node->kind));
		return false;
	}
	for (uint32_t i = 0; i < node->n_items; i += 2) {
		const struct yamltree_node *key = node->items[i];
		unsigned k = 0;

		if (key->kind != YAMLTREE_SCALAR)
			continue;
		while (k < n_keys && strcmp(keys[k].name, key->text) != 0)
			k++;
		if (k == n_keys)
			report_unknown_key(r, key, keys, n_keys);
		else
			at[k] = node->items[i + 1];
	}
	for (unsigned k = 0; k < n_keys; k++) {
		if (keys[k].is_required && at[k] == NULL)
			CONFREAD_ERROR(r, place, "'%s' is missing%s%s", keys[k].name,
				r->path[0] != '\0' ? " in " : "", r->path);
	}
	return true;
}

bool confread_kind(struct confread *r, const struct yamltree_node *node, const char *key,
	enum yamltree_kind kind)
{
	return node->kind == kind || refuse(r, node, key, yamltree_kind_name(kind));
}

bool confread_name(struct confread *r, const struct yamltree_node *node, const char *what,
	char out[MR_NAME_MAX])
{
	size_t len = 0;

	if (node->kind != YAMLTREE_SCALAR)
		return refuse(r, node, what, "a name");
	while (len < MR_NAME_MAX
		&& (isalnum((unsigned char)node->text[len])
			|| (len > 0 && node->text[len] != '\0'
				&& strchr("._-", node->text[len]) != NULL)))
		len++;
	if (len == 0 || len == MR_NAME_MAX || node->text[len] != '\0')
		return refuse(r, node, what,
			"1..63 letters, digits, '.', '_' or '-', the first a letter or digit");
	memcpy(out, node->text, len + 1);
	return true;
}

bool confread_uint(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t min, uint32_t max, uint32_t *out)
{
	char what[64];
	uint64_t v;

	if (node->kind != YAMLTREE_SCALAR || text_uint_parse(node->text, &v) != 0 || v < min
		|| v > max) {
		snprintf(what, sizeof(what), "%u..%u", min, max);
		return refuse(r, node, key, what);
	}
	*out = (uint32_t)v;
	return true;
}

bool confread_port(
	struct confread *r, const struct yamltree_node *node, const char *key, uint16_t *out)
{
	uint32_t v;

	if (!confread_uint(r, node, key, 1, 65535, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

bool confread_word(struct confread *r, const struct yamltree_node *node, const char *key,
	const char *const *words, unsigned n_words, unsigned *out)
{
	char hint[MR_NAME_MAX + 32], label[LABEL_MAX], what[128] = "";
	const char *near = NULL;

	for (unsigned i = 0; i < n_words; i++) {
		const size_t len = strlen(what);

		if (node->kind == YAMLTREE_SCALAR && strcmp(node->text, words[i]) == 0) {
			*out = i;
			return true;
		}
		snprintf(what + len, sizeof(what) - len, "%s'%s'",
			i == 0                    ? ""
				: i + 1 < n_words ? ", "
						  : " or ",
			words[i]);
	}
	if (node->kind == YAMLTREE_SCALAR)
		near = confread_hint(r, hint, sizeof(hint), node->text, words, n_words);
	if (near == NULL)
		return refuse(r, node, key, what);
	confreport_sink_add(r->sink, CONFREPORT_ERROR, node->span, near,
		"%s must be %s, got '%.64s'", label_of(r, key, label), what, node->text);
	return false;
}

const char *confread_duration_text(char *buf, size_t size, uint32_t ms)
{
	if (ms % 3600000 == 0 && ms != 0)
		snprintf(buf, size, "%uh", ms / 3600000);
	else if (ms % 60000 == 0 && ms != 0)
		snprintf(buf, size, "%um", ms / 60000);
	else if (ms % 1000 == 0)
		snprintf(buf, size, "%us", ms / 1000);
	else
		snprintf(buf, size, "%ums", ms);
	return buf;
}

bool confread_duration(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t min_ms, uint32_t max_ms, uint32_t *out)
{
	char what[96], min[TEXT_DURATION_MAX], max[TEXT_DURATION_MAX];
	uint64_t ms;

	if (node->kind != YAMLTREE_SCALAR || text_duration_parse(node->text, &ms) != 0
		|| ms < min_ms || ms > max_ms) {
		snprintf(what, sizeof(what), "a duration %s..%s with its unit (ms, s, m, h)",
			confread_duration_text(min, sizeof(min), min_ms),
			confread_duration_text(max, sizeof(max), max_ms));
		return refuse(r, node, key, what);
	}
	*out = (uint32_t)ms;
	return true;
}

bool confread_percent(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t min, uint32_t max, uint32_t *out)
{
	char digits[8] = "", what[64];
	uint64_t v;
	size_t len;

	if (node->kind == YAMLTREE_SCALAR) {
		len = strlen(node->text);
		if (len >= 2 && len < sizeof(digits) && node->text[len - 1] == '%')
			memcpy(digits, node->text, len - 1);
	}
	if (text_uint_parse(digits, &v) != 0 || v < min || v > max) {
		snprintf(what, sizeof(what), "%u%%..%u%%", min, max);
		return refuse(r, node, key, what);
	}
	*out = (uint32_t)v;
	return true;
}

bool confread_size(struct confread *r, const struct yamltree_node *node, const char *key,
	uint64_t min, uint64_t max, uint64_t *out)
{
	char what[128], min_text[TEXT_BYTES_MAX], max_text[TEXT_BYTES_MAX];
	uint64_t v;

	if (node->kind != YAMLTREE_SCALAR || text_bytes_parse(node->text, &v) != 0 || v < min
		|| v > max) {
		snprintf(what, sizeof(what), "a size %s..%s, in bytes or with a unit (KB, MB, GB)",
			text_bytes(min_text, sizeof(min_text), min),
			text_bytes(max_text, sizeof(max_text), max));
		return refuse(r, node, key, what);
	}
	*out = v;
	return true;
}

/* "1", "1.5", "0.25". */
static bool parse_hundredths(const char *text, uint64_t *out)
{
	const char *dot = strchr(text, '.');
	const size_t n_whole = dot != NULL ? (size_t)(dot - text) : strlen(text);
	const size_t n_decimals = dot != NULL ? strlen(dot + 1) : 0;
	uint64_t decimals = 0, whole;
	char digits[8];

	if (n_whole >= sizeof(digits) || (dot != NULL && (n_decimals < 1 || n_decimals > 2)))
		return false;
	memcpy(digits, text, n_whole);
	digits[n_whole] = '\0';
	if (text_uint_parse(digits, &whole) != 0
		|| (dot != NULL && text_uint_parse(dot + 1, &decimals) != 0))
		return false;
	*out = 100 * whole + (n_decimals == 1 ? 10 * decimals : decimals);
	return true;
}

bool confread_hundredths(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t max, uint32_t *out)
{
	char what[64];
	uint64_t v;

	if (node->kind != YAMLTREE_SCALAR || !parse_hundredths(node->text, &v) || v > max) {
		snprintf(what, sizeof(what), "0..%u with at most two decimals", max / 100);
		return refuse(r, node, key, what);
	}
	*out = (uint32_t)v;
	return true;
}

bool confread_token(struct confread *r, const struct yamltree_node *node, const char *key,
	size_t max, char **out)
{
	char what[80];
	size_t len = 0;

	snprintf(what, sizeof(what), "1..%zu visible ASCII characters without blanks", max);
	if (node->kind != YAMLTREE_SCALAR)
		return refuse(r, node, key, what);
	while (node->text[len] > 0x20 && node->text[len] < 0x7f)
		len++;
	if (len == 0 || len > max || node->text[len] != '\0')
		return refuse(r, node, key, what);
	*out = strdup(node->text);
	if (*out == NULL)
		r->is_out_of_memory = true;
	return *out != NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
		return (c | 0x20) - 'a' + 10;
	return -1;
}

bool confread_hex(struct confread *r, const struct yamltree_node *node, const char *key,
	unsigned max, uint8_t *out, uint8_t *len)
{
	char what[80];
	unsigned n = 0;

	snprintf(what, sizeof(what), "1..%u bytes in hexadecimal, two digits each", max);
	if (node->kind != YAMLTREE_SCALAR)
		return refuse(r, node, key, what);
	for (const char *p = node->text; *p != '\0'; p += 2, n++) {
		if (n == max || hex_digit(p[0]) < 0 || hex_digit(p[1]) < 0)
			return refuse(r, node, key, what);
	}
	if (n == 0)
		return refuse(r, node, key, what);
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint8_t)(hex_digit(node->text[2 * i]) << 4
			| hex_digit(node->text[2 * i + 1]));
	*len = (uint8_t)n;
	return true;
}

/* One host on a network can have it: no group, no loopback, not "any", no IPv4 in IPv6 clothes. */
static bool is_unicast(const struct mr_ip *ip)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const uint8_t zero[15];

	if (ip->family == 4)
		return ip->bytes[0] != 0 && ip->bytes[0] != 127 && ip->bytes[0] < 224;
	return ip->bytes[0] != 0xff && memcmp(ip->bytes, mapped, sizeof(mapped)) != 0
		&& !(memcmp(ip->bytes, zero, sizeof(zero)) == 0 && ip->bytes[15] <= 1);
}

static bool read_ip(struct confread *r, const struct yamltree_node *node, const char *key,
	const char *text, const char *what, struct mr_ip *out)
{
	struct mr_ip ip;
	char label[LABEL_MAX];

	if (mr_ip_parse(&ip, text) != 0)
		return refuse(r, node, key, what);
	if (!is_unicast(&ip)) {
		CONFREAD_ERROR(r, node, "%s: %s is not an address a host can have",
			label_of(r, key, label), text);
		return false;
	}
	*out = ip;
	return true;
}

bool confread_ip(
	struct confread *r, const struct yamltree_node *node, const char *key, struct mr_ip *out)
{
	const char *what = "an IPv4 or IPv6 address";

	if (node->kind != YAMLTREE_SCALAR)
		return refuse(r, node, key, what);
	return read_ip(r, node, key, node->text, what, out);
}

bool confread_contains(const struct conf_prefix *p, const struct mr_ip *ip)
{
	const unsigned n = p->len / 8, rest = p->len % 8;
	const uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (p->ip.family != ip->family || memcmp(p->ip.bytes, ip->bytes, n) != 0)
		return false;
	return rest == 0 || ((p->ip.bytes[n] ^ ip->bytes[n]) & mask) == 0;
}

/* The network's own or its broadcast address: IPv4 hosts cannot have these (RFC 3021 excepted). */
static bool is_network_or_broadcast(const struct conf_prefix *p)
{
	const uint32_t host = p->len >= 31 ? 0 : UINT32_MAX >> p->len;
	const uint32_t ip = (uint32_t)p->ip.bytes[0] << 24 | (uint32_t)p->ip.bytes[1] << 16
		| (uint32_t)p->ip.bytes[2] << 8 | p->ip.bytes[3];

	return p->ip.family == 4 && host != 0 && ((ip & host) == 0 || (ip & host) == host);
}

/* Splits "A<sep>B" into a and b; false when there is no separator or a part is too long. */
static bool split(const char *text, char sep, char a[64], char b[64])
{
	const char *at = strchr(text, sep);

	if (at == NULL || at - text >= 64 || strlen(at + 1) >= 64)
		return false;
	memcpy(a, text, (size_t)(at - text));
	a[at - text] = '\0';
	memcpy(b, at + 1, strlen(at + 1) + 1);
	return true;
}

bool confread_prefix(struct confread *r, const struct yamltree_node *node, const char *key,
	struct conf_prefix *out)
{
	const char *what = "ADDRESS/PREFIX such as 192.0.2.1/24 or 2001:db8::1/64";
	char ip[64], len[64], label[LABEL_MAX];
	struct conf_prefix p = {.len = 0};
	uint64_t v;

	if (node->kind != YAMLTREE_SCALAR || !split(node->text, '/', ip, len))
		return refuse(r, node, key, what);
	if (!read_ip(r, node, key, ip, what, &p.ip))
		return false;
	if (text_uint_parse(len, &v) != 0 || v == 0 || v > 8 * mr_ip_len(&p.ip)) {
		CONFREAD_ERROR(r, node, "%s: the prefix length must be 1..%u, got '%s'",
			label_of(r, key, label), 8 * mr_ip_len(&p.ip), len);
		return false;
	}
	p.len = (uint8_t)v;
	if (is_network_or_broadcast(&p)) {
		CONFREAD_ERROR(r, node, "%s: %s is the network's or the broadcast address of /%u",
			label_of(r, key, label), ip, p.len);
		return false;
	}
	*out = p;
	return true;
}

/* The next higher address of the family. */
static void step(struct mr_ip *ip)
{
	unsigned i = mr_ip_len(ip);

	while (i > 0 && ++ip->bytes[--i] == 0)
		;
}

bool confread_ip_range(struct confread *r, const struct yamltree_node *node, const char *key,
	struct mr_ip *ips, size_t max, size_t *n_out)
{
	const char *what = "an address or FIRST-LAST such as 192.0.2.10-192.0.2.13";
	char first_text[64], last_text[64], label[LABEL_MAX];
	struct mr_ip first, last;
	size_t n = 0;

	if (node->kind != YAMLTREE_SCALAR)
		return refuse(r, node, key, what);
	if (strchr(node->text, '-') == NULL) {
		if (!read_ip(r, node, key, node->text, what, &first))
			return false;
		last = first;
	} else if (!split(node->text, '-', first_text, last_text)) {
		return refuse(r, node, key, what);
	} else if (!read_ip(r, node, key, first_text, what, &first)
		|| !read_ip(r, node, key, last_text, what, &last)) {
		return false;
	}
	if (first.family != last.family || memcmp(first.bytes, last.bytes, 16) > 0) {
		CONFREAD_ERROR(r, node,
			"%s: the first address of '%s' must not be above the last, of one family",
			label_of(r, key, label), node->text);
		return false;
	}
	for (;; step(&first)) {
		if (n == max) {
			CONFREAD_ERROR(r, node, "%s: there can be at most %d addresses in all",
				label_of(r, key, label), CONF_SNAT_MAX);
			return false;
		}
		ips[n++] = first;
		if (mr_ip_equal(&first, &last))
			break;
	}
	*n_out = n;
	return true;
}

bool confread_status(struct confread *r, const struct yamltree_node *node, const char *key,
	struct conf_status_range *out)
{
	const char *what = "an HTTP status 100..599 or a range such as 200-299";
	char first_text[64], last_text[64];
	uint64_t first, last;

	if (node->kind != YAMLTREE_SCALAR)
		return refuse(r, node, key, what);
	if (strchr(node->text, '-') == NULL) {
		if (text_uint_parse(node->text, &first) != 0)
			return refuse(r, node, key, what);
		last = first;
	} else if (!split(node->text, '-', first_text, last_text)
		|| text_uint_parse(first_text, &first) != 0
		|| text_uint_parse(last_text, &last) != 0) {
		return refuse(r, node, key, what);
	}
	if (first < 100 || last > 599 || first > last)
		return refuse(r, node, key, what);
	out->first = (uint16_t)first;
	out->last = (uint16_t)last;
	return true;
}
