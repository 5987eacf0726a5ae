#include "engine/stop_matcher.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mistral::engine {
namespace {

struct Found {
  std::string text;
  bool stopped = false;
};

Found feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopMatcher matcher(stops);
  Found found;
  for (const std::string& piece : pieces) {
    if (matcher.push(piece, found.text)) {
      found.stopped = true;
      return found;
    }
  }
  found.text += matcher.finish();
  return found;
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStopString) {
  StopMatcher matcher({"</end>", "STOP"});
  std::string out;
  EXPECT_FALSE(matcher.push("Hello <", out));
  EXPECT_EQ(out, "Hello ");
  EXPECT_FALSE(matcher.push("/e", out));
  EXPECT_EQ(out, "Hello ");
  EXPECT_FALSE(matcher.push("x", out));
  EXPECT_EQ(out, "Hello </ex");
  EXPECT_FALSE(matcher.push("ST", out));
  EXPECT_EQ(out, "Hello </ex");
  EXPECT_TRUE(matcher.push("OP and more", out));
  EXPECT_EQ(out, "Hello </ex");
}

TEST(StopMatcher, FindsTheStringAcrossAndInsidePieces) {
  EXPECT_EQ(feed({"bc"}, {"a", "b", "c", "d"}).text, "a");
  EXPECT_EQ(feed({"bc"}, {"abcd"}).text, "a");
  EXPECT_EQ(feed({"bc"}, {"", "ab", "", "cd"}).text, "a");
  EXPECT_TRUE(feed({"a"}, {"a"}).stopped);
  EXPECT_EQ(feed({"xyz"}, {"abxy"}).text, "abxy");  // the rest comes out at the end
  EXPECT_FALSE(feed({"xyz"}, {"abxy"}).stopped);
}

TEST(StopMatcher, SelfOverlapsAreNotMissed) {
  EXPECT_EQ(feed({"aab"}, {"a", "a", "a", "b"}).text, "a");
  EXPECT_EQ(feed({"abac"}, {"aba", "ba", "c!"}).text, "ab");
}

TEST(StopMatcher, TheLongestOfThoseThatEndTogetherCounts) {
  EXPECT_EQ(feed({"end", "the end"}, {"this is the end."}).text, "this is ");
  EXPECT_EQ(feed({"the end", "end"}, {"this is the end."}).text, "this is ");
  EXPECT_EQ(feed({"c", "bcd"}, {"abcd"}).text, "ab");  // "c" is complete first
}

TEST(StopMatcher, WithoutStopStringsTextPasses) {
  EXPECT_EQ(feed({}, {"a", "", "bc"}).text, "abc");
}

// Against the obvious search, and independent of the pieces.
TEST(StopMatcher, AgreesWithPlainSearchOnRandomText) {
  std::mt19937 random(4);
  const auto word = [&](std::size_t longest) {
    std::string s(1 + random() % longest, 'a');
    for (char& c : s) c = static_cast<char>('a' + random() % 2);
    return s;
  };
  int stopped = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (unsigned i = 0; i < 1 + random() % 3; ++i) stops.push_back(word(7));
    const std::string text = word(40);
    std::size_t best_end = std::string::npos;
    std::size_t cut = text.size();
    for (const std::string& stop : stops) {
      const std::size_t at = text.find(stop);
      if (at == std::string::npos) continue;
      if (at + stop.size() < best_end || (at + stop.size() == best_end && at < cut)) {
        best_end = at + stop.size();
        cut = at;
      }
    }
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 5, text.size() - at);
      pieces.push_back(text.substr(at, size));
      at += size;
    }
    const Found found = feed(stops, pieces);
    ASSERT_EQ(found.text, text.substr(0, cut)) << text;
    ASSERT_EQ(found.stopped, best_end != std::string::npos);
    stopped += found.stopped ? 1 : 0;
  }
  EXPECT_GT(stopped, 1000);
  EXPECT_LT(stopped, 3000);
}

}  // namespace
}  // namespace mistral::engine
