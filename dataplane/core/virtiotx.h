/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * virtiotx — mends what DPDK's net_virtio (22.11, and later ones that were looked at) leaves wrong in the transmit queues
 * of packed rings. It sends a frame of several buffers, or one whose buffer somebody else holds too, by a table of
 * descriptors beside the ring. The tables are prepared with the flag that a device may write there, which the driver
 * clears as it fills an entry in; but not that of entry N in the table of ring slot N, as it takes the entry for the
 * slot. The device then finds a buffer to write to amid a frame: QEMU stops the device for good, others may lose it.
 */
#include <stdint.h>

/* Cold. Context: manager, after the device has started and before anything is sent. Clears those flags. Devices of
 * other drivers, split rings, and a driver whose tables look otherwise are left as they are. Returns the number of
 * tables. */
unsigned virtiotx_mend(uint16_t nic, uint16_t n_txq);

/* Mbufs of a frame that such a queue may be given. The driver writes longer chains into the ring itself, and a device gets stuck over them. */
#define VIRTIOTX_CHAIN_MAX 7u
