#include "models/debug_files.h"

#include <fstream>
#include <string>

#include <fmt/format.h>

#include "core/json.h"
#include "core/log.h"

namespace mistral::models {
namespace {

// "Q4_K" is written Q4K, other types as ggml does.
std::string short_name(DType dtype) {
  std::string text(name(dtype));
  if (text.ends_with("_K")) text.erase(text.size() - 2, 1);
  return text;
}

}  // namespace

void write_tensor_list(ModelPath::Kind kind, const formats::WeightSource& weights,
                       const std::filesystem::path& folder) {
  if (kind == ModelPath::Kind::kFolder) return;
  const std::filesystem::path path =
      folder / (kind == ModelPath::Kind::kGguf ? "mistralrs_gguf_tensors.txt"
                                               : "mistralrs_ggml_tensors.txt");
  Json lines = Json::array();
  for (const formats::TensorInfo& tensor : weights.tensors()) {
    lines.push_back(fmt::format("name = `{}`, shape = {}, dtype = {}", tensor.name,
                                to_string(tensor.view.shape), short_name(tensor.view.dtype)));
  }
  std::ofstream file(path);
  file << lines.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  if (!file.flush()) {
    log::warn("{}: cannot be written", path.string());
  } else {
    log::debug("{}: {} tensors", path.string(), lines.size());
  }
}

}  // namespace mistral::models
