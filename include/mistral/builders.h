// Models and requests put together step by step:
//
//   mistral::Model model = mistral::GgufModelBuilder("models", {"model-Q4_K_M.gguf"})
//                              .with_max_num_seqs(8)
//                              .with_paged_attn(mistral::PagedAttentionMetaBuilder()
//                                                   .with_gpu_memory(mistral::ContextSize{8192})
//                                                   .build())
//                              .build();
//   mistral::Response answer = model.send(mistral::RequestBuilder()
//                                             .add_message(mistral::Role::kUser, "Hello")
//                                             .set_sampler_max_len(100)
//                                             .build())
//                                  .front();
//
// Setters return their builder; the last one counts. build() of a model throws Exception.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mistral/model.h"

namespace mistral {

// The size of the KV cache.
struct Amount {
  std::int64_t mebibytes;
};
struct Utilization {
  double share;  // of all memory that is in use when the cache is full, 0 to 1
};
struct ContextSize {
  std::int64_t tokens;
};

struct PagedAttentionConfig {
  std::int32_t block_size = 32;  // tokens: 8, 16 or 32
  // None: a quarter of the memory that is free.
  std::optional<std::variant<Amount, Utilization, ContextSize>> memory = std::nullopt;
};

class PagedAttentionMetaBuilder {
 public:
  PagedAttentionMetaBuilder& with_block_size(std::int32_t tokens) {
    config_.block_size = tokens;
    return *this;
  }
  PagedAttentionMetaBuilder& with_gpu_memory(
      const std::variant<Amount, Utilization, ContextSize>& memory) {
    config_.memory = memory;
    return *this;
  }
  [[nodiscard]] PagedAttentionConfig build() const { return config_; }

 private:
  PagedAttentionConfig config_;
};

// What all builders of models set.
template <class Builder>
class ModelBuilder {
 public:
  // Most prompt tokens computed in one step.
  Builder& with_prompt_batchsize(std::int32_t tokens) {
    options_.prefill_chunk = tokens;
    return self();
  }
  // A known format's name, a file (.jinja, .json), or the template itself.
  Builder& with_chat_template(std::string source) {
    options_.chat_template = std::move(source);
    return self();
  }
  Builder& with_tokenizer_json(std::string path) {
    options_.tokenizer_json = std::move(path);
    return self();
  }
  // literal:TOKEN, env:NAME, path:FILE, cache or none.
  Builder& with_token_source(std::string source) {
    options_.token_source = std::move(source);
    return self();
  }
  Builder& with_hf_revision(std::string revision) {
    options_.revision = std::move(revision);
    return self();
  }
  Builder& with_paged_attn(const PagedAttentionConfig& config);
  Builder& with_max_num_seqs(std::int32_t sequences) {
    options_.max_sequences = sequences;
    return self();
  }
  Builder& with_no_kv_cache() {
    options_.no_kv_cache = true;
    return self();
  }
  // Sequences that ended whose tokens stay in the cache; none: no prefix cache.
  Builder& with_prefix_cache_n(std::optional<std::int64_t> sequences) {
    options_.prefix_cache_sequences = sequences.value_or(0);
    return self();
  }
  // Messages of level info are shown on standard error, too.
  Builder& with_logging() {
    options_.log_level = "info";
    return self();
  }
  Builder& with_throughput_logging() {
    options_.log_throughput = true;
    return with_logging();
  }
  Builder& with_truncate_sequence() {
    options_.truncate_prompts = true;
    return self();
  }
  // Models run on the processor, so this changes nothing yet.
  Builder& with_force_cpu() { return self(); }

  Builder& with_context_length(std::int64_t tokens) {
    options_.context_length = tokens;
    return self();
  }
  Builder& with_threads(std::int32_t threads) {
    options_.threads = threads;
    return self();
  }
  Builder& with_kv_cache_dtype(std::string dtype) {
    options_.kv_cache_dtype = std::move(dtype);
    return self();
  }
  // Speculative decoding: a smaller model with the same vocabulary guesses up to `tokens` tokens.
  Builder& with_draft_model(std::string path_or_id, std::int32_t tokens = 8) {
    options_.draft_model = std::move(path_or_id);
    options_.draft_tokens = tokens;
    return self();
  }
  // Speculative decoding: guesses come from what was said before.
  Builder& with_ngram_drafts(std::int32_t tokens = 8) {
    options_.ngram_drafts = true;
    options_.draft_tokens = tokens;
    return self();
  }

  [[nodiscard]] const ModelOptions& options() const { return options_; }
  // Loads the model and starts its engine.
  [[nodiscard]] Model build() const { return Model::load(options_); }

 protected:
  ModelBuilder(std::string model_id, ModelKind kind) {
    options_.path = std::move(model_id);
    options_.kind = kind;
  }
  ModelOptions options_;

 private:
  Builder& self() { return static_cast<Builder&>(*this); }
};

// A Hugging Face folder, or the id of a repository.
class TextModelBuilder : public ModelBuilder<TextModelBuilder> {
 public:
  explicit TextModelBuilder(std::string model_id)
      : ModelBuilder(std::move(model_id), ModelKind::kPlain) {}
  // A family's name ("llama", "qwen2", …), before what config.json says.
  TextModelBuilder& with_loader_type(std::string architecture) {
    options_.architecture = std::move(architecture);
    return *this;
  }
  // auto, f32, f16 or bf16: storage of weights that are not quantised.
  TextModelBuilder& with_dtype(std::string dtype) {
    options_.dtype = std::move(dtype);
    return *this;
  }
};

// GGUF files of a folder or of a repository; without files the only model that is there.
class GgufModelBuilder : public ModelBuilder<GgufModelBuilder> {
 public:
  explicit GgufModelBuilder(std::string model_id, std::vector<std::string> files = {})
      : ModelBuilder(std::move(model_id), ModelKind::kGguf) {
    options_.files = std::move(files);
  }
  // Folder or id whose tokenizer and chat template are used.
  GgufModelBuilder& with_tok_model_id(std::string model_id) {
    options_.tokenizer_model = std::move(model_id);
    return *this;
  }
};

// A legacy GGML file of a folder or of a repository.
class GgmlModelBuilder : public ModelBuilder<GgmlModelBuilder> {
 public:
  GgmlModelBuilder(std::string model_id, std::string file)
      : ModelBuilder(std::move(model_id), ModelKind::kGgml) {
    options_.files = {std::move(file)};
  }
  GgmlModelBuilder& with_tok_model_id(std::string model_id) {
    options_.tokenizer_model = std::move(model_id);
    return *this;
  }
  // Query heads for each key-value head, which the file does not say.
  GgmlModelBuilder& with_gqa(std::int64_t heads) {
    options_.gqa = heads;
    return *this;
  }
};

enum class Role { kUser, kAssistant, kSystem, kTool };
[[nodiscard]] const char* to_string(Role role);

// The turns of a chat.
class TextMessages {
 public:
  TextMessages& add_message(Role role, std::string text) {
    return add_message(to_string(role), std::move(text));
  }
  // A role by the name that the template knows.
  TextMessages& add_message(std::string role, std::string text) {
    messages_.push_back({std::move(role), std::move(text)});
    return *this;
  }
  TextMessages& clear() {
    messages_.clear();
    return *this;
  }
  [[nodiscard]] const std::vector<Message>& messages() const { return messages_; }

 private:
  std::vector<Message> messages_;
};

// A chat request. Without settings the answer is greedy.
class RequestBuilder {
 public:
  RequestBuilder() = default;
  explicit RequestBuilder(const TextMessages& messages) { request_.messages = messages.messages(); }

  RequestBuilder& add_message(Role role, std::string text) {
    return add_message(to_string(role), std::move(text));
  }
  RequestBuilder& add_message(std::string role, std::string text) {
    request_.messages.push_back({std::move(role), std::move(text)});
    return *this;
  }
  RequestBuilder& add_logits_processor(LogitsProcessor processor) {
    request_.sampling.logits_processors.push_back(std::move(processor));
    return *this;
  }
  // A JSON list as in the OpenAI API.
  RequestBuilder& set_tools(std::string json) {
    request_.options.tools = std::move(json);
    return *this;
  }
  // Further variables of the chat template, a JSON object.
  RequestBuilder& set_template_variables(std::string json) {
    request_.options.variables = std::move(json);
    return *this;
  }
  RequestBuilder& return_logprobs(bool wanted) {
    request_.sampling.logprobs = wanted;
    return *this;
  }
  // All settings at once; setters after it change single ones.
  RequestBuilder& set_sampling(SamplingParams sampling) {
    request_.sampling = std::move(sampling);
    return *this;
  }
  RequestBuilder& set_deterministic_sampler() { return set_sampling({}); }
  RequestBuilder& set_sampler_temperature(double value) {
    request_.sampling.temperature = value;
    return *this;
  }
  RequestBuilder& set_sampler_topk(std::int32_t value) {
    request_.sampling.top_k = value;
    return *this;
  }
  RequestBuilder& set_sampler_topp(double value) {
    request_.sampling.top_p = value;
    return *this;
  }
  RequestBuilder& set_sampler_minp(double value) {
    request_.sampling.min_p = value;
    return *this;
  }
  RequestBuilder& set_sampler_topn_logprobs(std::int32_t value) {
    request_.sampling.top_logprobs = value;
    return *this;
  }
  RequestBuilder& set_sampler_frequency_penalty(double value) {
    request_.sampling.frequency_penalty = value;
    return *this;
  }
  RequestBuilder& set_sampler_presence_penalty(double value) {
    request_.sampling.presence_penalty = value;
    return *this;
  }
  RequestBuilder& set_sampler_stop_toks(std::vector<std::string> texts) {
    request_.sampling.stop = std::move(texts);
    return *this;
  }
  RequestBuilder& set_sampler_max_len(std::int64_t tokens) {
    request_.sampling.max_tokens = tokens;
    return *this;
  }
  RequestBuilder& set_sampler_logits_bias(std::vector<std::pair<TokenId, double>> bias) {
    request_.sampling.logit_bias = std::move(bias);
    return *this;
  }
  RequestBuilder& set_sampler_n_choices(std::int32_t choices) {
    request_.choices = choices;
    return *this;
  }
  RequestBuilder& set_sampler_dry_params(double multiplier, double base = 1.75,
                                         std::int32_t allowed_length = 2) {
    request_.sampling.dry_multiplier = multiplier;
    request_.sampling.dry_base = base;
    request_.sampling.dry_allowed_length = allowed_length;
    return *this;
  }
  RequestBuilder& set_seed(std::uint64_t seed) {
    request_.sampling.seed = seed;
    return *this;
  }

  [[nodiscard]] ChatRequest build() const { return request_; }

 private:
  ChatRequest request_;
};

template <class Builder>
Builder& ModelBuilder<Builder>::with_paged_attn(const PagedAttentionConfig& config) {
  options_.kv_block_size = config.block_size;
  options_.kv_cache_mib = 0;
  options_.kv_cache_tokens = 0;
  options_.memory_usage = 0;
  if (config.memory) {
    if (const auto* amount = std::get_if<Amount>(&*config.memory)) {
      options_.kv_cache_mib = amount->mebibytes;
    } else if (const auto* usage = std::get_if<Utilization>(&*config.memory)) {
      options_.memory_usage = usage->share;
    } else {
      options_.kv_cache_tokens = std::get<ContextSize>(*config.memory).tokens;
    }
  }
  return self();
}

}  // namespace mistral
