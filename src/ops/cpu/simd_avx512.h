// Vectors of AVX-512 (F, BW, VL, DQ, VNNI). Included by one translation unit, compiled for it.
// The same names exist in simd_avx2.h and simd_portable.h; the kernels are written once over them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

namespace mistral::ops::cpu {
namespace {

struct Simd {
  static constexpr int kLanes = 16;
  // Int8 codes are multiplied as unsigned by signed; signed weights come offset by 128.
  static constexpr bool kSignedDot = false;
  static constexpr bool kWordSums = false;
  // Registers: 32, so 6 rows x 2 groups of accumulators, twice.
  static constexpr int kRowTile = 6;
  static constexpr int kDenseRowTile = 6;
  static constexpr int kDenseGroups = 2;
  static constexpr int kDirectRows = 12;
  using F = __m512;
  using I = __m512i;  // int32 lanes
  using B = __m512i;  // 4 * kLanes bytes

  static F zero() { return _mm512_setzero_ps(); }
  static F set1(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static __mmask16 head(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
  static F load_partial(const float* p, int n) { return _mm512_maskz_loadu_ps(head(n), p); }
  static void store_partial(float* p, F x, int n) { _mm512_mask_storeu_ps(p, head(n), x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a * b
  static float reduce_add(F a) { return _mm512_reduce_add_ps(a); }
  static float reduce_max(F a) { return _mm512_reduce_max_ps(a); }
  // x where the lane's index lies in [first, last), else y.
  static F select_range(F x, F y, int first, int last) {
    const unsigned low = first <= 0 ? 0U : first >= 16 ? 0xFFFFU : (1U << first) - 1U;
    const unsigned high = last <= 0 ? 0U : last >= 16 ? 0xFFFFU : (1U << last) - 1U;
    return _mm512_mask_blend_ps(static_cast<__mmask16>(high & ~low), y, x);
  }
  static F select_less(F a, F b, F x, F y) {  // a < b ? x : y
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  static F round(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static F scale2(F a, F n) { return _mm512_scalef_ps(a, n); }  // a * 2^n, n integral

  // From any address, as the next ones.
  static F load_f32(const std::byte* p) { return _mm512_loadu_ps(p); }
  static F load_f16(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F load_bf16(const std::byte* p) {
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  // kLanes pairs of bf16: the elements in the low and in the high half of 32 bits.
  static F load_low_bf16(const std::byte* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
  }
  static F load_high_bf16(const std::byte* p) {
    const __m512i mask = _mm512_set1_epi32(static_cast<std::int32_t>(0xFFFF0000U));
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), mask));
  }
  // v[i] lane j <-> v[j] lane i
  static void transpose(F (&v)[kLanes]) {
    F pairs[kLanes];
    for (int i = 0; i < kLanes; i += 2) {
      pairs[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
      pairs[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
    F fours[kLanes];  // each quarter: one column of 4 rows
    for (int i = 0; i < kLanes; i += 4) {
      fours[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      fours[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
      fours[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      fours[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
    // Column i + 4q of rows 4r to 4r + 3 is quarter q of fours[4r + i].
    for (int i = 0; i < 4; ++i) {
      const F even_low = _mm512_shuffle_f32x4(fours[i], fours[i + 4], 0x88);
      const F odd_low = _mm512_shuffle_f32x4(fours[i], fours[i + 4], 0xDD);
      const F even_high = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], 0x88);
      const F odd_high = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], 0xDD);
      v[i] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
      v[i + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
      v[i + 8] = _mm512_shuffle_f32x4(even_low, even_high, 0xDD);
      v[i + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD);
    }
  }
  static F load_i8(const std::uint8_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }

  static I int_zero() { return _mm512_setzero_si512(); }
  static I int_set1(std::int32_t x) { return _mm512_set1_epi32(x); }
  // Factor * *p in all lanes.
  template <int Factor>
  static I int_broadcast(const std::int16_t* p) {
    return _mm512_madd_epi16(_mm512_set1_epi16(*p), _mm512_set1_epi32(Factor));
  }
  static I int_sub(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I int_add(I a, I b) { return _mm512_add_epi32(a, b); }
  static std::int32_t int_reduce_add(I a) { return _mm512_reduce_add_epi32(a); }
  template <int N>
  static I int_shift_left(I a) {
    return _mm512_slli_epi32(a, N);
  }
  static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static I to_int(F a) { return _mm512_cvtps_epi32(a); }  // nearest, ties to even
  static void store_i8(std::int8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }
  static I made_now(I sum) { return sum; }
  static I broadcast4(const std::int8_t* p) {
    return _mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(p));
  }
  // Per lane: acc + sum of 4 products of codes (unsigned) and values (signed).
  static I dot4(I acc, B codes, I values) { return _mm512_dpbusd_epi32(acc, codes, values); }
  // kLanes scales of 8 bits, for add_scaled(): acc + sums * scale.
  template <bool Signed>
  static I load_scale(const std::uint8_t* p) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return Signed ? _mm512_cvtepi8_epi32(x) : _mm512_cvtepu8_epi32(x);
  }
  static I add_scaled(I acc, I sums, I scale) {
    return _mm512_add_epi32(acc, _mm512_mullo_epi32(sums, scale));
  }
  // 2 * kLanes numbers of 8 bits, as 16 bits.
  template <bool Signed>
  static I widen(const std::uint8_t* p) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return Signed ? _mm512_cvtepi8_epi16(x) : _mm512_cvtepu8_epi16(x);
  }
  // Per lane: acc + sum of 2 products of 16-bit numbers, of which one pair is the same for all.
  static I broadcast_pair(const std::int16_t* p) {
    std::int32_t pair = 0;
    std::memcpy(&pair, p, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  static I add_pairs(I acc, I pairs, I values) { return _mm512_dpwssd_epi32(acc, pairs, values); }

  static B load_bytes(const void* p) { return _mm512_loadu_si512(p); }
  static void store_bytes(void* p, B x) { _mm512_storeu_si512(p, x); }
  // a[0], b[0], a[1] ... of 16 bytes each
  static void interleave(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_unpacklo_epi8(x, y));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16), _mm_unpackhi_epi8(x, y));
  }
  static B bytes_set1(std::uint8_t x) { return _mm512_set1_epi8(static_cast<char>(x)); }
  static B bytes_and(B a, B b) { return _mm512_and_si512(a, b); }
  static B bytes_sub(B a, B b) { return _mm512_sub_epi8(a, b); }
  static B bytes_or(B a, B b) { return _mm512_or_si512(a, b); }
  static B bytes_xor(B a, B b) { return _mm512_xor_si512(a, b); }
  // Shifts of 16-bit lanes; the caller masks what crossed a byte.
  static B shift_right(B a, int n) { return _mm512_srli_epi16(a, static_cast<unsigned>(n)); }
  static B shift_left(B a, int n) { return _mm512_slli_epi16(a, static_cast<unsigned>(n)); }

  // Queries of attention that share a pass over keys or values: 8 x 2 accumulators.
  static constexpr int kQueryTile = 8;
  // kLanes elements, rounded to nearest even.
  static void store_f16(std::byte* p, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void store_bf16(std::byte* p, F x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd), 16);
    const __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(nan, rounded, quiet)));
  }
  // To the second-level cache: what is fetched ahead is more than the first level can await.
  static void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }
};

}  // namespace
}  // namespace mistral::ops::cpu
