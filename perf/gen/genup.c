/* SPDX-License-Identifier: BSD-3-Clause */
/* genup — see genup.h. Arguments of EAL are made as millraced's are (core/ealargs.h): lcore 0 is the main thread, the others send and receive. */
#include "genup.h"

#include "core/burst.h"
#include "core/ealargs.h"
#include "genctcp.h"
#include "gensay.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#define XDP_RINGS 8192u /* net_af_xdp fills its own, whatever --rxd says */
#define SPARE 8192u     /* in rings of drivers, bursts, the pool's cache */
#define CACHE 256u
#define LINK_EVERY_US 20000u

/* "0@(0-3),1@2,2@3": the main thread anywhere, as it sleeps nearly always; the others where --cpu says. */
static int write_lcores(char *to, size_t size, const struct genopt *o)
{
	cpu_set_t allowed;
	char all[1024] = "";
	size_t len = 0;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && len < sizeof(all) - 8; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			len += (size_t)snprintf(
				all + len, sizeof(all) - len, "%s%u", len ? "," : "", cpu);
	if (o->n_cpus == 0) {
		snprintf(to, size, "(0-1)@(%s)", all);
		return 0;
	}
	len = (size_t)snprintf(to, size, "0@(%s)", all);
	for (unsigned i = 0; i < o->n_cpus; i++) {
		if (!CPU_ISSET(o->cpus[i], &allowed)) {
			gensay_error(
				"--cpu %u: is not there, is offline, or is not one this process may use; "
				"`taskset -pc $$` shows those it may",
				o->cpus[i]);
			return -EINVAL;
		}
		len += (size_t)snprintf(to + len, size - len, ",%u@%u", i + 1, o->cpus[i]);
	}
	return 0;
}

static int up_eal(struct genup *u, const struct genopt *o)
{
	static struct ealargs args; /* EAL keeps pointers into it */
	static struct opt opt;
	static char lcores[1200], lcores_word[] = "--lcores";
	static char *more[EALARGS_MAX];
	unsigned n = 0;
	int rc = write_lcores(lcores, sizeof(lcores), o);

	if (rc != 0)
		return rc;
	more[n++] = lcores_word;
	more[n++] = lcores;
	for (unsigned i = 0; i < o->n_eal_args && n < EALARGS_MAX; i++)
		more[n++] = o->eal_args[i];
	opt = (struct opt){.n_workers = 1,
		.is_huge = o->is_huge,
		.memory_mb = o->memory_mb,
		.n_ports = o->rx_device[0] != '\0' ? 2 : 1,
		.eal_args = more,
		.n_eal_args = n};
	snprintf(opt.ports[0].device, sizeof(opt.ports[0].device), "%s", o->device);
	snprintf(opt.ports[1].device, sizeof(opt.ports[1].device), "%s", o->rx_device);
	rc = ealargs_build(&args, &opt, getpid());
	if (rc != 0) {
		gensay_error("EAL: too many arguments after --; at most %d in all", EALARGS_MAX);
		return rc;
	}
	if (rte_eal_init(args.argc, args.argv) < 0) {
		gensay_error(
			"EAL: did not start: %s; its own message is above: check the arguments after --, "
			"that this is run as root, and hugepages or --no-huge",
			rte_strerror(rte_errno));
		return -EIO;
	}
	u->has_eal = true;
	return 0;
}

static int up_pool(struct genup *u, const struct genopt *o)
{
	const unsigned n_ports = o->rx_device[0] != '\0' ? 3 : 2;
	const bool is_xdp = strncmp(o->device, "net_af_xdp", 10) == 0;
	const unsigned n_threads = genopt_threads(o);
	const unsigned n = n_ports * (o->n_rx_queues * o->n_rxd + o->n_queues * o->n_txd)
		+ (is_xdp ? XDP_RINGS : 0) + SPARE
		+ (n_threads - 1) * (2 * CACHE + 2 * GENRUN_BURST_MAX)
		+ genteam_buffers(n_threads, o->n_rxd)
		+ (o->work == GENOPT_CACHE_TCP ? n_threads * genctcp_buffers() : 0);

	u->pool = rte_pktmbuf_pool_create("bench", n, CACHE, BURST_MBUF_PRIV,
		RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());
	if (u->pool != NULL)
		return 0;
	gensay_error(
		"packet buffers: no memory for %u of %u bytes: %s; raise --memory%s, or lower --rxd and "
		"--txd",
		n, RTE_MBUF_DEFAULT_BUF_SIZE, rte_strerror(rte_errno),
		o->is_huge ? " and vm.nr_hugepages (or --no-huge)" : "");
	return -ENOMEM;
}

static int open_port(
	struct genport *p, const char *device, const struct genup *u, const struct genopt *o)
{
	const bool is_alone = strcmp(device, GENUP_ALONE) == 0;
	const struct genport_params params = {.device = device,
		.n_rx_queues = (uint16_t)(is_alone ? genopt_threads(o) : o->n_rx_queues),
		.n_tx_queues = (uint16_t)(is_alone ? genopt_threads(o) : o->n_queues),
		.n_rxd = (uint16_t)o->n_rxd,
		.n_txd = (uint16_t)o->n_txd,
		.pool = u->pool};

	return genport_open(p, &params);
}

int genup_up(struct genup *u, const struct genopt *o)
{
	int rc = genport_check(o->device);

	memset(u, 0, sizeof(*u));
	u->rx = o->rx_device[0] != '\0' ? &u->other : &u->tx;
	if (rc == 0 && u->rx == &u->other)
		rc = genport_check(o->rx_device);
	if (rc == 0)
		rc = up_eal(u, o);
	if (rc == 0)
		rc = up_pool(u, o);
	if (rc == 0)
		rc = open_port(&u->tx, o->device, u, o);
	if (rc == 0 && u->rx == &u->other)
		rc = open_port(&u->other, o->rx_device, u, o);
	return rc;
}

int genup_open_alone(struct genup *u, const struct genopt *o)
{
	return open_port(&u->alone, GENUP_ALONE, u, o);
}

void genup_down(struct genup *u)
{
	char prefix[64], dir[PATH_MAX];

	genport_close(&u->alone);
	genport_close(&u->other);
	genport_close(&u->tx);
	rte_mempool_free(u->pool);
	u->pool = NULL;
	if (!u->has_eal)
		return;
	rte_eal_cleanup();
	/* EAL leaves its directory, which is ours alone, behind */
	snprintf(dir, sizeof(dir), "/var/run/dpdk/%s",
		ealargs_prefix(getpid(), prefix, sizeof(prefix)));
	rmdir(dir);
	u->has_eal = false;
}

int genup_wait_links(
	const struct genup *u, unsigned seconds, const bool *is_stopped, const char **name)
{
	const uint64_t end = rte_rdtsc() + seconds * rte_get_tsc_hz();

	for (;;) {
		if (__atomic_load_n(is_stopped, __ATOMIC_RELAXED))
			return -EINTR;
		if (genport_is_up(&u->tx) && genport_is_up(u->rx))
			return 0;
		if (rte_rdtsc() > end) {
			*name = genport_is_up(&u->tx) ? u->rx->name : u->tx.name;
			return -ETIMEDOUT;
		}
		usleep(LINK_EVERY_US);
	}
}

unsigned genup_lcore(unsigned thread)
{
	unsigned lcore = rte_get_next_lcore((unsigned)-1, 1, 0);

	while (thread-- > 0)
		lcore = rte_get_next_lcore(lcore, 1, 0);
	return lcore;
}
