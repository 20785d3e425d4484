/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * err — the closed list of error codes of the dataplane socket. A reply that fails carries one of
 * these, the object it is about and a sentence with the reason and the remedy.
 */
#include "millrace/types.h"

#define MR_ERRS(X) \
	X(MR_OK, 0, "ok") \
	X(MR_ERR_PROTO, 1, "protocol")      /* malformed frame or field; the client is closed */ \
	X(MR_ERR_VERSION, 2, "version")     /* HELLO with a version we do not speak */ \
	X(MR_ERR_REQUEST, 3, "request")     /* unknown request, or HELLO missing */ \
	X(MR_ERR_INVALID, 4, "invalid")     /* a value is out of range or contradicts another */ \
	X(MR_ERR_NOT_FOUND, 5, "not-found") /* no such object */ \
	X(MR_ERR_CONFLICT, 6, "conflict")   /* base generation is not the running one */ \
	X(MR_ERR_DIGEST, 7, "digest")       /* model built here differs from the client's */ \
	X(MR_ERR_TXN, 8, "transaction")     /* no transaction, or not in this phase */ \
	X(MR_ERR_BUSY, 9, "busy")           /* another client holds the transaction */ \
	X(MR_ERR_LIMIT, 10, "limit")        /* a table fixed at start is full */ \
	X(MR_ERR_MEMORY, 11, "memory")      /* allocation failed; old generation runs on */ \
	X(MR_ERR_DENIED, 12, "denied")      /* peer credentials lack the role */ \
	X(MR_ERR_INTERNAL, 13, "internal")

MR_ENUM(err, MR_ERRS)
