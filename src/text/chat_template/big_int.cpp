#include "text/chat_template/big_int.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mistral::text::jinja {
namespace {

void trim(std::vector<std::uint32_t>& limbs) {
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
}

int bit_width(std::uint32_t limb) {
  int width = 0;
  for (; limb != 0; limb >>= 1U) ++width;
  return width;
}

}  // namespace

BigInt::BigInt(bool negative, Limbs limbs) : negative_(negative), limbs_(std::move(limbs)) {
  trim(limbs_);
  if (limbs_.empty()) negative_ = false;
}

BigInt::BigInt(std::int64_t value) {
  *this = from_unsigned(value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                                  : static_cast<std::uint64_t>(value));
  negative_ = value < 0;
}

BigInt BigInt::from_unsigned(std::uint64_t value) {
  return {false, {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32U)}};
}

std::optional<BigInt> BigInt::parse(std::string_view digits, int base) {
  BigInt result;
  for (const char c : digits) {
    int digit = 36;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'z') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'Z') digit = c - 'A' + 10;
    if (digit >= base) return std::nullopt;
    std::uint64_t carry = static_cast<std::uint64_t>(digit);
    for (std::uint32_t& limb : result.limbs_) {
      carry += std::uint64_t{limb} * static_cast<std::uint64_t>(base);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    if (carry != 0) result.limbs_.push_back(static_cast<std::uint32_t>(carry));
  }
  return result;
}

BigInt BigInt::from_double(double value) {
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);
  if (exponent <= 0) return {};
  BigInt result = from_unsigned(static_cast<std::uint64_t>(std::ldexp(fraction, 53)));
  if (exponent < 53) {
    result = from_unsigned(static_cast<std::uint64_t>(std::fabs(value)));
  } else {
    const unsigned shift = static_cast<unsigned>(exponent - 53);
    Limbs limbs(shift / 32 + result.limbs_.size() + 1, 0);
    for (std::size_t i = 0; i < result.limbs_.size(); ++i) {
      const std::uint64_t wide = std::uint64_t{result.limbs_[i]} << (shift % 32);
      limbs[shift / 32 + i] |= static_cast<std::uint32_t>(wide);
      limbs[shift / 32 + i + 1] |= static_cast<std::uint32_t>(wide >> 32U);
    }
    result = BigInt(false, std::move(limbs));
  }
  result.negative_ = value < 0 && !result.limbs_.empty();
  return result;
}

std::size_t BigInt::bits() const {
  if (limbs_.empty()) return 0;
  return (limbs_.size() - 1) * 32 + static_cast<std::size_t>(bit_width(limbs_.back()));
}

std::optional<std::int64_t> BigInt::to_int64() const {
  if (limbs_.size() > 2) return std::nullopt;
  std::uint64_t magnitude = 0;
  for (std::size_t i = limbs_.size(); i-- > 0;) magnitude = (magnitude << 32U) | limbs_[i];
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (magnitude > kMax + (negative_ ? 1U : 0U)) return std::nullopt;
  return static_cast<std::int64_t>(negative_ ? std::uint64_t{0} - magnitude : magnitude);
}

std::optional<double> BigInt::to_double() const {
  const std::size_t width = bits();
  if (width > 1024) return std::nullopt;
  // The top 64 bits, with a sticky lowest bit, round correctly in one step.
  std::uint64_t top = 0;
  const std::size_t skipped = width > 64 ? width - 64 : 0;
  bool sticky = false;
  for (std::size_t i = 0; i < skipped && !sticky; ++i) {
    sticky = ((limbs_[i / 32] >> (i % 32)) & 1U) != 0;
  }
  for (std::size_t i = width; i-- > skipped;) {
    top = (top << 1U) | ((limbs_[i / 32] >> (i % 32)) & 1U);
  }
  if (sticky) top |= 1U;
  const double value = std::ldexp(static_cast<double>(top), static_cast<int>(skipped));
  if (std::isinf(value)) return std::nullopt;
  return negative_ ? -value : value;
}

std::string BigInt::to_string(int base) const {
  if (limbs_.empty()) return "0";
  // Peel off as many digits at a time as fit one limb.
  std::uint32_t chunk = 1;
  int chunk_digits = 0;
  while (std::uint64_t{chunk} * static_cast<std::uint64_t>(base) <=
         std::numeric_limits<std::uint32_t>::max()) {
    chunk *= static_cast<std::uint32_t>(base);
    ++chunk_digits;
  }
  std::string text;
  Limbs rest = limbs_;
  while (!rest.empty()) {
    std::uint32_t part = divide_small(rest, chunk);
    for (int i = 0; i < chunk_digits && (part != 0 || !rest.empty()); ++i) {
      const auto digit = static_cast<int>(part % static_cast<std::uint32_t>(base));
      text += static_cast<char>(digit < 10 ? '0' + digit : 'a' + digit - 10);
      part /= static_cast<std::uint32_t>(base);
    }
  }
  if (negative_) text += '-';
  std::reverse(text.begin(), text.end());
  return text;
}

BigInt BigInt::operator-() const {
  BigInt result = *this;
  if (!result.limbs_.empty()) result.negative_ = !negative_;
  return result;
}

std::strong_ordering BigInt::compare(const Limbs& a, const Limbs& b) {
  if (a.size() != b.size()) return a.size() <=> b.size();
  for (std::size_t i = a.size(); i-- > 0;) {
    if (a[i] != b[i]) return a[i] <=> b[i];
  }
  return std::strong_ordering::equal;
}

BigInt::Limbs BigInt::add(const Limbs& a, const Limbs& b) {
  Limbs sum(std::max(a.size(), b.size()) + 1, 0);
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    if (i < a.size()) carry += a[i];
    if (i < b.size()) carry += b[i];
    sum[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32U;
  }
  return sum;
}

BigInt::Limbs BigInt::subtract(const Limbs& a, const Limbs& b) {
  Limbs difference(a.size(), 0);
  std::int64_t borrow = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::int64_t value = std::int64_t{a[i]} - (i < b.size() ? b[i] : 0) - borrow;
    borrow = value < 0 ? 1 : 0;
    if (value < 0) value += std::int64_t{1} << 32U;
    difference[i] = static_cast<std::uint32_t>(value);
  }
  return difference;
}

BigInt operator+(const BigInt& a, const BigInt& b) {
  if (a.negative_ == b.negative_) return {a.negative_, BigInt::add(a.limbs_, b.limbs_)};
  if (BigInt::compare(a.limbs_, b.limbs_) >= 0) {
    return {a.negative_, BigInt::subtract(a.limbs_, b.limbs_)};
  }
  return {b.negative_, BigInt::subtract(b.limbs_, a.limbs_)};
}

BigInt operator*(const BigInt& a, const BigInt& b) {
  BigInt::Limbs product(a.limbs_.size() + b.limbs_.size(), 0);
  for (std::size_t i = 0; i < a.limbs_.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < b.limbs_.size(); ++j) {
      carry += std::uint64_t{a.limbs_[i]} * b.limbs_[j] + product[i + j];
      product[i + j] = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    product[i + b.limbs_.size()] = static_cast<std::uint32_t>(carry);
  }
  return {a.negative_ != b.negative_, std::move(product)};
}

std::uint32_t BigInt::divide_small(Limbs& limbs, std::uint32_t divisor) {
  std::uint64_t remainder = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    remainder = (remainder << 32U) | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(remainder / divisor);
    remainder %= divisor;
  }
  trim(limbs);
  return static_cast<std::uint32_t>(remainder);
}

// Schoolbook division bit by bit: numbers here are small, and the caller bounds their size.
std::pair<BigInt::Limbs, BigInt::Limbs> BigInt::divide(const Limbs& a, const Limbs& b) {
  if (compare(a, b) < 0) return {Limbs{}, a};
  Limbs quotient = a;
  if (b.size() == 1) {
    const std::uint32_t remainder = divide_small(quotient, b[0]);
    return {std::move(quotient), remainder == 0 ? Limbs{} : Limbs{remainder}};
  }
  std::fill(quotient.begin(), quotient.end(), 0U);
  Limbs remainder;
  for (std::size_t bit = a.size() * 32; bit-- > 0;) {
    std::uint32_t carry = (a[bit / 32] >> (bit % 32)) & 1U;
    for (std::uint32_t& limb : remainder) {
      const std::uint32_t high = limb >> 31U;
      limb = (limb << 1U) | carry;
      carry = high;
    }
    if (carry != 0) remainder.push_back(carry);
    if (compare(remainder, b) >= 0) {
      remainder = subtract(remainder, b);
      trim(remainder);
      quotient[bit / 32] |= 1U << (bit % 32);
    }
  }
  return {std::move(quotient), std::move(remainder)};
}

std::pair<BigInt, BigInt> floor_divide(const BigInt& a, const BigInt& b) {
  auto [quotient_limbs, remainder_limbs] = BigInt::divide(a.limbs_, b.limbs_);
  BigInt quotient(a.negative_ != b.negative_, std::move(quotient_limbs));
  BigInt remainder(a.negative_, std::move(remainder_limbs));
  if (!remainder.is_zero() && a.negative_ != b.negative_) {
    quotient = quotient - BigInt(1);
    remainder = remainder + b;
  }
  return {std::move(quotient), std::move(remainder)};
}

std::strong_ordering operator<=>(const BigInt& a, const BigInt& b) {
  if (a.negative_ != b.negative_) {
    return a.negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  const std::strong_ordering order = BigInt::compare(a.limbs_, b.limbs_);
  if (!a.negative_) return order;
  return 0 <=> order;
}

}  // namespace mistral::text::jinja
