#!/usr/bin/env python3
"""Writes the checkpoints in torch/ beside this file with PyTorch itself: both forms of torch.save,
each in pickle protocols 2 to 5, all with the same tensors. Needs torch; run it in this folder."""

import collections
import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "torch"


def numbers(count, dtype):
    return torch.arange(count).to(dtype)


def tensors():
    base = numbers(12, torch.float32).reshape(3, 4)
    state = collections.OrderedDict()
    state["f32"] = base
    state["tied"] = base  # the same storage
    state["transposed"] = base.t()
    state["column"] = base[:, 1]
    state["middle"] = base[1:2]
    state["expanded"] = numbers(3, torch.float32).reshape(3, 1).expand(3, 2)
    state["f16"] = numbers(3, torch.float16)
    state["bf16"] = numbers(3, torch.bfloat16)
    state["f64"] = numbers(3, torch.float64)
    state["i64"] = numbers(3, torch.int64) - 1
    state["i32"] = numbers(3, torch.int32) - 1
    state["i16"] = numbers(3, torch.int16) - 1
    state["i8"] = numbers(3, torch.int8) - 1
    state["u8"] = numbers(3, torch.uint8)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(7.0)
    state["empty"] = torch.zeros(0, 4)
    state["cube"] = numbers(24, torch.float32).reshape(2, 3, 4).permute(2, 0, 1)
    state["parameter"] = torch.nn.Parameter(numbers(2, torch.float32))
    state["f8"] = numbers(3, torch.float32).to(torch.float8_e4m3fn)
    state._metadata = {"": {"version": 1}}
    return state


def main():
    FOLDER.mkdir(exist_ok=True)
    for protocol in range(2, 6):
        for form, is_zip in (("zip", True), ("legacy", False)):
            state = tensors()
            if not is_zip:
                del state["f8"]  # that form has no storage type for it
            torch.save(state, FOLDER / f"{form}_{protocol}.pt", pickle_protocol=protocol,
                       _use_new_zipfile_serialization=is_zip)
    small = {"a": numbers(4, torch.float32)}
    training = {"epoch": 3, "loss": 0.5, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}},
                "args": {"lr": 1e-3, "names": ["x", None, True]},
                "state_dict": {f"module.{k}": v for k, v in small.items()}}
    torch.save(training, FOLDER / "training.pt")
    torch.save({"model": small, "step": 2**80}, FOLDER / "nested.pt")


main()
