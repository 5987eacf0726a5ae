// tojson, exactly as Python's json.dumps writes, and pprint.
#include <cmath>

#include "text/chat_template/filter_helpers.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/pretty_print.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

struct JsonStyle {
  bool ascii = false;
  bool indented = false;
  bool sort_keys = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  std::string run(const Value& value) {
    write(value, 0);
    return out_.take();
  }

 private:
  void write(const Value& value, int depth) {
    if (depth > kMaxDataDepth) throw limit_error("data nested too deep for JSON");
    Budget::spend(1);
    switch (value.kind()) {
      case Kind::kNone:
        out_.append("null");
        break;
      case Kind::kBool:
        out_.append(value.as_bool() ? "true" : "false");
        break;
      case Kind::kInt:
      case Kind::kBigInt:
        append_repr(out_, value);
        break;
      case Kind::kFloat:
        out_.append(number(value.as_float()));
        break;
      case Kind::kString:
        string(value.text());
        break;
      case Kind::kList:
      case Kind::kTuple:
        array(value.items(), depth);
        break;
      case Kind::kDict:
        object(value.dict(), depth);
        break;
      default:
        throw runtime_error("TypeError: Object of type {} is not JSON serializable",
                            type_name(value));
    }
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  void unit(char32_t code) { out_.append(fmt::format("\\u{:04x}", static_cast<unsigned>(code))); }

  void string(std::string_view text) {
    Budget::spend_bytes(text.size());
    out_.push('"');
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t start = i;
      const auto byte = static_cast<unsigned char>(text[i]);
      const bool special =
          byte < 0x20 || byte == '"' || byte == '\\' || (style_.ascii && byte >= 0x7F);
      if (!special) {
        ++i;
        continue;
      }
      out_.append(text.substr(plain, start - plain));
      escape(decode_at(text, i));
      plain = i;
    }
    out_.append(text.substr(plain));
    out_.push('"');
  }

  void escape(char32_t c) {
    switch (c) {
      case U'"':
        out_.append("\\\"");
        break;
      case U'\\':
        out_.append("\\\\");
        break;
      case U'\n':
        out_.append("\\n");
        break;
      case U'\r':
        out_.append("\\r");
        break;
      case U'\t':
        out_.append("\\t");
        break;
      case U'\f':
        out_.append("\\f");
        break;
      case U'\b':
        out_.append("\\b");
        break;
      default:
        if (c >= 0x10000) {
          unit(0xD7C0 + (c >> 10U));
          unit(0xDC00 + (c & 0x3FFU));
        } else {
          unit(c);
        }
    }
  }

  void line(int depth) {
    if (!style_.indented) return;
    out_.push('\n');
    for (int i = 0; i < depth; ++i) out_.append(style_.indent);
    Budget::spend_bytes(style_.indent.size() * static_cast<std::size_t>(depth));
  }

  void array(const std::vector<Value>& items, int depth) {
    if (items.empty()) {
      out_.append("[]");
      return;
    }
    out_.push('[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i != 0) out_.append(style_.item_separator);
      line(depth + 1);
      write(items[i], depth + 1);
    }
    line(depth);
    out_.push(']');
  }

  void key(const Value& value) {
    switch (value.kind()) {
      case Kind::kString:
        string(value.text());
        break;
      case Kind::kNone:
        out_.append("\"null\"");
        break;
      case Kind::kBool:
        out_.append(value.as_bool() ? "\"true\"" : "\"false\"");
        break;
      case Kind::kInt:
      case Kind::kBigInt:
        string(to_repr(value));
        break;
      case Kind::kFloat:
        string(number(value.as_float()));
        break;
      default:
        throw runtime_error("TypeError: keys must be str, int, float, bool or None, not {}",
                            type_name(value));
    }
  }

  void object(const DictObject& dict, int depth) {
    if (dict.size() == 0) {
      out_.append("{}");
      return;
    }
    out_.push('{');
    bool first = true;
    const auto member = [&](const Value& name, const Value& value) {
      if (!first) out_.append(style_.item_separator);
      first = false;
      line(depth + 1);
      key(name);
      out_.append(style_.key_separator);
      write(value, depth + 1);
    };
    if (style_.sort_keys) {
      std::vector<Value> names;
      for (const auto& [name, value] : dict.entries()) names.push_back(name);
      const std::vector<Value> keys = names;
      for (const Value& name : sort_by_keys(std::move(names), keys, false)) {
        member(name, *dict.find(name));
      }
    } else {
      for (const auto& [name, value] : dict.entries()) member(name, value);
    }
    line(depth);
    out_.push('}');
  }

  const JsonStyle& style_;
  TextBuilder out_;
};

Value tojson(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound =
      bind_arguments("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = truthy(bound[0]);
  style.sort_keys = truthy(bound[3]);
  const Value& indent = bound[1];
  style.indented = !indent.is_missing() && !indent.is_none();
  if (style.indented) style.item_separator = ",";
  const Value& separators = bound[2];
  if (!separators.is_missing() && !separators.is_none()) {
    const std::vector<Value> pair = collect(separators);
    if (pair.size() != 2) {
      throw runtime_error("ValueError: expected two separators, got {}", pair.size());
    }
    if (!pair[0].is_string() || !pair[1].is_string()) {
      throw runtime_error("TypeError: separators must be strings");
    }
    style.item_separator = pair[0].text();
    style.key_separator = pair[1].text();
  }
  // A string alone is written before Python looks at the indentation.
  if (style.indented && !self.is_string()) {
    style.indent = indent.is_string() ? indent.text()
                                      : binary(BinaryOp::kMul, Value::string(" "), indent).text();
  }
  return Value::string(JsonWriter(style).run(self));
}

Value pprint(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("pprint", args, 0, 0);
  return Value::string(pretty_print(self));
}

}  // namespace

void add_json_filters(BuiltinTable& table) {
  table.push_back({"tojson", tojson});
  table.push_back({"pprint", pprint});
}

}  // namespace mistral::text::jinja
