// Free text with parts that follow JSON schemas, such as calls of tools. Described by JSON:
//
//   {"tags": [{"begin": "<tool_call>\n{\"name\": \"add\", \"arguments\": ",
//              "schema": {...}, "end": "}\n</tool_call>"}],
//    "free_text": true, "least": 0, "most": 8, "separator": "\n"}
//
// With free_text, a part may begin anywhere: as soon as the text of a `begin` has been written, its
// schema and its `end` follow. Without it, the answer is parts only, with the separator between
// them. `least` (0) and `most` (none) bound the number of parts.
#pragma once

#include <memory>
#include <string_view>

#include "text/grammar/grammar.h"

namespace mistral::grammar {

// Throws Error (kInvalidArgument) that names the field, and in a schema the JSON pointer.
[[nodiscard]] std::shared_ptr<const Grammar> compile_tagged(std::string_view text,
                                                            const ConstraintVocabulary& vocabulary,
                                                            Budget& budget);

}  // namespace mistral::grammar
