/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cmd_trace — `millrace trace`: packets as they come, a line each with what every stage made of them; see cmd.h. With
 * -o json a line is an object, so that a reader needs not wait for the end.
 */
#include "cli/capsession.h"
#include "cli/families.h"

#include <netinet/in.h>
#include <string.h>
#include <time.h>

static const struct cmd_param params[] = {
	CAPSESSION_PARAMS(
		"only packets that match as they come, as tcpdump writes it (pcap-filter(7))",
		"only packets that come in by this logical port"),
};

static const char *text_of(const json_t *item, const char *key)
{
	const char *const text = json_string_value(json_object_get(item, key));

	return text != NULL ? text : "";
}

static long long number_of(const json_t *item, const char *key)
{
	return (long long)json_integer_value(json_object_get(item, key));
}

/* --- the stages */

/* Local time of day, as tcpdump has it. */
static void print_time(FILE *f, const json_t *item)
{
	const long long ns = number_of(item, "time_ns");
	const time_t seconds = (time_t)(ns / 1000000000);
	char text[16];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(f, "%s.%06lld", text, ns % 1000000000 / 1000);
}

static void print_end(FILE *f, const json_t *item, const char *ip, const char *port, bool has_port)
{
	const char *const text = text_of(item, ip);
	const bool is_v6 = strchr(text, ':') != NULL;

	if (!has_port)
		fputs(text, f);
	else
		fprintf(f, is_v6 ? "[%s]:%lld" : "%s:%lld", text, number_of(item, port));
}

static void print_addresses(FILE *f, const json_t *item)
{
	const long long proto = number_of(item, "ip_proto");
	const bool has_port = proto == IPPROTO_TCP || proto == IPPROTO_UDP;

	if (text_of(item, "src")[0] == '\0') {
		if (number_of(item, "ether_type") == 0x0806)
			fputs("arp", f);
		else
			fprintf(f, "ethertype 0x%04llx", number_of(item, "ether_type"));
		return;
	}
	if (has_port)
		fputs(proto == IPPROTO_TCP ? "tcp " : "udp ", f);
	else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		fputs(proto == IPPROTO_ICMP ? "icmp " : "icmp6 ", f);
	else
		fprintf(f, "proto %lld ", proto);
	print_end(f, item, "src", "sport", has_port);
	fputs(" > ", f);
	print_end(f, item, "dst", "dport", has_port);
}

static const char *kind_text(const char *kind)
{
	static const struct {
		const char *kind, *text;
	} texts[] = {
		{"return", "return to a SNAT address"},
		{"dnat-return", "return of DNAT"},
		{"icmp-error", "ICMP error about a flow"},
		{"local", "for the box itself"},
		{"fragment", "fragment"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(texts[i].kind, kind) == 0)
			return texts[i].text;
	}
	return NULL; /* how it left says it all */
}

static void print_class(FILE *f, const json_t *item)
{
	const char *const kind = text_of(item, "kind"), *const service = text_of(item, "service");
	const char *const text = kind_text(kind);

	if (text != NULL)
		fprintf(f, "%s; ", text);
	if (service[0] != '\0')
		fprintf(f, "service %s; ", service);
	if (json_is_true(json_object_get(item, "is_handed_over")))
		fputs("handed over; ", f);
}

static void print_flow(FILE *f, const json_t *item)
{
	const char *const flow = text_of(item, "flow");

	if (flow[0] != '\0')
		fprintf(f, "%s; ",
			strcmp(flow, "known") == 0           ? "known flow"
				: strcmp(flow, "new") == 0   ? "new flow"
				: strcmp(flow, "again") == 0 ? "begins again on its entry"
							     : "no entry, by hash");
	if (text_of(item, "mode")[0] != '\0')
		fprintf(f, "backend %s %s; ", text_of(item, "backend"), text_of(item, "mode"));
}

static void print_verdict(FILE *f, const json_t *item)
{
	const char *const verdict = text_of(item, "verdict");

	if (strcmp(verdict, "forwarded") == 0)
		fprintf(f, "sent %s", text_of(item, "out_port"));
	else if (strcmp(verdict, "held") == 0)
		fprintf(f, "held for a neighbour on %s", text_of(item, "out_port"));
	else if (strcmp(verdict, "answer") == 0)
		fprintf(f, "answered on %s", text_of(item, "out_port"));
	else if (strcmp(verdict, "dropped") == 0)
		fprintf(f, "dropped: %s", text_of(item, "drop"));
	else if (strcmp(verdict, "served") == 0)
		fputs("taken by its cache", f);
	else
		fputs("to the kernel", f);
}

static void print_text(FILE *f, const json_t *item)
{
	print_time(f, item);
	fprintf(f, " w%lld %s ", number_of(item, "worker"), text_of(item, "port"));
	print_addresses(f, item);
	fprintf(f, " len %lld: ", number_of(item, "len_bytes"));
	print_class(f, item);
	print_flow(f, item);
	print_verdict(f, item);
	fputc('\n', f);
}

/* --- the whole */

static int begin(void *arg)
{
	(void)arg;
	return EXIT_DONE;
}

static void take(void *arg, const json_t *item)
{
	const struct cmd_call *const call = arg;

	if (!call->is_json) {
		print_text(call->io->out, item);
		return;
	}
	json_dumpf(item, call->io->out, JSON_COMPACT);
	fputc('\n', call->io->out);
}

/* A reader that has gone ends it, like an interrupt; a full disk is said. */
static int flush(void *arg)
{
	const struct cmd_call *const call = arg;

	return cli_flush(call, EXIT_DONE);
}

static void tell(const struct cmd_call *call, const json_t *end)
{
	const json_t *const item = json_array_get(json_object_get(end, "items"), 0);
	const long long missed = number_of(item, "missed");

	if (missed > 0)
		fprintf(call->io->err,
			"millrace: %lld packets missed: they came too fast; use a filter\n",
			missed);
}

static int run(const struct cmd_call *call)
{
	struct cmd_call mine = *call;
	struct capsession s = {.call = call,
		.read = "trace.read",
		.begin = begin,
		.take = take,
		.flush = flush,
		.ctx = &mine};
	json_t *start = json_pack("{s:s}", "at", "trace"), *end = NULL;
	int exit = capsession_prepare(&s, start);

	if (exit == EXIT_DONE)
		exit = capsession_run(&s, start, &end);
	if (exit == EXIT_DONE)
		tell(call, end);
	json_decref(end);
	json_decref(start);
	return exit;
}

static const struct cmd cmds[] = {
	{
		.path = "trace",
		.method = "capture.start",
		.summary = "follow packets through the dataplane, a line each",
		.text = "Workers say of each packet that matches what it was taken for, whether its flow was "
			"known, which backend it went to and how it left, or why it was dropped. "
			"Addresses are those it came with. Ends with --count, --seconds or an "
			"interrupt; what comes too fast is missed, and said. A trace is a capture: one "
			"at a time. With -o json each line is an object.",
		CMD_PARAMS(params),
		.examples = "millrace trace --filter 'host 192.0.2.7' --count 20\n"
			    "millrace trace --port north --filter 'tcp[13] & 2 != 0' --seconds 5\n"
			    "millrace -o json trace --filter 'icmp' --seconds 10\n",
		.run = run,
	},
};

const struct cmd_family cmd_trace_family = {
	.summary = "packets on their way",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
