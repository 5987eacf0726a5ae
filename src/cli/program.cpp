#include "cli/program.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/run_command.h"

namespace mistral::cli {

namespace {

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
      "  --log-level LEVEL     trace, debug, info, warn, error or off (default: warn; serve: "
      "info)\n\n"
      "Results go to standard output, everything else to standard error.\n"
      "Exit codes: 0 done, 1 error, 2 wrong usage, 130 interrupted.\n";
  return text;
}

int dispatch(std::vector<std::string> arguments) {
  std::string log_level;  // empty: the command's own
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
  static constexpr std::array<CommandEntry, 8> kCommands{{
      {"run", "Chat with a model, or answer one prompt.", &make_run},
      {"serve", "Serve OpenAI's API over HTTP.", &make_serve, "info"},
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
  return guarded([&] {
    const int code = dispatch({argv + std::min(argc, 1), argv + argc});
    flush_output();
    return code;
  });
}

}  // namespace mistral::cli
