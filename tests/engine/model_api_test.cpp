// The public C++ API over whole models: golden/text/*.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/json.h"
#include "formats/safetensors.h"
#include "golden_dir.h"
#include "mistral/model.h"
#include "temporary_folder.h"

namespace mistral {
namespace {

namespace fs = std::filesystem;

// Folders with a model of this program's formats. Architectures that are not read are the concern
// of the tests of models.
std::vector<fs::path> model_folders() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(test::golden_dir() / "text")) {
    const fs::path& folder = entry.path();
    const std::string name = folder.filename().string();
    if (fs::exists(folder / "text.json") && name.starts_with("llama-")) folders.push_back(folder);
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

Json text_of(const fs::path& folder) {
  std::ifstream file(folder / "text.json");
  return Json::parse(file);
}

std::vector<Message> messages_of(const Json& golden) {
  std::vector<Message> messages;
  for (const Json& message : golden.at("chat").at("messages")) {
    messages.push_back(
        {message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  }
  return messages;
}

ModelOptions options_for(const fs::path& folder) {
  return {.path = folder.string(), .threads = 2, .context_length = 256, .kv_cache_tokens = 4096};
}

// Special tokens of the model llama-plain.
constexpr const char* kMarkA = "<|start_header_id|>";
constexpr const char* kMarkB = "<|end_header_id|>";
constexpr const char* kMarkC = "<|eot_id|>";
constexpr const char* kMarkD = "<|end_of_text|>";

std::vector<TokenId> ids_of(const fs::path& folder, const std::string& name) {
  const auto file = formats::SafetensorsFile::open({folder / "expected.safetensors"});
  const std::span<const std::byte> data = file->require(name).view.data;
  std::vector<std::int64_t> wide(data.size() / sizeof(std::int64_t));
  std::memcpy(wide.data(), data.data(), data.size());
  return {wide.begin(), wide.end()};
}

// Decoders with byte fallback replace all bytes of a broken run, which a stream cannot know in
// time.
bool decodes_byte_by_byte(const fs::path& folder) {
  std::ifstream file(folder / "tokenizer.json");
  return Json::parse(file).at("decoder").at("type") == "ByteLevel";
}

TEST(ModelApi, GoldenAnswers) {
  const std::vector<fs::path> folders = model_folders();
  ASSERT_FALSE(folders.empty());
  int texts = 0;
  for (const fs::path& folder : folders) {
    SCOPED_TRACE(folder.filename().string());
    const Json golden = text_of(folder);
    Model model = Model::load(options_for(folder));
    EXPECT_TRUE(model.info().has_chat_template);
    EXPECT_GT(model.info().parameters, 0);

    SamplingParams greedy;
    greedy.ignore_eos = true;
    greedy.max_tokens = 16;
    const auto prompt = golden.at("prompt").get<std::string>();
    EXPECT_EQ(model.tokenize(prompt), ids_of(folder, "input_ids"));
    std::string streamed;
    const Response completed = model.complete(prompt, greedy, [&](const Chunk& chunk) {
      streamed += chunk.text;
      return true;
    });
    EXPECT_EQ(completed.tokens, ids_of(folder, "greedy_ids"));
    EXPECT_EQ(completed.text, streamed);
    if (decodes_byte_by_byte(folder)) {
      EXPECT_EQ(completed.text, golden.at("greedy_text").get<std::string>());
      ++texts;
    }
    EXPECT_EQ(completed.finish_reason, FinishReason::kLength);
    EXPECT_EQ(model.complete(model.tokenize(prompt), greedy).tokens, completed.tokens);

    greedy.max_tokens = 8;
    const Response chatted = model.chat(messages_of(golden), greedy);
    EXPECT_EQ(chatted.tokens, golden.at("chat").at("greedy_ids").get<std::vector<TokenId>>());
    EXPECT_EQ(chatted.usage.prompt_tokens,
              static_cast<std::int64_t>(golden.at("chat").at("ids").size()));
  }
  EXPECT_GT(texts, 0);
}

// A copy of llama-plain whose special tokens have other names and whose template prints
// `prompt`.
void copy_with_marks(const std::map<std::string, std::string>& names, const std::string& prompt,
                     const fs::path& target) {
  for (const auto& entry : fs::directory_iterator(test::golden_dir() / "text/llama-plain")) {
    const fs::path copy = target / entry.path().filename();
    if (entry.path().extension() != ".json") {
      fs::copy_file(entry.path(), copy);
      continue;
    }
    std::ifstream in(entry.path());
    std::string text((std::istreambuf_iterator<char>(in)), {});
    for (const auto& [old_name, name] : names) {
      for (std::size_t at = 0; (at = text.find(old_name, at)) != std::string::npos;) {
        text.replace(at, old_name.size(), name);
      }
    }
    if (copy.filename() == "tokenizer_config.json") {
      Json config = Json::parse(text);
      config["chat_template"] = prompt;
      text = config.dump();
    }
    std::ofstream(copy) << text;
  }
}

// Makes the model say `answer`, in which no token comes twice: biases order the tokens, and the
// penalty takes away those that have been said.
SamplingParams dictated(const std::vector<TokenId>& answer, const std::vector<TokenId>& prompt) {
  SamplingParams sampling;
  sampling.ignore_eos = true;
  sampling.max_tokens = static_cast<std::int64_t>(answer.size());
  sampling.frequency_penalty = 1e5;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    const auto said = std::count(prompt.begin(), prompt.end(), answer[i]);
    sampling.logit_bias.emplace_back(
        answer[i], 1e5 * static_cast<double>(said) + 100.0 * static_cast<double>(50 - i));
  }
  return sampling;
}

struct Streamed {
  std::string text;
  std::string reasoning;
  std::string content;
  std::vector<std::string> order;  // "r:…" and "c:…" as they came
};

Streamed stream_chat(Model& model, const SamplingParams& sampling) {
  Streamed streamed;
  const Response response = model.chat({{"user", "x"}}, sampling, [&](const Chunk& chunk) {
    streamed.text += chunk.text;
    streamed.reasoning += chunk.reasoning;
    streamed.content += chunk.content;
    if (!chunk.reasoning.empty()) streamed.order.push_back("r:" + std::string(chunk.reasoning));
    if (!chunk.content.empty()) streamed.order.push_back("c:" + std::string(chunk.content));
    return true;
  });
  EXPECT_EQ(response.text, streamed.text);
  EXPECT_EQ(response.reasoning, streamed.reasoning);
  EXPECT_EQ(response.content, streamed.content);
  return streamed;
}

std::vector<TokenId> ids_of_pieces(const Model& model, const std::vector<std::string>& pieces) {
  std::vector<TokenId> ids;
  for (const std::string& piece : pieces) {
    const std::vector<TokenId> found = model.tokenize(piece, /*add_special=*/false);
    EXPECT_EQ(found.size(), 1U) << piece;
    ids.insert(ids.end(), found.begin(), found.end());
  }
  return ids;
}

TEST(ModelApi, ReasoningInTagsStreamsApartFromTheAnswer) {
  const test::TemporaryFolder folder;
  const std::string prompt = "?";
  copy_with_marks({{kMarkA, "<think>"}, {kMarkB, "</think>"}}, prompt + "{# </think> #}",
                  folder.path());
  Model model = Model::load(options_for(folder.path()));
  const auto say = [&](const std::vector<std::string>& pieces) {
    return stream_chat(model, dictated(ids_of_pieces(model, pieces), model.tokenize(prompt)));
  };
  const Streamed both = say({"<think>", "a", "b", "</think>", "C", "D"});
  EXPECT_EQ(both.text, "<think>ab</think>CD");
  EXPECT_EQ(both.order, (std::vector<std::string>{"r:a", "r:b", "c:C", "c:D"}));
  const Streamed none = say({"C", "D"});
  EXPECT_EQ(none.order, (std::vector<std::string>{"c:C", "c:D"}));
  // What might become a mark is held back, and comes with the last piece.
  const Streamed held = say({"<think>", "a", "<"});
  EXPECT_EQ(held.order, (std::vector<std::string>{"r:a", "r:<"}));
  EXPECT_EQ(say({"<"}).content, "<");

  SamplingParams sampling =
      dictated(ids_of_pieces(model, {"<think>", "a", "b", "C"}), model.tokenize(prompt));
  const Response completed = model.complete(prompt, sampling, [](const Chunk& chunk) {
    EXPECT_EQ(chunk.reasoning, "");
    EXPECT_EQ(chunk.content, "");
    return true;
  });
  EXPECT_EQ(completed.text, "<think>abC");
}

TEST(ModelApi, ReasoningOpenedByThePromptStreamsAsReasoning) {
  const test::TemporaryFolder folder;
  const std::string prompt = "?<think>";
  copy_with_marks({{kMarkA, "<think>"}, {kMarkB, "</think>"}}, prompt + "{# </think> #}",
                  folder.path());
  Model model = Model::load(options_for(folder.path()));
  const Streamed streamed = stream_chat(
      model, dictated(ids_of_pieces(model, {"a", "</think>", "C"}), model.tokenize(prompt)));
  EXPECT_EQ(streamed.order, (std::vector<std::string>{"r:a", "c:C"}));
}

TEST(ModelApi, ChannelsStreamApart) {
  const test::TemporaryFolder folder;
  const std::string prompt = "<|start|>assistant<|channel|>analysis<|message|>";
  copy_with_marks({{kMarkA, "<|channel|>"},
                   {kMarkB, "<|message|>"},
                   {kMarkC, "<|end|>"},
                   {kMarkD, "<|start|>"}},
                  prompt, folder.path());
  Model model = Model::load(options_for(folder.path()));
  const std::vector<std::string> pieces = {"X", "Y", "<|end|>", "<|start|>", "<|channel|>", "f",
                                           "i", "n", "a",       "l",         "<|message|>", "C",
                                           "D"};
  const Streamed streamed =
      stream_chat(model, dictated(ids_of_pieces(model, pieces), model.tokenize(prompt)));
  EXPECT_EQ(streamed.text, "XY<|end|><|start|><|channel|>final<|message|>CD");
  EXPECT_EQ(streamed.order, (std::vector<std::string>{"r:X", "r:Y", "c:C", "c:D"}));
}

TEST(ModelApi, ManyThreadsGetTheAnswersOfOne) {
  const fs::path folder = model_folders().at(0);
  const Json golden = text_of(folder);
  ModelOptions options = options_for(folder);
  options.kv_cache_tokens = 512;  // too few for all at once
  options.prefill_chunk = 16;
  Model model = Model::load(options);
  SamplingParams greedy;
  greedy.ignore_eos = true;
  greedy.max_tokens = 8;
  const auto expected = golden.at("chat").at("greedy_ids").get<std::vector<TokenId>>();
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&] {
      for (int i = 0; i < 3; ++i) {
        if (model.chat(messages_of(golden), greedy).tokens != expected) ++wrong;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ModelApi, CallbacksCancel) {
  const fs::path folder = model_folders().at(0);
  ModelOptions options = options_for(folder);
  options.context_length = 100'000;  // long enough to be still running when it is cancelled
  options.kv_cache_tokens = 100'000;
  Model model = Model::load(options);
  SamplingParams endless;
  endless.ignore_eos = true;
  int chunks = 0;
  const Response response =
      model.complete("Some letter", endless, [&](const Chunk&) { return ++chunks < 3; });
  EXPECT_EQ(response.finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(chunks, 3);
  struct Mine {};
  EXPECT_THROW(
      (void)model.complete("Some letter", endless, [](const Chunk&) -> bool { throw Mine(); }),
      Mine);
  endless.max_tokens = 2;
  EXPECT_EQ(model.complete("Some letter", endless).tokens.size(), 2U);
}

TEST(ModelApi, LogProbabilitiesAndProcessorsReachTheCaller) {
  Model model = Model::load(options_for(model_folders().at(0)));
  SamplingParams sampling;
  sampling.ignore_eos = true;
  sampling.max_tokens = 6;
  const Response plain = model.complete("Some letter", sampling);
  EXPECT_TRUE(plain.logprobs.empty());
  sampling.top_logprobs = 3;
  std::vector<TokenLogprobs> streamed;
  const Response response = model.complete("Some letter", sampling, [&](const Chunk& chunk) {
    EXPECT_EQ(chunk.logprobs != nullptr, chunk.token >= 0);
    if (chunk.logprobs != nullptr) streamed.push_back(*chunk.logprobs);
    return true;
  });
  EXPECT_EQ(response.tokens, plain.tokens);
  ASSERT_EQ(response.logprobs.size(), response.tokens.size());
  ASSERT_EQ(streamed.size(), response.tokens.size());
  for (std::size_t i = 0; i < response.tokens.size(); ++i) {
    EXPECT_EQ(response.logprobs[i].chosen.token, response.tokens[i]);
    ASSERT_EQ(response.logprobs[i].top.size(), 3U);
    EXPECT_EQ(response.logprobs[i].top[0].token, response.tokens[i]);  // greedy
    EXPECT_LE(response.logprobs[i].chosen.logprob, 0);
    EXPECT_EQ(streamed[i].chosen.logprob, response.logprobs[i].chosen.logprob);
  }
  sampling.logits_processors.push_back(
      [](std::span<const TokenId>, std::span<float> logits) { logits[5] = 1e6F; });
  EXPECT_EQ(model.complete("Some letter", sampling).tokens, std::vector<TokenId>(6, 5));
}

TEST(ModelApi, FailuresAreExceptionsThatNameTheirCause) {
  const fs::path folder = model_folders().at(0);
  const auto failure = [](const auto& work) {
    try {
      work();
    } catch (const Exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(failure([] { (void)Model::load({.path = "/no/such/model"}); }).find("/no/such/model"),
            std::string::npos);
  ModelOptions options = options_for(folder);
  options.dtype = "f99";
  EXPECT_NE(failure([&] { (void)Model::load(options); }).find("f99"), std::string::npos);
  options = options_for(folder);
  options.kv_block_size = 7;
  EXPECT_NE(failure([&] { (void)Model::load(options); }).find("kv_block_size"), std::string::npos);
  options = options_for(folder);
  options.kv_cache_dtype = "q4";
  EXPECT_NE(failure([&] { (void)Model::load(options); }).find("auto, f32, f16, bf16 or q8"),
            std::string::npos);
  options = options_for(folder);
  options.max_sequences = 0;
  EXPECT_NE(failure([&] { (void)Model::load(options); }).find("max_sequences"), std::string::npos);
  options.max_sequences = 1;
  options.threads = -1;
  EXPECT_NE(failure([&] { (void)Model::load(options); }).find("threads"), std::string::npos);

  Model model = Model::load(options_for(folder));
  EXPECT_NE(failure([&] { (void)model.complete(std::vector<TokenId>{}); }).find("prompt"),
            std::string::npos);
  EXPECT_NE(failure([&] { (void)model.chat({}); }).find("messages"), std::string::npos);
  SamplingParams bad;
  bad.max_tokens = 0;
  EXPECT_NE(failure([&] { (void)model.complete("x", bad); }).find("max_tokens"), std::string::npos);
}

TEST(ModelApi, TextGoesToTokensAndBack) {
  const fs::path folder = model_folders().at(0);
  Model model = Model::load(options_for(folder));
  const std::string text = "Some slow letter, café!";
  EXPECT_EQ(model.detokenize(model.tokenize(text, /*add_special=*/false)), text);
}

TEST(ModelApi, ReasonsHaveNames) {
  EXPECT_STREQ(to_string(FinishReason::kStop), "stop");
  EXPECT_STREQ(to_string(FinishReason::kLength), "length");
  EXPECT_STREQ(to_string(FinishReason::kCancelled), "canceled");
  EXPECT_STREQ(to_string(FinishReason::kError), "error");
}

TEST(ModelApi, AnswersGoOnByThemselves) {
  Model model = Model::load(options_for(model_folders().front()));
  const std::vector<TokenId> prompt = model.tokenize("hello world");
  SamplingParams sampling;
  sampling.max_tokens = 12;
  sampling.ignore_eos = true;
  const Response wanted = model.complete(prompt, sampling);
  Generation read = model.start(prompt, sampling);
  Generation unread = model.start("hello world", sampling);
  std::string text;
  std::vector<TokenId> tokens;
  while (const std::optional<Chunk> chunk = read.next()) {
    text += chunk->text;
    if (chunk->token >= 0) tokens.push_back(chunk->token);
  }
  EXPECT_FALSE(read.next());
  EXPECT_EQ(text, wanted.text);
  EXPECT_EQ(tokens, wanted.tokens);
  EXPECT_EQ(read.wait().tokens, wanted.tokens);
  EXPECT_EQ(unread.wait().text, wanted.text);

  sampling.max_tokens.reset();
  Generation cancelled = model.start(prompt, sampling);
  (void)cancelled.next();
  std::thread([&cancelled] { cancelled.cancel(); }).join();
  EXPECT_EQ(cancelled.wait().finish_reason, FinishReason::kCancelled);
  { const Generation dropped = model.start(prompt, sampling); }
  const ModelStats stats = model.stats();
  EXPECT_EQ(stats.requests, 5);
  EXPECT_GT(stats.kv_cache_bytes, 0);
  EXPECT_GE(stats.completion_tokens, 36);
}

TEST(ModelApi, ManyAnswersAndTheBestOfThem) {
  Model model = Model::load(options_for(model_folders().front()));
  const std::vector<TokenId> prompt = model.tokenize("hello world");
  SamplingParams sampling;
  sampling.max_tokens = 6;
  sampling.temperature = 1.0;
  sampling.seed = 3;
  std::vector<Generation> generations = model.start(prompt, sampling, 4);
  std::vector<Response> all;
  for (Generation& generation : generations) all.push_back(generation.wait());
  for (const Response& response : all) {
    EXPECT_EQ(response.tokens, model.complete(prompt, sampling).tokens);
    ++*sampling.seed;
  }
  sampling.seed = 3;
  const std::vector<Response> best = model.best(prompt, sampling, 2, 4);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_TRUE(best[0].logprobs.empty());
  sampling.logprobs = true;
  const auto mean = [](const Response& response) {
    double sum = 0;
    for (const TokenLogprobs& token : response.logprobs) sum += token.chosen.logprob;
    return sum / static_cast<double>(response.logprobs.size());
  };
  std::vector<double> means;
  for (Generation& generation : model.start(prompt, sampling, 4)) {
    means.push_back(mean(generation.wait()));
  }
  std::sort(means.rbegin(), means.rend());
  const std::vector<Response> again = model.best(prompt, sampling, 2, 4);
  EXPECT_EQ(mean(again[0]), means[0]);
  EXPECT_EQ(mean(again[1]), means[1]);
  EXPECT_EQ(again[0].tokens, best[0].tokens);
  EXPECT_THROW((void)model.best(prompt, sampling, 3, 2), Exception);
  EXPECT_THROW((void)model.start(prompt, sampling, 0), Exception);
}

TEST(ModelApi, GuessesAndStepsWithoutACacheChangeNothing) {
  const fs::path folder = model_folders().front();
  SamplingParams sampling;
  sampling.max_tokens = 40;
  sampling.ignore_eos = true;
  Model plain = Model::load(options_for(folder));
  const std::vector<TokenId> prompt = plain.tokenize("hello world hello world");
  const Response wanted = plain.complete(prompt, sampling);
  for (const int how : {0, 1, 2}) {
    ModelOptions options = options_for(folder);
    if (how == 0) options.draft_model = folder.string();
    if (how == 1) options.ngram_drafts = true;
    if (how == 2) options.no_kv_cache = true;
    Model model = Model::load(options);
    EXPECT_EQ(model.complete(prompt, sampling).tokens, wanted.tokens) << how;
    if (how == 0) {
      EXPECT_GT(model.stats().drafted_tokens, 0);
      EXPECT_EQ(model.stats().accepted_tokens, model.stats().drafted_tokens);
    }
  }
  ModelOptions options = options_for(folder);
  options.draft_tokens = 0;
  EXPECT_THROW((void)Model::load(options), Exception);
}

}  // namespace
}  // namespace mistral
