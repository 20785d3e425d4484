/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_loop — what becomes of an apply when the dataplane is there, away, refuses, is in the middle of
 * something else, or the disk does not have it; and what health checks may say while it is away.
 */
#include "ctlfix.h"
#include "daemon/check_kind.h"
#include "daemon/loop.h"
#include "fakedp.h"
#include "unit.h"

#include <event2/event.h>

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct answer {
	bool is_there;
	enum loop_verdict verdict;
	uint64_t generation;
	char object[MR_TEXT_MAX], message[512];
};

struct fix {
	struct event_base *base;
	struct fakedp *dp;
	struct loop *loop;
	char dir[64], socket[96], state_dir[96], config[96];
	uint64_t wanted;
};

static const char one[] =
	"version: 1\n"
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
	"pools: { web: { backends: [{ name: a, ip: 10.1.0.11, port: 80 }] } }\n"
	"services: { s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web } }\n";

static const char two[] =
	"version: 1\n"
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
	"pools: { web: { backends: [{ name: a, ip: 10.1.0.11, port: 81 }] } }\n"
	"services: { s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web } }\n";

static void start(struct fix *f)
{
	const struct loop_params params = {.config_file = f->config[0] != '\0' ? f->config : NULL,
		.state_dir = f->state_dir,
		.dataplane = f->socket};

	assert_int_equal(loop_create(&f->loop, f->base, &params), 0);
}

static bool is_in_sync(void *arg)
{
	const struct fix *f = arg;

	return loop_is_in_sync(f->loop);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->base = event_base_new();
	ctlfix_dir(f->dir);
	snprintf(f->socket, sizeof(f->socket), "%s/dp.sock", f->dir);
	snprintf(f->state_dir, sizeof(f->state_dir), "%s/state", f->dir);
	snprintf(f->config, sizeof(f->config), "%s/conf.yaml", f->dir);
	ctlfix_write(f->dir, "conf.yaml", one);
	f->dp = fakedp_start(f->base, f->socket);
	start(f);
	ctlfix_run_until(f->base, is_in_sync, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	loop_destroy(&f->loop);
	fakedp_stop(&f->dp);
	ctlfix_run_ready(f->base);
	event_base_free(f->base);
	ctlfix_rm(f->dir);
	free(f);
	return 0;
}

static void on_applied(void *arg, const struct loop_applied *r)
{
	struct answer *a = arg;

	assert_false(a->is_there); /* exactly once */
	a->is_there = true;
	a->verdict = r->verdict;
	a->generation = r->generation;
	snprintf(a->object, sizeof(a->object), "%s", r->object);
	snprintf(a->message, sizeof(a->message), "%s", r->message);
}

static bool is_answered(void *arg)
{
	const struct answer *a = arg;

	return a->is_there;
}

static bool is_holding(void *arg)
{
	const struct fix *f = arg;

	return f->dp->is_holding;
}

static void submit(struct fix *f, const char *text, uint64_t if_generation, struct answer *a)
{
	struct desired to = {.text = strdup(text),
		.text_len = strlen(text),
		.conf = ctlfix_conf(text),
		.time_ms = 1,
		.name = "x",
		.author = "test"};

	memset(a, 0, sizeof(*a));
	assert_int_equal(loop_apply(f->loop, &to, if_generation, on_applied, a), 0);
}

static void apply(struct fix *f, const char *text, uint64_t if_generation, struct answer *a)
{
	submit(f, text, if_generation, a);
	ctlfix_run_until(f->base, is_answered, a);
}

static uint16_t running_port(const struct fix *f)
{
	return fakedp_find(f->dp, "backend/s/a")->backend.port;
}

static void assert_saved(const struct fix *f, const char *text)
{
	char *saved = ctlfix_read(f->state_dir, "config.yaml");

	assert_string_equal(saved, text);
	free(saved);
}

static void drain(struct fix *f)
{
	const struct admin_override o = {
		.pool = "web", .name = "a", .is_drained = true, .author = "alice", .time_ms = 1};

	assert_int_equal(loop_override(f->loop, &o), 0);
}

static void the_first_start_takes_the_file_and_later_ones_do_not(void **state)
{
	struct fix *f = *state;
	const char *log;

	assert_saved(f, one);
	assert_false(loop_config_differs(f->loop));
	ctlfix_write(f->dir, "conf.yaml", two);
	loop_destroy(&f->loop);
	ctlfix_log_begin();
	start(f);
	log = ctlfix_log_end();
	assert_non_null(strstr(log, "differs from the applied generation 1"));
	assert_non_null(strstr(log, "millrace config apply"));
	assert_true(loop_config_differs(f->loop));
	assert_string_equal(loop_desired(f->loop)->text, one);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(f->dp->generation, 1);
}

static void an_apply_is_in_force_and_saved(void **state)
{
	struct fix *f = *state;
	struct answer a;

	apply(f, two, 1, &a);
	assert_int_equal(a.verdict, LOOP_APPLIED);
	assert_int_equal(a.generation, 2);
	assert_int_equal(running_port(f), 81);
	assert_saved(f, two);
	ctlfix_run_until(f->base, is_in_sync, f);
	loop_destroy(&f->loop);
	start(f);
	assert_int_equal(loop_desired(f->loop)->generation, 2);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(f->dp->generation, 2);
}

static void a_stale_generation_is_a_conflict_when_its_turn_comes(void **state)
{
	struct fix *f = *state;
	struct answer a, b;

	submit(f, two, 1, &a);
	submit(f, one, 1, &b); /* generation 1 still when it was sent, not when it is its turn */
	ctlfix_run_until(f->base, is_answered, &b);
	assert_int_equal(a.verdict, LOOP_APPLIED);
	assert_int_equal(b.verdict, LOOP_CONFLICT);
	assert_int_equal(b.generation, 2);
	assert_saved(f, two);
}

/* Nothing was applied so far, and two want to be the first. */
static void generation_0_is_the_one_before_the_first(void **state)
{
	struct fix *f = *state;
	struct answer a, b;

	apply(f, two, 0, &a);
	assert_int_equal(a.verdict, LOOP_CONFLICT);
	assert_int_equal(running_port(f), 80);
	loop_destroy(&f->loop);
	ctlfix_rm(f->state_dir);
	unlink(f->config);
	f->config[0] = '\0';
	start(f);
	assert_int_equal(loop_desired(f->loop)->generation, 0);
	submit(f, two, 0, &a);
	submit(f, one, 0, &b);
	ctlfix_run_until(f->base, is_answered, &b);
	assert_int_equal(a.verdict, LOOP_APPLIED);
	assert_int_equal(a.generation, 1);
	assert_int_equal(b.verdict, LOOP_CONFLICT);
	assert_saved(f, two);
}

static void a_refused_apply_leaves_everything_as_it_was(void **state)
{
	struct fix *f = *state;
	struct answer a;

	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_PREPARE,
		.act = FAKEDP_REFUSE,
		.times = 1,
		.code = MR_ERR_LIMIT,
		.object = "service/s",
		.message = "table full"};
	apply(f, two, LOOP_ANY_GENERATION, &a);
	assert_int_equal(a.verdict, LOOP_REFUSED);
	assert_string_equal(a.object, "service/s");
	assert_string_equal(a.message, "table full");
	assert_int_equal(a.generation, 1);
	assert_int_equal(running_port(f), 80);
	assert_saved(f, one);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(f->dp->generation, 1);
}

/* An order of an operator is on its way to the dataplane when the apply comes: its commit must not be taken
 * for that of the apply. */
static void an_apply_behind_an_order_gets_its_own_answer(void **state)
{
	struct fix *f = *state;
	struct answer a;

	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_COMMIT, .act = FAKEDP_HOLD, .times = 1};
	drain(f);
	ctlfix_run_until(f->base, is_holding, f);
	submit(f, two, LOOP_ANY_GENERATION, &a);
	ctlfix_run_ready(f->base);
	fakedp_release(f->dp);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_PREPARE,
		.act = FAKEDP_REFUSE,
		.times = 1,
		.code = MR_ERR_LIMIT,
		.message = "table full"};
	ctlfix_run_until(f->base, is_answered, &a);
	assert_int_equal(a.verdict, LOOP_REFUSED);
	assert_saved(f, one);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(running_port(f), 80);
	assert_int_equal(fakedp_find(f->dp, "backend/s/a")->backend.state, MR_BACKEND_DRAIN);
}

/* And the other way round: the order waits for the apply and is not lost. */
static void an_order_during_an_apply_follows_it(void **state)
{
	struct fix *f = *state;
	struct answer a;

	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_COMMIT, .act = FAKEDP_HOLD, .times = 1};
	submit(f, two, LOOP_ANY_GENERATION, &a);
	ctlfix_run_until(f->base, is_holding, f);
	drain(f);
	fakedp_release(f->dp);
	ctlfix_run_until(f->base, is_answered, &a);
	assert_int_equal(a.verdict, LOOP_APPLIED);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(running_port(f), 81);
	assert_int_equal(fakedp_find(f->dp, "backend/s/a")->backend.state, MR_BACKEND_DRAIN);
}

static bool is_evicted(void *arg)
{
	const struct fix *f = arg;

	return fakedp_find(f->dp, "backend/s/a")->backend.state == MR_BACKEND_EVICT;
}

/* Nothing else happens at that time: the loop wakes itself. */
static void a_drained_backend_is_evicted_at_its_deadline(void **state)
{
	struct fix *f = *state;
	struct admin_override o = {
		.pool = "web", .name = "a", .is_drained = true, .author = "alice"};

	o.deadline_ms = loop_now_ms() + 300;
	assert_int_equal(loop_override(f->loop, &o), 0);
	ctlfix_run_until(f->base, is_in_sync, f);
	if (loop_now_ms() < o.deadline_ms) /* a slow machine may be late */
		assert_int_equal(
			fakedp_find(f->dp, "backend/s/a")->backend.state, MR_BACKEND_DRAIN);
	ctlfix_run_until(f->base, is_evicted, f);
	assert_true(loop_now_ms() >= o.deadline_ms);
	/* drained again: it begins anew */
	o.deadline_ms = 0;
	assert_int_equal(loop_override(f->loop, &o), 0);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(fakedp_find(f->dp, "backend/s/a")->backend.state, MR_BACKEND_DRAIN);
}

static void while_the_dataplane_is_away_applies_are_pending(void **state)
{
	struct fix *f = *state;
	struct answer a;

	fakedp_stop(&f->dp);
	apply(f, two, LOOP_ANY_GENERATION, &a);
	assert_int_equal(a.verdict, LOOP_PENDING);
	assert_true(loop_is_pending(f->loop));
	assert_saved(f, two);
	f->dp = fakedp_start(f->base, f->socket);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_false(loop_is_pending(f->loop));
	assert_int_equal(running_port(f), 81);
}

static void an_apply_the_disk_does_not_have_is_taken_back(void **state)
{
	struct fix *f = *state;
	struct answer a;
	char path[128];

	snprintf(path, sizeof(path), "%s/.generation.json.tmp", f->state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	apply(f, two, LOOP_ANY_GENERATION, &a);
	assert_int_equal(a.verdict, LOOP_UNSAVED);
	assert_int_equal(a.generation, 1);
	assert_non_null(strstr(a.message, "could not be saved"));
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(running_port(f), 80);
	assert_int_equal(rmdir(path), 0);
	loop_destroy(&f->loop);
	start(f);
	assert_string_equal(loop_desired(f->loop)->text, one);
}

static void applies_in_a_row(void **state)
{
	struct fix *f = *state;
	struct answer a;

	for (unsigned i = 0; i < 100; i++) {
		apply(f, i % 2 ? one : two, i + 1, &a);
		assert_int_equal(a.verdict, LOOP_APPLIED);
	}
	assert_int_equal(loop_desired(f->loop)->generation, 101);
	assert_int_equal(f->dp->generation, 101);
	assert_int_equal(f->dp->n_requests[MR_REQ_DUMP], 1);
}

static void a_state_directory_that_cannot_be_used_is_said(void **state)
{
	struct fix *f = *state;
	const struct loop_params params = {
		.config_file = f->config, .state_dir = f->state_dir, .dataplane = f->socket};
	struct loop *second = NULL;

	ctlfix_log_begin();
	assert_int_equal(loop_create(&second, f->base, &params), -EWOULDBLOCK);
	assert_non_null(strstr(ctlfix_log_end(), "another millrace-controld uses it"));
	loop_destroy(&f->loop);
	ctlfix_write(f->state_dir, "config.yaml", "version: 1\nservces: {}\n");
	ctlfix_log_begin();
	assert_int_equal(loop_create(&second, f->base, &params), -EINVAL);
	assert_non_null(strstr(ctlfix_log_end(), "config.yaml:2:1: error: unknown key 'servces'"));
	assert_null(second);
}

/* What is saved counts as little as what is new: a daemon without the option runs no commands. */
static void commands_need_an_option_of_the_daemon(void **state)
{
	static const char text[] = "version: 1\n"
				   "checks: { x: { type: exec, command: [/bin/true] } }\n";
	struct fix *f = *state;
	struct loop_params params = {.config_file = f->config, .dataplane = f->socket};
	char state_dir[96];
	struct loop *second = NULL;

	snprintf(state_dir, sizeof(state_dir), "%s/state2", f->dir);
	params.state_dir = state_dir;
	ctlfix_write(f->dir, "conf.yaml", text);
	ctlfix_log_begin();
	assert_int_equal(loop_create(&second, f->base, &params), -EINVAL);
	assert_non_null(strstr(ctlfix_log_end(), "conf.yaml:2:22: error: checks.x would run"));
	params.allows_exec = true;
	assert_int_equal(loop_create(&second, f->base, &params), 0);
	loop_destroy(&second);
	params.allows_exec = false;
	ctlfix_log_begin();
	assert_int_equal(loop_create(&second, f->base, &params), -EINVAL);
	assert_non_null(strstr(ctlfix_log_end(), "config.yaml:2:22: error: checks.x would run"));
}

/* --- checks while the dataplane is away */

static const char checked[] =
	"version: 1\n"
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
	"checks: { c: { type: http, interval: %s, timeout: 300ms, rise: 1, fall: 1, port: %u } }\n"
	"pools: { web: { check: c, backends: [{ name: a, ip: %s, port: 80 }] } }\n"
	"services: { s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web } }\n";

/* A backend that takes connections and says nothing: a socket on an address of this machine that is not the
 * loopback's, which no configuration allows. False: there is none. */
static bool listen_silently(int *fd, uint16_t *port, char ip[INET_ADDRSTRLEN])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);
	struct ifaddrs *list, *i;

	assert_int_equal(getifaddrs(&list), 0);
	for (i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET
			&& !(i->ifa_flags & IFF_LOOPBACK))
			break;
	}
	if (i != NULL)
		memcpy(&sin, i->ifa_addr, sizeof(sin));
	freeifaddrs(list);
	if (i == NULL)
		return false;
	sin.sin_port = 0;
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(*fd, 8), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	inet_ntop(AF_INET, &sin.sin_addr, ip, INET_ADDRSTRLEN);
	return true;
}

struct wait {
	int listener, peer;
};

static bool has_come(void *arg)
{
	struct wait *w = arg;

	w->peer = accept(w->listener, NULL, NULL);
	return w->peer >= 0;
}

static bool has_gone(void *arg)
{
	const struct wait *w = arg;
	char buf[1024];

	return recv(w->peer, buf, sizeof(buf), MSG_DONTWAIT) == 0;
}

/* The state a run before left: up. */
static void prepare_checked(struct fix *f, const char *interval, uint16_t port, const char *ip)
{
	char text[1024];

	loop_destroy(&f->loop);
	snprintf(text, sizeof(text), checked, interval, port, ip);
	ctlfix_write(f->state_dir, "config.yaml", text);
	ctlfix_write(f->state_dir, "observed.json",
		"{\"backends\": [{\"pool\": \"web\", \"name\": \"a\", \"state\": \"up\", "
		"\"reason\": \"before\", \"since_ms\": 5}]}");
}

static bool is_down(void *arg)
{
	const struct fix *f = arg;

	return loop_observed(f->loop, 0, 0)->state == WEIGHT_DOWN;
}

/* Nothing wakes the loop when a peer only looks at its socket. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
}

static void failures_count_only_while_the_dataplane_is_there(void **state)
{
	static const struct timeval tick_time = {0, 5000};
	struct fix *f = *state;
	char ip[INET_ADDRSTRLEN];
	struct event *tick;
	struct wait w;
	uint16_t port = 0;

	if (!listen_silently(&w.listener, &port, ip))
		skip();
	tick = event_new(f->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(tick, &tick_time);
	for (unsigned is_back = 0; is_back < 2; is_back++) {
		prepare_checked(f, "1h", port, ip);
		fakedp_stop(&f->dp);
		start(f);
		ctlfix_run_until(f->base, has_come, &w);
		if (is_back) { /* while the probe waits for its answer */
			f->dp = fakedp_start(f->base, f->socket);
			ctlfix_run_until(f->base, is_in_sync, f);
		}
		ctlfix_run_until(f->base, has_gone, &w);
		ctlfix_run_ready(f->base);
		assert_int_equal(loop_observed(f->loop, 0, 0)->state, WEIGHT_UP);
		if (!is_back)
			f->dp = fakedp_start(f->base, f->socket);
		ctlfix_run_until(f->base, is_in_sync, f);
		assert_int_equal(fakedp_find(f->dp, "backend/s/a")->backend.state, MR_BACKEND_UP);
		close(w.peer);
	}
	prepare_checked(
		f, "300ms", port, ip); /* a probe that has seen the dataplane all the time */
	start(f);
	ctlfix_run_until(f->base, is_down, f);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(fakedp_find(f->dp, "backend/s/a")->backend.state, MR_BACKEND_DOWN);
	event_free(tick);
	close(w.listener);
}

/* --- slow start */

struct ramp {
	struct fix *f;
	unsigned n;
	uint16_t weights[16]; /* that the dataplane was given while it was up */
};

static bool is_full(void *arg)
{
	struct ramp *r = arg;
	const struct mr_object *o = fakedp_find(r->f->dp, "backend/s/a");
	uint16_t last = r->n > 0 ? r->weights[r->n - 1] : 0;

	if (o == NULL || o->backend.state != MR_BACKEND_UP)
		return false;
	if (o->backend.weight != last) {
		assert_true(r->n < 16);
		r->weights[r->n++] = last = o->backend.weight;
	}
	return last == 100;
}

/* What the loop before left is no more in force. */
static bool has_begun(void *arg)
{
	const struct ramp *r = arg;
	const struct mr_object *o = fakedp_find(r->f->dp, "backend/s/a");

	return o != NULL && (o->backend.state != MR_BACKEND_UP || o->backend.weight < 100);
}

/* The first probe passes: the backend's socket takes connections. */
static void a_backend_that_comes_up_is_given_its_weight_in_steps(void **state)
{
	static const char text_of[] =
		"version: 1\n"
		"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
		"checks: { c: { type: tcp, interval: 1h, timeout: 5s, port: %u } }\n"
		"pools: { web: { check: c, slow_start: 3s, backends: [{ name: a, ip: %s, port: 80 }] } }\n"
		"services: { s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web } }\n";
	struct fix *f = *state;
	struct ramp r = {.f = f};
	char ip[INET_ADDRSTRLEN], text[1024];
	uint16_t port = 0;
	int listener;

	if (!listen_silently(&listener, &port, ip))
		skip();
	loop_destroy(&f->loop);
	snprintf(text, sizeof(text), text_of, port, ip);
	ctlfix_write(f->state_dir, "config.yaml", text);
	start(f);
	ctlfix_run_until(f->base, has_begun, &r);
	ctlfix_run_until(f->base, is_full, &r);
	assert_true(r.n >= 2);
	assert_int_equal(r.weights[0], 10);
	for (unsigned i = 1; i < r.n; i++) {
		assert_true(r.weights[i] > r.weights[i - 1]);
		assert_int_equal(r.weights[i] % 10, 0);
	}
	close(listener);
}

static bool is_checked_and_used(void *arg)
{
	const struct fix *f = arg;
	const struct mr_backend *b = &fakedp_find(f->dp, "backend/s/a")->backend;

	assert_int_equal(b->state, MR_BACKEND_UP); /* at every moment */
	assert_int_equal(b->weight, 100);
	return loop_desired(f->loop)->generation == 2 && loop_is_in_sync(f->loop);
}

static const char checked_slowly[] =
	"version: 1\n"
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
	"checks: { c: { type: http, interval: 1h, timeout: 1h, port: %u } }\n"
	"pools: { web: { check: c, slow_start: 1h, backends: [{ name: a, ip: %s, port: 80 }] } }\n"
	"services: { s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web } }\n";

static bool is_up(void *arg)
{
	const struct fix *f = arg;
	const struct mr_object *o = fakedp_find(f->dp, "backend/s/a");

	return o != NULL && o->backend.state == MR_BACKEND_UP && loop_is_in_sync(f->loop);
}

/* The wall clock was set while the daemon was away: "since_ms" is from 1970, or far from now. */
static void a_slow_start_goes_on_whatever_the_clock_says(void **state)
{
	static const struct {
		const char *since;
		int64_t up_ms;
		unsigned weight;
	} rows[] = {{"5", 0, 10}, {"5", 2000000, 60}, {"9999999999999", 0, 10},
		{"9999999999999", 3600000, 100}};
	struct fix *f = *state;
	char ip[INET_ADDRSTRLEN], text[1024], *saved, boot[64] = "";
	uint16_t port = 0;
	int listener;

	if (!listen_silently(&listener, &port, ip))
		skip();
	loop_destroy(&f->loop);
	saved = ctlfix_read(f->state_dir, "observed.json");
	assert_int_equal(sscanf(strstr(saved, "\"boot\""), "\"boot\": \"%63[^\"]", boot), 1);
	free(saved);
	snprintf(text, sizeof(text), checked_slowly, port, ip);
	ctlfix_write(f->state_dir, "config.yaml", text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
			"{\"boot\": \"%s\", \"backends\": [{\"pool\": \"web\", \"name\": \"a\", "
			"\"state\": \"up\", \"reason\": \"r\", \"since_ms\": %s, \"risen_ms\": %lld}]}",
			boot, rows[i].since, (long long)(check_now() * 1000) - rows[i].up_ms);
		ctlfix_write(f->state_dir, "observed.json", text);
		start(f);
		ctlfix_run_until(f->base, is_up, f);
		assert_int_equal(fakedp_find(f->dp, "backend/s/a")->backend.weight, rows[i].weight);
		loop_destroy(&f->loop);
	}
	start(f);
	close(listener);
}

/* Nobody answers the probe: it says nothing yet, and nothing is what changes. */
static void the_check_of_a_running_pool_takes_nothing_out_at_first(void **state)
{
	struct fix *f = *state;
	char ip[INET_ADDRSTRLEN], text[1024];
	struct answer a;
	uint16_t port = 0;
	int listener;

	if (!listen_silently(&listener, &port, ip))
		skip();
	snprintf(text, sizeof(text), checked_slowly, port, ip);
	submit(f, text, LOOP_ANY_GENERATION, &a);
	ctlfix_run_until(f->base, is_checked_and_used, f);
	for (unsigned is_restarted = 0; is_restarted < 2; is_restarted++) {
		assert_int_equal(loop_observed(f->loop, 0, 0)->state, WEIGHT_UP);
		assert_int_equal(loop_observed(f->loop, 0, 0)->passes, 0);
		loop_destroy(&f->loop);
		start(f);
		ctlfix_run_until(f->base, is_checked_and_used, f);
	}
	close(listener);
}

/* --- panic */

static const char panic_text[] =
	"version: 1\n"
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
	"checks: { c: { type: http, expect: 599, interval: 1h, timeout: 1h, rise: 100, fall: 100 } }\n"
	"pools: { web: { check: c, backends: [{ name: a, ip: 10.1.0.11 }, { name: b, ip: 10.1.0.12 },\n"
	"  { name: c, ip: 10.1.0.13 }, { name: d, ip: 10.1.0.14 }] } }\n"
	"services:\n"
	"  s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web, panic_threshold: 50% }\n"
	"  t: { vip: 10.1.0.81, port: 80, mode: full-nat, pool: web }\n";

/* "udxu": what the dataplane has of a to d: up, down, x for drained. */
static void assert_states(const struct fix *f, char service, const char *states)
{
	static const uint8_t of[] = {
		['u'] = MR_BACKEND_UP, ['d'] = MR_BACKEND_DOWN, ['x'] = MR_BACKEND_DRAIN};
	char key[32];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(key, sizeof(key), "backend/%c/%c", service, 'a' + (int)i);
		if (fakedp_find(f->dp, key)->backend.state != of[(uint8_t)states[i]])
			fail_msg("%s is not as in '%s'", key, states);
	}
}

static void set_drained(struct fix *f, char name, bool is_drained)
{
	const struct admin_override o = {.pool = "web",
		.name = {name},
		.author = "test",
		.time_ms = 1,
		.is_drained = is_drained};

	assert_int_equal(loop_override(f->loop, &o), 0);
	ctlfix_run_until(f->base, is_in_sync, f);
}

/* Only a is up: the service with a threshold uses all, the other does not, and operators have the last word. */
static void in_panic_all_backends_are_used(void **state)
{
	static const char health[] =
		"{\"backends\": [{\"pool\": \"web\", \"name\": \"a\", \"state\": \"up\", \"reason\": \"\", "
		"\"since_ms\": 5}, {\"pool\": \"web\", \"name\": \"b\", \"state\": \"down\", \"reason\": \"\", "
		"\"since_ms\": 5}, {\"pool\": \"web\", \"name\": \"c\", \"state\": \"down\", \"reason\": \"\", "
		"\"since_ms\": 5}, {\"pool\": \"web\", \"name\": \"d\", \"state\": \"down\", \"reason\": \"\", "
		"\"since_ms\": 5}]}";
	struct fix *f = *state;
	char text[sizeof(panic_text)];
	struct answer a;
	int64_t since;
	const char *log;

	loop_destroy(&f->loop);
	ctlfix_write(f->state_dir, "config.yaml", panic_text);
	ctlfix_write(f->state_dir, "observed.json", health);
	ctlfix_log_begin();
	start(f);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_states(f, 's', "uuuu");
	assert_states(f, 't', "uddd");
	since = loop_panic_since_ms(f->loop, 0);
	assert_true(since > 0);
	assert_int_equal(loop_panic_since_ms(f->loop, 1), 0);
	assert_int_equal(loop_effective(f->loop, 0, 1).state, MR_BACKEND_DOWN); /* by health */
	set_drained(f, 'b', true);
	assert_states(f, 's', "uxuu");
	assert_states(f, 't', "uddd"); /* its flows at b are those of a dead backend */
	set_drained(f, 'a', true);
	assert_states(f, 't', "xddd");
	set_drained(f, 'a', false);
	set_drained(f, 'c', true); /* a and d are left, one of two is up: half, not less */
	assert_states(f, 's', "uddd");
	assert_int_equal(loop_panic_since_ms(f->loop, 0), 0);
	set_drained(f, 'c', false);
	assert_states(f, 's', "uxuu");
	since = loop_panic_since_ms(f->loop, 0);
	snprintf(text, sizeof(text), "%s", panic_text);
	memcpy(strstr(text, "50%"), "34%", 3); /* one of three is still less */
	apply(f, text, LOOP_ANY_GENERATION, &a);
	assert_int_equal(a.verdict, LOOP_APPLIED);
	assert_states(f, 's', "uxuu");
	assert_int_equal(loop_panic_since_ms(f->loop, 0), since); /* the same panic */
	memcpy(strstr(text, "34%"), "33%", 3);
	apply(f, text, LOOP_ANY_GENERATION, &a);
	assert_states(f, 's', "uddd");
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(loop_panic_since_ms(f->loop, 0), 0);
	log = ctlfix_log_end();
	for (unsigned i = 0; i < 4; i++) {
		static const char *const said[] = {
			"warning: service: s panics: 3 of 4 backends are down, less than 50% are left",
			"notice: service: s panics no more: 1 of 2 backends are down",
			"warning: service: s panics: 2 of 3 backends are down, less than 50% are left",
			"notice: service: s panics no more: 2 of 3 backends are down"};
		const char *hit = strstr(log, said[i]);

		if (hit == NULL)
			fail_msg("'%s' is not in the log, or not in its order", said[i]);
		log = hit;
	}
	assert_null(strstr(strchr(log, '\n'), "panics"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_start_takes_the_file_and_later_ones_do_not),
		TEST(an_apply_is_in_force_and_saved),
		TEST(a_stale_generation_is_a_conflict_when_its_turn_comes),
		TEST(generation_0_is_the_one_before_the_first),
		TEST(a_refused_apply_leaves_everything_as_it_was),
		TEST(an_apply_behind_an_order_gets_its_own_answer),
		TEST(an_order_during_an_apply_follows_it),
		TEST(a_drained_backend_is_evicted_at_its_deadline),
		TEST(while_the_dataplane_is_away_applies_are_pending),
		TEST(an_apply_the_disk_does_not_have_is_taken_back),
		TEST(applies_in_a_row),
		TEST(a_state_directory_that_cannot_be_used_is_said),
		TEST(commands_need_an_option_of_the_daemon),
		TEST(failures_count_only_while_the_dataplane_is_there),
		TEST(a_backend_that_comes_up_is_given_its_weight_in_steps),
		TEST(a_slow_start_goes_on_whatever_the_clock_says),
		TEST(the_check_of_a_running_pool_takes_nothing_out_at_first),
		TEST(in_panic_all_backends_are_used),
	};

	umask(022);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
