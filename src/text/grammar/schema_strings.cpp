#include "text/grammar/schema_strings.h"

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

}  // namespace mistral::grammar
