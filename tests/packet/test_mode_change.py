# SPDX-License-Identifier: BSD-3-Clause
"""A service whose mode changes: flows with entries go on as they began, both ways, new ones go in the new mode."""
from box import *

MODES = (FULLNAT, DSR_L2, IPIP, GUE, DNAT)
NAMES = {FULLNAT: "full-nat", DSR_L2: "dsr-l2", IPIP: "ipip", GUE: "gue", DNAT: "dnat"}
NATS = FULLNAT, DNAT
VIPS = {4: "10.1.0.80", 6: "fd00:1::80"}
CLIENTS = {4: "10.1.0.10", 6: "fd00:1::10"}
BACKENDS = {4: "10.2.0.11", 6: "fd00:2::11"}
SNATS = {4: "10.2.0.100", 6: "fd00:2::100"}
OWN = {4: "10.2.0.1", 6: "fd00:2::1"}
GUE_PORTS = 7000, 8000  # before and after


class ModeChange(PacketTest):
    families = 4, 6
    name, port, family = "web", 80, 4

    def put(self, mode, gue_port=0, **more):
        service(self.box, name=self.name, vip=VIPS[self.family], port=self.port, mode=mode, sched=MAGLEV,
                gue_port=gue_port if mode == GUE else 0, **more)

    def ip(self, src, dst, **more):
        return IP(src=src, dst=dst, **more) if self.family == 4 else IPv6(src=src, dst=dst)

    def to_backend(self, mode, sport, gue_port=0, **tcp):
        """The client's segment arrives as the mode has it; what it is then."""
        f = self.family
        sent = self.ip(CLIENTS[f], VIPS[f]) / TCP(sport=sport, dport=self.port, **tcp)
        (port, got), = self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / sent)
        self.assertEqual((port, got.dst), ("south", WEB_MAC[1]))
        ip = got[IPv6 if f == 6 else IP]
        if mode == DSR_L2:
            self.assertEqual(raw(ip), raw(sent))
        elif mode in (IPIP, GUE):
            self.assertEqual((ip.src, ip.dst), (OWN[f], BACKENDS[f]))
            inner = bytes(ip.payload)
            if mode == GUE:
                self.assertEqual(ip.payload.dport, gue_port)
                inner = bytes(ip.payload.payload)[4:]
            inner = IPv6(inner) if f == 6 else IP(inner)
            self.assertEqual((inner.src, inner.dst, inner[TCP].sport), (CLIENTS[f], VIPS[f], sport))
        else:
            self.assertEqual((ip.src, ip.dst, ip[TCP].dport),
                             (SNATS[f] if mode == FULLNAT else CLIENTS[f], BACKENDS[f], self.port))
            if mode == DNAT:
                self.assertEqual(ip[TCP].sport, sport)
        return ip

    def answer(self, mode, sent, sport, **tcp):
        """What the backend says to what it got comes to the client; of the direct modes nothing passes here."""
        if mode not in NATS:
            return
        f = self.family
        (port, got), = self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / self.ip(BACKENDS[f], sent.src)
                                 / TCP(sport=self.port, dport=sent[TCP].sport, **tcp), port="south")
        ip = got[IPv6 if f == 6 else IP]
        self.assertEqual((port, ip.src, ip.dst, ip[TCP].sport, ip[TCP].dport, str(ip[TCP].flags)),
                         ("north", VIPS[f], CLIENTS[f], self.port, sport, tcp["flags"]))

    def error(self, mode, sent, sport):
        """A router's about what the backend was sent: the client hears of it."""
        if mode not in NATS or self.family == 6:
            return
        quote = IP(src=sent.src, dst=sent.dst) / TCP(sport=sent[TCP].sport, dport=self.port)
        (port, got), = self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src="10.2.0.9", dst=sent.src)
                                 / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(raw(quote)), port="south")
        inner = IP(raw(got[ICMP])[8:])
        self.assertEqual((port, got[IP].dst, inner.src, inner.dst, inner[TCP].sport),
                         ("north", CLIENTS[4], CLIENTS[4], VIPS[4], sport))

    def open(self, mode, sport, gue_port=0):
        sent = self.to_backend(mode, sport, gue_port, flags="S")
        self.answer(mode, sent, sport, flags="SA")
        return self.to_backend(mode, sport, gue_port, flags="A")

    def goes_on(self, mode, sport, gue_port=0):
        sent = self.to_backend(mode, sport, gue_port, flags="PA")
        self.answer(mode, sent, sport, flags="PA")
        self.error(mode, sent, sport)

    def change(self, old, new):
        before, after = GUE_PORTS
        self.put(old, before)
        backend(self.box, 1, service_=self.name, ip=BACKENDS[self.family], port=self.port)
        self.apply()
        self.open(old, 4000, before)
        self.open(old, 4001, before)
        for weight in (1, 2, 3):  # the generation of the change, and later ones
            self.put(new, after)
            backend(self.box, 1, service_=self.name, ip=BACKENDS[self.family], port=self.port, weight=weight)
            self.apply()
            self.goes_on(old, 4000, before)
            self.open(new, 5000 + weight, after)
        self.goes_on(new, 5001, after)
        sent = self.to_backend(old, 4001, before, flags="FA")
        self.answer(old, sent, 4001, flags="FA")
        self.open(new, 4001, after)  # the same ports once more
        self.goes_on(new, 4001, after)
        self.goes_on(old, 4000, before)

    def test_every_pair(self):
        for self.family in self.families:
            for old in MODES:
                for new in MODES:
                    if old != new:
                        with self.subTest(family=self.family, old=NAMES[old], new=NAMES[new]):
                            self.port += 1
                            self.name = f"s{self.port}"
                            self.change(old, new)


class TwoWorkers(ModeChange):
    workers, queues, families = 2, 1, (4,)


class Rest(ModeChange):
    """What else may change with the mode."""
    test_every_pair = None

    def begin(self, mode, gue_port=0, **more):
        self.put(mode, gue_port, **more)
        backend(self.box, 1, port=80)
        self.apply()
        return self.open(mode, 4000, gue_port)

    def test_there_and_back(self):
        self.begin(GUE, 7000)
        for mode in (FULLNAT, DNAT, IPIP):
            self.put(mode)
            self.apply()
            self.goes_on(GUE, 4000, 7000)
        self.put(GUE, 8000)  # in the mode itself packets go to the new port at once
        self.apply()
        self.goes_on(GUE, 4000, 8000)

    def test_no_source_addresses_any_more(self):
        self.begin(FULLNAT)
        self.put(DNAT)
        self.box.delete("snat/10.2.0.100")
        self.apply()
        self.goes_on(FULLNAT, 4000)

    def test_the_backend_goes_as_well(self):
        self.begin(DNAT)
        self.put(FULLNAT)
        self.box.delete("backend/web/web1")
        backend(self.box, 2)
        self.apply()
        self.goes_on(DNAT, 4000)

    def test_the_backend_becomes_anothers(self):
        """Of the flows before, only what it sends is lost; of the new service's nothing."""
        sent = self.begin(DNAT)
        self.put(FULLNAT)
        service(self.box, name="other", vip="10.1.0.81", port=80, mode=DNAT)
        self.box.put("backend", service="other", name="w", ip=BACKENDS[4], port=80, weight=1, state=UP)
        self.apply()
        self.to_backend(DNAT, 4000, flags="A")
        out = self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src=CLIENTS[4], dst="10.1.0.81")
                        / TCP(sport=4444, dport=80, flags="S"))
        self.assertEqual([got[IP].dst for _, got in out], [BACKENDS[4]])
        out = self.send(Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=BACKENDS[4], dst=CLIENTS[4])
                        / TCP(sport=80, dport=4444, flags="SA"), port="south")
        self.assertEqual([got[IP].src for _, got in out], ["10.1.0.81"])
        back = Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=BACKENDS[4], dst=CLIENTS[4]) / TCP(sport=80, dport=4000, flags="A")
        self.assertEqual(self.send(back, port="south"), [])

    def test_the_way_back_ends_with_the_flows(self):
        """What a backend sends without a flow is the kernel's; when there are no flows it is not even looked up."""
        self.begin(DNAT)
        self.put(FULLNAT)
        self.apply()
        stray = Ether(src=WEB_MAC[1], dst=SOUTH_MAC) / IP(src=BACKENDS[4], dst="10.1.0.77") / TCP(sport=80, dport=9)
        self.assertEqual([what for what, _, _ in self.box.run(stray, port="south")], ["kernel"])
        for _ in range(4):
            self.box.time(400_000)
            self.send()
        self.assertEqual(self.box.conns(), [])
        self.put(FULLNAT, mss=1000)
        self.apply()
        self.assertEqual(self.box.trace(), "ok")
        self.box.run(stray, port="south")
        rows, _, _ = self.box.traced()
        self.assertEqual([r["kind"] for r in rows], ["kernel"])

    def test_with_what_the_modes_have_more(self):
        """Segment size, client address: of the flow, not of the service."""
        self.begin(FULLNAT, client_address=1)
        self.put(DNAT, mss=1000)
        self.apply()
        self.goes_on(FULLNAT, 4000)
        self.open(DNAT, 4002)
        self.put(IPIP)
        self.apply()
        self.goes_on(FULLNAT, 4000)
        self.goes_on(DNAT, 4002)
        self.open(IPIP, 4003)

    def test_what_is_told(self):
        """EXPLAIN and TRACE name the flow's mode."""
        self.begin(FULLNAT)
        self.put(DNAT)
        self.apply()
        self.assertEqual([self.box.explain(CLIENTS[4], sport, VIPS[4], 80, segment=s)["mode"]
                          for sport, s in ((4000, True), (4001, False))], [FULLNAT, DNAT])
        self.assertEqual(self.box.trace(), "ok")
        for sport, flags in ((4000, "A"), (4001, "S")):
            self.send(Ether(src=CLIENT_MAC, dst=NORTH_MAC) / IP(src=CLIENTS[4], dst=VIPS[4])
                      / TCP(sport=sport, dport=80, flags=flags))
        rows, _, _ = self.box.traced()
        self.assertEqual([r["mode"] for r in rows], ["full-nat", "dnat"])


if __name__ == "__main__":
    unittest.main()
