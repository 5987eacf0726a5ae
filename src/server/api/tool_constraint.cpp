#include "server/api/tool_constraint.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"
#include "text/grammar/constraint.h"
#include "text/tool_calls/tool_call_format.h"

namespace mistral::server {
namespace {

using Format = text::ToolCallFormat;

const Format& own_format(const Service& service) {
  const text::ChatTemplate* source = tool_template(service.model());
  return text::tool_call_format(source == nullptr ? std::string_view() : source->source(),
                                service.model().tokenizer.get());
}

Json schema_of(const Json& function) {
  const auto parameters = function.find("parameters");
  const bool none = parameters == function.end() || parameters->is_null();
  return none ? Json{{"type", "object"}} : *parameters;
}

// How a call of a tool begins and ends within the marks of a format. The JSON of `compact` ones has
// no spaces.
Json make_tag(const Format& format, const std::string& name, Json schema, bool compact = false) {
  std::string begin = format.call_begin;
  std::string end = format.call_end;
  if (format.shape == Format::Shape::kNameFirst) {
    begin += name + format.name_end;
  } else {
    const char* const space = compact ? "" : " ";
    begin += fmt::format(R"({{"{}":{}{},{}"{}":{})", format.name_key, space, Json(name).dump(),
                         space, format.arguments_key, space);
    end = "}" + end;
  }
  return {{"begin", std::move(begin)}, {"schema", std::move(schema)}, {"end", std::move(end)}};
}

std::string separator_of(const Format& format) {
  return format.separator.empty() ? "\n" : format.separator;
}

// Where the prompt ends with the mark of a name, the separator is that mark.
void add_name_first(const Format& format, const Json& tag, Json& tags) {
  Json first = tag;
  first["at_start"] = true;
  tags.push_back(std::move(first));
  Json later = tag;
  later["begin"] = format.separator + tag["begin"].get<std::string>();
  tags.push_back(std::move(later));
}

// The schema's own order, which is the one that a grammar of it knows.
Json in_order(const Json& schema, const Json& value) {
  if (!schema.is_object()) return value;
  if (value.is_array()) {
    const auto items = schema.find("items");
    if (items == schema.end()) return value;
    Json list = Json::array();
    for (const Json& item : value) list.push_back(in_order(*items, item));
    return list;
  }
  const auto properties = schema.find("properties");
  if (!value.is_object() || properties == schema.end() || !properties->is_object()) return value;
  Json object = Json::object();
  for (const auto& [key, property] : properties->items()) {
    const auto found = value.find(key);
    if (found != value.end()) object[key] = in_order(property, *found);
  }
  for (const auto& [key, item] : value.items()) {
    if (!object.contains(key)) object[key] = item;
  }
  return object;
}

bool follows(const grammar::CompiledConstraint& constraint, const std::string& text) {
  const auto machine = constraint.start();
  for (const char c : text) {
    if (!machine->push(static_cast<std::uint8_t>(c))) return false;
  }
  return machine->accepts();
}

}  // namespace

Constraint required_calls(const Service& service, const ToolSettings& tools) {
  const Format& format = text::json_tool_call_format(own_format(service));
  Json tags = Json::array();
  for (const Json& tool : tools.tools) {
    const Json& function = tool["function"];
    const auto& name = function["name"].get_ref<const std::string&>();
    if (!tools.name.empty() && name != tools.name) continue;
    tags.push_back(make_tag(format, name, schema_of(function)));
  }
  Json tagged = {{"tags", std::move(tags)}, {"least", 1}};
  if (!tools.parallel || !format.parallel || !tools.name.empty()) tagged["most"] = 1;
  tagged["open"] = format.begin;
  tagged["close"] = format.end;
  tagged["separator"] = separator_of(format);
  return {Constraint::Kind::kTagged, tagged.dump()};
}

Constraint strict_calls(const Service& service, const ToolSettings& tools) {
  const Format& own = own_format(service);
  const Format& format = text::json_tool_call_format(own);
  const bool marked = !format.triggers.empty() && !format.name_first;
  Json tags = Json::array();
  Json triggers = Json::array();
  for (const Json& tool : tools.tools) {
    const Json& function = tool["function"];
    const auto& name = function["name"].get_ref<const std::string&>();
    const bool strict = function.contains("strict") && function["strict"] == true;
    const Json schema = strict ? schema_of(function) : Json{{"type", "object"}};
    const Json tag = make_tag(format, name, schema);
    if (format.name_first) {
      add_name_first(format, tag, tags);
      continue;
    }
    tags.push_back(tag);
    if (marked) continue;
    // Without a mark, what tells a call from other JSON is the name.
    tags.push_back(make_tag(format, name, schema, /*compact=*/true));
    for (const char* const space : {" ", ""}) {
      triggers.push_back(fmt::format(R"({{"{}":{}{})", format.name_key, space, Json(name).dump()));
    }
  }
  Json tagged = {{"tags", std::move(tags)}, {"free_text", true}};
  if (marked) {
    for (const std::string& trigger : format.triggers) triggers.push_back(trigger);
    tagged["open"] = format.begin;
    tagged["close"] = format.end;
    tagged["separator"] = separator_of(format);
  }
  tagged["triggers"] = std::move(triggers);
  if (!tools.parallel) tagged["most"] = 1;
  return {Constraint::Kind::kTagged, tagged.dump()};
}

text::ToolCallParser::Accepts strict_check(const Service& service, const ToolSettings& tools) {
  struct Strict {
    Json schema;
    std::shared_ptr<const grammar::CompiledConstraint> compiled;
  };
  const auto strict = std::make_shared<std::map<std::string, Strict>>();
  for (std::size_t i = 0; i < tools.tools.size(); ++i) {
    const Json& function = tools.tools[i]["function"];
    if (!function.contains("strict") || function["strict"] != true) continue;
    Strict one{.schema = schema_of(function), .compiled = nullptr};
    one.compiled = compile_for(service, fmt::format("tools[{}].function.parameters", i),
                               {Constraint::Kind::kJsonSchema, one.schema.dump()});
    strict->insert_or_assign(function["name"].get<std::string>(), std::move(one));
  }
  if (strict->empty()) return {};
  return [strict](const text::ToolCall& call) {
    const auto found = strict->find(call.name);
    if (found == strict->end()) return true;
    const Json arguments = Json::parse(call.arguments, nullptr, /*allow_exceptions=*/false);
    const auto& [schema, compiled] = found->second;
    return !arguments.is_discarded() && follows(*compiled, dump(in_order(schema, arguments)));
  };
}

}  // namespace mistral::server
