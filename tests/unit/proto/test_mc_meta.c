/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's meta commands: each flag of each, and each way to get it wrong, whole and cut at every byte; each answer, written a
 * few bytes at a time. Expected lines are what memcached 1.6.18 gave, but for those marked as ours.
 */
#include "mcfix.h"

#define N(array) (sizeof(array) / sizeof(*(array)))
#define K50 "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcd"
#define K250 K50 K50 K50 K50 K50
#define K251 K250 "x"
#define B64_4 "YWFh"
#define B64_16 B64_4 B64_4 B64_4 B64_4
#define B64_248 \
	B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 B64_16 \
		B64_16 B64_16 B64_4 B64_4
#define A186 K50 K50 K50 "0123456789abcdefghijklmnopqrstuvwxyz"
#define O31 "0123456789012345678901234567890"
#define FLAGS_16 "k O1 c f s t v q u P L I C1 D1 J1 T1"
#define BAD_LINE "CLIENT_ERROR bad command line format\r\n"
#define BAD_TOKEN "CLIENT_ERROR bad token in command line format\r\n"
#define BAD_FLAG "CLIENT_ERROR invalid flag\r\n"
#define TWICE "CLIENT_ERROR duplicate flag\r\n"
#define ANY_FLAG "CLIENT_ERROR invalid or duplicate flag\r\n"
#define BAD_BASE64 "CLIENT_ERROR error decoding key\r\n"
#define OPAQUE_LONG "CLIENT_ERROR opaque token too long\r\n"
#define TOO_MANY "CLIENT_ERROR options flags too long\r\n"

static void test_get(void **state)
{
	static const struct mcfix_case cases[] = {
		{"mg k\r\n", "mg key=k"},
		{"mg k\n", "mg key=k"},
		{" mg  k  v \r\n", "mg key=k show=v"},
		{"mg k v\r\n", "mg key=k show=v"},
		{"mg k c f k O9 s t v q\r\n", "mg key=k show=cfkOstv opaque=9 quiet"},
		{"mg k v1 t2\r\n", "mg key=k show=tv"}, /* a letter counts, not what is behind it */
		{"mg k N30 T-1 R0\r\n", "mg key=k vivify=30 recache=0 exptime=-1"},
		{"mg k T0\r\n", "mg key=k exptime=0"},
		{"mg k E5\r\n", "mg key=k new_cas=5"}, /* ours: later versions' */
		{"mg k O\r\n", "mg key=k show=O opaque="},
		{"mg k O" O31 "\r\n", "mg key=k show=O opaque=" O31},
		{"mg k O" O31 "x\r\n", OPAQUE_LONG},
		{"mg k O\xff\x01 v\r\n", "mg key=k show=Ov opaque=\\xff\\x01"},
		{"mg k u P L\r\n", "mg key=k"},
		{"mg k D5 J5 I C5 F5 Mq v\r\n",
			"mg key=k invalidate initial=5 show=v flags=5 cas=5 delta=5"},
		{"mg " K250 " v\r\n", "mg key=" K250 " show=v"},
		{"mg " K251 " v\r\n", BAD_LINE},
		{"mg " K251 " z\r\n", BAD_LINE},
		{"mg a\tb v\r\n", "mg key=a\\x09b show=v"},
		{"mg\r\n", "ERROR\r\n"},
		{"mg \r\n", "ERROR\r\n"},
		{"mgx k\r\n", "ERROR\r\n"},
		{"mG k\r\n", "ERROR\r\n"},
		{"MG k\r\n", "ERROR\r\n"},
		{"mx k\r\n", "ERROR\r\n"},
		{"m\x80 k\r\n", "ERROR\r\n"},
		{"mg k z\r\n", BAD_FLAG},
		{"mg k S5\r\n", BAD_FLAG},
		{"mg k 1\r\n", BAD_FLAG},
		{"mg k h\r\n", BAD_FLAG}, /* ours */
		{"mg k l\r\n", BAD_FLAG}, /* ours */
		{"mg k v v\r\n", TWICE},
		{"mg k vv\r\n", "mg key=k show=v"},
		{"mg k \x7f\r\n", TWICE},
		{"mg k \xc3\xa4\r\n", TWICE},
		{"mg k N\r\n", BAD_TOKEN},
		{"mg k Tx\r\n", BAD_TOKEN},
		{"mg k T5x\r\n", BAD_TOKEN},
		{"mg k Rx\r\n", BAD_TOKEN},
		{"mg k Cx\r\n", BAD_TOKEN},
		{"mg k C-1\r\n", BAD_TOKEN},
		{"mg k C\r\n", BAD_TOKEN},
		{"mg k Dx\r\n", "CLIENT_ERROR invalid numeric delta value\r\n"},
		{"mg k Jx\r\n", "CLIENT_ERROR invalid numeric initial value\r\n"},
		{"mg k M\r\n", "CLIENT_ERROR incorrect length for M token\r\n"},
		{"mg k Mset\r\n", "CLIENT_ERROR incorrect length for M token\r\n"},
		{"mg k Fx\r\n", BAD_LINE},
		{"mg k F4294967296\r\n", BAD_LINE}, /* ours */
		/* which of several */
		{"mg k Cx z\r\n", BAD_FLAG},
		{"mg k z Cx\r\n", BAD_FLAG},
		{"mg k Cx k k\r\n", TWICE},
		{"mg k Cx Dx\r\n", "CLIENT_ERROR invalid numeric delta value\r\n"},
		{"mg k Dx Cx\r\n", BAD_TOKEN},
		{"mg k Cx Fx\r\n", BAD_TOKEN},
		{"mg k Fx Cx\r\n", BAD_TOKEN},
		{"mg k Cx O" O31 "x\r\n", BAD_TOKEN},
		/* how many */
		{"mg k " FLAGS_16 " b\r\n", BAD_BASE64},
		{"mg k " FLAGS_16 " F1\r\n",
			"mg key=k invalidate initial=1 show=cfkOstv opaque=1 flags=1 exptime=1 cas=1 delta=1 quiet"},
		{"mg k " FLAGS_16 " F1 MI\r\n", "CLIENT_ERROR options flags are too long\r\n"},
		{"mg k z " FLAGS_16 " F1 MI\r\n", "CLIENT_ERROR options flags are too long\r\n"},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 64);
}

static void test_base64(void **state)
{
	static const struct mcfix_case cases[] = {
		{"mg YQ== b\r\n", "mg key=a base64"},
		{"mg YQ== k b v\r\n", "mg key=a base64 show=kv"},
		{"mg YWI= b\r\n", "mg key=ab base64"},
		{"mg YWJj b\r\n", "mg key=abc base64"},
		{"mg YSBiDQo= b\r\n", "mg key=a\\x20b\\x0d\\x0a base64"},
		{"mg +/+/ b\r\n", "mg key=\\xfb\\xff\\xbf base64"},
		{"mg AAAA b\r\n", "mg key=\\x00\\x00\\x00 base64"},
		{"mg YR== b\r\n", "mg key=a base64"},
		{"mg " B64_248 " b\r\n", NULL},
		{"mg YQ b\r\n", BAD_BASE64},
		{"mg YQ= b\r\n", BAD_BASE64},
		{"mg Y b\r\n", BAD_BASE64},
		{"mg YQ=== b\r\n", BAD_BASE64},
		{"mg Y=== b\r\n", BAD_BASE64},
		{"mg ==== b\r\n", BAD_BASE64},
		{"mg =Q== b\r\n", BAD_BASE64},
		{"mg Y*== b\r\n", BAD_BASE64},
		{"mg YQ==YQ== b\r\n", BAD_BASE64}, /* ours */
		{"mg YWJ= YQ== b\r\n", BAD_FLAG},
		{"mg a b Cx\r\n", BAD_TOKEN},
		{"mg a Cx b\r\n", BAD_BASE64},
		{"ms YQ== 1 b\r\nx\r\n", "ms key=a mode=set base64 value=x"},
		{"ms a 1 b\r\nx\r\n", BAD_BASE64},
		{"md YQ== b\r\n", "md key=a base64"},
		{"md a b\r\n", ANY_FLAG},
		{"ma YQ== b\r\n", "ma key=a mode=incr base64 delta=1"},
		{"me YQ== b\r\n", "me key=a base64"},
		{"me a b\r\n", BAD_LINE},
		{"me a k b\r\n", "me key=a"},
	};
	struct mc_request r;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		if (cases[i].is != NULL)
			mcfix_expect_all(&cases[i], 1, 64);
	}
	assert_int_equal(strlen(B64_248), 248);
	mcfix_parse(&r, "mg " B64_248 " b\r\n", 255, &(struct mc_limits){64, false});
	assert_int_equal(r.key_len, 186);
	for (unsigned i = 0; i < 186; i++)
		assert_int_equal(r.key[i], 'a');
	mcfix_expect_all(NULL, 0, 0);
}

static void test_set(void **state)
{
	static const struct mcfix_case cases[] = {
		{"ms k 2\r\nab\r\n", "ms key=k mode=set value=ab"},
		{"ms  k  2  k \nab\r\n", "ms key=k mode=set show=k value=ab"},
		{"ms k 0\r\n\r\n", "ms key=k mode=set value="},
		{"ms k 2 c k O1 q\r\nab\r\n", "ms key=k mode=set show=ckO opaque=1 value=ab quiet"},
		{"ms k 2 F7 T90 C8 E9 I\r\nab\r\n",
			"ms key=k mode=set invalidate new_cas=9 flags=7 exptime=90 cas=8 value=ab"},
		{"ms k 2 C0\r\nab\r\n", "ms key=k mode=set cas=0 value=ab"},
		{"ms k 2 ME\r\nab\r\n", "ms key=k mode=add value=ab"},
		{"ms k 2 MA N30\r\nab\r\n", "ms key=k mode=append vivify=30 value=ab"},
		{"ms k 2 MP\r\nab\r\n", "ms key=k mode=prepend value=ab"},
		{"ms k 2 MR\r\nab\r\n", "ms key=k mode=replace value=ab"},
		{"ms k 2 MS\r\nab\r\n", "ms key=k mode=set value=ab"},
		{"ms k 2 Me\r\nab\r\n", "ms key=k mode=add value=ab"}, /* ours: later versions' */
		{"ms k 2 s t f v h l u\r\nab\r\n", "ms key=k mode=set value=ab"},
		{"ms k 2 " FLAGS_16 "\r\nab\r\n",
			"ms key=k mode=set invalidate initial=1 show=ckO opaque=1 exptime=1 cas=1 delta=1 value=ab quiet"},
		{"ms k 2\r\n", "more"},
		{"ms\r\n", "ERROR\r\n"},
		/* lines that are wrong, and whose value will be read as lines */
		{"ms k\r\n", BAD_LINE},
		{"ms k x\r\n", BAD_LINE},
		{"ms k S2\r\n", BAD_LINE},
		{"ms k -1\r\n", BAD_LINE},
		{"ms k 2147483646\r\n", BAD_LINE},
		{"ms k 4294967298\r\n", BAD_LINE}, /* ours */
		{"ms k x z\r\n", BAD_LINE},
		{"ms " K251 " 2 z\r\n", BAD_LINE},
		{"ms k 2 " FLAGS_16 " F1\r\n", TOO_MANY},
		{"ms k x " FLAGS_16 " F1\r\n", TOO_MANY},
		/* and whose value is passed over */
		{"ms k 2 z\r\nab\r\n", BAD_FLAG},
		{"ms k 2 z\r\na", BAD_FLAG " swallow=3"},
		{"ms k 2 z\r\n", BAD_FLAG " swallow=4"},
		{"ms k 2 z q\r\nabxx", BAD_FLAG},
		{"ms k 2147483645 z\r\n", BAD_FLAG " swallow=2147483647"},
		{"ms k 2 k k\r\nab\r\n", TWICE},
		{"ms k 2 Fx\r\nab\r\n", BAD_LINE},
		{"ms k 2 F\r\nab\r\n", BAD_LINE},
		{"ms k 2 Tx\r\nab\r\n", BAD_TOKEN},
		{"ms k 2 Mx\r\nab\r\n", "CLIENT_ERROR invalid mode for ms M token\r\n"},
		{"ms k 2 Mx O" O31 "x\r\nab\r\n", "CLIENT_ERROR invalid mode for ms M token\r\n"},
		{"ms k 2 O" O31 "x\r\nab\r\n", OPAQUE_LONG},
		{"ms k 2 O" O31 "x Cx\r\nab\r\n", BAD_TOKEN},
		/* values that are wrong */
		{"ms k 2\r\nabc\r", "CLIENT_ERROR bad data chunk\r\n"},
		{"ms k 2 q\r\nabc\r", "CLIENT_ERROR bad data chunk\r\n"},
		{"ms k 3\r\nab\r\nx", "CLIENT_ERROR bad data chunk\r\n"},
		{"ms k 9 q\r\n012345678\r\n", "SERVER_ERROR object too large for cache\r\n"},
		{"ms k 9\r\n01", "SERVER_ERROR object too large for cache\r\n swallow=9"},
		{"ms k 8\r\n01234567\r\n", "ms key=k mode=set value=01234567"},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 8);
}

static void test_others(void **state)
{
	static const struct mcfix_case cases[] = {
		{"md k\r\n", "md key=k"},
		{"md k q k O1 C5 I T30 x E7\r\n",
			"md key=k invalidate drop new_cas=7 show=kO opaque=1 exptime=30 cas=5 quiet"},
		{"md k c s t f v\r\n", "md key=k"},
		{"md k z\r\n", ANY_FLAG},
		{"md k q q\r\n", ANY_FLAG},
		{"md k Cx\r\n", ANY_FLAG},
		{"md k O" O31 "x\r\n", OPAQUE_LONG},
		{"md k " FLAGS_16 " F1 MI\r\n", TOO_MANY},
		{"md " K251 "\r\n", BAD_LINE},
		{"md\r\n", "ERROR\r\n"},
		{"ma k\r\n", "ma key=k mode=incr delta=1"},
		{"ma k D5 N30 J13 T60 C9 q O1 t c v k\r\n",
			"ma key=k mode=incr vivify=30 initial=13 show=ckOtv opaque=1 exptime=60 cas=9 delta=5 quiet"},
		{"ma k D0\r\n", "ma key=k mode=incr"},
		{"ma k D18446744073709551615\r\n", "ma key=k mode=incr delta=18446744073709551615"},
		{"ma k MI\r\n", "ma key=k mode=incr delta=1"},
		{"ma k M+\r\n", "ma key=k mode=incr delta=1"},
		{"ma k MD\r\n", "ma key=k mode=decr delta=1"},
		{"ma k M-\r\n", "ma key=k mode=decr delta=1"},
		{"ma k Md\r\n", "ma key=k mode=decr delta=1"}, /* ours: later versions' */
		{"ma k s f h l\r\n", "ma key=k mode=incr delta=1"},
		{"ma k Mx\r\n", "CLIENT_ERROR invalid mode for ma M token\r\n"},
		{"ma k ME\r\n", "CLIENT_ERROR invalid mode for ma M token\r\n"},
		{"ma k Mx O" O31 "x\r\n", "CLIENT_ERROR invalid mode for ma M token\r\n"},
		{"ma k Mincr\r\n", ANY_FLAG},
		{"ma k Dx\r\n", ANY_FLAG},
		{"ma k D-1\r\n", ANY_FLAG},
		{"ma k D18446744073709551616\r\n", ANY_FLAG},
		{"ma k N\r\n", ANY_FLAG},
		{"ma k O" O31 "x\r\n", OPAQUE_LONG},
		{"ma k " FLAGS_16 " F1 MI\r\n", TOO_MANY},
		{"ma " K251 " z\r\n", BAD_LINE},
		{"ma\r\n", "ERROR\r\n"},
		{"me k\r\n", "me key=k"},
		{"me k x y z z\r\n", "me key=k"},
		{"me\r\n", BAD_LINE},
		{"me " K251 "\r\n", BAD_LINE},
		{"mn\r\n", "noop"},
		{"mn\n", "noop"},
		{"mn q x\r\n", "noop"},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 64);
}

#define HIT_WITH(...) \
	{ \
		.outcome = MC_HIT, .value = (const uint8_t *)"abc", .value_len = 3, __VA_ARGS__ \
	}
#define ITEM(o) \
	{ \
		.outcome = MC_##o, .flags = 7, .ttl = 100, .cas = 12, \
		.value = (const uint8_t *)"abc", .value_len = 3 \
	}
#define IS(o) \
	{ \
		.outcome = MC_##o \
	}

static void test_get_answers(void **state)
{
	static const struct mcfix_answer answers[] = {
		{"mg k\r\n", ITEM(HIT), "HD\r\n"},
		{"mg k v\r\n", ITEM(HIT), "VA 3\r\nabc\r\n"},
		{"mg k v q\r\n", ITEM(HIT), "VA 3\r\nabc\r\n"},
		{"mg k q\r\n", ITEM(HIT), "HD\r\n"},
		{"mg k c f k O9 s t v\r\n", ITEM(HIT), "VA 3 c12 f7 kk O9 s3 t100\r\nabc\r\n"},
		{"mg k v t s O9 k f c\r\n", ITEM(HIT), "VA 3 t100 s3 O9 kk f7 c12\r\nabc\r\n"},
		{"mg k k1 t2 s3\r\n", ITEM(HIT), "HD kk t100 s3\r\n"},
		{"mg k O t\r\n", HIT_WITH(.ttl = -1), "HD O t-1\r\n"},
		{"mg k t\r\n", HIT_WITH(.ttl = 0), "HD t0\r\n"},
		{"mg k N30 t v\r\n", {.outcome = MC_HIT, .ttl = 30, .is_won = true},
			"VA 0 t30 W\r\n\r\n"},
		{"mg k N30 t v\r\n", {.outcome = MC_HIT, .ttl = 30, .is_taken = true},
			"VA 0 t30 Z\r\n\r\n"},
		{"mg k v\r\n", HIT_WITH(.is_stale = true, .is_won = true), "VA 3 X W\r\nabc\r\n"},
		{"mg k\r\n", HIT_WITH(.is_stale = true, .is_taken = true), "HD Z X\r\n"},
		{"mg YWI= b k v\r\n", ITEM(HIT), "VA 3 kYWI= b\r\nabc\r\n"},
		{"mg YWI= k O1 b\r\n", ITEM(HIT), "HD kYWI= b O1\r\n"},
		{"mg YWJj k b\r\n", ITEM(HIT), "HD kYWJj b\r\n"},
		{"mg +/+/YQ== k b\r\n", ITEM(HIT), "HD k+/+/YQ== b\r\n"},
		{"mg " B64_248 " k b t O" O31 " c f s v\r\n",
			HIT_WITH(.ttl = INT32_MAX, .cas = UINT64_MAX, .flags = UINT32_MAX,
				.is_won = true, .is_stale = true, .is_taken = true),
			"VA 3 k" B64_248 " b t2147483647 O" O31
			" c18446744073709551615 f4294967295 s3 Z X W\r\nabc\r\n"},
		{"mg " K250 " k\r\n", ITEM(HIT), "HD k" K250 "\r\n"},
		{"mg k v\r\n", IS(MISS), "EN\r\n"},
		{"mg k k c f t s O9 v\r\n", IS(MISS), "EN kk O9\r\n"},
		{"mg k O9 k\r\n", IS(MISS), "EN O9 kk\r\n"},
		{"mg YWI= k b\r\n", IS(MISS), "EN kYWI= b\r\n"},
		{"mg k v q k O1\r\n", IS(MISS), ""},
		{"mg k N5 q\r\n", IS(NO_MEMORY), "SERVER_ERROR out of memory\r\n"},
		{"me k\r\n", ITEM(HIT), "ME k exp=100 cas=12 size=3\r\n"},
		{"me YWI= b\r\n", HIT_WITH(.ttl = -1, .cas = 12),
			"ME YWI= exp=-1 cas=12 size=3\r\n"},
		{"me k\r\n", IS(MISS), "EN\r\n"},
		{"mn\r\n", IS(STORED), "MN\r\n"},
	};

	(void)state;
	mcfix_expect_answers(answers, N(answers));
}

static void test_set_answers(void **state)
{
	static const struct mcfix_answer answers[] = {
		{"ms k 1\r\na\r\n", ITEM(STORED), "HD\r\n"},
		{"ms k 1 O1 c k\r\na\r\n", ITEM(STORED), "HD O1 c12 kk\r\n"},
		{"ms YWI= 1 b k c\r\na\r\n", ITEM(STORED), "HD kYWI= b c12\r\n"},
		{"ms k 1 q k\r\na\r\n", IS(STORED), ""},
		{"ms k 1 ME k c q\r\na\r\n", ITEM(NOT_STORED), "NS kk c0\r\n"},
		{"ms k 1 C5 k c q\r\na\r\n", ITEM(EXISTS), "EX kk c0\r\n"},
		{"ms k 1 C5 k O1 q\r\na\r\n", IS(NOT_FOUND), "NF kk O1\r\n"},
		{"ms k 1 q\r\na\r\n", IS(TOO_LARGE), "SERVER_ERROR object too large for cache\r\n"},
		{"ms k 1 q\r\na\r\n", IS(NO_MEMORY),
			"SERVER_ERROR out of memory storing object\r\n"},
		{"ms k 1 MA k\r\na\r\n", IS(TOO_LARGE), "NS kk\r\n"},
		{"ms k 1 MP k\r\na\r\n", IS(NO_MEMORY), "NS kk\r\n"},
		{"md k\r\n", IS(STORED), "HD\r\n"},
		{"md k O1 c k\r\n", IS(STORED), "HD O1 kk\r\n"},
		{"md k q k\r\n", IS(STORED), ""},
		{"md k k O1\r\n", IS(NOT_FOUND), "NF kk O1\r\n"},
		{"md k k O1 q\r\n", IS(NOT_FOUND), ""}, /* ours: later versions' */
		{"md k k O1 C1 q\r\n", IS(EXISTS), "EX kk O1\r\n"},
		{"ma k\r\n", {.outcome = MC_STORED, .number = 5}, "HD\r\n"},
		{"ma k q v\r\n", {.outcome = MC_STORED, .number = 5}, ""},
		{"ma k v\r\n", {.outcome = MC_STORED, .number = 5}, "VA 1\r\n5\r\n"},
		{"ma k v t c k O1\r\n",
			{.outcome = MC_STORED, .number = 1234, .ttl = -1, .cas = 22},
			"VA 4 t-1 c22 kk O1\r\n1234\r\n"},
		{"ma k O1 t k\r\n", {.outcome = MC_STORED, .number = 1234, .ttl = 50},
			"HD O1 t50 kk\r\n"},
		{"ma YWI= b k v\r\n", {.outcome = MC_STORED, .number = UINT64_MAX},
			"VA 20 kYWI= b\r\n18446744073709551615\r\n"},
		{"ma k v t c k O1\r\n", IS(NOT_FOUND), "NF kk O1\r\n"},
		{"ma k q k\r\n", IS(NOT_FOUND), ""}, /* ours: later versions' */
		{"ma k v q C1 t k\r\n", IS(EXISTS), "EX kk\r\n"},
		{"ma k q k\r\n", IS(NOT_NUMBER),
			"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{"ma k q N5\r\n", IS(NO_MEMORY), "SERVER_ERROR out of memory\r\n"},
	};

	(void)state;
	mcfix_expect_answers(answers, N(answers));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_get_answers),
		cmocka_unit_test(test_set_answers),
	};

	return cmocka_run_group_tests_name("mc_meta", tests, NULL, NULL);
}
