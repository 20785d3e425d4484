#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""udp_echo — a UDP server that answers each datagram with its name and the datagram.

usage: udp_echo.py NAME PORT
"""
import socket
import sys

name, port = sys.argv[1].encode(), int(sys.argv[2])
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", port))
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(name + b" " + data, peer)
