#include "cli/conversation.h"

#include <gtest/gtest.h>

namespace mistral::cli {
namespace {

TEST(LineJoinerTest, PassesASingleLine) {
  LineJoiner joiner;
  EXPECT_EQ(joiner.push("hello"), "hello");
  EXPECT_FALSE(joiner.open());
}

TEST(LineJoinerTest, ContinuesAfterABackslash) {
  LineJoiner joiner;
  EXPECT_EQ(joiner.push("one\\"), std::nullopt);
  EXPECT_TRUE(joiner.open());
  EXPECT_EQ(joiner.push("two\\"), std::nullopt);
  EXPECT_EQ(joiner.push("three"), "one\ntwo\nthree");
  EXPECT_EQ(joiner.push("four"), "four");
}

TEST(LineJoinerTest, ContinuesFromAnEmptyLine) {
  LineJoiner joiner;
  EXPECT_EQ(joiner.push("\\"), std::nullopt);
  EXPECT_EQ(joiner.push("x"), "\nx");
}

TEST(LineJoinerTest, JoinsABlock) {
  LineJoiner joiner;
  EXPECT_EQ(joiner.push("\"\"\""), std::nullopt);
  EXPECT_TRUE(joiner.open());
  EXPECT_EQ(joiner.push("one\\"), std::nullopt);  // a backslash means nothing in a block
  EXPECT_EQ(joiner.push("two"), std::nullopt);
  EXPECT_EQ(joiner.push("\"\"\""), "one\\\ntwo");
  EXPECT_FALSE(joiner.open());
}

TEST(LineJoinerTest, JoinsABlockWithTextNextToTheFences) {
  LineJoiner joiner;
  EXPECT_EQ(joiner.push("\"\"\"one"), std::nullopt);
  EXPECT_EQ(joiner.push("two\"\"\""), "one\ntwo");
  EXPECT_EQ(joiner.push("\"\"\"one line\"\"\""), "one line");
}

TEST(LineJoinerTest, ForgetsOnReset) {
  LineJoiner joiner;
  (void)joiner.push("\"\"\"lost");
  joiner.reset();
  EXPECT_EQ(joiner.push("kept"), "kept");
}

TEST(ParseInputTest, TellsCommandsFromMessages) {
  using Kind = ReplInput::Kind;
  EXPECT_EQ(parse_input("").kind, Kind::kEmpty);
  EXPECT_EQ(parse_input(" \t ").kind, Kind::kEmpty);
  EXPECT_EQ(parse_input("\\help").kind, Kind::kHelp);
  EXPECT_EQ(parse_input("\\clear ").kind, Kind::kClear);
  EXPECT_EQ(parse_input(" \\exit").kind, Kind::kExit);
  EXPECT_EQ(parse_input("say \\exit").kind, Kind::kMessage);
  EXPECT_EQ(parse_input("\\exit now").kind, Kind::kUnknown);
  const ReplInput system = parse_input("\\system  Be brief.\nAlways. ");
  EXPECT_EQ(system.kind, Kind::kSystem);
  EXPECT_EQ(system.text, "Be brief.\nAlways.");
  EXPECT_EQ(parse_input("\\system").text, "");
  EXPECT_EQ(parse_input("\\systemic").kind, Kind::kUnknown);
  EXPECT_EQ(parse_input("\\frobnicate x").text, "\\frobnicate");
  EXPECT_EQ(parse_input("  hello ").text, "hello");
}

TEST(ConversationTest, PutsTheSystemPromptFirst) {
  Conversation conversation;
  conversation.add_user("hi");
  conversation.add_assistant("hello");
  conversation.set_system("Be brief.");
  const Json messages = conversation.messages();
  ASSERT_EQ(messages.size(), 3);
  EXPECT_EQ(messages[0].dump(), R"({"role":"system","content":"Be brief."})");
  EXPECT_EQ(messages[1].dump(), R"({"role":"user","content":"hi"})");
  EXPECT_EQ(messages[2].dump(), R"({"role":"assistant","content":"hello"})");
}

TEST(ConversationTest, ClearsMessagesButNotTheSystemPrompt) {
  Conversation conversation;
  conversation.set_system("Be brief.");
  conversation.add_user("hi");
  conversation.add_user("again");
  conversation.drop_last();
  EXPECT_EQ(conversation.messages().size(), 2);
  conversation.clear();
  ASSERT_EQ(conversation.messages().size(), 1);
  EXPECT_EQ(conversation.messages()[0]["role"], "system");
  conversation.set_system("");
  EXPECT_TRUE(conversation.messages().empty());
}

}  // namespace
}  // namespace mistral::cli
