// The text model families that this program knows, and how to find one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/text/family.h"

namespace mistral::models {

[[nodiscard]] std::span<const TextFamily* const> text_families();

// By the name that -a takes. Throws Error (kInvalidArgument) that lists the names.
[[nodiscard]] const TextFamily& family_named(std::string_view name);
// By config.json's "architectures" or GGUF's "general.architecture". Throws Error (kUnsupported,
// kInvalidFile) that lists what is supported.
[[nodiscard]] const TextFamily& family_of(const Config& config);
[[nodiscard]] const TextFamily& family_of(const GgufParameters& gguf);

}  // namespace mistral::models
