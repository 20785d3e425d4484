# SPDX-License-Identifier: BSD-3-Clause
"""hold.py HOST PORT N FILE: opens N connections at once, says how many came about within half a second, and keeps
them until FILE exists."""
import os
import selectors
import socket
import sys
import time

host, port, n, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sel = selectors.DefaultSelector()
up = []
for _ in range(n):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((host, port))
    sel.register(s, selectors.EVENT_WRITE)
until = time.monotonic() + 0.5
while len(up) < n and time.monotonic() < until:
    for key, _ in sel.select(timeout=0.05):
        if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            up.append(key.fileobj)
        sel.unregister(key.fileobj)
for key in list(sel.get_map().values()):  # these would come about later, when they try again
    sel.unregister(key.fileobj)
    key.fileobj.close()
print(len(up), flush=True)
while not os.path.exists(end):
    time.sleep(0.05)
