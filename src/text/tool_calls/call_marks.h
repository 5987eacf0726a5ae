// The marks around calls, and the forms that calls behind each of them have.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "text/tool_calls/call_reader.h"

namespace mistral::text {

struct CallMark {
  std::string_view text;
  // What may follow, besides other marks.
  bool json = false;
  bool python = false;
  std::vector<std::vector<CallStep>> forms = {};
  // Words that answers hold, too, count only where a line begins.
  bool line_start = false;
  // Ends with a fence of code, which the calls behind it are to close.
  bool fence = false;
};

// Before calls. No mark begins with another one.
[[nodiscard]] std::span<const CallMark> opening_marks();
// Behind calls.
[[nodiscard]] std::span<const std::string_view> closing_marks();
inline constexpr std::string_view kFence = "```";

}  // namespace mistral::text
