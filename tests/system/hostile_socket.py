#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""hostile_socket — clients of the dataplane socket that do not keep to the protocol.

usage: hostile_socket.py PATH

Wrong version, huge and tiny lengths, half frames that end or hang, requests before HELLO, random bytes,
a client that asks for everything and never reads, a transaction that is left open, more clients than there is room for. Each of the first
kinds must be told so or cut off, none may hang the socket: a good client is answered after each.
"""
import random
import signal
import socket
import struct
import sys
import time

PATH = sys.argv[1]


def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(PATH)  # blocks while the queue of connections is full
    s.settimeout(5)
    return s


def until_closed(s):
    """What the dataplane says until it closes the connection."""
    got = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return got
            got += more
    except ConnectionError:
        return got
    except TimeoutError:
        sys.exit("FAILED: the dataplane neither answered nor closed the connection")


def frame(request, number, body=b""):
    """A frame as wire.h says: length of the rest, type, flags, request id, fields."""
    return struct.pack("<IHHI", 8 + len(body), request, 0, number) + body


def field(tag, value):
    return struct.pack("<HH", tag, len(value)) + value


HELLO, STATUS, BEGIN, PREPARE, COUNTERS = 1, 2, 3, 6, 17
MORE, ERROR = 0x2, 0x4


def generation_of(status):
    """The running generation in the fields of a STATUS reply."""
    at = 0
    while at < len(status):
        tag, length = struct.unpack_from("<HH", status, at)
        if tag == 6:
            return status[at + 4:at + 4 + length]
        at += 4 + length
    sys.exit("FAILED: STATUS tells no generation")


def hello(version=1):
    return frame(HELLO, 1, field(2, struct.pack("<H", version)) + field(3, b"hostile"))


def one_frame(s):
    head = b""
    while len(head) < 12:
        more = s.recv(12 - len(head))
        if not more:
            sys.exit("FAILED: a good client was cut off")
        head += more
    length, request, flags, number = struct.unpack("<IHHI", head)
    body = b""
    while len(body) < length - 8:
        body += s.recv(length - 8 - len(body))
    return request, flags, body


def one_reply(s):
    """The last frame of a reply: the others are its rows."""
    while True:
        request, flags, body = one_frame(s)
        if not flags & MORE:
            return request, flags, body


def good_client(after):
    with connect() as s:
        s.sendall(hello())
        request, flags, _ = one_reply(s)
        if request != HELLO or flags & ERROR:
            sys.exit(f"FAILED: a good client was refused after {after}")


def refused(what, data, says=None):
    """Sends it: an error reply and the end of the connection, or the end alone, must follow."""
    with connect() as s:
        s.sendall(data)
        got = until_closed(s)
    if says and says not in got:
        sys.exit(f"FAILED: {what}: the answer {got!r} does not say {says!r}")
    good_client(what)
    print(f"ok: {what}: refused{': ' + got[16:].decode(errors='replace') if got else ''}")


def cut_off():
    """Clients that keep something from others and do not go on: all are closed after 10 s."""
    halves = [connect() for _ in range(8)]
    for s in halves:
        s.sendall(hello()[:7])
    owner, deaf, idle = connect(), connect(), connect()
    for s in owner, deaf, idle:
        s.sendall(hello())
        one_reply(s)
    owner.sendall(frame(STATUS, 2))
    running = one_frame(owner)[2]
    owner.sendall(frame(BEGIN, 3, field(2, generation_of(running))))
    while True:
        request, flags, _ = one_reply(owner)
        if request == BEGIN:
            break
    if flags & ERROR:
        sys.exit("FAILED: BEGIN was refused")
    asked = frame(COUNTERS, 5) * 20000
    deaf.setblocking(False)
    sent = deaf.send(asked)
    good_client("clients that hang")
    for s in *halves, owner:
        s.settimeout(30)
        until_closed(s)
    end = time.monotonic() + 30
    while True:  # what it did not read is not told from the end of the connection: a write is
        try:
            deaf.send(b"\0")
        except BlockingIOError:
            pass
        except ConnectionError:
            break
        if time.monotonic() > end:
            sys.exit("FAILED: a client that never reads is not closed")
        time.sleep(0.1)
    good_client("clients that were closed")
    idle.sendall(frame(STATUS, 2))  # it took nothing from anybody
    if one_reply(idle)[1] & ERROR:
        sys.exit("FAILED: a quiet client was refused")
    print(f"ok: half a HELLO, an open transaction, {sent} bytes of requests whose replies are not read: closed")
    for s in *halves, owner, deaf, idle:
        s.close()


def main():
    signal.alarm(120)  # a connection that is never accepted ends the test
    r = random.Random(21)
    good_client("nothing")
    refused("wrong version", hello(version=77), b"version")
    refused("request before HELLO", frame(STATUS, 1), b"HELLO")
    refused("length of 4 GiB", struct.pack("<I", 0xffffffff) + b"x" * 100)
    refused("length of 2", struct.pack("<I", 2) + b"x" * 100)
    refused("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(200):
        with connect() as s:
            try:
                s.sendall(r.randbytes(r.randrange(1, 400)))
            except ConnectionError:
                pass
    good_client("200 times random bytes")
    print("ok: random bytes")

    for cut in range(1, len(hello())):
        with connect() as s:
            s.sendall(hello()[:cut])
    good_client("half frames")
    print("ok: half frames that end")

    cut_off()

    with connect() as s:
        s.sendall(hello())
        one_reply(s)
        s.sendall(frame(PREPARE, 2, field(2, struct.pack("<Q", 9)) + field(3, b"0" * 16)))
        if not one_reply(s)[1] & ERROR:
            sys.exit("FAILED: PREPARE without BEGIN was accepted")
        s.sendall(frame(99, 3))
        if not one_reply(s)[1] & ERROR:
            sys.exit("FAILED: an unknown request was accepted")
    print("ok: requests out of order")

    crowd = []
    for _ in range(300):
        crowd.append(connect())
    for s in crowd:
        s.close()
    end = time.monotonic() + 5
    while True:
        try:
            good_client("a crowd")
            break
        except OSError:
            if time.monotonic() > end:
                sys.exit("FAILED: no room for a good client after a crowd has left")
    print(f"ok: a crowd of {len(crowd)}")


main()
