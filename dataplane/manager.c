/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manager — see manager.h. Workers never wake anybody (no system calls on the packet path), so the
 * manager looks into its mailbox every millisecond while packets come, and every few when they do not.
 */
#include "manager.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

LOG_TYPE(manager)

#define PACKETS_MAX 256u /* from workers, and from the kernel side, per round */
#define BUSY_MS 200u     /* after the last packet */
#define IDLE_WAIT_MS 5

enum event { EVENT_SIGNAL, EVENT_API, EVENT_PUNT };

static sigset_t stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return set;
}

void manager_hold_signals(void)
{
	const sigset_t set = stop_signals();

	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* To the worker that sends on the port. */
static void pass(struct manager *mgr, unsigned iface, struct rte_mbuf *m, enum note_kind kind)
{
	const unsigned owner = mgr->workers[0]->tx[iface].owner;
	struct pkt_note *note = pkt_note(m);

	note->kind = (uint8_t)kind;
	note->iface = (uint8_t)iface;
	if (mailbox_send_bulk(mgr->mail, mgr->n_workers, owner, &m, 1) == 1)
		return;
	mgr->tally->drops[PKT_DROP_mailbox_full]++;
	rte_pktmbuf_free(m);
}

void manager_send(void *ctx, unsigned iface, struct rte_mbuf *m)
{
	pass(ctx, iface, m, NOTE_TX);
}

void manager_inject(void *ctx, unsigned iface, struct rte_mbuf *m)
{
	struct manager *mgr = ctx;
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const bool is_ours = rte_is_same_ether_addr(&eth->dst_addr, &mgr->ifaces->of[iface].mac);

	pass(mgr, iface, m, is_ours ? NOTE_PROBE : NOTE_TX);
}

static void take(struct manager *mgr, struct rte_mbuf *m, uint32_t now_ms)
{
	const struct pkt_note *note = pkt_note(m);

	switch (note->kind) {
	case NOTE_HOLD:
		neigh_hold(mgr->neigh, m, addr_conf_of(snapshot_get()), now_ms);
		return;
	case NOTE_NEIGH:
		neigh_learn(mgr->neigh, m, now_ms);
		punt_output(mgr->punt, m, note->iface, PUNT_NEIGH, now_ms);
		return;
	case NOTE_LEARN:
		neigh_learn(mgr->neigh, m, now_ms);
		mgr->tally->consumed++;
		rte_pktmbuf_free(m);
		return;
	default:
		if (note->punt_class == PUNT_TOO_BIG
			&& pathmtu_input(mgr->path_mtus, m, note->iface, snapshot_get(), now_ms))
			return;
		punt_output(mgr->punt, m, note->iface, note->punt_class, now_ms);
	}
}

static unsigned receive(struct manager *mgr, uint32_t now_ms)
{
	struct rte_mbuf *in[PACKETS_MAX];
	const unsigned n = mailbox_receive_bulk(mgr->mail, mgr->n_workers, in, PACKETS_MAX);

	for (unsigned i = 0; i < n; i++)
		take(mgr, in[i], now_ms);
	return n;
}

static int watch(int epoll_fd, int fd, enum event what)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = what};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

/* Opens what the loop waits on. */
static int open_events(const struct manager *mgr, int *epoll_fd, int *signal_fd)
{
	const sigset_t set = stop_signals();
	int rc = 0;

	*epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	*signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*epoll_fd < 0 || *signal_fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = watch(*epoll_fd, *signal_fd, EVENT_SIGNAL);
	if (rc == 0)
		rc = watch(*epoll_fd, api_server_fd(mgr->api), EVENT_API);
	for (unsigned i = 0; rc == 0 && i < mgr->ifaces->n; i++) {
		if (punt_fd(mgr->punt, i) >= 0)
			rc = watch(*epoll_fd, punt_fd(mgr->punt, i), EVENT_PUNT);
	}
	if (rc != 0)
		LOG_ERR("manager: cannot wait for events: %s; raise `ulimit -n`", strerror(-rc));
	return rc;
}

static void on_signal(int signal_fd)
{
	const sigset_t set = stop_signals();
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	LOG_NOTICE("stopping: %s from process %u; a second signal ends it at once",
		strsignal((int)info.ssi_signo), info.ssi_pid);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* default action: terminate */
}

static void loop(struct manager *mgr, int epoll_fd, int signal_fd)
{
	uint32_t busy_until_ms = 0;
	int wait_ms = 0;

	for (;;) {
		struct epoll_event ev[IFACE_MAX + 2];
		const int n_events = epoll_wait(epoll_fd, ev, RTE_DIM(ev), wait_ms);
		const uint32_t now_ms = clock_ms();
		unsigned n = receive(mgr, now_ms);
		bool has_punt = false, is_dumping;

		for (int i = 0; i < n_events; i++) {
			if (ev[i].data.u32 == EVENT_SIGNAL) {
				on_signal(signal_fd);
				return;
			}
			has_punt |= ev[i].data.u32 == EVENT_PUNT;
		}
		if (has_punt)
			n += punt_poll(mgr->punt, PACKETS_MAX);
		neigh_run(mgr->neigh, addr_conf_of(snapshot_get()), now_ms);
		pathmtu_run(mgr->path_mtus, lb_conf_of(snapshot_get()), now_ms);
		is_dumping = api_server_poll(mgr->api, 0);
		if (n > 0)
			busy_until_ms = now_ms + BUSY_MS;
		wait_ms = (int32_t)(busy_until_ms - now_ms) > 0 ? 1 : IDLE_WAIT_MS;
		if (n >= PACKETS_MAX || is_dumping)
			wait_ms = 0; /* more is there already */
	}
}

int manager_run(struct manager *mgr)
{
	int epoll_fd = -1, signal_fd = -1;
	const int rc = open_events(mgr, &epoll_fd, &signal_fd);

	if (rc == 0)
		loop(mgr, epoll_fd, signal_fd);
	if (epoll_fd >= 0)
		close(epoll_fd);
	if (signal_fd >= 0)
		close(signal_fd);
	return rc;
}
