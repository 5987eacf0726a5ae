// Plain loops under the names of simd_avx512.h, for processors without AVX2. The compiler
// vectorises them with what the baseline offers.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "quant/half.h"

namespace mistral::ops::cpu {
namespace {

struct Simd {
  static constexpr int kLanes = 8;
  static constexpr bool kSignedDot = true;
  static constexpr bool kWordSums = false;
  static constexpr int kRowTile = 2;
  static constexpr int kDenseRowTile = 2;
  static constexpr int kDenseGroups = 2;
  static constexpr int kDirectRows = 4;
  struct F {
    float v[kLanes];
  };
  struct I {
    std::int32_t v[kLanes];
  };
  struct B {
    std::uint8_t v[4 * kLanes];
  };

  template <typename Result, typename Function>
  static Result each(Function f) {
    Result r;
    for (int i = 0; i < static_cast<int>(sizeof(r.v) / sizeof(r.v[0])); ++i) {
      r.v[i] = static_cast<std::remove_reference_t<decltype(r.v[0])>>(f(i));
    }
    return r;
  }

  static F zero() { return set1(0.0F); }
  static F set1(float x) {
    return each<F>([=](int) { return x; });
  }
  static F load(const float* p) {
    return each<F>([=](int i) { return p[i]; });
  }
  static void store(float* p, const F& x) { std::memcpy(p, x.v, sizeof(x.v)); }
  static F load_partial(const float* p, int n) {
    return each<F>([=](int i) { return i < n ? p[i] : 0.0F; });
  }
  static void store_partial(float* p, const F& x, int n) {
    for (int i = 0; i < n; ++i) p[i] = x.v[i];
  }
  static F add(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F sub(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] - b.v[i]; });
  }
  static F mul(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F div(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] / b.v[i]; });
  }
  static F max(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F min(const F& a, const F& b) {
    return each<F>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F abs(const F& a) {
    return each<F>([&](int i) { return std::fabs(a.v[i]); });
  }
  // Two roundings: a fused operation would be a library call on such processors.
  static F fma(const F& a, const F& b, const F& c) {
    return each<F>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  static F fnma(const F& a, const F& b, const F& c) {
    return each<F>([&](int i) { return c.v[i] - a.v[i] * b.v[i]; });
  }
  static float reduce_add(const F& a) {
    float sum = 0.0F;
    for (const float x : a.v) sum += x;
    return sum;
  }
  static float reduce_max(const F& a) {
    float m = a.v[0];
    for (const float x : a.v) m = x > m ? x : m;
    return m;
  }
  static F select_range(const F& x, const F& y, int first, int last) {
    return each<F>([&](int i) { return i >= first && i < last ? x.v[i] : y.v[i]; });
  }
  static F select_less(const F& a, const F& b, const F& x, const F& y) {
    return each<F>([&](int i) { return a.v[i] < b.v[i] ? x.v[i] : y.v[i]; });
  }
  static F round(const F& a) {
    return each<F>([&](int i) { return std::nearbyint(a.v[i]); });
  }
  static F scale2(const F& a, const F& n) {
    return each<F>([&](int i) { return std::ldexp(a.v[i], static_cast<int>(n.v[i])); });
  }

  static F load_f32(const std::byte* p) {
    F values;
    std::memcpy(values.v, p, sizeof(values.v));
    return values;
  }
  static F load_f16(const std::byte* p) {
    return each<F>([=](int i) { return quant::f16_to_f32(read16(p, i)); });
  }
  static F load_bf16(const std::byte* p) {
    return each<F>([=](int i) { return quant::bf16_to_f32(read16(p, i)); });
  }
  static F load_low_bf16(const std::byte* p) {
    return each<F>([=](int i) { return quant::bf16_to_f32(read16(p, 2 * i)); });
  }
  static F load_high_bf16(const std::byte* p) {
    return each<F>([=](int i) { return quant::bf16_to_f32(read16(p, 2 * i + 1)); });
  }
  static void transpose(F (&v)[kLanes]) {
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < i; ++j) std::swap(v[i].v[j], v[j].v[i]);
    }
  }
  static F load_i8(const std::uint8_t* p) {
    return each<F>([=](int i) { return static_cast<float>(static_cast<std::int8_t>(p[i])); });
  }

  static I int_zero() { return int_set1(0); }
  static I int_set1(std::int32_t x) {
    return each<I>([=](int) { return x; });
  }
  template <int Factor>
  static I int_broadcast(const std::int16_t* p) {
    return int_set1(Factor * *p);
  }
  static I int_sub(const I& a, const I& b) {
    return each<I>([&](int i) { return a.v[i] - b.v[i]; });
  }
  static I int_add(const I& a, const I& b) {
    return each<I>([&](int i) { return a.v[i] + b.v[i]; });
  }
  static std::int32_t int_reduce_add(const I& a) {
    std::int32_t sum = 0;
    for (const std::int32_t x : a.v) sum += x;
    return sum;
  }
  template <int N>
  static I int_shift_left(const I& a) {
    return each<I>([&](int i) { return a.v[i] * (1 << N); });
  }
  static F to_float(const I& a) {
    return each<F>([&](int i) { return static_cast<float>(a.v[i]); });
  }
  static I to_int(const F& a) {
    return each<I>([&](int i) { return static_cast<std::int32_t>(std::nearbyint(a.v[i])); });
  }
  static void store_i8(std::int8_t* p, const I& a) {
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<std::int8_t>(a.v[i]);
  }
  static I made_now(I sum) { return sum; }
  static I broadcast4(const std::int8_t* p) {
    std::int32_t x = 0;
    std::memcpy(&x, p, 4);
    return int_set1(x);
  }
  static I dot4(const I& acc, const B& codes, const I& values) {
    std::int8_t a[4];
    std::memcpy(a, values.v, 4);  // all lanes hold the same 4 values
    return each<I>([&](int i) {
      std::int32_t sum = acc.v[i];
      for (int j = 0; j < 4; ++j) sum += codes.v[4 * i + j] * a[j];
      return sum;
    });
  }
  template <bool Signed>
  static I load_scale(const std::uint8_t* p) {
    return each<I>([=](int i) { return number<Signed>(p[i]); });
  }
  static I add_scaled(const I& acc, const I& sums, const I& scale) {
    return each<I>([&](int i) { return acc.v[i] + sums.v[i] * scale.v[i]; });
  }
  // A lane holds two numbers of 16 bits.
  template <bool Signed>
  static I widen(const std::uint8_t* p) {
    I r;
    for (int i = 0; i < kLanes; ++i) {
      const std::int16_t pair[2] = {number<Signed>(p[2 * i]), number<Signed>(p[2 * i + 1])};
      std::memcpy(&r.v[i], pair, sizeof(pair));
    }
    return r;
  }
  static I broadcast_pair(const std::int16_t* p) {
    std::int32_t pair = 0;
    std::memcpy(&pair, p, sizeof(pair));
    return int_set1(pair);
  }
  static I add_pairs(const I& acc, const I& pairs, const I& values) {
    std::int16_t b[2];
    std::memcpy(b, values.v, sizeof(b));  // all lanes hold the same 2 values
    return each<I>([&](int i) {
      std::int16_t a[2];
      std::memcpy(a, &pairs.v[i], sizeof(a));
      return acc.v[i] + a[0] * b[0] + a[1] * b[1];
    });
  }
  static I dot4_signed(const I& acc, const B& codes, const I& values) {
    std::int8_t a[4];
    std::memcpy(a, values.v, 4);
    return each<I>([&](int i) {
      std::int32_t sum = acc.v[i];
      for (int j = 0; j < 4; ++j) sum += static_cast<std::int8_t>(codes.v[4 * i + j]) * a[j];
      return sum;
    });
  }

  static B load_bytes(const void* p) {
    B r;
    std::memcpy(r.v, p, sizeof(r.v));
    return r;
  }
  static void store_bytes(void* p, const B& x) { std::memcpy(p, x.v, sizeof(x.v)); }
  static void interleave(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
    for (int i = 0; i < 16; ++i) {
      out[2 * i] = a[i];
      out[2 * i + 1] = b[i];
    }
  }
  static B bytes_set1(std::uint8_t x) {
    return each<B>([=](int) { return x; });
  }
  static B bytes_and(const B& a, const B& b) {
    return each<B>([&](int i) { return a.v[i] & b.v[i]; });
  }
  static B bytes_sub(const B& a, const B& b) {
    return each<B>([&](int i) { return a.v[i] - b.v[i]; });
  }
  static B bytes_or(const B& a, const B& b) {
    return each<B>([&](int i) { return a.v[i] | b.v[i]; });
  }
  static B bytes_xor(const B& a, const B& b) {
    return each<B>([&](int i) { return a.v[i] ^ b.v[i]; });
  }
  // Bytes on their own: nothing crosses, and the masks of the callers stay valid.
  static B shift_right(const B& a, int n) {
    return each<B>([&](int i) { return a.v[i] >> n; });
  }
  static B shift_left(const B& a, int n) {
    return each<B>([&](int i) { return a.v[i] << n; });
  }

  static constexpr int kQueryTile = 4;
  static void store_f16(std::byte* p, const F& x) {
    for (int i = 0; i < kLanes; ++i) write16(p, i, quant::f32_to_f16(x.v[i]));
  }
  static void store_bf16(std::byte* p, const F& x) {
    for (int i = 0; i < kLanes; ++i) write16(p, i, quant::f32_to_bf16(x.v[i]));
  }
  static void prefetch(const void* p) {
#if defined(__GNUC__)
    __builtin_prefetch(p, 0, 2);
#else
    static_cast<void>(p);
#endif
  }

 private:
  template <bool Signed>
  static std::int16_t number(std::uint8_t x) {
    return Signed ? static_cast<std::int8_t>(x) : x;
  }
  static void write16(std::byte* p, int i, std::uint16_t x) {
    std::memcpy(p + 2 * i, &x, 2);
  }
  static std::uint16_t read16(const std::byte* p, int i) {
    std::uint16_t x = 0;
    std::memcpy(&x, p + 2 * i, 2);
    return x;
  }
};

}  // namespace
}  // namespace mistral::ops::cpu
