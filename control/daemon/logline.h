/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * logline — the daemon's log: one line on stderr, `level: object: message`. Levels mean what they
 * mean in the dataplane: err, the operator must act; warning, degraded; notice, a state change worth
 * keeping; info, facts; debug, for developers. Under systemd (JOURNAL_STREAM is set) a line begins
 * with the <N> that journald takes the priority from. Control characters of the message are shown
 * as '?'. One thread.
 */
enum logline_level {
	LOGLINE_ERR,
	LOGLINE_WARNING,
	LOGLINE_NOTICE,
	LOGLINE_INFO,
	LOGLINE_DEBUG,
	LOGLINE_N_LEVELS,
};

/* Lines above this level are left out. The start value is LOGLINE_INFO. */
void logline_set_level(enum logline_level level);

/* Level by name, or -1. */
int logline_level_find(const char *name);

void logline_write(enum logline_level level, const char *object, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
