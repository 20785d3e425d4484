/* SPDX-License-Identifier: BSD-3-Clause */
/* Allow and deny prefixes against the longest match looked up one by one, where answers change and anywhere. */
#include "lb/acl.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#define N_MAX 400u

struct list {
	struct mr_acl of[N_MAX];
	const struct mr_acl *ptrs[N_MAX];
	unsigned n;
};

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void mask(uint8_t ip[16], unsigned len)
{
	for (unsigned i = len; i < 128; i++)
		ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static bool is_in(const struct mr_acl *a, const uint8_t ip[16])
{
	uint8_t net[16];

	memcpy(net, ip, 16);
	mask(net, a->prefix_len);
	return memcmp(net, a->ip.bytes, 16) == 0;
}

static bool naive(const struct list *l, const uint8_t ip[16])
{
	const struct mr_acl *best = NULL;
	bool has_allow = false;

	for (unsigned i = 0; i < l->n; i++) {
		has_allow |= l->of[i].action == MR_ACL_ALLOW;
		if (is_in(&l->of[i], ip)
			&& (best == NULL || best->prefix_len < l->of[i].prefix_len))
			best = &l->of[i];
	}
	return best != NULL ? best->action == MR_ACL_ALLOW : !has_allow;
}

/* One more or one less, from the last byte on. */
static void step(uint8_t *ip, unsigned n_bytes, int by)
{
	for (unsigned i = n_bytes; i-- > 0;) {
		ip[i] = (uint8_t)(ip[i] + by);
		if (ip[i] != (by > 0 ? 0 : 0xff))
			return;
	}
}

static struct acl *build(struct list *l, uint8_t family)
{
	struct acl *a = NULL;

	for (unsigned i = 0; i < l->n; i++)
		l->ptrs[i] = &l->of[i];
	assert_int_equal(acl_create(&a, family, l->ptrs, l->n), 0);
	return a;
}

static void add(struct list *l, const char *ip, unsigned len, uint8_t action)
{
	struct mr_acl *a = &l->of[l->n++];

	memset(a, 0, sizeof(*a));
	assert_int_equal(mr_ip_parse(&a->ip, ip), 0);
	a->prefix_len = (uint8_t)len;
	a->action = action;
}

/* The first and the last address of each prefix and their neighbours: an answer changes nowhere else. */
static void check_edges(const struct acl *a, const struct list *l, uint8_t family)
{
	const unsigned n_bytes = family == 4 ? 4 : 16;

	for (unsigned i = 0; i < l->n; i++) {
		uint8_t ip[4][16];

		memcpy(ip[0], l->of[i].ip.bytes, 16);
		memcpy(ip[1], ip[0], 16);
		step(ip[1], n_bytes, -1);
		memcpy(ip[2], ip[0], 16);
		for (unsigned k = l->of[i].prefix_len; k < 8 * n_bytes; k++)
			ip[2][k / 8] |= (uint8_t)(0x80 >> k % 8);
		memcpy(ip[3], ip[2], 16);
		step(ip[3], n_bytes, 1);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(acl_allows(a, ip[k]), naive(l, ip[k]));
	}
}

static void fill_random(struct list *l, uint8_t family, unsigned n, unsigned spread_bits)
{
	const unsigned n_bits = family == 4 ? 32 : 128;

	l->n = 0;
	while (l->n < n) {
		struct mr_acl *a = &l->of[l->n];
		bool is_twice = false;
		uint64_t bits[2] = {draw(), draw()};

		memset(a, 0, sizeof(*a));
		a->ip.family = family;
		memcpy(a->ip.bytes, bits, n_bits / 8);
		/* few addresses, so that prefixes nest and touch; all ones half of the time */
		for (unsigned k = 0; k + spread_bits / 8 < n_bits / 8; k++)
			a->ip.bytes[k] = draw() % 2 ? 0xff : 0;
		a->prefix_len = (uint8_t)(draw() % (n_bits + 1));
		a->action = draw() % 2 ? MR_ACL_ALLOW : MR_ACL_DENY;
		mask(a->ip.bytes, a->prefix_len);
		for (unsigned i = 0; i < l->n; i++)
			is_twice |= l->of[i].prefix_len == a->prefix_len
				&& mr_ip_equal(&l->of[i].ip, &a->ip);
		l->n += !is_twice;
	}
}

static void random_lists_agree_with_the_longest_match(void **state)
{
	static struct list l;

	(void)state;
	seed = 29;
	for (unsigned round = 0; round < 300; round++) {
		const uint8_t family = round % 2 ? 4 : 6;
		struct acl *a;

		fill_random(&l, family, round % 10 == 0 ? N_MAX / 4 : 1 + draw() % 24,
			8 * (1 + draw() % (family == 4 ? 4 : 16)));
		a = build(&l, family);
		check_edges(a, &l, family);
		for (unsigned i = 0; i < 100; i++) {
			uint8_t ip[16] = {0};
			uint64_t bits[2] = {draw(), draw()};

			memcpy(ip, bits, family == 4 ? 4 : 16);
			assert_int_equal(acl_allows(a, ip), naive(&l, ip));
		}
		acl_put(&a);
		assert_null(a);
	}
}

struct row {
	const char *ip;
	bool is_allowed;
};

static void assert_rows(struct list *l, uint8_t family, const struct row *rows, unsigned n)
{
	struct acl *a = build(l, family);

	for (unsigned i = 0; i < n; i++) {
		struct mr_ip ip;

		assert_int_equal(mr_ip_parse(&ip, rows[i].ip), 0);
		if (acl_allows(a, ip.bytes) != rows[i].is_allowed)
			fail_msg("%s", rows[i].ip);
	}
	check_edges(a, l, family);
	acl_put(&a);
}

#define ROWS(l, family, ...) \
	do { \
		static const struct row rows_[] = {__VA_ARGS__}; \
		assert_rows(l, family, rows_, sizeof(rows_) / sizeof(rows_[0])); \
	} while (0)

static void the_ends_of_the_address_space(void **state)
{
	static struct list l;

	(void)state;
	l.n = 0;
	add(&l, "0.0.0.0", 0, MR_ACL_ALLOW);
	ROWS(&l, 4, {"0.0.0.0", true}, {"255.255.255.255", true});
	add(&l, "255.255.255.255", 32, MR_ACL_DENY);
	add(&l, "0.0.0.0", 32, MR_ACL_DENY);
	ROWS(&l, 4, {"0.0.0.0", false}, {"0.0.0.1", true}, {"255.255.255.254", true},
		{"255.255.255.255", false});
	l.n = 0;
	add(&l, "128.0.0.0", 1, MR_ACL_ALLOW);
	ROWS(&l, 4, {"127.255.255.255", false}, {"128.0.0.0", true}, {"255.255.255.255", true});
	l.n = 0;
	add(&l, "::", 0, MR_ACL_DENY);
	ROWS(&l, 6, {"::", false}, {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false});
	add(&l, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128, MR_ACL_ALLOW);
	add(&l, "::", 128, MR_ACL_ALLOW);
	ROWS(&l, 6, {"::", true}, {"::1", false},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", false},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true});
	l.n = 0;
	add(&l, "2001:db8::", 64, MR_ACL_ALLOW); /* a bound that only the low half tells */
	ROWS(&l, 6, {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false}, {"2001:db8::", true},
		{"2001:db8::ffff:ffff:ffff:ffff", true}, {"2001:db8:0:1::", false});
}

static void neighbours_and_nesting(void **state)
{
	static struct list l;

	(void)state;
	l.n = 0;
	add(&l, "10.0.0.0", 25, MR_ACL_ALLOW);
	add(&l, "10.0.0.128", 25, MR_ACL_ALLOW);
	add(&l, "10.0.1.0", 24, MR_ACL_DENY);
	add(&l, "10.0.2.0", 24, MR_ACL_ALLOW);
	ROWS(&l, 4, {"9.255.255.255", false}, {"10.0.0.127", true}, {"10.0.0.128", true},
		{"10.0.0.255", true}, {"10.0.1.0", false}, {"10.0.1.255", false},
		{"10.0.2.0", true}, {"10.0.3.0", false});
	l.n = 0;
	for (unsigned len = 0; len <= 32; len++) /* as deep as it goes, all with one end */
		add(&l, len == 0 ? "0.0.0.0" : "255.255.255.255", len, len % 2 + 1);
	for (unsigned i = 0; i < l.n; i++)
		mask(l.of[i].ip.bytes, l.of[i].prefix_len);
	ROWS(&l, 4, {"127.0.0.0", true}, {"128.0.0.0", false}, {"255.255.255.255", true});
	l.n = 0;
	for (unsigned len = 0; len <= 128; len++) /* and with one beginning */
		add(&l, "::", len, len % 2 + 1);
	ROWS(&l, 6, {"::", true}, {"::1", false}, {"::2", true}, {"8000::", true});
}

static void what_matches_nothing(void **state)
{
	static struct list l;

	(void)state;
	l.n = 0;
	add(&l, "10.1.0.0", 16, MR_ACL_DENY);
	ROWS(&l, 4, {"10.1.2.3", false}, {"192.0.2.1", true});
	add(&l, "10.1.2.0", 24, MR_ACL_ALLOW);
	ROWS(&l, 4, {"10.1.2.3", true}, {"10.1.3.3", false}, {"192.0.2.1", false});
}

static void a_prefix_given_twice_is_refused(void **state)
{
	static struct list l;
	struct acl *a = NULL;

	(void)state;
	l.n = 0;
	add(&l, "10.1.0.0", 16, MR_ACL_DENY);
	add(&l, "10.1.0.0", 17, MR_ACL_ALLOW);
	add(&l, "10.1.0.0", 16, MR_ACL_ALLOW);
	for (unsigned i = 0; i < l.n; i++)
		l.ptrs[i] = &l.of[i];
	assert_int_equal(acl_create(&a, 4, l.ptrs, 3), -EEXIST);
	assert_null(a);
	assert_int_equal(acl_create(&a, 4, l.ptrs, 2), 0);
	assert_true(acl_is_of(a, l.ptrs, 2));
	assert_false(acl_is_of(a, l.ptrs, 1));
	assert_ptr_equal(acl_get(a), a);
	l.of[1].action = MR_ACL_DENY;
	assert_false(acl_is_of(a, l.ptrs, 2));
	for (unsigned i = 0; i < 2; i++) {
		struct acl *user = a;

		acl_put(&user);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lists_agree_with_the_longest_match),
		cmocka_unit_test(the_ends_of_the_address_space),
		cmocka_unit_test(neighbours_and_nesting),
		cmocka_unit_test(what_matches_nothing),
		cmocka_unit_test(a_prefix_given_twice_is_refused),
	};

	return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}
