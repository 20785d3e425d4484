# SPDX-License-Identifier: BSD-3-Clause
"""Health checks by the path of a service: what the kernel side sends to a VIP goes to the backend that its source port
stands for, as a client's packet would, and leaves no trace of a client."""
from box import *

OURS = {4: "10.2.0.1", 6: "fd00:2::1"}
VIPS = {4: "10.1.0.80", 6: "fd00:1::80"}
BACKENDS = {n: {4: f"10.2.0.1{n}", 6: f"fd00:2::1{n}"} for n in (1, 2, 3)}
PORT = {1: 61000, 2: 65535, 3: 63210}


def to_vip(family=4, sport=PORT[1], src=None, proto=TCP, n=0, mac=SOUTH_MAC, dport=80):
    l4 = TCP(sport=sport, dport=dport, flags="S") if proto is TCP else UDP(sport=sport, dport=dport)
    ip = IP(src=src or OURS[4], dst=VIPS[4], id=7, flags="DF") if family == 4 else IPv6(
        src=src or OURS[6], dst=VIPS[6])
    return Ether(src=SOUTH_MAC, dst=mac) / ip / l4 / Raw(bytes(n))


def inner_of(frame):
    inner = frame[1].copy()
    if IP in inner:
        inner.ttl -= 1
    else:
        inner.hlim -= 1
    return inner


class Probe(PacketTest):
    def up(self, mode, family=4, outer=None, proto=TCP_PROTO):
        service(self.box, vip=VIPS[family], mode=mode, sched=MAGLEV, proto=proto)
        for n, state in ((1, UP), (2, DOWN), (3, DRAIN)):
            backend(self.box, n, ip=BACKENDS[n][outer or family], port=80, state=state, probe_port=PORT[n])
        self.apply()

    def probe(self, *frames, port="south"):
        """What leaves by the ports; neighbours' answers are all that the kernel side may get."""
        out = self.answer_arp(self.box.from_kernel(*frames, port=port))
        for what, _, data in out:
            self.assertTrue(what == "out" or ARP in Ether(data) or ICMPv6ND_NA in Ether(data))
        return [(p, Ether(d)) for what, p, d in out if what == "out"]

    def assertUnseen(self, n_sent):
        """That many probes, and nothing of a client."""
        counters = self.box.counters()[0]
        self.assertEqual(counters.get("probes_sent", 0), n_sent)
        for name in ("conn_created", "conn_hits", "stateless", "probe_unknown"):
            self.assertEqual(counters.get(name, 0), 0, name)
        self.assertEqual(self.box.conns(), [])

    def drop_one(self, frame, reason="probe_unknown", **more):
        before = self.dropped(reason)
        self.assertEqual(self.probe(frame, **more), [])
        self.assertEqual(self.dropped(reason), before + 1)

    def test_direct_return_whatever_the_state(self):
        for family in (4, 6):
            self.up(DSR_L2, family)
            for n in (1, 2, 3):
                frame = to_vip(family, PORT[n])
                (port, got), = self.probe(frame)
                want = frame.copy()
                want.dst = WEB_MAC[n]
                self.assertEqual(port, "south")
                self.assertFrame(got, want)
            self.box.delete("service/web")
            for n in (1, 2, 3):
                self.box.delete(f"backend/web/web{n}")
        self.assertUnseen(6)

    def test_tunnels_of_all_families(self):
        n_sent = 0
        for mode in (IPIP, GUE):
            for family in (4, 6):
                for outer in (4, 6):
                    self.up(mode, family, outer)
                    for n in (1, 2, 3):
                        with self.subTest(mode=mode, inner=family, outer=outer, backend=n):
                            frame = to_vip(family, PORT[n])
                            (_, got), = self.probe(frame)
                            self.assertEqual(got.dst, WEB_MAC[n])
                            self.assertEqual(got[1].dst, BACKENDS[n][outer])
                            self.assertEqual(got[1].src, OURS[outer])
                            self.assertTrue(raw(got).endswith(raw(inner_of(frame))))
                            n_sent += 1
                    self.box.delete("service/web")
                    for n in (1, 2, 3):
                        self.box.delete(f"backend/web/web{n}")
        self.assertUnseen(n_sent)

    def test_it_is_what_a_client_would_send(self):
        """The same bytes but for who asks: no second way to encapsulate."""
        service(self.box, mode=GUE, sched=MAGLEV)
        backend(self.box, 1, port=80, probe_port=PORT[1])
        self.apply()
        probe = to_vip(sport=PORT[1])
        (_, got), = self.probe(probe)
        client = probe.copy()
        client.src, client.dst = CLIENT_MAC, NORTH_MAC
        client[IP].src = "10.1.0.10"
        (_, want), = self.send(client)
        self.assertEqual(raw(got)[:42 - 8], raw(want)[:42 - 8])  # up to the UDP source port, of the flow's hash
        self.assertEqual(raw(got)[36:46], raw(want)[36:46])
        self.assertEqual(len(got), len(want))

    def test_udp(self):
        self.up(IPIP, proto=UDP_PROTO)
        frame = to_vip(sport=PORT[2], proto=UDP, n=30)
        (_, got), = self.probe(frame)
        self.assertTrue(raw(got).endswith(raw(inner_of(frame))))
        self.assertUnseen(1)

    def test_by_any_port_of_ours(self):
        self.up(IPIP)
        frame = to_vip(mac=NORTH_MAC)
        (port, got), = self.probe(frame, port="north")
        self.assertEqual((port, got.dst), ("south", WEB_MAC[1]))

    def test_the_answer_goes_to_the_kernel_side(self):
        self.up(DSR_L2)
        self.probe(to_vip())
        answer = (Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=VIPS[4], dst=OURS[4])
                  / TCP(sport=80, dport=PORT[1], flags="SA"))
        (what, port, data), = self.box.run(answer, port="south")
        self.assertEqual((what, port, data), ("kernel", "south", raw(answer)))

    def test_who_is_no_probe_is_dropped(self):
        self.up(DSR_L2)
        self.drop_one(to_vip(sport=61001))
        self.drop_one(to_vip(sport=40000))
        self.drop_one(to_vip(src="10.1.0.10"))  # passes through the kernel side
        self.drop_one(to_vip(src=VIPS[4]))
        self.drop_one(to_vip(dport=81), reason="no_service")
        self.drop_one(to_vip(proto=UDP), reason="no_service")
        self.drop_one(to_vip(6))
        self.drop_one(Ether(src=SOUTH_MAC, dst=SOUTH_MAC) / IP(src=OURS[4], dst=VIPS[4]) / ICMP())
        self.drop_one(Ether(src=SOUTH_MAC, dst=SOUTH_MAC) / ARP(op=1, pdst=VIPS[4], psrc=OURS[4]))
        self.drop_one(Ether(src=SOUTH_MAC, dst=SOUTH_MAC, type=0x88cc) / Raw(bytes(50)))
        self.drop_one(Ether(src=SOUTH_MAC, dst=SOUTH_MAC, type=0x0800) / Raw(b"\x45" + bytes(9)),
                      reason="short_frame")
        self.assertEqual(self.dropped("probes_sent"), 0)

    def test_a_service_without_probes_has_none(self):
        service(self.box, mode=DSR_L2, sched=MAGLEV)
        backend(self.box, 1, port=80)
        self.apply()
        self.drop_one(to_vip())
        service(self.box, mode=FULLNAT)
        self.apply()
        self.drop_one(to_vip())

    def test_ports_are_those_of_the_generation(self):
        self.up(DSR_L2)
        self.probe(to_vip())
        backend(self.box, 1, port=80, probe_port=61001)
        self.apply()
        self.drop_one(to_vip())
        self.assertEqual(len(self.probe(to_vip(sport=61001))), 1)
        self.box.delete("backend/web/web1")
        self.apply()
        self.drop_one(to_vip(sport=61001))

    def test_what_is_for_others_leaves_as_it_is(self):
        self.up(DSR_L2)
        frame = to_vip(mac="02:99:00:00:00:01")
        (port, got), = self.probe(frame)
        self.assertEqual(port, "south")
        self.assertFrame(got, frame)
        self.assertEqual(self.dropped("probes_sent"), 0)

    def test_what_is_too_big_is_told_to_the_kernel_side(self):
        self.up(IPIP)
        self.probe(to_vip())
        big = to_vip(n=1460)
        (what, port, data), = self.box.from_kernel(big)
        got = Ether(data)
        self.assertEqual((what, port, got.dst), ("kernel", "south", SOUTH_MAC))
        self.assertEqual((got[IP].src, got[IP].dst), (VIPS[4], OURS[4]))
        self.assertEqual((got[ICMP].type, got[ICMP].code, got[ICMP].nexthopmtu), (3, 4, 1480))
        self.assertEqual(self.dropped("probes_sent"), 1)

    def test_a_trace_shows_the_backend(self):
        self.up(DSR_L2)
        self.assertEqual(self.box.trace(), "ok")
        self.probe(to_vip(sport=PORT[2]))
        row = [r for r in self.box.traced()[0] if r["ip_proto"] == TCP_PROTO][0]
        self.assertEqual((row["kind"], row["service"], row["backend"], row["mode"]),
                         ("service", "web", "web2", "dsr-l2"))

    def test_what_is_refused(self):
        service(self.box, mode=FULLNAT)
        backend(self.box, 1, probe_port=PORT[1])
        self.assertIn("backend/web/web1: probe_port is for dsr-l2, ipip and gue", self.box.apply())
        service(self.box, mode=DSR_L2)
        for n in (1, 2):
            backend(self.box, n, port=80, probe_port=PORT[1])
        self.assertIn("backend/web/web2: probe_port 61000 is another backend's", self.box.apply())


class ProbeOfManyWorkers(Probe):
    workers, queues = 4, 1


if __name__ == "__main__":
    unittest.main()
