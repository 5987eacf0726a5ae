// Named character references of HTML: those of HTML 4 and the ASCII marks of HTML 5.
#pragma once

#include <string_view>

namespace mistral::text::jinja {

struct HtmlEntity {
  std::string_view name;  // without & and ;
  char32_t code_point;
  bool bare;  // also without the semicolon
};

// Null if the name is unknown.
[[nodiscard]] const HtmlEntity* find_html_entity(std::string_view name);

}  // namespace mistral::text::jinja
