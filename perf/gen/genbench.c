/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * genbench — see genbench.h. Steps in order, each of which ends the run when it fails: ports, links, the target's MAC address, a first
 * answer, flows or keys, the measurement, the generator alone at the same rates, the report. What they return is the exit status.
 */
#include "genbench.h"

#include "gencrew.h"
#include "gensay.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define ALONE_SECONDS 1.0
#define ALONE_WARM_S 0.1
#define PROBE_RATE 200.0
#define TOO_SLOW_MAX 3u
#define STEP_FROM 5u /* void trials in a row */
#define STEP_MS 137u /* no part of a second */
#define STEP_MOST_MS 600u
#define SEARCH_PHASES 3u

struct bench {
	const struct genopt *o;
	struct genup up;
	struct gencrew crew;
	struct genrun *run, *alone; /* the crew's, by which trials are run */
	struct genreport report;
	bool is_stopped; /* before there is a run to stop */
	unsigned round;
	double kept_rate; /* the highest that the generator kept */
	struct genwatch watch;
	struct genreport_item piece; /* the last trial */
	const struct gensearch_params *search;
};

static struct bench *stoppable; /* what a signal ends */

static void on_signal(int number)
{
	__atomic_store_n(&stoppable->is_stopped, true, __ATOMIC_RELAXED);
	gencrew_stop(&stoppable->crew);
}

static void catch_signals(struct bench *b)
{
	const struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	stoppable = b;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* Tells it, and keeps it for the document. Returns the status. */
__rte_format_printf(3, 4) static int fail(struct bench *b, int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(b->report.error, sizeof(b->report.error), format, ap);
	va_end(ap);
	gensay_error("%s", b->report.error);
	return status;
}

static bool is_cache(const struct bench *b)
{
	return b->o->work != GENOPT_FLOOD;
}

static bool is_tcp(const struct bench *b)
{
	return b->o->work == GENOPT_CACHE_TCP;
}

static int fail_with(struct bench *b, int rc)
{
	if (rc == -EINTR)
		return fail(b, GENBENCH_FAILED, "stopped by a signal: no figure");
	if (rc == -EIO) { /* what did not get through has been told (genonce.h) */
		snprintf(b->report.error, sizeof(b->report.error), "%s",
			is_tcp(b) ? "the connections do not open, or keys could not be stored"
				: is_cache(b) ? "the keys could not be stored"
					      : "the flows could not be begun");
		return GENBENCH_FAILED;
	}
	return fail(b, GENBENCH_FAILED, "%s", strerror(-rc));
}

/* --- trials --- */

static struct genrun_trial trial_of(
	double rate, double seconds, double warm_seconds, const char *what)
{
	return (struct genrun_trial){.rate = rate,
		.n_warm = (uint64_t)(rate * warm_seconds),
		.n_frames = (uint64_t)fmax(rate * seconds, 1),
		.what = what};
}

/* One trial, of the work or of the generator alone, into b->piece. 0 or -errno; -EINTR: stopped. */
static int try_once(struct bench *b, struct genrun *run, const struct genrun_trial *t)
{
	const bool is_work = run == b->run;
	struct genreport_item *it = &b->piece;
	int rc = is_work ? gencrew_connect(&b->crew) : 0;

	memset(it, 0, sizeof(*it));
	if (rc != 0)
		return rc;
	if (is_work)
		gencrew_begin(&b->crew, t->rate, b->o->shift_seconds);
	rc = genrun_trial(run, t, &it->result);
	if (is_work)
		gencrew_collect(&b->crew, it);
	else
		it->n_arrived = it->result.counts.received;
	return rc == 0 && it->result.verdict == GENRUN_STOPPED ? -EINTR : rc;
}

/* What takes a CPU may come back each second, as what the kernel keeps for others of a thread of SCHED_FIFO does (sched(7),
 * sched_rt_runtime_us), and trials that take about a second each would meet it every time. */
static void step_aside(unsigned n_void)
{
	if (n_void >= STEP_FROM)
		usleep(1000 * (n_void * STEP_MS % STEP_MOST_MS));
}

/* The same, again while it is void; *it counts what was thrown away. After --void-max of them b->piece is the last one. One for which the
 * generator was too slow is tried again as well, as what takes time from it need not show as a pause: not often, but where it has been
 * fast enough for more before. */
static int try_until_it_counts(struct bench *b, struct genrun *run, const struct genrun_trial *t,
	struct genreport_item *it)
{
	const unsigned n_slow_max = t->rate <= b->kept_rate ? b->o->n_void_max + 1 : TOO_SLOW_MAX;
	unsigned n_slow = 0, n_void = 0;

	for (;;) {
		const int rc = try_once(b, run, t);
		const struct genrun_result *r = &b->piece.result;

		if (rc == 0 && r->verdict == GENRUN_DONE && run == b->run)
			b->kept_rate = fmax(b->kept_rate, t->rate);
		if (rc != 0 || r->verdict == GENRUN_DONE)
			return rc;
		it->n_void[r->why]++;
		if (!t->is_quiet)
			gensay_note("thrown away: %s", genjudge_says(r->why));
		if (r->verdict == GENRUN_VOID ? ++n_void > b->o->n_void_max
					      : ++n_slow == n_slow_max)
			return 0;
		genrun_result_fini(&b->piece.result);
		step_aside(n_void);
	}
}

/*
 * A measurement: so many seconds of trials that count, added to the report. *out is valid until the next one is. It ends early where a
 * trial does not count at last, or something answered wrong: then b->piece is that trial, and *out has its verdict.
 */
static int measure(struct bench *b, struct genrun *run, const struct genrun_trial *t,
	enum genreport_purpose purpose, struct genreport_item **out)
{
	const double seconds = (double)t->n_frames / t->rate, trial_s = b->o->trial_seconds;
	struct genreport_item *it = *out = genreport_add(&b->report);

	if (it == NULL)
		return -ENOMEM;
	it->purpose = purpose;
	it->round = b->round;
	/* a rest of less than half a trial is not one of its own */
	for (double left = seconds; left > 0; left = seconds - it->result.seconds) {
		const double part = left < 1.5 * trial_s ? left : trial_s;
		struct genrun_trial one = trial_of(
			t->rate, part, fmin((double)t->n_warm / t->rate, part / 4), t->what);
		int rc;

		one.is_quiet = t->is_quiet;
		one.before_s = it->result.seconds;
		rc = try_until_it_counts(b, run, &one, it);
		if (rc == 0 && b->piece.result.verdict == GENRUN_DONE)
			rc = genrun_result_add(&it->result, &b->piece.result);
		it->result.trial = one;
		it->result.verdict = b->piece.result.verdict;
		it->result.why = b->piece.result.why;
		genrun_result_fini(&b->piece.result);
		if (rc != 0 || it->result.verdict != GENRUN_DONE)
			return rc;
		it->n_trials++;
		it->n_arrived += b->piece.n_arrived;
		it->n_tunnelled += b->piece.n_tunnelled;
		genmc_counts_add(&it->cache, &b->piece.cache);
		gentcp_stats_add(&it->tcp, &b->piece.tcp);
		if (it->cache.wrong > 0 || seconds - it->result.seconds < 1 / t->rate)
			break;
	}
	return 0;
}

/* What is said of a measurement that did not come to its end: of its last trial. */
static int too_slow(struct bench *b, const struct genreport_item *it)
{
	const struct genrun_result *r = &b->piece.result;
	const struct genrun_counts *c = &r->counts;
	const double to_ms = 1e3 / (double)b->run->hz;
	const char *rate = gensay_rate(r->trial.rate),
		   *n_switches = gensay_count((double)r->n_switches);

	if (r->verdict == GENRUN_VOID)
		return fail(b, GENBENCH_TOO_SLOW,
			"too many trials were thrown away at %s/s: the generator lost its CPU in %u, the target in "
			"%u, a hypervisor took a CPU in %u, the last %u without one between that counts; in the last "
			"one the generator paused for %.2f ms at most and lost the CPU %s times, the target waited %.2f "
			"ms, and a hypervisor had its CPU for %.2f ms. No figure. Give both CPUs of their own (--cpu), make trials shorter (--trial), or "
			"allow more (--void-max)",
			rate, it->n_void[GENJUDGE_GENERATOR], it->n_void[GENJUDGE_TARGET],
			it->n_void[GENJUDGE_STOLEN], b->o->n_void_max + 1,
			(double)c->gap_most_cyc * to_ms, n_switches, r->waited_s * 1e3,
			r->stolen_s * 1e3);
	if (c->hand_no_room > 0 && (double)c->late <= GENJUDGE_LATE_MAX * (double)c->offered)
		return fail(b, GENBENCH_TOO_SLOW,
			"the generator is the bottleneck at %s/s: %s of %s answers, which came to another thread than had "
			"asked, found no room on their way to it. No figure. Lower the rate, or raise --rxd",
			rate, gensay_count((double)c->hand_no_room),
			gensay_count((double)(c->handed + c->hand_no_room)));
	return fail(b, GENBENCH_TOO_SLOW,
		"the generator is the bottleneck at %s/s: %s of %s frames left more than %u us late (%.2f %%; "
		"%.1f %% are allowed), the latest by %.1f ms; its loop paused for %.1f ms at most and lost "
		"the CPU %s times. No figure. Give it a CPU of its own (--cpu), or lower --rate; "
		"--late-us says what is late",
		rate, gensay_count((double)c->late), gensay_count((double)c->offered),
		b->o->late_us, c->offered ? 100.0 * (double)c->late / (double)c->offered : 100.0,
		100 * GENJUDGE_LATE_MAX, (double)c->late_most_cyc * to_ms,
		(double)c->gap_most_cyc * to_ms, n_switches);
}

/* Whether what came back may be a figure. GENBENCH_DONE, or told. */
static int check_answers(struct bench *b, const struct genreport_item *it)
{
	const struct genrun_counts *c = &it->result.counts;

	if (it->cache.wrong > 0)
		return fail(b, GENBENCH_FAILED,
			"%s answers were wrong: another key's, of another length or with other bytes than were "
			"stored. No figure",
			gensay_count((double)it->cache.wrong));
	if (c->received == 0)
		return fail(b, GENBENCH_FAILED,
			"nothing came back of %s frames (%s found no room on the link%s%s). No figure",
			gensay_count((double)c->offered), gensay_count((double)c->no_room),
			it->cache.refused ? "; the target refused " : "",
			it->cache.refused ? gensay_count((double)it->cache.refused) : "");
	if (c->received > c->offered)
		return fail(b, GENBENCH_FAILED, "more came back than was sent: %s of %s. No figure",
			gensay_count((double)c->received), gensay_count((double)c->offered));
	return GENBENCH_DONE;
}

/* --- before the measurement --- */

static int connect_target(struct bench *b)
{
	const char *name = NULL;
	char address[64];
	int rc = genup_wait_links(&b->up, b->o->wait_seconds, &b->is_stopped, &name);

	if (rc == -ETIMEDOUT)
		return fail(b, GENBENCH_FAILED,
			"%s: the link did not come up in %u s; is the other side there, and are socket, role and "
			"cable right? --wait gives it longer",
			name, b->o->wait_seconds);
	if (rc == 0)
		rc = genrun_resolve(b->run, b->o->wait_seconds);
	if (rc == -ETIMEDOUT)
		return fail(b, GENBENCH_FAILED,
			"%s: nobody answered %s for it in %u s; is it the target's address, and has the target its "
			"configuration? --target-mac and --next-hop are other ways",
			genopt_address(&b->o->next_hop, address, sizeof(address)),
			b->o->next_hop.family == 4 ? "ARP" : "neighbour solicitations",
			b->o->wait_seconds);
	return rc == 0 ? GENBENCH_DONE : fail_with(b, rc);
}

/* Asks slowly until something comes back: a dead target is told here, not as 100 % of loss. */
static int probe(struct bench *b)
{
	struct genrun_trial t = trial_of(PROBE_RATE, 0.1, 0, "first answer");
	char address[64];
	uint64_t n_sent = 0, n_refused = 0;

	t.is_quiet = t.is_loose = true;
	gencrew_set_mode(&b->crew, GENFLOOD_PROBE);
	for (double seconds = 0; seconds < b->o->wait_seconds; seconds += 0.2) {
		struct genreport_item it = {0};
		struct genrun_result r;
		int rc;

		gencrew_begin(&b->crew, t.rate, 0);
		rc = genrun_trial(b->run, &t, &r);
		genrun_result_fini(&r);
		gencrew_collect(&b->crew, &it);
		n_sent += r.counts.offered;
		n_refused += it.cache.refused;
		/* what was stored by others, with another length, is no answer but tells that somebody is there */
		if (rc == 0 && r.counts.received + it.cache.wrong > 0) {
			gencrew_set_mode(&b->crew, GENFLOOD_MIXED);
			return GENBENCH_DONE;
		}
		if (rc != 0 || r.verdict == GENRUN_STOPPED)
			return fail_with(b, rc != 0 ? rc : -EINTR);
	}
	return fail(b, GENBENCH_FAILED,
		"%s port %u: nothing came back of %s frames in %u s (%s were refused); is the service there, are "
		"its backends up and among --own, does it let these clients in? `millrace drops` on the target "
		"says why. No figure",
		genopt_address(&b->o->target, address, sizeof(address)), b->o->target_port,
		gensay_count((double)n_sent), b->o->wait_seconds, gensay_count((double)n_refused));
}

static int prepare(struct bench *b)
{
	int status = connect_target(b), rc;

	if (status != GENBENCH_DONE)
		return status;
	if (gencrew_init_work(&b->crew, &b->up) != 0) {
		snprintf(b->report.error, sizeof(b->report.error), "the work could not begin");
		return GENBENCH_FAILED;
	}
	rc = gencrew_connect(&b->crew);
	status = rc == 0 ? probe(b) : fail_with(b, rc);
	if (status != GENBENCH_DONE)
		return status;
	if (is_cache(b) ? !b->o->does_load : b->o->new_pct >= 100)
		return GENBENCH_DONE;
	rc = gencrew_load(&b->crew);
	return rc == 0 ? GENBENCH_DONE : fail_with(b, rc);
}

/* --- the measurement --- */

static int measure_rate(struct bench *b)
{
	const struct genrun_trial t = trial_of(
		b->o->rate, b->o->seconds, b->o->warm_seconds, genopt_work_name(b->o->work));

	for (b->round = 0; b->round < b->o->n_repeats; b->round++) {
		struct genreport_item *it;
		const int rc = measure(b, b->run, &t, GENREPORT_MEASURE, &it);
		int status;

		if (rc != 0)
			return fail_with(b, rc);
		if (it->result.verdict != GENRUN_DONE)
			return too_slow(b, it);
		status = check_answers(b, it);
		if (status != GENBENCH_DONE)
			return status;
	}
	return GENBENCH_DONE;
}

/* A trial of a search. */
static enum gensearch_verdict vote(struct bench *b, const struct gensearch_trial *t, double *loss)
{
	struct genrun_trial trial =
		trial_of(t->rate, t->seconds, fmin(b->o->warm_seconds, t->seconds / 4), "search");
	struct genreport_item *it = genreport_add(&b->report);
	int rc = it == NULL ? -ENOMEM : 0;

	trial.is_quiet = true;
	if (rc == 0)
		rc = try_until_it_counts(b, b->run, &trial, it);
	if (rc != 0) {
		genrun_result_fini(&b->piece.result);
		fail_with(b, rc);
		return GENSEARCH_BROKEN;
	}
	it->purpose = GENREPORT_SEARCH;
	it->round = b->round;
	it->n_trials = b->piece.result.verdict == GENRUN_DONE;
	it->result = b->piece.result; /* and its samples */
	it->cache = b->piece.cache;
	it->tcp = b->piece.tcp;
	it->n_arrived = b->piece.n_arrived;
	it->n_tunnelled = b->piece.n_tunnelled;
	if (it->cache.wrong > 0) {
		check_answers(b, it);
		return GENSEARCH_BROKEN;
	}
	*loss = fmin(fmax(it->result.loss_ratio, 0), 1);
	if (it->result.verdict == GENRUN_DONE)
		return GENSEARCH_MEASURED;
	/* a generator near its limit is easily late; whatever else takes CPUs does so at any rate */
	if (it->result.verdict == GENRUN_TOO_SLOW
		|| it->n_void[GENJUDGE_GENERATOR] > b->o->n_void_max / 2)
		return GENSEARCH_TOO_SLOW;
	too_slow(b, it);
	return GENSEARCH_BROKEN;
}

static enum gensearch_verdict try_rate(void *ctx, struct gensearch_trial *t)
{
	struct bench *b = ctx;
	double losses[GENSEARCH_VOTES_MAX], loss = 0;
	const struct genrun_result *r;
	enum gensearch_verdict v;
	unsigned n = 0;

	do {
		v = vote(b, t, &loss);
		if (v == GENSEARCH_BROKEN)
			return v;
		losses[n++] = loss;
	} while (v == GENSEARCH_MEASURED
		&& !gensearch_vote(b->search, losses, n, b->o->n_votes, &t->loss_ratio));
	r = &b->report.items[b->report.n_items - 1].result;
	gensay_note(
		"search %u: %s/s for %.2f s: %s%.4f %% lost in %u trials, p50 %.1f us, p99 %.1f us",
		b->round + 1, gensay_rate(t->rate), t->seconds,
		v == GENSEARCH_MEASURED ? "" : "the generator is too slow; ", 100 * t->loss_ratio,
		n, (double)genhist_quantile(&r->latency_ns, 0.5) / 1e3,
		(double)genhist_quantile(&r->latency_ns, 0.99) / 1e3);
	return v;
}

static int check_search(struct bench *b, const struct gensearch_result *s)
{
	static const char *const names[] = {"NDR", "PDR"};

	for (unsigned g = 0; g < RTE_DIM(names); g++)
		switch (s->of[g].end) {
		case GENSEARCH_FOUND:
		case GENSEARCH_ABOVE_MAX:
			break;
		case GENSEARCH_ABOVE_GENERATOR:
			if (b->o->takes_bounds)
				break;
			return fail(b, GENBENCH_TOO_SLOW,
				"%s: the target passes all that the generator can send, %s/s: the generator is "
				"the bottleneck. No figure. Give it a faster CPU of its own (--cpu), or take "
				"this as a lower bound (--at-least)",
				names[g], gensay_rate(s->of[g].lower));
		case GENSEARCH_BELOW_MIN:
			return fail(b, GENBENCH_FAILED,
				"%s: more is lost at --rate-min, %s/s, already. No figure",
				names[g], gensay_rate(b->o->rate_min));
		case GENSEARCH_NO_RESULT:
			if (b->report.error[0] != '\0')
				return GENBENCH_FAILED;
			return fail(b, GENBENCH_TOO_SLOW,
				"%s: none in %u trials: the generator cannot keep --rate-min, or the bounds do "
				"not settle. No figure",
				names[g], s->n_trials);
		}
	return GENBENCH_DONE;
}

static int latency_at_shares(struct bench *b)
{
	static const double shares[] = {10, 50, 90};
	const double pdr = genreport_pdr(&b->report);

	b->round = 0;
	for (unsigned i = 0; i < RTE_DIM(shares); i++) {
		const struct genrun_trial t = trial_of(
			pdr * shares[i] / 100, b->o->seconds, b->o->warm_seconds, "latency");
		struct genreport_item *it;
		const int rc = measure(b, b->run, &t, GENREPORT_LATENCY, &it);
		int status;

		if (rc != 0)
			return fail_with(b, rc);
		it->share_pct = shares[i];
		if (it->result.verdict != GENRUN_DONE)
			return too_slow(b, it);
		status = check_answers(b, it);
		if (status != GENBENCH_DONE)
			return status;
	}
	return GENBENCH_DONE;
}

static int search(struct bench *b)
{
	const struct gensearch_params p = {.rate_min = b->o->rate_min,
		.rate_max = b->o->rate_max,
		.seconds_first = fmin(b->o->trial_seconds, fmax(0.1, b->o->trial_seconds / 5)),
		.seconds_last = b->o->trial_seconds,
		.n_phases = SEARCH_PHASES,
		.width = b->o->width_pct / 100,
		.n_goals = 2,
		.goals = {0, 0.005},
		.measure = try_rate,
		.ctx = b};

	b->search = &p;
	for (b->round = 0; b->round < b->o->n_repeats; b->round++) {
		struct gensearch_result *s = &b->report.searches[b->report.n_searches];
		int status;

		gensearch_run(&p, s);
		b->report.n_searches++;
		status = check_search(b, s);
		if (status != GENBENCH_DONE)
			return status;
		gensay_note("search %u of %u: NDR %s/s, PDR %s/s in %u trials", b->round + 1,
			b->o->n_repeats, gensay_rate(s->of[0].lower), gensay_rate(s->of[1].lower),
			s->n_trials);
	}
	return latency_at_shares(b);
}

/* For others to look at the target. */
static int stay(struct bench *b)
{
	const double rate = b->o->is_search ? 0.9 * genreport_pdr(&b->report) : b->o->rate;
	struct genrun_trial t = trial_of(rate, b->o->steady_seconds, 0, "steady");
	struct genrun_result r;
	int rc;

	if (b->o->steady_seconds == 0)
		return GENBENCH_DONE;
	t.is_loose = true;
	gencrew_begin(&b->crew, rate, b->o->shift_seconds);
	gensay_note("steady: %s/s for %g s", gensay_rate(rate), b->o->steady_seconds);
	rc = genrun_trial(b->run, &t, &r);
	genrun_result_fini(&r);
	if (rc != 0 || r.verdict == GENRUN_STOPPED)
		return fail_with(b, rc != 0 ? rc : -EINTR);
	return GENBENCH_DONE;
}

/* --- the generator alone --- */

/* The same rates over a ring that gives the frames back: what the generator itself adds to the latencies above. */
static int measure_alone(struct bench *b)
{
	const unsigned n = b->report.n_items;
	int rc = genup_open_alone(&b->up, b->o);

	if (rc == 0)
		rc = gencrew_init_alone(&b->crew, &b->up);
	if (rc != 0)
		return fail(b, GENBENCH_FAILED, "%s: the generator alone cannot be measured: %s",
			GENUP_ALONE, strerror(-rc));
	for (unsigned i = 0; i < n; i++) {
		const struct genreport_item *it = &b->report.items[i];
		const double share_pct = it->share_pct;
		struct genreport_item *own;
		struct genrun_trial t;

		if (it->purpose != GENREPORT_LATENCY
			&& (it->purpose != GENREPORT_MEASURE || it->round > 0))
			continue;
		t = trial_of(it->result.trial.rate, fmin(ALONE_SECONDS, b->o->seconds),
			ALONE_WARM_S, "alone");
		t.is_quiet = true;
		rc = measure(b, b->alone, &t, GENREPORT_BIAS, &own);
		if (rc != 0)
			return fail_with(b, rc);
		own->share_pct = share_pct;
	}
	return GENBENCH_DONE;
}

/* --- the run --- */

/* A number, or the one in the file of that name. */
static bool read_pid(const char *text, long *pid)
{
	char line[32];
	FILE *f;

	if (strspn(text, "0123456789") != strlen(text)) {
		f = fopen(text, "r");
		if (f == NULL)
			return false;
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = '\0';
		fclose(f);
		text = line;
	}
	*pid = strtol(text, NULL, 10);
	return *pid > 0 && *pid <= INT_MAX;
}

/* Now that the target is there. */
static int watch_target(struct bench *b)
{
	const struct genopt *o = b->o;
	long pid = 0;
	int rc;

	if (o->watch[0] != '\0' && !read_pid(o->watch, &pid))
		return fail(b, GENBENCH_FAILED,
			"--watch-pid %s: is neither a process id nor a file that has one",
			o->watch);
	rc = genwatch_init(&b->watch, (int)pid, o->watch_cpus, o->n_watch_cpus);
	if (rc != 0)
		return fail(b, GENBENCH_FAILED,
			"--watch-pid, --watch-cpu: %s; is process %ld there, are the CPUs, and does the kernel "
			"count (/proc/PID/schedstat)?",
			strerror(-rc), pid);
	if (pid != 0 || o->n_watch_cpus > 0)
		b->run->watch = &b->watch;
	return GENBENCH_DONE;
}

static int run_up(struct bench *b)
{
	int status, rc = genup_up(&b->up, b->o);

	if (rc != 0)
		return GENBENCH_FAILED;
	rc = genreport_init(&b->report, b->o);
	if (rc == 0 && b->o->is_fifo && genrun_may_fifo() != 0)
		return fail(b, GENBENCH_FAILED,
			"--fifo: this process may not; it needs root (CAP_SYS_NICE)");
	if (rc == 0)
		rc = gencrew_init(&b->crew, b->o, &b->up);
	if (rc != 0)
		return fail_with(b, rc);
	snprintf(b->report.port, sizeof(b->report.port), "%s%s%s", b->up.tx.name,
		b->up.rx != &b->up.tx ? " and " : "", b->up.rx != &b->up.tx ? b->up.rx->name : "");
	status = prepare(b);
	if (status == GENBENCH_DONE)
		status = watch_target(b);
	gensay_note(
		"%s", status == GENBENCH_DONE ? "measuring: all is ready" : "nothing is measured");
	if (status == GENBENCH_DONE)
		status = b->o->is_search ? search(b) : measure_rate(b);
	if (status == GENBENCH_DONE)
		status = measure_alone(b);
	if (status == GENBENCH_DONE)
		status = stay(b);
	return status;
}

int genbench_run(const struct genopt *o, int argc, char *const *argv)
{
	struct bench *b = calloc(1, sizeof(*b));
	int status;

	if (b == NULL) {
		gensay_error("no memory");
		return GENBENCH_FAILED;
	}
	b->o = o;
	b->run = gencrew_run(&b->crew);
	b->alone = gencrew_alone(&b->crew);
	catch_signals(b);
	status = run_up(b);
	b->report.argc = argc;
	b->report.argv = argv;
	if (status == GENBENCH_DONE && strcmp(o->json_path, "-") != 0)
		genreport_table(&b->report);
	if (b->report.opt != NULL && o->json_path[0] != '\0') {
		const int rc = genreport_json(&b->report, o->json_path);

		if (rc != 0) {
			gensay_error(
				"--json %s: cannot be written: %s", o->json_path, strerror(-rc));
			status = status == GENBENCH_DONE ? GENBENCH_FAILED : status;
		}
	}
	genreport_fini(&b->report);
	gencrew_fini(&b->crew);
	genwatch_fini(&b->watch);
	genup_down(&b->up);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	free(b);
	return status;
}
