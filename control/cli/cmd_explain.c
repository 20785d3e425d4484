/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_explain — `millrace explain`: the steps of the packet path for one packet, a line each; see cmd.h. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "lib/text.h"
#include "millrace/types.h"

#include <string.h>

#define PROTO_TEXT(sym, value, text) text,
static const char *const protos[] = {MR_PROTOS(PROTO_TEXT) NULL};

static const struct cmd_param params[] = {
	{.name = "PROTO",
		.key = "proto",
		.kind = CMD_CHOICE,
		.choices = protos,
		.is_required = true,
		.help = "tcp or udp"},
	{.name = "CLIENT",
		.key = "client",
		.kind = CMD_ENDPOINT,
		.is_required = true,
		.help = "where the packet comes from: 192.0.2.7:40000, [2001:db8::7]:40000"},
	{.name = "VIP",
		.key = "vip",
		.kind = CMD_ENDPOINT,
		.is_required = true,
		.help = "where it goes to: the service's address and port"},
	{.name = "--segment",
		.key = "segment",
		.kind = CMD_FLAG,
		.help = "TCP: a segment that begins no connection, instead of a SYN"},
};

static const char *text_of(const json_t *item, const char *key)
{
	return json_string_value(json_object_get(item, key));
}

static bool is_true(const json_t *item, const char *key)
{
	return json_is_true(json_object_get(item, key));
}

static bool is_told(const json_t *item, const char *key)
{
	const json_t *v = json_object_get(item, key);

	return v != NULL && !json_is_null(v);
}

static long long number_of(const json_t *item, const char *key)
{
	return (long long)json_integer_value(json_object_get(item, key));
}

/* Appends, as far as there is room. */
static void __attribute__((format(printf, 3, 4)))
append(char *buf, size_t size, const char *format, ...)
{
	const size_t n = strlen(buf);
	va_list ap;

	va_start(ap, format);
	vsnprintf(buf + n, size - n, format, ap);
	va_end(ap);
}

/* "connections 12 of 50", or "connections 12" where there is no limit. */
static void append_of(
	char *buf, size_t size, const json_t *item, const char *key, const char *max_key)
{
	append(buf, size, "connections %lld", number_of(item, key));
	if (is_told(item, max_key))
		append(buf, size, " of %lld", number_of(item, max_key));
}

/* Not of a datagram to a cache, which has no flows. */
static bool has_conns(const json_t *item)
{
	return is_told(item, "service_conns");
}

/* To a service whose clients are served from a cache. */
static bool is_of_cache(const json_t *item)
{
	const char *const mode = text_of(item, "mode");

	return mode != NULL && strcmp(mode, "cache") == 0;
}

static void put_destination(const json_t *item, char *buf, size_t size)
{
	const char *const service = text_of(item, "service");
	const char *const address = text_of(item, "address");
	const char *const drop = text_of(item, "drop");

	if (service != NULL)
		append(buf, size, "service %s", service);
	else if (address == NULL || strcmp(address, "none") == 0)
		append(buf, size, "no address of ours");
	else if (strcmp(address, "virtual") == 0)
		append(buf, size, "a VIP%s", /* or it ended before a service was looked for */
			drop != NULL && strcmp(drop, "no_service") == 0
				? " without a service on this port and protocol"
				: "");
	else if (strcmp(address, "snat") == 0)
		append(buf, size, "a SNAT address, where backends answer to");
	else
		append(buf, size, "an address of the box itself");
}

static void put_owner(const json_t *item, char *buf, size_t size)
{
	if (is_told(item, "worker"))
		append(buf, size, "worker %lld of %lld, by Toeplitz hash %s",
			number_of(item, "worker"), number_of(item, "n_workers"),
			text_of(item, "rss_hash"));
}

static void put_entry(const json_t *item, char *buf, size_t size)
{
	const char *const to = text_of(item, "conn_backend");
	char age[32], idle[32], left[32];

	if (!has_conns(item))
		return;
	if (!is_true(item, "has_entry")) {
		append(buf, size, "none");
		return;
	}
	text_duration(age, sizeof(age), (double)number_of(item, "age_ms") / 1000);
	text_duration(idle, sizeof(idle), (double)number_of(item, "idle_ms") / 1000);
	text_duration(left, sizeof(left), (double)number_of(item, "expires_ms") / 1000);
	append(buf, size, "%s%s%s, age %s, idle %s", text_of(item, "conn_state"),
		to != NULL ? ", to " : "", to != NULL ? to : "", age, idle);
	if (is_told(item, "expires_ms"))
		append(buf, size, ", expires in %s", left);
	if (is_told(item, "packets"))
		append(buf, size, ", %lld packets", number_of(item, "packets"));
}

static void put_limits(const json_t *item, char *buf, size_t size)
{
	if (!has_conns(item))
		return;
	append_of(buf, size, item, "service_conns", "service_conns_max");
	if (is_told(item, "flows_left"))
		append(buf, size, ", room for %lld new ones now", number_of(item, "flows_left"));
	if (is_told(item, "source_left"))
		append(buf, size, ", for %lld of this source", number_of(item, "source_left"));
	if (is_told(item, "syns_left"))
		append(buf, size, ", for %lld SYNs before cookies", number_of(item, "syns_left"));
	if (is_told(item, "packets_left"))
		append(buf, size, ", for %lld packets", number_of(item, "packets_left"));
}

static void put_scheduler(const json_t *item, char *buf, size_t size)
{
	const char *const scheduler = text_of(item, "scheduler");
	const char *const to = text_of(item, "scheduled");

	if (scheduler == NULL)
		return;
	append(buf, size, "%s would name %s", scheduler,
		to != NULL ? to : "nobody: no backend is up and has a weight");
	if (mr_sched_is_hashing((unsigned)mr_sched_find(scheduler)))
		append(buf, size, ", by hash %s", text_of(item, "flow_hash"));
}

static void put_flow(const json_t *item, char *buf, size_t size)
{
	if (!has_conns(item)
		|| (is_of_cache(item) && strcmp(text_of(item, "verdict"), "served") != 0))
		return;
	if (is_of_cache(item))
		append(buf, size, is_true(item, "is_new") ? "would be new" : "goes on");
	else if (is_true(item, "is_stateless"))
		append(buf, size, "needs no entry and would get none");
	else if (strcmp(text_of(item, "verdict"), "reset") == 0)
		append(buf, size, "would end");
	else if (strcmp(text_of(item, "verdict"), "cookie") == 0)
		append(buf, size, "would be new when the client sends the cookie back");
	else if (is_true(item, "may_be_cookie"))
		append(buf, size, "would be new if the segment brings a cookie");
	else if (!is_true(item, "is_new"))
		append(buf, size, "goes on as its entry says");
	else if (is_true(item, "has_entry"))
		append(buf, size, "would begin anew on the entry");
	else
		append(buf, size, "would be new");
}

static void put_backend(const json_t *item, char *buf, size_t size)
{
	char at[80];

	if (text_of(item, "backend") == NULL)
		return;
	append(buf, size, "%s at %s, %s, weight %lld, ", text_of(item, "backend"),
		text_endpoint(at, sizeof(at), text_of(item, "backend_ip"),
			(unsigned)number_of(item, "backend_port")),
		text_of(item, "backend_state"), number_of(item, "backend_weight"));
	append_of(buf, size, item, "backend_conns", "backend_conns_max");
}

static void put_snat(const json_t *item, char *buf, size_t size)
{
	char at[80];

	if (text_of(item, "snat") != NULL)
		append(buf, size, "%s",
			text_endpoint(at, sizeof(at), text_of(item, "snat"),
				(unsigned)number_of(item, "snat_port")));
}

static void put_next_hop(const json_t *item, char *buf, size_t size)
{
	const char *const state = text_of(item, "neigh_state");
	const char *const mac = text_of(item, "mac");

	if (text_of(item, "next_hop") == NULL)
		return;
	append(buf, size, "%s on port %s, %s", text_of(item, "next_hop"), text_of(item, "port"),
		state != NULL ? state : "unknown");
	if (mac != NULL)
		append(buf, size, ", %s", mac);
}

static void put_answer(const json_t *item, char *buf, size_t size)
{
	const char *const mode = text_of(item, "mode");
	const char *const hop = text_of(item, "answer_next_hop");
	const char *const state = text_of(item, "answer_neigh_state");

	if (text_of(item, "backend") == NULL || mode == NULL)
		return;
	if (mr_mode_is_direct((unsigned)mr_mode_find(mode)))
		append(buf, size, "the backend's own, not through here");
	else if (hop == NULL)
		append(buf, size, "no route to the client");
	else
		append(buf, size, "by %s on port %s, %s", hop, text_of(item, "answer_port"),
			state != NULL ? state : "not asked for yet");
}

static void put_verdict(const json_t *item, char *buf, size_t size)
{
	const char *const verdict = text_of(item, "verdict");

	if (strcmp(verdict, "dropped") == 0)
		append(buf, size, "dropped: %s (%s)%s", text_of(item, "drop"),
			text_of(item, "drop_help"),
			is_true(item, "may_be_cookie")
				? ", unless it brings a SYN cookie, which its bytes alone tell"
				: "");
	else if (strcmp(verdict, "kernel") == 0)
		append(buf, size, "to the kernel side");
	else if (strcmp(verdict, "reset") == 0 && is_of_cache(item))
		append(buf, size,
			"answered with a reset: there is no such connection, unless it brings a SYN "
			"cookie, which its bytes alone tell");
	else if (strcmp(verdict, "reset") == 0)
		append(buf, size,
			"answered with a reset: its backend is out, and the service says so");
	else if (strcmp(verdict, "cookie") == 0)
		append(buf, size,
			"answered with a SYN cookie: no entry, as SYNs are above syn_cookies");
	else if (strcmp(verdict, "served") == 0)
		append(buf, size, "answered here, from cache %s",
			text_of(item, "cache") != NULL ? text_of(item, "cache") : "-");
	else if (strcmp(verdict, "answer") == 0)
		append(buf, size, "taken for the answer of a backend");
	else if (strcmp(verdict, "held") == 0)
		append(buf, size, "held until %s answers, then to %s by %s",
			text_of(item, "next_hop"), text_of(item, "backend"), text_of(item, "mode"));
	else
		append(buf, size, "forwarded to %s by %s", text_of(item, "backend"),
			text_of(item, "mode"));
}

static const struct cmd_col steps[] = {
	{.header = "destination", .custom = put_destination},
	{.header = "owner", .custom = put_owner},
	{.header = "entry", .custom = put_entry},
	{.header = "limits", .custom = put_limits},
	{.header = "scheduler", .custom = put_scheduler},
	{.header = "flow", .custom = put_flow},
	{.header = "backend", .custom = put_backend},
	{.header = "SNAT", .custom = put_snat},
	{.header = "next hop", .custom = put_next_hop},
	{.header = "answer", .custom = put_answer},
	{.header = "verdict", .custom = put_verdict},
	{0},
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]) - 1)

/* Only the steps that the packet comes to. */
static void show_steps(const struct cmd_call *call, const json_t *result, const json_t *item)
{
	struct cmd_col shown[N_STEPS + 1];
	unsigned n = 0;

	for (size_t i = 0; i < N_STEPS; i++) {
		char cell[512] = "";

		steps[i].custom(item, cell, sizeof(cell));
		if (cell[0] != '\0')
			shown[n++] = steps[i];
	}
	shown[n] = (struct cmd_col){0};
	clishow_record(call, shown, result, item);
}

static int run(const struct cmd_call *call)
{
	json_t *result, *item;
	const int exit = cli_ask(call, call->params, &result);

	if (exit != EXIT_DONE)
		return exit;
	item = json_array_get(json_object_get(result, "items"), 0);
	if (call->is_json || text_of(item, "verdict") == NULL)
		clishow_json(call, result);
	else
		show_steps(call, result, item);
	json_decref(result);
	return EXIT_DONE;
}

static const struct cmd cmds[] = {
	{
		.path = "explain",
		.method = "explain",
		.summary = "show what would become of a packet, and why",
		.text = "Asks the worker that owns the flow, with the functions that packets go through, "
			"and changes nothing: no token is taken, no scheduler moves on. Connections and "
			"limits are that worker's share. The packet is a SYN or a datagram unless "
			"--segment is given; its length and time to live are not looked at. Of a cache "
			"over TCP the entry is the connection.",
		CMD_PARAMS(params),
		.examples =
			"millrace explain tcp 192.0.2.7:40000 203.0.113.80:80\n"
			"millrace explain udp [2001:db8::7]:5353 [2001:db8:1::53]:53\n"
			"millrace -o json explain tcp 192.0.2.7:40000 203.0.113.80:80 --segment\n",
		.run = run,
	},
};

const struct cmd_family cmd_explain_family = {
	.summary = "single packets",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
