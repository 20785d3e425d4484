/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_conn — `millrace conn …`; see cmd.h. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "millrace/types.h"

#define CONN_LIMIT 1000

#define STATE_TEXT(sym, value, text) text,
static const char *const states[] = {MR_CONN_STATES(STATE_TEXT) NULL};
static const char *const keys[] = {"service", "backend", "state", NULL};

static const struct cmd_param show_params[] = {
	{.name = "--service",
		.key = "service",
		.value = "NAME",
		.kind = CMD_SERVICE,
		.help = "only this service"},
	{.name = "--backend",
		.key = "backend",
		.value = "POOL/NAME",
		.kind = CMD_BACKEND,
		.help = "only this backend"},
	{.name = "--client",
		.key = "client",
		.value = "IP",
		.kind = CMD_IP,
		.help = "only this client"},
	{.name = "--state",
		.key = "state",
		.value = "STATE",
		.kind = CMD_CHOICE,
		.choices = states + 1, /* without "none" */
		.help = "only this state: syn, syn-ack, established, fin, closed, udp"},
	{.name = "--limit",
		.key = "limit",
		.value = "N",
		.kind = CMD_UINT,
		.min = 1,
		.max = 20000,
		.help = "at most so many (default: 1000)"},
};

static const struct cmd_param count_params[] = {
	{.name = "--by",
		.key = "by",
		.value = "KEY",
		.kind = CMD_CHOICE,
		.choices = keys,
		.help = "service (default), backend or state"},
};

static const struct cmd_col show_cols[] = {
	{"service", "SERVICE", FMT_ANY},
	{"proto", "PROTO", FMT_ANY},
	{"client", "CLIENT", FMT_ENDPOINT, "client_port"},
	{"vip", "VIP", FMT_ENDPOINT, "vip_port"},
	{"snat", "SNAT", FMT_ENDPOINT, "snat_port"},
	{"backend", "BACKEND", FMT_ANY},
	{"backend_ip", "BACKEND ADDRESS", FMT_ENDPOINT, "backend_port"},
	{"state", "STATE", FMT_STATE},
	{"idle_ms", "IDLE", FMT_MS},
	{"expires_ms", "EXPIRES IN", FMT_MS},
	{"packets", "PKTS", FMT_UINT},
	{"worker", "WORKER", FMT_UINT},
	{0},
};

static const struct cmd_col count_cols[] = {
	{"key", "KEY", FMT_ANY},
	{"count", "CONNS", FMT_UINT},
	{0},
};

/* A full page may not be all there is: say so, but not on standard output. */
static int run_show(const struct cmd_call *call)
{
	const json_t *const limit = json_object_get(call->params, "limit");
	const size_t n_max = limit == NULL ? CONN_LIMIT : (size_t)json_integer_value(limit);
	json_t *result;
	const int exit = cli_ask(call, call->params, &result);

	if (exit != EXIT_DONE)
		return exit;
	clishow_result(call, result);
	if (!call->is_json && json_array_size(json_object_get(result, "items")) >= n_max) {
		fflush(call->io->out);
		fprintf(call->io->err,
			"millrace: only the first %zu are shown; see --limit, and conn count\n",
			n_max);
	}
	json_decref(result);
	return EXIT_DONE;
}

static const struct cmd cmds[] = {
	{
		.path = "conn show",
		.method = "conn.show",
		.summary = "list connections that the dataplane tracks",
		.text = "Filters combine: a connection must match all of them. The packet path is not "
			"stopped for the list, so an entry that changes meanwhile may be missing.",
		CMD_PARAMS(show_params),
		.cols = show_cols,
		.empty = "no connections",
		.examples = "millrace conn show --service shop --limit 20\n"
			    "millrace conn show --backend web/web1 --state established\n"
			    "millrace conn show --client 192.0.2.7\n",
		.run = run_show,
	},
	{
		.path = "conn count",
		.method = "conn.count",
		.summary = "count connections by service, backend or state",
		CMD_PARAMS(count_params),
		.cols = count_cols,
		.empty = "no connections",
		.examples = "millrace conn count\n"
			    "millrace conn count --by backend\n",
	},
};

const struct cmd_family cmd_conn_family = {
	.name = "conn",
	.summary = "connections in the tables of the dataplane",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
