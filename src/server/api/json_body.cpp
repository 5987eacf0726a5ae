#include "server/api/json_body.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "server/api/error.h"

namespace mistral::server {
namespace {

using Object = Json::object_t;

// Keeps the last of equal keys, at the place of the first. The type of an object looks through all
// keys for each one that is put in, which for many takes too long.
void drop_repeated_keys(Object& object) {
  constexpr std::size_t kFew = 16;
  std::unordered_map<std::string_view, std::size_t> places;
  std::size_t kept = 0;
  std::vector<std::pair<std::size_t, std::size_t>> moves;  // value from, to
  Object result;
  const bool few = object.size() <= kFew;
  bool repeated = false;
  for (std::size_t i = 0; i < object.size() && !repeated; ++i) {
    if (few) {
      for (std::size_t j = 0; j < i && !repeated; ++j) {
        repeated = object.begin()[static_cast<std::ptrdiff_t>(i)].first ==
                   object.begin()[static_cast<std::ptrdiff_t>(j)].first;
      }
    } else {
      repeated = !places.emplace(object.begin()[static_cast<std::ptrdiff_t>(i)].first, i).second;
    }
  }
  if (!repeated) return;
  places.clear();
  result.reserve(object.size());
  for (auto& [key, value] : object) {
    const auto [place, fresh] = places.emplace(key, kept);
    if (fresh) {
      result.emplace_back(key, std::move(value));
      ++kept;
    } else {
      result.begin()[static_cast<std::ptrdiff_t>(place->second)].second = std::move(value);
    }
  }
  object = std::move(result);
}

// Takes the events of the parser and builds the value.
class Builder {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  Builder(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool null() { return put(Json(nullptr)); }
  bool boolean(bool value) { return put(Json(value)); }
  bool number_integer(number_integer_t value) { return put(Json(value)); }
  bool number_unsigned(number_unsigned_t value) { return put(Json(value)); }
  bool number_float(number_float_t value, const string_t&) { return put(Json(value)); }
  bool string(string_t& value) { return put(Json(std::move(value))); }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool end_object() {
    drop_repeated_keys(open_.back().get_ref<Object&>());
    return close();
  }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_array() { return close(); }
  bool key(string_t& key) {
    keys_.back() = std::move(key);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
    // Numbers beyond all bounds, and what some programs write for them, are told apart from what is
    // no JSON: which field they are in is known.
    constexpr int kOutOfRange = 406;
    const std::string at = path();
    if (error.id == kOutOfRange) {
      problem_ = fmt::format("a number before byte {} is out of range", position);
      field_ = at;
    } else if (!at.empty() && is_no_number(position)) {
      problem_ = fmt::format("not valid JSON at byte {}: expected a finite number", position);
      field_ = at;
    } else {
      problem_ = fmt::format("not valid JSON at byte {}", position);
    }
    return false;
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }
  // What the problem is with, as "messages[0].content"; empty when that is not known.
  [[nodiscard]] const std::string& field() const { return field_; }
  [[nodiscard]] Json take() { return std::move(root_); }

 private:
  // Where the next value belongs; empty when none may come there.
  [[nodiscard]] std::string path() const {
    std::string path;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (open_[i].is_array()) {
        path += fmt::format("[{}]", open_[i].size());
      } else if (keys_[i].empty()) {
        return "";
      } else {
        path += path.empty() ? keys_[i] : "." + keys_[i];
      }
    }
    return path;
  }
  // Whether the parser stopped in what stands for no number or one without bound.
  [[nodiscard]] bool is_no_number(std::size_t position) const {
    constexpr std::string_view kWords[] = {"NaN", "nan", "Infinity", "-Infinity", "-NaN"};
    std::size_t begin = std::min(position, text_.size());
    const auto in_word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    };
    while (begin > 0 && in_word(text_[begin - 1])) --begin;
    const std::string_view rest = text_.substr(begin);
    return std::ranges::any_of(kWords,
                               [&](std::string_view word) { return rest.starts_with(word); });
  }
  // For what has grown too large as a whole.
  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    if (!keys_.empty()) field_ = keys_.front();
    return false;
  }
  bool count() {
    return ++values_ <= limits_.values ||
           refuse(fmt::format("more than {} values", limits_.values));
  }
  bool put(Json value) {
    if (!count()) return false;
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (!count()) return false;
    if (open_.size() >= static_cast<std::size_t>(limits_.depth)) {
      return refuse(fmt::format("nested more than {} deep", limits_.depth));
    }
    open_.push_back(std::move(value));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Json value = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    place(std::move(value));
    return true;
  }
  void place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().is_array()) {
      open_.back().get_ref<Json::array_t&>().push_back(std::move(value));
    } else {
      open_.back().get_ref<Object&>().emplace_back(std::exchange(keys_.back(), {}),
                                                   std::move(value));
    }
  }

  std::string_view text_;
  JsonLimits limits_;
  std::size_t values_ = 0;
  std::string problem_;
  std::string field_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;  // of each open object the key whose value comes next
  Json root_;
};

}  // namespace

Json parse_body(std::string_view text, const JsonLimits& limits) {
  const auto fail = [](const std::string& problem, std::string field = "") {
    constexpr std::size_t kLongestName = 256;  // a client's own, not to be sent back at any length
    if (field.size() > kLongestName) field.clear();
    const std::string message = field.empty() ? problem : fmt::format("'{}': {}", field, problem);
    return ApiError(field, "We could not parse the JSON body of your request: " + message,
                    "invalid_json");
  };
  // The parser takes a zero byte for the end of its input.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw fail(fmt::format("not valid JSON at byte {}", zero + 1));
  }
  Builder builder(text, limits);
  const bool parsed = Json::sax_parse(text.begin(), text.end(), &builder);
  if (!parsed || !builder.problem().empty()) throw fail(builder.problem(), builder.field());
  Json body = builder.take();
  if (!body.is_object()) throw fail("expected an object");
  return body;
}

}  // namespace mistral::server
