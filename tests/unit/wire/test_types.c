/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses as text and bytes, and the names of enumerations. */
#include "unit.h"
#include "wirefix.h"

static void addresses_read_and_print(void **state)
{
	static const struct {
		const char *in, *out;
		uint8_t family;
		uint8_t bytes[16];
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", 4, {192, 0, 2, 1}},
		{"0.0.0.0", "0.0.0.0", 4, {0}},
		{"255.255.255.255", "255.255.255.255", 4, {255, 255, 255, 255}},
		{"::", "::", 6, {0}},
		{"2001:DB8:0:0::1", "2001:db8::1", 6,
			{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1", 6,
			{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}},
		{"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666",
			6,
			{0x20, 0x01, 0x0d, 0xb8, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44,
				0x55, 0x55, 0x66, 0x66}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[INET6_ADDRSTRLEN];
		struct mr_ip ip;

		memset(&ip, 0xee, sizeof(ip)); /* what IPv4 does not use must become 0 */
		assert_int_equal(mr_ip_parse(&ip, rows[i].in), 0);
		assert_int_equal(ip.family, rows[i].family);
		assert_memory_equal(ip.bytes, rows[i].bytes, 16);
		assert_int_equal(mr_ip_len(&ip), rows[i].family == 4 ? 4 : 16);
		assert_string_equal(mr_ip_text(&ip, text, sizeof(text)), rows[i].out);
	}
}

static void what_is_no_address_is_refused_and_changes_nothing(void **state)
{
	static const char *const rows[] = {"", "-", "192.0.2", "192.0.2.256", "192.0.2.1/24",
		" 192.0.2.1", "192.0.2.1 ", "192.0.02.1", "0x7f.1", "1", ":", ":::", "2001:db8",
		"2001:db8::1%eth0", "2001:db8::g", "[::1]", "1:2:3:4:5:6:7:8:9", "example.org"};
	struct mr_ip ip, was;

	(void)state;
	memset(&was, 0xee, sizeof(was));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ip = was;
		if (mr_ip_parse(&ip, rows[i]) != -1)
			fail_msg("'%s' was taken for an address", rows[i]);
		assert_memory_equal(&ip, &was, sizeof(ip));
	}
}

static void no_address_prints_as_a_dash(void **state)
{
	static const uint8_t families[] = {0, 1, 5, 7, 255};

	(void)state;
	for (unsigned i = 0; i < sizeof(families); i++) {
		const struct mr_ip ip = {.family = families[i], .bytes = {1, 2, 3, 4}};
		char text[INET6_ADDRSTRLEN];

		assert_int_equal(mr_ip_len(&ip), 0);
		assert_string_equal(mr_ip_text(&ip, text, sizeof(text)), "-");
	}
}

static void addresses_of_two_families_differ_even_when_their_bytes_do_not(void **state)
{
	struct mr_ip a = {.family = 4, .bytes = {192, 0, 2, 1}}, b = a;

	(void)state;
	assert_true(mr_ip_equal(&a, &b));
	b.family = 6;
	assert_false(mr_ip_equal(&a, &b));
	for (unsigned i = 0; i < 16; i++) {
		a = b;
		a.bytes[i] ^= 1;
		assert_false(mr_ip_equal(&a, &b));
	}
}

/* Values travel, names are typed by people: both must lead back, and nothing else to them. */
struct name {
	unsigned value;
	const char *text;
};

static void check_names(const struct name *rows, unsigned n, const char *(*name)(unsigned),
	int (*find)(const char *))
{
	for (unsigned i = 0; i < n; i++) {
		assert_string_equal(name(rows[i].value), rows[i].text);
		assert_int_equal(find(rows[i].text), rows[i].value);
		for (unsigned k = 0; k < i; k++) {
			assert_int_not_equal(rows[k].value, rows[i].value);
			assert_string_not_equal(rows[k].text, rows[i].text);
		}
	}
	for (unsigned v = 0; v < 70000; v++) {
		bool is_known = false;

		for (unsigned i = 0; i < n; i++)
			is_known |= rows[i].value == v;
		if (!is_known)
			assert_string_equal(name(v), "?");
	}
	assert_int_equal(find(""), -1);
	assert_int_equal(find("?"), -1);
}

#define NAME_ROW(sym, value, text) {value, text},
#define CHECK_NAMES(T, L) \
	{ \
		static const struct name rows[] = {L(NAME_ROW)}; \
		check_names(rows, sizeof(rows) / sizeof(rows[0]), mr_##T##_name, mr_##T##_find); \
	}

static void names_and_values_lead_to_each_other(void **state)
{
	(void)state;
	CHECK_NAMES(mode, MR_MODES)
	CHECK_NAMES(sched, MR_SCHEDS)
	CHECK_NAMES(hash, MR_HASHES)
	CHECK_NAMES(eviction, MR_EVICTIONS)
	CHECK_NAMES(backend_state, MR_BACKEND_STATES)
	CHECK_NAMES(proto, MR_PROTOS)
	CHECK_NAMES(conn_state, MR_CONN_STATES)
	CHECK_NAMES(neigh_state, MR_NEIGH_STATES)
	CHECK_NAMES(err, MR_ERRS)
	assert_int_equal(mr_mode_find("FULL-NAT"), -1);
	assert_int_equal(mr_mode_find("full-na"), -1);
	assert_int_equal(mr_mode_find("full-nat "), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_read_and_print),
		cmocka_unit_test(what_is_no_address_is_refused_and_changes_nothing),
		cmocka_unit_test(no_address_prints_as_a_dash),
		cmocka_unit_test(addresses_of_two_families_differ_even_when_their_bytes_do_not),
		cmocka_unit_test(names_and_values_lead_to_each_other),
	};

	return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
