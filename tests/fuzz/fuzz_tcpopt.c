/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_tcpopt — the options of any TCP header. An input is
 *
 *     max:2 less:1 first:4 put_in:1 header…
 *
 * The header's length byte is made to say how long it is. Whatever the options are, nothing but them and the checksum
 * changes, a checksum that was right stays right, and an MSS that is found is not above what it may be.
 */
#include "base/csum.h"
#include "fuzz.h"
#include "millrace/api_lb.h"
#include "net/tcpopt.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

/* All but options and checksum, and the checksum. */
static void check(const struct rte_tcp_hdr *tcp, const uint8_t *before, uint32_t n)
{
	const struct rte_tcp_hdr *old = (const void *)before;

	FUZZ_CHECK(
		memcmp(tcp, old, offsetof(struct rte_tcp_hdr, cksum)) == 0, "the header changed");
	FUZZ_CHECK(tcp->tcp_urp == old->tcp_urp, "the urgent pointer changed");
	FUZZ_CHECK(csum_of(tcp, n) == 0, "the checksum is wrong");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint16_t max = fuzz_u16(&in);
	const uint8_t n_less = fuzz_u8(&in);
	const uint32_t first = (uint32_t)fuzz_u16(&in) << 16 | fuzz_u16(&in);
	const uint8_t n_put_in = fuzz_u8(&in);
	uint8_t before[60] = {0};
	size_t n = 60;
	const uint8_t *bytes = fuzz_take(&in, &n);
	struct rte_tcp_hdr *tcp;

	memcpy(before, bytes, n);
	n = n < 20 ? 20 : n / 4 * 4;
	before[12] = (uint8_t)(n / 4 << 4);
	memset(before + 16, 0, 2);
	memcpy(before + 16, &(uint16_t){csum_of(before, (uint32_t)n)}, 2);
	tcp = (void *)fuzz_exact(before, n);
	tcpopt_shift_sack(tcp, first, n_put_in);
	check(tcp, before, (uint32_t)n);
	tcpopt_clamp_mss(tcp, max, n_less);
	check(tcp, before, (uint32_t)n);
	FUZZ_CHECK(!tcpopt_clamp_mss(tcp, max, 0), "an MSS above %u", max);
	free(tcp);
	return 0;
}
