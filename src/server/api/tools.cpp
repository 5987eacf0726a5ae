#include "server/api/tools.h"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "server/api/error.h"

namespace mistral::server {
namespace {

void check_tool(const Json& tool, std::size_t index) {
  const std::string at = fmt::format("tools[{}]", index);
  if (!tool.is_object()) {
    throw ApiError(at,
                   fmt::format("Invalid type for '{}': expected an object, but got {} instead.", at,
                               kind_of(tool)),
                   "invalid_type");
  }
  const Fields fields(tool, at + ".");
  if (const auto type = fields.word("type", {"function"}); !type) fields.missing("type");
  const Json* function = fields.object("function");
  if (function == nullptr) fields.missing("function");
  const Fields inside(*function, at + ".function.");
  const auto name = inside.string("name");
  if (!name) inside.missing("name");
  if (name->empty()) inside.wrong_value("name", "it is empty.");
  (void)inside.string("description");
  (void)inside.object("parameters");
  (void)inside.boolean("strict");
}

// The name of the tool that {"type": "function", "function": {"name": …}} chooses.
std::string read_choice(const Json& choice, const Json& tools) {
  const Fields fields(choice, "tool_choice.");
  if (const auto type = fields.word("type", {"function"}); !type) fields.missing("type");
  const Json* function = fields.object("function");
  if (function == nullptr) fields.missing("function");
  const Fields inside(*function, "tool_choice.function.");
  const auto name = inside.string("name");
  if (!name) inside.missing("name");
  const bool known = std::ranges::any_of(
      tools, [&](const Json& tool) { return tool["function"]["name"] == *name; });
  if (!known) inside.wrong_value("name", "there is no such tool.");
  return *name;
}

}  // namespace

bool ToolSettings::any_strict() const {
  return std::ranges::any_of(tools, [](const Json& tool) {
    const Json& function = tool["function"];
    return function.contains("strict") && function["strict"] == true;
  });
}

ToolSettings read_tools(const Fields& fields) {
  ToolSettings settings;
  for (const char* name : {"functions", "function_call"}) {
    if (fields.has(name)) fields.unsupported(name, "use 'tools' and 'tool_choice' instead.");
  }
  settings.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  if (const Json* tools = fields.array("tools")) {
    for (std::size_t i = 0; i < tools->size(); ++i) check_tool((*tools)[i], i);
    settings.tools = *tools;
  }
  std::string choice = settings.tools.empty() ? "none" : "auto";
  if (const Json* given = fields.find("tool_choice")) {
    if (given->is_object()) {
      choice = "named";
      settings.name = read_choice(*given, settings.tools);
    } else {
      choice = *fields.word("tool_choice", {"none", "auto", "required"});
    }
    if (settings.tools.empty() && choice != "none" && choice != "auto") {
      fields.wrong_value("tool_choice", "it asks for a call, but there are no 'tools'.");
    }
  }
  // With "none" the model may read of the tools, but does not call them.
  settings.may_call = choice != "none";
  settings.must_call = choice == "required" || choice == "named";
  return settings;
}

}  // namespace mistral::server
