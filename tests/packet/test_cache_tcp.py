# SPDX-License-Identifier: BSD-3-Clause
"""memcached over TCP, seen from the wire: what a router says of segments that were too long."""
from box import *

VIP, CLIENT = "10.1.0.100", "10.1.0.10"
VIP6, CLIENT6 = "fd00:1::100", "fd00:1::10"
S3FIFO = 4
VALUE = b"v" * 6000


class Conn:
    """a client of one connection"""

    def __init__(self, test, family):
        self.test, self.family = test, family
        self.ip = IP(src=CLIENT, dst=VIP) if family == 4 else IPv6(src=CLIENT6, dst=VIP6)
        self.seq, self.ack = 1000, 0
        syn_ack = self.segments(self.send("S", options=[("MSS", 1440)]))
        test.assertEqual([s[TCP].flags for s in syn_ack], ["SA"])
        self.seq, self.ack = 1001, syn_ack[0][TCP].seq + 1
        test.assertEqual(self.send("A"), [])

    def send(self, flags, data=b"", **fields):
        return self.test.box.run(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / self.ip
                                 / TCP(sport=40000, dport=11211, seq=self.seq, ack=self.ack, flags=flags, window=60000, **fields)
                                 / Raw(data))

    def segments(self, out):
        """All are to the client, and their checksums are right."""
        found = []
        for what, port, data in out:
            p = Ether(data)
            self.test.assertEqual((what, port, p.dst), ("out", "north", CLIENT_MAC))
            again = p.copy()
            del again[TCP].chksum
            self.test.assertEqual(raw(again), data)
            found.append(p)
        return found

    def ask(self, data):
        out = self.segments(self.send("PA", data))
        self.seq += len(data)
        return out


def payload(segment):
    return bytes(segment[TCP].payload)


class TooBig(PacketTest):
    cache_mb = 64
    def setUp(self):
        super().setUp()
        self.box.put("cache", name="hot", memory_bytes=4 << 20, eviction=S3FIFO, value_max=20000)
        for name, vip in ("mem4", VIP), ("mem6", VIP6):
            service(self.box, name=name, vip=vip, port=11211, proto=TCP_PROTO, mode=CACHE, sched=RR, cache="hot")
        self.apply()

    def error(self, segment, mtu):
        """of a router that had to drop the segment"""
        quote = raw(segment[IP if IP in segment else IPv6])[:600]
        if IP in segment:
            return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src="10.1.0.254", dst=VIP)
                    / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(quote))
        return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IPv6(src="fd00:1::fe", dst=VIP6)
                / ICMPv6PacketTooBig(mtu=mtu) / Raw(quote))

    def heeds(self, family, mtu, headers):
        c = Conn(self, family)
        self.assertEqual([payload(s) for s in c.ask(b"set k 0 0 %d\r\n%s\r\n" % (1000, VALUE[:1000]))], [b"STORED\r\n"])
        c.ack += len("STORED\r\n")
        sent = c.ask(b"get k k k k k\r\n")
        self.assertEqual(max(len(payload(s)) for s in sent), 1440)
        consumed = self.box.counters()[0]["consumed"]
        self.assertEqual(self.box.run(self.error(sent[0], mtu)), [])
        self.box.time(2)
        again = c.segments(self.box.run())
        self.assertEqual(self.box.counters()[0]["consumed"], consumed + 1)
        self.assertEqual(again[0][TCP].seq, c.ack)
        self.assertEqual(max(len(payload(s)) for s in again), mtu - headers)

    def test_a_smaller_path_mtu_is_heeded(self):
        self.heeds(4, 1000, 40)

    def test_and_over_ipv6(self):
        self.heeds(6, 1300, 60)

    def test_what_is_about_no_connection_is_counted(self):
        c = Conn(self, 4)
        c.ask(b"set k 0 0 %d\r\n%s\r\n" % (1000, VALUE[:1000]))
        c.ack += len("STORED\r\n")
        sent = c.ask(b"get k k k k k\r\n")
        for change in {"sport": 11212}, {"dport": 1}, {}:
            other = sent[0].copy()
            for field, value in change.items():
                setattr(other[TCP], field, value)
            if not change:  # a number that is not on its way
                other[TCP].seq = (other[TCP].seq + (1 << 30)) % (1 << 32)
            self.assertEqual(self.box.run(self.error(other, 600)), [])
            self.box.time(2)
            self.assertEqual(self.box.run(), [], change)
        self.assertEqual(self.box.counters()[0].get("icmp_no_flow", 0), 2)
