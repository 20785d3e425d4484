#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""quic_server — a server with the headers of QUIC version 1 and nothing behind them.

usage: quic_server.py NAME PORT SERVER_ID

Answers an Initial with a Handshake packet whose source connection id is a new one of its own: configuration 0, the
server id (hexadecimal), a nonce. Answers a short header with its name, and whether it knows the connection: what a
real server would answer with a stateless reset, this one answers with "stranger". The answer leaves from the
address that was asked, as behind direct return it must.
"""
import os
import socket
import sys

name, port, server_id = sys.argv[1].encode(), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
CID_LEN = 1 + len(server_id) + 6
known = set()


def answer_to(data):
    if not data[0] & 0x80:
        return name + (b" friend" if data[1:1 + CID_LEN] in known else b" stranger")
    if data[0] >> 4 != 0xc:
        return name + b" stranger"
    scid_at = 6 + data[5]
    scid = data[scid_at + 1:scid_at + 1 + data[scid_at]]
    # three bits of configuration 0; the rest of the byte is free
    cid = bytes([os.urandom(1)[0] & 0x1f]) + server_id + os.urandom(6)
    known.add(cid)
    return b"\xe0\0\0\0\1" + bytes([len(scid)]) + scid + bytes([len(cid)]) + cid + name


s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
s.bind(("::", port))
while True:
    data, asked, _, peer = s.recvmsg(65535, 256)
    info = [(level, kind, value[:16] + bytes(4)) for level, kind, value in asked if kind == socket.IPV6_PKTINFO]
    s.sendmsg([answer_to(data)], info, 0, peer)
