// Finds stop strings in a growing text and holds back what may still become one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::engine {

// Knuth-Morris-Pratt automata side by side: linear in the text, whatever its pieces are. The result
// does not depend on how the text is cut into pieces.
class StopMatcher {
 public:
  // No string may be empty.
  explicit StopMatcher(const std::vector<std::string>& stops);

  // Adds text and appends to `out` what can no longer be part of a stop string. True when a stop
  // string is complete: `out` then ends where it begins, the rest is dropped, and the matcher is
  // done. Of several that end at the same byte the longest counts.
  [[nodiscard]] bool push(std::string_view text, std::string& out);
  // What is held back, at the end of the text.
  [[nodiscard]] std::string finish();

 private:
  struct Automaton {
    std::string pattern;
    std::vector<std::size_t> fallback;  // [i]: longest proper border of pattern[0, i]
    std::size_t matched = 0;            // bytes of the pattern that the text ends with
  };
  std::vector<Automaton> automata_;
  std::string held_;
};

}  // namespace mistral::engine
