#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of what was measured: plot.py DIR [--out DIR] [--data]

Reads all documents in DIR (millrace.bench/1 of perf/line, millrace.compare/1 of perf/compare, millrace.workers/1 of perf/micro/workers, Google Benchmark's JSON of
the micro-benchmarks) and writes for each picture that has figures NAME.dat, which gnuplot reads, NAME.svg and NAME.png. What has none is said. A document without figures is said, and gives
nothing. --data: no pictures.

A .dat file has blocks, two empty lines between them, each of one line or bar: its name in quotes, then rows of columns that the .gp file beside this one
names.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
ETHERNETS = (1, 10, 25, 40, 100, 200, 400)  # Gbit/s
WIRE_BYTES = 20  # preamble and gap of a frame on Ethernet

# A picture: file name, template (HERE/template.gp), title, blocks [(name, rows)], and variables of the template.
Plot = namedtuple("Plot", "name template title blocks variables")


class NoFigures(Exception):
    """A document has nothing to draw; the text says why."""


# --- documents


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            doc = json.load(file)
    except ValueError as error:
        raise NoFigures("not a whole JSON document: %s" % error) from error
    if not isinstance(doc, dict):
        raise NoFigures("no document of measurements")
    schema = doc.get("schema")
    if schema == "millrace.bench/1":
        if doc.get("figures") is None:
            raise NoFigures("no figure: %s" % doc.get("error"))
        doc.setdefault("name", os.path.splitext(os.path.basename(path))[0])
        return "bench", doc
    if schema == "millrace.compare/1":
        doc.setdefault("name", os.path.splitext(os.path.basename(path))[0])
        return "compare", doc
    if schema == "millrace.workers/1":
        return "workers", doc
    if schema is None and "benchmarks" in doc and "context" in doc:
        return "micro", doc
    raise NoFigures("schema '%s' is none that is drawn" % schema)


def read_all(folder):
    """({kind: [document]}, [what was left out and why])."""
    docs, left_out = {"bench": [], "compare": [], "workers": [], "micro": []}, []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json"):
            continue
        try:
            kind, doc = read(os.path.join(folder, name))
            docs[kind].append(doc)
        except NoFigures as why:
            left_out.append("%s: %s" % (name, why))
    return docs, left_out


def label(doc):
    sweep = doc.get("sweep")
    return "%s, %s %s" % (doc["name"], sweep["of"], sweep["value"]) if sweep else doc["name"]


# --- rates by something that was varied


NAMES = {"pdr": "PDR", "ndr": "NDR", "received_rate": "answered"}


def rates_of(doc):
    """{"PDR": (median, lowest, highest, whether it is a lower bound) ...} in millions a second."""
    return {NAMES[k]: tuple(v[part] / 1e6 for part in ("median", "lowest", "highest")) + (bool(v.get("at_least")),)
            for k, v in doc["figures"].items() if k in NAMES and isinstance(v, dict)}


def swept(doc, what):
    """The value of a sweep's point, as a number; None of other sweeps, and where it is none (imix)."""
    sweep = doc.get("sweep") or {}
    value = sweep.get("value")
    return value if what in str(sweep.get("of")) and isinstance(value, (int, float)) else None


def rates_by(docs, what):
    """Blocks of x, median, lowest, highest for each scenario that has two points at least. The name says which of them are lower bounds."""
    lines = {}
    for doc in docs:
        x = swept(doc, what)
        if x is not None:
            for goal, (median, low, high, is_bound) in rates_of(doc).items():
                lines.setdefault((doc["name"], goal), []).append((x, median, low, high, is_bound))
    blocks = []
    for (name, goal), points in sorted(lines.items()):
        bounds = ["%g" % p[0] for p in sorted(points) if p[4]]
        which = "" if not bounds else ", at least" if len(bounds) == len(points) else ", at least at " + " ".join(bounds)
        if len(points) >= 2:
            blocks.append(("%s, %s%s" % (name, goal, which), [p[:4] for p in sorted(points)]))
    return blocks


def line_rate(gbit, size):
    """Frames a second of Ethernet, in millions."""
    return gbit * 1e3 / 8 / (size + WIRE_BYTES)


def by_size(docs):
    blocks = rates_by(docs["bench"], "size")
    if not blocks:
        return []
    points = [(row[0], row[1]) for _, rows in blocks for row in rows]
    low, high = min(points)[0], max(points)[0]
    # the slowest Ethernet that carries all of it, and the one below
    carries = [gbit for gbit in ETHERNETS if all(line_rate(gbit, x) >= y for x, y in points)]
    first = ETHERNETS.index(carries[0]) if carries else len(ETHERNETS) - 1
    shown = ETHERNETS[max(0, first - 1):first + 1]
    for gbit in shown:
        xs = sorted({low + (high - low) * i / 20 for i in range(21)} | {x for x, _ in points})
        blocks.append(("line rate of %d Gbit/s" % gbit, [(x, line_rate(gbit, x)) for x in xs]))
    return [Plot("rate-by-size", "rate", "Frames by their size", blocks,
                 {"xtitle": "bytes of a frame, checksum included", "ytitle": "M frames/s", "is_log": 0, "x_step": 0, "n_plain": len(shown)})]


def by_sweep(what, xtitle, is_log, x_step):
    def make(docs):
        blocks = rates_by(docs["bench"], what)
        return [Plot("rate-by-" + what, "rate", "Rate by " + what, blocks,
                     {"xtitle": xtitle, "ytitle": "M frames or requests/s", "is_log": is_log, "x_step": x_step, "n_plain": 0})] if blocks else []
    return make


def workers_in_memory(docs):
    """What more workers make of it; in grey what it would be if it grew as the same frames do that are only moved: what the machine makes of more CPUs."""
    blocks, moved = [], []
    for doc in docs["workers"]:
        rates = {}
        for sample in doc["samples"]:
            rates.setdefault(sample["moved_only"], {}).setdefault(sample["workers"], []).append(sample["per_second"] / 1e6)
        rows = [(n, statistics.median(v), min(v), max(v)) for n, v in sorted(rates.get(False, {}).items())]
        if len(rows) < 2:
            continue
        blocks.append((doc["name"], rows))
        only = {n: statistics.median(v) for n, v in rates.get(True, {}).items()}
        if 1 in only:
            moved.append((doc["name"] + ", as moved frames grow", [(n, rows[0][1] * v / only[1]) for n, v in sorted(only.items())]))
    if not blocks:
        return []
    return [Plot("rate-by-workers-memory", "workers", "Rate by workers, in memory", blocks + moved, {"n_plain": len(moved)})]


# --- latency


def quantile_rows(buckets):
    """(1 / (1 - p), microseconds) in twenty steps for each factor of ten, as far as there are values: of [[ns, how often]]."""
    n, rows, before, at = sum(k for _, k in buckets), [], 0, 0
    step = 0
    while n > 0 and 10 ** (step / 20) <= n:
        inverse = 10 ** (step / 20)
        rank = max(1, -(-(1 - 1 / inverse) * n // 1))
        while before + buckets[at][1] < rank:
            before += buckets[at][1]
            at += 1
        rows.append((inverse, buckets[at][0] / 1e3))
        step += 1
    return rows


def rate_text(rate):
    return "%.2f M/s" % (rate / 1e6) if rate >= 1e6 else "%.0f k/s" % (rate / 1e3) if rate >= 1e4 else "%.0f/s" % rate


def percentiles(docs):
    plots = []
    for doc in docs["bench"]:
        blocks, seen = [], set()
        for trial in doc.get("trials", []):
            if trial.get("verdict") != "done" or trial.get("purpose") not in ("latency", "measure", "generator-alone"):
                continue
            name = rate_text(trial["rate"]) + ("" if "share_of_pdr" not in trial else ", %.0f %% of PDR" % (100 * trial["share_of_pdr"]))
            if trial["purpose"] == "generator-alone":
                name += ", generator alone"
            rows = quantile_rows(sorted(trial["latency_ns"]["buckets"]))
            if len(rows) >= 2 and name not in seen:  # of repetitions the first
                seen.add(name)
                blocks.append((name, rows))
        if blocks:
            plots.append(Plot("percentiles-" + slug(label(doc)), "percentiles", "Latency of " + label(doc), blocks, {}))
    return plots


def latency_by_load(docs):
    lines = {}
    for doc in docs["bench"]:
        for trial in doc.get("trials", []):
            if trial.get("verdict") == "done" and trial.get("purpose") in ("latency", "measure"):
                for key, name in (("p50", "p50"), ("p99", "p99"), ("p99_9", "p99.9")):
                    lines.setdefault(label(doc), {}).setdefault(name, {}).setdefault(trial["rate"] / 1e6, []).append(
                        trial["latency_ns"][key] / 1e3)
    plots = []
    for of, by_name in lines.items():
        blocks = [(name, [(x, statistics.median(v)) for x, v in sorted(points.items())]) for name, points in by_name.items()]
        if len(blocks[0][1]) >= 2:
            plots.append(Plot("latency-by-load-" + slug(of), "load", "Latency by load, " + of, blocks, {}))
    return plots


# --- stages


def micro_medians(doc):
    """{name: cycles, net where there is a reference that is part of it}."""
    values = {}
    for b in doc["benchmarks"]:
        if b.get("run_type") == "iteration" and not b.get("error_occurred"):
            name = b["run_name"].partition("/manual_time")[0]
            values.setdefault(name, []).append(b.get("net_cycles", b.get("cycles")))
    return {name: statistics.median(v) for name, v in values.items() if None not in v}


# A bar: the whole and its parts, each measured alone; what is left of the whole is receiving, sending and the rest.
BARS = [("get, 1 M keys", "path/cache/get/1M/32/zipf",
         [("parse", "path/cache/stage/parse"), ("lookup", "path/cache/stage/lookup"), ("answer", "path/cache/stage/reply")])]
BARS += [("dsr-l2, %s flows" % n, "path/dsr-l2/ipv4/" + n,
          [("parse", "parse/ipv4/tcp"), ("service", "vip/find/16"), ("lookup", "conn/find/ipv4/" + n)]) for n in ("1k", "100k", "1M")]
REST = "receive, send, rest"


def stacked(name, title, bars):
    """bars: {bar: {part: cycles}}; a block of one row for each part's height in each bar."""
    parts = list(dict.fromkeys(part for heights in bars.values() for part in heights if part != REST)) + [REST]
    parts = [p for p in parts if any(p in heights for heights in bars.values())]
    rows = [[bar] + [heights.get(part, 0) for part in parts] for bar, heights in bars.items()]
    return Plot(name, "stages", title, [("", [["bar"] + parts] + rows)], {"n_parts": len(parts)})


def stages(docs):
    plots = []
    for i, doc in enumerate(docs["micro"]):
        cycles, bars = micro_medians(doc), {}
        for bar, whole, parts in BARS:
            if whole not in cycles or any(part not in cycles for _, part in parts):
                continue
            heights = {part: cycles[of] for part, of in parts}
            rest = cycles[whole] - sum(heights.values())
            if rest >= 0:
                bars[bar] = {**heights, REST: rest}
            else:
                print("no bar of %s: its parts, each measured alone, cost more than the whole" % whole)
        if bars:
            plots.append(stacked("stages-micro" + ("-%d" % (i + 1) if i else ""), "Cycles of a packet, in memory", bars))
    bars = {}
    for doc in docs["bench"]:
        heights, n = {}, 0
        for worker in (doc.get("dataplane") or {}).get("workers", []):
            timed = worker.get("stages", [])
            n += max((s["packets"] for s in timed), default=0) # all of a worker's are of the same loops
            for stage in timed:
                heights[stage["name"]] = heights.get(stage["name"], 0) + stage["cycles"]
        if n > 0:
            bars[label(doc)] = {name: c / n for name, c in heights.items()}
    if bars:
        plots.append(stacked("stages-line", "Cycles of a packet, between two processes", bars))
    return plots


# --- peers


def peers(docs):
    plots = []
    for doc in docs["compare"]:
        values = {}  # metric, test, peer
        for peer in doc.get("peers", []):
            for sample in peer.get("samples", []):
                for metric, v in sample.items():
                    if isinstance(v, (int, float)) and not isinstance(v, bool) and metric in doc.get("metrics", {metric: 0}) and metric != "round":
                        values.setdefault(metric, {}).setdefault(sample.get("test", ""), {}).setdefault(peer["name"], []).append(v)
        names = [p["name"] for p in doc.get("peers", [])]
        for metric, tests in values.items():
            blocks = []
            for name in names:
                rows = [(i, statistics.median(v), min(v), max(v), test or doc["name"])
                        for i, (test, of) in enumerate(tests.items()) for v in [of.get(name)] if v]
                if rows:
                    blocks.append((name, rows))
            if len(blocks) < 2:
                continue
            about = doc.get("metrics", {}).get(metric, {})
            better = {"higher": ", more is better", "lower": ", less is better"}.get(about.get("better"), "")
            plots.append(Plot("peers-%s-%s" % (slug(doc["name"]), slug(metric)), "peers", "%s: %s" % (doc["name"], metric), blocks,
                              {"ytitle": about.get("unit", metric) + better}))
    return plots


# --- files

PICTURES = [
    ("rate by frame size", by_size),
    ("rate by flows", by_sweep("flows", "flows", 1, 0)),
    ("rate by workers", by_sweep("workers", "workers", 0, 1)),
    ("rate by workers, in memory", workers_in_memory),
    ("rate by backends", by_sweep("backends", "backends of the service", 1, 0)),
    ("rate by share of new flows", by_sweep("new-pct", "percent of the frames that begin a flow", 0, 0)),
    ("rate beside a flood", by_sweep("flood", "frames/s of a flood, beside those that are measured", 0, 0)),
    ("latency percentiles", percentiles),
    ("latency by load", latency_by_load),
    ("cycles of stages", stages),
    ("peers side by side", peers),
]


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def quoted(text):
    return '"%s"' % str(text).replace('"', "'").replace("\\", "/").replace("\n", " ")


def cell(value):
    return "%.6g" % value if isinstance(value, (int, float)) else quoted(value)


def data_of(plot):
    blocks = []
    for name, rows in plot.blocks:
        lines = [quoted(name)] if name else []
        blocks.append("\n".join(lines + [" ".join(cell(v) for v in row) for row in rows]))
    return "\n\n\n".join(blocks) + "\n"


def script_of(plot, data, out, terminal):
    """What gnuplot is given: variables, then the templates."""
    words = {"data": data, "title": plot.title, **plot.variables, "n_blocks": len(plot.blocks)}
    lines = ["set terminal %s" % terminal, "set output %s" % quoted(out)]
    lines += ["%s_ = %s" % (k, v if isinstance(v, int) else quoted(v)) for k, v in words.items()]
    lines += ["load %s" % quoted(os.path.join(HERE, name)) for name in ("style.gp", plot.template + ".gp")]
    return "\n".join(lines) + "\n"


TERMINALS = {"svg": "svg size 800,500 font 'sans,13' noenhanced background '#ffffff'",
             "png": "pngcairo size 800,500 font 'sans,11' noenhanced"}


HARMLESS = re.compile(r"Warning: empty [xy] range")  # all points of a line are equal


def draw(plot, folder):
    data = os.path.join(folder, plot.name + ".dat")
    for suffix, terminal in TERMINALS.items():
        script = script_of(plot, data, os.path.join(folder, "%s.%s" % (plot.name, suffix)), terminal)
        done = subprocess.run(["gnuplot"], input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        complaints = [line for line in done.stdout.splitlines() if line.strip() and not HARMLESS.match(line)]
        if done.returncode != 0 or complaints:
            raise SystemExit("plot.py: gnuplot, %s: %s" % (plot.name, "\n".join(complaints)))


def run(folder, out, is_data_only):
    docs, left_out = read_all(folder)
    for why in left_out:
        print("left out: %s" % why)
    n = 0
    for about, make in PICTURES:
        try:
            plots = make(docs)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise SystemExit("plot.py: %s: a document is not as perf/README.md says: %r" % (about, error)) from error
        if not plots:
            print("no data: %s" % about)
        for plot in plots:
            os.makedirs(out, exist_ok=True)
            with open(os.path.join(out, plot.name + ".dat"), "w", encoding="utf-8") as file:
                file.write(data_of(plot))
            if not is_data_only:
                draw(plot, out)
            print("written: %s" % os.path.join(out, plot.name + (".dat" if is_data_only else ".svg, .png")))
            n += 1
    if n == 0:
        raise SystemExit("plot.py: %s: nothing to draw" % folder)


def main():
    parser = argparse.ArgumentParser(description="Draws what the JSON documents of a folder hold, by gnuplot.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--out", metavar="DIR", help="where pictures go; default: DIR/plots")
    parser.add_argument("--data", action="store_true", help="write gnuplot's data only")
    args = parser.parse_args()
    if not os.path.isdir(args.folder):
        raise SystemExit("plot.py: %s: no such folder" % args.folder)
    run(args.folder, args.out or os.path.join(args.folder, "plots"), args.data)


if __name__ == "__main__":
    sys.exit(main())
