#!/usr/bin/env python3
"""Logits that llama.cpp computes for a GGUF: llama_logits.py MODEL IDS.json OUT.npy

Needs numpy and llama-cpp-py-sync (llama.cpp as a library). One thread, f32 cache, no flash attention, no repacking.
"""

import json
import sys

import numpy as np
from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib


def main():
    ffi, lib = get_ffi(), get_lib()
    ids = json.load(open(sys.argv[2]))
    lib.llama_backend_init()
    model_params = lib.llama_model_default_params()
    model_params.use_extra_bufts = False
    model = lib.llama_model_load_from_file(sys.argv[1].encode(), model_params)
    if model == ffi.NULL:
        raise SystemExit("llama.cpp does not load " + sys.argv[1])
    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = params.n_outputs_max = max(len(ids), 256)
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0  # GGML_TYPE_F32
    params.flash_attn_type = 0  # disabled
    context = lib.llama_init_from_model(model, params)
    batch = lib.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    if lib.llama_decode(context, batch) != 0:
        raise SystemExit("llama.cpp does not run " + sys.argv[1])
    vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    rows = [np.frombuffer(ffi.buffer(lib.llama_get_logits_ith(context, i), vocab * 4), np.float32).copy() for i in range(len(ids))]
    np.save(sys.argv[3], np.stack(rows))


main()
