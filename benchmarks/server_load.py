#!/usr/bin/env python3
"""The server under load, as its users would put it there; exits with 1 when it does not hold.

usage: server_load.py streams|overload|overhead|mixed MODEL [--bin FOLDER] [options]

  streams   --streams N (1000): so many at once, of 16 tokens; one in ten reads slowly, one in ten
            leaves: all others complete, blocks and memory are back within 2 s, threads stay
  overload  --seconds S (60): ten times the requests that can be answered: only 200 and 429, at
            least 90 % of the peak is answered, and 5 s later all is as before
  overhead  --streams N (32): tokens per second over HTTP beside `mistralcpp bench --streams N`, in
            alternation; --rounds R (3), --prompt P (32), --answer A (64), --requests K (64)
  mixed     --seconds S (3600): streams, tools, constraints, clients that leave, bad requests: no
            answer that is not expected, no growth of memory beyond --growth (8) MiB an hour;
            --clients C (24), --patience P (120): seconds that a client waits
"""

import argparse
import asyncio
import json
import os
import random
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "server"))

import load  # noqa: E402
import server_case  # noqa: E402

failures = []


def check(holds, what):
    print(f"{'holds' if holds else 'FAILS'}: {what}", flush=True)
    if not holds:
        failures.append(what)


def streams(options):
    server = server_case.Server("--no-access-log", model=options.model)
    try:
        asyncio.run(load.run_streams(server, 40))  # warms up
        time.sleep(1)
        before, blocks = load.memory(server), server.metric("mistralcpp_kv_blocks_in_use")
        threads = server.metric("process_threads")
        start = time.monotonic()
        seen, most_threads = asyncio.run(load.run_streams(server, options.streams, 1000))
        ended = time.monotonic()
        complete = sum(1 for answer in seen if answer != "left" and load.text_of(answer)[1] == 1)
        wanted = sum(1 for i in range(options.streams) if i % 10 != 1)
        check(complete == wanted, f"{complete} of {wanted} streams complete "
                                  f"({ended - start:.1f} s in all)")
        while not load.idle(server) and time.monotonic() < ended + 2:
            time.sleep(0.05)
        time.sleep(max(0, ended + 1.8 - time.monotonic()))
        in_use = server.metric("mistralcpp_kv_blocks_in_use")
        check(in_use == blocks, f"{in_use:.0f} blocks in use after 2 s, {blocks:.0f} before")
        after = load.memory(server)
        check(after <= before * 1.02 + 8, f"{after:.1f} MiB after 2 s, {before:.1f} MiB before")
        check(most_threads <= threads, f"{most_threads:.0f} threads at most, {threads:.0f} before")
    finally:
        server.stop()


def overload(options):
    server = server_case.Server("--no-access-log", "--max-queued", str(options.queue),
                                model=options.model)
    try:
        asyncio.run(load.peak_rate(server, 3, 32))  # warms up
        alone = statistics.median(asyncio.run(load.latency(server, 5_000_000 + i))
                                  for i in range(9))
        peak, _ = asyncio.run(load.peak_rate(server, options.seconds / 4, 32 + options.queue))
        print(f"peak: {peak:.1f} answers/s; alone an answer takes {alone * 1000:.0f} ms")
        told = load.overload(server, options.seconds, 10 * peak)
        ended = time.monotonic() - told["drained"]
        recovered = None
        while time.monotonic() < ended + 20 and recovered is None:
            took = asyncio.run(load.latency(server, random.randrange(10 ** 6)))
            if took is not None and took <= 1.5 * alone + 0.02:
                recovered = time.monotonic() - ended
        tally = told["tally"]
        print(f"offered: {told['offered']:.1f} requests/s; answers by status: {tally.statuses}")
        check(set(tally.statuses) <= {200, 429} and not tally.wrong,
              f"only 200 and 429, in their forms {tally.wrong[:3] or ''}")
        check(told["goodput"] >= 0.9 * peak,
              f"goodput {told['goodput']:.1f}/s, {told['goodput'] / peak:.1%} of the peak")
        check(recovered is not None and recovered <= 5,
              f"as before after {recovered if recovered is None else round(recovered, 2)} s")
    finally:
        server.stop()


def raw_request(options, seed):
    """As `bench` asks: random tokens, and no end before the last."""
    pick = random.Random(seed)
    body = json.dumps({"prompt": [pick.randrange(1000, 20000) for _ in range(options.prompt)],
                       "max_tokens": options.answer, "min_tokens": options.answer,
                       "ignore_eos": True, "temperature": 0, "stream": True}).encode()
    return (b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def served_rate(server, options, seed):
    """Tokens of all answers per second. The clients only count the events' marks."""
    requests = [raw_request(options, 1000 * seed + i) for i in range(options.requests)]
    selector = selectors.DefaultSelector()
    before = server.metric("mistralcpp_completion_tokens_total")
    start = time.monotonic()
    done = 0

    def begin():
        connection = socket.create_connection((server.host, server.port))
        connection.sendall(requests.pop())
        selector.register(connection, selectors.EVENT_READ, [b""])

    for _ in range(min(options.streams, len(requests))):
        begin()
    while selector.get_map():
        for key, _ in selector.select():
            piece = key.fileobj.recv(1 << 16)
            if piece:
                key.data[0] = (key.data[0] + piece)[-64:]
                continue
            done += b"data: [DONE]" in key.data[0]
            selector.unregister(key.fileobj)
            key.fileobj.close()
            if requests:
                begin()
    took = time.monotonic() - start
    made = server.metric("mistralcpp_completion_tokens_total") - before
    if done != options.requests:
        failures.append(f"{done} of {options.requests} streams ended well")
    return made / took


def bench_rate(options):
    command = [os.path.join(server_case.BIN, "mistralcpp"), "bench", "-m", options.model,
               "--threads", "2", "-p", str(options.prompt), "-g", str(options.answer),
               "--streams", str(options.streams), "--requests", str(options.requests), "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told[0]["tokens_per_second"]


def overhead(options):
    ratios = []
    for i in range(options.rounds):
        bare = bench_rate(options)
        server = server_case.Server("--no-access-log", model=options.model)
        try:
            served_rate(server, argparse.Namespace(**{**vars(options), "requests": 8}), 77)
            served = served_rate(server, options, i)
        finally:
            server.stop()
        ratios.append(served / bare)
        print(f"bench {bare:.1f} tokens/s, server {served:.1f} tokens/s: {served / bare:.3f}",
              flush=True)
    check(statistics.median(ratios) >= 0.95,
          f"overhead {1 - statistics.median(ratios):.1%} (median of {options.rounds})")


def mixed(options):
    # Without kept prompts: they fill the cache, bit by bit, which looks like growth.
    server = server_case.Server("--no-access-log", "--chat-template", "chatml",
                                "--prefix-cache-n", "0", model=options.model)
    samples = []
    start = time.monotonic()
    try:
        traffic = load.Mixed(server, patience=options.patience)

        def sample():
            before = samples[-1][0] if samples else -60
            samples.append((time.monotonic() - start, load.memory(server)))
            if samples[-1][0] // 60 != before // 60:
                print(f"{samples[-1][0]:6.0f} s: {samples[-1][1]:.1f} MiB, answers by status: "
                      f"{traffic.counts}, unexpected: {len(traffic.wrong)}", flush=True)

        asyncio.run(traffic.run(options.seconds, options.clients, sample))
        print(f"answers by status: {traffic.counts}")
        check(not traffic.wrong, f"every answer is as expected {traffic.wrong[:3] or ''}")
        check(all(status < 500 for status in traffic.counts), "no 5xx")
        late = [sample for sample in samples if sample[0] > options.seconds / 3]
        growth = load.slope(late)
        # Of noise over a short time, an hour's slope says nothing.
        gained = growth * (late[-1][0] - late[0][0]) / 3600
        check(growth <= options.growth or gained <= 1,
              f"memory {late[0][1]:.1f} to {late[-1][1]:.1f} MiB in {late[-1][0] - late[0][0]:.0f}"
              f" s after the first third: {growth:+.1f} MiB an hour, {gained:+.2f} MiB in all")
        check(server_case.wait_until(lambda: load.idle(server) and server.metric(
            "mistralcpp_kv_blocks_in_use") == 0, 2), "nothing is left over")
    finally:
        check(server.stop() == 0, "the server ends well")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["streams", "overload", "overhead", "mixed"])
    parser.add_argument("model")
    parser.add_argument("--bin")
    parser.add_argument("--streams", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--queue", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--patience", type=float, default=120)
    parser.add_argument("--growth", type=float, default=8)
    options = parser.parse_args()
    if options.bin:
        server_case.BIN = options.bin
    options.streams = options.streams or {"streams": 1000}.get(options.what, 32)
    options.seconds = options.seconds or {"mixed": 3600}.get(options.what, 60)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    globals()[options.what](options)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
