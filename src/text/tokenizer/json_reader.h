// Reading one object of a tokenizer file with errors that name the entry.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace mistral::text {

// Keys are looked up, never reproduced: a sorted map is fast for any number of them.
using JsonValue = nlohmann::json;

class JsonReader {
 public:
  // `where` names the object ("normalizer"); both are borrowed. Throws Error (kInvalidFile) when
  // the value is not an object.
  JsonReader(const JsonValue& value, std::string where);

  // nullptr for an absent key and for null.
  [[nodiscard]] const JsonValue* find(std::string_view key) const;
  [[nodiscard]] const JsonValue& require(std::string_view key) const;

  [[nodiscard]] bool boolean(std::string_view key, bool fallback) const;
  [[nodiscard]] std::optional<bool> optional_boolean(std::string_view key) const;
  [[nodiscard]] std::string string(std::string_view key, std::string_view fallback) const;
  [[nodiscard]] std::optional<std::string> optional_string(std::string_view key) const;
  [[nodiscard]] std::string require_string(std::string_view key) const;
  // Within [0, 2^31).
  [[nodiscard]] std::optional<std::int32_t> optional_integer(std::string_view key) const;
  [[nodiscard]] std::int32_t require_integer(std::string_view key) const;
  [[nodiscard]] const JsonValue::array_t& require_array(std::string_view key) const;

  // "normalizer.key", for messages and nested readers.
  [[nodiscard]] std::string path(std::string_view key) const;
  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] Error wrong(std::string_view key, std::string_view expected) const;

 private:
  const JsonValue& value_;
  std::string where_;
};

[[nodiscard]] std::string json_path(const std::string& where, std::size_t index);

}  // namespace mistral::text
