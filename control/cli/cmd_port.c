/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_port — `millrace port …`; see cmd.h. */
#include "cli/families.h"

static const struct cmd_param params[] = {
	{.name = "NAME", .key = "name", .kind = CMD_PORT, .help = "only this port"},
};

static void put_link(const json_t *item, char *buf, size_t size)
{
	const json_t *const up = json_object_get(item, "link_up");

	snprintf(buf, size, "%s", json_is_true(up) ? "up" : json_is_false(up) ? "down" : "-");
}

/* 0 Mbit/s stands for a speed that the device does not tell. */
static void put_speed(const json_t *item, char *buf, size_t size)
{
	const long long mbps = json_integer_value(json_object_get(item, "link_mbps"));

	if (mbps > 0)
		snprintf(buf, size, "%lld", mbps);
	else
		snprintf(buf, size, "-");
}

static const struct cmd_col show_cols[] = {
	{"name", "PORT", FMT_ANY},
	{"link_up", "LINK", FMT_STATE, .custom = put_link},
	{"link_mbps", "Mbit/s", FMT_UINT, .custom = put_speed},
	{"mtu_bytes", "MTU BYTES", FMT_UINT},
	{"mac", "MAC", FMT_ANY},
	{"driver", "DRIVER", FMT_ANY},
	{"n_rx_queues", "RX QUEUES", FMT_UINT},
	{"n_tx_queues", "TX QUEUES", FMT_UINT},
	{"spread", "SPREAD", FMT_ANY},
	{"kernel_ifname", "KERNEL IF", FMT_ANY},
	{"device", "DEVICE", FMT_ANY},
	{0},
};

static const struct cmd_col show_record[] = {
	{"name", "port", FMT_ANY},
	{"device", "device", FMT_ANY},
	{"driver", "driver", FMT_ANY},
	{"mac", "mac", FMT_ANY},
	{"link_up", "link", FMT_STATE, .custom = put_link},
	{"link_mbps", "link Mbit/s", FMT_UINT, .custom = put_speed},
	{"mtu_bytes", "mtu bytes", FMT_UINT},
	{"n_rx_queues", "rx queues", FMT_UINT},
	{"n_tx_queues", "tx queues", FMT_UINT},
	{"offloads", "offloads", FMT_ANY},
	{"spread", "spread", FMT_ANY},
	{"kernel_ifname", "kernel interface", FMT_ANY},
	{0},
};

static const struct cmd_col stats_cols[] = {
	{"name", "PORT", FMT_ANY},
	{"rx_packets", "RX PKTS", FMT_UINT},
	{"rx_bytes", "RX BYTES", FMT_UINT},
	{"rx_missed", "RX MISSED", FMT_UINT},
	{"rx_errors", "RX ERRORS", FMT_UINT},
	{"rx_no_mbuf", "RX NO MBUF", FMT_UINT},
	{"tx_packets", "TX PKTS", FMT_UINT},
	{"tx_bytes", "TX BYTES", FMT_UINT},
	{"tx_errors", "TX ERRORS", FMT_UINT},
	{0},
};

static const struct cmd cmds[] = {
	{
		.path = "port show",
		.method = "port.show",
		.summary = "show ports, their devices and links",
		.text = "SPREAD is how flows reach the workers: by the hash of the device (rss), by "
			"software over mailboxes (software), or not at all (single).",
		CMD_PARAMS(params),
		.cols = show_cols,
		.record = show_record,
		.empty = "no ports",
		.examples = "millrace port show\n"
			    "millrace port show north\n",
	},
	{
		.path = "port stats",
		.method = "port.stats",
		.summary = "show the counters of the devices",
		.text = "Since the start of the dataplane. RX MISSED are packets that found the queue of "
			"the device full.",
		CMD_PARAMS(params),
		.cols = stats_cols,
		.empty = "no ports",
		.examples = "millrace port stats\n"
			    "millrace -o json port stats north\n",
	},
};

const struct cmd_family cmd_port_family = {
	.name = "port",
	.summary = "ports and their devices",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
