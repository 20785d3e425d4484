# SPDX-License-Identifier: BSD-3-Clause
"""What the box answers itself, what it gives to the kernel, and what it refuses."""
import random

from box import *


class Local(PacketTest):
    def setUp(self):
        super().setUp()
        service(self.box)
        backend(self.box, 1)
        service(self.box, name="six", vip="fd00:1::80")
        backend(self.box, 1, service_="six", ip="fd00:2::11")
        self.apply()

    def kernel(self, *frames, port="north"):
        return [d for what, _, d in self.box.run(*frames, port=port) if what == "kernel"]

    def test_arp_for_own_vip_and_snat_addresses(self):
        for port, ip, mac in (("north", "10.1.0.1", NORTH_MAC), ("north", "10.1.0.80", NORTH_MAC),
                              ("south", "10.2.0.100", SOUTH_MAC)):
            ask = (Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff")
                   / ARP(op=1, hwsrc=CLIENT_MAC, psrc="10.1.0.10", pdst=ip))
            out = [o for o in self.box.run(ask, port=port) if o[0] == "out"]
            replies = [Ether(d) for _, _, d in out if ARP in Ether(d) and Ether(d)[ARP].op == 2]
            self.assertEqual(len(replies), 1, ip)
            self.assertFrame(replies[0], Ether(src=mac, dst=CLIENT_MAC)
                             / ARP(op=2, hwsrc=mac, psrc=ip, hwdst=CLIENT_MAC, pdst="10.1.0.10"))

    def test_arp_for_others_is_the_kernels(self):
        ask = (Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff")
               / ARP(op=1, hwsrc=CLIENT_MAC, psrc="10.1.0.10", pdst="10.1.0.77"))
        self.assertEqual(self.kernel(ask), [raw(ask)])

    def test_ndp_answers_solicitations(self):
        ns = (Ether(src=CLIENT_MAC, dst="33:33:ff:00:00:80")
              / IPv6(src="fd00:1::10", dst="ff02::1:ff00:80", hlim=255)
              / ICMPv6ND_NS(tgt="fd00:1::80") / ICMPv6NDOptSrcLLAddr(lladdr=CLIENT_MAC))
        (got,) = [Ether(d) for w, _, d in self.box.run(ns) if w == "out"
                  and ICMPv6ND_NA in Ether(d)]
        self.assertFrame(got, Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                         / IPv6(src="fd00:1::80", dst="fd00:1::10", hlim=255)
                         / ICMPv6ND_NA(tgt="fd00:1::80", R=0, S=1, O=1)
                         / ICMPv6NDOptDstLLAddr(lladdr=NORTH_MAC))

    def test_ndp_from_off_link_is_refused(self):
        ns = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::10", dst="fd00:1::80", hlim=64)
              / ICMPv6ND_NS(tgt="fd00:1::80"))
        self.box.run(ns)
        self.assertEqual(self.dropped("bad_l4_header"), 1)

    def test_echo(self):
        for ip in ("10.1.0.1", "10.1.0.80"):
            ping = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst=ip, ttl=9, id=4)
                    / ICMP(id=1, seq=2) / Raw(b"abc"))
            got = [f for _, f in self.send(ping) if ICMP in f]
            self.assertFrame(got[0], Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                             / IP(src=ip, dst="10.1.0.10", ttl=64, id=4)
                             / ICMP(type=0, id=1, seq=2) / Raw(b"abc"))
        for ip in ("fd00:1::1", "fd00:1::80"):
            ping = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::10", dst=ip)
                    / ICMPv6EchoRequest(id=1, seq=2, data=b"abc"))
            got = [f for _, f in self.send(ping) if ICMPv6EchoReply in f]
            self.assertFrame(got[0], Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                             / IPv6(src=ip, dst="fd00:1::10", hlim=64)
                             / ICMPv6EchoReply(id=1, seq=2, data=b"abc"))

    def test_what_is_not_ours_reaches_the_kernel_untouched(self):
        for f in (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.1")
                  / TCP(sport=1, dport=22, flags="S"),
                  Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="203.0.113.9")
                  / UDP(sport=1, dport=2) / Raw(b"route me"),
                  Ether(src=CLIENT_MAC, dst="01:80:c2:00:00:0e", type=0x88cc) / Raw(b"lldp")):
            self.assertEqual(self.kernel(f), [raw(f)])

    def test_service_on_another_port_is_refused(self):
        f = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80")
             / TCP(sport=1, dport=81, flags="S"))
        self.assertEqual(self.kernel(f), [])
        self.assertEqual(self.dropped("no_service"), 1)

    def test_hostile_headers_are_counted_by_reason(self):
        good = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80")
                / TCP(sport=1, dport=80, flags="S"))

        def change(at, value):
            data = bytearray(raw(good))
            data[at:at + len(value)] = value
            return bytes(data)

        def with_checksum(data):
            ip = IP(data[14:])
            del ip.chksum
            return data[:14] + raw(ip)[:20] + data[34:]

        cases = [(raw(good)[:13], "short_frame"), (raw(good)[:30], "short_frame"),
                 (change(0, b"\x02\x99"), "foreign_mac"), (change(14, b"\x65"), "bad_ip_header"),
                 (change(14, b"\x44"), "bad_ip_header"), (change(24, b"\x00\x00"), "bad_ip_checksum"),
                 (with_checksum(change(16, b"\x00\x10")), "bad_ip_header"),
                 (with_checksum(change(16, b"\x20\x00")), "short_frame"),
                 (with_checksum(change(26, bytes([127, 0, 0, 1]))), "bad_ip_source"),
                 (with_checksum(change(26, bytes([224, 0, 0, 1]))), "bad_ip_source"),
                 (change(46, b"\x40"), "bad_l4_header"), (change(46, b"\xf0"), "bad_l4_header")]
        for data, reason in cases:
            before = self.dropped(reason)
            self.box.say(f"in north 0 {data.hex()}")
            self.box.run()
            self.assertEqual(self.dropped(reason), before + 1, (reason, data.hex()))

    def test_random_and_mutated_frames_do_no_harm(self):
        rng = random.Random(11)
        seeds = [raw(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80")
                     / TCP(sport=1, dport=80, flags="S")),
                 raw(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::10", dst="fd00:1::80")
                     / UDP(sport=1, dport=80) / Raw(b"x" * 40)),
                 raw(Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.1.0.1")),
                 raw(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::10", dst="fd00:1::1",
                     hlim=255) / ICMPv6ND_NS(tgt="fd00:1::1")
                     / ICMPv6NDOptSrcLLAddr(lladdr=CLIENT_MAC))]
        for _ in range(3000):
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            data = data[:rng.randrange(1, len(data) + 1)] + bytes(rng.randrange(0, 30))
            self.box.say(f"in {rng.choice(['north', 'south'])} 0 {bytes(data).hex()}")
            if rng.random() < 0.05:
                self.box.run()
        self.box.run()
        ping = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80") / ICMP())
        self.assertEqual(len([f for _, f in self.send(ping) if ICMP in f]), 1)


class Neighbours(PacketTest):
    def setUp(self):
        super().setUp()
        service(self.box)
        backend(self.box, 1)
        self.apply()
        self.syn = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80")
                    / TCP(sport=1, dport=80, flags="S"))

    def test_packets_wait_for_the_neighbour_and_follow_it(self):
        out = self.box.run(*[self.syn] * 3)
        asks = [Ether(d) for _, _, d in out if ARP in Ether(d)]
        self.assertEqual([a[ARP].pdst for a in asks], ["10.2.0.11"])
        self.assertFrame(asks[0], Ether(src=SOUTH_MAC, dst="ff:ff:ff:ff:ff:ff")
                         / ARP(op=1, hwsrc=SOUTH_MAC, psrc="10.2.0.1", hwdst="00:00:00:00:00:00",
                               pdst="10.2.0.11"))
        self.assertEqual(self.box.counters()[0]["held"], 3)
        follow = [d for d in self.answer_arp(out) if d[0] == "out"]
        self.assertEqual([Ether(d)[IP].dst for _, _, d in follow], ["10.2.0.11"] * 3)

    def test_hold_queue_is_bounded(self):
        self.box.run(*[self.syn] * 30)
        self.assertEqual(self.dropped("neigh_hold_full"), 22)

    def test_silent_neighbour_fails_and_is_asked_again_later(self):
        self.box.run(self.syn)
        for _ in range(4):
            self.box.time(1100)
            self.box.run()
        self.assertEqual(self.dropped("neigh_failed"), 1)
        self.box.time(6000)
        out = self.box.run() + self.box.run()
        self.assertTrue(any(ARP in Ether(d) for _, _, d in out))

    def test_gratuitous_claims_for_strangers_are_ignored(self):
        claim = (Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff")
                 / ARP(op=2, hwsrc=CLIENT_MAC, psrc="10.2.0.99", hwdst=SOUTH_MAC, pdst="10.2.0.1"))
        self.answer_arp(self.box.run(claim, port="south"))
        self.assertEqual(len(self.send(self.syn)), 1)


    def test_a_backend_that_asks_has_moved_there(self):
        """A backend with a new network card asks for us before anybody asks for it."""
        service(self.box, name="six", vip="fd00:1::80")
        backend(self.box, 1, service_="six", ip="fd00:2::11")
        self.apply()
        syn6 = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::10", dst="fd00:1::80")
                / TCP(sport=1, dport=80, flags="S"))
        for syn in self.syn, syn6:
            self.assertEqual([f.dst for _, f in self.send(syn)], [WEB_MAC[1]])
        asks = (Ether(src=WEB_MAC[7], dst="ff:ff:ff:ff:ff:ff")
                / ARP(op=1, hwsrc=WEB_MAC[7], psrc="10.2.0.11", pdst="10.2.0.1"),
                Ether(src=WEB_MAC[7], dst="33:33:ff:00:00:01") / IPv6(src="fd00:2::11", dst="ff02::1:ff00:1", hlim=255)
                / ICMPv6ND_NS(tgt="fd00:2::1") / ICMPv6NDOptSrcLLAddr(lladdr=WEB_MAC[7]))
        out = self.box.run(*asks, port="south")
        self.assertFalse([o for o in out if o[0] == "kernel"])  # the answers are ours
        replies = [Ether(d) for _, _, d in out]
        self.assertTrue(any(ARP in r and r[ARP].op == 2 for r in replies))
        self.assertTrue(any(ICMPv6ND_NA in r for r in replies))
        for syn in self.syn, syn6:
            self.assertEqual([Ether(d).dst for what, _, d in self.box.run(syn) if what == "out" and TCP in Ether(d)],
                             [WEB_MAC[7]])


class FloodForTheKernel(PacketTest):
    workers = 1

    def test_neighbours_get_through(self):
        """More for the kernel than the manager takes: what resolves neighbours is not lost in it."""
        service(self.box)
        backend(self.box, 1)
        self.apply()
        north = raw(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.1") / UDP(dport=9)).hex()
        south = raw(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src="10.2.0.11", dst="10.2.0.1") / UDP(dport=9)).hex()
        for _ in range(3900):
            self.box.say(f"in north 0 {north}")
            self.box.say(f"in south 0 {south}")
        arp = raw(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ARP(op=2, hwsrc=WEB_MAC[1], psrc="10.2.0.11",
                                                             hwdst=SOUTH_MAC, pdst="10.2.0.1")).hex()
        for _ in range(100):
            self.box.say(f"in south 0 {arp}")
        self.box.run()
        self.assertEqual(self.dropped("mailbox_full"), 0)
        self.assertGreater(self.dropped("punt_limited"), 0)


if __name__ == "__main__":
    unittest.main()
