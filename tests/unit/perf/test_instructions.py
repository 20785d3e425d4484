# SPDX-License-Identifier: BSD-3-Clause
"""The gate of instructions (perf/micro/instructions.py) can fail: test_instructions.py SOURCE_ROOT BUILD_DIR"""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, BUILD = sys.argv[1:3]
sys.path.insert(0, os.path.join(ROOT, "perf", "micro"))
import instructions  # noqa: E402  (its folder is an argument)

PATH = "parse/ipv4/tcp"


class Comparison(unittest.TestCase):
    def setUp(self):
        self.baseline = instructions.read_baseline(instructions.BASELINE)
        self.counts = copy.deepcopy(self.baseline["instructions"])

    def findings(self, paths=None):
        return instructions.compare(self.baseline, self.counts, paths or instructions.PATHS)[1]

    def test_the_committed_baseline_is_of_all_paths_and_like_itself(self):
        self.assertEqual(list(self.counts), instructions.PATHS)
        self.assertEqual(self.findings(), [])

    def test_a_path_beyond_the_tolerance_is_named_with_both_counts(self):
        for name in instructions.PATHS:
            was = self.baseline["instructions"][name]
            for factor, word in ((1.05, "grew"), (0.95, "shrank")):
                self.counts[name] = was * factor
                found = self.findings()
                self.assertEqual(len(found), 1)
                for part in (name + ":", word, "was %.1f" % was, "is %.1f" % (was * factor), "%+.1f %%" % (100 * factor - 100)):
                    self.assertIn(part, found[0])
            self.counts[name] = was

    def test_up_to_the_tolerance_there_is_nothing_to_say(self):
        for factor in (1.019, 0.981):
            self.counts = {name: n * factor for name, n in self.baseline["instructions"].items()}
            self.assertEqual(self.findings(), [])

    def test_paths_and_baseline_are_the_same_ones(self):
        del self.baseline["instructions"][PATH]
        self.baseline["instructions"]["no/such/path"] = 1.0
        found = self.findings()
        self.assertEqual([f.split(":")[0] for f in found], [PATH, "no/such/path"])

    def test_another_compiler_or_cpu_is_not_compared(self):
        made = dict(self.baseline["made_with"])
        instructions.check_same(self.baseline, made)
        for what in ("build", "cpu"):
            with self.assertRaisesRegex(instructions.Skip, "another one"):
                instructions.check_same(self.baseline, {**made, what: "another one"})
        instructions.check_same(self.baseline, {**made, "libc": "glibc 9"})
        self.assertIn("glibc 9", instructions.notes(self.baseline, {**made, "libc": "glibc 9"})[0])

    def test_what_is_no_baseline_is_refused(self):
        for text in ("", "[]", "{}", '{"made_with": {}, "tolerance_pct": 2, "instructions": []}', '{"made_with": {}, "tolerance_pct":'):
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(text)
                file.flush()
                with self.assertRaises(instructions.Failure):
                    instructions.read_baseline(file.name)


@unittest.skipIf(shutil.which("valgrind") is None, "there is no valgrind")
class Program(unittest.TestCase):
    """What is counted is what is compared."""

    def run_with(self, count, build):
        baseline = instructions.read_baseline(instructions.BASELINE)
        baseline["made_with"] = instructions.made_with(build)
        baseline["instructions"][PATH] = count
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(baseline, file)
            file.flush()
            done = subprocess.run([sys.executable, "-B", instructions.__file__, BUILD, "--only", PATH, "--baseline", file.name],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def setUp(self):
        counts, self.made = instructions.measure(BUILD, [PATH])
        self.count = counts[PATH]

    def test_it_passes_fails_and_is_skipped(self):
        build = self.made["build"]
        status, said = self.run_with(self.count, build)
        self.assertEqual(status, 0, said)
        status, said = self.run_with(self.count * 0.96, build)
        self.assertEqual(status, 1, said)
        self.assertIn("FAILED: %s: grew" % PATH, said)
        self.assertIn("perf/micro/instructions.py build-debug --write", said)
        status, said = self.run_with(self.count * 1.04, build)
        self.assertEqual(status, 1, said)
        self.assertIn("FAILED: %s: shrank" % PATH, said)
        status, said = self.run_with(self.count, "gcc of another day")
        self.assertEqual(status, instructions.SKIPPED, said)
        self.assertIn("gcc of another day", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
