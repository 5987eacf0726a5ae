#include "engine/channel.h"

#include <utility>

#include "core/error.h"

namespace mistral::engine {

void RequestHandle::State::push(TokenEvent event) {
  {
    const std::lock_guard lock(mutex_);
    tokens_.push_back(std::move(event));
    // A client that has not taken what was there before knows already.
    if (wake_ && tokens_.size() == 1) wake_();
  }
  ready_.notify_one();
}

void RequestHandle::State::finish(FinishEvent event) noexcept {
  {
    const std::lock_guard lock(mutex_);
    finish_ = std::move(event);
    if (wake_ && tokens_.empty()) wake_();
  }
  ready_.notify_one();
}

void RequestHandle::State::check_open() const {
  if (!over_) return;
  throw Error(ErrorKind::kInternal, "an event was asked for after the last one of a request");
}

std::optional<Event> RequestHandle::State::take_written() {
  if (tokens_.empty()) {
    if (!finish_) return std::nullopt;
    over_ = true;
    return Event(std::move(*finish_));
  }
  std::swap(tokens_, taken_);
  next_taken_ = 1;
  return Event(std::move(taken_.front()));
}

std::optional<Event> RequestHandle::State::take(
    const std::optional<std::chrono::steady_clock::time_point>& deadline) {
  check_open();
  if (next_taken_ < taken_.size()) return Event(std::move(taken_[next_taken_++]));
  taken_.clear();
  next_taken_ = 0;
  std::unique_lock lock(mutex_);
  const auto something = [this] { return !tokens_.empty() || finish_.has_value(); };
  if (!deadline) {
    ready_.wait(lock, something);
  } else if (!ready_.wait_until(lock, *deadline, something)) {
    return std::nullopt;
  }
  return take_written();
}

std::optional<Event> RequestHandle::State::try_take() {
  check_open();
  if (next_taken_ < taken_.size()) return Event(std::move(taken_[next_taken_++]));
  taken_.clear();
  next_taken_ = 0;
  const std::lock_guard lock(mutex_);
  return take_written();
}

void RequestHandle::State::notify(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
  if (wake_ && (next_taken_ < taken_.size() || !tokens_.empty() || finish_)) wake_();
}

void RequestHandle::State::cancel() noexcept {
  if (!cancelled_.exchange(true)) cancellations_->fetch_add(1);
}

RequestHandle::~RequestHandle() {
  if (!state_) return;
  state_->notify(nullptr);
  state_->cancel();
}

RequestHandle& RequestHandle::operator=(RequestHandle&& other) noexcept {
  if (this != &other) {
    if (state_) {
      state_->notify(nullptr);
      state_->cancel();
    }
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

std::optional<Event> RequestHandle::try_next() {
  return state_->try_take();
}

void RequestHandle::notify(std::function<void()> wake) {
  state_->notify(std::move(wake));
}

void RequestHandle::cancel() {
  state_->cancel();
}

}  // namespace mistral::engine
