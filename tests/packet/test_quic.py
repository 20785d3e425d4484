# SPDX-License-Identifier: BSD-3-Clause
"""QUIC: who has the server id of a backend in its connection id reaches that backend, from any address and port;
everything else goes by addresses and ports."""
from box import *

CLIENT = {4: "10.1.0.10", 6: "fd00:1::10"}
VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
SNAT = {4: "10.2.0.100", 6: "fd00:2::100"}
OUTER = {4: IP, 6: IPv6}
MODES = (FULLNAT, DSR_L2, IPIP, GUE, DNAT)
V1, V2 = b"\0\0\0\1", bytes.fromhex("6b3343cf")
INITIAL, ZERO_RTT, HANDSHAKE, RETRY = range(4)
N = 4
EVICT = 4  # a state


def web(family, n):
    return f"10.2.0.{10 + n}" if family == 4 else f"fd00:2::{10 + n}"


def server_id(n):
    return bytes([0xa0, 0, n])


def cid(n, first=0x07):
    """As a server of the QUIC-LB draft makes it: configuration 0, a server id, a nonce."""
    return bytes([first]) + server_id(n) + b"nonc"


def long(kind, dcid, version=V1):
    return bytes([0xc0 | kind << 4]) + version + bytes([len(dcid)]) + dcid + b"\0" + b"data"


def short(dcid):
    return b"\x41" + dcid + b"data"


class Quic(PacketTest):
    def up(self, mode=DSR_L2, family=4, **more):
        self.mode, self.family = mode, family
        self.serve(**more)
        for n in range(1, N + 1):
            self.put_web(n)
        self.apply()

    def serve(self, quic=True, **more):
        if quic:
            more = {"quic_id_len": 3, "quic_id_offset": 1, "quic_config": 1, **more}
        service(self.box, vip=VIP[self.family], port=443, proto=UDP_PROTO, mode=self.mode, **more)

    def put_web(self, n, state=UP):
        backend(self.box, n, ip=web(self.family, n), port=4433 if self.mode in (FULLNAT, DNAT) else 443,
                state=state, quic_server_id=(b"\3" + server_id(n)).hex())

    def down(self):
        for n in range(1, N + 1):
            self.box.delete(f"backend/web/web{n}")
        self.box.delete("service/web")
        self.apply()
        self.end_flows()

    def end_flows(self):
        self.box.time(200000)
        for _ in range(3):
            self.box.run()
        self.assertEqual(self.box.conns(), [])

    def each(self, check, modes=MODES):
        for mode in modes:
            for family in (4, 6):
                with self.subTest(mode=mode, family=family):
                    self.up(mode, family)
                    check()
                    self.down()

    def frame(self, payload, sport):
        ip = IP(src=CLIENT[4], dst=VIP[4]) if self.family == 4 else IPv6(src=CLIENT[6], dst=VIP[6])
        return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / UDP(sport=sport, dport=443) / Raw(payload)

    def ask(self, payload, sport):
        """The packet as it came out, and which backend it went to."""
        (port, got), = self.send(self.frame(payload, sport))
        self.assertEqual(port, "south")
        n = next(n for n, mac in WEB_MAC.items() if mac == got.dst)
        if self.mode != DSR_L2:
            self.assertEqual(got[1].dst, web(self.family, n))
        return got, n

    def to(self, payload, sport):
        return self.ask(payload, sport)[1]

    def answer(self, got, n):
        """What the backend answers to a packet of NAT comes to the client as from the service."""
        family, dport = self.family, got[UDP].sport
        back = (Ether(src=WEB_MAC[n], dst=SOUTH_MAC) / OUTER[family](src=web(family, n), dst=got[1].src)
                / UDP(sport=4433, dport=dport) / Raw(b"answer"))
        (port, out), = self.send(back, port="south")
        self.assertEqual(port, "north")
        return out

    def counts(self):
        c = self.box.counters()[0]
        return c.get("quic_by_id", 0), c.get("quic_unknown_id", 0)

    def expect_counts(self, before, by_id, unknown):
        now = self.counts()
        self.assertEqual((now[0] - before[0], now[1] - before[1]), (by_id, unknown))

    def test_a_connection_stays_when_the_client_moves(self):
        def check():
            before = self.counts()
            first = self.to(long(INITIAL, b"0123456789"), 40000)
            self.assertEqual(self.to(long(ZERO_RTT, b"0123456789"), 40000), first)
            self.assertEqual(self.to(long(INITIAL, cid(first)), 40000), first)
            self.expect_counts(before, 0, 0)
            self.assertEqual(self.to(long(HANDSHAKE, cid(first)), 40000), first)
            for k in range(5):
                self.assertEqual(self.to(short(cid(first)), 40000 + k), first)
            self.expect_counts(before, 6, 0)
            self.assertEqual(self.to(long(HANDSHAKE, cid(first), V1), 41000), first)

        self.each(check)

    def test_two_packets_of_a_new_address_in_one_burst(self):
        def check():
            out = self.send(self.frame(short(cid(3)), 41000), self.frame(short(cid(3)), 41000),
                            self.frame(short(cid(2)), 41000), self.frame(short(cid(3)), 41000))
            out = self.send(self.frame(short(cid(3)), 42000), self.frame(short(cid(3)), 42000),
                            self.frame(short(cid(2)), 42000), self.frame(short(cid(3)), 42000))
            self.assertEqual(sorted(p.dst for _, p in out), [WEB_MAC[2]] + 3 * [WEB_MAC[3]])
            for _, p in out:
                if self.mode in (FULLNAT, DNAT):
                    again = p.copy()
                    del again[UDP].chksum
                    self.assertFrame(p, again)
                    self.assertEqual(p[1].dst, web(self.family, int(p.dst[-1])))

        self.each(check)

    def test_nat_finds_the_way_back(self):
        def check():
            for n in (2, 3, 3, 1):  # 40000 is a flow of n before: it begins again there
                got, went = self.ask(short(cid(n)), 40000)
                self.assertEqual(went, n)
                want = self.frame(short(cid(n)), 40000)
                want.src, want.dst = SOUTH_MAC, WEB_MAC[n]
                want[1].dst = web(self.family, n)
                if self.mode == FULLNAT:
                    want[1].src, want[UDP].sport = SNAT[self.family], got[UDP].sport
                want[UDP].dport = 4433
                if self.family == 4:
                    want[IP].ttl -= 1
                else:
                    want[IPv6].hlim -= 1
                self.assertFrame(got, want)
                self.assertFrame(self.answer(got, n),
                                 Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                                 / OUTER[self.family](src=VIP[self.family], dst=CLIENT[self.family],
                                                      **{"ttl" if self.family == 4 else "hlim": 63})
                                 / UDP(sport=443, dport=40000) / Raw(b"answer"))
                self.assertEqual([c[2] for c in self.box.conns()], [web(self.family, n)])
            self.end_flows()

        self.each(check, (FULLNAT, DNAT))

    def test_what_names_nobody_goes_by_address(self):
        self.up(sched=3)  # in turn: an address that is known is told from one that is not
        first = self.to(long(INITIAL, b"01234567"), 40000)
        other = first % N + 1
        before = self.counts()
        nobody = [short(cid(99)), short(cid(other, first=0xe7)), short(cid(other, first=0x27)), short(b"\7\xa0"),
                  long(HANDSHAKE, cid(99)), long(HANDSHAKE, cid(other)[:3]), long(HANDSHAKE, b"")]
        for payload in nobody:
            self.assertEqual(self.to(payload, 40000), first)
        self.expect_counts(before, 0, len(nobody))
        turns = [self.to(short(cid(99)), 41000 + k) for k in range(N)]
        self.assertEqual(sorted(turns), [1, 2, 3, 4])

    def test_what_may_be_the_clients_choice_goes_by_address(self):
        self.up()
        first = self.to(long(INITIAL, b"01234567"), 40000)
        other = first % N + 1
        before = self.counts()
        clients = [b"", b"\xe0", long(INITIAL, cid(other)), long(ZERO_RTT, cid(other)),
                   long(RETRY, cid(other)), long(HANDSHAKE, cid(other), b"\0\0\0\0"),
                   long(HANDSHAKE, cid(other), b"\xff\0\0\x1d"), long(INITIAL + 1, cid(other), V2),
                   long(HANDSHAKE, cid(other))[:13], b"\xe0" + V1 + b"\xff" + cid(other)]
        for payload in clients:
            self.assertEqual(self.to(payload, 40000), first)
        self.expect_counts(before, 0, 0)
        self.assertEqual(self.to(long(HANDSHAKE + 1, cid(other), V2), 40000), other)
        self.expect_counts(before, 1, 0)

    def test_draining_and_weightless_backends_are_found_others_not(self):
        self.up(FULLNAT)
        self.put_web(2, DRAIN)
        self.put_web(3, DOWN)
        self.put_web(5, EVICT)
        self.box.delete("backend/web/web4")
        self.apply()
        before = self.counts()
        self.assertEqual(self.to(short(cid(2)), 40000), 2)
        self.expect_counts(before, 1, 0)
        for n in (3, 4, 5):
            for sport in (40000 + n, 40000 + n):
                self.assertEqual(self.to(short(cid(n)), sport), 1)
        self.expect_counts(before, 1, 6)
        self.put_web(3, UP)
        self.apply()
        self.assertEqual(self.to(short(cid(3)), 40003), 3)

    def test_a_backend_that_goes_takes_the_next_flow_of_its_address_along_to_another(self):
        self.up(FULLNAT)
        self.assertEqual(self.to(short(cid(3)), 40000), 3)
        self.box.delete("backend/web/web3")
        self.apply()
        went = self.to(short(cid(3)), 40000)
        self.assertNotEqual(went, 3)
        self.assertEqual(self.to(short(cid(3)), 40000), went)

    def test_ids_change_with_the_configuration(self):
        self.up()
        self.assertEqual(self.to(short(cid(2)), 40000), 2)
        self.serve(quic_id_len=3, quic_id_offset=2, quic_config=0)
        self.apply()
        self.assertEqual(self.to(short(b"\xe7" + cid(3)), 40000), 3)
        self.serve(quic=False)
        self.apply()
        self.assertEqual(self.to(short(b"\xe7" + cid(2)), 40000), 3)

    def test_limits_hold_for_flows_that_move_here(self):
        self.up(max_conns=2)
        self.assertEqual(self.to(short(cid(2)), 40000), 2)
        self.assertEqual(self.to(short(cid(2)), 40001), 2)
        self.assertEqual(self.send(self.frame(short(cid(2)), 40002)), [])
        self.assertEqual(self.dropped("service_limit"), 1)
        self.assertEqual(self.to(short(cid(3)), 40000), 3)

    def test_a_flow_above_the_insert_rate_goes_by_id_without_an_entry(self):
        self.up(sched=MAGLEV, insert_rate=1)
        for k in range(20):
            self.assertEqual(self.to(short(cid(1 + k % N)), 40000 + k), 1 + k % N)
        self.assertEqual(len(self.box.conns()), 1)

    def test_errors_about_what_servers_send(self):
        """They go where the flow's entry says; without one by the hash, as a server's packet has its client's id."""
        def error(sport):
            sent = IP(src=VIP[4], dst=CLIENT[4]) / UDP(sport=443, dport=sport) / Raw(short(b"clients!"))
            (_, got), = self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.9", dst=VIP[4])
                                  / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(raw(sent)))
            return next(n for n, mac in WEB_MAC.items() if mac == got.dst)

        self.up(sched=MAGLEV, insert_rate=1)
        home = {k: self.to(long(INITIAL, b"clients!"), 40000 + k) for k in range(8)}
        self.assertEqual(len(self.box.conns()), 1)
        self.assertEqual({k: error(40000 + k) for k in home}, home)
        away = {k: n % N + 1 for k, n in home.items()}
        self.assertEqual({k: self.to(short(cid(n)), 40000 + k) for k, n in away.items()}, away)
        self.assertEqual(len(self.box.conns()), 1)
        self.assertEqual({k: error(40000 + k) for k in home}, {**home, 0: away[0]})

    def test_without_quic_a_client_that_moves_is_another_one(self):
        self.mode, self.family = DSR_L2, 4
        self.serve(quic=False)
        for n in range(1, N + 1):
            self.put_web(n)
        self.apply()
        self.assertEqual(len({self.to(short(cid(1)), 40000 + k) for k in range(N)}), N)
        self.assertEqual(self.counts(), (0, 0))


del PacketTest
if __name__ == "__main__":
    unittest.main()
