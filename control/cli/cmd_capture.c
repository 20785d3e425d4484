/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cmd_capture — `millrace capture`: packets of the workers to a pcapng file; see cmd.h. The file is written here, with
 * the rights of who typed the command; the daemons only hand packets on.
 */
#include "cli/capsession.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "cli/report.h"
#include "lib/pcapng.h"
#include "millrace/api_stats.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *const points[] = {"rx", "tx", "drop", NULL};

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
	CAPSESSION_PARAMS("only packets that match, as tcpdump writes it (pcap-filter(7))",
		"only this logical port"),
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
	bool is_new, has_begun; /* the file was not there before; packets come */
	struct capsession capture;
};

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

static void write_packet(void *arg, const json_t *item)
{
	struct session *s = arg;
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
}

/* The file cannot be opened or written. */
static int fail_file(const struct session *s)
{
	return report_usage(s->call, NULL, "%s: %s",
		json_string_value(json_object_get(s->call->params, "write")), strerror(errno));
}

static int flush(void *arg)
{
	struct session *s = arg;

	return fflush(s->file.f) == 0 ? EXIT_DONE : fail_file(s);
}

/* --- the whole */

static void tell(const struct session *s, json_t *result)
{
	json_t *const end = json_array_get(json_object_get(result, "items"), 0);
	const json_int_t missed = json_integer_value(json_object_get(end, "missed"));

	if (s->call->is_json) {
		json_object_set_new(end, "written", json_integer((json_int_t)s->capture.n_taken));
		clishow_json(s->call, result);
		return;
	}
	fprintf(s->call->io->err, "millrace: %llu packets written, %lld missed%s\n",
		(unsigned long long)s->capture.n_taken, (long long)missed,
		missed > 0 ? ": they came too fast; use a filter, or a shorter --snaplen" : "");
}

/* Once packets come: a capture that is refused leaves what is in the file, or no file. A pipe cannot be emptied. */
static int begin_file(void *arg)
{
	struct session *s = arg;

	if (s->f != s->call->io->out && ftruncate(fileno(s->f), 0) != 0 && errno != EINVAL)
		return fail_file(s);
	s->has_begun = true;
	pcapng_begin(&s->file, s->f, s->snaplen, "millrace " MILLRACE_VERSION);
	return EXIT_DONE;
}

/* Packets may be anybody's secrets: the file is the caller's alone. */
static FILE *open_file(struct session *s, const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0)
		return s->call->io->out;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	s->is_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static int write_file(struct session *s, const char *path, json_t *start)
{
	json_t *end = NULL;
	int exit;

	s->f = open_file(s, path);
	if (s->f == NULL)
		return fail_file(s);
	exit = capsession_run(&s->capture, start, &end);
	if (exit == EXIT_DONE)
		tell(s, end);
	json_decref(end);
	if (s->f != s->call->io->out && fclose(s->f) != 0 && exit == EXIT_DONE)
		exit = fail_file(s);
	if (s->is_new && !s->has_begun)
		unlink(path);
	return exit;
}

static int run(const struct cmd_call *call)
{
	const char *const path = json_string_value(json_object_get(call->params, "write"));
	struct session s = {.call = call,
		.snaplen = (uint32_t)capsession_number(call, "snaplen", MR_CAPTURE_SNAPLEN),
		.capture = {.call = call,
			.read = "capture.read",
			.begin = begin_file,
			.take = write_packet,
			.flush = flush,
			.ctx = &s}};
	json_t *start;
	int exit;

	if (strcmp(path, "-") == 0 && (call->io->out_is_tty || call->is_json))
		return report_usage(call, "give a file, or a pipe to tcpdump -r -",
			"capture: standard output cannot take packets");
	start = json_pack("{s:I}", "snaplen", (json_int_t)s.snaplen);
	if (json_object_get(call->params, "at") != NULL)
		json_object_set(start, "at", json_object_get(call->params, "at"));
	exit = capsession_prepare(&s.capture, start);
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
