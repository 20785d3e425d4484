/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * device — from a device string of --port to a DPDK port id, and what to tell the operator when there is
 * no way. Context: main thread at start.
 */
#include <stdbool.h>
#include <stdint.h>

/* name: before the first comma. True for 0000:03:00.0 or 03:00.0. Pure. */
bool device_is_pci(const char *name);

/* What can be seen to be wrong before EAL starts: kernel interface or PCI device missing, privileges
 * missing. 0 or -errno, logged with the remedy. */
int device_check(const char *port, const char *device);

/* After EAL: probes a virtual device, finds a PCI device that EAL has probed. 0, or -errno, logged with the
 * remedy. */
int device_probe(uint16_t *port_id, const char *port, const char *device);
