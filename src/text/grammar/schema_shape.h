// What a JSON schema says about a value, kind of value by kind of value, so that schemas can be
// joined ("and") and told apart.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "text/grammar/automaton.h"

namespace mistral::grammar {

// What is said about a value with a part of the document: that it is valid there or that it is not,
// where the part is a schema; that it is equal, where the part is a constant.
enum class SchemaRole : std::uint8_t { kHolds, kFails, kEquals };
struct SchemaLiteral {
  const Json* schema = nullptr;
  SchemaRole role = SchemaRole::kHolds;
  friend auto operator<=>(const SchemaLiteral&, const SchemaLiteral&) = default;
};

// All of these hold for a value. Empty: any value.
class SchemaSet {
 public:
  SchemaSet() = default;
  explicit SchemaSet(SchemaLiteral literal) : literals_{literal} {}
  [[nodiscard]] static SchemaSet nothing() {
    SchemaSet out = {};
    out.never_ = true;
    return out;
  }
  [[nodiscard]] bool never() const { return never_; }
  [[nodiscard]] const std::set<SchemaLiteral>& literals() const { return literals_; }
  void join(const SchemaSet& other) {
    literals_.insert(other.literals_.begin(), other.literals_.end());
    never_ = never_ || other.never_;
  }
  friend auto operator<=>(const SchemaSet&, const SchemaSet&) = default;

 private:
  std::set<SchemaLiteral> literals_;
  bool never_ = false;
};

struct ArrayShape {
  std::vector<SchemaSet> first = {};  // one for each of the first elements
  SchemaSet rest = {};
  std::uint64_t least = 0;
  std::optional<std::uint64_t> most = {};
  bool unique = false;
  // At least `contained_least` and at most `contained_most` elements are of this kind.
  std::optional<SchemaSet> contained = {};
  std::uint64_t contained_least = 1;
  std::optional<std::uint64_t> contained_most = {};
};

struct ObjectShape {
  struct Property {
    std::string name = {};
    SchemaSet value = {};
    bool required = false;
  };
  // Names that are no property: those of a class have values of its kind; others do not exist.
  struct Others {
    Dfa names = {};  // languages of characters; no two classes share a name
    SchemaSet value = {};
  };
  std::vector<Property> properties = {};
  std::vector<Others> others = {};
  std::uint64_t least = 0;
  std::optional<std::uint64_t> most = {};
};

// Any of these holds. A number's or string's language is empty where there is none.
struct Shape {
  bool null = false;
  bool yes = false;
  bool no = false;
  Dfa numbers = {};        // see schema_numbers.h
  bool exponents = false;  // numbers are unlimited, so they may also have exponents
  // Where only listed numbers are meant: in these spellings.
  std::optional<std::vector<std::string>> listed = {};
  Dfa strings = {};  // of characters
  std::vector<ArrayShape> arrays = {};
  std::vector<ObjectShape> objects = {};
};

// Combines the languages of scalars, remembers some that come up again and again.
class ShapeAlgebra {
 public:
  explicit ShapeAlgebra(Budget& budget);

  [[nodiscard]] Shape nothing() const { return {}; }
  [[nodiscard]] Shape anything() const;
  [[nodiscard]] ArrayShape any_array() const { return {}; }
  [[nodiscard]] ObjectShape any_object() const;
  // Exactly one scalar value; null for arrays and objects is a mistake of the caller.
  [[nodiscard]] Shape scalar(const Json& value) const;

  // Throws Error where the result is too large.
  [[nodiscard]] Shape both(const Shape& a, const Shape& b) const;
  [[nodiscard]] Shape either(Shape a, const Shape& b) const;
  // What is in `a` and no scalar of `b`. Arrays and objects stay as they are.
  [[nodiscard]] Shape without_scalars(Shape a, const Shape& b) const;
  // The value that a property or another name has; nothing() where the name cannot be.
  [[nodiscard]] static SchemaSet value_of(const ObjectShape& shape, const std::string& name);
  // Makes a name a property, so that more can be said about it.
  ObjectShape::Property& property(ObjectShape& shape, const std::string& name) const;

  [[nodiscard]] const Dfa& all_strings() const { return all_strings_; }
  [[nodiscard]] Budget& budget() const { return budget_; }

 private:
  [[nodiscard]] ObjectShape both(const ObjectShape& a, const ObjectShape& b) const;
  [[nodiscard]] ArrayShape both(const ArrayShape& a, const ArrayShape& b) const;

  Budget& budget_;
  Dfa all_strings_;
  Dfa all_numbers_;
};

}  // namespace mistral::grammar
