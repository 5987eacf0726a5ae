// The filters, tests and global functions that every template can use.
#pragma once

#include <string_view>
#include <vector>

#include "text/chat_template/instance.h"

namespace mistral::text::jinja {

// A filter gets the value in front of the pipe as `self`; a test answers with a bool.
struct Builtin {
  std::string_view name;
  NativeFunction function;
};

// Null if there is none of that name.
[[nodiscard]] const Builtin* find_filter(std::string_view name);
[[nodiscard]] const Builtin* find_test(std::string_view name);
// range, dict, namespace, raise_exception, ...; missing if there is none of that name.
[[nodiscard]] Value find_global(std::string_view name);

// The parts of the tables, by theme.
using BuiltinTable = std::vector<Builtin>;
void add_string_filters(BuiltinTable& table);
void add_html_filters(BuiltinTable& table);
void add_sequence_filters(BuiltinTable& table);
void add_selection_filters(BuiltinTable& table);
void add_number_filters(BuiltinTable& table);
void add_json_filters(BuiltinTable& table);

}  // namespace mistral::text::jinja
