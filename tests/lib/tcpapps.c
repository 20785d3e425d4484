/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpapps — see tcpapps.h. What a connection has of its own is a number of chargen's line and column, in place of the application's pointer. */
#include "tcpapps.h"

#include <string.h>

#define LINE 72u  /* characters, then CR LF (RFC 864) */
#define CHARS 95u /* printing ones, from space on */

static rte_be16_t port_of(const struct tcb *c)
{
	struct tcp_info info;

	tcp_info(c, &info, 0);
	return info.local_port;
}

bool tcpapps_is_served(rte_be16_t port)
{
	return port == RTE_BE16(TCPAPPS_ECHO) || port == RTE_BE16(TCPAPPS_DISCARD)
		|| port == RTE_BE16(TCPAPPS_CHARGEN);
}

/* It is asked again when there is room, or, where nothing of its own is on its way that would make some, at the next poll. */
static void wait_for_room(struct tcb *c)
{
	if (tcp_queued(c) > 0)
		tcp_want_room(c);
	else
		tcp_again(c);
}

static void echo(struct tcb *c)
{
	const uint8_t *p;
	uint32_t len;

	while ((p = tcp_peek(c, &len)) != NULL) {
		const uint32_t n = tcp_write(c, p, len);

		tcp_consume(c, n);
		if (n < len) {
			wait_for_room(c);
			return; /* what is unread closes the window */
		}
	}
	if (tcp_is_eof(c))
		tcp_close(c);
}

static void discard(struct tcb *c)
{
	tcp_consume(c, tcp_unread(c));
	if (tcp_is_eof(c))
		tcp_close(c);
}

/* Byte `at` of a period: lines, each of which begins a character later than the one before. */
static uint8_t char_at(uint32_t at)
{
	const uint32_t line = at / (LINE + 2), col = at % (LINE + 2);

	if (col >= LINE)
		return col == LINE ? '\r' : '\n';
	return (uint8_t)(' ' + (line + col) % CHARS);
}

static void chargen(struct tcb *c)
{
	uintptr_t at = (uintptr_t)tcp_app(c);
	uint8_t *p, *end;

	tcp_consume(c, tcp_unread(c));
	if (tcp_is_eof(c)) {
		tcp_close(c);
		return;
	}
	while (tcp_write_begin(c, &p, &end)) {
		for (; p < end; p++) {
			*p = char_at((uint32_t)at);
			at = at + 1 < CHARS * (LINE + 2) ? at + 1 : 0;
		}
		tcp_write_end(c, p);
	}
	tcp_set_app(c, (void *)at);
	wait_for_room(c);
}

void tcpapps_on_open(struct tcb *c)
{
	tcp_set_app(c, NULL);
	if (port_of(c) == RTE_BE16(TCPAPPS_CHARGEN))
		chargen(c);
}

void tcpapps_on_ready(struct tcb *const *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		switch (rte_be_to_cpu_16(port_of(c[i]))) {
		case TCPAPPS_ECHO:
			echo(c[i]);
			break;
		case TCPAPPS_DISCARD:
			discard(c[i]);
			break;
		default:
			chargen(c[i]);
			break;
		}
	}
}
