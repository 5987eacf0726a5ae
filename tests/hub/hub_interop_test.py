#!/usr/bin/env python3
"""One cache, two programs: huggingface_hub reads what we wrote, and we read what it wrote.

The package comes from PyPI into the cache folder ($MISTRAL_CACHE_DIR, else mistral.cpp in
$XDG_CACHE_HOME or ~/.cache), once. Without a network the test is left out (exit status 77), but in
CI that is a failure. Whatever it does, it talks to the hub on loopback only.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import unittest

from hub_case import HubCase, MIB, noise, small_model
from loopback_hub import sha256

# The newest client, and the last of the generation before it, which names unfinished files otherwise.
VERSIONS = ["2.4.0", "0.36.0"]
SKIPPED = 77
ID = "org/tiny-model"
FOLDER = "models--org--tiny-model"
LARGE = noise(40 * MIB, "interop")


def client_folder(version):
    cache = os.environ.get("MISTRAL_CACHE_DIR")
    if not cache:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        cache = os.path.join(base, "mistral.cpp")
    return os.path.join(os.path.abspath(cache), "python", f"huggingface_hub-{version}")


def fetch_client(version):
    """Installs the package into its folder; the reason when that fails."""
    folder = client_folder(version)
    if os.path.isdir(folder):
        return None
    incoming = f"{folder}.{os.getpid()}"
    result = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir",
         "--only-binary=:all:", "--disable-pip-version-check", "--retries", "2", "--timeout", "30",
         "--target", incoming, f"huggingface_hub=={version}"],
        env=dict(os.environ, PIP_REQUIRE_VIRTUALENV="0"), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(incoming, ignore_errors=True)
        return result.stdout.strip() or f"pip ended with {result.returncode}"
    try:
        os.rename(incoming, folder)
    except OSError:  # another run was faster
        shutil.rmtree(incoming, ignore_errors=True)
    return None


class Interop:
    """The tests, for the client of one version."""

    version = ""

    def python_environment(self):
        return self.environment(PYTHONPATH=client_folder(self.version), HF_HUB_DISABLE_XET="1",
                                HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_UPDATE_CHECK="1",
                                HF_HUB_DISABLE_PROGRESS_BARS="1", DO_NOT_TRACK="1")

    def start_python(self, code):
        return subprocess.Popen([sys.executable, "-c", "import json, huggingface_hub as hub\n" + code],
                                env=self.python_environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def python(self, code):
        """What the code prints, as JSON."""
        out, err = self.start_python(code).communicate(timeout=120)
        self.assertTrue(out, err)
        return json.loads(out.splitlines()[-1])

    def scan(self):
        """The cache as Python sees it; it must see no damage."""
        result = self.python(
            "info = hub.scan_cache_dir()\n"
            "print(json.dumps([[str(w) for w in info.warnings],\n"
            "  {r.repo_id: {v.commit_hash: [sorted(v.refs), v.nb_files, v.size_on_disk]\n"
            "               for v in r.revisions} for r in info.repos}]))")
        self.assertEqual(result[0], [])
        return result[1]

    def test_it_is_the_client_that_is_meant(self):
        self.assertEqual(self.python("print(json.dumps(hub.__version__))"), self.version)

    def test_python_reads_what_we_wrote(self):
        files = small_model()
        commit = self.add(ID, files).refs["main"]
        path = self.pull(ID)
        self.hub.forget()
        read = self.python(
            f"print(json.dumps([hub.snapshot_download({ID!r}, local_files_only=True),\n"
            f"  hub.hf_hub_download({ID!r}, 'model.safetensors', local_files_only=True),\n"
            f"  hub.try_to_load_from_cache({ID!r}, 'config.json'),\n"
            f"  hub.try_to_load_from_cache({ID!r}, 'chat_template.jinja') is "
            "hub._CACHED_NO_EXIST,\n"
            f"  hub.try_to_load_from_cache({ID!r}, 'never-asked.json')]))")
        self.assertEqual(read, [path, f"{path}/model.safetensors", f"{path}/config.json", True, None])
        self.assertEqual(self.hub.requests, [])
        self.assertEqual(self.scan(), {ID: {commit: [["main"], len(files),
                                                     sum(map(len, files.values()))]}})

    def test_python_fetches_only_what_we_did_not(self):
        files = small_model()
        self.add(ID, {**files, "README.md": b"read me"})
        path = self.pull(ID)
        self.hub.forget()
        self.assertEqual(self.python(f"print(json.dumps(hub.snapshot_download({ID!r})))"), path)
        self.assertEqual([r.path.rsplit("/", 1)[1]
                          for r in self.hub.asked(method="GET", pattern="/resolve/|/blob/")],
                         ["README.md"])

    def test_we_read_what_python_wrote(self):
        files = {**small_model(), "sub/other.json": b"{}"}
        repository = self.add(ID, files)
        tag = repository.commit("v1", {**files, "README.md": b"read me"})
        path = self.python(f"hub.snapshot_download({ID!r}, revision='v1')\n"
                           f"print(json.dumps(hub.snapshot_download({ID!r})))")
        self.hub.forget()
        self.assertEqual(self.pull(ID, HF_HUB_OFFLINE="1"), path)
        self.assertTrue(self.pull(ID, "--revision", "v1", HF_HUB_OFFLINE="1").endswith(tag))
        self.run_program("info", "-m", ID, HF_HUB_OFFLINE="1")
        self.assertEqual(self.hub.requests, [])
        self.assertEqual(self.pull(ID), path)
        self.assertEqual(self.hub.asked(method="GET", pattern="/resolve/|/blob/"), [])
        out, _ = self.run_program("cache", "list", "--json")
        ours = {r["commit"]: [r["refs"], r["files"], r["bytes"]]
                for r in json.loads(out)["models"][0]["revisions"]}
        self.assertEqual({ID: ours}, self.scan())

    def test_what_one_deletes_the_other_does_not_miss(self):
        files = small_model()
        repository = self.add(ID, files)
        other = repository.commit("other", {**files, "config.json": files["config.json"] + b"\n"})
        self.pull(ID)
        self.pull(ID, "--revision", "other")
        self.run_program("cache", "rm", ID, "--revision", "other")
        self.assertEqual(list(self.scan()[ID]), [repository.refs["main"]])
        self.pull(ID, "--revision", "other")
        self.python(f"hub.scan_cache_dir().delete_revisions({other!r}).execute()\nprint(1)")
        self.assertEqual(list(self.scan()[ID]), [repository.refs["main"]])
        self.assert_snapshot(self.pull(ID, HF_HUB_OFFLINE="1"), files)
        self.assert_snapshot(self.pull(ID), files)

    def test_both_at_once_fetch_once(self):
        self.add(ID, {"m-Q8_0.gguf": LARGE})
        self.hub.fault("storage", "/blob/", times=99, pace=0.002)
        ours = self.start("pull", ID)
        theirs = self.start_python(
            f"print(json.dumps(hub.hf_hub_download({ID!r}, 'm-Q8_0.gguf')))")
        out, err = ours.communicate(timeout=120)
        self.assertEqual(ours.returncode, 0, err)
        their_out, their_err = theirs.communicate(timeout=120)
        self.assertEqual(theirs.returncode, 0, their_err)
        self.assertEqual(json.loads(their_out.splitlines()[-1]), out.strip())
        begins = [r.headers.get("Range", "bytes=0-") for r in self.hub.asked("storage", "GET")]
        self.assertEqual(len(begins), len(set(begins)), begins)
        self.scan()

    def blobs_begun(self):
        blobs = os.path.join(self.cache, FOLDER, "blobs")
        return os.path.isdir(blobs) and any(
            name.endswith(".incomplete") and os.stat(os.path.join(blobs, name)).st_size > MIB
            for name in os.listdir(blobs))

    def kill_in_the_middle(self, process):
        end = time.monotonic() + 60
        while not self.blobs_begun():
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.kill()
        process.communicate()
        self.hub.forget()

    def test_after_our_end_by_kill_9_python_goes_on(self):
        self.add(ID, {"m-Q8_0.gguf": LARGE})
        self.hub.fault("storage", "/blob/", times=99, pace=0.01)
        self.kill_in_the_middle(self.start("pull", ID))
        path = self.python(f"print(json.dumps(hub.hf_hub_download({ID!r}, 'm-Q8_0.gguf')))")
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))
        self.assertEqual(self.pull(ID), path)
        self.scan()

    def test_after_the_end_of_python_by_kill_9_we_go_on(self):
        self.add(ID, {"m-Q8_0.gguf": LARGE})
        self.hub.fault("storage", "/blob/", times=99, pace=0.05)
        self.kill_in_the_middle(self.start_python(
            "import huggingface_hub.constants as c\nc.DOWNLOAD_CHUNK_SIZE = 1 << 20\n"
            f"hub.hf_hub_download({ID!r}, 'm-Q8_0.gguf')"))
        path = self.pull(ID)
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(LARGE))
        self.scan()


def make_cases():
    for version in VERSIONS:
        name = "Client" + version.replace(".", "_")
        yield type(name, (Interop, HubCase), {"version": version})


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    for case in make_cases():
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


def main():
    for version in VERSIONS:
        reason = fetch_client(version)
        if reason is None:
            continue
        print(f"huggingface_hub {version} could not be fetched: {reason}", file=sys.stderr)
        return 1 if os.environ.get("CI") else SKIPPED
    result = unittest.main(exit=False).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
