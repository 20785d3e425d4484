/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * daemon — millrace-controld inside a fuzz target: its loop and its control socket on an event base that the
 * target turns by hand, its state in a directory of memory, and clients that know how many answers they
 * are owed. Probes of fuzzed configurations go nowhere: the process has a network namespace of its own.
 */
#include "daemon/loop.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once per process; exits when it cannot. */
void daemon_init(void);

/* The directory: state, control socket and the place for the dataplane's. */
const char *daemon_dir(void);
const char *daemon_dataplane(void); /* path of the dataplane's socket; nobody listens there */

void daemon_start(void); /* from the same state each time */
void daemon_stop(void);
struct loop *daemon_loop(void);

/* Lets the daemon do what is ready; true when that was something. */
bool daemon_turn(void);

/* A client of the control socket. */
struct daemon_client {
	int fd;    /* -1: none */
	char *out; /* the line being sent, as far as it has come */
	size_t n_out;
	char *in; /* received and not looked at */
	size_t n_in;
	unsigned n_owed; /* requests without an answer */
	bool is_over;    /* something made no sense: the daemon says so and ends it */
	bool is_told;    /* … and has said so */
	bool is_cut;     /* more requests than it wants: the last ones got no answer */
	bool is_closed;  /* by the daemon */
	json_t *last;    /* last answer */
};

void daemon_client_open(struct daemon_client *c);
void daemon_client_send(struct daemon_client *c, const void *bytes, size_t n);
/* Reads answers and checks each. */
void daemon_client_read(struct daemon_client *c);
/* Turns until nothing is owed any more; fails when that does not come. */
void daemon_client_settle(struct daemon_client *c);
/* Says it is done; the daemon must end the connection then. */
void daemon_client_close(struct daemon_client *c);

/* A client that does everything right is served. */
void daemon_check_alive(void);
