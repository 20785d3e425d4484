/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_health — `millrace health …`; see cmd.h. */
#include "cli/families.h"

static const struct cmd_param show_params[] = {
	{.name = "POOL", .key = "pool", .kind = CMD_POOL, .help = "only this pool"},
};

static const struct cmd_col show_cols[] = {
	{"pool", "BACKEND", FMT_PAIR, "name"},
	{"ip", "ADDRESS", FMT_ENDPOINT, "port"},
	{"check", "CHECK", FMT_ANY},
	{"type", "TYPE", FMT_ANY},
	{"via", "VIA", FMT_ANY},
	{"state", "STATE", FMT_STATE},
	{"since", "FOR", FMT_AGE},
	{"passes", "PASSES", FMT_PAIR, "rise"},
	{"failures", "FAILURES", FMT_PAIR, "fall"},
	{"latency_seconds", "LATENCY", FMT_SECONDS},
	{"checked", "CHECKED", FMT_AGE},
	{"result", "LAST RESULT", FMT_ANY},
	{0},
};

static const struct cmd cmds[] = {
	{
		.path = "health show",
		.method = "health.show",
		.summary = "show what the health checks see",
		.text = "PASSES and FAILURES are results in a row, of those that change the state. "
			"CHECKED is how long ago the last check ended. VIA is the service by whose path "
			"the check goes; -: straight to the backend.",
		CMD_PARAMS(show_params),
		.cols = show_cols,
		.empty = "no backends",
		.examples = "millrace health show\n"
			    "millrace health show web\n",
	},
};

const struct cmd_family cmd_health_family = {
	.name = "health",
	.summary = "health checks and their results",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
