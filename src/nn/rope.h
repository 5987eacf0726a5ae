// Rotary position embeddings: which frequencies a model rotates with, and the tables made of them.
// Definitions follow Transformers' modeling_rope_utils.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/ops.h"

namespace mistral::nn {

enum class RopeScaling {
  kNone,
  kLinear,    // positions divided by factor
  kDynamic,   // NTK: the base grows with the sequence's length beyond original_positions
  kYarn,      // blends kept and interpolated frequencies, scales cos and sin
  kLlama3,    // long wavelengths are interpolated, short ones kept, between them blended
  kLongrope,  // each frequency has a divisor; another one beyond original_positions
};

struct RopeSpec {
  std::int32_t rotary_dim = 0;  // leading dims of a head that rotate; even
  bool interleaved = false;     // pairs (2i, 2i+1), as llama's GGUF files; else halves
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;
  double original_positions = 0;  // dynamic, yarn, llama3, longrope
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;
  double beta_fast = 32.0;  // yarn
  double beta_slow = 1.0;
  bool whole_dims = true;                 // yarn: its band begins and ends at whole dims
  double attention_factor = 1.0;          // multiplies cos and sin
  std::vector<float> frequency_divisors;  // [rotary_dim / 2] or empty: divide each frequency
  // longrope: what stands instead of the two above beyond original_positions.
  double long_attention_factor = 1.0;
  std::vector<float> long_frequency_divisors;

  // The sequence length that decides on frequencies, reduced to what makes a difference: 0 when
  // they do not depend on it, and for all lengths below the one where they begin to.
  [[nodiscard]] std::int32_t regime(std::int32_t rope_length) const;
  [[nodiscard]] std::vector<double> inverse_frequencies(std::int32_t regime) const;
  // What multiplies cos and sin.
  [[nodiscard]] double magnitude(std::int32_t regime) const {
    return scaling == RopeScaling::kLongrope && regime > 0 ? long_attention_factor
                                                           : attention_factor;
  }

  bool operator==(const RopeSpec&) const = default;
};

// yarn's default attention factor for an extension by `factor`.
[[nodiscard]] double yarn_attention_factor(double factor, double mscale = 1.0);

// cos and sin of one RopeSpec for the rows of a step.
class RopeRows {
 public:
  // The rotating dims of a head begin at `first_dim`.
  RopeRows(RopeSpec spec, std::int32_t first_dim, std::int32_t max_rows,
           std::int32_t max_positions);

  // Memory of the tables as they are, and of tables that have grown to `positions`.
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] static std::uint64_t bytes_for(const RopeSpec& spec, std::int64_t max_rows,
                                               std::int64_t positions);

  // Fills in one row. `rope_length` is the prompt's length of the row's sequence: a prompt's rows
  // all rotate by the prompt's length, each later row by the length up to itself; what is already
  // in the cache stays as it is.
  void set(std::int32_t row, std::int32_t position, std::int32_t rope_length);
  [[nodiscard]] const ops::RopeTable& table() const { return table_; }

 private:
  // Of one regime, by position, grown as positions are asked for.
  struct Positions {
    std::int32_t regime = 0;
    std::vector<double> frequencies;
    std::vector<float> cos;
    std::vector<float> sin;
  };
  void write(const Positions& table, std::int32_t position, float* cos, float* sin) const;
  void copy(Positions& table, std::int32_t position, float* cos, float* sin) const;

  RopeSpec spec_;
  std::size_t half_;
  std::int32_t max_positions_;
  Positions base_;   // of regime 0
  Positions other_;  // of the last other regime: few of them ever meet
  std::vector<float> cos_;
  std::vector<float> sin_;
  ops::RopeTable table_;
};

}  // namespace mistral::nn
