#include "text/tool_calls/relaxed_arguments.h"

#include <cstdint>
#include <utility>

#include "text/tool_calls/json_scanner.h"

namespace mistral::text {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The code point in hexadecimal digits as UTF-8; nothing for surrogates and what is no code point.
std::optional<std::string> from_hex(std::string_view digits) {
  std::uint32_t code = 0;
  for (const char c : digits) {
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
    code = code * 16 + digit;
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return std::nullopt;
  std::string out;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | code >> 6U);
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | code >> 12U);
    out += static_cast<char>(0x80U | (code >> 6U & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | code >> 18U);
    out += static_cast<char>(0x80U | (code >> 12U & 0x3FU));
    out += static_cast<char>(0x80U | (code >> 6U & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
  return out;
}

// Both notations are lists of `key SEPARATOR value` with the same kinds of values.
class Reader {
 public:
  enum class Notation { kPython, kQuoted };

  Reader(std::string_view text, Notation notation, int max_depth)
      : rest_(text), notation_(notation), max_depth_(max_depth) {}

  // key=value, … up to the end of the text
  bool keywords() {
    out_ += '{';
    blanks();
    for (bool first = true; !rest_.empty(); first = false) {
      if (!first) {
        if (!take(",")) return false;
        blanks();
        if (rest_.empty()) break;
        out_ += ", ";
      }
      if (!bare_key() || !take("=")) return false;
      out_ += ": ";
      blanks();
      if (!value(1)) return false;
      blanks();
    }
    out_ += '}';
    return true;
  }

  bool whole_object() {
    blanks();
    if (!rest_.starts_with('{') || !value(0)) return false;
    blanks();
    return rest_.empty();
  }

  [[nodiscard]] std::string& out() { return out_; }

 private:
  void blanks() {
    while (!rest_.empty() && is_blank(rest_[0])) rest_.remove_prefix(1);
  }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  std::string_view word() {
    std::size_t size = 0;
    while (size < rest_.size() && is_word(rest_[size])) ++size;
    const std::string_view found = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return found;
  }

  bool bare_key() {
    std::string_view key;
    if (notation_ == Notation::kQuoted) {
      key = rest_.substr(0, rest_.find_first_of(":,{}[]"));
      rest_.remove_prefix(key.size());
    } else {
      key = word();
    }
    if (key.empty()) return false;
    out_ += json_string(key);
    blanks();
    return true;
  }

  bool value(int depth) {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    if (c == '{' || c == '[' || (c == '(' && notation_ == Notation::kPython)) {
      return depth < max_depth_ && container(c, depth + 1);
    }
    if (notation_ == Notation::kQuoted) {
      if (take(kLongQuote)) return long_string();
    } else if (c == '"' || c == '\'') {
      return python_string();
    }
    return scalar();
  }

  bool container(char open, int depth) {
    const char close = open == '{' ? '}' : open == '[' ? ']' : ')';
    rest_.remove_prefix(1);
    out_ += open == '{' ? '{' : '[';
    blanks();
    for (bool first = true; !take({&close, 1}); first = false) {
      if (!first) {
        if (!take(",")) return false;
        blanks();
        if (take({&close, 1})) break;
        out_ += ", ";
      }
      if (open == '{') {
        if (!key() || !take(":")) return false;
        out_ += ": ";
        blanks();
      }
      if (!value(depth)) return false;
      blanks();
    }
    out_ += open == '{' ? '}' : ']';
    return true;
  }

  // The key of a member of an object.
  bool key() {
    if (notation_ == Notation::kQuoted) {
      if (!take(kLongQuote)) return bare_key();
      if (!long_string()) return false;
    } else if (rest_.empty() || (rest_[0] != '"' && rest_[0] != '\'') || !python_string()) {
      return false;
    }
    blanks();
    return true;
  }

  bool long_string() {
    const std::size_t end = rest_.find(kLongQuote);
    if (end == std::string_view::npos) return false;
    out_ += json_string(rest_.substr(0, end));
    rest_.remove_prefix(end + kLongQuote.size());
    return true;
  }

  bool python_string() {
    const char quote = rest_[0];
    rest_.remove_prefix(1);
    std::string text;
    while (!rest_.empty() && rest_[0] != quote) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c != '\\') {
        text += c;
      } else if (!escape(text)) {
        return false;
      }
    }
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);
    out_ += json_string(text);
    return true;
  }

  bool escape(std::string& text) {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    std::size_t digits = 0;
    switch (c) {
      case 'n':
        text += '\n';
        return true;
      case 't':
        text += '\t';
        return true;
      case 'r':
        text += '\r';
        return true;
      case 'b':
        text += '\b';
        return true;
      case 'f':
        text += '\f';
        return true;
      case '\n':
        return true;  // a string that goes on in the next line
      case '\\':
      case '\'':
      case '"':
      case '/':
        text += c;
        return true;
      case 'x':
        digits = 2;
        break;
      case 'u':
        digits = 4;
        break;
      case 'U':
        digits = 8;
        break;
      default:
        text += '\\';
        text += c;
        return true;
    }
    if (rest_.size() < digits) return false;
    const auto character = from_hex(rest_.substr(0, digits));
    if (!character) return false;
    text += *character;
    rest_.remove_prefix(digits);
    return true;
  }

  bool scalar() {
    std::size_t size = 0;
    while (size < rest_.size() && (is_word(rest_[size]) || rest_[size] == '.' ||
                                   rest_[size] == '-' || rest_[size] == '+')) {
      ++size;
    }
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    if (text == "True" || text == "true") {
      out_ += "true";
    } else if (text == "False" || text == "false") {
      out_ += "false";
    } else if (text == "None" || text == "null") {
      out_ += "null";
    } else if (is_json(text)) {
      out_ += text;
    } else {
      return false;
    }
    return true;
  }

  std::string_view rest_;
  Notation notation_;
  int max_depth_;
  std::string out_;
};

}  // namespace

std::optional<std::string> python_arguments(std::string_view text, int max_depth) {
  Reader reader(text, Reader::Notation::kPython, max_depth);
  if (!reader.keywords()) return std::nullopt;
  return std::move(reader.out());
}

std::optional<std::string> quoted_arguments(std::string_view text, int max_depth) {
  Reader reader(text, Reader::Notation::kQuoted, max_depth);
  if (!reader.whole_object()) return std::nullopt;
  return std::move(reader.out());
}

}  // namespace mistral::text
