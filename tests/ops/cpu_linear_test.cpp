// Products of the CPU kernels with the reference, over all weight types and odd shapes; and the
// same bits for a row whatever stands beside it.
#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ops/activation_buffer.h"
#include "ops/backends.h"
#include "ops/matrix.h"
#include "quant/dequantize.h"

namespace mistral::ops {
namespace {

using test::ActivationBuffers;
using test::activations;
using test::Matrix;
using test::packed;

class CpuLinear : public test::PerKernelSet {};

std::vector<DType> weight_types() {
  std::vector<DType> types;
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    if (quant::can_dequantize(static_cast<DType>(i))) types.push_back(static_cast<DType>(i));
  }
  return types;
}

// Numbers of inputs that suit the type: whole blocks around the kernels' chunk of 256.
std::vector<std::int64_t> input_sizes(DType dtype) {
  switch (info(dtype).block_elements) {
    case 1:
      return {1, 7, 64, 255, 256, 257, 523};
    case 32:
      return {32, 224, 256, 288, 544};
    default:
      return {256, 768};
  }
}

std::vector<float> product(Backend& backend, const Weight& weight, const Activations& in) {
  std::vector<float> y(static_cast<std::size_t>(in.rows * weight.out()), -1.0F);
  const LinearOutput output{&weight, nullptr, {y.data(), in.rows, weight.out(), weight.out()}};
  backend.linear(in, {&output, 1});
  return y;
}

// The product over what the kernel reads (quantised rows are decoded), in the reference; and the
// sum of the magnitudes of its terms, which rounding errors are relative to.
void expect_product(Backend& reference, const TensorView& view, const Weight& weight,
                    ActivationBuffers& in, std::int64_t rows, const std::vector<float>& got) {
  std::vector<float> x = in.seen(weight.input_form());
  const auto exact = packed(reference, view);
  Activations input;
  input.rows = rows;
  input.cols = weight.in();
  input.values = x.data();
  const std::vector<float> want = product(reference, *exact, input);
  ASSERT_EQ(got.size(), want.size());
  std::vector<float> w(static_cast<std::size_t>(weight.in()));
  for (std::int64_t column = 0; column < weight.out(); ++column) {
    exact->dequantize_row(column, w.data());
    for (std::int64_t row = 0; row < rows; ++row) {
      double magnitude = 1e-30;
      for (std::int64_t k = 0; k < weight.in(); ++k) {
        magnitude +=
            std::fabs(static_cast<double>(x[static_cast<std::size_t>(row * weight.in() + k)]) *
                      w[static_cast<std::size_t>(k)]);
      }
      const auto i = static_cast<std::size_t>(row * weight.out() + column);
      ASSERT_TRUE(std::fabs(static_cast<double>(got[i]) - want[i]) <= 4e-6 * magnitude)
          << name(view.dtype) << " [" << weight.out() << ", " << weight.in() << "] row " << row
          << " column " << column << ": " << got[i] << ", expected " << want[i];
    }
  }
}

TEST_P(CpuLinear, AgreesWithTheReferenceOverOddShapes) {
  for (const DType dtype : weight_types()) {
    for (const std::int64_t in : input_sizes(dtype)) {
      for (const std::int64_t out : {1, 15, 16, 17, 32, 33, 53}) {
        const Matrix matrix(dtype, out, in, static_cast<std::uint32_t>(out + in));
        const auto weight = packed(*backends_.cpu, matrix.view);
        for (const std::int64_t rows : {1, 3}) {
          const auto x = test::random_values(rows * in, static_cast<std::uint32_t>(rows));
          ActivationBuffers buffers = activations(*backends_.cpu, x, rows, *weight);
          const auto y = product(*backends_.cpu, *weight, buffers.view());
          ASSERT_NO_FATAL_FAILURE(
              expect_product(*backends_.reference, matrix.view, *weight, buffers, rows, y));
        }
      }
    }
  }
}

TEST_P(CpuLinear, RowsDoNotDependOnTheirBatchOrTheThreads) {
  constexpr std::int64_t kRows = 70;
  constexpr std::int64_t kOut = 37;
  for (const DType dtype : weight_types()) {
    SCOPED_TRACE(std::string(name(dtype)));
    const std::int64_t in = info(dtype).block_elements == 256 ? 512 : 288;
    const Matrix matrix(dtype, kOut, in, 5);
    const auto weight = packed(*backends_.cpu, matrix.view);
    const auto weight_again = packed(*backends_.threaded, matrix.view);
    const auto x = test::random_values(kRows * in, 6);
    ActivationBuffers buffers = activations(*backends_.cpu, x, kRows, *weight);
    const auto whole = product(*backends_.cpu, *weight, buffers.view());
    ASSERT_NO_FATAL_FAILURE(
        expect_product(*backends_.reference, matrix.view, *weight, buffers, kRows, whole));
    for (std::int64_t rows = 1; rows <= kRows; ++rows) {
      const std::int64_t first = (rows * 13) % (kRows - rows + 1);
      const auto part = product(*backends_.cpu, *weight, buffers.view(first, rows));
      const auto begin = whole.begin() + first * kOut;
      ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(part, {begin, begin + rows * kOut}))
          << rows << " rows from " << first;
    }
    ActivationBuffers again = activations(*backends_.threaded, x, kRows, *weight_again);
    again.expect_same(buffers);
    test::expect_same_bits(product(*backends_.threaded, *weight_again, again.view()), whole);
  }
}

// Buffers leave gaps between rows whose distance would be bad for caches.
TEST_P(CpuLinear, GapsBetweenRowsChangeNothing) {
  constexpr std::int64_t kRows = 9;
  constexpr std::int64_t kIn = 512;
  ActivationBuffer gaps;
  for (const DType dtype : weight_types()) {
    SCOPED_TRACE(std::string(name(dtype)));
    const Matrix matrix(dtype, 37, kIn, 5);
    const auto weight = packed(*backends_.cpu, matrix.view);
    const auto x = test::random_values(kRows * kIn, 6);
    ActivationBuffers dense = activations(*backends_.cpu, x, kRows, *weight);
    const Activations apart = gaps.view(kRows, kIn, weight->input_form());
    ASSERT_GT(apart.values_gap, 0);
    ASSERT_EQ(apart.q256.codes_gap > 0, weight->input_form() == kFormQ8x256);
    backends_.cpu->quantize({x.data(), kRows, kIn, kIn}, apart);
    test::expect_same_bits(product(*backends_.cpu, *weight, apart),
                           product(*backends_.cpu, *weight, dense.view()));
  }
}

// Wherever the file has them: at odd addresses, with nothing behind the last row.
TEST_P(CpuLinear, RowsThatStayInTheirFileGiveTheSameBits) {
  int kept_types = 0;
  for (const DType dtype : weight_types()) {
    std::vector<std::pair<std::int64_t, std::int64_t>> shapes;
    for (const std::int64_t in : input_sizes(dtype)) {
      for (const std::int64_t out : {1, 17, 32, 53}) shapes.emplace_back(out, in);
    }
    if (dtype == DType::kBF16) shapes.emplace_back(1037, 1026);  // large: inputs may be rounded
    for (const auto& [out, in] : shapes) {
      if (!backends_.cpu->keeps(dtype, in)) continue;
      SCOPED_TRACE(fmt::format("{} [{}, {}]", name(dtype), out, in));
      ++kept_types;
      const Matrix matrix(dtype, out, in, static_cast<std::uint32_t>(out + in));
      auto moved = std::make_shared<std::vector<std::byte>>(matrix.view.data.size() + 1);
      std::copy(matrix.view.data.begin(), matrix.view.data.end(), moved->begin() + 1);
      TensorView view = matrix.view;
      view.data = std::span(*moved).subspan(1);
      const auto kept = backends_.threaded->keep(view, moved);
      auto* file = moved.get();
      moved.reset();  // the weight keeps it
      const auto weight = packed(*backends_.cpu, matrix.view);
      EXPECT_EQ(kept->bytes(), weight->bytes());
      ASSERT_EQ(kept->input_form(), weight->input_form());
      const auto expect_same = [&] {
        for (const std::int64_t rows : {1, 2, 3, 37}) {
          const auto x = test::random_values(rows * in, static_cast<std::uint32_t>(rows));
          ActivationBuffers buffers = activations(*backends_.cpu, x, rows, *weight);
          ASSERT_NO_FATAL_FAILURE(
              test::expect_same_bits(product(*backends_.threaded, *kept, buffers.view()),
                                     product(*backends_.cpu, *weight, buffers.view())));
        }
        std::vector<float> row(static_cast<std::size_t>(in));
        std::vector<float> expected(row.size());
        kept->dequantize_row(out - 1, row.data());
        weight->dequantize_row(out - 1, expected.data());
        test::expect_same_bits(row, expected);
      };
      ASSERT_NO_FATAL_FAILURE(expect_same());
      // Packing that is stopped changes nothing, nor does packing, but that the rows are done with.
      std::atomic<bool> stop = true;
      std::size_t done = 0;
      const auto count = [&](std::span<const std::byte> part) { done += part.size(); };
      kept->pack_kept(stop, count);
      EXPECT_EQ(done, 0U);
      ASSERT_NO_FATAL_FAILURE(expect_same());
      stop = false;
      kept->pack_kept(stop, count);
      kept->pack_kept(stop, count);
      const bool numbers = dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
      EXPECT_EQ(done, numbers ? matrix.view.data.size() : 0U);
      if (numbers) std::fill(file->begin(), file->end(), std::byte{0xFF});
      ASSERT_NO_FATAL_FAILURE(expect_same());
    }
  }
  EXPECT_GT(kept_types, 3 * 4);
  EXPECT_FALSE(backends_.cpu->keeps(DType::kQ4_K, 256));
  EXPECT_FALSE(backends_.reference->keeps(DType::kF32, 256));
}

TEST_P(CpuLinear, IsPackedWhileOthersCompute) {
  const Matrix matrix(DType::kBF16, 2053, 256, 3);
  const auto weight = packed(*backends_.cpu, matrix.view);
  const auto kept = backends_.threaded->keep(matrix.view, nullptr);
  const auto x = test::random_values(2 * 256, 4);
  ActivationBuffers buffers = activations(*backends_.cpu, x, 2, *weight);
  const std::vector<float> expected = product(*backends_.cpu, *weight, buffers.view());
  const std::atomic<bool> stop = false;
  std::atomic<bool> ready = false;
  std::thread packer([&] {
    kept->pack_kept(stop, [](std::span<const std::byte>) {});
    ready = true;
  });
  bool last = false;
  bool same = true;
  do {
    last = ready;
    same = same && product(*backends_.threaded, *kept, buffers.view()) == expected;
  } while (!last);
  packer.join();
  EXPECT_TRUE(same);
}

// More rows than a worker takes at a time.
TEST_P(CpuLinear, ManyRows) {
  constexpr std::int64_t kRows = 523;
  for (const DType dtype : {DType::kF16, DType::kQ4_K, DType::kQ8_0}) {
    const Matrix matrix(dtype, 35, 256, 7);
    const auto weight = packed(*backends_.threaded, matrix.view);
    const auto x = test::random_values(kRows * 256, 8);
    ActivationBuffers buffers = activations(*backends_.threaded, x, kRows, *weight);
    const auto y = product(*backends_.threaded, *weight, buffers.view());
    expect_product(*backends_.reference, matrix.view, *weight, buffers, kRows, y);
    test::expect_same_bits(product(*backends_.threaded, *weight, buffers.view(kRows - 1, 1)),
                           {y.end() - 35, y.end()});
  }
}

// The largest codes with the largest inputs: no sum on the way overflows.
TEST_P(CpuLinear, LargestSums) {
  struct Codes {
    DType dtype;
    std::size_t begin;  // in a block of the file
    std::size_t end;
    unsigned char byte = 0xFF;
  };
  for (const Codes& codes :
       {Codes{DType::kQ4_0, 2, 18}, Codes{DType::kQ4_1, 4, 20}, Codes{DType::kQ5_0, 2, 22},
        Codes{DType::kQ5_1, 4, 24}, Codes{DType::kQ8_0, 2, 34, 0x80}, Codes{DType::kQ2_K, 16, 80},
        Codes{DType::kQ3_K, 0, 96}, Codes{DType::kQ4_K, 16, 144}, Codes{DType::kQ5_K, 16, 176},
        Codes{DType::kQ6_K, 0, 192}}) {
    Matrix matrix(codes.dtype, 32, 512, 9);
    const auto block = static_cast<std::size_t>(info(codes.dtype).block_bytes);
    for (std::size_t i = 0; i < matrix.data.size(); ++i) {
      const std::size_t at = i % block;
      if (at >= codes.begin && at < codes.end) matrix.data[i] = std::byte{codes.byte};
    }
    const auto weight = packed(*backends_.cpu, matrix.view);
    for (const std::int64_t rows : {1, 20}) {
      for (const float value : {1.0F, -1.0F}) {
        const std::vector<float> x(static_cast<std::size_t>(rows * 512), value);
        ActivationBuffers buffers = activations(*backends_.cpu, x, rows, *weight);
        const auto y = product(*backends_.cpu, *weight, buffers.view());
        ASSERT_NO_FATAL_FAILURE(
            expect_product(*backends_.reference, matrix.view, *weight, buffers, rows, y));
      }
    }
  }
}

// Large enough for bf16 inputs where the set has them; an odd number of inputs.
TEST_P(CpuLinear, LargeBF16) {
  constexpr std::int64_t kOut = 1040;
  constexpr std::int64_t kIn = 1025;
  constexpr std::int64_t kRows = 9;
  const Matrix matrix(DType::kBF16, kOut, kIn, 9);
  const auto weight = packed(*backends_.threaded, matrix.view);
  EXPECT_EQ(weight->input_form(), GetParam() == "avx512bf16" ? kFormBF16 : kFormPanels);
  const auto x = test::random_values(kRows * kIn, 10);
  ActivationBuffers buffers = activations(*backends_.threaded, x, kRows, *weight);
  const auto y = product(*backends_.threaded, *weight, buffers.view());
  expect_product(*backends_.reference, matrix.view, *weight, buffers, kRows, y);
  for (std::int64_t row = 0; row < kRows; ++row) {
    const auto begin = y.begin() + row * kOut;
    test::expect_same_bits(product(*backends_.cpu, *weight, buffers.view(row, 1)),
                           {begin, begin + kOut});
  }
}

TEST_P(CpuLinear, NoRowsAndNoOutputs) {
  const Matrix matrix(DType::kQ4_0, 5, 64, 1);
  const auto weight = packed(*backends_.threaded, matrix.view);
  ActivationBuffers none(0, 64, kFormF32 | kFormQ8x32);
  EXPECT_TRUE(product(*backends_.threaded, *weight, none.view()).empty());
  backends_.threaded->linear(none.view(), {});
  const Matrix empty(DType::kF32, 0, 64, 1);
  const auto no_columns = packed(*backends_.threaded, empty.view);
  ActivationBuffers two(2, 64, kFormF32);
  EXPECT_TRUE(product(*backends_.threaded, *no_columns, two.view()).empty());
}

TEST_P(CpuLinear, WeightsDecodeToTheirSource) {
  for (const DType dtype : weight_types()) {
    const std::int64_t in = info(dtype).block_elements == 256 ? 512 : 96;
    const Matrix matrix(dtype, 19, in, 9);
    const auto weight = packed(*backends_.threaded, matrix.view);
    EXPECT_EQ(weight->dtype(), dtype);
    EXPECT_LE(weight->bytes(), static_cast<std::uint64_t>(32 * row_bytes(dtype, in)));
    std::vector<float> got(static_cast<std::size_t>(in));
    std::vector<float> want(got.size());
    for (std::int64_t row = 0; row < 19; ++row) {
      weight->dequantize_row(row, got.data());
      quant::dequantize_row(dtype, matrix.data.data() + row * row_bytes(dtype, in), want.data(),
                            in);
      ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(got, want)) << name(dtype) << " row " << row;
    }
  }
}

TEST_P(CpuLinear, SourcesAreReencodedAndReleased) {
  const Matrix matrix(DType::kF32, 300, 33, 10);
  for (const DType storage : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::size_t released = 0;
    const auto count = [&](std::span<const std::byte> done) { released += done.size(); };
    const auto weight = backends_.threaded->pack(matrix.view, storage, count);
    EXPECT_EQ(released, matrix.data.size());
    EXPECT_EQ(weight->dtype(), storage);
    const auto expected = backends_.reference->pack(matrix.view, storage, nullptr);
    std::vector<float> got(33);
    std::vector<float> want(33);
    for (std::int64_t row = 0; row < 300; ++row) {
      weight->dequantize_row(row, got.data());
      expected->dequantize_row(row, want.data());
      ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(got, want));
    }
  }
}

TEST_P(CpuLinear, RefusesWhatItCannotCompute) {
  for (Backend* backend : {backends_.cpu.get(), backends_.reference.get()}) {
    EXPECT_FALSE(backend->supports(DType::kU8));
    EXPECT_TRUE(backend->supports(DType::kQ4_K));
    const std::vector<std::byte> bytes(4096);
    const auto refused = [&](const TensorView& view) {
      EXPECT_THROW(static_cast<void>(packed(*backend, view)), Error);
    };
    refused({DType::kU8, {{1, 256}}, std::span(bytes).first(256)});
    refused({DType::kF32, {{16}}, std::span(bytes).first(64)});
    refused({DType::kF32, {{1, 4, 4}}, std::span(bytes).first(64)});
  }
}

TEST_P(CpuLinear, BiasScaleAccumulateAndStrides) {
  constexpr std::int64_t kRows = 5;
  constexpr std::int64_t kIn = 64;
  constexpr std::int64_t kOuts[] = {17, 40, 1};
  constexpr DType kTypes[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ5_1};
  std::vector<Matrix> matrices;
  for (std::uint32_t i = 0; i < 3; ++i) matrices.emplace_back(kTypes[i], kOuts[i], kIn, i);
  const auto x = test::random_values(kRows * kIn, 11);
  const auto bias = test::random_values(40, 12);
  ActivationBuffers in(kRows, kIn, kFormF32 | kFormQ8x32);
  backends_.cpu->quantize({x.data(), kRows, kIn, kIn}, in.view());
  std::vector<float> seen = in.seen(kFormQ8x32);
  Activations exact;
  exact.rows = kRows;
  exact.cols = kIn;
  exact.values = seen.data();

  // Three products in one call, into columns of one wider matrix that holds values already.
  constexpr std::int64_t kStride = 64;
  const auto run = [&](Backend& backend, const Activations& input) {
    std::vector<float> y = test::random_values(kRows * kStride, 13);
    std::vector<std::unique_ptr<Weight>> weights;
    std::vector<LinearOutput> outputs;
    std::int64_t column = 1;
    for (std::size_t i = 0; i < 3; ++i) {
      weights.push_back(packed(backend, matrices[i].view));
      LinearOutput output;
      output.weight = weights.back().get();
      output.out = {y.data() + column, kRows, kOuts[i], kStride};
      output.bias = i == 1 ? nullptr : bias.data();
      output.scale = i == 0 ? 1.0F : 0.25F;
      output.accumulate = i != 2;
      outputs.push_back(output);
      column += kOuts[i] + 1;
    }
    backend.linear(input, outputs);
    return y;
  };
  const auto want = run(*backends_.reference, exact);
  const auto got = run(*backends_.cpu, in.view());
  test::expect_close(got, want, 2e-5);
  test::expect_same_bits(run(*backends_.threaded, in.view()), got);
  const auto before = test::random_values(kRows * kStride, 13);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (const std::size_t gap : {0, 18, 59, 61, 62, 63}) {
      EXPECT_EQ(got[row * kStride + gap], before[row * kStride + gap]) << gap;
    }
  }
}

TEST_P(CpuLinear, GatedProduct) {
  constexpr std::int64_t kRows = 7;
  for (const Activation activation : test::kActivations) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ5_0, DType::kQ6_K}) {
      for (const std::int64_t out : {1, 37, 256}) {
        const Matrix gate(dtype, out, 256, 14);
        const Matrix up(dtype, out, 256, 15);
        const auto x = test::random_values(kRows * 256, 16, 0.1F);
        const auto bias = test::random_values(2 * out, 17);
        const unsigned forms = out == 256 ? kFormF32 | kFormQ8x32 | kFormQ8x256 : kFormF32;
        const auto run = [&](Backend& backend, const Activations& input, std::int64_t rows) {
          const auto g = packed(backend, gate.view);
          const auto u = packed(backend, up.view);
          ActivationBuffers result(rows, out, forms);
          backend.gated_linear(input, *g, bias.data(), *u, bias.data() + out, activation,
                               result.view());
          return result;
        };
        const auto weight = packed(*backends_.cpu, gate.view);
        ActivationBuffers in = activations(*backends_.cpu, x, kRows, *weight);
        std::vector<float> seen = in.seen(weight->input_form());
        Activations exact;
        exact.rows = kRows;
        exact.cols = 256;
        exact.values = seen.data();
        ActivationBuffers want = run(*backends_.reference, exact, kRows);
        ActivationBuffers got = run(*backends_.cpu, in.view(), kRows);
        ASSERT_NO_FATAL_FAILURE(test::expect_close(got.values(), want.values(), 5e-5));
        run(*backends_.threaded, in.view(), kRows).expect_same(got);
        ActivationBuffers one = run(*backends_.cpu, in.view(4, 1), 1);
        const auto row = got.values().begin() + 4 * out;
        test::expect_same_bits(one.values(), {row, row + out});
      }
    }
  }
}

// gpt-oss: (min(max(u, -7), 7) + 1) * g * sigmoid(1.702 g) with g = min(gate, 7).
TEST_P(CpuLinear, ClampedSwiglu) {
  const std::vector<float> x = {1.0F};
  const std::vector<float> gates = {1.0F, 9.0F, -20.0F, 2.0F};
  const std::vector<float> ups = {0.5F, 12.0F, 1.0F, -30.0F};
  const std::vector<float> want = {1.5F * 0.84579575F, 56.0F * 0.99999330F, 0.0F,
                                   -12.0F * 0.96782931F};
  const auto bytes = [](const std::vector<float>& values) {
    return TensorView{DType::kF32, {{4, 1}}, std::as_bytes(std::span(values))};
  };
  for (Backend* backend : {backends_.cpu.get(), backends_.reference.get()}) {
    const auto gate = packed(*backend, bytes(gates));
    const auto up = packed(*backend, bytes(ups));
    ActivationBuffers in = activations(*backend, x, 1, *gate);
    ActivationBuffers out(1, 4, kFormF32);
    backend->gated_linear(in.view(), *gate, nullptr, *up, nullptr, Activation::kClampedSwiglu,
                          out.view());
    test::expect_close(out.values(), want, 1e-6);
  }
}

TEST_P(CpuLinear, EveryHeadHasItsMatrix) {
  constexpr DType kTypes[] = {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_K, DType::kMXFP4};
  for (const DType dtype : kTypes) {
    for (const std::int64_t heads : {1, 3, 16}) {
      for (const std::int64_t out : {1, 37, 128}) {
        SCOPED_TRACE(fmt::format("{} {} heads {} outputs", name(dtype), heads, out));
        const std::int64_t in = info(dtype).block_elements == 1 ? 129 : 256;
        // Between heads are others' columns.
        const HeadLinearParams steps{{}, in + 5, out + 3};
        const std::int64_t in_stride = heads * steps.in_step + 2;
        const std::int64_t out_stride = heads * steps.out_step + 1;
        std::vector<Matrix> matrices;
        for (std::int64_t h = 0; h < heads; ++h) {
          matrices.emplace_back(dtype, out, in, static_cast<std::uint32_t>(h));
        }
        const auto run = [&](Backend& backend, std::vector<float>& x, std::int64_t rows) {
          std::vector<std::unique_ptr<Weight>> owners;
          std::vector<const Weight*> weights;
          for (const Matrix& matrix : matrices) {
            owners.push_back(packed(backend, matrix.view));
            weights.push_back(owners.back().get());
          }
          HeadLinearParams params = steps;
          params.weights = weights;
          std::vector<float> y(static_cast<std::size_t>(rows * out_stride), -1.0F);
          backend.head_linear(params, {x.data(), rows, heads * steps.in_step, in_stride},
                              {y.data(), rows, heads * steps.out_step, out_stride});
          return y;
        };
        constexpr std::int64_t kRows = 17;
        std::vector<float> x = test::random_values(kRows * in_stride, 32, 0.1F);
        const auto got = run(*backends_.cpu, x, kRows);
        test::expect_same_bits(run(*backends_.threaded, x, kRows), got);
        std::vector<float> row(x.begin() + 7 * in_stride, x.begin() + 8 * in_stride);
        const auto begin = got.begin() + 7 * out_stride;
        test::expect_same_bits(run(*backends_.cpu, row, 1), {begin, begin + out_stride});
        // The reference multiplies what the kernels see.
        const unsigned form = packed(*backends_.cpu, matrices[0].view)->input_form();
        for (std::int64_t r = 0; r < kRows; ++r) {
          for (std::int64_t h = 0; h < heads; ++h) {
            ActivationBuffers seen(1, in, kFormF32 | form);
            float* head = x.data() + r * in_stride + h * steps.in_step;
            backends_.cpu->quantize({head, 1, in, in}, seen.view());
            const std::vector<float> values = seen.seen(form);
            std::copy(values.begin(), values.end(), head);
          }
        }
        ASSERT_NO_FATAL_FAILURE(test::expect_close(got, run(*backends_.reference, x, kRows), 2e-5));
      }
    }
  }
}

TEST_P(CpuLinear, Embedding) {
  const std::vector<TokenId> ids = {3, 0, 18, 3};
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ4_0}) {
    const Matrix matrix(dtype, 19, 96, 18);
    const auto run = [&](Backend& backend, float scale) {
      const auto table = packed(backend, matrix.view);
      std::vector<float> y(ids.size() * 96);
      backend.embed(*table, ids, scale, {y.data(), static_cast<std::int64_t>(ids.size()), 96, 96});
      return y;
    };
    for (const float scale : {1.0F, 9.75F}) {
      test::expect_same_bits(run(*backends_.threaded, scale), run(*backends_.reference, scale));
    }
  }
}

TEST(KernelSets, AnUnknownNameIsRefusedWithTheValidOnes) {
  ThreadPool pool(1);
  try {
    static_cast<void>(make_cpu_backend(pool, "sse9"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    for (const char* isa : {"sse9", "portable", "avx2", "avxvnni", "avx512", "avx512bf16"}) {
      EXPECT_NE(std::string(error.what()).find(isa), std::string::npos) << error.what();
    }
  }
  EXPECT_NE(make_cpu_backend(pool), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuLinear, testing::ValuesIn(test::kernel_sets()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace mistral::ops
