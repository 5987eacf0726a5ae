#include "engine/truncation.h"

#include <algorithm>

#include "core/log.h"

namespace mistral::engine {
namespace {

constexpr std::int64_t kDefaultRoom = 10;

}  // namespace

std::int64_t truncate_prompt(Request& request, const RequestLimits& limits) {
  const auto length = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t limit = std::min(limits.context_length, limits.cache_tokens);
  const std::int64_t over = length - limit;
  if (over <= 0) return 0;
  std::int64_t room = request.sampling.max_tokens.value_or(kDefaultRoom);
  if (room >= length - over) room = kDefaultRoom;
  // A context of a few tokens: what is left of the prompt is its last one.
  const std::int64_t dropped = std::min(over + std::max<std::int64_t>(room, 0), length - 1);
  log::warn("a prompt of {} tokens is cut to its last {}: the context holds {}", length,
            length - dropped, limit);
  request.prompt.erase(request.prompt.begin(), request.prompt.begin() + dropped);
  return dropped;
}

}  // namespace mistral::engine
