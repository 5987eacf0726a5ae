// Files of the source tree that are part of the program.
#pragma once

#include <string_view>

namespace mistral::server {

[[nodiscard]] std::string_view openapi_document();
[[nodiscard]] std::string_view docs_page();

}  // namespace mistral::server
