# SPDX-License-Identifier: BSD-3-Clause
"""What EXPLAIN says of a packet is what then happens to it. pktbox dies when explaining changes anything."""
import random
from collections import Counter

from box import *

SCHEDS = {"maglev": 1, "wrr": 2, "rr": 3, "wlc": 4, "lc": 5, "p2c": 6, "sh": 7, "rendezvous": 8}
MODES = {"full-nat": FULLNAT, "dsr-l2": DSR_L2, "ipip": IPIP, "gue": GUE, "dnat": DNAT}
FORWARDED, HELD, DROPPED, KERNEL, ANSWER, RESET, COOKIE = 1, 2, 3, 4, 5, 6, 7
NO_LIMIT = 0xffffffff


def packet(src, sport, dst, dport, proto=TCP_PROTO, flags="S"):
    ip = IPv6(src=src, dst=dst) if ":" in dst else IP(src=src, dst=dst)
    l4 = TCP(sport=sport, dport=dport, flags=flags) if proto == TCP_PROTO else UDP(sport=sport, dport=dport)
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / l4


class Explain(PacketTest):
    def serve(self, name="web", vip="10.1.0.80", n=4, dport=80, states=(), limit=0, weights=(1, 2, 3, 1), **more):
        more = {"mode": FULLNAT, "sched": 2, **more}
        port = dport if more["mode"] in (DSR_L2, IPIP, GUE) else 8080
        first = more.pop("first", 1)
        service(self.box, name=name, vip=vip, port=dport, **more)
        for k in range(n):
            ip = f"fd00:2::{10 + k + first}" if ":" in vip else f"10.2.0.{10 + k + first}"
            self.box.put("backend", service=name, name=f"web{k + first}", ip=ip, port=port,
                         weight=weights[k % len(weights)], state=dict(states).get(k + first, UP), max_conns=limit)
        self.apply()

    def went_to(self, got, mode):
        """The backend's address in a frame that left; with NAT who it is from, too."""
        ip = got[IPv6] if IPv6 in got else got[IP]
        if mode == DSR_L2:
            n, = [n for n, mac in WEB_MAC.items() if mac == got.dst]
            return f"10.2.0.{10 + n}" if IP in got else f"fd00:2::{10 + n}"
        return ip.dst

    def agree(self, src, sport, dst, dport, proto=TCP_PROTO, flags="S"):
        """Explains, then sends; compares. Returns the explanation."""
        e = self.box.explain(src, sport, dst, dport, proto, flags != "S" and proto == TCP_PROTO)
        before, conns = self.box.counters()[0], Counter(map(tuple, self.box.conns()))
        out = self.send(packet(src, sport, dst, dport, proto, flags))
        after = self.box.counters()[0]
        told = {k: v for k, v in e.items() if k != "drop_help"}
        if e["verdict"] == DROPPED:
            self.assertEqual(out, [], told)
            self.assertEqual(after.get(e["drop"], 0), before.get(e["drop"], 0) + 1, told)
            return e
        if e["verdict"] == RESET:
            (port, got), = out
            self.assertEqual((port, "R" in got[TCP].flags, got[IP].dst), ("north", True, src), told)
            return e
        if e["verdict"] == COOKIE:
            (port, got), = out
            self.assertEqual((port, str(got[TCP].flags), got[TCP].window, got[IP].dst), ("north", "SA", 0, src), told)
            self.assertEqual(after["syn_cookies_sent"], before.get("syn_cookies_sent", 0) + 1)
            self.assertEqual(Counter(map(tuple, self.box.conns())), conns)
            self.isn = got[TCP].seq
            return e
        self.assertIn(e["verdict"], (FORWARDED, HELD))
        (port, got), = out
        self.assertEqual(self.went_to(got, e["mode"]), e["backend_ip"], told)
        self.assertEqual(port, e["port"])
        self.assertEqual(after.get("stateless", 0) - before.get("stateless", 0), e["is_stateless"], told)
        if e["mode"] == FULLNAT:
            ip = got[IPv6] if IPv6 in got else got[IP]
            self.assertEqual((ip.src, ip.payload.sport, ip.payload.dport),
                             (e["snat"], e["snat_port"], e["backend_port"]))
        if not e["has_entry"]:
            new = Counter(map(tuple, self.box.conns())) - conns
            self.assertEqual(sum(new.values()), 0 if e["is_stateless"] else 1)
            self.assertTrue(all(int(c[-1]) == e["worker"] for c in new), (new, told))
        return e


class EveryChoice(Explain):
    workers = 2

    def test_every_scheduler_and_mode(self):
        rng = random.Random(7)
        vips = [f"10.1.0.{80 + k}" for k in range(len(MODES))]
        for sched in SCHEDS.values():
            for vip, mode in zip(vips, MODES.values()):
                # a DNAT backend is in one service only
                self.serve(f"s{mode}", vip, mode=mode, sched=sched, n=3, first=4 if mode == DNAT else 1)
            for vip in vips * 3:
                src, sport = f"10.1.0.{rng.randrange(10, 60)}", rng.randrange(1024, 65536)
                e = self.agree(src, sport, vip, 80)
                self.assertEqual((e["has_entry"], e["is_new"], e["scheduler"]), (0, 1, sched))
                self.assertEqual(self.agree(src, sport, vip, 80, flags="A")["has_entry"], 1)

    def test_ipv6_and_udp(self):
        self.serve("six", "fd00:1::80", sched=1)
        self.serve("dns", "10.1.0.53", dport=53, proto=UDP_PROTO, sched=3)
        for k in range(8):
            self.agree("fd00:1::10", 2000 + k, "fd00:1::80", 80)
            self.agree("10.1.0.10", 2000 + k, "10.1.0.53", 53, UDP_PROTO)


class AnyCourse(Explain):
    """Random packets, times and backend states under limits of every kind."""

    def run_course(self, seed, steps, **fields):
        rng = random.Random(seed)
        seen = Counter()
        states = {}
        self.serve(**fields)
        for _ in range(steps):
            kind = rng.random()
            if kind < 0.06:
                states[rng.randrange(1, 5)] = rng.choice((UP, UP, DRAIN, DOWN))
                self.serve(states=states.items(), **fields)
            elif kind < 0.16:
                self.box.time(rng.choice((50, 300, 1500, 5000)))
                self.send()
            else:
                e = self.agree(f"10.1.0.{rng.randrange(10, 13)}", rng.randrange(3000, 3012), "10.1.0.80", 80,
                               flags=rng.choice("SSSAAFR" if not fields.get("on_down") else "SSAAA"))
                seen[{RESET: "reset", COOKIE: "cookie"}.get(e["verdict"], e.get("drop", "forwarded"))] += 1
        return seen

    def test_backend_limits(self):
        seen = self.run_course(1, 120, sched=3, limit=2)
        self.assertTrue(seen["backend_limit"] and seen["no_conn"] and seen["forwarded"], seen)

    def test_service_limit_and_rates(self):
        seen = self.run_course(2, 120, sched=5, max_conns=6, source_rate=3, flow_rate=4, source_rate_prefix=32)
        self.assertTrue(seen["service_limit"] or seen["service_rate"], seen)
        self.assertTrue(seen["source_rate"] and seen["forwarded"], seen)

    def test_packets_of_a_second(self):
        """Of new flows, known ones and ones that begin again."""
        seen = self.run_course(8, 120, sched=5, packet_rate=10)
        self.assertTrue(seen["service_packets"] and seen["forwarded"], seen)

    def test_packets_of_a_second_by_hash(self):
        seen = self.run_course(9, 80, sched=1, mode=DSR_L2, packet_rate=10, insert_rate=2)
        self.assertTrue(seen["service_packets"] and seen["forwarded"], seen)

    def test_load_bound(self):
        self.run_course(3, 60, sched=1, load_bound_pct=110, mode=DNAT)

    def test_flows_that_move(self):
        self.run_course(5, 80, sched=3, on_down=1)

    def test_flows_that_are_reset(self):
        seen = self.run_course(6, 80, sched=3, on_down=2)
        self.assertTrue(seen["reset"] and seen["forwarded"], seen)

    def test_cookies(self):
        """Beside other limits, and in every order."""
        for seed, mode in ((8, FULLNAT), (9, DNAT)):
            seen = self.run_course(seed, 80, sched=3, syn_cookies=3, source_rate=2, source_rate_prefix=32, max_conns=9,
                                   mode=mode)
            self.assertTrue(seen["cookie"] and seen["forwarded"] and seen["no_conn"], seen)

    def test_forwarding_by_hash(self):
        seen = self.run_course(4, 80, sched=1, mode=DSR_L2, insert_rate=2)
        self.assertGreater(self.dropped("stateless"), 0, seen)


class Steps(Explain):
    def explain(self, src="10.1.0.10", sport=4000, dst="10.1.0.80", dport=80, **more):
        return self.box.explain(src, sport, dst, dport, **more)

    def test_what_is_no_service(self):
        self.serve()
        self.assertEqual(self.explain(dport=81)["drop"], "no_service")
        self.assertEqual(self.explain(dport=81)["address"], "virtual")
        self.assertEqual(self.explain(proto=UDP_PROTO)["drop"], "no_service")
        self.assertEqual(self.explain(dst="10.1.0.1")["verdict"], KERNEL)
        self.assertEqual(self.explain(dst="10.1.0.1")["address"], "own")
        self.assertEqual(self.explain(dst="10.9.9.9")["address"], "none")
        self.assertEqual(self.explain(dst="10.2.0.100")["verdict"], ANSWER)
        self.assertNotIn("service", self.explain(dst="10.9.9.9"))

    def test_sources_that_nobody_has(self):
        self.serve()
        for src in ("127.0.0.1", "224.0.0.1", "10.1.0.80", "10.2.0.100"):
            self.assertEqual(self.explain(src=src)["drop"], "bad_ip_source", src)

    def test_a_backend_as_a_client_comes_by_its_own_port(self):
        self.serve()
        e = self.explain(src="10.2.0.11")
        self.assertIn(e["verdict"], (FORWARDED, HELD))

    def test_nobody_is_up(self):
        self.serve(states=[(k, DOWN) for k in range(1, 5)])
        e = self.explain()
        self.assertEqual((e["drop"], e.get("scheduled"), e.get("backend")), ("no_backend", None, None))

    def test_lists(self):
        self.serve()
        self.box.put("acl", service="web", ip="10.1.0.66", prefix_len=32, action=2)
        self.apply()
        self.assertEqual(self.agree("10.1.0.66", 4000, "10.1.0.80", 80)["drop"], "acl")
        self.agree("10.1.0.65", 4000, "10.1.0.80", 80)

    def test_the_neighbour(self):
        self.serve(n=1)
        self.assertEqual((self.explain()["verdict"], self.explain()["neigh_state"]), (HELD, 1))
        self.agree("10.1.0.10", 4000, "10.1.0.80", 80)
        e = self.explain(sport=4001)
        self.assertEqual((e["verdict"], e["neigh_state"], e["next_hop"], e["port"]), (FORWARDED, 2, "10.2.0.11", "south"))
        self.assertEqual(e["answer_port"], "north")
        self.assertEqual(e["answer_next_hop"], "10.1.0.10")

    def test_limits_and_what_is_left(self):
        self.serve(max_conns=5, source_rate=10, flow_rate=20, limit=7)
        e = self.explain()
        self.assertEqual((e["service_conns"], e["service_conns_max"], e["backend_conns_max"]), (0, 5, 7))
        left = e["source_left"], e["flows_left"]
        self.agree("10.1.0.10", 4000, "10.1.0.80", 80)
        e = self.explain(sport=4001)
        self.assertEqual((e["source_left"], e["flows_left"]), (left[0] - 1, left[1] - 1))
        self.assertEqual(e["service_conns"], 1)
        self.assertEqual(self.explain(src="10.1.0.11")["source_left"], left[0])
        self.serve()
        e = self.explain()
        self.assertEqual((e["service_conns_max"], e["source_left"], e["flows_left"], e["packets_left"]),
                         (NO_LIMIT,) * 4)

    def test_packets_that_are_left(self):
        self.serve(packet_rate=20)
        self.assertEqual(self.explain()["packets_left"], 2)
        self.agree("10.1.0.10", 4000, "10.1.0.80", 80)
        self.assertEqual(self.explain(sport=4001)["packets_left"], 1)
        self.agree("10.1.0.10", 4000, "10.1.0.80", 80, flags="A")
        e = self.explain(segment=True)
        self.assertEqual((e["packets_left"], e["has_entry"], e["drop"]), (0, 1, "service_packets"))
        self.assertEqual(self.explain(sport=4001)["drop"], "service_packets")

    def test_an_entry_and_its_times(self):
        self.serve()
        self.agree("10.1.0.10", 4000, "10.1.0.80", 80)
        self.box.time(3000)
        e = self.explain()
        self.assertEqual((e["has_entry"], e["conn_state"], e["age_ms"], e["idle_ms"], e["packets"]), (1, 1, 3000, 3000, 1))
        self.assertEqual(e["expires_ms"], 7000)
        self.assertEqual(e["is_new"], 0)

    def test_cookies(self):
        """Below the rate there is an entry; above it a cookie; what a segment without an entry is, its bytes tell."""
        self.serve(syn_cookies=20, n=1)
        for left in (2, 1):
            e = self.explain(sport=4000 + left)
            self.assertEqual((e["syns_left"], e["may_be_cookie"]), (left, 0))
            self.assertIn(self.agree("10.1.0.10", 4000 + left, "10.1.0.80", 80)["verdict"], (HELD, FORWARDED))
        e = self.agree("10.1.0.10", 5000, "10.1.0.80", 80)
        self.assertEqual((e["verdict"], e["syns_left"], e["is_new"], e["has_entry"], e.get("backend")), (COOKIE, 0, 0, 0, None))
        self.assertEqual(e["scheduled"], "web1")
        e = self.agree("10.1.0.10", 5000, "10.1.0.80", 80, flags="A")
        self.assertEqual((e["drop"], e["may_be_cookie"]), ("no_conn", 1))
        ack = packet("10.1.0.10", 5000, "10.1.0.80", 80, flags="A")
        ack[TCP].seq, ack[TCP].ack = 1, self.isn + 1 & 0xffffffff
        self.assertEqual([str(got[TCP].flags) for _, got in self.send(ack)], ["S"])
        e = self.explain(sport=5000, segment=True)
        self.assertEqual((e["has_entry"], e["mode"], e["verdict"], e["may_be_cookie"]), (1, FULLNAT, FORWARDED, 0))
        self.serve(syn_cookies=20, n=1, max_conns=1)  # who is refused then is refused with a cookie, too
        e = self.explain(sport=5001, segment=True)
        self.assertEqual((e["drop"], e["may_be_cookie"]), ("no_conn", 0))
        self.serve(n=1)
        e = self.explain(sport=5001, segment=True)
        self.assertEqual((e["drop"], e["may_be_cookie"], e["syns_left"]), ("no_conn", 0, NO_LIMIT))

    def test_the_mode_of_an_entry(self):
        """As the configuration names it, whatever a service wants besides."""
        for k, more in enumerate(({"mss": 1000}, {"mss": 1000, "mode": DNAT}, {"client_address": 2})):
            self.serve(n=1, **more)
            self.agree("10.1.0.10", 4000 + k, "10.1.0.80", 80)
            e = self.explain(sport=4000 + k, segment=True)
            self.assertEqual((e["has_entry"], e["mode"]), (1, more.get("mode", FULLNAT)))

    def test_a_flow_that_begins_again(self):
        self.serve(sched=3)
        first = self.agree("10.1.0.10", 4000, "10.1.0.80", 80)
        self.agree("10.1.0.10", 4000, "10.1.0.80", 80, flags="R")
        e = self.agree("10.1.0.10", 4000, "10.1.0.80", 80)
        self.assertEqual((e["has_entry"], e["is_new"]), (1, 1))
        self.assertNotEqual((e["snat_port"], e["backend"]), (first["snat_port"], first["backend"]))


class FullTable(Explain):
    conns = 64

    def test_with_and_without_a_fallback(self):
        self.serve("web", sched=2)
        self.serve("hash", "10.1.0.81", mode=DSR_L2, sched=1)
        for k in range(64):
            self.assertEqual(self.agree("10.1.0.10", 5000 + k, "10.1.0.80", 80)["is_stateless"], 0)
        self.assertEqual(self.agree("10.1.0.10", 6000, "10.1.0.80", 80)["drop"], "conn_table_full")
        self.assertEqual(self.agree("10.1.0.10", 6000, "10.1.0.81", 80)["is_stateless"], 1)


if __name__ == "__main__":
    unittest.main()
