#include "server/api/service.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "server/api/error.h"

namespace mistral::server {

Service::Service(const ServedModel& model, const ServiceOptions& options)
    : model_(model), options_(options) {
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
  if (options_.truncate_sequence || least <= limit) return;
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
  const std::int64_t limit = model_.loaded.model->context_length();
  const auto length = static_cast<std::int64_t>(prompt.size());
  if (!options_.truncate_sequence || length <= limit) return;
  constexpr std::int64_t kRoom = 10;
  const std::int64_t over = length - limit;
  std::int64_t room = sampling.max_tokens.value_or(kRoom);
  if (room < 1 || over + room >= length) room = kRoom;
  const std::int64_t drop = std::min(over + room, length - 1);
  log::warn("a prompt of {} tokens is longer than {}: its first {} are dropped", length, limit,
            drop);
  prompt.erase(prompt.begin(), prompt.begin() + drop);
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
