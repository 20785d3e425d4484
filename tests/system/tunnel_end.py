#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tunnel_end — the backend's end of IP in IP and GUE tunnels, in user space: the kernels of test machines may have
neither.

usage: tunnel_end.py GUE_PORT

Takes the outer header off whatever arrives (protocols 4 and 41 of both families, and GUE variant 0 on the UDP
port) and gives the inner packet to the kernel by a TUN interface. Counts on standard output at the end (SIGTERM)
and refuses what breaks the rules: outer "don't fragment" and time to live over IPv4, a UDP checksum over IPv6 (which the
kernel has verified), GUE without flags.
"""
import fcntl
import os
import select
import signal
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
PROTO_OF_VERSION = {4: 4, 6: 41}
counts = {}


def tun():
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN | IFF_NO_PI))
    os.system("ip link set tun0 mtu 1500 up")
    return fd


def count(what):
    counts[what] = counts.get(what, 0) + 1


def end(*_):
    print(" ".join(f"{k}={v}" for k, v in sorted(counts.items())), flush=True)
    sys.exit(1 if "bad" in counts else 0)


def deliver(out, kind, outer, proto, inner):
    if not inner or PROTO_OF_VERSION.get(inner[0] >> 4) != proto:
        count("bad")
        print(f"bad: {kind} in IPv{outer} says protocol {proto}: {inner[:40].hex()}", flush=True)
        return
    count(f"{kind}-{inner[0] >> 4}in{outer}")
    os.write(out, inner)


def main():
    port, out = int(sys.argv[1]), tun()
    raws = {}
    for family, outer in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
        for proto in (4, 41):
            raws[socket.socket(family, socket.SOCK_RAW, proto)] = (outer, proto)
    gues = {}
    for family, outer in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if outer == 6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("", port))
        gues[s] = outer
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        for s in select.select([*raws, *gues], [], [])[0]:
            data = s.recv(65535)
            if s in gues:
                if len(data) < 4 or data[0] != 0 or data[2:4] != b"\0\0":
                    count("bad")
                    continue
                deliver(out, "gue", gues[s], data[1], data[4:])
                continue
            outer, proto = raws[s]
            if outer == 4: # a raw socket of IPv4 gets the header, too
                if data[0] != 0x45 or not data[6] & 0x40 or data[8] not in (63, 64):  # a router may be on the way
                    count("bad")
                data = data[20:]
            deliver(out, "ipip", outer, proto, data)


main()
