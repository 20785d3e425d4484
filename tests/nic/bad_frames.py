#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""bad_frames — sends datagrams to a cache with a wrong checksum of their IPv4 header, and as many with one of UDP.

usage: bad_frames.py INTERFACE N SOURCE DESTINATION MAC
"""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(mac, source, destination, ip_error, udp_error):
    payload = b"\0\1\0\0\0\1\0\0get k\r\n\0"  # of even length
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", 999, 11211, length, 0)
    udp_sum = checksum(addresses + struct.pack("!HH", socket.IPPROTO_UDP, length) + udp + payload)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, socket.IPPROTO_UDP, 0)
    ip_sum = checksum(ip + addresses)
    return (bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x66\x08\0"
            + ip[:10] + struct.pack("!H", ip_sum ^ ip_error) + addresses
            + udp[:6] + struct.pack("!H", udp_sum ^ udp_error) + payload)


def main():
    interface, n, source, destination, mac = sys.argv[1:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((interface, 0))
        for errors in ((0x5a00, 0), (0, 0x5a00), (0, 0)):
            for _ in range(int(n)):
                s.send(frame(mac, source, destination, *errors))


main()
