#include "models/selector/toml_selector.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include "core/error.h"
#include "models/registry.h"
#include "models/selector/toml_table.h"

namespace mistral::models {
namespace {

using Names = std::vector<std::string_view>;

constexpr std::string_view kVisionArchitectures[] = {"phi3v", "idefics2", "llava_next", "llava",
                                                     "vllama"};
constexpr std::string_view kDiffusionArchitectures[] = {"flux", "flux-offloaded"};
constexpr std::string_view kDtypes[] = {"auto", "bf16", "f16", "f32"};
constexpr std::string_view kOrganizations[] = {"default", "moqe"};

// What a kind is called, and the keys of [model] that it needs and that it may have.
struct Kind {
  SelectorKind kind;
  std::string_view name;
  Names required;
  Names optional;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kKinds = [] {
    const Names weights = {"arch", "dtype", "topology", "write_uqff", "from_uqff"};
    const Names gguf = {"tok_model_id", "dtype", "topology"};
    const Names ggml = {"tok_model_id", "gqa", "dtype", "topology"};
    const auto with = [](Names names, std::initializer_list<std::string_view> more) {
      names.insert(names.end(), more);
      return names;
    };
    const Names quantized = {"quantized_model_id", "quantized_filename"};
    const Names quantized_xlora = with(quantized, {"xlora_model_id", "order"});
    const Names quantized_lora = with(quantized, {"adapters_model_id", "order"});
    return std::vector<Kind>{
        {SelectorKind::kPlain, "plain", {"model_id"}, with(weights, {"organization"})},
        {SelectorKind::kXLora,
         "x-lora",
         {"xlora_model_id", "order"},
         with(weights, {"model_id", "tgt_non_granular_index"})},
        {SelectorKind::kLora, "lora", {"adapters_model_id", "order"}, with(weights, {"model_id"})},
        {SelectorKind::kGguf, "gguf", quantized, gguf},
        {SelectorKind::kXLoraGguf, "x-lora-gguf", quantized_xlora,
         with(gguf, {"tgt_non_granular_index"})},
        {SelectorKind::kLoraGguf, "lora-gguf", quantized_lora, gguf},
        {SelectorKind::kGgml, "ggml", quantized, ggml},
        {SelectorKind::kXLoraGgml, "x-lora-ggml", quantized_xlora,
         with(ggml, {"tgt_non_granular_index"})},
        {SelectorKind::kLoraGgml, "lora-ggml", quantized_lora, ggml},
        {SelectorKind::kVisionPlain,
         "vision-plain",
         {"model_id", "arch"},
         {"dtype", "topology", "write_uqff", "from_uqff"}},
        {SelectorKind::kDiffusionPlain, "diffusion-plain", {"model_id", "arch"}, {"dtype"}},
    };
  }();
  return kKinds;
}

const Kind& description_of(SelectorKind kind) {
  return *std::ranges::find(kinds(), kind, &Kind::kind);
}

Names keys_of(const Kind& kind) {
  Names keys = kind.required;
  keys.insert(keys.end(), kind.optional.begin(), kind.optional.end());
  return keys;
}

const Names& model_keys() {
  static const Names kKeys = [] {
    Names all;
    for (const Kind& kind : kinds()) {
      for (const std::string_view key : keys_of(kind)) {
        if (std::ranges::find(all, key) == all.end()) all.push_back(key);
      }
    }
    return all;
  }();
  return kKeys;
}

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

Names text_architectures() {
  Names names;
  for (const TextFamily* family : text_families()) names.push_back(family->name);
  return names;
}

bool ends_with_ignoring_case(std::string_view text, std::string_view ending) {
  if (text.size() < ending.size()) return false;
  return std::ranges::equal(text.substr(text.size() - ending.size()), ending, {},
                            [](char c) { return std::tolower(static_cast<unsigned char>(c)); });
}

// The keys of [model] decide, the specific ones first: adapters before the model under them, files
// before folders.
SelectorKind kind_of(const TomlTable& table) {
  const bool xlora = table.has("xlora_model_id");
  const bool lora = table.has("adapters_model_id");
  if (xlora && lora) {
    throw table.wrong_key("adapters_model_id",
                          "'adapters_model_id' and 'xlora_model_id' do not go together: expected "
                          "a LoRA or an X-LoRA model");
  }
  if (table.has("quantized_filename") || table.has("quantized_model_id")) {
    const std::string file = table.string("quantized_filename").value_or("");
    const bool ggml = ends_with_ignoring_case(file, ".ggml") ||
                      ends_with_ignoring_case(file, ".bin") ||
                      (table.has("gqa") && !ends_with_ignoring_case(file, ".gguf"));
    if (xlora) return ggml ? SelectorKind::kXLoraGgml : SelectorKind::kXLoraGguf;
    if (lora) return ggml ? SelectorKind::kLoraGgml : SelectorKind::kLoraGguf;
    return ggml ? SelectorKind::kGgml : SelectorKind::kGguf;
  }
  if (xlora) return SelectorKind::kXLora;
  if (lora) return SelectorKind::kLora;
  if (!table.has("model_id")) {
    throw table.problem(
        "no model is named: expected the key 'model_id' (a Hugging Face model), "
        "'quantized_model_id' with 'quantized_filename' (GGUF or GGML), 'xlora_model_id' or "
        "'adapters_model_id'");
  }
  const std::string arch = table.string("arch").value_or("");
  if (is_one_of(arch, kVisionArchitectures)) return SelectorKind::kVisionPlain;
  if (is_one_of(arch, kDiffusionArchitectures)) return SelectorKind::kDiffusionPlain;
  return SelectorKind::kPlain;
}

// Names that `arch` may have; for a model without adapters those of vision and diffusion, too,
// which would have made it another kind.
Names architectures_for(SelectorKind kind) {
  Names names = text_architectures();
  if (kind == SelectorKind::kXLora || kind == SelectorKind::kLora) return names;
  names.insert(names.end(), std::begin(kVisionArchitectures), std::end(kVisionArchitectures));
  names.insert(names.end(), std::begin(kDiffusionArchitectures), std::end(kDiffusionArchitectures));
  return names;
}

void check_model_keys(const TomlTable& table, const Kind& kind) {
  const std::string owner = fmt::format("a {} model", kind.name);
  const Names keys = keys_of(kind);
  for (const std::string_view key : model_keys()) {
    if (table.has(key) && !is_one_of(key, keys)) {
      throw table.wrong_key(key, fmt::format("the key '{}' does not go with {}, which the other "
                                             "keys make this; it takes {}",
                                             key, owner, fmt::join(keys, ", ")));
    }
  }
  for (const std::string_view key : kind.required) {
    if (!table.has(key)) throw table.missing(key, owner);
  }
}

SelectedModel read_model(const TomlTable& table, std::string_view owner) {
  table.check_keys(model_keys(), owner);
  SelectedModel model;
  model.kind = kind_of(table);
  check_model_keys(table, description_of(model.kind));
  const auto text = [&](std::string_view key) { return table.string(key).value_or(""); };
  model.model_id = text("model_id");
  model.arch = table.one_of("arch", "architecture", architectures_for(model.kind)).value_or("");
  model.dtype = table.one_of("dtype", "type", kDtypes).value_or("");
  model.topology = text("topology");
  model.organization = table.one_of("organization", "organization", kOrganizations).value_or("");
  model.write_uqff = text("write_uqff");
  if (!model.write_uqff.empty() && !model.write_uqff.ends_with(".uqff")) {
    throw table.problem("write_uqff", "expected a file name that ends in .uqff");
  }
  model.from_uqff = text("from_uqff");
  model.xlora_model_id = text("xlora_model_id");
  model.adapters_model_id = text("adapters_model_id");
  model.order = text("order");
  model.tgt_non_granular_index = table.integer("tgt_non_granular_index", 1);
  model.tok_model_id = text("tok_model_id");
  model.quantized_model_id = text("quantized_model_id");
  model.quantized_filename = text("quantized_filename");
  model.gqa = table.integer("gqa", 1);
  return model;
}

SelectedSpeculation read_speculation(const TomlTable& table) {
  constexpr std::string_view kOwner = "[speculative]";
  constexpr std::string_view kKeys[] = {"gamma", "draft_model"};
  table.check_keys(kKeys, kOwner);
  SelectedSpeculation speculation;
  speculation.gamma = table.required("gamma", table.integer("gamma", 1), kOwner);
  speculation.draft_model =
      read_model(table.required("draft_model", table.table("draft_model"), kOwner),
                 "[speculative.draft_model]");
  return speculation;
}

std::optional<LoraExperts> read_expert_type(const TomlTable& config) {
  constexpr std::string_view kKey = "expert_type";
  constexpr std::string_view kTypes[] = {"fine_tuned"};
  if (!config.has(kKey)) throw config.missing(kKey, "[anymoe.config]");
  if (!config.is_table(kKey)) {
    (void)config.one_of(kKey, "expert type", kTypes);
    return std::nullopt;
  }
  const TomlTable type = *config.table(kKey);
  constexpr std::string_view kOwner = "[anymoe.config.expert_type]";
  constexpr std::string_view kTypeKeys[] = {"lora_adapter"};
  type.check_keys(kTypeKeys, kOwner);
  const TomlTable lora = type.required("lora_adapter", type.table("lora_adapter"), kOwner);
  constexpr std::string_view kLoraOwner = "[anymoe.config.expert_type.lora_adapter]";
  constexpr std::string_view kLoraKeys[] = {"rank", "alpha", "target_modules"};
  lora.check_keys(kLoraKeys, kLoraOwner);
  LoraExperts experts;
  experts.rank = lora.required("rank", lora.integer("rank", 0), kLoraOwner);
  experts.alpha = lora.required("alpha", lora.number("alpha"), kLoraOwner);
  experts.target_modules =
      lora.required("target_modules", lora.strings("target_modules"), kLoraOwner);
  return experts;
}

AnyMoeConfig read_anymoe_config(const TomlTable& table) {
  constexpr std::string_view kOwner = "[anymoe.config]";
  constexpr std::string_view kKeys[] = {"hidden_size", "lr",           "epochs",
                                        "batch_size",  "expert_type",  "gate_model_id",
                                        "training",    "loss_csv_path"};
  table.check_keys(kKeys, kOwner);
  AnyMoeConfig config;
  config.hidden_size = table.required("hidden_size", table.integer("hidden_size", 1), kOwner);
  config.lr = table.number("lr").value_or(config.lr);
  if (config.lr <= 0.0) {
    throw table.problem("lr", fmt::format("expected a number above 0, found {}", config.lr));
  }
  config.epochs = table.integer("epochs", 1).value_or(config.epochs);
  config.batch_size = table.integer("batch_size", 1).value_or(config.batch_size);
  config.lora_experts = read_expert_type(table);
  config.gate_model_id = table.string("gate_model_id").value_or("");
  config.training = table.boolean("training").value_or(config.training);
  if (!config.training && config.gate_model_id.empty()) {
    throw table.missing("gate_model_id", "'training = false'");
  }
  config.loss_csv_path = table.string("loss_csv_path").value_or("");
  if (!config.loss_csv_path.empty() && !config.loss_csv_path.ends_with(".csv")) {
    throw table.problem("loss_csv_path", "expected a file name that ends in .csv");
  }
  return config;
}

SelectedAnyMoe read_anymoe(const TomlTable& table) {
  constexpr std::string_view kOwner = "[anymoe]";
  constexpr std::string_view kKeys[] = {"dataset_json", "prefix", "mlp",
                                        "model_ids",    "layers", "config"};
  table.check_keys(kKeys, kOwner);
  SelectedAnyMoe anymoe;
  const auto text = [&](std::string_view key) {
    return table.required(key, table.string(key), kOwner);
  };
  anymoe.dataset_json = text("dataset_json");
  anymoe.prefix = text("prefix");
  anymoe.mlp = text("mlp");
  anymoe.model_ids = table.required("model_ids", table.strings("model_ids"), kOwner);
  anymoe.layers = table.integers("layers", 0);
  anymoe.config = read_anymoe_config(table.required("config", table.table("config"), kOwner));
  return anymoe;
}

bool runs(SelectorKind kind) {
  return kind == SelectorKind::kPlain || kind == SelectorKind::kGguf || kind == SelectorKind::kGgml;
}

// The first thing about a model that this program cannot do.
std::string obstacle_of(const SelectedModel& model, const TomlTable& table) {
  if (!runs(model.kind)) {
    return table
        .problem(fmt::format("the file is sound, but {} models do not run here; what runs: plain, "
                             "gguf, ggml",
                             name(model.kind)))
        .what();
  }
  constexpr std::pair<std::string_view, std::string_view> kWithoutEffect[] = {
      {"topology", "quantisation and devices by layer are not supported"},
      {"write_uqff", "UQFF files are not supported"},
      {"from_uqff", "UQFF files are not supported"}};
  for (const auto& [key, reason] : kWithoutEffect) {
    if (table.has(key)) return table.problem(key, reason).what();
  }
  if (model.organization == "moqe") {
    return table.problem("organization", "quantisation while loading is not supported").what();
  }
  return "";
}

// The first thing in the file that this program cannot do.
std::string obstacle_of(const TomlSelector& selector, const TomlTable& root) {
  std::string obstacle = obstacle_of(selector.model, *root.table("model"));
  if (!obstacle.empty()) return obstacle;
  if (const auto anymoe = root.table("anymoe")) {
    return anymoe->problem("the file is sound, but AnyMoE models do not run here").what();
  }
  if (!selector.speculative) return "";
  const TomlTable draft = *root.table("speculative")->table("draft_model");
  return obstacle_of(selector.speculative->draft_model, draft);
}

}  // namespace

std::string_view name(SelectorKind kind) {
  return description_of(kind).name;
}

TomlSelector parse_toml_selector(std::string_view text, const std::string& name) {
  const TomlValue document = parse_toml(text, name);
  const TomlTable root(document, "", name);
  constexpr std::string_view kOwner = "the file";
  constexpr std::string_view kKeys[] = {"model", "tokenizer_json", "no_kv_cache", "speculative",
                                        "anymoe"};
  root.check_keys(kKeys, kOwner);
  TomlSelector selector;
  selector.tokenizer_json = root.string("tokenizer_json").value_or("");
  selector.no_kv_cache = root.boolean("no_kv_cache").value_or(false);
  if (!root.has("model")) throw root.problem("the table [model] is missing: it names the model");
  selector.model = read_model(*root.table("model"), "[model]");
  if (const auto table = root.table("speculative")) selector.speculative = read_speculation(*table);
  if (const auto table = root.table("anymoe")) selector.anymoe = read_anymoe(*table);
  selector.obstacle = obstacle_of(selector, root);
  return selector;
}

}  // namespace mistral::models
