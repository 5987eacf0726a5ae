// Kernels over one row: norms, quantisation of activations, element-wise functions, rotation.
#pragma once

#include <cmath>
#include <cstring>

#include "ops/cpu/kernel_table.h"
#include "ops/cpu/kernels/math.h"

namespace mistral::ops::cpu {
namespace {

// Sum of f(vector) over a row: four running sums, so that the additions overlap.
template <typename Function>
inline float reduce(const float* in, std::int64_t n, Function f) {
  Simd::F sum[4] = {Simd::zero(), Simd::zero(), Simd::zero(), Simd::zero()};
  std::int64_t i = 0;
  for (; i + 4 * Simd::kLanes <= n; i += 4 * Simd::kLanes) {
    for (int j = 0; j < 4; ++j) sum[j] = f(Simd::load(in + i + j * Simd::kLanes), sum[j]);
  }
  for (; i + Simd::kLanes <= n; i += Simd::kLanes) sum[0] = f(Simd::load(in + i), sum[0]);
  float total = Simd::reduce_add(Simd::add(Simd::add(sum[0], sum[1]), Simd::add(sum[2], sum[3])));
  for (; i < n; ++i) {
    float lane[Simd::kLanes];
    Simd::store(lane, f(Simd::set1(in[i]), Simd::zero()));
    total += lane[0];
  }
  return total;
}

void norm(const NormParams& params, const float* in, std::int64_t n, float* out) {
  float mean = 0.0F;
  if (params.kind == NormParams::Kind::kLayer) {
    mean = reduce(in, n, [](Simd::F x, Simd::F sum) { return Simd::add(sum, x); }) /
           static_cast<float>(n);
  }
  const Simd::F center = Simd::set1(mean);
  const float squares = reduce(in, n, [&](Simd::F x, Simd::F sum) {
    const Simd::F d = Simd::sub(x, center);
    return Simd::fma(d, d, sum);
  });
  const Simd::F factor =
      Simd::set1(1.0F / std::sqrt(squares / static_cast<float>(n) + params.epsilon));
  for_vectors(n, [&](std::int64_t i, int lanes) {
    Simd::F x = Simd::mul(Simd::sub(load_n(in + i, lanes), center), factor);
    if (params.weight != nullptr) x = Simd::mul(x, load_n(params.weight + i, lanes));
    if (params.bias != nullptr) x = Simd::add(x, load_n(params.bias + i, lanes));
    store_n(out + i, x, lanes);
  });
}

void add(const float* in, std::int64_t n, float* inout) {
  for_vectors(n, [&](std::int64_t i, int lanes) {
    store_n(inout + i, Simd::add(load_n(inout + i, lanes), load_n(in + i, lanes)), lanes);
  });
}

void scale(float factor, std::int64_t n, float* inout) {
  const Simd::F f = Simd::set1(factor);
  for_vectors(n, [&](std::int64_t i, int lanes) {
    store_n(inout + i, Simd::mul(load_n(inout + i, lanes), f), lanes);
  });
}

// Symmetric: scale = largest magnitude / 127 over the block. The last block may be shorter than
// `block`, but rows are multiples of 32.
void quantize(const float* in, std::int64_t n, std::int64_t block, std::int8_t* codes,
              float* scales, std::int16_t* sums16, std::int16_t* sums32) {
  for (std::int64_t b = 0; b < n; b += block) {
    const std::int64_t count = n - b < block ? n - b : block;
    Simd::F largest = Simd::zero();
    for (std::int64_t i = 0; i < count; i += Simd::kLanes) {
      largest = Simd::max(largest, Simd::abs(Simd::load(in + b + i)));
    }
    const float most = Simd::reduce_max(largest);
    const Simd::F inverse = Simd::set1(most > 0.0F ? 127.0F / most : 0.0F);
    scales[b / block] = most / 127.0F;
    for (std::int64_t i = 0; i < count; i += 16) {
      Simd::I sum = Simd::int_zero();
      for (int j = 0; j < 16; j += Simd::kLanes) {
        const Simd::I q = Simd::to_int(Simd::mul(Simd::load(in + b + i + j), inverse));
        Simd::store_i8(codes + b + i + j, q);
        sum = Simd::int_add(sum, q);
      }
      sums16[(b + i) / 16] = static_cast<std::int16_t>(Simd::int_reduce_add(sum));
    }
  }
  for (std::int64_t i = 0; i < n / 32; ++i) {
    sums32[i] = static_cast<std::int16_t>(sums16[2 * i] + sums16[2 * i + 1]);
  }
}

void activate(Activation a, const float* in, std::int64_t n, float* out) {
  with_activation(a, [&]<Activation A>() {
    for_vectors(n, [&](std::int64_t i, int lanes) {
      store_n(out + i, activation<A>(load_n(in + i, lanes)), lanes);
    });
  });
}

void gate(Activation a, const float* gate, const float* up, std::int64_t n, float* out) {
  with_activation(a, [&]<Activation A>() {
    for_vectors(n, [&](std::int64_t i, int lanes) {
      const Simd::F g = activation<A>(load_n(gate + i, lanes));
      store_n(out + i, Simd::mul(g, gated_factor<A>(load_n(up + i, lanes))), lanes);
    });
  });
}

void softcap(float cap, std::int64_t n, float* inout) {
  const Simd::F c = Simd::set1(cap);
  const Simd::F inverse = Simd::set1(1.0F / cap);
  for_vectors(n, [&](std::int64_t i, int lanes) {
    store_n(inout + i, Simd::mul(c, tanh(Simd::mul(load_n(inout + i, lanes), inverse))), lanes);
  });
}

void rope(const RopeTable& table, std::int64_t row, float* head) {
  const int half = table.rotary_dim / 2;
  const float* c = table.cos + row * half;
  const float* s = table.sin + row * half;
  head += table.first_dim;
  if (table.interleaved) {
    for (int i = 0; i < half; ++i) {
      const float x = head[2 * i];
      const float y = head[2 * i + 1];
      head[2 * i] = x * c[i] - y * s[i];
      head[2 * i + 1] = y * c[i] + x * s[i];
    }
    return;
  }
  for_vectors(half, [&](std::int64_t i, int lanes) {
    const Simd::F x = load_n(head + i, lanes);
    const Simd::F y = load_n(head + half + i, lanes);
    const Simd::F cv = load_n(c + i, lanes);
    const Simd::F sv = load_n(s + i, lanes);
    store_n(head + i, Simd::sub(Simd::mul(x, cv), Simd::mul(y, sv)), lanes);
    store_n(head + half + i, Simd::add(Simd::mul(y, cv), Simd::mul(x, sv)), lanes);
  });
}

}  // namespace
}  // namespace mistral::ops::cpu
