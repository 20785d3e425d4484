/* SPDX-License-Identifier: BSD-3-Clause */
/* gensay — see gensay.h. */
#include "gensay.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define BUFFERS 8
#define BUFFER_SIZE 32

static char buffers[BUFFERS][BUFFER_SIZE];
static unsigned next_buffer;

__attribute__((format(printf, 2, 0))) static void say(
	const char *level, const char *format, va_list ap)
{
	fprintf(stderr, "millrace-bench: %s", level);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
}

void gensay_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("error: ", format, ap);
	va_end(ap);
}

void gensay_note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("", format, ap);
	va_end(ap);
}

const char *gensay_count(double n)
{
	char digits[BUFFER_SIZE], *to = buffers[next_buffer++ % BUFFERS];
	const int len = snprintf(digits, sizeof(digits), "%.0f", n);
	char *at = to;

	if (len < 0 || len > 21)
		return "?";
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = '\0';
	return to;
}

const char *gensay_rate(double n)
{
	char *to = buffers[next_buffer++ % BUFFERS];

	if (n >= 1e6)
		snprintf(to, BUFFER_SIZE, "%.3f M", n / 1e6);
	else if (n >= 1e4)
		snprintf(to, BUFFER_SIZE, "%.1f k", n / 1e3);
	else
		snprintf(to, BUFFER_SIZE, "%.0f", n);
	return to;
}
