// Vectors of AVX2 with FMA and F16C; names as in simd_avx512.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

namespace mistral::ops::cpu {
namespace {

// Per lane: acc + sum of 4 products of unsigned codes and signed values; acc + sum of 2 products of
// signed 16-bit numbers.
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
inline constexpr bool kHasVnni = true;
inline __m256i dot4_bytes(__m256i acc, __m256i codes, __m256i values) {
  return _mm256_dpbusd_epi32(acc, codes, values);
}
inline __m256i dot2_words(__m256i acc, __m256i a, __m256i b) {
  return _mm256_dpwssd_epi32(acc, a, b);
}
#elif defined(__AVXVNNI__)
inline constexpr bool kHasVnni = true;
inline __m256i dot4_bytes(__m256i acc, __m256i codes, __m256i values) {
  return _mm256_dpbusd_avx_epi32(acc, codes, values);
}
inline __m256i dot2_words(__m256i acc, __m256i a, __m256i b) {
  return _mm256_dpwssd_avx_epi32(acc, a, b);
}
#else
inline constexpr bool kHasVnni = false;
inline __m256i dot4_bytes(__m256i acc, __m256i codes, __m256i values) {
  const __m256i pairs = _mm256_maddubs_epi16(codes, values);
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline __m256i dot2_words(__m256i acc, __m256i a, __m256i b) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}
#endif

struct Simd {
  static constexpr int kLanes = 8;
  // maddubs saturates when the unsigned side exceeds 127, so signed weights go through abs/sign.
  static constexpr bool kSignedDot = !kHasVnni;
  // Without VNNI, products of small codes are added up as 16-bit numbers for as long as they fit.
  static constexpr bool kWordSums = !kHasVnni;
  // Registers: 16, so 4 rows x 2 groups of sums beside codes and products; of numbers, 3 x 4, which
  // takes the fewest instructions: an instruction more is lost to whoever shares the core.
  static constexpr int kRowTile = 4;
  static constexpr int kDenseRowTile = 3;
  static constexpr int kDenseGroups = 4;
  static constexpr int kDirectRows = 4;
  using F = __m256;
  using I = __m256i;
  using B = __m256i;

  static F zero() { return _mm256_setzero_ps(); }
  static F set1(float x) { return _mm256_set1_ps(x); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  static __m256i lane_index() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  static __m256i head(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane_index()); }
  static F load_partial(const float* p, int n) { return _mm256_maskload_ps(p, head(n)); }
  static void store_partial(float* p, F x, int n) { _mm256_maskstore_ps(p, head(n), x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  static float reduce_add(F a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  static float reduce_max(F a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }
  static F select_range(F x, F y, int first, int last) {
    const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane_index());
    const __m256i mask = _mm256_andnot_si256(below, head(last));
    return _mm256_blendv_ps(y, x, _mm256_castsi256_ps(mask));
  }
  static F select_less(F a, F b, F x, F y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  static F round(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // In two steps, so that results below 2^-126 and exponents down to -252 come out right.
  static F scale2(F a, F n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    const __m256i rest = _mm256_sub_epi32(whole, half);
    const __m256i bias = _mm256_set1_epi32(127);
    const F p = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const F q = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(a, p), q);
  }

  // From any address, as the next ones.
  static F load_f32(const std::byte* p) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static F load_f16(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static F load_bf16(const std::byte* p) {
    const __m256i wide =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static F load_low_bf16(const std::byte* p) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), 16));
  }
  static F load_high_bf16(const std::byte* p) {
    const __m256i mask = _mm256_set1_epi32(static_cast<std::int32_t>(0xFFFF0000U));
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), mask));
  }
  // v[i] lane j <-> v[j] lane i
  static void transpose(F (&v)[kLanes]) {
    F pairs[kLanes];
    for (int i = 0; i < kLanes; i += 2) {
      pairs[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
      pairs[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    F fours[kLanes];  // lanes 0-3 and 4-7: one column each of 4 rows
    for (int i = 0; i < kLanes; i += 4) {
      fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
      fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
      v[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
  }
  static F load_i8(const std::uint8_t* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }

  static I int_zero() { return _mm256_setzero_si256(); }
  static I int_set1(std::int32_t x) { return _mm256_set1_epi32(x); }
  template <int Factor>
  static I int_broadcast(const std::int16_t* p) {
    return _mm256_madd_epi16(_mm256_set1_epi16(*p), _mm256_set1_epi32(Factor));
  }
  static I int_sub(I a, I b) { return _mm256_sub_epi32(a, b); }
  static I int_add(I a, I b) { return _mm256_add_epi32(a, b); }
  static std::int32_t int_reduce_add(I a) {
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
  }
  template <int N>
  static I int_shift_left(I a) {
    return _mm256_slli_epi32(a, N);
  }
  static F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  static I to_int(F a) { return _mm256_cvtps_epi32(a); }
  static void store_i8(std::int8_t* p, I a) {
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  // The sum, made before what comes later in the source. Compilers know that integers may be added
  // in any order; they would make all products first, and there are not registers for them.
  static I made_now(I sum) {
    asm("" : "+x"(sum));
    return sum;
  }
  static I broadcast4(const std::int8_t* p) {
    return _mm256_set1_epi32(*reinterpret_cast<const std::int32_t*>(p));
  }
  static I dot4(I acc, B codes, I values) { return dot4_bytes(acc, codes, values); }
  // Per 16-bit lane: acc + sum of 2 products. With kWordSums only.
  static I dot2(I acc, B codes, I values) {
    return _mm256_add_epi16(acc, _mm256_maddubs_epi16(codes, values));
  }
  // Per lane: acc + its two 16-bit numbers.
  static I add_words(I acc, I words) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
  }
  // As 16-bit pairs, both the same, where sums are of 16 bits.
  template <bool Signed>
  static I load_scale(const std::uint8_t* p) {
    const __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    if constexpr (!kWordSums) return Signed ? _mm256_cvtepi8_epi32(x) : _mm256_cvtepu8_epi32(x);
    const __m256i all = _mm256_broadcastq_epi64(x);
    if constexpr (Signed) {
      const __m256i high =
          _mm256_setr_epi8(-1, 0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3,  //
                           -1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7);
      return _mm256_srai_epi16(_mm256_shuffle_epi8(all, high), 8);
    } else {
      const __m256i low =
          _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1,  //
                           4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
      return _mm256_shuffle_epi8(all, low);
    }
  }
  static I add_scaled(I acc, I sums, I scale) {
    return _mm256_add_epi32(
        acc, kWordSums ? _mm256_madd_epi16(sums, scale) : _mm256_mullo_epi32(sums, scale));
  }
  template <bool Signed>
  static I widen(const std::uint8_t* p) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return Signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x);
  }
  static I broadcast_pair(const std::int16_t* p) {
    std::int32_t pair = 0;
    std::memcpy(&pair, p, sizeof(pair));
    return _mm256_set1_epi32(pair);
  }
  static I add_pairs(I acc, I pairs, I values) { return dot2_words(acc, pairs, values); }
  // Both sides signed.
  static I dot4_signed(I acc, B codes, I values) {
    return dot4(acc, _mm256_abs_epi8(codes), _mm256_sign_epi8(values, codes));
  }

  static B load_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static void store_bytes(void* p, B x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
  static void interleave(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_unpacklo_epi8(x, y));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16), _mm_unpackhi_epi8(x, y));
  }
  static B bytes_set1(std::uint8_t x) { return _mm256_set1_epi8(static_cast<char>(x)); }
  static B bytes_and(B a, B b) { return _mm256_and_si256(a, b); }
  static B bytes_sub(B a, B b) { return _mm256_sub_epi8(a, b); }
  static B bytes_or(B a, B b) { return _mm256_or_si256(a, b); }
  static B bytes_xor(B a, B b) { return _mm256_xor_si256(a, b); }
  static B shift_right(B a, int n) { return _mm256_srli_epi16(a, n); }
  static B shift_left(B a, int n) { return _mm256_slli_epi16(a, n); }

  // Queries of attention that share a pass over keys or values: 6 x 2 accumulators.
  static constexpr int kQueryTile = 6;
  static void store_f16(std::byte* p, F x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void store_bf16(std::byte* p, F x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i high = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, quiet, nan);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  // To the second-level cache: what is fetched ahead is more than the first level can await.
  static void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }
};

}  // namespace
}  // namespace mistral::ops::cpu
