#include "formats/open_weights.h"

#include "core/error.h"
#include "formats/safetensors.h"
#include "formats/torch.h"
#include "formats/weight_folder.h"

namespace mistral::formats {

std::shared_ptr<const WeightSource> open_weights(const std::filesystem::path& folder) {
  const auto open = [&](const WeightFiles& files,
                        bool safetensors) -> std::shared_ptr<const WeightSource> {
    std::shared_ptr<const WeightSource> source;
    if (safetensors) {
      source = SafetensorsFile::open(files.files);
    } else {
      source = TorchFile::open(files.files);
    }
    check_placed(*source, folder, files);
    return source;
  };
  const auto safetensors = find_weight_files(folder, safetensors_names());
  if (safetensors && !safetensors->consolidated) return open(*safetensors, true);
  const auto torch = find_weight_files(folder, torch_names());
  if (torch && (!torch->consolidated || !safetensors)) return open(*torch, false);
  if (safetensors) return open(*safetensors, true);
  throw make_error(ErrorKind::kNotFound,
                   "no weights in '{}': expected {}, {}, {}, {} or one other file *{}, *{}",
                   folder.string(), safetensors_names().index, safetensors_names().single,
                   torch_names().index, torch_names().single, safetensors_names().endings.front(),
                   fmt::join(torch_names().endings, ", *"));
}

}  // namespace mistral::formats
