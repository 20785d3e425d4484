#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""mc_differ — the same random requests to a stock memcached and to us, whose answers must be equal.

    mc_differ.py MEMCACHED_SOCKET US      DIFFER_REQUESTS=20000  DIFFER_SEED=random

US is the program mcbox, or ADDRESS:PORT of a service over TCP.

A connection has a few requests of one protocol (text with its meta commands, or binary), written at once; then the client
closes its side, and what it has got when the server closes the other one is compared. Keys are few, so that each request meets what
earlier ones left. Times of expiry are past or far away. One connection in four is changed at random, mostly in one byte.

What may differ, and is not compared or not asked:

 - the numbers of cas: the first ever seen on one side stands for the first on the other, and so on;
 - a time to live may be a second or two off, as two clocks tick;
 - version's text; `stats` and `me`, which show insides;
 - what follows from a number that memcached did not count because it has 2^63 or more;
 - what HIDDEN and refused() name, with the reason.
"""
import base64
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time

VALUE_MAX = 1 << 20
NUMBERS = [b"n%d" % i for i in range(4)]  # what is counted, and not made stale
KEYS = [b"k%d" % i for i in range(5)] + [b"L" * 250]
BINARY_KEY = b"a b\r\n\0"  # only binary can say it
KEY_64, NUMBER_64 = base64.b64encode(b"\1\xff "), base64.b64encode(b"n\t\xfe")  # how meta commands say theirs
ALL_KEYS = KEYS + NUMBERS + [BINARY_KEY, KEY_64, NUMBER_64]
WRONG_CAS = 9223372036854775813
LATER = (int(time.time()) // 10 ** 7 + 10) * 10 ** 7  # in some years
TIMES = [b"0"] * 8 + [b"1000000", b"%d" % LATER, b"-1", b"100000000"]
AMOUNTS = [0, 1, 1, 5, 10, 99, 2 ** 32, 2 ** 60]
SHOWN = int(os.environ.get("DIFFER_SHOWN", 8))  # differences


class Cas:
    """in a request: the number of a key's item, now or before, as this server knows it"""

    def __init__(self, key, age=0, binary=False):
        self.key, self.age, self.binary = key, age, binary

    def render(self, seen):
        numbers = seen.of_key.get(self.key, [])
        n = numbers[-1 - self.age] if self.age < len(numbers) else WRONG_CAS
        return struct.pack(">Q", n) if self.binary else b"%d" % n


class Shown(tuple):
    """in an answer: a number of cas, and whose it is if that is said"""


class Seen:
    """numbers of cas that a server has shown"""

    def __init__(self):
        self.names, self.of_key = {}, {}

    def name(self, number, key=None):
        if number == 0:
            return "cas0"
        if key is not None:
            numbers = self.of_key.setdefault(key, [])
            if not numbers or numbers[-1] != number:
                numbers.append(number)
        return "cas%d" % self.names.setdefault(number, 1 + len(self.names))

    def name_all(self, tokens):
        return [tuple(self.name(*x) if isinstance(x, Shown) else x for x in token) for token in tokens]


# --- servers ---

class Server:
    """one that takes connections, at a path or at ADDRESS:PORT"""
    is_cut = True  # nobody says whether it has ended its side first

    def __init__(self, name, where):
        self.name, self.seen = name, Seen()
        host, colon, port = where.rpartition(":")
        self.family, self.address = (socket.AF_INET, (host, int(port))) if colon else (socket.AF_UNIX, where)

    def close(self):
        return 0

    def ask(self, data):
        """sends and receives at the same time: it does not read while its answers are not read"""
        answer = bytearray()
        with socket.socket(self.family) as s:
            s.settimeout(20)
            s.connect(self.address)
            s.setblocking(False)
            data = memoryview(data)
            while True:
                readable, writable, _ = select.select([s], [s] if data is not None else [], [], 20)
                if not readable and not writable:
                    sys.exit("%s does not answer" % self.name)
                if writable:
                    try:
                        data = data[s.send(data):]
                        if not data:
                            s.shutdown(socket.SHUT_WR)
                            data = None
                    except (ConnectionResetError, BrokenPipeError):
                        data = None  # it has closed, and may have said why
                if readable:
                    try:
                        got = s.recv(1 << 16)
                    except ConnectionResetError:
                        got = b""  # bytes of ours were unread
                    if not got:
                        return bytes(answer)
                    answer += got


class Box:
    name = "mcbox"

    def __init__(self, program):
        self.seen = Seen()
        self.process = subprocess.Popen([program, str(VALUE_MAX)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, data):
        self.process.stdin.write(struct.pack(">I", len(data)) + data)
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        if len(head) < 4:
            sys.exit("mcbox died, status %d, of %r" % (self.process.wait(), data[:2000]))
        answer = self.process.stdout.read(struct.unpack(">I", head)[0])
        self.is_cut = answer[0] != 0
        return answer[1:]

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


# --- requests ---

class Text:
    """text and meta commands"""
    name = "text"

    def __init__(self, rng):
        self.rng = rng

    def key(self):
        return self.rng.choice(KEYS + NUMBERS)

    def number_key(self):
        return self.rng.choice(NUMBERS)

    def value(self):
        r = self.rng
        kind = r.randrange(12)
        if kind < 4:
            return b"%d" % r.choice([0, 1, 9, 10, 99, 100, 12345, 2 ** 60, r.randrange(2 ** 60)])
        if kind == 4:
            return r.choice([b"", b"+1", b"1 ", b" 1", b"1a", b"0x1", b"007", b"18446744073709551616", b"9" * 21])
        if kind == 5:
            return b"VALUE k0 0 1\r\nEND\r\n"
        if kind == 6:
            return b"#" + bytes(r.randrange(256) for _ in range(r.randrange(40)))  # of blanks it would read on behind the value
        if kind == 7:
            return b"z" * r.choice([1400, 2000, 16384, 70000])
        return b"v" * r.randrange(1, 30)

    def noreply(self):
        return b" noreply" if self.rng.random() < 0.1 else b""

    def end(self):
        return b"\r\n" if self.rng.random() < 0.95 else b"\n"

    def number(self):
        return b"%d" % self.rng.choice(AMOUNTS)

    def cas(self, key):
        r = self.rng.random()
        if r < 0.6:
            return [Cas(key)]
        return [Cas(key, 1)] if r < 0.8 else [b"%d" % self.rng.choice([0, 7, WRONG_CAS])]

    def request(self):
        r = self.rng
        return r.choice([self.get] * 5 + [self.gat, self.store, self.store, self.store, self.cas_store, self.arith, self.arith,
                                          self.touch, self.delete, self.other] + [self.meta_get] * 4 + [self.meta_set] * 4
                        + [self.meta_delete] * 2 + [self.meta_arith] * 2)()

    def get(self):
        keys = [self.key() for _ in range(self.rng.choice([1, 1, 1, 2, 3, 20]))]
        return [self.rng.choice([b"get ", b"gets "]) + b" ".join(keys) + self.end()]

    def gat(self):
        keys = [self.key() for _ in range(self.rng.choice([1, 1, 2]))]
        return [self.rng.choice([b"gat ", b"gats "]) + self.rng.choice(TIMES) + b" " + b" ".join(keys) + self.end()]

    def store(self):
        verb = self.rng.choice([b"set", b"set", b"add", b"replace", b"append", b"prepend"])
        value = self.value()
        flags = self.rng.choice([0, 0, 1, 4294967295])
        return [b"%s %s %d %s %d%s" % (verb, self.key(), flags, self.rng.choice(TIMES), len(value), self.noreply())
                + self.end() + value + b"\r\n"]

    def cas_store(self):
        key, value = self.key(), self.value()
        return ([b"cas %s 5 %s %d " % (key, self.rng.choice(TIMES), len(value))] + self.cas(key)
                + [self.noreply() + self.end() + value + b"\r\n"])

    def arith(self):
        return [b"%s %s %s%s" % (self.rng.choice([b"incr", b"decr"]), self.number_key(), self.number(), self.noreply()) + self.end()]

    def touch(self):
        return [b"touch %s %s%s" % (self.key(), self.rng.choice(TIMES), self.noreply()) + self.end()]

    def delete(self):
        return [b"delete %s%s%s" % (self.key(), self.rng.choice([b"", b"", b" 0"]), self.noreply()) + self.end()]

    def other(self):
        return [self.rng.choice([b"version", b"mn", b"verbosity 0", b"verbosity 0 noreply", b"flush_all", b"flush_all 0",
                                 b"flush_all noreply", b"shutdown", b"nonsense", b"", b"get", b"set k0", b"mg", b"ms k0", b"quit", b"touch k0",
                                 b"get " + b"K" * 251, b"delete k0 1", b"incr k0 x", b"cas k0 0 0 1 x", b"set k0 0 x 1",
                                 b"set k0 -1 0 1", b"set k0 0 0 -1", b"gat", b"gat x k0", b"touch k0 x", b"md", b"ma"]) + self.end()]

    def meta_key(self, keys=KEYS + NUMBERS):
        """a key, and the flag that says that it is base64"""
        if self.rng.random() < 0.9:
            return self.rng.choice(keys), []
        return NUMBER_64 if keys is NUMBERS else KEY_64, [[b"b"]]

    def flags(self, *choices):
        """each with its probability, in any order"""
        flags = [[part] if isinstance(part, bytes) else part for p, part in choices if self.rng.random() < p]
        self.rng.shuffle(flags)
        return flags

    def meta(self, verb, key, flags, tail=b""):
        parts = [verb + b" " + key]
        for flag in flags:
            parts += [b" "] + flag
        return parts + [tail + self.end()]

    def meta_get(self):
        r = self.rng
        # A number that has grown is a new item to memcached, without the marks of the old one.
        marks = r.random() < 0.3
        key, is_base64 = self.meta_key(KEYS if marks else KEYS + NUMBERS)
        return self.meta(b"mg", key, is_base64 + self.flags(
            (0.5, b"v"), (0.4, b"c"), (0.3, b"f"), (0.3, b"k"), (0.2, b"Oabc%d" % r.randrange(100)), (0.2, b"s"),
            (0.3, b"t"), (0.15, b"q"), (0.1, b"u"), (marks / 2, b"N" + r.choice(TIMES)), (marks / 2, b"R" + r.choice([b"30", b"2000000"])),
            (0.1, b"T" + r.choice(TIMES))))

    def meta_set(self):
        value, r = self.value(), self.rng
        is_stale = r.random() < 0.15
        key, is_base64 = self.meta_key(KEYS if is_stale else KEYS + NUMBERS)
        parts = self.meta(b"ms", key, [[b"%d" % len(value)]] + is_base64 + self.flags(
            (0.2, b"c"), (0.2, b"k"), (0.2, b"Oxyz"), (0.1, b"q"), (0.3, b"F%d" % r.choice([0, 7, 4294967295])),
            (0.3, b"T" + r.choice(TIMES)), (0.3, [b"C"] + self.cas(key)), (is_stale, b"I"),
            (0.4, b"M" + r.choice([b"S", b"E", b"A", b"P", b"R", b"Q"])), (0.1, b"N" + r.choice(TIMES))))
        return parts + [value + b"\r\n"]

    def meta_delete(self):
        is_stale = self.rng.random() < 0.5
        key, is_base64 = self.meta_key(KEYS if is_stale else KEYS + NUMBERS)
        return self.meta(b"md", key, is_base64 + self.flags(
            (0.2, b"k"), (0.2, b"Oq"), (0.15, b"q"), (0.2, [b"C"] + self.cas(key)), (is_stale, b"I"),
            (0.3, b"T" + self.rng.choice(TIMES))))

    def meta_arith(self):
        (key, is_base64), r = self.meta_key(NUMBERS), self.rng
        mode = r.choice([b"I", b"D", b"+", b"-", b"X"])
        return self.meta(b"ma", key, is_base64 + self.flags(
            (0.3, b"v"), (0.3, b"c"), (0.3, b"t"), (0.2, b"k"), (0.2, b"Oz"), (0.1, b"q"), (0.3, b"N" + r.choice(TIMES)),
            (0.3, b"J" + self.number()), (0.4, b"D" + self.number()), (0.4, b"M" + mode), (0.15, [b"C"] + self.cas(key))))

    def large(self):
        """too large for either"""
        return [b"%s %s 0 0 %d\r\n" % (self.rng.choice([b"set", b"add", b"append"]), self.key(), VALUE_MAX + 5000)
                + b"x" * (VALUE_MAX + 5000) + b"\r\n"]

    @staticmethod
    def show(data, keys=()):
        lines = [line for line in data.split(b"\r\n") if not keys or any(k in line.split(b" ") for k in keys)]
        return shorten(b" | ".join(lines or [data]))

    @staticmethod
    def is_arithmetic(parts):
        return parts[0][:4] in (b"incr", b"decr") or parts[0][:3] == b"ma "

    def mutate(self, data):
        """bytes of ASCII, as one of 0x80 where a command is expected is a matter of the transport"""
        r = self.rng
        out = bytearray(data[:4000]) + data[4000:]
        for _ in range(r.choice([1, 1, 1, 2, 4])):
            at = r.randrange(min(len(out), 200) or 1)
            kind = r.randrange(7)
            if kind == 0 and out:
                out[at] = r.randrange(128)
            elif kind == 1:
                out[at:at] = r.choice([b" ", b"\r", b"\n", b"\0", b"-", b"+", b"0", b"x", b"noreply", b" 1", b"\r\n", b"b", b"q"])
            elif kind == 2:
                del out[at:at + r.choice([1, 1, 2, 8])]
            elif kind == 3:
                del out[at:]
            elif kind == 4:
                out[at:at] = out[at:at + r.choice([1, 3, 10])]
            elif kind == 5:
                out[at:at] = b" " + r.choice([b"c", b"t", b"k", b"v", b"O1234567890123456789012345678901", b"O" + b"o" * 31,
                                              b"S5", b"T5x", b"C", b"I", b"MS", b"MSS", b"D-1", b"J", b"N", b"q", b"s"]) * r.choice([1, 1, 2])
            elif out:
                out[at] ^= 1 << r.randrange(7)
        return bytes(b & 0x7f if i < 300 else b for i, b in enumerate(out))


class Binary:
    """binary; a request is one struct and its parts"""
    name = "binary"
    STORES, TOUCHES = (1, 2, 3, 0x11, 0x12, 0x13), (0x1c, 0x1d, 0x1e, 0x23, 0x24)
    READS, COUNTS, JOINS = (0, 9, 0xc, 0xd), (5, 6, 0x15, 0x16), (0xe, 0xf, 0x19, 0x1a)
    KNOWN = STORES + TOUCHES + READS + COUNTS + JOINS + (4, 0x14, 7, 0x17, 8, 0x18, 0xa, 0xb, 0x10)

    def __init__(self, rng):
        self.rng, self.text, self.opaque = rng, Text(rng), 0

    def key(self):
        return BINARY_KEY if self.rng.random() < 0.05 else self.text.key()

    def time(self):
        return struct.pack(">I", self.rng.choice([0] * 8 + [1000000, LATER, 100000000]))

    def cas(self, key):
        r = self.rng.random()
        if r < 0.75:
            return struct.pack(">Q", 0)
        return Cas(key, 0 if r < 0.9 else 1, True) if r < 0.95 else struct.pack(">Q", WRONG_CAS)

    def build(self, opcode, key=b"", extras=b"", value=b"", cas=bytes(8)):
        self.opaque += 1
        return [struct.pack(">BBHBBHII", 0x80, opcode, len(key), len(extras), 0, 0, len(extras + key + value), self.opaque),
                cas, extras + key + value]

    def request(self):
        r, key = self.rng, self.key()
        kind = r.randrange(20)
        if kind < 6:
            return self.build(r.choice(self.READS), key)
        if kind < 11:
            flags = struct.pack(">I", r.choice([0, 1, 0xffffffff]))
            return self.build(r.choice(self.STORES), key, flags + self.time(), self.text.value(), self.cas(key))
        if kind < 13:
            return self.build(r.choice(self.TOUCHES), key, self.time())
        if kind < 16:
            numbers = struct.pack(">QQ", *(r.choice(AMOUNTS) for _ in range(2)))
            key = self.text.number_key()
            return self.build(r.choice(self.COUNTS), key, numbers + self.time(), b"", self.cas(key))
        if kind == 16:
            return self.build(r.choice(self.JOINS), key, b"", self.text.value(), self.cas(key))
        if kind == 17:
            return self.build(r.choice((4, 0x14)), key, b"", b"", self.cas(key))
        return self.build(*r.choice([(0xa,), (0xa,), (0xb,), (0x1b, b"", bytes(4)), (0x20,), (0x50,), (7,), (0x17,),
                                     (0x10, b"nosuch")] + ([(8,), (8, b"", bytes(4)), (0x18,)] if r.random() < 0.3 else [])))

    def large(self):
        return self.build(self.rng.choice(self.STORES[:2] + (0x11,)), self.key(), bytes(8), b"x" * (VALUE_MAX + 5000))

    @staticmethod
    def show(data, keys=()):
        shown = []
        while len(data) >= 24:
            n_key, n_extras, n_body = data[2] << 8 | data[3], data[4], struct.unpack(">I", data[8:12])[0]
            body, cas = data[24:24 + n_body], struct.unpack(">Q", data[16:24])[0]
            if not keys or body[n_extras:n_extras + n_key] in keys:
                shown.append("%02x #%d %s%r %r%s" % (data[1], struct.unpack(">I", data[12:16])[0], body[:n_extras].hex(),
                                                     body[n_extras:n_extras + n_key], body[n_extras + n_key:],
                                                     " cas %d" % cas if cas else ""))
            data = data[24 + n_body:]
        return shorten(" | ".join(shown) + (" and %r" % data if data.strip(b"\0") else ""))

    def is_arithmetic(self, parts):
        return parts[0][1] in self.COUNTS

    def mutate(self, data):
        r = self.rng
        out = bytearray(data)
        kind = r.randrange(6)
        if kind == 0:
            out[2:4] = struct.pack(">H", r.choice([0, 1, out[3] + 1, max(out[3] - 1, 0), 250, 251, 2000]))
        elif kind == 1:
            out[4] = r.choice([0, 4, 8, 20, 24, out[4] ^ 1, 255])
        elif kind == 2:
            n = struct.unpack(">I", out[8:12])[0]
            out[8:12] = struct.pack(">I", max(0, r.choice([0, n - 1, n + 1, n + 24, n - 24, 1000, 2 ** 21])))
        elif kind == 3:
            out[1] = r.randrange(256) if r.random() < 0.3 else r.choice(self.KNOWN)
        elif kind == 4:
            out[r.choice([5, 6, 7])] = r.randrange(256)
        else:
            at = r.randrange(1, len(out))
            out[at] ^= 1 << r.randrange(8)
        return bytes(out)


def refused(data):
    """Whether a binary connection has what memcached reads wrongly, so that it is not asked; else what it is padded with.
    It waits for key and extras even where a header is refused already, so these must come."""
    pad = 0
    while len(data) >= 24 and data[0] == 0x80:
        opcode, n_key, n_extras = data[1], data[2] << 8 | data[3], data[4]
        n_body = struct.unpack(">I", data[8:12])[0]
        # A key that its buffer has no room for.
        if n_key + n_extras > 2300:
            return None
        if n_key + n_extras > n_body or n_key > 250:
            pad = max(pad, 24 + n_key + n_extras - len(data))
            break
        # A length that is negative for memcached's int.
        if n_body >= 1 << 31:
            return None
        # Skips key and extras of an unknown opcode twice.
        if opcode not in Binary.KNOWN and n_key + n_extras > 0:
            return None
        # Takes what is behind the key of these for the next request.
        if opcode in Binary.TOUCHES + (0x10,) and n_body > n_key + n_extras:
            return None
        # Looks at the shape of what it does not have.
        if opcode in (0x21, 0x22) or opcode == 0x20 and n_body > 0:
            return None
        # Shows its insides.
        if opcode == 0x10 and data[24:24 + n_key] != b"nosuch":
            return None
        # A delayed flush brings back what an earlier one has hidden.
        if opcode in (8, 0x18) and n_extras == 4 and data[24:28] != bytes(4):
            return None
        # What expires while both are asked does so on two clocks.
        at = {8: 28, 20: 40, 4: 24}.get(n_extras)
        if at and 0 < int.from_bytes(data[at:at + 4], "big") < 3600:
            return None
        data = data[24 + n_body:]
    return b"\0" * pad


# --- answers ---

def meta_flags(words):
    key = next((w[1:] for w in words if w[:1] == b"k" and b"b" not in words), None)
    for w in words:
        if w[:1] == b"c" and w[1:].isdigit():
            yield Shown((int(w[1:]), key))
        elif w[:1] == b"t" and w[1:].isdigit():
            yield int(w[1:])
        else:
            yield w


def text_answers(data):
    tokens = []
    while data:
        line, newline, rest = data.partition(b"\r\n")
        words = line.split(b" ")
        data = rest
        if not newline:
            tokens.append(("unfinished", line))
        elif words[0] == b"VALUE" and len(words) in (4, 5):
            n = int(words[3])
            tokens.append((b"VALUE", words[1], words[2], data[:n + 2]))
            if len(words) == 5:
                tokens.append((Shown((int(words[4]), words[1])),))
            data = data[n + 2:]
        elif words[0] == b"VA" and len(words) > 1:
            n = int(words[1])
            tokens.append((b"VA", *meta_flags(words[2:]), data[:n + 2]))
            data = data[n + 2:]
        elif words[0] in (b"HD", b"NS", b"EX", b"NF", b"EN", b"MN", b"OK"):
            tokens.append((words[0], *meta_flags(words[1:])))
        elif words[0] == b"VERSION":
            tokens.append((b"VERSION",))
        else:
            tokens.append((line,))
    return tokens


def binary_answers(data):
    tokens = []
    while len(data) >= 24:
        magic, opcode, n_key, n_extras, kind, status, n_body, opaque, cas = struct.unpack(">BBHBBHIIQ", data[:24])
        body, data = data[24:24 + n_body], data[24 + n_body:]
        extras, key, value = body[:n_extras], body[n_extras:n_extras + n_key], body[n_extras + n_key:]
        if opcode == 0xb and status == 0:
            value = b"version"
        tokens.append((magic, opcode, kind, status, opaque, extras, key, value, Shown((cas, key or None))))
    if data:
        tokens.append(("unfinished", data))
    return tokens


def is_equal(a, b):
    if isinstance(a, int) and isinstance(b, int):
        return abs(a - b) <= 2
    if isinstance(a, int) and b == b"t-1":  # the cache's longest time is eight years; what has more stays for ever
        return a >= 1 << 28
    return a == b


def are_equal(a, b):
    return len(a) == len(b) and all(len(x) == len(y) and all(map(is_equal, x, y)) for x, y in zip(a, b))


def has_large_number(server):
    """whether a number is, or was a moment ago, one of those that memcached may refuse to count: it looks for a minus
    behind it, in what was there before"""
    answer = server.ask(b"".join(b"mg %s v\r\n" % key for key in NUMBERS) + b"mg %s v b\r\n" % NUMBER_64)
    return any(token[0] == b"VA" and token[-1].strip().isdigit() and int(token[-1]) >= 1 << 62 for token in text_answers(answer))


# --- the run ---

class Differ:
    def __init__(self, servers, seed):
        self.servers, self.rng = servers, random.Random(seed)
        self.text, self.binary = Text(self.rng), Binary(self.rng)
        self.history, self.n_different, self.n_requests, self.n_changed, self.n_hidden = [], 0, 0, 0, 0

    def connection(self):
        """→ codec, one template of bytes"""
        r = self.rng
        codec = self.text if r.random() < 0.65 else self.binary
        requests = [codec.request() for _ in range(r.choice([1, 1, 2, 3, 6]))]
        # A number is padded to the length that it had, but not while an answer that is not sent yet has it.
        requests.sort(key=lambda parts: not codec.is_arithmetic(parts))
        if r.random() < 0.002:
            requests.append(codec.large())
        codec.n, codec.is_changed = len(requests), False
        if r.random() < 0.25:
            at = r.randrange(len(requests))
            if not any(isinstance(part, Cas) for part in requests[at]):
                requests[at] = [codec.mutate(b"".join(requests[at]))]
                codec.is_changed = True
        return codec, [part for request in requests for part in request]

    def is_hidden(self, codec, parts):
        plain = b"".join(bytes(8) if isinstance(p, Cas) else p for p in parts)
        # A number of cas may have become part of a value.
        if codec.is_changed and any(isinstance(p, Cas) for p in parts):
            return True
        if codec is self.binary:
            pad = refused(plain)
            if pad is None:
                return True
            parts.append(pad)
            return False
        # A line without an end, which a value is if it is not read as one, ends a connection only if that comes late.
        if codec.is_changed and any(len(line) > 2000 and not line.startswith(b"get") for line in plain.split(b"\n")):
            return True
        return any(is_text_hidden(line, i) for i, line in enumerate(plain.split(b"\n")))

    def step(self):
        codec, parts = self.connection()
        if self.is_hidden(codec, parts):
            self.n_hidden += 1
            return
        self.n_requests += codec.n
        self.n_changed += codec.is_changed
        asked, raw, answers = [], [], []
        for server in self.servers:
            data = b"".join(p.render(server.seen) if isinstance(p, Cas) else p for p in parts)
            asked.append(data)
            raw.append(server.ask(data))
            read = text_answers if codec is self.text else binary_answers
            answers.append(read(raw[-1]))
        self.history.append((codec, asked[0]))
        if self.servers[1].is_cut:  # memcached does not send all that it has written when it closes at once
            answers[1] = answers[1][:len(answers[0])]
        answers = [server.seen.name_all(tokens) for server, tokens in zip(self.servers, answers)]
        if not are_equal(*answers):
            if any(has_large_number(server) for server in self.servers):
                self.n_hidden += 1
                self.forget()
            else:
                self.differs(codec, asked, raw, answers)

    def differs(self, codec, asked, raw, answers):
        self.n_different += 1
        if self.n_different <= SHOWN:
            at = next((i for i, (a, b) in enumerate(zip(*answers)) if not are_equal([a], [b])), min(map(len, answers)))
            print("--- different, %s, answer %d of %d and %d" % (codec.name, at, *map(len, answers)))
            keys = [k for k in ALL_KEYS if re.search(rb"(?<![a-z])" + re.escape(k), asked[0])]
            for before in [h for h in self.history[:-1] if any(k in h[1] for k in keys)][-12:]:
                print("  before    ", before[0].show(before[1], keys))
            print("  asked     ", codec.show(asked[0]))
            for server, tokens in zip(self.servers, answers):
                print("  %-10s" % server.name, "".join(shorten(repr(t)) for t in tokens[at:at + 1]) or "nothing")
        self.forget()

    def forget(self):
        """both are emptied, so that the next difference is a new one"""
        for server in self.servers:
            server.ask(b"flush_all\r\n")
            server.seen = Seen()
        self.history = []


class Line:
    """of a text connection, as it would be if it is a request's"""

    def __init__(self, line, at):
        self.line, self.at, self.words = line, at, line.split() or [b""]
        self.verb, self.flags = self.words[0], self.words[2:]
        self.letters = [w[:1] for w in self.flags]
        self.is_meta = self.verb in (b"mg", b"ms", b"md", b"ma")
        self.is_store = self.verb in (b"set", b"add", b"replace", b"append", b"prepend", b"cas")

    def times(self):
        if self.is_meta:
            return [w[1:] for w in self.flags if w[:1] in b"TNR"]
        where = {b"touch": 2, b"gat": 1, b"gats": 1, b"flush_all": 1}.get(self.verb, 3 if self.is_store else 100)
        return self.words[where:][:1]

    def shows_left(self):
        """whether what t shows is about to change, or over"""
        sets = [i for i, w in enumerate(self.letters) if w in b"TN"]
        return self.is_meta and b"t" in self.letters and sets and (
            self.letters.index(b"t") < sets[-1] or is_within(self.times(), 3600 * 24 * 30, int(time.time()))
            or any(w[:1] == b"-" for w in self.times()))


HIDDEN = [
    ("It ends words at a NUL, and takes some other control characters for the end of a number.",
     lambda q: any(b < 32 for b in q.line.removesuffix(b"\r"))),
    ("It takes flags, lengths and times modulo 2^32, and -0 for flags.",
     lambda q: is_within(q.times(), 2 ** 31, None) or q.is_store and (
         is_within(q.words[2:3], 2 ** 32, None) or is_within(q.words[4:5], 2 ** 31, None) or q.words[2:3] == [b"-0"])
     or q.verb == b"ms" and (is_within(q.flags[:1], 2 ** 31, None)
                             or is_within([w[1:] for w in q.flags if w[:1] == b"F"], 2 ** 32, None))),
    ("What expires while both are asked does so on two clocks.", lambda q: is_within(q.times(), 1, 3600)),
    ("A delayed flush brings back what an earlier one has hidden.",
     lambda q: q.verb == b"flush_all" and is_within(q.times(), 1, None)),
    ("T of ma is lost if the number has grown.", lambda q: q.verb == b"ma" and b"T" in q.letters),
    ("The cache does not keep what h and l of mg show.", lambda q: q.verb == b"mg" and {b"h", b"l"} & set(q.letters)),
    ("E, x and modes in lower case are of later ones.",
     lambda q: q.is_meta and ({b"E", b"x"} & set(q.letters) or any(re.match(rb"M[a-z]$", w) for w in q.flags))),
    ("N of ms is of later ones, and that a quiet md or ma does not say NF, nor a quiet ma that it has made a number.",
     lambda q: q.verb == b"ms" and b"N" in q.letters or q.verb in (b"md", b"ma") and b"q" in q.letters),
    ("Whether it shows a key as base64 depends on how that came when the item was stored.",
     lambda q: q.verb == b"mg" and {b"k", b"b"} <= set(q.letters)),
    ("It has changed an item, or made one, when it finds that an opaque is too long.",
     lambda q: any(w[:1] == b"O" and len(w) > 31 for w in q.flags) and (
         q.verb == b"ma" or q.is_meta and {b"N", b"T"} & set(q.letters))),
    ("It takes for base64 what is not: a wrong length, a = inside.",
     lambda q: q.is_meta and b"b" in q.letters and not re.fullmatch(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==|.=))?", q.words[1])),
    ("T acts between N and R if it stands there; we have it act in front of both or behind both.",
     lambda q: [w for w in q.letters if w in b"RTN"][1:] in ([b"T", b"N"], [b"T", b"R"])),
    ("t shows what is left when its turn comes, before a T or N behind it; what is over it shows as 2^32 seconds.", Line.shows_left),
    ("It takes no key for none found.", lambda q: q.verb in (b"gat", b"gats") and len(q.words) == 2),
    ("A key that is too long makes it forget the answers to earlier requests.",
     lambda q: q.at > 0 and q.verb in (b"get", b"gets", b"gat", b"gats") and any(len(w) > 250 for w in q.words)),
    ("Insides, and what administers its own.",
     lambda q: q.verb in (b"me", b"stats", b"slabs", b"lru", b"watch", b"shutdown", b"cache_memlimit", b"lru_crawler",
                          b"verbosity") and q.words[1:2] != [b"0"]),
]


def is_within(words, low, high):
    """whether a word is a number of at least low, below high if there is one"""
    return any(re.fullmatch(rb"[+-]?[0-9]+", w) and abs(int(w)) >= low and (high is None or int(w) < high and int(w) >= low)
               for w in words)


def is_text_hidden(line, at):
    q = Line(line, at)
    return any(rule(q) for _, rule in HIDDEN)


def shorten(data, n=500):
    text = data if isinstance(data, str) else repr(data)
    text = re.sub(r"(.)\1{30,}", lambda m: "%s{%d}" % (m[1], len(m[0])), text)
    text = re.sub(r"(TExM){5,}", "TExM…", text)
    return text if len(text) <= n else "%s… (%d)" % (text[:n], len(data))


def main():
    seed = int(os.environ.get("DIFFER_SEED", random.randrange(10 ** 9)))
    n = int(os.environ.get("DIFFER_REQUESTS", 20000))
    box = Server("millrace", sys.argv[2]) if ":" in sys.argv[2] else Box(sys.argv[2])
    differ = Differ([Server("memcached", sys.argv[1]), box], seed)
    print("DIFFER_SEED=%d DIFFER_REQUESTS=%d" % (seed, n), flush=True)
    while differ.n_requests < n:
        differ.step()
    status = box.close()
    print("%d requests, %d of them changed; %d connections not asked, %d differ" % (
        differ.n_requests, differ.n_changed, differ.n_hidden, differ.n_different))
    sys.exit(1 if differ.n_different or status else 0)


if __name__ == "__main__":
    main()
