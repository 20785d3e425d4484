/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcpopt — options of a TCP header, read and changed in place, checksum included. The header's length has been
 * checked (parse.c); nothing behind it is touched, and an option whose own length is wrong ends the list. Pure, any
 * thread.
 */
#include "core/burst.h"

#include <rte_tcp.h>

#include <stdbool.h>

#define TCPOPT_MAX_BYTES 40u /* all options of a header */

/* Option that tells a backend its client (TOA): IPv4 kind 254, IPv6 kind 253; length, port, address. */
#define TCPOPT_CLIENT4_BYTES 8u
#define TCPOPT_CLIENT6_BYTES 20u

/* MSS option (RFC 9293 3.7.1, RFC 6691): not above max, and n_less below that to leave room for what is put into the
 * sender's segments; but not below MR_MSS_MIN for n_less's sake. Whether it was changed. */
bool tcpopt_clamp_mss(struct rte_tcp_hdr *tcp, uint16_t max, uint16_t n_less);

/* The MSS option's value; none or a malformed one: the default. */
uint16_t tcpopt_mss(const struct rte_tcp_hdr *tcp, uint16_t by_default);

/* SACK option (RFC 2018, RFC 2883) of a receiver that has had n bytes which its sender knows nothing of, put in before
 * number first: numbers become the sender's. Blocks that only tell of those bytes are taken out. Before the
 * acknowledgment number of the header is changed. */
void tcpopt_shift_sack(struct rte_tcp_hdr *tcp, uint32_t first, uint16_t n);

/* Writes the option for the client of *p, of 8 or 20 bytes. */
void tcpopt_put_client(uint8_t *to, const struct pkt *p);
