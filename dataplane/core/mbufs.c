/* SPDX-License-Identifier: BSD-3-Clause */
/* mbufs — see mbufs.h. */
#include "core/mbufs.h"

#include "base/log.h"
#include "core/burst.h"

#include <rte_errno.h>
#include <rte_ether.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

LOG_TYPE(mbufs)

#define CACHE 256u
#define XDP_RING 2048u   /* net_af_xdp's own fill and completion rings, whatever --rxd says */
#define HELD_MAX 8192u   /* hold queues, kernel-side queues */
#define CONN4_BYTES 176u /* entry, key, hash bucket share, timer link; measured 130 to 150 */
#define CONN6_BYTES 224u
#define BACKEND_BYTES 192u /* per worker: counters; per generation: two copies of the record */
#define NEIGH_BYTES 256u
#define SNAT_BYTES (1u << 20) /* ports of one address: free queue and connection, two protocols */
#define FIXED_MB 64u          /* EAL, rings, devices, service tables */

uint32_t mbufs_need(const struct opt *o)
{
	const uint64_t n_queues =
		o->n_rx_queues && o->n_rx_queues < o->n_workers ? o->n_rx_queues : o->n_workers;
	const uint64_t rxd = o->n_rxd > XDP_RING ? o->n_rxd : XDP_RING;
	const uint64_t txd = o->n_txd > XDP_RING ? o->n_txd : XDP_RING;
	const uint64_t n_ends = o->n_workers + 1;
	uint64_t n = o->n_ports * (n_queues * rxd + o->n_workers * txd);

	/* not n_ends²: should all mailboxes fill at once, receiving pauses (rx_no_mbuf) until they drain */
	n += 2 * n_ends * MBUFS_MAILBOX_SIZE;
	n += o->n_workers * (BURST_MAX + 2 * BURST_MAX * (uint64_t)o->n_ports);
	n += HELD_MAX + n_ends * CACHE * 3 / 2;
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
	return (uint32_t)((bytes + bytes / 8) >> 20) + FIXED_MB;
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
			"--conns6 or --mbufs",
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

int mbufs_create(struct rte_mempool **out, const struct opt *o)
{
	*out = rte_pktmbuf_pool_create("millrace", o->n_mbufs, CACHE, BURST_MBUF_PRIV,
		(uint16_t)data_room(o), SOCKET_ID_ANY);
	if (*out != NULL)
		return 0;
	LOG_ERR("packet buffers: no memory for %u of %u bytes: %s; raise --memory%s, or lower "
		"--mbufs, --rxd or --txd",
		o->n_mbufs, data_room(o), rte_strerror(rte_errno),
		o->is_huge ? " and vm.nr_hugepages" : "");
	return rte_errno > 0 ? -rte_errno : -ENOMEM;
}

void mbufs_destroy(struct rte_mempool **pool)
{
	rte_mempool_free(*pool);
	*pool = NULL;
}
