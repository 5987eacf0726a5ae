// JSON schemas as grammars. docs/constraints.md says which keywords are enforced, which are
// refused, and where less is accepted than the schema allows.
#pragma once

#include <memory>
#include <string_view>

#include "core/json.h"
#include "text/grammar/grammar.h"

namespace mistral::grammar {

// Throws Error (kInvalidArgument) that names line and column of what is no JSON, or the JSON
// pointer and the keyword.
[[nodiscard]] std::shared_ptr<const Grammar> compile_json_schema(
    std::string_view text, const ConstraintVocabulary& vocabulary, Budget& budget);

// JSON from strangers, with its nesting limited.
[[nodiscard]] Json parse_schema_text(std::string_view text, const Budget& budget);

// The same as a part of another grammar.
[[nodiscard]] Expression json_schema_expression(std::string_view text, GrammarBuilder& builder);

}  // namespace mistral::grammar
