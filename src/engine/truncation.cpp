#include "engine/truncation.h"

#include <algorithm>

#include "core/log.h"

namespace mistral::engine {
namespace {

constexpr std::int64_t kDefaultRoom = 10;

}  // namespace

std::int64_t truncate_prompt(std::vector<TokenId>& prompt, std::optional<std::int64_t> max_tokens,
                             std::int64_t limit) {
  const auto length = static_cast<std::int64_t>(prompt.size());
  const std::int64_t over = length - limit;
  if (over <= 0) return 0;
  std::int64_t room = max_tokens.value_or(kDefaultRoom);
  if (room < 1 || room >= length - over) room = kDefaultRoom;
  // A context of a few tokens: what is left of the prompt is its last one.
  const std::int64_t dropped = std::min(over + room, length - 1);
  log::warn("a prompt of {} tokens is cut to its last {}: the context holds {}", length,
            length - dropped, limit);
  prompt.erase(prompt.begin(), prompt.begin() + dropped);
  return dropped;
}

}  // namespace mistral::engine
