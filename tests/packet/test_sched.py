# SPDX-License-Identifier: BSD-3-Clause
"""What a service hashes, the bound on a backend's load, and connection counts that schedulers go by."""
from collections import Counter

from box import *

RR, WLC, LC, P2C, SH, RENDEZVOUS = 3, 4, 5, 6, 7, 8
FLOW, SOURCE, SOURCE_PORT = 0, 1, 2


def packet(src, sport=40000, vip="10.1.0.80", flags="S"):
    ip = IPv6(src=src, dst=vip) if ":" in vip else IP(src=src, dst=vip)
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / TCP(sport=sport, dport=80, flags=flags)


class Sched(PacketTest):
    def serve(self, n=4, **fields):
        service(self.box, **fields)
        for k in range(1, n + 1):
            backend(self.box, k)
        self.apply()

    def open(self, frame):
        """The backend that the first packet of a flow went to."""
        (_, got), = self.send(frame)
        return got[IPv6 if IPv6 in got else IP].dst

    def loads(self):
        return Counter(c[2] for c in self.box.conns())


class WhatIsHashed(Sched):
    def hosts(self, net, n=40):
        return [f"10.{net}.{k}.9" for k in range(n)]

    def test_the_source_alone(self):
        for sched in (SH, MAGLEV, RENDEZVOUS):
            self.serve(sched=sched, hash=0 if sched == SH else SOURCE)
            for src in self.hosts(sched):
                self.assertEqual(len({self.open(packet(src, 1000 + k)) for k in range(4)}), 1)
            self.assertEqual(len({self.open(packet(src, 9)) for src in self.hosts(sched)}), 4)

    def test_the_source_and_its_port(self):
        """UDP and TCP of one client port, as of one VIP port and another, go to one backend."""
        self.serve(sched=MAGLEV, hash=SOURCE_PORT)
        service(self.box, name="other", port=81, sched=MAGLEV, hash=SOURCE_PORT)
        for k in range(1, 5):
            backend(self.box, k, service_="other")
        self.apply()
        found = set()
        for sport in range(5000, 5030):
            other = packet("10.7.0.1", sport)
            other[TCP].dport = 81
            found.add(self.open(packet("10.7.0.1", sport)))
            self.assertEqual(self.open(other), self.open(packet("10.7.0.1", sport)))
        self.assertEqual(len(found), 4)

    def test_a_prefix_of_the_source(self):
        self.serve(sched=SH, source_prefix=20)
        first = {k: self.open(packet(f"10.9.{16 * k}.1")) for k in range(16)}
        self.assertEqual(len(set(first.values())), 4)
        for k in range(16):
            self.assertEqual(self.open(packet(f"10.9.{16 * k + 15}.255")), first[k])

    def test_a_prefix_of_an_ipv6_source(self):
        service(self.box, name="six", vip="fd00:1::80", sched=MAGLEV, hash=SOURCE, source_prefix=56)
        for k in range(1, 5):
            backend(self.box, k, service_="six", ip=f"fd00:2::{10 + k}")
        self.apply()
        first = {k: self.open(packet(f"fd00:9:0:{k:x}00::1", vip="fd00:1::80")) for k in range(20)}
        self.assertEqual(len(set(first.values())), 4)
        for k, to in first.items():
            self.assertEqual(self.open(packet(f"fd00:9:0:{k:x}ff:1::5", vip="fd00:1::80")), to)


class LoadBound(Sched):
    def test_nobody_is_above_it(self):
        """One client only, whose hash is one backend's: at every step nobody has more than 125 % of a share."""
        for sched in (MAGLEV, SH, RENDEZVOUS):
            with self.subTest(sched=sched):
                vip = f"10.1.0.{90 + sched}"
                service(self.box, name=f"s{sched}", vip=vip, sched=sched, hash=0 if sched == SH else SOURCE,
                        load_bound_pct=125)
                for k, weight in ((1, 100), (2, 100), (3, 50)):
                    backend(self.box, k, service_=f"s{sched}", weight=weight)
                self.apply()
                loads = Counter()
                for k in range(1, 121):
                    loads[self.open(packet("10.1.0.10", 2000 + k, vip))] += 1
                    for to, weight in (("10.2.0.11", 100), ("10.2.0.12", 100), ("10.2.0.13", 50)):
                        self.assertLess(loads[to], 1.25 * k * weight / 250 + 1)

    def test_without_it_one_has_all(self):
        self.serve(sched=MAGLEV, hash=SOURCE)
        self.assertEqual(len({self.open(packet("10.1.0.10", 2000 + k)) for k in range(50)}), 1)


class Counts(Sched):
    def end(self, sport):
        """RST of the client: the flow ends 4 s later."""
        self.send(packet("10.1.0.10", sport, flags="R"))

    def pass_time(self, ms):
        """The wheel of timers is looked at more than once."""
        for _ in range(2):
            self.box.time(ms)
            self.box.run()

    def test_ended_flows_are_not_counted(self):
        self.serve(n=2, sched=LC)
        to = {k: self.open(packet("10.1.0.10", k)) for k in range(1000, 1020)}
        self.assertEqual(sorted(self.loads().values()), [10, 10])
        mine = [k for k in to if to[k] == "10.2.0.11"]
        for k in mine[:6]:
            self.end(k)
        self.pass_time(4500)
        self.assertEqual(self.loads(), {"10.2.0.11": 4, "10.2.0.12": 10})
        for k in range(2000, 2006):
            self.assertEqual(self.open(packet("10.1.0.10", k)), "10.2.0.11")
        self.assertEqual(sorted(self.loads().values()), [10, 10])

    def test_timed_out_flows_are_not_counted(self):
        self.serve(n=2, sched=LC, syn_timeout_ms=1000)
        for k in range(1000, 1020):
            self.open(packet("10.1.0.10", k))
        self.pass_time(1500)
        self.assertEqual(self.loads(), {})
        for k in range(3000, 3010):
            self.open(packet("10.1.0.10", k))
        self.assertEqual(sorted(self.loads().values()), [5, 5])

    def test_a_backend_that_comes_back_catches_up(self):
        self.serve(n=2, sched=WLC)
        backend(self.box, 2, state=DOWN)
        self.apply()
        for k in range(1000, 1010):
            self.assertEqual(self.open(packet("10.1.0.10", k)), "10.2.0.11")
        backend(self.box, 2, state=UP)
        self.apply()
        for k in range(1010, 1020):
            self.assertEqual(self.open(packet("10.1.0.10", k)), "10.2.0.12")
        self.assertEqual(sorted(self.loads().values()), [10, 10])

    def test_changing_the_scheduler_moves_no_flow(self):
        for sched in (RR, WRR, LC, WLC, P2C, SH, MAGLEV, RENDEZVOUS):
            self.serve(sched=sched)
            if sched == RR:
                to = {k: self.open(packet("10.1.0.10", k)) for k in range(1000, 1040)}
            for k, backend_ip in to.items():
                self.assertEqual(self.open(packet("10.1.0.10", k, flags="A")), backend_ip)


class TwoWorkers(Counts):
    workers = 2

    def test_counts_of_both_are_level(self):
        self.serve(n=4, sched=LC)
        for k in range(1000, 1080):
            self.open(packet("10.1.0.10", k))
        # each worker is level to one connection
        self.assertTrue(all(18 <= n <= 22 for n in self.loads().values()), self.loads())

    # of one worker's counts
    test_ended_flows_are_not_counted = test_timed_out_flows_are_not_counted = None
    test_a_backend_that_comes_back_catches_up = None


if __name__ == "__main__":
    unittest.main()
