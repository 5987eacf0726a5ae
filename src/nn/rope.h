// Rotary position embeddings: which frequencies a model rotates with, and the tables made of them.
// Definitions follow Transformers' modeling_rope_utils.
#pragma once

#include <cstdint>
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
  std::int32_t rotary_dim = 0;  // leading dims of a head that rotate; even
  bool interleaved = false;     // pairs (2i, 2i+1), as llama's GGUF files; else halves
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;
  double original_positions = 0;  // dynamic, yarn, llama3
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;
  double beta_fast = 32.0;  // yarn
  double beta_slow = 1.0;
  double attention_factor = 1.0;          // multiplies cos and sin
  std::vector<float> frequency_divisors;  // [rotary_dim / 2] or empty: divide each frequency

  // The sequence length that decides on frequencies, reduced to what makes a difference: 0 when
  // they do not depend on it.
  [[nodiscard]] std::int32_t regime(std::int32_t rope_length) const;
  [[nodiscard]] std::vector<double> inverse_frequencies(std::int32_t regime) const;

  bool operator==(const RopeSpec&) const = default;
};

// yarn's default attention factor for an extension by `factor`.
[[nodiscard]] double yarn_attention_factor(double factor, double mscale = 1.0);

// cos and sin of one RopeSpec for the rows of a step.
class RopeRows {
 public:
  RopeRows(RopeSpec spec, std::int32_t max_rows);

  // Fills in one row. `rope_length` is the prompt's length of the row's sequence: a prompt's rows
  // all rotate by the prompt's length, each later row by the length up to itself; what is already
  // in the cache stays as it is.
  void set(std::int32_t row, std::int32_t position, std::int32_t rope_length);
  [[nodiscard]] const ops::RopeTable& table() const { return table_; }

 private:
  void write(const std::vector<double>& frequencies, std::int32_t position, float* cos,
             float* sin) const;

  RopeSpec spec_;
  std::vector<double> base_frequencies_;  // of regime 0
  std::vector<float> base_cos_;           // by position, grown as positions are asked for
  std::vector<float> base_sin_;
  std::int32_t regime_ = 0;  // the last other regime and its frequencies
  std::vector<double> frequencies_;
  std::vector<float> cos_;
  std::vector<float> sin_;
  ops::RopeTable table_;
};

}  // namespace mistral::nn
