// Reads a Lark grammar as it is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/limits.h"

namespace mistral::grammar {

struct LarkNode {
  enum class Kind : std::uint8_t {
    kString,  // `text` without quotes, escapes resolved; `flags` may hold i
    kRegex,   // `text` between the slashes
    kRange,   // from the character `text` to the character `text_to`
    kName,    // a rule, a terminal or a parameter; children are the arguments of a template
    kSequence,
    kChoice,
    kRepeat,
  };
  static constexpr std::uint32_t kUnbounded = 0xFFFFFFFFU;

  Kind kind = Kind::kSequence;
  std::size_t at = 0;  // in the grammar's text
  std::string text = {};
  std::string text_to = {};
  std::string flags = {};
  std::vector<LarkNode> children = {};
  std::uint32_t least = 0;
  std::uint32_t most = kUnbounded;
};

struct LarkDefinition {
  std::size_t at = 0;
  std::vector<std::string> parameters = {};
  LarkNode body = {};
};

struct LarkSource {
  std::map<std::string, LarkDefinition> definitions;
  std::vector<LarkNode> ignored = {};
};

// A terminal's name is in upper case, maybe after underscores.
[[nodiscard]] bool is_lark_terminal(std::string_view name);

// Throws Error (kInvalidArgument) that names line and column.
[[nodiscard]] LarkSource parse_lark(std::string_view text, Budget& budget);

}  // namespace mistral::grammar
