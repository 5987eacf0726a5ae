#!/usr/bin/env python3
"""Checks that the rooms of src/ know only what stands below them.

Three things must agree for every room: the order below (the picture in docs/architecture.md), the
#include lines of its files, and the rooms that its CMakeLists.txt links.

usage: layering.py [REPOSITORY]      prints each violation as FILE:LINE: text; exit status 1 if any
"""

import os
import re
import sys

# What each room may use besides itself, the standard library and third-party libraries.
ALLOWED = {
    "core": set(),
    "hub": {"core"},
    "tensor": {"core"},
    "formats": {"tensor", "core"},
    "quant": {"tensor", "core"},
    "ops": {"quant", "tensor", "core"},
    "nn": {"ops", "formats", "quant", "tensor", "core"},
    "text": {"formats", "tensor", "core"},
    "models": {"hub", "nn", "text", "ops", "formats", "quant", "tensor", "core"},
    "engine": {"models", "hub", "text", "nn", "ops", "formats", "quant", "tensor", "core"},
    "server": {"engine", "models", "hub", "text", "nn", "ops", "formats", "quant", "tensor",
               "core"},
    "cli": {"server", "engine", "models", "hub", "text", "nn", "ops", "formats", "quant", "tensor", "core"},
}

# Public headers that rooms below the engine may use: value types only.
PUBLIC_VALUE_TYPES = {"mistral/types.h"}
ROOMS_WITH_WHOLE_PUBLIC_API = {"engine", "server", "cli"}

SOURCE_SUFFIXES = (".h", ".hpp", ".inc", ".cpp", ".cc", ".cu", ".cuh")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LINKED_ROOM = re.compile(r"\bmistral(?:::|_)([a-z]+)\b")
NOT_ROOMS = {"room", "test", "compile"}  # mistral_room, mistral_test, mistral_compile_options


def source_files(folder):
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(SOURCE_SUFFIXES):
                yield os.path.join(parent, name)


def includes(path):
    """(line number, delimiter, included name) of every include in a file."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match[1], match[2]


class Checker:
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.used = {}    # room -> {used room: where}
        self.linked = {}  # room -> {linked room}

    def report(self, path, line, text):
        self.problems.append(f"{os.path.relpath(path, self.root)}:{line}: {text}")

    def check_include(self, room, path, line, delimiter, name):
        first = name.split("/")[0]
        if first == "mistral":
            if name not in PUBLIC_VALUE_TYPES and room not in ROOMS_WITH_WHOLE_PUBLIC_API:
                self.report(path, line, f"{room} may use only {sorted(PUBLIC_VALUE_TYPES)} of the "
                                        f"public headers, not {name}")
            elif not os.path.isfile(os.path.join(self.root, "include", name)):
                self.report(path, line, f"there is no public header {name}")
        elif first in ALLOWED and "/" in name:
            if first != room and first not in ALLOWED[room]:
                self.report(path, line, f"{room} may not use {first} ({name})")
            elif not os.path.isfile(os.path.join(self.root, "src", name)):
                self.report(path, line, f"there is no header {name}")
            self.used.setdefault(room, {}).setdefault(first, (path, line))
        elif delimiter == '"':
            self.report(path, line, f'"{name}" must be written from src/ or include/: "ROOM/..."')

    def check_sources(self, room, folder):
        for path in source_files(folder):
            for line, delimiter, name in includes(path):
                self.check_include(room, path, line, delimiter, name)

    def check_links(self, room, folder):
        path = os.path.join(folder, "CMakeLists.txt")
        if not os.path.isfile(path):
            self.report(path, 1, f"{room} has no CMake target")
            return
        self.linked[room] = set()
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                for other in LINKED_ROOM.findall(line.split("#")[0]):
                    if other in NOT_ROOMS or other == room:
                        continue
                    if other not in ALLOWED[room]:
                        self.report(path, number, f"{room} may not link {other}")
                    self.linked[room].add(other)

    def reachable(self, room):
        seen, waiting = set(), [room]
        while waiting:
            for other in self.linked.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return seen

    def check_agreement(self):
        """What a room includes, it must link, itself or through what it links."""
        for room, used in self.used.items():
            for other in sorted(set(used) - self.reachable(room) - {room}):
                path, line = used[other]
                self.report(path, line, f"{room} includes {other} but does not link it")

    def check_public_headers(self, folder):
        for path in source_files(folder):
            for line, delimiter, name in includes(path):
                if delimiter == "<" and re.fullmatch(r"[a-z0-9_]+", name):
                    continue
                if delimiter == '"' and re.fullmatch(r"mistral/[a-z0-9_/]+\.h", name):
                    continue
                self.report(path, line, "public headers may include only the standard library and "
                                        f"each other, not {name}")

    def run(self):
        sources = os.path.join(self.root, "src")
        for room in sorted(os.listdir(sources)):
            folder = os.path.join(sources, room)
            if not os.path.isdir(folder):
                continue
            if room not in ALLOWED:
                self.report(folder, 1, f"{room} has no place in the order of the rooms")
                continue
            self.check_sources(room, folder)
            self.check_links(room, folder)
        self.check_agreement()
        self.check_public_headers(os.path.join(self.root, "include"))
        return self.problems


def order_problems():
    """The table itself must be closed (what I may use, I may use all the way down) and acyclic."""
    problems = []
    for room, below in ALLOWED.items():
        for other in below:
            if room in ALLOWED[other]:
                problems.append(f"{room} and {other} may use each other")
            if not ALLOWED[other] <= below:
                problems.append(f"{room} may use {other} but not {ALLOWED[other] - below}")
    return problems


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else default)
    problems = order_problems() + Checker(root).run()
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print("every include and every link points down")


if __name__ == "__main__":
    main()
