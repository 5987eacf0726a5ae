#include "server/api/constraint.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "server/api/error.h"
#include "server/api/tool_constraint.h"

namespace mistral::server {
namespace {

using Kind = Constraint::Kind;

// A constraint and the field that asks for it.
struct Demand {
  std::string field;
  Constraint constraint;
};

std::string schema_text(const Fields& fields, std::string_view name) {
  const Json* schema = fields.find(name);
  if (schema == nullptr) fields.missing(name);
  if (schema->is_string()) return schema->get<std::string>();
  if (!schema->is_object() && !schema->is_boolean()) fields.wrong_type(name, "a JSON schema");
  return schema->dump();
}

std::optional<Demand> read_response_format(const Fields& fields) {
  const Json* format = fields.object("response_format");
  if (format == nullptr) return std::nullopt;
  const Fields inside(*format, "response_format.");
  const auto type = inside.word("type", {"text", "json_object", "json_schema"});
  if (!type) inside.missing("type");
  if (*type == "text") return std::nullopt;
  if (*type == "json_object") return Demand{"response_format", {Kind::kJsonObject, {}}};
  const Json* named = inside.object("json_schema");
  if (named == nullptr) inside.missing("json_schema");
  const Fields schema(*named, "response_format.json_schema.");
  (void)schema.string("name");
  (void)schema.string("description");
  (void)schema.boolean("strict");
  return Demand{schema.path("schema"), {Kind::kJsonSchema, schema_text(schema, "schema")}};
}

std::optional<Demand> read_grammar(const Fields& fields) {
  const Json* grammar = fields.object("grammar");
  if (grammar == nullptr) return std::nullopt;
  const Fields inside(*grammar, "grammar.");
  const auto type = inside.word("type", {"regex", "yacc", "lark", "gbnf", "json_schema"});
  if (!type) inside.missing("type");
  if (*type == "json_schema") {
    return Demand{inside.path("value"), {Kind::kJsonSchema, schema_text(inside, "value")}};
  }
  const auto value = inside.string("value");
  if (!value) inside.missing("value");
  const Kind kind = *type == "regex"  ? Kind::kRegex
                    : *type == "yacc" ? Kind::kYacc
                    : *type == "lark" ? Kind::kLark
                                      : Kind::kGbnf;
  return Demand{inside.path("value"), {kind, *value}};
}

// Any of the texts, as a schema would say it, but without quotes.
std::string alternatives(const std::vector<std::string>& texts) {
  std::string regex;
  for (const std::string& text : texts) {
    regex += regex.empty() ? "(?:" : "|";
    for (const char c : text) {
      if (std::string_view(R"(\.+*?()|[]{}^$#&-~)").find(c) != std::string_view::npos)
        regex += '\\';
      regex += c;
    }
  }
  return regex + ")";
}

// vLLM's names, alone or together in `structured_outputs`: each that is there.
void read_guided(const Fields& fields, const std::string& prefix, std::vector<Demand>& demands) {
  const std::string json = prefix + "json";
  const std::string regex = prefix + "regex";
  const std::string choice = prefix + "choice";
  const std::string grammar = prefix + "grammar";
  if (fields.has(json)) {
    demands.push_back({fields.path(json), {Kind::kJsonSchema, schema_text(fields, json)}});
  }
  if (const auto text = fields.string(regex)) {
    demands.push_back({fields.path(regex), {Kind::kRegex, *text}});
  }
  if (const auto texts = fields.strings(choice)) {
    if (texts->empty()) fields.wrong_value(choice, "it is empty.");
    demands.push_back({fields.path(choice), {Kind::kRegex, alternatives(*texts)}});
  }
  if (const auto text = fields.string(grammar)) {
    demands.push_back({fields.path(grammar), {Kind::kGbnf, *text}});
  }
}

void read_structured_outputs(const Fields& fields, std::vector<Demand>& demands) {
  constexpr const char* kName = "structured_outputs";
  const Json* outputs = fields.object(kName);
  if (outputs == nullptr) return;
  const Fields inside(*outputs, "structured_outputs.");
  for (const char* name : {"structural_tag", "whitespace_pattern"}) {
    if (inside.has(name)) inside.unsupported(name, "it cannot be enforced.");
  }
  const std::size_t before = demands.size();
  read_guided(inside, "", demands);
  const auto object = inside.boolean("json_object");
  if (object.value_or(false)) {
    demands.push_back({inside.path("json_object"), {Kind::kJsonObject, {}}});
  }
  if (demands.size() == before && !object) {
    fields.wrong_value(kName, "expected 'json', 'regex', 'choice', 'grammar' or 'json_object'.");
  }
}

}  // namespace

void apply_constraint(const Service& service, const Fields& fields, const ToolSettings& tools,
                      engine::Request& request) {
  std::vector<Demand> demands;
  const auto add = [&](std::optional<Demand> demand) {
    if (demand) demands.push_back(std::move(*demand));
  };
  add(read_response_format(fields));
  add(read_grammar(fields));
  read_guided(fields, "guided_", demands);
  read_structured_outputs(fields, demands);
  if (tools.must_call) demands.push_back({"tools", required_calls(service, tools)});
  // Where the whole answer has a form, it is no call, so that nothing is left to enforce.
  if (demands.empty() && tools.may_call && tools.any_strict()) {
    demands.push_back({"tools", strict_calls(service, tools)});
  }
  if (demands.empty()) return;
  if (demands.size() > 1) {
    throw ApiError(demands[1].field,
                   fmt::format("'{}' and '{}' both say what form the answer has; expected one.",
                               demands[0].field, demands[1].field));
  }
  request.constraint = compile_for(service, demands.front().field, demands.front().constraint,
                                   request.shows_tool_marks);
}

}  // namespace mistral::server
