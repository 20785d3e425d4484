/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main — millraced: reads argv, goes up the boot table, runs the manager until a signal, goes down in
 * reverse. Nothing here runs once workers have packets but manager_run().
 */
#include "api/apply.h"
#include "base/clock.h"
#include "base/keyhash.h"
#include "base/log.h"
#include "core/boot.h"
#include "core/device.h"
#include "core/ealargs.h"
#include "core/mbufs.h"
#include "core/nic.h"
#include "lb/balance.h"
#include "manager.h"
#include "net/frag.h"
#include "pipeline.h"
#include "serve/serve.h"

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_malloc.h>

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

LOG_TYPE(main)

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct millraced {
	struct opt opt;
	struct ealargs eal;
	gid_t group;
	struct iface_set ifaces;
	struct rte_mempool *pool;
	struct nic_set *nics;
	struct tally_set *tallies;
	struct worker *workers[WORKER_MAX];
	struct lb_limits limits;
	struct apply_env env;
	struct model *model;
	struct manager manager;
	bool is_stopping; /* w: manager (relaxed)  r: workers */
};

static int up_checks(void *ctx)
{
	struct millraced *md = ctx;
	struct mbufs_huge huge;
	char err[512];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < md->opt.n_ports; i++)
		rc = device_check(md->opt.ports[i].name, md->opt.ports[i].device);
	if (rc != 0)
		return rc;
	mbufs_huge_find(&huge);
	rc = mbufs_plan(&md->opt, &huge, err, sizeof(err));
	if (rc != 0)
		LOG_ERR("%s", err);
	return rc;
}

static int up_eal(void *ctx)
{
	struct millraced *md = ctx;
	int rc = ealargs_build(&md->eal, &md->opt, getpid());

	if (rc != 0) {
		LOG_ERR("EAL: too many arguments after --; at most %d in all", EALARGS_MAX);
		return rc;
	}
	if (rte_eal_init(md->eal.argc, md->eal.argv) < 0) {
		rc = rte_errno > 0 ? -rte_errno : -EIO;
		LOG_ERR("EAL: did not start: %s; its own message is above: check the arguments after "
			"--, that this is run as root, and hugepages or --no-huge",
			strerror(-rc));
		return rc;
	}
	clock_init();
	rc = keyhash_init();
	if (rc != 0)
		LOG_ERR("hash secret: no random bytes from the kernel: %s", strerror(-rc));
	return rc;
}

static void down_eal(void *ctx)
{
	char prefix[64], dir[PATH_MAX];

	rte_eal_cleanup();
	/* EAL leaves its directory, which is ours alone, behind */
	snprintf(dir, sizeof(dir), "/var/run/dpdk/%s",
		ealargs_prefix(getpid(), prefix, sizeof(prefix)));
	rmdir(dir);
}

static int up_buffers(void *ctx)
{
	struct millraced *md = ctx;

	return mbufs_create(&md->pool, &md->opt);
}

static void down_buffers(void *ctx)
{
	struct millraced *md = ctx;

	mbufs_destroy(&md->pool);
}

static int up_devices(void *ctx)
{
	struct millraced *md = ctx;

	opt_ifaces(&md->opt, &md->ifaces);
	for (unsigned i = 0; i < md->opt.n_ports; i++) {
		const struct opt_port *port = &md->opt.ports[i];
		struct iface *iface = &md->ifaces.of[iface_find(&md->ifaces, port->name)];
		const int rc = device_probe(&iface->nics[iface->n_nics], port->name, port->device);

		if (rc != 0)
			return rc;
		iface->n_nics++;
	}
	return 0;
}

static int up_nics(void *ctx)
{
	struct millraced *md = ctx;
	const struct nic_params p = {
		.n_workers = md->opt.n_workers,
		.n_rx_queues = md->opt.n_rx_queues,
		.n_rxd = (uint16_t)md->opt.n_rxd,
		.n_txd = (uint16_t)md->opt.n_txd,
		.mtu_bytes = (uint16_t)md->opt.mtu_bytes,
		.pool = md->pool,
		.has_tcp = md->opt.cache_mb != 0,
	};

	return nic_set_create(&md->nics, &md->ifaces, &p);
}

static void down_nics(void *ctx)
{
	struct millraced *md = ctx;

	nic_set_destroy(&md->nics);
}

static int no_memory(const char *what, int rc)
{
	LOG_ERR("%s: %s; raise --memory%s, or lower the table sizes", what, strerror(-rc),
		rte_eal_has_hugepages() ? " and vm.nr_hugepages" : "");
	return rc;
}

static void drop_worker(struct worker *w)
{
	lb_worker_destroy(&w->lb);
	serve_worker_destroy(w);
	frag_table_destroy(&w->frag);
}

static void down_workers(void *ctx)
{
	struct millraced *md = ctx;

	for (unsigned i = 0; i < md->opt.n_workers; i++) {
		if (md->workers[i] != NULL)
			drop_worker(md->workers[i]);
		rte_free(md->workers[i]);
		md->workers[i] = NULL;
	}
	mailbox_destroy(&md->manager.mail);
	tally_set_destroy(&md->tallies);
}

static int make_worker(struct millraced *md, unsigned id, unsigned lcore, uint64_t seed)
{
	const int socket = (int)rte_lcore_to_socket_id(lcore);
	const unsigned n = md->opt.n_workers;
	struct lb_worker_params lb = {
		.worker_id = id,
		.n_workers = n,
		.is_steered = nic_is_steered(md->nics),
		.socket_id = socket,
		.n_conns4 = RTE_MAX((md->opt.n_conns4 + n - 1) / n, CONN_MIN),
		.n_conns6 = RTE_MAX((md->opt.n_conns6 + n - 1) / n, CONN_MIN),
		.limits = md->limits,
		.seed = seed,
	};
	struct worker *w = rte_zmalloc_socket("worker", sizeof(*w), RTE_CACHE_LINE_SIZE, socket);
	struct serve_worker_params serve = {.w = w,
		.workers = md->workers,
		.n_services = md->limits.n_services,
		.tcp = {.n_conns = md->opt.cache_mb == 0 ? 0 : (md->opt.n_tcp_conns + n - 1) / n,
			.n_bufs = md->opt.n_tcp_bufs / n,
			.pool = md->pool,
			.now_us = clock_us()},
		.socket_id = socket};
	int rc;

	if (w == NULL)
		return -ENOMEM;
	if (getrandom(lb.cookie_seed, sizeof(lb.cookie_seed), 0) != (ssize_t)sizeof(lb.cookie_seed)
		|| getrandom(serve.tcp.secret, sizeof(serve.tcp.secret), 0)
			!= (ssize_t)sizeof(serve.tcp.secret)) {
		rte_free(w);
		return -EIO;
	}
	md->workers[id] = w;
	w->id = (uint16_t)id;
	w->n_workers = (uint16_t)n;
	w->lcore = (uint16_t)lcore;
	w->idle_us = md->opt.idle_us;
	w->ops = &pipeline_ops;
	w->ifaces = &md->ifaces;
	w->mail = md->manager.mail;
	w->tally = tally_of(md->tallies, id);
	rc = frag_table_create(&w->frag, socket);
	if (rc == 0)
		rc = lb_worker_create(&w->lb, &lb);
	return rc != 0 ? rc : serve_worker_create(&serve);
}

static int up_workers(void *ctx)
{
	struct millraced *md = ctx;
	const unsigned n = md->opt.n_workers;
	unsigned lcore, id = 0;
	uint64_t seed;
	int rc;

	if (rte_lcore_count() < n + 1) {
		LOG_ERR("workers: %u and a manager need %u lcores, EAL has %u; give more after -- or "
			"lower --workers",
			n, n + 1, rte_lcore_count());
		return -EINVAL;
	}
	rc = tally_set_create(&md->tallies, n);
	if (rc == 0)
		rc = mailbox_create(&md->manager.mail, n + 1, MBUFS_MAILBOX_SIZE);
	if (rc == 0 && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		rc = -errno;
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (rc == 0 && id < n)
			rc = make_worker(md, id++, lcore, seed);
	}
	if (rc != 0) {
		no_memory("connection tables and mailboxes", rc);
		down_workers(md);
		return rc;
	}
	md->manager.workers = md->workers;
	md->manager.n_workers = n;
	md->manager.tally = tally_of(md->tallies, n);
	md->manager.ifaces = &md->ifaces;
	rc = nic_assign(md->nics, md->workers, n);
	if (rc != 0)
		down_workers(md);
	return rc;
}

static int up_neigh(void *ctx)
{
	struct millraced *md = ctx;
	const struct neigh_params p = {
		.n_slots = md->opt.n_neighs,
		.hold_max = NEIGH_HOLD_DEFAULT,
		.pool = md->pool,
		.ifaces = &md->ifaces,
		.tally = md->manager.tally,
		.output = manager_send,
		.output_ctx = &md->manager,
	};
	const int rc = neigh_table_create(&md->manager.neigh, &p);

	if (rc != 0)
		return no_memory("neighbour table", rc);
	for (unsigned i = 0; i < md->opt.n_workers; i++)
		md->workers[i]->neigh = md->manager.neigh;
	return 0;
}

static void down_neigh(void *ctx)
{
	struct millraced *md = ctx;

	neigh_table_destroy(&md->manager.neigh);
}

static int up_punt(void *ctx)
{
	struct millraced *md = ctx;
	const struct punt_params p = {
		.prefix = md->opt.kernel_prefix[0] ? md->opt.kernel_prefix : NULL,
		.ifaces = &md->ifaces,
		.pool = md->pool,
		.tally = md->manager.tally,
		.output = manager_inject,
		.output_ctx = &md->manager,
	};

	return punt_create(&md->manager.punt, &p);
}

static void down_punt(void *ctx)
{
	struct millraced *md = ctx;

	punt_destroy(&md->manager.punt);
}

/* Connections of a slot over all workers, for the registry. */
static uint64_t slot_in_use(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	const struct millraced *md = ctx;
	uint64_t n = 0;

	for (unsigned i = 0; i < md->opt.n_workers; i++) {
		const struct lb_worker *lw = md->workers[i]->lb;

		switch (kind) {
		case LB_SLOT_SERVICE:
			n += lb_worker_service_conns(lw, slot)
				+ serve_worker_conns(md->workers[i]->serve, slot);
			break;
		case LB_SLOT_BACKEND:
			n += __atomic_load_n(
				&lb_worker_backend_tally(lw, slot)->conns, __ATOMIC_RELAXED);
			break;
		case LB_SLOT_SNAT:
			n += lb_worker_snat_used(lw, slot);
		}
	}
	return n;
}

/* A slot gets a new holder, whose counters begin at 0. */
static void on_give(void *ctx, enum lb_slot_kind kind, uint32_t slot)
{
	const struct millraced *md = ctx;

	for (unsigned i = 0; i < md->opt.n_workers; i++)
		lb_worker_clear(md->workers[i]->lb, kind, slot);
	for (unsigned i = 0; kind == LB_SLOT_SERVICE && i < md->opt.n_workers; i++)
		serve_worker_clear(md->workers[i]->serve, slot);
}

/* After the workers have stopped: nobody reads the running snapshot any more. */
static void down_snapshot(void *ctx)
{
	struct millraced *md = ctx;
	struct snapshot *last = snapshot_publish(NULL, NULL);

	apply_discard(&last, &md->env);
	model_destroy(&md->model);
	pathmtu_destroy(&md->env.path_mtus);
	lb_registry_destroy(&md->env.registry);
	cacheset_destroy(&md->env.caches);
	snapshot_items_destroy();
}

/* Caches are as many as their memory allows; without any there are no readers of items either. */
static int make_caches(struct millraced *md)
{
	const struct cacheset_params p = {.memory_bytes = (uint64_t)md->opt.cache_mb << 20,
		.n_workers = (uint16_t)md->opt.n_workers,
		.socket_id = (int)rte_socket_id()};
	const int rc = p.memory_bytes != 0 ? snapshot_items_create(md->opt.n_workers + 1) : 0;

	md->env.n_workers = md->opt.n_workers;
	return rc != 0 ? rc : cacheset_create(&md->env.caches, &p);
}

static int make_path_mtus(struct millraced *md)
{
	const struct pathmtu_params p = {
		.registry = md->env.registry,
		.neigh = md->manager.neigh,
		.ifaces = &md->ifaces,
		.tally = md->manager.tally,
		.n_backends = md->limits.n_backends,
	};
	const int rc = pathmtu_create(&md->env.path_mtus, &p);

	md->manager.path_mtus = md->env.path_mtus;
	return rc;
}

static int up_snapshot(void *ctx)
{
	struct millraced *md = ctx;
	struct snapshot *first = NULL;
	struct mr_error err = {0};
	int rc;

	rc = lb_registry_create(&md->env.registry, &md->limits, md->manager.neigh, slot_in_use, md);
	if (rc == 0) {
		lb_registry_set_on_give(md->env.registry, on_give);
		rc = make_path_mtus(md);
	}
	if (rc == 0)
		rc = make_caches(md);
	if (rc == 0)
		rc = model_create(&md->model);
	if (rc != 0) {
		cacheset_destroy(&md->env.caches);
		snapshot_items_destroy();
		pathmtu_destroy(&md->env.path_mtus);
		lb_registry_destroy(&md->env.registry);
		return no_memory("service and backend slots", rc);
	}
	md->env.ifaces = &md->ifaces;
	md->env.punt = md->manager.punt;
	rc = apply_build(&first, &md->env, md->model, 0, NULL, clock_ms(), &err);
	if (rc != 0) {
		LOG_ERR("first generation: %s", err.message);
		down_snapshot(md);
		return rc;
	}
	apply_publish(&md->env, first);
	return 0;
}

static int up_api(void *ctx)
{
	struct millraced *md = ctx;
	struct api_params p = {
		.socket_path = md->opt.socket_path,
		.group = md->group,
		.env = md->env,
		.model = md->model,
		.workers = md->workers,
		.n_workers = md->opt.n_workers,
		.tallies = md->tallies,
		.nics = md->nics,
		.neigh = md->manager.neigh,
		.pool = md->pool,
		.conns_max = (uint64_t)md->opt.n_conns4 + md->opt.n_conns6,
		.now_ms = clock_ms,
	};
	int rc;

	if (getrandom(&p.instance, sizeof(p.instance), 0) != (ssize_t)sizeof(p.instance))
		return no_memory("instance number", -errno);
	rc = api_server_create(&md->manager.api, &p);
	if (rc == 0)
		md->model = NULL; /* the server's from here on */
	return rc;
}

static void down_api(void *ctx)
{
	struct millraced *md = ctx;

	api_server_destroy(&md->manager.api);
}

/* An lcore's main function: polls until is_stopping is set. */
static int run_worker(void *arg)
{
	struct millraced *md = arg;
	const unsigned lcore = rte_lcore_id();

	for (unsigned i = 0; i < md->opt.n_workers; i++) {
		if (md->workers[i]->lcore == lcore)
			worker_run(md->workers[i], &md->is_stopping);
	}
	return 0;
}

static void down_threads(void *ctx)
{
	struct millraced *md = ctx;

	__atomic_store_n(&md->is_stopping, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
}

static int up_threads(void *ctx)
{
	struct millraced *md = ctx;

	for (unsigned i = 0; i < md->opt.n_workers; i++) {
		const int rc = rte_eal_remote_launch(run_worker, md, md->workers[i]->lcore);

		if (rc != 0) {
			LOG_ERR("worker %u: lcore %u did not start: %s", i, md->workers[i]->lcore,
				strerror(-rc));
			down_threads(md);
			return rc;
		}
	}
	return 0;
}

static const struct boot_step steps[] = {
	{"checks", up_checks, NULL},
	{"eal", up_eal, down_eal},
	{"buffers", up_buffers, down_buffers},
	{"devices", up_devices, NULL},
	{"ports", up_nics, down_nics},
	{"workers", up_workers, down_workers},
	{"neighbours", up_neigh, down_neigh},
	{"kernel side", up_punt, down_punt},
	{"snapshot", up_snapshot, down_snapshot},
	{"api", up_api, down_api},
	{"threads", up_threads, down_threads},
};

/* Tells the service manager, if one has asked (sd_notify(3)). */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	socklen_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@')
		|| strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
		LOG_WARNING("service manager: not told %s: %s", state, strerror(errno));
	close(fd);
}

/* Options and what they name in this system. 0, OPT_DONE, -EINVAL with a sentence in err. */
static int read_options(struct millraced *md, int argc, char **argv, char *err, size_t size)
{
	cpu_set_t allowed;
	int rc = opt_parse(&md->opt, argc, argv, err, size);

	if (rc == 0) {
		CPU_ZERO(&allowed);
		sched_getaffinity(0, sizeof(allowed), &allowed);
		rc = opt_resolve(&md->opt, &allowed, err, size);
	}
	md->group = (gid_t)-1;
	if (rc == 0 && md->opt.group[0] != '\0') {
		const struct group *g = getgrnam(md->opt.group);

		if (g == NULL) {
			snprintf(err, size, "--group %s: no such group; `groupadd --system %s`",
				md->opt.group, md->opt.group);
			return -EINVAL;
		}
		md->group = g->gr_gid;
	}
	md->limits.n_services = md->opt.n_services;
	md->limits.n_backends = md->opt.n_backends;
	md->limits.n_snats = md->opt.n_snats;
	md->limits.n_workers = md->opt.n_workers;
	return rc;
}

int main(int argc, char **argv)
{
	static struct millraced md;
	char text[1024];
	int rc;

	rte_openlog_stream(stderr);
	rc = read_options(&md, argc, argv, text, sizeof(text));
	if (rc == OPT_DONE)
		return EXIT_STOPPED;
	if (rc != 0) {
		fprintf(stderr, "millraced: %s\n", text);
		return EXIT_USAGE;
	}
	log_set_level(md.opt.log_level);
	manager_hold_signals();
	LOG_INFO("millraced %s: process %d", MILLRACE_VERSION, getpid());
	if (boot_up(steps, RTE_DIM(steps), &md) != 0)
		return EXIT_FAILED;
	opt_text(&md.opt, text, sizeof(text));
	LOG_INFO("settings: %s", text);
	LOG_NOTICE("ready");
	notify("READY=1");
	rc = manager_run(&md.manager);
	notify("STOPPING=1");
	boot_down(steps, RTE_DIM(steps), &md);
	if (rc == 0)
		LOG_NOTICE("stopped");
	return rc == 0 ? EXIT_STOPPED : EXIT_FAILED;
}
