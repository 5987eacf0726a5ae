#include "formats/open_weights.h"

#include "core/error.h"
#include "formats/safetensors.h"
#include "formats/torch.h"
#include "formats/weight_folder.h"

namespace mistral::formats {

std::optional<ChosenWeights> choose_weights(const std::filesystem::path& folder) {
  auto safetensors = find_weight_files(folder, safetensors_names());
  if (safetensors && !safetensors->consolidated)
    return ChosenWeights{*std::move(safetensors), true};
  auto torch = find_weight_files(folder, torch_names());
  if (torch && (!torch->consolidated || !safetensors)) {
    return ChosenWeights{*std::move(torch), false};
  }
  if (safetensors) return ChosenWeights{*std::move(safetensors), true};
  return std::nullopt;
}

std::shared_ptr<const WeightSource> open_weights(const std::filesystem::path& folder) {
  const auto chosen = choose_weights(folder);
  if (!chosen) {
    throw make_error(ErrorKind::kNotFound,
                     "no weights in '{}': expected {}, {}, {}, {} or one other file *{}, *{}",
                     folder.string(), safetensors_names().index, safetensors_names().single,
                     torch_names().index, torch_names().single, safetensors_names().endings.front(),
                     fmt::join(torch_names().endings, ", *"));
  }
  std::shared_ptr<const WeightSource> source;
  if (chosen->safetensors) {
    source = SafetensorsFile::open(chosen->files.files);
  } else {
    source = TorchFile::open(chosen->files.files);
  }
  check_placed(*source, folder, chosen->files);
  return source;
}

}  // namespace mistral::formats
