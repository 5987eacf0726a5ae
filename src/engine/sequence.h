// One running answer, as the scheduler sees it: tokens, how many of them are computed, and blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/block_manager.h"
#include "mistral/types.h"

namespace mistral::engine {

struct Sequence {
  std::vector<TokenId> tokens;  // the prompt and what was sampled
  std::int64_t prompt_length = 0;
  std::int64_t computed = 0;  // tokens whose keys and values are in the cache
  BlockTables blocks;
  bool wants_prompt_logits = false;
  std::int64_t prompt_logits_from = 0;  // prompt rows before this one were delivered

  [[nodiscard]] std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
  [[nodiscard]] std::int64_t remaining() const { return length() - computed; }
  [[nodiscard]] bool prompt_logits_missing() const {
    return wants_prompt_logits && prompt_logits_from < prompt_length;
  }
};

}  // namespace mistral::engine
