/* SPDX-License-Identifier: BSD-3-Clause */
/* What the dataplane itself refuses in a single object, whoever sent it: names and numbers. */
#include "api/apply.h"
#include "unit.h"

#include <errno.h>

static struct mr_object service(const char *name)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE,
		.service = {.vip = {.family = 4, .bytes = {10, 1, 0, 80}},
			.port = 80,
			.proto = MR_PROTO_TCP,
			.mode = MR_MODE_FULLNAT,
			.sched = MR_SCHED_MAGLEV}};

	snprintf(o.service.name, sizeof(o.service.name), "%s", name);
	return o;
}

static struct mr_object backend(const char *of, const char *name)
{
	struct mr_object o = {.type = MR_OBJ_BACKEND,
		.backend = {.ip = {.family = 4, .bytes = {10, 2, 0, 11}},
			.port = 80,
			.weight = 1,
			.state = MR_BACKEND_UP}};

	snprintf(o.backend.service, sizeof(o.backend.service), "%s", of);
	snprintf(o.backend.name, sizeof(o.backend.name), "%s", name);
	return o;
}

static void check(const struct mr_object *o, int want)
{
	struct mr_error err = {0};
	char key[MR_TEXT_MAX];

	mr_object_key_text(o, key, sizeof(key));
	if (apply_check_object(o, &err) != want)
		fail_msg("%s: wanted %d, message '%s'", key, want, err.message);
	if (want != 0) {
		assert_int_equal(err.code, MR_ERR_INVALID);
		assert_string_equal(err.object, key);
		assert_true(err.message[0] != '\0');
	}
}

static const char *const good[] = {"a", "9", "web", "Web-1.example_x", "a..b"};
static const char *const bad[] = {"", "-web", ".web", "_", "we b", "web\n", "a/b", "/", "a/", "/a",
	"w\xc3\xa9", "\xff", "a\x01", "a%s!"};

static void names_are_those_of_configuration_files(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(good); i++) {
		const struct mr_object s = service(good[i]), b = backend(good[i], good[i]);

		check(&s, 0);
		check(&b, 0);
	}
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		const struct mr_object s = service(bad[i]), b = backend(bad[i], "a");

		check(&s, -EINVAL);
		check(&b, -EINVAL);
	}
}

/* An option of one mode, on a service of another. */
static void gue_port_is_for_gue(void **state)
{
	struct mr_object s = service("web");

	(void)state;
	s.service.gue_port = 6080;
	check(&s, -EINVAL);
	s.service.mode = MR_MODE_GUE;
	check(&s, 0);
}

/* QUIC is on UDP, and its connection ids have 20 bytes at most. */
static void server_ids_are_of_udp_and_fit_connection_ids(void **state)
{
	static const struct {
		uint8_t proto, len, offset, config;
		int want;
	} cases[] = {
		{MR_PROTO_TCP, 4, 1, 1, -EINVAL},
		{MR_PROTO_UDP, 4, 1, 1, 0},
		{MR_PROTO_UDP, 4, 0, 0, 0},
		{MR_PROTO_UDP, 4, 0, 1, -EINVAL}, /* one byte for two things */
		{MR_PROTO_UDP, 15, 5, 7, 0},
		{MR_PROTO_UDP, 15, 5, 8, -EINVAL}, /* configuration 7 is none */
		{MR_PROTO_UDP, 15, 6, 0, -EINVAL},
		{MR_PROTO_UDP, 15, 255, 0, -EINVAL},
		{MR_PROTO_UDP, 16, 1, 0, -EINVAL},
		{MR_PROTO_UDP, 0, 1, 0, -EINVAL},
		{MR_PROTO_UDP, 0, 0, 1, -EINVAL},
	};
	struct mr_object b = backend("web", "a");

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct mr_object s = service("web");

		s.service.proto = cases[i].proto;
		s.service.quic_id_len = cases[i].len;
		s.service.quic_id_offset = cases[i].offset;
		s.service.quic_config = cases[i].config;
		check(&s, cases[i].want);
	}
	for (unsigned len = 0; len <= UINT8_MAX; len++) {
		b.backend.quic_server_id[0] = (uint8_t)len;
		check(&b, len <= MR_QUIC_ID_MAX ? 0 : -EINVAL);
	}
	b.backend.quic_server_id[0] = 3;
	b.backend.quic_server_id[3] = 1;
	check(&b, 0);
	b.backend.quic_server_id[4] = 1; /* behind the id */
	check(&b, -EINVAL);
}

/* Each of the two in the modes and protocols that can have it, and in no other. */
static void edits_need_both_directions(void **state)
{
	(void)state;
	for (uint8_t mode = MR_MODE_FULLNAT; mode <= MR_MODE_DNAT; mode++) {
		for (unsigned is_udp = 0; is_udp < 2; is_udp++) {
			const bool is_nat = mode == MR_MODE_FULLNAT || mode == MR_MODE_DNAT;
			const bool is_full = mode == MR_MODE_FULLNAT;
			struct mr_object s = service("web");

			s.service.mode = mode;
			s.service.proto = is_udp ? MR_PROTO_UDP : MR_PROTO_TCP;
			check(&s, 0);
			s.service.mss = MR_MSS_MIN;
			check(&s, is_nat && !is_udp ? 0 : -EINVAL);
			s.service.mss = MR_MSS_MIN - 1;
			check(&s, -EINVAL);
			s.service.mss = 0;
			s.service.client_address = MR_CLIENT_ADDRESS_TOA;
			check(&s, is_full && !is_udp ? 0 : -EINVAL);
			s.service.syn_cookies = 100; /* together */
			check(&s, is_full && !is_udp ? 0 : -EINVAL);
			s.service.syn_cookies = 0;
			s.service.client_address = MR_CLIENT_ADDRESS_PROXY_V2;
			check(&s, is_full ? 0 : -EINVAL);
			s.service.client_address = MR_CLIENT_ADDRESS_PROXY_V2 + 1;
			check(&s, -EINVAL);
		}
	}
}

/* Backend b/c of service a and backend c of service a/b would have one key. */
static void only_a_backend_has_a_pool_before_its_name(void **state)
{
	static const char *const pool_good[] = {"pool/a", "p.1/a-2"};
	static const char *const pool_bad[] = {
		"", "/a", "a/", "p//a", "p/a/b", "p/-a", "p/a b", "p/\n"};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(pool_good); i++) {
		const struct mr_object b = backend("web", pool_good[i]);

		check(&b, 0);
	}
	for (unsigned i = 0; i < RTE_DIM(pool_bad); i++) {
		const struct mr_object b = backend("web", pool_bad[i]);

		check(&b, -EINVAL);
	}
}

/* The connection table compares times as 32-bit differences: 2^31 ms would be in the past. */
static void numbers_have_limits(void **state)
{
	struct mr_object s = service("web"), b = backend("web", "a");
	uint32_t *const timeouts[] = {&s.service.syn_timeout_ms, &s.service.established_timeout_ms,
		&s.service.fin_timeout_ms, &s.service.udp_timeout_ms};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(timeouts); i++) {
		*timeouts[i] = MR_FLOW_TIMEOUT_MAX_MS;
		check(&s, 0);
		*timeouts[i] = MR_FLOW_TIMEOUT_MAX_MS + 1;
		check(&s, -EINVAL);
		*timeouts[i] = 0;
	}
	s.service.maglev_size = MR_MAGLEV_SIZE_MAX;
	check(&s, 0);
	s.service.maglev_size++;
	check(&s, -EINVAL);
	s.service.maglev_size = 0;
	s.service.max_conns = b.backend.max_conns = MR_MAX_CONNS_MAX;
	check(&s, 0);
	check(&b, 0);
	s.service.max_conns = b.backend.max_conns = MR_MAX_CONNS_MAX + 1;
	check(&s, -EINVAL);
	check(&b, -EINVAL);
	b.backend.max_conns = 0;
	for (unsigned port = 0; port <= UINT16_MAX; port++) {
		b.backend.probe_port = (uint16_t)port;
		check(&b, port == 0 || port >= MR_PROBE_PORT_MIN ? 0 : -EINVAL);
	}
}

static const struct {
	uint8_t sched, hash, source_prefix, is_v6;
	uint16_t load_bound_pct;
	int want;
} hashes[] = {
	{MR_SCHED_MAGLEV, MR_HASH_SOURCE, 24, 0, 125, 0},
	{MR_SCHED_RENDEZVOUS, MR_HASH_SOURCE_PORT, 32, 0, 1000, 0},
	{MR_SCHED_SH, MR_HASH_FLOW, 128, 1, 101, 0},
	{MR_SCHED_SH, MR_HASH_SOURCE, 0, 1, 0, 0},
	{MR_SCHED_P2C, MR_HASH_FLOW, 0, 0, 0, 0},
	{MR_SCHED_MAGLEV, 3, 0, 0, 0, -EINVAL},
	{MR_SCHED_LC, MR_HASH_SOURCE, 0, 0, 0, -EINVAL},
	{MR_SCHED_SH, MR_HASH_SOURCE_PORT, 0, 0, 0, -EINVAL},
	{MR_SCHED_MAGLEV, MR_HASH_FLOW, 24, 0, 0, -EINVAL},
	{MR_SCHED_WRR, MR_HASH_FLOW, 24, 0, 0, -EINVAL},
	{MR_SCHED_SH, MR_HASH_FLOW, 33, 0, 0, -EINVAL},
	{MR_SCHED_SH, MR_HASH_FLOW, 129, 1, 0, -EINVAL},
	{MR_SCHED_WLC, MR_HASH_FLOW, 0, 0, 125, -EINVAL},
	{MR_SCHED_MAGLEV, MR_HASH_FLOW, 0, 0, 100, -EINVAL},
	{MR_SCHED_MAGLEV, MR_HASH_FLOW, 0, 0, 1001, -EINVAL},
	{0, MR_HASH_FLOW, 0, 0, 0, -EINVAL},
	{9, MR_HASH_FLOW, 0, 0, 0, -EINVAL},
};

static void what_is_hashed_fits_the_scheduler(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(hashes); i++) {
		struct mr_object s = service("web");

		s.service.sched = hashes[i].sched;
		s.service.hash = hashes[i].hash;
		s.service.source_prefix = hashes[i].source_prefix;
		s.service.load_bound_pct = hashes[i].load_bound_pct;
		if (hashes[i].is_v6)
			s.service.vip.family = 6;
		check(&s, hashes[i].want);
	}
}

static void rates_have_limits(void **state)
{
	struct mr_object s = service("web");

	(void)state;
	s.service.flow_rate = MR_FLOW_RATE_MAX;
	s.service.source_rate = MR_SOURCE_RATE_MAX;
	s.service.source_rate_prefix = 32;
	check(&s, 0);
	s.service.source_rate_prefix = 33;
	check(&s, -EINVAL);
	s.service.vip.family = 6;
	check(&s, 0);
	s.service.source_rate_prefix = 129;
	check(&s, -EINVAL);
	s.service.source_rate_prefix = 64;
	s.service.source_rate = 0;
	check(&s, -EINVAL);
	s.service.source_rate = MR_SOURCE_RATE_MAX + 1;
	check(&s, -EINVAL);
	s.service.source_rate = 1;
	s.service.flow_rate = MR_FLOW_RATE_MAX + 1;
	check(&s, -EINVAL);
	s.service.flow_rate = 0;
	s.service.insert_rate = MR_FLOW_RATE_MAX;
	check(&s, 0);
	s.service.insert_rate++;
	check(&s, -EINVAL);
	s.service.insert_rate = 0;
	s.service.packet_rate = MR_PACKET_RATE_MAX;
	check(&s, 0);
	s.service.packet_rate++;
	check(&s, -EINVAL);
}

static void prefixes_have_no_bits_beyond_their_length(void **state)
{
	static const struct {
		const char *service, *ip;
		uint8_t len, action;
		int want;
	} rows[] = {
		{"web", "0.0.0.0", 0, MR_ACL_DENY, 0},
		{"web", "10.1.2.0", 23, MR_ACL_ALLOW, 0},
		{"web", "10.1.2.3", 32, MR_ACL_ALLOW, 0},
		{"web", "::", 0, MR_ACL_ALLOW, 0},
		{"web", "2001:db8::1", 128, MR_ACL_DENY, 0},
		{"web", "10.1.2.0", 22, MR_ACL_ALLOW, -EINVAL},
		{"web", "10.1.2.3", 33, MR_ACL_ALLOW, -EINVAL},
		{"web", "2001:db8::1", 127, MR_ACL_DENY, -EINVAL},
		{"web", "2001:db8::", 129, MR_ACL_DENY, -EINVAL},
		{"web", "128.0.0.0", 0, MR_ACL_DENY, -EINVAL},
		{"web", "10.0.0.0", 8, 0, -EINVAL},
		{"web", "10.0.0.0", 8, MR_ACL_DENY + 1, -EINVAL},
		{"", "10.0.0.0", 8, MR_ACL_DENY, -EINVAL},
		{"w/eb", "10.0.0.0", 8, MR_ACL_DENY, -EINVAL},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct mr_object o = {.type = MR_OBJ_ACL,
			.acl = {.prefix_len = rows[i].len, .action = rows[i].action}};

		snprintf(o.acl.service, sizeof(o.acl.service), "%s", rows[i].service);
		check(&o, -EINVAL); /* no address */
		assert_int_equal(mr_ip_parse(&o.acl.ip, rows[i].ip), 0);
		check(&o, rows[i].want);
	}
}

static struct mr_object cache(const char *name)
{
	struct mr_object o = {.type = MR_OBJ_CACHE,
		.cache = {.memory_bytes = 64u << 20, .eviction = MR_EVICTION_S3FIFO}};

	snprintf(o.cache.name, sizeof(o.cache.name), "%s", name);
	return o;
}

static void a_cache_has_a_name_and_numbers_in_their_ranges(void **state)
{
	struct mr_object o;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(good); i++) {
		o = cache(good[i]);
		check(&o, 0);
	}
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		o = cache(bad[i]);
		check(&o, -EINVAL);
	}
	for (unsigned v = 0; v < 256; v++) {
		o = cache("hot");
		o.cache.eviction = (uint8_t)v;
		check(&o, v >= MR_EVICTION_FIFO && v <= MR_EVICTION_SIEVE ? 0 : -EINVAL);
	}
	for (int above = 0; above <= 1; above++) {
		const int want = above ? -EINVAL : 0;

		o = cache("hot");
		o.cache.memory_bytes = MR_CACHE_MEMORY_MIN - (unsigned)above;
		check(&o, want);
		o = cache("hot");
		o.cache.value_max = MR_CACHE_VALUE_LIMIT + (unsigned)above;
		check(&o, want);
		o = cache("hot");
		o.cache.item_bytes = MR_CACHE_VALUE_LIMIT + (unsigned)above;
		check(&o, want);
		o = cache("hot");
		o.cache.lease_ms = MR_CACHE_LEASE_MAX_MS + (unsigned)above;
		check(&o, want);
		o = cache("hot");
		o.cache.early_pct = (uint16_t)(MR_CACHE_EARLY_MAX_PCT + (unsigned)above);
		check(&o, want);
		o = cache("hot");
		o.cache.stale_s = MR_CACHE_STALE_MAX_S + (unsigned)above;
		check(&o, want);
	}
}

/* A service is served from a cache or forwarded to backends. */
static void a_cache_is_of_services_of_its_mode(void **state)
{
	static const struct {
		uint8_t mode;
		const char *cache;
		uint32_t reply_rate;
		int want;
	} cases[] = {
		{MR_MODE_CACHE, "hot", 0, 0},
		{MR_MODE_CACHE, "hot", MR_REPLY_RATE_MAX_KB, 0},
		{MR_MODE_CACHE, "hot", MR_REPLY_RATE_MAX_KB + 1, -EINVAL},
		{MR_MODE_CACHE, "", 0, -EINVAL},
		{MR_MODE_FULLNAT, "", 0, 0},
		{MR_MODE_FULLNAT, "hot", 0, -EINVAL},
		{MR_MODE_FULLNAT, "", 1, -EINVAL},
		{MR_MODE_CACHE + 1, "hot", 0, -EINVAL},
		{0, "", 0, -EINVAL},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct mr_object s = service("sessions");

		s.service.proto = MR_PROTO_UDP;
		s.service.mode = cases[i].mode;
		s.service.reply_rate = cases[i].reply_rate;
		snprintf(s.service.cache, sizeof(s.service.cache), "%s", cases[i].cache);
		check(&s, cases[i].want);
	}
}

/* Over UDP it has no connections, over TCP nobody asks in the name of others; it forwards nothing. */
static void what_a_cache_has_is_of_its_protocol(void **state)
{
	enum { OVER_UDP = 1, OVER_TCP = 2 };
	static const struct {
		size_t at;
		unsigned over;
	} fields[] = {
		{offsetof(struct mr_service, reply_rate), OVER_UDP},
		{offsetof(struct mr_service, max_conns), OVER_TCP},
		{offsetof(struct mr_service, flow_rate), OVER_TCP},
		{offsetof(struct mr_service, source_rate), OVER_TCP},
		{offsetof(struct mr_service, established_timeout_ms), OVER_TCP},
		{offsetof(struct mr_service, insert_rate), 0},
		{offsetof(struct mr_service, packet_rate), 0},
		{offsetof(struct mr_service, syn_cookies), 0},
		{offsetof(struct mr_service, syn_timeout_ms), 0},
		{offsetof(struct mr_service, fin_timeout_ms), 0},
		{offsetof(struct mr_service, udp_timeout_ms), 0},
	};
	static const uint32_t one = 1;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(fields); i++) {
		for (unsigned over = OVER_UDP; over <= OVER_TCP; over++) {
			struct mr_object s = service("sessions");

			s.service.proto = over == OVER_UDP ? MR_PROTO_UDP : MR_PROTO_TCP;
			s.service.mode = MR_MODE_CACHE;
			snprintf(s.service.cache, sizeof(s.service.cache), "hot");
			memcpy((char *)&s.service + fields[i].at, &one, sizeof(one));
			check(&s, fields[i].over & over ? 0 : -EINVAL);
			if (fields[i].at != offsetof(struct mr_service, source_rate))
				continue;
			s.service.source_rate_prefix = 24;
			check(&s, over == OVER_TCP ? 0 : -EINVAL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_configuration_files),
		cmocka_unit_test(only_a_backend_has_a_pool_before_its_name),
		cmocka_unit_test(gue_port_is_for_gue),
		cmocka_unit_test(server_ids_are_of_udp_and_fit_connection_ids),
		cmocka_unit_test(edits_need_both_directions),
		cmocka_unit_test(numbers_have_limits),
		cmocka_unit_test(what_is_hashed_fits_the_scheduler),
		cmocka_unit_test(rates_have_limits),
		cmocka_unit_test(prefixes_have_no_bits_beyond_their_length),
		cmocka_unit_test(a_cache_has_a_name_and_numbers_in_their_ranges),
		cmocka_unit_test(a_cache_is_of_services_of_its_mode),
		cmocka_unit_test(what_a_cache_has_is_of_its_protocol),
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
