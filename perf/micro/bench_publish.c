/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_publish — what a change of configuration costs the manager: build the next generation from a model,
 * publish it, retire the last. Ten backends per service. No worker runs here, so waiting for them is left
 * out: it is one loop of a worker.
 */
#include "api/apply.h"
#include "lb/maglev.h"
#include "shim.h"

#include <errno.h>

#define N_BACKENDS 10u /* per service */
#define BACKENDS_MAX (1000u * N_BACKENDS)

enum { ONE_CHANGE, FROM_NOTHING };

struct publish {
	struct iface_set ifaces;
	struct neigh_table *neigh;
	struct lb_registry *registry;
	struct apply_env env;
	struct model *model, *empty;
	uint64_t generation;
	bool is_from_nothing;
	struct mr_object flapping; /* the backend that changes */
};

static uint64_t nothing_in_use(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	(void)ctx;
	(void)kind;
	(void)slot;
	return 0;
}

static int apply(struct publish *x, const struct model *m)
{
	struct snapshot *next;
	struct mr_error err;
	const int rc = apply_build(&next, &x->env, m, ++x->generation, snapshot_get(), 1000, &err);

	if (rc == 0)
		apply_publish(&x->env, next);
	else
		fprintf(stderr, "bench_publish: %s: %s\n", err.object, err.message);
	return rc;
}

static void put_service(struct publish *x, unsigned i)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE};

	/* the one that changes has the dear scheduler; the others would only take memory with it */
	o.service.sched = i == 0 ? MR_SCHED_MAGLEV : MR_SCHED_WRR;
	o.service.mode = MR_MODE_DSR_L2;
	o.service.proto = MR_PROTO_TCP;
	o.service.port = 80;
	o.service.vip =
		(struct mr_ip){.family = 4, .bytes = {10, 9, (uint8_t)(i >> 8), (uint8_t)i}};
	snprintf(o.service.name, sizeof(o.service.name), "service-%u", i);
	model_put(x->model, &o);
	for (unsigned k = 0; k < N_BACKENDS; k++) {
		const unsigned host = 256 + i * N_BACKENDS + k;
		struct mr_object b = {.type = MR_OBJ_BACKEND};

		memcpy(b.backend.service, o.service.name, sizeof(b.backend.service));
		snprintf(b.backend.name, sizeof(b.backend.name), "pool/backend-%u", k);
		b.backend.ip = (struct mr_ip){
			.family = 4, .bytes = {10, 2, (uint8_t)(host >> 8), (uint8_t)host}};
		b.backend.port = 80;
		b.backend.weight = 1;
		b.backend.state = MR_BACKEND_UP;
		model_put(x->model, &b);
		if (i == 0 && k == 0)
			x->flapping = b;
	}
}

static void down(void *ctx)
{
	struct publish *x = ctx;
	struct snapshot *last = snapshot_publish(NULL, NULL);

	apply_discard(&last, &x->env);
	model_destroy(&x->model);
	model_destroy(&x->empty);
	lb_registry_destroy(&x->registry);
	neigh_table_destroy(&x->neigh);
	free(x);
}

static int make_tables(struct publish *x, const struct bench_case *c)
{
	const struct lb_limits limits = {
		.n_services = c->size, .n_backends = BACKENDS_MAX, .n_snats = 1, .n_workers = 1};
	const struct neigh_params np = {
		.n_slots = 2 * BACKENDS_MAX, .hold_max = 1, .ifaces = &x->ifaces};
	int rc = neigh_table_create(&x->neigh, &np);

	if (rc == 0)
		rc = lb_registry_create(&x->registry, &limits, x->neigh, nothing_in_use, NULL);
	if (rc == 0)
		rc = model_create(&x->model);
	if (rc == 0)
		rc = model_create(&x->empty);
	x->env = (struct apply_env){.ifaces = &x->ifaces, .registry = x->registry};
	return rc;
}

static void *up(const struct bench_case *c)
{
	struct mr_object addr = {.type = MR_OBJ_ADDR,
		.addr = {.port = "south",
			.ip = {.family = 4, .bytes = {10, 2, 0, 1}},
			.prefix_len = 16}};
	struct publish *x = shim_alloc(sizeof(*x));

	x->is_from_nothing = c->kind == FROM_NOTHING;
	x->ifaces.n = 1;
	snprintf(x->ifaces.of[0].name, MR_NAME_MAX, "south");
	if (make_tables(x, c) != 0) {
		down(x);
		return NULL;
	}
	model_put(x->model, &addr);
	for (unsigned i = 0; i < c->size; i++)
		put_service(x, i);
	if (apply(x, x->is_from_nothing ? x->empty : x->model) != 0) {
		down(x);
		return NULL;
	}
	return x;
}

/* One backend's health changes. */
static void change(void *ctx)
{
	struct publish *x = ctx;

	if (x->is_from_nothing) {
		apply(x, x->empty);
		return;
	}
	x->flapping.backend.state =
		x->flapping.backend.state == MR_BACKEND_UP ? MR_BACKEND_DOWN : MR_BACKEND_UP;
	model_put(x->model, &x->flapping);
}

static unsigned publish(void *ctx)
{
	struct publish *x = ctx;

	return apply(x, x->model) == 0;
}

/* The table of the service with the change, alone. */
static unsigned build_table(void *ctx)
{
	static const uint8_t key[16] = {1};
	const struct sched_params params = {.hash_key = key, .service = "service-0"};
	struct sched_member members[N_BACKENDS];
	struct sched_table *t = NULL;

	(void)ctx;
	memset(members, 0, sizeof(members));
	for (unsigned i = 0; i < N_BACKENDS; i++) {
		members[i].weight = 1;
		members[i].is_available = true;
		snprintf(members[i].name, MR_NAME_MAX, "pool/backend-%u", i);
	}
	if (maglev_ops.build(&t, members, N_BACKENDS, &params, NULL) != 0)
		return 0;
	maglev_ops.destroy(&t);
	return 1;
}

#define CASE(text, type, services) \
	{ \
		.name = "publish/" text, .size = (services), .kind = (type), .up = up, \
		.reset = change, .run = publish, .ref = build_table, .down = down, \
		.reference = "one Maglev table alone" \
	}

static const struct bench_case cases[] = {
	CASE("one-change/10", ONE_CHANGE, 10),
	CASE("one-change/1000", ONE_CHANGE, 1000),
	CASE("from-nothing/10", FROM_NOTHING, 10),
	CASE("from-nothing/1000", FROM_NOTHING, 1000),
};
BENCH_SUBJECT(bench_publish, cases);
