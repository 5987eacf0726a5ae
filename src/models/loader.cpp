#include "models/loader.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <optional>
#include <string_view>

#include "core/cpu_count.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "models/description.h"
#include "nn/decoder.h"

namespace mistral::models {
namespace {

// Used when the system does not say how much memory is free.
constexpr std::int64_t kFallbackCacheBytes = std::int64_t{1} << 30;

// MISTRALCPP_CPU names the kernel set, for tests and comparisons; unset: the best one.
std::optional<std::string_view> chosen_kernels() {
  const char* name = std::getenv("MISTRALCPP_CPU");
  if (name == nullptr || *name == '\0') return std::nullopt;
  return name;
}

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

// The cache need not be more exact than the weights are: f16 is the smaller error by far beside
// quantised weights, and the larger one beside others.
ops::CacheDType cache_dtype_for(const nn::DecoderWeights& weights) {
  const auto quantized = [](const nn::Linear& linear) {
    return linear && info(linear.weight->dtype()).quantized;
  };
  const bool any = std::any_of(
      weights.layers.begin(), weights.layers.end(), [&](const nn::DecoderWeights::Layer& layer) {
        return quantized(layer.query) || quantized(layer.key) || quantized(layer.value) ||
               quantized(layer.output) || quantized(layer.latent.latent);
      });
  return any ? ops::CacheDType::kF16 : ops::CacheDType::kF32;
}

std::int64_t cache_budget(const nn::DecoderSpec& spec, const LoadOptions& options,
                          ops::CacheDType dtype, std::int64_t context) {
  const auto bytes_for = [&](std::int64_t tokens) {
    return nn::KvCache::bytes_for_tokens(spec, dtype, options.kv_block_size, tokens);
  };
  const std::int64_t one_block = bytes_for(1);
  std::int64_t bytes = options.kv_cache_bytes;
  if (options.kv_cache_tokens > 0) {
    bytes = bytes_for(options.kv_cache_tokens);
  } else if (bytes == 0) {
    const std::int64_t free = available_memory();
    bytes = free > 0 ? free / 4 : kFallbackCacheBytes;
  }
  if (bytes < one_block) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a KV cache of {} bytes is smaller than one block of {} tokens, {} bytes",
                     bytes, options.kv_block_size, one_block);
  }
  log::info("KV cache: {}, up to {} MiB, {} tokens; context {} tokens", ops::name(dtype),
            bytes >> 20, bytes / one_block * options.kv_block_size, context);
  return bytes;
}

// Whether packed weights and the system's cache of their files fit into memory side by side.
bool fits_twice(const formats::WeightSource& weights) {
  std::uint64_t bytes = 0;
  for (const formats::TensorInfo& tensor : weights.tensors()) bytes += byte_size(tensor.view);
  const std::int64_t available = available_memory();  // with what is cached of files
  return available == 0 || bytes <= static_cast<std::uint64_t>(available) / 2;
}

}  // namespace

LoadedModel load(const ModelPath& path, const LoadOptions& options, ThreadPool& pool) {
  if (options.kv_block_size != 8 && options.kv_block_size != 16 && options.kv_block_size != 32) {
    throw make_error(ErrorKind::kInvalidArgument, "KV block size must be 8, 16 or 32, found {}",
                     options.kv_block_size);
  }
  Description description = describe(path);
  LoadedModel model;
  model.name = description.name;
  model.architecture = std::string(description.family->name);
  model.parameters = parameter_count(*description.weights);
  const std::int64_t trained = description.spec.context_length;
  const std::int64_t context = options.context_length > 0 ? options.context_length : trained;
  if (context > trained) {
    log::warn("a context of {} tokens is beyond the {} that the model was made for", context,
              trained);
  }
  if (context > std::int64_t{1} << 28) {
    throw make_error(ErrorKind::kInvalidArgument, "a context of {} tokens is too long", context);
  }

  model.backend = ops::make_cpu_backend(pool, chosen_kernels());
  if (const std::size_t processors = allowed_cpus().size();
      static_cast<std::size_t>(pool.size()) > processors) {
    log::warn("{} threads on {} processors: more threads than processors make it slower",
              pool.size(), processors);
  }
  log::info("{}: {} ({} parameters), kernels {}, {} threads", model.name, model.architecture,
            model.parameters, model.backend->name(), pool.size());
  nn::WeightLoader loader(*description.weights, model.backend.get(), storage_type(options.dtype),
                          options.on_progress);
  nn::complete_spec(description.spec, loader);
  // All names and shapes are checked before the first weight is read, which tells their order, too.
  nn::WeightLoader checker(*description.weights, nullptr, DType::kCount, nullptr);
  (void)nn::load_weights(description.spec, checker);
  loader.read_ahead(checker.order(), fits_twice(*description.weights)
                                         ? nn::ReadAhead::Behind::kKeep
                                         : nn::ReadAhead::Behind::kForget);
  // A vocabulary is built by one thread, so it is built while the weights are packed by all.
  auto text_side = std::async(std::launch::async | std::launch::deferred,
                              [&] { load_text_side(path, description, model, options.text); });
  nn::DecoderWeights weights = nn::load_weights(description.spec, loader);
  text_side.get();

  nn::DecoderOptions decoder;
  decoder.context_length = static_cast<std::int32_t>(context);
  decoder.max_batch_rows = options.max_batch_rows;
  decoder.block_size = options.kv_block_size;
  decoder.cache_dtype = options.kv_cache_dtype ? *options.kv_cache_dtype : cache_dtype_for(weights);
  decoder.cache_bytes = cache_budget(description.spec, options, decoder.cache_dtype, context);
  model.model = std::make_unique<nn::Decoder>(std::move(description.spec), std::move(weights),
                                              *model.backend, decoder);
  return model;
}

}  // namespace mistral::models
