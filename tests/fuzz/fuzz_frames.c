/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_frames — bytes to the dataplane's socket, from several clients at once, through the real server on a
 * real socket. An input is a list of steps; a step's byte names it in the low four bits and the client in
 * the next two:
 *
 *     BYTES    length:2 bytes…          the client sends them as they are
 *     FRAME    type:1 length:2 bytes…   … as the body of a frame
 *     HELLO BEGIN PREPARE COMMIT        the frame that would be right now
 *     PUT      n:1                      object n of a small model
 *     READ     length:2                 the client reads that much of what was answered
 *     CLOSE                             the client goes; its next step connects it again
 *     POLL                              the server gets a turn
 *     WORK     ms:2                     the workers and the clock move on
 *
 * Whatever was sent: each answer a client reads is a well-formed frame; the running generation changes only
 * by a COMMIT that was answered; an open transaction ends with its client; and at the end a client that
 * says HELLO properly is answered with the digest of the running model.
 */
#include "api/server_pvt.h"
#include "eal.h"
#include "fuzz.h"
#include "harness.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#define N_CLIENTS 4u
#define MAGLEV_SIZE_MAX 262147u /* of a table that is built here: a big one takes a second */

enum step { BYTES, FRAME, HELLO, BEGIN, PREPARE, COMMIT, PUT, READ, CLOSE, POLL, WORK, N_STEPS };

/* The other end of a connection, and what it has not looked at yet. */
struct peer {
	int fd; /* -1: not connected */
	uint8_t *in;
	uint32_t n_in, cap;
	uint32_t next_id;
	uint32_t n_commits; /* that were answered without an error */
};

static struct harness h;
static struct api_server *server;
static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static struct peer peers[N_CLIENTS];
static bool is_unknown; /* a client went with answers unread: commits cannot be counted */

/* --- the server --- */

static uint32_t now_ms(void)
{
	return h.now_ms;
}

static void start_server(void)
{
	const struct api_params p = {.socket_path = path,
		.group = (gid_t)-1,
		.env = h.env,
		.model = h.model,
		.workers = h.workers,
		.n_workers = h.n_workers,
		.tallies = h.tallies,
		.nics = h.nics,
		.neigh = h.neigh,
		.pool = h.pool,
		.instance = 42,
		.conns_max = 256,
		.now_ms = now_ms};

	FUZZ_NEED(api_server_create(&server, &p) == 0, path);
	h.model = NULL; /* the server's from here on */
}

static void poll_server(void)
{
	snapshot_offline(); /* the manager is no reader */
	api_server_poll(server, 0);
	snapshot_online();
}

/* A new server that runs the empty generation 0, as a dataplane that has just started. */
static void restart_server(void)
{
	struct snapshot *first = NULL;
	struct mr_error err;

	snapshot_offline();
	api_server_destroy(&server);
	FUZZ_NEED(model_create(&h.model) == 0, "no memory");
	/* twice: the generation behind the last one that names a backend still has its record */
	for (unsigned i = 0; i < 2; i++) {
		FUZZ_CHECK(apply_build(&first, &h.env, h.model, 0, snapshot_get(), h.now_ms, &err)
				== 0,
			"the empty generation is refused: %s", err.message);
		apply_publish(&h.env, first);
	}
	start_server();
	snapshot_online();
	h.now_ms +=
		301000; /* the longest a neighbour is kept; then those that were still asked for */
	for (unsigned i = 0; i < 12; i++, h.now_ms += 1100)
		harness_poll(&h);
}

/* --- clients --- */

static void connect_peer(struct peer *c)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (c->fd >= 0)
		return;
	memcpy(sa.sun_path, path, sizeof(path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	FUZZ_NEED(c->fd >= 0, "socket");
	FUZZ_CHECK(connect(c->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0,
		"the server does not listen: %s", strerror(errno));
	c->n_in = 0;
	c->next_id = 1;
}

/* Looks at the whole frames that have been read. */
static void look(struct peer *c)
{
	uint32_t at = 0;
	struct mr_frame f;
	int n;

	while ((n = mr_frame_parse(&f, c->in + at, c->n_in - at)) > 0) {
		const struct mr_field *bad;
		struct mr_error err;

		FUZZ_CHECK(f.flags & MR_F_REPLY, "type %u: an answer without MR_F_REPLY", f.type);
		if (f.flags & MR_F_ERROR)
			FUZZ_CHECK(!(f.flags & MR_F_MORE)
					&& mr_msg_decode(
						   &mr_error_msg, &err, f.body, f.body_len, &bad)
						== 0
					&& err.code != MR_OK && err.message[0] != '\0',
				"type %u: refused without a reason", f.type);
		else if (!(f.flags & MR_F_MORE))
			FUZZ_CHECK(f.body_len == 0, "type %u: the last frame has fields", f.type);
		if (f.type == MR_REQ_COMMIT && !(f.flags & MR_F_ERROR))
			c->n_commits++;
		at += (uint32_t)n;
	}
	FUZZ_CHECK(n == 0, "an answer is no frame");
	c->n_in -= at;
	memmove(c->in, c->in + at, c->n_in);
}

/* Reads at most n bytes. False: there is nothing more. */
static bool read_peer(struct peer *c, uint32_t n)
{
	ssize_t got;

	if (c->fd < 0)
		return false;
	if (c->cap - c->n_in < n) {
		c->cap = c->n_in + n;
		c->in = realloc(c->in, c->cap);
		FUZZ_NEED(c->in != NULL, "no memory");
	}
	got = recv(c->fd, c->in + c->n_in, n, MSG_DONTWAIT);
	if (got <= 0)
		return false;
	c->n_in += (uint32_t)got;
	look(c);
	return true;
}

static void close_peer(struct peer *c)
{
	if (c->fd < 0)
		return;
	/* what is still to come is not seen by us, nor by the server what it has not read */
	is_unknown = true;
	close(c->fd);
	c->fd = -1;
}

/* The server and the peer have their turns until nothing moves. */
static void drain(struct peer *c)
{
	unsigned n_quiet = 0;

	while (n_quiet < 3) {
		for (unsigned w = 0; w < h.n_workers; w++) /* connection dumps are their work */
			worker_poll(h.workers[w], h.now_ms * 1000ull);
		poll_server();
		n_quiet = read_peer(c, 65536) ? 0 : n_quiet + 1;
	}
}

static void send_bytes(struct peer *c, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	connect_peer(c);
	while (n > 0) {
		const ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN) {
			drain(c); /* it is full in both directions */
			continue;
		}
		if (sent < 0) { /* the server has closed it */
			while (read_peer(c, 65536))
				;
			close(c->fd);
			c->fd = -1;
			return;
		}
		p += sent;
		n -= (size_t)sent;
	}
}

static void send_frame(struct peer *c, uint16_t type, const void *body, size_t n)
{
	uint8_t buf[MR_FRAME_HDR + 65536];
	struct mr_writer w;
	uint32_t at;
	uint8_t *p;

	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, type, 0, c->next_id++);
	p = mr_writer_reserve(&w, (uint32_t)n);
	if (p != NULL && n > 0)
		memcpy(p, body, n);
	if (mr_frame_end(&w, at) == 0)
		send_bytes(c, buf, w.len);
}

static void send_message(
	struct peer *c, uint16_t type, const struct mr_msg *msg, const void *object)
{
	uint8_t buf[1024];
	struct mr_writer w;

	mr_writer_init(&w, buf, sizeof(buf));
	mr_msg_encode(&w, msg, object);
	send_frame(c, type, buf, w.len);
}

static void say_hello(struct peer *c)
{
	const struct mr_hello hello = {.version = MR_API_VERSION, .client = "fuzz"};

	send_message(c, MR_REQ_HELLO, &mr_hello_msg, &hello);
}

static uint64_t running_generation(void)
{
	return snapshot_get()->generation;
}

static void begin(struct peer *c)
{
	const struct mr_begin m = {.base_generation = running_generation()};

	send_message(c, MR_REQ_BEGIN, &mr_begin_msg, &m);
}

/* Tables of the edited model would take a moment to build. */
static bool is_dear(const struct model *m)
{
	for (unsigned i = 0; m != NULL && i < model_size(m); i++) {
		const struct mr_object *o = model_at(m, i);

		if (o->type == MR_OBJ_SERVICE && o->service.maglev_size > MAGLEV_SIZE_MAX)
			return true;
	}
	return false;
}

/* With the digest that the client should have come to by itself. */
static void prepare(struct peer *c)
{
	struct mr_prepare m = {.generation = running_generation() + 1};

	poll_server();
	if (server->txn_model != NULL)
		mr_digest_bytes(model_digest(server->txn_model), m.digest);
	if (!is_dear(server->txn_model))
		send_message(c, MR_REQ_PREPARE, &mr_prepare_msg, &m);
}

static void commit(struct peer *c)
{
	const struct mr_commit m = {.generation = running_generation() + 1};

	send_message(c, MR_REQ_COMMIT, &mr_commit_msg, &m);
}

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip;

	FUZZ_NEED(mr_ip_parse(&ip, text) == 0, text);
	return ip;
}

static void put(struct peer *c, uint8_t n)
{
	const struct mr_object objects[] = {
		{.type = MR_OBJ_SETTINGS, .settings = {.hash_key = {n}}},
		{.type = MR_OBJ_ADDR,
			.addr = {.port = "north", .ip = ip_of("10.1.0.1"), .prefix_len = 24}},
		{.type = MR_OBJ_ADDR,
			.addr = {.port = "south", .ip = ip_of("10.2.0.1"), .prefix_len = 24}},
		{.type = MR_OBJ_ADDR,
			.addr = {.port = "south", .ip = ip_of("fd00:2::1"), .prefix_len = 64}},
		{.type = MR_OBJ_GATEWAY, .gateway = {.port = "north", .ip = ip_of("10.1.0.254")}},
		{.type = MR_OBJ_SNAT, .snat = {.ip = ip_of("10.2.0.100")}},
		{.type = MR_OBJ_SERVICE,
			.service = {.name = "web",
				.vip = ip_of("10.1.0.80"),
				.port = 80,
				.proto = MR_PROTO_TCP,
				.mode = MR_MODE_FULLNAT,
				.sched = MR_SCHED_MAGLEV,
				.maglev_size = 251}},
		{.type = MR_OBJ_BACKEND,
			.backend = {.service = "web",
				.name = "w1",
				.ip = ip_of("10.2.0.11"),
				.port = 8080,
				.weight = 1,
				.state = (uint8_t)(n / 16 % 5)}},
		{.type = MR_OBJ_SERVICE,
			.service = {.name = "direct",
				.vip = ip_of("fd00:2::80"),
				.port = 53,
				.proto = MR_PROTO_UDP,
				.mode = MR_MODE_DSR_L2,
				.sched = MR_SCHED_WRR}},
		{.type = MR_OBJ_BACKEND,
			.backend = {.service = "direct",
				.name = "d1",
				.ip = ip_of("fd00:2::11"),
				.port = 53,
				.weight = n,
				.state = MR_BACKEND_UP}},
		{.type = MR_OBJ_CACHE,
			.cache = {.name = "hot",
				.memory_bytes = (2u + n / 64) << 20,
				.eviction = (uint8_t)(1 + n / 16 % 4),
				.value_max = 1500,
				.stale_s = n}},
		{.type = MR_OBJ_SERVICE,
			.service = {.name = "sessions",
				.vip = ip_of("10.1.0.99"),
				.port = 11211,
				.proto = MR_PROTO_UDP,
				.mode = MR_MODE_CACHE,
				.sched = MR_SCHED_RR,
				.cache = "hot",
				.reply_rate = n}},
		{.type = MR_OBJ_ACL,
			.acl = {.service = "sessions",
				.ip = ip_of("10.1.0.0"),
				.prefix_len = 24,
				.action = MR_ACL_ALLOW}},
	};
	uint8_t buf[1024];
	struct mr_writer w;

	mr_writer_init(&w, buf, sizeof(buf));
	mr_object_encode(&w, &objects[n % 16 % RTE_DIM(objects)]);
	send_frame(c, MR_REQ_PUT, buf, w.len);
}

static void step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);
	struct peer *c = &peers[op >> 4 & (N_CLIENTS - 1)];
	const uint8_t *bytes;
	uint8_t type;
	size_t n;

	switch ((op & 15) % N_STEPS) {
	case BYTES:
		n = fuzz_u16(in);
		bytes = fuzz_take(in, &n);
		send_bytes(c, bytes, n);
		break;
	case FRAME:
		type = fuzz_u8(in);
		n = fuzz_u16(in);
		bytes = fuzz_take(in, &n);
		send_frame(c, type, bytes, n);
		break;
	case HELLO:
		say_hello(c);
		break;
	case BEGIN:
		begin(c);
		break;
	case PREPARE:
		prepare(c);
		break;
	case COMMIT:
		commit(c);
		break;
	case PUT:
		put(c, fuzz_u8(in));
		break;
	case READ:
		read_peer(c, fuzz_u16(in) + 1u);
		break;
	case CLOSE:
		close_peer(c);
		break;
	case POLL:
		poll_server();
		break;
	default:
		h.now_ms += fuzz_u16(in);
		harness_poll(&h);
	}
}

/* --- what must hold --- */

static void check_commits(uint64_t generation, uint64_t n_published)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < N_CLIENTS; i++)
		n += peers[i].n_commits;
	n_published = server->n_published - n_published;
	FUZZ_CHECK((running_generation() != generation) == (n_published > 0),
		"generation %lu → %lu with %lu published", (unsigned long)generation,
		(unsigned long)running_generation(), (unsigned long)n_published);
	if (!is_unknown)
		FUZZ_CHECK(n == n_published, "%u commits answered, %lu published", n,
			(unsigned long)n_published);
}

/* A client that does everything right gets its answer, whoever else is connected. */
static void check_hello(void)
{
	static struct peer c = {.fd = -1};
	const struct mr_field *bad;
	struct mr_status st;
	struct mr_frame f;
	uint8_t digest[16], in[4096];
	uint32_t n_in = 0;

	connect_peer(&c);
	say_hello(&c);
	for (unsigned i = 0; i < 8; i++) {
		ssize_t n;

		poll_server();
		n = recv(c.fd, in + n_in, sizeof(in) - n_in, MSG_DONTWAIT);
		if (n > 0)
			n_in += (uint32_t)n;
	}
	FUZZ_CHECK(mr_frame_parse(&f, in, n_in) > 0, "HELLO is not answered");
	FUZZ_CHECK(f.type == MR_REQ_HELLO && f.request == 1 && f.flags == (MR_F_REPLY | MR_F_MORE),
		"HELLO is answered with type %u, request %u, flags %x", f.type, f.request, f.flags);
	FUZZ_CHECK(mr_msg_decode(&mr_status_msg, &st, f.body, f.body_len, &bad) == 0,
		"malformed status");
	mr_digest_bytes(model_digest(server->model), digest);
	FUZZ_CHECK(st.generation == running_generation(), "another generation in status");
	FUZZ_CHECK(memcmp(st.digest, digest, sizeof(digest)) == 0, "another digest in status");
	close(c.fd);
	c.fd = -1;
	poll_server();
}

static void check_no_clients(void)
{
	for (unsigned i = 0; i < 4; i++)
		poll_server();
	for (unsigned i = 0; i < API_CLIENTS_MAX; i++)
		FUZZ_CHECK(server->clients[i] == NULL, "client '%s' never ends",
			server->clients[i]->name);
	FUZZ_CHECK(
		server->txn_owner == NULL && server->txn_model == NULL && server->txn_next == NULL,
		"a transaction outlives its client");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct harness_params p = {.n_workers = 2,
		.n_queues = 2,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = 511,
		.n_neighs = 64,
		.cache_mb = 16};

	(void)argc;
	(void)argv;
	fuzz_init();
	FUZZ_NEED(eal_start("fuzz_frames", 160) == 0, "EAL");
	harness_init(&h, &p);
	snprintf(path, sizeof(path), "%s/dataplane.sock", fuzz_dir());
	for (unsigned i = 0; i < N_CLIENTS; i++)
		peers[i].fd = -1;
	start_server();
	restart_server(); /* the harness counts generations from 1 */
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t generation = running_generation(), n_published = server->n_published;
	struct fuzz_input in = {data, size};

	is_unknown = false;
	for (unsigned i = 0; i < N_CLIENTS; i++)
		peers[i].n_commits = 0;
	while (in.left > 0)
		step(&in);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		drain(&peers[i]);
	check_commits(generation, n_published);
	check_hello();
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		close_peer(&peers[i]);
		free(peers[i].in);
		peers[i].in = NULL;
		peers[i].n_in = peers[i].cap = 0;
	}
	check_no_clients();
	if (running_generation() != 0)
		restart_server();
	return 0;
}
