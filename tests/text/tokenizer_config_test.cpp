// What the files beside tokenizer.json change, as the Transformers library reads them.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "temporary_folder.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 0 a  1 b  2 <s>  3 </s>  4 <x>; <x> is in the vocabulary only.
constexpr std::string_view kPlain = R"({
  "model": {"type": "BPE", "merges": [],
            "vocab": {"a": 0, "b": 1, "<s>": 2, "</s>": 3, "<x>": 4, "<": 5, "x": 6, ">": 7}},
  "added_tokens": [{"id": 2, "content": "<s>", "special": true},
                   {"id": 3, "content": "</s>", "special": true}]})";

std::string with_template(std::string_view single) {
  std::string json(kPlain);
  json.pop_back();
  json += R"(,"post_processor": {"type": "TemplateProcessing", "single": )";
  json += single;
  json += R"(, "pair": [], "special_tokens": {
    "<s>": {"id": "<s>", "ids": [2], "tokens": ["<s>"]},
    "</s>": {"id": "</s>", "ids": [3], "tokens": ["</s>"]}}}})";
  return json;
}

const std::string kWithBos = with_template(
    R"([{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}])");
const std::string kWithEos = with_template(
    R"([{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}])");

class TokenizerConfigTest : public ::testing::Test {
 protected:
  void write(const char* name, std::string_view text) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::unique_ptr<Tokenizer> load(std::string_view json,
                                                std::string_view config) const {
    write("tokenizer.json", json);
    if (!config.empty()) write("tokenizer_config.json", config);
    return load_tokenizer_json(folder_.path() / "tokenizer.json");
  }

  test::TemporaryFolder folder_;
};

TEST_F(TokenizerConfigTest, FlagsDecideAboutBosAndEos) {
  constexpr std::string_view kNames = R"("bos_token": "<s>", "eos_token": {"content": "</s>"})";
  const auto config = [&](std::string_view more) {
    return "{" + std::string(kNames) + std::string(more) + "}";
  };
  EXPECT_THAT(load(std::string(kPlain), config(""))->encode("ab"), ElementsAre(0, 1));
  EXPECT_THAT(load(kWithBos, config(""))->encode("ab"), ElementsAre(2, 0, 1));

  const auto bos = load(std::string(kPlain), config(R"(, "add_bos_token": true)"));
  EXPECT_THAT(bos->encode("ab"), ElementsAre(2, 0, 1));
  EXPECT_THAT(bos->encode("ab", {.add_special = false}), ElementsAre(0, 1));
  EXPECT_TRUE(bos->adds_bos());
  EXPECT_FALSE(bos->adds_eos());

  // Never twice.
  EXPECT_THAT(load(kWithBos, config(R"(, "add_bos_token": true)"))->encode("ab"),
              ElementsAre(2, 0, 1));
  EXPECT_THAT(load(kWithBos, config(R"(, "add_bos_token": false)"))->encode("ab"),
              ElementsAre(0, 1));
  EXPECT_THAT(load(kWithBos, config(R"(, "add_eos_token": true)"))->encode("ab"),
              ElementsAre(2, 0, 1, 3));
  EXPECT_THAT(load(kWithEos, config(R"(, "add_bos_token": true)"))->encode("ab"),
              ElementsAre(2, 0, 1, 3));
  EXPECT_THAT(load(kWithEos, config(R"(, "add_eos_token": false)"))->encode("ab"),
              ElementsAre(0, 1));
}

TEST_F(TokenizerConfigTest, LlamaTokenizersAddBosUnlessToldOtherwise) {
  const auto config = [&](std::string_view name, std::string_view more) {
    return R"({"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": ")" + std::string(name) +
           "\"" + std::string(more) + "}";
  };
  EXPECT_THAT(load(kPlain, config("LlamaTokenizerFast", ""))->encode("a"), ElementsAre(2, 0));
  EXPECT_THAT(load(kPlain, config("GemmaTokenizer", ""))->encode("a"), ElementsAre(2, 0));
  EXPECT_THAT(load(kWithEos, config("LlamaTokenizer", ""))->encode("a"), ElementsAre(2, 0));
  EXPECT_THAT(load(kWithBos, config("LlamaTokenizer", R"(, "add_bos_token": false)"))->encode("a"),
              ElementsAre(0));
  EXPECT_THAT(load(kWithEos, config("PreTrainedTokenizerFast", ""))->encode("a"),
              ElementsAre(0, 3));
}

TEST_F(TokenizerConfigTest, AFlagWithoutItsTokenIsIgnored) {
  EXPECT_THAT(load(kPlain, R"({"add_bos_token": true, "bos_token": null})")->encode("a"),
              ElementsAre(0));
}

TEST_F(TokenizerConfigTest, AddsTokensAndCorrectsTheirFlags) {
  const auto tokenizer = load(kPlain, R"({"added_tokens_decoder": {
      "3": {"content": "</s>", "special": false},
      "9": {"content": "<new>", "special": true, "rstrip": true},
      "0": {"content": "<clash>", "special": true},
      "x": {"content": "<bad>"}}})");
  EXPECT_THAT(tokenizer->encode("a<new>  b"), ElementsAre(0, 9, 1));
  EXPECT_TRUE(tokenizer->is_special(9));
  EXPECT_FALSE(tokenizer->is_special(3));
  EXPECT_EQ(tokenizer->vocab_size(), 10U);
  EXPECT_EQ(tokenizer->token(0), "a");
}

TEST_F(TokenizerConfigTest, NamedTokensOfTheVocabularyAreSpecial) {
  EXPECT_THAT(load(kPlain, "")->encode("<x>"), ElementsAre(5, 6, 7));
  const auto tokenizer = load(kPlain, R"({"additional_special_tokens": ["<x>", "<none>"]})");
  EXPECT_THAT(tokenizer->encode("<x>"), ElementsAre(4));
  EXPECT_TRUE(tokenizer->is_special(4));
  EXPECT_EQ(tokenizer->vocab_size(), 8U);
}

TEST_F(TokenizerConfigTest, ReadsTheOtherFiles) {
  write("special_tokens_map.json", R"({"bos_token": "</s>", "eos_token": "</s>"})");
  write("added_tokens.json", R"({"<late>": 8, "<odd>": -1})");
  const auto tokenizer = load(kPlain, R"({"bos_token": "<s>"})");
  EXPECT_EQ(tokenizer->bos(), 2);
  EXPECT_EQ(tokenizer->eos(), 3);
  EXPECT_THAT(tokenizer->encode("<late>"), ElementsAre(8));
}

TEST_F(TokenizerConfigTest, DamagedCompanionsAreNoErrors) {
  write("special_tokens_map.json", "[1");
  EXPECT_THAT(load(kPlain, R"({"bos_token": 7, "added_tokens_decoder": [1], "legacy": "yes"})")
                  ->encode("a"),
              ElementsAre(0));
}

TEST_F(TokenizerConfigTest, ErrorsNameTheFileAndTheEntry) {
  const auto message = [&](std::string_view json) -> std::string {
    try {
      static_cast<void>(load(json, ""));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const std::string duplicate = message(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 0},
                                            "merges": []}})");
  EXPECT_THAT(duplicate, HasSubstr("tokenizer.json"));
  EXPECT_THAT(duplicate, HasSubstr("\"a\" and to \"b\""));
  const std::string merge = message(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1},
                                        "merges": ["a b"]}})");
  EXPECT_THAT(merge, HasSubstr("tokenizer.json"));
  EXPECT_THAT(merge, HasSubstr("model.merges[0]"));
  EXPECT_THAT(message(R"({"model": {"type": "BPE", "vocab": {"a": 0}}})"),
              HasSubstr("model.merges: missing"));
}

}  // namespace
}  // namespace mistral::text
