#include "models/selector/toml_table.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/nearest_name.h"
#include "core/printable.h"

namespace mistral::models {
namespace {

// Stands between what was found and what is expected.
std::string suggestion(std::string_view name, std::span<const std::string_view> names) {
  const auto nearest = nearest_name(name, names);
  return nearest ? fmt::format("; did you mean '{}'?", *nearest) : ";";
}

}  // namespace

TomlTable::TomlTable(const TomlValue& table, std::string path, const std::string& file)
    : table_(&table), path_(std::move(path)), file_(&file) {
  if (!std::holds_alternative<TomlValue::Table>(table.content)) {
    throw make_error(ErrorKind::kInvalidFile, "{}{}: expected a table, found {}", at(table.place),
                     path_, table.type_name());
  }
}

const TomlEntry* TomlTable::find(std::string_view key) const {
  for (const TomlEntry& entry : std::get<TomlValue::Table>(table_->content)) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string TomlTable::at(TomlPlace place) const {
  return fmt::format("{}:{}:{}: ", *file_, place.line, place.column);
}

std::string TomlTable::named(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

Error TomlTable::problem(std::string_view key, std::string_view message) const {
  const TomlEntry* entry = find(key);
  return make_error(ErrorKind::kInvalidFile, "{}{}: {}",
                    at(entry != nullptr ? entry->value.place : table_->place), named(key), message);
}

Error TomlTable::problem(std::string_view message) const {
  return make_error(ErrorKind::kInvalidFile, "{}{}{}", at(table_->place),
                    path_.empty() ? "" : fmt::format("[{}]: ", path_), message);
}

Error TomlTable::missing(std::string_view key, std::string_view owner) const {
  return problem(fmt::format("the key '{}' is missing: {} needs it", key, owner));
}

Error TomlTable::wrong_key(std::string_view key, std::string_view message) const {
  const TomlEntry* entry = find(key);
  return make_error(ErrorKind::kInvalidFile, "{}{}{}",
                    at(entry != nullptr ? entry->place : table_->place),
                    path_.empty() ? "" : fmt::format("[{}]: ", path_), message);
}

Error TomlTable::mismatch(std::string_view key, std::string_view expected,
                          const TomlValue& found) const {
  return make_error(ErrorKind::kInvalidFile, "{}{}: expected {}, found {}", at(found.place),
                    named(key), expected, found.type_name());
}

const std::string& TomlTable::text(std::string_view key, const TomlValue& value) const {
  const auto* text = std::get_if<std::string>(&value.content);
  if (text == nullptr) throw mismatch(key, "a string", value);
  if (text->empty() || text->find('\0') != std::string::npos) {
    throw make_error(ErrorKind::kInvalidFile, "{}{}: expected a text {}, found {}", at(value.place),
                     named(key), text->empty() ? "that is not empty" : "without zero bytes",
                     printable(*text));
  }
  return *text;
}

std::int64_t TomlTable::whole(std::string_view key, const TomlValue& value,
                              std::int64_t least) const {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto* number = std::get_if<std::int64_t>(&value.content);
  if (number == nullptr) throw mismatch(key, "an integer", value);
  if (*number < least || *number > kMost) {
    throw make_error(ErrorKind::kInvalidFile, "{}{}: expected an integer from {} to {}, found {}",
                     at(value.place), named(key), least, kMost, *number);
  }
  return *number;
}

std::optional<std::string> TomlTable::string(std::string_view key) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  return text(key, entry->value);
}

std::optional<std::string> TomlTable::one_of(std::string_view key, std::string_view what,
                                             std::span<const std::string_view> names) const {
  std::optional<std::string> value = string(key);
  if (!value) return value;
  for (const std::string_view name : names) {
    if (*value == name) return value;
  }
  throw problem(key, fmt::format("unknown {} {}{} expected one of {}", what, printable(*value),
                                 suggestion(*value, names), fmt::join(names, ", ")));
}

std::optional<std::int64_t> TomlTable::integer(std::string_view key, std::int64_t least) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  return whole(key, entry->value, least);
}

std::optional<double> TomlTable::number(std::string_view key) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  if (const auto* whole = std::get_if<std::int64_t>(&entry->value.content)) {
    return static_cast<double>(*whole);
  }
  const auto* number = std::get_if<double>(&entry->value.content);
  if (number == nullptr) throw mismatch(key, "a number", entry->value);
  if (!std::isfinite(*number)) {
    throw problem(key, fmt::format("expected a finite number, found {}", *number));
  }
  return *number;
}

std::optional<bool> TomlTable::boolean(std::string_view key) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* boolean = std::get_if<bool>(&entry->value.content);
  if (boolean == nullptr) throw mismatch(key, "true or false", entry->value);
  return *boolean;
}

std::optional<std::vector<std::string>> TomlTable::strings(std::string_view key) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* array = std::get_if<TomlValue::Array>(&entry->value.content);
  if (array == nullptr) throw mismatch(key, "an array of strings", entry->value);
  if (array->empty()) throw problem(key, "expected at least one string, found an empty array");
  std::vector<std::string> out;
  for (const TomlValue& element : *array) out.push_back(text(key, element));
  return out;
}

std::optional<std::vector<std::int64_t>> TomlTable::integers(std::string_view key,
                                                             std::int64_t least) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* array = std::get_if<TomlValue::Array>(&entry->value.content);
  if (array == nullptr) throw mismatch(key, "an array of integers", entry->value);
  std::vector<std::int64_t> out;
  for (const TomlValue& element : *array) out.push_back(whole(key, element, least));
  return out;
}

bool TomlTable::is_table(std::string_view key) const {
  const TomlEntry* entry = find(key);
  return entry != nullptr && std::holds_alternative<TomlValue::Table>(entry->value.content);
}

std::optional<TomlTable> TomlTable::table(std::string_view key) const {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  return TomlTable(entry->value, named(key), *file_);
}

void TomlTable::check_keys(std::span<const std::string_view> known, std::string_view owner) const {
  for (const TomlEntry& entry : std::get<TomlValue::Table>(table_->content)) {
    bool found = false;
    for (const std::string_view key : known) found = found || key == entry.key;
    if (found) continue;
    throw wrong_key(entry.key,
                    fmt::format("unknown key {}{} {} takes {}", printable(entry.key),
                                suggestion(entry.key, known), owner, fmt::join(known, ", ")));
  }
}

}  // namespace mistral::models
