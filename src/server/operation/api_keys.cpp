#include "server/operation/api_keys.h"

#include <algorithm>
#include <fstream>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "core/error.h"

namespace mistral::server {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

ApiKeys::Digest ApiKeys::digest(std::string_view key) {
  Digest result{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), result.data());
  return result;
}

void ApiKeys::add(std::string_view key) {
  const bool printable = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7f; });
  if (key.empty() || !printable) {
    throw Error(ErrorKind::kInvalidArgument,
                "API key: expected printable characters without blanks, at least one");
  }
  digests_.push_back(digest(key));
}

void ApiKeys::add_list(std::string_view keys) {
  while (!keys.empty()) {
    const std::size_t comma = std::min(keys.find(','), keys.size());
    add(trimmed(keys.substr(0, comma)));
    keys.remove_prefix(std::min(comma + 1, keys.size()));
  }
}

void ApiKeys::add_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) {
    throw make_error(ErrorKind::kNotFound, "API keys: '{}' cannot be read", path.string());
  }
  const std::size_t before = digests_.size();
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string_view key = trimmed(line);
    if (key.empty() || key.front() == '#') continue;
    try {
      add(key);
    } catch (Error& error) {
      error.add_context(fmt::format("'{}' line {}", path.string(), number));
      throw;
    }
  }
  if (digests_.size() == before) {
    throw make_error(ErrorKind::kInvalidFile, "API keys: '{}' holds no key", path.string());
  }
}

bool ApiKeys::accepts(std::string_view key) const {
  const Digest given = digest(key);
  int found = 0;
  for (const Digest& known : digests_) {
    found |= static_cast<int>(CRYPTO_memcmp(known.data(), given.data(), known.size()) == 0);
  }
  return found != 0;
}

std::string_view ApiKeys::bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() < kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    char c = authorization[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c != kScheme[i]) return {};
  }
  return trimmed(authorization.substr(kScheme.size()));
}

}  // namespace mistral::server
