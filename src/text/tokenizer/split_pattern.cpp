#include "text/tokenizer/split_pattern.h"

namespace mistral::text {

SplitPattern SplitPattern::expression(std::string_view expression, Engine engine) {
  SplitPattern pattern;
  if (engine == Engine::kFastest) {
    pattern.fast_ = FastSplit::for_expression(expression);
    pattern.groups_ = DigitGroups::for_expression(expression);
  }
  if (!pattern.fast_ && !pattern.groups_)
    pattern.regex_ = std::make_shared<const Regex>(expression);
  return pattern;
}

SplitPattern SplitPattern::literal(std::string_view text) {
  if (text.empty()) return expression("");
  SplitPattern pattern;
  pattern.literal_ = text;
  return pattern;
}

std::vector<ByteRange> SplitPattern::find_all(std::string_view text) const {
  if (fast_) return fast_->find_all(text);
  if (groups_) return groups_->find_all(text);
  if (regex_) return regex_->find_all(text);
  std::vector<ByteRange> matches;
  for (std::size_t begin = text.find(literal_); begin != std::string_view::npos;
       begin = text.find(literal_, begin + literal_.size())) {
    matches.push_back({begin, begin + literal_.size()});
  }
  return matches;
}

SplitPattern read_pattern(const JsonReader& reader, std::string_view key) {
  const JsonValue& value = reader.require(key);
  if (value.is_string()) return SplitPattern::literal(value.get<std::string>());
  const JsonReader pattern(value, reader.path(key));
  if (const auto text = pattern.optional_string("String")) return SplitPattern::literal(*text);
  try {
    return SplitPattern::expression(pattern.require_string("Regex"));
  } catch (Error& error) {
    throw Error(error.add_context(pattern.where()));
  }
}

}  // namespace mistral::text
