#include "text/tokenizer/encoding.h"

#include <algorithm>

#include "core/error.h"

namespace mistral::text {
namespace {

template <typename T>
std::vector<T> part_of(const std::vector<T>& values, std::size_t begin, std::size_t end) {
  return {values.begin() + static_cast<std::ptrdiff_t>(begin),
          values.begin() + static_cast<std::ptrdiff_t>(end)};
}

template <typename T>
void append_all(std::vector<T>& values, const std::vector<T>& other) {
  values.insert(values.end(), other.begin(), other.end());
}

}  // namespace

void Encoding::push_back(TokenId id, std::string token, Offsets offsets_of, std::uint32_t type_id,
                         bool special) {
  ids.push_back(id);
  tokens.push_back(std::move(token));
  offsets.push_back(offsets_of);
  type_ids.push_back(type_id);
  special_tokens_mask.push_back(special ? 1 : 0);
  attention_mask.push_back(1);
}

Encoding Encoding::slice(std::size_t begin, std::size_t end) const {
  Encoding part;
  part.ids = part_of(ids, begin, end);
  part.tokens = part_of(tokens, begin, end);
  part.offsets = part_of(offsets, begin, end);
  part.type_ids = part_of(type_ids, begin, end);
  part.special_tokens_mask = part_of(special_tokens_mask, begin, end);
  part.attention_mask = part_of(attention_mask, begin, end);
  return part;
}

void Encoding::append_tokens(const Encoding& other) {
  append_all(ids, other.ids);
  append_all(tokens, other.tokens);
  append_all(offsets, other.offsets);
  append_all(type_ids, other.type_ids);
  append_all(special_tokens_mask, other.special_tokens_mask);
  append_all(attention_mask, other.attention_mask);
}

void Encoding::append(const Encoding& other) {
  std::vector<Encoding> combined;
  const auto combine = [&](const Encoding& first, const Encoding& second) {
    Encoding both = first.slice(0, first.size());
    both.append_tokens(second);
    combined.push_back(std::move(both));
  };
  for (const Encoding& first : overflowing) {
    combine(first, other);
    for (const Encoding& second : other.overflowing) combine(first, second);
  }
  for (const Encoding& second : other.overflowing) combine(*this, second);
  append_tokens(other);
  overflowing = std::move(combined);
}

void Encoding::truncate(std::size_t max_length, std::size_t stride,
                        TruncationOptions::Direction direction) {
  if (max_length >= size()) return;
  if (max_length == 0) {
    Encoding all = std::move(*this);
    *this = Encoding();
    overflowing.push_back(std::move(all));
    return;
  }
  if (stride >= max_length) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "truncation: the stride {} is not below the length {}", stride, max_length);
  }
  const std::size_t step = max_length - stride;
  std::vector<Encoding> parts;
  if (direction == TruncationOptions::Direction::kRight) {
    for (std::size_t begin = 0; begin < size(); begin += step) {
      const std::size_t end = std::min(begin + max_length, size());
      parts.push_back(slice(begin, end));
      if (end == size()) break;
    }
  } else {
    for (std::size_t end = size();; end -= step) {
      const std::size_t begin = end > max_length ? end - max_length : 0;
      parts.push_back(slice(begin, end));
      if (begin == 0 || end <= step) break;
    }
  }
  *this = std::move(parts.front());
  parts.erase(parts.begin());
  overflowing = std::move(parts);
}

void Encoding::pad(std::size_t length, const PaddingOptions& options) {
  for (Encoding& part : overflowing) part.pad(length, options);
  if (size() >= length) return;
  Encoding padding;
  for (std::size_t i = size(); i < length; ++i) {
    padding.push_back(options.id, options.token, {0, 0}, options.type_id, true);
  }
  padding.attention_mask.assign(padding.size(), 0);
  if (options.direction == PaddingOptions::Direction::kRight) {
    append_tokens(padding);
  } else {
    padding.append_tokens(*this);
    padding.overflowing = std::move(overflowing);
    *this = std::move(padding);
  }
}

void truncate_pair(Encoding& first, Encoding* second, const TruncationOptions& options) {
  const auto cut = [&](Encoding& encoding, std::size_t length) {
    encoding.truncate(length, options.stride, options.direction);
  };
  const std::size_t max = options.max_length;
  if (max == 0) {
    cut(first, 0);
    if (second != nullptr) cut(*second, 0);
    return;
  }
  const std::size_t total = first.size() + (second != nullptr ? second->size() : 0);
  if (total <= max) return;
  const std::size_t excess = total - max;
  if (options.strategy == TruncationOptions::Strategy::kLongestFirst) {
    if (second == nullptr) {
      cut(first, max);
      return;
    }
    // The shorter one is cut only when halving the length would still cut it.
    std::size_t shorter = std::min(first.size(), second->size());
    std::size_t longer = shorter > max ? shorter : std::max(shorter, max - shorter);
    if (shorter + longer > max) {
      shorter = max / 2;
      longer = shorter + max % 2;
    }
    const bool swapped = first.size() > second->size();
    cut(first, swapped ? longer : shorter);
    cut(*second, swapped ? shorter : longer);
    return;
  }
  Encoding* target = &first;
  if (options.strategy == TruncationOptions::Strategy::kOnlySecond) {
    if (second == nullptr) {
      throw Error(ErrorKind::kInvalidArgument, "Truncation error: Second sequence not provided");
    }
    target = second;
  }
  if (target->size() <= excess) {
    throw Error(ErrorKind::kInvalidArgument,
                "Truncation error: Sequence to truncate too short to respect the provided "
                "max_length");
  }
  cut(*target, target->size() - excess);
}

void pad_batch(std::vector<Encoding>& batch, const PaddingOptions& options) {
  std::size_t length = options.length.value_or(0);
  if (!options.length) {
    for (const Encoding& encoding : batch) length = std::max(length, encoding.size());
  }
  if (options.multiple_of > 0 && length % options.multiple_of != 0) {
    length += options.multiple_of - length % options.multiple_of;
  }
  for (Encoding& encoding : batch) encoding.pad(length, options);
}

}  // namespace mistral::text
