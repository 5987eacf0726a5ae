#include "models/loader.h"

#include <cstdlib>
#include <future>
#include <optional>
#include <string_view>

#include "core/cpu_count.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "models/debug_files.h"
#include "models/description.h"
#include "models/memory_plan.h"
#include "nn/decoder.h"

namespace mistral::models {
namespace {

// MISTRALCPP_CPU names the kernel set, for tests and comparisons; unset: the best one.
std::optional<std::string_view> chosen_kernels() {
  const char* name = std::getenv("MISTRALCPP_CPU");
  if (name == nullptr || *name == '\0') return std::nullopt;
  return name;
}

void log_plan(const MemoryPlan& plan) {
  log::info("memory: weights {}, KV cache up to {}, buffers up to {}, together {}; {}",
            memory_size(plan.weights), memory_size(static_cast<std::uint64_t>(plan.cache)),
            memory_size(plan.buffers), memory_size(plan.total()),
            plan.limit == 0 ? "what there is, is unknown"
                            : fmt::format("{} {}", plan.limit_given ? "limit" : "available",
                                          memory_size(static_cast<std::uint64_t>(plan.limit))));
  log::info("KV cache: {}, {} tokens; context {} tokens", ops::name(plan.cache_dtype),
            plan.cache / plan.cache_block * plan.block_size, plan.context);
}

std::uint64_t weight_bytes(const formats::WeightSource& weights) {
  std::uint64_t bytes = 0;
  for (const formats::TensorInfo& tensor : weights.tensors()) bytes += byte_size(tensor.view);
  return bytes;
}

// What is to become of the cache of files that are copied: it stays where it and `copied` bytes fit
// into memory side by side.
nn::ReadAhead::Behind behind(const formats::WeightSource& weights, std::uint64_t copied) {
  const std::int64_t available = available_memory();  // with what is cached of files
  return available == 0 || weight_bytes(weights) + copied <= static_cast<std::uint64_t>(available)
             ? nn::ReadAhead::Behind::kKeep
             : nn::ReadAhead::Behind::kForget;
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
  if (log::debug_requested()) write_tensor_list(path.kind, *description.weights, ".");
  const MemoryPlan plan = plan_memory(description, options);
  log_plan(plan);
  require_fit(plan, model.name);
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
  loader.keep_in_file(description.weights);
  loader.read_ahead(plan.order, behind(*description.weights, loader.copied_bytes()));
  // A vocabulary is built by one thread, so it is built while the weights are packed by all.
  auto text_side = std::async(std::launch::async | std::launch::deferred,
                              [&] { load_text_side(path, description, model, options.text); });
  nn::DecoderWeights weights = nn::load_weights(description.spec, loader);
  text_side.get();
  model.packing = loader.finish(behind(*description.weights, weight_bytes(*description.weights)));
  if (model.tokenizer) {
    log::debug("tokenizer: {} tokens; end tokens [{}]", model.tokenizer->vocab_size(),
               fmt::join(model.end_tokens, ", "));
  }

  nn::DecoderOptions decoder;
  decoder.context_length = static_cast<std::int32_t>(plan.context);
  decoder.max_batch_rows = options.max_batch_rows;
  decoder.block_size = options.kv_block_size;
  decoder.cache_dtype = plan.cache_dtype;
  decoder.cache_bytes = plan.cache;
  model.model = std::make_unique<nn::Decoder>(std::move(description.spec), std::move(weights),
                                              *model.backend, decoder);
  return model;
}

}  // namespace mistral::models
