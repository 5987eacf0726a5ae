#include "text/tool_calls/json_scanner.h"

#include <fmt/format.h>

#include "core/json.h"

namespace mistral::text {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Characters of numbers, true, false and null.
bool is_scalar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
         c == 'E';
}

bool valid_scalar(std::string_view text) {
  if (text == "true" || text == "false" || text == "null") return true;
  const auto digits = [&text] {
    std::size_t count = 0;
    while (count < text.size() && text[count] >= '0' && text[count] <= '9') ++count;
    text.remove_prefix(count);
    return count;
  };
  const auto take = [&text](std::string_view any) {
    if (text.empty() || any.find(text[0]) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
  };
  (void)take("-");
  const bool zero = text.starts_with('0');
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (take(".") && digits() == 0) return false;
  if (take("eE")) {
    (void)take("+-");
    if (digits() == 0) return false;
  }
  return text.empty();
}

}  // namespace

JsonScanner::Progress JsonScanner::feed(char c) {
  event_ = Event::kNone;
  if (state_ == State::kString) return within_string(c);
  if (state_ == State::kScalar) {
    if (is_scalar(c)) {
      text_ += c;
      return Progress::kMore;
    }
    if (!valid_scalar(std::string_view(text_).substr(begin_))) return Progress::kInvalid;
    state_ = State::kAfter;
  }
  if (is_blank(c)) {
    text_ += c;
    return Progress::kMore;
  }
  switch (state_) {
    case State::kFirstValue:
      if (c == ']') return close(c);
      [[fallthrough]];
    case State::kValue:
      return begin_value(c);
    case State::kFirstKey:
      if (c == '}') return close(c);
      [[fallthrough]];
    case State::kKey:
      if (c != '"') return Progress::kInvalid;
      begin_ = text_.size();
      key_ = true;
      state_ = State::kString;
      break;
    case State::kColon:
      if (c != ':') return Progress::kInvalid;
      state_ = State::kValue;
      break;
    default:
      if (c != ',') return close(c);
      state_ = in_object() ? State::kKey : State::kValue;
      break;
  }
  text_ += c;
  return Progress::kMore;
}

JsonScanner::Progress JsonScanner::begin_value(char c) {
  const bool container = c == '{' || c == '[';
  if (!container && (open_.empty() || (c != '"' && !is_scalar(c)))) return Progress::kInvalid;
  if (container && depth() >= max_depth_) return Progress::kInvalid;
  event_ = Event::kBegin;
  begin_ = text_.size();
  text_ += c;
  if (container) {
    open_ += c;
    state_ = c == '{' ? State::kFirstKey : State::kFirstValue;
  } else {
    key_ = false;
    state_ = c == '"' ? State::kString : State::kScalar;
  }
  return Progress::kMore;
}

JsonScanner::Progress JsonScanner::close(char c) {
  if (c != (in_object() ? '}' : ']')) return Progress::kInvalid;
  text_ += c;
  open_.pop_back();
  event_ = Event::kContainer;
  state_ = State::kAfter;
  return open_.empty() ? Progress::kDone : Progress::kMore;
}

JsonScanner::Progress JsonScanner::within_string(char c) {
  if (static_cast<unsigned char>(c) < 0x20) {
    if (escape_ > 0) return Progress::kInvalid;
    switch (c) {
      case '\n':
        text_ += "\\n";
        break;
      case '\t':
        text_ += "\\t";
        break;
      case '\r':
        text_ += "\\r";
        break;
      default:
        text_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        break;
    }
    return Progress::kMore;
  }
  text_ += c;
  if (escape_ > 0) {
    constexpr int kFirst = 5;  // the character behind the backslash
    if (escape_ == kFirst) {
      constexpr std::string_view kKnown = "\"\\/bfnrt";
      if (c != 'u' && kKnown.find(c) == std::string_view::npos) return Progress::kInvalid;
      escape_ = c == 'u' ? 4 : 0;
      return Progress::kMore;
    }
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    --escape_;
    return hex ? Progress::kMore : Progress::kInvalid;
  }
  if (c == '\\') escape_ = 5;
  if (c == '"') {
    event_ = key_ ? Event::kKey : Event::kString;
    state_ = key_ ? State::kColon : State::kAfter;
  }
  return Progress::kMore;
}

std::string_view JsonScanner::string() const {
  const std::string_view all = text_;
  return all.substr(begin_ + 1, all.size() - begin_ - 2);
}

bool is_json(std::string_view text) {
  return Json::accept(text.begin(), text.end());
}

bool is_json_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && is_json(text);
}

std::string json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mistral::text
