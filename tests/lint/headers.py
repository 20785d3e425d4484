# SPDX-License-Identifier: BSD-3-Clause
"""A header compiles alone: one generated file for each, which includes it and nothing else, with the
compiler and the flags of the compiled file that stands nearest to it in the tree. Not for those that
are the first thing of the file of their name: that one shows it whenever it is built."""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lint

JOBS = 2
# Only the front end's opinion is asked for; without optimisation fortified headers would complain.
PLAIN = ["-O0", "-g0", "-U_FORTIFY_SOURCE", "-fdiagnostics-color=never", "-fsyntax-only", "-x", "c", "-"]


def _nearest(units, header):
    """Flags for a header: of the unit with the longest common path; among those, the one that sees
    the most folders."""
    return max(units, key=lambda u: (len(os.path.commonprefix([u.source, header])),
                                     sum(w.startswith(("-I", "-isystem")) for w in u.command),
                                     u.source))


def _compile(root, header, unit):
    path = os.path.join(os.path.realpath(root), header)
    # twice: without a guard its types are defined twice
    text = '#include "%s"\n#include "%s"\n' % (path, path)
    done = subprocess.run(unit.command + PLAIN, input=text, cwd=unit.folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return None
    errors = [s for s in done.stdout.splitlines() if "error:" in s] or done.stdout.splitlines()
    return lint.Finding(header, 1, "does not compile alone: %s" % errors[0].strip(),
                        "include what it uses")


def shown(root, units):
    """Headers that a unit of the same name includes before anything else."""
    found = set()
    for source in {u.source for u in units}:
        text = lint.read(root, source)
        line, path, is_quoted = next(lint.includes(text), (1, "", False))
        is_first = "#" not in "".join(lint.code_of(text).split("\n")[:line - 1])
        stem = os.path.splitext(source)[0]
        if is_quoted and is_first and os.path.basename(path) == os.path.basename(stem) + ".h":
            found.add(stem + ".h")
    return found


def check(root, build):
    units = list(lint.units(root, build))
    findings = []
    for header in lint.files(root, ".h"):
        if "#pragma once" not in lint.code_of(lint.read(root, header)).split("\n"):
            findings.append(lint.Finding(header, 1, "no #pragma once", "one line after SPDX"))
    headers = sorted(set(lint.files(root, ".h")) - shown(root, units))
    with ThreadPoolExecutor(JOBS) as pool:
        results = pool.map(lambda h: _compile(root, h, _nearest(units, h)), headers)
        return findings + [finding for finding in results if finding]


if __name__ == "__main__":
    lint.run(check, sys.argv[1], sys.argv[2])
