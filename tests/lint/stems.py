# SPDX-License-Identifier: BSD-3-Clause
"""Names lead to files: a stem is one .c and one .h at most in the whole tree; what foo.c exports begins
with foo_; mr_ and MR_ are defined in include/millrace only, and DPDK's own prefixes nowhere."""
import os
import re
import subprocess
import sys

import lint

# Exports under another prefix than the file's stem, with the reason.
ALLOWED = {
    # The folder's stem: "server" alone says nothing to main.c and manager.c.
    "dataplane/api/server.c": ("api_server_",),
    # What pipeline.c calls is the module as a whole; balance.c is where it begins.
    "dataplane/lb/balance.c": ("lb_balance", "lb_return", "lb_revert", "lb_expire", "lb_kill"),
    # One file builds both halves of the module's configuration, each with its own type.
    "dataplane/lb/lbconf.c": ("lb_conf_", "lb_registry_"),
    # What protocols call is one header, kv.h; its verbs fill more than one file.
    "dataplane/kv/kvget.c": ("kv_get_", "kv_ttl"),
    "dataplane/kv/kvsweep.c": ("kv_purge", "kv_flush_at", "kv_sweep"),
    "dataplane/kv/kvverb.c": ("kv_store", "kv_delete", "kv_mark", "kv_touch", "kv_count", "kv_get_and_touch"),
    # One header is the connections of a worker; what people look at is a file of its own.
    "dataplane/serve/servetcpview.c": ("servetcp_",),
    # The same of a worker's TCP.
    "dataplane/tcp/tcp_view.c": ("tcp_",),
    # The type is struct lb_worker; the file's name has to differ from core/worker.c.
    "dataplane/lb/lbworker.c": ("lb_worker_",),
}

# DPDK's static archives export these: a symbol of ours could replace one of theirs.
RESERVED = re.compile(r"(eth|eal|flow|net|tap|trace|port|bond|malloc|pci|power)_")

# Definitions of public names: macros, tags, functions and objects at the first column.
PUBLIC = re.compile(r"#\s*define\s+(MR_\w+|mr_\w+)|(?:struct|enum|union)\s+(mr_\w+)\s*\{"
                    r"|(?:[a-z]\w*[\s*]+)+(mr_\w+)\s*(?:\(|\[|=)|MR_(?:MSG|ENUM)\((mr_\w+|\w+),")


def _stems(names):
    findings, seen = [], {}
    for name in names:
        stem, suffix = os.path.splitext(os.path.basename(name))
        first = seen.setdefault((stem, ".h" if suffix == ".h" else ".c"), name)
        if first != name:
            findings.append(lint.Finding(name, 1, "stem '%s' is that of %s too" % (stem, first),
                                         "stems are unique in the tree"))
    for (stem, suffix), name in seen.items():
        pair = seen.get((stem, ".c"))
        if suffix == ".h" and pair and os.path.dirname(pair) != os.path.dirname(name):
            findings.append(lint.Finding(name, 1, "stem '%s' is that of %s" % (stem, pair),
                                         "a header and a file of one stem are a pair in one folder"))
    return findings


def _public(root, names):
    findings = []
    for name in names:
        if name.split("/")[0] not in ("dataplane", "control"):
            continue
        lines = lint.code_of(lint.read(root, name)).split("\n")
        for number, line in enumerate(lines, 1):
            match = PUBLIC.match(line)
            if match and not line.rstrip().endswith(";"):
                symbol = next(s for s in match.groups() if s)
                findings.append(lint.Finding(name, number, "defines '%s'" % symbol,
                                             "mr_ and MR_ are for include/millrace"))
    return findings


def _exports(objects):
    """(object, symbol) of all that the objects define for others."""
    out = subprocess.run(["nm", "-A", "--defined-only", "-g"] + objects, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, check=False)
    if out.returncode != 0 or "plugin needed" in out.stderr or "__gnu_lto_slim" in out.stdout:
        raise lint.Skip("nm cannot read the objects (LTO?): %s" % out.stderr.strip().split("\n")[0])
    for line in out.stdout.splitlines():
        path, rest = line.rsplit(":", 1)
        kind, symbol = rest.split()[-2:]
        if kind not in "VWvw":  # weak: shared by several files by nature (the sanitizers make some)
            yield path, symbol


def _symbols(root, build):
    findings = []
    sources = {unit.object: unit.source for unit in lint.units(root, build)
               if unit.source.split("/")[0] in ("dataplane", "control") and os.path.exists(unit.object)}
    if not sources:
        raise lint.Skip("nothing of dataplane/ and control/ is built in %s" % build)
    for path, symbol in _exports(sorted(sources)):
        source = sources[path]
        stem = os.path.basename(source)[:-len(".c")]
        if symbol == "main" or symbol.startswith("__"):
            continue
        if RESERVED.match(symbol):
            fault = "a prefix that DPDK's archives do not have"
        elif symbol != stem and not symbol.startswith((stem + "_",) + ALLOWED.get(source, ())):
            fault = "static, or '%s_…'" % stem
        else:
            continue
        findings.append(lint.Finding(source, _line(root, source, symbol), "exports '%s'" % symbol, fault))
    return findings


def _line(root, name, symbol):
    for number, line in enumerate(lint.code_of(lint.read(root, name)).split("\n"), 1):
        if line[:1].strip() and re.search(r"\b%s\b" % symbol, line):
            return number
    return 1


def check(root, build):
    names = lint.files(root, ".c", ".h", ".cc")
    return _stems(names) + _public(root, names) + _symbols(root, build)


if __name__ == "__main__":
    lint.run(check, sys.argv[1], sys.argv[2])
