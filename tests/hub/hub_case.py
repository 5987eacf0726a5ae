"""What the tests of the hub share: a hub on loopback, an empty cache, the program."""

import hashlib
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from loopback_hub import Hub, Repository  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL_FOLDER = os.path.join(HERE, "..", "golden", "text", "llama-plain")
PROGRAM = os.path.join(os.environ.get("MISTRAL_BIN_DIR", ""), "mistralcpp")
MIB = 1 << 20


def noise(size, seed):
    """The same bytes for the same seed."""
    return hashlib.shake_128(seed.encode()).digest(size)


def small_model():
    """The files of a model that runs."""
    files = {}
    for name in os.listdir(MODEL_FOLDER):
        if name.endswith(("tokenizer.json", "config.json")) or name == "model.safetensors":
            with open(os.path.join(MODEL_FOLDER, name), "rb") as file:
                files[name] = file.read()
    return files


def clean_environment(**variables):
    """The environment without what would reach another hub, cache or proxy."""
    dropped = ("HF_", "HUGGING", "TRANSFORMERS_", "SSL_CERT", "CURL_", "XDG_CACHE")
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(dropped) and not k.lower().endswith("_proxy")}
    kept.update({k: v for k, v in variables.items() if v is not None})
    return kept


class HubCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.assertTrue(os.access(PROGRAM, os.X_OK), f"{PROGRAM} is not there")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.home = os.path.join(self.root, "home")
        self.cache = os.path.join(self.home, "hub")
        os.mkdir(self.home)
        self.hub = self.enterContext(Hub())

    def environment(self, **variables):
        settings = {"HF_HOME": self.home, "HF_ENDPOINT": self.hub.endpoint, "HOME": self.root}
        settings.update(variables)
        return clean_environment(**settings)

    def start(self, *arguments, **variables):
        return subprocess.Popen([PROGRAM, *arguments], env=self.environment(**variables),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, cwd=self.root)

    def run_program(self, *arguments, code=0, **variables):
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, f"{arguments}:\n{out}\n{err}")
        return out, err

    def pull(self, *arguments, code=0, **variables):
        """The path that `pull` prints, or its message."""
        out, err = self.run_program("pull", *arguments, code=code, **variables)
        return out.strip() if code == 0 else err

    def add(self, identity, files):
        self.hub.repositories[identity] = Repository(files)
        return self.hub.repositories[identity]

    def assert_snapshot(self, folder, files):
        for name, content in files.items():
            with open(os.path.join(folder, name), "rb") as file:
                self.assertEqual(file.read(), content, f"content of {name}")

    def leftovers(self, identity):
        """Files of unfinished downloads."""
        blobs = os.path.join(self.cache, "models--" + identity.replace("/", "--"), "blobs")
        if not os.path.isdir(blobs):
            return []
        return sorted(n for n in os.listdir(blobs) if "." in n)
