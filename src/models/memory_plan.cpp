#include "models/memory_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/memory.h"
#include "models/tensor_groups.h"
#include "nn/decoder.h"

namespace mistral::models {
namespace {

// Used when nobody says how much memory there is.
constexpr std::int64_t kFallbackCacheBytes = std::int64_t{1} << 30;

bool attention_is_quantized(const Description& description) {
  const TensorGroups groups(description.spec);
  const auto& tensors = description.weights->tensors();
  return std::any_of(tensors.begin(), tensors.end(), [&](const formats::TensorInfo& tensor) {
    return info(tensor.view.dtype).quantized && groups.of(tensor.name) == TensorGroup::kAttention;
  });
}

std::int64_t cache_budget(const MemoryPlan& plan, const nn::DecoderSpec& spec,
                          const LoadOptions& options) {
  std::int64_t bytes = options.kv_cache_bytes;
  if (options.kv_cache_tokens > 0) {
    bytes = nn::KvCache::bytes_for_tokens(spec, plan.cache_dtype, plan.block_size,
                                          options.kv_cache_tokens);
  } else if (bytes == 0) {
    if (plan.limit == 0) return std::max(kFallbackCacheBytes, plan.cache_block);
    const auto rest = plan.limit - static_cast<std::int64_t>(plan.total());
    // Where little is left the smallest cache is planned, so that the refusal tells the whole sum.
    return std::max(rest / 4, plan.cache_block);
  }
  if (bytes < plan.cache_block) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a KV cache of {} bytes is smaller than one block of {} tokens, {} bytes",
                     bytes, plan.block_size, plan.cache_block);
  }
  return bytes;
}

}  // namespace

DType storage_type(ComputeDType dtype) {
  switch (dtype) {
    case ComputeDType::kF32:
      return DType::kF32;
    case ComputeDType::kF16:
      return DType::kF16;
    case ComputeDType::kBF16:
      return DType::kBF16;
    case ComputeDType::kAuto:
      break;
  }
  return DType::kCount;
}

MemoryPlan plan_memory(Description& description, const LoadOptions& options) {
  nn::WeightLoader loader(*description.weights, nullptr, storage_type(options.dtype), nullptr);
  nn::complete_spec(description.spec, loader);
  (void)nn::load_weights(description.spec, loader);
  MemoryPlan plan;
  plan.weights = loader.counted_bytes();
  plan.activations = nn::Decoder::activation_bytes(description.spec, options.max_batch_rows);
  // The cache need not be more exact than the weights are: f16 is the smaller error by far beside
  // quantised weights, and the larger one beside others.
  plan.cache_dtype =
      attention_is_quantized(description) ? ops::CacheDType::kF16 : ops::CacheDType::kF32;
  if (options.kv_cache_dtype) plan.cache_dtype = *options.kv_cache_dtype;
  plan.block_size = options.kv_block_size;
  plan.cache_block =
      nn::KvCache::bytes_for_tokens(description.spec, plan.cache_dtype, plan.block_size, 1);
  plan.limit_given = options.max_memory > 0;
  plan.limit = plan.limit_given ? options.max_memory : available_memory();
  plan.cache = cache_budget(plan, description.spec, options);
  return plan;
}

void require_fit(const MemoryPlan& plan, const std::string& model) {
  if (plan.limit == 0 || plan.total() <= static_cast<std::uint64_t>(plan.limit)) return;
  const std::uint64_t fixed = plan.weights + plan.activations;
  const auto limit = static_cast<std::uint64_t>(plan.limit);
  std::string advice;
  if (fixed + static_cast<std::uint64_t>(plan.cache_block) > limit) {
    advice =
        "take a model with fewer bits per weight or fewer parameters, or a smaller "
        "--prompt-batchsize where the buffers are large";
  } else {
    advice = fmt::format(
        "take a smaller KV cache (--pa-ctxt-len, --pa-gpu-mem: {} are left for it, or "
        "--kv-cache-dtype q8)",
        memory_size(limit - fixed));
  }
  throw make_error(
      ErrorKind::kResource,
      "{} does not fit into memory: weights {}, KV cache {} ({}), buffers {}, together "
      "{}; {} {}. To load it, {}{}",
      model, memory_size(plan.weights), memory_size(static_cast<std::uint64_t>(plan.cache)),
      ops::name(plan.cache_dtype), memory_size(plan.activations), memory_size(plan.total()),
      plan.limit_given ? "the limit given is" : "available are", memory_size(limit), advice,
      plan.limit_given ? "" : "; --max-memory SIZE sets another limit than this one");
}

std::string memory_size(std::uint64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (bytes >= std::uint64_t{1} << 30U) return fmt::format("{:.2f} GiB", size / (1U << 30U));
  if (bytes >= std::uint64_t{1} << 20U) return fmt::format("{:.1f} MiB", size / (1U << 20U));
  return fmt::format("{} bytes", bytes);
}

}  // namespace mistral::models
