// The tools that a request offers to the model.
#pragma once

#include <string>

#include "core/json.h"
#include "server/api/fields.h"

namespace mistral::server {

struct ToolSettings {
  Json tools = Json::array();  // for the template; empty: none
  bool may_call = false;       // calls are looked for in the answer
  bool must_call = false;      // the answer is calls only
  std::string name;            // of the only tool that may be called; empty: any
  bool parallel = true;        // more than one of them

  // A tool's arguments are to follow its schema.
  [[nodiscard]] bool any_strict() const;
};

// Throws ApiError that names the field.
[[nodiscard]] ToolSettings read_tools(const Fields& fields);

}  // namespace mistral::server
