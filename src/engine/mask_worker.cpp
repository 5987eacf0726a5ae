#include "engine/mask_worker.h"

namespace mistral::engine {

MaskWorker::~MaskWorker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void MaskWorker::start(std::span<const Job> jobs) {
  {
    const std::lock_guard lock(mutex_);
    jobs_ = jobs;
    next_ = 0;
  }
  changed_.notify_all();
}

void MaskWorker::finish() noexcept {
  std::unique_lock lock(mutex_);
  while (take_one(lock)) {
  }
  changed_.wait(lock, [this] { return running_ == 0; });
  jobs_ = {};
  next_ = 0;
}

bool MaskWorker::take_one(std::unique_lock<std::mutex>& lock) {
  if (next_ >= jobs_.size()) return false;
  const Job job = jobs_[next_++];
  ++running_;
  lock.unlock();
  job.constraint->prepare(job.drafts);
  lock.lock();
  if (--running_ == 0) changed_.notify_all();
  return true;
}

void MaskWorker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || next_ < jobs_.size(); });
    if (stop_) return;
    while (take_one(lock)) {
    }
  }
}

}  // namespace mistral::engine
