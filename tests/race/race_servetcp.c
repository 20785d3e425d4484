/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers serve a cache over TCP while the manager adds and removes a service, changes lists and a time-out, reads figures of all
 * workers, and has jobs walk over connections and end some. Each worker's thread is its own clients, with a TCP of theirs, by rings and
 * buffers that nobody else uses. They ask for what all workers count (`stats`), and each value that they read says which key it is of.
 *
 * The port's device cuts frames into segments, so long values are sent from where they lie, and keeps what it was given for a while, as drivers do. In
 * so small a cache the other worker meanwhile replaces, deletes and evicts them, and writes others: what the device has is still the same bytes
 * when it lets go of them, and ThreadSanitizer sees a read beside a write where an order is missing. In the end no value is referred to.
 */
#include "base/clock.h"
#include "eal.h"
#include "harness.h"
#include "net/parse.h"
#include "proto/mc.h"
#include "race.h"
#include "txdevice.h"

#include <inttypes.h>

#define THREADS 2u
#define RUN_MS 4000u
#define CONNS 24u
#define KEYS 300u
#define VALUE_MAX 12000u
#define HELD_MAX 1024u
#define HELD_TURNS 32u /* for so long at most a device has a frame */

enum { MAIN = 11211, SIDE = 11212 };

#ifdef TSAN_BUILD
/* A token that was passed before is read plainly there, and written atomically. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#endif

struct client;

struct line { /* a connection */
	struct client *client;
	struct tcb *c;
	uint32_t n_asked, n_answered;
	char text[VALUE_MAX + 256];
	uint32_t n_text;
};

/* A frame that the device has sent and not given back. */
struct held {
	struct rte_mbuf *m;
	uint8_t *bytes; /* what it was */
	uint32_t until; /* turn */
};

struct client {
	unsigned id;
	uint64_t rnd;
	struct rte_mempool *pool, *box_pool;
	struct tcp *tcp;
	struct iface_set ifaces;
	struct burst *burst;
	struct line lines[CONNS];
	struct held held[HELD_MAX];
	unsigned n_held;
	uint32_t turn;
	uint64_t n_answers, n_values, n_opened, n_resets, n_long, n_cut;
};

/* What the manager has a worker do. */
struct killing {
	struct worker_job job;
	struct servetcp_walk walk;
	uint64_t n_seen, n_killed;
};

static struct harness h;
static struct client clients[THREADS];
static struct tcp_profile profile;
static pthread_barrier_t end;
static bool is_over;

/* --- clients --- */

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	(void)ctx;
	(void)p;
	return NULL;
}

static void ask(struct line *l)
{
	const uint32_t key = race_random(&l->client->rnd) % KEYS;
	const uint32_t len = 8 + race_random(&l->client->rnd) % (VALUE_MAX - 8);
	char text[VALUE_MAX + 64];
	int n;

	switch (race_random(&l->client->rnd) % 16) {
	case 0:
		tcp_write(l->c, "stats\r\n", 7); /* connections of all workers are counted */
		break;
	case 1:
		n = snprintf(text, sizeof(text), "delete k%u\r\n", key);
		tcp_write(l->c, text, (uint32_t)n);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		n = snprintf(text, sizeof(text), "set k%u 0 0 %u\r\n%08u", key, len, key);
		memset(text + n, 'a' + (int)(race_random(&l->client->rnd) % 26), len - 8);
		memcpy(text + n + len - 8, "\r\n", 2);
		tcp_write(l->c, text, (uint32_t)n + len - 6);
		break;
	default:
		n = snprintf(text, sizeof(text), "get k%u\r\n", key);
		tcp_write(l->c, text, (uint32_t)n);
	}
	l->n_asked++;
}

static void on_open(void *ctx, struct tcb *c)
{
	struct client *cl = ctx;
	struct line *l = tcp_app(c);

	cl->n_opened++;
	for (unsigned i = 0; i < 4; i++)
		ask(l);
}

/* A whole answer at the front of the text: its bytes, 0: there is none yet. */
static uint32_t look(struct line *l)
{
	unsigned key, len;
	char *end_of, digits[16];

	l->text[l->n_text] = '\0';
	end_of = strstr(l->text, "\r\n");
	if (end_of == NULL)
		return 0;
	if (sscanf(l->text, "VALUE k%u 0 %u", &key, &len) == 2) {
		const uint32_t head = (uint32_t)(end_of + 2 - l->text);

		if (l->n_text < head + len + 7)
			return 0;
		snprintf(digits, sizeof(digits), "%08u", key);
		RACE_CHECK(memcmp(l->text + head, digits, 8) == 0, "key %u: %.20s", key,
			l->text + head);
		RACE_CHECK(memcmp(l->text + head + 8, l->text + head + 9, len - 9) == 0,
			"key %u is of two values", key);
		RACE_CHECK(memcmp(l->text + head + len, "\r\nEND\r\n", 7) == 0, "key %u has no end",
			key);
		l->client->n_values++;
		l->client->n_long += len >= MC_OUT_REFER_MIN;
		return head + len + 7;
	}
	if (strncmp(l->text, "STAT ", 5) == 0)
		return 0x80000000u | (uint32_t)(end_of + 2 - l->text); /* one of its lines */
	RACE_CHECK(strncmp(l->text, "END", 3) == 0 || strncmp(l->text, "STORED", 6) == 0
			|| strncmp(l->text, "SERVER_ERROR", 12) == 0
			|| strncmp(l->text, "DELETED", 7) == 0
			|| strncmp(l->text, "NOT_FOUND", 9) == 0,
		"%.60s", l->text);
	return (uint32_t)(end_of + 2 - l->text);
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	struct client *cl = ctx;

	for (unsigned i = 0; i < n; i++) {
		struct line *l = tcp_app(c[i]);
		const uint8_t *p;
		uint32_t len, got;

		while ((p = tcp_peek(l->c, &len)) != NULL) {
			len = RTE_MIN(len, (uint32_t)sizeof(l->text) - 1 - l->n_text);
			memcpy(l->text + l->n_text, p, len);
			l->n_text += len;
			tcp_consume(l->c, len);
			while ((got = look(l)) != 0) {
				cl->n_answers += got >> 31 == 0;
				l->n_answered += got >> 31 == 0;
				got &= 0x7fffffff;
				l->n_text -= got;
				memmove(l->text, l->text + got, l->n_text);
			}
		}
		if (tcp_is_eof(l->c) || race_random(&cl->rnd) % 64 == 0)
			tcp_close(l->c);
		else if (race_random(&cl->rnd) % 256 == 0)
			tcp_abort(l->c);
		else
			while (l->n_asked < l->n_answered + 4)
				ask(l);
	}
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct client *cl = ctx;
	struct line *l = tcp_app(c);

	cl->n_resets += why == TCP_WHY_RESET;
	l->c = NULL;
}

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	const struct client *cl = ctx;
	struct rte_mbuf *copy =
		rte_ring_full(h.rx[0][cl->id]) ? NULL : rte_pktmbuf_alloc(cl->box_pool);

	(void)iface;
	(void)of;
	if (copy != NULL) {
		memcpy(rte_pktmbuf_append(copy, (uint16_t)m->pkt_len),
			rte_pktmbuf_mtod(m, const void *), m->pkt_len);
		harness_receive(&h, 0, cl->id, copy);
	}
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* To a flow that the client's worker owns: its buffers stay with it. */
static void open_line(struct client *cl, struct line *l)
{
	const uint16_t port = race_random(&cl->rnd) % 3 ? MAIN : SIDE;
	struct pkt peer = {.family = 4, .src = {10, 1, 0, 99}, .dst = {10, 1, 0, 10}};
	struct pkt seen = {
		.family = 4, .proto = IPPROTO_TCP, .src = {10, 1, 0, 10}, .dst = {10, 1, 0, 99}};

	peer.sport = seen.dport = rte_cpu_to_be_16(port);
	do {
		peer.dport = seen.sport =
			rte_cpu_to_be_16((uint16_t)(20000 + race_random(&cl->rnd) % 40000));
	} while (NIC_RSS_OWNER(nic_softrss(&seen), THREADS) != cl->id);
	memset(l, 0, sizeof(*l));
	l->client = cl;
	l->c = tcp_open(cl->tcp, &profile, &peer, 0, &h.ifaces.of[0].mac, clock_us());
	if (l->c != NULL)
		tcp_set_app(l->c, l);
}

static uint8_t *copy_of(const struct rte_mbuf *m)
{
	uint8_t *bytes = malloc(m->pkt_len), *to = bytes;

	RACE_CHECK(bytes != NULL, "no memory");
	for (; m != NULL; to += m->data_len, m = m->next)
		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
	return bytes;
}

/* The device lets go of what it has had long enough: of all of it, when is_all. */
static void give_back(struct client *cl, bool is_all)
{
	for (unsigned i = 0; i < cl->n_held; i++) {
		struct held *d = &cl->held[i];
		uint8_t *now;

		if (!is_all && (int32_t)(d->until - cl->turn) > 0)
			continue;
		now = copy_of(d->m);
		RACE_CHECK(memcmp(now, d->bytes, d->m->pkt_len) == 0,
			"a frame of %u bytes is another's", d->m->pkt_len);
		free(now);
		free(d->bytes);
		rte_pktmbuf_free(d->m);
		cl->held[i--] = cl->held[--cl->n_held];
	}
}

static void take_burst(struct client *cl)
{
	struct burst *b = cl->burst;
	uint8_t sel[BURST_MAX];
	unsigned n = 0;

	parse_burst(b, &cl->ifaces.of[0].mac, 0);
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].verdict == PKT_UNSEEN && b->p[i].proto == IPPROTO_TCP)
			sel[n++] = (uint8_t)i;
	tcp_input(cl->tcp, b, sel, n, clock_us());
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].verdict != PKT_GONE)
			rte_pktmbuf_free(b->m[i]);
	b->n = 0;
}

static void on_frame(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct client *cl = ctx;
	struct rte_mbuf *m = rte_pktmbuf_alloc(cl->pool);

	RACE_CHECK(m != NULL, "no buffer");
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	cl->burst->m[cl->burst->n++] = m;
	if (cl->burst->n == BURST_MAX)
		take_burst(cl);
}

/* What the worker has sent: as the device puts it on the wire. */
static void take_frames(struct client *cl)
{
	void *p;

	cl->turn++;
	cl->burst->n = 0;
	while (rte_ring_dequeue(h.tx[0][cl->id], &p) == 0) {
		struct rte_mbuf *m = p;

		cl->n_cut += m->nb_segs > 1;
		txdevice_send(&h.ifaces.of[0], m, on_frame, cl);
		RACE_CHECK(cl->n_held < HELD_MAX, "too many frames are held");
		cl->held[cl->n_held++] =
			(struct held){m, copy_of(m), cl->turn + race_random(&cl->rnd) % HELD_TURNS};
	}
	take_burst(cl);
	give_back(cl, false);
}

static void *body(void *arg)
{
	struct client *cl = arg;
	struct worker *w = h.workers[cl->id];

	snapshot_reader_up(cl->id);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < CONNS; i++)
			if (cl->lines[i].c == NULL && race_random(&cl->rnd) % 8 == 0)
				open_line(cl, &cl->lines[i]);
		tcp_poll(cl->tcp, clock_us());
		for (unsigned i = 0; i < 4; i++) {
			worker_poll(w, clock_us());
			take_frames(cl);
		}
	}
	for (unsigned i = 0; i < CONNS; i++)
		if (cl->lines[i].c != NULL)
			tcp_abort(cl->lines[i].c);
	tcp_flush(cl->tcp, clock_us());
	for (unsigned i = 0; i < 64; i++) {
		worker_poll(w, clock_us());
		take_frames(cl);
	}
	give_back(cl, true);
	snapshot_offline();
	/* TSan does not see what unregistering orders: not while others serve */
	pthread_barrier_wait(&end);
	snapshot_online();
	snapshot_reader_down();
	return NULL;
}

/* --- the manager --- */

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip;

	RACE_CHECK(mr_ip_parse(&ip, text) == 0, "%s", text);
	return ip;
}

static void put(const struct mr_object *o)
{
	RACE_CHECK(model_put(h.model, o) == 0, "no memory");
}

static void put_service(const char *name, uint16_t port, uint32_t idle_ms)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE,
		.service = {.vip = ip_of("10.1.0.99"),
			.port = port,
			.proto = MR_PROTO_TCP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.established_timeout_ms = idle_ms,
			.cache = "main"}};

	snprintf(o.service.name, sizeof(o.service.name), "%s", name);
	put(&o);
}

static void put_list(const char *service, bool is_refused)
{
	struct mr_object o = {.type = MR_OBJ_ACL,
		.acl = {.ip = ip_of("10.1.0.10"),
			.prefix_len = 32,
			.action = is_refused ? MR_ACL_DENY : MR_ACL_ALLOW}};

	snprintf(o.acl.service, sizeof(o.acl.service), "%s", service);
	put(&o);
}

static void apply(void)
{
	struct mr_error err;

	h.now_ms = clock_ms();
	RACE_CHECK(harness_apply(&h, &err) == 0, "%s: %s", err.object, err.message);
}

static void configure(void)
{
	static const struct mr_object settings = {.type = MR_OBJ_SETTINGS};
	struct mr_object addr = {.type = MR_OBJ_ADDR,
		.addr = {.port = "north", .ip = ip_of("10.1.0.1"), .prefix_len = 24}};
	struct mr_object cache = {.type = MR_OBJ_CACHE,
		.cache = {.name = "main",
			.memory_bytes = 2u << 20,
			.eviction = MR_EVICTION_S3FIFO,
			.value_max = VALUE_MAX + 100}};

	put(&settings);
	put(&addr);
	put(&cache);
	put_service("main", MAIN, 0);
	apply();
}

static bool kill_some(void *ctx, const struct servetcp_info *info, bool *is_killed)
{
	struct killing *k = ctx;

	RACE_CHECK(info->tcp.family == 4 && info->service_idx < 64, "a connection of nobody");
	*is_killed = ++k->n_seen % 16 == 0;
	k->n_killed += *is_killed;
	return true;
}

static bool run_killing(struct worker *w, struct worker_job *job)
{
	struct killing *k = job->ctx;

	servetcp_walk(w, &k->walk, 32);
	return k->walk.cursor == UINT32_MAX;
}

static uint64_t sum_figures(void)
{
	const struct serve_conf *c = serve_conf_of(snapshot_get());
	uint64_t n = 0;

	for (unsigned w = 0; w < h.n_workers; w++)
		for (uint32_t i = 0; i < c->n_services; i++) {
			const struct serve_tally *t = serve_worker_tally(h.workers[w]->serve, i);

			n += __atomic_load_n(&t->requests, __ATOMIC_RELAXED);
			RACE_CHECK(serve_worker_conns(h.workers[w]->serve, i) <= CONNS + 256,
				"connections of a slot");
		}
	return n;
}

static unsigned manage(struct killing *k)
{
	const uint32_t start = clock_ms();
	unsigned turn = 0;

	for (; clock_ms() - start < RUN_MS; turn++) {
		struct worker *w = h.workers[turn % THREADS];

		if (turn % 8 == 0) {
			put_service("side", SIDE, turn % 16 ? 5000 : 0);
			put_list("side", turn % 32 == 0);
			apply();
		} else if (turn % 8 == 4) {
			model_del(h.model, "service/side");
			model_del(h.model, "acl/side/10.1.0.10/32");
			apply();
		}
		if (worker_job_done(w) && worker_job_done(h.workers[(turn + 1) % THREADS])) {
			k->walk.cursor = 0;
			RACE_CHECK(worker_job_post(w, &k->job) == 0, "a job");
		}
		RACE_CHECK(sum_figures() > 0 || turn < 200, "nothing is served");
		usleep(1000);
	}
	for (unsigned i = 0; i < THREADS; i++)
		while (!worker_job_done(h.workers[i]))
			usleep(1000);
	return turn;
}

static struct rte_mempool *pool_of(const char *name, unsigned id)
{
	struct rte_mempool *p;
	char text[16];

	snprintf(text, sizeof(text), "%s%u", name, id);
	p = rte_pktmbuf_pool_create(
		text, 8191, 0, BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	RACE_CHECK(p != NULL, "no pool");
	return p;
}

static void client_up(struct client *cl, unsigned id)
{
	struct tcp_params tp = {.n_conns = CONNS,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 8192,
		.ops = &ops,
		.ctx = cl,
		.secret = {id},
		.now_us = clock_us(),
		.socket_id = SOCKET_ID_ANY};

	cl->id = id;
	cl->rnd = id + 99;
	cl->pool = pool_of("client", id);
	cl->burst = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*cl->burst));
	RACE_CHECK(cl->burst != NULL, "no memory");
	cl->ifaces.n = 1;
	cl->ifaces.of[0] = h.ifaces.of[0];
	cl->ifaces.of[0].writes_csums = cl->ifaces.of[0].takes_chains = false;
	cl->ifaces.of[0].tso_mbufs = 0;
	cl->ifaces.of[0].mac = (struct rte_ether_addr){{2, 0xbb, 0, 0, 0, (uint8_t)id}};
	tp.pool = cl->pool;
	tp.ifaces = &cl->ifaces;
	RACE_CHECK(tcp_create(&cl->tcp, &tp) == 0, "no stack");
}

static void client_down(struct client *cl)
{
	printf("worker %u: %" PRIu64 " connections, %" PRIu64 " reset, %" PRIu64
	       " answers, %" PRIu64 " values, %" PRIu64 " of them long, %" PRIu64
	       " frames for the device to cut\n",
		cl->id, cl->n_opened, cl->n_resets, cl->n_answers, cl->n_values, cl->n_long,
		cl->n_cut);
	RACE_CHECK(cl->n_answers > 100 && cl->n_values > 50 && cl->n_long > 5 && cl->n_cut > 5,
		"too little was served");
	tcp_destroy(&cl->tcp);
	free(cl->burst);
	RACE_CHECK(rte_mempool_in_use_count(cl->pool) == 0, "buffers of clients are missing");
}

/* Values were sent from where they lie while others took their places, and nothing of that is left. */
static void check_refs(void)
{
	const struct cache *c = serveconf_find(serve_conf_of(snapshot_get()), "main");
	uint64_t n_refs = 0, n_refused = 0;
	struct kv_stats stats;
	uint32_t used, max;

	for (unsigned i = 0; i < THREADS; i++) {
		n_refs += servetcp_stats(h.workers[i])->refs;
		n_refused += servetcp_stats(h.workers[i])->refs_refused;
		servetcp_refs(h.workers[i], &used, &max);
		RACE_CHECK(used == 0, "%u values are still being sent", used);
	}
	kv_stats_sum(c->kv, &stats);
	printf("%" PRIu64 " values by reference, %" PRIu64 " refused, %" PRIu64 " evicted, %" PRIu64
	       " deleted\n",
		n_refs, n_refused, stats.evicted, stats.deletes);
	RACE_CHECK(n_refs > 20 && stats.evicted > 10 && stats.deletes > 3,
		"too little happened to what is sent");
	RACE_CHECK(!kv_is_pinned(c->kv), "segments are pinned");
}

int main(void)
{
	struct harness_params p = {.n_workers = THREADS,
		.n_queues = THREADS,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = 8191,
		.n_services = 64,
		.n_tcp_conns = 64,
		.cache_mb = 16};
	struct killing k = {
		.job = {.run = run_killing, .ctx = &k}, .walk = {.each = kill_some, .ctx = &k}};
	pthread_t threads[THREADS];
	struct tally sum;
	unsigned n_turns;

	RACE_CHECK(eal_start("race_servetcp", 256) == 0, "EAL did not start");
	for (unsigned i = 0; i < THREADS; i++)
		p.tcp_pools[i] = clients[i].box_pool = pool_of("box", i);
	harness_init(&h, &p);
	h.ifaces.of[0].writes_csums = h.ifaces.of[0].takes_chains = true;
	h.ifaces.of[0].tso_mbufs = 64;
	snapshot_reader_down(); /* this thread is the manager alone */
	configure();
	pthread_barrier_init(&end, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		client_up(&clients[i], i);
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = race_start(body, &clients[i]);
	n_turns = manage(&k);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		client_down(&clients[i]);
	printf("%u turns of the manager, %" PRIu64 " connections seen, %" PRIu64
	       " ended by a job\n",
		n_turns, k.n_seen, k.n_killed);
	RACE_CHECK(k.n_killed > 0 && clients[0].n_resets + clients[1].n_resets > 0,
		"no connection was ended");
	snapshot_reader_up(0);
	RACE_CHECK(harness_balanced(&h, &sum), "packets are missing");
	check_refs();
	harness_fini(&h);
	for (unsigned i = 0; i < THREADS; i++)
		RACE_CHECK(rte_mempool_in_use_count(clients[i].box_pool) == 0,
			"buffers of a worker are missing");
	return 0;
}
