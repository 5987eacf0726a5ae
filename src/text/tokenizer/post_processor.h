// The "post_processor" of a tokenizer.json: puts special tokens around one or two sequences.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer/encoding.h"
#include "text/tokenizer/json_reader.h"

namespace mistral::text {

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  // One or two sequences in, the parts of the result out.
  [[nodiscard]] virtual std::vector<Encoding> process(std::vector<Encoding> sequences,
                                                      bool add_special) const = 0;
  // Tokens that it adds to one sequence or to a pair.
  [[nodiscard]] virtual std::size_t added_tokens(bool pair) const = 0;
};

// TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence. Throws Error naming
// the entry.
[[nodiscard]] std::unique_ptr<PostProcessor> make_post_processor(const JsonValue& json,
                                                                 const std::string& where);

}  // namespace mistral::text
