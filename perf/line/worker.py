# SPDX-License-Identifier: BSD-3-Clause
"""Completes a run's document: worker.py DIR NAME [OF VALUE]. What it is of (NAME, and the point of a sweep), and what the workers did between
two looks at them (DIR/before.*, DIR/after.*), where there were two; that in a line too."""
import json
import os
import sys


def look(at):
    with open(at + ".workers", encoding="utf-8") as file:
        workers = json.load(file)["items"]
    with open(at + ".counters", encoding="utf-8") as file:
        counters = {c["name"]: (c["value"], c["is_drop"]) for c in json.load(file)["items"]}
    with open(at + ".time", encoding="utf-8") as file:
        return workers, counters, float(file.read())


def stages_of(before, after):
    """Cycles of each stage between the looks, and the packets that they are of."""
    packets = after["timed_packets"] - before["timed_packets"]
    return [{"name": k.removesuffix("_cycles"), "cycles": v - before[k], "packets": packets}
            for k, v in after.items() if k.endswith("_cycles")]


def worker_of(before, after):
    d = {k: after[k] - before[k] for k in ("loops", "busy_loops", "rx_packets", "tx_packets")}
    d["busy_share_of_loops"] = d["busy_loops"] / max(d["loops"], 1)
    d["packets_per_busy_loop"] = d["rx_packets"] / max(d["busy_loops"], 1)
    d["stages"] = stages_of(before, after)
    return d


def describe(result, before, after):
    (w0, c0, t0), (w1, c1, t1) = before, after
    figures = result["figures"]
    rate = figures["pdr"]["median"] * 0.9 if "pdr" in figures else figures["received_rate"]["median"]
    workers = [worker_of(a, b) for a, b in zip(w0, w1)]
    for d in workers:
        print("  worker at %.0f/s: %.0f packets/s in, %.0f out, %.1f %% of loops had some, %.1f each"
              % (rate, d["rx_packets"] / (t1 - t0), d["tx_packets"] / (t1 - t0),
                 100 * d["busy_share_of_loops"], d["packets_per_busy_loop"]))
        if d["stages"][0]["packets"] > 0:
            print("    cycles of a packet:", ", ".join("%s %.1f" % (s["name"], s["cycles"] / s["packets"]) for s in d["stages"]))
    drops = {n: c1[n][0] - v for n, (v, is_drop) in c0.items() if is_drop and c1[n][0] != v}
    counters = {n: c1[n][0] - v for n, (v, _) in c0.items() if c1[n][0] != v}
    d = {"rate": rate, "seconds": t1 - t0, "workers": workers, "drops": drops, "counters": counters}
    if "pdr" in figures:
        d["cycles_per_packet_at_pdr"] = len(workers) * result["machine"]["tsc_hz"] / figures["pdr"]["median"]
        print("  at PDR a worker has %.0f cycles for each packet, receiving and sending included"
              % d["cycles_per_packet_at_pdr"])
    if drops:
        print("  drops:", ", ".join("%s %d" % i for i in sorted(drops.items())))
    return d


def number(text):
    """The value of a sweep's point: a number, where it is one."""
    try:
        return int(text)
    except ValueError:
        return text


def main():
    at, name = sys.argv[1:3]
    path = os.path.join(at, "result.json")
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    result["name"] = name
    result["sweep"] = {"of": sys.argv[3], "value": number(sys.argv[4])} if len(sys.argv) > 4 else None
    changes = os.path.join(at, "changes")
    if os.path.exists(changes):
        with open(changes, encoding="utf-8") as file:
            result["changes"] = int(file.read())
        print("  %d changes of the configuration" % result["changes"])
    before, after = os.path.join(at, "before"), os.path.join(at, "after")
    if result["figures"] is not None and os.path.exists(after + ".time"):
        result["dataplane"] = describe(result, look(before), look(after))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
