// Clients that do not block: the engine wakes them, and they take what is there.
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/client.h"

namespace mistral::engine {
namespace {

// Counts wakes and waits for them.
class Alarm {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    ++rung_;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return rung_ > 0; });
    rung_ = 0;
  }
  int rung() {
    const std::lock_guard lock(mutex_);
    return rung_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int rung_ = 0;
};

TEST(Notify, WakesAreEnoughToReadEverything) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  for (int round = 0; round < 20; ++round) {
    const std::vector<TokenId> prompt = {1, 2, round};
    RequestHandle handle = engine.submit(request_of(prompt, 50));
    Alarm alarm;
    handle.notify([&] { alarm.ring(); });
    std::vector<TokenId> tokens;
    bool over = false;
    while (!over) {
      alarm.wait();
      while (!over) {
        const std::optional<Event> event = handle.try_next();
        if (!event) break;
        if (const auto* token = std::get_if<TokenEvent>(&*event)) tokens.push_back(token->token);
        over = std::holds_alternative<FinishEvent>(*event);
      }
    }
    EXPECT_EQ(tokens, expected_tokens(model, prompt, 50));
    EXPECT_THROW((void)handle.try_next(), Error);
  }
}

TEST(Notify, WakesAtOnceForWhatIsThere) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  RequestHandle handle = engine.submit(request_of({1}, 3));
  while (engine.stats().finished_length == 0) std::this_thread::yield();
  Alarm alarm;
  handle.notify([&] { alarm.ring(); });
  EXPECT_EQ(alarm.rung(), 1);
  EXPECT_EQ(drain(handle).tokens.size(), 3U);
}

TEST(Notify, IsNotCalledOnceTheHandleIsGone) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  for (int round = 0; round < 200; ++round) {
    auto alarm = std::make_unique<Alarm>();
    {
      RequestHandle handle = engine.submit(request_of({1, 2, 3}, 1000));
      handle.notify([bell = alarm.get()] { bell->ring(); });
      if (round % 2 == 0) alarm->wait();
    }
    alarm.reset();  // sanitizers see a late call
  }
}

}  // namespace
}  // namespace mistral::engine
