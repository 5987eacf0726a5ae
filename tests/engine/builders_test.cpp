// Builders of models and requests: what they set, and models that they load.
#include "mistral/builders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "golden_dir.h"

namespace mistral {
namespace {

using testing::HasSubstr;

std::string golden(const std::string& path) {
  return (test::golden_dir() / path).string();
}

TEST(Builders, SetTheOptionsOfTheirModel) {
  const ModelOptions options = GgmlModelBuilder("folder", "model.bin")
                                   .with_gqa(8)
                                   .with_tok_model_id("tokens")
                                   .with_prompt_batchsize(64)
                                   .with_chat_template("chatml")
                                   .with_tokenizer_json("t.json")
                                   .with_token_source("none")
                                   .with_hf_revision("v1")
                                   .with_max_num_seqs(3)
                                   .with_no_kv_cache()
                                   .with_prefix_cache_n(std::nullopt)
                                   .with_truncate_sequence()
                                   .with_throughput_logging()
                                   .with_context_length(512)
                                   .with_threads(2)
                                   .with_kv_cache_dtype("q8")
                                   .with_draft_model("draft", 5)
                                   .with_force_cpu()
                                   .options();
  EXPECT_EQ(options.kind, ModelKind::kGgml);
  EXPECT_EQ(options.path, "folder");
  EXPECT_EQ(options.files, std::vector<std::string>{"model.bin"});
  EXPECT_EQ(options.gqa, 8);
  EXPECT_EQ(options.tokenizer_model, "tokens");
  EXPECT_EQ(options.prefill_chunk, 64);
  EXPECT_EQ(options.chat_template, "chatml");
  EXPECT_EQ(options.tokenizer_json, "t.json");
  EXPECT_EQ(options.token_source, "none");
  EXPECT_EQ(options.revision, "v1");
  EXPECT_EQ(options.max_sequences, 3);
  EXPECT_TRUE(options.no_kv_cache);
  EXPECT_EQ(options.prefix_cache_sequences, 0);
  EXPECT_TRUE(options.truncate_prompts);
  EXPECT_TRUE(options.log_throughput);
  EXPECT_EQ(options.log_level, "info");
  EXPECT_EQ(options.context_length, 512);
  EXPECT_EQ(options.threads, 2);
  EXPECT_EQ(options.kv_cache_dtype, "q8");
  EXPECT_EQ(options.draft_model, "draft");
  EXPECT_EQ(options.draft_tokens, 5);
  const ModelOptions plain =
      TextModelBuilder("org/name").with_loader_type("llama").with_dtype("f16").options();
  EXPECT_EQ(plain.kind, ModelKind::kPlain);
  EXPECT_EQ(plain.architecture, "llama");
  EXPECT_EQ(plain.dtype, "f16");
}

TEST(Builders, TheLastSizeOfTheCacheCounts) {
  const auto with = [](const auto& memory) {
    return PagedAttentionMetaBuilder().with_block_size(8).with_gpu_memory(memory).build();
  };
  GgufModelBuilder builder("folder");
  EXPECT_EQ(builder.with_paged_attn(with(Amount{100})).options().kv_cache_mib, 100);
  EXPECT_EQ(builder.with_paged_attn(with(ContextSize{300})).options().kv_cache_tokens, 300);
  const ModelOptions options = builder.with_paged_attn(with(Utilization{0.5})).options();
  EXPECT_EQ(options.memory_usage, 0.5);
  EXPECT_EQ(options.kv_cache_mib, 0);
  EXPECT_EQ(options.kv_cache_tokens, 0);
  EXPECT_EQ(options.kv_block_size, 8);
}

TEST(Builders, SetARequest) {
  TextMessages messages;
  messages.add_message(Role::kSystem, "dropped").clear().add_message(Role::kTool, "a");
  const ChatRequest request = RequestBuilder(messages)
                                  .add_message("critic", "b")
                                  .set_tools("[]")
                                  .set_template_variables("{}")
                                  .set_deterministic_sampler()
                                  .set_sampler_temperature(0.5)
                                  .set_sampler_topk(3)
                                  .set_sampler_topp(0.25)
                                  .set_sampler_minp(0.125)
                                  .set_sampler_topn_logprobs(2)
                                  .set_sampler_frequency_penalty(0.75)
                                  .set_sampler_presence_penalty(0.5)
                                  .set_sampler_stop_toks({"x"})
                                  .set_sampler_max_len(9)
                                  .set_sampler_logits_bias({{1, 2.0}})
                                  .set_sampler_n_choices(4)
                                  .set_sampler_dry_params(0.8, 1.5, 3)
                                  .set_seed(7)
                                  .return_logprobs(true)
                                  .build();
  ASSERT_EQ(request.messages.size(), 2U);
  EXPECT_EQ(request.messages[0].role, "tool");
  EXPECT_EQ(request.messages[1].role, "critic");
  EXPECT_EQ(request.options.tools, "[]");
  EXPECT_EQ(request.options.variables, "{}");
  EXPECT_EQ(request.choices, 4);
  const SamplingParams& s = request.sampling;
  EXPECT_EQ(s.temperature, 0.5);
  EXPECT_EQ(s.top_k, 3);
  EXPECT_EQ(s.top_p, 0.25);
  EXPECT_EQ(s.min_p, 0.125);
  EXPECT_EQ(s.top_logprobs, 2);
  EXPECT_EQ(s.frequency_penalty, 0.75);
  EXPECT_EQ(s.presence_penalty, 0.5);
  EXPECT_EQ(s.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(s.max_tokens, 9);
  EXPECT_EQ(s.logit_bias.size(), 1U);
  EXPECT_EQ(s.dry_multiplier, 0.8);
  EXPECT_EQ(s.dry_base, 1.5);
  EXPECT_EQ(s.dry_allowed_length, 3);
  EXPECT_EQ(s.seed, 7U);
  EXPECT_TRUE(s.logprobs);
}

TEST(Builders, AnswersOfARequestAreAsManyAsAskedFor) {
  Model model = TextModelBuilder(golden("text/llama-plain")).with_threads(2).build();
  const RequestBuilder request = RequestBuilder()
                                     .add_message(Role::kUser, "hello")
                                     .set_sampler_temperature(1.0)
                                     .set_sampler_max_len(8)
                                     .set_sampler_n_choices(3)
                                     .set_seed(5);
  const std::vector<Response> responses = model.send(request.build());
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_NE(responses[0].tokens, responses[1].tokens);
  EXPECT_NE(responses[1].tokens, responses[2].tokens);
  EXPECT_EQ(model.send(request.build())[2].tokens, responses[2].tokens);
}

TEST(Builders, GgufFilesAreNamed) {
  const std::string folder = golden("quant/gguf/llama-bpe");
  const Model model = GgufModelBuilder(folder, {"model-F16.gguf"}).with_threads(1).build();
  EXPECT_EQ(model.info().architecture, "llama");
}

// One line that names the option or the file.
TEST(Builders, WrongModelsAreRefused) {
  const auto message = [](const auto& builder) {
    try {
      (void)builder.build();
    } catch (const Exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(GgufModelBuilder(golden("text"), {"none.gguf"})), HasSubstr("none.gguf"));
  EXPECT_THAT(message(TextModelBuilder(golden("text/none"))), HasSubstr("text/none"));
  EXPECT_THAT(message(TextModelBuilder(golden("text/llama-plain")).with_max_num_seqs(0)),
              HasSubstr("max_sequences: 0"));
  EXPECT_THAT(message(TextModelBuilder(golden("text/llama-plain"))
                          .with_paged_attn({.memory = Utilization{1.5}})),
              HasSubstr("memory_usage: 1.5"));
  EXPECT_THAT(message(GgmlModelBuilder("folder", "file").with_gqa(0)), HasSubstr("file"));
}

}  // namespace
}  // namespace mistral
