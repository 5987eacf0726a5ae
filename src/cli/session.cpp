#include "cli/session.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "engine/draft_model.h"
#include "engine/model_drafter.h"

namespace mistral::cli {

namespace {

models::LoadedModel load_with_progress(const models::ModelPath& path, models::LoadOptions options,
                                       ThreadPool& pool) {
  ProgressBar bar("loading");
  options.on_progress = [&bar](std::uint64_t done, std::uint64_t total) {
    bar.update(done, total);
  };
  return models::load(path, options, pool);
}

models::LoadOptions complete(models::LoadOptions options, std::int64_t context_length,
                             std::int32_t logit_rows, const models::TextOptions& text) {
  options.context_length = context_length;
  options.logit_rows = std::max(options.logit_rows, logit_rows);
  options.text = text;
  return options;
}

// Most rows of a step whose logits are sampled from.
std::int32_t sampled_rows(const engine::EngineOptions& engine,
                          const std::optional<DraftModel>& draft) {
  std::int32_t drafts = engine.drafter ? engine.max_drafts : 0;
  if (draft) drafts = draft->tokens;
  return engine.max_sequences * (1 + drafts);
}

}  // namespace

Session::Session(const models::ModelPath& path, const RuntimeOptions& runtime,
                 std::int64_t context_length, engine::EngineOptions engine_options,
                 const models::TextOptions& text, const std::optional<DraftModel>& draft)
    : pool_(runtime.threads()),
      loaded_(load_with_progress(path,
                                 complete(runtime.load_options(), context_length,
                                          sampled_rows(engine_options, draft), text),
                                 pool_)),
      constraints_(loaded_) {
  if (draft) {
    models::LoadOptions load =
        complete(runtime.load_options(), 0, engine_options.max_sequences, {});
    load.memory_usage = 0;  // the cache of the model itself is sized by it
    draft_ = load_with_progress(draft->path, load, pool_);
    engine::check_draft_model(loaded_, *draft_);
    engine_options.drafter =
        std::make_shared<engine::ModelDrafter>(*draft_->model, loaded_.model->vocab_size());
    engine_options.max_drafts = draft->tokens;
  }
  engine_ = std::make_unique<engine::Engine>(*loaded_.model, loaded_.tokenizer.get(),
                                             loaded_.end_tokens, engine_options);
  log::info("model {} ({}), {} threads, context {}", loaded_.name, loaded_.architecture,
            pool_.size(), this->context_length());
}

engine::Request Session::request(std::vector<TokenId> prompt, const SamplingParams& sampling) {
  engine::Request request;
  request.prompt = std::move(prompt);
  request.sampling = sampling;
  if (sampling.constraint) request.constraint = constraints_.compile(*sampling.constraint);
  return request;
}

const text::Tokenizer& Session::tokenizer() const {
  if (loaded_.tokenizer == nullptr) {
    throw make_error(ErrorKind::kUnsupported, "the model has no usable tokenizer: {}",
                     loaded_.tokenizer_problem);
  }
  return *loaded_.tokenizer;
}

}  // namespace mistral::cli
