#include "text/grammar/schema_references.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

#include "core/error.h"

namespace mistral::grammar {
namespace {

// Keywords whose value is a schema or a list of them, and those whose value has schemas by name.
// Only there "$id" and "$anchor" have a meaning.
constexpr std::array<std::string_view, 15> kSchemas = {"allOf",
                                                       "anyOf",
                                                       "oneOf",
                                                       "not",
                                                       "if",
                                                       "then",
                                                       "else",
                                                       "items",
                                                       "prefixItems",
                                                       "additionalItems",
                                                       "unevaluatedItems",
                                                       "contains",
                                                       "propertyNames",
                                                       "additionalProperties",
                                                       "unevaluatedProperties"};
constexpr std::array<std::string_view, 6> kNamedSchemas = {
    "properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"};

constexpr std::size_t kEntry = 64;  // bytes of something that is remembered, about

bool has_scheme(std::string_view uri) {
  for (std::size_t i = 0; i < uri.size(); ++i) {
    const char c = uri[i];
    if (c == ':') return i > 0;
    const bool letter = std::isalpha(static_cast<unsigned char>(c)) != 0;
    const bool other =
        std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
    if (!letter && (i == 0 || !other)) return false;
  }
  return false;
}

// RFC 3986, 5.2.4.
std::string without_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  const bool rooted = path.starts_with('/');
  if (rooted) path.remove_prefix(1);
  bool folder = false;
  while (true) {
    const std::size_t end = path.find('/');
    const std::string_view segment = path.substr(0, end);
    folder = segment == "." || segment == "..";
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (segment != ".") {
      kept.push_back(segment);
    }
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  std::string out = rooted ? "/" : "";
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) out += '/';
    out += kept[i];
  }
  if (folder && !kept.empty()) out += '/';
  return out;
}

// RFC 3986, 5.2.2, without fragments.
std::string resolved(std::string_view base, std::string_view reference) {
  if (reference.empty()) return std::string(base);
  if (has_scheme(reference)) return std::string(reference);
  const std::size_t scheme = has_scheme(base) ? base.find(':') + 1 : 0;
  if (reference.starts_with("//"))
    return std::string(base.substr(0, scheme)) + std::string(reference);
  const bool authority = base.substr(scheme).starts_with("//");
  const std::size_t path = authority ? std::min(base.find('/', scheme + 2), base.size()) : scheme;
  const std::string_view place = base.substr(0, path);
  const std::string_view base_path = base.substr(path, base.find('?', path) - path);
  if (reference.starts_with('?')) {
    return std::string(place) + std::string(base_path) + std::string(reference);
  }
  std::string joined;
  if (!reference.starts_with('/')) {
    const std::size_t folder = base_path.rfind('/');
    if (folder != std::string_view::npos) {
      joined = base_path.substr(0, folder + 1);
    } else if (authority) {
      joined = "/";
    }
  }
  const std::size_t query = reference.find('?');
  joined += reference.substr(0, query);
  std::string out = std::string(place) + without_dot_segments(joined);
  if (query != std::string_view::npos) out += reference.substr(query);
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

SchemaReferences::SchemaReferences(const Json& document, Budget& budget) {
  resources_.push_back({.root = &document});
  by_uri_.emplace("", &resources_.front());
  read(document, &resources_.front(), budget);
}

void SchemaReferences::read(const Json& schema, const Resource* resource, Budget& budget) {
  budget.tick();
  if (!schema.is_object()) return;
  const auto id = schema.find("$id");
  if (id != schema.end() && id->is_string()) {
    const std::string& text = id->get_ref<const std::string&>();
    const std::size_t hash = text.find('#');
    if (hash != 0) {
      std::string uri = resolved(resource->uri, std::string_view(text).substr(0, hash));
      budget.add_bytes(kEntry + 2 * uri.size());
      resource = &resources_.emplace_back(Resource{.root = &schema, .uri = uri});
      by_uri_.emplace(std::move(uri), resource);
    } else {  // drafts 6 and 7
      budget.add_bytes(kEntry + text.size());
      anchors_.emplace(std::pair(resource, text.substr(1)), &schema);
    }
  }
  for (const char* keyword : {"$anchor", "$dynamicAnchor"}) {
    const auto anchor = schema.find(keyword);
    if (anchor == schema.end() || !anchor->is_string()) continue;
    budget.add_bytes(kEntry + anchor->get_ref<const std::string&>().size());
    anchors_.emplace(std::pair(resource, anchor->get<std::string>()), &schema);
  }
  if (schema.contains("$ref")) {
    budget.add_bytes(kEntry);
    referring_.emplace(&schema, resource);
  }
  read_children(schema, resource, budget);
}

void SchemaReferences::read_children(const Json& schema, const Resource* resource, Budget& budget) {
  for (const std::string_view keyword : kSchemas) {
    const auto value = schema.find(keyword);
    if (value == schema.end()) continue;
    if (value->is_array()) {
      for (const Json& child : *value) read(child, resource, budget);
    } else {
      read(*value, resource, budget);
    }
  }
  for (const std::string_view keyword : kNamedSchemas) {
    const auto value = schema.find(keyword);
    if (value == schema.end() || !value->is_object()) continue;
    for (const Json& child : *value) read(child, resource, budget);
  }
}

const Json& SchemaReferences::target(const Json& schema, std::string_view reference) const {
  const std::size_t hash = std::min(reference.find('#'), reference.size());
  const auto referring = referring_.find(&schema);
  const Resource* resource =
      referring == referring_.end() ? &resources_.front() : referring->second;
  if (hash > 0) {
    const auto found = by_uri_.find(resolved(resource->uri, reference.substr(0, hash)));
    if (found == by_uri_.end()) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "only references into the same schema are supported, and no part of it has "
                       "the $id '{}'",
                       reference.substr(0, hash));
    }
    resource = found->second;
  }
  const std::string fragment =
      percent_decoded(reference.substr(std::min(hash + 1, reference.size())));
  if (!fragment.empty() && fragment[0] != '/') {
    const auto anchor = anchors_.find(std::pair(resource, fragment));
    if (anchor != anchors_.end()) return *anchor->second;
    throw make_error(ErrorKind::kInvalidArgument, "there is no anchor '{}'", fragment);
  }
  try {
    return resource->root->at(Json::json_pointer(fragment));
  } catch (const Json::exception&) {
    throw make_error(ErrorKind::kInvalidArgument, "there is nothing at '{}'", fragment);
  }
}

}  // namespace mistral::grammar
