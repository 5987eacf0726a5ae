"""How each family lies in a GGUF: metadata and the place of every weight.

A layout gets the config and the weights of a Hugging Face folder and gives metadata (without the prefix of the architecture)
and tensors. It only moves values (no arithmetic), so it can be run on numbered weights to learn where each one went.
"""

import math

import numpy as np


def permuted(w, heads):
    """Rows of every head from half-split to interleaved rotary order."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def basics(c, eps="attention.layer_norm_rms_epsilon", eps_value=None):
    kv = {
        "block_count": c.num_hidden_layers, "context_length": c.max_position_embeddings, "embedding_length": c.hidden_size,
        "feed_forward_length": c.intermediate_size, "attention.head_count": c.num_attention_heads,
        "attention.head_count_kv": c.num_key_value_heads, "rope.freq_base": float(c.rope_theta),
        eps: float(eps_value if eps_value is not None else c.rms_norm_eps),
    }
    return kv


def yarn(c):
    s = c.rope_scaling or {}
    if s.get("rope_type", s.get("type")) != "yarn":
        return {}
    kv = {"rope.scaling.type": "yarn", "rope.scaling.factor": float(s["factor"]),
          "rope.scaling.original_context_length": s["original_max_position_embeddings"]}
    for key, name in (("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")):
        if key in s:
            kv["rope.scaling." + name] = float(s[key])
    return kv


def outer(w, tensors, head=True):
    tensors["token_embd.weight"] = w["model.embed_tokens.weight"]
    tensors["output_norm.weight"] = w["model.norm.weight"]
    if head and "lm_head.weight" in w:
        tensors["output.weight"] = w["lm_head.weight"]


def take(w, tensors, source, target, optional=("bias",)):
    for kind in ("weight", "bias"):
        if f"{source}.{kind}" in w:
            tensors[f"{target}.{kind}"] = w[f"{source}.{kind}"]
        else:
            assert kind in optional, source


def attention(w, tensors, i, permute=None):
    for hf, gg in (("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v"), ("o_proj", "attn_output")):
        take(w, tensors, f"model.layers.{i}.self_attn.{hf}", f"blk.{i}.{gg}")
        if permute and gg in permute:
            for kind in ("weight", "bias"):
                if f"blk.{i}.{gg}.{kind}" in tensors:
                    tensors[f"blk.{i}.{gg}.{kind}"] = permuted(tensors[f"blk.{i}.{gg}.{kind}"], permute[gg])


def gated(w, tensors, source, i, suffix=""):
    for hf, gg in (("gate_proj", "ffn_gate"), ("up_proj", "ffn_up"), ("down_proj", "ffn_down")):
        take(w, tensors, f"{source}.{hf}", f"blk.{i}.{gg}{suffix}")


def stacked(w, source, name, count):
    return np.stack([w[f"{source}.{e}.{name}.weight"] for e in range(count)])


def command_r(c, w):
    kv = basics(c, "attention.layer_norm_epsilon", c.layer_norm_eps)
    kv |= {"logit_scale": float(c.logit_scale), "rope.scaling.type": "none"}
    t = {}
    outer(w, t, head=False)
    for i in range(c.num_hidden_layers):
        take(w, t, f"model.layers.{i}.input_layernorm", f"blk.{i}.attn_norm")
        attention(w, t, i)
        gated(w, t, f"model.layers.{i}.mlp", i)
    return kv, t


def olmo2(c, w):
    kv, t = basics(c), {}
    outer(w, t)
    for i in range(c.num_hidden_layers):
        layer = f"model.layers.{i}"
        attention(w, t, i)
        take(w, t, f"{layer}.self_attn.q_norm", f"blk.{i}.attn_q_norm")
        take(w, t, f"{layer}.self_attn.k_norm", f"blk.{i}.attn_k_norm")
        take(w, t, f"{layer}.post_attention_layernorm", f"blk.{i}.post_attention_norm")
        take(w, t, f"{layer}.post_feedforward_layernorm", f"blk.{i}.post_ffw_norm")
        gated(w, t, f"{layer}.mlp", i)
    return kv, t


def gptneox(c, w):
    heads = c.num_attention_heads
    kv = {
        "context_length": c.max_position_embeddings, "embedding_length": c.hidden_size, "block_count": c.num_hidden_layers,
        "feed_forward_length": c.intermediate_size, "rope.dimension_count": int(c.rotary_pct * (c.hidden_size // heads)),
        "attention.head_count": heads, "use_parallel_residual": bool(c.use_parallel_residual),
        "attention.layer_norm_epsilon": float(c.layer_norm_eps),
    }
    t = {"token_embd.weight": w["gpt_neox.embed_in.weight"], "output.weight": w["embed_out.weight"]}
    take(w, t, "gpt_neox.final_layer_norm", "output_norm")
    for i in range(c.num_hidden_layers):
        layer = f"gpt_neox.layers.{i}"
        for hf, gg in (("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"), ("attention.dense", "attn_output"),
                       ("mlp.dense_h_to_4h", "ffn_up"), ("mlp.dense_4h_to_h", "ffn_down")):
            take(w, t, f"{layer}.{hf}", f"blk.{i}.{gg}")
        for kind in ("weight", "bias"):  # rows of each head q, k, v -> all q, all k, all v
            merged = w[f"{layer}.attention.query_key_value.{kind}"]
            t[f"blk.{i}.attn_qkv.{kind}"] = merged.reshape(heads, 3, -1, *merged.shape[1:]).swapaxes(0, 1).reshape(merged.shape)
    return kv, t


def llama_like(c, w):
    kv, t = basics(c), {}
    kv |= {"vocab_size": c.vocab_size, "rope.dimension_count": c.hidden_size // c.num_attention_heads}
    outer(w, t)
    for i in range(c.num_hidden_layers):
        take(w, t, f"model.layers.{i}.input_layernorm", f"blk.{i}.attn_norm")
        take(w, t, f"model.layers.{i}.post_attention_layernorm", f"blk.{i}.ffn_norm")
        attention(w, t, i, {"attn_q": c.num_attention_heads, "attn_k": c.num_key_value_heads})
        gated(w, t, f"model.layers.{i}.mlp", i)
    return kv, t


def granite(c, w):
    kv, t = llama_like(c, w)
    kv |= {"attention.scale": float(c.attention_multiplier), "embedding_scale": float(c.embedding_multiplier),
           "residual_scale": float(c.residual_multiplier), "logit_scale": float(c.logits_scaling)}
    return kv, t


def deepseek2(c, w, absorbed=True):
    kv = basics(c) | yarn(c)
    head = c.qk_nope_head_dim + c.qk_rope_head_dim
    kv |= {
        "vocab_size": c.vocab_size, "leading_dense_block_count": c.first_k_dense_replace, "attention.kv_lora_rank": c.kv_lora_rank,
        "rope.dimension_count": c.qk_rope_head_dim, "expert_feed_forward_length": c.moe_intermediate_size,
        "expert_count": c.n_routed_experts, "expert_used_count": c.num_experts_per_tok, "expert_shared_count": c.n_shared_experts,
        "expert_weights_scale": float(c.routed_scaling_factor),
        "expert_gating_func": {"softmax": 1, "sigmoid": 2}[c.scoring_func],
    }
    if c.n_group is not None:
        kv |= {"expert_group_count": c.n_group, "expert_group_used_count": c.topk_group}
    if c.norm_topk_prob:
        kv["expert_weights_norm"] = True
    if c.q_lora_rank:
        kv["attention.q_lora_rank"] = c.q_lora_rank
    if absorbed:
        kv |= {"attention.head_count_kv": 1, "attention.key_length": c.kv_lora_rank + c.qk_rope_head_dim,
               "attention.value_length": c.kv_lora_rank, "attention.key_length_mla": head, "attention.value_length_mla": c.v_head_dim}
    else:
        kv |= {"attention.head_count_kv": c.num_attention_heads, "attention.key_length": head, "attention.value_length": c.v_head_dim}
    if (c.rope_scaling or {}).get("mscale_all_dim"):
        kv["rope.scaling.yarn_log_multiplier"] = 0.1 * c.rope_scaling["mscale_all_dim"]
    t = {}
    outer(w, t)
    for i in range(c.num_hidden_layers):
        layer, blk = f"model.layers.{i}", f"blk.{i}"
        take(w, t, f"{layer}.input_layernorm", f"{blk}.attn_norm")
        take(w, t, f"{layer}.post_attention_layernorm", f"{blk}.ffn_norm")
        parts = [("kv_a_proj_with_mqa", "attn_kv_a_mqa"), ("kv_a_layernorm", "attn_kv_a_norm"), ("o_proj", "attn_output")]
        parts += [("q_a_proj", "attn_q_a"), ("q_a_layernorm", "attn_q_a_norm"), ("q_b_proj", "attn_q_b")] if c.q_lora_rank else [("q_proj", "attn_q")]
        for hf, gg in parts:
            take(w, t, f"{layer}.self_attn.{hf}", f"{blk}.{gg}")
        merged = w[f"{layer}.self_attn.kv_b_proj.weight"]
        if absorbed:
            rows = merged.reshape(c.num_attention_heads, c.qk_nope_head_dim + c.v_head_dim, -1)
            t[f"{blk}.attn_k_b.weight"] = rows[:, : c.qk_nope_head_dim].swapaxes(1, 2)
            t[f"{blk}.attn_v_b.weight"] = rows[:, c.qk_nope_head_dim :]
        else:
            t[f"{blk}.attn_kv_b.weight"] = merged
        if i < c.first_k_dense_replace:
            gated(w, t, f"{layer}.mlp", i)
            continue
        take(w, t, f"{layer}.mlp.gate", f"{blk}.ffn_gate_inp")
        if f"{layer}.mlp.gate.e_score_correction_bias" in w:
            t[f"{blk}.exp_probs_b.bias"] = w[f"{layer}.mlp.gate.e_score_correction_bias"]
        for kind in ("gate", "up", "down"):
            t[f"{blk}.ffn_{kind}_exps.weight"] = stacked(w, f"{layer}.mlp.experts", f"{kind}_proj", c.n_routed_experts)
        gated(w, t, f"{layer}.mlp.shared_experts", i, "_shexp")
    return kv, t


def deepseek2_merged(c, w):
    return deepseek2(c, w, absorbed=False)


def phimoe(c, w):
    original = c.rope_scaling["original_max_position_embeddings"]
    kv = basics(c)
    kv |= {
        "rope.scaling.original_context_length": original, "rope.dimension_count": c.hidden_size // c.num_attention_heads,
        "attention.sliding_window": c.sliding_window or 0, "expert_used_count": c.num_experts_per_tok, "expert_count": c.num_local_experts,
        "rope.scaling.attn_factor": math.sqrt(1 + math.log(c.max_position_embeddings / original) / math.log(original)),
    }
    t = {}
    outer(w, t)
    take(w, t, "model.norm", "output_norm")
    take(w, t, "lm_head", "output")
    for i in range(c.num_hidden_layers):
        layer = f"model.layers.{i}"
        take(w, t, f"{layer}.input_layernorm", f"blk.{i}.attn_norm")
        take(w, t, f"{layer}.post_attention_layernorm", f"blk.{i}.ffn_norm")
        attention(w, t, i)
        take(w, t, f"{layer}.block_sparse_moe.gate", f"blk.{i}.ffn_gate_inp")
        for hf, gg in (("w1", "gate"), ("w2", "down"), ("w3", "up")):
            t[f"blk.{i}.ffn_{gg}_exps.weight"] = stacked(w, f"{layer}.block_sparse_moe.experts", hf, c.num_local_experts)
    return kv, t


def gpt_oss(c, w):
    kv = basics(c) | yarn(c)
    kv |= {"attention.key_length": c.head_dim, "attention.value_length": c.head_dim, "attention.sliding_window": c.sliding_window,
           "expert_count": c.num_local_experts, "expert_used_count": c.num_experts_per_tok, "expert_feed_forward_length": c.intermediate_size}
    t = {}
    outer(w, t)
    for i in range(c.num_hidden_layers):
        layer, blk = f"model.layers.{i}", f"blk.{i}"
        take(w, t, f"{layer}.input_layernorm", f"{blk}.attn_norm")
        take(w, t, f"{layer}.post_attention_layernorm", f"{blk}.post_attention_norm")
        attention(w, t, i)
        t[f"{blk}.attn_sinks.weight"] = w[f"{layer}.self_attn.sinks"]
        take(w, t, f"{layer}.mlp.router", f"{blk}.ffn_gate_inp")
        both = w[f"{layer}.mlp.experts.gate_up_proj"].swapaxes(1, 2)
        bias = w[f"{layer}.mlp.experts.gate_up_proj_bias"]
        for first, gg in ((0, "gate"), (1, "up")):
            t[f"{blk}.ffn_{gg}_exps.weight"] = both[:, first::2]
            t[f"{blk}.ffn_{gg}_exps.bias"] = bias[:, first::2]
        t[f"{blk}.ffn_down_exps.weight"] = w[f"{layer}.mlp.experts.down_proj"].swapaxes(1, 2)
        t[f"{blk}.ffn_down_exps.bias"] = w[f"{layer}.mlp.experts.down_proj_bias"]
    return kv, t


def llama4(c, w):
    kv = basics(c)
    kv |= {
        "feed_forward_length": c.intermediate_size_mlp, "expert_feed_forward_length": c.intermediate_size, "vocab_size": c.vocab_size,
        "rope.dimension_count": c.head_dim, "attention.key_length": c.head_dim, "attention.value_length": c.head_dim,
        "interleave_moe_layer_step": c.interleave_moe_layer_step, "expert_count": c.num_local_experts, "expert_used_count": c.num_experts_per_tok,
    }
    t = {}
    outer(w, t)
    for i in range(c.num_hidden_layers):
        layer, blk = f"model.layers.{i}", f"blk.{i}"
        take(w, t, f"{layer}.input_layernorm", f"{blk}.attn_norm")
        take(w, t, f"{layer}.post_attention_layernorm", f"{blk}.ffn_norm")
        attention(w, t, i)
        if i not in c.moe_layers:
            gated(w, t, f"{layer}.feed_forward", i)
            continue
        take(w, t, f"{layer}.feed_forward.router", f"{blk}.ffn_gate_inp")
        gated(w, t, f"{layer}.feed_forward.shared_expert", i, "_shexp")
        gate_up = w[f"{layer}.feed_forward.experts.gate_up_proj"].swapaxes(1, 2)
        t[f"{blk}.ffn_gate_exps.weight"] = gate_up[:, : c.intermediate_size]
        t[f"{blk}.ffn_up_exps.weight"] = gate_up[:, c.intermediate_size :]
        t[f"{blk}.ffn_down_exps.weight"] = w[f"{layer}.feed_forward.experts.down_proj"].swapaxes(1, 2)
    return kv, t


def rotary_tensors(c):
    """Tensors that come from the config: factors that divide the inverse frequencies."""
    s = c.rope_scaling or {}
    kind = s.get("rope_type", s.get("type"))
    if kind == "longrope":
        return {f"rope_factors_{k}.weight": np.array(s[f"{k}_factor"], np.float32) for k in ("long", "short")}
    if kind != "llama3":
        return {}
    frequencies = c.rope_theta ** -(np.arange(0, c.head_dim, 2) / c.head_dim)
    wavelengths = 2 * np.pi / frequencies
    low, high, original = s["low_freq_factor"], s["high_freq_factor"], s["original_max_position_embeddings"]
    smooth = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    return {"rope_freqs.weight": (1 / ((1 - smooth) / s["factor"] + smooth)).astype(np.float32)}
