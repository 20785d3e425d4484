#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""load — HTTP requests, each over a connection of its own, from many threads' worth of sockets.

usage: load.py HOST PORT [--requests N | --until FILE] [--concurrency C]

Prints one JSON object: requests, failed, reasons of failures, answers by backend. --until runs until
FILE exists, for ten minutes at most. Every request is a new TCP connection: the balancer schedules each one.
"""
import argparse
import asyncio
import collections
import json
import os
import time

LIMIT_SECONDS = 600


class Load:
    def __init__(self, args):
        self.args = args
        self.left = args.requests
        self.limit = time.monotonic() + LIMIT_SECONDS
        self.backends = collections.Counter()
        self.reasons = collections.Counter()
        self.done = 0

    def wants_more(self):
        if self.args.until:
            return not os.path.exists(self.args.until) and time.monotonic() < self.limit
        self.left -= 1
        return self.left >= 0

    async def one(self):
        reader, writer = await asyncio.open_connection(self.args.host, self.args.port)
        try:
            host = f"[{self.args.host}]" if ":" in self.args.host else self.args.host
            writer.write(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        if not answer:
            raise ConnectionError("closed without an answer")
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise ValueError("answer is not 200")
        self.backends[body.decode().strip()] += 1

    async def client(self):
        while self.wants_more():
            self.done += 1
            try:
                await asyncio.wait_for(self.one(), self.args.timeout)
            except Exception as e:  # every kind of failure counts, by its name
                self.reasons[f"{type(e).__name__}: {e}"] += 1

    async def run(self):
        start = time.monotonic()
        await asyncio.gather(*(self.client() for _ in range(self.args.concurrency)))
        seconds = time.monotonic() - start
        print(json.dumps({
            "requests": self.done, "failed": sum(self.reasons.values()), "reasons": self.reasons,
            "backends": dict(sorted(self.backends.items())), "seconds": round(seconds, 3),
            "per_second": round(self.done / seconds)}))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("host")
    p.add_argument("port", type=int)
    p.add_argument("--requests", type=int, default=1000)
    p.add_argument("--until")
    p.add_argument("--concurrency", type=int, default=50)
    p.add_argument("--timeout", type=float, default=5)
    asyncio.run(Load(p.parse_args()).run())


main()
