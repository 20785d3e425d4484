/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * keep — files in the state directory that are either the old one or the new one, whatever happens:
 * written to a temporary file, fsynced, renamed, and the directory fsynced. A lock file makes sure
 * that one daemon owns the directory. Blocking I/O, on the daemon's only thread: files are small and
 * written on changes only.
 */
#include <stddef.h>
#include <stdint.h>

struct json_t;
struct keep;

/* Makes the directory (0750) if it is not there and locks it. -EWOULDBLOCK: another daemon has it.
 * Other errors: -errno; *what then names the path at fault (static storage). */
int keep_create(struct keep **out, const char *dir, const char **what);
void keep_destroy(struct keep **k); /* NULL-safe; gives the lock back */

/* Replaces the file. 0 or -errno: the old file is still there then. */
int keep_write(struct keep *k, const char *name, const void *data, size_t len);

struct keep_file {
	const char *name;
	const void *data;
	size_t len;
};

/* Replaces all of the files or none: everything is on the disk before the first one is renamed. */
int keep_write_all(struct keep *k, const struct keep_file *files, size_t n);

/* Reads a whole file of at most max bytes into *data (NUL appended; free() it). -ENOENT, -EFBIG,
 * -ENOMEM, or what reading gave. */
int keep_read(struct keep *k, const char *name, size_t max, char **data, size_t *len);

/* The same with JSON. A file that is not a JSON object is -EBADMSG and moved aside to NAME.corrupt, so
 * that it can be looked at and does not come back; that is logged. */
int keep_write_json(struct keep *k, const char *name, const struct json_t *value);
int keep_read_json(struct keep *k, const char *name, struct json_t **value);

/* Keeps the file as it is now as NAME.corrupt, for the next write will leave out what its reader did not
 * understand. Logged. */
void keep_copy_aside(struct keep *k, const char *name);
