// What single keywords of a schema say about strings, numbers, arrays and objects.
#include <algorithm>

#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_reader.h"
#include "text/grammar/schema_strings.h"

namespace mistral::grammar {
namespace {

constexpr std::size_t kMostPatterns = 6;

}  // namespace

const Dfa& SchemaReader::string_limit(const Json& schema, const std::string& keyword,
                                      const Json& value) {
  const std::pair key(keyword, value.dump());
  auto found = string_limits_.find(key);
  if (found == string_limits_.end()) {
    found = string_limits_.emplace(key, make_string_limit(schema, keyword, value)).first;
  }
  return found->second;
}

Dfa SchemaReader::make_string_limit(const Json& schema, const std::string& keyword,
                                    const Json& value) {
  Budget& budget = algebra_.budget();
  if (keyword == "minLength" || keyword == "maxLength") {
    const std::uint64_t length = count(schema, keyword.c_str());
    return at(schema, keyword, [&] {
      return keyword == "minLength" ? strings_of_length(length, std::nullopt, budget)
                                    : strings_of_length(0, length, budget);
    });
  }
  if (!value.is_string()) fail(schema, keyword, "expected a string");
  const std::string text = value.get<std::string>();
  if (keyword == "pattern") {
    return at(schema, keyword, [&] { return strings_with_pattern(text, budget); });
  }
  switch (format_support(text)) {
    case FormatSupport::kRefused:
      fail(schema, keyword, fmt::format("the format '{}' cannot be enforced exactly", text));
    case FormatSupport::kIgnored:
      return algebra_.all_strings();
    case FormatSupport::kEnforced:
      break;
  }
  return at(schema, keyword, [&] { return strings_of_format(text, budget); });
}

void SchemaReader::limit_strings(const Json& schema, Shape& shape) {
  for (const char* keyword : {"minLength", "maxLength", "pattern", "format"}) {
    const Json* value = member(schema, keyword);
    if (value == nullptr) continue;
    const Dfa& limit = string_limit(schema, keyword, *value);
    if (shape.strings.empty()) continue;
    if (shape.strings == algebra_.all_strings()) {
      shape.strings = limit;
    } else {
      shape.strings =
          at(schema, keyword, [&] { return intersect(shape.strings, limit, algebra_.budget()); });
    }
  }
}

Dfa SchemaReader::number_limit(const Json& schema, const std::string& keyword, const Json& value) {
  Decimal number;
  if (!value.is_number()) fail(schema, keyword, "expected a number");
  if (!read_decimal(value.dump(), number)) fail(schema, keyword, "the number is too large");
  Budget& budget = algebra_.budget();
  if (keyword == "multipleOf") {
    if (number.negative || number.zero()) fail(schema, keyword, "expected a number above 0");
    return at(schema, keyword, [&] { return multiples(number, budget); });
  }
  const Bound kind = keyword == "minimum"            ? Bound::kMinimum
                     : keyword == "maximum"          ? Bound::kMaximum
                     : keyword == "exclusiveMinimum" ? Bound::kExclusiveMinimum
                                                     : Bound::kExclusiveMaximum;
  return at(schema, keyword, [&] { return bounded_numbers(kind, number, budget); });
}

void SchemaReader::limit_numbers(const Json& schema, Shape& shape) {
  for (const char* keyword :
       {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}) {
    const Json* value = member(schema, keyword);
    if (value == nullptr) continue;
    Shape limit;
    limit.numbers = number_limit(schema, keyword, *value);
    Shape numbers{.numbers = std::move(shape.numbers), .exponents = shape.exponents};
    numbers.listed = std::move(shape.listed);
    numbers = at(schema, keyword, [&] { return algebra_.both(numbers, limit); });
    shape.numbers = std::move(numbers.numbers);
    shape.exponents = numbers.exponents;
    shape.listed = std::move(numbers.listed);
  }
}

void SchemaReader::limit_arrays(const Json& schema, Shape& shape) {
  ArrayShape limit;
  bool any = false;
  const Json* items = member(schema, "items");
  const Json* first = member(schema, "prefixItems");
  const char* first_keyword = "prefixItems";
  const Json* rest = items;
  if (items != nullptr && items->is_array()) {  // older drafts
    first = items;
    first_keyword = "items";
    rest = member(schema, "additionalItems");
  }
  if (first != nullptr) {
    if (!first->is_array()) fail(schema, first_keyword, "expected a list of schemas");
    for (const Json& one : *first) limit.first.push_back(SchemaSet(SchemaLiteral{&one}));
    any = true;
  }
  Evaluated evaluated;
  if (const Json* left_over = unevaluated(schema, "unevaluatedItems", evaluated)) {
    if (limit.first.size() < evaluated.elements) limit.first.resize(evaluated.elements);
    rest = left_over;
  }
  if (rest != nullptr) {
    limit.rest = SchemaSet(SchemaLiteral{rest});
    any = true;
  }
  if (schema.contains("minItems")) limit.least = count(schema, "minItems");
  if (schema.contains("maxItems")) limit.most = count(schema, "maxItems");
  if (const Json* unique = member(schema, "uniqueItems")) {
    if (!unique->is_boolean()) fail(schema, "uniqueItems", "expected true or false");
    limit.unique = unique->get<bool>();
  }
  if (const Json* contained = member(schema, "contains")) {
    limit.contained = SchemaSet(SchemaLiteral{contained});
    if (schema.contains("minContains")) limit.contained_least = count(schema, "minContains");
    if (schema.contains("maxContains")) limit.contained_most = count(schema, "maxContains");
  }
  any = any || limit.least > 0 || limit.most || limit.unique || limit.contained;
  if (!any) return;
  Shape other = algebra_.anything();
  other.arrays = {limit};
  Shape arrays;
  arrays.arrays = std::move(shape.arrays);
  shape.arrays = at(schema, "items", [&] { return algebra_.both(arrays, other).arrays; });
}

void SchemaReader::limit_objects(const Json& schema, Shape& shape) {
  Budget& budget = algebra_.budget();
  const Json* properties = member(schema, "properties");
  const Json* own_patterns = member(schema, "patternProperties");
  const Json* additional = member(schema, "additionalProperties");
  const Json* required = member(schema, "required");
  ObjectShape object;
  bool any = false;
  // Names by the patterns that they match: a class for each combination.
  std::vector<ObjectShape::Others> classes;
  classes.push_back({.names = algebra_.all_strings(), .value = {}});
  std::vector<bool> matched = {false};
  std::vector<std::pair<std::string, SchemaSet>> patterns;
  if (own_patterns != nullptr) {
    if (!own_patterns->is_object()) fail(schema, "patternProperties", "expected an object");
    for (const auto& [pattern, value] : own_patterns->items()) {
      patterns.emplace_back(pattern, SchemaLiteral{&value});
    }
  }
  // Names and patterns of other schemas, which say what the values are.
  Evaluated evaluated;
  const Json* left_over = unevaluated(schema, "unevaluatedProperties", evaluated);
  if (left_over != nullptr) {
    additional = left_over;
    if (evaluated.patterns.size() > kMostPatterns) {
      fail(schema, "unevaluatedProperties", fmt::format("more than {} patterns", kMostPatterns));
    }
    for (const std::string& pattern : evaluated.patterns) {
      if (own_patterns == nullptr || !own_patterns->contains(pattern)) {
        patterns.emplace_back(pattern, SchemaSet());
      }
    }
  }
  if (!patterns.empty()) {
    if (patterns.size() > kMostPatterns) {
      fail(schema, "patternProperties", fmt::format("more than {} patterns", kMostPatterns));
    }
    any = true;
    for (const auto& [pattern, value] : patterns) {
      // (Clang before 16 lets no lambda see `pattern` itself.)
      const Dfa names = at(schema, "patternProperties",
                           [&, &text = pattern] { return strings_with_pattern(text, budget); });
      std::vector<ObjectShape::Others> finer;
      std::vector<bool> finer_matched;
      for (std::size_t i = 0; i < classes.size(); ++i) {
        Dfa inside = intersect(classes[i].names, names, budget);
        Dfa outside = subtract(classes[i].names, names, budget);
        if (!inside.empty()) {
          SchemaSet both = classes[i].value;
          both.join(value);
          finer.push_back({.names = std::move(inside), .value = std::move(both)});
          finer_matched.push_back(true);
        }
        if (!outside.empty()) {
          finer.push_back({.names = std::move(outside), .value = std::move(classes[i].value)});
          finer_matched.push_back(matched[i]);
        }
      }
      classes = std::move(finer);
      matched = std::move(finer_matched);
    }
  }
  // A property is also what the patterns say about its name.
  object.others = classes;
  if (properties != nullptr) {
    if (!properties->is_object()) fail(schema, "properties", "expected an object");
    any = true;
    for (const auto& [name, value] : properties->items()) {
      budget.tick();
      algebra_.property(object, name).value.join(SchemaSet(SchemaLiteral{&value}));
    }
  }
  if (left_over != nullptr) {
    for (const std::string& name : evaluated.names) {
      budget.tick();
      algebra_.property(object, name);
    }
  }
  if (additional != nullptr) {
    any = true;
    for (std::size_t i = 0; i < object.others.size(); ++i) {
      if (matched[i]) continue;
      if (additional->is_boolean() && !additional->get<bool>()) {
        object.others[i].value = SchemaSet::nothing();
      } else {
        object.others[i].value.join(SchemaSet(SchemaLiteral{additional}));
      }
    }
  }
  if (required != nullptr) {
    if (!required->is_array()) fail(schema, "required", "expected a list of names");
    any = any || !required->empty();
    for (const Json& name : *required) {
      if (!name.is_string()) fail(schema, "required", "expected a list of names");
      algebra_.property(object, name.get<std::string>()).required = true;
    }
  }
  std::erase_if(object.others, [](const ObjectShape::Others& others) {
    return others.value.never() || others.names.empty();
  });
  if (schema.contains("minProperties")) object.least = count(schema, "minProperties");
  if (schema.contains("maxProperties")) object.most = count(schema, "maxProperties");
  any = any || object.least > 0 || object.most.has_value();
  if (schema.contains("propertyNames")) {
    any = true;
    limit_names(schema, object);
  }
  if (!any) return;
  Shape other = algebra_.anything();
  other.objects = {std::move(object)};
  Shape objects;
  objects.objects = std::move(shape.objects);
  shape.objects = at(schema, "properties", [&] { return algebra_.both(objects, other).objects; });
}

void SchemaReader::limit_names(const Json& schema, ObjectShape& object) {
  const Dfa names = shape_of(SchemaLiteral{&schema.at("propertyNames")}).strings;
  for (ObjectShape::Property& property : object.properties) {
    if (names.empty() || !names.matches(property.name)) property.value = SchemaSet::nothing();
  }
  for (ObjectShape::Others& others : object.others) {
    if (others.names == algebra_.all_strings()) {
      others.names = names;
    } else if (!names.empty()) {
      others.names = intersect(others.names, names, algebra_.budget());
    } else {
      others.names = {};
    }
  }
  std::erase_if(object.others,
                [](const ObjectShape::Others& others) { return others.names.empty(); });
}

}  // namespace mistral::grammar
