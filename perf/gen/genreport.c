/* SPDX-License-Identifier: BSD-3-Clause */
/* genreport — see genreport.h. */
#include "genreport.h"

#include "genident.h"
#include "gensay.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WIRE_BYTES 20u /* preamble and gap of each frame on Ethernet */
#define GOALS 2u

static const char *const purposes[GENREPORT_PURPOSES] = {
	[GENREPORT_MEASURE] = "measure",
	[GENREPORT_SEARCH] = "search",
	[GENREPORT_LATENCY] = "latency",
	[GENREPORT_BIAS] = "generator-alone",
};
static const char *const goal_names[GOALS] = {"NDR", "PDR"};

static const struct {
	const char *name;
	double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"p99_99", 0.9999}};

int genreport_init(struct genreport *r, const struct genopt *o)
{
	*r = (struct genreport){.opt = o, .machine = genident_machine()};
	r->searches = calloc(o->n_repeats, sizeof(*r->searches));
	return r->searches == NULL ? -ENOMEM : 0;
}

void genreport_fini(struct genreport *r)
{
	for (unsigned i = 0; i < r->n_items; i++)
		genrun_result_fini(&r->items[i].result);
	free(r->items);
	free(r->searches);
	json_decref(r->machine);
	memset(r, 0, sizeof(*r));
}

struct genreport_item *genreport_add(struct genreport *r)
{
	if (r->n_items == r->items_max) {
		const unsigned n = r->items_max == 0 ? 16 : r->items_max * 2;
		struct genreport_item *more = realloc(r->items, n * sizeof(*more));

		if (more == NULL)
			return NULL;
		r->items = more;
		r->items_max = n;
	}
	memset(&r->items[r->n_items], 0, sizeof(*r->items));
	return &r->items[r->n_items++];
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct genreport_spread genreport_spread_of(double *values, unsigned n)
{
	if (n == 0)
		return (struct genreport_spread){0};
	qsort(values, n, sizeof(*values), by_value);
	return (struct genreport_spread){
		.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2,
		.low = values[0],
		.high = values[n - 1]};
}

static struct genreport_spread spread_of_search(const struct genreport *r, unsigned goal)
{
	double *values = calloc(r->n_searches + 1, sizeof(*values));
	struct genreport_spread s = {0};

	if (values == NULL)
		return s;
	for (unsigned i = 0; i < r->n_searches; i++)
		values[i] = r->searches[i].of[goal].lower;
	s = genreport_spread_of(values, r->n_searches);
	free(values);
	return s;
}

/* Why a goal's figure is a lower bound; GENSEARCH_FOUND: it is none. */
static enum gensearch_end bound_of_search(const struct genreport *r, unsigned goal)
{
	enum gensearch_end end = GENSEARCH_FOUND;

	for (unsigned i = 0; i < r->n_searches; i++)
		if (r->searches[i].of[goal].end != GENSEARCH_FOUND)
			end = r->searches[i].of[goal].end;
	return end;
}

double genreport_pdr(const struct genreport *r)
{
	return spread_of_search(r, 1).median;
}

unsigned genreport_voided(const struct genreport *r, unsigned n_void[GENJUDGE_VERDICTS])
{
	unsigned n = 0;

	memset(n_void, 0, GENJUDGE_VERDICTS * sizeof(*n_void));
	for (unsigned i = 0; i < r->n_items; i++) {
		n += r->items[i].n_trials;
		for (unsigned v = 0; v < GENJUDGE_VERDICTS; v++)
			n_void[v] += r->items[i].n_void[v];
	}
	return n;
}

static struct genreport_spread spread_of_measure(const struct genreport *r)
{
	double *values = calloc(r->n_items + 1, sizeof(*values));
	struct genreport_spread s = {0};
	unsigned n = 0;

	if (values == NULL)
		return s;
	for (unsigned i = 0; i < r->n_items; i++)
		if (r->items[i].purpose == GENREPORT_MEASURE)
			values[n++] = r->items[i].result.received_rate;
	s = genreport_spread_of(values, n);
	free(values);
	return s;
}

/* Gbit/s on Ethernet of so many requests, each a frame; over TCP several may be one, and frames are not told: of the bytes alone. */
static double gbit(const struct genreport *r, uint64_t n_frames, uint64_t n_bytes, double seconds)
{
	if (r->opt->work == GENOPT_CACHE_TCP)
		n_frames = 0;
	return seconds > 0 ? ((double)n_bytes + (double)n_frames * WIRE_BYTES) * 8 / seconds / 1e9
			   : 0;
}

static double pct(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* --- the table --- */

static void print_latency(const char *name, const struct genhist *h)
{
	printf("  %-26s %9.1f", name, (double)genhist_min(h) / 1e3);
	for (unsigned i = 0; i < RTE_DIM(quantiles); i++)
		printf(" %9.1f", (double)genhist_quantile(h, quantiles[i].q) / 1e3);
	printf(" %9.1f\n", (double)genhist_max(h) / 1e3);
}

/* What a target on a link that loses nothing has none of. */
static void print_tcp(const struct gentcp_stats *s)
{
	const uint64_t n_ended = s->resets + s->closed, n_odd = s->bad_checksum + s->bad_header;

	if (n_ended + n_odd + s->timeouts + s->retransmits + s->out_of_order + s->unacceptable
			+ s->duplicates
		== 0)
		return;
	printf("  TCP       %s connections ended by the target, %s time-outs, %s segments sent again\n",
		gensay_count((double)n_ended), gensay_count((double)s->timeouts),
		gensay_count((double)s->retransmits));
	printf("            %s segments out of order, %s twice, %s with wrong checksums or lengths, %s with wrong "
	       "numbers\n",
		gensay_count((double)s->out_of_order), gensay_count((double)s->duplicates),
		gensay_count((double)n_odd), gensay_count((double)s->unacceptable));
}

static void print_counts(const struct genreport *r, const struct genreport_item *it)
{
	const struct genrun_counts *c = &it->result.counts;
	const double s = it->result.seconds;

	printf("  offered   %14s %s  %10s/s  %8.3f Gbit/s on the wire\n",
		gensay_count((double)c->offered),
		r->opt->work == GENOPT_CACHE_TCP ? "gets and sets" : "frames",
		gensay_rate((double)c->offered / s), gbit(r, c->offered, c->offered_bytes, s));
	printf("  received  %14s         %10s/s  %8.3f Gbit/s\n", gensay_count((double)c->received),
		gensay_rate(it->result.received_rate), gbit(r, c->received, c->received_bytes, s));
	printf("  lost      %14s  %.4f %%; of these %s found no room on the link\n",
		gensay_count((double)(c->offered - c->received + c->too_late)),
		100 * it->result.loss_ratio, gensay_count((double)c->no_room));
	if (c->too_late > 0)
		printf("            %14s  answers came after %g ms, and are among the lost\n",
			gensay_count((double)c->too_late), r->opt->deadline_ms);
	if (r->opt->beside != GENOPT_BESIDE_NOTHING)
		printf("  beside    %14s others sent, %s/s; %s more found no room\n",
			gensay_count((double)c->beside), gensay_rate((double)c->beside / s),
			gensay_count((double)c->beside_no_room));
	if (r->opt->work != GENOPT_FLOOD)
		printf("  answers   %s hits (%.2f %% of gets), %s misses, %s stored, %s refused, %s wrong\n",
			gensay_count((double)it->cache.hits),
			pct(it->cache.hits, it->cache.hits + it->cache.misses),
			gensay_count((double)it->cache.misses),
			gensay_count((double)it->cache.stored),
			gensay_count((double)it->cache.refused),
			gensay_count((double)it->cache.wrong));
	else
		printf("  backends  %14s got there, %s of them through a tunnel\n",
			gensay_count((double)it->n_arrived), gensay_count((double)it->n_tunnelled));
	if (r->opt->work == GENOPT_CACHE_TCP)
		print_tcp(&it->tcp);
	if (genopt_threads(r->opt) > 1)
		printf("  threads   %14u of the generator; %s answers came to another one than had asked\n",
			genopt_threads(r->opt), gensay_count((double)c->handed));
	printf("  generator %14s late (%.4f %%, %u us), longest pause %.1f us, %s times without the CPU\n",
		gensay_count((double)c->late), pct(c->late, c->offered), r->opt->late_us,
		(double)c->gap_most_cyc * 1e6 / (double)rte_get_tsc_hz(),
		gensay_count((double)it->result.n_switches));
}

static void print_search(const struct genreport *r)
{
	printf("  %-10s %12s %12s %12s %10s\n", "", "median/s", "lowest", "highest", "spread");
	for (unsigned g = 0; g < GOALS; g++) {
		const struct genreport_spread s = spread_of_search(r, g);
		const enum gensearch_end end = bound_of_search(r, g);

		printf("  %-10s %12s %12s %12s %8.1f %%%s\n", goal_names[g], gensay_rate(s.median),
			gensay_rate(s.low), gensay_rate(s.high), 100 * (s.high - s.low) / s.median,
			end == GENSEARCH_FOUND ? ""
				: end == GENSEARCH_ABOVE_MAX
				? "  at least: --rate-max passes"
				: "  at least: all that the generator can send passes");
	}
	printf("  %u searches of %u to %u trials\n", r->n_searches, r->searches[0].n_trials,
		r->searches[r->n_searches - 1].n_trials);
}

static void print_voided(const struct genreport *r)
{
	unsigned n_void[GENJUDGE_VERDICTS];
	const unsigned n = genreport_voided(r, n_void),
		       n_all = n_void[GENJUDGE_GENERATOR] + n_void[GENJUDGE_TARGET]
		+ n_void[GENJUDGE_STOLEN];

	printf("  %u trials counted, %u were thrown away", n, n_all);
	if (n_all > 0)
		printf(": the generator lost its CPU in %u, the target in %u, a hypervisor took a CPU in %u",
			n_void[GENJUDGE_GENERATOR], n_void[GENJUDGE_TARGET],
			n_void[GENJUDGE_STOLEN]);
	putchar('\n');
}

void genreport_table(const struct genreport *r)
{
	const struct genopt *o = r->opt;
	char target[64], load[64], name[64];

	printf("%s, %s port %u, by %s; load %s\n", genopt_work_name(o->work),
		genopt_address(&o->target, target, sizeof(target)), o->target_port, r->port,
		genident_load(load, sizeof(load)));
	if (o->is_search) {
		print_search(r);
	} else {
		for (unsigned i = 0; i < r->n_items; i++)
			if (r->items[i].purpose == GENREPORT_MEASURE)
				print_counts(r, &r->items[i]);
		if (o->n_repeats > 1) {
			const struct genreport_spread s = spread_of_measure(r);

			printf("  median of %u: %s/s received, %s to %s\n", o->n_repeats,
				gensay_rate(s.median), gensay_rate(s.low), gensay_rate(s.high));
		}
	}
	print_voided(r);
	printf("\n  %-26s %9s %9s %9s %9s %9s %9s %9s\n", "latency of these, us", "min", "p50",
		"p90", "p99", "p99.9", "p99.99", "max");
	for (unsigned i = 0; i < r->n_items; i++) {
		const struct genreport_item *it = &r->items[i];
		const char *alone = it->purpose == GENREPORT_BIAS ? "  generator alone" : "";

		if (it->purpose == GENREPORT_SEARCH)
			continue;
		snprintf(name, sizeof(name), "%s/s%s", gensay_rate(it->result.trial.rate), alone);
		if (it->share_pct != 0 && alone[0] == '\0')
			snprintf(name, sizeof(name), "%.0f %% of PDR, %s/s", it->share_pct,
				gensay_rate(it->result.trial.rate));
		if (it->result.verdict == GENRUN_DONE)
			print_latency(name, &it->result.latency_ns);
		else
			printf("  %-26s not measured: it is too slow for that\n", name);
	}
}

/* --- the document --- */

static json_t *json_of_latency(const struct genhist *h)
{
	json_t *o = json_object(), *buckets = json_array();

	json_object_set_new(o, "min", json_integer((json_int_t)genhist_min(h)));
	for (unsigned i = 0; i < RTE_DIM(quantiles); i++)
		json_object_set_new(o, quantiles[i].name,
			json_integer((json_int_t)genhist_quantile(h, quantiles[i].q)));
	json_object_set_new(o, "max", json_integer((json_int_t)genhist_max(h)));
	json_object_set_new(o, "mean", json_real(genhist_mean(h)));
	for (unsigned i = 0; i < GENHIST_BUCKETS; i++)
		if (h->buckets[i] != 0)
			json_array_append_new(buckets,
				json_pack("[I, I]", (json_int_t)genhist_value(i),
					(json_int_t)h->buckets[i]));
	json_object_set_new(o, "buckets", buckets); /* [value, how often] */
	return o;
}

static json_t *json_of_counts(const struct genrun_counts *c)
{
	json_t *o = json_object();
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {{"offered", c->offered}, {"offered_bytes", c->offered_bytes},
		{"received", c->received}, {"received_bytes", c->received_bytes},
		{"no_room", c->no_room}, {"late", c->late}, {"duplicates", c->duplicates},
		{"overdue", c->overdue}, {"reordered", c->reordered}, {"turned", c->turned},
		{"turn_no_room", c->turn_no_room}, {"others", c->others},
		{"neighbours", c->neighbours}, {"no_buffer", c->no_buffer},
		{"too_late", c->too_late}, {"beside", c->beside},
		{"beside_no_room", c->beside_no_room}, {"handed", c->handed},
		{"hand_no_room", c->hand_no_room}};

	for (unsigned i = 0; i < RTE_DIM(rows); i++)
		json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].value));
	return o;
}

static json_t *json_of_tcp(const struct gentcp_stats *s)
{
	json_t *o = json_object();

#define SET(name, help) json_object_set_new(o, #name, json_integer((json_int_t)s->name));
	GENTCP_STATS(SET)
#undef SET
	return o;
}

static json_t *json_of_samples(const struct genrun_result *res)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < res->n_samples; i++) {
		const struct genrun_sample *s = &res->samples[i];

		json_array_append_new(a,
			json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "seconds", s->seconds,
				"offered", (json_int_t)s->offered, "received",
				(json_int_t)s->received, "late", (json_int_t)s->late, "p50_ns",
				(json_int_t)s->p50_ns, "p99_ns", (json_int_t)s->p99_ns, "max_ns",
				(json_int_t)s->max_ns));
	}
	return a;
}

static json_t *json_of_voided(const unsigned n_void[GENJUDGE_VERDICTS])
{
	json_t *o = json_object();

	for (unsigned v = GENJUDGE_GENERATOR; v < GENJUDGE_VERDICTS; v++)
		json_object_set_new(o, genjudge_name((enum genjudge_verdict)v),
			json_integer((json_int_t)n_void[v]));
	return o;
}

/* [us, how often]: rounds of the loop that took so long at least and less than twice as long. */
static json_t *json_of_pauses(const struct genrun_counts *c)
{
	json_t *a = json_array();

	for (unsigned i = 1; i < GENRUN_PAUSES; i++)
		if (c->pauses[i] > 0)
			json_array_append_new(
				a, json_pack("[i, I]", 1 << (i - 1), (json_int_t)c->pauses[i]));
	return a;
}

static json_t *json_of_item(const struct genreport *r, const struct genreport_item *it)
{
	static const char *const verdicts[] = {[GENRUN_DONE] = "done",
		[GENRUN_TOO_SLOW] = "too-slow",
		[GENRUN_VOID] = "void",
		[GENRUN_STOPPED] = "stopped"};
	const struct genrun_result *res = &it->result;
	const double to_us = 1e6 / (double)rte_get_tsc_hz();
	json_t *o = json_pack("{s:s, s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "purpose",
		purposes[it->purpose], "round", (int)it->round, "verdict", verdicts[res->verdict],
		"rate", res->trial.rate, "seconds", res->seconds, "received_rate",
		res->received_rate, "loss_ratio", res->loss_ratio, "late_most_us",
		(double)res->counts.late_most_cyc * to_us, "longest_pause_us",
		(double)res->counts.gap_most_cyc * to_us, "times_without_cpu",
		(json_int_t)res->n_switches);

	if (it->share_pct != 0)
		json_object_set_new(o, "share_of_pdr", json_real(it->share_pct / 100));
	if (genjudge_is_void(res->why) && res->verdict == GENRUN_VOID)
		json_object_set_new(o, "void_why", json_string(genjudge_name(res->why)));
	json_object_set_new(o, "parts", json_integer(it->n_trials));
	json_object_set_new(o, "voided", json_of_voided(it->n_void));
	json_object_set_new(o, "target_waited_us", json_real(res->waited_s * 1e6));
	json_object_set_new(o, "pauses_us", json_of_pauses(&res->counts));
	json_object_set_new(o, "counts", json_of_counts(&res->counts));
	json_object_set_new(o, "offered_gbit",
		json_real(gbit(r, res->counts.offered, res->counts.offered_bytes, res->seconds)));
	json_object_set_new(o, "received_gbit",
		json_real(gbit(r, res->counts.received, res->counts.received_bytes, res->seconds)));
	if (r->opt->work != GENOPT_FLOOD && it->purpose != GENREPORT_BIAS)
		json_object_set_new(o, "answers",
			json_pack("{s:I, s:I, s:I, s:I, s:I}", "hits", (json_int_t)it->cache.hits,
				"misses", (json_int_t)it->cache.misses, "stored",
				(json_int_t)it->cache.stored, "refused",
				(json_int_t)it->cache.refused, "wrong",
				(json_int_t)it->cache.wrong));
	else
		json_object_set_new(o, "backends",
			json_pack("{s:I, s:I}", "arrived", (json_int_t)it->n_arrived, "tunnelled",
				(json_int_t)it->n_tunnelled));
	if (r->opt->work == GENOPT_CACHE_TCP && it->purpose != GENREPORT_BIAS)
		json_object_set_new(o, "tcp", json_of_tcp(&it->tcp));
	json_object_set_new(o, "latency_ns", json_of_latency(&res->latency_ns));
	json_object_set_new(o, "samples", json_of_samples(res));
	return o;
}

static json_t *json_of_spread(struct genreport_spread s)
{
	return json_pack("{s:f, s:f, s:f}", "median", s.median, "lowest", s.low, "highest", s.high);
}

/* What people quote; null when there is nothing to quote. */
static json_t *json_of_figures(const struct genreport *r)
{
	json_t *o;

	if (r->error[0] != '\0')
		return json_null();
	o = json_object();
	if (r->opt->is_search) {
		for (unsigned g = 0; g < GOALS; g++) {
			json_t *figure = json_of_spread(spread_of_search(r, g));

			json_object_set_new(figure, "at_least",
				json_boolean(bound_of_search(r, g) != GENSEARCH_FOUND));
			json_object_set_new(o, g == 0 ? "ndr" : "pdr", figure);
		}
	} else {
		json_object_set_new(o, "received_rate", json_of_spread(spread_of_measure(r)));
	}
	return o;
}

static json_t *json_of_searches(const struct genreport *r)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < r->n_searches; i++) {
		json_t *o = json_pack("{s:i}", "trials", (int)r->searches[i].n_trials);

		for (unsigned g = 0; g < GOALS; g++) {
			const struct gensearch_goal *goal = &r->searches[i].of[g];

			json_object_set_new(o, g == 0 ? "ndr" : "pdr",
				json_pack("{s:s, s:f, s:f}", "end", gensearch_end_name(goal->end),
					"lower", goal->lower, "upper", goal->upper));
		}
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *json_of_config(const struct genreport *r)
{
	const struct genopt *o = r->opt;
	char target[64], client[64];
	json_t *c = json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:f, s:f, s:i, s:i, s:i, s:i}",
		"work", genopt_work_name(o->work), "port", r->port, "target",
		genopt_address(&o->target, target, sizeof(target)), "target_port",
		(int)o->target_port, "client", genopt_address(&o->client, client, sizeof(client)),
		"client_len", (int)o->client.len, "seconds", o->seconds, "warm_up_seconds",
		o->warm_seconds, "late_us", (int)o->late_us, "flows", (int)o->n_flows, "burst",
		(int)o->burst, "seed", (int)o->seed);

	if (genopt_threads(o)
		> 1) /* not with one, as in documents from before there could be more */
		json_object_set_new(c, "threads", json_integer(genopt_threads(o)));
	json_object_set_new(c, "beside_rate", json_real(o->beside_rate));
	json_object_set_new(c, "trial_seconds", json_real(o->trial_seconds));
	json_object_set_new(c, "votes", json_integer(o->n_votes));
	json_object_set_new(c, "deadline_ms", json_real(o->deadline_ms));
	json_object_set_new(c, "is_fifo", json_boolean(o->is_fifo));
	json_object_set_new(c, "is_target_watched", json_boolean(o->watch[0] != '\0'));
	json_object_set_new(c, "zipf", json_real(o->skew));
	if (o->work == GENOPT_FLOOD) {
		json_object_set_new(c, "size", json_string(o->sizes_text));
		json_object_set_new(
			c, "proto", json_string(o->proto == GENOPT_UDP ? "udp" : "tcp"));
		json_object_set_new(c, "new_pct", json_real(o->new_pct));
		json_object_set_new(c, "is_returned", json_boolean(o->is_returned));
	} else {
		json_object_set_new(c, "keys", json_integer(o->n_keys));
		json_object_set_new(c, "value_min", json_integer(o->value_min));
		json_object_set_new(c, "value_max", json_integer(o->value_max));
		json_object_set_new(c, "set_pct", json_real(o->set_pct));
		json_object_set_new(c, "shift_seconds", json_real(o->shift_seconds));
		if (o->work == GENOPT_CACHE_TCP)
			json_object_set_new(c, "depth", json_integer(o->depth));
		json_object_set_new(c, "is_once", json_boolean(o->is_once));
	}
	return c;
}

int genreport_json(const struct genreport *r, const char *path)
{
	json_t *doc = json_object(), *args = json_array(), *trials = json_array();
	unsigned n_void[GENJUDGE_VERDICTS];
	const unsigned n_counted = genreport_voided(r, n_void);
	const time_t now = time(NULL);
	char stamp[32], load[64];
	struct tm tm;
	int rc;

	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	for (int i = 0; i < r->argc; i++)
		json_array_append_new(args, json_string(r->argv[i]));
	for (unsigned i = 0; i < r->n_items; i++)
		json_array_append_new(trials, json_of_item(r, &r->items[i]));
	json_object_set_new(doc, "schema", json_string("millrace.bench/1"));
	json_object_set_new(doc, "time", json_string(stamp));
	json_object_set_new(doc, "error", r->error[0] ? json_string(r->error) : json_null());
	json_object_set_new(doc, "figures", json_of_figures(r));
	json_object_set_new(doc, "trials_counted", json_integer(n_counted));
	json_object_set_new(doc, "trials_voided", json_of_voided(n_void));
	json_object_set(doc, "machine", r->machine);
	json_object_set_new(doc, "load_after", json_string(genident_load(load, sizeof(load))));
	json_object_set_new(doc, "generator", genident_build());
	json_object_set_new(doc, "arguments", args);
	json_object_set_new(doc, "config", json_of_config(r));
	json_object_set_new(doc, "searches", json_of_searches(r));
	json_object_set_new(doc, "trials", trials);
	if (strcmp(path, "-") == 0)
		rc = json_dumpf(doc, stdout, 0) == 0 && putchar('\n') != EOF ? 0 : -1;
	else
		rc = json_dump_file(doc, path, 0);
	json_decref(doc);
	return rc == 0 ? 0 : errno != 0 ? -errno : -EIO;
}
