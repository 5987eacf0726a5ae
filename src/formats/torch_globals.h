// The names that the pickle of a PyTorch checkpoint may refer to. Nothing of them is ever run: each
// stands for data that the reader knows how to build by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace mistral::formats {

enum class TorchGlobal : std::uint8_t {
  kOrderedDict,
  kRebuildTensor,              // (storage, offset, size, stride)
  kRebuildTensorV2,            // and requires_grad, hooks
  kRebuildTensorV3,            // and dtype
  kRebuildParameter,           // (data, requires_grad, hooks)
  kRebuildParameterWithState,  // and state
  kRebuildFromType,            // (function, type, arguments, state)
  kSize,
  kDevice,
  kLayout,
  kClass,        // a class that is mentioned and never called
  kDType,        // torch.float32; comes with its TorchElement
  kStorageType,  // torch.FloatStorage; comes with its TorchElement
};

// A type of element. Some can be skipped over in a file, but not read.
struct TorchElement {
  std::string_view dtype_name;    // "float32"; empty for untyped bytes
  std::string_view storage_name;  // "FloatStorage"; empty where there is none
  std::optional<DType> dtype;
  std::uint8_t bytes = 0;
};

struct TorchName {
  TorchGlobal global = TorchGlobal::kClass;
  const TorchElement* element = nullptr;
};

// None for every name that a state dict does not need.
[[nodiscard]] std::optional<TorchName> find_torch_global(std::string_view module,
                                                         std::string_view name);
// "torch.FloatStorage", "torch._utils._rebuild_tensor_v2", for messages.
[[nodiscard]] std::string_view python_name(TorchGlobal global);

}  // namespace mistral::formats
