/* SPDX-License-Identifier: BSD-3-Clause */
/* ealargs — see ealargs.h. */
#include "core/ealargs.h"

#include "core/device.h"

#include <errno.h>
#include <stdarg.h>

__rte_format_printf(2, 3) static void add(struct ealargs *a, const char *format, ...)
{
	const size_t room = sizeof(a->text) - a->text_len;
	char *to = a->text + a->text_len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(to, room, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room || a->argc >= EALARGS_MAX) {
		a->argc = EALARGS_MAX + 1;
		return;
	}
	a->text_len += (size_t)n + 1;
	a->argv[a->argc++] = to;
}

static bool user_gives(const struct opt *o, const char *const *words)
{
	for (unsigned i = 0; i < o->n_eal_args; i++) {
		for (const char *const *w = words; *w != NULL; w++) {
			if (strncmp(o->eal_args[i], *w, strlen(*w)) == 0)
				return true;
		}
	}
	return false;
}

/* lcore 0 is the manager, 1… the workers. Pinned when there is a CPU for each, else all float over
 * the CPUs given, or over all the process may use. */
static void add_lcores(struct ealargs *a, const struct opt *o)
{
	char map[1024];
	size_t len = 0;

	if (o->n_cpus > o->n_workers) {
		for (unsigned i = 0; i <= o->n_workers; i++)
			len += (size_t)snprintf(map + len, sizeof(map) - len, "%s%u@%u",
				i ? "," : "", i, o->cpus[i]);
	} else {
		cpu_set_t allowed;
		bool is_first = true;

		CPU_ZERO(&allowed);
		for (unsigned i = 0; i < o->n_cpus; i++)
			CPU_SET(o->cpus[i], &allowed);
		if (o->n_cpus == 0)
			sched_getaffinity(0, sizeof(allowed), &allowed);
		len = (size_t)snprintf(map, sizeof(map), "(0-%u)@(", o->n_workers);
		for (unsigned cpu = 0; cpu < CPU_SETSIZE && len < sizeof(map) - 8; cpu++) {
			if (!CPU_ISSET(cpu, &allowed))
				continue;
			len += (size_t)snprintf(
				map + len, sizeof(map) - len, "%s%u", is_first ? "" : ",", cpu);
			is_first = false;
		}
		snprintf(map + len, sizeof(map) - len, ")");
	}
	add(a, "--lcores");
	add(a, "%s", map);
}

const char *ealargs_prefix(int pid, char *buf, size_t size)
{
	snprintf(buf, size, "millrace-%d", pid);
	return buf;
}

int ealargs_build(struct ealargs *a, const struct opt *o, int pid)
{
	static const char *const lcore_words[] = {"-l", "-c", "--lcores", "-S", "-s", NULL};
	static const char *const memory_words[] = {"-m", "--socket-mem", NULL};
	static const char *const prefix_words[] = {"--file-prefix", NULL};
	char name[OPT_DEVICE_MAX], prefix[64];
	bool has_pci = false;

	memset(a, 0, sizeof(*a));
	add(a, "millraced");
	if (!user_gives(o, lcore_words))
		add_lcores(a, o);
	/* our log is on stderr; the libraries' own chatter stays out of it */
	for (const char *const *lib = (const char *const[]){"lib", "bus", "pmd", NULL}; *lib; lib++)
		add(a, "--log-level=%s.*:warning", *lib);
	add(a, "--no-telemetry");
	if (!user_gives(o, prefix_words))
		add(a, "--file-prefix=%s", ealargs_prefix(pid, prefix, sizeof(prefix)));
	if (o->is_huge) {
		add(a, "--in-memory");
	} else {
		/* 22.11 refuses --in-memory together with --no-huge */
		add(a, "--no-huge");
		add(a, "--no-shconf");
		if (!user_gives(o, memory_words)) {
			add(a, "-m");
			add(a, "%u", o->memory_mb);
		}
	}
	for (unsigned i = 0; i < o->n_ports; i++) {
		opt_device_name(o->ports[i].device, name, sizeof(name));
		if (!device_is_pci(name))
			continue;
		has_pci = true;
		add(a, "-a");
		add(a, "%s", o->ports[i].device);
	}
	if (!has_pci) {
		add(a, "--no-pci");
		add(a, "--iova-mode=va");
	}
	for (unsigned i = 0; i < o->n_eal_args; i++)
		add(a, "%s", o->eal_args[i]);
	if (a->argc > EALARGS_MAX)
		return -E2BIG;
	a->argv[a->argc] = NULL;
	return 0;
}
