// Options that several commands share, bound and turned into the values of the rooms below in one
// place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "cli/hub_access.h"
#include "engine/engine.h"
#include "mistral/types.h"
#include "models/loader.h"

namespace mistral::cli {

// Which model: the words `gguf`, `plain` and `ggml`, -m and -f. The words are positional arguments
// and may stand anywhere.
class ModelSelector {
 public:
  // `rest_name` and `rest_help` name the positional arguments of the command besides the selector
  // words; without a name there are none. Call it behind options that are to keep a short name:
  // -g stands for --gqa only where it is free.
  void add_options(CLI::App& app, const std::string& rest_name = "",
                   const std::string& rest_help = "");

  // Positional arguments that are not the selector word. Throws UsageError when the command takes
  // none.
  [[nodiscard]] std::vector<std::string> rest() const;
  [[nodiscard]] bool given() const { return !model_.empty() || !files_.empty(); }
  // -t: the folder whose tokenizer and template are used, fetched when it is the id of a model;
  // empty: the model's own. Throws Error.
  [[nodiscard]] std::string tokenizer_folder() const;

  // Fetches a model that is named by its id. Throws UsageError when options contradict each other,
  // Error when there is no model.
  [[nodiscard]] models::ModelPath locate() const;
  // The model that `model` names, as -m would. Throws Error.
  [[nodiscard]] models::ModelPath locate(const std::string& model) const;

 private:
  [[nodiscard]] std::string kind() const;  // a selector word, or ""
  // Throws UsageError when options contradict each other.
  void check(const std::string& kind) const;

  std::vector<std::string> words_;
  bool takes_rest_ = false;
  std::string model_;
  std::vector<std::string> files_;
  std::string tokenizer_model_;
  std::string architecture_;
  std::optional<std::int64_t> gqa_;
  HubAccessOptions access_;
};

// How the model is loaded and run.
class RuntimeOptions {
 public:
  void add_options(CLI::App& app);

  [[nodiscard]] int threads() const;
  void set_threads(int threads) { threads_ = threads; }  // 0: one per physical core
  [[nodiscard]] models::LoadOptions load_options() const;
  [[nodiscard]] engine::EngineOptions engine_options() const;

 private:
  int threads_ = 0;
  std::string dtype_ = "auto";
  std::optional<std::int32_t> prompt_batchsize_;
  std::int64_t cache_tokens_ = 0;
  std::int64_t cache_mebibytes_ = 0;
  std::int32_t block_size_ = 32;
  std::string cache_dtype_ = "auto";
};

// The length of the context; commands differ in what they do with it.
void add_context_option(CLI::App& app, std::int64_t& context, const std::string& help);

// How tokens are chosen. Options that are not given come from the model.
class SamplingOptions {
 public:
  void add_options(CLI::App& app);
  [[nodiscard]] SamplingParams resolve(const SamplingParams& model_defaults) const;

 private:
  SamplingParams given_;
  bool greedy_ = false;
};

}  // namespace mistral::cli
