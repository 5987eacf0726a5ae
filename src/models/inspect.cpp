#include "models/inspect.h"

#include <algorithm>

#include "models/description.h"
#include "nn/decoder.h"

namespace mistral::models {

ModelFacts inspect(const ModelPath& path) {
  Description description = describe(path);
  nn::WeightLoader loader(*description.weights, nullptr, DType::kCount, nullptr);
  nn::complete_spec(description.spec, loader);
  (void)nn::load_weights(description.spec, loader);
  LoadedModel text_side;
  load_text_side(path, description, text_side);

  ModelFacts facts;
  facts.name = description.name;
  facts.kind = description.kind;
  facts.architecture = std::string(description.family->name);
  facts.parameters = parameter_count(*description.weights);
  facts.context_length = description.spec.context_length;
  facts.vocab_size = description.spec.vocab_size;
  facts.layers = static_cast<std::int64_t>(description.spec.layers.size());
  facts.hidden_size = description.spec.hidden_size;
  facts.heads = description.spec.heads;
  facts.kv_heads = description.spec.kv_heads;
  for (const formats::TensorInfo& tensor : description.weights->tensors()) {
    const std::string_view type = name(tensor.view.dtype);
    auto count = std::find_if(facts.types.begin(), facts.types.end(),
                              [&](const TypeCount& c) { return c.type == type; });
    if (count == facts.types.end()) {
      count = facts.types.insert(facts.types.end(), TypeCount{std::string(type), 0, 0});
    }
    ++count->tensors;
    count->bytes += byte_size(tensor.view);
    facts.weight_bytes += byte_size(tensor.view);
  }
  facts.has_chat_template = text_side.chat_template.has_value();
  if (text_side.tokenizer) {
    std::string model = "tokenizer.json";
    if (description.gguf) {
      model = std::string(description.gguf->metadata().string("tokenizer.ggml.model").value_or(""));
    }
    facts.tokenizer = fmt::format("{} ({} tokens)", model, text_side.tokenizer->vocab_size());
  } else {
    facts.tokenizer = text_side.tokenizer_problem;
  }
  return facts;
}

}  // namespace mistral::models
