# SPDX-License-Identifier: BSD-3-Clause
"""What a service and its backends take of new flows: limits of connections, of rates, of a source's rate."""
from collections import Counter

from box import *

RR, WLC, LC, P2C, SH, RENDEZVOUS = 3, 4, 5, 6, 7, 8


def packet(src="10.1.0.10", sport=40000, vip="10.1.0.80", flags="S"):
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src=src, dst=vip) / TCP(sport=sport, dport=80, flags=flags)


class Guard(PacketTest):
    def serve(self, n=2, limits=(), **fields):
        """n backends, the first with limits[0] and so on."""
        service(self.box, **fields)
        for k in range(1, n + 1):
            more = {"max_conns": limits[k - 1]} if k <= len(limits) else {}
            port = 80 if fields.get("mode") == DSR_L2 else 8080
            self.box.put("backend", service="web", name=f"web{k}", ip=f"10.2.0.{10 + k}", port=port,
                         weight=100, state=UP, **more)
        self.apply()

    def open(self, sport, n=1, **more):
        """First packets of n flows; how many went on."""
        return sum(len(self.send(packet(sport=sport + k, **more))) for k in range(n))

    def loads(self):
        return Counter(c[2] for c in self.box.conns())

    def pass_time(self, ms):
        """The wheel of timers is looked at more than once."""
        for _ in range(2):
            self.box.time(ms)
            self.box.run()


class ServiceLimit(Guard):
    def test_new_flows_above_it_are_dropped_and_known_ones_go_on(self):
        self.serve(max_conns=5)
        self.assertEqual(self.open(1000, 8), 5)
        self.assertEqual(self.dropped("service_limit"), 3)
        self.assertEqual(self.open(1000, 5, flags="A"), 5)
        self.assertEqual(self.dropped("service_limit"), 3)

    def test_ended_flows_make_room(self):
        self.serve(max_conns=3, syn_timeout_ms=1000)
        self.assertEqual(self.open(1000, 4), 3)
        self.pass_time(1500)
        self.assertEqual(self.open(2000, 4), 3)

    def test_a_lowered_limit_cuts_nobody(self):
        self.serve()
        self.assertEqual(self.open(1000, 6), 6)
        self.serve(max_conns=2)
        self.assertEqual(self.open(1000, 6, flags="A"), 6)
        self.assertEqual(self.open(2000), 0)
        self.serve()
        self.assertEqual(self.open(2000), 1)

    def test_another_service_is_not_concerned(self):
        service(self.box, name="other", vip="10.1.0.81")
        backend(self.box, 3, service_="other")
        self.serve(max_conns=1)
        self.assertEqual(self.open(1000, 2), 1)
        self.assertEqual(self.open(1000, 2, vip="10.1.0.81"), 2)

    def test_direct_return_has_no_way_round(self):
        """A limited service does without forwarding by hash: segments without an entry begin nothing."""
        self.serve(mode=DSR_L2, sched=MAGLEV, max_conns=2)
        self.assertEqual(self.open(1000, 3), 2)
        self.assertEqual(self.open(2000, flags="A"), 0)
        self.assertEqual(self.dropped("no_conn"), 1)
        self.serve(mode=DSR_L2, sched=MAGLEV)
        self.assertEqual(self.open(2000, flags="A"), 1)


class BackendLimit(Guard):
    def test_every_scheduler_passes_over_a_full_one(self):
        for sched in (WRR, RR, WLC, LC, P2C, SH, MAGLEV, RENDEZVOUS):
            with self.subTest(sched=sched):
                self.serve(n=3, limits=(2, 4), sched=sched, syn_timeout_ms=1000)
                self.assertEqual(self.open(1000 * sched, 40), 40)
                found = self.loads()
                self.assertLessEqual(found["10.2.0.11"], 2)
                self.assertLessEqual(found["10.2.0.12"], 4)
                self.assertEqual(sum(found.values()), 40)
                if sched in (WRR, RR, WLC, LC):
                    self.assertEqual(found, {"10.2.0.11": 2, "10.2.0.12": 4, "10.2.0.13": 34})
                self.pass_time(1500)
                self.assertEqual(self.loads(), {})
        self.assertEqual(self.dropped("backend_limit"), 0)

    def test_all_full(self):
        for sched in (WRR, LC, MAGLEV):
            with self.subTest(sched=sched):
                self.serve(limits=(3, 4), sched=sched, syn_timeout_ms=1000)
                before = self.dropped("backend_limit")
                self.assertEqual(self.open(1000 * sched, 10), 7)
                self.assertEqual(self.dropped("backend_limit") - before, 3)
                self.assertEqual(self.loads(), {"10.2.0.11": 3, "10.2.0.12": 4})
                self.pass_time(1500)

    def test_with_a_load_bound(self):
        """The limit holds where the bound would have the flow, and nobody is refused for the bound's sake."""
        self.serve(n=2, limits=(1,), sched=MAGLEV, load_bound_pct=110)
        self.assertEqual(self.open(1000, 20), 20)
        self.assertEqual(self.loads(), {"10.2.0.11": 1, "10.2.0.12": 19})

    def test_a_flow_that_begins_again_needs_no_other_place(self):
        self.serve(n=1, limits=(1,))
        self.assertEqual(self.open(1000), 1)
        self.assertEqual(self.open(1000, flags="R"), 1)
        self.assertEqual(self.open(1000), 1)
        self.assertEqual(self.dropped("backend_limit"), 0)
        self.assertEqual(self.box.counters()[0]["conn_reused"], 1)
        self.assertEqual(self.loads(), {"10.2.0.11": 1})
        self.assertEqual(self.open(1001), 0)


class Rates(Guard):
    """Bursts: a tenth of a second's flows of a service, a second's of a source."""

    def test_of_a_service(self):
        self.serve(flow_rate=100)
        self.assertEqual(self.open(1000, 30), 10)
        self.assertEqual(self.dropped("service_rate"), 20)
        self.box.time(50)
        self.assertEqual(self.open(2000, 30), 5)
        self.box.time(5000)
        self.assertEqual(self.open(3000, 30), 10)
        self.assertEqual(self.open(1000, 10, flags="A"), 10)

    def test_of_a_slow_one(self):
        self.serve(flow_rate=1)
        self.assertEqual(self.open(1000, 2), 1)
        self.box.time(999)
        self.assertEqual(self.open(1001), 0)
        self.box.time(1)
        self.assertEqual(self.open(1001), 1)

    def test_of_a_source(self):
        self.serve(source_rate=5)
        self.assertEqual(self.open(1000, 10), 5)
        self.assertEqual(self.open(1000, 10, src="10.1.0.11"), 5)
        self.assertEqual(self.dropped("source_rate"), 10)
        self.box.time(400)
        self.assertEqual(self.open(2000, 10), 2)
        self.assertEqual(self.open(1000, 5, flags="A"), 5)

    def test_of_a_network(self):
        self.serve(source_rate=5, source_rate_prefix=20)
        self.assertEqual(sum(self.open(1000, src=f"10.9.{k}.{k}") for k in range(16)), 5)
        self.assertEqual(self.open(1000, src="10.9.16.1"), 1)

    def test_of_an_ipv6_network(self):
        """Of 64 bits when nothing is said."""
        service(self.box, name="six", vip="fd00:1::80", source_rate=2)
        backend(self.box, 1, service_="six", ip="fd00:2::11")
        self.apply()

        def opened(src):
            frame = Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src=src, dst="fd00:1::80") / TCP(dport=80, flags="S")
            return len(self.send(frame))
        self.assertEqual([opened(f"fd00:9:0:1:{k}::5") for k in range(3)], [1, 1, 0])
        self.assertEqual(opened("fd00:9:0:2::5"), 1)

    def test_a_source_counts_for_each_service(self):
        service(self.box, name="other", vip="10.1.0.81", source_rate=3)
        backend(self.box, 3, service_="other")
        self.serve(source_rate=3)
        self.assertEqual(self.open(1000, 5), 3)
        self.assertEqual(self.open(1000, 5, vip="10.1.0.81"), 3)

    def test_a_source_over_its_rate_takes_nothing_of_the_service(self):
        self.serve(source_rate=2, flow_rate=100)
        self.assertEqual(self.open(1000, 40), 2)
        self.assertEqual(sum(self.open(1000, src=f"10.1.0.{k}") for k in range(20, 40)), 8)
        self.assertEqual(self.dropped("service_rate"), 12)

    def test_ports_that_are_used_again_count(self):
        self.serve(source_rate=2)
        for want in (1, 1, 0):
            self.assertEqual(self.open(1000), want)
            self.send(packet(sport=1000, flags="R"))
        self.assertEqual(self.dropped("source_rate"), 1)

    def test_direct_return_takes_flows_it_does_not_know(self):
        """After a restart: segments that begin nothing are not new connections."""
        self.serve(mode=DSR_L2, sched=MAGLEV, flow_rate=10, source_rate=1)
        self.assertEqual(self.open(1000, 20, flags="A"), 20)
        self.assertEqual(self.open(2000, 3), 1)

    def test_limits_that_are_taken_away_and_given_back(self):
        self.serve(source_rate=1)
        self.assertEqual(self.open(1000, 2), 1)
        self.serve()
        self.assertEqual(self.open(2000, 20), 20)
        self.serve(source_rate=1)
        self.assertEqual(self.open(3000, 2), 0)


def datagram(sport=1000, family=4):
    ip = IP(src="10.1.0.10", dst="10.1.0.80") if family == 4 else IPv6(src="fd00:1::10", dst="fd00:1::80")
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / UDP(sport=sport, dport=80) / Raw(b"x" * 32)


class PacketRate(Guard):
    """A tenth of a second's packets may come at once. Here one is 10 ms, where nothing else is said."""

    def flow(self, n, sport=1000, **more):
        """n packets of one flow in one burst; how many went on."""
        return len(self.send(*[packet(sport=sport, flags="A", **more)] * n))

    def test_known_flows_and_new_ones(self):
        self.serve(packet_rate=100)
        self.assertEqual(self.open(1000), 1)
        self.assertEqual(self.flow(30), 9)
        self.assertEqual(self.dropped("service_packets"), 21)
        self.box.time(50)
        self.assertEqual(self.flow(2), 2)
        self.assertEqual(self.open(2000, 8), 3)
        self.assertEqual(self.flow(30), 0)
        self.assertEqual(self.dropped("service_packets"), 21 + 5 + 30)
        self.assertEqual(sum(self.box.refused().values()), 21 + 5 + 30)
        self.box.time(5000)
        self.assertEqual(self.flow(30), 10)
        self.assertEqual(sum(self.loads().values()), 4)

    def test_known_flows_go_before_new_ones_of_a_burst(self):
        self.serve(packet_rate=100)
        self.open(1000)
        frames = [f for k in range(9) for f in (packet(sport=2000 + k), packet(sport=1000, flags="A"))]
        self.assertEqual([p[TCP].flags for _, p in self.send(*frames)], ["A"] * 9)
        self.assertEqual(self.dropped("service_packets"), 9)

    def test_a_flow_that_begins_in_the_burst(self):
        self.serve(n=1, packet_rate=100, proto=UDP_PROTO)
        self.send(datagram(2000))
        self.box.time(1000)
        self.assertEqual(len(self.send(*[datagram()] * 30)), 10)
        self.assertEqual(self.dropped("service_packets"), 20)

    def test_what_is_left_of_a_burst_keeps_its_order(self):
        """Of two services, IPv4 and IPv6, known and not: only packets of the one are dropped."""
        service(self.box, name="other", vip="10.1.0.81")
        backend(self.box, 3, service_="other")
        service(self.box, name="six", vip="fd00:1::80", packet_rate=20, proto=UDP_PROTO)
        backend(self.box, 1, service_="six", ip="fd00:2::11")
        self.serve(packet_rate=20)
        self.open(1000)
        self.open(1000, 20, vip="10.1.0.81")
        self.send(datagram(family=6))
        self.box.time(100)
        frames = [f for k in range(20) for f in (packet(sport=1000, flags="A"), datagram(family=6),
                                                 packet(sport=1000 + k, flags="A", vip="10.1.0.81"))]
        got = [p for _, p in self.send(*frames[:30], *frames[30:])]
        other = [p[TCP].sport for p in got if p.dst == WEB_MAC[3]]
        self.assertEqual(len(set(other)), 20)
        self.assertEqual(len([p for p in got if UDP in p]), 2)
        self.assertEqual(len(got), 20 + 2 + 2)
        self.assertEqual(self.dropped("service_packets"), 36)

    def test_in_every_mode(self):
        for mode in (FULLNAT, DSR_L2, IPIP, GUE, DNAT):
            with self.subTest(mode=mode):
                service(self.box, mode=mode, sched=MAGLEV, packet_rate=50)
                backend(self.box, 1, port=8080 if mode in (FULLNAT, DNAT) else 80)
                self.apply()
                self.box.time(1000)
                self.send(packet(sport=mode))
                self.assertEqual(self.flow(30, sport=mode), 4)
                self.box.delete("backend/web/web1")
                self.box.delete("service/web")
                self.apply()

    def test_segments_that_only_the_hash_knows(self):
        """Without an entry, after a restart, or above an insert_rate."""
        for more in ({}, {"insert_rate": 1}):
            self.serve(mode=DSR_L2, sched=MAGLEV, packet_rate=100, **more)
            self.box.time(1000)
            before = self.dropped("service_packets")
            self.assertEqual(self.open(3000, 30, flags="A"), 10)
            self.assertEqual(self.dropped("service_packets") - before, 20)

    def test_answers_are_not_counted(self):
        self.serve(n=1, packet_rate=50)
        (_, got), = self.send(packet())
        back = Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src="10.2.0.11", dst=got[IP].src) / TCP(
            sport=8080, dport=got[TCP].sport, flags="A")
        self.assertEqual(len(self.send(back, port="south")), 1)
        self.assertEqual(len(self.send(*[back] * 40, port="south")), 40)
        self.assertEqual(self.flow(30, sport=40000), 4)

    def test_fragments_are(self):
        self.serve(n=1, packet_rate=50, proto=UDP_PROTO)
        whole = raw(datagram()[IP])
        first = IP(src="10.1.0.10", dst="10.1.0.80", id=7, flags="MF", proto=17) / Raw(whole[20:44])
        last = IP(src="10.1.0.10", dst="10.1.0.80", id=7, frag=3, proto=17) / Raw(whole[44:])
        frames = [Ether(src=CLIENT_MAC, dst=NORTH_MAC) / f for f in (first, last)]
        self.assertEqual(len(self.send(*frames)), 2)
        self.assertEqual(len(self.send(*[datagram()] * 10)), 3)

    def test_icmp_errors_of_clients_are(self):
        self.serve(n=1, mode=DSR_L2, packet_rate=50)
        self.open(1000)
        quote = raw(IP(src="10.1.0.80", dst="10.1.0.10") / TCP(sport=80, dport=1000, flags="A", seq=7))
        error = Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80") / ICMP(
            type=3, code=4, nexthopmtu=1280) / Raw(quote)
        self.assertEqual(len(self.send(*[error] * 6)), 4)
        self.assertEqual(self.dropped("service_packets"), 2)
        self.assertEqual(self.dropped("icmp_errors"), 4)

    def test_who_is_refused_takes_nothing(self):
        """By a list, by a rate, as a stray segment."""
        self.box.put("acl", service="web", ip="10.1.0.66", prefix_len=32, action=2)
        self.serve(packet_rate=100, source_rate=1)
        self.assertEqual(self.open(1000, 50, src="10.1.0.66"), 0)
        self.assertEqual(self.open(1000, 50), 1)
        self.assertEqual(self.open(5000, 50, flags="A"), 0)
        self.assertEqual(self.dropped("service_packets"), 0)
        self.assertEqual(self.flow(30), 9)

    def test_another_service_is_not_concerned(self):
        service(self.box, name="other", vip="10.1.0.81")
        backend(self.box, 3, service_="other")
        service(self.box, name="third", vip="10.1.0.82", packet_rate=30)
        backend(self.box, 3, service_="third", port=8081)
        self.serve(packet_rate=100)
        for vip, want in (("10.1.0.80", 9), ("10.1.0.81", 30), ("10.1.0.82", 2)):
            self.open(1000, vip=vip)
            self.assertEqual(self.flow(30, vip=vip), want)

    def test_a_rate_that_changes(self):
        self.serve()
        self.open(1000)
        self.assertEqual(self.flow(60), 60)
        self.serve(packet_rate=100)
        self.assertEqual(self.flow(60), 10)
        self.serve(packet_rate=1000)
        self.box.time(100)
        self.assertEqual(self.flow(60), 60)
        self.serve(packet_rate=20)
        self.assertEqual(self.flow(60), 2)
        self.serve(packet_rate=0)
        self.assertEqual(self.flow(60), 60)
        self.assertEqual(self.dropped("service_packets"), 50 + 58)

    def test_of_a_slow_one(self):
        """One at least."""
        self.serve(packet_rate=1)
        self.assertEqual(self.open(1000), 1)
        self.box.time(999)
        self.assertEqual(self.flow(3), 0)
        self.box.time(1)
        self.assertEqual(self.flow(3), 1)

    def test_the_highest_one(self):
        self.serve(packet_rate=10**9)
        self.open(1000)
        self.box.time(2**31)
        self.assertEqual(self.flow(60), 60)
        self.assertEqual(self.dropped("service_packets"), 0)


class InsertRate(Guard):
    """Direct return by hash: above the rate a flow has no entry, and the backend it would have."""
    conns = 64

    def direct(self, **more):
        self.serve(mode=DSR_L2, sched=MAGLEV, **more)

    def test_a_flood_takes_few_entries_and_nobody_is_refused(self):
        self.direct(insert_rate=100)
        self.assertEqual(self.open(1000, 60), 60)
        self.assertEqual(sum(self.loads().values()), 10)
        self.assertEqual(self.box.counters()[0]["stateless"], 50)
        self.box.time(30)
        self.assertEqual(self.open(2000, 60), 60)
        self.assertEqual(sum(self.loads().values()), 13)

    def test_a_flow_keeps_its_backend(self):
        self.direct(insert_rate=10)
        first = {k: raw(self.send(packet(sport=k))[0][1])[:6] for k in range(1000, 1030)}
        self.assertEqual(len(set(first.values())), 2)
        self.assertEqual(self.box.counters()[0]["conn_created"], 1)
        for k, mac in first.items():
            self.box.time(100)
            self.assertEqual(raw(self.send(packet(sport=k, flags="A"))[0][1])[:6], mac)
        self.assertEqual(self.box.counters()[0]["conn_created"], 30)

    def test_only_where_the_hash_is_enough(self):
        for more in ({"mode": FULLNAT, "sched": MAGLEV}, {"mode": DSR_L2, "sched": WRR},
                     {"mode": DSR_L2, "sched": MAGLEV, "max_conns": 5},
                     {"mode": DSR_L2, "sched": MAGLEV, "limits": (5,)}):
            with self.assertRaisesRegex(AssertionError, "insert_rate needs"):
                self.serve(insert_rate=5, **more)
        self.direct(insert_rate=5)


class Sources(Guard):
    def test_our_own_addresses_begin_nothing(self):
        """Of any port, VIP or SNAT; to full NAT, and to direct return, which takes segments of flows it does not know."""
        service(self.box, name="direct", vip="10.1.0.90", mode=DSR_L2, sched=MAGLEV)
        backend(self.box, 3, service_="direct", port=80)
        service(self.box, name="six", vip="fd00:1::80")
        backend(self.box, 1, service_="six", ip="fd00:2::11")
        self.serve()
        ours = ["10.1.0.1", "10.2.0.1", "10.1.0.80", "10.1.0.90", "10.2.0.100"]
        for vip in ("10.1.0.80", "10.1.0.90"):
            for flags in "SA":
                self.assertEqual([self.open(1000, src=src, vip=vip, flags=flags) for src in ours], [0] * 5)
        self.assertEqual(self.dropped("bad_ip_source"), 20)
        for src in ("fd00:1::1", "fd00:1::80", "fd00:2::100", "::1", "ff02::1"):
            self.assertEqual(self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src=src, dst="fd00:1::80")
                                       / TCP(dport=80, flags="S")), [])
        self.assertEqual(self.dropped("bad_ip_source"), 25)
        self.assertEqual(self.box.conns(), [])
        self.assertEqual(self.open(1000, src="10.1.0.2"), 1)

    def test_a_client_with_a_backends_address(self):
        """A backend is a client by its own port alone, of any service; as long as it is a backend."""
        self.serve()
        service(self.box, name="direct", vip="10.1.0.90", mode=DSR_L2, sched=MAGLEV)
        for k in (1, 2):
            backend(self.box, k, service_="direct", port=80)
        self.apply()
        backends = ["10.2.0.11", "10.2.0.12"]
        for vip, flags in (("10.1.0.80", "S"), ("10.1.0.90", "S"), ("10.1.0.90", "A")):
            self.assertEqual([self.open(1000, src=src, vip=vip, flags=flags) for src in backends], [0] * 2)
        self.assertEqual(self.dropped("backend_source"), 6)
        self.assertEqual(self.box.conns(), [])
        self.assertEqual(self.open(1000, src="10.2.0.13"), 1)
        for src in backends:
            frame = packet(src=src)
            frame[Ether].dst = SOUTH_MAC
            self.assertEqual(len(self.send(frame, port="south")), 1)
            self.assertEqual(self.open(40000, src=src, flags="A"), 1)
        self.assertEqual(self.dropped("backend_source"), 6)
        for name in ("web", "direct"):
            self.box.delete(f"backend/{name}/web2")
        self.apply()
        self.assertEqual(self.open(2000, src="10.2.0.12"), 1)
        self.assertEqual(self.open(2000, src="10.2.0.11"), 0)

    def test_a_flow_that_begins_again(self):
        """Whose the address is may have changed since the entry was made: flows go on, none begins."""
        self.serve()
        for src in ("10.2.0.13", "10.1.0.90"):
            self.assertEqual([self.open(1000, src=src, flags=f) for f in "SA"], [1, 1])
            self.assertEqual([self.open(1001, src=src, flags=f) for f in "SR"], [1, 1])
        backend(self.box, 3)
        service(self.box, name="direct", vip="10.1.0.90", mode=DSR_L2, sched=MAGLEV)
        self.apply()
        for src, reason in (("10.2.0.13", "backend_source"), ("10.1.0.90", "bad_ip_source")):
            self.assertEqual([self.open(port, src=src, flags=f) for port, f in ((1000, "A"), (1001, "S"))], [1, 0])
            self.assertEqual(self.dropped(reason), 1)
        self.assertEqual(self.box.explain("10.1.0.90", 1001, "10.1.0.80", 80)["drop"], "bad_ip_source")


class TwoWorkers(Guard):
    workers = 2

    def test_rates_are_shared(self):
        """Each worker 50 in a second, and 5 at once; and of a source 4 of 8."""
        self.serve(flow_rate=100)
        self.assertEqual(self.open(1000, 100), 10)
        self.box.time(50)
        self.assertEqual(self.open(2000, 100), 4)  # 2.5 tokens each
        self.serve(source_rate=8)
        self.assertEqual(self.open(3000, 100, src="10.1.0.44"), 8)

    def test_packets_are_shared(self):
        """10 at once: each worker 5, whose they may be."""
        self.serve(packet_rate=100)
        sports = {self.box.explain("10.1.0.10", sport, "10.1.0.80", 80)["worker"]: sport for sport in range(1000, 1040)}
        self.assertEqual(self.open(1000, 60), 10)
        self.box.time(1000)
        frames = [packet(sport=sports[worker]) for worker in (0, 1)]
        self.assertEqual(len(self.send(*frames)), 2)
        self.box.time(1000)
        self.assertEqual(len(self.send(*frames[:1] * 30)), 5)
        self.assertEqual(len(self.send(*frames[1:] * 30)), 5)
        self.box.time(20)
        self.assertEqual(len(self.send(*frames * 30)), 2)
        self.assertEqual(self.dropped("service_packets"), 50 + 25 + 25 + 58)

    def test_each_has_half(self):
        self.serve(max_conns=10)
        self.assertEqual(self.open(1000, 100), 10)
        self.assertEqual(self.dropped("service_limit"), 90)

    def test_of_a_backend_too(self):
        self.serve(limits=(10, 3), sched=RR)
        self.assertEqual(self.open(1000, 100), 14)
        self.assertEqual(self.loads(), {"10.2.0.11": 10, "10.2.0.12": 4})  # 3 is two shares of 2


if __name__ == "__main__":
    unittest.main()
