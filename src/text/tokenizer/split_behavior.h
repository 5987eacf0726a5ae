// What becomes of the delimiters when a text is split.
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/json_reader.h"
#include "text/tokenizer/regex.h"

namespace mistral::text {

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

[[nodiscard]] SplitBehavior read_split_behavior(const JsonReader& reader, std::string_view key,
                                                SplitBehavior fallback);

// Turns the matches of a delimiter (in order, not overlapping) in a text of `size` bytes into the
// ranges to keep. `invert`: what does not match is the delimiter.
void split_at(const std::vector<ByteRange>& matches, std::size_t size, bool invert,
              SplitBehavior behavior, std::vector<ByteRange>& out);

}  // namespace mistral::text
