// What stands beside a tokenizer: tokenizer_config.json, special_tokens_map.json and
// added_tokens.json.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer/added_tokens.h"

namespace mistral::text {

struct TokenizerConfig {
  // The texts of the special tokens; unset where the files name none.
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  std::optional<std::string> unk;
  std::optional<std::string> pad;
  std::vector<std::string> named_special;  // all of them, with sep, cls, mask and additional ones

  std::vector<AddedToken> added_tokens;  // by id
  std::string tokenizer_class;           // "LlamaTokenizer", without the ending "Fast"
  bool legacy = true;                    // a space goes before every part, not only the first

  // Whether a text begins with BOS and ends with EOS: what the files say, else what the class of
  // the tokenizer does by itself; unset where the tokenizer file decides.
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;

  // Reads what is there in `folder`. Files that are no JSON objects and entries of a wrong type
  // are left out with a warning: the tokenizer file itself is complete without them.
  [[nodiscard]] static TokenizerConfig read(const std::filesystem::path& folder);
};

}  // namespace mistral::text
