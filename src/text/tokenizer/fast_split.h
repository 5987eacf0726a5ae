// Hand-written equivalents of the split expressions that most models use; an order of magnitude
// faster than a regular expression engine.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer/regex.h"

namespace mistral::text {

class FastSplit {
 public:
  // Empty when the expression is not one of the known ones.
  [[nodiscard]] static std::optional<FastSplit> for_expression(std::string_view expression);

  // The matches of the expression in valid UTF-8.
  [[nodiscard]] std::vector<ByteRange> find_all(std::string_view text) const;

  enum class Contractions { kNone, kLowerCase, kAnyCase };
  enum class Words {
    kSpaceThenRun,    // " ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+" (GPT-2)
    kAnyThenLetters,  // "[^\r\n\p{L}\p{N}]?\p{L}+" (cl100k, Llama 3, Qwen 2)
    kByCase,          // upper-case run, then lower-case run (o200k)
    kRuns,            // "[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", blanks are no match (CLIP)
  };
  struct Style {
    Words words = Words::kSpaceThenRun;
    Contractions contractions = Contractions::kLowerCase;
    int digits = 0;      // longest group; 0: a run, with a space before it
    bool slash = false;  // punctuation takes slashes as well as line ends after it
  };
  explicit FastSplit(Style style) : style_(style) {}

 private:
  Style style_;
};

// The expressions, for other code that needs one by name.
namespace split_expression {
inline constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
inline constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
inline constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kClip =
    R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
}  // namespace split_expression

}  // namespace mistral::text
