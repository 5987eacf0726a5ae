// What a model will take of the memory, known before its weights are read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/description.h"
#include "models/loader.h"
#include "tensor/dtype.h"

namespace mistral::models {

struct MemoryPlan {
  std::uint64_t weights = 0;  // as the kernels hold them
  std::uint64_t buffers = 0;  // what steps and sequences work in, at most
  ops::CacheDType cache_dtype = ops::CacheDType::kF32;
  std::int32_t block_size = 32;
  std::int64_t cache_block = 0;  // the smallest cache: one block of every layer
  std::int64_t cache = 0;        // of the KV cache, once it is full
  std::int64_t context = 0;      // most tokens of a sequence
  std::int64_t limit = 0;        // what there is; 0: unknown
  bool limit_given = false;      // by the caller, not found in the system
  // The tensors in the order in which they are loaded.
  std::vector<const formats::TensorInfo*> order;

  [[nodiscard]] std::uint64_t total() const {
    return weights + buffers + static_cast<std::uint64_t>(cache);
  }
};

// Of what unquantised weights are stored as; kCount: as in the file.
[[nodiscard]] DType storage_type(ComputeDType dtype);

// The most tokens of a sequence, the model's own where `options` do not say; warns where they ask
// for more than the model was made for. Throws Error when it is beyond what positions can count.
[[nodiscard]] std::int64_t context_of(const nn::DecoderSpec& spec, const LoadOptions& options);

// Completes the description's spec and checks names, types and shapes of all weights on the way,
// but reads none. Throws Error, and where `options` ask for a cache smaller than a block.
[[nodiscard]] MemoryPlan plan_memory(Description& description, const LoadOptions& options);

// Throws Error (kResource) that says what takes how much when the plan is beyond its limit.
void require_fit(const MemoryPlan& plan, const std::string& model);

// "1.5 GiB", "20.0 MiB" or "700 bytes".
[[nodiscard]] std::string memory_size(std::uint64_t bytes);

}  // namespace mistral::models
