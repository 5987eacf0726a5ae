// Look-ups in a table of a TOML file, with errors that say where, what is allowed and what was
// found.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "models/selector/toml_document.h"

namespace mistral::models {

// Borrows the value and the names. Every look-up throws Error (kInvalidFile) for a value of another
// type; texts must not be empty and hold no zero byte.
class TomlTable {
 public:
  // `path` is how messages call the table ("speculative.draft_model"), empty for the root.
  TomlTable(const TomlValue& table, std::string path, const std::string& file);

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

  [[nodiscard]] std::optional<std::string> string(std::string_view key) const;
  // One of `names`; `what` says what they are ("architecture").
  [[nodiscard]] std::optional<std::string> one_of(std::string_view key, std::string_view what,
                                                  std::span<const std::string_view> names) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t least) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;  // finite
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<std::string>> strings(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(std::string_view key,
                                                                  std::int64_t least) const;
  [[nodiscard]] std::optional<TomlTable> table(std::string_view key) const;
  [[nodiscard]] bool is_table(std::string_view key) const;

  // Of the value when there is one; throws Error that says that `key` is missing otherwise. `owner`
  // is what needs it ("a lora model").
  template <typename T>
  [[nodiscard]] T required(std::string_view key, std::optional<T> value,
                           std::string_view owner) const {
    if (!value) throw missing(key, owner);
    return *std::move(value);
  }

  // Throws Error for the first key that is not among `known`. `owner` ("[speculative]") is what
  // takes them.
  void check_keys(std::span<const std::string_view> known, std::string_view owner) const;

  // Errors at the place of a key (its value; the table when it is absent), and of the whole table.
  [[nodiscard]] Error problem(std::string_view key, std::string_view message) const;
  [[nodiscard]] Error missing(std::string_view key, std::string_view owner) const;
  // At the key itself.
  [[nodiscard]] Error wrong_key(std::string_view key, std::string_view message) const;
  [[nodiscard]] Error problem(std::string_view message) const;

 private:
  [[nodiscard]] const TomlEntry* find(std::string_view key) const;
  [[nodiscard]] std::string at(TomlPlace place) const;          // "FILE:LINE:COLUMN: "
  [[nodiscard]] std::string named(std::string_view key) const;  // "model.arch"
  [[nodiscard]] Error mismatch(std::string_view key, std::string_view expected,
                               const TomlValue& found) const;
  [[nodiscard]] const std::string& text(std::string_view key, const TomlValue& value) const;
  [[nodiscard]] std::int64_t whole(std::string_view key, const TomlValue& value,
                                   std::int64_t least) const;

  const TomlValue* table_;
  std::string path_;
  const std::string* file_;
};

}  // namespace mistral::models
