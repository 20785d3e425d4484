/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * boot — start-up as a list that can be read: steps go up in order and down in reverse. A step that fails
 * is named and everything before it is taken down again. Context: manager (main thread).
 */

struct boot_step {
	const char *name;
	int (*up)(void *ctx);    /* 0 or -errno; has logged object, reason and remedy */
	void (*down)(void *ctx); /* NULL = nothing to undo */
};

/* Runs all steps. 0; or the -errno of the step that failed, after the earlier ones are down again. */
int boot_up(const struct boot_step *steps, unsigned n, void *ctx);

/* Takes all steps down, last first. */
void boot_down(const struct boot_step *steps, unsigned n, void *ctx);
