/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_control — lines of JSON to the daemon's control socket, through the real daemon without a dataplane. An
 * input is what two clients send, with two bytes that no UTF-8 has:
 *
 *     FE   what was sent so far goes out, and the daemon gets a turn
 *     FF   the other client goes on
 *
 * Every line that is an object is answered, once, by a result or an error of a known code; any other line
 * ends its client after a word why; nobody else notices.
 */
#include "daemon.h"
#include "fuzz.h"

#define N_CLIENTS 2u
#define TURN 0xfe
#define OTHER 0xff

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	daemon_init();
	daemon_start();
	return 0;
}

/* Something that the next input would see. */
static bool is_changed(void)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/overrides.json", daemon_dir());
	return loop_desired(daemon_loop())->generation != 1 || access(path, F_OK) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct daemon_client clients[N_CLIENTS];
	unsigned at = 0;

	for (unsigned i = 0; i < N_CLIENTS; i++)
		daemon_client_open(&clients[i]);
	while (size > 0) {
		size_t n = 0;

		while (n < size && data[n] < TURN)
			n++;
		daemon_client_send(&clients[at], data, n);
		if (n < size && data[n] == OTHER)
			at = (at + 1) % N_CLIENTS;
		else
			daemon_turn();
		n += n < size;
		data += n;
		size -= n;
	}
	for (unsigned i = 0; i < N_CLIENTS; i++)
		daemon_client_settle(&clients[i]);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		daemon_client_close(&clients[i]);
	daemon_check_alive();
	if (is_changed()) {
		daemon_stop();
		daemon_start();
	}
	return 0;
}
