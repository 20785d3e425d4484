/* SPDX-License-Identifier: BSD-3-Clause */
/* mbufs — see mbufs.h. */
#include "core/mbufs.h"

#include "base/log.h"
#include "core/burst.h"

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memzone.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

LOG_TYPE(mbufs)

#define POOL_NAME "millrace"
#define CACHE 256u
#define XDP_RING 2048u     /* net_af_xdp's own fill and completion rings, whatever --rxd says */
#define HELD_MAX 8192u     /* hold queues, kernel-side queues */
#define CONN4_BYTES 100u   /* 87: see lb/conn.c */
#define CONN6_BYTES 120u   /* 103 */
#define BACKEND_BYTES 192u /* per worker: counters; per generation: two copies of the record */
#define NEIGH_BYTES 256u
#define TCP_CONN_BYTES \
	640u /* with its part of SYN entries, TIME-WAITs, flow table: serve/servetcp.c */
#define TCP_WORKER_BYTES (12u << 20) /* requests that come in pieces; what is not by connection */
#define WORKER_BYTES (2u << 20)      /* fragments; sources of requests to caches */
#define SNAT_BYTES (1u << 20) /* ports of one address: free queue and connection, two protocols */
#define FIXED_MB 64u          /* EAL, rings, devices, service tables */

uint32_t mbufs_need(const struct opt *o)
{
	const uint64_t n_queues = o->n_rx_queues ? o->n_rx_queues : o->n_workers;
	const uint64_t rxd = o->n_rxd > XDP_RING ? o->n_rxd : XDP_RING;
	const uint64_t txd = o->n_txd > XDP_RING ? o->n_txd : XDP_RING;
	const uint64_t n_ends = o->n_workers + 1;
	uint64_t n = o->n_ports * (n_queues * rxd + o->n_workers * txd);

	/* not n_ends²: should all mailboxes fill at once, receiving pauses (rx_no_mbuf) until they drain */
	n += 2 * n_ends * MBUFS_MAILBOX_SIZE;
	n += o->n_workers * (BURST_MAX + 2 * BURST_MAX * (uint64_t)o->n_ports);
	n += o->n_workers * (uint64_t)MBUFS_FRAGMENTS_HELD_MAX;
	n += HELD_MAX + n_ends * CACHE * 3 / 2;
	n += o->cache_mb != 0 ? o->n_tcp_bufs : 0;
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* Bytes of data a buffer must have: any frame up to the MTU, one VLAN tag, in one segment. */
static uint32_t data_room(const struct opt *o)
{
	const uint32_t frame = o->mtu_bytes + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 4;

	return RTE_PKTMBUF_HEADROOM + RTE_MAX(2048u, RTE_ALIGN(frame, 1024u));
}

uint32_t mbufs_memory_mb(const struct opt *o)
{
	uint64_t bytes = (uint64_t)o->n_mbufs
		* (data_room(o) + sizeof(struct rte_mbuf) + BURST_MBUF_PRIV + 128);

	bytes += (uint64_t)o->n_conns4 * CONN4_BYTES + (uint64_t)o->n_conns6 * CONN6_BYTES;
	bytes += (uint64_t)o->n_backends * BACKEND_BYTES * (o->n_workers + 1);
	bytes += (uint64_t)o->n_neighs * NEIGH_BYTES + (uint64_t)o->n_snats * SNAT_BYTES;
	bytes += (uint64_t)o->n_workers * WORKER_BYTES;
	if (o->cache_mb != 0)
		bytes += (uint64_t)o->n_tcp_conns * TCP_CONN_BYTES
			+ (uint64_t)o->n_workers * TCP_WORKER_BYTES;
	return (uint32_t)((bytes + bytes / 8) >> 20) + FIXED_MB + o->cache_mb;
}

int mbufs_plan(struct opt *o, const struct mbufs_huge *huge, char *err, size_t err_size)
{
	const uint32_t need = mbufs_need(o);
	uint32_t memory_mb;

	if (o->n_mbufs != 0 && o->n_mbufs < need) {
		snprintf(err, err_size,
			"--mbufs %u: queues and rings can hold %u at one time; leave it out, or lower "
			"--rxd, --txd or --rx-queues",
			o->n_mbufs, need);
		return -EINVAL;
	}
	if (o->n_mbufs == 0)
		o->n_mbufs = rte_align32pow2(need) - 1; /* what a mempool stores without waste */
	memory_mb = mbufs_memory_mb(o);
	if (o->memory_mb != 0 && o->memory_mb < memory_mb) {
		snprintf(err, err_size,
			"--memory %u: packets and tables need %u MB; leave it out, or lower --conns, "
			"--conns6, --mbufs, --tcp-conns, --tcp-buffers or --cache-memory",
			o->memory_mb, memory_mb);
		return -EINVAL;
	}
	if (o->memory_mb == 0)
		o->memory_mb = memory_mb;
	if (!o->is_huge || huge->free_mb >= o->memory_mb)
		return 0;
	if (huge->page_kb == 0)
		snprintf(err, err_size, "hugepages: this kernel offers none; use --no-huge");
	else
		snprintf(err, err_size,
			"hugepages: %u MB needed, %" PRIu64
			" MB free; `sysctl -w vm.nr_hugepages=%" PRIu64
			"`, or use --no-huge (slower)",
			o->memory_mb, huge->free_mb,
			huge->n_pages
				+ ((o->memory_mb - huge->free_mb) * 1024 + huge->page_kb - 1)
					/ huge->page_kb);
	return -ENOMEM;
}

static uint64_t read_u64(const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t v = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64, &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

static uint64_t pages(const char *dir, const char *kind)
{
	char path[512];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/%s", dir, kind);
	return read_u64(path);
}

void mbufs_huge_find(struct mbufs_huge *huge)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	const struct dirent *e;
	uint64_t free_kb = 0;

	memset(huge, 0, sizeof(*huge));
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		uint64_t size_kb;

		if (sscanf(e->d_name, "hugepages-%" SCNu64 "kB", &size_kb) != 1)
			continue;
		free_kb += pages(e->d_name, "free_hugepages") * size_kb;
		if (huge->page_kb == 0 || size_kb < huge->page_kb) {
			huge->page_kb = size_kb;
			huge->n_pages = pages(e->d_name, "nr_hugepages");
		}
	}
	if (dir != NULL)
		closedir(dir);
	huge->free_mb = free_kb >> 10;
}

/*
 * One block without gaps. A mempool left to itself keeps each object within a page when its pages are
 * small, so that its physical address is one; with 4 KiB pages that is a gap after every object. Where
 * devices use virtual addresses that is for nothing, and net_af_xdp does not know it: it shows the kernel
 * the first n_objects x object_size bytes of the pool, and every buffer beyond is silently not sent.
 */
static int populate_packed(struct rte_mempool *pool)
{
	const uint32_t object_bytes = rte_mempool_calc_obj_size(pool->elt_size, pool->flags, NULL);
	const size_t bytes = (size_t)pool->size * object_bytes + RTE_MEMPOOL_ALIGN;
	const struct rte_memzone *zone = rte_memzone_reserve_aligned(
		POOL_NAME, bytes, SOCKET_ID_ANY, 0, (unsigned)sysconf(_SC_PAGESIZE));
	int n;

	if (zone == NULL)
		return -rte_errno;
	n = rte_mempool_populate_iova(
		pool, zone->addr, (uintptr_t)zone->addr, zone->len, NULL, NULL);
	if (n == (int)pool->size)
		return 0;
	rte_memzone_free(zone);
	return n < 0 ? n : -ENOMEM;
}

static struct rte_mempool *create_packed(uint32_t n_mbufs, uint16_t room_bytes)
{
	const struct rte_pktmbuf_pool_private pvt = {
		.mbuf_data_room_size = room_bytes, .mbuf_priv_size = BURST_MBUF_PRIV};
	struct rte_mempool *pool = rte_mempool_create_empty(POOL_NAME, n_mbufs,
		(unsigned)sizeof(struct rte_mbuf) + BURST_MBUF_PRIV + room_bytes, CACHE,
		sizeof(pvt), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	int rc;

	if (pool == NULL)
		return NULL;
	rc = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	rte_pktmbuf_pool_init(pool, (void *)(uintptr_t)&pvt);
	if (rc == 0)
		rc = populate_packed(pool);
	if (rc != 0) {
		rte_mempool_free(pool);
		rte_errno = -rc;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

/* First port on net_af_xdp, NULL without one. */
static const struct opt_port *find_af_xdp(const struct opt *o)
{
	for (unsigned i = 0; i < o->n_ports; i++) {
		if (strncmp(o->ports[i].device, "net_af_xdp", strlen("net_af_xdp")) == 0)
			return &o->ports[i];
	}
	return NULL;
}

int mbufs_create(struct rte_mempool **out, const struct opt *o)
{
	const struct opt_port *xdp = find_af_xdp(o);
	const uint16_t room_bytes = (uint16_t)data_room(o);

	if (rte_eal_iova_mode() == RTE_IOVA_VA) {
		*out = create_packed(o->n_mbufs, room_bytes);
	} else if (xdp == NULL) {
		*out = rte_pktmbuf_pool_create(
			POOL_NAME, o->n_mbufs, CACHE, BURST_MBUF_PRIV, room_bytes, SOCKET_ID_ANY);
	} else {
		LOG_ERR("port %s: device %s: cannot share buffers with devices that use physical "
			"addresses; turn the IOMMU on and add `-- --iova-mode=va`, or use one kind",
			xdp->name, xdp->device);
		return -ENOTSUP;
	}
	if (*out != NULL)
		return 0;
	LOG_ERR("packet buffers: no memory for %u of %u bytes: %s; raise --memory%s, or lower "
		"--mbufs, --rxd or --txd",
		o->n_mbufs, room_bytes, rte_strerror(rte_errno),
		o->is_huge ? " and vm.nr_hugepages" : "");
	return rte_errno > 0 ? -rte_errno : -ENOMEM;
}

void mbufs_destroy(struct rte_mempool **pool)
{
	const struct rte_memzone *zone = rte_memzone_lookup(POOL_NAME);

	rte_mempool_free(*pool);
	if (zone != NULL)
		rte_memzone_free(zone);
	*pool = NULL;
}
