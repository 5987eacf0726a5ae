// `mistralcpp-server`: the command line of mistral.rs's server, in terms of `serve`.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/output.h"
#include "cli/program.h"
#include "cli/run_command.h"
#include "core/error.h"
#include "core/log.h"

namespace mistral::cli {

namespace {

// Options by the name that `serve` has for them; what is not given is empty.
class Arguments {
 public:
  CLI::Option* text(CLI::App& app, const char* names, const char* as, const char* help) {
    values_.push_back(std::make_unique<Value>(Value{as, false, {}}));
    return app.add_option(names, values_.back()->text, help);
  }
  CLI::Option* flag(CLI::App& app, const char* names, const char* as, const char* help) {
    values_.push_back(std::make_unique<Value>(Value{as, false, {}}));
    return app.add_flag(names, values_.back()->set, help);
  }
  void append(std::vector<std::string>& arguments) const {
    for (const auto& value : values_) {
      if (value->set) arguments.emplace_back(value->as);
      if (!value->text.empty()) {
        arguments.push_back(fmt::format("{}={}", value->as, value->text));
      }
    }
  }

 private:
  struct Value {
    const char* as;
    bool set = false;
    std::string text;
  };
  std::vector<std::unique_ptr<Value>> values_;  // their places are bound to options
};

// Options that change nothing on a processor: said, not refused, so that scripts go on.
struct GlobalOptions {
  Arguments passed;
  std::string address = "0.0.0.0";
  std::string port;
  bool interactive = false;
  std::string max_sequences = "16";
  std::string chat_template;
  std::string device_layers;
  std::string isq;
  std::string memory_usage;
  bool no_paged_attention = false;

  void add(CLI::App& app) {
    app.add_option("--serve-ip", address, "IP to serve on (default: 0.0.0.0)");
    passed.text(app, "-s,--seed", "--seed", "seed, to make answers repeatable");
    app.add_option("-p,--port", port, "port to serve on; needed unless -i is given");
    passed.text(app, "-l,--log", "--log", "append all requests and answers to this file");
    passed.flag(app, "-t,--truncate-sequence", "--truncate-sequence",
                "cut prompts that are too long instead of refusing them");
    app.add_option("--max-seqs", max_sequences, "most sequences running at once (default: 16)");
    passed.flag(app, "--no-kv-cache", "--no-kv-cache", "compute everything in every step");
    app.add_option("-c,--chat-template", chat_template, "file with a chat template, .json");
    passed.text(app, "--token-source", "--token-source",
                "literal:TOKEN, env:NAME, path:FILE, cache or none (default: cache)");
    app.add_flag("-i,--interactive-mode", interactive, "chat in the terminal instead of serving");
    passed.text(app, "--prefix-cache-n", "--prefix-cache-n",
                "sequences kept for prompts that begin alike (default: as there is room)");
    app.add_option("-n,--num-device-layers", device_layers, "not supported: there is one device");
    app.add_option("--isq", isq, "not supported: quantisation while loading");
    passed.text(app, "--pa-gpu-mem", "--pa-gpu-mem", "size of the KV cache in MB");
    app.add_option("--pa-gpu-mem-usage", memory_usage, "of no effect without a GPU");
    passed.text(app, "--pa-ctxt-len", "--pa-ctxt-len", "tokens that the KV cache must hold");
    passed.text(app, "--pa-blk-size", "--pa-blk-size", "tokens per block: 8, 16 or 32");
    app.add_flag("--no-paged-attn", no_paged_attention, "of no effect: the cache is always paged");
    passed.flag(app, "--throughput", "--throughput", "log tokens per second");
    passed.text(app, "--prompt-batchsize", "--prompt-batchsize",
                "most prompt tokens computed in one step");
  }

  void append(std::vector<std::string>& arguments) const {
    if (!device_layers.empty()) {
      throw Error(ErrorKind::kUnsupported,
                  "--num-device-layers: this program runs models on the processor only");
    }
    if (!isq.empty()) {
      throw Error(ErrorKind::kUnsupported, "--isq: quantisation while loading is not supported");
    }
    if (!chat_template.empty() && !chat_template.ends_with(".json")) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "--chat-template: '{}', expected a file whose name ends in .json",
                       chat_template);
    }
    if (!memory_usage.empty()) log::warn("--pa-gpu-mem-usage has no effect without a GPU");
    if (no_paged_attention) log::warn("--no-paged-attn has no effect: the cache is always paged");
    passed.append(arguments);
    arguments.push_back("--serve-ip=" + address);
    if (!port.empty()) arguments.push_back("--port=" + port);
    if (interactive) arguments.emplace_back("--interactive-mode");
    arguments.push_back("--max-seqs=" + max_sequences);
    if (!chat_template.empty()) arguments.push_back("--chat-template=" + chat_template);
  }
};

enum class Model { kPlain, kGguf, kGgml, kToml, kMissing };

// A kind of model and its options.
struct Kind {
  const char* name;
  const char* help;
  Model model;
  const char* missing;  // what there is no support for
};
constexpr Kind kKinds[] = {
    {"plain", "a model folder or id", Model::kPlain, ""},
    {"x-lora", "not supported", Model::kMissing, "X-LoRA adapters"},
    {"lora", "not supported", Model::kMissing, "LoRA adapters"},
    {"gguf", "a GGUF model", Model::kGguf, ""},
    {"x-lora-gguf", "not supported", Model::kMissing, "X-LoRA adapters"},
    {"lora-gguf", "not supported", Model::kMissing, "LoRA adapters"},
    {"ggml", "a GGML model", Model::kGgml, ""},
    {"x-lora-ggml", "not supported", Model::kMissing, "X-LoRA adapters"},
    {"lora-ggml", "not supported", Model::kMissing, "LoRA adapters"},
    {"vision-plain", "not supported", Model::kMissing, "models that see images"},
    {"diffusion-plain", "not supported", Model::kMissing, "models that make images"},
    {"toml", "the model that a TOML file names", Model::kToml, ""},
};

void add_model_options(CLI::App& app, const Kind& kind, Arguments& arguments) {
  switch (kind.model) {
    case Model::kPlain:
      arguments.text(app, "-m,--model-id", "--model-id", "folder or id of the model")->required();
      arguments.text(app, "-t,--tokenizer-json", "--tokenizer-json", "tokenizer.json to use");
      arguments.text(app, "-a,--arch", "--arch", "architecture of the model");
      arguments.text(app, "-d,--dtype", "--dtype", "auto, f32, f16 or bf16");
      arguments.text(app, "--topology", "--topology", "not supported");
      arguments.text(app, "-o,--organization", "--organization", "not supported");
      arguments.text(app, "-w,--write-uqff", "--write-uqff", "not supported");
      arguments.text(app, "-f,--from-uqff", "--from-uqff", "not supported");
      break;
    case Model::kGguf:
      arguments.text(app, "-t,--tok-model-id", "--tok-model-id",
                     "model whose tokenizer and template are used");
      arguments.text(app, "-m,--quantized-model-id", "--quantized-model-id", "folder or id")
          ->required();
      arguments
          .text(app, "-f,--quantized-filename", "--quantized-filename",
                "file; shards separated by a space")
          ->required();
      arguments.text(app, "--topology", "--topology", "not supported");
      break;
    case Model::kGgml:
      arguments
          .text(app, "-t,--tok-model-id", "--tok-model-id",
                "model whose tokenizer and template are used")
          ->required();
      arguments.text(app, "--tokenizer-json", "--tokenizer-json", "tokenizer.json to use");
      arguments.text(app, "-m,--quantized-model-id", "--quantized-model-id", "folder or id")
          ->required();
      arguments.text(app, "-f,--quantized-filename", "--quantized-filename", "file")->required();
      arguments.text(app, "-g,--gqa", "--gqa", "query heads for each key-value head");
      arguments.text(app, "--topology", "--topology", "not supported");
      break;
    case Model::kToml:
      arguments.text(app, "-f,--file", "--file", "the file")->required();
      break;
    case Model::kMissing:
      app.allow_extras();
      break;
  }
}

int run(std::vector<std::string> words) {
  CLI::App app("Serves OpenAI's API over HTTP, with the command line of mistralrs-server.",
               "mistralcpp-server");
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("-V,--version", version_text(), "the version");
  GlobalOptions global;
  global.add(app);
  std::vector<Arguments> arguments(std::size(kKinds));
  std::vector<CLI::App*> kinds;
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    CLI::App* kind = app.add_subcommand(kKinds[i].name, kKinds[i].help);
    kind->set_help_flag("-h,--help", "this text");
    add_model_options(*kind, kKinds[i], arguments[i]);
    kinds.push_back(kind);
  }
  app.require_subcommand(1);
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  try {
    std::ranges::reverse(words);  // as the parser wants them
    app.parse(std::move(words));
  } catch (const CLI::CallForVersion&) {
    print(version_text() + "\n");
    return 0;
  } catch (const CLI::CallForHelp&) {
    print(app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail_usage(error.what(), app.help());
  }
  const auto parsed = static_cast<std::size_t>(
      std::ranges::find(kinds, app.get_subcommands().front()) - kinds.begin());
  if (kKinds[parsed].model == Model::kMissing) {
    throw make_error(ErrorKind::kUnsupported, "{}: {} are not supported", kKinds[parsed].name,
                     kKinds[parsed].missing);
  }
  if (global.port.empty() && !global.interactive) {
    return fail_usage("which port? --port is required unless -i (--interactive-mode) is given",
                      app.help());
  }
  std::vector<std::string> serve = {kKinds[parsed].name};
  global.append(serve);
  arguments[parsed].append(serve);
  return run_command(*find_command("serve"), std::move(serve), "");
}

}  // namespace

int run_server_program(int argc, const char* const* argv) {
  return guarded([&] {
    const int code = run({argv + std::min(argc, 1), argv + argc});
    flush_output();
    return code;
  });
}

}  // namespace mistral::cli
