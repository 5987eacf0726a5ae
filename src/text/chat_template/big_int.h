// Whole numbers of any size, for the few templates and tools whose numbers exceed 64 bits.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mistral::text::jinja {

class BigInt {
 public:
  BigInt() = default;
  explicit BigInt(std::int64_t value);
  static BigInt from_unsigned(std::uint64_t value);
  // Digits of base 2 to 36 without sign or separators; nothing if one does not fit the base.
  static std::optional<BigInt> parse(std::string_view digits, int base);
  // Truncates toward zero; `value` must be finite.
  static BigInt from_double(double value);

  [[nodiscard]] bool is_zero() const { return limbs_.empty(); }
  [[nodiscard]] bool negative() const { return negative_; }
  [[nodiscard]] bool odd() const { return !limbs_.empty() && (limbs_[0] & 1U) != 0; }
  [[nodiscard]] std::size_t bits() const;
  [[nodiscard]] std::optional<std::int64_t> to_int64() const;
  // Rounds to nearest; nothing if it exceeds the range of double.
  [[nodiscard]] std::optional<double> to_double() const;
  [[nodiscard]] std::string to_string(int base = 10) const;

  [[nodiscard]] BigInt operator-() const;
  friend BigInt operator+(const BigInt& a, const BigInt& b);
  friend BigInt operator-(const BigInt& a, const BigInt& b) { return a + -b; }
  friend BigInt operator*(const BigInt& a, const BigInt& b);
  // Quotient rounded toward negative infinity, remainder with the sign of the divisor.
  // The divisor must not be zero.
  friend std::pair<BigInt, BigInt> floor_divide(const BigInt& a, const BigInt& b);
  friend std::strong_ordering operator<=>(const BigInt& a, const BigInt& b);
  friend bool operator==(const BigInt& a, const BigInt& b) = default;

 private:
  using Limbs = std::vector<std::uint32_t>;
  BigInt(bool negative, Limbs limbs);
  static std::strong_ordering compare(const Limbs& a, const Limbs& b);
  static Limbs add(const Limbs& a, const Limbs& b);
  static Limbs subtract(const Limbs& a, const Limbs& b);  // a >= b
  static std::pair<Limbs, Limbs> divide(const Limbs& a, const Limbs& b);
  static std::uint32_t divide_small(Limbs& limbs, std::uint32_t divisor);

  bool negative_ = false;
  Limbs limbs_;  // little endian, without leading zeros
};

}  // namespace mistral::text::jinja
