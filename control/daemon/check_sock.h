/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * check_sock — what probes over one socket share: opening it towards a backend, waiting for it with a deadline, ending,
 * and showing what came back. Daemon thread, never blocks.
 */
#include "daemon/check_kind.h"

#include <event2/event.h>

#define CHECK_SOCK_TEXT_MAX 64

/* The first member of such a probe, which calloc() made. */
struct check_sock {
	void (*on_end)(void *arg, int error, const struct check_result *result);
	void *arg;
	struct event *io, *deadline;
	int fd;
	uint32_t timeout_ms;
	double began;
};

/* The deadline runs from here on; there is no socket yet. */
void check_sock_begin(struct check_sock *s, const struct check_target *target);

/* Calls on_io when what is asked of s->fd happens, on_deadline when the time is over, both with s; cancel() ends that.
 * 0, -ENOMEM, or s->fd where that is an error. */
int check_sock_watch(struct check_sock *s, const struct check_target *target, short what,
	event_callback_fn on_io, event_callback_fn on_deadline);

/* Gives the probe up and frees it: check_kind's cancel. */
void check_sock_cancel(void *probe);

/* Ends the probe, frees it and tells. error: what failed on our side or in between, 0: nothing did. */
void check_sock_end(struct check_sock *s, int error, bool is_pass, const char *text);

/* A socket of that type and protocol (0: the type's) on its way to the target, without a port where the protocol is of ICMP.
 * Its descriptor, or -errno. */
int check_sock_open(const struct check_target *target, int type, int protocol);

/* Makes a new socket leave from that port, and free it at once when it is closed: a TCP connection ends with a
 * reset. 0 or -errno. */
int check_sock_bind(int fd, uint8_t family, uint16_t port);

/* The peer's bytes as one line that is safe to print, cut short with "..." where there are many. Returns
 * buf. */
const char *check_sock_text(char buf[CHECK_SOCK_TEXT_MAX], const void *data, size_t len);
