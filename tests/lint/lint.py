# SPDX-License-Identifier: BSD-3-Clause
"""What the lint tests share: the files of the tree, C text without its comments, findings.

A test is a module with check(root, …), which returns a list of findings and prints nothing, so that
selftest.py can feed it small bad trees; run() makes a program of it.
"""
import json
import os
import re
import shlex
import subprocess
import sys
from collections import namedtuple

SKIPPED = 77  # what meson takes for "skipped"


class Skip(Exception):
    """The test cannot be made here; the text says why."""


class Finding(namedtuple("Finding", "file line what how")):
    """One place that breaks a rule: what is there, and how it should be."""

    def __str__(self):
        return "%s:%d: %s; %s" % self


def run(check, *args):
    """The program around check(): findings on stdout, status 1 when there are some."""
    try:
        findings = check(*args)
    except Skip as why:
        print("SKIP: %s" % why)
        sys.exit(SKIPPED)
    for finding in sorted(findings):
        print(finding)
    print("%d findings" % len(findings))
    sys.exit(1 if findings else 0)


def git(root, *args):
    """Output of a git command in root, or None when it fails or git is not there."""
    try:
        done = subprocess.run(["git", "-C", root] + list(args), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def files(root, *suffixes):
    """Paths below root, of these suffixes or all: what git tracks or would add. Without git (a release
    archive) everything but hidden folders and builds."""
    found = None
    if git(root, "rev-parse", "--show-cdup") == "\n":  # root is the top of a work tree, not a place in one
        found = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if found is not None:
        names = [name for name in found.split("\0") if name]
    else:
        names = []
        for folder, folders, here in os.walk(root):
            folders[:] = [f for f in folders if f != ".git" and f != "__pycache__"
                          and not os.path.exists(os.path.join(folder, f, "build.ninja"))]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in here]
    return sorted(name for name in set(names)
                  if (not suffixes or name.endswith(suffixes))
                  and os.path.isfile(os.path.join(root, name))
                  and not os.path.islink(os.path.join(root, name)))


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
        return file.read()


_PIECE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    """C text whose comments and literals are blanks, at the same places."""

    def piece(match):
        s = match.group()
        return _blank(s) if s[0] == "/" else s[0] + _blank(s[1:-1]) + s[-1]

    return _PIECE.sub(piece, text)


def comments_of(text):
    """The opposite: only the comments, at the same places."""
    out, at = [], 0
    for match in _PIECE.finditer(text):
        out.append(_blank(text[at:match.start()]))
        out.append(match.group() if match.group()[0] == "/" else _blank(match.group()))
        at = match.end()
    return "".join(out) + _blank(text[at:])


def includes(text):
    """(line, path, is_quoted) of each #include that is not in a comment."""
    lines = code_of(text).split("\n")
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if match and re.match(r"\s*#\s*include", lines[number - 1]):
            yield number, match.group(1) or match.group(2), match.group(1) is not None


Block = namedtuple("Block", "name first last lines")


def functions(text):
    """Function definitions of C code as the formatter leaves it (body between a '{' and a '}' in the
    first column). lines: of the code, header and braces included."""
    lines = code_of(text).split("\n")
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line.startswith("}") and start is not None:
            first = start
            while first > 0 and lines[first - 1].strip() and lines[first - 1].strip()[-1] not in ";}/" \
                    and not lines[first - 1].startswith("#"):
                first -= 1
            name = _function_name(" ".join(lines[first:start]))
            if name:
                yield Block(name, first + 1, i + 1, lines[first:i + 1])
            start = None


def _function_name(header):
    name, depth = None, 0
    for match in re.finditer(r"([A-Za-z_]\w*)?\s*\(|\)", header):
        if match.group() == ")":
            depth -= 1
            continue
        if depth == 0 and match.group(1):
            name = match.group(1)
        depth += 1
    return name


def tables(text):
    """Initialised arrays and structs of file scope."""
    lines = code_of(text).split("\n")
    start = None
    for i, line in enumerate(lines):
        if re.match(r"\S.*=\s*\{\s*$", line):
            start = i
        elif line.startswith("}") and start is not None:
            yield Block(re.search(r"(\w+)\s*(\[[^\]]*\]\s*)*=", lines[start]).group(1), start + 1,
                        i + 1, lines[start:i + 1])
            start = None


Unit = namedtuple("Unit", "source object command folder")


def units(root, build):
    """The compiled C files of a build directory, from its compile_commands.json. source is relative to
    root; command is the argument list without its input and output."""
    path = os.path.join(build, "compile_commands.json")
    if not os.path.exists(path):
        raise Skip("no compile_commands.json in %s" % build)
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        source = os.path.relpath(os.path.join(entry["directory"], entry["file"]), os.path.realpath(root))
        if source.startswith("..") or not source.endswith(".c"):
            continue
        yield Unit(source, os.path.join(entry["directory"], entry["output"]),
                   _flags(entry["command"], entry["file"]), entry["directory"])


def _flags(command, source):
    out, words = [], iter(shlex.split(command))
    for word in words:
        if word in ("-o", "-MF", "-MQ", "-MT"):
            next(words)
        elif word not in ("-c", "-MD", source):
            out.append(word)
    return out
