#include "server/api/service.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "core/error.h"
#include "engine/truncation.h"
#include "server/api/error.h"

namespace mistral::server {

Service::Service(const ServedModel& model, const ServiceOptions& options)
    : model_(model), options_(options), constraints_(model.loaded) {
  if (!model_.loaded.tokenizer) return;
  std::string bytes;
  const auto size = static_cast<TokenId>(model_.loaded.tokenizer->vocab_size());
  for (TokenId id = 0; id < size; ++id) {
    bytes.clear();
    model_.loaded.tokenizer->append_bytes(id, /*first=*/false, /*skip_special=*/false, bytes);
    longest_token_ = std::max(longest_token_, bytes.size());
  }
}

void Service::check_text_size(std::size_t bytes, const std::string& field) const {
  const auto limit = static_cast<std::size_t>(model_.loaded.model->context_length());
  const std::size_t least = bytes / longest_token_;
  if (least <= limit) return;
  throw ApiError(
      field,
      fmt::format("{}: it has more than {} tokens, but the context holds {}", field, least, limit),
      "context_length_exceeded");
}

const text::Tokenizer& Service::tokenizer() const {
  if (model_.loaded.tokenizer) return *model_.loaded.tokenizer;
  throw make_error(ErrorKind::kUnsupported, "model {} has no tokenizer: {}", model_.id,
                   model_.loaded.tokenizer_problem);
}

void Service::seed(SamplingParams& sampling) const {
  if (!options_.seed || sampling.seed) return;
  sampling.seed = *options_.seed + requests_.fetch_add(1);
}

void Service::truncate(std::vector<TokenId>& prompt, const SamplingParams& sampling) const {
  engine::truncate_prompt(prompt, sampling.max_tokens, engine().longest_sequence());
}

const text::ChatTemplate* tool_template(const models::LoadedModel& model) {
  if (model.tool_template) return &*model.tool_template;
  return model.chat_template ? &*model.chat_template : nullptr;
}

std::shared_ptr<const grammar::CompiledConstraint> compile_for(const Service& service,
                                                               const std::string& field,
                                                               const Constraint& constraint,
                                                               bool shows_tool_marks) {
  try {
    return service.compile(constraint, shows_tool_marks);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidArgument && error.kind() != ErrorKind::kUnsupported) {
      throw;
    }
    throw ApiError(field, fmt::format("Invalid grammar. {}", error.what()), "invalid_grammar");
  }
}

void check_model_field(const Fields& fields) {
  (void)fields.string("model");
}

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace mistral::server
