#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""seeds — writes the seed corpora of the fuzz targets, small inputs that reach deep, from their
meaning. Files that the fuzzer found stay beside them; their names begin with bug-. Run it after a
change of an input format: /usr/bin/python3 -B tests/fuzz/seeds.py
"""
import json
import logging
import os
import socket
import struct

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import ARP, Dot1Q, Ether, ICMP, IP, IPv6, TCP, UDP, Raw, raw  # noqa: E402
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,  # noqa: E402
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6ExtHdrDestOpt,
                                ICMPv6PacketTooBig, ICMPv6TimeExceeded,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop)

HERE = os.path.dirname(os.path.abspath(__file__))
NORTH, SOUTH = "02:00:00:00:00:01", "02:00:00:00:00:02"
CLIENT = "02:aa:00:00:00:10"


def write(target, name, data):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)


# --- packets ---

def eth(**kw):
    return Ether(src=CLIENT, dst=kw.pop("dst", NORTH), **kw)


def quic_long(kind, dcid, version=b"\0\0\0\1"):
    return bytes([0xc0 | kind << 4]) + version + bytes([len(dcid)]) + dcid + b"\4scid" + b"data"


def quic_short(n):
    return bytes([0x41, 0x1f, 0, n]) + b"nonce" + b"data"


def packets():
    """name → frame, everything the parser and the pipeline tell apart"""
    ip4, ip6 = IP(src="10.1.0.10", dst="10.1.0.80"), IPv6(src="fd00:1::10", dst="fd00:1::80")
    ns = (IPv6(src="fd00:1::10", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="fd00:1::1")
          / ICMPv6NDOptSrcLLAddr(lladdr=CLIENT))
    na = (IPv6(src="fd00:1::10", dst="fd00:1::1", hlim=255) / ICMPv6ND_NA(tgt="fd00:1::10", R=0)
          / ICMPv6NDOptDstLLAddr(lladdr=CLIENT))
    return {
        "tcp4-syn": eth() / ip4 / TCP(sport=40000, dport=80, flags="S", options=[("MSS", 1460)]),
        "tcp4-ack": eth() / ip4 / TCP(sport=40000, dport=80, flags="A") / Raw(b"GET / "),
        "tcp4-fin": eth() / ip4 / TCP(sport=40000, dport=80, flags="FA"),
        "tcp4-rst": eth() / ip4 / TCP(sport=40000, dport=80, flags="R"),
        "tcp6-syn": eth() / ip6 / TCP(sport=41000, dport=80, flags="S"),
        "udp4": eth() / ip4 / UDP(sport=5000, dport=53) / Raw(b"query"),
        "udp4-nosum": eth() / ip4 / UDP(sport=5000, dport=53, chksum=0) / Raw(b"query"),
        "udp6": eth() / ip6 / UDP(sport=5000, dport=53) / Raw(b"query!"),
        "dsr4": eth() / IP(src="10.1.0.10", dst="10.1.0.90") / TCP(sport=40001, dport=8080, flags="S"),
        "dsr6": eth() / IPv6(src="fd00:1::10", dst="fd00:1::90") / UDP(sport=40002, dport=443),
        "quic4-initial": eth() / IP(src="10.1.0.10", dst="10.1.0.90") / UDP(sport=40010, dport=443)
        / Raw(quic_long(0, b"12345678")),
        "quic4-short": eth() / IP(src="10.1.0.10", dst="10.1.0.90") / UDP(sport=40010, dport=443)
        / Raw(quic_short(1)),
        "quic4-other": eth() / IP(src="10.1.0.10", dst="10.1.0.90") / UDP(sport=40010, dport=443)
        / Raw(quic_short(2)),
        "quic4-unknown": eth() / IP(src="10.1.0.10", dst="10.1.0.90") / UDP(sport=40010, dport=443)
        / Raw(quic_short(9)),
        "quic6-handshake": eth() / IPv6(src="fd00:1::10", dst="fd00:1::90") / UDP(sport=40011, dport=443)
        / Raw(quic_long(2, b"\x1f\0\2nonce")),
        "quic6-short": eth() / IPv6(src="fd00:1::10", dst="fd00:1::90") / UDP(sport=40011, dport=443)
        / Raw(quic_short(1)),
        "options4": eth() / IP(src="10.1.0.10", dst="10.1.0.80", options=[b"\x94\x04\x00\x00"])
        / TCP(sport=40003, dport=80, flags="S"),
        "ext6": eth() / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / TCP(dport=80, flags="S"),
        "frag4": eth() / IP(src="10.1.0.10", dst="10.1.0.80", flags="MF") / UDP(dport=53) / Raw(b"x" * 16),
        "frag4-later": eth() / IP(src="10.1.0.10", dst="10.1.0.80", frag=3, proto=17) / Raw(b"y" * 16),
        "frag6": eth() / ip6 / IPv6ExtHdrFragment(m=1, nh=17) / UDP(dport=53) / Raw(b"x" * 16),
        "frag6-later": eth() / ip6 / IPv6ExtHdrFragment(offset=3, nh=17) / Raw(b"y" * 16),
        "padded": Ether(raw(eth() / ip4 / UDP(sport=1, dport=53)) + bytes(18)),
        "ipip4": eth() / IP(src="10.1.0.10", dst="10.1.0.91", flags="DF") / TCP(sport=40005, dport=80, flags="S"),
        "ipip4-big": eth() / IP(src="10.1.0.10", dst="10.1.0.91", flags="DF")
        / TCP(sport=40005, dport=80, flags="A") / Raw(b"b" * 1460),
        "gue6": eth() / IPv6(src="fd00:1::10", dst="fd00:1::91") / TCP(sport=40006, dport=80, flags="S"),
        "gue6-big": eth() / IPv6(src="fd00:1::10", dst="fd00:1::91") / TCP(sport=40006, dport=80, flags="A")
        / Raw(b"b" * 1440),
        "gue4": eth() / IP(src="10.1.0.10", dst="10.1.0.92") / UDP(sport=40007, dport=53) / Raw(b"odd"),
        "dnat4": eth() / IP(src="10.1.0.10", dst="10.1.0.93") / TCP(sport=40008, dport=80, flags="S"),
        "dnat6": eth() / IPv6(src="fd00:1::10", dst="fd00:1::93") / UDP(sport=40009, dport=53) / Raw(b"odd"),
        "ttl": eth() / IP(src="10.1.0.10", dst="10.1.0.80", ttl=1) / UDP(sport=1, dport=53),
        "echo4": eth() / IP(src="10.1.0.10", dst="10.1.0.1") / ICMP() / Raw(b"ping"),
        "echo4-vip": eth() / IP(src="10.1.0.10", dst="10.1.0.80") / ICMP() / Raw(b"pingg"),
        "echo6": eth() / IPv6(src="fd00:1::10", dst="fd00:1::1") / ICMPv6EchoRequest(data=b"ping"),
        "icmp4-error": eth() / IP(src="10.1.0.10", dst="10.1.0.80") / ICMP(type=3, code=4)
        / IP(src="10.1.0.80", dst="10.1.0.10") / TCP(sport=80, dport=40000),
        "icmp4-dnat": eth(dst=SOUTH) / IP(src="10.2.0.11", dst="10.1.0.10") / ICMP(type=11)
        / IP(src="10.1.0.10", dst="10.2.0.11") / TCP(sport=40008, dport=8080),
        "icmp4-snat": eth(dst=SOUTH) / IP(src="10.2.0.11", dst="10.2.0.100") / ICMP(type=3, code=3)
        / IP(src="10.2.0.100", dst="10.2.0.11") / UDP(sport=2000, dport=5353),
        "icmp4-direct": eth() / IP(src="10.1.0.10", dst="10.1.0.91") / ICMP(type=3, code=4)
        / IP(src="10.1.0.91", dst="10.1.0.10") / TCP(sport=80, dport=40005) / Raw(b"b" * 400),
        "icmp6-error": eth() / IPv6(src="fd00:1::10", dst="fd00:1::80") / ICMPv6PacketTooBig(mtu=1280)
        / IPv6(src="fd00:1::80", dst="fd00:1::10") / TCP(sport=80, dport=41000),
        "icmp6-ext": eth() / IPv6(src="fd00:1::10", dst="fd00:1::93") / ICMPv6TimeExceeded()
        / IPv6(src="fd00:1::93", dst="fd00:1::10") / IPv6ExtHdrDestOpt() / UDP(sport=53, dport=40009),
        "arp-request": eth(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=CLIENT, psrc="10.1.0.10", pdst="10.1.0.1"),
        "arp-reply": eth() / ARP(op=2, hwsrc=CLIENT, psrc="10.1.0.10", hwdst=NORTH, pdst="10.1.0.1"),
        "nd-solicit": eth(dst="33:33:ff:00:00:01") / ns,
        "nd-advert": eth() / na,
        "vlan": eth() / Dot1Q(vlan=7) / ip4 / UDP(dport=53),
        "vlan6": eth() / Dot1Q(vlan=7) / ip6 / TCP(dport=80),
        "own": eth() / IP(src="10.1.0.10", dst="10.1.0.1") / TCP(dport=179, flags="S"),
        "snat": eth(dst=SOUTH) / IP(src="10.2.0.11", dst="10.2.0.100") / TCP(sport=8080, dport=2000, flags="SA"),
        "lldp": Ether(src=CLIENT, dst="01:80:c2:00:00:0e", type=0x88cc) / Raw(b"\x02\x07\x04"),
        "foreign": Ether(src=CLIENT, dst="02:77:00:00:00:01") / ip4 / UDP(),
    }


def fragments(vip, port):
    """Three that make a datagram, one that overlaps the second, and one with another end."""
    data = raw(UDP(sport=40010, dport=port, len=72, chksum=1) / Raw(b"d" * 64))
    found = []
    for a, b, more in ((0, 24, 1), (24, 48, 1), (48, 72, 0), (32, 56, 1), (56, 64, 0)):
        part = Raw(data[a:b])
        if ":" in vip:
            ip = IPv6(src="fd00:1::10", dst=vip) / IPv6ExtHdrFragment(offset=a // 8, m=more, nh=17, id=5)
        else:
            ip = IP(src="10.1.0.10", dst=vip, frag=a // 8, flags=more, proto=17, id=5)
        found.append(eth() / ip / part)
    return found


def parse_seeds():
    for name, p in packets().items():
        write("parse", name, bytes([8, 0, 0]) + raw(p))
    frame = raw(packets()["tcp4-syn"])
    write("parse", "segments", bytes([8 | 2 << 1, 90, 200]) + frame)
    write("parse", "segments-in-ip", bytes([8 | 1 << 1, 60, 0]) + frame)
    write("parse", "verified", bytes([8 | 1, 0, 0]) + frame[:24] + b"\0\0" + frame[26:])
    write("parse", "short", bytes([8, 0, 0]) + frame[:33])


def quic_seeds():
    layout = bytes([1, 1, 1])  # 2 bytes at 1, configuration 0
    for name, payload in {
            "short": quic_short(1), "short-cut": quic_short(1)[:3], "unroutable": b"\x41\xff\0\1",
            "initial": quic_long(0, b"12345678"), "handshake": quic_long(2, b"\x1f\0\1nonce"),
            "handshake-2": quic_long(3, b"\x1f\0\1nonce", bytes.fromhex("6b3343cf")), "retry": quic_long(3, b"\x1f\0\1"),
            "negotiation": quic_long(2, b"\x1f\0\1nonce", bytes(4)), "no-cid": quic_long(2, b""),
            "long-cid": quic_long(2, bytes(21)), "cut": quic_long(2, b"\x1f\0\1nonce")[:10]}.items():
        write("quic", name, layout + payload)
    write("quic", "longest", bytes([14, 5, 0]) + b"\x41" + bytes(range(20)))
    write("quic", "empty", layout)


def mc_binary(opcode, key=b"", extras=b"", value=b"", cas=0, **lies):
    said = {"n_key": len(key), "n_extras": len(extras), "n_body": len(extras + key + value)} | lies
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, said["n_key"], said["n_extras"], 0, 0, said["n_body"],
                       0x0a0b0c0d, cas) + extras + key + value


def mc_binary_seeds():
    def seed(name, requests, is_datagram=0, value_max=64, piece=20, outcome=0):
        write("mc_binary", name, struct.pack(">BHBB", is_datagram, value_max, piece, outcome) + requests)

    store, count, time = bytes(8), struct.pack(">QQI", 1, 5, 0), bytes(4)
    noop = mc_binary(0x0a)
    seed("reads", b"".join(mc_binary(op, b"key") for op in (0, 9, 12, 13)) + noop)
    seed("reads-misses", b"".join(mc_binary(op, b"key") for op in (0, 9, 12, 13)) + noop, outcome=1)
    seed("touches", b"".join(mc_binary(op, b"key", time) for op in (0x1c, 0x1d, 0x1e, 0x23, 0x24)))
    seed("stores", b"".join(mc_binary(op, b"key", store, b"value") for op in (1, 2, 3, 0x11, 0x12, 0x13)), outcome=2)
    seed("stores-cas", b"".join(mc_binary(op, b"key", store, b"value", 7) for op in (1, 2, 3)), outcome=4)
    seed("joins", b"".join(mc_binary(op, b"key", b"", b"value") for op in (14, 15, 0x19, 0x1a)), outcome=3)
    seed("deletes", mc_binary(4, b"key") + mc_binary(0x14, b"key", cas=7), outcome=5)
    seed("counts", b"".join(mc_binary(op, b"n", count) for op in (5, 6, 0x15, 0x16)), outcome=2)
    seed("counts-none", mc_binary(5, b"n", count[:16] + b"\xff" * 4), outcome=8)
    seed("flushes", mc_binary(8) + mc_binary(8, b"", time) + mc_binary(0x18) + noop, outcome=2)
    seed("figures", mc_binary(0x10) + mc_binary(0x10, b"items") + mc_binary(11), outcome=2)
    seed("quits", mc_binary(7) + mc_binary(0x17), outcome=2)
    seed("datagram", mc_binary(1, b"key", store, b"value") + mc_binary(0, b"key"), is_datagram=1)
    seed("datagram-cut", mc_binary(0, b"key") + mc_binary(1, b"key", store, b"value")[:-1], is_datagram=1)
    seed("datagram-lies", mc_binary(0, b"key", n_body=2) + noop, is_datagram=1)
    seed("key-longest", mc_binary(0, b"k" * 250) + mc_binary(0, b"k" * 251))
    seed("key-lies", noop + mc_binary(0, b"key", n_key=60000))
    seed("extras-lie", noop + mc_binary(1, b"key", store, b"v", n_extras=200))
    seed("body-lies", noop + mc_binary(1, b"key", store, b"v", n_body=0xffffffff))
    seed("too-large", mc_binary(1, b"key", store, bytes(65)) + noop)
    seed("too-large-cut", mc_binary(1, b"key", store, bytes(30), n_body=2 ** 31))
    seed("unknown", mc_binary(0x50, b"key", store, b"value") + mc_binary(0x1b, b"", time) + noop)
    seed("one-byte-pieces", mc_binary(12, b"key") + noop, piece=0)
    seed("not-binary", b"get key\r\n")
    seed("empty", b"")


def tcpopt_seeds():
    def seed(name, options, ack=5000, first=1000, less=28, max_=1220):
        write("tcpopt", name, struct.pack(">HBIB", max_, less, first, 28) + raw(TCP(ack=ack, options=options)))

    nop, ts = ("NOP", None), ("Timestamp", (1, 2))
    seed("none", [])
    seed("mss", [("MSS", 1460)])
    seed("mss-odd", [nop, ("MSS", 1460), ("SAckOK", b""), ts, ("WScale", 7)], less=0)
    seed("mss-twice", [("MSS", 9000), ("MSS", 8000)])
    seed("mss-small", [("MSS", 90)])
    seed("ended", [("EOL", None), ("MSS", 1460)])
    seed("sack", [nop, nop, ts, nop, nop, ("SAck", (6000, 7000, 8000, 9000))])
    seed("sack-duplicate", [nop, nop, ("SAck", (1000, 1028, 6000, 7000))])
    seed("sack-nothing-else", [nop, nop, ("SAck", (1000, 1028))])
    seed("sack-wraps", [nop, nop, ("SAck", (20, 40))], ack=0xffffff00, first=0xfffffff0)
    seed("toa", [(254, b"\x9c\x40\x0a\1\0\x0a"), ("MSS", 1460)])
    for n, bad in enumerate((b"\2", b"\2\0\0\0", b"\2\1\0\0", b"\1\2\4\5", b"\5\xff\0\0", b"\5\x0b" + bytes(10))):
        head = raw(TCP(options=[nop] * (-(-len(bad) // 4) * 4)))[:20]
        write("tcpopt", f"bad-{n}", struct.pack(">HBIB", 1220, 28, 1000, 28) + head + bad)


def tcp_seeds():
    def seg(flags, seq=0, ack=0, length=0, wnd=20000, options=b""):
        return struct.pack(">BBhhHHB", 0, flags, seq, ack, wnd, length, len(options)) + options

    def wait(ms):
        return struct.pack(">BH", 4, ms)

    def wrote(n):
        return struct.pack(">BH", 5, n)

    def icmp(kind, code, mtu=0, seq=0, length=1500, quoted=8):
        return struct.pack(">BBBHhHB", 3, kind, code, mtu, seq, length, quoted)

    read, close, abort = struct.pack(">BH", 6, 5000), b"\7\0", b"\7\1"
    ack, fin, rst, syn = 0x10, 0x11, 4, 2
    steps = {
        "data": seg(ack, length=100) + read + seg(ack, length=900) * 3 + wait(50) + read,
        "holes": b"".join(seg(ack, seq=n, length=100) for n in (300, 100, 500, 50, 350, 0, 400)) + read,
        "many-holes": b"".join(seg(ack, seq=20 * n, length=10) for n in range(1, 40)) + seg(ack, length=900) + read,
        "sent": wrote(5000) + seg(ack, ack=700) + seg(ack, ack=700) + wait(300) + seg(ack, ack=1400),
        "duplicates": wrote(9000) + seg(ack) * 5 + seg(ack, ack=2100) + wait(400) * 3,
        "window": seg(ack, wnd=0) + wrote(3000) + wait(250) * 3 + seg(ack, wnd=100) + seg(ack, ack=100, wnd=20000),
        "peer-closes": seg(fin, length=10) + read + wrote(5) + close + seg(ack, ack=6),
        "we-close": wrote(5) + close + seg(ack, ack=6) + seg(fin) + seg(syn, seq=90) + wait(61000),
        "both-close": close + seg(fin) + seg(ack, ack=1) + seg(fin, seq=-1),
        "reset": seg(rst, seq=5) + seg(syn) + seg(rst) + seg(ack),
        "abort": wrote(500) + abort + seg(ack, length=5) + seg(syn),
        "early-fin": seg(fin, seq=50, length=10) + seg(ack, length=50) + read,
        "beyond-fin": seg(ack, seq=80, length=50) + seg(fin, seq=50, length=10) + seg(ack, length=50) + read,
        "idle": wait(6000) * 5 + wait(65000),
        "no-progress": wrote(5) + wait(500) * 9 + wait(60000) * 2,
        "old-ack": wrote(700) + seg(ack, ack=700) + seg(ack, ack=-700) + seg(ack, ack=-32000) + seg(ack, ack=30000),
        "too-big": wrote(9000) + icmp(3, 4, 576) + seg(ack) * 3 + seg(ack, ack=1400) + icmp(3, 4, 300) + wait(300),
        "too-big-later": wrote(700) + seg(ack, ack=700) + wrote(3000) + icmp(3, 4, 600, quoted=255) + wait(300) + seg(ack, ack=3000),
        "too-big-none": wrote(700) + icmp(3, 4, 600, seq=-1) + icmp(3, 4, 0) + icmp(3, 4, 600, quoted=7) + icmp(3, 4, 9000),
        "unreachable": wrote(700) + icmp(3, 1) + icmp(3, 3) + icmp(11, 0) + icmp(12, 0) + close + icmp(3, 2),
        "bad-sack": wrote(5000) + seg(ack, options=bytes([5, 18] + [255] * 16)) + seg(ack, options=bytes([5, 10] + [0] * 8)),
    }
    for name, data in steps.items():
        for setup in (0, 7, 15):
            write("tcp", f"{name}-{setup}", bytes([setup]) + data)
    write("tcp", "no-handshake", bytes([16]) + seg(syn) + seg(ack, ack=1) + seg(rst) + wait(40000))


def mc_seeds():
    def seed(name, *requests, value_max=64, sink=3, seed=1):
        write("mc", name, bytes([value_max, sink - 1, seed]) + b"".join(requests))

    def binary(opcode, extras=b"", key=b"", value=b"", cas=0, **lie):
        body = extras + key + value
        return struct.pack(">BBHBBHIIQ", 0x80, opcode, lie.get("n_key", len(key)), lie.get("n_extras", len(extras)), 0, 0,
                           lie.get("n_body", len(body)), 0xdeadbeef, cas) + body

    seed("get", b"get a\r\ngets a  bb ccc \r\ngat 10 a b\r\ngats -1 a\nget\r\n\r\n")
    seed("get-long-key", b"get " + b"k" * 250 + b"\r\nget a " + b"k" * 251 + b"\r\nget b\r\n")
    seed("get-no-end", b"get " + b"k " * 2000)
    seed("line-no-end", b"x" * 2049)
    seed("store", b"".join(verb + b" k 1 -2 3" + more + b"\r\nabc\r\n" for verb, more in (
        (b"set", b""), (b"add", b" noreply"), (b"replace", b""), (b"append", b""), (b"prepend", b""), (b"cas", b" 5"))))
    seed("store-bad", b"set k 0 0 -1\r\nset k 0 0 4294967297\r\nset k x 0 1\r\nset k 0 0 3\r\nabcd\r\nget a\r\n")
    seed("store-too-large", b"set k 0 0 9\r\n012345678\r\nget a\r\nms k 9 q\r\n012345678\r\nmn\r\n", value_max=8)
    seed("store-endless", b"set k 0 0 2147483645\r\nabc")
    seed("others", b"delete k 0 noreply\r\ndelete k 1\r\nincr k 18446744073709551615\r\ndecr k 1 noreply\r\ntouch k 5\r\n"
         b"flush_all 10 noreply\r\nversion\r\nverbosity 1\r\nstats\r\nstats a b c\r\nquit\r\nget a\r\n")
    seed("http", b"GET / HTTP/1.1\r\n")
    seed("meta-get", b"mg k c f k O9 s t v q\r\nmg k N30 R10 T-1 t\r\nmg YWI= b k O1\r\nmg a b\r\nmg k v v\r\nmg k z\r\nme k\r\nmn\r\n")
    seed("meta-look", b"mg k c f k O9 s t v q\r\n")
    seed("meta-look-all", b"mg " + b"k" * 250 + b" v O" + b"1" * 31 + b" k\r\n")
    seed("get-one", b"get " + b"k" * 40 + b"\r\n")
    seed("meta-long", b"mg " + b"YWFh" * 62 + b" b k O" + b"1" * 31 + b" c f s t v\r\n")
    seed("meta-set", b"ms k 3 F7 T90 C8 E9 I c k O1\r\nabc\r\nms YWI= 1 b ME k q\r\na\r\nms k 3 Mx\r\nabc\r\nms k 3 z\r\nmn\r\nmn\r\n")
    seed("meta-others", b"md k I T30 q k O1 x\r\nmd k Cx\r\nma k D5 N30 J13 MD t c v k\r\nma YWI= b k v q\r\nme YWI= b\r\n")
    seed("meta-many", b"mg k k O1 c f s t v q u P L I C1 D1 J1 T1 F1\r\nmg k k O1 c f s t v q u P L I C1 D1 J1 T1 F1 MI\r\n")
    seed("binary-get", binary(0, key=b"k") + binary(9, key=b"k") + binary(0x0c, key=b"k") + binary(0x1d, b"\0\0\0\5", b"k") + binary(0x0a))
    seed("binary-store", binary(1, bytes(8), b"k", b"abc") + binary(0x11, bytes(8), b"k", b"abc", 7) + binary(0x0e, b"", b"k", b"abc"))
    seed("binary-others", binary(4, b"", b"k") + binary(5, bytes(20), b"k") + binary(8) + binary(0x0b) + binary(0x10) + binary(0x1c, bytes(4), b"k"))
    seed("binary-lies", binary(0, key=b"k", n_key=300), binary(0, key=b"k"))
    seed("binary-large", binary(1, bytes(8), b"k", bytes(20)) + binary(0x0a), value_max=8)
    seed("mixed", b"get a\r\n" + binary(0, key=b"k") + b"mg k v\r\n" + binary(0xff) + b"version\r\n")


def mcstream_seeds():
    def some(conn, data, size=40):
        return b"".join(bytes([conn, len(part) - 1]) + part for part in (data[i:i + size] for i in range(0, len(data), size)))

    def binary(opcode, extras=b"", key=b"", value=b""):
        body = extras + key + value
        return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, len(body), 0xdeadbeef, 0) + body

    def many(conn, n, byte):
        return struct.pack(">BHB", 7 << 2 | conn, n, byte)

    def room(n):
        return struct.pack(">BH", 4 << 2, n)

    run, one, again, no_memory = bytes([2 << 2, 9]), bytes([3 << 2]), bytes([5 << 2]), bytes([6 << 2])
    sets = b"set k 0 0 3\r\nabc\r\nget k\r\nset l 1 0 5\r\ndefgh\r\nget k l m\r\nmg l v f t k\r\ndelete k\r\nget k\r\n"
    gets = b"get k\r\n" * 40
    bins = (binary(1, bytes(8), b"k", b"abc") + binary(0, key=b"k") + binary(9, key=b"l") + binary(0x0a)
            + binary(0x1d, b"\0\0\0\5", b"k") + binary(0x0b))
    for name, data in {
        "whole": some(0, sets, 200) + run,
        "bytes": b"".join(some(0, bytes([b])) + one for b in sets),
        "pieces": b"".join(some(0, sets[i:i + 7]) + run for i in range(0, len(sets), 7)),
        "many-gets": some(0, sets) + some(1, gets) + some(2, gets) + run * 4 + some(0, gets) + bytes([2 << 2, 200]),
        "two": some(0, sets) + some(1, sets) + run + some(1, sets[:30]) + run + some(1, sets[30:]) + run,
        "binary": some(0, bins, 20) + run + some(1, bins, 11) + run,
        "mixed": some(0, bins) + some(0, sets) + run + some(1, sets) + some(1, bins) + run,
        "large": some(0, b"set k 0 0 2999\r\n") + run + many(0, 2999, 97) + run + some(0, b"\r\nget k\r\n") + run,
        "too-large": some(0, b"set k 0 0 9000\r\n") + run + many(0, 9000, 97) + run + some(0, b"\r\nget k\r\n") + run,
        "swallow": some(0, b"set k 0 0 70\r\n" + b"a" * 30) + run + some(0, b"a" * 40 + b"\r\nget k\r\nmn\r\n") + run,
        "long-line": some(0, b"get ") + many(0, 5000, 107) + run + some(0, b"\r\nget k\r\n") + run,
        "many-keys": some(0, b"get" + b" k" * 90) + run + some(0, b" l" * 1000, 200) + run + some(0, b"\r\n") + run,
        "full": some(0, sets) + room(0) + run + room(30) + run + run,
        "put-back": some(0, b"set k 0 0 1500\r\n") + many(0, 1500, 97) + some(0, b"\r\n") + run + room(20000)
        + some(0, b"get k\r\n" * 30 + b"mn\r\nget k\r\nget", 200) + bytes([2 << 2, 200]) * 4
        + some(0, b" k\r\nget l\r\n") + run * 2,
        "no-memory": some(0, sets + gets, 200) + no_memory + run + some(1, gets) + run,
        "again": some(0, sets[:40]) + run + again + some(0, sets) + run,
        "quit": some(0, b"mn\r\nquit\r\nget k\r\n") + run,
        "nonsense": some(0, b"\0\1\2\r\n\n\n\r\nx\r\nget\r\n" + b"set k 0 0 3\r\nabcdef\r\nmn\r\n") + run,
    }.items():
        for setup in (1, 2 | 4, 3 | 8):
            write("mcstream", f"{name}-{setup}", bytes([setup]) + data)


FRAME, FLOOD, REFLECT, ANSWER, TIME, RUN, EDIT = range(7)
F_SOUTH, F_QUEUE1, F_OUR_MAC, F_REPAIR, F_ROOM, F_SEGMENTS, F_KERNEL = 1, 2, 4, 8, 16, 32, 64


def rx(p, flags=F_OUR_MAC | F_REPAIR | F_ROOM):
    p = raw(p)
    return bytes([FRAME, flags]) + struct.pack(">H", len(p)) + p


def back(tcp_flags=0x12, flags=F_SOUTH | F_ROOM):
    return bytes([REFLECT, flags, tcp_flags])


def at(ms):
    return bytes([TIME]) + struct.pack(">H", ms)


RESOLVE = bytes([RUN, ANSWER, RUN])


def narrow_paths():
    """name → a client's packet, what a router says when it does not fit the tunnel's path"""
    router, gue = Ether(src=CLIENT, dst=SOUTH), UDP(sport=50000, dport=6080)
    tcp = TCP(sport=40000, dport=80, flags="A") / Raw(bytes(1400))
    four, six = IP(src="10.1.0.10", dst="10.1.0.91", flags="DF") / tcp, IPv6(src="fd00:1::10", dst="fd00:1::91") / tcp
    udp = IP(src="10.1.0.10", dst="10.1.0.92", flags="DF") / UDP(sport=5000, dport=53) / Raw(bytes(1380))
    to4 = IP(src="10.2.0.1", dst="10.2.0.13", id=0, flags="DF", proto=4)
    to6 = IPv6(src="fd00:2::1", dst="fd00:2::13", nh=4)
    gue4, gue6 = IP(src="10.2.0.1", dst="10.2.0.12", id=0, flags="DF"), IPv6(src="fd00:2::1", dst="fd00:2::12")
    say4 = router / IP(src="10.2.0.9", dst="10.2.0.1") / ICMP(type=3, code=4, nexthopmtu=1300)
    say6 = router / IPv6(src="fd00:2::9", dst="fd00:2::1") / ICMPv6PacketTooBig(mtu=1300)
    for name, big, outer in (("ipip4", four, to4 / Raw(raw(four))), ("ipip46", four, to6 / Raw(raw(four))),
                             ("gue6", six, gue4 / gue / Raw(b"\0\x29\0\0" + raw(six))),
                             ("gue4", udp, gue6 / gue / Raw(b"\0\4\0\0" + raw(udp)))):
        say, n = (say4, 548) if outer.version == 4 else (say6, 1232)
        yield name, (eth() / big, say / Raw(raw(outer)[:n]))


def client_to(vip):
    return IPv6(src="fd00:1::10", dst=vip) if ":" in vip else IP(src="10.1.0.10", dst=vip)


def cache_requests():
    """name → what is asked of a cache, datagram by datagram"""
    store, count = bytes(8), struct.pack(">QQI", 1, 5, 0)
    return {
        "text": (b"set k 1 0 5\r\nvalue\r\nget k\r\n", b"gets k n j\r\n", b"cas k 1 1 3 1\r\nnew\r\n",
                 b"append k 0 0 2\r\n++\r\n", b"set n 0 0 2 noreply\r\n10\r\n", b"incr n 5\r\ndecr n 20\r\n",
                 b"touch n 3\r\n", b"gat 1 n k\r\n", b"delete k\r\nget k\r\n", b"flush_all 1\r\nget n\r\n", b"get n\r\n"),
        "meta": (b"ms k 5 T1 F7\r\nvalue\r\nmg k v c f s t k O1\r\n", b"mg k v t\r\nmg k v t\r\n", b"mg j v N30\r\nmg j v\r\n",
                 b"md k I T30\r\nmg k v t\r\nmg k v t\r\n", b"ma n N0 J5 v\r\nma n MD D2 v t c\r\n", b"me k\r\nmn\r\n",
                 b"mg az== b k v\r\nms k S3\r\nabc\r\n"),
        "binary": (mc_binary(1, b"k", store, b"value") + mc_binary(0x0c, b"k"), mc_binary(5, b"n", count) * 2,
                   mc_binary(0x1d, b"k", b"\0\0\0\1") + mc_binary(0x0a), mc_binary(0x0d, b"j") + mc_binary(0x0b),
                   mc_binary(0x10) + mc_binary(0x10, b"items"), mc_binary(4, b"k") + mc_binary(8) + mc_binary(7)),
        "long": (b"set k 0 0 1300\r\n" + b"v" * 1300 + b"\r\n", b"get " + b"k " * 600 + b"k\r\n", b"get k\r\n" * 100,
                 b"append k 0 0 1300\r\n" + b"w" * 1300 + b"\r\n", b"stats\r\n" * 20, b"version\r\n" * 100),
        "none": (b"", b"\r\n", b"x", b"get\r\n", b"get " + b"k" * 251 + b"\r\n", b"set k 0 0 9\r\n123\r\n",
                 b"set k 0 0 2000\r\n" + bytes(1300), b"\x80", b"\x81" + bytes(30), b"get k\r\njunk\r\nget k\r\n"),
    }


def pipeline_seeds():
    all_ = packets()
    for name, p in all_.items():
        multicast = raw(p)[0] & 1
        flags = F_ROOM | F_REPAIR | (0 if multicast else F_OUR_MAC) | (F_SOUTH if p.dst == SOUTH else 0)
        write("pipeline", name, rx(p, flags) + bytes([RUN]))
    for name, first in (("tcp4", "tcp4-syn"), ("tcp6", "tcp6-syn"), ("udp4", "udp4"), ("udp6", "udp6"),
                        ("dsr4", "dsr4"), ("dsr6", "dsr6"), ("ipip4", "ipip4"), ("gue6", "gue6"), ("gue4", "gue4"),
                        ("dnat4", "dnat4"), ("dnat6", "dnat6"), ("quic4", "quic4-short"),
                        ("quic6", "quic6-short")):
        syn = rx(all_[first])
        flow = RESOLVE + syn + bytes([RUN]) + back() + RESOLVE + back(0x10) + bytes([RUN])
        write("pipeline", f"flow-{name}", flow)
        write("pipeline", f"flood-{name}", RESOLVE + syn + bytes([FLOOD, 200]) + RESOLVE + bytes([FLOOD, 90]))
        write("pipeline", f"edits-{name}", flow + b"".join(bytes([EDIT, e]) + syn + bytes([RUN]) + back(0x11)
              + bytes([RUN]) for e in (2, 3, 6, 7, 0, 4, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xf0)))
    for name, flow, error in (("full4", "tcp4-syn", "icmp4-error"), ("full6", "tcp6-syn", "icmp6-error"),
                              ("ipip4", "ipip4", "icmp4-direct"), ("dnat4", "dnat4", "icmp4-dnat"),
                              ("dnat6", "dnat6", "icmp6-ext")):
        where = F_OUR_MAC | F_REPAIR | F_ROOM | (F_SOUTH if all_[error].dst == SOUTH else 0)
        write("pipeline", f"error-{name}", RESOLVE + rx(all_[flow]) + RESOLVE + rx(all_[error], where)
              + bytes([RUN]) + rx(all_[error], where | F_QUEUE1) + RESOLVE)
    for name, (big, message) in narrow_paths():
        south = F_SOUTH | F_OUR_MAC | F_REPAIR | F_ROOM
        write("pipeline", f"narrow-{name}", RESOLVE + rx(big) + RESOLVE + rx(message, south) + RESOLVE + rx(big)
              + bytes([RUN, EDIT, 2]) + rx(big) + rx(message, south) + RESOLVE + at(60000) * 10 + rx(big) + RESOLVE)
    for name, first, lists in ("dsr4", "dsr4", (0xe0, 0xeb)), ("dsr6", "dsr6", (0xec, 0xe1)), ("tcp4", "tcp4-syn", (0xe7,)):
        turns = b"".join(bytes([EDIT, e]) + rx(all_[first]) + bytes([RUN, FLOOD, 20]) for e in lists * 2)
        write("pipeline", f"lists-{name}", RESOLVE + turns + at(700) + turns)
    syn, fin, ack, rst = (rx(all_["tcp4-" + f]) for f in ("syn", "fin", "ack", "rst"))
    write("pipeline", "close", RESOLVE + syn + bytes([RUN]) + back() + bytes([RUN]) + ack + fin + bytes([RUN])
          + back(0x11) + bytes([RUN]) + syn + at(700) + ack + rst + at(2000) + syn + bytes([RUN]))
    quic = [rx(all_["quic4-" + f]) for f in ("initial", "short", "other", "short", "unknown", "other")]
    write("pipeline", "quic-moves", RESOLVE + b"".join(quic) + RESOLVE + back() + bytes([RUN])
          + b"".join(q + bytes([RUN]) + back() + bytes([RUN]) for q in quic) + rx(all_["quic6-handshake"])
          + rx(all_["quic6-short"]) * 2 + bytes([RUN]))
    write("pipeline", "held", syn + ack * 12 + bytes([RUN]) + at(1000) + bytes([RUN]) + at(1000)
          + bytes([RUN, ANSWER, RUN]) + at(31000) + syn + RESOLVE + at(3000) + bytes([RUN]))
    sack = [("NOP", None)] * 2 + [("SAck", (1001, 1029, 1100, 1200))]
    for name, vip in (("toa", "10.1.0.94"), ("toa6", "fd00:1::94"), ("proxy", "10.1.0.95"), ("proxy6", "fd00:1::95")):
        family = IPv6(src="fd00:1::10", dst=vip) if ":" in vip else IP(src="10.1.0.10", dst=vip)
        head = eth() / family
        tell = [rx(head / TCP(sport=40000, dport=80, seq=seq, ack=1, flags=f, options=o) / Raw(d)) for seq, f, o, d in (
            (1000, "S", [("MSS", 1460)], b"cut"), (1001, "A", [], b""), (1001, "PA", sack, b"data"),
            (1005, "PAU", [], b"more"), (1001, "R", [], b""))]
        write("pipeline", f"tell-{name}", RESOLVE + tell[0] + bytes([RUN]) + back() + RESOLVE + tell[1] + bytes([RUN])
              + back(0x10) + tell[2] + tell[3] + bytes([RUN]) + back(0x18) + bytes([RUN]) + tell[1] + tell[4]
              + bytes([RUN]))
    write("pipeline", "tell-udp", RESOLVE + rx(eth() / IP(src="10.1.0.10", dst="10.1.0.95")
          / UDP(sport=40000, dport=53) / Raw(b"ask")) + bytes([RUN]) + back() + bytes([RUN]))
    for vip in "10.1.0.96", "fd00:1::96":
        family = IPv6(src="fd00:1::10", dst=vip) if ":" in vip else IP(src="10.1.0.10", dst=vip)
        syns = rx(eth() / family / TCP(sport=40000, dport=80, flags="S", options=[("MSS", 1460)])) + bytes([FLOOD, 90])
        write("pipeline", f"cookie-{vip.replace(':', '_')}", RESOLVE + syns + RESOLVE + syns + RESOLVE
              + back(0x10, F_ROOM) + RESOLVE + back(0x12) + RESOLVE + back(0x18, F_ROOM) + RESOLVE
              + back(0x10) + bytes([RUN]) + back(0x11, F_ROOM) + RESOLVE)
    for vip in "10.1.0.95", "fd00:1::95":
        family = IPv6(src="fd00:1::10", dst=vip) if ":" in vip else IP(src="10.1.0.10", dst=vip, flags="DF")
        big = eth() / family / UDP(sport=40000, dport=53) / Raw(b"b" * 1440)
        write("pipeline", f"tell-no-room-{vip.replace(':', '_')}",
              RESOLVE + rx(big, F_OUR_MAC | F_REPAIR) + RESOLVE + rx(big, F_OUR_MAC | F_REPAIR) + bytes([RUN]))
    for vip, port in (("10.1.0.80", 53), ("10.1.0.92", 53), ("fd00:1::80", 53), ("fd00:1::93", 53)):
        pieces = fragments(vip, port)
        flow = RESOLVE + rx(all_["udp6" if ":" in vip else "udp4"]) + RESOLVE
        orders = {"inorder": (0, 1, 2), "early": (2, 1, 0), "twice": (1, 1, 0, 2, 2), "overlap": (0, 3, 1, 2),
                  "overlap-early": (1, 3, 0, 2), "two-ends": (0, 2, 4, 1)}
        for name, order in orders.items():
            some = b"".join(rx(pieces[k]) for k in order)
            write("pipeline", f"fragments-{name}-{vip.replace(':', '_')}",
                  flow + some + RESOLVE + some + at(5000) + bytes([RUN]) + rx(pieces[1]) + bytes([RUN]))
    ports = range(61000, 61040) # one for each backend of the target's list
    for name, vip, proto, dport in (("dsr4", "10.1.0.90", TCP, 8080), ("dsr6", "fd00:1::90", UDP, 443),
                                    ("ipip4", "10.1.0.91", TCP, 80), ("gue6", "fd00:1::91", TCP, 80),
                                    ("gue4", "10.1.0.92", UDP, 53), ("full4", "10.1.0.80", TCP, 80)):
        head = IPv6(src="fd00:2::1", dst=vip) if ":" in vip else IP(src="10.2.0.1", dst=vip, flags="DF")
        some = b"".join(rx(eth() / head / proto(sport=p, dport=dport), F_KERNEL | F_SOUTH | F_REPAIR) for p in ports)
        big = rx(eth() / head / proto(sport=ports[7], dport=dport) / Raw(bytes(1480)), F_KERNEL | F_REPAIR)
        write("pipeline", f"probes-{name}", RESOLVE + some + RESOLVE + some + big + bytes([RUN])
              + b"".join(bytes([EDIT, e]) + some + bytes([RUN]) for e in (2, 3, 6, 7)))
    for name, vip in ("4", "10.1.0.99"), ("6", "fd00:1::99"), ("-cold", "10.1.0.98"):
        for kind, requests in cache_requests().items():
            write("pipeline", f"cache{name}-{kind}", b"".join(
                rx(eth() / client_to(vip) / UDP(sport=40000 + n, dport=11211) / Raw(struct.pack(">HHHH", n, 0, 1, 0) + r))
                + (at(700) if n % 2 else b"") + bytes([RUN]) for n, r in enumerate(requests)))
    sets = [rx(eth() / client_to("10.1.0.99") / UDP(sport=40000, dport=11211) / Raw(bytes([0, n, 0, 0, 0, 1, 0, 0]) + r))
            for n, r in enumerate((b"set k 5 2 1\r\nv\r\n", b"get k j\r\nmg k v t s\r\nstats\r\n"))]
    write("pipeline", "cache-edits", sets[0] + b"".join(bytes([EDIT, e]) + sets[1] + at(900) + sets[0] + bytes([RUN, FLOOD, 9])
          for e in (*range(0xf4, 0x100), *range(0xd9, 0xe0), *range(0xd9, 0xe0))))
    write("pipeline", "segments", RESOLVE + rx(all_["tcp4-ack"], 4 | 8 | 32) + rx(all_["udp4"], 4 | 8 | 32)
          + rx(all_["echo4"], 4 | 8 | 32) + rx(all_["echo6"], 4 | 8 | 32) + bytes([RUN]))


# --- messages ---

U8, U16, U32, U64 = "<B", "<H", "<I", "<Q"


def tlv(tag, value):
    return struct.pack("<HH", tag, len(value)) + value


def num(tag, fmt, v):
    return tlv(tag, struct.pack(fmt, v))


def text(tag, s):
    return tlv(tag, s.encode())


def ip(tag, s):
    if not s:
        return tlv(tag, b"\0")
    six = ":" in s
    return tlv(tag, bytes([6 if six else 4]) + socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, s))


SETTINGS, ADDR, GATEWAY, SNAT, SERVICE, BACKEND = range(1, 7)
CACHE, ACL = 7, 8
ALLOW, DENY = 1, 2
FULLNAT, DSR = 1, 2
MAGLEV, WRR = 1, 2
TCP_, UDP_ = 6, 17


def obj(kind, *fields):
    return num(1, U8, kind) + b"".join(fields)


def settings():
    return obj(SETTINGS, tlv(16, bytes(range(16))))


def addr(port, a, n):
    return obj(ADDR, text(16, port), ip(17, a), num(18, U8, n))


def gateway(port, a):
    return obj(GATEWAY, text(16, port), ip(17, a))


def snat(a):
    return obj(SNAT, ip(16, a))


def service(name, vip, port, proto=TCP_, mode=FULLNAT, sched=WRR, size=0):
    return obj(SERVICE, text(16, name), ip(17, vip), num(18, U16, port), num(19, U8, proto),
               num(20, U8, mode), num(21, U8, sched), num(22, U32, size), num(23, U32, 500),
               num(24, U32, 3000), num(25, U32, 500), num(26, U32, 1000))


def backend(srv, name, a, port, weight=1, state=1, probe_port=None):
    more = [] if probe_port is None else [num(28, U16, probe_port)]
    return obj(BACKEND, text(16, srv), text(17, name), ip(18, a), num(19, U16, port),
               num(20, U16, weight), num(21, U8, state), *more)


def acl(srv, a, length, action):
    return obj(ACL, text(16, srv), ip(17, a), num(18, U8, length), num(19, U8, action))


def cache(name, memory, policy=4):
    return obj(CACHE, text(16, name), num(17, U64, memory), num(18, U8, policy), num(19, U32, 65536), num(20, U32, 100),
               num(21, U32, 5000), num(22, U16, 125), num(23, U32, 30))


def cached(name, vip, of):
    return service(name, vip, 11211, UDP_, 6, 3) + text(63, of) + num(64, U32, 1000)


MODEL = [settings(), addr("north", "10.1.0.1", 24), addr("south", "10.2.0.1", 24),
         addr("north", "fd00:1::1", 64), addr("south", "fd00:2::1", 64), gateway("north", "10.1.0.254"),
         gateway("north", "fd00:1::fe"), snat("10.2.0.100"), snat("fd00:2::100"),
         service("web", "10.1.0.80", 80), backend("web", "w1", "10.2.0.11", 8080),
         backend("web", "w2", "10.2.0.12", 8080, 3), service("six", "fd00:1::80", 80, sched=MAGLEV, size=251),
         backend("six", "w1", "fd00:2::11", 8080), service("dns", "10.1.0.80", 53, UDP_),
         backend("dns", "d1", "10.2.0.13", 5353, state=2),
         service("direct", "10.1.0.90", 8080, mode=DSR, sched=MAGLEV, size=13),
         backend("direct", "w1", "10.2.0.11", 8080), backend("direct", "w3", "10.2.0.13", 8080, state=3)]
ACLS = [acl("direct", "0.0.0.0", 0, DENY), acl("direct", "10.1.0.0", 24, ALLOW), acl("six", "fd00:1::10", 128, DENY)]

HELLO, STATUS, BEGIN, PUT, DEL, PREPARE, COMMIT, ABORT, DUMP = range(1, 10)
PORTS, COUNTERS, SERVICES, BACKENDS, CONNS, NEIGHS, WORKERS, CONN_KILL = range(16, 24)
CACHES_, CACHE_GET, CACHE_PURGE, CACHE_HOTKEYS, CACHE_LATENCY, CACHE_BIGKEYS, TCP_ = range(29, 36)
REQUESTS = [HELLO, STATUS, BEGIN, PUT, DEL, PREPARE, COMMIT, ABORT, DUMP, PORTS, COUNTERS, SERVICES,
            BACKENDS, CONNS, NEIGHS, WORKERS, CONN_KILL]


def frame(kind, body=b"", request=1, flags=0):
    return struct.pack("<IHHI", len(body) + 8, kind, flags, request) + body


def hello_body():
    return num(2, U16, 1) + text(3, "fuzz")


def status_row(generation=0, digest=bytes(16)):
    return (num(2, U16, 1) + text(3, "millraced 0.1.0") + num(4, U32, 77) + num(5, U64, 1234)
            + num(6, U64, generation) + tlv(7, digest) + num(8, U64, 99) + num(9, U16, 2) + num(10, U16, 2)
            + num(11, U64, 4096) + num(12, U64, 3) + num(13, U64, 1) + num(14, U32, 5))


def error_row(code=4):
    return num(2, U16, code) + text(3, "service/web") + text(4, "because")


def u64s(first, n):
    return b"".join(num(first + i, U64, i + 1) for i in range(n))


CONN_ROW = (text(2, "web") + text(3, "w1") + num(4, U8, 6) + num(5, U8, 3) + ip(6, "10.1.0.10")
            + num(7, U16, 40000) + ip(8, "10.1.0.80") + num(9, U16, 80) + ip(10, "10.2.0.100")
            + num(11, U16, 2000) + ip(12, "10.2.0.11") + num(13, U16, 8080) + num(14, U16, 1)
            + num(15, U32, 10) + num(16, U32, 900) + num(17, U64, 4) + num(18, U64, 1) + num(19, U32, 70))
CONN_TIMES = num(9, U32, 1) + num(10, U32, 9000) + num(11, U32, 2) + num(12, U32, 8000)
ROWS = {
    HELLO: status_row(), STATUS: status_row(7),
    PORTS: text(2, "north") + text(3, "0000:00:05.0") + text(4, "net_ring") + tlv(5, b"\2\0\0\0\0\1")
    + num(6, U8, 1) + num(7, U32, 10000) + num(8, U16, 1500) + num(9, U16, 2) + num(10, U16, 2)
    + text(11, "rss") + text(12, "rss") + text(13, "mr-north") + u64s(20, 8),
    COUNTERS: text(2, "ttl") + text(3, "packets") + num(4, U8, 1) + num(5, U64, 3) + text(6, "help"),
    SERVICES: text(2, "web") + u64s(3, 8), BACKENDS: text(2, "web") + text(3, "w1") + u64s(4, 6),
    CONNS: CONN_ROW,
    NEIGHS: text(2, "south") + ip(3, "10.2.0.11") + tlv(4, b"\2\xbb\0\0\0\1") + num(5, U8, 2) + num(6, U32, 5),
    WORKERS: num(2, U16, 0) + num(3, U16, 1) + u64s(4, 8), CONN_KILL: num(2, U64, 3),
    CACHES_: text(2, "hot") + num(3, U8, 4) + u64s(4, 3) + num(7, U32, 63) + num(10, U32, 1) + u64s(20, 26),
    CACHE_GET: num(2, U32, 3000) + num(3, U32, 9) + num(4, U64, 2**64 - 1) + num(5, U32, 2**32 - 1) + num(7, U8, 1)
    + tlv(8, b"a\\\r\0\xff\xc3\xa4"),
    CACHE_HOTKEYS: tlv(2, b"k\0") + num(3, U64, 12500) + num(4, U64, 250),
    CACHE_LATENCY: text(2, "get") + u64s(3, 7),
    CACHE_BIGKEYS: tlv(2, b"\xff") + num(3, U32, 900) + num(4, U32, 800) + num(5, U32, 2**32 - 1),
    TCP_: text(2, "buffers") + num(3, U8, 1) + u64s(4, 2) + text(6, "help"),
}
SERVED_ROW = (text(2, "talk") + text(3, "") + num(4, U8, 6) + num(5, U8, 4) + ip(6, "10.1.0.10") + num(7, U16, 40000)
              + ip(8, "10.1.0.99") + num(9, U16, 11211) + num(16, U32, 2**32 - 1) + text(20, "CLOSE-WAIT")
              + b"".join(num(i, U32, i) for i in range(21, 28)) + num(28, U64, 1) + num(29, U64, 2**63))
BODIES = {
    HELLO: hello_body(), BEGIN: num(2, U64, 0), DEL: text(2, "service/web"),
    PREPARE: num(2, U64, 1) + tlv(3, bytes(16)), COMMIT: num(2, U64, 1),
    CONNS: text(2, "web") + text(3, "w1") + ip(4, "10.1.0.10") + num(5, U8, 3) + num(6, U32, 10) + num(7, U8, 0)
    + num(8, U8, 24) + CONN_TIMES,
    CONN_KILL: ip(4, "10.1.0.10") + num(8, U8, 32) + CONN_TIMES,
    CACHE_GET: text(2, "hot") + tlv(3, b"a\0"), CACHE_PURGE: text(2, "hot") + tlv(3, b"a\r") + num(4, U8, 0),
    CACHE_HOTKEYS: text(2, "hot") + num(3, U16, 5), CACHE_BIGKEYS: text(2, "hot"), CACHE_LATENCY: text(2, "hot"),
}


def object_seeds():
    write("object", "error", bytes([0]) + error_row())
    for i, r in enumerate(REQUESTS):
        if r in BODIES:
            write("object", f"request-{r}", bytes([1 + 2 * i]) + BODIES[r])
        if r in ROWS:
            write("object", f"row-{r}", bytes([2 + 2 * i]) + ROWS[r])
    for r in range(CACHES_, TCP_ + 1):  # messages are numbered in the order of MR_REQUESTS
        i = 22 + r - CACHES_
        if r in BODIES:
            write("object", f"request-{r}", bytes([1 + 2 * i]) + BODIES[r])
        if r in ROWS:
            write("object", f"row-{r}", bytes([2 + 2 * i]) + ROWS[r])
    for i, o in enumerate(MODEL[:10] + MODEL[10:11]):
        write("object", f"object-{i}", b"\xff" + o)
    probed = [service("direct", "10.1.0.90", 80, mode=DSR), backend("direct", "w1", "10.2.0.11", 80, probe_port=61000),
              backend("direct", "w2", "10.2.0.12", 80, probe_port=65535)]
    write("object", "probe", b"\xff" + probed[1])
    write("object", "probe-below", b"\xff" + backend("direct", "w1", "10.2.0.11", 80, probe_port=60999))
    write("object", "probe-twice", b"\xfd" + b"".join(bytes([0, len(o)]) + o for o in MODEL[:1] + probed[:2] + [
        backend("direct", "w3", "10.2.0.13", 80, probe_port=61000)]))
    write("object", "object-acl", b"\xff" + ACLS[1])
    write("object", "object-cache", b"\xff" + cache("hot", 1 << 28))
    write("object", "object-cache-service", b"\xff" + cached("sessions", "10.1.0.100", "hot"))
    write("object", "model-cache", b"\xfd" + b"".join(bytes([2 * (i & 1), len(o)]) + o for i, o in enumerate(
        [cached("sessions", "10.1.0.100", "hot"), cache("hot", 1 << 28), cache("cold", 1 << 30), cache("hot", 1 << 29)]))
          + bytes([1, len("cache/hot")]) + b"cache/hot")
    write("object", "model-acl", b"\xfd" + b"".join(bytes([2 * (i & 1), len(o)]) + o for i, o in enumerate(ACLS + ACLS[:1]))
          + bytes([1, len("acl/direct/0.0.0.0/0")]) + b"acl/direct/0.0.0.0/0")
    write("object", "unknown-tag", b"\xff" + settings() + tlv(999, b"later"))
    write("object", "twice", b"\xff" + settings() + tlv(16, bytes(16)))
    write("object", "frames", b"\xfe" + frame(HELLO, hello_body()) + frame(STATUS) + frame(DUMP)[:7])
    ops = b"".join(bytes([2 * (i & 1), len(o)]) + o for i, o in enumerate(MODEL))
    for key in ("service/web", "backend/web/w1", "settings", "addr/north/10.1.0.1/24", "nothing"):
        ops += bytes([1, len(key)]) + key.encode()
    write("object", "model", b"\xfd" + ops)


def frames_seeds():
    (bytes_, frame_, hello, begin, prepare, commit, put, read, close, poll, work) = (
        lambda c=0, op=op: op | c << 4 for op in range(11))

    def send(data, c=0):
        return bytes([bytes_(c)]) + struct.pack(">H", len(data)) + data

    def ask(kind, body=b"", c=0):
        return bytes([frame_(c), kind]) + struct.pack(">H", len(body)) + body

    up = bytes([hello()])
    txn = up + bytes([begin()])
    puts = b"".join(bytes([put(), i + 16]) for i in range(10))
    turn = bytes([poll()])
    for r in REQUESTS + [CACHES_, CACHE_GET, CACHE_PURGE, TCP_]:
        write("frames", f"request-{r}", up + ask(r, BODIES.get(r, b"")) + turn)
    write("frames", "commit", txn + puts + bytes([prepare(), commit(), poll()]) + b"".join(
        ask(r, BODIES[CONNS][:0]) for r in (DUMP, PORTS, SERVICES, BACKENDS, CONNS, NEIGHS, WORKERS))
        + turn * 2 + txn[1:] + ask(DEL, text(2, "backend/web/w1")) + bytes([prepare(), commit()]))
    write("frames", "model", txn + b"".join(ask(PUT, o) for o in MODEL) + bytes([prepare(), commit(), poll()])
          + ask(DUMP) + bytes([work(), 4, 0]) + ask(CONNS, num(7, U8, 1)))
    write("frames", "acl", txn + b"".join(ask(PUT, o) for o in MODEL + ACLS) + bytes([prepare(), commit(), poll()])
          + ask(DUMP) + txn[1:] + ask(DEL, text(2, "acl/direct/0.0.0.0/0")) + ask(DEL, text(2, "service/six"))
          + bytes([prepare(), commit(), poll()]))
    on_caches = b"".join(ask(r, BODIES.get(r, b"")) for r in (CACHES_, CACHE_GET, CACHE_PURGE))
    write("frames", "caches", txn + bytes([put(), 0, put(), 1, put(), 12, put(), 10, put(), 11, prepare(), commit(), poll()])
          + on_caches + txn[1:] + bytes([put(), 0xfa, prepare(), commit(), work(), 4, 0]) + on_caches + turn
          + txn[1:] + ask(DEL, text(2, "cache/hot")) + bytes([prepare(), commit()]) + ask(DEL, text(2, "service/sessions"))
          + ask(DEL, text(2, "acl/sessions/10.1.0.0/24")) + bytes([prepare(), commit(), poll()]) + on_caches + turn)
    write("frames", "cache-wants-clients", txn + bytes([put(), 10, put(), 11, prepare(), commit(), poll()]) + turn)
    write("frames", "conn-clients", up + ask(CONNS, num(6, U32, 5) + num(7, U8, 2) + num(13, U8, 24) + num(14, U8, 64))
          + bytes([poll(), work(), 0, 1] * 4) + turn + ask(CONNS, num(7, U8, 2) + num(13, U8, 33)))
    write("frames", "conn-served", up + b"".join(ask(CONNS, num(7, U8, n) + num(16, U8, 1)) + bytes([poll(), work(), 0, 1] * 2)
                                                 for n in range(3)) + ask(CONN_KILL, num(16, U8, 1)) + ask(TCP_) + turn * 2)
    write("frames", "conn-kill", up + ask(CONN_KILL) + ask(CONN_KILL, num(15, U8, 1)) + bytes([poll(), work(), 0, 1] * 3)
          + ask(CONN_KILL, ip(4, "fd00:1::10") + num(8, U8, 129)) + ask(CONN_KILL, num(5, U8, 7))
          + ask(CONN_KILL, num(15, U8, 1)) + bytes([close(), poll(), work(), 0, 1, poll()]))
    write("frames", "abort", txn + puts + ask(ABORT) + bytes([begin()]) + puts[:8] + bytes([close(), poll()]))
    write("frames", "busy", txn + bytes([hello(1), begin(1), poll()]) + puts + bytes([close(), begin(1), poll()]))
    write("frames", "after-prepare", txn + puts + bytes([prepare()]) + puts[:2] + bytes([prepare(), commit(1),
          hello(1), commit(1), commit()]))
    write("frames", "refused", txn + puts[2 * 6:] + bytes([prepare()]) + turn)
    write("frames", "before-hello", ask(STATUS) + turn)
    write("frames", "version", ask(HELLO, num(2, U16, 9) + text(3, "x")) + turn)
    whole = frame(HELLO, hello_body()) + frame(STATUS) + frame(PORTS)
    write("frames", "halves", b"".join(send(whole[i:i + 5]) + turn for i in range(0, len(whole), 5)))
    write("frames", "pipelined", send(whole + frame(DUMP) * 3 + frame(COUNTERS)) + turn)
    write("frames", "too-long", up + send(b"\xff\xff\xff\x7f") + turn)
    write("frames", "too-short", up + send(b"\x03\0\0\0abc") + turn)
    write("frames", "half-at-the-end", up + send(frame(PUT, MODEL[1])[:-3]))
    write("frames", "dump-and-go", up + ask(CONNS, num(6, U32, 5)) + bytes([close(), poll(), work(), 0, 1, poll()]))
    write("frames", "two-dumps", up + bytes([hello(1)]) + ask(CONNS) + ask(CONNS, c=1) + turn + ask(STATUS)
          + bytes([work(), 0, 1, poll(), read(), 255, 255]))


# --- configurations ---

CONF = """version: 1
node: { name: box, hash_key_file: /nonexistent }
network:
  ports:
    north: { addresses: [10.1.0.1/24, "fd00:1::1/64"], gateways: [10.1.0.254] }
    south: { addresses: [10.2.0.1/24, "fd00:2::1/64"] }
  snat: [10.2.0.100-10.2.0.101, "fd00:2::100"]
checks:
  h: { type: http, path: /health, host: a.example, expect: [200, 204-299], interval: 2s, timeout: 500ms, rise: 2, fall: 3, jitter: 10% }
  t:
    type: tcp
    port: 9000
pools:
  web:
    check: h
    backends:
      - { name: w1, ip: 10.2.0.11, port: 8080, weight: 100, max_connections: 7 }
      - { name: w2, ip: 10.2.0.12, weight: 0 }
  six: { check: t, backends: [ { name: w1, ip: "fd00:2::11", quic_server_id: 0aFF00 } ] }
  none: { backends: [] }
services:
  shop: { vip: 10.1.0.80, port: 80, proto: tcp, mode: full-nat, scheduler: maglev, maglev_size: 251, pool: web, max_connections: 900,
    new_connections_per_second: 5000, source_rate: 50, source_rate_prefix: 24, packets_per_second: 90000 }
  six:
    vip: "fd00:1::80"
    port: 53
    proto: udp
    mode: dsr-l2
    scheduler: wrr
    pool: six
    timeouts: { syn: 10s, established: 15m, fin: 30s, udp: 60s }
    quic: { server_id_length: 3, server_id_offset: 1, config_id: 6 }
  gue: { vip: "fd00:1::91", port: 8080, mode: gue, gue_port: 5555, pool: web }
  ipip: { vip: 10.1.0.91, port: 8080, mode: ipip, pool: none, allow: [10.0.0.0/8, 192.0.2.1], deny: [0.0.0.0/0] }
"""

CHECKS = r"""version: 1
checks:
  m: { type: memcached, port: 11211 }
  r: { type: redis }
  u: { type: udp, send: 'a\r\n\t\\\x00\xfF', expect: '\x00ok' }
  i: { type: icmp, interval: 1s }
  e: { type: exec, command: [/bin/true, "", 'a b', ''''], timeout: 1s }
pools:
  p: { check: u, backends: [ { name: a, ip: 10.2.0.11 } ] }
services:
  s: { vip: 10.1.0.80, port: 80, mode: dnat, pool: p, panic_threshold: 50% }
"""

CACHES = """version: 1
network: { ports: { n: { addresses: [10.2.0.1/24] } } }
caches:
  hot: { memory: 256MB, eviction: s3fifo, value_max: 64KB, item_size: 100, lease: 5s, early_refresh: 1.25, serve_stale: 30s }
  cold: { memory: 1GB }
services:
  sessions: { kind: cache, vip: 10.1.0.100, port: 11211, proto: udp, cache: hot, allow: [10.1.0.0/24], reply_rate: 100MB }
  six: { kind: cache, vip: "fd00:1::80", port: 11211, proto: udp, cache: hot, allow: ["fd00:1::/64"], deny: ["fd00:1::9"] }
  over: { kind: cache, vip: 10.1.0.100, port: 11211, cache: hot, deny: [10.1.0.9], max_connections: 100,
    new_connections_per_second: 9, source_rate: 5, source_rate_prefix: 24, timeouts: { established: 1h } }
"""

BAD_CONFS = {
    "cache-name": CACHES.replace("cache: hot, allow: [10", "cache: hut, allow: [10"),
    "cache-pool": CACHES.replace("reply_rate:", "pool:"), "cache-tcp": CACHES.replace("proto: udp, ", ""),
    "cache-mode": CACHES.replace("kind: cache, vip: 10", "mode: cache, vip: 10"),
    "cache-sizes": CACHES.replace("256MB", "8589934592GB").replace("64KB", "1.5KB").replace("1.25", "1.125"),
    "cache-open": CACHES.replace(", allow: [10.1.0.0/24]", ""), "cache-kind": CACHES.replace("kind: cache", "kind: cash"),
    "empty": "", "version": "version: 2\n", "typo": CONF.replace("weight:", "weigth:"),
    "twice": CONF + "node: {}\n", "tab": "version: 1\n\tnode: {}\n", "anchor": "version: &a 1\nnode: *a\n",
    "tag": "version: !!int 1\n", "directive": "%YAML 1.2\n---\nversion: 1\n", "two": CONF + "---\nversion: 1\n",
    "merge": "version: 1\nnode: { <<: { name: a } }\n", "depth": "[" * 17, "nul": "version: 1\0\n",
    "latin1": b"version: 1\nnode: { name: \"\xe4\" }\n", "bom": b"\xef\xbb\xbfversion: 1\n",
    "cut-in-utf8": "version: 1\nnode:\n  " + "\u00e4" * 140 + ": 1\n", "literal": "version: |\n  1\n",
    "quoted": "version: \"1\"\nnode: { name: 'b''ox' }\n", "escape": "version: \"\\x31\\u0007\"\n",
    "folded": "version: 1\nnode:\n  name: a\n    b\n", "crlf": CONF.replace("\n", "\r\n"),
    "family": CONF.replace("10.2.0.12", "fd00:2::12"), "overlap": CONF.replace("10.2.0.100-", "10.2.0.1-"),
    "vip-twice": CONF.replace("services:", "services:\n  too: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }"),
    "quic-length": CONF.replace("0aFF00", "0aFF"), "quic-hex": CONF.replace("0aFF00", "0aFF0"),
    "quic-tcp": CONF.replace("proto: udp", "proto: tcp"),
    "edits": CONF.replace("pool: web, max", "pool: web, mss: 1400, client_address: proxy-v2, max"),
    "range": CONF.replace("10.2.0.101", "10.2.1.101"), "flow": "{version: 1, network: {ports: {}}}",
}


def conf_seeds():
    write("conf", "whole", CONF)
    write("conf", "minimal", "version: 1\n")
    write("conf", "unicode", CONF.replace("# ", "# \u00e4\u4e16\U0001f600 "))
    write("conf", "checks", CHECKS)
    write("conf", "caches", CACHES)
    write("conf", "via", CHECKS.replace("type: udp,", "type: udp, via: service,").replace("proto: udp,", "").replace(
        "mode: dnat", "proto: udp, mode: gue") + "network: { ports: { n: { addresses: [10.2.0.1/24] } } }\n")
    write("conf", "via-nobody", CHECKS.replace("type: udp,", "type: udp, via: service,"))
    write("conf", "escape-cut", CHECKS.replace(r"\xfF", "\\x"))
    for name, t in BAD_CONFS.items():
        write("conf", name, t)


METHODS = {
    "status": {}, "config.export": {}, "service.show": {"name": "shop"}, "backend.show": {"pool": "web", "name": "w1"},
    "backend.drain": {"pool": "web", "name": "w1"}, "backend.undrain": {"pool": "web", "name": "w1"},
    "backend.weight": {"pool": "web", "name": "w2", "weight": 7}, "health.show": {"pool": "web"},
    "conn.show": {"service": "shop", "backend": "web/w1", "client": "10.1.0.10", "state": "syn", "limit": 5},
    "conn.kill": {"backend": "w1", "client": "10.1.0.0/24", "older_than_ms": 1, "younger_than_ms": 9000,
                  "idle_longer_than_ms": 2, "idle_shorter_than_ms": 8000},
    "conn.count": {"by": "client", "prefix": 24, "prefix6": 64, "top": 3, "state": "established"}, "port.show": {"name": "north"}, "port.stats": {}, "neigh.show": {},
    "worker.show": {}, "drops.show": {"all": True}, "cache.show": {"name": "hot"}, "cache.stats": {"name": "hot"},
    "cache.get": {"name": "hot", "key": "a\\x00\\\\"}, "cache.purge": {"name": "hot", "prefix": "a\\r"},
    "cache.hotkeys": {"name": "hot", "limit": 3}, "cache.bigkeys": {"name": "hot", "limit": 256}, "cache.latency": {"name": "hot"}, "tcp.show": {}, "config.diff": {"text": "version: 1\n", "name": "a.yaml"},
    "config.apply": {"text": "version: 1\nnode: { name: other }\n", "name": "a.yaml", "if_generation": 1,
                     "comment": "why", "dry_run": False},
}
TURN, OTHER = b"\xfe", b"\xff"


def line(method, params=None, id_=1):
    m = {"id": id_, "method": method}
    if params is not None:
        m["params"] = params
    return json.dumps(m, ensure_ascii=False).encode() + b"\n"


def control_seeds():
    for name, params in METHODS.items():
        write("control", name, line(name, params) + TURN + line(name, {}))
        write("control", name + "-bad", line(name, {k: "\u00e4" for k in params} or {"x": []}))
    write("control", "apply-dry", line("config.apply", dict(METHODS["config.apply"], dry_run=True)))
    write("control", "apply-bad", line("config.apply", {"text": CONF.replace("weight", "weigth"), "name": "b"}))
    write("control", "apply-conflict", line("config.apply", dict(METHODS["config.apply"], if_generation=9)))
    write("control", "apply-twice", line("config.apply", METHODS["config.apply"]) * 2 + line("status"))
    write("control", "apply-whole", line("config.apply", {"text": CONF.replace("/nonexistent", "/dev/null"), "name": "c"}))
    write("control", "no-such-long", line("n" + "\u00e4" * 90))
    for key, n in (("name", 254), ("comment", 254)):
        write("control", f"apply-long-{key}", line("config.apply", dict(METHODS["config.apply"],
              **{key: "\u00e4" * n})))
    write("control", "conn-by-backend", line("conn.count", {"by": "backend", "backend": "web/w1"}))
    write("control", "conn-kill-all", line("conn.kill", {"all": True}) + line("conn.kill", {"all": True, "state": "syn"}))
    write("control", "weight-null", line("backend.weight", {"pool": "web", "name": "w1", "weight": None}))
    write("control", "two-clients", line("status") + OTHER + line("drops.show", {}) + OTHER
          + line("conn.show", {}) + TURN + b'{"id"' + TURN + b': 3}\n')
    write("control", "pipelined", b"".join(line(m, p, i) for i, (m, p) in enumerate(METHODS.items()) if m[:6] != "config"))
    for name, t in {"array": b"[]\n", "text": b"hello\n", "empty": b"\n", "cut": b'{"id": 1, "meth', "utf8": b'{"\xe4": 1}\n',
                    "dup": b'{"id": 1, "id": 2}\n', "deep": b"[" * 300 + b"\n", "nul": b'{"id": "\\u0000"}\n',
                    "no-method": b'{"id": 1}\n', "method-int": b'{"method": 1}\n', "params-list": b'{"method": "status", "params": []}\n',
                    "no-such": line("no.such"), "id-object": b'{"id": {"a": [1]}, "method": "status"}\n'}.items():
        write("control", name, t)


R_BYTES, R_ROW, R_LAST, R_ERROR, R_GOOD, R_ASK, R_CLOSE, R_TURN = range(8)
FETCH = 8  # the second connection
QUESTIONS = {0: SERVICES, 1: BACKENDS, 2: CONNS, 3: CONNS, 4: CONNS, 5: CONNS, 6: CONNS, 7: PORTS, 8: NEIGHS,
             9: WORKERS, 10: COUNTERS, 16: CONNS, 17: CONN_KILL, 18: CACHES_, 19: CACHES_,
             20: CACHE_GET, 22: CACHE_HOTKEYS, 23: CACHE_BIGKEYS, 24: CACHE_LATENCY, 25: SERVICES}  # as in fuzz_reply.c


def reply_seeds():
    def with_body(op, body):
        return bytes([op]) + struct.pack(">H", len(body)) + body

    good = bytes([R_GOOD, 0])
    up = good * 3  # HELLO, STATUS, DUMP
    for n, kind in QUESTIONS.items():
        write("reply", f"rows-{n}", bytes([R_ASK, n, R_GOOD | FETCH, 0])
              + with_body(R_ROW | FETCH, ROWS[kind]) * 2 + with_body(R_LAST | FETCH, b""))
        write("reply", f"bad-row-{n}", bytes([R_ASK, n, R_GOOD | FETCH, 0])
              + with_body(R_ROW | FETCH, ROWS[kind][:-1]) + with_body(R_LAST | FETCH, b""))
    write("reply", "rows-tcp", bytes([R_ASK, 25, R_GOOD | FETCH, 0]) + with_body(R_ROW | FETCH, text(2, "talk") + u64s(3, 8))
          + with_body(R_LAST | FETCH, b"") + with_body(R_ROW | FETCH, ROWS[TCP_]) * 2 + with_body(R_LAST | FETCH, b""))
    write("reply", "rows-served", bytes([R_ASK, 2, R_GOOD | FETCH, 0]) + with_body(R_ROW | FETCH, SERVED_ROW) * 2
          + with_body(R_LAST | FETCH, b""))
    write("reply", "push", up + good * 30)
    write("reply", "push-refused", up + good * 5 + bytes([R_ERROR, 4]) + good * 20)
    write("reply", "push-conflict", up + bytes([R_ERROR, 6]) + good * 4 + bytes([R_ERROR, 7]) + good * 8)
    write("reply", "prepare-refused", up + good * 18 + bytes([R_ERROR, 11]) + good * 3)
    write("reply", "hello-refused", bytes([R_ERROR, 2, R_TURN]))
    write("reply", "hello-version", with_body(R_ROW, status_row().replace(b"\1\0", b"\2\0", 1)) + with_body(R_LAST, b""))
    write("reply", "hello-cut", with_body(R_ROW, status_row()[:20]) + with_body(R_LAST, b""))
    write("reply", "dump", good * 2 + b"".join(with_body(R_ROW, o) for o in MODEL) + good * 4)
    write("reply", "dump-unknown", good * 2 + with_body(R_ROW, num(1, U8, 99)) + good)
    write("reply", "apply", up + good * 20 + bytes([R_ASK, 15]) + good * 20)
    write("reply", "apply-refused", up + good * 20 + bytes([R_ASK, 15]) + good * 3 + bytes([R_ERROR, 4]) + good * 9)
    write("reply", "drain-weight", up + good * 20 + bytes([R_ASK, 13, R_ASK, 14]) + good * 20)
    write("reply", "unasked", with_body(R_BYTES, frame(STATUS, ROWS[STATUS], 77, 3)))
    write("reply", "garbage", with_body(R_BYTES, b"\xff" * 40))
    write("reply", "zero-length", with_body(R_BYTES, bytes(16)))
    write("reply", "half", with_body(R_BYTES, frame(HELLO, status_row(), 1, 3)[:30]) + bytes([R_CLOSE]))
    write("reply", "close-with-questions", up + b"".join(bytes([R_ASK, n]) for n in range(25)) + bytes([R_CLOSE | FETCH]))
    write("reply", "error-row", bytes([R_ASK, 3, R_GOOD | FETCH, 0, R_ERROR | FETCH, 6, R_TURN]))


if __name__ == "__main__":
    parse_seeds()
    quic_seeds()
    mc_binary_seeds()
    tcpopt_seeds()
    tcp_seeds()
    mc_seeds()
    mcstream_seeds()
    pipeline_seeds()
    object_seeds()
    frames_seeds()
    conf_seeds()
    control_seeds()
    reply_seeds()
