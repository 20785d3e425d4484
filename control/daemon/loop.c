/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop — see loop.h. An apply goes through: pushed with the new configuration in place of the old, and
 * only when the dataplane runs it (or is away) saved and taken over. While it is under way the checks
 * and overrides still belong to the old configuration and reconcile waits; both catch up right after.
 */
#include "daemon/loop.h"

#include "daemon/check_kind.h"
#include "daemon/fetch.h"
#include "daemon/keep.h"
#include "daemon/logline.h"
#include "daemon/panic.h"
#include "daemon/passive.h"
#include "daemon/rates.h"
#include "lib/confobj.h"
#include "lib/confreport.h"

#include <event2/event.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#define SAVE_DELAY_MS 500 /* observed states are written at most so often */
#define FOLLOW_SHARE 10   /* computing the target takes at most 1/10 of the time … */
#define FOLLOW_MAX_SEC 1  /* … and waits no longer than that */

struct apply {
	STAILQ_ENTRY(apply) link;
	struct desired to;
	uint64_t if_generation;
	loop_applied_fn *fn;
	void *arg;
};

STAILQ_HEAD(apply_list, apply);

struct loop {
	struct loop_params params;
	struct keep *keep;
	struct desired desired;
	struct admin *admin;
	struct observed *observed;
	struct check *check;
	struct push *push;
	struct fetch *fetch;
	struct rates *rates;
	struct passive *passive;
	bool is_reading_passive; /* rows are on their way */
	struct event *save_timer;
	struct event *turn;    /* starts the first apply that waits */
	struct event *follow;  /* pending: the target is to be computed again */
	struct event *traffic; /* the next reading for passive */
	struct event *ramp;    /* the next step of a slow start, the next deadline of a drain */
	double follow_after;   /* check_now(): not before */
	int64_t *panic_since;  /* of each service: when its panic began, 0: it is in none */
	struct apply_list waiting;
	struct apply *current; /* pushed now */
	bool is_dirty;         /* reconcile was wanted meanwhile */
	bool is_pending;
	bool is_blind; /* no dataplane: a probe that fails may say nothing about the backend */
	double seeing_since; /* check_now() when is_blind ended */
	bool differs;
	int64_t started_ms;
	char last_error[512];
};

int64_t loop_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct observed_time now(void)
{
	return (struct observed_time){loop_now_ms(), (int64_t)(check_now() * 1000)};
}

/* What the effective state of a backend follows from. Its health need not belong to the running
 * configuration; NULL: nothing is known. */
static struct weight_input input_of(const struct loop *l, const struct conf_pool *pool,
	const struct conf_backend *b, const struct observed_backend *seen)
{
	const struct admin_override *o = admin_find(l->admin, pool->name, b->name);
	struct weight_input in = {
		.desired = b->weight,
		.is_drained = o != NULL && o->is_drained,
		.is_expired = o != NULL && o->deadline_ms != 0 && o->deadline_ms <= loop_now_ms(),
		.is_overridden = o != NULL && o->has_weight,
		.override = o != NULL ? o->weight : 0,
		.health = observed_next(seen, pool->check != NULL),
		.slow_start_ms = pool->slow_start_ms,
	};

	if (seen != NULL)
		in.up_ms = seen->risen_ms != OBSERVED_LONG_AGO ? now().mono_ms - seen->risen_ms
							       : INT64_MAX;
	if (seen != NULL && seen->ejected_ms != 0)
		in.health = WEIGHT_DOWN;
	return in;
}

struct weight_result loop_effective(const struct loop *l, size_t pool, size_t backend)
{
	const struct conf_pool *p = &l->desired.conf->pools[pool];
	const struct weight_input in =
		input_of(l, p, &p->backends[backend], observed_at(l->observed, pool, backend));

	return weight_effective(&in);
}

static void arm_seconds(struct event *event, double seconds)
{
	struct timeval tv = {0, 0};

	if (seconds > 0) {
		tv.tv_sec = (time_t)seconds;
		tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
	}
	evtimer_add(event, &tv);
}

/* Wakes the loop when a slow start takes its next step, or the time of a drained backend is over. */
static void arm_ramp(struct loop *l)
{
	const struct conf *c = l->desired.conf;
	const int64_t now_ms = loop_now_ms(), deadline_ms = admin_next_deadline(l->admin, now_ms);
	int64_t first_ms = deadline_ms != 0 ? deadline_ms - now_ms : 0;

	for (size_t i = 0; i < c->n_pools; i++) {
		const struct conf_pool *p = &c->pools[i];

		for (size_t k = 0; p->slow_start_ms != 0 && k < p->n_backends; k++) {
			const struct weight_input in =
				input_of(l, p, &p->backends[k], observed_at(l->observed, i, k));
			const uint32_t ms = weight_next_step(&in);

			if (ms != 0 && (first_ms == 0 || ms < first_ms))
				first_ms = ms;
		}
	}
	if (first_ms != 0)
		arm_seconds(l->ramp, (double)first_ms / 1000);
}

/* Most configurations change little: the namesake is at the same place, and need not be searched for. */
static const struct conf_backend *find_namesake(
	const struct conf_pool *p, const struct conf_backend *b, size_t guess)
{
	if (guess < p->n_backends && strcmp(p->backends[guess].name, b->name) == 0)
		return &p->backends[guess];
	return conf_find_backend(p, b->name);
}

/* What is seen of a backend of a configuration that is not the running one: of its namesake, if any. */
static const struct observed_backend *seen_of(
	const struct loop *l, const struct conf_pool *pool, const struct conf_backend *b)
{
	const struct conf *c = l->desired.conf;
	const struct conf_pool *p = conf_find_pool(c, pool->name);
	const struct conf_backend *k =
		p != NULL ? find_namesake(p, b, (size_t)(b - pool->backends)) : NULL;

	if (k == NULL)
		return NULL;
	return observed_at(l->observed, (size_t)(p - c->pools), (size_t)(k - p->backends));
}

/* As input_of(), for a backend of the running configuration or of another. */
static struct weight_input input_at(
	const struct loop *l, const struct conf_pool *pool, size_t k, bool is_running)
{
	const struct conf_backend *b = &pool->backends[k];
	const size_t pool_idx = is_running ? (size_t)(pool - l->desired.conf->pools) : 0;

	return input_of(l, pool, b,
		is_running ? observed_at(l->observed, pool_idx, k) : seen_of(l, pool, b));
}

static bool is_in_panic(const struct loop *l, const struct conf_service *s, bool is_running,
	struct panic_share *share)
{
	memset(share, 0, sizeof(*share));
	for (size_t k = 0; s->panic_pct != 0 && k < s->pool->n_backends;
		k++) { /* 0 without a pool */
		const struct weight_input in = input_at(l, s->pool, k, is_running);

		panic_share_add(share, &in);
	}
	return panic_is_due(s->panic_pct, share);
}

/* What the dataplane should run under configuration c. */
static int build_target(const struct loop *l, const struct conf *c, struct objset *out)
{
	const bool is_running = c == l->desired.conf;
	struct panic_share share;
	struct mr_object *o;
	size_t n, at = 0;
	int rc = confobj_create(&o, &n, c);

	if (rc != 0)
		return rc;
	/* services come in the order of the file, each followed by its backends */
	for (size_t i = 0; i < c->n_services; i++) {
		const struct conf_pool *pool = c->services[i].pool;
		const bool is_panic = is_in_panic(l, &c->services[i], is_running, &share);

		while (o[at].type != MR_OBJ_SERVICE)
			at++;
		at++;
		for (size_t k = 0; pool != NULL && k < pool->n_backends; k++) {
			struct weight_input in = input_at(l, pool, k, is_running);
			struct weight_result w;

			in.is_panic = is_panic;
			w = weight_effective(&in);
			o[at + k].backend.weight = w.weight;
			o[at + k].backend.state = (uint8_t)w.state;
		}
	}
	return objset_init(out, o, n);
}

/* Notes and logs what has begun and ended since the last time. */
static void tell_panics(struct loop *l)
{
	const struct conf *c = l->desired.conf;
	struct panic_share share;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct conf_service *s = &c->services[i];
		const bool is_panic = is_in_panic(l, s, true, &share);

		if (is_panic == (l->panic_since[i] != 0))
			continue;
		l->panic_since[i] = is_panic ? loop_now_ms() : 0;
		if (is_panic)
			logline_write(LOGLINE_WARNING, "service",
				"%s panics: %zu of %zu backends are down, less than %u%% are left; all "
				"are used until that changes",
				s->name, share.n_down, share.n_candidates, s->panic_pct);
		else
			logline_write(LOGLINE_NOTICE, "service",
				"%s panics no more: %zu of %zu backends are down; those are not used",
				s->name, share.n_down, share.n_candidates);
	}
}

static void follow_now(struct loop *l)
{
	const double began = check_now();
	struct objset target;
	double cost;
	int rc;

	if (l->current != NULL) {
		l->is_dirty = true;
		return;
	}
	rc = build_target(l, l->desired.conf, &target);
	if (rc == 0)
		push_set_target(l->push, &target);
	else
		logline_write(LOGLINE_ERR, "daemon", "the dataplane's model could not be built: %s",
			strerror(-rc));
	tell_panics(l);
	arm_ramp(l);
	cost = check_now() - began;
	l->follow_after = began + FOLLOW_SHARE * cost;
}

static void on_follow(evutil_socket_t fd, short what, void *arg)
{
	follow_now(arg);
}

/* Makes the dataplane follow the three states: from the loop, once for all that changes meanwhile. The
 * target is computed as a whole, so when a switch fails and ten thousand backends go down one by one,
 * ten thousand targets would keep the loop from hearing of the others. */
static void reconcile(struct loop *l)
{
	double wait = l->follow_after - check_now();

	if (evtimer_pending(l->follow, NULL))
		return;
	if (wait > FOLLOW_MAX_SEC)
		wait = FOLLOW_MAX_SEC;
	arm_seconds(l->follow, wait);
}

static void on_ramp(evutil_socket_t fd, short what, void *arg)
{
	reconcile(arg);
}

static void arm_save(struct loop *l)
{
	const struct timeval tv = {0, SAVE_DELAY_MS * 1000};

	if (!evtimer_pending(l->save_timer, NULL))
		evtimer_add(l->save_timer, &tv);
}

static void save_observed(struct loop *l)
{
	const int rc = observed_save(l->observed);

	if (rc != 0)
		logline_write(LOGLINE_WARNING, "daemon",
			"%s/observed.json could not be written: %s; after a restart backends count as "
			"down until checked",
			l->params.state_dir, strerror(-rc));
}

static void on_save(evutil_socket_t fd, short what, void *arg)
{
	save_observed(arg);
}

static void on_check_result(
	void *arg, size_t pool, size_t backend, const struct check_result *result)
{
	struct loop *l = arg;
	const struct conf_pool *p = &l->desired.conf->pools[pool];
	struct observed_backend *b = observed_at(l->observed, pool, backend);
	const struct observed_probe probe = {
		.is_pass = result->is_pass,
		.result = result->text,
		.latency_seconds = result->latency_seconds,
		.now = now(),
	};

	/* One that began blind may still wait for an answer that was lost then; one that goes by a service's path has not
	 * gone there, whoever answered it. */
	if ((!result->is_pass || p->via != NULL)
		&& (l->is_blind || check_now() - result->latency_seconds < l->seeing_since))
		return;
	if (!observed_probe(b, p->check, &probe))
		return;
	logline_write(b->state == WEIGHT_UP ? LOGLINE_NOTICE : LOGLINE_WARNING, "backend",
		"%s/%s is %s: %s", b->pool, b->name, weight_health_name(b->state), b->reason);
	arm_save(l);
	reconcile(l);
}

/* Ejections that ended with the pool's `passive`. */
static void forget_ejections(struct loop *l)
{
	const struct conf *c = l->desired.conf;

	for (size_t i = 0; i < c->n_pools; i++) {
		for (size_t k = 0; k < c->pools[i].n_backends; k++)
			observed_at(l->observed, i, k)->ejected_ms =
				passive_at(l->passive, i, k)->until_ms;
	}
}

static void on_ejection(void *arg, const struct conf_pool *pool, const struct conf_backend *b,
	const struct passive_backend *state)
{
	struct loop *l = arg;

	observed_at(
		l->observed, (size_t)(pool - l->desired.conf->pools), (size_t)(b - pool->backends))
		->ejected_ms = state->until_ms;
	if (state->until_ms == 0)
		logline_write(LOGLINE_NOTICE, "backend", "%s/%s is no longer ejected", pool->name,
			b->name);
	else
		logline_write(LOGLINE_WARNING, "backend", "%s/%s is ejected for %.1f s: %s",
			pool->name, b->name, (double)(state->until_ms - loop_now_ms()) / 1000,
			state->reason);
}

static void on_traffic_rows(void *arg, const struct fetch_result *result)
{
	struct loop *l = arg;

	l->is_reading_passive = false;
	if (result->status == 0
		&& passive_read(l->passive, l->desired.conf, result->rows, result->n_rows,
			loop_now_ms(), on_ejection, l))
		reconcile(l);
}

static void on_traffic(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	if (passive_is_wanted(l->passive) && !l->is_reading_passive
		&& fetch_rows(l->fetch, MR_REQ_BACKENDS, &mr_empty_msg, NULL, &mr_backend_row_msg,
			   on_traffic_rows, l)
			== 0)
		l->is_reading_passive = true;
}

/* Panics go on where the service of that name was in one; from NULL: there was no configuration. */
static int adapt_panics(struct loop *l, const struct conf *from)
{
	const struct conf *c = l->desired.conf;
	int64_t *since = calloc(c->n_services + 1, sizeof(*since));

	if (since == NULL)
		return -ENOMEM;
	for (size_t i = 0; from != NULL && i < from->n_services; i++) {
		const struct conf_service *s = l->panic_since[i] != 0
			? conf_find_service(c, from->services[i].name)
			: NULL;

		if (s != NULL)
			since[s - c->services] = l->panic_since[i];
	}
	free(l->panic_since);
	l->panic_since = since;
	return 0;
}

/* Lays the states over the configuration that has just been taken over; the one before must still be
 * there. */
static int adapt(struct loop *l, const struct conf *from)
{
	int rc = observed_adapt(l->observed, l->desired.conf, loop_now_ms());
	size_t n;

	if (rc == 0)
		rc = check_adapt(l->check, l->desired.conf);
	if (rc == 0)
		rc = passive_adapt(l->passive, l->desired.conf, from);
	if (rc == 0)
		forget_ejections(l);
	if (rc == 0)
		rc = adapt_panics(l, from);
	n = admin_prune(l->admin, l->desired.conf);
	if (n > 0)
		logline_write(LOGLINE_NOTICE, "daemon",
			"%zu operator overrides went with their backends", n);
	arm_save(l);
	return rc;
}

static void arm_turn(struct loop *l)
{
	static const struct timeval at_once;

	if (!STAILQ_EMPTY(&l->waiting))
		evtimer_add(l->turn, &at_once);
}

static void answer(struct loop *l, struct apply *a, enum loop_verdict verdict, const char *object,
	const char *message)
{
	const struct loop_applied result = {verdict, l->desired.generation, object, message};

	a->fn(a->arg, &result);
	desired_fini(&a->to);
	free(a);
	arm_turn(l);
}

static bool read_whole(const char *path, char **text, size_t *len, int *err)
{
	FILE *f = fopen(path, "re");
	char *p = f != NULL ? malloc(CONF_TEXT_MAX + 1) : NULL;

	*err = f == NULL ? errno : p == NULL ? ENOMEM : 0;
	if (p != NULL) {
		*len = fread(p, 1, CONF_TEXT_MAX + 1, f);
		*err = ferror(f) ? EIO : 0;
	}
	if (f != NULL)
		fclose(f);
	if (*err != 0) {
		free(p);
		return false;
	}
	*text = p;
	return true;
}

static void compare_file(struct loop *l)
{
	char *text;
	size_t len = 0;
	int err;

	l->differs = false;
	if (l->params.config_file == NULL || !read_whole(l->params.config_file, &text, &len, &err))
		return;
	l->differs = len != l->desired.text_len || memcmp(text, l->desired.text, len) != 0;
	free(text);
}

/* The new configuration is the desired one from here on. */
static void take_over(struct loop *l, struct apply *a, enum loop_verdict verdict)
{
	struct desired old = l->desired;
	int rc;

	memset(&l->desired, 0, sizeof(l->desired));
	rc = desired_commit(&l->desired, l->keep, &a->to);
	if (rc != 0) {
		l->desired = old;
		snprintf(l->last_error, sizeof(l->last_error),
			"configuration could not be saved in %.200s: %s", l->params.state_dir,
			strerror(-rc));
		logline_write(LOGLINE_ERR, "configuration", "%s; the old one stays", l->last_error);
		l->is_dirty = true; /* the dataplane goes back to the old one */
		answer(l, a, LOOP_UNSAVED, "", l->last_error);
		return;
	}
	if (adapt(l, old.conf)
		!= 0) { /* half adapted is worse than started again: it is all on disk */
		logline_write(LOGLINE_ERR, "daemon",
			"out of memory while taking over generation %" PRIu64
			": ending, start again",
			l->desired.generation);
		exit(EXIT_FAILURE);
	}
	desired_fini(&old);
	compare_file(l);
	l->is_pending = verdict == LOOP_PENDING;
	l->is_dirty = true; /* health may have changed meanwhile */
	logline_write(LOGLINE_NOTICE, "configuration", "generation %" PRIu64 " applied by %s%s",
		l->desired.generation, l->desired.author,
		l->is_pending ? "; it waits for the dataplane" : "");
	answer(l, a, verdict, "", "");
}

static void on_report(void *arg, const struct push_report *r)
{
	struct loop *l = arg;
	struct apply *a = l->current;

	if (l->is_blind && r->outcome != PUSH_AWAY)
		l->seeing_since = check_now();
	l->is_blind = r->outcome == PUSH_AWAY;
	if (r->outcome == PUSH_IN_FORCE) {
		l->is_pending = false;
		l->last_error[0] = '\0';
	} else if (r->outcome == PUSH_REFUSED) {
		snprintf(l->last_error, sizeof(l->last_error), "%s%s%s", r->object,
			r->object[0] != '\0' ? ": " : "", r->message);
	}
	if (a == NULL)
		return;
	l->current = NULL;
	if (r->outcome == PUSH_REFUSED) {
		l->is_dirty = true;
		answer(l, a, LOOP_REFUSED, r->object, r->message);
	} else {
		take_over(l, a, r->outcome == PUSH_IN_FORCE ? LOOP_APPLIED : LOOP_PENDING);
	}
	if (l->is_dirty) {
		l->is_dirty = false;
		reconcile(l);
	}
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct apply *a = STAILQ_FIRST(&l->waiting);
	struct objset target;
	int rc;

	if (l->current != NULL || a == NULL)
		return;
	STAILQ_REMOVE_HEAD(&l->waiting, link);
	if (a->if_generation != LOOP_ANY_GENERATION && a->if_generation != l->desired.generation) {
		answer(l, a, LOOP_CONFLICT, "", "the configuration was changed by somebody else");
		return;
	}
	a->to.generation = l->desired.generation + 1;
	rc = build_target(l, a->to.conf, &target);
	if (rc != 0) {
		answer(l, a, LOOP_REFUSED, "", "the daemon has no memory for the configuration");
		return;
	}
	l->current = a;
	push_set_target(l->push, &target);
}

int loop_apply(
	struct loop *l, struct desired *to, uint64_t if_generation, loop_applied_fn *fn, void *arg)
{
	struct apply *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->to = *to;
	memset(to, 0, sizeof(*to));
	a->if_generation = if_generation;
	a->fn = fn;
	a->arg = arg;
	STAILQ_INSERT_TAIL(&l->waiting, a, link);
	arm_turn(l);
	return 0;
}

int loop_override(struct loop *l, const struct admin_override *o)
{
	const int rc = admin_set(l->admin, o);

	if (rc == 0)
		reconcile(l);
	return rc;
}

static void say_report(const struct confreport *report)
{
	for (size_t i = 0; report != NULL && i < report->n_items; i++)
		fputs(report->items[i].text, stderr);
}

/* The first start: nothing was applied yet, so the file given is what operators want. */
static int adopt_file(struct loop *l)
{
	struct desired to = {.generation = 1, .time_ms = loop_now_ms()};
	const struct conf_host host = loop_host(l);
	struct confreport *report = NULL;
	int rc = 0, err;

	if (!read_whole(l->params.config_file, &to.text, &to.text_len, &err)) {
		logline_write(LOGLINE_ERR, "configuration",
			"%s: %s; give a readable file with "
			"--config, or none",
			l->params.config_file, strerror(err));
		return -err;
	}
	snprintf(to.name, sizeof(to.name), "%s", l->params.config_file);
	snprintf(to.author, sizeof(to.author), "start");
	rc = conf_create_on(&to.conf, &report, to.text, to.text_len, l->params.config_file, &host);
	say_report(report);
	if (rc == 0)
		rc = desired_commit(&l->desired, l->keep, &to);
	if (rc != 0 && report != NULL)
		logline_write(LOGLINE_ERR, "configuration", "%s: %zu errors; nothing was started",
			l->params.config_file, report->n_errors);
	confreport_destroy(&report);
	desired_fini(&to);
	return rc;
}

static int load(struct loop *l)
{
	const struct conf_host host = loop_host(l);
	struct observed_time at;
	struct confreport *report;
	int rc = desired_load(&l->desired, l->keep, &host, &report);

	if (rc != 0) {
		say_report(report);
		logline_write(LOGLINE_ERR, "configuration",
			"%s/%s cannot be used: %s; repair it, or move it away to start from --config",
			l->params.state_dir, DESIRED_FILE, strerror(-rc));
	}
	confreport_destroy(&report);
	if (rc == 0 && l->desired.generation == 0 && l->params.config_file != NULL)
		rc = adopt_file(l);
	if (rc != 0)
		return rc;
	compare_file(l);
	if (l->differs)
		logline_write(LOGLINE_WARNING, "configuration",
			"%s differs from the applied generation %" PRIu64
			", which stays in force; `millrace config apply %s` applies it",
			l->params.config_file, l->desired.generation, l->params.config_file);
	rc = admin_create(&l->admin, l->keep);
	if (rc == -EBADMSG)
		logline_write(LOGLINE_ERR, "daemon",
			"%s/overrides.json was damaged: drains and weights set by operators may be "
			"lost; compare `millrace backend show` with overrides.json.corrupt",
			l->params.state_dir);
	else if (rc != 0)
		return rc;
	at = now();
	return observed_create(&l->observed, l->keep, &at);
}

int loop_create(struct loop **out, struct event_base *base, const struct loop_params *params)
{
	struct loop *l = calloc(1, sizeof(*l));
	const struct push_params pp = {params->dataplane, on_report, l};
	static const struct timeval second = {1, 0};
	const char *what = "";
	int rc;

	if (l == NULL)
		return -ENOMEM;
	STAILQ_INIT(&l->waiting);
	l->params = *params;
	l->started_ms = loop_now_ms();
	l->is_blind = true;
	rc = keep_create(&l->keep, params->state_dir, &what);
	if (rc != 0) {
		logline_write(LOGLINE_ERR, "daemon", "state directory %s: %s", what,
			rc == -EWOULDBLOCK ? "another millrace-controld uses it" : strerror(-rc));
		goto err;
	}
	rc = load(l);
	if (rc != 0)
		goto err;
	l->save_timer = evtimer_new(base, on_save, l);
	l->turn = evtimer_new(base, on_turn, l);
	l->follow = evtimer_new(base, on_follow, l);
	l->ramp = evtimer_new(base, on_ramp, l);
	l->traffic = event_new(base, -1, EV_PERSIST, on_traffic, l);
	rc = !l->save_timer || !l->turn || !l->follow || !l->ramp || !l->traffic ? -ENOMEM : 0;
	if (rc == 0)
		event_add(l->traffic, &second);
	if (rc == 0)
		rc = check_create(&l->check, base, on_check_result, l);
	if (rc == 0)
		rc = push_create(&l->push, base, &pp);
	if (rc == 0)
		rc = fetch_create(&l->fetch, base, params->dataplane);
	if (rc == 0)
		rc = rates_create(&l->rates, base, l->fetch);
	if (rc == 0)
		rc = passive_create(&l->passive);
	if (rc == 0)
		rc = adapt(l, NULL);
	if (rc != 0) {
		logline_write(LOGLINE_ERR, "daemon", "could not start: %s", strerror(-rc));
		goto err;
	}
	follow_now(l);
	*out = l;
	return 0;
err:
	loop_destroy(&l);
	return rc;
}

void loop_destroy(struct loop **lp)
{
	struct loop *l = *lp;
	struct apply *a;

	*lp = NULL;
	if (l == NULL)
		return;
	if (l->rates != NULL) /* the last part made: everything was up */
		save_observed(l);
	while ((a = STAILQ_FIRST(&l->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->waiting, link);
		desired_fini(&a->to);
		free(a);
	}
	if (l->current != NULL) {
		desired_fini(&l->current->to);
		free(l->current);
	}
	rates_destroy(&l->rates);
	passive_destroy(&l->passive);
	fetch_destroy(&l->fetch);
	push_destroy(&l->push);
	check_destroy(&l->check);
	observed_destroy(&l->observed);
	admin_destroy(&l->admin);
	desired_fini(&l->desired);
	keep_destroy(&l->keep);
	if (l->save_timer != NULL)
		event_free(l->save_timer);
	if (l->turn != NULL)
		event_free(l->turn);
	if (l->follow != NULL)
		event_free(l->follow);
	if (l->ramp != NULL)
		event_free(l->ramp);
	if (l->traffic != NULL)
		event_free(l->traffic);
	free(l->panic_since);
	free(l);
}

const struct desired *loop_desired(const struct loop *l)
{
	return &l->desired;
}

const struct admin *loop_admin(const struct loop *l)
{
	return l->admin;
}

const struct observed_backend *loop_observed(const struct loop *l, size_t pool, size_t backend)
{
	return observed_at(l->observed, pool, backend);
}

const struct push *loop_push(const struct loop *l)
{
	return l->push;
}

struct fetch *loop_fetch(const struct loop *l)
{
	return l->fetch;
}

const struct passive_backend *loop_passive(const struct loop *l, size_t pool, size_t backend)
{
	return passive_at(l->passive, pool, backend);
}

const struct rates *loop_rates(const struct loop *l)
{
	return l->rates;
}

const struct loop_params *loop_params(const struct loop *l)
{
	return &l->params;
}

struct conf_host loop_host(const struct loop *l)
{
	return (struct conf_host){
		.secrets = CONF_SECRETS_NEED,
		.is_exec_refused = !l->params.allows_exec,
	};
}

int64_t loop_panic_since_ms(const struct loop *l, size_t service)
{
	return l->panic_since[service];
}

bool loop_is_in_sync(const struct loop *l)
{
	return push_is_in_sync(l->push) && !l->is_dirty && !evtimer_pending(l->follow, NULL);
}

bool loop_is_pending(const struct loop *l)
{
	return l->is_pending;
}

const char *loop_last_error(const struct loop *l)
{
	return l->last_error;
}

bool loop_config_differs(const struct loop *l)
{
	return l->differs;
}

int64_t loop_started_ms(const struct loop *l)
{
	return l->started_ms;
}
