# SPDX-License-Identifier: BSD-3-Clause
"""Allow and deny lists: who may begin flows, in every mode; what has an entry is not asked."""
import random

from box import *

ALLOW, DENY = 1, 2
VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
IN, OUT, OTHER = ({4: f"10.1.0.{k}", 6: f"fd00:1::{k}"} for k in (10, 11, 12))


def packet(src, sport=40000, flags="S"):
    six = ":" in src
    ip = IPv6(src=src, dst=VIP[6]) if six else IP(src=src, dst=VIP[4])
    l4 = UDP(sport=sport, dport=80) / b"ask" if flags is None else TCP(sport=sport, dport=80, flags=flags)
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / l4


class Acl(PacketTest):
    def serve(self, family=4, name="web", **fields):
        """One backend in the family."""
        service(self.box, name=name, vip=VIP[family], **fields)
        backend(self.box, 1, service_=name, ip={4: "10.2.0.11", 6: "fd00:2::11"}[family],
                port=80 if fields.get("mode") == DSR_L2 else 8080)

    def prefix(self, action, prefix, name="web"):
        ip, length = prefix.split("/")
        self.box.put("acl", service=name, ip=ip, prefix_len=length, action=action)

    def forget(self, prefix, name="web"):
        self.box.delete(f"acl/{name}/{prefix}")

    def passes(self, src, **more):
        """Whether a packet of this client goes on; one that does not is dropped for the list's sake."""
        before = self.dropped("acl")
        n = len(self.send(packet(src, **more)))
        self.assertEqual(n + self.dropped("acl") - before, 1)
        return n == 1


class Modes(Acl):
    def test_a_client_is_kept_out_and_another_one_is_not(self):
        for family, net in (4, "10.1.0.%u/%u"), (6, "fd00:1::%x/%u"):
            bits = {4: 32, 6: 128}[family]
            pair, one = net % ({4: 10, 6: 16}[family], bits - 1), net % ({4: 10, 6: 16}[family], bits)
            for mode in (FULLNAT, DSR_L2, DNAT):
                with self.subTest(family=family, mode=mode):
                    more = {"sport": 1000 * mode}  # what another mode let in has an entry
                    self.serve(family, mode=mode, sched=MAGLEV)
                    self.prefix(DENY, pair)
                    self.apply()
                    self.assertFalse(self.passes(IN[family], **more))
                    self.assertFalse(self.passes(OUT[family], **more))
                    self.assertTrue(self.passes(OTHER[family], **more))
                    self.prefix(ALLOW, one)
                    self.apply()
                    self.assertTrue(self.passes(IN[family], **more))
                    self.assertFalse(self.passes(OUT[family], **more))
                    self.assertTrue(self.passes(OTHER[family], flags="A", **more), "is known")
                    more["sport"] += 1
                    self.assertFalse(self.passes(OTHER[family], **more), "with an allow prefix others are out")
                    self.forget(pair)
                    self.forget(one)
                    self.apply()
                    self.assertTrue(self.passes(OTHER[family], **more), "no list")

    def test_udp(self):
        self.serve(proto=UDP_PROTO, sched=MAGLEV)
        self.prefix(ALLOW, "10.1.0.10/32")
        self.apply()
        self.assertTrue(self.passes(IN[4], flags=None))
        self.assertFalse(self.passes(OUT[4], flags=None))

    def test_direct_return_without_entries_is_asked_for_each_packet(self):
        """Segments that a restart or an insert_rate left without an entry: the hash must not let in whom a list does not."""
        for more in ({}, {"insert_rate": 1}):
            with self.subTest(**more):
                self.serve(mode=DSR_L2, sched=MAGLEV, **more)
                self.prefix(DENY, "10.1.0.11/32")
                self.apply()
                for flags in ("S", "A", "PA", "FA", "R"):
                    for sport in range(50000, 50005):
                        self.assertTrue(self.passes(IN[4], sport=sport, flags=flags))
                        self.assertFalse(self.passes(OUT[4], sport=sport, flags=flags))

    def test_a_service_with_entries_alone_has_no_list_for_strays(self):
        self.serve()
        self.prefix(DENY, "10.1.0.11/32")
        self.apply()
        self.assertEqual(self.send(packet(OUT[4], flags="A")), [])
        self.assertEqual((self.dropped("no_conn"), self.dropped("acl")), (1, 0))


class NewFlows(Acl):
    def test_known_flows_go_on(self):
        for mode in (FULLNAT, DSR_L2):
            with self.subTest(mode=mode):
                self.serve(mode=mode, sched=MAGLEV)
                self.apply()
                self.assertTrue(self.passes(IN[4], sport=1000 + mode))
                self.prefix(DENY, "0.0.0.0/0")
                self.apply()
                self.assertTrue(self.passes(IN[4], sport=1000 + mode, flags="A"))
                self.assertTrue(self.passes(IN[4], sport=1000 + mode, flags="PA"))
                self.assertFalse(self.passes(IN[4], sport=2000 + mode))
                self.forget("0.0.0.0/0")

    def test_ports_that_are_used_again_are_asked(self):
        self.serve()
        self.apply()
        self.assertTrue(self.passes(IN[4]))
        self.assertTrue(self.passes(IN[4], flags="R"))
        self.prefix(DENY, "10.1.0.0/24")
        self.apply()
        self.assertFalse(self.passes(IN[4]))

    def test_a_list_comes_before_limits(self):
        """Whom a list keeps out takes nothing from the others."""
        self.serve(flow_rate=10)
        self.prefix(DENY, "10.1.0.11/32")
        self.apply()
        for k in range(20):
            self.assertFalse(self.passes(OUT[4], sport=1000 + k))
        self.assertTrue(self.passes(IN[4]))
        self.assertEqual(self.dropped("service_rate"), 0)

    def test_another_service_is_not_concerned(self):
        self.serve()
        self.serve(6, name="six")
        self.prefix(DENY, "0.0.0.0/0")
        self.apply()
        self.assertFalse(self.passes(IN[4]))
        self.assertTrue(self.passes(IN[6]))


class Lists(Acl):
    def test_every_one_of_many_prefixes_counts(self):
        """Single addresses of a /20, of which a random half is let in; changed by half, a backend changed beside."""
        self.serve(mode=DSR_L2, sched=MAGLEV)
        draw = random.Random(7)
        allowed = set()
        for turn in range(2):
            for k in range(4096):
                if draw.random() < 0.5:
                    action = draw.choice((ALLOW, DENY))
                    self.prefix(action, f"172.16.{k >> 8}.{k & 255}/32")
                    (allowed.add if action == ALLOW else allowed.discard)(k)
            backend(self.box, 1, port=80, weight=turn + 1)
            self.apply()
            first, *asked = draw.sample(sorted(allowed), 1) + draw.sample(range(4096), 60)
            self.assertTrue(self.passes(f"172.16.{first >> 8}.{first & 255}"))  # and finds the next hop
            frames = [packet(f"172.16.{k >> 8}.{k & 255}", sport=1000 + turn) for k in asked]
            before = self.dropped("acl")
            went = {p[IP].src for _, p in self.send(*frames)}
            self.assertEqual(went, {f"172.16.{k >> 8}.{k & 255}" for k in asked if k in allowed})
            self.assertEqual(self.dropped("acl") - before, 60 - len(went))
            self.assertTrue(0 < len(went) < 60)

    def test_what_the_model_refuses(self):
        self.serve()
        self.apply()
        self.prefix(DENY, "fd00::/16")
        self.assertEqual(self.box.apply(), "refused acl/web/fd00::/16: it is IPv6 but the VIP is IPv4, whose "
                                           "clients it cannot match")
        self.forget("fd00::/16")
        self.prefix(DENY, "10.0.0.0/8", name="wep")
        self.assertEqual(self.box.apply(), 'refused acl/wep/10.0.0.0/8: service "wep" does not exist; add it or '
                                           'remove the prefix')
        self.forget("10.0.0.0/8", name="wep")
        for k in range(10001):
            self.prefix(DENY, f"10.{k >> 16}.{k >> 8 & 255}.{k & 255}/32")
        self.assertRegex(self.box.apply(), "refused service/web: 10001 allow and deny prefixes are more than")
        self.forget("10.0.0.0/32")
        self.apply()
        self.assertFalse(self.passes("10.0.39.16"))
        self.assertTrue(self.passes("10.0.39.17"))


if __name__ == "__main__":
    unittest.main()
