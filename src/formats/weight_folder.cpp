#include "formats/weight_folder.h"

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

constexpr std::size_t kMaxIndexBytes = 100'000'000;
constexpr int kMaxIndexDepth = 32;
constexpr std::string_view kConsolidated = "consolidated";

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool ends_with_any(std::string_view name, std::span<const std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// "*.bin, *.pth, *.pt"
std::string patterns(const FolderNames& names) {
  return fmt::format("*{}", fmt::join(names.endings, ", *"));
}

// An index may come from a stranger: it names files of its own folder and nothing else.
bool is_plain_name(std::string_view name, const FolderNames& names) {
  return !name.empty() && name.front() != '.' && ends_with_any(name, names.endings) &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

WeightFiles read_index(const fs::path& folder, const std::string& index_name,
                       const FolderNames& names) {
  const MappedFile file(folder / index_name);
  const std::map<std::string, std::string> map = parse_weight_index(file.bytes(), names);
  std::map<std::string, std::size_t> file_index;
  for (const auto& [tensor, name] : map) file_index.emplace(name, 0);
  WeightFiles out;
  // Number the files in the order of their names, which is that of the shards.
  for (auto& [name, number] : file_index) {
    number = out.files.size();
    out.files.push_back(folder / name);
    if (!is_file(out.files.back())) {
      throw make_error(ErrorKind::kNotFound, "the file {} that weight_map names does not exist",
                       printable(name));
    }
  }
  for (const auto& [tensor, name] : map) out.placed.emplace(tensor, file_index.at(name));
  return out;
}

// The visible files of the folder in the order of their names.
std::vector<std::string> list_files(const fs::path& folder) {
  std::vector<std::string> names;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::string name = entry.path().filename().string();
      if (name.front() != '.' && is_file(entry.path())) names.push_back(std::move(name));
    }
  } catch (const fs::filesystem_error& error) {
    throw make_error(ErrorKind::kInvalidFile, "cannot list the folder '{}': {}", folder.string(),
                     error.code().message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The usual index, or the only one that is called otherwise.
std::optional<std::string> find_index(const fs::path& folder, const std::vector<std::string>& all,
                                      const FolderNames& names) {
  if (std::binary_search(all.begin(), all.end(), names.index)) return std::string(names.index);
  std::optional<std::string> found;
  if (names.index_ending.empty()) return found;
  for (const std::string& name : all) {
    if (!name.ends_with(names.index_ending)) continue;
    if (found) {
      throw make_error(ErrorKind::kInvalidFile,
                       "'{}' holds both {} and {}; expected one model, or {}", folder.string(),
                       *found, name, names.index);
    }
    found = name;
  }
  return found;
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

constexpr std::string_view kSafetensorsEndings[] = {".safetensors"};
constexpr std::string_view kTorchEndings[] = {".bin", ".pth", ".pt"};
// Files that lie beside weights in published folders and in those of training programs.
constexpr std::string_view kSafetensorsOthers[] = {"expected", "adapter"};
constexpr std::string_view kTorchOthers[] = {"expected",  "adapter",       "training_args",
                                             "optimizer", "scheduler",     "scaler",
                                             "rng_state", "random_states", "trainer"};

}  // namespace

const FolderNames& safetensors_names() {
  static constexpr FolderNames kNames = {"model.safetensors.index.json", "", "model.safetensors",
                                         kSafetensorsEndings, kSafetensorsOthers};
  return kNames;
}

const FolderNames& torch_names() {
  static constexpr FolderNames kNames = {"pytorch_model.bin.index.json", ".bin.index.json",
                                         "pytorch_model.bin", kTorchEndings, kTorchOthers};
  return kNames;
}

std::map<std::string, std::string> parse_weight_index(std::span<const std::byte> text,
                                                      const FolderNames& names) {
  if (text.size() > kMaxIndexBytes) {
    throw make_error(ErrorKind::kInvalidFile, "{} bytes; expected at most {}", text.size(),
                     kMaxIndexBytes);
  }
  // Not Json: its objects search linearly, and an index may have 100000 keys.
  const nlohmann::json index = parse_limited_json(text, kMaxIndexDepth);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object() || map->empty()) {
    throw Error(ErrorKind::kInvalidFile,
                "expected an object 'weight_map' from tensor names to file names");
  }
  std::map<std::string, std::string> out;
  for (const auto& [tensor, value] : map->items()) {
    if (!value.is_string()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "weight_map names no file for tensor {}: expected a string, found {}",
                       printable(tensor), value.type_name());
    }
    const auto& name = value.get_ref<const std::string&>();
    if (!is_plain_name(name, names)) {
      throw make_error(ErrorKind::kInvalidFile,
                       "weight_map names the file {} for tensor {}; expected the name of a file "
                       "{} in the same folder",
                       printable(name), printable(tensor), patterns(names));
    }
    out.emplace(tensor, name);
  }
  return out;
}

std::optional<WeightFiles> find_weight_files(const fs::path& folder, const FolderNames& names) {
  std::error_code failure;
  const fs::file_status status = fs::status(folder, failure);
  if (status.type() == fs::file_type::not_found) {
    throw make_error(ErrorKind::kNotFound, "the folder '{}' does not exist", folder.string());
  }
  if (!fs::is_directory(status)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' is not a folder; expected a folder with weights", folder.string());
  }
  const std::vector<std::string> all = list_files(folder);
  if (const auto index = find_index(folder, all, names)) {
    try {
      return read_index(folder, *index, names);
    } catch (Error& error) {
      error.add_context(fmt::format("reading '{}'", (folder / *index).string()));
      throw;
    }
  }
  if (std::binary_search(all.begin(), all.end(), names.single)) {
    return WeightFiles{{folder / names.single}, {}, false};
  }

  std::vector<std::string> found;
  std::vector<std::string> consolidated;
  for (const std::string& name : all) {
    const auto& others = names.beginnings_of_others;
    if (!ends_with_any(name, names.endings) ||
        std::any_of(others.begin(), others.end(),
                    [&](std::string_view beginning) { return name.starts_with(beginning); })) {
      continue;
    }
    (name.starts_with(kConsolidated) ? consolidated : found).push_back(name);
  }
  WeightFiles out;
  out.consolidated = found.empty();
  if (out.consolidated) found = std::move(consolidated);
  if (found.empty()) return std::nullopt;
  if (found != shard_set(folder, found.front())) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' holds {} files {} ({}, {}{}) and no {}; expected one model",
                     folder.string(), found.size(), patterns(names), found[0],
                     found[found.size() > 1 ? 1 : 0], found.size() > 2 ? ", ..." : "", names.index);
  }
  for (const std::string& name : found) out.files.push_back(folder / name);
  return out;
}

void check_placed(const WeightSource& source, const fs::path& folder, const WeightFiles& files) {
  for (const auto& [tensor_name, file] : files.placed) {
    const TensorInfo* tensor = source.find(tensor_name);
    if (tensor == nullptr || tensor->file != file) {
      throw make_error(ErrorKind::kInvalidFile,
                       "the index of '{}' says that tensor {} is in '{}', but it is not",
                       folder.string(), printable(tensor_name), files.files[file].string());
    }
  }
}

}  // namespace mistral::formats
