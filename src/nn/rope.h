// Rotary position embeddings: which frequencies a model rotates with, and the tables made of them.
// Definitions follow Transformers' modeling_rope_utils.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "ops/ops.h"

namespace mistral::nn {

enum class RopeScaling {
  kNone,
  kLinear,   // positions divided by factor
  kDynamic,  // NTK: the base grows with the sequence's length beyond original_positions
  kYarn,     // blends kept and interpolated frequencies, scales cos and sin
  kLlama3,   // long wavelengths are interpolated, short ones kept, between them blended
};

struct RopeSpec {
  std::int32_t rotary_dim = 0;    // leading dims of a head that rotate; even
  bool interleaved = false;       // pairs (2i, 2i+1), as llama's GGUF files; else halves
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;
  double original_positions = 0;  // dynamic, yarn, llama3
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;
  double beta_fast = 32.0;        // yarn
  double beta_slow = 1.0;
  double attention_factor = 1.0;  // multiplies cos and sin
  std::vector<float> frequency_divisors;  // [rotary_dim / 2] or empty: divide each frequency

  // The sequence length that decides on frequencies, reduced to what makes a difference: 0 when
  // they do not depend on it.
  [[nodiscard]] std::int32_t regime(std::int32_t rope_length) const;
  [[nodiscard]] std::vector<double> inverse_frequencies(std::int32_t regime) const;

  bool operator==(const RopeSpec&) const = default;
};

// yarn's default attention factor for an extension by `factor`.
[[nodiscard]] double yarn_attention_factor(double factor, double mscale = 1.0);

// Tables for one RopeSpec, grown as positions are asked for.
class RopeTables {
 public:
  explicit RopeTables(RopeSpec spec) : spec_(std::move(spec)) {}

  [[nodiscard]] const RopeSpec& spec() const { return spec_; }
  // A table for positions [0, positions). Valid until the next call with more positions or with
  // many other regimes.
  const ops::RopeTable* table(std::int32_t rope_length, std::int32_t positions);

 private:
  struct Entry {
    std::vector<double> frequencies;
    std::vector<float> cos;
    std::vector<float> sin;
    ops::RopeTable view;
    std::uint64_t used = 0;
  };

  RopeSpec spec_;
  std::map<std::int32_t, Entry> entries_;
  std::uint64_t clock_ = 0;
};

}  // namespace mistral::nn
