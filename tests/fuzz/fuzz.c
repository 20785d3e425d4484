/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz — see fuzz.h. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>

int fuzz_fd = STDERR_FILENO;

static char dir_path[4096];

void fuzz_init(void)
{
	const int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);

	if (fd >= 0)
		fuzz_fd = fd;
}

void fuzz_dir_clear(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
}

static void remove_dir(void)
{
	fuzz_dir_clear(dir_path);
	rmdir(dir_path);
}

const char *fuzz_dir(void)
{
	const char *base = getenv("FUZZ_DIR");

	if (base == NULL)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
	snprintf(dir_path, sizeof(dir_path), "%s/fuzz-XXXXXX", base != NULL ? base : "/tmp");
	FUZZ_NEED(mkdtemp(dir_path) != NULL, dir_path);
	atexit(remove_dir);
	return dir_path;
}
