# SPDX-License-Identifier: BSD-3-Clause
"""Sizes above which one looks twice: lines of files and functions, parameters, includes of ours."""
import re
import sys

import lint

FILE_LINES = {".c": 900, ".cc": 900, ".h": 300}
FUNCTION_LINES = 80
FLAT_LINES = 120  # tables, and functions that are one switch
PARAMETERS = 7
INCLUDES = 14

# What may be longer, with the reason.
ALLOWED_FILES = {
    "include/millrace/counters.h": "one line for each counter, and nothing else",
}


ALLOWED_PARAMETERS = {
    ("control/daemon/method_config.c", "apply"): "the members of one request, unpacked next to the call",
}


def _is_one_switch(block):
    """A single switch makes up the function, but for a few lines around it."""
    switches = [i for i, line in enumerate(block.lines) if re.match(r"\tswitch \(", line)]
    if len(switches) != 1 or sum("switch (" in line for line in block.lines) != 1:
        return False
    end = next((i for i in range(switches[0], len(block.lines)) if block.lines[i].startswith("\t}")), 0)
    return end - switches[0] >= 0.75 * len(block.lines)


def _parameters(block):
    header = " ".join(block.lines[:block.lines.index("{")])
    start = header.index("(", header.index(block.name))
    depth, n = 0, 1
    for char in header[start:]:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 1:
            n += 1
        if depth == 0:
            break
    return n


def _check_file(name, text):
    limit = FILE_LINES[name[name.rindex("."):]]
    n_lines = text.count("\n")
    if n_lines > limit and name not in ALLOWED_FILES:
        yield lint.Finding(name, limit + 1, "%d lines" % n_lines, "at most %d: it is two files" % limit)
    ours = [line for line, _, is_quoted in lint.includes(text) if is_quoted]
    if len(ours) > INCLUDES:
        yield lint.Finding(name, ours[INCLUDES], "%d includes of ours" % len(ours), "at most %d" % INCLUDES)
    for block in lint.functions(text):
        limit = FLAT_LINES if _is_one_switch(block) else FUNCTION_LINES
        n = len(block.lines)
        if n > limit:
            yield lint.Finding(name, block.first, "%s() has %d lines" % (block.name, n),
                               "at most %d" % limit)
        n = _parameters(block)
        if n > PARAMETERS and (name, block.name) not in ALLOWED_PARAMETERS:
            yield lint.Finding(name, block.first, "%s() has %d parameters" % (block.name, n),
                               "at most %d: make a struct" % PARAMETERS)
    for block in lint.tables(text):
        if len(block.lines) > FLAT_LINES:
            yield lint.Finding(name, block.first, "table %s has %d lines" % (block.name, len(block.lines)),
                               "at most %d" % FLAT_LINES)


def check(root):
    return [finding for name in lint.files(root, *FILE_LINES)
            for finding in _check_file(name, lint.read(root, name))]


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
