/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * addr — see addr.h. Our addresses are in an open-addressed table at most a quarter full, hashed with the
 * process's key; networks and gateways are short arrays looked through once per new flow.
 *
 *  I1  each address is in the table once, with one kind
 *  I2  networks are sorted by prefix length, longest first
 */
#include "net/addr.h"

#include "base/keyhash.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

struct local {
	uint8_t ip[16];
	uint8_t family; /* 0 = empty */
	uint8_t kind;
	uint8_t iface;
	uint16_t snat_slot;
};

struct network {
	uint8_t ip[16]; /* host bits as configured */
	uint8_t family, iface, prefix_len;
};

struct hop {
	uint8_t ip[16];
	uint8_t iface;
	bool is_set;
};

struct addr_conf {
	uint32_t mask;
	struct local *table;
	struct network *networks;
	unsigned n_networks;
	struct hop gateway[2]; /* IPv4, IPv6 */
	uint8_t link_local[IFACE_MAX][16];
	uint64_t folds[4]; /* bits of 0..255: fold_of() of an address of ours */
};

__rte_format_printf(3, 4) static int refuse(
	struct mr_error *err, const struct mr_object *o, const char *format, ...)
{
	va_list ap;

	memset(err, 0, sizeof(*err));
	err->code = MR_ERR_INVALID;
	mr_object_key_text(o, err->object, sizeof(err->object));
	va_start(ap, format);
	vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	return -EINVAL;
}

/* Slot of the address, or the empty one where it belongs. */
static inline struct local *slot_of(const struct addr_conf *c, uint8_t family, const uint8_t *ip)
{
	uint64_t half[2];
	uint32_t i;

	memcpy(half, ip, sizeof(half));
	i = (uint32_t)keyhash_word(half[0] ^ half[1] * 0x9e3779b97f4a7c15u) & c->mask;
	while (c->table[i].family != 0
		&& (c->table[i].family != family || memcmp(c->table[i].ip, ip, 16) != 0))
		i = (i + 1) & c->mask;
	return &c->table[i];
}

/* A byte of the whole address, for a first look. Not keyed: who finds addresses that fold alike gets the lookup
 * that all others had without it. */
static inline uint8_t fold_of(const uint8_t *ip)
{
	uint64_t half[2], x;

	memcpy(half, ip, sizeof(half));
	x = half[0] ^ half[1];
	x ^= x >> 32;
	x ^= x >> 16;
	return (uint8_t)(x ^ x >> 8);
}

bool addr_is_ours(const struct addr_conf *c, uint8_t family, const uint8_t *ip)
{
	const uint8_t fold = fold_of(ip);

	/* opt: with up to some hundred addresses most others end here */
	if (likely(!(c->folds[fold / 64] >> fold % 64 & 1)))
		return false;
	return slot_of(c, family, ip)->kind != ADDR_NONE;
}

enum addr_kind addr_find(const struct addr_conf *c, uint8_t family, const uint8_t *ip,
	uint16_t *snat_slot, uint8_t *iface)
{
	const struct local *l = slot_of(c, family, ip);

	*snat_slot = l->snat_slot;
	*iface = l->iface;
	return (enum addr_kind)l->kind;
}

static bool is_within(const uint8_t *ip, const uint8_t *net, unsigned prefix_len)
{
	const unsigned n_bytes = prefix_len / 8, n_bits = prefix_len % 8;

	if (memcmp(ip, net, n_bytes) != 0)
		return false;
	return n_bits == 0 || ((ip[n_bytes] ^ net[n_bytes]) >> (8 - n_bits)) == 0;
}

static bool is_link_local(uint8_t family, const uint8_t *ip)
{
	return family == 6 && ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

static const struct network *network_of(
	const struct addr_conf *c, uint8_t family, const uint8_t *ip)
{
	for (unsigned i = 0; i < c->n_networks; i++) {
		if (c->networks[i].family == family
			&& is_within(ip, c->networks[i].ip, c->networks[i].prefix_len))
			return &c->networks[i];
	}
	return NULL;
}

bool addr_route(const struct addr_conf *c, uint8_t family, const uint8_t *dst, uint8_t *iface,
	uint8_t next_hop[16])
{
	const struct network *n = network_of(c, family, dst);
	const struct hop *gateway = &c->gateway[family == 6];

	if (n != NULL) {
		*iface = n->iface;
		memmove(next_hop, dst, 16);
		return true;
	}
	if (!gateway->is_set)
		return false;
	*iface = gateway->iface;
	memcpy(next_hop, gateway->ip, 16);
	return true;
}

bool addr_source(const struct addr_conf *c, uint8_t iface, uint8_t family, const uint8_t *target,
	uint8_t source[16])
{
	const struct network *any = NULL;

	if (is_link_local(family, target)) {
		memcpy(source, c->link_local[iface], 16);
		return true;
	}
	for (unsigned i = 0; i < c->n_networks; i++) {
		const struct network *n = &c->networks[i];

		if (n->family != family || n->iface != iface)
			continue;
		if (any == NULL || is_within(target, n->ip, n->prefix_len))
			any = n;
		if (is_within(target, n->ip, n->prefix_len))
			break;
	}
	if (any != NULL)
		memcpy(source, any->ip, 16);
	else if (family == 6)
		memcpy(source, c->link_local[iface], 16);
	return any != NULL || family == 6;
}

void addr_mask(uint8_t mask[16], unsigned prefix_len)
{
	for (unsigned i = 0; i < 16; i++) {
		const unsigned left = prefix_len > 8 * i ? prefix_len - 8 * i : 0;

		mask[i] = left >= 8 ? 0xff : (uint8_t)(0xff00 >> left);
	}
}

void addr_walk_own(const struct addr_conf *c,
	void (*on_addr)(void *ctx, unsigned iface, const struct mr_ip *ip, unsigned prefix_len),
	void *ctx)
{
	for (unsigned i = 0; i < c->n_networks; i++) {
		struct mr_ip ip = {.family = c->networks[i].family};

		memcpy(ip.bytes, c->networks[i].ip, 16);
		on_addr(ctx, c->networks[i].iface, &ip, c->networks[i].prefix_len);
	}
}

bool addr_gateway(const struct addr_conf *c, uint8_t family, unsigned *iface, struct mr_ip *ip)
{
	const struct hop *gateway = &c->gateway[family == 6];

	if (!gateway->is_set)
		return false;
	*iface = gateway->iface;
	ip->family = family;
	memcpy(ip->bytes, gateway->ip, 16);
	return true;
}

/* Adds an address of ours. 1 when it is there already with the same kind, -EEXIST with another. */
static int add_local(struct addr_conf *c, const struct mr_ip *ip, enum addr_kind kind,
	uint8_t iface, uint16_t snat_slot)
{
	struct local *l = slot_of(c, ip->family, ip->bytes);

	if (l->family != 0)
		return l->kind == kind ? 1 : -EEXIST;
	memcpy(l->ip, ip->bytes, 16);
	l->family = ip->family;
	l->kind = (uint8_t)kind;
	l->iface = iface;
	l->snat_slot = snat_slot;
	c->folds[fold_of(ip->bytes) / 64] |= UINT64_C(1) << fold_of(ip->bytes) % 64;
	return 0;
}

static int by_length(const void *a, const void *b)
{
	return ((const struct network *)b)->prefix_len - ((const struct network *)a)->prefix_len;
}

static int add_own(struct addr_conf *c, const struct addr_spec *spec, struct mr_error *err)
{
	for (unsigned i = 0; i < spec->n_addrs; i++) {
		const struct mr_addr *a = &spec->addrs[i];
		const struct mr_object o = {.type = MR_OBJ_ADDR, .addr = *a};
		const int iface = iface_find(spec->ifaces, a->port);
		struct network *n = &c->networks[c->n_networks];

		if (iface < 0)
			return refuse(err, &o,
				"the dataplane has no port '%s': start it with --port %s=DEVICE",
				a->port, a->port);
		if (add_local(c, &a->ip, ADDR_OWN, (uint8_t)iface, 0) != 0)
			return refuse(err, &o, "the address is configured twice");
		memcpy(n->ip, a->ip.bytes, 16);
		n->family = a->ip.family;
		n->iface = (uint8_t)iface;
		n->prefix_len = a->prefix_len;
		c->n_networks++;
	}
	qsort(c->networks, c->n_networks, sizeof(*c->networks), by_length);
	return 0;
}

static int add_gateways(struct addr_conf *c, const struct addr_spec *spec, struct mr_error *err)
{
	for (unsigned i = 0; i < spec->n_gateways; i++) {
		const struct mr_gateway *g = &spec->gateways[i];
		const struct mr_object o = {.type = MR_OBJ_GATEWAY, .gateway = *g};
		const struct network *n = network_of(c, g->ip.family, g->ip.bytes);
		const int iface = iface_find(spec->ifaces, g->port);
		struct hop *hop = &c->gateway[g->ip.family == 6];

		if (iface < 0)
			return refuse(err, &o, "the dataplane has no port '%s'", g->port);
		if (!is_link_local(g->ip.family, g->ip.bytes) && (n == NULL || n->iface != iface))
			return refuse(err, &o,
				"is not on a network of port '%s': give the port an address on it",
				g->port);
		memcpy(hop->ip, g->ip.bytes, 16);
		hop->iface = (uint8_t)iface;
		hop->is_set = true;
	}
	return 0;
}

static int add_served(struct addr_conf *c, const struct addr_spec *spec, struct mr_error *err)
{
	for (unsigned i = 0; i < spec->n_snats; i++) {
		const struct mr_object o = {.type = MR_OBJ_SNAT, .snat = {.ip = spec->snats[i]}};

		if (spec->snats[i].family == 0)
			continue;
		if (add_local(c, &spec->snats[i], ADDR_SNAT, 0, (uint16_t)i) != 0)
			return refuse(err, &o,
				"is also a port's address: SNAT addresses are of their own");
	}
	for (unsigned i = 0; i < spec->n_vips; i++) {
		struct mr_object o = {.type = MR_OBJ_SERVICE};
		char ip[INET6_ADDRSTRLEN];

		if (add_local(c, &spec->vips[i], ADDR_VIP, 0, 0) >= 0)
			continue;
		snprintf(o.service.name, sizeof(o.service.name), "%s",
			mr_ip_text(&spec->vips[i], ip, sizeof(ip)));
		return refuse(err, &o,
			"VIP %s is also a port's or a SNAT address: a VIP is of its own", ip);
	}
	return 0;
}

/* fe80::/64 with the modified EUI-64 of the MAC (RFC 4291 appendix A): ours on every port. */
static void add_link_locals(struct addr_conf *c, const struct iface_set *ifaces)
{
	for (unsigned i = 0; i < ifaces->n; i++) {
		const uint8_t *mac = ifaces->of[i].mac.addr_bytes;
		const uint8_t ip[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2],
			0xff, 0xfe, mac[3], mac[4], mac[5]};
		struct mr_ip own = {.family = 6};

		memcpy(own.bytes, ip, 16);
		memcpy(c->link_local[i], ip, 16);
		add_local(c, &own, ADDR_OWN, (uint8_t)i, 0);
	}
}

int addr_conf_create(struct addr_conf **out, const struct addr_spec *spec, struct mr_error *err)
{
	const unsigned n = spec->n_addrs + spec->n_vips + spec->n_snats + IFACE_MAX;
	struct addr_conf *c = calloc(1, sizeof(*c));
	uint32_t size = 64;
	int rc;

	while (size < 4 * n)
		size *= 2;
	if (c == NULL)
		return -ENOMEM;
	c->mask = size - 1;
	c->table = calloc(size, sizeof(*c->table));
	c->networks = calloc(spec->n_addrs + 1, sizeof(*c->networks));
	rc = c->table == NULL || c->networks == NULL ? -ENOMEM : 0;
	if (rc == 0)
		rc = add_own(c, spec, err);
	if (rc == 0)
		rc = add_gateways(c, spec, err);
	if (rc == 0)
		rc = add_served(c, spec, err);
	if (rc != 0) {
		addr_conf_destroy(&c);
		return rc;
	}
	add_link_locals(c, spec->ifaces);
	*out = c;
	return 0;
}

void addr_conf_destroy(struct addr_conf **c)
{
	if (*c == NULL)
		return;
	free((*c)->table);
	free((*c)->networks);
	free(*c);
	*c = NULL;
}
