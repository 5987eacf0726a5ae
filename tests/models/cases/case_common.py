"""What the makers of reference cases share: random weights, prompts with clear decisions, reference logits."""

import copy
import json
import math
import random
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

MADE_WITH = "transformers 4.57.1 / torch 2.6.0"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
SMALLEST_MARGIN = 0.02  # between best and second-best logit of a greedy step
SMALLEST_ROUTING_MARGIN = 0.001  # between the last chosen and the first rejected expert

WORDS = """river garden machine answer layer train window paper silver winter bridge letter music station
quiet green early seven small heavy bright no every this some that a one the returns finds writes computes
opens carries follows turns reads keeps between under before after so while and but""".split()


def sentence(rng, words):
    text = " ".join(rng.choice(WORDS) for _ in range(words))
    extra = rng.choice(["", " Straße", " 2024", " naïve", " (x + 1)", " 日本"])
    return text[0].upper() + text[1:] + extra + rng.choice([".", "!", ","])


def randomise(model, seed, gains=None):
    """Weights large enough that every part of the network moves the logits; rounded to bfloat16."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, std):
        return torch.randn(shape, generator=generator) * std

    def gain(name):
        for part, value in (gains or {}).items():
            if part in name:
                return value
        return 1.8 if any(part in name for part in ("q_proj", "k_proj", "router", "gate.weight")) else 1.3

    with torch.no_grad():
        for name, p in model.named_parameters():
            if "embed_tokens" in name:
                value = normal(p.shape, (gains or {}).get("embed_tokens", 1.0))
            elif name.endswith("sinks"):
                value = 0.7 + normal(p.shape, 1.0)
            elif name.endswith("norm.weight"):
                value = normal(p.shape, 0.3) + (0.0 if "gemma" in model.config.model_type else 1.0)
            elif "bias" in name:
                value = normal(p.shape, 0.3)
            elif p.dim() == 3:  # experts [E, in, out]
                value = normal(p.shape, gain(name) / math.sqrt(p.shape[1]))
            else:
                value = normal(p.shape, gain(name) / math.sqrt(p.shape[-1]))
            p.copy_(value)


def scale_head(model, ids, wanted=3.0):
    """Scales the head (or the last norm of a tied one) so that the logits deviate by about `wanted`."""
    with torch.no_grad():
        factor = wanted / forward(model, ids).std()
        head = model.lm_head.weight
        if head is model.get_input_embeddings().weight:
            norm = model.model.norm.weight
            offset = 1.0 if "gemma" in model.config.model_type else 0.0
            norm.copy_((norm + offset) * factor - offset)
        else:
            head.mul_(factor)


def round_to_bf16(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.bfloat16().float())


def forward(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def in_float64(model):
    """The same model in float64: the library's norms compute in float32 unless told otherwise."""
    twin = copy.deepcopy(model).double()
    for module in twin.modules():
        kind = type(module).__name__
        if kind.endswith(("RMSNorm", "L2Norm")):
            eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
            weight = getattr(module, "weight", None)
            offset = 1.0 if "Gemma" in kind else 0.0

            def norm(x, eps=eps, weight=weight, offset=offset):
                x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
                return x if weight is None else x * (weight + offset)

            module.forward = norm
    return twin


class RoutingMargins:
    """Watches the routers of a model: the smallest gap between chosen and rejected experts."""

    def __init__(self, model, routers):
        self.smallest = math.inf
        self.config = model.config
        self.top_k = model.config.num_experts_per_tok if routers else 0
        for name, module in model.named_modules():
            if routers and name.endswith(routers) and hasattr(module, "weight"):
                module.register_forward_hook(self.look)

    def look(self, module, inputs, _):
        x = inputs[0].reshape(-1, inputs[0].shape[-1])
        logits = F.linear(x, module.weight, getattr(module, "bias", None))
        if getattr(self.config, "topk_method", "") == "group_limited_greedy":
            groups = logits.view(logits.shape[0], self.config.n_group, -1)
            best = groups.max(-1).values
            self.note(best, self.config.topk_group)
            kept = torch.zeros_like(best).scatter_(1, best.topk(self.config.topk_group).indices, 1)
            logits = groups.masked_fill(kept[..., None] == 0, -math.inf).flatten(1)
        self.note(logits, self.top_k)

    def note(self, scores, k):
        top = scores.topk(k + 1, dim=-1).values
        gap = (top[:, k - 1] - top[:, k]).min().item()
        self.smallest = min(self.smallest, gap)


def greedy(model, ids, count):
    """Greedy continuation by full recomputation, and the smallest margin on the way."""
    ids = list(ids)
    margin = math.inf
    for _ in range(count):
        best = forward(model, ids)[-1].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return ids[-count:], margin


def round_up(value):
    return math.ceil(value * 10000) / 10000


def write_json(path, data):
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def choose_prompt(model, tokenizer, seed, routers):
    """A prompt of 51 to 58 tokens and a chat whose decisions are not close to a tie."""
    end = model.config.eos_token_id
    ends = set(end if isinstance(end, list) else [end])

    def accepted(ids, count):
        margins = RoutingMargins(model, routers)
        continuation, margin = greedy(model, ids, count)
        ok = margin >= SMALLEST_MARGIN and margins.smallest >= SMALLEST_ROUTING_MARGIN
        for module in model.modules():
            module._forward_hooks.clear()
        return (ok and not ends & set(continuation)), continuation, margin, margins.smallest

    for attempt in range(3000):
        rng = random.Random(seed * 1000 + attempt)
        prompt = " ".join(sentence(rng, rng.randint(4, 8)) for _ in range(2))
        ids = tokenizer(prompt)["input_ids"]
        if not 51 <= len(ids) <= 58:
            continue
        ok, continuation, margin, routing = accepted(ids, 16)
        if ok:
            break
    else:
        raise SystemExit("no prompt with clear decisions")
    for attempt in range(1000):
        rng = random.Random(seed * 1000 + 500 + attempt)
        messages = [{"role": "user", "content": " ".join(rng.choice(WORDS) for _ in range(3)).capitalize()}]
        rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        chat_ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
        ok, chat_greedy, chat_margin, _ = accepted(chat_ids, 8)
        if ok:
            break
    else:
        raise SystemExit("no chat with clear decisions")
    text = {
        "prompt": prompt,
        "greedy_text": tokenizer.decode(continuation),
        "chat": {
            "messages": messages,
            "add_generation_prompt": True,
            "rendered": rendered,
            "ids": chat_ids,
            "greedy_ids": chat_greedy,
            "smallest_margin": round(chat_margin, 4),
        },
    }
    return ids, continuation, margin, routing, text


def copy_tokenizer(source, target):
    target.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    return AutoTokenizer.from_pretrained(target)


def tensors_of(model):
    """State of a model as files hold it: a tied head is stored once."""
    state = dict(model.state_dict())
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def save_bf16(state, path):
    save_file(
        {k: v if v.dtype == torch.uint8 else v.bfloat16().contiguous() for k, v in state.items()},
        path,
        metadata={"format": "pt"},
    )


__all__ = [name for name in dir() if not name.startswith("_")]
