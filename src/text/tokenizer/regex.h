// Regular expressions of tokenizer files, run by Oniguruma.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::text {

struct ByteRange {
  std::size_t begin;
  std::size_t end;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// Immutable after construction and thread safe.
class Regex {
 public:
  // Throws Error (kUnsupported) with Oniguruma's message.
  explicit Regex(std::string_view pattern);

  // All matches from left to right. An empty match directly behind another match is left out. A
  // search that takes too many steps ends the list.
  [[nodiscard]] std::vector<ByteRange> find_all(std::string_view text) const;

 private:
  struct Deleter {
    void operator()(void* regex) const;
  };
  std::unique_ptr<void, Deleter> regex_;
};

// `text` as a pattern that matches exactly it.
[[nodiscard]] std::string escape_regex(std::string_view text);

}  // namespace mistral::text
