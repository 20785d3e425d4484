/* SPDX-License-Identifier: BSD-3-Clause */
/* opt — see opt.h. Each option is one row of the table below: name, argument, range, setter, help. */
#include "core/opt.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

struct def;

/* Where a complaint goes, and what it is about. */
struct complaint {
	char *text;
	size_t size;
};

typedef int (*set_fn)(struct opt *o, const struct def *d, const char *value, struct complaint *c);

struct def {
	const char *name;
	const char *arg; /* NULL = takes none */
	set_fn set;
	size_t offset; /* set_number, set_text */
	uint32_t min, max;
	const char *help;
};

__rte_format_printf(2, 3) static int complain(struct complaint *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->text, c->size, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* Whole decimal number in [min, max]. False otherwise. */
static bool read_number(const char *s, const char *end, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (s == end)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return false;
	}
	if (v < min || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

static int set_number(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	uint32_t v;

	if (!read_number(value, value + strlen(value), d->min, d->max, &v))
		return complain(c, "--%s %s: must be a number from %u to %u", d->name, value,
			d->min, d->max);
	memcpy((char *)o + d->offset, &v, sizeof(v));
	return 0;
}

/* max: size of the field. */
static int set_text(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (value[0] == '\0' || strlen(value) >= d->max)
		return complain(
			c, "--%s '%s': must have 1 to %u characters", d->name, value, d->max - 1);
	snprintf((char *)o + d->offset, d->max, "%s", value);
	return 0;
}

static bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char ch = s[i];
		const bool is_alnum = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
			|| (ch >= '0' && ch <= '9');

		if (!is_alnum && (i == 0 || strchr("._-", ch) == NULL))
			return false;
	}
	return len > 0 && len < MR_NAME_MAX;
}

const char *opt_device_name(const char *device, char *buf, size_t size)
{
	snprintf(buf, size, "%.*s", (int)strcspn(device, ","), device);
	return buf;
}

const char *opt_device_arg(const char *device, const char *key, char *buf, size_t size)
{
	const size_t len = strlen(key);

	for (const char *p = strchr(device, ','); p != NULL; p = strchr(p, ',')) {
		p++;
		if (strncmp(p, key, len) == 0 && p[len] == '=') {
			p += len + 1;
			snprintf(buf, size, "%.*s", (int)strcspn(p, ","), p);
			return buf;
		}
	}
	return NULL;
}

/* A device belongs to one port, and so does the kernel interface below it. */
static int check_device(const struct opt *o, const struct opt_port *port, struct complaint *c)
{
	char name[OPT_DEVICE_MAX], other[OPT_DEVICE_MAX], iface[OPT_DEVICE_MAX];
	const bool has_iface = opt_device_arg(port->device, "iface", iface, sizeof(iface)) != NULL;

	opt_device_name(port->device, name, sizeof(name));
	for (unsigned i = 0; i < o->n_ports; i++) {
		const struct opt_port *p = &o->ports[i];

		if (strcmp(opt_device_name(p->device, other, sizeof(other)), name) == 0)
			return complain(c,
				"--port %s=%s: device %s already belongs to port %s; give each its own "
				"device (virtual ones differ in the number after the driver's name)",
				port->name, port->device, name, p->name);
		if (has_iface && opt_device_arg(p->device, "iface", other, sizeof(other)) != NULL
			&& strcmp(other, iface) == 0)
			return complain(c,
				"--port %s=%s: interface %s already belongs to port %s; give each its own",
				port->name, port->device, iface, p->name);
	}
	return 0;
}

static int set_port(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	const char *eq = strchr(value, '=');
	struct opt_port *port = &o->ports[o->n_ports];
	unsigned n_same = 0, n_others = 0;

	if (eq == NULL || eq[1] == '\0')
		return complain(c,
			"--port %s: must be NAME=DEVICE, for example wan=0000:03:00.0 or "
			"wan=net_af_packet0,iface=eth1",
			value);
	if (!is_name(value, (size_t)(eq - value)))
		return complain(c,
			"--port %s: the name must have 1 to %d letters, digits, '.', '_', '-', and begin "
			"with a letter or digit",
			value, MR_NAME_MAX - 1);
	if (strlen(eq + 1) >= OPT_DEVICE_MAX)
		return complain(c, "--port %s: device string longer than %d bytes", value,
			OPT_DEVICE_MAX - 1);
	if (o->n_ports == OPT_PORTS_MAX)
		return complain(c, "--port %s: more than %d devices", value, OPT_PORTS_MAX);
	memset(port, 0, sizeof(*port));
	memcpy(port->name, value, (size_t)(eq - value));
	strncpy(port->device, eq + 1, sizeof(port->device) - 1);
	for (unsigned i = 0; i < o->n_ports; i++) {
		bool is_first = true;

		for (unsigned k = 0; k < i; k++)
			is_first &= strcmp(o->ports[k].name, o->ports[i].name) != 0;
		n_same += strcmp(o->ports[i].name, port->name) == 0;
		n_others += is_first;
	}
	if (n_same == IFACE_NICS_MAX)
		return complain(c, "--port %s: port %s has %d devices already", value, port->name,
			IFACE_NICS_MAX);
	if (n_same == 0 && n_others == IFACE_MAX)
		return complain(c, "--port %s: more than %d ports", value, IFACE_MAX);
	if (check_device(o, port, c) != 0)
		return -EINVAL;
	o->n_ports++;
	return 0;
}

static int set_cpus(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	const char *p = value;

	o->n_cpus = 0;
	for (;;) {
		const char *end = p + strcspn(p, ",");
		const char *dash = memchr(p, '-', (size_t)(end - p));
		uint32_t first, last;

		if (!read_number(p, dash ? dash : end, 0, CPU_SETSIZE - 1, &first)
			|| !read_number(dash ? dash + 1 : p, end, first, CPU_SETSIZE - 1, &last))
			return complain(c, "--cpus %s: must be a list such as 0,2-5", value);
		for (uint32_t cpu = first; cpu <= last; cpu++) {
			for (unsigned i = 0; i < o->n_cpus; i++) {
				if (o->cpus[i] == cpu)
					return complain(
						c, "--cpus %s: CPU %u is there twice", value, cpu);
			}
			if (o->n_cpus == RTE_DIM(o->cpus))
				return complain(c, "--cpus %s: more than %u CPUs", value,
					(unsigned)RTE_DIM(o->cpus));
			o->cpus[o->n_cpus++] = (uint16_t)cpu;
		}
		if (*end == '\0')
			return 0;
		p = end + 1;
	}
}

#define IDLE_DEFAULT_US 200u

static int set_idle(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (strcmp(value, "poll") == 0) {
		o->idle_us = 0;
		return 0;
	}
	if (strcmp(value, "sleep") == 0) {
		o->idle_us = IDLE_DEFAULT_US;
		return 0;
	}
	if (strncmp(value, "sleep=", 6) == 0
		&& read_number(value + 6, value + strlen(value), d->min, d->max, &o->idle_us))
		return 0;
	return complain(c,
		"--idle %s: must be poll, sleep or sleep=N with N microseconds, %u to %u", value,
		d->min, d->max);
}

static int set_kernel_if(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (strcmp(value, "none") == 0) {
		o->kernel_prefix[0] = '\0';
		return 0;
	}
	return set_text(o, d, value, c);
}

static int set_no_huge(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	o->is_huge = false;
	return 0;
}

static int set_log_level(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};

	for (unsigned i = 0; i < RTE_DIM(levels); i++) {
		if (strcmp(value, levels[i]) == 0)
			return set_text(o, d, value, c);
	}
	return complain(c, "--log-level %s: must be error, warning, notice, info or debug", value);
}

static int print_version(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	printf("millraced %s\n", MILLRACE_VERSION);
	return OPT_DONE;
}

static int print_help(struct opt *o, const struct def *d, const char *value, struct complaint *c)
{
	opt_help(stdout);
	return OPT_DONE;
}

#define NUMBER(field, min, max) set_number, offsetof(struct opt, field), min, max
#define TEXT(field) set_text, offsetof(struct opt, field), 0, sizeof(((struct opt *)0)->field)

static const struct def defs[] = {
	{"port", "NAME=DEVICE", set_port, 0, 0, 0,
		"logical port and its DPDK device: a PCI address, or a virtual device such as "
		"net_af_xdp0,iface=eth1; again with the same NAME joins devices; at least one"},
	{"workers", "N", NUMBER(n_workers, 1, WORKER_MAX),
		"packet threads (default: one less than there are CPUs)"},
	{"cpus", "LIST", set_cpus, 0, 0, 0,
		"CPUs: the first for the manager, the others one for each worker (default: one each "
		"when there are enough and more than two, else shared)"},
	{"rx-queues", "N", NUMBER(n_rx_queues, 1, WORKER_QUEUES_MAX),
		"receive queues of each device (default: as many as workers, if it has them)"},
	{"rxd", "N", NUMBER(n_rxd, 32, 32768), "receive descriptors of a queue (default 1024)"},
	{"txd", "N", NUMBER(n_txd, 32, 32768), "transmit descriptors of a queue (default 1024)"},
	{"mbufs", "N", NUMBER(n_mbufs, 1024, 1u << 24),
		"packet buffers (default: from queues and descriptors)"},
	{"mtu", "N", NUMBER(mtu_bytes, 1280, 9216), "MTU of all ports (default: as it is)"},
	{"conns", "N", NUMBER(n_conns4, 64, 1u << 28),
		"IPv4 connections, all workers together (default 262144)"},
	{"conns6", "N", NUMBER(n_conns6, 64, 1u << 28),
		"IPv6 connections, all workers together (default 65536)"},
	{"services", "N", NUMBER(n_services, 1, 65536), "services at most (default 1024)"},
	{"backends", "N", NUMBER(n_backends, 1, 1u << 20), "backends at most (default 8192)"},
	{"snats", "N", NUMBER(n_snats, 1, 64), "SNAT addresses at most (default 8)"},
	{"neighs", "N", NUMBER(n_neighs, 64, 1u << 23), "neighbours at most (default 65536)"},
	{"idle", "poll|sleep[=USEC]", set_idle, 0, 1, 100000,
		"what workers do without packets: poll (default), or sleep for up to USEC (200)"},
	{"socket", "PATH", TEXT(socket_path), "API socket (default /run/millrace/dataplane.sock)"},
	{"group", "NAME", TEXT(group), "group that owns the socket and may change things"},
	{"kernel-if", "PREFIX|none", set_kernel_if, offsetof(struct opt, kernel_prefix), 0,
		sizeof(((struct opt *)0)->kernel_prefix),
		"names of the kernel-side interfaces: PREFIX and the port's name (default k-)"},
	{"no-huge", NULL, set_no_huge, 0, 0, 0, "do without hugepages (slower; for trials)"},
	{"memory", "MB", NUMBER(memory_mb, 64, 1u << 20),
		"memory for packets, tables and caches (default: from the sizes above)"},
	{"cache-memory", "MB", NUMBER(cache_mb, 0, 1u << 20),
		"memory for the caches, all together (default 0: there can be none)"},
	{"tcp-conns", "N", NUMBER(n_tcp_conns, 1024, 1u << 24),
		"TCP connections to caches, all workers together (default 65536; none without "
		"--cache-memory)"},
	{"tcp-buffers", "N", NUMBER(n_tcp_bufs, 4096, 1u << 22),
		"packet buffers that they hold at most, all together (default 16384)"},
	{"log-level", "LEVEL", set_log_level, offsetof(struct opt, log_level), 0,
		sizeof(((struct opt *)0)->log_level),
		"error, warning, notice, info (default) or debug"},
	{"version", NULL, print_version, 0, 0, 0, "print the version"},
	{"help", NULL, print_help, 0, 0, 0, "print this"},
};

void opt_help(FILE *out)
{
	fputs("usage: millraced --port NAME=DEVICE… [OPTION…] [-- EAL ARGUMENT…]\n\n"
	      "The packet path of Millrace. Everything here is fixed at start; services, backends and\n"
	      "addresses come from millrace-controld through the socket.\n\n",
		out);
	for (unsigned i = 0; i < RTE_DIM(defs); i++) {
		fprintf(out, "  --%s%s%s\n", defs[i].name, defs[i].arg ? " " : "",
			defs[i].arg ? defs[i].arg : "");
		fprintf(out, "        %s\n", defs[i].help);
	}
	fputs("\nExit status: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 usage.\n", out);
}

/* Edit distance; words longer than the row count as far away. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32];
	const size_t len = strlen(b);

	if (len >= RTE_DIM(row))
		return UINT32_MAX;
	for (unsigned k = 0; k <= len; k++)
		row[k] = k;
	for (unsigned i = 0; a[i] != '\0'; i++) {
		unsigned diag = row[0];

		row[0] = i + 1;
		for (unsigned k = 1; k <= len; k++) {
			const unsigned swap = diag + (a[i] != b[k - 1]);
			const unsigned shift = 1 + (row[k] < row[k - 1] ? row[k] : row[k - 1]);

			diag = row[k];
			row[k] = swap < shift ? swap : shift;
		}
	}
	return row[len];
}

static int complain_unknown(struct complaint *c, const char *word)
{
	char name[32];
	const char *best = NULL;
	unsigned best_distance = 4; /* farther is no likely slip */

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
		word + strspn(word, "-"));
	for (unsigned i = 0; i < RTE_DIM(defs); i++) {
		const unsigned d = distance(name, defs[i].name);

		if (d < best_distance) {
			best = defs[i].name;
			best_distance = d;
		}
	}
	if (best == NULL)
		return complain(c, "%s: no such option; --help lists them", word);
	return complain(c, "%s: no such option; did you mean --%s?", word, best);
}

static void set_defaults(struct opt *o)
{
	memset(o, 0, sizeof(*o));
	o->n_conns4 = 262144;
	o->n_conns6 = 65536;
	o->n_services = 1024;
	o->n_backends = 8192;
	o->n_snats = 8;
	o->n_neighs = 65536;
	o->n_tcp_conns = 65536;
	o->n_tcp_bufs = 16384;
	o->is_huge = true;
	snprintf(o->socket_path, sizeof(o->socket_path), "/run/millrace/dataplane.sock");
	snprintf(o->kernel_prefix, sizeof(o->kernel_prefix), "k-");
	snprintf(o->log_level, sizeof(o->log_level), "info");
}

/* What no option can say alone. */
static int check_whole(const struct opt *o, struct complaint *c)
{
	if (o->n_ports == 0)
		return complain(c, "no port: give at least one --port NAME=DEVICE");
	for (unsigned i = 0; i < o->n_ports && o->kernel_prefix[0] != '\0'; i++) {
		if (strlen(o->kernel_prefix) + strlen(o->ports[i].name) > 15)
			return complain(c,
				"--port %s: kernel-side interface %s%s would be longer than 15 bytes; "
				"choose a shorter name, or another --kernel-if",
				o->ports[i].name, o->kernel_prefix, o->ports[i].name);
	}
	if (o->n_cpus > 1 && o->n_workers > o->n_cpus - 1)
		return complain(c, "--workers %u: needs %u CPUs in --cpus, which has %u",
			o->n_workers, o->n_workers + 1, o->n_cpus);
	return 0;
}

int opt_parse(struct opt *o, int argc, char *const *argv, char *err, size_t err_size)
{
	struct complaint c = {.text = err, .size = err_size};
	struct option long_opts[RTE_DIM(defs) + 1];
	int ch, at = 0, rc;
	const char *word;

	memset(long_opts, 0, sizeof(long_opts));
	for (unsigned i = 0; i < RTE_DIM(defs); i++) {
		long_opts[i].name = defs[i].name;
		long_opts[i].has_arg = defs[i].arg ? required_argument : no_argument;
	}
	set_defaults(o);
	optind = 0; /* glibc: start afresh, so that tests can call again */
	opterr = 0;
	while ((ch = getopt_long(argc, argv, "+:", long_opts, &at)) != -1) {
		if (ch == ':')
			return complain(&c, "%s: needs a value; --help lists the options",
				argv[optind - 1]);
		if (ch != 0)
			return complain_unknown(&c, argv[optind - 1]);
		word = argv[optarg == argv[optind - 1] ? optind - 2 : optind - 1];
		if (strcspn(word + 2, "=") != strlen(defs[at].name))
			return complain_unknown(
				&c, word); /* abbreviations break when options come */
		rc = defs[at].set(o, &defs[at], optarg, &c);
		if (rc != 0)
			return rc;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return complain(
			&c, "%s: not an option; arguments for EAL go after --", argv[optind]);
	o->eal_args = argv + optind;
	o->n_eal_args = (unsigned)(argc - optind);
	return check_whole(o, &c);
}

int opt_resolve(struct opt *o, const cpu_set_t *allowed, char *err, size_t err_size)
{
	struct complaint c = {.text = err, .size = err_size};
	const unsigned n_allowed = (unsigned)CPU_COUNT(allowed);
	unsigned n = o->n_cpus ? o->n_cpus : n_allowed;

	for (unsigned i = 0; i < o->n_cpus; i++) {
		if (!CPU_ISSET(o->cpus[i], allowed))
			return complain(&c,
				"--cpus: CPU %u is not one this process may use; `taskset -pc $$` shows "
				"those it may",
				o->cpus[i]);
	}
	if (o->n_workers == 0)
		o->n_workers = n > WORKER_MAX ? WORKER_MAX : n > 1 ? n - 1 : 1;
	if (o->n_cpus > 0 || n_allowed <= 2 || o->n_workers + 1 > n_allowed)
		return 0;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && o->n_cpus < o->n_workers + 1; cpu++) {
		if (CPU_ISSET(cpu, allowed))
			o->cpus[o->n_cpus++] = (uint16_t)cpu;
	}
	return 0;
}

void opt_ifaces(const struct opt *o, struct iface_set *ifaces)
{
	memset(ifaces, 0, sizeof(*ifaces));
	for (unsigned i = 0; i < o->n_ports; i++) {
		if (iface_find(ifaces, o->ports[i].name) < 0)
			snprintf(ifaces->of[ifaces->n++].name, MR_NAME_MAX, "%s", o->ports[i].name);
	}
}

void opt_text(const struct opt *o, char *buf, size_t size)
{
	snprintf(buf, size,
		"workers %u, conns %u + %u (IPv6), services %u, backends %u, snats %u, neighs %u, "
		"idle %s%.0u, memory %u MB %s (%u MB for caches), tcp-conns %u, socket %s, kernel-if %s",
		o->n_workers, o->n_conns4, o->n_conns6, o->n_services, o->n_backends, o->n_snats,
		o->n_neighs, o->idle_us ? "sleep=" : "poll", o->idle_us, o->memory_mb,
		o->is_huge ? "in hugepages" : "without hugepages", o->cache_mb,
		o->cache_mb != 0 ? o->n_tcp_conns : 0, o->socket_path,
		o->kernel_prefix[0] ? o->kernel_prefix : "none");
}
