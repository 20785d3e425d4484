/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Caches over generations: what they take of --cache-memory when one is prepared, given up, published and replaced, and that all of
 * it comes back; which cache goes on with what is in it and which begins anew; what is refused, and in which words; the
 * manager as a reader and writer of a cache.
 */
#include "base/keyhash.h"
#include "core/snapshot.h"
#include "eal.h"
#include "serve/serveconf.h"
#include "unit.h"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <errno.h>

#define WORKERS 2u
#define MB (1u << 20)
#define BUDGET (24u * MB)
#define MALLOC_BYTES 192u /* of DPDK, for each piece: head and alignment */

static struct cacheset *set;
static struct mr_error err;

static uint64_t heap_bytes(void)
{
	struct rte_malloc_socket_stats stats;

	assert_int_equal(rte_malloc_get_socket_stats(0, &stats), 0);
	return stats.heap_allocsz_bytes;
}

static void open_set(uint64_t bytes)
{
	const struct cacheset_params p = {
		.memory_bytes = bytes, .n_workers = WORKERS, .socket_id = SOCKET_ID_ANY};

	assert_int_equal(cacheset_create(&set, &p), 0);
}

static int setup(void **state)
{
	(void)state;
	open_set(BUDGET);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cacheset_destroy(&set);
	return 0;
}

static struct mr_cache spec_of(const char *name, uint64_t bytes)
{
	struct mr_cache c = {
		.memory_bytes = bytes, .eviction = MR_EVICTION_S3FIFO, .value_max = 4096};

	snprintf(c.name, sizeof(c.name), "%s", name);
	return c;
}

/* --- generations: caches, and one service of a cache if it is named --- */

static struct lb_service service;
static struct lb_service *services[] = {NULL, &service};

static int prepare(
	struct serve_conf **out, const struct mr_cache *caches, unsigned n, const char *served)
{
	const struct mr_acl allow = {
		.ip = {.family = 4, .bytes = {10}}, .prefix_len = 8, .action = MR_ACL_ALLOW};
	const struct mr_acl *list[] = {&allow};
	struct lb_conf lb = {.services = services, .n_services = served != NULL ? 2 : 1};
	const struct serve_spec spec = {
		.caches = caches, .n_caches = n, .lb = &lb, .n_workers = WORKERS};
	int rc;

	memset(&err, 0, sizeof(err));
	memset(&service, 0, sizeof(service));
	service.idx = 1;
	service.spec.mode = MR_MODE_CACHE;
	snprintf(service.spec.name, sizeof(service.spec.name), "sessions");
	snprintf(
		service.spec.cache, sizeof(service.spec.cache), "%s", served != NULL ? served : "");
	assert_int_equal(acl_create(&service.acl, 4, list, 1), 0);
	rc = serveconf_create(out, set, &spec, &err);
	acl_put(&service.acl);
	return rc;
}

static struct serve_conf *must_prepare(const struct mr_cache *caches, unsigned n)
{
	struct serve_conf *c = NULL;

	if (prepare(&c, caches, n, NULL) != 0)
		fail_msg("%s: %s", err.object, err.message);
	return c;
}

/* As api/apply.c does: the old one goes after its readers. */
static void replace(struct serve_conf **running, struct serve_conf *next)
{
	struct serve_conf *old = *running;

	serveconf_commit(next);
	*running = next;
	if (old != NULL)
		serveconf_destroy(&old, set);
}

static void store(struct cache *c, const char *key, const char *value)
{
	const struct kv_key k = kv_key_of(key, (uint32_t)strlen(key));
	const struct kv_store s = {
		.value = value, .value_len = (uint32_t)strlen(value), .mode = KV_SET};
	struct kv_writer *w = cacheset_enter(set, c);

	assert_int_equal(kv_store(w, &k, &s, NULL), KV_OK);
	cacheset_leave(set);
}

static bool has(struct cache *c, const char *key)
{
	const struct kv_key k = kv_key_of(key, (uint32_t)strlen(key));
	const struct kv_writer *w = cacheset_enter(set, c);
	const bool is_there = kv_get_peek(w, &k) != NULL;

	cacheset_leave(set);
	return is_there;
}

/* --- tests --- */

static void what_is_given_up_comes_back(void **state)
{
	const struct mr_cache two[] = {spec_of("hot", 8 * MB), spec_of("cold", 10 * MB)};
	struct serve_conf *c, *running = NULL;
	uint64_t before;

	(void)state;
	serveconf_destroy(
		&(struct serve_conf *){must_prepare(two, 2)}, set); /* what DPDK itself keeps */
	before = heap_bytes();
	for (unsigned i = 0; i < 50; i++) {
		c = must_prepare(two, 2);
		assert_int_equal(cacheset_memory_used(set), 18 * MB);
		serveconf_destroy(&c, set);
		assert_int_equal(cacheset_memory_used(set), 0);
		assert_int_equal(heap_bytes(), before);
	}
	replace(&running, must_prepare(two, 2));
	for (unsigned i = 0; i < 50; i++) { /* beside the one that runs: the same caches */
		c = must_prepare(two, 2);
		assert_ptr_equal(c->caches[0], running->caches[0]);
		assert_int_equal(cacheset_memory_used(set), 18 * MB);
		if (i % 2)
			serveconf_destroy(&c, set);
		else
			replace(&running, c);
	}
	replace(&running, must_prepare(two, 1));
	assert_int_equal(cacheset_memory_used(set), 8 * MB);
	replace(&running, must_prepare(NULL, 0));
	assert_int_equal(cacheset_memory_used(set), 0);
	assert_int_equal(heap_bytes(), before);
	serveconf_destroy(&running, set);
}

static void another_size_begins_anew_beside_the_old_one(void **state)
{
	struct mr_cache spec = spec_of("hot", 10 * MB);
	struct serve_conf *running = NULL, *next;

	(void)state;
	replace(&running, must_prepare(&spec, 1));
	store(running->caches[0], "k", "v");
	spec.memory_bytes = 12 * MB;
	next = must_prepare(&spec, 1);
	assert_int_equal(cacheset_memory_used(set), 22 * MB);
	assert_ptr_not_equal(next->caches[0], running->caches[0]);
	assert_true(has(running->caches[0], "k"));
	assert_false(has(next->caches[0], "k"));
	replace(&running, next);
	assert_int_equal(cacheset_memory_used(set), 12 * MB);
	spec.memory_bytes = 13 * MB; /* the two of them together are too much */
	assert_int_equal(prepare(&next, &spec, 1, NULL), -ENOSPC);
	assert_int_equal(err.code, MR_ERR_LIMIT);
	assert_string_equal(err.object, "cache/hot");
	assert_non_null(strstr(err.message, "13 MB wanted, 12 of 24 MB are left"));
	assert_non_null(strstr(err.message, "beside the one that is there"));
	assert_non_null(strstr(err.message, "--cache-memory"));
	assert_int_equal(cacheset_memory_used(set), 12 * MB);
	replace(&running, must_prepare(NULL, 0)); /* as it says: out first */
	replace(&running, must_prepare(&spec, 1));
	serveconf_destroy(&running, set);
	assert_int_equal(cacheset_memory_used(set), 0);
}

/* Each of them is another cache, but for times. */
static void what_changes_of_a_cache_decides(void **state)
{
	const struct mr_cache spec = spec_of("hot", 4 * MB);
	struct serve_conf *running = NULL;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct mr_cache other = spec;

		replace(&running, must_prepare(&spec, 1));
		store(running->caches[0], "k", "v");
		other.eviction = i == 0 ? MR_EVICTION_LRU : spec.eviction;
		other.value_max = i == 1 ? 4000 : spec.value_max;
		other.item_bytes = i == 2 ? 300 : spec.item_bytes;
		other.memory_bytes = i == 3 ? 5 * MB : spec.memory_bytes;
		snprintf(other.name, sizeof(other.name), i == 4 ? "cold" : "hot");
		other.lease_ms = i == 5 ? 100 : 0;
		other.early_pct = i == 6 ? 100 : 0;
		other.stale_s = i == 7 ? 100 : 0;
		replace(&running, must_prepare(&other, 1));
		assert_int_equal(has(running->caches[0], "k"), i >= 5);
		assert_memory_equal(&running->caches[0]->spec, &other, sizeof(other));
		replace(&running, must_prepare(NULL, 0));
	}
	serveconf_destroy(&running, set);
}

/* Times hold from publication on, not from preparation. */
static void what_is_only_prepared_changes_nothing(void **state)
{
	struct mr_cache spec = spec_of("hot", 4 * MB);
	struct serve_conf *running = NULL, *next;

	(void)state;
	replace(&running, must_prepare(&spec, 1));
	spec.stale_s = 30;
	next = must_prepare(&spec, 1);
	assert_int_equal(running->caches[0]->spec.stale_s, 0);
	serveconf_destroy(&next, set);
	assert_int_equal(running->caches[0]->spec.stale_s, 0);
	replace(&running, must_prepare(&spec, 1));
	assert_int_equal(running->caches[0]->spec.stale_s, 30);
	serveconf_destroy(&running, set);
}

static void a_service_has_a_cache_of_its_generation(void **state)
{
	const struct mr_cache two[] = {spec_of("cold", 4 * MB), spec_of("hot", 6 * MB)};
	struct serve_conf *running = NULL, *next = NULL;

	(void)state;
	assert_int_equal(prepare(&next, two, 2, "hot"), 0);
	assert_ptr_equal(next->services[1].cache, next->caches[1]);
	assert_null(next->services[0].cache);
	replace(&running, next);
	next = NULL;
	assert_int_equal(prepare(&next, two, 1, "hot"), -EINVAL); /* it goes, the service stays */
	assert_null(next);
	assert_string_equal(err.object, "service/sessions");
	assert_non_null(strstr(err.message, "there is no cache 'hot'"));
	assert_int_equal(cacheset_memory_used(set), 10 * MB);
	assert_non_null(serveconf_find(running, "hot"));
	serveconf_destroy(&running, set);
	assert_int_equal(cacheset_memory_used(set), 0);
}

static void all_of_a_generation_or_nothing(void **state)
{
	const struct mr_cache three[] = {
		spec_of("a", 8 * MB), spec_of("b", 8 * MB), spec_of("c", 9 * MB)};
	struct serve_conf *c = NULL;

	(void)state;
	assert_int_equal(prepare(&c, three, 3, NULL), -ENOSPC);
	assert_string_equal(err.object, "cache/c");
	assert_non_null(strstr(err.message, "9 MB wanted, 8 of 24 MB are left; lower memory"));
	assert_int_equal(cacheset_memory_used(set), 0);
}

static void without_the_option_there_can_be_none(void **state)
{
	const struct mr_cache spec = spec_of("hot", 4 * MB);
	struct serve_conf *c = NULL;

	cacheset_destroy(&set);
	open_set(0);
	assert_int_equal(prepare(&c, &spec, 1, NULL), -ENOSPC);
	assert_int_equal(err.code, MR_ERR_LIMIT);
	assert_non_null(strstr(err.message, "--cache-memory 5 or more"));
	assert_int_equal(prepare(&c, NULL, 0, NULL), 0);
	serveconf_destroy(&c, set);
}

static void values_have_to_fit(void **state)
{
	struct mr_cache spec = spec_of("hot", 16 * MB);
	struct serve_conf *c = NULL;
	unsigned long least_kb = 0;

	(void)state;
	spec.value_max = 0; /* a megabyte each, 32 of them at least */
	assert_int_equal(prepare(&c, &spec, 1, NULL), -EINVAL);
	assert_int_equal(err.code, MR_ERR_INVALID);
	assert_non_null(strstr(err.message, "1048300 bytes"));
	spec.value_max = 100000;
	spec.memory_bytes = 2 * MB;
	assert_int_equal(prepare(&c, &spec, 1, NULL), -EINVAL);
	assert_int_equal(sscanf(strstr(err.message, "at least"), "at least %lu KB", &least_kb), 1);
	assert_int_equal(cacheset_memory_used(set), 0);
	spec.memory_bytes = least_kb << 10; /* is enough */
	c = must_prepare(&spec, 1);
	serveconf_destroy(&c, set);
}

/* Of the engine, and of what workers note for people, whatever the sizes are. */
static void a_cache_takes_no_more_than_it_says(void **state)
{
	(void)state;
	for (unsigned policy = MR_EVICTION_FIFO; policy <= MR_EVICTION_SIEVE; policy++) {
		for (uint64_t bytes = 2 * MB; bytes <= BUDGET; bytes += 1777777) {
			struct mr_cache spec = spec_of("hot", bytes);
			const uint64_t before = heap_bytes();
			struct serve_conf *c;
			struct kv_usage usage;
			uint64_t taken;

			spec.eviction = (uint8_t)policy;
			spec.item_bytes = (uint32_t)(bytes % 500);
			c = must_prepare(&spec, 1);
			taken = heap_bytes() - before;
			if (taken > bytes + (2 + WORKERS) * MALLOC_BYTES)
				fail_msg("%lu bytes taken of %lu", (unsigned long)taken,
					(unsigned long)bytes);
			assert_int_equal(cacheset_memory_used(set), bytes);
			kv_usage(c->caches[0]->kv, &usage);
			assert_int_equal(usage.memory_bytes + WORKERS * CACHE_WATCH_BYTES, bytes);
			serveconf_destroy(&c, set);
		}
	}
}

/* What the manager has found stays until it leaves, and a worker finds what the manager has written. */
static void the_manager_is_a_reader_between_enter_and_leave(void **state)
{
	const struct mr_cache spec = spec_of("hot", 4 * MB);
	struct serve_conf *c = must_prepare(&spec, 1);
	struct rte_rcu_qsbr *readers = snapshot_items();
	struct kv_writer *worker = kv_writer_of(c->caches[0]->kv, 0);
	const struct kv_key key = kv_key_of("k", 1);
	struct kv_writer *w;
	uint64_t token;

	(void)state;
	snapshot_items_enter(0);
	kv_writer_begin(worker, 1, 0, 1000);
	store(c->caches[0], "k", "v");
	assert_non_null(kv_get_peek(worker, &key));
	w = cacheset_enter(set, c->caches[0]);
	assert_ptr_not_equal(w, worker);
	token = rte_rcu_qsbr_start(readers);
	snapshot_items_leave(0); /* the worker has nothing any more */
	assert_int_equal(rte_rcu_qsbr_check(readers, token, false), 0);
	cacheset_leave(set);
	assert_int_equal(rte_rcu_qsbr_check(readers, token, false), 1);
	token = rte_rcu_qsbr_start(readers); /* while it is away nobody waits for it */
	assert_int_equal(rte_rcu_qsbr_check(readers, token, false), 1);
	serveconf_destroy(&c, set);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_given_up_comes_back),
		TEST(another_size_begins_anew_beside_the_old_one),
		TEST(what_changes_of_a_cache_decides),
		TEST(what_is_only_prepared_changes_nothing),
		TEST(a_service_has_a_cache_of_its_generation),
		TEST(all_of_a_generation_or_nothing),
		TEST(without_the_option_there_can_be_none),
		TEST(values_have_to_fit),
		TEST(a_cache_takes_no_more_than_it_says),
		TEST(the_manager_is_a_reader_between_enter_and_leave),
	};
	int rc;

	(void)argc;
	if (eal_start(argv[0], 96) != 0)
		return 1;
	keyhash_init_seed(1);
	if (snapshot_items_create(WORKERS + 1) != 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snapshot_items_destroy();
	return rc;
}
