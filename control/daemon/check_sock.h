/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * check_sock — what probes over sockets share: opening one towards a backend, and showing what came back.
 * Daemon thread, never blocks.
 */
#include "millrace/types.h"

#define CHECK_SOCK_TEXT_MAX 64

/* A socket of that type and protocol (0: the type's) on its way to ip:port. Its descriptor, or -errno. */
int check_sock_open(const struct mr_ip *ip, uint16_t port, int type, int protocol);

/* The peer's bytes as one line that is safe to print, cut short with "..." where there are many. Returns
 * buf. */
const char *check_sock_text(char buf[CHECK_SOCK_TEXT_MAX], const void *data, size_t len);
