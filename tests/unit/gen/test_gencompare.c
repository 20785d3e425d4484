/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Documents of measurements and their comparison: what is read of each schema, what is refused and with which words, and what the table says. Documents are
 * made here, as small as they can be.
 */
#include "gencompare.h"
#include "gendoc.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/test_gencompare.XXXXXX", paths[2][64], said[16384];

static const char *file_of(unsigned i, const char *text)
{
	FILE *f;

	snprintf(paths[i], sizeof(paths[i]), "%s/%c.json", folder, 'a' + (int)i);
	f = fopen(paths[i], "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return paths[i];
}

/* What the command prints on both streams goes to `said`. */
static int run(int argc, char *const *argv)
{
	const int out = dup(1), err = dup(2);
	char path[64];
	int status;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/said", folder);
	fflush(stdout);
	f = fopen(path, "w+");
	assert_non_null(f);
	dup2(fileno(f), 1);
	dup2(fileno(f), 2);
	status = gencompare_run(argc, argv);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	rewind(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	fclose(f);
	return status;
}

static int compare(const char *option, const char *a, const char *b)
{
	static char name[] = "compare";
	char *argv[4] = {name};
	int argc = 1;

	if (option != NULL)
		argv[argc++] = (char *)(uintptr_t)option;
	argv[argc++] = (char *)(uintptr_t)file_of(0, a);
	argv[argc++] = (char *)(uintptr_t)file_of(1, b);
	return run(argc, argv);
}

static void has(const char *part)
{
	if (strstr(said, part) == NULL)
		fail_msg("'%s' is not in:\n%s", part, said);
}

static void has_not(const char *part)
{
	if (strstr(said, part) != NULL)
		fail_msg("'%s' is in:\n%s", part, said);
}

/* --- micro-benchmarks --- */

/* n repetitions of one benchmark, from `low` upwards in steps of 0.1. */
static const char *micro(char *to, size_t size, const char *context, double low, unsigned n)
{
	size_t at = (size_t)snprintf(to, size,
		"{\"context\": {\"date\": \"today\", \"host_name\": \"h\", \"load_avg\": [0.1, 0.2, 0.3], %s}, \"benchmarks\": [",
		context);

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(to + at, size - at,
			"%s{\"name\": \"x/manual_time\", \"run_name\": \"path/x/manual_time\", \"run_type\": \"iteration\", "
			"\"cycles\": 1000, \"net_cycles\": %.1f, \"ratio\": 2.5}",
			i > 0 ? "," : "", low + i / 10.0);
	snprintf(to + at, size - at,
		",{\"name\": \"x/manual_time_median\", \"run_name\": \"path/x/manual_time\", \"run_type\": \"aggregate\", "
		"\"cycles\": 7, \"net_cycles\": 7}]}");
	return to;
}

#define CONTEXT \
	"\"cpu\": \"C\", \"tsc_hz\": \"2450000000\", \"pages\": \"4k\", \"build\": \"release, gcc 12\""

static char texts[2][65536];

static void micro_benchmarks_are_compared_by_repetition(void **state)
{
	(void)state;
	micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 9);
	assert_int_equal(
		compare(NULL, texts[0], micro(texts[1], sizeof(texts[1]), CONTEXT, 110, 9)), 0);
	has("path/x ");
	has("9, 9        100.4        110.4   1.100");
	has("<0.0001 * higher");
	has("1 of 1 rows differ");
	assert_int_equal(compare(NULL, texts[1], texts[0]), 0);
	has("* lower");
	/* the same, but for a shift within their spread; 0.05, as equal ones would be ties */
	assert_int_equal(
		compare(NULL, texts[0], micro(texts[1], sizeof(texts[1]), CONTEXT, 100.1, 9)), 0);
	has("no difference: of 1 rows none");
	has_not("*");
	assert_int_equal(compare("--metric", "ratio", texts[0]), 2); /* two paths are needed */
}

static void metrics_can_be_chosen(void **state)
{
	struct gendoc d;
	char err[512];

	(void)state;
	file_of(0, micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 3));
	assert_int_equal(gendoc_load(&d, paths[0], "ratio", err, sizeof(err)), 0);
	assert_int_equal(d.n_series, 1);
	assert_int_equal(d.series[0].n, 3);
	assert_true(d.series[0].values[2] == 2.5);
	assert_string_equal(d.load, "0.10 0.20 0.30");
	gendoc_fini(&d);
	assert_int_equal(gendoc_load(&d, paths[0], "no_such", err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "no figure of the metric no_such"));
}

/* Four runs and four: each counts as its median, whatever its repetitions say. */
static void several_documents_count_as_a_figure_each(void **state)
{
	static char more[9][80], word[] = "with", name[] = "compare";
	char *argv[12] = {name};
	int argc = 1;
	FILE *f;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		snprintf(more[i], sizeof(more[i]), "%s/%u.json", folder, i);
		f = fopen(more[i], "w");
		assert_non_null(f);
		fputs(micro(texts[0], sizeof(texts[0]), CONTEXT, i < 4 ? 100 + i : 104 + i / 10.0,
			      9),
			f);
		fclose(f);
		if (i == 4)
			argv[argc++] = word;
		argv[argc++] = more[i];
	}
	assert_int_equal(run(argc, argv), 0);
	has("0.json and 3 more");
	has("4, 4        101.9        105.0   1.030");
	has("* higher");
	assert_int_equal(run(argc - 1, argv), 0); /* four and three */
	has("too few to conclude anything");
	assert_int_equal(run(4, argv), 2); /* no `with` */
	assert_int_equal(run(6, argv), 2); /* nothing behind it */
	f = fopen(more[5], "w");
	assert_non_null(f);
	fputs("{}", f);
	fclose(f);
	assert_int_equal(run(argc, argv), 1);
	has("5.json: schema");
	f = fopen(more[5], "w");
	assert_non_null(f);
	fputs(micro(texts[0], sizeof(texts[0]),
		      "\"cpu\": \"D\", \"tsc_hz\": \"2450000000\", \"pages\": \"4k\", \"build\": \"release, gcc 12\"",
		      100, 9),
		f);
	fclose(f);
	assert_int_equal(run(argc, argv), 1);
	has("machine.cpu");
	for (unsigned i = 0; i < 8; i++)
		unlink(more[i]);
}

static void few_samples_say_nothing(void **state)
{
	(void)state;
	micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 3);
	assert_int_equal(
		compare(NULL, texts[0], micro(texts[1], sizeof(texts[1]), CONTEXT, 900, 3)), 0);
	has("too few to conclude anything");
	has("too few samples in 1 rows");
	has_not("*");
	micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 4);
	assert_int_equal(
		compare(NULL, texts[0], micro(texts[1], sizeof(texts[1]), CONTEXT, 900, 4)), 0);
	has("* higher");
}

static void other_machines_and_builds_are_refused(void **state)
{
	static const struct {
		const char *context, *name;
		bool is_vital;
	} rows[] = {
		{"\"cpu\": \"D\", \"tsc_hz\": \"2450000000\", \"pages\": \"4k\", \"build\": \"release, gcc 12\"",
			"machine.cpu", true},
		{"\"cpu\": \"C\", \"tsc_hz\": \"2100000000\", \"pages\": \"4k\", \"build\": \"release, gcc 12\"",
			"tsc, MHz", true},
		{"\"cpu\": \"C\", \"tsc_hz\": \"2450000000\", \"pages\": \"2M\", \"build\": \"release, gcc 12\"",
			"pages", true},
		{"\"cpu\": \"C\", \"tsc_hz\": \"2450000000\", \"pages\": \"4k\", \"build\": \"debug, gcc 12\"",
			"build", true},
		{"\"cpu\": \"C\", \"tsc_hz\": \"2450000000\", \"pages\": \"4k\", \"build\": \"release, gcc 13\"",
			"compiler", false},
		{"\"cpu\": \"C\", \"tsc_hz\": \"2450000900\", \"pages\": \"4k\", \"build\": \"release, gcc 12\"",
			NULL, false},
	};

	(void)state;
	micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 9);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		micro(texts[1], sizeof(texts[1]), rows[i].context, 100.1, 9);
		assert_int_equal(compare(NULL, texts[0], texts[1]), rows[i].is_vital);
		if (rows[i].name != NULL)
			has(rows[i].name);
		else
			has_not("these differ");
		if (!rows[i].is_vital)
			continue;
		has("not compared; --anyway");
		has_not("path/x");
		assert_int_equal(compare("--anyway", texts[0], texts[1]), 0);
		has(rows[i].name);
		has("path/x");
	}
}

static void a_busy_machine_is_told(void **state)
{
	char *load;

	(void)state;
	micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 9);
	assert_int_equal(compare(NULL, texts[0], texts[0]), 0);
	has_not("busy");
	micro(texts[1], sizeof(texts[1]), CONTEXT, 100, 9);
	load = strstr(texts[1], "[0.1");
	assert_non_null(load);
	load[1] = '4';
	assert_int_equal(compare(NULL, texts[0], texts[1]), 0);
	has("b.json: load 4.10 0.20 0.30: the machine was busy");
}

static void failed_benchmarks_are_told(void **state)
{
	static const char one[] =
		"{\"context\": {" CONTEXT
		"}, \"benchmarks\": [{\"run_name\": \"bad/manual_time\", \"run_type\": \"iteration\", "
		"\"error_occurred\": true, \"error_message\": \"x\"}";
	char text[2048];

	(void)state;
	snprintf(text, sizeof(text), "%s]}", one);
	assert_int_equal(compare(NULL, text, text), 1);
	has("it holds no figure");
	snprintf(text, sizeof(text),
		"%s, {\"run_name\": \"good\", \"run_type\": \"iteration\", \"cycles\": 1}]}", one);
	assert_int_equal(compare(NULL, text, text), 0);
	has("1 runs of A failed");
}

/* --- millrace.bench/1 --- */

#define HEAD \
	"{\"schema\": \"millrace.bench/1\", \"time\": \"now\", \"error\": null, \"machine\": {\"cpu\": \"C\", \"load\": \"0.1 0.1 0.1\"}, " \
	"\"generator\": {\"version\": \"1\", \"build\": \"release, gcc 12\"}, "
#define LATENCY "\"latency_ns\": {\"p50\": 1000, \"p99\": 2000, \"p99_9\": 3000}"

static void searches_are_compared_by_repetition(void **state)
{
	char text[2][4096];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		size_t at = (size_t)snprintf(text[i], sizeof(text[i]),
			HEAD
			"\"figures\": {\"ndr\": {}}, \"config\": {\"size\": \"64\", \"seed\": %u}, \"searches\": [",
			i);

		for (unsigned k = 0; k < 5; k++)
			at += (size_t)snprintf(text[i] + at, sizeof(text[i]) - at,
				"%s{\"ndr\": {\"lower\": %u}, \"pdr\": {\"lower\": %u}}",
				k > 0 ? "," : "", 1000000 + k * 10, 2000000 + i * 1000 + k);
		snprintf(text[i] + at, sizeof(text[i]) - at,
			"], \"trials\": [{\"purpose\": \"latency\", \"verdict\": \"done\", \"share_of_pdr\": 0.5, " LATENCY
			", \"samples\": []}, {\"purpose\": \"search\", \"verdict\": \"done\", " LATENCY
			"}]}");
	}
	assert_int_equal(compare(NULL, text[0], text[1]), 0);
	has("NDR, /s");
	has("1.000 M      1.000 M   1.000");
	has("PDR, /s                                       5, 5      2.000 M      2.001 M");
	has("* higher");
	has("latency at 50 % of PDR, p99, us");
	has("1, 1        2.000        2.000   1.000   too few");
	has("config.seed"); /* noted */
}

static void a_lone_run_has_its_seconds(void **state)
{
	static const char text[] = HEAD
		"\"figures\": {\"received_rate\": {}}, \"config\": {}, \"searches\": [], \"trials\": [{\"purpose\": \"measure\", \"verdict\": \"done\", "
		"\"received_rate\": 100.5, " LATENCY
		", \"samples\": [{\"seconds\": 1.0, \"received\": 100, \"p99_ns\": 5000}, "
		"{\"seconds\": 2.0, \"received\": 250, \"p99_ns\": 6000}]}]}";
	const struct gendoc_series *s;
	struct gendoc d;
	char err[512];

	(void)state;
	assert_int_equal(gendoc_load(&d, file_of(0, text), NULL, err, sizeof(err)), 0);
	s = gendoc_find(&d, "received/s, of each second");
	assert_non_null(s);
	assert_true(s->is_within && s->n == 2 && s->values[0] == 100 && s->values[1] == 150);
	s = gendoc_find(&d, "received/s");
	assert_true(s != NULL && !s->is_within && s->n == 1);
	assert_null(gendoc_find(&d, "NDR, /s"));
	gendoc_fini(&d);
	assert_int_equal(compare(NULL, text, text), 0);
	has("of each second of one run");
}

static void other_work_is_refused(void **state)
{
	static const char form[] = HEAD
		"\"name\": \"%s\", \"sweep\": %s, \"figures\": {}, \"config\": {\"size\": \"%s\", \"deep\": {\"flows\": %s}}, "
		"\"searches\": [], \"trials\": [{\"purpose\": \"measure\", \"verdict\": \"done\", \"received_rate\": 1, " LATENCY
		", \"samples\": []}]}";
	static const struct {
		const char *name, *sweep, *size, *flows, *says;
	} rows[] = {{"a", "null", "64", "2", "config.deep.flows"},
		{"a", "null", "128", "1", "config.size"}, {"b", "null", "64", "1", "name"},
		{"a", "{\"of\": \"workers\", \"value\": 2}", "64", "1", "sweep.value"}};
	char first[2048], second[2048];

	(void)state;
	snprintf(first, sizeof(first), form, "a", "null", "64", "1");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(second, sizeof(second), form, rows[i].name, rows[i].sweep, rows[i].size,
			rows[i].flows);
		assert_int_equal(compare(NULL, first, second), 1);
		has(rows[i].says);
	}
}

/* --- millrace.compare/1 --- */

static void peers_are_compared_each_with_itself(void **state)
{
	char text[2][8192];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		size_t at = (size_t)snprintf(text[i], sizeof(text[i]),
			"{\"schema\": \"millrace.compare/1\", \"name\": \"m\", \"time\": \"now\", \"machine\": {\"cpu\": \"C\"}, "
			"\"build\": {\"version\": \"%u\", \"build\": \"release, gcc 12\"}, \"metrics\": {\"per_second\": {\"unit\": \"1/s\"}}, "
			"\"peers\": [",
			i);

		for (unsigned p = 0; p < 2; p++) {
			at += (size_t)snprintf(text[i] + at, sizeof(text[i]) - at,
				"%s{\"name\": \"%s\", \"version\": \"1\", \"samples\": [",
				p > 0 ? "," : "", p > 0 ? "redis" : "millrace");
			for (unsigned k = 0; k < 5; k++)
				at += (size_t)snprintf(text[i] + at, sizeof(text[i]) - at,
					"%s{\"round\": %u, \"test\": \"t\", \"per_second\": %u, \"pid\": 1, \"limits\": \"x\"}",
					k > 0 ? "," : "", k,
					1000 + k * 10 + (p == 0 ? i * 500 : i));
			at += (size_t)snprintf(text[i] + at, sizeof(text[i]) - at, "]}");
		}
		snprintf(text[i] + at, sizeof(text[i]) - at, "]}");
	}
	assert_int_equal(compare(NULL, text[0], text[1]), 0);
	has("millrace: t per_second, 1/s");
	has("redis: t per_second, 1/s");
	has("1 of 2 rows differ");
	has_not("pid");
	has("version"); /* noted */
	assert_int_equal(
		compare(NULL, text[0], micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 9)), 1);
	has("different schemas");
}

/* --- millrace.workers/1 --- */

static void workers_are_compared_by_their_number(void **state)
{
	char text[2][8192];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		size_t at = (size_t)snprintf(text[i], sizeof(text[i]),
			"{\"schema\": \"millrace.workers/1\", \"name\": \"get\", \"about\": \"a\", \"pages\": \"p\", \"time\": \"now\", "
			"\"machine\": {\"cpu\": \"C\"}, \"build\": {\"version\": \"1\", \"build\": \"release, gcc 12\"}, \"samples\": [");

		for (unsigned k = 0; k < 15; k++)
			at += (size_t)snprintf(text[i] + at, sizeof(text[i]) - at,
				"%s{\"workers\": %u, \"round\": %u, \"moved_only\": %s, \"per_second\": %u}",
				k > 0 ? "," : "", k % 3 == 0 ? 1 : 2, k,
				k % 3 == 2 ? "true" : "false",
				1000 + k + (k % 3 == 1 ? i * 500 : 0));
		snprintf(text[i] + at, sizeof(text[i]) - at, "]}");
	}
	assert_int_equal(compare(NULL, text[0], text[1]), 0);
	has("1 worker, /s");
	has("2 workers, /s");
	has("2 workers, frames moved only, /s");
	has("1 of 3 rows differ");
	memcpy(strstr(text[1], "\"p\""), "\"q\"", 3);
	assert_int_equal(compare(NULL, text[0], text[1]), 1);
}

/* --- what is none --- */

static void what_has_no_figures_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "not a whole JSON document"},
		{"hello", "not a whole JSON document"},
		{"{\"schema\": \"millrace.bench/1\", \"trials\": [{\"pur",
			"not a whole JSON document"},
		{"[]", "schema '' is none of"},
		{"{}", "schema '' is none of"},
		{"{\"schema\": 1}", "schema '' is none of"},
		{"{\"schema\": \"millrace.bench/2\"}", "schema 'millrace.bench/2' is none of"},
		{"{\"a\": 1, \"a\": 2}", "duplicate"},
		{"{\"schema\": \"millrace.bench/1\", \"figures\": null, \"error\": \"the generator was too slow\"}",
			"it holds no figure: the generator was too slow"},
		{"{\"schema\": \"millrace.bench/1\"}", "it holds no figure: it does not say why"},
		{HEAD "\"figures\": {}}", "'searches' should be a list and is missing"},
		{HEAD "\"figures\": {}, \"searches\": 1}",
			"'searches' should be a list and is none"},
		{HEAD "\"figures\": {}, \"searches\": [{\"ndr\": {}}], \"trials\": []}",
			"'lower' should be a number and is missing"},
		{HEAD "\"figures\": {}, \"searches\": [7], \"trials\": []}",
			"'lower' should be a number and is missing"},
		{HEAD "\"figures\": {}, \"searches\": [], \"trials\": []}", "it holds no figure"},
		{HEAD "\"figures\": {}, \"searches\": [], \"trials\": [{\"purpose\": \"measure\", \"verdict\": \"done\", \"received_rate\": \"7\"}]}",
			"'received_rate' should be a number and is none"},
		{HEAD "\"figures\": {}, \"searches\": [], \"trials\": [{\"purpose\": \"measure\", \"verdict\": \"too-slow\", \"received_rate\": 7}]}",
			"it holds no figure"},
		{"{\"schema\": \"millrace.compare/1\"}", "'peers' should be a list"},
		{"{\"schema\": \"millrace.compare/1\", \"peers\": [{}]}", "a peer has no name"},
		{"{\"schema\": \"millrace.compare/1\", \"peers\": [{\"name\": \"x\", \"samples\": [1]}]}",
			"a sample of x is no object"},
		{"{\"schema\": \"millrace.compare/1\", \"peers\": []}", "it holds no figure"},
		{"{\"schema\": \"millrace.workers/1\"}", "'samples' should be a list"},
		{"{\"schema\": \"millrace.workers/1\", \"samples\": [{\"workers\": 1}]}",
			"'per_second' should be a number and is missing"},
		{"{\"schema\": \"millrace.workers/1\", \"samples\": []}", "it holds no figure"},
		{"{\"context\": {}, \"benchmarks\": []}", "not our benchmarks"},
		{"{\"context\": {" CONTEXT "}, \"benchmarks\": []}", "it holds no figure"},
	};
	struct gendoc d;
	char err[512];

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(
			gendoc_load(&d, file_of(0, rows[i].text), NULL, err, sizeof(err)), -EINVAL);
		if (strstr(err, rows[i].says) == NULL)
			fail_msg("%s: says '%s'", rows[i].text, err);
	}
	assert_int_equal(gendoc_load(&d, "/no/such/file", NULL, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "No such file"));
	assert_int_equal(compare(NULL, "{}", "{}"), 1);
	has("a.json: schema");
}

/* A document that is cut off anywhere is an error, and nothing worse. */
static void every_piece_of_a_document_is_refused(void **state)
{
	struct gendoc d;
	char err[512];
	size_t len;

	(void)state;
	micro(texts[0], sizeof(texts[0]), CONTEXT, 100, 2);
	len = strlen(texts[0]);
	for (size_t n = 0; n < len; n++) {
		snprintf(texts[1], n + 1, "%s", texts[0]);
		assert_int_equal(
			gendoc_load(&d, file_of(0, texts[1]), NULL, err, sizeof(err)), -EINVAL);
	}
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/said", folder);
	unlink(path);
	unlink(paths[0]);
	unlink(paths[1]);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(micro_benchmarks_are_compared_by_repetition),
		cmocka_unit_test(metrics_can_be_chosen),
		cmocka_unit_test(several_documents_count_as_a_figure_each),
		cmocka_unit_test(few_samples_say_nothing),
		cmocka_unit_test(other_machines_and_builds_are_refused),
		cmocka_unit_test(a_busy_machine_is_told),
		cmocka_unit_test(failed_benchmarks_are_told),
		cmocka_unit_test(searches_are_compared_by_repetition),
		cmocka_unit_test(a_lone_run_has_its_seconds),
		cmocka_unit_test(other_work_is_refused),
		cmocka_unit_test(peers_are_compared_each_with_itself),
		cmocka_unit_test(workers_are_compared_by_their_number),
		cmocka_unit_test(what_has_no_figures_is_refused_with_a_reason),
		cmocka_unit_test(every_piece_of_a_document_is_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
