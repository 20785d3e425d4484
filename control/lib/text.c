/* SPDX-License-Identifier: BSD-3-Clause */
/* text — see text.h. The edit distance is Damerau's in its restricted (optimal string alignment)
 * form: three rows of a fixed array, O(len × len). */
#include "lib/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_WORD_MAX 63
#define TEXT_DURATION_MAX_MS (30ull * 24 * 3600 * 1000)

const char *text_duration(char *buf, size_t size, double seconds)
{
	if (!isfinite(seconds) || seconds < 0) {
		snprintf(buf, size, "-");
	} else if (seconds == 0) {
		snprintf(buf, size, "0s");
	} else if (seconds < 0.0009995) {
		snprintf(buf, size, "%.0fus", seconds * 1e6);
	} else if (seconds < 0.9995) {
		snprintf(buf, size, seconds < 0.00995 ? "%.1fms" : "%.0fms", seconds * 1e3);
	} else if (seconds < 9.95) {
		snprintf(buf, size, "%.1fs", seconds);
	} else if (seconds < 59.5) {
		snprintf(buf, size, "%.0fs", seconds);
	} else {
		const uint64_t s = seconds < 1e15 ? (uint64_t)(seconds + 0.5) : (uint64_t)1e15;

		if (s < 3600)
			snprintf(buf, size, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
		else if (s < 86400)
			snprintf(buf, size, "%uh%02um", (unsigned)(s / 3600),
				(unsigned)(s / 60 % 60));
		else
			snprintf(buf, size, "%llud%uh", (unsigned long long)(s / 86400),
				(unsigned)(s / 3600 % 24));
	}
	return buf;
}

int text_duration_parse(const char *s, uint64_t *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
	double v = 0;
	double scale = 1;
	bool is_fraction = false;
	unsigned n_digits = 0;

	for (; isdigit((unsigned char)*s) || (*s == '.' && !is_fraction); s++) {
		if (*s == '.') {
			is_fraction = true;
			continue;
		}
		if (is_fraction)
			scale /= 10;
		v = is_fraction ? v + (*s - '0') * scale : v * 10 + (*s - '0');
		n_digits++;
	}
	if (n_digits == 0 || n_digits > 18)
		return -EINVAL;
	if (v == 0 && *s == '\0') {
		*ms = 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(s, units[i].unit) != 0)
			continue;
		v *= units[i].ms;
		if (v > (double)TEXT_DURATION_MAX_MS)
			return -ERANGE;
		*ms = (uint64_t)(v + 0.5);
		return 0;
	}
	return -EINVAL;
}

int text_uint_parse(const char *s, uint64_t *value)
{
	uint64_t v = 0;

	if (*s == '\0')
		return -EINVAL;
	for (; *s != '\0'; s++) {
		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10u, &v)
			|| __builtin_add_overflow(v, (unsigned)(*s - '0'), &v))
			return -ERANGE;
	}
	*value = v;
	return 0;
}

static const char escape_names[] = "rnt\\", escape_values[] = "\r\n\t\\";

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10 : -1;
}

int text_unescape(const char *s, size_t *n)
{
	const char *hit = s[1] != '\0' ? strchr(escape_names, s[1]) : NULL;

	*n = 2;
	if (hit != NULL)
		return escape_values[hit - escape_names];
	if (s[1] != 'x' || hex_digit(s[2]) < 0 || hex_digit(s[3]) < 0)
		return -1;
	*n = 4;
	return hex_digit(s[2]) << 4 | hex_digit(s[3]);
}

const char *text_escape(char *buf, size_t size, const void *bytes, size_t n)
{
	const char *s = bytes;
	size_t used = 0;

	for (size_t i = 0; i < n && used + 4 < size;) {
		const unsigned char c = (unsigned char)s[i];
		const char *hit = c != 0 ? strchr(escape_values, c) : NULL;
		uint32_t code = c;
		const unsigned len = text_utf8_len(s + i, n - i, &code);

		if (hit != NULL) {
			buf[used++] = '\\';
			buf[used++] = escape_names[hit - escape_values];
			i++;
		} else if (len == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
			used += (size_t)snprintf(buf + used, size - used, "\\x%02x", c);
			i++;
		} else {
			memcpy(buf + used, s + i, len);
			used += len;
			i += len;
		}
	}
	buf[used] = '\0';
	return buf;
}

static const struct {
	const char *unit;
	unsigned shift;
} byte_units[] = {{"GB", 30}, {"MB", 20}, {"KB", 10}, {"", 0}};

#define N_BYTE_UNITS (sizeof(byte_units) / sizeof(byte_units[0]))

int text_bytes_parse(const char *s, uint64_t *bytes)
{
	const size_t n_digits = strspn(s, "0123456789");
	char digits[TEXT_BYTES_MAX];
	uint64_t v;
	size_t i = 0;

	while (i < N_BYTE_UNITS && strcmp(s + n_digits, byte_units[i].unit) != 0)
		i++;
	if (n_digits == 0 || i == N_BYTE_UNITS)
		return -EINVAL;
	if (n_digits >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, s, n_digits);
	digits[n_digits] = '\0';
	if (text_uint_parse(digits, &v) != 0 || v > (uint64_t)INT64_MAX >> byte_units[i].shift)
		return -ERANGE;
	*bytes = v << byte_units[i].shift;
	return 0;
}

const char *text_bytes(char *buf, size_t size, uint64_t bytes)
{
	size_t i = 0;

	while (bytes == 0 ? byte_units[i].shift != 0
			  : (bytes & ((UINT64_C(1) << byte_units[i].shift) - 1)) != 0)
		i++;
	snprintf(buf, size, "%llu%s", (unsigned long long)bytes >> byte_units[i].shift,
		byte_units[i].unit);
	return buf;
}

int text_time_parse(const char *s, double *seconds)
{
	struct tm tm;
	double fraction = 0;
	long offset = 0;
	int n = 0;

	memset(&tm, 0, sizeof(tm));
	if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		    &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
		    &n) != 6
		|| n != 19)
		return -EINVAL;
	s += n;
	if (*s == '.') {
		double digit = 0.1;

		for (s++; isdigit((unsigned char)*s); s++, digit /= 10)
			fraction += (*s - '0') * digit;
	}
	if (*s == '+' || *s == '-') {
		int hours, minutes;

		if (sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || s[1 + n] != '\0')
			return -EINVAL;
		offset = (hours * 60 + minutes) * (*s == '+' ? 60 : -60);
	} else if (strcmp(s, "Z") != 0) {
		return -EINVAL;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*seconds = (double)(timegm(&tm) - offset) + fraction;
	return 0;
}

const char *text_endpoint(char *buf, size_t size, const char *ip, unsigned port)
{
	if (port == 0)
		snprintf(buf, size, "%s", ip);
	else if (strchr(ip, ':') != NULL)
		snprintf(buf, size, "[%s]:%u", ip, port);
	else
		snprintf(buf, size, "%s:%u", ip, port);
	return buf;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

unsigned text_distance(const char *a, const char *b)
{
	unsigned rows[3][TEXT_WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	const unsigned n_a = (unsigned)strnlen(a, TEXT_WORD_MAX);
	const unsigned n_b = (unsigned)strnlen(b, TEXT_WORD_MAX);

	for (unsigned j = 0; j <= n_b; j++)
		last[j] = j;
	for (unsigned i = 1; i <= n_a; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= n_b; j++) {
			now[j] = min3(
				last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
				&& before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		unsigned *const spare = before;

		before = last;
		last = now;
		now = spare;
	}
	return last[n_b];
}

const char *text_nearest(const char *word, const char *const *words, unsigned n_words)
{
	const size_t len = strlen(word);
	const unsigned limit = len <= 4 ? 1 : len <= 7 ? 2 : 3;
	const char *best = NULL;
	unsigned best_distance = limit + 1;

	for (unsigned i = 0; i < n_words; i++) {
		const unsigned d = text_distance(word, words[i]);

		if (d < best_distance) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}

unsigned text_utf8_len(const char *s, size_t n, uint32_t *code)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s;
	unsigned len;
	uint32_t c;

	if (n == 0)
		return 0;
	len = p[0] < 0x80               ? 1
		: (p[0] & 0xe0) == 0xc0 ? 2
		: (p[0] & 0xf0) == 0xe0 ? 3
		: (p[0] & 0xf8) == 0xf0 ? 4
					: 0;
	if (len == 0 || len > n)
		return 0;
	c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if (code != NULL)
		*code = c;
	return len;
}

void text_utf8_repair(char *s)
{
	size_t left = strlen(s);

	while (left > 0) {
		unsigned n = text_utf8_len(s, left, NULL);

		if (n == 0) {
			*s = '?';
			n = 1;
		}
		s += n;
		left -= n;
	}
}

/* Bytes of the UTF-8 character at s that may be printed as they are; 0: not one. C1 controls
 * (U+0080…U+009F) count as control characters: terminals obey some of them. */
static unsigned printable_len(const unsigned char *s)
{
	uint32_t c;
	const unsigned n = text_utf8_len((const char *)s, strnlen((const char *)s, 4), &c);

	if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
		return 0;
	/* Bidirectional overrides reorder what stands around them. */
	if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return n;
}

unsigned text_width(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned width = 0;

	while (*p != '\0') {
		const unsigned n = printable_len(p);

		width += n > 0 ? 1 : 4;
		p += n > 0 ? n : 1;
	}
	return width;
}

void text_print(FILE *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p != '\0') {
		const unsigned n = printable_len(p);

		if (n > 0)
			fwrite(p, 1, n, out);
		else
			fprintf(out, "\\x%02x", *p);
		p += n > 0 ? n : 1;
	}
}
