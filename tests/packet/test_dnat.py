# SPDX-License-Identifier: BSD-3-Clause
"""DNAT: the backend sees the client, and what it answers by us is turned back."""
from box import *

CLIENT = {4: "10.1.0.10", 6: "fd00:1::10"}
VIP = {4: "10.1.0.80", 6: "fd00:1::80"}
WEB = {4: "10.2.0.11", 6: "fd00:2::11"}


def ip_of(family, src, dst, ttl=64):
    return IP(src=src, dst=dst, ttl=ttl, id=7) if family == 4 else IPv6(src=src, dst=dst, hlim=ttl)


def there(family, sport=40000, flags="S", n=0, ttl=64, proto=TCP):
    l4 = TCP(sport=sport, dport=80, flags=flags) if proto is TCP else UDP(sport=sport, dport=80)
    return (Ether(src=CLIENT_MAC, dst=NORTH_MAC) / ip_of(family, CLIENT[family], VIP[family], ttl)
            / l4 / Raw(b"q" * n))


def answer(family, dport=40000, flags="SA", n=0, ttl=64, proto=TCP, src=None, sport=8080):
    l4 = TCP(sport=sport, dport=dport, flags=flags) if proto is TCP else UDP(sport=sport, dport=dport)
    return (Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / ip_of(family, src or WEB[family], CLIENT[family], ttl)
            / l4 / Raw(b"a" * n))


class Dnat(PacketTest):
    workers, queues = 1, 1

    def up(self, family, proto=TCP_PROTO, **more):
        service(self.box, name=f"s{family}", vip=VIP[family], mode=DNAT, proto=proto, **more)
        backend(self.box, 1, service_=f"s{family}", ip=WEB[family])
        self.apply()

    def to_backend(self, frame):
        family, l4 = 4 if IP in frame else 6, TCP if TCP in frame else UDP
        (port, got), = self.send(frame)
        self.assertEqual(port, "south")
        want = frame.copy()
        want.src, want.dst = SOUTH_MAC, WEB_MAC[1]
        want[1].dst = WEB[family]
        want[l4].dport = 8080
        self.passed_on(got, want, l4)

    def to_client(self, frame):
        family, l4 = 4 if IP in frame else 6, TCP if TCP in frame else UDP
        (port, got), = self.send(frame, port="south")
        self.assertEqual(port, "north")
        want = frame.copy()
        want.src, want.dst = NORTH_MAC, CLIENT_MAC
        want[1].src = VIP[family]
        want[l4].sport = 80
        self.passed_on(got, want, l4)

    def passed_on(self, got, want, l4):
        if IP in want:
            want[IP].ttl -= 1
            del want[IP].chksum
        else:
            want[IPv6].hlim -= 1
        del want[l4].chksum
        self.assertFrame(got, want)

    def kernel_gets(self, frame):
        out = self.box.run(frame, port="south")
        self.assertEqual([(w, p) for w, p, _ in out], [("kernel", "south")])

    def test_tcp_there_and_back(self):
        for family in (4, 6):
            self.up(family)
            self.to_backend(there(family))
            self.assertEqual(self.box.conns()[-1][1], "syn")
            self.to_client(answer(family))
            self.to_backend(there(family, flags="PA", n=101))
            self.to_client(answer(family, flags="PA", n=1400))
            self.assertIn("established", [c[1] for c in self.box.conns()])

    def test_udp_there_and_back(self):
        for family in (4, 6):
            self.up(family, proto=UDP_PROTO)
            self.to_backend(there(family, proto=UDP, n=9))
            self.to_client(answer(family, proto=UDP, n=33))

    def test_many_flows(self):
        for family in (4, 6):
            self.up(family)
            self.to_backend(there(family))
            self.to_client(answer(family))
            for k in range(100):
                self.to_backend(there(family, sport=5000 + k))
            for k in range(100):
                self.to_client(answer(family, dport=5000 + k))

    def test_what_is_of_no_flow_is_left_to_the_kernel(self):
        """The box is its backends' router: what else they send by it is the kernel's to route."""
        self.up(4)
        self.to_backend(there(4))
        self.kernel_gets(answer(4, dport=40001))
        self.kernel_gets(answer(4, sport=8081))
        self.kernel_gets(answer(4, src="10.2.0.12"))
        self.assertEqual(self.box.conns()[0][1], "syn")
        self.to_client(answer(4))

    def test_time_to_live_runs_out(self):
        self.up(4)
        self.to_backend(there(4))
        self.assertEqual(self.send(answer(4, ttl=1), port="south"), [])
        self.assertEqual(self.send(there(4, flags="A", ttl=1)), [])
        self.assertEqual(self.dropped("ttl"), 2)

    def test_removed_backend_finishes_its_flows(self):
        self.up(4)
        self.to_backend(there(4))
        self.to_client(answer(4))
        self.to_backend(there(4, flags="A"))
        self.box.delete("backend/s4/web1")
        backend(self.box, 2, service_="s4")
        self.apply()
        self.to_backend(there(4, flags="PA", n=3))
        self.to_client(answer(4, flags="A"))
        # its address goes to another service: the answers are that one's from here on
        service(self.box, name="other", vip="10.1.0.81", mode=DNAT)
        backend(self.box, 1, service_="other")
        self.apply()
        self.kernel_gets(answer(4, flags="A"))

    def test_one_backend_in_two_services_is_refused(self):
        self.up(4)
        service(self.box, name="other", vip="10.1.0.81", mode=DNAT)
        backend(self.box, 1, service_="other")
        self.assertRegex(self.box.apply(), "refused service/.*: its backend 10.2.0.11 port 8080 is one of service")
        backend(self.box, 1, service_="other", port=8081)
        self.apply()
        self.to_backend(there(4))
        service(self.box, name="udp", vip="10.1.0.80", mode=DNAT, proto=UDP_PROTO)
        backend(self.box, 1, service_="udp")
        self.apply()

    def test_two_names_of_one_backend(self):
        """In one service the VIP is the same whichever was meant."""
        service(self.box, name="s4", vip=VIP[4], mode=DNAT)
        backend(self.box, 1, service_="s4")
        backend(self.box, 2, service_="s4", ip=WEB[4])
        self.apply()
        for k in range(4):
            self.to_backend(there(4, sport=7000 + k))
            self.to_client(answer(4, dport=7000 + k))

    def test_full_nat_of_the_same_backend(self):
        """Answers are told apart by where they go."""
        self.up(4)
        service(self.box, name="nat", vip="10.1.0.81")
        backend(self.box, 1, service_="nat")
        self.apply()
        self.to_backend(there(4))
        frame = there(4)
        frame[IP].dst = "10.1.0.81"
        (_, got), = self.send(frame)
        back = answer(4, dport=got[TCP].sport)
        back[IP].dst = "10.2.0.100"
        (_, reply), = self.send(back, port="south")
        self.assertEqual(reply[IP].src, "10.1.0.81")
        self.to_client(answer(4))

    def test_nothing_is_forwarded_without_an_entry(self):
        self.up(4, sched=MAGLEV)
        self.assertEqual(self.send(there(4, flags="A")), [])
        self.assertEqual(self.dropped("no_conn"), 1)


class DnatTwoWorkers(Dnat):
    """One receive queue: answers find the worker of their flow."""
    workers, queues = 2, 1

    def test_both_workers_have_flows(self):
        self.up(4)
        self.to_backend(there(4))
        for k in range(50):
            self.to_backend(there(4, sport=6000 + k))
            self.to_client(answer(4, dport=6000 + k))
        self.assertGreater(self.dropped("handed_over"), 20)


if __name__ == "__main__":
    unittest.main()
