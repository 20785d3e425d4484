/* SPDX-License-Identifier: BSD-3-Clause */
/* capsession — see capsession.h. */
#include "cli/capsession.h"

#include "cli/report.h"
#include "cli/request.h"
#include "millrace/api_stats.h"

#include <pcap/pcap.h>
#include <signal.h>
#include <time.h>

#define POLL_MS 20 /* between two questions, while nothing comes */
#define INSN_BYTES 8u
#define INSNS_MAX (MR_DATA_MAX / INSN_BYTES)

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

/* --- the session */

uint64_t capsession_number(const struct cmd_call *call, const char *key, uint64_t otherwise)
{
	const json_t *const v = json_object_get(call->params, key);

	return v != NULL ? (uint64_t)json_integer_value(v) : otherwise;
}

int capsession_prepare(struct capsession *s, json_t *start)
{
	const json_t *const params = s->call->params;
	const char *const filter = json_string_value(json_object_get(params, "filter"));
	const uint64_t seconds = capsession_number(s->call, "seconds", 0);

	s->n_wanted = capsession_number(s->call, "count", UINT64_MAX);
	s->end_ms = seconds != 0 ? request_now_ms() + seconds * 1000 : UINT64_MAX;
	if (json_object_get(params, "port") != NULL)
		json_object_set(start, "port", json_object_get(params, "port"));
	return filter != NULL ? compile(s->call, filter, start) : EXIT_DONE;
}

static json_t *id_of(const struct capsession *s)
{
	return json_pack("{s:I}", "id", s->id);
}

/* Asks once and hands on what comes; *n items. */
static int read_some(struct capsession *s, size_t *n)
{
	json_t *const ask = id_of(s);
	json_t *result, *items;
	const int exit = cli_ask_method(s->call, s->read, ask, &result);

	json_decref(ask);
	*n = 0;
	if (exit != EXIT_DONE)
		return exit;
	items = json_object_get(result, "items");
	for (; *n < json_array_size(items) && s->n_taken < s->n_wanted; ++*n) {
		s->take(s->ctx, json_array_get(items, *n));
		s->n_taken++;
	}
	json_decref(result);
	return s->flush(s->ctx);
}

/* Until there are enough, the time is over or somebody interrupts; what has come by then is taken. */
static int read_all(struct capsession *s)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000l};

	for (;;) {
		const bool is_over = __atomic_load_n(&is_stopped, __ATOMIC_RELAXED)
			|| request_now_ms() >= s->end_ms;
		size_t n;
		const int exit = read_some(s, &n);

		if (exit != EXIT_DONE || s->n_taken >= s->n_wanted || (is_over && n == 0))
			return exit;
		if (n == 0)
			nanosleep(&pause, NULL);
	}
}

static int run(struct capsession *s, json_t *start, json_t **end)
{
	json_t *result, *key;
	int exit = cli_ask_method(s->call, "capture.start", start, &result), stopped;

	if (exit != EXIT_DONE)
		return exit;
	s->id = json_integer_value(
		json_object_get(json_array_get(json_object_get(result, "items"), 0), "id"));
	json_decref(result);
	exit = s->begin(s->ctx);
	if (exit == EXIT_DONE)
		exit = read_all(s);
	key = id_of(s);
	stopped = cli_ask_method(s->call, "capture.stop", key, &result);
	json_decref(key);
	if (stopped != EXIT_DONE)
		return exit != EXIT_DONE ? exit : stopped;
	if (exit == EXIT_DONE)
		*end = result;
	else
		json_decref(result);
	return exit;
}

/* Interrupted or terminated, what has been taken is whole. */
int capsession_run(struct capsession *s, json_t *start, json_t **end)
{
	const struct sigaction stop = {.sa_handler = on_signal};
	struct sigaction old[2];
	int exit;

	__atomic_store_n(&is_stopped, false, __ATOMIC_RELAXED);
	sigaction(SIGINT, &stop, &old[0]);
	sigaction(SIGTERM, &stop, &old[1]);
	exit = run(s, start, end);
	sigaction(SIGINT, &old[0], NULL);
	sigaction(SIGTERM, &old[1], NULL);
	return exit;
}
