/* SPDX-License-Identifier: BSD-3-Clause */
/* keep — see keep.h. All files are opened relative to one directory descriptor. */
#include "daemon/keep.h"

#include "daemon/logline.h"

#include <jansson.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"
#define JSON_BYTES_MAX (256u << 20)
#define NAME_BYTES 64

struct keep {
	int dir_fd;
	int lock_fd;
};

/* mkdir -p, 0750 for what it makes. */
static int make_dirs(const char *dir)
{
	char path[4096];
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		path[i] = '\0';
		if (mkdir(path, 0750) != 0 && errno != EEXIST)
			return -errno;
		if (i < len)
			path[i] = '/';
	}
	return 0;
}

int keep_create(struct keep **out, const char *dir, const char **what)
{
	static char path[4096];
	struct keep *k = calloc(1, sizeof(*k));
	int rc;

	if (k == NULL)
		return -ENOMEM;
	k->lock_fd = -1;
	snprintf(path, sizeof(path), "%s", dir);
	*what = path;
	rc = make_dirs(dir);
	k->dir_fd = rc == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (k->dir_fd < 0) {
		rc = rc != 0 ? rc : -errno;
		goto err;
	}
	snprintf(path, sizeof(path), "%s/%s", dir, LOCK_NAME);
	k->lock_fd = openat(k->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (k->lock_fd < 0 || flock(k->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		rc = -errno;
		goto err;
	}
	*out = k;
	return 0;
err:
	keep_destroy(&k);
	return rc;
}

void keep_destroy(struct keep **kp)
{
	struct keep *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	if (k->lock_fd >= 0)
		close(k->lock_fd);
	if (k->dir_fd >= 0)
		close(k->dir_fd);
	free(k);
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static void name_tmp(char tmp[NAME_BYTES], const char *name)
{
	snprintf(tmp, NAME_BYTES, ".%s.tmp", name);
}

/* Writes the file under its temporary name. */
static int stage(const struct keep *k, const struct keep_file *f)
{
	char tmp[NAME_BYTES];
	int fd, rc;

	name_tmp(tmp, f->name);
	fd = openat(k->dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, f->data, f->len);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

int keep_write_all(struct keep *k, const struct keep_file *files, size_t n)
{
	char tmp[NAME_BYTES];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = stage(k, &files[i]);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		name_tmp(tmp, files[i].name);
		if (renameat(k->dir_fd, tmp, k->dir_fd, files[i].name) != 0)
			rc = -errno;
	}
	if (rc == 0)
		return fsync(k->dir_fd) == 0 ? 0 : -errno;
	for (size_t i = 0; i < n; i++) {
		name_tmp(tmp, files[i].name);
		unlinkat(k->dir_fd, tmp, 0);
	}
	return rc;
}

int keep_write(struct keep *k, const char *name, const void *data, size_t len)
{
	const struct keep_file file = {name, data, len};

	return keep_write_all(k, &file, 1);
}

static int read_all(int fd, char *p, size_t len)
{
	size_t n_read = 0;

	while (n_read < len) {
		const ssize_t n = read(fd, p + n_read, len - n_read);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* shrank while we read */
		n_read += (size_t)n;
	}
	return 0;
}

int keep_read(struct keep *k, const char *name, size_t max, char **data, size_t *len)
{
	const int fd = openat(k->dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p = NULL;
	int rc;

	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
	if (rc == 0 && (uint64_t)st.st_size > max)
		rc = -EFBIG;
	if (rc == 0) {
		p = malloc((size_t)st.st_size + 1);
		rc = p == NULL ? -ENOMEM : read_all(fd, p, (size_t)st.st_size);
	}
	close(fd);
	if (rc != 0) {
		free(p);
		return rc;
	}
	p[st.st_size] = '\0';
	*data = p;
	*len = (size_t)st.st_size;
	return 0;
}

int keep_write_json(struct keep *k, const char *name, const struct json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(1) | JSON_SORT_KEYS);
	int rc;

	if (text == NULL)
		return -ENOMEM;
	rc = keep_write(k, name, text, strlen(text));
	free(text);
	return rc;
}

static void name_aside(char aside[NAME_BYTES], const char *name)
{
	snprintf(aside, NAME_BYTES, "%s.corrupt", name);
}

/* A second link: keep_write() puts another file in the place of the first. */
void keep_copy_aside(struct keep *k, const char *name)
{
	char aside[NAME_BYTES];

	name_aside(aside, name);
	unlinkat(k->dir_fd, aside, 0);
	linkat(k->dir_fd, name, k->dir_fd, aside, 0);
	logline_write(LOGLINE_WARNING, "state directory",
		"%s holds entries that make no sense; as it was it is kept as %s", name, aside);
}

int keep_read_json(struct keep *k, const char *name, struct json_t **value)
{
	char aside[NAME_BYTES];
	json_t *v;
	char *text;
	size_t len;
	int rc;

	rc = keep_read(k, name, JSON_BYTES_MAX, &text, &len);
	if (rc != 0)
		return rc;
	v = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (!json_is_object(v)) {
		json_decref(v);
		name_aside(aside, name);
		renameat(k->dir_fd, name, k->dir_fd, aside);
		logline_write(LOGLINE_WARNING, "state directory",
			"%s is damaged and was moved to %s; going on without it", name, aside);
		return -EBADMSG;
	}
	*value = v;
	return 0;
}
