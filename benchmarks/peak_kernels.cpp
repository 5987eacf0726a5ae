// Register budget of every loop: twelve accumulators and two factors. Twelve chains hide a latency
// of six cycles at two instructions a cycle, more than any processor of this kind needs; AVX2 has
// sixteen registers, so its int8 loop, which needs a third instruction and a place for its result,
// takes eight chains. The accumulators are operands of one asm statement and never leave their
// registers inside the loop.
#include "benchmarks/peak_kernels.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace mistral::benchmarks {

#if defined(__x86_64__)

namespace {

// Twelve independent accumulators %0 to %11, factors %12 and %13.
#define MISTRAL_ON_TWELVE(instruction)                                        \
  instruction " %12, %13, %0\n\t" instruction " %12, %13, %1\n\t" instruction \
              " %12, %13, %2\n\t" instruction " %12, %13, %3\n\t" instruction \
              " %12, %13, %4\n\t" instruction " %12, %13, %5\n\t" instruction \
              " %12, %13, %6\n\t" instruction " %12, %13, %7\n\t" instruction \
              " %12, %13, %8\n\t" instruction " %12, %13, %9\n\t" instruction \
              " %12, %13, %10\n\t" instruction " %12, %13, %11\n\t"

#define MISTRAL_TWELVE_OPERANDS(a)                                                                \
  "+v"(a##0), "+v"(a##1), "+v"(a##2), "+v"(a##3), "+v"(a##4), "+v"(a##5), "+v"(a##6), "+v"(a##7), \
      "+v"(a##8), "+v"(a##9), "+v"(a##10), "+v"(a##11)

// A function that repeats `instruction` on twelve accumulators of type `vector`.
#define MISTRAL_PEAK_LOOP(name, features, vector, zero, factor, instruction)                      \
  __attribute__((target(features))) void name(std::int64_t iterations) {                          \
    const vector x = factor;                                                                      \
    vector a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero;                      \
    vector a6 = zero, a7 = zero, a8 = zero, a9 = zero, a10 = zero, a11 = zero;                    \
    for (std::int64_t i = 0; i < iterations; ++i) {                                               \
      asm volatile(MISTRAL_ON_TWELVE(instruction) : MISTRAL_TWELVE_OPERANDS(a) : "v"(x), "v"(x)); \
    }                                                                                             \
  }

MISTRAL_PEAK_LOOP(int8_avx512_vnni, "avx512f,avx512bw", __m512i, _mm512_setzero_si512(),
                  _mm512_set1_epi8(3), "vpdpbusd")
MISTRAL_PEAK_LOOP(bf16_avx512, "avx512f,avx512bw", __m512i, _mm512_setzero_si512(),
                  _mm512_set1_epi16(0x3F80), "vdpbf16ps")
MISTRAL_PEAK_LOOP(f32_avx512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_set1_ps(3.0F),
                  "vfmadd231ps")
MISTRAL_PEAK_LOOP(int8_avx_vnni, "avx2", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(3),
                  "%{vex%} vpdpbusd")
MISTRAL_PEAK_LOOP(f32_fma, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_set1_ps(3.0F),
                  "vfmadd231ps")

#undef MISTRAL_PEAK_LOOP
#undef MISTRAL_TWELVE_OPERANDS
#undef MISTRAL_ON_TWELVE

// Without VNNI: products of bytes to pairs of 16 bits, eight of which add up before one step to 32
// bits, as many as products of 4-bit codes allow. The same text serves both widths: the registers'
// names come with the operands.
#define MISTRAL_STEP(n)         \
  "vpmaddubsw %10, %10, %9\n\t" \
  "vpaddw %9, %" #n ", %" #n "\n\t"
#define MISTRAL_WIDEN        \
  "vpmaddwd %11, %0, %9\n\t" \
  "vpaddd %9, %8, %8\n\t"

#define MISTRAL_BYTE_LOOP(name, features, vector, zero, bytes, ones)                               \
  __attribute__((target(features))) void name(std::int64_t iterations) {                           \
    const vector x = bytes;                                                                        \
    const vector one = ones;                                                                       \
    vector product;                                                                                \
    vector a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero, a6 = zero;            \
    vector a7 = zero, wide = zero;                                                                 \
    for (std::int64_t i = 0; i < iterations; ++i) {                                                \
      asm volatile(MISTRAL_STEP(0) MISTRAL_STEP(1) MISTRAL_STEP(2) MISTRAL_STEP(3) MISTRAL_STEP(4) \
                       MISTRAL_STEP(5) MISTRAL_STEP(6) MISTRAL_STEP(7) MISTRAL_WIDEN               \
                   : "+v"(a0), "+v"(a1), "+v"(a2), "+v"(a3), "+v"(a4), "+v"(a5), "+v"(a6),         \
                     "+v"(a7), "+v"(wide), "=&v"(product)                                          \
                   : "v"(x), "v"(one));                                                            \
    }                                                                                              \
  }

MISTRAL_BYTE_LOOP(int8_avx512, "avx512f,avx512bw", __m512i, _mm512_setzero_si512(),
                  _mm512_set1_epi8(3), _mm512_set1_epi16(1))
MISTRAL_BYTE_LOOP(int8_avx2, "avx2", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(3),
                  _mm256_set1_epi16(1))

#undef MISTRAL_BYTE_LOOP
#undef MISTRAL_WIDEN
#undef MISTRAL_STEP

constexpr std::int64_t kTwelve = 12;
constexpr std::int64_t kEight = 8;

// Whether bit `bit` of EAX is set in leaf 7, subleaf 1: instructions that compilers of this
// project's age cannot be asked for by name.
bool has_subleaf_feature(unsigned bit) {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && ((a >> bit) & 1U) != 0;
}

constexpr unsigned kAvxVnniBit = 4;
constexpr unsigned kAvx512Bf16Bit = 5;

__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::byte* data,
                                                             std::size_t size) {
  __m512i a = _mm512_setzero_si512();
  __m512i b = a;
  __m512i c = a;
  __m512i d = a;
  for (std::size_t i = 0; i + 256 <= size; i += 256) {
    a = _mm512_xor_si512(a, _mm512_loadu_si512(data + i));
    b = _mm512_xor_si512(b, _mm512_loadu_si512(data + i + 64));
    c = _mm512_xor_si512(c, _mm512_loadu_si512(data + i + 128));
    d = _mm512_xor_si512(d, _mm512_loadu_si512(data + i + 192));
  }
  std::array<std::uint64_t, 8> words;
  _mm512_storeu_si512(words.data(),
                      _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d)));
  std::uint64_t all = 0;
  for (const std::uint64_t word : words) all ^= word;
  return all;
}

__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::byte* data, std::size_t size) {
  __m256i lanes[8];
  for (__m256i& lane : lanes) lane = _mm256_setzero_si256();
  for (std::size_t i = 0; i + 256 <= size; i += 256) {
    for (std::size_t j = 0; j < 8; ++j) {
      const auto* from = reinterpret_cast<const __m256i*>(data + i + 32 * j);
      lanes[j] = _mm256_xor_si256(lanes[j], _mm256_loadu_si256(from));
    }
  }
  std::uint64_t all = 0;
  for (const __m256i& lane : lanes) {
    std::array<std::uint64_t, 4> words;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words.data()), lane);
    for (const std::uint64_t word : words) all ^= word;
  }
  return all;
}

}  // namespace

std::optional<PeakKernel> int8_kernel() {
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  if (avx512 && __builtin_cpu_supports("avx512vnni")) {
    return PeakKernel{"AVX-512 VNNI", kTwelve * 64 * 2, int8_avx512_vnni};
  }
  const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2 && has_subleaf_feature(kAvxVnniBit)) {
    return PeakKernel{"AVX-VNNI", kTwelve * 32 * 2, int8_avx_vnni};
  }
  if (avx512) return PeakKernel{"AVX-512 maddubs", kEight * 64 * 2, int8_avx512};
  if (avx2) return PeakKernel{"AVX2 maddubs", kEight * 32 * 2, int8_avx2};
  return std::nullopt;
}

std::optional<PeakKernel> bf16_kernel() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      has_subleaf_feature(kAvx512Bf16Bit)) {
    return PeakKernel{"AVX-512 BF16", kTwelve * 32 * 2, bf16_avx512};
  }
  return std::nullopt;
}

std::optional<PeakKernel> f32_kernel() {
  if (__builtin_cpu_supports("avx512f")) return PeakKernel{"AVX-512", kTwelve * 16 * 2, f32_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return PeakKernel{"AVX2 FMA", kTwelve * 8 * 2, f32_fma};
  }
  return std::nullopt;
}

#else

std::optional<PeakKernel> int8_kernel() {
  return std::nullopt;
}
std::optional<PeakKernel> bf16_kernel() {
  return std::nullopt;
}
std::optional<PeakKernel> f32_kernel() {
  return std::nullopt;
}

#endif

namespace {

constexpr std::size_t kReadStep = 256;

std::uint64_t read_portable(const std::byte* data, std::size_t size) {
  std::array<std::uint64_t, 8> lanes{};
  for (std::size_t i = 0; i + sizeof lanes <= size; i += sizeof lanes) {
    std::array<std::uint64_t, 8> words;
    std::memcpy(words.data(), data + i, sizeof words);
    for (std::size_t j = 0; j < lanes.size(); ++j) lanes[j] ^= words[j];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t lane : lanes) all ^= lane;
  return all;
}

}  // namespace

std::uint64_t read_all(std::span<const std::byte> bytes) {
  const std::size_t whole = bytes.size() / kReadStep * kReadStep;
  std::uint64_t all = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    all = read_avx512(bytes.data(), whole);
  } else if (__builtin_cpu_supports("avx2")) {
    all = read_avx2(bytes.data(), whole);
  } else {
    all = read_portable(bytes.data(), whole);
  }
#else
  all = read_portable(bytes.data(), whole);
#endif
  for (std::size_t i = whole; i < bytes.size(); ++i) {
    all ^= static_cast<std::uint64_t>(bytes[i]) << (8 * (i % sizeof all));
  }
  return all;
}

}  // namespace mistral::benchmarks
