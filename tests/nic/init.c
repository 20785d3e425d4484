/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * init — first process of a guest of test_nic.sh. Loads the image's modules, makes the host's files its own
 * (read only), and then runs what the host puts into the shared directory: N.sh with N from 0 on, output to
 * N.out, exit status to N.rc, one at a time. The file alive has its uptime of the last second. The host ends the
 * guest. When the guest itself cannot be set up it says so on the console and powers off, and the host misses the
 * answer.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/root"
#define SHARE "/mnt"

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *format, ...)
{
	const int err = errno;
	va_list ap;

	va_start(ap, format);
	vdprintf(1, format, ap);
	va_end(ap);
	dprintf(1, ": %s\n", strerror(err));
	power_off();
}

static void mount_on(const char *source, const char *target, const char *type, unsigned long flags)
{
	if (mount(source, target, type, flags, NULL) != 0)
		give_up("mount %s on %s", source, target);
}

static void load_modules(void)
{
	struct dirent **names;
	const int n = scandir("/modules", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[300];
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
		fd = names[i]->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
			give_up("module %s", names[i]->d_name);
		close(fd);
	}
}

static void enter_host_files(void)
{
	mount_on("root", ROOT, "virtiofs", MS_RDONLY);
	mount_on("proc", ROOT "/proc", "proc", 0);
	mount_on("sysfs", ROOT "/sys", "sysfs", 0);
	mount_on("dev", ROOT "/dev", "devtmpfs", 0);
	if (mkdir(ROOT "/dev/hugepages", 0755) != 0 && errno != EEXIST)
		give_up("/dev/hugepages");
	mount_on("huge", ROOT "/dev/hugepages", "hugetlbfs", 0);
	mount_on("run", ROOT "/run", "tmpfs", 0);
	mount_on("share", ROOT SHARE, "virtiofs", 0);
	if (chroot(ROOT) != 0 || chdir("/") != 0)
		give_up("chroot");
}

static void set_lo_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) != 0)
		give_up("lo");
	close(fd);
}

static void answer(unsigned n, int status)
{
	char text[16], tmp[64], path[64];
	const int len = snprintf(text, sizeof(text), "%d\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	int fd;

	snprintf(tmp, sizeof(tmp), SHARE "/%u.rc.tmp", n);
	snprintf(path, sizeof(path), SHARE "/%u.rc", n);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)len) != len || close(fd) != 0
		|| rename(tmp, path) != 0)
		give_up("answer %u", n);
}

/* Waits for that process; orphans of others, which come to us, are reaped on the way. */
static int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = waitpid(-1, &status, 0);
	} while (got != pid && (got > 0 || errno == EINTR));
	if (got != pid)
		give_up("wait");
	return status;
}

static void run(unsigned n, const char *script)
{
	char out[64];
	const pid_t pid = fork();

	if (pid < 0)
		give_up("fork");
	if (pid == 0) {
		int fd;

		snprintf(out, sizeof(out), SHARE "/%u.out", n);
		fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		setsid();
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(126);
		close(fd);
		execl("/bin/bash", "bash", script, (char *)NULL);
		_exit(127);
	}
	answer(n, wait_for(pid));
}

/* A process of its own: what is told when the guest does not answer is whether it still runs. */
static void say_alive(void)
{
	const int fd = open(SHARE "/alive", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	const pid_t pid = fork();

	if (fd < 0 || pid < 0)
		give_up("alive");
	while (pid == 0) {
		struct timespec up;
		char text[16];

		clock_gettime(CLOCK_BOOTTIME, &up);
		snprintf(text, sizeof(text), "%-8ld", (long)up.tv_sec);
		if (pwrite(fd, text, strlen(text), 0) < 0)
			_exit(1);
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
	close(fd);
}

int main(void)
{
	const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

	load_modules();
	enter_host_files();
	set_lo_up();
	say_alive();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	for (unsigned n = 0;;) {
		char script[64];

		snprintf(script, sizeof(script), SHARE "/%u.sh", n);
		if (access(script, F_OK) == 0)
			run(n++, script);
		else
			nanosleep(&pause, NULL);
	}
}
