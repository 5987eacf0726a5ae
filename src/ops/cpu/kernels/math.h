// Vectorised elementary functions over Simd. Every lane is computed alone, so a value does not
// depend on its neighbours or on where a row is cut into vectors.
#pragma once

namespace mistral::ops::cpu {
namespace {

// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2: the polynomial of Cephes' expf.
inline Simd::F exp_tail(Simd::F r) {
  Simd::F p = Simd::set1(1.9875691500e-4F);
  p = Simd::fma(p, r, Simd::set1(1.3981999507e-3F));
  p = Simd::fma(p, r, Simd::set1(8.3334519073e-3F));
  p = Simd::fma(p, r, Simd::set1(4.1665795894e-2F));
  p = Simd::fma(p, r, Simd::set1(1.6666665459e-1F));
  return Simd::fma(p, r, Simd::set1(5.0000001201e-1F));
}

// e^x to about 1 unit in the last place; 0 below -87.3 (and for -inf), clamped above 88.
inline Simd::F exp(Simd::F x) {
  const Simd::F lowest = Simd::set1(-87.3F);
  const Simd::F clamped = Simd::max(Simd::min(x, Simd::set1(88.0F)), lowest);
  const Simd::F n = Simd::round(Simd::mul(clamped, Simd::set1(1.44269504088896341F)));
  // r = x - n ln 2 in two parts, |r| <= ln 2 / 2.
  Simd::F r = Simd::fnma(n, Simd::set1(0.693359375F), clamped);
  r = Simd::fnma(n, Simd::set1(-2.12194440e-4F), r);
  const Simd::F p = Simd::fma(Simd::mul(r, r), exp_tail(r), Simd::add(r, Simd::set1(1.0F)));
  return Simd::select_less(x, lowest, Simd::zero(), Simd::scale2(p, n));
}

// e^x - 1, without the cancellation near zero.
inline Simd::F expm1(Simd::F x) {
  const Simd::F big = Simd::sub(exp(x), Simd::set1(1.0F));
  const Simd::F small = Simd::fma(Simd::mul(x, x), exp_tail(x), x);
  return Simd::select_less(Simd::abs(x), Simd::set1(0.3F), small, big);
}

// tanh x = 1 - 2 / (e^2x + 1); near zero, where that cancels, its Taylor polynomial.
inline Simd::F tanh(Simd::F x) {
  const Simd::F e = exp(Simd::add(x, x));
  const Simd::F big =
      Simd::sub(Simd::set1(1.0F), Simd::div(Simd::set1(2.0F), Simd::add(e, Simd::set1(1.0F))));
  const Simd::F x2 = Simd::mul(x, x);
  Simd::F p = Simd::set1(62.0F / 2835.0F);
  p = Simd::fma(p, x2, Simd::set1(-17.0F / 315.0F));
  p = Simd::fma(p, x2, Simd::set1(2.0F / 15.0F));
  p = Simd::fma(p, x2, Simd::set1(-1.0F / 3.0F));
  const Simd::F small = Simd::fma(Simd::mul(x, x2), p, x);
  return Simd::select_less(Simd::abs(x), Simd::set1(0.15F), small, big);
}

inline Simd::F sigmoid(Simd::F x) {
  const Simd::F one = Simd::set1(1.0F);
  return Simd::div(one, Simd::add(one, exp(Simd::sub(Simd::zero(), x))));
}

// erf by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7.
inline Simd::F erf(Simd::F x) {
  const Simd::F a = Simd::abs(x);
  const Simd::F one = Simd::set1(1.0F);
  const Simd::F t = Simd::div(one, Simd::fma(a, Simd::set1(0.3275911F), one));
  Simd::F p = Simd::set1(1.061405429F);
  p = Simd::fma(p, t, Simd::set1(-1.453152027F));
  p = Simd::fma(p, t, Simd::set1(1.421413741F));
  p = Simd::fma(p, t, Simd::set1(-0.284496736F));
  p = Simd::fma(p, t, Simd::set1(0.254829592F));
  const Simd::F e = exp(Simd::sub(Simd::zero(), Simd::mul(a, a)));
  const Simd::F y = Simd::fnma(Simd::mul(p, t), e, one);
  return Simd::select_less(x, Simd::zero(), Simd::sub(Simd::zero(), y), y);
}

inline Simd::F clamp(Simd::F x, float lowest, float highest) {
  return Simd::max(Simd::min(x, Simd::set1(highest)), Simd::set1(lowest));
}

inline Simd::F hard_sigmoid(Simd::F x) {
  return clamp(Simd::fma(x, Simd::set1(1.0F / 6.0F), Simd::set1(0.5F)), 0.0F, 1.0F);
}

template <Activation A>
inline Simd::F activation(Simd::F x) {
  if constexpr (A == Activation::kSilu) {
    return Simd::mul(x, sigmoid(x));
  } else if constexpr (A == Activation::kGeluTanh) {
    const Simd::F cube = Simd::mul(Simd::mul(x, x), x);
    const Simd::F inner =
        Simd::mul(Simd::set1(0.79788456080286536F), Simd::fma(cube, Simd::set1(0.044715F), x));
    const Simd::F half = Simd::mul(x, Simd::set1(0.5F));
    return Simd::fma(half, tanh(inner), half);
  } else if constexpr (A == Activation::kGeluErf) {
    const Simd::F half = Simd::mul(x, Simd::set1(0.5F));
    return Simd::fma(half, erf(Simd::mul(x, Simd::set1(0.70710678118654752F))), half);
  } else if constexpr (A == Activation::kGeluQuick) {
    return Simd::mul(x, sigmoid(Simd::mul(x, Simd::set1(1.702F))));
  } else if constexpr (A == Activation::kClampedSwiglu) {
    return activation<Activation::kGeluQuick>(Simd::min(x, Simd::set1(7.0F)));
  } else if constexpr (A == Activation::kSigmoid) {
    return sigmoid(x);
  } else if constexpr (A == Activation::kHardSigmoid) {
    return hard_sigmoid(x);
  } else if constexpr (A == Activation::kHardSwish) {
    return Simd::mul(x, hard_sigmoid(x));
  } else if constexpr (A == Activation::kElu) {
    return Simd::select_less(x, Simd::zero(), expm1(x), x);
  } else if constexpr (A == Activation::kLeakyRelu) {
    return Simd::select_less(x, Simd::zero(), Simd::mul(x, Simd::set1(0.01F)), x);
  } else if constexpr (A == Activation::kRelu2) {
    const Simd::F positive = Simd::max(x, Simd::zero());
    return Simd::mul(positive, positive);
  } else if constexpr (A == Activation::kRelu6) {
    return clamp(x, 0.0F, 6.0F);
  } else {
    return Simd::max(x, Simd::zero());
  }
}

// What the activation of a gate is multiplied by.
template <Activation A>
inline Simd::F gated_factor(Simd::F up) {
  if constexpr (A == Activation::kClampedSwiglu) {
    return Simd::add(clamp(up, -7.0F, 7.0F), Simd::set1(1.0F));
  } else {
    return up;
  }
}

// Calls f(i, n) for vectors of a row: n lanes from element i, n < kLanes only at the end.
template <typename Function>
inline void for_vectors(std::int64_t count, Function f) {
  std::int64_t i = 0;
  for (; i + Simd::kLanes <= count; i += Simd::kLanes) f(i, Simd::kLanes);
  if (i < count) f(i, static_cast<int>(count - i));
}
inline Simd::F load_n(const float* p, int n) {
  return n == Simd::kLanes ? Simd::load(p) : Simd::load_partial(p, n);
}
inline void store_n(float* p, Simd::F x, int n) {
  if (n == Simd::kLanes) {
    Simd::store(p, x);
  } else {
    Simd::store_partial(p, x, n);
  }
}

// f with the activation as a constant.
template <typename Function>
inline void with_activation(Activation a, Function f) {
  switch (a) {
    case Activation::kSilu:
      return f.template operator()<Activation::kSilu>();
    case Activation::kGeluTanh:
      return f.template operator()<Activation::kGeluTanh>();
    case Activation::kGeluErf:
      return f.template operator()<Activation::kGeluErf>();
    case Activation::kGeluQuick:
      return f.template operator()<Activation::kGeluQuick>();
    case Activation::kRelu:
      return f.template operator()<Activation::kRelu>();
    case Activation::kRelu2:
      return f.template operator()<Activation::kRelu2>();
    case Activation::kRelu6:
      return f.template operator()<Activation::kRelu6>();
    case Activation::kSigmoid:
      return f.template operator()<Activation::kSigmoid>();
    case Activation::kHardSigmoid:
      return f.template operator()<Activation::kHardSigmoid>();
    case Activation::kHardSwish:
      return f.template operator()<Activation::kHardSwish>();
    case Activation::kElu:
      return f.template operator()<Activation::kElu>();
    case Activation::kLeakyRelu:
      return f.template operator()<Activation::kLeakyRelu>();
    case Activation::kClampedSwiglu:
      return f.template operator()<Activation::kClampedSwiglu>();
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
