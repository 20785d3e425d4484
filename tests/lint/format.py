# SPDX-License-Identifier: BSD-3-Clause
"""C files are as clang-format 14 leaves them with the tree's .clang-format; other versions of it differ
in corners, so that without this one there is nothing to compare with."""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lint

VERSION = 14
JOBS = 2
BATCH = 20


def _formatter():
    for program in ("clang-format-%d" % VERSION, "clang-format"):
        if shutil.which(program):
            out = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
            if re.search(r"version %d\." % VERSION, out):
                return program
    raise lint.Skip("no clang-format %d" % VERSION)


def check(root):
    program = _formatter()
    names = lint.files(root, ".c", ".h", ".cc")

    def batch(start):
        done = subprocess.run([program, "--dry-run"] + names[start:start + BATCH], cwd=os.path.abspath(root),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return re.findall(r"^(\S+?):(\d+):\d+: warning: code should be clang-formatted", done.stdout, re.M)

    with ThreadPoolExecutor(JOBS) as pool:
        places = {place for found in pool.map(batch, range(0, len(names), BATCH)) for place in found}
    return [lint.Finding(name, int(line), "not formatted", "%s -i %s" % (program, name))
            for name, line in places]


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
