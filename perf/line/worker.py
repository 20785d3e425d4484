# SPDX-License-Identifier: BSD-3-Clause
"""What the worker did between two looks at it, in a line and in the document: worker.py BEFORE AFTER RESULT.json"""
import json
import sys


def look(at):
    with open(at + ".workers", encoding="utf-8") as file:
        workers = json.load(file)["items"]
    with open(at + ".counters", encoding="utf-8") as file:
        counters = {c["name"]: (c["value"], c["is_drop"]) for c in json.load(file)["items"]}
    with open(at + ".time", encoding="utf-8") as file:
        return workers, counters, float(file.read())


def main():
    before, after, path = sys.argv[1:4]
    (w0, c0, t0), (w1, c1, t1) = look(before), look(after)
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    figures = result["figures"]
    rate = figures["pdr"]["median"] * 0.9 if "pdr" in figures else figures["received_rate"]["median"]
    hz = result["machine"]["tsc_hz"]
    workers = []
    for a, b in zip(w0, w1):
        d = {k: b[k] - a[k] for k in ("loops", "busy_loops", "rx_packets", "tx_packets")}
        d["busy_share_of_loops"] = d["busy_loops"] / max(d["loops"], 1)
        d["packets_per_busy_loop"] = d["rx_packets"] / max(d["busy_loops"], 1)
        workers.append(d)
        print("  worker at %.0f/s: %.0f packets/s in, %.0f out, %.1f %% of loops had some, %.1f each"
              % (rate, d["rx_packets"] / (t1 - t0), d["tx_packets"] / (t1 - t0),
                 100 * d["busy_share_of_loops"], d["packets_per_busy_loop"]))
    drops = {n: c1[n][0] - v for n, (v, is_drop) in c0.items() if is_drop and c1[n][0] != v}
    counters = {n: c1[n][0] - v for n, (v, _) in c0.items() if c1[n][0] != v}
    result["dataplane"] = {"rate": rate, "seconds": t1 - t0, "workers": workers, "drops": drops,
                           "counters": counters}
    if "pdr" in figures:
        cycles = hz / figures["pdr"]["median"]
        result["dataplane"]["cycles_per_packet_at_pdr"] = cycles
        print("  at PDR the worker has %.0f cycles for each packet, receiving and sending included" % cycles)
    if drops:
        print("  drops:", ", ".join("%s %d" % d for d in sorted(drops.items())))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
