/* SPDX-License-Identifier: BSD-3-Clause */
/* genport — see genport.h. */
#include "genport.h"

#include "core/device.h"
#include "core/opt.h"
#include "gensay.h"

#include <rte_dev.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <net/if.h>
#include <unistd.h>

#define GONE_US 100000u
#define SPREAD_BY (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP)

int genport_check(const char *device)
{
	char name[OPT_DEVICE_MAX], iface[OPT_DEVICE_MAX];
	const bool needs_iface =
		strncmp(device, "net_af_packet", 13) == 0 || strncmp(device, "net_af_xdp", 10) == 0;

	opt_device_name(device, name, sizeof(name));
	if (!device_is_pci(name) && strncmp(name, "net_", 4) != 0) {
		gensay_error(
			"--port %s: must be a PCI address (0000:03:00.0) or a virtual device such as "
			"net_memif0, net_virtio_user0, net_vhost0, net_af_xdp0, net_af_packet0",
			device);
		return -EINVAL;
	}
	if (!needs_iface)
		return 0;
	if (opt_device_arg(device, "iface", iface, sizeof(iface)) == NULL) {
		gensay_error("--port %s: names no interface; write %s,iface=NAME", device, device);
		return -EINVAL;
	}
	if (if_nametoindex(iface) == 0) {
		gensay_error("--port %s: no interface %s here; `ip -br link` lists those there are",
			device, iface);
		return -ENODEV;
	}
	return 0;
}

static int probe(uint16_t *id, const char *device)
{
	char name[OPT_DEVICE_MAX];
	int rc;

	opt_device_name(device, name, sizeof(name));
	if (device_is_pci(name)) {
		if (rte_eth_dev_get_port_by_name(name, id) == 0)
			return 0;
		gensay_error(
			"--port %s: no driver took it; bind it to DPDK with `modprobe vfio-pci && "
			"dpdk-devbind.py -b vfio-pci %s` (Mellanox: do not bind)",
			device, name);
		return -ENODEV;
	}
	rc = rte_dev_probe(device);
	if (rc == 0 && rte_eth_dev_get_port_by_name(name, id) == 0)
		return 0;
	gensay_error(
		"--port %s: the driver refused it: %s; check the arguments after the comma, and that "
		"nobody else uses the device",
		device, strerror(rc < 0 ? -rc : EIO));
	return rc < 0 ? rc : -EIO;
}

/* Drivers of shared memory draw an address for each start. One that stays lets a target go on with what it knows of the clients, as
 * connections that a generator left behind. A NIC has its own. */
static void get_mac(struct genport *p)
{
	const struct rte_ether_addr fixed = {{0x02, 'b', 'e', 'n', 'c', (uint8_t)p->id}};

	if (!p->is_memory && rte_eth_macaddr_get(p->id, &p->mac) == 0
		&& rte_is_valid_assigned_ether_addr(&p->mac))
		return;
	p->mac = fixed;
	rte_eth_dev_default_mac_addr_set(p->id, &p->mac); /* where it can */
}

/* Whether it has as many queues. */
static int check_queues(const struct genport *p, const struct rte_eth_dev_info *info)
{
	if (p->n_tx_queues <= info->max_tx_queues && p->n_rx_queues <= info->max_rx_queues)
		return 0;
	gensay_error(
		"--port %s: has at most %u queues to send and %u to receive, and %u and %u are needed: one "
		"to send for each of --cpu, or as many as --queues and --rx-queues say",
		p->name, info->max_tx_queues, info->max_rx_queues, p->n_tx_queues, p->n_rx_queues);
	return -EINVAL;
}

/* The file by which a client of memif comes. */
static void find_socket(struct genport *p, const char *device)
{
	char role[16], is_abstract[8];

	if (strncmp(p->name, "net_memif", 9) == 0
		&& opt_device_arg(device, "role", role, sizeof(role)) != NULL
		&& strcmp(role, "server") == 0
		&& opt_device_arg(device, "socket-abstract", is_abstract, sizeof(is_abstract))
			!= NULL
		&& strcmp(is_abstract, "no") == 0
		&& opt_device_arg(device, "socket", p->listens, sizeof(p->listens)) == NULL)
		p->listens[0] = '\0';
}

static int start(const struct genport *p, const struct genport_params *params,
	const struct rte_eth_dev_info *info)
{
	const uint64_t spread = info->flow_type_rss_offloads & SPREAD_BY;
	struct rte_eth_conf conf = {0};
	const int socket = rte_eth_dev_socket_id(p->id);
	uint16_t n_rxd = params->n_rxd, n_txd = params->n_txd;
	int rc;

	if (p->n_rx_queues > 1 && spread != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = spread;
	}
	rc = rte_eth_dev_configure(p->id, p->n_rx_queues, p->n_tx_queues, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &n_rxd, &n_txd);
	for (uint16_t q = 0; rc == 0 && q < p->n_rx_queues; q++)
		rc = rte_eth_rx_queue_setup(
			p->id, q, n_rxd, socket < 0 ? 0 : (unsigned)socket, NULL, params->pool);
	for (uint16_t q = 0; rc == 0 && q < p->n_tx_queues; q++)
		rc = rte_eth_tx_queue_setup(
			p->id, q, n_txd, socket < 0 ? 0 : (unsigned)socket, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(p->id);
	if (rc != 0)
		gensay_error(
			"--port %s: does not start: %s; its own message is above: check --rxd, --txd, "
			"--queues and --rx-queues, and that the other side is there where this one is the client",
			p->name, strerror(-rc));
	return rc;
}

int genport_open(struct genport *out, const struct genport_params *params)
{
	static const char *const memories[] = {
		"net_memif", "net_virtio_user", "net_vhost", "net_ring"};
	struct genport p = {.n_rx_queues = params->n_rx_queues, .n_tx_queues = params->n_tx_queues};
	struct rte_eth_dev_info info;
	int rc = probe(&p.id, params->device);

	if (rc != 0)
		return rc;
	opt_device_name(params->device, p.name, sizeof(p.name));
	for (unsigned i = 0; i < RTE_DIM(memories); i++)
		p.is_memory |= strncmp(p.name, memories[i], strlen(memories[i])) == 0;
	rc = rte_eth_dev_info_get(p.id, &info);
	snprintf(p.driver, sizeof(p.driver), "%s",
		rc == 0 && info.driver_name != NULL ? info.driver_name : "?");
	if (rc == 0)
		rc = check_queues(&p, &info);
	if (rc == 0)
		rc = start(&p, params, &info);
	if (rc != 0) {
		rte_eth_dev_close(p.id);
		return rc;
	}
	get_mac(&p);
	/* where it can: frames to backends that share the port's wire have other addresses */
	rte_eth_promiscuous_enable(p.id);
	find_socket(&p, params->device);
	p.is_open = true;
	*out = p;
	return 0;
}

void genport_close(struct genport *p)
{
	if (!p->is_open)
		return;
	/* a client comes back as soon as it is let go */
	if (p->listens[0] != '\0')
		unlink(p->listens);
	rte_eth_dev_stop(p->id);
	/* the driver (22.11) leaves the end of a connection to EAL's interrupt thread, which needs memory that goes with EAL */
	if (p->listens[0] != '\0')
		usleep(GONE_US);
	rte_eth_dev_close(p->id);
	p->is_open = false;
}

bool genport_is_up(const struct genport *p)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}
