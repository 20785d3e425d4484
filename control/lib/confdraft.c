/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confdraft — the schema of the configuration file: one table of keys for each mapping and, below it,
 * the function that reads its values. control/README.md has the same as a table for people.
 */
#include "lib/confdraft.h"

#include "lib/confacl.h"
#include "lib/confcache.h"
#include "lib/confcheck.h"
#include "millrace/api_lb.h"

#include <stdlib.h>

#define INTERVAL_MIN_MS 50u
#define INTERVAL_MAX_MS 3600000u
#define FLOW_TIMEOUT_MIN_MS 100u
#define SLOW_START_MIN_MS 1000u
#define SLOW_START_MAX_MS 3600000u
#define EJECTION_MIN_MS 1000
#define EJECTION_MAX_MS 3600000
#define PATH_MAX_BYTES 1024
#define HOST_MAX_BYTES 255
#define ADDRESSES_MAX 64 /* of a port */
#define PORTS_MAX 64
#define EXPECT_MAX 100

enum {
	TOP_VERSION,
	TOP_NODE,
	TOP_NETWORK,
	TOP_CHECKS,
	TOP_POOLS,
	TOP_CACHES,
	TOP_SERVICES,
	TOP_KEYS
};
static const struct confread_key top_keys[TOP_KEYS] = {
	[TOP_VERSION] = {"version", true},
	[TOP_NODE] = {"node", false},
	[TOP_NETWORK] = {"network", false},
	[TOP_CHECKS] = {"checks", false},
	[TOP_POOLS] = {"pools", false},
	[TOP_CACHES] = {"caches", false},
	[TOP_SERVICES] = {"services", false},
};

static const struct confread_key node_keys[CONFDRAFT_NODE_KEYS] = {
	[CONFDRAFT_NODE_NAME] = {"name", false},
	[CONFDRAFT_NODE_HASH_KEY_FILE] = {"hash_key_file", false},
};

enum { NETWORK_PORTS, NETWORK_SNAT, NETWORK_KEYS };
static const struct confread_key network_keys[NETWORK_KEYS] = {
	[NETWORK_PORTS] = {"ports", false},
	[NETWORK_SNAT] = {"snat", false},
};

static const struct confread_key port_keys[CONFDRAFT_PORT_KEYS] = {
	[CONFDRAFT_PORT_ADDRESSES] = {"addresses", true},
	[CONFDRAFT_PORT_GATEWAYS] = {"gateways", false},
};

static const struct confread_key check_keys[CONFDRAFT_CHECK_KEYS] = {
	[CONFDRAFT_CHECK_TYPE] = {"type", true},
	[CONFDRAFT_CHECK_VIA] = {"via", false},
	[CONFDRAFT_CHECK_PORT] = {"port", false},
	[CONFDRAFT_CHECK_PATH] = {"path", false},
	[CONFDRAFT_CHECK_HOST] = {"host", false},
	[CONFDRAFT_CHECK_EXPECT] = {"expect", false},
	[CONFDRAFT_CHECK_SEND] = {"send", false},
	[CONFDRAFT_CHECK_COMMAND] = {"command", false},
	[CONFDRAFT_CHECK_INTERVAL] = {"interval", false},
	[CONFDRAFT_CHECK_TIMEOUT] = {"timeout", false},
	[CONFDRAFT_CHECK_RISE] = {"rise", false},
	[CONFDRAFT_CHECK_FALL] = {"fall", false},
	[CONFDRAFT_CHECK_JITTER] = {"jitter", false},
};

static const struct confread_key backend_keys[CONFDRAFT_BACKEND_KEYS] = {
	[CONFDRAFT_BACKEND_NAME] = {"name", true},
	[CONFDRAFT_BACKEND_IP] = {"ip", true},
	[CONFDRAFT_BACKEND_PORT] = {"port", false},
	[CONFDRAFT_BACKEND_WEIGHT] = {"weight", false},
	[CONFDRAFT_BACKEND_MAX_CONNECTIONS] = {"max_connections", false},
	[CONFDRAFT_BACKEND_QUIC_SERVER_ID] = {"quic_server_id", false},
};

static const struct confread_key pool_keys[CONFDRAFT_POOL_KEYS] = {
	[CONFDRAFT_POOL_CHECK] = {"check", false},
	[CONFDRAFT_POOL_SLOW_START] = {"slow_start", false},
	[CONFDRAFT_POOL_PASSIVE] = {"passive", false},
	[CONFDRAFT_POOL_MAX_CONNECTIONS] = {"max_connections", false},
	[CONFDRAFT_POOL_BACKENDS] = {"backends", true},
};

static const struct confread_key passive_keys[CONFDRAFT_PASSIVE_KEYS] = {
	[CONFDRAFT_PASSIVE_FAILURES] = {"failures", false},
	[CONFDRAFT_PASSIVE_RATE] = {"rate", false},
	[CONFDRAFT_PASSIVE_MIN_FLOWS] = {"min_flows", false},
	[CONFDRAFT_PASSIVE_EJECTION] = {"ejection", false},
	[CONFDRAFT_PASSIVE_MAX_EJECTED] = {"max_ejected", false},
};

static const struct confread_key service_keys[CONFDRAFT_SERVICE_KEYS] = {
	[CONFDRAFT_SERVICE_VIP] = {"vip", true},
	[CONFDRAFT_SERVICE_PORT] = {"port", true},
	[CONFDRAFT_SERVICE_PROTO] = {"proto", false},
	[CONFDRAFT_SERVICE_KIND] = {"kind", false},
	[CONFDRAFT_SERVICE_CACHE] = {"cache", false},
	[CONFDRAFT_SERVICE_REPLY_RATE] = {"reply_rate", false},
	[CONFDRAFT_SERVICE_MODE] = {"mode", false},
	[CONFDRAFT_SERVICE_GUE_PORT] = {"gue_port", false},
	[CONFDRAFT_SERVICE_QUIC] = {"quic", false},
	[CONFDRAFT_SERVICE_MSS] = {"mss", false},
	[CONFDRAFT_SERVICE_CLIENT_ADDRESS] = {"client_address", false},
	[CONFDRAFT_SERVICE_SCHEDULER] = {"scheduler", false},
	[CONFDRAFT_SERVICE_HASH] = {"hash", false},
	[CONFDRAFT_SERVICE_SOURCE_PREFIX] = {"source_prefix", false},
	[CONFDRAFT_SERVICE_LOAD_BOUND] = {"load_bound", false},
	[CONFDRAFT_SERVICE_ALLOW] = {"allow", false},
	[CONFDRAFT_SERVICE_DENY] = {"deny", false},
	[CONFDRAFT_SERVICE_MAX_CONNECTIONS] = {"max_connections", false},
	[CONFDRAFT_SERVICE_FLOW_RATE] = {"new_connections_per_second", false},
	[CONFDRAFT_SERVICE_SOURCE_RATE] = {"source_rate", false},
	[CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX] = {"source_rate_prefix", false},
	[CONFDRAFT_SERVICE_INSERT_RATE] = {"insert_rate", false},
	[CONFDRAFT_SERVICE_SYN_COOKIES] = {"syn_cookies", false},
	[CONFDRAFT_SERVICE_PACKET_RATE] = {"packets_per_second", false},
	[CONFDRAFT_SERVICE_ON_DOWN] = {"on_backend_down", false},
	[CONFDRAFT_SERVICE_MAGLEV_SIZE] = {"maglev_size", false},
	[CONFDRAFT_SERVICE_PANIC_THRESHOLD] = {"panic_threshold", false},
	[CONFDRAFT_SERVICE_POOL] = {"pool", false},
	[CONFDRAFT_SERVICE_TIMEOUTS] = {"timeouts", false},
};

_Static_assert(CONFDRAFT_SERVICE_KEYS <= CONFREAD_KEYS_MAX, "the longest schema");

static const struct confread_key quic_keys[CONFDRAFT_QUIC_KEYS] = {
	[CONFDRAFT_QUIC_SERVER_ID_LENGTH] = {"server_id_length", true},
	[CONFDRAFT_QUIC_SERVER_ID_OFFSET] = {"server_id_offset", false},
	[CONFDRAFT_QUIC_CONFIG_ID] = {"config_id", false},
};

static const struct confread_key timeout_keys[CONFDRAFT_TIMEOUT_KEYS] = {
	[CONFDRAFT_TIMEOUT_SYN] = {"syn", false},
	[CONFDRAFT_TIMEOUT_ESTABLISHED] = {"established", false},
	[CONFDRAFT_TIMEOUT_FIN] = {"fin", false},
	[CONFDRAFT_TIMEOUT_UDP] = {"udp", false},
};

/* Texts and values of an enumeration, from the list that declares it. */
#define WORD_TEXT(sym, value, text) text,
#define WORD_VALUE(sym, value, text) value,
static const char *const proto_words[] = {MR_PROTOS(WORD_TEXT)};
static const enum mr_proto proto_values[] = {MR_PROTOS(WORD_VALUE)};
static const char *const mode_words[] = {MR_MODES(WORD_TEXT)};
static const enum mr_mode mode_values[] = {MR_MODES(WORD_VALUE)};
#define N_MODES (sizeof(mode_words) / sizeof(mode_words[0]) - 1) /* not the last: kind cache */
_Static_assert(MR_MODE_CACHE == N_MODES + 1, "the mode that is not written is the last one");
static const char *const sched_words[] = {MR_SCHEDS(WORD_TEXT)};
static const enum mr_sched sched_values[] = {MR_SCHEDS(WORD_VALUE)};
static const char *const hash_words[] = {MR_HASHES(WORD_TEXT)};
static const enum mr_hash hash_values[] = {MR_HASHES(WORD_VALUE)};
static const char *const down_words[] = {MR_DOWNS(WORD_TEXT)};
static const enum mr_down down_values[] = {MR_DOWNS(WORD_VALUE)};
static const char *const client_address_words[] = {MR_CLIENT_ADDRESSES(WORD_TEXT)};
static const enum mr_client_address client_address_values[] = {MR_CLIENT_ADDRESSES(WORD_VALUE)};
#define CHECK_TEXT(sym, text) text,
#define CHECK_VALUE(sym, text) CONF_CHECK_##sym,
static const char *const check_words[] = {CONF_CHECK_TYPES(CHECK_TEXT)};
static const char *const via_words[] = {"direct", "service"};
static const enum conf_check_type check_values[] = {CONF_CHECK_TYPES(CHECK_VALUE)};

#define N_OF(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

static void *array_of(struct confread *r, size_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	if (p == NULL)
		r->is_out_of_memory = true;
	return p;
}

static void read_node(struct confdraft *d, const struct yamltree_node *node)
{
	struct confread *r = d->read;

	confread_path(r, "node");
	if (!confread_map(r, node, node, node_keys, N_OF(node_keys), d->node))
		return;
	if (d->node[CONFDRAFT_NODE_NAME] != NULL)
		confread_name(r, d->node[CONFDRAFT_NODE_NAME], "name", d->conf->node_name);
	if (d->node[CONFDRAFT_NODE_HASH_KEY_FILE] != NULL)
		confread_token(r, d->node[CONFDRAFT_NODE_HASH_KEY_FILE], "hash_key_file",
			PATH_MAX_BYTES, &d->conf->hash_key_file);
}

static void read_addresses(
	struct confread *r, struct conf_port *p, const struct yamltree_node *list)
{
	char key[32];

	if (!confread_kind(r, list, "addresses", YAMLTREE_SEQUENCE))
		return;
	if (list->n_items == 0 || list->n_items > ADDRESSES_MAX) {
		CONFREAD_ERROR(r, list, "%s.addresses must have 1..%d entries, got %u", r->path,
			ADDRESSES_MAX, list->n_items);
		return;
	}
	p->addresses = array_of(r, list->n_items, sizeof(*p->addresses));
	for (uint32_t i = 0; p->addresses != NULL && i < list->n_items; i++) {
		snprintf(key, sizeof(key), "addresses[%u]", i);
		confread_prefix(r, list->items[i], key, &p->addresses[i]);
		p->n_addresses = i + 1;
	}
}

static void read_gateways(struct confread *r, struct conf_port *p, const struct yamltree_node *list)
{
	char key[32];

	if (!confread_kind(r, list, "gateways", YAMLTREE_SEQUENCE))
		return;
	p->gateways = array_of(r, list->n_items, sizeof(*p->gateways));
	for (uint32_t i = 0; p->gateways != NULL && i < list->n_items; i++) {
		snprintf(key, sizeof(key), "gateways[%u]", i);
		confread_ip(r, list->items[i], key, &p->gateways[i]);
		p->n_gateways = i + 1;
	}
}

static void read_port(struct confdraft *d, size_t i, const struct yamltree_node *key,
	const struct yamltree_node *value)
{
	struct conf_port *p = &d->conf->ports[i];
	struct confdraft_port *at = &d->ports[i];

	at->key = key;
	confread_path(d->read, "network.ports");
	confread_name(d->read, key, "NAME", p->name);
	confread_path(d->read, "network.ports.%.63s", key->text);
	if (!confread_map(d->read, value, key, port_keys, N_OF(port_keys), at->at))
		return;
	if (at->at[CONFDRAFT_PORT_ADDRESSES] != NULL)
		read_addresses(d->read, p, at->at[CONFDRAFT_PORT_ADDRESSES]);
	if (at->at[CONFDRAFT_PORT_GATEWAYS] != NULL)
		read_gateways(d->read, p, at->at[CONFDRAFT_PORT_GATEWAYS]);
}

static void read_snat(struct confdraft *d, const struct yamltree_node *list)
{
	struct conf *c = d->conf;
	char key[32];
	size_t n;

	confread_path(d->read, "network");
	if (!confread_kind(d->read, list, "snat", YAMLTREE_SEQUENCE))
		return;
	c->snats = array_of(d->read, CONF_SNAT_MAX, sizeof(*c->snats));
	if (c->snats == NULL)
		return;
	for (uint32_t i = 0; i < list->n_items; i++) {
		snprintf(key, sizeof(key), "snat[%u]", i);
		if (!confread_ip_range(d->read, list->items[i], key, c->snats + c->n_snats,
			    CONF_SNAT_MAX - c->n_snats, &n))
			continue;
		for (; n > 0; n--)
			d->snats[c->n_snats++] = list->items[i];
	}
}

static int by_first(const void *a, const void *b)
{
	const struct conf_status_range *x = a, *y = b;

	return x->first != y->first ? x->first - y->first : x->last - y->last;
}

/* One status or range, or a list; kept ascending, ranges that touch joined. */
static void read_expect(struct confread *r, struct conf_check *c, const struct yamltree_node *node)
{
	const bool is_list = node->kind == YAMLTREE_SEQUENCE;
	const uint32_t n_items = is_list ? node->n_items : 1;
	struct conf_status_range *to;
	char key[32] = "expect";
	size_t n = 0;

	if (n_items == 0 || n_items > EXPECT_MAX) {
		CONFREAD_ERROR(r, node, "%s.expect must have 1..%d entries, got %u", r->path,
			EXPECT_MAX, n_items);
		return;
	}
	to = array_of(r, n_items, sizeof(*to));
	if (to == NULL)
		return;
	for (uint32_t i = 0; i < n_items; i++) {
		if (is_list)
			snprintf(key, sizeof(key), "expect[%u]", i);
		if (confread_status(r, is_list ? node->items[i] : node, key, &to[n]))
			n++;
	}
	qsort(to, n, sizeof(*to), by_first);
	for (size_t i = 0; i < n; i++) {
		if (c->n_expect > 0 && to[i].first <= to[c->n_expect - 1].last + 1) {
			if (to[i].last > to[c->n_expect - 1].last)
				to[c->n_expect - 1].last = to[i].last;
		} else {
			to[c->n_expect++] = to[i];
		}
	}
	c->expect = to;
}

#define TYPE_BIT(sym) (1u << CONF_CHECK_##sym)

/* Complains about keys that the type does not have. */
static void check_keys_of_type(
	struct confread *r, enum conf_check_type type, const struct confdraft_check *at)
{
	static const struct {
		enum confdraft_check_key key;
		unsigned types;
		const char *text;
	} only[] = {
		{CONFDRAFT_CHECK_VIA, ~(TYPE_BIT(ICMP) | TYPE_BIT(EXEC)),
			"other than 'icmp' and 'exec'"},
		{CONFDRAFT_CHECK_PORT, ~TYPE_BIT(ICMP), "other than 'icmp', which has no ports"},
		{CONFDRAFT_CHECK_PATH, TYPE_BIT(HTTP), "'http'"},
		{CONFDRAFT_CHECK_HOST, TYPE_BIT(HTTP), "'http'"},
		{CONFDRAFT_CHECK_EXPECT, TYPE_BIT(HTTP) | TYPE_BIT(UDP), "'http' and 'udp'"},
		{CONFDRAFT_CHECK_SEND, TYPE_BIT(UDP), "'udp'"},
		{CONFDRAFT_CHECK_COMMAND, TYPE_BIT(EXEC), "'exec'"},
	};

	for (unsigned i = 0; type != CONF_CHECK_NONE && i < N_OF(only); i++) {
		if (at->at[only[i].key] != NULL && (only[i].types & 1u << type) == 0)
			CONFREAD_ERROR(r, at->at[only[i].key],
				"%s.%s is only for checks of type %s", r->path,
				check_keys[only[i].key].name, only[i].text);
	}
}

/* What only http checks have. */
static void read_http(struct confdraft *d, struct conf_check *c, const struct confdraft_check *at)
{
	struct confread *r = d->read;

	if (at->at[CONFDRAFT_CHECK_PATH] == NULL) {
		c->path = strdup("/");
		r->is_out_of_memory |= c->path == NULL;
	} else if (confread_token(r, at->at[CONFDRAFT_CHECK_PATH], "path", PATH_MAX_BYTES, &c->path)
		&& c->path[0] != '/') {
		CONFREAD_ERROR(r, at->at[CONFDRAFT_CHECK_PATH],
			"%s.path must begin with '/', got '%.64s'", r->path, c->path);
	}
	if (at->at[CONFDRAFT_CHECK_HOST] != NULL)
		confread_token(r, at->at[CONFDRAFT_CHECK_HOST], "host", HOST_MAX_BYTES, &c->host);
	if (at->at[CONFDRAFT_CHECK_EXPECT] != NULL) {
		read_expect(r, c, at->at[CONFDRAFT_CHECK_EXPECT]);
	} else {
		c->expect = array_of(r, 1, sizeof(*c->expect));
		if (c->expect != NULL)
			c->expect[c->n_expect++] = (struct conf_status_range){200, 299};
	}
}

static void read_check_timing(
	struct confread *r, struct conf_check *c, const struct yamltree_node *const *at)
{
	uint32_t rise = 2, fall = 3, jitter = 10;

	c->interval_ms = 2000;
	if (at[CONFDRAFT_CHECK_INTERVAL] != NULL)
		confread_duration(r, at[CONFDRAFT_CHECK_INTERVAL], "interval", INTERVAL_MIN_MS,
			INTERVAL_MAX_MS, &c->interval_ms);
	c->timeout_ms = c->interval_ms < 1000 ? c->interval_ms : 1000;
	if (at[CONFDRAFT_CHECK_TIMEOUT] != NULL)
		confread_duration(r, at[CONFDRAFT_CHECK_TIMEOUT], "timeout", INTERVAL_MIN_MS,
			INTERVAL_MAX_MS, &c->timeout_ms);
	if (at[CONFDRAFT_CHECK_RISE] != NULL)
		confread_uint(r, at[CONFDRAFT_CHECK_RISE], "rise", 1, 100, &rise);
	if (at[CONFDRAFT_CHECK_FALL] != NULL)
		confread_uint(r, at[CONFDRAFT_CHECK_FALL], "fall", 1, 100, &fall);
	if (at[CONFDRAFT_CHECK_JITTER] != NULL)
		confread_percent(r, at[CONFDRAFT_CHECK_JITTER], "jitter", 0, 50, &jitter);
	c->jitter_pct = (uint8_t)jitter;
	c->rise = (uint16_t)rise;
	c->fall = (uint16_t)fall;
}

static void read_check(struct confdraft *d, size_t i, const struct yamltree_node *key,
	const struct yamltree_node *value)
{
	struct conf_check *c = &d->conf->checks[i];
	struct confdraft_check *at = &d->checks[i];
	unsigned word;

	at->key = key;
	confread_path(d->read, "checks");
	confread_name(d->read, key, "NAME", c->name);
	confread_path(d->read, "checks.%.63s", key->text);
	if (!confread_map(d->read, value, key, check_keys, N_OF(check_keys), at->at))
		return;
	if (at->at[CONFDRAFT_CHECK_TYPE] != NULL
		&& confread_word(d->read, at->at[CONFDRAFT_CHECK_TYPE], "type", check_words,
			N_OF(check_words), &word))
		c->type = check_values[word];
	if (at->at[CONFDRAFT_CHECK_PORT] != NULL)
		confread_port(d->read, at->at[CONFDRAFT_CHECK_PORT], "port", &c->port);
	if (at->at[CONFDRAFT_CHECK_VIA] != NULL
		&& confread_word(d->read, at->at[CONFDRAFT_CHECK_VIA], "via", via_words,
			N_OF(via_words), &word))
		c->is_via_service = word == 1;
	check_keys_of_type(d->read, c->type, at);
	if (c->type == CONF_CHECK_HTTP)
		read_http(d, c, at);
	confcheck_read(d->read, c, at);
	read_check_timing(d->read, c, at->at);
}

static void read_max_connections(
	struct confread *r, const struct yamltree_node *node, uint32_t *max_conns)
{
	if (node != NULL)
		confread_uint(r, node, "max_connections", 1, MR_MAX_CONNS_MAX, max_conns);
}

static void read_backend(struct confdraft *d, struct conf_backend *b, struct confdraft_backend *at,
	const struct yamltree_node *node)
{
	uint32_t weight = CONF_WEIGHT_DEFAULT;

	b->weight = CONF_WEIGHT_DEFAULT;
	if (!confread_map(d->read, node, node, backend_keys, N_OF(backend_keys), at->at))
		return;
	if (at->at[CONFDRAFT_BACKEND_NAME] != NULL)
		confread_name(d->read, at->at[CONFDRAFT_BACKEND_NAME], "name", b->name);
	if (at->at[CONFDRAFT_BACKEND_IP] != NULL)
		confread_ip(d->read, at->at[CONFDRAFT_BACKEND_IP], "ip", &b->ip);
	if (at->at[CONFDRAFT_BACKEND_PORT] != NULL)
		confread_port(d->read, at->at[CONFDRAFT_BACKEND_PORT], "port", &b->port);
	if (at->at[CONFDRAFT_BACKEND_WEIGHT] != NULL
		&& confread_uint(
			d->read, at->at[CONFDRAFT_BACKEND_WEIGHT], "weight", 0, 1000, &weight))
		b->weight = (uint16_t)weight;
	read_max_connections(d->read, at->at[CONFDRAFT_BACKEND_MAX_CONNECTIONS], &b->max_conns);
	if (at->at[CONFDRAFT_BACKEND_QUIC_SERVER_ID] != NULL)
		confread_hex(d->read, at->at[CONFDRAFT_BACKEND_QUIC_SERVER_ID], "quic_server_id",
			CONF_QUIC_ID_MAX, b->quic_id, &b->quic_id_len);
}

/* All of it has defaults: `passive: {}` is a whole one. */
static void read_passive(struct confread *r, struct conf_passive *p,
	const struct yamltree_node *map, const char *pool)
{
	const struct yamltree_node *at[CONFDRAFT_PASSIVE_KEYS] = {NULL};
	uint32_t failures = 5, rate = 50, max_ejected = 50;

	*p = (struct conf_passive){.is_on = true, .min_flows = 20, .ejection_ms = 30000};
	confread_path(r, "pools.%.63s.passive", pool);
	if (!confread_map(r, map, map, passive_keys, N_OF(passive_keys), at))
		return;
	if (at[CONFDRAFT_PASSIVE_FAILURES] != NULL)
		confread_uint(r, at[CONFDRAFT_PASSIVE_FAILURES], "failures", 0, 1000, &failures);
	if (at[CONFDRAFT_PASSIVE_RATE] != NULL)
		confread_percent(r, at[CONFDRAFT_PASSIVE_RATE], "rate", 0, 100, &rate);
	if (at[CONFDRAFT_PASSIVE_MIN_FLOWS] != NULL)
		confread_uint(
			r, at[CONFDRAFT_PASSIVE_MIN_FLOWS], "min_flows", 1, 1000000, &p->min_flows);
	if (at[CONFDRAFT_PASSIVE_EJECTION] != NULL)
		confread_duration(r, at[CONFDRAFT_PASSIVE_EJECTION], "ejection", EJECTION_MIN_MS,
			EJECTION_MAX_MS, &p->ejection_ms);
	if (at[CONFDRAFT_PASSIVE_MAX_EJECTED] != NULL)
		confread_percent(
			r, at[CONFDRAFT_PASSIVE_MAX_EJECTED], "max_ejected", 1, 100, &max_ejected);
	p->failures = (uint16_t)failures;
	p->rate_pct = (uint8_t)rate;
	p->max_ejected_pct = (uint8_t)max_ejected;
}

static void read_pool(struct confdraft *d, size_t i, const struct yamltree_node *key,
	const struct yamltree_node *value)
{
	struct conf_pool *p = &d->conf->pools[i];
	struct confdraft_pool *at = &d->pools[i];
	const struct yamltree_node *list;

	at->key = key;
	confread_path(d->read, "pools");
	confread_name(d->read, key, "NAME", p->name);
	confread_path(d->read, "pools.%.63s", key->text);
	if (!confread_map(d->read, value, key, pool_keys, N_OF(pool_keys), at->at))
		return;
	if (at->at[CONFDRAFT_POOL_SLOW_START] != NULL)
		confread_duration(d->read, at->at[CONFDRAFT_POOL_SLOW_START], "slow_start",
			SLOW_START_MIN_MS, SLOW_START_MAX_MS, &p->slow_start_ms);
	read_max_connections(d->read, at->at[CONFDRAFT_POOL_MAX_CONNECTIONS], &p->max_conns);
	if (at->at[CONFDRAFT_POOL_PASSIVE] != NULL)
		read_passive(d->read, &p->passive, at->at[CONFDRAFT_POOL_PASSIVE], key->text);
	list = at->at[CONFDRAFT_POOL_BACKENDS];
	if (list == NULL || !confread_kind(d->read, list, "backends", YAMLTREE_SEQUENCE))
		return;
	p->backends = array_of(d->read, list->n_items, sizeof(*p->backends));
	at->backends = array_of(d->read, list->n_items, sizeof(*at->backends));
	if (p->backends == NULL || at->backends == NULL)
		return;
	for (uint32_t k = 0; k < list->n_items; k++) {
		confread_path(d->read, "pools.%.63s.backends[%u]", key->text, k);
		read_backend(d, &p->backends[k], &at->backends[k], list->items[k]);
		p->n_backends = k + 1;
	}
}

static void read_timeouts(struct confread *r, struct conf_service *s, struct confdraft_service *at)
{
	uint32_t *const values[CONFDRAFT_TIMEOUT_KEYS] = {
		[CONFDRAFT_TIMEOUT_SYN] = &s->syn_timeout_ms,
		[CONFDRAFT_TIMEOUT_ESTABLISHED] = &s->established_timeout_ms,
		[CONFDRAFT_TIMEOUT_FIN] = &s->fin_timeout_ms,
		[CONFDRAFT_TIMEOUT_UDP] = &s->udp_timeout_ms,
	};
	const struct yamltree_node *map = at->at[CONFDRAFT_SERVICE_TIMEOUTS];

	confread_path(r, "services.%.63s.timeouts", at->key->text);
	if (!confread_map(r, map, map, timeout_keys, N_OF(timeout_keys), at->timeouts))
		return;
	for (unsigned k = 0; k < CONFDRAFT_TIMEOUT_KEYS; k++) {
		if (at->timeouts[k] != NULL)
			confread_duration(r, at->timeouts[k], timeout_keys[k].name,
				FLOW_TIMEOUT_MIN_MS, MR_FLOW_TIMEOUT_MAX_MS, values[k]);
	}
}

/* A server id must fit into the connection id; with a configuration id, behind the first byte, which has that. */
static void read_quic(
	struct confread *r, struct conf_service *s, const struct confdraft_service *at)
{
	const struct yamltree_node *map = at->at[CONFDRAFT_SERVICE_QUIC];
	const struct yamltree_node *node[CONFDRAFT_QUIC_KEYS];
	const struct yamltree_node *config_at, *offset_at;
	uint32_t len, offset = 1, config;

	confread_path(r, "services.%.63s.quic", at->key->text);
	if (!confread_map(r, map, map, quic_keys, N_OF(quic_keys), node)
		|| node[CONFDRAFT_QUIC_SERVER_ID_LENGTH] == NULL
		|| !confread_uint(r, node[CONFDRAFT_QUIC_SERVER_ID_LENGTH], "server_id_length", 1,
			CONF_QUIC_ID_MAX, &len))
		return;
	config_at = node[CONFDRAFT_QUIC_CONFIG_ID];
	offset_at = node[CONFDRAFT_QUIC_SERVER_ID_OFFSET];
	if (config_at != NULL
		&& !confread_uint(r, config_at, "config_id", 0, MR_QUIC_CONFIG_MAX, &config))
		return;
	if (offset_at != NULL
		&& !confread_uint(r, offset_at, "server_id_offset", config_at != NULL,
			MR_QUIC_CID_MAX - len, &offset))
		return;
	s->quic.id_len = (uint8_t)len;
	s->quic.id_offset = (uint8_t)offset;
	if (config_at != NULL)
		s->quic.config_id = (int8_t)config;
}

static bool is_prime(uint32_t n)
{
	for (uint32_t i = 2; i * i <= n; i++) {
		if (n % i == 0)
			return false;
	}
	return n >= 2;
}

static void read_maglev_size(
	struct confread *r, struct conf_service *s, const struct yamltree_node *node)
{
	uint32_t v;

	if (!confread_uint(r, node, "maglev_size", 2, MR_MAGLEV_SIZE_MAX, &v))
		return;
	if (is_prime(v)) {
		s->maglev_size = v;
		return;
	}
	while (!is_prime(v))
		v++;
	CONFREAD_ERROR(r, node, "%s.maglev_size must be a prime, got %s; the next one is %u",
		r->path, node->text, v);
}

static void read_proto(struct confread *r, struct conf_service *s, const struct yamltree_node *node)
{
	unsigned word;

	s->proto = MR_PROTO_TCP;
	if (node != NULL && confread_word(r, node, "proto", proto_words, N_OF(proto_words), &word))
		s->proto = proto_values[word];
}

static void read_service_words(
	struct confread *r, struct conf_service *s, const struct yamltree_node *const *at)
{
	unsigned word;

	s->sched = MR_SCHED_MAGLEV;
	if (at[CONFDRAFT_SERVICE_MODE] != NULL
		&& confread_word(r, at[CONFDRAFT_SERVICE_MODE], "mode", mode_words, N_MODES, &word))
		s->mode = mode_values[word];
	if (at[CONFDRAFT_SERVICE_SCHEDULER] != NULL
		&& confread_word(r, at[CONFDRAFT_SERVICE_SCHEDULER], "scheduler", sched_words,
			N_OF(sched_words), &word))
		s->sched = sched_values[word];
	s->hash = s->sched == MR_SCHED_SH ? MR_HASH_SOURCE : MR_HASH_FLOW;
	if (at[CONFDRAFT_SERVICE_HASH] != NULL
		&& confread_word(
			r, at[CONFDRAFT_SERVICE_HASH], "hash", hash_words, N_OF(hash_words), &word))
		s->hash = hash_values[word];
	if (at[CONFDRAFT_SERVICE_ON_DOWN] != NULL
		&& confread_word(r, at[CONFDRAFT_SERVICE_ON_DOWN], "on_backend_down", down_words,
			N_OF(down_words), &word))
		s->on_down = down_values[word];
}

/* Bits of an address; whole: all that are looked at without the key. The default, written out, is no
 * difference. */
static void read_bits(struct confread *r, const struct conf_service *s,
	const struct yamltree_node *node, const char *key, uint32_t whole, uint8_t *bits)
{
	uint32_t v;

	if (confread_uint(r, node, key, 1, s->vip.family == 4 ? 32 : 128, &v))
		*bits = v != whole ? (uint8_t)v : 0;
}

/* The default, written out, is no difference. */
static void read_gue_port(
	struct confread *r, struct conf_service *s, const struct yamltree_node *node)
{
	if (confread_port(r, node, "gue_port", &s->gue_port) && s->gue_port == MR_GUE_PORT)
		s->gue_port = 0;
}

static void read_edits(
	struct confread *r, struct conf_service *s, const struct yamltree_node *const *at)
{
	unsigned word;
	uint32_t v;

	if (at[CONFDRAFT_SERVICE_MSS] != NULL
		&& confread_uint(r, at[CONFDRAFT_SERVICE_MSS], "mss", MR_MSS_MIN, UINT16_MAX, &v))
		s->mss = (uint16_t)v;
	if (at[CONFDRAFT_SERVICE_CLIENT_ADDRESS] != NULL
		&& confread_word(r, at[CONFDRAFT_SERVICE_CLIENT_ADDRESS], "client_address",
			client_address_words, N_OF(client_address_words), &word))
		s->client_address = client_address_values[word];
}

static void read_hash_numbers(
	struct confread *r, struct conf_service *s, const struct yamltree_node *const *at)
{
	uint32_t v;

	if (at[CONFDRAFT_SERVICE_SOURCE_PREFIX] != NULL)
		read_bits(r, s, at[CONFDRAFT_SERVICE_SOURCE_PREFIX], "source_prefix",
			s->vip.family == 4 ? 32 : 128, &s->source_prefix);
	if (at[CONFDRAFT_SERVICE_LOAD_BOUND] != NULL
		&& confread_percent(r, at[CONFDRAFT_SERVICE_LOAD_BOUND], "load_bound",
			MR_LOAD_BOUND_MIN_PCT, MR_LOAD_BOUND_MAX_PCT, &v))
		s->load_bound_pct = (uint16_t)v;
}

static void read_rates(
	struct confread *r, struct conf_service *s, const struct yamltree_node *const *at)
{
	if (at[CONFDRAFT_SERVICE_FLOW_RATE] != NULL)
		confread_uint(r, at[CONFDRAFT_SERVICE_FLOW_RATE], "new_connections_per_second", 1,
			MR_FLOW_RATE_MAX, &s->flow_rate);
	if (at[CONFDRAFT_SERVICE_SOURCE_RATE] != NULL)
		confread_uint(r, at[CONFDRAFT_SERVICE_SOURCE_RATE], "source_rate", 1,
			MR_SOURCE_RATE_MAX, &s->source_rate);
	if (at[CONFDRAFT_SERVICE_INSERT_RATE] != NULL)
		confread_uint(r, at[CONFDRAFT_SERVICE_INSERT_RATE], "insert_rate", 1,
			MR_FLOW_RATE_MAX, &s->insert_rate);
	if (at[CONFDRAFT_SERVICE_SYN_COOKIES] != NULL)
		confread_uint(r, at[CONFDRAFT_SERVICE_SYN_COOKIES], "syn_cookies", 1,
			MR_FLOW_RATE_MAX, &s->syn_cookies);
	if (at[CONFDRAFT_SERVICE_PACKET_RATE] != NULL)
		confread_uint(r, at[CONFDRAFT_SERVICE_PACKET_RATE], "packets_per_second", 1,
			MR_PACKET_RATE_MAX, &s->packet_rate);
	if (at[CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX] == NULL)
		return;
	read_bits(r, s, at[CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX], "source_rate_prefix",
		s->vip.family == 4 ? 32 : 64, &s->source_rate_prefix);
	if (at[CONFDRAFT_SERVICE_SOURCE_RATE] == NULL)
		CONFREAD_ERROR(r, at[CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX],
			"%s.source_rate_prefix needs a source_rate", r->path);
}

/* Limits of connections. */
static void read_limits(struct confread *r, struct conf_service *s, struct confdraft_service *at)
{
	read_max_connections(r, at->at[CONFDRAFT_SERVICE_MAX_CONNECTIONS], &s->max_conns);
	read_rates(r, s, at->at);
	if (at->at[CONFDRAFT_SERVICE_TIMEOUTS] != NULL)
		read_timeouts(r, s, at);
}

/* What a service has whose flows go to backends. */
static void read_balance(struct confread *r, struct conf_service *s, struct confdraft_service *at)
{
	uint32_t panic_pct;

	s->syn_timeout_ms = MR_SYN_TIMEOUT_MS;
	s->established_timeout_ms = MR_ESTABLISHED_TIMEOUT_MS;
	s->fin_timeout_ms = MR_FIN_TIMEOUT_MS;
	s->udp_timeout_ms = MR_UDP_TIMEOUT_MS;
	if (at->at[CONFDRAFT_SERVICE_GUE_PORT] != NULL)
		read_gue_port(r, s, at->at[CONFDRAFT_SERVICE_GUE_PORT]);
	read_service_words(r, s, at->at);
	read_edits(r, s, at->at);
	read_hash_numbers(r, s, at->at);
	if (at->at[CONFDRAFT_SERVICE_MAGLEV_SIZE] != NULL)
		read_maglev_size(r, s, at->at[CONFDRAFT_SERVICE_MAGLEV_SIZE]);
	if (at->at[CONFDRAFT_SERVICE_PANIC_THRESHOLD] != NULL
		&& confread_percent(r, at->at[CONFDRAFT_SERVICE_PANIC_THRESHOLD], "panic_threshold",
			0, 100, &panic_pct))
		s->panic_pct = (uint8_t)panic_pct;
	read_limits(r, s, at);
	if (at->at[CONFDRAFT_SERVICE_QUIC] != NULL)
		read_quic(r, s, at);
}

static void read_cache_service(
	struct confread *r, struct conf_service *s, struct confdraft_service *at)
{
	if (!confcache_read_service(r, s, at, service_keys))
		return;
	read_limits(r, s, at);
	confcache_check_timeouts(r, at);
}

static void read_service(struct confdraft *d, size_t i, const struct yamltree_node *key,
	const struct yamltree_node *value)
{
	struct conf_service *s = &d->conf->services[i];
	struct confdraft_service *at = &d->services[i];
	enum confcache_kind kind;

	at->key = key;
	s->quic.config_id = -1;
	confread_path(d->read, "services");
	confread_name(d->read, key, "NAME", s->name);
	confread_path(d->read, "services.%.63s", key->text);
	if (!confread_map(d->read, value, key, service_keys, N_OF(service_keys), at->at))
		return;
	kind = confcache_read_kind(d->read, at, service_keys);
	if (at->at[CONFDRAFT_SERVICE_VIP] != NULL)
		confread_ip(d->read, at->at[CONFDRAFT_SERVICE_VIP], "vip", &s->vip);
	if (at->at[CONFDRAFT_SERVICE_PORT] != NULL)
		confread_port(d->read, at->at[CONFDRAFT_SERVICE_PORT], "port", &s->port);
	read_proto(d->read, s, at->at[CONFDRAFT_SERVICE_PROTO]);
	confacl_read(d->read, s, at->at[CONFDRAFT_SERVICE_ALLOW], at->at[CONFDRAFT_SERVICE_DENY]);
	if (kind == CONFCACHE_KIND_CACHE)
		read_cache_service(d->read, s, at);
	else if (kind == CONFCACHE_KIND_BALANCE)
		read_balance(d->read, s, at);
}

/* Reads each entry of a mapping of names; the arrays have room for all of them. */
static void read_entries(struct confdraft *d, const struct yamltree_node *node, size_t *n_values,
	void (*read_entry)(struct confdraft *, size_t, const struct yamltree_node *,
		const struct yamltree_node *))
{
	for (uint32_t i = 0; i < node->n_items; i += 2) {
		if (node->items[i]->kind != YAMLTREE_SCALAR)
			continue;
		read_entry(d, *n_values, node->items[i], node->items[i + 1]);
		(*n_values)++;
	}
}

/* A section that is not there is an empty one. */
static bool has_section(
	struct confdraft *d, const struct yamltree_node *node, const char *path, const char *name)
{
	confread_path(d->read, "%s", path);
	return node != NULL && confread_kind(d->read, node, name, YAMLTREE_MAPPING);
}

static void read_ports(struct confdraft *d, const struct yamltree_node *node)
{
	const size_t n = node->n_items / 2;

	if (n > PORTS_MAX) {
		CONFREAD_ERROR(d->read, node, "network.ports must have at most %d entries, got %zu",
			PORTS_MAX, n);
		return;
	}
	d->conf->ports = array_of(d->read, n, sizeof(*d->conf->ports));
	d->ports = array_of(d->read, n, sizeof(*d->ports));
	if (d->conf->ports != NULL && d->ports != NULL)
		read_entries(d, node, &d->conf->n_ports, read_port);
}

static void read_network(struct confdraft *d, const struct yamltree_node *node)
{
	const struct yamltree_node *at[NETWORK_KEYS];

	confread_path(d->read, "network");
	if (!confread_map(d->read, node, node, network_keys, N_OF(network_keys), at))
		return;
	if (has_section(d, at[NETWORK_PORTS], "network", "ports"))
		read_ports(d, at[NETWORK_PORTS]);
	if (at[NETWORK_SNAT] != NULL)
		read_snat(d, at[NETWORK_SNAT]);
}

static void read_checks(struct confdraft *d, const struct yamltree_node *node)
{
	const size_t n = node->n_items / 2;

	d->conf->checks = array_of(d->read, n, sizeof(*d->conf->checks));
	d->checks = array_of(d->read, n, sizeof(*d->checks));
	if (d->conf->checks != NULL && d->checks != NULL)
		read_entries(d, node, &d->conf->n_checks, read_check);
}

static void read_pools(struct confdraft *d, const struct yamltree_node *node)
{
	const size_t n = node->n_items / 2;

	d->conf->pools = array_of(d->read, n, sizeof(*d->conf->pools));
	d->pools = array_of(d->read, n, sizeof(*d->pools));
	if (d->conf->pools != NULL && d->pools != NULL)
		read_entries(d, node, &d->conf->n_pools, read_pool);
}

static void read_cache(struct confdraft *d, size_t i, const struct yamltree_node *key,
	const struct yamltree_node *value)
{
	confcache_read(d->read, &d->conf->caches[i], key, value);
}

static void read_caches(struct confdraft *d, const struct yamltree_node *node)
{
	d->conf->caches = array_of(d->read, node->n_items / 2, sizeof(*d->conf->caches));
	if (d->conf->caches != NULL)
		read_entries(d, node, &d->conf->n_caches, read_cache);
}

static void read_services(struct confdraft *d, const struct yamltree_node *node)
{
	const size_t n = node->n_items / 2;

	d->conf->services = array_of(d->read, n, sizeof(*d->conf->services));
	d->services = array_of(d->read, n, sizeof(*d->services));
	if (d->conf->services != NULL && d->services != NULL)
		read_entries(d, node, &d->conf->n_services, read_service);
}

void confdraft_init(struct confdraft *d, struct conf *conf, struct confread *read,
	const struct yamltree_node *root)
{
	const struct yamltree_node *at[TOP_KEYS];
	uint32_t version;

	memset(d, 0, sizeof(*d));
	d->conf = conf;
	d->read = read;
	confread_path(read, "%s", "");
	if (!confread_map(read, root, root, top_keys, N_OF(top_keys), at))
		return;
	if (at[TOP_VERSION] != NULL)
		confread_uint(read, at[TOP_VERSION], "version", 1, 1, &version);
	if (at[TOP_NODE] != NULL)
		read_node(d, at[TOP_NODE]);
	if (at[TOP_NETWORK] != NULL)
		read_network(d, at[TOP_NETWORK]);
	if (has_section(d, at[TOP_CHECKS], "", "checks"))
		read_checks(d, at[TOP_CHECKS]);
	if (has_section(d, at[TOP_POOLS], "", "pools"))
		read_pools(d, at[TOP_POOLS]);
	if (has_section(d, at[TOP_CACHES], "", "caches"))
		read_caches(d, at[TOP_CACHES]);
	if (has_section(d, at[TOP_SERVICES], "", "services"))
		read_services(d, at[TOP_SERVICES]);
}

void confdraft_fini(struct confdraft *d)
{
	for (size_t i = 0; d->pools != NULL && i < d->conf->n_pools; i++)
		free(d->pools[i].backends);
	free(d->ports);
	free(d->checks);
	free(d->pools);
	free(d->services);
	memset(d, 0, sizeof(*d));
}
