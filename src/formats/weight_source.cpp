#include "formats/weight_source.h"

#include "core/error.h"
#include "formats/printable.h"

namespace mistral::formats {

const TensorInfo& WeightSource::require(std::string_view name) const {
  if (const TensorInfo* tensor = find(name); tensor != nullptr) return *tensor;
  const auto& paths = files();
  std::string where = paths.empty() ? "the weights" : fmt::format("'{}'", paths.front().string());
  if (paths.size() > 1) where += fmt::format(" and its {} other files", paths.size() - 1);
  throw make_error(ErrorKind::kNotFound, "tensor {} is missing in {}", printable(name), where);
}

}  // namespace mistral::formats
