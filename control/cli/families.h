/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * families — the tables that cmd_table.c joins, from the cmd_*.c files. Data only.
 */
#include "cli/cmd.h"

extern const struct cmd_family cmd_config_family;
extern const struct cmd_family cmd_service_family;
extern const struct cmd_family cmd_backend_family;
extern const struct cmd_family cmd_health_family;
extern const struct cmd_family cmd_conn_family;
extern const struct cmd_family cmd_cache_family;
extern const struct cmd_family cmd_tcp_family;
extern const struct cmd_family cmd_explain_family;
extern const struct cmd_family cmd_capture_family;
extern const struct cmd_family cmd_trace_family;
extern const struct cmd_family cmd_port_family;
extern const struct cmd_family cmd_wait_family;
extern const struct cmd_family cmd_misc_neigh_family;
extern const struct cmd_family cmd_misc_worker_family;
extern const struct cmd_family cmd_misc_family;
extern const struct cmd_family cmd_self_completion_family;
extern const struct cmd_family cmd_self_family;
