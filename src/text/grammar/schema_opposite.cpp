// What holds for a value that a schema refuses: it breaks one of the keywords.
#include <algorithm>
#include <array>

#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_reader.h"
#include "text/grammar/schema_strings.h"

namespace mistral::grammar {
namespace {

constexpr std::array<std::string_view, 12> kNotes = {
    "$schema", "$id",     "$comment", "$anchor",     "$defs", "definitions",
    "title",   "default", "examples", "description", "then",  "else"};

}  // namespace

Shape SchemaReader::negative(const Json& schema) {
  if (schema.is_boolean()) return schema.get<bool>() ? algebra_.nothing() : algebra_.anything();
  if (!schema.is_object()) fail(schema, "", "expected a schema: an object, true or false");
  check_keywords(schema);
  Shape out;
  for (const auto& [keyword, value] : schema.items()) {
    if (std::find(kNotes.begin(), kNotes.end(), keyword) != kNotes.end()) continue;
    algebra_.budget().tick();
    const Shape one = opposite(schema, keyword);
    out = at(schema, keyword, [&] { return algebra_.either(std::move(out), one); });
  }
  return out;
}

Shape SchemaReader::opposite(const Json& schema, const std::string& keyword) {
  const Json& value = schema.at(keyword);
  Budget& budget = algebra_.budget();
  const Shape all = algebra_.anything();
  if (keyword == "type" || keyword == "const" || keyword == "enum") {
    Shape inside;
    if (keyword == "type") {
      inside = type_shape(schema, value);
    } else if (keyword == "const") {
      inside = equal_to(value);
    } else {
      if (!value.is_array()) fail(schema, "enum", "expected a list of values");
      for (const Json& one : value) inside = algebra_.either(std::move(inside), equal_to(one));
    }
    Shape out = at(schema, keyword, [&] { return algebra_.without_scalars(all, inside); });
    if (keyword == "type") {
      if (!inside.arrays.empty()) out.arrays.clear();
      if (!inside.objects.empty()) out.objects.clear();
    } else if (!inside.arrays.empty() || !inside.objects.empty()) {
      fail(schema, keyword, "the opposite of a list or an object cannot be enforced exactly");
    }
    return out;
  }
  Shape out;
  if (keyword == "minLength" || keyword == "maxLength" || keyword == "pattern" ||
      keyword == "format") {
    const Dfa limit = string_limit(schema, keyword, value);
    out.strings = at(schema, keyword, [&] { return subtract(all.strings, limit, budget); });
    return out;
  }
  if (keyword == "minimum" || keyword == "maximum" || keyword == "exclusiveMinimum" ||
      keyword == "exclusiveMaximum" || keyword == "multipleOf") {
    const Dfa limit = number_limit(schema, keyword, value);
    out.numbers = at(schema, keyword, [&] { return subtract(all.numbers, limit, budget); });
    return out;
  }
  if (keyword == "$ref") {
    return shape_of(SchemaLiteral{&target_of(schema), SchemaRole::kFails});
  }
  if (keyword == "not") return shape_of(SchemaLiteral{&value});
  if (keyword == "if") return conditional(schema, false);
  if (keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf") {
    return opposite_of_branches(schema, keyword);
  }
  if (keyword == "minItems" || keyword == "maxItems" || keyword == "prefixItems" ||
      keyword == "items" || keyword == "uniqueItems" || keyword == "contains") {
    return opposite_of_array(schema, keyword);
  }
  return opposite_of_object(schema, keyword);
}

Shape SchemaReader::opposite_of_branches(const Json& schema, const std::string& keyword) {
  const std::vector<const Json*> all = branches(schema, keyword.c_str());
  Shape out;
  const auto add = [&](const Shape& shape) {
    out = at(schema, keyword, [&] { return algebra_.either(std::move(out), shape); });
  };
  if (keyword == "allOf") {
    for (const Json* branch : all) add(shape_of(SchemaLiteral{branch, SchemaRole::kFails}));
    return out;
  }
  SchemaSet none;
  for (const Json* branch : all) none.join(SchemaSet({branch, SchemaRole::kFails}));
  out = shape_of(none);
  if (keyword == "anyOf") return out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = i + 1; k < all.size(); ++k) {
      add(all_of({SchemaLiteral{all[i]}, SchemaLiteral{all[k]}}));
    }
  }
  return out;
}

Shape SchemaReader::opposite_of_array(const Json& schema, const std::string& keyword) {
  const Json& value = schema.at(keyword);
  Shape out;
  if (keyword == "minItems") {
    const std::uint64_t least = count(schema, "minItems");
    if (least > 0) out.arrays.push_back({.most = least - 1});
  } else if (keyword == "maxItems") {
    out.arrays.push_back({.least = count(schema, "maxItems") + 1});
  } else if (keyword == "prefixItems") {
    if (!value.is_array()) fail(schema, keyword, "expected a list of schemas");
    for (std::size_t i = 0; i < value.size(); ++i) {
      ArrayShape array{.least = i + 1};
      array.first.resize(i + 1);
      array.first[i] = SchemaSet({&value[i], SchemaRole::kFails});
      out.arrays.push_back(std::move(array));
    }
  } else if (keyword == "items" && !schema.contains("prefixItems") && !value.is_array()) {
    ArrayShape array;
    array.contained = SchemaSet({&value, SchemaRole::kFails});
    out.arrays.push_back(std::move(array));
  } else if (keyword == "contains" && !schema.contains("minContains") &&
             !schema.contains("maxContains")) {
    out.arrays.push_back({.rest = SchemaSet({&value, SchemaRole::kFails})});
  } else if (keyword != "uniqueItems" || value != Json(false)) {
    fail(schema, keyword, "the opposite of the keyword cannot be enforced exactly");
  }
  return out;
}

Shape SchemaReader::opposite_of_object(const Json& schema, const std::string& keyword) {
  const Json& value = schema.at(keyword);
  Shape out;
  const auto add = [&](const std::string& name, const SchemaSet& is, bool required) {
    ObjectShape object = algebra_.any_object();
    ObjectShape::Property& property = algebra_.property(object, name);
    property.value = is;
    property.required = required;
    out.objects.push_back(std::move(object));
  };
  if (keyword == "required") {
    if (!value.is_array()) fail(schema, keyword, "expected a list of names");
    for (const Json& name : value) {
      if (!name.is_string()) fail(schema, keyword, "expected a list of names");
      add(name.get<std::string>(), SchemaSet::nothing(), false);
    }
  } else if (keyword == "properties") {
    if (!value.is_object()) fail(schema, keyword, "expected an object");
    for (const auto& [name, of] : value.items()) {
      add(name, SchemaSet({&of, SchemaRole::kFails}), true);
    }
  } else if (keyword == "minProperties") {
    const std::uint64_t least = count(schema, "minProperties");
    ObjectShape object = algebra_.any_object();
    object.most = least == 0 ? 0 : least - 1;
    if (least > 0) out.objects.push_back(std::move(object));
  } else if (keyword == "maxProperties") {
    ObjectShape object = algebra_.any_object();
    object.least = count(schema, "maxProperties") + 1;
    out.objects.push_back(std::move(object));
  } else if ((keyword == "additionalProperties" || keyword == "unevaluatedProperties" ||
              keyword == "unevaluatedItems") &&
             (value == Json(true) || value == Json::object())) {
    return out;
  } else if (keyword == "additionalProperties" || keyword == "patternProperties" ||
             keyword == "propertyNames" || keyword == "dependentRequired" ||
             keyword == "dependentSchemas" || keyword == "dependencies" ||
             keyword == "additionalItems" || keyword == "unevaluatedProperties" ||
             keyword == "unevaluatedItems" || keyword == "minContains" ||
             keyword == "maxContains") {
    fail(schema, keyword, "the opposite of the keyword cannot be enforced exactly");
  }
  return out;
}

}  // namespace mistral::grammar
