#include "text/grammar/schema_shape.h"

#include <algorithm>

#include "core/error.h"
#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_strings.h"

namespace mistral::grammar {
namespace {

// More alternatives for one value come from combinations that nobody wrote down.
constexpr std::size_t kMostAlternatives = 256;

std::optional<std::uint64_t> smaller(std::optional<std::uint64_t> a,
                                     std::optional<std::uint64_t> b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : a;
}

}  // namespace

ShapeAlgebra::ShapeAlgebra(Budget& budget)
    : budget_(budget), all_strings_(any_string(budget)), all_numbers_(decimals(budget)) {}

Shape ShapeAlgebra::anything() const {
  Shape out{.null = true, .yes = true, .no = true, .numbers = all_numbers_, .exponents = true};
  out.strings = all_strings_;
  out.arrays.push_back(any_array());
  out.objects.push_back(any_object());
  return out;
}

ObjectShape ShapeAlgebra::any_object() const {
  ObjectShape out;
  out.others.push_back({.names = all_strings_, .value = {}});
  return out;
}

Shape ShapeAlgebra::scalar(const Json& value) const {
  Shape out;
  if (value.is_null()) out.null = true;
  if (value.is_boolean()) (value.get<bool>() ? out.yes : out.no) = true;
  if (value.is_string()) {
    out.strings = literal_dfa(value.get_ref<const std::string&>(), budget_);
  }
  if (value.is_number()) {
    Decimal decimal;
    if (!read_decimal(value.dump(), decimal)) {
      throw Error(ErrorKind::kInvalidArgument, "the number is too large");
    }
    out.numbers = spellings(decimal, budget_);
    out.listed = {decimal.text()};
  }
  return out;
}

Shape ShapeAlgebra::both(const Shape& a, const Shape& b) const {
  Shape out{.null = a.null && b.null, .yes = a.yes && b.yes, .no = a.no && b.no};
  if (a.exponents || b.exponents) {
    const Shape& narrower = a.exponents ? b : a;
    out.numbers = narrower.numbers;
    out.exponents = narrower.exponents;
    out.listed = narrower.listed;
  } else if (!a.numbers.empty() && !b.numbers.empty()) {
    out.numbers = intersect(a.numbers, b.numbers, budget_);
    const auto& listed = a.listed ? a.listed : b.listed;
    if (listed) {
      out.listed.emplace();
      for (const std::string& text : *listed) {
        if (out.numbers.matches(text)) out.listed->push_back(text);
      }
    }
  }
  if (!a.strings.empty() && !b.strings.empty()) {
    if (a.strings == all_strings_) {
      out.strings = b.strings;
    } else if (b.strings == all_strings_) {
      out.strings = a.strings;
    } else {
      out.strings = intersect(a.strings, b.strings, budget_);
    }
  }
  if (a.arrays.size() * b.arrays.size() > kMostAlternatives ||
      a.objects.size() * b.objects.size() > kMostAlternatives) {
    throw make_error(ErrorKind::kInvalidArgument, "there are more than {} combinations",
                     kMostAlternatives);
  }
  for (const ArrayShape& x : a.arrays) {
    for (const ArrayShape& y : b.arrays) out.arrays.push_back(both(x, y));
  }
  for (const ObjectShape& x : a.objects) {
    for (const ObjectShape& y : b.objects) out.objects.push_back(both(x, y));
  }
  return out;
}

Shape ShapeAlgebra::either(Shape a, const Shape& b) const {
  a.null = a.null || b.null;
  a.yes = a.yes || b.yes;
  a.no = a.no || b.no;
  if (a.numbers.empty()) {
    a.numbers = b.numbers;
    a.listed = b.listed;
  } else if (!b.numbers.empty()) {
    a.numbers = unite(a.numbers, b.numbers, budget_);
    if (a.listed && b.listed) {
      for (const std::string& text : *b.listed) {
        if (std::find(a.listed->begin(), a.listed->end(), text) == a.listed->end()) {
          a.listed->push_back(text);
        }
      }
    } else {
      a.listed.reset();
    }
  }
  a.exponents = a.exponents || b.exponents;
  if (a.exponents) a.listed.reset();
  if (a.strings.empty()) {
    a.strings = b.strings;
  } else if (!b.strings.empty()) {
    a.strings = unite(a.strings, b.strings, budget_);
  }
  a.arrays.insert(a.arrays.end(), b.arrays.begin(), b.arrays.end());
  a.objects.insert(a.objects.end(), b.objects.begin(), b.objects.end());
  if (a.arrays.size() > kMostAlternatives || a.objects.size() > kMostAlternatives) {
    throw make_error(ErrorKind::kInvalidArgument, "there are more than {} alternatives",
                     kMostAlternatives);
  }
  return a;
}

Shape ShapeAlgebra::without_scalars(Shape a, const Shape& b) const {
  a.null = a.null && !b.null;
  a.yes = a.yes && !b.yes;
  a.no = a.no && !b.no;
  if (b.exponents) {
    a.numbers = {};
    a.exponents = false;
    a.listed.reset();
  } else if (!b.numbers.empty() && !a.numbers.empty()) {
    a.numbers = subtract(a.numbers, b.numbers, budget_);
    a.exponents = false;
    if (a.listed) {
      std::erase_if(*a.listed, [&](const std::string& text) { return !a.numbers.matches(text); });
    }
  }
  if (!a.strings.empty() && !b.strings.empty()) {
    a.strings = subtract(a.strings, b.strings, budget_);
  }
  return a;
}

SchemaSet ShapeAlgebra::value_of(const ObjectShape& shape, const std::string& name) {
  for (const ObjectShape::Property& property : shape.properties) {
    if (property.name == name) return property.value;
  }
  for (const ObjectShape::Others& others : shape.others) {
    if (others.names.matches(name)) return others.value;
  }
  return SchemaSet::nothing();
}

ObjectShape::Property& ShapeAlgebra::property(ObjectShape& shape, const std::string& name) const {
  for (ObjectShape::Property& property : shape.properties) {
    if (property.name == name) return property;
  }
  SchemaSet value = value_of(shape, name);
  for (ObjectShape::Others& others : shape.others) {
    if (!others.names.matches(name)) continue;
    others.names = subtract(others.names, literal_dfa(name, budget_), budget_);
  }
  shape.properties.push_back({.name = name, .value = std::move(value)});
  return shape.properties.back();
}

ArrayShape ShapeAlgebra::both(const ArrayShape& a, const ArrayShape& b) const {
  ArrayShape out = a;
  for (std::size_t i = 0; i < std::max(a.first.size(), b.first.size()); ++i) {
    SchemaSet element = i < a.first.size() ? a.first[i] : a.rest;
    element.join(i < b.first.size() ? b.first[i] : b.rest);
    if (i < out.first.size()) {
      out.first[i] = std::move(element);
    } else {
      out.first.push_back(std::move(element));
    }
  }
  out.rest.join(b.rest);
  out.least = std::max(a.least, b.least);
  out.most = smaller(a.most, b.most);
  out.unique = a.unique || b.unique;
  if (b.contained) {
    if (a.contained && (*a.contained != *b.contained || a.contained_most || b.contained_most)) {
      throw Error(ErrorKind::kInvalidArgument, "'contains' cannot be joined with another one");
    }
    out.contained = b.contained;
    out.contained_least =
        a.contained ? std::max(a.contained_least, b.contained_least) : b.contained_least;
    out.contained_most = b.contained_most;
  }
  return out;
}

ObjectShape ShapeAlgebra::both(const ObjectShape& a, const ObjectShape& b) const {
  ObjectShape out = a;
  for (const ObjectShape::Property& other : b.properties) {
    ObjectShape::Property& mine = property(out, other.name);
    mine.value.join(other.value);
    mine.required = mine.required || other.required;
  }
  for (ObjectShape::Property& mine : out.properties) {
    const bool known = std::any_of(b.properties.begin(), b.properties.end(),
                                   [&](const auto& other) { return other.name == mine.name; });
    if (!known) mine.value.join(value_of(b, mine.name));
  }
  // The names of `out` are no properties of either now; those of b may still have a's properties.
  std::vector<ObjectShape::Others> mine = std::move(out.others);
  out.others.clear();
  for (const ObjectShape::Others& x : mine) {
    for (const ObjectShape::Others& y : b.others) {
      if (x.names.empty() || y.names.empty()) continue;
      Dfa names = x.names == all_strings_   ? y.names
                  : y.names == all_strings_ ? x.names
                                            : intersect(x.names, y.names, budget_);
      if (y.names != all_strings_ || x.names != all_strings_) {
        for (const ObjectShape::Property& property : out.properties) {
          if (!names.empty() && names.matches(property.name)) {
            names = subtract(names, literal_dfa(property.name, budget_), budget_);
          }
        }
      }
      if (names.empty()) continue;
      SchemaSet value = x.value;
      value.join(y.value);
      if (!value.never())
        out.others.push_back({.names = std::move(names), .value = std::move(value)});
    }
  }
  out.least = std::max(a.least, b.least);
  out.most = smaller(a.most, b.most);
  return out;
}

}  // namespace mistral::grammar
