/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_icmp — a probe that sends an echo request (RFC 792, RFC 4443) and passes when its reply comes.
 *
 * The socket is a ping socket where the machine lets the daemon have one (net.ipv4.ping_group_range,
 * for both families), else a raw one, which needs CAP_NET_RAW. With a ping socket the kernel chooses the
 * identifier and gives us the replies with it; a raw one gets every echo reply of that host, so
 * identifier and sequence number are looked at in either case. What does not match is somebody else's and
 * is waited past, not failed upon.
 */
#include "daemon/check_sock.h"

#include <assert.h>
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HEADER_BYTES 8 /* type, code, checksum, identifier, sequence number: both families */
#define REQUEST_BYTES (HEADER_BYTES + 8)

struct probe {
	struct check_sock s;
	bool is_raw;
	uint8_t family;
	uint16_t id, sequence;
};

static uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

/* A raw IPv4 socket gives the IP header too; the kernel has checked the length it tells. */
static bool is_reply(const struct probe *p, const uint8_t *b, size_t n)
{
	const size_t skip = p->is_raw && p->family == 4 && n > 0 ? (b[0] & 0xfu) * 4u : 0;

	if (n < skip + HEADER_BYTES)
		return false;
	b += skip;
	return b[0] == (p->family == 4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) && b[1] == 0
		&& get16(b + 4) == p->id && get16(b + 6) == p->sequence;
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	uint8_t packet[256]; /* with the longest IPv4 header; what is behind ours does not matter */
	const ssize_t n = recv(fd, packet, sizeof(packet), 0);
	char text[96];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		snprintf(text, sizeof(text), "ping: %s", strerror(errno));
	else if (!is_reply(p, packet, (size_t)n))
		return;
	else
		snprintf(text, sizeof(text), "echo reply in %.1f ms",
			(check_now() - p->s.began) * 1000);
	check_sock_end(&p->s, 0, n >= 0, text);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	char text[96];

	snprintf(text, sizeof(text), "no echo reply within %u ms", p->s.timeout_ms);
	check_sock_end(&p->s, 0, false, text);
}

/* RFC 1071, of an even number of bytes. */
static uint16_t checksum(const uint8_t *b, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += get16(b + i);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* For IPv6, and with a ping socket, the kernel fills in the checksum and the latter's identifier. */
static int send_request(const struct probe *p)
{
	uint8_t b[REQUEST_BYTES] = "\0\0\0\0\0\0\0\0millrace";

	b[0] = p->family == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	put16(b + 4, p->id);
	put16(b + 6, p->sequence);
	if (p->family == 4)
		put16(b + 2, checksum(b, sizeof(b)));
	return send(p->s.fd, b, sizeof(b), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static_assert(REQUEST_BYTES == HEADER_BYTES + sizeof("millrace") - 1, "the array above");

/* A raw socket wants echo replies only, and both want to hear of a router that says no way at once. */
static void set_options(const struct probe *p)
{
	const struct icmp_filter only4 = {~(1u << ICMP_ECHOREPLY)};
	const int on = 1;
	struct icmp6_filter only6;

	if (p->family == 4) {
		setsockopt(p->s.fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
		if (p->is_raw)
			setsockopt(p->s.fd, SOL_RAW, ICMP_FILTER, &only4, sizeof(only4));
		return;
	}
	ICMP6_FILTER_SETBLOCKALL(&only6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only6);
	setsockopt(p->s.fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	if (p->is_raw)
		setsockopt(p->s.fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof(only6));
}

/* 0, or the -errno of the last try. */
static int open_socket(struct probe *p, const struct check_target *target)
{
	const int protocol = target->ip->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct sockaddr_in6 any;
	socklen_t len = sizeof(any);

	p->family = target->ip->family;
	p->s.fd = check_sock_open(target, SOCK_DGRAM, protocol);
	p->is_raw = p->s.fd == -EACCES || p->s.fd == -EPROTONOSUPPORT;
	if (p->is_raw)
		p->s.fd = check_sock_open(target, SOCK_RAW, protocol);
	if (p->s.fd < 0)
		return p->s.fd;
	set_options(p);
	p->sequence = (uint16_t)random();
	p->id = (uint16_t)random();
	if (!p->is_raw && getsockname(p->s.fd, (struct sockaddr *)&any, &len) != 0)
		return -errno;
	if (!p->is_raw)
		p->id = ntohs(any.sin6_port); /* at the same place as sin_port */
	return 0;
}

static int start(void **out, const struct check_target *target)
{
	struct probe *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return -ENOMEM;
	check_sock_begin(&p->s, target);
	rc = open_socket(p, target);
	if (rc == 0)
		rc = check_sock_watch(&p->s, target, EV_READ | EV_PERSIST, on_io, on_deadline);
	if (rc == 0)
		rc = send_request(p);
	if (rc != 0) {
		check_sock_cancel(p);
		return rc;
	}
	*out = p;
	return 0;
}

/* Of the kinds of socket a daemon may be forbidden; what backends and routers say is no EPERM. */
static const char *remedy(int error)
{
	return error != EPERM ? NULL
			      : "give the daemon CAP_NET_RAW, or its group a place in "
				"net.ipv4.ping_group_range";
}

const struct check_kind check_icmp_kind = {
	.start = start, .cancel = check_sock_cancel, .remedy = remedy};
