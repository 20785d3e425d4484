/* SPDX-License-Identifier: BSD-3-Clause */
/* everymode — see everymode.h. */
#include "everymode.h"

#include "fuzz.h"
#include "kv/kv_pvt.h"
#include "serve/serveconf.h"

static struct harness *h; /* since everymode_configure() */
static uint8_t poison;

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip;

	FUZZ_NEED(mr_ip_parse(&ip, text) == 0, text);
	return ip;
}

static void put(const struct mr_object *o)
{
	FUZZ_NEED(model_put(h->model, o) == 0, "no memory");
}

static void put_addr(const char *port, const char *ip, uint8_t len)
{
	struct mr_object o = {.type = MR_OBJ_ADDR, .addr = {.ip = ip_of(ip), .prefix_len = len}};

	snprintf(o.addr.port, sizeof(o.addr.port), "%s", port);
	put(&o);
}

static void put_gateway(const char *port, const char *ip)
{
	struct mr_object o = {.type = MR_OBJ_GATEWAY, .gateway = {.ip = ip_of(ip)}};

	snprintf(o.gateway.port, sizeof(o.gateway.port), "%s", port);
	put(&o);
}

static void put_snat(const char *ip)
{
	const struct mr_object o = {.type = MR_OBJ_SNAT, .snat = {.ip = ip_of(ip)}};

	put(&o);
}

static const struct {
	const char *name, *vip;
	uint16_t port;
	uint8_t proto, mode, sched, hash, source_prefix;
	uint16_t load_bound_pct;
} services[] = {
	{"web", "10.1.0.80", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_MAGLEV, MR_HASH_SOURCE, 24,
		125},
	{"dns", "10.1.0.80", 53, MR_PROTO_UDP, MR_MODE_FULLNAT, MR_SCHED_P2C, 0, 0, 0},
	{"six", "fd00:1::80", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_WLC, 0, 0, 0},
	{"dns6", "fd00:1::80", 53, MR_PROTO_UDP, MR_MODE_FULLNAT, MR_SCHED_SH, 0, 64, 0},
	{"direct", "10.1.0.90", 8080, MR_PROTO_TCP, MR_MODE_DSR_L2, MR_SCHED_MAGLEV, 0, 0, 0},
	{"quic6", "fd00:1::90", 443, MR_PROTO_UDP, MR_MODE_DSR_L2, MR_SCHED_RENDEZVOUS,
		MR_HASH_SOURCE_PORT, 0, 0},
	{"quic", "10.1.0.90", 443, MR_PROTO_UDP, MR_MODE_FULLNAT, MR_SCHED_RR, 0, 0, 0},
	{"ipip", "10.1.0.91", 80, MR_PROTO_TCP, MR_MODE_IPIP, MR_SCHED_MAGLEV, 0, 0, 0},
	{"gue6", "fd00:1::91", 80, MR_PROTO_TCP, MR_MODE_GUE, MR_SCHED_MAGLEV, 0, 0, 0},
	{"gue", "10.1.0.92", 53, MR_PROTO_UDP, MR_MODE_GUE, MR_SCHED_RENDEZVOUS, 0, 0, 0},
	{"dnat", "10.1.0.93", 80, MR_PROTO_TCP, MR_MODE_DNAT, MR_SCHED_RR, 0, 0, 0},
	{"dnat6", "fd00:1::93", 53, MR_PROTO_UDP, MR_MODE_DNAT, MR_SCHED_MAGLEV, 0, 0, 0},
	{"toa", "10.1.0.94", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_RR, 0, 0, 0},
	{"toa6", "fd00:1::94", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_RR, 0, 0, 0},
	{"proxy", "10.1.0.95", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_RR, 0, 0, 0},
	{"proxy6", "fd00:1::95", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_RR, 0, 0, 0},
	{"proxydns", "10.1.0.95", 53, MR_PROTO_UDP, MR_MODE_FULLNAT, MR_SCHED_RR, 0, 0, 0},
	{"proxydns6", "fd00:1::95", 53, MR_PROTO_UDP, MR_MODE_FULLNAT, MR_SCHED_LC, 0, 0, 0},
	{"cookies", "10.1.0.96", 80, MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_WRR, 0, 0, 0},
	{"cookies-dnat", "fd00:1::96", 80, MR_PROTO_TCP, MR_MODE_DNAT, MR_SCHED_LC, 0, 0, 0},
	{"dnatdns", "10.1.0.96", 53, MR_PROTO_UDP, MR_MODE_DNAT, MR_SCHED_RR, 0, 0, 0},
	{"directdns", "10.1.0.97", 53, MR_PROTO_UDP, MR_MODE_DSR_L2, MR_SCHED_SH, 0, 0, 0},
	{"direct6", "fd00:1::98", 80, MR_PROTO_TCP, MR_MODE_DSR_L2, MR_SCHED_WRR, 0, 0, 0},
	{"ipip6", "fd00:1::97", 80, MR_PROTO_TCP, MR_MODE_IPIP, MR_SCHED_MAGLEV, 0, 0, 0},
	{"guedns6", "fd00:1::96", 53, MR_PROTO_UDP, MR_MODE_GUE, MR_SCHED_MAGLEV, 0, 0, 0},
	{"cache", "10.1.0.99", 11211, MR_PROTO_UDP, MR_MODE_CACHE, MR_SCHED_RR, 0, 0, 0},
	{"cache6", "fd00:1::99", 11211, MR_PROTO_UDP, MR_MODE_CACHE, MR_SCHED_RR, 0, 0, 0},
	{"cache-cold", "10.1.0.98", 11211, MR_PROTO_UDP, MR_MODE_CACHE, MR_SCHED_RR, 0, 0, 0},
};

/* By the name. */
static uint8_t client_address_of(const char *service)
{
	if (strncmp(service, "toa", 3) == 0)
		return MR_CLIENT_ADDRESS_TOA;
	return strncmp(service, "proxy", 5) == 0 ? MR_CLIENT_ADDRESS_PROXY_V2 : 0;
}

static const struct {
	const char *service, *name, *ip;
	uint16_t port;
} backends[] = {
	{"web", "w1", "10.2.0.11", 8080},
	{"web", "w2", "10.2.0.12", 8080},
	{"dns", "d1", "10.2.0.11", 5353},
	{"dns", "d2", "10.2.0.13", 5353},
	{"six", "w1", "fd00:2::11", 8080},
	{"six", "w2", "fd00:2::12", 8080},
	{"dns6", "d1", "fd00:2::11", 5353},
	{"direct", "w1", "10.2.0.11", 8080},
	{"direct", "w2", "10.2.0.12", 8080},
	{"quic6", "q1", "fd00:2::11", 443},
	{"quic6", "q2", "fd00:2::12", 443},
	{"quic", "q1", "10.2.0.11", 4433},
	{"quic", "q2", "10.2.0.12", 4433},
	{"ipip", "i1", "fd00:2::13", 80},
	{"ipip", "i2", "10.2.0.13", 80}, /* a dataplane takes both, a configuration file one */
	{"gue6", "g1", "10.2.0.12", 80},
	{"gue", "g1", "fd00:2::12", 53},
	{"dnat", "n1", "10.2.0.11", 8080},
	{"dnat", "n2", "10.2.0.12", 8080},
	{"dnat6", "n1", "fd00:2::11", 5353},
	{"toa", "t1", "10.2.0.11", 8080},
	{"toa6", "t1", "fd00:2::11", 8080},
	{"proxy", "p1", "10.2.0.11", 8080},
	{"proxy6", "p1", "fd00:2::11", 8080},
	{"proxydns", "p1", "10.2.0.11", 5353},
	{"proxydns6", "p1", "fd00:2::11", 5353},
	{"cookies", "c1", "10.2.0.11", 8080},
	{"cookies", "c2", "10.2.0.13", 8080},
	{"cookies-dnat", "c1", "fd00:2::11", 8080},
	{"dnatdns", "n1", "10.2.0.11", 5353},
	{"directdns", "d1", "10.2.0.12", 53},
	{"direct6", "d1", "fd00:2::12", 80},
	{"ipip6", "i1", "10.2.0.12", 80},
	{"ipip6", "i2", "fd00:2::12", 80},
	{"guedns6", "g1", "10.2.0.13", 53},
	{"guedns6", "g2", "fd00:2::13", 53},
};

/* What services of the family may have as lists. */
static const struct {
	const char *ip;
	uint8_t len, action;
} lists[] = {
	{"10.1.0.10", 32, MR_ACL_DENY},
	{"10.1.0.0", 24, MR_ACL_ALLOW},
	{"fd00:1::10", 128, MR_ACL_DENY},
	{"fd00:1::", 64, MR_ACL_ALLOW},
};

static bool is_cache(unsigned i)
{
	return services[i].mode == MR_MODE_CACHE;
}

/* Nobody is a client of a cache over UDP who is not named. Half of the clients are in none of these. */
static const struct {
	const char *ip;
	uint8_t len;
} cache_clients[] = {{"10.1.0.0", 25}, {"fd00:1::", 72}};

static void put_cache_clients(unsigned i)
{
	const bool is_v6 = strchr(services[i].vip, ':') != NULL;
	struct mr_object o = {.type = MR_OBJ_ACL,
		.acl = {.ip = ip_of(cache_clients[is_v6].ip),
			.prefix_len = cache_clients[is_v6].len,
			.action = MR_ACL_ALLOW}};

	snprintf(o.acl.service, sizeof(o.acl.service), "%s", services[i].name);
	put(&o);
}

/* Small ones, so that things are given up. With other memory it is another cache, with other times the same one. */
static void put_cache(const char *name, uint8_t eviction, uint32_t kb, unsigned times)
{
	struct mr_object o = {.type = MR_OBJ_CACHE,
		.cache = {.memory_bytes = (uint64_t)kb << 10,
			.eviction = eviction,
			.value_max = 1500,
			.lease_ms = times & 1 ? 300 : 0,
			.early_pct = times & 2 ? 400 : 0,
			.stale_s = times & 4 ? 2 : 0}};

	snprintf(o.cache.name, sizeof(o.cache.name), "%s", name);
	put(&o);
}

/* These answer SYNs themselves above 5 a second. */
static bool has_cookies(const char *service)
{
	return strcmp(service, "six") == 0 || strncmp(service, "cookies", 7) == 0;
}

/* These services route by server ids of 2 bytes. */
static bool is_quic(const char *service)
{
	return strncmp(service, "quic", 4) == 0;
}

static void put_service(unsigned i)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE,
		.service = {.vip = ip_of(services[i].vip),
			.port = services[i].port,
			.proto = services[i].proto,
			.mode = services[i].mode,
			.sched = services[i].sched,
			.maglev_size = services[i].sched == MR_SCHED_MAGLEV ? 251 : 0,
			.hash = services[i].hash,
			.source_prefix = services[i].source_prefix,
			.load_bound_pct = services[i].load_bound_pct,
			.mss = services[i].mode == MR_MODE_DNAT && services[i].proto == MR_PROTO_TCP
				? 1000
				: 0,
			.client_address = client_address_of(services[i].name),
			.max_conns = i % 2 == 0 ? 24 : 0,
			.insert_rate = i == 5 ? 50 : 0,
			.syn_cookies = has_cookies(services[i].name) ? 5 : 0,
			.flow_rate = i % 3 == 0 ? 100 : 0,
			.source_rate = i % 3 != 2 ? 20 : 0,
			.packet_rate = i % 4 == 1 ? 200 : 0,
			.on_down = (uint8_t)(i % 3), /* web keeps, dns moves, six resets, … */
			.syn_timeout_ms = 500,
			.established_timeout_ms = 3000,
			.fin_timeout_ms = 600,
			.udp_timeout_ms = 1000}};

	if (is_cache(i)) {
		const bool is_cold = strcmp(services[i].name, "cache-cold") == 0;

		snprintf(o.service.cache, sizeof(o.service.cache), is_cold ? "cold" : "hot");
		o.service.reply_rate = is_cold ? 2 : 0;
		put_cache_clients(i);
	}
	if (is_quic(services[i].name)) {
		o.service.quic_id_len = 2;
		o.service.quic_id_offset = 1;
		o.service.quic_config = 1;
	}
	snprintf(o.service.name, sizeof(o.service.name), "%s", services[i].name);
	put(&o);
}

static uint8_t mode_of(const char *service)
{
	for (unsigned i = 0; i < RTE_DIM(services); i++) {
		if (strcmp(services[i].name, service) == 0)
			return services[i].mode;
	}
	return 0;
}

static void put_backend(unsigned i, uint8_t state)
{
	struct mr_object o = {.type = MR_OBJ_BACKEND,
		.backend = {.ip = ip_of(backends[i].ip),
			.port = backends[i].port,
			.weight = 1,
			.state = state,
			.max_conns = i % 4 == 0 ? 12 : 0}};

	if (is_quic(backends[i].service)) { /* "q1" has 00 01 */
		o.backend.quic_server_id[0] = 2;
		o.backend.quic_server_id[2] = (uint8_t)(backends[i].name[1] - '0');
	}
	if (mr_mode_is_direct(mode_of(backends[i].service)))
		o.backend.probe_port = (uint16_t)(MR_PROBE_PORT_MIN + i);
	snprintf(o.backend.service, sizeof(o.backend.service), "%s", backends[i].service);
	snprintf(o.backend.name, sizeof(o.backend.name), "%s", backends[i].name);
	put(&o);
}

/* What was in memory before an item was must not come out with it. */
static void poison_caches(void)
{
	const struct serve_conf *c = serve_conf_of(snapshot_get());

	for (unsigned i = 0; i < c->n_caches; i++) {
		const struct seg_pool *p = &c->caches[i]->kv->pool;

		for (uint32_t k = 0; k < p->n; k++) {
			if (p->segs[k].state == SEG_FREE)
				memset(seg_memory(p, k), poison, seg_size(p));
		}
	}
}

static void apply(void)
{
	struct mr_error err;
	int rc;

	snapshot_offline();
	rc = harness_apply(h, &err);
	snapshot_online();
	FUZZ_CHECK(rc == 0, "%s: %s", err.object, err.message);
	poison_caches();
}

void everymode_configure(struct harness *harness, uint8_t with)
{
	static const struct mr_object settings = {.type = MR_OBJ_SETTINGS};

	h = harness;
	poison = with;
	put(&settings);
	put_addr("north", "10.1.0.1", 24);
	put_addr("north", "fd00:1::1", 64);
	put_addr("south", "10.2.0.1", 24);
	put_addr("south", "fd00:2::1", 64);
	put_gateway("north", "10.1.0.254");
	put_gateway("north", "fd00:1::fe");
	put_snat("10.2.0.100");
	put_snat("10.2.0.101");
	put_snat("fd00:2::100");
	put_cache("hot", MR_EVICTION_S3FIFO, 2048, 7);
	put_cache("cold", MR_EVICTION_LRU, 1536, 0);
	for (unsigned i = 0; i < RTE_DIM(services); i++)
		put_service(i);
	for (unsigned i = 0; i < RTE_DIM(backends); i++)
		put_backend(i, MR_BACKEND_UP);
	apply();
}

/* Twice: the generation behind the last one that names a backend still has its record. */
void everymode_unconfigure(void)
{
	model_destroy(&h->model);
	FUZZ_NEED(model_create(&h->model) == 0, "no memory");
	apply();
	apply();
}

static bool has_service(const char *name)
{
	for (unsigned i = 0; i < model_size(h->model); i++) {
		const struct mr_object *o = model_at(h->model, i);

		if (o->type == MR_OBJ_SERVICE && strcmp(o->service.name, name) == 0)
			return true;
	}
	return false;
}

static void del_service(const char *name)
{
	char key[MR_TEXT_MAX];

	for (unsigned i = 0; i < RTE_DIM(backends); i++) {
		if (strcmp(backends[i].service, name) != 0)
			continue;
		snprintf(key, sizeof(key), "backend/%s/%s", name, backends[i].name);
		model_del(h->model, key);
	}
	for (unsigned i = 0; i < RTE_DIM(lists); i++) {
		snprintf(key, sizeof(key), "acl/%s/%s/%u", name, lists[i].ip, lists[i].len);
		model_del(h->model, key);
	}
	for (unsigned i = 0; i < RTE_DIM(cache_clients); i++) {
		snprintf(key, sizeof(key), "acl/%s/%s/%u", name, cache_clients[i].ip,
			cache_clients[i].len);
		model_del(h->model, key);
	}
	snprintf(key, sizeof(key), "service/%s", name);
	model_del(h->model, key);
}

/* The prefix if the service has it not, else it goes. */
static void edit_list(const char *service, unsigned i)
{
	struct mr_object o = {.type = MR_OBJ_ACL,
		.acl = {.ip = ip_of(lists[i].ip),
			.prefix_len = lists[i].len,
			.action = lists[i].action}};
	char key[MR_TEXT_MAX];

	snprintf(o.acl.service, sizeof(o.acl.service), "%s", service);
	mr_object_key_text(&o, key, sizeof(key));
	if (model_del(h->model, key) != 0)
		put(&o);
}

/* Another policy or size begins anew beside the cache that is there; other times are in force for what is in it. */
static void edit_cache(unsigned n)
{
	static const uint8_t policies[] = {
		MR_EVICTION_S3FIFO, MR_EVICTION_FIFO, MR_EVICTION_LFU, MR_EVICTION_SIEVE};

	if (n < 4)
		put_cache("hot", policies[n], 2048 + 512 * n, 7 - n);
	else if (n < 8)
		put_cache("hot", MR_EVICTION_S3FIFO, 2048, n);
	else if (model_del(h->model, "cache/side") != 0)
		put_cache("side", MR_EVICTION_LFU, 1536, n);
}

static void edit_cache_list(unsigned n)
{
	const unsigned s = RTE_DIM(services) - 1 - n % 3;

	if (has_service(services[s].name))
		edit_list(services[s].name, strchr(services[s].vip, ':') != NULL ? 2 : 0);
}

void everymode_edit(uint8_t e)
{
	const unsigned b = (e >> 2) % RTE_DIM(backends), s = e % RTE_DIM(services);
	char key[MR_TEXT_MAX];

	if (e >= 0xfd) {
		edit_cache_list(e);
	} else if (e >= 0xf4) {
		edit_cache(e - 0xf4u);
	} else if (e >= 0xf0) {
		if (model_del(h->model, "snat/10.2.0.101") != 0)
			put_snat("10.2.0.101");
	} else if (e >= 0xe0) {
		if (has_service(services[s].name))
			edit_list(services[s].name,
				(e & 1) + (strchr(services[s].vip, ':') != NULL ? 2 : 0));
	} else if (e >= 0xc0) {
		if (has_service(services[s].name))
			del_service(services[s].name);
		else
			put_service(s);
	} else if (has_service(backends[b].service) && (e & 3) != 0) {
		put_backend(b, e & 0x80 ? MR_BACKEND_EVICT : e & 3);
	} else {
		snprintf(key, sizeof(key), "backend/%s/%s", backends[b].service, backends[b].name);
		model_del(h->model, key);
	}
	apply();
}
