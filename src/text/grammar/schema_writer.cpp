#include "text/grammar/schema_writer.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "core/error.h"
#include "text/grammar/regex.h"
#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_strings.h"

namespace mistral::grammar {
namespace {

Expression empty_text() {
  return sequence({});
}

Expression optional(Expression part) {
  return repeat(std::move(part), 0, 1);
}

template <typename... Parts>
Expression in_sequence(Parts... parts) {
  std::vector<Expression> all;
  (all.push_back(std::move(parts)), ...);
  return sequence(std::move(all));
}

}  // namespace

SchemaWriter::SchemaWriter(SchemaReader& reader, const ShapeAlgebra& algebra,
                           GrammarBuilder& builder)
    : reader_(reader), algebra_(algebra), builder_(builder), budget_(builder.budget()) {}

void SchemaWriter::fail(const SchemaSet& set, std::string_view keyword,
                        std::string_view what) const {
  throw make_error(ErrorKind::kInvalidArgument, "schema: '{}/{}': {}", reader_.pointer_of(set),
                   keyword, what);
}

Expression SchemaWriter::token(std::string_view pattern) {
  auto found = tokens_.find(pattern);
  if (found == tokens_.end()) {
    found = tokens_.emplace(pattern, regex_dfa(pattern, {}, budget_)).first;
  }
  return regular(found->second);
}

Expression SchemaWriter::literal(std::string_view text) {
  return regular(literal_dfa(text, budget_));
}

Expression SchemaWriter::value(const SchemaSet& set) {
  const auto [found, added] = rules_.try_emplace(set, 0);
  if (added) {
    budget_.add_states(1);
    found->second = builder_.add_rule();
    waiting_.push_back(set);
  }
  return rule_reference(found->second);
}

void SchemaWriter::finish() {
  while (!waiting_.empty()) {
    const SchemaSet set = std::move(waiting_.back());
    waiting_.pop_back();
    budget_.tick();
    builder_.set_body(rules_.at(set), expression(reader_.shape_of(set), set));
  }
}

Dfa SchemaWriter::number_texts(const Shape& shape) const {
  if (shape.exponents) return any_number(budget_);
  if (shape.listed) {
    Dfa out;
    for (const std::string& text : *shape.listed) {
      const Dfa one = literal_dfa(text, budget_);
      out = out.empty() ? one : unite(out, one, budget_);
    }
    return out;
  }
  if (subtract(shape.numbers, integers(budget_), budget_).empty()) {
    return intersect(shape.numbers, plain_integers(budget_), budget_);
  }
  return shape.numbers;
}

Expression SchemaWriter::expression(const Shape& shape, const SchemaSet& set) {
  std::vector<Expression> parts;
  Dfa plain;
  const auto add = [&](const Dfa& dfa) {
    if (!dfa.empty()) plain = plain.empty() ? dfa : unite(plain, dfa, budget_);
  };
  if (shape.null) add(literal_dfa("null", budget_));
  if (shape.yes) add(literal_dfa("true", budget_));
  if (shape.no) add(literal_dfa("false", budget_));
  if (!shape.numbers.empty()) add(number_texts(shape));
  if (!plain.empty()) parts.push_back(regular(std::move(plain)));
  if (!shape.strings.empty()) parts.push_back(string(shape.strings));
  for (const ArrayShape& one : shape.arrays) parts.push_back(array(one, set));
  for (const ObjectShape& one : shape.objects) parts.push_back(object(one, set));
  return choice(std::move(parts));
}

Expression SchemaWriter::string(const Dfa& strings) {
  if (strings == algebra_.all_strings()) {
    const auto found = tokens_.find("string");
    if (found == tokens_.end()) tokens_.emplace("string", quoted(strings, budget_));
    return token("string");
  }
  // Smaller ones may become parts of larger terminals, which is worth more.
  constexpr std::size_t kLarge = 100;
  if (strings.size() < kLarge) return regular(quoted(strings, budget_));
  const auto found = std::find_if(strings_.begin(), strings_.end(),
                                  [&](const auto& known) { return known.first == strings; });
  if (found != strings_.end()) return rule_reference(found->second);
  const std::uint32_t rule = builder_.add_rule();
  builder_.set_body(rule, regular(quoted(strings, budget_)));
  strings_.emplace_back(strings, rule);
  return rule_reference(rule);
}

Expression SchemaWriter::member(const ObjectShape::Property& property) {
  const std::string key = Json(property.name).dump();
  Nfa nfa(budget_);
  const StateId start = nfa.add_state();
  const StateId colon = nfa.add_state();
  const StateId end = nfa.add_state();
  embed(literal_dfa(key, budget_), nfa, start, colon);
  embed(token(kColon).dfa, nfa, colon, end);
  return in_sequence(regular(determinise(nfa, start, {end}, budget_)), value(property.value));
}

// A name that is no property. An empty choice where there is none.
Expression SchemaWriter::other_member(const ObjectShape& shape) {
  std::vector<Expression> parts;
  for (const ObjectShape::Others& others : shape.others) {
    if (others.value.never() || others.names.empty()) continue;
    parts.push_back(
        in_sequence(regular(quoted(others.names, budget_)), token(kColon), value(others.value)));
  }
  return choice(std::move(parts));
}

Expression SchemaWriter::object(const ObjectShape& shape, const SchemaSet& set) {
  std::vector<ObjectShape::Property> properties;
  Count required = 0;
  for (const ObjectShape::Property& property : shape.properties) {
    if (!property.value.never()) {
      properties.push_back(property);
      required += property.required ? 1 : 0;
    } else if (property.required) {
      return choice({});  // there is no such object
    }
  }
  const bool open = std::any_of(shape.others.begin(), shape.others.end(), [](const auto& others) {
    return !others.value.never() && !others.names.empty();
  });
  const bool counts =
      shape.least > required || (shape.most && (open || *shape.most < properties.size()));
  Expression inside = counts ? counted_members(shape, properties, set) : members(shape, properties);
  return in_sequence(token(kOpenObject), std::move(inside), token(kCloseObject));
}

Expression SchemaWriter::members(const ObjectShape& shape,
                                 const std::vector<ObjectShape::Property>& properties) {
  const Expression other = other_member(shape);
  const bool open = !other.children.empty();
  // What follows behind a comma, from property `from` on.
  const auto step = [&](std::size_t i) {
    Expression one = in_sequence(comma(), member(properties[i]));
    return properties[i].required ? std::move(one) : optional(std::move(one));
  };
  const auto others = [&] {
    return open ? repeat(in_sequence(comma(), other), 0, Expression::kUnbounded) : empty_text();
  };
  std::size_t firsts = 0;  // properties that may come first
  while (firsts < properties.size() && !properties[firsts].required) ++firsts;
  const bool may_be_empty = firsts == properties.size();
  if (!may_be_empty) ++firsts;
  if (firsts == 1) {
    std::vector<Expression> parts = {member(properties[0])};
    for (std::size_t i = 1; i < properties.size(); ++i) parts.push_back(step(i));
    parts.push_back(others());
    Expression all = sequence(std::move(parts));
    if (!may_be_empty) return all;
    std::vector<Expression> ways;
    ways.push_back(std::move(all));
    if (open) ways.push_back(in_sequence(other, others()));
    ways.push_back(empty_text());
    return choice(std::move(ways));
  }
  // Each of several properties may come first; what follows is a rule that they share.
  std::vector<std::uint32_t> rest(properties.size() + 1);
  for (std::size_t i = properties.size() + 1; i-- > 0;) {
    rest[i] = builder_.add_rule();
    builder_.set_body(rest[i], i == properties.size()
                                   ? others()
                                   : in_sequence(step(i), rule_reference(rest[i + 1])));
  }
  std::vector<Expression> ways;
  for (std::size_t i = 0; i < firsts; ++i) {
    ways.push_back(in_sequence(member(properties[i]), rule_reference(rest[i + 1])));
  }
  if (may_be_empty) {
    if (open) ways.push_back(in_sequence(other, others()));
    ways.push_back(empty_text());
  }
  return choice(std::move(ways));
}

// With limits on the number of members. Other names may repeat themselves, so only one of them
// counts towards the least number.
Expression SchemaWriter::counted_members(const ObjectShape& shape,
                                         const std::vector<ObjectShape::Property>& properties,
                                         const SchemaSet& set) {
  const Expression other = other_member(shape);
  const bool open = !other.children.empty();
  const Count least = shape.least;
  const Count possible = properties.size() + (open ? 1 : 0);
  if (least > possible && open) {
    fail(set, "minProperties",
         "names that are not listed cannot be kept apart, so more than one of them cannot be "
         "asked for");
  }
  if (least > possible || (shape.most && least > *shape.most)) return choice({});
  if (least > kMostCells || shape.most.value_or(0) > kMostCells) {
    fail(set, "maxProperties", "the number is too large");
  }
  // Rules by place, members that surely differ (at most `least` matter), members at most, and
  // whether one of them is no property.
  using Cell = std::tuple<std::size_t, Count, Count, bool>;
  std::map<Cell, std::uint32_t> rules;
  std::vector<Cell> waiting;
  const auto rule_of = [&](std::size_t at, Count sure, Count written, bool has_other) {
    // One member or more, whatever their number: commas need no more where there is no maximum.
    const Cell cell(at, std::min(sure, least), shape.most ? written : std::min<Count>(written, 1),
                    has_other);
    const auto [found, added] = rules.try_emplace(cell, 0);
    if (added) {
      if (rules.size() > kMostCells) fail(set, "maxProperties", "there are too many combinations");
      budget_.add_states(1);
      found->second = builder_.add_rule();
      waiting.push_back(cell);
    }
    return rule_reference(found->second);
  };
  Expression start = rule_of(0, 0, 0, false);
  while (!waiting.empty()) {
    const Cell cell = waiting.back();
    waiting.pop_back();
    const std::uint32_t rule = rules.at(cell);
    const std::size_t at = std::get<0>(cell);
    const Count sure = std::get<1>(cell);
    const Count written = std::get<2>(cell);
    const bool has_other = std::get<3>(cell);
    std::vector<Expression> ways;
    const bool more = !shape.most || written < *shape.most;
    const auto behind = [&](Expression one) {
      return written == 0 ? std::move(one) : in_sequence(comma(), std::move(one));
    };
    if (at < properties.size()) {
      if (more) {
        ways.push_back(in_sequence(behind(member(properties[at])),
                                   rule_of(at + 1, sure + 1, written + 1, false)));
      }
      if (!properties[at].required) ways.push_back(rule_of(at + 1, sure, written, false));
    } else {
      if (open && more) {
        ways.push_back(in_sequence(behind(other),
                                   rule_of(at, has_other ? sure : sure + 1, written + 1, true)));
      }
      if (sure >= least) ways.push_back(empty_text());
    }
    builder_.set_body(rule, choice(std::move(ways)));
  }
  return start;
}

}  // namespace mistral::grammar
