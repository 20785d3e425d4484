#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""bad_frames — sends datagrams to a cache with one wrong checksum each.

usage: bad_frames.py INTERFACE ip|udp N SOURCE DESTINATION MAC
"""
import logging
import socket
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import Ether, IP, Raw, UDP


def main():
    interface, which, n, source, destination, mac = sys.argv[1:]
    frame = bytes(Ether(dst=mac, src="02:00:00:00:00:66") / IP(src=source, dst=destination)
                  / UDP(sport=999, dport=11211) / Raw(b"\0\1\0\0\0\1\0\0get k\r\n"))
    at = {"ip": 24, "udp": 40}[which]
    frame = frame[:at] + bytes([frame[at] ^ 0x5a]) + frame[at + 1:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((interface, 0))
        for _ in range(int(n)):
            s.send(frame)


main()
