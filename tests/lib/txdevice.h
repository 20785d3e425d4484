/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * txdevice — what a device puts on the wire for a buffer that it is given to send, as rte_mbuf_core.h wants it to be asked: checksums are
 * made, frames are cut into segments. Fails the cmocka test when the buffer is not as a driver needs it.
 */
#include "core/iface.h"

#include <rte_mbuf.h>

#include <stdint.h>

#define TXDEVICE_FRAME_MAX 9216u

/* The frames of m, each in one piece that is good until on_frame() returns, in order. f: what was agreed with the device. m is not written to,
 * and stays the caller's. */
void txdevice_send(const struct iface *f, const struct rte_mbuf *m,
	void (*on_frame)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx);
