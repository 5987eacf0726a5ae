// Selector files with what an independent reader makes of them: which are sound, of which kind they
// are, and every value in them.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "golden_dir.h"
#include "models/selector/toml_selector.h"

namespace mistral::models {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(Json& json, const char* key, const std::string& text) {
  if (!text.empty()) json[key] = text;
}

Json as_json(const SelectedModel& model) {
  Json json = Json::object();
  put(json, "model_id", model.model_id);
  put(json, "arch", model.arch);
  put(json, "dtype", model.dtype);
  put(json, "topology", model.topology);
  put(json, "organization", model.organization);
  put(json, "write_uqff", model.write_uqff);
  put(json, "from_uqff", model.from_uqff);
  put(json, "xlora_model_id", model.xlora_model_id);
  put(json, "adapters_model_id", model.adapters_model_id);
  put(json, "order", model.order);
  put(json, "tok_model_id", model.tok_model_id);
  put(json, "quantized_model_id", model.quantized_model_id);
  put(json, "quantized_filename", model.quantized_filename);
  if (model.tgt_non_granular_index) json["tgt_non_granular_index"] = *model.tgt_non_granular_index;
  if (model.gqa) json["gqa"] = *model.gqa;
  return json;
}

Json as_json(const SelectedAnyMoe& anymoe) {
  Json config;
  config["hidden_size"] = anymoe.config.hidden_size;
  config["lr"] = anymoe.config.lr;
  config["epochs"] = anymoe.config.epochs;
  config["batch_size"] = anymoe.config.batch_size;
  config["training"] = anymoe.config.training;
  put(config, "gate_model_id", anymoe.config.gate_model_id);
  put(config, "loss_csv_path", anymoe.config.loss_csv_path);
  config["expert_type"] = "fine_tuned";
  if (const auto& lora = anymoe.config.lora_experts) {
    config["expert_type"] = {
        {"lora_adapter",
         {{"rank", lora->rank}, {"alpha", lora->alpha}, {"target_modules", lora->target_modules}}}};
  }
  Json json;
  json["dataset_json"] = anymoe.dataset_json;
  json["prefix"] = anymoe.prefix;
  json["mlp"] = anymoe.mlp;
  json["model_ids"] = anymoe.model_ids;
  if (anymoe.layers) json["layers"] = *anymoe.layers;
  json["config"] = config;
  return json;
}

Json as_json(const TomlSelector& selector) {
  Json json = Json::object();
  put(json, "tokenizer_json", selector.tokenizer_json);
  json["model"] = as_json(selector.model);
  if (selector.speculative) {
    json["speculative"]["gamma"] = selector.speculative->gamma;
    json["speculative"]["draft_model"] = as_json(selector.speculative->draft_model);
  }
  if (selector.anymoe) json["anymoe"] = as_json(*selector.anymoe);
  return json;
}

// What the file says is what was understood; beyond that there are defaults only in
// [anymoe.config].
void expect_understood(const Json& file, const Json& understood, const std::string& where) {
  for (const auto& [key, value] : file.items()) {
    ASSERT_TRUE(understood.contains(key)) << where << "." << key;
    if (value.is_object()) {
      expect_understood(value, understood[key], where + "." + key);
    } else {
      EXPECT_EQ(value, understood[key]) << where << "." << key;
    }
  }
  if (where.ends_with(".config")) return;
  for (const auto& [key, value] : understood.items()) {
    EXPECT_TRUE(file.contains(key)) << where << "." << key << " is not in the file";
  }
}

// Kinds are named without the dash of the command line there.
std::string kind_name(const std::string& expected) {
  return expected.starts_with("xlora") ? "x-lora" + expected.substr(5) : expected;
}

TEST(GoldenTomlTest, VerdictsKindsAndValues) {
  const std::filesystem::path folder = test::golden_dir() / "adapters" / "toml";
  const Json expected = Json::parse(read(folder / "expected.json"));
  ASSERT_GT(expected.size(), 0U);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files += entry.path().extension() == ".toml" ? 1U : 0U;
  }
  EXPECT_EQ(files, expected.size());
  for (const auto& [name, verdict] : expected.items()) {
    const std::string text = read(folder / name);
    try {
      const TomlSelector selector = parse_toml_selector(text, name);
      ASSERT_TRUE(verdict["ok"].get<bool>()) << name;
      EXPECT_EQ(models::name(selector.model.kind), kind_name(verdict["kind"].get<std::string>()))
          << name;
      expect_understood(verdict["parsed"], as_json(selector), name);
      if (!selector.obstacle.empty()) {
        EXPECT_THAT(selector.obstacle, StartsWith(name + ":"));
        EXPECT_THAT(selector.obstacle, HasSubstr("not"));
      }
      const Json& parsed = verdict["parsed"];
      const bool runs =
          (verdict["kind"] == "plain" || verdict["kind"] == "gguf" || verdict["kind"] == "ggml") &&
          !parsed.contains("anymoe") && !parsed["model"].contains("topology");
      EXPECT_EQ(selector.obstacle.empty(), runs) << name << ": " << selector.obstacle;
    } catch (const Error& error) {
      EXPECT_FALSE(verdict["ok"].get<bool>()) << name << ": " << error.what();
      EXPECT_THAT(error.what(), StartsWith(name + ":"));
    }
  }
}

// A file that ends too early is refused, but where the rest could be all that was meant.
TEST(GoldenTomlTest, CutsAreNoticed) {
  const std::filesystem::path folder = test::golden_dir() / "adapters" / "toml";
  const Json expected = Json::parse(read(folder / "expected.json"));
  int inside = 0;
  for (const auto& [name, verdict] : expected.items()) {
    if (!verdict["ok"].get<bool>()) continue;
    const std::string text = read(folder / name);
    for (std::size_t size = 0; size < text.size(); size += 16) {
      const std::string part = text.substr(0, size);
      const std::string line = part.substr(part.find_last_of('\n') + 1);
      const std::string code = line.substr(0, line.find('#'));
      const bool open = std::ranges::count(code, '"') % 2 != 0 || code.ends_with("=") ||
                        std::ranges::count(code, '[') != std::ranges::count(code, ']');
      inside += open ? 1 : 0;
      try {
        (void)parse_toml_selector(part, name);
        EXPECT_FALSE(open) << name << ", " << size << " bytes: " << line;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), StartsWith(name + ":")) << size;
      }
    }
  }
  EXPECT_GT(inside, 20);
}

// The selectors of the adapter cases, in a larger set.
TEST(GoldenTomlTest, SelectorsOfOtherCases) {
  for (const auto& folder : std::filesystem::directory_iterator(test::golden_dir() / "adapters")) {
    const std::filesystem::path file = folder.path() / "model.toml";
    if (!std::filesystem::exists(file)) continue;
    const TomlSelector selector = parse_toml_selector(read(file), file.string());
    const std::string_view kind = models::name(selector.model.kind);
    EXPECT_EQ(kind == "plain" ? selector.anymoe.has_value() : kind == "lora" || kind == "x-lora",
              true)
        << file;
  }
}

}  // namespace
}  // namespace mistral::models
