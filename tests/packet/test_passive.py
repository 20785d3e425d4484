# SPDX-License-Identifier: BSD-3-Clause
"""What traffic shows of a backend: flows it opens, refuses, does not answer, cannot be reached for."""
from box import *

CLIENT, VIP, SNAT, WEB = "10.1.0.10", "10.1.0.80", "10.2.0.100", "10.2.0.11"


class Passive(PacketTest):
    sport = 40000

    def up(self, mode=FULLNAT, proto=TCP_PROTO):
        service(self.box, mode=mode, proto=proto, sched=RR)
        backend(self.box, 1, port=80 if mode in (DSR_L2, IPIP, GUE) else 8080)
        self.apply()

    def ask(self, flags="S", l4=TCP):
        l4 = TCP(sport=self.sport, dport=80, flags=flags) if l4 is TCP else UDP(sport=self.sport, dport=80)
        (_, got), = self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src=CLIENT, dst=VIP) / l4)
        return got

    def answer(self, to, flags):
        self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=WEB, dst=to[IP].src)
                  / TCP(sport=8080, dport=to[TCP].sport, flags=flags), port="south")

    def error(self, about, **icmp):
        self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=WEB, dst=about[IP].src) / ICMP(**icmp)
                  / Raw(raw(about[IP])), port="south")

    def says(self, opened, failed):
        self.assertEqual(self.box.outcomes(), {"web1": (opened, failed)})

    def test_opened_once(self):
        for mode in (FULLNAT, DNAT):
            self.up(mode)
            self.sport += 1
            before = self.box.outcomes()["web1"][0]
            sent = self.ask()
            self.says(before, 0)
            self.answer(sent, "SA")
            self.answer(sent, "SA")
            self.ask("A")
            self.answer(sent, "R")
            self.says(before + 1, 0)

    def test_refused(self):
        self.up()
        self.answer(self.ask(), "RA")
        self.says(0, 1)

    def test_not_answered(self):
        """Each SYN that comes again counts; where none does, the end of the entry."""
        self.up()
        self.ask()
        self.box.time(1000)
        self.ask()
        self.box.time(2000)
        self.ask()
        self.says(0, 2)
        self.box.time(20000)
        self.box.run()
        self.box.time(20000)
        self.box.run()
        self.says(0, 2)
        self.sport += 1
        self.ask()
        for _ in range(3):
            self.box.time(20000)
            self.box.run()
        self.assertEqual(self.box.conns(), [])
        self.says(0, 3)

    def test_a_client_cannot_make_it_look_bad(self):
        """SYNs in a row, and SYNs again after the answer, say nothing."""
        self.up()
        sent = self.ask()
        for _ in range(20):
            self.ask()
        self.says(0, 0)
        self.answer(sent, "SA")
        for _ in range(5):
            self.box.time(1000)
            self.ask()
        self.ask("R")
        self.says(1, 0)

    def test_unreachable(self):
        self.up()
        sent = self.ask()
        self.error(sent, type=3, code=4, nexthopmtu=1000)  # its size
        self.error(sent, type=11)
        self.says(0, 0)
        self.error(sent, type=3, code=1)
        self.says(0, 1)
        self.answer(sent, "SA")
        self.error(sent, type=3, code=1)  # a flow that is there is no new one
        self.says(1, 1)

    def test_udp_port_unreachable(self):
        self.up(proto=UDP_PROTO)
        self.error(self.ask(l4=UDP), type=3, code=3)
        self.says(0, 1)

    def test_direct_return_shows_nothing(self):
        self.up(DSR_L2)
        self.ask()
        self.box.time(3000)
        self.ask()
        for _ in range(3):
            self.box.time(20000)
            self.box.run()
        self.says(0, 0)


if __name__ == "__main__":
    unittest.main()
