#include "server/api/constraint.h"

#include <string>

namespace mistral::server {

void apply_constraint(const Fields& fields, const ToolSettings& tools, engine::Request& request) {
  (void)tools;
  (void)request;
  if (const Json* format = fields.object("response_format")) {
    const Fields inside(*format, "response_format.");
    const auto type = inside.word("type", {"text", "json_object", "json_schema"});
    if (!type) inside.missing("type");
    if (*type != "text") {
      inside.unsupported("type", "answers cannot be held to a form by this server.");
    }
  }
  for (const char* name : {"grammar", "guided_json", "guided_regex", "guided_choice",
                           "guided_grammar", "structured_outputs"}) {
    if (fields.has(name)) {
      fields.unsupported(name, "answers cannot be held to a grammar by this server.");
    }
  }
}

}  // namespace mistral::server
