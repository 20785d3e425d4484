#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""udp_stream — sends datagrams to a UDP echo service at a steady pace from one socket and counts the answers.

usage: udp_stream.py HOST PORT N PER_SECOND

Prints one JSON object: sent, answered, seconds (from the first one sent to the last answer).
"""
import json
import socket
import sys
import time

host, port, n, per_second = sys.argv[1], *(int(a) for a in sys.argv[2:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((host, port))
s.setblocking(False)
start = last = time.monotonic()
sent = answered = 0
while sent < n or time.monotonic() - last < 1:
    due = min(n, int((time.monotonic() - start) * per_second) + 1)
    try:
        while sent < due:
            s.send(b"%d" % sent)
            sent += 1
            last = time.monotonic()
    except BlockingIOError:
        pass
    try:
        while s.recv(65535):
            answered += 1
            last = time.monotonic()
    except BlockingIOError:
        pass
    time.sleep(0.001)
print(json.dumps({"sent": sent, "answered": answered, "seconds": last - start}))
