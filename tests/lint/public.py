# SPDX-License-Identifier: BSD-3-Clause
"""include/millrace is for outsiders: strict C11 and C++17, no warnings, no DPDK, nothing to link."""
import os
import re
import shlex
import subprocess
import sys
import tempfile

import lint

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
# POSIX is what the headers ask for beyond ISO C (inet_pton, strnlen).
WAYS = (
    ("CC", "cc", ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-x", "c"]),
    ("CXX", "c++", ["-std=c++17", "-x", "c++"]),
)


def _try(root, header, compiler, options, folder):
    """Findings for one header in one language."""
    source, out, deps = (os.path.join(folder, name) for name in ("one", "one.o", "one.d"))
    with open(source, "w", encoding="utf-8") as file:
        file.write('#include "%s"\nextern int nothing;\n' % header[len("include/"):])
    done = subprocess.run(compiler + WARNINGS + options
                          + ["-I", os.path.join(root, "include"), "-c", source, "-o", out, "-MD", "-MF", deps],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    language = options[0][len("-std="):]
    if done.returncode != 0:
        errors = [s for s in done.stdout.splitlines() if "error:" in s] or done.stdout.splitlines()
        return [lint.Finding(header, 1, "fails as %s: %s" % (language, errors[0].strip()),
                             "strict %s without warnings" % language)]
    findings = []
    with open(deps, encoding="utf-8") as file:
        for path in re.findall(r"\S*/rte_\w+\.h", file.read()):
            findings.append(lint.Finding(header, 1, "brings in %s" % path, "no DPDK in public headers"))
    symbols = subprocess.run(["nm", "--defined-only", "-g", out], stdout=subprocess.PIPE, text=True, check=True)
    for line in symbols.stdout.splitlines():
        findings.append(lint.Finding(header, 1, "defines the symbol %s (%s)" % (line.split()[-1], language),
                                     "headers define only static things"))
    return findings


def check(root):
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        for header in lint.files(root, ".h"):
            if not header.startswith("include/"):
                continue
            for variable, default, options in WAYS:
                compiler = shlex.split(os.environ.get(variable, default))
                findings += _try(root, header, compiler, options, folder)
    return findings


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
