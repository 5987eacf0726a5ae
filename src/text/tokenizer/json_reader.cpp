#include "text/tokenizer/json_reader.h"

#include <limits>

namespace mistral::text {

JsonReader::JsonReader(const JsonValue& value, std::string where)
    : value_(value), where_(std::move(where)) {
  if (!value.is_object()) {
    throw make_error(ErrorKind::kInvalidFile, "{}: expected an object, found {}", where_,
                     value.type_name());
  }
}

const JsonValue* JsonReader::find(std::string_view key) const {
  const auto it = value_.find(key);
  return it == value_.end() || it->is_null() ? nullptr : &*it;
}

const JsonValue& JsonReader::require(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr) throw make_error(ErrorKind::kInvalidFile, "{}: missing", path(key));
  return *value;
}

std::string JsonReader::path(std::string_view key) const {
  return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

Error JsonReader::wrong(std::string_view key, std::string_view expected) const {
  const JsonValue* value = find(key);
  return make_error(ErrorKind::kInvalidFile, "{}: expected {}, found {}", path(key), expected,
                    value == nullptr ? "nothing" : value->type_name());
}

std::optional<bool> JsonReader::optional_boolean(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) throw wrong(key, "true or false");
  return value->get<bool>();
}

bool JsonReader::boolean(std::string_view key, bool fallback) const {
  return optional_boolean(key).value_or(fallback);
}

std::optional<std::string> JsonReader::optional_string(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) throw wrong(key, "a string");
  return value->get<std::string>();
}

std::string JsonReader::string(std::string_view key, std::string_view fallback) const {
  return optional_string(key).value_or(std::string(fallback));
}

std::string JsonReader::require_string(std::string_view key) const {
  static_cast<void>(require(key));
  return *optional_string(key);
}

std::optional<std::int32_t> JsonReader::optional_integer(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) throw wrong(key, "an integer");
  const bool fits = value->is_number_unsigned()
                        ? value->get<std::uint64_t>() <= std::numeric_limits<std::int32_t>::max()
                        : value->get<std::int64_t>() >= 0;
  if (!fits) {
    throw make_error(ErrorKind::kInvalidFile, "{}: expected 0 to 2147483647, found {}", path(key),
                     value->dump());
  }
  return value->get<std::int32_t>();
}

std::int32_t JsonReader::require_integer(std::string_view key) const {
  static_cast<void>(require(key));
  return *optional_integer(key);
}

const JsonValue::array_t& JsonReader::require_array(std::string_view key) const {
  const JsonValue& value = require(key);
  if (!value.is_array()) throw wrong(key, "a list");
  return value.get_ref<const JsonValue::array_t&>();
}

std::string json_path(const std::string& where, std::size_t index) {
  return fmt::format("{}[{}]", where, index);
}

}  // namespace mistral::text
