#include "formats/json_limits.h"

#include <string_view>

#include "core/error.h"

namespace mistral::formats {
namespace {

// Depth of the brackets outside of strings; exact for valid JSON, harmless for other text.
bool is_deeper_than(std::string_view text, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

nlohmann::json parse_limited_json(std::span<const std::byte> text, int max_depth) {
  const std::string_view chars(reinterpret_cast<const char*>(text.data()), text.size());
  // The parser takes a zero byte for the end of its input.
  if (const std::size_t zero = chars.find('\0'); zero != std::string_view::npos) {
    throw make_error(ErrorKind::kInvalidFile, "not valid JSON at byte {}", zero);
  }
  if (is_deeper_than(chars, max_depth)) {
    throw make_error(ErrorKind::kInvalidFile, "the JSON nests more than {} deep", max_depth);
  }
  try {
    return nlohmann::json::parse(chars.begin(), chars.end());
  } catch (const nlohmann::json::parse_error& error) {
    throw make_error(ErrorKind::kInvalidFile, "not valid JSON at byte {}", error.byte);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kInvalidFile, "the JSON holds a number out of range");
  }
}

}  // namespace mistral::formats
