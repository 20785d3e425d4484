/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcprst — ends a TCP connection for its client: the reset that the segment in hand deserves (RFC 9293, 3.10.7.1),
 * from the address and port it was for.
 */
#include "core/worker.h"

/* Hot. Context: worker. Packet i of the burst is a TCP segment without RST: turns it in place into the reset to its
 * sender, PKT_REPLY, back where it came from. The sequence number is the one its sender expects next if the segment
 * acknowledges anything, so that hosts that look closely (RFC 5961) believe it. */
void tcprst_reply(struct worker *w, struct burst *b, unsigned i);
