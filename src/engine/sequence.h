// One running answer, as the scheduler sees it: tokens, how many of them are computed, and blocks.
#pragma once

#include <algorithm>
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

  bool wants_prompt_hidden = false;
  std::int64_t prompt_hidden_from = 0;  // likewise of hidden states

  std::int32_t priority = 0;  // higher ones come first
  std::uint64_t salt = 0;     // shares blocks with sequences of the same salt only
  // A sequence with the same prompt that goes first, so that this one finds its blocks.
  const Sequence* leader = nullptr;
  bool leads = false;  // it is the leader of others

  // Tokens that a speculator expects to follow, computed along with the next row.
  std::vector<TokenId> drafts;

  // The scheduler's notes.
  std::uint64_t order = 0;   // of arrival
  bool interrupted = false;  // gave way at least once
  std::int64_t cached = 0;   // prompt tokens that it did not have to compute at first

  [[nodiscard]] std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
  [[nodiscard]] std::int64_t remaining() const { return length() - computed; }
  [[nodiscard]] bool prompt_logits_missing() const {
    return wants_prompt_logits && prompt_logits_from < prompt_length;
  }
  [[nodiscard]] bool prompt_hidden_missing() const {
    return wants_prompt_hidden && prompt_hidden_from < prompt_length;
  }
  // How much of it may come from the cache: the last token's logits are always wanted.
  [[nodiscard]] std::int64_t sharable() const {
    std::int64_t most = length() - 1;
    if (prompt_logits_missing()) most = std::min(most, prompt_logits_from);
    if (prompt_hidden_missing()) most = std::min(most, prompt_hidden_from);
    return most;
  }
  [[nodiscard]] BlockContent content() const {
    return {.tokens = tokens, .prompt_length = prompt_length, .salt = salt};
  }
};

}  // namespace mistral::engine
