# SPDX-License-Identifier: BSD-3-Clause
"""mc_client — a client of memcached over UDP, as clients are: the frame of eight bytes, answers of many datagrams put together
by their sequence, a request repeated when its answer is lost (never one that adds up).

usage: mc_client.py HOST PORT send REQUEST…             each, with \\r\\n behind it, and what was answered
       mc_client.py HOST PORT fill N BYTES [PREFIX]     N values, by 64 sockets; how many were stored
       mc_client.py HOST PORT check N BYTES [PREFIX]    reads them; how many are there, and whole
       mc_client.py HOST PORT stampede CLIENTS SECONDS  see stampede()
"""
import json
import random
import select
import socket
import struct
import sys
import time

FRAME = struct.Struct("!HHHH")


class Client:
    def __init__(self, host, port, timeout=1.0):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.connect((host, port))
        self.timeout = timeout
        self.id = random.randrange(65536)

    def send(self, data):
        self.id = (self.id + 1) % 65536
        self.sock.send(FRAME.pack(self.id, 0, 1, 0) + data)

    def receive(self):
        """One answer to what was sent last; None: it did not come."""
        parts, total, end = {}, None, time.monotonic() + self.timeout
        while total is None or len(parts) < total:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                return None
            rid, sequence, n, _ = FRAME.unpack(data[:8])
            assert len(data) <= 1400, len(data)
            if rid == self.id:
                total = n
                parts[sequence] = data[8:]
        return b"".join(parts[i] for i in range(total))

    def ask(self, data, tries=3):
        for _ in range(tries):
            self.send(data)
            answer = self.receive()
            if answer is not None:
                return answer
        raise SystemExit(f"no answer to {data[:60]!r}")

    def get(self, key):
        answer = self.ask(b"get %s\r\n" % key)
        if answer == b"END\r\n":
            return None
        head, rest = answer.split(b"\r\n", 1)
        n = int(head.split(b" ")[3])
        assert rest[n:] == b"\r\nEND\r\n", answer[-20:]
        return rest[:n]


def value_of(i, n):
    return (b"%010d" % i * (n // 10 + 1))[:n]


def fill(host, port, n, size, prefix=b"key:"):
    clients = [Client(host, port) for _ in range(64)]
    stored = 0
    for first in range(0, n, 64):
        batch = list(zip(clients, range(first, min(first + 64, n))))
        for c, i in batch:
            c.send(b"set %s%d 0 0 %d\r\n%s\r\n" % (prefix, i, size, value_of(i, size)))
        stored += sum(c.receive() == b"STORED\r\n" for c, _ in batch)
    return {"asked": n, "stored": stored}


def check(host, port, n, size, prefix=b"key:"):
    c = Client(host, port)
    found = wrong = 0
    for first in range(0, n, 50):
        batch = range(first, min(first + 50, n))
        got = dict.fromkeys(batch)
        rest = c.ask(b"get %s\r\n" % b" ".join(prefix + b"%d" % i for i in batch))
        while rest != b"END\r\n":
            head, rest = rest.split(b"\r\n", 1)
            _, key, _, length = head.split(b" ")
            got[int(key[len(prefix):])], rest = rest[:int(length)], rest[int(length) + 2:]
        found += sum(v is not None for v in got.values())
        wrong += sum(v is not None and v != value_of(i, size) for i, v in got.items())
    return {"asked": n, "found": found, "wrong": wrong}


def stampede(host, port, n, seconds):
    """n clients read one key again and again, each once in about 50 ms. Who misses computes the value, which takes 300 ms, and stores it
    for 3 s. How many computed it, and how many of them at once; how many reads were misses, after the first value was there."""
    sockets = [Client(host, port) for _ in range(n)]
    by_fd = {c.sock.fileno(): c for c in sockets}
    poll = select.poll()
    for c in sockets:
        c.sock.setblocking(False)
        c.next, c.asked, c.computes = time.monotonic() + random.random() * 0.05, None, None
        poll.register(c.sock, select.POLLIN)
    store = b"set hot 0 3 5\r\nvalue\r\n"
    sockets[0].sock.setblocking(True)
    sockets[0].ask(store)
    sockets[0].sock.setblocking(False)
    begun = time.monotonic()
    computing = most = recomputations = misses = hits = 0
    while (now := time.monotonic()) < begun + seconds:
        for c in sockets:
            if c.computes is not None:
                if now >= c.computes:
                    c.computes = None
                    c.send(store)
                    computing -= 1
                    c.next = now + 0.05
            elif now >= c.next and (c.asked is None or now > c.asked + 1):
                c.send(b"get hot\r\n")
                c.asked, c.next = now, now + random.uniform(0.04, 0.06)
        for fd, _ in poll.poll(2):
            c = by_fd[fd]
            data = c.sock.recv(2048)[8:]
            if data == b"STORED\r\n" or c.asked is None:
                continue
            c.asked = None
            if data == b"END\r\n":
                misses += 1
                recomputations += 1
                computing += 1
                most = max(most, computing)
                c.computes = now + 0.3
            else:
                hits += 1
    return {"clients": n, "hits": hits, "misses": misses, "recomputations": recomputations, "most_at_once": most}


def main():
    host, port, what, *args = sys.argv[1:]
    port = int(port)
    if what == "send":
        c = Client(host, port)
        for request in args:
            data = request.encode().decode("unicode_escape").encode("latin-1") + b"\r\n"
            sys.stdout.write(c.ask(data, tries=1 if b"incr" in data else 3).decode("latin-1"))
    else:
        more = [a.encode() for a in args[2:]]
        run = {"fill": fill, "check": check, "stampede": stampede}[what]
        print(json.dumps(run(host, port, *map(int, args[:2]), *more)))


main()
