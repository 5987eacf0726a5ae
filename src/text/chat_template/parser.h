// Builds the syntax tree of a template.
#pragma once

#include <string_view>

#include "text/chat_template/ast.h"

namespace mistral::text::jinja {

// Throws TemplateError: kSyntax, or kLimit when constructs nest deeper than `max_depth`.
[[nodiscard]] Body parse_template(std::string_view source, int max_depth);

}  // namespace mistral::text::jinja
