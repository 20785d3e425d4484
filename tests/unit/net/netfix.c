/* SPDX-License-Identifier: BSD-3-Clause */
/* netfix — see netfix.h. */
#include "netfix.h"

#include "base/keyhash.h"
#include "eal.h"
#include "net/frag.h"
#include "net/parse.h"
#include "unit.h"

#include <ctype.h>
#include <stdlib.h>

int net_eal(const char *program)
{
	keyhash_init_seed(42);
	return eal_start(program, 128);
}

struct mr_ip net_ip(const char *text)
{
	struct mr_ip ip;

	assert_int_equal(mr_ip_parse(&ip, text), 0);
	return ip;
}

static void build_addrs(struct net *n)
{
	const struct mr_addr addrs[] = {
		{.port = "wan", .ip = net_ip("192.0.2.1"), .prefix_len = 24},
		{.port = "wan", .ip = net_ip("2001:db8:1::1"), .prefix_len = 64},
		{.port = "lan", .ip = net_ip("10.0.0.1"), .prefix_len = 16},
		{.port = "lan", .ip = net_ip("2001:db8:2::1"), .prefix_len = 64},
	};
	const struct mr_gateway gateways[] = {
		{.port = "wan", .ip = net_ip("192.0.2.254")},
		{.port = "wan", .ip = net_ip("2001:db8:1::fe")},
	};
	const struct mr_ip vips[] = {net_ip("203.0.113.10"), net_ip("2001:db8:f::10")};
	const struct mr_ip snats[] = {net_ip("10.0.255.1"), net_ip("2001:db8:2::ff")};
	const struct addr_spec spec = {.ifaces = &n->ifaces,
		.addrs = addrs,
		.gateways = gateways,
		.vips = vips,
		.snats = snats,
		.n_addrs = RTE_DIM(addrs),
		.n_gateways = RTE_DIM(gateways),
		.n_vips = RTE_DIM(vips),
		.n_snats = RTE_DIM(snats)};
	struct mr_error err;

	assert_int_equal(addr_conf_create(&n->addrs, &spec, &err), 0);
}

static void build_neighs(struct net *n)
{
	const struct neigh_params p = {.n_slots = 64,
		.hold_max = 1,
		.pool = n->pool,
		.ifaces = &n->ifaces,
		.tally = tally_of(n->tallies, 1)};

	assert_int_equal(neigh_table_create(&n->neigh, &p), 0);
}

void net_up(struct net *n)
{
	memset(n, 0, sizeof(*n));
	n->ifaces.n = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct iface *f = &n->ifaces.of[i];

		snprintf(f->name, sizeof(f->name), "%s", i == NET_WAN ? "wan" : "lan");
		f->mac.addr_bytes[0] = 0x02;
		f->mac.addr_bytes[5] = (uint8_t)(i + 1);
		f->mtu_bytes = 1500;
	}
	build_addrs(n);
	n->pool = rte_pktmbuf_pool_create("net", 1023, 0, BURST_MBUF_PRIV, 2048, 0);
	assert_non_null(n->pool);
	assert_int_equal(mailbox_create(&n->mail, 2, 64), 0);
	assert_int_equal(tally_set_create(&n->tallies, 1), 0);
	build_neighs(n);
	n->w = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*n->w), 64));
	memset(n->w, 0, sizeof(*n->w));
	n->w->n_workers = 1;
	n->w->ifaces = &n->ifaces;
	n->w->mail = n->mail;
	n->w->tally = tally_of(n->tallies, 0);
	n->w->neigh = n->neigh;
	n->w->now_ms = 5000;
	assert_int_equal(frag_table_create(&n->w->frag, SOCKET_ID_ANY), 0);
	n->b = &n->w->burst;
}

void net_down(struct net *n)
{
	frag_table_destroy(&n->w->frag);
	assert_int_equal(mailbox_count(n->mail), 0);
	assert_int_equal(rte_mempool_in_use_count(n->pool), 0);
	neigh_table_destroy(&n->neigh);
	mailbox_destroy(&n->mail);
	tally_set_destroy(&n->tallies);
	addr_conf_destroy(&n->addrs);
	rte_mempool_free(n->pool);
	free(n->w);
}

static unsigned digit(char c)
{
	assert_true(isxdigit((unsigned char)c));
	return isdigit((unsigned char)c) ? (unsigned)(c - '0')
					 : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

uint8_t *net_bytes(const char *hex, uint32_t *len)
{
	uint8_t all[2048], *exact;
	uint32_t n = 0;

	for (const char *p = hex; *p != '\0'; p++) {
		if (isspace((unsigned char)*p) || *p == ':')
			continue;
		assert_true(n < sizeof(all));
		all[n++] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
		p++;
	}
	exact = malloc(n ? n : 1);
	memcpy(exact, all, n);
	*len = n;
	return exact;
}

struct outside { /* a heap block as packet data */
	struct rte_mbuf_ext_shared_info info;
	uint8_t *block;
};

static void on_free(void *addr, void *ctx)
{
	struct outside *o = ctx;

	(void)addr;
	free(o->block);
	free(o);
}

struct rte_mbuf *net_mbuf(struct net *n, const void *frame, uint32_t len, uint32_t room)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(n->pool);
	struct outside *o = calloc(1, sizeof(*o));

	assert_non_null(m);
	/* two bytes in front: network headers of real buffers are aligned to two after Ethernet */
	o->block = malloc(2 + len + room);
	memcpy(o->block + 2, frame, len);
	o->info.free_cb = on_free;
	o->info.fcb_opaque = o;
	rte_mbuf_ext_refcnt_set(&o->info, 1);
	rte_pktmbuf_attach_extbuf(m, o->block + 2, RTE_BAD_IOVA, (uint16_t)(len + room), &o->info);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return m;
}

struct rte_mbuf *net_receive(struct net *n, unsigned iface, const char *hex, uint32_t room)
{
	uint32_t len;
	uint8_t *frame = net_bytes(hex, &len);

	n->b->m[0] = net_mbuf(n, frame, len, room);
	n->b->n = 1;
	n->b->in_iface = (uint8_t)iface;
	parse_burst(n->b, &n->ifaces.of[iface].mac, (uint8_t)iface);
	free(frame);
	return n->b->m[0];
}

void net_expect(const struct rte_mbuf *m, const char *hex)
{
	uint32_t len;
	uint8_t *want = net_bytes(hex, &len);

	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(m->data_len, len);
	assert_int_equal(m->pkt_len, len);
	assert_memory_equal(rte_pktmbuf_mtod(m, const void *), want, len);
	free(want);
}

struct rte_mbuf *net_at_manager(struct net *n)
{
	struct rte_mbuf *m = NULL;

	mailbox_receive_bulk(n->mail, n->w->n_workers, &m, 1);
	return m;
}
