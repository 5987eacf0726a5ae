// Many short lists of numbers in two pieces of memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mistral::grammar {

class NumberLists {
 public:
  // `each` calls its argument with (list, number), twice in the same way.
  template <typename Each>
  NumberLists(std::size_t count, const Each& each) : first_(count + 2, 0) {
    each([&](std::uint32_t list, std::uint32_t) { ++first_[list + 2]; });
    for (std::size_t i = 2; i < first_.size(); ++i) first_[i] += first_[i - 1];
    numbers_.resize(first_.back());
    each([&](std::uint32_t list, std::uint32_t number) { numbers_[first_[list + 1]++] = number; });
  }
  [[nodiscard]] std::span<const std::uint32_t> operator[](std::uint32_t list) const {
    return std::span(numbers_).subspan(first_[list], first_[list + 1] - first_[list]);
  }

 private:
  std::vector<std::uint32_t> first_;
  std::vector<std::uint32_t> numbers_;
};

}  // namespace mistral::grammar
