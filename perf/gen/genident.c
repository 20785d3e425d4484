/* SPDX-License-Identifier: BSD-3-Clause */
/* genident — see genident.h. */
#include "genident.h"

#include <rte_cycles.h>
#include <rte_version.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of a file that begins with `key`, from behind its colon; key NULL: the first line. */
static bool read_line(const char *path, const char *key, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	char line[1024];
	bool is_found = false;

	if (f == NULL)
		return false;
	while (!is_found && fgets(line, sizeof(line), f) != NULL) {
		const char *at = line;

		if (key != NULL) {
			if (strncmp(line, key, strlen(key)) != 0)
				continue;
			at = strchr(line, ':');
			if (at == NULL)
				continue;
			at++;
		}
		at += strspn(at, " \t");
		snprintf(buf, size, "%.*s", (int)strcspn(at, "\n"), at);
		is_found = true;
	}
	fclose(f);
	return is_found;
}

static void add_line(json_t *to, const char *name, const char *path, const char *key)
{
	char text[256];

	if (read_line(path, key, text, sizeof(text)) && text[0] != '\0')
		json_object_set_new(to, name, json_string(text));
}

const char *genident_load(char *buf, size_t size)
{
	char line[128];
	unsigned n_words = 0;

	if (!read_line("/proc/loadavg", NULL, line, sizeof(line)))
		snprintf(line, sizeof(line), "?");
	for (char *p = line; *p != '\0'; p++)
		if (*p == ' ' && ++n_words == 3) {
			*p = '\0';
			break;
		}
	snprintf(buf, size, "%s", line);
	return buf;
}

json_t *genident_machine(void)
{
	static const char cpu0[] = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
	json_t *m = json_object();
	struct utsname u;
	char load[64];

	add_line(m, "cpu", "/proc/cpuinfo", "model name");
	add_line(m, "microcode", "/proc/cpuinfo", "microcode");
	json_object_set_new(m, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_set_new(m, "tsc_hz", json_integer((json_int_t)rte_get_tsc_hz()));
	add_line(m, "governor", cpu0, NULL);
	add_line(m, "isolated_cpus", "/sys/devices/system/cpu/isolated", NULL);
	add_line(m, "hugepages", "/proc/meminfo", "HugePages_Total");
	add_line(m, "hugepage_size", "/proc/meminfo", "Hugepagesize");
	if (uname(&u) == 0)
		json_object_set_new(m, "kernel", json_string(u.release));
	json_object_set_new(m, "load", json_string(genident_load(load, sizeof(load))));
	return m;
}

json_t *genident_build(void)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "version", MILLRACE_VERSION, "build",
		GENIDENT_BUILD, "compiler", __VERSION__, "dpdk", rte_version());
}
