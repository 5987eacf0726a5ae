#!/usr/bin/env python3
"""Every field of the API's description, with values that fit and values that do not (schemathesis):
nothing is the server's fault, and answers are as they are described."""

import os
import subprocess
import sys
import tempfile
import unittest

from python_packages import require

FOLDER = require("schemathesis")

from server_case import ServerCase, main  # noqa: E402


class ApiDocument(ServerCase):
    OPTIONS = ["--no-access-log"]

    def test_every_field(self):
        with tempfile.TemporaryDirectory() as folder:  # it leaves files where it runs
            result = subprocess.run(
                [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
                 "run", self.server.base + "/api-doc/openapi.json",
                 "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
                             "response_schema_conformance",
                 "--exclude-path", "/", "--phases", "examples,coverage,fuzzing",
                 "--max-examples", "15", "--seed", "1", "--generation-deterministic",
                 "--suppress-health-check", "filter_too_much",
                 "--request-timeout", "60", "--warnings", "off", "--no-color"],
                cwd=folder, env=dict(os.environ, PYTHONPATH=FOLDER), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout[-6000:])
        self.assertIsNone(self.server.process.poll())


if __name__ == "__main__":
    unittest.TestCase.maxDiff = None
    main()
