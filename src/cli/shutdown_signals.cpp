#include "cli/shutdown_signals.h"

#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/error.h"

namespace mistral::cli {

namespace {

std::atomic<int> g_write_end{-1};  // a signal handler can reach nothing but a global
static_assert(std::atomic<int>::is_always_lock_free);

void on_signal(int number) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(number);
  (void)!write(g_write_end.load(std::memory_order_relaxed), &byte, 1);
  errno = saved;
}

}  // namespace

ShutdownSignals::ShutdownSignals() {
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw Error(ErrorKind::kResource, "no pipe for signals: too many open files");
  }
  g_write_end.store(pipe_[1]);
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &previous_interrupt_);
  sigaction(SIGTERM, &action, &previous_terminate_);
}

ShutdownSignals::~ShutdownSignals() {
  sigaction(SIGINT, &previous_interrupt_, nullptr);
  sigaction(SIGTERM, &previous_terminate_, nullptr);
  g_write_end.store(-1);
  close(pipe_[0]);
  close(pipe_[1]);
}

std::optional<int> ShutdownSignals::wait(std::chrono::milliseconds time) {
  pollfd entry{pipe_[0], POLLIN, 0};
  if (poll(&entry, 1, static_cast<int>(time.count())) <= 0) return std::nullopt;
  unsigned char number = 0;
  if (read(pipe_[0], &number, 1) != 1) return std::nullopt;
  return number;
}

}  // namespace mistral::cli
