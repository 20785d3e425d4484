/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of QUIC connection ids, the table of server ids, what a model with wrong ones gets to hear, and what
 * counts when an entry changes its backend. */
#include "base/keyhash.h"
#include "lb/quic.h"
#include "lbfix.h"
#include "unit.h"

#include <errno.h>

#define SHORT 0x40
#define V1 0x00, 0x00, 0x00, 0x01
#define V2 0x6b, 0x33, 0x43, 0xcf
#define CID \
	0x05, 0xaa, 0xbb, 0xcc, 0x11, 0x22, 0x33, 0x44 /* configuration 0, server aabbcc, a nonce */
#define LONG_CID 8, CID, 0 /* with the length before, and no source connection id */

static const struct quic_layout draft = {.id_len = 3, .id_offset = 1, .config = 1};
static const struct quic_layout plain = {.id_len = 3, .id_offset = 1};
static const uint8_t server[3] = {0xaa, 0xbb, 0xcc};

/* A copy of exactly these bytes: the sanitizer sees whoever reads on. */
static enum quic_kind parse(
	const struct quic_layout *layout, const uint8_t *bytes, uint32_t len, struct quic_id *id)
{
	uint8_t *exact = test_malloc(len);
	enum quic_kind kind;

	memcpy(exact, bytes, len);
	kind = quic_parse(layout, exact, len, id);
	test_free(exact);
	return kind;
}

struct header {
	const char *name;
	uint8_t bytes[24];
	uint8_t len;
	uint8_t need; /* with so many bytes it is routable, or QUIC_CLIENTS, for the first time */
	enum quic_kind whole, cut;
};

static const struct header headers[] = {
	{"short", {SHORT, CID}, 9, 5, QUIC_ROUTABLE, QUIC_UNROUTABLE},
	{"short without the fixed bit", {0, CID}, 9, 5, QUIC_ROUTABLE, QUIC_UNROUTABLE},
	{"Handshake, version 1", {0xe0, V1, LONG_CID}, 15, 14, QUIC_ROUTABLE, QUIC_CLIENTS},
	{"Handshake, version 2", {0xf0, V2, LONG_CID}, 15, 14, QUIC_ROUTABLE, QUIC_CLIENTS},
	{"Initial, version 1", {0xc0, V1, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"0-RTT, version 1", {0xd0, V1, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"Retry, version 1", {0xf0, V1, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"Initial, version 2", {0xd0, V2, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"0-RTT, version 2", {0xe0, V2, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"version negotiation", {0xe0, 0, 0, 0, 0, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"of a version to come", {0xe0, 0, 0, 0, 3, LONG_CID}, 15, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"a short DCID", {0xe0, V1, 3, 0x05, 0xaa, 0xbb, 0xcc, 0x11}, 11, 9, QUIC_UNROUTABLE,
		QUIC_CLIENTS},
	{"no DCID", {0xe0, V1, 0, 0}, 7, 6, QUIC_UNROUTABLE, QUIC_CLIENTS},
	{"a DCID of 21 bytes", {0xe0, V1, 21, CID, 0}, 24, 1, QUIC_CLIENTS, QUIC_CLIENTS},
	{"of another configuration", {SHORT, 0x25, 0xaa, 0xbb, 0xcc}, 5, 1, QUIC_UNROUTABLE,
		QUIC_UNROUTABLE},
	{"not routable", {SHORT, 0xe5, 0xaa, 0xbb, 0xcc}, 5, 1, QUIC_UNROUTABLE, QUIC_UNROUTABLE},
};

static void headers_of_every_length(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(headers); i++) {
		const struct header *h = &headers[i];

		for (uint32_t n = 0; n <= h->len; n++) {
			struct quic_id id;
			const enum quic_kind want = n == 0 ? QUIC_CLIENTS
				: n >= h->need             ? h->whole
							   : h->cut;
			const enum quic_kind got = parse(&draft, h->bytes, n, &id);

			if (got != want)
				fail_msg("%s, %u bytes: %d, not %d", h->name, n, got, want);
			if (got == QUIC_ROUTABLE)
				assert_memory_equal(id.bytes, server, sizeof(server));
		}
	}
}

static void without_a_configuration_any_first_byte_will_do(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		const uint8_t bytes[] = {SHORT, (uint8_t)first, 0xaa, 0xbb, 0xcc};
		struct quic_id id;

		assert_int_equal(parse(&plain, bytes, sizeof(bytes), &id), QUIC_ROUTABLE);
		assert_int_equal(parse(&draft, bytes, sizeof(bytes), &id),
			first < 0x20 ? QUIC_ROUTABLE : QUIC_UNROUTABLE);
	}
}

static void ids_are_where_and_as_long_as_said(void **state)
{
	uint8_t bytes[1 + MR_QUIC_CID_MAX];

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i; /* byte 0: a short header */
	for (uint8_t len = 1; len <= MR_QUIC_ID_MAX; len++) {
		for (uint8_t offset = 0; offset + len <= MR_QUIC_CID_MAX; offset++) {
			const struct quic_layout l = {.id_len = len, .id_offset = offset};
			struct quic_id id, want = {{0}};

			memcpy(want.bytes, bytes + 1 + offset, len);
			memset(&id, 0xff, sizeof(id));
			assert_int_equal(parse(&l, bytes, 1u + offset + len, &id), QUIC_ROUTABLE);
			assert_memory_equal(&id, &want, sizeof(id));
			assert_int_equal(parse(&l, bytes, 0u + offset + len, &id), QUIC_UNROUTABLE);
		}
	}
}

static void tables_find_each_id_and_no_other(void **state)
{
	enum { N = 3000 };
	static struct quic_entry e[N];
	struct quic_table *t;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		memcpy(e[i].id.bytes, &i, sizeof(i));
		e[i].backend_idx = 7 * i;
	}
	for (unsigned n = 0; n <= N; n = n < 20 ? n + 1 : n * 3) {
		assert_int_equal(quic_table_create(&t, &draft, e, n), 0);
		assert_memory_equal(quic_layout_of(t), &draft, sizeof(draft));
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(quic_find(t, &e[i].id), i < n ? 7 * i : QUIC_NONE);
		quic_table_destroy(&t);
		assert_null(t);
	}
	e[N - 1].id = e[0].id;
	assert_int_equal(quic_table_create(&t, &draft, e, N), -EEXIST);
}

/* --- in a model --- */

static struct fix fix;

static void set_id(struct mr_backend *b, uint8_t len, uint8_t last)
{
	memset(b->quic_server_id, 0, sizeof(b->quic_server_id));
	b->quic_server_id[0] = len;
	b->quic_server_id[len] = last;
}

static void quic_up(unsigned mode)
{
	const struct fix_options o = {0};
	const uint16_t port = mr_mode_is_direct(mode) ? 443 : 4433;
	struct mr_service *s;

	fix_up(&fix, &o);
	s = fix_service(&fix, "web", "198.51.100.10", 443, mode, MR_SCHED_MAGLEV);
	s->proto = MR_PROTO_UDP;
	s->quic_id_len = 2;
	s->quic_id_offset = 1;
	s->quic_config = 1;
	set_id(fix_backend(&fix, "web", "p/a", "10.0.0.11", port), 2, 1);
	set_id(fix_backend(&fix, "web", "p/b", "10.0.0.12", port), 2, 2);
	fix_snat(&fix, "10.0.0.100");
}

static void wrong_ids_are_refused(void **state)
{
	struct mr_backend *b;

	(void)state;
	quic_up(MR_MODE_DSR_L2);
	assert_int_equal(fix_apply(&fix), 0);
	b = fix_find_backend(&fix, "web", "p/b");
	set_id(b, 2, 1);
	assert_int_equal(fix_apply(&fix), -EINVAL);
	assert_string_equal(fix.err.object, "service/web");
	assert_non_null(strstr(fix.err.message, "two backends have one quic_server_id"));
	for (uint8_t len = 0; len <= MR_QUIC_ID_MAX; len++) {
		set_id(b, len, len == 0 ? 0 : 9);
		assert_int_equal(fix_apply(&fix), len == 2 ? 0 : -EINVAL);
		if (len != 2)
			assert_string_equal(fix.err.object, "backend/web/p/b");
	}
	fix_down(&fix);
}

/* Sends a short header packet of the client's only flow; id 0: what follows is no id of anybody. */
static int send_short(uint8_t id)
{
	const struct fix_frame f = {.src = "203.0.113.5",
		.dst = "198.51.100.10",
		.sport = 40000,
		.dport = 443,
		.proto = MR_PROTO_UDP,
		.has_no_csum = 1,
		.n_payload = 30};
	struct rte_mbuf *m = fix_mbuf(&fix, &f);
	uint8_t *payload = rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + 20 + 8);
	int verdict;

	memset(payload, 0, 30);
	payload[0] = SHORT;
	payload[3] = id;
	fix_run(&fix, FIX_WAN, &m, 1);
	verdict = fix.w->burst.p[0].verdict;
	rte_pktmbuf_free(m);
	return verdict;
}

static void expect_conns(const char *name, uint64_t now)
{
	const uint32_t slot = fix_backend_slot(&fix, "web", name);
	const uint64_t conns = lb_worker_backend_tally(fix.w->lb, slot)->conns;

	if (conns != now)
		fail_msg("%s has %lu connections, not %lu", name, conns, now);
}

static void an_entry_counts_for_the_backend_it_names(void **state)
{
	static const unsigned modes[] = {
		MR_MODE_FULLNAT, MR_MODE_DSR_L2, MR_MODE_IPIP, MR_MODE_GUE, MR_MODE_DNAT};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(modes); i++) {
		uint32_t service_slot, snat_used;

		quic_up(modes[i]);
		assert_int_equal(fix_apply(&fix), 0);
		fix_resolve(&fix);
		service_slot = fix_service_slot(&fix, "web");
		for (unsigned turn = 0; turn < 100; turn++) {
			const uint8_t id = (uint8_t)(1 + turn % 2);

			assert_int_not_equal(send_short(id), PKT_DROP);
			expect_conns("p/a", id == 1);
			expect_conns("p/b", id == 2);
			assert_int_not_equal(send_short(0), PKT_DROP); /* stays where it is */
			expect_conns(id == 1 ? "p/a" : "p/b", 1);
		}
		assert_int_equal(lb_worker_service_conns(fix.w->lb, service_slot), 1);
		snat_used = lb_worker_in_use(fix.w->lb, LB_SLOT_SNAT, 0);
		assert_int_equal(snat_used, modes[i] == MR_MODE_FULLNAT);
		assert_int_equal(fix.tally->quic_by_id, 100);
		assert_int_equal(fix.tally->quic_unknown_id, 100);
		assert_int_equal(fix.tally->conn_created, 1);
		assert_int_equal(fix.tally->conn_reused, 99);
		fix_down(&fix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_every_length),
		cmocka_unit_test(without_a_configuration_any_first_byte_will_do),
		cmocka_unit_test(ids_are_where_and_as_long_as_said),
		cmocka_unit_test(tables_find_each_id_and_no_other),
		cmocka_unit_test(wrong_ids_are_refused),
		cmocka_unit_test(an_entry_counts_for_the_backend_it_names),
	};

	keyhash_init_seed(1);
	if (fix_eal("test_quic") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
