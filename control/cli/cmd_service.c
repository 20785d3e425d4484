/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_service — `millrace service …`; see cmd.h. */
#include "cli/families.h"

#define PREFIXES_MAX 8 /* of a list in its line; all of them are in the JSON */

static void put_prefixes(const json_t *list, char *buf, size_t size)
{
	const size_t n = json_array_size(list);
	size_t used = 0;

	snprintf(buf, size, "-");
	for (size_t i = 0; i < n && i < PREFIXES_MAX && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? "," : "",
			json_string_value(json_array_get(list, i)));
	if (n > PREFIXES_MAX && used < size)
		snprintf(buf + used, size - used, " and %zu more", n - PREFIXES_MAX);
}

static void put_allow(const json_t *item, char *buf, size_t size)
{
	put_prefixes(json_object_get(item, "allow"), buf, size);
}

static void put_deny(const json_t *item, char *buf, size_t size)
{
	put_prefixes(json_object_get(item, "deny"), buf, size);
}

/* Where its clients are served from. */
static void put_pool(const json_t *item, char *buf, size_t size)
{
	const char *pool = json_string_value(json_object_get(item, "pool"));
	const char *cache = json_string_value(json_object_get(item, "cache"));

	snprintf(buf, size, "%s%s", pool == NULL && cache != NULL ? "cache " : "",
		pool != NULL            ? pool
			: cache != NULL ? cache
					: "-");
}

static const struct cmd_param show_params[] = {
	{.name = "NAME", .key = "name", .kind = CMD_SERVICE, .help = "only this service"},
};

static const struct cmd_col show_cols[] = {
	{"name", "SERVICE", FMT_ANY},
	{"vip", "VIP", FMT_ENDPOINT, "port"},
	{"proto", "PROTO", FMT_ANY},
	{"mode", "MODE", FMT_ANY},
	{"scheduler", "SCHEDULER", FMT_ANY},
	{.header = "POOL", .custom = put_pool},
	{"backends_up", "UP", FMT_OF, "backends_total"},
	{"panic_since", "PANIC", FMT_AGE},
	{"conns", "CONNS", FMT_UINT},
	{"conns_per_second", "CONNS/s", FMT_RATE},
	{"rx_packets_per_second", "RX PKTS/s", FMT_RATE},
	{"tx_packets_per_second", "TX PKTS/s", FMT_RATE},
	{"drops", "DROPPED PKTS", FMT_UINT},
	{0},
};

static const struct cmd_col show_record[] = {
	{"name", "service", FMT_ANY},
	{"vip", "vip", FMT_ENDPOINT, "port"},
	{"proto", "protocol", FMT_ANY},
	{"mode", "mode", FMT_ANY},
	{"gue_port", "GUE port", FMT_UINT},
	{"path_mtu", "path MTU", FMT_UINT},
	{"quic_server_id_length", "QUIC server id bytes", FMT_UINT},
	{"quic_server_id_offset", "QUIC server id at", FMT_UINT},
	{"quic_config_id", "QUIC-LB config id", FMT_UINT},
	{"mss", "MSS", FMT_UINT},
	{"client_address", "client address", FMT_ANY},
	{"scheduler", "scheduler", FMT_ANY},
	{"hash", "hash", FMT_ANY},
	{"source_prefix", "source prefix", FMT_UINT},
	{"load_bound_percent", "load bound %", FMT_UINT},
	{.header = "allow", .custom = put_allow},
	{.header = "deny", .custom = put_deny},
	{"max_connections", "max connections", FMT_UINT},
	{"new_connections_per_second", "max connections/s", FMT_UINT},
	{"source_rate", "of one source", FMT_UINT},
	{"source_rate_prefix", "source prefix of that", FMT_UINT},
	{"insert_rate", "entries/s", FMT_UINT},
	{"syn_cookies", "cookies above SYNs/s", FMT_UINT},
	{"packets_per_second", "max packets/s", FMT_UINT},
	{"on_backend_down", "if a backend is down", FMT_ANY},
	{"cache", "cache", FMT_ANY},
	{"requests", "requests", FMT_UINT},
	{"reply_rate_bytes_per_second", "max reply bytes/s", FMT_UINT},
	{"pool", "pool", FMT_ANY},
	{"check", "check", FMT_ANY},
	{"backends_up", "backends up", FMT_OF, "backends_total"},
	{"backends_drain", "backends draining", FMT_UINT},
	{"backends_down", "backends down", FMT_UINT},
	{"panic_threshold_percent", "panic threshold %", FMT_UINT},
	{"panic_since", "in panic since", FMT_ANY},
	{"conns", "connections", FMT_UINT},
	{"conns_total", "connections ever", FMT_UINT},
	{"conns_per_second", "connections/s", FMT_RATE},
	{"rx_packets", "rx packets", FMT_UINT},
	{"rx_packets_per_second", "rx packets/s", FMT_RATE},
	{"rx_bytes", "rx bytes", FMT_UINT},
	{"rx_bytes_per_second", "rx bytes/s", FMT_RATE},
	{"tx_packets", "tx packets", FMT_UINT},
	{"tx_packets_per_second", "tx packets/s", FMT_RATE},
	{"tx_bytes", "tx bytes", FMT_UINT},
	{"tx_bytes_per_second", "tx bytes/s", FMT_RATE},
	{"drops", "dropped packets", FMT_UINT},
	{"acl_drops", "of these by allow, deny", FMT_UINT},
	{0},
};

static const struct cmd cmds[] = {
	{
		.path = "service show",
		.method = "service.show",
		.summary = "show services, their backends and traffic",
		.text = "Without NAME one line for each service; with NAME everything about it. UP is "
			"the number of backends that take new flows, of all backends of the pool; PANIC "
			"is for how long all of them do, whatever their checks say (panic_threshold). "
			"Rates are those of the last seconds; \"-\" means not known, for instance while "
			"the dataplane is away.",
		CMD_PARAMS(show_params),
		.cols = show_cols,
		.record = show_record,
		.empty = "no services",
		.examples = "millrace service show\n"
			    "millrace service show shop\n"
			    "millrace -o json service show | jq '.items[].conns'\n",
	},
};

const struct cmd_family cmd_service_family = {
	.name = "service",
	.summary = "services: virtual addresses and what they do",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
