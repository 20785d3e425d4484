# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's TCP as a client of echo, discard and chargen.

    tcp_apps.py HOST echo BYTES CONNECTIONS    random bytes there and back at once, then a half-close; all are compared
    tcp_apps.py HOST discard BYTES             sent, then a half-close, and the end comes
    tcp_apps.py HOST chargen BYTES PAUSE       reads nothing for PAUSE seconds, then the lines, which are compared, then the end
    tcp_apps.py HOST leave BYTES               reads so many of chargen and goes without a word
"""
import hashlib
import random
import socket
import sys
import threading
import time

ECHO, DISCARD, CHARGEN = 7, 9, 19
PATIENCE_S = 60


def connect(host, port, rcvbuf=0):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(PATIENCE_S)
    s.connect((host, port))
    return s


def blocks(seed, n):
    r = random.Random(seed)
    while n > 0:
        block = r.randbytes(min(n, r.choice((1, 100, 1448, 10000, 65536, 262144))))
        n -= len(block)
        yield block


def send_all(s, seed, n):
    for block in blocks(seed, n):
        s.sendall(block)
    s.shutdown(socket.SHUT_WR)


def echo_one(host, seed, n, failures):
    try:
        s = connect(host, ECHO)
        sender = threading.Thread(target=send_all, args=(s, seed, n))
        sender.start()
        got, n_got = hashlib.sha256(), 0
        while piece := s.recv(1 << 18):
            got.update(piece)
            n_got += len(piece)
        sender.join()
        want = hashlib.sha256()
        for block in blocks(seed, n):
            want.update(block)
        if n_got != n or got.digest() != want.digest():
            failures.append(f"{n_got} bytes came back of {n}, or others")
    except OSError as e:
        failures.append(str(e))


def echo(host, n, n_conns):
    failures = []
    threads = [threading.Thread(target=echo_one, args=(host, i, n, failures)) for i in range(n_conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return failures


def discard(host, n):
    s = connect(host, DISCARD)
    send_all(s, 5, n)
    return ["something came"] if s.recv(1) else []


def period():
    line = bytes(range(32, 127)) * 2
    return b"".join(line[i:i + 72] + b"\r\n" for i in range(95))


def chargen(host, n, pause):
    s = connect(host, CHARGEN, 65536)
    time.sleep(pause)
    want, n_got = period(), 0
    want_all = want * (2 + (1 << 18) // len(want))
    while n_got < n:
        piece = s.recv(1 << 18)
        at = n_got % len(want)
        if not piece or piece != want_all[at:at + len(piece)]:
            return [f"other bytes from {n_got} on, or an end"]
        n_got += len(piece)
    s.shutdown(socket.SHUT_WR)
    while s.recv(1 << 18):  # what was on its way
        pass
    return []


def leave(host, n):
    s = connect(host, CHARGEN)
    while n > 0:
        n -= len(s.recv(min(n, 1 << 16)))
    s.close()  # with bytes unread: the kernel resets
    return []


def main():
    host, what, numbers = sys.argv[1], sys.argv[2], [float(x) if "." in x else int(x) for x in sys.argv[3:]]
    began = time.monotonic()
    failures = {"echo": echo, "discard": discard, "chargen": chargen, "leave": leave}[what](host, *numbers)
    for f in failures:
        print(f"{what}: {f}", file=sys.stderr)
    print(f"{what} {numbers}: {time.monotonic() - began:.1f} s")
    sys.exit(1 if failures else 0)


main()
