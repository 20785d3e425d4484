# SPDX-License-Identifier: BSD-3-Clause
"""Copies of packets at the points of a worker: what is seen where, filters, and a ring that is full."""
from box import *

RX, TX, DROP = 2, 4, 8
UDP_ONLY = ((0x28, 0, 0, 12), (0x15, 0, 3, 0x0800), (0x30, 0, 0, 23), (0x15, 0, 1, 17), (6, 0, 0, 65535), (6, 0, 0, 0))


def packet(sport=4000, dport=80, src="10.1.0.10", proto=TCP, size=0, **more):
    l4 = proto(sport=sport, dport=dport, **more) / Raw(b"x" * size)
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src=src, dst="10.1.0.80") / l4


class Capture(PacketTest):
    def setUp(self):
        super().setUp()
        service(self.box)
        backend(self.box, 1)
        service(self.box, name="dns", port=53, proto=UDP_PROTO)
        backend(self.box, 1, service_="dns", port=53)
        self.apply()
        self.send(packet(sport=999))  # neighbours are known

    def of(self, packets, point):
        return [p for p in packets if p[0] == point]

    def test_each_point_sees_its_packets(self):
        frame = packet()
        self.assertEqual(self.box.capture(RX | TX | DROP), "ok")
        (_, sent), = self.send(frame)
        self.send(packet(dport=81))
        packets, n, missed = self.box.captured()
        self.assertEqual((len(packets), n, missed), (4, 4, 0))
        rx = self.of(packets, "rx")
        self.assertEqual([p[4] for p in rx], [raw(frame), raw(packet(dport=81))])
        self.assertEqual(self.of(packets, "tx"), [("tx", "south", "-", len(sent), raw(sent))])
        self.assertEqual(self.of(packets, "drop"), [("drop", "north", "no_service", 54, raw(packet(dport=81)))])

    def test_only_what_was_asked_for(self):
        for points, want in ((RX, "rx"), (TX, "tx"), (DROP, "drop")):
            self.box.capture(points)
            self.send(packet(sport=points))
            self.send(packet(dport=82))
            self.assertEqual({p[0] for p in self.box.captured()[0]}, {want})

    def test_every_drop_has_its_reason(self):
        bad = packet()
        bad[IP].chksum = 1
        self.box.capture(DROP)
        before = self.box.counters()[0]
        self.send(packet(dport=83), bad, packet(flags="A", sport=77), packet(src="10.2.0.100"))
        after = self.box.counters()[0]
        packets = self.box.captured()[0]
        self.assertEqual(sorted(p[2] for p in packets), ["bad_ip_checksum", "bad_ip_source", "no_conn", "no_service"])
        for reason in {p[2] for p in packets}:
            self.assertEqual(after[reason] - before.get(reason, 0), 1)

    def test_a_filter(self):
        self.assertEqual(self.box.capture(RX | TX, insns=UDP_ONLY), "ok")
        self.send(packet(sport=50), packet(sport=51, dport=53, proto=UDP), packet(sport=52))
        packets, n, missed = self.box.captured()
        self.assertEqual([(p[0], Ether(p[4])[UDP].dport) for p in packets], [("rx", 53), ("tx", 53)])
        self.assertEqual((n, missed), (2, 0))
        self.assertEqual(self.box.capture(RX, insns=UDP_ONLY[:-2]), "refused 1")

    def test_long_packets_are_cut(self):
        frame = packet(size=1000)
        self.box.capture(RX, snaplen=64)
        self.send(frame)
        (_, _, _, length, data), = self.box.captured()[0]
        self.assertEqual((length, data), (len(frame), raw(frame)[:64]))

    def test_a_full_ring_holds_nobody_up(self):
        self.box.capture(RX, slots=4)
        self.assertEqual(len(self.send(*(packet(sport=k) for k in range(60, 70)))), 10)
        packets, n, missed = self.box.captured()
        self.assertEqual((len(packets), n, missed), (4, 4, 6))
        self.assertEqual([Ether(p[4])[TCP].sport for p in packets], [60, 61, 62, 63])
        self.send(packet())
        self.box.capture(RX, slots=4)
        self.assertEqual(self.box.captured(), ([], 0, 0))


class TwoWorkers(Capture):
    """Flows are handed over: each packet is seen once at each point all the same."""
    workers, queues = 2, 1

    def test_a_filter(self):  # by worker, so in no order
        self.box.capture(RX | TX | DROP)
        out = self.send(*(packet(sport=k) for k in range(100, 140)), packet(dport=85))
        packets, n, missed = self.box.captured()
        self.assertEqual((len(out), missed), (40, 0))
        self.assertEqual([len(self.of(packets, point)) for point in ("rx", "tx", "drop")], [41, 40, 1])
        self.assertEqual(sorted(p[4] for p in self.of(packets, "tx")), sorted(raw(f) for _, f in out))
        self.assertGreater(self.box.counters()[0]["handed_over"], 5)

    test_a_full_ring_holds_nobody_up = test_every_drop_has_its_reason = None


if __name__ == "__main__":
    unittest.main()
