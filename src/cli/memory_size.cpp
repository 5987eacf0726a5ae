#include "cli/memory_size.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>
#include <system_error>

namespace mistral::cli {

namespace {

// 0 for a word that is no unit.
double unit_of(std::string_view word) {
  std::string unit(word);
  std::ranges::transform(unit, unit.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit.empty() || unit == "b") return 1.0;
  constexpr std::string_view kLetters = "kmgt";
  const std::size_t power = kLetters.find(unit.front());
  const std::string_view rest = std::string_view(unit).substr(1);
  if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) return 0.0;
  return static_cast<double>(std::int64_t{1024} << (10 * power));
}

}  // namespace

std::optional<std::int64_t> parse_memory_size(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const double bytes = number * unit_of(unit);
  // Written so that what is not a number fails, too.
  if (!(bytes >= 1 && bytes <= static_cast<double>(kMostMemory))) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

}  // namespace mistral::cli
