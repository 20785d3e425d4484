# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of flows whose backend is down, evicted or gone: kept, moved or reset, as the service says."""
from box import *

CLIENT = {4: "10.1.0.10", 6: "fd00:1::10"}
VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
KEEP, MOVE, RESET = 0, 1, 2
EVICT = 4


def ip_of(family, src, dst):
    return IP(src=src, dst=dst, id=7) if family == 4 else IPv6(src=src, dst=dst)


class Down(PacketTest):
    sport = 40000  # of the client; another for each service, whose entries stay

    def seg(self, family, flags="A", n=0, seq=1000, ack=5000, l4=TCP, **more):
        l4 = (TCP(sport=self.sport, dport=80, flags=flags, seq=seq, ack=ack, **more) if l4 is TCP
              else UDP(sport=self.sport, dport=80))
        return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip_of(family, CLIENT[family], VIP[family]) / l4
                / Raw(b"x" * n))

    def up(self, family, policy, mode=FULLNAT, proto=TCP_PROTO, **more):
        """Two backends; every new flow goes to the first while it is up."""
        self.family, self.mode = family, mode
        self.sport += 1
        service(self.box, vip=VIP[family], mode=mode, proto=proto, sched=RR, on_down=policy, **more)
        self.state(1, UP)
        self.state(2, UP, weight=0)
        self.apply()

    def state(self, n, state, weight=1):
        base = "10.2.0.1" if self.family == 4 else "fd00:2::1"
        port = 80 if self.mode in (DSR_L2, IPIP, GUE) else 8080
        backend(self.box, n, ip=f"{base}{n}", port=port, state=state, weight=weight)

    def fall(self, state=DOWN):
        self.state(1, state)
        self.state(2, UP)
        self.apply()

    def goes_to(self, frame, n):
        (port, got), = self.send(frame)
        self.assertEqual((port, got.dst), ("south", WEB_MAC[n]))
        return got

    def is_reset(self, frame, seq, ack=0, flags="R"):
        (port, got), = self.send(frame)
        self.assertEqual(port, "north")
        want = (Ether(src=NORTH_MAC, dst=CLIENT_MAC)
                / (IP(src=frame[1].dst, dst=frame[1].src, id=0, flags="DF", ttl=64) if self.family == 4
                   else IPv6(src=frame[1].dst, dst=frame[1].src, hlim=64))
                / TCP(sport=80, dport=frame[TCP].sport, flags=flags, seq=seq, ack=ack, window=0))
        self.assertFrame(got, want)

    def begin(self, family):
        self.goes_to(self.seg(family, "S"), 1)
        self.goes_to(self.seg(family, "A"), 1)

    def test_keep(self):
        self.up(4, KEEP)
        self.begin(4)
        self.fall()
        self.goes_to(self.seg(4, "PA", 5), 1)
        self.goes_to(self.seg(4, "S"), 2)

    def test_reset(self):
        for family in (4, 6):
            for mode in (FULLNAT, DSR_L2, IPIP, DNAT):
                with self.subTest(family=family, mode=mode):
                    self.up(family, RESET, mode)
                    self.begin(family)
                    self.fall()
                    self.is_reset(self.seg(family, "PA", 100), 5000)
                    self.assertEqual(self.box.conns()[-1][1], "closed")
                    self.is_reset(self.seg(family, "A", ack=7777), 7777)  # the first one got lost
                    self.goes_to(self.seg(family, "S"), 2)  # who comes again is served
                    self.goes_to(self.seg(family, "A"), 2)
                    self.goes_to(self.seg(family, "R"), 2)
                    self.box.delete("backend/web/web1")
                    self.box.delete("backend/web/web2")
                    self.box.delete("service/web")
                    self.apply()

    def test_reset_without_acknowledgement(self):
        """RFC 9293 3.10.7.1: it acknowledges what the segment took up."""
        self.up(4, RESET)
        self.begin(4)
        self.fall()
        self.is_reset(self.seg(4, "", 3, seq=2**32 - 1), 0, ack=2, flags="RA")
        self.is_reset(self.seg(4, "F", 0, seq=9), 0, ack=10, flags="RA")

    def test_options_and_padding_do_not_come_back(self):
        self.up(4, RESET)
        self.begin(4)
        self.fall()
        frame = self.seg(4, "PA", 7, options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)])
        frame[IP].options = [b"\x94\x04\x00\x00"]
        self.is_reset(frame, 5000)

    def test_a_reset_is_not_answered(self):
        self.up(4, RESET)
        self.begin(4)
        self.fall()
        self.goes_to(self.seg(4, "R"), 1)
        self.assertEqual(self.dropped("resets_sent"), 0)

    def test_draining_is_not_down(self):
        for policy in (MOVE, RESET):
            self.up(4, policy)
            self.goes_to(self.seg(4, "S"), 1)
            self.fall(DRAIN)
            self.goes_to(self.seg(4, "PA", 3), 1)

    def test_move(self):
        for family in (4, 6):
            for mode in (FULLNAT, DSR_L2, GUE, DNAT):
                with self.subTest(family=family, mode=mode):
                    self.up(family, MOVE, mode)
                    self.begin(family)
                    self.fall()
                    moved = self.goes_to(self.seg(family, "PA", 5), 2)
                    again = self.goes_to(self.seg(family, "PA", 6, seq=1005), 2)
                    if mode == FULLNAT:
                        self.assertEqual(moved[TCP].sport, again[TCP].sport)
                    self.goes_to(self.seg(family, "R"), 2)
                    self.box.delete("backend/web/web1")
                    self.box.delete("backend/web/web2")
                    self.box.delete("service/web")
                    self.apply()
        self.assertEqual(self.dropped("conn_moved"), 8)

    def test_moved_answers_come_back(self):
        """What the new backend says to it, a reset as a rule, reaches the client."""
        self.up(4, MOVE)
        self.begin(4)
        self.fall()
        moved = self.goes_to(self.seg(4, "PA", 5), 2)
        (port, got), = self.send(Ether(src=WEB_MAC[2], dst=SOUTH_MAC) / IP(src="10.2.0.12", dst=moved[IP].src)
                                 / TCP(sport=8080, dport=moved[TCP].sport, flags="R", seq=5000), port="south")
        self.assertEqual((port, got[IP].src, got[IP].dst, got[TCP].flags), ("north", VIP[4], CLIENT[4], "R"))

    def test_nowhere_to_move(self):
        self.up(4, MOVE)
        self.begin(4)
        self.state(1, DOWN)
        self.apply()
        self.goes_to(self.seg(4, "PA", 5), 1)

    def test_what_has_ended_is_not_moved(self):
        self.up(4, MOVE)
        self.begin(4)
        self.goes_to(self.seg(4, "FA"), 1)
        self.fall()
        self.goes_to(self.seg(4, "A"), 1)

    def test_evicted(self):
        """After the deadline of a drain: moved where the service moves, reset otherwise."""
        for policy in (KEEP, MOVE, RESET):
            self.up(4, policy)
            self.goes_to(self.seg(4, "S"), 1)
            self.goes_to(self.seg(4, "A"), 1)
            self.fall(EVICT)
            if policy == MOVE:
                self.goes_to(self.seg(4, "PA", 5), 2)
            else:
                self.is_reset(self.seg(4, "PA", 5), 5000)

    def test_removed(self):
        """A backend that left the configuration is as good as down."""
        for policy in (KEEP, MOVE, RESET):
            self.up(4, policy)
            self.goes_to(self.seg(4, "S"), 1)
            self.goes_to(self.seg(4, "A"), 1)
            self.state(2, UP)
            self.box.delete("backend/web/web1")
            self.apply()
            if policy == RESET:
                self.is_reset(self.seg(4, "PA", 5), 5000)
            else:
                self.goes_to(self.seg(4, "PA", 5), 2 if policy == MOVE else 1)

    def test_policy_changes_at_once(self):
        self.up(4, KEEP)
        self.begin(4)
        self.fall()
        self.goes_to(self.seg(4, "PA", 5), 1)
        service(self.box, vip=VIP[4], sched=RR, on_down=RESET)
        self.apply()
        self.is_reset(self.seg(4, "PA", 5), 5000)

    def test_udp_is_always_moved(self):
        for policy in (KEEP, MOVE, RESET):
            self.up(4, policy, proto=UDP_PROTO)
            self.goes_to(self.seg(4, l4=UDP, n=4), 1)
            self.fall()
            self.goes_to(self.seg(4, l4=UDP, n=4), 2)


if __name__ == "__main__":
    unittest.main()
