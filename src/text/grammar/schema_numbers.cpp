#include "text/grammar/schema_numbers.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "text/grammar/regex.h"

namespace mistral::grammar {
namespace {

constexpr const char* kUnsigned = R"((0|[1-9][0-9]*)(\.[0-9]+)?)";
constexpr int kMostExponent = 400;

// Texts without a sign whose number is at least `bound`, or more with `exclusive`.
std::string at_least(const Decimal& bound, bool exclusive) {
  const std::string& whole = bound.whole;
  const std::string& fraction = bound.fraction;
  const std::string any_fraction = R"((\.[0-9]+)?)";
  std::string out;
  const auto add = [&out](const std::string& part) { out += (out.empty() ? "" : "|") + part; };
  const auto digits_above = [](char digit) {
    return digit == '9' ? std::string() : std::string("[") + static_cast<char>(digit + 1) + "-9]";
  };
  // More digits before the point.
  add(fmt::format("[1-9][0-9]{{{},}}{}", whole.size(), any_fraction));
  // As many, and one of them is larger.
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::string above = digits_above(whole[i]);
    if (above.empty()) continue;
    add(fmt::format("{}{}[0-9]{{{}}}{}", whole.substr(0, i), above, whole.size() - i - 1,
                    any_fraction));
  }
  // The same before the point, and a digit behind it is larger.
  for (std::size_t i = 0; i < fraction.size(); ++i) {
    const std::string above = digits_above(fraction[i]);
    if (!above.empty()) add(whole + R"(\.)" + fraction.substr(0, i) + above + "[0-9]*");
  }
  // All digits are the same; more may follow.
  if (fraction.empty()) {
    add(exclusive ? whole + R"(\.0*[1-9][0-9]*)" : whole + any_fraction);
  } else {
    add(whole + R"(\.)" + fraction + (exclusive ? "0*[1-9][0-9]*" : "[0-9]*"));
  }
  return out;
}

Dfa of(const std::string& pattern, Budget& budget) {
  return regex_dfa(pattern, {}, budget);
}

Dfa below(const Decimal& bound, bool exclusive, Budget& budget) {
  return subtract(of(kUnsigned, budget), of(at_least(bound, !exclusive), budget), budget);
}

Dfa negated(const Dfa& dfa, Budget& budget) {
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  const StateId from = nfa.add_state();
  const StateId to = nfa.add_state();
  nfa.add_edge(start, '-', '-', from);
  embed(dfa, nfa, from, to);
  return determinise(nfa, start, {to}, budget);
}

}  // namespace

Dfa any_number(Budget& budget) {
  return of(R"(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)", budget);
}
Dfa decimals(Budget& budget) {
  return of(fmt::format("-?{}", kUnsigned), budget);
}
Dfa integers(Budget& budget) {
  return of(R"(-?(0|[1-9][0-9]*)(\.0+)?)", budget);
}
Dfa plain_integers(Budget& budget) {
  return of("-?(0|[1-9][0-9]*)", budget);
}

bool read_decimal(std::string_view text, Decimal& out) {
  out = {};
  if (text.starts_with('-')) {
    out.negative = true;
    text.remove_prefix(1);
  }
  std::string digits;
  int point = -1;
  std::size_t at = 0;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      point = static_cast<int>(digits.size());
    } else {
      digits += text[at];
    }
  }
  if (digits.size() > kMostExponent) return false;
  if (point < 0) point = static_cast<int>(digits.size());
  if (at < text.size()) point += std::atoi(std::string(text.substr(at + 1)).c_str());
  if (point > kMostExponent || point < -kMostExponent) return false;
  if (point < 0) {
    digits.insert(0, static_cast<std::size_t>(-point), '0');
    point = 0;
  }
  const auto split = static_cast<std::size_t>(point);
  if (digits.size() < split) digits.append(split - digits.size(), '0');
  out.whole = digits.substr(0, split);
  out.fraction = digits.substr(split);
  out.whole.erase(0, std::min(out.whole.find_first_not_of('0'), out.whole.size()));
  if (out.whole.empty()) out.whole = "0";
  out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
  if (out.zero()) out.negative = false;
  return true;
}

Dfa bounded_numbers(Bound kind, const Decimal& bound, Budget& budget) {
  const bool exclusive = kind == Bound::kExclusiveMinimum || kind == Bound::kExclusiveMaximum;
  const bool minimum = kind == Bound::kMinimum || kind == Bound::kExclusiveMinimum;
  const Dfa all = of(kUnsigned, budget);
  Decimal size = bound;
  size.negative = false;
  const Dfa zero = of(R"(-0(\.0+)?)", budget);
  if (minimum && bound.negative)
    return unite(all, negated(below(size, exclusive, budget), budget), budget);
  if (minimum) {
    const Dfa above = of(at_least(size, exclusive), budget);
    return size.zero() && !exclusive ? unite(above, zero, budget) : above;
  }
  if (bound.negative) return negated(of(at_least(size, exclusive), budget), budget);
  const Dfa negative = negated(all, budget);
  if (size.zero() && exclusive) return subtract(negative, zero, budget);
  return unite(below(size, exclusive, budget), negative, budget);
}

Dfa spellings(const Decimal& value, Budget& budget) {
  const std::string sign = value.zero() ? "-?" : value.negative ? "-" : "";
  if (value.fraction.empty()) return of(sign + value.whole + R"((\.0+)?)", budget);
  return of(sign + value.whole + R"(\.)" + value.fraction + "0*", budget);
}

Dfa multiples(const Decimal& of_number, Budget& budget) {
  // In units of the last digit: a number is a multiple when its digits, as far as these units go,
  // are one, and the digits after them are zeros.
  constexpr std::size_t kMostDigits = 4;
  const std::size_t places = of_number.fraction.size();
  const std::string digits = of_number.whole + of_number.fraction;
  const std::size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos || digits.size() - first > kMostDigits || places > kMostDigits) {
    throw make_error(ErrorKind::kInvalidArgument, "multiples of {} take too many states",
                     of_number.text());
  }
  const auto modulus = static_cast<std::uint32_t>(std::atoi(digits.c_str()));
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  const StateId accept = nfa.add_state();
  // Remainders before the point, and after each place behind it.
  std::vector<StateId> base(places + 1);
  for (StateId& state : base) {
    state = static_cast<StateId>(nfa.size());
    for (std::uint32_t r = 0; r < modulus; ++r) std::ignore = nfa.add_state();
  }
  const StateId zeros = nfa.add_state();
  const StateId point_to_zeros = nfa.add_state();
  const StateId signless = nfa.add_state();
  nfa.add_free_edge(start, signless);
  nfa.add_edge(start, '-', '-', signless);
  for (std::uint8_t d = 0; d < 10; ++d) {
    const auto c = static_cast<std::uint8_t>('0' + d);
    nfa.add_edge(signless, c, c, base[0] + d % modulus);
  }
  std::uint32_t scale = 1;  // of what is still missing
  for (std::size_t p = 0; p < places; ++p) scale = scale * 10 % modulus;
  for (std::size_t p = 0; p <= places; ++p) {
    for (std::uint32_t r = 0; r < modulus; ++r) {
      const StateId state = base[p] + r;
      if (r * scale % modulus == 0) nfa.add_free_edge(state, accept);
      for (std::uint8_t d = 0; d < 10; ++d) {
        const auto c = static_cast<std::uint8_t>('0' + d);
        const std::uint32_t next = (r * 10 + d) % modulus;
        if (p == 0) nfa.add_edge(state, c, c, base[0] + next);
        if (p > 0 && p < places) nfa.add_edge(state, c, c, base[p + 1] + next);
      }
      if (p == 0 && places > 0) {
        const StateId point = nfa.add_state();
        nfa.add_edge(state, '.', '.', point);
        for (std::uint8_t d = 0; d < 10; ++d) {
          const auto c = static_cast<std::uint8_t>('0' + d);
          nfa.add_edge(point, c, c, base[1] + (r * 10 + d) % modulus);
        }
      }
    }
    if (p < places) {
      // One place less is missing.
      scale = 1 % modulus;
      for (std::size_t q = p + 1; q < places; ++q) scale = scale * 10 % modulus;
    }
  }
  nfa.add_edge(base[places], '0', '0', zeros);  // remainder 0 after the last place
  if (places == 0) {
    nfa.add_edge(base[0], '.', '.', point_to_zeros);
    nfa.add_edge(point_to_zeros, '0', '0', zeros);
  }
  nfa.add_edge(zeros, '0', '0', zeros);
  nfa.add_free_edge(zeros, accept);
  return intersect(determinise(nfa, start, {accept}, budget), decimals(budget), budget);
}

}  // namespace mistral::grammar
