/* SPDX-License-Identifier: BSD-3-Clause */
/* proxyhdr — see proxyhdr.h. */
#include "net/proxyhdr.h"

#include "millrace/types.h"

#define VERSION_PROXY 0x21 /* version 2, command PROXY */
#define FAMILY_INET 0x10
#define FAMILY_INET6 0x20
#define STREAM 0x01
#define DGRAM 0x02

struct head {
	uint8_t signature[12];
	uint8_t version_command, family_proto;
	rte_be16_t n_bytes; /* of what follows */
};
_Static_assert(sizeof(struct head) + 2 * 4 + 2 * 2 == PROXYHDR4_BYTES, "IPv4");
_Static_assert(sizeof(struct head) + 2 * 16 + 2 * 2 == PROXYHDR6_BYTES, "IPv6");

void proxyhdr_build(uint8_t *to, const struct pkt *p)
{
	const unsigned n_ip = p->family == 6 ? 16 : 4;
	struct head h = {
		.signature = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'},
		.version_command = VERSION_PROXY,
		.n_bytes = rte_cpu_to_be_16((uint16_t)(2 * n_ip + 4))};

	h.family_proto = (uint8_t)((p->family == 6 ? FAMILY_INET6 : FAMILY_INET)
		| (p->proto == MR_PROTO_TCP ? STREAM : DGRAM));
	memcpy(to, &h, sizeof(h));
	to += sizeof(h);
	memcpy(to, p->src, n_ip);
	memcpy(to + n_ip, p->dst, n_ip);
	memcpy(to + 2 * n_ip, &p->sport, 2);
	memcpy(to + 2 * n_ip + 2, &p->dport, 2);
}
