/* SPDX-License-Identifier: BSD-3-Clause */
/* log — see log.h. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t level;
} levels[] = {{"error", RTE_LOG_ERR}, {"warning", RTE_LOG_WARNING}, {"notice", RTE_LOG_NOTICE},
	{"info", RTE_LOG_INFO}, {"debug", RTE_LOG_DEBUG}};

static const char *level_name(uint32_t level)
{
	for (unsigned i = 0; i < RTE_DIM(levels); i++) {
		if (levels[i].level == level)
			return levels[i].name;
	}
	return "?";
}

void log_write(uint32_t level, uint32_t type, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	rte_log(level, type, "millraced: %s: %s\n", level_name(level), text);
}

int log_set_level(const char *name)
{
	for (unsigned i = 0; i < RTE_DIM(levels); i++) {
		if (strcmp(levels[i].name, name) == 0)
			return rte_log_set_level_pattern("millrace.*", levels[i].level) < 0
				? -EINVAL
				: 0;
	}
	return -EINVAL;
}
