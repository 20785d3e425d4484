/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_cache — memcached over UDP from one cache that all workers share; see lane.h. UDP checksums are made, and not sent by the clients.
 */
#include "base/csum.h"
#include "keyload.h"
#include "lane.h"
#include "proto/mc_udp.h"

#include <rte_ip.h>
#include <rte_udp.h>

#define NORTH 0u
#define PORT 11211u
#define L3 RTE_ETHER_HDR_LEN
#define L4 (L3 + sizeof(struct rte_ipv4_hdr))
#define TEXT (L4 + sizeof(struct rte_udp_hdr) + MC_UDP_HEADER)
#define VALUE_MAX 1000u
#define N_CLIENTS 1000u
#define N_ASKS (1u << 20)
#define CACHE_MB 600u /* 512 of them may be the cache's */

/* A frame with all but client, port and key. */
struct frame {
	uint8_t bytes[TEXT + 64 + VALUE_MAX];
	unsigned len, key_at;
};

struct ask {
	uint8_t digits[8];
	uint16_t set_at; /* which frame of `sets`; NO_SET: it is a get */
};

#define NO_SET UINT16_MAX

/* A lane's client. */
struct asker {
	uint32_t ask_at;
	uint64_t n_gets, n_hits;
};

static struct harness h;
static struct frame get, *sets; /* one for each length of a value */
static struct ask *asks;
static uint32_t answer_len; /* of a hit, at least */
static bool has_sets;
static uint16_t client_sums[N_CLIENTS]; /* of IP headers, but for their length */

/* --- requests --- */

static rte_be32_t client_ip(uint32_t i)
{
	return rte_cpu_to_be_32(RTE_IPV4(172, 16, 0, 1) + i);
}

static void frame_init(struct frame *f, const char *line, uint32_t value_len)
{
	const struct rte_ether_hdr eth = {.dst_addr = {SHIM_MAC},
		.src_addr = {{2, 0, 0, 0, 0xc, 1}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.dst_addr = RTE_BE32(RTE_IPV4(10, 9, 200, 1))};
	struct rte_udp_hdr udp = {.dst_port = RTE_BE16(PORT)};
	unsigned n = (unsigned)strlen(line);

	memcpy(f->bytes + TEXT, line, n);
	if (value_len > 0) {
		memset(f->bytes + TEXT + n, 'v', value_len);
		memcpy(f->bytes + TEXT + n + value_len, "\r\n", 2);
		n += value_len + 2;
	}
	f->len = (unsigned)TEXT + n;
	f->key_at = (unsigned)TEXT + 4 + (unsigned)strlen(KEYLOAD_FIXED);
	mc_udp_build(f->bytes + TEXT - MC_UDP_HEADER, 7, 0, 1);
	udp.dgram_len = rte_cpu_to_be_16((uint16_t)(f->len - L4));
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		ip.src_addr = client_ip(i);
		client_sums[i] = (uint16_t)~csum_of(&ip, sizeof(ip));
	}
	ip.total_length = rte_cpu_to_be_16((uint16_t)(f->len - L3));
	memcpy(f->bytes, &eth, sizeof(eth));
	memcpy(f->bytes + L3, &ip, sizeof(ip));
	memcpy(f->bytes + L4, &udp, sizeof(udp));
}

static void frames_init(const struct lane_options *o)
{
	char line[64];

	frame_init(&get, "get " KEYLOAD_FIXED "00000000\r\n", 0);
	sets = shim_alloc((o->value_max - o->value_min + 1) * sizeof(*sets));
	for (uint32_t n = o->value_min; n <= o->value_max; n++) {
		snprintf(line, sizeof(line), "set " KEYLOAD_FIXED "00000000 0 0 %u\r\n", n);
		frame_init(&sets[n - o->value_min], line, n);
	}
}

static void draw(const struct lane_options *o)
{
	uint32_t *keys = keyload_draw(o->n_keys, o->skew, N_ASKS);
	uint64_t seed = 29;

	asks = shim_alloc(N_ASKS * sizeof(*asks));
	for (uint32_t i = 0; i < N_ASKS; i++) {
		keyload_digits(asks[i].digits, keys[i]);
		asks[i].set_at = NO_SET;
		if (shim_random(&seed) % 100 < o->set_pct)
			asks[i].set_at = (uint16_t)((shim_random(&seed) >> 32)
				% (o->value_max - o->value_min + 1));
	}
	free(keys);
}

static void emit_one(struct lane *l, struct rte_mbuf *m)
{
	struct asker *x = l->ctx;
	const struct ask *a = &asks[x->ask_at];
	const struct frame *f = a->set_at == NO_SET ? &get : &sets[a->set_at];
	const uint32_t client = (x->ask_at * 7919u) % N_CLIENTS;
	const rte_be32_t ip = client_ip(client);
	const rte_be16_t port = rte_cpu_to_be_16((uint16_t)(20000 + x->ask_at % 1000));
	const uint16_t ip_csum = (uint16_t)~csum_fold(
		(uint64_t)client_sums[client] + rte_cpu_to_be_16((uint16_t)(f->len - L3)));
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);

	memcpy(to, f->bytes, f->len);
	memcpy(to + L3 + offsetof(struct rte_ipv4_hdr, src_addr), &ip, sizeof(ip));
	memcpy(to + L3 + offsetof(struct rte_ipv4_hdr, hdr_checksum), &ip_csum, sizeof(ip_csum));
	memcpy(to + L4, &port, sizeof(port));
	memcpy(to + f->key_at, a->digits, sizeof(a->digits));
	m->data_len = (uint16_t)f->len;
	m->pkt_len = f->len;
	m->ol_flags = RTE_MBUF_F_RX_RSS_HASH; /* one whose owner this worker is */
	m->hash.rss = l->id;
	x->ask_at = (x->ask_at + 1) % N_ASKS;
	x->n_gets += a->set_at == NO_SET;
}

static void emit(struct lane *l, struct rte_mbuf **m)
{
	for (unsigned i = 0; i < SHIM_BURST; i++)
		emit_one(l, m[i]);
	l->in = l->out = NORTH;
}

static void look(struct lane *l, struct rte_mbuf **m)
{
	struct asker *x = l->ctx;

	for (unsigned i = 0; i < SHIM_BURST; i++)
		x->n_hits += m[i]->pkt_len >= answer_len;
}

/* A policy may give up items where there are sets. What was only moved is in neither count. */
static bool are_hits(struct lane *l)
{
	struct asker *x = l->ctx;
	const bool is_so = x->n_hits + (has_sets ? x->n_gets / 10 : 0) >= x->n_gets;

	x->n_gets = x->n_hits = 0;
	return is_so;
}

/* --- the box --- */

static void put(struct mr_object o_)
{
	model_put(h.model, &o_);
}

static bool configure(const struct lane_options *o)
{
	struct mr_error err = {0};

	put((struct mr_object){.type = MR_OBJ_SETTINGS});
	put((struct mr_object){.type = MR_OBJ_ADDR,
		.addr = {.port = "north",
			.ip = {.family = 4, .bytes = {10, 9, 0, 1}},
			.prefix_len = 16}});
	put((struct mr_object){.type = MR_OBJ_CACHE,
		.cache = {.name = "cache",
			.memory_bytes = (uint64_t)o->memory_mb << 20,
			.eviction = MR_EVICTION_S3FIFO,
			.item_bytes = KEYLOAD_LEN + (o->value_min + o->value_max) / 2}});
	put((struct mr_object){.type = MR_OBJ_SERVICE,
		.service = {.name = "cached",
			.vip = {.family = 4, .bytes = {10, 9, 200, 1}},
			.port = PORT,
			.proto = MR_PROTO_UDP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.cache = "cache",
			.reply_rate = MR_REPLY_RATE_MAX_KB}});
	put((struct mr_object){.type = MR_OBJ_ACL,
		.acl = {.service = "cached",
			.ip = {.family = 4, .bytes = {172, 16}},
			.prefix_len = 12,
			.action = MR_ACL_ALLOW}});
	if (harness_apply(&h, &err) != 0)
		fprintf(stderr, "workers: %s: %s\n", err.object, err.message);
	return err.message[0] == '\0';
}

static struct harness *up(const struct lane_options *o, unsigned n_lanes)
{
	const struct harness_params p = {.n_workers = n_lanes,
		.n_queues = n_lanes,
		.n_conns4 = 1024,
		.n_conns6 = 1024,
		.n_mbufs = 4096 + 4096 * n_lanes,
		.cache_mb = CACHE_MB,
		.seed = 7};

	if (o->value_max > VALUE_MAX) {
		fprintf(stderr, "workers: values of %u bytes: %u at most\n", o->value_max,
			VALUE_MAX);
		return NULL;
	}
	harness_init(&h, &p);
	if (!configure(o))
		return NULL;
	if (!keyload_fill(&h, o->n_keys, (o->value_min + o->value_max) / 2)) {
		fprintf(stderr,
			"workers: the cache of %u MB has no room for all keys; fewer, or shorter values (--keys, --value)\n",
			o->memory_mb);
		return NULL;
	}
	answer_len = (uint32_t)TEXT + 6 + KEYLOAD_LEN + o->value_min;
	has_sets = o->set_pct > 0;
	frames_init(o);
	draw(o);
	return &h;
}

static bool lane_up(struct lane *l, const struct lane_options *o)
{
	struct asker *x = shim_alloc(sizeof(*x));

	(void)o;
	x->ask_at = l->id * (N_ASKS / LANE_MAX);
	for (unsigned q = 0; q < h.workers[l->id]->n_queues; q++)
		h.workers[l->id]->queues[q].has_rss = 1;
	l->ctx = x;
	return true;
}

const struct laneload lane_get = {.name = "get",
	.about = "memcached over UDP",
	.memory_mb = CACHE_MB + 512,
	.lane_mb = 64,
	.up = up,
	.lane_up = lane_up,
	.emit = emit,
	.look = look,
	.are_hits = are_hits};
