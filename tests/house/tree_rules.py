#!/usr/bin/env python3
"""Checks rules about the tree that no compiler knows. Prints each violation; exit status 1 if any.

usage: tree_rules.py [REPOSITORY]
"""

import os
import re
import subprocess
import sys

MAX_CODE_LINES = 800
CODE_SUFFIXES = (".h", ".hpp", ".inc", ".cpp", ".cc", ".cu", ".cuh", ".py", ".js")
# Files that may be longer, each with the reason.
LONG_FILES = {}

MAX_TREE_BYTES = 56 << 20

# Absolute paths of somebody's machine; /tmp, /usr, /proc and the like are everybody's.
MACHINE_PATH = re.compile(
    r"(?<![\w./:$}-])/(?:" + "|".join(["home", "Users", "root", "work", "mnt", "srv"]) + r")/[\w.]")
PROMISES = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) +
                      r")\b")
REQUIRED = [
    ".ci/run", ".clang-format", ".clang-tidy", ".gitignore", "CMakeLists.txt", "CMakePresets.json",
    "CONTRIBUTING.md", "LICENSE", "README.md", "docs/architecture.md", "docs/cli.md",
    "scripts/install-deps", "scripts/quickstart", "scripts/test", "tests/README.md",
    "tests/golden/README.md",
]
START_COMMANDS = ["scripts/quickstart", "scripts/test"]


def tracked_files(root):
    """What git tracks or would track; in a tree without git, everything but build folders."""
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listing.returncode == 0 and listing.stdout:
        names = listing.stdout.decode().split("\0")
    else:
        names = []
        for parent, folders, files in os.walk(root):
            folders[:] = [f for f in folders if not f.startswith("build")
                          and f not in (".git", ".cache", "__pycache__")]
            names += [os.path.relpath(os.path.join(parent, f), root) for f in files]
    return sorted(n for n in names if n and os.path.isfile(os.path.join(root, n)))


def read_text(path):
    """The file's text; None for binary data."""
    with open(path, "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def check_text(name, text):
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            problems.append(f"{name}:{number}: a path of one machine")
        if name.endswith(CODE_SUFFIXES) and PROMISES.search(line):
            problems.append(f"{name}:{number}: a promise instead of the work")
    if name.endswith(CODE_SUFFIXES):
        lines = text.count("\n")
        if lines > MAX_CODE_LINES and name not in LONG_FILES:
            problems.append(f"{name}:{lines}: more than {MAX_CODE_LINES} lines; split it by idea, or "
                            "give the reason in tests/house/tree_rules.py")
    return problems


def check_tree(root):
    problems = []
    names = tracked_files(root)
    size = 0
    for name in names:
        path = os.path.join(root, name)
        size += os.path.getsize(path)
        if name.startswith("tests/golden/") and not name.endswith("README.md"):
            continue  # reference data is as its makers left it
        text = read_text(path)
        if text is not None:
            problems += check_text(name, text)
    if size > MAX_TREE_BYTES:
        problems.append(f"the tracked files are {size >> 20} MiB, more than {MAX_TREE_BYTES >> 20}")
    for name in sorted(set(LONG_FILES) - set(names)):
        problems.append(f"{name}:1: is on the list of long files but is not there")
    for name in REQUIRED:
        if name not in names:
            problems.append(f"{name}:1: is missing")
    sources = os.path.join(root, "src")
    for room in sorted(os.listdir(sources)):
        if os.path.isdir(os.path.join(sources, room)) and f"src/{room}/README.md" not in names:
            problems.append(f"src/{room}/README.md:1: a room says what it is for")
    for name in START_COMMANDS + [".ci/run", "scripts/fetch-model"]:
        if name in names and not os.access(os.path.join(root, name), os.X_OK):
            problems.append(f"{name}:1: is not executable")
    return problems


def check_readme(root):
    """The README starts a newcomer with two commands and no others."""
    path = os.path.join(root, "README.md")
    text = read_text(path) if os.path.isfile(path) else ""
    named = set(re.findall(r"scripts/[a-z-]+", text))
    problems = [f"README.md:1: does not name {c}" for c in START_COMMANDS if c not in named]
    problems += [f"README.md:1: names {c}; it is to name only {' and '.join(START_COMMANDS)}"
                 for c in sorted(named - set(START_COMMANDS))]
    return problems


def check_ci(root):
    path = os.path.join(root, ".ci/run")
    text = read_text(path) if os.path.isfile(path) else ""
    return [] if "scripts/test" in text else [".ci/run:1: does not call scripts/test"]


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else default)
    problems = check_tree(root) + check_readme(root) + check_ci(root)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print("the tree follows the house rules")


if __name__ == "__main__":
    main()
