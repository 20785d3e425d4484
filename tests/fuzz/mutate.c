/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutate — valid packets (framegen.h), changed, on the whole packet path. It makes inputs for the target `pipeline`,
 * whose checks hold for each: every packet is accounted for, all buffers come back, what is sent is well formed.
 * Three kinds of inputs, in this order:
 *
 *     limits   each field of each kind of frame is 0, 1, its largest value, that less one, one more and one less
 *              than it was
 *     chains   IPv6 extension headers of every type, from none to as many as a frame takes
 *     random   bursts of frames with some fields, bits, bytes or lengths changed, answers of the other side, changed
 *              as well, time and changes of the configuration between them
 *
 * All of it runs in two processes whose packet buffers are filled with different bytes: what they send must be the
 * same, or it has bytes in it that were nobody's.
 *
 *     MUTATIONS=10000000 SEED=7 mutate      as many random frames, other ones
 *     INPUT=1234 mutate FILE                one input, as a failure names it; written to a file for fuzz_pipeline
 */
#include "framegen.h"
#include "fuzz.h"
#include "fuzz_pipeline.h"

#include <rte_common.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define MUTATIONS_DEFAULT 30000u
#define FRAMES_MAX 500u /* of an input */
#define VARIANTS 6u     /* of each kind, whose fields go to their limits */
#define INPUT_MAX (1u << 21)
#define CHAINS_OF 16u /* chain lengths of one input */

/* The steps of fuzz_pipeline.c. */
enum step { FRAME, FLOOD, REFLECT, ANSWER, TIME, RUN, EDIT, ALTER };
enum frame_flag { F_SOUTH = 1, F_QUEUE1 = 2, F_REPAIR = 8, F_ROOM = 16, F_SEGMENTS = 32 };

struct input {
	uint64_t number; /* of all inputs */
	uint32_t n;
	uint32_t n_frames;
	uint8_t bytes[INPUT_MAX];
};

static struct input in;
static struct framegen g;
static uint64_t seed;
static bool is_first; /* of the two processes: the one that reports */

/* In the sanitizer's library, if there is one. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* --- steps --- */

static void step8(uint32_t value)
{
	FUZZ_NEED(in.n < INPUT_MAX, "an input that is too long");
	in.bytes[in.n++] = (uint8_t)value;
}

static void step16(uint32_t value)
{
	step8(value >> 8);
	step8(value);
}

static void step_frame(uint8_t flags)
{
	step8(FRAME);
	step8(flags);
	step16(g.n);
	for (uint32_t i = 0; i < g.n; i++)
		step8(g.bytes[i]);
	in.n_frames++;
}

/* All received is worked on; hosts that are asked for answer. */
static void step_resolve(void)
{
	step8(RUN);
	step8(ANSWER);
	step8(RUN);
}

static uint8_t side(void)
{
	return g.is_south ? F_SOUTH : 0;
}

static void begin(uint64_t number)
{
	in.number = number;
	in.n = in.n_frames = 0;
	g.random = (seed * 0x9e3779b97f4a7c15u ^ (number + 1) * 0xd1342543de82ef95u) | 1;
	for (unsigned i = 0; i < 8; i++)
		framegen_random(&g, 2);
	step_resolve();
}

static void step_time(uint32_t ms)
{
	step8(TIME);
	step16(ms);
}

/* What a port sent last comes back, as an answer of its receiver. */
static void step_reflect(void)
{
	static const uint8_t flags[] = {0x12, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14};

	step8(REFLECT);
	step8((framegen_random(&g, 2) ? F_SOUTH : 0) | F_ROOM
		| (framegen_random(&g, 2) ? F_QUEUE1 : 0));
	step8(flags[framegen_random(&g, RTE_DIM(flags))]);
}

/* --- limits --- */

static uint32_t largest(const struct framegen_field *f)
{
	return f->n_bits == 32 ? UINT32_MAX : (1u << f->n_bits) - 1;
}

static bool is_sum(const struct framegen_field *f)
{
	return strstr(f->name, ".sum") != NULL;
}

/* The frame with this field at each limit; before and after them as it is. */
static void step_limits(const struct framegen_field *f)
{
	const uint32_t max = largest(f), was = framegen_read(&g, f);
	const uint32_t values[] = {0, 1, max - 1, max, was + 1, was - 1};
	const uint8_t flags = (uint8_t)(side() | F_ROOM | (is_sum(f) ? 0 : F_REPAIR));

	step_frame((uint8_t)(side() | F_REPAIR | F_ROOM));
	for (unsigned i = 0; i < RTE_DIM(values); i++) {
		framegen_write(&g, f, values[i]);
		step_frame(flags);
		if (values[i] == max) /* and as a driver without room in its buffers has it */
			step_frame((uint8_t)((flags & ~F_ROOM) | F_QUEUE1));
	}
	framegen_write(&g, f, was);
	step_frame((uint8_t)(side() | F_REPAIR | F_ROOM | F_QUEUE1));
	step8(RUN);
	step_reflect();
	step_reflect();
	step8(RUN);
	step_time(100);
}

static void make_limits(unsigned kind)
{
	framegen_build(&g, kind);
	for (unsigned i = 0; i < g.n_fields; i++) {
		if (i < 40 || i + 20 >= g.n_fields) /* of a long chain its ends */
			step_limits(&g.fields[i]);
	}
}

/* --- chains --- */

static const uint8_t chain_types[] = {0 /* of all types */, 43, 44, 51, 60};

/* Chains of some lengths, of small headers and of as large ones as fit. */
static void make_chains(unsigned i)
{
	const uint8_t type = chain_types[i % RTE_DIM(chain_types)];
	const unsigned first = i / RTE_DIM(chain_types) * CHAINS_OF;

	for (unsigned n = first; n < first + CHAINS_OF && n < FRAMEGEN_CHAIN_MAX; n++) {
		framegen_build_chain(&g, type, n, 8);
		step_frame(F_REPAIR | F_ROOM);
		if (n == 0 || type == 44)
			continue;
		framegen_build_chain(&g, type, n, RTE_MAX(8u, (FRAMEGEN_MAX - 200) / n / 8 * 8));
		step_frame(F_REPAIR | F_ROOM);
	}
	step8(RUN);
}

#define N_CHAINS (RTE_DIM(chain_types) * ((FRAMEGEN_CHAIN_MAX + CHAINS_OF - 1) / CHAINS_OF))

/* --- random --- */

static uint32_t any_value(const struct framegen_field *f)
{
	const uint32_t max = largest(f), was = framegen_read(&g, f);

	switch (framegen_random(&g, 8)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return max;
	case 3:
		return max - 1;
	case 4:
		return was + 1;
	case 5:
		return was - 1;
	default:
		return framegen_random(&g, UINT32_MAX);
	}
}

/* Moves what is behind `at` by some bytes: bytes appear, or go. */
static void shift(uint32_t at)
{
	const uint32_t n = 1 + framegen_random(&g, 12);

	if (framegen_random(&g, 2) && g.n + n <= FRAMEGEN_MAX) {
		memmove(g.bytes + at + n, g.bytes + at, g.n - at);
		g.n += n;
	} else if (at + n < g.n) {
		memmove(g.bytes + at, g.bytes + at + n, g.n - at - n);
		g.n -= n;
	}
}

static void mutate_once(void)
{
	const uint32_t at = framegen_random(&g, g.n);
	const struct framegen_field *f;

	switch (framegen_random(&g, 16)) {
	case 0:
		g.bytes[at] ^= (uint8_t)(1 << framegen_random(&g, 8));
		break;
	case 1:
		g.bytes[at] = (uint8_t)framegen_random(&g, 256);
		break;
	case 2: /* cut off */
		g.n = at + 1;
		break;
	case 3:
		g.n = RTE_MIN(g.n + 1 + framegen_random(&g, 100), FRAMEGEN_MAX);
		break;
	case 4:
		shift(at);
		break;
	default:
		f = &g.fields[framegen_random(&g, g.n_fields)];
		if (f->bit + f->n_bits <= g.n * 8)
			framegen_write(&g, f, any_value(f));
	}
}

static void step_mutated(void)
{
	static const uint8_t changes[] = {0, 1, 1, 1, 2, 2, 3, 8};
	const unsigned n = changes[framegen_random(&g, RTE_DIM(changes))];
	uint8_t flags;

	framegen_build(&g, framegen_random(&g, framegen_kinds()));
	for (unsigned i = 0; i < n && g.n > 0; i++)
		mutate_once();
	flags = side();
	flags |= framegen_random(&g, 8) ? F_REPAIR : 0;
	flags |= framegen_random(&g, 8) ? F_ROOM : 0;
	flags |= framegen_random(&g, 2) ? F_QUEUE1 : 0;
	flags |= framegen_random(&g, 16) ? 0 : F_SEGMENTS;
	step_frame(flags);
}

/* An answer with some bytes changed, mostly of its headers. */
static void step_altered(void)
{
	const unsigned n = 1 + framegen_random(&g, 4);

	step8(ALTER);
	step8((framegen_random(&g, 2) ? F_SOUTH : 0) | F_ROOM);
	step8(framegen_random(&g, 2) ? 0x12 : framegen_random(&g, 256));
	step16(framegen_random(&g, 90));
	step8(n);
	for (unsigned i = 0; i < n; i++)
		step8(framegen_random(&g, 256));
}

static void step_between(void)
{
	const unsigned n = framegen_random(&g, 6);

	for (unsigned i = 0; i < n; i++) {
		if (framegen_random(&g, 2))
			step_reflect();
		else
			step_altered();
		step8(RUN);
	}
	if (framegen_random(&g, 3) == 0)
		step_resolve();
	if (framegen_random(&g, 3) == 0)
		step_time(framegen_random(&g, 600));
	if (framegen_random(&g, 6) == 0) {
		step8(FLOOD);
		step8(framegen_random(&g, 256));
		step8(RUN);
	}
	if (framegen_random(&g, 8) == 0) {
		step8(EDIT);
		step8(framegen_random(&g, 256));
	}
}

static void make_random(void)
{
	while (in.n_frames < FRAMES_MAX) {
		const unsigned n = 1 + framegen_random(&g, 40);

		for (unsigned i = 0; i < n; i++)
			step_mutated();
		step8(RUN);
		step_between();
	}
}

/* --- inputs --- */

static void make(uint64_t number)
{
	const unsigned n_limits = framegen_kinds() * VARIANTS;

	begin(number);
	if (number < n_limits)
		make_limits((unsigned)number / VARIANTS);
	else if (number < n_limits + N_CHAINS)
		make_chains((unsigned)number - n_limits);
	else
		make_random();
}

static const char *what(uint64_t number)
{
	const unsigned n_limits = framegen_kinds() * VARIANTS;

	if (number < n_limits)
		return framegen_name((unsigned)number / VARIANTS);
	return number < n_limits + N_CHAINS ? "chains" : "random";
}

/* Where a sanitizer or FUZZ_CHECK ends the process. */
static void say_current(void)
{
	dprintf(fuzz_fd,
		"mutate: failed on input %lu (%s), again: SEED=%lu INPUT=%lu mutate FILE\n",
		(unsigned long)in.number, what(in.number), (unsigned long)seed,
		(unsigned long)in.number);
}

static void on_abort(int sig)
{
	say_current();
	signal(sig, SIG_DFL);
	raise(sig);
}

static uint64_t number_in(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *rest;
	uint64_t n;

	if (text == NULL)
		return otherwise;
	n = strtoull(text, &rest, 10);
	FUZZ_NEED(*text != '\0' && *rest == '\0', name);
	return n;
}

static void write_input(const char *path)
{
	FILE *f = fopen(path, "we");

	FUZZ_NEED(f != NULL && fwrite(in.bytes, 1, in.n, f) == in.n && fclose(f) == 0, path);
}

/* The other process tells its digest after each input; this one compares. */
static void compare(int fd)
{
	uint64_t digest;

	if (!is_first) {
		FUZZ_NEED(write(fd, &fuzz_pipeline.digest, 8) == 8, "pipe");
		return;
	}
	FUZZ_CHECK(read(fd, &digest, 8) == 8, "the other process ended");
	FUZZ_CHECK(digest == fuzz_pipeline.digest,
		"what is sent depends on what packet buffers had in them before");
}

static void run_all(uint64_t n_mutations, int fd)
{
	uint64_t n_fixed = 0, n_random = 0, number = 0, last = number_in("INPUT", UINT64_MAX);
	const bool is_one = last != UINT64_MAX;
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (number = is_one ? last : 0; number <= last; number++) {
		if (!is_one && n_random >= n_mutations)
			break;
		make(number);
		LLVMFuzzerTestOneInput(in.bytes, in.n);
		if (strcmp(what(number), "random") == 0)
			n_random += in.n_frames;
		else
			n_fixed += in.n_frames;
		compare(fd);
	}
	if (!is_first)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("seed %lu: %lu inputs, %lu frames with fields at their limits and chains, "
	       "%lu changed at random, %ld s\n",
		(unsigned long)seed, (unsigned long)(number - (is_one ? last : 0)),
		(unsigned long)n_fixed, (unsigned long)n_random, (long)(end.tv_sec - start.tv_sec));
	fuzz_pipeline_tell();
}

int main(int argc, char **argv)
{
	const uint64_t n_mutations = number_in("MUTATIONS", MUTATIONS_DEFAULT);
	int fds[2], status = 0;
	pid_t other;

	seed = number_in("SEED", 1);
	if (argc > 1) {
		FUZZ_NEED(getenv("INPUT") != NULL, "which INPUT?");
		make(number_in("INPUT", 0));
		write_input(argv[1]);
	}
	fflush(NULL);
	FUZZ_NEED(pipe(fds) == 0, "pipe");
	other = fork(); /* before DPDK has threads */
	FUZZ_NEED(other >= 0, "fork");
	is_first = other > 0;
	close(fds[is_first]);
	fuzz_pipeline.poison = is_first ? 0xff : 0x5a;
	LLVMFuzzerInitialize(&argc, &argv);
	signal(SIGABRT, on_abort);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(say_current);
	else
		signal(SIGSEGV, on_abort);
	run_all(n_mutations, fds[!is_first]);
	if (!is_first)
		return 0;
	FUZZ_CHECK(waitpid(other, &status, 0) == other && status == 0, "the other process failed");
	return 0;
}
