#include "server/api/fields.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "server/api/error.h"

namespace mistral::server {

std::string_view kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a number";
    default:
      return "something else";
  }
}

const Json* Fields::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Fields::wrong_type(std::string_view name, std::string_view expected) const {
  const auto found = object_.find(name);
  throw ApiError(path(name),
                 fmt::format("Invalid type for '{}': expected {}, but got {} instead.", path(name),
                             expected, found == object_.end() ? "nothing" : kind_of(*found)),
                 "invalid_type");
}

void Fields::wrong_value(std::string_view name, const std::string& problem) const {
  throw ApiError(path(name), fmt::format("Invalid value for '{}': {}", path(name), problem));
}

void Fields::missing(std::string_view name) const {
  throw ApiError(path(name), fmt::format("Missing required parameter: '{}'.", path(name)),
                 "missing_required_parameter");
}

void Fields::unsupported(std::string_view name, const std::string& why) const {
  throw ApiError(path(name), fmt::format("Unsupported parameter: '{}': {}", path(name), why),
                 "unsupported_parameter");
}

std::optional<bool> Fields::boolean(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong_type(name, "a boolean");
  return value->get<bool>();
}

std::optional<double> Fields::number(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_type(name, "a number");
  return value->get<double>();
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t low,
                                            std::int64_t high) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  std::int64_t number = 0;
  bool fits = true;
  if (value->is_number_unsigned()) {
    const auto large = value->get<std::uint64_t>();
    fits = large <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    number = static_cast<std::int64_t>(large);
  } else if (value->is_number_integer()) {
    number = value->get<std::int64_t>();
  } else if (value->is_number_float() && std::trunc(value->get<double>()) == value->get<double>()) {
    // 16.0, as some clients write it.
    constexpr double kExact = 9007199254740992.0;
    const double whole = value->get<double>();
    fits = std::abs(whole) <= kExact;
    if (fits) number = static_cast<std::int64_t>(whole);
  } else {
    wrong_type(name, "an integer");
  }
  if (!fits || number < low || number > high) {
    wrong_value(name, fmt::format("{} is not in the range {} to {}.", dump(*value), low, high));
  }
  return number;
}

std::optional<std::string> Fields::string(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(name, "a string");
  return value->get<std::string>();
}

std::optional<std::vector<std::string>> Fields::strings(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  if (value->is_string()) {
    texts.push_back(value->get<std::string>());
    return texts;
  }
  if (!value->is_array()) wrong_type(name, "a string or an array of strings");
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& item = (*value)[i];
    if (!item.is_string()) {
      const std::string at = fmt::format("{}[{}]", path(name), i);
      throw ApiError(at,
                     fmt::format("Invalid type for '{}': expected a string, but got {} instead.",
                                 at, kind_of(item)),
                     "invalid_type");
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

const Json* Fields::object(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) wrong_type(name, "an object");
  return value;
}

const Json* Fields::array(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) wrong_type(name, "an array");
  return value;
}

std::optional<std::string> Fields::word(std::string_view name,
                                        std::vector<std::string_view> words) const {
  std::optional<std::string> value = string(name);
  if (value && std::ranges::find(words, *value) == words.end()) {
    wrong_value(name, fmt::format("it is none of: '{}'.", fmt::join(words, "', '")));
  }
  return value;
}

}  // namespace mistral::server
