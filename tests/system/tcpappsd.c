/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcpappsd — echo, discard and chargen over the TCP of tcp/ on a port of DPDK, for the kernel's TCP on the other side. Answers no ARP and no
 * neighbour solicitation: who asks knows the MAC, which is the port's and is told at the start. On SIGUSR1 it says what it uses, on SIGTERM it
 * ends all connections and says what it has counted.
 *
 *     tcpappsd DEVICE N_BUFS SND_MAX RCV_MAX [cut]
 *
 * With `cut` the device cuts frames into segments, though core/nic.c would not ask it to: net_tap takes those that are an Ethernet header
 * shorter than the MTU.
 */
#include "base/clock.h"
#include "base/keyhash.h"
#include "core/nic.h"
#include "net/parse.h"
#include "tcpapps.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
	struct tcp *tcp;
	struct rte_mempool *pool;
	struct iface_set ifaces;
	struct nic_set *nics;
	struct tcp_profile profile;
	struct rte_mbuf *out[BURST_MAX];
	unsigned n_out;
	uint64_t n_unsent;
} d;

static bool is_ending, is_asked; /* w: the signal handler */

static void on_signal(int sig)
{
	__atomic_store_n(sig == SIGUSR1 ? &is_asked : &is_ending, true, __ATOMIC_RELAXED);
}

static void must(bool is_so, const char *what)
{
	if (is_so)
		return;
	fprintf(stderr, "tcpappsd: %s\n", what);
	exit(1);
}

static void flush(void)
{
	const uint16_t nic = d.ifaces.of[0].nics[0];
	uint16_t n = rte_eth_tx_prepare(nic, 0, d.out, (uint16_t)d.n_out);

	n = rte_eth_tx_burst(nic, 0, d.out, n);
	d.n_unsent += d.n_out - n; /* they are lost, as on a full queue of any NIC */
	for (; n < d.n_out; n++)
		rte_pktmbuf_free(d.out[n]);
	d.n_out = 0;
}

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return tcpapps_is_served(p->dport) ? &d.profile : NULL;
}

static void on_open(void *ctx, struct tcb *c)
{
	tcpapps_on_open(c);
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	tcpapps_on_ready(c, n);
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
}

static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	d.out[d.n_out++] = m;
	if (d.n_out == BURST_MAX)
		flush();
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

static void up(uint32_t n_bufs, bool is_cut)
{
	struct nic_params np = {.n_workers = 1, .n_rx_queues = 1, .has_tcp = true};
	struct tcp_params p = {.n_conns = 256,
		.n_syns = 64,
		.n_time_waits = 256,
		.n_bufs = n_bufs,
		.ifaces = &d.ifaces,
		.ops = &ops,
		.secret = {rte_rdtsc(), 2, 3, 4},
		.now_us = clock_us(),
		.socket_id = SOCKET_ID_ANY};

	d.pool = rte_pktmbuf_pool_create(
		"tcpappsd", 32767, 256, BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	must(d.pool != NULL, "no buffers");
	must(rte_eth_dev_count_avail() == 1, "no port");
	d.ifaces.n = 1;
	snprintf(d.ifaces.of[0].name, sizeof(d.ifaces.of[0].name), "port");
	d.ifaces.of[0].n_nics = 1;
	np.pool = d.pool;
	must(nic_set_create(&d.nics, &d.ifaces, &np) == 0, "the port does not start");
	if (is_cut) {
		must(d.ifaces.of[0].writes_csums, "the device makes no checksums");
		d.ifaces.of[0].writes_ip_csums = d.ifaces.of[0].takes_chains = true;
		d.ifaces.of[0].tso_mbufs = 40;
	}
	p.pool = d.pool;
	must(tcp_create(&d.tcp, &p) == 0, "no stack");
}

static void say(void)
{
	struct tcp_usage u;

	tcp_usage(d.tcp, &u);
	printf("uses %u buffers, %u received, %u connections\n", u.n_bufs, u.n_rcv_bufs, u.n_conns);
	fflush(stdout);
}

static void poll_once(struct burst *b)
{
	const uint64_t now_us = clock_us();
	uint8_t sel[BURST_MAX];
	unsigned n_sel = 0;

	b->n = rte_eth_rx_burst(d.ifaces.of[0].nics[0], 0, b->m, BURST_MAX);
	parse_burst(b, &d.ifaces.of[0].mac, 0);
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].verdict == PKT_UNSEEN && b->p[i].proto == IPPROTO_TCP
			&& !(b->p[i].flags & PKT_F_FRAGMENT))
			sel[n_sel++] = (uint8_t)i;
	if (n_sel > 0)
		tcp_input(d.tcp, b, sel, n_sel, now_us);
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].verdict != PKT_GONE)
			rte_pktmbuf_free(b->m[i]);
	tcp_poll(d.tcp, now_us);
	if (d.n_out > 0)
		flush();
	if (b->n == 0)
		rte_delay_us_sleep(50);
}

int main(int argc, char **argv)
{
	char program[] = "tcpappsd", no_huge[] = "--no-huge", no_pci[] = "--no-pci", m[] = "-m",
	     mb[] = "256", l[] = "-l", zero[] = "0", no_tele[] = "--no-telemetry",
	     no_conf[] = "--no-shconf", vdev[] = "--vdev", level[] = "--log-level=4";
	char *eal[] = {program, no_huge, no_pci, no_tele, no_conf, level, l, zero, m, mb, vdev,
		argv[1], NULL};
	struct burst *b;
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	must(argc == 5 || argc == 6, "usage: tcpappsd DEVICE N_BUFS SND_MAX RCV_MAX [cut]");
	must(rte_eal_init(RTE_DIM(eal) - 1, eal) >= 0, "DPDK does not start");
	clock_init();
	keyhash_init_seed(rte_rdtsc());
	d.profile.snd_max = (uint32_t)strtoul(argv[3], NULL, 10);
	d.profile.rcv_max = (uint32_t)strtoul(argv[4], NULL, 10);
	up((uint32_t)strtoul(argv[2], NULL, 10), argc > 5);
	b = rte_zmalloc(NULL, sizeof(*b), RTE_CACHE_LINE_SIZE);
	must(b != NULL, "no memory");
	signal(SIGTERM, on_signal);
	signal(SIGUSR1, on_signal);
	rte_ether_format_addr(mac, sizeof(mac), &d.ifaces.of[0].mac);
	printf("ready %s csums %d chains %d tso %u\n", mac, d.ifaces.of[0].writes_csums,
		d.ifaces.of[0].takes_chains, d.ifaces.of[0].tso_mbufs);
	fflush(stdout);
	while (!__atomic_load_n(&is_ending, __ATOMIC_RELAXED)) {
		poll_once(b);
		if (__atomic_exchange_n(&is_asked, false, __ATOMIC_RELAXED))
			say();
	}
	must(tcp_check(d.tcp), "the stack's invariants do not hold");
#define SAY(name, help) printf(#name " %" PRIu64 "\n", tcp_stats(d.tcp)->name);
	TCP_STATS(SAY)
	printf("unsent %" PRIu64 "\n", d.n_unsent);
	tcp_destroy(&d.tcp);
	nic_set_destroy(&d.nics);
	printf("lost %u buffers\n", rte_mempool_in_use_count(d.pool));
	rte_free(b);
	rte_mempool_free(d.pool);
	rte_eal_cleanup();
	return 0;
}
