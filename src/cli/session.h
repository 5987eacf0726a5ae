// A model loaded from the command line and the engine that runs it.
#pragma once

#include <memory>
#include <optional>

#include "cli/options.h"
#include "core/thread_pool.h"
#include "engine/constraints.h"
#include "engine/engine.h"
#include "models/loader.h"

namespace mistral::cli {

class Session {
 public:
  // Loads with a progress bar on a terminal. `context_length` 0: the model's own. Throws Error,
  // also when the draft model's vocabulary is another one.
  Session(const models::ModelPath& path, const RuntimeOptions& runtime, std::int64_t context_length,
          engine::EngineOptions engine_options, const models::TextOptions& text = {},
          const std::optional<DraftModel>& draft = {});

  [[nodiscard]] const models::LoadedModel& model() const { return loaded_; }
  [[nodiscard]] engine::Engine& engine() { return *engine_; }

  // Used by the model: outside the engine's thread nobody may run anything on it.
  [[nodiscard]] ThreadPool& pool() { return pool_; }

  // Returns when what makes the model faster after it was loaded is done: for measurements.
  void wait_for_packing() const {
    if (loaded_.packing) loaded_.packing->finish();
  }

  [[nodiscard]] std::int64_t context_length() const { return loaded_.model->context_length(); }
  [[nodiscard]] std::int64_t vocab_size() const { return loaded_.model->vocab_size(); }
  // A request with this prompt. Throws Error when the constraint among the settings is wrong.
  [[nodiscard]] engine::Request request(std::vector<TokenId> prompt,
                                        const SamplingParams& sampling);
  // Throws Error that says why there is none.
  [[nodiscard]] const text::Tokenizer& tokenizer() const;

 private:
  // In this order: the engine uses the model, the model uses the threads.
  ThreadPool pool_;
  models::LoadedModel loaded_;
  std::optional<models::LoadedModel> draft_;
  engine::ModelConstraints constraints_;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace mistral::cli
