// Names found in a file, made fit for a message: they may be long or hold bytes that would disturb
// a terminal.
#pragma once

#include <string>
#include <string_view>

namespace mistral {

// 'text' in single quotes, control characters and broken UTF-8 as \xNN, cut after 96 bytes.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace mistral
