// Attributes and elements of values, as the sandbox of the template language grants them.
#pragma once

#include <string_view>

#include "text/chat_template/instance.h"

namespace mistral::text::jinja {

// A method of a built-in type. Those that would change the value are known but refused.
struct Method {
  std::string_view name;
  NativeFunction function = nullptr;  // null: refused
};

// The methods of the type of `value`; null if it has no method of that name.
[[nodiscard]] const Method* find_method(const Value& value, std::string_view name);

// value.name: the attribute, else the element of that name, else an undefined value.
[[nodiscard]] Value get_attribute(const Value& value, std::string_view name);
// value[key]: the element, else the attribute of that name, else an undefined value.
[[nodiscard]] Value get_item(const Value& value, const Value& key);
// The attribute alone; an undefined value if there is none (the filter attr).
[[nodiscard]] Value get_attribute_only(const Value& value, std::string_view name);
// The undefined value for an attribute that does not exist.
[[nodiscard]] Value undefined_attribute(const Value& value, std::string_view name);
// The undefined value for an attribute that exists but must not be used.
[[nodiscard]] Value unsafe_attribute(const Value& value, std::string_view name);

// Method tables, sorted by name.
[[nodiscard]] const Method* find_string_method(std::string_view name);
[[nodiscard]] const Method* find_markup_method(std::string_view name);
[[nodiscard]] const Method* find_list_method(std::string_view name);
[[nodiscard]] const Method* find_tuple_method(std::string_view name);
[[nodiscard]] const Method* find_dict_method(std::string_view name);
[[nodiscard]] const Method* find_number_method(const Value& value, std::string_view name);

}  // namespace mistral::text::jinja
