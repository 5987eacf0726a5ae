#include "text/tokenizer/split_behavior.h"

#include <algorithm>

namespace mistral::text {
namespace {

struct Part {
  ByteRange range;
  bool delimiter;
};

std::vector<Part> parts_of(const std::vector<ByteRange>& matches, std::size_t size, bool invert) {
  std::vector<Part> parts;
  parts.reserve(matches.size() * 2 + 1);
  std::size_t done = 0;
  for (const ByteRange& match : matches) {
    if (match.begin != done) parts.push_back({{done, match.begin}, invert});
    parts.push_back({match, !invert});
    done = match.end;
  }
  if (done != size) parts.push_back({{done, size}, invert});
  return parts;
}

}  // namespace

SplitBehavior read_split_behavior(const JsonReader& reader, std::string_view key,
                                  SplitBehavior fallback) {
  const auto name = reader.optional_string(key);
  if (!name) return fallback;
  if (*name == "Removed") return SplitBehavior::kRemoved;
  if (*name == "Isolated") return SplitBehavior::kIsolated;
  if (*name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (*name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (*name == "Contiguous") return SplitBehavior::kContiguous;
  throw make_error(ErrorKind::kUnsupported, "{}: the behavior \"{}\" is not known",
                   reader.path(key), *name);
}

void split_at(const std::vector<ByteRange>& matches, std::size_t size, bool invert,
              SplitBehavior behavior, std::vector<ByteRange>& out) {
  const std::vector<Part> parts = parts_of(matches, size, invert);
  const std::size_t before = out.size();
  bool previous = false;  // the part before was a delimiter
  switch (behavior) {
    case SplitBehavior::kIsolated:
      for (const Part& part : parts) out.push_back(part.range);
      break;
    case SplitBehavior::kRemoved:
      for (const Part& part : parts) {
        if (!part.delimiter) out.push_back(part.range);
      }
      break;
    case SplitBehavior::kContiguous:
    case SplitBehavior::kMergedWithPrevious:
      for (const Part& part : parts) {
        const bool merges = behavior == SplitBehavior::kContiguous ? part.delimiter == previous
                                                                   : part.delimiter && !previous;
        if (merges && out.size() > before) {
          out.back().end = part.range.end;
        } else {
          out.push_back(part.range);
        }
        previous = part.delimiter;
      }
      break;
    case SplitBehavior::kMergedWithNext:
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (part->delimiter && !previous && out.size() > before) {
          out.back().begin = part->range.begin;
        } else {
          out.push_back(part->range);
        }
        previous = part->delimiter;
      }
      std::reverse(out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
      break;
  }
}

}  // namespace mistral::text
