/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONNS and CONN_KILL from the socket to the tables of two workers and back: which entries a filter means,
 * counts against naive ones, and the end of entries while packets come.
 */
#include "api/server_pvt.h"
#include "eal.h"
#include "harness.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ROWS_MAX 20001u
#define STEP 256u /* CONNDUMP_STEP */
#define DPORT 80
#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG

static struct harness h;
static struct api_server *server;
static char dir[] = "/tmp/millrace-conndump.XXXXXX", path[64];
static int fd;

/* What the last request was answered. */
static struct mr_conn_row rows[ROWS_MAX];
static unsigned n_rows, n_polls;
static bool is_error;
static struct mr_error refusal;
static struct mr_status status;
static uint64_t n_killed;

static uint32_t now_ms(void)
{
	return h.now_ms;
}

/* --- packets --- */

struct flow {
	const char *client;
	uint16_t sport;
	const char *vip;
	uint8_t proto, tcp_flags;
};

static void receive(const struct flow *f)
{
	const struct rte_ether_hdr eth = {
		.dst_addr = {{2, 0, 0, 0, 0, 1}}, .src_addr = {{2, 0xaa, 0, 0, 0, 0x10}}};
	uint8_t frame[128] = {0}, *ip = frame + sizeof(eth), *l4;
	struct mr_ip src = {0}, dst = {0};
	unsigned l4_len = f->proto == MR_PROTO_TCP ? 20 : 8;

	assert_int_equal(mr_ip_parse(&src, f->client), 0);
	assert_int_equal(mr_ip_parse(&dst, f->vip), 0);
	memcpy(frame, &eth, sizeof(eth));
	frame[12] = src.family == 4 ? 0x08 : 0x86;
	frame[13] = src.family == 4 ? 0x00 : 0xdd;
	if (src.family == 4) {
		struct rte_ipv4_hdr v4 = {.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_len)),
			.time_to_live = 64,
			.next_proto_id = f->proto};

		memcpy(&v4.src_addr, src.bytes, 4);
		memcpy(&v4.dst_addr, dst.bytes, 4);
		v4.hdr_checksum = rte_ipv4_cksum(&v4);
		memcpy(ip, &v4, sizeof(v4));
		l4 = ip + 20;
	} else {
		struct rte_ipv6_hdr v6 = {.vtc_flow = rte_cpu_to_be_32(6u << 28),
			.payload_len = rte_cpu_to_be_16((uint16_t)l4_len),
			.proto = f->proto,
			.hop_limits = 64};

		memcpy(v6.src_addr, src.bytes, 16);
		memcpy(v6.dst_addr, dst.bytes, 16);
		memcpy(ip, &v6, sizeof(v6));
		l4 = ip + 40;
	}
	l4[0] = (uint8_t)(f->sport >> 8);
	l4[1] = (uint8_t)f->sport;
	l4[3] = DPORT;
	if (f->proto == MR_PROTO_TCP) {
		l4[12] = 5 << 4;
		l4[13] = f->tcp_flags;
	} else {
		l4[5] = (uint8_t)l4_len;
	}
	harness_receive(&h, 0, 0, harness_mbuf(&h, frame, (unsigned)(l4 + l4_len - frame)));
}

static void drain_ports(void)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i < HARNESS_IFACES; i++) {
		while ((m = harness_sent(&h, i)) != NULL)
			rte_pktmbuf_free(m);
	}
}

/* The client's packet, and all that follows from it. */
static void packet(
	const char *client, uint16_t sport, const char *vip, uint8_t proto, uint8_t flags)
{
	const struct flow f = {client, sport, vip, proto, flags};

	receive(&f);
	harness_settle(&h);
	drain_ports();
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

static void take_frame(const struct mr_frame *f)
{
	const struct mr_field *bad;
	struct mr_conn_kill_row killed;

	if (f->flags & MR_F_ERROR) {
		is_error = true;
		assert_int_equal(
			mr_msg_decode(&mr_error_msg, &refusal, f->body, f->body_len, &bad), 0);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CONN_KILL) {
		assert_int_equal(
			mr_msg_decode(&mr_conn_kill_row_msg, &killed, f->body, f->body_len, &bad),
			0);
		n_killed += killed.killed;
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_STATUS) {
		assert_int_equal(
			mr_msg_decode(&mr_status_msg, &status, f->body, f->body_len, &bad), 0);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CONNS) {
		assert_true(n_rows < ROWS_MAX);
		assert_int_equal(mr_msg_decode(&mr_conn_row_msg, &rows[n_rows++], f->body,
					 f->body_len, &bad),
			0);
	}
}

/* Workers and server have turns until the answer is whole; between() comes before each. */
static void await(void (*between)(void))
{
	static uint8_t in[8u << 20];
	uint32_t n = 0, at = 0;
	bool is_whole = false;

	n_rows = n_polls = 0;
	n_killed = 0;
	is_error = false;
	while (!is_whole) {
		struct mr_frame f;
		ssize_t got;
		int size;

		if (between != NULL)
			between();
		harness_poll(&h);
		api_server_poll(server, 0);
		n_polls++;
		assert_true(n_polls < 100000);
		while ((got = recv(fd, in + n, sizeof(in) - n, 0)) > 0)
			n += (uint32_t)got;
		while ((size = mr_frame_parse(&f, in + at, n - at)) > 0) {
			take_frame(&f);
			at += (uint32_t)size;
			is_whole |= !(f.flags & MR_F_MORE);
		}
	}
	assert_int_equal(at, n);
	drain_ports();
}

static void ask(const struct mr_conn_filter *f)
{
	send_request(MR_REQ_CONNS, &mr_conn_filter_msg, f);
	await(NULL);
}

static void expect_refusal(enum mr_request type, const struct mr_conn_filter *f, unsigned code)
{
	send_request(type, &mr_conn_filter_msg, f);
	await(NULL);
	assert_true(is_error);
	assert_int_equal(refusal.code, code);
	assert_true(refusal.message[0] != '\0');
}

static void kill_conns(const struct mr_conn_filter *f, unsigned n_want)
{
	send_request(MR_REQ_CONN_KILL, &mr_conn_filter_msg, f);
	await(NULL);
	if (is_error)
		fail_msg("%s", refusal.message);
	assert_int_equal(n_killed, n_want);
}

static struct mr_conn_filter of_client(const char *ip, uint8_t len)
{
	struct mr_conn_filter f = {.client_len = len};

	assert_int_equal(mr_ip_parse(&f.client, ip), 0);
	return f;
}

/* Source ports of the rows, in order, blank before each. */
static const char *ports(void)
{
	static char text[256];
	uint16_t found[32];

	assert_true(n_rows <= 32 && !is_error);
	for (unsigned i = 0; i < n_rows; i++) {
		unsigned k = i;

		for (; k > 0 && found[k - 1] > rows[i].client_port; k--)
			found[k] = found[k - 1];
		found[k] = rows[i].client_port;
	}
	text[0] = '\0';
	for (unsigned i = 0; i < n_rows; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u", found[i]);
	return text;
}

/* --- the model --- */

static void put(const struct mr_object *o)
{
	assert_int_equal(model_put(h.model, o), 0);
}

static void put_addr(const char *port, const char *ip, uint8_t len)
{
	struct mr_object o = {.type = MR_OBJ_ADDR};

	snprintf(o.addr.port, MR_NAME_MAX, "%s", port);
	mr_ip_parse(&o.addr.ip, ip);
	o.addr.prefix_len = len;
	put(&o);
}

static void put_service(
	const char *name, const char *vip, uint8_t proto, uint8_t mode, uint8_t sched)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE};

	snprintf(o.service.name, MR_NAME_MAX, "%s", name);
	mr_ip_parse(&o.service.vip, vip);
	o.service.port = DPORT;
	o.service.proto = proto;
	o.service.mode = mode;
	o.service.sched = sched;
	o.service.syn_timeout_ms = 600000;
	o.service.udp_timeout_ms = 600000;
	put(&o);
}

static void put_backend(const char *service, const char *name, const char *ip)
{
	struct mr_object o = {.type = MR_OBJ_BACKEND};

	snprintf(o.backend.service, MR_NAME_MAX, "%s", service);
	snprintf(o.backend.name, MR_NAME_MAX, "%s", name);
	mr_ip_parse(&o.backend.ip, ip);
	o.backend.port = DPORT;
	o.backend.weight = 1;
	o.backend.state = MR_BACKEND_UP;
	put(&o);
}

static void put_snat(const char *ip)
{
	struct mr_object o = {.type = MR_OBJ_SNAT};

	mr_ip_parse(&o.snat.ip, ip);
	put(&o);
}

static void put_model(void)
{
	struct mr_error err;

	put_addr("north", "10.1.0.1", 16);
	put_addr("south", "10.2.0.1", 24);
	put_addr("north", "fd00:1::1", 64);
	put_addr("south", "fd00:2::1", 64);
	put_snat("10.2.0.100");
	put_snat("fd00:2::100");
	put_service("web", "10.1.0.80", MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_RR);
	put_backend("web", "web1", "10.2.0.11");
	put_backend("web", "web2", "10.2.0.12");
	put_service("dns", "10.1.0.80", MR_PROTO_UDP, MR_MODE_FULLNAT, MR_SCHED_RR);
	put_backend("dns", "web1", "10.2.0.11");
	put_service("direct", "10.1.0.90", MR_PROTO_TCP, MR_MODE_DSR_L2, MR_SCHED_MAGLEV);
	put_backend("direct", "web3", "10.2.0.13");
	put_service("six", "fd00:1::80", MR_PROTO_TCP, MR_MODE_FULLNAT, MR_SCHED_RR);
	put_backend("six", "web6", "fd00:2::11");
	if (harness_apply(&h, &err) != 0)
		fail_msg("%s: %s", err.object, err.message);
}

static int setup(void **state)
{
	const struct harness_params p = {
		.n_workers = 2, .n_queues = 2, .n_conns4 = 8192, .n_conns6 = 1024, .n_mbufs = 8191};
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
	await(NULL);
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

/* --- what is left --- */

static uint64_t conns_of(enum lb_slot_kind kind)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < h.n_workers; w++) {
		for (uint32_t i = 0; kind == LB_SLOT_SERVICE && i < 64; i++)
			n += lb_worker_service_conns(h.workers[w]->lb, i);
		for (uint32_t i = 0; kind == LB_SLOT_BACKEND && i < 1024; i++)
			n += lb_worker_backend_tally(h.workers[w]->lb, i)->conns;
		for (uint32_t i = 0; kind == LB_SLOT_SNAT && i < 32; i++)
			n += lb_worker_snat_used(h.workers[w]->lb, i);
	}
	return n;
}

static unsigned n_conns(unsigned w)
{
	return conn_count(lb_worker_conns(h.workers[w]->lb));
}

static void expect_conns(unsigned n, unsigned n_snat)
{
	assert_int_equal(n_conns(0) + n_conns(1), n);
	assert_int_equal(conns_of(LB_SLOT_SERVICE), n);
	assert_int_equal(conns_of(LB_SLOT_BACKEND), n);
	assert_int_equal(conns_of(LB_SLOT_SNAT), n_snat);
	for (unsigned w = 0; w < h.n_workers; w++)
		assert_true(conn_check(lb_worker_conns(h.workers[w]->lb)));
}

static uint64_t counter(enum pkt_drop reason)
{
	struct tally sum;

	tally_sum(h.tallies, &sum);
	return sum.drops[reason];
}

static void expect_balance(void)
{
	struct tally sum;

	assert_true(harness_balanced(&h, &sum));
}

static void kill_all(void)
{
	const struct mr_conn_filter all = {.all = 1};

	kill_conns(&all, n_conns(0) + n_conns(1));
	expect_conns(0, 0);
	expect_balance();
}

/* --- tests --- */

/* Eight flows whose source ports tell them apart:
 *     1, 2   web, 10.1.1.1, at 0 s; a segment of 2 at 6 s makes it established
 *     3      web, 10.1.1.2, at 2 s        4  web, 10.1.2.1, at 4 s
 *     5      dns, 10.1.1.1, at 4 s        6  direct, 10.1.1.1, at 4 s
 *     7, 8   six, fd00:1:0:0:1::1 and …:2::1, at 5 s; then it is 10 s */
static void open_flows(void)
{
	packet("10.1.1.1", 1, "10.1.0.80", MR_PROTO_TCP, SYN);
	packet("10.1.1.1", 2, "10.1.0.80", MR_PROTO_TCP, SYN);
	h.now_ms += 2000;
	packet("10.1.1.2", 3, "10.1.0.80", MR_PROTO_TCP, SYN);
	h.now_ms += 2000;
	packet("10.1.2.1", 4, "10.1.0.80", MR_PROTO_TCP, SYN);
	packet("10.1.1.1", 5, "10.1.0.80", MR_PROTO_UDP, 0);
	packet("10.1.1.1", 6, "10.1.0.90", MR_PROTO_TCP, SYN);
	h.now_ms += 1000;
	packet("fd00:1::1:0:0:1", 7, "fd00:1::80", MR_PROTO_TCP, SYN);
	packet("fd00:1::2:0:0:1", 8, "fd00:1::80", MR_PROTO_TCP, SYN);
	h.now_ms += 1000;
	packet("10.1.1.1", 2, "10.1.0.80", MR_PROTO_TCP, ACK);
	h.now_ms += 4000;
	harness_poll(&h); /* workers take the time of their loop */
}

static const struct {
	struct mr_conn_filter filter;
	const char *client, *want;
} filter_rows[] = {
	{{.limit = 0}, NULL, " 1 2 3 4 5 6 7 8"},
	{{.service = "web"}, NULL, " 1 2 3 4"},
	{{.service = "dns"}, NULL, " 5"},
	{{.backend = "web3"}, NULL, " 6"},
	{{.service = "dns", .backend = "web1"}, NULL, " 5"},
	{{.service = "dns", .backend = "web2"}, NULL, ""},
	{{.state = MR_CONN_UDP}, NULL, " 5"},
	{{.state = MR_CONN_ESTABLISHED}, NULL, " 2"},
	{{.client_len = 0}, "10.1.1.1", " 1 2 5 6"},
	{{.client_len = 32}, "10.1.1.1", " 1 2 5 6"},
	{{.client_len = 24}, "10.1.1.77", " 1 2 3 5 6"},
	{{.client_len = 31}, "10.1.1.2", " 3"},
	{{.client_len = 1}, "10.1.1.1", " 1 2 3 4 5 6"},
	{{.client_len = 1}, "fd00::", " 7 8"},
	{{.client_len = 80}, "fd00:1::1:ffff:0:0", " 7"},
	{{.client_len = 79}, "fd00:1::1:0:0:0", " 7"},
	{{.client_len = 78}, "fd00:1::1:0:0:0", " 7 8"},
	{{.client_len = 0}, "10.1.9.9", ""},
	{{.client_len = 8}, "253.0.0.0", ""}, /* the first byte of fd00:: */
	{{.service = "web"}, "10.1.1.1", " 1 2"},
	{{.age_min_ms = 6000}, NULL, " 1 2 3 4 5 6"},
	{{.age_min_ms = 6001}, NULL, " 1 2 3"},
	{{.age_below_ms = 6000}, NULL, " 7 8"},
	{{.age_below_ms = 6001}, NULL, " 4 5 6 7 8"},
	{{.age_min_ms = 6000, .age_below_ms = 8000}, NULL, " 4 5 6"},
	{{.idle_min_ms = 8000}, NULL, " 1 3"},
	{{.idle_below_ms = 5000}, NULL, " 2"},
	{{.age_min_ms = 10000, .idle_below_ms = 5000}, NULL, " 2"},
	{{.idle_min_ms = 4000, .idle_below_ms = 4001}, NULL, " 2"},
};

static void a_filter_means_these_entries(void **state)
{
	(void)state;
	open_flows();
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

static void a_row_says_how_old_and_how_idle(void **state)
{
	struct mr_conn_filter f = of_client("10.1.1.1", 0);

	(void)state;
	open_flows();
	f.idle_below_ms = 5000;
	ask(&f);
	assert_int_equal(n_rows, 1);
	assert_int_equal(rows[0].age_ms, 10000);
	assert_int_equal(rows[0].idle_ms, 4000);
	assert_string_equal(rows[0].service, "web");
	/* a flow that begins again on its entry is young again */
	packet("10.1.1.1", 2, "10.1.0.80", MR_PROTO_TCP, RTE_TCP_RST_FLAG);
	packet("10.1.1.1", 2, "10.1.0.80", MR_PROTO_TCP, SYN);
	f.age_below_ms = 1;
	ask(&f);
	assert_string_equal(ports(), " 2");
	kill_all();
}

static void what_makes_no_sense_is_refused(void **state)
{
	const struct mr_conn_filter service = {.service = "wep"}, mode = {.count_only = 3},
				    no_state = {.state = 7}, bits = {.client_len = 1},
				    len4 = {.count_only = 2, .len4 = 33},
				    len6 = {.count_only = 2, .len6 = 129}, none = {.limit = 5},
				    both = {.service = "web", .all = 1};
	const struct mr_conn_filter len = of_client("10.1.1.1", 33);

	(void)state;
	packet("10.1.1.1", 1, "10.1.0.80", MR_PROTO_TCP, SYN);
	expect_refusal(MR_REQ_CONNS, &service, MR_ERR_NOT_FOUND);
	expect_refusal(MR_REQ_CONNS, &mode, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONNS, &no_state, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONNS, &bits, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONNS, &len, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONNS, &len4, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONNS, &len6, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONN_KILL, &service, MR_ERR_NOT_FOUND);
	expect_refusal(MR_REQ_CONN_KILL, &len, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONN_KILL, &none, MR_ERR_INVALID);
	expect_refusal(MR_REQ_CONN_KILL, &both, MR_ERR_INVALID);
	expect_conns(1, 1);
	kill_all();
}

static void counts_go_by_the_filter_too(void **state)
{
	const struct mr_conn_filter f = {.count_only = 1, .service = "web", .age_min_ms = 8000};
	uint64_t n = 0;

	(void)state;
	open_flows();
	ask(&f);
	for (unsigned i = 0; i < n_rows; i++) {
		assert_string_equal(rows[i].service, "web");
		n += rows[i].count;
	}
	assert_int_equal(n, 3);
	kill_all();
}

/* 600 flows of 40 clients in three networks and two families, in both workers. */
static void clients_are_counted_by_prefix(void **state)
{
	struct mr_conn_filter f = {.count_only = 2, .len4 = 24, .len6 = 64};
	unsigned want[3] = {0};

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		const unsigned net = i % 11 < 6 ? 0 : i % 11 < 9 ? 1 : 2;
		char client[INET6_ADDRSTRLEN];

		snprintf(client, sizeof(client), net < 2 ? "10.1.%u.%u" : "fd00:1::%u%u", net + 1,
			i % 13);
		packet(client, (uint16_t)(1000 + i), net < 2 ? "10.1.0.80" : "fd00:1::80",
			MR_PROTO_TCP, SYN);
		want[net]++;
	}
	assert_true(n_conns(0) > 100 && n_conns(1) > 100);
	ask(&f);
	assert_int_equal(n_rows, 3);
	for (unsigned net = 0; net < 3; net++) {
		char text[INET6_ADDRSTRLEN];

		assert_int_equal(rows[net].count, want[net]);
		assert_string_equal(mr_ip_text(&rows[net].client, text, sizeof(text)),
			net == 0           ? "10.1.1.0"
				: net == 1 ? "10.1.2.0"
					   : "fd00:1::");
	}
	f.len4 = f.len6 = 0; /* whole addresses: 13 clients of each network */
	ask(&f);
	assert_int_equal(n_rows, 3 * 13);
	f.limit = 2;
	ask(&f);
	assert_int_equal(n_rows, 2);
	assert_true(rows[0].count >= rows[1].count);
	f = of_client("10.1.2.0", 24);
	f.count_only = 2;
	f.len4 = 23;
	ask(&f);
	assert_int_equal(n_rows, 1);
	assert_int_equal(rows[0].count, want[1]);
	kill_all();
	f.count_only = 2;
	ask(&f);
	assert_int_equal(n_rows, 0);
}

static void a_killed_flow_is_one_without_an_entry(void **state)
{
	const struct mr_conn_filter client = of_client("10.1.1.1", 32), web = {.service = "web"};
	const uint64_t before = counter(PKT_DROP_no_conn);

	(void)state;
	open_flows();
	expect_conns(8, 7); /* direct return has no port */
	kill_conns(&client, 4);
	expect_conns(4, 4);
	ask(&(struct mr_conn_filter){.limit = 0});
	assert_string_equal(ports(), " 3 4 7 8");
	packet("10.1.1.1", 2, "10.1.0.80", MR_PROTO_TCP, ACK);
	assert_int_equal(counter(PKT_DROP_no_conn), before + 1);
	packet("10.1.1.1", 6, "10.1.0.90", MR_PROTO_TCP, ACK); /* goes on by its hash */
	packet("10.1.1.1", 5, "10.1.0.80", MR_PROTO_UDP, 0);
	assert_int_equal(counter(PKT_DROP_no_conn), before + 1);
	packet("10.1.1.1", 1, "10.1.0.80", MR_PROTO_TCP, SYN);
	ask(&(struct mr_conn_filter){.limit = 0});
	assert_string_equal(ports(), " 1 3 4 5 6 7 8");
	kill_conns(&web, 3);
	expect_conns(4, 3);
	kill_conns(&web, 0);
	kill_all();
}

/* --- under traffic --- */

static unsigned n_sent, n_before[2];

/* Packets of old and of new flows, and a look at what the last turn has killed. */
static void traffic(void)
{
	for (unsigned w = 0; w < h.n_workers; w++) {
		assert_true(n_before[w] <= n_conns(w) + STEP);
		n_before[w] = n_conns(w);
	}
	for (unsigned i = 0; i < 24; i++, n_sent++) {
		char client[INET6_ADDRSTRLEN];
		const struct flow f = {client, (uint16_t)(1000 + n_sent % 4000), "10.1.0.80",
			MR_PROTO_TCP, n_sent % 3 ? ACK : SYN};

		snprintf(client, sizeof(client), "10.1.%u.%u", 1 + n_sent % 3, n_sent % 4000 % 200);
		receive(&f);
	}
	drain_ports();
}

static void killing_under_traffic_loses_no_count(void **state)
{
	struct mr_conn_filter one = of_client("10.1.1.0", 24);
	struct tally before, after;

	(void)state;
	for (n_sent = 0; n_sent < 4000;) {
		n_before[0] = n_before[1] = 0;
		traffic();
		harness_poll(&h);
	}
	harness_settle(&h);
	drain_ports();
	assert_true(n_conns(0) > STEP && n_conns(1) > STEP);
	tally_sum(h.tallies, &before);

	send_request(MR_REQ_CONN_KILL, &mr_conn_filter_msg, &one);
	await(traffic);
	assert_true(n_killed > 100);
	/* a turn looks at so many positions: no fewer turns than that takes */
	assert_true(n_polls >= 4096 / STEP);
	harness_settle(&h);
	drain_ports();
	tally_sum(h.tallies, &after);
	assert_int_equal(after.conn_killed - before.conn_killed, n_killed);
	assert_int_equal(after.conn_created - after.conn_expired - after.conn_killed,
		n_conns(0) + n_conns(1));
	expect_conns(n_conns(0) + n_conns(1), n_conns(0) + n_conns(1));
	expect_balance();
	ask(&(struct mr_conn_filter){.limit = 1});
	assert_int_equal(n_rows, 1);
	kill_all();
}

/* It is carried out all the same, and the next client is served. */
static void a_client_that_goes_leaves_a_whole_kill(void **state)
{
	const struct mr_conn_filter all = {.all = 1};
	const struct mr_hello hello = {.version = MR_API_VERSION, .client = "next"};

	(void)state;
	open_flows();
	send_request(MR_REQ_CONN_KILL, &mr_conn_filter_msg, &all);
	assert_true(api_server_poll(server, 0));
	close(fd);
	for (unsigned i = 0; i < 200; i++) {
		api_server_poll(server, 0);
		harness_poll(&h);
	}
	expect_conns(0, 0);
	connect_client();
	send_request(MR_REQ_HELLO, &mr_hello_msg, &hello);
	await(NULL);
	ask(&(struct mr_conn_filter){.limit = 0});
	assert_int_equal(n_rows, 0);
	assert_false(is_error);
}

/* One that is lost would be missed. */
static void status_tells_the_packet_buffers_in_use(void **state)
{
	const struct mr_empty none = {0};
	struct rte_mbuf *m;
	uint32_t before;

	(void)state;
	send_request(MR_REQ_STATUS, &mr_empty_msg, &none);
	await(NULL);
	assert_int_equal(status.mbufs_max, h.pool->size);
	before = status.mbufs;
	m = rte_pktmbuf_alloc(h.pool);
	assert_non_null(m);
	send_request(MR_REQ_STATUS, &mr_empty_msg, &none);
	await(NULL);
	assert_int_equal(status.mbufs, before + 1);
	rte_pktmbuf_free(m);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_means_these_entries),
		cmocka_unit_test(a_row_says_how_old_and_how_idle),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(counts_go_by_the_filter_too),
		cmocka_unit_test(clients_are_counted_by_prefix),
		cmocka_unit_test(a_killed_flow_is_one_without_an_entry),
		cmocka_unit_test(killing_under_traffic_loses_no_count),
		cmocka_unit_test(a_client_that_goes_leaves_a_whole_kill),
		cmocka_unit_test(status_tells_the_packet_buffers_in_use),
	};

	(void)argc;
	if (eal_start(argv[0], 256) != 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
