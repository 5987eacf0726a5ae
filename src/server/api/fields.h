// The fields of a JSON object from a client: found by name, checked, refused by name. A field that
// is null counts as left out.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace mistral::server {

class Fields {
 public:
  // `prefix` stands before the names in messages ("stream_options."). `object` must be one, and
  // outlive this.
  explicit Fields(const Json& object, std::string prefix = "")
      : object_(object), prefix_(std::move(prefix)) {}

  // Null when it is left out.
  [[nodiscard]] const Json* find(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::string path(std::string_view name) const {
    return prefix_ + std::string(name);
  }

  // All throw ApiError that names the field: another type, or beyond the range.
  [[nodiscard]] std::optional<bool> boolean(std::string_view name) const;
  [[nodiscard]] std::optional<double> number(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer(
      std::string_view name, std::int64_t low = std::numeric_limits<std::int64_t>::min(),
      std::int64_t high = std::numeric_limits<std::int64_t>::max()) const;
  [[nodiscard]] std::optional<std::string> string(std::string_view name) const;
  // One string or a list of them.
  [[nodiscard]] std::optional<std::vector<std::string>> strings(std::string_view name) const;
  [[nodiscard]] const Json* object(std::string_view name) const;
  [[nodiscard]] const Json* array(std::string_view name) const;
  // One of the given words.
  [[nodiscard]] std::optional<std::string> word(std::string_view name,
                                                std::vector<std::string_view> words) const;

  [[noreturn]] void wrong_type(std::string_view name, std::string_view expected) const;
  [[noreturn]] void wrong_value(std::string_view name, const std::string& problem) const;
  [[noreturn]] void missing(std::string_view name) const;
  [[noreturn]] void unsupported(std::string_view name, const std::string& why) const;

 private:
  const Json& object_;
  std::string prefix_;
};

// "a string", "an integer", …: what a value is, for messages.
[[nodiscard]] std::string_view kind_of(const Json& value);

}  // namespace mistral::server
