#include "formats/safetensors_folder.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/mapped_file.h"
#include "formats/json_limits.h"
#include "formats/printable.h"
#include "formats/shard_name.h"

namespace mistral::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kSingleName = "model.safetensors";
constexpr std::string_view kExtension = ".safetensors";
constexpr std::size_t kMaxIndexBytes = 100'000'000;
constexpr int kMaxIndexDepth = 32;

// Names that lie beside weights in published folders and are not the weights.
constexpr std::string_view kNotWeights[] = {"expected", "adapter", "consolidated"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// An index may come from a stranger: it names files of its own folder and nothing else.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.ends_with(kExtension) &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

SafetensorsFolder read_index(const fs::path& folder) {
  const MappedFile file(folder / kIndexName);
  if (file.bytes().size() > kMaxIndexBytes) {
    throw make_error(ErrorKind::kInvalidFile, "{} bytes; expected at most {}", file.bytes().size(),
                     kMaxIndexBytes);
  }
  // Not Json: its objects search linearly, and an index may have 100000 keys.
  const nlohmann::json index = parse_limited_json(file.bytes(), kMaxIndexDepth);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object() || map->empty()) {
    throw Error(ErrorKind::kInvalidFile,
                "expected an object 'weight_map' from tensor names to file names");
  }
  SafetensorsFolder out;
  std::map<std::string, std::size_t> file_index;
  for (const auto& [tensor, value] : map->items()) {
    if (!value.is_string()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "weight_map names no file for tensor {}: expected a string, found {}",
                       printable(tensor), value.type_name());
    }
    const auto& name = value.get_ref<const std::string&>();
    if (!is_plain_name(name)) {
      throw make_error(ErrorKind::kInvalidFile,
                       "weight_map names the file {} for tensor {}; expected the name of a "
                       ".safetensors file in the same folder",
                       printable(name), printable(tensor));
    }
    out.placed.emplace(tensor, file_index.emplace(name, 0).first->second);
  }
  // Number the files in the order of their names, which is that of the shards.
  for (auto& [name, number] : file_index) {
    number = out.files.size();
    out.files.push_back(folder / name);
    if (!is_file(out.files.back())) {
      throw make_error(ErrorKind::kNotFound, "the file {} that weight_map names does not exist",
                       printable(name));
    }
  }
  for (const auto& [tensor, value] : map->items()) {
    out.placed[tensor] = file_index.at(value.get_ref<const std::string&>());
  }
  return out;
}

std::vector<std::string> safetensors_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (name.ends_with(kExtension) && name.front() != '.' && is_file(entry.path())) {
      names.push_back(std::move(name));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Without an index, shards are told by their names; all of them must be there.
std::vector<std::string> shard_set(const fs::path& folder, const std::string& first) {
  const auto name = parse_shard_name(first);
  if (!name) return {first};
  std::vector<std::string> names;
  for (std::uint32_t number = 1; number <= name->count; ++number) {
    names.push_back(name->sister(number));
    if (!is_file(folder / names.back())) {
      throw make_error(ErrorKind::kNotFound, "'{}' is one of {} shards, but '{}' does not exist",
                       (folder / first).string(), name->count, names.back());
    }
  }
  return names;
}

}  // namespace

SafetensorsFolder find_safetensors(const fs::path& folder) {
  std::error_code failure;
  const fs::file_status status = fs::status(folder, failure);
  if (status.type() == fs::file_type::not_found) {
    throw make_error(ErrorKind::kNotFound, "the folder '{}' does not exist", folder.string());
  }
  if (!fs::is_directory(status)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' is not a folder; expected a folder with weights", folder.string());
  }
  if (is_file(folder / kIndexName)) {
    try {
      return read_index(folder);
    } catch (Error& error) {
      error.add_context(fmt::format("reading '{}'", (folder / kIndexName).string()));
      throw;
    }
  }
  if (is_file(folder / kSingleName)) return {{folder / kSingleName}, {}};

  std::vector<std::string> all;
  try {
    all = safetensors_names(folder);
  } catch (const fs::filesystem_error& error) {
    throw make_error(ErrorKind::kInvalidFile, "cannot list the folder '{}': {}", folder.string(),
                     error.code().message());
  }
  std::vector<std::string> names;
  std::copy_if(all.begin(), all.end(), std::back_inserter(names), [](const std::string& name) {
    return std::none_of(std::begin(kNotWeights), std::end(kNotWeights),
                        [&](std::string_view prefix) { return name.starts_with(prefix); });
  });
  if (names.empty() && all.size() == 1 && all.front().starts_with("consolidated")) names = all;
  if (names.empty()) {
    throw make_error(ErrorKind::kNotFound,
                     "no weights in '{}': expected {}, {} or one other file *{}", folder.string(),
                     kIndexName, kSingleName, kExtension);
  }
  if (names != shard_set(folder, names.front())) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' holds {} files *{} ({}, {}, ...) and no {}; expected one model",
                     folder.string(), names.size(), kExtension, names[0], names[1], kIndexName);
  }
  SafetensorsFolder out;
  for (const std::string& name : names) out.files.push_back(folder / name);
  return out;
}

}  // namespace mistral::formats
