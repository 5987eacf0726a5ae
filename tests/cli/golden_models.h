// Which of the reference models the program is driven with.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/json.h"
#include "golden_dir.h"

namespace mistral::test {

struct GoldenModel {
  std::filesystem::path folder;
  std::vector<std::string> selector;  // as on the command line
};

inline std::vector<std::filesystem::path> sorted_entries(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> entries;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      entries.push_back(entry.path());
    }
  }
  std::ranges::sort(entries);
  return entries;
}

// Hugging Face folders of plain llama models, which every build can run, with safetensors weights
// and a text.json.
inline std::vector<GoldenModel> folder_models() {
  std::vector<GoldenModel> models;
  for (const auto& folder : sorted_entries(golden_dir() / "text")) {
    if (folder.filename().string().starts_with("llama-") &&
        std::filesystem::exists(folder / "model.safetensors") &&
        std::filesystem::exists(folder / "text.json")) {
      models.push_back({folder, {"plain", "-m", folder.string()}});
    }
  }
  return models;
}

// Unquantised single-file GGUF models with a table of tokenizer tests.
inline std::vector<GoldenModel> gguf_models() {
  std::vector<GoldenModel> models;
  for (const auto& folder : sorted_entries(golden_dir() / "quant" / "gguf")) {
    if (std::filesystem::exists(folder / "model-F32.gguf") &&
        std::filesystem::exists(folder / "case.json") &&
        folder.filename().string().starts_with("llama-")) {
      models.push_back({folder, {"gguf", "-m", folder.string(), "-f", "model-F32.gguf"}});
    }
  }
  return models;
}

inline Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

inline std::vector<std::string> join(std::vector<std::string> a,
                                     const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace mistral::test
