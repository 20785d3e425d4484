#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""udp_echo — a UDP server that answers each datagram with its name and the datagram.

usage: udp_echo.py NAME PORT

The answer leaves from the address that was asked, as that of a server behind direct return must.
"""
import socket
import sys

name, port = sys.argv[1].encode(), int(sys.argv[2])
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
s.bind(("::", port))
while True:
    data, asked, _, peer = s.recvmsg(65535, 256)
    info = [(level, kind, value) for level, kind, value in asked if kind == socket.IPV6_PKTINFO]
    # the address only: an answer may leave by another interface than the one of the address
    info = [(level, kind, value[:16] + bytes(4)) for level, kind, value in info]
    s.sendmsg([name + b" ", data], info, 0, peer)
