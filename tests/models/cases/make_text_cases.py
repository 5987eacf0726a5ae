#!/usr/bin/env python3
"""Makes Hugging Face folders with reference logits (tests/golden/text) for families without one.

usage: make_text_cases.py TOKENIZERS OUT [case ...]
TOKENIZERS is a folder of text cases (any with the tokenizers named below); OUT receives one folder a case.
"""

import json
import math
import sys
from pathlib import Path

import torch
from transformers import (
    DeepseekV2Config,
    DeepseekV2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GptOssConfig,
    GptOssForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from case_common import *

# kind of tokenizer: (case that has it, special ids for config.json)
TOKENIZERS = {
    "gpt2": ("cohere", {"bos_token_id": 319, "eos_token_id": 319, "pad_token_id": None}),
    "llama3": ("llama-plain", {"bos_token_id": 315, "eos_token_id": 319, "pad_token_id": None}),
    "qwen": ("qwen3-moe", {"bos_token_id": None, "eos_token_id": 319, "pad_token_id": 317}),
    "gemma": ("gemma3-text", {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}),
}
COMMON = {"vocab_size": 320, "max_position_embeddings": 256, "hidden_size": 32, "num_attention_heads": 4}


def yarn_scale(factor, mscale):
    return 1 + 0.1 * mscale * math.log(factor)


def deepseek_attention_scale(model):
    """The model's own code scales scores by the square of this; the library's class leaves it out."""
    scaling = model.config.rope_scaling
    if scaling and scaling.get("mscale_all_dim"):
        for layer in model.model.layers:
            layer.self_attn.scaling *= yarn_scale(scaling["factor"], scaling["mscale_all_dim"]) ** 2


def no_sinks(model):
    for layer in model.model.layers:
        layer.self_attn.sinks.data.fill_(-1e9)


def no_clamp(model):
    for layer in model.model.layers:
        layer.mlp.experts.limit = 1e9


def library_scale(model):
    for layer in model.model.layers:
        layer.self_attn.scaling = layer.self_attn.qk_head_dim**-0.5


GPT_OSS = {
    **COMMON, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32,
    "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 13, "rope_theta": 10000.0,
    "tie_word_embeddings": False, "swiglu_limit": 7.0, "experts_per_token": 2, "initial_context_length": 64,
    "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 8.0, "beta_slow": 0.5, "truncate": False,
                     "original_max_position_embeddings": 64},
}
GPT_OSS_IGNORED = {
    "no sinks": no_sinks,
    "no clamp": no_clamp,
    "no window": {"sliding_window": 4096},
    "full and sliding layers swapped": {"layer_types": ["full_attention", "sliding_attention", "full_attention"]},
    "no rope_scaling": {"rope_scaling": None},
    "truncate true": {"rope_scaling": {**GPT_OSS["rope_scaling"], "truncate": True}},
}
DEEPSEEK = {
    **COMMON, "num_hidden_layers": 2, "num_key_value_heads": 4, "intermediate_size": 64, "moe_intermediate_size": 32,
    "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "first_k_dense_replace": 1,
    "n_routed_experts": 8, "n_shared_experts": 1, "tie_word_embeddings": False, "scoring_func": "softmax",
    "moe_layer_freq": 1, "norm_topk_prob": False, "rms_norm_eps": 1e-6,
}
LLAMA4 = {
    **COMMON, "num_hidden_layers": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32,
    "intermediate_size_mlp": 64, "num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2,
    "rope_theta": 10000.0, "use_qk_norm": True, "attn_temperature_tuning": True, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 64, "rope_type": "llama3"},
}

CASES = {
    "smollm3": dict(
        cls=SmolLM3ForCausalLM, tokenizer="llama3", seed=11,
        config=SmolLM3Config(**COMMON, num_hidden_layers=4, num_key_value_heads=2, intermediate_size=64,
                             tie_word_embeddings=True, rope_theta=10000.0),
        what="every fourth layer without rotary embedding (no_rope_layer_interval 4), tied",
        if_ignored={"rope everywhere": {"no_rope_layers": [1, 1, 1, 1]}},
        note="no_rope_layers: 1 = layer HAS rotary embedding, 0 = none; absent: 0 where (i+1) % no_rope_layer_interval == 0",
    ),
    "smollm3-nope-list": dict(
        cls=SmolLM3ForCausalLM, tokenizer="llama3", seed=12,
        config=SmolLM3Config(**{**COMMON, "hidden_size": 48}, num_hidden_layers=3, num_key_value_heads=2,
                             intermediate_size=64, tie_word_embeddings=False, rope_theta=10000.0,
                             no_rope_layers=[0, 1, 0], no_rope_layer_interval=2, attention_bias=True, mlp_bias=True),
        what="no_rope_layers given, against the interval; biases; own head",
        if_ignored={"by the interval": {"no_rope_layers": [1, 0, 1]}},
        note="no_rope_layers: 1 = layer HAS rotary embedding, 0 = none; the list wins over the interval",
    ),
    "gpt-oss": dict(
        cls=GptOssForCausalLM, tokenizer="gpt2", seed=13, routers="mlp.router",
        config=GptOssConfig(**GPT_OSS), gains={"gate_up_proj": 4.0},
        what="alternating sliding and full layers, attention sinks, biases, clamped SwiGLU experts, yarn without truncation; experts as plain bf16",
        if_ignored=GPT_OSS_IGNORED,
        note="gate_up_proj is [expert, in, 2*ff] with gate in even and up in odd columns; gate = min(g, 7), up = clamp(u, -7, 7), "
             "out = (up + 1) * gate * sigmoid(1.702 * gate); routing: top k of the biased logits, softmax over the chosen; "
             "the sink is one more logit a head in the softmax, unscaled; layer 0 slides",
    ),
    "gpt-oss-mxfp4": dict(
        cls=GptOssForCausalLM, tokenizer="gpt2", seed=14, routers="mlp.router", mxfp4=True,
        config=GptOssConfig(**{**GPT_OSS, "hidden_size": 64}), gains={"gate_up_proj": 4.0},
        what="as gpt-oss with experts stored as MXFP4 blocks and scales, the form of the published models",
        if_ignored=GPT_OSS_IGNORED,
        note="*_blocks u8 [expert, out, in/32, 16]: low nibble = element 2b, high nibble = element 2b+1; value = E2M1 * 2^(scale-127); "
             "rows are outputs, transposed against the plain form; expected logits from the decoded weights in float32",
    ),
    "llama4-text": dict(
        cls=Llama4ForCausalLM, tokenizer="llama3", seed=15, routers="feed_forward.router",
        config=Llama4TextConfig(**LLAMA4, attention_chunk_size=16, floor_scale=8, attn_scale=0.4),
        what="chunked attention (16), last layer without rotary embedding but with temperature, q/k L2 norm, dense and expert layers in turn, shared expert, top 1, llama3 rope",
        if_ignored={
            "no chunks": {"attention_chunk_size": 8192},
            "no temperature": {"attn_temperature_tuning": False},
            "no q/k norm": {"use_qk_norm": False},
            "rope everywhere": {"no_rope_layers": [1, 1, 1, 1], "layer_types": ["chunked_attention"] * 3 + ["full_attention"]},
            "no rope_scaling": {"rope_scaling": None},
        },
        note="chunk: key j is visible from query i if j <= i and j/16 == i/16 (whole numbers); interleaved rotary; q/k norm after rotary, rope layers only; "
             "temperature on layers without rope: q *= 1 + attn_scale*log(1 + floor((pos+1)/floor_scale)); expert weight = sigmoid(logit of the chosen), applied to the expert's INPUT",
    ),
    "llama4-top2": dict(
        cls=Llama4ForCausalLM, tokenizer="llama3", seed=16, routers="feed_forward.router",
        config=Llama4TextConfig(**{**LLAMA4, "num_hidden_layers": 3, "num_experts_per_tok": 2, "use_qk_norm": False,
                                   "rope_scaling": None, "attn_temperature_tuning": False, "hidden_size": 48,
                                   "interleave_moe_layer_step": 1, "head_dim": 8},
                                attention_chunk_size=23, no_rope_layers=[1, 0, 1], moe_layers=[1]),
        what="two experts a token, no q/k norm, no temperature, no_rope_layers and moe_layers given, chunk 23",
        if_ignored={"no chunks": {"attention_chunk_size": 8192}, "one expert": {"num_experts_per_tok": 1}},
        note="moe_layers wins over interleave_moe_layer_step; layers without rope are not chunked",
    ),
    "deepseek-v2": dict(
        cls=DeepseekV2ForCausalLM, tokenizer="gpt2", seed=17, routers="mlp.gate",
        config=DeepseekV2Config(**DEEPSEEK, q_lora_rank=32, topk_method="group_limited_greedy", n_group=4, topk_group=2,
                                num_experts_per_tok=3, routed_scaling_factor=4.0),
        what="latent attention with q_lora_rank, softmax routing limited to groups (best expert of a group counts), routed_scaling_factor",
        if_ignored={"greedy": {"topk_method": "greedy"}, "scaling factor 1": {"routed_scaling_factor": 1.0}},
        note="group score = maximum of its experts (deepseek_v3: sum of the two best); weights are not renormalised",
    ),
    "deepseek-v2-lite": dict(
        cls=DeepseekV2ForCausalLM, tokenizer="gpt2", seed=18, routers="mlp.gate", prepare=deepseek_attention_scale,
        config=DeepseekV2Config(**{**DEEPSEEK, "n_shared_experts": 2}, q_lora_rank=None, topk_method="greedy", n_group=1,
                                topk_group=1, num_experts_per_tok=2, routed_scaling_factor=1.0,
                                rope_scaling={"beta_fast": 32, "beta_slow": 1, "factor": 4.0, "mscale": 0.707,
                                              "mscale_all_dim": 0.707, "original_max_position_embeddings": 64, "type": "yarn"}),
        what="no q_lora_rank, greedy softmax routing, two shared experts, yarn with mscale",
        if_ignored={"no rope_scaling": {"rope_scaling": None}, "no mscale in the scale of scores": library_scale},
        note="scores are multiplied by (1 + 0.1*mscale_all_dim*ln(factor))^2 as in the model's own code; the library's class (4.57.1) leaves this out, "
             "so its attention was corrected for these logits. cos and sin are not scaled since mscale == mscale_all_dim",
    ),
    "qwen3-moe-dense-layers": dict(
        cls=Qwen3MoeForCausalLM, tokenizer="qwen", seed=19, routers="mlp.gate",
        config=Qwen3MoeConfig(**{**COMMON, "hidden_size": 48}, num_hidden_layers=4, num_key_value_heads=2, head_dim=16,
                              intermediate_size=64, moe_intermediate_size=24, num_experts=6, num_experts_per_tok=2,
                              norm_topk_prob=False, decoder_sparse_step=2, mlp_only_layers=[3], tie_word_embeddings=False),
        what="decoder_sparse_step 2 and mlp_only_layers [3]: only layer 1 has experts; weights not renormalised",
        if_ignored={"norm_topk_prob flipped": {"norm_topk_prob": True}},
        note="layer i has experts if it is not in mlp_only_layers and (i+1) % decoder_sparse_step == 0",
    ),
    "gemma3-rope-linear": dict(
        cls=Gemma3ForCausalLM, tokenizer="gemma", seed=20, gains={"embed_tokens": 0.2},
        config=Gemma3TextConfig(**{**COMMON, "vocab_size": 384, "hidden_size": 48}, num_hidden_layers=4,
                                num_key_value_heads=1, head_dim=16, intermediate_size=64, sliding_window=13,
                                sliding_window_pattern=2, query_pre_attn_scalar=24, rope_theta=1000000.0,
                                rope_scaling={"factor": 8.0, "rope_type": "linear"}),
        what="linear rope_scaling, in force on the full layers only; layer_types given",
        if_ignored={"no rope_scaling": {"rope_scaling": None}, "no window": {"sliding_window": 4096}},
        note="layers 1 and 3 are full (layer_types)",
    ),
}


def to_mxfp4(weight):
    """[E, in, out] -> blocks [E, out, in/32, 16], scales [E, out, in/32] and the values they stand for."""
    table = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    rows = weight.transpose(1, 2).contiguous().float()
    groups = rows.view(*rows.shape[:2], -1, 32)
    exponent = torch.floor(torch.log2(groups.abs().amax(-1))) - 2  # the largest of a group lies in [4, 8)
    scaled = groups / torch.exp2(exponent)[..., None]
    code = (scaled.abs()[..., None] - table).abs().argmin(-1)
    code = (code + 8 * (scaled < 0)).to(torch.uint8)
    blocks = code[..., 0::2] | (code[..., 1::2] << 4)
    return blocks.contiguous(), (exponent + 127).to(torch.uint8).contiguous()


def pack_experts(model, state):
    for name in [name for name in state if name.endswith(("gate_up_proj", "down_proj"))]:
        blocks, scales = to_mxfp4(state.pop(name))
        state[name + "_blocks"], state[name + "_scales"] = blocks, scales
        decoded = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        model.get_parameter(name).data.copy_(decoded.float())


def changed(case, model, change):
    """Logits with one feature left out or replaced."""
    if callable(change):
        twin = build(case["cls"], case["config"])
        twin.load_state_dict(model.state_dict())
        case.get("prepare", lambda m: None)(twin)
        change(twin)
        return twin
    data = case["config"].to_dict()
    if "no_rope_layers" in change:
        data.pop("layer_types", None)
    data.update(change)
    twin = build(case["cls"], type(case["config"]).from_dict(data))
    twin.load_state_dict(model.state_dict())
    case.get("prepare", lambda m: None)(twin)
    return twin


def build(cls, config):
    config._attn_implementation = "eager"
    return cls(config).eval()


def make(name, case, tokenizers, out):
    folder = out / name
    source, special = TOKENIZERS[case["tokenizer"]]
    tokenizer = copy_tokenizer(tokenizers / source, folder)
    config = case["config"]
    for key, value in special.items():
        setattr(config, key, value)
    routers = case.get("routers")
    model = build(case["cls"], config)
    randomise(model, case["seed"], case.get("gains"))
    case.get("prepare", lambda m: None)(model)
    scale_head(model, tokenizer("Every garden follows one bright river, so the machine computes.")["input_ids"])
    round_to_bf16(model)
    state = tensors_of(model)
    if case.get("mxfp4"):
        pack_experts(model, state)
    ids, continuation, margin, routing, text = choose_prompt(model, tokenizer, case["seed"], routers)
    logits = forward(model, ids)
    difference = (logits - forward(in_float64(model), ids)).abs().max().item()

    save_bf16(state, folder / "model.safetensors")
    config.architectures = [case["cls"].__name__]
    config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    written.pop("dtype", None)
    written["torch_dtype"] = "bfloat16"
    if (written.get("rope_scaling") or {}).get("type"):
        written["rope_scaling"].pop("rope_type", None)  # published files have only "type"
    if case.get("mxfp4"):
        written["quantization_config"] = {
            "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
            "quant_method": "mxfp4",
        }
    (folder / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    save_file({"input_ids": torch.tensor(ids), "logits": logits.float().contiguous(),
               "greedy_ids": torch.tensor(continuation)}, folder / "expected.safetensors")
    write_json(folder / "text.json", text)

    # What the folder holds is what was computed.
    twin = build(case["cls"], type(config).from_pretrained(folder))
    stored = load_file(folder / "model.safetensors")
    for key in [key for key in stored if key.endswith("_blocks")]:
        scales = stored.pop(key.replace("_blocks", "_scales"))
        stored[key.removesuffix("_blocks")] = convert_moe_packed_tensors(stored.pop(key), scales, dtype=torch.float32)
    missing, unexpected = twin.load_state_dict({k: v.float() for k, v in stored.items()}, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    twin.tie_weights()
    case.get("prepare", lambda m: None)(twin)
    assert torch.equal(forward(twin, ids), logits), name
    assert tokenizer(text["prompt"])["input_ids"] == ids

    ignored = {label: round((forward(changed(case, model, change), ids) - logits).abs().max().item(), 5)
               for label, change in case["if_ignored"].items()}
    description = {
        "arch": config.model_type, "class": case["cls"].__name__, "what": case["what"], "made_with": MADE_WITH,
        "atol": max(5e-4, round_up(40 * difference)), "dtype": "f32",
        "weights": {"format": "safetensors", "dtype": "bf16" + (" and MXFP4 experts" if case.get("mxfp4") else "")},
        "T": len(ids), "vocab": config.vocab_size, "n_greedy": len(continuation), "tokenizer": case["tokenizer"],
        "beyond_mistralrs_0_3": True, "logit_std": round(logits.std().item(), 3),
        "f32_vs_f64_max_diff": float(f"{difference:.3g}"), "greedy_smallest_margin": round(margin, 4),
        **({"routing_smallest_margin": round(routing, 5)} if routers else {}),
        "if_ignored_max_diff": ignored, "note": case["note"],
    }
    write_json(folder / "case.json", description)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: T {len(ids)}, {size // 1024} KiB, f64 {difference:.2e}, margin {margin:.3f}, routing {routing:.4f}, {ignored}", flush=True)


def main():
    torch.set_num_threads(1)
    tokenizers, out = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:] or CASES:
        make(name, CASES[name], tokenizers, out)


if __name__ == "__main__":
    main()
