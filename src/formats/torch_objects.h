// What the objects in the pickle of a PyTorch checkpoint are made of: stands in for the functions
// that Python would call.
#pragma once

#include "formats/memory_budget.h"
#include "formats/pickle_value.h"

namespace mistral::formats {

// The result of calling `callable` with the tuple `arguments`. Throws Error (kInvalidFile,
// kUnsupported).
[[nodiscard]] PickleValue call_torch_global(Pickle& pickle, MemoryBudget& budget,
                                            const PickleValue& callable,
                                            const PickleValue& arguments);
// The storage that the persistent id ('storage', type, key, location, elements) stands for.
[[nodiscard]] PickleValue storage_of_persistent_id(Pickle& pickle, MemoryBudget& budget,
                                                   const PickleValue& id);
// A new container with these elements.
[[nodiscard]] PickleValue add_container(Pickle& pickle, MemoryBudget& budget, PickleKind kind,
                                        std::span<const PickleValue> items);

}  // namespace mistral::formats
