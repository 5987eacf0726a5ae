// Turning values into text: Python's str(), repr(), number formatting, and HTML escaping.
#pragma once

#include <string>
#include <string_view>

#include "text/chat_template/instance.h"
#include "text/chat_template/value.h"

namespace mistral::text::jinja {

// str() and repr().
[[nodiscard]] std::string to_str(const Value& value);
[[nodiscard]] std::string to_repr(const Value& value);
void append_str(TextBuilder& out, const Value& value);
void append_repr(TextBuilder& out, const Value& value, int depth = 0);
// repr() with everything outside ASCII escaped.
[[nodiscard]] std::string to_ascii(const Value& value);

// The shortest text that reads back as the same number, as Python writes it (1.0, 1e+16, nan).
[[nodiscard]] std::string float_repr(double number);

// Replaces & < > ' " by character references.
[[nodiscard]] std::string escape_html(std::string_view text);
// markupsafe.escape: a safe string stays as it is, everything else is printed and escaped.
[[nodiscard]] Value escape_value(const Value& value);

}  // namespace mistral::text::jinja
