# SPDX-License-Identifier: BSD-3-Clause
"""Shape of the commits that nobody has yet: `module: what changes`, at most 60 characters, lower case
and no full stop, and a body that says why. Those not on origin; without an origin the last 50."""
import re
import sys

import lint

SUBJECT_MAX = 60
LAST = 50

# Made before this test was. By subject: it stays when history is rewritten.
ALLOWED = {
    "net: parser, addresses, neighbours, ARP, NDP, echo, kernel side",
    "lb: connections, SNAT ports, Maglev, weighted round robin, VIPs",
    "build: format with tabs for indentation only",
    "dev: one command to install, build, test and show",
}


def check_message(commit, message):
    """Findings for one message; the "file" is the commit, the line that of the message."""
    lines = message.rstrip("\n").split("\n")
    subject = lines[0]
    if subject in ALLOWED:
        return
    match = re.match(r"[a-z][a-z0-9_./-]*(, [a-z][a-z0-9_./-]*)*: (.+)$", subject)
    if not match:
        yield lint.Finding(commit, 1, "subject '%s'" % subject, "`module: what changes`")
    elif match.group(2)[0].isupper() and not match.group(2).split()[0].isupper():
        yield lint.Finding(commit, 1, "'%s' begins with a capital" % match.group(2), "lower case")
    if subject.endswith("."):
        yield lint.Finding(commit, 1, "subject ends with a full stop", "none")
    if len(subject) > SUBJECT_MAX:
        yield lint.Finding(commit, 1, "subject has %d characters" % len(subject),
                           "at most %d" % SUBJECT_MAX)
    if len(lines) > 1 and lines[1].strip():
        yield lint.Finding(commit, 2, "body begins in the second line", "an empty line after the subject")
    # "Fixes: …" and the like alone say nothing about why
    if not any(line.strip() and not re.match(r"[A-Z][A-Za-z-]+: \S", line) for line in lines[1:]):
        yield lint.Finding(commit, 1, "no body", "the reason, always")


def check(root):
    if lint.git(root, "rev-parse", "--is-inside-work-tree") is None:
        raise lint.Skip("no git history here")
    if lint.git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise lint.Skip("shallow clone: history is cut off")
    if lint.git(root, "rev-parse", "--verify", "HEAD") is None:
        raise lint.Skip("no commit yet")
    span = ["HEAD", "--not", "--remotes=origin"]
    if not (lint.git(root, "for-each-ref", "refs/remotes/origin") or "").strip():
        span = ["-n", str(LAST), "HEAD"]
    findings = []
    for commit in lint.git(root, "rev-list", "--no-merges", *span).split():
        findings += check_message(commit[:12], lint.git(root, "show", "-s", "--format=%B", commit))
    return findings


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
