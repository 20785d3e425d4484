/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * logline — see logline.h. A line is one write(2), so lines of several processes on one terminal do
 * not mix.
 */
#include "daemon/logline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 2048

static const char *const level_names[LOGLINE_N_LEVELS] = {
	[LOGLINE_ERR] = "err",
	[LOGLINE_WARNING] = "warning",
	[LOGLINE_NOTICE] = "notice",
	[LOGLINE_INFO] = "info",
	[LOGLINE_DEBUG] = "debug",
};

static const int syslog_priority[LOGLINE_N_LEVELS] = {3, 4, 5, 6, 7};

static enum logline_level max_level = LOGLINE_INFO;

void logline_set_level(enum logline_level level)
{
	max_level = level;
}

int logline_level_find(const char *name)
{
	for (int i = 0; i < LOGLINE_N_LEVELS; i++) {
		if (strcmp(name, level_names[i]) == 0)
			return i;
	}
	return -1;
}

void logline_write(enum logline_level level, const char *object, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list ap;
	int head, n;

	if (level > max_level)
		return;
	head = getenv("JOURNAL_STREAM") != NULL
		? snprintf(line, 64, "<%d>%s: ", syslog_priority[level], level_names[level])
		: snprintf(line, 64, "%s: ", level_names[level]);
	n = head + snprintf(line + head, sizeof(line) - (size_t)head, "%.512s: ", object);
	va_start(ap, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}
