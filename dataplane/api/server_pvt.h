/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * server_pvt — what server.c shares with the handlers of its folder (txn.c, rows.c, conndump.c).
 */
#include "api/server.h"

struct conndump;
struct explain;
struct capturereq;
struct cachebig;
struct tcpreq;
struct cache;
struct mr_cache_top;

struct api_client {
	int fd;
	bool said_hello;
	bool may_change;
	bool is_blocked;   /* a connection dump or an explanation is under way: frames wait */
	bool is_closing;   /* flush what is there, then close */
	uint32_t moved_ms; /* when it last sent a whole step on or took replies */
	uid_t uid;
	char name[MR_NAME_MAX];
	uint8_t *in;
	uint32_t in_len, in_cap;
	uint8_t *out;
	uint32_t out_len, out_cap, out_sent;
	uint32_t dump_request; /* request id the dump answers */
};

struct api_server {
	struct api_params p;
	int listen_fd, epoll_fd, lock_fd;
	struct api_client *clients[API_CLIENTS_MAX];
	struct conndump *dump;
	struct explain *explain;
	struct capturereq *capture;
	struct cachebig *big;
	struct tcpreq *tcp;

	/* the transaction */
	struct api_client *txn_owner;
	struct model *txn_model;
	struct snapshot *txn_next; /* after PREPARE */

	struct model *model; /* running */
	uint32_t started_ms;
	uint64_t n_published;
	uint32_t publish_us;
};

/* A handler answers with rows and returns 0 (the server appends the final empty frame), or fills *err and
 * returns -errno, or returns API_LATER: the reply comes from elsewhere. */
#define API_LATER 1
typedef int (*api_handler)(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);

/* Appends one reply frame with the message, flags as given. -ENOBUFS closes the client later. */
int server_reply(struct api_client *c, uint16_t type, uint16_t flags, uint32_t request,
	const struct mr_msg *msg, const void *object);
int server_reply_object(struct api_client *c, const struct mr_frame *f, const struct mr_object *o);
static inline int server_row(struct api_client *c, const struct mr_frame *f,
	const struct mr_msg *msg, const void *object)
{
	return server_reply(c, f->type, MR_F_REPLY | MR_F_MORE, f->request, msg, object);
}
void server_reply_end(struct api_client *c, uint16_t type, uint32_t request);

/* Fills *err; returns rc. */
int server_refuse(struct mr_error *err, int rc, unsigned code, const char *object,
	const char *format, ...) __rte_format_printf(5, 6);

/* Decodes the body, or refuses with the field at fault. */
int server_decode(
	const struct mr_frame *f, const struct mr_msg *msg, void *object, struct mr_error *err);

/* Whether workers are at work for a client: each has one job at a time. */
bool server_has_jobs(const struct api_server *s);

/* txn.c */
int txn_on_begin(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int txn_on_put(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int txn_on_del(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int txn_on_prepare(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int txn_on_commit(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int txn_on_abort(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int txn_on_dump(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
void txn_abort(struct api_server *s);

/* rows.c */
void rows_status(const struct api_server *s, struct mr_status *st);
int rows_on_status(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int rows_on_ports(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int rows_on_counters(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int rows_on_services(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int rows_on_backends(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int rows_on_neighs(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int rows_on_workers(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);

/* conndump.c */
int conndump_create(struct conndump **out, unsigned n_workers);
void conndump_destroy(struct conndump **d);
int conndump_on_conns(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int conndump_on_conn_kill(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
/* Moves the dump under way on; true while there is one. */
bool conndump_poll(struct api_server *s);
void conndump_forget(struct api_server *s, const struct api_client *c);
bool conndump_is_running(const struct api_server *s);

/* explain.c; see explain.h */
int explain_on_explain(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
/* Answers when the worker has; true while it is at work. */
bool explain_poll(struct api_server *s);
void explain_forget(struct api_server *s, const struct api_client *c);

/* cachereq.c */
/* The cache of the running generation; a number of rows that can be had. 0, or refused. */
int cachereq_find(struct cache **out, const char *name, struct mr_error *err);
int cachereq_check_top(const struct mr_cache_top *ask, struct mr_error *err);
int cachereq_on_caches(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int cachereq_on_get(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int cachereq_on_purge(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);

/* cachewatch.c */
int cachewatch_on_hotkeys(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int cachewatch_on_latency(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);

/* cachebig.c */
int cachebig_create(struct cachebig **out);
void cachebig_destroy(struct api_server *s); /* ends the walk under way */
int cachebig_on_bigkeys(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
/* Does a part of the walk; true while there is one. */
bool cachebig_poll(struct api_server *s);
void cachebig_forget(struct api_server *s, const struct api_client *c);

/* tcpreq.c */
int tcpreq_create(struct tcpreq **out, unsigned n_workers);
void tcpreq_destroy(struct tcpreq **t); /* NULL-safe, clears *t; no worker is at work */
int tcpreq_on_tcp(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
/* Answers when the workers have; true while they are at work. */
bool tcpreq_poll(struct api_server *s);
void tcpreq_forget(struct api_server *s, const struct api_client *c);
bool tcpreq_is_running(const struct api_server *s);

/* capturereq.c */
int capturereq_create(struct capturereq **out, unsigned n_workers);
void capturereq_destroy(struct api_server *s); /* ends the capture under way */
int capturereq_on_start(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int capturereq_on_read(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int capturereq_on_trace_read(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
int capturereq_on_stop(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err);
/* Ends a capture that nobody reads. */
void capturereq_poll(struct api_server *s);
