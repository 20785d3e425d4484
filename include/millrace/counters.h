/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * counters — every dataplane-wide counter, declared once: symbol, unit, help. The lists expand to
 * fields of the per-worker struct tally (dataplane/core/tally.h), to the rows of the COUNTERS
 * request and to the CLI's `drops`. Workers write their own copy with plain increments; the manager
 * sums. Every packet that does not leave is counted under exactly one drop reason, so that at rest
 *
 *     rx + injected + generated == tx + punted + consumed + held + sum of drops
 *
 * where held is the number of packets waiting for a neighbour (held - released), for their first
 * fragment (fragments_held - fragments_released) or in a mailbox.
 */

#define MR_COUNTERS(X) \
	X(rx, packets, "received from the ports") \
	X(rx_bytes, bytes, "received from the ports") \
	X(tx, packets, "accepted by the ports for sending") \
	X(tx_bytes, bytes, "accepted by the ports for sending") \
	X(injected, packets, "taken from the kernel side, to be sent") \
	X(generated, packets, \
		"made here: neighbour solicitations, resets, copies to learn from, further answers of caches") \
	X(punted, packets, "given to the kernel side") \
	X(consumed, packets, \
		"ended here: neighbour messages that the kernel side did not take, news of path MTUs, " \
		"requests that want no answer") \
	X(held, packets, "put in a neighbour's hold queue") \
	X(released, packets, "taken out of a hold queue, sent or dropped") \
	X(fragments, packets, "fragments other than the first whose flow was found") \
	X(fragments_held, packets, "fragments kept until the first one of their datagram comes") \
	X(fragments_released, packets, "kept fragments that followed their first one, or dropped") \
	X(handed_over, packets, "passed to the worker that owns the flow") \
	X(arp_replies, packets, "ARP requests answered") \
	X(nd_replies, packets, "neighbour solicitations answered") \
	X(echo_replies, packets, "ICMP and ICMPv6 echo requests answered") \
	X(too_big_replies, packets, \
		"packets answered with ICMP or ICMPv6: with what is put in too big for the path") \
	X(icmp_errors, packets, "ICMP errors passed on to the backend or client of their flow") \
	X(pmtu_learned, packets, \
		"ICMP messages that lowered the path MTU of tunnels to a backend") \
	X(mss_clamped, packets, "SYN and SYN+ACK whose maximum segment size was lowered") \
	X(proxy_headers, packets, "client's packets that got a PROXY header") \
	X(toa_options, packets, "client's segments that got its address as an option") \
	X(toa_skipped, packets, "client's segments without room for its address as an option") \
	X(conn_hits, packets, "packets of balanced services with a connection entry") \
	X(conn_created, flows, "connection entries created") \
	X(conn_expired, flows, "connection entries removed by time") \
	X(conn_killed, flows, "connection entries removed by an operator") \
	X(conn_reused, flows, "entries given to a new flow of the same addresses and ports") \
	X(conn_moved, flows, "flows of a backend that is down given to another, in their midst") \
	X(syn_cookies_sent, packets, \
		"SYNs above a service's syn_cookies answered without an entry") \
	X(syn_cookies_accepted, flows, "flows whose client sent its cookie back") \
	X(resets_sent, packets, "TCP resets to clients whose backend is down or evicted") \
	X(stateless, packets, "forwarded by consistent hash: table full, or above an insert_rate") \
	X(quic_by_id, packets, \
		"to the backend that the server id in the QUIC connection id names") \
	X(quic_unknown_id, packets, \
		"whose connection id names no backend that serves: by address") \
	X(probes_sent, packets, "of health checks by the path of a service, sent to their backend")

#define MR_DROPS(X) \
	X(short_frame, "frame shorter than its headers say") \
	X(bad_ip_header, "IP version, header length or total length is wrong") \
	X(bad_ip_checksum, "IPv4 header checksum is wrong") \
	X(bad_ip_source, "source address is multicast, loopback, unspecified or one of ours") \
	X(backend_source, "new flow from a backend's address by another port than the backend's") \
	X(bad_l4_header, "TCP or UDP header is truncated or malformed") \
	X(ttl, "time to live or hop limit ran out") \
	X(fragment_tiny, "first fragment that cuts the TCP or UDP header, or one inside of it") \
	X(fragment_bad, "fragment of a wrong length or end, or of a datagram that had a bad one") \
	X(fragment_overlap, "fragment that overlaps another, or is one that has passed already") \
	X(fragment_limit, "fragment of a source with too many datagrams that are not complete") \
	X(fragment_hold_full, "fragment that came before its first one, and too many wait") \
	X(fragment_told, "fragment of a client whose address would have to be put in") \
	X(fragment_timeout, "fragment whose first one did not come in 5 seconds") \
	X(too_big, "with what is put in longer than the port's MTU, and may not be reported") \
	X(no_headroom, "buffer has no room in front for what is to be put in") \
	X(ip_extension, "IPv6 extension header chain too long or malformed") \
	X(foreign_mac, "destination MAC address is not ours") \
	X(no_service, "virtual address without a service on this port") \
	X(no_backend, "no backend of the service takes new flows") \
	X(acl, "new flow of a client that the service's allow and deny lists keep out") \
	X(source_rate, "new flow of a source above the source_rate of the service") \
	X(service_rate, "new flow above the new_connections_per_second of the service") \
	X(service_packets, "client's packet above the packets_per_second of the service") \
	X(udp_checksum, "datagram to a service of a cache whose checksum is wrong") \
	X(request_fragment, "request to a cache that is cut into fragments") \
	X(mc_frame, "datagram to a cache without memcached's frame header, or one of several") \
	X(mc_request, "datagram to a cache whose request is not whole, or no request") \
	X(reply_rate, "answers to a source above the reply_rate of the service") \
	X(service_limit, "new flow of a service that has its max_connections") \
	X(backend_limit, "new flow of a service whose backends all have their max_connections") \
	X(no_conn, "no connection entry for a packet that cannot start a flow") \
	X(conn_table_full, "connection table full and the service has no stateless fallback") \
	X(snat_exhausted, "no free SNAT port on this worker") \
	X(snat_unknown, "packet to a SNAT address that matches no connection") \
	X(icmp_unsupported, \
		"ICMP message to a virtual or SNAT address, no echo request and no error") \
	X(icmp_quote, "ICMP error whose quoted packet is cut off or malformed") \
	X(icmp_no_flow, "ICMP error about no flow of ours") \
	X(icmp_limited, "ICMP message above the rate limit") \
	X(pmtu_refused, "ICMP message about the size of a tunnel's packet that cannot be true") \
	X(neigh_hold_full, "hold queue of an unresolved neighbour is full") \
	X(neigh_failed, "neighbour did not answer") \
	X(neigh_table_full, "neighbour table is full") \
	X(no_route, "no connected network and no gateway for the address") \
	X(probe_unknown, "from the kernel side to a service, and no probe of a backend of it") \
	X(punt_limited, "kernel side: above the rate of its class") \
	X(punt_full, "kernel side: queue full or interface down") \
	X(punt_disabled, "kernel side: switched off with --kernel-if none") \
	X(mailbox_full, "queue to another worker is full") \
	X(no_mbuf, "packet buffer pool is empty") \
	X(tx_full, "port has no room for the packet, and many wait for some") \
	X(tx_refused, "port's driver cannot have its device do what the packet wants")
