#include "models/memory_plan.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
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

// Bytes of buffers for sequences that the cache can hold `tokens` of. Their tables of positions
// grow by doubling.
std::uint64_t buffer_bytes(const nn::DecoderSpec& spec, const LoadOptions& options, unsigned forms,
                           std::int64_t context, std::int64_t tokens) {
  constexpr std::int64_t kFewest = 64;
  const std::int64_t positions = std::min(context, std::max(2 * tokens, kFewest));
  const std::int64_t row = spec.vocab_size * static_cast<std::int64_t>(sizeof(float));
  if (row > kBeyondAnyMachine / std::max(options.logit_rows, 1)) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "logits of {} rows for a vocabulary of {} tokens need more memory than any "
                     "machine has",
                     options.logit_rows, spec.vocab_size);
  }
  return nn::Decoder::activation_bytes(spec, options.max_batch_rows, positions, forms) +
         static_cast<std::uint64_t>(options.logit_rows * row);
}

// The most tokens of a sequence that a cache of `bytes` may hold.
std::int64_t cache_tokens(const nn::DecoderSpec& spec, const MemoryPlan& plan, std::int64_t bytes) {
  std::int64_t tokens = plan.context;
  for (const nn::CacheGroup& group :
       nn::KvCache::groups_of(spec, plan.cache_dtype, plan.block_size)) {
    if (group.window > 0 || group.chunk > 0) continue;  // forgets as it goes
    tokens = std::min(tokens, bytes / group.bytes_per_block * plan.block_size);
  }
  return tokens;
}

// What is left for the cache when a share of the memory may be in use.
std::int64_t budget_of_usage(const MemoryPlan& plan, double usage) {
  const std::int64_t all = plan.limit_given ? plan.limit : total_memory();
  if (all == 0) {
    throw make_error(
        ErrorKind::kUnsupported,
        "a KV cache by memory usage: the system does not say how much memory there is");
  }
  const std::int64_t used = plan.limit_given ? 0 : std::max<std::int64_t>(0, all - plan.limit);
  const auto wanted = static_cast<std::int64_t>(static_cast<double>(all) * usage);
  const std::int64_t rest = wanted - used - static_cast<std::int64_t>(plan.total());
  if (rest < plan.cache_block) {
    throw make_error(
        ErrorKind::kResource,
        "a memory usage of {} is {}; {} are in use, and weights and buffers take {}: not enough "
        "is left for a KV cache",
        usage, memory_size(static_cast<std::uint64_t>(wanted)),
        memory_size(static_cast<std::uint64_t>(used)), memory_size(plan.total()));
  }
  return rest;
}

std::int64_t cache_budget(const MemoryPlan& plan, const LoadOptions& options) {
  if (options.memory_usage > 0) return budget_of_usage(plan, options.memory_usage);
  std::int64_t bytes = options.kv_cache_bytes;
  if (options.kv_cache_tokens > 0) {
    const std::int64_t blocks =
        (options.kv_cache_tokens - 1) / plan.block_size + 1;  // of every layer
    if (blocks > std::numeric_limits<std::int64_t>::max() / plan.cache_block) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "a KV cache for {} tokens, {} bytes for {} of them, is more than can be "
                       "counted",
                       options.kv_cache_tokens, plan.cache_block, plan.block_size);
    }
    bytes = blocks * plan.cache_block;
  } else if (bytes == 0) {
    if (plan.limit == 0) return std::max(kFallbackCacheBytes, plan.cache_block);
    const auto rest = plan.limit - static_cast<std::int64_t>(plan.total());
    // Others want the system's memory, too; a limit that was given is for this model. Where little
    // is left the smallest cache is planned, so that the refusal tells the whole sum.
    return std::max(plan.limit_given ? rest : rest / 4, plan.cache_block);
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

std::int64_t context_of(const nn::DecoderSpec& spec, const LoadOptions& options) {
  const std::int64_t trained = spec.context_length;
  const std::int64_t context = options.context_length > 0 ? options.context_length : trained;
  if (context > std::int64_t{1} << 28) {
    throw make_error(ErrorKind::kInvalidArgument, "a context of {} tokens is too long", context);
  }
  if (context > trained) {
    log::warn("a context of {} tokens is beyond the {} that the model was made for", context,
              trained);
  }
  return context;
}

MemoryPlan plan_memory(Description& description, const LoadOptions& options) {
  const nn::DecoderSpec& spec = description.spec;
  nn::WeightLoader loader(*description.weights, nullptr, storage_type(options.dtype), nullptr);
  nn::complete_spec(description.spec, loader);
  (void)nn::load_weights(spec, loader);
  MemoryPlan plan;
  plan.context = context_of(spec, options);
  plan.weights = loader.counted_bytes();
  plan.order = loader.order();
  plan.buffers = buffer_bytes(spec, options, loader.counted_forms(), plan.context, plan.context);
  // The cache need not be more exact than the weights are: f16 is the smaller error by far beside
  // quantised weights, and the larger one beside others.
  plan.cache_dtype =
      attention_is_quantized(description) ? ops::CacheDType::kF16 : ops::CacheDType::kF32;
  if (options.kv_cache_dtype) plan.cache_dtype = *options.kv_cache_dtype;
  plan.block_size = options.kv_block_size;
  plan.cache_block = nn::KvCache::bytes_for_tokens(spec, plan.cache_dtype, plan.block_size, 1);
  plan.limit_given = options.max_memory > 0;
  plan.limit = plan.limit_given ? options.max_memory : available_memory();
  plan.cache = cache_budget(plan, options);
  plan.buffers = buffer_bytes(spec, options, loader.counted_forms(), plan.context,
                              cache_tokens(spec, plan, plan.cache));
  return plan;
}

void require_fit(const MemoryPlan& plan, const std::string& model) {
  if (plan.limit == 0 || plan.total() <= static_cast<std::uint64_t>(plan.limit)) return;
  const std::uint64_t fixed = plan.weights + plan.buffers;
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
      ops::name(plan.cache_dtype), memory_size(plan.buffers), memory_size(plan.total()),
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
