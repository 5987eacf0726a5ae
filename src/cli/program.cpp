#include "cli/program.h"

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/log.h"

namespace mistral::cli {

namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 130;
constexpr std::string_view kDefaultLogLevel = "warn";

std::string version_text() {
  return "mistralcpp " MISTRAL_VERSION;
}

std::string usage_text() {
  std::string text =
      "mistralcpp runs large language models on this computer.\n\n"
      "Usage: mistralcpp COMMAND [MODEL] [OPTIONS]\n\nCommands:\n";
  for (const CommandEntry& entry : commands()) {
    text += fmt::format("  {:<10} {}\n", entry.name, entry.summary);
  }
  text +=
      "  help       the options of a command: mistralcpp help COMMAND\n\n"
      "Model (anywhere among the options):\n"
      "  -m PATH               a .gguf or GGML file, or a folder with a Hugging Face or GGUF "
      "model\n"
      "  -m ID[:QUANT]         a model on the hub (org/name), downloaded when it is not cached\n"
      "  gguf -m DIR -f FILE   a GGUF file in DIR; several shards: -f 'FILE1 FILE2'\n"
      "  plain -m DIR          a Hugging Face folder: config.json, tokenizer.json, safetensors\n"
      "  ggml -m DIR -f FILE   a file from before GGUF (llama); --gqa N, tokenizer from -t\n"
      "  toml -f FILE          a TOML file that says which model, and how\n\n"
      "Options:\n"
      "  -h,--help             this text\n"
      "  -V,--version          the version\n"
      "  --log-level LEVEL     trace, debug, info, warn, error or off (default: warn)\n\n"
      "Results go to standard output, everything else to standard error.\n"
      "Exit codes: 0 done, 1 error, 2 wrong usage, 130 interrupted.\n";
  return text;
}

int fail(std::string_view message) {
  print_error(fmt::format("error: {}\n", one_line(message)));
  return kExitError;
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

int run_command(const CommandEntry& entry, std::vector<std::string> arguments,
                std::string log_level) {
  CLI::App app(std::string(entry.summary), fmt::format("mistralcpp {}", entry.name));
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("-V,--version", version_text(), "the version");
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

int dispatch(std::vector<std::string> arguments) {
  std::string log_level(kDefaultLogLevel);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    constexpr std::string_view kLogLevel = "--log-level";
    if (word == "-h" || word == "--help") {
      print(usage_text());
      return 0;
    }
    if (word == "-V" || word == "--version") {
      print(version_text() + "\n");
      return 0;
    }
    if (word == kLogLevel && i + 1 < arguments.size()) {
      log_level = arguments[++i];
      continue;
    }
    if (word.starts_with("--log-level=")) {
      log_level = word.substr(kLogLevel.size() + 1);
      continue;
    }
    std::vector<std::string> rest(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                  arguments.end());
    if (word == "help") {
      if (rest.empty()) {
        print(usage_text());
        return 0;
      }
      const CommandEntry* entry = find_command(rest.front());
      if (entry == nullptr) {
        return fail_usage(fmt::format("unknown command '{}'", rest.front()), usage_text());
      }
      return run_command(*entry, {"--help"}, log_level);
    }
    if (const CommandEntry* entry = find_command(word)) {
      return run_command(*entry, std::move(rest), log_level);
    }
    if (word == "gguf" || word == "plain" || word == "ggml" || word == "toml" ||
        word.starts_with("-")) {
      return fail_usage(fmt::format("expected a command before '{}'", word), usage_text());
    }
    return fail_usage(fmt::format("unknown command '{}'", word), usage_text());
  }
  return fail_usage("expected a command", usage_text());
}

}  // namespace

std::span<const CommandEntry> commands() {
  static constexpr std::array<CommandEntry, 7> kCommands{{
      {"run", "Chat with a model, or answer one prompt.", &make_run},
      {"eval", "Compute logits, greedy continuations or perplexity of given tokens or text.",
       &make_eval},
      {"tokenize", "Print the token ids of a text or the prompt of a chat.", &make_tokenize},
      {"info", "Check a model and say what it is.", &make_info},
      {"bench", "Measure the speed of prompt processing and of generation.", &make_bench},
      {"pull", "Download a model from the hub into the cache.", &make_pull},
      {"cache", "List what was downloaded, or delete it.", &make_cache},
  }};
  return kCommands;
}

int run_program(int argc, const char* const* argv) {
  try {
    log::set_level(kDefaultLogLevel);
    const int code = dispatch({argv + std::min(argc, 1), argv + argc});
    flush_output();
    return code;
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
