#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "cli/program.h"

namespace {

// A file opened later must not get the number of a standard stream that the caller closed: results
// would be written into it. The stand-ins fail on use, as the closed stream would.
void reserve_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) == -1) {
      // The lowest free number is fd, as those below are in use.
      [[maybe_unused]] const int opened = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is a write error
  std::signal(SIGXFSZ, SIG_IGN);  // and so is a file that may not become longer
  return mistral::cli::run_program(argc, argv);
}
