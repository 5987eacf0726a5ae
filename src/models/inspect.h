// What a model is, found without reading its weights: everything that load() checks apart from the
// numbers themselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/loader.h"
#include "models/memory_plan.h"
#include "models/tensor_groups.h"

namespace mistral::models {

struct TypeCount {
  std::string type;  // "Q4_K"
  std::int64_t tensors = 0;
  std::uint64_t bytes = 0;
};

struct GroupFacts {
  TensorGroup group = TensorGroup::kOther;
  std::int64_t parameters = 0;
  std::vector<TypeCount> types;
};

struct ModelFacts {
  std::string name;
  std::string kind;          // "gguf", "ggml" or "folder"
  std::string architecture;  // "llama"
  std::int64_t parameters = 0;
  std::int64_t context_length = 0;
  std::int64_t vocab_size = 0;
  std::int64_t layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::uint64_t weight_bytes = 0;
  std::vector<TypeCount> types;
  std::vector<GroupFacts> groups;  // those that the model has
  MemoryPlan memory;               // with a cache for one sequence of the context asked for
  std::vector<nn::CacheGroup> cache_groups;
  bool has_chat_template = false;
  std::string tokenizer;  // "gpt2 (49152 tokens)", or why there is none
};

// `options` decide on the memory only: context, rows, types of weights and cache. That there is too
// little of it is no error. Otherwise throws the errors that load() would throw for the same path.
[[nodiscard]] ModelFacts inspect(const ModelPath& path, LoadOptions options = {});

}  // namespace mistral::models
