# SPDX-License-Identifier: BSD-3-Clause
"""What full NAT and DNAT change besides addresses: the maximum segment size, and how a backend is told its client."""
from box import *

VIPS = {4: "10.1.0.80", 6: "fd00:1::80"}
CLIENTS = {4: "10.1.0.10", 6: "fd00:1::10"}
BACKENDS = {4: "10.2.0.11", 6: "fd00:2::11"}
SNATS = {4: "10.2.0.100", 6: "fd00:2::100"}
OPTION = {4: 8, 6: 20}
HEADER = {4: 28, 6: 52}
NONE, TOA, PROXY = 0, 1, 2
CPORT = 40000
ISS = 0xffffffe0  # the first bytes of the stream wrap around
ISN = 7000        # the backend's
MTU = 1500


def add(seq, n):
    return (seq + n) & 0xffffffff


def ip_of(family, src, dst, ttl):
    return IP(src=src, dst=dst, ttl=ttl, id=7, flags="DF") if family == 4 else IPv6(src=src, dst=dst, hlim=ttl)


def data(n):
    return Raw(bytes(i & 255 for i in range(n))) if n else b""


def addr(family, text):
    import socket
    return socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, text)


def header(family, proto=TCP, cport=CPORT):
    """As in HAProxy's proxy-protocol.txt, 2.2."""
    kind = (0x10 if family == 4 else 0x20) | (1 if proto is TCP else 2)
    body = addr(family, CLIENTS[family]) + addr(family, VIPS[family]) + cport.to_bytes(2, "big") + b"\0\x50"
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, kind]) + len(body).to_bytes(2, "big") + body


def toa(family, cport=CPORT):
    return [(254 if family == 4 else 253, cport.to_bytes(2, "big") + addr(family, CLIENTS[family]))]


class Edits(PacketTest):
    family, proto = 4, TCP

    def up(self, family, mode=FULLNAT, proto=TCP_PROTO, **more):
        self.family, self.mode = family, mode
        self.proto = TCP if proto == TCP_PROTO else UDP
        service(self.box, vip=VIPS[family], mode=mode, proto=proto, **more)
        backend(self.box, 1, ip=BACKENDS[family])
        self.apply()

    def each_family(self, check, **more):
        for family in (4, 6):
            with self.subTest(family=family):
                self.up(family, **more)
                check(family)
                self.box.delete("backend/web/web1")
                self.box.delete("service/web")
                self.apply()

    def client(self, l4, payload=b""):
        f = self.family
        return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip_of(f, CLIENTS[f], VIPS[f], 64) / l4 / payload

    def from_client(self, payload=b"", **tcp):
        return self.client(TCP(sport=CPORT, dport=80, **tcp), payload)

    def expect_backend(self, frame, payload=b"", **tcp):
        """The client's frame arrives as TCP(**tcp) / payload."""
        (port, got), = self.send(frame)
        f, full = self.family, self.mode == FULLNAT
        self.assertEqual(port, "south")
        self.sport = got[TCP].sport
        if not full:
            self.assertEqual(self.sport, CPORT)
        self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                         / ip_of(f, SNATS[f] if full else CLIENTS[f], BACKENDS[f], 63)
                         / TCP(sport=self.sport, dport=8080, **tcp) / payload)

    def from_backend(self, payload=b"", **tcp):
        f, full = self.family, self.mode == FULLNAT
        return (Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ip_of(f, BACKENDS[f], SNATS[f] if full else CLIENTS[f], 64)
                / TCP(sport=8080, dport=self.sport, **tcp) / payload)

    def expect_client(self, frame, payload=b"", **tcp):
        (port, got), = self.send(frame, port="south")
        f = self.family
        self.assertEqual(port, "north")
        self.assertFrame(got, Ether(src=NORTH_MAC, dst=CLIENT_MAC) / ip_of(f, VIPS[f], CLIENTS[f], 63)
                         / TCP(sport=80, dport=CPORT, **tcp) / payload)

    def same_to_backend(self, payload=b"", **tcp):
        self.expect_backend(self.from_client(payload, **tcp), payload, **tcp)

    def same_to_client(self, payload=b"", **tcp):
        self.expect_client(self.from_backend(payload, **tcp), payload, **tcp)


def mss(n, before=(), after=()):
    return dict(options=[*before, ("MSS", n), *after])


class Mss(Edits):
    def both_are_lowered(self, mode):
        def check(family):
            self.expect_backend(self.from_client(flags="S", seq=1, **mss(1460)), flags="S", seq=1, **mss(1300))
            self.expect_client(self.from_backend(flags="SA", seq=5, ack=2, **mss(9000)),
                               flags="SA", seq=5, ack=2, **mss(1300))
            self.same_to_backend(flags="S", seq=1, **mss(1300))
            self.same_to_client(flags="SA", seq=5, ack=2, **mss(536))
            self.same_to_backend(data(99), flags="PA", seq=2, ack=6, **mss(1460))  # means nothing here
            self.same_to_client(data(99), flags="PA", seq=6, ack=101, **mss(1460))

        self.each_family(check, mode=mode, mss=1300)
        self.assertEqual(self.dropped("mss_clamped"), 4)

    def test_full_nat(self):
        self.both_are_lowered(FULLNAT)

    def test_dnat(self):
        self.both_are_lowered(DNAT)

    def test_where_the_option_is(self):
        self.up(4, mss=1000)
        nop, ts = ("NOP", None), ("Timestamp", (1, 2))
        for before, after in (((nop,), (("WScale", 7), nop)), ((ts, ("SAckOK", b"")), ()), ((nop, nop), (nop, nop)),
                              ((ts, nop), (nop,) * 5), ((("WScale", 7),), (nop, ts))):
            self.expect_backend(self.from_client(flags="S", **mss(1460, before, after)),
                                flags="S", **mss(1000, before, after))

    def test_no_option_no_change(self):
        self.up(4, mss=500)
        self.same_to_backend(flags="S", seq=1)
        self.same_to_backend(flags="S", seq=1, options=[("SAckOK", b""), ("EOL", None), ("MSS", 1460)])
        self.assertEqual(self.dropped("mss_clamped"), 0)


class Toa(Edits):
    def test_until_acknowledged(self):
        def check(family):
            told = toa(family)
            self.expect_backend(self.from_client(flags="S", seq=ISS, **mss(1460)),
                                flags="S", seq=ISS, options=told + [("MSS", 1460)])
            self.expect_client(self.from_backend(flags="SA", seq=ISN, ack=add(ISS, 1), **mss(1460)),
                               flags="SA", seq=ISN, ack=add(ISS, 1), **mss(1460 - OPTION[family]))
            ack = dict(flags="A", seq=add(ISS, 1), ack=ISN + 1)
            self.expect_backend(self.from_client(**ack), **ack, options=told)
            first = dict(ack, flags="PA")
            for _ in range(2):
                self.expect_backend(self.from_client(data(101), **first), data(101), **first, options=told)
            self.same_to_backend(data(50), **dict(first, seq=add(ISS, 102)))
            self.same_to_client(flags="A", seq=ISN + 1, ack=add(ISS, 1))
            self.expect_backend(self.from_client(**ack), **ack, options=told)
            self.same_to_client(data(7), flags="PA", seq=ISN + 1, ack=add(ISS, 102))
            self.same_to_backend(**ack)
            self.same_to_backend(flags="R", seq=add(ISS, 1))

        self.each_family(check, client_address=TOA)
        self.assertEqual(self.dropped("toa_options"), 10)

    def test_no_room(self):
        """In the header for IPv6; in the port's MTU."""
        def check(family):
            full = [("NOP", None)] * (40 - OPTION[family])
            self.expect_backend(self.from_client(flags="S", seq=ISS, options=full),
                                flags="S", seq=ISS, options=toa(family) + full)
            more = full + [("NOP", None)] * 4
            self.same_to_backend(flags="A", seq=add(ISS, 1), options=more)
            room = MTU - (40 if family == 4 else 60) - OPTION[family]
            self.expect_backend(self.from_client(data(room), flags="A", seq=add(ISS, 1)), data(room),
                                flags="A", seq=add(ISS, 1), options=toa(family))
            self.same_to_backend(data(room + 1), flags="A", seq=add(ISS, 1))

        self.each_family(check, client_address=TOA)
        self.assertEqual(self.dropped("toa_skipped"), 4)

    def test_with_a_limit(self):
        self.up(4, client_address=TOA, mss=1000)
        self.expect_backend(self.from_client(flags="S", seq=ISS, **mss(1460)),
                            flags="S", seq=ISS, options=toa(4) + [("MSS", 1000)])
        self.expect_client(self.from_backend(flags="SA", seq=ISN, ack=add(ISS, 1), **mss(1460)),
                           flags="SA", seq=ISN, ack=add(ISS, 1), **mss(992))

    def test_no_reset_has_it(self):
        self.up(4, client_address=TOA)
        self.expect_backend(self.from_client(flags="S", seq=ISS), flags="S", seq=ISS, options=toa(4))
        self.same_to_backend(flags="R", seq=add(ISS, 1))


class Proxy(Edits):
    def shake(self, iss=ISS):
        self.same_to_backend(flags="S", seq=iss)
        self.same_to_client(flags="SA", seq=ISN, ack=add(iss, 1))
        self.iss, self.n = iss, HEADER[self.family]

    def seq(self, at):
        """Of byte `at` of the client's stream, to the client."""
        return add(self.iss, 1 + at)

    def headed(self, payload=b"", flags="A", **tcp):
        got = dict(flags=flags, seq=self.seq(0), ack=ISN + 1, **tcp)
        self.expect_backend(self.from_client(payload, **got), Raw(header(self.family) + bytes(payload)), **got)

    def shifted(self, at, payload=b"", flags="A", **tcp):
        rest = dict(flags=flags, ack=ISN + 1, **tcp)
        self.expect_backend(self.from_client(payload, seq=self.seq(at), **rest), payload,
                            seq=self.seq(at + self.n), **rest)

    def acked(self, at_backend, at_client, **tcp):
        """The backend acknowledges that many bytes of what it has got."""
        rest = dict(flags="A", seq=ISN + 1, **tcp)
        self.expect_client(self.from_backend(ack=self.seq(at_backend), **rest), ack=self.seq(at_client), **rest)

    def test_stream(self):
        for iss in (1000, 0xffffffff, 0xfffffffe, ISS):
            def check(family):
                self.shake(iss)
                self.headed()
                self.headed(data(100), flags="PA")
                self.headed(data(100), flags="PA")   # again
                self.headed(data(120), flags="PA")   # and with more
                self.shifted(100, data(100))         # the second one, before the first is acknowledged
                self.acked(0, 0)
                self.headed(data(100), flags="PA")
                self.acked(self.n - 1, 0)            # nobody cuts there, but may
                self.headed(data(100), flags="PA")
                self.acked(self.n, 0)
                self.shifted(0, data(100))           # the header is there, the data was lost
                self.acked(self.n + 200, 200)
                self.acked(0, -self.n)               # an old one, which the client will not look at
                self.shifted(200, data(1), flags="PA")
                self.shifted(-1)                     # keep-alive
                self.shifted(201, flags="FA")
                self.acked(self.n + 202, 202)

            self.each_family(check, client_address=PROXY)
            self.box.time(10000)

    def test_far_ahead(self):
        """Half of the numbers later there is no telling by comparing with the first."""
        def check(family):
            self.shake()
            self.headed()
            self.acked(self.n, 0)
            for at in (1 << 31, (1 << 32) - 40, 1 << 32):
                self.shifted(at, data(99))
                self.acked(self.n + at + 99, at + 99)

        self.each_family(check, client_address=PROXY)

    def test_keep_alive_before_the_header_is_there(self):
        self.up(4, client_address=PROXY)
        self.shake()
        self.headed()
        self.same_to_backend(b"\0", flags="A", seq=ISS, ack=ISN + 1)

    def test_backend_speaks_first(self):
        def check(family):
            self.shake()
            self.headed()
            self.expect_client(self.from_backend(data(30), flags="PA", seq=ISN + 1, ack=self.seq(self.n)),
                               data(30), flags="PA", seq=ISN + 1, ack=self.seq(0))
            self.expect_backend(self.from_client(flags="A", seq=self.seq(0), ack=ISN + 31), flags="A",
                                seq=self.seq(self.n), ack=ISN + 31)

        self.each_family(check, client_address=PROXY)

    def test_fin_at_once(self):
        self.up(4, client_address=PROXY)
        self.shake()
        self.headed(flags="FA")
        self.acked(self.n + 1, 1)

    def test_urgent(self):
        self.up(4, client_address=PROXY)
        self.shake()
        tcp = dict(flags="PAU", seq=self.seq(0), ack=ISN + 1)
        self.expect_backend(self.from_client(data(9), **tcp, urgptr=9), Raw(header(4) + bytes(data(9))),
                            **tcp, urgptr=9 + self.n)
        self.expect_backend(self.from_client(data(9), **tcp, urgptr=65530), Raw(header(4) + bytes(data(9))),
                            **tcp, urgptr=65535)
        self.shifted(9, data(5), flags="PAU", urgptr=3)

    def test_sack(self):
        def check(family):
            self.shake()
            self.headed(data(100))
            self.shifted(300, data(100))

            def both(at, ack_at, blocks, want):
                def option(edges):
                    return ("SAck", tuple(self.seq(e) for e in edges))
                nops = [("NOP", None), ("NOP", None)]
                rest = dict(flags="A", seq=ISN + 1)
                gone = 8 * (len(blocks) - len(want)) // 2 + (2 if not want else 0)
                to = nops + ([option(want)] if want else []) + [("NOP", None)] * gone
                self.expect_client(self.from_backend(ack=self.seq(at), options=nops + [option(blocks)], **rest),
                                   ack=self.seq(ack_at), options=to, **rest)

            n = self.n
            both(0, 0, (n + 300, n + 400), (300, 400))             # nothing of the beginning has come
            both(n + 100, 100, (n + 300, n + 400), (300, 400))
            both(n + 100, 100, (0, n), ())                         # the header has come twice, nothing else
            both(n + 100, 100, (0, n + 100, n + 300, n + 400), (0, 100, 300, 400))
            both(n + 100, 100, (0, n, n + 300, n + 400, n + 500, n + 600), (300, 400, 500, 600))
            both(n + 100, 100, (n, n + 50), (0, 50))

        self.each_family(check, client_address=PROXY)

    def test_clients_sack_is_of_the_backends_numbers(self):
        self.up(4, client_address=PROXY)
        self.shake()
        self.headed(options=[("NOP", None)] * 2 + [("SAck", (ISN + 50, ISN + 90))])
        self.acked(self.n, 0)
        self.shifted(0, options=[("NOP", None)] * 2 + [("SAck", (ISN + 50, ISN + 90))])

    def test_segment_size(self):
        def check(family):
            self.same_to_backend(flags="S", seq=ISS, **mss(1460))
            tcp = dict(flags="SA", seq=ISN, ack=add(ISS, 1))
            self.expect_client(self.from_backend(**tcp, **mss(1460)), **tcp, **mss(1460 - HEADER[family]))
            self.expect_client(self.from_backend(**tcp, **mss(100)), **tcp, **mss(88))
            self.same_to_client(**tcp, **mss(80))
            self.same_to_client(**tcp)

        self.each_family(check, client_address=PROXY)
        self.up(4, client_address=PROXY, mss=1000)
        self.expect_backend(self.from_client(flags="S", seq=ISS, **mss(1460)), flags="S", seq=ISS, **mss(1000))
        self.expect_client(self.from_backend(flags="SA", seq=ISN, ack=add(ISS, 1), **mss(1460)),
                           flags="SA", seq=ISN, ack=add(ISS, 1), **mss(972))

    def test_largest_that_fits_and_one_byte_more(self):
        def check(family):
            self.shake()
            room = MTU - (40 if family == 4 else 60) - self.n
            self.headed(data(room))
            big = self.from_client(data(room + 1), flags="A", seq=self.seq(0), ack=ISN + 1)
            (port, got), = self.send(big)
            self.assertEqual((port, got[1].src), ("north", VIPS[family]))
            if family == 4:
                self.assertEqual((got[ICMP].type, got[ICMP].code, got[ICMP].nexthopmtu), (3, 4, MTU - self.n))
            else:
                from scapy.layers.inet6 import ICMPv6PacketTooBig
                self.assertEqual(got[ICMPv6PacketTooBig].mtu, MTU - self.n)
            self.shifted(room, data(room + self.n))  # full ones later

        self.each_family(check, client_address=PROXY)
        self.assertEqual(self.dropped("too_big_replies"), 2)

    def test_data_in_the_syn_is_cut_off(self):
        def check(family):
            for n in (1, 2, 99, 400):
                self.expect_backend(self.from_client(data(n), flags="S", seq=ISS, **mss(1000)),
                                    flags="S", seq=ISS, **mss(1000))
            self.same_to_client(flags="SA", seq=ISN, ack=add(ISS, 1))
            self.iss, self.n = ISS, HEADER[family]
            self.headed(data(400))

        self.each_family(check, client_address=PROXY)

    def test_resets(self):
        self.up(4, client_address=PROXY)
        for sent, said in ((False, False), (True, False), (True, True)):
            self.shake()
            if sent:
                self.headed()
            if said:
                self.acked(0, 0)  # has not come yet: no header in the way
            seq = self.seq(self.n if sent and not said else 0)
            self.expect_backend(self.from_client(flags="R", seq=self.seq(0)), flags="R", seq=seq)
        self.shake()
        self.headed()
        self.acked(self.n, 0)
        self.shifted(0, flags="RA")
        self.shake()
        self.expect_client(self.from_backend(flags="R", seq=9, ack=7), flags="R", seq=9, ack=7)

    def test_the_backends_answer_says_which_syn(self):
        """The client tried twice, with other numbers each time; the backend took the first."""
        self.up(4, client_address=PROXY)
        self.same_to_backend(flags="S", seq=1000)
        self.same_to_backend(flags="S", seq=900000)
        self.same_to_client(flags="SA", seq=ISN, ack=1001)
        self.iss, self.n = 1000, 28
        self.same_to_backend(flags="S", seq=900000)  # is no news
        self.headed()
        self.acked(self.n, 0)

    def test_entry_used_again(self):
        def check(family):
            for iss in (5000, 90000):
                self.shake(iss)
                self.headed(data(10))
                self.acked(self.n + 10, 10)
                self.shifted(10, flags="FA")
                self.acked(self.n + 11, 11)
                self.expect_client(self.from_backend(flags="FA", seq=ISN + 1, ack=self.seq(self.n + 11)),
                                   flags="FA", seq=ISN + 1, ack=self.seq(11))

        self.each_family(check, client_address=PROXY)
        self.assertEqual(self.dropped("conn_reused"), 2)

    def test_a_flow_goes_on_as_it_began(self):
        self.up(4)
        self.shake()
        self.up(4, client_address=PROXY)
        self.same_to_backend(data(5), flags="A", seq=self.seq(0), ack=ISN + 1)
        self.same_to_backend(flags="R", seq=self.seq(5))
        self.shake()
        self.headed()
        self.up(4, client_address=TOA)
        self.headed()
        self.acked(self.n, 0)
        self.up(4)
        self.shifted(0, data(5))

    def error(self, family, l4, want_l4, mtu, want_mtu, cuts):
        """A router behind the service says that a packet to the backend is too big; it quotes so much of it."""
        from scapy.layers.inet6 import ICMPv6PacketTooBig
        inner = {4: "10.2.0.9", 6: "fd00:2::9"}[family]
        quote = raw(ip_of(family, SNATS[family], BACKENDS[family], 60) / l4 / data(80))
        want = raw(ip_of(family, CLIENTS[family], VIPS[family], 60) / want_l4 / data(80))
        n_ip = 20 if family == 4 else 40
        for cut in cuts:
            cut = cut and n_ip + cut
            says = [ICMP(type=3, code=4, nexthopmtu=m) if family == 4 else ICMPv6PacketTooBig(mtu=m)
                    for m in (mtu, want_mtu)]
            (port, got), = self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ip_of(family, inner, SNATS[family], 64)
                                     / says[0] / Raw(quote[:cut]), port="south")
            self.assertEqual(port, "north")
            self.assertFrame(got, Ether(src=NORTH_MAC, dst=CLIENT_MAC) / ip_of(family, VIPS[family], CLIENTS[family], 63)
                             / says[1] / Raw(want[:cut]))

    def test_icmp_errors_quote_the_clients_numbers(self):
        def check(family):
            def quoted(at, want, less=0):
                rest = dict(flags="A", ack=ISN + 1)
                self.error(family, TCP(sport=self.sport, dport=8080, seq=self.seq(at), **rest),
                           TCP(sport=CPORT, dport=80, seq=self.seq(want), **rest), 1400, 1400 - less, (8, 20, None))

            self.shake()
            self.headed(data(100))
            quoted(0, 0, less=self.n)
            quoted(self.n + 100, 100)
            self.acked(self.n, 0)
            quoted(self.n, 0)

        self.each_family(check, client_address=PROXY)

    def test_icmp_errors_about_datagrams(self):
        def check(family):
            (_, got), = self.send(self.client(UDP(sport=CPORT, dport=80), data(9)))
            self.error(family, UDP(sport=got[UDP].sport, dport=8080), UDP(sport=CPORT, dport=80), 1400,
                       1400 - HEADER[family], (8, None))

        self.each_family(check, client_address=PROXY, proto=UDP_PROTO)

    def test_udp(self):
        def check(family):
            for n, chksum in ((0, None), (33, None), (100, 0)):
                if chksum == 0 and family == 6:
                    continue
                l4 = dict(dport=80, **({} if chksum is None else {"chksum": 0}))
                (_, got), = self.send(self.client(UDP(sport=CPORT, **l4), data(n)))
                self.assertFrame(got, Ether(src=SOUTH_MAC, dst=WEB_MAC[1])
                                 / ip_of(family, SNATS[family], BACKENDS[family], 63)
                                 / UDP(sport=got[UDP].sport, dport=8080, **({} if chksum is None else {"chksum": 0}))
                                 / Raw(header(family, UDP) + bytes(data(n))))
                back = (Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ip_of(family, BACKENDS[family], SNATS[family], 64)
                        / UDP(sport=8080, dport=got[UDP].sport) / data(n))
                (_, reply), = self.send(back, port="south")
                self.assertFrame(reply, Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                                 / ip_of(family, VIPS[family], CLIENTS[family], 63)
                                 / UDP(sport=80, dport=CPORT) / data(n))
            room = MTU - (28 if family == 4 else 48) - HEADER[family]
            (port, got), = self.send(self.client(UDP(sport=CPORT, dport=80), data(room)))
            self.assertEqual((port, len(got)), ("south", MTU + 14))
            (port, got), = self.send(self.client(UDP(sport=CPORT, dport=80), data(room + 1)))
            self.assertEqual(port, "north")

        self.each_family(check, client_address=PROXY, proto=UDP_PROTO)
        self.assertEqual(self.dropped("too_big_replies"), 2)


class Lossy(Edits):
    """A client and a backend that keep to the rules of TCP over a network that loses, repeats and reorders: what the
    backend has in the end is the header and what the client has sent, and neither hears of bytes that are not its."""
    N, SEGMENT = 1500, 100

    def backend_takes(self, seq, payload):
        """Returns what it answers: its acknowledgment, and a block beyond it or one that came twice."""
        at = (seq - self.iss - 1 + (1 << 31)) % (1 << 32) - (1 << 31)
        self.assertTrue(0 <= at <= self.N + len(header(self.family)), at)
        is_twice = len(payload) > 0 and all(at + i in self.got for i in range(len(payload)))
        for i, byte in enumerate(payload):
            self.assertEqual(self.got.setdefault(at + i, byte), byte)  # never another byte at the same place
        have = 0
        while have in self.got:
            have += 1
        blocks = [(at, at + len(payload))] if is_twice else []
        later = sorted(k for k in self.got if k > have)
        if later:
            end = later[0]
            while end in self.got:
                end += 1
            blocks.append((later[0], end))
        return have, blocks

    def carry(self, random, frame, port):
        """What comes out when the network may lose or repeat the frame on either side."""
        copies = random.choices((0, 1, 2), (25, 65, 10))[0]
        out = [got for _ in range(copies) for _, got in self.send(frame, port=port)]
        return [got for got in out if random.random() < 0.8]

    def run_stream(self, random, family):
        self.iss = random.choice((5000, 0xffffffff - 700, 0xffffffff))
        want = bytes(random.randrange(256) for _ in range(self.N))
        self.same_to_backend(flags="S", seq=self.iss)
        self.same_to_client(flags="SA", seq=ISN, ack=add(self.iss, 1))
        self.got, una, n_rounds, answers = {}, 0, 0, []
        while una < self.N:
            n_rounds += 1
            self.assertLess(n_rounds, 400)
            starts = list(range(una, min(una + 5 * self.SEGMENT, self.N), self.SEGMENT))
            at = random.choice(starts + [una])
            payload = want[at:at + self.SEGMENT] if random.random() < 0.9 else b""
            frame = self.from_client(Raw(payload) if payload else b"", flags="A", seq=add(self.iss, 1 + at), ack=ISN + 1)
            for got in self.carry(random, frame, "north"):
                answers.append(self.backend_takes(got[TCP].seq, bytes(got[TCP].payload)))
            if random.random() < 0.3:
                random.shuffle(answers)
            while answers and random.random() < 0.6:
                have, blocks = answers.pop(0)
                edges = [add(self.iss, 1 + e) for block in blocks for e in block]
                options = [("NOP", None)] * 2 + [("SAck", tuple(edges))] if edges else []
                back = self.from_backend(flags="A", seq=ISN + 1, ack=add(self.iss, 1 + have), options=options)
                for got in self.carry(random, back, "south"):
                    ack = (got[TCP].ack - self.iss - 1 + (1 << 31)) % (1 << 32) - (1 << 31)
                    self.assertTrue(-len(header(family)) <= ack <= self.N, ack)  # below una: old, not looked at
                    for kind, edges in got[TCP].options:
                        for e in edges if kind == "SAck" else ():
                            edge = (e - self.iss - 1 + (1 << 31)) % (1 << 32) - (1 << 31)
                            self.assertTrue(0 <= edge <= self.N and edge % self.SEGMENT == 0, edge)
                    una = max(una, ack - ack % self.SEGMENT)
        self.assertEqual(bytes(self.got[i] for i in range(len(self.got))), header(family) + want)

    def test_streams(self):
        import random
        for seed in range(4):
            self.each_family(lambda family: self.run_stream(random.Random(seed), family), client_address=PROXY)
            self.box.time(1000000)
            self.send(self.from_client(flags="A"))  # and so the entries end


class Fragments(Edits):
    def test_nothing_is_put_into_them(self):
        """The header would move all that follows: dropped, first and later ones, and others go on as they do."""
        self.up(4, proto=UDP_PROTO, client_address=PROXY)
        whole = self.client(UDP(sport=CPORT, dport=80), data(40))
        self.assertEqual(len(self.send(whole)), 1)
        big = raw(UDP(sport=CPORT, dport=80) / data(100))
        for more, offset, part in (("MF", 0, big[:64]), (0, 8, big[64:])):
            ip = IP(src=CLIENTS[4], dst=VIPS[4], id=77, flags=more, frag=offset, proto=17)
            self.assertEqual(self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / Raw(part)), [])
        self.assertEqual(self.dropped("fragment_told"), 2)
        self.assertEqual(len(self.send(whole)), 1)

    def test_answers_in_fragments(self):
        """Of a TCP answer only the first one has numbers."""
        self.up(4, client_address=PROXY)
        self.expect_backend(self.from_client(flags="S", seq=ISS), flags="S", seq=ISS)
        self.same = self.send(self.from_backend(flags="SA", seq=ISN, ack=add(ISS, 1)), port="south")
        self.send(self.from_client(flags="A", seq=add(ISS, 1), ack=ISN + 1))
        answer = TCP(sport=8080, dport=self.sport, flags="A", seq=ISN + 1, ack=add(ISS, 29)) / data(76)
        ip = IP(src=BACKENDS[4], dst=SNATS[4], id=78)
        whole = raw(IP(raw(ip / answer)).payload)
        got = []
        for more, offset, part in (("MF", 0, whole[:48]), (0, 6, whole[48:])):
            ip = IP(src=BACKENDS[4], dst=SNATS[4], id=78, flags=more, frag=offset, proto=6)
            (port, one), = self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ip / Raw(part), port="south")
            self.assertEqual(port, "north")
            got.append(raw(IP(raw(one[IP])).payload) if offset else raw(one[TCP]))
        want = IP(src=VIPS[4], dst=CLIENTS[4]) / TCP(
            sport=80, dport=CPORT, flags="A", seq=ISN + 1, ack=add(ISS, 1)) / data(76)
        self.assertEqual(b"".join(got), raw(IP(raw(want)).payload))


if __name__ == "__main__":
    unittest.main()
