#include "engine/channel.h"

#include <utility>

#include "core/error.h"

namespace mistral::engine {

void RequestHandle::State::push(TokenEvent event) {
  {
    const std::lock_guard lock(mutex_);
    tokens_.push_back(std::move(event));
  }
  ready_.notify_one();
}

void RequestHandle::State::finish(FinishEvent event) noexcept {
  {
    const std::lock_guard lock(mutex_);
    finish_ = std::move(event);
  }
  ready_.notify_one();
}

std::optional<Event> RequestHandle::State::take(
    const std::optional<std::chrono::steady_clock::time_point>& deadline) {
  if (over_) {
    throw Error(ErrorKind::kInternal, "an event was asked for after the last one of a request");
  }
  if (next_taken_ == taken_.size()) {
    taken_.clear();
    next_taken_ = 0;
    std::unique_lock lock(mutex_);
    const auto something = [this] { return !tokens_.empty() || finish_.has_value(); };
    if (!deadline) {
      ready_.wait(lock, something);
    } else if (!ready_.wait_until(lock, *deadline, something)) {
      return std::nullopt;
    }
    if (tokens_.empty()) {
      over_ = true;
      return Event(std::move(*finish_));
    }
    std::swap(tokens_, taken_);
  }
  return Event(std::move(taken_[next_taken_++]));
}

void RequestHandle::State::cancel() noexcept {
  if (!cancelled_.exchange(true)) cancellations_->fetch_add(1);
}

RequestHandle::~RequestHandle() {
  if (state_) state_->cancel();
}

RequestHandle& RequestHandle::operator=(RequestHandle&& other) noexcept {
  if (this != &other) {
    if (state_) state_->cancel();
    state_ = std::move(other.state_);
  }
  return *this;
}

Event RequestHandle::next() {
  return *state_->take(std::nullopt);
}

std::optional<Event> RequestHandle::next_for(int milliseconds) {
  return state_->take(std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds));
}

void RequestHandle::cancel() {
  state_->cancel();
}

}  // namespace mistral::engine
