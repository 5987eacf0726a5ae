#include "models/registry.h"

#include <algorithm>

#include "core/error.h"

namespace mistral::models {

// Each in its file under text/.
extern const TextFamily kCohere, kDeepseek, kGemma, kGemma2, kGemma3, kGptNeox, kGptOss, kGranite,
    kLlama, kLlama4, kMistral, kMixtral, kOlmo2, kPhi2, kPhi3, kPhiMoe, kQwen2, kQwen3, kQwen3Moe,
    kSmolLm3, kStarcoder2;

namespace {

constexpr const TextFamily* kFamilies[] = {
    &kCohere,  &kDeepseek, &kGemma,  &kGemma2,  &kGemma3,   &kGptNeox, &kGptOss,
    &kGranite, &kLlama,    &kLlama4, &kMistral, &kMixtral,  &kOlmo2,   &kPhi2,
    &kPhi3,    &kPhiMoe,   &kQwen2,  &kQwen3,   &kQwen3Moe, &kSmolLm3, &kStarcoder2,
};

std::string known(std::span<const std::string_view> TextFamily::*member) {
  std::vector<std::string_view> names;
  for (const TextFamily* family : kFamilies) {
    names.insert(names.end(), (family->*member).begin(), (family->*member).end());
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

const TextFamily* find(std::span<const std::string_view> TextFamily::*member,
                       std::string_view name) {
  for (const TextFamily* family : kFamilies) {
    const auto names = family->*member;
    if (std::find(names.begin(), names.end(), name) != names.end()) return family;
  }
  return nullptr;
}

}  // namespace

std::span<const TextFamily* const> text_families() {
  return kFamilies;
}

const TextFamily& family_named(std::string_view name) {
  for (const TextFamily* family : kFamilies) {
    if (family->name == name) return *family;
  }
  std::vector<std::string_view> names;
  for (const TextFamily* family : kFamilies) names.push_back(family->name);
  throw make_error(ErrorKind::kInvalidArgument,
                   "architecture '{}' is not known; expected one of {}", name,
                   fmt::join(names, ", "));
}

const TextFamily& family_of(const Config& config) {
  const std::vector<std::string> names = config.strings("architectures");
  if (names.size() != 1) {
    throw config.problem("architectures",
                         fmt::format("expected exactly one name, found {}", names.size()));
  }
  if (const TextFamily* family = find(&TextFamily::hf_architectures, names[0])) return *family;
  throw make_error(ErrorKind::kUnsupported, "{}: architecture '{}' is not supported; supported: {}",
                   config.file(), names[0], known(&TextFamily::hf_architectures));
}

const TextFamily& family_of(const GgufParameters& gguf) {
  if (const TextFamily* family = find(&TextFamily::gguf_architectures, gguf.architecture())) {
    return *family;
  }
  throw make_error(ErrorKind::kUnsupported, "{}: architecture '{}' is not supported; supported: {}",
                   gguf.file(), gguf.architecture(), known(&TextFamily::gguf_architectures));
}

}  // namespace mistral::models
