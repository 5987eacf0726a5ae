// What the routes work with: the model, its engine and the settings of the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/constraints.h"
#include "engine/engine.h"
#include "models/loader.h"
#include "server/api/fields.h"

namespace mistral::server {

struct ServedModel {
  const models::LoadedModel& loaded;
  engine::Engine& engine;
  std::string id{};          // as clients see it
  std::int64_t created = 0;  // seconds since 1970
};

struct ServiceOptions {
  bool truncate_sequence = false;  // cut prompts that are too long, unless requests say otherwise
  std::optional<std::uint64_t> seed{};  // of requests that have none: they get numbers made from it
};

class Service {
 public:
  Service(const ServedModel& model, const ServiceOptions& options);

  [[nodiscard]] const models::LoadedModel& model() const { return model_.loaded; }
  [[nodiscard]] engine::Engine& engine() const { return model_.engine; }
  [[nodiscard]] const std::string& id() const { return model_.id; }
  [[nodiscard]] std::int64_t created() const { return model_.created; }

  // Throws Error (kUnsupported) when the model has none.
  [[nodiscard]] const text::Tokenizer& tokenizer() const;
  // Gives the request a seed where the server makes answers repeatable and it has none.
  void seed(SamplingParams& sampling) const;
  // Takes its time, so not for a network thread. Throws Error.
  [[nodiscard]] std::shared_ptr<const grammar::CompiledConstraint> compile(
      const Constraint& constraint, bool shows_tool_marks = false) const {
    return constraints_.compile(constraint, shows_tool_marks);
  }
  // Whether prompts that are too long are cut: what the request says (`truncate_sequence`), else
  // what the server was started with.
  [[nodiscard]] bool truncates(std::optional<bool> asked) const {
    return asked.value_or(options_.truncate_sequence);
  }
  // Refuses text that cannot fit the context, however it is tokenised, before that takes long.
  // `field` is what the message names. Throws ApiError.
  void check_text_size(std::size_t bytes, const std::string& field) const;
  // Drops tokens from the front so that prompt and answer fit.
  void truncate(std::vector<TokenId>& prompt, const SamplingParams& sampling) const;

 private:
  ServedModel model_;
  ServiceOptions options_;
  mutable engine::ModelConstraints constraints_;
  std::size_t longest_token_ = 1;  // in bytes
  mutable std::atomic<std::uint64_t> requests_{0};
};

// The template that renders chats with tools; null when the model has none.
[[nodiscard]] const text::ChatTemplate* tool_template(const models::LoadedModel& model);

// Compiles what a request's `field` asks for. Throws ApiError that names it.
[[nodiscard]] std::shared_ptr<const grammar::CompiledConstraint> compile_for(
    const Service& service, const std::string& field, const Constraint& constraint,
    bool shows_tool_marks = false);

// Checks the type of `model`; which one it names does not matter, as there is only one.
void check_model_field(const Fields& fields);

[[nodiscard]] std::int64_t unix_seconds();

}  // namespace mistral::server
