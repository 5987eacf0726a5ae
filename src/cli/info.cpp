// `info`: what a model is, checked as loading would check it.
#include <string>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "core/json.h"
#include "models/inspect.h"

namespace mistral::cli {

namespace {

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

std::string as_text(const models::ModelFacts& facts) {
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
  return text;
}

std::string as_json(const models::ModelFacts& facts) {
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
  json["types"] = Json::array();
  for (const models::TypeCount& type : facts.types) {
    json["types"].push_back(
        {{"type", type.type}, {"tensors", type.tensors}, {"bytes", type.bytes}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

class InfoCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app, "FILE", "the model, as -m");
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
    const models::ModelFacts facts = models::inspect(path);
    print(json_ ? as_json(facts) : as_text(facts));
    return 0;
  }

 private:
  ModelSelector selector_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info() {
  return std::make_unique<InfoCommand>();
}

}  // namespace mistral::cli
