#include "text/tokenizer/json_events.h"

#include <string>

#include <simdjson.h>

namespace mistral::text {
namespace {

using Handler = nlohmann::json_sax<JsonValue>;
constexpr std::size_t kUnknownSize = static_cast<std::size_t>(-1);

class Walk {
 public:
  explicit Walk(Handler& handler) : handler_(handler) {}

  // The handler's own limit of nesting bounds the recursion: it throws. The parser has one, too.
  bool value(simdjson::dom::element element) {
    using Type = simdjson::dom::element_type;
    switch (element.type()) {
      case Type::OBJECT:
        return object(element.get_object().value_unsafe());
      case Type::ARRAY:
        return array(element.get_array().value_unsafe());
      case Type::STRING:
        return handler_.string(copy(element.get_string().value_unsafe()));
      case Type::INT64: {
        // The other parser calls what has no sign unsigned.
        const std::int64_t number = element.get_int64().value_unsafe();
        return number < 0 ? handler_.number_integer(number)
                          : handler_.number_unsigned(static_cast<std::uint64_t>(number));
      }
      case Type::UINT64:
        return handler_.number_unsigned(element.get_uint64().value_unsafe());
      case Type::DOUBLE:
        return handler_.number_float(element.get_double().value_unsafe(), text_);
      case Type::BOOL:
        return handler_.boolean(element.get_bool().value_unsafe());
      case Type::NULL_VALUE:
        return handler_.null();
    }
    return false;
  }

 private:
  bool object(simdjson::dom::object fields) {
    if (!handler_.start_object(kUnknownSize)) return false;
    for (const auto& [key, field] : fields) {
      if (!handler_.key(copy(key)) || !value(field)) return false;
    }
    return handler_.end_object();
  }
  bool array(simdjson::dom::array items) {
    if (!handler_.start_array(kUnknownSize)) return false;
    for (const simdjson::dom::element item : items) {
      if (!value(item)) return false;
    }
    return handler_.end_array();
  }
  std::string& copy(std::string_view text) { return text_.assign(text); }

  Handler& handler_;
  std::string text_;
};

}  // namespace

void read_json_events(std::string_view json, Handler& handler) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::error_code error =
      parser.parse(json.data(), json.size(), /*realloc_if_needed=*/true).get(document);
  if (error == simdjson::SUCCESS) {
    Walk(handler).value(document);
    return;
  }
  // The slower parser says where it stopped. It also takes integers of any length.
  JsonValue::sax_parse(json.begin(), json.end(), &handler);
}

}  // namespace mistral::text
