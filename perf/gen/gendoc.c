/* SPDX-License-Identifier: BSD-3-Clause */
/* gendoc — see gendoc.h. A reader for each kind; what the documents contain is in perf/README.md. */
#include "gendoc.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 256

/* A document on its way in; the first complaint stays. */
struct reader {
	struct gendoc *d;
	const char *metric;
	char *err;
	size_t err_size;
};

__attribute__((format(printf, 2, 3))) static int complain(struct reader *r, const char *format, ...)
{
	va_list ap;
	int at;

	if (r->err[0] != '\0')
		return -EINVAL;
	at = snprintf(r->err, r->err_size, "%s: ", r->d->path);
	va_start(ap, format);
	if (at > 0 && (size_t)at < r->err_size)
		vsnprintf(r->err + at, r->err_size - (size_t)at, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* --- what is found --- */

static int add_fact(struct reader *r, const char *name, const char *value, bool is_vital)
{
	struct gendoc *d = r->d;
	struct gendoc_fact *more = realloc(d->facts, (d->n_facts + 1) * sizeof(*more));

	if (more == NULL)
		return complain(r, "out of memory");
	d->facts = more;
	more[d->n_facts] = (struct gendoc_fact){strdup(name), strdup(value), is_vital};
	return more[d->n_facts].name != NULL && more[d->n_facts++].value != NULL
		? 0
		: complain(r, "out of memory");
}

static struct gendoc_series *series_of(struct gendoc *d, const char *name)
{
	struct gendoc_series *more;

	for (unsigned i = d->n_series; i-- > 0;) /* figures of one name come together */
		if (strcmp(d->series[i].name, name) == 0)
			return &d->series[i];
	more = realloc(d->series, (d->n_series + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	d->series = more;
	more[d->n_series] = (struct gendoc_series){.name = strdup(name)};
	return more[d->n_series].name != NULL ? &more[d->n_series++] : NULL;
}

static int append(struct gendoc *d, const char *name, double value, bool is_within)
{
	struct gendoc_series *s = series_of(d, name);
	double *more = s == NULL ? NULL : realloc(s->values, (s->n + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	s->values = more;
	s->is_within |= is_within;
	more[s->n++] = value;
	return 0;
}

static int add_value(struct reader *r, const char *name, double value, bool is_within)
{
	return append(r->d, name, value, is_within) == 0 ? 0 : complain(r, "out of memory");
}

/* --- members --- */

static int get_number(struct reader *r, const json_t *o, const char *name, double *value)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_number(v))
		return complain(r, "'%s' should be a number and is %s", name,
			v == NULL ? "missing" : "none");
	*value = json_number_value(v);
	return isfinite(*value) ? 0 : complain(r, "'%s' is no number", name);
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text != NULL ? text : "";
}

static json_t *array_of(struct reader *r, const json_t *o, const char *name)
{
	json_t *a = json_object_get(o, name);

	if (json_is_array(a))
		return a;
	complain(r, "'%s' should be a list and is %s", name, a == NULL ? "missing" : "none");
	return NULL;
}

/* Every plain member of an object, those of objects within it too, as "prefix.name"; an object's members that are named in `but`, which ends with
 * NULL, are noted only, and so are all of an object that is not vital. */
static int add_facts(
	struct reader *r, json_t *o, const char *prefix, bool is_vital, const char *const *but)
{
	const char *name;
	json_t *v;
	int rc = 0;

	json_object_foreach(o, name, v) {
		char full[NAME_MAX_BYTES], *text;
		bool is_noted = !is_vital;

		for (unsigned i = 0; but != NULL && but[i] != NULL; i++)
			is_noted |= strcmp(but[i], name) == 0;
		snprintf(full, sizeof(full), "%s.%s", prefix, name);
		if (json_is_object(v)) {
			rc = add_facts(r, v, full, !is_noted, but);
		} else {
			text = json_is_string(v) ? strdup(json_string_value(v))
						 : json_dumps(v, JSON_ENCODE_ANY);
			rc = text == NULL ? complain(r, "out of memory")
					  : add_fact(r, full, text, !is_noted);
			free(text);
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* "release, gcc 12.2.0": the kind of the build decides, its compiler is worth a note. */
static int add_build(struct reader *r, const char *build)
{
	char kind[NAME_MAX_BYTES];

	snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(build, ","), build);
	if (add_fact(r, "build", kind, true) != 0)
		return -EINVAL;
	build += strlen(kind);
	return add_fact(r, "compiler", build + strspn(build, ", "), false);
}

/* An object; where there is none nothing is known. */
static int add_build_of(struct reader *r, json_t *build)
{
	if (!json_is_object(build))
		return 0;
	return add_build(r, text_of(build, "build")) != 0
			|| add_fact(r, "version", text_of(build, "version"), false) != 0
		? -EINVAL
		: 0;
}

/* The machine: another CPU voids, all else is noted. Load is told, and is no fact: it always differs. */
static int add_machine(struct reader *r, json_t *machine)
{
	const char *name;
	json_t *v;

	json_object_foreach(machine, name, v) {
		char full[NAME_MAX_BYTES];
		char *text;
		int rc;

		if (strcmp(name, "load") == 0)
			snprintf(r->d->load, sizeof(r->d->load), "%s", text_of(machine, "load"));
		if (strncmp(name, "load", 4) == 0 || strcmp(name, "tsc_hz") == 0)
			continue;
		snprintf(full, sizeof(full), "machine.%s", name);
		text = json_is_string(v) ? strdup(json_string_value(v))
					 : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
		rc = text == NULL ? complain(r, "out of memory")
				  : add_fact(r, full, text, strcmp(name, "cpu") == 0);
		free(text);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- millrace.bench/1 --- */

static int add_latency(struct reader *r, json_t *trial, const char *what)
{
	static const char *const names[] = {"p50", "p99", "p99_9"};
	json_t *latency = json_object_get(trial, "latency_ns");

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char name[NAME_MAX_BYTES];
		double ns;

		if (get_number(r, latency, names[i], &ns) != 0)
			return -EINVAL;
		snprintf(name, sizeof(name), "latency%s, %s, us", what, names[i]);
		if (add_value(r, name, ns / 1e3, false) != 0)
			return -EINVAL;
	}
	return 0;
}

/* The counts of a document's samples are sums from the beginning. */
static int add_seconds(struct reader *r, json_t *trial)
{
	json_t *samples = array_of(r, trial, "samples"), *s;
	double last_at = 0, last = 0;
	size_t i;

	if (samples == NULL)
		return -EINVAL;
	json_array_foreach(samples, i, s) {
		double at, received, p99;

		if (get_number(r, s, "seconds", &at) != 0
			|| get_number(r, s, "received", &received) != 0
			|| get_number(r, s, "p99_ns", &p99) != 0)
			return -EINVAL;
		if (at <= last_at)
			return complain(r, "the samples of a trial are not in order");
		if (add_value(r, "received/s, of each second", (received - last) / (at - last_at),
			    true)
				!= 0
			|| add_value(r, "latency, p99, us, of each second", p99 / 1e3, true) != 0)
			return -EINVAL;
		last_at = at;
		last = received;
	}
	return 0;
}

static int read_trials(struct reader *r)
{
	json_t *trials = array_of(r, r->d->root, "trials"), *t, *only = NULL;
	unsigned n_measured = 0;
	size_t i;

	if (trials == NULL)
		return -EINVAL;
	json_array_foreach(trials, i, t) {
		const char *purpose = text_of(t, "purpose");
		char what[64] = "";
		double value;

		if (strcmp(text_of(t, "verdict"), "done") != 0)
			continue;
		if (strcmp(purpose, "measure") == 0) {
			only = n_measured++ == 0 ? t : NULL;
			if (get_number(r, t, "received_rate", &value) != 0
				|| add_value(r, "received/s", value, false) != 0)
				return -EINVAL;
		} else if (strcmp(purpose, "latency") != 0) {
			continue;
		} else if (json_object_get(t, "share_of_pdr") != NULL) {
			if (get_number(r, t, "share_of_pdr", &value) != 0)
				return -EINVAL;
			snprintf(what, sizeof(what), " at %.0f %% of PDR", 100 * value);
		}
		if (add_latency(r, t, what) != 0)
			return -EINVAL;
	}
	return only != NULL ? add_seconds(r, only) : 0;
}

static int read_searches(struct reader *r)
{
	json_t *searches = array_of(r, r->d->root, "searches"), *s;
	static const char *const goals[] = {"ndr", "pdr"}, *const names[] = {"NDR, /s", "PDR, /s"};
	size_t i;

	if (searches == NULL)
		return -EINVAL;
	json_array_foreach(searches, i, s) {
		for (unsigned g = 0; g < 2; g++) {
			double value;

			if (get_number(r, json_object_get(s, goals[g]), "lower", &value) != 0
				|| add_value(r, names[g], value, false) != 0)
				return -EINVAL;
		}
	}
	return 0;
}

static int read_bench(struct reader *r)
{
	static const char *const noted[] = {"port", "target", "client", "seed", "seconds",
		"trial_seconds", "warm_up_seconds", NULL};
	json_t *root = r->d->root, *generator = json_object_get(root, "generator");

	if (!json_is_object(json_object_get(root, "figures")))
		return complain(r, "it holds no figure: %s",
			text_of(root, "error")[0] != '\0' ? text_of(root, "error")
							  : "it does not say why");
	snprintf(r->d->when, sizeof(r->d->when), "%s", text_of(root, "time"));
	if ((text_of(root, "name")[0] != '\0'
		    && add_fact(r, "name", text_of(root, "name"), true) != 0)
		|| add_machine(r, json_object_get(root, "machine")) != 0
		|| add_build(r, text_of(generator, "build")) != 0
		|| add_fact(r, "version", text_of(generator, "version"), false) != 0
		|| add_fact(r, "dpdk", text_of(generator, "dpdk"), false) != 0
		|| add_facts(r, json_object_get(root, "config"), "config", true, noted) != 0
		|| add_facts(r, json_object_get(root, "sweep"), "sweep", true, NULL) != 0)
		return -EINVAL;
	return read_searches(r) != 0 ? -EINVAL : read_trials(r);
}

/* --- millrace.compare/1 --- */

/* One run of one peer: all its numbers, or those that the document says are metrics. */
static int read_peer_sample(struct reader *r, const char *peer, json_t *sample)
{
	json_t *metrics = json_object_get(r->d->root, "metrics");
	const char *test = text_of(sample, "test"), *key;
	json_t *v;

	if (!json_is_object(sample))
		return complain(r, "a sample of %s is no object", peer);
	json_object_foreach(sample, key, v) {
		const char *unit = text_of(json_object_get(metrics, key), "unit");
		char name[NAME_MAX_BYTES];

		if (!json_is_number(v) || strcmp(key, "round") == 0
			|| (metrics != NULL && json_object_get(metrics, key) == NULL))
			continue;
		snprintf(name, sizeof(name), "%s: %s%s%s%s%s", peer, test,
			test[0] != '\0' ? " " : "", key, unit[0] != '\0' ? ", " : "", unit);
		if (add_value(r, name, json_number_value(v), false) != 0)
			return -EINVAL;
	}
	return 0;
}

static int read_compare(struct reader *r)
{
	json_t *root = r->d->root, *peers = array_of(r, root, "peers"), *p, *s;
	size_t i, k;

	if (peers == NULL)
		return -EINVAL;
	snprintf(r->d->when, sizeof(r->d->when), "%s", text_of(root, "time"));
	if ((text_of(root, "name")[0] != '\0'
		    && add_fact(r, "name", text_of(root, "name"), true) != 0)
		|| add_machine(r, json_object_get(root, "machine")) != 0)
		return -EINVAL;
	if (add_build_of(r, json_object_get(root, "build")) != 0
		|| add_facts(r, json_object_get(root, "config"), "config", true, NULL) != 0)
		return -EINVAL;
	json_array_foreach(peers, i, p) {
		const char *name = text_of(p, "name");
		json_t *samples;
		char what[NAME_MAX_BYTES];

		if (name[0] == '\0')
			return complain(r, "a peer has no name");
		samples = array_of(r, p, "samples");
		snprintf(what, sizeof(what), "%s's version", name);
		if (samples == NULL || add_fact(r, what, text_of(p, "version"), false) != 0)
			return -EINVAL;
		json_array_foreach(samples, k, s)
			if (read_peer_sample(r, name, s) != 0)
				return -EINVAL;
	}
	return 0;
}

/* --- millrace.workers/1 --- */

static int read_workers(struct reader *r)
{
	static const char *const vital[] = {"name", "about", "pages"};
	json_t *root = r->d->root, *samples = array_of(r, root, "samples"), *s;
	size_t i;

	if (samples == NULL)
		return -EINVAL;
	snprintf(r->d->when, sizeof(r->d->when), "%s", text_of(root, "time"));
	for (i = 0; i < sizeof(vital) / sizeof(*vital); i++)
		if (add_fact(r, vital[i], text_of(root, vital[i]), true) != 0)
			return -EINVAL;
	if (add_machine(r, json_object_get(root, "machine")) != 0
		|| add_build_of(r, json_object_get(root, "build")) != 0)
		return -EINVAL;
	json_array_foreach(samples, i, s) {
		char name[NAME_MAX_BYTES];
		double n_workers, rate;

		if (get_number(r, s, "workers", &n_workers) != 0
			|| get_number(r, s, "per_second", &rate) != 0)
			return -EINVAL;
		snprintf(name, sizeof(name), "%.0f worker%s%s, /s", n_workers,
			n_workers == 1 ? "" : "s",
			json_is_true(json_object_get(s, "moved_only")) ? ", frames moved only"
								       : "");
		if (add_value(r, name, rate, false) != 0)
			return -EINVAL;
	}
	return 0;
}

/* --- Google Benchmark --- */

static int read_repetition(struct reader *r, json_t *b)
{
	static const char suffix[] = "/manual_time";
	const char *metric = r->metric;
	char name[NAME_MAX_BYTES], *at;
	double value = 0; /* gcc 12 without link-time optimisation does not see that it is set */

	if (json_is_true(json_object_get(b, "error_occurred"))) {
		r->d->n_failed++;
		return 0;
	}
	if (strcmp(text_of(b, "run_type"), "iteration") != 0) /* medians and the like */
		return 0;
	if (metric == NULL)
		metric = json_object_get(b, "net_cycles") != NULL ? "net_cycles" : "cycles";
	if (r->metric != NULL
		&& json_object_get(b, metric) == NULL) /* a case without a reference has no ratio */
		return 0;
	if (get_number(r, b, metric, &value) != 0)
		return -EINVAL;
	snprintf(name, sizeof(name), "%s", text_of(b, "run_name"));
	at = strstr(name, suffix);
	if (at != NULL)
		*at = '\0';
	return add_value(r, name, value, false);
}

static int read_micro(struct reader *r)
{
	json_t *context = json_object_get(r->d->root, "context"),
	       *load = json_object_get(context, "load_avg");
	json_t *all = array_of(r, r->d->root, "benchmarks"), *b;
	char mhz[32];
	size_t i;

	if (all == NULL)
		return -EINVAL;
	if (json_array_size(load) == 3)
		snprintf(r->d->load, sizeof(r->d->load), "%.2f %.2f %.2f",
			json_number_value(json_array_get(load, 0)),
			json_number_value(json_array_get(load, 1)),
			json_number_value(json_array_get(load, 2)));
	snprintf(r->d->when, sizeof(r->d->when), "%s", text_of(context, "date"));
	snprintf(mhz, sizeof(mhz), "%.0f",
		10
			* round(strtod(text_of(context, "tsc_hz"), NULL)
				/ 1e7)); /* it is measured, and a little off */
	if (text_of(context, "cpu")[0] == '\0')
		return complain(r, "these are not our benchmarks: 'context' has no 'cpu'");
	if (add_fact(r, "machine.cpu", text_of(context, "cpu"), true) != 0
		|| add_fact(r, "tsc, MHz", mhz, true) != 0
		|| add_fact(r, "pages", text_of(context, "pages"), true) != 0
		|| add_build(r, text_of(context, "build")) != 0
		|| add_fact(r, "machine.name", text_of(context, "host_name"), false) != 0)
		return -EINVAL;
	json_array_foreach(all, i, b)
		if (read_repetition(r, b) != 0)
			return -EINVAL;
	return 0;
}

/* --- any --- */

static int read_any(struct reader *r)
{
	const char *schema = text_of(r->d->root, "schema");
	int rc;

	if (strcmp(schema, "millrace.bench/1") == 0) {
		r->d->kind = GENDOC_BENCH;
		rc = read_bench(r);
	} else if (strcmp(schema, "millrace.compare/1") == 0) {
		r->d->kind = GENDOC_COMPARE;
		rc = read_compare(r);
	} else if (strcmp(schema, "millrace.workers/1") == 0) {
		r->d->kind = GENDOC_WORKERS;
		rc = read_workers(r);
	} else if (schema[0] == '\0' && json_is_object(json_object_get(r->d->root, "context"))
		&& json_object_get(r->d->root, "benchmarks") != NULL) {
		r->d->kind = GENDOC_MICRO;
		rc = read_micro(r);
	} else {
		return complain(r,
			"schema '%s' is none of millrace.bench/1, millrace.compare/1, millrace.workers/1 and what Google Benchmark writes",
			schema);
	}
	if (rc == 0 && r->d->n_series == 0)
		return complain(r, "it holds no figure%s%s",
			r->metric != NULL ? " of the metric " : "",
			r->metric != NULL ? r->metric : "");
	return rc;
}

int gendoc_load(struct gendoc *d, const char *path, const char *metric, char *err, size_t err_size)
{
	struct reader r = {.d = d, .metric = metric, .err = err, .err_size = err_size};
	json_error_t where;
	int rc;

	*d = (struct gendoc){.path = path, .load = "?", .n_docs = 1};
	err[0] = '\0';
	d->root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (d->root == NULL)
		return complain(
			&r, "line %d: %s: not a whole JSON document", where.line, where.text);
	rc = read_any(&r);
	if (rc != 0)
		gendoc_fini(d);
	return rc;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void gendoc_fold(struct gendoc *d)
{
	for (unsigned i = 0; i < d->n_series; i++) {
		struct gendoc_series *s = &d->series[i];

		qsort(s->values, s->n, sizeof(*s->values), by_value);
		s->values[0] = s->n % 2 ? s->values[s->n / 2]
					: (s->values[s->n / 2 - 1] + s->values[s->n / 2]) / 2;
		s->n = 1;
		s->is_within = false;
	}
}

int gendoc_append(struct gendoc *to, const struct gendoc *from)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < from->n_series; i++)
		for (unsigned k = 0; rc == 0 && k < from->series[i].n; k++)
			rc = append(to, from->series[i].name, from->series[i].values[k],
				from->series[i].is_within);
	to->n_failed += from->n_failed;
	to->n_docs += from->n_docs;
	return rc;
}

void gendoc_fini(struct gendoc *d)
{
	for (unsigned i = 0; i < d->n_facts; i++) {
		free(d->facts[i].name);
		free(d->facts[i].value);
	}
	for (unsigned i = 0; i < d->n_series; i++) {
		free(d->series[i].name);
		free(d->series[i].values);
	}
	free(d->facts);
	free(d->series);
	json_decref(d->root);
	memset(d, 0, sizeof(*d));
}

const struct gendoc_series *gendoc_find(const struct gendoc *d, const char *name)
{
	for (unsigned i = 0; i < d->n_series; i++)
		if (strcmp(d->series[i].name, name) == 0)
			return &d->series[i];
	return NULL;
}

const char *gendoc_fact_of(const struct gendoc *d, const char *name)
{
	for (unsigned i = 0; i < d->n_facts; i++)
		if (strcmp(d->facts[i].name, name) == 0)
			return d->facts[i].value;
	return NULL;
}
