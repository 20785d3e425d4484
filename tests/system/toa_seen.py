#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""toa_seen — what a server's kernel module would read: the client's address and port in the TCP options that
client_address: toa puts in.

usage: toa_seen.py PORT

Listens on eth0 and prints a line "address port" for each option in a segment to PORT, each once.
"""
import ipaddress
import socket
import struct
import sys

PORT = int(sys.argv[1])
KINDS = {254: (8, 4), 253: (20, 16)}  # kind: bytes of the option, of the address
seen = set()


def tcp_of(frame):
    """The segment's bytes, b"" when it is none. No options of IPv4, no extension headers of IPv6: nobody here sends some."""
    if frame[12:14] == b"\x08\0" and frame[23] == 6:
        return frame[14 + (frame[14] & 15) * 4:]
    return frame[54:] if frame[12:14] == b"\x86\xdd" and frame[20] == 6 else b""


def options(tcp):
    at, end = 20, (tcp[12] >> 4) * 4
    while at + 1 < end and tcp[at] != 0:
        n = 1 if tcp[at] == 1 else tcp[at + 1]
        yield tcp[at], n, tcp[at + 2:at + n]
        at += max(n, 1)


s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("eth0", 0))
print("ready", flush=True)
while True:
    tcp = tcp_of(s.recv(65535))
    if len(tcp) < 20 or struct.unpack(">H", tcp[2:4])[0] != PORT:
        continue
    for kind, n, value in options(tcp):
        size, n_address = KINDS.get(kind, (0, 0))
        if size == n:
            seen_now = f"{ipaddress.ip_address(value[2:2 + n_address])} {struct.unpack('>H', value[:2])[0]}"
            if seen_now not in seen:
                seen.add(seen_now)
                print(seen_now, flush=True)
