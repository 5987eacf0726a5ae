#include "hub/settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "hub/url.h"

namespace mistral::hub {
namespace {

constexpr std::string_view kEndpoint = "https://huggingface.co";
constexpr std::string_view kTokenVariable = "HF_TOKEN";
constexpr std::string_view kOldTokenVariable = "HUGGING_FACE_HUB_TOKEN";
constexpr std::size_t kMaxTokenBytes = 4096;

bool is_true(const std::optional<std::string>& value) {
  if (!value) return false;
  std::string upper = *value;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return upper == "1" || upper == "ON" || upper == "YES" || upper == "TRUE";
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin));
}

// "~/x" and "$NAME/x" as a shell has them; a variable that is not set stays as it is written.
std::string expanded(const std::string& path, const Environment& environment) {
  std::string out;
  std::size_t i = 0;
  if (path == "~" || path.starts_with("~/")) {
    out = environment("HOME").value_or("~");
    i = 1;
  }
  while (i < path.size()) {
    if (path[i] != '$') {
      out += path[i++];
      continue;
    }
    const bool braces = i + 1 < path.size() && path[i + 1] == '{';
    const std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < path.size() &&
           (std::isalnum(static_cast<unsigned char>(path[end])) != 0 || path[end] == '_')) {
      ++end;
    }
    const bool closed = !braces || (end < path.size() && path[end] == '}');
    const std::size_t next = end + (braces && closed ? 1 : 0);
    const auto value = closed && end > begin ? environment(path.substr(begin, end - begin))
                                             : std::optional<std::string>{};
    out += value ? *value : path.substr(i, std::max(next, i + 1) - i);
    i = std::max(next, i + 1);
  }
  return out;
}

// A variable that holds nothing counts as not set.
std::optional<std::string> set_value(const Environment& environment, std::string_view name) {
  auto value = environment(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

std::filesystem::path hub_home(const Environment& environment) {
  if (const auto home = set_value(environment, "HF_HOME")) return expanded(*home, environment);
  if (const auto base = set_value(environment, "XDG_CACHE_HOME")) {
    return std::filesystem::path(expanded(*base, environment)) / "huggingface";
  }
  if (const auto home = set_value(environment, "HOME")) {
    return std::filesystem::path(*home) / ".cache" / "huggingface";
  }
  return {};
}

std::optional<std::string> content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string content(kMaxTokenBytes + 1, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (in.bad() || (in.fail() && !in.eof())) return std::nullopt;
  content.resize(static_cast<std::size_t>(in.gcount()));
  return content;
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Settings settings_from(const Environment& environment) {
  Settings settings;
  const std::filesystem::path home = hub_home(environment);
  auto cache = set_value(environment, "HF_HUB_CACHE");
  if (!cache) cache = set_value(environment, "HUGGINGFACE_HUB_CACHE");
  if (home.empty() && !cache) {
    throw Error(ErrorKind::kInvalidArgument,
                "no home directory for the cache of models; expected HF_HOME or HOME in the "
                "environment");
  }
  settings.cache = cache ? std::filesystem::path(expanded(*cache, environment)) : home / "hub";
  const auto token_file = set_value(environment, "HF_TOKEN_PATH");
  if (token_file) {
    settings.token_file = expanded(*token_file, environment);
  } else if (!home.empty()) {
    settings.token_file = home / "token";
  }
  settings.endpoint = set_value(environment, "HF_ENDPOINT").value_or(std::string(kEndpoint));
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  if (!Url::parse(settings.endpoint)) {
    throw Error(ErrorKind::kInvalidArgument,
                "HF_ENDPOINT is not the URL of a hub; expected https://HOST or http://HOST");
  }
  settings.offline =
      is_true(environment("HF_HUB_OFFLINE")) || is_true(environment("TRANSFORMERS_OFFLINE"));
  settings.certificates =
      set_value(environment, "SSL_CERT_FILE")
          .value_or(set_value(environment, "CURL_CA_BUNDLE").value_or(std::string()));
  return settings;
}

TokenSource::TokenSource(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon != std::string_view::npos) value_ = text.substr(colon + 1);
  if (name == "literal" || name == "path") {
    if (value_.empty()) {
      throw make_error(ErrorKind::kInvalidArgument, "Expected a value for '{}'", name);
    }
    kind_ = name == "path" ? Kind::kFile : Kind::kLiteral;
  } else if (name == "env") {
    kind_ = Kind::kVariable;
    if (value_.empty()) value_ = kOldTokenVariable;
  } else if (text == "cache") {
    kind_ = Kind::kCache;
  } else if (text == "none") {
    kind_ = Kind::kNone;
  } else {
    // The text is not repeated: it may be a token.
    throw Error(ErrorKind::kInvalidArgument,
                "Invalid token source format; expected literal:TOKEN, env:NAME, path:FILE, cache "
                "or none");
  }
}

std::string TokenSource::describe(const Settings& settings) const {
  switch (kind_) {
    case Kind::kLiteral:
      return "--token-source literal";
    case Kind::kVariable:
      return fmt::format("the environment variable {}", value_);
    case Kind::kFile:
      return value_;
    case Kind::kCache:
      return fmt::format("{} or {}", kTokenVariable, settings.token_file.string());
    case Kind::kNone:
      break;
  }
  return "--token-source none";
}

std::optional<std::string> TokenSource::read(const Settings& settings,
                                             const Environment& environment) const {
  std::optional<std::string> token;
  switch (kind_) {
    case Kind::kNone:
      return std::nullopt;
    case Kind::kLiteral:
      token = value_;
      break;
    case Kind::kVariable:
      token = environment(value_);
      break;
    case Kind::kFile:
      token = content_of(value_);
      break;
    case Kind::kCache:
      token = set_value(environment, kTokenVariable);
      if (!token) token = set_value(environment, kOldTokenVariable);
      if (!token && !settings.token_file.empty()) token = content_of(settings.token_file);
      break;
  }
  if (token) token = trimmed(*token);
  if (!token || token->empty()) {
    log::info("Could not load token at \"{}\", using no HF token.", describe(settings));
    return std::nullopt;
  }
  const bool fit = std::ranges::all_of(*token, [](char c) { return c > ' ' && c < 0x7F; });
  if (!fit || token->size() > kMaxTokenBytes) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "the token of {} has blanks, control characters or other bytes that no token "
                     "has",
                     describe(settings));
  }
  return token;
}

}  // namespace mistral::hub
