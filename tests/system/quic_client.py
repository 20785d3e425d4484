#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""quic_client — connections to quic_server.py that move from one address and port to the next.

usage: quic_client.py HOST PORT CONNECTIONS TIMES SOURCE…

Each connection begins at a port of the first SOURCE and then sends one packet from each of TIMES new ports, of
the SOURCES in turn. Prints one JSON object: connections by backend, lost, and moved: packets that came to a server
other than the connection's.
"""
import collections
import json
import os
import socket
import sys

host, port, n_connections, times = sys.argv[1], *(int(a) for a in sys.argv[2:5])
sources = sys.argv[5:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
backends, lost, moved = collections.Counter(), 0, 0


def ask(source, packet):
    """The answer, None when there was none. The socket stays: nobody gets its port."""
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.bind((source, 0))
    s.connect((host, port))
    sockets.append(s)
    s.send(packet)
    try:
        return s.recv(65535)
    except TimeoutError:
        return None


sockets = []
for _ in range(n_connections):
    dcid, scid = os.urandom(8), os.urandom(4)
    hello = ask(sources[0], b"\xc0\0\0\0\1" + b"\x08" + dcid + b"\x04" + scid + b"hello")
    if hello is None or hello[:11] != b"\xe0\0\0\0\1\x04" + scid + hello[10:11]:
        lost += 1
        continue
    cid, name = hello[11:11 + hello[10]], hello[11 + hello[10]:]
    backends[name.decode()] += 1
    for k in range(times):
        got = ask(sources[k % len(sources)], b"\x40" + cid + b"more")
        lost += got is None
        moved += got not in (None, name + b" friend")
        if lost > 5:
            break  # nothing works: say so soon
    for s in sockets:
        s.close()
    sockets.clear()
print(json.dumps({"backends": dict(sorted(backends.items())), "lost": lost, "moved": moved}))
