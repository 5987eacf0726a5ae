// What "$ref" leads to in a JSON schema: a place by JSON pointer, an anchor, or a part with an
// "$id" of its own. Other documents are never fetched.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/json.h"
#include "text/grammar/limits.h"

namespace mistral::grammar {

// The value of a keyword; null where the schema does not have it.
inline const Json* member(const Json& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  return found == schema.end() ? nullptr : &*found;
}

class SchemaReferences {
 public:
  // The document must outlive this. Throws Error where there is too much to remember.
  SchemaReferences(const Json& document, Budget& budget);

  // `schema` holds the reference, so it says what the reference is relative to. Throws Error
  // (kInvalidArgument) when there is nothing.
  [[nodiscard]] const Json& target(const Json& schema, std::string_view reference) const;

 private:
  // A part that references are relative to: the document, or what has an "$id".
  struct Resource {
    const Json* root = nullptr;
    std::string uri = {};
  };

  void read(const Json& schema, const Resource* resource, Budget& budget);
  void read_children(const Json& schema, const Resource* resource, Budget& budget);

  std::deque<Resource> resources_;  // the first is the document
  std::map<std::string, const Resource*, std::less<>> by_uri_;
  std::map<std::pair<const Resource*, std::string>, const Json*> anchors_;
  std::unordered_map<const Json*, const Resource*> referring_;  // schemas with "$ref"
};

}  // namespace mistral::grammar
