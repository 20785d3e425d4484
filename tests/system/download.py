#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""download — one HTTP download that lasts as long as it is told to.

usage: download.py HOST PORT PATH OUTPUT UNTIL

Reads slowly, a few packets at a time (24 MB would take five minutes), until the file UNTIL exists; then the rest as fast as it comes. The
body goes to OUTPUT. Fails when the connection breaks, hangs for 10 s or the body is not as long as announced.
"""
import os
import socket
import sys
import time

STEP_BYTES = 8192
STEP_SECONDS = 0.1


def main():
    host, port, path, output, until = sys.argv[1:]
    s = socket.create_connection((host, int(port)), timeout=10)
    s.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    f = s.makefile("rb", buffering=STEP_BYTES)
    if b" 200 " not in f.readline():
        sys.exit("answer is not 200")
    length = 0
    while (line := f.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    got = 0
    with open(output, "wb") as out:
        while (data := f.read(STEP_BYTES)):
            out.write(data)
            got += len(data)
            if not os.path.exists(until):
                time.sleep(STEP_SECONDS)
    if got != length:
        sys.exit(f"{got} of {length} bytes")


main()
