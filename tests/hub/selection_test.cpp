#include "hub/selection.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "error_of.h"

namespace mistral::hub {
namespace {

using test::error_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

using Names = std::vector<std::string>;

Selection select(Names listing, Wanted::Kind kind = Wanted::Kind::kModel,
                 const std::string& quant = "", const Names& index = {}) {
  std::ranges::sort(listing);
  Wanted wanted;
  wanted.kind = kind;
  wanted.quant = quant;
  return select_files(listing, wanted, [&](const std::string&) { return index; });
}

TEST(Selection, TakesTheTextSideOfAModel) {
  const Selection selection =
      select({"config.json", "model.safetensors", "tokenizer.json", "tokenizer.model",
              "tokenizer_config.json", "generation_config.json", "README.md", "vocab.json"});
  EXPECT_THAT(selection.files,
              ElementsAre("config.json", "generation_config.json", "tokenizer.json",
                          "tokenizer_config.json", "model.safetensors"));
  EXPECT_THAT(selection.absent, IsSupersetOf({"chat_template.jinja", "special_tokens_map.json"}));
  EXPECT_THAT(selection.absent, Not(Contains("tokenizer.model")));
  EXPECT_EQ(selection.gguf, "");
}

TEST(Selection, PrefersSafetensorsToPickles) {
  EXPECT_THAT(select({"config.json", "model.safetensors", "pytorch_model.bin"}).files,
              ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(select({"config.json", "pytorch_model.bin"}).files,
              ElementsAre("config.json", "pytorch_model.bin"));
  EXPECT_THAT(select({"config.json", "pytorch_model-00001-of-00002.pth",
                      "pytorch_model-00002-of-00002.pth"})
                  .files,
              ElementsAre("config.json", "pytorch_model-00001-of-00002.pth",
                          "pytorch_model-00002-of-00002.pth"));
}

TEST(Selection, LeavesOtherWeightsAlone) {
  EXPECT_THAT(select({"config.json", "model.safetensors", "adapter_model.safetensors",
                      "consolidated.safetensors", "residual.safetensors", "sub/x.safetensors"})
                  .files,
              ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(select({"config.json", "consolidated.safetensors"}).files,
              ElementsAre("config.json", "consolidated.safetensors"));
  EXPECT_THAT(error_of([] {
                return select({"config.json", "a.safetensors", "b.safetensors"});
              }).what(),
              HasSubstr("several models and no index: a.safetensors, b.safetensors"));
}

// As formats::open_weights() chooses in a folder.
TEST(Selection, TakesPicklesOfOtherNames) {
  for (const char* name : {"model.pt", "weights.bin", "pytorch_model.pth", "consolidated.00.pth",
                           "consolidated.pth", "consolidated-00001-of-00001.safetensors"}) {
    EXPECT_THAT(select({"config.json", name, "training_args.bin", "optimizer.pt", "scheduler.pt",
                        "rng_state_0.pth", "adapter_model.bin", ".hidden.bin", "sub/model.bin"})
                    .files,
                ElementsAre("config.json", name));
  }
  EXPECT_THAT(select({"config.json", "consolidated.00.pth", "pytorch_model-00001-of-00001.bin",
                      "another.bin"})
                  .files,
              ElementsAre("config.json", "pytorch_model-00001-of-00001.bin"));
  EXPECT_THAT(select({"config.json", "pytorch_model.pth", "another.bin"}).files,
              ElementsAre("config.json", "pytorch_model.pth"));
  EXPECT_THAT(select({"config.json", "consolidated.safetensors", "model.pt"}).files,
              ElementsAre("config.json", "model.pt"));
  EXPECT_THAT(select({"config.json", "consolidated.safetensors", "consolidated.00.pth"}).files,
              ElementsAre("config.json", "consolidated.safetensors"));
  EXPECT_THAT(select({"config.json", "model.bin.index.json", "a.bin", "b.bin", "c.bin"},
                     Wanted::Kind::kModel, "", {"a.bin", "b.bin"})
                  .files,
              ElementsAre("config.json", "model.bin.index.json", "a.bin", "b.bin"));
  for (const Names& several :
       {Names{"a.pt", "b.bin"}, {"consolidated.00.pth", "consolidated.01.pth"}}) {
    EXPECT_THAT(error_of([&] {
                  return select({"config.json", several[0], several[1]});
                }).what(),
                HasSubstr("several models and no index: " + several[0] + ", " + several[1]));
  }
  EXPECT_THAT(error_of([] {
                return select({"config.json", "training_args.bin", "optimizer.pt"});
              }).what(),
              HasSubstr("no weights"));
}

TEST(Selection, FollowsTheIndex) {
  const Names listing{"config.json", "model.safetensors", "model.safetensors.index.json",
                      "x.safetensors"};
  EXPECT_THAT(select(listing, Wanted::Kind::kModel, "", {"x.safetensors"}).files,
              ElementsAre("config.json", "model.safetensors.index.json", "x.safetensors"));
  EXPECT_THAT(
      error_of([&] { return select(listing, Wanted::Kind::kModel, "", {"y.safetensors"}); }).what(),
      HasSubstr("'y.safetensors', which is not there"));
}

TEST(Selection, NeedsAllShards) {
  EXPECT_THAT(error_of([] {
                return select({"config.json", "model-00002-of-00002.safetensors"});
              }).what(),
              HasSubstr("'model-00001-of-00002.safetensors' is not there"));
  EXPECT_THAT(error_of([] { return select({"m-00001-of-00002.gguf"}); }).what(),
              HasSubstr("'m-00002-of-00002.gguf' is not there"));
}

TEST(Selection, TellsQuantisationsApart) {
  const Names listing{"m.Q4_K.gguf", "m-q4_k_m.gguf", "UD-IQ2_XXS/m-00001-of-00001.gguf",
                      "m-F16.gguf", "mmproj-F16.gguf"};
  const auto pick = [&](const std::string& quant) {
    return select(listing, Wanted::Kind::kModel, quant).gguf;
  };
  EXPECT_EQ(pick("Q4_K"), "m.Q4_K.gguf");
  EXPECT_EQ(pick("q4_K_m"), "m-q4_k_m.gguf");
  EXPECT_EQ(pick("IQ2_XXS"), "UD-IQ2_XXS/m-00001-of-00001.gguf");
  EXPECT_EQ(pick("f16"), "m-F16.gguf");
  EXPECT_EQ(pick("mmproj-F16.gguf"), "mmproj-F16.gguf");
  EXPECT_EQ(pick(""), "m-q4_k_m.gguf");
  EXPECT_THAT(error_of([&] { return pick("Q4"); }).what(), HasSubstr("m.Q4_K.gguf"));
  EXPECT_THAT(error_of([&] { return pick("gguf"); }).what(), HasSubstr("several GGUF models"));
  EXPECT_THAT(error_of([] {
                return select({"a-Q8_0.gguf", "a-Q6_K.gguf"});
              }).what(),
              HasSubstr("ID:QUANT; there are a-Q6_K.gguf, a-Q8_0.gguf"));
}

TEST(Selection, ARepositoryOfGgufFilesMayHaveAConfig) {
  EXPECT_EQ(select({"config.json", "m.gguf"}).gguf, "m.gguf");
  EXPECT_EQ(select({"config.json", "m.gguf", "model.safetensors"}).gguf, "");
  EXPECT_EQ(select({"config.json", "m.gguf", "model.safetensors"}, Wanted::Kind::kGguf).gguf,
            "m.gguf");
}

TEST(Selection, TakesTheTokenizerAlone) {
  EXPECT_THAT(select({"config.json", "spiece.model", "model.safetensors", "chat_template.jinja"},
                     Wanted::Kind::kTokenizer)
                  .files,
              ElementsAre("spiece.model", "chat_template.jinja"));
}

TEST(Selection, SaysWhatIsThere) {
  EXPECT_THAT(error_of([] { return select({}); }).what(), HasSubstr("found nothing"));
  EXPECT_THAT(error_of([] {
                return select({"config.json", "x"});
              }).what(),
              HasSubstr("found config.json, x"));
  Names many;
  for (int i = 0; i < 1000; ++i) many.push_back(fmt::format("file-{}", i));
  EXPECT_LT(std::string(error_of([&] { return select(many); }).what()).size(), 600U);
}

TEST(Selection, LongListsOfShardsAreQuick) {
  Names listing;
  for (int i = 1; i <= 99'999; ++i) listing.push_back(fmt::format("m-{:05}-of-99999.gguf", i));
  EXPECT_EQ(select(listing).files.size(), 99'999U);
}

}  // namespace
}  // namespace mistral::hub
