/* SPDX-License-Identifier: BSD-3-Clause */
/* device — see device.h. */
#include "core/device.h"

#include "base/log.h"
#include "core/opt.h"

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_pci.h>

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

LOG_TYPE(device)

/* Drivers on a kernel interface, and what they need. */
static const struct {
	const char *prefix;
	bool needs_iface; /* it must exist already */
	uint32_t caps;
	const char *caps_text;
} kinds[] = {
	{"net_af_packet", true, 1u << CAP_NET_RAW | 1u << CAP_NET_ADMIN,
		"CAP_NET_RAW and CAP_NET_ADMIN"},
	{"net_af_xdp", true, 1u << CAP_NET_RAW | 1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN,
		"CAP_NET_RAW, CAP_NET_ADMIN and CAP_SYS_ADMIN"},
	{"net_tap", false, 1u << CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{"net_pcap", false, 0, ""},
};

bool device_is_pci(const char *name)
{
	struct rte_pci_addr addr;

	return rte_pci_addr_parse(name, &addr) == 0;
}

/* Capabilities 0…31 this process lacks of those in caps. */
static uint32_t caps_missing(uint32_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &head, data) != 0)
		return 0; /* cannot tell: the driver will */
	return caps & ~data[0].effective;
}

static void warn_if_down(const char *port, const char *ifname)
{
	struct ifreq req = {0};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFFLAGS, &req) == 0 && !(req.ifr_flags & IFF_UP))
		LOG_WARNING("port %s: interface %s is down; `ip link set dev %s up`", port, ifname,
			ifname);
	close(fd);
}

static int check_virtual(const char *port, const char *device)
{
	char ifname[OPT_DEVICE_MAX];
	const char *given = opt_device_arg(device, "iface", ifname, sizeof(ifname));

	for (unsigned i = 0; i < RTE_DIM(kinds); i++) {
		if (strncmp(device, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
			continue;
		if (kinds[i].needs_iface && given == NULL) {
			LOG_ERR("port %s: device %s: names no interface; write %s,iface=NAME", port,
				device, device);
			return -EINVAL;
		}
		if (kinds[i].needs_iface && if_nametoindex(given) == 0) {
			LOG_ERR("port %s: device %s: no interface %s here; `ip -br link` lists those "
				"there are",
				port, device, given);
			return -ENODEV;
		}
		if (caps_missing(kinds[i].caps) != 0) {
			LOG_ERR("port %s: device %s: no permission; run as root or with %s", port,
				device, kinds[i].caps_text);
			return -EPERM;
		}
		if (kinds[i].needs_iface)
			warn_if_down(port, given);
	}
	return 0;
}

int device_check(const char *port, const char *device)
{
	char name[OPT_DEVICE_MAX], path[64];
	struct rte_pci_addr addr;

	opt_device_name(device, name, sizeof(name));
	if (rte_pci_addr_parse(name, &addr) != 0)
		return check_virtual(port, device);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/" PCI_PRI_FMT, addr.domain, addr.bus,
		addr.devid, addr.function);
	if (access(path, F_OK) != 0) {
		LOG_ERR("port %s: device %s: no such PCI device; `lspci -D | grep -i eth` lists those "
			"there are",
			port, name);
		return -ENODEV;
	}
	return 0;
}

static int find_pci(uint16_t *port_id, const char *port, const char *name)
{
	struct rte_pci_addr addr;
	char full[PCI_PRI_STR_SIZE];

	rte_pci_addr_parse(name, &addr);
	rte_pci_device_name(&addr, full, sizeof(full));
	if (rte_eth_dev_get_port_by_name(full, port_id) == 0)
		return 0;
	LOG_ERR("port %s: device %s: no driver took it; bind it to DPDK with `modprobe vfio-pci && "
		"dpdk-devbind.py -b vfio-pci %s` (Mellanox: install its PMD, do not bind)",
		port, full, full);
	return -ENODEV;
}

int device_probe(uint16_t *port_id, const char *port, const char *device)
{
	char name[OPT_DEVICE_MAX];
	int rc;

	opt_device_name(device, name, sizeof(name));
	if (device_is_pci(name))
		return find_pci(port_id, port, name);
	rc = rte_dev_probe(device);
	if (rc == 0 && rte_eth_dev_get_port_by_name(name, port_id) == 0)
		return 0;
	if (rc == 0) {
		LOG_ERR("port %s: device %s: is no network device; names of network devices begin with "
			"net_",
			port, device);
		return -ENODEV;
	}
	if (rc == -EFAULT || strncmp(name, "net_", 4) != 0)
		LOG_ERR("port %s: device %s: no driver of that name; use a PCI address (0000:03:00.0) or "
			"net_af_xdp0, net_af_packet0, net_tap0, net_memif0, net_virtio_user0, net_ring0 …",
			port, device);
	else
		LOG_ERR("port %s: device %s: the driver refused it: %s; its own message is above: "
			"check the arguments after the comma and that nobody else uses the device",
			port, device, strerror(-rc));
	return rc < 0 ? rc : -EIO;
}
