// HTML and URLs: what the filters striptags, urlize and urlencode need.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

// Character references become characters.
[[nodiscard]] std::string unescape_html(std::string_view text);
// Removes comments and tags, joins runs of space, resolves references.
[[nodiscard]] std::string strip_tags(std::string_view text);
// Percent-encodes what is not allowed in a path or, if `query`, in a query string.
[[nodiscard]] std::string quote_url(std::string_view text, bool query);

struct UrlizeOptions {
  Value trim;  // the length from which on shown URLs are cut; missing or None: never
  std::string rel;
  std::string target;
  std::vector<std::string> extra_schemes;
};
// Escapes the text and makes links of the URLs and mail addresses in it.
[[nodiscard]] std::string urlize(const std::string& escaped, const UrlizeOptions& options);

}  // namespace mistral::text::jinja
