/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_conn — `millrace conn …`; see cmd.h. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "cli/report.h"
#include "millrace/types.h"

#include <string.h>

#define CONN_LIMIT_MAX 20000

#define STATE_TEXT(sym, value, text) text,
static const char *const states[] = {MR_CONN_STATES(STATE_TEXT) NULL};
static const char *const keys[] = {"service", "backend", "state", "client", NULL};

/* clang-format off: a row each */
#define FILTER_PARAMS \
	{.name = "--service", \
		.key = "service", \
		.value = "NAME", \
		.kind = CMD_SERVICE, \
		.help = "only this service"}, \
		{.name = "--backend", \
			.key = "backend", \
			.value = "[POOL/]NAME", \
			.kind = CMD_BACKEND, \
			.is_partial = true, \
			.help = "only this backend; without a pool, of every pool"}, \
		{.name = "--client", \
			.key = "client", \
			.value = "ADDR[/LEN]", \
			.kind = CMD_PREFIX, \
			.help = "only this client, or clients of this network"}, \
		{.name = "--state", \
			.key = "state", \
			.value = "STATE", \
			.kind = CMD_CHOICE, \
			.choices = states + 1, /* without "none" */ \
			.help = "only this state: syn, syn-ack, established, fin, closed, udp"}, \
		{.name = "--older-than", \
			.key = "older_than_ms", \
			.value = "TIME", \
			.kind = CMD_DURATION, \
			.help = "begun at least so long ago: 500ms, 10s, 2m"}, \
		{.name = "--younger-than", \
			.key = "younger_than_ms", \
			.value = "TIME", \
			.kind = CMD_DURATION, \
			.help = "begun less long ago"}, \
		{.name = "--idle-longer-than", \
			.key = "idle_longer_than_ms", \
			.value = "TIME", \
			.kind = CMD_DURATION, \
			.help = "last packet at least so long ago"}, \
	{ \
		.name = "--idle-shorter-than", .key = "idle_shorter_than_ms", .value = "TIME", \
		.kind = CMD_DURATION, .help = "last packet less long ago" \
	}
/* clang-format on */

static const struct cmd_param show_params[] = {
	FILTER_PARAMS,
	{.name = "--limit",
		.key = "limit",
		.value = "N",
		.kind = CMD_UINT,
		.min = 1,
		.max = CONN_LIMIT_MAX,
		.help = "at most so many (default: 1000)"},
	{.name = "--tcp",
		.key = "tcp",
		.kind = CMD_FLAG,
		.help = "only connections to caches, with what their TCP knows of them"},
};

static const struct cmd_param count_params[] = {
	{.name = "--by",
		.key = "by",
		.value = "KEY",
		.kind = CMD_CHOICE,
		.choices = keys,
		.help = "service (default), backend, state or client"},
	FILTER_PARAMS,
	{.name = "--prefix",
		.key = "prefix",
		.value = "LEN",
		.kind = CMD_UINT,
		.min = 1,
		.max = 32,
		.help = "--by client: IPv4 networks of this length (default: 32)"},
	{.name = "--prefix6",
		.key = "prefix6",
		.value = "LEN",
		.kind = CMD_UINT,
		.min = 1,
		.max = 128,
		.help = "--by client: IPv6 networks of this length (default: 128)"},
	{.name = "--top",
		.key = "top",
		.value = "N",
		.kind = CMD_UINT,
		.min = 1,
		.max = CONN_LIMIT_MAX,
		.help = "only the N largest (default: 20 clients, 1000 of the others)"},
};

static const struct cmd_param kill_params[] = {
	FILTER_PARAMS,
	{.name = "--all",
		.key = "all",
		.kind = CMD_FLAG,
		.help = "all connections, without a filter"},
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
	{"age_ms", "AGE", FMT_MS},
	{"idle_ms", "IDLE", FMT_MS},
	{"expires_ms", "EXPIRES IN", FMT_MS},
	{"packets", "PKTS", FMT_UINT},
	{"worker", "WORKER", FMT_UINT},
	{0},
};

/* Of connections that end here. */
static const struct cmd_col tcp_cols[] = {
	{"service", "SERVICE", FMT_ANY},
	{"client", "CLIENT", FMT_ENDPOINT, "client_port"},
	{"vip", "VIP", FMT_ENDPOINT, "vip_port"},
	{"tcp_state", "TCP STATE", FMT_ANY},
	{"age_ms", "AGE", FMT_MS},
	{"idle_ms", "IDLE", FMT_MS},
	{"requests", "REQUESTS", FMT_UINT},
	{"srtt_us", "SRTT us", FMT_UINT},
	{"rto_us", "RTO us", FMT_UINT},
	{"cwnd_bytes", "CWND", FMT_UINT},
	{"in_flight_bytes", "IN FLIGHT", FMT_UINT},
	{"queued_bytes", "QUEUED", FMT_UINT},
	{"unread_bytes", "UNREAD", FMT_UINT},
	{"partial_bytes", "PARTIAL", FMT_UINT},
	{"retransmits", "RETRANSMITS", FMT_UINT},
	{"worker", "WORKER", FMT_UINT},
	{0},
};

static const struct cmd_col count_cols[] = {
	{"key", "KEY", FMT_ANY},
	{"count", "CONNS", FMT_UINT},
	{0},
};

static const struct cmd_col kill_cols[] = {
	{"killed", "KILLED", FMT_UINT},
	{0},
};

/* A span of time that ends before it begins has no connection in it. */
static int check_span(const struct cmd_call *call, const char *min_key, const char *min_name,
	const char *below_key, const char *below_name)
{
	const json_t *const min = json_object_get(call->params, min_key);
	const json_t *const below = json_object_get(call->params, below_key);

	if (min == NULL || below == NULL || json_integer_value(min) < json_integer_value(below))
		return EXIT_DONE;
	return report_usage(call, NULL, "%s: %s must be less than %s, else nothing can match",
		call->cmd->path, min_name, below_name);
}

/* What the options say of each other. */
static int check(const struct cmd_call *call)
{
	const char *const by = json_string_value(json_object_get(call->params, "by"));
	int rc = check_span(
		call, "older_than_ms", "--older-than", "younger_than_ms", "--younger-than");

	if (rc == EXIT_DONE)
		rc = check_span(call, "idle_longer_than_ms", "--idle-longer-than",
			"idle_shorter_than_ms", "--idle-shorter-than");
	if (rc == EXIT_DONE && (by == NULL || strcmp(by, "client") != 0)
		&& (json_object_get(call->params, "prefix") != NULL
			|| json_object_get(call->params, "prefix6") != NULL))
		rc = report_usage(
			call, NULL, "%s: --prefix and --prefix6 need --by client", call->cmd->path);
	return rc;
}

/* When there are more, that is said, but not on standard output. */
static int run_limited(const struct cmd_call *call)
{
	json_t *result;
	int exit = check(call);

	if (exit == EXIT_DONE)
		exit = cli_ask(call, call->params, &result);
	if (exit != EXIT_DONE)
		return exit;
	if (!call->is_json && json_object_get(call->params, "tcp") != NULL
		&& json_array_size(json_object_get(result, "items")) > 0)
		clishow_table(call, tcp_cols, result);
	else
		clishow_result(call, result);
	if (!call->is_json && json_is_true(json_object_get(result, "more"))) {
		fflush(call->io->out);
		fprintf(call->io->err,
			"millrace: there are more: only the first %zu are shown; see %s\n",
			json_array_size(json_object_get(result, "items")),
			strcmp(call->cmd->path, "conn show") == 0 ? "--limit, and conn count"
								  : "--top");
	}
	json_decref(result);
	return EXIT_DONE;
}

/* A slip of the finger must not end every connection. */
static int run_kill(const struct cmd_call *call)
{
	const bool is_all = json_object_get(call->params, "all") != NULL;
	const size_t n_filters = json_object_size(call->params) - is_all;
	json_t *result;
	int exit;

	if (n_filters == 0 && !is_all)
		return report_usage(call, "see: millrace help conn kill",
			"conn kill: which connections? Give a filter, or --all");
	if (n_filters > 0 && is_all)
		return report_usage(call, NULL, "conn kill: --all goes without a filter");
	exit = check(call);
	if (exit == EXIT_DONE)
		exit = cli_ask(call, call->params, &result);
	if (exit != EXIT_DONE)
		return exit;
	clishow_result(call, result);
	json_decref(result);
	return EXIT_DONE;
}

static const struct cmd cmds[] = {
	{
		.path = "conn show",
		.method = "conn.show",
		.summary = "list connections that the dataplane tracks",
		.text = "Filters combine: a connection must match all of them. The packet path is not "
			"stopped for the list, so an entry that changes meanwhile may be missing. Connections "
			"to a cache over TCP end here and have no backend; with --tcp there are only these, "
			"with their state, round-trip time, windows and queues: QUEUED are bytes of answers "
			"that the client has not acknowledged, UNREAD and PARTIAL bytes of requests that are "
			"not executed yet, or not whole.",
		CMD_PARAMS(show_params),
		.cols = show_cols,
		.empty = "no connections",
		.examples = "millrace conn show --service shop --limit 20\n"
			    "millrace conn show --backend web/web1 --state established\n"
			    "millrace conn show --client 192.0.2.0/24 --older-than 10s\n"
			    "millrace conn show --tcp --service sessions --idle-longer-than 10m\n",
		.run = run_limited,
	},
	{
		.path = "conn count",
		.method = "conn.count",
		.summary = "count connections by service, backend, state or client",
		.text = "Counted in the dataplane, so it works with any number of connections. The filters "
			"are those of `conn show`. Clients can be counted by network.",
		CMD_PARAMS(count_params),
		.cols = count_cols,
		.empty = "no connections",
		.examples = "millrace conn count\n"
			    "millrace conn count --by backend --service shop\n"
			    "millrace conn count --by client --prefix 24 --state syn --top 5\n",
		.run = run_limited,
	},
	{
		.path = "conn kill",
		.method = "conn.kill",
		.summary = "make the dataplane forget connections",
		.text = "Removes the entries that match all filters, as if their time were up. Nobody is "
			"told: no reset is sent, but to clients of a cache over TCP, whose connections end "
			"here. The next packet of a TCP flow without an entry is dropped "
			"(no_conn), but for services that need no entries (dsr-l2, ipip, gue, scheduled by hash); a "
			"SYN or a datagram begins a new flow.",
		CMD_PARAMS(kill_params),
		.cols = kill_cols,
		.examples = "millrace conn kill --client 192.0.2.0/24 --service shop\n"
			    "millrace conn kill --state established --idle-longer-than 5m\n"
			    "millrace conn kill --all\n",
		.run = run_kill,
	},
};

const struct cmd_family cmd_conn_family = {
	.name = "conn",
	.summary = "connections in the tables of the dataplane",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
