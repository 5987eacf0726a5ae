"""Reads what the programs print. Every function raises ValueError for output it does not know."""

import json
import statistics


def _objects(text, what):
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{what} printed no JSON: {error}; {text[:200]!r}") from None
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise ValueError(f"{what} printed no list of objects: {text[:200]!r}")
    return values


def _field(entry, name, what):
    if name not in entry:
        raise ValueError(f"{what}: no '{name}' in {sorted(entry)}")
    return entry[name]


def only(speeds):
    """The value when there is one."""
    if len(speeds) != 1:
        raise ValueError(f"expected one measurement, found {sorted(speeds)}")
    return next(iter(speeds.values()))


def mistralcpp_bench(text):
    """`mistralcpp bench --json`: {(threads, prompt, generated, depth, batch): tokens/s}."""
    what = "mistralcpp bench"
    return {tuple(_field(entry, name, what)
                  for name in ("threads", "n_prompt", "n_gen", "n_depth", "n_batch")):
            float(_field(entry, "median", what))
            for entry in _objects(text, what)}


def llama_bench(text):
    """`llama-bench -o json`: {(flash attention, prompt, generated, depth): tokens/s}."""
    what = "llama-bench"
    return {tuple(int(_field(entry, name, what))
                  for name in ("flash_attn", "n_prompt", "n_gen", "n_depth")):
            statistics.median(_field(entry, "samples_ts", what))
            for entry in _objects(text, what)}


def llama_batched_bench(text):
    """`llama-batched-bench --output-format jsonl`: {sequences: tokens/s of all together}."""
    speeds = {}
    for line in text.splitlines():
        if not line.lstrip().startswith("{"):
            continue  # log lines
        entry = json.loads(line)
        speeds[int(_field(entry, "pl", "llama-batched-bench"))] = float(
            _field(entry, "speed_tg", "llama-batched-bench"))
    if not speeds:
        raise ValueError(f"llama-batched-bench printed no results: {text[:200]!r}")
    return speeds


def mistralrs_speed(text):
    """mistralrs_speed.py: {"prefill": tokens/s, "decode": tokens/s}."""
    entry = json.loads(text)
    return {name: float(_field(entry, name, "mistralrs_speed.py"))
            for name in ("prefill", "decode")}


def machine_peak(text):
    """`machine_peak --threads N --json`: {"bandwidth": GB/s, "int8": Gop/s, …}, the best ones."""
    entries = _objects(text, "machine_peak")
    if len(entries) != 1:
        raise ValueError(f"machine_peak measured {len(entries)} numbers of threads; expected one")
    return {name: float(_field(entries[0], name, "machine_peak")["best"])
            for name in ("bandwidth", "int8", "bf16", "f32")}
