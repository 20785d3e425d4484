#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""hostile_frames — sends frames that are almost right.

usage: hostile_frames.py INTERFACE N SOURCE4 VIP4 SOURCE6 VIP6 MAC

Takes valid frames to the virtual addresses (TCP, UDP, ICMP, fragments, options, extension headers, ARP,
NDP, VLAN) and cuts, lengthens or flips a few bytes of each, with a fixed seed. Every tenth is sent as it
is but from other ports, so that hostile flows and broken ones mix.
"""
import logging
import random
import socket
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)  # it warns of what we mean
from scapy.all import (ARP, Dot1Q, Ether, ICMP, ICMPv6EchoRequest, ICMPv6ND_NS, IP, IPOption_RR, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN,
                       Raw, TCP, UDP)


def seeds(s4, v4, s6, v6, mac):
    e = Ether(dst=mac, src="02:00:00:00:00:66")
    l3 = [IP(src=s4, dst=v4), IPv6(src=s6, dst=v6), IP(src=s4, dst=v4, options=[IPOption_RR()]),
          IPv6(src=s6, dst=v6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
          / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
          IPv6(src=s6, dst=v6) / IPv6ExtHdrRouting(), IP(src=s4, dst=v4, flags="MF", id=7),
          IP(src=s4, dst=v4, frag=100, id=7), IPv6(src=s6, dst=v6) / IPv6ExtHdrFragment(m=1, id=9),
          IP(src="127.0.0.1", dst=v4), IP(src="224.0.0.1", dst=v4), IP(src=v4, dst=v4)]
    l4 = [TCP(sport=99, dport=80, flags=f) for f in ("S", "A", "FA", "R", "SFRPAU", "")]
    l4 += [TCP(sport=99, dport=80, flags="S", options=[("MSS", 1460), ("WScale", 7), ("NOP", None)]),
           UDP(sport=99, dport=80) / Raw(b"x" * 40), UDP(sport=99, dport=80, len=4),
           TCP(sport=99, dport=80, dataofs=15, flags="S"), TCP(sport=99, dport=80, dataofs=2, flags="S"),
           ICMP() / Raw(b"y" * 56), ICMPv6EchoRequest(data=b"z" * 56)]
    frames = [e / a / b for a in l3 for b in l4]
    frames += [e / IP(src=s4, dst=v4) / ICMP(type=3, code=4) / IP(src=v4, dst=s4) / TCP(sport=80, dport=99),
               Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:66") / ARP(psrc=s4, pdst=v4),
               Ether(dst="02:00:00:00:00:77", src="02:00:00:00:00:66") / IP(src=s4, dst=v4) / TCP(dport=80),
               e / ARP(op=2, psrc=v4, hwsrc="02:00:00:00:00:66", pdst=v4),
               e / IPv6(src=s6, dst=v6) / ICMPv6ND_NS(tgt=v6), e / Dot1Q(vlan=5) / IP(src=s4, dst=v4) / TCP()]
    return [bytes(f) for f in frames]


def mutate(r, frame):
    f = bytearray(frame)
    how = r.randrange(10)
    if how < 3:
        return bytes(f[:r.randrange(14, len(f) + 1)])
    if how == 3:
        return bytes(f) + r.randbytes(r.randrange(1, 60))
    if how < 9:
        for _ in range(r.randrange(1, 4)):
            # headers, mostly; never the destination MAC address, or the switch would keep it from us
            f[r.randrange(12, min(len(f), 80))] = r.randrange(256)
        return bytes(f)
    sport = r.randrange(1024, 65536).to_bytes(2, "big")
    at = 34 if f[12:14] == b"\x08\x00" else 54
    f[at:at + 2] = sport
    return bytes(f)


def main():
    interface, n, s4, v4, s6, v6, mac = sys.argv[1:]
    frames = seeds(s4, v4, s6, v6, mac)
    r = random.Random(20)
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    for i in range(int(n)):
        frame = frames[i % len(frames)]
        if i >= len(frames):
            frame = mutate(r, frame)
        out.send(frame[:1514])
    print(f"{n} frames sent")


main()
