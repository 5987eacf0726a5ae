#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace mistral::engine {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    Automaton& automaton = automata_.emplace_back();
    automaton.pattern = stop;
    automaton.fallback.resize(stop.size(), 0);
    std::size_t border = 0;
    for (std::size_t i = 1; i < stop.size(); ++i) {
      while (border > 0 && stop[i] != stop[border]) border = automaton.fallback[border - 1];
      if (stop[i] == stop[border]) ++border;
      automaton.fallback[i] = border;
    }
  }
}

bool StopMatcher::push(std::string_view text, std::string& out) {
  if (automata_.empty()) {
    out += text;
    return false;
  }
  std::size_t keep = 0;
  for (const char byte : text) {
    held_ += byte;
    keep = 0;
    std::size_t complete = 0;
    for (Automaton& a : automata_) {
      while (a.matched > 0 && a.pattern[a.matched] != byte) a.matched = a.fallback[a.matched - 1];
      if (a.pattern[a.matched] == byte) ++a.matched;
      if (a.matched == a.pattern.size()) {
        complete = std::max(complete, a.matched);
        a.matched = 0;
      }
      keep = std::max(keep, a.matched);
    }
    if (complete > 0) {
      out.append(held_, 0, held_.size() - complete);
      held_.clear();
      return true;
    }
  }
  if (!text.empty()) {
    out.append(held_, 0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
  }
  return false;
}

std::string StopMatcher::finish() {
  return std::exchange(held_, {});
}

}  // namespace mistral::engine
