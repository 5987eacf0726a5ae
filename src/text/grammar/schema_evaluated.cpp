// "unevaluatedProperties" and "unevaluatedItems": what no keyword beside them speaks of, nor one in
// a schema that holds for the same value. That is a fixed set of names, patterns and places as long
// as the others always hold ("allOf", "$ref"). Schemas that hold for some values only must not add
// to it.
#include <algorithm>

#include "text/grammar/schema_reader.h"

namespace mistral::grammar {

// Adds what `schema` says by itself. `own`: it is the one whose unevaluated parts are asked for.
void SchemaReader::add_evaluated(const Json& schema, bool own, Evaluated& out) const {
  const auto add_names = [&](const char* keyword, std::set<std::string>& names) {
    const Json* all = member(schema, keyword);
    if (all == nullptr || !all->is_object()) return;
    for (const auto& [name, value] : all->items()) {
      algebra_.budget().tick();
      names.insert(name);
    }
  };
  add_names("properties", out.names);
  add_names("patternProperties", out.patterns);
  out.all_names = out.all_names || schema.contains("additionalProperties") ||
                  (!own && schema.contains("unevaluatedProperties"));
  const Json* items = member(schema, "items");
  const bool listed = items != nullptr && items->is_array();  // older drafts
  const Json* first = listed ? items : member(schema, "prefixItems");
  if (first != nullptr) out.elements = std::max(out.elements, first->size());
  out.all_elements = out.all_elements || (items != nullptr && !listed) ||
                     (listed && schema.contains("additionalItems")) ||
                     (!own && schema.contains("unevaluatedItems"));
  out.contains = out.contains || schema.contains("contains");
}

// `todo`: schemas that hold whenever each other does. Those that hold sometimes go to
// `conditional`. References may make long chains, so this does not recurse.
void SchemaReader::collect(std::vector<const Json*> todo, const Json* own, Evaluated& out,
                           std::vector<const Json*>& conditional,
                           std::set<const Json*>& seen) const {
  while (!todo.empty()) {
    algebra_.budget().tick();
    const Json& schema = *todo.back();
    todo.pop_back();
    if (!schema.is_object() || !seen.insert(&schema).second) continue;
    add_evaluated(schema, &schema == own, out);
    if (const Json* all = member(schema, "allOf"); all != nullptr && all->is_array()) {
      for (const Json& branch : *all) todo.push_back(&branch);
    }
    if (schema.contains("$ref")) todo.push_back(&target_of(schema));
    for (const char* keyword : {"anyOf", "oneOf", "dependentSchemas", "dependencies"}) {
      const Json* branches = member(schema, keyword);
      if (branches == nullptr || !branches->is_structured()) continue;
      for (const Json& branch : *branches) conditional.push_back(&branch);
    }
    for (const char* keyword : {"if", "then", "else"}) {
      if (const Json* branch = member(schema, keyword)) conditional.push_back(branch);
    }
  }
}

const Json* SchemaReader::unevaluated(const Json& schema, const char* keyword,
                                      Evaluated& evaluated) const {
  const Json* value = member(schema, keyword);
  if (value == nullptr || *value == Json(true) || *value == Json::object()) return nullptr;
  std::vector<const Json*> conditional;
  std::set<const Json*> seen;
  collect({&schema}, &schema, evaluated, conditional, seen);
  const bool names = keyword == std::string_view("unevaluatedProperties");
  if (names ? evaluated.all_names : evaluated.all_elements) return nullptr;
  Evaluated sometimes = evaluated;
  for (std::size_t i = 0; i < conditional.size(); ++i) {  // grows meanwhile
    collect({conditional[i]}, nullptr, sometimes, conditional, seen);
  }
  const bool fixed = names ? !sometimes.all_names && sometimes.names == evaluated.names &&
                                 sometimes.patterns == evaluated.patterns
                           : !sometimes.all_elements && !sometimes.contains &&
                                 sometimes.elements == evaluated.elements;
  if (!fixed) {
    fail(schema, keyword,
         "the keyword cannot be enforced exactly where other keywords decide by the value what "
         "they speak of");
  }
  return value;
}

}  // namespace mistral::grammar
