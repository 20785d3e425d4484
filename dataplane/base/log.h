/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * log — one DPDK log type per module, named millrace.MODULE, and fixed meanings of the levels: ERR the
 * operator must act, WARNING degraded, NOTICE state change worth keeping, INFO start-up facts, DEBUG
 * developers. A message is "object: event: reason; remedy". Never called from the per-packet path.
 */
#include <rte_common.h>
#include <rte_log.h>

#include <inttypes.h>

/* Once per .c file that logs: LOG_TYPE(conn) registers millrace.conn for the LOG_* below. Not
 * RTE_LOG_REGISTER: its variable is global, and one name for all files keeps the LOG_* short. */
#define LOG_TYPE(module) \
	static int log_type; \
	RTE_INIT(log_register) \
	{ \
		log_type = \
			rte_log_register_type_and_pick_level("millrace." #module, RTE_LOG_INFO); \
	}

#define LOG_AT(level, ...) log_write(RTE_LOG_##level, (uint32_t)log_type, __VA_ARGS__)
#define LOG_ERR(...) LOG_AT(ERR, __VA_ARGS__)
#define LOG_WARNING(...) LOG_AT(WARNING, __VA_ARGS__)
#define LOG_NOTICE(...) LOG_AT(NOTICE, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(INFO, __VA_ARGS__)
#define LOG_DEBUG(...) LOG_AT(DEBUG, __VA_ARGS__)

/* Writes one line to DPDK's log stream: "millraced: level: text". Any thread, may block on stderr. */
void log_write(uint32_t level, uint32_t type, const char *format, ...) __rte_format_printf(3, 4);

/* Sets the level of all millrace.* types from its name (error … debug). 0 or -EINVAL. */
int log_set_level(const char *name);
