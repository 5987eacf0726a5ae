// Where reference data lies: $MISTRAL_GOLDEN_DIR, or the core copy in tests/golden.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace mistral::test {

inline std::filesystem::path golden_dir() {
  if (const char* dir = std::getenv("MISTRAL_GOLDEN_DIR"); dir != nullptr && *dir != '\0') {
    return dir;
  }
  const char* data = std::getenv("MISTRAL_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "tests") / "golden";
}

}  // namespace mistral::test
