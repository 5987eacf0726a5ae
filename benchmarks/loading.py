#!/usr/bin/env python3
"""Measures how soon a model is ready that no cache holds, and what memory that takes.

In turns the file or folder is read by threads that do nothing else, and loaded by `mistralcpp run`
for one token; before each the cache of files is made to forget it. Every round begins with the
next of these, for a disk may be fast for a while and slow after it: `--pause` lets it recover. The
ratio is the median time to the first token / that of the best number of reading threads. Memory is
the largest resident size, mapped pages of the file included.

    random_model Q4_K 7b.gguf --layers 32 --hidden 4096 --ffn 14336 --heads 32 --kv-heads 8 \\
        --head-dim 128 --separate-head
    loading.py 7b.gguf
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

CHUNK = 8 << 20


def files_of(model):
    if model.is_file():
        return [model]
    return sorted(path for path in model.iterdir() if path.is_file())


def forget(files):
    """Drops what the cache holds of the files. It must be written to the disk before."""
    for path in files:
        with open(path, "rb") as file:
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident(files):
    """Bytes of the files in the cache, by util-linux's fincore where it is installed."""
    try:
        output = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES",
                                 *map(str, files)], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sum(int(line) for line in output.stdout.split())


def read_all(files, threads):
    """Seconds to read the files, each thread the next chunk that nobody has read."""
    chunks = [(path, offset) for path in files for offset in range(0, path.stat().st_size, CHUNK)]
    handles = {path: os.open(path, os.O_RDONLY) for path in files}
    lock = threading.Lock()
    rest = iter(chunks)

    def work():
        buffer = bytearray(CHUNK)
        while True:
            with lock:
                chunk = next(rest, None)
            if chunk is None:
                return
            os.preadv(handles[chunk[0]], [buffer], chunk[1])

    begin = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - begin
    for handle in handles.values():
        os.close(handle)
    return seconds


def load(program, model, threads):
    """Seconds to the first byte of an answer and to the end, and peak resident bytes."""
    command = [program, "run", "-m", str(model), "--raw", "--prompt", "a", "--max-tokens", "1",
               "--greedy"]
    if threads:
        command += ["--threads", str(threads)]
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        first = process.stdout.read(1)
        ready = time.monotonic() - begin
        process.stdout.read()
        errors = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    total = time.monotonic() - begin
    if process.returncode != 0 or not first:
        sys.exit(f"error: {' '.join(command)}: {errors or 'no answer'}")
    return {"ready_s": ready, "total_s": total, "peak_bytes": usage.ru_maxrss * 1024,
            "cpu_s": usage.ru_utime + usage.ru_stime}


def measure(options, model):
    files = files_of(model)
    size = sum(path.stat().st_size for path in files)
    reads = {threads: [] for threads in options.readers}
    loads = []
    turns = [*options.readers, None]
    for turn in range(options.rounds * len(turns)):
        threads = turns[(turn + turn // len(turns)) % len(turns)]
        time.sleep(options.pause)
        forget(files)
        if left := resident(files):
            print(f"note: {left / 1e6:.0f} MB are still in the cache", file=sys.stderr)
        if threads is not None:
            reads[threads].append(read_all(files, threads))
            print(f"{model.name}: read by {threads} threads in {reads[threads][-1]:.2f} s "
                  f"({size / reads[threads][-1] / 1e6:.0f} MB/s)", flush=True)
            continue
        result = load(options.program, model, options.threads)
        loads.append(result)
        print(f"{model.name}: first token after {result['ready_s']:.2f} s, end {result['total_s']:.2f} "
              f"s, processors {result['cpu_s']:.1f} s, peak {result['peak_bytes'] / 1e6:.0f} MB",
              flush=True)
    read = min(statistics.median(seconds) for seconds in reads.values())
    ready = statistics.median(result["ready_s"] for result in loads)
    return {"model": model.name, "bytes": size, "reads_s": reads, "loads": loads, "read_s": read,
            "ready_s": ready, "ratio": ready / read,
            "peak_above_size_bytes": max(result["peak_bytes"] for result in loads) - size}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="GGUF files or folders")
    parser.add_argument("--program", default="build/release/bin/mistralcpp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of the program; 0: its own choice")
    parser.add_argument("--readers", default="1,4",
                        type=lambda text: [int(part) for part in text.split(",")],
                        help="numbers of reading threads (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0, help="seconds before each turn")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file for the figures")
    options = parser.parse_args()
    results = [measure(options, model) for model in options.models]
    for result in results:
        print(f"{result['model']}: read in {result['read_s']:.2f} s, first token after "
              f"{result['ready_s']:.2f} s, ratio {result['ratio']:.3f}, peak at most size + "
              f"{result['peak_above_size_bytes'] / 1e6:.0f} MB")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
