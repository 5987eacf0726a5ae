#include "text/tokenizer/gguf_vocabulary.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "text/tokenizer/gguf_pre_tokenizer.h"

namespace mistral::text {
namespace {

using formats::GgufMetadata;
using Kind = GgufVocabulary::Kind;
using Model = GgufVocabulary::Model;

constexpr std::string_view kModelKey = "tokenizer.ggml.model";
constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";

// Tokens that end a turn or frame code in models whose files list them as plain text.
constexpr std::array<std::string_view, 44> kControlTexts{"<|eot_id|>",
                                                         "<|im_end|>",
                                                         "<|end|>",
                                                         "<|return|>",
                                                         "<|call|>",
                                                         "<|flush|>",
                                                         "<|calls|>",
                                                         "<end_of_turn>",
                                                         "<|endoftext|>",
                                                         "</s>",
                                                         "<|eom_id|>",
                                                         "<EOT>",
                                                         "_<EOT>",
                                                         "[EOT]",
                                                         "[EOS]",
                                                         "<|end_of_text|>",
                                                         "<end_of_utterance>",
                                                         "<eos>",
                                                         "<turn|>",
                                                         "<|tool_response>",
                                                         "<｜end▁of▁sentence｜>",
                                                         "[e~[",
                                                         "<|fim_prefix|>",
                                                         "<fim-prefix>",
                                                         "<fim_prefix>",
                                                         "<｜fim▁begin｜>",
                                                         "<PRE>",
                                                         "▁<PRE>",
                                                         "<|fim_suffix|>",
                                                         "<fim-suffix>",
                                                         "<fim_suffix>",
                                                         "<｜fim▁hole｜>",
                                                         "<SUF>",
                                                         "▁<SUF>",
                                                         "<|fim_middle|>",
                                                         "<fim-middle>",
                                                         "<fim_middle>",
                                                         "<｜fim▁end｜>",
                                                         "<MID>",
                                                         "▁<MID>",
                                                         "<|fim_pad|>",
                                                         "<|fim_repo|>",
                                                         "<|repo_name|>",
                                                         "<|file_sep|>"};

Model parse_model(std::string_view name) {
  if (name == "gpt2" || name == "gemma4") return Model::kBytePair;
  if (name == "llama") return Model::kSentencePiece;
  if (name == "t5") return Model::kUnigram;
  if (name == "bert") return Model::kWordPiece;
  throw make_error(ErrorKind::kUnsupported,
                   "{}: expected gpt2, llama, t5, bert or gemma4, found \"{}\"", kModelKey, name);
}

void check_count(std::string_view key, std::size_t count, std::size_t tokens) {
  if (count < tokens) {
    throw make_error(ErrorKind::kInvalidFile, "{}: expected {} entries as in {}, found {}", key,
                     tokens, kTokensKey, count);
  }
}

void load_tokens(const GgufMetadata& gguf, GgufVocabulary& out) {
  const formats::GgufArray* array = gguf.array(kTokensKey);
  if (array == nullptr) throw make_error(ErrorKind::kInvalidFile, "{}: missing", kTokensKey);
  const auto* texts = std::get_if<std::vector<std::string_view>>(&array->elements);
  if (texts == nullptr || texts->empty()) {
    throw make_error(ErrorKind::kInvalidFile, "{}: expected a list of strings", kTokensKey);
  }
  if (texts->size() > static_cast<std::size_t>(std::numeric_limits<TokenId>::max()) / 4) {
    throw make_error(ErrorKind::kInvalidFile, "{}: {} tokens are too many", kTokensKey,
                     texts->size());
  }
  std::size_t bytes = 0;
  for (const std::string_view text : *texts) bytes += text.size();
  out.tokens.reserve(texts->size(), bytes);
  std::size_t repeated = 0;
  constexpr std::size_t kAhead = 16;
  for (std::size_t i = 0; i < texts->size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (i + kAhead < texts->size()) out.tokens.prefetch((*texts)[i + kAhead]);
    const bool fresh = (*texts)[i].empty() ? out.tokens.add(id, fmt::format("[EMPTY_{}]", i))
                                           : out.tokens.add(id, (*texts)[i]);
    repeated += fresh ? 0 : 1;
  }
  if (repeated > 0) {
    log::warn("{}: {} texts occur more than once; the first id of each is used", kTokensKey,
              repeated);
  }

  out.scores.assign(texts->size(), 0.0F);
  if (const std::vector<double> scores = gguf.numbers(kScoresKey); !scores.empty()) {
    check_count(kScoresKey, scores.size(), texts->size());
    for (std::size_t i = 0; i < out.scores.size(); ++i) {
      out.scores[i] = std::isnan(scores[i]) ? 0.0F : static_cast<float>(scores[i]);
    }
  }
  out.kinds.assign(texts->size(), Kind::kNormal);
  if (const std::vector<std::int64_t> kinds = gguf.integers(kTypesKey); !kinds.empty()) {
    check_count(kTypesKey, kinds.size(), texts->size());
    for (std::size_t i = 0; i < out.kinds.size(); ++i) {
      out.kinds[i] =
          kinds[i] >= 1 && kinds[i] <= 6 ? static_cast<Kind>(kinds[i]) : Kind::kUndefined;
    }
  }
}

void load_special_tokens(const GgufMetadata& gguf, GgufVocabulary& out) {
  const auto read = [&](std::string_view key, std::optional<TokenId> fallback) {
    if (fallback && !out.tokens.contains(*fallback)) fallback.reset();
    const std::optional<std::int64_t> id = gguf.integer(key);
    if (!id) return fallback;
    if (*id < 0 || static_cast<std::uint64_t>(*id) >= out.tokens.size()) {
      log::warn("{}: {} is not an id of the vocabulary of {} tokens; ignored", key, *id,
                out.tokens.size());
      return fallback;
    }
    return std::optional(static_cast<TokenId>(*id));
  };
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::optional<TokenId> unk;
  std::optional<TokenId> pad;
  std::optional<TokenId> sep;
  switch (out.model) {
    case Model::kSentencePiece:
      bos = 1, eos = 2, unk = 0;
      break;
    case Model::kUnigram:
      eos = 1, unk = 2, pad = 0;
      break;
    case Model::kWordPiece:
      bos = 101, unk = 100, sep = 102, pad = 0;
      break;
    case Model::kBytePair:
      break;
  }
  out.bos = read("tokenizer.ggml.bos_token_id", bos);
  out.eos = read("tokenizer.ggml.eos_token_id", eos);
  out.unk = read("tokenizer.ggml.unknown_token_id", unk);
  out.pad = read("tokenizer.ggml.padding_token_id", pad);
  out.sep = read("tokenizer.ggml.seperator_token_id", sep);  // spelt so by the format
  if (const auto cls = read("tokenizer.ggml.cls_token_id", std::nullopt);
      cls && out.model == Model::kWordPiece && !gguf.contains("tokenizer.ggml.bos_token_id")) {
    out.bos = cls;
  }

  out.add_bos = gguf.boolean("tokenizer.ggml.add_bos_token").value_or(out.add_bos);
  out.add_eos = gguf.boolean("tokenizer.ggml.add_eos_token").value_or(out.add_eos);
  out.add_sep = gguf.boolean("tokenizer.ggml.add_sep_token").value_or(out.add_sep);
  const auto need = [&](bool& flag, const std::optional<TokenId>& id, std::string_view what) {
    if (flag && !id) {
      log::warn("tokenizer.ggml.add_{0}_token is true, but the file has no {0} token", what);
      flag = false;
    }
  };
  need(out.add_bos, out.bos, "bos");
  need(out.add_eos, out.eos, "eos");
  need(out.add_sep, out.sep, "sep");
}

void correct_kinds(GgufVocabulary& out) {
  const auto set = [&](std::string_view text, Kind kind) {
    if (const auto id = out.tokens.find(text)) out.kinds[static_cast<std::size_t>(*id)] = kind;
  };
  for (const std::string_view text : kControlTexts) {
    const auto id = out.tokens.find(text);
    if (id && out.kind(*id) != Kind::kControl && out.kind(*id) != Kind::kUnknown) {
      log::debug("token {} \"{}\" is treated as a control token", *id, text);
      out.kinds[static_cast<std::size_t>(*id)] = Kind::kControl;
    }
  }
  // Channel markup of gpt-oss is part of the answer's text.
  for (const std::string_view text : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}) {
    set(text, Kind::kUserDefined);
  }
  const auto has = [&](std::string_view text) { return out.tokens.find(text).has_value(); };
  if ((has("<|return|>") && has("<|call|>")) || (has("<|calls|>") && has("<|flush|>"))) {
    set("<|end|>", Kind::kUserDefined);
  }
  if (has("<|tool_response>")) set("</s>", Kind::kNormal);
}

// Formats do not store which special tokens swallow blanks; the model's name tells.
void load_strips(const GgufMetadata& gguf, GgufVocabulary& out) {
  std::string name(gguf.string("general.name").value_or(""));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string_view architecture = gguf.string("general.architecture").value_or("");
  const auto left = [&](std::string_view text) {
    out.strips_left.assign(out.tokens.size(), false);
    if (const auto id = out.tokens.find(text)) {
      out.strips_left[static_cast<std::size_t>(*id)] = true;
    }
  };
  if (out.pre.starts_with("jina-v2-") || architecture == "nomic-bert-moe" ||
      architecture == "jina-bert-v3") {
    left("<mask>");
  } else if (name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos) {
    out.strips_right.assign(out.tokens.size(), true);
    for (const std::string_view text : {"<unk>", "<s>", "<|endoftext|>"}) {
      if (const auto id = out.tokens.find(text)) {
        out.strips_right[static_cast<std::size_t>(*id)] = false;
      }
    }
  } else if (name.find("modern-bert") != std::string::npos) {
    left("[MASK]");
  }
}

}  // namespace

GgufVocabulary GgufVocabulary::load(const GgufMetadata& gguf) {
  GgufVocabulary out;
  const std::string_view model = gguf.require_string(kModelKey);
  out.model = parse_model(model);
  out.pre = model == "gemma4" ? "gemma4" : std::string(gguf.string(kPreKey).value_or(""));
  load_tokens(gguf, out);
  switch (out.model) {
    case Model::kBytePair: {
      const GgufPreTokenizer* pre = find_gguf_pre_tokenizer(out.pre);
      if (pre == nullptr) {
        log::warn("{}: {}; words are cut by the default rule, which may degrade answers", kPreKey,
                  out.pre.empty() ? "missing" : fmt::format("\"{}\" is not known", out.pre));
        pre = &default_gguf_pre_tokenizer();
      }
      out.add_bos = pre->add_bos;
      out.ignore_merges = pre->ignore_merges;
      out.clean_up_spaces = pre->clean_up_spaces;
      break;
    }
    case Model::kSentencePiece:
      out.add_bos = true;
      out.add_space_prefix = true;
      break;
    case Model::kUnigram:
      out.add_eos = true;
      out.add_space_prefix = true;
      break;
    case Model::kWordPiece:
      out.add_bos = true;
      out.add_sep = true;
      out.clean_up_spaces = true;
      break;
  }
  out.add_space_prefix =
      gguf.boolean("tokenizer.ggml.add_space_prefix").value_or(out.add_space_prefix);
  out.remove_extra_whitespaces =
      gguf.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  load_special_tokens(gguf, out);
  out.lowercase = gguf.boolean("tokenizer.ggml.normalizer.lowercase").value_or(true);
  out.strip_accents =
      gguf.boolean("tokenizer.ggml.normalizer.strip_accents").value_or(out.lowercase);
  correct_kinds(out);
  load_strips(gguf, out);
  return out;
}

std::optional<TokenId> GgufVocabulary::byte_token(std::uint8_t byte) const {
  if (const auto id = tokens.find(byte_token_text(byte))) return id;
  const char raw = static_cast<char>(byte);
  if (const auto id = tokens.find({&raw, 1})) return id;
  return unk;
}

std::optional<std::uint8_t> parse_byte_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  const int high = digit(text[3]);
  const int low = digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<std::uint8_t>(high * 16 + low);
}

std::string byte_token_text(std::uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4U], kDigits[byte & 15U], '>'};
}

}  // namespace mistral::text
