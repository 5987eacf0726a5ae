#include "models/selector/toml_document.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/tokenizer/utf8.h"

namespace mistral::models {

// The parser's assertions can fail on wrong text; without this they end the program, or are taken
// as promises to the compiler, depending on the build. That a key begins as it must is checked once
// more by parse_key(), which then says where it does not.
static void assertion_failed(std::string_view assertion) {
  if (assertion.starts_with("is_bare_key_character")) return;
  throw Error(ErrorKind::kInvalidFile, "text that the parser does not understand");
}

}  // namespace mistral::models

// Nesting that the parser allows in values; that of dotted keys it does not limit.
#define TOML_MAX_NESTED_VALUES 16
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#define TOML_ASSERT(expr) ((expr) ? void() : ::mistral::models::assertion_failed(#expr))
#pragma push_macro("NDEBUG")
#undef NDEBUG  // with it TOML_ASSERT is ignored
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace mistral::models {
namespace {

constexpr int kMaxDepth = TOML_MAX_NESTED_VALUES;

// Walks over TOML text as far as needed to tell how deep it nests. Up to the first mistake in the
// text it sees strings and comments where the parser does, and the parser stops there.
class NestingScan {
 public:
  explicit NestingScan(std::string_view text) : text_(text) {}

  // The line where the text nests deeper than kMaxDepth; 0 when it does not.
  std::uint32_t too_deep_at() {
    while (next_ < text_.size()) {
      const char c = text_[next_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      ++next_;
      if (c == '#') next_ = std::min(text_.find('\n', next_), text_.size());
      if (c == '\n') ++line_;
      // Each ends what a dotted key can be part of.
      if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') dots_ = 0;
      if (c == '.') ++dots_;
      if (c == '[' || c == '{') ++brackets_;
      if (c == ']' || c == '}') --brackets_;
      if (dots_ >= kMaxDepth || brackets_ > kMaxDepth) return line_;
    }
    return 0;
  }

 private:
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool long_string = text_.substr(next_).starts_with(three);
    next_ += long_string ? 3 : 1;
    while (next_ < text_.size()) {
      const char c = text_[next_];
      if (c == '\n') {
        if (!long_string) return;  // a mistake
        ++line_;
      }
      if (c == '\\' && quote == '"') {
        ++next_;
        // The line break is counted on its own.
        if (next_ < text_.size() && text_[next_] != '\n') ++next_;
        continue;
      }
      if (c != quote) {
        ++next_;
        continue;
      }
      if (!long_string) {
        ++next_;
        return;
      }
      const std::size_t run = std::min(text_.find_first_not_of(quote, next_), text_.size()) - next_;
      next_ += std::min<std::size_t>(run, 5);  // two quotes may stand before the closing three
      if (run >= 3) return;
    }
  }

  std::string_view text_;
  std::size_t next_ = 0;
  std::uint32_t line_ = 1;
  int dots_ = 0;
  int brackets_ = 0;
};

TomlPlace place_of(const toml::source_region& region) {
  return {std::max(region.begin.line, 1U), std::max(region.begin.column, 1U)};
}

TomlValue convert(const toml::node& node, const std::string& name, int depth) {
  TomlValue value;
  value.place = place_of(node.source());
  if (depth > kMaxDepth) {
    throw make_error(ErrorKind::kInvalidFile, "{}:{}:{}: tables and arrays nest more than {} deep",
                     name, value.place.line, value.place.column, kMaxDepth);
  }
  if (const auto* table = node.as_table()) {
    TomlValue::Table entries;
    for (const auto& [key, child] : *table) {
      entries.push_back(
          {std::string(key.str()), place_of(key.source()), convert(child, name, depth + 1)});
    }
    std::stable_sort(entries.begin(), entries.end(), [](const TomlEntry& a, const TomlEntry& b) {
      return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
    });
    value.content = std::move(entries);
  } else if (const auto* array = node.as_array()) {
    TomlValue::Array elements;
    for (const toml::node& child : *array) elements.push_back(convert(child, name, depth + 1));
    value.content = std::move(elements);
  } else if (const auto* text = node.as_string()) {
    value.content = text->get();
  } else if (const auto* integer = node.as_integer()) {
    value.content = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    value.content = number->get();
  } else if (const auto* boolean = node.as_boolean()) {
    value.content = boolean->get();
  } else {
    value.content = TomlValue::Date{};
  }
  return value;
}

}  // namespace

std::string_view TomlValue::type_name() const {
  static constexpr std::string_view kNames[] = {
      "a string", "an integer", "a float", "a boolean", "a date or a time", "an array", "a table"};
  static_assert(std::size(kNames) == std::variant_size_v<decltype(content)>);
  return kNames[content.index()];
}

TomlValue parse_toml(std::string_view text, const std::string& name) {
  if (text.size() > kMaxTomlBytes) {
    throw make_error(ErrorKind::kInvalidFile, "{}: longer than {} bytes", name, kMaxTomlBytes);
  }
  if (const std::uint32_t line = NestingScan(text).too_deep_at(); line > 0) {
    throw make_error(ErrorKind::kInvalidFile, "{}:{}:1: tables and arrays nest more than {} deep",
                     name, line, kMaxDepth);
  }
  try {
    return convert(toml::parse(text), name, 0);
  } catch (const toml::parse_error& error) {
    const TomlPlace place = place_of(error.source());
    // The description may quote the file, and is cut at some byte when it is long.
    throw make_error(ErrorKind::kInvalidFile, "{}:{}:{}: not valid TOML: {}", name, place.line,
                     place.column, text::utf8::repaired(error.description()));
  } catch (Error& error) {
    if (!std::string_view(error.what()).starts_with(name)) error.add_context(name);
    throw;
  }
}

}  // namespace mistral::models
