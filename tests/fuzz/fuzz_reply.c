/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_reply — a dataplane that answers the daemon with anything: the whole daemon, its two connections to the
 * dataplane (push and fetch) and its control socket, on which questions wait for the answers. An input is
 * a list of steps; the low three bits name the step, bit 3 the connection (the first or the second made):
 *
 *     BYTES   length:2 bytes…          sent as they are
 *     ROW     length:2 bytes…          … as a row for the oldest request without an answer
 *     LAST    length:2 bytes…          … as its last frame
 *     ERROR   code:1                   a refusal
 *     GOOD    generation:1             what a dataplane with the empty model would say
 *     ASK     n:1                      question n on the control socket
 *     CLOSE                            the connection ends
 *     TURN                             the daemon gets one more turn
 *
 * Afterwards no dataplane is there any more; then every question must have got exactly one answer, in valid
 * JSON, and the daemon must still be in service.
 */
#include "daemon.h"
#include "fuzz.h"
#include "millrace/api_stats.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#define N_CONNS 2u
#define REQUESTS_MAX 256u /* remembered; a daemon that asks more gets no answers to those */

enum step { BYTES, ROW, LAST, ERROR, GOOD, ASK, CLOSE, TURN };

struct request {
	uint16_t type;
	uint32_t id;
};

/* A connection of the daemon's. */
struct conn {
	int fd; /* -1: none */
	uint8_t in[65536];
	uint32_t n_in;
	struct request requests[REQUESTS_MAX]; /* without an answer */
	unsigned n_requests;
};

static int listen_fd;
static struct conn conns[N_CONNS];

static const char *const questions[] = {
	"{\"id\": 1, \"method\": \"service.show\"}\n",
	"{\"id\": 2, \"method\": \"backend.show\"}\n",
	"{\"id\": 3, \"method\": \"conn.show\"}\n",
	"{\"id\": 4, \"method\": \"conn.show\", \"params\": {\"backend\": \"web/w1\", \"limit\": 3}}\n",
	"{\"id\": 5, \"method\": \"conn.count\"}\n",
	"{\"id\": 6, \"method\": \"conn.count\", \"params\": {\"by\": \"backend\"}}\n",
	"{\"id\": 7, \"method\": \"conn.count\", \"params\": {\"by\": \"state\"}}\n",
	"{\"id\": 8, \"method\": \"port.show\"}\n",
	"{\"id\": 9, \"method\": \"neigh.show\"}\n",
	"{\"id\": 10, \"method\": \"worker.show\"}\n",
	"{\"id\": 11, \"method\": \"drops.show\", \"params\": {\"all\": true}}\n",
	"{\"id\": 12, \"method\": \"status\"}\n",
	"{\"id\": 13, \"method\": \"port.stats\", \"params\": {\"name\": \"north\"}}\n",
	"{\"id\": 14, \"method\": \"backend.drain\", \"params\": {\"pool\": \"web\", \"name\": "
	"\"w1\"}}\n",
	"{\"id\": 15, \"method\": \"backend.weight\", \"params\": {\"pool\": \"six\", \"name\": "
	"\"w1\", \"weight\": 5}}\n",
	"{\"id\": 16, \"method\": \"config.apply\", \"params\": {\"text\": \"version: 1\\n\", "
	"\"name\": \"x\"}}\n",
	"{\"id\": 17, \"method\": \"conn.count\", \"params\": {\"by\": \"client\", \"prefix\": 24, \"top\": "
	"1}}\n",
	"{\"id\": 18, \"method\": \"conn.kill\", \"params\": {\"client\": \"10.1.0.10\"}}\n",
	"{\"id\": 19, \"method\": \"cache.show\"}\n",
	"{\"id\": 20, \"method\": \"cache.stats\", \"params\": {\"name\": \"hot\"}}\n",
	"{\"id\": 21, \"method\": \"cache.get\", \"params\": {\"name\": \"hot\", \"key\": \"a\\\\x00\"}}\n",
	"{\"id\": 22, \"method\": \"cache.purge\", \"params\": {\"name\": \"hot\", \"all\": true}}\n",
	"{\"id\": 23, \"method\": \"cache.hotkeys\", \"params\": {\"name\": \"hot\", \"limit\": 1}}\n",
	"{\"id\": 24, \"method\": \"cache.bigkeys\", \"params\": {\"name\": \"hot\"}}\n",
	"{\"id\": 25, \"method\": \"cache.latency\", \"params\": {\"name\": \"hot\"}}\n",
	"{\"id\": 26, \"method\": \"tcp.show\"}\n",
};

/* --- the dataplane --- */

static void listen_here(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", daemon_dataplane());
	unlink(sa.sun_path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	FUZZ_NEED(listen_fd >= 0 && bind(listen_fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0
			&& listen(listen_fd, 8) == 0,
		sa.sun_path);
}

static void close_conn(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->n_in = 0;
	c->n_requests = 0;
}

static void take_requests(struct conn *c)
{
	struct mr_frame f;
	uint32_t at = 0;
	int n;

	while ((n = mr_frame_parse(&f, c->in + at, c->n_in - at)) > 0) {
		FUZZ_CHECK(f.flags == 0, "request %u has flags %x", f.type, f.flags);
		if (c->n_requests < REQUESTS_MAX)
			c->requests[c->n_requests++] = (struct request){f.type, f.request};
		at += (uint32_t)n;
	}
	FUZZ_CHECK(n == 0, "a request is no frame");
	c->n_in -= at;
	memmove(c->in, c->in + at, c->n_in);
}

static void read_conn(struct conn *c)
{
	ssize_t n;

	while (c->fd >= 0
		&& (n = recv(c->fd, c->in + c->n_in, sizeof(c->in) - c->n_in, MSG_DONTWAIT)) >= 0) {
		if (n == 0) {
			close_conn(c);
			return;
		}
		c->n_in += (uint32_t)n;
		take_requests(c);
	}
}

/* The daemon has a turn, and the dataplane sees what it did. */
static void turn(void)
{
	daemon_turn();
	for (unsigned i = 0; i < N_CONNS; i++) {
		if (conns[i].fd < 0)
			conns[i].fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		read_conn(&conns[i]);
	}
}

static void send_bytes(struct conn *c, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n > 0 && c->fd >= 0) {
		const ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN) {
			close_conn(c);
		} else if (sent < 0) {
			turn();
		} else {
			p += sent;
			n -= (size_t)sent;
		}
	}
}

/* A frame for the oldest request. Its last one ends it. */
static void reply(struct conn *c, uint16_t flags, const void *body, size_t n)
{
	static uint8_t buf[MR_FRAME_HDR + 65536];
	const struct request r = c->requests[0];
	struct mr_writer w;
	uint32_t at;
	uint8_t *p;

	if (c->n_requests == 0)
		return;
	if (!(flags & MR_F_MORE))
		memmove(c->requests, c->requests + 1, --c->n_requests * sizeof(c->requests[0]));
	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, r.type, MR_F_REPLY | flags, r.id);
	p = mr_writer_reserve(&w, (uint32_t)n);
	if (p != NULL && n > 0)
		memcpy(p, body, n);
	if (mr_frame_end(&w, at) == 0)
		send_bytes(c, buf, w.len);
}

static void reply_message(
	struct conn *c, uint16_t flags, const struct mr_msg *msg, const void *object)
{
	uint8_t buf[4096];
	struct mr_writer w;

	mr_writer_init(&w, buf, sizeof(buf));
	mr_msg_encode(&w, msg, object);
	reply(c, flags, buf, w.len);
}

static void refuse(struct conn *c, uint8_t code)
{
	struct mr_error err = {.code = code, .object = "service/shop", .message = "because"};

	reply_message(c, MR_F_ERROR, &mr_error_msg, &err);
}

static void answer_well(struct conn *c, uint8_t generation)
{
	const struct mr_status st = {.version = MR_API_VERSION,
		.program = "fuzz",
		.instance = 1,
		.generation = generation};

	if (c->n_requests > 0
		&& (c->requests[0].type == MR_REQ_HELLO || c->requests[0].type == MR_REQ_STATUS))
		reply_message(c, MR_F_MORE, &mr_status_msg, &st);
	reply(c, 0, NULL, 0);
}

static void step(struct fuzz_input *in, struct daemon_client *client)
{
	const uint8_t op = fuzz_u8(in);
	struct conn *c = &conns[op >> 3 & (N_CONNS - 1)];
	const char *question;
	const uint8_t *bytes;
	size_t n;

	switch (op & 7) {
	case BYTES:
	case ROW:
	case LAST:
		n = fuzz_u16(in);
		bytes = fuzz_take(in, &n);
		if ((op & 7) == BYTES)
			send_bytes(c, bytes, n);
		else
			reply(c, (op & 7) == ROW ? MR_F_MORE : 0, bytes, n);
		break;
	case ERROR:
		refuse(c, fuzz_u8(in));
		break;
	case GOOD:
		answer_well(c, fuzz_u8(in));
		break;
	case ASK:
		question = questions[fuzz_u8(in) % (sizeof(questions) / sizeof(questions[0]))];
		daemon_client_send(client, question, strlen(question));
		turn();
		turn();
		break;
	case CLOSE:
		close_conn(c);
		break;
	default:
		break;
	}
	turn();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	daemon_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct daemon_client client;

	for (unsigned i = 0; i < N_CONNS; i++)
		conns[i].fd = -1;
	listen_here();
	daemon_start();
	daemon_client_open(&client);
	for (unsigned i = 0; i < 3; i++)
		turn();
	while (in.left > 0)
		step(&in, &client);
	for (unsigned i = 0; i < N_CONNS; i++)
		close_conn(&conns[i]);
	close(listen_fd); /* ends the connections that nobody has accepted as well */
	daemon_client_settle(&client);
	daemon_client_close(&client);
	daemon_check_alive();
	daemon_stop();
	return 0;
}
