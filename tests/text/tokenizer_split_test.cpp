// The hand-written splitters against Oniguruma, on random text.
#include <random>

#include <gtest/gtest.h>
#include <unicode/uchar.h>

#include "text/tokenizer/split_pattern.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

using namespace split_expression;

// Oniguruma 6.9.8 and ICU 72 know different versions of Unicode; both know this one.
bool is_common_knowledge(char32_t c) {
  UVersionInfo version{};
  u_charAge(static_cast<UChar32>(c), version);
  return version[0] > 0 && version[0] <= 13;
}

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
    if (is_common_knowledge(c)) utf8::append(c, text);
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

}  // namespace
}  // namespace mistral::text
