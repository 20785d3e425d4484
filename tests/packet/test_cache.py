# SPDX-License-Identifier: BSD-3-Clause
"""memcached over UDP, answered where it is received: frames, long answers, who may ask, what is dropped and counted."""
from box import *

VIP = {4: "10.1.0.100", 6: "fd00:1::100"}
CLIENT = {4: "10.1.0.10", 6: "fd00:1::10"}
NAME = {4: "mem4", 6: "mem6"}
DATAGRAM, HEADER = 1400, 8
S3FIFO, LRU = 4, 2


def frame(request_id=7, sequence=0, total=1):
    return struct.pack("!HHHH", request_id, sequence, total, 0)


def ask(data, family=4, src=None, sport=40000, head=None, **udp):
    ip = IP(src=src or CLIENT[4], dst=VIP[4]) if family == 4 else IPv6(src=src or CLIENT[6], dst=VIP[6])
    return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip / UDP(sport=sport, dport=11211, **udp)
            / Raw((frame() if head is None else head) + data))


class Cache(PacketTest):
    cache_mb = 64
    memory = 4 << 20

    def setUp(self):
        super().setUp()
        self.cache()
        for family in 4, 6:
            service(self.box, name=NAME[family], vip=VIP[family], port=11211, proto=UDP_PROTO,
                    mode=CACHE, sched=RR, cache="hot")
            self.box.put("acl", service=NAME[family], ip={4: "10.1.0.0", 6: "fd00:1::"}[family],
                         prefix_len={4: 24, 6: 64}[family], action=1)
        self.apply()

    def cache(self, **fields):
        self.box.put("cache", **{"name": "hot", "memory_bytes": self.memory, "eviction": S3FIFO,
                                 "value_max": 20000, **fields})

    def answers(self, out, family=4, sport=40000, request_id=7):
        """The answers in these frames, each joined; every header is right."""
        found, want = [], 0
        for what, port, data in out:
            p = Ether(data)
            self.assertEqual((what, port, p.src, p.dst), ("out", "north", NORTH_MAC, CLIENT_MAC))
            ip = p[IP if family == 4 else IPv6]
            self.assertEqual((ip.src, ip.dst), (VIP[family], CLIENT[family]))
            self.assertEqual((p[UDP].sport, p[UDP].dport), (11211, sport))
            rebuilt = Ether(src=p.src, dst=p.dst) / (
                IP(src=ip.src, dst=ip.dst, flags="DF", id=0) if family == 4
                else IPv6(src=ip.src, dst=ip.dst)) / UDP(sport=11211, dport=sport) / Raw(bytes(p[UDP].payload))
            self.assertEqual(raw(rebuilt), data, "lengths and checksums")
            body = bytes(p[UDP].payload)
            self.assertLessEqual(len(body), DATAGRAM)
            rid, sequence, total, reserved = struct.unpack("!HHHH", body[:HEADER])
            self.assertEqual((rid, reserved), (request_id, 0))
            self.assertEqual(sequence, len(found[-1][1]) if want else 0)
            if not want:
                want = total
                found.append((total, []))
            found[-1][1].append(body[HEADER:])
            self.assertEqual(total, found[-1][0])
            want -= 1
        self.assertEqual(want, 0, "whole answers")
        return [b"".join(parts) for _, parts in found]

    def say(self, data, family=4, **more):
        return self.answers(self.box.run(ask(data, family, **more)), family)

    def refused(self, reason, *frames):
        before = self.box.counters()[0].get(reason, 0)
        self.assertEqual(self.box.run(*frames), [])
        self.assertEqual(self.box.counters()[0].get(reason, 0), before + len(frames))


class Requests(Cache):
    def test_what_is_set_is_got_over_both_families(self):
        for family in 4, 6:
            self.assertEqual(self.say(b"get k%d\r\n" % family, family), [b"END\r\n"])
            self.assertEqual(self.say(b"set k%d 5 0 3\r\nabc\r\n" % family, family), [b"STORED\r\n"])
            self.assertEqual(self.say(b"get k%d\r\n" % family, 10 - family),
                             [b"VALUE k%d 5 3\r\nabc\r\nEND\r\n" % family], "one cache behind two services")

    def test_several_keys_some_missing(self):
        self.say(b"set a 0 0 1\r\nA\r\n")
        self.say(b"set c 0 0 1\r\nC\r\n")
        self.assertEqual(self.say(b"get a b c\r\n"), [b"VALUE a 0 1\r\nA\r\nVALUE c 0 1\r\nC\r\nEND\r\n"])
        keys = b" ".join(b"k%d" % i for i in range(100))
        self.assertEqual(self.say(b"get a " + keys + b" c\r\n"),
                         [b"VALUE a 0 1\r\nA\r\nVALUE c 0 1\r\nC\r\nEND\r\n"], "more than one lookup has")

    def test_several_requests_in_a_datagram_are_answered_one_by_one(self):
        self.assertEqual(self.say(b"set a 0 0 1\r\n1\r\nincr a 41\r\nget a\r\nnonsense\r\ndelete a\r\nget a\r\n"),
                         [b"STORED\r\n", b"42\r\n", b"VALUE a 0 2\r\n42\r\nEND\r\n", b"ERROR\r\n",
                          b"DELETED\r\n", b"END\r\n"])
        self.assertEqual(self.say(b"get a\r\nset a 0 0 1\r\nx\r\nget a\r\n"),
                         [b"END\r\n", b"STORED\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n"], "in their order")

    def test_what_wants_no_answer_gets_none(self):
        self.assertEqual(self.say(b"set q 0 0 1 noreply\r\nx\r\n"), [])
        self.assertEqual(self.say(b"get q\r\n"), [b"VALUE q 0 1\r\nx\r\nEND\r\n"])
        self.assertEqual(self.say(b"delete q noreply\r\nget q\r\n"), [b"END\r\n"])

    def test_a_long_answer_is_cut_at_1400_bytes(self):
        for size in 1, 1300, 1358, 1359, 1360, 1361, 1362, 1500, 5000, 20000:
            with self.subTest(size=size):
                value = bytes(33 + i % 94 for i in range(size))
                chunk = 1200
                self.say(b"set big 0 0 0\r\n\r\n")
                for at in range(0, size, chunk):  # a request is one datagram
                    part = value[at:at + chunk]
                    self.assertEqual(self.say(b"append big 0 0 %d\r\n%s\r\n" % (len(part), part)), [b"STORED\r\n"])
                out = self.box.run(ask(b"get big\r\n"))
                self.assertEqual(self.answers(out), [b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (size, value)])
                total = len(b"VALUE big 0 %d\r\n\r\nEND\r\n" % size) + size
                self.assertEqual(len(out), -(-total // (DATAGRAM - HEADER)))

    def test_bursts_are_answered_each_to_its_own(self):
        for i in range(100):
            self.say(b"set k%d 0 0 4\r\n%04d\r\n" % (i, i))
        out = self.box.run(*(ask(b"get k%d\r\n" % i, head=frame(i), sport=20000 + i) for i in range(100)))
        self.assertEqual(len(out), 100)
        for what, _, data in out:
            p = Ether(data)
            body = bytes(p[UDP].payload)
            i = struct.unpack("!H", body[:2])[0]
            self.assertEqual(p[UDP].dport, 20000 + i)
            self.assertEqual(body[HEADER:], b"VALUE k%d 0 4\r\n%04d\r\nEND\r\n" % (i, i))

    def test_looks_of_all_kinds_between_others(self):
        """Those that are answered in their own buffer, and those that are not, of one burst."""
        for i in range(16):
            self.say(b"set k%d %d 0 4\r\n%04d\r\n" % (i, i, i))
        self.say(b"set long 0 0 1350\r\n" + b"x" * 1350 + b"\r\n")
        kinds = [(b"get k%(i)d\r\n", [b"VALUE k%(i)d %(i)d 4\r\n%(i)04d\r\nEND\r\n"]),
                 (b"mg k%(i)d v\r\n", [b"VA 4\r\n%(i)04d\r\n"]),
                 (b"mg k%(i)d\r\n", [b"HD\r\n"]),
                 (b"mg k%(i)d Oo%(i)d q k f t s\r\n", [b"HD Oo%(i)d kk%(i)d f%(i)d t-1 s4\r\n"]),
                 (b"mg none%(i)d v k q\r\n", []),
                 (b"mg none%(i)d v k O%(i)d\r\n", [b"EN knone%(i)d O%(i)d\r\n"]),
                 (b"get none%(i)d\r\n", [b"END\r\n"]),
                 (b"set n%(i)d 0 0 1\r\ny\r\n", [b"STORED\r\n"]),
                 (b"mg k%(i)d v\r\nmn\r\n", [b"VA 4\r\n%(i)04d\r\n", b"MN\r\n"]),
                 (b"mg k%(i)d v v\r\n", [b"CLIENT_ERROR duplicate flag\r\n"]),
                 (b"mg long k v Oab\r\n", [b"VA 1350 klong Oab\r\n" + b"x" * 1350 + b"\r\n"])]
        for turn in range(8):
            asked = [(kinds[(i * 7 + turn) % len(kinds)], (i * 5 + turn) % 16) for i in range(64)]
            out = self.box.run(*(ask(text % {b"i": i}, sport=20000 + at) for at, ((text, _), i) in enumerate(asked)))
            for at, ((text, answers), i) in enumerate(asked):
                mine = [x for x in out if Ether(x[2])[UDP].dport == 20000 + at]
                with self.subTest(text=text, i=i):
                    self.assertEqual(self.answers(mine, sport=20000 + at), [a % {b"i": i} for a in answers])

    def test_all_protocols_have_the_same_cache(self):
        def binary(opcode, key=b"", extras=b"", value=b"", cas=0):
            return struct.pack("!BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0,
                               len(key) + len(extras) + len(value), 0xabcd, cas) + extras + key + value
        (answer,) = self.say(binary(1, b"k", struct.pack("!II", 9, 0), b"val"))
        self.assertEqual(struct.unpack("!BBHBBHII", answer[:16]), (0x81, 1, 0, 0, 0, 0, 0, 0xabcd))
        cas = struct.unpack("!Q", answer[16:])[0]
        self.assertEqual(self.say(b"gets k\r\n"), [b"VALUE k 9 3 %d\r\nval\r\nEND\r\n" % cas])
        self.assertEqual(self.say(b"mg k s v f k Oxy\r\n"), [b"VA 3 s3 f9 kk Oxy\r\nval\r\n"])
        self.assertEqual(self.say(b"ms k 2 F1\r\nhi\r\nmn\r\n"), [b"HD\r\n", b"MN\r\n"])
        (answer,) = self.say(binary(0, b"k"))
        self.assertEqual((answer[:2], answer[24:]), (b"\x81\x00", b"\0\0\0\1hi"))
        self.assertEqual(self.say(binary(9, b"none") + binary(10)), [b"\x81\x0a" + bytes(10) + b"\0\0\xab\xcd" + bytes(8)],
                         "a quiet miss is not answered, the noop is")

    def test_marks_of_meta_commands(self):
        self.assertEqual(self.say(b"mg k N30 t v\r\n"), [b"VA 0 t30 W\r\n\r\n"])
        self.assertEqual(self.say(b"mg k N30 t v\r\n"), [b"VA 0 t30 Z\r\n\r\n"])
        self.say(b"set k 0 10 1\r\nx\r\n")
        self.assertEqual(self.say(b"mg k R30 t v\r\n"), [b"VA 1 t10 W\r\nx\r\n"])
        self.assertEqual(self.say(b"mg k R30 t v\r\n"), [b"VA 1 t10 Z\r\nx\r\n"])
        self.say(b"set k 0 0 1\r\nx\r\n")
        self.assertEqual(self.say(b"md k I T30\r\n"), [b"HD\r\n"])
        self.assertEqual(self.say(b"mg k t v\r\n"), [b"VA 1 t30 X W\r\nx\r\n"])
        self.assertEqual(self.say(b"mg k t v\r\n"), [b"VA 1 t30 Z X\r\nx\r\n"])

    def test_one_of_many_fetches_anew(self):
        self.cache(stale_s=60, lease_ms=3000)
        self.apply()
        self.say(b"set k 0 5 3\r\nold\r\n")
        self.box.time(6000)
        out = self.box.run(*(ask(b"get k\r\n", sport=20000 + i) for i in range(200)))
        values = [bytes(Ether(data)[UDP].payload)[HEADER:] for _, _, data in out]
        self.assertEqual((values.count(b"END\r\n"), values.count(b"VALUE k 0 3\r\nold\r\nEND\r\n")), (1, 199))
        self.box.time(3100)
        self.assertEqual(self.say(b"get k\r\n"), [b"END\r\n"], "the lease is over: the next one may")
        self.say(b"set k 0 5 3\r\nnew\r\n")
        self.assertEqual(self.say(b"get k\r\n"), [b"VALUE k 0 3\r\nnew\r\nEND\r\n"])
        self.box.time(70000)
        self.assertEqual(self.say(b"get k\r\n"), [b"END\r\n"], "too old to be served")

    def test_times_of_expiry(self):
        self.say(b"set t 0 10 1\r\nx\r\n")
        self.say(b"set u 0 -1 1\r\nx\r\n")
        self.assertEqual(self.say(b"get t u\r\n"), [b"VALUE t 0 1\r\nx\r\nEND\r\n"])
        self.box.time(9000)
        self.assertEqual(self.say(b"get t\r\n"), [b"VALUE t 0 1\r\nx\r\nEND\r\n"])
        self.box.time(2000)
        self.assertEqual(self.say(b"get t\r\n"), [b"END\r\n"])

    def stat(self, name):
        stats = dict(line.split(b" ", 2)[1:] for line in b"".join(self.say(b"stats\r\n")).split(b"\r\n")[:-2])
        return int(stats[name])

    def stats(self, what):
        rows = b"".join(self.say(b"stats %s\r\n" % what)).split(b"\r\n")
        self.assertEqual(rows[-2:], [b"END", b""])
        return {row.split(b" ")[1].decode(): row.split(b" ", 2)[2].decode() for row in rows[:-2]}

    def test_stats_sizes_as_memcached_that_keeps_none(self):
        disabled = b"STAT sizes_status disabled\r\n"
        self.assertEqual(self.say(b"stats sizes\r\n"), [disabled + b"END\r\n"])
        self.assertEqual(self.say(b"stats sizes_disable\r\n"), [disabled])
        self.assertEqual(self.say(b"stats sizes_enable\r\n"),
                         [b"STAT sizes_status error\r\nSTAT sizes_error not_supported\r\n"])
        self.assertEqual(self.say(b"stats bogus\r\n"), [b"ERROR\r\n"])

    def test_stats_that_exporters_read(self):
        self.say(b"set a 0 0 1\r\n1\r\ncas b 0 0 1 5\r\n1\r\ncas a 0 0 1 987654\r\n1\r\nincr a 1\r\n")
        general, slabs = self.stats(b""), self.stats(b"slabs")
        for op in "get", "delete", "incr", "decr", "cas", "touch":
            self.assertGreaterEqual(int(general[op + "_hits"]) + int(general[op + "_misses"]), 0)
            self.assertEqual(slabs["1:%s_hits" % op], general[op + "_hits"])
        # sets are what is left of cmd_set without all that was cas
        self.assertEqual((general["cmd_set"], general["cas_misses"], general["cas_hits"], general["cas_badval"]),
                         ("3", "1", "0", "1"))
        self.assertEqual((slabs["1:cmd_set"], slabs["1:cas_badval"], slabs["1:incr_hits"]), ("3", "1", "1"))
        self.assertEqual(int(slabs["1:used_chunks"]) + int(slabs["1:free_chunks"]), int(slabs["1:total_chunks"]))
        self.assertEqual(int(slabs["1:total_chunks"]),
                         int(slabs["1:total_pages"]) * int(slabs["1:chunks_per_page"]))
        items = self.stats(b"items")
        self.assertEqual((items["items:1:number"], items["items:1:evicted"]), ("1", "0"))
        self.assertEqual(self.stats(b"settings")["evictions"], "on")
        for rows in general, slabs, items:
            for name, value in rows.items():
                self.assertTrue(name == "version" or value.isdigit(), name)

    def test_all_of_the_memory_of_what_has_expired_comes_back(self):
        for first in range(0, 2000, 50):
            self.box.run(*(ask(b"set k%d 0 2 1000 noreply\r\n%s\r\n" % (i, b"x" * 1000))
                           for i in range(first, first + 50)))
        self.assertEqual(self.stat(b"curr_items"), 2000)
        for _ in range(60):  # three seconds, by ticks of 50 ms: no request is received meanwhile
            self.box.time(50)
            self.box.run()
        self.assertEqual((self.stat(b"curr_items"), self.stat(b"reclaimed")), (0, 2000))

    def test_too_large_and_stats(self):
        self.cache(value_max=500)
        self.apply()
        self.assertEqual(self.say(b"set k 0 0 500\r\n" + b"x" * 500 + b"\r\n"), [b"STORED\r\n"])
        self.assertEqual(self.say(b"set k 0 0 501\r\n" + b"x" * 501 + b"\r\n"),
                         [b"SERVER_ERROR object too large for cache\r\n"])
        self.say(b"get nothing\r\n")
        stats = dict(line.split(b" ", 2)[1:] for line in b"".join(self.say(b"stats\r\n")).split(b"\r\n")[:-2])
        self.assertEqual((stats[b"get_misses"], stats[b"curr_items"]), (b"1", b"0"))
        self.assertEqual(stats[b"limit_maxbytes"], b"%d" % self.memory)
        self.assertTrue(self.say(b"version\r\n")[0].startswith(b"VERSION 1.6.18-millrace-"))


class Refused(Cache):
    def test_clients_that_may_not_ask(self):
        self.refused("acl", ask(b"get a\r\n", src="10.9.0.1"))
        self.refused("acl", ask(b"get a\r\n", 6, src="fd00:9::1"))

    def test_frames_that_are_none(self):
        self.refused("mc_frame", ask(b"", head=b""), ask(b"", head=frame()[:7]), ask(b"", head=frame()))
        self.refused("mc_frame", ask(b"get a\r\n", head=frame(total=2)), ask(b"get a\r\n", head=frame(total=0)))

    def test_checksums(self):
        self.refused("udp_checksum", ask(b"get a\r\n", chksum=0x1234))
        self.refused("udp_checksum", ask(b"get a\r\n", 6, chksum=0))
        self.assertEqual(self.answers(self.box.run(ask(b"get a\r\n", chksum=0))), [b"END\r\n"], "IPv4 may leave it out")

    def test_fragments(self):
        value = b"x" * 2000
        p = IP(raw(IP(src=CLIENT[4], dst=VIP[4], id=5) / UDP(sport=40000, dport=11211)
                   / Raw(frame() + b"set a 0 0 2000\r\n" + value + b"\r\n")))
        pieces = [Ether(src=CLIENT_MAC, dst=NORTH_MAC) / f for f in p.fragment(1400)]
        self.assertEqual(len(pieces), 2)
        self.refused("request_fragment", *pieces)
        self.assertEqual(self.say(b"get a\r\n"), [b"END\r\n"], "nothing was stored")

    def test_a_request_that_is_not_whole_stores_nothing(self):
        self.say(b"set a 0 0 3\r\nold\r\n")
        for cut in b"get a", b"set a 0 0 10\r\nabc", b"set a 0 0 3\r\nne", b"\x80\x00\x00":
            with self.subTest(cut=cut):
                self.box.run(ask(cut))
        self.assertIn(self.say(b"get a\r\n"), ([b"VALUE a 0 3\r\nold\r\nEND\r\n"], [b"END\r\n"]))

    def test_answers_above_the_reply_rate(self):
        for family in 4, 6:
            service(self.box, name=NAME[family], vip=VIP[family], port=11211, proto=UDP_PROTO, mode=CACHE,
                    sched=RR, cache="hot", reply_rate=8)
        self.apply()
        self.say(b"set big 0 0 1200\r\n" + b"x" * 1200 + b"\r\n")
        self.box.time(5000)
        n = sum(len(self.say(b"get big\r\n")) for _ in range(20))
        self.assertIn(n, (6, 7), "8 KB a second")
        self.assertEqual(self.box.counters()[0]["reply_rate"], 20 - n)
        self.assertEqual(self.say(b"get n\r\n"), [b"END\r\n"], "no longer than the request: not counted")
        self.box.time(1000)
        self.assertEqual(len(self.say(b"get big\r\n")), 1)

    def test_a_request_above_the_rate_is_captured_as_it_came(self):
        """Its answer had been written over it."""
        self.test_answers_above_the_reply_rate()
        for family, text in [(f, t) for f in (4, 6)
                             for t in (b"get big\r\n" * 8, b"get big\r\n", b"mg big v k Ocafe\r\n")]:
            request = ask(text, family)
            self.box.capture(8)  # drops
            for _ in range(20):
                self.box.run(request)
            packets = self.box.captured()[0]
            self.assertGreaterEqual(len(packets), 18)
            for packet in packets:
                self.assertEqual(packet[2:], ("reply_rate", len(raw(request)), raw(request)))

    def test_what_is_refused_leaves_room_for_the_next(self):
        self.test_answers_above_the_reply_rate()
        for length in 8, 250:  # the longer requests are not copied, and have answers in buffers of their own
            key = b"k" * length
            self.box.run(*[ask(b"get big\r\n")] * 20)
            self.assertEqual(self.say(b"get big\r\nget %s\r\nget big\r\nmn\r\n" % key), [b"END\r\n", b"MN\r\n"])


class Generations(Cache):
    def value(self):
        return self.say(b"get k\r\n") == [b"VALUE k 0 1\r\nx\r\nEND\r\n"]

    def test_what_may_change_and_what_begins_anew(self):
        self.say(b"set k 0 0 1\r\nx\r\n")
        self.cache(lease_ms=1000, stale_s=10)
        self.apply()
        self.assertTrue(self.value(), "goes on")
        self.box.put("cache", name="other", memory_bytes=self.memory, eviction=LRU, value_max=20000)
        self.apply()
        self.assertTrue(self.value())
        self.cache(memory_bytes=2 * self.memory)
        self.apply()
        self.assertFalse(self.value(), "another memory is another cache")
        self.cache(eviction=LRU, memory_bytes=2 * self.memory)
        self.apply()
        self.assertFalse(self.value())

    def test_what_is_refused(self):
        self.box.put("cache", name="vast", memory_bytes=1 << 30, eviction=S3FIFO)
        self.assertIn("1024 MB wanted", self.box.apply())
        self.box.delete("cache/vast")
        self.box.put("cache", name="tiny", memory_bytes=1 << 20, eviction=S3FIFO)
        self.assertIn("too little for values of 1048300 bytes", self.box.apply())
        self.box.delete("cache/tiny")
        service(self.box, name="open", vip="10.1.0.101", port=11211, proto=UDP_PROTO, mode=CACHE, sched=RR, cache="hot")
        self.assertIn("allow", self.box.apply())
        self.box.put("acl", service="open", ip="10.2.0.0", prefix_len=24, action=2)
        self.assertIn("allow", self.box.apply(), "a deny list alone lets others in")
        self.box.put("acl", service="open", ip="10.1.0.0", prefix_len=24, action=1)
        service(self.box, name="open", vip="10.1.0.101", port=11211, proto=UDP_PROTO, mode=CACHE, sched=RR, cache="cold")
        self.assertIn("there is no cache 'cold'", self.box.apply())
        service(self.box, name="open", vip="10.1.0.101", port=11211, proto=UDP_PROTO, mode=CACHE, sched=RR, cache="hot")
        backend(self.box, 1, service_="open")
        self.assertIn("no backends", self.box.apply())
        self.box.delete("backend/open/web1")
        self.apply()

    def test_a_service_turns_to_a_cache_and_back(self):
        self.say(b"set k 0 0 1\r\nx\r\n")
        service(self.box, name=NAME[4], vip=VIP[4], port=11211, proto=UDP_PROTO)
        backend(self.box, 1, service_=NAME[4], ip="10.2.0.11")
        self.apply()
        out = self.answer_arp(self.box.run(ask(b"get k\r\n")))
        self.assertEqual([port for what, port, _ in out if what == "out"], ["south"], "balanced")
        self.box.delete(f"backend/{NAME[4]}/web1")
        service(self.box, name=NAME[4], vip=VIP[4], port=11211, proto=UDP_PROTO, mode=CACHE, sched=RR, cache="hot")
        self.apply()
        self.assertTrue(self.value(), "what was in it is there")


class TwoWorkers(Cache):
    workers, queues = 2, 1

    def test_all_of_them_have_one_cache(self):
        for i in range(50):
            self.assertEqual(self.answers(self.box.run(ask(b"set k%d 0 0 1\r\nx\r\n" % i, sport=1000 + i)),
                                          sport=1000 + i), [b"STORED\r\n"])
        for i in range(50):
            self.assertEqual(self.answers(self.box.run(ask(b"get k%d\r\n" % i, sport=2000 + i)), sport=2000 + i),
                             [b"VALUE k%d 0 1\r\nx\r\nEND\r\n" % i])
        self.assertGreater(self.box.counters()[0]["handed_over"], 20)


if __name__ == "__main__":
    unittest.main()
