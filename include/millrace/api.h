/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * api — the requests of the dataplane socket, each declared once: symbol, number, name, the message
 * the client sends, the message each reply row carries, and who may ask.
 *
 * A client sends HELLO first; anything else before it is refused and the connection closed. It then
 * may have several requests under way; replies come in order. Changes are two-phase:
 *
 *     BEGIN(base generation) → PUT/DEL … → PREPARE(generation, digest) → COMMIT(generation)
 *
 * BEGIN copies the running model; PUT and DEL edit the copy and validate each object; PREPARE
 * validates the whole, compares the digest of the edited model with the client's, and builds
 * everything off the packet path, or refuses with a reason; COMMIT publishes. ABORT, an error in
 * PREPARE, or a closed connection drops the copy: the running generation is untouched. One
 * transaction at a time, others get MR_ERR_BUSY.
 *
 * Generations are chosen by the client and must grow. A dataplane that has just started runs
 * generation 0 with an empty model.
 */
#include "millrace/err.h"
#include "millrace/msg.h"

#define MR_API_VERSION 1

enum mr_role { MR_ROLE_VIEW = 0, MR_ROLE_CHANGE = 1 };

#define MR_REQUESTS(X) \
	X(MR_REQ_HELLO, 1, "hello", mr_hello, mr_status, MR_ROLE_VIEW) \
	X(MR_REQ_STATUS, 2, "status", mr_empty, mr_status, MR_ROLE_VIEW) \
	X(MR_REQ_BEGIN, 3, "begin", mr_begin, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_PUT, 4, "put", mr_object, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_DEL, 5, "del", mr_object_key, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_PREPARE, 6, "prepare", mr_prepare, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_COMMIT, 7, "commit", mr_commit, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_ABORT, 8, "abort", mr_empty, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_DUMP, 9, "dump", mr_empty, mr_object, MR_ROLE_VIEW) \
	X(MR_REQ_PORTS, 16, "ports", mr_empty, mr_port_row, MR_ROLE_VIEW) \
	X(MR_REQ_COUNTERS, 17, "counters", mr_empty, mr_counter_row, MR_ROLE_VIEW) \
	X(MR_REQ_SERVICES, 18, "services", mr_empty, mr_service_row, MR_ROLE_VIEW) \
	X(MR_REQ_BACKENDS, 19, "backends", mr_empty, mr_backend_row, MR_ROLE_VIEW) \
	X(MR_REQ_CONNS, 20, "conns", mr_conn_filter, mr_conn_row, MR_ROLE_VIEW) \
	X(MR_REQ_NEIGHS, 21, "neighs", mr_empty, mr_neigh_row, MR_ROLE_VIEW) \
	X(MR_REQ_WORKERS, 22, "workers", mr_empty, mr_worker_row, MR_ROLE_VIEW) \
	X(MR_REQ_CONN_KILL, 23, "conn-kill", mr_conn_filter, mr_conn_kill_row, MR_ROLE_CHANGE) \
	X(MR_REQ_EXPLAIN, 24, "explain", mr_explain, mr_explain_row, MR_ROLE_VIEW) \
	X(MR_REQ_CAPTURE_START, 25, "capture-start", mr_capture, mr_capture_key, MR_ROLE_CHANGE) \
	X(MR_REQ_CAPTURE_READ, 26, "capture-read", mr_capture_key, mr_packet_row, MR_ROLE_CHANGE) \
	X(MR_REQ_CAPTURE_STOP, 27, "capture-stop", mr_capture_key, mr_capture_end, MR_ROLE_CHANGE) \
	X(MR_REQ_TRACE_READ, 28, "trace-read", mr_capture_key, mr_trace_row, MR_ROLE_CHANGE) \
	X(MR_REQ_CACHES, 29, "caches", mr_empty, mr_cache_row, MR_ROLE_VIEW) \
	X(MR_REQ_CACHE_GET, 30, "cache-get", mr_cache_key, mr_cache_value_row, MR_ROLE_CHANGE) \
	X(MR_REQ_CACHE_PURGE, 31, "cache-purge", mr_cache_purge, mr_empty, MR_ROLE_CHANGE) \
	X(MR_REQ_CACHE_HOTKEYS, 32, "cache-hotkeys", mr_cache_top, mr_cache_hotkey_row, \
		MR_ROLE_VIEW) \
	X(MR_REQ_CACHE_LATENCY, 33, "cache-latency", mr_cache_name, mr_cache_latency_row, \
		MR_ROLE_VIEW) \
	X(MR_REQ_CACHE_BIGKEYS, 34, "cache-bigkeys", mr_cache_top, mr_cache_bigkey_row, \
		MR_ROLE_VIEW) \
	X(MR_REQ_TCP, 35, "tcp", mr_empty, mr_tcp_row, MR_ROLE_VIEW)

#define MR_REQUEST_MEMBER(sym, number, name, req, row, role) sym = number,
enum mr_request { MR_REQUESTS(MR_REQUEST_MEMBER) };

#define MR_EMPTY_FIELDS(F, T) F(T, U8, unused, 65535, MR_OPTIONAL, "")
MR_MSG(mr_empty, MR_EMPTY_FIELDS)

#define MR_HELLO_FIELDS(F, T) \
	F(T, U16, version, 2, MR_REQUIRED, "MR_API_VERSION of the client") \
	F(T, NAME, client, 3, MR_REQUIRED, "program name, for the log")
MR_MSG(mr_hello, MR_HELLO_FIELDS)

#define MR_STATUS_FIELDS(F, T) \
	F(T, U16, version, 2, MR_REQUIRED, "MR_API_VERSION of the dataplane") \
	F(T, NAME, program, 3, MR_REQUIRED, "program and release") \
	F(T, U32, pid, 4, MR_OPTIONAL, "process id") \
	F(T, U64, instance, 5, MR_REQUIRED, "random at start: differs after every restart") \
	F(T, U64, generation, 6, MR_REQUIRED, "running generation, 0 = empty model") \
	F(T, BLOB16, digest, 7, MR_REQUIRED, "digest of the running model") \
	F(T, U64, uptime_ms, 8, MR_OPTIONAL, "since start") \
	F(T, U16, n_workers, 9, MR_OPTIONAL, "worker threads") \
	F(T, U16, n_ports, 10, MR_OPTIONAL, "logical ports") \
	F(T, U64, conns_max, 11, MR_OPTIONAL, "connection table size, all workers") \
	F(T, U64, conns, 12, MR_OPTIONAL, "connections now") \
	F(T, U64, generations_published, 13, MR_OPTIONAL, "since start") \
	F(T, U32, publish_us, 14, MR_OPTIONAL, "last commit: publish until every worker runs it") \
	F(T, U32, mbufs_max, 15, MR_OPTIONAL, "packet buffers") \
	F(T, U32, mbufs, 16, MR_OPTIONAL, "packet buffers in use now, those in receive queues too")
MR_MSG(mr_status, MR_STATUS_FIELDS)

#define MR_BEGIN_FIELDS(F, T) F(T, U64, base_generation, 2, MR_REQUIRED, "must be the running one")
MR_MSG(mr_begin, MR_BEGIN_FIELDS)

#define MR_PREPARE_FIELDS(F, T) \
	F(T, U64, generation, 2, MR_REQUIRED, "new generation, greater than the running one") \
	F(T, BLOB16, digest, 3, MR_REQUIRED, "digest of the model the client means")
MR_MSG(mr_prepare, MR_PREPARE_FIELDS)

#define MR_COMMIT_FIELDS(F, T) F(T, U64, generation, 2, MR_REQUIRED, "as in PREPARE")
MR_MSG(mr_commit, MR_COMMIT_FIELDS)

#define MR_ERROR_FIELDS(F, T) \
	F(T, U16, code, 2, MR_REQUIRED, "enum mr_err") \
	F(T, TEXT, object, 3, MR_OPTIONAL, "object key or field the error is about") \
	F(T, TEXT, message, 4, MR_REQUIRED, "reason and remedy")
MR_MSG(mr_error, MR_ERROR_FIELDS)
