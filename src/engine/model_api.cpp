// The public C++ API: a loaded model, its threads and its engine behind one handle.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/thread_pool.h"
#include "engine/chat.h"
#include "engine/constraints.h"
#include "engine/draft_model.h"
#include "engine/engine.h"
#include "engine/generation_impl.h"
#include "engine/model_drafter.h"
#include "mistral/model.h"
#include "models/fetch.h"
#include "models/loader.h"

namespace mistral {
namespace {

// Inside the project errors are mistral::Error; users of the library see mistral::Exception only.
template <typename Work>
auto translate(Work work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Exception(error.what());
  } catch (const std::bad_alloc&) {
    throw Exception("out of memory");
  } catch (const std::filesystem::filesystem_error& error) {
    throw Exception(error.what());
  }
}

// Programs that use the library own their standard output and want to hear of problems only.
void quiet_log() {
  static const bool done = [] {
    log::set_level("warn");
    return true;
  }();
  (void)done;
}

models::ComputeDType dtype_of(const std::string& name) {
  if (name == "auto") return models::ComputeDType::kAuto;
  if (name == "f32") return models::ComputeDType::kF32;
  if (name == "f16") return models::ComputeDType::kF16;
  if (name == "bf16") return models::ComputeDType::kBF16;
  throw make_error(ErrorKind::kInvalidArgument, "dtype: '{}', expected auto, f32, f16 or bf16",
                   name);
}

// "auto": the loader chooses.
std::optional<ops::CacheDType> cache_dtype_of(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (const auto dtype = ops::cache_dtype(name)) return dtype;
  throw make_error(ErrorKind::kInvalidArgument,
                   "kv_cache_dtype: '{}', expected auto, f32, f16, bf16 or q8", name);
}

void check_range(const char* option, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: {}, expected {} to {}", option, value, low,
                     high);
  }
}

models::LoadOptions load_options(const ModelOptions& options) {
  constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();
  constexpr std::int32_t kMostRows = 1 << 16;
  check_range("threads", options.threads, 0, 4096);
  check_range("context_length", options.context_length, 0, kMany);
  check_range("max_sequences", options.max_sequences, 1, kMostRows);
  check_range("kv_cache_tokens", options.kv_cache_tokens, 0, std::int64_t{1} << 40);
  check_range("kv_cache_mib", options.kv_cache_mib, 0, std::int64_t{1} << 30);
  check_range("prefill_chunk", options.prefill_chunk, 1, kMostRows);
  check_range("prefix_cache_sequences", options.prefix_cache_sequences.value_or(0), 0,
              std::numeric_limits<std::int64_t>::max());
  check_range("draft_tokens", options.draft_tokens, 1, 64);
  if (options.kv_block_size != 8 && options.kv_block_size != 16 && options.kv_block_size != 32) {
    throw make_error(ErrorKind::kInvalidArgument, "kv_block_size: {}, expected 8, 16 or 32",
                     options.kv_block_size);
  }
  models::LoadOptions load;
  load.dtype = dtype_of(options.dtype);
  load.context_length = options.context_length;
  load.kv_cache_tokens = options.kv_cache_tokens;
  load.kv_cache_bytes = options.kv_cache_mib << 20;
  load.kv_block_size = options.kv_block_size;
  load.kv_cache_dtype = cache_dtype_of(options.kv_cache_dtype);
  load.max_batch_rows = std::max(options.prefill_chunk, options.max_sequences);
  const bool guesses = !options.draft_model.empty() || options.ngram_drafts;
  load.logit_rows = options.max_sequences * (1 + (guesses ? options.draft_tokens : 0));
  load.on_progress = options.on_progress;
  return load;
}

Json json_of(const std::vector<Message>& messages) {
  Json list = Json::array();
  for (const Message& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return list;
}

Json variables_of(const ChatOptions& options) {
  const auto parse = [](const std::string& text, const char* name, bool list) {
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded() || (list ? !json.is_array() : !json.is_object())) {
      throw make_error(ErrorKind::kInvalidArgument, "{}: expected a JSON {}", name,
                       list ? "list" : "object");
    }
    return json;
  };
  Json variables = Json::object();
  if (!options.variables.empty()) variables = parse(options.variables, "variables", false);
  if (!options.tools.empty()) variables["tools"] = parse(options.tools, "tools", true);
  return variables;
}

}  // namespace

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "canceled";
    case FinishReason::kError:
      return "error";
  }
  return "unknown";
}

struct Model::Impl {
  explicit Impl(const ModelOptions& options)
      : load(load_options(options)),
        pool(options.threads > 0 ? options.threads : ThreadPool::default_size()),
        loaded(models::load(models::locate_or_fetch(options.path, {}), load, pool)),
        draft(load_draft(options)),
        constraints(loaded),
        engine(*loaded.model, loaded.tokenizer.get(), loaded.end_tokens, engine_options(options)) {
    load.on_progress = nullptr;
    info = {.name = loaded.name,
            .architecture = loaded.architecture,
            .context_length = loaded.model->context_length(),
            .vocab_size = loaded.model->vocab_size(),
            .parameters = loaded.parameters,
            .has_chat_template = loaded.chat_template.has_value(),
            .end_tokens = loaded.end_tokens};
  }

  std::optional<models::LoadedModel> load_draft(const ModelOptions& options) {
    if (options.draft_model.empty()) return std::nullopt;
    models::LoadedModel model =
        models::load(models::locate_or_fetch(options.draft_model, {}), load, pool);
    engine::check_draft_model(loaded, model);
    return model;
  }

  engine::EngineOptions engine_options(const ModelOptions& options) const {
    engine::EngineOptions result;
    result.max_sequences = options.max_sequences;
    result.prefill_chunk = options.prefill_chunk;
    if (options.prefix_cache_sequences) {
      result.prefix_cache_sequences = *options.prefix_cache_sequences;
    }
    result.keep_cache = !options.no_kv_cache;
    result.max_drafts = options.draft_tokens;
    if (draft) {
      result.drafter =
          std::make_shared<engine::ModelDrafter>(*draft->model, loaded.model->vocab_size());
    } else if (options.ngram_drafts) {
      result.drafter = std::make_shared<engine::NgramDrafter>();
    }
    return result;
  }

  const text::Tokenizer& tokenizer() const {
    if (loaded.tokenizer) return *loaded.tokenizer;
    throw make_error(ErrorKind::kUnsupported, "model {} has no tokenizer: {}", loaded.name,
                     loaded.tokenizer_problem);
  }

  std::vector<Generation> start(std::vector<TokenId> prompt, const SamplingParams& sampling,
                                std::int32_t count = 1,
                                const std::optional<text::ReasoningStyle>& style = {}) {
    engine::Request request;
    request.prompt = std::move(prompt);
    request.sampling = sampling;
    if (sampling.constraint) request.constraint = constraints.compile(*sampling.constraint);
    std::vector<Generation> generations;
    for (engine::RequestHandle& handle : engine.submit(std::move(request), count)) {
      generations.push_back(
          Generation(std::make_unique<Generation::Impl>(std::move(handle), style)));
    }
    return generations;
  }

  static Response read(Generation generation, const ChunkCallback& on_chunk) {
    while (const std::optional<Chunk> chunk = generation.next()) {
      if (!on_chunk || on_chunk(*chunk)) continue;
      generation.cancel();
      break;
    }
    return generation.wait();
  }

  Response answer(std::vector<TokenId> prompt, const SamplingParams& sampling,
                  const ChunkCallback& on_chunk,
                  const std::optional<text::ReasoningStyle>& style = {}) {
    return read(std::move(start(std::move(prompt), sampling, 1, style).front()), on_chunk);
  }

  models::LoadOptions load;
  ThreadPool pool;
  models::LoadedModel loaded;  // computes on pool
  std::optional<models::LoadedModel> draft;
  engine::ModelConstraints constraints;
  engine::Engine engine;  // runs loaded
  ModelInfo info;
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::load(const ModelOptions& options) {
  return translate([&] {
    quiet_log();
    return Model(std::make_unique<Impl>(options));
  });
}

const ModelInfo& Model::info() const {
  return impl_->info;
}

const SamplingParams& Model::default_sampling() const {
  return impl_->loaded.default_sampling;
}

Response Model::chat(const std::vector<Message>& messages, const SamplingParams& sampling,
                     const ChunkCallback& on_chunk, const ChatOptions& options) {
  return translate([&] {
    engine::PreparedPrompt prompt =
        engine::prepare_chat(impl_->loaded, json_of(messages), variables_of(options));
    const text::ReasoningStyle style = engine::reasoning_style(impl_->loaded, prompt);
    return impl_->answer(std::move(prompt.ids), sampling, on_chunk, style);
  });
}

Response Model::complete(std::string_view prompt, const SamplingParams& sampling,
                         const ChunkCallback& on_chunk) {
  return translate([&] {
    return impl_->answer(engine::prepare_text(impl_->loaded, prompt), sampling, on_chunk);
  });
}

Response Model::complete(const std::vector<TokenId>& prompt, const SamplingParams& sampling,
                         const ChunkCallback& on_chunk) {
  return translate([&] { return impl_->answer(prompt, sampling, on_chunk); });
}

Generation Model::start_chat(const std::vector<Message>& messages, const SamplingParams& sampling,
                             const ChatOptions& options) {
  return translate([&] {
    engine::PreparedPrompt prompt =
        engine::prepare_chat(impl_->loaded, json_of(messages), variables_of(options));
    const text::ReasoningStyle style = engine::reasoning_style(impl_->loaded, prompt);
    return std::move(impl_->start(std::move(prompt.ids), sampling, 1, style).front());
  });
}

Generation Model::start(std::string_view prompt, const SamplingParams& sampling) {
  return translate([&] {
    return std::move(impl_->start(engine::prepare_text(impl_->loaded, prompt), sampling).front());
  });
}

Generation Model::start(const std::vector<TokenId>& prompt, const SamplingParams& sampling) {
  return translate([&] { return std::move(impl_->start(prompt, sampling).front()); });
}

std::vector<Generation> Model::start(const std::vector<TokenId>& prompt,
                                     const SamplingParams& sampling, std::int32_t count) {
  return translate([&] { return impl_->start(prompt, sampling, count); });
}

std::vector<Response> Model::best(const std::vector<TokenId>& prompt,
                                  const SamplingParams& sampling, std::int32_t count,
                                  std::int32_t best_of) {
  return translate([&] {
    if (count < 1 || count > best_of) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "best_of: {}, expected at least the number of answers, {}, and that at "
                       "least 1",
                       best_of, count);
    }
    SamplingParams with_logprobs = sampling;
    with_logprobs.logprobs = true;
    std::vector<std::pair<double, Response>> answers;
    for (Generation& generation : impl_->start(prompt, with_logprobs, best_of)) {
      Response response = generation.wait();
      double sum = 0;
      for (const TokenLogprobs& token : response.logprobs) sum += token.chosen.logprob;
      const double mean =
          sum / static_cast<double>(std::max<std::size_t>(1, response.logprobs.size()));
      if (!sampling.logprobs && sampling.top_logprobs == 0) response.logprobs.clear();
      answers.emplace_back(mean, std::move(response));
    }
    std::ranges::stable_sort(answers, std::greater<>(), &std::pair<double, Response>::first);
    std::vector<Response> best;
    for (std::int32_t i = 0; i < count; ++i) {
      best.push_back(std::move(answers[static_cast<std::size_t>(i)].second));
    }
    return best;
  });
}

ModelStats Model::stats() const {
  const engine::EngineStats stats = impl_->engine.stats();
  return {.running = stats.running,
          .waiting = stats.waiting,
          .kv_cache_bytes = stats.cache_bytes,
          .kv_cache_bytes_in_use = stats.cache_bytes_in_use,
          .requests = stats.requests,
          .steps = stats.steps,
          .preemptions = stats.preemptions,
          .prompt_tokens = stats.prompt_tokens,
          .cached_tokens = stats.cached_tokens,
          .completion_tokens = stats.completion_tokens,
          .drafted_tokens = stats.drafted_tokens,
          .accepted_tokens = stats.accepted_tokens};
}

std::vector<TokenId> Model::tokenize(std::string_view text, bool add_special) const {
  return translate([&] {
    return impl_->tokenizer().encode(text, {.add_special = add_special, .parse_special = true});
  });
}

std::string Model::detokenize(const std::vector<TokenId>& tokens) const {
  return translate([&] { return impl_->tokenizer().decode(tokens, /*skip_special=*/false); });
}

}  // namespace mistral
