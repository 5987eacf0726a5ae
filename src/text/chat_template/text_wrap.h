// Breaking a line of text into lines of limited width, as Python's textwrap does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::text::jinja {

struct WrapOptions {
  std::int64_t width = 79;  // in code points
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

// Throws EvalError when the width is not positive.
[[nodiscard]] std::vector<std::string> wrap_line(std::string_view line, const WrapOptions& options);

}  // namespace mistral::text::jinja
