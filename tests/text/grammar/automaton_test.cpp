// Automata are as small as they can be, and states are told apart by what follows them.
#include "text/grammar/automaton.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "text/grammar/regex.h"
#include "text/grammar/schema_strings.h"
#include "text/grammar/state_groups.h"

namespace mistral::grammar {
namespace {

// By the definition: what each state leads to in one byte, in two bytes, …
std::vector<std::uint32_t> plain_groups(const TransitionTable& table, std::size_t rounds) {
  const std::size_t count = table.labels.size();
  const auto numbered = [&](const auto& key_of) {
    std::map<std::vector<std::int64_t>, std::uint32_t> numbers;
    std::vector<std::uint32_t> out(count);
    for (std::size_t state = 0; state < count; ++state) {
      const auto number = static_cast<std::uint32_t>(numbers.size());
      out[state] = numbers.try_emplace(key_of(state), number).first->second;
    }
    return out;
  };
  std::vector<std::uint32_t> groups =
      numbered([&](std::size_t state) { return std::vector<std::int64_t>{table.labels[state]}; });
  for (std::size_t round = 0; round < std::min(rounds, count); ++round) {
    groups = numbered([&](std::size_t state) {
      std::vector<std::int64_t> key = {groups[state]};
      for (std::size_t c = 0; c < table.class_count; ++c) {
        const StateId next = table.next[state * table.class_count + c];
        key.push_back(next == kDead ? -1 : std::int64_t{groups[next]});
      }
      return key;
    });
  }
  return groups;
}

TEST(StateGroups, AreWhatSoManyBytesTellApart) {
  std::mt19937 random(7);
  Budget budget{CompileLimits{.seconds = 60}};
  for (int i = 0; i < 400; ++i) {
    const std::size_t count = random() % 40;
    const std::size_t classes = 1 + random() % 3;
    const bool chain = i % 2 == 0;
    std::vector<StateId> next(count * classes);
    std::vector<std::int32_t> labels(count);
    for (std::size_t at = 0; at < next.size(); ++at) {
      const auto behind = static_cast<StateId>(at / classes + 1);
      next[at] = random() % 4 == 0 ? kDead
                 : chain           ? (behind < count ? behind : kDead)
                                   : static_cast<StateId>(random() % count);
    }
    for (auto& label : labels) label = random() % 5 == 0 ? static_cast<int>(random() % 2) : -1;
    const TransitionTable table{.next = next, .class_count = classes, .labels = labels};
    for (const std::size_t rounds : {0U, 1U, 2U, 3U, 7U, 50U}) {
      EXPECT_EQ(groups_of_states(table, rounds, budget), plain_groups(table, rounds)) << i;
    }
    EXPECT_EQ(groups_of_states(table, kUntilStable, budget), plain_groups(table, count)) << i;
  }
}

TEST(Automaton, EqualLanguagesHaveEqualAutomata) {
  Budget budget{CompileLimits{.seconds = 60}};
  const auto dfa = [&](const char* regex) { return regex_dfa(regex, {}, budget); };
  EXPECT_EQ(dfa("(a|b)*abb"), dfa("([ab]*)(a)(b{2})"));
  EXPECT_EQ(dfa("(?s).{0,300}"), strings_of_length(0, 300, budget));
  EXPECT_EQ(dfa("[^\\x00-\\x{10FFFE}]"), dfa("\\x{10FFFF}"));
  EXPECT_EQ(unite(dfa("[a-m]+"), dfa("[a-z]+"), budget), dfa("[a-z]+"));
  EXPECT_EQ(subtract(dfa("[a-z]{1,200}"), dfa("[a-z]{100,}"), budget), dfa("[a-z]{1,99}"));
  EXPECT_NE(dfa("[a-z]{1,99}"), dfa("[a-z]{1,98}"));
}

// What a maximum length costs is a matter of how many states a character takes.
TEST(Automaton, LongStringsTakeFewStatesForACharacter) {
  Budget budget{CompileLimits{.seconds = 60}};
  constexpr std::size_t kLength = 200;
  const Dfa strings = strings_of_length(0, kLength, budget);
  EXPECT_LE(strings.size(), 8 * kLength + 1);
  EXPECT_LE(quoted(strings, budget).size(), 20 * kLength + 3);
}

TEST(Quoted, SpellsWhatJsonSpells) {
  Budget budget{CompileLimits{.seconds = 60}};
  const Dfa two = quoted(strings_of_length(2, 2, budget), budget);
  for (const char* text :
       {R"("ab")", R"("é日")", R"("\n\"")", R"("\\\/")", R"("\u0041\uFFFF")", R"("\ud83D\uDe00x")",
        R"("x\uD83d\ude00")", R"("😀\b")", R"("\u0000\u001f")"}) {
    EXPECT_TRUE(two.matches(text)) << text;
  }
  for (const char* text : {R"("a")", R"("abc")", R"("ab)", R"(ab")", R"("a"")", R"("\x41a")",
                           R"("\ud83dx")", R"("\ude00x")", R"("\ud83d\u0041")", R"("\u004x")",
                           "\"a\n\"", "\"\x1F\x1F\"", "\"\xED\xA0\x80x\"", R"("\ud83d\ude00")"}) {
    EXPECT_FALSE(two.matches(text)) << text;
  }
  // Where not every character may stand, only what needs an escape has one.
  const Dfa few = quoted(regex_dfa("[\\x00\\x1f\"\\\\a/\\t]+", {}, budget), budget);
  for (const char* text : {R"("\u0000\u001F\u001f")", R"("\"\\a/\/\t\u0009")"}) {
    EXPECT_TRUE(few.matches(text)) << text;
  }
  for (const char* text : {R"("\u0061")", R"("\u0001")", R"("\n")", R"("\u001")", R"("")"}) {
    EXPECT_FALSE(few.matches(text)) << text;
  }
}

}  // namespace
}  // namespace mistral::grammar
