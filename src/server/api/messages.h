// The messages of a chat: checked, and brought into the form that chat templates expect.
#pragma once

#include <string>
#include <string_view>

#include "server/api/fields.h"

namespace mistral::server {

// From the field `messages`: a list of messages, or a text, which is one of the user. `source` is
// the text of the chat template, which decides where the API allows what templates differ in:
// "developer" becomes "system" for one that does not know it, other roles must be known to it, and
// a content of null stays null only for one that asks for that. Throws ApiError that names the
// message and its field.
[[nodiscard]] Json read_messages(const Fields& fields, std::string_view source);

// The arguments of calls of tools in the messages as objects, where they are texts of such.
[[nodiscard]] Json with_parsed_arguments(Json messages);

}  // namespace mistral::server
