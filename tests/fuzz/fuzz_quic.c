/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_quic — the reader of QUIC connection ids on any payload. An input is
 *
 *     id_len:1 id_offset:1 config:1 payload…
 *
 * each of the three brought into the range that a configuration can have.
 */
#include "fuzz.h"
#include "lb/quic.h"

#define PAYLOAD_MAX 2000u

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

/* What a server id was found in is long enough, and a header that has a server's connection id. */
static void check_routable(
	const struct quic_layout *l, const uint8_t *p, size_t n, const struct quic_id *id)
{
	const bool is_long = p[0] & 0x80;
	const size_t dcid = is_long ? 6 : 1, at = dcid + l->id_offset;
	static const uint8_t zero[16];

	FUZZ_CHECK(at + l->id_len <= n, "an id up to %zu of %zu bytes", at + l->id_len, n);
	FUZZ_CHECK(memcmp(id->bytes, p + at, l->id_len) == 0, "another id");
	FUZZ_CHECK(memcmp(id->bytes + l->id_len, zero, 16u - l->id_len) == 0, "no zeroes behind");
	FUZZ_CHECK(l->config == 0 || p[dcid] >> 5 == l->config - 1, "configuration");
	if (!is_long)
		return;
	FUZZ_CHECK(p[5] <= 20 && 6u + p[5] <= n && l->id_offset + l->id_len <= p[5],
		"a DCID of %u bytes", p[5]);
	FUZZ_CHECK((memcmp(p + 1, "\0\0\0\1", 4) == 0 && (p[0] & 0x30) == 0x20)
			|| (memcmp(p + 1, "\x6b\x33\x43\xcf", 4) == 0 && (p[0] & 0x30) == 0x30),
		"the client may have chosen this one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct quic_layout l;
	struct quic_id id, untouched;
	size_t n = PAYLOAD_MAX;
	const uint8_t *bytes;
	enum quic_kind kind;
	uint8_t *p;

	l.id_len = (uint8_t)(1 + fuzz_u8(&in) % MR_QUIC_ID_MAX);
	l.id_offset = (uint8_t)(fuzz_u8(&in) % (MR_QUIC_CID_MAX - l.id_len + 1u));
	l.config = (uint8_t)(fuzz_u8(&in) % (MR_QUIC_CONFIG_MAX + 2u));
	if (l.config != 0 && l.id_offset == 0)
		l.id_offset = 1; /* fits: the id has 15 bytes at most, a connection id 20 */
	bytes = fuzz_take(&in, &n);
	p = fuzz_exact(bytes, n);
	memset(&id, 0xee, sizeof(id));
	untouched = id;
	kind = quic_parse(&l, p, (uint32_t)n, &id);
	if (kind == QUIC_ROUTABLE)
		check_routable(&l, p, n, &id);
	else
		FUZZ_CHECK(memcmp(&id, &untouched, sizeof(id)) == 0, "kind %d with an id", kind);
	FUZZ_CHECK(kind == QUIC_CLIENTS || n > 0, "something in nothing");
	free(p);
	return 0;
}
