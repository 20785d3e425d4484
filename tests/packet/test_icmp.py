# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors about balanced flows: found by what they quote, passed on to the flow's other end, and nothing else."""
from box import *
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6ParamProblem,
                                ICMPv6TimeExceeded)

CLIENT = {4: "10.1.0.10", 6: "fd00:1::10"}
ROUTER = {4: "10.1.0.9", 6: "fd00:1::9"}      # on the client's side
VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
SNAT = {4: "10.2.0.100", 6: "fd00:2::100"}
WEB = {4: "10.2.0.11", 6: "fd00:2::11"}
INNER_ROUTER = {4: "10.2.0.9", 6: "fd00:2::9"}  # on the backends' side
DIRECT = (DSR_L2, IPIP, GUE)


def ip_of(src, dst, ttl=64):
    return IP(src=src, dst=dst, ttl=ttl, id=9) if "." in src else IPv6(src=src, dst=dst, hlim=ttl)


def too_big(family):
    return ICMP(type=3, code=4, nexthopmtu=1280) if family == 4 else ICMPv6PacketTooBig(mtu=1280)


def errors(family):
    if family == 4:
        return [ICMP(type=3, code=c) for c in (0, 1, 3, 4, 13)] + [ICMP(type=11), ICMP(type=12, ptr=9)]
    return [ICMPv6DestUnreach(code=4), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded(), ICMPv6ParamProblem()]


def quote_of(src, sport, dst, dport, l4=TCP, n=40, cut=None):
    if l4 is TCP:
        l4 = TCP(sport=sport, dport=dport, flags="A", seq=77)
    else:
        l4 = UDP(sport=sport, dport=dport)
    whole = raw(ip_of(src, dst) / l4 / Raw(b"d" * n))
    return whole if cut is None else whole[:cut]


def error(macs, src, dst, what, quote, ttl=64):
    return Ether(src=macs[0], dst=macs[1]) / ip_of(src, dst, ttl) / what / Raw(quote)


class Icmp(PacketTest):
    workers, queues = 1, 1

    sport = 40000  # of the flow; another for each service, whose entries stay

    def up(self, family, mode=FULLNAT, proto=TCP_PROTO, n=1, **more):
        service(self.box, name="web", vip=VIP[family], mode=mode, proto=proto, **more)
        port = 80 if mode in DIRECT else 8080
        for k in range(1, n + 1):
            backend(self.box, k, ip=f"{WEB[family][:-1]}{k}", port=port)
        self.apply()
        self.sport += 100

    def down(self, n=1):
        for k in range(1, n + 1):
            self.box.delete(f"backend/web/web{k}")
        self.box.delete("service/web")
        self.apply()

    def syn(self, family, sport=None, l4=TCP, flags="S"):
        """Opens a flow; returns the frame that goes to the backend."""
        sport = sport or self.sport
        l4 = TCP(sport=sport, dport=80, flags=flags) if l4 is TCP else UDP(sport=sport, dport=80)
        (_, got), = self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip_of(CLIENT[family], VIP[family]) / l4)
        return got

    def to_vip(self, family, what=None, quote=None, **more):
        quote = quote or quote_of(VIP[family], 80, CLIENT[family], self.sport, **more)
        return error((CLIENT_MAC, NORTH_MAC), ROUTER[family], VIP[family], what or too_big(family), quote)

    def passed_on(self, frame, src, dst, quote, macs):
        """What the error becomes, byte for byte."""
        want = frame.copy()
        want.src, want.dst = macs
        want[1].src, want[1].dst = src, dst
        if IP in want:
            want[IP].ttl -= 1
            del want[IP].chksum
            del want[ICMP].chksum
        else:
            want[IPv6].hlim -= 1
            del want[2].cksum
        want[Raw].load = quote
        return want

    def assertOne(self, frame, port, want, from_="north"):
        (got_port, got), = self.send(frame, port=from_)
        self.assertEqual(got_port, port)
        self.assertFrame(got, want)

    # --- to a VIP: about what a backend sent ---

    def test_direct_modes_pass_it_on_as_it_is(self):
        for family in (4, 6):
            for mode in DIRECT:
                with self.subTest(family=family, mode=mode):
                    self.up(family, mode, sched=WRR)
                    self.syn(family)
                    for what in errors(family):
                        frame = self.to_vip(family, what)
                        (port, got), = self.send(frame)
                        self.assertEqual((port, got.src, got.dst), ("south", SOUTH_MAC, WEB_MAC[1]))
                        inner = raw(frame)[14:]
                        if mode != DSR_L2:  # a router's work: one less to live
                            passed = frame[1].copy()
                            if family == 4:
                                passed.ttl -= 1
                                del passed.chksum
                            else:
                                passed.hlim -= 1
                            inner = raw(passed)
                        self.assertTrue(raw(got).endswith(inner))
                    self.down()

    def test_full_nat_translates_both_headers(self):
        for family in (4, 6):
            for l4, proto in ((TCP, TCP_PROTO), (UDP, UDP_PROTO)):
                with self.subTest(family=family, l4=l4):
                    self.up(family, proto=proto)
                    snat_port = self.syn(family, l4=l4)[l4].sport
                    for what in errors(family):
                        for n in (0, 41, 400):
                            frame = self.to_vip(family, what, l4=l4, n=n)
                            want = self.passed_on(
                                frame, SNAT[family], WEB[family],
                                quote_of(WEB[family], 8080, SNAT[family], snat_port, l4=l4, n=n),
                                (SOUTH_MAC, WEB_MAC[1]))
                            self.assertOne(frame, "south", want)
                    self.down()

    def test_no_error_about_an_error(self):
        """What does not fit the tunnel is told to nobody."""
        self.up(4, IPIP)
        self.syn(4)
        frame = self.to_vip(4, n=1430)
        frame[IP].flags = "DF"
        self.assertEqual(self.send(frame), [])
        self.assertEqual(self.dropped("too_big"), 1)

    def test_dnat_leaves_the_source(self):
        for family in (4, 6):
            self.up(family, DNAT)
            self.syn(family)
            frame = self.to_vip(family)
            self.assertOne(frame, "south", self.passed_on(
                frame, ROUTER[family], WEB[family], quote_of(WEB[family], 8080, CLIENT[family], self.sport),
                (SOUTH_MAC, WEB_MAC[1])))
            self.down()

    def test_eight_bytes_of_tcp_are_enough(self):
        for family, header in ((4, 20), (6, 40)):
            self.up(family)
            snat_port = self.syn(family)[TCP].sport
            for cut in (header + 8, header + 9, header + 16, header + 18, header + 20):
                frame = self.to_vip(family, cut=cut)
                self.assertOne(frame, "south", self.passed_on(
                    frame, SNAT[family], WEB[family],
                    quote_of(WEB[family], 8080, SNAT[family], snat_port, cut=cut),
                    (SOUTH_MAC, WEB_MAC[1])))
            for cut in (0, 1, header - 1, header, header + 1, header + 7):
                frame = error((CLIENT_MAC, NORTH_MAC), ROUTER[family], VIP[family], too_big(family),
                              quote_of(VIP[family], 80, CLIENT[family], self.sport)[:cut])
                self.assertEqual(self.send(frame), [], cut)
            self.down()
        self.assertEqual(self.dropped("icmp_quote"), 12)

    def test_goes_to_the_backend_of_the_flow(self):
        """Eight backends, sixty flows: each error goes where its flow goes."""
        for mode in (FULLNAT, DSR_L2, DNAT):
            self.up(4, mode, n=8)
            for k in range(60):
                to = self.syn(4, sport=self.sport + k).dst
                frame = self.to_vip(4, quote=quote_of(VIP[4], 80, CLIENT[4], self.sport + k))
                (_, got), = self.send(frame)
                self.assertEqual(got.dst, to)
            self.down(8)

    def test_stateless_services_need_no_entry(self):
        """Flows from before a restart: the hash names the backend, for the error as for the packets."""
        for family in (4, 6):
            for hash_ in (0, 1, 2):
                self.up(family, DSR_L2, n=8, sched=MAGLEV, hash=hash_)
                n_conns = len(self.box.conns())
                for k in range(40):
                    frame = self.to_vip(family, quote=quote_of(VIP[family], 80, CLIENT[family], self.sport + k))
                    (_, got), = self.send(frame)
                    self.assertEqual(len(self.box.conns()), n_conns + k)
                    self.assertEqual(got.dst, self.syn(family, sport=self.sport + k, flags="A").dst)
                self.down(8)

    # --- to a SNAT address or to a DNAT client: about what we sent to a backend ---

    def from_inside(self, family, quote, dst, ttl=64):
        return error((WEB_MAC[1], SOUTH_MAC), INNER_ROUTER[family], dst, too_big(family), quote, ttl)

    def test_back_to_the_client(self):
        for family in (4, 6):
            for mode in (FULLNAT, DNAT):
                with self.subTest(family=family, mode=mode):
                    self.up(family, mode)
                    sent = self.syn(family)
                    frame = self.from_inside(family, raw(sent[1]), sent[1].src)
                    quote = ip_of(CLIENT[family], VIP[family], 63) / TCP(sport=self.sport, dport=80, flags="S")
                    self.assertOne(frame, "north", self.passed_on(
                        frame, VIP[family], CLIENT[family], raw(quote), (NORTH_MAC, CLIENT_MAC)), "south")
                    self.down()

    def test_udp_without_checksum_stays_without(self):
        self.up(4, proto=UDP_PROTO)
        sent = self.syn(4, l4=UDP)
        quote = sent[IP].copy()
        quote[UDP].chksum = 0
        frame = self.from_inside(4, raw(quote), SNAT[4])
        (_, got), = self.send(frame, port="south")
        self.assertEqual(IP(raw(got[ICMP])[8:])[UDP].chksum, 0)

    def test_what_is_of_no_dnat_flow_is_the_kernels(self):
        self.up(4, DNAT)
        self.syn(4)
        for quote in (quote_of(CLIENT[4], 40001, WEB[4], 8080), quote_of(CLIENT[4], self.sport, "10.2.0.12", 8080),
                      b"", b"E"):
            out = self.box.run(self.from_inside(4, quote, CLIENT[4]), port="south")
            self.assertEqual([(w, p) for w, p, _ in out], [("kernel", "south")])

    # --- forged ones ---

    def test_about_nothing_of_ours(self):
        self.up(4)
        sent = self.syn(4)
        port = sent[TCP].sport
        bad = [
            (self.to_vip(4, quote=quote_of(VIP[4], 80, CLIENT[4], self.sport + 1)), "north"),
            (self.to_vip(4, quote=quote_of(VIP[4], 81, CLIENT[4], self.sport)), "north"),
            (self.to_vip(4, quote=quote_of(CLIENT[4], self.sport, VIP[4], 80)), "north"),
            (self.to_vip(4, quote=quote_of(VIP[4], 80, CLIENT[4], self.sport, l4=UDP)), "north"),
            (self.to_vip(4, quote=raw(IP(src=VIP[4], dst=CLIENT[4]) / ICMP() / Raw(b"x" * 20))), "north"),
            (self.to_vip(4, quote=raw(IP(src=VIP[4], dst=CLIENT[4], frag=3, proto=6) / Raw(b"x" * 40))), "north"),
            (self.from_inside(4, quote_of(SNAT[4], port ^ 1, WEB[4], 8080), SNAT[4]), "south"),
            (self.from_inside(4, quote_of(SNAT[4], port, WEB[4], 8081), SNAT[4]), "south"),
            (self.from_inside(4, quote_of(SNAT[4], port, "10.2.0.12", 8080), SNAT[4]), "south"),
            (self.from_inside(4, quote_of(SNAT[4], port, WEB[4], 8080, l4=UDP), SNAT[4]), "south"),
        ]
        for n, (frame, where) in enumerate(bad):
            self.assertEqual(self.send(frame, port=where), [], n)
        self.assertEqual(self.dropped("icmp_no_flow"), len(bad))
        self.assertEqual(self.dropped("icmp_errors"), 0)

    def test_changes_nothing_of_the_flow(self):
        """Errors do not make, keep, move or end an entry."""
        self.up(4)
        self.syn(4)
        before = self.box.conns()
        self.box.time(5000)
        for what in errors(4):
            self.assertEqual(len(self.send(self.to_vip(4, what))), 1)
        self.assertEqual(self.box.conns(), before)
        for _ in range(4):  # its time is what it was: syn ends it
            self.box.time(200_000)
            self.box.run()
        self.assertEqual(self.box.conns(), [])

    def test_other_messages_are_dropped(self):
        self.up(4)
        self.syn(4)
        for type_ in (0, 4, 5, 13, 40):
            self.assertEqual(self.send(self.to_vip(4, ICMP(type=type_))), [])
        self.assertEqual(self.dropped("icmp_unsupported"), 5)

    def test_time_to_live_runs_out(self):
        self.up(4)
        sent = self.syn(4)
        self.assertEqual(self.send(self.from_inside(4, raw(sent[IP]), SNAT[4], ttl=1), port="south"), [])
        self.assertEqual(self.dropped("ttl"), 1)

    def test_limit(self):
        """Above the budget of a second they are dropped; the next second has its own."""
        self.up(4, DSR_L2)
        self.syn(4)
        frame, n = raw(self.to_vip(4, n=0)), 0
        for _ in range(18):
            n += len(self.box.run(*[frame] * 1000))
        self.assertEqual(n, 16384)
        self.assertEqual(self.dropped("icmp_limited"), 18000 - 16384)
        self.box.time(2000)
        self.assertEqual(len(self.box.run(frame)), 1)


class IcmpTwoWorkers(PacketTest):
    """Errors come in by any queue: the flow's owner handles them."""
    workers, queues = 2, 2
    sport, turn = 40000, 0
    up, down, syn, to_vip, from_inside = Icmp.up, Icmp.down, Icmp.syn, Icmp.to_vip, Icmp.from_inside
    passed_on, assertOne = Icmp.passed_on, Icmp.assertOne
    test_goes_to_the_backend_of_the_flow = Icmp.test_goes_to_the_backend_of_the_flow
    test_back_to_the_client = Icmp.test_back_to_the_client
    test_about_nothing_of_ours = Icmp.test_about_nothing_of_ours

    def send(self, *frames, port="north", queue=0):
        self.turn ^= 1
        return super().send(*frames, port=port, queue=self.turn)


if __name__ == "__main__":
    unittest.main()
