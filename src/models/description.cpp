#include "models/description.h"

#include <limits>

#include "core/error.h"
#include "formats/ggml.h"
#include "formats/open_weights.h"

namespace mistral::models {

Description describe(const ModelPath& path) {
  Description result;
  if (path.kind != ModelPath::Kind::kFolder) {
    const bool legacy = path.kind == ModelPath::Kind::kGgml;
    result.kind = legacy ? "ggml" : "gguf";
    result.gguf = legacy ? formats::open_ggml(path.files.front(), {path.gqa})
                         : formats::GgufFile::open(path.files);
    result.weights = result.gguf;
    const GgufParameters parameters(*result.gguf);
    result.family = &family_of(parameters);
    result.spec = result.family->from_gguf(parameters);
    result.name = std::string(result.gguf->metadata().string("general.name").value_or(""));
    if (result.name.empty()) result.name = path.files.front().stem().string();
    return result;
  }
  result.kind = "folder";
  const Config config = Config::read(path.folder / "config.json");
  result.family = path.architecture.empty() ? &family_of(config) : &family_named(path.architecture);
  result.spec = result.family->from_config(config);
  result.weights = formats::open_weights(path.folder);
  std::filesystem::path folder = std::filesystem::absolute(path.folder).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  result.name = folder.filename().string();
  return result;
}

std::int64_t add_parameters(std::int64_t count, const formats::TensorInfo& tensor) {
  const std::int64_t elements = tensor.view.shape.elements();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return elements > kMost - count ? kMost : count + elements;
}

std::int64_t parameter_count(const formats::WeightSource& weights) {
  std::int64_t count = 0;
  for (const formats::TensorInfo& tensor : weights.tensors()) {
    count = add_parameters(count, tensor);
  }
  return count;
}

}  // namespace mistral::models
