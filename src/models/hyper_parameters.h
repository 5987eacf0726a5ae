// Reading of hyper-parameters from config.json or from GGUF metadata, with errors that name file,
// key, expected and found, and limits that keep absurd values from being used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "formats/gguf.h"
#include "formats/weight_source.h"

namespace mistral::models {

// config.json of a Hugging Face folder, or an object inside it. Keys that hold null count as
// absent.
class Config {
 public:
  // Throws Error (kNotFound, kInvalidFile).
  [[nodiscard]] static Config read(const std::filesystem::path& file);
  // The same from memory; `file` is how messages call it.
  [[nodiscard]] static Config parse(std::span<const std::byte> text, const std::string& file);
  Config(std::string file, Json json) : file_(std::move(file)), json_(std::move(json)) {}

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  // true or false, or a number that is not 0 or is.
  [[nodiscard]] std::optional<bool> flag(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> string(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;  // empty when absent
  [[nodiscard]] std::optional<Config> object(std::string_view key) const;
  // A list of objects that each pair a name with a text, in order; none when the value is not a
  // list.
  [[nodiscard]] std::optional<std::vector<std::pair<std::string, std::string>>> named_strings(
      std::string_view key, std::string_view name_key, std::string_view text_key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key) const;  // empty when absent
  // An integer or a list of integers.
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key) const;

  [[nodiscard]] std::int64_t require_integer(std::string_view key) const;
  [[nodiscard]] double require_number(std::string_view key) const;

  // An Error (kInvalidFile) about one key.
  [[nodiscard]] Error problem(std::string_view key, std::string_view message) const;

 private:
  [[nodiscard]] const Json* find(std::string_view key) const;

  std::string file_;
  Json json_;
};

// The keys "<architecture>.<key>" of a GGUF file, and its tensors for what only they tell.
class GgufParameters {
 public:
  explicit GgufParameters(const formats::GgufFile& file);

  [[nodiscard]] const std::string& file() const { return file_name_; }
  [[nodiscard]] std::string_view architecture() const { return architecture_; }
  [[nodiscard]] const formats::WeightSource& tensors() const { return file_; }

  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> string(std::string_view key) const;
  [[nodiscard]] std::int64_t require_integer(std::string_view key) const;
  [[nodiscard]] double require_number(std::string_view key) const;
  [[nodiscard]] Error problem(std::string_view key, std::string_view message) const;

 private:
  template <typename Lookup>
  auto look_up(std::string_view key, Lookup lookup) const;

  const formats::GgufFile& file_;
  std::string file_name_;
  std::string architecture_;
};

}  // namespace mistral::models
