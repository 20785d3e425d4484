/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reconciling against naive references. Pure: random pairs of models, the plan applied step by step to the
 * dataplane's own model, which must be one the dataplane could run after every step. Whole: random
 * configurations, overrides and observed states, restarts of either side in between; the dataplane must
 * run what README says follows from the three states.
 */
#include "ctlfix.h"
#include "daemon/logline.h"
#include "daemon/loop.h"
#include "daemon/reconcile.h"
#include "fakedp.h"
#include "unit.h"

#include <event2/event.h>

#include <signal.h>
#include <stdlib.h>

#define ROUNDS 4000u
#define N_MAX 80u

/* --- pure */

struct sketch {
	struct mr_object o[N_MAX];
	unsigned n;
};

static struct mr_object *add(struct sketch *s, uint8_t type)
{
	struct mr_object *o = &s->o[s->n++];

	assert_true(s->n <= N_MAX);
	memset(o, 0, sizeof(*o));
	o->type = type;
	return o;
}

static struct mr_ip ip4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct mr_ip){4, {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d}};
}

static bool chance(unsigned percent)
{
	return (unsigned)rand() % 100 < percent;
}

/* Addresses 10.N.0.1/24 with the gateway on one of them, addresses 10.99.0.1..6 either a SNAT address, a
 * VIP, or unused: what one model takes for one thing, the next takes for another. */
static void sketch_network(struct sketch *s, unsigned use[6])
{
	unsigned nets[4], n_nets = 0;

	if (chance(90))
		add(s, MR_OBJ_SETTINGS)->settings.hash_key[0] = (uint8_t)(rand() % 2);
	for (unsigned i = 0; i < 4; i++) {
		struct mr_object *o;

		if (!chance(60))
			continue;
		o = add(s, MR_OBJ_ADDR);
		snprintf(o->addr.port, MR_NAME_MAX, "port%u", i % 2);
		o->addr.ip = ip4(10, i, 0, 1);
		o->addr.prefix_len = 24;
		nets[n_nets++] = i;
	}
	if (n_nets > 0 && chance(70)) {
		const unsigned net = nets[(unsigned)rand() % n_nets];
		struct mr_object *o = add(s, MR_OBJ_GATEWAY);

		snprintf(o->gateway.port, MR_NAME_MAX, "port%u", net % 2);
		o->gateway.ip = ip4(10, net, 0, 254);
	}
	for (unsigned i = 0; i < 6; i++) {
		use[i] = (unsigned)rand() % 3;
		if (use[i] == 1)
			add(s, MR_OBJ_SNAT)->snat.ip = ip4(10, 99, 0, 1 + i);
	}
}

static void sketch_caches(struct sketch *s)
{
	for (unsigned i = 0; i < 3; i++) {
		struct mr_object *o;

		if (!chance(50))
			continue;
		o = add(s, MR_OBJ_CACHE);
		snprintf(o->cache.name, MR_NAME_MAX, "c%u", i);
		o->cache.memory_bytes = (uint64_t)(1 + rand() % 2) << 30;
		o->cache.eviction = (uint8_t)(chance(80) ? MR_EVICTION_S3FIFO : MR_EVICTION_LRU);
	}
}

static void sketch_service(struct sketch *s, unsigned i, unsigned vip, unsigned port)
{
	struct mr_object *o = add(s, MR_OBJ_SERVICE);

	snprintf(o->service.name, MR_NAME_MAX, "s%u", i);
	o->service.vip = ip4(10, 99, 0, 1 + vip);
	o->service.port = (uint16_t)port;
	o->service.proto = chance(80) ? MR_PROTO_TCP : MR_PROTO_UDP;
	o->service.mode = chance(80) ? MR_MODE_FULLNAT : MR_MODE_DSR_L2;
	o->service.sched = chance(80) ? MR_SCHED_MAGLEV : MR_SCHED_WRR;
	if (chance(25)) {
		o->service.mode = MR_MODE_CACHE;
		snprintf(o->service.cache, MR_NAME_MAX, "c%d", rand() % 3);
	}
	for (unsigned k = 0; k < 5; k++) {
		if (!chance(70))
			continue;
		o = add(s, MR_OBJ_BACKEND);
		snprintf(o->backend.service, MR_NAME_MAX, "s%u", i);
		snprintf(o->backend.name, MR_NAME_MAX, "b%u", k);
		o->backend.ip = ip4(10, 1, 0, 10 + k);
		o->backend.port = 80;
		o->backend.weight = chance(80) ? 100 : 7;
		o->backend.state = (uint8_t)(chance(80) ? MR_BACKEND_UP : MR_BACKEND_DOWN);
	}
	for (unsigned k = 0; k < 3; k++) { /* one within the other */
		if (!chance(50))
			continue;
		o = add(s, MR_OBJ_ACL);
		snprintf(o->acl.service, MR_NAME_MAX, "s%u", i);
		o->acl.ip = ip4(192, 0, 0, 0);
		o->acl.prefix_len = (uint8_t)(8 + 8 * k);
		o->acl.action = chance(50) ? MR_ACL_ALLOW : MR_ACL_DENY;
	}
}

static void shuffle(struct sketch *s)
{
	for (unsigned i = s->n; i > 1; i--) {
		const unsigned k = (unsigned)rand() % i;
		const struct mr_object tmp = s->o[i - 1];

		s->o[i - 1] = s->o[k];
		s->o[k] = tmp;
	}
}

static void sketch_random(struct sketch *s)
{
	unsigned use[6], vips[12], n_vips = 0;

	s->n = 0;
	sketch_network(s, use);
	sketch_caches(s);
	for (unsigned i = 0; i < 12; i++) { /* an address and one of two ports */
		if (use[i / 2] == 2)
			vips[n_vips++] = i;
	}
	for (unsigned i = 0; i < 5 && n_vips > 0; i++) {
		const unsigned k = (unsigned)rand() % n_vips;

		if (!chance(70))
			continue;
		sketch_service(s, i, vips[k] / 2, 80 + vips[k] % 2);
		vips[k] = vips[--n_vips];
	}
}

/* A few changes to a sketch: most pairs must differ in little, as they do in life. */
static void sketch_change(struct sketch *s)
{
	for (unsigned n = (unsigned)rand() % 4; n > 0 && s->n > 0; n--) {
		struct mr_object *o = &s->o[(unsigned)rand() % s->n];

		if ((o->type == MR_OBJ_BACKEND || o->type == MR_OBJ_ACL) && chance(30))
			*o = s->o[--s->n];
		else if (o->type == MR_OBJ_ACL)
			o->acl.action ^= MR_ACL_ALLOW ^ MR_ACL_DENY;
		else if (o->type == MR_OBJ_BACKEND)
			o->backend.weight = (uint16_t)(rand() % 1001);
		else if (o->type == MR_OBJ_CACHE && chance(30))
			*o = s->o[--s->n];
		else if (o->type == MR_OBJ_CACHE)
			o->cache.lease_ms = (uint32_t)(rand() % 3);
		else if (o->type == MR_OBJ_SERVICE && o->service.mode == MR_MODE_CACHE)
			snprintf(o->service.cache, MR_NAME_MAX, "c%d", rand() % 3);
		else if (o->type == MR_OBJ_SERVICE)
			o->service.mode = chance(50) ? MR_MODE_FULLNAT : MR_MODE_DSR_L2;
		else if (o->type == MR_OBJ_SETTINGS)
			o->settings.hash_key[3]++;
		else if (o->type == MR_OBJ_SNAT)
			*o = s->o[--s->n];
	}
}

static struct objset set_of(const struct sketch *s)
{
	struct mr_object *o = malloc((s->n + 1) * sizeof(*o));
	struct objset out;

	assert_non_null(o);
	memcpy(o, s->o, s->n * sizeof(*o));
	assert_int_equal(objset_init(&out, o, s->n), 0);
	return out;
}

static const char *key_of(const struct mr_object *o)
{
	static char text[2][MR_TEXT_MAX];
	static unsigned i;

	return mr_object_key_text(o, text[i++ % 2], MR_TEXT_MAX);
}

/* The naive way of finding and comparing: by key text and by encoding. */
static const struct mr_object *find(const struct sketch *s, const struct mr_object *key)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(key_of(&s->o[i]), key_of(key)) == 0)
			return &s->o[i];
	}
	return NULL;
}

static bool is_equal(const struct mr_object *a, const struct mr_object *b)
{
	const struct mr_digest x = mr_digest_object(a), y = mr_digest_object(b);

	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* R4 in other words. */
static bool comes_anew(
	const struct sketch *from, const struct sketch *to, const struct mr_object *o)
{
	struct mr_object key = {.type = MR_OBJ_SERVICE};
	const struct mr_object *a, *b;

	if (o->type == MR_OBJ_BACKEND)
		memcpy(key.service.name, o->backend.service, MR_NAME_MAX);
	else if (o->type == MR_OBJ_ACL)
		memcpy(key.service.name, o->acl.service, MR_NAME_MAX);
	else
		key = *o;
	a = find(from, &key);
	b = find(to, &key);
	if (a == NULL || b == NULL)
		return false;
	if (key.type == MR_OBJ_GATEWAY)
		return !is_equal(a, b);
	return key.type == MR_OBJ_SERVICE
		&& (!mr_ip_equal(&a->service.vip, &b->service.vip)
			|| a->service.port != b->service.port
			|| a->service.proto != b->service.proto
			|| a->service.mode != b->service.mode);
}

static unsigned count_expected(const struct sketch *from, const struct sketch *to, bool is_del)
{
	const struct sketch *mine = is_del ? from : to, *other = is_del ? to : from;
	unsigned n = 0;

	for (unsigned i = 0; i < mine->n; i++) {
		const struct mr_object *twin = find(other, &mine->o[i]);

		if (twin == NULL || comes_anew(from, to, &mine->o[i]))
			n++;
		else if (!is_del && !is_equal(twin, &mine->o[i]))
			n++;
	}
	return n;
}

/* What a dataplane may rightly ask of a model at any moment. */
static void assert_runnable(const struct model *m)
{
	struct sketch s = {.n = model_size(m)};

	assert_true(s.n <= N_MAX);
	for (unsigned i = 0; i < s.n; i++)
		s.o[i] = *model_at(m, i);
	for (unsigned i = 0; i < s.n; i++) {
		struct mr_object key = {.type = MR_OBJ_SERVICE};
		bool is_connected = s.o[i].type != MR_OBJ_GATEWAY;

		if (s.o[i].type == MR_OBJ_BACKEND) {
			memcpy(key.service.name, s.o[i].backend.service, MR_NAME_MAX);
			assert_non_null(find(&s, &key));
		}
		if (s.o[i].type == MR_OBJ_ACL) {
			memcpy(key.service.name, s.o[i].acl.service, MR_NAME_MAX);
			assert_non_null(find(&s, &key));
		}
		for (unsigned k = 0; k < s.n; k++) {
			const struct mr_object *a = &s.o[i], *b = &s.o[k];

			if (a->type == MR_OBJ_GATEWAY && b->type == MR_OBJ_ADDR
				&& a->gateway.ip.bytes[1] == b->addr.ip.bytes[1])
				is_connected = true;
			if (a->type == MR_OBJ_SERVICE && b->type == MR_OBJ_SNAT)
				assert_false(mr_ip_equal(&a->service.vip, &b->snat.ip));
			if (a->type == MR_OBJ_SERVICE && b->type == MR_OBJ_SERVICE && i != k)
				assert_false(mr_ip_equal(&a->service.vip, &b->service.vip)
					&& a->service.port == b->service.port
					&& a->service.proto == b->service.proto);
		}
		assert_true(is_connected);
	}
}

static void check_plan(const struct sketch *from, const struct sketch *to)
{
	struct objset running = set_of(from), wanted = set_of(to);
	struct reconcile_plan plan;
	struct model *m = NULL;
	bool is_same;

	assert_int_equal(model_create(&m), 0);
	for (unsigned i = 0; i < from->n; i++)
		assert_int_equal(model_put(m, &from->o[i]), 0);
	assert_memory_equal(model_digest(m), &running.digest, sizeof(running.digest));
	assert_int_equal(reconcile_build(&plan, &running, &wanted), 0);
	is_same = memcmp(&running.digest, &wanted.digest, sizeof(wanted.digest)) == 0;
	assert_int_equal(plan.n_ops == 0, is_same);
	assert_int_equal(plan.n_dels, count_expected(from, to, true));
	assert_int_equal(plan.n_ops - plan.n_dels, count_expected(from, to, false));
	for (size_t i = 0; i < plan.n_ops; i++) {
		const struct mr_object *o = plan.ops[i].obj;

		assert_int_equal(plan.ops[i].is_del, i < plan.n_dels);
		if (plan.ops[i].is_del)
			assert_int_equal(model_del(m, key_of(o)), 0);
		else
			assert_int_equal(model_put(m, o), 0);
		assert_runnable(m);
	}
	assert_int_equal(model_size(m), to->n);
	assert_memory_equal(model_digest(m), &wanted.digest, sizeof(wanted.digest));
	for (unsigned i = 0; i < to->n; i++) {
		const struct mr_object *o = objset_find(&wanted, &to->o[i]);

		assert_non_null(o);
		assert_true(is_equal(o, &to->o[i]));
	}
	reconcile_fini(&plan);
	model_destroy(&m);
	objset_fini(&running);
	objset_fini(&wanted);
}

static void plans_agree_with_a_naive_diff(void **state)
{
	static struct sketch from, to;

	srand(11);
	for (unsigned i = 0; i < ROUNDS; i++) {
		sketch_random(&from);
		to = from;
		if (i % 3 == 0)
			sketch_random(&to);
		else
			sketch_change(&to);
		check_plan(&from, &to);
	}
	from.n = 0;
	check_plan(&from, &to);
	check_plan(&to, &from);
	check_plan(&from, &from);
}

/* In whatever order objects come, the plan is the same, step for step. */
static void order_of_objects_does_not_matter(void **state)
{
	static struct sketch from, to;

	srand(12);
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		struct objset r[2], w[2];
		struct reconcile_plan p[2];

		sketch_random(&from);
		sketch_random(&to);
		for (unsigned k = 0; k < 2; k++) {
			r[k] = set_of(&from);
			w[k] = set_of(&to);
			assert_int_equal(reconcile_build(&p[k], &r[k], &w[k]), 0);
			shuffle(&from);
			shuffle(&to);
		}
		assert_memory_equal(&r[0].digest, &r[1].digest, sizeof(r[0].digest));
		assert_int_equal(p[0].n_ops, p[1].n_ops);
		for (size_t k = 0; k < p[0].n_ops; k++) {
			assert_int_equal(p[0].ops[k].is_del, p[1].ops[k].is_del);
			assert_true(is_equal(p[0].ops[k].obj, p[1].ops[k].obj));
		}
		for (unsigned k = 0; k < 2; k++) {
			reconcile_fini(&p[k]);
			objset_fini(&r[k]);
			objset_fini(&w[k]);
		}
	}
}

/* --- whole */

#define N_POOLS 3u
#define N_BACKENDS 4u
#define N_SERVICES 4u
#define N_CACHES 2u

enum health { NONE, UNCHECKED, CHECKING, UP, DOWN };

/* What README says, kept in the simplest way. */
struct world {
	bool is_in[N_POOLS][N_BACKENDS]; /* configured */
	bool is_checked[N_POOLS];
	uint16_t desired[N_POOLS][N_BACKENDS];
	int pool_of[N_SERVICES]; /* -1: the service is not configured */
	unsigned panic_pct[N_SERVICES];
	unsigned n_prefixes[N_SERVICES];
	int cache_of[N_SERVICES]; /* -1: the service has a pool or is not configured */
	unsigned cache_mb[N_CACHES];
	bool is_drained[N_POOLS][N_BACKENDS];
	int override[N_POOLS][N_BACKENDS]; /* -1: none */
	enum health health[N_POOLS][N_BACKENDS];

	struct event_base *base;
	struct loop *loop;
	struct fakedp *dp;
	char dir[64], state_dir[96], socket[96];
	bool is_answered;
	enum loop_verdict verdict;
};

static void draw_configuration(struct world *w)
{
	for (unsigned p = 0; p < N_POOLS; p++) {
		w->is_checked[p] = chance(60);
		for (unsigned b = 0; b < N_BACKENDS; b++) {
			w->is_in[p][b] = chance(75);
			w->desired[p][b] = (uint16_t)(chance(10) ? 0 : rand() % 1001);
		}
	}
	for (unsigned c = 0; c < N_CACHES; c++)
		w->cache_mb[c] = 1 + (unsigned)rand() % 2;
	for (unsigned s = 0; s < N_SERVICES; s++) {
		static const unsigned pcts[] = {0, 25, 34, 50, 75, 100};
		const int p = chance(80) ? rand() % (int)N_POOLS : -1;

		w->pool_of[s] = p;
		w->n_prefixes[s] = p >= 0 && chance(30) ? (unsigned)rand() % 3 : 0;
		w->cache_of[s] = p < 0 && chance(70) ? rand() % (int)N_CACHES : -1;
		w->panic_pct[s] = p >= 0 && w->is_checked[p] ? pcts[rand() % 6] : 0;
	}
}

/* Probes are made once an hour and cannot pass: they change nothing that the dataplane would see. */
static char *write_configuration(const struct world *w)
{
	unsigned n_services = 0;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fputs("version: 1\n"
	      "network:\n"
	      "  ports: { north: { addresses: [10.1.0.1/24] } }\n"
	      "  snat: [10.1.0.100]\n"
	      "checks:\n"
	      "  c: { type: http, expect: 599, interval: 1h, timeout: 1h, rise: 100, fall: 100 }\n"
	      "pools:\n",
		f);
	for (unsigned p = 0; p < N_POOLS; p++) {
		fprintf(f, "  p%u:\n%s    backends:%s\n", p,
			w->is_checked[p] ? "    check: c\n" : "",
			memchr(w->is_in[p], true, N_BACKENDS) != NULL ? "" : " []");
		for (unsigned b = 0; b < N_BACKENDS; b++) {
			if (w->is_in[p][b])
				fprintf(f,
					"      - { name: b%u, ip: 10.1.0.%u, port: 80, weight: %u }\n",
					b, 10 + 10 * p + b, w->desired[p][b]);
		}
	}
	for (unsigned s = 0; s < N_SERVICES; s++)
		n_services += w->pool_of[s] >= 0 || w->cache_of[s] >= 0;
	fputs("caches:\n", f);
	for (unsigned c = 0; c < N_CACHES; c++)
		fprintf(f, "  c%u: { memory: %uMB }\n", c, w->cache_mb[c]);
	fprintf(f, "services:%s\n", n_services > 0 ? "" : " {}");
	for (unsigned s = 0; s < N_SERVICES; s++) {
		static const char *const deny[] = {
			"", ", deny: [192.0.2.0/24]", ", deny: [192.0.2.0/24, 192.0.3.0/24]"};

		if (w->pool_of[s] >= 0)
			fprintf(f,
				"  s%u: { vip: 10.1.0.%u, port: 80, mode: full-nat, pool: p%d, "
				"panic_threshold: %u%%%s }\n",
				s, 80 + s, w->pool_of[s], w->panic_pct[s], deny[w->n_prefixes[s]]);
		if (w->cache_of[s] >= 0)
			fprintf(f,
				"  s%u: { kind: cache, vip: 10.1.0.%u, port: 80, proto: udp, cache: "
				"c%d, allow: [192.0.2.0/24] }\n",
				s, 80 + s, w->cache_of[s]);
	}
	fclose(f);
	return text;
}

/* What happens to the other two states when the configuration is taken over. */
static void take_over(struct world *w)
{
	for (unsigned p = 0; p < N_POOLS; p++) {
		for (unsigned b = 0; b < N_BACKENDS; b++) {
			enum health *h = &w->health[p][b];

			if (!w->is_in[p][b]) {
				*h = NONE;
				w->is_drained[p][b] = false;
				w->override[p][b] = -1;
			} else if (!w->is_checked[p]) {
				*h = UNCHECKED;
			} else if (*h == NONE) {
				*h = CHECKING;
			} else if (*h == UNCHECKED) {
				*h = UP; /* until the new check has found it down */
			}
		}
	}
}

/* A first probe ends when it likes, and has not passed then. */
static enum health health_of(const struct world *w, unsigned p, unsigned b)
{
	unsigned i = 0; /* backends before it that are configured */

	for (unsigned k = 0; k < b; k++)
		i += w->is_in[p][k];
	if (w->health[p][b] == CHECKING && loop_observed(w->loop, p, i)->state == WEIGHT_DOWN)
		return DOWN;
	return w->health[p][b];
}

static bool is_panic(const struct world *w, unsigned s)
{
	const int p = w->pool_of[s];
	double n = 0, n_usable = 0;

	for (unsigned b = 0; b < N_BACKENDS; b++) {
		const int weight =
			w->override[p][b] >= 0 ? w->override[p][b] : (int)w->desired[p][b];

		if (!w->is_in[p][b])
			continue;
		if (w->is_drained[p][b] || weight == 0)
			continue;
		n++;
		n_usable += health_of(w, (unsigned)p, b) != DOWN;
	}
	return n > 0 && n_usable / n < w->panic_pct[s] / 100.0;
}

static unsigned n_panics; /* seen in all */

/* Returns how many objects the caches and what is served from them are. */
static unsigned count_caches(const struct world *w)
{
	const struct mr_object *o;
	char key[MR_TEXT_MAX];
	unsigned n = 0;

	for (unsigned c = 0; c < N_CACHES; c++, n++) {
		snprintf(key, sizeof(key), "cache/c%u", c);
		o = fakedp_find(w->dp, key);
		assert_non_null(o);
		assert_int_equal(o->cache.memory_bytes, w->cache_mb[c] << 20);
	}
	for (unsigned s = 0; s < N_SERVICES; s++) {
		snprintf(key, sizeof(key), "service/s%u", s);
		o = fakedp_find(w->dp, key);
		assert_int_equal(o != NULL, w->pool_of[s] >= 0 || w->cache_of[s] >= 0);
		if (o == NULL)
			continue;
		assert_int_equal(
			o->service.mode, w->cache_of[s] >= 0 ? MR_MODE_CACHE : MR_MODE_FULLNAT);
		snprintf(key, sizeof(key), "c%d", w->cache_of[s]);
		assert_string_equal(o->service.cache, w->cache_of[s] >= 0 ? key : "");
		n += w->cache_of[s] >= 0 ? 2 : 0; /* with its prefix */
	}
	return n;
}

static void assert_follows(const struct world *w)
{
	unsigned n = 3 + count_caches(w); /* settings, address, SNAT address */
	unsigned n_services = 0;          /* so far: those that are configured, in their order */

	for (unsigned s = 0; s < N_SERVICES; s++) {
		const int p = w->pool_of[s];
		const bool is_used = p >= 0 && is_panic(w, s);

		if (p >= 0 || w->cache_of[s] >= 0)
			assert_int_equal(loop_panic_since_ms(w->loop, n_services++) != 0, is_used);
		n_panics += is_used;
		n += (p >= 0) + w->n_prefixes[s];
		for (unsigned b = 0; p >= 0 && b < N_BACKENDS; b++) {
			const struct mr_object *o;
			char key[MR_TEXT_MAX];

			snprintf(key, sizeof(key), "backend/s%u/b%u", s, b);
			o = fakedp_find(w->dp, key);
			assert_int_equal(o != NULL, w->is_in[p][b]);
			if (o == NULL)
				continue;
			n++;
			assert_int_equal(o->backend.weight,
				w->override[p][b] >= 0 ? w->override[p][b] : w->desired[p][b]);
			assert_int_equal(o->backend.state,
				w->is_drained[p][b]
						&& (is_used || health_of(w, (unsigned)p, b) != DOWN)
					? MR_BACKEND_DRAIN
					: is_used || w->health[p][b] == UP
						|| w->health[p][b] == UNCHECKED
					? MR_BACKEND_UP
					: MR_BACKEND_DOWN);
		}
	}
	assert_int_equal(model_size(w->dp->model), n);
}

static bool is_in_sync(void *arg)
{
	const struct world *w = arg;

	/* a dataplane that has gone is noticed by the end of its connection, a little later */
	return w->dp->n_requests[MR_REQ_DUMP] > 0 && loop_is_in_sync(w->loop);
}

static void settle(struct world *w)
{
	ctlfix_run_until(w->base, is_in_sync, w);
	assert_follows(w);
}

static void start(struct world *w)
{
	const struct loop_params params = {.state_dir = w->state_dir, .dataplane = w->socket};

	assert_int_equal(loop_create(&w->loop, w->base, &params), 0);
}

static void on_applied(void *arg, const struct loop_applied *result)
{
	struct world *w = arg;

	w->is_answered = true;
	w->verdict = result->verdict;
}

static bool is_answered(void *arg)
{
	const struct world *w = arg;

	return w->is_answered;
}

static void apply(struct world *w)
{
	struct desired to = {.time_ms = 1, .name = "test", .author = "test"};

	draw_configuration(w);
	to.text = write_configuration(w);
	to.text_len = strlen(to.text);
	to.conf = ctlfix_conf(to.text);
	w->is_answered = false;
	assert_int_equal(loop_apply(w->loop, &to, LOOP_ANY_GENERATION, on_applied, w), 0);
	ctlfix_run_until(w->base, is_answered, w);
	assert_true(w->verdict == LOOP_APPLIED || w->verdict == LOOP_PENDING);
	take_over(w);
}

static void override(struct world *w)
{
	const unsigned p = (unsigned)rand() % N_POOLS, b = (unsigned)rand() % N_BACKENDS;
	struct admin_override o = {.author = "test", .time_ms = 1};

	if (!w->is_in[p][b])
		return;
	if (chance(50))
		w->is_drained[p][b] = chance(60);
	else
		w->override[p][b] = chance(70) ? rand() % 1001 : -1;
	snprintf(o.pool, sizeof(o.pool), "p%u", p);
	snprintf(o.name, sizeof(o.name), "b%u", b);
	o.is_drained = w->is_drained[p][b];
	o.has_weight = w->override[p][b] >= 0;
	o.weight = (uint16_t)(o.has_weight ? w->override[p][b] : 0);
	assert_int_equal(loop_override(w->loop, &o), 0);
}

/* Health as an earlier run of the daemon left it: what is up or down there stays so. */
static void restart_with_health(struct world *w)
{
	const char *comma = "";
	char *text = NULL;
	size_t len;
	FILE *f;

	loop_destroy(&w->loop);
	f = open_memstream(&text, &len);
	assert_non_null(f);
	fputs("{\"backends\": [", f);
	for (unsigned p = 0; p < N_POOLS; p++) {
		for (unsigned b = 0; b < N_BACKENDS; b++) {
			enum health *h = &w->health[p][b];

			if (*h != NONE && *h != UNCHECKED)
				*h = chance(50) ? UP : DOWN;
			if (*h == UP || *h == DOWN || chance(20))
				fprintf(f,
					"%s{\"pool\": \"p%u\", \"name\": \"b%u\", \"state\": "
					"\"%s\", \"reason\": \"test\", \"since_ms\": 5}",
					comma, p, b, *h == UP ? "up" : "down");
			else
				continue;
			comma = ", ";
		}
	}
	fputs("]}", f);
	fclose(f);
	ctlfix_write(w->state_dir, "observed.json", text);
	free(text);
	start(w);
}

static void restart_dataplane(struct world *w)
{
	fakedp_stop(&w->dp);
	w->dp = fakedp_start(w->base, w->socket);
}

static void the_dataplane_runs_what_follows_from_the_three_states(void **state)
{
	static struct world w;

	srand(13);
	w.base = event_base_new();
	ctlfix_dir(w.dir);
	snprintf(w.state_dir, sizeof(w.state_dir), "%s/state", w.dir);
	snprintf(w.socket, sizeof(w.socket), "%s/dp.sock", w.dir);
	memset(w.override, -1, sizeof(w.override));
	logline_set_level(LOGLINE_ERR); /* hundreds of restarts */
	w.dp = fakedp_start(w.base, w.socket);
	start(&w);
	apply(&w);
	for (unsigned i = 0; i < 200; i++) {
		settle(&w);
		switch (rand() % 8) {
		case 0:
		case 1:
			apply(&w);
			break;
		case 2:
			restart_with_health(&w);
			break;
		case 3: /* the old dataplane is gone before, the new one there after */
			if (chance(50))
				override(&w);
			restart_dataplane(&w);
			break;
		case 4:
			loop_destroy(&w.loop);
			if (chance(50))
				restart_dataplane(&w);
			start(&w);
			break;
		default:
			override(&w);
		}
	}
	settle(&w);
	assert_true(n_panics > 20);
	loop_destroy(&w.loop);
	fakedp_stop(&w.dp);
	event_base_free(w.base);
	ctlfix_rm(w.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_agree_with_a_naive_diff),
		cmocka_unit_test(order_of_objects_does_not_matter),
		cmocka_unit_test(the_dataplane_runs_what_follows_from_the_three_states),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
