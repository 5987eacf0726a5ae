// str.format and the format specification language: '{:>8} {0[key]!r}'.
#pragma once

#include <string>
#include <string_view>

#include "text/chat_template/instance.h"

namespace mistral::text::jinja {

// format(value, spec)
[[nodiscard]] std::string format_value(const Value& value, std::string_view spec);
// format.format(*args, **kwargs); looks attributes and elements up as the template would.
[[nodiscard]] Value str_format(const Value& format, const CallArgs& args);

}  // namespace mistral::text::jinja
