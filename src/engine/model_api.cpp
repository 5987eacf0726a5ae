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
#include "engine/model_options.h"
#include "mistral/builders.h"
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

const char* to_string(Role role) {
  switch (role) {
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kSystem:
      return "system";
    case Role::kTool:
      return "tool";
  }
  return "unknown";
}

struct Model::Impl {
  explicit Impl(const ModelOptions& options)
      : pool(options.threads > 0 ? options.threads : ThreadPool::default_size()),
        loaded(models::load(engine::locate_model(options), engine::load_options(options), pool)),
        draft(load_draft(options)),
        constraints(loaded),
        engine(*loaded.model, loaded.tokenizer.get(), loaded.end_tokens, engine_options(options)) {
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
    models::LoadOptions load = engine::load_options(options);
    load.text = {};
    load.memory_usage = 0;  // the cache of the model itself is sized by it
    models::LoadedModel model = models::load(
        models::locate_or_fetch(options.draft_model, engine::hub_access(options)), load, pool);
    engine::check_draft_model(loaded, model);
    return model;
  }

  engine::EngineOptions engine_options(const ModelOptions& options) const {
    engine::EngineOptions result = engine::engine_options(options);
    if (draft) {
      result.drafter =
          std::make_shared<engine::ModelDrafter>(*draft->model, loaded.model->vocab_size());
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
    log::set_level(log::debug_requested() ? "debug" : options.log_level);
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
  return std::move(start({.messages = messages, .sampling = sampling, .options = options}).front());
}

std::vector<Generation> Model::start(const ChatRequest& request) {
  return translate([&] {
    engine::PreparedPrompt prompt = engine::prepare_chat(impl_->loaded, json_of(request.messages),
                                                         variables_of(request.options));
    const text::ReasoningStyle style = engine::reasoning_style(impl_->loaded, prompt);
    return impl_->start(std::move(prompt.ids), request.sampling, request.choices, style);
  });
}

std::vector<Response> Model::send(const ChatRequest& request) {
  std::vector<Response> responses;
  for (Generation& generation : start(request)) responses.push_back(generation.wait());
  return responses;
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
