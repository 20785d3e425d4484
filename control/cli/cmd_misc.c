/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_misc — `millrace neigh`, `worker`, `drops` and `status`; see cmd.h. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"

static const struct cmd_param drops_params[] = {
	{.name = "--all",
		.key = "all",
		.kind = CMD_FLAG,
		.help = "every counter, also those that are 0 or no drops"},
};

static const struct cmd_col neigh_cols[] = {
	{"port", "PORT", FMT_ANY},
	{"ip", "ADDRESS", FMT_ANY},
	{"mac", "MAC", FMT_ANY},
	{"state", "STATE", FMT_STATE},
	{"age_ms", "CONFIRMED AGO", FMT_MS},
	{0},
};

static const struct cmd_col worker_cols[] = {
	{"worker", "WORKER", FMT_UINT},
	{"lcore", "LCORE", FMT_UINT},
	{"busy_loops", "BUSY %", FMT_SHARE, "loops"},
	{"loops", "LOOPS", FMT_UINT},
	{"sleeps", "SLEEPS", FMT_UINT},
	{"rx_packets", "RX PKTS", FMT_UINT},
	{"tx_packets", "TX PKTS", FMT_UINT},
	{"handed_over", "HANDED OVER PKTS", FMT_UINT},
	{"conns", "CONNS", FMT_UINT},
	{"conns_max", "CONNS MAX", FMT_UINT},
	{0},
};

static const struct cmd_col stage_cols[] = {
	{"worker", "WORKER", FMT_UINT},
	{"timed_packets", "TIMED PKTS", FMT_UINT},
	{"rx_cycles", "RX", FMT_PER, "timed_packets"},
	{"parse_cycles", "PARSE", FMT_PER, "timed_packets"},
	{"classify_cycles", "CLASSIFY", FMT_PER, "timed_packets"},
	{"answer_cycles", "ANSWER", FMT_PER, "timed_packets"},
	{"serve_cycles", "SERVE", FMT_PER, "timed_packets"},
	{"balance_cycles", "BALANCE", FMT_PER, "timed_packets"},
	{"finish_cycles", "FINISH", FMT_PER, "timed_packets"},
	{"timers_cycles", "TIMERS", FMT_PER, "timed_packets"},
	{"tx_cycles", "TX", FMT_PER, "timed_packets"},
	{0},
};

static const struct cmd_col drops_cols[] = {
	{"name", "REASON", FMT_ANY},
	{"value", "PKTS", FMT_UINT},
	{"help", "MEANING", FMT_ANY},
	{0},
};

static const struct cmd_col all_cols[] = {
	{"name", "COUNTER", FMT_ANY},
	{"value", "VALUE", FMT_UINT},
	{"unit", "UNIT", FMT_ANY},
	{"is_drop", "DROP", FMT_ANY},
	{"help", "MEANING", FMT_ANY},
	{0},
};

static const struct cmd_col status_record[] = {
	{NULL, "daemon", FMT_ANY},
	{"daemon.version", "  version", FMT_ANY},
	{"daemon.node", "  node", FMT_ANY},
	{"daemon.pid", "  pid", FMT_UINT},
	{"daemon.uptime_seconds", "  uptime", FMT_SECONDS},
	{"daemon.generation", "  generation", FMT_UINT},
	{"daemon.applied", "  applied", FMT_ANY},
	{"daemon.author", "  author", FMT_ANY},
	{"daemon.config_file", "  configuration file", FMT_ANY},
	{"daemon.config_differs", "  file differs", FMT_ANY},
	{"daemon.pending", "  pending", FMT_ANY},
	{"daemon.last_error", "  last error", FMT_ANY},
	{NULL, "dataplane", FMT_ANY},
	{"dataplane.connected", "  connected", FMT_STATE},
	{"dataplane.in_sync", "  in sync", FMT_STATE},
	{"dataplane.program", "  program", FMT_ANY},
	{"dataplane.socket", "  socket", FMT_ANY},
	{"dataplane.pid", "  pid", FMT_UINT},
	{"dataplane.uptime_seconds", "  uptime", FMT_SECONDS},
	{"dataplane.generation", "  generation", FMT_UINT},
	{"dataplane.digest", "  digest", FMT_ANY},
	{"dataplane.publish_us", "  last publish us", FMT_UINT},
	{"dataplane.n_workers", "  workers", FMT_UINT},
	{"dataplane.n_ports", "  ports", FMT_UINT},
	{"dataplane.conns", "  connections", FMT_UINT},
	{"dataplane.conns_max", "  connections max", FMT_UINT},
	{"dataplane.mbufs", "  packet buffers in use", FMT_UINT},
	{"dataplane.mbufs_max", "  packet buffers", FMT_UINT},
	{NULL, "services", FMT_ANY},
	{"services.total", "  total", FMT_UINT},
	{NULL, "backends", FMT_ANY},
	{"backends.total", "  total", FMT_UINT},
	{"backends.up", "  up", FMT_UINT},
	{"backends.drain", "  draining", FMT_UINT},
	{"backends.down", "  down", FMT_UINT},
	{0},
};

static int run_drops(const struct cmd_call *call)
{
	const bool is_all = json_object_get(call->params, "all") != NULL;
	json_t *result;
	const int exit = cli_ask(call, call->params, &result);

	if (exit != EXIT_DONE)
		return exit;
	if (is_all && !call->is_json)
		clishow_table(call, all_cols, result);
	else
		clishow_result(call, result);
	json_decref(result);
	return EXIT_DONE;
}

static const struct cmd neigh_cmds[] = {
	{
		.path = "neigh show",
		.method = "neigh.show",
		.summary = "show the neighbours (ARP and NDP) of the dataplane",
		.cols = neigh_cols,
		.empty = "no neighbours",
		.examples = "millrace neigh show\n",
	},
};

static const struct cmd worker_cmds[] = {
	{
		.path = "worker show",
		.method = "worker.show",
		.summary = "show the workers: load, packets, connections",
		.text = "BUSY % is the share of loops that received a packet since the start. HANDED "
			"OVER are packets passed to the worker that owns their flow.",
		.cols = worker_cols,
		.empty = "no workers",
		.examples = "millrace worker show\n",
	},
	{
		.path = "worker stages",
		.method = "worker.show",
		.summary = "show where the workers' time goes: cycles of a packet, by stage",
		.text = "Since the start, of one loop in 509 that received packets. RX and TX: the "
			"ports' drivers. PARSE: headers and checksums. CLASSIFY: the service, or what the address "
			"is to us, and which worker owns the flow. ANSWER: ARP, NDP, echo and fragments. SERVE: "
			"caches. BALANCE: connections, backends, headers. FINISH: queueing and dropping. TIMERS: "
			"mailboxes, timers and sweeps. Cycles are the time stamp counter's; what a packet costs "
			"falls as bursts grow.",
		.cols = stage_cols,
		.empty = "no workers",
		.examples = "millrace worker stages\n",
	},
};

static const struct cmd cmds[] = {
	{
		.path = "drops",
		.method = "drops.show",
		.summary = "show why packets were dropped",
		.text = "Since the start of the dataplane. Every dropped packet counts under exactly one "
			"reason; reasons that never happened are left out.",
		CMD_PARAMS(drops_params),
		.cols = drops_cols,
		.empty = "no drops",
		.examples = "millrace drops\n"
			    "millrace drops --all\n",
		.run = run_drops,
	},
	{
		.path = "status",
		.method = "status",
		.summary = "show the state of the daemon and the dataplane",
		.text = "The generation of the daemon counts applied configurations; that of the dataplane "
			"counts everything published to it, health changes too.",
		.record = status_record,
		.examples = "millrace status\n"
			    "millrace -o json status | jq '.items[0].dataplane.in_sync'\n",
	},
};

const struct cmd_family cmd_misc_neigh_family = {
	.name = "neigh",
	.summary = "neighbours on the connected networks",
	.cmds = neigh_cmds,
	.n_cmds = sizeof(neigh_cmds) / sizeof(neigh_cmds[0]),
};

const struct cmd_family cmd_misc_worker_family = {
	.name = "worker",
	.summary = "worker cores of the dataplane",
	.cmds = worker_cmds,
	.n_cmds = sizeof(worker_cmds) / sizeof(worker_cmds[0]),
};

const struct cmd_family cmd_misc_family = {
	.summary = "the whole system",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
