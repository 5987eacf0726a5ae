// The tools that a request offers to the model.
#pragma once

#include "core/json.h"
#include "server/api/fields.h"

namespace mistral::server {

struct ToolSettings {
  Json tools = Json::array();  // for the template; empty: none
};

// Throws ApiError that names the field.
[[nodiscard]] ToolSettings read_tools(const Fields& fields);

}  // namespace mistral::server
