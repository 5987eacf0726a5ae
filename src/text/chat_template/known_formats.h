// Chat templates of common formats, for models that come without one (formats/*.jinja).
#pragma once

#include <span>
#include <string_view>

namespace mistral::text {

struct KnownFormat {
  std::string_view name;    // "chatml"
  std::string_view source;  // Jinja
};
// By name.
[[nodiscard]] std::span<const KnownFormat> known_formats();

}  // namespace mistral::text
