// The form in which a model is to write calls: chosen by its chat template, for those who make it
// keep to it by constraints. (ToolCallParser reads every form, whatever was chosen.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace mistral::text {

// An answer with calls is: begin, then call_begin CALL call_end for each call with `separator`
// between them, then end.
struct ToolCallFormat {
  enum class Shape {
    kObject,      // {"NAME_KEY": "name", "ARGUMENTS_KEY": {…}}
    kNameFirst,   // name, name_end, {…}
    kParameters,  // the arguments one by one in marks of their own: no JSON
  };
  std::string name;  // "hermes", "mistral", …
  Shape shape = Shape::kObject;
  std::string begin = {};
  std::string call_begin = {};
  std::string name_end = {};      // kNameFirst
  std::string name_key = "name";  // kObject
  std::string arguments_key = "arguments";
  std::string call_end = {};
  std::string separator = {};
  std::string end = {};
  // Texts that are special tokens here mean that a call has begun: what follows is to be
  // constrained when only calls are. Empty: nothing tells calls from text before their first brace.
  std::vector<std::string> triggers = {};
  bool parallel = true;  // the form has more than one call an answer
  // The prompt ends with the mark before a name (what ToolCallParser calls name_first).
  bool name_first = false;
};

// The format of a model with this template; without a template, or one that says nothing of calls,
// what its vocabulary has marks for (`tokenizer` may be null), else bare JSON.
[[nodiscard]] const ToolCallFormat& tool_call_format(std::string_view template_source,
                                                     const Tokenizer* tokenizer);
// A format whose arguments are JSON, in which the same model can be made to write calls: `format`
// itself, or Hermes' in place of one with parameters.
[[nodiscard]] const ToolCallFormat& json_tool_call_format(const ToolCallFormat& format);

// The special tokens of a vocabulary that mark calls: a text that is to be parsed must show them.
[[nodiscard]] std::vector<TokenId> tool_call_marks(const Tokenizer& tokenizer);

}  // namespace mistral::text
