// What a text is cut at: a regular expression or a fixed string.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/digit_groups.h"
#include "text/tokenizer/fast_split.h"
#include "text/tokenizer/json_reader.h"
#include "text/tokenizer/regex.h"

namespace mistral::text {

class SplitPattern {
 public:
  enum class Engine { kFastest, kOniguruma };  // the second one is for tests
  // Throws Error (kUnsupported) when the expression does not compile.
  [[nodiscard]] static SplitPattern expression(std::string_view expression,
                                               Engine engine = Engine::kFastest);
  [[nodiscard]] static SplitPattern literal(std::string_view text);

  // Matches from left to right; `text` is valid UTF-8.
  [[nodiscard]] std::vector<ByteRange> find_all(std::string_view text) const;

 private:
  SplitPattern() = default;
  std::optional<FastSplit> fast_;
  std::optional<DigitGroups> groups_;
  std::shared_ptr<const Regex> regex_;
  std::string literal_;
};

// {"Regex": …} or {"String": …}, also a plain string. Throws Error naming the entry.
[[nodiscard]] SplitPattern read_pattern(const JsonReader& reader, std::string_view key);

}  // namespace mistral::text
