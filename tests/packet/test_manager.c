/* SPDX-License-Identifier: BSD-3-Clause */
/* The manager's loop as millraced runs it: whom it serves while workers bring it more than it can take. */
#include "eal.h"
#include "harness.h"
#include "manager.h"
#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define N_PACKETS 3072u
#define PER_ROUND 256u /* PACKETS_MAX of manager.c */

static struct harness h;
static bool is_running;
static unsigned n_waiting; /* packets, when the server turned to its client */

/* The server asks for the time when it accepts: that is all the test wants of it. */
static uint32_t now_ms(void)
{
	if (is_running) {
		is_running = false;
		n_waiting = mailbox_count(h.mail);
		kill(getpid(), SIGTERM);
	}
	return h.now_ms;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void fill_mailbox(void)
{
	const uint8_t frame[64] = {0};

	for (unsigned i = 0; i < N_PACKETS; i++) {
		struct rte_mbuf *m = harness_mbuf(&h, frame, sizeof(frame));

		pkt_note(m)->kind = NOTE_PUNT;
		pkt_note(m)->iface = 0;
		pkt_note(m)->punt_class = PUNT_OTHER;
		assert_int_equal(mailbox_send_bulk(h.mail, 0, h.n_workers, &m, 1), 1);
	}
}

/* Else a flood for the kernel side keeps the control plane out, and backends that died stay in. */
static void clients_have_their_turn_in_a_flood(void **state)
{
	char dir[] = "/tmp/millrace-manager.XXXXXX", path[64];
	struct manager mgr = {.workers = h.workers,
		.n_workers = h.n_workers,
		.mail = h.mail,
		.tally = tally_of(h.tallies, h.n_workers),
		.neigh = h.neigh,
		.path_mtus = h.env.path_mtus,
		.ifaces = &h.ifaces};
	const struct punt_params pp = {.ifaces = &h.ifaces,
		.pool = h.pool,
		.tally = mgr.tally,
		.output = manager_send,
		.output_ctx = &mgr};
	struct api_params ap = {.group = (gid_t)-1,
		.env = h.env,
		.model = h.model,
		.workers = h.workers,
		.n_workers = h.n_workers,
		.tallies = h.tallies,
		.nics = h.nics,
		.neigh = h.neigh,
		.pool = h.pool,
		.now_ms = now_ms};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dataplane.sock", dir);
	ap.socket_path = path;
	assert_int_equal(punt_create(&mgr.punt, &pp), 0);
	assert_int_equal(api_server_create(&mgr.api, &ap), 0);
	h.model = NULL; /* the server's from here on */
	fill_mailbox();
	fd = connect_to(path);

	is_running = true;
	assert_int_equal(manager_run(&mgr), 0);
	assert_false(is_running);
	assert_int_equal(n_waiting, N_PACKETS - PER_ROUND);

	close(fd);
	api_server_destroy(&mgr.api);
	punt_destroy(&mgr.punt);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct harness_params p = {
		.n_workers = 1, .n_queues = 1, .n_conns4 = 64, .n_conns6 = 64, .n_mbufs = 8191};
	const struct CMUnitTest tests[] = {cmocka_unit_test(clients_have_their_turn_in_a_flood)};
	int rc;

	(void)argc;
	manager_hold_signals();
	if (eal_start(argv[0], 256) != 0)
		return 1;
	harness_init(&h, &p);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	harness_fini(&h);
	return rc;
}
