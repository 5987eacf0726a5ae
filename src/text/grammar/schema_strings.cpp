#include "text/grammar/schema_strings.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/error.h"
#include "text/grammar/regex.h"

namespace mistral::grammar {
namespace {

// Days of months, with 29 February in leap years only; the year 0000 does not exist.
const std::string kDate =
    R"((((\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)-)"
    R"(((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])))|)"
    R"((\d\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29))";
const std::string kTime =
    R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))";
const std::string kLabel = R"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)";
const std::string kHost = kLabel + R"((\.)" + kLabel + ")*";
const std::string kIpv4 =
    R"(((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";
const std::string kAtom = R"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)";
const std::string kPathCharacter = R"(([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}))";

std::string ipv6() {
  const std::string group = "[0-9A-Fa-f]{1,4}";
  const std::string g = "(" + group + ":)";
  const std::string tail = "(:" + group + ")";
  std::string out = g + "{7}" + group;
  // With two colons in place of one or more groups.
  for (int before = 0; before <= 7; ++before) {
    const int after = 7 - before;
    out += "|";
    if (before == 0) {
      out += after == 0 ? "::" : fmt::format(":({}{{1,{}}}|:)", tail, after);
    } else if (after == 0) {
      out += g + "{7}:";
    } else {
      out += fmt::format("{}{{{}}}({}{{1,{}}}|:)", g, before, tail, after);
    }
  }
  return out;
}

std::string uri(bool relative) {
  const std::string rest = "(/" + kPathCharacter + "*)*";
  const std::string authority = "//(" + kHost + "|" + kIpv4 + R"()(:\d{1,5})?)";
  const std::string query =
      R"((\?()" + kPathCharacter + R"(|[/?])*)?(#()" + kPathCharacter + R"(|[/?])*)?)";
  const std::string absolute = "[A-Za-z][A-Za-z0-9+.-]*:(" + authority + rest + "|" +
                               kPathCharacter + "+" + rest + "|/" + kPathCharacter + "+" + rest +
                               ")" + query;
  if (!relative) return absolute;
  return absolute + "|(" + authority + rest + "|(/" + kPathCharacter + "+)+/?|[A-Za-z0-9._~-]+" +
         rest + ")" + query;
}

std::optional<std::string> pattern_of(std::string_view format) {
  if (format == "date") return kDate;
  if (format == "time") return kTime;
  if (format == "date-time") return "(" + kDate + ")T(" + kTime + ")";
  if (format == "duration") {
    return R"(P(\d+W|\d+D(T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))?|)"
           R"((\d+Y(\d+M(\d+D)?)?|\d+M(\d+D)?)(T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))?|)"
           R"(T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S)))";
  }
  if (format == "email" || format == "idn-email") {
    return kAtom + R"((\.)" + kAtom + ")*@" + kLabel + R"((\.)" + kLabel + ")+";
  }
  if (format == "hostname" || format == "idn-hostname") return kHost;
  if (format == "ipv4") return kIpv4;
  if (format == "ipv6") return ipv6();
  if (format == "uuid") return "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
  if (format == "uri" || format == "iri") return uri(false);
  if (format == "uri-reference" || format == "iri-reference") return uri(true);
  if (format == "json-pointer") return R"((/([^~/]|~[01])*)*)";
  if (format == "relative-json-pointer") return R"((0|[1-9]\d*)(#|(/([^~/]|~[01])*)*))";
  return std::nullopt;
}

// Whether all characters lead from a state to the same one; then which.
StateId target_of_all(const Dfa& dfa, StateId state) {
  const StateId target = dfa.next(state, ' ');
  if (target == kDead) return kDead;
  std::vector<ByteSequence> sequences;
  append_utf8_sequences(0, kMaxCodePoint, sequences);
  for (const ByteSequence& sequence : sequences) {
    std::vector<StateId> at = {state};
    for (const ByteRange& range : sequence) {
      std::vector<StateId> next;
      for (const StateId from : at) {
        for (unsigned byte = range.low; byte <= range.high; ++byte) {
          const StateId to = dfa.next(from, static_cast<std::uint8_t>(byte));
          if (to == kDead) return kDead;
          if (next.empty() || next.back() != to) next.push_back(to);
        }
      }
      std::sort(next.begin(), next.end());
      next.erase(std::unique(next.begin(), next.end()), next.end());
      at = std::move(next);
    }
    if (at.size() != 1 || at.front() != target) return kDead;
  }
  return target;
}

constexpr std::string_view kHexDigits = "0123456789abcdef";

void add_hex(Nfa& nfa, StateId from, unsigned low, unsigned high, StateId to) {
  for (unsigned digit = low; digit <= high; ++digit) {
    const auto c = static_cast<std::uint8_t>(kHexDigits[digit]);
    nfa.add_edge(from, c, c, to);
    if (digit > 9) nfa.add_edge(from, c - 32, c - 32, to);
  }
}

// From behind \u to `to`: any four digits that stand for a character, or two surrogates.
void add_any_escape(Nfa& nfa, StateId from, StateId to) {
  const auto digits = [&nfa](StateId at, int count, StateId end) {
    for (int i = 0; i + 1 < count; ++i) {
      const StateId next = nfa.add_state();
      add_hex(nfa, at, 0, 15, next);
      at = next;
    }
    add_hex(nfa, at, 0, 15, end);
  };
  const StateId three = nfa.add_state();
  add_hex(nfa, from, 0, 12, three);
  add_hex(nfa, from, 14, 15, three);
  digits(three, 3, to);
  const StateId d = nfa.add_state();
  add_hex(nfa, from, 13, 13, d);
  const StateId plain = nfa.add_state();
  add_hex(nfa, d, 0, 7, plain);
  digits(plain, 2, to);
  const StateId high = nfa.add_state();
  add_hex(nfa, d, 8, 11, high);
  const StateId behind_high = nfa.add_state();
  digits(high, 2, behind_high);
  StateId at = behind_high;
  for (const char c : {'\\', 'u'}) {
    const StateId next = nfa.add_state();
    nfa.add_edge(at, static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c), next);
    at = next;
  }
  const StateId low_d = nfa.add_state();
  add_hex(nfa, at, 13, 13, low_d);
  const StateId low = nfa.add_state();
  add_hex(nfa, low_d, 12, 15, low);
  digits(low, 2, to);
}

constexpr std::array<std::pair<char, char>, 8> kShortEscapes = {{{'"', '"'},
                                                                 {'\\', '\\'},
                                                                 {'/', '/'},
                                                                 {'\b', 'b'},
                                                                 {'\f', 'f'},
                                                                 {'\n', 'n'},
                                                                 {'\r', 'r'},
                                                                 {'\t', 't'}}};

// The bytes from `first` on that stand for themselves between quotes.
void add_ranges(const Dfa& strings, StateId state, unsigned first, Nfa& nfa,
                const std::vector<StateId>& ids) {
  const auto ends = [](unsigned byte) {
    return byte == '"' || byte == '\\' || byte + 1 == '"' || byte + 1 == '\\';
  };
  for (unsigned low = first; low < 256;) {
    const StateId target = strings.next(state, static_cast<std::uint8_t>(low));
    unsigned high = low;
    while (high < 255 && !ends(high) &&
           strings.next(state, static_cast<std::uint8_t>(high + 1)) == target) {
      ++high;
    }
    if (target != kDead && low != '"' && low != '\\') {
      nfa.add_edge(ids[state], static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high),
                   ids[target]);
    }
    low = high + 1;
  }
}

}  // namespace

Dfa any_string(Budget& budget) {
  return regex_dfa("(?s).*", {}, budget);
}

Dfa strings_of_length(std::uint64_t least, std::optional<std::uint64_t> most, Budget& budget) {
  constexpr std::uint64_t kLongest = 10'000;
  if (least > kLongest || (most && *most > kLongest)) {
    throw make_error(ErrorKind::kInvalidArgument, "lengths above {} take too many states",
                     kLongest);
  }
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  const StateId accept = nfa.add_state();
  StateId at = start;
  const std::uint64_t last = most.value_or(least);
  for (std::uint64_t i = 0; i <= last; ++i) {
    if (i >= least) nfa.add_free_edge(at, accept);
    if (i == last) break;
    const StateId next = nfa.add_state();
    add_characters(nfa, at, next, CodePointSet::all(), false);
    at = next;
  }
  if (!most) add_characters(nfa, at, at, CodePointSet::all(), false);
  return determinise(nfa, start, {accept}, budget);
}

Dfa strings_with_pattern(std::string_view pattern, Budget& budget) {
  return regex_dfa(pattern, {.search = true, .ecma = true}, budget);
}

FormatSupport format_support(std::string_view format) {
  if (pattern_of(format)) return FormatSupport::kEnforced;
  return format == "regex" || format == "uri-template" ? FormatSupport::kRefused
                                                       : FormatSupport::kIgnored;
}

Dfa strings_of_format(std::string_view format, Budget& budget) {
  return regex_dfa(pattern_of(format).value_or("(?s).*"), {}, budget);
}

Dfa quoted(const Dfa& strings, Budget& budget) {
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  const StateId accept = nfa.add_state();
  if (strings.empty()) return determinise(nfa, start, {accept}, budget);
  std::vector<StateId> ids(strings.size());
  for (StateId& id : ids) id = nfa.add_state();
  nfa.add_edge(start, '"', '"', ids[strings.start()]);
  for (StateId state = 0; state < strings.size(); ++state) {
    budget.tick();
    const StateId from = ids[state];
    if (strings.accepts(state)) nfa.add_edge(from, '"', '"', accept);
    const bool in_character = [&] {  // no character begins here
      for (std::uint8_t byte = 0; byte < 0x80; ++byte) {
        if (strings.next(state, byte) != kDead) return false;
      }
      return true;
    }();
    if (in_character) {
      add_ranges(strings, state, 0x80, nfa, ids);
      continue;
    }
    const StateId escape = nfa.add_state();
    const StateId unicode = nfa.add_state();
    nfa.add_edge(from, '\\', '\\', escape);
    nfa.add_edge(escape, 'u', 'u', unicode);
    add_ranges(strings, state, 0x20, nfa, ids);
    for (const auto& [character, letter] : kShortEscapes) {
      const StateId target = strings.next(state, static_cast<std::uint8_t>(character));
      const auto byte = static_cast<std::uint8_t>(letter);
      if (target != kDead) nfa.add_edge(escape, byte, byte, ids[target]);
    }
    const StateId all = target_of_all(strings, state);
    if (all != kDead) {
      add_any_escape(nfa, unicode, ids[all]);
      continue;
    }
    for (unsigned control = 0; control < 0x20; ++control) {
      const StateId target = strings.next(state, static_cast<std::uint8_t>(control));
      if (target == kDead) continue;
      StateId at = unicode;
      for (const unsigned digit : {0U, 0U, control >> 4U}) {
        const StateId next = nfa.add_state();
        add_hex(nfa, at, digit, digit, next);
        at = next;
      }
      add_hex(nfa, at, control & 15U, control & 15U, ids[target]);
    }
  }
  return determinise(nfa, start, {accept}, budget);
}

}  // namespace mistral::grammar
