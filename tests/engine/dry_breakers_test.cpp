#include "engine/dry_breakers.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fakes.h"
#include "golden_dir.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::engine {
namespace {

SamplingParams with_dry(std::vector<std::string> breakers) {
  SamplingParams sampling;
  sampling.dry_multiplier = 0.8;
  sampling.dry_sequence_breakers = std::move(breakers);
  return sampling;
}

TEST(DryBreakers, AreTheLastTokensAfterText) {
  FakeTokenizer tokenizer;  // a token for each byte
  EXPECT_EQ(dry_breakers(with_dry({"\n", ":", "end"}), &tokenizer),
            (std::vector<TokenId>{'\n', ':', 'd'}));
  EXPECT_EQ(dry_breakers(with_dry({":", "b:", ":"}), &tokenizer), (std::vector<TokenId>{':'}));
}

TEST(DryBreakers, NoneWhenNothingAsksForThem) {
  FakeTokenizer tokenizer;
  EXPECT_TRUE(dry_breakers({}, &tokenizer).empty());
  EXPECT_TRUE(dry_breakers(with_dry({}), &tokenizer).empty());
  EXPECT_TRUE(dry_breakers(with_dry({":"}), nullptr).empty());
  SamplingParams off = with_dry({":"});
  off.dry_multiplier = 0;
  EXPECT_TRUE(dry_breakers(off, &tokenizer).empty());
}

// Of real vocabularies: what a breaker becomes alone is often not what stands inside of a text
// (SentencePiece puts a space before the first word).
TEST(DryBreakers, OfRealVocabularies) {
  int tried = 0;
  for (const char* name :
       {"bpe_gpt2", "bpe_llama3", "bpe_qwen2", "spm_gemma", "spm_llama2_legacy"}) {
    const auto file = test::golden_dir() / "tokenizer" / name / "tokenizer.json";
    if (!std::filesystem::exists(file)) continue;
    SCOPED_TRACE(name);
    const auto tokenizer = text::load_tokenizer_json(file);
    const SamplingParams defaults = with_dry(SamplingParams().dry_sequence_breakers);
    const std::vector<TokenId> ids = dry_breakers(defaults, tokenizer.get());
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
    EXPECT_FALSE(ids.empty());
    for (const std::string& breaker : defaults.dry_sequence_breakers) {
      const std::vector<TokenId> inside =
          tokenizer->encode("word" + breaker, {.add_special = false});
      EXPECT_TRUE(std::binary_search(ids.begin(), ids.end(), inside.back())) << breaker;
    }
    ++tried;
  }
  EXPECT_GE(tried, 2);
}

}  // namespace
}  // namespace mistral::engine
