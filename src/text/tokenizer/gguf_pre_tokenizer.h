// How a byte-pair vocabulary of a GGUF file cuts text into words, by tokenizer.ggml.pre.
#pragma once

#include <string_view>
#include <vector>

namespace mistral::text {

struct GgufPreTokenizer {
  // Applied one after the other: each cuts the pieces of the one before at its matches.
  std::vector<std::string_view> expressions;
  bool byte_level = true;      // else plain UTF-8 with U+2581 for spaces and <0xAB> for bytes
  bool ignore_merges = false;  // a word that is a token needs no merging
  bool add_bos = false;        // when the file does not say
  bool clean_up_spaces = true;
};

// nullptr for names that are not known.
[[nodiscard]] const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name);
[[nodiscard]] const GgufPreTokenizer& default_gguf_pre_tokenizer();

// All names that are known.
[[nodiscard]] std::vector<std::string_view> gguf_pre_tokenizer_names();

}  // namespace mistral::text
