#!/usr/bin/env python3
"""Measures how soon a model is ready that no cache holds, and what memory that takes.

In every round the file or folder is forgotten by the cache of files and read by programs that do
nothing else (the fastest number of threads counts), forgotten again, and loaded by `mistralcpp run`
for one token. The ratio is the time to that token / the time to read. Memory is the largest
resident size, mapped pages of the file included.

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
    rounds = []
    for _ in range(options.rounds):
        reads = {}
        for threads in options.readers:
            forget(files)
            reads[threads] = read_all(files, threads)
        forget(files)
        left = resident(files)
        result = load(options.program, model, options.threads)
        best = min(reads.values())
        result.update(read_s=best, reads_s=reads, cached_before_bytes=left,
                      ratio=result["ready_s"] / best)
        rounds.append(result)
        print(f"{model.name}: read {best:.2f} s ({size / best / 1e6:.0f} MB/s), first token "
              f"{result['ready_s']:.2f} s, ratio {result['ratio']:.3f}, end {result['total_s']:.2f} s, "
              f"processors {result['cpu_s']:.1f} s, peak {result['peak_bytes'] / 1e6:.0f} MB = "
              f"size + {(result['peak_bytes'] - size) / 1e6:.0f} MB", flush=True)
    return {"model": model.name, "bytes": size, "rounds": rounds,
            "ratio": statistics.median(r["ratio"] for r in rounds),
            "peak_above_size_bytes": max(r["peak_bytes"] for r in rounds) - size}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="GGUF files or folders")
    parser.add_argument("--program", default="build/release/bin/mistralcpp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of the program; 0: its own choice")
    parser.add_argument("--readers", default="1,2,4",
                        type=lambda text: [int(part) for part in text.split(",")],
                        help="threads that read in turn (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file for the figures")
    options = parser.parse_args()
    results = [measure(options, model) for model in options.models]
    for result in results:
        print(f"{result['model']}: median ratio {result['ratio']:.3f}, peak at most size + "
              f"{result['peak_above_size_bytes'] / 1e6:.0f} MB")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
