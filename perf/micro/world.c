/* SPDX-License-Identifier: BSD-3-Clause */
/* world — see world.h. */
#include "world.h"

#include "base/csum.h"

#include <rte_ip.h>

/* Of each family: a million flows are below three quarters, from which on services of direct modes make no entries. */
#define N_CONNS (3u << 19)
#define N_BASIC 16u /* services that are always there */
#define N_BACKENDS 10u
#define N_SNATS 16u /* of each family: 64,512 ports each */
#define NORTH 0u
#define SOUTH 1u
#define L3 14u

static struct harness world;
static bool world_is_shaped;

/* --- configuration --- */

static struct mr_ip ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct mr_ip){.family = 4, .bytes = {a, b, c, d}};
}

static struct mr_ip ip6(uint8_t net, uint8_t group, uint8_t host)
{
	return (struct mr_ip){.family = 6, .bytes = {0xfd, net, [14] = group, [15] = host}};
}

static void put_addr(struct model *m, const char *port, struct mr_ip ip)
{
	struct mr_object o = {.type = MR_OBJ_ADDR, .addr = {.ip = ip}};

	snprintf(o.addr.port, MR_NAME_MAX, "%s", port);
	o.addr.prefix_len = ip.family == 4 ? 16 : 64;
	model_put(m, &o);
}

static void put_gateway(struct model *m, struct mr_ip ip)
{
	const struct mr_object o = {.type = MR_OBJ_GATEWAY, .gateway = {.port = "north", .ip = ip}};

	model_put(m, &o);
}

static void put_backend(struct model *m, const struct mr_service *s, unsigned k)
{
	struct mr_object o = {.type = MR_OBJ_BACKEND};

	memcpy(o.backend.service, s->name, MR_NAME_MAX);
	snprintf(o.backend.name, MR_NAME_MAX, "pool/backend-%u", k);
	o.backend.ip = s->vip.family == 6 ? ip6(2, 0, (uint8_t)(0x11 + k))
		: k < N_BACKENDS          ? ip4(10, 2, 0, (uint8_t)(11 + k))
				 : ip4(10, 2, (uint8_t)(2 + k / 250), (uint8_t)(1 + k % 250));
	o.backend.port = mr_mode_is_direct(s->mode) ? s->port : 8080;
	o.backend.weight = 1;
	o.backend.state = MR_BACKEND_UP;
	model_put(m, &o);
}

static struct mr_ip vip_of(unsigned family, enum world_mode mode)
{
	const uint8_t host = (uint8_t)(1 + mode);

	return family == 4 ? ip4(10, 9, 0, host) : ip6(9, 0, host);
}

/* The i-th service of those that path/shaped/ has its flows to. */
static struct mr_ip shaped_vip(uint32_t i)
{
	return ip4(10, 9, (uint8_t)(2 + i / 250), (uint8_t)(1 + i % 250));
}

static void put_service_telling(struct model *m, const char *name, struct mr_ip vip, uint8_t mode,
	unsigned n_backends, uint8_t client_address)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE,
		.service = {.vip = vip,
			.port = 80,
			.proto = MR_PROTO_TCP,
			.mode = mode,
			.sched = MR_SCHED_MAGLEV,
			.client_address = client_address}};

	snprintf(o.service.name, MR_NAME_MAX, "%s", name);
	model_put(m, &o);
	for (unsigned k = 0; k < n_backends; k++)
		put_backend(m, &o.service, k);
}

static void put_service(
	struct model *m, const char *name, struct mr_ip vip, uint8_t mode, unsigned n_backends)
{
	put_service_telling(m, name, vip, mode, n_backends, MR_CLIENT_ADDRESS_NONE);
}

static void fill_model(struct model *m)
{
	put_addr(m, "north", ip4(10, 1, 0, 1));
	put_addr(m, "south", ip4(10, 2, 0, 1));
	put_addr(m, "north", ip6(1, 0, 1));
	put_addr(m, "south", ip6(2, 0, 1));
	put_gateway(m, ip4(10, 1, 0, 254));
	put_gateway(m, ip6(1, 0, 0xfe));
	for (unsigned i = 0; i < N_SNATS; i++) {
		struct mr_object o = {.type = MR_OBJ_SNAT};

		o.snat.ip = ip4(10, 2, 1, (uint8_t)(1 + i));
		model_put(m, &o);
		o.snat.ip = ip6(2, 1, (uint8_t)(1 + i));
		model_put(m, &o);
	}
	put_service(m, "nat4", vip_of(4, WORLD_FULLNAT), MR_MODE_FULLNAT, N_BACKENDS);
	put_service(m, "nat6", vip_of(6, WORLD_FULLNAT), MR_MODE_FULLNAT, N_BACKENDS);
	put_service(m, "dsr4", vip_of(4, WORLD_DSR), MR_MODE_DSR_L2, N_BACKENDS);
	put_service(m, "dsr6", vip_of(6, WORLD_DSR), MR_MODE_DSR_L2, N_BACKENDS);
	put_service(m, "ipip4", vip_of(4, WORLD_IPIP), MR_MODE_IPIP, N_BACKENDS);
	put_service(m, "ipip6", vip_of(6, WORLD_IPIP), MR_MODE_IPIP, N_BACKENDS);
	put_service(m, "gue4", vip_of(4, WORLD_GUE), MR_MODE_GUE, N_BACKENDS);
	put_service(m, "gue6", vip_of(6, WORLD_GUE), MR_MODE_GUE, N_BACKENDS);
	put_service(m, "dnat4", vip_of(4, WORLD_DNAT), MR_MODE_DNAT, N_BACKENDS);
	put_service(m, "dnat6", vip_of(6, WORLD_DNAT), MR_MODE_DNAT, N_BACKENDS);
	put_service_telling(m, "proxy4", vip_of(4, WORLD_PROXY), MR_MODE_FULLNAT, N_BACKENDS,
		MR_CLIENT_ADDRESS_PROXY_V2);
	put_service_telling(m, "proxy6", vip_of(6, WORLD_PROXY), MR_MODE_FULLNAT, N_BACKENDS,
		MR_CLIENT_ADDRESS_PROXY_V2);
	for (unsigned i = 12; i < N_BASIC; i++) {
		char name[MR_NAME_MAX];

		snprintf(name, sizeof(name), "other-%u", i);
		put_service(m, name, ip4(10, 9, 1, (uint8_t)i), MR_MODE_DSR_L2, N_BACKENDS);
	}
}

/* The world of path/shaped/: nothing but what was asked for. */
static void fill_shaped(struct model *m)
{
	put_addr(m, "north", ip4(10, 1, 0, 1));
	put_addr(m, "south", ip4(10, 2, 0, 1));
	put_gateway(m, ip4(10, 1, 0, 254));
	for (uint32_t i = 0; i < bench_shape.n_services; i++) {
		char name[MR_NAME_MAX];

		snprintf(name, sizeof(name), "shaped-%u", i);
		put_service(m, name, shaped_vip(i), MR_MODE_DSR_L2,
			i == 0 ? bench_shape.n_backends : N_BACKENDS);
	}
}

/* Nobody answers here: next hops are made known by hand. Gateways, too, which are asked for by the first
 * packet that needs one. */
static void resolve(struct harness *h)
{
	const struct mr_ip gateways[] = {ip4(10, 1, 0, 254), ip6(1, 0, 0xfe)};

	for (unsigned i = 0; i < RTE_DIM(gateways); i++) {
		struct neigh_key k = {.family = gateways[i].family, .iface = NORTH};

		memcpy(k.ip, gateways[i].bytes, sizeof(k.ip));
		neigh_pin(h->neigh, &k, h->now_ms);
	}
	for (uint32_t i = 0; i < h->neigh->n_slots; i++) {
		uint64_t *word = &h->neigh->slots[i].word;

		if (*word >> 56 == 0)
			continue;
		*word = (*word & (0xffull << 48)) | (uint64_t)MR_NEIGH_REACHABLE << 56
			| (uint64_t)(i + 1) << 32 | 2;
	}
}

static bool make(const struct harness_params *p, void (*fill)(struct model *m))
{
	struct mr_error err;

	harness_init(&world, p);
	fill(world.model);
	if (harness_apply(&world, &err) != 0) {
		fprintf(stderr, "world: %s: %s\n", err.object, err.message);
		return false;
	}
	resolve(&world);
	return true;
}

struct harness *world_of_workers(unsigned n_workers, uint32_t n_conns)
{
	const struct harness_params p = {.n_workers = n_workers,
		.n_queues = n_workers,
		.n_conns4 = n_conns,
		.n_conns6 = 1024,
		.n_mbufs = 4096 + 4096 * n_workers};

	if (!make(&p, fill_model))
		return NULL;
	for (unsigned i = 0; i < n_workers; i++)
		for (unsigned q = 0; q < world.workers[i]->n_queues; q++)
			world.workers[i]->queues[q].has_rss = 1;
	return &world;
}

struct harness *world_get(bool is_shaped)
{
	const struct bench_shape *shape = &bench_shape;
	struct harness_params p = {.n_workers = 1,
		.n_queues = 1,
		.n_conns4 = N_CONNS,
		.n_conns6 = N_CONNS,
		.n_mbufs = 4096,
		.cache_mb = is_shaped ? 0 : bench_cache_mb};
	static bool is_up;

	if (is_up)
		return is_shaped == world_is_shaped ? &world : NULL;
	world_is_shaped = is_shaped;
	if (is_shaped) { /* a table that is three quarters full takes no entries of such services */
		p.n_conns4 = shape->n_flows * 3 / 2 > 65536 ? shape->n_flows * 3 / 2 : 65536;
		p.n_conns6 = 1024;
		p.n_neighs = 32768;
		p.n_services = shape->n_services + 1;
		p.n_backends = shape->n_backends + shape->n_services * N_BACKENDS;
	}
	is_up = true;
	return make(&p, is_shaped ? fill_shaped : fill_model) ? &world : NULL;
}

/* --- time --- */

void world_pass(struct harness *h, uint32_t ms)
{
	h->now_ms += ms;
	worker_poll(h->workers[0], h->now_ms * 1000ull);
}

void world_clear(struct harness *h)
{
	if (conn_count(lb_worker_conns(h->workers[0]->lb)) > 0)
		world_pass(h, MR_ESTABLISHED_TIMEOUT_MS + 1000);
	while (conn_count(lb_worker_conns(h->workers[0]->lb)) > 0)
		world_pass(h, 1);
}

/* --- streams --- */

static void set_csum(struct world_stream *s, struct world_flow4 *f)
{
	struct rte_ipv4_hdr ip;

	memcpy(&ip, s->frame.bytes + L3, sizeof(ip));
	ip.src_addr = f->src;
	ip.dst_addr = f->dst;
	ip.hdr_checksum = 0;
	f->ip_csum = csum_of(&ip, sizeof(ip));
}

static void stream_alloc(struct world_stream *s, unsigned family, enum world_way way, uint32_t n)
{
	memset(s, 0, sizeof(*s));
	s->family = family;
	s->n = n;
	s->in = way == WORLD_OUT ? NORTH : SOUTH;
	s->out = way == WORLD_OUT ? SOUTH : NORTH;
	if (family == 4)
		s->f4 = shim_alloc(n * sizeof(s->f4[0]));
	else
		s->f6 = shim_alloc(n * sizeof(s->f6[0]));
	shim_frame(&s->frame, family, IPPROTO_TCP, 0x10);
	s->frame.bytes[5] = (uint8_t)(s->in + 1); /* last byte of the port's MAC */
}

static void set_flow(struct world_stream *s, uint32_t at, uint32_t flow, const struct mr_ip *vip)
{
	const uint32_t ip = rte_cpu_to_be_32(RTE_IPV4(172, 16, 0, 0) + flow / 8);
	const rte_be16_t sport = rte_cpu_to_be_16((uint16_t)(20000 + flow % 8 * 1237));

	if (s->family == 4) {
		struct world_flow4 *f = &s->f4[at];

		f->src = ip;
		memcpy(&f->dst, vip->bytes, 4);
		f->sport = sport;
		f->dport = RTE_BE16(80);
		set_csum(s, f);
	} else {
		struct world_flow6 *f = &s->f6[at];

		*f = (struct world_flow6){
			.src = {0x20, 1, 0xd, 0xb8}, .sport = sport, .dport = RTE_BE16(80)};
		memcpy(f->src + 12, &ip, 4);
		memcpy(f->dst, vip->bytes, 16);
	}
}

static void set_tcp_flags(struct world_stream *s, uint8_t tcp_flags)
{
	s->frame.bytes[L3 + (s->family == 4 ? 20 : 40) + 13] = tcp_flags;
}

static void set_ack(struct world_stream *s, uint32_t ack)
{
	const rte_be32_t be = rte_cpu_to_be_32(ack);

	memcpy(s->frame.bytes + L3 + (s->family == 4 ? 20 : 40) + 8, &be, sizeof(be));
}

void world_stream_init(struct world_stream *s, unsigned family, enum world_mode mode, uint32_t n,
	uint8_t tcp_flags, unsigned worker)
{
	struct mr_ip vip = vip_of(family, mode);
	uint32_t *order = shim_shuffled(n);

	stream_alloc(s, family, WORLD_OUT, n);
	s->worker = worker;
	set_tcp_flags(s, tcp_flags);
	for (uint32_t i = 0; i < n; i++) {
		if (mode == WORLD_SHAPED)
			vip = shaped_vip(order[i] % bench_shape.n_services);
		set_flow(s, i, worker * n + order[i], &vip);
	}
	free(order);
}

void world_stream_fini(struct world_stream *s)
{
	free(s->f4);
	free(s->f6);
	memset(s, 0, sizeof(*s));
}

/* The frame is one or two lines; addresses and ports are written over the template's. */
void world_emit(struct world_stream *s, struct rte_mbuf *m)
{
	uint8_t *to;

	rte_pktmbuf_reset_headroom(m); /* a tunnel has taken some */
	to = rte_pktmbuf_mtod(m, uint8_t *);
	if (s->family == 4) {
		const struct world_flow4 *f = &s->f4[s->at];

		memcpy(to, s->frame.bytes, 64);
		memcpy(to + L3 + 12, &f->src, 8);
		memcpy(to + L3 + 20, &f->sport, 4);
		memcpy(to + L3 + 10, &f->ip_csum, 2);
	} else {
		const struct world_flow6 *f = &s->f6[s->at];

		memcpy(to, s->frame.bytes, 80);
		memcpy(to + L3 + 8, f->src, 32);
		memcpy(to + L3 + 40, &f->sport, 4);
	}
	m->data_len = (uint16_t)s->frame.len;
	m->pkt_len = s->frame.len;
	m->ol_flags = RTE_MBUF_F_RX_RSS_HASH;
	m->hash.rss = s->worker;
	s->at = s->at + 1 == s->n ? 0 : s->at + 1;
}

/* --- opening flows --- */

/* The answer to a frame that went to a backend. */
static void set_answer(struct world_stream *back, uint32_t at, const uint8_t *frame)
{
	if (back->family == 4) {
		struct world_flow4 *f = &back->f4[at];

		memcpy(&f->src, frame + L3 + 16, 4);
		memcpy(&f->dst, frame + L3 + 12, 4);
		memcpy(&f->sport, frame + L3 + 22, 2);
		memcpy(&f->dport, frame + L3 + 20, 2);
		set_csum(back, f);
	} else {
		struct world_flow6 *f = &back->f6[at];

		memcpy(f->src, frame + L3 + 24, 16);
		memcpy(f->dst, frame + L3 + 8, 16);
		memcpy(&f->sport, frame + L3 + 42, 2);
		memcpy(&f->dport, frame + L3 + 40, 2);
	}
}

/* One packet of every flow, in the flows' order. */
static bool send_all(struct harness *h, struct world_stream *s, struct world_stream *back)
{
	struct rte_ring *rx = h->rx[s->in][harness_queue(h, s->worker, s->in)];
	struct rte_mbuf **mbufs = shim_mbufs();

	s->at = 0;
	for (uint32_t done = 0; done < s->n; done += SHIM_BURST) {
		const uint32_t n = s->n - done < SHIM_BURST ? s->n - done : SHIM_BURST;
		struct rte_mbuf *out[SHIM_BURST];

		for (uint32_t i = 0; i < n; i++)
			world_emit(s, mbufs[i]);
		rte_ring_enqueue_bulk(rx, (void **)mbufs, n, NULL);
		worker_poll(h->workers[s->worker], h->now_ms * 1000ull);
		if (rte_ring_dequeue_burst(h->tx[s->out][s->worker], (void **)out, n, NULL) != n)
			return false;
		for (uint32_t i = 0; back != NULL && i < n; i++)
			set_answer(back, done + i, rte_pktmbuf_mtod(out[i], const uint8_t *));
	}
	return true;
}

static void shuffle(struct world_stream *s)
{
	uint64_t seed = 13;

	for (uint32_t i = 1; i < s->n; i++) {
		const uint32_t at = (uint32_t)(shim_random(&seed) % (i + 1));

		if (s->family == 4) {
			const struct world_flow4 f = s->f4[i];

			s->f4[i] = s->f4[at];
			s->f4[at] = f;
		} else {
			const struct world_flow6 f = s->f6[i];

			s->f6[i] = s->f6[at];
			s->f6[at] = f;
		}
	}
}

bool world_open(struct harness *h, struct world_stream *out, struct world_stream *back)
{
	bool is_ok;

	if (back != NULL) {
		stream_alloc(back, out->family, WORLD_BACK, out->n);
		back->worker = out->worker;
		set_ack(back, 1000); /* beyond anything that was put in front of a stream */
	}
	set_tcp_flags(out, 0x02);
	is_ok = send_all(h, out, back);
	set_tcp_flags(out, 0x10);
	is_ok = is_ok && send_all(h, out, NULL);
	/* the first packet back asks for the way to the client; later ones know it */
	if (back != NULL)
		is_ok = is_ok && send_all(h, back, NULL);
	/* entries were given out in this order: no packet may profit from it */
	shuffle(out);
	if (back != NULL)
		shuffle(back);
	return is_ok;
}
