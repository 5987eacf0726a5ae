#!/usr/bin/env python3
"""Shows that tree_rules.py finds what it looks for."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree_rules  # noqa: E402


class Texts(unittest.TestCase):
    def found(self, name, text):
        return [problem.split(": ", 1)[1] for problem in tree_rules.check_text(name, text)]

    def test_plain_text_passes(self):
        self.assertEqual(self.found("a.cpp", "// /usr/include, a/home/b, ${x}/root/y\nint x;\n"), [])

    def test_machine_paths(self):
        for place in ["home", "root", "work", "Users"]:
            self.assertEqual(self.found("a.md", f"see /{place}/someone\n"), ["a path of one machine"])
            self.assertEqual(self.found("a.sh", f"x='/{place}/a'\n"), ["a path of one machine"])

    def test_promises(self):
        self.assertEqual(self.found("a.h", "// TO" + "DO later\n"), ["a promise instead of the work"])

    def test_long_files(self):
        self.assertEqual(self.found("a.cpp", "\n" * tree_rules.MAX_CODE_LINES), [])
        self.assertEqual(len(self.found("a.cpp", "\n" * (tree_rules.MAX_CODE_LINES + 1))), 1)
        self.assertEqual(self.found("a.txt", "\n" * (tree_rules.MAX_CODE_LINES + 1)), [])


class Readme(unittest.TestCase):
    def problems(self, text):
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, "README.md"), "w", encoding="utf-8") as file:
                file.write(text)
            return len(tree_rules.check_readme(root))

    def test_both_commands_and_no_other(self):
        self.assertEqual(self.problems("scripts/quickstart\nscripts/test\n"), 0)
        self.assertEqual(self.problems("scripts/quickstart\n"), 1)
        self.assertEqual(self.problems(""), 2)
        self.assertEqual(self.problems("scripts/quickstart scripts/test scripts/fuzz\n"), 1)


class Ci(unittest.TestCase):
    def test_calls_the_tests(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(len(tree_rules.check_ci(root)), 1)
            os.mkdir(os.path.join(root, ".ci"))
            with open(os.path.join(root, ".ci/run"), "w", encoding="utf-8") as file:
                file.write("scripts/test\n")
            self.assertEqual(tree_rules.check_ci(root), [])


if __name__ == "__main__":
    unittest.main()
