// Configs that are wrong or disagree with the weights: the error names file, key or tensor, what
// was expected and what was found; and no value of any key does worse than that.
#include <fstream>
#include <span>

#include <gmock/gmock.h>

#include "models/golden_case.h"
#include "models/hyper_parameters.h"
#include "models/inspect.h"
#include "temporary_folder.h"

namespace mistral::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A copy of a case whose config can be changed; its other files are links.
class Copy {
 public:
  explicit Copy(const char* name) : Copy(golden_dir() / "text" / name) {}
  explicit Copy(const std::filesystem::path& source) : config_(read_json(source / "config.json")) {
    for (const auto& entry : std::filesystem::directory_iterator(source)) {
      if (entry.path().filename() == "config.json") continue;
      std::filesystem::create_symlink(std::filesystem::absolute(entry.path()),
                                      folder_.path() / entry.path().filename());
    }
  }
  [[nodiscard]] Json& config() { return config_; }

  // The error of inspecting it; empty when there is none.
  [[nodiscard]] std::string error() {
    std::ofstream(folder_.path() / "config.json") << config_.dump();
    try {
      (void)models::inspect(models::locate(folder_.path()));
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

 private:
  TemporaryFolder folder_;
  Json config_;
};

std::string error_with(const char* name, const std::string& key, const Json& value) {
  Copy copy(name);
  EXPECT_EQ(copy.error(), "");
  copy.config()[key] = value;
  return copy.error();
}

// The one of these cases that the reference data holds.
const char* latent_case() {
  return std::filesystem::exists(golden_dir() / "text" / "deepseek-v2") ? "deepseek-v2"
                                                                        : "deepseek-v3";
}

TEST(BadConfig, UnknownArchitecture) {
  EXPECT_THAT(error_with("llama-plain", "architectures", {"FooForCausalLM"}),
              AllOf(HasSubstr("config.json"), HasSubstr("FooForCausalLM"),
                    HasSubstr("LlamaForCausalLM"), HasSubstr("DeepseekV3ForCausalLM")));
  EXPECT_THAT(error_with("llama-plain", "architectures", Json::array()),
              AllOf(HasSubstr("config.json"), HasSubstr("'architectures'")));
}

TEST(BadConfig, UnknownNamesListWhatIsKnown) {
  EXPECT_THAT(error_with("llama-plain", "hidden_act", "foo"),
              AllOf(HasSubstr("'hidden_act'"), HasSubstr("'foo'"), HasSubstr("silu"),
                    HasSubstr("leakyrelu")));
  EXPECT_THAT(error_with("llama-plain", "rope_scaling", {{"type", "foo"}, {"factor", 2.0}}),
              AllOf(HasSubstr("rope_scaling"), HasSubstr("'foo'"), HasSubstr("llama3"),
                    HasSubstr("longrope")));
  EXPECT_THAT(error_with(latent_case(), "topk_method", "foo"),
              AllOf(HasSubstr("'topk_method'"), HasSubstr("'foo'"), HasSubstr("greedy")));
}

TEST(BadConfig, MissingTensor) {
  Copy copy("llama-plain");
  const int layers = copy.config()["num_hidden_layers"];
  copy.config()["num_hidden_layers"] = layers + 1;
  EXPECT_THAT(copy.error(), AllOf(HasSubstr("model.safetensors"),
                                  HasSubstr("model.layers." + std::to_string(layers) + ".")));
}

TEST(BadConfig, ShapesThatDisagree) {
  EXPECT_THAT(error_with("llama-plain", "intermediate_size", 3),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("mlp."), HasSubstr("expected [3, ")));
  EXPECT_THAT(error_with("phi3-partial-rotary", "num_key_value_heads", 2),
              AllOf(HasSubstr("qkv_proj.weight"), HasSubstr("expected ["), HasSubstr("has shape")));
  EXPECT_THAT(error_with("mixtral-sliding", "num_local_experts", 2),
              AllOf(HasSubstr("gate.weight"), HasSubstr("expected [2, ")));
  EXPECT_THAT(error_with(latent_case(), "kv_lora_rank", 5),
              AllOf(HasSubstr("kv_a_proj_with_mqa"), HasSubstr("expected [")));
}

TEST(BadConfig, NumbersOutOfRange) {
  EXPECT_THAT(error_with("mixtral-sliding", "num_experts_per_tok", 99),
              AllOf(HasSubstr("'num_experts_per_tok'"), HasSubstr("99"), HasSubstr("1 to 4")));
  EXPECT_THAT(error_with("mistral-sliding", "sliding_window", 0),
              AllOf(HasSubstr("'sliding_window'"), HasSubstr("0 is outside 1")));
  EXPECT_THAT(error_with("gemma2", "query_pre_attn_scalar", 0),
              AllOf(HasSubstr("'query_pre_attn_scalar'"), HasSubstr("not above 0")));
  EXPECT_THAT(error_with("phi3-partial-rotary", "partial_rotary_factor", 1.5),
              HasSubstr("'partial_rotary_factor'"));
  Copy copy("phi3-longrope-cross");
  copy.config()["rope_scaling"]["short_factor"].push_back(1.0);
  EXPECT_THAT(copy.error(), AllOf(HasSubstr("'short_factor'"), HasSubstr("has 9 numbers"),
                                  HasSubstr("expected 8")));
}

TEST(BadConfig, EveryPrefixIsRefused) {
  for (const auto& folder : case_folders("text")) {
    if (!std::filesystem::exists(folder / "config.json")) continue;
    const std::string text = read_json(folder / "config.json").dump();
    for (std::size_t size = 0; size < text.size(); size += 16) {
      try {
        (void)models::Config::parse(std::as_bytes(std::span(text).first(size)), "config.json");
        ADD_FAILURE() << folder << ": accepted " << size << " bytes";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
        EXPECT_THAT(error.what(), testing::StartsWith("config.json"));
      }
    }
  }
}

TEST(BadConfig, ArchitectureOverride) {
  const auto folder = golden_dir() / "text" / "llama-plain";
  models::ModelPath path = models::locate(folder);
  path.architecture = "mistral";
  EXPECT_EQ(models::inspect(path).architecture, "mistral");
  path.architecture = "phi3.5moe";
  EXPECT_THROW((void)models::inspect(path), Error);
  path.architecture = "foo";
  try {
    (void)models::inspect(path);
    FAIL() << "accepted";
  } catch (const Error& error) {
    for (const char* name : {"mistral", "gemma", "mixtral", "llama", "phi2", "phi3", "qwen2",
                             "gemma2", "starcoder2", "phi3.5moe"}) {
      EXPECT_THAT(error.what(), HasSubstr(name));
    }
  }
}

// Every key of every case with values of every kind: a model or an error of one line.
TEST(BadConfig, NoValueOfAnyKeyDoesHarm) {
  const std::vector<Json> values = {nullptr,
                                    0,
                                    -1,
                                    1,
                                    7,
                                    1e300,
                                    1ULL << 62,
                                    2147483647,
                                    "x",
                                    true,
                                    Json::array(),
                                    Json::array({1, -1}),
                                    Json::object()};
  int ran = 0;
  for (const auto& folder : case_folders("text")) {
    if (folder.filename().string().starts_with("format-")) continue;
    Copy copy(folder);
    const Json original = copy.config();
    for (const auto& [key, old] : original.items()) {
      std::vector<std::string> inner = {""};
      if (old.is_object()) {
        for (const auto& [name, unused] : old.items()) inner.push_back(name);
      }
      for (const std::string& name : inner) {
        for (const Json& value : values) {
          copy.config() = original;
          (name.empty() ? copy.config()[key] : copy.config()[key][name]) = value;
          EXPECT_EQ(copy.error().find('\n'), std::string::npos) << key << " = " << value.dump();
          ++ran;
        }
      }
    }
  }
  EXPECT_GE(ran, 1000);
}

}  // namespace
}  // namespace mistral::test
