# SPDX-License-Identifier: BSD-3-Clause
"""L2 direct return: only the Ethernet addresses change."""
from box import *


def packet(sport=40000, flags="S", vip="10.1.0.80"):
    ip = IPv6(src="fd00:1::10", dst=vip) if ":" in vip else IP(src="10.1.0.10", dst=vip, id=3)
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / TCP(sport=sport, dport=80, flags=flags)


class DirectReturn(PacketTest):
    def setUp(self):
        super().setUp()
        service(self.box, mode=DSR_L2, sched=MAGLEV)
        for n in (1, 2, 3):
            backend(self.box, n, port=80)

    def forward(self, frame):
        (port, got), = self.send(frame)
        self.assertEqual(port, "south")
        want = frame.copy()
        want.src, want.dst = SOUTH_MAC, got.dst
        self.assertFrame(got, want)
        return got.dst

    def test_only_ethernet_changes(self):
        self.apply()
        mac = self.forward(packet())
        self.assertIn(mac, WEB_MAC.values())
        self.assertEqual(self.forward(packet(flags="A")), mac)

    def test_ipv6(self):
        service(self.box, name="six", vip="fd00:1::80", mode=DSR_L2, sched=MAGLEV)
        backend(self.box, 2, service_="six", ip="fd00:2::12", port=80)
        self.apply()
        self.assertEqual(self.forward(packet(vip="fd00:1::80")), WEB_MAC[2])

    def test_mid_flow_packet_is_scheduled_by_hash(self):
        """After a restart the same flow goes to the same backend without its SYN."""
        self.apply()
        macs = {k: self.forward(packet(sport=k)) for k in range(6000, 6040)}
        other = type(self)("test_only_ethernet_changes")
        other.setUp()
        other.apply()
        for k, mac in macs.items():
            self.assertEqual(other.forward(packet(sport=k, flags="A")), mac)
        other.tearDown()

    def test_handshake_is_seen_from_one_side(self):
        self.apply()
        self.forward(packet())
        self.assertEqual(self.box.conns()[0][1], "syn")
        self.forward(packet(flags="A"))
        self.assertEqual(self.box.conns()[0][1], "established")
        self.forward(packet(flags="FA"))
        self.assertEqual(self.box.conns()[0][1], "fin")


class StatelessFallback(PacketTest):
    conns = 64

    def test_full_table_keeps_forwarding_by_hash(self):
        service(self.box, mode=DSR_L2, sched=MAGLEV)
        for n in (1, 2, 3):
            backend(self.box, n, port=80)
        self.apply()
        for k in range(100):
            self.assertEqual(len(self.send(packet(sport=1000 + k))), 1)
        self.assertEqual(self.box.counters()[0]["stateless"], 52)

    def test_stray_segments_refuse_nobody(self):
        """A flood of ACKs at a stateless-able service takes neither all entries nor keeps them long."""
        service(self.box, mode=DSR_L2, sched=MAGLEV)
        backend(self.box, 1, port=80)
        service(self.box, name="nat", vip="10.1.0.81")
        backend(self.box, 2, service_="nat")
        self.apply()
        for k in range(100):
            self.assertEqual(len(self.send(packet(sport=1000 + k, flags="A"))), 1)
        self.assertEqual(len(self.send(packet(vip="10.1.0.81"))), 1)
        self.box.time(11000)
        self.box.run()
        self.box.time(300)
        self.box.run()
        self.assertEqual(self.box.conns(), [])


if __name__ == "__main__":
    unittest.main()
