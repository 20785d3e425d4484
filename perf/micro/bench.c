/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench — see bench.h: starts DPDK, times batches, keeps what the running case needs.
 *
 * Time is TSC cycles. Machines that are shared preempt; a batch in which the kernel took the CPU away
 * (context switches of the thread, by getrusage) says nothing and is repeated. What remains is the shared
 * caches and what the hypervisor takes, which medians of many batches ride out.
 */
#include "base/clock.h"
#include "base/csum.h"
#include "base/keyhash.h"
#include "core/burst.h"
#include "core/mbufs.h"
#include "instrcount.h"
#include "pages.h"
#include "shim.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MB 1024u
#define HUGE_PAGE (2u << 20)
#define TRIES 1000u

const struct bench_subject *const bench_subjects[] = {&bench_csum, &bench_hash, &bench_parse,
	&bench_vip, &bench_steer, &bench_natport, &bench_mailbox, &bench_sched, &bench_acl,
	&bench_conn, &bench_tcp, &bench_publish, &bench_path, &bench_cache};
const size_t bench_n_subjects = RTE_DIM(bench_subjects);

struct bench_shape bench_shape = {1000, 16, 10};
uint32_t bench_cache_mb = BENCH_CACHE_MB;

static enum bench_pages pages_got;

static const struct bench_case *current;
static void *current_ctx;

/* --- DPDK --- */

/* All that DPDK is to have. */
static uint32_t memory_mb(void)
{
	return MEMORY_MB + bench_shape.n_flows / 1000000 * 320 + bench_cache_mb;
}

static enum bench_pages choose(enum bench_pages wish)
{
	struct mbufs_huge huge;

	if (wish != BENCH_PAGES_AUTO)
		return wish;
	mbufs_huge_find(&huge);
	return huge.free_mb >= memory_mb() ? BENCH_PAGES_HUGE : BENCH_PAGES_THP;
}

/* lcore 0 floats over all CPUs this process may use. */
static void lcore_map(char *map, size_t size)
{
	cpu_set_t allowed;
	size_t len = (size_t)snprintf(map, size, "0@(");

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && len < size - 8; cpu++) {
		if (CPU_ISSET(cpu, &allowed))
			len += (size_t)snprintf(map + len, size - len, "%u,", cpu);
	}
	snprintf(map + len - 1, size - len + 1, ")");
}

int bench_start(enum bench_pages pages)
{
	char program[] = "micro_bench", lcores[] = "--lcores", map[1024], no_pci[] = "--no-pci",
	     level[] = "--log-level=4", iova[] = "--iova-mode=va",
	     no_telemetry[] = "--no-telemetry", in_memory[] = "--in-memory",
	     no_huge[] = "--no-huge", no_conf[] = "--no-shconf", m[] = "-m", mb[16];
	char *argv[] = {program, lcores, map, no_pci, level, iova, no_telemetry, m, mb, no_huge,
		no_conf, NULL};
	int argc = 11;

	pages_got = choose(pages);
	lcore_map(map, sizeof(map));
	snprintf(mb, sizeof(mb), "%u", memory_mb());
	if (pages_got == BENCH_PAGES_HUGE) {
		pages_allow_memfd();
		argv[9] = in_memory;
		argv[argc = 10] = NULL;
	}
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "micro_bench: DPDK does not start: %s\n", rte_strerror(rte_errno));
		return -rte_errno;
	}
	if (pages_got == BENCH_PAGES_THP && !pages_advise())
		pages_got = BENCH_PAGES_4K;
	clock_init();
	keyhash_init_seed(42);
	return 0;
}

const char *bench_pages_name(void)
{
	return pages_got == BENCH_PAGES_HUGE ? "reserved hugepages"
					     : PAGES_NAME(pages_got == BENCH_PAGES_THP);
}

uint64_t bench_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

/* --- timing --- */

static long n_switches(void)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return use.ru_nivcsw + use.ru_nvcsw;
}

static double time_batch(unsigned (*batch)(void *), void (*reset)(void *), void *ctx)
{
	uint64_t cyc = 0;
	unsigned n = 0;
	long before;

	for (unsigned i = 0; i < TRIES; i++) {
		if (reset != NULL)
			reset(ctx);
		before = n_switches();
		cyc = rte_rdtsc_precise();
		n = batch(ctx);
		cyc = rte_rdtsc_precise() - cyc;
		if (n == 0)
			return -1;
		if (n_switches() == before)
			break;
	}
	return (double)cyc / n;
}

/* Cases run one after the other, each several times: what one needs is made once. */
static bool enter(const struct bench_case *c)
{
	if (current == c)
		return true;
	bench_stop();
	current_ctx = c->up(c);
	if (current_ctx != NULL)
		current = c;
	return current_ctx != NULL;
}

double bench_run(const struct bench_case *c)
{
	return enter(c) ? time_batch(c->run, c->reset, current_ctx) : -1;
}

double bench_ref(const struct bench_case *c)
{
	return enter(c) ? time_batch(c->ref, NULL, current_ctx) : -1;
}

static bool count_batch(const char *name, unsigned (*batch)(void *), void (*reset)(void *))
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (reset != NULL)
			reset(current_ctx);
		if (i == 1)
			instrcount_begin();
		n = batch(current_ctx);
		if (n == 0)
			return false;
	}
	instrcount_end(name, n);
	return true;
}

bool bench_count(const struct bench_case *c)
{
	char reference[128];

	snprintf(reference, sizeof(reference), "%s, reference", c->name);
	return enter(c) && count_batch(c->name, c->run, c->reset)
		&& (!c->is_net || count_batch(reference, c->ref, NULL));
}

void bench_stop(void)
{
	if (current != NULL)
		current->down(current_ctx);
	current = NULL;
}

/* --- what cases share --- */

static void *must(void *p, const char *what)
{
	if (p == NULL) {
		fprintf(stderr, "micro_bench: no memory for %s\n", what);
		exit(2);
	}
	return p;
}

void *shim_alloc(size_t bytes)
{
	const size_t size = RTE_ALIGN_CEIL(bytes, HUGE_PAGE);
	void *p = must(aligned_alloc(HUGE_PAGE, size), "input");

	if (pages_got != BENCH_PAGES_4K)
		madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0, size);
	return p;
}

uint32_t *shim_shuffled(uint32_t n)
{
	uint32_t *order = shim_alloc(n * sizeof(*order));
	uint64_t seed = 7;

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t at = (uint32_t)(shim_random(&seed) % (i + 1));

		order[i] = order[at];
		order[at] = i;
	}
	return order;
}

struct rte_mbuf **shim_mbufs(void)
{
	static struct rte_mbuf *mbufs[SHIM_MBUFS];
	struct rte_mempool *pool;

	if (mbufs[0] != NULL)
		return mbufs;
	pool = must(rte_pktmbuf_pool_create("bench", 2 * SHIM_MBUFS, 0, BURST_MBUF_PRIV,
			    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY),
		"packet buffers");
	for (unsigned i = 0; i < SHIM_MBUFS; i++)
		mbufs[i] = must(rte_pktmbuf_alloc(pool), "packet buffers");
	return mbufs;
}

static unsigned build_l4(uint8_t *l4, uint8_t proto, uint8_t tcp_flags, unsigned n_payload)
{
	if (proto == IPPROTO_TCP) {
		struct rte_tcp_hdr tcp = {.src_port = RTE_BE16(40000),
			.dst_port = RTE_BE16(80),
			.data_off = 0x50,
			.tcp_flags = tcp_flags,
			.rx_win = RTE_BE16(500)};

		memcpy(l4, &tcp, sizeof(tcp));
		return sizeof(tcp) + n_payload;
	} else {
		struct rte_udp_hdr udp = {.src_port = RTE_BE16(40000),
			.dst_port = RTE_BE16(80),
			.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(udp) + n_payload)),
			.dgram_cksum = RTE_BE16(0x1234)};

		memcpy(l4, &udp, sizeof(udp));
		return sizeof(udp) + n_payload;
	}
}

/* The payload fills the frame up to 60 bytes, so that none is padding. */
void shim_frame(struct shim_frame *f, unsigned family, uint8_t proto, uint8_t tcp_flags)
{
	const struct rte_ether_hdr eth = {.dst_addr = {SHIM_MAC},
		.src_addr = {{2, 0, 0, 0, 0xc, 1}},
		.ether_type = family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
					  : RTE_BE16(RTE_ETHER_TYPE_IPV6)};
	const unsigned l3 = family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const unsigned at = sizeof(eth) + l3;
	const unsigned l4 =
		proto == IPPROTO_TCP ? sizeof(struct rte_tcp_hdr) : sizeof(struct rte_udp_hdr);
	const unsigned len =
		build_l4(f->bytes + at, proto, tcp_flags, at + l4 < 60 ? 60 - at - l4 : 0);

	memcpy(f->bytes, &eth, sizeof(eth));
	f->len = at + len;
	if (family == 4) {
		struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(l3 + len)),
			.time_to_live = 64,
			.next_proto_id = proto,
			.src_addr = RTE_BE32(RTE_IPV4(172, 16, 0, 1)),
			.dst_addr = RTE_BE32(RTE_IPV4(10, 9, 0, 1))};

		ip.hdr_checksum = csum_of(&ip, sizeof(ip));
		memcpy(f->bytes + sizeof(eth), &ip, sizeof(ip));
	} else {
		struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(0x60000000),
			.payload_len = rte_cpu_to_be_16((uint16_t)len),
			.proto = proto,
			.hop_limits = 64,
			.src_addr = {0x20, 1, 0xd, 0xb8, [15] = 1},
			.dst_addr = {0xfd, 9, [15] = 1}};

		memcpy(f->bytes + sizeof(eth), &ip, sizeof(ip));
	}
}
