/* SPDX-License-Identifier: BSD-3-Clause */
/* fleet — see fleet.h. */
#include "fleet.h"

#include <stdlib.h>

#define DAY_MS 86400000u
#define GUEST_MS 200u /* flows of guests end soon, so that slots change hands */

uint32_t fleet_random(struct fleet *f, uint32_t n)
{
	f->random ^= f->random << 13; /* xorshift64 */
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return (uint32_t)((f->random >> 32) * n >> 32);
}

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip;

	FLEET_NEED(mr_ip_parse(&ip, text) == 0, "%s is no address", text);
	return ip;
}

static struct mr_ip host_of(bool is_v6, unsigned network, unsigned host)
{
	char text[64];

	if (is_v6)
		snprintf(text, sizeof(text), "fd00:%u::%x", network, host);
	else
		snprintf(text, sizeof(text), "10.%u.0.%u", network, host);
	return ip_of(text);
}

/* --- the model --- */

static void put(struct fleet *f, const struct mr_object *o)
{
	FLEET_NEED(model_put(f->h->model, o) == 0, "no memory");
}

static void put_or_del(struct fleet *f, const struct mr_object *o, bool is_there)
{
	char key[MR_TEXT_MAX];

	if (is_there)
		put(f, o);
	else
		model_del(f->h->model, mr_object_key_text(o, key, sizeof(key)));
}

static void put_addr(struct fleet *f, const char *port, struct mr_ip ip, uint8_t len, bool is_there)
{
	struct mr_object o = {.type = MR_OBJ_ADDR, .addr = {.ip = ip, .prefix_len = len}};

	snprintf(o.addr.port, sizeof(o.addr.port), "%s", port);
	put_or_del(f, &o, is_there);
}

static void sync_network(struct fleet *f)
{
	struct mr_object settings = {.type = MR_OBJ_SETTINGS};

	settings.settings.hash_key[3] = f->key;
	put(f, &settings);
	put_addr(f, "south", ip_of("10.3.0.1"), 24, f->has_addr);
	for (unsigned six = 0; six < 2; six++) {
		struct mr_object gw = {
			.type = MR_OBJ_GATEWAY, .gateway = {.ip = host_of(six, 1, f->gateway)}};

		snprintf(gw.gateway.port, sizeof(gw.gateway.port), "north");
		put(f, &gw);
		put_addr(f, "north", host_of(six, 1, 1), six ? 64 : 24, true);
		put_addr(f, "south", host_of(six, 2, 1), six ? 64 : 24, true);
		for (unsigned i = 0; i < 2; i++) {
			const struct mr_object snat = {
				.type = MR_OBJ_SNAT, .snat = {.ip = host_of(six, 2, 100 + i)}};

			put_or_del(f, &snat, i == 0 || f->has_snat[six]);
		}
	}
}

static struct mr_ip backend_ip(const struct fleet_service *s, unsigned k)
{
	const bool is_v6 = s->spec.vip.family == 6;

	/* tunnels cross the families */
	return host_of(is_v6 != mr_mode_is_tunnel(s->spec.mode), 2,
		FLEET_HOST + k * FLEET_ADDRESSES + s->backends[k].address);
}

uint16_t fleet_backend_port(const struct fleet_service *s, unsigned service)
{
	return mr_mode_is_direct(s->spec.mode) ? s->spec.port : (uint16_t)(5000 + service);
}

static void sync_backend(struct fleet *f, unsigned i, unsigned k)
{
	const struct fleet_service *s = &f->of[i];
	const struct fleet_backend *b = &s->backends[k];
	struct mr_object o = {.type = MR_OBJ_BACKEND,
		.backend = {.ip = backend_ip(s, k),
			.port = fleet_backend_port(s, i),
			.weight = b->weight,
			.state = b->state}};

	snprintf(o.backend.service, sizeof(o.backend.service), "%s", s->spec.name);
	snprintf(o.backend.name, sizeof(o.backend.name), "b%u", k);
	put_or_del(f, &o, s->is_there && b->is_there);
}

/* Lets in a quarter of the clients. */
static void sync_acl(struct fleet *f, unsigned i)
{
	const struct fleet_service *s = &f->of[i];
	struct mr_object o = {.type = MR_OBJ_ACL, .acl = {.action = MR_ACL_ALLOW}};

	o.acl.ip = ip_of(s->spec.vip.family == 6 ? "fd09::" : "10.9.0.0");
	o.acl.prefix_len = s->spec.vip.family == 6 ? 114 : 18;
	snprintf(o.acl.service, sizeof(o.acl.service), "%s", s->spec.name);
	put_or_del(f, &o, s->is_there && s->has_acl);
}

static void sync_service(struct fleet *f, unsigned i)
{
	const struct mr_object o = {.type = MR_OBJ_SERVICE, .service = f->of[i].spec};

	put_or_del(f, &o, f->of[i].is_there);
}

static void sync_whole_service(struct fleet *f, unsigned i)
{
	sync_service(f, i);
	sync_acl(f, i);
	for (unsigned k = 0; k < FLEET_BACKENDS; k++)
		sync_backend(f, i, k);
}

static int apply(struct fleet *f, struct mr_error *err)
{
	int rc;

	snapshot_offline();
	rc = harness_apply(f->h, err);
	snapshot_online();
	return rc;
}

static void must_apply(struct fleet *f)
{
	struct mr_error err;

	FLEET_NEED(apply(f, &err) == 0, "%s: %s", err.object, err.message);
	f->n_changes++;
}

void fleet_load(struct fleet *f)
{
	sync_network(f);
	for (unsigned i = 0; i < FLEET_SERVICES + FLEET_GUESTS; i++)
		sync_whole_service(f, i);
	must_apply(f);
}

/* --- the first configuration --- */

static const uint8_t modes[] = {
	MR_MODE_FULLNAT, MR_MODE_DSR_L2, MR_MODE_IPIP, MR_MODE_GUE, MR_MODE_DNAT};

static void init_service(struct fleet *f, unsigned i)
{
	struct fleet_service *s = &f->of[i];
	const bool is_guest = i >= FLEET_SERVICES;
	const uint32_t timeout_ms = is_guest ? GUEST_MS : DAY_MS;

	s->is_there = !is_guest;
	s->spec = (struct mr_service){.vip = host_of(i / 5 % 2, 1, 60 + i),
		.port = 80,
		.proto = i / 10 % 2 == 0 ? MR_PROTO_TCP : MR_PROTO_UDP,
		.mode = modes[i % 5],
		.sched = (uint8_t)(1 + i % 8),
		.on_down = (uint8_t)(i % 3),
		.syn_timeout_ms = timeout_ms,
		.established_timeout_ms = timeout_ms,
		.fin_timeout_ms = GUEST_MS,
		.udp_timeout_ms = timeout_ms};
	snprintf(s->spec.name, sizeof(s->spec.name), "s%u", i);
	for (unsigned k = 0; k < FLEET_BACKENDS; k++)
		s->backends[k] = (struct fleet_backend){
			.is_there = k < 5, .state = MR_BACKEND_UP, .weight = 100};
}

void fleet_init(struct fleet *f, struct harness *h, uint64_t seed)
{
	memset(f, 0, sizeof(*f));
	f->h = h;
	f->random = (seed + 1) * 0x9e3779b97f4a7c15u;
	f->has_snat[0] = f->has_snat[1] = true;
	f->gateway = 254;
	for (unsigned i = 0; i < FLEET_SERVICES + FLEET_GUESTS; i++)
		init_service(f, i);
}

void fleet_shuffle_consistent(struct fleet *f)
{
	static const uint8_t scheds[] = {MR_SCHED_MAGLEV, MR_SCHED_RENDEZVOUS, MR_SCHED_SH};
	static const uint16_t weights[] = {100, 100, 50, 300};

	f->key = 99;
	for (unsigned i = 0; i < FLEET_SERVICES; i++) {
		struct fleet_service *s = &f->of[i];

		s->spec.sched = scheds[i % RTE_DIM(scheds)];
		s->spec.hash = (uint8_t)fleet_random(f, 3);
		for (unsigned k = 0; k < FLEET_BACKENDS; k++)
			s->backends[k] = (struct fleet_backend){.is_there = fleet_random(f, 4) > 0,
				.address = (uint8_t)fleet_random(f, FLEET_ADDRESSES),
				.state = fleet_random(f, 5) > 0 ? MR_BACKEND_UP : MR_BACKEND_DOWN,
				.weight = weights[fleet_random(f, RTE_DIM(weights))]};
	}
}

/* --- changes --- */

static void change_backend(struct fleet *f, unsigned i)
{
	const unsigned k = fleet_random(f, FLEET_BACKENDS);
	struct fleet_backend *b = &f->of[i].backends[k];

	switch (fleet_random(f, 4)) {
	case 0:
		b->is_there = !b->is_there;
		break;
	case 1:
		b->weight = (uint16_t)(fleet_random(f, 5) == 0 ? 0 : fleet_random(f, 1001));
		break;
	case 2:
		b->state = (uint8_t)(fleet_random(f, 2) ? MR_BACKEND_UP : 1 + fleet_random(f, 4));
		break;
	default:
		b->address = (uint8_t)fleet_random(f, FLEET_ADDRESSES);
	}
	sync_backend(f, i, k);
}

static void change_limits(struct fleet *f, struct mr_service *s)
{
	s->max_conns = fleet_random(f, 2) ? 100 : 0;
	s->flow_rate = fleet_random(f, 3) ? 0 : 20;
	s->source_rate = fleet_random(f, 3) ? 0 : 2;
	s->packet_rate =
		fleet_random(f, 3) ? 0 : MR_PACKET_RATE_MAX; /* no packet is to be missed */
}

/* Only for new flows: another way to forward, lb/fwd.h. */
static void change_edits(struct fleet *f, struct mr_service *s)
{
	if (s->proto != MR_PROTO_TCP || mr_mode_is_direct(s->mode))
		return;
	s->mss = fleet_random(f, 2) ? 1200 : 0;
	if (s->mode == MR_MODE_FULLNAT)
		s->client_address = fleet_random(f, 2) ? MR_CLIENT_ADDRESS_TOA : 0;
}

/* Only for new flows, too. Between modes with the same ports and families, so that backends stay who they are. */
static void change_mode(struct mr_service *s)
{
	static const uint8_t others[] = {[MR_MODE_FULLNAT] = MR_MODE_DNAT,
		[MR_MODE_DNAT] = MR_MODE_FULLNAT,
		[MR_MODE_IPIP] = MR_MODE_GUE,
		[MR_MODE_GUE] = MR_MODE_IPIP,
		[MR_MODE_DSR_L2] = MR_MODE_DSR_L2};

	s->mode = others[s->mode];
	s->client_address = 0;
	s->gue_port = s->mode == MR_MODE_GUE ? 7000 : 0;
}

static void change_service(struct fleet *f, unsigned i)
{
	static const uint32_t sizes[] = {0, 251, 1021, 4093};
	struct mr_service *s = &f->of[i].spec;

	switch (fleet_random(f, 9)) {
	case 0:
		s->sched = (uint8_t)(1 + fleet_random(f, 8));
		break;
	case 1:
		s->hash = (uint8_t)fleet_random(f, 3);
		s->source_prefix = fleet_random(f, 2) ? 24 : 0;
		break;
	case 2:
		s->load_bound_pct = fleet_random(f, 2) ? 125 : 0;
		break;
	case 3:
		change_limits(f, s);
		break;
	case 4:
		s->maglev_size = sizes[fleet_random(f, RTE_DIM(sizes))];
		break;
	case 5:
		s->on_down = (uint8_t)fleet_random(f, 3);
		break;
	case 6:
		change_edits(f, s);
		break;
	case 7:
		change_mode(s);
		break;
	default:
		f->of[i].has_acl = !f->of[i].has_acl;
	}
	sync_service(f, i);
	sync_acl(f, i);
}

static void change_network(struct fleet *f)
{
	const unsigned six = fleet_random(f, 2);

	switch (fleet_random(f, 5)) {
	case 0:
		f->gateway = f->gateway == 254 ? 253 : 254;
		break;
	case 1:
		f->has_addr = !f->has_addr;
		break;
	case 2:
		f->key = (uint8_t)fleet_random(f, 256);
		break;
	default:
		f->has_snat[six] = !f->has_snat[six];
	}
	sync_network(f);
}

static void change_guest(struct fleet *f)
{
	const unsigned i = FLEET_SERVICES + fleet_random(f, FLEET_GUESTS);

	f->of[i].is_there = !f->of[i].is_there;
	f->of[i].spec.mode = modes[fleet_random(f, RTE_DIM(modes))];
	sync_whole_service(f, i);
}

void fleet_change(struct fleet *f)
{
	for (;;) {
		struct fleet before = *f;
		const unsigned i = fleet_random(f, FLEET_SERVICES), kind = fleet_random(f, 10);
		struct model *model;
		struct mr_error err;

		FLEET_NEED(model_copy(&model, f->h->model) == 0, "no memory");
		if (kind < 5)
			change_backend(f, i);
		else if (kind < 7)
			change_service(f, i);
		else if (kind < 9)
			change_guest(f);
		else
			change_network(f);
		if (apply(f, &err) == 0) {
			model_destroy(&model);
			f->n_changes++;
			return;
		}
		model_destroy(&f->h->model);
		f->h->model = model;
		before.random = f->random;
		before.n_refused++;
		*f = before;
		FLEET_NEED(
			f->n_refused < 100 + f->n_changes / 4, "%s: %s", err.object, err.message);
	}
}

/* True when there was something to do. */
static bool become_one(struct fleet *f, const struct fleet *to, unsigned i, unsigned k)
{
	struct fleet_service *s = &f->of[i];
	const struct fleet_service *t = &to->of[i];

	if (memcmp(&s->backends[k], &t->backends[k], sizeof(s->backends[k])) != 0) {
		s->backends[k] = t->backends[k];
		sync_backend(f, i, k);
		return true;
	}
	if (memcmp(&s->spec, &t->spec, sizeof(s->spec)) == 0 && s->has_acl == t->has_acl
		&& s->is_there == t->is_there)
		return false;
	s->spec = t->spec;
	s->has_acl = t->has_acl;
	s->is_there = t->is_there;
	sync_whole_service(f, i);
	return true;
}

void fleet_become(struct fleet *f, const struct fleet *to)
{
	const unsigned n = (FLEET_SERVICES + FLEET_GUESTS) * FLEET_BACKENDS;
	const unsigned first = fleet_random(f, n);

	/* 101: a stride through all of them */
	for (unsigned j = 0; j < n; j++) {
		const unsigned at = (first + j * 101) % n;

		if (become_one(f, to, at / FLEET_BACKENDS, at % FLEET_BACKENDS))
			must_apply(f);
	}
	for (unsigned at = 0; at < n; at++) {
		if (become_one(f, to, at / FLEET_BACKENDS, at % FLEET_BACKENDS))
			must_apply(f);
	}
	memcpy(f->has_snat, to->has_snat, sizeof(f->has_snat));
	f->has_addr = to->has_addr;
	f->gateway = to->gateway;
	f->key = to->key;
	sync_network(f);
	must_apply(f);
}

/* --- what must be --- */

/* The backend with this address, NULL when it has another one now or is gone. */
static const struct fleet_backend *find(const struct fleet *f, unsigned service, uint8_t host)
{
	const unsigned at = host - FLEET_HOST;
	const struct fleet_backend *b = &f->of[service].backends[at / FLEET_ADDRESSES];

	FLEET_NEED(at < FLEET_BACKENDS * FLEET_ADDRESSES, "host %u is no backend", host);
	return b->is_there && b->address == at % FLEET_ADDRESSES ? b : NULL;
}

bool fleet_is_out(const struct fleet *f, unsigned service, uint8_t host)
{
	const struct fleet_backend *b = find(f, service, host);

	return b == NULL || b->state == MR_BACKEND_DOWN || b->state == MR_BACKEND_EVICT;
}

bool fleet_is_open(const struct fleet *f, unsigned service, uint8_t host)
{
	const struct fleet_backend *b = find(f, service, host);

	return b != NULL && b->state == MR_BACKEND_UP && b->weight > 0;
}

bool fleet_has_open(const struct fleet *f, unsigned service)
{
	for (unsigned k = 0; k < FLEET_BACKENDS; k++) {
		const struct fleet_backend *b = &f->of[service].backends[k];

		if (b->is_there && b->state == MR_BACKEND_UP && b->weight > 0)
			return true;
	}
	return false;
}

uint8_t fleet_on_packet(const struct fleet *f, unsigned service, uint8_t host)
{
	const struct fleet_backend *b = find(f, service, host);
	const uint8_t on_down = f->of[service].spec.on_down;

	return b != NULL && b->state == MR_BACKEND_EVICT && on_down == MR_DOWN_KEEP ? MR_DOWN_RESET
										    : on_down;
}
