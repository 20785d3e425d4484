# SPDX-License-Identifier: BSD-3-Clause
"""What pictures are drawn from (perf/plot/plot.py), out of small documents made here; where there is gnuplot, that it draws them too: test_plot.py SOURCE_ROOT"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

ROOT = sys.argv[1]
sys.path.insert(0, os.path.join(ROOT, "perf", "plot"))
import plot  # noqa: E402  (its folder is an argument)


def spread(median):
    return {"median": median, "lowest": median * 0.9, "highest": median * 1.1}


def trial(purpose, rate, buckets, **more):
    return {"purpose": purpose, "verdict": "done", "rate": rate,
            "latency_ns": {"p50": buckets[0][0], "p99": buckets[-1][0], "p99_9": buckets[-1][0], "buckets": buckets}, **more}


def bench(name, pdr=2e6, sweep=None, trials=(), **more):
    return {"schema": "millrace.bench/1", "error": None, "figures": {"ndr": spread(pdr / 2), "pdr": spread(pdr)}, "config": {}, "name": name,
            "sweep": sweep, "trials": list(trials), **more}


def micro(cycles):
    rows = [{"run_name": name + "/manual_time", "run_type": "iteration", key: value + off}
            for name, (key, value) in cycles.items() for off in (-1, 0, 5)]
    return {"context": {}, "benchmarks": rows + [{"run_name": "x", "run_type": "aggregate", "cycles": 1}]}


class Plots(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def put(self, name, doc):
        with open(os.path.join(self.folder, name + ".json"), "w", encoding="utf-8") as file:
            file.write(doc if isinstance(doc, str) else json.dumps(doc))

    def run_plot(self, *options):
        done = subprocess.run([sys.executable, "-B", plot.__file__, self.folder, *options],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def data(self, name):
        """{block: [rows of words]} of a data file that the program writes."""
        status, said = self.run_plot("--data")
        self.assertEqual(status, 0, said)
        with open(os.path.join(self.folder, "plots", name + ".dat"), encoding="utf-8") as file:
            blocks = [b.split("\n") for b in file.read().rstrip("\n").split("\n\n\n")]
        return {b[0].strip('"'): [row.split() for row in b[1:]] for b in blocks}

    def test_lower_bounds_are_told(self):
        for flows, is_bound in ((1, True), (1000, False)):
            doc = bench("known", pdr=2e6, sweep={"of": "flows", "value": flows})
            doc["figures"]["ndr"]["at_least"] = is_bound
            doc["figures"]["pdr"]["at_least"] = True
            self.put("known-%d" % flows, doc)
        self.assertEqual(sorted(self.data("rate-by-flows")), ["known, NDR, at least at 1", "known, PDR, at least"])

    def test_workers_in_memory(self):
        samples = [{"workers": n, "round": r, "moved_only": moved, "per_second": (10e6 if moved else 3e6) * n * (1 + r / 10)}
                   for n in (1, 2) for r in (-1, 0, 1) for moved in (False, True)]
        self.put("get", {"schema": "millrace.workers/1", "name": "get", "samples": samples})
        self.put("one", {"schema": "millrace.workers/1", "name": "one worker", "samples": samples[:6]})
        self.assertEqual(self.data("rate-by-workers-memory"), {
            "get": [["1", "3", "2.7", "3.3"], ["2", "6", "5.4", "6.6"]], "get, as moved frames grow": [["1", "3"], ["2", "6"]]})

    def test_rates_by_size_stand_beside_the_line_rate(self):
        for size, pdr in ((1518, 0.8e6), (64, 2e6), (512, 1.5e6)):
            self.put("s-%d" % size, bench("ipip-hit", pdr, {"of": "frame size", "value": size}))
        self.put("s-imix", bench("ipip-hit", 9e6, {"of": "frame size", "value": "imix"}))
        self.put("flows", bench("ipip-hit", 9e6, {"of": "flows", "value": 1}))
        data = self.data("rate-by-size")
        self.assertEqual(data["ipip-hit, PDR"], [["64", "2", "1.8", "2.2"], ["512", "1.5", "1.35", "1.65"], ["1518", "0.8", "0.72", "0.88"]])
        self.assertEqual([row[1] for row in data["ipip-hit, NDR"]], ["1", "0.75", "0.4"])
        rate = {row[0]: row[1] for row in data["line rate of 10 Gbit/s"]}
        self.assertEqual((rate["64"], rate["1518"]), ("14.881", "0.812744"))  # RFC 2544's
        self.assertFalse(any("nan" in row for row in data.values()))

    def test_sweeps_of_other_things_are_lines_of_scenarios(self):
        for n in (1, 1000, 100000):
            self.put("f-%d" % n, bench("gue-hit", 1e6 + n, {"of": "flows", "value": n}))
            self.put("b-%d" % n, bench("flood-syn", 2e5 - n, {"of": "flood", "value": n}))
        self.put("w-1", bench("gue-hit", 1e6, {"of": "workers", "value": 1}))  # a point is no line
        self.assertEqual([row[0] for row in self.data("rate-by-flows")["gue-hit, PDR"]], ["1", "1000", "100000"])
        self.assertEqual([row[0] for row in self.data("rate-by-flood")["flood-syn, NDR"]], ["1", "1000", "100000"])
        self.assertIn("no data: rate by workers", self.run_plot("--data")[1])

    def test_percentiles_are_those_of_the_buckets(self):
        # 1,000 values: 900 of 1 us, 90 of 10 us, 10 of 100 us
        buckets = [[10000, 90], [1000, 900], [100000, 10]]
        self.put("a", bench("a", trials=[trial("latency", 1e6, buckets, share_of_pdr=0.5), trial("latency", 1e6, [[7, 1]], share_of_pdr=0.5),
                                         trial("generator-alone", 1e6, [[500, 10]]), trial("search", 3e6, buckets),
                                         {**trial("measure", 5e6, buckets), "verdict": "too-slow"}]))
        data = self.data("percentiles-a")
        self.assertEqual(list(data), ["1.00 M/s, 50 % of PDR", "1.00 M/s, generator alone"])
        at = {round(float(x), 3): float(y) for x, y in data["1.00 M/s, 50 % of PDR"]}
        self.assertEqual((at[1.0], at[10.0], at[100.0], at[1000.0]), (1, 1, 10, 100))
        self.assertEqual(at[11.22], 10)
        self.assertEqual(max(at), 1000)  # no percentile is finer than the values are many

    def test_latency_by_load_needs_two_loads(self):
        self.put("one", bench("one", trials=[trial("latency", 1e6, [[1000, 1]])]))
        self.put("two", bench("two", trials=[trial("latency", r, [[1000 * i, 5], [9000, 5]], share_of_pdr=i / 10)
                                             for i, r in ((5, 2e6), (1, 1e6), (3, 1e6))]))
        data = self.data("latency-by-load-two")
        self.assertEqual(data["p50"], [["1", "2"], ["2", "5"]])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "plots", "latency-by-load-one.dat")))

    def test_stages_are_stacked_to_the_whole(self):
        self.put("m", micro({"path/cache/get/1M/32/zipf": ("net_cycles", 500), "path/cache/stage/parse": ("net_cycles", 70),
                             "path/cache/stage/lookup": ("net_cycles", 100), "path/cache/stage/reply": ("net_cycles", 150),
                             "path/dsr-l2/ipv4/1k": ("net_cycles", 40), "parse/ipv4/tcp": ("cycles", 20), "vip/find/16": ("cycles", 10),
                             "conn/find/ipv4/1k": ("cycles", 25)}))
        status, said = self.run_plot("--data")
        self.assertEqual(status, 0, said)
        self.assertIn("no bar of path/dsr-l2/ipv4/1k: its parts", said)  # 55 of 40
        with open(os.path.join(self.folder, "plots", "stages-micro.dat"), encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines(), ['"bar" "parse" "lookup" "answer" "receive, send, rest"',
                                                        '"get, 1 M keys" 70 100 150 180'])

    def test_stages_of_workers_are_by_packet(self):
        stages = [{"name": "rx", "cycles": 5000, "packets": 100}, {"name": "tx", "cycles": 1000, "packets": 100}]
        self.put("w", bench("w", dataplane={"workers": [{"rx_packets": 6000, "stages": stages}, {"rx_packets": 4000, "stages": stages}]}))
        self.run_plot("--data")
        with open(os.path.join(self.folder, "plots", "stages-line.dat"), encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines(), ['"bar" "rx" "tx"', '"w" 50 10'])

    def test_peers_stand_side_by_side(self):
        self.put("peers", {"schema": "millrace.compare/1", "name": "memcached-udp", "metrics": {"per_second": {"unit": "1/s", "better": "higher"}},
                       "peers": [{"name": peer, "samples": [{"test": t, "round": r, "per_second": base + r, "pid": 7}
                                                            for t in ("depth 1", "depth 16") for r in range(3)]}
                                 for peer, base in (("memcached", 100), ("millrace", 200))]})
        data = self.data("peers-memcached-udp-per-second")
        self.assertEqual(data["millrace"], [["0", "201", "200", "202", '"depth', '1"'], ["1", "201", "200", "202", '"depth', '16"']])
        self.assertEqual(len(data), 2)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "plots", "peers-memcached-udp-pid.dat")))

    def test_what_has_no_figures_is_said_and_not_drawn(self):
        self.put("cut", '{"schema": "millrace.bench/1", "figures": {"pd')
        self.put("none", {"schema": "millrace.bench/1", "figures": None, "error": "too slow", "name": "x"})
        self.put("other", {"schema": "millrace.bench/9"})
        self.put("list", [])
        status, said = self.run_plot("--data")
        self.assertNotEqual(status, 0)
        for words in ("left out: cut.json: not a whole", "left out: none.json: no figure: too slow", "left out: other.json: schema 'millrace.bench/9'",
                      "left out: list.json: no document", "nothing to draw"):
            self.assertIn(words, said)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "plots")))
        self.put("broken", {**bench("x"), "trials": [{"verdict": "done", "purpose": "latency"}]})
        status, said = self.run_plot("--data")
        self.assertNotEqual(status, 0)
        self.assertIn("a document is not as perf/README.md says", said)

    @unittest.skipIf(shutil.which("gnuplot") is None, "there is no gnuplot")
    def test_gnuplot_draws_all_of_it(self):
        self.test_rates_by_size_stand_beside_the_line_rate()
        self.test_sweeps_of_other_things_are_lines_of_scenarios()
        self.test_percentiles_are_those_of_the_buckets()
        self.test_latency_by_load_needs_two_loads()
        self.test_stages_are_stacked_to_the_whole()
        self.test_stages_of_workers_are_by_packet()
        self.test_peers_stand_side_by_side()
        status, said = self.run_plot()
        self.assertEqual(status, 0, said)
        at = os.path.join(self.folder, "plots")
        names = sorted(os.path.splitext(n)[0] for n in os.listdir(at) if n.endswith(".dat"))
        for name in ("rate-by-size", "rate-by-flows", "percentiles-a", "latency-by-load-two", "stages-micro", "peers-memcached-udp-per-second"):
            self.assertIn(name, names)
        for name in names:
            svg = xml.dom.minidom.parse(os.path.join(at, name + ".svg"))
            self.assertGreater(len(svg.getElementsByTagName("path")), 3, name)
            self.assertLess(os.path.getsize(os.path.join(at, name + ".svg")), 100000, name)
            with open(os.path.join(at, name + ".png"), "rb") as file:
                self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n", name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
