// `tokenize` and `info`, and the text inputs of `eval`.
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/golden_models.h"
#include "cli/program_runner.h"
#include "formats/safetensors.h"
#include "temporary_folder.h"

namespace mistral::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::int64_t> i64s(const formats::SafetensorsFile& file, const std::string& name) {
  const auto& data = file.require(name).view.data;
  std::vector<std::int64_t> result(data.size() / sizeof(std::int64_t));
  std::memcpy(result.data(), data.data(), data.size());
  return result;
}

std::string spaced(const Json& ids) {
  std::string text;
  for (const Json& id : ids) text += (text.empty() ? "" : " ") + id.dump();
  return text + "\n";
}

TEST(TokenizeTest, EncodesTextAndChatsOfEveryFolder) {
  const auto models = folder_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const TemporaryFolder folder;
  for (const GoldenModel& model : models) {
    SCOPED_TRACE(model.folder);
    const Json text = read_json(model.folder / "text.json");
    const auto tokenize = [&model](const std::vector<std::string>& arguments,
                                   const std::string& input = "") {
      const Outcome outcome =
          run_program(join(join({"tokenize"}, arguments), model.selector), input);
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_THAT(outcome.err, IsEmpty());
      return outcome.out;
    };
    const std::string prompt = text["prompt"];
    const auto expected = formats::SafetensorsFile::open({model.folder / "expected.safetensors"});
    const Json ids = i64s(*expected, "input_ids");
    EXPECT_EQ(tokenize({"--prompt", prompt}), spaced(ids));
    EXPECT_EQ(tokenize({"--text", folder.write("prompt.txt", prompt)}), spaced(ids));
    EXPECT_EQ(tokenize({prompt}), spaced(ids));
    EXPECT_EQ(tokenize({}, prompt), spaced(ids));
    const Json json = Json::parse(tokenize({"--json", "--prompt", prompt}));
    EXPECT_EQ(json["ids"], ids);
    EXPECT_EQ(json["pieces"].size(), ids.size());
    EXPECT_THAT(json["text"].get<std::string>(), HasSubstr(prompt));

    const Json& chat = text["chat"];
    const std::string file = folder.write("chat.json", chat.dump());
    EXPECT_EQ(tokenize({"--chat", file}), chat["rendered"]);
    const Json chat_json = Json::parse(tokenize({"--chat", file, "--json"}));
    EXPECT_EQ(chat_json["text"], chat["rendered"]);
    EXPECT_EQ(chat_json["ids"], chat["ids"]);
  }
}

// A copy of the first reference folder whose tokenizer.json `change` edits.
class EditedModel {
 public:
  template <typename Change>
  explicit EditedModel(Change&& change) {
    const std::filesystem::path source = folder_models().front().folder;
    std::filesystem::copy(source, folder_.path());
    Json tokenizer = read_json(source / "tokenizer.json");
    change(tokenizer);
    const std::filesystem::path file = folder_.path() / "tokenizer.json";
    std::filesystem::remove(file);
    folder_.write("tokenizer.json", tokenizer.dump());
  }
  [[nodiscard]] Outcome run(std::vector<std::string> arguments) const {
    return run_program(join({"tokenize", "-m", folder_.path().string()}, arguments));
  }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
};

TEST(TokenizeTest, VocabulariesMustFitTheEmbedding) {
  ASSERT_FALSE(folder_models().empty());
  const EditedModel large([](Json& json) { json["model"]["vocab"]["zzzz"] = 500'000; });
  const Outcome refused = large.run({"-p", "hi"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("tokenizer.json"));
  EXPECT_THAT(refused.err, HasSubstr("zzzz"));
  // Added tokens without a row are harmless as long as nobody uses them.
  const EditedModel added([](Json& json) {
    json["added_tokens"].push_back({{"id", 500'000}, {"content", "<zz>"}, {"special", true}});
  });
  const Outcome warned = added.run({"-p", "hi"});
  EXPECT_EQ(warned.code, 0);
  EXPECT_THAT(warned.err, HasSubstr("<zz>"));
}

TEST(TokenizeTest, DamagedTokenizersNameFileAndEntry) {
  ASSERT_FALSE(folder_models().empty());
  const EditedModel duplicate([](Json& json) { json["model"]["vocab"]["zzzz"] = 0; });
  EXPECT_THAT(duplicate.run({"-p", "hi"}).err, HasSubstr("the id 0 is given to"));
  const EditedModel merge([](Json& json) {
    json["model"]["merges"].push_back(Json::array({"zzz", "z"}));
  });
  const Outcome outcome = merge.run({"-p", "hi"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("tokenizer.json"));
  EXPECT_THAT(outcome.err, HasSubstr("\"zzz\" is not in model.vocab"));
}

TEST(TokenizeTest, TemplatesAndTheirVariablesComeFromTheCommandLine) {
  ASSERT_FALSE(folder_models().empty());
  const EditedModel model([](Json&) {});
  const std::string chat =
      model.folder().write("chat.json", R"([{"role": "user", "content": "hi"}])").string();
  const std::string tools =
      model.folder().write("tools.json", R"([{"type": "function"}])").string();
  const auto rendered = [&](const std::vector<std::string>& more) {
    const Outcome outcome = model.run(join({"--chat", chat}, more));
    return outcome.code == 0 ? outcome.out : outcome.err;
  };
  EXPECT_EQ(rendered({"--chat-template", "chatml"}),
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  const std::string shows = "{{ enable_thinking }} {{ x }} {{ tools | length }}";
  EXPECT_EQ(rendered({"--chat-template", shows, "--enable-thinking", "false",
                      "--chat-template-kwargs", R"({"x": [1]})", "--tools", tools}),
            "False [1] 1");
  const std::string file = model.folder().write("t.jinja", "{{ messages[0].role }}").string();
  EXPECT_EQ(rendered({"--jinja-explicit", file, "--chat-template", "chatml"}), "user");
  EXPECT_THAT(rendered({"--chat-template-kwargs", "[1]"}), HasSubstr("--chat-template-kwargs"));
  EXPECT_THAT(rendered({"--tools", chat + "x"}), HasSubstr("chat.jsonx"));
  EXPECT_THAT(rendered({"--chat-template", "{% if %}"}), HasSubstr("line 1"));
}

TEST(TokenizeTest, EncodesTheTextsOfGgufCases) {
  const auto models = gguf_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const TemporaryFolder folder;
  for (const GoldenModel& model : models) {
    SCOPED_TRACE(model.folder);
    int checked = 0;
    const Json description = read_json(model.folder / "case.json");
    for (const Json& row : description.value("tokenizer_tests", Json::array())) {
      if (!row["agree"].get<bool>() || checked == 3) continue;
      const Outcome outcome = run_program(
          join({"tokenize", "--text", folder.write("text.txt", row["text"].get<std::string>())},
               model.selector));
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_EQ(outcome.out, spaced(row["hf"])) << row["text"];
      ++checked;
    }
  }
}

TEST(TokenizeTest, InvalidUtf8BecomesTheReplacementCharacter) {
  const auto models = folder_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const auto tokenize = [&models](const std::string& text) {
    const Outcome outcome = run_program(join({"tokenize"}, models.front().selector), text);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  EXPECT_EQ(tokenize("a\xFF\xC3z"), tokenize("a\xEF\xBF\xBD\xEF\xBF\xBDz"));
  EXPECT_NE(tokenize("a\xFFz"), tokenize("az"));
}

TEST(EvalTextTest, TextAndChatAreTheTokensOfTheReference) {
  const auto models = folder_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const TemporaryFolder folder;
  const GoldenModel& model = models.front();
  const Json text = read_json(model.folder / "text.json");
  const std::string out = folder.path() / "out.safetensors";
  const auto input_ids = [&](const std::vector<std::string>& arguments) {
    const Outcome outcome =
        run_program(join(join({"eval", "--logits", out}, arguments), model.selector));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return i64s(*formats::SafetensorsFile::open({out}), "input_ids");
  };
  const auto expected = formats::SafetensorsFile::open({model.folder / "expected.safetensors"});
  EXPECT_EQ(input_ids({"--text", folder.write("p.txt", text["prompt"].get<std::string>())}),
            i64s(*expected, "input_ids"));
  EXPECT_EQ(Json(input_ids({"--chat", folder.write("c.json", text["chat"]["messages"].dump())})),
            text["chat"]["ids"]);
}

TEST(InfoTest, SaysWhatAModelIs) {
  auto models = folder_models();
  for (const GoldenModel& model : gguf_models()) models.push_back(model);
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  for (const GoldenModel& model : models) {
    SCOPED_TRACE(model.folder);
    const Json config = read_json(model.folder / "config.json");
    const Outcome text = run_program(join({"info"}, model.selector));
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.err, IsEmpty());
    for (const char* row : {"kind", "architecture", "parameters", "context length", "vocabulary",
                            "chat template", "F32"}) {
      EXPECT_THAT(text.out, HasSubstr(row));
    }
    const Outcome outcome = run_program(join({"info", "--json"}, model.selector));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json facts = Json::parse(outcome.out);
    EXPECT_EQ(facts["architecture"], "llama");
    EXPECT_EQ(facts["layers"], config["num_hidden_layers"]);
    EXPECT_EQ(facts["hidden_size"], config["hidden_size"]);
    EXPECT_EQ(facts["heads"], config["num_attention_heads"]);
    EXPECT_EQ(facts["vocab_size"], config["vocab_size"]);
    EXPECT_EQ(facts["context_length"], config["max_position_embeddings"]);
    std::uint64_t bytes = 0;
    for (const Json& type : facts["types"]) bytes += type["bytes"].get<std::uint64_t>();
    EXPECT_EQ(facts["weight_bytes"], bytes);
    EXPECT_GT(facts["parameters"], 0);
  }
}

TEST(InfoTest, TakesAPathAsAnArgument) {
  const auto models = gguf_models();
  ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
  const GoldenModel& model = models.front();
  const std::string file = model.folder / "model-F32.gguf";
  const Outcome expected = run_program(join({"info"}, model.selector));
  EXPECT_EQ(run_program({"info", file}).out, expected.out);
  EXPECT_EQ(run_program({"info", "gguf", file}).out, expected.out);
  EXPECT_EQ(run_program({"info", "-m", file}).out, expected.out);
}

}  // namespace
}  // namespace mistral::test
