# SPDX-License-Identifier: BSD-3-Clause
"""IP in IP and GUE: the packet goes to the backend inside another, of either family; what does not fit the port or, as
routers say, the path is told."""
from box import *
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig

OURS = {4: "10.2.0.1", 6: "fd00:2::1"}
VIPS = {4: "10.1.0.80", 6: "fd00:1::80"}
BACKENDS = {4: "10.2.0.11", 6: "fd00:2::11"}
PAIRS = [(inner, outer) for inner in (4, 6) for outer in (4, 6)]
HEADER = {4: 20, 6: 40}
GUE_BYTES = 12


def packet(family, sport=40000, flags="S", n=0, tos=0, ttl=64, df=True, proto=TCP):
    l4 = TCP(sport=sport, dport=80, flags=flags) if proto is TCP else UDP(sport=sport, dport=80)
    if family == 4:
        ip = IP(src="10.1.0.10", dst=VIPS[4], id=7, tos=tos, ttl=ttl, flags="DF" if df else 0)
    else:
        ip = IPv6(src="fd00:1::10", dst=VIPS[6], tc=tos, hlim=ttl)
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / l4 / Raw(bytes(i & 255 for i in range(n)))


def passed_on(frame):
    """The inner packet as a router would pass it on."""
    inner = frame[1].copy()
    if IP in inner:
        inner.ttl -= 1
    else:
        inner.hlim -= 1
    return inner


def outer_ip(family, proto, tos=0):
    if family == 4:
        return IP(src=OURS[4], dst=BACKENDS[4], id=0, flags="DF", ttl=64, proto=proto, tos=tos)
    return IPv6(src=OURS[6], dst=BACKENDS[6], hlim=64, nh=proto, tc=tos)


class TunnelTest(PacketTest):
    def up(self, mode, inner, outer, **more):
        service(self.box, vip=VIPS[inner], mode=mode, sched=MAGLEV, **more)
        backend(self.box, 1, ip=BACKENDS[outer], port=80)
        self.apply()

    def each_pair(self, mode, check, **more):
        for inner, outer in PAIRS:
            with self.subTest(inner=inner, outer=outer):
                self.up(mode, inner, outer, **more)
                check(inner, outer)
                self.box.delete("backend/web/web1")
                self.box.delete("service/web")
                self.apply()

    def tunnelled(self, frame):
        (port, got), = self.send(frame)
        self.assertEqual(port, "south")
        self.assertEqual((got.src, got.dst), (SOUTH_MAC, WEB_MAC[1]))
        return got

    @staticmethod
    def too_big(big, family, mtu, n=None):
        """What the client is told of its packet, quoted as far as n bytes, or as may be."""
        eth = Ether(src=NORTH_MAC, dst=CLIENT_MAC)
        quote = raw(big[1])[:n]
        if family == 4:
            return (eth / IP(src=VIPS[4], dst="10.1.0.10", id=0, flags="DF", ttl=64)
                    / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(quote[:576 - 28]))
        return (eth / IPv6(src=VIPS[6], dst="fd00:1::10", hlim=64)
                / ICMPv6PacketTooBig(mtu=mtu) / Raw(quote[:1280 - 48]))


class Tunnel(TunnelTest):
    def test_ipip(self):
        def check(inner, outer):
            for frame in (packet(inner), packet(inner, flags="PA", n=700, tos=0xb9, ttl=2)):
                tos = frame[1].tos if IP in frame else frame[1].tc
                got = self.tunnelled(frame)
                self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                                 / outer_ip(outer, 4 if inner == 4 else 41, tos) / Raw(raw(passed_on(frame))))

        self.each_pair(IPIP, check)

    def gue_of(self, got, frame, outer, dport):
        proto = 4 if IP in frame else 41
        sport = got[UDP].sport
        want = (Ether(src=SOUTH_MAC, dst=WEB_MAC[1]) / outer_ip(outer, 17)
                / UDP(sport=sport, dport=dport, **({"chksum": 0} if outer == 4 else {}))
                / Raw(bytes([0, proto, 0, 0]) + raw(passed_on(frame))))
        self.assertFrame(got, want)
        return sport

    def test_gue(self):
        def check(inner, outer):
            ports = set()
            for k in range(50):
                first = self.gue_of(self.tunnelled(packet(inner, sport=4000 + k)), packet(inner, sport=4000 + k),
                                    outer, 6080)
                more = packet(inner, sport=4000 + k, flags="PA", n=k)
                self.assertEqual(self.gue_of(self.tunnelled(more), more, outer, 6080), first)
                self.assertGreaterEqual(first, 49152)
                ports.add(first)
            self.assertGreater(len(ports), 40)  # routers spread flows by it

        self.each_pair(GUE, check)

    def test_gue_port(self):
        def check(inner, outer):
            frame = packet(inner)
            self.gue_of(self.tunnelled(frame), frame, outer, 5555)

        self.each_pair(GUE, check, gue_port=5555)

    def test_udp_service(self):
        service(self.box, vip=VIPS[6], mode=GUE, sched=MAGLEV, proto=UDP_PROTO)
        backend(self.box, 1, ip=BACKENDS[4], port=80)
        self.apply()
        frame = packet(6, proto=UDP, n=99)
        self.gue_of(self.tunnelled(frame), frame, 4, 6080)

    def test_largest_that_fits_and_one_byte_more(self):
        for mode, more in ((IPIP, 0), (GUE, GUE_BYTES)):
            def check(inner, outer):
                room = 1500 - HEADER[outer] - more
                self.tunnelled(packet(inner))
                fits = packet(inner, flags="A", n=room - HEADER[inner] - 20)
                self.assertEqual(len(self.tunnelled(fits)), 1514)
                big = packet(inner, flags="A", n=room - HEADER[inner] - 19)
                (port, got), = self.send(big)
                self.assertEqual((port, got.src, got.dst), ("north", NORTH_MAC, CLIENT_MAC))
                self.assertFrame(got, self.too_big(big, inner, room))

            self.each_pair(mode, check)
        self.assertEqual(self.dropped("too_big_replies"), 8)

    def test_too_big_without_df_is_dropped(self):
        self.up(IPIP, 4, 4)
        self.tunnelled(packet(4))
        self.assertEqual(self.send(packet(4, flags="A", n=1460, df=False)), [])
        self.assertEqual(self.dropped("too_big"), 1)

    def test_too_big_to_all_is_dropped(self):
        self.up(IPIP, 6, 4)
        self.tunnelled(packet(6))
        frame = packet(6, flags="A", n=1440)
        frame.dst = "ff:ff:ff:ff:ff:ff"
        self.assertEqual(self.send(frame), [])
        self.assertEqual(self.dropped("too_big"), 1)

    def test_time_to_live_runs_out(self):
        self.up(IPIP, 4, 6)
        self.tunnelled(packet(4))
        self.assertEqual(self.send(packet(4, flags="A", ttl=1)), [])
        self.assertEqual(self.dropped("ttl"), 1)

    def test_over_a_router(self):
        """Unlike dsr-l2: the backend may be behind a gateway, and the port be ours to keep."""
        self.box.put("gateway", port="south", ip="10.2.0.17")
        service(self.box, vip=VIPS[4], mode=IPIP, sched=MAGLEV)
        backend(self.box, 1, ip="172.16.5.5", port=80)
        self.apply()
        (_, got), = self.send(packet(4))
        self.assertEqual((got.dst, got[IP].dst, got[IP].src), (WEB_MAC[7], "172.16.5.5", OURS[4]))

    def test_mid_flow_goes_by_hash(self):
        self.up(GUE, 4, 6)
        self.tunnelled(packet(4, flags="A", sport=5))
        self.assertEqual(len(self.box.conns()), 1)

    def test_mode_changes_under_a_flow(self):
        """A flow goes on as it began; the next one goes in the new way."""
        self.up(IPIP, 4, 4)
        self.tunnelled(packet(4))
        service(self.box, vip=VIPS[4], mode=DSR_L2, sched=MAGLEV)
        self.apply()
        self.assertIn(Raw, self.tunnelled(packet(4, flags="A", n=1)))
        self.assertEqual(self.tunnelled(packet(4, flags="A"))[IP].proto, 4)
        self.assertEqual(self.tunnelled(packet(4, sport=9))[IP].proto, 6)

    def test_refused(self):
        service(self.box, vip=VIPS[4], mode=IPIP, sched=MAGLEV)
        backend(self.box, 1, ip=BACKENDS[4], port=81)
        self.assertIn("ipip cannot change it", self.box.apply())
        backend(self.box, 1, ip=BACKENDS[4], port=80)
        service(self.box, vip=VIPS[4], mode=DSR_L2, sched=MAGLEV)
        backend(self.box, 1, ip=BACKENDS[6], port=80)
        self.assertIn("use one family in a service, or a tunnel", self.box.apply())


ROUTER = {4: "10.2.0.9", 6: "fd00:2::9"}
PATH = 1400
TEN_MINUTES = 600_000


def head(family, src, dst):
    return IP(src=src, dst=dst, id=9) if family == 4 else IPv6(src=src, dst=dst)


def narrow(family, quote, mtu=PATH, what=None, dst=None):
    """A router's message that a packet of ours does not fit; quote: its bytes."""
    what = what or (ICMP(type=3, code=4, nexthopmtu=mtu) if family == 4 else ICMPv6PacketTooBig(mtu=mtu))
    return (Ether(src=WEB_MAC[8], dst=SOUTH_MAC) / head(family, ROUTER[family], dst or OURS[family])
            / what / Raw(quote[:548 if family == 4 else 1232]))


class PathMtu(TunnelTest):
    """What routers on the way to a backend say of our packets' size."""

    def largest(self, mode, inner, outer, less=0, **more):
        """The largest packet that fits the port."""
        n = 1500 - HEADER[outer] - (GUE_BYTES if mode == GUE else 0) - HEADER[inner] - 20 - less
        return packet(inner, flags="A", n=n, **more)

    def each(self, check):
        def begin(mode, inner, outer):
            self.tunnelled(packet(inner))  # not the backend of before
            check(mode, inner, outer)
            self.wait(TEN_MINUTES)

        for mode in (IPIP, GUE):
            self.each_pair(mode, lambda inner, outer, mode=mode: begin(mode, inner, outer))

    def wait(self, ms):
        for _ in range(10):
            self.box.time(ms // 10)
            self.send()

    def from_router(self, frame):
        """What leaves because of it, what the kernel gets."""
        out = self.answer_arp(self.box.run(frame, port="south"))
        return [(p, Ether(d)) for what, p, d in out if what == "out"], [d for what, _, d in out if what == "kernel"]

    def learn(self, mtu=PATH, mode=IPIP, inner=4, outer=4):
        """An outer packet of a flow of that service, and that the path carries less: from here on."""
        self.tunnelled(packet(inner))
        got = self.tunnelled(self.largest(mode, inner, outer))
        self.from_router(narrow(outer, raw(got[1])[:HEADER[outer] + 8], mtu))
        return got

    def room(self, mode, outer, mtu=PATH):
        return mtu - HEADER[outer] - (GUE_BYTES if mode == GUE else 0)

    def is_limited(self, mode=IPIP, inner=4, outer=4, mtu=PATH, sport=40000):
        """Whether a packet of that path's size goes, and one byte more is told."""
        less = 1500 - mtu
        self.tunnelled(packet(inner, sport=sport))
        self.assertEqual(len(self.tunnelled(self.largest(mode, inner, outer, less, sport=sport))), 14 + mtu)
        if mtu == 1500:
            return True
        big = self.largest(mode, inner, outer, less - 1, sport=sport)
        (port, got), = self.send(big)
        if port == "north":
            self.assertFrame(got, self.too_big(big, inner, self.room(mode, outer, mtu)))
        return port == "north"

    def test_message_is_passed_on_and_learned(self):
        def check(mode, inner, outer):
            big = self.largest(mode, inner, outer)
            got = self.tunnelled(big)
            message = narrow(outer, raw(got[1]))
            (port, told), = self.from_router(message)[0]
            self.assertEqual(port, "north")
            n = len(message[Raw].load) - (1500 - len(big[1]))
            inner_packet = Ether() / passed_on(big)
            self.assertFrame(told, self.too_big(inner_packet, inner, self.room(mode, outer), n))
            self.assertTrue(self.is_limited(mode, inner, outer))
            self.assertTrue(self.is_limited(mode, inner, outer, sport=40001))

        self.each(check)
        self.assertEqual((self.dropped("pmtu_learned"), self.dropped("icmp_errors")), (8, 8))
        self.assertEqual(self.dropped("pmtu_refused"), 0)

    def test_short_quote_is_learned_from(self):
        """Eight bytes behind the outer header, as RFC 792 has it, say nothing of the client."""
        def check(mode, inner, outer):
            got = self.tunnelled(self.largest(mode, inner, outer))
            n = self.dropped("consumed")
            self.assertEqual(self.from_router(narrow(outer, raw(got[1])[:HEADER[outer] + 8])), ([], []))
            self.assertEqual(self.dropped("consumed"), n + 1)
            self.assertTrue(self.is_limited(mode, inner, outer))

        self.each(check)

    def test_quote_that_ends_behind_the_ports_is_passed_on(self):
        self.up(GUE, 4, 4)
        big = self.largest(GUE, 4, 4)
        got = self.tunnelled(big)
        for n, told in ((20 + 12 + 20 + 8, 1), (20 + 12 + 20 + 7, 0)):
            self.assertEqual(len(self.from_router(narrow(4, raw(got[1])[:n]))[0]), told)

    def test_later_message_is_passed_on_too(self):
        """Packets that were under way when the first message came."""
        self.up(IPIP, 4, 4)
        got = [self.tunnelled(self.largest(IPIP, 4, 4, sport=p)) for p in (5000, 5001)]
        for frame in got:
            (port, told), = self.from_router(narrow(4, raw(frame[1])))[0]
            self.assertEqual(told[TCP].sport if TCP in told else told["TCP in ICMP"].sport, frame[TCP].sport)
        self.assertEqual((self.dropped("pmtu_learned"), self.dropped("icmp_errors")), (1, 2))

    def test_lower_wins(self):
        self.up(IPIP, 4, 4)
        got = self.learn(1400)
        self.from_router(narrow(4, raw(got[1]), 1450))
        self.assertTrue(self.is_limited())
        self.from_router(narrow(4, raw(got[1]), 1300))
        self.assertTrue(self.is_limited(mtu=1300))
        self.assertEqual(self.dropped("pmtu_learned"), 2)

    def test_smallest(self):
        for outer, floor in ((4, 576), (6, 1280)):
            self.up(IPIP, 4, outer)
            got = self.learn(floor - 1, outer=outer)
            self.assertEqual(self.dropped("pmtu_refused"), 1 if outer == 4 else 2)
            self.assertTrue(self.is_limited(outer=outer, mtu=1500))
            self.from_router(narrow(outer, raw(got[1])[:HEADER[outer] + 8], floor))
            self.assertTrue(self.is_limited(outer=outer, mtu=floor))
            self.box.delete("backend/web/web1")
            self.box.delete("service/web")
            self.apply()

    def test_without_df_goes_in_pieces(self):
        """Over IPv4 a router may make them, then, and needs an identification; over IPv6 it goes as it is."""
        self.up(IPIP, 4, 4)
        self.learn()
        for n in range(3):
            frame = self.largest(IPIP, 4, 4, df=False)
            want = outer_ip(4, 4)
            want.flags, want.id = 0, n
            self.assertFrame(self.tunnelled(frame), Ether(src=SOUTH_MAC, dst=WEB_MAC[1]) / want / Raw(raw(passed_on(frame))))
        self.assertEqual(self.send(self.largest(IPIP, 4, 4, less=-1, df=False)), [])
        self.assertEqual(self.dropped("too_big"), 1)

    def test_without_df_over_ipv6(self):
        self.up(GUE, 4, 6)
        self.learn(mode=GUE, outer=6)
        self.assertEqual(len(self.tunnelled(self.largest(GUE, 4, 6, df=False))), 1514)

    def test_what_every_ipv6_link_carries_goes(self):
        self.up(IPIP, 6, 4)
        self.learn(1290, inner=6)
        got = self.tunnelled(packet(6, flags="A", n=1280 - 60))
        self.assertEqual((int(got[IP].flags), len(got)), (0, 14 + 1300))
        big = packet(6, flags="A", n=1281 - 60)
        (_, told), = self.send(big)
        self.assertFrame(told, self.too_big(big, 6, 1280))

    def test_untrue_messages_are_refused(self):
        """About a packet that we could not have sent, or that would have fitted."""
        def check(mode, inner, outer):
            got = self.tunnelled(self.largest(mode, inner, outer))
            quote, n = raw(got[1]), self.dropped("pmtu_refused")
            longer = got[1].copy()
            if outer == 4:
                longer.len = 1501
            else:
                longer.plen = 1461
            wrong = narrow(outer, quote)
            wrong = Ether(raw(wrong)[:-1] + bytes([raw(wrong)[-1] ^ 1]))
            untrue = [narrow(outer, quote, mtu) for mtu in (0, 68, 575, 1500, 1501, 65535)]
            untrue += [narrow(outer, raw(longer)), wrong]
            if outer == 4:
                loose = got[1].copy()
                loose.flags, loose.chksum = 0, None
                untrue += [narrow(4, raw(loose))]
            else:
                untrue += [narrow(6, quote, mtu) for mtu in (1279, 65536 + PATH, 0xffffffff)]
            for frame in untrue:
                self.assertEqual(self.from_router(frame), ([], []))
                n += 1
                self.assertEqual(self.dropped("pmtu_refused"), n)
            self.assertTrue(self.is_limited(mode, inner, outer, 1500))

        self.each(check)
        self.assertEqual(self.dropped("pmtu_learned"), 0)

    def test_others_are_the_kernels(self):
        """What is about no tunnel of ours may be about a connection of the kernel's."""
        def check(mode, inner, outer):
            got = self.tunnelled(self.largest(mode, inner, outer))
            quote, others = raw(got[1]), []
            proto = 9 if outer == 4 else 6
            for at, value in ((proto, 6), (proto, 17 if mode == IPIP else 4), (proto, 45 - (4 if inner == 4 else 41))):
                others.append(quote[:at] + bytes([value]) + quote[at + 1:])
            others.append(quote[:HEADER[outer] - 1] + bytes([99]) + quote[HEADER[outer]:])  # to another host
            last = 15 if outer == 4 else 23
            others.append(quote[:last] + bytes([99]) + quote[last + 1:])  # from another host
            others.append(quote[:HEADER[outer] - 1])                      # cut off
            if mode == GUE:
                l4 = HEADER[outer]
                others.append(quote[:l4] + bytes([0x80]) + quote[l4 + 1:])          # a source port we do not use
                others.append(quote[:l4 + 2] + bytes([1, 2]) + quote[l4 + 4:])      # another service's port
            frames = [narrow(outer, q) for q in others]
            frames.append(narrow(outer, quote, what=ICMP(type=3, code=1) if outer == 4 else ICMPv6DestUnreach(code=3)))
            for frame in frames:
                sent, kernel = self.from_router(frame)
                self.assertEqual((sent, kernel), ([], [raw(frame)]))
            self.assertTrue(self.is_limited(mode, inner, outer, 1500))

        self.each(check)
        self.assertEqual((self.dropped("pmtu_learned"), self.dropped("pmtu_refused")), (0, 0))

    def test_client_is_told_of_its_own_packet_only(self):
        """The inner packet is checked as a client's is; what fails is learned from and told to nobody."""
        self.up(IPIP, 4, 4)
        got = self.tunnelled(self.largest(IPIP, 4, 4))
        for change in ({"src": "10.1.0.1"}, {"src": "224.0.0.1"}, {"src": "127.0.0.1"}, {"dst": "10.1.0.81"},
                       {"flags": 0}, {"len": 1479}, {"len": 1481}, {"proto": 17}, {"proto": 1}, {"frag": 5}):
            inner = got[2].copy()
            for field, value in change.items():
                setattr(inner, field, value)
            del inner.chksum
            with self.subTest(change):
                self.assertEqual(self.from_router(narrow(4, raw(got[1])[:20] + raw(inner))), ([], []))
        inner = got[2].copy()
        inner[TCP].dport = 81
        self.assertEqual(self.from_router(narrow(4, raw(got[1])[:20] + raw(inner))), ([], []))
        self.assertEqual((self.dropped("icmp_errors"), self.dropped("pmtu_learned")), (0, 1))

    def test_it_is_asked_again_after_ten_minutes(self):
        for outer in (4, 6):
            self.up(IPIP, 4, outer)
            self.learn(outer=outer)
            self.wait(TEN_MINUTES - 10)
            self.assertTrue(self.is_limited(outer=outer))
            self.wait(10)
            self.assertTrue(self.is_limited(outer=outer, mtu=1500))
            self.learn(outer=outer)
            self.assertTrue(self.is_limited(outer=outer))

    def test_all_services_of_the_address_learn_it(self):
        """The path is the same, whatever tunnel goes there; a backend at another address has its own."""
        self.up(IPIP, 4, 4)
        service(self.box, name="other", vip="10.1.0.81", mode=GUE, sched=MAGLEV)
        backend(self.box, 1, service_="other", ip=BACKENDS[4], port=80)
        service(self.box, name="far", vip="10.1.0.82", mode=IPIP, sched=MAGLEV)
        backend(self.box, 2, service_="far", ip="10.2.0.12", port=80)
        self.apply()
        self.learn()
        for vip, port in (("10.1.0.81", "north"), ("10.1.0.82", "south")):
            frame = self.largest(GUE, 4, 4)
            frame[IP].dst = vip
            (where, _), = self.send(frame)
            self.assertEqual(where, port)

    def test_it_outlives_a_generation(self):
        self.up(IPIP, 4, 4)
        self.learn()
        backend(self.box, 2, ip="10.2.0.12", port=80, weight=0)
        self.apply()
        self.assertTrue(self.is_limited())
        service(self.box, name="web", vip=VIPS[4], mode=GUE, sched=MAGLEV)  # flows of before stay ipip
        self.apply()
        self.assertTrue(self.is_limited(GUE, sport=40002))
        backend(self.box, 1, ip="10.2.0.13", port=80)  # another host, another path
        self.apply()
        (_, got), = self.send(self.largest(GUE, 4, 4, sport=40003))
        self.assertEqual((got[IP].dst, len(got)), ("10.2.0.13", 1514))
        backend(self.box, 1, ip=BACKENDS[4], port=80)
        self.apply()
        self.assertTrue(self.is_limited(GUE, sport=40004))

    def test_floods_are_limited(self):
        self.up(IPIP, 4, 4)
        got = self.tunnelled(self.largest(IPIP, 4, 4))
        self.box.time(2000)
        frames = [narrow(4, raw(got[1])[:28], 1499 - i) for i in range(300)]
        self.assertEqual(self.box.run(*frames, port="south"), [])
        self.assertEqual(self.dropped("pmtu_learned"), 100)
        for _ in range(3):
            self.box.run(*frames[-1:] * 300, port="south")
        self.assertEqual(self.dropped("icmp_limited"), 200)
        self.box.time(1000)
        self.box.run(frames[-1], port="south")
        self.assertTrue(self.is_limited(mtu=1200))


class PathMtuOfTwoWorkers(PathMtu):
    """Whoever gets the message: all of them keep to it."""
    workers, queues = 2, 1

    def test_both_keep_to_it(self):
        self.up(IPIP, 4, 4)
        self.learn()
        for sport in range(41000, 41008):
            self.assertTrue(self.is_limited(sport=sport))
        self.assertEqual({c[-1] for c in self.box.conns()}, {"0", "1"})

    def test_without_df_goes_in_pieces(self):
        """Identifications differ between workers, too."""
        self.up(IPIP, 4, 4)
        self.learn()
        ids = [self.tunnelled(self.largest(IPIP, 4, 4, df=False, sport=p)) [IP].id for p in range(41000, 41040)]
        self.assertEqual(len(set(ids)), 40)


class TunnelStateless(PacketTest):
    conns = 64

    def test_full_table_goes_by_hash(self):
        service(self.box, vip=VIPS[4], mode=GUE, sched=MAGLEV)
        backend(self.box, 1, ip=BACKENDS[6], port=80)
        self.apply()
        for k in range(100):
            (_, got), = self.send(packet(4, sport=1000 + k))
            self.assertEqual(got[UDP].dport, 6080)
        self.assertEqual(self.dropped("stateless"), 52)


if __name__ == "__main__":
    unittest.main()
