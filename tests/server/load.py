"""Many clients at once: what load_test.py does for seconds and benchmarks/server_load.py for longer.

Clients are coroutines that look at bytes more than at JSON, so that they leave the machine to the
server.
"""

import asyncio
import json
import random
import selectors
import socket
import time

TOKENS = 16


def body_of(i, **options):
    return json.dumps({"prompt": f"Story number {i}: once upon a time", "max_tokens": TOKENS,
                       "ignore_eos": True, "temperature": 0, **options}).encode()


def request_of(body, path="/v1/completions", method="POST"):
    return (b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (method.encode(), path.encode(), len(body)) + body)


def parts_of(answer):
    """The status, the head and the body of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


async def send(server, body, path="/v1/completions", method="POST"):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request_of(body, path, method))
    await writer.drain()
    return reader, writer


async def stream(server, i):
    """One client; what it saw."""
    reader, writer = await send(server, body_of(i, stream=True))
    try:
        if i % 10 == 1:  # leaves after the first piece
            await reader.readuntil(b"data: ")
            return "left"
        text = b""
        while True:
            piece = await reader.read(200 if i % 10 == 0 else 65536)
            if not piece:
                return text
            text += piece
            if i % 10 == 0:  # reads slowly
                await asyncio.sleep(0.05)
    finally:
        writer.close()


async def exchange(server, body, path="/v1/completions", method="POST"):
    """The status, the head and the body of the answer to one request."""
    reader, writer = await send(server, body, path, method)
    try:
        answer = await reader.read(-1)
    finally:
        writer.close()
    return parts_of(answer)


def text_of(answer):
    """The text of a stream, and how often the end was told."""
    text, done = "", 0
    for line in answer.decode().splitlines():
        if line == "data: [DONE]":
            done += 1
        elif line.startswith("data: "):
            text += json.loads(line[6:])["choices"][0]["text"]
    return text, done


def idle(server):
    return (server.metric("mistralcpp_requests_running") == 0 and
            server.metric("mistralcpp_requests_waiting") == 0)


def memory(server):
    return server.metric("process_anonymous_memory_bytes") / 2 ** 20


# --- streams


async def run_streams(server, count, first=0):
    """What `count` clients saw, and the most threads that the server had meanwhile."""
    threads = [server.metric("process_threads")]
    streams = [asyncio.create_task(stream(server, first + i)) for i in range(count)]
    while not all(task.done() for task in streams):
        threads.append(await asyncio.to_thread(server.metric, "process_threads"))
        await asyncio.sleep(0.5)
    return [await task for task in streams], max(threads)


# --- overload


class Tally:
    """Answers by status, and those of a wrong form."""

    def __init__(self):
        self.statuses = {}
        self.wrong = []

    async def ask(self, server, i):
        return self.note(*await exchange(server, body_of(i)))

    def note(self, status, head, body):
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 429:
            if b"Retry-After: " not in head or b'"server_overloaded"' not in body:
                self.wrong.append(body[:300])
        elif status == 200 and b'"finish_reason":"length"' not in body:
            self.wrong.append(body[:300])
        return status


async def peak_rate(server, seconds, clients):
    """Answers per second to clients that each wait for the last answer, then ask again."""
    tally = Tally()
    end = time.monotonic() + seconds

    async def client(k):
        i = 0
        while time.monotonic() < end:
            await tally.ask(server, 1_000_000 + 1000 * k + i)
            i += 1

    start = time.monotonic()
    await asyncio.gather(*(client(k) for k in range(clients)))
    return tally.statuses.get(200, 0) / (time.monotonic() - start), tally


def overload(server, seconds, rate):
    """Requests at `rate` a second, whatever becomes of them: answers with 200 a second, and all.

    On bare sockets: what a client costs is taken from the server, as both are on one machine."""
    tally = Tally()
    selector = selectors.DefaultSelector()
    sent = 0
    served_in_time = 0

    def begin(i):
        connection = socket.create_connection((server.host, server.port))
        connection.sendall(request_of(body_of(i)))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, [])

    def read(connection, pieces):
        """The status, once there is all of the answer."""
        try:
            piece = connection.recv(1 << 16)
        except OSError as error:
            tally.wrong.append(repr(error).encode())
            piece = b""
        if piece:
            pieces.append(piece)
            return None
        selector.unregister(connection)
        connection.close()
        return tally.note(*parts_of(b"".join(pieces))) if pieces else None

    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds or selector.get_map():
        while now < start + seconds and sent < (now - start) * rate:
            try:
                begin(sent)
            except OSError as error:
                tally.wrong.append(repr(error).encode())
            sent += 1
        for key, _ in selector.select(0.005):
            if read(key.fileobj, key.data) == 200 and time.monotonic() < start + seconds:
                served_in_time += 1
    return {"goodput": served_in_time / seconds, "offered": sent / seconds, "tally": tally,
            "drained": time.monotonic() - start - seconds}


async def latency(server, i):
    start = time.monotonic()
    status, _, _ = await exchange(server, body_of(i))
    return time.monotonic() - start if status == 200 else None


# --- mixed traffic

CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"n": {"enum": [1, 2, 3]}, "ok": {"type": "boolean"}},
          "required": ["n", "ok"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "add", "strict": True, "parameters": SCHEMA}},
         {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


class Mixed:
    """Clients that each send one request after another, of a random kind."""

    def __init__(self, server, seed=1, patience=120):
        self.server = server
        self.patience = patience
        self.random = random.Random(seed)
        self.counts = {}
        self.wrong = []
        self.kinds = [self.completion, self.chat, self.streamed, self.several, self.tools,
                      self.constraint, self.leaves, self.bad, self.other, self.long]

    def chat_body(self, **options):
        number = self.random.randrange(10 ** 6)
        return {"messages": [{"role": "user", "content": f"Say {number}"}],
                "max_tokens": self.random.choice([1, 4, 16, 40]),
                "temperature": self.random.choice([0, 0.7, 1.5]), **options}

    async def ask(self, path, body, expected=(200,)):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = await exchange(self.server, data, path)
        self.counts[status] = self.counts.get(status, 0) + 1
        if status not in expected:
            self.wrong.append((path, data[:300], status, answer[:300]))
        return status, answer

    async def read_stream(self, path, body):
        status, answer = await self.ask(path, {**body, "stream": True})
        if status == 200 and (b"data: [DONE]\n\n" not in answer or b'"error"' in answer):
            self.wrong.append((path, body, status, answer[-300:]))

    async def completion(self):
        await self.ask("/v1/completions", json.loads(body_of(self.random.randrange(10 ** 6))))

    async def chat(self):
        await self.ask(CHAT, self.chat_body(logprobs=True, top_logprobs=3))

    async def streamed(self):
        await self.read_stream(CHAT, self.chat_body(stream_options={"include_usage": True}))

    async def several(self):
        await self.read_stream(CHAT, self.chat_body(n=3, stop=["e", "the"]))

    async def tools(self):
        choice = self.random.choice(["auto", "required", "none",
                                     {"type": "function", "function": {"name": "add"}}])
        body = self.chat_body(tools=TOOLS, tool_choice=choice)
        if self.random.random() < 0.5:
            await self.read_stream(CHAT, body)
        else:
            await self.ask(CHAT, body)

    async def constraint(self):
        number = self.random.randrange(5)  # some are found again, some are new
        limits = {"type": "object", "properties": {"n": {"type": "integer", "minimum": number}},
                  "required": ["n"], "additionalProperties": False}
        form = self.random.choice([
            {"response_format": {"type": "json_schema",
                                 "json_schema": {"name": "n", "schema": limits}}},
            {"response_format": {"type": "json_object"}},
            {"grammar": {"type": "regex", "value": "[a-f]{%d,9}" % number}},
            {"guided_choice": ["yes", "no"]}])
        await self.ask(CHAT, self.chat_body(**form))

    async def leaves(self):
        reader, writer = await send(self.server, json.dumps(
            self.chat_body(stream=True, max_tokens=500, ignore_eos=True)).encode(), CHAT)
        try:
            if self.random.random() < 0.7:
                await reader.readuntil(b"data: ")
        finally:
            if self.random.random() < 0.5:
                writer.transport.abort()
            else:
                writer.close()

    async def bad(self):
        path, body, status = self.random.choice([
            (CHAT, b"{", 400), (CHAT, {}, 400), (CHAT, {"messages": 5}, 400),
            (CHAT, self.chat_body(temperature="warm"), 400),
            (CHAT, self.chat_body(max_tokens=-1), 400),
            (CHAT, self.chat_body(tools=[{"type": "hammer"}]), 400),
            (CHAT, self.chat_body(grammar={"type": "regex", "value": "("}), 400),
            (CHAT, self.chat_body(response_format={"type": "json_schema", "json_schema": {
                "name": "x", "schema": {"$ref": "#/nowhere"}}}), 400),
            ("/v1/completions", {"prompt": [10 ** 9]}, 400),
            ("/v1/completions", {"prompt": "x" * 300_000, "max_tokens": 1}, 400),
            ("/v1/embeddings", {"input": []}, 400),
            ("/v1/nothing", {}, 404), ("/health", {}, 405)])
        await self.ask(path, body, (status,))

    async def other(self):
        path, body = self.random.choice([
            ("/v1/embeddings", {"input": ["a", "b c"]}), ("/tokenize", {"prompt": "a b"}),
            ("/detokenize", {"tokens": [5, 6]})])
        await self.ask(path, body)
        status, _, _ = await exchange(
            self.server, b"", self.random.choice(["/metrics", "/health", "/v1/models", "/"]), "GET")
        if status != 200:
            self.wrong.append(("GET", status))

    async def long(self):
        await self.ask("/v1/completions", {"prompt": [5, 6, 7] * 30, "max_tokens": 60,
                                           "ignore_eos": True, "seed": 3})

    async def run(self, seconds, clients, watch=None):
        end = time.monotonic() + seconds

        async def client():
            while time.monotonic() < end:
                kind = self.random.choice(self.kinds)
                try:
                    await asyncio.wait_for(kind(), self.patience)
                except Exception as error:  # a connection that breaks, an answer that is none
                    self.wrong.append((kind.__name__, repr(error)))

        async def watcher():
            while watch and time.monotonic() < end:
                await asyncio.to_thread(watch)
                await asyncio.sleep(1)

        await asyncio.gather(watcher(), *(client() for _ in range(clients)))


def slope(samples):
    """Of (seconds, value) pairs, per hour: least squares."""
    count = len(samples)
    mean_t = sum(t for t, _ in samples) / count
    mean_v = sum(v for _, v in samples) / count
    below = sum((t - mean_t) ** 2 for t, _ in samples)
    if below == 0:
        return 0
    return 3600 * sum((t - mean_t) * (v - mean_v) for t, v in samples) / below
