#include "models/hyper_parameters.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/mapped_file.h"
#include "formats/json_limits.h"

namespace mistral::models {
namespace {

constexpr int kMaxConfigDepth = 32;
constexpr std::size_t kMaxConfigBytes = std::size_t{64} << 20U;

}  // namespace

Config Config::read(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  return parse(mapped.bytes(), file.string());
}

Config Config::parse(std::span<const std::byte> text, const std::string& file) {
  try {
    if (text.size() > kMaxConfigBytes) {
      throw make_error(ErrorKind::kInvalidFile, "{} bytes are too much for a configuration",
                       text.size());
    }
    Json json = formats::parse_limited_json(text, kMaxConfigDepth);
    if (!json.is_object()) {
      throw make_error(ErrorKind::kInvalidFile, "expected a JSON object, found {}",
                       json.type_name());
    }
    return {file, std::move(json)};
  } catch (Error& error) {
    throw error.add_context(file);
  }
}

const Json* Config::find(std::string_view key) const {
  const auto found = json_.find(std::string(key));
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

Error Config::problem(std::string_view key, std::string_view message) const {
  return make_error(ErrorKind::kInvalidFile, "{}: key '{}': {}", file_, key, message);
}

std::optional<std::int64_t> Config::integer(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_float() && std::floor(value->get<double>()) == value->get<double>() &&
      std::abs(value->get<double>()) < 1e15) {
    return static_cast<std::int64_t>(value->get<double>());
  }
  if (!value->is_number_integer()) {
    throw problem(key, fmt::format("expected an integer, found {}", value->type_name()));
  }
  return value->get<std::int64_t>();
}

std::optional<double> Config::number(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    throw problem(key, fmt::format("expected a number, found {}", value->type_name()));
  }
  return value->get<double>();
}

std::optional<bool> Config::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    throw problem(key, fmt::format("expected true or false, found {}", value->type_name()));
  }
  return value->get<bool>();
}

std::optional<bool> Config::flag(std::string_view key) const {
  const Json* value = find(key);
  if (value != nullptr && value->is_number()) return value->get<double>() != 0.0;
  return boolean(key);
}

std::optional<std::string> Config::string(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    throw problem(key, fmt::format("expected a string, found {}", value->type_name()));
  }
  return value->get<std::string>();
}

std::vector<std::string> Config::strings(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  std::vector<std::string> result;
  if (value->is_array()) {
    for (const Json& item : *value) {
      if (!item.is_string()) {
        throw problem(key, fmt::format("expected strings, found {}", item.type_name()));
      }
      result.push_back(item.get<std::string>());
    }
    return result;
  }
  throw problem(key, fmt::format("expected a list of strings, found {}", value->type_name()));
}

std::vector<std::int64_t> Config::integers(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  std::vector<std::int64_t> result;
  const auto add = [&](const Json& item) {
    if (!item.is_number_integer()) {
      throw problem(key, fmt::format("expected an integer or a list of integers, found {}",
                                     item.type_name()));
    }
    result.push_back(item.get<std::int64_t>());
  };
  if (value->is_array()) {
    for (const Json& item : *value) add(item);
  } else {
    add(*value);
  }
  return result;
}

std::optional<std::vector<std::pair<std::string, std::string>>> Config::named_strings(
    std::string_view key, std::string_view name_key, std::string_view text_key) const {
  const Json* value = find(key);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::pair<std::string, std::string>> result;
  for (const Json& item : *value) {
    if (!item.is_object()) {
      throw problem(key, fmt::format("expected a list of objects, found {}", item.type_name()));
    }
    const Config entry(file_, item);
    result.emplace_back(entry.string(name_key).value_or(""), entry.string(text_key).value_or(""));
  }
  return result;
}

std::vector<double> Config::numbers(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) {
    throw problem(key, fmt::format("expected a list of numbers, found {}", value->type_name()));
  }
  std::vector<double> result;
  for (const Json& item : *value) {
    if (!item.is_number()) {
      throw problem(key, fmt::format("expected numbers, found {}", item.type_name()));
    }
    result.push_back(item.get<double>());
  }
  return result;
}

std::optional<Config> Config::object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) {
    throw problem(key, fmt::format("expected an object, found {}", value->type_name()));
  }
  return Config(file_, *value);
}

std::int64_t Config::require_integer(std::string_view key) const {
  if (const auto value = integer(key)) return *value;
  throw problem(key, "is missing; expected an integer");
}

double Config::require_number(std::string_view key) const {
  if (const auto value = number(key)) return *value;
  throw problem(key, "is missing; expected a number");
}

GgufParameters::GgufParameters(const formats::GgufFile& file)
    : file_(file), file_name_(file.files().front().string()), architecture_(file.architecture()) {}

template <typename Lookup>
auto GgufParameters::look_up(std::string_view key, Lookup lookup) const {
  try {
    return lookup(architecture_ + "." + std::string(key));
  } catch (Error& error) {
    throw error.add_context(file_name_);
  }
}

std::optional<std::int64_t> GgufParameters::integer(std::string_view key) const {
  return look_up(key, [&](const std::string& name) { return file_.metadata().integer(name); });
}
std::optional<double> GgufParameters::number(std::string_view key) const {
  return look_up(key, [&](const std::string& name) { return file_.metadata().number(name); });
}
std::optional<bool> GgufParameters::boolean(std::string_view key) const {
  return look_up(key, [&](const std::string& name) { return file_.metadata().boolean(name); });
}
std::optional<std::string> GgufParameters::string(std::string_view key) const {
  const auto value =
      look_up(key, [&](const std::string& name) { return file_.metadata().string(name); });
  return value ? std::optional<std::string>(*value) : std::nullopt;
}
std::int64_t GgufParameters::require_integer(std::string_view key) const {
  if (const auto value = integer(key)) return *value;
  throw problem(key, "is missing; expected an integer");
}
double GgufParameters::require_number(std::string_view key) const {
  if (const auto value = number(key)) return *value;
  throw problem(key, "is missing; expected a number");
}
Error GgufParameters::problem(std::string_view key, std::string_view message) const {
  return make_error(ErrorKind::kInvalidFile, "{}: key '{}.{}': {}", file_name_, architecture_, key,
                    message);
}

}  // namespace mistral::models
