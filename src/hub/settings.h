// What the environment says about the hub, with the variables and defaults of the Python client
// huggingface_hub, so that both use the same cache and the same token.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mistral::hub {

// The value of an environment variable; none when it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
[[nodiscard]] Environment process_environment();

struct Settings {
  std::filesystem::path cache;       // HF_HUB_CACHE, else $HF_HOME/hub
  std::filesystem::path token_file;  // HF_TOKEN_PATH, else $HF_HOME/token
  std::string endpoint;              // HF_ENDPOINT, without a slash at its end
  bool offline = false;              // HF_HUB_OFFLINE
  std::string certificates;          // SSL_CERT_FILE, CURL_CA_BUNDLE; empty: the system's
};

// HF_HOME is by default huggingface in $XDG_CACHE_HOME or ~/.cache. Throws Error (kInvalidArgument)
// when there is no home folder to put a cache into, or for an endpoint that is no http(s) URL.
[[nodiscard]] Settings settings_from(const Environment& environment);

// --token-source: "literal:TOKEN", "env:NAME", "env", "path:FILE", "cache" or "none".
class TokenSource {
 public:
  // Throws Error (kInvalidArgument).
  explicit TokenSource(std::string_view text = "cache");

  // The token, or none: a source that cannot be read is logged and counts as none. Throws Error
  // (kInvalidArgument) for a token that cannot be part of a request.
  [[nodiscard]] std::optional<std::string> read(const Settings& settings,
                                                const Environment& environment) const;
  // Where the token is from, for messages; never the token itself.
  [[nodiscard]] std::string describe(const Settings& settings) const;

 private:
  enum class Kind { kLiteral, kVariable, kFile, kCache, kNone } kind_ = Kind::kCache;
  std::string value_;
};

}  // namespace mistral::hub
