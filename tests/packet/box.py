# SPDX-License-Identifier: BSD-3-Clause
"""box — drives pktbox (the real packet path in one process) from unittest and scapy.

A test configures the dataplane, sends frames into a port, and compares the frames that come out,
byte for byte, with what scapy builds; checksums included. Every test ends with the accounting
identity of counters.h.
"""
import logging
import os
import struct
import subprocess
import unittest

logging.getLogger("scapy").setLevel(logging.ERROR)
# not scapy.all, which takes three times as long for protocols that nobody needs here
from scapy.compat import raw  # noqa: E402,F401
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402,F401
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA,  # noqa: E402,F401
                                ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr,
                                ICMPv6PacketTooBig, IPv6)
from scapy.layers.l2 import ARP, Ether  # noqa: E402,F401
from scapy.packet import Raw  # noqa: E402,F401

NORTH_MAC = "02:00:00:00:00:01"
SOUTH_MAC = "02:00:00:00:00:02"
CLIENT_MAC = "02:aa:00:00:00:10"
WEB_MAC = {n: f"02:bb:00:00:00:{n:02x}" for n in range(1, 9)}

TCP_PROTO, UDP_PROTO = 6, 17
FULLNAT, DSR_L2, IPIP, GUE, DNAT, CACHE = 1, 2, 3, 4, 5, 6
MAGLEV, WRR, RR = 1, 2, 3
UP, DRAIN, DOWN = 1, 2, 3


class Box:
    def __init__(self, workers=1, queues=None, conns=4096, cache_mb=0):
        self.proc = subprocess.Popen(
            [os.environ["PKTBOX"], str(workers), str(queues or workers), str(conns), str(cache_mb)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.proc.stdin.close()
        rc = self.proc.wait(timeout=60)
        self.proc.stdout.close()
        return rc

    def say(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def hear(self):
        line = self.proc.stdout.readline()
        if not line:
            raise RuntimeError(f"pktbox ended with {self.proc.wait()}")
        return line.rstrip("\n")

    def put(self, type_, **fields):
        self.say("put " + type_ + "".join(f" {k}={v}" for k, v in fields.items()))

    def delete(self, key):
        self.say("del " + key)

    def apply(self):
        self.say("apply")
        return self.hear()

    def run(self, *frames, port="north", queue=0):
        """Lets the port receive the frames; returns [(what, port, bytes)] that came out."""
        for f in frames:
            self.say(f"in {port} {queue} {raw(f).hex()}")
        self.say("run")
        out = []
        while (line := self.hear()) != "end":
            what, where, data = line.split(" ")
            out.append((what, where, bytes.fromhex(data)))
        return out

    def from_kernel(self, *frames, port="south"):
        """Lets the kernel side send the frames by the port; as run()."""
        for f in frames:
            self.say(f"from {port} {raw(f).hex()}")
        return self.run()

    def time(self, ms):
        self.say(f"time {ms}")

    def counters(self):
        self.say("counters")
        found = {}
        while (line := self.hear()).startswith("counter "):
            _, name, value = line.split(" ")
            found[name] = int(value)
        return found, line

    def outcomes(self):
        """What flows have shown of each backend: name → (opened, failed)."""
        self.say("outcomes")
        found = {}
        while (line := self.hear()) != "end":
            name, opened, failed = line.split(" ")
            found[name] = (int(opened), int(failed))
        return found

    def denied(self):
        """New flows that the lists of each service refused: name → how many."""
        return self.by_service("denied")

    def refused(self):
        """Packets that each service dropped: name → how many."""
        return self.by_service("refused")

    def by_service(self, question):
        self.say(question)
        found = {}
        while (line := self.hear()) != "end":
            name, n = line.split(" ")
            found[name] = int(n)
        return found

    def conns(self):
        self.say("conns")
        found = []
        while (line := self.hear()) != "end":
            found.append(line.split(" "))
        return found

    def explain(self, src, sport, dst, dport, proto=TCP_PROTO, segment=False):
        """Fields of mr_explain_row; numbers as int, what is empty left out."""
        self.say(f"explain {proto} {src} {sport} {dst} {dport} {int(segment)}")
        found = dict(word.split("=", 1) for word in self.hear().split(" ")[1:])
        return {k: int(v) if v.isdigit() else v for k, v in found.items() if v != ""}

    def capture(self, points, snaplen=2048, slots=1024, insns=()):
        """Begins a capture at points (sum of 2: rx, 4: tx, 8: drop) with a BPF program."""
        program = b"".join(struct.pack("<HBBI", *i) for i in insns).hex()
        self.say(f"capture {points} {snaplen} {slots} {program or '-'}")
        return self.hear()

    def captured(self):
        """Ends it: [(point, port, drop, length, bytes)], how many were captured and missed."""
        self.say("captured")
        found = []
        while (line := self.hear()).startswith("packet "):
            _, point, port, drop, length, data = line.split(" ")
            found.append((point, port, drop, int(length), bytes.fromhex(data)))
        return found, *map(int, line.split(" ")[1:])

    def trace(self, slots=1024, insns=()):
        program = b"".join(struct.pack("<HBBI", *i) for i in insns).hex()
        self.say(f"trace {slots} {program or '-'}")
        return self.hear()

    def traced(self):
        """Ends it: [fields of mr_trace_row], numbers as int, how many were recorded and missed."""
        self.say("traced")
        found = []
        while (line := self.hear()).startswith("trace "):
            fields = dict(word.split("=", 1) for word in line.split(" ")[1:])
            found.append({k: int(v) if v.isdigit() else v for k, v in fields.items()})
        return found, *map(int, line.split(" ")[1:])


def service(box, name="web", vip="10.1.0.80", port=80, proto=TCP_PROTO, mode=FULLNAT, sched=WRR, **more):
    box.put("service", name=name, vip=vip, port=port, proto=proto, mode=mode, sched=sched, **more)


def backend(box, n, service_="web", ip=None, port=8080, weight=1, state=UP, **more):
    box.put("backend", service=service_, name=f"web{n}", ip=ip or f"10.2.0.{10 + n}", port=port,
            weight=weight, state=state, **more)


class PacketTest(unittest.TestCase):
    """setUp gives self.box with addresses, SNAT pool and resolved neighbours; no service yet."""
    workers, queues, conns, cache_mb = 1, None, 4096, 0

    def setUp(self):
        self.box = b = Box(self.workers, self.queues, self.conns, self.cache_mb)
        b.put("addr", port="north", ip="10.1.0.1", prefix_len=24)
        b.put("addr", port="south", ip="10.2.0.1", prefix_len=24)
        b.put("addr", port="north", ip="fd00:1::1", prefix_len=64)
        b.put("addr", port="south", ip="fd00:2::1", prefix_len=64)
        b.put("snat", ip="10.2.0.100")
        b.put("snat", ip="fd00:2::100")

    def tearDown(self):
        counters, verdict = self.box.counters()
        rc = self.box.close()
        self.assertEqual(verdict, "balanced", counters)
        self.assertEqual(rc, 0)

    def apply(self):
        self.assertEqual(self.box.apply(), "ok")

    def answer_arp(self, out):
        """Answers every ARP request and solicitation in out as the hosts would; returns what follows."""
        rest, more = [], []
        for what, port, data in out:
            p = Ether(data)
            if what == "out" and ARP in p and p[ARP].op == 1:
                mac = self.mac_of(p[ARP].pdst)
                reply = Ether(src=mac, dst=p.src) / ARP(op=2, hwsrc=mac, psrc=p[ARP].pdst,
                                                        hwdst=p.src, pdst=p[ARP].psrc)
                more += self.box.run(reply, port=port)
            elif what == "out" and ICMPv6ND_NS in p:
                mac = self.mac_of(p[ICMPv6ND_NS].tgt)
                reply = (Ether(src=mac, dst=p.src)
                         / IPv6(src=p[ICMPv6ND_NS].tgt, dst=p[IPv6].src, hlim=255)
                         / ICMPv6ND_NA(tgt=p[ICMPv6ND_NS].tgt, R=0, S=1, O=1)
                         / ICMPv6NDOptDstLLAddr(lladdr=mac))
                more += self.box.run(reply, port=port)
            else:
                rest.append((what, port, data))
        return rest + (self.answer_arp(more) if more else [])

    @staticmethod
    def mac_of(ip):
        last = ip.replace("::", ":").split(":")[-1] if ":" in ip else ip.split(".")[-1]
        return WEB_MAC[int(last) - 10] if ip.startswith(("10.2.", "fd00:2:")) else CLIENT_MAC

    def send(self, *frames, port="north", queue=0):
        """As Box.run(), with neighbours answering; only frames sent, not what the kernel got."""
        out = self.answer_arp(self.box.run(*frames, port=port, queue=queue))
        return [(p, Ether(d)) for what, p, d in out if what == "out"]

    def assertFrame(self, got, want):
        """Byte for byte, with want's checksums computed by scapy."""
        self.assertEqual(raw(got), raw(want), f"\ngot  {got.summary()}\nwant {want.summary()}")

    def dropped(self, reason):
        return self.box.counters()[0].get(reason, 0)
