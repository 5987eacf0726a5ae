// http and https URLs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mistral::hub {

struct Url {
  std::string text;    // the whole, as it is requested
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case
  int port = 0;        // the scheme's own when the text names none

  // None for other schemes, broken URLs and URLs that carry a user or a password.
  [[nodiscard]] static std::optional<Url> parse(const std::string& text);
  // Where a Location header of an answer from this URL leads; none as for parse().
  [[nodiscard]] std::optional<Url> follow(const std::string& location) const;

  [[nodiscard]] bool same_origin(const Url& other) const;
  [[nodiscard]] bool is_loopback() const;
  // Without query and fragment, which may hold signatures: what may stand in a message.
  [[nodiscard]] std::string printable() const;
};

}  // namespace mistral::hub
