/* SPDX-License-Identifier: BSD-3-Clause */
/* endpoint — see endpoint.h. */
#include "lib/endpoint.h"

#include "lib/text.h"

#include <errno.h>

static int refuse(char why[ENDPOINT_WHY_MAX], const char *text, const char *is)
{
	snprintf(why, ENDPOINT_WHY_MAX, "'%.64s' %s", text, is);
	return -EINVAL;
}

/* Copies the address, n bytes of it. False: it is longer than any. */
static bool copy_address(char out[INET6_ADDRSTRLEN], const char *from, size_t n)
{
	if (n >= INET6_ADDRSTRLEN)
		return false;
	memcpy(out, from, n);
	out[n] = '\0';
	return true;
}

int endpoint_parse(struct mr_ip *ip, uint16_t *port, const char *text, char why[ENDPOINT_WHY_MAX])
{
	const bool has_brackets = text[0] == '[';
	const char *end = has_brackets ? strchr(text, ']') : strrchr(text, ':');
	char address[INET6_ADDRSTRLEN];
	struct mr_ip parsed;
	uint64_t v;

	if (mr_ip_parse(&parsed, text) == 0)
		return refuse(why, text,
			parsed.family == 4 ? "has no port: write ADDRESS:PORT"
					   : "has no port: write [ADDRESS]:PORT");
	if (end == NULL || (has_brackets && end[1] != ':'))
		return refuse(why, text, "is not ADDRESS:PORT or [ADDRESS]:PORT");
	if (!copy_address(address, text + has_brackets, (size_t)(end - text) - has_brackets)
		|| mr_ip_parse(&parsed, address) != 0)
		return refuse(why, text, "does not begin with an IP address");
	if ((parsed.family == 6) != has_brackets)
		return refuse(why, text,
			has_brackets ? "has brackets, which are for IPv6 addresses"
				     : "needs brackets: [ADDRESS]:PORT");
	if (text_uint_parse(end + 1 + has_brackets, &v) != 0 || v < 1 || v > UINT16_MAX)
		return refuse(why, text, "has no port of 1...65535");
	*ip = parsed;
	*port = (uint16_t)v;
	return 0;
}
