# SPDX-License-Identifier: BSD-3-Clause
"""baseline — programs run on every x86-64 processor that DPDK's own build wants: x86-64-v2, with SSE4.2 and POPCNT, and
nothing beyond. What is faster on newer ones, glibc and DPDK's drivers choose at run time, in their own files.

usage: baseline.py PROGRAM…
"""
import collections
import re
import subprocess
import sys

# Of x86-64-v3 and v4, AES and others: VEX and EVEX have a v in front. tzcnt is not here: what does not know it runs bsf.
BEYOND = re.compile(r"(v(?!err|erw|mcall|mmcall)[a-z0-9]+|k(add|and|andn|mov|not|or|ortest|shift[lr]|test|unpck|xn?or)[bwdq]+"
                    r"|andn|bextr|bls(i|r|msk)|bzhi|mulx|pdep|pext|rorx|s(ar|hl|hr)x|lzcnt|movbe|ad[co]x"
                    r"|aes\w+|pclmul\w+|sha(1|256)\w+|gf2p8\w+|rd(rand|seed))")
LINE = re.compile(r"^\s*[0-9a-f]+:\t([a-z][a-z0-9]*)")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")


def beyond(program):
    """Function → its instructions that are too new, and how many instructions there are."""
    found, total, function = collections.defaultdict(set), 0, "?"
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], check=True, capture_output=True, text=True).stdout
    for line in out.split("\n"):
        if match := FUNCTION.match(line):
            function = match.group(1)
        elif match := LINE.match(line):
            total += 1
            if BEYOND.fullmatch(match.group(1)):
                found[function].add(match.group(1))
    return found, total


def main():
    is_wrong = False
    for program in sys.argv[1:]:
        found, total = beyond(program)
        print(f"{program}: {total} instructions, {len(found)} functions with some beyond x86-64-v2")
        for function, names in sorted(found.items()):
            print(f"  {function}: {' '.join(sorted(names))}")
        # a program without instructions was not read
        is_wrong |= bool(found) or total < 10000
    sys.exit(is_wrong)


main()
