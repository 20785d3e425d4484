/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fwd_edit_pvt — what fwd_edit.c shares with fwd_cookie.c, whose flows may be told of as well: the bits of an entry's
 * `fins` above the two of connfsm, and the edits of one packet. Context: worker.
 */
#include "lb/fwd.h"

#define TELL_TOA 0x04    /* how the flow began, whatever the service says since */
#define TELL_PROXY 0x08  /* the same */
#define IS_ANSWERED 0x10 /* the backend's SYN+ACK was here: ISS is known */
#define IS_SENT \
	0x20 /* a header has gone out, and the backend has not said since that it has none */
#define IS_TOLD 0x40   /* acknowledged by the backend */
#define IS_LINKED 0x80 /* fwd_cookie.c: the backend has answered */
#define TELL_ANY (TELL_TOA | TELL_PROXY)

/* Hot. The client's packet i becomes what the backend gets. False when it goes no further: it has another verdict then. */
bool fwd_edit_client(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be);

/* Hot. The backend's packet i becomes what the client gets. */
void fwd_edit_answer(const struct fwd_env *env, unsigned i, struct conn *e);

/* Packet i is an ICMP error about what the backend was sent, which becomes what the client has sent. */
void fwd_edit_quote(
	const struct fwd_env *env, unsigned i, const struct conn *e, const struct icmpquote *q);
