#include "text/tokenizer/regex_properties.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "text/tokenizer/unicode.h"

namespace mistral::text {
namespace {

struct Category {
  std::string_view name;  // as Oniguruma compares names: lower case, without separators
  std::string_view long_name;
  std::uint32_t mask;
};

constexpr std::uint32_t kWord = U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;

// Those that newer versions added to. Cn, which they took from, is not among them.
constexpr std::array<Category, 22> kCategories{{
    {"l", "letter", U_GC_L_MASK},
    {"lu", "uppercaseletter", U_GC_LU_MASK},
    {"ll", "lowercaseletter", U_GC_LL_MASK},
    {"lm", "modifierletter", U_GC_LM_MASK},
    {"lo", "otherletter", U_GC_LO_MASK},
    {"m", "mark", U_GC_M_MASK},
    {"mn", "nonspacingmark", U_GC_MN_MASK},
    {"mc", "spacingmark", U_GC_MC_MASK},
    {"n", "number", U_GC_N_MASK},
    {"nd", "decimalnumber", U_GC_ND_MASK},
    {"no", "othernumber", U_GC_NO_MASK},
    {"p", "punctuation", U_GC_P_MASK},
    {"pd", "dashpunctuation", U_GC_PD_MASK},
    {"po", "otherpunctuation", U_GC_PO_MASK},
    {"s", "symbol", U_GC_S_MASK},
    {"sm", "mathsymbol", U_GC_SM_MASK},
    {"so", "othersymbol", U_GC_SO_MASK},
    {"cf", "format", U_GC_CF_MASK},
    {"lc", "casedletter", U_GC_LU_MASK | U_GC_LL_MASK | U_GC_LT_MASK},
    {"word", "word", kWord},
    {"digit", "digit", U_GC_ND_MASK},
    {"upper", "uppercase", U_GC_LU_MASK},
}};

std::string normalized(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return out;
}

void append_newer(std::uint32_t mask, std::string& out) {
  for (const unicode::CategoryRange& range : unicode::newer_characters()) {
    if ((range.mask & mask) == 0) continue;
    fmt::format_to(std::back_inserter(out), "\\x{{{:X}}}-\\x{{{:X}}}",
                   static_cast<std::uint32_t>(range.first), static_cast<std::uint32_t>(range.last));
  }
}

// A class of its own, which means the same inside of another class and outside.
void append_class(bool negated, std::string_view base, std::uint32_t mask, std::string& out) {
  out += negated ? "[^" : "[";
  out += base;
  append_newer(mask, out);
  out += ']';
}

// The \p{…} that `rest` begins with: its length, when it was written to `out`.
std::optional<std::size_t> append_property(std::string_view rest, std::string& out) {
  if (rest.size() < 4 || (rest[1] != 'p' && rest[1] != 'P') || rest[2] != '{') return std::nullopt;
  const std::size_t end = rest.find('}');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view name = rest.substr(3, end - 3);
  bool negated = rest[1] == 'P';
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  const std::string wanted = normalized(name);
  const auto* category =
      std::find_if(kCategories.begin(), kCategories.end(), [&](const Category& candidate) {
        return candidate.name == wanted || candidate.long_name == wanted;
      });
  if (category == kCategories.end()) {
    if (wanted != "han") return std::nullopt;
    out += negated ? "[^" : "[";
    out += "\\p{Han}\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}]";
    return end + 1;
  }
  append_class(negated, fmt::format("\\p{{{}}}", category->name), category->mask, out);
  return end + 1;
}

// The [:…:] that `rest` begins with, as above.
std::optional<std::size_t> append_bracket(std::string_view rest, std::string& out) {
  struct Bracket {
    std::string_view name;
    std::string_view base;
    std::uint32_t mask;
  };
  constexpr std::array<Bracket, 4> kBrackets{{{"punct", "\\p{P}\\p{S}", U_GC_P_MASK | U_GC_S_MASK},
                                              {"word", "\\w", kWord},
                                              {"digit", "\\d", U_GC_ND_MASK},
                                              {"upper", "[:upper:]", U_GC_LU_MASK}}};
  const bool negated = rest.starts_with("[:^");
  if (!negated && !rest.starts_with("[:")) return std::nullopt;
  const std::size_t begin = negated ? 3 : 2;
  for (const Bracket& bracket : kBrackets) {
    const std::size_t end = begin + bracket.name.size();
    if (rest.substr(begin, bracket.name.size()) != bracket.name) continue;
    if (rest.substr(end, 2) != ":]") continue;
    append_class(negated, bracket.base, bracket.mask, out);
    return end + 2;
  }
  return std::nullopt;
}

// Outside of classes, Oniguruma counts the numbers of Latin-1 among word characters; inside not.
constexpr std::string_view kFreeWord = "\\w\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

// The \w, \d, \b or the opposite that `rest` begins with, as above. In a class, \b is no border.
std::optional<std::size_t> append_shorthand(std::string_view rest, bool in_class,
                                            std::string& out) {
  constexpr std::size_t kLength = 2;
  if (rest.size() < kLength) return std::nullopt;
  const char name = rest[1];
  if (name == 'w' || name == 'W') {
    append_class(name == 'W', in_class ? "\\w" : kFreeWord, kWord, out);
  } else if (name == 'd' || name == 'D') {
    append_class(name == 'D', "\\d", U_GC_ND_MASK, out);
  } else if ((name == 'b' || name == 'B') && !in_class) {
    std::string word;
    append_class(false, kFreeWord, kWord, word);
    out += name == 'b' ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word)
                       : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word);
  } else {
    return std::nullopt;
  }
  return kLength;
}

}  // namespace

std::string with_newer_characters(std::string_view pattern) {
  std::string out;
  out.reserve(pattern.size());
  std::size_t depth = 0;  // of classes: [:punct:] is a name only inside of one
  while (!pattern.empty()) {
    std::optional<std::size_t> done;
    if (pattern[0] == '\\') {
      done = append_property(pattern, out);
      if (!done) done = append_shorthand(pattern, depth > 0, out);
      if (!done) {
        done = std::min<std::size_t>(2, pattern.size());
        out += pattern.substr(0, *done);
      }
    } else if (pattern[0] == '[') {
      if (depth > 0) done = append_bracket(pattern, out);
      if (!done) ++depth;
    } else if (pattern[0] == ']' && depth > 0) {
      --depth;
    }
    if (!done) {
      out += pattern[0];
      done = 1;
    }
    pattern.remove_prefix(*done);
  }
  return out;
}

}  // namespace mistral::text
