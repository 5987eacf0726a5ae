#include "text/tokenizer/fast_split.h"

#include <array>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

enum class Kind : std::uint8_t { kLetter, kNumber, kSpace, kOther, kEnd };

Kind kind_of(char32_t c) {
  if (unicode::is_letter(c)) return Kind::kLetter;
  if (unicode::is_number(c)) return Kind::kNumber;
  return unicode::is_space(c) ? Kind::kSpace : Kind::kOther;
}

constexpr std::array<Kind, 128> make_ascii_kinds() {
  std::array<Kind, 128> kinds{};
  for (unsigned c = 0; c < 128; ++c) {
    kinds[c] = (c | 0x20U) - 'a' < 26U  ? Kind::kLetter
               : c - '0' < 10U          ? Kind::kNumber
               : c == ' ' || c - 9 < 5U ? Kind::kSpace
                                        : Kind::kOther;
  }
  return kinds;
}
constexpr std::array<Kind, 128> kAsciiKinds = make_ascii_kinds();

struct At {
  char32_t c;
  std::uint32_t length;
  Kind kind;
  [[nodiscard]] bool is_line_end() const { return c == '\r' || c == '\n'; }
};

class Splitter {
 public:
  Splitter(std::string_view text, const FastSplit::Style& style) : text_(text), style_(style) {}

  std::vector<ByteRange> run() {
    std::vector<ByteRange> pieces;
    pieces.reserve(text_.size() / 4 + 1);
    for (std::size_t begin = 0; begin < text_.size();) {
      const std::size_t end = piece_end(begin);
      const bool gap = style_.words == FastSplit::Words::kRuns && at(begin).kind == Kind::kSpace;
      if (!gap) pieces.push_back({begin, end});
      begin = end;
    }
    return pieces;
  }

 private:
  [[nodiscard]] At at(std::size_t position) const {
    if (position >= text_.size()) return {0, 0, Kind::kEnd};
    const auto byte = static_cast<unsigned char>(text_[position]);
    if (byte < 0x80) return {byte, 1, kAsciiKinds[byte]};
    const utf8::Character c = utf8::decode(text_.substr(position));
    return {c.code_point, c.length, kind_of(c.code_point)};
  }

  [[nodiscard]] std::size_t run_end(std::size_t position, Kind kind) const {
    for (At next = at(position); next.kind == kind; next = at(position)) position += next.length;
    return position;
  }

  // The end of a contraction ('s 't 're 've 'm 'll 'd) at `position`, or `position` if none.
  [[nodiscard]] std::size_t contraction_end(std::size_t position) const {
    if (style_.contractions == FastSplit::Contractions::kNone || position >= text_.size() ||
        text_[position] != '\'') {
      return position;
    }
    const bool any_case = style_.contractions == FastSplit::Contractions::kAnyCase;
    const auto lower = [&](std::size_t i) -> char32_t {
      const At next = at(i);
      if (!any_case) return next.c;
      if (next.c == 0x17F) return 's';  // the long s folds to it
      return next.c - 'A' < 26 ? next.c + 0x20 : next.c;
    };
    const char32_t first = lower(position + 1);
    const std::size_t second_at = position + 1 + at(position + 1).length;
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return second_at;
    const char32_t second = lower(second_at);
    if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) {
      return second_at + 1;
    }
    return position;
  }

  [[nodiscard]] std::size_t piece_end(std::size_t begin) const {
    const At first = at(begin);
    if (style_.words != FastSplit::Words::kByCase) {
      if (const std::size_t end = contraction_end(begin); end != begin) return end;
    }
    switch (style_.words) {
      case FastSplit::Words::kSpaceThenRun:
        return space_then_run_end(begin, first);
      case FastSplit::Words::kAnyThenLetters:
        if (first.kind == Kind::kLetter) return run_end(begin + first.length, Kind::kLetter);
        if (first.kind != Kind::kNumber && !first.is_line_end() &&
            at(begin + first.length).kind == Kind::kLetter) {
          return run_end(begin + first.length, Kind::kLetter);
        }
        break;
      case FastSplit::Words::kRuns:
        if (first.kind == Kind::kNumber) return begin + first.length;
        return run_end(begin + first.length, first.kind);
      case FastSplit::Words::kByCase:
        if (const std::size_t end = word_by_case_end(begin, first); end != begin) {
          const std::size_t with_contraction = contraction_end(end);
          return with_contraction;
        }
        break;
    }
    if (first.kind == Kind::kNumber) {
      std::size_t end = begin + first.length;
      for (int i = 1; i < style_.digits && at(end).kind == Kind::kNumber; ++i) {
        end += at(end).length;
      }
      return end;
    }
    if (first.kind == Kind::kOther || (first.c == ' ' && at(begin + 1).kind == Kind::kOther)) {
      std::size_t end = run_end(begin + first.length, Kind::kOther);
      for (At next = at(end); next.is_line_end() || (style_.slash && next.c == '/');
           next = at(end)) {
        end += next.length;
      }
      return end;
    }
    return blank_end(begin, first, true);
  }

  [[nodiscard]] std::size_t space_then_run_end(std::size_t begin, const At& first) const {
    At word = first;
    std::size_t word_begin = begin;
    if (first.c == ' ') word = at(++word_begin);
    if (word.kind == Kind::kSpace || word.kind == Kind::kEnd) {
      return blank_end(begin, first, false);
    }
    return run_end(word_begin + word.length, word.kind);
  }

  // A run of blanks up to its last line end if that counts, else all of it at the end of the
  // text, else all but the last, which belongs to the next word.
  [[nodiscard]] std::size_t blank_end(std::size_t begin, const At& first, bool line_ends) const {
    std::size_t last = begin;
    std::size_t after_line_end = begin;
    std::size_t end = begin;
    for (At next = first; next.kind == Kind::kSpace; next = at(end)) {
      last = end;
      end += next.length;
      if (next.is_line_end()) after_line_end = end;
    }
    if (line_ends && after_line_end > begin) return after_line_end;
    if (end == text_.size() || last == begin) return end;
    return last;
  }

  static bool is_upper_like(const At& a) {
    return (unicode::category_mask(a.c) &
            (U_GC_LU_MASK | U_GC_LT_MASK | U_GC_LM_MASK | U_GC_LO_MASK | U_GC_M_MASK)) != 0;
  }
  static bool is_lower_like(const At& a) {
    return (unicode::category_mask(a.c) &
            (U_GC_LL_MASK | U_GC_LM_MASK | U_GC_LO_MASK | U_GC_M_MASK)) != 0;
  }

  // [upper]*[lower]+ at `begin`; `begin` when it does not match.
  [[nodiscard]] std::size_t upper_then_lower_end(std::size_t begin) const {
    std::size_t end = begin;
    std::size_t after_lower = begin;  // behind the last character that is also lower-like
    for (At next = at(end); next.kind != Kind::kEnd && is_upper_like(next); next = at(end)) {
      end += next.length;
      if (is_lower_like(next)) after_lower = end;
    }
    At next = at(end);
    if (next.kind == Kind::kEnd || !is_lower_like(next)) return after_lower;
    for (; next.kind != Kind::kEnd && is_lower_like(next); next = at(end)) end += next.length;
    return end;
  }

  [[nodiscard]] std::size_t upper_end(std::size_t begin) const {
    std::size_t end = begin;
    for (At next = at(end); next.kind != Kind::kEnd && is_upper_like(next); next = at(end)) {
      end += next.length;
    }
    return end;
  }

  // The alternatives in the order of the expression: each with the optional first character
  // taken, then without it.
  [[nodiscard]] std::size_t word_by_case_end(std::size_t begin, const At& first) const {
    const bool takes_first =
        first.kind != Kind::kLetter && first.kind != Kind::kNumber && !first.is_line_end();
    const std::size_t behind = begin + first.length;
    if (takes_first) {
      if (const std::size_t end = upper_then_lower_end(behind); end != behind) return end;
    }
    if (const std::size_t end = upper_then_lower_end(begin); end != begin) return end;
    if (takes_first) {
      if (const std::size_t end = upper_end(behind); end != behind) return end;
    }
    return upper_end(begin);
  }

  std::string_view text_;
  const FastSplit::Style& style_;
};

}  // namespace

std::optional<FastSplit> FastSplit::for_expression(std::string_view expression) {
  namespace known = split_expression;
  struct Entry {
    std::string_view expression;
    Style style;
  };
  static constexpr std::array<Entry, 8> kEntries{{
      {known::kGpt2, {Words::kSpaceThenRun, Contractions::kLowerCase, 0, false}},
      {known::kLlama3, {Words::kAnyThenLetters, Contractions::kAnyCase, 3, false}},
      {known::kQwen2, {Words::kAnyThenLetters, Contractions::kAnyCase, 1, false}},
      {known::kCl100k, {Words::kAnyThenLetters, Contractions::kAnyCase, 3, false}},
      {known::kBailing, {Words::kAnyThenLetters, Contractions::kAnyCase, 1, false}},
      {known::kO200k, {Words::kByCase, Contractions::kAnyCase, 3, true}},
      {known::kTekken, {Words::kByCase, Contractions::kNone, 1, true}},
      {known::kClip, {Words::kRuns, Contractions::kLowerCase, 1, false}},
  }};
  for (const Entry& entry : kEntries) {
    if (entry.expression == expression) return FastSplit(entry.style);
  }
  return std::nullopt;
}

std::vector<ByteRange> FastSplit::find_all(std::string_view text) const {
  return Splitter(text, style_).run();
}

}  // namespace mistral::text
