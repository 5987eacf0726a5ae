// The chat page: files of src/server/web, which are part of the program.
#pragma once

#include <span>
#include <string_view>

namespace mistral::server {

struct WebFile {
  std::string_view path;  // as it is asked for: "/", "/web/app.js"
  std::string_view content_type;
  std::string_view bytes;
  std::string_view etag;  // with its quotes
};

// All of them. Thread safe, valid as long as the program.
[[nodiscard]] std::span<const WebFile> web_files();

// The file at `path` (without a query), or null.
[[nodiscard]] const WebFile* find_web_file(std::string_view path);

// What the page and its files are to be sent with: nothing but what this server has is loaded or
// asked, nothing within the page is run, and no other page may frame it.
inline constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace mistral::server
