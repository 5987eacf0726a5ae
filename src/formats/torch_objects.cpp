#include "formats/torch_objects.h"

#include <utility>

#include "core/error.h"

namespace mistral::formats {
namespace {

constexpr std::size_t kMaxRank = 16;
// Sizes of the entries with what the allocator adds, for the budget.
constexpr std::uint64_t kContainerBytes = 2 * sizeof(std::vector<PickleValue>) + 16;
constexpr std::uint64_t kTensorBytes = 2 * sizeof(PickleTensor) + 32;
constexpr std::uint64_t kStorageBytes = 2 * sizeof(PickleStorage);

// The arguments of one call, checked as they are taken.
class Arguments {
 public:
  Arguments(const Pickle& pickle, TorchGlobal function, const PickleValue& tuple)
      : pickle_(pickle), function_(function), items_(pickle.items(tuple)) {}

  [[nodiscard]] const PickleValue& at(std::size_t i, PickleKind expected) const {
    if (i >= items_.size()) {
      throw make_error(ErrorKind::kInvalidFile, "{} is given {} arguments; expected more",
                       python_name(function_), items_.size());
    }
    if (items_[i].kind != expected) {
      throw make_error(ErrorKind::kInvalidFile, "argument {} of {}: expected {}, found {}", i + 1,
                       python_name(function_), name(expected), name(items_[i].kind));
    }
    return items_[i];
  }
  [[nodiscard]] const PickleValue* find(std::size_t i) const {
    return i < items_.size() ? &items_[i] : nullptr;
  }
  [[nodiscard]] std::vector<std::int64_t> integers(std::size_t i) const {
    std::vector<std::int64_t> out;
    const auto& list = pickle_.items(at(i, PickleKind::kTuple));
    if (list.size() > kMaxRank) {
      throw make_error(ErrorKind::kInvalidFile, "a tensor of {} dimensions; expected at most {}",
                       list.size(), kMaxRank);
    }
    for (const PickleValue& value : list) {
      if (value.kind != PickleKind::kInt) {
        throw make_error(ErrorKind::kInvalidFile, "argument {} of {} holds {}; expected integers",
                         i + 1, python_name(function_), name(value.kind));
      }
      out.push_back(value.number);
    }
    return out;
  }

 private:
  const Pickle& pickle_;
  TorchGlobal function_;
  const std::vector<PickleValue>& items_;
};

PickleValue add_tensor(Pickle& pickle, MemoryBudget& budget, TorchGlobal function,
                       const PickleValue& tuple) {
  const Arguments arguments(pickle, function, tuple);
  PickleTensor tensor;
  tensor.storage = arguments.at(0, PickleKind::kStorage).index();
  tensor.element = pickle.storages[tensor.storage].element;
  tensor.offset = arguments.at(1, PickleKind::kInt).number;
  tensor.sizes = arguments.integers(2);
  tensor.strides = arguments.integers(3);
  if (function == TorchGlobal::kRebuildTensorV3) {
    const PickleValue& dtype = arguments.at(6, PickleKind::kGlobal);
    if (dtype.global != TorchGlobal::kDType) {
      throw make_error(ErrorKind::kInvalidFile, "argument 7 of {}: expected a dtype, found {}",
                       python_name(function), python_name(dtype.global));
    }
    tensor.element = dtype.element;
  }
  budget.charge(kTensorBytes +
                sizeof(std::int64_t) * 2 * (tensor.sizes.size() + tensor.strides.size()));
  pickle.tensors.push_back(std::move(tensor));
  PickleValue value;
  value.kind = PickleKind::kTensor;
  value.number = static_cast<std::int64_t>(pickle.tensors.size() - 1);
  return value;
}

// Python 2 gives the items as a list of pairs; Python 3 inserts them afterwards.
PickleValue make_ordered_dict(Pickle& pickle, MemoryBudget& budget, const PickleValue& tuple) {
  std::vector<PickleValue> items;
  if (!pickle.items(tuple).empty()) {
    const Arguments arguments(pickle, TorchGlobal::kOrderedDict, tuple);
    const auto& pairs = pickle.items(arguments.at(0, PickleKind::kList));
    budget.charge(2 * sizeof(PickleValue) * pairs.size());
    for (const PickleValue& pair : pairs) {
      const bool is_pair = (pair.kind == PickleKind::kList || pair.kind == PickleKind::kTuple) &&
                           pickle.items(pair).size() == 2;
      if (!is_pair) {
        throw make_error(ErrorKind::kInvalidFile,
                         "collections.OrderedDict is given {}; expected pairs of key and value",
                         name(pair.kind));
      }
      items.insert(items.end(), pickle.items(pair).begin(), pickle.items(pair).end());
    }
  }
  return add_container(pickle, budget, PickleKind::kDict, items);
}

}  // namespace

PickleValue add_container(Pickle& pickle, MemoryBudget& budget, PickleKind kind,
                          std::span<const PickleValue> items) {
  budget.charge(kContainerBytes + sizeof(PickleValue) * items.size());
  pickle.containers.emplace_back(items.begin(), items.end());
  PickleValue value;
  value.kind = kind;
  value.number = static_cast<std::int64_t>(pickle.containers.size() - 1);
  return value;
}

PickleValue call_torch_global(Pickle& pickle, MemoryBudget& budget, const PickleValue& callable,
                              const PickleValue& arguments) {
  if (callable.kind != PickleKind::kGlobal || arguments.kind != PickleKind::kTuple) {
    throw make_error(ErrorKind::kInvalidFile, "the pickle calls {} with {}; expected a function",
                     name(callable.kind), name(arguments.kind));
  }
  PickleValue other;
  other.kind = PickleKind::kOther;
  const TorchGlobal function = callable.global;
  switch (function) {
    case TorchGlobal::kOrderedDict:
      return make_ordered_dict(pickle, budget, arguments);
    case TorchGlobal::kRebuildTensor:
    case TorchGlobal::kRebuildTensorV2:
    case TorchGlobal::kRebuildTensorV3:
      return add_tensor(pickle, budget, function, arguments);
    case TorchGlobal::kRebuildParameter:
    case TorchGlobal::kRebuildParameterWithState:
      return Arguments(pickle, function, arguments).at(0, PickleKind::kTensor);
    case TorchGlobal::kRebuildFromType: {
      const Arguments outer(pickle, function, arguments);
      const PickleValue inner = outer.at(0, PickleKind::kGlobal);
      if (inner.global == TorchGlobal::kRebuildFromType) {  // would recurse as deep as it nests
        throw make_error(ErrorKind::kInvalidFile, "{} is given itself; expected another function",
                         python_name(function));
      }
      const PickleValue inner_arguments = outer.at(2, PickleKind::kTuple);
      return call_torch_global(pickle, budget, inner, inner_arguments);
    }
    case TorchGlobal::kSize: {
      const PickleValue* sizes = Arguments(pickle, function, arguments).find(0);
      return sizes != nullptr && sizes->kind == PickleKind::kTuple ? *sizes : other;
    }
    case TorchGlobal::kDevice:
    case TorchGlobal::kLayout:
      return other;
    case TorchGlobal::kClass:
    case TorchGlobal::kDType:
    case TorchGlobal::kStorageType:
      break;
  }
  throw make_error(ErrorKind::kUnsupported, "refused to call {}: expected tensors and containers",
                   python_name(function));
}

PickleValue storage_of_persistent_id(Pickle& pickle, MemoryBudget& budget, const PickleValue& id) {
  const auto wrong = [](std::string_view what) {
    return make_error(ErrorKind::kInvalidFile,
                      "a persistent id {}; expected ('storage', type, key, location, elements)",
                      what);
  };
  if (id.kind != PickleKind::kTuple) throw wrong("is not a tuple");
  const auto& items = pickle.items(id);
  if (items.empty() || items[0].kind != PickleKind::kText || pickle.text(items[0]) != "storage") {
    throw wrong("does not begin with 'storage'");
  }
  if (items.size() < 5) throw wrong("is too short");
  if (items[1].kind != PickleKind::kGlobal || items[1].global != TorchGlobal::kStorageType) {
    throw wrong("has no known type of storage");
  }
  if (items[2].kind != PickleKind::kText) throw wrong("has a key that is not a string");
  if (items[4].kind != PickleKind::kInt || items[4].number < 0) {
    throw wrong("has no number of elements");
  }
  if (items.size() > 5 && items[5].kind != PickleKind::kNone) {
    throw Error(ErrorKind::kUnsupported,
                "a storage is a view of another one, as PyTorch before 0.4 wrote it; save the file "
                "again with a later version");
  }
  budget.charge(kStorageBytes);
  pickle.storages.push_back(
      {pickle.text(items[2]), items[1].element, static_cast<std::uint64_t>(items[4].number)});
  PickleValue value;
  value.kind = PickleKind::kStorage;
  value.number = static_cast<std::int64_t>(pickle.storages.size() - 1);
  return value;
}

}  // namespace mistral::formats
