#include "text/chat_template/builtins.h"

#include <algorithm>

namespace mistral::text::jinja {
namespace {

BuiltinTable filter_table() {
  BuiltinTable table;
  add_string_filters(table);
  add_html_filters(table);
  add_sequence_filters(table);
  add_selection_filters(table);
  add_number_filters(table);
  add_json_filters(table);
  std::sort(table.begin(), table.end(),
            [](const Builtin& a, const Builtin& b) { return a.name < b.name; });
  return table;
}

}  // namespace

const Builtin* find_filter(std::string_view name) {
  static const BuiltinTable table = filter_table();
  const auto at = std::lower_bound(
      table.begin(), table.end(), name,
      [](const Builtin& builtin, std::string_view wanted) { return builtin.name < wanted; });
  return at != table.end() && at->name == name ? &*at : nullptr;
}

}  // namespace mistral::text::jinja
