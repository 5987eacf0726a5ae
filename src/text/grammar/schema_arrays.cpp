// The elements of arrays as rules.
#include <algorithm>
#include <map>
#include <utility>

#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_writer.h"

namespace mistral::grammar {
namespace {

// Up to so many values, elements may come in any order; up to the second number in the schema's.
constexpr std::size_t kMostInAnyOrder = 8;
constexpr std::size_t kMostInOrder = 64;
constexpr std::size_t kMostFirst = 500;

template <typename... Parts>
Expression in_sequence(Parts... parts) {
  std::vector<Expression> all;
  (all.push_back(std::move(parts)), ...);
  return sequence(std::move(all));
}

std::uint32_t repeats(std::uint64_t count) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, 1'000'000));
}

}  // namespace

Expression SchemaWriter::array(const ArrayShape& given, const SchemaSet& set) {
  ArrayShape shape = given;
  // Where an element cannot be, there is an end.
  for (std::size_t i = 0; i < shape.first.size(); ++i) {
    if (!reader_.is_empty(shape.first[i])) continue;
    shape.most = std::min<Count>(shape.most.value_or(i), i);
    break;
  }
  if (reader_.is_empty(shape.rest)) {
    shape.most = std::min<Count>(shape.most.value_or(shape.first.size()), shape.first.size());
  }
  if (shape.most && shape.first.size() > *shape.most) shape.first.resize(*shape.most);
  if (shape.most && shape.least > *shape.most) return choice({});
  if (shape.first.size() > kMostFirst) {
    fail(set, "prefixItems", fmt::format("more than {} schemas", kMostFirst));
  }
  const bool contains =
      shape.contained && (shape.contained_least > 0 || shape.contained_most.has_value());
  const bool unique = shape.unique && !(shape.most && *shape.most <= 1);
  if (contains && unique) {
    fail(set, "contains", "it cannot be enforced together with uniqueItems");
  }
  Expression inside = contains ? containing_elements(shape, set)
                      : unique ? unique_elements(shape, set)
                               : elements(shape);
  return in_sequence(token(kOpenArray), std::move(inside), token(kCloseArray));
}

// The elements behind the first `index` ones.
Expression SchemaWriter::elements_from(const ArrayShape& shape, std::size_t index) {
  if (shape.most && index >= *shape.most) return sequence({});
  if (index >= shape.first.size()) {
    const std::uint32_t least = shape.least > index ? repeats(shape.least - index) : 0;
    const std::uint32_t most = shape.most ? repeats(*shape.most - index) : Expression::kUnbounded;
    return repeat(in_sequence(comma(), value(shape.rest)), least, most);
  }
  Expression more =
      in_sequence(comma(), value(shape.first[index]), elements_from(shape, index + 1));
  return index < shape.least ? std::move(more) : repeat(std::move(more), 0, 1);
}

Expression SchemaWriter::elements(const ArrayShape& shape) {
  if (shape.most && *shape.most == 0) return sequence({});
  Expression all = in_sequence(value(shape.first.empty() ? shape.rest : shape.first[0]),
                               elements_from(shape, 1));
  return shape.least > 0 ? std::move(all) : repeat(std::move(all), 0, 1);
}

// Rules by the number of elements and of those that are of the kind that must be contained.
Expression SchemaWriter::containing_elements(const ArrayShape& shape, const SchemaSet& set) {
  const Count wanted = shape.contained_least;
  const Count last = std::max<Count>(
      {static_cast<Count>(shape.first.size()), shape.least, shape.most.value_or(0), 1});
  const Count most_contained = shape.contained_most.value_or(wanted);
  if (last > kMostCells || wanted > kMostCells || most_contained > kMostCells ||
      (last + 1) * (most_contained + 2) > kMostCells) {
    fail(set, "contains", "the numbers of elements are too large");
  }
  SchemaSet different;
  if (shape.contained_most) {
    for (const SchemaLiteral& literal : shape.contained->literals()) {
      if (shape.contained->literals().size() > 1 || literal.role != SchemaRole::kHolds) {
        fail(set, "maxContains", "it cannot be enforced exactly here");
      }
      different = SchemaSet({literal.schema, SchemaRole::kFails});
    }
  }
  using Cell = std::pair<Count, Count>;
  std::map<Cell, std::uint32_t> rules;
  std::vector<Cell> waiting;
  const auto rule_of = [&](Count written, Count contained) {
    const Cell cell(shape.most ? written : std::min(written, last),
                    shape.contained_most ? contained : std::min(contained, wanted));
    const auto [found, added] = rules.try_emplace(cell, 0);
    if (added) {
      budget_.add_states(1);
      found->second = builder_.add_rule();
      waiting.push_back(cell);
    }
    return rule_reference(found->second);
  };
  Expression start = rule_of(0, 0);
  while (!waiting.empty()) {
    const Count written = waiting.back().first;
    const Count contained = waiting.back().second;
    const std::uint32_t rule = rules.at(waiting.back());
    waiting.pop_back();
    std::vector<Expression> ways;
    if (written >= shape.least && contained >= wanted) ways.push_back(sequence({}));
    if (!shape.most || written < *shape.most) {
      const SchemaSet& element = written < shape.first.size() ? shape.first[written] : shape.rest;
      const auto add = [&](const SchemaSet& more, Count now) {
        SchemaSet both = element;
        both.join(more);
        Expression one = value(both);
        if (written > 0) one = in_sequence(comma(), std::move(one));
        ways.push_back(in_sequence(std::move(one), rule_of(written + 1, now)));
      };
      add(different, contained);
      if (!shape.contained_most || contained < *shape.contained_most) {
        add(*shape.contained, contained + 1);
      }
    }
    builder_.set_body(rule, choice(std::move(ways)));
  }
  return start;
}

// The values of an element that is a scalar, as they are written.
std::vector<std::string> SchemaWriter::scalar_texts(const SchemaSet& element,
                                                    const SchemaSet& set) {
  const Shape shape = reader_.shape_of(element);
  std::vector<std::string> out;
  const auto refuse = [&]() {
    fail(set, "uniqueItems",
         fmt::format("elements can be kept apart only if they are at most {} scalars",
                     kMostInOrder));
  };
  if (!shape.arrays.empty() || !shape.objects.empty()) refuse();
  if (shape.null) out.emplace_back("null");
  if (shape.yes) out.emplace_back("true");
  if (shape.no) out.emplace_back("false");
  if (!shape.numbers.empty()) {
    const auto words = number_texts(shape).words(kMostInOrder);
    if (!words) refuse();
    for (const std::string& word : *words) {
      // One number has one spelling here, or the same number could come twice.
      if (word != "-0" && (word.find('.') == std::string::npos || word.back() != '0')) {
        out.push_back(word);
      }
    }
  }
  const auto strings = shape.strings.words(kMostInOrder);
  if (!strings) refuse();
  for (const std::string& word : *strings) out.push_back(Json(word).dump());
  if (out.size() > kMostInOrder) refuse();
  return out;
}

// Rules by the values that were used, or by the last one, and by the number of elements.
Expression SchemaWriter::unique_elements(const ArrayShape& shape, const SchemaSet& set) {
  std::vector<std::string> values;
  std::vector<std::vector<bool>> fits;  // by place, then by value
  const std::size_t places = shape.first.size() + 1;
  for (std::size_t place = 0; place < places; ++place) {
    const SchemaSet& element = place < shape.first.size() ? shape.first[place] : shape.rest;
    std::vector<bool> fit;
    if (place < shape.first.size() || !reader_.is_empty(element)) {
      for (std::string& text : scalar_texts(element, set)) {
        auto found = std::find(values.begin(), values.end(), text);
        if (found == values.end()) found = values.insert(values.end(), std::move(text));
        const auto index = static_cast<std::size_t>(found - values.begin());
        fit.resize(std::max(fit.size(), index + 1), false);
        fit[index] = true;
      }
    }
    fits.push_back(std::move(fit));
  }
  const bool any_order = values.size() <= kMostInAnyOrder;
  if (!any_order && (places > 1 || values.size() > kMostInOrder)) {
    fail(set, "uniqueItems", fmt::format("there are more than {} values", kMostInAnyOrder));
  }
  // `used` is a bit for each value, or all up to the last one.
  using Cell = std::pair<std::uint64_t, Count>;
  std::map<Cell, std::uint32_t> rules;
  std::vector<Cell> waiting;
  const auto rule_of = [&](std::uint64_t used, Count written) {
    const auto [found, added] = rules.try_emplace({used, written}, 0);
    if (added) {
      if (rules.size() > kMostCells) fail(set, "uniqueItems", "there are too many combinations");
      budget_.add_states(1);
      found->second = builder_.add_rule();
      waiting.push_back({used, written});
    }
    return rule_reference(found->second);
  };
  Expression start = rule_of(0, 0);
  while (!waiting.empty()) {
    const auto [used, written] = waiting.back();
    const std::uint32_t rule = rules.at(waiting.back());
    waiting.pop_back();
    std::vector<Expression> ways;
    if (written >= shape.least) ways.push_back(sequence({}));
    const std::vector<bool>& fit = fits[std::min<std::size_t>(written, places - 1)];
    for (std::size_t i = 0; i < fit.size() && (!shape.most || written < *shape.most); ++i) {
      const std::uint64_t bit = std::uint64_t{1} << i;
      if (!fit[i] || (used & bit) != 0) continue;
      Expression one = literal(values[i]);
      if (written > 0) one = in_sequence(comma(), std::move(one));
      const std::uint64_t now = any_order ? used | bit : (bit << 1U) - 1;
      ways.push_back(in_sequence(std::move(one), rule_of(now, written + 1)));
    }
    builder_.set_body(rule, choice(std::move(ways)));
  }
  return start;
}

}  // namespace mistral::grammar
