#!/usr/bin/env python3
"""Many clients at once: streams, slow readers, clients that leave, more than there is room for.

The long forms, with figures, are those of benchmarks/server_load.py.
"""

import asyncio
import os
import resource
import sys
import unittest

import load
from server_case import Server, wait_until

STREAMS = 1000


class Load(unittest.TestCase):
    def test_thousand_streams(self):
        server = Server("--no-access-log", "--prefix-cache-n", "0")
        try:
            alone = asyncio.run(load.stream(server, 2))
            baseline = server.metric("mistralcpp_kv_blocks_in_use")
            threads = server.metric("process_threads")
            seen, most_threads = asyncio.run(load.run_streams(server, STREAMS))
            for i, answer in enumerate(seen):
                if i % 10 == 1:
                    continue
                text, done = load.text_of(answer)
                self.assertEqual(done, 1, f"stream {i}: {answer[-300:]}")
                self.assertTrue(text)
            self.assertEqual(load.text_of(seen[2]), load.text_of(alone))
            self.assertTrue(wait_until(lambda: load.idle(server)))
            self.assertTrue(wait_until(
                lambda: server.metric("mistralcpp_kv_blocks_in_use") == baseline))
            self.assertTrue(wait_until(
                lambda: server.metric("mistralcpp_http_connections") <= 1))
            # Fewer, when what goes on after loading has ended meanwhile.
            self.assertLessEqual(most_threads, threads)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_overload(self):
        server = Server("--no-access-log", "--max-seqs", "4", "--max-queued", "4")
        try:
            _, peak = asyncio.run(load.peak_rate(server, 1, 8))
            self.assertEqual(set(peak.statuses), {200})
            told = load.overload(server, 3, 400)
            tally = told["tally"]
            self.assertEqual(tally.wrong, [])
            self.assertEqual(set(tally.statuses) | {429}, {200, 429})
            self.assertGreater(tally.statuses[200], 8)
            self.assertIsNotNone(asyncio.run(load.latency(server, 1)))
        finally:
            self.assertEqual(server.stop(), 0)

    def test_more_than_there_is_room_for_is_refused(self):
        server = Server("--no-access-log", "--max-seqs", "1", "--max-queued", "1")
        try:
            tally = load.Tally()

            async def run():
                await asyncio.gather(*(tally.ask(server, i) for i in range(100)))

            asyncio.run(run())
            self.assertEqual(tally.wrong, [])
            self.assertEqual(set(tally.statuses), {200, 429})
        finally:
            self.assertEqual(server.stop(), 0)

    def test_mixed_traffic(self):
        server = Server("--no-access-log", "--max-seqs", "8", "--chat-template", "chatml")
        try:
            mixed = load.Mixed(server)
            asyncio.run(mixed.run(8, 16))
            self.assertEqual(mixed.wrong, [])
            self.assertIn(400, mixed.counts)
            self.assertGreater(mixed.counts[200], 20)
            self.assertTrue(wait_until(lambda: load.idle(server)))
            self.assertTrue(wait_until(
                lambda: server.metric("mistralcpp_kv_blocks_in_use") == 0))
        finally:
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < STREAMS + 100:
        print("too few file handles for this test")
        sys.exit(77 if os.environ.get("CI") != "true" else 1)
    unittest.main(verbosity=2)
