/* SPDX-License-Identifier: BSD-3-Clause */
/* check_sock — see check_sock.h. */
#include "daemon/check_sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(int fd, const struct mr_ip *ip, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int rc;

	memcpy(&v4.sin_addr, ip->bytes, 4);
	memcpy(&v6.sin6_addr, ip->bytes, 16);
	rc = ip->family == 4 ? connect(fd, (const struct sockaddr *)&v4, sizeof(v4))
			     : connect(fd, (const struct sockaddr *)&v6, sizeof(v6));
	return rc == 0 || errno == EINPROGRESS ? 0 : -errno;
}

int check_sock_open(const struct mr_ip *ip, uint16_t port, int type, int protocol)
{
	const int fd = socket(ip->family == 4 ? AF_INET : AF_INET6,
		type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int rc;

	if (fd < 0)
		return -errno;
	rc = connect_to(fd, ip, port);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

const char *check_sock_text(char buf[CHECK_SOCK_TEXT_MAX], const void *data, size_t len)
{
	static const char more[] = "...";
	const bool is_long = len > CHECK_SOCK_TEXT_MAX - sizeof(more);
	const size_t n = is_long ? CHECK_SOCK_TEXT_MAX - sizeof(more) : len;
	const uint8_t *bytes = data;

	for (size_t i = 0; i < n; i++)
		buf[i] = (char)(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '?');
	memcpy(buf + n, is_long ? more : "", is_long ? sizeof(more) : 1);
	return buf;
}
