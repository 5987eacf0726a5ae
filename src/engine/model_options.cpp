#include "engine/model_options.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "core/error.h"
#include "engine/drafter.h"

namespace mistral::engine {
namespace {

models::ComputeDType dtype_of(const std::string& name) {
  if (name == "auto") return models::ComputeDType::kAuto;
  if (name == "f32") return models::ComputeDType::kF32;
  if (name == "f16") return models::ComputeDType::kF16;
  if (name == "bf16") return models::ComputeDType::kBF16;
  throw make_error(ErrorKind::kInvalidArgument, "dtype: '{}', expected auto, f32, f16 or bf16",
                   name);
}

// "auto": the loader chooses.
std::optional<ops::CacheDType> cache_dtype_of(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (const auto dtype = ops::cache_dtype(name)) return dtype;
  throw make_error(ErrorKind::kInvalidArgument,
                   "kv_cache_dtype: '{}', expected auto, f32, f16, bf16 or q8", name);
}

void check_range(const char* option, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: {}, expected {} to {}", option, value, low,
                     high);
  }
}

}  // namespace

models::LoadOptions load_options(const ModelOptions& options) {
  constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();
  constexpr std::int32_t kMostRows = 1 << 16;
  check_range("threads", options.threads, 0, 4096);
  check_range("context_length", options.context_length, 0, kMany);
  check_range("max_sequences", options.max_sequences, 1, kMostRows);
  check_range("kv_cache_tokens", options.kv_cache_tokens, 0, std::int64_t{1} << 40);
  check_range("kv_cache_mib", options.kv_cache_mib, 0, std::int64_t{1} << 30);
  check_range("prefill_chunk", options.prefill_chunk, 1, kMostRows);
  check_range("prefix_cache_sequences", options.prefix_cache_sequences.value_or(0), 0,
              std::numeric_limits<std::int64_t>::max());
  check_range("max_memory_mib", options.max_memory_mib, 0, std::int64_t{1} << 30);
  if (!(options.memory_usage >= 0 && options.memory_usage <= 1)) {
    throw make_error(ErrorKind::kInvalidArgument, "memory_usage: {}, expected 0 to 1",
                     options.memory_usage);
  }
  check_range("draft_tokens", options.draft_tokens, 1, 64);
  if (options.kv_block_size != 8 && options.kv_block_size != 16 && options.kv_block_size != 32) {
    throw make_error(ErrorKind::kInvalidArgument, "kv_block_size: {}, expected 8, 16 or 32",
                     options.kv_block_size);
  }
  models::LoadOptions load;
  load.dtype = dtype_of(options.dtype);
  load.context_length = options.context_length;
  load.kv_cache_tokens = options.kv_cache_tokens;
  load.kv_cache_bytes = options.kv_cache_mib << 20;
  load.kv_block_size = options.kv_block_size;
  load.kv_cache_dtype = cache_dtype_of(options.kv_cache_dtype);
  load.memory_usage = options.memory_usage;
  load.max_memory = options.max_memory_mib << 20;
  load.text.chat_template = options.chat_template;
  load.text.tokenizer_json = options.tokenizer_json;
  if (!options.tokenizer_model.empty()) {
    load.text.tokenizer_folder =
        models::tokenizer_or_fetch(options.tokenizer_model, hub_access(options));
  }
  load.max_batch_rows = std::max(options.prefill_chunk, options.max_sequences);
  const bool guesses = !options.draft_model.empty() || options.ngram_drafts;
  load.logit_rows = options.max_sequences * (1 + (guesses ? options.draft_tokens : 0));
  load.on_progress = options.on_progress;
  return load;
}

models::HubAccess hub_access(const ModelOptions& options) {
  return {.revision = options.revision,
          .token_source = options.token_source,
          .cancelled = nullptr,
          .on_progress = nullptr};
}

models::ModelPath locate_model(const ModelOptions& options) {
  const models::HubAccess access = hub_access(options);
  models::ModelPath path;
  const bool ggml = options.kind == ModelKind::kGgml;
  if (options.kind == ModelKind::kPlain) {
    if (!options.files.empty()) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "files: '{}', expected none: a folder says which files it has",
                       options.files.front());
    }
    path = models::locate_or_fetch_plain(options.path, access);
  } else if (ggml && options.files.size() != 1) {
    throw make_error(ErrorKind::kInvalidArgument, "files: {} names, expected that of a GGML file",
                     options.files.size());
  } else if (ggml) {
    path = models::locate_or_fetch_ggml(options.path, options.files.front(), access);
  } else if (!options.files.empty()) {
    path = models::locate_or_fetch_gguf(options.path, options.files, access);
  } else if (options.kind == ModelKind::kGguf) {
    path = models::locate_or_fetch_any_gguf(options.path, access);
  } else {
    path = models::locate_or_fetch(options.path, access);
  }
  path.architecture = options.architecture;
  check_range("gqa", options.gqa, 1, std::numeric_limits<std::int32_t>::max());
  path.gqa = options.gqa;
  return path;
}

EngineOptions engine_options(const ModelOptions& options) {
  EngineOptions result;
  result.max_sequences = options.max_sequences;
  result.prefill_chunk = options.prefill_chunk;
  if (options.prefix_cache_sequences) {
    result.prefix_cache_sequences = *options.prefix_cache_sequences;
  }
  result.keep_cache = !options.no_kv_cache;
  result.truncate_prompts = options.truncate_prompts;
  result.log_throughput = options.log_throughput;
  result.max_drafts = options.draft_tokens;
  if (options.ngram_drafts && options.draft_model.empty()) {
    result.drafter = std::make_shared<NgramDrafter>();
  }
  return result;
}

}  // namespace mistral::engine
