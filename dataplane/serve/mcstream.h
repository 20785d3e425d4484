/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mcstream — memcached's protocols over a stream of bytes, as one connection brings them: requests that begin and end anywhere in
 * what has come, any number of them behind each other. Those that are whole are executed where they lie; only what goes on behind the
 * bytes that are there is copied, into a buffer of a stock that has a limit. Lookups of many connections are made at once.
 *
 * Knows no TCP: the transport gives the bytes that are unread, is told how many were read, and gives room for answers (struct mcstream_ops).
 *
 *  M1  answers of a connection are in the order of its requests
 *  M2  bytes are read only once their request has been answered, or has been copied: a request points into them
 *  M3  a connection has a buffer only while part of a request is there, and no more than one. Who finds none is answered all the same
 *      once all of its request is unread: it is put together in a place that nobody keeps
 *  M4  a lookup is made for good only when there is room for its answer: it may make its client the one that is to compute the value
 *
 * Context of everything: the worker whose writer it is, between two of its quiescent reports; hot unless it says otherwise.
 */
#include "serve/servemc.h"

/* Sizes of buffers: as a request grows it moves from one to the next, and takes none that is larger than it needs. The largest has a value of MR_CACHE_VALUE_MAX, its line and its end. */
#define MCSTREAM_CLASSES 4u

struct mcstream_stock; /* of one worker */

/* What a connection has of a request that is not whole. All 0: nothing. */
struct mcstream {
	uint8_t *buf;
	uint32_t n;       /* bytes in it */
	uint32_t swallow; /* so many bytes are to be dropped as they come */
	uint8_t class;    /* of buf */
	uint8_t protocol; /* what its first byte said, as memcached does it: 0 not known yet, or one of enum mcstream_speaks */
	bool is_unread;   /* what is in buf may be whole by itself */
	uint32_t
		wanted; /* unread bytes without which the request that found no buffer is not whole */
};

enum mcstream_stop {
	MCSTREAM_EMPTY, /* what is whole has been answered */
	MCSTREAM_TURN,  /* it has had its share: there may be more */
	MCSTREAM_FULL,  /* answers have to leave first: mcstream_ops.may_write() */
	MCSTREAM_NO_BUF, /* there is no buffer for what is not whole; it stays unread, and may be tried again */
	MCSTREAM_CLOSE, /* nothing more is read: what was answered leaves, then the connection ends */
	MCSTREAM_CUT,   /* there was no memory for all of an answer: the connection ends at once */
};

struct mcstream_conn;

struct mcstream_ops {
	/* Unread bytes behind the first `skip` of them, in one piece; NULL: there are none. They stay where they are until they are
	 * consumed. */
	const uint8_t *(*peek)(struct mcstream_conn *c, uint32_t skip, uint32_t *len);
	void (*consume)(struct mcstream_conn *c, uint32_t n);
	/* Whether an answer of n bytes may be written, when `before` bytes are to be written in front of it and some of both may have
	 * to wait; yes: room is kept for them. n 0: a short one, for which none is. */
	bool (*may_write)(struct mcstream_conn *c, uint32_t before, uint32_t n);
};

/* A connection in a run. The transport fills in the first group. */
struct mcstream_conn {
	struct mc_out out; /* first: what grow() gets */
	struct mcstream *s;
	const struct mcstream_ops *ops;
	uint32_t n_unread; /* bytes that peek() gives in all, as the run begins */

	uint8_t stop;        /* enum mcstream_stop  out */
	uint32_t n_requests; /* out */

	const uint8_t *p; /* what has been given and not been looked at: len bytes, behind */
	uint32_t len,
		taken; /* ... `taken` bytes of requests that are executed, or wait for their answer */
	uint32_t n_waiting;  /* lookups that wait for their answer */
	uint32_t n_promised; /* bytes of their answers */
	uint32_t n_granted;  /* ... for which room need not be asked any more */
};

struct mcstream_run {
	const struct servemc *s;
	struct mcstream_stock *stock;
	uint32_t share; /* requests of one connection at most */
	/* Room is short: gets that are not made in a batch are asked about too. May change as answers are written; NULL: never. */
	const bool *is_tight;
	/* Hears of requests, n of this verb (enum mc_verb), that were answered; NULL: nobody does. */
	void (*on_requests)(void *ctx, uint8_t verb, uint32_t n);
	void *ctx;
};

/* Cold. Context: manager, before workers start. n: buffers of each size. 0 or -ENOMEM. */
int mcstream_stock_create(
	struct mcstream_stock **out, const uint32_t n[MCSTREAM_CLASSES], int socket_id);
void mcstream_stock_destroy(struct mcstream_stock **s); /* NULL-safe, clears *s */

/* Bytes of a buffer of this size, and how many are there to be taken. */
uint32_t mcstream_stock_bytes(unsigned class);
uint32_t mcstream_stock_left(const struct mcstream_stock *s, unsigned class);

/* Executes what requests the connections, which are all of one cache, have brought, and says of each where it stopped. */
void mcstream_run_bulk(
	const struct mcstream_run *run, struct mcstream_conn *const *conns, unsigned n);

/* Whether part of a request is there. */
static inline bool mcstream_is_waiting(const struct mcstream *s)
{
	return s->n > 0;
}

/* Gives the buffer back: the connection is no more. */
void mcstream_fini(struct mcstream_stock *stock, struct mcstream *s);
