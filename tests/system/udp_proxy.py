#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""udp_proxy — a UDP server behind a PROXY header: answers each datagram with its name and what followed the header.

usage: udp_proxy.py NAME PORT

Prints each client's address, as the header has it, once. A datagram without a right header is not answered.
"""
import ipaddress
import socket
import struct
import sys

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
name, port = sys.argv[1].encode(), int(sys.argv[2])
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", port))
seen = set()
while True:
    data, peer = s.recvfrom(65535)
    version, kind, n = struct.unpack(">BBH", data[12:16])
    n_ip = {0x12: 4, 0x22: 16}.get(kind)
    if data[:12] != SIGNATURE or version != 0x21 or n_ip is None or n != 2 * n_ip + 4:
        print("no header", data[:16].hex(), flush=True)
        continue
    client = str(ipaddress.ip_address(data[16:16 + n_ip]))
    if client not in seen:
        seen.add(client)
        print("client", client, flush=True)
    s.sendto(name + b" " + data[16 + n:], peer)
