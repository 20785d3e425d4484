/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * punt — see punt.h. Plain TAP devices: every frame is one read or write by the manager, about 1 µs each;
 * what comes here is rare or rate-limited. A virtio-user port with vhost-net would be faster and needs a
 * kernel module that many hosts lack.
 */
#include "net/punt.h"

#include "base/log.h"
#include "net/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

LOG_TYPE(punt)

#define BURST_MS 100u /* a bucket holds what its rate gives in this time */
#define OWN_MAX 256u

static const uint32_t default_pps[PUNT_N_CLASSES] = {
	[PUNT_NEIGH] = 10000, [PUNT_OWN] = 100000, [PUNT_OTHER] = 10000, [PUNT_TOO_BIG] = 1000};

struct bucket {
	uint32_t rate_pps;
	uint64_t tokens_x1000;
	uint64_t filled_ms;
};

struct tap {
	int fd;
	unsigned ifindex;
	char name[IFNAMSIZ];
	struct bucket buckets[PUNT_N_CLASSES];
};

struct own { /* what we have put on a TAP: an address, or a default route */
	unsigned iface;
	struct mr_ip ip;     /* or the gateway */
	unsigned prefix_len; /* 0: a default route */
	bool is_wanted;
};

struct vip { /* the kernel side sends what is for it to our port, from source */
	struct mr_ip ip, source;
	unsigned iface;
};

struct punt {
	struct punt_params p;
	unsigned n;
	struct tap taps[IFACE_MAX];
	struct own own[OWN_MAX];
	unsigned n_own;
	struct vip *vips; /* sorted by ip */
	unsigned n_vips;
	bool is_told; /* that there is no kernel side for VIPs */
};

static bool take_token(struct bucket *b, uint64_t now_ms)
{
	const uint64_t max = (uint64_t)b->rate_pps * BURST_MS;

	b->tokens_x1000 += (now_ms - b->filled_ms) * b->rate_pps;
	b->filled_ms = now_ms;
	if (b->tokens_x1000 > max)
		b->tokens_x1000 = max;
	if (b->tokens_x1000 < 1000)
		return false;
	b->tokens_x1000 -= 1000;
	return true;
}

/* A setting of the kernel for one interface; missing ones (IPv6 off) are no loss. */
static void set_sysctl(const char *family, const char *ifname, const char *what, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, ifname, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		LOG_DEBUG("%s: %s: %s", path, value, strerror(errno));
	close(fd);
}

static int explain_open(const char *name, int rc)
{
	const char *remedy = rc == -EPERM || rc == -EACCES
		? "run as root or with CAP_NET_ADMIN, or start with --kernel-if none"
		: rc == -EBUSY
		? "the name is taken: choose another --kernel-if prefix"
		: "load the tun module (modprobe tun), or start with --kernel-if none";

	LOG_ERR("kernel interface %s: cannot be made: %s; %s", name, strerror(-rc), remedy);
	return rc;
}

static int set_link(struct tap *tap, const struct iface *iface)
{
	struct ifreq ifr = {0};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, tap->name, IFNAMSIZ);
	ifr.ifr_hwaddr.sa_family = 1; /* ARPHRD_ETHER */
	memcpy(ifr.ifr_hwaddr.sa_data, iface->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
	if (ioctl(fd, SIOCSIFHWADDR, &ifr) != 0)
		rc = -errno;
	ifr.ifr_mtu = iface->mtu_bytes;
	if (rc == 0 && ioctl(fd, SIOCSIFMTU, &ifr) != 0)
		rc = -errno;
	/* without it, the kernel removes all addresses of a network with the first of them */
	set_sysctl("ipv4", tap->name, "promote_secondaries", "1");
	set_sysctl("ipv6", tap->name, "accept_dad", "0");
	set_sysctl("ipv6", tap->name, "accept_ra", "0");
	set_sysctl("ipv6", tap->name, "router_solicitations", "0");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (rc == 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int open_tap(struct tap *tap, const char *prefix, const struct iface *iface)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int rc = 0;

	if (strlen(prefix) + strlen(iface->name) >= IFNAMSIZ) {
		LOG_ERR("kernel interface %s%s: name is longer than %d bytes: choose a shorter "
			"--kernel-if prefix or port name",
			prefix, iface->name, IFNAMSIZ - 1);
		return -ENAMETOOLONG;
	}
	snprintf(tap->name, sizeof(tap->name), "%s", prefix);
	strncat(tap->name, iface->name, sizeof(tap->name) - strlen(tap->name) - 1);
	memcpy(ifr.ifr_name, tap->name, IFNAMSIZ);
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return explain_open(tap->name, -errno);
	if (ioctl(tap->fd, TUNSETIFF, &ifr) != 0 || ioctl(tap->fd, TUNSETOFFLOAD, 0) != 0)
		rc = -errno;
	if (rc == 0)
		rc = set_link(tap, iface);
	if (rc != 0) {
		close(tap->fd);
		tap->fd = -1;
		return explain_open(tap->name, rc);
	}
	tap->ifindex = if_nametoindex(tap->name);
	return 0;
}

int punt_create(struct punt **out, const struct punt_params *p)
{
	struct punt *punt = calloc(1, sizeof(*punt));
	int rc = 0;

	if (punt == NULL)
		return -ENOMEM;
	punt->p = *p;
	for (unsigned i = 0; i < IFACE_MAX; i++)
		punt->taps[i].fd = -1;
	punt->n = p->ifaces->n;
	for (unsigned i = 0; p->prefix != NULL && rc == 0 && i < punt->n; i++) {
		rc = open_tap(&punt->taps[i], p->prefix, &p->ifaces->of[i]);
		for (unsigned k = 0; k < PUNT_N_CLASSES; k++)
			punt->taps[i].buckets[k].rate_pps =
				p->rate_pps[k] ? p->rate_pps[k] : default_pps[k];
	}
	if (rc != 0) {
		punt_destroy(&punt);
		return rc;
	}
	*out = punt;
	return 0;
}

void punt_destroy(struct punt **p)
{
	if (*p == NULL)
		return;
	for (unsigned i = 0; i < IFACE_MAX; i++) {
		if ((*p)->taps[i].fd >= 0)
			close((*p)->taps[i].fd);
	}
	free((*p)->vips);
	free(*p);
	*p = NULL;
}

static int add_own(const struct tap *tap, const struct own *o)
{
	return o->prefix_len > 0 ? netlink_addr_add(tap->ifindex, &o->ip, o->prefix_len)
				 : netlink_gateway_add(tap->ifindex, &o->ip);
}

static void del_own(const struct tap *tap, const struct own *o)
{
	if (o->prefix_len > 0)
		netlink_addr_del(tap->ifindex, &o->ip, o->prefix_len);
	else
		netlink_gateway_del(tap->ifindex, &o->ip);
}

static void want(void *ctx, unsigned iface, const struct mr_ip *ip, unsigned prefix_len)
{
	struct punt *p = ctx;
	const struct tap *tap = &p->taps[iface];
	struct own *o;
	int rc;

	for (unsigned i = 0; i < p->n_own; i++) {
		o = &p->own[i];
		if (o->iface == iface && mr_ip_equal(&o->ip, ip) && o->prefix_len == prefix_len) {
			o->is_wanted = true;
			return;
		}
	}
	if (tap->fd < 0)
		return;
	if (p->n_own == OWN_MAX) {
		LOG_ERR("kernel interface %s: %u addresses and routes are set, no more are: set the rest "
			"with `ip addr add`",
			tap->name, OWN_MAX);
		return;
	}
	o = &p->own[p->n_own];
	*o = (struct own){.iface = iface, .ip = *ip, .prefix_len = prefix_len, .is_wanted = true};
	rc = add_own(tap, o);
	if (rc == 0 || rc == -EEXIST)
		p->n_own++;
	else if (prefix_len > 0)
		LOG_ERR("kernel interface %s: address not set: %s; set it with `ip addr add`",
			tap->name, strerror(-rc));
	else
		LOG_ERR("kernel interface %s: no default route over the gateway: %s; set it with "
			"`ip route add`",
			tap->name, strerror(-rc));
}

void punt_sync(struct punt *p, const struct addr_conf *c)
{
	unsigned n = 0, iface;
	struct mr_ip gateway = {0};

	for (unsigned i = 0; i < p->n_own; i++)
		p->own[i].is_wanted = false;
	addr_walk_own(c, want, p);
	if (addr_gateway(c, 4, &iface, &gateway))
		want(p, iface, &gateway, 0);
	if (addr_gateway(c, 6, &iface, &gateway))
		want(p, iface, &gateway, 0);
	for (unsigned i = 0; i < p->n_own; i++) {
		const struct own *o = &p->own[i];

		if (o->is_wanted)
			p->own[n++] = *o;
		else
			del_own(&p->taps[o->iface], o);
	}
	p->n_own = n;
}

/* --- VIPs that the kernel side may send to --- */

static int by_ip(const struct mr_ip *x, const struct mr_ip *y)
{
	if (x->family != y->family)
		return x->family - y->family;
	return memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

/* Those of one VIP in an order that does not depend on that of the services. */
static int by_vip(const void *a, const void *b)
{
	const struct punt_vip *x = a, *y = b;
	const int c = by_ip(&x->ip, &y->ip);

	if (c != 0)
		return c;
	return x->iface != y->iface ? (x->iface < y->iface ? -1 : 1)
				    : by_ip(&x->backend, &y->backend);
}

static bool is_same(const struct vip *a, const struct vip *b)
{
	return a->iface == b->iface && mr_ip_equal(&a->ip, &b->ip)
		&& mr_ip_equal(&a->source, &b->source);
}

/* The first address of the VIP's family. */
static void take_own(void *ctx, unsigned iface, const struct mr_ip *ip, unsigned prefix_len)
{
	struct vip *v = ctx;

	if (v->source.family != 0 || ip->family != v->ip.family)
		return;
	v->source = *ip;
	v->iface = iface;
}

static bool is_link_local(const struct mr_ip *ip)
{
	return ip->family == 6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* From the port that leads to the backend where it has an address of the VIP's family, else from any. False: no address
 * could ask. */
static bool place_vip(const struct addr_conf *c, const struct punt_vip *want, struct vip *v)
{
	const struct mr_ip *target =
		want->backend.family == want->ip.family ? &want->backend : &want->ip;

	*v = (struct vip){.ip = want->ip, .source.family = want->ip.family, .iface = want->iface};
	if (addr_source(c, (uint8_t)want->iface, v->ip.family, target->bytes, v->source.bytes)
		&& !is_link_local(&v->source))
		return true;
	memset(&v->source, 0, sizeof(v->source));
	addr_walk_own(c, take_own, v);
	return v->source.family != 0;
}

static bool add_vip(const struct punt *p, const struct vip *v)
{
	const struct tap *tap = &p->taps[v->iface];
	char ip[INET6_ADDRSTRLEN];
	int rc;

	if (tap->fd < 0)
		return false;
	rc = netlink_host_add(tap->ifindex, &v->ip, &v->source, &p->p.ifaces->of[v->iface].mac);
	if (rc != 0)
		LOG_ERR("kernel interface %s: no route to %s: %s; health checks by the path of its "
			"services fail",
			tap->name, mr_ip_text(&v->ip, ip, sizeof(ip)), strerror(-rc));
	return rc == 0;
}

static void del_vip(const struct punt *p, const struct vip *v)
{
	if (p->taps[v->iface].fd >= 0)
		netlink_host_del(p->taps[v->iface].ifindex, &v->ip);
}

/* An answer from a VIP may come in by another port than the route to the VIP goes out of: strict reverse path
 * filtering would drop it. The stricter setting of the interface and of all counts; 2 is the loose one. */
static void loosen_filters(const struct punt *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->taps[i].fd >= 0)
			set_sysctl("ipv4", p->taps[i].name, "rp_filter", "2");
	}
}

/* Where each VIP that can be asked goes. NULL without memory; how many in *n. */
static struct vip *place_vips(const struct addr_conf *c, const struct punt_vip *want, unsigned *n)
{
	struct vip *vips = calloc(*n + 1, sizeof(*vips));
	unsigned k = 0;

	for (unsigned i = 0; vips != NULL && i < *n; i++) {
		if (i == 0 || !mr_ip_equal(&want[i - 1].ip, &want[i].ip))
			k += place_vip(c, &want[i], &vips[k]);
	}
	*n = k;
	return vips;
}

/* Both are sorted: what is only in the old list goes first, then what is only in the new one comes. */
static void change_vips(struct punt *p, struct vip *next, unsigned n)
{
	unsigned k = 0, n_kept = 0;

	for (unsigned i = 0; i < p->n_vips; i++) {
		while (k < n && by_ip(&next[k].ip, &p->vips[i].ip) < 0)
			k++;
		if (k == n || !is_same(&next[k], &p->vips[i]))
			del_vip(p, &p->vips[i]);
	}
	k = 0;
	for (unsigned i = 0; i < n; i++) {
		while (k < p->n_vips && by_ip(&p->vips[k].ip, &next[i].ip) < 0)
			k++;
		if ((k < p->n_vips && is_same(&p->vips[k], &next[i])) || add_vip(p, &next[i]))
			next[n_kept++] = next[i];
	}
	free(p->vips);
	p->vips = next;
	p->n_vips = n_kept;
}

void punt_sync_vips(struct punt *p, const struct addr_conf *c, struct punt_vip *vips, unsigned n)
{
	struct vip *next;

	if (n == 0 && p->n_vips == 0)
		return;
	if (p->p.prefix == NULL) {
		if (!p->is_told)
			LOG_WARNING(
				"health checks by the path of a service need the kernel side, which "
				"--kernel-if none has switched off");
		p->is_told = true;
		return;
	}
	qsort(vips, n, sizeof(*vips), by_vip);
	next = place_vips(c, vips, &n);
	if (next == NULL) {
		LOG_ERR("kernel side: no memory for %u VIPs", n);
		return;
	}
	if (p->n_vips == 0)
		loosen_filters(p);
	change_vips(p, next, n);
}

/* Writes the frame, all its segments. False: the kernel did not take it. */
static bool write_frame(int fd, const struct rte_mbuf *m)
{
	struct iovec iov[8];
	int n = 0;

	for (; m != NULL && n < (int)RTE_DIM(iov); m = m->next, n++) {
		iov[n].iov_base = rte_pktmbuf_mtod(m, void *);
		iov[n].iov_len = m->data_len;
	}
	return m == NULL && writev(fd, iov, n) > 0;
}

void punt_output(
	struct punt *p, struct rte_mbuf *m, unsigned iface, unsigned punt_class, uint64_t now_ms)
{
	struct tally *t = p->p.tally;
	struct tap *tap = &p->taps[iface];

	if (tap->fd < 0) {
		/* neighbour messages have done their work here; others have not been wanted */
		if (punt_class == PUNT_NEIGH)
			t->consumed++;
		else
			t->drops[PKT_DROP_punt_disabled]++;
	} else if (!take_token(&tap->buckets[punt_class], now_ms)) {
		t->drops[PKT_DROP_punt_limited]++;
	} else if (!write_frame(tap->fd, m)) {
		t->drops[PKT_DROP_punt_full]++;
	} else {
		t->punted++;
	}
	rte_pktmbuf_free(m);
}

/* Somebody has deleted the interface: nothing comes from it any more, and it wakes the loop for ever. */
static void give_up(struct tap *tap, int error)
{
	LOG_ERR("kernel interface %s: cannot be read: %s; packets for the kernel are dropped until "
		"millraced is started again",
		tap->name, strerror(error));
	close(tap->fd);
	tap->fd = -1;
}

/* One frame from the kernel, NULL when there is none (or no buffer for it). */
static struct rte_mbuf *read_frame(struct punt *p, unsigned iface)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->p.pool);
	ssize_t n;

	if (m == NULL) {
		p->p.tally->drops[PKT_DROP_no_mbuf]++;
		return NULL;
	}
	n = read(p->taps[iface].fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
	if (n < RTE_ETHER_HDR_LEN) {
		rte_pktmbuf_free(m);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			give_up(&p->taps[iface], errno);
		return NULL;
	}
	m->data_len = (uint16_t)n;
	m->pkt_len = (uint32_t)n;
	return m;
}

unsigned punt_poll(struct punt *p, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++) {
		if (p->taps[i].fd < 0)
			continue;
		for (unsigned k = 0; k < max; k++) {
			struct rte_mbuf *m = read_frame(p, i);

			if (m == NULL)
				break;
			p->p.tally->injected++;
			p->p.output(p->p.output_ctx, i, m);
			n++;
		}
	}
	return n;
}

int punt_fd(const struct punt *p, unsigned iface)
{
	return p->taps[iface].fd;
}

const char *punt_ifname(const struct punt *p, unsigned iface)
{
	return p->taps[iface].name;
}
