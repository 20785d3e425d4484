/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection tracking: whole connections as sequences of segments and the states they lead through. */
#include "lb/connfsm.h"
#include "unit.h"

#define C CONNFSM_CLIENT
#define B CONNFSM_BACKEND
#define F 0x01
#define S 0x02
#define R 0x04
#define A 0x10

struct seg {
	enum connfsm_dir dir;
	uint8_t flags;
	enum mr_conn_state want;
};

static void follow(const struct seg *s, unsigned n)
{
	enum mr_conn_state state = MR_CONN_NONE;
	uint8_t fins = 0;

	for (unsigned i = 0; i < n; i++) {
		state = connfsm_tcp(state, s[i].dir, s[i].flags, &fins);
		if (state != s[i].want)
			fail_msg("segment %u: %s, want %s", i, mr_conn_state_name(state),
				mr_conn_state_name(s[i].want));
	}
}

#define FOLLOW(...) \
	do { \
		static const struct seg s[] = {__VA_ARGS__}; \
		follow(s, sizeof(s) / sizeof(s[0])); \
	} while (0)

static void handshake_data_and_close(void **state)
{
	(void)state;
	FOLLOW({C, S, MR_CONN_SYN}, {B, S | A, MR_CONN_SYN_ACK}, {C, A, MR_CONN_ESTABLISHED},
		{B, A, MR_CONN_ESTABLISHED}, {B, F | A, MR_CONN_FIN}, {C, A, MR_CONN_FIN},
		{C, F | A, MR_CONN_CLOSED}, {B, A, MR_CONN_CLOSED});
}

static void half_closed_flow_is_not_closed_by_a_repeated_fin(void **state)
{
	(void)state;
	FOLLOW({C, S, MR_CONN_SYN}, {B, S | A, MR_CONN_SYN_ACK}, {C, A, MR_CONN_ESTABLISHED},
		{C, F | A, MR_CONN_FIN}, {C, F | A, MR_CONN_FIN}, {B, A, MR_CONN_FIN},
		{B, F | A, MR_CONN_CLOSED});
}

static void direct_return_shows_the_client_only(void **state)
{
	(void)state;
	FOLLOW({C, S, MR_CONN_SYN}, {C, S, MR_CONN_SYN}, {C, A, MR_CONN_ESTABLISHED},
		{C, F | A, MR_CONN_FIN}, {C, A, MR_CONN_FIN});
}

static void reset_closes_from_either_side(void **state)
{
	(void)state;
	FOLLOW({C, S, MR_CONN_SYN}, {B, R | A, MR_CONN_CLOSED});
	FOLLOW({C, S, MR_CONN_SYN}, {B, S | A, MR_CONN_SYN_ACK}, {C, A, MR_CONN_ESTABLISHED},
		{C, R, MR_CONN_CLOSED}, {B, A, MR_CONN_CLOSED});
}

static void only_a_bare_syn_opens(void **state)
{
	(void)state;
	assert_true(connfsm_opens(S));
	assert_true(connfsm_opens(S | 0xc0)); /* ECN set-up */
	assert_false(connfsm_opens(S | A));
	assert_false(connfsm_opens(S | F));
	assert_false(connfsm_opens(S | R));
	assert_false(connfsm_opens(A));
	assert_false(connfsm_opens(0));
}

static void timeouts_have_defaults(void **state)
{
	const struct mr_service s = {.fin_timeout_ms = 1000};
	struct connfsm_timeouts t;

	(void)state;
	connfsm_timeouts(&t, &s);
	assert_int_equal(t.ms[MR_CONN_SYN], MR_SYN_TIMEOUT_MS);
	assert_int_equal(t.ms[MR_CONN_ESTABLISHED], MR_ESTABLISHED_TIMEOUT_MS);
	assert_int_equal(t.ms[MR_CONN_FIN], 1000);
	assert_int_equal(t.ms[MR_CONN_CLOSED], 1000);
	assert_int_equal(t.ms[MR_CONN_UDP], MR_UDP_TIMEOUT_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake_data_and_close),
		cmocka_unit_test(half_closed_flow_is_not_closed_by_a_repeated_fin),
		cmocka_unit_test(direct_return_shows_the_client_only),
		cmocka_unit_test(reset_closes_from_either_side),
		cmocka_unit_test(only_a_bare_syn_opens),
		cmocka_unit_test(timeouts_have_defaults),
	};

	return cmocka_run_group_tests_name("connfsm", tests, NULL, NULL);
}
