// Any bytes as a TOML selector: it is understood, or an Error names the place. What is understood
// nests no deeper than promised.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "core/error.h"
#include "fuzz/allocation_limit.h"
#include "models/selector/toml_document.h"
#include "models/selector/toml_selector.h"

namespace {

void check(const mistral::models::TomlValue& value, int depth) {
  using mistral::models::TomlValue;
  if (depth > 16 || value.place.line == 0 || value.place.column == 0) std::abort();
  if (const auto* table = std::get_if<TomlValue::Table>(&value.content)) {
    for (const auto& entry : *table) check(entry.value, depth + 1);
  }
  if (const auto* array = std::get_if<TomlValue::Array>(&value.content)) {
    for (const TomlValue& element : *array) check(element, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const mistral::fuzz::AllocationLimit limit(std::as_bytes(std::span(data, size)));
  try {
    check(mistral::models::parse_toml(text, "f"), 0);
  } catch (const mistral::Error& error) {
    if (!std::string_view(error.what()).starts_with("f:")) std::abort();
  }
  try {
    const auto selector = mistral::models::parse_toml_selector(text, "f");
    if (!selector.obstacle.empty() && !selector.obstacle.starts_with("f:")) std::abort();
  } catch (const mistral::Error& error) {
    if (!std::string_view(error.what()).starts_with("f:")) std::abort();
  }
  return 0;
}
