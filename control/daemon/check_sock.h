/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * check_sock — what probes over sockets share: opening one towards a backend. Daemon thread, never blocks.
 */
#include "millrace/types.h"

/* A socket of that type on its way to ip:port. Its descriptor, or -errno. */
int check_sock_open(const struct mr_ip *ip, uint16_t port, int type);
