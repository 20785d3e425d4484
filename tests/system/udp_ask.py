#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""udp_ask — asks a UDP service from many sockets, several times each.

usage: udp_ask.py HOST PORT SOCKETS TIMES BYTES

Every datagram must be answered by the same backend for the same socket, with its bytes unchanged. Prints one
JSON object: answers by backend, lost, wrong, moved.
"""
import collections
import json
import os
import socket
import sys


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    n_sockets, times, size = (int(a) for a in sys.argv[3:])
    backends = collections.Counter()
    lost = wrong = moved = 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(n_sockets)]
    for s in sockets:  # all of them at once: a port that is used again would be the flow of before
        s.settimeout(3)
        s.connect((host, port))
    for s in sockets:
        first = None
        for _ in range(times):
            if lost > 10:
                break  # nothing works: say so soon
            data = os.urandom(size)
            s.send(data)
            try:
                name, _, echo = s.recv(65535).partition(b" ")
            except TimeoutError:
                lost += 1
                continue
            wrong += echo != data
            moved += first not in (None, name)
            first = name
        if first:
            backends[first.decode()] += 1
    print(json.dumps({"backends": dict(sorted(backends.items())), "lost": lost, "wrong": wrong, "moved": moved}))


main()
