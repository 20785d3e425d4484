# SPDX-License-Identifier: BSD-3-Clause
"""What the comparisons here make of their runs: samples, tables of medians with ratios, and documents (millrace.compare/1, ../README.md).

    compare.py sample NAME SAMPLES PEER TEST ROUND BEFORE AFTER <CLIENT.json   one more line of SAMPLES, and a row of a table for people
    compare.py table NAME VERSIONS <SAMPLES                                    a table for each test
    compare.py document NAME VERSIONS BUILD_DIR CONFIG LOAD <SAMPLES           the document

BEFORE and AFTER are what pair.sh's look() wrote. VERSIONS is a file of lines "PEER: VERSION", in the order of the table; the first ones are
what ratios are to, Millrace's are named millrace and so on. CONFIG is a file of lines "NAME: VALUE".
"""
import datetime
import json
import os
import re
import statistics
import subprocess
import sys

SCHEMA = "millrace.compare/1"
FULL = 0.97  # of a CPU: all of it
KEPT_UP = 0.99  # of a rate
LATE = 0.01  # of the requests
OTHERS = 0.1  # CPUs that other processes had meanwhile
STOLEN = 0.02  # of a CPU, by the host

# name: (heading, format, unit, which is better)
METRICS = {
    "per_second": ("requests/s", "%11.0f", "1/s", "higher"),
    "mb_per_second": ("MB/s", "%8.1f", "MB/s", "higher"),
    "p50_us": ("p50 us", "%8.1f", "us", "lower"),
    "p99_us": ("p99 us", "%8.1f", "us", "lower"),
    "p999_us": ("p99.9 us", "%9.1f", "us", "lower"),
    "max_us": ("max us", "%9.1f", "us", "lower"),
    "cpu_user_us": ("user", "%7.3f", "us of CPU time for a request", "lower"),
    "cpu_system_us": ("system", "%7.3f", "us of CPU time for a request", "lower"),
    "cpu_us": ("both", "%7.3f", "us of CPU time for a request", "lower"),
    "cpu_us_per_mb": ("CPU us/MB", "%9.1f", "us of CPU time for a MB", "lower"),
    "client_cpu": ("client CPU", "%10.2f", "CPUs", "lower"),
    "server_cpu": ("own CPU", "%7.2f", "CPUs", "lower"),
}
SPEED = ["per_second", "p50_us", "p99_us", "cpu_user_us", "cpu_system_us", "cpu_us", "client_cpu", "server_cpu"]
TIMES = ["p99_us", "p50_us", "p999_us", "max_us", "per_second", "cpu_us", "client_cpu", "server_cpu"]
BULK = ["mb_per_second", "cpu_us_per_mb", "client_cpu", "server_cpu"]
# counts of what should not be
ERRORS = ("refused", "reset", "closed", "timeout", "wrong", "other", "unsent", "lost", "misses")

# comparison: {test: (metrics, the one of the ratios first; what it is)}. A test's name may go on with a number: rate-10000.
COMPARISONS = {
    "balancer": {
        "requests": (SPEED, "requests over kept connections, each again as soon as it is answered"),
        "connections": (SPEED, "a new connection for each request, closed by the client after its answer"),
        "bulk": (BULK, "answers of 1 MB"),
        "rate": (TIMES, "requests that are due at even intervals; times count from then"),
    },
    "memcached-udp": {
        "windows": (SPEED, "as many requests on the way as windows have room for"),
        "rate": (TIMES, "requests that are due at even intervals; times count from then"),
    },
    "memcached-tcp": {
        "pipeline": (SPEED, "sixteen requests at once on each connection, the next sixteen when all are answered"),
        "one": (SPEED, "one request at a time on each connection"),
        "rate": (TIMES, "requests that are due at even intervals; times count from then"),
    },
}


def test_of(name, test):
    """(metrics, what it is) of a test, with its number if it has one."""
    base, _, number = test.partition("-")
    metrics, about = COMPARISONS[name][base]
    return metrics, about + (", %s a second" % number if number else "")


def is_paced(test):
    return test.startswith("rate-")


# --- samples


def look(path):
    """What pair.sh's look() wrote: microseconds of the server, user and system; of client and backends; and ticks of each CPU."""
    tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
    with open(path, encoding="utf-8") as file:
        server, backends, client, *rest = file.read().splitlines()
    server = [int(t) * tick_us for t in server.split()]
    ends = sum(int(t) * tick_us for t in backends.split())
    for word in client.split():  # of bash's `times`: 0m1.234s
        minutes, seconds = word.rstrip("s").split("m")
        ends += (int(minutes) * 60 + float(seconds)) * 1e6
    cpus = []
    for cpu in rest:
        user, nice, system, idle, wait, irq, softirq, steal = (int(t) for t in cpu.split()[1:9])
        processes = user + nice + system
        busy = processes + irq + softirq
        cpus.append({"processes": processes, "busy": busy, "steal": steal, "all": busy + idle + wait + steal})
    return server, ends, cpus


def sample(name, path, peer, test, round_, before, after):
    s = {"test": test, "round": int(round_), **json.load(sys.stdin)}
    if is_paced(test):
        s["rate"] = int(test.partition("-")[2])
    (server0, ends0, cpus0), (server1, ends1, cpus1) = look(before), look(after)
    if not s["requests"]:
        sys.exit("error: %s, %s: no request was answered" % (peer, test))
    user, system = (b - a for a, b in zip(server0, server1))
    s["cpu_user_us"], s["cpu_system_us"], s["cpu_us"] = (t / s["requests"] for t in (user, system, user + system))
    ticks = [{k: b[k] - a[k] for k in a} for a, b in zip(cpus0, cpus1)]
    s["client_cpu"], s["server_cpu"] = (t["busy"] / max(t["all"], 1) for t in ticks[:2])
    s["steal"] = max(t["steal"] / max(t["all"], 1) for t in ticks)
    # of CPUs, what other processes had; a part of the kernel's work for ours is in none, so this is rather too little
    seconds = ticks[0]["all"] / os.sysconf("SC_CLK_TCK")
    ours = (user + system + ends1 - ends0) / 1e6
    s["others_cpu"] = max(0, sum(t["processes"] for t in ticks) / os.sysconf("SC_CLK_TCK") - ours) / max(seconds, 0.01)
    if "bytes" in s:
        s["cpu_us_per_mb"] = (user + system) / (s["bytes"] / 1e6)
    s["errors"] = sum(s.get(e, 0) for e in ERRORS)
    s["limits"] = "client" if s["client_cpu"] >= FULL else "server" if s["server_cpu"] >= FULL else "neither"
    with open(path, "a", encoding="utf-8") as file:
        print(json.dumps({"peer": peer, **s}), file=file)
    words = remarks([s])
    print("%3d  %-12s %s%s" % (s["round"], test, row(peer, test_of(name, test)[0], [s]), "  " + words if words else ""))


# --- tables


def remarks(samples):
    """What makes figures less than what they seem."""
    words = []
    n = sum(s["errors"] for s in samples)
    if n:
        kinds = ["%s %d" % (e, k) for e in ERRORS if (k := sum(s.get(e, 0) for s in samples))]
        words.append("errors: " + ", ".join(kinds))
    paced = is_paced(samples[0]["test"])
    n_full = sum(s["limits"] == "client" for s in samples)
    if n_full and not paced:
        words.append("client's CPU full" + ("" if n_full == len(samples) else " (%d of %d)" % (n_full, len(samples))))
    if paced:
        if statistics.median(s["per_second"] for s in samples) < KEPT_UP * samples[0]["rate"]:
            words.append("did not keep up")
        late = sum(s["sent_late"] for s in samples) / sum(s["requests"] + s["errors"] for s in samples)
        if late > LATE:
            words.append("%.0f %% left late" % (100 * late))
    if (others := statistics.median(s["others_cpu"] for s in samples)) > OTHERS:
        words.append("others had %.1f CPUs" % others)
    if (steal := statistics.median(s["steal"] for s in samples)) > STOLEN:
        words.append("%.0f %% of a CPU stolen" % (100 * steal))
    return "; ".join(words)


def row(label, metrics, samples):
    cells = [METRICS[m][1] % statistics.median(s[m] for s in samples) for m in metrics]
    return "%-18s %s" % (label, " ".join(cells))


def heading(metrics):
    widths = [len(METRICS[m][1] % 0) for m in metrics]
    cells = [METRICS[m][0].rjust(w) for m, w in zip(metrics, widths)]
    return "%-18s %s" % ("", " ".join(cells))


def read_samples():
    return [json.loads(line) for line in sys.stdin]


def read_pairs(path):
    with open(path, encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(": ", 1) for line in file)


def ratio(value, to):
    return "%.2f" % (value / to) if to else "-"


def table(name, versions):
    samples = read_samples()
    peers = list(read_pairs(versions))
    for test in dict.fromkeys(s["test"] for s in samples):
        metrics, about = test_of(name, test)
        of = {p: [s for s in samples if s["test"] == test and s["peer"] == p] for p in peers}
        of = {p: s for p, s in of.items() if s}
        values = {p: [s[metrics[0]] for s in ss] for p, ss in of.items()}
        middle = {p: statistics.median(v) for p, v in values.items()}
        others = [p for p in of if not p.startswith("millrace")]
        print("\n%s: %s; medians of %d%s" % (test, about, max(map(len, of.values())), others and ", ratios of " + METRICS[metrics[0]][0] or ""))
        print(heading(metrics), "  lowest  highest", "".join(" /%-*s" % (max(len(p), 5), p) for p in others))
        for p, ss in of.items():
            ratios = "".join(" %-*s" % (max(len(q), 5) + 1, ratio(middle[p], middle[q])) for q in others)
            words = remarks(ss)
            print(row(p, metrics, ss), "%8.0f %8.0f %s%s" % (min(values[p]), max(values[p]), ratios, " " + words if words else ""))


# --- the document


def text_of(path, key=None):
    """The first line of a file, or what follows the colon in the first line that begins with key; None: there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            for text in file:
                if key is None:
                    return text.strip() or None
                if text.startswith(key) and ":" in text:
                    return text.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def machine(load):
    """As in millrace.bench/1, but for the clock of the CPU."""
    m = {
        "cpu": text_of("/proc/cpuinfo", "model name"),
        "microcode": text_of("/proc/cpuinfo", "microcode"),
        "cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
        "governor": text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "isolated_cpus": text_of("/sys/devices/system/cpu/isolated"),
        "hugepages": text_of("/proc/meminfo", "HugePages_Total"),
        "hugepage_size": text_of("/proc/meminfo", "Hugepagesize"),
        "kernel": os.uname().release,
        "load": load,
    }
    return {k: v for k, v in m.items() if v is not None}


def build_of(build):
    """Version, build, compiler, DPDK of Millrace, under the names of millrace.bench/1's generator."""
    with open(os.path.join(build, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as file:
        options = {o["name"]: o["value"] for o in json.load(file)}
    with open(os.path.join(build, "meson-info", "intro-dependencies.json"), encoding="utf-8") as file:
        versions = {d["name"]: d["version"] for d in json.load(file)}
    with open(os.path.join(build, "meson-logs", "meson-log.txt"), encoding="utf-8", errors="replace") as file:
        compiler = re.search(r"^C compiler for the host machine: [^(]*\((\w+) ([0-9.]+)", file.read(), re.M)
    said = subprocess.run([os.path.join(build, "dataplane", "millraced"), "--version"], check=True, capture_output=True, text=True)
    return {
        "version": said.stdout.split()[-1],
        "build": "%s%s, %s" % (options["buildtype"], " with LTO" if options["b_lto"] else "", " ".join(compiler.groups())),
        "compiler": compiler.group(2),
        "dpdk": "DPDK " + versions["libdpdk"],
    }


def document(name, versions, build, config, load):
    samples = read_samples()
    tests = list(dict.fromkeys(s["test"] for s in samples))
    used = dict.fromkeys(m for t in tests for m in test_of(name, t)[0])
    doc = {
        "schema": SCHEMA,
        "name": name,
        "time": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(load),
        "load_after": " ".join(text_of("/proc/loadavg").split()[:3]),
        "build": build_of(build),
        "config": read_pairs(config),
        "metrics": {m: {"unit": METRICS[m][2], "better": METRICS[m][3]} for m in used},
        "tests": [{"name": t, "about": test_of(name, t)[1], "metrics": test_of(name, t)[0]} for t in tests],
        "peers": [
            {"name": p, "version": v, "samples": [{k: x for k, x in s.items() if k != "peer"} for s in samples if s["peer"] == p]}
            for p, v in read_pairs(versions).items()
            if any(s["peer"] == p for s in samples)
        ],
    }
    json.dump(doc, sys.stdout, indent=1)
    print()


COMMANDS = {"sample": sample, "table": table, "document": document}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
