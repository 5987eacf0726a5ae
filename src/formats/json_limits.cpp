#include "formats/json_limits.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "formats/memory_budget.h"

namespace mistral::formats {
namespace {

// What an element takes in the one piece of memory that its array or object has: arrays double, and
// ordered objects are lists of a key and a value.
constexpr std::uint64_t kElementBytes =
    std::max(2 * sizeof(nlohmann::json), sizeof(nlohmann::ordered_json::object_t::value_type));

// Counts brackets and commas outside of strings; exact for valid JSON, harmless for other text.
void check_limits(std::string_view text, int max_depth, std::uint64_t memory) {
  std::vector<std::uint64_t> elements = {0};  // of what is open, up to the comma before
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      elements.push_back(1);
      if (elements.size() > static_cast<std::size_t>(max_depth) + 1) {
        throw make_error(ErrorKind::kInvalidFile, "the JSON nests more than {} deep", max_depth);
      }
    } else if ((c == ']' || c == '}') && elements.size() > 1) {
      elements.pop_back();
    } else if (c == ',' && ++elements.back() > memory / kElementBytes) {
      throw make_error(ErrorKind::kInvalidFile,
                       "the JSON has an array or object of more than {} elements",
                       memory / kElementBytes);
    }
  }
}

}  // namespace

nlohmann::json parse_limited_json(std::span<const std::byte> text, int max_depth) {
  const std::string_view chars(reinterpret_cast<const char*>(text.data()), text.size());
  // The parser takes a zero byte for the end of its input.
  if (const std::size_t zero = chars.find('\0'); zero != std::string_view::npos) {
    throw make_error(ErrorKind::kInvalidFile, "not valid JSON at byte {}", zero);
  }
  check_limits(chars, max_depth, memory_for(text));
  try {
    return nlohmann::json::parse(chars.begin(), chars.end());
  } catch (const nlohmann::json::parse_error& error) {
    throw make_error(ErrorKind::kInvalidFile, "not valid JSON at byte {}", error.byte);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kInvalidFile, "the JSON holds a number out of range");
  }
}

}  // namespace mistral::formats
