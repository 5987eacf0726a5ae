// The % operator of strings: '%-5s|%.2f' % (name, number).
#pragma once

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

// `format` is a string. A safe format escapes its arguments and gives a safe string.
[[nodiscard]] Value percent_format(const Value& format, const Value& arguments);

}  // namespace mistral::text::jinja
