// "unevaluatedProperties" and "unevaluatedItems": what no keyword beside them speaks of, nor one in
// a schema that holds for the same value. That is a fixed set of names, patterns and places as long
// as the others always hold ("allOf", "$ref"). Schemas that hold for some values only must not add
// to it.
#include <algorithm>

#include "text/grammar/schema_reader.h"

namespace mistral::grammar {
// `own`: the schema whose unevaluated parts are asked for.
void SchemaReader::collect(const Json& schema, bool own, Evaluated& out,
                           std::vector<const Json*>& conditional,
                           std::set<const Json*>& seen) const {
  if (!schema.is_object() || !seen.insert(&schema).second) return;
  algebra_.budget().tick();
  const auto names_of = [&](const char* keyword, std::set<std::string>& names) {
    const Json* all = member(schema, keyword);
    if (all == nullptr || !all->is_object()) return;
    for (const auto& [name, value] : all->items()) names.insert(name);
  };
  names_of("properties", out.names);
  names_of("patternProperties", out.patterns);
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

  if (const Json* all = member(schema, "allOf"); all != nullptr && all->is_array()) {
    for (const Json& branch : *all) collect(branch, false, out, conditional, seen);
  }
  if (schema.contains("$ref")) collect(target_of(schema), false, out, conditional, seen);
  for (const char* keyword : {"anyOf", "oneOf", "dependentSchemas", "dependencies"}) {
    const Json* branches = member(schema, keyword);
    if (branches == nullptr || !branches->is_structured()) continue;
    for (const Json& branch : *branches) conditional.push_back(&branch);
  }
  for (const char* keyword : {"if", "then", "else"}) {
    if (const Json* branch = member(schema, keyword)) conditional.push_back(branch);
  }
}

const Json* SchemaReader::unevaluated(const Json& schema, const char* keyword,
                                      Evaluated& evaluated) const {
  const Json* value = member(schema, keyword);
  if (value == nullptr || *value == Json(true) || *value == Json::object()) return nullptr;
  std::vector<const Json*> conditional;
  std::set<const Json*> seen;
  collect(schema, true, evaluated, conditional, seen);
  const bool names = keyword == std::string_view("unevaluatedProperties");
  if (names ? evaluated.all_names : evaluated.all_elements) return nullptr;
  Evaluated sometimes = evaluated;
  for (std::size_t i = 0; i < conditional.size(); ++i) {  // grows meanwhile
    collect(*conditional[i], false, sometimes, conditional, seen);
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
