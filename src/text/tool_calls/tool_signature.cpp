#include "text/tool_calls/tool_signature.h"

#include <algorithm>
#include <utility>

#include "text/tool_calls/json_scanner.h"

namespace mistral::text {
namespace {

struct Types {
  bool text = false;
  bool null = false;
  bool other = false;
};

void add_type(const Json& type, Types& types) {
  if (!type.is_string()) return;
  const auto& name = type.get_ref<const std::string&>();
  (name == "string" ? types.text : name == "null" ? types.null : types.other) = true;
}

// The types that a schema of one value allows, as far as it says so itself.
Types types_of(const Json& schema) {
  Types types;
  if (!schema.is_object()) return types;
  if (const auto type = schema.find("type"); type != schema.end()) {
    if (type->is_array()) {
      for (const Json& one : *type) add_type(one, types);
    } else {
      add_type(*type, types);
    }
  } else if (const auto values = schema.find("enum"); values != schema.end()) {
    for (const Json& value : *values) {
      (value.is_string() ? types.text : value.is_null() ? types.null : types.other) = true;
    }
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto variants = schema.find(key);
    if (variants == schema.end() || !variants->is_array()) continue;
    for (const Json& variant : *variants) {
      if (!variant.is_object()) continue;
      const auto type = variant.find("type");
      if (type == variant.end() || !type->is_string()) {
        types.other = true;
      } else {
        add_type(*type, types);
      }
    }
  }
  return types;
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto at = object.find(key);
  return at == object.end() ? nullptr : &*at;
}

bool by_name(const ToolSignature& tool, std::string_view name) {
  return tool.name < name;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

ToolSet::ToolSet(std::vector<ToolSignature> tools) : tools_(std::move(tools)) {
  std::stable_sort(tools_.begin(), tools_.end(),
                   [](const ToolSignature& a, const ToolSignature& b) { return a.name < b.name; });
}

const ToolSignature* ToolSet::find(std::string_view name) const {
  const auto at = std::lower_bound(tools_.begin(), tools_.end(), name, by_name);
  return at != tools_.end() && at->name == name ? &*at : nullptr;
}

bool ToolSet::begins_any(std::string_view prefix) const {
  const auto at = std::lower_bound(tools_.begin(), tools_.end(), prefix, by_name);
  return at != tools_.end() && at->name.starts_with(prefix);
}

std::string ToolSet::argument(std::string_view tool, std::string_view parameter,
                              std::string_view written) const {
  const ToolSignature* signature = find(tool);
  if (signature != nullptr) {
    for (const ToolParameter& known : signature->parameters) {
      if (known.name != parameter || !known.text) continue;
      return known.nullable && written == "null" ? "null" : json_string(written);
    }
  }
  const std::size_t first = written.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return json_string(written);
  const std::string_view value =
      written.substr(first, written.find_last_not_of(" \t\r\n") + 1 - first);
  if (is_json(value)) return std::string(value);
  // As Python prints them.
  const std::string word = lower(value);
  if (word == "true" || word == "false") return word;
  if (word == "none") return "null";
  return json_string(written);
}

ToolSet tool_set(const Json& tools) {
  std::vector<ToolSignature> signatures;
  if (!tools.is_array()) return {};
  for (const Json& tool : tools) {
    const Json* function = member(tool, "function");
    if (function == nullptr) function = &tool;
    const Json* name = member(*function, "name");
    if (name == nullptr || !name->is_string() || name->get_ref<const std::string&>().empty()) {
      continue;
    }
    ToolSignature signature;
    signature.name = name->get<std::string>();
    const Json* schema = member(*function, "parameters");
    const Json* properties = schema == nullptr ? nullptr : member(*schema, "properties");
    if (properties != nullptr && properties->is_object()) {
      for (const auto& [key, value] : properties->items()) {
        const Types types = types_of(value);
        signature.parameters.push_back({key, types.text && !types.other, types.null});
      }
    }
    signatures.push_back(std::move(signature));
  }
  return ToolSet(std::move(signatures));
}

}  // namespace mistral::text
