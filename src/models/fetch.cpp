#include "models/fetch.h"

#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/printable.h"
#include "hub/hub.h"

namespace mistral::models {
namespace {

namespace fs = std::filesystem;

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

hub::Wanted wanted(hub::Wanted::Kind kind, std::vector<std::string> files = {}) {
  hub::Wanted wanted;
  wanted.kind = kind;
  wanted.files = std::move(files);
  return wanted;
}

hub::LocalModel fetch(const hub::ModelId& id, hub::Wanted what, const HubAccess& access) {
  hub::HubOptions options = hub::options_from_environment();
  options.token_source = hub::TokenSource(access.token_source);
  options.cancelled = access.cancelled;
  options.on_progress = access.on_progress;
  hub::Hub hub(std::move(options));
  return hub.fetch({.id = id, .revision = access.revision, .wanted = std::move(what)});
}

// For a text that is no path.
hub::LocalModel fetch_in_place_of_path(const std::string& model, hub::Wanted what,
                                       const HubAccess& access) {
  const auto id = hub::parse_model_id(model);
  if (!id) {
    throw make_error(ErrorKind::kNotFound,
                     "'{}': no such file or folder; expected a .gguf file, a folder with a GGUF "
                     "model or with config.json and weights, or the id of a model on the hub "
                     "(org/name or org/name:QUANT)",
                     model);
  }
  try {
    return fetch(*id, std::move(what), access);
  } catch (Error& error) {
    if (error.kind() != ErrorKind::kCancelled) {
      error.add_context(
          fmt::format("'{}': no such file or folder, and as the id of a model", model));
    }
    throw;
  }
}

}  // namespace

ModelPath locate_or_fetch(const std::string& model, const HubAccess& access) {
  if (exists(model)) return locate(model);
  return locate(fetch_in_place_of_path(model, wanted(hub::Wanted::Kind::kModel), access).model);
}

ModelPath locate_or_fetch_gguf(const std::string& model, const std::vector<std::string>& filenames,
                               const HubAccess& access) {
  if (exists(model) || filenames.empty()) return locate_gguf(model, filenames);
  const hub::LocalModel local =
      fetch_in_place_of_path(model, wanted(hub::Wanted::Kind::kFiles, filenames), access);
  return locate_gguf(local.folder, filenames);
}

ModelPath locate_or_fetch_ggml(const std::string& model, const std::string& filename,
                               const HubAccess& access) {
  if (exists(model)) return locate_ggml(model, filename, 1);
  const hub::LocalModel local =
      fetch_in_place_of_path(model, wanted(hub::Wanted::Kind::kFiles, {filename}), access);
  return locate_ggml(local.folder, filename, 1);
}

ModelPath locate_or_fetch_plain(const std::string& model, const HubAccess& access) {
  if (exists(model)) return locate_plain(model);
  return locate_plain(
      fetch_in_place_of_path(model, wanted(hub::Wanted::Kind::kPlain), access).folder);
}

ModelPath locate_or_fetch_any_gguf(const std::string& model, const HubAccess& access) {
  if (exists(model)) return locate(model);
  return locate(fetch_in_place_of_path(model, wanted(hub::Wanted::Kind::kGguf), access).model);
}

fs::path tokenizer_or_fetch(const std::string& model, const HubAccess& access) {
  if (exists(model)) return model;
  return fetch_in_place_of_path(model, wanted(hub::Wanted::Kind::kTokenizer), access).folder;
}

fs::path fetch_model(const std::string& id, const HubAccess& access) {
  const auto parsed = hub::parse_model_id(id);
  if (!parsed) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{} is no id of a model; expected org/name or org/name:QUANT", printable(id));
  }
  return fetch(*parsed, wanted(hub::Wanted::Kind::kModel), access).model;
}

}  // namespace mistral::models
