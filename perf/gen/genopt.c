/* SPDX-License-Identifier: BSD-3-Clause */
/* genopt — see genopt.h. Each option is one row of the table below: name, argument, setter, field, range, help. */
#include "genopt.h"

#include "gensearch.h"

#include <rte_common.h>

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct def;

struct complaint {
	char *text;
	size_t size;
};

typedef int (*set_fn)(
	struct genopt *o, const struct def *d, const char *value, struct complaint *c);

struct def {
	const char *name;
	const char *arg; /* NULL: takes none */
	set_fn set;
	size_t offset;
	double min, max;
	const char *help;
};

static const char *const works[GENOPT_WORKS] = {
	[GENOPT_FLOOD] = "flood",
	[GENOPT_CACHE_UDP] = "cache-udp",
	[GENOPT_CACHE_TCP] = "cache-tcp",
};

__rte_format_printf(2, 3) static int complain(struct complaint *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->text, c->size, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* "250k", "4.5M": a number in [min, max]. */
static bool read_number(const char *text, double min, double max, double *out)
{
	static const char letters[] = "kMG";
	char *end;
	double v, unit = 1000;

	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	if (strpbrk(text, "xXpP") != NULL) /* no hexadecimal */
		return false;
	v = strtod(text, &end);
	for (const char *l = letters; *l != '\0' && end[0] != '\0' && end[1] == '\0';
		l++, unit *= 1000)
		if (*end == *l) {
			v *= unit;
			end++;
			break;
		}
	if (end == text || *end != '\0' || !(v >= min && v <= max))
		return false;
	*out = v;
	return true;
}

static int complain_range(struct complaint *c, const struct def *d, const char *value)
{
	return complain(c, "--%s %s: must be a number from %.10g to %.10g%s", d->name, value,
		d->min, d->max, d->max >= 1e6 ? "; 250k and 4.5M are numbers too" : "");
}

static int set_real(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	double v;

	if (!read_number(value, d->min, d->max, &v))
		return complain_range(c, d, value);
	memcpy((char *)o + d->offset, &v, sizeof(v));
	return 0;
}

static int set_whole(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	uint32_t n;
	double v;

	if (!read_number(value, d->min, d->max, &v) || v != floor(v))
		return complain_range(c, d, value);
	n = (uint32_t)v;
	memcpy((char *)o + d->offset, &n, sizeof(n));
	return 0;
}

/* max: size of the field. */
static int set_text(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (value[0] == '\0' || strlen(value) >= (size_t)d->max)
		return complain(
			c, "--%s '%s': must have 1 to %.0f characters", d->name, value, d->max - 1);
	snprintf((char *)o + d->offset, (size_t)d->max, "%s", value);
	return 0;
}

/* What the field becomes is in min. */
static int set_flag(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	const bool v = d->min != 0;

	memcpy((char *)o + d->offset, &v, sizeof(v));
	return 0;
}

static bool read_address(const char *text, struct genopt_net *n)
{
	memset(n, 0, sizeof(*n));
	if (inet_pton(AF_INET, text, n->ip) == 1) {
		n->family = 4;
		n->len = 32;
	} else if (inet_pton(AF_INET6, text, n->ip) == 1) {
		n->family = 6;
		n->len = 128;
	}
	return n->family != 0;
}

/* The text before end, or all of it. False: it does not fit. */
static bool copy_before(char *to, size_t size, const char *text, const char *end)
{
	const size_t len = end != NULL ? (size_t)(end - text) : strlen(text);

	if (len >= size)
		return false;
	memcpy(to, text, len);
	to[len] = '\0';
	return true;
}

static bool read_net(const char *text, struct genopt_net *n)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	double len;

	if (!copy_before(address, sizeof(address), text, slash) || !read_address(address, n))
		return false;
	if (slash == NULL)
		return true;
	if (!read_number(slash + 1, 0, n->len, &len) || len != floor(len))
		return false;
	n->len = (uint8_t)len;
	for (unsigned bit = n->len; bit < (n->family == 4 ? 32u : 128u); bit++)
		if (n->ip[bit / 8] & 0x80 >> bit % 8)
			return false;
	return true;
}

static int set_address(
	struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	struct genopt_net n;

	if (!read_address(value, &n))
		return complain(c, "--%s %s: must be an address such as 10.1.0.80 or fd00:1::80",
			d->name, value);
	memcpy((char *)o + d->offset, &n, sizeof(n));
	return 0;
}

static int set_client(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (!read_net(value, &o->client))
		return complain(c,
			"--client %s: must be a network such as 10.1.128.0/17, without bits behind the "
			"prefix",
			value);
	return 0;
}

static int set_own(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (o->n_own == GENOPT_OWN_MAX)
		return complain(c, "--own %s: more than %d of them; join them to larger networks",
			value, GENOPT_OWN_MAX);
	if (!read_net(value, &o->own[o->n_own]))
		return complain(c,
			"--own %s: must be an address or a network such as 10.1.2.0/24, without bits "
			"behind the prefix",
			value);
	o->n_own++;
	return 0;
}

/* ADDRESS:PORT, [ADDRESS]:PORT for IPv6. */
static int set_target(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	const char *colon = strrchr(value, ':');
	const bool is6 = value[0] == '[';
	char address[64];
	double port;

	if (colon != NULL && (!is6 || colon[-1] == ']')
		&& copy_before(address, sizeof(address), value + is6, colon - is6)) {
		if (read_number(colon + 1, 1, 65535, &port) && port == floor(port)
			&& read_address(address, &o->target) && (o->target.family == 6) == is6) {
			o->target_port = (uint32_t)port;
			return 0;
		}
	}
	return complain(c,
		"--target %s: must be ADDRESS:PORT, such as 10.1.0.80:80 or [fd00:1::80]:80",
		value);
}

static int set_mac(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (rte_ether_unformat_addr(value, &o->target_mac) != 0
		|| !rte_is_valid_assigned_ether_addr(&o->target_mac))
		return complain(c,
			"--target-mac %s: must be one device's, such as 02:00:00:00:00:01", value);
	o->has_target_mac = true;
	return 0;
}

static int set_size(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (!genpace_sizes_parse(&o->sizes, value))
		return complain(c,
			"--size %s: must be a frame's length with its checksum, 64 to 1518, or imix",
			value);
	snprintf(o->sizes_text, sizeof(o->sizes_text), "%s", value);
	return 0;
}

static int set_proto(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	if (strcmp(value, "udp") != 0 && strcmp(value, "tcp") != 0)
		return complain(c, "--proto %s: must be udp or tcp", value);
	o->proto = value[0] == 'u' ? GENOPT_UDP : GENOPT_TCP;
	return 0;
}

static int set_full(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	static const char *const words[] = {"auto", "lose", "wait"};

	for (unsigned i = 0; i < RTE_DIM(words); i++)
		if (strcmp(value, words[i]) == 0) {
			o->full = (enum genopt_full)i;
			return 0;
		}
	return complain(c, "--full %s: must be auto, lose or wait", value);
}

static int set_beside(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	static const char *const words[] = {
		[GENOPT_BESIDE_NOTHING] = "nothing",
		[GENOPT_BESIDE_SYN] = "syn",
		[GENOPT_BESIDE_GARBAGE] = "garbage",
	};

	for (unsigned i = 0; i < RTE_DIM(words); i++)
		if (strcmp(value, words[i]) == 0) {
			o->beside = (enum genopt_beside)i;
			return 0;
		}
	return complain(c, "--beside %s: must be syn, garbage or nothing", value);
}

/* N or MIN-MAX. */
static int set_value(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	const char *dash = strchr(value, '-');
	char low[16];
	double min, max;

	if (!copy_before(low, sizeof(low), value, dash) || !read_number(low, d->min, d->max, &min)
		|| !read_number(dash != NULL ? dash + 1 : low, min, d->max, &max)
		|| min != floor(min) || max != floor(max))
		return complain(c,
			"--value %s: must be bytes from %.0f to %.0f, or a range of them such as 10-300: an "
			"answer is one datagram",
			value, d->min, d->max);
	o->value_min = (uint32_t)min;
	o->value_max = (uint32_t)max;
	return 0;
}

static int add_cpu(struct genopt *o, unsigned cpu, struct complaint *c)
{
	for (unsigned i = 0; i < o->n_cpus; i++)
		if (o->cpus[i] == cpu)
			return complain(c,
				"--cpu: %u is there twice; each thread needs one of its own", cpu);
	if (o->n_cpus == GENOPT_CPUS_MAX)
		return complain(c, "--cpu: more than %d of them", GENOPT_CPUS_MAX);
	o->cpus[o->n_cpus++] = (uint16_t)cpu;
	return 0;
}

/* "3", "3,5", "3-5,8": the last option of its kind is what counts, as with others. */
static int set_cpu(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	const char *at = value;

	o->n_cpus = 0;
	for (;;) {
		const size_t len = strcspn(at, ",");
		char item[16], low[16], *dash;
		double first, last;
		int rc = 0;

		if (len >= sizeof(item) || !copy_before(item, sizeof(item), at, at + len))
			break;
		dash = strchr(item, '-');
		if (!copy_before(low, sizeof(low), item, dash)
			|| !read_number(low, d->min, d->max, &first)
			|| !read_number(dash != NULL ? dash + 1 : low, first, d->max, &last)
			|| first != floor(first) || last != floor(last))
			break;
		for (unsigned cpu = (unsigned)first; rc == 0 && cpu <= (unsigned)last; cpu++)
			rc = add_cpu(o, cpu, c);
		if (rc != 0)
			return rc;
		if (at[len] == '\0')
			return 0;
		at += len + 1;
	}
	return complain(
		c, "--cpu %s: must be the number of a CPU, or several such as 3,4,5 or 3-5", value);
}

static int set_watch_cpu(
	struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	double v;

	if (!read_number(value, 0, CPU_SETSIZE - 1, &v) || v != floor(v))
		return complain(c, "--watch-cpu %s: must be the number of a CPU", value);
	if (o->n_watch_cpus == GENOPT_WATCH_MAX)
		return complain(c, "--watch-cpu %s: more than %d of them", value, GENOPT_WATCH_MAX);
	o->watch_cpus[o->n_watch_cpus++] = (uint16_t)v;
	return 0;
}

static int print_version(
	struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	printf("millrace-bench %s\n", MILLRACE_VERSION);
	return GENOPT_DONE;
}

static int print_help(struct genopt *o, const struct def *d, const char *value, struct complaint *c)
{
	genopt_help(stdout);
	return GENOPT_DONE;
}

#define REAL(field, min, max) set_real, offsetof(struct genopt, field), min, max
#define WHOLE(field, min, max) set_whole, offsetof(struct genopt, field), min, max
#define TEXT(field) set_text, offsetof(struct genopt, field), 0, sizeof(((struct genopt *)0)->field)
#define ADDRESS(field) set_address, offsetof(struct genopt, field), 0, 0
#define FLAG(field, value) set_flag, offsetof(struct genopt, field), value, 0
#define OTHER(set) set, 0, 0, 0

static const struct def defs[] = {
	{"port", "DEVICE", TEXT(device),
		"DPDK device to send on, as in millraced --port without a name: a PCI address, or a "
		"virtual one such as net_memif0,role=server,socket=/tmp/m.sock; needed"},
	{"rx-port", "DEVICE", TEXT(rx_device),
		"another one, where what was forwarded comes out (default: the same)"},
	{"target", "ADDRESS:PORT", OTHER(set_target), "where requests go: the service; needed"},
	{"client", "NETWORK", OTHER(set_client),
		"where they come from: its addresses, and 64,512 ports of each; needed"},
	{"own", "ADDRESS[/LEN]", OTHER(set_own),
		"more addresses to answer ARP and NDP for: backends, a gateway; up to 16 of these"},
	{"next-hop", "ADDRESS", ADDRESS(next_hop),
		"whose MAC address is asked for (default: the target)"},
	{"target-mac", "MAC", OTHER(set_mac), "do not ask, this is it"},

	{"rate", "N", REAL(rate, 1, 1e9), "frames a second, for one measurement"},
	{"search", NULL, FLAG(is_search, 1),
		"look for the highest rates without loss (NDR) and with 0.5 % of loss (PDR) instead, and "
		"measure latency at 10, 50 and 90 % of PDR"},
	{"rate-max", "N", REAL(rate_max, 1000, 1e9), "of a search (default 30M)"},
	{"rate-min", "N", REAL(rate_min, 1, 1e9), "of a search (default 1000)"},
	{"seconds", "N", REAL(seconds, 0.1, 86400),
		"of a measurement, which is made of trials (default 10)"},
	{"trial", "SECONDS", REAL(trial_seconds, 0.05, 86400),
		"of a trial, and of a search's longest ones; short where the CPUs are not one's own, as a "
		"trial in which one was lost is thrown away (default 0.5)"},
	{"warm-up", "N", REAL(warm_seconds, 0, 3600),
		"seconds before each trial that do not count, at most a quarter of it (default 0.5)"},
	{"repeat", "N", WHOLE(n_repeats, 1, 1000),
		"searches, or measurements; their median and spread are told (default 5, or 1 with --rate)"},
	{"votes", "N", WHOLE(n_votes, 1, GENSEARCH_VOTES_MAX),
		"trials at each rate of a search, of which the majority decides; odd (default 3)"},
	{"void-max", "N", WHOLE(n_void_max, 0, 10000),
		"trials thrown away, one after the other, before there is no figure (default 25)"},
	{"watch-pid", "PID", TEXT(watch),
		"the target, where it is a process on this machine, or a file that has its id: a trial in "
		"which its threads (those called rte-worker, or all) waited for a CPU is thrown away"},
	{"watch-cpu", "N", OTHER(set_watch_cpu),
		"where it runs: a trial in which a hypervisor took this CPU is thrown away; again for more"},
	{"width", "PERCENT", REAL(width_pct, 0.01, 50),
		"how near a search's bounds have to come (default 0.5)"},
	{"at-least", NULL, FLAG(takes_bounds, 1),
		"where the target passes all that the generator can send, a search says that rate and that it is a "
		"lower bound, instead of nothing"},
	{"steady", "SECONDS", REAL(steady_seconds, 0, 86400),
		"go on for so long afterwards, at --rate or 90 % of PDR, without a figure: to look at the "
		"target meanwhile (default 0)"},
	{"deadline-ms", "N", REAL(deadline_ms, 0, 3600000),
		"an answer that comes so long after its frame was due counts as lost; 0: there is none "
		"(default 0, of cache-tcp 10)"},
	{"late-us", "N", WHOLE(late_us, 1, 10000000),
		"a frame sent so long after it was due is late; with more than 0.1 % of them there is no "
		"figure (default 100)"},
	{"wait", "SECONDS", WHOLE(wait_seconds, 1, 3600),
		"for a link, for a MAC address, for a first answer (default 10)"},
	{"full", "HOW", OTHER(set_full),
		"when the port has no room: lose the frame, as a wire does not wait; wait, which makes "
		"frames late; auto (default): lose on shared memory, where the target is what does not "
		"read, wait on others"},

	{"size", "BYTES", OTHER(set_size),
		"flood: of a frame with its checksum, 64 to 1518, or imix: 64, 594 and 1518 as 7:4:1 "
		"(default 64)"},
	{"proto", "NAME", OTHER(set_proto),
		"flood: udp (default), or tcp: a SYN begins a flow, ACKs follow; SYNs have 64 bytes"},
	{"flows", "N", WHOLE(n_flows, 1, 10000000),
		"flood: flows that are begun before, up to 10M (default 1000); cache: client sockets, up to "
		"64k, over UDP a power of two (default 1024)"},
	{"depth", "N", WHOLE(depth, 1, 64),
		"cache-tcp: requests that are due at once, on one connection (default 1)"},
	{"once", NULL, FLAG(is_once, 1),
		"cache-tcp: open a connection for each request and close it after the answer; at most --flows "
		"at a time, what is due beyond is lost"},
	{"zipf", "SKEW", REAL(skew, 0, 10),
		"how flows, or keys, are drawn; 0: all alike (default 0, of keys 0.99)"},
	{"new", "PERCENT", REAL(new_pct, 0, 100),
		"flood: of frames that begin a new flow (default 0)"},
	{"return", NULL, FLAG(is_returned, 1),
		"flood: send back what comes to a backend, and count what comes back to the client; for "
		"modes where answers pass the balancer"},

	{"beside", "KIND", OTHER(set_beside),
		"send this too, and do not measure it: syn, SYNs to the target from anywhere in "
		"198.18.0.0/15, or garbage, broken IPv4, unknown protocols and ports; IPv4 only"},
	{"beside-rate", "N", REAL(beside_rate, 1, 1e9),
		"so many of them a second; needed with --beside"},

	{"keys", "N", WHOLE(n_keys, 1, GENOPT_KEYS_MAX),
		"cache: how many (default 100k); 16 bytes each"},
	{"value", "BYTES", set_value, 0, 0, GENOPT_VALUE_MAX,
		"cache: of a value, or a range such as 10-300, spread over the keys (default 32)"},
	{"set", "PERCENT", REAL(set_pct, 0, 100), "cache: of requests that store (default 0)"},
	{"shift", "SECONDS", REAL(shift_seconds, 0, 86400),
		"cache: after so long other keys are the hot ones; 0: never (default 0)"},
	{"no-load", NULL, FLAG(does_load, 0), "cache: do not store all keys first"},
	{"load-rate", "N", REAL(load_rate, 1, 1e9),
		"cache: keys stored in a second meanwhile (default 100k)"},

	{"seed", "N", WHOLE(seed, 1, UINT32_MAX), "of the random numbers (default 1)"},
	{"json", "FILE", TEXT(json_path), "write everything there as a JSON document; - is stdout"},
	{"cpu", "LIST", set_cpu, 0, 0, CPU_SETSIZE - 1,
		"where it sends and receives: a thread on each, as 3 or 3-5,8, up to 16 (default: one, on any)"},
	{"fifo", NULL, FLAG(is_fifo, 1),
		"there, during each trial, before all other threads (SCHED_FIFO; needs root). The kernel gives "
		"those a twentieth of each second all the same: trials have to be shorter"},
	{"no-huge", NULL, FLAG(is_huge, 0), "do without hugepages (slower)"},
	{"memory", "MB", WHOLE(memory_mb, 64, 65536), "for packet buffers (default 256)"},
	{"rxd", "N", WHOLE(n_rxd, 32, 32768), "descriptors of the receive queue (default 1024)"},
	{"txd", "N", WHOLE(n_txd, 32, 32768), "descriptors of the transmit queue (default 1024)"},
	{"queues", "N", WHOLE(n_queues, 1, 16),
		"of each port, each way; frames of a thread go to its own in turn, a burst to each (default: one "
		"for each of --cpu)"},
	{"rx-queues", "N", WHOLE(n_rx_queues, 1, 16),
		"to receive, where that is another number (default: as --queues)"},
	{"burst", "N", WHOLE(burst, 1, 64), "frames sent or received at once (default 32)"},
	{"version", NULL, OTHER(print_version), "print the version"},
	{"help", NULL, OTHER(print_help), "print this"},
};

void genopt_help(FILE *out)
{
	fputs("usage: millrace-bench WORK --port DEVICE --target ADDRESS:PORT --client NETWORK\n"
	      "                      (--rate N | --search) [OPTION…] [-- EAL ARGUMENT…]\n"
	      "       millrace-bench compare A.json B.json     what was measured; compare --help\n\n"
	      "Sends at a fixed rate, whatever comes back, and says what came back and when. WORK is\n\n"
	      "  flood      frames of UDP or TCP to a balancer, which sends them to backends that are here too\n"
	      "  cache-udp  gets and sets of memcached over UDP; each answer is compared with what was "
	      "stored\n"
	      "  cache-tcp  the same over many connections of TCP\n\n"
	      "Options (numbers may end in k, M or G):\n\n",
		out);
	for (unsigned i = 0; i < RTE_DIM(defs); i++)
		fprintf(out, "  --%s%s%s\n        %s\n", defs[i].name, defs[i].arg ? " " : "",
			defs[i].arg ? defs[i].arg : "", defs[i].help);
	fputs("\nExit status: 0 measured, 1 failure or no answer, 2 usage, 3 the generator is too slow for the\n"
	      "rate, or too many trials were thrown away. There is no figure but with 0.\n",
		out);
}

const char *genopt_work_name(enum genopt_work work)
{
	return works[work];
}

const char *genopt_address(const struct genopt_net *n, char *buf, size_t size)
{
	if (inet_ntop(n->family == 4 ? AF_INET : AF_INET6, n->ip, buf, (socklen_t)size) == NULL)
		snprintf(buf, size, "?");
	return buf;
}

static void set_defaults(struct genopt *o)
{
	*o = (struct genopt){.rate_max = 30e6,
		.rate_min = 1000,
		.seconds = 10,
		.warm_seconds = 0.5,
		.trial_seconds = 0.5,
		.deadline_ms = -1,
		.n_votes = 3,
		.n_void_max = 25,
		.width_pct = 0.5,
		.late_us = 100,
		.wait_seconds = 10,
		.skew = -1,
		.n_keys = 100000,
		.value_min = 32,
		.value_max = 32,
		.does_load = true,
		.load_rate = 100000,
		.depth = 1,
		.seed = 1,
		.is_huge = true,
		.memory_mb = 256,
		.n_rxd = 1024,
		.n_txd = 1024,
		.burst = 32};
	genpace_sizes_parse(&o->sizes, "64");
	snprintf(o->sizes_text, sizeof(o->sizes_text), "64");
}

/* Defaults that depend on what else was asked for. */
static void complete(struct genopt *o)
{
	const bool is_cache = o->work != GENOPT_FLOOD;

	if (o->skew < 0)
		o->skew = is_cache ? 0.99 : 0;
	if (o->deadline_ms < 0)
		o->deadline_ms = o->work == GENOPT_CACHE_TCP ? 10 : 0;
	if (o->n_flows == 0) /* see check_cache() */
		o->n_flows = is_cache
			? rte_align32prevpow2(1024 / genopt_threads(o)) * genopt_threads(o)
			: 1000;
	if (o->n_queues == 0)
		o->n_queues = genopt_threads(o);
	if (o->n_rx_queues == 0)
		o->n_rx_queues = o->n_queues;
	if (o->n_repeats == 0)
		o->n_repeats = o->is_search ? 5 : 1;
	if (o->next_hop.family == 0)
		o->next_hop = o->target;
}

/* Flood over IPv6 needs room for a mark behind headers of 62 bytes. */
#define SIZE6_MIN 76u

static int check_flood(const struct genopt *o, struct complaint *c)
{
	for (unsigned i = 0; i < GENPACE_SIZES; i++)
		if (o->target.family == 6 && o->sizes.of[i] < SIZE6_MIN)
			return complain(c,
				"--size %s: frames of IPv6 need %u bytes: headers of 62, a mark, the checksum",
				o->sizes_text, SIZE6_MIN);
	return 0;
}

static int check_cache(const struct genopt *o, struct complaint *c)
{
	const uint32_t n = genopt_threads(o);

	if (o->work == GENOPT_CACHE_TCP && o->n_flows < n)
		return complain(c,
			"--flows %u: each of %u CPUs (--cpu) needs a connection of its own",
			o->n_flows, n);
	if (o->work == GENOPT_CACHE_TCP)
		return o->n_flows <= 65536
			? 0
			: complain(
				c, "--flows %u: with cache-tcp, must be at most 65536", o->n_flows);
	if (o->n_flows <= 65536 && o->n_flows % n == 0 && rte_is_power_of_2(o->n_flows / n))
		return 0;
	if (n > 1)
		return complain(c,
			"--flows %u: with cache-udp, must be a power of two for each of %u CPUs (%u, %u), "
			"up to 65536 in all",
			o->n_flows, n, 256 * n, 512 * n);
	return complain(
		c, "--flows %u: with cache-udp, must be a power of two up to 65536", o->n_flows);
}

static int check_whole(const struct genopt *o, struct complaint *c)
{
	if (o->device[0] == '\0')
		return complain(c, "no port: give --port DEVICE");
	if (o->target.family == 0)
		return complain(c, "nothing to measure: give --target ADDRESS:PORT");
	if (o->client.family == 0)
		return complain(c, "nobody to ask it: give --client NETWORK");
	if (o->client.family != o->target.family || o->next_hop.family != o->target.family)
		return complain(c,
			"--client, --target and --next-hop: must be of one family, IPv4 or IPv6");
	if (o->is_search == (o->rate != 0))
		return complain(c, "%s: give one of --rate N, --search",
			o->is_search ? "--search and --rate" : "no rate");
	if (o->is_search && o->rate_max <= o->rate_min)
		return complain(c, "--rate-max %.0f: must be above --rate-min %.0f", o->rate_max,
			o->rate_min);
	if (o->takes_bounds && !o->is_search)
		return complain(c, "--at-least: is of --search");
	if ((o->beside != GENOPT_BESIDE_NOTHING) != (o->beside_rate != 0))
		return complain(c, "--beside and --beside-rate: give both, or none of them");
	if (o->beside != GENOPT_BESIDE_NOTHING && o->target.family != 4)
		return complain(c, "--beside: goes to an IPv4 target only");
	if (o->n_queues < genopt_threads(o))
		return complain(c,
			"--queues %u: each of the %u CPUs (--cpu) needs one of its own to send, so at least %u",
			o->n_queues, genopt_threads(o), genopt_threads(o));
	if (o->is_once && (o->work != GENOPT_CACHE_TCP || o->depth != 1))
		return complain(c, "--once: is of cache-tcp, with --depth 1");
	if (o->n_votes % 2 == 0)
		return complain(
			c, "--votes %u: must be odd, so that there is a majority", o->n_votes);
	return o->work == GENOPT_FLOOD ? check_flood(o, c) : check_cache(o, c);
}

static int read_work(struct genopt *o, const char *word, struct complaint *c)
{
	for (unsigned i = 0; i < GENOPT_WORKS; i++)
		if (word != NULL && strcmp(word, works[i]) == 0) {
			o->work = (enum genopt_work)i;
			return 0;
		}
	return complain(c,
		"%s: the first word says what to do: flood, cache-udp or cache-tcp; --help explains",
		word != NULL ? word : "nothing asked for");
}

int genopt_parse(struct genopt *o, int argc, char *const *argv, char *err, size_t err_size)
{
	struct complaint c = {.text = err, .size = err_size};
	struct option long_opts[RTE_DIM(defs) + 1];
	bool has_work = argc > 1 && argv[1][0] != '-';
	const char *word;
	int ch, at = 0, rc;

	memset(long_opts, 0, sizeof(long_opts));
	for (unsigned i = 0; i < RTE_DIM(defs); i++) {
		long_opts[i].name = defs[i].name;
		long_opts[i].has_arg = defs[i].arg ? required_argument : no_argument;
	}
	set_defaults(o);
	if (has_work && read_work(o, argv[1], &c) != 0)
		return -EINVAL;
	argc -= has_work;
	argv += has_work;
	optind = 0; /* glibc: start afresh, so that tests can call again */
	opterr = 0;
	while ((ch = getopt_long(argc, argv, "+:", long_opts, &at)) != -1) {
		if (ch == ':')
			return complain(&c, "%s: needs a value; --help lists the options",
				argv[optind - 1]);
		if (ch != 0)
			return complain(
				&c, "%s: no such option; --help lists them", argv[optind - 1]);
		word = argv[optarg == argv[optind - 1] ? optind - 2 : optind - 1];
		if (strcspn(word + 2, "=")
			!= strlen(defs[at].name)) /* abbreviations break when options come */
			return complain(&c, "%s: no such option; --help lists them", word);
		rc = defs[at].set(o, &defs[at], optarg, &c);
		if (rc != 0)
			return rc;
	}
	if (!has_work)
		return read_work(o, NULL, &c);
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return complain(
			&c, "%s: not an option; arguments for EAL go after --", argv[optind]);
	o->eal_args = argv + optind;
	o->n_eal_args = (unsigned)(argc - optind);
	complete(o);
	return check_whole(o, &c);
}
