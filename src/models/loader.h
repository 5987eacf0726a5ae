// From a path to a model that the engine can run: joins formats, text and nn.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "mistral/types.h"
#include "nn/background_packing.h"
#include "nn/sequence_model.h"
#include "ops/ops.h"
#include "text/chat_template/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::models {

enum class ComputeDType { kAuto, kF32, kF16, kBF16 };  // storage of unquantised weights

// Where a model lies. Found from what the user typed by locate().
struct ModelPath {
  enum class Kind { kGguf, kFolder, kGgml } kind = Kind::kGguf;
  std::filesystem::path folder;              // of config.json, tokenizer.json, …
  std::vector<std::filesystem::path> files;  // GGUF shards, or one GGML file; empty for a folder
  std::int64_t gqa = 1;                      // of a GGML file, which does not hold it
  // A family's name, which goes before what config.json says; empty: by config.json.
  std::string architecture{};
};

// `path` is a .gguf file (any shard of a split one), a GGML file, a Hugging Face folder
// (config.json and weights) or one of its files, or a folder with exactly one GGUF or GGML model.
// Throws Error that says what was expected and what was found.
[[nodiscard]] ModelPath locate(const std::filesystem::path& path);
// The selectors `gguf -m DIR -f FILE[ FILE…]`, `plain -m DIR` and `ggml -m DIR -f FILE`.
[[nodiscard]] ModelPath locate_gguf(const std::filesystem::path& folder,
                                    const std::vector<std::string>& filenames);
[[nodiscard]] ModelPath locate_plain(const std::filesystem::path& folder);
[[nodiscard]] ModelPath locate_ggml(const std::filesystem::path& folder,
                                    const std::string& filename, std::int64_t gqa);

// Tokenizer and chat template other than the model's own; what is empty is looked for in the model.
struct TextOptions {
  std::string chat_template;               // a known format's name, a file, or the template itself
  std::filesystem::path jinja_file;        // goes before chat_template
  std::filesystem::path tokenizer_json;    // or a SentencePiece model (*.model)
  std::filesystem::path tokenizer_folder;  // of tokenizer.json, tokenizer_config.json, …
};

struct LoadOptions {
  TextOptions text;
  ComputeDType dtype = ComputeDType::kAuto;
  std::int64_t context_length = 0;   // 0: the model's own
  std::int64_t kv_cache_tokens = 0;  // 0: kv_cache_bytes
  std::int64_t kv_cache_bytes = 0;   // 0: all that max_memory leaves, or a quarter of the free
  // The share of all memory, or of max_memory, that is to be in use when the cache is full. It goes
  // before the two above; 0: not given.
  double memory_usage = 0;
  std::int32_t kv_block_size = 32;  // 8, 16 or 32
  // None: f16 for a model whose matrices are quantised, else f32.
  std::optional<ops::CacheDType> kv_cache_dtype;
  std::int32_t max_batch_rows = 512;
  std::int32_t logit_rows = 1;  // most rows of a step whose logits are asked for
  // Bytes that weights, cache and buffers may take together. 0: what the system has left.
  std::int64_t max_memory = 0;
  ProgressCallback on_progress;  // bytes of weights
};

struct LoadedModel {
  std::string name;
  std::string architecture;
  std::int64_t parameters = 0;
  std::unique_ptr<ops::Backend> backend;  // runs the model, so it outlives it
  std::unique_ptr<nn::SequenceModel> model;
  std::unique_ptr<text::Tokenizer> tokenizer;       // null when the folder has none
  std::string tokenizer_problem;                    // why it is null
  std::optional<text::ChatTemplate> chat_template;  // none: the model completes text only
  std::optional<text::ChatTemplate> tool_template;  // for chats with tools, when it is another one
  // Special tokens that came with the template (bos_token, eos_token, …): the tokenizer's
  // otherwise.
  std::vector<std::pair<std::string, std::string>> template_tokens;
  std::string chat_template_problem;               // why a template that is there is not usable
  std::vector<TokenId> end_tokens;                 // all that end an answer
  SamplingParams default_sampling;                 // generation_config.json; unset fields: none
  std::unique_ptr<nn::BackgroundPacking> packing;  // ends before what it packs
};

// Throws Error (kResource) before any weight is read when the model cannot fit into memory.
// Loads weights on all threads of `pool`, which the model keeps using and which must outlive it.
[[nodiscard]] LoadedModel load(const ModelPath& path, const LoadOptions& options, ThreadPool& pool);

}  // namespace mistral::models
