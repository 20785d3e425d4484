# SPDX-License-Identifier: BSD-3-Clause
"""Source files say their licence first; shell and Python files are at least free of syntax errors."""
import os
import re
import subprocess
import sys

import lint

C_LINE = re.compile(r"/\* SPDX-License-Identifier: BSD-3-Clause \*/$|// SPDX-License-Identifier: BSD-3-Clause$")
HASH_LINE = re.compile(r"# SPDX-License-Identifier: BSD-3-Clause$")


def _language(root, name):
    suffix = os.path.splitext(name)[1]
    if suffix in (".c", ".h", ".cc"):
        return "c"
    if suffix in (".py", ".sh"):
        return suffix[1:]
    with open(os.path.join(root, name), "rb") as file:
        first = file.readline(200)
    if not first.startswith(b"#!"):
        return None
    return "py" if b"python" in first else "sh" if re.search(rb"\b(ba)?sh\b", first) else "script"


def _check_syntax(root, name, language, text):
    if language == "sh":
        done = subprocess.run(["bash", "-n", os.path.join(root, name)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            line = re.search(r"line (\d+):\s*(.*)", done.stdout)
            yield lint.Finding(name, int(line.group(1)) if line else 1,
                               line.group(2) if line else done.stdout.strip(), "what bash -n accepts")
    elif language == "py":
        try:
            compile(text, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            yield lint.Finding(name, getattr(error, "lineno", None) or 1, str(error), "Python 3")


def check(root):
    findings = []
    for name in lint.files(root):
        language = _language(root, name)
        if language is None:
            continue
        text = lint.read(root, name)
        lines = text.split("\n")
        at = 1 if lines[0].startswith("#!") else 0
        wanted = C_LINE if language == "c" else HASH_LINE
        if at >= len(lines) or not wanted.match(lines[at]):
            findings.append(lint.Finding(name, at + 1, "no SPDX line", "the SPDX line first (%s)"
                                         % wanted.pattern.split("$")[0].replace("\\", "")))
        findings += _check_syntax(root, name, language, text)
    return findings


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
