#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a packet on the main paths, beside those of perf/baseline/instructions.json: a gate that a busy machine does not move.

Callgrind counts one batch of each path and one of what the path's benchmark does besides (instrcount.h); what is compared is the difference
by operation. Status 0: within the tolerance; 1: a path is beyond it, or the baseline is not of these paths; 2: nothing was counted; 77:
the baseline is of another compiler or CPU, or there is no valgrind.
"""
import argparse
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
TOLERANCE_PCT = 2.0
BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "baseline", "instructions.json")

MICRO = [
    "parse/ipv4/tcp",
    "parse/ipv6/tcp",
    "vip/find/16",
    "conn/find/ipv4/1k",
    "conn/find/ipv6/1k",
    "path/empty-poll",
    "path/dsr-l2/ipv4/1k",
    "path/dsr-l2/ipv6/1k",
    "path/ipip/ipv4/1k",
    "path/gue/ipv4/1k",
    "path/full-nat/out/ipv4/1k",
    "path/full-nat/back/ipv4/1k",
    "path/dnat/out/ipv4/1k",
    "path/dnat/back/ipv4/1k",
    "path/new-flow/dsr-l2/ipv4",
    "path/new-flow/full-nat/ipv4",
    "path/cache/get/10k/32/uniform",
    "path/cache/mg/10k/32/uniform",
    "path/cache/set-50/10k/32/uniform",
    "tcp/request/100",
    "tcp/open",
]
TCP_SERVE = ["tcp_serve/get/tcp", "tcp_serve/get/udp"]
PATHS = MICRO + TCP_SERVE
REFERENCE = ", reference"


class Failure(Exception):
    """Nothing can be said; the text says why."""


class Skip(Exception):
    """The baseline does not concern this build; the text says why."""


def callgrind(program, args, folder):
    """({name: instructions}, {name: operations}, what the build is) of a program that says what it counted."""
    out = os.path.join(folder, os.path.basename(program))
    done = subprocess.run(["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=" + out, program] + args,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=280, check=False)
    if done.returncode != 0:
        raise Failure("%s ends with status %d:\n%s" % (program, done.returncode, done.stderr[-2000:]))
    operations = {name: int(n) for n, name in re.findall(r"^counted: (\d+) (.+)$", done.stdout, re.M)}
    instructions = {}
    for dump in glob.glob(glob.escape(out) + ".*"):
        with open(dump, encoding="utf-8") as file:
            text = file.read()
        name = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.M)
        total = re.search(r"^totals: (\d+)$", text, re.M)
        if name and total:
            instructions[name.group(1)] = int(total.group(1))
    if instructions.keys() != operations.keys():
        raise Failure("%s: callgrind has counts of %s, the program speaks of %s" % (program, sorted(instructions), sorted(operations)))
    build = re.search(r"^build: (.+)$", done.stdout, re.M)
    return instructions, operations, build.group(1) if build else None


def per_operation(instructions, operations, reference_of):
    """{name: instructions of one operation, less those of the reference where there is one}."""
    out = {}
    for name in instructions:
        if name.endswith(REFERENCE):
            continue
        reference = reference_of(name)
        n = instructions[name] / operations[name]
        if reference in instructions:
            n -= instructions[reference] / operations[reference]
        out[name] = round(n, 1)
    return out


def measure(build, paths):
    """({path: instructions}, what they were made with)."""
    folder = tempfile.mkdtemp(prefix="millrace-instructions-")
    here = os.path.join(build, "perf", "micro")
    try:
        names = [path for path in MICRO if path in paths]
        # what the build is is asked for even where no path of this program is
        instructions, operations, made_by = callgrind(
            os.path.join(here, "micro_bench"), ["--pages=4k"] + ["--count=" + n for n in names or MICRO[:1]], folder)
        counts = per_operation(instructions, operations, lambda name: name + REFERENCE)
        if any(path in TCP_SERVE for path in paths):
            instructions, operations, _ = callgrind(
                os.path.join(here, "tcp_serve"), ["--count", "--conns", "1024", "--keys", "10000"], folder)
            counts.update(per_operation(instructions, operations, lambda _: "tcp_serve/get" + REFERENCE))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(str(error)) from error
    finally:
        shutil.rmtree(folder)
    missing = [path for path in paths if path not in counts]
    if missing:
        raise Failure("not counted: %s" % ", ".join(missing))
    return {path: counts[path] for path in paths}, made_with(made_by)


def made_with(build):
    """Build and CPU decide what is executed; the others may, a little. Valgrind shows programs one of two CPUs, by whether
    this one has AVX2."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        has_avx2 = re.search(r"^flags\s*:.*\bavx2\b", file.read(), re.M) is not None
    dpdk = subprocess.run(["pkg-config", "--modversion", "libdpdk"], stdout=subprocess.PIPE, text=True, check=False)
    return {"build": build, "cpu": platform.machine() + (", avx2" if has_avx2 else ""),
            "dpdk": dpdk.stdout.strip(), "libc": " ".join(platform.libc_ver())}


def read_baseline(path):
    try:
        with open(path, encoding="utf-8") as file:
            baseline = json.load(file)
        return {"made_with": dict(baseline["made_with"]), "tolerance_pct": float(baseline["tolerance_pct"]),
                "instructions": {name: float(n) for name, n in baseline["instructions"].items()}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure("%s: not a baseline: %r" % (path, error)) from error


def write_baseline(path, counts, made):
    if not made["build"].startswith("debugoptimized, "):
        raise Failure("the baseline is of what './dev build debug' makes, not of '%s'" % made["build"])
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"made_with": made, "tolerance_pct": TOLERANCE_PCT, "instructions": counts}, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def check_same(baseline, made):
    """Counts of another compiler are other counts."""
    for what in ("build", "cpu"):
        if baseline["made_with"].get(what) != made[what]:
            raise Skip("the baseline is of %s '%s', this is '%s': nothing to compare"
                       % (what, baseline["made_with"].get(what), made[what]))


def compare(baseline, counts, paths):
    """(lines of a table, findings)."""
    lines, findings = ["%-36s %10s %10s %9s" % ("instructions of one", "was", "is", "")], []
    was_all, tolerance = baseline["instructions"], baseline["tolerance_pct"]
    for path in paths:
        is_now = counts[path]
        if path not in was_all:
            findings.append("%s: is not in the baseline" % path)
            continue
        was = was_all[path]
        pct = 100 * (is_now / was - 1) if was > 0 else float("inf")
        lines.append("%-36s %10.1f %10.1f %+8.2f %%" % (path, was, is_now, pct))
        if abs(pct) > tolerance:
            findings.append("%s: %s: was %.1f, is %.1f: %+.1f %%, and %.1f %% is the tolerance"
                            % (path, "grew" if pct > 0 else "shrank, which the baseline should know", was, is_now, pct, tolerance))
    findings += ["%s: is in the baseline, and no path of instructions.py" % path for path in was_all if path not in PATHS]
    return lines, findings


def notes(baseline, made):
    """What else may have made a difference."""
    return ["  note: the baseline was made with %s %s, this is %s" % (what, baseline["made_with"].get(what), made[what])
            for what in ("dpdk", "libc") if baseline["made_with"].get(what) != made[what]]


def run(args):
    paths = args.only or PATHS
    if args.write and args.only:
        raise Failure("--write is of all paths: without --only")
    if shutil.which("valgrind") is None:
        raise Skip("there is no valgrind; apt-get install valgrind")
    baseline = None if args.write else read_baseline(args.baseline)
    counts, made = measure(args.build, paths)
    if args.write:
        write_baseline(args.baseline, counts, made)
        print("written: %s" % os.path.relpath(args.baseline))
        return 0
    check_same(baseline, made)
    lines, findings = compare(baseline, counts, paths)
    print("\n".join(lines))
    if not findings:
        print("all within %.1f %%" % baseline["tolerance_pct"])
        return 0
    print("\n" + "\n".join(["FAILED: " + finding for finding in findings] + notes(baseline, made)))
    print("Where the work is worth that, or less is done, the commit says so and brings the new baseline:\n"
          "    ./dev build debug && perf/micro/instructions.py build-debug --write\n"
          "Where the instructions are: callgrind_annotate; perf/README.md, \"Counting instructions\"")
    return 1


def main():
    parser = argparse.ArgumentParser(description="Counts instructions on the main paths and compares them with a baseline.")
    parser.add_argument("build", metavar="BUILD_DIR")
    parser.add_argument("--write", action="store_true", help="make these counts the baseline")
    parser.add_argument("--baseline", metavar="FILE", default=os.path.normpath(BASELINE))
    parser.add_argument("--only", metavar="PATH", action="append", choices=PATHS, help="this path; may be repeated")
    try:
        return run(parser.parse_args())
    except Skip as why:
        print("SKIP: %s" % why)
        return SKIPPED
    except Failure as why:
        print("instructions.py: %s" % why, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
