// Added tokens: finding many texts at once, flags that meet each other, vocabularies with flaws.
#include "text/tokenizer/added_tokens.h"

#include <ctime>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/log.h"
#include "text/tokenizer/hf_tokenizer.h"

namespace mistral::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<PatternMatcher::Match> found_one_by_one(const std::vector<std::string_view>& patterns,
                                                    std::string_view text) {
  std::vector<PatternMatcher::Match> matches;
  for (std::size_t at = 0; at < text.size();) {
    PatternMatcher::Match best{at, at, 0};
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if (at + patterns[i].size() > best.end && text.substr(at).starts_with(patterns[i])) {
        best = {at, at + patterns[i].size(), i};
      }
    }
    if (best.end > at) matches.push_back(best);
    at = std::max(best.end, at + 1);
  }
  return matches;
}

// ASCII and other bytes meet in every order.
TEST(PatternMatcher, FindsWhatASearchOneByOneFinds) {
  std::mt19937 random(1);
  const std::string_view alphabet[] = {"a", "<", "\xEF\xBD\x9C", "\xE4\xB8\xAD", " ", "\x7F"};
  const auto text_of = [&](std::size_t longest) {
    std::string text;
    for (std::size_t left = random() % (longest + 1); left > 0; --left) {
      text += alphabet[random() % std::size(alphabet)];
    }
    return text;
  };
  std::size_t total = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 12; ++i) texts.push_back(text_of(4));
    const std::vector<std::string_view> patterns(texts.begin(), texts.end());
    const std::string text = text_of(60);
    const auto expected = found_one_by_one(patterns, text);
    const auto found = PatternMatcher(patterns).leftmost_longest(text);
    ASSERT_EQ(expected.size(), found.size()) << text;
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(expected[i].begin, found[i].begin) << text;
      EXPECT_EQ(expected[i].pattern, found[i].pattern) << text;
    }
    total += found.size();
  }
  EXPECT_GT(total, 1000U);
}

// A word-level tokenizer of "a", "b" and the space, with the normaliser and the added tokens.
std::unique_ptr<HfTokenizer> small(const std::string& normalizer, const std::string& added) {
  return HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{" ":0,"a":1,"b":2,"中":3},"merges":[]},"normalizer":)" +
      normalizer + R"(,"added_tokens":)" + added + "}");
}

TEST(AddedTokens, AreFoundWhateverBytesTheOthersEndWith) {
  const auto tokenizer = small("null", R"([{"id":4,"content":"<|x|>","special":true},
      {"id":5,"content":"<｜x｜>","special":true},{"id":6,"content":"<x>","special":true}])");
  EXPECT_THAT(tokenizer->encode("<x><|x|>a<｜x｜>"), ElementsAre(6, 4, 1, 5));
}

// Normalisation may leave nothing of a token. Then it cuts the text between all characters, and
// with its flags takes the blanks there (checked against the format's own library).
TEST(AddedTokens, EmptyOnesCutTheText) {
  const std::string strip = R"({"type":"Strip","strip_left":true,"strip_right":true})";
  const std::string ab = R"(,{"id":5,"content":"ab","normalized":true}])";
  const auto plain = small(strip, R"([{"id":4,"content":"\n","normalized":true})" + ab);
  EXPECT_THAT(plain->encode("aabb"), ElementsAre(1, 5, 2));
  EXPECT_THAT(plain->encode(" a 中b"), ElementsAre(1, 0, 3, 2));
  EXPECT_THAT(plain->encode(""), ElementsAre());
  const auto left =
      small(strip, R"([{"id":4,"content":"\n","normalized":true,"lstrip":true})" + ab);
  EXPECT_THAT(left->encode("ab  ba"), ElementsAre(5, 4, 4, 2, 1));
  const auto right =
      small(strip, R"([{"id":4,"content":"\n","normalized":true,"rstrip":true})" + ab);
  EXPECT_THAT(right->encode("a  b"), ElementsAre(1, 4, 4, 2));
  EXPECT_THAT(right->encode("ab  ba"), ElementsAre(5, 0, 4, 2, 1));
  // A merge that the cuts keep apart.
  const auto merging = HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"a":0,"aa":1},"merges":[["a","a"]]},"normalizer":)" +
      strip + R"(,"added_tokens":[{"id":2,"content":"\n","normalized":true}]})");
  EXPECT_THAT(merging->encode("aa"), ElementsAre(0, 0));
}

// Tokens among blanks that each of them swallows.
TEST(AddedTokens, TimeIsNotQuadraticInSwallowedBlanks) {
  constexpr std::size_t kLength = 1'000'000;
  const std::string text(kLength, '\n');
  for (const char* flags : {R"("rstrip":true)", R"("lstrip":true)"}) {
    for (const char* normalizer : {"null", R"({"type":"NFC"})"}) {
      SCOPED_TRACE(std::string(flags) + normalizer);
      const auto tokenizer = small(
          normalizer, std::string(R"([{"id":4,"content":"\n","special":true,)") + flags + "}]");
      const std::clock_t start = std::clock();
      EXPECT_EQ(tokenizer->encode(text).size(), kLength);
      EXPECT_LT(std::clock() - start, 10 * CLOCKS_PER_SEC);
    }
  }
}

template <typename Load>
std::string warnings_of(Load&& load) {
  log::set_level("warn");
  testing::internal::CaptureStderr();
  load();
  return testing::internal::GetCapturedStderr();
}

std::unique_ptr<HfTokenizer> words(const std::string& vocabulary) {
  return HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","unk_token":"a","vocab":)" + vocabulary + "}}", {},
      "folder/tokenizer.json");
}

TEST(TokenizerJson, OfARepeatedTokenTheLastIdCounts) {
  std::unique_ptr<HfTokenizer> tokenizer;
  const std::string warning = warnings_of([&] { tokenizer = words(R"({"a":0,"c":2,"a":1})"); });
  EXPECT_THAT(warning, HasSubstr(R"(folder/tokenizer.json: model.vocab: "a" has the ids 0 and 1)"));
  EXPECT_THAT(tokenizer->encode("a"), ElementsAre(1));
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{0, 1}, false), "a");
  // The id that the first one leaves is free for another token, before and behind.
  for (const char* vocabulary : {R"({"a":0,"b":0,"a":1})", R"({"a":0,"a":1,"b":0})"}) {
    static_cast<void>(warnings_of([&] { tokenizer = words(vocabulary); }));
    EXPECT_THAT(tokenizer->encode("b"), ElementsAre(0)) << vocabulary;
    EXPECT_THAT(tokenizer->encode("a"), ElementsAre(1)) << vocabulary;
  }
  static_cast<void>(warnings_of([] {
    try {
      words(R"({"a":1,"b":0,"a":0})");
      ADD_FAILURE() << "two tokens with one id";
    } catch (const Error& caught) {
      EXPECT_THAT(caught.what(), HasSubstr(R"(the id 0 is given to "b" and to "a")"));
    }
  }));
}

TEST(AddedTokens, RepeatedOnesKeepTheFirstIdAndTakeTheLastFlags) {
  std::unique_ptr<HfTokenizer> tokenizer;
  const std::string warning = warnings_of([&] {
    tokenizer = small("null", R"([{"id":4,"content":"<x>","special":true},{"id":5,"content":"<y>"},
                                  {"id":6,"content":"<x>","lstrip":true,"rstrip":true}])");
  });
  EXPECT_THAT(warning, HasSubstr(R"(added_tokens[2]: "<x>" has the id 4 already; 6 is ignored)"));
  EXPECT_THAT(tokenizer->encode("a <x> b<y>"), ElementsAre(1, 4, 2, 5));
  EXPECT_TRUE(tokenizer->is_special(4));
}

TEST(AddedTokens, KeepTheirIdsBehindAGap) {
  std::unique_ptr<HfTokenizer> tokenizer;
  const std::string warning = warnings_of(
      [&] { tokenizer = small("null", R"([{"id":9,"content":"<y>"},{"id":6,"content":"<x>"}])"); });
  EXPECT_THAT(warning, HasSubstr(R"(no token has an id from 4 to 5, before 6 of "<x>")"));
  EXPECT_THAT(warning, HasSubstr(R"(no token has an id from 7 to 8, before 9 of "<y>")"));
  EXPECT_THAT(tokenizer->encode("<x>a<y>"), ElementsAre(6, 1, 9));
  EXPECT_EQ(tokenizer->vocab_size(), 10U);
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{4, 6, 7}, false), "<x>");
  EXPECT_EQ(tokenizer->token(7), "");
  EXPECT_THAT(
      warnings_of([] { small("null", R"([{"id":5,"content":"<y>"},{"id":4,"content":"<x>"}])"); }),
      Not(HasSubstr("no token")));
}

}  // namespace
}  // namespace mistral::text
