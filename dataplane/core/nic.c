/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nic — see nic.h. Every wish is masked with what the driver offers, and what was agreed is logged once
 * and shown by `port show`. Software stands in for each: the IPv4 header checksum is verified by
 * parse.c unless the device has, flows without a usable RSS hash are spread by nic_softrss(), and a worker without
 * a transmit queue of its own hands frames to one that has.
 */
#include "core/nic.h"

#include "base/log.h"
#include "core/virtiotx.h"

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_thash.h>

#include <errno.h>
#include <stdlib.h>

LOG_TYPE(nic)

#define NICS_MAX (IFACE_MAX * IFACE_NICS_MAX)
#define KEY_MAX 64u

/* The Toeplitz key of Microsoft's RSS specification, repeated for devices with longer keys. */
static const uint8_t rss_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77,
	0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

#define RSS_TYPES \
	(RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP \
		| RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)

struct nic {
	uint16_t id; /* DPDK port id */
	uint8_t iface;
	bool uses_rss;         /* of some flows the device chooses the queue, by our key */
	bool is_steered;       /* of all TCP and UDP flows, and by NIC_RSS_OWNER */
	bool has_hash;         /* and mbufs carry the hash of each */
	bool has_packed_rings; /* of net_virtio */
	uint16_t n_rxq, n_txq, n_txd;
	uint64_t rx_offloads, tx_offloads;
	char name[RTE_ETH_NAME_MAX_LEN];
	char driver[MR_NAME_MAX];
};

struct nic_set {
	unsigned n, n_workers;
	struct nic of[NICS_MAX];
};

static int fail(const struct nic *nic, const char *event, int rc, const char *remedy)
{
	LOG_ERR("port %s: %s: %s; %s", nic->name, event, strerror(-rc), remedy);
	return rc < 0 ? rc : -EIO;
}

static uint16_t at_most(unsigned wish, unsigned max)
{
	return (uint16_t)(wish < max ? wish : max);
}

/* Some drivers (net_af_xdp) want queues in pairs. */
static int configure_queues(struct nic *nic, const struct rte_eth_conf *conf)
{
	int rc = rte_eth_dev_configure(nic->id, nic->n_rxq, nic->n_txq, conf);

	if (rc == 0 || nic->n_rxq == nic->n_txq)
		return rc;
	nic->n_rxq = nic->n_txq = RTE_MIN(nic->n_rxq, nic->n_txq);
	return rte_eth_dev_configure(nic->id, nic->n_rxq, nic->n_txq, conf);
}

#define TSO_MBUFS_MAX 64u /* of a frame: 64 KiB in segments of Ethernet's size */
#define TSO_PART 8u       /* of a queue's descriptors */

static bool has_all(uint64_t offloads, uint64_t wanted)
{
	return (offloads & wanted) == wanted;
}

#define TSO_OFFLOADS \
	(RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define TSO_PIECES \
	3u /* headers, and the end of one mbuf and the beginning of another are a segment */

/* net_tap offers segmentation, and then refuses every frame whose segments are full: it counts the Ethernet header as a part of the MTU. */
static bool can_cut(const struct nic *nic, const struct rte_eth_dev_info *info)
{
	return has_all(info->tx_offload_capa, TSO_OFFLOADS)
		&& info->tx_desc_lim.nb_mtu_seg_max >= TSO_PIECES
		&& strcmp(nic->driver, "net_tap") != 0;
}

/* For segments of our own, mbufs are sent that somebody keeps a reference to. Chains of them pay where the device cuts these. */
static uint64_t tx_wishes(const struct nic *nic, const struct rte_eth_dev_info *info, bool has_tcp)
{
	const uint64_t capa = info->tx_offload_capa;

	if (!has_tcp)
		return capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (can_cut(nic, info))
		return TSO_OFFLOADS | (capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
	return capa & RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
}

/* In any memory of DPDK's: physical addresses would have to be asked for, and hold for a page only. */
static bool takes_chains(const struct nic *nic)
{
	return has_all(nic->tx_offloads, TSO_OFFLOADS) && rte_eal_iova_mode() == RTE_IOVA_VA;
}

/* Mbufs of a frame that the device cuts, at most; 0: it cuts none. */
static uint16_t tso_mbufs(const struct nic *nic, const struct rte_eth_dev_info *info)
{
	if (!(nic->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO))
		return 0;
	if (nic->has_packed_rings)
		return VIRTIOTX_CHAIN_MAX;
	return at_most(at_most(TSO_MBUFS_MAX, info->tx_desc_lim.nb_seg_max), nic->n_txd / TSO_PART);
}

static int configure(
	struct nic *nic, const struct rte_eth_dev_info *info, const struct nic_params *p)
{
	static uint8_t key[KEY_MAX];
	struct rte_eth_conf conf = {0};
	const unsigned wish = p->n_rx_queues ? p->n_rx_queues : p->n_workers;

	nic->n_rxq = at_most(wish, info->max_rx_queues);
	nic->n_txq = at_most(p->n_workers, info->max_tx_queues);
	conf.rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	conf.txmode.offloads = tx_wishes(nic, info, p->has_tcp);
	if (nic->n_rxq > 1 && (info->flow_type_rss_offloads & RSS_TYPES)) {
		const uint8_t len = info->hash_key_size ? info->hash_key_size : sizeof(rss_key);

		for (unsigned i = 0; i < KEY_MAX; i++)
			key[i] = rss_key[i % sizeof(rss_key)];
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RSS_TYPES;
		conf.rx_adv_conf.rss_conf.rss_key = key;
		conf.rx_adv_conf.rss_conf.rss_key_len = len < KEY_MAX ? len : KEY_MAX;
		nic->uses_rss = true;
		nic->is_steered = (info->flow_type_rss_offloads & RSS_TYPES) == RSS_TYPES;
		nic->has_hash =
			nic->is_steered && (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH);
	}
	conf.rxmode.mtu = p->mtu_bytes; /* 0: the device's own */
	nic->rx_offloads = conf.rxmode.offloads;
	nic->tx_offloads = conf.txmode.offloads;
	return configure_queues(nic, &conf);
}

/* Whether the device hashes by our key; one that tells none is believed. */
static bool is_our_key(const uint8_t *key, unsigned len)
{
	bool is_told = false, is_equal = true;

	for (unsigned i = 0; i < len; i++) {
		is_told |= key[i] != 0;
		is_equal &= key[i] == rss_key[i % sizeof(rss_key)];
	}
	return is_equal || !is_told;
}

/* What is hashed, and by which key. By another key the hash in mbufs is none of ours either. */
static bool has_hash_function(struct nic *nic, const struct rte_eth_dev_info *info)
{
	uint8_t key[KEY_MAX] = {0};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = sizeof(key)};
	const unsigned len = info->hash_key_size ? info->hash_key_size : sizeof(rss_key);
	const uint64_t types = info->flow_type_rss_offloads & RSS_TYPES;
	const char *what = NULL;

	if (rte_eth_dev_rss_hash_conf_get(nic->id, &conf) != 0)
		return true;
	if (!is_our_key(key, RTE_MIN(len, KEY_MAX)))
		what = "hash key";
	else if ((conf.rss_hf & types) != types)
		what = "kinds of packets to hash";
	if (what == NULL)
		return true;
	nic->has_hash = false;
	LOG_WARNING("port %s: %s not accepted: flows may arrive at the wrong worker and are handed "
		    "over",
		nic->name, what);
	return false;
}

#define RETA_GROUPS (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

/* Whether the device has the table that it was given; one that cannot tell is believed. */
static bool has_reta(const struct nic *nic, const struct rte_eth_rss_reta_entry64 *reta, uint16_t n)
{
	struct rte_eth_rss_reta_entry64 got[RETA_GROUPS] = {0};

	for (unsigned i = 0; i < RETA_GROUPS; i++)
		got[i].mask = UINT64_MAX;
	if (rte_eth_dev_rss_reta_query(nic->id, got, n) != 0)
		return true;
	for (unsigned i = 0; i < n; i++) {
		const unsigned g = i / RTE_ETH_RETA_GROUP_SIZE, k = i % RTE_ETH_RETA_GROUP_SIZE;

		if (got[g].reta[k] != reta[g].reta[k])
			return false;
	}
	return true;
}

/* Entry i → queue (i & 127) modulo queues: the rule of NIC_RSS_OWNER, also when the device looks at more bits of
 * the hash than 7. False: who knows what the table is, or it is too short for the rule. */
static bool fill_reta(const struct nic *nic, const struct rte_eth_dev_info *info)
{
	struct rte_eth_rss_reta_entry64 reta[RETA_GROUPS] = {0};

	if (info->reta_size == 0 || info->reta_size > RTE_ETH_RSS_RETA_SIZE_512)
		return false;
	for (unsigned i = 0; i < info->reta_size; i++) {
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask = UINT64_MAX;
		reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			NIC_RSS_OWNER(i, nic->n_rxq);
	}
	if (rte_eth_dev_rss_reta_update(nic->id, reta, info->reta_size) == 0
		&& has_reta(nic, reta, info->reta_size))
		return info->reta_size % 128 == 0 || info->reta_size % nic->n_rxq == 0;
	LOG_WARNING("port %s: redirection table not accepted: flows may arrive at the wrong "
		    "worker and are handed over",
		nic->name);
	return false;
}

static int set_up_queues(struct nic *nic, struct rte_eth_dev_info *info, const struct nic_params *p)
{
	uint16_t n_rxd = p->n_rxd ? p->n_rxd : 1024, n_txd = p->n_txd ? p->n_txd : 1024;
	const int socket = rte_eth_dev_socket_id(nic->id);
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(nic->id, &n_rxd, &n_txd);

	if (rc != 0)
		return rc;
	nic->n_txd = n_txd;
	info->default_rxconf.offloads = nic->rx_offloads;
	info->default_txconf.offloads = nic->tx_offloads;
	for (uint16_t q = 0; rc == 0 && q < nic->n_rxq; q++)
		rc = rte_eth_rx_queue_setup(nic->id, q, n_rxd, (unsigned)(socket < 0 ? 0 : socket),
			&info->default_rxconf, p->pool);
	for (uint16_t q = 0; rc == 0 && q < nic->n_txq; q++)
		rc = rte_eth_tx_queue_setup(nic->id, q, n_txd, (unsigned)(socket < 0 ? 0 : socket),
			&info->default_txconf);
	return rc;
}

/* A device without an address of its own, as net_ring is, is given one for this run. */
static void get_mac(const struct nic *nic, struct rte_ether_addr *mac)
{
	if (rte_eth_macaddr_get(nic->id, mac) == 0 && rte_is_valid_assigned_ether_addr(mac))
		return;
	rte_eth_random_addr(mac->addr_bytes);
	if (rte_eth_dev_default_mac_addr_set(nic->id, mac) != 0)
		LOG_INFO("port %s: has no MAC address and does not take one: frames with a random "
			 "one are sent, and taken if the device delivers them",
			nic->name);
}

static bool writes_ip_csums(const struct nic *nic)
{
	return nic->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
}

static int start(struct nic *nic, struct iface *iface, const struct nic_params *p)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(nic->id, &info);

	if (rc != 0)
		return fail(nic, "cannot be asked what it can do", rc, "check the device");
	rte_eth_dev_get_name_by_port(nic->id, nic->name);
	snprintf(nic->driver, sizeof(nic->driver), "%s", info.driver_name ? info.driver_name : "?");
	rc = configure(nic, &info, p);
	if (rc != 0)
		return fail(nic, "refused its configuration", rc, "try --rx-queues 1");
	if (p->mtu_bytes != 0) {
		rc = rte_eth_dev_set_mtu(nic->id, p->mtu_bytes);
		if (rc != 0)
			return fail(nic, "refused the MTU", rc,
				rc == -ENOTSUP ? "this driver cannot change it: leave --mtu out"
					       : "choose another --mtu");
	}
	rc = set_up_queues(nic, &info, p);
	if (rc != 0)
		return fail(nic, "queue set-up failed", rc,
			"check that the interface is up and used by nobody else; try --rxd 1024 --txd 1024, "
			"fewer --rx-queues, or more --mbufs");
	if (rte_eth_allmulticast_enable(nic->id) != 0)
		LOG_INFO(
			"port %s: driver cannot ask for all multicast; if IPv6 neighbours do not find "
			"us, `ip link set dev INTERFACE allmulticast on`",
			nic->name);
	rc = rte_eth_dev_start(nic->id);
	if (rc != 0)
		return fail(nic, "did not start", rc, "check the link, permissions and dmesg");
	nic->has_packed_rings = virtiotx_mend(nic->id, nic->n_txq) > 0;
	if (nic->uses_rss && !(has_hash_function(nic, &info) && fill_reta(nic, &info)))
		nic->is_steered = false;
	if (iface->n_nics == 0 || nic->id == iface->nics[0]) {
		get_mac(nic, &iface->mac);
		iface->writes_csums = true;
		iface->writes_ip_csums = writes_ip_csums(nic);
		iface->takes_chains = true;
		iface->tso_mbufs = UINT16_MAX;
		rte_eth_dev_get_mtu(nic->id, &iface->mtu_bytes);
	}
	iface->writes_csums &= !!(nic->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
	iface->takes_chains &= takes_chains(nic);
	iface->tso_mbufs = iface->writes_ip_csums == writes_ip_csums(nic)
		? RTE_MIN(iface->tso_mbufs, tso_mbufs(nic, &info))
		: 0; /* one wants that checksum to be there, the other does not */
	return 0;
}

/* Queue q is worker q modulo workers, and that of hash modulo queues is hash modulo workers. */
static bool spreads_by_rss(const struct nic_set *s, const struct nic *nic)
{
	return nic->is_steered && nic->n_rxq % s->n_workers == 0;
}

bool nic_is_steered(const struct nic_set *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (!spreads_by_rss(s, &s->of[i]))
			return false;
	}
	return true;
}

static const char *spread_text(const struct nic_set *s, const struct nic *nic)
{
	if (s->n_workers == 1)
		return "single";
	return spreads_by_rss(s, nic) ? "rss" : "software";
}

static void offload_text(const struct nic *nic, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s",
		nic->rx_offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM ? "rx-ipv4-checksum " : "",
		nic->has_hash ? "rss-hash " : "",
		nic->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM ? "tx-tcp-checksum " : "",
		nic->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? "tx-tso " : "",
		nic->tx_offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE ? "tx-fast-free " : "");
	if (buf[0] == '\0')
		snprintf(buf, size, "none");
	else
		buf[strlen(buf) - 1] = '\0';
}

int nic_set_create(struct nic_set **out, struct iface_set *ifaces, const struct nic_params *p)
{
	struct nic_set *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->n_workers = p->n_workers;
	for (unsigned i = 0; i < ifaces->n; i++) {
		for (unsigned k = 0; k < ifaces->of[i].n_nics; k++) {
			struct nic *nic = &s->of[s->n];
			char offloads[128];

			nic->id = ifaces->of[i].nics[k];
			nic->iface = (uint8_t)i;
			s->n++;
			rc = start(nic, &ifaces->of[i], p);
			if (rc != 0) {
				nic_set_destroy(&s);
				return rc;
			}
			offload_text(nic, offloads, sizeof(offloads));
			LOG_INFO("port %s: %s (%s): %u rx and %u tx queues, spread %s, offloads %s",
				ifaces->of[i].name, nic->name, nic->driver, nic->n_rxq, nic->n_txq,
				spread_text(s, nic), offloads);
		}
	}
	*out = s;
	return 0;
}

void nic_set_destroy(struct nic_set **s)
{
	if (*s == NULL)
		return;
	for (unsigned i = 0; i < (*s)->n; i++) {
		rte_eth_dev_stop((*s)->of[i].id);
		rte_eth_dev_close((*s)->of[i].id);
	}
	free(*s);
	*s = NULL;
}

static int assign_rx(const struct nic *nic, unsigned nic_idx, struct worker **workers, unsigned n)
{
	/* Queue q to worker q keeps RSS and ownership aligned. Without RSS most chips use queue 0 alone, however many
	 * there are: those spread over the workers. */
	const unsigned first = nic->uses_rss ? 0 : nic_idx;

	for (uint16_t q = 0; q < nic->n_rxq; q++) {
		struct worker *w = workers[(first + q) % n];

		if (w->n_queues == WORKER_QUEUES_MAX) {
			LOG_ERR("worker %u: more than %d receive queues: use more workers or fewer ports",
				w->id, WORKER_QUEUES_MAX);
			return -ENOSPC;
		}
		w->queues[w->n_queues++] = (struct worker_queue){
			.nic = nic->id, .queue = q, .iface = nic->iface, .has_rss = nic->has_hash};
	}
	return 0;
}

int nic_assign(const struct nic_set *s, struct worker **workers, unsigned n_workers)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct nic *nic = &s->of[i];
		const int rc = assign_rx(nic, i, workers, n_workers);

		if (rc != 0)
			return rc;
		for (unsigned k = 0; k < n_workers; k++) {
			struct worker_txq *q = &workers[k]->tx[nic->iface];

			/* of several devices of a logical port a worker sends on one: they share the load by
			 * worker */
			if (nic->id
				!= workers[k]->ifaces->of[nic->iface].nics[k
					% workers[k]->ifaces->of[nic->iface].n_nics])
				continue;
			q->nic = nic->id;
			q->queue = (uint16_t)(k % nic->n_txq);
			q->owner = q->queue;
		}
	}
	return 0;
}

void nic_row(const struct nic_set *s, const struct iface_set *ifaces, unsigned iface,
	struct mr_port_row *row)
{
	const struct iface *f = &ifaces->of[iface];

	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", f->name);
	memcpy(row->mac, f->mac.addr_bytes, sizeof(row->mac));
	row->mtu_bytes = f->mtu_bytes;
	for (unsigned i = 0; i < s->n; i++) {
		const struct nic *nic = &s->of[i];
		struct rte_eth_stats st;
		struct rte_eth_link link;
		size_t len = strlen(row->device);

		if (nic->iface != iface)
			continue;
		snprintf(row->device + len, sizeof(row->device) - len, "%s%s", len ? " " : "",
			nic->name);
		snprintf(row->driver, sizeof(row->driver), "%s", nic->driver);
		snprintf(row->spread, sizeof(row->spread), "%s", spread_text(s, nic));
		offload_text(nic, row->offloads, sizeof(row->offloads));
		row->n_rx_queues = (uint16_t)(row->n_rx_queues + nic->n_rxq);
		row->n_tx_queues = (uint16_t)(row->n_tx_queues + nic->n_txq);
		if (rte_eth_link_get_nowait(nic->id, &link) == 0) {
			row->link_up |= link.link_status;
			if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
				row->link_mbps += link.link_speed;
		}
		if (rte_eth_stats_get(nic->id, &st) != 0)
			continue;
		row->rx_packets += st.ipackets;
		row->rx_bytes += st.ibytes;
		row->tx_packets += st.opackets;
		row->tx_bytes += st.obytes;
		row->rx_missed += st.imissed;
		row->rx_errors += st.ierrors;
		row->rx_no_mbuf += st.rx_nombuf;
		row->tx_errors += st.oerrors;
	}
}

uint32_t nic_softrss(const struct pkt *p)
{
	uint32_t tuple[9];
	const unsigned n = p->family == 4 ? 1 : 4;

	for (unsigned i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, p->src + 4 * i, 4);
		tuple[i] = rte_be_to_cpu_32(v);
		memcpy(&v, p->dst + 4 * i, 4);
		tuple[n + i] = rte_be_to_cpu_32(v);
	}
	tuple[2 * n] = (uint32_t)rte_be_to_cpu_16(p->sport) << 16 | rte_be_to_cpu_16(p->dport);
	return rte_softrss(tuple, 2 * n + 1, rss_key);
}
