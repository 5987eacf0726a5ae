#include "core/shard_name.h"

#include <charconv>

#include <fmt/format.h>

namespace mistral {
namespace {

constexpr std::size_t kDigits = 5;
constexpr std::string_view kOf = "-of-";

std::optional<std::uint32_t> five_digits(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string ShardName::sister(std::uint32_t other_number) const {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, other_number, count, extension);
}

std::optional<ShardName> parse_shard_name(std::string_view file_name) {
  const std::size_t dot = file_name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  constexpr std::size_t kTail = 1 + kDigits + kOf.size() + kDigits;  // "-00001-of-00003"
  if (dot < kTail) return std::nullopt;
  const std::string_view tail = file_name.substr(dot - kTail, kTail);
  if (tail[0] != '-' || tail.substr(1 + kDigits, kOf.size()) != kOf) return std::nullopt;
  const auto number = five_digits(tail.substr(1, kDigits));
  const auto count = five_digits(tail.substr(kTail - kDigits));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return ShardName{std::string(file_name.substr(0, dot - kTail)),
                   std::string(file_name.substr(dot)), *number, *count};
}

}  // namespace mistral
