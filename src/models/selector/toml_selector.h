// A TOML file that says which model to load. It has no key for the kind of model: the keys that are
// there tell. docs/toml.md describes it for users.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::models {

enum class SelectorKind {
  kPlain,
  kXLora,
  kLora,
  kGguf,
  kXLoraGguf,
  kLoraGguf,
  kGgml,
  kXLoraGgml,
  kLoraGgml,
  kVisionPlain,
  kDiffusionPlain,
};
[[nodiscard]] std::string_view name(SelectorKind kind);  // "x-lora-gguf"

// The table [model], or [speculative.draft_model]. What the file does not say is empty.
struct SelectedModel {
  SelectorKind kind = SelectorKind::kPlain;
  std::string model_id;
  std::string arch;
  std::string dtype;  // auto, f32, f16, bf16
  std::string topology;
  std::string organization;  // default, moqe
  std::string write_uqff;
  std::string from_uqff;
  std::string xlora_model_id;
  std::string adapters_model_id;
  std::string order;
  std::optional<std::int64_t> tgt_non_granular_index;  // from 1
  std::string tok_model_id;
  std::string quantized_model_id;
  std::string quantized_filename;   // shards are separated by a space
  std::optional<std::int64_t> gqa;  // from 1
};

struct SelectedSpeculation {
  std::int64_t gamma = 1;  // draft tokens per step
  SelectedModel draft_model;
};

struct LoraExperts {
  std::int64_t rank = 0;
  double alpha = 0.0;
  std::vector<std::string> target_modules;
};

struct AnyMoeConfig {
  std::int64_t hidden_size = 0;
  double lr = 1e-3;
  std::int64_t epochs = 100;
  std::int64_t batch_size = 4;
  std::optional<LoraExperts> lora_experts;  // none: experts are models of their own ("fine_tuned")
  std::string gate_model_id;
  bool training = true;
  std::string loss_csv_path;
};

struct SelectedAnyMoe {
  std::string dataset_json;
  std::string prefix;
  std::string mlp;
  std::vector<std::string> model_ids;
  std::optional<std::vector<std::int64_t>> layers;  // none: all
  AnyMoeConfig config;
};

struct TomlSelector {
  std::string tokenizer_json;
  bool no_kv_cache = false;
  SelectedModel model;
  std::optional<SelectedSpeculation> speculative;
  std::optional<SelectedAnyMoe> anymoe;
  // Why this program cannot run what the file asks for, with its place; empty when it can.
  std::string obstacle;
};

// `name` is how messages call the file. Throws Error (kInvalidFile) "NAME:LINE:COLUMN: ..." for
// what is not TOML, and for keys and values that are unknown, missing, of another type or not for
// this kind of model.
[[nodiscard]] TomlSelector parse_toml_selector(std::string_view text, const std::string& name);

}  // namespace mistral::models
