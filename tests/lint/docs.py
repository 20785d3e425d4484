# SPDX-License-Identifier: BSD-3-Clause
"""What people read is unambiguous: one meaning for each counter and each option of millraced; and no
file speaks of places that exist on one machine only."""
import re
import sys

import lint

COUNTERS = "include/millrace/counters.h"
OPTIONS = "dataplane/core/opt.c"
# Folders of a developer's machine. In an alternation, not to be found here.
PRIVATE = re.compile(r"(?<![\w.~$}>/-])/(?:work|tmp/wt)(?![\w-])")


def _names(root, name, pattern):
    """(line, word) of each match of pattern in the lines of a file; it has to have some."""
    found = []
    for number, line in enumerate(lint.read(root, name).split("\n"), 1):
        found += [(number, word) for word in re.findall(pattern, line)]
    return found


def _unique(name, found, kind):
    seen = {}
    if not found:
        yield lint.Finding(name, 1, "no %s found" % kind, "the pattern of tests/lint/docs.py finds them")
    for number, word in found:
        if word in seen:
            yield lint.Finding(name, number, "%s '%s' is also in line %d" % (kind, word, seen[word]),
                               "one meaning for a name")
        seen.setdefault(word, number)


def check(root):
    names = lint.files(root)
    findings = []
    if COUNTERS in names:
        findings += _unique(COUNTERS, _names(root, COUNTERS, r"^\tX\((\w+),"), "counter")
    if OPTIONS in names:
        findings += _unique(OPTIONS, _names(root, OPTIONS, r'^\t\{"([\w-]+)", (?:"|NULL)'), "option")
    for name in names:
        for number, line in enumerate(lint.read(root, name).split("\n"), 1):
            match = PRIVATE.search(line)
            if match:
                findings.append(lint.Finding(name, number, "speaks of %s" % match.group(),
                                             "paths that users have"))
    return findings


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
