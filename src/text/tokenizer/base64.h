#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mistral::text {

// The bytes of standard base64 (padding optional at the end); empty when it is not base64.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace mistral::text
