/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_backend — `millrace backend …`; see cmd.h. */
#include "cli/clishow.h"
#include "cli/families.h"
#include "millrace/api_lb.h"

static const struct cmd_param show_params[] = {
	{.name = "POOL[/NAME]",
		.key = "backend",
		.kind = CMD_POOL_BACKEND,
		.is_partial = true,
		.help = "only this pool, or only this backend"},
};

static const struct cmd_param one_params[] = {
	{.name = "POOL/NAME",
		.key = "backend",
		.kind = CMD_POOL_BACKEND,
		.is_required = true,
		.help = "the backend"},
};

static const struct cmd_param drain_params[] = {
	{.name = "POOL/NAME",
		.key = "backend",
		.kind = CMD_POOL_BACKEND,
		.is_required = true,
		.help = "the backend"},
	{.name = "--deadline",
		.key = "deadline_ms",
		.value = "TIME",
		.kind = CMD_DURATION,
		.help = "flows it still has then are ended (default: none are)"},
};

static const struct cmd_param weight_params[] = {
	{.name = "POOL/NAME",
		.key = "backend",
		.kind = CMD_POOL_BACKEND,
		.is_required = true,
		.help = "the backend"},
	{.name = "N|default",
		.key = "weight",
		.kind = CMD_WEIGHT,
		.max = MR_WEIGHT_MAX,
		.is_required = true,
		.help = "0...1000; default: what the configuration file says"},
};

/* What operators have laid over the file: "drained", "weight 20", both, or "-". */
static void put_override(const json_t *item, char *buf, size_t size)
{
	const bool is_drained = json_is_true(clishow_find(item, "administrative.drained"));
	const json_t *const weight = clishow_find(item, "administrative.weight");

	if (!is_drained && !json_is_integer(weight))
		snprintf(buf, size, "-");
	else if (!json_is_integer(weight))
		snprintf(buf, size, "drained");
	else
		snprintf(buf, size, "%sweight %lld", is_drained ? "drained, " : "",
			(long long)json_integer_value(weight));
}

static const struct cmd_col show_cols[] = {
	{"pool", "BACKEND", FMT_PAIR, "name"},
	{"ip", "ADDRESS", FMT_ENDPOINT, "port"},
	{"effective.state", "STATE", FMT_STATE},
	{"effective.weight", "WEIGHT", FMT_UINT},
	{"operational.state", "HEALTH", FMT_STATE},
	{"operational.since", "FOR", FMT_AGE},
	{"administrative", "OVERRIDE", FMT_ANY, .custom = put_override},
	{"conns", "CONNS", FMT_UINT},
	{"conns_total", "CONNS EVER", FMT_UINT},
	{"rx_packets", "RX PKTS", FMT_UINT},
	{"tx_packets", "TX PKTS", FMT_UINT},
	{0},
};

static const struct cmd_col show_record[] = {
	{"pool", "backend", FMT_PAIR, "name"},
	{"ip", "address", FMT_ENDPOINT, "port"},
	{"services", "services", FMT_ANY},
	{"effective.state", "state", FMT_STATE},
	{"effective.weight", "weight", FMT_UINT},
	{"desired.weight", "weight in the file", FMT_UINT},
	{"max_connections", "max connections", FMT_UINT},
	{"quic_server_id", "QUIC server id", FMT_ANY},
	{"administrative", "override", FMT_ANY, .custom = put_override},
	{"administrative.deadline", "drain deadline", FMT_ANY},
	{"administrative.author", "override by", FMT_ANY},
	{"administrative.time", "override since", FMT_ANY},
	{"operational.state", "health", FMT_STATE},
	{"operational.since", "health since", FMT_ANY},
	{"operational.reason", "health reason", FMT_ANY},
	{"ejected_until", "ejected until", FMT_ANY},
	{"panic_services", "used in panic by", FMT_ANY},
	{"conns", "connections", FMT_UINT},
	{"conns_total", "connections ever", FMT_UINT},
	{"rx_packets", "rx packets", FMT_UINT},
	{"rx_bytes", "rx bytes", FMT_UINT},
	{"tx_packets", "tx packets", FMT_UINT},
	{"tx_bytes", "tx bytes", FMT_UINT},
	{"opened", "SYNs answered", FMT_UINT},
	{"open_failures", "flows that failed", FMT_UINT},
	{"path_mtu", "path MTU", FMT_UINT},
	{0},
};

static const struct cmd cmds[] = {
	{
		.path = "backend show",
		.method = "backend.show",
		.summary = "show backends: state, weight, health, traffic",
		.text = "STATE and WEIGHT are what the dataplane is told; HEALTH is what the checks say "
			"and FOR how long; OVERRIDE is what an operator has laid over the file. A "
			"pool that several services use counts the traffic of all of them.",
		CMD_PARAMS(show_params),
		.cols = show_cols,
		.record = show_record,
		.empty = "no backends",
		.examples = "millrace backend show\n"
			    "millrace backend show web\n"
			    "millrace backend show web/web1\n",
	},
	{
		.path = "backend drain",
		.method = "backend.drain",
		.summary = "give a backend no new flows; those it has go on",
		.text = "Survives restarts of the daemon and new configurations until `backend undrain`. "
			"`wait drained` waits for its last connection to end. When the time of "
			"--deadline is over, the state is \"evict\": a TCP flow that is left gets a "
			"reset with the next packet of its client, or moves to another backend where "
			"its service has `on_backend_down: move`; UDP flows move. Draining again sets "
			"another deadline, or none.",
		CMD_PARAMS(drain_params),
		.cols = show_cols,
		.examples = "millrace backend drain web/web1\n"
			    "millrace backend drain web/web1 --deadline 10m\n"
			    "millrace backend drain web/web1 && millrace wait drained web/web1\n",
	},
	{
		.path = "backend undrain",
		.method = "backend.undrain",
		.summary = "give a drained backend new flows again",
		CMD_PARAMS(one_params),
		.cols = show_cols,
		.examples = "millrace backend undrain web/web1\n",
	},
	{
		.path = "backend weight",
		.method = "backend.weight",
		.summary = "set the weight of a backend, whatever the file says",
		.text = "New flows are shared out by weight; flows that exist stay where they are. Survives "
			"restarts and new configurations until `default` takes it back. 0 takes no "
			"new flows.",
		CMD_PARAMS(weight_params),
		.cols = show_cols,
		.examples = "millrace backend weight web/web1 20\n"
			    "millrace backend weight web/web1 default\n",
	},
};

const struct cmd_family cmd_backend_family = {
	.name = "backend",
	.summary = "backends: state, draining, weights",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
