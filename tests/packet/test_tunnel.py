# SPDX-License-Identifier: BSD-3-Clause
"""IP in IP and GUE: the packet goes to the backend inside another, of either family; what does not fit is told."""
from box import *

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


class Tunnel(PacketTest):
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

    @staticmethod
    def too_big(big, family, mtu):
        eth = Ether(src=NORTH_MAC, dst=CLIENT_MAC)
        quote = raw(big[1])
        if family == 4:
            return (eth / IP(src=VIPS[4], dst="10.1.0.10", id=0, flags="DF", ttl=64)
                    / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(quote[:576 - 28]))
        from scapy.layers.inet6 import ICMPv6PacketTooBig
        return (eth / IPv6(src=VIPS[6], dst="fd00:1::10", hlim=64)
                / ICMPv6PacketTooBig(mtu=mtu) / Raw(quote[:1280 - 48]))

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
