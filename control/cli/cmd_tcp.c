/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_tcp — `millrace tcp show`; see cmd.h. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"

static const struct cmd_param show_params[] = {
	{.name = "SERVICE", .key = "name", .kind = CMD_SERVICE, .help = "only this service"},
	{.name = "--all", .key = "all", .kind = CMD_FLAG, .help = "counters that are 0 as well"},
};

static const struct cmd_col service_cols[] = {
	{"name", "SERVICE", FMT_ANY},
	{"vip", "VIP", FMT_ENDPOINT, "port"},
	{"cache", "CACHE", FMT_ANY},
	{"conns", "CONNS", FMT_UINT},
	{"max_connections", "CONNS MAX", FMT_UINT},
	{"conns_total", "CONNS EVER", FMT_UINT},
	{"requests", "REQUESTS", FMT_UINT},
	{"rx_packets", "RX PKTS", FMT_UINT},
	{"rx_bytes", "RX BYTES", FMT_UINT},
	{"tx_packets", "TX PKTS", FMT_UINT},
	{"tx_bytes", "TX BYTES", FMT_UINT},
	{"drops", "DROPPED PKTS", FMT_UINT},
	{0},
};

static const struct cmd_col service_record[] = {
	{"name", "service", FMT_ANY},
	{"vip", "vip", FMT_ENDPOINT, "port"},
	{"cache", "cache", FMT_ANY},
	{"conns", "connections", FMT_UINT},
	{"max_connections", "max connections", FMT_UINT},
	{"conns_total", "connections ever", FMT_UINT},
	{"idle_timeout_ms", "idle time-out", FMT_MS},
	{"requests", "requests", FMT_UINT},
	{"rx_packets", "rx packets", FMT_UINT},
	{"rx_bytes", "rx bytes", FMT_UINT},
	{"tx_packets", "tx packets", FMT_UINT},
	{"tx_bytes", "tx bytes", FMT_UINT},
	{"drops", "dropped packets", FMT_UINT},
	{"acl_drops", "of these by allow, deny", FMT_UINT},
	{0},
};

static const struct cmd_col usage_cols[] = {
	{"name", "RESOURCE", FMT_ANY},
	{"value", "USED", FMT_UINT},
	{"max", "MAX", FMT_UINT},
	{"value", "USED %", FMT_SHARE, "max"},
	{"help", "MEANING", FMT_ANY},
	{0},
};

static const struct cmd_col counter_cols[] = {
	{"name", "COUNTER", FMT_ANY},
	{"value", "VALUE", FMT_UINT},
	{"help", "MEANING", FMT_ANY},
	{0},
};

/* A list of the result as a table of its own, after a blank line. Without zeroes only what is not 0. */
static void show_list(const struct cmd_call *call, const json_t *result, const char *key,
	const struct cmd_col *cols, bool has_zeroes)
{
	json_t *items = json_array(), *list, *item;
	size_t i;

	json_array_foreach(json_object_get(result, key), i, item) {
		if (has_zeroes || json_integer_value(json_object_get(item, "value")) != 0)
			json_array_append(items, item);
	}
	list = json_pack("{s:o}", "items", items);
	if (json_array_size(items) > 0)
		fputc('\n', call->io->out);
	clishow_table(call, cols, list);
	json_decref(list);
}

static int run_show(const struct cmd_call *call)
{
	const bool is_all = json_object_get(call->params, "all") != NULL;
	json_t *result;
	int exit;

	json_object_del(call->params, "all"); /* the daemon tells everything */
	exit = cli_ask(call, call->params, &result);
	if (exit != EXIT_DONE)
		return exit;
	clishow_result(call, result);
	if (!call->is_json && (is_all || json_object_get(call->params, "name") == NULL)) {
		show_list(call, result, "usage", usage_cols, true);
		show_list(call, result, "counters", counter_cols, is_all);
	}
	json_decref(result);
	return EXIT_DONE;
}

static const struct cmd cmds[] = {
	{
		.path = "tcp show",
		.method = "tcp.show",
		.summary = "show caches over TCP, and what their TCP uses and counts",
		.text = "A line for each service, then what is used of all that there is and the "
			"counters that are not 0, of the whole dataplane; with SERVICE only that one. "
			"Counters begin with the dataplane. The connections themselves: millrace conn "
			"show --tcp.",
		CMD_PARAMS(show_params),
		.cols = service_cols,
		.record = service_record,
		.empty = "no caches over tcp",
		.examples = "millrace tcp show\n"
			    "millrace tcp show sessions\n"
			    "millrace -o json tcp show | jq '.usage[] | {name, value, max}'\n",
		.run = run_show,
	},
};

const struct cmd_family cmd_tcp_family = {
	.name = "tcp",
	.summary = "connections that end here: caches over TCP",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
