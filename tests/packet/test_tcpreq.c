/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that end here, at caches, from the socket: which of them a filter means beside the entries of flows, what is told of them,
 * how they are counted and ended; and what TCP itself counts. Clients are hand-made segments to two workers.
 */
#include "api/server_pvt.h"
#include "eal.h"
#include "harness.h"
#include "tcpclient.h"
#include "unit.h"

#include <rte_tcp.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ROWS_MAX 1024u
#define N_CONNS 512u /* of a worker: more than it looks at in a turn */
#define FIN RTE_TCP_FIN_FLAG
#define SYN RTE_TCP_SYN_FLAG
#define RST RTE_TCP_RST_FLAG
#define ACK RTE_TCP_ACK_FLAG
#define VIP4 "10.1.0.100"
#define VIP6 "fd00:1::100"

static struct harness h;
static struct api_server *server;
static char dir[] = "/tmp/millrace-tcpreq.XXXXXX", path[64];
static int fd;

/* What the last request was answered. */
static struct mr_conn_row rows[ROWS_MAX];
static struct mr_tcp_row numbers[ROWS_MAX];
static struct mr_explain_row told;
static unsigned n_rows, n_polls;
static bool is_error;
static struct mr_error refusal;
static uint64_t n_killed;

static uint32_t now_ms(void)
{
	return h.now_ms;
}

/* --- clients --- */

static void talk(struct tcpclient *c, uint8_t flags, const char *text)
{
	tcpclient_talk(&h, c, flags, text);
}

static struct tcpclient open_from(const char *ip, uint16_t sport, const char *vip, uint16_t dport)
{
	struct tcpclient c = {.sport = sport, .dport = dport, .snd_nxt = 1000u * sport};

	assert_int_equal(mr_ip_parse(&c.ip, ip), 0);
	assert_int_equal(mr_ip_parse(&c.vip, vip), 0);
	talk(&c, SYN, "");
	assert_int_equal(c.flags, SYN | ACK);
	talk(&c, ACK, "");
	return c;
}

/* --- the socket --- */

static void connect_client(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void send_request(enum mr_request type, const struct mr_msg *msg, const void *object)
{
	uint8_t buf[1024];
	struct mr_writer w;
	uint32_t at;

	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, (uint16_t)type, 0, 1);
	mr_msg_encode(&w, msg, object);
	assert_int_equal(mr_frame_end(&w, at), 0);
	assert_int_equal(send(fd, buf, w.len, MSG_NOSIGNAL), w.len);
}

static void decode(const struct mr_frame *f, const struct mr_msg *msg, void *row)
{
	const struct mr_field *bad;

	assert_int_equal(mr_msg_decode(msg, row, f->body, f->body_len, &bad), 0);
}

static void take_frame(const struct mr_frame *f)
{
	if (f->flags & MR_F_ERROR) {
		is_error = true;
		decode(f, &mr_error_msg, &refusal);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CONN_KILL) {
		struct mr_conn_kill_row killed;

		decode(f, &mr_conn_kill_row_msg, &killed);
		n_killed += killed.killed;
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CONNS) {
		assert_true(n_rows < ROWS_MAX);
		decode(f, &mr_conn_row_msg, &rows[n_rows++]);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_EXPLAIN) {
		decode(f, &mr_explain_row_msg, &told);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_TCP) {
		assert_true(n_rows < ROWS_MAX);
		decode(f, &mr_tcp_row_msg, &numbers[n_rows++]);
	}
}

static void await(void)
{
	static uint8_t in[1u << 20];
	uint32_t n = 0, at = 0;
	bool is_whole = false;

	n_rows = n_polls = 0;
	n_killed = 0;
	is_error = false;
	while (!is_whole) {
		struct mr_frame f;
		ssize_t got;
		int size;

		harness_poll(&h);
		api_server_poll(server, 0);
		assert_true(++n_polls < 100000);
		while ((got = recv(fd, in + n, sizeof(in) - n, 0)) > 0)
			n += (uint32_t)got;
		while ((size = mr_frame_parse(&f, in + at, n - at)) > 0) {
			take_frame(&f);
			at += (uint32_t)size;
			is_whole |= !(f.flags & MR_F_MORE);
		}
	}
	assert_int_equal(at, n);
}

static void ask(const struct mr_conn_filter *f)
{
	send_request(MR_REQ_CONNS, &mr_conn_filter_msg, f);
	await();
	if (is_error)
		fail_msg("%s", refusal.message);
}

static void kill_conns(const struct mr_conn_filter *f, unsigned n_want)
{
	send_request(MR_REQ_CONN_KILL, &mr_conn_filter_msg, f);
	await();
	if (is_error)
		fail_msg("%s", refusal.message);
	assert_int_equal(n_killed, n_want);
}

/* Source ports of the rows, in order, blank before each. */
static const char *ports(void)
{
	static char text[256];
	uint16_t found[32];

	assert_true(n_rows <= 32);
	text[0] = '\0';
	for (unsigned i = 0; i < n_rows; i++) {
		unsigned k = i;

		for (; k > 0 && found[k - 1] > rows[i].client_port; k--)
			found[k] = found[k - 1];
		found[k] = rows[i].client_port;
	}
	for (unsigned i = 0; i < n_rows; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u", found[i]);
	return text;
}

static const struct mr_conn_row *row_of(uint16_t port)
{
	for (unsigned i = 0; i < n_rows; i++) {
		if (rows[i].client_port == port)
			return &rows[i];
	}
	fail_msg("no connection from port %u", port);
	return NULL;
}

/* --- the model --- */

static void put(const struct mr_object *o)
{
	assert_int_equal(model_put(h.model, o), 0);
}

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip = {0};

	assert_int_equal(mr_ip_parse(&ip, text), 0);
	return ip;
}

static void put_served(const char *name, const char *vip, uint16_t port, uint32_t idle_ms)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE,
		.service = {.vip = ip_of(vip),
			.port = port,
			.proto = MR_PROTO_TCP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.cache = "hot",
			.established_timeout_ms = idle_ms}};

	snprintf(o.service.name, MR_NAME_MAX, "%s", name);
	put(&o);
}

/* Two services of a cache, and one that is forwarded. */
static void put_model(void)
{
	const struct mr_object objects[] = {
		{.type = MR_OBJ_ADDR,
			.addr = {.port = "north", .ip = ip_of("10.1.0.1"), .prefix_len = 16}},
		{.type = MR_OBJ_ADDR,
			.addr = {.port = "north", .ip = ip_of("fd00:1::1"), .prefix_len = 64}},
		{.type = MR_OBJ_ADDR,
			.addr = {.port = "south", .ip = ip_of("10.2.0.1"), .prefix_len = 24}},
		{.type = MR_OBJ_SNAT, .snat = {.ip = ip_of("10.2.0.100")}},
		{.type = MR_OBJ_CACHE,
			.cache = {.name = "hot",
				.eviction = MR_EVICTION_S3FIFO,
				.memory_bytes = 16u << 20,
				.value_max = 4096}},
		{.type = MR_OBJ_SERVICE,
			.service = {.name = "web",
				.vip = ip_of("10.1.0.80"),
				.port = 80,
				.proto = MR_PROTO_TCP,
				.mode = MR_MODE_FULLNAT,
				.sched = MR_SCHED_RR}},
		{.type = MR_OBJ_BACKEND,
			.backend = {.service = "web",
				.name = "web1",
				.ip = ip_of("10.2.0.11"),
				.port = 80,
				.weight = 1,
				.state = MR_BACKEND_UP}},
	};
	struct mr_error err;

	for (unsigned i = 0; i < RTE_DIM(objects); i++)
		put(&objects[i]);
	put_served("sessions", VIP4, 11211, 0);
	put_served("six", VIP6, 11212, 90000);
	if (harness_apply(&h, &err) != 0)
		fail_msg("%s: %s", err.object, err.message);
}

static int setup(void **state)
{
	const struct harness_params p = {.n_workers = 2,
		.n_queues = 2,
		.n_conns4 = 1024,
		.n_conns6 = 64,
		.n_mbufs = 4095,
		.cache_mb = 32,
		.n_tcp_conns = N_CONNS};
	const struct mr_hello hello = {.version = MR_API_VERSION, .client = "test"};
	struct api_params ap = {.group = (gid_t)-1, .socket_path = path, .now_ms = now_ms};

	(void)state;
	harness_init(&h, &p);
	put_model();
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/dataplane.sock", dir);
	ap.env = h.env;
	ap.model = h.model;
	ap.workers = h.workers;
	ap.n_workers = h.n_workers;
	ap.tallies = h.tallies;
	ap.nics = h.nics;
	ap.neigh = h.neigh;
	ap.pool = h.pool;
	if (api_server_create(&server, &ap) != 0)
		return -1;
	h.model = NULL; /* the server's from here on */
	connect_client();
	send_request(MR_REQ_HELLO, &mr_hello_msg, &hello);
	await();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	api_server_destroy(&server);
	harness_fini(&h);
	rmdir(dir);
	return 0;
}

/* --- tests: each begins and ends without connections --- */

static uint64_t n_served(void)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < h.n_workers; w++) {
		for (uint32_t i = 0; i < 8; i++)
			n += serve_worker_conns(h.workers[w]->serve, i);
	}
	return n;
}

static unsigned n_entries(void)
{
	unsigned n = 0;

	for (unsigned w = 0; w < h.n_workers; w++)
		n += conn_count(lb_worker_conns(h.workers[w]->lb));
	return n;
}

static void drain(void)
{
	struct tcpclient nobody = {0};
	struct rte_mbuf *m;

	tcpclient_take(&h, &nobody);
	while ((m = harness_sent(&h, 1)) != NULL)
		rte_pktmbuf_free(m);
}

static void kill_all(void)
{
	struct tally sum;

	kill_conns(&(struct mr_conn_filter){.all = 1}, (unsigned)n_served() + n_entries());
	assert_int_equal(n_served() + n_entries(), 0);
	drain();
	assert_true(harness_balanced(&h, &sum));
}

static struct tcpclient clients[6];

/* Six connections whose ports tell them apart, and the entry of a flow:
 *     1, 2  sessions, 10.1.1.1, at 0 s     3  sessions, 10.1.2.1, at 2 s; its client has closed
 *     4, 5  six, fd00:1:0:0:1::1 and …:2::1, at 4 s; part of a request from 5
 *     6     sessions, 10.1.1.2, at 5 s; three requests at 7 s      9  web, 10.1.1.1, at 5 s; then it is 10 s */
static void open_conns(void)
{
	struct tcpclient web = {.sport = 9, .dport = 80, .ip = ip_of("10.1.1.1")};

	web.vip = ip_of("10.1.0.80");
	clients[0] = open_from("10.1.1.1", 1, VIP4, 11211);
	clients[1] = open_from("10.1.1.1", 2, VIP4, 11211);
	h.now_ms += 2000;
	clients[2] = open_from("10.1.2.1", 3, VIP4, 11211);
	talk(&clients[2], ACK | FIN, "");
	h.now_ms += 2000;
	clients[3] = open_from("fd00:1::1:0:0:1", 4, VIP6, 11212);
	clients[4] = open_from("fd00:1::2:0:0:1", 5, VIP6, 11212);
	talk(&clients[4], ACK, "set key 0 0 10\r\n12345");
	h.now_ms += 1000;
	clients[5] = open_from("10.1.1.2", 6, VIP4, 11211);
	talk(&web, SYN, "");
	h.now_ms += 2000;
	talk(&clients[5], ACK, "set a 0 0 3\r\nabc\r\nget a\r\nget b\r\n");
	assert_int_equal(clients[5].n_bytes, 8 + 23 + 5);
	h.now_ms += 3000;
	harness_poll(&h); /* workers take the time of their loop */
}

static const struct {
	struct mr_conn_filter filter;
	const char *client, *want;
} filter_rows[] = {
	{{.limit = 0}, NULL, " 1 2 3 4 5 6 9"},
	{{.served = 1}, NULL, " 1 2 3 4 5 6"},
	{{.service = "sessions"}, NULL, " 1 2 3 6"},
	{{.service = "six"}, NULL, " 4 5"},
	{{.service = "web"}, NULL, " 9"},
	{{.service = "web", .served = 1}, NULL, ""},
	{{.backend = "web1"}, NULL, " 9"},
	{{.backend = "web1", .served = 1}, NULL, ""},
	{{.backend = "nobody"}, NULL, ""},
	{{.state = MR_CONN_ESTABLISHED}, NULL, " 1 2 4 5 6"},
	{{.state = MR_CONN_FIN}, NULL, " 3"},
	{{.state = MR_CONN_SYN}, NULL, " 9"},
	{{.state = MR_CONN_UDP}, NULL, ""},
	{{.client_len = 0}, "10.1.1.1", " 1 2 9"},
	{{.client_len = 24}, "10.1.1.0", " 1 2 6 9"},
	{{.client_len = 22, .served = 1}, "10.1.0.0", " 1 2 3 6"},
	{{.client_len = 80}, "fd00:1::1:0:0:0", " 4"},
	{{.client_len = 8}, "253.0.0.0", ""}, /* the first byte of fd00:: */
	{{.age_min_ms = 8000}, NULL, " 1 2 3"},
	{{.age_min_ms = 8001}, NULL, " 1 2"},
	{{.age_below_ms = 6000}, NULL, " 6 9"},
	{{.age_min_ms = 6000, .age_below_ms = 8000}, NULL, " 4 5"},
	{{.idle_min_ms = 8000}, NULL, " 1 2 3"},
	{{.idle_below_ms = 5000}, NULL, " 6"},
	{{.idle_min_ms = 3000, .idle_below_ms = 3001}, NULL, " 6"},
};

static void a_filter_means_these_connections(void **state)
{
	(void)state;
	open_conns();
	for (unsigned i = 0; i < RTE_DIM(filter_rows); i++) {
		struct mr_conn_filter f = filter_rows[i].filter;

		if (filter_rows[i].client != NULL)
			mr_ip_parse(&f.client, filter_rows[i].client);
		ask(&f);
		if (strcmp(ports(), filter_rows[i].want) != 0)
			fail_msg("filter %u:%s, not%s", i, ports(), filter_rows[i].want);
	}
	kill_all();
}

static void a_row_says_what_tcp_knows(void **state)
{
	char text[INET6_ADDRSTRLEN];
	const struct mr_conn_row *r;

	(void)state;
	open_conns();
	ask(&(struct mr_conn_filter){.limit = 0});
	r = row_of(6);
	assert_string_equal(r->service, "sessions");
	assert_string_equal(r->backend, "");
	assert_int_equal(r->proto, MR_PROTO_TCP);
	assert_int_equal(r->state, MR_CONN_ESTABLISHED);
	assert_string_equal(r->tcp_state, "ESTABLISHED");
	assert_string_equal(mr_ip_text(&r->client, text, sizeof(text)), "10.1.1.2");
	assert_string_equal(mr_ip_text(&r->vip, text, sizeof(text)), VIP4);
	assert_int_equal(r->vip_port, 11211);
	assert_int_equal(r->age_ms, 5000);
	assert_int_equal(r->idle_ms, 3000);
	assert_int_equal(r->expires_ms, MR_CONN_EXPIRES_NEVER);
	assert_int_equal(r->requests, 3);
	assert_int_equal(r->queued_bytes, 8 + 23 + 5); /* its client acknowledges nothing */
	assert_int_equal(r->unread_bytes, 0);
	assert_int_equal(r->partial_bytes, 0);
	assert_true(r->rto_us > 0 && r->cwnd_bytes > 0 && r->retransmits > 0);
	r = row_of(3);
	assert_int_equal(r->state, MR_CONN_FIN);
	assert_string_equal(r->tcp_state, "LAST-ACK");
	assert_int_equal(r->requests, 0);
	r = row_of(5);
	assert_string_equal(r->service, "six");
	assert_string_equal(mr_ip_text(&r->client, text, sizeof(text)), "fd00:1::2:0:0:1");
	assert_int_equal(r->expires_ms, 90000 - 6000);
	assert_int_equal(r->partial_bytes + r->unread_bytes, strlen("set key 0 0 10\r\n12345"));
	assert_int_equal(r->retransmits, 0);
	r = row_of(9);
	assert_string_equal(r->backend, "web1");
	assert_string_equal(r->tcp_state, "");
	assert_int_equal(r->requests, 0);
	for (unsigned i = 0; i < n_rows; i++)
		assert_true(rows[i].worker < h.n_workers);
	kill_all();
}

static void counts_are_by_service_and_state_and_client(void **state)
{
	static const struct {
		const char *service, *backend;
		uint8_t state;
		uint64_t n;
	} want[] = {
		{"sessions", "", MR_CONN_ESTABLISHED, 3},
		{"sessions", "", MR_CONN_FIN, 1},
		{"six", "", MR_CONN_ESTABLISHED, 2},
		{"web", "web1", MR_CONN_SYN, 1},
	};
	char text[INET6_ADDRSTRLEN];

	(void)state;
	open_conns();
	ask(&(struct mr_conn_filter){.count_only = 1});
	assert_int_equal(n_rows, RTE_DIM(want));
	for (unsigned i = 0; i < RTE_DIM(want); i++) {
		assert_string_equal(rows[i].service, want[i].service);
		assert_string_equal(rows[i].backend, want[i].backend);
		assert_int_equal(rows[i].state, want[i].state);
		assert_int_equal(rows[i].count, want[i].n);
	}
	ask(&(struct mr_conn_filter){.count_only = 1, .service = "six"});
	assert_int_equal(n_rows, 1);
	ask(&(struct mr_conn_filter){.count_only = 2, .len4 = 24, .len6 = 64});
	assert_int_equal(n_rows, 3);
	assert_string_equal(mr_ip_text(&rows[0].client, text, sizeof(text)), "10.1.1.0");
	assert_int_equal(rows[0].count, 4); /* of flows and of those that end here */
	assert_string_equal(mr_ip_text(&rows[1].client, text, sizeof(text)), "fd00:1::");
	assert_int_equal(rows[1].count, 2);
	assert_int_equal(rows[2].count, 1);
	kill_all();
}

static void a_killed_connection_is_reset(void **state)
{
	struct mr_conn_filter f = {.service = "sessions", .client_len = 32};
	struct tally before, after;

	(void)state;
	open_conns();
	mr_ip_parse(&f.client, "10.1.1.1");
	drain();
	clients[0].flags = 0;
	tally_sum(h.tallies, &before);
	kill_conns(&f, 2);
	tcpclient_take(&h, &clients[0]);
	assert_true(clients[0].flags & RST);
	ask(&(struct mr_conn_filter){.limit = 0});
	assert_string_equal(ports(), " 3 4 5 6 9");
	kill_conns(&f, 0);
	tally_sum(h.tallies, &after);
	assert_int_equal(after.conn_killed, before.conn_killed); /* entries are others */
	/* the others go on, and who was reset may come again */
	talk(&clients[5], ACK, "get a\r\n");
	assert_int_equal(clients[5].n_bytes, 23);
	clients[0] = open_from("10.1.1.1", 1, VIP4, 11211);
	kill_conns(&(struct mr_conn_filter){.served = 1}, 5);
	ask(&(struct mr_conn_filter){.limit = 0});
	assert_string_equal(ports(), " 9");
	kill_all();
}

static const struct mr_tcp_row *number_of(const char *name)
{
	for (unsigned i = 0; i < n_rows; i++) {
		if (strcmp(numbers[i].name, name) == 0)
			return &numbers[i];
	}
	fail_msg("no number %s", name);
	return NULL;
}

static void ask_tcp(void)
{
	send_request(MR_REQ_TCP, &mr_empty_msg, &(struct mr_empty){0});
	await();
	assert_false(is_error);
}

#define PLUS_ONE(name, help) +1
#define N_USAGES 5u

static void numbers_are_sums_of_the_workers(void **state)
{
	uint64_t syns, opened, resets, segments = 0;

	(void)state;
	ask_tcp();
	assert_int_equal(n_rows, N_USAGES TCP_STATS(PLUS_ONE) SERVETCP_STATS(PLUS_ONE));
	for (unsigned i = 0; i < n_rows; i++) {
		assert_int_equal(numbers[i].group,
			i < N_USAGES                               ? MR_TCP_USAGE
				: i < N_USAGES TCP_STATS(PLUS_ONE) ? MR_TCP_STACK
								   : MR_TCP_SERVING);
		assert_true(numbers[i].help[0] != '\0');
		assert_int_equal(numbers[i].max != 0, i < N_USAGES);
	}
	assert_int_equal(number_of("connections")->value, 0);
	assert_int_equal(number_of("connections")->max, h.n_workers * N_CONNS);
	syns = number_of("syns")->value;
	opened = number_of("opens_passive")->value;
	resets = number_of("resets_out")->value;
	open_conns();
	ask_tcp();
	assert_int_equal(number_of("connections")->value, 6);
	assert_int_equal(number_of("syns")->value - syns, 6);
	assert_int_equal(number_of("opens_passive")->value - opened, 6);
	assert_int_equal(number_of("handshakes")->value, 0);
	assert_true(number_of("buffers")->value > 0);
	for (unsigned w = 0; w < h.n_workers; w++) {
		const uint64_t n = servetcp_tcp_stats(h.workers[w])->segments_in;

		assert_true(n > 0);
		segments += n;
	}
	assert_int_equal(number_of("segments_in")->value, segments);
	kill_all();
	ask_tcp();
	assert_int_equal(number_of("resets_out")->value - resets, 6);
	assert_int_equal(number_of("connections")->value, 0);
	assert_int_equal(number_of("buffers")->value, 0);
}

/* Its answer is thrown away, and the next client is served. A worker has one job: who comes meanwhile is told. */
static void one_asks_at_a_time(void **state)
{
	const int first = fd;

	(void)state;
	connect_client();
	send_request(MR_REQ_HELLO, &mr_hello_msg,
		&(struct mr_hello){.version = MR_API_VERSION, .client = "second"});
	await();
	for (unsigned i = 0; i < 10; i++) {
		const int second = fd;

		fd = first;
		send_request(MR_REQ_TCP, &mr_empty_msg, &(struct mr_empty){0});
		api_server_poll(server, 0); /* workers have no turn */
		fd = second;
		send_request(MR_REQ_TCP, &mr_empty_msg, &(struct mr_empty){0});
		api_server_poll(server, 0);
		await();
		assert_true(is_error);
		assert_int_equal(refusal.code, MR_ERR_BUSY);
		send_request(MR_REQ_CONNS, &mr_conn_filter_msg, &(struct mr_conn_filter){0});
		await();
		assert_false(is_error);
		fd = first;
		await();
		assert_true(n_rows > 4);
		fd = second;
	}
	send_request(MR_REQ_TCP, &mr_empty_msg, &(struct mr_empty){0});
	api_server_poll(server, 0);
	close(fd);
	fd = first;
	api_server_poll(server, 0);
	harness_poll(&h);
	api_server_poll(server, 0);
	ask_tcp();
	assert_true(n_rows > 4);
}

/* --- explanations --- */

static void explain(
	const char *ip, uint16_t sport, const char *vip, uint16_t dport, bool is_segment)
{
	const struct mr_explain x = {.proto = MR_PROTO_TCP,
		.client = ip_of(ip),
		.client_port = sport,
		.vip = ip_of(vip),
		.vip_port = dport,
		.segment = is_segment};

	send_request(MR_REQ_EXPLAIN, &mr_explain_msg, &x);
	await();
	assert_false(is_error);
}

static void a_segment_is_explained_by_its_connection(void **state)
{
	(void)state;
	explain("10.1.1.1", 1, VIP4, 11211, false);
	assert_int_equal(told.verdict, MR_VERDICT_SERVED);
	assert_string_equal(told.service, "sessions");
	assert_int_equal(told.mode, MR_MODE_CACHE);
	assert_int_equal(told.n_workers, h.n_workers);
	assert_true(told.is_new && !told.has_entry);
	assert_int_equal(told.service_conns_max, MR_EXPLAIN_NO_LIMIT);
	assert_int_equal(told.flows_left, MR_EXPLAIN_NO_LIMIT);
	assert_int_equal(told.source_left, MR_EXPLAIN_NO_LIMIT);
	/* nothing to be served, but it could be a cookie's */
	explain("10.1.1.1", 1, VIP4, 11211, true);
	assert_int_equal(told.verdict, MR_VERDICT_RESET);
	assert_true(told.may_be_cookie && !told.is_new && !told.has_entry);
	open_conns();
	for (unsigned i = 0; i < 6; i++) {
		const struct tcpclient *c = &clients[i];
		char ip[INET6_ADDRSTRLEN];

		for (unsigned is_segment = 0; is_segment < 2; is_segment++) {
			explain(mr_ip_text(&c->ip, ip, sizeof(ip)), c->sport,
				c->ip.family == 4 ? VIP4 : VIP6, c->dport, is_segment);
			assert_int_equal(told.verdict, MR_VERDICT_SERVED);
			assert_true(told.has_entry && !told.is_new);
			assert_int_equal(
				told.conn_state, c->sport == 3 ? MR_CONN_FIN : MR_CONN_ESTABLISHED);
		}
		ask(&(struct mr_conn_filter){.served = 1});
		assert_int_equal(row_of(c->sport)->worker, told.worker);
		assert_int_equal(row_of(c->sport)->age_ms, told.age_ms);
		assert_int_equal(row_of(c->sport)->idle_ms, told.idle_ms);
		assert_int_equal(row_of(c->sport)->expires_ms, told.expires_ms);
	}
	explain("10.1.1.1", 9, "10.1.0.80", 80,
		true); /* the flow of another service is no other than before */
	assert_true(told.has_entry);
	assert_string_equal(told.conn_backend, "web1");
	kill_all();
}

/* From one client, until it is refused: what is said before each SYN is what becomes of it. Connections of both workers' shares. */
static unsigned open_while_told(const char *vip, uint16_t dport, const char *reason)
{
	static uint16_t sport = 20000;
	unsigned n = 0;

	for (unsigned i = 0; i < 64; i++) {
		struct tcpclient c = {.ip = ip_of("10.1.1.1"),
			.vip = ip_of(vip),
			.sport = ++sport,
			.dport = dport,
			.snd_nxt = 7};
		const bool is_told = (explain("10.1.1.1", sport, vip, dport, false),
			told.verdict == MR_VERDICT_SERVED);

		if (!is_told) {
			assert_int_equal(told.verdict, MR_VERDICT_DROPPED);
			assert_string_equal(told.drop, reason);
		}
		talk(&c, SYN, "");
		assert_int_equal(c.flags, is_told ? SYN | ACK : 0);
		if (is_told)
			talk(&c, ACK, "");
		n += is_told;
	}
	return n;
}

/* The model is the server's. */
static void apply_more(const struct mr_object *a, const struct mr_object *b)
{
	struct mr_error err;

	h.model = server->model;
	put(a);
	put(b);
	if (harness_apply(&h, &err) != 0)
		fail_msg("%s: %s", err.object, err.message);
	h.model = NULL;
	harness_poll(&h);
}

static void what_would_refuse_a_connection_is_said(void **state)
{
	struct mr_object o = {.type = MR_OBJ_ACL,
		.acl = {.service = "limited",
			.ip = ip_of("10.1.7.0"),
			.prefix_len = 24,
			.action = MR_ACL_DENY}};
	struct mr_object s = {.type = MR_OBJ_SERVICE,
		.service = {.name = "limited",
			.vip = ip_of("10.1.0.101"),
			.port = 11211,
			.proto = MR_PROTO_TCP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.cache = "hot",
			.max_conns = 10}};

	(void)state;
	apply_more(&o, &s);
	explain("10.1.7.1", 1, "10.1.0.101", 11211, false);
	assert_int_equal(told.verdict, MR_VERDICT_DROPPED);
	assert_string_equal(told.drop, "acl");
	explain("10.1.7.1", 1, "10.1.0.101", 11211,
		true); /* it begins nothing that could be refused */
	assert_int_equal(told.verdict, MR_VERDICT_RESET);
	assert_int_equal(open_while_told("10.1.0.101", 11211, "service_limit"), 10);
	assert_int_equal(told.service_conns, 5); /* a worker's share */
	assert_int_equal(told.service_conns_max, 5);
	kill_all();
	s.service.max_conns = 0;
	s.service.source_rate = 20;
	apply_more(&o, &s);
	assert_int_equal(open_while_told("10.1.0.101", 11211, "source_rate"), 20);
	assert_int_equal(told.source_left, 0);
	assert_int_equal(told.service_conns_max, MR_EXPLAIN_NO_LIMIT);
	kill_all();
	s.service.source_rate = 0;
	s.service.flow_rate = 100;
	apply_more(&o, &s);
	assert_int_equal(open_while_told("10.1.0.101", 11211, "service_rate"), 10);
	assert_int_equal(told.flows_left, 0);
	kill_all();
}

/* More than a worker looks at in a turn, beside entries of flows. */
static void many_connections_are_shown_counted_and_ended(void **state)
{
	const unsigned n_conns = 600, n_flows = 100;
	struct tcpclient c;
	char ip[INET_ADDRSTRLEN];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < n_conns; i++) {
		snprintf(ip, sizeof(ip), "10.1.%u.%u", 1 + i % 3, 1 + i % 200);
		c = open_from(ip, (uint16_t)(1000 + i), VIP4, 11211);
	}
	for (unsigned i = 0; i < n_flows; i++) {
		c = (struct tcpclient){.ip = ip_of("10.1.9.9"),
			.vip = ip_of("10.1.0.80"),
			.sport = (uint16_t)(5000 + i),
			.dport = 80};
		talk(&c, SYN, "");
	}
	assert_int_equal(n_served(), n_conns);
	for (unsigned w = 0; w < h.n_workers; w++)
		assert_true(serve_worker_conns(h.workers[w]->serve, 0)
				+ serve_worker_conns(h.workers[w]->serve, 1)
				+ serve_worker_conns(h.workers[w]->serve, 2)
			> 100);
	ask(&(struct mr_conn_filter){.limit = 0});
	assert_int_equal(n_rows, n_conns + n_flows);
	assert_true(n_polls > N_CONNS / 256);
	for (unsigned i = 0; i < n_rows; i++)
		n += rows[i].tcp_state[0] != '\0';
	assert_int_equal(n, n_conns);
	for (uint32_t limit = 1; limit < 700; limit += 233) {
		ask(&(struct mr_conn_filter){.limit = limit});
		assert_int_equal(n_rows, limit);
		ask(&(struct mr_conn_filter){.limit = limit, .served = 1});
		assert_int_equal(n_rows, RTE_MIN(limit, n_conns));
		for (unsigned i = 0; i < n_rows; i++)
			assert_true(rows[i].tcp_state[0] != '\0');
	}
	ask(&(struct mr_conn_filter){.count_only = 1});
	assert_int_equal(n_rows, 2);
	assert_int_equal(rows[0].count + rows[1].count, n_conns + n_flows);
	ask(&(struct mr_conn_filter){.count_only = 2, .limit = 1000});
	assert_int_equal(n_rows, 600 + 1); /* 3 and 200 have no common factor */
	kill_all();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_means_these_connections),
		cmocka_unit_test(a_row_says_what_tcp_knows),
		cmocka_unit_test(counts_are_by_service_and_state_and_client),
		cmocka_unit_test(a_killed_connection_is_reset),
		cmocka_unit_test(numbers_are_sums_of_the_workers),
		cmocka_unit_test(one_asks_at_a_time),
		cmocka_unit_test(a_segment_is_explained_by_its_connection),
		cmocka_unit_test(what_would_refuse_a_connection_is_said),
		cmocka_unit_test(many_connections_are_shown_counted_and_ended),
	};

	(void)argc;
	if (eal_start(argv[0], 512) != 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
