// Names that become parts of paths and URLs: ids of repositories, revisions, files of a listing.
// They come from the command line or from a server; none of them may lead out of its folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mistral::hub {

// "org/name", or "org/name:QUANT" for the GGUF of that quantisation. QUANT may also be the name of
// a file of the repository.
struct ModelId {
  std::string repository;  // "org/name"
  std::string quant;       // empty: the id names none

  // "models--org--name", the folder of the repository in the cache.
  [[nodiscard]] std::string folder_name() const;
};

// None for what cannot be an id: too many or too few parts, other characters than letters, digits,
// '-', '_' and '.', a path. Whether a path of that name exists is for the caller to find out.
[[nodiscard]] std::optional<ModelId> parse_model_id(std::string_view text);

// Branches, tags and commits: "main", "refs/pr/1", 40 hex digits.
[[nodiscard]] bool is_revision(std::string_view text);
[[nodiscard]] bool is_commit(std::string_view text);

// An etag without W/ and quotes, fit to be a file name; none for other content.
[[nodiscard]] std::optional<std::string> normalized_etag(std::string_view text);

// Whether a file name of a listing stays below its folder: relative, with '/' between parts, none
// of which is empty, "." or "..", begins or ends with a blank or holds a backslash or a control
// character.
[[nodiscard]] bool is_safe_file_name(std::string_view name);

// Percent-encoded for a URL.
enum class Slashes { kKeep, kEncode };
[[nodiscard]] std::string url_encoded(std::string_view text, Slashes slashes);

}  // namespace mistral::hub
