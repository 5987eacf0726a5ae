// The two ends of a request's channel: the engine's thread writes, one client reads.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/request.h"

namespace mistral::engine {

struct RequestHandle::State {
  // Counts cancellations of all requests of an engine, so that it looks for cancelled ones only
  // when there are some. It outlives the engine for handles that do so too.
  explicit State(std::shared_ptr<std::atomic<std::uint64_t>> cancellations)
      : cancellations_(std::move(cancellations)) {}

  // The engine's end. finish() comes last and cannot fail.
  void push(TokenEvent event);
  void finish(FinishEvent event) noexcept;
  [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // The client's end. A null deadline waits for ever.
  [[nodiscard]] std::optional<Event> take(
      const std::optional<std::chrono::steady_clock::time_point>& deadline);
  [[nodiscard]] std::optional<Event> try_take();
  void notify(std::function<void()> wake);
  void cancel() noexcept;

 private:
  void check_open() const;
  [[nodiscard]] std::optional<Event> take_written();  // with the lock held

  std::shared_ptr<std::atomic<std::uint64_t>> cancellations_;
  std::atomic<bool> cancelled_{false};

  std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<TokenEvent> tokens_;  // written and not yet taken
  std::optional<FinishEvent> finish_;
  std::function<void()> wake_;

  // Touched by the client only. The two vectors change places, so their memory is reused.
  std::vector<TokenEvent> taken_;
  std::size_t next_taken_ = 0;
  bool over_ = false;
};

}  // namespace mistral::engine
