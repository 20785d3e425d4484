#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""soak_client — the clients of soak.sh: short and long TCP connections, UDP, datagrams in fragments, QUIC-like
connections that change their port, and connections to a cache, all at a low rate, until a file exists.

usage: soak_client.py UNTIL TOTALS FAILURES

TOTALS is a JSON object of counts, written anew every second: requests of each kind, and `moved`, answers of
another backend than the flow's first. FAILURES gets a line for each failure: when the request began and ended
(seconds since 1970), service, kind, what.
"""
import asyncio
import collections
import json
import os
import random
import sys
import time

until, totals_path, failures_path = sys.argv[1:]
WEB = {"shop": ("10.1.0.80", 80), "shop6": ("fd00:1::80", 80), "direct": ("10.1.0.90", 8080),
       "direct6": ("fd00:1::90", 8080), "dnat": ("10.1.0.81", 80), "dnat6": ("fd00:1::81", 80),
       "guest": ("10.1.0.82", 80)}
DNS = {"dns": ("10.1.0.80", 53), "dns6": ("fd00:1::80", 53), "dnsd": ("10.1.0.90", 5353)}
QUIC = ("10.1.0.80", 443)
CACHE = {"cache": ("10.1.0.83", 11211), "cache6": ("fd00:1::83", 11211), "guest": ("10.1.0.84", 11211)}
TIMEOUT = 8
counts = collections.Counter()
failures = open(failures_path, "a", buffering=1)


def is_over():
    return os.path.exists(until)


def failed(began, service, kind, what):
    counts["failed"] += 1
    failures.write(f"{began:.3f} {time.time():.3f} {service} {kind} {what}\n")


async def short(service):
    host, port = WEB[service]
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET / HTTP/1.0\r\nHost: soak\r\n\r\n")
        answer = await reader.read()
        if b" 200 " not in answer.split(b"\r\n")[0]:
            raise ConnectionError(f"answer of {len(answer)} bytes is not 200")
    finally:
        writer.close()


async def long(service):
    """A slow download, left before its end; it may stand still for as long as TCP is allowed to."""
    host, port = WEB[service]
    reader, writer = await asyncio.open_connection(host, port, limit=8192)
    end = time.monotonic() + random.uniform(5, 40)
    try:
        writer.write(b"GET /big HTTP/1.0\r\nHost: soak\r\n\r\n")
        while time.monotonic() < end and not is_over():
            if not await asyncio.wait_for(reader.read(8192), TIMEOUT):
                raise ConnectionError("ended in its midst")
            await asyncio.sleep(0.1)
    finally:
        writer.close()


class Ask(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()

    def datagram_received(self, data, _):
        self.answers.put_nowait(data)


async def ask(protocol, transport, data):
    transport.sendto(data)
    return await asyncio.wait_for(protocol.answers.get(), TIMEOUT)


async def datagrams(service, size):
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Ask, remote_addr=DNS[service])
    first = None
    try:
        for _ in range(10):
            data = os.urandom(size)
            name, _, echo = (await ask(protocol, transport, data)).partition(b" ")
            if echo != data:
                raise ConnectionError("another datagram than was sent")
            counts["moved"] += first not in (None, name)
            first = name
            await asyncio.sleep(random.uniform(0, 0.3))
    finally:
        transport.close()


async def quic():
    """A connection, each packet from another port."""
    cid = first = None
    for _ in range(12):
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Ask, remote_addr=QUIC)
        try:
            if cid is None:
                got = await ask(protocol, transport,
                                b"\xc0\0\0\0\1\x08" + os.urandom(8) + b"\x04" + os.urandom(4) + b"hello")
                cid, first = got[11:11 + got[10]], got[11 + got[10]:]
            else:
                got = await ask(protocol, transport, b"\x40" + cid + b"more")
                counts["moved"] += got != first + b" friend"
        finally:
            transport.close()
        await asyncio.sleep(random.uniform(0, 0.2))


async def cached(service):
    """A connection to a cache: pipelines of what only it stores, read back, up to values of 200 KB; then it ends in one of the ways
    there are."""
    host, port = CACHE[service]
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    me, end = os.urandom(6).hex().encode(), time.monotonic() + random.uniform(0, 20)
    try:
        while time.monotonic() < end and not is_over():
            values = [os.urandom(random.choice((10, 100, 1000, 200000 if i == 0 else 3000))) for i in range(random.randrange(1, 20))]
            for i, v in enumerate(values):
                writer.write(b"set %s.%d 0 60 %d\r\n%s\r\nget %s.%d\r\n" % (me, i, len(v), v, me, i))
            for i, v in enumerate(values):
                want = b"STORED\r\nVALUE %s.%d 0 %d\r\n%s\r\nEND\r\n" % (me, i, len(v), v)
                if await asyncio.wait_for(reader.readexactly(len(want)), TIMEOUT) != want:
                    raise ConnectionError("another answer than was to come")
            counts["cache requests"] += 2 * len(values)
            await asyncio.sleep(random.choice((0, 0.1, 1)))
        if random.randrange(3) == 0:
            writer.write(b"quit\r\n")
            if await asyncio.wait_for(reader.read(), TIMEOUT):
                raise ConnectionError("bytes that nobody asked for")
        elif random.randrange(2) == 0:
            writer.write(b"set half 0 60 100\r\nhal")
            writer.transport.abort()
    finally:
        writer.close()


async def client(service, kind, function, *args):
    while not is_over():
        began = time.time()
        counts[kind] += 1
        try:
            await asyncio.wait_for(function(*args), 60)
        except Exception as e:  # every kind of failure counts, by its name
            failed(began, service, kind, f"{type(e).__name__}: {e}")
            await asyncio.sleep(0.5)
        await asyncio.sleep(random.uniform(0, 0.2))


async def short_timed(service):
    await asyncio.wait_for(short(service), TIMEOUT)


async def tell():
    while not is_over():
        with open(totals_path + ".new", "w") as f:
            json.dump(counts, f)
        os.rename(totals_path + ".new", totals_path)
        await asyncio.sleep(1)


async def main():
    clients = [client(s, "tcp", short_timed, s) for s in WEB for _ in range(2)]
    clients += [client(s, "long", long, s) for s in WEB if s != "guest"]
    clients += [client(s, "udp", datagrams, s, 900) for s in DNS]
    clients += [client(s, "fragments", datagrams, s, 4000) for s in DNS]
    clients += [client("quic", "quic", quic) for _ in range(2)]
    clients += [client(s, "cache", cached, s) for s in CACHE for _ in range(4)]
    await asyncio.gather(tell(), *clients)


asyncio.run(main())
