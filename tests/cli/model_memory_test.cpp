// What models take: told by `info`, and refused by the commands that load, before they load.
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "cli/golden_models.h"
#include "cli/program_runner.h"
#include "temporary_folder.h"

namespace mistral::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// A llama of 8 billion parameters whose file is all hole.
class LargeModelTest : public testing::Test {
 protected:
  static constexpr std::int64_t kHidden = 4096;
  static constexpr std::int64_t kInner = 14336;
  static constexpr std::int64_t kKeys = 1024;
  static constexpr std::int64_t kVocab = 128256;
  static constexpr int kLayers = 32;

  void SetUp() override {
    (void)folder_.write("config.json", Json{{"architectures", {"LlamaForCausalLM"}},
                                            {"model_type", "llama"},
                                            {"hidden_size", kHidden},
                                            {"intermediate_size", kInner},
                                            {"num_attention_heads", 32},
                                            {"num_key_value_heads", 8},
                                            {"num_hidden_layers", kLayers},
                                            {"max_position_embeddings", 8192},
                                            {"rms_norm_eps", 1e-5},
                                            {"rope_theta", 500000.0},
                                            {"hidden_act", "silu"},
                                            {"tie_word_embeddings", false},
                                            {"vocab_size", kVocab}}
                                           .dump());
    add("model.embed_tokens.weight", {kVocab, kHidden});
    add("lm_head.weight", {kVocab, kHidden});
    add("model.norm.weight", {kHidden});
    for (int i = 0; i < kLayers; ++i) {
      const std::string layer = "model.layers." + std::to_string(i) + ".";
      add(layer + "input_layernorm.weight", {kHidden});
      add(layer + "post_attention_layernorm.weight", {kHidden});
      add(layer + "self_attn.q_proj.weight", {kHidden, kHidden});
      add(layer + "self_attn.k_proj.weight", {kKeys, kHidden});
      add(layer + "self_attn.v_proj.weight", {kKeys, kHidden});
      add(layer + "self_attn.o_proj.weight", {kHidden, kHidden});
      add(layer + "mlp.gate_proj.weight", {kInner, kHidden});
      add(layer + "mlp.up_proj.weight", {kInner, kHidden});
      add(layer + "mlp.down_proj.weight", {kHidden, kInner});
    }
    const std::string header = header_.dump();
    const std::uint64_t length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    const auto file = folder_.write("model.safetensors", bytes + header);
    std::filesystem::resize_file(file, sizeof length + length + size_);
  }
  void add(const std::string& name, const std::vector<std::int64_t>& shape) {
    std::uint64_t bytes = 2;
    for (const std::int64_t extent : shape) bytes *= static_cast<std::uint64_t>(extent);
    header_[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {size_, size_ + bytes}}};
    size_ += bytes;
    if (shape.size() == 1) vectors_ += bytes;
  }
  [[nodiscard]] std::string model() const { return folder_.path().string(); }

  TemporaryFolder folder_;
  Json header_;
  std::uint64_t size_ = 0;
  std::uint64_t vectors_ = 0;
};

TEST_F(LargeModelTest, InfoTellsWhatItTakes) {
  const auto memory = [this](const std::vector<std::string>& options) {
    const Outcome outcome = run_program(join({"info", "--json", model()}, options));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json::parse(outcome.out)["memory"];
  };
  const Json whole = memory({});
  // Matrices stay BF16, norms become f32.
  EXPECT_EQ(whole["weight_bytes"], size_ + vectors_);
  EXPECT_EQ(whole["context"], 8192);
  EXPECT_EQ(whole["sequences"], 1);
  constexpr std::uint64_t kTokenBytes = std::uint64_t{kLayers} * 2 * kKeys * sizeof(float);
  EXPECT_EQ(whole["kv_cache_bytes"], 8192 * kTokenBytes);
  EXPECT_EQ(whole["total_bytes"], whole["weight_bytes"].get<std::uint64_t>() +
                                      whole["kv_cache_bytes"].get<std::uint64_t>() +
                                      whole["buffer_bytes"].get<std::uint64_t>());
  const Json some = memory({"--context", "1000", "--max-seqs", "16"});
  EXPECT_EQ(some["kv_cache_bytes"], 16 * 1024 * kTokenBytes);  // whole blocks of 32
  EXPECT_EQ(memory({"--kv-cache-dtype", "f16"})["kv_cache_bytes"], 8192 * kTokenBytes / 2);
  EXPECT_EQ(memory({"--dtype", "f32"})["weight_bytes"], 2 * size_);
  const Outcome text = run_program({"info", model(), "-c", "1024"});
  EXPECT_THAT(text.out, ContainsRegex("memory +[0-9.]+ MiB for a sequence of 1,024 tokens"));
  EXPECT_THAT(text.out, ContainsRegex("KV cache +256.0 MiB .f32."));
}

TEST_F(LargeModelTest, IsRefusedBeforeItIsRead) {
  const std::string tokens = folder_.write("tokens.json", R"({"input_ids": [1, 2, 3]})");
  for (const std::vector<std::string>& command : {std::vector<std::string>{"run", "--prompt", "x"},
                                                  {"eval", "--tokens", tokens, "--greedy", "1"},
                                                  {"bench", "-p", "8", "-g", "8"}}) {
    const Outcome outcome = run_program(join(command, {"-m", model(), "--max-memory", "1.5GiB"}));
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, StartsWith("error: "));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("weights 14.96 GiB"));
    EXPECT_THAT(outcome.err, HasSubstr("1.50 GiB"));
  }
  // No program of this test held more than a small part of that.
  rusage usage{};
  ASSERT_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
  EXPECT_LT(usage.ru_maxrss, 256 << 10);  // KiB
}

TEST(MemoryOptionsTest, WrongAmountsAreUsage) {
  for (const char* command : {"run", "eval", "bench"}) {
    for (const char* amount : {"0", "0GiB", "-1", "much", "1XB", "9999999TiB", "inf", ""}) {
      const Outcome outcome =
          run_program({command, "-m", "x", std::string("--max-memory=") + amount});
      EXPECT_EQ(outcome.code, 2) << amount << outcome.err;
      EXPECT_THAT(outcome.err, HasSubstr("--max-memory")) << amount;
    }
  }
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--context", "0"},
                                                  {"--context=-1"},
                                                  {"--context", "268435457"},
                                                  {"--context", "99999999999999999999"},
                                                  {"--max-seqs", "0"},
                                                  {"--max-seqs", "65537"},
                                                  {"--kv-cache-dtype", "q4"}}) {
    EXPECT_EQ(run_program(join({"info", "-m", "x"}, options)).code, 2) << options.front();
  }
}

TEST(MemoryOptionsTest, EnoughIsEnough) {
  const auto models = folder_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const TemporaryFolder folder;
  const std::string tokens = folder.write("tokens.json", R"({"input_ids": [1, 2, 3]})");
  const auto eval = [&](const std::string& amount) {
    return run_program(join({"eval", "--tokens", tokens, "--greedy", "1", "--max-memory", amount},
                            models.front().selector));
  };
  const Outcome enough = eval("512 MB");
  EXPECT_EQ(enough.code, 0) << enough.err;
  EXPECT_THAT(enough.err, IsEmpty());
  const Outcome few = eval("4000");
  EXPECT_EQ(few.code, 1);
  EXPECT_THAT(few.err, HasSubstr("4000 bytes"));
}

TEST(InfoMemoryTest, ContextBeyondTheModel) {
  const auto models = folder_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const Outcome outcome =
      run_program(join({"info", "--json", "--context", "1000000"}, models.front().selector));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, ContainsRegex("1000000 tokens is beyond the [0-9]+"));
  EXPECT_EQ(Json::parse(outcome.out)["memory"]["context"], 1000000);
  const Outcome most =
      run_program(join({"info", "--json", "--context", "268435456", "--max-seqs", "65536"},
                       models.front().selector));
  EXPECT_EQ(most.code, 1);
  EXPECT_THAT(most.err, HasSubstr("65536 sequences of 268435456 tokens"));
}

// Every tensor is in one group, whatever kind of file it is in. No weight is among the others: only
// the table of frequencies that the names of some cases tell of.
TEST(InfoMemoryTest, GroupsHoldAllTensors) {
  std::vector<std::vector<std::string>> selectors;
  for (const GoldenModel& model : folder_models()) selectors.push_back(model.selector);
  for (const GoldenModel& model : gguf_models()) selectors.push_back(model.selector);
  const auto ggml = golden_dir() / "quant" / "ggml" / "llama-ggjt3";
  selectors.push_back({"ggml", "-m", ggml.string(), "-f", "model-F16.bin"});
  for (const auto& selector : selectors) {
    SCOPED_TRACE(selector[2]);
    const Outcome outcome = run_program(join({"info", "--json"}, selector));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json facts = Json::parse(outcome.out);
    std::int64_t parameters = 0;
    std::uint64_t bytes = 0;
    for (const Json& group : facts["groups"]) {
      if (group["group"] == "other") {
        EXPECT_THAT(selector[2], HasSubstr("rope"));
        EXPECT_EQ(group["types"].size(), 1U);
        EXPECT_EQ(group["types"][0]["tensors"], 1);
      }
      parameters += group["parameters"].get<std::int64_t>();
      for (const Json& type : group["types"]) bytes += type["bytes"].get<std::uint64_t>();
    }
    EXPECT_EQ(facts["parameters"], parameters);
    EXPECT_EQ(facts["weight_bytes"], bytes);
    EXPECT_GT(facts["memory"]["weight_bytes"], 0);
    EXPECT_GT(facts["memory"]["kv_cache_bytes"], 0);
  }
}

}  // namespace
}  // namespace mistral::test
