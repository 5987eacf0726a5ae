// Reading of golden cases: JSON files and expected tensors.
#pragma once

#include <cmath>
#include <cstring>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "formats/safetensors.h"
#include "golden_dir.h"
#include "model_runner.h"

namespace mistral::test {

inline Json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return Json::parse(stream);
}

class Expected {
 public:
  explicit Expected(const std::filesystem::path& file)
      : file_(formats::SafetensorsFile::open({file})) {}

  [[nodiscard]] bool has(const std::string& name) const { return file_->find(name) != nullptr; }
  [[nodiscard]] std::vector<TokenId> ids(const std::string& name) const {
    const TensorView& view = file_->require(name).view;
    std::vector<TokenId> result;
    for (std::int64_t i = 0; i < view.shape.elements(); ++i) {
      std::int64_t value = 0;
      std::memcpy(&value, view.data.data() + i * 8, 8);
      result.push_back(static_cast<TokenId>(value));
    }
    return result;
  }
  [[nodiscard]] Logits rows(const std::string& name) const {
    const TensorView& view = file_->require(name).view;
    const auto cols = static_cast<std::size_t>(view.shape.row_length());
    Logits result(static_cast<std::size_t>(view.shape.elements()) / cols, std::vector<float>(cols));
    for (std::size_t r = 0; r < result.size(); ++r) {
      std::memcpy(result[r].data(), view.data.data() + r * cols * 4, cols * 4);
    }
    return result;
  }

 private:
  std::shared_ptr<const formats::SafetensorsFile> file_;
};

struct Difference {
  double max_abs = 0;
  double rms = 0;
};
// Of the last rows when `expected` has fewer.
inline Difference difference(const Logits& actual, const Logits& expected) {
  Difference result;
  double sum = 0;
  std::size_t count = 0;
  const std::size_t skip = actual.size() - expected.size();
  for (std::size_t r = 0; r < expected.size(); ++r) {
    EXPECT_EQ(actual[skip + r].size(), expected[r].size());
    for (std::size_t i = 0; i < expected[r].size(); ++i) {
      const double d =
          std::abs(static_cast<double>(actual[skip + r][i]) - static_cast<double>(expected[r][i]));
      result.max_abs = d > result.max_abs || std::isnan(d) ? d : result.max_abs;
      sum += d * d;
      ++count;
    }
  }
  result.rms = std::sqrt(sum / static_cast<double>(count));
  return result;
}

// Bit for bit.
inline bool identical(const Logits& a, const Logits& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t r = 0; r < a.size(); ++r) {
    if (a[r].size() != b[r].size() ||
        std::memcmp(a[r].data(), b[r].data(), a[r].size() * sizeof(float)) != 0) {
      return false;
    }
  }
  return true;
}

inline std::vector<std::filesystem::path> case_folders(const std::string& area) {
  std::vector<std::filesystem::path> result;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir() / area)) {
    if (std::filesystem::exists(entry.path() / "case.json")) result.push_back(entry.path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace mistral::test
