// `info`: what a model is, checked as loading would check it.
#include <string>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/memory_size.h"
#include "cli/options.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/json.h"
#include "engine/block_manager.h"
#include "models/inspect.h"

namespace mistral::cli {

namespace {

constexpr std::int64_t kMaxContext = std::int64_t{1} << 28;
constexpr std::int64_t kMaxSequences = 1 << 16;

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}
std::string grouped(std::int64_t number) {
  return grouped(static_cast<std::uint64_t>(number));
}

std::string scaled(std::int64_t parameters) {
  const auto number = static_cast<double>(parameters);
  if (number >= 1e9) return fmt::format(" ({:.2f} B)", number / 1e9);
  if (number >= 1e6) return fmt::format(" ({:.1f} M)", number / 1e6);
  return "";
}

std::string mebibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

// Memory for sequences that run together.
struct Usage {
  std::int64_t context = 0;  // tokens of each
  std::int64_t sequences = 1;
  std::uint64_t cache = 0;
  std::uint64_t total = 0;
};

// Counted as the engine counts, so windows, chunks and latent vectors are what they save.
Usage usage_of(const models::ModelFacts& facts, std::int64_t sequences) {
  Usage usage{facts.memory.context, sequences, 0, 0};
  const engine::BlockManager blocks(facts.cache_groups, facts.memory.block_size, 0);
  const std::int64_t bytes = blocks.peak_bytes(usage.context);
  if (bytes > kMostMemory / sequences) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a KV cache for {} sequences of {} tokens, {} bytes each, is beyond what any "
                     "machine has",
                     sequences, usage.context, bytes);
  }
  usage.cache = static_cast<std::uint64_t>(bytes * sequences);
  usage.total = facts.memory.weights + facts.memory.buffers + usage.cache;
  return usage;
}

std::string group_types(const models::GroupFacts& group) {
  std::string text;
  for (const models::TypeCount& type : group.types) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", type.type, mebibytes(type.bytes));
  }
  return text;
}

std::string as_text(const models::ModelFacts& facts, const Usage& usage) {
  std::string text;
  const auto row = [&text](std::string_view key, const std::string& value) {
    text += fmt::format("{:<16} {}\n", key, one_line(value));
  };
  row("name", facts.name);
  row("kind", facts.kind);
  row("architecture", facts.architecture);
  row("parameters", grouped(facts.parameters) + scaled(facts.parameters));
  row("layers", grouped(facts.layers));
  row("hidden size", grouped(facts.hidden_size));
  row("heads", fmt::format("{} ({} for keys and values)", facts.heads, facts.kv_heads));
  row("context length", grouped(facts.context_length));
  row("vocabulary", grouped(facts.vocab_size));
  row("tokenizer", facts.tokenizer);
  row("chat template", facts.has_chat_template ? "found" : "not found");
  row("weights",
      fmt::format("{} bytes ({})", grouped(facts.weight_bytes), mebibytes(facts.weight_bytes)));
  for (const models::TypeCount& type : facts.types) {
    row(fmt::format("  {}", type.type), fmt::format("{} tensors, {} bytes ({})", type.tensors,
                                                    grouped(type.bytes), mebibytes(type.bytes)));
  }
  for (const models::GroupFacts& group : facts.groups) {
    row(std::string(models::name(group.group)),
        fmt::format("{} parameters: {}", grouped(group.parameters), group_types(group)));
  }
  row("memory", fmt::format("{} for {} of {} tokens", mebibytes(usage.total),
                            usage.sequences == 1 ? "a sequence"
                                                 : fmt::format("{} sequences", usage.sequences),
                            grouped(usage.context)));
  row("  weights", mebibytes(facts.memory.weights));
  row("  KV cache",
      fmt::format("{} ({})", mebibytes(usage.cache), ops::name(facts.memory.cache_dtype)));
  row("  buffers", mebibytes(facts.memory.buffers));
  return text;
}

Json types_as_json(const std::vector<models::TypeCount>& types) {
  Json json = Json::array();
  for (const models::TypeCount& type : types) {
    json.push_back({{"type", type.type}, {"tensors", type.tensors}, {"bytes", type.bytes}});
  }
  return json;
}

std::string as_json(const models::ModelFacts& facts, const Usage& usage) {
  Json json;
  json["name"] = facts.name;
  json["kind"] = facts.kind;
  json["architecture"] = facts.architecture;
  json["parameters"] = facts.parameters;
  json["layers"] = facts.layers;
  json["hidden_size"] = facts.hidden_size;
  json["heads"] = facts.heads;
  json["kv_heads"] = facts.kv_heads;
  json["context_length"] = facts.context_length;
  json["vocab_size"] = facts.vocab_size;
  json["tokenizer"] = facts.tokenizer;
  json["has_chat_template"] = facts.has_chat_template;
  json["weight_bytes"] = facts.weight_bytes;
  json["types"] = types_as_json(facts.types);
  json["groups"] = Json::array();
  for (const models::GroupFacts& group : facts.groups) {
    json["groups"].push_back({{"group", models::name(group.group)},
                              {"parameters", group.parameters},
                              {"types", types_as_json(group.types)}});
  }
  json["memory"] = {{"context", usage.context},
                    {"sequences", usage.sequences},
                    {"weight_bytes", facts.memory.weights},
                    {"kv_cache_bytes", usage.cache},
                    {"kv_cache_dtype", ops::name(facts.memory.cache_dtype)},
                    {"buffer_bytes", facts.memory.buffers},
                    {"total_bytes", usage.total}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

class InfoCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app, "FILE", "the model, as -m");
    app.add_option("--context,-c,--ctx", context_,
                   "tokens of a sequence to tell the memory for (default: the model's most)")
        ->check(CLI::Range(std::int64_t{1}, kMaxContext))
        ->type_name("TOKENS");
    app.add_option("--max-seqs", sequences_, "sequences that run together (default: 1)")
        ->check(CLI::Range(std::int64_t{1}, kMaxSequences))
        ->type_name("N");
    storage_.add_options(app);
    app.add_flag("--json", json_, "print JSON");
  }

  int execute() override {
    const std::vector<std::string> paths = selector_.rest();
    if (paths.size() > 1) throw UsageError("expected one model");
    if (!paths.empty() && selector_.given()) {
      throw UsageError("the model is given twice: as an argument and with -m");
    }
    const models::ModelPath path =
        paths.empty() ? selector_.locate() : selector_.locate(paths.front());
    models::LoadOptions options;
    storage_.set(options);
    options.context_length = context_;
    options.logit_rows = static_cast<std::int32_t>(sequences_);
    const models::ModelFacts facts = models::inspect(path, options);
    const Usage usage = usage_of(facts, sequences_);
    print(json_ ? as_json(facts, usage) : as_text(facts, usage));
    return 0;
  }

 private:
  ModelSelector selector_;
  std::int64_t context_ = 0;
  std::int64_t sequences_ = 1;
  StorageOptions storage_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info() {
  return std::make_unique<InfoCommand>();
}

}  // namespace mistral::cli
