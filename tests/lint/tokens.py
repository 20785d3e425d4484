# SPDX-License-Identifier: BSD-3-Clause
"""Words that must not be in the code, everywhere or in the hot functions that hot.txt lists; and atomic
accesses: an explicit order each, and a pairs(tag) comment when it is not relaxed."""
import os
import re
import sys

import lint

HOT = "tests/lint/hot.txt"

# (pattern, how it should be)
BANNED = [(re.compile(pattern), how) for pattern, how in (
    (r"\brte_atomic(16|32|64)_\w+", "__atomic_* with an order"),
    (r"\brte_smp_\w*mb\b", "__atomic_* with an order and a pairs(tag) comment"),
    (r"\b__sync_\w+", "__atomic_* with an order"),
    (r"(?<!__asm__ )(?<!asm )\bvolatile\b", "__atomic_* with an order: volatile shares nothing"),
    (r"\b(_Atomic|atomic_(?!\w*_explicit)(load|store|exchange|compare\w+|fetch\w+|flag\w+|thread_fence|init))\b"
     r"|\bstdatomic\.h\b", "__atomic_* with an order, not the default one"),
    (r"\b(strcpy|stpcpy|strcat|sprintf|vsprintf|gets)\s*\(", "the form that knows the size"),
    (r"\bato(i|l|ll|f)\s*\(", "strto*() with its end checked"),
    (r"\b(alloca|__builtin_alloca)\s*\(", "an array of fixed size"),
    (r"\brte_panic\b|\brte_exit\b", "return the error; only fatal() ends the process"),
    (r"__attribute__\s*\(\(\s*constructor|\bRTE_INIT(_PRIO)?\b", "a row of an explicit table"),
)]

# Files where one of the patterns above may stand: (file, word): reason.
ALLOWED = {
    ("dataplane/base/log.h", "RTE_INIT"): "DPDK's way to register log types",
}

# In the product only: tests may wait.
BANNED_DATAPLANE = [(re.compile(pattern), how) for pattern, how in (
    (r"\b(usleep|sleep|rte_delay_\w+)\s*\(", "wait for the event; workers sleep in worker.c only"),
    (r"\brte_flow(_\w+|\.h)", "hash and redirection table alone: a device may take a rule and not obey it"),
)]

HOT_BANNED = [(re.compile(pattern), how) for pattern, how in (
    (r"\b(malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|free|strdup|strndup"
     r"|rte_(malloc|calloc|zmalloc|realloc)\w*|rte_free)\s*\(", "pools sized at start"),
    (r"\b\w*(printf|puts|putc|putchar)\s*\(", "a counter"),
    (r"\b(RTE_LOG\w*|LOG_(AT|ERR|WARNING|NOTICE|INFO|DEBUG)|log_write|syslog|rte_log)\b", "a counter"),
    (r"(?<!->)(?<!\.)\b(p?read|p?write|readv|writev|open|openat|close|ioctl|fcntl|p?poll|select|epoll_\w+|accept4?"
     r"|connect|bind|listen|send|sendto|sendmsg|sendmmsg|recv|recvfrom|recvmsg|recvmmsg|mmap|munmap"
     r"|madvise|mprotect|prctl|syscall|sched_yield|nanosleep|clock_nanosleep|clock_gettime"
     r"|gettimeofday|time|getrandom|getpid|gettid|kill|fork|exec\w*|eventfd\w*|timerfd_\w+)\s*\(",
     "the manager's work: hot code makes no system call"),
    (r"\b(pthread_\w+|sem_\w+|rte_(spinlock|rwlock|ticketlock)_\w+|mtx_\w+|(urcu_qsbr_)?synchronize_rcu"
     r"|snapshot_synchronize)\s*\(", "hot code takes no lock and waits for nobody"),
    (r"\berrno\b|\babort\s*\(|\bexit\s*\(", "a verdict"),
)]

ORDERED = re.compile(r"__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)\b"
                     r"|\brcu_(assign_pointer|set_pointer|xchg_pointer|cmpxchg_pointer|dereference)\w*\s*\("
                     r"|\bcmm_(smp_)?[rw]?mb\w*\s*\(|\buatomic_\w+\s*\(")
RELAXED_CALL = re.compile(r"\b__atomic_(\w+)\s*\(")
TAG = re.compile(r"pairs\(([\w-]+)\)")


def _banned(name, code):
    rules = BANNED + (BANNED_DATAPLANE if name.startswith("dataplane/") else [])
    for number, line in enumerate(code.split("\n"), 1):
        for pattern, how in rules:
            for match in pattern.finditer(line):
                word = match.group().rstrip("( ")
                if (name, word) not in ALLOWED:
                    yield lint.Finding(name, number, "'%s' is banned" % word, how)


def _hot_list(root):
    """(line, file, mode, functions) of each row of hot.txt: "FILE", "FILE except FUNCTION…" (those are
    cold) or "FILE only FUNCTION…"."""
    if not os.path.exists(os.path.join(root, HOT)):
        return
    for number, row in enumerate(lint.read(root, HOT).split("\n"), 1):
        words = row.split("#")[0].split()
        if words:
            yield number, words[0], words[1] if len(words) > 1 else "all", words[2:]


def _hot(root):
    for row, name, mode, listed in _hot_list(root):
        if mode not in ("all", "only", "except") or (mode == "all") != (not listed):
            yield lint.Finding(HOT, row, "'%s %s'" % (name, mode), "FILE, FILE except F…, FILE only F…")
            continue
        if not os.path.exists(os.path.join(root, name)):
            yield lint.Finding(HOT, row, "no file %s" % name, "name files that exist")
            continue
        blocks = list(lint.functions(lint.read(root, name)))
        for absent in set(listed) - {block.name for block in blocks}:
            yield lint.Finding(HOT, row, "no function %s in %s" % (absent, name), "name functions that exist")
        for block in blocks:
            if mode == "all" or (block.name in listed) == (mode == "only"):
                yield from _hot_function(name, block)


def _hot_function(name, block):
    for number, line in enumerate(block.lines, block.first):
        for pattern, how in HOT_BANNED:
            for match in pattern.finditer(line):
                yield lint.Finding(name, number, "'%s' in hot function %s()"
                                   % (match.group().rstrip("( "), block.name), how)


def _statement_top(code, number):
    """First line of the statement that line `number` (from 0) is part of, comments above included."""
    top = number
    while top > 0:
        above = code[top - 1].strip()
        if above and above[-1] in ";{}:" or above.startswith("#"):
            break
        if not above and top - 1 != number and not code[top - 1]:
            break
        top -= 1
    return top


def _arguments(text, start):
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at + 1]
    return text[start:]


def _atomics(name, text, sites, mentions):
    code_text = lint.code_of(text)
    code, comments = code_text.split("\n"), lint.comments_of(text).split("\n")
    for match in RELAXED_CALL.finditer(code_text):
        if "__ATOMIC_" not in _arguments(code_text, match.end() - 1) \
                and match.group(1) not in ("always_lock_free", "is_lock_free"):
            yield lint.Finding(name, code_text.count("\n", 0, match.start()) + 1,
                               "__atomic_%s without a literal order" % match.group(1),
                               "write the order where it is used")
    for number, line in enumerate(comments):
        for tag in TAG.findall(line):
            mentions.setdefault(tag, (name, number + 1))
    for number, line in enumerate(code):
        match = ORDERED.search(line)
        if not match:
            continue
        top = _statement_top(code, number)
        tags = TAG.findall(" ".join(comments[top:number + 1]))
        if not tags:
            yield lint.Finding(name, number + 1, "%s without a pair" % match.group().rstrip("( "),
                               "a comment /* pairs(tag): what would break */ at it")
        for tag in set(tags):
            sites.setdefault(tag, set()).add((name, number + 1))


def _pairs(sites, mentions):
    for tag, places in sites.items():
        if len(places) < 2:
            name, line = min(places)
            yield lint.Finding(name, line, "pairs(%s) stands alone" % tag, "the same tag at the other side")
    for tag, (name, line) in mentions.items():
        if tag not in sites:
            yield lint.Finding(name, line, "pairs(%s) is at no ordered access" % tag, "the tag at both sides")


def check(root):
    findings, sites, mentions = [], {}, {}
    for name in lint.files(root, ".c", ".h", ".cc"):
        text = lint.read(root, name)
        findings += _banned(name, lint.code_of(text))
        findings += _atomics(name, text, sites, mentions)
        if not name.endswith(".cc"):
            for number, line in enumerate(lint.comments_of(text).split("\n"), 1):
                if re.match(r"\s*//(?! SPDX-)", line):
                    findings.append(lint.Finding(name, number, "a // comment", "/* … */"))
    return findings + list(_pairs(sites, mentions)) + list(_hot(root))


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
