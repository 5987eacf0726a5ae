// What a command is to the program, and the list of them.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace mistral::cli {

// The caller wrote something that the usage text forbids; answered with that text and exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Command {
 public:
  Command() = default;
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Binds the options to members; they are set when execute() is called.
  virtual void add_options(CLI::App& app) = 0;
  // Returns the exit code. Throws UsageError and Error.
  [[nodiscard]] virtual int execute() = 0;
};

struct CommandEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Command> (*make)();
  std::string_view log_level = "warn";  // where the caller does not say
};
[[nodiscard]] std::span<const CommandEntry> commands();

[[nodiscard]] std::unique_ptr<Command> make_run();
[[nodiscard]] std::unique_ptr<Command> make_serve();
[[nodiscard]] std::unique_ptr<Command> make_eval();
[[nodiscard]] std::unique_ptr<Command> make_tokenize();
[[nodiscard]] std::unique_ptr<Command> make_info();
[[nodiscard]] std::unique_ptr<Command> make_bench();
[[nodiscard]] std::unique_ptr<Command> make_pull();
[[nodiscard]] std::unique_ptr<Command> make_cache();

}  // namespace mistral::cli
