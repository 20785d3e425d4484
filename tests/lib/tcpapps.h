/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcpapps — the small services of TCP, as applications of a stack of tcp/: echo (RFC 862), discard (RFC 863), chargen (RFC 864). They know a
 * stack as serve/mcstream's transport does: bytes to read where they lie, room to write to, and calls when there is news.
 */
#include "tcp/tcp.h"

#define TCPAPPS_ECHO 7u
#define TCPAPPS_DISCARD 9u
#define TCPAPPS_CHARGEN 19u

/* Whether a service has this port. */
bool tcpapps_is_served(rte_be16_t port);

/* The calls of struct tcp_ops of the same name, for connections of these services. */
void tcpapps_on_open(struct tcb *c);
void tcpapps_on_ready(struct tcb *const *c, unsigned n);
