// A TOML file as a tree of values that know their place in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mistral::models {

// Far more than a selector needs; what its values take stays small, too, whatever they are.
inline constexpr std::size_t kMaxTomlBytes = std::size_t{128} << 10U;

// As editors count: from 1, a column is a character.
struct TomlPlace {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

struct TomlEntry;

struct TomlValue {
  using Array = std::vector<TomlValue>;
  using Table = std::vector<TomlEntry>;  // in the order of the file
  struct Date {};                        // dates and times, which nothing here takes

  TomlPlace place;
  std::variant<std::string, std::int64_t, double, bool, Date, Array, Table> content;

  // "a string", for messages.
  [[nodiscard]] std::string_view type_name() const;
};

struct TomlEntry {
  std::string key;
  TomlPlace place;  // of the key
  TomlValue value;
};

// The root table of `text`, TOML 1.0 of at most kMaxTomlBytes that nests at most 16 deep. Throws
// Error (kInvalidFile) "NAME:LINE:COLUMN: what is wrong", also for keys and tables that are there
// twice.
[[nodiscard]] TomlValue parse_toml(std::string_view text, const std::string& name);

}  // namespace mistral::models
