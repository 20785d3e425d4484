/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * api_lb — the objects of the configuration model, their keys, and the union that PUT and DUMP
 * carry. An object is identified by its key text ("service/web", "backend/web/web1"); two objects
 * with equal encodings are equal. The digest of a model is defined in digest.h.
 */
#include "millrace/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MR_SETTINGS_FIELDS(F, T) \
	F(T, BLOB16, hash_key, 16, MR_REQUIRED, "fleet secret that seeds Maglev tables")
MR_MSG(mr_settings, MR_SETTINGS_FIELDS)

#define MR_ADDR_FIELDS(F, T) \
	F(T, NAME, port, 16, MR_REQUIRED, "logical port") \
	F(T, IP, ip, 17, MR_REQUIRED, "own address, shared with the kernel side of the port") \
	F(T, U8, prefix_len, 18, MR_REQUIRED, "of the connected network")
MR_MSG(mr_addr, MR_ADDR_FIELDS)

#define MR_GATEWAY_FIELDS(F, T) \
	F(T, NAME, port, 16, MR_REQUIRED, "logical port") \
	F(T, IP, ip, 17, MR_REQUIRED, "default gateway; one per family in the whole model")
MR_MSG(mr_gateway, MR_GATEWAY_FIELDS)

#define MR_SNAT_FIELDS(F, T) \
	F(T, IP, ip, 16, MR_REQUIRED, "source address of full-NAT flows; nobody else's address")
MR_MSG(mr_snat, MR_SNAT_FIELDS)

#define MR_SERVICE_FIELDS(F, T) \
	F(T, NAME, name, 16, MR_REQUIRED, "unique") \
	F(T, IP, vip, 17, MR_REQUIRED, "virtual address") \
	F(T, U16, port, 18, MR_REQUIRED, "virtual port") \
	F(T, U8, proto, 19, MR_REQUIRED, "enum mr_proto") \
	F(T, U8, mode, 20, MR_REQUIRED, "enum mr_mode") \
	F(T, U8, sched, 21, MR_REQUIRED, "enum mr_sched") \
	F(T, U32, maglev_size, 22, MR_OPTIONAL, "slots, a prime; 0 = chosen from the backends") \
	F(T, U32, syn_timeout_ms, 23, MR_OPTIONAL, "half-open flows; 0 = default") \
	F(T, U32, established_timeout_ms, 24, MR_OPTIONAL, "idle established flows; 0 = default") \
	F(T, U32, fin_timeout_ms, 25, MR_OPTIONAL, "closing flows; 0 = default") \
	F(T, U32, udp_timeout_ms, 26, MR_OPTIONAL, "idle UDP flows; 0 = default") \
	F(T, U8, hash, 27, MR_OPTIONAL, "enum mr_hash; sh hashes the source whatever this says") \
	F(T, U8, source_prefix, 28, MR_OPTIONAL, "bits of the source that are hashed; 0 = all") \
	F(T, U16, load_bound_pct, 29, MR_OPTIONAL, "of a fair share, at most this; 0 = no bound") \
	F(T, U8, on_down, 30, MR_OPTIONAL, "enum mr_down: TCP flows of a backend that is down") \
	F(T, U32, max_conns, 40, MR_OPTIONAL, "connections, no new ones above; 0 = no limit") \
	F(T, U32, flow_rate, 41, MR_OPTIONAL, "new flows in a second; 0 = no limit") \
	F(T, U32, source_rate, 42, MR_OPTIONAL, \
		"new flows of one source in a second; 0 = no limit") \
	F(T, U8, source_rate_prefix, 43, MR_OPTIONAL, "bits of a source; 0 = 32, with IPv6 64") \
	F(T, U32, insert_rate, 44, MR_OPTIONAL, \
		"new entries in a second, the rest goes by hash; 0 = all") \
	F(T, U32, packet_rate, 45, MR_OPTIONAL, \
		"clients' packets in a second, of known flows too; 0 = no limit") \
	F(T, U32, syn_cookies, 46, MR_OPTIONAL, \
		"SYNs in a second that get an entry, cookies for the rest; 0 = all") \
	F(T, U16, gue_port, 55, MR_OPTIONAL, "UDP port of the backends' GUE; 0 = default") \
	F(T, U16, mss, 56, MR_OPTIONAL, "TCP segments of both sides, at most; 0 = no limit") \
	F(T, U8, client_address, 59, MR_OPTIONAL, "enum mr_client_address; full-nat") \
	F(T, U8, quic_id_len, 60, MR_OPTIONAL, "bytes of a QUIC server id; 0 = none is looked at") \
	F(T, U8, quic_id_offset, 61, MR_OPTIONAL, "where in the connection id it begins") \
	F(T, U8, quic_config, 62, MR_OPTIONAL, "1 + QUIC-LB configuration id; 0 = any first byte") \
	F(T, NAME, cache, 63, MR_OPTIONAL, "with MR_MODE_CACHE: which one") \
	F(T, U32, reply_rate, 64, MR_OPTIONAL, \
		"MR_MODE_CACHE: KB of replies to one source in a second; 0 = default")
MR_MSG(mr_service, MR_SERVICE_FIELDS)

#define MR_BACKEND_FIELDS(F, T) \
	F(T, NAME, service, 16, MR_REQUIRED, "service it belongs to") \
	F(T, NAME, name, 17, MR_REQUIRED, "unique in the service: POOL/NAME") \
	F(T, IP, ip, 18, MR_REQUIRED, "same family as the VIP, but with ipip and gue") \
	F(T, U16, port, 19, MR_REQUIRED, "with dsr-l2, ipip and gue the service's own port") \
	F(T, U16, weight, 20, MR_REQUIRED, "0..1000; 0 takes no new flows") \
	F(T, U8, state, 21, MR_REQUIRED, "enum mr_backend_state") \
	F(T, U32, max_conns, 26, MR_OPTIONAL, "connections, no new ones above; 0 = no limit") \
	F(T, BLOB16, quic_server_id, 27, MR_OPTIONAL, "its length in bytes, the id, zeroes") \
	F(T, U16, probe_port, 28, MR_OPTIONAL, \
		"source port of probes to the VIP that go to this backend; 0 = none do")
MR_MSG(mr_backend, MR_BACKEND_FIELDS)

/* A cache, which services of MR_MODE_CACHE serve. What is not said of stampedes is not done. */
#define MR_CACHE_FIELDS(F, T) \
	F(T, NAME, name, 16, MR_REQUIRED, "unique") \
	F(T, U64, memory_bytes, 17, MR_REQUIRED, "all in, of millraced's --cache-memory") \
	F(T, U8, eviction, 18, MR_REQUIRED, "enum mr_eviction") \
	F(T, U32, value_max, 19, MR_OPTIONAL, "bytes of a value; 0 = MR_CACHE_VALUE_MAX") \
	F(T, U32, item_bytes, 20, MR_OPTIONAL, \
		"key and value as expected, for the size of the index; 0 = MR_CACHE_ITEM_BYTES") \
	F(T, U32, lease_ms, 21, MR_OPTIONAL, \
		"who misses may fetch so long before the next one may; 0 = all may") \
	F(T, U16, early_pct, 22, MR_OPTIONAL, \
		"early refresh: beta of XFetch in percent; 0 = none, 100 = as in the paper") \
	F(T, U32, stale_s, 23, MR_OPTIONAL, \
		"so long after its time a value is served while one client fetches it; 0 = never")
MR_MSG(mr_cache, MR_CACHE_FIELDS)

#define MR_CACHE_MEMORY_MIN (1u << 20)
#define MR_CACHE_VALUE_MAX 1048300u /* with key and head 1 MiB, as in memcached */
#define MR_CACHE_VALUE_LIMIT ((1u << 24) - 1)
#define MR_CACHE_ITEM_BYTES 128u
#define MR_CACHE_LEASE_MAX_MS 3600000u
#define MR_CACHE_EARLY_MAX_PCT 1000u
#define MR_CACHE_STALE_MAX_S 2592000u
#define MR_REPLY_RATE_KB 100000u /* of one source in a second, where the service does not say */
#define MR_REPLY_RATE_MAX_KB 4000000u

/* A prefix of clients a service lets in or keeps out. One object each, so that a long list that changes in one
 * place sends one object. With any allow prefix, clients that match none are kept out. */
#define MR_ACL_FIELDS(F, T) \
	F(T, NAME, service, 16, MR_REQUIRED, "service it belongs to") \
	F(T, IP, ip, 17, MR_REQUIRED, "of the VIP's family, no bits beyond prefix_len") \
	F(T, U8, prefix_len, 18, MR_REQUIRED, "0..32, 0..128; the longest that matches decides") \
	F(T, U8, action, 19, MR_REQUIRED, "enum mr_acl_action")
MR_MSG(mr_acl, MR_ACL_FIELDS)

#define MR_ACL_MAX 10000u /* prefixes of a service */
#define MR_WEIGHT_MAX 1000
#define MR_PROBE_PORT_MIN 61000u /* above the ports that Linux gives out by itself */
#define MR_PROBE_PORTS (65536u - MR_PROBE_PORT_MIN)
#define MR_GUE_PORT 6080u    /* IANA's port for GUE */
#define MR_QUIC_ID_MAX 15    /* bytes of a server id, as in draft-ietf-quic-load-balancers */
#define MR_QUIC_CID_MAX 20   /* bytes of a connection id, RFC 9000 17.2 */
#define MR_QUIC_CONFIG_MAX 6 /* QUIC-LB configuration id; 7 marks what is not routable */
#define MR_MSS_MIN 88u /* with 40 bytes of options, all there can be, more than half is data */
#define MR_LOAD_BOUND_MIN_PCT 101
#define MR_LOAD_BOUND_MAX_PCT 1000
#define MR_MAX_CONNS_MAX 1000000000u
#define MR_FLOW_RATE_MAX 1000000000u
#define MR_SOURCE_RATE_MAX 1000000u
#define MR_PACKET_RATE_MAX 1000000000u
#define MR_MAGLEV_SIZE_MAX 16777213u /* the largest prime below 2^24 */
#define MR_FLOW_TIMEOUT_MAX_MS 86400000u
#define MR_SYN_TIMEOUT_MS 10000u
#define MR_ESTABLISHED_TIMEOUT_MS 900000u
#define MR_FIN_TIMEOUT_MS 30000u
#define MR_UDP_TIMEOUT_MS 60000u

#define MR_OBJS(X) \
	X(MR_OBJ_SETTINGS, 1, "settings", mr_settings, settings) \
	X(MR_OBJ_ADDR, 2, "addr", mr_addr, addr) \
	X(MR_OBJ_GATEWAY, 3, "gateway", mr_gateway, gateway) \
	X(MR_OBJ_SNAT, 4, "snat", mr_snat, snat) \
	X(MR_OBJ_SERVICE, 5, "service", mr_service, service) \
	X(MR_OBJ_BACKEND, 6, "backend", mr_backend, backend) \
	X(MR_OBJ_CACHE, 7, "cache", mr_cache, cache) \
	X(MR_OBJ_ACL, 8, "acl", mr_acl, acl)

#define MR_OBJ_ENUM(sym, value, name, type, member) sym = value,
#define MR_OBJ_MEMBER(sym, value, name, type, member) struct type member;
#define MR_OBJ_MSG(sym, value, name, type, member) \
	case value: \
		return &type##_msg;
enum mr_obj { MR_OBJS(MR_OBJ_ENUM) };

struct mr_object {
	uint8_t type; /* enum mr_obj */
	union {
		MR_OBJS(MR_OBJ_MEMBER)
	};
};

#define MR_TAG_OBJ 1 /* U8: enum mr_obj, the first field of a PUT or of a DUMP row */

#define MR_OBJECT_KEY_FIELDS(F, T) F(T, TEXT, key, 2, MR_REQUIRED, "as mr_object_key_text() says")
MR_MSG(mr_object_key, MR_OBJECT_KEY_FIELDS)

/* Descriptor of an object type, or NULL for an unknown one. */
static inline const struct mr_msg *mr_obj_msg(unsigned type)
{
	switch (type) {
		MR_OBJS(MR_OBJ_MSG)
	}
	return NULL;
}

/* Writes the key that identifies the object in the model; returns buf. size ≥ MR_TEXT_MAX. */
static inline const char *mr_object_key_text(const struct mr_object *o, char *buf, size_t size)
{
	char ip[INET6_ADDRSTRLEN];

	switch (o->type) {
	case MR_OBJ_SETTINGS:
		snprintf(buf, size, "settings");
		break;
	case MR_OBJ_ADDR:
		snprintf(buf, size, "addr/%s/%s/%u", o->addr.port,
			mr_ip_text(&o->addr.ip, ip, sizeof(ip)), o->addr.prefix_len);
		break;
	case MR_OBJ_GATEWAY:
		snprintf(buf, size, "gateway/%u", o->gateway.ip.family);
		break;
	case MR_OBJ_SNAT:
		snprintf(buf, size, "snat/%s", mr_ip_text(&o->snat.ip, ip, sizeof(ip)));
		break;
	case MR_OBJ_SERVICE:
		snprintf(buf, size, "service/%s", o->service.name);
		break;
	case MR_OBJ_BACKEND:
		snprintf(buf, size, "backend/%s/%s", o->backend.service, o->backend.name);
		break;
	case MR_OBJ_CACHE:
		snprintf(buf, size, "cache/%s", o->cache.name);
		break;
	case MR_OBJ_ACL:
		snprintf(buf, size, "acl/%s/%s/%u", o->acl.service,
			mr_ip_text(&o->acl.ip, ip, sizeof(ip)), o->acl.prefix_len);
		break;
	default:
		snprintf(buf, size, "?");
	}
	return buf;
}

/* Appends the object: its type, then its fields. */
static inline void mr_object_encode(struct mr_writer *w, const struct mr_object *o)
{
	mr_put_field(w, MR_TAG_OBJ, &o->type, 1);
	mr_msg_encode(
		w, mr_obj_msg(o->type), (const uint8_t *)o + offsetof(struct mr_object, settings));
}

/* Reads an object from a frame body. Returns 0, or −1 with *bad as in mr_msg_decode(). */
static inline int mr_object_decode(
	struct mr_object *o, const uint8_t *body, uint32_t len, const struct mr_field **bad)
{
	const struct mr_msg *msg;
	struct mr_reader r;
	struct mr_tlv t;

	memset(o, 0, sizeof(*o));
	*bad = NULL;
	mr_reader_init(&r, body, len);
	if (mr_reader_next(&r, &t) != 1 || t.tag != MR_TAG_OBJ || t.len != 1)
		return -1;
	o->type = t.value[0];
	msg = mr_obj_msg(o->type);
	if (msg == NULL)
		return -1;
	return mr_msg_decode(
		msg, (uint8_t *)o + offsetof(struct mr_object, settings), r.p, r.left, bad);
}

#ifdef __cplusplus
}
#endif
