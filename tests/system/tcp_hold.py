# SPDX-License-Identifier: BSD-3-Clause
"""tcp_hold.py HOST PORT KIND N FILE: N connections to a cache, each with one answered request, that are then `idle`, have sent
`part` of a request, or do not `read` the answers to what they asked; says "open" and keeps them until FILE exists. At the
end: how many are still whole, were reset, and were closed."""
import os
import socket
import sys
import time

host, port, kind, n, end = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
held = []
for _ in range(n):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(5)
    s.connect((host, port))
    s.sendall(b"mn\r\n")
    assert s.recv(10) == b"MN\r\n"
    held.append(s)
for s in held:
    if kind == "part":
        s.sendall(b"set part 0 0 100\r\n12345")
    elif kind == "read":
        s.sendall(b"set long 0 0 100000\r\n" + b"x" * 100000 + b"\r\n" + b"get long\r\n" * 5)
print("open", flush=True)
while not os.path.exists(end):
    time.sleep(0.05)
found = {"whole": 0, "reset": 0, "closed": 0}
for s in held:
    try:
        s.settimeout(0.2)
        while kind == "read" and s.recv(65536):
            pass
        found["whole" if s.recv(10) else "closed"] += 1
    except TimeoutError:
        found["whole"] += 1
    except ConnectionResetError:
        found["reset"] += 1
print(found["whole"], found["reset"], found["closed"], flush=True)
