# SPDX-License-Identifier: BSD-3-Clause
"""SYN cookies: above a rate a SYN leaves nothing behind, and who sends the cookie back is connected afterwards."""
from box import *
from test_client_address import header, toa

VIPS = {4: "10.1.0.80", 6: "fd00:1::80"}
CLIENTS = {4: "10.1.0.10", 6: "fd00:1::10"}
BACKENDS = {4: "10.2.0.11", 6: "fd00:2::11"}
SNATS = {4: "10.2.0.100", 6: "fd00:2::100"}
ISS, ITS = 0xfffffff0, 0x80000000  # the client's numbers wrap, the backend's are far away
DEFAULT_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]


def add(a, b):
    return (a + b) & 0xffffffff


def ip_of(family, src, dst, ttl=64, **more):
    return IP(src=src, dst=dst, ttl=ttl, **more) if family == 4 else IPv6(src=src, dst=dst, hlim=ttl)


class SynFlood(PacketTest):
    sport = 40000

    def up(self, family=4, mode=FULLNAT, rate=1, **more):
        self.family, self.mode = family, mode
        service(self.box, vip=VIPS[family], mode=mode, sched=RR, syn_cookies=rate, **more)
        backend(self.box, 1, ip=BACKENDS[family])
        self.apply()
        self.send(self.client(flags="S", seq=1, sport=9))  # takes what the rate admits

    def client(self, data=b"", sport=None, **tcp):
        f = self.family
        return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip_of(f, CLIENTS[f], VIPS[f])
                / TCP(sport=sport or self.sport, dport=80, **tcp) / Raw(data))

    def server(self, data=b"", **tcp):
        f = self.family
        return (Ether(src=WEB_MAC[1], dst=SOUTH_MAC)
                / ip_of(f, BACKENDS[f], SNATS[f] if self.mode == FULLNAT else CLIENTS[f])
                / TCP(sport=8080, dport=self.bport, **tcp) / Raw(data))

    def cookie(self, options=DEFAULT_OPTIONS, mss=None, **more):
        """Sends a SYN that is answered with a cookie, which is returned."""
        mss = mss or (1460 if self.family == 4 else 1440)
        (port, got), = self.send(self.client(flags="S", seq=ISS, options=options, **more))
        isn = got[TCP].seq
        f = self.family
        self.assertEqual(port, "north")
        self.assertFrame(got, Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                         / ip_of(f, VIPS[f], CLIENTS[f], **({"id": 0, "flags": "DF"} if f == 4 else {}))
                         / TCP(sport=80, dport=more.get("sport") or self.sport, flags="SA", seq=isn, ack=add(ISS, 1),
                               window=0, options=[("MSS", mss)]))
        return isn

    def to_backend(self, frame, data=b"", **tcp):
        (port, got), = self.send(frame)
        f = self.family
        self.bport = got[TCP].sport
        self.assertEqual(port, "south")
        self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                         / ip_of(f, SNATS[f] if self.mode == FULLNAT else CLIENTS[f], BACKENDS[f], 63)
                         / TCP(sport=self.bport, dport=8080, **tcp) / Raw(data))

    def to_client(self, got, data=b"", **tcp):
        f = self.family
        self.assertFrame(got, Ether(src=NORTH_MAC, dst=CLIENT_MAC) / ip_of(f, VIPS[f], CLIENTS[f], 63)
                         / TCP(sport=80, dport=self.sport, **tcp) / Raw(data))

    def connect(self, syn_mss=1460):
        isn = self.cookie()
        self.to_backend(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1), window=777),
                        flags="S", seq=ISS, window=777, options=[("MSS", syn_mss)])
        return isn

    def linked(self):
        isn = self.connect()
        out = dict(self.send(self.server(flags="SA", seq=ITS, ack=add(ISS, 1), window=4000,
                                         options=[("MSS", 1460)]), port="south"))
        f = self.family
        self.assertEqual(set(out), {"north", "south"})
        self.to_client(out["north"], flags="A", seq=add(isn, 1), ack=add(ISS, 1), window=4000)
        self.assertFrame(out["south"], Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                         / ip_of(f, SNATS[f] if self.mode == FULLNAT else CLIENTS[f], BACKENDS[f])
                         / TCP(sport=self.bport, dport=8080, flags="A", seq=add(ISS, 1), ack=ITS + 1, window=8192))
        return isn

    def test_nothing_is_kept(self):
        for family in (4, 6):
            self.up(family)
            n = len(self.box.conns())
            for k in range(50):
                self.cookie(sport=5000 + k)
            self.assertEqual(len(self.box.conns()), n)
        self.assertEqual(self.dropped("syn_cookies_sent"), 100)

    def test_below_the_rate_there_are_entries(self):
        self.up(rate=1000)
        self.to_backend(self.client(flags="S", seq=ISS, options=DEFAULT_OPTIONS), flags="S", seq=ISS,
                        options=DEFAULT_OPTIONS)

    def test_whole_connection(self):
        for family in (4, 6):
            for mode in (FULLNAT, DNAT):
                with self.subTest(family=family, mode=mode):
                    self.sport += 1
                    self.up(family, mode)
                    isn = self.linked()
                    self.to_backend(self.client(b"GET /", flags="PA", seq=add(ISS, 1), ack=add(isn, 1)), b"GET /",
                                    flags="PA", seq=add(ISS, 1), ack=ITS + 1)
                    (_, got), = self.send(self.server(b"answer", flags="PA", seq=ITS + 1, ack=add(ISS, 6)),
                                          port="south")
                    self.to_client(got, b"answer", flags="PA", seq=add(isn, 1), ack=add(ISS, 6))
                    self.to_backend(self.client(flags="FA", seq=add(ISS, 6), ack=add(isn, 7)), flags="FA",
                                    seq=add(ISS, 6), ack=ITS + 7)
                    (_, got), = self.send(self.server(flags="FA", seq=ITS + 7, ack=add(ISS, 7)), port="south")
                    self.to_client(got, flags="FA", seq=add(isn, 7), ack=add(ISS, 7))
                    self.assertIn("closed", [c[1] for c in self.box.conns()])
                    self.box.delete("backend/web/web1")
                    self.box.delete("service/web")
                    self.apply()
        self.assertEqual(self.dropped("syn_cookies_accepted"), 4)

    def test_segment_size(self):
        """As far as three bits tell, and never more than the client or the service wants."""
        self.up()
        for k, (mss, told) in enumerate(((1460, 1460), (1459, 1440), (1300, 1300), (500, 536), (9000, 8940), (None, 536))):
            self.sport = 6000 + k
            isn = self.cookie([("MSS", mss)] if mss else [])
            self.to_backend(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1)), flags="S", seq=ISS,
                            options=[("MSS", told)])
        service(self.box, vip=VIPS[4], sched=RR, syn_cookies=1, mss=1200)
        self.apply()
        self.sport = 6100
        isn = self.cookie(mss=1200)
        self.to_backend(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1)), flags="S", seq=ISS,
                        options=[("MSS", 1200)])

    def test_first_data_instead_of_the_ack(self):
        """The ACK got lost: the client's data serves as well, and is sent again by the client."""
        self.up()
        isn = self.cookie()
        self.to_backend(self.client(b"x" * 700, flags="PA", seq=add(ISS, 1), ack=add(isn, 1)), flags="S", seq=ISS,
                        options=[("MSS", 1460)])

    def test_forged(self):
        self.up()
        isn = self.cookie()
        n = len(self.box.conns())
        for bad in (dict(ack=add(isn, 2)), dict(ack=add(isn, 0)), dict(ack=isn ^ 0x10000000), dict(seq=ISS),
                    dict(seq=add(ISS, 2)), dict(sport=40001), dict(ack=add(isn, 1) ^ 0x80000000)):
            self.assertEqual(self.send(self.client(**{**dict(flags="A", seq=add(ISS, 1), ack=add(isn, 1)), **bad})), [])
        for flags in ("", "FA", "RA", "SA"):
            self.assertEqual(self.send(self.client(flags=flags, seq=add(ISS, 1), ack=add(isn, 1))), [])
        self.assertEqual(len(self.box.conns()), n)

    def test_cookies_get_old(self):
        """Good for a minute at least, two at most."""
        self.up()
        isn = self.cookie()
        self.box.time(59_000)
        self.box.run()
        self.to_backend(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1)), flags="S", seq=ISS,
                        options=[("MSS", 1460)])
        self.sport += 1
        self.send(self.client(flags="S", seq=1, sport=9))
        isn = self.cookie()
        for _ in range(3):
            self.box.time(61_000)
            self.box.run()
        self.assertEqual(self.send(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1))), [])

    def test_probes_of_the_window_send_the_syn_again(self):
        """The first one to the backend got lost."""
        self.up()
        isn = self.connect()
        for seq, data in ((ISS, b""), (add(ISS, 1), b"d")):
            self.to_backend(self.client(data, flags="A", seq=seq, ack=add(isn, 1)), flags="S", seq=ISS,
                            options=[("MSS", 1460)])

    def test_lost_acknowledgement(self):
        """The backend sends its SYN+ACK again: acknowledged again, and the client hears nothing of it."""
        self.up()
        self.linked()
        (port, got), = self.send(self.server(flags="SA", seq=ITS, ack=add(ISS, 1)), port="south")
        self.assertEqual((port, got[TCP].flags, got[TCP].seq, got[TCP].ack), ("south", "A", add(ISS, 1), ITS + 1))

    def test_refused_by_the_backend(self):
        self.up()
        isn = self.connect()
        (_, got), = self.send(self.server(flags="RA", seq=0, ack=add(ISS, 1)), port="south")
        self.to_client(got, flags="RA", seq=add(isn, 1), ack=add(ISS, 1))
        self.assertIn("closed", [c[1] for c in self.box.conns()])

    def test_path_mtu(self):
        """What an ICMP error quotes is what the backend has sent."""
        self.up()
        isn = self.linked()
        quote = (IP(src=VIPS[4], dst=CLIENTS[4], id=9)
                 / TCP(sport=80, dport=self.sport, flags="A", seq=add(isn, 1), ack=add(ISS, 1)) / Raw(b"d" * 20))
        (_, got), = self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.9", dst=VIPS[4])
                              / ICMP(type=3, code=4, nexthopmtu=1280) / Raw(raw(quote)))
        want = (IP(src=BACKENDS[4], dst=SNATS[4], id=9)
                / TCP(sport=8080, dport=self.bport, flags="A", seq=ITS + 1, ack=add(ISS, 1)) / Raw(b"d" * 20))
        self.assertEqual(raw(got[ICMP])[8:24], raw(want)[:16])
        self.assertEqual(raw(got[ICMP])[28:36], raw(want)[20:28])

    def test_limits_hold(self):
        """Who sends a cookie back is asked like anybody who begins a flow."""
        self.up(max_conns=1)
        isn = self.cookie()
        self.assertEqual(self.send(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1))), [])
        self.assertEqual(self.dropped("service_limit"), 1)

    def test_who_is_refused_anyway_gets_no_cookie(self):
        """By a list, as one of our own addresses, as a backend by another port than its own; each counts once."""
        self.up()
        self.box.put("acl", service="web", ip="10.1.0.66", prefix_len=32, action=2)
        self.apply()
        for src, reason in (("10.1.0.66", "acl"), ("10.1.0.80", "bad_ip_source"), ("10.2.0.100", "bad_ip_source"),
                            ("10.2.0.11", "backend_source")):
            frame = self.client(flags="S", seq=ISS)
            frame[IP].src = src
            self.assertEqual(self.send(frame), [], src)
        self.assertEqual([self.dropped(r) for r in ("acl", "bad_ip_source", "backend_source", "syn_cookies_sent")],
                         [1, 2, 1, 0])
        self.assertEqual(self.box.denied(), {"web": 1})


class Told(SynFlood):
    """The same of services that tell their backends the client: each segment that is made here tells it, too."""

    def up(self, family=4, mode=FULLNAT, rate=1, **more):
        super().up(family, mode, rate, **more)
        self.sport += 1

    def expect_backend(self, got, ttl, data=b"", **tcp):
        f = self.family
        self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1]) / ip_of(f, SNATS[f], BACKENDS[f], ttl)
                         / TCP(sport=self.bport, dport=8080, **tcp) / Raw(data))

    def link(self, isn, syn, data=b"", options=()):
        """SYN to the backend, its answer, and what that makes; the answer comes twice, as the ACK got lost."""
        self.to_backend(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1), window=777), flags="S", seq=ISS,
                        window=777, options=syn)
        answer = self.server(flags="SA", seq=ITS, ack=add(ISS, 1), window=4000, options=[("MSS", 1460)])
        ack = dict(flags="A", seq=add(ISS, 1), ack=ITS + 1, window=8192, options=list(options))
        out = dict(self.send(answer, port="south"))
        self.to_client(out["north"], flags="A", seq=add(isn, 1), ack=add(ISS, 1), window=4000)
        self.expect_backend(out["south"], 64, data, **ack)
        (_, got), = self.send(answer, port="south")
        self.expect_backend(got, 64, data, **ack)

    def test_proxy_header(self):
        for family, mss in ((4, 1460), (6, 1440)):
            with self.subTest(family=family):
                self.up(family, client_address=2)
                h = header(family, cport=self.sport)
                n = len(h)
                isn = self.cookie(mss=mss - n)
                self.link(isn, [("MSS", 1460)], h)
                first = dict(flags="PA", seq=add(ISS, 1), ack=add(isn, 1))
                self.to_backend(self.client(b"GET /", **first), h + b"GET /", **{**first, "ack": ITS + 1})
                self.to_backend(self.client(b"more", **{**first, "seq": add(ISS, 6)}), b"more",
                                flags="PA", seq=add(ISS, 6 + n), ack=ITS + 1)
                (_, got), = self.send(self.server(b"220 hello", flags="PA", seq=ITS + 1, ack=add(ISS, 1)), port="south")
                self.to_client(got, b"220 hello", flags="PA", seq=add(isn, 1), ack=add(ISS, 1))
                # has the header, and only that
                (_, got), = self.send(self.server(flags="A", seq=ITS + 10, ack=add(ISS, 1 + n)), port="south")
                self.to_client(got, flags="A", seq=add(isn, 10), ack=add(ISS, 1))
                self.to_backend(self.client(b"GET /", **{**first, "ack": add(isn, 10)}), b"GET /",
                                flags="PA", seq=add(ISS, 1 + n), ack=ITS + 10)
                (_, got), = self.send(self.server(b"answer", flags="PA", seq=ITS + 10, ack=add(ISS, 10 + n)), port="south")
                self.to_client(got, b"answer", flags="PA", seq=add(isn, 10), ack=add(ISS, 10))
                self.to_backend(self.client(flags="FA", seq=add(ISS, 10), ack=add(isn, 16)), flags="FA",
                                seq=add(ISS, 10 + n), ack=ITS + 16)
                (_, got), = self.send(self.server(flags="FA", seq=ITS + 16, ack=add(ISS, 11 + n)), port="south")
                self.to_client(got, flags="FA", seq=add(isn, 16), ack=add(ISS, 11))
        self.assertEqual(self.dropped("proxy_headers"), 2 * 3)

    def test_option(self):
        for family, mss in ((4, 1460), (6, 1440)):
            with self.subTest(family=family):
                self.up(family, client_address=1)
                told = toa(family, self.sport)
                isn = self.cookie(mss=mss - (8 if family == 4 else 20))
                self.link(isn, told + [("MSS", 1460)], options=told)
                first = dict(flags="PA", seq=add(ISS, 1), ack=add(isn, 1))
                self.to_backend(self.client(b"GET /", **first), b"GET /", **{**first, "ack": ITS + 1}, options=told)
                (_, got), = self.send(self.server(b"answer", flags="PA", seq=ITS + 1, ack=add(ISS, 6)), port="south")
                self.to_client(got, b"answer", flags="PA", seq=add(isn, 1), ack=add(ISS, 6))
                self.to_backend(self.client(b"GET /", **first), b"GET /", **{**first, "ack": ITS + 1})
        self.assertEqual(self.dropped("toa_options"), 2 * (1 + 4))  # up()'s SYN

    def test_segment_size_of_the_service(self):
        self.up(client_address=2, mss=1000)
        self.cookie(mss=1000 - 28)

    def test_refused_by_the_backend(self):
        self.up(client_address=2)
        isn = self.cookie(mss=1432)
        self.to_backend(self.client(flags="A", seq=add(ISS, 1), ack=add(isn, 1)), flags="S", seq=ISS, options=[("MSS", 1460)])
        (_, got), = self.send(self.server(flags="RA", seq=0, ack=add(ISS, 1)), port="south")
        self.to_client(got, flags="RA", seq=add(isn, 1), ack=add(ISS, 1))

    def test_errors(self):
        """What is quoted is what the one it goes to has sent, before and after the backend has the header."""
        self.up(client_address=2)
        h = header(4, cport=self.sport)
        isn = self.cookie(mss=1432)
        self.link(isn, [("MSS", 1460)], h)
        for is_told in (False, True):
            if is_told:
                self.send(self.server(flags="A", seq=ITS + 1, ack=add(ISS, 1 + len(h))), port="south")
            for src, dst, seq, want_src, want_dst, want_seq, port in (
                    (VIPS[4], CLIENTS[4], add(isn, 1), BACKENDS[4], SNATS[4], ITS + 1, "north"),
                    (SNATS[4], BACKENDS[4], add(ISS, 101 + len(h)), CLIENTS[4], VIPS[4], add(ISS, 101), "south")):
                ports = {VIPS[4]: 80, CLIENTS[4]: self.sport, BACKENDS[4]: 8080, SNATS[4]: self.bport}
                quote = IP(src=src, dst=dst, id=9) / TCP(sport=ports[src], dport=ports[dst], flags="A", seq=seq)
                mac = (CLIENT_MAC, NORTH_MAC) if port == "north" else (WEB_MAC[1], SOUTH_MAC)
                (_, got), = self.send(Ether(src=mac[0], dst=mac[1]) / IP(src="10.1.0.9", dst=src)
                                      / ICMP(type=3, code=1) / Raw(raw(quote)), port=port)
                want = IP(src=want_src, dst=want_dst, id=9) / TCP(sport=ports[want_src], dport=ports[want_dst], flags="A",
                                                                  seq=want_seq)
                self.assertEqual(raw(got[ICMP])[8:36], raw(want)[:28], (is_told, port))
                self.assertEqual(got[IP].dst, want_src)
            # and the client's next hop, or what stands in its place, is as before
            (_, got), = self.send(self.server(b"d", flags="A", seq=ITS + 1, ack=add(ISS, 1 + len(h) * is_told)),
                                  port="south")
            self.to_client(got, b"d", flags="A", seq=add(isn, 1), ack=add(ISS, 1))


for name in [n for n in dir(SynFlood) if n.startswith("test_") and n not in vars(Told)]:
    setattr(Told, name, None)  # once is enough


class SynFloodTwoWorkers(SynFlood):
    """By any queue: SYN and ACK of a flow are of one worker."""
    workers, queues, turn = 2, 2, 0
    test_nothing_is_kept = test_below_the_rate_there_are_entries = test_limits_hold = test_segment_size = test_who_is_refused_anyway_gets_no_cookie = test_cookies_get_old = None

    def up(self, family=4, mode=FULLNAT, rate=1, **more):
        super().up(family, mode, rate, **more)
        for k in range(40):  # each worker's share
            self.send(self.client(flags="S", seq=1, sport=100 + k))

    def send(self, *frames, port="north", queue=0):
        self.turn ^= 1
        return super().send(*frames, port=port, queue=self.turn)


if __name__ == "__main__":
    unittest.main()
