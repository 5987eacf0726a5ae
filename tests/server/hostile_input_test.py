#!/usr/bin/env python3
"""What no client should send: the right answer, soon, and the engine does not notice."""

import json
import socket
import struct
import threading
import time

from server_case import ServerCase, main, wait_until

JSON = b"Content-Type: application/json\r\n"
CHAT = "/v1/chat/completions"


def post(path, body, more=b"", length=None):
    return (b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + JSON +
            more + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body)


class Hostile(ServerCase):
    OPTIONS = ["--no-access-log"]

    def setUp(self):
        self.requests = self.server.metric("mistralcpp_requests_total")

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        self.assertEqual(self.server.metric("mistralcpp_requests_total"), self.requests)
        self.assertEqual(self.server.get("/ready"), '{"status":"ready"}')

    def status(self, data, **options):
        answer, _ = self.server.raw(data, **options)
        self.assertTrue(answer.startswith(b"HTTP/1.1 "), answer[:200])
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"413" in head.split(b"\r\n")[0] or head.split()[1] in (b"400", b"431", b"408", b"415"):
            error = json.loads(body)
            self.assertEqual(error["message"], error["error"]["message"])
        return int(head.split()[1])

    def test_bodies_beyond_the_limit(self):
        size = 51 * 1024 * 1024
        self.assertEqual(self.status(post(CHAT, b" " * size)), 413)
        self.assertEqual(self.status(post(CHAT, b"", length=size)), 413)
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        self.assertEqual(self.status(
            b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON +
            b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 51 + b"0\r\n\r\n"), 413)

    def test_heads_beyond_the_limit(self):
        self.assertEqual(self.status(
            b"GET / HTTP/1.1\r\nX: " + b"a" * 65536 + b"\r\n\r\n"), 431)
        self.assertEqual(self.status(
            b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(9000)) + b"\r\n"),
            431)

    def test_json_that_is_none(self):
        deep = 10000
        for body in (b"", b"{", b"{}x", b"nul", b"\xff\xfe{}", b"{\"a\":NaN}", b"{\"a\":Infinity}",
                     b"{\"a\":1e99999}", b"[" * deep + b"]" * deep,
                     b"{\"a\":" * deep + b"1" + b"}" * deep, b"{\"messages\":" + b"[" * deep,
                     b"{\"a\":\"\\ud800\"}", b"{\"a\":\"\x00\"}", b"\x00"):
            self.assertEqual(self.status(post(CHAT, body)), 400, body[:40])

    def test_wrong_content_types(self):
        for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data",
                     b"", b"json"):
            data = (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    b"Content-Type: " + kind + b"\r\nContent-Length: 2\r\n\r\n{}")
            self.assertEqual(self.status(data), 415, kind)

    def test_every_field_with_every_wrong_value(self):
        api = json.loads(self.server.get("/api-doc/openapi.json"))
        values = [None, True, -1, 0, 1.5, 1e308, -1e308, 10 ** 400, 2 ** 63, -2 ** 63 - 1, "", "x",
                  "\u0000", [], [[]], [None], {}, {"": {}}, {"type": 5}]
        good = {
            CHAT: {"messages": [{"role": "user", "content": "x"}]},
            "/v1/completions": {"prompt": "x"},
            "/v1/embeddings": {"input": "x"},
            "/tokenize": {"prompt": "x"},
            "/detokenize": {"tokens": [1]},
        }
        for path, base in good.items():
            schema = api["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            name = schema["schema"]["$ref"].split("/")[-1]
            for field in api["components"]["schemas"][name]["properties"]:
                for value in values:
                    if field == "stream" and value is True:
                        continue  # right, and no JSON
                    body = {"max_tokens": 1, **base, field: value}
                    start = time.monotonic()
                    status, answer = self.server.post(path, body)
                    self.assertIn(status, (200, 400), (path, field, value, answer))
                    if status == 400 and value is not None:
                        param = answer["error"]["param"]
                        related = {"top_logprobs": "logprobs", "min_tokens": "max_tokens"}
                        self.assertTrue(
                            param.startswith(field) or param == related.get(field) or
                            field in ("min_tokens", "echo"), (path, field, value, answer))
                    self.assertLess(time.monotonic() - start, 30)
        self.requests = self.server.metric("mistralcpp_requests_total")

    def test_every_place_inside_of_fields(self):
        """Each place of a request that uses all forms gets what does not belong there."""
        text = {"role": "user", "content": [{"type": "text", "text": "x"}], "name": "x"}
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        tool = {"type": "function", "function": {"name": "f", "description": "x", "strict": False,
                                                 "parameters": {"type": "object"}}}
        schema = {"type": "json_schema", "json_schema": {
            "name": "n", "description": "x", "strict": True, "schema": {"type": "object"}}}
        chat = {"messages": [text, {"role": "assistant", "content": None, "tool_calls": [call]},
                             {"role": "tool", "content": "5", "tool_call_id": "a"}],
                "tools": [tool], "tool_choice": {"type": "function", "function": {"name": "f"}},
                "stop": ["q"], "logit_bias": {"5": 1}, "dry_sequence_breakers": ["q"],
                "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 1}
        requests = [(CHAT, chat)]
        requests += [(CHAT, {"messages": [text], "max_tokens": 1, **form}) for form in (
            {"response_format": schema}, {"grammar": {"type": "regex", "value": "a"}},
            {"guided_choice": ["a"]}, {"structured_outputs": {"choice": ["a"]}})]
        requests += [("/v1/completions", {"prompt": prompt, "max_tokens": 1})
                     for prompt in (["a", "b"], [1, 2], [[1, 2], [3]])]
        requests += [("/v1/embeddings", {"input": ["a", "b"]}), ("/detokenize", {"tokens": [1, 2]}),
                     ("/tokenize", {"messages": [text]})]
        # What strings, numbers, lists and objects are replaced by; all but texts never fit there.
        huge = "1" + "0" * 400
        wrong = {str: ("7", huge, "NaN", "true", "[]", "{}", "[[{}]]"),
                 int: ("-1e308", "1e400", huge, "NaN", "-Infinity", '"x"', "true", "[]", "{}"),
                 bool: ("7", huge, "NaN", '"x"', "[]", "{}"),
                 list: ("7", huge, "NaN", "true", "{}"),
                 dict: ("7", huge, "NaN", "true", "[[]]", '"x"')}
        schema_type = "response_format.json_schema.schema.type"
        fine = {("messages[1].tool_calls[0].function.arguments", "{}"),
                ("response_format.json_schema.schema", "true"), (schema_type, None),
                ("tools[0].function.parameters.type", None)}

        def places(value, path=()):
            if path and value is not None:
                yield path, value
            inside = value.items() if isinstance(value, dict) else (
                enumerate(value) if isinstance(value, list) else ())
            for key, item in inside:
                yield from places(item, path + (key,))

        def name_of(path):
            return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]

        marker = "replaced here"
        for where, request in requests:
            for path, value in places(request):
                name = name_of(path)
                copy = json.loads(json.dumps(request))
                inner = copy
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = marker
                for text in wrong[type(value)]:
                    if {(name, text), (name, None)} & fine:
                        continue
                    body = json.dumps(copy).replace(f'"{marker}"', text)
                    answer, _ = self.server.raw(post(where, body.encode()))
                    head, _, told = answer.partition(b"\r\n\r\n")
                    self.assertEqual(int(head.split()[1]), 400, (name, text[:20], told[:300]))
                    param = json.loads(told)["error"]["param"]
                    # A list that is wrong as a whole may be told by the item that does not fit.
                    self.assertTrue(param and (param.startswith(name) or name.startswith(param) or
                                               param.split("[")[0] == name.split("[")[0]),
                                    (name, text[:20], told[:300]))

    def test_half_closed(self):
        self.assertEqual(self.status(post(CHAT, b"{"), close=True), 400)
        for data in (post(CHAT, b"{", length=100), b"POST / HTTP/1.1\r\nX"):
            answer, _ = self.server.raw(data, close=True)
            self.assertEqual(answer, b"")

    def test_bodies_that_are_encoded(self):
        self.assertEqual(self.status(post(CHAT, b"{}", more=b"Content-Encoding: gzip\r\n")), 415)
        for coding in (b"gzip", b"gzip, chunked"):
            self.assertEqual(self.status(
                b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON +
                b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n"), 400)

    def test_huge_values(self):
        for body in ({"messages": "x", "stop": ["a"] * 100000},
                     {"messages": "x", "logit_bias": {str(i): 1 for i in range(200000)}},
                     {"messages": [{"role": "user", "content": "x" * (20 << 20)}]},
                     {"messages": [{"role": "user", "content": "x"}] * 100000},
                     {"messages": "x", "tools": [{"type": "function"}] * 10000}):
            status, answer = self.server.post(CHAT, body)
            self.assertEqual(status, 400, str(answer)[:200])
        for body, field in (({"prompt": ["x"] * 100000}, "prompt"),
                            ({"prompt": ["x"] * 2048, "n": 128}, "n")):
            status, answer = self.server.post("/v1/completions", body)
            self.assertEqual((status, answer["error"]["param"]), (400, field))

    def test_what_is_no_http(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
                     b"HELLO\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET / HTTP/1.1\r\n:\r\n\r\n",
                     b"GET  / HTTP/1.1\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n"):
            self.assertEqual(self.status(data), 400, data[:30])
        self.assertIn(self.status(b"GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n"),
                      (400, 404))

    def test_clients_that_break_off(self):
        for data in (b"", b"G", b"GET / HTTP/1.1\r\n", post(CHAT, b"{", length=100)):
            for reset in (False, True):
                with socket.create_connection((self.server.host, self.server.port)) as connection:
                    connection.sendall(data)
                    if reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                              struct.pack("ii", 1, 0))
        self.assertTrue(wait_until(
            lambda: self.server.metric("mistralcpp_http_connections") <= 1))

    def test_refusals_are_quick(self):
        """Each within a tenth of a second, once at least: other programs may be busy, too."""
        user = {"role": "user", "content": "x"}
        deep = b'{"messages":' + b"[" * 10000 + b"]" * 10000 + b"}"
        chat = {"temperature": float("nan"), "top_p": 2, "max_tokens": -1, "seed": 2 ** 64,
                "logit_bias": {"x": 1}, "stop": 5, "n": 10 ** 30, "top_k": 1e300,
                "messages": [{"role": 5}], "response_format": {"type": "x"},
                "tools": [{"type": "function", "function": {"name": 5}}],
                "grammar": {"type": "regex", "value": "("}, "stream_options": 1}
        cases = [(post(CHAT, json.dumps({"messages": [user], field: value}).encode()), 400, field)
                 for field, value in chat.items()]
        cases += [(post(CHAT, b'{"messages":"x","n":1%s}' % (b"0" * 400)), 400, None),
                  (post(CHAT, b"{"), 400, None), (post(CHAT, deep), 400, None),
                  (post(CHAT, b"", length=60 << 20), 413, None),
                  (post(CHAT, b"{}", more=b"X: " + b"a" * 65536 + b"\r\n"), 431, None),
                  (post("/none", b"{}"), 404, None), (post("/health", b"{}"), 405, None),
                  (post("/v1/completions", b'{"prompt":[-1]}'), 400, "prompt"),
                  (post("/v1/completions", json.dumps({"prompt": "x" * 10 ** 6}).encode()), 400,
                   "prompt"),
                  (post("/v1/embeddings", b'{"input":[5,"x"]}'), 400, "input"),
                  (post("/tokenize", b'{"prompt":{}}'), 400, "prompt")]
        for data, status, field in cases:
            quickest = None
            for _ in range(5):
                answer, took = self.server.raw(data)
                head, _, body = answer.partition(b"\r\n\r\n")
                self.assertEqual(int(head.split()[1]), status, data[:300])
                if field:
                    param = json.loads(body)["error"]["param"]
                    self.assertTrue(param.startswith(field), (param, field))
                quickest = took if quickest is None else min(quickest, took)
                if quickest < 0.1:
                    break
            self.assertLess(quickest, 0.1, data[:300])


class Slow(ServerCase):
    """Many connections that send next to nothing do not keep others from being served."""

    OPTIONS = ["--no-access-log"]

    def test_slow_heads(self):
        slow = []
        try:
            for _ in range(300):
                connection = socket.create_connection((self.server.host, self.server.port))
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nX: ")
                slow.append(connection)
            status, _ = self.server.post("/v1/completions", {"prompt": "x", "max_tokens": 2})
            self.assertEqual(status, 200)
            for connection in slow:
                connection.settimeout(30)
                self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 408"))
        finally:
            for connection in slow:
                connection.close()
        self.assertTrue(wait_until(
            lambda: self.server.metric("mistralcpp_http_connections") <= 1))


class Costly(ServerCase):
    """Constraints that cost all that they may are refused, and others do not wait for them, even
    where they share the vocabulary and what is remembered about it."""

    OPTIONS = ["--no-access-log"]

    def memory(self, field):
        """In KiB, as Linux counts it."""
        with open(f"/proc/{self.server.process.pid}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith(field + ":")).split()[1])

    def test_answers_go_on_meanwhile(self):
        pattern = "(a|b)*a(a|b){25}"
        required = [{"anyOf": [{"required": ["a%d" % i]}, {"required": ["b%d" % i]}]}
                    for i in range(20)]
        hostile = [{"type": "regex", "value": pattern},
                   {"type": "json_schema", "value": {"type": "string", "pattern": pattern}},
                   {"type": "json_schema", "value": {"type": "object", "allOf": required}},
                   {"type": "yacc", "value": "%%\ns: '/" + pattern + "/' ;"},
                   {"type": "lark", "value": 'start: (("a" ~ 1000) ~ 1000) ~ 1000'}]
        before = self.memory("VmRSS")
        done = []  # when each short answer began and ended
        end = threading.Event()

        def client():
            while not end.is_set():
                start = time.monotonic()
                status, _ = self.server.post(
                    "/v1/completions", {"prompt": "x", "max_tokens": 2,
                                        "grammar": {"type": "regex", "value": "[a-z ]{2,50}"}})
                if status != 200:
                    return
                done.append((start, time.monotonic()))

        thread = threading.Thread(target=client)
        thread.start()
        try:
            for grammar in hostile:
                meanwhile = 0
                # The quick ones leave no time for others; all together do.
                for _ in range(100):
                    start = time.monotonic()
                    status, answer = self.server.post(
                        "/v1/completions", {"prompt": "x", "max_tokens": 2, "grammar": grammar})
                    now = time.monotonic()
                    self.assertEqual(status, 400, answer)
                    self.assertTrue(answer["error"]["param"].startswith("grammar"), answer)
                    within = sum(start <= begin for begin, ended in list(done) if ended <= now)
                    meanwhile = max(meanwhile, within)
                    if meanwhile >= 5:
                        break
                self.assertGreaterEqual(meanwhile, 5, grammar)
        finally:
            end.set()
            thread.join()
        self.assertLess(self.memory("VmHWM"), before + 256 * 1024)


if __name__ == "__main__":
    main()
