/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_state — what survives: the files of the state directory whatever is in them, the overrides and the
 * observed states read from them.
 */
#include "ctlfix.h"
#include "daemon/admin.h"
#include "daemon/desired.h"
#include "daemon/keep.h"
#include "daemon/observed.h"
#include "daemon/weight.h"
#include "lib/confreport.h"
#include "unit.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct conf_host host = {.secrets = CONF_SECRETS_NEED};

struct fix {
	char dir[64], state_dir[96];
	struct keep *keep;
	struct conf *conf;
};

static const char conf_text[] = "version: 1\n"
				"checks:\n"
				"  c: { type: tcp, rise: 2, fall: 3 }\n"
				"pools:\n"
				"  web:\n"
				"    check: c\n"
				"    backends:\n"
				"      - { name: a, ip: 10.2.0.11, port: 80 }\n"
				"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7 }\n"
				"  free:\n"
				"    backends: [{ name: a, ip: 10.2.0.13, port: 80 }]\n";

static const char conf_without_b[] = "version: 1\n"
				     "pools:\n"
				     "  web:\n"
				     "    backends: [{ name: a, ip: 10.2.0.11, port: 80 }]\n";

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	const char *what;

	assert_non_null(f);
	ctlfix_dir(f->dir);
	snprintf(f->state_dir, sizeof(f->state_dir), "%s/state", f->dir);
	assert_int_equal(keep_create(&f->keep, f->state_dir, &what), 0);
	f->conf = ctlfix_conf(conf_text);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	keep_destroy(&f->keep);
	conf_destroy(&f->conf);
	ctlfix_rm(f->dir);
	free(f);
	return 0;
}

/* Another run of the daemon. */
static void reopen(struct fix *f)
{
	const char *what;

	keep_destroy(&f->keep);
	assert_int_equal(keep_create(&f->keep, f->state_dir, &what), 0);
}

static mode_t mode_of(const struct fix *f, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", f->state_dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* --- files */

static void only_the_owner_and_the_group_see_the_state(void **state)
{
	struct fix *f = *state;

	assert_int_equal(mode_of(f, "."), 0750);
	assert_int_equal(keep_write(f->keep, "file", "x", 1), 0);
	assert_int_equal(mode_of(f, "file"), 0640);
}

static void directories_on_the_way_are_made(void **state)
{
	struct fix *f = *state;
	struct keep *k = NULL;
	char path[128];
	const char *what;

	snprintf(path, sizeof(path), "%s/a//b/c/", f->dir);
	assert_int_equal(keep_create(&k, path, &what), 0);
	keep_destroy(&k);
	snprintf(path, sizeof(path), "%s/file", f->dir);
	ctlfix_write(f->dir, "file", "");
	assert_int_equal(keep_create(&k, path, &what), -ENOTDIR);
	assert_string_equal(what, path);
	snprintf(path, sizeof(path), "%s/file/state", f->dir);
	assert_int_equal(keep_create(&k, path, &what), -ENOTDIR);
	assert_int_equal(keep_create(&k, "", &what), -ENAMETOOLONG);
	assert_null(k);
}

static void one_daemon_owns_the_directory(void **state)
{
	struct fix *f = *state;
	struct keep *second = NULL;
	const char *what;

	assert_int_equal(keep_create(&second, f->state_dir, &what), -EWOULDBLOCK);
	assert_null(second);
	reopen(f); /* given back at the end */
}

static void a_file_is_the_old_or_the_new_one(void **state)
{
	struct fix *f = *state;
	char *data, path[128];
	size_t len;

	assert_int_equal(keep_write(f->keep, "file", "old", 3), 0);
	/* the temporary file of a run that died: in the way of nothing */
	ctlfix_write(f->state_dir, ".file.tmp", "half of something much longer");
	assert_int_equal(keep_write(f->keep, "file", "new", 3), 0);
	assert_int_equal(keep_read(f->keep, "file", 100, &data, &len), 0);
	assert_int_equal(len, 3);
	assert_string_equal(data, "new");
	free(data);
	assert_null(ctlfix_read(f->state_dir, ".file.tmp"));
	/* what cannot be written leaves the old one */
	snprintf(path, sizeof(path), "%s/.file.tmp", f->state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(keep_write(f->keep, "file", "newer", 5), -EISDIR);
	assert_int_equal(keep_read(f->keep, "file", 100, &data, &len), 0);
	assert_string_equal(data, "new");
	free(data);
	rmdir(path);
}

/* Somebody who can write to the directory of the state must not make us write elsewhere. */
static void a_link_in_place_of_the_temporary_file_is_not_followed(void **state)
{
	struct fix *f = *state;
	char target[128], link[128], *text;

	ctlfix_write(f->dir, "victim", "precious");
	snprintf(target, sizeof(target), "%s/victim", f->dir);
	snprintf(link, sizeof(link), "%s/.file.tmp", f->state_dir);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(keep_write(f->keep, "file", "x", 1), -ELOOP);
	text = ctlfix_read(f->dir, "victim");
	assert_string_equal(text, "precious");
	free(text);
}

static void what_cannot_be_read_is_told_apart(void **state)
{
	struct fix *f = *state;
	char *data = NULL, path[128];
	size_t len;

	assert_int_equal(keep_read(f->keep, "none", 100, &data, &len), -ENOENT);
	assert_int_equal(keep_write(f->keep, "big", "0123456789", 10), 0);
	assert_int_equal(keep_read(f->keep, "big", 9, &data, &len), -EFBIG);
	snprintf(path, sizeof(path), "%s/dir", f->state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(keep_read(f->keep, "dir", 100, &data, &len), -EINVAL);
	assert_null(data);
}

static const char *const not_json[] = {"", " ", "{", "{\"a\": 1", "[]", "null", "\"text\"", "{} {}",
	"{\"a\": 1, \"a\": 2}", "\xff\xfe", "{\"generation\": 3, \"author\": \"al"};

static void what_is_no_json_object_is_moved_aside(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(not_json) / sizeof(not_json[0]); i++) {
		json_t *value = NULL;
		const char *log;
		char *text;

		ctlfix_write(f->state_dir, "x.json", not_json[i]);
		ctlfix_log_begin();
		assert_int_equal(keep_read_json(f->keep, "x.json", &value), -EBADMSG);
		log = ctlfix_log_end();
		assert_non_null(strstr(log, "x.json.corrupt"));
		assert_null(value);
		text = ctlfix_read(f->state_dir, "x.json.corrupt");
		assert_string_equal(text, not_json[i]);
		free(text);
		assert_int_equal(keep_read_json(f->keep, "x.json", &value), -ENOENT);
	}
}

/* --- overrides */

static struct admin_override order(const char *pool, const char *name, bool is_drained, int weight)
{
	struct admin_override o = {.author = "alice", .time_ms = 1700000000123};

	snprintf(o.pool, sizeof(o.pool), "%s", pool);
	snprintf(o.name, sizeof(o.name), "%s", name);
	o.is_drained = is_drained;
	o.has_weight = weight >= 0;
	o.weight = (uint16_t)(weight >= 0 ? weight : 0);
	return o;
}

static void set(struct admin *a, const char *pool, const char *name, bool is_drained, int weight)
{
	const struct admin_override o = order(pool, name, is_drained, weight);

	assert_int_equal(admin_set(a, &o), 0);
}

static void overrides_survive_a_restart(void **state)
{
	struct fix *f = *state;
	const struct admin_override *o;
	struct admin *a = NULL;

	assert_int_equal(admin_create(&a, f->keep), 0);
	set(a, "web", "a", true, -1);
	set(a, "web", "b", false, 0);
	set(a, "free", "a", true, 1000);
	set(a, "web", "a", true, 20); /* replaces */
	admin_destroy(&a);
	assert_null(a);
	reopen(f);
	assert_int_equal(admin_create(&a, f->keep), 0);
	o = admin_find(a, "web", "a");
	assert_non_null(o);
	assert_true(o->is_drained && o->has_weight);
	assert_int_equal(o->weight, 20);
	assert_string_equal(o->author, "alice");
	assert_int_equal(o->time_ms, 1700000000123);
	o = admin_find(a, "web", "b");
	assert_true(!o->is_drained && o->has_weight && o->weight == 0);
	assert_int_equal(admin_find(a, "free", "a")->weight, 1000);
	assert_null(admin_find(a, "free", "b"));
	/* taken back: gone, also from the file */
	set(a, "web", "b", false, -1);
	assert_null(admin_find(a, "web", "b"));
	admin_destroy(&a);
	reopen(f);
	assert_int_equal(admin_create(&a, f->keep), 0);
	assert_null(admin_find(a, "web", "b"));
	assert_non_null(admin_find(a, "web", "a"));
	admin_destroy(&a);
}

static void deadlines_survive_a_restart(void **state)
{
	struct fix *f = *state;
	struct admin_override o = order("web", "a", true, -1);
	struct admin *a = NULL;

	assert_int_equal(admin_create(&a, f->keep), 0);
	assert_int_equal(admin_next_deadline(a, 0), 0);
	o.deadline_ms = 1700000005000;
	assert_int_equal(admin_set(a, &o), 0);
	o = order("web", "b", true, -1);
	o.deadline_ms = 1700000003000;
	assert_int_equal(admin_set(a, &o), 0);
	set(a, "free", "a", true, -1); /* without one */
	admin_destroy(&a);
	reopen(f);
	assert_int_equal(admin_create(&a, f->keep), 0);
	assert_int_equal(admin_find(a, "web", "a")->deadline_ms, 1700000005000);
	assert_int_equal(admin_next_deadline(a, 1700000002999), 1700000003000);
	assert_int_equal(admin_next_deadline(a, 1700000003000), 1700000005000);
	assert_int_equal(admin_next_deadline(a, 1700000005000), 0);
	admin_destroy(&a);
}

static void an_order_that_cannot_be_saved_is_not_given(void **state)
{
	struct fix *f = *state;
	const struct admin_override drain = order("web", "b", true, -1);
	const struct admin_override back = order("web", "a", false, -1);
	struct admin *a = NULL;
	char path[128];

	assert_int_equal(admin_create(&a, f->keep), 0);
	set(a, "web", "a", true, -1);
	snprintf(path, sizeof(path), "%s/.overrides.json.tmp", f->state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(admin_set(a, &drain), -EISDIR);
	assert_int_equal(admin_set(a, &back), -EISDIR);
	assert_null(admin_find(a, "web", "b"));
	assert_true(admin_find(a, "web", "a")->is_drained);
	rmdir(path);
	admin_destroy(&a);
}

/* README: an override goes when its backend leaves the configuration, and only then. */
static void an_override_goes_with_its_backend(void **state)
{
	struct fix *f = *state;
	struct conf *less = ctlfix_conf(conf_without_b);
	struct admin *a = NULL;

	assert_int_equal(admin_create(&a, f->keep), 0);
	set(a, "web", "a", true, -1);
	set(a, "web", "b", true, -1);
	set(a, "free", "a", true, -1);
	assert_int_equal(admin_prune(a, f->conf), 0);
	assert_int_equal(admin_prune(a, less), 2);
	assert_int_equal(admin_prune(a, less), 0);
	admin_destroy(&a);
	reopen(f);
	assert_int_equal(admin_create(&a, f->keep), 0);
	assert_non_null(admin_find(a, "web", "a"));
	assert_null(admin_find(a, "web", "b"));
	assert_null(admin_find(a, "free", "a"));
	admin_destroy(&a);
	conf_destroy(&less);
}

#define GOOD \
	"{\"pool\": \"web\", \"name\": \"a\", \"drained\": true, \"weight\": null, " \
	"\"author\": \"bob\", \"time_ms\": 5}"

static const struct {
	const char *text;
	int rc;
	bool has_good;
} override_files[] = {
	{"{\"overrides\": []}", 0, false},
	{"{\"overrides\": [" GOOD "]}", 0, true},
	{"{\"overrides\": [" GOOD "], \"newer\": 1}", 0, true},
	{"{\"overrides\": [" GOOD, -EBADMSG, false},
	{"{}", -EBADMSG, false},
	{"{\"overrides\": {}}", -EBADMSG, false},
	{"{\"overrides\": [1, " GOOD "]}", -EBADMSG, true},
	{"{\"overrides\": [{\"pool\": \"web\"}, " GOOD "]}", -EBADMSG, true},
	{"{\"overrides\": [" GOOD ", {\"pool\": \"web\", \"name\": \"b\", \"drained\": 1, "
	 "\"weight\": null, \"author\": \"x\", \"time_ms\": 5}]}",
		-EBADMSG, true},
	{"{\"overrides\": [" GOOD ", {\"pool\": \"web\", \"name\": \"b\", \"drained\": true, "
	 "\"weight\": 1001, \"author\": \"x\", \"time_ms\": 5}]}",
		-EBADMSG, true},
	{"{\"overrides\": [" GOOD ", {\"pool\": \"web\", \"name\": \"b\", \"drained\": true, "
	 "\"weight\": -1, \"author\": \"x\", \"time_ms\": 5}]}",
		-EBADMSG, true},
	{"{\"overrides\": [" GOOD ", {\"pool\": \"web\", \"name\": \"b\", \"drained\": true, "
	 "\"weight\": \"7\", \"author\": \"x\", \"time_ms\": 5}]}",
		-EBADMSG, true},
	{"", -EBADMSG, false},
};

/* Whatever is in the file: what is good of it counts, and that something was lost is said. */
static void a_damaged_overrides_file_is_survived(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(override_files) / sizeof(override_files[0]); i++) {
		const struct admin_override *o;
		struct admin *a = NULL;
		char *aside;

		ctlfix_write(f->state_dir, "overrides.json", override_files[i].text);
		ctlfix_log_begin();
		assert_int_equal(admin_create(&a, f->keep), override_files[i].rc);
		ctlfix_log_end();
		assert_non_null(a);
		o = admin_find(a, "web", "a");
		assert_int_equal(o != NULL && o->is_drained, override_files[i].has_good);
		assert_null(admin_find(a, "web", "b"));
		/* what did not count can still be looked at, also after the next order */
		set(a, "free", "a", true, -1);
		aside = ctlfix_read(f->state_dir, "overrides.json.corrupt");
		assert_int_equal(aside != NULL, override_files[i].rc != 0);
		if (aside != NULL) {
			char path[160];

			assert_string_equal(aside, override_files[i].text);
			snprintf(path, sizeof(path), "%s/overrides.json.corrupt", f->state_dir);
			unlink(path);
		}
		free(aside);
		admin_destroy(&a);
	}
}

/* --- the applied configuration */

static void load(struct fix *f, struct desired *d, uint64_t generation, const char *text)
{
	struct confreport *report = NULL;

	assert_int_equal(desired_load(d, f->keep, &host, &report), 0);
	confreport_destroy(&report);
	assert_non_null(d->conf);
	assert_int_equal(d->generation, generation);
	assert_string_equal(d->text, text);
	assert_int_equal(d->text_len, strlen(text));
}

static struct desired draft(const char *text, uint64_t generation)
{
	struct desired d = {.text = strdup(text),
		.text_len = strlen(text),
		.conf = ctlfix_conf(text),
		.generation = generation,
		.time_ms = 1700000000123,
		.name = "new.yaml",
		.author = "alice",
		.comment = "because"};

	return d;
}

static void the_applied_configuration_survives_byte_for_byte(void **state)
{
	struct fix *f = *state;
	struct desired d, to = draft(conf_text, 41);

	load(f, &d, 0, "version: 1\n"); /* nothing was applied yet */
	assert_int_equal(desired_commit(&d, f->keep, &to), 0);
	assert_null(to.conf);
	desired_fini(&d);
	reopen(f);
	load(f, &d, 41, conf_text);
	assert_string_equal(d.name, "new.yaml");
	assert_string_equal(d.author, "alice");
	assert_string_equal(d.comment, "because");
	assert_int_equal(d.time_ms, 1700000000123);
	desired_fini(&d);
}

/* Neither of the two files can be written: after a restart it is all as it was. */
static void a_configuration_that_cannot_be_saved_leaves_the_saved_one(void **state)
{
	static const char *const in_the_way[] = {".config.yaml.tmp", ".generation.json.tmp"};
	struct fix *f = *state;
	struct desired d, to = draft(conf_text, 1);

	load(f, &d, 0, "version: 1\n");
	assert_int_equal(desired_commit(&d, f->keep, &to), 0);
	for (size_t i = 0; i < 2; i++) {
		char path[160];

		to = draft(conf_without_b, 2);
		snprintf(path, sizeof(path), "%s/%s", f->state_dir, in_the_way[i]);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_int_equal(desired_commit(&d, f->keep, &to), -EISDIR);
		assert_string_equal(d.text, conf_text);
		assert_string_equal(to.text, conf_without_b); /* still the caller's */
		desired_fini(&to);
		desired_fini(&d);
		reopen(f);
		load(f, &d, 1, conf_text);
		assert_int_equal(rmdir(path), 0);
	}
	desired_fini(&d);
}

/* The number is lost, what operators want is not. */
static void a_lost_generation_number_is_survived(void **state)
{
	static const char *const texts[] = {NULL, "", "garbage", "[]", "{}",
		"{\"generation\": \"7\"}", "{\"generation\": -7}", "{\"author\": 3}"};
	struct fix *f = *state;
	struct desired d;

	ctlfix_write(f->state_dir, DESIRED_FILE, conf_text);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i] != NULL)
			ctlfix_write(f->state_dir, "generation.json", texts[i]);
		ctlfix_log_begin();
		load(f, &d, 1, conf_text);
		ctlfix_log_end();
		desired_fini(&d);
	}
}

static void a_damaged_configuration_is_refused_with_its_place(void **state)
{
	static const char *const texts[] = {"", "version: 1\nservices: {", "version: 2\n",
		"\xff\xff\xff", "version: 1\nchecks: { a: { type: tcp, rise: 0 } }\n"};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct confreport *report = NULL;
		struct desired d;

		ctlfix_write(f->state_dir, DESIRED_FILE, texts[i]);
		assert_int_equal(desired_load(&d, f->keep, &host, &report), -EINVAL);
		assert_non_null(report);
		assert_true(report->n_errors > 0);
		assert_int_equal(strncmp(report->items[0].text, "config.yaml:", 12), 0);
		assert_null(d.conf);
		confreport_destroy(&report);
	}
}

/* --- observed states */

static void observe(struct fix *f, struct observed **o, const struct conf *c)
{
	static const struct observed_time now = {1000, 500};

	assert_int_equal(observed_create(o, f->keep, &now), 0);
	assert_int_equal(observed_adapt(*o, c, 1000), 0);
}

static bool probe(struct observed_backend *b, const struct conf_check *check, bool is_pass)
{
	const struct observed_probe p = {.is_pass = is_pass,
		.result = is_pass ? "200 in 1 ms" : "refused",
		.latency_seconds = is_pass ? 0.001 : 0.5,
		.now = {2000, 700}};

	return observed_probe(b, check, &p);
}

/* README: a restart of the daemon never empties a service. */
static void observed_states_survive_a_restart(void **state)
{
	struct fix *f = *state;
	const struct conf_check *check = conf_find_check(f->conf, "c");
	struct observed *o = NULL;

	observe(f, &o, f->conf);
	assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_CHECKING);
	assert_int_equal(observed_at(o, 1, 0)->state, WEIGHT_UNCHECKED);
	assert_true(probe(observed_at(o, 0, 0), check, true));
	assert_int_equal(observed_save(o), 0);
	observed_destroy(&o);
	reopen(f);
	observe(f, &o, f->conf);
	assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_UP);
	assert_int_equal(observed_at(o, 0, 0)->since_ms, 2000);
	assert_string_equal(observed_at(o, 0, 0)->reason, "first check: 200 in 1 ms");
	assert_int_equal(observed_at(o, 0, 0)->passes, 0);
	assert_true(observed_at(o, 0, 0)->latency_seconds < 0);
	assert_int_equal(observed_at(o, 0, 1)->state, WEIGHT_CHECKING);
	observed_destroy(&o);
}

/* By the monotonic clock while the machine runs, whatever the other is set to; by that one if there is none
 * else, and it never makes a backend younger than now. */
static void how_long_a_backend_is_up_survives_a_restart(void **state)
{
	static const struct observed_time now = {.wall_ms = 7000, .mono_ms = 900};
	static const struct {
		const char *boot, *times; /* "mine": the one of this machine */
		int64_t risen_ms;
	} rows[] = {
		{NULL, "3000", 900 - 4000}, /* of a version that did not write it */
		{"\"\"", "3000, \"risen_ms\": 100", 900 - 4000},
		{"\"other\"", "3000, \"risen_ms\": 100", 900 - 4000},
		{"7", "3000, \"risen_ms\": 100", 900 - 4000},
		{"7", "7001", 900},
		{"mine", "3000, \"risen_ms\": 100", 100},
		{"mine", "9999999, \"risen_ms\": 100", 100},
		{"mine", "3000, \"risen_ms\": 901", 900},
		{"mine", "3000, \"risen_ms\": -5", -5},
		{"mine", "3000, \"risen_ms\": \"x\"", 900 - 4000},
		{"mine", "3000, \"risen_ms\": null", OBSERVED_LONG_AGO},
		{"\"other\"", "3000, \"risen_ms\": null", OBSERVED_LONG_AGO},
		{"mine", "3000, \"risen_ms\": -9223372036854775807", OBSERVED_LONG_AGO},
		{"7", "-9223372036854775807", OBSERVED_LONG_AGO},
	};
	struct fix *f = *state;
	struct observed *o = NULL;
	json_t *file, *item;
	char *saved, *boot;

	observe(f, &o, f->conf);
	assert_int_equal(observed_save(o), 0);
	observed_destroy(&o);
	saved = ctlfix_read(f->state_dir, "observed.json");
	file = json_loads(saved, 0, NULL);
	boot = strdup(json_string_value(json_object_get(file, "boot")));
	json_decref(file);
	free(saved);
	assert_true(strlen(boot) > 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const bool is_mine = rows[i].boot != NULL && strcmp(rows[i].boot, "mine") == 0;
		char text[512];

		snprintf(text, sizeof(text),
			"{\"boot\": %s%s%s, \"backends\": [{\"pool\": \"web\", \"name\": \"a\", "
			"\"state\": \"up\", \"reason\": \"r\", \"since_ms\": %s}]}",
			is_mine ? "\"" : "",
			is_mine                        ? boot
				: rows[i].boot != NULL ? rows[i].boot
						       : "null",
			is_mine ? "\"" : "", rows[i].times);
		ctlfix_write(f->state_dir, "observed.json", text);
		assert_int_equal(observed_create(&o, f->keep, &now), 0);
		assert_int_equal(observed_adapt(o, f->conf, now.wall_ms), 0);
		if (observed_at(o, 0, 0)->risen_ms != rows[i].risen_ms)
			fail_msg("row %zu: %lld", i, (long long)observed_at(o, 0, 0)->risen_ms);
		assert_int_equal(observed_save(o), 0); /* for the next */
		observed_destroy(&o);
		saved = ctlfix_read(f->state_dir, "observed.json");
		file = json_loads(saved, 0, NULL);
		item = json_object_get(
			json_array_get(json_object_get(file, "backends"), 0), "risen_ms");
		assert_int_equal(json_is_null(item), rows[i].risen_ms == OBSERVED_LONG_AGO);
		assert_true(json_is_null(item) || json_integer_value(item) == rows[i].risen_ms);
		json_decref(file);
		free(saved);
	}
	free(boot);
}

static void a_damaged_observed_file_is_survived(void **state)
{
#define UP_A \
	"{\"pool\": \"web\", \"name\": \"a\", \"state\": \"up\", \"reason\": \"r\", \"since_ms\": 1}"
	static const struct {
		const char *text;
		bool is_up;
	} files[] = {
		{"", false},
		{"{\"backends\": [" UP_A, false},
		{"{}", false},
		{"{\"backends\": 7}", false},
		{"{\"backends\": [" UP_A "]}", true},
		{"{\"backends\": [null, {}, {\"pool\": \"web\"}, " UP_A "]}", true},
		{"{\"backends\": [{\"pool\": \"web\", \"name\": \"b\", \"state\": \"rotten\", "
		 "\"reason\": \"r\", \"since_ms\": 1}, " UP_A "]}",
			true},
		{"{\"backends\": [{\"pool\": \"free\", \"name\": \"a\", \"state\": \"down\", "
		 "\"reason\": \"r\", \"since_ms\": 1}, {\"pool\": \"gone\", \"name\": \"a\", "
		 "\"state\": \"up\", \"reason\": \"r\", \"since_ms\": 1}, " UP_A "]}",
			true},
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct observed *o = NULL;

		ctlfix_write(f->state_dir, "observed.json", files[i].text);
		ctlfix_log_begin();
		observe(f, &o, f->conf);
		ctlfix_log_end();
		assert_int_equal(observed_at(o, 0, 0)->state == WEIGHT_UP, files[i].is_up);
		assert_int_equal(observed_at(o, 0, 1)->state, WEIGHT_CHECKING);
		assert_int_equal(observed_at(o, 1, 0)->state, WEIGHT_UNCHECKED);
		observed_destroy(&o);
	}
}

static void states_follow_their_backends_to_a_new_configuration(void **state)
{
	struct fix *f = *state;
	const struct conf_check *check = conf_find_check(f->conf, "c");
	struct conf *less = ctlfix_conf(conf_without_b);
	struct observed *o = NULL;

	observe(f, &o, f->conf);
	probe(observed_at(o, 0, 0), check, false);
	probe(observed_at(o, 0, 1), check, true);
	assert_int_equal(observed_adapt(o, f->conf, 3000), 0);
	assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_DOWN);
	assert_int_equal(observed_at(o, 0, 1)->state, WEIGHT_UP);
	/* without a check nothing is known; what is in use stays so under a new one; who left begins anew */
	assert_int_equal(observed_adapt(o, less, 3000), 0);
	assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_UNCHECKED);
	assert_int_equal(observed_adapt(o, f->conf, 4000), 0);
	assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_UP);
	assert_int_equal(observed_at(o, 0, 0)->since_ms, 4000);
	assert_int_equal(observed_at(o, 0, 0)->risen_ms, OBSERVED_LONG_AGO); /* no slow start */
	assert_int_equal(observed_at(o, 0, 1)->state, WEIGHT_CHECKING);
	assert_int_equal(observed_at(o, 0, 1)->since_ms, 4000);
	observed_destroy(&o);
	conf_destroy(&less);
}

/* Wherever it comes from; and another kind of check counts from nothing, but the same kind goes on. */
static void a_new_check_must_find_a_backend_down_before_it_is(void **state)
{
	static const struct {
		const char *was, *is; /* the line of pool free */
		unsigned n_failed;    /* before */
		unsigned n_more;      /* needed to bring it down after */
	} rows[] = {
		{"", "check: c", 0, 3},
		{"check: c", "check: other", 2, 3},
		{"check: c", "check: same", 2, 1},
		{"check: c", "check: c", 2, 1},
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *confs[2];
		struct observed *o = NULL;

		for (unsigned k = 0; k < 2; k++) {
			char text[512];

			snprintf(text, sizeof(text),
				"version: 1\nchecks:\n  c: { type: tcp }\n  same: { type: tcp }\n"
				"  other: { type: icmp }\npools:\n  free:\n    %s\n"
				"    backends: [{ name: a, ip: 10.2.0.13, port: 80 }]\n",
				k == 0 ? rows[i].was : rows[i].is);
			confs[k] = ctlfix_conf(text);
		}
		observe(f, &o, confs[0]);
		if (rows[i].was[0] != '\0')
			assert_true(probe(observed_at(o, 0, 0), &confs[0]->checks[0], true));
		for (unsigned n = 0; n < rows[i].n_failed; n++)
			assert_false(probe(observed_at(o, 0, 0), &confs[0]->checks[0], false));
		assert_int_equal(observed_adapt(o, confs[1], 3000), 0);
		assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_UP);
		for (unsigned n = 1; n < rows[i].n_more; n++)
			assert_false(probe(observed_at(o, 0, 0), &confs[1]->checks[0], false));
		assert_true(probe(observed_at(o, 0, 0), &confs[1]->checks[0], false));
		assert_int_equal(observed_at(o, 0, 0)->state, WEIGHT_DOWN);
		observed_destroy(&o);
		conf_destroy(&confs[0]);
		conf_destroy(&confs[1]);
	}
}

/* '+' and '-' are probes that pass and fail; the states after each. */
static const struct {
	uint16_t rise, fall;
	const char *probes, *states; /* u: up, d: down */
} runs[] = {
	{2, 3, "+", "u"}, /* the first of all decides at once … */
	{2, 3, "-", "d"}, /* … either way */
	{2, 3, "+--+--+---", "uuuuuuuuud"},
	{2, 3, "-+-+-++", "ddddddu"},
	{2, 3, "+---+-++", "uuuddddu"},
	{1, 1, "+-+-", "udud"},
	{5, 1, "+-+++++", "udddddu"},
	{1, 4, "-+----+", "duuuudu"},
	{100, 100, "+---", "uuuu"},
};

static void states_change_after_rise_or_fall_in_a_row(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		const struct conf_check check = {.rise = runs[i].rise, .fall = runs[i].fall};
		struct observed_backend *b;
		struct observed *o = NULL;
		char was = '\0';

		observe(f, &o, f->conf);
		b = observed_at(o, 0, 0);
		for (size_t k = 0; runs[i].probes[k] != '\0'; k++) {
			const bool is_pass = runs[i].probes[k] == '+';
			const bool has_changed = probe(b, &check, is_pass);
			const char is = b->state == WEIGHT_UP ? 'u' : 'd';

			assert_int_equal(is, runs[i].states[k]);
			assert_int_equal(has_changed, is != was);
			assert_true(is_pass ? b->failures == 0 : b->passes == 0);
			assert_true(b->state == WEIGHT_UP || b->state == WEIGHT_DOWN);
			was = is;
		}
		observed_destroy(&o);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_the_owner_and_the_group_see_the_state),
		TEST(directories_on_the_way_are_made),
		TEST(one_daemon_owns_the_directory),
		TEST(a_file_is_the_old_or_the_new_one),
		TEST(a_link_in_place_of_the_temporary_file_is_not_followed),
		TEST(what_cannot_be_read_is_told_apart),
		TEST(what_is_no_json_object_is_moved_aside),
		TEST(overrides_survive_a_restart),
		TEST(deadlines_survive_a_restart),
		TEST(an_order_that_cannot_be_saved_is_not_given),
		TEST(an_override_goes_with_its_backend),
		TEST(a_damaged_overrides_file_is_survived),
		TEST(the_applied_configuration_survives_byte_for_byte),
		TEST(a_configuration_that_cannot_be_saved_leaves_the_saved_one),
		TEST(a_lost_generation_number_is_survived),
		TEST(a_damaged_configuration_is_refused_with_its_place),
		TEST(observed_states_survive_a_restart),
		TEST(how_long_a_backend_is_up_survives_a_restart),
		TEST(a_damaged_observed_file_is_survived),
		TEST(states_follow_their_backends_to_a_new_configuration),
		TEST(a_new_check_must_find_a_backend_down_before_it_is),
		TEST(states_change_after_rise_or_fall_in_a_row),
	};

	umask(022);
	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
