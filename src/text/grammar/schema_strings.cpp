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
// A part of a host's name of at most so many characters (5 or more). Two hyphens in the third and
// fourth place mark encoded ones ("xn--"), of which only some are valid.
std::string label(int most) {
  const std::string one = "[A-Za-z0-9]";
  const std::string any = "[A-Za-z0-9-]";
  return fmt::format("({0}({1}?{0})?|{0}{1}({1}{0}|({0}{1}|-{0}){1}{{0,{2}}}{0}))", one, any,
                     most - 5);
}
const std::string kLabel = label(63);
// In an address names have no limits.
const std::string kPart = "[A-Za-z0-9]+(-+[A-Za-z0-9]+)*";
const std::string kHost = kPart + R"((\.)" + kPart + ")*";

// A host's name has at most 253 characters: three long parts, or eight shorter ones.
std::string hostname() {
  const auto parts = [](int most, int more) {
    return fmt::format(R"({0}(\.{0}){{0,{1}}})", label(most), more);
  };
  return parts(63, 2) + "|" + parts(30, 7);
}

const std::string kIpv4 =
    R"(((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";
const std::string kAtom = R"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)";
const std::string kPathCharacter = R"(([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}))";
const std::string kUser = R"(([A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)";

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
  // The last two groups as an IPv4 address.
  out += "|" + g + "{6}" + kIpv4 + "|::" + g + "{0,5}" + kIpv4;
  for (int before = 1; before <= 5; ++before) {
    out += fmt::format("|{}{{{}}}:{}{{0,{}}}{}", g, before, g, 5 - before, kIpv4);
  }
  return out;
}

// RFC 3986, with hosts by name, IPv4 or IPv6.
std::string uri(bool relative) {
  const std::string rest = "(/" + kPathCharacter + "*)*";
  const std::string rooted = "/(" + kPathCharacter + "+" + rest + ")?";
  const std::string authority =
      "//((" + kUser + ")?(" + kHost + "|" + kIpv4 + R"(|\[()" + ipv6() + R"()\])(:\d{1,5})?))";
  const std::string query =
      R"((\?()" + kPathCharacter + R"(|[/?])*)?(#()" + kPathCharacter + R"(|[/?])*)?)";
  const std::string absolute = "[A-Za-z][A-Za-z0-9+.-]*:(" + authority + rest + "|//" + rooted +
                               "|" + kPathCharacter + "+" + rest + "|" + rooted + ")" + query;
  if (!relative) return absolute;
  return absolute + "|(" + authority + rest + "|" + rooted + "|([A-Za-z0-9._~-]+" + rest + ")?)" +
         query;
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
  if (format == "hostname" || format == "idn-hostname") return hostname();
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
