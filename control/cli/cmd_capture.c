/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cmd_capture — `millrace capture`: packets of the workers to a pcapng file; see cmd.h. The filter is compiled and the
 * file is written here, with the rights of who typed the command; the daemons only hand packets on.
 */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "cli/report.h"
#include "cli/request.h"
#include "lib/pcapng.h"
#include "millrace/api_stats.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20 /* between two questions, while nothing comes */
#define INSN_BYTES 8u
#define INSNS_MAX (MR_DATA_MAX / INSN_BYTES)

#define POINT_TEXT(sym, value, text) text,
static const char *const points[] = {MR_POINTS(POINT_TEXT) NULL};

static const struct cmd_param params[] = {
	{.name = "--write",
		.letter = 'w',
		.key = "write",
		.value = "FILE",
		.kind = CMD_FILE,
		.is_required = true,
		.help = "-w: the pcapng file, \"-\" for standard output"},
	{.name = "--at",
		.key = "at",
		.value = "POINT",
		.kind = CMD_CHOICE,
		.choices = points,
		.help = "only packets received (rx), sent (tx) or dropped (drop) (default: all)"},
	{.name = "--filter",
		.key = "filter",
		.value = "EXPRESSION",
		.kind = CMD_TEXT,
		.help = "only packets that match, as tcpdump writes it (pcap-filter(7))"},
	{.name = "--port",
		.key = "port",
		.value = "NAME",
		.kind = CMD_PORT,
		.help = "only this logical port"},
	{.name = "--count",
		.key = "count",
		.value = "N",
		.kind = CMD_UINT,
		.min = 1,
		.max = UINT32_MAX,
		.help = "end after so many packets"},
	{.name = "--seconds",
		.key = "seconds",
		.value = "S",
		.kind = CMD_UINT,
		.min = 1,
		.max = 86400,
		.help = "end after so long"},
	{.name = "--snaplen",
		.key = "snaplen",
		.value = "N",
		.kind = CMD_UINT,
		.min = 14,
		.max = MR_DATA_MAX,
		.help = "bytes of each packet (default: 256)"},
};

struct session {
	const struct cmd_call *call;
	struct pcapng file;
	FILE *f;
	uint32_t snaplen;
	json_int_t id;
	uint64_t n_written, n_wanted;
	uint64_t end_ms;
};

static bool is_stopped;

static void on_signal(int signal)
{
	(void)signal;
	__atomic_store_n(&is_stopped, true, __ATOMIC_RELAXED);
}

/* --- the filter */

static json_t *program_text(const struct bpf_program *program)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * MR_DATA_MAX + 1];
	size_t n = 0;

	for (unsigned i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *insn = &program->bf_insns[i];
		uint8_t bytes[INSN_BYTES];

		mr_put_le(bytes, insn->code, 2);
		bytes[2] = insn->jt;
		bytes[3] = insn->jf;
		mr_put_le(bytes + 4, insn->k, 4);
		for (unsigned k = 0; k < INSN_BYTES; k++) {
			text[n++] = digits[bytes[k] >> 4];
			text[n++] = digits[bytes[k] & 15];
		}
	}
	return json_stringn(text, n);
}

/* Puts the program of the expression into start. Returns an exit code. */
static int compile(const struct cmd_call *call, const char *expression, json_t *start)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program program;
	int exit = EXIT_DONE;

	if (pcap == NULL)
		return report_usage(call, NULL, "--filter: out of memory");
	if (pcap_compile(pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		exit = report_usage(call, "see pcap-filter(7); for example 'tcp port 80'",
			"--filter: '%s': %s", expression, pcap_geterr(pcap));
	} else {
		if (program.bf_len > INSNS_MAX)
			exit = report_usage(call, NULL,
				"--filter: the expression becomes %u instructions, at most %u can be run",
				program.bf_len, (unsigned)INSNS_MAX);
		else
			json_object_set_new(start, "filter", program_text(&program));
		pcap_freecode(&program);
	}
	pcap_close(pcap);
	return exit;
}

/* --- packets */

static unsigned digit_of(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* Bytes of the text, at most size. */
static uint32_t read_hex(uint8_t *bytes, size_t size, const char *text)
{
	uint32_t n = 0;

	for (; text[0] != '\0' && text[1] != '\0' && n < size; text += 2)
		bytes[n++] = (uint8_t)(digit_of(text[0]) << 4 | digit_of(text[1]));
	return n;
}

static const char *text_of(const json_t *item, const char *key)
{
	const char *const text = json_string_value(json_object_get(item, key));

	return text != NULL ? text : "";
}

static void write_packet(struct session *s, const json_t *item)
{
	uint8_t bytes[MR_DATA_MAX];
	char iface[PCAPNG_NAME_MAX], comment[128];
	const char *const point = text_of(item, "point");
	struct pcapng_packet p = {.iface = iface, .bytes = bytes};

	p.n = read_hex(bytes, sizeof(bytes), text_of(item, "data"));
	p.len = (uint32_t)json_integer_value(json_object_get(item, "len_bytes"));
	p.time_ns = (uint64_t)json_integer_value(json_object_get(item, "time_ns"));
	p.is_outbound = strcmp(point, "tx") == 0;
	snprintf(iface, sizeof(iface), "%s %s", text_of(item, "port"), point);
	if (strcmp(point, "drop") == 0) {
		snprintf(comment, sizeof(comment), "dropped: %s", text_of(item, "drop"));
		p.comment = comment;
	}
	pcapng_write(&s->file, &p);
	s->n_written++;
}

static json_t *id_of(const struct session *s)
{
	return json_pack("{s:I}", "id", s->id);
}

/* The file cannot be opened or written. */
static int fail_file(const struct session *s)
{
	return report_usage(s->call, NULL, "%s: %s",
		json_string_value(json_object_get(s->call->params, "write")), strerror(errno));
}

/* Asks once and writes what comes; *n packets. */
static int read_some(struct session *s, size_t *n)
{
	json_t *const ask = id_of(s);
	json_t *result, *items;
	const int exit = cli_ask_method(s->call, "capture.read", ask, &result);

	json_decref(ask);
	*n = 0;
	if (exit != EXIT_DONE)
		return exit;
	items = json_object_get(result, "items");
	for (; *n < json_array_size(items) && s->n_written < s->n_wanted; ++*n)
		write_packet(s, json_array_get(items, *n));
	json_decref(result);
	if (fflush(s->file.f) == 0)
		return EXIT_DONE;
	return fail_file(s);
}

/* Until there are enough, the time is over or somebody interrupts; what has come by then is written. */
static int read_all(struct session *s)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000l};

	for (;;) {
		const bool is_over = __atomic_load_n(&is_stopped, __ATOMIC_RELAXED)
			|| request_now_ms() >= s->end_ms;
		size_t n;
		const int exit = read_some(s, &n);

		if (exit != EXIT_DONE || s->n_written >= s->n_wanted || (is_over && n == 0))
			return exit;
		if (n == 0)
			nanosleep(&pause, NULL);
	}
}

/* --- the whole */

static void tell(const struct session *s, json_t *result)
{
	json_t *const end = json_array_get(json_object_get(result, "items"), 0);
	const json_int_t missed = json_integer_value(json_object_get(end, "missed"));

	if (s->call->is_json) {
		json_object_set_new(end, "written", json_integer((json_int_t)s->n_written));
		clishow_json(s->call, result);
		return;
	}
	fprintf(s->call->io->err, "millrace: %llu packets written, %lld missed%s\n",
		(unsigned long long)s->n_written, (long long)missed,
		missed > 0 ? ": they came too fast; use a filter, or a shorter --snaplen" : "");
}

/* Once packets come: a capture that is refused leaves what is in the file. A pipe cannot be emptied. */
static int begin_file(struct session *s)
{
	if (s->f != s->call->io->out && ftruncate(fileno(s->f), 0) != 0 && errno != EINVAL)
		return fail_file(s);
	pcapng_begin(&s->file, s->f, s->snaplen, "millrace " MILLRACE_VERSION);
	return EXIT_DONE;
}

static int capture(struct session *s, json_t *start)
{
	json_t *result, *key;
	int exit = cli_ask_method(s->call, "capture.start", start, &result), stopped;

	if (exit != EXIT_DONE)
		return exit;
	s->id = json_integer_value(
		json_object_get(json_array_get(json_object_get(result, "items"), 0), "id"));
	json_decref(result);
	exit = begin_file(s);
	if (exit == EXIT_DONE)
		exit = read_all(s);
	key = id_of(s);
	stopped = cli_ask_method(s->call, "capture.stop", key, &result);
	json_decref(key);
	if (stopped != EXIT_DONE)
		return exit != EXIT_DONE ? exit : stopped;
	if (exit == EXIT_DONE)
		tell(s, result);
	json_decref(result);
	return exit;
}

/* Interrupted or terminated, the file is whole. */
static int capture_until_signal(struct session *s, json_t *start)
{
	const struct sigaction stop = {.sa_handler = on_signal};
	struct sigaction old[2];
	int exit;

	__atomic_store_n(&is_stopped, false, __ATOMIC_RELAXED);
	sigaction(SIGINT, &stop, &old[0]);
	sigaction(SIGTERM, &stop, &old[1]);
	exit = capture(s, start);
	sigaction(SIGINT, &old[0], NULL);
	sigaction(SIGTERM, &old[1], NULL);
	return exit;
}

/* Packets may be anybody's secrets: the file is the caller's alone. */
static FILE *open_file(const struct cmd_call *call, const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0)
		return call->io->out;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static int write_file(struct session *s, const char *path, json_t *start)
{
	int exit;

	s->f = open_file(s->call, path);
	if (s->f == NULL)
		return fail_file(s);
	exit = capture_until_signal(s, start);
	if (s->f != s->call->io->out && fclose(s->f) != 0 && exit == EXIT_DONE)
		exit = fail_file(s);
	return exit;
}

static uint64_t number_or(const struct cmd_call *call, const char *key, uint64_t otherwise)
{
	const json_t *const v = json_object_get(call->params, key);

	return v != NULL ? (uint64_t)json_integer_value(v) : otherwise;
}

static int run(const struct cmd_call *call)
{
	const char *const path = json_string_value(json_object_get(call->params, "write"));
	const char *const filter = json_string_value(json_object_get(call->params, "filter"));
	const uint64_t seconds = number_or(call, "seconds", 0);
	struct session s = {.call = call,
		.n_wanted = number_or(call, "count", UINT64_MAX),
		.snaplen = (uint32_t)number_or(call, "snaplen", MR_CAPTURE_SNAPLEN)};
	json_t *start;
	int exit = EXIT_DONE;

	if (strcmp(path, "-") == 0 && (call->io->out_is_tty || call->is_json))
		return report_usage(call, "give a file, or a pipe to tcpdump -r -",
			"capture: standard output cannot take packets");
	s.end_ms = seconds != 0 ? request_now_ms() + seconds * 1000 : UINT64_MAX;
	start = json_pack("{s:I}", "snaplen", (json_int_t)s.snaplen);
	if (json_object_get(call->params, "at") != NULL)
		json_object_set(start, "at", json_object_get(call->params, "at"));
	if (json_object_get(call->params, "port") != NULL)
		json_object_set(start, "port", json_object_get(call->params, "port"));
	if (filter != NULL)
		exit = compile(call, filter, start);
	if (exit == EXIT_DONE)
		exit = write_file(&s, path, start);
	json_decref(start);
	return exit;
}

static const struct cmd cmds[] = {
	{
		.path = "capture",
		.method = "capture.start",
		.summary = "write packets of the dataplane to a pcapng file",
		.text = "Workers copy the packets that match as the ports give them (rx), before ports take "
			"them (tx) and where they end (drop, with the reason as the packet's comment). Each "
			"point of each port is an interface of the file. Ends with --count, --seconds or "
			"an interrupt; copies never hold a worker up: what does not fit is missed, and "
			"said. One capture at a time.",
		CMD_PARAMS(params),
		.examples =
			"millrace capture -w all.pcapng --seconds 10\n"
			"millrace capture --at drop --filter 'tcp port 80' --count 100 -w drops.pcapng\n"
			"millrace capture --port north --filter 'host 192.0.2.7' -w - | tcpdump -nr -\n",
		.run = run,
	},
};

const struct cmd_family cmd_capture_family = {
	.summary = "packets on their way",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
