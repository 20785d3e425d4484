# SPDX-License-Identifier: BSD-3-Clause
"""Fragments: all pieces of a datagram go where its first one goes, in every mode, and no other way."""
import itertools

from box import *
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment

CLIENT = {4: "10.1.0.10", 6: "fd00:1::10"}
VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
WEB = {4: "10.2.0.11", 6: "fd00:2::11"}
SNAT = {4: "10.2.0.100", 6: "fd00:2::100"}
MODES = {"full-nat": FULLNAT, "dsr-l2": DSR_L2, "ipip": IPIP, "gue": GUE, "dnat": DNAT}
TIMEOUT_MS = 5000


def piece(family, src, dst, part, offset, more, proto=UDP_PROTO, id_=7, ttl=64):
    """One fragment as it stands behind the Ethernet header."""
    if family == 4:
        return IP(src=src, dst=dst, id=id_, ttl=ttl, flags="MF" if more else 0, frag=offset // 8, proto=proto) / part
    return (IPv6(src=src, dst=dst, hlim=ttl) / IPv6ExtHdrFragment(nh=proto, offset=offset // 8, m=int(more), id=id_)
            / part)


def payload_of(family, src, dst, l4):
    """Layer 4 and what follows, with its checksum."""
    packet = raw((IP(src=src, dst=dst) if family == 4 else IPv6(src=src, dst=dst)) / l4)
    return packet[20 if family == 4 else 40:]


def cut(family, src, dst, l4, *ats, **more):
    """The datagram in pieces that begin at 0 and at each of ats."""
    whole = payload_of(family, src, dst, l4)
    ends = ats + (len(whole),)
    return [piece(family, src, dst, Raw(whole[a:b]), a, b != len(whole), **more) for a, b in zip((0,) + ats, ends)]


def from_client(ip):
    return Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip


def from_backend(ip):
    return Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ip


ID4, SOURCE4 = 18, 28  # in an IPv4 frame; of the source the last two bytes


def other(frame, at, value):
    """The same IPv4 frame with another value at a place; scapy would take a millisecond for each."""
    f = bytearray(raw(frame))
    f[at:at + 2] = value.to_bytes(2, "big")
    f[24:26] = bytes(2)
    total = sum(int.from_bytes(f[k:k + 2], "big") for k in range(14, 34, 2))
    total = (total & 0xffff) + (total >> 16)
    f[24:26] = (0xffff - ((total & 0xffff) + (total >> 16))).to_bytes(2, "big")
    return bytes(f)


def data(n):
    return Raw(bytes(k * 7 & 0xff for k in range(n)))


class Frag(PacketTest):
    def up(self, family, mode=DSR_L2, proto=UDP_PROTO, **more):
        port = 80 if mode in (DSR_L2, IPIP, GUE) else 8080
        service(self.box, name=f"s{family}", vip=VIP[family], mode=mode, proto=proto, **more)
        backend(self.box, 1, service_=f"s{family}", ip=WEB[family], port=port)
        self.apply()
        # makes the backend's and the client's neighbours known
        l4 = UDP(sport=1, dport=80) if proto == UDP_PROTO else TCP(sport=1, dport=80, flags="S")
        ip = IP(src=CLIENT[family], dst=VIP[family]) if family == 4 else IPv6(src=CLIENT[family], dst=VIP[family])
        self.assertEqual(len(self.send(from_client(ip / l4))), 1)

    def udp(self, family, n=72, sport=5000, **kw):
        """A datagram to the service, cut in three or, of 32 bytes of payload and less, two."""
        ats = (24, 48) if n > 32 else (24,)
        return cut(family, CLIENT[family], VIP[family], UDP(sport=sport, dport=80) / data(n), *ats, **kw)

    def as_passed(self, family, mode, ip):
        """What becomes of a piece, but for its layer 4 and what is around it."""
        want = ip.copy()
        if mode in (IPIP, GUE, FULLNAT, DNAT):
            if family == 4:
                want.ttl -= 1
            else:
                want.hlim -= 1
        if mode in (FULLNAT, DNAT):
            want.dst = WEB[family]
            if mode == FULLNAT:
                want.src = SNAT[family]
        return want

    def check(self, family, mode, pieces, got):
        """got are the pieces, in that order, as the mode has to send them. Returns what the backend reads of them."""
        self.assertEqual([p for p, _ in got], ["south"] * len(pieces))
        parts = {}
        for ip, (_, frame) in zip(pieces, got):
            self.assertEqual((frame.src, frame.dst), (SOUTH_MAC, WEB_MAC[1]))
            inner, offset, part = self.read(family, mode, raw(frame)[14:])
            _, want_offset, want_part = self.read(family, DSR_L2, raw(ip))
            self.assertEqual(offset, want_offset)
            if offset > 0:
                self.assertEqual(part, want_part)
            parts[offset] = part
            want = self.as_passed(family, mode, ip)
            if family == 4:
                del want.chksum
                head = raw(want)[:20]
                self.assertEqual(inner[:20], head)
            else:
                self.assertEqual(inner[:48], raw(want)[:48])
        return b"".join(parts[k] for k in sorted(parts))

    def read(self, family, mode, data_):
        """(the fragment, its offset, its part of the datagram)"""
        if mode in (IPIP, GUE):
            outer = IP(data_) if family == 4 else IPv6(data_)
            self.assertEqual(outer.dst, WEB[family])
            data_ = data_[20 if family == 4 else 40:]
            if mode == GUE:
                data_ = data_[12:]
        if family == 4:
            total, word = int.from_bytes(data_[2:4], "big"), int.from_bytes(data_[6:8], "big")
            return data_[:total], (word & 0x1fff) * 8, data_[20:total]
        total = 40 + int.from_bytes(data_[4:6], "big")
        return data_[:total], int.from_bytes(data_[42:44], "big") & 0xfff8, data_[48:total]

    def sound(self, family, src, dst, whole, layer=UDP):
        """The datagram put together, its checksum found right."""
        self.assertEqual(payload_of(family, src, dst, self.unsummed(layer(whole))), whole)
        return layer(whole)

    @staticmethod
    def unsummed(l4):
        del l4.chksum
        return l4

    def pass_time(self):
        """Until what is there has timed out, some in each millisecond."""
        self.box.time(TIMEOUT_MS)
        for _ in range(20):
            self.box.time(1)
            self.box.run()

    def held(self):
        found = self.box.counters()[0]
        return found.get("fragments_held", 0) - found.get("fragments_released", 0)


class Modes(Frag):
    """Each mode, both families: the pieces in each order, each after its first."""

    def there(self, family, mode, pieces, order, sport):
        got = []
        for k in order:
            got += self.send(from_client(pieces[k]))
        first = order.index(0)
        passed = [pieces[0]] + [pieces[k] for k in order[:first]] + [pieces[k] for k in order[first + 1:]]
        whole = self.check(family, mode, passed, got)
        src = SNAT[family] if mode == FULLNAT else CLIENT[family]
        dst = WEB[family] if mode in (FULLNAT, DNAT) else VIP[family]
        l4 = self.sound(family, src, dst, whole)
        self.assertEqual(l4.dport, 8080 if mode in (FULLNAT, DNAT) else 80)
        if mode != FULLNAT:
            self.assertEqual(l4.sport, sport)
        self.assertEqual(raw(l4.payload), raw(data(72)))
        return l4

    def back(self, family, mode, l4, order, sport):
        dst = SNAT[family] if mode == FULLNAT else CLIENT[family]
        pieces = cut(family, WEB[family], dst, UDP(sport=8080, dport=l4.sport) / data(90), 32, 64, id_=900 + sport)
        got = []
        for k in order:
            got += self.send(from_backend(pieces[k]), port="south")
        self.assertEqual([p for p, _ in got], ["north"] * 3)
        parts = {}
        for _, frame in got:
            self.assertEqual((frame.src, frame.dst), (NORTH_MAC, CLIENT_MAC))
            inner, offset, part = self.read(family, DSR_L2, raw(frame)[14:])
            ip = IP(inner) if family == 4 else IPv6(inner)
            self.assertEqual((ip.src, ip.dst), (VIP[family], CLIENT[family]))
            self.assertEqual(ip.ttl if family == 4 else ip.hlim, 63)
            if family == 4:
                self.assertEqual(raw(self.unsummed(IP(inner[:20])))[10:12], inner[10:12])
            parts[offset] = part
        whole = self.sound(family, VIP[family], CLIENT[family], b"".join(parts[k] for k in sorted(parts)))
        self.assertEqual((whole.sport, whole.dport, raw(whole.payload)), (80, sport, raw(data(90))))

    def run_mode(self, mode):
        for family in (4, 6):
            self.up(family, mode)
            for n, order in enumerate(itertools.permutations(range(3))):
                sport = 5000 + n
                l4 = self.there(family, mode, self.udp(family, sport=sport, id_=100 + n), order, sport)
                if mode in (FULLNAT, DNAT):
                    self.back(family, mode, l4, order, sport)
        self.assertEqual(self.held(), 0)
        self.assertEqual(self.dropped("fragments"), 48 if mode in (FULLNAT, DNAT) else 24)
        if self.workers > 1:
            self.assertGreater(self.dropped("handed_over"), 10)


for _name, _mode in MODES.items():
    setattr(Modes, f"test_{_name.replace('-', '_')}", lambda self, mode=_mode: self.run_mode(mode))


class ModesTwoWorkers(Modes):
    """Datagrams and flows have different owners, and each piece comes by another queue than the one before."""
    workers, queues = 2, 2

    def send(self, *frames, port="north", queue=0):
        self.n = getattr(self, "n", 0) + 1
        return super().send(*frames, port=port, queue=self.n % 2)


class Rules(Frag):
    def test_all_in_one_burst(self):
        """First and later ones of a new flow, known to the burst only."""
        for family in (4, 6):
            self.up(family)
            for order in ((0, 1, 2), (2, 1, 0)):
                pieces = self.udp(family, sport=6000 + order[0], id_=order[0])
                got = self.send(*(from_client(pieces[k]) for k in order))
                self.assertEqual(len(got), 3)
            self.assertEqual(len(self.box.conns()), {4: 3, 6: 6}[family])

    def test_later_pieces_do_not_move_the_state(self):
        for family in (4, 6):
            self.up(family, proto=TCP_PROTO)
            whole = TCP(sport=4000, dport=80, flags="S") / data(80)
            pieces = cut(family, CLIENT[family], VIP[family], whole, 32, proto=TCP_PROTO)
            self.assertEqual(len(self.send(*map(from_client, pieces))), 2)
            self.assertEqual({c[1] for c in self.box.conns()}, {"syn"})
            whole[TCP].flags = "A"
            pieces = cut(family, CLIENT[family], VIP[family], whole, 32, 64, proto=TCP_PROTO, id_=8)
            self.assertEqual(len(self.send(*map(from_client, reversed(pieces)))), 3)
            self.assertEqual(sorted(c[1] for c in self.box.conns()), ["established", "syn"])
            self.box.delete(f"backend/s{family}/web1")
            self.box.delete(f"service/s{family}")
            self.apply()
            self.box.time(400000)
            self.box.run()

    def test_first_without_a_service(self):
        self.up(4)
        pieces = cut(4, CLIENT[4], VIP[4], UDP(sport=1, dport=81) / data(60), 24)
        for order in ((0, 1), (1, 0)):
            self.assertEqual(self.send(*(from_client(pieces[k]) for k in order)), [])
            for p in pieces:
                p.id += 1
        self.assertEqual(self.dropped("no_service"), 4)
        self.assertEqual(self.held(), 0)

    def test_refused_first_refuses_the_others(self):
        self.up(4, max_conns=1)
        self.assertEqual(self.send(*map(from_client, self.udp(4))), [])
        self.assertEqual((self.dropped("service_limit"), self.dropped("no_conn")), (1, 2))

    def test_stateless_pieces_make_no_entries(self):
        """Of a service that can do without: what has no entry follows the hash."""
        self.up(4, sched=MAGLEV)
        backend(self.box, 2, service_="s4", ip="10.2.0.12", port=80)
        self.apply()
        n = len(self.box.conns())
        first, later, _ = self.udp(4)
        self.assertEqual(len(self.send(from_client(first))), 1)
        self.assertEqual(len(self.box.conns()), n + 1)
        self.box.time(4000)
        self.assertEqual(len(self.send(from_client(later))), 1)
        self.assertEqual(len(self.box.conns()), n + 1)

    def test_atomic_fragment_is_a_packet(self):
        """RFC 6946: no other piece may belong to it."""
        self.up(6, FULLNAT)
        for _ in range(2):
            one = piece(6, CLIENT[6], VIP[6], Raw(payload_of(6, CLIENT[6], VIP[6], UDP(sport=9, dport=80) / data(9))),
                        0, False)
            (_, got), = self.send(from_client(one))
            whole = raw(got)[14 + 48:]
            self.assertEqual(self.sound(6, SNAT[6], WEB[6], whole).dport, 8080)

    def test_next_header_of_the_first_counts(self):
        """RFC 8200 4.5: a destination option that is part of what was cut."""
        self.up(6, FULLNAT)
        l4 = payload_of(6, CLIENT[6], VIP[6], UDP(sport=5001, dport=80) / data(80))
        whole = raw(IPv6ExtHdrDestOpt(nh=17)) + l4
        pieces = [piece(6, CLIENT[6], VIP[6], Raw(whole[a:b]), a, b < len(whole), proto=60)
                  for a, b in ((0, 32), (32, 64), (64, len(whole)))]
        got = self.send(*(from_client(pieces[k]) for k in (1, 0, 2)))
        parts = dict(self.read(6, DSR_L2, raw(f)[14:])[1:] for _, f in got)
        out = b"".join(parts[k] for k in sorted(parts))
        self.assertEqual(out[:8], whole[:8])
        self.assertEqual(raw(self.sound(6, SNAT[6], WEB[6], out[8:]).payload), raw(data(80)))

    def test_options_before_the_fragment_header(self):
        for family in (4, 6):
            self.up(family)
            pieces = self.udp(family)
            for p in pieces:
                if family == 4:
                    p.options = [b"\x94\x04\x00\x00"]
                    continue
                under = p.payload
                p.remove_payload()
                p.nh = 60
                del p.plen
                p.add_payload(IPv6ExtHdrDestOpt(nh=44) / under)
            self.assertEqual(len(self.send(*(from_client(p) for p in pieces))), 3)

    def test_what_is_of_no_flow(self):
        self.up(4)
        for dst in ("10.1.0.1", "10.9.9.9"):
            for p in self.udp(4):
                p.dst = dst
                (what, _, _), = self.box.run(from_client(p))
                self.assertEqual(what, "kernel")
        for k, frag in enumerate((0, 100)):
            p = IP(src=CLIENT[4], dst=VIP[4], flags="MF", frag=frag, proto=1) / Raw(b"\x08\0\0\0" + bytes(20))
            self.assertEqual(self.send(from_client(p)), [])
            self.assertEqual(self.dropped("icmp_unsupported"), k + 1)
        p = IP(src=CLIENT[4], dst=VIP[4], frag=100, proto=47) / Raw(bytes(24))
        self.assertEqual(self.send(from_client(p)), [])
        self.assertEqual(self.dropped("no_service"), 1)

    def test_what_a_dnat_backend_sends_elsewhere(self):
        """In whatever order, it is the kernel's: also from ports that are no service's."""
        self.up(4, DNAT)
        for sport in (8080, 9999):
            pieces = cut(4, WEB[4], "10.1.0.10", UDP(sport=sport, dport=1234) / data(90), 32, 64, id_=sport)
            got = []
            for k in (1, 0, 2):
                got += self.box.run(from_backend(pieces[k]), port="south")
            self.assertEqual([(w, Ether(d)[IP].frag * 8) for w, _, d in got],
                             [("kernel", 0), ("kernel", 32), ("kernel", 64)])

    def test_datagrams_that_differ_in_one_thing(self):
        """Identification, source, destination and, over IPv4, protocol: each makes another datagram."""
        self.up(4)
        first, later, _ = self.udp(4)
        self.assertEqual(len(self.send(from_client(first))), 1)
        for field, value in (("id", 8), ("src", "10.1.0.11"), ("dst", VIP[4][:-1] + "1"), ("proto", 6)):
            other = later.copy()
            setattr(other, field, value)
            del other.chksum
            before = self.held()
            self.assertEqual(self.send(from_client(other)), [])
            if field != "dst":
                self.assertEqual(self.held(), before + 1)
        self.assertEqual(len(self.send(from_client(later))), 1)

    def test_removed_backend_takes_no_more_first_ones(self):
        """A later one is no chance to choose again."""
        self.up(4, FULLNAT)
        first, later, last = self.udp(4)
        self.assertEqual(len(self.send(from_client(first))), 1)
        backend(self.box, 1, service_="s4", ip=WEB[4], state=DOWN)
        backend(self.box, 2, service_="s4", ip="10.2.0.12")
        self.apply()
        (_, got), = self.send(from_client(later))
        self.assertEqual(got[IP].dst, WEB[4])
        for p in self.udp(4, id_=8):
            (_, got), = self.send(from_client(p))
            self.assertEqual(got[IP].dst, "10.2.0.12")

    def test_backend_that_is_down(self):
        """Move, reset: later ones follow their first; they have no header that a reset could answer."""
        move, reset = 1, 2
        web2 = {4: "10.2.0.12", 6: "fd00:2::12"}
        for family, policy in itertools.product((4, 6), (move, reset)):
            self.up(family, proto=TCP_PROTO, on_down=policy)
            whole = TCP(sport=policy, dport=80, flags="S") / data(80)
            syn, = cut(family, CLIENT[family], VIP[family], whole, proto=TCP_PROTO)
            self.assertEqual(len(self.send(from_client(syn))), 1)
            whole[TCP].flags = "A"
            old, new = (cut(family, CLIENT[family], VIP[family], whole, 24, 56, proto=TCP_PROTO, id_=k)
                        for k in (20 + policy, 30 + policy))
            self.assertEqual([f.dst for _, f in self.send(from_client(old[0]))], [WEB_MAC[1]])
            backend(self.box, 1, service_=f"s{family}", ip=WEB[family], port=80, state=DOWN)
            backend(self.box, 2, service_=f"s{family}", ip=web2[family], port=80)
            self.apply()
            out = self.send(*map(from_client, old[1:])) + self.send(*map(from_client, new))
            if policy == move:
                self.assertEqual([f.dst for _, f in out], [WEB_MAC[1]] * 2 + [WEB_MAC[2]] * 3)
            else:
                (port, got), = out
                self.assertEqual((port, got[TCP].flags), ("north", "R"))
            self.box.delete(f"backend/s{family}/web2")
        self.assertEqual(self.dropped("no_conn"), 8)

    def test_too_big_for_the_tunnel(self):
        self.up(6, IPIP)
        pieces = cut(6, CLIENT[6], VIP[6], UDP(sport=3, dport=80) / data(2000), 1448)
        out = self.send(*map(from_client, pieces))
        self.assertEqual(sorted(p for p, _ in out), ["north", "south"])
        self.assertEqual(self.dropped("too_big_replies"), 1)


class Bad(Frag):
    """What is refused, and that nothing more of its datagram passes."""

    def up(self, family, **more):
        super().up(family, **more)
        self.id = 0

    def refused(self, frame, reason, n=1):
        before = self.dropped(reason)
        self.assertEqual(self.send(from_client(frame)), [])
        self.assertEqual(self.dropped(reason), before + n)

    def spoilt(self, family):
        """Good pieces of the datagram are refused now, also the first."""
        whole = payload_of(family, CLIENT[family], VIP[family], UDP(sport=5000, dport=80) / data(600))
        for a in (400, 0):
            self.refused(piece(family, CLIENT[family], VIP[family], Raw(whole[a:a + 8]), a, True, id_=self.id),
                         "fragment_bad")

    def begin(self, family):
        """The first 24 bytes of another datagram of three pieces."""
        self.id += 1
        pieces = self.udp(family, id_=self.id)
        self.assertEqual(len(self.send(from_client(pieces[0]))), 1)
        return pieces

    def later(self, family, offset, n, more=True, **kw):
        return piece(family, CLIENT[family], VIP[family], Raw(b"o" * n), offset, more, id_=self.id, **kw)

    def passes(self, frame):
        self.assertEqual(len(self.send(from_client(frame))), 1)

    def test_overlaps(self):
        for family in (4, 6):
            self.up(family)
            self.begin(family)
            self.refused(self.later(family, 16, 24), "fragment_overlap")
            self.spoilt(family)
            self.begin(family)
            self.passes(self.later(family, 80, 8))
            self.refused(self.later(family, 72, 24), "fragment_overlap")
            self.spoilt(family)
            self.id += 1
            self.assertEqual(self.send(from_client(self.later(family, 48, 16))), [])
            self.assertEqual(self.held(), 1)
            self.refused(self.later(family, 40, 16), "fragment_overlap", 2)
            self.assertEqual(self.held(), 0)
            self.spoilt(family)

    def test_duplicates_are_dropped_alone(self):
        self.up(4)
        pieces = self.begin(4)
        self.refused(pieces[0], "fragment_overlap")
        self.passes(pieces[1])
        self.refused(pieces[1], "fragment_overlap")
        self.passes(pieces[2])
        # a complete datagram is forgotten at once: its identification may come again
        for p in pieces:
            self.passes(p)

    def test_ends(self):
        for family in (4, 6):
            self.up(family)
            for offset, more in ((90 * 8, False), (101 * 8, True), (101 * 8, False)):
                self.begin(family)
                self.passes(self.later(family, 100 * 8, 8, more=False))
                self.refused(self.later(family, offset, 8, more=more), "fragment_bad")
                self.spoilt(family)
            self.begin(family)
            self.passes(self.later(family, 100 * 8, 8))
            self.refused(self.later(family, 90 * 8, 8, more=False), "fragment_bad")
            self.spoilt(family)

    def test_lengths(self):
        for family in (4, 6):
            self.up(family)
            for n, more in ((15, True), (0, False)):
                self.begin(family)
                self.refused(self.later(family, 48, n, more=more), "fragment_bad")
                self.spoilt(family)
            # over IPv4 the header counts in the 65,535 bytes, over IPv6 it does not
            room = 65535 - (20 if family == 4 else 0)
            last = room // 8 * 8
            self.begin(family)
            self.passes(self.later(family, last - 8, 8 + room % 8, more=False))
            self.begin(family)
            self.refused(self.later(family, last - 8, 9 + room % 8, more=False), "fragment_bad")
            self.spoilt(family)

    def test_tiny(self):
        for family in (4, 6):
            self.up(family, proto=TCP_PROTO)
            tcp = payload_of(family, CLIENT[family], VIP[family], TCP(sport=1, dport=80, flags="S") / data(80))
            for part in (tcp[:8], tcp[:16], tcp[:12] + b"\x80" + tcp[13:24]):
                self.refused(piece(family, CLIENT[family], VIP[family], Raw(part), 0, True, proto=TCP_PROTO),
                             "fragment_tiny")
            for at in (8, 16):  # RFC 3128: it would bring the flags
                self.refused(self.later(family, at, 16, proto=TCP_PROTO), "fragment_tiny")
            self.assertEqual(self.held(), 0)

    def test_too_many_gaps(self):
        self.up(4)
        self.begin(4)
        for k in range(11):
            self.passes(self.later(4, 40 + 16 * k, 8))
        self.refused(self.later(4, 40 + 16 * 11, 8), "fragment_bad")
        self.spoilt(4)


class Bounds(Frag):
    """What is kept is little, and not for long."""

    def early(self, n, id_=1, offset=800, src=None):
        return from_client(piece(4, src or CLIENT[4], VIP[4], Raw(b"e" * 8), offset + 16 * n, True, id_=id_))

    def test_time_out_of_early_pieces(self):
        self.up(4)
        pieces = self.udp(4)
        self.assertEqual(self.send(*map(from_client, pieces[1:])), [])
        self.assertEqual(self.held(), 2)
        self.box.time(TIMEOUT_MS - 1)
        self.box.run()
        self.assertEqual(self.held(), 2)
        self.box.time(1)
        self.box.run()
        self.assertEqual((self.held(), self.dropped("fragment_timeout")), (0, 2))
        self.assertEqual(len(self.send(*map(from_client, pieces))), 3)

    def test_time_out_of_a_known_datagram(self):
        self.up(4)
        pieces = self.udp(4)
        self.assertEqual(len(self.send(from_client(pieces[0]))), 1)
        self.box.time(TIMEOUT_MS)
        self.assertEqual(self.send(from_client(pieces[1])), [])
        self.assertEqual(self.held(), 1)

    def test_bound_of_a_datagram(self):
        self.up(4)
        early = [from_client(piece(4, CLIENT[4], VIP[4], Raw(b"e" * 8), 800 + 8 * k, True)) for k in range(17)]
        self.send(*early[:16])
        self.assertEqual(self.held(), 16)
        self.send(early[16])
        self.assertEqual((self.held(), self.dropped("fragment_hold_full")), (0, 17))

    def test_bound_of_a_source(self):
        self.up(4)
        self.send(*(self.early(0, id_=k) for k in range(100)))
        self.assertEqual((self.held(), self.dropped("fragment_limit")), (64, 36))
        # others are not hurt
        got = self.send(*(self.early(0, id_=1, src="10.1.0.11"),))
        self.assertEqual((got, self.held()), ([], 65))

    def test_bound_of_a_worker(self):
        """The oldest go: who sends early pieces now finds room."""
        self.up(4)
        for k in range(40):
            self.send(*(self.early(0, id_=n, src=f"10.1.0.{100 + k}") for n in range(7)))
        self.assertEqual(self.held(), 256)
        self.assertEqual(self.dropped("fragment_hold_full"), 280 - 256)
        pieces = self.udp(4)
        got = self.send(*(from_client(pieces[k]) for k in (2, 1, 0)))
        self.assertEqual(len(got), 3)
        self.pass_time()
        self.assertEqual(self.held(), 0)

    def test_bound_of_datagrams_of_a_source(self):
        self.up(4)
        first = from_client(self.udp(4)[0])
        for k in range(0, 600, 50):
            self.send(*(other(first, ID4, 1000 + n) for n in range(k, k + 50)))
        self.assertEqual(self.dropped("fragment_limit"), 600 - 512)
        pieces = cut(4, "10.1.0.11", VIP[4], UDP(sport=1, dport=80) / data(72), 24, 48)
        self.assertEqual(len(self.send(*map(from_client, pieces))), 3)
        self.pass_time()
        self.assertEqual(len(self.send(*map(from_client, self.udp(4, id_=1001)))), 3)

    def test_flood_of_sources(self):
        """More datagrams than the table has: the last ones are complete."""
        self.up(4, sched=MAGLEV)
        first = from_client(self.udp(4)[0])
        for k in range(0, 6000, 100):
            self.box.run(*(other(first, SOURCE4, n) for n in range(k + 512, k + 612)))
            if k % 2000 == 0:
                self.assertEqual(len(self.send(*map(from_client, self.udp(4, id_=k)))), 3)
        self.assertEqual(self.dropped("fragment_limit"), 0)


class BoundsTwoWorkers(Frag):
    workers, queues = 2, 1

    def test_flood_is_counted(self):
        """Early, first and bad ones mixed: what tearDown() sums up."""
        self.up(4)
        frames = []
        for k in range(400):
            src = f"10.1.0.{k % 200}"
            offset = (0, 24, 48, 56, 800)[k % 5]
            whole = payload_of(4, src, VIP[4], UDP(sport=k, dport=80) / data(900))
            frames.append(from_client(piece(4, src, VIP[4], Raw(whole[offset:offset + 24]), offset, True, id_=k % 7)))
        for k in range(0, 400, 40):
            self.send(*frames[k:k + 40])
        self.pass_time()
        self.assertEqual(self.held(), 0)
        self.assertGreater(self.dropped("handed_over"), 100)


if __name__ == "__main__":
    unittest.main()
