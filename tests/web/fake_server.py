"""Serves the chat page from the source tree and answers its requests as told."""

import json
import os
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WEB = os.path.join(ROOT, "src", "server", "web")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def content_security_policy():
    """The policy that the program sends, read from its source."""
    with open(os.path.join(ROOT, "src", "server", "web_files.h"), encoding="utf-8") as file:
        value = re.search(r"kContentSecurityPolicy =((?:\s*\"[^\"]*\")+);", file.read())[1]
    return "".join(re.findall(r'"([^"]*)"', value))


def chunk(delta=None, finish=None, **more):
    choices = [] if delta is None and finish is None else [
        {"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "x", "object": "chat.completion.chunk", "model": "fake-model", "choices": choices, **more}


def text_chunks(text, size=7):
    return [chunk({"content": text[i:i + size]}) for i in range(0, len(text), size)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self):
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, *arguments):
        pass

    def send_json(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refuses_key(self):
        key = self.server.key
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self.send_json(401, {"error": {"message": "Wrong API key.", "type": "invalid_request_error"}})
            return True
        return False

    def do_GET(self):
        self.server.seen.append(self.path)
        if self.path == "/v1/models":
            if not self.refuses_key():
                self.send_json(200, {"object": "list", "data": [{"id": name} for name in self.server.models]})
            return
        name = "index.html" if self.path == "/" else self.path.removeprefix("/web/")
        path = os.path.join(WEB, os.path.basename(name))
        if not os.path.isfile(path):
            self.send_json(404, {"error": {"message": "no such page"}})
            return
        with open(path, "rb") as file:
            data = file.read()
        self.send_response(200)
        self.send_header("Content-Type", TYPES[os.path.splitext(path)[1]])
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refuses_key():
            return
        self.server.requests.append(body)
        answer = self.server.next_answer(body)
        if isinstance(answer, tuple):
            status, message, headers = answer
            self.send_json(status, {"error": {"message": message}}, **headers)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for part in answer:
                if part is None:
                    return  # the connection breaks
                if isinstance(part, threading.Event):
                    # Waits until the test goes on, or the reader has left.
                    while not part.wait(0.02):
                        self.wfile.write(b": wait\n\n")
                        self.wfile.flush()
                    continue
                if isinstance(part, (int, float)):
                    time.sleep(part)
                    continue
                data = part if isinstance(part, bytes) else b"data: " + json.dumps(part).encode() + b"\n\n"
                self.wfile.write(data)
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.left.set()


class FakeServer(ThreadingHTTPServer):
    """`answers` is a list of what comes next: a text, a list of chunks, or (status, message,
    headers); when it is empty, the last message comes back."""

    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.policy = content_security_policy()
        self.models = ["fake-model"]
        self.key = None
        self.answers = []
        self.requests = []
        self.seen = []
        self.left = threading.Event()
        self.connections = set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        pass  # readers who leave

    def next_answer(self, body):
        answer = self.answers.pop(0) if self.answers else "You said: " + body["messages"][-1]["content"]
        if isinstance(answer, str):
            tokens = len(answer) // 4 + 1
            answer = [*text_chunks(answer), chunk({}, "stop"),
                      chunk(usage={"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens})]
        return answer

    def stop(self):
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
