// From what the user typed, a path or the id of a model on the hub, to files. A path that exists is
// always meant as one; only then is the text taken for an id ("org/name" or "org/name:QUANT").
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "models/loader.h"

namespace mistral::models {

struct HubAccess {
  std::string revision = "main";       // branch, tag or commit
  std::string token_source = "cache";  // literal:TOKEN, env:NAME, path:FILE, cache, none
  std::function<bool()> cancelled;     // asked often, from several threads; true ends a download
  ProgressCallback on_progress;        // bytes of what is downloaded
};

// All throw Error: what locate() and its like throw for a path, and for an id what hub::Hub::fetch
// throws, with the remark that there is no such path.
[[nodiscard]] ModelPath locate_or_fetch(const std::string& model, const HubAccess& access);
[[nodiscard]] ModelPath locate_or_fetch_gguf(const std::string& model,
                                             const std::vector<std::string>& filenames,
                                             const HubAccess& access);
[[nodiscard]] ModelPath locate_or_fetch_ggml(const std::string& model, const std::string& filename,
                                             const HubAccess& access);
[[nodiscard]] ModelPath locate_or_fetch_plain(const std::string& model, const HubAccess& access);
// A GGUF model of a repository that may hold others, too.
[[nodiscard]] ModelPath locate_or_fetch_any_gguf(const std::string& model, const HubAccess& access);
// The folder of tokenizer and chat template.
[[nodiscard]] std::filesystem::path tokenizer_or_fetch(const std::string& model,
                                                       const HubAccess& access);

// Fetches a model by its id, whatever paths there are, and returns its folder or GGUF file.
[[nodiscard]] std::filesystem::path fetch_model(const std::string& id, const HubAccess& access);

}  // namespace mistral::models
