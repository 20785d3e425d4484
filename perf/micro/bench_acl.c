/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_acl — whether clients may begin flows, against librte_lpm and librte_lpm6 with the same prefixes, which must
 * give the same answers; and building the table, against sorting as many numbers.
 */
#include "lb/acl.h"
#include "shim.h"

#include <rte_byteorder.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>

#define N_ASKED 4096u
#define ALLOWED 1u
#define DENIED 2u

struct acl_bench {
	uint8_t family;
	unsigned n;
	struct mr_acl *list;
	const struct mr_acl **ptrs;
	struct acl *table;
	struct rte_lpm *lpm;
	struct rte_lpm6 *lpm6;
	uint8_t asked[N_ASKED][16];
	uint32_t asked4[N_ASKED]; /* host order, as librte_lpm has them */
	uint64_t *numbers, *sorted;
};

static void down(void *ctx)
{
	struct acl_bench *x = ctx;

	acl_put(&x->table);
	rte_lpm_free(x->lpm);
	rte_lpm6_free(x->lpm6);
	free(x->list);
	free(x->ptrs);
	free(x->numbers);
	free(x->sorted);
	free(x);
}

static void mask(uint8_t *ip, unsigned len)
{
	for (unsigned i = len; i < 128; i++)
		ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

/* Networks as lists of them have: /16 to /28, with IPv6 /32 to /64, of the same few ranges. */
static void draw(struct acl_bench *x, uint64_t *seed)
{
	for (unsigned i = 0; i < x->n; i++) {
		struct mr_acl *a = &x->list[i];
		const uint64_t bits = shim_random(seed), r = shim_random(seed);

		a->ip.family = x->family;
		if (x->family == 6) {
			memcpy(a->ip.bytes + 2, &bits, 8);
			a->ip.bytes[0] = 0x20;
			a->ip.bytes[1] = (uint8_t)(r % 4);
			a->prefix_len = (uint8_t)(32 + r / 4 % 33);
		} else {
			memcpy(a->ip.bytes, &bits, 4);
			a->ip.bytes[0] &= 0x1f;
			a->prefix_len = (uint8_t)(16 + r % 13);
		}
		a->action = r >> 32 & 1 ? MR_ACL_ALLOW : MR_ACL_DENY;
		mask(a->ip.bytes, a->prefix_len);
		x->numbers[i] = bits;
		x->ptrs[i] = a;
	}
	for (unsigned i = 0; i < N_ASKED; i++) {
		const struct mr_acl *a = &x->list[shim_random(seed) % x->n];
		const uint64_t host = shim_random(seed);

		memcpy(x->asked[i], a->ip.bytes, 16);
		if (x->family == 6)
			memcpy(x->asked[i] + 8, &host, 8);
		else
			memcpy(x->asked[i] + 2, &host, 2);
		x->asked4[i] = rte_be_to_cpu_32(*(const uint32_t *)(const void *)x->asked[i]);
	}
}

static int compare(const void *a, const void *b)
{
	const struct mr_acl *x = *(const struct mr_acl *const *)a;
	const struct mr_acl *y = *(const struct mr_acl *const *)b;
	const int d = memcmp(x->ip.bytes, y->ip.bytes, 16);

	return d != 0 ? d : (int)x->prefix_len - (int)y->prefix_len;
}

/* The list in the order of its addresses, as a file may have it, without what was drawn twice. */
static void drop_twins(struct acl_bench *x)
{
	unsigned n = 0;

	qsort(x->ptrs, x->n, sizeof(x->ptrs[0]), compare);
	for (unsigned i = 0; i < x->n; i++) {
		if (n == 0 || compare(&x->ptrs[n - 1], &x->ptrs[i]) != 0)
			x->ptrs[n++] = x->ptrs[i];
	}
	x->n = n;
}

static bool fill_reference(struct acl_bench *x)
{
	const struct rte_lpm_config c4 = {.max_rules = x->n, .number_tbl8s = 16384};
	const struct rte_lpm6_config c6 = {.max_rules = x->n, .number_tbl8s = 1u << 17};
	int rc = 0;

	if (x->family == 4)
		x->lpm = rte_lpm_create("bench_acl", SOCKET_ID_ANY, &c4);
	else
		x->lpm6 = rte_lpm6_create("bench_acl6", SOCKET_ID_ANY, &c6);
	if (x->lpm == NULL && x->lpm6 == NULL)
		return false;
	for (unsigned i = 0; i < x->n && rc == 0; i++) {
		const struct mr_acl *a = x->ptrs[i];
		const unsigned answer = a->action == MR_ACL_ALLOW ? ALLOWED : DENIED;

		rc = x->family == 4 ? rte_lpm_add(x->lpm,
			     rte_be_to_cpu_32(*(const uint32_t *)(const void *)a->ip.bytes),
			     a->prefix_len, answer)
				    : rte_lpm6_add(x->lpm6, a->ip.bytes, a->prefix_len, answer);
	}
	return rc == 0;
}

static bool ref_allows(const struct acl_bench *x, unsigned i)
{
	uint32_t answer = DENIED;

	if (x->family == 4)
		rte_lpm_lookup(x->lpm, x->asked4[i], &answer);
	else
		rte_lpm6_lookup(x->lpm6, x->asked[i], &answer);
	return answer == ALLOWED;
}

static void *up(const struct bench_case *c)
{
	struct acl_bench *x = shim_alloc(sizeof(*x));
	uint64_t seed = 17;

	x->family = (uint8_t)c->kind;
	x->n = c->size;
	x->list = shim_alloc(x->n * sizeof(x->list[0]));
	x->ptrs = shim_alloc(x->n * sizeof(x->ptrs[0]));
	x->numbers = shim_alloc(x->n * sizeof(x->numbers[0]));
	x->sorted = shim_alloc(x->n * sizeof(x->sorted[0]));
	draw(x, &seed);
	drop_twins(x);
	if (acl_create(&x->table, x->family, x->ptrs, x->n) != 0 || !fill_reference(x)) {
		down(x);
		return NULL;
	}
	for (unsigned i = 0; i < N_ASKED; i++) {
		if (acl_allows(x->table, x->asked[i]) != ref_allows(x, i)) {
			down(x);
			return NULL;
		}
	}
	return x;
}

static unsigned find(void *ctx)
{
	struct acl_bench *x = ctx;

	for (unsigned i = 0; i < N_ASKED; i++)
		shim_use(acl_allows(x->table, x->asked[i]));
	return N_ASKED;
}

static unsigned find_ref(void *ctx)
{
	struct acl_bench *x = ctx;

	for (unsigned i = 0; i < N_ASKED; i++)
		shim_use(ref_allows(x, i));
	return N_ASKED;
}

static unsigned build(void *ctx)
{
	struct acl_bench *x = ctx;

	acl_put(&x->table);
	return acl_create(&x->table, x->family, x->ptrs, x->n) == 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static unsigned build_ref(void *ctx)
{
	struct acl_bench *x = ctx;

	memcpy(x->sorted, x->numbers, x->n * sizeof(x->sorted[0]));
	qsort(x->sorted, x->n, sizeof(x->sorted[0]), compare_numbers);
	return 1;
}

#define FIND(text, family, prefixes, lpm) \
	{ \
		.name = "acl/find/" text, .size = (prefixes), .kind = (family), .up = up, \
		.run = find, .ref = find_ref, .down = down, .reference = lpm ", same prefixes" \
	}
#define BUILD(text, family, prefixes) \
	{ \
		.name = "acl/build/" text, .size = (prefixes), .kind = (family), .up = up, \
		.run = build, .ref = build_ref, .down = down, \
		.reference = "qsort() of as many random numbers" \
	}

static const struct bench_case cases[] = {
	FIND("ipv4/100", 4, 100, "rte_lpm_lookup"),
	FIND("ipv4/10k", 4, MR_ACL_MAX, "rte_lpm_lookup"),
	FIND("ipv6/10k", 6, MR_ACL_MAX, "rte_lpm6_lookup"),
	BUILD("ipv4/10k", 4, MR_ACL_MAX),
	BUILD("ipv6/10k", 6, MR_ACL_MAX),
};
BENCH_SUBJECT(bench_acl, cases);
