/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_main — runs a fuzz target without libFuzzer: every file given, and every file of every directory
 * given, once. The seed corpus becomes a regression test of any build. No file at all is a failure:
 * a test that ran nothing has tested nothing.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#define FILE_MAX (1u << 20)

/* In the sanitizer's library, if there is one: where reports go. */
extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

static char current[4096]; /* file under way */
static unsigned n_files;

static void say_current(int sig)
{
	static const char what[] = "fuzz: failed on ";

	if (write(fuzz_fd, what, sizeof(what) - 1) < 0
		|| write(fuzz_fd, current, strlen(current)) < 0 || write(fuzz_fd, "\n", 1) < 0)
		_exit(1);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* The code under test logs what it refuses, which here is nearly everything. */
static void silence(void)
{
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	signal(SIGABRT, say_current);
	if (__sanitizer_set_report_fd != NULL)
		__sanitizer_set_report_fd((void *)(intptr_t)fuzz_fd);
	else
		signal(SIGSEGV, say_current);
	FUZZ_NEED(null >= 0 && dup2(null, STDERR_FILENO) >= 0, "/dev/null");
	close(null);
}

static void run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t *data = malloc(FILE_MAX), *exact;
	size_t n;

	FUZZ_NEED(f != NULL && data != NULL, path);
	n = fread(data, 1, FILE_MAX, f);
	FUZZ_NEED(!ferror(f) && feof(f), path);
	fclose(f);
	exact = fuzz_exact(data, n);
	free(data);
	snprintf(current, sizeof(current), "%s", path);
	LLVMFuzzerTestOneInput(exact, n);
	n_files++;
	free(exact);
}

static int is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void run_directory(const char *dir)
{
	struct dirent **list;
	const int n = scandir(dir, &list, is_visible, alphasort);
	char path[4096];

	FUZZ_NEED(n >= 0, dir);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		run_file(path);
		free(list[i]);
	}
	free(list);
}

int main(int argc, char **argv)
{
	struct stat st;

	LLVMFuzzerInitialize(&argc, &argv);
	silence();
	for (int i = 1; i < argc; i++) {
		FUZZ_NEED(stat(argv[i], &st) == 0, argv[i]);
		if (S_ISDIR(st.st_mode))
			run_directory(argv[i]);
		else
			run_file(argv[i]);
	}
	printf("%u inputs\n", n_files);
	return n_files > 0 ? 0 : 1;
}
