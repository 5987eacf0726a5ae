// From what the user typed to the files of a model.
#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/shard_name.h"
#include "formats/ggml.h"
#include "formats/open_weights.h"
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

bool ends_with_any(const fs::path& path, std::initializer_list<std::string_view> endings) {
  const std::string name = path.filename().string();
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool is_later_shard(const fs::path& path) {
  const auto shard = parse_shard_name(path.filename().string());
  return shard && shard->number > 1;
}

// A split model is opened by its first shard.
fs::path first_shard(const fs::path& path) {
  const auto shard = parse_shard_name(path.filename().string());
  std::error_code ignored;
  if (!shard || !fs::exists(path.parent_path() / shard->sister(1), ignored)) return path;
  return path.parent_path() / shard->sister(1);
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

// The files of a folder that begin a GGUF model, and those that are llama files from before GGUF.
struct ModelFiles {
  std::vector<fs::path> gguf;
  std::vector<fs::path> ggml;
};

ModelFiles model_files(const fs::path& folder) {
  ModelFiles found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (is_gguf_name(path)) {
      if (!is_later_shard(path)) found.gguf.push_back(path);
    } else if (ends_with_any(path, {".bin", ".ggml"}) && formats::is_ggml_file(path)) {
      found.ggml.push_back(path);
    }
  }
  std::sort(found.gguf.begin(), found.gguf.end());
  std::sort(found.ggml.begin(), found.ggml.end());
  return found;
}

// The one file of a kind ("GGUF", selector "gguf"); Error when there are several.
fs::path only_one(const fs::path& folder, const std::vector<fs::path>& files, std::string_view kind,
                  std::string_view selector) {
  if (files.size() == 1) return files.front();
  std::vector<std::string> names;
  for (const fs::path& file : files) names.push_back(file.filename().string());
  throw make_error(ErrorKind::kInvalidArgument,
                   "{}: a folder with {} {} models ({}); name one with '{} -m {} -f FILE'",
                   folder.string(), names.size(), kind, fmt::join(names, ", "), selector,
                   folder.string());
}

// The weights that a Hugging Face folder loads. Errors are left to loading, which then says what is
// wrong: none.
std::optional<std::vector<fs::path>> weights_of(const fs::path& folder) {
  try {
    const auto chosen = formats::choose_weights(folder);
    return chosen ? chosen->files.files : std::vector<fs::path>{};
  } catch (const Error&) {
    return std::nullopt;
  }
}

// A file of a Hugging Face folder stands for the folder, when the folder would load it.
ModelPath folder_of(const fs::path& file, const fs::path& folder) {
  if (!fs::exists(folder / "config.json")) {
    throw make_error(
        ErrorKind::kNotFound,
        "{}: weights of a Hugging Face model, but there is no config.json beside them; "
        "expected a model folder",
        file.string());
  }
  const auto weights = weights_of(folder);
  const bool other = weights && std::none_of(weights->begin(), weights->end(), [&](const auto& w) {
                       return w.filename() == file.filename();
                     });
  if (other && !ends_with_any(file, {".json"})) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{}: not among the weights that its folder loads ({}); expected one of them, "
                     "or the folder",
                     file.string(),
                     weights->empty() ? "none" : weights->front().filename().string());
  }
  return locate_plain(folder);
}

}  // namespace

ModelPath locate(const fs::path& path) {
  existing(path);
  if (!fs::is_directory(path)) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (formats::is_ggml_file(path)) return {ModelPath::Kind::kGgml, folder, {path}, 1};
    if (path.filename() == "config.json" ||
        ends_with_any(path, {".safetensors", ".bin", ".pth", ".pt", ".index.json"})) {
      return folder_of(path, folder);
    }
    return gguf(folder, {is_gguf_name(path) ? first_shard(path) : path});
  }
  const bool has_config = fs::exists(path / "config.json");
  const ModelFiles files = model_files(path);
  const bool has_files = !files.gguf.empty() || !files.ggml.empty();
  // config.json may lie beside a GGUF or GGML model.
  if (has_config) {
    const auto weights = weights_of(path);
    const bool none =
        weights && std::all_of(weights->begin(), weights->end(), formats::is_ggml_file);
    if (!has_files || !none) return locate_plain(path);
  }
  if (!files.gguf.empty()) return gguf(path, {only_one(path, files.gguf, "GGUF", "gguf")});
  if (!files.ggml.empty()) {
    return {ModelPath::Kind::kGgml, path, {only_one(path, files.ggml, "GGML", "ggml")}, 1};
  }
  throw make_error(
      ErrorKind::kNotFound,
      "{}: a folder with neither config.json nor a GGUF or GGML file; expected a model",
      path.string());
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
