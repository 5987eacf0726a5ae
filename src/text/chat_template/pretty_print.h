// The layout of Python's pprint: one line if it fits 80 columns, else one item a line.
#pragma once

#include <string>

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

[[nodiscard]] std::string pretty_print(const Value& value);

}  // namespace mistral::text::jinja
