#!/usr/bin/env python3
"""Encodes texts with the Hugging Face tokenizers library on one thread, to compare with
text_benchmark.

    pip install tokenizers
    ./tokenizers_speed.py GOLDEN/tokenizer/NAME/tokenizer.json... --texts FOLDER

FOLDER holds english.txt and code.txt, as MISTRAL_BENCHMARK_TEXTS for text_benchmark. Times are CPU
time of this process, the best of three.
"""
import argparse
import gzip
import os
import pathlib
import resource

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer  # noqa: E402, reads the variables above


def cpu_seconds():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def measured(action):
    begin = cpu_seconds()
    result = action()
    return cpu_seconds() - begin, result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--texts", required=True, type=pathlib.Path)
    args = parser.parse_args()
    for file in args.files:
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
        seconds, tokenizer = measured(lambda: Tokenizer.from_str(data.decode()))
        print(f"load/{file.parent.name}: {seconds * 1000:.1f} ms")
        for name in ("english", "code"):
            text = (args.texts / f"{name}.txt").read_text("utf-8")
            best = min(measured(lambda: tokenizer.encode(text))[0] for _ in range(3))
            print(f"encode_{name}/{file.parent.name}: {best * 1000:.1f} ms")


if __name__ == "__main__":
    main()
