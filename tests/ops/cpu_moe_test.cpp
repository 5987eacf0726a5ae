// Mixtures of experts: the same bits as the products of every row and expert on their own, and the
// reference's numbers.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/backends.h"
#include "ops/matrix.h"

namespace mistral::ops {
namespace {

using test::ActivationBuffers;
using test::activations;
using test::Matrix;
using test::packed;

class CpuMoe : public test::PerKernelSet {};

struct MoeShape {
  std::int64_t hidden = 512;  // of rows with gaps between them
  std::int64_t intermediate = 256;
  std::int32_t experts = 5;
  std::int32_t used = 2;
  DType gate = DType::kF32;
  DType down = DType::kF32;
  bool biased = false;
  bool scale_input = false;
};

// Experts of a layer as matrices, and packed for a backend.
class Experts {
 public:
  explicit Experts(const MoeShape& shape) : shape_(shape) {
    for (std::int32_t e = 0; e < shape.experts; ++e) {
      const auto seed = static_cast<std::uint32_t>(10 * e);
      matrices_.emplace_back(shape.gate, shape.intermediate, shape.hidden, seed);
      matrices_.emplace_back(shape.gate, shape.intermediate, shape.hidden, seed + 1);
      matrices_.emplace_back(shape.down, shape.hidden, shape.intermediate, seed + 2);
      biases_.push_back(test::random_values(2 * shape.intermediate + shape.hidden, seed + 3));
    }
  }

  // An expert without rows has no weights: reading them would crash.
  [[nodiscard]] std::vector<ExpertWeights> pack(Backend& backend,
                                                const std::vector<std::int32_t>& chosen) {
    weights_.clear();
    std::vector<ExpertWeights> experts(static_cast<std::size_t>(shape_.experts));
    for (std::size_t e = 0; e < experts.size(); ++e) {
      const bool is_chosen =
          std::find(chosen.begin(), chosen.end(), static_cast<std::int32_t>(e)) != chosen.end();
      if (!is_chosen && e != 0) continue;  // of the first the shape is read
      for (std::size_t i = 0; i < 3; ++i) {
        weights_.push_back(packed(backend, matrices_[3 * e + i].view));
      }
      const std::size_t last = weights_.size() - 1;
      experts[e] = {weights_[last - 2].get(), weights_[last - 1].get(), weights_[last].get()};
      if (!shape_.biased) continue;
      experts[e].gate_bias = biases_[e].data();
      experts[e].up_bias = biases_[e].data() + shape_.intermediate;
      experts[e].down_bias = biases_[e].data() + 2 * shape_.intermediate;
    }
    return experts;
  }

 private:
  MoeShape shape_;
  std::vector<Matrix> matrices_;
  std::vector<std::vector<float>> biases_;
  std::vector<std::unique_ptr<Weight>> weights_;
};

struct Choices {
  std::vector<std::int32_t> experts;
  std::vector<float> weights;
};

// Different experts of each row, in random order.
Choices random_choices(std::int64_t rows, const MoeShape& shape, std::uint32_t seed) {
  std::minstd_rand random(seed);
  std::vector<std::int32_t> all(static_cast<std::size_t>(shape.experts));
  for (std::size_t e = 0; e < all.size(); ++e) all[e] = static_cast<std::int32_t>(e);
  Choices choices;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::shuffle(all.begin(), all.end(), random);
    choices.experts.insert(choices.experts.end(), all.begin(), all.begin() + shape.used);
  }
  choices.weights = test::random_values(rows * shape.used, seed);
  return choices;
}

// The first `rows` rows of `in` from `first` on.
std::vector<float> moe(Backend& backend, const MoeShape& shape, Experts& experts,
                       Activation activation, const Activations& in, Choices choices,
                       std::int64_t first) {
  const std::vector<ExpertWeights> weights = experts.pack(backend, choices.experts);
  std::vector<float> y = test::random_values((first + in.rows) * shape.hidden, 50);
  const Rows out{y.data() + first * shape.hidden, in.rows, shape.hidden, shape.hidden};
  const std::int64_t skipped = first * shape.used;
  backend.moe({weights, activation, shape.scale_input}, in,
              {shape.used, choices.experts.data() + skipped, choices.weights.data() + skipped},
              out);
  return {y.begin() + first * shape.hidden, y.end()};
}

// By the ops for dense layers: row by row, choice by choice.
std::vector<float> dense(Backend& backend, const MoeShape& shape, Experts& experts,
                         Activation activation, ActivationBuffers& in, std::int64_t rows,
                         const Choices& choices) {
  const std::vector<ExpertWeights> weights = experts.pack(backend, choices.experts);
  std::vector<float> y = test::random_values(rows * shape.hidden, 50);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int32_t i = 0; i < shape.used; ++i) {
      const auto pair = static_cast<std::size_t>(row * shape.used + i);
      const ExpertWeights& expert = weights[static_cast<std::size_t>(choices.experts[pair])];
      ActivationBuffers inner(1, shape.intermediate, kFormF32 | expert.down->input_form());
      backend.gated_linear(in.view(row, 1), *expert.gate, expert.gate_bias, *expert.up,
                           expert.up_bias, activation, inner.view());
      const LinearOutput output{expert.down,
                                expert.down_bias,
                                {y.data() + row * shape.hidden, 1, shape.hidden, shape.hidden},
                                choices.weights[pair],
                                true};
      backend.linear(inner.view(), {&output, 1});
    }
  }
  return y;
}

void check_moe(test::Backends& backends, const MoeShape& shape, std::int64_t rows,
               const Choices& choices, Activation activation = Activation::kSilu) {
  SCOPED_TRACE(fmt::format("{}/{} [{}, {}] {} of {} experts, {} rows{}{}", name(shape.gate),
                           name(shape.down), shape.hidden, shape.intermediate, shape.used,
                           shape.experts, rows, shape.biased ? ", biased" : "",
                           shape.scale_input ? ", input scaled" : ""));
  Experts experts(shape);
  const unsigned forms = experts.pack(*backends.cpu, {0})[0].gate->input_form();
  const auto x = test::random_values(rows * shape.hidden, 51, 0.1F);
  ActivationBuffers in(rows, shape.hidden, kFormF32 | forms);
  backends.cpu->quantize({x.data(), rows, shape.hidden, shape.hidden}, in.view());
  const auto got = moe(*backends.cpu, shape, experts, activation, in.view(), choices, 0);
  test::expect_same_bits(moe(*backends.threaded, shape, experts, activation, in.view(), choices, 0),
                         got);
  if (!shape.scale_input) {
    ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(
        dense(*backends.cpu, shape, experts, activation, in, rows, choices), got));
  }
  // From some row on, and one alone.
  for (const std::int64_t first : {std::int64_t{1}, rows / 2, rows - 1}) {
    if (first <= 0 || first >= rows) continue;
    const auto some = moe(*backends.threaded, shape, experts, activation,
                          in.view(first, rows - first), choices, first);
    ASSERT_NO_FATAL_FAILURE(
        test::expect_same_bits(some, {got.begin() + first * shape.hidden, got.end()}))
        << "from row " << first;
  }
  // The reference reads what the gate's kernels read. What it hands to `down` is not rounded to a
  // quantised form, and where that is done here a code may be off by a half.
  std::vector<float> seen = in.seen(forms);
  Activations exact;
  exact.rows = rows;
  exact.cols = shape.hidden;
  exact.values = seen.data();
  const auto want = moe(*backends.reference, shape, experts, activation, exact, choices, 0);
  const bool rounded = info(shape.down).quantized && shape.down != DType::kMXFP4;
  double largest = 1;
  for (const float y : want) largest = std::max(largest, std::fabs(static_cast<double>(y)));
  ASSERT_NO_FATAL_FAILURE(
      test::expect_close(got, want, rounded ? 0.02 * largest : 5e-5 * std::sqrt(largest)));
}

TEST_P(CpuMoe, Types) {
  struct Types {
    DType gate;
    DType down;
  };
  const Types types[] = {{DType::kF32, DType::kF32},    {DType::kBF16, DType::kBF16},
                         {DType::kQ4_0, DType::kQ4_0},  {DType::kQ4_K, DType::kQ6_K},
                         {DType::kQ8_0, DType::kF16},   {DType::kMXFP4, DType::kMXFP4},
                         {DType::kQ4_K, DType::kMXFP4}, {DType::kF32, DType::kQ8_0}};
  for (const Types& type : types) {
    for (const bool scale_input : {false, true}) {
      for (const std::int64_t rows : {1, 2, 33}) {
        MoeShape shape;
        shape.gate = type.gate;
        shape.down = type.down;
        shape.biased = rows == 2;
        shape.scale_input = scale_input;
        check_moe(backends_, shape, rows, random_choices(rows, shape, 52));
      }
    }
  }
}

TEST_P(CpuMoe, OddShapesAndEveryNumberOfExperts) {
  for (const std::int64_t hidden : {1, 37}) {
    for (const std::int64_t intermediate : {1, 53}) {
      for (const std::int32_t used : {1, 2, 3, 7}) {
        for (const std::int64_t rows : {1, 3, 70}) {
          MoeShape shape{hidden, intermediate, 7, used};
          shape.biased = true;
          check_moe(backends_, shape, rows, random_choices(rows, shape, 53));
        }
      }
    }
  }
  const MoeShape single{37, 53, 1, 1};
  check_moe(backends_, single, 5, random_choices(5, single, 54));
}

TEST_P(CpuMoe, Activations) {
  for (const Activation activation :
       {Activation::kGeluTanh, Activation::kRelu2, Activation::kClampedSwiglu}) {
    MoeShape shape;
    shape.biased = true;
    check_moe(backends_, shape, 9, random_choices(9, shape, 55), activation);
  }
}

// All rows to one expert, more than a worker takes at a time; the others have none.
TEST_P(CpuMoe, OneExpertForAll) {
  constexpr std::int64_t kRows = 523;
  MoeShape shape{256, 64, 4, 1, DType::kQ4_K, DType::kQ8_0};
  Choices choices = random_choices(kRows, shape, 56);
  std::fill(choices.experts.begin(), choices.experts.end(), 2);
  check_moe(backends_, shape, kRows, choices);
  // And some for others, so that these rows are no longer neighbours.
  for (std::size_t i = 0; i < choices.experts.size(); i += 50) choices.experts[i] = 3;
  check_moe(backends_, shape, kRows, choices);
}

// Neighbouring rows and choices that follow each other need no copies; the result is the same.
TEST_P(CpuMoe, NeighbouringRows) {
  MoeShape shape{256, 256, 3, 1, DType::kQ8_0, DType::kQ8_0};
  for (const bool scale_input : {false, true}) {
    shape.scale_input = scale_input;
    Choices choices = random_choices(6, shape, 57);
    choices.experts = {1, 1, 1, 0, 2, 2};
    check_moe(backends_, shape, 6, choices);
  }
}

TEST_P(CpuMoe, NoRows) {
  const MoeShape shape;
  Experts experts(shape);
  ActivationBuffers none(0, shape.hidden, kFormF32);
  EXPECT_TRUE(
      moe(*backends_.threaded, shape, experts, Activation::kSilu, none.view(), {}, 0).empty());
}

// Buffers that have grown serve smaller steps and other shapes.
TEST_P(CpuMoe, StepsOfAnySizeFollowEachOther) {
  const MoeShape small{37, 5, 3, 2};
  const MoeShape large{256, 256, 5, 3, DType::kQ8_0, DType::kQ8_0};
  for (const std::int64_t rows : {3, 40, 1, 7}) {
    check_moe(backends_, small, rows, random_choices(rows, small, 58));
    check_moe(backends_, large, rows, random_choices(rows, large, 59));
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuMoe, testing::ValuesIn(test::kernel_sets()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace mistral::ops
