/* SPDX-License-Identifier: BSD-3-Clause */
/* lbfix — see lbfix.h. */
#include "lbfix.h"

#include "base/csum.h"
#include "base/keyhash.h"
#include "eal.h"
#include "net/parse.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <stdlib.h>

int fix_eal(const char *program)
{
	keyhash_init_seed(42);
	return eal_start(program, 256);
}

static uint64_t in_use(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	const struct fix *f = ctx;

	return lb_worker_in_use(f->w->lb, kind, slot);
}

static void on_give(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	struct fix *f = ctx;

	lb_worker_clear(f->w->lb, kind, slot);
	f->n_given++;
}

static void output(void *ctx, unsigned iface, struct rte_mbuf *m)
{
	(void)ctx;
	(void)iface;
	rte_pktmbuf_free(m);
}

struct mr_ip fix_ip(const char *text)
{
	struct mr_ip ip;

	assert_int_equal(mr_ip_parse(&ip, text), 0);
	return ip;
}

static void add_addr(struct fix *f, const char *port, const char *ip, uint8_t prefix_len)
{
	struct mr_addr *a = &f->model.addrs[f->model.n_addrs++];

	snprintf(a->port, sizeof(a->port), "%s", port);
	a->ip = fix_ip(ip);
	a->prefix_len = prefix_len;
}

static void add_gateway(struct fix *f, const char *port, const char *ip)
{
	struct mr_gateway *g = &f->model.gateways[f->model.n_gateways++];

	snprintf(g->port, sizeof(g->port), "%s", port);
	g->ip = fix_ip(ip);
}

static void model_up(struct fix *f)
{
	f->model.services = calloc(FIX_SERVICES, sizeof(f->model.services[0]));
	f->model.backends = calloc(FIX_BACKENDS, sizeof(f->model.backends[0]));
	add_addr(f, "wan", "192.0.2.1", 24);
	add_addr(f, "wan", "2001:db8:1::1", 64);
	add_addr(f, "lan", "10.0.0.1", 16);
	add_addr(f, "lan", "2001:db8:2::1", 64);
	add_gateway(f, "wan", "192.0.2.254");
	add_gateway(f, "wan", "2001:db8:1::fe");
	f->ifaces.n = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct iface *iface = &f->ifaces.of[i];

		snprintf(iface->name, sizeof(iface->name), "%s", i == FIX_WAN ? "wan" : "lan");
		iface->mac.addr_bytes[0] = 0x06;
		iface->mac.addr_bytes[5] = (uint8_t)(i + 1);
		iface->mtu_bytes = 1500;
	}
}

void fix_up(struct fix *f, const struct fix_options *o)
{
	const struct lb_limits defaults = {64, 256, 8, 1};
	const struct lb_limits limits = o->limits.n_services ? o->limits : defaults;
	const uint32_t n_conns = o->n_conns ? o->n_conns : 1024;
	const struct lb_worker_params lp = {.n_workers = o->n_workers ? o->n_workers : 1,
		.n_conns4 = n_conns,
		.n_conns6 = n_conns,
		.limits = limits,
		.seed = 7};
	struct neigh_params np = {
		.n_slots = 16384, .hold_max = 8, .ifaces = &f->ifaces, .output = output};

	memset(f, 0, sizeof(*f));
	model_up(f);
	f->pool = rte_pktmbuf_pool_create("fix", 1023, 0, BURST_MBUF_PRIV, 2048, 0);
	assert_non_null(f->pool);
	assert_int_equal(tally_set_create(&f->tallies, 1), 0);
	f->tally = tally_of(f->tallies, 0);
	np.pool = f->pool;
	np.tally = tally_of(f->tallies, 1);
	assert_int_equal(neigh_table_create(&f->neigh, &np), 0);
	f->w = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*f->w), 64));
	memset(f->w, 0, sizeof(*f->w));
	f->w->n_workers = (uint16_t)lp.n_workers;
	f->w->ifaces = &f->ifaces;
	f->w->tally = f->tally;
	f->w->neigh = f->neigh;
	f->w->now_ms = 1000;
	assert_int_equal(lb_worker_create(&f->w->lb, &lp), 0);
	assert_int_equal(lb_registry_create(&f->registry, &limits, f->neigh, in_use, f), 0);
	lb_registry_set_on_give(f->registry, on_give);
}

void fix_down(struct fix *f)
{
	lb_conf_destroy(&f->conf, f->registry);
	addr_conf_destroy(&f->addrs);
	lb_registry_destroy(&f->registry);
	lb_worker_destroy(&f->w->lb);
	neigh_table_destroy(&f->neigh);
	assert_int_equal(rte_mempool_in_use_count(f->pool), 0);
	rte_mempool_free(f->pool);
	tally_set_destroy(&f->tallies);
	free(f->w);
	free(f->model.services);
	free(f->model.backends);
}

struct mr_service *fix_service(struct fix *f, const char *name, const char *vip, uint16_t port,
	unsigned mode, unsigned sched)
{
	struct mr_service *s = &f->model.services[f->model.n_services++];

	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->vip = fix_ip(vip);
	s->port = port;
	s->proto = MR_PROTO_TCP;
	s->mode = (uint8_t)mode;
	s->sched = (uint8_t)sched;
	return s;
}

struct mr_backend *fix_backend(
	struct fix *f, const char *service, const char *name, const char *ip, uint16_t port)
{
	struct mr_backend *b = &f->model.backends[f->model.n_backends++];

	memset(b, 0, sizeof(*b));
	snprintf(b->service, sizeof(b->service), "%s", service);
	snprintf(b->name, sizeof(b->name), "%s", name);
	b->ip = fix_ip(ip);
	b->port = port;
	b->weight = 1;
	b->state = MR_BACKEND_UP;
	return b;
}

struct mr_backend *fix_find_backend(struct fix *f, const char *service, const char *name)
{
	for (unsigned i = 0; i < f->model.n_backends; i++) {
		struct mr_backend *b = &f->model.backends[i];

		if (strcmp(b->service, service) == 0 && strcmp(b->name, name) == 0)
			return b;
	}
	return NULL;
}

void fix_del_backend(struct fix *f, const char *service, const char *name)
{
	struct mr_backend *b = fix_find_backend(f, service, name);

	*b = f->model.backends[--f->model.n_backends];
}

void fix_snat(struct fix *f, const char *ip)
{
	f->model.snats[f->model.n_snats++].ip = fix_ip(ip);
}

static int build_addrs(struct fix *f, struct addr_conf **out)
{
	struct mr_ip snats[LB_SNATS_MAX];
	struct mr_ip *vips = calloc(f->model.n_services + 1, sizeof(*vips));
	const int n =
		lb_registry_snats(f->registry, f->model.snats, f->model.n_snats, snats, &f->err);
	struct addr_spec spec = {.ifaces = &f->ifaces,
		.addrs = f->model.addrs,
		.gateways = f->model.gateways,
		.vips = vips,
		.snats = snats,
		.n_addrs = f->model.n_addrs,
		.n_gateways = f->model.n_gateways,
		.n_vips = f->model.n_services,
		.n_snats = n < 0 ? 0 : (unsigned)n};
	int rc = n;

	for (unsigned i = 0; i < f->model.n_services; i++)
		vips[i] = f->model.services[i].vip;
	if (n >= 0)
		rc = addr_conf_create(out, &spec, &f->err);
	free(vips);
	return rc;
}

int fix_apply(struct fix *f)
{
	struct addr_conf *addrs = NULL;
	struct lb_conf *conf = NULL;
	struct lb_spec spec = {.services = f->model.services,
		.backends = f->model.backends,
		.snats = f->model.snats,
		.n_services = f->model.n_services,
		.n_backends = f->model.n_backends,
		.n_snats = f->model.n_snats,
		.hash_key = f->model.hash_key,
		.ifaces = &f->ifaces,
		.now_ms = f->w->now_ms};
	int rc = build_addrs(f, &addrs);

	if (rc != 0)
		return rc;
	spec.addrs = addrs;
	rc = lb_conf_create(&conf, f->registry, &spec, f->conf, &f->err);
	if (rc != 0) {
		addr_conf_destroy(&addrs);
		return rc;
	}
	lb_conf_destroy(&f->conf, f->registry);
	addr_conf_destroy(&f->addrs);
	f->conf = conf;
	f->addrs = addrs;
	return 0;
}

void fix_resolve(struct fix *f)
{
	for (uint32_t i = 0; i < f->neigh->n_slots; i++) {
		uint64_t *word = &f->neigh->slots[i].word;
		uint8_t mac[8] = {2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
		uint64_t w;

		if (*word >> 56 == 0)
			continue;
		memcpy(&w, mac, sizeof(w));
		*word = w | (*word & (0xffull << 48)) | (uint64_t)MR_NEIGH_REACHABLE << 56;
	}
}

static struct neigh_key neigh_key_of(unsigned iface, const char *ip)
{
	const struct mr_ip a = fix_ip(ip);
	struct neigh_key k = {.family = a.family, .iface = (uint8_t)iface};

	memcpy(k.ip, a.bytes, sizeof(k.ip));
	return k;
}

bool fix_mac(struct fix *f, unsigned iface, const char *ip, struct rte_ether_addr *mac)
{
	const struct neigh_key k = neigh_key_of(iface, ip);
	const struct neigh_key *keys[1] = {&k};
	uint32_t ref;

	neigh_find_bulk(f->neigh, keys, 1, &ref);
	return neigh_fill(f->neigh, ref, mac);
}

void fix_learn(struct fix *f, unsigned iface, const char *ip)
{
	const struct neigh_key k = neigh_key_of(iface, ip);

	neigh_unpin(f->neigh, neigh_pin(f->neigh, &k, f->w->now_ms));
	fix_resolve(f);
}

uint32_t fix_service_slot(const struct fix *f, const char *name)
{
	for (uint32_t i = 0; i < f->conf->n_services; i++) {
		if (f->conf->services[i] != NULL
			&& strcmp(f->conf->services[i]->spec.name, name) == 0)
			return i;
	}
	return UINT32_MAX;
}

uint32_t fix_backend_slot(const struct fix *f, const char *service, const char *name)
{
	const uint32_t slot = fix_service_slot(f, service);
	const struct lb_service *s = slot == UINT32_MAX ? NULL : f->conf->services[slot];

	for (unsigned i = 0; s != NULL && i < s->n_backends; i++) {
		if (strcmp(s->backends[i].name, name) == 0)
			return s->backend_idx[i];
	}
	return UINT32_MAX;
}

/* --- frames --- */

static uint16_t l4_csum(const struct mr_ip *src, const struct mr_ip *dst, uint8_t proto,
	const void *l4, uint32_t len)
{
	return csum_l4(src->bytes, dst->bytes, mr_ip_len(src), proto, l4, len);
}

static uint32_t build_l4(uint8_t *l4, const struct fix_frame *x, const struct mr_ip *src,
	const struct mr_ip *dst, uint8_t proto)
{
	const uint32_t hdr = proto == MR_PROTO_TCP ? 20 : 8;
	const uint32_t len = hdr + x->n_payload;

	memset(l4, 0, hdr);
	for (uint32_t i = 0; i < x->n_payload; i++)
		l4[hdr + i] = (uint8_t)(i * 7 + 3);
	if (proto == MR_PROTO_TCP) {
		struct rte_tcp_hdr *tcp = (void *)l4;

		tcp->src_port = rte_cpu_to_be_16(x->sport);
		tcp->dst_port = rte_cpu_to_be_16(x->dport);
		tcp->data_off = 0x50;
		tcp->tcp_flags = x->tcp_flags;
		tcp->sent_seq = RTE_BE32(0x12345678);
		tcp->cksum = l4_csum(src, dst, proto, l4, len);
	} else {
		struct rte_udp_hdr *udp = (void *)l4;

		udp->src_port = rte_cpu_to_be_16(x->sport);
		udp->dst_port = rte_cpu_to_be_16(x->dport);
		udp->dgram_len = rte_cpu_to_be_16((uint16_t)len);
		if (!x->has_no_csum) {
			udp->dgram_cksum = l4_csum(src, dst, proto, l4, len);
			if (udp->dgram_cksum == 0)
				udp->dgram_cksum = 0xffff;
		}
	}
	return len;
}

struct rte_mbuf *fix_mbuf(struct fix *f, const struct fix_frame *x)
{
	const struct mr_ip src = fix_ip(x->src), dst = fix_ip(x->dst);
	const uint8_t proto = x->proto ? x->proto : MR_PROTO_TCP;
	struct rte_mbuf *m = rte_pktmbuf_alloc(f->pool);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_ether_hdr *eth = (void *)frame;
	const uint32_t l3_len = src.family == 4 ? 20 : 40;
	const uint32_t l4_len = build_l4(frame + 14 + l3_len, x, &src, &dst, proto);

	memset(frame, 0, 14 + l3_len);
	eth->src_addr.addr_bytes[0] = 0x02;
	eth->src_addr.addr_bytes[1] = 0xaa;
	eth->ether_type = rte_cpu_to_be_16(src.family == 4 ? 0x0800 : 0x86dd);
	if (src.family == 4) {
		struct rte_ipv4_hdr *ip = (void *)(frame + 14);

		ip->version_ihl = 0x45;
		ip->total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_len));
		ip->packet_id = RTE_BE16(0xbeef);
		ip->time_to_live = x->ttl ? x->ttl : 64;
		ip->next_proto_id = proto;
		memcpy(&ip->src_addr, src.bytes, 4);
		memcpy(&ip->dst_addr, dst.bytes, 4);
		ip->hdr_checksum = csum_of(ip, 20);
	} else {
		struct rte_ipv6_hdr *ip = (void *)(frame + 14);

		ip->vtc_flow = RTE_BE32(0x60000000);
		ip->payload_len = rte_cpu_to_be_16((uint16_t)l4_len);
		ip->proto = proto;
		ip->hop_limits = x->ttl ? x->ttl : 64;
		memcpy(ip->src_addr, src.bytes, 16);
		memcpy(ip->dst_addr, dst.bytes, 16);
	}
	m->data_len = (uint16_t)(14 + l3_len + l4_len);
	m->pkt_len = m->data_len;
	return m;
}

struct fix_seen fix_see(const struct rte_mbuf *m)
{
	const uint8_t *l3 = rte_pktmbuf_mtod(m, const uint8_t *) + 14;
	const bool six = l3[0] >> 4 == 6;
	const uint8_t *l4 = l3 + (six ? 40 : 20);
	struct fix_seen s;

	memset(&s, 0, sizeof(s));
	s.src.family = s.dst.family = six ? 6 : 4;
	memcpy(s.src.bytes, l3 + (six ? 8 : 12), six ? 16 : 4);
	memcpy(s.dst.bytes, l3 + (six ? 24 : 16), six ? 16 : 4);
	s.sport = (uint16_t)(l4[0] << 8 | l4[1]);
	s.dport = (uint16_t)(l4[2] << 8 | l4[3]);
	return s;
}

static void expect_ip(const struct mr_ip *got, const char *want)
{
	char text[INET6_ADDRSTRLEN];

	assert_string_equal(mr_ip_text(got, text, sizeof(text)), want);
}

void fix_expect(struct rte_mbuf *m, const struct fix_frame *want)
{
	const struct fix_seen s = fix_see(m);
	const uint8_t proto = want->proto ? want->proto : MR_PROTO_TCP;
	uint8_t *l3 = rte_pktmbuf_mtod(m, uint8_t *) + 14;
	const uint32_t l3_len = s.src.family == 4 ? 20 : 40;
	const uint32_t l4_len = m->data_len - 14 - l3_len;
	const uint8_t ttl = s.src.family == 4 ? l3[8] : l3[7];

	if (want->src != NULL)
		expect_ip(&s.src, want->src);
	if (want->dst != NULL)
		expect_ip(&s.dst, want->dst);
	if (want->sport != 0)
		assert_int_equal(s.sport, want->sport);
	if (want->dport != 0)
		assert_int_equal(s.dport, want->dport);
	if (want->ttl != 0)
		assert_int_equal(ttl, want->ttl);
	if (s.src.family == 4)
		assert_int_equal(csum_of(l3, 20), 0);
	if (proto == MR_PROTO_UDP && want->has_no_csum) {
		assert_int_equal(l3[l3_len + 6] | l3[l3_len + 7], 0);
		return;
	}
	if (proto == MR_PROTO_UDP)
		assert_int_not_equal(l3[l3_len + 6] | l3[l3_len + 7], 0);
	assert_int_equal(l4_csum(&s.src, &s.dst, proto, l3 + l3_len, l4_len), 0);
}

/* --- packets through the stages --- */

void fix_run(struct fix *f, unsigned iface, struct rte_mbuf **m, unsigned n)
{
	struct burst *b = &f->w->burst;

	b->n = (uint16_t)n;
	b->in_iface = (uint8_t)iface;
	for (unsigned i = 0; i < n; i++) {
		b->m[i] = m[i];
		memcpy(rte_pktmbuf_mtod(m[i], void *), &f->ifaces.of[iface].mac, 6);
	}
	parse_burst(b, &f->ifaces.of[iface].mac, (uint8_t)iface);
	vip_find_bulk(f->conf->vips, b->p, n);
	for (unsigned i = 0; i < n; i++) {
		struct pkt *p = &b->p[i];
		uint8_t own;

		if (p->verdict != PKT_UNSEEN)
			continue;
		if (p->service_idx != VIP_NONE)
			p->verdict = PKT_LB;
		else if (addr_find(f->addrs, p->family, p->dst, &p->snat_slot, &own) == ADDR_SNAT)
			p->verdict = PKT_RETURN;
	}
	lb_balance(f->w, f->conf, f->addrs, b);
	lb_return(f->w, f->conf, f->addrs, b);
}

int fix_one(struct fix *f, unsigned iface, const struct fix_frame *frame, struct rte_mbuf **out)
{
	struct rte_mbuf *m = fix_mbuf(f, frame);
	const struct pkt *p = &f->w->burst.p[0];

	fix_run(f, iface, &m, 1);
	if (out != NULL)
		*out = m;
	else
		rte_pktmbuf_free(m);
	return p->verdict == PKT_DROP ? -1 - (int)p->drop : (int)p->verdict;
}

struct conn *fix_conn(struct fix *f, const struct fix_frame *x)
{
	const struct conn_table *t = lb_worker_conns(f->w->lb);
	const struct mr_ip src = fix_ip(x->src), dst = fix_ip(x->dst);
	const uint8_t proto = x->proto ? x->proto : MR_PROTO_TCP;
	uint32_t idx;

	if (src.family == 4) {
		struct conn_key4 k = {.sport = rte_cpu_to_be_16(x->sport),
			.dport = rte_cpu_to_be_16(x->dport),
			.proto = proto};

		memcpy(&k.src, src.bytes, 4);
		memcpy(&k.dst, dst.bytes, 4);
		conn_find_bulk4(t, &k, 1, &idx);
	} else {
		struct conn_key6 k = {.sport = rte_cpu_to_be_16(x->sport),
			.dport = rte_cpu_to_be_16(x->dport),
			.proto = proto};

		memcpy(k.src, src.bytes, 16);
		memcpy(k.dst, dst.bytes, 16);
		conn_find_bulk6(t, &k, 1, &idx);
	}
	return idx == CONN_NONE ? NULL : conn_at(t, idx);
}
