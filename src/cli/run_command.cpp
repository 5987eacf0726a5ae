#include "cli/run_command.h"

#include <algorithm>
#include <csignal>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/program.h"
#include "core/error.h"
#include "core/log.h"

namespace mistral::cli {

namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 130;

int fail(std::string_view message) {
  print_error(fmt::format("error: {}\n", one_line(message)));
  return kExitError;
}

// "--name=" means an empty value; the option parser would take the next argument instead.
std::vector<std::string> split_empty_values(std::vector<std::string> arguments) {
  std::vector<std::string> result;
  for (std::string& argument : arguments) {
    if (argument.size() > 3 && argument.starts_with("--") && argument.ends_with('=') &&
        argument.find('=') == argument.size() - 1) {
      argument.pop_back();
      result.push_back(std::move(argument));
      result.emplace_back();
    } else {
      result.push_back(std::move(argument));
    }
  }
  return result;
}

// The stand-ins fail on use, as the closed stream would.
void reserve_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) == -1) {
      // The lowest free number is fd, as those below are in use.
      [[maybe_unused]] const int opened = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
  }
}

}  // namespace

void prepare_process() {
  reserve_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not become longer is a write error, too
}

std::string version_text() {
  return "mistralcpp " MISTRAL_VERSION;
}

int fail_usage(std::string_view message, std::string_view usage) {
  print_error(fmt::format("error: {}\n\n{}", one_line(message), usage));
  return kExitUsage;
}

const CommandEntry* find_command(std::string_view name) {
  const auto all = commands();
  const auto found = std::ranges::find(all, name, &CommandEntry::name);
  return found == all.end() ? nullptr : &*found;
}

int run_command(const CommandEntry& entry, std::vector<std::string> arguments,
                std::string log_level) {
  CLI::App app(std::string(entry.summary), fmt::format("mistralcpp {}", entry.name));
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("-V,--version", version_text(), "the version");
  if (log_level.empty()) log_level = log::debug_requested() ? "debug" : entry.log_level;
  const std::unique_ptr<Command> command = entry.make();
  command->add_options(app);
  app.add_option("--log-level", log_level, "what is logged to standard error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->type_name("LEVEL")
      ->capture_default_str();
  try {
    arguments = split_empty_values(std::move(arguments));
    std::ranges::reverse(arguments);  // as the parser wants them
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    print(app.help());
    return 0;
  } catch (const CLI::CallForVersion&) {
    print(version_text() + "\n");
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail_usage(error.what(), app.help());
  }
  log::set_level(log_level);
  try {
    const int code = command->execute();
    flush_output();
    return code;
  } catch (const UsageError& error) {
    return fail_usage(error.what(), app.help());
  }
}

int guarded(const std::function<int()>& work) {
  try {
    log::set_level("warn");
    return work();
  } catch (const Error& error) {
    const int code = fail(error.what());
    return error.kind() == ErrorKind::kCancelled ? kExitInterrupted : code;
  } catch (const std::bad_alloc&) {
    return fail("out of memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

}  // namespace mistral::cli
