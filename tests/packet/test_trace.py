# SPDX-License-Identifier: BSD-3-Clause
"""What a trace says of packets: one record each, of what really became of them."""
from box import *

UDP_ONLY = ((0x28, 0, 0, 12), (0x15, 0, 3, 0x0800), (0x30, 0, 0, 23), (0x15, 0, 1, 17), (6, 0, 0, 65535), (6, 0, 0, 0))


def packet(sport=4000, dport=80, dst="10.1.0.80", proto=TCP, **more):
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst=dst) / proto(sport=sport, dport=dport, **more)


def answer_to(sent, **more):
    """Of the backend, to what it got."""
    ip, tcp = sent[IP], sent[TCP]
    return (Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=ip.dst, dst=ip.src)
            / TCP(sport=tcp.dport, dport=tcp.sport, **more))


class Trace(PacketTest):
    def up(self, port=8080, **more):
        service(self.box, **more)
        backend(self.box, 1, port=port)
        self.apply()
        self.send(packet(sport=999))  # neighbours are known

    def traced(self, *frames, port="north"):
        self.assertEqual(self.box.trace(), "ok")
        out = self.box.run(*frames, port=port)
        records, n, missed = self.box.traced()
        self.assertEqual((n, missed), (len(records), 0))
        return records, out

    def one(self, frame, port="north", **want):
        (record,), _ = self.traced(frame, port=port)
        self.assertEqual({k: record.get(k) for k in want}, want)
        return record

    FLOW = {"service": "web", "backend": "web1", "mode": "full-nat", "kind": "service"}

    def test_flows(self):
        self.up()
        self.assertEqual(self.one(packet()), {
            "port": "north", "len": 54, "ip_proto": 6, "sport": 4000, "dport": 80, "is_handed_over": 0,
            "flow": "new", "verdict": "forwarded", "out_port": "south", **self.FLOW})
        self.one(packet(flags="A"), flow="known", **self.FLOW)
        self.one(packet(flags="R"), flow="known", **self.FLOW)
        before = self.box.counters()[0].get("conn_reused", 0)
        self.one(packet(), flow="again", verdict="forwarded", **self.FLOW)
        self.assertEqual(self.box.counters()[0]["conn_reused"], before + 1)
        self.one(packet(sport=4001, flags="A"), kind="service", flow=None, verdict="dropped", drop="no_conn")

    def test_two_of_a_new_flow_in_one_burst(self):
        self.up()
        records, _ = self.traced(packet(), packet(flags="A"), packet(sport=5))
        self.assertEqual([r["flow"] for r in records], ["new", "known", "new"])

    def test_the_way_back(self):
        self.up()
        (_, sent), = self.send(packet())
        want = {**self.FLOW, "kind": "return"}
        self.send(answer_to(sent, flags="SA"), port="south")  # the client's address is known
        self.one(answer_to(sent, flags="A"), port="south", flow="known", verdict="forwarded", out_port="north", **want)
        stray = answer_to(sent, flags="SA")
        stray[TCP].sport = 1
        self.one(stray, port="south", kind="return", verdict="dropped", drop="snat_unknown")

    def test_dnat(self):
        self.up(mode=DNAT)
        (_, sent), = self.send(packet())
        want = {**self.FLOW, "mode": "dnat"}
        self.one(packet(flags="A"), flow="known", **want)
        self.send(answer_to(sent, flags="SA"), port="south")  # the client's address is known
        self.one(answer_to(sent, flags="A"), port="south", flow="known", verdict="forwarded", out_port="north",
                 **{**want, "kind": "dnat-return"})

    def test_without_an_entry(self):
        self.up(port=80, mode=DSR_L2, sched=MAGLEV, insert_rate=1)  # the one has been had
        self.one(packet(sport=7, flags="A"), flow="stateless", verdict="forwarded", **{**self.FLOW, "mode": "dsr-l2"})

    def test_what_is_not_balanced(self):
        self.up()
        self.one(packet(dport=81), kind="none", verdict="dropped", drop="no_service")
        self.one(packet(dst="10.1.0.1", dport=22), kind="kernel", verdict="kernel")
        arp = Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.1.0.10", hwsrc=CLIENT_MAC, pdst="10.1.0.80")
        self.one(arp, kind="local", verdict="answer", out_port="north")
        arp[Ether].dst, arp[ARP].op, arp[ARP].pdst = NORTH_MAC, 2, "10.1.0.1"
        self.one(arp, kind="local", verdict="kernel")
        quote = IP(src="10.1.0.80", dst="10.1.0.10") / TCP(sport=80, dport=999)
        error = Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.80") / ICMP(
            type=3, code=4, nexthopmtu=1200) / quote
        self.one(error, kind="icmp-error", verdict="forwarded", out_port="south")

    def test_held_for_a_neighbour(self):
        service(self.box)
        backend(self.box, 1)
        self.apply()
        self.one(packet(), flow="new", verdict="held", out_port="south", **self.FLOW)

    def test_a_fragment_is_told_once(self):
        self.up(proto=UDP_PROTO)
        ip = IP(src="10.1.0.10", dst="10.1.0.80", id=9)
        whole = raw(UDP(sport=6, dport=80, len=48) / (b"x" * 40))
        first = Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip.copy() / Raw(whole[:32])
        later = Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip.copy() / Raw(whole[32:])
        first[IP].proto = later[IP].proto = 17
        first[IP].flags, later[IP].frag = "MF", 4
        records, _ = self.traced(later, first)  # the later one waits for the first
        self.assertEqual([(r["len"], r["kind"], r["sport"], r["flow"]) for r in records],
                         [(len(first), "service", 6, "new"), (len(later), "service", 6, "known")])

    def test_a_filter_is_asked_of_what_comes(self):
        self.up()
        self.assertEqual(self.box.trace(insns=UDP_ONLY), "ok")
        self.send(packet(), packet(sport=3, dport=53, proto=UDP))
        records, n, missed = self.box.traced()
        self.assertEqual([(r["sport"], r["drop"]) for r in records], [(3, "no_service")])
        self.assertEqual(self.box.trace(insns=UDP_ONLY[:-2]), "refused 1")

    def test_a_full_ring_holds_nobody_up(self):
        self.up()
        self.box.trace(slots=4)
        self.assertEqual(len(self.send(*(packet(sport=k) for k in range(60, 70)))), 10)
        records, n, missed = self.box.traced()
        self.assertEqual((n, missed), (4, 6))
        self.assertEqual([r["sport"] for r in records], [60, 61, 62, 63])


class Served(Trace):
    """What ends here: taken, or answered in its place."""
    cache_mb = 64
    SERVED = {"service": "mem", "kind": "service", "flow": None, "backend": None}

    def up(self):
        self.box.put("cache", name="hot", memory_bytes=4 << 20, eviction=4, value_max=20000)
        for name, proto in ("mem", TCP_PROTO), ("memudp", UDP_PROTO):
            service(self.box, name=name, vip="10.1.0.100", port=11211, proto=proto, mode=CACHE, sched=RR, cache="hot")
        self.box.put("acl", service="memudp", ip="10.1.0.0", prefix_len=24, action=1)
        self.apply()

    def segment(self, flags, seq=1, ack=0, data=b"", **more):
        return packet(dst="10.1.0.100", dport=11211, flags=flags, seq=seq, ack=ack, **more) / Raw(data)

    def test_segments_are_taken(self):
        self.up()
        records, out = self.traced(self.segment("S"))
        (what, port, data), = out
        syn_ack = Ether(data)[TCP]
        self.assertEqual((what, str(syn_ack.flags)), ("out", "SA"))
        (record,) = records
        self.assertEqual({k: record.get(k) for k in self.SERVED}, self.SERVED)
        self.assertEqual((record["verdict"], record.get("out_port"), record["len"]), ("served", None, 54))
        self.one(self.segment("A", 2, syn_ack.seq + 1), verdict="served", **self.SERVED)
        (record,), out = self.traced(self.segment("PA", 2, syn_ack.seq + 1, b"get k\r\n"))
        self.assertEqual(record["verdict"], "served")
        self.assertEqual(bytes(Ether(out[0][2])[TCP].payload), b"END\r\n")
        # of a segment that is dropped, the reason
        bad = self.segment("PA", 9, syn_ack.seq + 1, b"get k\r\n")
        bad[TCP].chksum = 1
        record = self.one(bad, verdict="dropped", **self.SERVED)
        self.assertTrue(record["drop"])

    def test_errors_about_a_connection_are_taken(self):
        self.up()
        _, out = self.traced(self.segment("S"))
        syn_ack = Ether(out[0][2])[TCP]
        self.send(self.segment("A", 2, syn_ack.seq + 1))
        _, out = self.traced(self.segment("PA", 2, syn_ack.seq + 1, b"get k\r\n"))
        sent = Ether(out[0][2])[IP]
        error = Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.10", dst="10.1.0.100") / ICMP(
            type=3, code=4, nexthopmtu=1200) / raw(sent)[:28]
        self.one(error, kind="icmp-error", verdict="served", out_port=None)

    def test_datagrams_are_answered_or_taken(self):
        self.up()
        ask = packet(proto=UDP, dst="10.1.0.100", dport=11211) / Raw(bytes([0, 7, 0, 0, 0, 1, 0, 0]) + b"get k\r\n")
        self.one(ask, service="memudp", verdict="answer", out_port="north")
        ask[Raw].load = bytes([0, 7, 0, 0, 0, 1, 0, 0]) + b"set k 0 0 1 noreply\r\nx\r\n"
        self.one(ask, service="memudp", verdict="served", out_port=None)

    test_flows = test_two_of_a_new_flow_in_one_burst = test_a_full_ring_holds_nobody_up = None
    test_a_fragment_is_told_once = test_dnat = test_without_an_entry = test_held_for_a_neighbour = None
    test_a_filter_is_asked_of_what_comes = test_the_way_back = test_what_is_not_balanced = None


class ServedByTwo(Served):
    """Segments are handed over, and told once."""
    workers, queues = 2, 1

    def test_each_is_told_once(self):
        self.up()
        records, _ = self.traced(*(self.segment("S", sport=k) for k in range(100, 140)))
        self.assertEqual(sorted(r["sport"] for r in records), list(range(100, 140)))
        self.assertEqual({r["verdict"] for r in records}, {"served"})
        self.assertEqual({r["is_handed_over"] for r in records}, {0, 1})


class TwoWorkers(Trace):
    """Flows are handed over: the worker that a packet ends at tells of it."""
    workers, queues = 2, 1

    def test_handed_over(self):
        self.up()
        before = self.box.counters()[0].get("handed_over", 0)
        records, out = self.traced(*(packet(sport=k) for k in range(100, 140)))
        self.assertEqual(sorted(r["sport"] for r in records), list(range(100, 140)))
        n = self.box.counters()[0]["handed_over"] - before
        self.assertGreater(n, 5)
        self.assertEqual(sum(r["is_handed_over"] for r in records), n)
        self.assertEqual({(r["flow"], r["out_port"]) for r in records}, {("new", "south")})

    test_flows = test_two_of_a_new_flow_in_one_burst = test_a_full_ring_holds_nobody_up = None
    test_a_fragment_is_told_once = test_dnat = test_without_an_entry = test_held_for_a_neighbour = None
    test_a_filter_is_asked_of_what_comes = None


if __name__ == "__main__":
    unittest.main()
