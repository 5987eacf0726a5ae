#!/usr/bin/env python3
"""How the server is started, watched and ended."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from server_case import BIN, TINY, Server, main, wait_until

MESSAGES = [{"role": "user", "content": "Hello"}]


def run(*arguments, program="mistralcpp", **options):
    return subprocess.run([os.path.join(BIN, program), *arguments], capture_output=True, text=True,
                          timeout=120, check=False, **options)


class Starting(unittest.TestCase):
    def test_port_and_options_come_before_the_model(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            result = run("serve", "-m", "no-such-model", "--port", port)
            self.assertEqual(result.returncode, 1)
            self.assertIn(port, result.stderr)
            self.assertNotIn("no-such-model", result.stderr)
        for options, word in ((["--tls-cert", "x"], "--tls-key"),
                              (["--api-key-file", "no-such-file"], "no-such-file"),
                              (["--api-key", "a b"], "API key"),
                              (["--serve-ip", "nowhere"], "nowhere"),
                              (["--log", "/no/such/folder/log"], "--log")):
            result = run("serve", "-m", "no-such-model", "--port", "0", *options)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(word, result.stderr)
        self.assertEqual(run("serve", "--port", "x").returncode, 2)
        self.assertEqual(run("serve", "--port", "70000").returncode, 2)

    def test_loopback_only(self):
        server = Server()
        try:
            self.assertEqual(server.host, "127.0.0.1")
        finally:
            server.stop()


class DropIn(unittest.TestCase):
    def start(self, *arguments):
        return Server(*arguments, program="mistralcpp-server")

    def test_serves_everybody(self):
        server = self.start("--port", "0", "--max-seqs", "4", "plain", "-m", TINY, "-a", "llama",
                            "-d", "F32")
        try:
            self.assertEqual(server.host, "0.0.0.0")
            self.assertEqual(server.get("/"), "OK")
            status, answer = server.post("/v1/chat/completions",
                                         {"messages": "Hello", "max_tokens": 3})
            self.assertEqual(status, 200)
            self.assertEqual(answer["model"], TINY)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_command_line(self):
        def code(*arguments):
            return run(*arguments, program="mistralcpp-server").returncode
        self.assertEqual(code("--help"), 0)
        self.assertEqual(code("plain", "--help"), 0)
        self.assertEqual(code("--version"), 0)
        self.assertEqual(code(), 2)
        self.assertEqual(code("--port", "1"), 2)
        self.assertEqual(code("--port", "1", "plain"), 2)
        self.assertEqual(code("plain", "-m", TINY, "--port", "0"), 2)  # globals come first
        result = run("plain", "-m", TINY, program="mistralcpp-server")
        self.assertEqual(result.returncode, 2)
        self.assertIn("--port", result.stderr)
        self.assertIn("-i", result.stderr)
        for kind in ("x-lora", "lora", "x-lora-gguf", "lora-gguf", "x-lora-ggml", "lora-ggml",
                     "vision-plain", "diffusion-plain"):
            result = run("--port", "0", kind, "-m", "x", "-a", "y", program="mistralcpp-server")
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn("not supported", result.stderr)
        for options in (["--isq", "Q4K"], ["-n", "5"]):
            result = run("--port", "0", *options, "plain", "-m", TINY,
                         program="mistralcpp-server")
            self.assertEqual(result.returncode, 1)
            self.assertIn("not supported" if options[0] == "--isq" else "processor", result.stderr)

    def test_interactive_mode(self):
        result = run("-i", "--throughput", "plain", "-m", TINY, program="mistralcpp-server",
                     input="\\help\n\n\\system\n\\system Be brief.\nHello\n\\exit\nnot read\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.count("====================\n"), 4)
        self.assertIn("> ", result.stdout)
        self.assertIn("Error: ", result.stdout)
        self.assertIn("Average T/s", result.stderr)
        self.assertNotIn("Throughput:", result.stderr)
        result = run("-i", "plain", "-m", TINY, program="mistralcpp-server", input="")
        self.assertEqual(result.returncode, 0, result.stderr)


class Ending(unittest.TestCase):
    def begin_stream(self, server, tokens):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        body = json.dumps({"messages": MESSAGES, "stream": True, "max_tokens": tokens,
                           "ignore_eos": True})
        connection.request("POST", "/v1/chat/completions", body,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.readline()
        return connection, answer

    def test_answers_on_their_way_end_first(self):
        server = Server()
        connection, answer = self.begin_stream(server, 200)
        server.process.send_signal(signal.SIGTERM)
        text = answer.read()
        self.assertTrue(text.endswith(b"data: [DONE]\n\n"), text[-200:])
        connection.close()
        self.assertEqual(server.process.wait(60), 0)

    def test_a_second_signal_ends_them(self):
        server = Server("--no-kv-cache")
        connections = [self.begin_stream(server, 200) for _ in range(20)]
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        server.process.send_signal(signal.SIGINT)
        self.assertIn(server.process.wait(60), (0, 130))
        for connection, _ in connections:
            connection.close()


class Watching(unittest.TestCase):
    def test_logs(self):
        folder = tempfile.mkdtemp()
        try:
            path = os.path.join(folder, "log")
            server = Server("--log", path, "--log-format", "json")
            server.post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 2})
            server.post("/v1/chat/completions", {"messages": 5})
            self.assertTrue(wait_until(
                lambda: sum('"event":"request"' in line for line in server.lines) >= 2))
            server.stop()
            lines = [json.loads(line) for line in server.lines]  # all of them are JSON
            lines = [line for line in lines if line.get("event") == "request"]
            self.assertEqual([line["status"] for line in lines], [200, 400])
            self.assertEqual(lines[0]["path"], "/v1/chat/completions")
            with open(path, encoding="utf-8") as file:
                entries = file.read().strip().split("\n\n")
            self.assertEqual([entry.split(" at ")[0] for entry in entries],
                             ["Request", "Response", "Request", "Error response"])
        finally:
            shutil.rmtree(folder)

    def test_keys_from_file_and_environment(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("# team A\nkey-1\n\nkey-2\n")
            file.flush()
            server = Server("--api-key-file", file.name, "--api-key", "key-3",
                            environment={"MISTRALCPP_API_KEY": "key-4,key-5"})
        try:
            body = {"messages": MESSAGES, "max_tokens": 1}
            for number in range(1, 6):
                status, _ = server.post("/v1/chat/completions", body,
                                        {"Authorization": f"Bearer key-{number}"})
                self.assertEqual(status, 200)
            status, answer = server.post("/v1/chat/completions", body,
                                         {"Authorization": "Bearer # team A"})
            self.assertEqual((status, answer["error"]["code"]), (401, "invalid_api_key"))
            self.assertNotIn("key-1", "".join(server.lines))
        finally:
            server.stop()

    def test_tls(self):
        folder = tempfile.mkdtemp()
        try:
            certificate, key = os.path.join(folder, "cert"), os.path.join(folder, "key")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                            "2", "-subj", "/CN=localhost", "-addext",
                            "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                           check=True, capture_output=True)
            server = Server("--tls-cert", certificate, "--tls-key", key)
            try:
                context = ssl.create_default_context(cafile=certificate)
                for _ in range(2):
                    connection = http.client.HTTPSConnection(
                        "127.0.0.1", server.port, context=context, timeout=60)
                    for _ in range(2):
                        connection.request(
                            "POST", "/v1/chat/completions",
                            json.dumps({"messages": MESSAGES, "max_tokens": 20, "stream": True,
                                        "ignore_eos": True}),
                            {"Content-Type": "application/json"})
                        answer = connection.getresponse()
                        self.assertTrue(answer.read().endswith(b"[DONE]\n\n"))
                    connection.request("POST", "/v1/chat/completions", b" " * 1000000,
                                       {"Content-Type": "application/json"})
                    self.assertEqual(connection.getresponse().status, 400)
                    connection.close()
                # What speaks no TLS is left without harm.
                plain = Server.raw(server, b"GET / HTTP/1.1\r\n\r\n")
                self.assertNotIn(b"OK", plain[0])
                # Neither are clients that leave.
                with socket.create_connection((server.host, server.port)) as raw:
                    secure = context.wrap_socket(raw, server_hostname="127.0.0.1")
                    body = json.dumps({"messages": MESSAGES, "max_tokens": 200, "stream": True,
                                       "ignore_eos": True}).encode()
                    secure.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: "
                                   b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                                   + body)
                    secure.recv(100)
            finally:
                self.assertEqual(server.stop(), 0)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
