// Hugging Face folders of golden/text: logits, greedy continuations, batches, prompts and chats.
#include "models/golden_case.h"

namespace mistral::test {
namespace {

// Runs `check` on every case.
template <typename Check>
void each_case(Check check) {
  int ran = 0;
  for (const auto& folder : case_folders("text")) {
    SCOPED_TRACE(folder.filename().string());
    ModelRunner runner(models::locate(folder));
    check(folder, runner);
    ++ran;
  }
  EXPECT_GE(ran, 10);
}

void expect_greedy(const std::vector<TokenId>& actual, const Expected& expected) {
  const std::vector<TokenId> ids = expected.ids("greedy_ids");
  // Where rope scaling changes on the way, keys that are cached stay as they are.
  if (expected.has("greedy_ids_keepcache") && actual != ids) {
    EXPECT_EQ(actual, expected.ids("greedy_ids_keepcache"));
  } else {
    EXPECT_EQ(actual, ids);
  }
}

TEST(GoldenText, LogitsAndGreedyIds) {
  each_case([](const std::filesystem::path& folder, ModelRunner& runner) {
    const Json description = read_json(folder / "case.json");
    const Expected expected(folder / "expected.safetensors");
    const std::vector<Logits> logits = runner.prefill({expected.ids("input_ids")});
    const Difference d = difference(logits[0], expected.rows("logits"));
    EXPECT_LE(d.max_abs, description.at("atol").get<double>());
    const auto count = static_cast<int>(expected.ids("greedy_ids").size());
    expect_greedy(runner.greedy(logits, count)[0], expected);
  });
}

TEST(GoldenText, BatchesOfDifferentLengths) {
  int ran = 0;
  each_case([&](const std::filesystem::path& folder, ModelRunner& runner) {
    if (!std::filesystem::exists(folder / "expected_batch.safetensors")) return;
    ++ran;
    const double atol = read_json(folder / "case.json").at("atol").get<double>();
    const Expected expected(folder / "expected_batch.safetensors");
    std::vector<std::vector<TokenId>> prompts;
    std::vector<std::vector<TokenId>> greedy;
    for (int i = 0; expected.has("ids_" + std::to_string(i)); ++i) {
      prompts.push_back(expected.ids("ids_" + std::to_string(i)));
      greedy.push_back(expected.ids("greedy_ids_" + std::to_string(i)));
    }
    const std::vector<Logits> logits = runner.prefill(prompts);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const Logits last = {logits[i].back()};
      EXPECT_LE(difference(last, expected.rows("last_logits_" + std::to_string(i))).max_abs, atol);
    }
    EXPECT_EQ(runner.greedy(logits, static_cast<int>(greedy[0].size())), greedy);
  });
  EXPECT_GE(ran, 1);
}

TEST(GoldenText, PromptsAndChats) {
  each_case([](const std::filesystem::path& folder, ModelRunner& runner) {
    const Json text = read_json(folder / "text.json");
    const models::LoadedModel& model = runner.loaded();
    ASSERT_NE(model.tokenizer, nullptr) << model.tokenizer_problem;
    EXPECT_EQ(model.tokenizer->encode(text.at("prompt").get<std::string>()),
              Expected(folder / "expected.safetensors").ids("input_ids"));
    ASSERT_TRUE(model.chat_template.has_value()) << model.chat_template_problem;
    const Json& chat = text.at("chat");
    Json context = {{"messages", chat.at("messages")},
                    {"add_generation_prompt", chat.value("add_generation_prompt", true)}};
    if (const auto bos = model.tokenizer->bos())
      context["bos_token"] = model.tokenizer->token(*bos);
    if (const auto eos = model.tokenizer->eos())
      context["eos_token"] = model.tokenizer->token(*eos);
    const std::string rendered = model.chat_template->render(context);
    EXPECT_EQ(rendered, chat.at("rendered").get<std::string>());
    const auto ids = chat.at("ids").get<std::vector<TokenId>>();
    EXPECT_EQ(model.tokenizer->encode(rendered, {.add_special = false, .parse_special = true}),
              ids);
    const auto greedy = chat.at("greedy_ids").get<std::vector<TokenId>>();
    EXPECT_EQ(runner.greedy(runner.prefill({ids}), static_cast<int>(greedy.size()))[0], greedy);
  });
}

// bf16 and f16 storage of f32 weights stays close.
TEST(GoldenText, NarrowStorage) {
  for (const auto& folder : case_folders("text")) {
    if (folder.filename().string().starts_with("format-")) continue;  // are narrow themselves
    SCOPED_TRACE(folder.filename().string());
    const Expected expected(folder / "expected.safetensors");
    const Json description = read_json(folder / "case.json");
    const double deviation = description.at("logit_std").get<double>();
    for (const auto dtype : {models::ComputeDType::kF16, models::ComputeDType::kBF16}) {
      // Weights rounded to 8 bits choose other experts where the choice is closer than that.
      if (dtype == models::ComputeDType::kBF16 &&
          description.value("routing_smallest_margin", 1.0) < 0x1p-9) {
        continue;
      }
      ModelRunner runner(models::locate(folder), 1, dtype);
      const Difference d =
          difference(runner.prefill({expected.ids("input_ids")})[0], expected.rows("logits"));
      EXPECT_LE(d.rms, 0.05 * deviation);
      EXPECT_GT(d.max_abs, 0.0);
    }
  }
}

// Narrow caches stay close, and the narrower the less memory.
TEST(GoldenText, NarrowCache) {
  int ran = 0;
  for (const auto& folder : case_folders("text")) {
    if (folder.filename() != "llama-plain" && folder.filename() != "gemma3-text") continue;
    SCOPED_TRACE(folder.filename().string());
    const std::vector<TokenId> ids = Expected(folder / "expected.safetensors").ids("input_ids");
    const double deviation = read_json(folder / "case.json").at("logit_std").get<double>();
    const auto run = [&](ops::CacheDType dtype, std::int64_t& block_bytes) {
      ModelRunner runner(models::locate(folder), 1, models::ComputeDType::kAuto, dtype);
      block_bytes = runner.model().cache_groups()[0].bytes_per_block;
      return runner.prefill({ids})[0];
    };
    std::int64_t full_bytes = 0;
    const Logits full = run(ops::CacheDType::kF32, full_bytes);
    for (const auto& [dtype, error] :
         {std::pair(ops::CacheDType::kF16, 0.002), std::pair(ops::CacheDType::kBF16, 0.02),
          std::pair(ops::CacheDType::kQ8, 0.03)}) {
      SCOPED_TRACE(ops::name(dtype));
      std::int64_t bytes = 0;
      const Difference d = difference(run(dtype, bytes), full);
      EXPECT_LE(d.rms, error * deviation);
      EXPECT_GT(d.max_abs, 0.0);
      EXPECT_LE(bytes, full_bytes / 2);
    }
    ++ran;
  }
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace mistral::test
