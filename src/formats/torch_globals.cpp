#include "formats/torch_globals.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace mistral::formats {
namespace {

constexpr std::array<TorchElement, 25> kElements = {{
    {"float64", "DoubleStorage", DType::kF64, 8},
    {"float32", "FloatStorage", DType::kF32, 4},
    {"float16", "HalfStorage", DType::kF16, 2},
    {"bfloat16", "BFloat16Storage", DType::kBF16, 2},
    {"int64", "LongStorage", DType::kI64, 8},
    {"int32", "IntStorage", DType::kI32, 4},
    {"int16", "ShortStorage", DType::kI16, 2},
    {"int8", "CharStorage", DType::kI8, 1},
    {"uint8", "ByteStorage", DType::kU8, 1},
    {"bool", "BoolStorage", DType::kBool, 1},
    {"float8_e4m3fn", "", DType::kF8E4M3, 1},
    {"float8_e5m2", "", std::nullopt, 1},
    {"float8_e4m3fnuz", "", std::nullopt, 1},
    {"float8_e5m2fnuz", "", std::nullopt, 1},
    {"uint16", "", std::nullopt, 2},
    {"uint32", "", std::nullopt, 4},
    {"uint64", "", std::nullopt, 8},
    {"complex64", "ComplexFloatStorage", std::nullopt, 8},
    {"complex128", "ComplexDoubleStorage", std::nullopt, 16},
    {"quint8", "QUInt8Storage", std::nullopt, 1},
    {"qint8", "QInt8Storage", std::nullopt, 1},
    {"qint32", "QInt32Storage", std::nullopt, 4},
    {"quint4x2", "QUInt4x2Storage", std::nullopt, 1},
    {"quint2x4", "QUInt2x4Storage", std::nullopt, 1},
    {"", "UntypedStorage", std::nullopt, 1},
}};

struct Known {
  std::string_view module;
  std::string_view name;
  std::string_view full_name;
  TorchGlobal global;
};

constexpr Known kKnown[] = {
    {"collections", "OrderedDict", "collections.OrderedDict", TorchGlobal::kOrderedDict},
    {"torch._utils", "_rebuild_tensor", "torch._utils._rebuild_tensor",
     TorchGlobal::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v2", "torch._utils._rebuild_tensor_v2",
     TorchGlobal::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", "torch._utils._rebuild_tensor_v3",
     TorchGlobal::kRebuildTensorV3},
    {"torch._utils", "_rebuild_parameter", "torch._utils._rebuild_parameter",
     TorchGlobal::kRebuildParameter},
    {"torch._utils", "_rebuild_parameter_with_state", "torch._utils._rebuild_parameter_with_state",
     TorchGlobal::kRebuildParameterWithState},
    {"torch._tensor", "_rebuild_from_type_v2", "torch._tensor._rebuild_from_type_v2",
     TorchGlobal::kRebuildFromType},
    {"torch", "Size", "torch.Size", TorchGlobal::kSize},
    {"torch", "device", "torch.device", TorchGlobal::kDevice},
    {"torch.serialization", "_get_layout", "torch.serialization._get_layout", TorchGlobal::kLayout},
    {"torch", "Tensor", "torch.Tensor", TorchGlobal::kClass},
    {"torch.nn.parameter", "Parameter", "torch.nn.parameter.Parameter", TorchGlobal::kClass},
    {"torch.nn.parameter", "Buffer", "torch.nn.parameter.Buffer", TorchGlobal::kClass},
    {"torch.storage", "TypedStorage", "torch.storage.TypedStorage", TorchGlobal::kClass},
};

}  // namespace

std::optional<TorchName> find_torch_global(std::string_view module, std::string_view name) {
  for (const Known& known : kKnown) {
    if (known.module == module && known.name == name) return TorchName{known.global, nullptr};
  }
  // Later versions of PyTorch write UntypedStorage with the module that defines it.
  const bool untyped = module == "torch.storage" && name == "UntypedStorage";
  if ((module != "torch" && !untyped) || name.empty()) return std::nullopt;
  for (const TorchElement& element : kElements) {
    if (element.storage_name == name) return TorchName{TorchGlobal::kStorageType, &element};
    if (element.dtype_name == name) return TorchName{TorchGlobal::kDType, &element};
  }
  return std::nullopt;
}

std::string_view python_name(TorchGlobal global) {
  if (global == TorchGlobal::kStorageType) return "a storage type";
  if (global == TorchGlobal::kDType) return "a dtype";
  if (global == TorchGlobal::kClass) return "a class";
  const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                   [&](const Known& k) { return k.global == global; });
  return known->full_name;
}

}  // namespace mistral::formats
