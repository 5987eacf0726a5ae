#include "models/inspect.h"

#include <algorithm>
#include <array>

#include "models/description.h"
#include "nn/decoder.h"

namespace mistral::models {

namespace {

void count(std::vector<TypeCount>& types, const formats::TensorInfo& tensor) {
  const std::string_view type = name(tensor.view.dtype);
  auto found =
      std::find_if(types.begin(), types.end(), [&](const TypeCount& c) { return c.type == type; });
  if (found == types.end()) found = types.insert(types.end(), TypeCount{std::string(type), 0, 0});
  ++found->tensors;
  found->bytes += byte_size(tensor.view);
}

}  // namespace

ModelFacts inspect(const ModelPath& path, LoadOptions options) {
  Description description = describe(path);
  options.kv_cache_tokens =
      options.context_length > 0 ? options.context_length : description.spec.context_length;
  const MemoryPlan plan = plan_memory(description, options);
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
  const TensorGroups group_names(description.spec);
  std::array<GroupFacts, kTensorGroups.size()> groups;
  for (const formats::TensorInfo& tensor : description.weights->tensors()) {
    count(facts.types, tensor);
    GroupFacts& group = groups[static_cast<std::size_t>(group_names.of(tensor.name))];
    count(group.types, tensor);
    group.parameters = add_parameters(group.parameters, tensor);
    facts.weight_bytes += byte_size(tensor.view);
  }
  for (const TensorGroup group : kTensorGroups) {
    GroupFacts& group_facts = groups[static_cast<std::size_t>(group)];
    group_facts.group = group;
    if (!group_facts.types.empty()) facts.groups.push_back(std::move(group_facts));
  }
  facts.memory = plan;
  facts.cache_groups = nn::KvCache::groups_of(description.spec, plan.cache_dtype, plan.block_size);
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
