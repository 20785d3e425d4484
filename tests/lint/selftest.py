# SPDX-License-Identifier: BSD-3-Clause
"""The lint tests can fail: each rule gets a small tree that breaks it, and one that does not."""
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import budgets
import commits
import docs
import format as formatting
import headers
import layers
import lint
import public
import spdx
import stems
import tokens

C = "/* SPDX-License-Identifier: BSD-3-Clause */\n"
CC = shlex.split(os.environ.get("CC", "cc"))


class Tree(unittest.TestCase):
    """A folder of its own for each test."""

    def setUp(self):
        self.root = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def finds(self, findings, *wanted):
        """The findings are those, in any order: (file, line, part of the text)."""
        left = sorted(findings)
        for name, line, part in wanted:
            hit = [f for f in left if f.file == name and f.line == line and part in "%s; %s" % (f.what, f.how)]
            self.assertTrue(hit, "no finding %s:%d …%s… in\n%s" % (name, line, part, "\n".join(map(str, left))))
            left.remove(hit[0])
        self.assertEqual([], [str(f) for f in left])

    def build(self, *sources):
        """Compiles C files, as ninja would with meson's compile_commands.json."""
        out = os.path.join(self.root, "b")
        os.makedirs(out, exist_ok=True)
        entries = []
        for source in sources:
            obj = source.replace("/", "_") + ".o"
            command = CC + ["-I../" + source.split("/")[0], "-I../include", "-o", obj, "-c", "../" + source]
            subprocess.run(command, cwd=out, check=True)
            entries.append({"directory": out, "command": shlex.join(command), "file": "../" + source,
                            "output": obj})
        with open(os.path.join(out, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(entries, file)
        self.write("b/build.ninja", "")
        return out


class Shared(Tree):
    def test_literals_and_comments_are_told_apart(self):
        text = 'f("/* a */ \\"", \'"\'); /* "b */ g(); // c\n'
        self.assertEqual(len(text), len(lint.code_of(text)))
        self.assertNotIn("a", lint.code_of(text))
        self.assertNotIn("b", lint.code_of(text))
        self.assertIn("g();", lint.code_of(text))
        self.assertEqual(['/* "b */', "// c"], re.split(r"\s{3,}", lint.comments_of(text).strip()))
        self.assertNotIn("a", lint.comments_of(text))

    def test_functions_are_found_with_attributes_and_long_headers(self):
        text = ("__attr(2, 3) static int\nlong_one(\n\tint a)\n{\n\tx();\n}\n\n"
                "static const int t[] = {\n\t1,\n};\n\nvoid g(void (*on)(int))\n{\n}\n")
        self.assertEqual([("long_one", 1, 6), ("g", 12, 14)],
                         [(b.name, b.first, b.last) for b in lint.functions(text)])
        self.assertEqual([("t", 8, 10)], [(b.name, b.first, b.last) for b in lint.tables(text)])

    def test_without_git_builds_are_left_out(self):
        self.write("a/x.c", "")
        self.write("b/build.ninja", "")
        self.write("b/y.c", "")
        self.assertEqual(["a/x.c"], lint.files(self.root, ".c"))

    def test_a_tree_inside_a_work_tree_is_not_that_tree(self):
        self.write("out/.gitignore", "*")
        self.write("out/x.c", "")
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.assertEqual(["x.c"], lint.files(os.path.join(self.root, "out"), ".c"))
        self.assertEqual([], lint.files(self.root, ".c"))

    def test_status_says_what_happened(self):
        def skip():
            raise lint.Skip("no tool")

        for check, status in ((lambda: [lint.Finding("f", 1, "w", "h")], 1), (lambda: [], 0), (skip, 77)):
            with self.assertRaises(SystemExit) as end, open(os.devnull, "w", encoding="utf-8") as null:
                with contextlib.redirect_stdout(null):
                    lint.run(check)
            self.assertEqual(status, end.exception.code)


class Layers(Tree):
    def include(self, name, *paths):
        self.write(name, C + "".join('#include %s\n' % (p if p[0] == "<" else '"%s"' % p) for p in paths))

    def test_lower_layers_and_own_folder_are_fine(self):
        self.include("dataplane/lb/a.c", "lb/a.h", "net/b.h", "core/c.h", "base/d.h", "millrace/e.h", "<rte_x.h>")
        self.include("dataplane/pipeline.c", "pipeline.h", "lb/a.h", "serve/b.h")
        self.include("dataplane/manager.h", "api/a.h")
        self.include("dataplane/main.c", "manager.h", "api/a.h")
        self.include("dataplane/api/a.c", "lb/a.h", "serve/b.h", "pipeline.h")
        self.include("control/cli/a.c", "cli/a.h", "lib/b.h", "millrace/e.h", "<jansson.h>")
        self.include("include/millrace/a.h", "millrace/b.h", "<stdint.h>")
        self.write("dataplane/base/q.c", C + '/*\n#include "lb/conn.h"\n*/\n')
        self.finds(layers.check(self.root))

    def test_dataplane(self):
        self.include("dataplane/net/up.c", "net/up.h", "lb/a.h")
        self.include("dataplane/lb/strange.c", "kv/a.h")
        self.include("dataplane/core/top.c", "pipeline.h")
        self.include("dataplane/core/dots.c", "core/../lb/a.h")
        self.include("dataplane/new/x.c", "base/a.h")
        self.include("dataplane/base/c.c", "daemon/loop.h")
        self.include("dataplane/api/c.c", "lib/text.h")
        self.include("dataplane/pipeline.h", "lb/a.h")
        self.finds(layers.check(self.root), ("dataplane/net/up.c", 3, "above"),
                   ("dataplane/lb/strange.c", 2, "same layer"), ("dataplane/core/top.c", 2, "without its folder"),
                   ("dataplane/core/dots.c", 2, "'..'"), ("dataplane/new/x.c", 2, "no layer"),
                   ("dataplane/base/c.c", 2, "unknown folder 'daemon'"),
                   ("dataplane/api/c.c", 2, "unknown folder 'lib'"), ("dataplane/pipeline.h", 2, "sees 'lb'"))

    def test_control_and_public(self):
        self.include("control/cli/a.c", "daemon/loop.h")
        self.include("control/daemon/a.c", "cli/cmd.h")
        self.include("control/lib/a.c", "daemon/loop.h", "base/log.h", "<rte_ether.h>")
        self.include("include/millrace/a.h", "<rte_ether.h>", "core/opt.h")
        self.finds(layers.check(self.root), ("control/cli/a.c", 2, "'daemon'"), ("control/daemon/a.c", 2, "'cli'"),
                   ("control/lib/a.c", 2, "'daemon'"), ("control/lib/a.c", 3, "'base'"),
                   ("control/lib/a.c", 4, "DPDK"), ("include/millrace/a.h", 2, "DPDK"),
                   ("include/millrace/a.h", 3, "core/opt.h"))


class Headers(Tree):
    def test_headers_that_lean_on_others_or_have_no_guard(self):
        self.write("dataplane/a/good.h", C + "#pragma once\n#include <stdint.h>\nstruct good { uint8_t x; };\n")
        self.write("dataplane/a/bad.h", C + "#pragma once\nstruct bad { uint8_t x; };\n")
        self.write("dataplane/a/open.h", C + "struct twice { int x; };\n")
        self.write("dataplane/a/a.c", C + "#include <stdint.h>\n#include \"a/bad.h\"\nuint8_t a_x;\n")
        self.finds(headers.check(self.root, self.build("dataplane/a/a.c")),
                   ("dataplane/a/bad.h", 1, "uint8_t"), ("dataplane/a/open.h", 1, "no #pragma once"),
                   ("dataplane/a/open.h", 1, "redefinition"))

    def test_what_the_build_shows_is_not_compiled_again(self):
        self.write("dataplane/a/first.h", C + "#pragma once\n#include <stdint.h>\nextern uint8_t a_first;\n")
        self.write("dataplane/a/first.c", C + "#include \"first.h\"\n")
        self.write("dataplane/a/second.h", C + "#pragma once\nuint8_t a_second;\n")
        self.write("dataplane/a/second.c", C + "#include <stdint.h>\n#include \"second.h\"\n")
        self.write("dataplane/a/third.h", C + "#pragma once\nuint8_t a_third;\n")
        self.write("dataplane/a/third.c", C + "#define uint8_t char\nuint8_t a_before;\n#include \"third.h\"\n")
        build = self.build("dataplane/a/first.c", "dataplane/a/second.c", "dataplane/a/third.c")
        self.assertEqual(headers.shown(self.root, lint.units(self.root, build)), {"dataplane/a/first.h"})
        self.finds(headers.check(self.root, build), ("dataplane/a/second.h", 1, "uint8_t"), ("dataplane/a/third.h", 1, "uint8_t"))

    def test_without_a_build_it_is_skipped(self):
        self.assertRaises(lint.Skip, headers.check, self.root, self.root)


class Public(Tree):
    def test_each_language_and_symbols(self):
        self.write("include/millrace/good.h", C + "#pragma once\nstatic inline int f(void)\n{\n\treturn 1;\n}\n")
        self.write("include/millrace/onlyc.h", C + "#pragma once\nstruct s { int class; };\n")
        self.write("include/millrace/gnu.h", C + "#pragma once\nstruct t { int n; int of[0]; };\n")
        self.write("include/millrace/defines.h", C + "#pragma once\nint mr_counter;\n")
        self.write("include/millrace/dpdk.h", C + "#pragma once\n#include \"rte_fake.h\"\n")
        self.write("include/millrace/rte_fake.h", C + "#pragma once\n")
        self.write("dataplane/other.h", "not C at all\n")
        found = public.check(self.root)
        self.finds(found, ("include/millrace/onlyc.h", 1, "c++17"), ("include/millrace/gnu.h", 1, "c11"),
                   ("include/millrace/gnu.h", 1, "c++17"), ("include/millrace/defines.h", 1, "(c11)"),
                   ("include/millrace/defines.h", 1, "(c++17)"), ("include/millrace/dpdk.h", 1, "rte_fake.h"),
                   ("include/millrace/dpdk.h", 1, "rte_fake.h"),
                   ("include/millrace/rte_fake.h", 1, "rte_fake.h"),
                   ("include/millrace/rte_fake.h", 1, "rte_fake.h"))


class Stems(Tree):
    def test_exports_and_stems(self):
        self.write("dataplane/a/good.c", C + "int good_x;\nint good(void);\nint good(void)\n{\n\treturn 0;\n}\n"
                   "static int anything;\nint *good_y = &anything;\n")
        self.write("dataplane/a/good.h", C)
        self.write("dataplane/a/bad.c", C + "\nint other_x;\nint badly;\nint net_x;\n")
        self.write("control/a/mr.c", C + "#define MR_LIMIT 3\nstruct mr_thing {\n\tint x;\n};\n"
                   "int mr_x(void);\nstatic int mr_y(void)\n{\n\treturn 0;\n}\nint mr_z = 1;\n"
                   "int mr_x(void)\n{\n\treturn mr_y();\n}\n")
        self.write("include/millrace/own.h", C + "#define MR_FINE 1\nstruct mr_fine {\n};\n")
        self.write("tests/a/bad.c", C)
        self.write("perf/good.h", C)
        self.write("perf/pair.c", C)
        self.write("tests/pair.h", C)
        found = stems.check(self.root, self.build("dataplane/a/good.c", "dataplane/a/bad.c", "control/a/mr.c"))
        self.finds(found, ("dataplane/a/bad.c", 3, "exports 'other_x'"), ("dataplane/a/bad.c", 4, "exports 'badly'"),
                   ("dataplane/a/bad.c", 5, "DPDK"), ("tests/a/bad.c", 1, "stem 'bad'"),
                   ("perf/good.h", 1, "stem 'good'"), ("tests/pair.h", 1, "a pair in one folder"),
                   ("control/a/mr.c", 2, "'MR_LIMIT'"), ("control/a/mr.c", 3, "'mr_thing'"),
                   ("control/a/mr.c", 7, "'mr_y'"), ("control/a/mr.c", 12, "'mr_x'"))


class Tokens(Tree):
    def test_each_banned_word(self):
        lines = ["rte_atomic32_inc(&x);", "rte_smp_wmb();", "__sync_synchronize();", "static volatile int x;",
                 "atomic_store(&x, 1);", "static _Atomic int x;", "strcpy(a, b);", "sprintf(a, b);", "n = atoi(a);",
                 "p = alloca(n);", "rte_panic(a);", "RTE_INIT(a)", "usleep(3);", "#include <rte_flow.h>",
                 "f = rte_flow_create(port, a, b, c, d);"]
        self.write("dataplane/a/a.c", "\n".join(lines) + "\n")
        self.finds(tokens.check(self.root), *[("dataplane/a/a.c", i, "is banned") for i in range(1, len(lines) + 1)])

    def test_words_that_only_look_like_it(self):
        self.write("tests/a.c", C + "/* strcpy(a, b) gets( volatile */\nchar *x = \"atoi(\";\n"
                   "snprintf(a, n, b);\n__asm__ volatile(\"\");\natomic_load_explicit(&x, o);\nusleep(3);\n"
                   "rte_flow_create(port);\n")
        self.finds(tokens.check(self.root))

    def test_line_comments(self):
        self.write("tests/a.c", C + "int x;\n// no\n/* http://x is fine */\n")
        self.write("perf/a.cc", "// fine in C++\n")
        self.write("tests/b.c", "// SPDX-License-Identifier: BSD-3-Clause\n")
        self.finds(tokens.check(self.root), ("tests/a.c", 3, "a // comment"))

    def test_pairs(self):
        self.write("dataplane/a.c", C + "a = __atomic_load_n(&x, __ATOMIC_ACQUIRE); /* pairs(good) */\n"
                   "/* pairs(good): why */\n__atomic_store_n(&x,\n\tlong_value, __ATOMIC_RELEASE);\n"
                   "b = __atomic_load_n(&x, __ATOMIC_ACQUIRE);\n"
                   "c = __atomic_load_n(&x, __ATOMIC_SEQ_CST); /* pairs(lonely) */\n"
                   "/* pairs(nowhere) */\nint y;\n"
                   "d = __atomic_load_n(&x, order);\n"
                   "e = __atomic_load_n(&x, __ATOMIC_RELAXED);\n"
                   "rcu_assign_pointer(p, q);\n")
        self.finds(tokens.check(self.root), ("dataplane/a.c", 6, "without a pair"),
                   ("dataplane/a.c", 7, "pairs(lonely) stands alone"), ("dataplane/a.c", 8, "pairs(nowhere)"),
                   ("dataplane/a.c", 10, "without a literal order"), ("dataplane/a.c", 12, "rcu_assign_pointer"))

    def test_a_pair_is_not_borrowed_from_the_statement_before(self):
        self.write("dataplane/a.c", C + "a = __atomic_load_n(&x, __ATOMIC_ACQUIRE); /* pairs(t) */\n"
                   "b = __atomic_load_n(&y, __ATOMIC_ACQUIRE);\n"
                   "c = __atomic_load_n(&x, __ATOMIC_ACQUIRE); /* pairs(t) */\n")
        self.finds(tokens.check(self.root), ("dataplane/a.c", 3, "without a pair"))

    HOT = ["p = malloc(3);", "free(p);", "p = rte_zmalloc(a);", "printf(a);", "snprintf(a, n, b);", "LOG_ERR(a);",
           "RTE_LOG(a);", "n = read(fd);", "clock_gettime(a);", "pthread_mutex_lock(m);", "rte_spinlock_lock(m);",
           "synchronize_rcu();", "return -errno;"]

    def test_hot_functions(self):
        body = "".join("\t%s\n" % line for line in self.HOT)
        fine = "\tops->open(x);\n\tx.read(y);\n\trte_pktmbuf_free(m);\n\tmy_read(x);\n"
        text = "void hot(void)\n{\n%s%s}\n\nvoid cold(void)\n{\n%s}\n" % (body, fine, body)
        for name in ("all", "cold", "only"):
            self.write("dataplane/%s.c" % name, text)
        self.write(tokens.HOT, "# a comment\n\ndataplane/all.c\ndataplane/cold.c except cold # here\n"
                   "dataplane/only.c only hot\n")
        n, first = len(self.HOT), 3
        second = first + n + 4 + 4
        wanted = [("dataplane/%s.c" % name, line, "hot function hot()")
                  for name in ("all", "cold", "only") for line in range(first, first + n)]
        wanted += [("dataplane/all.c", line, "hot function cold()") for line in range(second, second + n)]
        self.finds(tokens.check(self.root), *wanted)

    def test_hot_list_that_has_gone_stale(self):
        self.write("dataplane/a.c", "void f(void)\n{\n}\n")
        self.write(tokens.HOT, "dataplane/gone.c\ndataplane/a.c except g\ndataplane/a.c only\ndataplane/a.c but f\n")
        self.finds(tokens.check(self.root), (tokens.HOT, 1, "no file"), (tokens.HOT, 2, "no function g"),
                   (tokens.HOT, 3, "only"), (tokens.HOT, 4, "but"))


class Budgets(Tree):
    def test_files(self):
        self.write("a/at.c", "\n" * 900)
        self.write("a/over.c", "\n" * 901)
        self.write("a/at.h", "\n" * 300)
        self.write("a/over.h", "\n" * 301)
        self.write("include/millrace/counters.h", "\n" * 301)
        self.finds(budgets.check(self.root), ("a/over.c", 901, "901 lines"), ("a/over.h", 301, "301 lines"))

    @staticmethod
    def function(name, n, line="\tx();\n", top="", bottom=""):
        return "void %s(void)\n{\n%s%s%s}\n\n" % (name, top, line * n, bottom)

    def test_functions(self):
        flat = {"line": "\tcase 1:\n", "top": "\tswitch (x) {\n", "bottom": "\t}\n"}
        self.write("a.c", self.function("at", 77) + self.function("over", 78)
                   + self.function("flat_at", 115, **flat) + self.function("flat_over", 116, **flat)
                   + self.function("half", 60, bottom="\tswitch (x) {\n" + "\tcase 1:\n" * 20 + "\t}\n"))
        over = 81
        flat_over = over + 82 + 121
        self.finds(budgets.check(self.root), ("a.c", over + 1, "over() has 81"),
                   ("a.c", flat_over + 1, "flat_over() has 121"), ("a.c", flat_over + 123, "half() has 85"))

    def test_tables(self):
        self.write("a.c", "static const int at[] = {\n" + "\t1,\n" * 118 + "};\n\n"
                   + "static const int over[2] = {\n" + "\t1,\n" * 119 + "};\n")
        self.finds(budgets.check(self.root), ("a.c", 122, "table over has 121"))

    def test_parameters_and_includes(self):
        self.write("a.c", "".join('#include "a/%d.h"\n' % i for i in range(14)) + "#include <stdio.h>\n\n"
                   "void f(int a, int b, int c, int d, int e, int f, void (*g)(int, int))\n{\n}\n")
        self.write("b.c", "".join('#include "a/%d.h"\n' % i for i in range(15)) + "\n"
                   "void f(int a, int b, int c, int d,\n\tint e, int f, int g, int h)\n{\n}\n")
        self.finds(budgets.check(self.root), ("b.c", 15, "15 includes"), ("b.c", 17, "8 parameters"))


class Commits(Tree):
    GOOD = "net: one thing\n\nBecause of that.\n"

    def setUp(self):
        super().setUp()
        self.git("init", "-q", "-b", "main")

    def git(self, *args):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", self.root] + who + list(args), check=True, stdout=subprocess.DEVNULL)

    def commit(self, message):
        self.git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)

    def of(self, message):
        return [f.what for f in commits.check_message("c", message)]

    def test_shape(self):
        for message in (self.GOOD, "keep, admin: say what was damaged\n\nWhy.\n", "net: ARP replies\n\nWhy.\n",
                        "%s: %s\n\nWhy.\n" % ("net", "x" * 55)):
            self.assertEqual([], self.of(message))
        for message, part in (("one thing\n\nWhy.\n", "subject"), ("net: One thing\n\nWhy.\n", "capital"),
                              ("Net: one thing\n\nWhy.\n", "subject"), ("net: one thing.\n\nWhy.\n", "full stop"),
                              ("net: %s\n\nWhy.\n" % ("x" * 56), "61 characters"), ("net: one thing\n", "no body"),
                              ("net: one thing\n\nFixes: 123456789012\n", "no body"),
                              ("net: one thing\nWhy.\n", "second line")):
            found = self.of(message)
            self.assertEqual(1, len(found), message)
            self.assertIn(part, found[0])

    def test_history(self):
        self.commit(self.GOOD)
        self.assertEqual([], commits.check(self.root))
        self.commit("oops")
        self.commit(self.GOOD)
        self.assertEqual(["subject 'oops'", "no body"], [f.what for f in commits.check(self.root)])
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        self.assertEqual([], commits.check(self.root))
        self.commit("again")
        self.assertEqual(["subject 'again'", "no body"], [f.what for f in commits.check(self.root)])

    def test_where_there_is_no_history_it_is_skipped(self):
        self.assertRaises(lint.Skip, commits.check, self.root)
        self.commit(self.GOOD)
        self.commit(self.GOOD)
        shallow = os.path.join(self.root, "shallow")
        self.git("clone", "-q", "--depth", "1", "file://" + self.root, shallow)
        self.assertRaises(lint.Skip, commits.check, shallow)
        bare = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, bare)
        self.assertRaises(lint.Skip, commits.check, bare)


class Format(Tree):
    def test_a_line_that_is_not_formatted(self):
        self.write(".clang-format", "BasedOnStyle: LLVM\n")
        self.write("a/good.c", "int x;\n")
        self.write("a/bad.c", "int x;\nint   y;\n")
        try:
            self.finds(formatting.check(self.root), ("a/bad.c", 2, "not formatted"))
        except lint.Skip as why:
            self.skipTest(str(why))


class Spdx(Tree):
    def test_first_lines(self):
        line = "# SPDX-License-Identifier: BSD-3-Clause\n"
        self.write("good.c", C)
        self.write("good.cc", C.replace("/*", "//").replace(" */", ""))
        self.write("good.sh", "#!/bin/sh\n" + line)
        self.write("good.py", line)
        self.write("good", "#!/usr/bin/env python3\n" + line)
        self.write("README.md", "no source\n")
        self.write("bad.h", "\n" + C)
        self.write("bad.cc", C.replace("BSD-3-Clause", "MIT"))
        self.write("bad.py", "import os\n")
        self.write("bad", "#!/bin/bash\n\n" + line)
        self.write("empty.py", "")
        self.finds(spdx.check(self.root), *[(name, line, "no SPDX line") for name, line in (
            ("bad.h", 1), ("bad.cc", 1), ("bad.py", 1), ("bad", 2), ("empty.py", 1))])

    def test_syntax(self):
        line = "# SPDX-License-Identifier: BSD-3-Clause\n"
        self.write("bad.sh", line + "if true; then\n")
        self.write("bad.py", line + "x = (\n")
        found = spdx.check(self.root)
        self.assertEqual({"bad.sh", "bad.py"}, {f.file for f in found})
        self.assertEqual(2, len(found))


class Docs(Tree):
    def test_names(self):
        self.write(docs.COUNTERS, "#define A(X) \\\n\tX(rx, packets, \"x\") \\\n\tX(tx, packets, \"x\")\n"
                   "#define B(X) \\\n\tX(rx, \"x\")\n")
        self.write(docs.OPTIONS, 'static const struct def defs[] = {\n\t{"port", "N", x},\n\t{"help", NULL, x},\n'
                   '\t{"port", NULL, x},\n};\n')
        self.finds(docs.check(self.root), (docs.COUNTERS, 5, "'rx' is also in line 2"),
                   (docs.OPTIONS, 4, "'port' is also in line 2"))

    def test_lists_that_moved_are_not_passed_over(self):
        self.write(docs.COUNTERS, "\n")
        self.write(docs.OPTIONS, "\n")
        self.finds(docs.check(self.root), (docs.COUNTERS, 1, "no counter found"), (docs.OPTIONS, 1, "no option found"))

    def test_private_paths(self):
        home = "/wo" + "rk"
        self.write("a.md", "see %s/x\n/run/%s\n%sers\n$X%s/y a%s/b .%s\n(%s)\n/tmp/w" % ((home,) * 7) + "t/lint\n")
        self.finds(docs.check(self.root), ("a.md", 1, "speaks of"), ("a.md", 5, "speaks of"), ("a.md", 6, "speaks of"))


if __name__ == "__main__":
    unittest.main()
