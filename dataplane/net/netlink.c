/* SPDX-License-Identifier: BSD-3-Clause */
/* netlink — see netlink.h; rtnetlink(7). */
#include "net/netlink.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

/* A default route that the host has already is to win: that of a management port has a smaller metric, of
 * what programs give theirs (0, 100, 1024). */
#define ROUTE_METRIC 4096u

struct request {
	struct nlmsghdr nh;
	uint8_t body[192]; /* the header of the kind of message, then attributes */
};

static void init(struct request *r, uint16_t type, uint16_t flags, const void *header, unsigned len)
{
	memset(r, 0, sizeof(*r));
	r->nh.nlmsg_len = NLMSG_LENGTH(len);
	r->nh.nlmsg_type = type;
	r->nh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	memcpy(r->body, header, len);
}

static void add_attr(struct request *r, uint16_t type, const void *data, unsigned len)
{
	struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)r + NLMSG_ALIGN(r->nh.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->nh.nlmsg_len = NLMSG_ALIGN(r->nh.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* Sends the request and returns what the kernel acknowledges. */
static int transact(const struct request *r)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	union {
		struct nlmsghdr nh;
		uint8_t bytes[1024];
	} reply;
	const struct nlmsgerr *e = (const struct nlmsgerr *)NLMSG_DATA(&reply.nh);
	ssize_t n;
	int rc;

	if (fd < 0)
		return -errno;
	n = send(fd, r, r->nh.nlmsg_len, 0);
	if (n >= 0)
		n = recv(fd, &reply, sizeof(reply), 0);
	if (n < 0)
		rc = -errno;
	else if ((size_t)n < NLMSG_LENGTH(sizeof(*e)) || reply.nh.nlmsg_type != NLMSG_ERROR)
		rc = -EPROTO;
	else
		rc = e->error;
	close(fd);
	return rc;
}

static uint8_t af_of(const struct mr_ip *ip)
{
	return ip->family == 4 ? AF_INET : AF_INET6;
}

static int change_addr(uint16_t type, uint16_t flags, unsigned ifindex, const struct mr_ip *ip,
	unsigned prefix_len)
{
	const struct ifaddrmsg ifa = {.ifa_family = af_of(ip),
		.ifa_prefixlen = (uint8_t)prefix_len,
		.ifa_index = ifindex};
	const uint32_t ifa_flags = IFA_F_NODAD;
	struct request r;

	init(&r, type, flags, &ifa, sizeof(ifa));
	add_attr(&r, IFA_LOCAL, ip->bytes, mr_ip_len(ip));
	add_attr(&r, IFA_ADDRESS, ip->bytes, mr_ip_len(ip));
	if (ip->family == 6)
		add_attr(&r, IFA_FLAGS, &ifa_flags, sizeof(ifa_flags));
	return transact(&r);
}

static int change_route(
	uint16_t type, uint16_t flags, unsigned ifindex, const struct mr_ip *gateway)
{
	const struct rtmsg rtm = {.rtm_family = af_of(gateway),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	const uint32_t oif = ifindex, metric = ROUTE_METRIC;
	struct request r;

	init(&r, type, flags, &rtm, sizeof(rtm));
	add_attr(&r, RTA_GATEWAY, gateway->bytes, mr_ip_len(gateway));
	add_attr(&r, RTA_OIF, &oif, sizeof(oif));
	add_attr(&r, RTA_PRIORITY, &metric, sizeof(metric));
	return transact(&r);
}

int netlink_addr_add(unsigned ifindex, const struct mr_ip *ip, unsigned prefix_len)
{
	return change_addr(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, ip, prefix_len);
}

int netlink_addr_del(unsigned ifindex, const struct mr_ip *ip, unsigned prefix_len)
{
	return change_addr(RTM_DELADDR, 0, ifindex, ip, prefix_len);
}

int netlink_gateway_add(unsigned ifindex, const struct mr_ip *gateway)
{
	/* the kernel takes routes of one metric for the same route, whatever their gateways */
	return change_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, ifindex, gateway);
}

int netlink_gateway_del(unsigned ifindex, const struct mr_ip *gateway)
{
	return change_route(RTM_DELROUTE, 0, ifindex, gateway);
}

/* source NULL: whatever it is. */
static int change_host_route(uint16_t type, uint16_t flags, unsigned ifindex,
	const struct mr_ip *ip, const struct mr_ip *source)
{
	const struct rtmsg rtm = {.rtm_family = af_of(ip),
		.rtm_dst_len = (uint8_t)(8 * mr_ip_len(ip)),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST};
	const uint32_t oif = ifindex;
	struct request r;

	init(&r, type, flags, &rtm, sizeof(rtm));
	add_attr(&r, RTA_DST, ip->bytes, mr_ip_len(ip));
	add_attr(&r, RTA_OIF, &oif, sizeof(oif));
	if (source != NULL)
		add_attr(&r, RTA_PREFSRC, source->bytes, mr_ip_len(source));
	return transact(&r);
}

/* mac NULL: whatever it is. */
static int change_neigh(uint16_t type, uint16_t flags, unsigned ifindex, const struct mr_ip *ip,
	const struct rte_ether_addr *mac)
{
	const struct ndmsg ndm = {
		.ndm_family = af_of(ip), .ndm_ifindex = (int)ifindex, .ndm_state = NUD_PERMANENT};
	struct request r;

	init(&r, type, flags, &ndm, sizeof(ndm));
	add_attr(&r, NDA_DST, ip->bytes, mr_ip_len(ip));
	if (mac != NULL)
		add_attr(&r, NDA_LLADDR, mac->addr_bytes, sizeof(mac->addr_bytes));
	return transact(&r);
}

int netlink_host_add(unsigned ifindex, const struct mr_ip *ip, const struct mr_ip *source,
	const struct rte_ether_addr *mac)
{
	const uint16_t flags = NLM_F_CREATE | NLM_F_REPLACE;
	const int rc = change_neigh(RTM_NEWNEIGH, flags, ifindex, ip, mac);

	return rc != 0 ? rc : change_host_route(RTM_NEWROUTE, flags, ifindex, ip, source);
}

void netlink_host_del(unsigned ifindex, const struct mr_ip *ip)
{
	change_host_route(RTM_DELROUTE, 0, ifindex, ip, NULL);
	change_neigh(RTM_DELNEIGH, 0, ifindex, ip, NULL);
}
