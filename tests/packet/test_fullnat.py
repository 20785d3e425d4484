# SPDX-License-Identifier: BSD-3-Clause
"""Full NAT: both directions, both families, both protocols, to the byte."""
from box import *


def syn(sport=40000, src="10.1.0.10", dst="10.1.0.80", **kw):
    return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src=src, dst=dst, ttl=64, id=7)
            / TCP(sport=sport, dport=80, flags=kw.get("flags", "S"), seq=1, options=[("MSS", 1460)]))


class FullNat(PacketTest):
    def setUp(self):
        super().setUp()
        service(self.box)
        for n in (1, 2, 3):
            backend(self.box, n)

    def open(self, frame):
        (port, got), = self.send(frame)
        self.assertEqual(port, "south")
        return got

    def test_tcp_there_and_back(self):
        self.apply()
        frame = syn()
        got = self.open(frame)
        want = (Ether(src=SOUTH_MAC, dst=got.dst)
                / IP(src="10.2.0.100", dst=got[IP].dst, ttl=63, id=7)
                / TCP(sport=got[TCP].sport, dport=8080, flags="S", seq=1, options=[("MSS", 1460)]))
        self.assertFrame(got, want)
        self.assertEqual(got.dst, self.mac_of(got[IP].dst))
        self.assertGreaterEqual(got[TCP].sport, 1024)
        back = (Ether(src=got.dst, dst=SOUTH_MAC) / IP(src=got[IP].dst, dst="10.2.0.100", ttl=64, id=9)
                / TCP(sport=8080, dport=got[TCP].sport, flags="SA", seq=5, ack=2) / Raw(b"x" * 11))
        (port, reply), = self.send(back, port="south")
        self.assertEqual(port, "north")
        self.assertFrame(reply, Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                         / IP(src="10.1.0.80", dst="10.1.0.10", ttl=63, id=9)
                         / TCP(sport=80, dport=40000, flags="SA", seq=5, ack=2) / Raw(b"x" * 11))
        again = self.open(syn(flags="A"))
        self.assertEqual((again[IP].dst, again[TCP].sport), (got[IP].dst, got[TCP].sport))
        self.assertEqual(self.box.conns()[0][1], "established")

    def test_udp_keeps_a_missing_checksum_missing(self):
        service(self.box, name="dns", port=53, proto=UDP_PROTO)
        backend(self.box, 1, service_="dns", port=5353)
        self.apply()
        for chksum in (None, 0):
            frame = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80")
                     / UDP(sport=5000, dport=53, chksum=chksum) / Raw(b"query"))
            got = self.open(frame)
            self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                             / IP(src="10.2.0.100", dst="10.2.0.11", ttl=63)
                             / UDP(sport=got[UDP].sport, dport=5353, chksum=chksum) / Raw(b"query"))

    def test_udp_leaves_a_removed_backend(self):
        """A flow that never pauses would keep it for ever."""
        service(self.box, name="dns", port=53, proto=UDP_PROTO)
        backend(self.box, 1, service_="dns", port=5353)
        self.apply()
        frame = (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80")
                 / UDP(sport=5000, dport=53) / Raw(b"query"))
        self.assertEqual(self.open(frame)[IP].dst, "10.2.0.11")
        backend(self.box, 2, service_="dns", port=5353)
        self.apply()
        self.assertEqual(self.open(frame)[IP].dst, "10.2.0.11")
        self.box.delete("backend/dns/web1")
        self.apply()
        self.assertEqual(self.open(frame)[IP].dst, "10.2.0.12")
        self.assertEqual(len(self.box.conns()), 1)

    def test_tcp_stays_with_a_removed_backend(self):
        service(self.box)
        backend(self.box, 1)
        self.apply()
        got = self.open(syn())
        self.open(syn(flags="A"))
        backend(self.box, 2)
        self.box.delete("backend/web/web1")
        self.apply()
        again = self.open(syn(flags="A"))
        self.assertEqual((again[IP].dst, again[TCP].sport), ("10.2.0.11", got[TCP].sport))

    def test_ipv6_there_and_back(self):
        service(self.box, name="six", vip="fd00:1::80", proto=TCP_PROTO)
        backend(self.box, 1, service_="six", ip="fd00:2::11")
        self.apply()
        got = self.open(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::10", dst="fd00:1::80")
                        / TCP(sport=41000, dport=80, flags="S"))
        self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                         / IPv6(src="fd00:2::100", dst="fd00:2::11", hlim=63)
                         / TCP(sport=got[TCP].sport, dport=8080, flags="S"))
        (_, reply), = self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC)
                                / IPv6(src="fd00:2::11", dst="fd00:2::100")
                                / TCP(sport=8080, dport=got[TCP].sport, flags="SA"), port="south")
        self.assertFrame(reply, Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                         / IPv6(src="fd00:1::80", dst="fd00:1::10", hlim=63)
                         / TCP(sport=80, dport=41000, flags="SA"))

    def test_one_flow_in_one_burst_is_one_connection(self):
        self.apply()
        out = self.send(syn(), syn(), syn(flags="A"))
        self.assertEqual(len({(f[IP].dst, f[TCP].sport) for _, f in out}), 1)
        self.assertEqual(len(out), 3)
        self.assertEqual(len(self.box.conns()), 1)

    def test_round_robin_spreads_by_weight(self):
        backend(self.box, 3, weight=2)
        self.apply()
        self.open(syn(sport=1999))  # resolves one; the others resolve as they come
        hits = {}
        for k in range(400):
            for _, f in self.send(syn(sport=2000 + k)):
                hits[f[IP].dst] = hits.get(f[IP].dst, 0) + 1
        self.assertEqual(sum(hits.values()), 400)
        self.assertAlmostEqual(hits["10.2.0.13"], 200, delta=2)
        self.assertAlmostEqual(hits["10.2.0.11"], 100, delta=2)

    def test_mid_flow_packet_without_connection_is_dropped(self):
        self.apply()
        self.assertEqual(self.send(syn(flags="A")), [])
        self.assertEqual(self.dropped("no_conn"), 1)

    def test_backend_that_goes_down_takes_no_new_flow(self):
        self.apply()
        old = self.open(syn())
        n = int(old[IP].dst.split(".")[-1]) - 10
        backend(self.box, n, state=DOWN)
        self.apply()
        self.assertEqual(self.open(syn(flags="A"))[IP].dst, old[IP].dst)  # pinned flows are kept
        for k in range(30):
            self.assertNotEqual(self.open(syn(sport=3000 + k))[IP].dst, old[IP].dst)
        fresh = self.open(syn())  # the same ports again: a SYN is a new flow now
        self.assertNotEqual(fresh[IP].dst, old[IP].dst)

    def test_drained_backend_keeps_its_flows(self):
        self.apply()
        old = self.open(syn())
        n = int(old[IP].dst.split(".")[-1]) - 10
        backend(self.box, n, state=DRAIN)
        self.apply()
        self.assertEqual(self.open(syn(flags="PA"))[IP].dst, old[IP].dst)
        for k in range(30):
            self.assertNotEqual(self.open(syn(sport=3000 + k))[IP].dst, old[IP].dst)

    def test_removed_backend_keeps_its_flows(self):
        self.apply()
        old = self.open(syn())
        n = int(old[IP].dst.split(".")[-1]) - 10
        self.box.delete(f"backend/web/web{n}")
        self.apply()
        self.assertEqual(self.open(syn(flags="PA"))[IP].dst, old[IP].dst)
        (_, reply), = self.send(Ether(src=old.dst, dst=SOUTH_MAC)
                                / IP(src=old[IP].dst, dst="10.2.0.100")
                                / TCP(sport=8080, dport=old[TCP].sport, flags="A"), port="south")
        self.assertEqual(reply[IP].dst, "10.1.0.10")

    def test_no_backend_up_is_a_counted_drop(self):
        for n in (1, 2, 3):
            backend(self.box, n, state=DOWN)
        self.apply()
        self.assertEqual(self.send(syn()), [])
        self.assertEqual(self.dropped("no_backend"), 1)

    def test_closed_flow_expires_and_gives_its_port_back(self):
        self.apply()
        got = self.open(syn())
        self.open(syn(flags="R"))
        self.assertEqual(self.box.conns()[0][1], "closed")
        self.box.time(10000)
        self.box.run()
        self.assertEqual(self.box.conns(), [])
        late = (Ether(src=got.dst, dst=SOUTH_MAC) / IP(src=got[IP].dst, dst="10.2.0.100")
                / TCP(sport=8080, dport=got[TCP].sport, flags="A"))
        self.assertEqual(self.send(late, port="south"), [])
        self.assertEqual(self.dropped("snat_unknown"), 1)

    def test_idle_flow_lives_while_packets_come(self):
        service(self.box, established_timeout_ms=20000)
        self.apply()
        self.open(syn())
        self.open(syn(flags="A"))
        for _ in range(5):
            self.box.time(15000)
            self.assertEqual(len(self.send(syn(flags="A"))), 1)
        self.box.time(25000)
        self.box.run()
        self.assertEqual(self.box.conns(), [])

    def test_strangers_cannot_use_a_snat_port(self):
        self.apply()
        got = self.open(syn())
        forged = (Ether(src=WEB_MAC[4], dst=SOUTH_MAC) / IP(src="10.2.0.14", dst="10.2.0.100")
                  / TCP(sport=8080, dport=got[TCP].sport, flags="A"))
        self.assertEqual(self.send(forged, port="south"), [])
        self.assertEqual(self.dropped("snat_unknown"), 1)

    def test_ttl_runs_out(self):
        self.apply()
        f = syn()
        f[IP].ttl = 1
        self.assertEqual(self.send(f), [])
        self.assertEqual(self.dropped("ttl"), 1)


class TableFull(PacketTest):
    conns = 64

    def test_full_table_refuses_and_counts(self):
        service(self.box)
        backend(self.box, 1)
        self.apply()
        out = []
        for k in range(80):
            out += self.send(syn(sport=1000 + k))
        self.assertEqual(len(out), 64)
        self.assertEqual(self.dropped("conn_table_full"), 16)


class TwoWorkers(PacketTest):
    """One receive queue, two workers: everything goes over mailboxes and comes back right."""
    workers, queues = 2, 1

    def test_flows_reach_their_owner_and_return_packets_too(self):
        service(self.box)
        for n in (1, 2):
            backend(self.box, n)
        self.apply()
        owners = set()
        for k in range(40):
            (_, got), = self.send(syn(sport=5000 + k))
            (_, reply), = self.send(Ether(src=got.dst, dst=SOUTH_MAC)
                                    / IP(src=got[IP].dst, dst="10.2.0.100")
                                    / TCP(sport=8080, dport=got[TCP].sport, flags="SA"), port="south")
            self.assertEqual((reply[IP].dst, reply[TCP].dport), ("10.1.0.10", 5000 + k))
            owners.add(got[TCP].sport >= 1024 + (65536 - 1024) // 2)
        self.assertEqual(owners, {False, True})
        self.assertEqual({c[5] for c in self.box.conns()}, {"0", "1"})
        self.assertGreater(self.box.counters()[0]["handed_over"], 10)


if __name__ == "__main__":
    unittest.main()
