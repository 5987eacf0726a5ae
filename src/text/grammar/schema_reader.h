// Reads JSON schemas (draft 2020-12 and what older drafts spell alike) into shapes.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "text/grammar/schema_references.h"
#include "text/grammar/schema_shape.h"

namespace mistral::grammar {

// Throws Error (kInvalidArgument) whose message names the keyword and the JSON pointer.
class SchemaReader {
 public:
  // The document must outlive the reader.
  SchemaReader(const Json& document, const ShapeAlgebra& algebra);

  // What all schemas of a set together say.
  [[nodiscard]] Shape shape_of(const SchemaSet& set);
  // No value is known to satisfy it; false when that is not known.
  [[nodiscard]] bool is_empty(const Shape& shape);
  [[nodiscard]] bool is_empty(const SchemaSet& set);
  // The JSON pointer of a schema of the set, for messages.
  [[nodiscard]] std::string pointer_of(const SchemaSet& set) const;

 private:
  Shape shape_of(SchemaLiteral literal);
  Shape positive(const Json& schema);
  Shape equal_to(const Json& value);
  Shape type_shape(const Json& schema, const Json& value);
  Shape one_of(const Json& schema);
  Shape conditional(const Json& schema, bool holds);
  Shape if_present(const Json& schema, const char* keyword);
  Shape all_of(std::initializer_list<SchemaLiteral> literals);
  void require(Shape& shape, const Shape& other, const Json& schema, const char* keyword) const;
  void limit_strings(const Json& schema, Shape& shape);
  void limit_numbers(const Json& schema, Shape& shape);
  void limit_arrays(const Json& schema, Shape& shape);
  void limit_objects(const Json& schema, Shape& shape);

  // schema_opposite.cpp
  Shape negative(const Json& schema);
  Shape opposite(const Json& schema, const std::string& keyword);
  Shape opposite_of_branches(const Json& schema, const std::string& keyword);
  Shape opposite_of_array(const Json& schema, const std::string& keyword);
  Shape opposite_of_object(const Json& schema, const std::string& keyword);

  // schema_evaluated.cpp: what a schema, and all that always hold with it, say about a value's
  // properties and elements.
  struct Evaluated {
    std::set<std::string> names = {};
    std::set<std::string> patterns = {};
    bool all_names = false;
    std::size_t elements = 0;  // the first ones
    bool all_elements = false;
    bool contains = false;  // also elements that are known only when they are seen
  };
  void add_evaluated(const Json& schema, bool own, Evaluated& out) const;
  void collect(std::vector<const Json*> todo, const Json* own, Evaluated& out,
               std::vector<const Json*>& conditional, std::set<const Json*>& seen) const;
  // Null when "unevaluatedProperties" or "unevaluatedItems" says nothing. Refuses what depends on
  // the value.
  const Json* unevaluated(const Json& schema, const char* keyword, Evaluated& evaluated) const;

  const Dfa& string_limit(const Json& schema, const std::string& keyword, const Json& value);
  Dfa make_string_limit(const Json& schema, const std::string& keyword, const Json& value);
  Dfa number_limit(const Json& schema, const std::string& keyword, const Json& value);
  void limit_names(const Json& schema, ObjectShape& object);

  [[noreturn]] void fail(const Json& schema, std::string_view keyword, std::string_view what) const;
  // Calls and names the keyword in what goes wrong.
  template <typename Function>
  auto at(const Json& schema, std::string_view keyword, Function function) const {
    try {
      return function();
    } catch (const Error& error) {
      const std::string_view what = error.what();
      if (what.starts_with("schema: ") || what.starts_with("the constraint is too")) throw;
      fail(schema, keyword, what);
    }
  }
  [[nodiscard]] std::string pointer_of(const Json& schema) const;
  [[nodiscard]] const Json& target_of(const Json& schema) const;  // of its "$ref"
  [[nodiscard]] std::uint64_t count(const Json& schema, const char* keyword) const;
  [[nodiscard]] std::vector<const Json*> branches(const Json& schema, const char* keyword) const;
  void check_keywords(const Json& schema) const;

  const Json& document_;
  const ShapeAlgebra& algebra_;
  SchemaReferences references_;
  std::map<SchemaLiteral, Shape> known_;
  std::map<std::pair<std::string, std::string>, Dfa> string_limits_;  // by keyword and value
  std::set<SchemaLiteral> open_;  // being read: coming back to it means a cycle
  std::map<SchemaSet, bool> empty_;
  int depth_ = 0;
  int probes_ = 0;  // is_empty() of a set is at work
};

}  // namespace mistral::grammar
