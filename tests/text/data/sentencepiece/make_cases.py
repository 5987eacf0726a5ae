#!/usr/bin/env python3
"""Makes the model folders beside this file and their expected ids with the SentencePiece library.

    pip install sentencepiece==0.2.0 protobuf
    ./make_cases.py [--cases N] [--seed N] [--out FOLDER]

Each folder gets tokenizer.model and cases.jsonl: one {"text", "ids", "decoded"} a line, no special
tokens added.
"""
import argparse
import io
import json
import pathlib
import random

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]

SENTENCES = [
    "The quick brown fox jumps over the lazy dog; 12 of them did, 345 did not.",
    "Der Fluß fließt über die Brücke, während Müller größere Äpfel ißt.",
    "L'été dernier, nous avons vu où naît le fleuve à côté d'une forêt.",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "速い茶色の狐は怠け者の犬を飛び越える。カタカナもある。",
    "敏捷的棕色狐狸跳过了懒狗，一共三百四十五次。",
    "def area(r):\n    return 3.14159 * r ** 2  # a comment\n",
    "for (int i = 0; i < n; ++i) { sum += values[i]; }",
    "😀 emoji 👍🏽 and flags 🇩🇪 🇯🇵",
    "ｆｕｌｌｗｉｄｔｈ ﬁne ½ ² ℃",
]

# name: (options of the trainer, pieces that become unused)
MODELS = {
    "bpe_bytes": (dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                       remove_extra_whitespaces=False, vocab_size=700, split_digits=True,
                       allow_whitespace_only_pieces=True), 0),
    "bpe_symbols": (dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                         add_dummy_prefix=False, remove_extra_whitespaces=False, vocab_size=700,
                         user_defined_symbols=["\n\n", "▁▁", "▁▁▁", "<b>", "fox"],
                         control_symbols=["<turn>"], bos_piece="<bos>", eos_piece="<eos>",
                         pad_id=3), 0),
    "bpe_unused": (dict(model_type="bpe", vocab_size=500, character_coverage=1.0,
                        normalization_rule_name="identity"), 40),
    "unigram": (dict(model_type="unigram", vocab_size=400, normalization_rule_name="identity"), 0),
    "unigram_bytes": (dict(model_type="unigram", vocab_size=700, byte_fallback=True,
                           user_defined_symbols=["<b>", "über", " x"], pad_id=3,
                           control_symbols=["<turn>"]), 20),
    "unigram_suffix": (dict(model_type="unigram", vocab_size=400, treat_whitespace_as_suffix=True,
                            normalization_rule_name="identity"), 0),
}

FRAGMENTS = [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", "▁", "▁▁", "<b>",
             "fox", "über", " x", "<s>", "</s>", "<unk>", "<turn>", "<0x41>", "e\u0301", "ﬁ", "Ⅷ",
             "\u200b", "\u200d", "👍🏽", "🇩🇪", "한국어", "\ufffd", "½", "ABC", "1234", "'s"]


def corpus():
    lines = list(SENTENCES)
    for path in sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md"]:
        lines += [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    return lines


def make_model(options, unused, lines):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, num_threads=1, hard_vocab_limit=False,
        minloglevel=2, **options)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(out.getvalue())
    normal = [p for p in proto.pieces if p.type == p.NORMAL and 1 < len(p.piece) < 6]
    for piece in random.Random(1).sample(normal, unused):
        piece.type = piece.UNUSED
    return proto.SerializeToString(deterministic=True)


def random_text(rng, lines):
    parts = []
    for _ in range(rng.randint(0, 6)):
        kind = rng.random()
        if kind < 0.45:
            line = rng.choice(lines)
            begin = rng.randrange(len(line))
            parts.append(line[begin:begin + rng.randint(1, 30)])
        elif kind < 0.85:
            parts.append(rng.choice(FRAGMENTS))
        else:
            limit = rng.choice([0x80, 0x250, 0x3000, 0xD7FF, 0x1FFFF])
            char = chr(rng.randrange(1, limit))
            parts.append(char if not 0xD800 <= ord(char) <= 0xDFFF else "?")
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=120)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    args = parser.parse_args()
    lines = corpus()
    for name, (options, unused) in MODELS.items():
        folder = args.out / name
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / "tokenizer.model"
        if not model.exists():
            model.write_bytes(make_model(options, unused, lines))
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        rng = random.Random(f"{args.seed} {name}")
        with open(folder / "cases.jsonl", "w", encoding="utf-8") as out:
            for _ in range(args.cases):
                text = random_text(rng, lines)
                ids = processor.encode(text)
                case = {"text": text, "ids": ids, "decoded": processor.decode(ids)}
                out.write(json.dumps(case, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
