#include "core/progress.h"

#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace mistral {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// Points stderr at a new pseudo terminal and collects what is written to it.
class TerminalStderr {
 public:
  TerminalStderr() : terminal_(::posix_openpt(O_RDWR | O_NOCTTY)), saved_(::dup(STDERR_FILENO)) {
    if (terminal_ < 0 || ::grantpt(terminal_) != 0 || ::unlockpt(terminal_) != 0) return;
    const int user = ::open(::ptsname(terminal_), O_RDWR | O_NOCTTY);
    if (user < 0) return;
    ::dup2(user, STDERR_FILENO);
    ::close(user);
    usable_ = true;
  }
  ~TerminalStderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    if (terminal_ >= 0) ::close(terminal_);
  }
  TerminalStderr(const TerminalStderr&) = delete;
  TerminalStderr& operator=(const TerminalStderr&) = delete;

  [[nodiscard]] bool usable() const { return usable_; }

  [[nodiscard]] std::string read_all() const {
    std::string out;
    pollfd waiting{terminal_, POLLIN, 0};
    while (::poll(&waiting, 1, 50) == 1 && (waiting.revents & POLLIN) != 0) {
      char buffer[512];
      const ssize_t count = ::read(terminal_, buffer, sizeof(buffer));
      if (count <= 0) break;
      out.append(buffer, static_cast<std::size_t>(count));
    }
    return out;
  }

 private:
  int terminal_;
  int saved_;
  bool usable_ = false;
};

TEST(ProgressBar, WritesNothingToAFile) {
  testing::internal::CaptureStderr();
  {
    ProgressBar bar("loading");
    bar.update(0, 10);
    bar.update(10, 10);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ProgressBar, DrawsOnATerminalAndClearsItsLine) {
  const TerminalStderr terminal;
  if (!terminal.usable()) GTEST_SKIP() << "no pseudo terminal on this machine";
  {
    ProgressBar bar("loading");
    bar.update(1, 4);
    const std::string drawn = terminal.read_all();
    EXPECT_THAT(drawn, HasSubstr("loading"));
    EXPECT_THAT(drawn, HasSubstr(" 25 %"));
    bar.update(1000001, 4000000);
    EXPECT_EQ(terminal.read_all(), "") << "the same percentage is drawn again";
    bar.update(0, 0);
    EXPECT_THAT(terminal.read_all(), HasSubstr("100 %"));
  }
  EXPECT_THAT(terminal.read_all(), EndsWith("\r\x1b[K"));
}

}  // namespace
}  // namespace mistral
