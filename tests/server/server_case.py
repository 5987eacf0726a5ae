"""A server as a user starts it, for tests in Python."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.environ.get("MISTRAL_GOLDEN_DIR") or os.path.join(HERE, "..", "golden")
BIN = os.environ.get("MISTRAL_BIN_DIR") or os.path.join(HERE, "..", "..", "build", "release", "bin")
TINY = os.path.join(GOLDEN, "text", "llama-plain")


class Server:
    """Runs until stop(); `base` is its address."""

    def __init__(self, *options, model=TINY, environment=None, program="mistralcpp"):
        command = [os.path.join(BIN, program)]
        if program == "mistralcpp":
            command += ["serve", "-m", model, "--port", "0", "--threads", "2"]
        command += options
        self.lines = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", env=dict(os.environ, **(environment or {})))
        self.found = threading.Event()
        self.base = None
        threading.Thread(target=self._read, daemon=True).start()
        if not self.found.wait(120):
            self.process.kill()
            raise RuntimeError("the server does not start: " + "".join(self.lines))
        if self.base is None:
            raise RuntimeError("the server ended: " + "".join(self.lines))
        self.host, self.port = re.match(r"https?://(.+):(\d+)$", self.base).groups()
        self.port = int(self.port)

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            match = re.search(r"Serving on (https?://[^\s\"]+)\.(?:$|\")", line)
            if match:
                self.base = match[1]
                self.found.set()
        self.found.set()

    def stop(self, number=signal.SIGTERM, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def get(self, path, headers=None):
        request = urllib.request.Request(self.base + path, headers=headers or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path, body, headers=None):
        """The status and the body as JSON."""
        request = urllib.request.Request(
            self.base + path, json.dumps(body).encode(),
            {"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def metric(self, name):
        for line in self.get("/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise KeyError(name)

    def raw(self, data, timeout=30, close=False):
        """Sends bytes over a fresh connection; returns what comes back, and after how long."""
        start = time.monotonic()
        with socket.create_connection((self.host, self.port), timeout=timeout) as connection:
            try:
                connection.sendall(data)
                if close:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the server has heard enough; its answer says why
            answer = b""
            took = None
            try:
                while True:
                    piece = connection.recv(65536)
                    if took is None:
                        took = time.monotonic() - start
                    if not piece:
                        break
                    answer += piece
            except OSError:
                pass
        return answer, took


class ServerCase(unittest.TestCase):
    """Test cases that share one server."""

    OPTIONS = []
    server = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.OPTIONS)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def temporary_file(content):
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(content)
    return file.name


def main():
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:], verbosity=2)
