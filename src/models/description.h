// Everything about a model except its numbers: what load() and inspect() both begin with.
#pragma once

#include <memory>
#include <string>

#include "formats/gguf.h"
#include "formats/weight_source.h"
#include "models/loader.h"
#include "models/registry.h"

namespace mistral::models {

struct Description {
  std::string name;
  std::string kind;  // "gguf", "ggml" or "folder"
  const TextFamily* family = nullptr;
  nn::DecoderSpec spec;
  std::shared_ptr<const formats::WeightSource> weights;
  std::shared_ptr<const formats::GgufFile> gguf;  // a GGML file is read as one; null for a folder
};

// Opens the files and reads the hyper-parameters. Throws Error.
[[nodiscard]] Description describe(const ModelPath& path);

// Tokenizer, chat template, end tokens and recommended sampling, into `model`. What is missing or
// broken in the model leaves a reason in the *_problem members and does not fail; what `options`
// name must be there and be right. Throws Error.
void load_text_side(const ModelPath& path, const Description& description, LoadedModel& model,
                    const TextOptions& options = {});

// `count` and the weights of one more tensor; what cannot be counted is the largest number.
[[nodiscard]] std::int64_t add_parameters(std::int64_t count, const formats::TensorInfo& tensor);
// Number of weights.
[[nodiscard]] std::int64_t parameter_count(const formats::WeightSource& weights);

}  // namespace mistral::models
