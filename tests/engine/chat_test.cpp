// From messages to token ids: golden/text/*/text.json, and rules that those cases do not reach.
#include "engine/chat.h"

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/fakes.h"
#include "golden_dir.h"

namespace mistral::engine {
namespace {

namespace fs = std::filesystem;

// Bytes as ids, with <s> (256) and </s> (257) as special tokens.
class ChatTokenizer : public FakeTokenizer {
 public:
  bool begins = false;
  bool ends = false;
  ChatTokenizer() {
    words = {"<s>", "</s>"};
    special = {256, 257};
  }
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const text::EncodeOptions& options) const override {
    std::vector<TokenId> ids;
    if (options.add_special && begins) ids.push_back(256);
    while (!text.empty()) {
      if (options.parse_special && text.starts_with("<s>")) {
        ids.push_back(256);
        text.remove_prefix(3);
      } else if (options.parse_special && text.starts_with("</s>")) {
        ids.push_back(257);
        text.remove_prefix(4);
      } else {
        ids.push_back(static_cast<unsigned char>(text[0]));
        text.remove_prefix(1);
      }
    }
    if (options.add_special && ends) ids.push_back(257);
    return ids;
  }
  [[nodiscard]] std::string_view token(TokenId id) const override {
    return id >= 256 ? std::string_view(words.at(static_cast<std::size_t>(id) - 256)) : "?";
  }
  [[nodiscard]] std::optional<TokenId> bos() const override { return 256; }
  [[nodiscard]] std::optional<TokenId> eos() const override { return 257; }
  [[nodiscard]] bool adds_bos() const override { return begins; }
  [[nodiscard]] bool adds_eos() const override { return ends; }
};

class Chat : public testing::Test {
 protected:
  // The ids that a template gives for one message "hi".
  std::vector<TokenId> ids(const std::string& source, bool adds_bos, bool adds_eos = false) {
    return prepared(source, adds_bos, adds_eos).ids;
  }
  PreparedPrompt prepared(const std::string& source, bool adds_bos, bool adds_eos,
                          const Json& extra = {}) {
    auto tokenizer = std::make_unique<ChatTokenizer>();
    tokenizer->begins = adds_bos;
    tokenizer->ends = adds_eos;
    model_.tokenizer = std::move(tokenizer);
    model_.name = "tiny";
    model_.chat_template = text::ChatTemplate::compile(source);
    return prepare_chat(model_, messages_, extra);
  }
  models::LoadedModel model_;
  Json messages_ = Json::array({{{"role", "user"}, {"content", "hi"}}});
};

TEST_F(Chat, TheBeginningComesOnce) {
  const std::string plain = "{{ messages[0].content }}";
  EXPECT_EQ(ids("{{ bos_token }}" + plain, true), (std::vector<TokenId>{256, 'h', 'i'}));
  EXPECT_EQ(ids("{{ bos_token }}" + plain, false), (std::vector<TokenId>{256, 'h', 'i'}));
  EXPECT_EQ(ids("<s>" + plain, true), (std::vector<TokenId>{256, 'h', 'i'}));
  EXPECT_EQ(ids(plain, true), (std::vector<TokenId>{256, 'h', 'i'}));
  EXPECT_EQ(ids(plain, false), (std::vector<TokenId>{'h', 'i'}));
  // A template that looks at the token and leaves it out is obeyed.
  EXPECT_EQ(ids("{% if false %}{{ bos_token }}{% endif %}" + plain, true),
            (std::vector<TokenId>{'h', 'i'}));
}

TEST_F(Chat, APromptDoesNotCloseTheText) {
  EXPECT_EQ(ids("{{ messages[0].content }}", true, true), (std::vector<TokenId>{256, 'h', 'i'}));
  // What the template itself prints stays.
  EXPECT_EQ(ids("{{ messages[0].content }}</s>", false), (std::vector<TokenId>{'h', 'i', 257}));
}

TEST_F(Chat, VariablesReachTheTemplate) {
  EXPECT_EQ(
      prepared("{{ add_generation_prompt }}|{{ eos_token }}|{{ unk_token is defined }}|{{ x }}",
               false, false, {{"x", "y"}})
          .text,
      "True|</s>|False|y");
  EXPECT_EQ(
      prepared("{{ add_generation_prompt }}", false, false, {{"add_generation_prompt", false}})
          .text,
      "False");
}

TEST_F(Chat, ToolsAreNoneUnlessGivenAndMayHaveTheirOwnTemplate) {
  EXPECT_EQ(prepared("{{ tools is none }} {{ documents is none }}", false, false).text,
            "True True");
  model_.tool_template = text::ChatTemplate::compile("tools: {{ tools | length }}");
  const Json tools = {{"tools", Json::array({{{"type", "function"}}})}};
  EXPECT_EQ(prepared("plain", false, false, tools).text, "tools: 1");
  EXPECT_EQ(prepared("plain", false, false, {{"tools", Json::array()}}).text, "plain");
  EXPECT_EQ(prepared("plain", false, false).text, "plain");
}

TEST_F(Chat, TokensThatCameWithTheTemplateWin) {
  model_.template_tokens = {{"eos_token", "<end>"}};
  EXPECT_EQ(prepared("{{ eos_token }}", false, false).text, "<end>");
}

TEST_F(Chat, ListsOfTextPartsAreTextsForTemplatesThatExpectTexts) {
  messages_ = Json::parse(R"([{"role": "user", "content": [
      {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])");
  EXPECT_EQ(prepared("{{ messages[0].content }}", false, false).text, "a\nb");
  EXPECT_EQ(prepared("{{ messages[0].content is string }}", false, false).text, "False");
  EXPECT_EQ(prepared("{%- for part in messages[0]['content'] %}{{ part.text }};{% endfor %}", false,
                     false)
                .text,
            "a;b;");
  messages_[0]["content"].push_back({{"type", "image"}});
  EXPECT_NE(prepared("{{ messages[0].content }}", false, false).text.find("image"),
            std::string::npos);
}

TEST_F(Chat, TheReasoningStyleFollowsThePrompt) {
  const auto inside = [&](const std::string& source) {
    const PreparedPrompt prompt = prepared(source, false, false);
    return reasoning_style(model_, prompt).inside;
  };
  EXPECT_TRUE(inside("{{ messages[0].content }}<think>\n"));
  EXPECT_FALSE(inside("{{ messages[0].content }}<think>\n\n</think>\n\n"));
}

TEST_F(Chat, RefusesWhatCannotBePrepared) {
  const auto message_of = [this](const Json& messages) {
    try {
      (void)prepare_chat(model_, messages);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  model_.name = "tiny";
  EXPECT_NE(message_of(messages_).find("no chat template"), std::string::npos);
  model_.chat_template_problem = "line 3: unexpected end";
  EXPECT_NE(message_of(messages_).find("line 3"), std::string::npos);
  model_.chat_template =
      text::ChatTemplate::compile("first line\n{{ raise_exception('no system role') }}");
  model_.tokenizer_problem = "tokenizer.json is missing";
  EXPECT_NE(message_of(messages_).find("tokenizer.json is missing"), std::string::npos);
  EXPECT_THROW((void)prepare_text(model_, "x"), Error);
  model_.tokenizer = std::make_unique<ChatTokenizer>();
  EXPECT_NE(message_of(Json::array()).find("messages"), std::string::npos);
  EXPECT_NE(message_of(Json::object()).find("messages"), std::string::npos);
  EXPECT_NE(message_of(Json::array({1})).find("messages[0]"), std::string::npos);
  EXPECT_NE(message_of(Json::array({{{"role", 1}}})).find("messages[0]"), std::string::npos);
  EXPECT_NE(message_of(messages_).find("no system role"), std::string::npos);
  EXPECT_NE(message_of(messages_).find("tiny"), std::string::npos);
}

TEST_F(Chat, GoldenConversations) {
  int cases = 0;
  ASSERT_TRUE(fs::is_directory(test::golden_dir() / "text"));
  for (const auto& entry : fs::directory_iterator(test::golden_dir() / "text")) {
    const fs::path folder = entry.path();
    if (!fs::exists(folder / "text.json") || !fs::exists(folder / "tokenizer.json")) continue;
    SCOPED_TRACE(folder.filename().string());
    std::ifstream text_file(folder / "text.json");
    const Json golden = Json::parse(text_file);
    std::ifstream config_file(folder / "tokenizer_config.json");
    const Json config = Json::parse(config_file);
    models::LoadedModel model;
    model.name = folder.filename().string();
    model.tokenizer = text::load_tokenizer_json(folder / "tokenizer.json");
    model.chat_template =
        text::ChatTemplate::compile(config.at("chat_template").get<std::string>());
    const Json& chat = golden.at("chat");
    const PreparedPrompt prompt = prepare_chat(
        model, chat.at("messages"), {{"add_generation_prompt", chat.at("add_generation_prompt")}});
    EXPECT_EQ(prompt.text, chat.at("rendered").get<std::string>());
    EXPECT_EQ(prompt.ids, chat.at("ids").get<std::vector<TokenId>>());
    ++cases;
  }
  EXPECT_GT(cases, 0);
}

}  // namespace
}  // namespace mistral::engine
