/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_push — the side of the daemon that talks to the dataplane, against a fake one that keeps the real
 * protocol until a rule makes it break: whatever it does, it ends up with the target's model, nothing it
 * has already is sent again, and a refusal is told where it belongs.
 */
#include "ctlfix.h"
#include "daemon/push.h"
#include "fakedp.h"
#include "lib/client.h"
#include "lib/confobj.h"
#include "unit.h"

#include <event2/event.h>

#include <signal.h>
#include <stdlib.h>

#define REPORTS_MAX 64

struct told { /* a report, kept */
	enum push_outcome outcome;
	char object[MR_TEXT_MAX];
	char message[MR_TEXT_MAX];
};

struct fix {
	struct event_base *base;
	struct push *push;
	struct fakedp *dp;
	char dir[64], path[96];
	struct told told[REPORTS_MAX];
	unsigned n_told;
	unsigned n_in_force, n_refused, n_away;
	unsigned wanted;                 /* of n_in_force, for is_in_force() */
	uint32_t pauses_ms[REPORTS_MAX]; /* before the next try, one for each PUSH_AWAY */
};

struct pause {
	struct timeval now;
	uint32_t ms;
};

/* The only timer of less than 10 s while there is no connection is that of the next try. */
static int look_at_timer(const struct event_base *base, const struct event *ev, void *arg)
{
	struct pause *p = arg;
	struct timeval at, left;

	if (!event_pending(ev, EV_TIMEOUT, &at))
		return 0;
	timersub(&at, &p->now, &left);
	if (left.tv_sec < 10)
		p->ms = (uint32_t)((left.tv_sec * 1000000 + left.tv_usec + 500) / 1000);
	return 0;
}

/* Exact, for the loop stands still: both times are read from its clock of this turn. */
static uint32_t pause_now(struct event_base *base)
{
	struct pause p = {.ms = 0};

	event_base_gettimeofday_cached(base, &p.now);
	event_base_foreach_event(base, look_at_timer, &p);
	return p.ms;
}

static void on_report(void *arg, const struct push_report *r)
{
	struct fix *f = arg;
	struct told *t = &f->told[f->n_told++ % REPORTS_MAX];

	t->outcome = r->outcome;
	snprintf(t->object, sizeof(t->object), "%s", r->object);
	snprintf(t->message, sizeof(t->message), "%s", r->message);
	f->n_in_force += r->outcome == PUSH_IN_FORCE;
	f->n_refused += r->outcome == PUSH_REFUSED;
	if (r->outcome == PUSH_AWAY)
		f->pauses_ms[f->n_away++ % REPORTS_MAX] = pause_now(f->base);
}

static const struct told *last(const struct fix *f)
{
	assert_true(f->n_told > 0);
	return &f->told[(f->n_told - 1) % REPORTS_MAX];
}

static void start_push(struct fix *f)
{
	const struct push_params params = {f->path, on_report, f};

	assert_int_equal(push_create(&f->push, f->base, &params), 0);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->base = event_base_new();
	assert_non_null(f->base);
	ctlfix_dir(f->dir);
	snprintf(f->path, sizeof(f->path), "%s/dataplane.sock", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	push_destroy(&f->push);
	assert_null(f->push);
	fakedp_stop(&f->dp);
	event_base_free(f->base);
	ctlfix_rm(f->dir);
	free(f);
	return 0;
}

/* Settings and one service with n backends of a weight. */
static struct objset model_of(unsigned n, uint16_t weight)
{
	struct mr_object *o = calloc(n + 2, sizeof(*o));
	struct objset s;

	assert_non_null(o);
	o[0].type = MR_OBJ_SETTINGS;
	o[1].type = MR_OBJ_SERVICE;
	snprintf(o[1].service.name, MR_NAME_MAX, "shop");
	mr_ip_parse(&o[1].service.vip, "10.1.0.80");
	o[1].service.port = 80;
	o[1].service.proto = MR_PROTO_TCP;
	o[1].service.mode = MR_MODE_FULLNAT;
	o[1].service.sched = MR_SCHED_WRR;
	for (unsigned i = 0; i < n; i++) {
		struct mr_backend *b = &o[2 + i].backend;

		o[2 + i].type = MR_OBJ_BACKEND;
		snprintf(b->service, sizeof(b->service), "shop");
		snprintf(b->name, sizeof(b->name), "web%u", i);
		b->ip = (struct mr_ip){4, {10, 2, (uint8_t)(i >> 8), (uint8_t)i}};
		b->port = 80;
		b->weight = weight;
		b->state = MR_BACKEND_UP;
	}
	assert_int_equal(objset_init(&s, o, n + 2), 0);
	return s;
}

static void set(struct fix *f, unsigned n, uint16_t weight)
{
	struct objset s = model_of(n, weight);

	push_set_target(f->push, &s);
	assert_null(s.items); /* taken over */
}

static void assert_runs(const struct fix *f, unsigned n, uint16_t weight)
{
	struct objset s = model_of(n, weight);

	assert_int_equal(model_size(f->dp->model), s.n_items);
	assert_memory_equal(model_digest(f->dp->model), &s.digest, sizeof(s.digest));
	objset_fini(&s);
}

static bool is_in_force(void *arg)
{
	const struct fix *f = arg;

	return f->n_in_force >= f->wanted;
}

static bool is_refused(void *arg)
{
	const struct fix *f = arg;

	return f->n_refused > 0;
}

static bool is_away(void *arg)
{
	const struct fix *f = arg;

	return f->n_away > 0;
}

static bool has_been_away(void *arg)
{
	const struct fix *f = arg;

	return f->n_away >= f->wanted;
}

static bool is_holding(void *arg)
{
	const struct fix *f = arg;

	return f->dp->is_holding;
}

static void wait_in_force(struct fix *f, unsigned n)
{
	f->wanted = n;
	ctlfix_run_until(f->base, is_in_force, f);
}

/* A dataplane that runs n backends of weight 100 already, and a push that is in sync with it. */
static void converge(struct fix *f, unsigned n)
{
	f->dp = fakedp_start(f->base, f->path);
	start_push(f);
	set(f, n, 100);
	wait_in_force(f, 1);
	assert_runs(f, n, 100);
	assert_true(push_is_in_sync(f->push));
	memset(f->dp->n_requests, 0, sizeof(f->dp->n_requests));
	f->n_in_force = f->n_told = 0;
}

/* --- what is sent */

static void a_fresh_dataplane_gets_everything_once(void **state)
{
	struct fix *f = *state;

	converge(f, 3);
	assert_int_equal(f->dp->generation, 1);
	assert_string_equal(push_away_reason(f->push), "");
}

static void an_equal_model_is_left_alone(void **state)
{
	struct fix *f = *state;

	converge(f, 3);
	set(f, 3, 100);
	wait_in_force(f, 1);
	push_destroy(&f->push); /* the daemon is restarted */
	start_push(f);
	set(f, 3, 100);
	wait_in_force(f, 2);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 0);
	assert_int_equal(f->dp->generation, 1);
}

static void only_the_difference_is_sent(void **state)
{
	struct fix *f = *state;
	struct objset s = model_of(40, 100);

	converge(f, 41);
	s.items[9].backend.weight = 1;
	s.items[20].backend.state = MR_BACKEND_DRAIN;
	/* changed in place: the digest is that of the changed objects */
	memset(&s.digest, 0, sizeof(s.digest));
	for (size_t i = 0; i < s.n_items; i++)
		mr_digest_add(&s.digest, &s.items[i]);
	push_set_target(f->push, &s);
	wait_in_force(f, 1);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 1);
	assert_int_equal(f->dp->n_requests[MR_REQ_PUT], 2);
	assert_int_equal(f->dp->n_requests[MR_REQ_DEL], 1);
	assert_int_equal(f->dp->n_requests[MR_REQ_DUMP], 0);
	assert_int_equal(f->dp->generation, 2);
}

static void a_model_larger_than_the_window_gets_through(void **state)
{
	struct fix *f = *state;

	converge(f, 9000);
	set(f, 9000, 7);
	wait_in_force(f, 1);
	assert_runs(f, 9000, 7);
	assert_int_equal(f->dp->n_requests[MR_REQ_PUT], 9000);
}

static void a_thousand_generations_send_a_thousand_differences(void **state)
{
	struct fix *f = *state;

	converge(f, 200);
	for (unsigned i = 0; i < 1000; i++) {
		set(f, i % 2 ? 200 : 199, 100);
		wait_in_force(f, i + 1);
	}
	assert_int_equal(f->dp->generation, 1001);
	assert_int_equal(f->dp->n_requests[MR_REQ_PUT] + f->dp->n_requests[MR_REQ_DEL], 1000);
	assert_int_equal(f->dp->n_requests[MR_REQ_DUMP], 0);
}

static void of_targets_that_wait_only_the_last_is_sent(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_COMMIT, .act = FAKEDP_HOLD, .times = 1};
	set(f, 2, 1);
	ctlfix_run_until(f->base, is_holding, f);
	set(f, 2, 2);
	set(f, 2, 3);
	set(f, 2, 4);
	fakedp_release(f->dp);
	wait_in_force(f, 1);
	assert_runs(f, 2, 4);
	assert_int_equal(f->dp->generation, 3); /* 1, then weight 1, then weight 4 */
}

/* A report is about the target set last: what is told while another one waits would be taken for its. */
static void a_replaced_target_is_not_reported(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_COMMIT, .act = FAKEDP_HOLD, .times = 1};
	set(f, 2, 1);
	ctlfix_run_until(f->base, is_holding, f);
	set(f, 2, 2);
	fakedp_release(f->dp);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_PREPARE,
		.act = FAKEDP_REFUSE,
		.times = 1,
		.code = MR_ERR_LIMIT,
		.message = "full"};
	ctlfix_run_until(f->base, is_refused, f);
	assert_runs(f, 2, 1);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(last(f)->outcome, PUSH_REFUSED);
}

/* --- what goes wrong on the way */

static void half_frames_are_put_together(void **state)
{
	struct fix *f = *state;

	f->dp = fakedp_start(f->base, f->path);
	f->dp->is_dribbling = true;
	for (unsigned i = 0; i < 3; i++) {
		struct objset s = model_of(3, 100);

		fakedp_put(f->dp, &s.items[i]);
		objset_fini(&s);
	}
	start_push(f);
	set(f, 3, 100);
	wait_in_force(f, 1);
	assert_runs(f, 3, 100);
	assert_int_equal(f->n_away, 0);
}

static const struct {
	uint16_t type;
	enum fakedp_act act;
	unsigned skip;
	const char *message; /* part of what is told; NULL: nothing need be told */
} breaks[] = {
	{MR_REQ_HELLO, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_HELLO, FAKEDP_GARBAGE, 0, "malformed"},
	{MR_REQ_HELLO, FAKEDP_HALF, 0, "closed the connection"},
	{MR_REQ_HELLO, FAKEDP_FOREIGN, 0, "malformed or unexpected"},
	{MR_REQ_STATUS, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_STATUS, FAKEDP_LIE, 0, NULL},
	{MR_REQ_DUMP, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_DUMP, FAKEDP_GARBAGE, 0, "malformed"},
	{MR_REQ_DUMP, FAKEDP_HALF, 0, "closed the connection"},
	{MR_REQ_DUMP, FAKEDP_LIE, 0, "an object we do not know"},
	{MR_REQ_BEGIN, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_BEGIN, FAKEDP_GARBAGE, 0, "malformed"},
	{MR_REQ_PUT, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_PUT, FAKEDP_CLOSE, 1, "closed the connection"},
	{MR_REQ_PUT, FAKEDP_GARBAGE, 1, "malformed"},
	{MR_REQ_PUT, FAKEDP_FOREIGN, 1, "malformed or unexpected"},
	{MR_REQ_DEL, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_DEL, FAKEDP_HALF, 0, "closed the connection"},
	{MR_REQ_PREPARE, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_PREPARE, FAKEDP_CLOSE_AFTER, 0, "closed the connection"},
	{MR_REQ_PREPARE, FAKEDP_GARBAGE, 0, "malformed"},
	{MR_REQ_COMMIT, FAKEDP_CLOSE, 0, "closed the connection"},
	{MR_REQ_COMMIT, FAKEDP_CLOSE_AFTER, 0, "closed the connection"},
	{MR_REQ_COMMIT, FAKEDP_HALF, 0, "closed the connection"},
};

/* One break at each step; the dataplane drops what was not committed, and the next connection converges. */
static void a_broken_connection_at_any_step_converges(void **state)
{
	struct fix *f = *state;
	const struct mr_object foreign = {.type = MR_OBJ_SNAT, .snat.ip = {4, {10, 9, 9, 9}}};
	const unsigned n_fds = ctlfix_n_fds();

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		f->n_told = f->n_in_force = f->n_away = 0;
		f->dp = fakedp_start(f->base, f->path);
		fakedp_put(f->dp, &foreign); /* something to delete and to dump */
		f->dp->rule = (struct fakedp_rule){
			.type = breaks[i].type,
			.act = breaks[i].act,
			.skip = breaks[i].skip,
			.times = 1,
		};
		start_push(f);
		set(f, 4, 100);
		wait_in_force(f, 1);
		assert_runs(f, 4, 100);
		assert_int_equal(f->dp->rule.times, 0); /* it has happened */
		assert_true(push_is_in_sync(f->push));
		assert_int_equal(f->n_refused, 0);
		if (breaks[i].message != NULL) {
			assert_int_equal(f->told[0].outcome, PUSH_AWAY);
			if (strstr(f->told[0].message, breaks[i].message) == NULL)
				fail_msg("break %zu: told '%s'", i, f->told[0].message);
		}
		push_destroy(&f->push);
		fakedp_stop(&f->dp);
	}
	ctlfix_run_ready(f->base); /* libevent closes a little later */
	assert_int_equal(ctlfix_n_fds(), n_fds);
}

/* The commit was carried out but its answer was lost: nothing is sent a second time. */
static void a_commit_without_an_answer_is_not_repeated(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	f->dp->rule =
		(struct fakedp_rule){.type = MR_REQ_COMMIT, .act = FAKEDP_CLOSE_AFTER, .times = 1};
	set(f, 2, 50);
	wait_in_force(f, 1);
	assert_runs(f, 2, 50);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 1);
	assert_int_equal(f->dp->generation, 2);
	assert_int_equal(f->told[0].outcome, PUSH_AWAY);
}

static void another_version_is_named_and_waited_for(void **state)
{
	struct fix *f = *state;

	f->dp = fakedp_start(f->base, f->path);
	f->dp->version = 2; /* refuses our HELLO as the real one does */
	start_push(f);
	set(f, 2, 100);
	ctlfix_run_until(f->base, is_away, f);
	assert_non_null(strstr(last(f)->message, "HELLO refused"));
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 0);
	fakedp_stop(&f->dp);
	f->dp = fakedp_start(f->base, f->path); /* the right release is installed */
	wait_in_force(f, 1);
	assert_runs(f, 2, 100);
}

static void refuse_times(struct fix *f, uint16_t type, uint16_t code, unsigned times)
{
	f->dp->rule = (struct fakedp_rule){.type = type,
		.act = FAKEDP_REFUSE,
		.times = times,
		.code = code,
		.object = "service/shop",
		.message = "it cannot be"};
}

static void busy_is_tried_again_and_is_no_refusal(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	refuse_times(f, MR_REQ_BEGIN, MR_ERR_BUSY, 4);
	set(f, 2, 5);
	wait_in_force(f, 1);
	assert_runs(f, 2, 5);
	assert_int_equal(f->n_refused, 0);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 5);
}

/* Longer than the few tries at once: the connection is made anew, and still nothing is lost. */
static void busy_for_long_is_waited_out(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	refuse_times(f, MR_REQ_BEGIN, MR_ERR_BUSY, 9);
	set(f, 2, 5);
	wait_in_force(f, 1);
	assert_runs(f, 2, 5);
	assert_int_equal(f->n_refused, 0);
	assert_true(f->n_away > 0);
}

/* A connection that is good for nothing is not made anew at the pace of the first try for ever, but one
 * that was good is. */
static void pauses_grow_until_a_change_gets_through(void **state)
{
	struct fix *f = *state;

	converge(f, 1);
	refuse_times(f, MR_REQ_BEGIN, MR_ERR_BUSY, 19); /* 6 tries a connection */
	set(f, 1, 5);
	wait_in_force(f, 1);
	assert_int_equal(f->n_away, 3);
	assert_int_equal(f->pauses_ms[0], 50);
	assert_int_equal(f->pauses_ms[1], 100);
	assert_int_equal(f->pauses_ms[2], 200);
	fakedp_stop(&f->dp);
	f->wanted = 4;
	ctlfix_run_until(f->base, has_been_away, f);
	assert_int_equal(f->pauses_ms[3], 50);
}

static void another_writers_change_is_noticed_and_undone(void **state)
{
	struct fix *f = *state;
	const struct mr_object foreign = {.type = MR_OBJ_SNAT, .snat.ip = {4, {10, 9, 9, 9}}};

	converge(f, 2);
	fakedp_put(f->dp, &foreign);
	set(f, 2, 5); /* BEGIN with the old base: conflict, dump, difference */
	wait_in_force(f, 1);
	assert_runs(f, 2, 5);
	assert_null(fakedp_find(f->dp, "snat/10.9.9.9"));
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 2);
	assert_int_equal(f->dp->n_requests[MR_REQ_DEL], 1);
	assert_int_equal(f->n_away, 0);
}

/* P1: a conflict empties the belief also when another target waits. */
static void a_conflict_with_a_target_waiting_looks_again(void **state)
{
	struct fix *f = *state;
	const struct mr_object foreign = {.type = MR_OBJ_SNAT, .snat.ip = {4, {10, 9, 9, 9}}};

	converge(f, 2);
	fakedp_put(f->dp, &foreign);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_BEGIN, .act = FAKEDP_HOLD, .times = 1};
	set(f, 2, 5);
	ctlfix_run_until(f->base, is_holding, f);
	set(f, 2, 6);
	fakedp_release(f->dp);
	wait_in_force(f, 1);
	assert_runs(f, 2, 6);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 2);
}

/* --- refusals */

static void a_refused_prepare_changes_nothing_and_is_located(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	refuse_times(f, MR_REQ_PREPARE, MR_ERR_LIMIT, 1);
	set(f, 2, 5);
	ctlfix_run_until(f->base, is_refused, f);
	assert_string_equal(last(f)->object, "service/shop");
	assert_string_equal(last(f)->message, "it cannot be");
	assert_runs(f, 2, 100);
	assert_int_equal(f->dp->generation, 1);
	assert_false(push_is_in_sync(f->push));
	/* P3: not again by itself … */
	ctlfix_run_ready(f->base);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 1);
	assert_int_equal(f->dp->n_requests[MR_REQ_ABORT], 1);
	/* … but what was there before is in force at once, and the next target is sent */
	set(f, 2, 100);
	wait_in_force(f, 1);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 1);
	set(f, 2, 6);
	wait_in_force(f, 2);
	assert_runs(f, 2, 6);
}

static void a_refused_object_ends_the_change(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	refuse_times(f, MR_REQ_PUT, MR_ERR_INVALID, 1);
	set(f, 30, 5);
	ctlfix_run_until(f->base, is_refused, f);
	assert_string_equal(last(f)->object, "service/shop");
	assert_int_equal(f->dp->n_requests[MR_REQ_PREPARE], 0);
	assert_runs(f, 2, 100);
	set(f, 3, 5); /* the transaction was given back */
	wait_in_force(f, 1);
	assert_runs(f, 3, 5);
}

static void a_refused_target_is_tried_again_at_a_new_dataplane(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	refuse_times(f, MR_REQ_PREPARE, MR_ERR_LIMIT, 1);
	set(f, 2, 5);
	ctlfix_run_until(f->base, is_refused, f);
	fakedp_stop(&f->dp);
	f->dp = fakedp_start(f->base, f->path);
	wait_in_force(f, 1);
	assert_runs(f, 2, 5);
}

/* --- coming and going */

static void the_daemon_may_be_first(void **state)
{
	struct fix *f = *state;

	start_push(f);
	assert_string_equal(push_away_reason(f->push), "connecting");
	set(f, 2, 100);
	ctlfix_run_until(f->base, is_away, f);
	assert_non_null(strstr(last(f)->message, "is millraced running?"));
	assert_non_null(strstr(last(f)->message, f->path));
	f->dp = fakedp_start(f->base, f->path);
	wait_in_force(f, 1);
	assert_runs(f, 2, 100);
}

/* The new dataplane is empty and begins at generation 0 again. */
static void a_restarted_dataplane_gets_it_all_again(void **state)
{
	struct fix *f = *state;

	converge(f, 5);
	set(f, 5, 9);
	wait_in_force(f, 1);
	fakedp_stop(&f->dp);
	ctlfix_run_until(f->base, is_away, f);
	assert_false(push_is_in_sync(f->push));
	f->dp = fakedp_start(f->base, f->path);
	wait_in_force(f, 2);
	assert_runs(f, 5, 9);
	assert_int_equal(f->dp->generation, 1);
}

/* The restarted dataplane has the generation number it had before, but another model. */
static void the_same_number_with_another_model_is_seen(void **state)
{
	struct fix *f = *state;
	struct objset s = model_of(1, 3);

	converge(f, 5);
	fakedp_stop(&f->dp);
	f->dp = fakedp_start(f->base, f->path);
	fakedp_put(f->dp, &s.items[2]);
	assert_int_equal(f->dp->generation, 1);
	objset_fini(&s);
	wait_in_force(f, 1);
	assert_runs(f, 5, 100);
	assert_int_equal(f->dp->generation, 2);
}

static void a_restarted_daemon_sends_the_difference(void **state)
{
	struct fix *f = *state;

	converge(f, 50);
	push_destroy(&f->push);
	start_push(f);
	set(f, 49, 100);
	wait_in_force(f, 1);
	assert_runs(f, 49, 100);
	assert_int_equal(f->dp->n_requests[MR_REQ_PUT], 0);
	assert_int_equal(f->dp->n_requests[MR_REQ_DEL], 1);
}

static void a_target_set_while_away_replaces_the_one_before(void **state)
{
	struct fix *f = *state;

	start_push(f);
	set(f, 2, 1);
	set(f, 2, 2);
	ctlfix_run_until(f->base, is_away, f);
	set(f, 2, 3);
	f->dp = fakedp_start(f->base, f->path);
	wait_in_force(f, 1);
	assert_runs(f, 2, 3);
	assert_int_equal(f->dp->generation, 1);
}

/* The answer takes its time; the loop goes on meanwhile and nothing is sent twice. */
static void a_slow_dataplane_is_waited_for(void **state)
{
	struct fix *f = *state;

	converge(f, 2);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_PREPARE, .act = FAKEDP_HOLD, .times = 1};
	set(f, 2, 8);
	ctlfix_run_until(f->base, is_holding, f);
	ctlfix_run_ready(f->base);
	assert_int_equal(f->n_told, 0);
	assert_false(push_is_in_sync(f->push));
	assert_int_equal(client_n_outstanding(push_client(f->push)), 1);
	fakedp_release(f->dp);
	wait_in_force(f, 1);
	assert_runs(f, 2, 8);
	assert_int_equal(f->dp->n_requests[MR_REQ_PREPARE], 1);
}

/* Destroyed in every phase: nothing is called any more, nothing leaks (the sanitizer looks). */
static void it_can_end_at_any_step(void **state)
{
	static const uint16_t steps[] = {MR_REQ_HELLO, MR_REQ_STATUS, MR_REQ_DUMP, MR_REQ_BEGIN,
		MR_REQ_PUT, MR_REQ_PREPARE, MR_REQ_COMMIT};
	struct fix *f = *state;
	unsigned n_told;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		f->dp = fakedp_start(f->base, f->path);
		f->dp->rule =
			(struct fakedp_rule){.type = steps[i], .act = FAKEDP_HOLD, .times = 1};
		start_push(f);
		set(f, 3, 100);
		ctlfix_run_until(f->base, is_holding, f);
		set(f, 4, 100);
		n_told = f->n_told;
		push_destroy(&f->push);
		fakedp_release(f->dp);
		ctlfix_run_ready(f->base);
		assert_int_equal(f->n_told, n_told);
		assert_int_equal(f->dp->generation, steps[i] == MR_REQ_COMMIT);
		fakedp_stop(&f->dp);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_dataplane_gets_everything_once),
		TEST(an_equal_model_is_left_alone),
		TEST(only_the_difference_is_sent),
		TEST(a_model_larger_than_the_window_gets_through),
		TEST(a_thousand_generations_send_a_thousand_differences),
		TEST(of_targets_that_wait_only_the_last_is_sent),
		TEST(a_replaced_target_is_not_reported),
		TEST(half_frames_are_put_together),
		TEST(a_broken_connection_at_any_step_converges),
		TEST(a_commit_without_an_answer_is_not_repeated),
		TEST(another_version_is_named_and_waited_for),
		TEST(busy_is_tried_again_and_is_no_refusal),
		TEST(busy_for_long_is_waited_out),
		TEST(pauses_grow_until_a_change_gets_through),
		TEST(another_writers_change_is_noticed_and_undone),
		TEST(a_conflict_with_a_target_waiting_looks_again),
		TEST(a_refused_prepare_changes_nothing_and_is_located),
		TEST(a_refused_object_ends_the_change),
		TEST(a_refused_target_is_tried_again_at_a_new_dataplane),
		TEST(the_daemon_may_be_first),
		TEST(a_restarted_dataplane_gets_it_all_again),
		TEST(the_same_number_with_another_model_is_seen),
		TEST(a_restarted_daemon_sends_the_difference),
		TEST(a_target_set_while_away_replaces_the_one_before),
		TEST(a_slow_dataplane_is_waited_for),
		TEST(it_can_end_at_any_step),
	};

	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return cmocka_run_group_tests_name("push", tests, NULL, NULL);
}
