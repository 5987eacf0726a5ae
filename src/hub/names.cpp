#include "hub/names.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace mistral::hub {
namespace {

constexpr std::size_t kMaxIdBytes = 96;  // as the hub's own clients have it
constexpr std::size_t kMaxRevisionBytes = 255;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxPartBytes = 255;  // of a file name on common file systems
constexpr std::size_t kMaxEtagBytes = 128;
constexpr std::size_t kCommitDigits = 40;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool is_id_part(std::string_view part) {
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  };
  const auto edge = [](char c) { return c == '-' || c == '.'; };
  return !part.empty() && std::ranges::all_of(part, allowed) && !edge(part.front()) &&
         !edge(part.back()) && part.find("--") == std::string_view::npos &&
         part.find("..") == std::string_view::npos;
}

}  // namespace

std::string ModelId::folder_name() const {
  std::string name = "models--";
  for (const char c : repository) {
    if (c == '/') {
      name += "--";
    } else {
      name += c;
    }
  }
  return name;
}

std::optional<ModelId> parse_model_id(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view repository = text.substr(0, colon);
  const std::string_view quant =
      colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (colon != std::string_view::npos && !is_safe_file_name(quant)) return std::nullopt;
  const std::size_t slash = repository.find('/');
  if (slash == std::string_view::npos || repository.size() > kMaxIdBytes) return std::nullopt;
  const std::string_view name = repository.substr(slash + 1);
  if (!is_id_part(repository.substr(0, slash)) || !is_id_part(name)) return std::nullopt;
  if (name.ends_with(".git") || name.ends_with(".gguf")) return std::nullopt;
  return ModelId{std::string(repository), std::string(quant)};
}

bool is_commit(std::string_view text) {
  return text.size() == kCommitDigits && std::ranges::all_of(text, is_hex);
}

bool is_revision(std::string_view text) {
  // What git allows in names of branches and tags, less some that no one uses.
  return text.size() <= kMaxRevisionBytes && is_safe_file_name(text) &&
         text.find_first_of(" ~^:?*[") == std::string_view::npos && text.front() != '-' &&
         text.find("..") == std::string_view::npos;
}

std::optional<std::string> normalized_etag(std::string_view text) {
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  };
  if (text.empty() || text.size() > kMaxEtagBytes || text.front() == '.' ||
      !std::ranges::all_of(text, allowed)) {
    return std::nullopt;
  }
  return std::string(text);
}

bool is_safe_file_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxPartBytes) return false;
    if (part.front() == ' ' || part.back() == ' ') return false;
    const bool plain = std::ranges::none_of(part, [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte < 0x20 || byte == 0x7F || c == '\\';
    });
    if (!plain) return false;
    begin = end + 1;
  }
  return true;
}

std::string url_encoded(std::string_view text, Slashes slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = is_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '~' ||
                       (c == '/' && slashes == Slashes::kKeep);
    if (plain) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace mistral::hub
