#!/usr/bin/env python3
"""Many clients at once: streams, slow readers, clients that leave, more than there is room for.

usage: load_test.py [MODEL [STREAMS]]   with another model than the tiny one, by hand
"""

import asyncio
import json
import os
import resource
import sys
import unittest

from server_case import Server, TINY, wait_until

MODEL = sys.argv[1] if len(sys.argv) > 1 else TINY
STREAMS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
TOKENS = 16


def body_of(i, **options):
    return json.dumps({"prompt": f"Story number {i}: once upon a time", "max_tokens": TOKENS,
                       "ignore_eos": True, "temperature": 0, **options}).encode()


async def send(server, body):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
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


async def ask(server, i):
    reader, writer = await send(server, body_of(i))
    try:
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, json.loads(body)


def text_of(answer):
    """The text of a stream, and how often the end was told."""
    text, done = "", 0
    for line in answer.decode().splitlines():
        if line == "data: [DONE]":
            done += 1
        elif line.startswith("data: "):
            text += json.loads(line[6:])["choices"][0]["text"]
    return text, done


class Load(unittest.TestCase):
    def idle(self, server):
        return (server.metric("mistralcpp_requests_running") == 0 and
                server.metric("mistralcpp_requests_waiting") == 0)

    def test_thousand_streams(self):
        server = Server("--no-access-log", "--prefix-cache-n", "0", model=MODEL)
        try:
            alone = asyncio.run(stream(server, 2))
            baseline = server.metric("mistralcpp_kv_blocks_in_use")
            threads = server.metric("process_threads")
            most_threads = []

            async def run():
                streams = [asyncio.create_task(stream(server, i)) for i in range(STREAMS)]
                while not all(task.done() for task in streams):
                    most_threads.append(
                        await asyncio.to_thread(server.metric, "process_threads"))
                    await asyncio.sleep(0.5)
                return [await task for task in streams]

            seen = asyncio.run(run())
            for i, answer in enumerate(seen):
                if i % 10 == 1:
                    continue
                text, done = text_of(answer)
                self.assertEqual(done, 1, f"stream {i}: {answer[-300:]}")
                self.assertTrue(text)
            self.assertEqual(text_of(seen[2]), text_of(alone))
            self.assertTrue(wait_until(lambda: self.idle(server)))
            self.assertTrue(wait_until(
                lambda: server.metric("mistralcpp_kv_blocks_in_use") == baseline))
            self.assertTrue(wait_until(
                lambda: server.metric("mistralcpp_http_connections") <= 1))
            self.assertEqual(max(most_threads), threads)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_overload(self):
        server = Server("--no-access-log", "--max-seqs", "4", "--max-queued", "4", model=MODEL)
        try:
            statuses = {}

            async def client(i, rounds):
                for k in range(rounds):
                    status, head, body = await ask(server, 100 * i + k)
                    statuses[status] = statuses.get(status, 0) + 1
                    if status == 429:
                        self.assertIn(b"Retry-After: ", head)
                        self.assertEqual(body["error"]["code"], "server_overloaded")
                        await asyncio.sleep(0.01)

            async def run():
                await asyncio.gather(*(client(i, 20) for i in range(80)))

            asyncio.run(run())
            self.assertEqual(set(statuses), {200, 429})
            self.assertGreater(statuses[200], 8)
            status, _ = server.post("/v1/completions", {"prompt": "x", "max_tokens": 1})
            self.assertEqual(status, 200)
        finally:
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < STREAMS + 100:
        print("too few file handles for this test")
        sys.exit(77 if os.environ.get("CI") != "true" else 1)
    unittest.main(argv=sys.argv[:1], verbosity=2)
