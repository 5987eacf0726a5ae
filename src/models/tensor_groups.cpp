#include "models/tensor_groups.h"

#include <cstddef>

namespace mistral::models {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Whether `name` is `pattern` with a number in place of every "{}".
bool matches(std::string_view pattern, std::string_view name) {
  std::size_t at = 0;
  for (std::size_t p = 0; p < pattern.size();) {
    if (pattern.substr(p, 2) == "{}") {
      if (at == name.size() || !is_digit(name[at])) return false;
      while (at < name.size() && is_digit(name[at])) ++at;
      p += 2;
    } else {
      if (at == name.size() || name[at] != pattern[p]) return false;
      ++at;
      ++p;
    }
  }
  return at == name.size();
}

}  // namespace

TensorGroups::TensorGroups(const nn::DecoderSpec& spec) {
  const nn::TensorNames& names = spec.names;
  add(TensorGroup::kEmbedding, {names.embedding});
  add(TensorGroup::kHead, {names.head});
  add(TensorGroup::kNorms,
      {names.final_norm, names.attention_norm, names.query_norm, names.key_norm,
       names.post_attention_norm, names.ffn_norm, names.post_ffn_norm});
  add(TensorGroup::kAttention,
      {names.query, names.key, names.value, names.qkv, names.output, names.sinks,
       // Frequencies of GGUF files.
       "rope_freqs", "rope_factors_long", "rope_factors_short"});
  add(TensorGroup::kFeedForward, {names.gate, names.up, names.gate_up, names.down});
  if (spec.latent) {
    const nn::LatentSpec& latent = *spec.latent;
    add(TensorGroup::kNorms, {latent.query_down_norm, latent.latent_norm});
    add(TensorGroup::kAttention, {latent.query_down, latent.query_up, latent.latent,
                                  latent.key_value_up, latent.key_up, latent.value_up});
  }
  if (spec.moe) {
    const nn::MoeNames& moe = spec.moe->names;
    add(TensorGroup::kExperts,
        {moe.router, moe.selection_bias, moe.gate, moe.up, moe.down, moe.stacked_gate,
         moe.stacked_up, moe.stacked_down, moe.transposed_gate_up, moe.transposed_down,
         moe.gate_up_bias, moe.down_bias, moe.shared_gate, moe.shared_up, moe.shared_down});
  }
}

void TensorGroups::add(TensorGroup group, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (!pattern.empty()) patterns_.emplace_back(pattern, group);
  }
}

TensorGroup TensorGroups::of(std::string_view tensor) const {
  const auto find = [this](std::string_view name) {
    for (const auto& [pattern, group] : patterns_) {
      if (matches(pattern, name)) return group;
    }
    return TensorGroup::kOther;
  };
  if (const TensorGroup group = find(tensor); group != TensorGroup::kOther) return group;
  for (const std::string_view suffix : {".weight", ".bias", "_blocks", "_scales"}) {
    if (tensor.ends_with(suffix)) return find(tensor.substr(0, tensor.size() - suffix.size()));
  }
  return TensorGroup::kOther;
}

}  // namespace mistral::models
