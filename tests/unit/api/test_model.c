/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration model against a naive one: random puts and deletes on copies of copies; order, counts,
 * look-ups and the digest must agree after every step. */
#include "api/model.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#define N_KEYS 60

static struct mr_object make(unsigned k, unsigned version)
{
	struct mr_object o = {.type = k % 2 ? MR_OBJ_SERVICE : MR_OBJ_BACKEND};

	if (o.type == MR_OBJ_SERVICE) {
		snprintf(o.service.name, sizeof(o.service.name), "s%u", k);
		o.service.port = (uint16_t)version;
	} else {
		snprintf(o.backend.service, sizeof(o.backend.service), "s%u", k % 7);
		snprintf(o.backend.name, sizeof(o.backend.name), "b%u", k);
		o.backend.port = (uint16_t)version;
	}
	return o;
}

struct naive {
	unsigned version[N_KEYS]; /* 0 = absent */
};

static void check(const struct model *m, const struct naive *n)
{
	struct mr_digest d = {0, 0};
	unsigned n_there = 0, first, n_services;

	for (unsigned k = 0; k < N_KEYS; k++) {
		const struct mr_object o = make(k, n->version[k]);

		if (n->version[k] == 0)
			continue;
		n_there++;
		mr_digest_add(&d, &o);
	}
	assert_int_equal(model_size(m), n_there);
	assert_memory_equal(model_digest(m), &d, sizeof(d));
	n_services = model_count(m, MR_OBJ_SERVICE, &first);
	for (unsigned i = 0; i < n_services; i++)
		assert_int_equal(model_at(m, first + i)->type, MR_OBJ_SERVICE);
	for (unsigned i = 1; i < model_size(m); i++)
		assert_true(model_at(m, i - 1)->type <= model_at(m, i)->type);
}

static void random_changes_agree_with_a_naive_model(void **state)
{
	struct naive naive = {0}, kept_naive = {0};
	struct model *m = NULL, *kept = NULL;

	(void)state;
	srand(7);
	assert_int_equal(model_create(&m), 0);
	assert_int_equal(model_copy(&kept, m), 0);
	for (unsigned step = 0; step < 20000; step++) {
		const unsigned k = (unsigned)rand() % N_KEYS;
		const unsigned version = (unsigned)rand() % 5;
		const struct mr_object o = make(k, version);
		char key[MR_TEXT_MAX];

		if (version != 0) {
			assert_int_equal(model_put(m, &o), 0);
		} else {
			const int want = naive.version[k] ? 0 : -ENOENT;

			assert_int_equal(
				model_del(m, mr_object_key_text(&o, key, sizeof(key))), want);
		}
		naive.version[k] = version;
		if (step % 97 == 0) { /* take a copy; the older copy must not have changed */
			check(kept, &kept_naive);
			model_destroy(&kept);
			assert_int_equal(model_copy(&kept, m), 0);
			kept_naive = naive;
		}
		check(m, &naive);
	}
	model_destroy(&kept);
	model_destroy(&m);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_agree_with_a_naive_model)};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
