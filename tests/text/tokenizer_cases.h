// Reference cases for tokenizers: files, JSON lines, gzip.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include "core/json.h"
#include "golden_dir.h"
#include "text/tokenizer/encoding.h"

namespace mistral::test {

// The content of a file, unpacked when it is gzip.
inline std::string read_file(const std::filesystem::path& path) {
  std::string content;
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return content;
  std::array<char, 1U << 16U> buffer{};
  for (int count = 0; (count = gzread(file, buffer.data(), buffer.size())) > 0;) {
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
  gzclose(file);
  return content;
}

inline std::vector<Json> read_json_lines(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

// The folders of golden/`area` in which `wanted` holds, sorted.
template <typename Wanted>
std::vector<std::filesystem::path> golden_folders(const char* area, Wanted&& wanted) {
  std::vector<std::filesystem::path> folders;
  const std::filesystem::path root = golden_dir() / area;
  if (!std::filesystem::is_directory(root)) return folders;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.is_directory() && wanted(entry.path())) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

inline Json offsets_json(const text::Encoding& encoding) {
  Json list = Json::array();
  for (const auto& offsets : encoding.offsets) {
    list.push_back(Json::array({offsets.begin, offsets.end}));
  }
  return list;
}

// Compares what `expected` lists of an encoding.
inline void expect_encoding(const Json& expected, const text::Encoding& encoding) {
  const auto compare = [&](const char* key, const Json& found) {
    if (expected.contains(key)) {
      EXPECT_EQ(expected[key], found) << key;
    }
  };
  compare("ids", encoding.ids);
  compare("tokens", encoding.tokens);
  compare("offsets", offsets_json(encoding));
  compare("type_ids", encoding.type_ids);
  compare("special_tokens_mask", encoding.special_tokens_mask);
  compare("attention_mask", encoding.attention_mask);
  if (!expected.contains("overflowing")) return;
  ASSERT_EQ(expected["overflowing"].size(), encoding.overflowing.size());
  for (std::size_t i = 0; i < encoding.overflowing.size(); ++i) {
    expect_encoding(expected["overflowing"][i], encoding.overflowing[i]);
  }
}

}  // namespace mistral::test
