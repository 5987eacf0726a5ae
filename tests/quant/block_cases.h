// The reference files of block formats: quant/blocks/<TYPE>.safetensors.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/json.h"
#include "formats/safetensors.h"
#include "golden_dir.h"
#include "tensor/dtype.h"

namespace mistral::test {

inline std::optional<DType> dtype_by_name(const std::string& name) {
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    if (mistral::name(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

struct BlockCase {
  DType dtype;
  std::shared_ptr<const formats::SafetensorsFile> file;

  [[nodiscard]] TensorView view(const std::string& tensor) const {
    const auto* found = file->find(tensor);
    if (found == nullptr) throw std::runtime_error("no tensor " + tensor);
    return found->view;
  }
};

inline std::filesystem::path blocks_dir() {
  return golden_dir() / "quant" / "blocks";
}

// Every <TYPE>.safetensors, in the order of names; never empty, so a test over it cannot pass
// without data.
inline std::vector<BlockCase> block_cases() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(blocks_dir())) {
    if (entry.path().extension() == ".safetensors" && entry.path().stem() != "source") {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<BlockCase> cases;
  for (const auto& path : paths) {
    const std::optional<DType> dtype = dtype_by_name(path.stem().string());
    if (!dtype) throw std::runtime_error("no type of the name of " + path.string());
    cases.push_back({*dtype, formats::SafetensorsFile::open({path})});
  }
  if (cases.empty()) throw std::runtime_error("no cases in " + blocks_dir().string());
  return cases;
}

inline Json blocks_json() {
  std::ifstream in(blocks_dir() / "blocks.json");
  return Json::parse(in);
}

inline std::vector<float> floats(const TensorView& view) {
  std::vector<float> values(view.data.size() / sizeof(float));
  std::memcpy(values.data(), view.data.data(), view.data.size());
  return values;
}

}  // namespace mistral::test
