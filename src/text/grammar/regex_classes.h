// The character classes that regular expressions know by name.
#pragma once

#include <optional>
#include <string_view>

#include "text/grammar/code_points.h"

namespace mistral::grammar {

[[nodiscard]] const CodePointSet& ascii_digits();
[[nodiscard]] const CodePointSet& ascii_word();
[[nodiscard]] const CodePointSet& ascii_space();
// [:alpha:] and the like, by their name; nothing for an unknown one.
[[nodiscard]] std::optional<CodePointSet> posix_class(std::string_view name);
// \p{…}, by what stands between the braces; nothing for an unknown one.
[[nodiscard]] std::optional<CodePointSet> unicode_class(std::string_view name);
// With the other cases of all its letters.
[[nodiscard]] CodePointSet fold_case(const CodePointSet& set, bool ascii_only);

}  // namespace mistral::grammar
