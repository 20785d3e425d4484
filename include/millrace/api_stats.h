/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * api_stats — the rows that STATUS-like requests return: ports, counters, services, backends,
 * connections, neighbours, workers. Field names are the keys of the CLI's JSON; units are in them.
 * Counters start at 0 when the dataplane starts and only grow, unless the help says "now".
 */
#include "millrace/api.h"

#define MR_PORT_ROW_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "logical port") \
	F(T, TEXT, device, 3, MR_REQUIRED, "DPDK device") \
	F(T, NAME, driver, 4, MR_OPTIONAL, "poll-mode driver") \
	F(T, MAC, mac, 5, MR_OPTIONAL, "") \
	F(T, U8, link_up, 6, MR_OPTIONAL, "1 = up, now") \
	F(T, U32, link_mbps, 7, MR_OPTIONAL, "now; 0 = unknown") \
	F(T, U16, mtu_bytes, 8, MR_OPTIONAL, "") \
	F(T, U16, n_rx_queues, 9, MR_OPTIONAL, "") \
	F(T, U16, n_tx_queues, 10, MR_OPTIONAL, "") \
	F(T, TEXT, offloads, 11, MR_OPTIONAL, "negotiated, space separated") \
	F(T, NAME, spread, 12, MR_OPTIONAL, "rss | software | single: how flows reach workers") \
	F(T, NAME, kernel_ifname, 13, MR_OPTIONAL, "TAP interface of the exception path") \
	F(T, U64, rx_packets, 20, MR_OPTIONAL, "") \
	F(T, U64, rx_bytes, 21, MR_OPTIONAL, "") \
	F(T, U64, tx_packets, 22, MR_OPTIONAL, "") \
	F(T, U64, tx_bytes, 23, MR_OPTIONAL, "") \
	F(T, U64, rx_missed, 24, MR_OPTIONAL, "dropped by the device: queue full") \
	F(T, U64, rx_errors, 25, MR_OPTIONAL, "") \
	F(T, U64, rx_no_mbuf, 26, MR_OPTIONAL, "") \
	F(T, U64, tx_errors, 27, MR_OPTIONAL, "")
MR_MSG(mr_port_row, MR_PORT_ROW_FIELDS)

#define MR_COUNTER_ROW_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "as in counters.h") \
	F(T, NAME, unit, 3, MR_REQUIRED, "") \
	F(T, U8, is_drop, 4, MR_REQUIRED, "1 = a reason packets were dropped for") \
	F(T, U64, value, 5, MR_REQUIRED, "sum over workers") \
	F(T, TEXT, help, 6, MR_OPTIONAL, "")
MR_MSG(mr_counter_row, MR_COUNTER_ROW_FIELDS)

/* Of the TCP that serves caches, sums over workers: what it uses now of what it has, and what it counts. */
enum mr_tcp_group { MR_TCP_USAGE = 1, MR_TCP_STACK = 2, MR_TCP_SERVING = 3 };

#define MR_TCP_ROW_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "") \
	F(T, U8, group, 3, MR_REQUIRED, "enum mr_tcp_group") \
	F(T, U64, value, 4, MR_REQUIRED, "usage: now") \
	F(T, U64, max, 5, MR_OPTIONAL, "usage: at most; 0: there is no TCP here") \
	F(T, TEXT, help, 6, MR_OPTIONAL, "")
MR_MSG(mr_tcp_row, MR_TCP_ROW_FIELDS)

#define MR_SERVICE_ROW_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "service") \
	F(T, U64, conns, 3, MR_REQUIRED, "now") \
	F(T, U64, conns_total, 4, MR_REQUIRED, "") \
	F(T, U64, rx_packets, 5, MR_REQUIRED, "from clients") \
	F(T, U64, rx_bytes, 6, MR_REQUIRED, "from clients, whole frames") \
	F(T, U64, tx_packets, 7, MR_REQUIRED, "to clients (none with direct return)") \
	F(T, U64, tx_bytes, 8, MR_REQUIRED, "to clients, whole frames") \
	F(T, U64, drops, 9, MR_REQUIRED, "packets of this service dropped") \
	F(T, U64, acl_drops, 10, MR_OPTIONAL, \
		"of these: its allow and deny lists keep the client out") \
	F(T, U16, path_mtu, 11, MR_OPTIONAL, "the smallest of its backends, now; 0: no tunnel") \
	F(T, U64, requests, 12, MR_OPTIONAL, "of a cache: requests, several in a packet or not")
MR_MSG(mr_service_row, MR_SERVICE_ROW_FIELDS)

#define MR_BACKEND_ROW_FIELDS(F, T) \
	F(T, NAME, service, 2, MR_REQUIRED, "") \
	F(T, NAME, name, 3, MR_REQUIRED, "") \
	F(T, U64, conns, 4, MR_REQUIRED, "now") \
	F(T, U64, conns_total, 5, MR_REQUIRED, "") \
	F(T, U64, rx_packets, 6, MR_REQUIRED, "to the backend") \
	F(T, U64, rx_bytes, 7, MR_REQUIRED, "to the backend") \
	F(T, U64, tx_packets, 8, MR_REQUIRED, "from the backend (none with direct return)") \
	F(T, U64, tx_bytes, 9, MR_REQUIRED, "from the backend") \
	F(T, U64, opened, 10, MR_OPTIONAL, "SYNs it answered (none with direct return)") \
	F(T, U64, open_failures, 11, MR_OPTIONAL, \
		"flows it refused, did not answer, or was unreachable for") \
	F(T, U16, path_mtu, 12, MR_OPTIONAL, "of its tunnel, now; 0: none")
MR_MSG(mr_backend_row, MR_BACKEND_ROW_FIELDS)

/* Empty strings, family 0 and a field that is 0 match everything. */
#define MR_CONN_FILTER_FIELDS(F, T) \
	F(T, NAME, service, 2, MR_OPTIONAL, "only this service") \
	F(T, NAME, backend, 3, MR_OPTIONAL, "only this backend") \
	F(T, IP, client, 4, MR_OPTIONAL, "only this client, or clients of this prefix") \
	F(T, U8, state, 5, MR_OPTIONAL, "only this enum mr_conn_state; 0 = all") \
	F(T, U32, limit, 6, MR_OPTIONAL, "rows; 0 = the dataplane's limit") \
	F(T, U8, count_only, 7, MR_OPTIONAL, \
		"1 = a row per (service, backend, state), 2 = a row per client; how many is in count") \
	F(T, U8, client_len, 8, MR_OPTIONAL, "bits of client that count; 0 = the whole address") \
	F(T, U32, age_min_ms, 9, MR_OPTIONAL, "began at least so long ago") \
	F(T, U32, age_below_ms, 10, MR_OPTIONAL, "began less long ago than this") \
	F(T, U32, idle_min_ms, 11, MR_OPTIONAL, "last packet at least so long ago") \
	F(T, U32, idle_below_ms, 12, MR_OPTIONAL, "last packet less long ago than this") \
	F(T, U8, len4, 13, MR_OPTIONAL, "count_only 2: bits of IPv4 clients; 0 = 32") \
	F(T, U8, len6, 14, MR_OPTIONAL, "count_only 2: bits of IPv6 clients; 0 = 128") \
	F(T, U8, all, 15, MR_OPTIONAL, "CONN_KILL: 1 = all, when nothing above says which") \
	F(T, U8, served, 16, MR_OPTIONAL, "1 = only TCP connections that end here, at a cache")
MR_MSG(mr_conn_filter, MR_CONN_FILTER_FIELDS)

#define MR_CONN_EXPIRES_NEVER UINT32_MAX

/* Of a connection that ends here, at a cache: no backend, no packets and nothing of the way to a backend, but the fields from
 * tcp_state on, which others do not have. Bytes are of the payload. */
#define MR_CONN_ROW_FIELDS(F, T) \
	F(T, NAME, service, 2, MR_REQUIRED, "") \
	F(T, NAME, backend, 3, MR_REQUIRED, "") \
	F(T, U8, proto, 4, MR_REQUIRED, "enum mr_proto") \
	F(T, U8, state, 5, MR_REQUIRED, "enum mr_conn_state") \
	F(T, IP, client, 6, MR_OPTIONAL, "") \
	F(T, U16, client_port, 7, MR_OPTIONAL, "") \
	F(T, IP, vip, 8, MR_OPTIONAL, "") \
	F(T, U16, vip_port, 9, MR_OPTIONAL, "") \
	F(T, IP, snat, 10, MR_OPTIONAL, "full NAT: source address towards the backend") \
	F(T, U16, snat_port, 11, MR_OPTIONAL, "") \
	F(T, IP, backend_ip, 12, MR_OPTIONAL, "") \
	F(T, U16, backend_port, 13, MR_OPTIONAL, "") \
	F(T, U16, worker, 14, MR_OPTIONAL, "owner") \
	F(T, U32, idle_ms, 15, MR_OPTIONAL, "since the last packet") \
	F(T, U32, expires_ms, 16, MR_OPTIONAL, "until idle expiry; MR_CONN_EXPIRES_NEVER") \
	F(T, U64, packets, 17, MR_OPTIONAL, "both directions") \
	F(T, U64, count, 18, MR_OPTIONAL, "with count_only") \
	F(T, U32, age_ms, 19, MR_OPTIONAL, "since it began; wraps after 49 days") \
	F(T, NAME, tcp_state, 20, MR_OPTIONAL, "RFC 9293 3.3.2: ESTABLISHED, …") \
	F(T, U32, srtt_us, 21, MR_OPTIONAL, "smoothed round-trip time; 0 = not measured yet") \
	F(T, U32, rto_us, 22, MR_OPTIONAL, "retransmission time-out") \
	F(T, U32, cwnd_bytes, 23, MR_OPTIONAL, "congestion window") \
	F(T, U32, in_flight_bytes, 24, MR_OPTIONAL, "sent, not acknowledged, not known as lost") \
	F(T, U32, queued_bytes, 25, MR_OPTIONAL, \
		"of answers that are not acknowledged, sent or not") \
	F(T, U32, unread_bytes, 26, MR_OPTIONAL, "of requests, received and not looked at yet") \
	F(T, U32, partial_bytes, 27, MR_OPTIONAL, "of a request that is not whole") \
	F(T, U64, retransmits, 28, MR_OPTIONAL, "segments sent again") \
	F(T, U64, requests, 29, MR_OPTIONAL, "answered")
MR_MSG(mr_conn_row, MR_CONN_ROW_FIELDS)

#define MR_CONN_KILL_ROW_FIELDS(F, T) F(T, U64, killed, 2, MR_REQUIRED, "connections removed")
MR_MSG(mr_conn_kill_row, MR_CONN_KILL_ROW_FIELDS)

#define MR_EXPLAIN_FIELDS(F, T) \
	F(T, U8, proto, 2, MR_REQUIRED, "enum mr_proto") \
	F(T, IP, client, 3, MR_REQUIRED, "source address of the packet") \
	F(T, U16, client_port, 4, MR_REQUIRED, "") \
	F(T, IP, vip, 5, MR_REQUIRED, "destination address, same family") \
	F(T, U16, vip_port, 6, MR_REQUIRED, "") \
	F(T, U8, segment, 7, MR_OPTIONAL, "1 = TCP without SYN: a packet that begins no flow")
MR_MSG(mr_explain, MR_EXPLAIN_FIELDS)

#define MR_EXPLAIN_NO_LIMIT UINT32_MAX

/* What would become of a packet, and why. Counts and limits are the owner's alone. What does not apply is 0 or
 * empty. */
#define MR_EXPLAIN_ROW_FIELDS(F, T) \
	F(T, U8, verdict, 2, MR_REQUIRED, "enum mr_verdict") \
	F(T, NAME, drop, 3, MR_OPTIONAL, "dropped: the reason, as in counters.h") \
	F(T, TEXT, drop_help, 4, MR_OPTIONAL, "dropped: what the reason means") \
	F(T, NAME, address, 5, MR_OPTIONAL, \
		"what the destination is: virtual | snat | own | none") \
	F(T, NAME, service, 6, MR_OPTIONAL, "") \
	F(T, U8, mode, 7, MR_OPTIONAL, "enum mr_mode: of the entry, else of the service") \
	F(T, U8, scheduler, 8, MR_OPTIONAL, "enum mr_sched") \
	F(T, U16, worker, 9, MR_OPTIONAL, "owner of the flow") \
	F(T, U16, n_workers, 10, MR_OPTIONAL, "0: the packet is not steered") \
	F(T, U32, rss_hash, 11, MR_OPTIONAL, "Toeplitz hash of addresses and ports") \
	F(T, U8, has_entry, 12, MR_OPTIONAL, "1 = the flow is known") \
	F(T, U8, conn_state, 13, MR_OPTIONAL, "enum mr_conn_state, of the entry") \
	F(T, NAME, conn_backend, 14, MR_OPTIONAL, "of the entry") \
	F(T, U32, age_ms, 15, MR_OPTIONAL, "of the entry") \
	F(T, U32, idle_ms, 16, MR_OPTIONAL, "of the entry") \
	F(T, U32, expires_ms, 17, MR_OPTIONAL, "of the entry") \
	F(T, U64, packets, 18, MR_OPTIONAL, "of the entry") \
	F(T, U8, is_new, 19, MR_OPTIONAL, "1 = the packet begins a flow") \
	F(T, U8, is_stateless, 20, MR_OPTIONAL, "1 = forwarded by hash, without an entry") \
	F(T, U64, service_conns, 21, MR_OPTIONAL, "now") \
	F(T, U32, service_conns_max, 22, MR_OPTIONAL, "MR_EXPLAIN_NO_LIMIT") \
	F(T, U32, flows_left, 23, MR_OPTIONAL, \
		"new flows the service takes at once; MR_EXPLAIN_NO_LIMIT") \
	F(T, U32, source_left, 24, MR_OPTIONAL, "of this source; MR_EXPLAIN_NO_LIMIT") \
	F(T, U64, flow_hash, 25, MR_OPTIONAL, "of what the service hashes") \
	F(T, NAME, scheduled, 26, MR_OPTIONAL, "backend that the scheduler names for a new flow") \
	F(T, NAME, backend, 27, MR_OPTIONAL, "where the packet goes") \
	F(T, IP, backend_ip, 28, MR_OPTIONAL, "") \
	F(T, U16, backend_port, 29, MR_OPTIONAL, "") \
	F(T, U8, backend_state, 30, MR_OPTIONAL, "enum mr_backend_state; 0 = left the model") \
	F(T, U16, backend_weight, 31, MR_OPTIONAL, "") \
	F(T, U64, backend_conns, 32, MR_OPTIONAL, "now") \
	F(T, U32, backend_conns_max, 33, MR_OPTIONAL, "MR_EXPLAIN_NO_LIMIT") \
	F(T, NAME, port, 34, MR_OPTIONAL, "logical port to the backend") \
	F(T, IP, next_hop, 35, MR_OPTIONAL, "the backend or a gateway") \
	F(T, U8, neigh_state, 36, MR_OPTIONAL, "enum mr_neigh_state, of the next hop") \
	F(T, MAC, mac, 37, MR_OPTIONAL, "of the next hop") \
	F(T, IP, snat, 38, MR_OPTIONAL, "full NAT: source address towards the backend") \
	F(T, U16, snat_port, 39, MR_OPTIONAL, "full NAT: a new flow's if it came now") \
	F(T, NAME, answer_port, 40, MR_OPTIONAL, \
		"NAT: logical port to the client; empty: no route") \
	F(T, IP, answer_next_hop, 41, MR_OPTIONAL, "NAT: the client or a gateway") \
	F(T, U8, answer_neigh_state, 42, MR_OPTIONAL, "enum mr_neigh_state; 0: not known yet") \
	F(T, U32, syns_left, 43, MR_OPTIONAL, \
		"SYNs the service takes at once without cookies; MR_EXPLAIN_NO_LIMIT") \
	F(T, U8, may_be_cookie, 44, MR_OPTIONAL, \
		"1 = dropped, unless it brings a SYN cookie, which its bytes alone tell") \
	F(T, U32, packets_left, 45, MR_OPTIONAL, \
		"packets of clients the service takes at once; MR_EXPLAIN_NO_LIMIT")
MR_MSG(mr_explain_row, MR_EXPLAIN_ROW_FIELDS)

/* One capture at a time. Packets wait in the dataplane until they are read; it ends by itself when nobody has for
 * ten seconds. */
#define MR_CAPTURE_FIELDS(F, T) \
	F(T, U8, points, 2, MR_REQUIRED, "sum of 1 << enum mr_point; a trace stands alone") \
	F(T, NAME, port, 3, MR_OPTIONAL, "only this logical port") \
	F(T, U16, snaplen, 4, MR_OPTIONAL, "bytes of each packet; 0 = MR_CAPTURE_SNAPLEN") \
	F(T, DATA, filter, 5, MR_OPTIONAL, \
		"classic BPF, 8 bytes an instruction: code:u16 jt:u8 jf:u8 k:u32; none = all")
MR_MSG(mr_capture, MR_CAPTURE_FIELDS)

#define MR_CAPTURE_SNAPLEN 256u
#define MR_CAPTURE_ROWS_MAX 256u

#define MR_CAPTURE_KEY_FIELDS(F, T) F(T, U64, id, 2, MR_REQUIRED, "of the capture, from its start")
MR_MSG(mr_capture_key, MR_CAPTURE_KEY_FIELDS)

/* READ: what has come since, in order of time, at most MR_CAPTURE_ROWS_MAX. */
#define MR_PACKET_ROW_FIELDS(F, T) \
	F(T, U64, time_ns, 2, MR_REQUIRED, "since 1970") \
	F(T, U8, point, 3, MR_REQUIRED, "enum mr_point") \
	F(T, NAME, port, 4, MR_REQUIRED, "logical port; of a drop the one it came in by") \
	F(T, U16, worker, 5, MR_REQUIRED, "") \
	F(T, U32, len_bytes, 6, MR_REQUIRED, "whole frame") \
	F(T, NAME, drop, 7, MR_OPTIONAL, "reason, as in counters.h") \
	F(T, DATA, data, 8, MR_REQUIRED, "from the Ethernet header on, as far as snaplen")
MR_MSG(mr_packet_row, MR_PACKET_ROW_FIELDS)

/* TRACE_READ: the same of a trace. What does not apply is 0 or empty. */
#define MR_TRACE_ROW_FIELDS(F, T) \
	F(T, U64, time_ns, 2, MR_REQUIRED, "since 1970") \
	F(T, U16, worker, 3, MR_REQUIRED, "where it ended") \
	F(T, NAME, port, 4, MR_REQUIRED, "logical port it came in by") \
	F(T, U32, len_bytes, 5, MR_REQUIRED, "whole frame, as it came") \
	F(T, U16, ether_type, 6, MR_REQUIRED, "") \
	F(T, IP, src, 7, MR_OPTIONAL, "as it came; no IP: none") \
	F(T, IP, dst, 8, MR_OPTIONAL, "") \
	F(T, U16, sport, 9, MR_OPTIONAL, "") \
	F(T, U16, dport, 10, MR_OPTIONAL, "") \
	F(T, U8, ip_proto, 11, MR_OPTIONAL, "number of layer 4") \
	F(T, U8, is_handed_over, 12, MR_OPTIONAL, "1 = by the worker that received it") \
	F(T, U8, kind, 13, MR_OPTIONAL, "enum mr_trace_kind") \
	F(T, NAME, service, 14, MR_OPTIONAL, "") \
	F(T, U8, flow, 15, MR_OPTIONAL, "enum mr_trace_flow") \
	F(T, NAME, backend, 16, MR_OPTIONAL, "") \
	F(T, U8, mode, 17, MR_OPTIONAL, "enum mr_mode") \
	F(T, U8, verdict, 18, MR_REQUIRED, "enum mr_verdict") \
	F(T, NAME, out_port, 19, MR_OPTIONAL, "forwarded, held, answered: logical port") \
	F(T, NAME, drop, 20, MR_OPTIONAL, "reason, as in counters.h")
MR_MSG(mr_trace_row, MR_TRACE_ROW_FIELDS)

#define MR_CAPTURE_END_FIELDS(F, T) \
	F(T, U64, captured, 2, MR_REQUIRED, "packets") \
	F(T, U64, missed, 3, MR_REQUIRED, "packets that matched and found no room")
MR_MSG(mr_capture_end, MR_CAPTURE_END_FIELDS)

#define MR_NEIGH_ROW_FIELDS(F, T) \
	F(T, NAME, port, 2, MR_REQUIRED, "logical port") \
	F(T, IP, ip, 3, MR_REQUIRED, "") \
	F(T, MAC, mac, 4, MR_OPTIONAL, "") \
	F(T, U8, state, 5, MR_REQUIRED, "enum mr_neigh_state") \
	F(T, U32, age_ms, 6, MR_OPTIONAL, "since confirmed")
MR_MSG(mr_neigh_row, MR_NEIGH_ROW_FIELDS)

#define MR_WORKER_ROW_FIELDS(F, T) \
	F(T, U16, worker, 2, MR_REQUIRED, "") \
	F(T, U16, lcore, 3, MR_REQUIRED, "EAL lcore") \
	F(T, U64, loops, 4, MR_REQUIRED, "") \
	F(T, U64, busy_loops, 5, MR_REQUIRED, "loops that received a packet") \
	F(T, U64, sleeps, 6, MR_REQUIRED, "idle policy: times slept") \
	F(T, U64, rx_packets, 7, MR_REQUIRED, "") \
	F(T, U64, tx_packets, 8, MR_REQUIRED, "") \
	F(T, U64, handed_over, 9, MR_REQUIRED, "packets passed to their owner") \
	F(T, U64, conns, 10, MR_REQUIRED, "now") \
	F(T, U64, conns_max, 11, MR_REQUIRED, "") \
	F(T, U64, timed_packets, 12, MR_REQUIRED, "received in the loops that were timed") \
	F(T, U64, rx_cycles, 13, MR_REQUIRED, "of these loops: of the time stamp counter") \
	F(T, U64, parse_cycles, 14, MR_REQUIRED, "") \
	F(T, U64, classify_cycles, 15, MR_REQUIRED, "") \
	F(T, U64, answer_cycles, 16, MR_REQUIRED, "") \
	F(T, U64, serve_cycles, 17, MR_REQUIRED, "") \
	F(T, U64, balance_cycles, 18, MR_REQUIRED, "") \
	F(T, U64, finish_cycles, 19, MR_REQUIRED, "") \
	F(T, U64, timers_cycles, 20, MR_REQUIRED, "") \
	F(T, U64, tx_cycles, 21, MR_REQUIRED, "")
MR_MSG(mr_worker_row, MR_WORKER_ROW_FIELDS)
