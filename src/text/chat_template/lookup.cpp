#include "text/chat_template/lookup.h"

#include <algorithm>
#include <array>
#include <string>

#include "text/chat_template/format.h"

namespace mistral::text::jinja {
namespace {

// Names that every Python object has; the sandbox refuses them all.
constexpr std::array<std::string_view, 24> kObjectNames = {
    "__class__",  "__delattr__", "__dir__",           "__doc__",      "__eq__",
    "__format__", "__ge__",      "__getattribute__",  "__getstate__", "__gt__",
    "__hash__",   "__init__",    "__init_subclass__", "__le__",       "__lt__",
    "__module__", "__ne__",      "__new__",           "__reduce__",   "__reduce_ex__",
    "__repr__",   "__setattr__", "__sizeof__",        "__str__"};
constexpr std::array<std::string_view, 7> kContainerNames = {
    "__add__", "__contains__", "__getitem__", "__iter__", "__len__", "__mul__", "__rmul__"};

bool is_private_attribute(const Value& value, std::string_view name) {
  if (name.empty() || name[0] != '_') return false;
  if (std::find(kObjectNames.begin(), kObjectNames.end(), name) != kObjectNames.end()) return true;
  if (value.is_undefined()) return name.starts_with("_undefined_");
  const bool container = value.is_string() || value.is_sequence() || value.is_dict();
  return container &&
         std::find(kContainerNames.begin(), kContainerNames.end(), name) != kContainerNames.end();
}

std::string object_type(const Value& value) {
  if (value.is_none()) return "None";
  const std::string_view name = type_name(value);
  if (value.is_markup()) return "markupsafe.Markup object";
  if (value.is_group()) return "jinja2.filters._GroupTuple object";
  return fmt::format("{} object", name);
}

Value number_property(const Value& value, std::string_view name) {
  if (name == "real") return value.is_float() ? value : Value::integer(value.widened());
  if (name == "imag") {
    return value.is_float() ? Value::floating(0) : Value::integer(std::int64_t{0});
  }
  if (value.is_float()) return {};
  if (name == "numerator") return Value::integer(value.widened());
  if (name == "denominator") return Value::integer(std::int64_t{1});
  return {};
}

// The attribute proper: missing if there is none, undefined if it must not be used.
Value python_attribute(const Value& value, std::string_view name) {
  if (is_private_attribute(value, name)) return unsafe_attribute(value, name);
  if (value.is_instance()) {
    if (!name.empty() && name[0] == '_') return {};
    return value.instance().attribute(name);
  }
  if (const Method* method = find_method(value, name)) {
    if (method->function == nullptr) return unsafe_attribute(value, name);
    return Value::instance(
        Ref<Instance>(make_object<Callable>(method->name, value, method->function).get()));
  }
  if (value.is_number()) return number_property(value, name);
  if (value.is_group()) {
    if (name == "grouper") return value.items()[0];
    if (name == "list") return value.items()[1];
  }
  return {};
}

Value indexed(const std::vector<Value>& items, const Value& key) {
  if (!key.is_small_int()) return {};
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
  return index >= 0 && index < size ? items[static_cast<std::size_t>(index)] : Value();
}

Value character(const Value& value, const Value& key) {
  if (!key.is_small_int()) return {};
  const auto size = *length_of(value);
  const std::int64_t index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
  if (index < 0 || index >= size) return {};
  if (value.kind() == Kind::kBytes) {
    const char byte = value.text()[static_cast<std::size_t>(index)];
    return Value::integer(static_cast<unsigned char>(byte));
  }
  const std::string& text = value.text();
  const bool ascii = value.string_object().ascii();
  if (!ascii) Budget::spend_bytes(static_cast<std::size_t>(index));
  std::size_t begin = 0;
  if (ascii) {
    begin = static_cast<std::size_t>(index);
  } else {
    for (std::int64_t i = 0; begin < text.size(); ++begin) {
      if ((static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80) continue;
      if (i++ == index) break;
    }
  }
  std::size_t end = begin + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) ++end;
  return Value::string_like(value, text.substr(begin, end - begin));
}

// value[key]; missing where Python raises TypeError or LookupError.
Value subscript(const Value& value, const Value& key) {
  switch (value.kind()) {
    case Kind::kDict: {
      if (key.is_list() || key.is_dict()) return {};
      const Value* found = value.dict().find(key);
      return found != nullptr ? *found : Value();
    }
    case Kind::kList:
    case Kind::kTuple:
      return indexed(value.items(), key);
    case Kind::kString:
    case Kind::kBytes:
      return character(value, key);
    case Kind::kInstance:
      return value.instance().item(key);
    default:
      return {};
  }
}

}  // namespace

Value undefined_attribute(const Value& value, std::string_view name) {
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", object_type(value), name));
}

Value unsafe_attribute(const Value& value, std::string_view name) {
  return Value::undefined(
      fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(value)),
      TemplateErrorKind::kSecurity);
}

const Method* find_method(const Value& value, std::string_view name) {
  switch (value.kind()) {
    case Kind::kString: {
      if (value.is_markup()) {
        if (const Method* method = find_markup_method(name)) return method;
      }
      return find_string_method(name);
    }
    case Kind::kList:
      return find_list_method(name);
    case Kind::kTuple:
      return find_tuple_method(name);
    case Kind::kDict:
      return find_dict_method(name);
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kBigInt:
    case Kind::kFloat:
    case Kind::kBytes:
      return find_number_method(value, name);
    default:
      return nullptr;
  }
}

Value get_attribute(const Value& value, std::string_view name) {
  Value found = python_attribute(value, name);
  if (!found.is_missing()) return found;
  if (value.is_undefined()) value.undefined_object().fail();
  if (value.is_dict()) {
    const Value* item = value.dict().find(name);
    return item != nullptr ? *item : undefined_attribute(value, name);
  }
  if (value.is_instance()) {
    found = value.instance().item(Value::string(std::string(name)));
    if (!found.is_missing()) return found;
  }
  return undefined_attribute(value, name);
}

Value get_attribute_only(const Value& value, std::string_view name) {
  Value found = python_attribute(value, name);
  if (!found.is_missing()) return found;
  if (value.is_undefined()) value.undefined_object().fail();
  return undefined_attribute(value, name);
}

Value get_item(const Value& value, const Value& key) {
  if (value.is_undefined()) value.undefined_object().fail();
  Value found = subscript(value, key);
  if (!found.is_missing()) return found;
  if (key.is_string()) {
    found = python_attribute(value, key.text());
    if (!found.is_missing()) return found;
    return undefined_attribute(value, key.text());
  }
  return Value::undefined(fmt::format("{} has no element {}", object_type(value), to_repr(key)));
}

}  // namespace mistral::text::jinja
