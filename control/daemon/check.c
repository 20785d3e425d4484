/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check — see check.h. Probes are separate objects so that timers keep their address when the array is
 * made anew for the next configuration; old and new meet by pool and backend name.
 */
#include "daemon/check_kind.h"
#include "daemon/logline.h"

#include <event2/event.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define FIRST_MS_PER_PROBE 2 /* spreads the first probes of many backends */
#define WANT_SEC 60          /* between two complaints about the same want */

struct probe {
	struct check *owner;
	const char *pool, *name, *service; /* of the configuration */
	const struct conf_check *check;
	struct mr_ip ip;
	uint16_t port, local_port;
	size_t pool_idx, backend_idx;
	struct event *timer;
	void *running;                 /* NULL: waiting for the timer */
	const struct check_kind *kind; /* of running */
	double began;
};

struct check {
	struct event_base *base;
	struct check_http *http;
	struct check_exec *exec;
	check_result_fn *on_result;
	void *arg;
	struct probe **probes; /* sorted by pool and name */
	size_t n_probes;
	double complained; /* about a want of our own; 0: never */
};

double check_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int by_name(const void *a, const void *b)
{
	const struct probe *x = *(const struct probe *const *)a;
	const struct probe *y = *(const struct probe *const *)b;
	const int d = strcmp(x->pool, y->pool);

	return d != 0 ? d : strcmp(x->name, y->name);
}

/* A number in [0, 1): good enough to keep probes from marching in step. */
static double fraction(void)
{
	return (double)random() / ((double)RAND_MAX + 1);
}

static void arm(struct probe *p, double seconds)
{
	struct timeval tv;

	if (seconds < 0)
		seconds = 0;
	tv.tv_sec = (time_t)seconds;
	tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
	evtimer_add(p->timer, &tv);
}

static void arm_next(struct probe *p)
{
	const double interval = p->check->interval_ms / 1000.0;
	const double jitter = interval * p->check->jitter_pct / 100 * (2 * fraction() - 1);

	arm(p, p->began + interval + jitter - check_now());
}

/* What the daemon lacks says nothing about a backend; taken for a failure it would empty every service.
 * What to do about it; NULL: it is no such thing. */
static const char *remedy_of(const struct check_kind *kind, int error)
{
	if (error == EMFILE)
		return "raise LimitNOFILE= of the daemon's unit, or check less often";
	if (error == EADDRINUSE)
		return "another program has the port that probes by the path of a service come "
		       "from (61000 to 65535): give it another one";
	if (error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL)
		return "check less often, or give the machine more of it";
	return error != 0 && kind->remedy != NULL ? kind->remedy(error) : NULL;
}

static void complain(struct check *c, const char *check, int error, const char *remedy)
{
	const double now = check_now();

	if (c->complained != 0 && now - c->complained < WANT_SEC)
		return;
	c->complained = now;
	logline_write(LOGLINE_ERR, "checks",
		"probes of '%s' could not be made: %s; backends keep their states meanwhile; %s",
		check, strerror(error), remedy);
}

static void on_end(void *arg, int error, const struct check_result *result)
{
	struct probe *p = arg;
	struct check *c = p->owner;
	const size_t pool = p->pool_idx, backend = p->backend_idx;
	const char *remedy = remedy_of(p->kind, error);

	p->running = NULL;
	arm_next(p);
	if (remedy != NULL)
		complain(c, p->check->name, error, remedy);
	else
		c->on_result(c->arg, pool, backend, result); /* may adapt: p may be gone */
}

static const struct check_kind *kind_of(const struct conf_check *check)
{
	static const struct check_kind *const kinds[] = {
		[CONF_CHECK_TCP] = &check_tcp_kind,
		[CONF_CHECK_HTTP] = &check_http_kind,
		[CONF_CHECK_MEMCACHED] = &check_line_memcached_kind,
		[CONF_CHECK_REDIS] = &check_line_redis_kind,
		[CONF_CHECK_UDP] = &check_udp_kind,
		[CONF_CHECK_ICMP] = &check_icmp_kind,
		[CONF_CHECK_EXEC] = &check_exec_kind,
	};

	static_assert(sizeof(kinds) / sizeof(kinds[0]) == CONF_CHECK_TYPES_END, "each has a kind");
	return kinds[check->type];
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	const struct check_target target = {
		.base = p->owner->base,
		.http = p->owner->http,
		.exec = p->owner->exec,
		.check = p->check,
		.service = p->service,
		.ip = &p->ip,
		.port = p->port,
		.local_port = p->local_port,
		.on_end = on_end,
		.arg = p,
	};
	struct check_result failed = {.is_pass = false};
	char text[96];
	int rc;

	p->began = check_now();
	p->kind = kind_of(p->check);
	rc = p->kind->start(&p->running, &target);
	if (rc == 0)
		return;
	snprintf(text, sizeof(text), "probe could not start: %s", strerror(-rc));
	failed.text = text;
	on_end(p, -rc, &failed);
}

static void destroy_probe(struct probe *p)
{
	if (p->running != NULL)
		p->kind->cancel(p->running);
	if (p->timer != NULL)
		event_free(p->timer);
	free(p);
}

int check_create(struct check **out, struct event_base *base, check_result_fn *on_result, void *arg)
{
	struct check *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->base = base;
	c->on_result = on_result;
	c->arg = arg;
	if (check_http_create(&c->http, base) != 0 || check_exec_create(&c->exec, base) != 0) {
		check_http_destroy(&c->http);
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void check_destroy(struct check **cp)
{
	struct check *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_probes; i++)
		destroy_probe(c->probes[i]);
	free(c->probes);
	check_http_destroy(&c->http);
	check_exec_destroy(&c->exec);
	free(c);
}

static struct probe *create_probe(struct check *c)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->owner = c;
	p->timer = evtimer_new(c->base, on_timer, p);
	if (p->timer == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

/* The first service of each pool, by pool index; its port is probed where nothing else says. */
static const struct conf_service **users_of(const struct conf *conf)
{
	const struct conf_service **users = calloc(conf->n_pools + 1, sizeof(*users));

	for (size_t i = conf->n_services; users != NULL && i-- > 0;) {
		if (conf->services[i].pool != NULL)
			users[conf->services[i].pool - conf->pools] = &conf->services[i];
	}
	return users;
}

static bool is_probed(const struct conf *conf, const struct conf_service *const *users, size_t pool)
{
	return conf->pools[pool].check != NULL && users[pool] != NULL;
}

/* Where the probes go: to the backend, or by a service's path to the VIP, from the port that stands for the backend. */
static void aim(struct probe *p, const struct conf_pool *pool, const struct conf_service *user,
	const struct conf_backend *b)
{
	if (pool->via != NULL) {
		p->service = pool->via->name;
		p->ip = pool->via->vip;
		p->port = pool->via->port;
		p->local_port = b->probe_port;
		return;
	}
	p->service = user->name;
	p->ip = b->ip;
	p->port = pool->check->port != 0 ? pool->check->port : conf_backend_port(user, b);
}

/* A probe for each backend to probe, sorted by pool and name. */
static int make_probes(struct check *c, const struct conf *conf, struct probe ***out, size_t *n_out)
{
	const struct conf_service **users = users_of(conf);
	struct probe **probes;
	size_t n = 0, total = 0;
	int rc = 0;

	for (size_t i = 0; i < conf->n_pools; i++)
		total += conf->pools[i].n_backends;
	probes = calloc(total + 1, sizeof(struct probe *));
	if (users == NULL || probes == NULL)
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && i < conf->n_pools; i++) {
		const struct conf_pool *pool = &conf->pools[i];

		for (size_t k = 0; is_probed(conf, users, i) && k < pool->n_backends; k++) {
			const struct conf_backend *b = &pool->backends[k];
			struct probe *p = create_probe(c);

			if (p == NULL) {
				rc = -ENOMEM;
				break;
			}
			p->pool = pool->name;
			p->name = b->name;
			p->check = pool->check;
			aim(p, pool, users[i], b);
			p->pool_idx = i;
			p->backend_idx = k;
			probes[n++] = p;
		}
	}
	free(users);
	if (rc != 0) {
		for (size_t i = 0; i < n; i++)
			destroy_probe(probes[i]);
		free(probes);
		return rc;
	}
	if (n > 0)
		qsort(probes, n, sizeof(*probes), by_name);
	*out = probes;
	*n_out = n;
	return 0;
}

/* Both probe the same thing in the same way, so the old one may go on in the place of the new. */
static bool is_continued(const struct probe *old, const struct probe *p)
{
	return mr_ip_equal(&old->ip, &p->ip) && old->port == p->port
		&& old->local_port == p->local_port && kind_of(old->check) == kind_of(p->check);
}

/* Puts the old probe in the place of its successor, with the successor's references. */
static struct probe *continue_probe(struct probe *old, struct probe *p)
{
	const bool is_sooner = p->check->interval_ms < old->check->interval_ms;

	old->pool = p->pool;
	old->name = p->name;
	old->service = p->service;
	old->check = p->check;
	old->pool_idx = p->pool_idx;
	old->backend_idx = p->backend_idx;
	destroy_probe(p);
	if (is_sooner && old->running == NULL)
		arm_next(old);
	return old;
}

/* Names of the old configuration are read here for the last time, so it must still be there. */
int check_adapt(struct check *c, const struct conf *conf)
{
	struct probe **probes;
	size_t n, i = 0;
	int rc = make_probes(c, conf, &probes, &n);

	if (rc != 0)
		return rc;
	for (size_t k = 0; k < n; k++) {
		int d = -1;

		while (i < c->n_probes && (d = by_name(&c->probes[i], &probes[k])) < 0)
			destroy_probe(c->probes[i++]);
		if (i < c->n_probes && d == 0 && is_continued(c->probes[i], probes[k])) {
			probes[k] = continue_probe(c->probes[i++], probes[k]);
		} else {
			if (i < c->n_probes && d == 0)
				destroy_probe(c->probes[i++]);
			arm(probes[k], fraction() * FIRST_MS_PER_PROBE * (double)n / 1000);
		}
	}
	while (i < c->n_probes)
		destroy_probe(c->probes[i++]);
	free(c->probes);
	c->probes = probes;
	c->n_probes = n;
	return 0;
}
