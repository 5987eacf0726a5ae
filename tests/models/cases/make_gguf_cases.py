#!/usr/bin/env python3
"""Makes GGUF cases (tests/golden/quant/gguf) from folders of text cases.

usage: make_gguf_cases.py TEXT OUT LLAMA_LOGITS [case ...]
TEXT: a folder of text cases (several, separated by ':'); LLAMA_LOGITS: a command like llama_logits.py.
"""

import copy
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

import gguf_layouts as layouts
from case_common import TOKENIZER_FILES, RoutingMargins, forward, greedy, sentence, write_json
from make_text_cases import deepseek_attention_scale

PRE = {"gpt2": "gpt-2", "llama3": "llama-bpe", "qwen": "qwen2"}
PLAIN = ("F32", "F16")


# ---- what llama.cpp does otherwise, to compare with it all the same


def phimoe_as_llamacpp(model):
    """RMS norm where the model has LayerNorm; softmax of the two best logits as weights; long factors (context 256)."""

    def norm(module):
        return lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.eps) * module.weight + module.bias

    for module in model.modules():
        if type(module).__name__ == "LayerNorm":
            module.forward = norm(module)
    rotary = model.model.rotary_emb
    inner = rotary.forward
    rotary.forward = lambda x, seq_len=None: tuple(part[:seq_len] for part in inner(x, seq_len=256))
    for layer in model.model.layers:
        moe = layer.block_sparse_moe

        def mix(hidden, moe=moe):
            x = hidden.view(-1, hidden.shape[-1])
            logits = moe.gate(x)
            top = logits.topk(2, dim=-1)
            weights = top.values.softmax(-1)
            out = torch.zeros_like(x)
            for row in range(x.shape[0]):
                for k in range(2):
                    out[row] += weights[row, k] * moe.experts[top.indices[row, k]](x[row : row + 1])[0]
            return out.view(hidden.shape), logits

        moe.forward = mix


def groups_as_llamacpp(model):
    """Score of a group = sum of its two best experts also for softmax routing."""
    for layer in model.model.layers:
        gate = getattr(layer.mlp, "gate", None)
        if gate is None:
            continue

        def route(hidden, gate=gate):
            scores = F.linear(hidden.view(-1, hidden.shape[-1]), gate.weight).softmax(-1)
            groups = scores.view(scores.shape[0], gate.num_group, -1)
            best = groups.topk(2, dim=-1).values.sum(-1).topk(gate.topk_group, dim=-1).indices
            kept = torch.zeros(groups.shape[:2]).scatter_(1, best, 1)
            top = groups.masked_fill(kept[..., None] == 0, 0.0).flatten(1).topk(gate.top_k, dim=-1)
            return top.indices, top.values * gate.routed_scaling_factor

        gate.forward = route


def truncated_yarn(model):
    """Whole numbers as range of the yarn ramp."""
    config = copy.deepcopy(model.config)  # which other models share
    config.rope_scaling = {**config.rope_scaling, "truncate": True}
    model.model.rotary_emb = type(model.model.rotary_emb)(config)


# ---- cases


def published_phimoe(config):
    scaling = config.rope_scaling
    original = scaling["original_max_position_embeddings"]
    factor = math.sqrt(1 + math.log(config.max_position_embeddings / original) / math.log(original))
    config.rope_scaling = {**scaling, "short_mscale": factor, "long_mscale": factor}


def published_llama4(config):
    config.attention_chunk_size, config.floor_scale, config.attn_scale = 8192, 8192, 0.1


def sigmoid_scores(config):
    config.scoring_func = "sigmoid"


CASES = {
    "command-r": dict(source="cohere", layout=layouts.command_r, files=["F16", "Q8_0"],
                      what="cohere: LayerNorm without bias, parallel block, logit_scale multiplies, tied; interleaved rotary, not permuted"),
    "olmo2": dict(source="olmo2", layout=layouts.olmo2, files=["F16", "Q8_0"],
                  what="norms after attention and MLP only, q/k RMSNorm over the whole projection"),
    "gptneox": dict(source="gpt-neox", layout=layouts.gptneox, files=["F16", "Q8_0"],
                    what="merged attn_qkv regrouped to q, k, v; partial rotary; parallel residual; no head_count_kv and no rope.freq_base",
                    note="truth computes GELU with erf (hidden_act gelu); llama.cpp uses the tanh form by table, hence its larger distance"),
    "granite": dict(source="granite", layout=layouts.granite, files=["F16", "Q8_0"],
                    what="attention.scale, embedding_scale, residual_scale, logit_scale (divides); q/k permuted"),
    "smollm3": dict(source="smollm3", layout=layouts.llama_like, files=["F16", "Q8_0"],
                    what="every fourth layer without rotary embedding (no key says so); q/k permuted; tied"),
    "deepseek2-v2": dict(source="deepseek-v2", layout=layouts.deepseek2, files=["F16", "F16-kvb"], imitate=groups_as_llamacpp, routers="mlp.gate",
                         what="deepseek_v2: softmax routing limited to groups; attn_k_b / attn_v_b, and the older attn_kv_b (F16-kvb)",
                         note="group score = maximum of its experts for softmax gating; llama.cpp takes the sum of the two best"),
    "deepseek2-v2-lite": dict(source="deepseek-v2-lite", layout=layouts.deepseek2, files=["F16", "Q8_0"], prepare=deepseek_attention_scale,
                              routers="mlp.gate", llamacpp_kv={"attention.q_lora_rank": 0},
                              what="deepseek_v2 without q_lora_rank (key absent), two shared experts, yarn with yarn_log_multiplier",
                              note="scores are scaled by (1 + yarn_log_multiplier * ln(factor))^2 / sqrt(key_length_mla); llama.cpp wants "
                                   "attention.q_lora_rank unless the model has 26 or 27 layers: its logits are of a copy with that key 0"),
    "deepseek2-v3-yarn": dict(source="deepseek-v3-yarn", layout=layouts.deepseek2, files=["F16", "Q8_0"], layers=2,
                              config=sigmoid_scores, routers="mlp.gate",
                              what="deepseek_v3: sigmoid routing with exp_probs_b.bias and groups, expert_weights_norm and scale, yarn; first two layers of the text case"),
    "phimoe": dict(source="phimoe-short", layout=layouts.phimoe, files=["F16", "Q8_0"], layers=1, config=published_phimoe,
                   imitate=phimoe_as_llamacpp, routers="block_sparse_moe.gate",
                   what="phimoe: LayerNorm with bias, sparse mixer routing, longrope factors; first layer of the text case",
                   note="short_mscale and long_mscale are not in a GGUF: both are rope.scaling.attn_factor here; router_jitter_noise is 0.01 as in the published "
                        "model. llama.cpp applies RMS norm and plain softmax routing to this family, so its distance to the truth says nothing"),
    "gpt-oss": dict(source="gpt-oss", layout=layouts.gpt_oss, files=["F16", "Q8_0"], imitate=truncated_yarn, routers="mlp.router",
                    what="attention sinks, alternating sliding window, expert biases, clamped SwiGLU, yarn",
                    note="yarn range without rounding to whole numbers (truncate false), as the model is defined; llama.cpp rounds"),
    "gpt-oss-mxfp4": dict(source="gpt-oss-mxfp4", layout=layouts.gpt_oss, files=["MXFP4"], imitate=truncated_yarn, routers="mlp.router",
                          what="as gpt-oss with MXFP4 experts as published (bits moved, nothing quantised again), other matrices F16",
                          note="yarn range without rounding to whole numbers (truncate false), as the model is defined; llama.cpp rounds"),
    "llama4": dict(source="llama4-text", layout=layouts.llama4, files=["F16", "Q8_0"], config=published_llama4, routers="feed_forward.router",
                   what="q/k L2 norm, every fourth layer without rotary embedding, dense and expert layers in turn, sigmoid top 1 on the input, rope_freqs",
                   note="no key holds the chunk (8192), the temperature's floor (8192) and scale (0.1): fixed for the architecture"),
}


def load(case, text):
    folder = next(p for p in (Path(t) / case["source"] for t in text) if p.exists())
    config = AutoConfig.from_pretrained(folder)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    if "layers" in case:
        config.num_hidden_layers = case["layers"]
    case.get("config", lambda c: None)(config)
    stored = load_file(folder / "model.safetensors")
    packed = {k: stored.pop(k) for k in list(stored) if k.endswith(("_blocks", "_scales"))}
    for key in [k for k in packed if k.endswith("_blocks")]:
        scales = packed[key.replace("_blocks", "_scales")]
        stored[key.removesuffix("_blocks")] = convert_moe_packed_tensors(packed[key], scales, dtype=torch.float32)
    weights = {k: v.float().contiguous() for k, v in stored.items() if not beyond(k, config.num_hidden_layers)}
    return folder, config, weights, packed


def beyond(name, layers):
    parts = name.split(".")
    return "layers" in parts and int(parts[parts.index("layers") + 1]) >= layers


def build(case, config, weights):
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    case.get("prepare", lambda m: None)(model)
    return model


class Margins(RoutingMargins):
    """Also knows the decisions of deepseek_v3 and phimoe."""

    def look(self, module, inputs, output):
        if self.config.model_type not in ("deepseek_v3", "phimoe"):
            return super().look(module, inputs, output)
        x = inputs[0].reshape(-1, inputs[0].shape[-1])
        scores = F.linear(x, module.weight)
        if self.config.model_type == "deepseek_v3":
            scores = scores.sigmoid() + module.e_score_correction_bias
            groups = scores.view(scores.shape[0], self.config.n_group, -1)
            best = groups.topk(2, dim=-1).values.sum(-1)
            self.note(best, self.config.topk_group)
            kept = torch.zeros_like(best).scatter_(1, best.topk(self.config.topk_group).indices, 1)
            self.note(groups.masked_fill(kept[..., None] == 0, -math.inf).flatten(1), self.top_k)
            return None
        top = scores.sort(dim=-1, descending=True).values
        for first in (0, 1):
            self.note(top[:, first:], 1)
            factor = torch.maximum(top[:, first + 1 :].abs(), top[:, first : first + 1])
            edge = ((top[:, first : first + 1] - top[:, first + 1 :]) / factor - 2 * self.config.router_jitter_noise).abs() * factor.abs()
            self.smallest = min(self.smallest, edge.min().item())
        return None


def routing_margin(model, ids, routers):
    margins = Margins(model, routers)
    forward(model, ids)
    for module in model.modules():
        module._forward_hooks.clear()
    return margins.smallest


def choose_ids(model, tokenizer, routers):
    """Of many short prompts the one whose routing is farthest from a tie; without routers the first."""
    best, margin = None, -1.0
    for attempt in range(400 if routers else 1):
        rng = random.Random(attempt)
        ids = tokenizer(sentence(rng, 8))["input_ids"][:24]
        found = routing_margin(model, ids, routers) if routers else math.inf
        if found > margin and len(ids) >= 20:
            best, margin = ids, found
        if best and not routers:
            break
    return best, margin


def vocabulary(writer, folder, kind):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    by_id = {i: t for t, i in tokenizer["model"]["vocab"].items()} | {a["id"]: a["content"] for a in tokenizer["added_tokens"]}
    special = {a["id"] for a in tokenizer["added_tokens"] if a["special"]}
    tokens = [by_id[i] for i in range(len(by_id))]
    types = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    if kind in PRE:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(PRE[kind])
        writer.add_token_list(tokens)
        writer.add_token_merges(merges)
    else:  # SentencePiece: pieces merge in the order of their scores
        rank = {m.replace(" ", ""): -float(i + 1) for i, m in enumerate(merges)}
        for i, token in enumerate(tokens):
            if len(token) == 6 and token.startswith("<0x"):
                types[i] = gguf.TokenType.BYTE
            elif token == tokenizer["model"].get("unk_token"):
                types[i] = gguf.TokenType.UNKNOWN
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores([rank.get(t, -1000.0) for t in tokens])
    writer.add_token_types(types)
    ids = {t: i for i, t in enumerate(tokens)}
    for key, add in (("bos_token", writer.add_bos_token_id), ("eos_token", writer.add_eos_token_id)):
        if config.get(key) in ids:
            add(ids[config[key]])
    writer.add_add_bos_token(kind == "llama3")
    if kind not in PRE:
        writer.add_add_space_prefix(True)
    if config.get("chat_template"):
        writer.add_chat_template(config["chat_template"])


def type_for(name, array, wanted):
    """As llama.cpp's converter chooses: vectors, norms, routers and biases stay float32; rows that do not fit become F16."""
    if array.ndim <= 1 or "ffn_gate_inp" in name or not name.endswith(".weight") or name.endswith("_norm.weight"):
        return Type.F32
    if wanted == Type.MXFP4:
        return Type.MXFP4 if "_exps.weight" in name else Type.F16
    if wanted == Type.Q8_0 and array.shape[-1] % 32:
        return Type.F16
    return wanted


def mxfp4_rows(name, packed):
    """Blocks of the published form moved into the order of a GGUF: byte j holds elements j (low) and j + 16 (high)."""
    _, layer, kind = name.split(".")[:3]
    source = f"model.layers.{layer}.mlp.experts." + ("down_proj" if "down" in kind else "gate_up_proj")
    blocks, scales = packed[source + "_blocks"].numpy(), packed[source + "_scales"].numpy()
    if "down" not in kind:
        first = 0 if "gate" in kind else 1
        blocks, scales = blocks[:, first::2], scales[:, first::2]
    codes = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], 32)
    data = np.concatenate([scales[..., None], codes[..., :16] | (codes[..., 16:] << 4)], axis=-1)
    return data.reshape(*data.shape[:2], -1)


def write_gguf(path, case, name, config, folder, kind, kv, tensors, wanted, packed, extra=None):
    writer = gguf.GGUFWriter(path, case["arch"])
    writer.add_type("model")
    writer.add_name("tiny " + name)
    for key, value in (kv | (extra or {})).items():
        key = f"{case['arch']}.{key}"
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    writer.add_file_type({Type.F32: 0, Type.F16: 1, Type.Q8_0: 7, Type.MXFP4: 38}[wanted])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocabulary(writer, folder, kind)
    for tensor, array in (layouts.rotary_tensors(config) | tensors).items():
        chosen = type_for(tensor, array, wanted)
        data = mxfp4_rows(tensor, packed) if chosen == Type.MXFP4 else gguf.quants.quantize(np.ascontiguousarray(array, np.float32), chosen)
        writer.add_tensor(tensor, data, raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def decoded(path, layout, config, weights):
    """Weights of the model as the file holds them, back in their places."""
    numbered, total = {}, 0
    for key, value in weights.items():
        numbered[key] = np.arange(total, total + value.numel()).reshape(tuple(value.shape))
        total += value.numel()
    places = layout(config, numbered)[1]
    values = np.full(total, np.nan, np.float32)
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name in places:
            place = places[tensor.name]
            values[place.ravel()] = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(place.shape).ravel()
    assert not np.isnan(values).any(), "weights that the file lacks"
    return {k: torch.from_numpy(values[numbered[k].ravel()].reshape(numbered[k].shape)) for k in weights}


def distance(logits, truth):
    error = (logits - truth).double()
    return {"max_abs": error.abs().max().item(), "rms": error.pow(2).mean().sqrt().item(),
            "argmax_agree": (logits.argmax(-1) == truth.argmax(-1)).float().mean().item()}


def make(name, case, text, out, command):
    folder, config, weights, packed = load(case, text)
    kind = json.loads((folder / "case.json").read_text())["tokenizer"]
    target = out / name
    target.mkdir(parents=True, exist_ok=True)
    for file in TOKENIZER_FILES[:2]:
        shutil.copyfile(folder / file, target / file)
    config.architectures = config.architectures or [type(build(case, config, weights)).__name__]
    config.save_pretrained(target)
    case = {**case, "arch": {"llama_like": "smollm3", "command_r": "command-r", "gpt_oss": "gpt-oss"}.get(case["layout"].__name__, case["layout"].__name__)}
    model = build(case, config, weights)
    routers = case.get("routers")
    ids, margin = choose_ids(model, AutoTokenizer.from_pretrained(folder), routers)
    logits = forward(model, ids)
    continuation, gap = greedy(model, ids, 8)
    expected = {"input_ids": torch.tensor(ids), "logits": logits.contiguous(), "greedy_ids": torch.tensor(continuation)}

    def llamacpp(path):
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "ids.json").write_text(json.dumps(ids))
            subprocess.run([command, str(path), f"{scratch}/ids.json", f"{scratch}/out.npy"], check=True, capture_output=True)
            return torch.from_numpy(np.load(f"{scratch}/out.npy"))

    def imitation(values):
        twin = build(case, config, values)
        if "imitate" in case:
            case["imitate"](twin)
        return forward(twin, ids)

    def layout_of(key):
        return layouts.deepseek2_merged if key.endswith("-kvb") else case["layout"]

    files, report = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        numbers = {k: v.numpy() for k, v in weights.items()}
        check = {}
        for key in sorted({"kvb" if k.endswith("-kvb") else "" for k in case["files"]}):
            kv, tensors = layout_of("-" + key)(config, numbers)
            write_gguf(scratch / "f32.gguf", case, name, config, folder, kind, kv, tensors, Type.F32, packed, case.get("llamacpp_kv"))
            check["F32" + ("-" + key if key else "")] = distance(llamacpp(scratch / "f32.gguf"), imitation(weights))
        for key in case["files"]:
            wanted = Type[key.split("-")[0]]
            file, layout = target / f"model-{key}.gguf", layout_of(key)
            kv, tensors = layout(config, numbers)
            write_gguf(file, case, name, config, folder, kind, kv, tensors, wanted, packed)
            values = decoded(file, layout, config, weights)
            twin = build(case, config, values)
            truth = forward(twin, ids)
            expected[f"logits_{wanted.name}"] = truth.contiguous()
            steps, step_gap = greedy(twin, ids, 8)
            expected[f"greedy_{wanted.name}"] = torch.tensor(steps)
            run = file
            if "llamacpp_kv" in case:
                run = scratch / "run.gguf"
                write_gguf(run, case, name, config, folder, kind, kv, tensors, wanted, packed, case["llamacpp_kv"])
            found = llamacpp(run)
            files[file.name] = {
                "type": wanted.name, "truth": f"logits_{wanted.name}", "llamacpp_vs_truth": distance(found, imitation(values)),
                **({"llamacpp_vs_truth_plain": distance(found, truth)} if "imitate" in case else {}),
                "greedy_min_gap": step_gap, **({"routing_smallest_margin": routing_margin(twin, ids, routers)} if routers else {}),
            }
            report.append(f"{key} {files[file.name]['llamacpp_vs_truth']['max_abs']:.2g}/{files[file.name]['llamacpp_vs_truth']['rms']:.2g}")
    save_file(expected, target / "expected.safetensors")
    write_json(target / "case.json", {
        "arch": case["arch"], "what": case["what"],
        "made_with": f"transformers 4.57.1 / torch 2.6.0 / gguf 0.19.0; llama.cpp of October 2026",
        "source": f"text/{case['source']}", "dtype": "f32", "logits_positions": "all", "greedy_min_gap": gap, "logit_std": logits.std().item(),
        **({"routing_smallest_margin": margin} if routers else {}),
        "files": files,
        "layout_check": {"what": "llama.cpp on the unrounded weights as F32 in the same layout against `logits`", **check},
        "atol": {"F16": 0.002, "note": "against the truth tensor when weights are decoded exactly and computed in float32"},
        **({"imitation": "llamacpp_vs_truth and layout_check compare with the model changed to what llama.cpp does (see note); llamacpp_vs_truth_plain with the truth"}
           if "imitate" in case else {}),
        **({"note": case["note"]} if "note" in case else {}),
    })
    size = sum(f.stat().st_size for f in target.iterdir())
    print(f"{name}: T {len(ids)}, {size // 1024} KiB, routing {margin:.3f}, gap {gap:.3f}, layout "
          + ", ".join(f"{k} {v['max_abs']:.2g}" for k, v in check.items()) + "; llama.cpp " + ", ".join(report), flush=True)


def main():
    torch.set_num_threads(1)
    text, out = sys.argv[1].split(":"), Path(sys.argv[2])
    for name in sys.argv[4:] or CASES:
        make(name, CASES[name], text, out, sys.argv[3])


if __name__ == "__main__":
    main()
