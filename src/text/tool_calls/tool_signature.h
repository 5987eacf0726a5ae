// What a reader of calls must know of the tools that a model was offered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace mistral::text {

struct ToolParameter {
  std::string name;
  // The value is a text, whatever it looks like: 007 stays "007".
  bool text = false;
  bool nullable = false;
};

struct ToolSignature {
  std::string name;
  std::vector<ToolParameter> parameters;
};

// Tools by name.
class ToolSet {
 public:
  ToolSet() = default;
  explicit ToolSet(std::vector<ToolSignature> tools);

  [[nodiscard]] const ToolSignature* find(std::string_view name) const;
  [[nodiscard]] bool begins_any(std::string_view prefix) const;
  [[nodiscard]] bool empty() const { return tools_.empty(); }
  // The value of an argument that a model wrote without quotes, as JSON: what the tool's schema
  // says; without a schema what it looks like.
  [[nodiscard]] std::string argument(std::string_view tool, std::string_view parameter,
                                     std::string_view written) const;

 private:
  std::vector<ToolSignature> tools_;  // in order of names
};

// Reads OpenAI's list of tools ({"type": "function", "function": {"name", "parameters"}}), also one
// without the wrapping. Entries without a name are passed over: who serves requests refuses them.
[[nodiscard]] ToolSet tool_set(const Json& tools);

}  // namespace mistral::text
