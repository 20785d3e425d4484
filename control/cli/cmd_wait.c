/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_wait — `millrace wait …`: asks the daemon again and again until what is wanted is true. The
 * pauses grow from 50 ms to 1 s. A daemon or dataplane that is away is waited for, because a restart
 * is a usual thing to wait for; every other failure ends the wait. */
#include "cli/clishow.h"
#include "cli/families.h"
#include "cli/report.h"
#include "lib/text.h"

#include <string.h>
#include <time.h>

#define WAIT_TIMEOUT_MS 30000
#define WAIT_PAUSE_MIN_MS 50
#define WAIT_PAUSE_MAX_MS 1000

enum verdict { VERDICT_TRUE, VERDICT_NOT_YET, VERDICT_FAILED };

struct wait {
	const struct cmd_call *call;
	uint64_t deadline_ms;
	json_t *result;           /* last answer; owned */
	char state[256];          /* how things stand, for the message of a timeout or of the end */
	struct request_failure f; /* with VERDICT_FAILED, or when has_failure */
	bool has_failure;         /* the last attempt failed in a way that may pass */
};

typedef enum verdict (*look_fn)(struct wait *w);

static const struct cmd_param generation_params[] = {
	{.name = "N",
		.key = "generation",
		.kind = CMD_UINT,
		.max = INT64_MAX,
		.is_required = true,
		.help = "number of an applied configuration"},
};

static const struct cmd_param healthy_params[] = {
	{.name = "SERVICE",
		.key = "name",
		.kind = CMD_SERVICE,
		.is_required = true,
		.help = "the service"},
	{.name = "COUNT",
		.key = "count",
		.kind = CMD_UINT,
		.min = 1,
		.max = UINT32_MAX,
		.help = "backends that must be up (default: at least one up and none down)"},
};

static const struct cmd_param drained_params[] = {
	{.name = "POOL/NAME",
		.key = "backend",
		.kind = CMD_POOL_BACKEND,
		.is_required = true,
		.help = "the backend"},
};

/* Asks once; the answer goes to w->result. */
static enum verdict ask(struct wait *w, const char *method, json_t *params)
{
	json_t *result;

	if (w->has_failure)
		request_failure_fini(&w->f);
	w->has_failure = false;
	if (request_call(w->call->socket, method, params, w->deadline_ms, &result, &w->f)
		== EXIT_DONE) {
		json_decref(w->result);
		w->result = result;
		return VERDICT_TRUE;
	}
	if (w->f.exit != EXIT_UNREACHABLE
		&& (w->f.exit != EXIT_TIMEOUT || request_now_ms() >= w->deadline_ms))
		return VERDICT_FAILED;
	w->has_failure = true;
	return VERDICT_NOT_YET;
}

static json_t *first_item(const struct wait *w)
{
	return json_array_get(json_object_get(w->result, "items"), 0);
}

/* Whether the dataplane has everything that the daemon wants it to have. */
static enum verdict look_in_sync(struct wait *w)
{
	const enum verdict v = ask(w, "status", NULL);

	if (v != VERDICT_TRUE)
		return v;
	if (json_is_true(clishow_find(first_item(w), "dataplane.in_sync")))
		return VERDICT_TRUE;
	snprintf(w->state, sizeof(w->state), "the dataplane %s",
		json_is_true(clishow_find(first_item(w), "dataplane.connected"))
			? "is not in sync yet"
			: "is away");
	return VERDICT_NOT_YET;
}

static enum verdict look_generation(struct wait *w)
{
	const json_int_t wanted =
		json_integer_value(json_object_get(w->call->params, "generation"));
	const enum verdict v = look_in_sync(w);
	const json_t *const generation = clishow_find(first_item(w), "daemon.generation");

	if (w->has_failure || v == VERDICT_FAILED)
		return v;
	if (!json_is_integer(generation) || json_integer_value(generation) < wanted) {
		snprintf(w->state, sizeof(w->state), "the generation is %lld",
			(long long)json_integer_value(generation));
		return VERDICT_NOT_YET;
	}
	if (v == VERDICT_TRUE)
		snprintf(w->state, sizeof(w->state), "generation %lld is in force",
			(long long)json_integer_value(generation));
	return v;
}

/* The service first, then whether the dataplane knows: what is in force is then no older. */
static enum verdict look_healthy(struct wait *w)
{
	const char *const name = json_string_value(json_object_get(w->call->params, "name"));
	const json_t *const count = json_object_get(w->call->params, "count");
	json_t *const params = json_pack("{s:s}", "name", name);
	enum verdict v = ask(w, "service.show", params);
	json_int_t n_up, n_down, n_total;
	json_t *service;

	json_decref(params);
	if (v != VERDICT_TRUE)
		return v;
	if (json_is_string(json_object_get(first_item(w), "cache"))) {
		request_fail(&w->f, EXIT_FAILED, "invalid",
			"`millrace wait generation` waits until it is served",
			"service %s is served from a cache: it has no backends", name);
		return VERDICT_FAILED;
	}
	n_up = json_integer_value(json_object_get(first_item(w), "backends_up"));
	n_down = json_integer_value(json_object_get(first_item(w), "backends_down"));
	n_total = json_integer_value(json_object_get(first_item(w), "backends_total"));
	snprintf(w->state, sizeof(w->state), "service %s has %lld of %lld backends up", name,
		(long long)n_up, (long long)n_total);
	if (count != NULL ? n_up < json_integer_value(count) : n_up < 1 || n_down > 0)
		return VERDICT_NOT_YET;
	service = json_incref(w->result);
	v = look_in_sync(w);
	if (v == VERDICT_TRUE) {
		json_decref(w->result);
		w->result = service;
	} else {
		json_decref(service);
	}
	return v;
}

/* A backend that takes new flows never drains: waiting for it would only seem to work. */
static enum verdict check_draining(struct wait *w, const char *pool, const char *name)
{
	const json_t *const item = first_item(w);
	const char *const state = json_string_value(clishow_find(item, "effective.state"));
	char hint[192];

	if (state == NULL || strcmp(state, "up") != 0
		|| json_integer_value(clishow_find(item, "effective.weight")) == 0)
		return VERDICT_TRUE;
	snprintf(hint, sizeof(hint), "first: millrace backend drain %s/%s", pool, name);
	request_fail(&w->f, EXIT_FAILED, "invalid", hint, "backend %s/%s is not being drained",
		pool, name);
	return VERDICT_FAILED;
}

/* In this order: the drain is in force, so that no new flow follows; then the connections as the
 * dataplane has them now, for the numbers of backend.show may be a moment old. */
static enum verdict look_drained(struct wait *w)
{
	const char *const pool = json_string_value(json_object_get(w->call->params, "pool"));
	const char *const name = json_string_value(json_object_get(w->call->params, "name"));
	json_t *params = json_pack("{s:s, s:s}", "pool", pool, "name", name);
	enum verdict v = ask(w, "backend.show", params);
	const json_t *conns;
	char backend[160];

	json_decref(params);
	if (v == VERDICT_TRUE)
		v = check_draining(w, pool, name);
	if (v != VERDICT_TRUE)
		return v;
	conns = json_object_get(first_item(w), "conns");
	if (!json_is_integer(conns))
		snprintf(w->state, sizeof(w->state),
			"the connections of backend %s/%s are not known", pool, name);
	else
		snprintf(w->state, sizeof(w->state), "backend %s/%s has %lld connections", pool,
			name, (long long)json_integer_value(conns));
	if (!json_is_integer(conns) || json_integer_value(conns) > 0)
		return VERDICT_NOT_YET;
	v = look_in_sync(w);
	if (v != VERDICT_TRUE)
		return v;
	snprintf(backend, sizeof(backend), "%s/%s", pool, name);
	params = json_pack("{s:s, s:i}", "backend", backend, "limit", 1);
	v = ask(w, "conn.show", params);
	json_decref(params);
	if (v != VERDICT_TRUE)
		return v;
	snprintf(w->state, sizeof(w->state), "backend %s has %sconnections", backend,
		first_item(w) == NULL ? "no " : "");
	return first_item(w) == NULL ? VERDICT_TRUE : VERDICT_NOT_YET;
}

/* Sleeps, but not beyond the deadline. False: the time is up. */
static bool pause_until(uint64_t deadline_ms, uint64_t ms)
{
	const uint64_t now = request_now_ms();
	struct timespec ts;

	if (now >= deadline_ms)
		return false;
	if (ms > deadline_ms - now)
		ms = deadline_ms - now;
	ts.tv_sec = (time_t)(ms / 1000);
	ts.tv_nsec = (long)(ms % 1000) * 1000000;
	nanosleep(&ts, NULL);
	return true;
}

/* The time is up, between two questions or within one. */
static int report_timeout(struct wait *w)
{
	char duration[TEXT_DURATION_MAX];
	struct request_failure f;

	if (w->has_failure)
		return report_failure(w->call, &w->f);
	text_duration(duration, sizeof(duration), (double)w->call->timeout_ms / 1000);
	request_fail(&f, EXIT_TIMEOUT, "timeout", "--timeout gives it longer",
		"%s: not after %s: %s", w->call->cmd->path, duration,
		w->state[0] == '\0' ? "the daemon did not answer" : w->state);
	return report_failure(w->call, &f);
}

static int run(const struct cmd_call *call, look_fn look)
{
	struct wait w = {.call = call, .deadline_ms = request_now_ms() + call->timeout_ms};
	uint64_t pause_ms = WAIT_PAUSE_MIN_MS;
	enum verdict v;
	int exit = EXIT_DONE;

	while ((v = look(&w)) == VERDICT_NOT_YET && pause_until(w.deadline_ms, pause_ms))
		pause_ms = pause_ms * 2 < WAIT_PAUSE_MAX_MS ? pause_ms * 2 : WAIT_PAUSE_MAX_MS;
	if (v == VERDICT_TRUE && call->is_json) {
		clishow_json(call, w.result);
	} else if (v == VERDICT_TRUE) {
		text_print(call->io->out, w.state);
		fputc('\n', call->io->out);
	} else if (v == VERDICT_FAILED && w.f.exit != EXIT_TIMEOUT) {
		exit = report_failure(call, &w.f);
	} else {
		if (v == VERDICT_FAILED)
			request_failure_fini(&w.f);
		exit = report_timeout(&w);
	}
	json_decref(w.result);
	return exit;
}

static int run_generation(const struct cmd_call *call)
{
	return run(call, look_generation);
}

static int run_healthy(const struct cmd_call *call)
{
	return run(call, look_healthy);
}

static int run_drained(const struct cmd_call *call)
{
	return run(call, look_drained);
}

static const struct cmd cmds[] = {
	{
		.path = "wait generation",
		.summary = "wait until a configuration is in force",
		.text = "That is when the daemon has applied generation N or a later one and the dataplane "
			"has everything the daemon wants it to have. A daemon or dataplane that is "
			"away is waited for.",
		CMD_PARAMS(generation_params),
		.examples = "millrace wait generation 7\n",
		.timeout_ms = WAIT_TIMEOUT_MS,
		.run = run_generation,
	},
	{
		.path = "wait healthy",
		.summary = "wait until a service has enough backends up",
		.text = "That is when COUNT backends are up, and the dataplane knows it. Without COUNT: at "
			"least one is up and none is down; drained ones do not count.",
		CMD_PARAMS(healthy_params),
		.examples = "millrace wait healthy shop\n"
			    "millrace wait healthy shop 3 --timeout 1m\n",
		.timeout_ms = WAIT_TIMEOUT_MS,
		.run = run_healthy,
	},
	{
		.path = "wait drained",
		.summary = "wait until a drained backend has no connections left",
		.text = "Refused while the backend takes new flows: drain it first. The dataplane itself is "
			"asked whether the last connection has ended.",
		CMD_PARAMS(drained_params),
		.examples = "millrace backend drain web/web1\n"
			    "millrace wait drained web/web1 --timeout 10m\n",
		.timeout_ms = WAIT_TIMEOUT_MS,
		.run = run_drained,
	},
};

const struct cmd_family cmd_wait_family = {
	.name = "wait",
	.summary = "waiting for a state, for scripts",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
