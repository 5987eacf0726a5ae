#include "cli/input.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/output.h"
#include "core/error.h"
#include "temporary_folder.h"

namespace mistral::cli {
namespace {

using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kBad = "\xEF\xBF\xBD";

// The message of the Error that `f` throws.
template <typename F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ValidUtf8Test, KeepsWellFormedText) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n";
  EXPECT_EQ(valid_utf8(text), text);
  EXPECT_EQ(valid_utf8(std::string_view("\0x", 2)), std::string("\0x", 2));
}

TEST(ValidUtf8Test, ReplacesEachMaximalPartOnce) {
  const std::string bad = kBad;
  EXPECT_EQ(valid_utf8("a\xFFz"), "a" + bad + "z");
  EXPECT_EQ(valid_utf8("\xC3"), bad);
  EXPECT_EQ(valid_utf8("\xE2\x82z"), bad + "z");                     // cut after two bytes of three
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98"), bad);                        // cut at the end
  EXPECT_EQ(valid_utf8("\xC0\xAF"), bad + bad);                      // overlong
  EXPECT_EQ(valid_utf8("\xE0\x80\x80"), bad + bad + bad);            // overlong
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // above U+10FFFF
  EXPECT_EQ(valid_utf8("\xF0\x9F\xC3\xA9"), bad + "\xC3\xA9");
}

TEST(ReadTokensTest, ReadsEveryForm) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "t.json";
  const auto read = [&](const char* json) {
    folder.write("t.json", json);
    return read_tokens(path);
  };
  TokenLists one = read(R"({"input_ids": [1, 2]})");
  EXPECT_FALSE(one.is_list);
  EXPECT_THAT(one.lists, ElementsAre(ElementsAre(1, 2)));
  one = read("[3]");
  EXPECT_FALSE(one.is_list);
  EXPECT_THAT(one.lists, ElementsAre(ElementsAre(3)));
  TokenLists many = read("[[1, 2], [3]]");
  EXPECT_TRUE(many.is_list);
  EXPECT_THAT(many.lists, ElementsAre(ElementsAre(1, 2), ElementsAre(3)));
  EXPECT_TRUE(read("[[7]]").is_list);
  many = read(R"({"input_ids": [[1], [2]]})");
  EXPECT_TRUE(many.is_list);
  EXPECT_EQ(many.lists.size(), 2);
  many = read(R"([{"input_ids": [1]}, {"input_ids": [2]}])");
  EXPECT_THAT(many.lists, ElementsAre(ElementsAre(1), ElementsAre(2)));
}

TEST(ReadTokensTest, RefusesWhatIsNotTokens) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "t.json";
  const auto refuse = [&](const char* json) {
    folder.write("t.json", json);
    return error_of([&path] { (void)read_tokens(path); });
  };
  EXPECT_THAT(refuse("{"), HasSubstr("is not JSON"));
  EXPECT_THAT(refuse("{}"), HasSubstr("input_ids"));
  EXPECT_THAT(refuse("3"), HasSubstr("input_ids"));
  EXPECT_THAT(refuse("[1, \"x\"]"), HasSubstr("index 1"));
  EXPECT_THAT(refuse("[1.5]"), HasSubstr("index 0"));
  EXPECT_THAT(refuse("[-1]"), HasSubstr("found -1"));
  EXPECT_THAT(refuse("[4294967296]"), HasSubstr("4294967296"));
  EXPECT_THAT(refuse("[18446744073709551615]"), HasSubstr("18446744073709551615"));
  EXPECT_THAT(refuse("[[1], 2]"), HasSubstr("list 1"));
  EXPECT_THAT(refuse("[1, [2]]"), HasSubstr("index 1"));
  EXPECT_THAT(error_of([&] { (void)read_tokens(folder.path() / "absent"); }), HasSubstr("absent"));
  EXPECT_THAT(error_of([&] { (void)read_tokens(folder.path()); }), HasSubstr("is a folder"));
}

TEST(ReadChatTest, ReadsMessagesAndRequests) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "chat.json";
  folder.write("chat.json", R"([{"role": "user", "content": "hi"}])");
  EXPECT_EQ(read_chat(path).messages.size(), 1);
  folder.write("chat.json", R"({"model": "m", "messages": [{"role": "user", "content": "hi"}],
                       "tools": [{"type": "function"}],
                       "chat_template_kwargs": {"enable_thinking": false}})");
  const ChatInput chat = read_chat(path);
  EXPECT_EQ(chat.messages[0]["content"], "hi");
  EXPECT_EQ(chat.extra.dump(), R"({"tools":[{"type":"function"}],"enable_thinking":false})");
}

TEST(ReadChatTest, ReplacesInvalidUtf8) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "chat.json";
  folder.write("chat.json", "[{\"role\": \"user\", \"content\": \"a\xFF\"}]");
  EXPECT_EQ(read_chat(path).messages[0]["content"], std::string("a") + kBad);
}

TEST(ReadChatTest, RefusesWhatIsNotAChat) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "chat.json";
  const auto refuse = [&](const char* json) {
    folder.write("chat.json", json);
    return error_of([&path] { (void)read_chat(path); });
  };
  EXPECT_THAT(refuse("[]"), HasSubstr("empty"));
  EXPECT_THAT(refuse("{}"), HasSubstr("messages"));
  EXPECT_THAT(refuse("[1]"), HasSubstr("message 0"));
  EXPECT_THAT(refuse(R"([{"role": "user"}, {"content": "x"}])"), HasSubstr("message 1"));
}

TEST(CheckOutputPathTest, RefusesBeforeAnythingIsComputed) {
  const TemporaryFolder folder;
  check_output_path(folder.path() / "new.safetensors");
  check_output_path("plain.safetensors");
  EXPECT_THAT(error_of([&] { check_output_path(folder.path() / "absent" / "x"); }),
              HasSubstr("no folder"));
  EXPECT_THAT(error_of([&] { check_output_path(folder.path()); }), HasSubstr("folder"));
}

TEST(OutputTest, ErrorsAreOneLine) {
  EXPECT_EQ(one_line("a\nb\tc\n"), "a b c");
  EXPECT_EQ(one_line("key \x1B[31m"), "key \\x1b[31m");
  EXPECT_EQ(one_line("caf\xC3\xA9"), "caf\xC3\xA9");
}

TEST(OutputTest, TerminalTextHasNoControlCharacters) {
  const std::string bad = kBad;
  EXPECT_EQ(without_controls("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(without_controls("\x1B[2J"), bad + "[2J");
  EXPECT_EQ(without_controls("\xC2\x9B"
                             "0m \xC2\xA0"),
            bad + "0m \xC2\xA0");
}

}  // namespace
}  // namespace mistral::cli
