#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "formats/gguf.h"
#include "formats/printable.h"

namespace mistral::formats {
namespace {

Error wrong_type(std::string_view key, std::string_view expected, std::string_view found) {
  return make_error(ErrorKind::kInvalidFile, "key {}: expected {}, found {}", printable(key),
                    expected, found);
}

Error missing(std::string_view key) {
  return make_error(ErrorKind::kInvalidFile, "key {} is missing in the metadata", printable(key));
}

std::string type_of(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value.value)) {
    return fmt::format("array of {}", name(array->element_type));
  }
  return std::string(name(value.type));
}

// The value as an integer where it is one exactly.
template <typename T>
std::optional<std::int64_t> exact_integer(T value) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    return value;
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (!std::in_range<std::int64_t>(value)) return std::nullopt;
    return static_cast<std::int64_t>(value);
  } else {
    static_assert(std::is_same_v<T, double>);
    constexpr double kLimit = 9223372036854775808.0;  // 2^63; NaN fails both comparisons
    if (!(value >= -kLimit && value < kLimit) || value != std::trunc(value)) return std::nullopt;
    return static_cast<std::int64_t>(value);
  }
}

template <typename T>
constexpr bool kIsNumber = std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::uint64_t> ||
                           std::is_same_v<T, double>;

}  // namespace

std::string_view name(GgufType type) {
  switch (type) {
    case GgufType::kU8:
      return "u8";
    case GgufType::kI8:
      return "i8";
    case GgufType::kU16:
      return "u16";
    case GgufType::kI16:
      return "i16";
    case GgufType::kU32:
      return "u32";
    case GgufType::kI32:
      return "i32";
    case GgufType::kF32:
      return "f32";
    case GgufType::kBool:
      return "bool";
    case GgufType::kString:
      return "string";
    case GgufType::kArray:
      return "array";
    case GgufType::kU64:
      return "u64";
    case GgufType::kI64:
      return "i64";
    case GgufType::kF64:
      return "f64";
  }
  return "unknown type";
}

std::size_t GgufArray::size() const {
  return std::visit([](const auto& items) { return items.size(); }, elements);
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::optional<std::int64_t> GgufMetadata::integer(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [&](const auto& held) -> std::int64_t {
        if constexpr (kIsNumber<std::remove_cvref_t<decltype(held)>>) {
          if (const auto exact = exact_integer(held)) return *exact;
          throw wrong_type(key, "an integer that fits 64 bits",
                           fmt::format("{} {}", type_of(*value), held));
        } else {
          throw wrong_type(key, "an integer", type_of(*value));
        }
      },
      value->value);
}

std::optional<double> GgufMetadata::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [&](const auto& held) -> double {
        if constexpr (kIsNumber<std::remove_cvref_t<decltype(held)>>) {
          return static_cast<double>(held);
        } else {
          throw wrong_type(key, "a number", type_of(*value));
        }
      },
      value->value);
}

std::optional<bool> GgufMetadata::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* held = std::get_if<bool>(&value->value)) return *held;
  throw wrong_type(key, "a bool", type_of(*value));
}

std::optional<std::string_view> GgufMetadata::string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* held = std::get_if<std::string_view>(&value->value)) return *held;
  throw wrong_type(key, "a string", type_of(*value));
}

const GgufArray* GgufMetadata::array(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return nullptr;
  if (const auto* held = std::get_if<GgufArray>(&value->value)) return held;
  throw wrong_type(key, "an array", type_of(*value));
}

std::vector<std::string_view> GgufMetadata::strings(std::string_view key) const {
  const GgufArray* found = array(key);
  if (found == nullptr || found->size() == 0) return {};
  if (const auto* items = std::get_if<std::vector<std::string_view>>(&found->elements)) {
    return *items;
  }
  throw wrong_type(key, "an array of string",
                   fmt::format("array of {}", name(found->element_type)));
}

std::vector<std::int64_t> GgufMetadata::integers(std::string_view key) const {
  const GgufArray* found = array(key);
  std::vector<std::int64_t> out;
  if (found == nullptr || found->size() == 0) return out;
  const std::string type = fmt::format("array of {}", name(found->element_type));
  std::visit(
      [&](const auto& items) {
        if constexpr (kIsNumber<typename std::remove_cvref_t<decltype(items)>::value_type>) {
          out.reserve(items.size());
          for (std::size_t i = 0; i < items.size(); ++i) {
            const auto exact = exact_integer(items[i]);
            if (!exact) {
              throw wrong_type(key, "integers that fit 64 bits",
                               fmt::format("{} with {} at place {}", type, items[i], i));
            }
            out.push_back(*exact);
          }
        } else {
          throw wrong_type(key, "an array of integers", type);
        }
      },
      found->elements);
  return out;
}

std::vector<double> GgufMetadata::numbers(std::string_view key) const {
  const GgufArray* found = array(key);
  std::vector<double> out;
  if (found == nullptr || found->size() == 0) return out;
  std::visit(
      [&](const auto& items) {
        if constexpr (kIsNumber<typename std::remove_cvref_t<decltype(items)>::value_type>) {
          out.reserve(items.size());
          for (const auto item : items) out.push_back(static_cast<double>(item));
        } else {
          throw wrong_type(key, "an array of numbers",
                           fmt::format("array of {}", name(found->element_type)));
        }
      },
      found->elements);
  return out;
}

std::int64_t GgufMetadata::require_integer(std::string_view key) const {
  if (const auto value = integer(key)) return *value;
  throw missing(key);
}

double GgufMetadata::require_number(std::string_view key) const {
  if (const auto value = number(key)) return *value;
  throw missing(key);
}

std::string_view GgufMetadata::require_string(std::string_view key) const {
  if (const auto value = string(key)) return *value;
  throw missing(key);
}

}  // namespace mistral::formats
