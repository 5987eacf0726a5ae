// Free text with parts that follow JSON schemas, such as calls of tools. Described by JSON:
//
//   {"tags": [{"begin": "<tool_call>\n{\"name\": \"add\", \"arguments\": ",
//              "schema": {...}, "end": "}\n</tool_call>"}],
//    "free_text": true, "triggers": ["<tool_call>"], "least": 0, "most": 8, "separator": "\n"}
//
// With free_text, a part may begin anywhere: as soon as the text of a trigger has been written, one
// of the parts whose `begin` starts with it follows. Without `triggers`, the beginnings are theirs.
// Free text holds no trigger. A tag with "at_start" is one that only the answer itself may begin
// with, and that needs no trigger.
// Without free_text, the answer is parts only, with the separator between them.
//
// With "open" and "close", a part is a list: `open`, then tags with the separator between them,
// then `close`; triggers are then what `open` starts with.
//
// `least` (0) and `most` (none) bound the number of parts, and of the tags of a list.
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
