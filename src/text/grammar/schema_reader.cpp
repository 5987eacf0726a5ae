#include "text/grammar/schema_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_strings.h"

namespace mistral::grammar {
namespace {

constexpr std::array<std::string_view, 6> kRefused = {"$dynamicRef", "$recursiveRef", "extends",
                                                      "disallow",    "divisibleBy",   "$data"};

// Whether a set is empty depends on a schema that is being read.
struct OpenSchema {};

std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

SchemaReader::SchemaReader(const Json& document, const ShapeAlgebra& algebra)
    : document_(document), algebra_(algebra), references_(document, algebra.budget()) {}

std::string SchemaReader::pointer_of(const Json& schema) const {
  std::string out;
  const std::function<bool(const Json&, const std::string&)> search = [&](const Json& at,
                                                                          const std::string& path) {
    if (&at == &schema) {
      out = path;
      return true;
    }
    if (at.is_object()) {
      for (const auto& [key, value] : at.items()) {
        if (search(value, path + "/" + escaped(key))) return true;
      }
    } else if (at.is_array()) {
      for (std::size_t i = 0; i < at.size(); ++i) {
        if (search(at[i], path + "/" + std::to_string(i))) return true;
      }
    }
    return false;
  };
  std::ignore = search(document_, "");
  return out;
}

std::string SchemaReader::pointer_of(const SchemaSet& set) const {
  return set.literals().empty() ? "" : pointer_of(*set.literals().begin()->schema);
}

void SchemaReader::fail(const Json& schema, std::string_view keyword, std::string_view what) const {
  std::string pointer = pointer_of(schema);
  if (!keyword.empty()) pointer += "/" + escaped(keyword);
  throw make_error(ErrorKind::kInvalidArgument, "schema: '{}': {}", pointer, what);
}

std::uint64_t SchemaReader::count(const Json& schema, const char* keyword) const {
  const Json& value = schema.at(keyword);
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  const double number = value.is_number() ? value.get<double>() : -1;
  if (number < 0 || number != std::floor(number) || number > 1e15) {
    fail(schema, keyword, "expected a number of 0 or more without a fraction");
  }
  return static_cast<std::uint64_t>(number);
}

std::vector<const Json*> SchemaReader::branches(const Json& schema, const char* keyword) const {
  const Json& list = schema.at(keyword);
  if (!list.is_array() || list.empty()) fail(schema, keyword, "expected a list of schemas");
  std::vector<const Json*> out;
  for (const Json& branch : list) out.push_back(&branch);
  return out;
}

void SchemaReader::check_keywords(const Json& schema) const {
  for (const std::string_view keyword : kRefused) {
    if (schema.contains(keyword)) {
      fail(schema, keyword, "the keyword is not supported, as it cannot be enforced exactly");
    }
  }
}

const Json& SchemaReader::target_of(const Json& schema) const {
  const Json& reference = schema.at("$ref");
  if (!reference.is_string()) fail(schema, "$ref", "expected a string");
  const std::string& text = reference.get_ref<const std::string&>();
  return *at(schema, "$ref", [&] { return &references_.target(schema, text); });
}

Shape SchemaReader::shape_of(const SchemaSet& set) {
  if (set.never()) return algebra_.nothing();
  std::optional<Shape> out;
  for (const SchemaLiteral& literal : set.literals()) {
    Shape next = shape_of(literal);
    if (!out) {
      out = std::move(next);
    } else {
      out = at(*literal.schema, "", [&] { return algebra_.both(*out, next); });
    }
  }
  return out ? std::move(*out) : algebra_.anything();
}

Shape SchemaReader::shape_of(SchemaLiteral literal) {
  algebra_.budget().tick();
  const auto known = known_.find(literal);
  if (known != known_.end()) return known->second;
  if (open_.contains(literal) && probes_ > 0) throw OpenSchema{};
  if (!open_.insert(literal).second) {
    const bool refers = literal.schema->is_object() && literal.schema->contains("$ref");
    fail(*literal.schema, refers ? "$ref" : "", "the schema refers to itself without end");
  }
  if (++depth_ > algebra_.budget().limits().nesting) {
    fail(*literal.schema, "", "schemas nest too deep");
  }
  Shape out;
  switch (literal.role) {
    case SchemaRole::kHolds:
      out = positive(*literal.schema);
      break;
    case SchemaRole::kFails:
      out = negative(*literal.schema);
      break;
    case SchemaRole::kEquals:
      out = equal_to(*literal.schema);
      break;
  }
  --depth_;
  open_.erase(literal);
  algebra_.budget().add_bytes(sizeof(Shape) + out.numbers.bytes() + out.strings.bytes());
  known_.emplace(literal, out);
  return out;
}

Shape SchemaReader::all_of(std::initializer_list<SchemaLiteral> literals) {
  SchemaSet set;
  for (const SchemaLiteral& literal : literals) set.join(SchemaSet(literal));
  return shape_of(set);
}

void SchemaReader::require(Shape& shape, const Shape& other, const Json& schema,
                           const char* keyword) const {
  shape = at(schema, keyword, [&] { return algebra_.both(shape, other); });
}

Shape SchemaReader::equal_to(const Json& value) {
  Shape out;
  if (value.is_array()) {
    ArrayShape array{.rest = SchemaSet::nothing(), .least = value.size(), .most = value.size()};
    for (const Json& element : value) {
      array.first.push_back(SchemaSet({&element, SchemaRole::kEquals}));
    }
    out.arrays.push_back(std::move(array));
  } else if (value.is_object()) {
    ObjectShape object;
    for (const auto& [name, element] : value.items()) {
      object.properties.push_back(
          {.name = name, .value = SchemaSet({&element, SchemaRole::kEquals}), .required = true});
    }
    out.objects.push_back(std::move(object));
  } else {
    out = at(value, "", [&] { return algebra_.scalar(value); });
  }
  return out;
}

Shape SchemaReader::type_shape(const Json& schema, const Json& value) {
  Shape out;
  if (value.is_array()) {
    if (value.empty()) fail(schema, "type", "the list is empty");
    for (const Json& one : value) {
      if (!one.is_string()) fail(schema, "type", "expected names of types");
      out = algebra_.either(std::move(out), type_shape(schema, one));
    }
    return out;
  }
  const std::string name = value.is_string() ? value.get<std::string>() : "";
  Shape all = algebra_.anything();
  if (name == "null") {
    out.null = true;
  } else if (name == "boolean") {
    out.yes = out.no = true;
  } else if (name == "number") {
    out.numbers = std::move(all.numbers);
    out.exponents = true;
  } else if (name == "integer") {
    out.numbers = integers(algebra_.budget());
  } else if (name == "string") {
    out.strings = std::move(all.strings);
  } else if (name == "array") {
    out.arrays = std::move(all.arrays);
  } else if (name == "object") {
    out.objects = std::move(all.objects);
  } else {
    fail(schema, "type",
         "expected null, boolean, number, integer, string, array, object, or a list of these");
  }
  return out;
}

Shape SchemaReader::positive(const Json& schema) {
  if (schema.is_boolean()) return schema.get<bool>() ? algebra_.anything() : algebra_.nothing();
  if (!schema.is_object()) fail(schema, "", "expected a schema: an object, true or false");
  check_keywords(schema);
  Shape out = algebra_.anything();
  if (const Json* type = member(schema, "type")) out = type_shape(schema, *type);
  if (const Json* value = member(schema, "const")) {
    require(out, equal_to(*value), schema, "const");
  }
  if (const Json* values = member(schema, "enum")) {
    if (!values->is_array()) fail(schema, "enum", "expected a list of values");
    Shape listed;
    for (const Json& value : *values) {
      const Shape one = equal_to(value);
      listed = at(schema, "enum", [&] { return algebra_.either(std::move(listed), one); });
    }
    require(out, listed, schema, "enum");
  }
  limit_strings(schema, out);
  limit_numbers(schema, out);
  limit_arrays(schema, out);
  limit_objects(schema, out);
  if (schema.contains("$ref")) {
    require(out, shape_of(SchemaLiteral{&target_of(schema)}), schema, "$ref");
  }
  if (schema.contains("allOf")) {
    for (const Json* branch : branches(schema, "allOf")) {
      require(out, shape_of(SchemaLiteral{branch}), schema, "allOf");
    }
  }
  if (schema.contains("anyOf")) {
    Shape any;
    for (const Json* branch : branches(schema, "anyOf")) {
      const Shape one = shape_of(SchemaLiteral{branch});
      any = at(schema, "anyOf", [&] { return algebra_.either(std::move(any), one); });
    }
    require(out, any, schema, "anyOf");
  }
  if (schema.contains("oneOf")) require(out, one_of(schema), schema, "oneOf");
  if (const Json* refused = member(schema, "not")) {
    require(out, shape_of(SchemaLiteral{refused, SchemaRole::kFails}), schema, "not");
  }
  if (schema.contains("if")) require(out, conditional(schema, true), schema, "if");
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    if (schema.contains(keyword)) require(out, if_present(schema, keyword), schema, keyword);
  }
  return out;
}

// The alternatives are kept apart: where two of them may hold at once, each holds without the
// others.
Shape SchemaReader::one_of(const Json& schema) {
  const std::vector<const Json*> all = branches(schema, "oneOf");
  Shape out;
  for (const Json* branch : all) {
    SchemaSet alone(SchemaLiteral{branch});
    for (const Json* other : all) {
      if (other == branch) continue;
      algebra_.budget().tick();
      if (is_empty(all_of({SchemaLiteral{branch}, SchemaLiteral{other}}))) continue;
      alone.join(SchemaSet({other, SchemaRole::kFails}));
    }
    const Shape one = at(schema, "oneOf", [&] { return shape_of(alone); });
    out = at(schema, "oneOf", [&] { return algebra_.either(std::move(out), one); });
  }
  return out;
}

Shape SchemaReader::conditional(const Json& schema, bool holds) {
  const Json& condition = schema.at("if");
  const auto branch = [&](SchemaRole role, const char* keyword) {
    SchemaSet set(SchemaLiteral{&condition, role});
    const Json* then = member(schema, keyword);
    if (then != nullptr) {
      set.join(SchemaSet({then, holds ? SchemaRole::kHolds : SchemaRole::kFails}));
    } else if (!holds) {
      return algebra_.nothing();
    }
    return shape_of(set);
  };
  const bool idle = !schema.contains("then") && !schema.contains("else");
  if (idle) return holds ? algebra_.anything() : algebra_.nothing();
  Shape out = branch(SchemaRole::kHolds, "then");
  const Shape other = branch(SchemaRole::kFails, "else");
  return at(schema, "if", [&] { return algebra_.either(std::move(out), other); });
}

// The name is absent, or what depends on it holds: other names are there (a list), or a schema.
Shape SchemaReader::if_present(const Json& schema, const char* keyword) {
  Shape out = algebra_.anything();
  const Json& all = schema.at(keyword);
  if (!all.is_object()) fail(schema, keyword, "expected an object");
  const bool lists = keyword != std::string_view("dependentSchemas");
  const bool schemas = keyword != std::string_view("dependentRequired");
  for (const auto& [name, depends] : all.items()) {
    ObjectShape absent = algebra_.any_object();
    algebra_.property(absent, name).value = SchemaSet::nothing();
    ObjectShape present = algebra_.any_object();
    algebra_.property(present, name).required = true;
    Shape then = algebra_.anything();
    if (lists && depends.is_array()) {
      for (const Json& needed : depends) {
        if (!needed.is_string()) fail(schema, keyword, "expected lists of names");
        algebra_.property(present, needed.get<std::string>()).required = true;
      }
    } else if (schemas) {
      then = shape_of(SchemaLiteral{&depends});
    } else {
      fail(schema, keyword, "expected lists of names");
    }
    Shape with = algebra_.anything();
    with.objects = {present};
    require(with, then, schema, keyword);
    // What is no object does not depend on anything.
    Shape choice = algebra_.anything();
    choice.objects = std::move(with.objects);
    choice.objects.push_back(std::move(absent));
    require(out, choice, schema, keyword);
  }
  return out;
}

bool SchemaReader::is_empty(const Shape& shape) {
  if (shape.null || shape.yes || shape.no || !shape.numbers.empty() || !shape.strings.empty()) {
    return false;
  }
  for (const ArrayShape& array : shape.arrays) {
    bool possible = !array.most || array.least <= *array.most;
    for (std::size_t i = 0; possible && i < array.least; ++i) {
      if (i >= array.first.size()) {
        possible = !is_empty(array.rest);
        break;
      }
      possible = !is_empty(array.first[i]);
    }
    if (possible) return false;
  }
  for (const ObjectShape& object : shape.objects) {
    std::size_t required = 0;
    bool possible = true;
    for (const ObjectShape::Property& property : object.properties) {
      if (!property.required) continue;
      ++required;
      possible = possible && !is_empty(property.value);
    }
    possible =
        possible && (!object.most || (required <= *object.most && object.least <= *object.most));
    if (possible) return false;
  }
  return true;
}

bool SchemaReader::is_empty(const SchemaSet& set) {
  if (set.never()) return true;
  algebra_.budget().tick();
  // While it is looked at, and where it leads back to itself, it counts as not empty.
  const auto [found, added] = empty_.try_emplace(set, false);
  if (!added) return found->second;
  const std::set<SchemaLiteral> open = open_;
  const int depth = depth_;
  ++probes_;
  bool result = false;
  try {
    result = is_empty(shape_of(set));
  } catch (const OpenSchema&) {
    open_ = open;
    depth_ = depth;
  } catch (...) {
    --probes_;
    throw;
  }
  --probes_;
  empty_[set] = result;
  return result;
}

}  // namespace mistral::grammar
