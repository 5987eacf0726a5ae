// From what the user typed to the files of a model.
#include <algorithm>

#include "core/error.h"
#include "formats/ggml.h"
#include "models/loader.h"

namespace mistral::models {
namespace {

namespace fs = std::filesystem;

bool is_gguf_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".gguf";
}

// Whether a name ends in -0000i-of-0000n with i > 1: found through its first shard.
bool is_later_shard(const fs::path& path) {
  const std::string stem = path.stem().string();
  const std::size_t of = stem.rfind("-of-");
  if (of == std::string::npos || of < 6 || stem[of - 6] != '-') return false;
  const std::string number = stem.substr(of - 5, 5);
  return std::all_of(number.begin(), number.end(),
                     [](unsigned char c) { return std::isdigit(c); }) &&
         number != "00001";
}

fs::path existing(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw make_error(ErrorKind::kNotFound,
                     "{}: no such file or folder; expected a .gguf file or a model folder",
                     path.string());
  }
  return path;
}

ModelPath gguf(const fs::path& folder, std::vector<fs::path> files) {
  return {ModelPath::Kind::kGguf, folder, std::move(files), 1};
}

}  // namespace

ModelPath locate(const fs::path& path) {
  existing(path);
  if (!fs::is_directory(path)) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (formats::is_ggml_file(path)) return {ModelPath::Kind::kGgml, folder, {path}, 1};
    return gguf(folder, {path});
  }
  if (fs::exists(path / "config.json")) return locate_plain(path);
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (is_gguf_name(entry.path()) && !is_later_shard(entry.path())) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  if (found.size() == 1) return gguf(path, found);
  if (found.empty()) {
    throw make_error(ErrorKind::kNotFound,
                     "{}: a folder with neither config.json nor a .gguf file; expected a model",
                     path.string());
  }
  std::vector<std::string> names;
  for (const fs::path& file : found) names.push_back(file.filename().string());
  throw make_error(ErrorKind::kInvalidArgument,
                   "{}: a folder with {} GGUF models ({}); name one with 'gguf -m {} -f FILE'",
                   path.string(), names.size(), fmt::join(names, ", "), path.string());
}

ModelPath locate_gguf(const fs::path& folder, const std::vector<std::string>& filenames) {
  existing(folder);
  if (!fs::is_directory(folder)) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: expected a folder that holds GGUF files",
                     folder.string());
  }
  if (filenames.empty()) {
    throw make_error(ErrorKind::kInvalidArgument, "no GGUF file named; expected -f FILE");
  }
  std::vector<fs::path> files;
  for (const std::string& name : filenames) files.push_back(existing(folder / name));
  return gguf(folder, std::move(files));
}

ModelPath locate_plain(const fs::path& folder) {
  existing(folder);
  if (!fs::is_directory(folder)) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{}: expected a model folder with config.json, found a file", folder.string());
  }
  if (!fs::exists(folder / "config.json")) {
    throw make_error(ErrorKind::kNotFound,
                     "{}: no config.json in this folder; expected a Hugging "
                     "Face model folder",
                     folder.string());
  }
  return {ModelPath::Kind::kFolder, folder, {}, 1};
}

ModelPath locate_ggml(const fs::path& folder, const std::string& filename, std::int64_t gqa) {
  existing(folder);
  if (!fs::is_directory(folder)) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: expected a folder that holds a GGML file",
                     folder.string());
  }
  return {ModelPath::Kind::kGgml, folder, {existing(folder / filename)}, gqa};
}

}  // namespace mistral::models
