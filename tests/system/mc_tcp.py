# SPDX-License-Identifier: BSD-3-Clause
"""mc_tcp — clients of memcached over TCP: pymemcache as it comes, and sockets for what no library would do.

usage: mc_tcp.py HOST PORT library [BYTES]       what an application does with a client library; its longest value, 1 MB
       mc_tcp.py HOST PORT values N BYTES        N values stored and read back, byte by byte; a pipeline of all reads
       mc_tcp.py HOST PORT threads CLIENTS N     each: N times set, get and incr with a library; all sums are right
       mc_tcp.py HOST PORT hold N SECONDS        N connections; each asks once at the beginning and at the end
       mc_tcp.py HOST PORT depth N               N requests in one write, and their answers in order
       mc_tcp.py HOST PORT ask REQUEST…          each with \\r\\n behind it; prints the answers until the server closes
"""
import json
import socket
import sys
import threading
import time

PATTERN = bytes((i * i * 31 + (i >> 8) * 7) & 0xff for i in range(65536))


def value_of(i, n):
    at = i * 1009 % 60000
    return (PATTERN[at:] + PATTERN * (n // len(PATTERN) + 1))[:n]


def connect(host, port):
    return socket.create_connection((host, port), timeout=20)


def read_exactly(s, n):
    parts = []
    while n > 0:
        data = s.recv(min(n, 1 << 20))
        if not data:
            raise SystemExit(f"closed with {n} bytes to come")
        parts.append(data)
        n -= len(data)
    return b"".join(parts)


def check(what, is_right):
    if not is_right:
        raise SystemExit(f"wrong: {what}")


def library(host, port, longest=1000000):
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheServerError

    c = Client((host, port), timeout=20, connect_timeout=5)
    check("version", c.version().startswith(b"1.6.18-millrace"))
    check("flush_all", c.flush_all(noreply=False))
    check("set", c.set("a", b"1", noreply=False))
    check("get", c.get("a") == b"1")
    check("get of nothing", c.get("none") is None)
    check("add", c.add("a", b"2", noreply=False) is False and c.add("b", b"2", noreply=False))
    check("replace", c.replace("b", b"3", noreply=False) and not c.replace("none", b"3", noreply=False))
    check("append, prepend", c.append("b", b">", noreply=False) and c.prepend("b", b"<", noreply=False))
    check("what they made", c.get("b") == b"<3>")
    check("incr, decr", c.incr("a", 41) == 42 and c.decr("a", 2) == 40)
    value, number = c.gets("a")
    check("gets", value == b"40")
    check("cas", c.cas("a", b"41", number, noreply=False) is True)
    check("cas of an old number", c.cas("a", b"42", number, noreply=False) is False)
    check("touch", c.touch("a", 100, noreply=False) and not c.touch("none", 100, noreply=False))
    check("delete", c.delete("a", noreply=False) and not c.delete("a", noreply=False))
    many = {f"m{i}": b"%d" % i * (i % 50 + 1) for i in range(300)}
    check("set_many", c.set_many(many, noreply=False) == [])
    check("get_many", c.get_many(list(many)) == many)
    for i in range(1000):
        c.set(f"q{i}", b"%d" % i, noreply=True)
    check("noreply", c.get_many([f"q{i}" for i in range(1000)]) == {f"q{i}": b"%d" % i for i in range(1000)})
    check("a long one", c.set("big", value_of(1, longest), noreply=False))
    check("it comes back", c.get("big") == value_of(1, longest))
    try:
        c.set("too-big", b"x" * 2000000, noreply=False)
        check("2 MB", False)
    except MemcacheServerError as e:
        check("2 MB", b"too large" in e.args[0])
    check("the connection goes on", c.get("b") == b"<3>")
    stats = c.stats()
    check("stats", stats[b"curr_connections"] >= 1 and stats[b"total_connections"] >= 1)
    c.quit()
    return {"right": True}


def values(host, port, n, size):
    s = connect(host, port)
    begun = time.monotonic()
    for i in range(n):
        s.sendall(b"set v%d 0 0 %d\r\n%s\r\n" % (i, size, value_of(i, size)))
        check(f"set {i}", read_exactly(s, 8) == b"STORED\r\n")
    stored = time.monotonic()
    # as much as the pipeline takes is asked for before anything is read
    sender = threading.Thread(target=s.sendall, args=(b"".join(b"get v%d\r\n" % i for i in range(n)),))
    sender.start()
    for i in range(n):
        head = b"VALUE v%d 0 %d\r\n" % (i, size)
        check(f"head {i}", read_exactly(s, len(head)) == head)
        check(f"value {i}", read_exactly(s, size) == value_of(i, size))
        check(f"end {i}", read_exactly(s, 7) == b"\r\nEND\r\n")
    sender.join()
    mb = n * size / 1e6
    return {"values": n, "mb": mb, "set_mb_s": round(mb / (stored - begun), 1),
            "get_mb_s": round(mb / (time.monotonic() - stored), 1)}


def threads(host, port, n_clients, n):
    from pymemcache.client.base import Client

    wrong = []
    Client((host, port)).set("sum", b"0", noreply=False)

    def run(me):
        c = Client((host, port), timeout=20)
        for i in range(n):
            c.set(f"t{me}", b"%d.%d" % (me, i), noreply=False)
            if c.get(f"t{me}") != b"%d.%d" % (me, i):
                wrong.append((me, i))
            c.incr("sum", 1)
        c.close()

    all_threads = [threading.Thread(target=run, args=(me,)) for me in range(n_clients)]
    for t in all_threads:
        t.start()
    for t in all_threads:
        t.join()
    total = int(Client((host, port)).get("sum"))
    return {"wrong": len(wrong), "sum": total, "right": total == n_clients * n and not wrong}


def hold(host, port, n, seconds):
    sockets = [connect(host, port) for _ in range(n)]
    good = [0, 0]
    for turn in range(2):
        for i, s in enumerate(sockets):
            s.sendall(b"set h%d 0 0 5\r\n%05d\r\nget h%d\r\n" % (i, i, i))
        for i, s in enumerate(sockets):
            want = b"STORED\r\nVALUE h%d 0 5\r\n%05d\r\nEND\r\n" % (i, i)
            good[turn] += read_exactly(s, len(want)) == want
        if turn == 0:
            print(json.dumps({"open": n}), flush=True)
            time.sleep(seconds)
    return {"first": good[0], "second": good[1]}


def depth(host, port, n):
    s = connect(host, port)
    s.sendall(b"set d 0 0 2\r\nok\r\n")
    check("set", read_exactly(s, 8) == b"STORED\r\n")
    sender = threading.Thread(target=s.sendall, args=(b"".join(b"mg d O%d v\r\n" % i for i in range(n)),))
    begun = time.monotonic()
    sender.start()
    for i in range(n):
        want = b"VA 2 O%d\r\nok\r\n" % i
        check(f"answer {i}", read_exactly(s, len(want)) == want)
    sender.join()
    return {"requests": n, "per_s": round(n / (time.monotonic() - begun))}


def ask(host, port, requests):
    s = connect(host, port)
    s.sendall(b"".join(r.encode().decode("unicode_escape").encode("latin-1") + b"\r\n" for r in requests))
    s.shutdown(socket.SHUT_WR)
    try:
        while data := s.recv(1 << 16):
            sys.stdout.write(data.decode("latin-1"))
    except ConnectionResetError:
        sys.stdout.write("RESET\n")


def main():
    host, port, what, *args = sys.argv[1:]
    port = int(port)
    if what == "ask":
        ask(host, port, args)
        return
    run = {"library": library, "values": values, "threads": threads, "hold": hold, "depth": depth}[what]
    print(json.dumps(run(host, port, *map(int, args))))


if __name__ == "__main__":
    main()
