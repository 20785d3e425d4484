/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * desired — the applied configuration: its meaning, its text byte for byte, and where it came from.
 * Lives in config.yaml and generation.json of the state directory; a restart continues with it.
 * Daemon thread; saving blocks on the disk.
 */
#include "lib/conf.h"

#define DESIRED_FILE "config.yaml"
#define DESIRED_TEXT_MAX 256

struct keep;

struct desired {
	struct conf
		*conf; /* never NULL after desired_load(): the empty one if nothing was applied */
	char *text;    /* what was applied */
	size_t text_len;
	uint64_t generation; /* 0: nothing was applied yet */
	int64_t time_ms;
	char name[DESIRED_TEXT_MAX]; /* of the file it came from */
	char author[MR_NAME_MAX];
	char comment[DESIRED_TEXT_MAX];
};

/* Reads what was saved last. 0, also when there is nothing; -EINVAL with the report when the saved file
 * is not valid any more; other -errno with *report NULL. */
int desired_load(struct desired *d, struct keep *keep, const struct conf_host *host,
	struct confreport **report);
void desired_fini(struct desired *d);

/* Makes `to` the applied configuration: saved first, then taken over (to is zeroed, the old one of d is
 * freed). 0, or -errno and nothing has changed. */
int desired_commit(struct desired *d, struct keep *keep, struct desired *to);
