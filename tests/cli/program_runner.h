// Runs the built program without a shell and collects what it writes.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mistral::test {

struct Outcome {
  int code = -1;  // exit code; 128 + signal when a signal ended the program
  std::string out;
  std::string err;
  bool timed_out = false;
};

inline std::filesystem::path program_path() {
  const char* folder = std::getenv("MISTRAL_BIN_DIR");
  if (folder == nullptr) throw std::runtime_error("MISTRAL_BIN_DIR is not set");
  return std::filesystem::path(folder) / "mistralcpp";
}

// `input` becomes standard input. A program that runs longer than the limit is killed: tests would
// hang otherwise. Standard error may be a terminal.
inline Outcome run_program(std::vector<std::string> arguments, const std::string& input = "",
                           std::chrono::seconds limit = std::chrono::seconds(120),
                           bool close_output = false, bool error_is_terminal = false) {
  int in[2];
  int out[2];
  int err[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe failed");
  }
  if (error_is_terminal) {
    close(err[0]);
    close(err[1]);
    err[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (err[0] < 0 || grantpt(err[0]) != 0 || unlockpt(err[0]) != 0) {
      throw std::runtime_error("no pseudo terminal");
    }
    err[1] = open(ptsname(err[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
  }
  const std::string program = program_path().string();
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    if (close_output) close(STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  signal(SIGPIPE, SIG_IGN);

  Outcome outcome;
  std::size_t written = 0;
  if (input.empty()) {
    close(in[1]);
    in[1] = -1;
  }
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto drain = [](int& fd, std::string& text) {
    char buffer[4096];
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
    } else {
      close(fd);
      fd = -1;
    }
  };
  while (out[0] >= 0 || err[0] >= 0) {
    pollfd fds[3] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}, {in[1], POLLOUT, 0}};
    poll(fds, 3, 100);
    if (fds[0].revents != 0) drain(out[0], outcome.out);
    if (fds[1].revents != 0) drain(err[0], outcome.err);
    if (fds[2].revents != 0) {
      const ssize_t count = write(in[1], input.data() + written, input.size() - written);
      if (count > 0) written += static_cast<std::size_t>(count);
      if (count <= 0 || written == input.size()) {
        close(in[1]);
        in[1] = -1;
      }
    }
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      outcome.timed_out = true;
      break;
    }
  }
  for (const int fd : {in[1], out[0], err[0]}) {
    if (fd >= 0) close(fd);
  }
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace mistral::test
