// Which part of a model a tensor belongs to, found by the names of its DecoderSpec.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/decoder_spec.h"

namespace mistral::models {

// kOther: tensors that the model does not use (tables of frequencies, calibration).
enum class TensorGroup { kEmbedding, kAttention, kFeedForward, kExperts, kHead, kNorms, kOther };

inline constexpr std::array kTensorGroups = {TensorGroup::kEmbedding,   TensorGroup::kAttention,
                                             TensorGroup::kFeedForward, TensorGroup::kExperts,
                                             TensorGroup::kHead,        TensorGroup::kNorms,
                                             TensorGroup::kOther};
[[nodiscard]] constexpr std::string_view name(TensorGroup group) {
  constexpr std::string_view kNames[] = {"embedding", "attention", "feed forward", "experts",
                                         "head",      "norms",     "other"};
  return kNames[static_cast<std::size_t>(group)];
}

class TensorGroups {
 public:
  explicit TensorGroups(const nn::DecoderSpec& spec);
  // `tensor` is a name as it stands in the file.
  [[nodiscard]] TensorGroup of(std::string_view tensor) const;

 private:
  void add(TensorGroup group, const std::vector<std::string>& patterns);

  std::vector<std::pair<std::string, TensorGroup>> patterns_;
};

}  // namespace mistral::models
