// The hand-written splitters against Oniguruma, on random text.
#include <random>

#include <gtest/gtest.h>

#include "text/tokenizer/regex_properties.h"
#include "text/tokenizer/split_pattern.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

using namespace split_expression;

class RandomText {
 public:
  std::string next() {
    std::string text;
    const std::size_t length = pick(0, 24);
    while (text.size() < length) append_fragment(text);
    return text;
  }

 private:
  std::size_t pick(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine_);
  }
  void append_fragment(std::string& text) {
    static constexpr std::string_view kFragments[] = {"'s",
                                                      "'S",
                                                      "'ll",
                                                      "'LL",
                                                      "'lL",
                                                      "'re",
                                                      "'vE",
                                                      "'d",
                                                      "'m",
                                                      "'t",
                                                      "'",
                                                      "\xC5\xBF",
                                                      "'\xC5\xBF",
                                                      " ",
                                                      "  ",
                                                      "   ",
                                                      "\n",
                                                      "\r\n",
                                                      "\n\n",
                                                      "\t",
                                                      "\r",
                                                      "/",
                                                      "//",
                                                      "a",
                                                      "B",
                                                      "Ab",
                                                      "aB",
                                                      "ABc",
                                                      "1",
                                                      "12",
                                                      "1234567",
                                                      ".",
                                                      "!?",
                                                      " .",
                                                      "\xC2\xA0",
                                                      "\xE3\x80\x80",
                                                      "\xCC\x81",
                                                      "e\xCC\x81",
                                                      "\xC7\x85",
                                                      "\xCA\xB0",
                                                      "\xE4\xBD\xA0",
                                                      "\xC2\xB2",
                                                      "\xE2\x85\xA7",
                                                      "\xD9\xA3",
                                                      "\xF0\x9F\x98\x80",
                                                      "\xE2\x80\x8D",
                                                      "K\xE2\x84\xAA",
                                                      "_"};
    if (pick(0, 3) > 0) {
      text += kFragments[pick(0, std::size(kFragments) - 1)];
      return;
    }
    const auto c = static_cast<char32_t>(pick(0, 7) > 0 ? pick(1, 0x2FFF) : pick(0x3000, 0x1FFFF));
    utf8::append(c < 0xD800 || c > 0xDFFF ? c : U'x', text);
  }
  std::mt19937 engine_{20240607};
};

class FastSplitTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(FastSplitTest, FindsWhatOnigurumaFinds) {
  ASSERT_TRUE(FastSplit::for_expression(GetParam()) || DigitGroups::for_expression(GetParam()));
  const SplitPattern fast = SplitPattern::expression(GetParam());
  const SplitPattern slow = SplitPattern::expression(GetParam(), SplitPattern::Engine::kOniguruma);
  RandomText random;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = random.next();
    ASSERT_EQ(slow.find_all(text), fast.find_all(text)) << '"' << text << '"';
  }
}

INSTANTIATE_TEST_SUITE_P(Known, FastSplitTest,
                         ::testing::Values(kGpt2, kLlama3, kQwen2, kCl100k, kBailing, kO200k,
                                           kTekken, kClip, kGroupsOfWords, kGroupsOfNumbers,
                                           kPlacesOfGroups));

TEST(FastSplit, LeavesOtherExpressionsToOniguruma) {
  EXPECT_FALSE(FastSplit::for_expression("\\s+"));
}

// The parts of `text` that match.
std::vector<std::string> found(std::string_view expression, std::string_view text) {
  std::vector<std::string> parts;
  for (const ByteRange& match : Regex(expression).find_all(text)) {
    parts.emplace_back(text.substr(match.begin, match.end - match.begin));
  }
  return parts;
}

// Shaking face (Unicode 15), harp (16), a capital letter, a digit and a mark of 16.
TEST(Regex, KnowsTheCharactersOfUnicode16) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(found(R"([\p{P}\p{S}]+)", "a!\U0001FAE8\U0001FA89b"), Parts{"!\U0001FAE8\U0001FA89"});
  EXPECT_EQ(found(R"([^\p{S}]+)", "a\U0001FAE8b"), (Parts{"a", "b"}));
  EXPECT_EQ(found(R"(\P{S}+)", "a\U0001FAE8b"), (Parts{"a", "b"}));
  EXPECT_EQ(found(R"(\p{^So}+)", "a\U0001FAE8b"), (Parts{"a", "b"}));
  EXPECT_EQ(found(R"(\p{Other_Symbol}|\p{symbol}b)", "a\U0001FAE8b"), Parts{"\U0001FAE8"});
  EXPECT_EQ(found(R"([\p{Lu}\p{M}]+|\p{Nd})", "a\U00010D50\u0897\U0001CCF3\U0001CCF4"),
            (Parts{"\U00010D50\u0897", "\U0001CCF3", "\U0001CCF4"}));
  EXPECT_EQ(found(R"(\\p{S})", "<\\p{S}"), Parts{"\\p{S}"});  // an escaped backslash: no property
  EXPECT_EQ(found(R"(\w+)", "a\u0897\U000105C0 \U0001FAE8"), Parts{"a\u0897\U000105C0"});
  EXPECT_EQ(found(R"([^\W\d]+|\d)", "a\U000105C0\U0001CCF3"), (Parts{"a\U000105C0", "\U0001CCF3"}));
  EXPECT_EQ(found(R"([\w-]+|[[:upper:]\D]+)", "\u0897-a!"), (Parts{"\u0897-a", "!"}));
  EXPECT_EQ(found(R"(\p{Han}+|\P{Han})", "\u4E2D\U00031350a"), (Parts{"\u4E2D\U00031350", "a"}));
  EXPECT_EQ(found(R"(\w+|[\W])", "a\u00B2-\u00BD"), (Parts{"a\u00B2", "-", "\u00BD"}));
  EXPECT_EQ(found(R"(a\b.)", "a\u0897a\U0001FAE8"), Parts{"a\U0001FAE8"});
  EXPECT_EQ(found(R"(a\B.)", "a\U0001FAE8a\u0897"), Parts{"a\u0897"});
  EXPECT_EQ(found(R"([\b]|^\b|\b$)", "\bab"), (Parts{"\b", ""}));
  EXPECT_THROW(Regex(R"(\p{Nothing})"), Error);
  EXPECT_THROW(Regex(R"(\p{S)"), Error);
}

TEST(Regex, CountsSymbolsAsPunctuation) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(found("[[:punct:]]+", "a<=>+$^`|~!_b\u00A9\U0001FAE8c"),
            (Parts{"<=>+$^`|~!_", "\u00A9\U0001FAE8"}));
  EXPECT_EQ(found("[[:^punct:]x]+", "ab<x"), (Parts{"ab", "x"}));
  EXPECT_EQ(found("[^[:punct:] ]+", "ab<x y"), (Parts{"ab", "x", "y"}));
  EXPECT_EQ(with_newer_characters("[:punct:]"), "[:punct:]");  // no name outside of a class
}

// Each character alone and between others, for the categories that real expressions use.
TEST(Regex, CategoriesAreThoseOfTheTables) {
  const std::vector<std::pair<std::string, std::uint32_t>> categories{
      {"L", U_GC_L_MASK},   {"N", U_GC_N_MASK},   {"P", U_GC_P_MASK},   {"S", U_GC_S_MASK},
      {"M", U_GC_M_MASK},   {"Lu", U_GC_LU_MASK}, {"Lt", U_GC_LT_MASK}, {"Lm", U_GC_LM_MASK},
      {"Lo", U_GC_LO_MASK}, {"Ll", U_GC_LL_MASK}, {"Nd", U_GC_ND_MASK}, {"So", U_GC_SO_MASK}};
  std::string all;
  for (char32_t c = 1; c < 0x33480; ++c) {
    if (c < 0xD800 || c > 0xDFFF) utf8::append(c, all);
  }
  for (const auto& [name, mask] : categories) {
    std::vector<ByteRange> expected;
    for (std::size_t begin = 0; begin < all.size();) {
      const utf8::Character c = utf8::decode(std::string_view(all).substr(begin));
      if ((unicode::category_mask(c.code_point) & mask) != 0) {
        expected.push_back({begin, begin + c.length});
      }
      begin += c.length;
    }
    const bool equal = Regex("\\p{" + name + "}").find_all(all) == expected;
    EXPECT_TRUE(equal) << name;
  }
}

}  // namespace
}  // namespace mistral::text
