/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fuzz — what the fuzz targets share: reading an input piece by piece, and failing loudly. A target is
 * one file with the two libFuzzer functions. Linked with libFuzzer (-Dfuzz=true) it searches; linked
 * with fuzz_main.c it runs every file of its seed corpus once, which is a test of the suite `fuzz`.
 *
 * Targets must give the same verdict for the same input whatever ran before, and leave nothing
 * behind: LeakSanitizer looks after every input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where failures go: a copy of stderr, for the code under test is silenced by redirecting that. */
extern int fuzz_fd;

/* Fails the input unless cond; the message says what should have been. */
#define FUZZ_CHECK(cond, ...) \
	do { \
		if (!(cond)) { \
			dprintf(fuzz_fd, "%s:%d: FUZZ_CHECK(%s): ", __FILE__, __LINE__, #cond); \
			dprintf(fuzz_fd, __VA_ARGS__); \
			dprintf(fuzz_fd, "\n"); \
			abort(); \
		} \
	} while (0)

/* For what must work before fuzzing can begin. */
#define FUZZ_NEED(cond, what) \
	do { \
		if (!(cond)) { \
			dprintf(fuzz_fd, "%s: cannot start: %s\n", __FILE__, what); \
			exit(2); \
		} \
	} while (0)

/* What is left of an input. Reads beyond the end give zeroes. */
struct fuzz_input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

/* Big-endian, so that network bytes can be read in a hex dump of an input. */
static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	const unsigned hi = fuzz_u8(in);

	return (uint16_t)(hi << 8 | fuzz_u8(in));
}

/* Takes n bytes, or what is left if that is less; *n becomes what was taken. */
static inline const uint8_t *fuzz_take(struct fuzz_input *in, size_t *n)
{
	const uint8_t *p = in->p;

	if (*n > in->left)
		*n = in->left;
	in->p += *n;
	in->left -= *n;
	return p;
}

/* A heap block of exactly these bytes, so that ASan sees a read one byte too far. free() it. */
static inline uint8_t *fuzz_exact(const void *p, size_t n)
{
	uint8_t *block = malloc(n);

	FUZZ_NEED(block != NULL || n == 0, "no memory");
	if (n > 0)
		memcpy(block, p, n);
	return block;
}

/* First thing in LLVMFuzzerInitialize(), before stderr is redirected. */
void fuzz_init(void);

/* A directory of this process in memory (/dev/shm) where there is one, else in $TMPDIR or /tmp; made anew
 * by each call, removed with all that is in it when the process exits (run.sh sees to the rest). */
const char *fuzz_dir(void);

/* Removes the files of a directory, not the directory. */
void fuzz_dir_clear(const char *dir);
