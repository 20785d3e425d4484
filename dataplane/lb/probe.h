/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * probe — health checks by the path that a service's traffic takes. The kernel side connects to the VIP from a source
 * port of the model (probe_port) that stands for one backend; what it sends goes to exactly that backend,
 * in the mode of the service and by its code, whatever the backend's state. There is no entry and no schedule,
 * and nothing is counted as the service's. The backend answers our own address, as it answers any client.
 *
 *     kernel ─TAP─▶ manager ─NOTE_PROBE─▶ worker: parse, classify, probe_send() ─▶ fwd send ─▶ backend
 *     kernel ◀─TAP─ manager ◀──punt────── worker ◀───────────────────────────────────────────┘
 */
#include "core/worker.h"
#include "net/punt.h"

#define PROBE_NONE UINT32_MAX

struct lb_conf;
struct probe_table; /* immutable once its service is complete; part of that */

/* Cold. Context: manager. Makes the table if there is none. port: MR_PROBE_PORT_MIN or more. 0, -EEXIST where the port is
 * another backend's, -ENOMEM. */
int probe_table_add(struct probe_table **t, uint16_t port, uint32_t backend_idx);
void probe_table_destroy(struct probe_table **t); /* NULL-safe, clears *t */

/* Context: manager. The VIPs of the services that have a table, one for each: vips has room for c->n_services. Returns how
 * many. */
unsigned probe_vips(const struct lb_conf *c, struct punt_vip *vips);

/* Hot. Slot of the backend whose probes come from this port, PROBE_NONE when there is none. Context: any thread. */
uint32_t probe_find(const struct probe_table *t, uint16_t port);

/* Packets of the kernel side to our own MAC address, classified: each is sent to its backend or dropped. What is too big for a
 * tunnel is told to the kernel side. Context: worker. */
void probe_send(
	struct worker *w, const struct lb_conf *lb, const struct addr_conf *ac, struct burst *b);
