#include <algorithm>

#include "engine/drafter.h"

namespace mistral::engine {
namespace {

constexpr std::ptrdiff_t kLookBack = 1 << 15;  // tokens searched
constexpr std::ptrdiff_t kShortest = 2;        // tokens that must agree
constexpr std::ptrdiff_t kLongest = 16;        // more do not make a match better

// Where the continuation of the longest match begins, of equals the latest; the end if there is
// none.
std::ptrdiff_t continuation(std::span<const TokenId> context) {
  const auto end = static_cast<std::ptrdiff_t>(context.size());
  const auto at = [&](std::ptrdiff_t i) { return context[static_cast<std::size_t>(i)]; };
  std::ptrdiff_t best_length = kShortest - 1;
  std::ptrdiff_t best = end;
  for (std::ptrdiff_t i = end - 2; i >= std::max<std::ptrdiff_t>(0, end - kLookBack); --i) {
    if (at(i) != at(end - 1)) continue;
    std::ptrdiff_t length = 1;
    while (length < kLongest && i - length >= 0 && at(i - length) == at(end - 1 - length)) ++length;
    if (length <= best_length) continue;
    best_length = length;
    best = i + 1;
    if (length == kLongest) break;
  }
  return best;
}

}  // namespace

void NgramDrafter::propose(std::span<DraftRequest> requests) {
  for (DraftRequest& request : requests) {
    request.draft->clear();
    const auto from = static_cast<std::size_t>(continuation(request.context));
    // A repetition may reach into its own continuation: what was proposed counts as said.
    std::vector<TokenId>& tokens = request.draft->tokens;
    if (from == request.context.size()) continue;
    for (std::size_t i = from; tokens.size() < static_cast<std::size_t>(request.wanted); ++i) {
      tokens.push_back(i < request.context.size() ? request.context[i]
                                                  : tokens[i - request.context.size()]);
    }
  }
}

}  // namespace mistral::engine
