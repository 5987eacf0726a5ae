// Options that several commands share, bound and turned into the values of the rooms below in one
// place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "cli/hub_access.h"
#include "cli/refused_options.h"
#include "engine/engine.h"
#include "models/loader.h"
#include "models/selector/toml_selector.h"

namespace mistral::cli {

// A smaller model that guesses up to `tokens` tokens at once.
struct DraftModel {
  models::ModelPath path;
  std::int32_t tokens = 0;
};

// Which model: the words `gguf`, `plain`, `ggml` and `toml`, -m and -f. The words are positional
// arguments and may stand anywhere.
class ModelSelector {
 public:
  // `rest_name` and `rest_help` name the positional arguments of the command besides the selector
  // words; without a name there are none. Call it behind options that are to keep a short name:
  // -g stands for --gqa only where it is free.
  void add_options(CLI::App& app, const std::string& rest_name = "",
                   const std::string& rest_help = "");

  // For commands that generate: a second model that guesses.
  void add_draft_options(CLI::App& app);

  // Positional arguments that are not the selector word. Throws UsageError when the command takes
  // none.
  [[nodiscard]] std::vector<std::string> rest() const;
  // What clients of a server call the model, unless told otherwise: the model whose tokenizer is
  // used, else the model as it was named. Comes after locate().
  [[nodiscard]] std::string id() const;
  [[nodiscard]] bool given() const { return !model_.empty() || !files_.empty(); }

  // Fetches a model that is named by its id. With `toml` reads the file, whose model then is the
  // one that the options name: it comes before the two functions below. Throws UsageError when
  // options contradict each other, Error when there is no model.
  [[nodiscard]] models::ModelPath locate();
  // -t: the folder whose tokenizer and template are used, fetched when it is the id of a model, or
  // a tokenizer file. Empty: the model's own. Throws Error.
  [[nodiscard]] models::TextOptions text_options() const;
  // What a TOML file says about -d; empty: nothing.
  [[nodiscard]] const std::string& dtype() const { return dtype_; }
  // Whether a TOML file asks for steps without a cache.
  [[nodiscard]] bool no_kv_cache() const { return no_kv_cache_; }
  // The model that guesses what the other one says, if one is named. Comes after locate(). Throws
  // Error.
  [[nodiscard]] std::optional<DraftModel> draft() const;
  // The model that `model` names, as -m would. Throws Error.
  [[nodiscard]] models::ModelPath locate(const std::string& model) const;

 private:
  [[nodiscard]] std::string kind() const;  // a selector word, or ""
  // Throws UsageError when options contradict each other.
  void check(const std::string& kind) const;
  void read_toml();

  std::vector<std::string> words_;
  bool takes_rest_ = false;
  std::string model_;
  std::vector<std::string> files_;
  std::string tokenizer_model_;
  std::string architecture_;
  std::optional<std::int64_t> gqa_;
  RefusedOptions refused_;
  HubAccessOptions access_;
  std::string draft_model_;
  std::int32_t draft_tokens_ = 8;
  // These are of a TOML file.
  std::string tokenizer_json_;
  std::string dtype_;
  bool no_kv_cache_ = false;
  std::optional<models::SelectedModel> selected_draft_;
};

// The types in which weights and KV cache are kept.
class StorageOptions {
 public:
  void add_options(CLI::App& app);
  void set(models::LoadOptions& options) const;
  // Used when -d is not given; empty: auto.
  void prefer_dtype(const std::string& dtype) { preferred_dtype_ = dtype; }

 private:
  std::optional<std::string> dtype_;
  std::string preferred_dtype_;
  std::string cache_dtype_ = "auto";
};

// How the model is loaded and run.
class RuntimeOptions {
 public:
  void add_options(CLI::App& app);

  [[nodiscard]] int threads() const;
  void set_threads(int threads) { threads_ = threads; }  // 0: one per physical core
  // The logits of every row of a prompt will be asked for.
  void expect_all_logits() { all_logits_ = true; }
  // What a TOML file says; options given besides go before it.
  void take_over(const ModelSelector& selector) {
    storage_.prefer_dtype(selector.dtype());
    if (selector.no_kv_cache()) no_kv_cache_ = true;
  }
  [[nodiscard]] models::LoadOptions load_options() const;
  // For a command that has `together` sequences to run at once, where --max-seqs is not given.
  [[nodiscard]] engine::EngineOptions engine_options(std::int64_t together = 1) const;
  [[nodiscard]] bool throughput() const { return throughput_; }

 private:
  int threads_ = 0;
  std::optional<std::int32_t> prompt_batchsize_;
  std::int64_t cache_tokens_ = 0;
  std::int64_t cache_mebibytes_ = 0;
  double memory_usage_ = 0;
  std::optional<std::int32_t> max_sequences_;
  bool truncate_ = false;
  bool throughput_ = false;
  std::int64_t max_memory_ = 0;
  std::int32_t block_size_ = 32;
  std::optional<std::int64_t> prefix_cache_;
  bool no_kv_cache_ = false;
  std::int32_t ngram_drafts_ = 0;
  bool all_logits_ = false;
  StorageOptions storage_;
};

// The length of the context; commands differ in what they do with it.
void add_context_option(CLI::App& app, std::int64_t& context, const std::string& help);

}  // namespace mistral::cli
