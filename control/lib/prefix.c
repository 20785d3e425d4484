/* SPDX-License-Identifier: BSD-3-Clause */
/* prefix — see prefix.h. */
#include "lib/prefix.h"

#include "lib/text.h"

#include <errno.h>

/* Only the first len bits. */
static struct mr_ip network_of(const struct mr_ip *ip, unsigned len)
{
	struct mr_ip n = *ip;

	for (unsigned i = len; i < 128; i++)
		n.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return n;
}

static int parse(
	struct mr_ip *ip, unsigned *len, unsigned min, const char *text, char why[PREFIX_WHY_MAX])
{
	const char *slash = strchr(text, '/');
	const size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN] = "", network[PREFIX_TEXT_MAX];
	struct mr_ip parsed, whole;
	uint64_t v;

	if (n < sizeof(address))
		memcpy(address, text, n);
	if (n >= sizeof(address) || mr_ip_parse(&parsed, address) != 0) {
		snprintf(why, PREFIX_WHY_MAX, "'%.64s' is not an IP address%s", text,
			slash != NULL ? " with a prefix length" : "");
		return -EINVAL;
	}
	v = 8 * mr_ip_len(&parsed);
	if (slash != NULL
		&& (text_uint_parse(slash + 1, &v) != 0 || v < min || v > 8 * mr_ip_len(&parsed))) {
		snprintf(why, PREFIX_WHY_MAX,
			"the prefix length of %s must be %u...%u, got '%.32s'", address, min,
			8 * mr_ip_len(&parsed), slash + 1);
		return -EINVAL;
	}
	whole = network_of(&parsed, (unsigned)v);
	if (!mr_ip_equal(&whole, &parsed)) {
		snprintf(why, PREFIX_WHY_MAX,
			"%s/%u has bits beyond its prefix: for the network write %s", address,
			(unsigned)v, prefix_text(network, &whole, (unsigned)v));
		return -EINVAL;
	}
	*ip = parsed;
	*len = (unsigned)v;
	return 0;
}

int prefix_parse(struct mr_ip *ip, unsigned *len, const char *text, char why[PREFIX_WHY_MAX])
{
	return parse(ip, len, 1, text, why);
}

int prefix_parse_any(struct mr_ip *ip, unsigned *len, const char *text, char why[PREFIX_WHY_MAX])
{
	return parse(ip, len, 0, text, why);
}

const char *prefix_text(char buf[PREFIX_TEXT_MAX], const struct mr_ip *ip, unsigned len)
{
	size_t n;

	mr_ip_text(ip, buf, PREFIX_TEXT_MAX);
	n = strlen(buf);
	if (len < 8 * mr_ip_len(ip))
		snprintf(buf + n, PREFIX_TEXT_MAX - n, "/%u", len);
	return buf;
}
