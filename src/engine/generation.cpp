#include <utility>

#include "engine/generation_impl.h"

namespace mistral {

std::optional<Chunk> Generation::Impl::next() {
  if (over_) return std::nullopt;
  event_ = handle.next();
  if (auto* end = std::get_if<engine::FinishEvent>(&event_)) return finish(*end);
  const auto& token = std::get<engine::TokenEvent>(event_);
  response_.tokens.push_back(token.token);
  if (token.logprobs) response_.logprobs.push_back(*token.logprobs);
  parts_ = splitter ? splitter->push(token.text) : text::ReasoningSplitter::Parts{};
  Chunk chunk = piece(token.text);
  chunk.token = token.token;
  if (token.logprobs) chunk.logprobs = &*token.logprobs;
  return chunk;
}

std::optional<Chunk> Generation::Impl::finish(engine::FinishEvent& end) {
  over_ = true;
  parts_ = {};
  if (splitter) {
    parts_ = splitter->push(end.text);
    const text::ReasoningSplitter::Parts last = splitter->finish();
    parts_.reasoning += last.reasoning;
    parts_.content += last.content;
  }
  response_.finish_reason = end.reason;
  response_.error = end.error;
  response_.usage = end.usage;
  if (end.text.empty() && parts_.empty()) return std::nullopt;
  return piece(end.text);
}

Chunk Generation::Impl::piece(std::string_view text) {
  response_.text += text;
  response_.reasoning += parts_.reasoning;
  response_.content += parts_.content;
  return {.text = text, .reasoning = parts_.reasoning, .content = parts_.content};
}

Response Generation::Impl::wait() {
  while (next()) {
  }
  return std::move(response_);
}

Generation::Generation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Generation::Generation(Generation&&) noexcept = default;
Generation& Generation::operator=(Generation&&) noexcept = default;
Generation::~Generation() = default;

std::optional<Chunk> Generation::next() {
  return impl_->next();
}

Response Generation::wait() {
  return impl_->wait();
}

void Generation::cancel() {
  impl_->handle.cancel();
}

}  // namespace mistral
